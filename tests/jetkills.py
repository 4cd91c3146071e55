# SPDX-License-Identifier: MPL-2.0
"""Under load, servers of NATS and zbrokers that share a stream there are killed.

ZB_KILLS is how often: 2, or 20 in a long run."""

import os

import natsserver
import zb
from natsnode import AckedLoad, Load, Worker, acked_nodes, check_all, check_once, nodes

KILLS = int(os.environ.get("ZB_KILLS", "2"))


@zb.limit(60 + 30 * KILLS)
def test_nothing_is_lost_when_the_server_is_killed_under_load():
    server = natsserver.Server()
    a, b = nodes("streamer", server)
    load, worker = Load(a), Worker(b)
    for _ in range(KILLS):
        before = len(worker.got)
        zb.wait_until(lambda: len(worker.got) > before + 200)
        server.kill()
        server.start()
    check_once([worker], load.stop())


@zb.limit(120 + 60 * KILLS)
def test_nothing_is_lost_when_the_leader_of_a_cluster_is_killed_under_load():
    cluster = natsserver.Cluster()
    three = nodes("streamer", cluster, 3, "nats_replicas = 3")
    load, workers = Load(three[0]), [Worker(node) for node in three[1:]]

    def got():
        return sum(len(worker.got) for worker in workers)

    for _ in range(KILLS):
        before = got()
        zb.wait_until(lambda: got() > before + 200, 30)
        leader = cluster.leader("zbroker_r")
        leader.kill()
        before = got()
        zb.wait_until(lambda: got() > before + 200, 30, "messages without the leader")
        leader.start()
    check_all(workers, load.stop())


@zb.limit(120 + 90 * KILLS)
def test_nothing_that_was_acknowledged_is_lost_when_brokers_and_servers_are_killed():
    cluster = natsserver.Cluster()
    a, b = acked_nodes(cluster)
    load, worker = AckedLoad(a), Worker(b)

    def goes_on():
        before = len(load.acked)
        zb.wait_until(lambda: len(load.acked) > before + 200, 30, "acknowledgements")

    for _ in range(KILLS):
        goes_on()
        a.daemon.kill()
        a.restart()
        goes_on()
        leader = cluster.leader("zbroker_r")
        leader.kill()
        leader.start()
    goes_on()
    sent = load.stop()
    assert load.acked == set(range(sent))
    check_all([worker], sent)


zb.main()

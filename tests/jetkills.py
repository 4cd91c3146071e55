# SPDX-License-Identifier: MPL-2.0
"""Under load, servers of NATS, zbrokers that share streams there, and their workers are killed.

ZB_KILLS is how often each of them is: 2, or 20 in a long run. What is killed in the cluster is killed once for all tests
that look at what came of it."""

import os
import time

import natsserver
import zb
from natsnode import AckedLoad, AckedWorker, Load, Worker, acked_nodes, check_all, check_once, nodes

KILLS = int(os.environ.get("ZB_KILLS", "2"))
STREAMS = ("plain", "acked")


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


class Scene:
    """Two streams on a cluster of three servers: one with plain ends, one with ends that acknowledge."""

    def __init__(self):
        self.cluster = natsserver.Cluster()
        self.unled, self.put = 0, None
        plain = nodes("streamer", self.cluster, 3, "nats_replicas = 3\nnats_stream = plain\nnats_subject = plain")
        self.load, self.workers = Load(plain[0], 0.004), [Worker(node) for node in plain[1:]]
        self.producer, self.node = acked_nodes(self.cluster, 2, "nats_replicas = 3\nnats_stream = acked\nnats_subject = acked")
        self.acked, self.done = AckedLoad(self.producer, 0.004), [AckedWorker(self.node), AckedWorker(self.producer)]

    def counts(self):
        return sum(len(worker.got) for worker in self.workers), len(self.acked.acked), sum(len(worker.got) for worker in self.done)

    def goes_on(self, what, seconds=40):
        """Everybody gets something new."""
        before, began = self.counts(), time.monotonic()
        zb.wait_until(lambda: all(now > then + 100 for now, then in zip(self.counts(), before)), seconds, f"messages after {what}")
        print(f"# {what}: {time.monotonic() - began:.1f} s until all went on; {len(self.acked.acked)} were ok", flush=True)

    def is_led_and_goes_on(self, what, seconds=40):
        """False: nobody leads a stream or its consumer, as servers of 2.9 may leave it. If somebody does, zbroker has to go on."""
        try:
            self.goes_on(what, seconds)
        except AssertionError:
            if not self.cluster.is_led(*STREAMS):
                self.unled += 1
                print(f"# {what}: the servers have elected nobody: {self.cluster.about(*STREAMS)}", flush=True)
                return False
            self.goes_on(f"{what}, and an election")
        return True

    def goes_on_after_all(self, what):
        if not self.is_led_and_goes_on(what):
            self.cluster.restart()
            self.goes_on("a restart of all servers")

    def rest(self):
        try:
            zb.wait_until(lambda: self.cluster.is_whole(*STREAMS), 20, "a whole cluster")
        except AssertionError:
            print(f"# the servers do not catch up with each other: {self.cluster.about(*STREAMS)}", flush=True)
            self.cluster.restart()
            zb.wait_until(lambda: self.cluster.is_whole(*STREAMS), 20, "a whole cluster after a restart")
        self.goes_on_after_all("nothing")

    def kill(self, stream):
        """One server at a time: those that are left have to be a majority that knows everything."""
        self.rest()
        leader = self.cluster.leader(stream)
        leader.kill()
        self.is_led_and_goes_on(f"a kill of the leader of {stream}", 10)
        leader.start()
        self.goes_on_after_all(f"the return of the leader of {stream}")
        self.producer.daemon.kill()
        self.producer.restart()
        self.done[0].die()
        self.goes_on("a kill of a broker and of a worker")

    def play(self):
        for i in range(KILLS):
            self.kill(STREAMS[i % 2])
        self.rest()
        self.sent, self.put = self.load.stop(), self.acked.stop()
        check_all(self.workers, self.sent)
        zb.wait_for_count(lambda: len(self.numbers()), self.put, 40, "messages done")
        for worker in self.done:
            worker.stop()
        print(f"# {KILLS} kills each; {len(self.acked.acked)} of {self.put} were ok; the servers elected nobody {self.unled} times", flush=True)

    def numbers(self):
        return {number for worker in self.done for number, _ in list(worker.got)}


scene = None


def played():
    global scene
    if not scene:
        scene = Scene()
        scene.play()
    assert scene.put is not None, "it was not played to its end"
    return scene


@zb.limit(120 + 60 * KILLS)
def test_nothing_is_lost_when_the_leader_of_a_cluster_is_killed_under_load():
    played()  # it has looked at that


def test_nothing_that_was_acknowledged_is_lost_when_servers_brokers_and_workers_are_killed():
    seen = played()
    assert seen.acked.acked == set(range(seen.put))
    assert seen.numbers() == seen.acked.acked


def again(*workers):
    """The TRIES of each message that came more than once."""
    tries = {}
    for worker in workers:
        for number, tried in worker.got:
            tries.setdefault(number, []).append(tried)
    return [sorted(each) for each in tries.values() if len(each) > 1]


def test_what_comes_twice_to_an_acknowledged_worker_says_so():
    here, others = played().done
    assert all(each[1] > 1 for each in again(here)), again(here)
    # A server that is killed may take with it how often it has given out what another node has.
    silent = [each for each in again(here, others) if each[1] == 1]
    print(f"# {len(again(here, others))} came again, {len(silent)} of them without saying so", flush=True)
    assert len(silent) <= KILLS * (here.credit + others.credit)


def test_a_producer_is_never_held_up_for_longer_than_its_store_takes():
    longest = played().load.longest
    zb.at_once("the longest that one message was held up", longest, 1)


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Streams that have replicas on a cluster: what its servers forget, and what they must not be asked to remember."""

import base64
import os
import shutil

import natsserver
import zb
import zmq
from natsnode import acked_nodes, ask, nodes

STREAM = "zbroker_r"


def stop_all(cluster):
    for server in cluster.servers:
        server.kill()


def start_all(cluster):
    for server in cluster.servers:
        server.start()


def asked(cluster, what, **body):
    """None: there is no leader now."""
    try:
        with cluster.client() as client:
            return client.api(what, **body)
    except (OSError, AssertionError):
        return None


def messages(cluster):
    return (asked(cluster, f"STREAM.INFO.{STREAM}") or {}).get("state", {}).get("messages")


def headers(cluster, number):
    found = asked(cluster, f"STREAM.MSG.GET.{STREAM}", seq=number)["message"]
    return dict(line.split(": ") for line in base64.b64decode(found["hdrs"]).decode().split("\r\n")[1:] if line)


def put_while_away(cluster, node):
    """One message, which waits on the disk until zbroker and the servers have been killed and are back."""
    stop_all(cluster)
    node.daemon.wait_log("event=nats-away")
    producer = node.peer(zmq.DEALER, node.acks)
    producer.send_multipart([b"", b"1", b"x"])
    zb.wait_until(lambda: node.stored() == 1)
    node.daemon.kill()
    node.restart()
    start_all(cluster)
    zb.wait_until(lambda: messages(cluster) == 1, 40)


def check_second_time(replicas, header, tries, more=""):
    """A message that may be in the stream already comes there by this header, and to a worker with so many TRIES."""
    cluster = natsserver.Cluster()
    node, = acked_nodes(cluster, 1, f"nats_replicas = {replicas}\n{more}")
    put_while_away(cluster, node)
    assert set(headers(cluster, 1)) == {header}, headers(cluster, 1)
    job, tried, body = ask(node.peer(zmq.REQ, node.workers), b"ready")
    assert (tried, body) == (tries, b"x")


def test_a_work_queue_with_replicas_gets_no_message_id_twice():
    check_second_time(3, "Zbroker-Again", 2)


def test_a_message_that_a_work_queue_may_have_twice_is_tried_once_at_least():
    check_second_time(3, "Zbroker-Again", 1, "max_tries = 1")


def test_a_work_queue_on_one_server_knows_a_message_by_its_id():
    check_second_time(1, "Nats-Msg-Id", 1)


class Past:
    """What the servers of a cluster have on their disks now."""

    def __init__(self, cluster):
        self.cluster = cluster
        stop_all(cluster)
        for server in cluster.servers:
            shutil.copytree(self.folder(server), self.folder(server) + ".past")
        start_all(cluster)

    def folder(self, server):
        return os.path.join(server.folder, server.name)

    def come_back(self):
        stop_all(self.cluster)
        for server in self.cluster.servers:
            shutil.rmtree(self.folder(server))
            shutil.move(self.folder(server) + ".past", self.folder(server))
        start_all(self.cluster)


class Forgetful:
    """A node, and a cluster that has had messages 0 to 19, forgets those from 10 on, and then takes in 20."""

    def __init__(self, kind):
        self.cluster = natsserver.Cluster()
        self.node, = nodes(kind, self.cluster, 1, "nats_replicas = 3")
        self.producer = self.node.front()
        zb.wait_until(lambda: self.node.stats()["frontend"]["connections"] == 1)

    def put(self, numbers):
        """Until the stream has them."""
        for number in numbers:
            self.producer.send(b"%d" % number)
        zb.wait_until(lambda: messages(self.cluster) == numbers[-1] + 1 and self.node.stored() == 0, 40)

    def play(self):
        self.put(range(10))
        past = Past(self.cluster)
        self.put(range(10, 20))
        past.come_back()
        self.put(range(20, 21))
        self.node.daemon.wait_log("the servers have forgotten what they had acknowledged from message 11 on")


def test_what_a_cluster_forgets_is_published_again():
    scene = Forgetful("streamer")
    scene.play()
    worker = scene.node.back()
    assert sorted(int(worker.recv()) for _ in range(21)) == list(range(21))


def test_subscribers_get_what_follows_on_what_a_cluster_has_forgotten():
    scene = Forgetful("forwarder")
    subscriber = scene.node.back("")
    zb.wait_until(lambda: scene.node.stats()["subscriptions"] == 1)
    scene.play()
    got = []
    while 20 not in got:
        got.append(int(subscriber.recv()))
    assert got[:21] == list(range(21))


zb.main()

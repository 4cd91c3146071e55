# SPDX-License-Identifier: MPL-2.0
"""Streams that have replicas on a cluster: what their servers must not be asked to remember."""

import base64

import natsserver
import zb
import zmq
from natsnode import acked_nodes, ask

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


def check_second_time(replicas, header, tries):
    """A message that may be in the stream already comes there by this header, and to a worker with so many TRIES."""
    cluster = natsserver.Cluster()
    node, = acked_nodes(cluster, 1, f"nats_replicas = {replicas}")
    put_while_away(cluster, node)
    assert set(headers(cluster, 1)) == {header}, headers(cluster, 1)
    job, tried, body = ask(node.peer(zmq.REQ, node.workers), b"ready")
    assert (tried, body) == (tries, b"x")


def test_a_work_queue_with_replicas_gets_no_message_id_twice():
    check_second_time(3, "Zbroker-Again", 2)


def test_a_work_queue_on_one_server_knows_a_message_by_its_id():
    check_second_time(1, "Nats-Msg-Id", 1)


zb.main()

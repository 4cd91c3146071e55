# SPDX-License-Identifier: MPL-2.0
"""One route on several machines: streamers and forwarders that share a stream on NATS servers."""

import re
import shutil
import signal
import time

import natsserver
import zb
import zmq
from natsnode import Load, Node, Worker, acked_nodes, check_once, failed, nodes, recreated, upgraded

def rests_at(count):
    """A number that does not grow any more: the same after a while."""
    seen = []

    def rests():
        seen.append(count())
        time.sleep(0.1)
        return len(seen) > 5 and seen[-1] == seen[-6]
    zb.wait_until(rests)
    return seen[-1]


def hears(node, *topics):
    """A subscriber that the node has heard of."""
    before = node.stats()["subscriptions"] if "subscriptions" in node.stats() else None
    sub = node.back(*topics, rcvhwm=0)
    zb.wait_until(lambda: len(subscriptions(node)) >= 1, what=f"the subscription ({before} before)")
    return sub


def subscriptions(node):
    with zb.Control(node.daemon) as control:
        return control.json("show subscriptions r")["subscriptions"]


# --- streamers ------------------------------------------------------------------------------------------------------

SHAPES = [[b""], [b"x"], [b"", b""], [b"a", b"", b"c"], [b"y" * 255], [b"y" * 256], [b"y" * 300000], [b"\0\xff\r\n", b"z" * 70000]]


def test_a_message_reaches_a_worker_of_another_node_as_it_was_sent():
    a, b = nodes("streamer", natsserver.Server())
    producer, worker = a.front(), b.back()
    for message in SHAPES:
        producer.send_multipart(message)
    assert [worker.recv_multipart() for _ in SHAPES] == SHAPES


def test_each_message_goes_to_one_worker_of_any_node():
    three = nodes("streamer", natsserver.Server(), 3)
    workers = [node.back(rcvhwm=10) for node in three]
    producers = [node.front() for node in three]
    sent = [b"%d-%d" % (i, j) for i in range(1000) for j in range(3)]
    for message in sent:
        producers[int(message[-1:])].send(message)
    got = []
    poller = zmq.Poller()
    for worker in workers:
        poller.register(worker, zmq.POLLIN)
    while len(got) < len(sent):
        ready = poller.poll(20000 * zb.SLOW)
        assert ready, f"{len(got)} of {len(sent)}"
        got += [worker.recv() for worker, _ in ready]
    assert sorted(got) == sorted(sent)


def test_one_worker_gets_the_messages_of_a_node_in_order():
    a, b = nodes("streamer", natsserver.Server())
    producer, worker = a.front(), b.back()
    for i in range(5000):
        producer.send(b"%d" % i)
    assert [int(worker.recv()) for _ in range(5000)] == list(range(5000))


def test_messages_wait_for_a_worker_of_any_node():
    a, b = nodes("streamer", natsserver.Server())
    producer = a.front()
    for i in range(100):
        producer.send(b"%d" % i)
    zb.wait_until(lambda: a.stats()["frontend"]["messages_received"] == 100)
    worker = b.back()
    assert [int(worker.recv()) for _ in range(100)] == list(range(100))


def test_a_node_whose_workers_are_full_leaves_the_messages_to_others():
    a, b = nodes("streamer", natsserver.Server(), more="backend_sndhwm = 1")
    full = a.back(rcvhwm=1, rcvbuf=4096)
    producer = a.front()
    large = b"x" * 100000
    for _ in range(200):
        producer.send(large)
    zb.wait_until(lambda: full.poll(0), what="its first message")
    worker = b.back(rcvhwm=1)
    got = 0
    while worker.poll(5000 * zb.SLOW):
        assert worker.recv() == large
        got += 1
        if got >= 150:
            break
    assert got >= 150, got


def test_what_a_killed_node_had_not_handed_over_goes_to_another():
    a, b = nodes("streamer", natsserver.Server(), more="backend_sndhwm = 1")
    large = [b"%d" % i + b"x" * 100000 for i in range(100)]
    full = b.back(rcvhwm=1, rcvbuf=4096)
    producer = a.front()
    for message in large:
        producer.send(message)
    zb.wait_until(lambda: full.poll(0), what="its first message")
    sent = rests_at(lambda: b.stats()["backend"]["messages_sent"] + b.stats()["backend"]["queued_messages"])
    b.daemon.kill()
    worker, got = a.back(), set()
    while len(got) < len(large) - sent:
        got.add(worker.recv())
    assert got <= set(large)


def test_a_message_of_another_client_of_nats_goes_to_a_worker():
    server = natsserver.Server()
    node, = nodes("streamer", server, 1)
    worker = node.back()
    with natsserver.Client(server) as client:
        assert b'"seq":1' in client.request("zbroker.r", b"hello")
        framed = {"Zbroker-Frames": "2"}
        assert b'"seq":2' in client.request("zbroker.r", b"\1\1a\0\1b", framed)
        for wrong in (b"", b"\0", b"\1\1a", b"\4\1a", b"\0\5abc", b"\0\1ab", b"\2\xff\xff\xff\xff\xff\xff\xff\xffa"):
            assert b'"seq":' in client.request("zbroker.r", wrong, framed)
        assert b'"seq":10' in client.request("zbroker.r", b"last")
    assert [worker.recv_multipart() for _ in range(3)] == [[b"hello"], [b"a", b"b"], [b"last"]]
    zb.wait_until(lambda: node.stats()["dropped"]["undeliverable"] == 7)


def test_a_message_larger_than_the_server_takes_is_dropped_and_counted():
    node, = nodes("streamer", natsserver.Server("max_payload: 64K"), 1)
    producer, worker = node.front(), node.back()
    for message in (b"first", b"x" * 65536, b"x" * 100000, b"last"):
        producer.send(message)
    assert [worker.recv() for _ in range(2)] == [b"first", b"last"]
    zb.wait_until(lambda: node.stats()["dropped"]["undeliverable"] == 2)


# --- forwarders -------------------------------------------------------------------------------------------------------

TOPICS = [b"prices", b"prices.EUR", b"", b".", b"..", b"a.", b".a", b"a b", b"*", b">", b"a.*.>", b"%", b"%25", b"~", b"$JS.API",
          b"\0", b"\xff\xfe", b"Z\xc3\xbcrich", b"\r\n", b"x" * 600, b"x" * 601, b"." * 300, b"\xff" * 400]


def test_any_topic_reaches_the_subscribers_of_all_nodes_once():
    both = nodes("forwarder", natsserver.Server())
    subs = [hears(node, b"") for node in both]
    pub = both[0].front()
    zb.wait_until(lambda: both[0].stats()["frontend"]["connections"] == 1)
    sent = [[topic, b"%d" % i] for i, topic in enumerate(TOPICS)] + [[topic] for topic in TOPICS]
    pub.send_multipart([b"warm", b"up"])
    for sub in subs:
        assert sub.recv_multipart() == [b"warm", b"up"]
    for message in sent:
        pub.send_multipart(message)
    for sub in subs:
        assert [sub.recv_multipart() for _ in sent] == sent


def test_a_subscriber_gets_what_it_asked_for():
    a, b = nodes("forwarder", natsserver.Server())
    sub = hears(b, b"prices.E", b"news")
    pub = a.front()
    zb.wait_until(lambda: a.stats()["frontend"]["connections"] == 1)
    for topic in (b"other", b"prices.EUR", b"prices.USD", b"news", b"prices.E"):
        pub.send(topic)
    assert [sub.recv() for _ in range(3)] == [b"prices.EUR", b"news", b"prices.E"]


def publish_and_wait(node, messages):
    pub = node.front()
    zb.wait_until(lambda: node.stats()["frontend"]["connections"] == 1)
    before = node.stats()["frontend"]["messages_received"]
    for message in messages:
        pub.send_multipart(message)
    zb.wait_until(lambda: node.stats()["frontend"]["messages_received"] == before + len(messages))
    return pub


def test_a_node_misses_nothing_while_the_server_is_away():
    server = natsserver.Server()
    a, b = nodes("forwarder", server)
    sub = hears(b, b"")
    pub = publish_and_wait(a, [])
    for _ in range(2):
        server.kill()
        a.daemon.wait_log("event=nats-away")
        for i in range(100):
            pub.send(b"%d" % i)
        server.start()
        assert [sub.recv() for _ in range(100)] == [b"%d" % i for i in range(100)]


def test_a_node_that_starts_later_has_the_last_values():
    server = natsserver.Server()
    more = "last_value = 100"
    a, = nodes("forwarder", server, 1, more)
    publish_and_wait(a, [[b"t%d" % (i % 5), b"%d" % i] for i in range(50)])
    b, = nodes("forwarder", server, 1, more)
    sub = b.back(b"")
    assert sorted(sub.recv_multipart() for _ in range(5)) == [[b"t%d" % i, b"%d" % (45 + i)] for i in range(5)]
    assert not sub.poll(100)


def test_a_node_that_starts_later_has_the_last_messages():
    server = natsserver.Server()
    more = "replay_messages = 10"
    a, = nodes("forwarder", server, 1, more)
    publish_and_wait(a, [[b"t", b"%d" % i] for i in range(50)])
    zb.wait_until(lambda: a.stored() == 0)
    b, = nodes("forwarder", server, 1, more)
    sub = b.back(b"")
    assert [sub.recv_multipart() for _ in range(10)] == [[b"t", b"%d" % i] for i in range(40, 50)]


def test_a_message_of_another_client_of_nats_reaches_subscribers():
    server = natsserver.Server()
    node, = nodes("forwarder", server, 1)
    sub = hears(node, b"")
    with natsserver.Client(server) as client:
        assert b'"seq":1' in client.request("zbroker.r.prices.EUR", b"1.17")
        framed = {"Zbroker-Frames": "2"}
        for subject, payload, headers in (("zbroker.r.a", b"\0\1b", framed),  # the topic of another subject
                                          ("zbroker.r.%41", b"x", None),      # one that we would write as A
                                          ("zbroker.r.~00", b"x", None)):
            assert b'"seq":' in client.request(subject, payload, headers)
        assert b'"seq":5' in client.request("zbroker.r.a%20b", b"\1\3a b\0\1x", framed)
    assert [sub.recv_multipart() for _ in range(2)] == [[b"prices.EUR", b"1.17"], [b"a b", b"x"]]
    zb.wait_until(lambda: node.stats()["dropped"]["undeliverable"] == 3)


def test_rights_hold_for_what_comes_from_the_stream():
    """Live, and remembered; the node where a message comes in asks who may publish it."""
    server = natsserver.Server()
    acls = [zb.write(f"{zb.folder()}/acl", text) for text in ("topic write open/#\ntopic write secret/#\n", "topic read open/#\n")]
    a, b = (Node("forwarder", server, f"replay_messages = 10\n{side}_acl = {acl}").ready() for side, acl in zip(("frontend", "backend"), acls))
    sub = hears(b, b"")
    messages = [b"other/1", b"secret/1", b"open/1", b"secret/2", b"open/2"]
    publish_and_wait(a, [[message] for message in messages])
    assert [sub.recv() for _ in range(2)] == [b"open/1", b"open/2"]
    late = hears(b, b"")
    assert [late.recv() for _ in range(2)] == [b"open/1", b"open/2"]
    assert a.stats()["dropped"]["acl"] == 1


# --- servers that go away --------------------------------------------------------------------------------------------------

def test_messages_wait_for_the_server_and_each_arrives_once():
    server = natsserver.Server()
    a, b = nodes("streamer", server)
    producer, worker = a.front(), b.back()
    producer.send(b"first")
    assert worker.recv() == b"first"
    zb.wait_until(lambda: a.stored() == 0)
    server.kill()
    a.daemon.wait_log("event=nats-away")
    for i in range(1000):
        producer.send(b"%d" % i)
    zb.wait_until(lambda: a.stored() == 1000)
    assert "nats: not connected, 1000 waiting" in a.daemon.ctl("show", "store").stdout
    assert re.search(r"nats: not connected, 1000 waiting: \S", a.daemon.ctl("show", "store").stdout)
    assert "its stream is away" in a.daemon.ctl("status").stdout
    assert re.search(f"{server.url}: not connected for \\d+ s: \\S", a.daemon.ctl("status").stdout), a.daemon.ctl("status").stdout
    server.start()
    assert [int(worker.recv()) for _ in range(1000)] == list(range(1000))
    assert not worker.poll(100)
    zb.wait_until(lambda: f"nats: connected to {server.url}, 0 waiting" in a.daemon.ctl("show", "store").stdout)


def test_a_route_starts_without_a_server():
    server = natsserver.Server()
    server.kill()
    node = Node("streamer", server)
    producer, worker = node.front(), node.back()
    producer.send(b"early")
    node.daemon.wait_log("event=nats-away")
    server.start()
    assert worker.recv() == b"early"


def test_what_waits_for_the_server_survives_a_kill_of_zbroker():
    server = natsserver.Server()
    a, b = nodes("streamer", server)
    server.kill()
    a.daemon.wait_log("event=nats-away")
    producer = a.front()
    for i in range(1000):
        producer.send(b"%d" % i)
    zb.wait_until(lambda: a.stored() == 1000)
    a.daemon.kill()
    a.restart()
    server.start()
    worker = b.back()
    assert [int(worker.recv()) for _ in range(1000)] == list(range(1000))
    assert not worker.poll(100)


def test_it_goes_to_the_next_server_when_one_is_away():
    cluster = natsserver.Cluster()
    node = Node("streamer", cluster, "nats_replicas = 3").ready()
    producer, worker = node.front(), node.back()
    at = next(server for server in cluster.servers if f"connected to {server.url}," in node.daemon.ctl("show", "store").stdout)
    at.kill()
    producer.send(b"x")
    assert worker.recv() == b"x"
    assert f"connected to {at.url}," not in node.daemon.ctl("show", "store").stdout


def test_a_full_stream_makes_messages_wait():
    server = natsserver.Server()
    node, = nodes("streamer", server, 1, "store_max = 1M")
    producer = node.front()
    for i in range(300):
        producer.send(b"%d " % i + b"x" * 5000)
    zb.wait_until(lambda: node.stats()["frontend"]["messages_received"] == 300)
    assert rests_at(node.stored) > 50, "not all are in the stream"
    worker = node.back()
    assert [int(worker.recv().split()[0]) for _ in range(300)] == list(range(300))
    zb.wait_until(lambda: node.stored() == 0)


def test_a_full_stream_of_a_forwarder_drops_its_oldest_messages():
    server = natsserver.Server()
    a, = nodes("forwarder", server, 1, "store_max = 1M\nreplay_messages = 1000")
    publish_and_wait(a, [[b"t", b"%d " % i + b"x" * 5000] for i in range(300)])
    zb.wait_until(lambda: a.stored() == 0)
    b, = nodes("forwarder", server, 1, "replay_messages = 1000")
    sub, got = b.back(b""), []
    while not got or got[-1] < 299:
        got.append(int(sub.recv_multipart()[1].split()[0]))
    assert got == list(range(got[0], 300)) and 50 < got[0] < 250, got


def test_a_server_that_has_forgotten_how_far_its_stream_had_counted_gives_out_what_comes():
    server = natsserver.Server()
    node, = nodes("streamer", server, 1)
    producer, worker = node.front(), node.back()
    for i in range(100):
        producer.send(b"%d" % i)
    assert [int(worker.recv()) for _ in range(100)] == list(range(100))
    with natsserver.Client(server) as client:
        zb.wait_until(lambda: client.api("STREAM.INFO.zbroker_r")["state"]["messages"] == 0)
    server.stop()
    node.daemon.wait_log("event=nats-away")
    shutil.rmtree(server.stream_folder("zbroker_r") + "/msgs")
    server.start()
    producer.send(b"after")
    assert worker.recv() == b"after"


def test_a_message_that_the_server_takes_in_again_goes_to_no_second_worker():
    server = natsserver.Server()
    node, = nodes("streamer", server, 1)
    worker = node.back()

    def publish(number):
        with natsserver.Client(server) as client:
            assert b'"seq":%d' % number in client.request("zbroker.r", b"%d" % number, {"Nats-Msg-Id": "x"})
            zb.wait_until(lambda: client.api("STREAM.INFO.zbroker_r")["state"]["messages"] == 0)

    publish(1)
    server.kill()
    server.start()
    publish(2)  # what has left the stream is not known any more
    with natsserver.Client(server) as client:
        assert b'"seq":3' in client.request("zbroker.r", b"last")
    assert [worker.recv() for _ in range(2)] == [b"1", b"last"]


# --- acknowledged producers ---------------------------------------------------------------------------------------------------

def test_ok_comes_when_the_stream_has_the_message():
    server = natsserver.Server("max_payload: 64K")
    a, b = acked_nodes(server)
    producer, worker = a.peer(zmq.REQ, a.acks), b.back()
    for number in (b"1", b"1", b"2"):
        producer.send_multipart([number, b"body", number])
        assert producer.recv_multipart() == [number, b"ok"]
    assert [worker.recv_multipart() for _ in range(2)] == [[b"body", b"1"], [b"body", b"2"]]
    producer.send_multipart([b"3", b"x" * 65536])
    assert producer.recv_multipart() == [b"3", b"refused"]
    server.kill()
    a.daemon.wait_log("event=nats-away")
    producer.send_multipart([b"4", b"waits"])
    zb.wait_until(lambda: a.stored() == 1)
    assert not producer.poll(300)
    server.start()
    assert producer.recv_multipart() == [b"4", b"ok"]
    assert worker.recv() == b"waits"
    assert not worker.poll(100)


# --- what cannot be ----------------------------------------------------------------------------------------------------------

STREAM = {"name": "zbroker_r", "subjects": ["zbroker.r"], "retention": "workqueue", "storage": "file", "num_replicas": 1}
MISFITS = [
    ({"subjects": ["other"]}, "it does not take the subject"),
    ({"retention": "limits"}, "its retention is not workqueue"),
    ({"no_ack": True}, "it acknowledges nothing"),
    ({"duplicate_window": 10 ** 9}, "its duplicate window is shorter than 2 minutes"),
]


def test_a_stream_that_does_not_fit_fails_the_route_and_is_not_changed():
    server = natsserver.Server()
    with natsserver.Client(server) as client:
        for change, reason in MISFITS:
            assert "error" not in client.api("STREAM.CREATE.zbroker_r", **dict(STREAM, **change))
            before = client.api("STREAM.INFO.zbroker_r")["config"]
            node = Node("streamer", server)
            failed(node, f"stream zbroker_r does not fit: {reason}")
            assert client.api("STREAM.INFO.zbroker_r")["config"] == before
            node.daemon.stop()
            assert client.api("STREAM.DELETE.zbroker_r")["success"]


# --- life ----------------------------------------------------------------------------------------------------------------------

def test_a_stop_waits_until_the_stream_has_everything():
    server = natsserver.Server()
    a, b = nodes("streamer", server)
    producer = a.front()
    for i in range(2000):
        producer.send(b"%d" % i)
    zb.wait_until(lambda: a.stats()["frontend"]["messages_received"] == 2000)
    assert a.daemon.stop() == 0, a.daemon.log()
    worker = b.back()
    assert [int(worker.recv()) for _ in range(2000)] == list(range(2000))


def test_what_a_stopped_node_had_not_handed_over_goes_on_when_it_is_back():
    a, b = nodes("streamer", natsserver.Server(), more="backend_sndhwm = 30")
    large = [b"%d " % i + b"x" * 100000 for i in range(100)]
    full = b.back(rcvhwm=1, rcvbuf=4096)
    zb.wait_until(lambda: b.stats()["backend"]["connections"] == 1)
    producer = a.front()
    for message in large:
        producer.send(message)
    zb.wait_until(lambda: b.stats()["backend"]["queued_messages"] == 30)
    sent = rests_at(lambda: b.stats()["backend"]["messages_sent"])
    b.daemon.send(signal.SIGTERM)
    b.daemon.wait_log("event=stopping")
    b.daemon.send(signal.SIGTERM)
    b.daemon.wait()
    full.close()
    worker, got = a.back(rcvhwm=10), set()
    zb.wait_until(lambda: a.stats()["backend"]["connections"] == 1)
    b.restart()
    while len(got) < len(large) - sent - 1:  # one was half sent
        got.add(int(worker.recv().split()[0]))


def test_a_paused_route_hands_nothing_over():
    a, b = nodes("streamer", natsserver.Server())
    worker = b.back()
    assert b.daemon.ctl("pause", "r").returncode == 0
    producer = a.front()
    producer.send(b"x")
    zb.wait_until(lambda: a.stats()["frontend"]["messages_received"] == 1)
    assert not worker.poll(500)
    assert b.daemon.ctl("resume", "r").returncode == 0
    assert worker.recv() == b"x"


def test_a_route_can_be_given_a_stream_by_a_reload():
    server = natsserver.Server()
    node = Node("streamer", server)
    with_stream = node.ini
    node.ready()
    zb.write(node.daemon.file, with_stream.replace("store = nats", "store = off").replace("nats = ", "; nats = "))
    assert node.daemon.ctl("reload").returncode == 0
    producer, worker = node.front(), node.back()
    producer.send(b"alone")
    assert worker.recv() == b"alone"
    zb.write(node.daemon.file, with_stream)
    assert node.daemon.ctl("reload").returncode == 0
    producer.send(b"shared")
    assert worker.recv() == b"shared"


@zb.limit(120)
def test_upgrades_and_a_route_that_is_recreated_lose_and_double_nothing():
    node, = nodes("streamer", natsserver.Server(), 1)
    worker, load = Worker(node), Load(node, 0.001)
    for number, change in enumerate((upgraded, upgraded, recreated, upgraded)):
        zb.wait_for_count(lambda: len(worker.got), 300 * (number + 1), what="messages before the next change")
        change(node, 2)
    check_once([worker], load.stop())
    assert worker.got == sorted(worker.got)


@zb.limit(120)
def test_a_subscriber_gets_each_message_once_over_upgrades():
    server = natsserver.Server()
    for remembers in ("", "replay_messages = 100000", "last_value = 1000"):
        node, far = (Node("forwarder", server, f"backend_sndhwm = 0\nnats_stream = s{len(remembers)}\nnats_subject = s{len(remembers)}\n{remembers}").ready()
                     for _ in range(2))
        early, publisher = hears(node, b""), publish_and_wait(far, [])
        for number in range(300):
            publisher.send(b"%d" % number)
            if number % 100 == 50:
                upgraded(node, 1)
        got = [early.recv() for _ in range(300)]
        assert got == [b"%d" % number for number in range(300)], (remembers, got)
        late = node.back(b"")
        if remembers:
            assert sorted(int(late.recv()) for _ in range(300)) == list(range(300))
        for daemon in (node.daemon, far.daemon):
            daemon.kill()


zb.main()

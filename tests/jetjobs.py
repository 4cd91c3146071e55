# SPDX-License-Identifier: MPL-2.0
"""Workers that acknowledge what they get from a stream on a NATS server."""

import signal

import zmq

import natsserver
import zb
from natsnode import AckedLoad, AckedWorker, Node, acked_nodes, ask, failed, job_of, recreated, upgraded


def put(node, *bodies):
    producer = node.peer(zmq.REQ, node.acks)
    for body in bodies:
        producer.send_multipart([b"", body])
        assert producer.recv_multipart() == [b"", b"ok"]
    producer.close()


def jobs(node):
    return node.stats()["jobs"]


def consumer(server):
    with natsserver.Client(server) as client:
        return client.api("CONSUMER.INFO.zbroker_r.zbroker")


def left_in(server, stream="zbroker_r"):
    with natsserver.Client(server) as client:
        return client.api(f"STREAM.INFO.{stream}")["state"]["messages"]


def test_a_worker_of_another_node_gets_one_after_the_other_and_says_done():
    server = natsserver.Server()
    a, b = acked_nodes(server)
    put(a, b"one", b"two", b"three")
    worker = b.peer(zmq.REQ, b.workers)
    says = [b"ready"]
    for body in (b"one", b"two", b"three"):
        job, tries, got = ask(worker, *says)
        assert (tries, got) == (1, body)
        says = [b"done", job]
    worker.send_multipart(says)
    zb.wait_until(lambda: left_in(server) == 0)
    assert jobs(b)["given"] == jobs(b)["done"] == 3 and jobs(b)["again"] == 0
    assert not worker.poll(100)


def test_a_message_is_in_the_stream_until_its_worker_is_done():
    server = natsserver.Server()
    a, b = acked_nodes(server)
    put(a, b"x")
    worker = b.peer(zmq.REQ, b.workers)
    job, _, _ = ask(worker, b"ready")
    assert left_in(server) == 1
    worker.send_multipart([b"done", job])
    zb.wait_until(lambda: left_in(server) == 0)


def test_a_worker_has_as_many_as_its_credit_and_leaves_the_rest_to_other_nodes():
    a, b = acked_nodes(natsserver.Server())
    put(a, *[b"%d" % i for i in range(20)])
    slow, quick = (node.peer(zmq.DEALER, node.workers) for node in (a, b))
    slow.send_multipart([b"", b"ready", b"3"])
    mine = [job_of(slow.recv_multipart()[1:]) for _ in range(3)]
    assert not slow.poll(100)
    quick.send_multipart([b"", b"ready", b"100"])
    others = [job_of(quick.recv_multipart()[1:]) for _ in range(17)]
    assert sorted(int(body) for _, _, body in mine + others) == list(range(20))
    assert {tries for _, tries, _ in mine + others} == {1}


def test_a_worker_that_is_gone_before_its_message_comes_costs_no_try():
    server = natsserver.Server()
    a, b = acked_nodes(server, more="max_tries = 1")
    for node in (a, b):
        gone = node.peer(zmq.DEALER, node.workers)
        gone.send_multipart([b"", b"ready", b"10"])
        zb.wait_until(lambda: consumer(server)["num_waiting"] > 0)
        gone.close()
        zb.wait_until(lambda: not node.clients("worker_ack"))
    put(a, *[b"%d" % i for i in range(20)])
    worker = b.peer(zmq.DEALER, b.workers)
    worker.send_multipart([b"", b"ready", b"100"])
    got = [job_of(worker.recv_multipart()[1:])[1:] for _ in range(20)]
    assert sorted(got) == sorted((1, b"%d" % i) for i in range(20))
    assert jobs(a)["expired"] == jobs(b)["expired"] == 0


def test_retry_gives_it_to_any_node_and_counts_the_try():
    a, b = acked_nodes(natsserver.Server())
    put(a, b"x")
    first = a.peer(zmq.DEALER, a.workers)
    first.send_multipart([b"", b"ready"])
    job, tries, _ = job_of(first.recv_multipart()[1:])
    assert tries == 1
    other = b.peer(zmq.DEALER, b.workers)
    other.send_multipart([b"", b"ready", b"10"])
    zb.wait_until(lambda: len(b.clients("worker_ack")) == 1)
    first.send_multipart([b"", b"retry", job])
    poller = zmq.Poller()
    for each in (first, other):
        poller.register(each, zmq.POLLIN)
    (worker, _), = poller.poll(10000 * zb.SLOW)
    assert job_of(worker.recv_multipart()[1:])[1:] == (2, b"x")


def test_a_worker_that_is_gone_or_late_leaves_its_message_to_another_node():
    server = natsserver.Server()
    a, b = acked_nodes(server, more="ack_timeout = 300ms")
    put(a, b"x")
    gone = a.peer(zmq.REQ, a.workers)
    ask(gone, b"ready")
    gone.close()
    late = b.peer(zmq.REQ, b.workers)
    assert ask(late, b"ready")[1:] == (2, b"x")
    zb.wait_until(lambda: jobs(b)["timeout"] == 1)
    worker = a.peer(zmq.REQ, a.workers)
    job, tries, body = ask(worker, b"ready")
    assert (tries, body) == (3, b"x")
    worker.send_multipart([b"done", job])
    zb.wait_until(lambda: left_in(server) == 0)


def test_a_message_is_kept_for_a_worker_that_takes_longer_than_the_stream_waits():
    server = natsserver.Server()
    a, b = acked_nodes(server)
    put(a, b"x")
    worker, other = (node.peer(zmq.REQ, node.workers) for node in (a, b))
    job, _, _ = ask(worker, b"ready")
    other.send(b"ready")
    assert not other.poll(12000), "after 10 seconds the stream gives out what nobody keeps"
    worker.send_multipart([b"done", job])
    zb.wait_until(lambda: left_in(server) == 0)


def test_what_a_killed_node_had_given_out_comes_again_and_says_so():
    a, b = acked_nodes(natsserver.Server())
    put(a, b"x")
    worker = b.peer(zmq.REQ, b.workers)
    ask(worker, b"ready")
    b.daemon.kill()
    another = a.peer(zmq.REQ, a.workers)
    assert ask(another, b"ready")[1:] == (2, b"x")


def test_what_was_tried_too_often_is_dropped_and_counted():
    server = natsserver.Server()
    a, = acked_nodes(server, 1, "max_tries = 2")
    put(a, b"x")
    worker = a.peer(zmq.REQ, a.workers)
    job, tries, _ = ask(worker, b"ready")
    assert tries == 1
    job, tries, _ = ask(worker, b"retry", job)
    assert tries == 2
    worker.send_multipart([b"retry", job])
    zb.wait_until(lambda: left_in(server) == 0)
    put(a, b"y")
    job, tries, body = job_of(worker.recv_multipart())
    assert (tries, body) == (1, b"y")
    worker.send_multipart([b"reject", job])
    zb.wait_until(lambda: left_in(server) == 0)
    assert jobs(a)["expired"] == 2 and a.stats()["dropped"]["expired"] == 2
    with zb.Control(a.daemon) as control:
        store, = control.json("show store")["stores"]
    assert store["jobs"] == {"given": 3, "unacked": 0, "again": 1, "dead": 2}, store
    table = a.daemon.ctl("show", "store").stdout.split("\n")
    assert table[0].split()[5:9] == ["GIVEN", "UNACKED", "AGAIN", "DEAD"] and table[1].split()[5:9] == ["3", "0", "1", "2"], table


def test_dead_letters_go_to_a_streamer_of_this_machine():
    server = natsserver.Server()
    letters, back = zb.free_ports(2)
    a, = acked_nodes(server, 1, f"""dead_letter = problems
[route problems]
type = streamer
engine = wire
store = all
store_dir = {zb.folder()}/store
ack_bind = tcp://127.0.0.1:{letters}
backend_bind = tcp://127.0.0.1:{back}
""")
    put(a, b"x")
    worker = a.peer(zmq.REQ, a.workers)
    job, _, _ = ask(worker, b"ready")
    worker.send_multipart([b"reject", job])
    assert a.peer(zmq.PULL, back).recv() == b"x"
    zb.wait_until(lambda: left_in(server) == 0)
    assert jobs(a)["dead_letter"] == 1


def test_plain_and_acknowledged_workers_of_a_node_take_turns():
    server = natsserver.Server()
    a, b = acked_nodes(server)
    plain = b.peer(zmq.PULL, b.backend, rcvhwm=1000)
    worker = b.peer(zmq.DEALER, b.workers)
    worker.send_multipart([b"", b"ready", b"1000"])
    zb.wait_until(lambda: b.clients("worker_ack") and b.clients("backend"))
    put(a, *[b"%d" % i for i in range(100)])
    got, poller = {plain: [], worker: []}, zmq.Poller()
    for each in got:
        poller.register(each, zmq.POLLIN)
    while sum(map(len, got.values())) < 100:
        for each, _ in poller.poll(10000 * zb.SLOW):
            got[each].append(each.recv_multipart())
    assert all(len(each) >= 30 for each in got.values()), {len(each) for each in got.values()}
    for _, job, _, _ in got[worker]:
        worker.send_multipart([b"", b"done", job])
    zb.wait_until(lambda: left_in(server) == 0)


def test_what_is_done_while_the_server_is_away_does_not_come_again():
    server = natsserver.Server()
    a, = acked_nodes(server, 1)
    put(a, b"x", b"y")
    worker = a.peer(zmq.REQ, a.workers)
    job, _, _ = ask(worker, b"ready")
    server.kill()
    a.daemon.wait_log("event=nats-away")
    worker.send_multipart([b"done", job])
    zb.wait_until(lambda: jobs(a)["done"] == 1)
    server.start()
    job, _, body = job_of(worker.recv_multipart())
    assert body == b"y"
    worker.send_multipart([b"done", job])
    zb.wait_until(lambda: left_in(server) == 0)
    assert not worker.poll(100)


def test_a_node_that_stops_gives_back_what_its_workers_have():
    a, b = acked_nodes(natsserver.Server())
    put(a, b"x")
    worker, other = (node.peer(zmq.REQ, node.workers) for node in (a, b))
    ask(worker, b"ready")
    a.daemon.send(signal.SIGTERM)
    a.daemon.wait_log("event=stopping")
    a.daemon.send(signal.SIGTERM)  # waits for nobody any more
    a.daemon.wait()
    assert ask(other, b"ready")[1:] == (2, b"x")


CONSUMER = {"durable_name": "zbroker", "ack_policy": "explicit", "ack_wait": 10 ** 10, "max_deliver": -1}
MISFITS = [
    ({"max_deliver": 3}, "it gives up a message that was given out too often"),
    ({"ack_wait": 10 ** 9}, "it waits for an acknowledgement for less than 10 seconds"),
]


def say(worker, *words):
    worker.send_multipart([b"", *words])


def test_upgrades_and_a_route_that_is_recreated_keep_who_has_which_message():
    server = natsserver.Server()
    node, = acked_nodes(server, 1)
    put(node, b"one", b"two", b"three", b"four")
    worker, other, producer = (node.peer(zmq.DEALER, node.workers), node.peer(zmq.REQ, node.workers), node.peer(zmq.REQ, node.acks))
    say(worker, b"ready", b"2")
    held = [job_of(worker.recv_multipart()[1:]) for _ in range(2)]
    job, _, body = ask(other, b"ready")
    assert [body for _, _, body in held] + [body] == [b"one", b"two", b"three"]
    for change in (upgraded, recreated, upgraded):
        change(node, 3)
    say(worker, b"done", held[0][0])
    assert job_of(worker.recv_multipart()[1:])[1:] == (1, b"four")
    say(worker, b"retry", held[1][0])
    assert job_of(worker.recv_multipart()[1:])[1:] == (2, b"two")
    other.send_multipart([b"done", job])
    zb.wait_until(lambda: left_in(server) == 2, what="two messages that are done")
    producer.send_multipart([b"", b"five"])
    assert producer.recv_multipart() == [b"", b"ok"]
    assert other.recv_multipart()[1:] == [b"1", b"five"]
    assert jobs(node)["refused"] == jobs(node)["lost"] == 0


def test_a_message_that_is_held_over_an_upgrade_is_kept_longer_than_the_stream_waits():
    server = natsserver.Server()
    node, idle = acked_nodes(server)
    put(node, b"slow")
    worker, waits = node.peer(zmq.REQ, node.workers), idle.peer(zmq.REQ, idle.workers)
    job, _, _ = ask(worker, b"ready")
    upgraded(node, 1)
    waits.send_multipart([b"ready"])
    assert not waits.poll(11000), "another worker has got it"
    worker.send_multipart([b"done", job])
    zb.wait_until(lambda: left_in(server) == 0)


@zb.limit(120)
def test_upgrades_under_load_lose_and_double_no_acknowledged_message():
    node, = acked_nodes(natsserver.Server(), 1)
    load, workers = AckedLoad(node, 0.001), [AckedWorker(node) for _ in range(2)]
    got = lambda: sum(len(worker.got) for worker in workers)
    for number in range(4):
        zb.wait_for_count(got, 300 * (number + 1), what="messages before the next upgrade")
        upgraded(node, 3)
    sent = load.stop()
    zb.wait_for_count(lambda: len({body for worker in workers for body, _ in worker.got}), sent, 30, "messages")
    for worker in workers:
        worker.stop()
    firsts = [body for worker in workers for body, tries in worker.got if tries == 1]
    assert len(firsts) == len(set(firsts)), "one came twice without saying so"


def test_what_was_done_without_a_server_before_an_upgrade_does_not_come_again():
    server = natsserver.Server()
    node, = acked_nodes(server, 1)
    put(node, b"one", b"two")
    acked = node.peer(zmq.REQ, node.workers)
    job, _, _ = ask(acked, b"ready")
    plain = node.back()
    assert plain.recv() == b"two"
    server.kill()
    node.daemon.wait_log("event=nats-away")
    acked.send_multipart([b"done", job])
    zb.wait_until(lambda: jobs(node)["done"] == 1)
    upgraded(node, 2)
    server.start()
    zb.wait_until(lambda: left_in(server) == 0, 20, what="a stream that has heard of it")
    assert not plain.poll(100) and not acked.poll(100)


def test_what_a_producer_waits_for_comes_after_an_upgrade_without_a_server():
    server = natsserver.Server()
    node, = acked_nodes(server, 1)
    put(node, b"before")
    producer = node.peer(zmq.DEALER, node.acks)
    server.kill()
    node.daemon.wait_log("event=nats-away")
    for id in (b"1", b"2"):
        producer.send_multipart([b"", id, b"body " + id])
    zb.wait_until(lambda: node.stored() == 2, what="two messages on the disk")
    upgraded(node, 1)
    assert not producer.poll(100)
    server.start()
    for id in (b"1", b"2"):
        assert producer.recv_multipart() == [b"", id, b"ok"]
    assert left_in(server) == 3


def test_a_consumer_that_does_not_fit_fails_the_route():
    server, port = natsserver.Server(), zb.free_port()
    with natsserver.Client(server) as client:
        stream = {"name": "zbroker_r", "subjects": ["zbroker.r"], "retention": "workqueue", "storage": "file", "num_replicas": 1}
        assert "error" not in client.api("STREAM.CREATE.zbroker_r", **stream)
        for change, reason in MISFITS:
            made = client.api("CONSUMER.DURABLE.CREATE.zbroker_r.zbroker", stream_name="zbroker_r", config=dict(CONSUMER, **change))
            assert "error" not in made, made
            node = Node("streamer", server, f"worker_ack_bind = tcp://127.0.0.1:{port}")
            failed(node, f"consumer zbroker of stream zbroker_r does not fit: {reason}")
            node.daemon.stop()
            assert client.api("CONSUMER.DELETE.zbroker_r.zbroker")["success"]


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Every type of route on real traffic: what goes in comes out, in order, whole, and counted.

ZB_GENERATIONS is how often a queue starts again under a worker that holds old requests."""

import collections
import json
import os
import re
import signal
import socket
import time

import zmq
import zb

WAIT = zb.WAIT_MS
GENERATIONS = int(os.environ.get("ZB_GENERATIONS", "20"))


def endpoints(transport, count):
    """COUNT endpoints of a transport: tcp, ipc, or @ for abstract ipc."""
    if transport == "tcp":
        return [f"tcp://127.0.0.1:{port}" for port in zb.free_ports(count)]
    folder = zb.folder()
    return [f"ipc://{'@' if transport == '@' else ''}{folder}/{i}" for i in range(count)]


def route(name, kind, *lines):
    return f"[route {name}]\ntype = {kind}\n" + "".join(line + "\n" for line in lines)


def stats(daemon, name):
    answer = daemon.ctl("-j", "show", "stats", name)
    assert answer.returncode == 0, answer
    return json.loads(answer.stdout)["routes"][0]


def wait_stats(daemon, name, condition, what):
    """Statistics of a route as soon as CONDITION holds."""
    def look():
        found = stats(daemon, name)
        return found if condition(found) else None

    try:
        return zb.wait_until(look)
    except AssertionError:
        raise AssertionError(f"{what}: {stats(daemon, name)}") from None


def receive(socket, count):
    return [socket.recv_multipart() for _ in range(count)]


def nothing_more(socket):
    return socket.poll(50) == 0


def numbered(who, count):
    """Messages of three frames, the outer ones empty."""
    return [[b"", b"%s %d" % (who, i), b""] for i in range(count)]


# --- each type does what it is for ---------------------------------------------------------------------------------------

def one_way(peers, push, pull, frontend, backend, count=300):
    """Two senders, one receiver: all there, each sender's in order, frames as sent."""
    receiver = peers.open(pull, backend)
    senders = [peers.open(push, frontend) for _ in range(2)]
    if push == zmq.PUB:
        wait_for_subscription(senders, receiver)
    for message in zip(numbered(b"a", count), numbered(b"b", count)):
        for sender, frames in zip(senders, message):
            sender.send_multipart(frames)
    got = receive(receiver, 2 * count)
    for who in (b"a", b"b"):
        assert [m for m in got if m[1].startswith(who)] == numbered(who, count)
    assert nothing_more(receiver)


def wait_for_subscription(senders, receiver):
    """Until the receiver's subscription has reached every publisher: what is published before is nobody's."""
    for i, sender in enumerate(senders):
        wait_until_it_sees(receiver, lambda number: sender.send_multipart([b"sync", b"%d/%d" % (i, number)]), b"%d/" % i)


def wait_until_it_sees(reader, send, prefix=b""):
    """Call SEND with one number after the other until READER gets one, and wait for the last of them: nothing is left behind."""
    sent = 0
    last = None

    def take(milliseconds):
        nonlocal last
        while last != sent and reader.poll(milliseconds):
            text = reader.recv_multipart()[-1]
            if text.startswith(prefix):
                last = int(text[len(prefix):])
        return last is not None

    def came():
        nonlocal sent
        sent += 1
        send(sent)
        return take(20)

    zb.wait_until(came)
    take(WAIT)
    assert last == sent, (last, sent)


def both_ways(peers, kind, frontend, backend, count=300):
    left, right = peers.open(kind, frontend), peers.open(kind, backend)
    for one, other, who in ((left, right, b"down"), (right, left, b"up")):
        for frames in numbered(who, count):
            one.send_multipart(frames)
        assert receive(other, count) == numbered(who, count)
        assert nothing_more(other)


def requests(peers, frontend, backend, count=100):
    """Two clients, two workers; every answer to whom it belongs."""
    workers = [peers.open(zmq.DEALER, backend) for _ in range(2)]
    clients = [peers.open(zmq.DEALER, frontend) for _ in range(2)]
    for who, client in enumerate(clients):
        for frames in numbered(b"%d" % who, count):
            client.send_multipart(frames)
    poller = zmq.Poller()
    for worker in workers:
        poller.register(worker, zmq.POLLIN)
    answered = 0
    while answered < 2 * count:
        ready = poller.poll(WAIT)
        assert ready, f"only {answered} requests came"
        for worker, _ in ready:
            frames = worker.recv_multipart()
            worker.send_multipart(frames[:-1] + [b"answer"])
            answered += 1
    for who, client in enumerate(clients):
        answers = receive(client, count)
        assert sorted(a[1] for a in answers) == sorted(m[1] for m in numbered(b"%d" % who, count)), answers[:3]
        assert all(a[0] == b"" and a[2] == b"answer" and len(a) == 3 for a in answers)
        assert nothing_more(client)


TYPES = {
    "streamer": lambda peers, front, back: one_way(peers, zmq.PUSH, zmq.PULL, front, back),
    "forwarder": lambda peers, front, back: one_way(peers, zmq.PUB, zmq.SUB, front, back),
    "queue": requests,
    "pair": lambda peers, front, back: both_ways(peers, zmq.PAIR, front, back),
}


def check_types(transport):
    places = endpoints(transport, 2 * len(TYPES))
    where = {kind: places[2 * i:2 * i + 2] for i, kind in enumerate(TYPES)}
    ini = "".join(route(kind, kind, f"frontend_bind = {front}", f"backend_bind = {back}") for kind, (front, back) in where.items())
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        for kind, check in TYPES.items():
            check(peers, *where[kind])
        assert daemon.stop() == 0, daemon.log()


def test_every_type_over_tcp():
    check_types("tcp")


def test_every_type_over_ipc():
    check_types("ipc")


def test_every_type_over_abstract_ipc():
    check_types("@")


def test_req_and_rep():
    front, back = endpoints("tcp", 2)
    with zb.Daemon(route("r", "queue", f"frontend_bind = {front}", f"backend_bind = {back}")) as daemon, zb.Peers() as peers:
        req, rep = peers.open(zmq.REQ, front), peers.open(zmq.REP, back)
        for i in range(100):
            req.send_multipart([b"", b"what %d?" % i, b""])
            assert rep.recv_multipart() == [b"", b"what %d?" % i, b""]
            rep.send_multipart([b"that %d" % i, b""])
            assert req.recv_multipart() == [b"that %d" % i, b""]
        assert daemon.stop() == 0, daemon.log()


def test_a_chain_that_stops_loses_nothing():
    front, back = endpoints("tcp", 2)
    ini = ("[zbroker]\ndrain_timeout = 2m\n" + route("one", "streamer", f"frontend_bind = {front}", "backend_bind = inproc://middle")
           + route("two", "streamer", "frontend_connect = inproc://middle", f"backend_bind = {back}"))
    with zb.Peers() as peers:
        sender, receiver = peers.open(zmq.PUSH, front, sndhwm=0), peers.open(zmq.PULL, back, rcvhwm=0)
        sent = 0
        for _ in range(3):
            with zb.Daemon(ini) as daemon:
                for _ in range(20000):
                    sender.send(b"%d" % sent)
                    sent += 1
                assert daemon.stop() == 0, daemon.log()
        with zb.Daemon(ini) as daemon:
            got = [int(receiver.recv()) for _ in range(sent)]
            assert got == list(range(sent)), daemon.log()


def test_a_chain_stops_from_its_head():
    front, back = endpoints("tcp", 2)
    ini = ("[zbroker]\ndrain_timeout = 2m\n"
           + route("two", "streamer", "frontend_connect = inproc://middle", f"backend_bind = {back}")
           + route("one", "streamer", f"frontend_bind = {front}", "backend_bind = inproc://middle", "frontend_heartbeat_ivl = 0"))
    hello = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(48) + b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH"
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        receiver = peers.open(zmq.PULL, back)
        host, port = front[len("tcp://"):].split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(hello)
            answer = b""
            while b"READY" not in answer:
                answer += slow.recv(1000)
            for i in range(15):  # it goes on for a while after it was told that the other side is leaving
                slow.sendall(b"\0\x02%02d" % i)
                if i == 0:
                    assert receiver.recv() == b"00"
                    daemon.send(signal.SIGTERM)
                time.sleep(0.1)
        got = [int(receiver.recv()) for _ in range(14)]
        assert got == list(range(1, 15)), daemon.log()
        assert daemon.wait() == 0 and "undelivered" not in daemon.log(), daemon.log()


def test_chains_of_routes_inside_the_process():
    for kind, check in TYPES.items():
        front, back = endpoints("tcp", 2)
        ini = (route("one", kind, f"frontend_bind = {front}", "backend_bind = inproc://middle")
               + route("two", kind, "frontend_connect = inproc://middle", f"backend_bind = {back}"))
        with zb.Daemon(ini) as daemon, zb.Peers() as peers:
            check(peers, front, back)
            assert daemon.stop() == 0, daemon.log()
        with zb.Daemon(route("two", kind, "frontend_bind = inproc://other", f"backend_bind = {back}")
                       + route("one", kind, f"frontend_bind = {front}", "backend_connect = inproc://other")) as daemon, zb.Peers() as peers:
            check(peers, front, back)
            assert daemon.stop() == 0, daemon.log()


def test_sides_that_connect():
    for kind, senders, receivers in (("streamer", zmq.PUSH, zmq.PULL), ("forwarder", zmq.PUB, zmq.SUB), ("pair", zmq.PAIR, zmq.PAIR)):
        front, back = endpoints("tcp", 2)
        with zb.Peers() as peers, zb.Daemon(route("r", kind, f"frontend_connect = {front}", f"backend_connect = {back}")):
            sender = peers.open(senders, front, bind=True)
            receiver = peers.open(receivers, back, bind=True)
            if kind == "forwarder":
                wait_for_subscription([sender], receiver)
            for frames in numbered(b"x", 100):
                sender.send_multipart(frames)
            assert receive(receiver, 100) == numbered(b"x", 100)


def test_nothing_waits_for_a_worker_that_is_not_there():
    front, here, absent = endpoints("tcp", 3)
    connects = [f"frontend_bind = {front}", f"backend_connect = {here}", f"backend_connect = {absent}"]
    with zb.Peers() as peers, zb.Daemon(route("r", "streamer", *connects)) as daemon:
        sender, worker = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, here, bind=True)
        for frames in numbered(b"x", 100):
            sender.send_multipart(frames)
        assert receive(worker, 100) == numbered(b"x", 100)
        late = peers.open(zmq.PULL, absent, bind=True)
        zb.wait_until(lambda: stats(daemon, "r")["backend"]["connections"] == 2)
        for frames in numbered(b"y", 100):
            sender.send_multipart(frames)
        assert sorted(receive(worker, 50) + receive(late, 50)) == sorted(numbered(b"y", 100))
        assert daemon.stop() == 0
    with zb.Peers() as peers, zb.Daemon(route("r", "queue", *connects)) as daemon:
        client, service = peers.open(zmq.REQ, front), peers.open(zmq.REP, here, bind=True)
        for _ in range(10):
            client.send(b"question")
            service.send(service.recv())
            assert client.recv() == b"question"
        assert daemon.stop() == 0


def test_what_waits_for_the_first_worker_is_known():
    front, absent = endpoints("tcp", 2)
    with zb.Peers() as peers, zb.Daemon("[zbroker]\ndrain_timeout = 1s\n" + route(
            "r", "streamer", f"frontend_bind = {front}", f"backend_connect = {absent}")) as daemon:
        sender = peers.open(zmq.PUSH, front)
        for frames in numbered(b"x", 20):
            sender.send_multipart(frames)
        zb.wait_until(lambda: stats(daemon, "r")["blocked"])
        answer = daemon.ctl("disable", "r").stdout
        assert answer == "route r: disabled, 20 messages undelivered\n" and stats(daemon, "r")["dropped"]["shutdown"] == 20, answer


def test_a_publisher_that_comes_later_or_again_hears_of_the_subscriptions():
    for kind in ("type = forwarder", "type = custom\nfrontend_type = SUB\nbackend_type = PUB\nfrontend_subscribe ="):
        front, back = endpoints("tcp", 2)
        with zb.Peers() as peers, zb.Daemon(f"[route r]\n{kind}\nfrontend_connect = {front}\nbackend_bind = {back}\n") as daemon:
            receiver = peers.open(zmq.SUB, back)
            for _ in range(3):
                sender = peers.open(zmq.XPUB, front, bind=True)
                assert sender.recv() == b"\1"

                def passes():
                    sender.send(b"news")
                    return receiver.poll(20)

                zb.wait_until(passes)
                sender.close()
                zb.wait_until(lambda: stats(daemon, "r")["frontend"]["connections"] == 0)
                while receiver.poll(200):
                    receiver.recv()
            assert daemon.stop() == 0


def test_a_publisher_that_comes_later_hears_of_what_a_dealer_asks_for():
    for kind, backend in ((zmq.DEALER, "DEALER"), (zmq.PAIR, "PAIR")):
        front, back = endpoints("tcp", 2)
        with zb.Peers() as peers, zb.Daemon(route("r", "custom", "frontend_type = XSUB", f"backend_type = {backend}", f"frontend_bind = {front}",
                                                  f"backend_bind = {back}")) as daemon:
            subscriber = peers.open(kind, back)
            subscriber.send(b"\1news")
            zb.wait_until(lambda: stats(daemon, "r")["backend"]["connections"] == 1)
            publisher = peers.open(zmq.XPUB, front)
            assert publisher.recv() == b"\1news"
            assert daemon.stop() == 0


def test_the_last_cancellation_comes_as_the_manual_says():
    for engine, option, off in (("wire", "xpub_verbose", 1), ("zmq", "xpub_verbose", 0), ("zmq", "xpub_verboser", 1)):
        front, back = endpoints("tcp", 2)
        ini = route("r", "forwarder", f"engine = {engine}", f"{option} = yes", f"frontend_bind = {front}", f"backend_bind = {back}")
        with zb.Peers() as peers, zb.Daemon(ini) as daemon:
            publisher = peers.open(zmq.XPUB, front)
            subscribers = [peers.open(zmq.SUB, back, subscribe=b"t") for _ in range(2)]
            heard = []

            def until(*wanted):
                while not heard or not set(wanted) <= set(heard):
                    heard.append(publisher.recv())

            for word, subscriber in zip((b"a", b"b"), subscribers):
                subscriber.subscribe(word)
            until(b"\1t", b"\1a", b"\1b")
            for word, subscriber in zip((b"c", b"d"), subscribers):
                subscriber.unsubscribe(b"t")
                subscriber.subscribe(word)  # what each has said before has come when this has
            until(b"\1c", b"\1d")
            assert heard.count(b"\0t") == off, (engine, option, heard)
            assert daemon.stop() == 0


def test_a_queue_between_a_router_and_a_dealer_that_bind():
    front, back = endpoints("tcp", 2)
    with zb.Peers() as peers, zb.Daemon(route("r", "queue", f"frontend_connect = {front}", f"backend_connect = {back}")):
        client, worker = peers.open(zmq.DEALER, front, bind=True), peers.open(zmq.DEALER, back, bind=True)
        client.send_multipart([b"", b"q"])
        frames = worker.recv_multipart()
        assert frames[1:] == [b"", b"q"]
        worker.send_multipart(frames[:1] + [b"", b"a"])
        assert client.recv_multipart() == [b"", b"a"]


def test_many_endpoints_and_all_transports_on_a_side():
    *fronts, out_tcp, outgoing = endpoints("tcp", 4)
    fronts += endpoints("ipc", 2) + endpoints("@", 1)
    out_ipc, = endpoints("ipc", 1)
    lines = [f"frontend_bind = {f}" for f in fronts] + [f"backend_bind = {out_tcp}", f"backend_bind = {out_ipc}",
                                                        f"backend_connect = {outgoing}"]
    with zb.Peers() as peers, zb.Daemon(route("r", "streamer", *lines)) as daemon:
        receivers = [peers.open(zmq.PULL, out_tcp), peers.open(zmq.PULL, out_ipc), peers.open(zmq.PULL, outgoing, bind=True)]
        wait_stats(daemon, "r", lambda s: s["backend"]["connections"] == 3, "three receivers")
        senders = [peers.open(zmq.PUSH, front) for front in fronts]
        for i, sender in enumerate(senders):
            for frames in numbered(b"%d" % i, 90):
                sender.send_multipart(frames)
        poller, got = zmq.Poller(), collections.Counter()
        for receiver in receivers:
            poller.register(receiver, zmq.POLLIN)
        messages = []
        while len(messages) < 90 * len(fronts):
            ready = poller.poll(WAIT)
            assert ready, (len(messages), got)
            for receiver, _ in ready:
                messages.append(receiver.recv_multipart()[1])
                got[receivers.index(receiver)] += 1
        assert sorted(messages) == sorted(m[1] for i in range(len(fronts)) for m in numbered(b"%d" % i, 90))
        assert len(got) == 3, f"all three receivers work: {got}"
        shown = daemon.ctl("show", "routes").stdout
        assert all(e in shown for e in fronts + [out_tcp, out_ipc, outgoing]), shown


def test_a_free_port_is_shown():
    with zb.Daemon(route("r", "streamer", "frontend_bind = tcp://127.0.0.1:*", "backend_bind = tcp://127.0.0.1:*",
                         "backend_bind = ipc://*", "frontend_bind = tcp://*:*", "security = none")) as daemon, zb.Peers() as peers:
        found = stats(daemon, "r")
        assert re.fullmatch(r"tcp://\*:[1-9]\d+", found["frontend"]["endpoints"][1]), found
        front, (back, local) = found["frontend"]["endpoints"][0], found["backend"]["endpoints"]
        assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", front) and front != back and local.startswith("ipc:///"), found
        sender, receiver = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, local)
        sender.send(b"x")
        assert receiver.recv() == b"x"


def test_the_next_peer_of_a_pair_waits_for_its_turn():
    front, back = endpoints("tcp", 2)
    ini = route("r", "pair", f"frontend_bind = {front}", f"backend_bind = {back}", "max_clients = 1")
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        other, first = peers.open(zmq.PAIR, back), peers.open(zmq.PAIR, front)
        first.send(b"one")
        assert other.recv() == b"one"
        daemon.wait_log(r"frontend is full \(max_clients\)")
        second = peers.open(zmq.PAIR, front)
        second.send(b"two")
        assert not other.poll(300)
        first.close()
        assert other.recv() == b"two"
        other.send(b"three")
        assert second.recv() == b"three"
        assert daemon.stop() == 0, daemon.log()


def test_custom_pairs():
    for front_type, back_type, senders, receivers in (
            ("pull", "PUB", zmq.PUSH, zmq.SUB), ("Dealer", "dealer", zmq.DEALER, zmq.DEALER), ("PULL", "PUSH", zmq.PUSH, zmq.PULL),
            ("XSUB", "XPUB", zmq.PUB, zmq.SUB), ("pair", "Pair", zmq.PAIR, zmq.PAIR), ("pull", "dealer", zmq.PUSH, zmq.DEALER)):
        front, back = endpoints("tcp", 2)
        ini = route("r", "custom", f"frontend_type = {front_type}", f"backend_type = {back_type}",
                    f"frontend_bind = {front}", f"backend_bind = {back}")
        with zb.Daemon(ini) as daemon, zb.Peers() as peers:
            sender, receiver = peers.open(senders, front), peers.open(receivers, back)
            if receivers == zmq.SUB:
                wait_for_subscription([sender], receiver)
            else:
                wait_stats(daemon, "r", lambda s: s["backend"]["connections"] == 1, "a receiver")
            for frames in numbered(b"c", 50):
                sender.send_multipart(frames)
            assert receive(receiver, 50) == numbered(b"c", 50), (front_type, back_type)
            assert daemon.stop() == 0, daemon.log()


def test_a_pipeline_is_refused_with_the_reason():
    if "+draft" in zb.run("-V").stdout:
        raise zb.Skip("this libzmq has drafts")
    result = zb.run("-t", "-c", "-", stdin=route("r", "pipeline", "engine = zmq", "frontend_bind = tcp://127.0.0.1:5555",
                                                       "backend_bind = tcp://127.0.0.1:5556"))
    assert result.returncode == 1 and re.search(r"^-:2:\d+: error: .*draft", result.stderr, re.M), result


# --- exactly counted -------------------------------------------------------------------------------------------------------

def test_what_passed_is_counted_exactly():
    front, back, qfront, qback = endpoints("tcp", 4)
    ini = (route("jobs", "streamer", f"frontend_bind = {front}", f"backend_bind = {back}")
           + route("asks", "queue", f"frontend_bind = {qfront}", f"backend_bind = {qback}"))
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        sender, receiver = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)
        sizes = [0, 1, 63, 64, 65, 255, 256, 1000, 8192, 8193, 70000, 1 << 20]
        total = 0
        for i in range(1200):
            size = sizes[i % len(sizes)] if i < 48 else i % 300
            frames = [b"", b"x" * size, b"yz"]
            sender.send_multipart(frames)
            total += size + 2
        got = receive(receiver, 1200)
        assert sum(len(frame) for message in got for frame in message) == total
        found = wait_stats(daemon, "jobs", lambda s: s["backend"]["messages_sent"] == 1200, "1200 sent")
        front_side, back_side = found["frontend"], found["backend"]
        assert (front_side["messages_received"], front_side["received_bytes"]) == (1200, total), found
        assert (back_side["messages_sent"], back_side["sent_bytes"]) == (1200, total), found
        assert (front_side["messages_sent"], back_side["messages_received"]) == (0, 0), found
        assert (front_side["connections"], back_side["connections"]) == (1, 1), found
        assert sum(found["dropped"].values()) == 0, found
        assert sum(bucket["count"] for bucket in found["message_size_bytes"]) == 1200, found["message_size_bytes"]

        client, worker = peers.open(zmq.DEALER, qfront), peers.open(zmq.DEALER, qback)
        for i in range(500):
            client.send_multipart([b"", b"question"])
        for i in range(500):
            frames = worker.recv_multipart()
            worker.send_multipart(frames[:1] + [b"", b"an answer"])
        receive(client, 500)
        found = wait_stats(daemon, "asks", lambda s: s["frontend"]["messages_sent"] == 500, "500 answers")
        for side, way, count in (("frontend", "received", 8), ("backend", "sent", 8), ("backend", "received", 9), ("frontend", "sent", 9)):
            assert found[side][f"messages_{way}"] == 500 and found[side][f"{way}_bytes"] == 500 * count, (side, way, found)


def test_subscriptions_are_not_messages():
    front, back = endpoints("tcp", 2)
    with zb.Daemon(route("r", "forwarder", f"frontend_bind = {front}", f"backend_bind = {back}")) as daemon, zb.Peers() as peers:
        publisher = peers.open(zmq.XPUB, front)
        subscriber = peers.open(zmq.SUB, back, subscribe=b"a")
        assert publisher.recv() == b"\x01a"
        subscriber.subscribe(b"b")
        assert publisher.recv() == b"\x01b"
        for topic in (b"a1", b"b1", b"c1"):
            publisher.send(topic)
        assert [subscriber.recv(), subscriber.recv()] == [b"a1", b"b1"]
        found = wait_stats(daemon, "r", lambda s: s["backend"]["messages_sent"] == 2, "two messages")
        counts = (found["subscriptions"], found["frontend"]["messages_received"], found["backend"]["messages_received"])
        assert counts == (2, 2, 0), found
        subscriber.unsubscribe(b"a")
        assert publisher.recv() == b"\x00a"
        subscriber.close()
        assert publisher.recv() == b"\x00b"
        wait_stats(daemon, "r", lambda s: s["subscriptions"] == 0, "none")


@zb.limit(90)
def test_a_hundred_thousand_subscriptions_reach_the_publisher():
    front, back = endpoints("tcp", 2)
    ini = route("r", "forwarder", f"frontend_bind = {front}", f"backend_bind = {back}", "backend_max_subscriptions = 200000")
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        publisher = peers.open(zmq.XPUB, front, rcvhwm=0)
        subscriber = peers.open(zmq.SUB, back, subscribe=b"first", sndhwm=0)
        assert publisher.recv() == b"\x01first"
        topics = [b"topic/%d/" % i for i in range(100000)]
        for topic in topics:
            subscriber.subscribe(topic)
        got = set()
        while len(got) < len(topics):
            got.add(publisher.recv())
        assert got == {b"\x01" + topic for topic in topics}
        wait_stats(daemon, "r", lambda s: s["subscriptions"] == 100001, "all of them are known")
        publisher.send(b"topic/99999/x")
        assert subscriber.recv() == b"topic/99999/x"
        subscriber.close()
        wait_stats(daemon, "r", lambda s: s["subscriptions"] == 0, "they go with their client")


def test_one_shot_publishers_lose_nothing_at_the_ingress():
    front, back, ingress = endpoints("tcp", 3)
    ini = route("r", "forwarder", f"frontend_bind = {front}", f"backend_bind = {back}", f"ingress_bind = {ingress}")
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        subscriber = peers.open(zmq.SUB, back)
        publisher = peers.open(zmq.PUB, front)
        wait_for_subscription([publisher], subscriber)
        before = stats(daemon, "r")["ingress"]["messages_received"]
        for i in range(50):
            with zmq.Context() as context, context.socket(zmq.PUSH) as once:
                once.connect(ingress)
                once.send_multipart([b"news", b"%d" % i])
        got = receive(subscriber, 50)
        assert sorted(int(frames[1]) for frames in got) == list(range(50)), got
        found = wait_stats(daemon, "r", lambda s: s["ingress"]["messages_received"] == before + 50, "50 at the ingress")
        assert found["ingress"]["messages_received"] == 50, found


def test_clients_of_a_removed_endpoint_are_gone():
    front, also, back = endpoints("tcp", 3)
    ini = route("r", "streamer", f"frontend_bind = {front}", f"backend_bind = {back}", "frontend_max_clients = 5")
    with zb.Daemon(ini + f"frontend_bind = {also}\n") as daemon, zb.Peers() as peers:
        receiver = peers.open(zmq.PULL, back)
        clients = [peers.open(zmq.PUSH, also) for _ in range(5)]
        wait_stats(daemon, "r", lambda s: s["frontend"]["connections"] == 5, "a full side")
        zb.write(daemon.file, ini)
        assert daemon.ctl("reload").returncode == 0, daemon.log()
        wait_stats(daemon, "r", lambda s: s["frontend"]["connections"] == 0 and s["frontend"]["disconnections"] == 5, "they are cut")
        clients.append(peers.open(zmq.PUSH, front))
        clients[-1].send(b"room again")
        assert receiver.recv() == b"room again"
        assert daemon.stop() == 0, daemon.log()


# --- multicast -------------------------------------------------------------------------------------------------------------------

def group():
    if "+pgm" not in zb.run("-V").stdout:
        raise zb.Skip("this libzmq has no pgm")
    return f"epgm://127.0.0.1;239.192.1.1:{zb.free_port()}"


def test_a_forwarder_subscribes_for_a_multicast_group():
    to, (front, back) = group(), endpoints("tcp", 2)
    for engine in ("engine = zbroker", "engine = zmq_proxy"):
        ini = route("r", "forwarder", f"frontend_bind = {front}", f"backend_bind = {back}", f"backend_connect = {to}",
                    "security = none", engine)
        with zb.Daemon(ini) as daemon, zb.Peers() as peers:
            publisher = peers.open(zmq.XPUB, front)
            assert publisher.recv() == b"\1"
            everything = peers.open(zmq.SUB, back)  # it subscribes to everything too; its end is not that of the group
            everything.subscribe(b"topic")
            assert publisher.recv() == b"\1topic"
            everything.close()
            assert publisher.recv() == b"\0topic"
            assert nothing_more(publisher)
            assert daemon.stop() == 0, daemon.log()


def test_a_multicast_group_is_a_reader_of_a_capture():
    to, (front, back) = group(), endpoints("tcp", 2)
    ini = route("r", "streamer", f"frontend_bind = {front}", f"backend_bind = {back}", f"capture_connect = {to}", "security = none")
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        sender, receiver = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)
        for _ in range(3):
            sender.send(b"x")
            receiver.recv()
        wait_stats(daemon, "r", lambda s: s["capture"]["messages_sent"] == 3, "three copies")
        assert daemon.stop() == 0, daemon.log()


# --- WebSockets ------------------------------------------------------------------------------------------------------------------

def test_a_websocket_listener_goes_on_while_its_route_is_made_anew():
    if not zmq.has("WS") and not zmq.has("ws"):
        raise zb.Skip("this libzmq has no ws")
    front, back = (endpoint.replace("tcp", "ws") for endpoint in endpoints("tcp", 2))
    ini = route("r", "streamer", f"frontend_bind = {front}", f"backend_bind = {back}")
    file = zb.write(zb.folder() + "/zbroker.ini", ini)
    with zb.Daemon(file) as daemon, zb.Peers() as peers:
        sender, receiver = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)
        sender.send(b"before")
        assert receiver.recv() == b"before"
        zb.write(file, ini + "sndhwm = 7\n")
        assert "re-created" in daemon.ctl("reload").stdout
        assert stats(daemon, "r")["state"] == "running", "it waits for the one before"
        sender.send(b"after")
        assert receiver.recv() == b"after"
        assert daemon.stop() == 0, daemon.log()


# --- zmq_proxy as the reference ----------------------------------------------------------------------------------------------

def test_the_reference_engine_passes_messages_and_stops():
    for kind, check in TYPES.items():
        front, back, tap = endpoints("tcp", 3)
        ini = route("r", kind, "engine = zmq_proxy", f"frontend_bind = {front}", f"backend_bind = {back}", f"capture_bind = {tap}")
        with zb.Daemon(ini) as daemon, zb.Peers() as peers:
            check(peers, front, back)
            before = time.monotonic()
            assert daemon.stop() == 0, daemon.log()
            print(f"# {kind}: stopped in {time.monotonic() - before:.2f} s")


# --- capture ---------------------------------------------------------------------------------------------------------------------

def captured(kind, lines, socket, check):
    front, back, tap = endpoints("tcp", 3)
    ini = route("r", kind, f"frontend_bind = {front}", f"backend_bind = {back}", f"capture_bind = {tap}", *lines)
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        reader = peers.open(socket, tap, rcvhwm=0)
        wait_stats(daemon, "r", lambda s: s["capture"]["connections"] == 1, "a reader")
        if socket == zmq.SUB:  # its subscription follows its connection
            wait_until_captured(daemon, peers, reader, front, back)
        check(daemon, peers, reader, front, back)
        assert daemon.stop() == 0, daemon.log()


def wait_until_captured(daemon, peers, reader, front, back):
    """Send through the streamer until the reader sees it."""
    sender, receiver = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)

    def send(number):
        sender.send(b"%d" % number)
        receiver.recv()

    wait_until_it_sees(reader, send)
    sender.close()
    receiver.close()
    # What is sent to a receiver that is just leaving goes with it.
    wait_stats(daemon, "r", lambda s: s["frontend"]["connections"] + s["backend"]["connections"] == 0, "both have gone")


def test_capture_sees_every_message_in_order():
    def check(daemon, peers, reader, front, back):
        sender, receiver = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)
        before = stats(daemon, "r")["capture"]
        messages = numbered(b"m", 500)
        for frames in messages:
            sender.send_multipart(frames)
        assert receive(receiver, 500) == messages
        assert receive(reader, 500) == messages
        assert nothing_more(reader) and stats(daemon, "r")["capture_dropped"] == 0
        after = stats(daemon, "r")["capture"]
        assert after["messages_sent"] - before["messages_sent"] == 500, (before, after)
        assert after["sent_bytes"] - before["sent_bytes"] == sum(len(frame) for frames in messages for frame in frames), (before, after)

    captured("streamer", ["capture_type = pub"], zmq.SUB, check)
    captured("streamer", ["capture_type = push"], zmq.PULL, check)


def test_an_envelope_says_where_a_message_came_from():
    def check(daemon, peers, reader, front, back):
        client, worker = peers.open(zmq.DEALER, front), peers.open(zmq.DEALER, back)

        def ask(question):
            client.send_multipart([b"", b"q" + question])
            frames = worker.recv_multipart()
            worker.send_multipart(frames[:1] + [b"", b"a" + question])
            assert client.recv_multipart() == [b"", b"a" + question]

        # A PUSH has a reader once the handshake is over, a moment after the connection.
        early = 0
        while not reader.poll(20):
            early += 1
            ask(b" early %d" % early)
        while reader.recv_multipart()[-1] != b"a early %d" % early:
            pass
        for i in range(20):
            ask(b"%d" % i)
        sequence = []
        before = time.time_ns() - 60 * 10**9
        for i in range(40):
            envelope, *frames = reader.recv_multipart()
            name, side, number, when = envelope.decode().split(" ")
            assert name == "r" and side == ("backend" if i % 2 else "frontend"), envelope
            assert frames[-2:] == [b"", b"%s%d" % (b"a" if i % 2 else b"q", i // 2)], frames
            assert before < int(when) < time.time_ns(), envelope
            sequence.append(int(number))
        assert sequence == list(range(sequence[0], sequence[0] + 40)), sequence

    captured("queue", ["capture_type = push", "capture_envelope = yes"], zmq.PULL, check)


def test_a_capture_without_a_reader_costs_nothing():
    for kind in ("pub", "push"):
        front, back, tap = endpoints("tcp", 3)
        ini = route("r", "streamer", f"frontend_bind = {front}", f"backend_bind = {back}", f"capture_bind = {tap}", f"capture_type = {kind}")
        with zb.Daemon(ini) as daemon, zb.Peers() as peers:
            sender, receiver = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)
            for i in range(5000):
                sender.send(b"%d" % i)
            assert [receiver.recv() for _ in range(5000)] == [b"%d" % i for i in range(5000)]
            found = wait_stats(daemon, "r", lambda s: s["backend"]["messages_sent"] == 5000, "all sent")
            assert found["capture_dropped"] == 0 and found["capture"]["messages_sent"] == 0, found
            assert daemon.stop() == 0, daemon.log()


def test_a_stalled_reader_slows_nothing_and_its_misses_are_counted():
    for kind, socket in (("pub", zmq.SUB), ("push", zmq.PULL)):
        front, back, tap = endpoints("ipc", 3)
        ini = route("r", "streamer", f"frontend_bind = {front}", f"backend_bind = {back}", f"capture_bind = {tap}",
                    f"capture_type = {kind}", "capture_sndhwm = 50")
        with zb.Daemon(ini) as daemon, zb.Peers() as peers:
            reader = peers.open(socket, tap, rcvhwm=10)
            wait_stats(daemon, "r", lambda s: s["capture"]["connections"] == 1, "a reader")
            wait_until_captured(daemon, peers, reader, front, back)
            before = stats(daemon, "r")
            sender, receiver = peers.open(zmq.PUSH, front, sndhwm=0), peers.open(zmq.PULL, back, rcvhwm=0)
            start = time.monotonic()
            for i in range(5000):
                sender.send_multipart([b"%d" % i, b"x" * 1000])
            got = receive(receiver, 5000)
            assert [int(frames[0]) for frames in got] == list(range(5000))
            print(f"# {kind}: 5000 messages beside a stalled reader in {time.monotonic() - start:.2f} s")
            missed = stats(daemon, "r")["capture_dropped"] - before["capture_dropped"]
            assert 0 < missed < 5000, "the test must see a miss, and not only misses"
            seen = [int(frames[0]) for frames in receive(reader, 5000 - missed)]
            assert seen == sorted(set(seen)) and nothing_more(reader), "in order, and no more than was not counted as missed"
            assert daemon.stop() == 0, daemon.log()


# --- answers reach nobody else --------------------------------------------------------------------------------------------------

@zb.limit(60 + 3 * GENERATIONS)
def test_old_answers_reach_no_new_client():
    front, back = endpoints("tcp", 2)
    ini = "[zbroker]\ndrain_timeout = 50ms\n" + route("asks", "queue", f"frontend_bind = {front}", f"backend_bind = {back}")
    with zb.Peers() as peers:
        worker = peers.open(zmq.DEALER, back, immediate=0)
        held = []
        for generation in range(GENERATIONS):
            with zb.Daemon(ini) as daemon:
                clients = [peers.open(zmq.DEALER, front) for _ in range(3)]
                for who, client in enumerate(clients):
                    for i in range(4):
                        client.send_multipart([b"", b"%d/%d/%d" % (generation, who, i)])
                fresh = receive(worker, 12)
                for frames in held + fresh[:6]:
                    worker.send_multipart(frames)
                answers = collections.Counter()
                poller = zmq.Poller()
                for client in clients:
                    poller.register(client, zmq.POLLIN)
                while sum(answers.values()) < 6:
                    ready = poller.poll(WAIT)
                    assert ready, f"{answers}\n{daemon.log()}"
                    for client, _ in ready:
                        got = client.recv_multipart()
                        own = b"%d/%d/" % (generation, clients.index(client))
                        assert got[0] == b"" and got[1].startswith(own), f"{got} came to {own}"
                        answers[client] += 1
                found = wait_stats(daemon, "asks", lambda s: s["backend"]["messages_received"] == len(held) + 6, "all answers")
                assert found["dropped"]["undeliverable"] == len(held), (generation, found)
                assert all(nothing_more(client) for client in clients)
                if generation % 2:
                    daemon.kill()
                else:
                    assert daemon.stop() == 0, daemon.log()
                held = fresh[6:]
                for client in clients:
                    client.close()


def test_an_answer_to_a_client_that_left_is_counted():
    front, back = endpoints("tcp", 2)
    with zb.Daemon(route("asks", "queue", f"frontend_bind = {front}", f"backend_bind = {back}")) as daemon, zb.Peers() as peers:
        worker = peers.open(zmq.DEALER, back)
        gone, stays = peers.open(zmq.DEALER, front), peers.open(zmq.DEALER, front)
        gone.send(b"one")
        frames = worker.recv_multipart()
        gone.close()
        wait_stats(daemon, "asks", lambda s: s["frontend"]["connections"] == 1, "one has left")
        worker.send_multipart(frames)
        worker.send(b"nonsense")
        stays.send(b"two")
        worker.send_multipart(worker.recv_multipart())
        assert stays.recv() == b"two"
        found = wait_stats(daemon, "asks", lambda s: s["backend"]["messages_received"] == 3, "three came up")
        assert found["dropped"]["undeliverable"] == 2, found


# --- frames that are too large --------------------------------------------------------------------------------------

def test_who_sends_too_large_a_frame_is_named():
    ends = endpoints("tcp", 4)
    ini = route("jobs", "streamer", f"frontend_bind = {ends[0]}", f"backend_bind = {ends[1]}", "frontend_maxmsgsize = 1000")
    ini += route("news", "forwarder", f"frontend_bind = {ends[2]}", f"backend_bind = {ends[3]}", "max_topic = 64k")
    with zb.Daemon(zb.with_engine(ini, "wire")) as daemon, zb.Peers() as peers:
        worker, sender = peers.open(zmq.PULL, ends[1]), peers.open(zmq.PUSH, ends[0])
        sender.send(b"x" * 1000)
        assert len(worker.recv()) == 1000
        # Neither one that goes, nor one that is no ZeroMQ, is named for that.
        another = peers.open(zmq.PUSH, ends[0])
        zb.wait_until(lambda: stats(daemon, "jobs")["frontend"]["connections"] == 2)
        another.close()

        def ended():
            side = stats(daemon, "jobs")["frontend"]
            return side["disconnections"] + sum(side["handshake_failures"].values())

        zb.wait_until(lambda: ended() == 1)
        with socket.create_connection(("127.0.0.1", int(ends[0].rsplit(":", 1)[1]))) as other:
            other.sendall(b"GET / HTTP/1.1\r\n\r\n")
            zb.wait_until(lambda: ended() == 2)
        assert "too_large" not in daemon.log()
        (client,) = [each for each in json.loads(daemon.ctl("-j", "show", "clients", "jobs").stdout)["clients"] if each["side"] == "frontend"]
        sender.send(b"x" * 2000)
        daemon.wait_log(rf"warning: route jobs: frontend client {client['id']} at {client['peer']} cut: .* maxmsgsize event=client-cut .*"
                        rf"peer={client['peer']} reason=too_large$")
        subscriber = peers.open(zmq.SUB, ends[3], subscribe=b"t" * 5000)
        daemon.wait_log(r"route news: backend client \d+ .* reason=too_large$")
        subscriber.close()
        assert daemon.stop() == 0


zb.main()

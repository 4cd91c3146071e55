# SPDX-License-Identifier: MPL-2.0
"""Nobody takes anything: the process rests, the others go on, control answers, and it stops in time."""

import json
import re
import signal
import statistics
import time

import zmq
import zb

DRAIN = 0.3  # seconds


def fill(peer, size, least=1):
    """Send as much as is taken, LEAST messages or more."""
    count, end = 0, time.monotonic() + 30 * zb.SLOW
    message = b"x" * size
    while count < least or peer.poll(300, zmq.POLLOUT):
        assert time.monotonic() < end, f"only {count} of {least} messages were taken, or there is no end"
        try:
            peer.send(message, zmq.DONTWAIT)
            count += 1
        except zmq.Again:
            peer.poll(100, zmq.POLLOUT)


def answer_seconds(daemon):
    before = time.monotonic()
    with zb.Control(daemon) as control:
        answer = control.ask("show stats")
    assert not answer.startswith("error"), answer
    return time.monotonic() - before


def blocked_of(daemon, name):
    return json.loads(daemon.ctl("-j", "show", "stats", name).stdout)["routes"][0]["blocked"]


def check(kind, block, lines="", blocked="backend", others_go_on=True):
    """A route of KIND that BLOCK (peers, frontend, backend) brings to a stop, beside one that works."""
    front, back, tap, fine_front, fine_back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(5))
    ini = f"""
[zbroker]
drain_timeout = {DRAIN * 1000:g}ms
[route stuck]
type = {kind}
frontend_bind = {front}
backend_bind = {back}
{lines.replace("TAP", tap)}
[route fine]
type = streamer
frontend_bind = {fine_front}
backend_bind = {fine_back}
"""
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        push, pull = peers.open(zmq.PUSH, fine_front), peers.open(zmq.PULL, fine_back)
        push.send(b"hello")
        pull.recv()
        kept = block(peers, front, back, tap)  # its sockets live until the end; the first is who sends
        if blocked:
            def is_blocked():
                fill(kept[0], 10000, 0)  # what was taken meanwhile has made room
                return (blocked_of(daemon, "stuck") or {}).get("side") == blocked
            zb.wait_until(is_blocked, what="the route says that it is blocked")
        zb.wait_until(lambda: zb.rests(daemon.pid, 1, 0.02), 20, "a broker that rests")
        zb.at_once("median of 20 answers", statistics.median(answer_seconds(daemon) for _ in range(20)))
        for i in range(1000):
            push.send(b"%d" % i)
        assert [pull.recv() for _ in range(1000)] == [b"%d" % i for i in range(1000)]
        start = time.monotonic()
        assert daemon.stop(signal.SIGTERM) == 0, daemon.log()
        print(f"# stopped in {time.monotonic() - start:.1f} s, of which {DRAIN:g} s are for the drain")
        del kept


def no_worker(peers, front, back, tap):
    producer = peers.open(zmq.PUSH, front)
    fill(producer, 100, 1001)
    return [producer]


def stuck_worker(peers, front, back, tap):
    worker = peers.open(zmq.PULL, back, rcvhwm=1, rcvbuf=4096)
    producer = peers.open(zmq.PUSH, front)
    fill(producer, 100000)
    assert worker.recv() == b"x" * 100000
    fill(producer, 100000, 0)  # one message less is no room yet: libzmq tells of room by half a queue
    return producer, worker


def test_no_worker():
    check("streamer", no_worker)


def test_a_stuck_worker():
    check("streamer", stuck_worker)


def test_a_queue_without_a_service():
    def block(peers, front, back, tap):
        client = peers.open(zmq.DEALER, front)
        fill(client, 100, 1001)
        return [client]
    check("queue", block)


def test_a_queue_whose_service_is_stuck():
    def block(peers, front, back, tap):
        service = peers.open(zmq.DEALER, back, rcvhwm=1, rcvbuf=4096)
        client = peers.open(zmq.DEALER, front)
        fill(client, 100000)
        return client, service
    check("queue", block)


def test_a_client_that_takes_no_answers():
    def block(peers, front, back, tap):
        service = peers.open(zmq.DEALER, back)
        mute = peers.open(zmq.DEALER, front, rcvhwm=1, rcvbuf=4096)
        asks = peers.open(zmq.DEALER, front)
        mute.send(b"q")
        mute_id = service.recv_multipart()[0]
        for _ in range(3000):
            service.send_multipart([mute_id, b"x" * 10000])
        asks.send(b"q")
        service.send_multipart(service.recv_multipart())
        assert asks.recv() == b"q", "the others get theirs"
        return service, mute, asks
    check("queue", block, blocked=None)


def test_a_pair_without_a_peer():
    def block(peers, front, back, tap):
        left = peers.open(zmq.PAIR, front)
        fill(left, 100, 1001)
        return [left]
    check("pair", block)


def test_a_stuck_subscriber():
    def block(peers, front, back, tap):
        stuck = peers.open(zmq.SUB, back, rcvhwm=1, rcvbuf=4096)
        good, publisher = peers.open(zmq.SUB, back), peers.open(zmq.PUB, front, sndhwm=0)
        while not good.poll(20) or not stuck.poll(20):
            publisher.send(b"sync")
        start = time.monotonic()
        for i in range(1000):
            publisher.send(b"%d" % i + b"x" * 20000)
            while good.recv() == b"sync":
                pass
        print(f"# 1000 messages beside a stuck subscriber: {time.monotonic() - start:.2f} s")
        return stuck, good, publisher
    check("forwarder", block, blocked=None)


def test_a_blocked_route_has_a_line_when_it_begins_and_one_when_it_ends():
    front, back, fine_front, fine_back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(4))
    ini = "".join(f"[route {name}]\ntype = streamer\nfrontend_bind = {a}\nbackend_bind = {b}\n"
                  for name, a, b in (("r", front, back), ("fine", fine_front, fine_back)))
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        push, idle = peers.open(zmq.PUSH, front), peers.open(zmq.PUSH, fine_front)
        push.send(b"nobody takes it")
        daemon.wait_log(r"warning: route r: blocked, the backend has taken no messages for \d+ s event=route-blocked route=r side=backend seconds=\d+$", 20)
        assert "route-flowing" not in daemon.log()
        pull = peers.open(zmq.PULL, back)
        assert pull.recv() == b"nobody takes it"
        daemon.wait_log(r"notice: route r: messages flow again, the backend was blocked for \d+ s event=route-flowing route=r side=backend seconds=\d+$", 15)
        assert daemon.log().count("event=route-blocked") == 1 == daemon.log().count("event=route-flowing"), daemon.log()


def test_it_stays_blocked_while_others_come_and_go():
    """A worker of the wrong kind, or clients that try again and again, do not make the time begin anew."""
    front, back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2))
    with zb.Daemon(f"[zbroker]\ndrain_timeout = {DRAIN * 1000:g}ms\n[route jobs]\ntype = streamer\nfrontend_bind = {front}\nbackend_bind = {back}\n") as daemon, \
            zb.Peers() as peers:
        peers.open(zmq.PUSH, front).send(b"nobody takes it")
        peers.open(zmq.PUSH, back, reconnect_ivl=10, reconnect_ivl_max=10)  # no worker at all

        def waits_long():
            peers.open(zmq.PUSH, front).close(0)
            blocked = blocked_of(daemon, "jobs")
            return blocked and blocked["seconds"] > 3

        zb.wait_until(waits_long)
        assert daemon.stop() == 0, daemon.log()


def test_blocked_seconds_never_go_back():
    """Neither when the spell ends with the route, nor while the route before a re-creation drains."""
    for engine in ("wire", "zmq"):
        front, back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2))
        ini = f"[zbroker]\ndrain_timeout = {DRAIN * 1000:g}ms\n[route r]\ntype = streamer\nengine = {engine}\nfrontend_bind = {front}\nbackend_bind = {back}\n"
        with zb.Daemon(ini) as daemon, zb.Peers() as peers, zb.Control(daemon) as control:
            seconds = lambda: control.route("r")["backend"]["blocked_seconds"]
            push, last = peers.open(zmq.PUSH, front), 0
            for n, command in enumerate(("reload", "disable r", "enable r", "reload"), 1):
                if command != "enable r":
                    push.send(b"nobody takes it")
                    zb.wait_until(lambda: seconds() > last + 0.1)
                last = seconds()
                zb.write(daemon.file, ini + f"backend_tos = {n}\n")
                assert not control.ask(command).startswith("error")
                zb.wait_until(lambda: (control.route("r")["state"] == "disabled") == command.startswith("disable"))
                assert seconds() >= last, (engine, command, last, seconds())


def test_status_says_how_many_messages_a_stuck_subscriber_lost_where_that_is_known():
    for engine, words in (("wire", r"(\d+) messages were dropped in the last minute$"),
                          ("zmq", r"(\d+) times? messages were dropped in the last minute; libzmq does not tell how many$")):
        front, back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2))
        ini = f"[route r]\ntype = forwarder\nengine = {engine}\nfrontend_bind = {front}\nbackend_bind = {back}\nbackend_sndhwm = 10\n"
        with zb.Daemon(ini) as daemon, zb.Peers() as peers:
            stuck, publisher = peers.open(zmq.SUB, back, rcvhwm=1, rcvbuf=4096), peers.open(zmq.PUB, front, sndhwm=0)
            while not stuck.poll(20):
                publisher.send(b"sync")
            told = []

            def is_told():
                publisher.send(b"x" * 100000)
                told[:] = re.findall("^warning: route r: " + words, daemon.ctl("status").stdout, re.M)
                return told

            zb.wait_until(is_told)
            if engine == "wire":
                assert int(told[0]) <= json.loads(daemon.ctl("-j", "show", "stats").stdout)["routes"][0]["dropped"]["hwm"]


def test_a_capture_push_without_a_reader():
    def block(peers, front, back, tap):
        push, pull = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)
        for i in range(3000):
            push.send(b"%d" % i)
            assert pull.recv() == b"%d" % i
        return push, pull
    check("streamer", block, "capture_bind = TAP\ncapture_type = push", blocked=None)


def test_a_capture_whose_reader_is_stuck():
    def block(peers, front, back, tap):
        reader = peers.open(zmq.PULL, tap, rcvhwm=1, rcvbuf=4096)
        push, pull = peers.open(zmq.PUSH, front), peers.open(zmq.PULL, back)
        for i in range(3000):
            push.send(b"x" * 10000)
            pull.recv()
        return reader, push, pull
    check("streamer", block, "capture_bind = TAP\ncapture_type = push\ncapture_sndhwm = 10", blocked=None)


def test_no_worker_while_a_capture_reads_along():
    def block(peers, front, back, tap):
        reader = peers.open(zmq.PULL, tap)
        return *no_worker(peers, front, back, tap), reader
    check("streamer", block, "capture_bind = TAP\ncapture_type = push")


def test_a_stuck_subscriber_under_nodrop_is_cut():
    front, back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2))
    ini = f"""
[route prices]
type = forwarder
frontend_bind = {front}
backend_bind = {back}
backend_xpub_nodrop = yes
backend_stall_timeout = 5s
"""
    with zb.Daemon(ini) as daemon, zb.Peers() as peers:
        stuck = peers.open(zmq.SUB, back, rcvhwm=1, rcvbuf=4096, reconnect_ivl=-1)
        # Without a limit it takes everything at once, however late we are to read it; with one it might be stuck, too.
        good, publisher = peers.open(zmq.SUB, back, rcvhwm=0), peers.open(zmq.PUB, front, sndhwm=0)
        while not good.poll(20) or not stuck.poll(20):
            publisher.send(b"sync")
        for i in range(3000):
            publisher.send(b"%d " % i + b"x" * 20000)
        got = []
        while len(got) < 3000:
            message = good.recv()
            if message != b"sync":
                got.append(int(message.split()[0]))
        assert got == list(range(3000)), "nothing is dropped"
        route = json.loads(daemon.ctl("-j", "show", "stats").stdout)["routes"][0]
        assert route["dropped"]["stalled"] == 1 and route["dropped"]["hwm"] == 0, route
        daemon.wait_log(r"warning: route prices: .*stalled")
        assert daemon.stop() == 0, daemon.log()


zb.main()

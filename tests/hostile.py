# SPDX-License-Identifier: MPL-2.0
"""Peers that mean no good, beside one that does: it loses nothing, and the process stays as it was.

ZB_SUBSCRIPTIONS is how many one client makes where it may, ZB_RECONNECTS how many connect and go, ZB_CROWD how many of all
kinds are there at once."""

import json
import math
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

import zmq
import zb
from zmtp import GREETING, SIGNATURE, Raw, WebSocket, command, frame, ready

SUBSCRIPTIONS = int(os.environ.get("ZB_SUBSCRIPTIONS", "100000"))
RECONNECTS = int(os.environ.get("ZB_RECONNECTS", "5000"))
CROWD = int(os.environ.get("ZB_CROWD", "120"))
RATE = 1000  # legitimate messages a second
MB = 1 << 20


class Honest(threading.Thread):
    """Sends RATE numbered messages a second through a streamer and counts what comes out."""

    def __init__(self, front, back):
        super().__init__(daemon=True)
        self.context = zmq.Context()
        self.push, self.pull = self.context.socket(zmq.PUSH), self.context.socket(zmq.PULL)
        self.push.connect(front)
        self.pull.connect(back)
        self.pull.rcvhwm = 0
        self.sent, self.next, self.wrong, self.ending = 0, 0, [], False
        self.slowest = 0.0

    def take(self):
        while self.pull.poll(0):
            message = self.pull.recv_multipart()[0]
            if not message.startswith(b"honest "):
                continue  # junk that parses is a message on a route that lets everybody in
            _, number, when = message.split()
            if int(number) != self.next:
                self.wrong.append((self.next, int(number)))
            self.next = int(number) + 1
            self.slowest = max(self.slowest, time.monotonic() - float(when))

    def run(self):
        start = time.monotonic()
        while not self.ending:
            due = int((time.monotonic() - start) * RATE)
            while self.sent < due:
                self.push.send(b"honest %d %f" % (self.sent, time.monotonic()))
                self.sent += 1
            self.take()
            time.sleep(0.002)
        while self.next < self.sent and self.pull.poll(10000 * zb.SLOW):
            self.take()

    def finish(self):
        self.ending = True
        self.join()
        self.context.destroy(0)


class Target:
    """A daemon with one route of each type, and honest traffic through one more."""

    def __init__(self, more="", prices="", process=""):
        names = ("fine_in", "fine_out", "jobs_in", "jobs_out", "prices_in", "prices_out", "asks_in", "asks_out")
        self.port = dict(zip(names, zb.free_ports(len(names))))
        self.daemon = zb.Daemon(f"[zbroker]\ndrain_timeout = 1s\n{process}\n" + "".join(f"""
[route {name}]
type = {kind}
frontend_bind = tcp://127.0.0.1:{self.port[name + "_in"]}
backend_bind = tcp://127.0.0.1:{self.port[name + "_out"]}
{more}
{prices if name == "prices" else ""}
""" for name, kind in (("fine", "streamer"), ("jobs", "streamer"), ("prices", "forwarder"), ("asks", "queue"))))
        self.honest = Honest(self.tcp("fine_in"), self.tcp("fine_out"))
        self.honest.start()
        zb.wait_until(lambda: self.honest.next > 100)
        self.wake()
        self.rss, self.fds = zb.rss(self.daemon.pid), zb.fds(self.daemon.pid)

    def wake(self):
        """A route takes more descriptors once its first client has come."""
        for name, kind in ("jobs", b"PUSH"), ("prices", b"PUB"), ("asks", b"DEALER"):
            self.join(f"{name}_in", kind).close()
            zb.wait_until(lambda: self.stats(name)["frontend"]["connections"] == 0, what=f"nobody at {name}")

    def tcp(self, name):
        return f"tcp://127.0.0.1:{self.port[name]}"

    def connect(self, name, first=b""):
        client = socket.create_connection(("127.0.0.1", self.port[name]), timeout=5 * zb.SLOW)
        self.send(client, first)
        return client

    def join(self, name, kind, more=b""):
        """Connect, and come in as a socket of this kind: from here on what is sent are messages."""
        client = self.connect(name, GREETING + ready(kind, more))
        answer = b""
        while b"READY" not in answer:
            got = client.recv(4096)
            assert got, f"{kind} does not come in at {name}: {answer}"
            answer += got
        return client

    @staticmethod
    def send(client, data):
        """Send, unless the daemon has closed the connection. True if it went."""
        try:
            client.sendall(data)
            return True
        except OSError:
            return False

    def throw(self, name, data):
        """Connect, send, and go away."""
        with self.connect(name) as client:
            self.send(client, data)

    @staticmethod
    def is_cut(client, seconds):
        """Does the daemon end the connection within so many seconds?"""
        end = time.monotonic() + seconds * zb.SLOW
        client.settimeout(0.2)
        while time.monotonic() < end:
            try:
                if not client.recv(65536):
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
        return False

    def stats(self, name):
        return json.loads(self.daemon.ctl("-j", "show", "stats", name).stdout)["routes"][0]

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, kind, value, trace):
        self.honest.finish()
        self.daemon.__exit__(kind, value, trace)

    def survived(self, rss=64 * MB):
        """After the attack: alive, its memory and descriptors in bounds, and the honest one lost nothing."""
        daemon, honest = self.daemon, self.honest
        assert daemon.running(), f"ended with {daemon.process.returncode}\n{daemon.log()[-3000:]}"
        zb.wait_until(lambda: zb.fds(daemon.pid) <= self.fds + 2, 20, lambda: f"descriptors to be given back: {zb.fds(daemon.pid)}, {self.fds} before, "
                      + daemon.ctl("-j", "show", "clients").stdout)
        grown = zb.rss(daemon.pid) - self.rss
        assert grown < rss * zb.HEAVY, f"{grown >> 20} MiB more"
        honest.finish()
        assert (honest.next, honest.wrong) == (honest.sent, []), (honest.sent, honest.next, honest.wrong[:5])
        assert daemon.ctl("status").returncode == 0
        assert daemon.stop() == 0, daemon.log()


PORTS = ("fine_in", "fine_out", "jobs_in", "jobs_out", "prices_in", "prices_out", "asks_in", "asks_out")


def test_random_bytes():
    dice = random.Random(1)
    with Target() as target:
        for i in range(1000):
            target.throw(PORTS[2 + i % 6], dice.randbytes(dice.randrange(1, 4000)))
        for i in range(200):  # and at the honest one's own front door
            target.throw("fine_in", dice.randbytes(dice.randrange(1, 400)))
        target.survived()


def test_truncated_and_mutated_greetings():
    dice = random.Random(2)
    kinds = {"jobs_in": b"PUSH", "jobs_out": b"PULL", "prices_in": b"PUB", "prices_out": b"SUB", "asks_in": b"DEALER", "asks_out": b"DEALER"}
    with Target() as target:
        whole = {name: GREETING + ready(kind) + frame(b"\x01topic") for name, kind in kinds.items()}
        for name, data in whole.items():
            for end in range(0, len(data), 2):
                target.throw(name, data[:end])
        for i in range(1000):
            name = PORTS[2 + i % 6]
            data = bytearray(whole[name])
            for _ in range(dice.randrange(1, 6)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            target.throw(name, bytes(data))
        zb.wait_until(lambda: sum(target.stats("jobs")["frontend"]["handshake_failures"].values()) > 0)
        target.survived()


def test_peers_of_zmtp_1_and_2():
    with Target() as target:
        # Their handshake has no place for who they are. libzmq asks about everybody, so it cannot let them in; where
        # everybody may come in, engine wire does.
        taken = zb.WIRE
        hellos = b"\x01\x00" + b"\x04\x00one", SIGNATURE + b"\x01\x08" + b"\x00\x00" + b"\x00\x03two"
        with zmq.Context() as context, zb.peer(context, zmq.PULL, target.tcp("jobs_out"), rcvtimeo=int(5000 * zb.SLOW)) as pull:
            for hello, word in zip(hellos, (b"one", b"two")):
                client = target.connect("jobs_in", hello)
                assert pull.recv() == word if taken else target.is_cut(client, 5), hello
                client.close()
        assert target.stats("jobs")["frontend"]["messages_received"] == (len(hellos) if taken else 0)
        for data in (b"\x01\x00" + b"\xff" + struct.pack(">Q", 1 << 62) + b"\0", b"\x01\x00" + b"\xff" + bytes(8) + b"\0", b"\xff" * 20,
                     SIGNATURE + b"\x01\x08" + b"\x02" + struct.pack(">Q", (1 << 64) - 1), SIGNATURE + b"\x01\xff\x00\x00",
                     SIGNATURE + b"\x02\x08", b"\x00\x00\x00"):
            for name in PORTS[2:]:  # as a worker of fine, one takes a message, which then comes out of turn
                target.throw(name, data)
        target.survived()


def test_giant_frames():
    with Target() as target:
        clients = []
        for length in (17 * MB, 3 << 30, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
            for name, kind in (("jobs_in", b"PUSH"), ("asks_in", b"DEALER"), ("prices_in", b"PUB"), ("prices_out", b"SUB")):
                for flags in (b"\x02", b"\x06"):
                    client = target.join(name, kind)
                    target.send(client, flags + struct.pack(">Q", length) + b"x" * 1000)
                    clients.append((client, name, length))
        for client, name, length in clients:
            assert target.is_cut(client, 5), f"{length} at {name}"
            client.close()
        for length in (4097, 60000):  # nothing but subscriptions comes in at the back of a forwarder
            client = target.join("prices_out", b"SUB")
            target.send(client, frame(b"\x01" + b"t" * length))
            assert target.is_cut(client, 5), length
            client.close()
        with target.connect("jobs_in", GREETING + command(b"READY", b"\x0bSocket-Type\xff\xff\xff\xffPUSH")) as client:
            assert target.is_cut(client, 5)
        target.survived()


def test_a_message_that_does_not_end():
    with Target() as target:
        client = target.join("jobs_in", b"PUSH")
        part = frame(b"x" * 100, more=True) * 1000
        for _ in range(200):  # 20 MB in 200,000 parts: bounded here, not there
            if not target.send(client, part):
                break
        zb.wait_until(lambda: target.honest.next > target.honest.sent - RATE)
        assert zb.rss(target.daemon.pid) - target.rss < 200 * MB * zb.HEAVY
        client.close()
        zb.wait_until(lambda: target.stats("jobs")["frontend"]["connections"] == 0)
        assert target.stats("jobs")["frontend"]["messages_received"] == 0
        target.survived(rss=100 * MB)


def test_a_topic_of_200_kilobytes_subscribed_and_cancelled():
    with Target() as target, zmq.Context() as context:
        topic = b"t" * 200000
        raw = target.join("prices_out", b"SUB")
        for flag in (b"\x01", b"\x00"):
            target.send(raw, frame(flag + topic))
        assert target.is_cut(raw, 5)
        raw.close()
        # In small steps, each of them allowed: the longest topic that is taken, by many.
        raw = target.join("prices_out", b"SUB")
        for flag in (b"\x01", b"\x00"):
            for length in range(1, 4000, 13):
                target.send(raw, frame(flag + b"t" * length))
        time.sleep(0.2)
        raw.close()
        zb.wait_until(lambda: target.stats("prices")["subscriptions"] == 0)
        with context.socket(zmq.SUB) as subscriber, context.socket(zmq.PUB) as publisher:
            subscriber.subscribe(b"")
            publisher.linger = subscriber.linger = 0
            subscriber.connect(target.tcp("prices_out"))
            publisher.connect(target.tcp("prices_in"))

            def comes():
                publisher.send(b"still there")
                return subscriber.poll(50)

            zb.wait_until(comes)
        target.survived()


@zb.limit(90)
def test_five_hundred_slow_handshakes():
    with Target("frontend_handshake_ivl = 1s") as target:
        before = target.stats("jobs")["frontend"]["connections_accepted"]
        clients = [target.connect("jobs_in", GREETING[:1 + i % 63]) for i in range(500)]
        zb.wait_until(lambda: target.stats("jobs")["frontend"]["connections_accepted"] == before + 500)
        with zmq.Context() as context, context.socket(zmq.PUSH) as push, context.socket(zmq.PULL) as pull:
            push.linger = pull.linger = 0
            push.connect(target.tcp("jobs_in"))
            pull.connect(target.tcp("jobs_out"))
            push.send(b"me too")
            assert pull.poll(2000 * zb.SLOW) and pull.recv() == b"me too", "who says hello properly comes in"
            zb.wait_until(lambda: target.stats("jobs")["frontend"]["connections"] == 1, what="the slow ones to be cut")
            zb.wait_until(lambda: sum(target.stats("jobs")["frontend"]["handshake_failures"].values()) >= 500)
        for client in clients:
            client.close()
        target.survived()


def few_descriptors():
    """A daemon of which 10 connections a side may be in their handshake, and the port of its frontend."""
    port, out = zb.free_ports(2)
    return zb.Daemon(f"""
[route few]
type = streamer
engine = wire
frontend_bind = tcp://127.0.0.1:{port}
backend_bind = tcp://127.0.0.1:{out}
handshake_ivl = 1m
""", wrap=["prlimit", "--nofile=400"]), port


def from_address(address, port, first=b""):
    """Connect from there; all of 127.0.0.0/8 are ours."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10 * zb.SLOW, source_address=(address, 0))
    Target.send(client, first)
    return client


def comes_in(client):
    """Is the handshake that CLIENT has sent answered to its end?"""
    got = b""
    while b"READY" not in got:
        try:
            more = client.recv(4096)
        except OSError:
            more = b""
        if not more:
            return False
        got += more
    return True


def test_strangers_make_room_for_each_other_where_most_come_from():
    """The only one from its address is the oldest in its handshake, and stays: those of the crowd go."""
    daemon, port = few_descriptors()
    with daemon, zb.Control(daemon) as control:
        front = lambda: control.route("few")["frontend"]
        alone = from_address("127.0.0.1", port, GREETING)
        zb.wait_until(lambda: front()["connections_accepted"] == 1)
        crowd = [from_address("127.0.0.2", port) for _ in range(25)]
        zb.wait_until(lambda: front()["connections_accepted"] == 26, 30)
        assert front()["handshake_failures"]["limited"] == 16
        alone.sendall(ready(b"PUSH"))
        assert comes_in(alone)
        for each in crowd + [alone]:
            each.close()


def test_an_address_whose_handshakes_fail_all_the_time_waits():
    """Others come in meanwhile, and the next one of that address as soon as it is quiet."""
    daemon, port = few_descriptors()
    with daemon, zb.Control(daemon) as control:
        front = lambda: control.route("few")["frontend"]

        def fails():
            strangers = [from_address("127.0.0.2", port, b"GET / HTTP/1.0\r\n\r\n") for _ in range(9)]
            for stranger in strangers:
                Target.is_cut(stranger, 10)
                stranger.close()
            return front()["handshake_failures"]["limited"] > 0

        zb.wait_until(fails, 60)
        assert front()["handshake_failures"]["greeting"] >= 200
        for address in "127.0.0.1", "127.0.0.2":
            def comes():
                with from_address(address, port, GREETING + ready(b"PUSH")) as client:
                    return comes_in(client)

            zb.wait_until(comes)


def test_a_thousand_clients_of_one_address():
    with Target() as target:
        clients = [target.join("jobs_in", b"PUSH") for _ in range(1000)]
        zb.wait_until(lambda: target.stats("jobs")["frontend"]["connections"] == 1000)
        with zmq.Context() as context, context.socket(zmq.PULL) as pull:
            pull.linger = 0
            pull.connect(target.tcp("jobs_out"))
            for number, client in enumerate(clients):
                client.sendall(frame(b"%d" % number))
            pull.rcvtimeo = zb.WAIT_MS
            assert sorted(int(pull.recv()) for _ in clients) == list(range(1000))
        for client in clients:
            client.close()
        target.survived()


@zb.limit(60 + SUBSCRIPTIONS // 5000)
def test_a_client_that_subscribes_to_everything_by_name():
    with Target(prices=f"backend_max_subscriptions = {SUBSCRIPTIONS}") as target:
        client = target.join("prices_out", b"SUB")
        client.settimeout(60 * zb.SLOW)
        for first in range(0, SUBSCRIPTIONS, 1000):
            client.sendall(b"".join(frame(b"\x01market/%07d" % i) for i in range(first, min(first + 1000, SUBSCRIPTIONS))))
        zb.wait_until(lambda: target.stats("prices")["subscriptions"] == SUBSCRIPTIONS, 60)
        each = (zb.rss(target.daemon.pid) - target.rss) / SUBSCRIPTIONS
        print(f"# {SUBSCRIPTIONS} subscriptions of one client: {each:.0f} bytes of memory for each")
        with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
            publisher.linger, publisher.rcvhwm = 0, 0
            publisher.connect(target.tcp("prices_in"))
            publisher.rcvtimeo = int(20000 * zb.SLOW)
            heard = {publisher.recv() for _ in range(SUBSCRIPTIONS)}
            assert len(heard) == SUBSCRIPTIONS
            publisher.send(b"market/%07d" % (SUBSCRIPTIONS - 1))
            got = b""
            while not got.endswith(b"market/%07d" % (SUBSCRIPTIONS - 1)):
                got += client.recv(4096)
        client.close()
        zb.wait_until(lambda: target.stats("prices")["subscriptions"] == 0, 60)
        target.survived(rss=64 * MB + 400 * SUBSCRIPTIONS)  # libzmq's tries, of which the C library keeps some


@zb.limit(90 + RECONNECTS // 100)
def test_thousands_of_reconnects():
    with Target() as target:
        for i in range(RECONNECTS - 300):
            target.throw(PORTS[i % 8], b"")
        with zmq.Context() as context:
            for i in range(300):
                with context.socket(zmq.SUB if i % 2 else zmq.PUSH) as client:
                    client.linger = 0
                    client.connect(target.tcp("prices_out" if i % 2 else "jobs_in"))
        target.survived()


def held_up(more=""):
    """A daemon whose one route soon takes nothing more, for want of a worker; and the ports of its two sides."""
    port, out = zb.free_ports(2)
    return zb.Daemon(f"""
[route held]
type = streamer
frontend_bind = tcp://127.0.0.1:{port}
backend_bind = tcp://127.0.0.1:{out}
sndhwm = 5
rcvhwm = 5
{more}
"""), port, out


def test_a_peer_breaks_off_while_it_is_held_up_and_heartbeats_go_on():
    """libzmq up to 4.3.5 aborts in the next heartbeat to a peer that broke off while its messages were not taken."""
    daemon, port, _ = held_up("frontend_heartbeat_ivl = 50ms")
    beat = b"PONG" if zb.WIRE else b"PING"  # who is not read is not asked, but told
    with daemon, zb.Control(daemon) as control:
        for _ in range(5):
            peer = Raw(port)
            peer.socket.sendall(command(b"PING", b"\0\0") + frame(b"x" * 10) * 300)
            peer.wait(beat, 2)
            peer.break_off()
        after = Raw(port)
        after.socket.sendall(command(b"PING", b"\0\0"))
        after.wait(b"PING", 10)  # ten heartbeats later
        assert daemon.running(), daemon.log()
        assert control.ask("status").startswith("zbroker ")
        after.socket.close()
        assert daemon.stop() == 0, daemon.log()


def test_a_peer_breaks_off_with_a_ping_behind_what_is_held_up():
    """The same with no heartbeats of ours: the answer to a PING that is found later comes too late. Nothing is lost by it."""
    daemon, port, out = held_up("heartbeat_ivl = 0")
    with daemon, zb.Control(daemon) as control:
        peers, each = 5, 400  # more than libzmq reads at once
        for number in range(peers):
            peer = Raw(port)
            peer.socket.sendall(command(b"PING", b"\0\0"))
            peer.socket.sendall(b"".join(frame(b"%d %d" % (number, i)) + command(b"PING", b"\0\0") for i in range(each)))
            peer.wait(b"PONG", 5)
            peer.break_off()
        Raw(port).socket.close()  # whoever comes in after them shows that their end was seen
        with zmq.Context() as context, context.socket(zmq.PULL) as pull:
            pull.linger = 0
            pull.connect(f"tcp://127.0.0.1:{out}")
            got = [[] for _ in range(peers)]
            while sum(map(len, got)) < peers * each:
                assert pull.poll(10000 * zb.SLOW), (list(map(len, got)), daemon.log())
                number, i = pull.recv().split()
                got[int(number)].append(int(i))
            assert all(one == list(range(each)) for one in got)
        zb.wait_until(lambda: control.route("held")["frontend"]["connections"] == 0)
        assert daemon.stop() == 0, daemon.log()


def test_a_client_that_has_left_gives_its_place_back_though_nobody_reads_what_it_sent():
    """However it ends: the route takes nothing more, for want of a worker, and goes on without one."""
    daemon, port, _ = held_up("engine = wire\nfrontend_max_clients = 3")
    with daemon, zb.Control(daemon) as control:
        connections = lambda: control.route("held")["frontend"]["connections"]
        for end, most in [(Raw.break_off, 200), (lambda peer: peer.socket.close(), 40)] * 2:
            peers = [Raw(port) for _ in range(3)]
            for peer in peers:
                peer.socket.sendall(b"".join(frame(b"x" * 1000) for _ in range(most)))
            zb.wait_until(lambda: connections() == 3)
            for peer in peers:
                end(peer)
            zb.wait_until(lambda: connections() == 0)
        assert control.route("held")["backend"]["messages_sent"] == 0


def test_peers_break_off_while_a_route_is_paused():
    """The end of each is seen when the route goes on, on every transport."""
    path = os.path.join(zb.folder(), "in.sock")
    daemon, port, out = held_up(f"frontend_bind = ipc://{path}")
    with daemon, zb.Control(daemon) as control, zmq.Context() as context:
        control.ask("pause held")
        for end in (f"tcp://127.0.0.1:{port}", f"ipc://{path}") * 5:
            with zmq.Context() as leaving:
                push = leaving.socket(zmq.PUSH)
                push.linger, push.sndhwm, push.immediate = 0, 5, True
                push.connect(end)
                while push.poll(100, zmq.POLLOUT):
                    push.send(b"x" * 100000)
                push.close()
        with context.socket(zmq.PULL) as pull:
            pull.linger = 0
            pull.connect(f"tcp://127.0.0.1:{out}")
            control.ask("resume held")
            zb.wait_until(lambda: control.route("held")["frontend"]["connections"] == 0 or (pull.poll(100) and pull.recv() and False), 30)
        assert daemon.stop() == 0, daemon.log()


def test_a_consumer_that_sends_and_breaks_off():
    """Nobody reads what comes in at a PUSH. What libzmq takes in of it does not hide the end of the connection; when it
    takes in no more, a heartbeat finds it, and until then whoever kicks it is told no lies."""
    front, out, in_two, two = zb.free_ports(4)
    with zb.Daemon(f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{front}
backend_bind = tcp://127.0.0.1:{out}
[route asked]
type = streamer
frontend_bind = tcp://127.0.0.1:{in_two}
backend_bind = tcp://127.0.0.1:{two}
backend_heartbeat_ivl = 300ms
backend_heartbeat_timeout = 1s
""") as daemon, zb.Control(daemon) as control:
        def connections(name):
            return control.route(name)["backend"]["connections"]

        def send_and_break_off(name, port, messages, reset):
            """So many, or as many as are taken."""
            before = control.route(name)["backend"]["connections_accepted"]
            client = socket.create_connection(("127.0.0.1", port), timeout=10 * zb.SLOW)
            client.sendall(GREETING + ready(b"PULL"))
            answer = b""
            while b"READY" not in answer:  # what is not read would make a reset of the end
                answer += client.recv(4096)
            zb.wait_until(lambda: control.route(name)["backend"]["connections_accepted"] > before, what="its connection")
            client.settimeout(0.5)
            try:
                for _ in range(messages // 500):
                    client.sendall(frame(b"x" * 10) * 500)
            except OSError:
                pass
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

        for name, port in (("jobs", out), ("asked", two)):  # they take more descriptors when the first one comes
            send_and_break_off(name, port, 0, False)
            zb.wait_until(lambda: connections(name) == 0, what="its end")
        before = zb.fds(daemon.pid)
        for reset in (False, True):
            send_and_break_off("jobs", out, 500, reset)
            zb.wait_until(lambda: connections("jobs") == 0, what=f"its end, reset {reset}")
            send_and_break_off("asked", two, 1000000, reset)
            zb.wait_until(lambda: connections("asked") == 0, 30, f"its end by a heartbeat, reset {reset}")
        zb.wait_until(lambda: zb.fds(daemon.pid) <= before, what="descriptors to be given back")
        send_and_break_off("jobs", out, 1000000, True)
        for client in control.json("show clients jobs")["clients"]:
            answer = control.ask(f"kick jobs {client['id']}")
            assert answer == f"route jobs: client {client['id']} kicked" or connections("jobs") == 0, answer
        assert daemon.stop() == 0, daemon.log()


def test_identities_that_clash():
    with Target() as target, zmq.Context() as context:
        def client():
            dealer = context.socket(zmq.DEALER)
            dealer.linger, dealer.identity, dealer.rcvtimeo = 0, b"me", int(5000 * zb.SLOW)
            dealer.connect(target.tcp("asks_in"))
            return dealer

        service = context.socket(zmq.DEALER)
        service.linger = 0
        service.connect(target.tcp("asks_out"))
        first = client()
        first.send(b"first")
        frames = service.recv_multipart()
        thieves = [client() for _ in range(20)]
        for thief in thieves:
            thief.send(b"thief")
        service.send_multipart(frames)
        assert first.recv() == b"first" and not any(thief.poll(20) for thief in thieves)
        for each in [first, service] + thieves:
            each.close()
        target.survived()


def test_commands_that_come_out_of_turn():
    with Target() as target:
        odd = [command(b"PING", b"\0\x01" + b"c" * 200), command(b"PONG", b""), command(b"ERROR", b"\xffx"), command(b"SUBSCRIBE", b"a"),
               command(b"CANCEL", b"b"), command(b"", b""), b"\x04\x00", b"\x04\x01\xff", command(b"READY", b""), command(b"HELLO", bytes(500)),
               command(b"PING", b""), b"\x05\x03abc", b"\x08\x01a", b"\xf8\x01a", b"\x00\x00" * 1000]
        for name, kind in (("jobs_in", b"PUSH"), ("asks_in", b"DEALER"), ("prices_in", b"PUB"), ("prices_out", b"SUB"), ("asks_out", b"REP")):
            for data in odd:
                with target.join(name, kind) as client:
                    target.send(client, data)
                target.throw(name, GREETING + data)
                target.throw(name, GREETING + ready(kind) + data)
        target.throw("jobs_in", GREETING + ready(b"PUSH", b"\x08Identity" + struct.pack(">I", 300) + b"i" * 300))
        target.throw("asks_in", GREETING + ready(b"DEALER", b"\x08Identity" + struct.pack(">I", 70000) + b"\0" * 70000))
        target.throw("asks_in", GREETING + ready(b"NOSUCHTYPE"))
        target.survived()


# --- a crowd of all kinds ----------------------------------------------------------------------------------------------

class Nuisance:
    """One hostile connection: what it sends first, and then again and again, as long as it is let."""

    def __init__(self, port, kind, first, again, reads):
        self.port, self.first, self.again, self.reads = port, (GREETING + ready(kind) if kind else b"") + first, again, reads
        self.connections, self.socket = 0, None
        self.connect()

    def connect(self):
        if self.socket:
            self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=10 * zb.SLOW)
        self.socket.setblocking(False)
        self.connections += 1
        self.out = self.first

    def turn(self):
        try:
            if self.reads:
                while True:
                    if not self.socket.recv(65536):
                        return self.connect()
        except BlockingIOError:
            pass
        except OSError:
            return self.connect()
        try:
            self.out = self.out[self.socket.send(self.out):] if self.out else self.again
        except BlockingIOError:
            pass
        except OSError:
            self.connect()


# What it is, where it comes, as which socket, what it sends first and then, does it read?
KINDS = (
    ("says nothing", "asks_in", None, b"", b"", True),
    ("stops in its greeting", "asks_out", None, GREETING[:30], b"", True),
    ("is no ZMTP", "prices_in", None, b"GET / HTTP/1.0\r\n\r\n", b"", True),
    ("has a type that does not fit", "jobs_in", b"SUB", b"", b"", True),
    ("never ends its message", "asks_in", b"DEALER", b"", frame(b"x" * 200, more=True), True),
    ("announces more than it sends", "asks_in", b"DEALER", b"\x02" + struct.pack(">Q", 60000) + b"x" * 59000, b"", True),
    ("is too large", "asks_in", b"DEALER", b"\x02" + struct.pack(">Q", 1 << 40), b"", True),
    ("pings", "asks_in", b"DEALER", b"", command(b"PING", b"\0\x01" + b"c" * 16) * 20, False),
    ("publishes as much as it can", "prices_in", b"PUB", b"", frame(b"junk" * 50) * 100, True),
    ("subscribes and never reads", "prices_out", b"SUB", frame(b"\x01"), b"", False),
    ("subscribes and cancels", "prices_out", b"SUB", b"", (frame(b"\x01topic") + frame(b"\x00topic")) * 200, True),
    ("asks and never reads", "asks_in", b"DEALER", frame(b"") + frame(b"?") * 100, b"", False),
)


def polite_producers(target, messages):
    """Fifty of them, who measure how long each message takes."""
    return zb.spawn(zb.program("zbroker-bench") + ["pushpull", "--to", target.tcp("jobs_in"), "--from", target.tcp("jobs_out"), "-q", "-p", "50",
                    "--rate", "5000", "--messages", f"{messages}", "--wait", "60", "--settle", "60"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@zb.limit(180 + CROWD // 5)
def test_a_crowd_of_all_kinds_keeps_nobody_polite_waiting():
    """Fifty polite producers go through the same process, and what all of them take with engine wire stays within max_memory."""
    limit = 64 * MB
    bound = limit * 1.25 + (256 * MB if zb.HEAVY > 1 else 0)  # which sanitizers keep of what was freed
    if not zb.WIRE:
        bound = math.inf  # max_memory is what engine wire keeps
    with Target("maxmsgsize = 64k", process=f"max_memory = {limit}") as target:
        alone = polite_producers(target, 20000).communicate()[0]
        print("# without the crowd, which is what this machine can do now:\n# " + alone.replace("\n", "\n# "))
        before, most = zb.rss(target.daemon.pid), 0
        bench = polite_producers(target, 60000)
        zb.wait_until(lambda: target.stats("jobs")["frontend"]["connections"] == 50, 60)
        crowd = [Nuisance(target.port[where], *rest) for _, where, *rest in (KINDS[i % len(KINDS)] for i in range(CROWD))]
        turns = 0
        while bench.poll() is None:
            for each in crowd:
                each.turn()
            turns += 1
            most = max(most, zb.rss(target.daemon.pid))
        said = bench.stdout.read()
        failures = {name: target.stats(name)["frontend"]["handshake_failures"] for name in ("jobs", "asks", "prices")}
        print(f"# {CROWD} hostile connections, {sum(each.connections for each in crowd)} in all, {turns} turns; {(most - before) >> 20} MiB more at most")
        print("#", {name: {why: count for why, count in each.items() if count} for name, each in failures.items()})
        print("# " + said.replace("\n", "\n# "))
        assert bench.returncode == 0, said
        for each in crowd:
            each.socket.close()
        assert most - before < bound * zb.HEAVY, (most - before) >> 20
        target.survived(rss=bound)


# --- addresses ---------------------------------------------------------------------------------------------------------

def need_ws():
    if not zmq.has("WS") and not zmq.has("ws"):
        raise zb.Skip("this libzmq has no ws")


def test_a_denied_address_is_sent_away_before_a_byte_is_said():
    ports = zb.free_ports(2)
    with zb.Daemon(f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
frontend_deny = 127.0.0.0/8
backend_bind = tcp://127.0.0.1:{ports[1]}
security = none
""") as daemon, zb.Control(daemon) as control:
        with socket.create_connection(("127.0.0.1", ports[0]), timeout=10 * zb.SLOW) as client:
            assert client.recv(1000) == b"", "a greeting"
        daemon.wait_log(r"auth: route jobs frontend: 127\.0\.0\.1 null refused, address event=auth-refused .* reason=address")
        zb.wait_until(lambda: control.route("jobs")["frontend"]["handshake_failures"]["auth"] == 1)
        side = control.route("jobs")["frontend"]
        assert side["auth"] == {"success": 0, "failure": 1} and side["disconnections"] == 0, side
        with socket.create_connection(("127.0.0.1", ports[1]), timeout=10 * zb.SLOW) as client:
            assert client.recv(1) == SIGNATURE[:1], "the other side has no such line"
        assert daemon.stop() == 0, daemon.log()


def test_addresses_hold_for_websockets_without_a_mechanism():
    need_ws()
    ports = zb.free_ports(2)
    ini = f"""
[route jobs]
type = streamer
frontend_bind = ws://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
security = none
"""
    file = zb.write(zb.folder() + "/zbroker.ini", ini)
    with zb.Daemon(file) as daemon, zmq.Context() as context, zb.peer(context, zmq.PULL, f"tcp://127.0.0.1:{ports[1]}") as pull:
        def change(line):
            zb.write(file, ini + line)
            assert daemon.ctl("reload").returncode == 0, daemon.log()

        pull.rcvtimeo = zb.WAIT_MS
        with WebSocket(ports[0]) as before:
            before.send(b"\0before")
            assert pull.recv() == b"before"
            change("frontend_deny = 127.0.0.0/8\n")
            assert before.ends(), "its address was taken away"
        refused = 0
        for line in ("frontend_deny = 127.0.0.0/8\n", "frontend_allow = 192.0.2.0/24\n"):
            change(line)
            try:
                WebSocket(ports[0]).send(b"\0denied")
            except ConnectionError:
                refused += 1
        assert refused == 2
        change("frontend_allow = 127.0.0.1\n")
        with WebSocket(ports[0]) as after:
            after.send(b"\0after")
            assert pull.recv() == b"after"
        assert daemon.stop() == 0, daemon.log()


def test_a_websocket_waits_where_a_side_is_full():
    need_ws()
    ports = zb.free_ports(2)
    with zb.Daemon(f"""
[route jobs]
type = streamer
frontend_bind = ws://127.0.0.1:{ports[0]}
frontend_max_clients = 1
backend_bind = tcp://127.0.0.1:{ports[1]}
""") as daemon:
        with WebSocket(ports[0]):
            daemon.wait_log("event=side-full route=jobs side=frontend")
            with socket.socket() as second:
                second.setblocking(False)
                second.connect_ex(("127.0.0.1", ports[0]))
                assert not select.select([], [second], [], 0.2)[1], "the kernel answers it"
        daemon.wait_log("event=side-room route=jobs side=frontend")
        with WebSocket(ports[0]):
            pass
        assert daemon.stop() == 0, daemon.log()


if not os.path.exists("/proc/self/fd"):
    print("1..0 # SKIP no /proc here")
else:
    zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Every message is accounted for: what a route has received was delivered or dropped for a reason that is counted.

Numbered messages of eight peers a side, over tcp and ipc, while peers are kicked and come back, workers die with messages that
they have not read, others leave and read on to the end, and the route is re-created by reloads. ZB_EXACT is the number of
messages of each run, ZB_SEED what happens in which order.

A peer here is a socket of ours, which knows to the byte what it got. What a peer's system has acknowledged counts as delivered."""

import array
import collections
import fcntl
import os
import random
import re
import select
import socket
import struct
import termios
import time

import zb
import zmq
import zmtp

MESSAGES = int(os.environ.get("ZB_EXACT", "20000"))
SEED = int(os.environ.get("ZB_SEED", time.time_ns() % 100000))
PEERS = 8
EVENT_EVERY = max(250, MESSAGES // 400)  # messages
BODY = struct.Struct("<HHI8s")  # sender, its connection, number, what shows that it is whole
FRAME = 2 + BODY.size
ID = 15  # the frame of a routing id of the broker's own
LAZY = 20  # turns of which a lazy peer has one
ACKNOWLEDGED = 0.3  # seconds after which a system has acknowledged what it has


class Peer:
    """One socket that connects again whenever it is cut."""

    lazy = False

    def __init__(self, number, endpoint, kind, skip=0):
        self.number, self.endpoint, self.kind, self.skip = number, endpoint, kind, skip
        self.generation, self.socket = -1, None
        self.delivered = 0
        self.connect()

    def connect(self):
        """A PAIR is not let in until the one before it is known to have gone."""
        zb.wait_until(self.is_let_in)
        self.rest, self.out = b"", b""
        self.generation += 1
        self.came()

    def is_let_in(self):
        if self.endpoint.startswith("ipc"):
            made = socket.socket(socket.AF_UNIX)
            made.connect(self.endpoint[len("ipc://"):])
        else:
            host, port = self.endpoint[len("tcp://"):].split(":")
            made = socket.create_connection((host, int(port)))
        made.settimeout(10 * zb.SLOW)
        made.sendall(zmtp.GREETING + zmtp.ready(self.kind))
        said = b""
        while b"READY" not in said or len(said) < 64 + 2 + said[65]:
            more = made.recv(64 + 2 + said[65] - len(said) if len(said) > 65 else 66 - len(said))
            if not more:
                made.close()
                return False
            said += more
        made.setblocking(False)
        self.socket = made
        return True

    def came(self):
        pass

    def size(self):
        return self.skip + FRAME

    def read(self, run):
        """What is there. False: it has come to an end."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self.take(run, data)
        return bool(data)

    def take(self, run, data):
        data = self.rest + data
        whole = len(data) - len(data) % self.size()
        self.rest = data[whole:]
        for at in range(self.skip, whole, self.size()):
            if data[at] or data[at + 1] != BODY.size:
                raise AssertionError(f"no frame: {data[at - self.skip:at + FRAME]!r}")
            sender, generation, number, check = BODY.unpack_from(data, at + 2)
            assert check == b"%08x" % (number ^ 0x5a5a5a5a), f"not whole: {data[at:at + FRAME]!r}"
            run.delivered(self, sender, generation, number)
        if whole:
            self.delivered += whole // self.size()
            self.answer(data[:whole])

    def answer(self, data):
        pass

    def write(self):
        """False: it has come to an end."""
        if not self.out:
            return True
        try:
            self.out = self.out[self.socket.send(self.out):]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def unread(self):
        waiting = array.array("i", [0])
        fcntl.ioctl(self.socket, termios.FIONREAD, waiting)
        return waiting[0]

    def die(self, run):
        """At once. What its system has acknowledged, and nobody reads any more, was delivered."""
        waiting = self.unread()
        data = self.socket.recv(waiting, socket.MSG_PEEK) if waiting else b""
        assert len(data) == waiting, (len(data), waiting)
        self.take(run, data)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Sender(Peer):
    def __init__(self, *args, quota=0):
        self.next, self.quota = 0, quota
        super().__init__(*args)

    def fill(self):
        if self.out or self.next >= self.quota:
            return
        last = min(self.next + 200, self.quota)
        self.out = b"".join(zmtp.frame(BODY.pack(self.number, self.generation, number, b"%08x" % (number ^ 0x5a5a5a5a)))
                            for number in range(self.next, last))
        self.next = last

    def is_done(self):
        return self.next >= self.quota and not self.out


class Worker(Peer):
    """It sends back what it got."""

    def answer(self, data):
        self.out += data


class Subscriber(Peer):
    def came(self):
        self.socket.sendall(zmtp.frame(b"\x01"))


class Run:
    """One route, its peers, and what became of the messages."""

    EVENTS = ("kick",) * 6 + ("recreate",) * 2 + ("die", "leave", "leave")

    def __init__(self, kind, transport, senders, receivers, skip=0, more="", peers=PEERS, stable=0):
        self.random, self.skip = random.Random(f"{SEED} {kind} {transport}"), skip
        folder = zb.folder()
        ends = [f"ipc://{folder}/{side}" for side in "fb"] if transport == "ipc" else [f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2)]
        self.ini = lambda backlog: f"""
[route r]
type = {kind}
engine = wire
frontend_bind = {ends[0]}
backend_bind = {ends[1]}
backlog = {backlog}
{more}
"""
        self.daemon, self.backlog = zb.Daemon(self.ini(100)), 100
        self.control = zb.Control(self.daemon)
        self.seen, self.events = collections.defaultdict(set), collections.Counter()
        self.leaving = []
        self.twice = self.late = self.gaps = self.turns = 0
        self.newest = {}
        make, name = receivers
        self.stable = [make(number, ends[1], name, skip) for number in range(stable)]
        self.spared = {each["id"] for each in self.clients()}
        self.receivers = self.stable + [make(number, ends[1], name, skip) for number in range(stable, peers)]
        make, name = senders
        self.senders = [make(number, ends[0], name, 0, quota=MESSAGES // peers) for number in range(peers)]

    def clients(self):
        return self.control.json("show clients r")["clients"]

    def way_of(self, peer, sender, generation):
        """What must not bring the same number twice."""
        return (peer in self.senders, sender, generation)

    def delivered(self, peer, sender, generation, number):
        way = self.way_of(peer, sender, generation)
        numbers = self.seen[way]
        if number in numbers:
            self.twice += 1
        numbers.add(number)
        if peer in self.senders:
            return  # each worker answers in its own time
        pair = (peer, peer.generation, way)
        last = self.newest.get(pair)
        self.late += last is not None and number < last
        self.gaps += last is not None and number > last + 1
        self.newest[pair] = number

    # --- what happens ---

    def ask(self, line):
        answer = self.control.ask(line)
        assert not answer.startswith("error"), (line, answer)
        return answer

    def kick(self):
        clients = [each for each in self.clients() if each["id"] not in self.spared]
        if clients:
            self.control.ask(f"kick r {self.random.choice(clients)['id']}")  # it may have gone

    def recreate(self):
        self.backlog = 300 - self.backlog
        zb.write(self.daemon.file, self.ini(self.backlog))
        self.ask("reload")

    def die(self):
        """While nothing passes, so that it is known what its system has."""
        self.ask("pause r")
        time.sleep(ACKNOWLEDGED)
        peer = self.random.choice(self.receivers[len(self.stable):])
        peer.die(self)
        self.ask("resume r")
        peer.connect()

    def leave(self):
        """It sends no more, and reads what is still on its way."""
        peer = self.random.choice(self.receivers[len(self.stable):])
        try:
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it was cut, and has not noticed yet
        self.leaving.append((peer.socket, peer, peer.rest, peer.generation))
        peer.connect()

    def happen(self):
        event = self.random.choice(self.EVENTS)
        self.events[event] += 1
        getattr(self, event)()

    # --- the loop ---

    def peers(self):
        return self.senders + self.receivers

    def turn(self, seconds=0.01):
        for sender in self.senders:
            sender.fill()
        self.turns += 1
        by_fd = {peer.socket.fileno(): peer for peer in self.peers() if not peer.lazy or self.turns % LAZY == 0}
        writing = [fd for fd, peer in by_fd.items() if peer.out]
        readable, writable, _ = select.select(list(by_fd), writing, [], seconds)
        for fd in set(readable + writable):
            peer = by_fd[fd]
            over = fd in readable and not peer.read(self)
            if not over and fd in writable and not peer.write():
                while peer.read(self):
                    pass
                over = True
            if over:
                peer.socket.close()
                peer.connect()

    def read_leaving(self):
        for at, peer, rest, generation in self.leaving:
            at.settimeout(10 * zb.SLOW)
            data = rest
            try:
                while more := at.recv(1 << 18):
                    data += more
            except ConnectionError:
                pass
            at.close()
            now, peer.rest, peer.generation = (peer.rest, peer.generation), b"", generation
            answers, peer.answer = peer.answer, lambda data: None
            peer.take(self, data)
            (peer.rest, peer.generation), peer.answer = now, answers
        self.leaving = []

    def books(self):
        route = self.control.route("r")
        front, back = route["frontend"], route["backend"]
        return {"received": front["messages_received"], "answers": back["messages_received"], "delivered": sum(peer.delivered for peer in self.receivers),
                "answered": sum(peer.delivered for peer in self.senders), "dropped": {why: count for why, count in route["dropped"].items() if count},
                "queued": front["queued_messages"] + back["queued_messages"], "requeued": route["messages_requeued"], "twice": self.twice, "late": self.late}

    def settle(self):
        """Until nothing moves any more. The books as they are then."""
        before, since, end = None, 0, time.monotonic() + 2 * zb.SLOW
        while time.monotonic() < end:
            self.turn()
            books = self.books()
            if books != before:
                before, since = books, time.monotonic()
            still = time.monotonic() - since
            if still > 0.3 and self.missing(books) == 0 and books["queued"] == 0:
                break
        return books

    def missing(self, books):
        return books["received"] + books["answers"] - books["delivered"] - books["answered"] - sum(books["dropped"].values())

    def go(self):
        next_event = EVENT_EVERY
        while not all(sender.is_done() for sender in self.senders):
            self.turn()
            if sum(sender.next for sender in self.senders) >= next_event:
                self.happen()
                self.read_leaving()
                next_event += EVENT_EVERY
        for peer in self.peers():
            peer.lazy = False
        return self.settle()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for peer in self.peers():
            peer.socket.close()
        self.control.close()
        self.daemon.kill()


def account(kind, transport, *args, **options):
    with Run(kind, transport, *args, **options) as run:
        books = run.go()
        print(f"# {kind} {transport} (ZB_SEED={SEED}): {dict(run.events)}, {books}, missing {run.missing(books)}", flush=True)
        assert run.missing(books) == 0 and books["queued"] == 0 and books["twice"] == 0, books
        assert books["late"] <= books["requeued"], books


class Fan(Run):
    """Of a forwarder, where each subscriber gets all."""

    def way_of(self, peer, sender, generation):
        return (peer, peer.generation, sender, generation)

    def missing(self, books):
        return 0  # one message is delivered several times


def fan(transport, more, events, peers_stable, lazy=0):
    with Fan("forwarder", transport, (Sender, b"PUB"), (Subscriber, b"SUB"), more=more, stable=peers_stable) as run:
        run.EVENTS = events
        zb.wait_until(lambda: [each["subscriptions"] for each in run.clients() if each["side"] == "backend"] == [1] * PEERS)
        for each in run.receivers[:lazy]:
            each.lazy = True
        books = run.go()
        books["each"] = [each.delivered for each in run.receivers]
        print(f"# forwarder {transport} (ZB_SEED={SEED}): {dict(run.events)}, {books}, gaps {run.gaps}", flush=True)
        assert books["queued"] == 0 and books["twice"] == 0 and books["late"] == 0, books
        return run, books


def nothing_is_missed(transport):
    """With xpub_nodrop: those that stay get all, and those that come and go all of their time."""
    run, books = fan(transport, "backend_xpub_nodrop = yes", Run.EVENTS, PEERS // 2)
    assert books["each"][:PEERS // 2] == [books["received"]] * (PEERS // 2), books
    assert run.gaps == 0, run.gaps


def what_is_missed_is_counted(transport):
    """Without: two of the subscribers read so slowly that their queues are full."""
    small = "backend_sndhwm = 100\nbackend_sndbuf = 4k\n"
    run, books = fan(transport, small, ("kick", "recreate"), PEERS, lazy=2)
    assert sum(books["each"]) + books["dropped"].get("hwm", 0) == PEERS * books["received"], books
    assert books["dropped"].get("hwm", 0) > 0, books


LIMIT = 60 + MESSAGES // 2000


# --- one to one -----------------------------------------------------------------------------------------------------------

KINDS = {
    "streamer": dict(senders=(Sender, b"PUSH"), receivers=(Peer, b"PULL")),
    "pipeline": dict(senders=(Sender, b"SCATTER"), receivers=(Peer, b"GATHER")),
    "pair": dict(senders=(Sender, b"PAIR"), receivers=(Peer, b"PAIR"), peers=1),
    "queue": dict(senders=(Sender, b"DEALER"), receivers=(Worker, b"DEALER"), skip=ID),
}


@zb.limit(LIMIT)
def test_a_streamer_over_tcp():
    account("streamer", "tcp", **KINDS["streamer"])



@zb.limit(LIMIT)
def test_a_streamer_over_ipc():
    account("streamer", "ipc", **KINDS["streamer"])



@zb.limit(LIMIT)
def test_a_pipeline_over_tcp():
    account("pipeline", "tcp", **KINDS["pipeline"])



@zb.limit(LIMIT)
def test_a_pipeline_over_ipc():
    account("pipeline", "ipc", **KINDS["pipeline"])



@zb.limit(LIMIT)
def test_a_pair_over_tcp():
    account("pair", "tcp", **KINDS["pair"])



@zb.limit(LIMIT)
def test_a_pair_over_ipc():
    account("pair", "ipc", **KINDS["pair"])



@zb.limit(LIMIT)
def test_a_queue_over_tcp():
    account("queue", "tcp", **KINDS["queue"])



@zb.limit(LIMIT)
def test_a_queue_over_ipc():
    account("queue", "ipc", **KINDS["queue"])


# --- one to all -----------------------------------------------------------------------------------------------------------


@zb.limit(LIMIT)
def test_a_forwarder_that_waits_over_tcp():
    nothing_is_missed("tcp")



@zb.limit(LIMIT)
def test_a_forwarder_that_waits_over_ipc():
    nothing_is_missed("ipc")



@zb.limit(LIMIT)
def test_a_forwarder_that_drops_over_tcp():
    what_is_missed_is_counted("tcp")



@zb.limit(LIMIT)
def test_a_forwarder_that_drops_over_ipc():
    what_is_missed_is_counted("ipc")


def test_what_a_drain_could_not_deliver_is_counted_once():
    """The worker takes nothing. What was read ahead for it in the drain is lost, and not given to its queue afterwards."""
    with zb.Route("streamer", "backend_sndhwm = 50\nbackend_sndbuf = 8k\nfrontend_rcvhwm = 20", process="drain_timeout = 300ms") as route, \
            zb.Control(route.daemon) as control:
        front = [route.front(zmq.PUSH, sndhwm=0) for _ in range(3)]
        stuck = route.back(zmq.PULL, rcvhwm=1, rcvbuf=4096)
        route.wait_clients("backend", 1)
        route.wait_clients("frontend", 3)
        for number in range(600):
            front[number % 3].send(b"x" * 5000)
        zb.wait_until(lambda: route.stats()["blocked"])
        answer = control.ask("disable r")
        counted = route.stats()
        lost = int(re.fullmatch(r"route r: disabled, (\d+) messages undelivered", answer).group(1))
        assert lost == counted["dropped"]["shutdown"] and not stuck.closed
        assert counted["frontend"]["messages_received"] == counted["backend"]["messages_sent"] + lost, (answer, counted)
        assert counted["dropped"]["peer_lost"] <= counted["backend"]["messages_sent"], counted["dropped"]


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""One script, two engines: peers see the same through engine wire as through libzmq's own loop.

A script is a route, its peers and what each of them does, as data. It is played through two routes of one daemon that
differ in `engine' alone, over each of WAYS, and what every peer heard is compared. Where ZeroMQ promises no order (which
worker is the first, how producers take turns) the script has a view that keeps what is promised.

ZB_SCRIPTS is how many random scripts of a kind are played; ZB_SEED is where they begin."""

import collections
import functools
import os
import random
import typing

import zmq
import zmq.utils.monitor
import zb

WAIT = zb.WAIT_MS
SCRIPTS = int(os.environ.get("ZB_SCRIPTS", "3"))
SEED = int(os.environ.get("ZB_SEED", "1"))

# Each frame that has a form of its own on the wire, alone and between others.
SHAPES = ([[b"x" * size] for size in (0, 1, 2, 7, 254, 255, 256, 257, 4095, 4096, 8191, 8192, 8193, 65535, 65536, 70000, 3 << 20)]
          + [[b"", b""], [b"a", b"", b"b"], [b"", b"a"], [b"a", b""], [b""] * 9, [b"\0"], [b"\1"], [b"\0" * 300, b"\1", b"\2"]]
          + [[b"%d" % i for i in range(100)], [b"x" * 60000, b"", b"y" * 300000, b"z"]])


# --- how peers and route meet -------------------------------------------------------------------------------------------

class Way(typing.NamedTuple):
    transport: str
    security: str  # of wire: libzmq's loop knows none, and what peers see does not depend on it
    route_does: str  # bind or connect


WAYS = (Way("tcp", "none", "bind"), Way("ipc", "none", "bind"), Way("tcp", "none", "connect"),
        Way("tcp", "plain", "bind"), Way("tcp", "curve", "bind"), Way("ipc", "curve", "bind"))
OPEN = tuple(way for way in WAYS if way.security == "none")


class Secrets:
    """What a route wants of its peers: its lines, and the options of their sockets."""

    def __init__(self, security, folder):
        make = {"none": self.none, "plain": self.plain, "curve": zb.curve}
        self.lines, self.options = make[security](folder)

    @staticmethod
    def none(folder):
        return "security = none", {}

    @staticmethod
    def plain(folder):
        line = zb.run("password", "me", name="zbroker-keygen", stdin="secret\n").stdout
        users = zb.write(f"{folder}/users", line, 0o600)
        return f"security = plain\nusers = {users}", {"plain_username": b"me", "plain_password": b"secret"}


def connections(endpoint, far=False):
    """How many connections of ENDPOINT the route has not closed. FAR: the peer listens there."""
    if endpoint.startswith("ipc://"):
        rows = (line.split() for line in zb.read("/proc/net/unix").splitlines()[1:])
        return sum(row[5] == "03" and row[7:] == [endpoint[len("ipc://"):]] for row in rows)  # connected
    port = f":{int(endpoint.rsplit(':', 1)[1]):04X}"
    rows = (line.split() for name in ("tcp", "tcp6") for line in zb.read(f"/proc/net/{name}").splitlines()[1:])
    return sum(row[2 if far else 1].endswith(port) and row[3] in ("01", "08") for row in rows)  # established, close-wait


# --- a script and its actors --------------------------------------------------------------------------------------------

class Peer(typing.NamedTuple):
    kind: int
    side: str
    options: dict = {}


class Script(typing.NamedTuple):
    route: str
    peers: dict  # name: Peer
    steps: list  # (who, verb, ...), see Play
    view: typing.Callable = dict  # what is compared, of {name: messages that it heard}
    ways: tuple = WAYS
    reference: str = ""  # a line for libzmq's route alone


class Play:
    """A script on one route. The verbs are the methods without an underscore: do (who, verb, what...)."""

    def __init__(self, script, way, endpoint_of, options):
        self._script, self._way, self._endpoint_of, self._options = script, way, endpoint_of, options
        self._context, self._sockets, self._marks = zmq.Context(), {}, 0
        self.heard = collections.defaultdict(list)

    def run(self):
        try:
            for who, verb, *what in self._script.steps:
                getattr(self, verb)(who, *what)
        finally:
            self._context.destroy(0)
        return self._script.view(dict(self.heard))

    def _take(self, who, record=True):
        for _ in range(WAIT // 10):
            if self._sockets[who].poll(10):
                break
            for each in self._sockets.values():
                each.getsockopt(zmq.EVENTS)  # a socket looks after its new connections only when it is used
        message = self._sockets[who].recv_multipart(zmq.NOBLOCK)
        if record:
            self.heard[who].append(message)
        return message

    def _first_of(self, names):
        """Whoever has a message first."""
        poller = zmq.Poller()
        for name in names:
            poller.register(self._sockets[name], zmq.POLLIN)
        ready = dict(poller.poll(WAIT))
        assert ready, f"nothing comes to {names}"
        return next(name for name in names if self._sockets[name] in ready)

    def comes(self, who):
        peer, endpoint = self._script.peers[who], self._endpoint_of(who)
        made = self._sockets[who] = self._context.socket(peer.kind)
        made.linger, made.rcvtimeo, made.sndtimeo, made.reconnect_ivl = WAIT, WAIT, WAIT, 20
        for name, value in {**self._options, **peer.options}.items():
            setattr(made, name, value)
        monitor = made.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        monitor.rcvtimeo = WAIT
        (made.bind if self._way.route_does == "connect" else made.connect)(endpoint)
        zmq.utils.monitor.recv_monitor_message(monitor)
        made.disable_monitor()
        monitor.close()

    def goes(self, who):
        far = self._way.route_does == "connect"
        endpoint, gone = self._endpoint_of(who), self._sockets.pop(who)
        before = connections(endpoint, far)
        gone.close()
        zb.wait_until(lambda: connections(endpoint, far) < before, what=f"the end of {who}")

    def sends(self, who, messages):
        for message in messages:
            self._sockets[who].send_multipart(message)

    def takes(self, who, count):
        for _ in range(count):
            self._take(who)

    def takes_until(self, who, last):
        while self._take(who)[0] != last:
            pass

    def share(self, names, count):
        """Take COUNT messages together."""
        for _ in range(count):
            self._take(self._first_of(names))

    def reaches(self, who, names):
        """Send until each of NAMES has got something: from there on all of them are known to the route."""
        missing = set(names)
        while missing:
            self._sockets[who].send(b"who is there?")
            name = self._first_of(names)
            self._take(name, record=False)
            missing.discard(name)

    def echoes(self, who, count):
        for _ in range(count):
            self._sockets[who].send_multipart(self._take(who))

    def echo(self, names, count):
        """Take COUNT requests together and answer them."""
        for _ in range(count):
            self.echoes(self._first_of(names), 1)

    def is_served_by(self, who, names):
        """Ask until each of NAMES has answered: from there on all of them are known to the route."""
        missing = set(names)
        while missing:
            self._sockets[who].send_multipart([b"", b"who is there?"])
            name = self._first_of(names)
            self._sockets[name].send_multipart(self._take(name, record=False))
            self._take(who, record=False)
            missing.discard(name)

    def asks(self, who, messages, service):
        """One request after the other, each of which SERVICE echoes."""
        for message in messages:
            self._sockets[who].send_multipart(message)
            self.echoes(service, 1)
            self._take(who)

    def answers(self, who, order):
        """Answer what was heard, the newest last, in this ORDER."""
        held = self.heard[who][-len(order):]
        for i in order:
            self._sockets[who].send_multipart(held[i])

    def subscribes(self, who, topic):
        self._sockets[who].subscribe(topic)

    def unsubscribes(self, who, topic):
        self._sockets[who].unsubscribe(topic)

    def is_heard_by(self, who, publisher):
        """What WHO has subscribed to has come to PUBLISHER, which hears all that comes before."""
        self._marks += 1
        mark = b"~%d" % self._marks
        if self._script.peers[who].kind == zmq.SUB:
            self._sockets[who].subscribe(mark)
        else:
            self._sockets[who].send(b"\1" + mark)
        self.takes_until(publisher, b"\1" + mark)

    def is_seen_by(self, who, subscriber, message):
        """Send it until SUBSCRIBER gets it, and let it take all of them."""
        sent = 0
        while not self._sockets[subscriber].poll(20):
            self._sockets[who].send_multipart(message + [b"%d" % sent])
            sent += 1
        while self._take(subscriber, record=False)[-1] != b"%d" % (sent - 1):
            pass

    def drains(self, who, publisher, last):
        """Read all that waits for it, and publish LAST until that comes."""
        while not self.heard[who] or self.heard[who][-1] != [last]:
            self._sockets[publisher].send(last)
            while self._sockets[who].poll(20):
                self._take(who)


ENGINES = ("zmq_proxy", "wire")


class Stage:
    """A daemon with two routes that differ in their engine."""

    def __init__(self, script, way):
        self.script, self.way, self.folder = script, way, zb.folder()
        self.secrets = {"zmq_proxy": Secrets("none", self.folder), "wire": Secrets(way.security, self.folder)}
        self.ends = {}  # (engine, side or peer): endpoint
        self.daemon = zb.Daemon("".join(map(self.route, ENGINES)))

    def new_end(self, key):
        self.ends[key] = f"tcp://127.0.0.1:{zb.free_port()}" if self.way.transport == "tcp" else f"ipc://{self.folder}/{len(self.ends)}"
        return self.ends[key]

    def route(self, engine):
        lines = [f"[route {engine}]", f"engine = {engine}", "reconnect_ivl = 20ms", self.script.route, self.secrets[engine].lines]
        if engine == "zmq_proxy":
            lines.append(self.script.reference)
        if self.way.route_does == "connect":
            lines += [f"{peer.side}_connect = {self.new_end((engine, name))}" for name, peer in self.script.peers.items()]
        else:
            lines += [f"{side}_bind = {self.new_end((engine, side))}" for side in ("frontend", "backend")]
        return "\n".join(lines) + "\n"

    def play(self, engine):
        def endpoint_of(who):
            return self.ends[engine, who if self.way.route_does == "connect" else self.script.peers[who].side]

        try:
            return Play(self.script, self.way, endpoint_of, self.secrets[engine].options).run()
        except zmq.Again as late:
            raise AssertionError(f"{self.way}, {engine}: nothing comes any more") from late


def short(value):
    """Without the middle of its long frames."""
    if isinstance(value, list):
        return list(map(short, value))
    return value if len(value) < 40 else value[:10] + b"... %d" % len(value)


def difference(reference, wire):
    """The first one, in words."""
    for who in sorted(set(reference) | set(wire), key=str):
        expected, got = reference.get(who), wire.get(who)
        if expected == got:
            continue
        if not isinstance(expected, list) or not isinstance(got, list):
            return f"{who}: {expected!r} and {got!r}"
        i = next((i for i, (one, other) in enumerate(zip(expected, got)) if one != other), min(len(expected), len(got)))
        return f"{who}, message {i} of {len(expected)} and {len(got)}: {short(expected[i:i + 2])} and {short(got[i:i + 2])}"
    return None


def compare(script):
    for way in script.ways:
        stage = Stage(script, way)
        with stage.daemon:
            reference, wire = map(stage.play, ENGINES)
            found = difference(reference, wire)
            assert not found, f"{way}: {found}"
            assert any(reference.values()), "nobody heard anything"


# --- views --------------------------------------------------------------------------------------------------------------

def whichever(*names):
    """Who of them is the first is not promised: only what each of them hears is."""
    def view(heard):
        rest = {name: heard[name] for name in heard if name not in names}
        return {**rest, "each of " + ", ".join(names): sorted(heard.get(name, []) for name in names)}
    return view


def by_sender(heard):
    """How senders take turns is not promised: only the order of what each of them sent is. The first byte says whose it is."""
    view = collections.defaultdict(list)
    for name, messages in heard.items():
        for message in messages:
            view[name, message[0][:1]].append(message)
    return dict(view)


def in_any_order(*names):
    return lambda heard: {name: sorted(heard[name]) if name in names else heard[name] for name in heard}


def without_cancellations(heard):
    """libzmq forgets them where a topic was subscribed to more often than cancelled: zbroker.ini(5), xpub_verbose."""
    return {name: [message for message in messages if not message[0].startswith(b"\0")] for name, messages in heard.items()}


def without_ids(heard):
    """Ids that the route gave are numbers in the order in which they came up."""
    numbers = {}

    def named(frame):
        return b"id %d" % numbers.setdefault(frame, len(numbers)) if frame[:1] == b"\0" and len(frame) in (5, 13) else frame

    return {name: [list(map(named, message)) for message in messages] for name, messages in heard.items()}


def is_honest_about_losses(heard):
    """A subscriber that is slow misses some in the middle, and nothing else."""
    numbers = {name: [int(message[0].split()[1]) for message in messages if message[0] != b"end"]
               for name, messages in heard.items() if name != "p"}
    slow = numbers["slow"]
    return {"fast": numbers["fast"], "slow": {
        "in order": slow == sorted(set(slow)),
        "the first ones": slow[:SLOW_HWM] == list(range(SLOW_HWM)),
        "some are missing": len(slow) < len(numbers["fast"]),
        "goes on": heard["slow"][-1][0] == b"end"}}


# --- scripts: streamers and pairs ---------------------------------------------------------------------------------------

def numbers(prefix, count, begin=0):
    return [[prefix + b"%d" % i] for i in range(begin, begin + count)]


def all_come(*names):
    return [(name, "comes") for name in names]


PRODUCERS, WORKERS = ["p", "q", "r"], ["u", "v", "w"]
JOBS = {**{name: Peer(zmq.PUSH, "frontend") for name in PRODUCERS}, **{name: Peer(zmq.PULL, "backend") for name in WORKERS}}
PAIRS = {"a": Peer(zmq.PAIR, "frontend"), "b": Peer(zmq.PAIR, "backend"), "c": Peer(zmq.PAIR, "backend")}


def only(peers, *names):
    return {name: peers[name] for name in names}


STREAMERS = {
    "a message of every shape": Script("type = streamer", only(JOBS, "p", "u"), all_come("p", "u") + [
        ("p", "sends", SHAPES), ("u", "takes", len(SHAPES))]),
    "workers in turn": Script("type = streamer", only(JOBS, "p", *WORKERS), all_come("p", *WORKERS) + [
        ("p", "reaches", WORKERS), ("p", "sends", numbers(b"", 300)), (WORKERS, "share", 300)], whichever(*WORKERS)),
    "several producers": Script("type = streamer", only(JOBS, *PRODUCERS, "u"), all_come(*PRODUCERS, "u") + [
        (name, "sends", numbers(name.encode(), 500)) for name in PRODUCERS] + [("u", "takes", 1500)], by_sender),
    "the worker comes late": Script("type = streamer", only(JOBS, "p", "u"), [
        ("p", "comes"), ("p", "sends", numbers(b"", 500)), ("u", "comes"), ("u", "takes", 500)]),
    "one worker after the other": Script("type = streamer", only(JOBS, "p", *WORKERS), [("p", "comes")] + [
        step for name in WORKERS for step in (
            (name, "comes"), ("p", "sends", numbers(name.encode(), 50)), (name, "takes", 50), (name, "goes"))]),
    "producers come and go": Script("type = streamer", only(JOBS, *PRODUCERS, "u"), [("u", "comes")] + [
        step for name in PRODUCERS for step in ((name, "comes"), (name, "sends", numbers(name.encode(), 50)), (name, "goes"))] + [
        ("u", "takes", 150)], by_sender),
    "a small high-water mark": Script("type = streamer\nsndhwm = 2\nrcvhwm = 2", only(JOBS, "p", "u"), [
        ("p", "comes"), ("p", "sends", numbers(b"", 500)), ("u", "comes"), ("u", "takes", 500)]),
}

PAIR_SCRIPTS = {
    "a message of every shape, both ways": Script("type = pair", only(PAIRS, "a", "b"), all_come("a", "b") + [
        ("a", "sends", SHAPES), ("b", "takes", len(SHAPES)), ("b", "sends", SHAPES), ("a", "takes", len(SHAPES))]),
    "another one when the first has gone": Script("type = pair", PAIRS, all_come("a", "b") + [
        ("a", "asks", numbers(b"", 10), "b"), ("b", "goes"), ("c", "comes"),
        ("a", "is_seen_by", "c", [b"who is there?"]),  # libzmq may send c away once, before it knows that b has gone
        ("a", "asks", numbers(b"", 10), "c")]),
}


# --- scripts: forwarders ------------------------------------------------------------------------------------------------

SUBSCRIBERS = ["s", "t", "u"]
NEWS = {"p": Peer(zmq.XPUB, "frontend"), "q": Peer(zmq.XPUB, "frontend"), "x": Peer(zmq.XSUB, "backend"),
        "v": Peer(zmq.XPUB, "frontend", {"xpub_verboser": 1}),  # hears of each subscription, not only of what is new to it
        "fast": Peer(zmq.SUB, "backend"), "slow": Peer(zmq.SUB, "backend", {"rcvhwm": 1, "rcvbuf": 4096}),
        **{name: Peer(zmq.SUB, "backend") for name in SUBSCRIBERS}}
INVERTED = {"p": Peer(zmq.XPUB, "frontend", {"invert_matching": 1}), "s": Peer(zmq.SUB, "backend", {"invert_matching": 1})}
TOPICS = [b"", b"a", b"ab", b"abc", b"b", b"\0", b"\1", b"\xff" * 200, b"t" * 245, b"l" * 256]
SLOW_HWM = 20
BULK = [[b"n %d %s" % (i, b"x" * 5000)] for i in range(3000)]


def news(more, peers, steps, view=dict, ways=WAYS):
    return Script(f"type = forwarder\n{more}", peers, steps, view, ways)


def subscribed(*names, publisher="p", topic=b""):
    """They come, subscribe to this, and PUBLISHER has heard of each."""
    return [step for name in names for step in ((name, "comes"), (name, "subscribes", topic), (name, "is_heard_by", publisher))]


def changes(publisher, *steps):
    """Each of (who, verb, topic), and PUBLISHER has heard of it before the next."""
    return [step for who, verb, topic in steps for step in ((who, verb, topic), (who, "is_heard_by", publisher))]


def to_the_end(publisher, *names):
    return [(publisher, "sends", [[b"end"]])] + [(name, "takes_until", b"end") for name in names]


def in_step(publisher, messages, reader):
    return [step for i in range(0, len(messages), 10) for step in ((publisher, "sends", messages[i:i + 10]), (reader, "takes", 10))]


TWO_COME_AND_GO = [("v", "comes")] + all_come("s", "t") + changes(
    "v", ("s", "subscribes", b"a"), ("t", "subscribes", b"a"), ("s", "unsubscribes", b"a"), ("t", "unsubscribes", b"a"))

FORWARDERS = {
    "a message of every shape": news("", only(NEWS, "p", "s"), [("p", "comes")] + subscribed("s") + [
        ("p", "sends", SHAPES), ("s", "takes", len(SHAPES))]),
    "topics of every length": news("", only(NEWS, "p", *SUBSCRIBERS), [("p", "comes")] + all_come(*SUBSCRIBERS)
                                   + changes("p", *((SUBSCRIBERS[i % 3], "subscribes", topic) for i, topic in enumerate(TOPICS)))
                                   + changes("p", *((name, "subscribes", b"end") for name in SUBSCRIBERS))
                                   + [("p", "sends", [[topic + more, b"body"] for topic in TOPICS for more in (b"", b"!")])]
                                   + to_the_end("p", *SUBSCRIBERS)),
    "two subscribers of one topic": news("", only(NEWS, "v", "s", "t"), TWO_COME_AND_GO + changes("v", ("s", "subscribes", b"a"))),
    "one of two cancels": news("", only(NEWS, "p", "s", "t"), [("p", "comes")] + subscribed("s", "t", topic=b"a")
                               + changes("p", ("s", "unsubscribes", b"a")) + [("p", "sends", numbers(b"a", 10)), ("t", "takes", 10)]),
    "subscribed twice": news("", only(NEWS, "v", "x"), all_come("v", "x") + [
        step for word in (b"\1a", b"\1a", b"\0a", b"\0a", b"\0never", b"\1a") for step in (("x", "sends", [[word]]), ("x", "is_heard_by", "v"))]),
    "verbose upwards": news("backend_xpub_verbose = yes", only(NEWS, "v", "s", "t"), TWO_COME_AND_GO, without_cancellations),
    "more verbose upwards": news("backend_xpub_verboser = yes", only(NEWS, "v", "s", "t"), TWO_COME_AND_GO),
    "one of two cancels, verbosely": news("backend_xpub_verboser = yes", only(NEWS, "p", "s", "t"), [("p", "comes")]
                                          + subscribed("s", "t", topic=b"a") + changes("p", ("s", "unsubscribes", b"a"))
                                          + [("p", "sends", numbers(b"a", 10)), ("t", "takes", 10)]),
    "who leaves is cancelled": news("", only(NEWS, "p", "s", "t"), [("p", "comes")] + subscribed("s", topic=b"a")
                                    + changes("p", ("s", "subscribes", b"ab"), ("s", "subscribes", b"b")) + subscribed("t", topic=b"b")
                                    + [("s", "goes"), ("p", "takes", 5), ("t", "is_heard_by", "p")],  # a, ab and three marks
                                    in_any_order("p")),
    "a publisher comes late": news("", only(NEWS, "p", "q", "s"), [("p", "comes")] + subscribed("s", topic=b"a")
                                   + changes("p", ("s", "subscribes", b"b"), ("s", "subscribes", b"end"))
                                   + [("q", "comes"), ("q", "takes", 4), ("q", "sends", numbers(b"a", 10))] + to_the_end("q", "s"),
                                   in_any_order("q")),
    "publishers of one topic": news("", only(NEWS, "p", "q", "s"), all_come("p", "q") + subscribed("s") + [
        ("q", "takes", 2), ("p", "sends", numbers(b"p", 300)), ("q", "sends", numbers(b"q", 300)), ("s", "takes", 600)], by_sender),
    "messages upwards": news("", only(NEWS, "p", "x"), all_come("p", "x") + [
        ("x", "sends", [[b"\1a"], [b"up"], [b"u", b"", b"p"], [b"\2"], [b""]]), ("x", "is_heard_by", "p")]),
    "subscriptions and a message in one": news("", only(NEWS, "v", "x"), all_come("v", "x") + [
        ("x", "sends", [[b"\1a", b"\1b", b"\0a", b"up", b""], [b"\1c", b""], [b"\1d", b"\1d"]]), ("x", "is_heard_by", "v"),
        ("v", "sends", numbers(b"a", 3) + numbers(b"b", 3) + numbers(b"c", 3)), ("x", "takes", 6)]),
    "a welcome": news("backend_xpub_welcome_msg = hello", only(NEWS, "p", "s"), [("p", "comes")] + subscribed("s") + to_the_end("p", "s")),
    "topics inverted": news("invert_matching = yes", INVERTED, [("p", "comes")] + subscribed("s", topic=b"a")
                            + [("p", "sends", numbers(b"a", 5) + numbers(b"b", 5))] + to_the_end("p", "s"), ways=OPEN),
    "a slow subscriber": news(f"backend_sndhwm = {SLOW_HWM}\nbackend_sndbuf = 4096", only(NEWS, "p", "fast", "slow"),
                              [("p", "comes")] + subscribed("fast", "slow") + in_step("p", BULK, "fast") + [("slow", "drains", "p", b"end")],
                              is_honest_about_losses, ways=OPEN[:1]),
}


# --- scripts: queues ----------------------------------------------------------------------------------------------------

CLIENTS, SERVICES = ["c", "d", "e"], ["rep", "rep2", "rep3"]
ASKS = {"q": Peer(zmq.REQ, "frontend"), "n": Peer(zmq.DEALER, "frontend"), "s": Peer(zmq.DEALER, "backend"),
        "router": Peer(zmq.ROUTER, "backend"), "probe": Peer(zmq.DEALER, "frontend", {"routing_id": b"probe", "probe_router": 1}),
        **{name: Peer(zmq.DEALER, "frontend", {"routing_id": name.encode() * 5}) for name in CLIENTS},
        **{name: Peer(zmq.REP, "backend") for name in SERVICES}}
ASKS["c2"] = ASKS["c"]  # of the same name

# libzmq's ROUTER forgets a name some time after the connection was closed, when its thread gets to it, and until then
# ignores whoever comes with that name. With this option it does not matter.
COMES_AGAIN = "frontend_router_handover = yes"
ENVELOPES = [[b"1"], [b"", b"2"], [b"hop", b"", b"3"], [b"hop", b"hop", b"", b"", b"4"], [b""], [b"", b""]]


def asks(more, names, steps, view=dict, ways=WAYS, reference=""):
    return Script(f"type = queue\n{more}", only(ASKS, *names), steps, view, ways, reference)


QUEUES = {
    "a request of every shape": asks("", ["q", "rep"], all_come("q", "rep") + [("q", "asks", SHAPES, "rep")]),
    "envelopes as they are": asks("", ["c", "s"], all_come("c", "s") + [("c", "asks", ENVELOPES + SHAPES, "s")]),
    "ids that the route gives": asks("", ["q", "n", "s"], all_come("s", "q") + [
        ("q", "asks", numbers(b"q", 3), "s"), ("n", "comes"), ("n", "asks", numbers(b"n", 3), "s"), ("q", "asks", numbers(b"q", 3), "s")],
        without_ids),
    "ids that the clients chose": asks("", [*CLIENTS, "s"], all_come("s", *CLIENTS) + [
        step for name in CLIENTS for step in ((name, "sends", numbers(name.encode(), 5)), ("s", "takes", 5))] + [
        ("s", "answers", [14, 0, 13, 1, 12, 2, 11, 3, 10, 4, 9, 5, 8, 6, 7])] + [(name, "takes", 5) for name in CLIENTS]),
    "a service with ids of its own": asks("backend_routing_id = queue", ["c", "router"], all_come("c", "router") + [
        ("c", "asks", [[b"", b"%d" % i] for i in range(10)], "router")]),
    "services in turn": asks("", ["c", *SERVICES], all_come("c", *SERVICES) + [
        ("c", "is_served_by", SERVICES), ("c", "sends", [[b"", b"%d" % i] for i in range(99)]), (SERVICES, "echo", 99), ("c", "takes", 99)],
        lambda heard: whichever(*SERVICES)(in_any_order("c")(heard))),
    "a client that has gone": asks("", ["c", "d", "s"], all_come("s", "c", "d") + [
        ("c", "sends", [[b"", b"1"]]), ("s", "takes", 1), ("c", "goes"), ("s", "answers", [0]), ("d", "asks", numbers(b"d", 3), "s")]),
    "a client that comes again": asks("", ["c", "s"], all_come("s", "c") + [
        ("c", "sends", [[b"", b"1"]]), ("s", "takes", 1), ("c", "goes"), ("c", "comes"), ("s", "answers", [0]), ("c", "takes", 1),
        ("c", "asks", numbers(b"", 3), "s")], reference=COMES_AGAIN),
    "two of one name": asks("frontend_router_handover = yes", ["c", "c2", "s"], all_come("s", "c") + [
        ("c", "asks", numbers(b"c", 3), "s"), ("c2", "comes"), ("c2", "asks", numbers(b"d", 3), "s")], ways=OPEN[:2]),
    "a probe": asks("", ["probe", "s"], all_come("s", "probe") + [("s", "takes", 1), ("probe", "asks", numbers(b"", 3), "s")]),
    "the service comes late": asks("", ["c", "s"], [
        ("c", "comes"), ("c", "sends", numbers(b"", 100)), ("s", "comes"), ("s", "echoes", 100), ("c", "takes", 100)]),
}


# --- scripts: pairs of sockets that have no name ------------------------------------------------------------------------

def custom(frontend, backend, peers, steps, more="", view=dict):
    return Script(f"type = custom\nfrontend_type = {frontend}\nbackend_type = {backend}\n{more}", peers, steps, view, OPEN)


CUSTOM = {
    "PULL to PUB": custom("PULL", "PUB", {"p": JOBS["p"], "s": Peer(zmq.SUB, "backend", {"subscribe": b"a"})}, all_come("p", "s") + [
        ("p", "is_seen_by", "s", [b"a?"]), ("p", "sends", numbers(b"b", 5) + numbers(b"a", 5) + [[b"a", b"", b"2"], [b"a end"]]),
        ("s", "takes_until", b"a end")]),
    "SUB to PUSH": custom("SUB", "PUSH", {"p": NEWS["p"], "w": JOBS["w"]}, all_come("p", "w") + [
        ("p", "takes", 2), ("p", "sends", numbers(b"c", 5) + numbers(b"a", 5) + numbers(b"b", 5)), ("w", "takes", 10)],
        "frontend_subscribe = a\nfrontend_subscribe = b", in_any_order("p")),
    "DEALER to DEALER": custom("DEALER", "DEALER", {"n": ASKS["n"], "s": ASKS["s"]}, all_come("n", "s") + [("n", "asks", SHAPES, "s")]),
    "ROUTER to DEALER": custom("ROUTER", "DEALER", only(ASKS, "q", "rep"), all_come("q", "rep") + [("q", "asks", SHAPES, "rep")]),
    "XPUB to XSUB": custom("XPUB", "XSUB", {"s": Peer(zmq.SUB, "frontend"), "p": Peer(zmq.XPUB, "backend")}, [("p", "comes")]
                           + subscribed("s") + [("p", "sends", SHAPES), ("s", "takes", len(SHAPES))]),
}


# --- scripts: at random -------------------------------------------------------------------------------------------------

def random_news(dice):
    """Three subscribers change their minds, two publishers say what begins with this or that."""
    asked = {name: collections.Counter() for name in SUBSCRIBERS}
    steps = [("p", "comes")] + all_come(*SUBSCRIBERS)
    for name in SUBSCRIBERS:
        steps += [(name, "subscribes", b"end"), (name, "is_heard_by", "p")]
    for _ in range(60):
        name, topic = dice.choice(SUBSCRIBERS), bytes(dice.choice(b"ab") for _ in range(dice.randrange(4)))
        if dice.random() < 0.4 and asked[name]:
            topic = dice.choice(sorted(asked[name].elements()))
            asked[name] -= collections.Counter([topic])
            steps += [(name, "unsubscribes", topic), (name, "is_heard_by", "p")]
        elif dice.random() < 0.6:
            asked[name][topic] += 1
            steps += [(name, "subscribes", topic), (name, "is_heard_by", "p")]
        else:
            firsts = [bytes(dice.choice(b"ab") for _ in range(dice.randrange(5))) for _ in range(dice.randrange(20))]
            steps.append(("p", "sends", [random_message(dice, first) for first in firsts]))
            steps += to_the_end("p", *SUBSCRIBERS)  # before anybody changes its mind
    return Script("type = forwarder", only(NEWS, "p", *SUBSCRIBERS), steps, ways=OPEN[:2])


def random_message(dice, first=b""):
    sizes = (0, 1, 10, 255, 256, 5000, 70000)
    return [first + dice.randbytes(dice.choice(sizes))] + [dice.randbytes(dice.choice(sizes)) for _ in range(dice.randrange(4))]


def random_asks(dice):
    """Clients with names ask, go and come again; a service answers in an order of its own."""
    here, open_requests, steps = set(), 0, [("s", "comes")]
    for _ in range(80):
        name = dice.choice(CLIENTS)
        if name not in here:
            here.add(name)
            steps.append((name, "comes"))
        elif dice.random() < 0.15 and not open_requests:
            here.remove(name)
            steps.append((name, "goes"))
        elif dice.random() < 0.7:
            count = dice.randrange(1, 6)
            open_requests += count
            steps += [(name, "sends", [random_message(dice, name.encode()) for _ in range(count)]), ("s", "takes", count)]
        elif open_requests:
            steps.append(("s", "answers", dice.sample(range(open_requests), open_requests)))
            open_requests = 0
            for each in sorted(here):  # whoever hears the last answer has heard all before it
                steps += [(each, "sends", [[b"last"]]), ("s", "echoes", 1), (each, "takes_until", b"last")]
    return asks("", [*CLIENTS, "s"], steps, ways=OPEN[:2], reference=COMES_AGAIN)


def random_jobs(dice):
    """Producers and one worker after the other, in bursts."""
    steps, sent = all_come(*PRODUCERS), 0
    for name in [dice.choice(WORKERS) for _ in range(8)]:
        steps.append((name, "comes"))
        for _ in range(dice.randrange(1, 6)):
            producer, count = dice.choice(PRODUCERS), dice.randrange(1, 100)
            messages = [random_message(dice, producer.encode() + b"%d " % (sent + i)) for i in range(count)]
            steps += [(producer, "sends", messages), (name, "takes", count)]
            sent += count
        steps.append((name, "goes"))
    return Script("type = streamer", only(JOBS, *PRODUCERS, *WORKERS), steps, by_sender, ways=OPEN[:2])


def at_random(make):
    return {f"seed {seed}": make(random.Random(seed)) for seed in range(SEED, SEED + SCRIPTS)}


TABLES = {"streamer": STREAMERS, "pair": PAIR_SCRIPTS, "forwarder": FORWARDERS, "queue": QUEUES, "custom": CUSTOM,
          "random forwarder": at_random(random_news), "random queue": at_random(random_asks), "random streamer": at_random(random_jobs)}

if __name__ == "__main__":
    zb.main([(f"{kind}: {name}", functools.partial(compare, script)) for kind, table in TABLES.items() for name, script in table.items()])

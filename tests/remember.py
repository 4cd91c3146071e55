# SPDX-License-Identifier: MPL-2.0
"""Forwarders that remember: what a new subscription gets before the live messages, and what a durable subscriber misses.

ZB_JOINERS is how many subscribers come late in the tests under load, ZB_TOPICS how many topics are remembered in one of
them, ZB_AWAY for how many seconds a durable subscriber is away. The long run:

    ZB_JOINERS=1000 ZB_TOPICS=1000000 ZB_AWAY=60 python3 tests/remember.py test_late_joiners_get_each_last_value_and_then_every_message \\
        test_late_joiners_get_the_last_messages_and_then_every_message test_a_topic_takes_little_memory_beside_its_message \\
        test_a_durable_subscriber_that_is_away_under_load_misses_what_does_not_fit_and_nothing_else
"""

import contextlib
import json
import os
import re
import socket
import struct
import threading
import time
import urllib.request

import zmq
import zb
import zmtp
from zb import Route

JOINERS = int(os.environ.get("ZB_JOINERS", "50"))
MANY_TOPICS = int(os.environ.get("ZB_TOPICS", "50000"))
AWAY = float(os.environ.get("ZB_AWAY", "1"))
TOPICS = 20


class Forwarder(Route):
    """With a publisher that it has subscribed to."""

    def __init__(self, more, process=""):
        super().__init__("forwarder", more, process)
        self.pub = self.front(zmq.XPUB, sndhwm=0)
        assert "durable" in more or self.pub.recv() == b"\1", "it asks for everything"

    def hears(self, *topics):
        """Until the publisher has heard of them."""
        assert {self.pub.recv() for _ in topics} == {b"\1" + topic for topic in topics}

    def publish(self, *messages):
        """And wait until it has taken them."""
        before = self.stats()["frontend"]["messages_received"]
        for message in messages:
            self.pub.send_multipart(message if isinstance(message, (list, tuple)) else [message])
        zb.wait_until(lambda: self.stats()["frontend"]["messages_received"] == before + len(messages))

    def sub(self, *topics, **options):
        sub = self.back(zmq.SUB, rcvhwm=0, **options)
        for topic in topics:
            sub.subscribe(topic)
        return sub

    def remembers(self):
        return self.ask("show values r")["values"]

    def topics(self, prefix=""):
        return [each["topic"] for each in self.ask(f"show values r {prefix}")["values"]]

    def queued(self):
        return sum(each["queued"] for each in self.clients("backend"))

    def subscriptions(self, count):
        zb.wait_until(lambda: self.stats()["subscriptions"] == count, what=f"{count} subscriptions")


class Durable(Forwarder):
    def __init__(self, more=""):
        super().__init__(f"durable = yes\n{more}")


def receive(sub, count):
    return [sub.recv_multipart() for _ in range(count)]


def nothing_more(route, sub, end=b"the end"):
    """Whatever came before this message has come."""
    route.publish(end)
    assert sub.recv_multipart() == [end]


# --- under load ---------------------------------------------------------------------------------------------------------

class Load:
    """Publishes number after number, under TOPICS topics in turn, until it ends."""

    def __init__(self, pub):
        self.pub, self.ended, self.number = pub, threading.Event(), 0
        for _ in range(100 * TOPICS):
            self.send()
        self.thread = threading.Thread(target=self.run)

    def send(self):
        self.pub.send_multipart([b"topic %d" % (self.number % TOPICS), b"%d" % self.number])
        self.number += 1

    def run(self):
        while not self.ended.wait(0.001):
            for _ in range(10):
                self.send()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.ended.set()
        self.thread.join()


def join_late(route, history, live):
    """The numbers that are remembered, in any order, and from the last of them on every one. How often that failed."""
    sub = route.sub(b"topic ")
    numbers = [int(body) for _, body in receive(sub, history + live)]
    sub.close()
    last = max(numbers[:history])
    assert sorted(numbers[:history]) == list(range(last - history + 1, last + 1)), numbers[:history]
    assert numbers[history:] == list(range(last + 1, last + 1 + live)), numbers[history:]
    return numbers[:history]


def load_and_join(more, history):
    with Forwarder(f"{more}\nsndhwm = 0") as route:
        with Load(route.pub):
            zb.wait_until(lambda: route.stats()["frontend"]["messages_received"] >= 100 * TOPICS)
            for _ in range(JOINERS):
                yield join_late(route, history, 50)


@zb.limit(60 + JOINERS)
def test_late_joiners_get_each_last_value_and_then_every_message():
    assert len(list(load_and_join("last_value = 1000", TOPICS))) == JOINERS


@zb.limit(60 + JOINERS)
def test_late_joiners_get_the_last_messages_and_then_every_message():
    for history in load_and_join("replay_messages = 500", 500):
        assert history == sorted(history), "the oldest first"


# --- the last messages --------------------------------------------------------------------------------------------------

def test_a_history_is_sent_in_order_within_all_limits():
    with Forwarder("replay_messages = 10\nreplay_bytes = 100") as route:
        route.publish(*[b"%03d" % i for i in range(50)])
        assert receive(route.sub(b""), 10) == [[b"%03d" % i] for i in range(40, 50)]
        route.publish([b"large", b"x" * 89])
        assert receive(route.sub(b""), 3) == [[b"048"], [b"049"], [b"large", b"x" * 89]]
        route.publish([b"too large", b"x" * 100])
        sub = route.sub(b"")
        nothing_more(route, sub)
        assert route.topics() == ["the end"]


def test_a_message_of_a_history_comes_once_however_subscriptions_overlap():
    with Forwarder("replay_messages = 100") as route:
        route.publish(b"a1", b"b1", b"a2", b"ab", b"b2", b"a1")
        sub = route.sub(b"a")
        assert receive(sub, 4) == [[b"a1"], [b"a2"], [b"ab"], [b"a1"]]
        sub.subscribe(b"ab")
        sub.subscribe(b"")
        assert receive(sub, 2) == [[b"b1"], [b"b2"]]
        nothing_more(route, sub)


def test_a_history_ends_with_its_time():
    with Forwarder("replay_time = 100ms") as route:
        route.publish(b"old")
        zb.wait_until(lambda: route.topics() == [])
        sub = route.sub(b"")
        route.subscriptions(1)
        nothing_more(route, sub)


def test_a_long_history_of_small_messages_is_whole():
    """Of any size that makes them lie in one chunk or cross two, with parts."""
    with Forwarder("replay_messages = 20000") as route:
        messages = [[b"%05d" % i, b"x" * (i % 700), b"end"] for i in range(20000)]
        for at in range(0, len(messages), 1000):
            route.publish(*messages[at:at + 1000])
        assert receive(route.sub(b""), len(messages)) == messages
        assert receive(route.sub(b"1999"), 10) == messages[-10:]


def test_a_history_is_cleared_by_topic():
    with Forwarder("replay_messages = 100") as route:
        route.publish(b"a1", b"b1", b"a2", b"b2")
        assert route.daemon.ctl("clear", "values", "r", "a").stdout == "route r: 2 messages forgotten\n"
        assert route.topics() == ["b1", "b2"] == [each[0].decode() for each in receive(route.sub(b""), 2)]


# --- last values --------------------------------------------------------------------------------------------------------

def test_the_example_of_the_manual_does_what_it_says():
    page = zb.read(os.path.join(zb.SRCDIR, "man", "zbroker.ini.5.in"))
    text, = re.findall(r"^(\[route prices\]\n[^.]*?last_value.*?)\.Ed", page.replace("127.0.0.1", "HOST"), re.M | re.S)
    frontend, backend = zb.free_ports(2)
    ini = text.replace("HOST:5555", f"127.0.0.1:{frontend}").replace("HOST:5556", f"127.0.0.1:{backend}")
    with zb.Daemon(ini) as daemon, zmq.Context() as context:
        pub = zb.peer(context, zmq.XPUB, f"tcp://127.0.0.1:{frontend}", rcvtimeo=10000, linger=0)
        assert pub.recv() == b"\1"
        for price in (b"EUR 1.0", b"USD 2.0", b"EUR 1.1"):
            pub.send(price)
        zb.wait_until(lambda: "EUR" in daemon.ctl("show", "values", "prices", "EUR").stdout)
        sub = zb.peer(context, zmq.SUB, f"tcp://127.0.0.1:{backend}", subscribe=b"", rcvtimeo=10000, linger=0)
        assert sorted([sub.recv(), sub.recv()]) == [b"EUR 1.1", b"USD 2.0"]


def test_a_value_comes_once_however_subscriptions_overlap():
    with Forwarder("last_value = 100") as route:
        route.publish(b"a", b"ab", b"abc", b"b", b"")
        sub = route.sub(b"ab")
        assert receive(sub, 2) == [[b"ab"], [b"abc"]]
        sub.subscribe(b"abc")  # nothing that is new
        sub.subscribe(b"a")
        assert receive(sub, 1) == [[b"a"]]
        sub.subscribe(b"")
        assert sorted(receive(sub, 2)) == [[b""], [b"b"]]
        nothing_more(route, sub)
        sub.unsubscribe(b"")
        sub.unsubscribe(b"abc")
        sub.unsubscribe(b"ab")
        sub.unsubscribe(b"a")
        route.subscriptions(0)
        sub.subscribe(b"ab")  # what was cancelled counts no more
        assert receive(sub, 2) == [[b"ab"], [b"abc"]]


def test_what_an_earlier_subscription_brought_live_is_not_sent_again():
    with Forwarder("last_value = 100") as route:
        sub = route.sub(b"a")
        route.subscriptions(1)
        route.publish([b"a1", b"live"], b"b1")
        assert receive(sub, 1) == [[b"a1", b"live"]]
        sub.subscribe(b"")
        assert receive(sub, 1) == [[b"b1"]]
        nothing_more(route, sub)


def test_a_topic_ends_where_the_configuration_says():
    for written, byte in (("' '", b" "), ("|", b"|"), (r"\x00", b"\0")):
        with Forwarder(f"last_value = 100\ntopic_end = {written}") as route:
            eur, usd = b"EUR" + byte, b"USD" + byte
            route.publish([eur + b"1.0"], [usd + b"2.0"], [eur + b"1.1", b"more"], [b"EURO"], [usd + b"2.1"])
            sub = route.sub(b"")
            assert sorted(receive(sub, 3)) == sorted([[eur + b"1.1", b"more"], [b"EURO"], [usd + b"2.1"]])
            nothing_more(route, sub)
            sub = route.sub(usd + b"2.1")  # a subscription may ask for more than the topic
            assert receive(sub, 1) == [[usd + b"2.1"]]
            sub = route.sub(usd + b"2.0")
            sub.subscribe(b"the end")
            assert receive(sub, 1) == [[b"the end"]]
            assert route.topics("EUR") == ["EUR", "EURO"]


@zb.limit(60 + MANY_TOPICS // 5000)
def test_a_topic_takes_little_memory_beside_its_message():
    """At most 150 bytes, says the manual."""
    body = b"x" * 50
    with Forwarder(f"last_value = {MANY_TOPICS}\nfrontend_rcvhwm = 0", "max_memory = 4G") as route:
        def grown():
            before = zb.rss(route.daemon.pid)
            for i in range(MANY_TOPICS):
                route.pub.send_multipart([b"a topic of usual length %07d" % (i + grown.begin), body])
            grown.begin += MANY_TOPICS
            zb.wait_for_count(lambda: route.stats()["frontend"]["messages_received"], grown.begin, 20)
            return zb.rss(route.daemon.pid) - before
        grown.begin = 0
        size = 2 + 31 + 2 + len(body)  # with the heads of its frames
        beside = grown() / MANY_TOPICS - size
        print(f"# {MANY_TOPICS} topics: {beside:.0f} bytes for each beside its {size} bytes")
        with zb.Control(route.daemon) as control:
            counted = control.json("status")["message_bytes"] / MANY_TOPICS - size
        print(f"# {counted:.0f} bytes by max_memory's count")
        assert beside < 150 or zb.HEAVY > 1
        again = grown() / MANY_TOPICS  # each new one takes the place of an old one
        print(f"# {again:.1f} bytes more for each of as many others")
        assert again < 20 or zb.HEAVY > 1


def test_the_topic_that_was_not_published_for_longest_is_forgotten():
    with Forwarder("last_value = 3") as route:
        route.publish(b"a", b"b", b"c", b"a", b"d")
        assert route.topics() == ["a", "c", "d"]
        route.publish(b"e")
        assert route.topics() == ["a", "d", "e"]


def test_values_are_shown_and_cleared():
    with Forwarder("last_value = 10") as route:
        assert route.topics() == []
        route.publish([b"prices/EUR", b"1.1"], [b"prices/\x00USD", b"22"], [b"news", b"x" * 100], [b"y" * 1000])
        first = route.remembers()[0]
        assert list(first) == ["topic", "bytes", "age_seconds"] and first["topic"] == "news" and first["bytes"] == 104, first
        assert route.topics()[-1] == "y" * 256 + "..."
        assert route.topics("prices/") == [r"prices/\x00USD", "prices/EUR"] and route.topics(r"prices/\x00") == [r"prices/\x00USD"]
        shown = route.daemon.ctl("show", "values", "r", "prices/E").stdout
        assert '"prices/EUR"' in shown and "13" in shown, shown
        with zb.Control(route.daemon) as control:
            assert "1 message forgotten" in control.ask(r"clear values r prices/\x00")
            assert "error" in control.ask("show values nothing")
        sub = route.sub(b"prices/")
        assert receive(sub, 1) == [[b"prices/EUR", b"1.1"]]
        assert route.daemon.ctl("clear", "values", "r").returncode == 0
        assert route.topics() == []
        route.publish([b"prices/EUR", b"1.2"])
        assert receive(sub, 1) == [[b"prices/EUR", b"1.2"]]
        assert route.topics() == ["prices/EUR"]


def test_what_is_remembered_is_counted_everywhere():
    zb.need_http()
    http = zb.free_port()
    with Forwarder("last_value = 10", f"http = 127.0.0.1:{http}") as route:
        route.publish([b"a", b"12345"], [b"b", b"1"], [b"a", b"123"])
        zb.wait_until(lambda: route.stats()["remembered_messages"] == 2)
        assert route.stats()["remembered_bytes"] == len("a123b1")
        with zb.Control(route.daemon) as control:
            assert [each["bytes"] for each in control.json("show values r")["values"]] == [4, 2]
        get = lambda path: urllib.request.urlopen(f"http://127.0.0.1:{http}{path}").read().decode()
        assert re.search(r'^zbroker_remembered_messages\{route="r"\} 2$', get("/metrics"), re.M)
        assert re.search(r'^zbroker_remembered_bytes\{route="r"\} 6$', get("/metrics"), re.M)
        assert json.loads(get("/api/v1/routes"))["routes"][0]["remembered_bytes"] == 6
        assert "remembered_messages" in get("/app.js")
        assert re.search("remembered_bytes +6", route.daemon.ctl("show", "route", "r").stdout)


def test_a_paused_forwarder_brings_what_it_remembers_when_it_goes_on():
    with Forwarder("replay_messages = 10") as route:
        route.publish(b"a1", b"a2")
        with zb.Control(route.daemon) as control:
            control.ask("pause r")
            sub = route.sub(b"a")
            zb.wait_until(lambda: route.clients("backend"))
            assert not sub.poll(200)
            control.ask("resume r")
            assert receive(sub, 2) == [[b"a1"], [b"a2"]]
            control.ask("drain r")
            late = route.sub(b"a")  # nothing new is read of publishers; what was taken is delivered
            assert receive(late, 2) == [[b"a1"], [b"a2"]]
            assert "drain" in control.route("r")["state"]


def test_a_subscription_over_the_quota_brings_nothing():
    with Forwarder("last_value = 10\nbackend_max_subscriptions = 1\nbackend_max_topic = 5") as route:
        route.publish([b"a"], [b"b"], [b"long topic"])
        sub = route.sub(b"long topic", b"b", b"a")
        assert receive(sub, 1) == [[b"b"]]
        zb.wait_until(lambda: route.stats()["dropped"]["quota"] == 2)
        nothing_more(route, sub, b"b again")


def test_a_route_that_remembers_nothing_says_so():
    with Route("forwarder") as route:
        for verb in ("show", "clear"):
            answer = route.daemon.ctl(verb, "values", "r")
            assert answer.returncode == 1 and "remembers nothing" in answer.stderr, answer


def test_keys_of_what_is_remembered_need_what_they_belong_to():
    base = "[route r]\ntype = {}\nfrontend_bind = tcp://127.0.0.1:5570\nbackend_bind = tcp://127.0.0.1:5571\n{}\n"
    for kind in ("forwarder", "queue"):
        for key, value in (("durable_messages", "5"), ("durable_bytes", "1M"), ("durable_time", "1h")):
            tested = zb.run("-t", "-c", "-", stdin=base.format(kind, f"{key} = {value}"))
            assert (tested.returncode, tested.stderr) == (1, f"-:5:1: error: [route r] {key}: does nothing without durable\n"), tested
    more = "durable = no\ndurable_messages = 5"
    dump = zb.run("-T", "-c", "-", stdin=base.format("forwarder", more)).stdout
    assert "durable_messages = 5" in dump and "durable_time" not in dump, dump
    assert zb.run("-t", "-c", "-", stdin=dump).returncode == 0


def test_rights_hold_for_what_is_remembered():
    folder = zb.folder()
    zb.write(f"{folder}/acl", "topic read a/#\n")
    with Forwarder(f"backend_acl = {folder}/acl\nlast_value = 10") as route:
        route.publish(b"b/1", b"a/1", b"b/2")
        sub = route.sub(b"")
        assert receive(sub, 1) == [[b"a/1"]]
        zb.write(f"{folder}/acl", "topic read b/#\n")  # whoever comes from now on is judged by this
        assert route.daemon.ctl("reload").returncode == 0
        late = route.sub(b"")
        assert receive(late, 2) == [[b"b/1"], [b"b/2"]]
        route.publish(b"b/3")
        assert receive(sub, 1) == receive(late, 1) == [[b"b/3"]]


def test_a_message_of_any_size_is_remembered_whole():
    with Forwarder("last_value = 100") as route:
        messages = [[b"%06d" % size, bytes([size % 251]) * size, b"", b"end"] for size in (0, 1, 255, 256, 4096, 30000, 40000, 70000, 1 << 20)]
        route.publish(*messages, *messages[:3])
        assert receive(route.sub(b""), len(messages)) == messages
        assert sum(each["bytes"] for each in route.remembers()) == sum(len(b"".join(message)) for message in messages)


def test_a_history_longer_than_the_high_water_mark_loses_nothing():
    """Nor do live messages behind it, until there are more of them than that."""
    with Forwarder("last_value = 5000\nbackend_sndhwm = 10\nbackend_sndbuf = 4096") as route:
        body = b"x" * 2000
        for at in range(0, 3000, 500):
            route.publish(*[[b"%04d" % i, body] for i in range(at, at + 500)])
        sub = route.back(zmq.SUB, rcvhwm=1, rcvbuf=4096)
        sub.subscribe(b"")
        route.subscriptions(1)
        zb.wait_until(lambda: route.queued() > 10)
        route.publish(*[[b"live %d" % i] for i in range(5)])
        assert receive(sub, 3000) == [[b"%04d" % i, body] for i in range(3000)]
        assert receive(sub, 5) == [[b"live %d" % i] for i in range(5)]
        assert sum(route.stats()["dropped"].values()) == 0, route.stats()["dropped"]


def test_a_peer_that_subscribes_again_and_again_takes_no_more_memory_than_once():
    with Forwarder("last_value = 1000\nbackend_sndbuf = 4096") as route:
        route.publish(*[[b"%04d" % i, b"x" * 10000] for i in range(200)])
        raw = zmtp.Raw(route.backend, b"SUB")  # that reads nothing
        raw.send((zmtp.frame(b"\1") + zmtp.frame(b"\0")) * 1000)
        zb.wait_until(lambda: route.queued() > 0)
        other = route.sub(b"")  # nobody else is held up
        assert len(receive(other, 200)) == 200
        assert route.queued() <= 200
        raw.break_off()
        zb.wait_until(lambda: len(route.clients("backend")) == 1)


@zb.limit(120)
def test_live_messages_do_not_wait_for_a_crowd_that_looks_for_remembered_ones():
    """Nothing that the crowd asks for is there, and each time all that is remembered is looked through."""
    crowd, each, trips = 300, 20, 30
    with Forwarder("replay_messages = 100000") as forwarder, contextlib.ExitStack() as stack:
        forwarder.publish(*(b"news/%d" % i for i in range(100000)))
        live = forwarder.sub(b"live")
        zb.wait_until(lambda: forwarder.stats()["subscriptions"] == 1)
        peers = [zmtp.Raw(forwarder.backend, b"SUB") for _ in range(crowd)]
        for number, peer in enumerate(peers):
            stack.callback(peer.socket.close)
            peer.send(b"".join(zmtp.frame(b"\1x%d-%d" % (number, i)) for i in range(each)))
        for _ in range(trips):
            forwarder.pub.send(b"live")
            assert live.recv() == b"live"
        asked = forwarder.stats()["subscriptions"] - 1
        assert asked < trips * crowd / 3, f"{asked} subscriptions of the crowd in the time of {trips} messages"
        zb.wait_until(lambda: forwarder.stats()["subscriptions"] == 1 + crowd * each, 120, "all of them are heard")


def test_what_is_remembered_stays_within_max_memory():
    """What was not published for longest goes; the route goes on."""
    with Forwarder("last_value = 100000", "max_memory = 32M") as route:
        body = b"x" * 10000
        for at in range(0, 10000, 500):
            route.publish(*[[b"%05d" % i, body] for i in range(at, at + 500)])
        with zb.Control(route.daemon) as control:
            assert control.json("status")["message_bytes"] <= 32 << 20
        topics = route.topics()
        assert 100 < len(topics) < 4000 and topics[-1] == "09999" and topics == ["%05d" % i for i in range(10000 - len(topics), 10000)]


# --- durable subscribers ------------------------------------------------------------------------------------------------

def named(route, name, *topics, **options):
    """A subscriber called so, which is connected."""
    before = len(present(route))
    sub = route.context.socket(zmq.XSUB)  # a SUB drops what it has not subscribed to itself
    sub.rcvtimeo, sub.linger, sub.rcvhwm = zb.WAIT_MS, 0, 0
    sub.setsockopt_string(zmq.METADATA, "X-Durable:" + name)
    for option, value in options.items():
        setattr(sub, option, value)
    for topic in topics:
        sub.send(b"\1" + topic)
    sub.connect(f"tcp://127.0.0.1:{route.backend}")
    zb.wait_until(lambda: len(present(route)) == before + 1, what="it is there")
    return sub


def present(route):
    return [each for each in route.clients("backend") if each["state"] == "connected"]


def away(route):
    return [each for each in route.clients("backend") if each["state"] == "away"]


def leave(route, sub):
    sub.close()
    zb.wait_until(lambda: not present(route), what="it has left")


def expired(route):
    return route.stats()["dropped"]["expired"]


def test_a_durable_subscriber_misses_nothing_while_it_is_away():
    with Durable() as route:
        sub = named(route, "alice", b"a", b"b")
        route.hears(b"a", b"b")
        route.publish(b"a1")
        assert receive(sub, 1) == [[b"a1"]]
        for round_ in range(3):
            leave(route, sub)
            assert route.stats()["subscriptions"] == 2
            messages = [[b"ab"[i % 2:i % 2 + 1] + b"%d" % i, b"x" * (40000 if i % 10 == 0 else i)] for i in range(100)]
            route.publish(*messages)
            assert [each["queued"] for each in away(route)] == [100]
            sub = named(route, "alice")  # which does not subscribe again
            route.publish(b"a live")
            assert receive(sub, 101) == messages + [[b"a live"]], round_
        assert sum(route.stats()["dropped"].values()) == 0 and not away(route)


class Steady:
    """Publishes 5,000 messages a second, each with its number."""

    def __init__(self, pub):
        self.pub, self.number = pub, 0

    def send(self, seconds):
        begin, count = time.monotonic(), int(5000 * seconds)
        for i in range(count):
            if i % 50 == 0:
                time.sleep(max(0, begin + i / 5000 - time.monotonic()))
            self.pub.send_multipart([b"a", b"%d" % self.number])
            self.number += 1


@zb.limit(120 + int(4 * AWAY))
def test_a_durable_subscriber_that_is_away_under_load_misses_what_does_not_fit_and_nothing_else():
    count = int(5000 * AWAY)
    for limit, fits in ((f"durable_messages = {2 * count + 5000}", count), (f"durable_messages = {count // 3}", count // 3)):
        with Durable(f"{limit}\nsndhwm = 0\nrcvhwm = 0\ndurable_bytes = 1G") as route:
            sub = named(route, "alice", b"a")
            route.hears(b"a")
            steady = Steady(route.pub)
            steady.send(0.1)
            here = [int(body) for _, body in receive(sub, steady.number)]
            assert here == list(range(steady.number))
            leave(route, sub)
            first = steady.number
            steady.send(AWAY)
            zb.wait_until(lambda: route.stats()["frontend"]["messages_received"] == steady.number)
            assert away(route)[0]["queued"] == fits and expired(route) == count - fits
            live = threading.Thread(target=steady.send, args=(0.5,))
            live.start()
            sub = named(route, "alice")
            live.join()
            got = [int(body) for _, body in receive(sub, steady.number - first - expired(route))]
            assert got == list(range(first + expired(route), steady.number))
            print(f"# {limit}: away for {AWAY:g} s, {count} published, {fits} kept, {expired(route)} expired, then every live one")


def test_names_are_told_apart():
    with Durable() as route:
        alice, bob, nobody = named(route, "alice", b"a"), named(route, "bob", b"b"), route.sub(b"")
        route.hears(b"a", b"b", b"")
        for each in (alice, bob, nobody):
            each.close()
        zb.wait_until(lambda: len(away(route)) == 2 and not present(route))
        route.subscriptions(2)
        route.publish(b"a1", b"b1")
        bob, alice = named(route, "bob"), named(route, "alice")
        assert receive(alice, 1) == [[b"a1"]] and receive(bob, 1) == [[b"b1"]]


def old_subscriber(route, identity, *topics):
    """A SUB of ZMTP 2.0, as libzmq 3.2 is."""
    SUB = b"\x02"
    before = len(present(route))
    raw = socket.create_connection(("127.0.0.1", route.backend), timeout=10 * zb.SLOW)
    raw.sendall(b"\xff" + bytes(8) + b"\x7f\x01" + SUB + zmtp.frame(identity) + b"".join(zmtp.frame(b"\1" + topic) for topic in topics))
    zb.wait_until(lambda: len(present(route)) == before + 1)
    return raw


def test_an_old_subscriber_is_known_by_its_identity():
    """As in ZeroMQ 2.x. One of a newer version says it too, and it is not its name: it says X-Durable for that."""
    with Durable() as route:
        raw = old_subscriber(route, b"me", b"a")
        route.hears(b"a")
        raw.close()
        zb.wait_until(lambda: away(route))
        other = route.sub(b"b", identity=b"me")
        route.hears(b"b")
        stranger = named(route, "me", b"c")
        route.hears(b"c")
        route.publish(b"a1", b"a2", b"b1", b"c1")
        raw = old_subscriber(route, b"me")
        got = b""
        while not got.endswith(zmtp.frame(b"a1") + zmtp.frame(b"a2")):
            got += raw.recv(65536)
        assert b"b1" not in got and other.recv() == b"b1" and stranger.recv() == b"c1"
        assert not away(route) and [each["zmtp"] for each in present(route)].count("2.0") == 1
        raw.close()
        zb.wait_until(lambda: away(route))
        nameless = old_subscriber(route, b"", b"d")
        route.hears(b"d")
        zb.wait_until(lambda: len(away(route)) == 1)
        nameless.close()
        zb.wait_until(lambda: route.stats()["backend"]["connections"] == 2)
        assert len(away(route)) == 1


def test_a_user_is_known_by_the_name_that_was_verified():
    users = "".join(zb.run("password", name, name="zbroker-keygen", stdin="secret\n").stdout for name in ("alice", "bob"))
    with Durable(f"backend_security = plain\nbackend_users = {zb.write(zb.folder() + '/users', users, 0o600)}") as route:
        def come(user, said, *topics):
            return named(route, said, *topics, plain_username=user.encode(), plain_password=b"secret")

        sub = come("alice", "x", b"a")
        route.hears(b"a")
        leave(route, sub)
        route.publish(b"a1")
        bob = come("bob", "alice", b"b")  # which it is not
        route.hears(b"b")
        assert [each["user"] for each in away(route)] == ["alice"]
        route.publish(b"b1")
        assert receive(bob, 1) == [[b"b1"]] and receive(come("alice", "y"), 1) == [[b"a1"]]


def test_a_second_peer_of_a_name_is_refused():
    with Durable() as route:
        first = named(route, "alice", b"a")
        route.hears(b"a")
        other = route.context.socket(zmq.XSUB)
        other.linger = 0
        other.setsockopt_string(zmq.METADATA, "X-Durable:alice")
        other.connect(f"tcp://127.0.0.1:{route.backend}")
        zb.wait_until(lambda: route.stats()["backend"]["handshake_failures"]["duplicate_id"] > 0)
        route.publish(b"a1")
        assert receive(first, 1) == [[b"a1"]]


def test_what_was_queued_is_kept_for_who_breaks_off():
    with Durable("backend_sndbuf = 4096\nbackend_sndhwm = 0") as route:
        raw = socket.create_connection(("127.0.0.1", route.backend))  # that reads nothing
        raw.sendall(zmtp.GREETING + zmtp.ready(b"SUB", b"\x09X-Durable" + struct.pack(">I", 5) + b"alice") + zmtp.frame(b"\1a"))
        route.hears(b"a")
        messages = [[b"a%04d" % i, b"x" * 10000] for i in range(1000)]
        route.publish(*messages)
        queued = route.queued()
        assert queued > 100
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        zb.wait_until(lambda: away(route))
        kept = away(route)[0]["queued"]
        assert queued - 1 <= kept <= queued, (queued, kept)  # but for one that had begun
        assert receive(named(route, "alice"), kept) == messages[-kept:]


def test_what_falls_out_of_the_limits_is_expired():
    for limit, left in (("durable_messages = 3", 3), ("durable_bytes = 20", 10)):
        with Durable(limit) as route:
            sub = named(route, "alice", b"a")
            route.hears(b"a")
            leave(route, sub)
            route.publish(*[b"a%d" % (i % 10) for i in range(40)])
            assert expired(route) == 40 - left and away(route)[0]["queued"] == left
            assert receive(named(route, "alice"), left) == [[b"a%d" % (i % 10)] for i in range(40 - left, 40)]


def test_who_is_away_for_too_long_is_forgotten():
    with Durable("durable_time = 100ms") as route:
        sub = named(route, "alice", b"a")
        route.hears(b"a")
        sub.close()
        route.subscriptions(0)
        assert not away(route)


def test_kick_forgets_who_is_away():
    with Durable() as route:
        sub = named(route, "alice", b"a")
        route.hears(b"a")
        leave(route, sub)
        route.publish(b"a1", b"a2")
        assert "(away)" in route.daemon.ctl("show", "clients", "r").stdout
        assert route.daemon.ctl("kick", "r", str(away(route)[0]["id"])).returncode == 0
        assert not away(route) and expired(route) == 2
        route.subscriptions(0)
        assert route.pub.recv() == b"\0a"
        sub = named(route, "alice", b"the end")
        route.hears(b"the end")
        nothing_more(route, sub)


if __name__ == "__main__":
    zb.main()

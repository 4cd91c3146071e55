# SPDX-License-Identifier: MPL-2.0
"""Taps and captures beside a route at full load: it loses nothing and stops for nobody, and
for each reader what it saw and what it missed add up to what passed.

ZB_OBSERVE_MESSAGES is how many (200,000). Throughput is printed, not judged: with few
cores the readers compete with the route for them."""

import collections
import glob
import http.client
import json
import os
import re
import socket
import subprocess
import threading

import zb
import zmq

MESSAGES = int(os.environ.get("ZB_OBSERVE_MESSAGES", "200000"))

Load = collections.namedtuple("Load", "rate cpu_ns")


class Tap:
    """`tap' on a connection of its own. A reader that stopped reads nothing before end()."""

    def __init__(self, daemon, reads=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(daemon.control)
        self.socket.sendall(b"tap r format hex\n")
        self.blocks, self.thread = [], None
        if reads:
            self.start()

    def start(self):
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        tail = b""
        while not tail.endswith(b"\n\n"):
            block = self.socket.recv(1 << 18)
            if not block:
                break
            self.blocks.append(block)
            tail = (tail + block)[-2:]

    def end(self):
        """Sequence numbers seen, and the number in the last line."""
        self.socket.sendall(b"\n")
        if not self.thread:
            self.start()
        self.thread.join(60 * zb.SLOW)
        assert not self.thread.is_alive(), "the tap does not end"
        self.socket.close()
        lines = b"".join(self.blocks).decode().splitlines()
        assert lines[-1] == "", lines[-1]
        missed = re.fullmatch(r"missed (\d+)", lines[-2])
        assert missed, lines[-2]
        return [int(line.partition(" ")[0]) for line in lines[:-2]], int(missed.group(1))


class Reader:
    """A capture's client: the numbers in the envelopes. One that stopped takes nothing before resume()."""

    def __init__(self, context, kind, endpoint, reads=True, topics=(b"",)):
        self.socket = context.socket(kind)
        self.socket.linger = 0
        self.socket.rcvhwm = 1000 if reads else 10
        if kind == zmq.SUB:
            for topic in topics:
                self.socket.subscribe(topic)
        self.socket.connect(endpoint)
        self.reads, self.numbers, self.over = reads, [], threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        if reads:
            self.thread.start()

    def _read(self):
        numbers, take = self.numbers, self.socket.recv_multipart
        while not self.over.is_set():
            if not self.socket.poll(100):
                continue
            try:
                while True:
                    numbers.append(int(take(zmq.DONTWAIT)[0].split(b" ")[2]))
            except zmq.Again:
                pass

    def resume(self):
        if not self.thread.ident:
            self.thread.start()

    def end(self):
        """The numbers of the messages seen. There is no moment of quiet that says that these are all: see Route.end()."""
        self.over.set()
        self.thread.join(60 * zb.SLOW)
        assert not self.thread.is_alive()
        self.socket.close()
        return self.numbers


class Route:
    """A streamer named r, and a load that checks every message."""

    def __init__(self, capture=None, http=False):
        front, back, tap, self.http = zb.free_ports(4)
        self.front, self.back, self.tap = (f"tcp://127.0.0.1:{port}" for port in (front, back, tap))
        self.loads = 0
        self.daemon = zb.Daemon("[zbroker]\n" + (f"http = 127.0.0.1:{self.http}\n" if http else "") + f"""
[route r]
type = streamer
frontend_bind = {self.front}
backend_bind = {self.back}
""" + (f"""capture_bind = {self.tap}
capture_type = {capture}
capture_envelope = yes
""" if capture else ""))
        names = zb.wait_until(lambda: [path for path in glob.glob(f"/proc/{self.daemon.pid}/task/*/comm") if zb.read(path) == "zb:r\n"],
                              what="the route's thread")  # it takes its name when it first runs
        self.schedstat = os.path.join(os.path.dirname(names[0]), "schedstat")

    def load(self, messages=MESSAGES, rate=0):
        """Send so many, and see that all arrive, once and in order. Messages a second; ns of the route's thread for each."""
        self.loads += 1
        out, cpu = f"{self.daemon.folder}/{self.loads}.json", int(zb.read(self.schedstat).split()[0])
        ran = zb.run("-q", "pushpull", "--to", self.front, "--from", self.back, "-m", messages, "--settle", "20",
                     "--wait", "20", "--rate", rate, "--json", out, name="zbroker-bench", seconds=100)
        assert ran.returncode == 0 and "0 lost, 0 doubled, 0 reordered, 0 corrupt" in ran.stdout, ran.stdout + ran.stderr
        cpu = int(zb.read(self.schedstat).split()[0]) - cpu
        return Load(json.loads(zb.read(out))["messages_per_second"], cpu / messages)

    def stats(self):
        with zb.Control(self.daemon) as control:
            return control.route("r")

    def passed(self):
        """How many have passed in all, and nothing was dropped."""
        found = self.stats()
        assert not any(found["dropped"].values()), found["dropped"]
        assert found["frontend"]["messages_received"] == found["backend"]["messages_sent"], found
        return found["backend"]["messages_sent"]

    def wait_for_taps(self):
        """Lines on other connections have been served when a few later ones were: events are served in turns."""
        with zb.Control(self.daemon) as control:
            for _ in range(10):
                control.ask("status")

    def wait_for_readers(self, *readers):
        """Until everybody who reads has seen something: subscriptions follow connections."""
        zb.wait_until(lambda: self.stats()["capture"]["connections"] == len(readers), what="the readers' connections")

        def seen():
            self.load(10)
            return all(reader.numbers for reader in readers if reader.reads)

        zb.wait_until(seen, 30, "a message at each reader")
        if readers[0].socket.type == zmq.SUB:  # those of a PUSH share
            self.wait_for_the_last([reader for reader in readers if reader.reads])

    def wait_for_the_last(self, readers):
        """Until each has had all that has passed: the last one itself may be missed, so more are sent."""
        last = self.passed()

        def came():
            if all(reader.numbers and reader.numbers[-1] >= last for reader in readers):
                return True
            self.load(10)
            return False

        zb.wait_until(came, 30, "the last message at each reader")

    def end(self, *readers):
        """What each reader has seen, when all that can come has come.

        Readers of a PUB get more messages until they have the last one, in front of which all the others come. Those of
        a PUSH share: what they have seen and what was dropped are all there were since the first of them."""
        for reader in readers:
            reader.resume()
        if readers[0].socket.type == zmq.SUB:
            self.load(1)
            self.wait_for_the_last(readers)
        else:
            def all_came():
                seen = [number for reader in readers for number in reader.numbers]
                return seen and len(seen) + self.stats()["capture_dropped"] >= self.passed() - min(seen) + 1
            zb.wait_until(all_came, 30, "all that was not dropped")
        return [reader.end() for reader in readers]

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.daemon.__exit__(*what)


def up_to(last, numbers):
    return [number for number in numbers if number <= last]


def compare(what, alone, beside):
    print(f"# {what}: {beside.rate:.0f} of {alone.rate:.0f} messages/s alone ({beside.rate / alone.rate:.2f}); "
          f"the route's thread {beside.cpu_ns:.0f} ns a message, alone {alone.cpu_ns:.0f}", flush=True)


def add_up(taps, passed):
    """Each tap: what it saw, in order, and what it missed are all that passed while it was there."""
    missed = {}
    for name, tap in taps.items():
        seen, missed[name] = tap.end()
        assert all(a < b for a, b in zip(seen, seen[1:])), name
        assert len(seen) + missed[name] == passed, (name, len(seen), missed[name], passed)
        print(f"# tap that {name}: {len(seen)} seen + {missed[name]} missed = {passed}", flush=True)
    return missed


def three_taps(route):
    taps = {"reads": Tap(route.daemon), "reads too": Tap(route.daemon), "stopped": Tap(route.daemon, reads=False)}
    route.wait_for_taps()
    return taps


def lacking(numbers, first, last):
    """Which of FIRST to LAST are missing in NUMBERS, which come in order."""
    assert all(a < b for a, b in zip(numbers, numbers[1:])), "in order, none twice"
    assert not numbers or (numbers[0] >= first and numbers[-1] <= last), (numbers[0], numbers[-1], first, last)
    return set(range(first, last + 1)).difference(numbers)


def missed_were_dropped(route, reader, before, last, dropped):
    """What the reader of a capture has not seen of the messages from BEFORE to LAST are the DROPPED ones."""
    numbers = up_to(last, *route.end(reader))
    missed = len(lacking(numbers, before + 1, last))
    assert dropped == missed, (dropped, missed)
    print(f"# capture: {len(numbers)} seen + {missed} missed = {last - before}")


@zb.limit(120)
def test_three_taps_one_of_them_stopped():
    with Route() as route:
        alone, before = route.load(), route.passed()
        taps = three_taps(route)
        beside = route.load()
        passed = route.passed() - before
        assert passed >= MESSAGES
        assert add_up(taps, passed)["stopped"] > 0, "the test has stopped nobody"
        compare("three taps, one stopped", alone, beside)


@zb.limit(120)
def test_three_taps_and_a_capture():
    with Route("pub") as route, zmq.Context() as context:
        alone = route.load()
        reader = Reader(context, zmq.SUB, route.tap)
        route.wait_for_readers(reader)
        reader.numbers.clear()
        dropped = route.stats()["capture_dropped"]
        before, taps = route.passed(), three_taps(route)
        beside = route.load()
        last = route.passed()
        assert add_up(taps, last - before)["stopped"] > 0, "the test has stopped nobody"
        dropped = route.stats()["capture_dropped"] - dropped
        missed_were_dropped(route, reader, before, last, dropped)
        compare("three taps, one stopped, and a capture", alone, beside)


@zb.limit(120)
def test_a_route_keeps_its_rate_beside_three_taps_and_a_capture():
    """Where the cores have time for the readers, too."""
    rate, messages = 100000, 200000
    with Route("pub") as route, zmq.Context() as context:
        alone = route.load(messages, rate)
        reader = Reader(context, zmq.SUB, route.tap)
        route.wait_for_readers(reader)
        reader.numbers.clear()
        before, taps = route.passed(), three_taps(route)
        beside = route.load(messages, rate)
        last = route.passed()
        add_up(taps, last - before)
        dropped = route.stats()["capture_dropped"]
        missed_were_dropped(route, reader, before, last, dropped)
        compare(f"the same at {rate} messages/s", alone, beside)


@zb.limit(120)
def test_two_readers_of_a_pub_one_of_them_stopped():
    with Route("pub") as route, zmq.Context() as context:
        alone = route.load()
        readers = [Reader(context, zmq.SUB, route.tap), Reader(context, zmq.SUB, route.tap, reads=False)]
        route.wait_for_readers(*readers)
        assert route.stats()["capture_dropped"] == 0
        readers[0].numbers.clear()
        before = route.passed()
        beside = route.load()
        last = route.passed()
        dropped = route.stats()["capture_dropped"]
        reads, stopped = (up_to(last, numbers) for numbers in route.end(*readers))
        stopped = [number for number in stopped if number > before]
        missing = [lacking(numbers, before + 1, last) for numbers in (reads, stopped)]
        assert missing[1], "the test has stopped nobody"
        assert len(reads) > len(stopped), "the one that reads has missed what the other one had no room for"
        if zb.WIRE:
            assert dropped == len(missing[0]) + len(missing[1])
        else:  # libzmq forgets a full reader until it has room again: what is counted is that somebody fell behind
            assert 0 < dropped <= len(missing[0] | missing[1])
        for name, numbers, missed in zip(("reads", "stopped"), (reads, stopped), missing):
            print(f"# reader that {name}: {len(numbers)} seen + {len(missed)} missed = {last - before}")
        compare("two readers, one stopped", alone, beside)


@zb.limit(120)
def test_a_reader_with_two_subscriptions_is_one():
    with Route("pub") as route, zmq.Context() as context:
        alone = route.load()
        reader = Reader(context, zmq.SUB, route.tap, topics=(b"r", b"r f"))
        route.wait_for_readers(reader)
        reader.numbers.clear()
        before, dropped = route.passed(), route.stats()["capture_dropped"]
        beside = route.load()
        last = route.passed()
        dropped = route.stats()["capture_dropped"] - dropped
        missed_were_dropped(route, reader, before, last, dropped)
        compare("one reader with two subscriptions", alone, beside)


@zb.limit(120)
def test_two_readers_of_a_push_share_and_one_stops():
    with Route("push") as route, zmq.Context() as context:
        alone = route.load()
        assert route.stats()["capture_dropped"] == 0
        readers = [Reader(context, zmq.PULL, route.tap), Reader(context, zmq.PULL, route.tap, reads=False)]
        before = route.passed()
        route.wait_for_readers(*readers)
        beside = route.load()
        last = route.passed()
        dropped = route.stats()["capture_dropped"]
        reads, stopped = route.end(*readers)
        assert reads and stopped and not set(reads) & set(stopped), "each goes to one of them"
        lacking(stopped, before + 1, last)
        missed = lacking(sorted(reads + stopped), before + 1, last)
        assert reads == sorted(reads) and len(missed) == dropped, (len(missed), dropped)
        print(f"# push: {len(reads)} + {len(stopped)} seen + {dropped} missed = {last - before}")
        compare("two readers, one stopped", alone, beside)


@zb.limit(120)
def test_a_reader_that_connects_later_begins_where_it_came():
    for capture, kind in (("pub", zmq.SUB), ("push", zmq.PULL)):
        with Route(capture) as route, zmq.Context() as context:
            route.load()
            assert route.stats()["capture_dropped"] == 0, "nobody was there to miss anything"
            loading = threading.Thread(target=route.load, daemon=True)
            loading.start()
            zb.wait_until(lambda: route.stats()["backend"]["messages_sent"] > MESSAGES * 5 // 4)
            reader = Reader(context, kind, route.tap)
            loading.join()
            route.wait_for_readers(reader)
            last, dropped = route.passed(), route.stats()["capture_dropped"]
            numbers = up_to(last, *route.end(reader))
            assert MESSAGES < numbers[0] < numbers[-1] <= last, (numbers[0], numbers[-1], last)
            missed = lacking(numbers, numbers[0], last)
            assert len(missed) == dropped, (len(missed), dropped)
            print(f"# {capture}: came at {numbers[0]}, {len(numbers)} seen + {dropped} missed = {last - numbers[0] + 1}")


@zb.limit(60)
def test_a_capture_shows_the_parts_of_a_message_as_they_came():
    for first in (0, 3):  # the message for which there is no worker yet has one part, or four
        def message(i):
            return [b"%d.%d" % (i, part) + b"x" * (i % 90) for part in range(1 + (i + first) % 4)]

        with Route("pub") as route, zmq.Context() as context:
            reader, producer, worker = (context.socket(kind) for kind in (zmq.SUB, zmq.PUSH, zmq.PULL))
            for each in reader, producer, worker:
                each.linger = 0
            reader.subscribe(b"")
            reader.connect(route.tap)
            producer.connect(route.front)
            zb.wait_until(lambda: route.stats()["capture"]["connections"] == 1, what="the reader")
            sent, got, seen, over, done = [0], [], [], threading.Event(), threading.Event()

            def produce():
                while not over.is_set():
                    if producer.poll(50, zmq.POLLOUT):
                        producer.send_multipart(message(sent[0]))
                        sent[0] += 1

            def take(socket, into):
                while not done.is_set():
                    if socket.poll(50):
                        into.append(socket.recv_multipart())

            threads = [threading.Thread(target=produce), threading.Thread(target=take, args=[reader, seen]),
                       threading.Thread(target=take, args=[worker, got])]
            try:
                threads[0].start()
                threads[1].start()
                zb.wait_until(lambda: route.stats()["blocked"], what="a message that nobody takes")
                worker.connect(route.back)
                threads[2].start()
                zb.wait_until(lambda: len(seen) > 1000, what="what the capture shows")
                over.set()
                threads[0].join()
                zb.wait_until(lambda: len(got) == sent[0], what="every message")
                zb.wait_until(lambda: len(seen) == route.stats()["capture"]["messages_sent"], what="every copy")
            finally:
                over.set()
                done.set()
                for each in threads:
                    if each.ident:
                        each.join()
                for each in reader, producer, worker:
                    each.close()
            assert got == [message(i) for i in range(sent[0])]
            for envelope, *parts in seen:
                name, side, number, _ = envelope.split()
                assert (name, side, parts) == (b"r", b"frontend", message(int(number) - 1)), (envelope, parts)
            numbers = [int(each[0].split()[2]) for each in seen]
            assert numbers == sorted(set(numbers))


@zb.limit(120)
def test_requests_and_slow_clients_beside_a_route_at_full_load():
    zb.need_http()
    with Route(http=True) as route:
        alone = route.load()
        before = route.passed()
        slow = [socket.create_connection(("127.0.0.1", route.http)) for _ in range(100)]
        for each in slow:
            each.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        done, failures = [0] * 4, []

        def browse(number):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", route.http, timeout=30 * zb.SLOW)
                for i in range(1250):
                    connection.request("GET", ("/metrics", "/api/v1/routes", "/", "/api/v1/status")[i % 4])
                    answer = connection.getresponse()
                    assert answer.status == 200 and answer.read()
                    done[number] += 1
                connection.close()
            except Exception as problem:
                failures.append(repr(problem))

        browsers = [threading.Thread(target=browse, args=[number], daemon=True) for number in range(4)]
        for each in browsers:
            each.start()
        loads = []
        while any(each.is_alive() for each in browsers):
            loads.append(route.load())
        assert not failures and sum(done) == 5000, (failures, done)
        assert route.passed() - before >= MESSAGES * len(loads)
        for each in slow:
            each.close()
        compare(f"5,000 requests, 100 slow clients and {len(loads)} loads", alone, loads[0])


def test_all_columns_of_show_stats_have_the_figures_of_the_page():
    zb.need_http()
    with Route("pub", http=True) as route:
        over, failed = threading.Event(), []

        def keep_loading():
            try:
                while not over.is_set():
                    route.load(9000, 3000)
            except Exception as problem:
                failed.append(problem)

        loading = threading.Thread(target=keep_loading, daemon=True)
        loading.start()
        stats = zb.spawn(zb.program("zbrokerctl") + ["-s", route.daemon.control, "-w", "0.1", "--wide", "show", "stats"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # The figures of a second, as both tell them. How far behind we are with reading does not matter then.
        shown, told = set(), set()

        def read_stats():
            names = None
            for line in stats.stdout:
                fields = line.split()
                if line.startswith("ROUTE "):
                    names = fields
                elif line.startswith("r ") and names:
                    row = dict(zip(names, fields))
                    shown.add(tuple(float(row[name]) for name in ("IN/1S", "OUT/1S", "IN/60S", "OUT/60S", "BYTES_IN/1S", "BYTES_OUT/1S"))
                              + (row["BLOCKED/60S"], int(row["FRONTEND_CLIENTS"]), int(row["BACKEND_CLIENTS"]), int(row["DROPPED"])))

        threading.Thread(target=read_stats, daemon=True).start()

        def agree():
            connection = http.client.HTTPConnection("127.0.0.1", route.http, timeout=20 * zb.SLOW)
            connection.request("GET", "/api/v1/routes")
            page = json.loads(connection.getresponse().read())["routes"][0]
            connection.close()
            rates = [round(page["rates"][name], 1) for name in ("in_1s", "out_1s", "in_60s", "out_60s", "bytes_in_1s", "bytes_out_1s")]
            if all(rates):
                told.add(tuple(rates) + (f"{page['blocked_share'] * 100:.1f}%", page["frontend"]["connections"], page["backend"]["connections"],
                                         sum(page["dropped"].values())))
            return len(shown & told) >= 5

        try:
            zb.wait_until(agree, 30, "the figures of five seconds in both")
        except AssertionError:
            print("#", sorted(shown)[-5:], sorted(told)[-5:])
            raise
        finally:
            over.set()
            loading.join()
        assert not failed, failed


def test_the_log_says_each_event_once_and_changes_its_level():
    with Route() as route, zb.Control(route.daemon) as control:
        port = int(route.front.rpartition(":")[2])

        def knock(times):
            for _ in range(times):
                with socket.create_connection(("127.0.0.1", port)) as peer:
                    peer.sendall(b"\xff\0\0\0\0\0\0\0\1\x7f\3\0JUNK" + b"\0" * 48 + b"nonsense" * 10)
                    peer.settimeout(10 * zb.SLOW)
                    try:
                        while peer.recv(1000):
                            pass
                    except ConnectionResetError:
                        pass

        failed = r"route r: frontend handshake (?:with \S+ )?failed.* event=[^(]*?( \(repeated (\d+) times?\))?$"
        count = lambda: sum(int(match.group(2) or 1) for match in re.finditer("(?m)" + failed, route.daemon.log()))
        failures = lambda: sum(control.route("r")["frontend"]["handshake_failures"].values())
        assert control.ask("set log_level error") == "log_level: error"
        knock(5)
        zb.wait_until(lambda: failures() == 5)
        assert control.ask("set log_level info") == "log_level: info"
        knock(40)
        zb.wait_until(lambda: failures() == 45)
        zb.wait_until(lambda: count() >= 40, 15, "the sum of what repeats")
        lines = re.findall("(?m)^.*handshake .*failed.*$", route.daemon.log())
        assert count() == 40 and len(lines) < 20, lines
        assert not re.search(" (debug|trace): ", route.daemon.log())
        assert control.ask("set log_level debug") == "log_level: debug"
        with zmq.Context() as context, zb.peer(context, zmq.PUSH, route.front):
            route.daemon.wait_log(r"debug: route r: frontend client \d+ ")


if __name__ == "__main__":
    zb.main()

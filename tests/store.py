# SPDX-License-Identifier: MPL-2.0
"""Streamers that keep messages on disk: over restarts, kills, upgrades, full disks and damage.

ZB_KILLS is how many times the daemon is killed under load: 3, or 200 in a long run,

    ZB_KILLS=200 python3 tests/store.py test_killed_under_load_it_delivers_nothing_twice_and_in_order
"""

import contextlib
import glob
import os
import re
import signal
import stat
import subprocess
import threading

import zmq
import zb
from zb import Route

KILLS = int(os.environ.get("ZB_KILLS", "3"))
LAST = 10**9  # the number of a message after which nothing comes


class Streamer(Route):
    """With a store in a folder of its own, and a producer."""

    def __init__(self, store="all", more="", folder=None):
        self.folder = folder or os.path.join(zb.folder(), "store")
        self.store = store
        super().__init__("streamer", f"store = {store}\nstore_dir = {self.folder}\n{more}")
        self.producer = self.front(zmq.PUSH, sndhwm=1)

    def settings(self, more=""):
        return f"store = {self.store}\nstore_dir = {self.folder}\n{more}"

    def put(self, start, end, size=100):
        for i in range(start, end):
            self.producer.send(b"%d:" % i + b"x" * size)

    def fill(self, start=0):
        """Send until nothing more is taken. Returns the number of the next one."""
        self.producer.sndtimeo = 1000
        with contextlib.suppress(zmq.Again):
            while True:
                self.put(start, start + 1, 10000)
                start += 1
        return start

    def shown(self):
        return self.ask("show store r")["stores"][0]

    def wait_stored(self, messages, seconds=30):
        zb.wait_until(lambda: self.shown()["messages"] == messages, seconds, f"{messages} messages in the store")

    def again(self, number=signal.SIGTERM):
        """The daemon ends, and another one comes."""
        self.daemon.stop(number)
        self.daemon = zb.Daemon(self.daemon.file, folder=self.daemon.folder)

    def files(self, ending=".mdb"):
        return sorted(glob.glob(os.path.join(self.folder, "*" + ending)))

    def worker(self, **options):
        return self.back(zmq.PULL, **options)

    def take_rest(self, worker):
        """All that comes before a message that is sent now."""
        self.put(LAST, LAST + 1)
        return list(until_last(worker))


def number(message):
    return int(message.split(b":")[0])


def take(worker, count):
    return [number(worker.recv()) for _ in range(count)]


def until_last(worker):
    return iter(lambda: number(worker.recv()), LAST)


# --- restarts -----------------------------------------------------------------------------------------------------------

def test_what_was_stored_comes_after_a_restart_in_order():
    for kind in "all", "overflow":
        with Streamer(kind) as route:
            route.put(0, 3000)
            route.wait_stored(3000)
            route.again()
            route.put(3000, 3100)
            worker = route.worker()
            assert take(worker, 3100) == list(range(3100)), kind
            route.wait_stored(0)


def test_what_was_stored_comes_after_a_kill_in_order():
    for kind in "all", "overflow":
        with Streamer(kind) as route:
            route.put(0, 3000)
            route.wait_stored(3000)
            route.again(signal.SIGKILL)
            worker = route.worker()
            assert take(worker, 3000) == list(range(3000)), kind
            assert route.shown()["corrupt"] == 0


def test_multipart_and_empty_messages_are_kept_as_they_are():
    with Streamer() as route:
        messages = [[b""], [b"a", b"", b"c"], [b"x" * 300, b"y"], [b"z" * 100000]]
        for message in messages:
            route.producer.send_multipart(message)
        route.wait_stored(len(messages))
        route.again()
        worker = route.worker()
        assert [worker.recv_multipart() for _ in messages] == messages


def test_killed_under_load_it_delivers_nothing_twice_and_in_order():
    with Streamer("all", "store_commit = 1ms") as route:
        got, stop, sent = [], threading.Event(), [0]

        def send():
            producer = route.front(zmq.PUSH, sndhwm=100)
            while not stop.is_set():
                try:
                    producer.send(b"%d:" % sent[0] + b"x" * 200)
                    sent[0] += 1
                except zmq.Again:
                    pass
            producer.close(0)

        def receive():
            worker = route.worker(rcvhwm=100)
            for each in until_last(worker):
                got.append(each)
            worker.close(0)

        sender, receiver = threading.Thread(target=send), threading.Thread(target=receive)
        sender.start()
        receiver.start()
        for _ in range(KILLS):
            had = len(got)
            zb.wait_until(lambda: len(got) > had + 500, 60, "messages between two kills")
            route.again(signal.SIGKILL)
        stop.set()
        sender.join()
        route.put(LAST, LAST + 1)
        receiver.join()
        assert len(set(got)) == len(got), "something came twice"
        assert got == sorted(got), "something came out of order"
        assert route.shown()["corrupt"] == 0
        print(f"# {KILLS} kills, {sent[0]} sent, {sent[0] - len(got)} were on their way")


def test_what_comes_while_much_is_on_the_disk_follows_on_it():
    with Streamer("all", "backend_sndhwm = 10") as route:
        route.put(0, 3000, 10000) # more than is read ahead
        route.wait_stored(3000)
        route.again()
        worker = route.worker(rcvhwm=10)
        producer = threading.Thread(target=route.put, args=(3000, 9000, 10))
        producer.start()
        assert take(worker, 9000) == list(range(9000))
        producer.join()


def test_what_a_worker_has_not_taken_at_the_end_is_kept():
    with Streamer("all", "backend_sndhwm = 100\nbackend_sndbuf = 4096", ) as route:
        worker = route.worker(rcvhwm=1, rcvbuf=4096)
        route.put(0, 1000, 2000)
        with zb.Control(route.daemon) as control:
            zb.wait_until(lambda: control.route("r")["frontend"]["messages_received"] == 1000)
        first = take(worker, 10)
        zb.write(route.daemon.file, zb.read(route.daemon.file).replace("[zbroker]", "[zbroker]\ndrain_timeout = 1s"))
        assert route.daemon.ctl("reload").returncode == 0
        ended = route.daemon
        route.again()
        rest = route.take_rest(worker)
        lost = sum(int(found) for found in re.findall(r"event=(?:client-lost|route-leftover) .*(?:messages|undelivered)=(\d+)", ended.log()))
        assert len(set(first + rest)) == len(first + rest), "something came twice"
        assert set(range(1000)) - set(first + rest) <= set(range(10, 1000)) and len(first + rest) + lost >= 1000


def test_what_a_worker_has_not_taken_at_the_end_comes_before_what_is_newer():
    for kind in "all", "overflow":
        with Streamer(kind, "backend_sndhwm = 100\nbackend_sndbuf = 4096") as route:
            received, last = 0, []
            for _ in range(3):  # what was kept is kept again
                worker = route.worker(rcvhwm=1, rcvbuf=4096)
                route.wait_clients("backend", 1)
                route.put(received, received + 1000, 2000)
                zb.wait_until(lambda: route.stats()["frontend"]["messages_received"] == 1000)
                zb.wait_until(lambda: route.shown()["messages"] > 100, what="messages on the disk")
                received += 1000
                last += take(worker, 10)
                zb.write(route.daemon.file, zb.read(route.daemon.file).replace("[zbroker]\n\n", "[zbroker]\ndrain_timeout = 1s\n"))
                assert route.daemon.ctl("reload").returncode == 0
                worker.close()
                if kind == "all" or received < 3000:
                    route.again()
                else:
                    assert "re-created" in route.reload(route.settings("backend_sndhwm = 100\nbackend_sndbuf = 4096\ncpu = 0"))
            last += route.take_rest(route.worker())
            assert last == sorted(set(last)), last
            assert len(last) > received / 2


# --- overflow -----------------------------------------------------------------------------------------------------------

def test_overflow_sends_straight_on_while_workers_have_room():
    with Streamer("overflow") as route:
        worker = route.worker()
        route.wait_clients("backend", 1)
        route.put(0, 5000)
        assert take(worker, 5000) == list(range(5000))
        assert route.files() == []


def test_overflow_keeps_order_through_the_disk_and_back():
    with Streamer("overflow", "backend_sndhwm = 10") as route:
        worker = route.worker(rcvhwm=10)
        route.wait_clients("backend", 1)
        route.put(0, 10)
        assert take(worker, 10) == list(range(10))
        route.put(10, 20010, 1000)
        zb.wait_until(lambda: route.shown()["messages"] > 0, what="messages that went to the disk")
        assert take(worker, 20000) == list(range(10, 20010))
        route.wait_stored(0)
        route.put(20010, 20020)
        assert take(worker, 10) == list(range(20010, 20020))


def test_overflow_ends_while_producers_go_on_as_fast_as_they_can():
    with Streamer("overflow", "backend_sndhwm = 100") as route:
        zb.spawn(zb.program("zbroker-bench") + ["pushpull", "-q", "--to", f"tcp://127.0.0.1:{route.frontend}", "-n", "0",
                                                "-s", "1000", "-d", "600s"], stdout=subprocess.DEVNULL)
        zb.wait_until(lambda: route.shown()["messages"] > 10000, what="messages that went to the disk")
        worker = route.worker(rcvhwm=100)

        def is_empty():
            for _ in range(1000):
                worker.recv()
            return route.shown()["messages"] == 0

        zb.wait_until(is_empty, 60, "an empty store")


# --- what fills and empties ---------------------------------------------------------------------------------------------

def test_a_full_store_makes_producers_wait_and_goes_on():
    with Streamer("all", "store_max = 2M") as route:
        sent = route.fill()
        route.daemon.wait_log("event=store-stopped route=r")
        assert route.shown()["state"] == "full"
        assert route.shown()["bytes"] <= 2 << 20
        assert "producers wait" in route.daemon.ctl("status").stdout
        worker = route.worker()
        assert take(worker, sent) == list(range(sent))
        route.daemon.wait_log("event=store-room route=r")
        route.put(sent, sent + 10)
        assert take(worker, 10) == list(range(sent, sent + 10))


def test_a_full_store_drops_the_oldest_if_it_shall():
    with Streamer("all", "store_max = 2M\nstore_full = drop_oldest") as route:
        route.put(0, 1000, 10000)
        with zb.Control(route.daemon) as control:
            zb.wait_until(lambda: control.route("r")["frontend"]["messages_received"] == 1000)
            worker = route.worker()
            numbers = route.take_rest(worker)
            expired = control.route("r")["dropped"]["expired"]
        assert numbers == list(range(expired, 1000))
        assert expired > 0


def test_drained_files_go():
    with Streamer("all", "store_max = 16M") as route:
        worker = route.worker()
        for turn in range(4):
            route.put(turn * 5000, turn * 5000 + 5000, 1000)
            assert take(worker, 5000) == list(range(turn * 5000, turn * 5000 + 5000))
        route.wait_stored(0)
        zb.wait_until(lambda: sum(os.path.getsize(path) for path in route.files()) < 3 << 20, what="that drained files go")


def test_a_message_that_is_too_large_for_the_store_ends_its_connection():
    with Streamer("all", "store_max = 1M") as route:
        route.producer.send(b"x" * 300000)
        route.daemon.wait_log("too large for the store.*client-cut")
        route.producer = route.front(zmq.PUSH)
        route.put(0, 1)
        assert take(route.worker(), 1) == [0]


# --- damage -------------------------------------------------------------------------------------------------------------

def test_of_damaged_files_all_that_is_whole_is_delivered():
    with Streamer() as route:
        route.put(0, 5000, 300)
        route.wait_stored(5000)
        route.daemon.stop(signal.SIGKILL)
        flips = 0
        for path in route.files():
            with open(path, "r+b") as file:
                for at in range(10240, os.path.getsize(path), 10240):
                    file.seek(at)
                    byte = file.read(1)
                    file.seek(at)
                    file.write(bytes([byte[0] ^ 1]))
                    flips += 1
        route.daemon = zb.Daemon(route.daemon.file, folder=route.daemon.folder)
        numbers = route.take_rest(route.worker())
        assert numbers == sorted(set(numbers))
        corrupt = route.shown()["corrupt"]
        assert len(numbers) + corrupt == 5000
        assert 0 < corrupt <= 2 * flips
        route.daemon.wait_log("event=store-damaged route=r")
        zb.wait_until(lambda: route.files(".bad"), what="a file that is kept aside")
        for path in route.files(".bad"):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        print(f"# {flips} bytes flipped, {corrupt} of 5000 messages lost")


def test_garbage_in_the_folder_does_no_harm():
    with Streamer() as route:
        route.put(0, 10)
        route.wait_stored(10)
        route.daemon.stop()
        for name, data in (("00000009-0000000000000001-0123456789abcdef.mdb", os.urandom(100000)), ("notes.txt", b"mine"),
                           ("0000000a-ffffffffffffffff-0123456789abcdef.mdb", b"")):
            with open(os.path.join(route.folder, name), "wb") as file:
                file.write(data)
        route.daemon = zb.Daemon(route.daemon.file, folder=route.daemon.folder)
        assert take(route.worker(), 10) == list(range(10))
        assert os.path.exists(os.path.join(route.folder, "notes.txt"))


# --- the disk -----------------------------------------------------------------------------------------------------------

def on_small_disk():
    """A folder on a file system of 8 MB, of which nothing stays."""
    if os.geteuid() != 0:
        raise zb.Skip("needs root")
    folder = zb.folder()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", folder], capture_output=True).returncode:
        raise zb.Skip("cannot mount a tmpfs")
    return folder


def fill_disk(disk):
    """Returns what has to be removed for some room."""
    path = os.path.join(disk, "fill")
    with contextlib.suppress(OSError), open(path, "wb") as file:
        while True:
            file.write(b"x" * 65536)
            file.flush()
    return path


def test_a_full_disk_makes_producers_wait_and_workers_go_on():
    disk = on_small_disk()
    try:
        with Streamer("all", folder=os.path.join(disk, "store")) as route:
            route.put(0, 100)
            route.wait_stored(100)
            filler = fill_disk(disk)
            sent = route.fill(100)
            route.daemon.wait_log("event=store-stopped route=r")
            assert route.shown()["state"] == "no_disk"
            worker = route.worker()
            assert take(worker, 100) == list(range(100)), "what is there goes on to the workers"
            os.unlink(filler)
            assert take(worker, sent - 100) == list(range(100, sent))
            assert route.shown()["state"] == "ready"
            route.daemon.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# --- pause, reload, upgrade ---------------------------------------------------------------------------------------------

def test_a_paused_route_gives_nothing_to_workers():
    with Streamer() as route:
        route.put(0, 100)
        route.wait_stored(100)
        assert route.daemon.ctl("pause", "r").returncode == 0
        worker = route.worker()
        assert not worker.poll(200)
        assert route.daemon.ctl("resume", "r").returncode == 0
        assert take(worker, 100) == list(range(100))


def test_a_route_that_is_created_anew_goes_on_with_its_store():
    with Streamer() as route:
        route.put(0, 1000)
        route.wait_stored(1000)
        assert "re-created" in route.reload(route.settings("cpu = 0"))
        route.put(1000, 1100)
        assert take(route.worker(), 1100) == list(range(1100))


def test_limits_change_while_it_runs():
    with Streamer("all", "store_max = 1M") as route:
        sent = route.fill()
        route.reload(route.settings("store_max = 100M"))
        route.producer.sndtimeo = 10000
        route.put(sent, sent + 300, 10000)
        assert take(route.worker(), sent + 300) == list(range(sent + 300))


def test_an_upgrade_loses_nothing_and_keeps_the_connections():
    with Streamer() as route:
        worker = route.worker()
        got = []
        thread = threading.Thread(target=lambda: got.extend(until_last(worker)))
        thread.start()
        sent = 0
        for turn in range(3):
            route.put(sent, sent + 3000)
            sent += 3000
            answer = route.daemon.ctl("upgrade", seconds=30)
            assert answer.returncode == 0, answer.stderr
        route.put(LAST, LAST + 1)
        thread.join()
        assert got == list(range(sent)), f"{len(got)} of {sent}"


def test_disable_keeps_what_is_stored_and_enable_brings_it_back():
    with Streamer() as route:
        route.put(0, 100)
        route.wait_stored(100)
        assert route.daemon.ctl("disable", "r", seconds=30).returncode == 0
        assert route.daemon.ctl("enable", "r").returncode == 0
        assert take(route.worker(), 100) == list(range(100))


# --- forwarders ---------------------------------------------------------------------------------------------------------

class Forwarder(Route):
    def __init__(self, more):
        self.folder = os.path.join(zb.folder(), "store")
        super().__init__("forwarder", f"store = all\nstore_dir = {self.folder}\n{more}")
        self.open_publisher()

    def open_publisher(self):
        self.publisher = self.front(zmq.XPUB, sndhwm=0)
        assert self.publisher.recv() == b"\1"

    def publish(self, messages):
        before = self.stats()["frontend"]["messages_received"]
        for message in messages:
            self.publisher.send(message)
        zb.wait_until(lambda: self.stats()["frontend"]["messages_received"] == before + len(messages))

    def shown(self):
        return self.ask("show store r")["stores"][0]

    def hears(self, end=b"\xff"):
        """What a new subscriber gets before a message that is published now."""
        subscriber = self.back(zmq.SUB, rcvhwm=0)
        subscriber.subscribe(b"")
        zb.wait_until(lambda: [each["subscriptions"] for each in self.clients("backend")] == [1])
        self.publish([end])
        return list(iter(subscriber.recv, end))

    def again(self, number=signal.SIGTERM):
        self.publisher.close()
        Streamer.again(self, number)
        self.open_publisher()


def test_last_values_survive_a_restart_and_a_kill():
    for number in signal.SIGTERM, signal.SIGKILL:
        with Forwarder("last_value = 100\ntopic_end = |\nstore_commit = 1ms") as route:
            route.publish([b"%d|%d" % (topic, turn) for turn in range(400) for topic in range(20)])
            zb.wait_until(lambda: 20 <= route.shown()["messages"] < 7000, what="that old values go")
            route.publish([b"last|1"])
            zb.wait_until(lambda: b"last|1" in b"".join(zb.contents(path) for path in glob.glob(route.folder + "/*.mdb")), what="the last value on the disk")
            route.again(number)
            heard = route.hears()
            assert sorted(heard) == sorted([b"%d|399" % topic for topic in range(20)] + [b"last|1"]), (number, len(heard), heard[:30])


def test_what_was_cleared_does_not_come_back():
    for more in "last_value = 100", "replay_messages = 100":
        for number in signal.SIGTERM, signal.SIGKILL:
            with Forwarder(f"{more}\nstore_commit = 1ms") as route:
                route.publish([b"a", b"b1", b"c", b"b2"])
                assert route.daemon.ctl("clear", "values", "r", "b").returncode == 0
                route.publish([b"b3"])
                zb.wait_until(lambda: b"b3" in b"".join(zb.contents(path) for path in glob.glob(route.folder + "/*.mdb")))
                route.again(number)
                assert sorted(route.hears()) == [b"a", b"b3", b"c"]


def test_history_survives_a_restart_and_a_kill():
    for number in signal.SIGTERM, signal.SIGKILL:
        with Forwarder("replay_messages = 100") as route:
            route.publish([b"%05d" % i for i in range(1000)])
            zb.wait_until(lambda: route.shown()["messages"] == 100, what="that all but the last hundred go")
            route.again(number)
            assert route.shown()["messages"] == 100
            assert route.hears() == [b"%05d" % i for i in range(900, 1000)], number


# --- its folder and its keys --------------------------------------------------------------------------------------------

def test_the_folder_is_ours_alone_and_made_if_it_is_missing():
    with Streamer() as route:
        route.put(0, 1)
        route.wait_stored(1)
        assert stat.S_IMODE(os.stat(route.folder).st_mode) == 0o700
        for path in route.files():
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        route.daemon.stop()
        os.chmod(route.folder, 0o755)
        refused = zb.run("-c", route.daemon.file, "-o", f"zbroker.control={route.daemon.control}")
        assert refused.returncode == 69 and "open to others" in refused.stderr, (refused.returncode, refused.stderr)
        os.chmod(route.folder, 0o700)


def test_two_brokers_on_one_folder_are_refused():
    with Streamer() as route:
        other = zb.write(os.path.join(zb.folder(), "other.ini"),
                         re.sub(r":\d+", ":*", zb.read(route.daemon.file)).replace("[zbroker]", "[zbroker]\ncontrol ="))
        refused = zb.run("-c", other)
        assert refused.returncode == 69, refused.stderr
        assert route.folder in refused.stderr and "another process uses it" in refused.stderr


def test_show_store_and_metrics_tell_what_is_there():
    with Streamer() as route:
        route.put(0, 100)
        route.wait_stored(100)
        shown = route.shown()
        assert shown["store"] == "all" and shown["state"] == "ready" and shown["folder"] == route.folder
        assert shown["bytes"] > 0 and shown["oldest_seconds"] >= 0 and shown["commit_p99_seconds"] > 0
        table = route.daemon.ctl("show", "store").stdout
        assert "OLDEST" in table and re.search(r"^r +ready +100 ", table, re.M)


def test_what_a_store_cannot_be_is_said():
    base = "[route r]\ntype = {}\nfrontend_bind = tcp://127.0.0.1:5570\nbackend_bind = tcp://127.0.0.1:5571\n{}\n"
    for kind, more, words in (("queue", "store = all", "store: is for a streamer or a forwarder"),
                              ("forwarder", "store = overflow\nlast_value = 1", "overflow is for a streamer"),
                              ("forwarder", "store = all", "does nothing on a forwarder without last_value, replay_… or durable"),
                              ("streamer", "store = all\nengine = zmq", "store: needs engine = wire"),
                              ("streamer", "store_max = 2M", "store_max: does nothing without store"),
                              ("streamer", "store = all\nstore_max = 1k", "store_max"),
                              ("streamer", "store = most", "unknown value \"most\""),
                              ("streamer", "store = all\nstore_dir = /tmp/x\n[route s]\ntype = streamer\nstore = all\n"
                               "store_dir = /tmp/x\nfrontend_bind = tcp://127.0.0.1:5572\nbackend_bind = tcp://127.0.0.1:5573",
                               "/tmp/x is the store of [route r]")):
        tested = zb.run("-t", "-c", "-", stdin=base.format(kind, more))
        assert tested.returncode == 1 or tested.returncode == 78, tested
        assert words in tested.stderr + tested.stdout, tested


if __name__ == "__main__":
    zb.main()

# SPDX-License-Identifier: MPL-2.0
"""`upgrade': another program goes on with everything that this one has.

ZB_UPGRADES is how often under load. The long run:

    ZB_UPGRADES=100 ZB_CONNECTIONS=1000 ZB_LOAD=10000000 python3 tests/upgrade.py test_nobody_notices_upgrades_under_the_load_of_all_kinds
"""

import fcntl
import os
import random
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import zmq
import zb
import zmtp
from load import WAIT, Sender, Taker, Watched, hand_over_under_load, meet, running

UPGRADES = int(os.environ.get("ZB_UPGRADES", "10"))
CONNECTIONS = int(os.environ.get("ZB_CONNECTIONS", "100"))  # that do nothing but stay
LOAD = int(os.environ.get("ZB_LOAD", "100000"))             # messages of the processes that load all kinds of routes
RATE = int(os.environ.get("ZB_RATE", "40000"))              # and how many a second
DONE = re.compile(r"upgraded: \S+ -> \S+, \d+ routes?, \d+ connections? kept")


class House:
    """A daemon whose program is a copy of its own, and its clients, whose disconnects are counted."""

    def __init__(self, ini, **options):
        self.folder = zb.folder()
        self.program = f"{self.folder}/zbroker"
        self.install(zb.program("zbroker")[0])
        self.context, self.watched = zmq.Context(), Watched()
        _, self.options = zb.curve(self.folder)  # the lines are CURVE
        before, os.environ["ZB_DAEMON"] = os.environ.get("ZB_DAEMON"), self.program
        try:
            self.daemon = zb.Daemon(ini.replace("FOLDER", self.folder), folder=self.folder, **options)
        finally:
            del os.environ["ZB_DAEMON"]
            if before is not None:
                os.environ["ZB_DAEMON"] = before
        self.control = zb.Control(self.daemon)

    def install(self, path, mode=0o755):
        shutil.copy(path, self.program + ".new")
        os.chmod(self.program + ".new", mode)
        os.rename(self.program + ".new", self.program)

    def upgrade(self):
        answer = self.control.ask("upgrade")
        assert DONE.fullmatch(answer), (answer, self.daemon.log()[-2000:])
        return answer

    def refused(self, pattern):
        """The answer is an error, and nothing has changed."""
        answer = self.control.ask("upgrade")
        assert re.search(pattern, answer), answer
        assert self.daemon.running() and "upgraded:" not in self.daemon.log()

    def peer(self, kind, place, curve=False, **options):
        return self.watched.peer(self.context, kind, place, **{**(self.options if curve else {}), **options})

    def disconnects(self):
        return self.watched.disconnects()

    def connections(self):
        return sum(route[side]["connections"] for route in self.control.json("show stats")["routes"] for side in ("frontend", "backend"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.control.close()
        self.context.destroy(0)
        self.daemon.kill()


CURVE = """security = curve
server_cert = FOLDER/server.cert
client_certs = any
"""


def route(name, kind, front, back, more="", engine="wire"):
    return f"""[route {name}]
type = {kind}
engine = {engine}
frontend_bind = {front if isinstance(front, str) else f"tcp://127.0.0.1:{front}"}
backend_bind = {back if isinstance(back, str) else f"tcp://127.0.0.1:{back}"}
{more}
"""


# --- under load -------------------------------------------------------------------------------------------------------

@zb.limit(120)
def test_every_kind_of_route_goes_on():
    ports = zb.free_ports(12)
    kinds = [("streamer", zmq.PUSH, zmq.PULL), ("pair", zmq.PAIR, zmq.PAIR), ("forwarder", zmq.PUB, zmq.SUB)]
    limits = "frontend_rcvhwm = 0\nbackend_sndhwm = 0\n"
    ini = "".join(route(f"{kind}{i}", kind, ports[2 * (2 * k + i)], ports[2 * (2 * k + i) + 1], limits + (CURVE if i else ""))
                  for k, (kind, _, _) in enumerate(kinds) for i in range(2))
    with House(ini) as house:
        senders, takers = [], []
        for k, (kind, front, back) in enumerate(kinds):
            for i in range(2):
                at = 2 * (2 * k + i)
                takers.append(Taker(house.peer(back, ports[at + 1], i == 1)))
                if back == zmq.SUB:
                    takers[-1].socket.subscribe(b"")
                senders.append(Sender(house.peer(front, ports[at], i == 1, sndhwm=0), len(senders), takers[-1], 300))
        zb.wait_until(lambda: house.connections() == 12)
        zb.wait_until(lambda: all(client["subscriptions"] == 1 for client in house.control.json("show clients")["clients"]
                                  if client["route"].startswith("forwarder") and client["side"] == "backend"))
        for sender, taker in zip(senders, takers):
            meet(sender, taker)
        pid = house.daemon.pid
        hand_over_under_load(house, senders, takers, UPGRADES, house.upgrade)
        assert house.daemon.running() and int(open(f"/proc/{pid}/stat").read().split()[0]) == pid
        assert house.connections() == 12


class Bench:
    """A process of zbroker-bench that loads one route. It fails for a message that is lost, doubled, reordered or not as it was sent."""

    def __init__(self, house, name, pattern, ports, messages, rate, *more):
        self.name, self.house, self.messages, self.upgrades = name, house, messages, 0
        to, from_ = (f"tcp://127.0.0.1:{port}" for port in ports)
        self.process = zb.spawn(zb.program("zbroker-bench") + [pattern, "--to", to, "--from", from_, "-m", str(messages), "--rate", str(rate), "--quiet",
                                                               "--sndhwm", "0", "--rcvhwm", "0", "--wait", "60", "--settle", "20s", *more],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def moved(self):
        return self.house.control.route(self.name)["frontend"]["messages_received"]

    def end(self):
        out, _ = self.process.communicate()
        assert self.process.returncode == 0, f"{self.name}: {out}"


def lost_connections(house):
    """Route by route."""
    return {each["name"]: each["frontend"]["disconnections"] + each["backend"]["disconnections"] for each in house.control.json("show stats")["routes"]}


def beside_connections(house):
    """Descriptors and threads of the daemon."""
    return zb.fds(house.daemon.pid) - house.connections(), zb.threads(house.daemon.pid)


def upgraded(house):
    """The machine may be so busy that the program's trial takes longer than the daemon waits for it: nothing has changed then."""
    answer = house.control.ask("upgrade")
    assert DONE.fullmatch(answer) or "did not end within" in answer, answer
    return DONE.fullmatch(answer)


PROBE = """
import sys, time, zmq
context = zmq.Context()
push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
push.connect(sys.argv[1])
pull.connect(sys.argv[2])
last = time.monotonic()
while True:
    push.send(b"x")
    pull.recv()
    now = time.monotonic()
    print(now, now - last, flush=True)
    last = now
    time.sleep(0.001)
"""


class Probe:
    """Sends one message after the other, each when the one before has come, in a process of its own."""

    def __init__(self, ports):
        self.times = []
        self.process = zb.spawn([sys.executable, "-c", PROBE] + [f"tcp://127.0.0.1:{port}" for port in ports], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.times.append([float(word) for word in line.split()])

    def longest(self, begin, end):
        """The longest time without a message that ended in between."""
        zb.wait_until(lambda: self.times and self.times[-1][0] > end)
        gap = max(gap for at, gap in self.times if begin < at)
        self.times = self.times[-1:]
        return gap


def idle_peers(house, ports):
    """Peers of ten routes, NULL and CURVE, all watched."""
    house.context.max_sockets = 4 * CONNECTIONS + 200
    kinds = (zmq.PUSH, zmq.PULL, zmq.PUB, zmq.SUB, zmq.DEALER, zmq.DEALER)
    for i in range(CONNECTIONS):
        which = i % len(kinds)
        curve = i // len(kinds) % 2
        made = house.peer(kinds[which], ports[6 * curve + which], bool(curve))
        if kinds[which] == zmq.SUB:
            made.subscribe(b"nothing of this kind %d" % i)
        yield made


@zb.limit(300 + LOAD // 10000 + 5 * UPGRADES)
def test_nobody_notices_upgrades_under_the_load_of_all_kinds():
    """Streamer, forwarder, queue, pair and custom under load, NULL and CURVE, beside many connections that only stay."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    limits = "frontend_rcvhwm = 0\nbackend_sndhwm = 0\nbackend_rcvhwm = 0\nfrontend_sndhwm = 0\n"
    custom = limits + "frontend_type = PULL\nbackend_type = PUSH\n"
    kinds = [("streamer", limits), ("forwarder", limits), ("queue", limits), ("pair", limits), ("custom", custom)]
    remembers = "last_value = 1000\ndurable = yes\n"
    ports = {}
    ini = ""
    for kind, keys in kinds:
        for secured in ("", "curve"):
            ports[kind + secured] = zb.free_ports(2)
            ini += route(kind + secured, kind, *ports[kind + secured], keys + (CURVE if secured else "") + (remembers if kind + secured == "forwardercurve" else ""))
    for each in ("probe", "idle1", "idle2", "idle3", "idle1curve", "idle2curve", "idle3curve"):
        ports[each] = zb.free_ports(2)
        kind = {"1": "streamer", "2": "forwarder", "3": "queue"}.get(each[4], "streamer")
        ini += route(each, kind, *ports[each], CURVE if "curve" in each else "")
    with House(ini) as house:
        resting = list(idle_peers(house, [port for curve in ("", "curve") for i in "123" for port in ports[f"idle{i}{curve}"]]))
        zb.wait_until(lambda: house.connections() == CONNECTIONS, 60)
        senders, takers = [], []
        for kind, front, back in (("streamer", zmq.PUSH, zmq.PULL), ("custom", zmq.PUSH, zmq.PULL), ("pair", zmq.PAIR, zmq.PAIR)):
            takers.append(Taker(house.peer(back, ports[kind + "curve"][1], True, rcvhwm=0)))
            senders.append(Sender(house.peer(front, ports[kind + "curve"][0], True, sndhwm=0), len(senders), takers[-1], 300))
        takers.append(Taker(house.peer(zmq.SUB, ports["forwardercurve"][1], True, rcvhwm=0)))
        takers[-1].socket.subscribe(b"")
        senders.append(Sender(house.peer(zmq.PUB, ports["forwardercurve"][0], True, sndhwm=0), len(senders), takers[-1], 300))
        meet(senders[-1], takers[-1])
        probe = Probe(ports["probe"])
        worker, client = house.peer(zmq.REP, ports["queuecurve"][1], True), house.peer(zmq.REQ, ports["queuecurve"][0], True)
        answered = [0]

        def ask():
            client.send(b"%d" % answered[0])
            worker.send(worker.recv())
            assert client.recv() == b"%d" % answered[0]
            answered[0] += 1
        share = LOAD // 10
        benches = [Bench(house, "streamer", "pushpull", ports["streamer"], 3 * share, RATE * 3 // 10, "-p", "2", "-n", "2"),
                   Bench(house, "forwarder", "pubsub", ports["forwarder"], 3 * share, RATE * 3 // 10, "--nodrop"),
                   Bench(house, "queue", "dealer", ports["queue"], share, RATE // 10),
                   Bench(house, "pair", "pair", ports["pair"], share, RATE // 10),
                   Bench(house, "custom", "pushpull", ports["custom"], 2 * share, RATE * 2 // 10)]
        total = sum(each.messages for each in benches)
        pid, pauses, before = house.daemon.pid, [], None
        with running(*takers):
            with running(ask, *senders):
                for n in range(UPGRADES):
                    zb.wait_for_count(lambda: sum(each.moved() for each in benches), total * (n + 1) // (UPGRADES + 2), 60, "messages between upgrades")
                    begin = time.monotonic()
                    zb.wait_until(lambda: upgraded(house), 60)
                    pauses.append(probe.longest(begin, time.monotonic()))
                    ended = lost_connections(house)
                    for each in benches:
                        if each.moved() < each.messages:
                            each.upgrades += 1
                        else:
                            ended.pop(each.name)
                    assert not any(ended.values()), (n, ended)
                    before = before or (beside_connections(house), zb.rss(pid))
                after = zb.rss(pid)
            for sender in senders:
                zb.wait_until(lambda: sender.taker.next[sender.number] == sender.sent, 20, "the last message")
        for each in benches:
            each.end()
        assert house.disconnects() == 0 and not any(taker.wrong for taker in takers), [taker.wrong[:9] for taker in takers]
        assert house.daemon.running() and house.daemon.pid == pid
        # Something may have been under way when they were counted first; what an upgrade leaves open is there as often as it was upgraded.
        more = lambda: [now - then for now, then in zip(beside_connections(house), before[0])]
        zb.wait_until(lambda: max(more()) <= UPGRADES // 3, what=lambda: f"nothing left open: {more()} more descriptors and threads")
        dropped = {name: count for each in house.control.json("show stats")["routes"] for name, count in each["dropped"].items() if count}
        assert not dropped, dropped
        pauses.sort()
        print(f"# {UPGRADES} upgrades, {min(each.upgrades for each in benches)} of them under the load of each kind; {len(house.watched)} peers watched, "
              f"{total + sum(sender.sent for sender in senders) + 2 * answered[0] + share} messages, none lost, doubled or out of turn")
        print(f"# pause {1000 * pauses[len(pauses) // 2]:.0f} ms at the median, {1000 * pauses[len(pauses) * 95 // 100]:.0f} ms at 95 %, {1000 * pauses[-1]:.0f} ms at most;"
              f" memory {before[1] >> 20} MiB after the first, {after >> 20} MiB after the last; {len(resting)} peers rested")


@zb.limit(120)
def test_requests_and_replies_go_on():
    front, back = zb.free_ports(2)
    with House(route("q", "queue", front, back)) as house:
        worker = house.peer(zmq.DEALER, back)
        clients = [house.peer(zmq.REQ, front, **options) for options in ({}, {"identity": b"me"}, {})]
        zb.wait_until(lambda: house.connections() == 4)
        for n in range(UPGRADES):
            for i, client in enumerate(clients):
                client.send(b"%d %d" % (n, i))
            requests = [worker.recv_multipart() for _ in clients]
            house.upgrade()
            for request in reversed(requests):
                worker.send_multipart(request)
            assert [client.recv() for client in clients] == [b"%d %d" % (n, i) for i in range(3)]
        assert house.disconnects() == 0


@zb.limit(120)
def test_two_hundred_connections_are_kept():
    front, back = zb.free_ports(2)
    with House(route("s", "streamer", front, back, CURVE)) as house:
        pull = house.peer(zmq.PULL, back, True)
        pushes = [house.peer(zmq.PUSH, front, True) for _ in range(199)]
        zb.wait_until(lambda: house.connections() == 200, 30)
        start = time.monotonic()
        assert house.upgrade().endswith("1 route, 200 connections kept")
        print(f"# upgraded in {1000 * (time.monotonic() - start):.0f} ms")
        for i, push in enumerate(pushes):
            push.send(b"%d" % i)
        assert {int(pull.recv()) for _ in pushes} == set(range(199))
        assert house.disconnects() == 0


def test_a_thousand_connections_pause_for_a_moment():
    """The time from the last message before to the first one after, which is the whole upgrade but for its trial."""
    front, back = zb.free_ports(2)
    with House(route("s", "streamer", front, back)) as house:
        pull = house.peer(zmq.PULL, back)
        push = house.peer(zmq.PUSH, front)
        raws = [zmtp.Raw(front) for _ in range(1000)]
        zb.wait_until(lambda: house.connections() == 1002, 30)
        gaps, last = [], [time.monotonic()]

        def send():
            push.send(b"x")
            assert pull.recv() == b"x"
            gaps.append(time.monotonic() - last[0])
            last[0] = time.monotonic()
        with running(send):
            zb.wait_until(lambda: len(gaps) > 100)
            assert house.upgrade().endswith("1 route, 1002 connections kept")
            before = len(gaps)
            zb.wait_until(lambda: len(gaps) > before + 100)
        print(f"# longest pause {1000 * max(gaps):.0f} ms")
        for raw in raws:
            raw.send(zmtp.frame(b"y"))
        assert [pull.recv() for _ in raws] == [b"y"] * 1000
        for raw in raws:
            raw.socket.close()


# --- what else there is -----------------------------------------------------------------------------------------------

def test_listeners_control_and_counters_stay():
    zb.need_http()
    front, back, page = zb.free_ports(3)
    ini = f"[zbroker]\nhttp = 127.0.0.1:{page}\n"
    ini += route("ipc", "streamer", "ipc://FOLDER/front", "ipc://FOLDER/back") + route("tcp", "streamer", front, back)
    with House(ini) as house:
        push, pull = house.peer(zmq.PUSH, f"ipc://{house.folder}/front"), house.peer(zmq.PULL, f"ipc://{house.folder}/back")
        push.send(b"1")
        assert pull.recv() == b"1"
        idle = zb.Control(house.daemon)
        ids = [client["id"] for client in house.control.json("show clients")["clients"]]
        with socket.create_connection(("127.0.0.1", front)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
        zb.wait_until(lambda: "refused in the last minute" in house.control.ask("status"))
        for n in range(2, 5):
            house.upgrade()
            push.send(b"%d" % n)
            assert pull.recv() == b"%d" % n
            zb.wait_until(lambda: house.control.route("ipc")["backend"]["messages_sent"] == n)
            assert house.control.route("tcp")["frontend"]["handshake_failures"]["greeting"] == 1
            assert "in the last minute" not in house.control.ask("status")  # it was another process's
        assert [client["id"] for client in house.control.json("show clients")["clients"]] == ids
        assert "running" in idle.ask("show routes")
        assert zb.accepts(f"tcp://127.0.0.1:{front}") and zb.accepts(f"tcp://127.0.0.1:{page}")
        late = house.peer(zmq.PUSH, f"ipc://{house.folder}/front")
        late.send(b"late")
        assert pull.recv() == b"late"
        assert house.disconnects() == 0
        idle.close()
        assert house.daemon.stop() == 0, house.daemon.log()[-2000:]
        left = sorted(name for name in os.listdir(house.folder) if name.startswith(("front", "back", "control")))
        assert left == [], left


def test_taps_and_recordings_end_with_what_they_missed():
    ports = zb.free_ports(2)
    with House(route("s", "streamer", *ports)) as house:
        push, pull = house.peer(zmq.PUSH, ports[0]), house.peer(zmq.PULL, ports[1])
        file = f"{house.folder}/recording"
        recorder = zb.spawn(zb.program("zbrokerctl") + ["-s", house.daemon.control, "record", "s", file], stdout=subprocess.PIPE, text=True)
        tap = zb.Control(house.daemon)
        tap.send("tap s")
        sent = 0
        while not os.path.exists(file) or not os.path.getsize(file):
            push.send(b"x")
            assert pull.recv() == b"x"
            sent += 1
        house.upgrade()
        assert tap.answer().splitlines()[-1] == "missed 0"
        assert "running" in tap.ask("show routes")  # the connection has gone over
        assert recorder.communicate(timeout=20 * zb.SLOW)[0].endswith("missed 0\n") and recorder.returncode == 0
        assert zb.read(file).endswith('{"missed":0}\n')
        tap.close()


def test_passwords_are_judged_again_and_stay_good():
    ports = zb.free_ports(2)
    made = zb.run("password", "bob", name="zbroker-keygen", stdin="secret\n").stdout
    ini = route("s", "streamer", *ports, "security = plain\nusers = FOLDER/users\n")
    folder = zb.folder()
    users = zb.write(f"{folder}/users", made, 0o600)
    with House(ini.replace("FOLDER/users", users)) as house:
        options = {"plain_username": b"bob", "plain_password": b"secret"}
        push, pull = house.peer(zmq.PUSH, ports[0], **options), house.peer(zmq.PULL, ports[1], **options)
        zb.wait_until(lambda: house.connections() == 2)
        for n in range(3):
            house.upgrade()
            push.send(b"%d" % n)
            assert pull.recv() == b"%d" % n
        assert house.disconnects() == 0
        zb.write(users, made.replace("bob", "eve"), 0o600)
        house.upgrade()
        zb.wait_until(lambda: house.disconnects() == 2)


def test_connections_that_a_route_made_stay():
    front, far = zb.free_ports(2)
    ini = f"""[route s]
type = streamer
engine = wire
frontend_bind = tcp://127.0.0.1:{front}
backend_connect = tcp://127.0.0.1:{far}
"""
    with House(ini) as house:
        pull = house.context.socket(zmq.PULL)
        house.watched.append(pull.get_monitor_socket(zmq.EVENT_DISCONNECTED))
        pull.rcvtimeo = WAIT
        pull.bind(f"tcp://127.0.0.1:{far}")
        push = house.peer(zmq.PUSH, front)
        zb.wait_until(lambda: house.connections() == 2)
        for n in range(3):
            house.upgrade()
            push.send(b"%d" % n)
            assert pull.recv() == b"%d" % n
        assert house.disconnects() == 0


def test_half_a_message_and_half_a_handshake_go_over():
    front, back = zb.free_ports(2)
    with House(route("s", "streamer", front, back)) as house:
        pull = house.peer(zmq.PULL, back)
        zb.wait_until(lambda: house.connections() == 1)
        message = zmtp.frame(b"a" * 300, True) + zmtp.frame(b"b" * 10)
        raw, greeting = zmtp.Raw(front), zmtp.GREETING + zmtp.ready(b"PUSH")
        raw.send(message[:200])
        late = socket.create_connection(("127.0.0.1", front), timeout=10 * zb.SLOW)
        late.sendall(greeting[:70])
        zb.wait_until(lambda: house.control.route("s")["frontend"]["connections"] == 1)
        house.upgrade()
        raw.send(message[200:])
        assert pull.recv_multipart() == [b"a" * 300, b"b" * 10]
        late.sendall(greeting[70:] + zmtp.frame(b"late"))
        assert pull.recv() == b"late"
        raw.socket.close()
        late.close()


def test_states_of_routes_stay():
    ports = zb.free_ports(4)
    with House(route("paused", "streamer", *ports[:2]) + route("disabled", "streamer", *ports[2:])) as house:
        push, pull = house.peer(zmq.PUSH, ports[0]), house.peer(zmq.PULL, ports[1])
        zb.wait_until(lambda: house.connections() == 2)
        house.control.ask("pause paused")
        house.control.ask("disable disabled")
        push.send(b"1")
        house.upgrade()
        assert {each["name"]: each["state"] for each in house.control.json("show routes")["routes"]} == {
            "paused": "paused", "disabled": "disabled"}
        assert not pull.poll(200)
        house.control.ask("resume paused")
        assert pull.recv() == b"1"
        house.control.ask("enable disabled")
        zb.wait_until(lambda: zb.accepts(f"tcp://127.0.0.1:{ports[2]}"))


def test_the_file_is_read_again():
    ports = zb.free_ports(4)
    with House(route("old", "streamer", *ports[:2]) + route("stays", "streamer", *ports[2:])) as house:
        push, pull = house.peer(zmq.PUSH, ports[2]), house.peer(zmq.PULL, ports[3])
        zb.wait_until(lambda: house.connections() == 2)
        zb.write(house.daemon.file, route("stays", "streamer", *ports[2:], "frontend_sndhwm = 5") + route("new", "streamer", *ports[:2]))
        assert house.upgrade().endswith("2 routes, 2 connections kept")
        push.send(b"1")
        assert pull.recv() == b"1"
        assert zb.accepts(f"tcp://127.0.0.1:{ports[0]}") and house.disconnects() == 0


def test_the_control_socket_moves_and_leaves_nothing_behind():
    with House("[zbroker]\ncontrol = FOLDER/one\n" + route("r", "streamer", *zb.free_ports(2))) as house:
        zb.write(house.daemon.file, zb.read(house.daemon.file).replace("/one", "/two"))
        house.upgrade()
        assert zb.accepts(f"ipc://{house.folder}/two")
        assert not [name for name in os.listdir(house.folder) if name.startswith("one")], os.listdir(house.folder)


def test_routes_of_engine_zmq_come_back():
    ports = zb.free_ports(4)
    ini = "[zbroker]\ndrain_timeout = 5s\n" + route("z", "streamer", *ports[:2], engine="zmq") + route("w", "streamer", *ports[2:])
    with House(ini) as house:
        pairs = [(house.peer(zmq.PUSH, ports[i], reconnect_ivl=20), house.peer(zmq.PULL, ports[i + 1], reconnect_ivl=20)) for i in (0, 2)]
        for n in range(3):
            for push, pull in pairs:
                push.send(b"%d" % n)
                assert pull.recv() == b"%d" % n
            house.upgrade()
            zb.wait_until(lambda: house.connections() == 4)


class Manager(threading.Thread):
    """What systemd would hear."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.heard = []
        self.start()

    def run(self):
        while True:
            try:
                lines = self.socket.recv(65536).decode().splitlines()
            except OSError:
                return
            self.heard += [line for line in lines if line in ("RELOADING=1", "READY=1", "STOPPING=1")]


def test_sockets_get_the_mode_that_the_new_file_says():
    ini = "[zbroker]\ncontrol_mode = 0600\n[route s]\ntype = streamer\nfrontend_bind = ipc://FOLDER/in\nbackend_bind = ipc://FOLDER/out\n"
    with House(ini) as house:
        text = zb.read(house.daemon.file)
        zb.write(house.daemon.file, text.replace("control_mode = 0600", "control_mode = 0606") + "frontend_ipc_mode = 0604\n")
        house.upgrade()
        for path, mode in ((house.daemon.control, 0o606), (f"{house.folder}/in", 0o604), (f"{house.folder}/out", 0o660)):
            zb.wait_until(lambda: os.stat(path).st_mode & 0o777 == mode, what=f"{path} with mode {mode:o}")


def test_systemd_hears_of_a_reload():
    ports = zb.free_ports(2)
    path = f"{zb.folder()}/notify"
    manager = Manager(path)
    with House(route("s", "streamer", *ports), env={"NOTIFY_SOCKET": path}) as house:
        house.upgrade()
        house.upgrade()
        zb.wait_until(lambda: manager.heard == ["READY=1"] + ["RELOADING=1", "READY=1"] * 2, what=manager.heard)
        assert house.daemon.stop() == 0
        zb.wait_until(lambda: manager.heard[-1] == "STOPPING=1")
    manager.socket.close()


# --- what has to drain ------------------------------------------------------------------------------------------------------

def waiting(house, front, back, count=5000):
    """A worker for whom COUNT messages wait, which it takes one by one."""
    push = house.peer(zmq.PUSH, front, sndhwm=0, reconnect_ivl=20)
    pull = house.peer(zmq.PULL, back, rcvhwm=1, rcvbuf=4096, reconnect_ivl=20)
    zb.wait_until(lambda: house.connections() == 2)
    for i in range(count):
        push.send(b"%d" % i)
    return push, pull


def drains_before(house, pull, change, count=5000):
    """The answer to an upgrade after CHANGE, which comes when all messages have been taken."""
    asker = zb.Control(house.daemon)
    change()
    asker.send("upgrade")
    house.daemon.wait_log("upgrading to")
    assert [int(pull.recv()) for _ in range(count)] == list(range(count))
    answer = asker.answer()
    asker.close()
    return answer


DRAINING = "[zbroker]\ndrain_timeout = 1m\n"
QUEUED = "frontend_rcvhwm = 0\nbackend_sndhwm = 0\nbackend_sndbuf = 4096"


def test_a_route_that_may_not_keep_its_connections_drains_first():
    ports = zb.free_ports(4)
    stays = route("stays", "streamer", *ports[2:])
    for after in (route("s", "pair", *ports[:2]), route("s", "streamer", *ports[:2], engine="zmq"), ""):
        with House(DRAINING + stays + route("s", "streamer", *ports[:2], QUEUED)) as house:
            push, pull = waiting(house, *ports[:2])
            answer = drains_before(house, pull, lambda: zb.write(house.daemon.file, DRAINING + stays + after))
            assert DONE.fullmatch(answer) and f", {1 + bool(after)} route" in answer, answer
            assert sum(house.control.route("stays")["dropped"].values()) == 0
            push.close()


def spoil(program, what, by):
    """A copy of PROGRAM that says something else of itself."""
    with open(program, "rb") as file:
        content = file.read()
    assert content.count(what) == 1 and len(what) == len(by)
    return zb.write(f"{zb.folder()}/zbroker", content.replace(what, by), 0o755)


def test_a_program_of_another_format_gets_drained_routes():
    ports = zb.free_ports(2)
    program = zb.program("zbroker")[0]
    for what, by in ((b"routes %d\n", b"routes 99\n"), (b"\nupgrade: state %d", b"\nupgrade: state 99")):
        with House(DRAINING + route("s", "streamer", *ports, QUEUED)) as house:
            push, pull = waiting(house, *ports)
            answer = drains_before(house, pull, lambda: house.install(spoil(program, what, by)))
            assert DONE.fullmatch(answer), answer
            assert "warning: the new program does not know the format of our state: all routes drain" in house.daemon.log()
            push.send(b"again")
            assert pull.recv() == b"again"


def test_a_program_that_cannot_take_over_is_refused():
    ports = zb.free_ports(2)
    with House(route("s", "streamer", *ports)) as house:
        push, pull = house.peer(zmq.PUSH, ports[0]), house.peer(zmq.PULL, ports[1])
        house.install(spoil(zb.program("zbroker")[0], b"\nupgrade: ", b"\nupgrabe: "))
        house.refused("cannot take over from a running one: restart the service instead")
        push.send(b"1")
        assert pull.recv() == b"1" and house.disconnects() == 0


# --- what is remembered -------------------------------------------------------------------------------------------------

class Remembering(House):
    """With one forwarder, its publisher, and its file, of which one key can be exchanged."""

    def __init__(self, *keys):
        self.ports = zb.free_ports(2)
        super().__init__(self.text(*keys))
        self.pub = self.peer(zmq.XPUB, self.ports[0], sndhwm=0)

    def text(self, *keys):
        return route("f", "forwarder", *self.ports, "\n".join(("frontend_rcvhwm = 0", "backend_sndhwm = 0") + keys))

    def ways(self, *keys):
        """How its peers and what it remembers go over: to another program, and to a route that is made again with KEYS."""
        def again():
            again.number += 1
            zb.write(self.daemon.file, self.text(*keys, f"frontend_backlog = {again.number}"))
            answer = self.control.ask("reload")
            assert "re-created" in answer, answer
        again.number = 2000
        return self.upgrade, again

    def publish(self, *messages):
        before = self.control.route("f")["frontend"]["messages_received"]
        for message in messages:
            self.pub.send_multipart(message)
        zb.wait_until(lambda: self.control.route("f")["frontend"]["messages_received"] == before + len(messages))

    def sub(self, *topics, kind=zmq.SUB, name=None, **options):
        made = self.context.socket(kind)
        made.rcvhwm, made.rcvtimeo, made.linger = 0, WAIT, 0
        if name:
            made.setsockopt_string(zmq.METADATA, "X-Durable:" + name)
        self.watched.append(made.get_monitor_socket(zmq.EVENT_DISCONNECTED))
        for topic in topics:
            made.subscribe(topic) if kind == zmq.SUB else made.send(b"\1" + topic)
        made.connect(f"tcp://127.0.0.1:{self.ports[1]}")
        return made

    def clients(self, state):
        return [each for each in self.control.json("show clients f")["clients"] if each["side"] == "backend" and each["state"] == state]

    def leave(self, sub):
        self.watched.pop()
        sub.close()
        zb.wait_until(lambda: not self.clients("connected"))


def take(sub, count):
    return [sub.recv_multipart() for _ in range(count)]


def test_what_a_forwarder_remembers_goes_over():
    messages = [[b"topic %d" % (i % 7), b"%d" % i, b"", b"x" * (40000 if i % 10 == 0 else i)] for i in range(100)]
    for key, kept in (("last_value = 8", messages[-7:]), ("replay_messages = 50", messages[-50:]), ("replay_bytes = 1M\nreplay_time = 1h", messages)):
        with Remembering(key) as house:
            assert house.pub.recv() == b"\1"
            live = house.sub(b"")
            zb.wait_until(lambda: house.control.route("f")["subscriptions"] == 1)
            house.publish(*messages)
            assert take(live, 100) == messages
            for i, hand_over in enumerate(house.ways(key) * 2):
                hand_over()
                assert sorted(each["topic"] for each in house.control.json("show values f")["values"]) == sorted(m[0].decode() for m in kept)
                late = house.sub(b"topic ")
                assert sorted(take(late, len(kept))) == sorted(kept)
                now = [b"topic live", b"%d" % i]
                house.publish(now)
                assert late.recv_multipart() == live.recv_multipart() == now  # neither a gap nor twice
                kept = [m for m in kept if m[0] != now[0] or "replay" in key] + [now]
                kept = kept[-50:] if "messages" in key else kept
                house.watched.pop()
                late.close()
            assert house.disconnects() == 0 and not house.pub.poll(0)  # nobody was told anything again


def test_a_subscriber_that_is_still_catching_up_goes_over():
    with Remembering("last_value = 5000\nbackend_sndbuf = 4096") as house:
        messages = [[b"%04d" % i, b"x" * 3000] for i in range(3000)]
        assert house.pub.recv() == b"\1"
        house.publish(*messages)
        raw = zmtp.Raw(house.ports[1], b"SUB")
        raw.send(zmtp.frame(b"\1"))
        zb.wait_until(lambda: house.clients("connected")[0]["queued"])
        for hand_over in house.ways("last_value = 5000\nbackend_sndbuf = 4096"):
            hand_over()
            assert house.clients("connected")[0]["queued"] > 1000
        house.publish([b"live", b""])
        got = b"".join(zmtp.frame(a, True) + zmtp.frame(b) for a, b in messages + [[b"live", b""]])
        raw.wait(got[-8:], 1)
        assert got in raw.got
        raw.socket.close()


def test_durable_subscribers_go_over_with_what_is_kept_for_them():
    with Remembering("durable = yes") as house:
        here, sub = house.sub(b"b", kind=zmq.XSUB, name="bob"), house.sub(b"a", kind=zmq.XSUB, name="alice")
        assert {house.pub.recv(), house.pub.recv()} == {b"\1a", b"\1b"}
        for i, hand_over in enumerate(house.ways("durable = yes") * 2):
            house.watched.pop()
            sub.close()
            zb.wait_until(lambda: len(house.clients("away")) == 1)
            before = house.clients("away")
            house.publish([b"a1", b"%d" % i], [b"b1"])
            hand_over()
            house.publish([b"a2", b"x" * 50000], [b"b2"])
            hand_over()
            after = house.clients("away")
            assert [(each["id"], each["peer"], each["connected_at"], each["subscriptions"]) for each in after] == \
                [(each["id"], each["peer"], each["connected_at"], 1) for each in before] and after[0]["queued"] == 2
            sub = house.sub(kind=zmq.XSUB, name="alice")  # which does not subscribe again
            assert take(sub, 2) == [[b"a1", b"%d" % i], [b"a2", b"x" * 50000]] and take(here, 2) == [[b"b1"], [b"b2"]]
            hand_over()  # it is here, under its name
            second = house.sub(kind=zmq.XSUB, name="alice")
            zb.wait_until(lambda: house.control.route("f")["backend"]["handshake_failures"]["duplicate_id"] == i + 1)
            house.watched.pop()
            second.close()
            house.publish([b"a3"])
            assert sub.recv_multipart() == [b"a3"]
        assert house.disconnects() == 0 and not house.pub.poll(0)
        assert sum(house.control.route("f")["dropped"].values()) == 0


def test_a_durable_queue_obeys_the_limits_that_are_new():
    with Remembering("durable = yes") as house:
        sub = house.sub(b"a", kind=zmq.XSUB, name="alice")
        assert house.pub.recv() == b"\1a"
        house.leave(sub)
        house.publish(*[[b"a%d" % i] for i in range(10)])
        house.ways("durable = yes", "durable_messages = 4")[1]()
        zb.wait_until(lambda: house.control.route("f")["dropped"]["expired"] == 6)
        assert take(house.sub(kind=zmq.XSUB, name="alice"), 4) == [[b"a%d" % i] for i in range(6, 10)]
        house.ways()[1]()  # not durable any more
        assert house.control.route("f")["dropped"]["shutdown"] == 0


def test_keys_of_what_is_remembered_change_without_forgetting():
    with Remembering("last_value = 10") as house:
        assert house.pub.recv() == b"\1"
        house.publish(*[[b"%d" % i, b"x"] for i in range(10)])
        for keys, topics in (("last_value = 5", range(5, 10)), ("replay_messages = 4", range(6, 10)), ("replay_messages = 100\nreplay_bytes = 6", range(7, 10)),
                             ("last_value = 100", range(7, 10))):
            zb.write(house.daemon.file, house.text(keys))
            assert "re-created" in house.control.ask("reload")
            assert [each["topic"] for each in house.control.json("show values f")["values"]] == ["%d" % i for i in topics], keys
        assert house.disconnects() == 0


def test_what_would_not_fit_into_memory_twice_is_not_handed_over():
    limit = "[zbroker]\nmax_memory = 32M\n"
    with Remembering("last_value = 10000") as house:
        zb.write(house.daemon.file, limit + house.text("last_value = 10000"))
        house.control.ask("reload")
        assert house.pub.recv() == b"\1"
        house.publish(*[[b"%d" % i, b"x" * 10000] for i in range(1000)])
        assert "no room to hand them over" in house.control.ask("upgrade")
        zb.write(house.daemon.file, limit + house.text("last_value = 9999"))
        assert "re-created" in house.control.ask("reload")
        assert len(house.control.json("show values f")["values"]) == 1000 and house.disconnects() == 0  # one route needs less
        house.publish(*[[b"%d" % i, b"x" * 10000] for i in range(1000, 2000)])
        zb.write(house.daemon.file, limit + house.text("last_value = 9998"))
        assert "re-created" in house.control.ask("reload")
        zb.wait_until(lambda: house.disconnects() == 1)  # it drains, as all that cannot go over
        assert house.control.json("show values f")["values"] == []


def test_a_forwarder_begins_and_ends_to_remember_without_losing_a_peer():
    """Its publishers send everything while it remembers, else what is asked for."""
    with Remembering() as house:
        sub = house.sub(b"a")
        assert house.pub.recv() == b"\1a"
        house.ways("last_value = 10")[1]()
        assert house.pub.recv() == b"\1"
        house.publish([b"a1"], [b"b1"])
        assert sub.recv() == b"a1"
        other = house.sub(b"b")
        assert other.recv() == b"b1"
        house.ways()[1]()
        assert [house.pub.recv(), house.pub.recv()] == [b"\1b", b"\0"] and not house.pub.poll(100)  # "a" it knew
        house.publish([b"a2"])
        assert sub.recv() == b"a2" and house.disconnects() == 0


# --- a state that nobody knows ----------------------------------------------------------------------------------------

SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def field(tag, content):
    return struct.pack("<HQ", tag, len(content)) + content


def start_with(state, *fds, seals=SEALS):
    memory = os.memfd_create("state", os.MFD_ALLOW_SEALING)
    os.write(memory, state)
    if seals:
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    try:
        return zb.Daemon(route("s", "streamer", *zb.free_ports(2)), env={"ZBROKER_STATE": str(memory)}, pass_fds=(memory,) + fds)
    finally:
        os.close(memory)


def test_a_state_of_another_format_closes_its_connections():
    ours, theirs = socket.socketpair()
    fds = struct.pack("=i", theirs.fileno())
    with start_with(field(1, struct.pack("<Q", 99)) + field(2, fds), theirs.fileno()) as daemon:
        theirs.close()
        daemon.wait_log("state of another format: 1 connections were closed")
        ours.settimeout(WAIT / 1000)
        assert ours.recv(1) == b""
        assert daemon.stop() == 0


def test_a_state_that_is_wrong_is_no_obstacle():
    chosen = random.Random(4711)
    route_of = field(9, field(1, b"s") + field(2, struct.pack("<Q", 1)) + field(5, field(1, struct.pack("<Q", 1)) + field(5, b"xyz")))
    whole = field(1, struct.pack("<Q", 1)) + field(3, b"0.0.9") + field(10, field(1, b"/x")) + route_of
    states = [b"x", chosen.randbytes(5000), whole, whole[:-5]]
    for _ in range(10):
        spoilt = bytearray(whole)
        spoilt[chosen.randrange(len(spoilt))] ^= 1 << chosen.randrange(8)
        states.append(bytes(spoilt))
    for state in states:
        with start_with(state) as daemon:
            with zb.Control(daemon) as control:
                assert "s" in control.ask("show routes")
            assert daemon.stop() == 0, (state, daemon.log())


def test_what_is_not_sealed_is_not_read():
    with start_with(field(1, struct.pack("<Q", 99)) + field(2, b""), seals=0) as daemon:
        daemon.wait_log("ready")
        assert "another format" not in daemon.log()


# --- what is refused --------------------------------------------------------------------------------------------------

def test_another_program_changes_nothing():
    front, back = zb.free_ports(2)
    with House(route("s", "streamer", front, back)) as house:
        push, pull = house.peer(zmq.PUSH, front), house.peer(zmq.PULL, back)
        good = zb.program("zbroker")[0]
        house.install("/bin/true")
        house.refused("is no zbroker")
        house.install("/bin/false")
        house.refused("is no zbroker")
        house.install(zb.write(f"{house.folder}/words", "no program\n"))
        house.refused(rf"^error: {house.program}: cannot run: Exec format error$")
        house.install(good, 0o644)
        house.refused(rf"^error: {house.program}: cannot run: Permission denied$")
        house.install(good, 0o777)
        house.refused("write")
        os.unlink(house.program)
        house.refused("No such file")
        house.install(good)
        text = zb.read(house.daemon.file)
        zb.write(house.daemon.file, text + "nonsense = 1\n")
        house.refused("nonsense")
        zb.write(house.daemon.file, text)
        push.send(b"1")
        assert pull.recv() == b"1"
        assert house.disconnects() == 0
        house.upgrade()


def test_only_root_and_the_service_may():
    front, back = zb.free_ports(2)
    with House("[zbroker]\ncontrol_mode = 0666\n" + route("s", "streamer", front, back)) as house:
        os.chmod(house.folder, 0o755)
        with zb.as_user(65534):
            stranger = zb.Control(house.daemon)
        answer = stranger.ask("upgrade")
        assert "only root" in answer, answer
        stranger.close()


def test_a_program_that_does_not_run_after_all_is_an_error():
    """It is spoilt while a route of engine zmq drains: its producer's messages find nobody."""
    ports = zb.free_ports(4)
    ini = "[zbroker]\ndrain_timeout = 2s\n" + route("z", "streamer", *ports[:2], engine="zmq") + route("w", "streamer", *ports[2:])
    with House(ini) as house:
        lost = house.peer(zmq.PUSH, ports[0])
        lost.send(b"waits")
        push, pull = house.peer(zmq.PUSH, ports[2]), house.peer(zmq.PULL, ports[3])
        watched = house.watched[1:]
        zb.wait_until(lambda: house.connections() == 3)
        asker = zb.Control(house.daemon)
        asker.send("upgrade")
        zb.wait_until(lambda: "under way" in house.control.ask("reload"))
        os.chmod(house.program, 0o644)
        house.daemon.wait_log("not upgraded, the program goes on: .*Permission denied", 20)
        push.send(b"1")
        assert pull.recv() == b"1"
        assert not any(monitor.poll(0) for monitor in watched)
        zb.wait_until(lambda: all(each["state"] == "running" for each in house.control.json("show routes")["routes"]))
        assert "Permission denied" in asker.answer()
        asker.close()
        os.chmod(house.program, 0o755)
        lost.close()
        house.upgrade()


zb.main()

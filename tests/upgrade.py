# SPDX-License-Identifier: MPL-2.0
"""`upgrade': another program goes on with everything that this one has.

ZB_UPGRADES is how often under load."""

import fcntl
import os
import random
import re
import shutil
import socket
import struct
import threading
import time

import zmq
import zb
import zmtp
from load import WAIT, Sender, Taker, hand_over_under_load, running

UPGRADES = int(os.environ.get("ZB_UPGRADES", "10"))
DONE = re.compile(r"upgraded: \S+ -> \S+, \d+ routes?, \d+ connections? kept")


class House:
    """A daemon whose program is a copy of its own, and its clients, whose disconnects are counted."""

    def __init__(self, ini, **options):
        self.folder = zb.folder()
        self.program = f"{self.folder}/zbroker"
        self.install(zb.program("zbroker")[0])
        self.context, self.watched = zmq.Context(), []
        public, secret = (each.decode() for each in zmq.curve_keypair())
        self.server, self.client = public.encode(), zmq.curve_keypair()
        zb.write(f"{self.folder}/server.cert", f'curve\n    public-key = "{public}"\n    secret-key = "{secret}"\n', 0o600)
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

    def peer(self, kind, endpoint, curve=False, **options):
        made = self.context.socket(kind)
        self.watched.append(made.get_monitor_socket(zmq.EVENT_DISCONNECTED))
        made.linger = 0
        made.rcvtimeo = made.sndtimeo = WAIT
        if curve:
            options = dict(options, curve_publickey=self.client[0], curve_secretkey=self.client[1], curve_serverkey=self.server)
        for name, value in options.items():
            setattr(made, name, value)
        made.connect(f"tcp://127.0.0.1:{endpoint}" if isinstance(endpoint, int) else endpoint)
        return made

    def disconnects(self):
        return sum(1 for each in self.watched if each.poll(0))

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
        for sender, taker in zip(senders, takers):  # a publisher knows its subscriber
            zb.wait_until(lambda: [sender(), taker()] and taker.count > 0)
            while taker.socket.poll(100):
                taker.socket.recv_multipart()
            taker.next[sender.number], taker.wrong = sender.sent, []
        pid = house.daemon.pid
        hand_over_under_load(house, senders, takers, UPGRADES, house.upgrade)
        assert house.daemon.running() and int(open(f"/proc/{pid}/stat").read().split()[0]) == pid
        assert house.connections() == 12


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
        for n in range(2, 5):
            house.upgrade()
            push.send(b"%d" % n)
            assert pull.recv() == b"%d" % n
            zb.wait_until(lambda: house.control.route("ipc")["backend"]["messages_sent"] == n)
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


def test_a_route_that_remembers_drains():
    ports = zb.free_ports(2)
    with House("[zbroker]\ndrain_timeout = 5s\n" + route("f", "forwarder", *ports, "last_value = 100")) as house:
        push, pull = house.peer(zmq.PUB, ports[0], reconnect_ivl=20), house.peer(zmq.SUB, ports[1], reconnect_ivl=20)
        pull.subscribe(b"")
        for n in range(2):
            zb.wait_until(lambda: [push.send(b"%d" % n), pull.poll(100) and pull.recv() == b"%d" % n][1])
            house.upgrade()
            zb.wait_until(lambda: house.connections() == 2)


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

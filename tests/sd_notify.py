# SPDX-License-Identifier: MPL-2.0
"""What systemd hears and gives, by a stand-in for it: notifications, watchdog, descriptor store, socket activation.

ZB_RESTARTS is the number of restarts on the same listening sockets, ZB_CONNECTS how many connect to them each second."""

import array
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import zmq
import zb

RESTARTS = int(os.environ.get("ZB_RESTARTS", "20"))
CONNECTS = int(os.environ.get("ZB_CONNECTS", "300"))

# LISTEN_PID can only be known by the process itself; the descriptors come as numbers and go to 3, 4, …
WRAPPER = """
import os, sys
count = int(sys.argv[1])
given = [os.dup(int(fd)) for fd in sys.argv[2:2 + count]]
high = [os.dup2(fd, 100 + i, inheritable=False) for i, fd in enumerate(given)]
for fd in sys.argv[2:2 + count]:
    os.close(int(fd))
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), str(count)
os.execvp(sys.argv[2 + count], sys.argv[2 + count:])
"""


def activated(listeners, names=None):
    """Arguments of a Daemon that gets these sockets (or descriptors)."""
    fds = [each if isinstance(each, int) else each.fileno() for each in listeners]
    env = {"LISTEN_FDNAMES": ":".join(names)} if names else {}
    return {"wrap": [sys.executable, "-S", "-E", "-c", WRAPPER, str(len(fds))] + [str(fd) for fd in fds], "pass_fds": fds, "env": env}


class Notify(threading.Thread):
    """The socket of sd_notify(3): notes every assignment with its time, keeps what is to be stored."""

    def __init__(self):
        super().__init__(daemon=True)
        self.path = os.path.join(zb.folder(), "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.1)
        self.seen, self.store, self.stopping = [], {}, False
        self.start()

    def run(self):
        while not self.stopping:
            try:
                data, control, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(4 * 16))
            except socket.timeout:
                continue
            except OSError:
                return
            fds = array.array("i")
            for level, kind, payload in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(payload[:len(payload) - len(payload) % 4])
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            name = message.get("FDNAME")
            if "FDSTORE" in message:
                self.store.setdefault(name, []).extend(fds)
            if "FDSTOREREMOVE" in message:
                for fd in self.store.pop(name, []):
                    os.close(fd)
            if "BARRIER" in message:
                for fd in fds:
                    os.close(fd)
            self.seen.append((time.monotonic(), message))

    def env(self, **more):
        return dict({"NOTIFY_SOCKET": self.path}, **more)

    def count(self, key, value=None):
        return sum(key in message and value in (None, message[key]) for _, message in list(self.seen))

    def last(self, key):
        return next((message[key] for _, message in reversed(list(self.seen)) if key in message), None)

    def times(self, key):
        return [when for when, message in list(self.seen) if key in message]

    def order(self):
        return [key for _, message in list(self.seen) for key in message if key in ("READY", "RELOADING", "STOPPING")]

    def close(self):
        self.stopping = True
        self.join()
        self.socket.close()
        for fds in self.store.values():
            for fd in fds:
                os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()


def tcp(port):
    return f"tcp://127.0.0.1:{port}"


def streamer(one, two, more=""):
    return f"[route jobs]\ntype = streamer\nfrontend_bind = {tcp(one)}\nbackend_bind = {tcp(two)}\n{more}\n"


# --- notifications ----------------------------------------------------------------------------------------------------

def test_ready_reloading_status_stopping():
    one, two = zb.free_ports(2)
    with Notify() as notify, zmq.Context() as context, zb.Daemon(streamer(one, two), env=notify.env()) as daemon:
        zb.wait_until(lambda: notify.order() == ["READY"])
        push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        push.linger = pull.linger = 0
        push.connect(tcp(one))
        pull.connect(tcp(two))
        zb.wait_until(lambda: re.fullmatch(r"1 routes?, 2 clients, 0 messages/s", notify.last("STATUS") or ""))

        def rate_is_told():
            for _ in range(100):
                push.send(b"x")
                pull.recv()
            return re.search(r", [1-9]\d* messages/s", notify.last("STATUS"))

        zb.wait_until(rate_is_told)

        before = time.monotonic_ns() // 1000
        with zb.Control(daemon) as control:
            control.ask("reload")
            zb.wait_until(lambda: notify.order() == ["READY", "RELOADING", "READY"])
            assert before < int(notify.last("MONOTONIC_USEC")) < time.monotonic_ns() // 1000
            daemon.send(zb.signal.SIGHUP)
            zb.wait_until(lambda: notify.order() == ["READY"] + ["RELOADING", "READY"] * 2)
            zb.write(daemon.file, "[route jobs]\ntype = nix\n")
            assert control.ask("reload").startswith("error: ")
            zb.wait_until(lambda: notify.order() == ["READY"] + ["RELOADING", "READY"] * 3)
        push.close()
        pull.close()
        assert daemon.stop() == 0
        zb.wait_until(lambda: notify.order()[-1] == "STOPPING")
        assert notify.order().count("STOPPING") == 1


def test_more_time_is_asked_for_while_it_drains():
    one, two = zb.free_ports(2)
    with Notify() as notify, zmq.Context() as context, \
            zb.Daemon("[zbroker]\ndrain_timeout = 10m\n" + streamer(one, two), env=notify.env()) as daemon:
        push = context.socket(zmq.PUSH)
        push.linger = 0
        push.connect(tcp(one))
        for _ in range(10):
            push.send(b"nobody takes it")
        with zb.Control(daemon) as control:
            zb.wait_until(lambda: control.route("jobs")["blocked"])
            assert not control.ask("stop").startswith("error: ")
        zb.wait_until(lambda: notify.count("STOPPING") == 1, 10, "STOPPING=1 after `stop' too")
        zb.wait_until(lambda: notify.count("EXTEND_TIMEOUT_USEC") >= 2, 10, "EXTEND_TIMEOUT_USEC")
        assert int(notify.last("EXTEND_TIMEOUT_USEC")) >= 2000000
        zb.wait_until(lambda: "draining" in notify.last("STATUS"))
        daemon.send(zb.signal.SIGTERM)
        assert daemon.stop() == 0, "told again, it stops at once"


# --- watchdog ---------------------------------------------------------------------------------------------------------

@zb.limit(90)
def test_the_watchdog_is_fed_only_while_every_thread_answers():
    one, two = zb.free_ports(2)
    usec = int(1500000 * zb.HEAVY)
    more = f"[route news]\ntype = forwarder\nfrontend_bind = ipc://@{os.getpid()}.in\nbackend_bind = ipc://@{os.getpid()}.out\n"
    with Notify() as notify, zb.Daemon(streamer(one, two) + more, env=notify.env(WATCHDOG_USEC=str(usec))) as daemon:
        zb.wait_until(lambda: notify.count("WATCHDOG") >= 6)
        times = notify.times("WATCHDOG")
        widest = max(b - a for a, b in zip(times, times[1:]))
        print(f"# WATCHDOG_USEC={usec}: at most {widest:.3f} s between two signs of life")

        names = {zb.read(f"/proc/{daemon.pid}/task/{tid}/comm").strip() for tid in os.listdir(f"/proc/{daemon.pid}/task")}
        ours = sorted(name for name in names if name.startswith("zb:"))
        assert {"zb:jobs", "zb:news", "zb:watch", "zb:guard", "zb:verify"} <= set(ours), names
        for name in ours:
            with zb.Frozen(daemon.pid, name):
                # Systemd gives up after WATCHDOG_USEC of silence.
                def quiet():
                    return time.monotonic() - notify.times("WATCHDOG")[-1] > usec / 1e6
                zb.wait_until(quiet, 10, f"silence while {name} stands still")
                daemon.wait_log("watchdog: a thread has not answered")
            count = notify.count("WATCHDOG")
            zb.wait_until(lambda: notify.count("WATCHDOG") > count + 1, 10, f"signs of life after {name} goes on")
        print(f"# quiet while one of these stands still: {', '.join(ours)}")
        # A paused, a draining and a disabled route answer too.
        with zb.Control(daemon) as control:
            for line in ("pause jobs", "disable news"):
                assert not control.ask(line).startswith("error: ")
            count = notify.count("WATCHDOG")
            zb.wait_until(lambda: notify.count("WATCHDOG") >= count + 4)
        assert daemon.stop() == 0


# --- descriptors ------------------------------------------------------------------------------------------------------

def listening(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener


# In a process of its own, and whoever still waits keeps nobody from the next connect: the rate holds while nobody
# accepts. From many addresses, because one has 28,000 ports, each of them taken for a minute.
CONNECTOR = """
import errno, itertools, os, select, socket, sys, time
rate, ports = float(sys.argv[1]), itertools.cycle(int(port) for port in sys.argv[2:])
epoll, waiting, made, refused, worst, begun = select.epoll(), {}, 0, [], 0.0, 0
start, ending = time.monotonic(), None
epoll.register(0, select.EPOLLHUP)
while ending is None or (waiting and time.monotonic() < ending + 90):
    due = int((time.monotonic() - start) * rate) if ending is None else 0
    while begun < due and len(waiting) < 5000:
        client = socket.socket()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        client.bind((f"127.0.0.{2 + begun % 50}", 0))
        begun += 1
        if client.connect_ex(("127.0.0.1", next(ports))) not in (0, errno.EINPROGRESS):
            raise SystemExit("out of ports")
        waiting[client.fileno()] = client, time.monotonic()
        epoll.register(client, select.EPOLLOUT)
    for fd, event in epoll.poll(0.01):
        if fd == 0:
            ending = time.monotonic()
            epoll.unregister(0)
            continue
        client, since = waiting.pop(fd)
        error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        worst = max(worst, time.monotonic() - since)
        if error:
            refused.append(os.strerror(error))
        else:
            made += 1
        client.close()
    print(made, f"{worst:.3f}", len(waiting), *sorted(set(refused)), sep="\\t", flush=True)
"""


class Connector(threading.Thread):
    """Connects and goes, RATE times a second: nobody may refuse it."""

    def __init__(self, rate, *ports):
        super().__init__(daemon=True)
        self.made, self.worst, self.waiting, self.refused = 0, 0.0, 0, []
        self.process = zb.spawn([sys.executable, "-c", CONNECTOR, str(rate)] + [str(port) for port in ports],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        for line in self.process.stdout:
            made, worst, waiting, *self.refused = line.rstrip("\n").split("\t")
            self.made, self.worst, self.waiting = int(made), float(worst), int(waiting)

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(30 * zb.SLOW) == 0
        self.join()


def test_sockets_of_a_socket_unit_are_taken():
    folder = zb.folder()
    one, two, stray = zb.free_ports(3)
    path = f"{folder}/in.sock"
    local = socket.socket(socket.AF_UNIX)
    local.bind(path)
    local.listen(100)
    sockets = [listening(two), local, listening(stray)]
    ini = streamer(one, two, f"frontend_bind = ipc://{path}")
    with Notify() as notify, zmq.Context() as context:
        options = activated(sockets, ["two", "local", "stray"])
        options["env"].update(notify.env())
        with zb.Daemon(ini, folder=folder, **options) as daemon:
            daemon.wait_log(rf"socket activation: no route binds 127\.0\.0\.1:{stray} \(stray\)")
            # One consumer for both: a message for one that has just left goes with it.
            pull = context.socket(zmq.PULL)
            pull.linger, pull.rcvtimeo = 0, int(5000 * zb.SLOW)
            pull.connect(tcp(two))
            for endpoint in (tcp(one), f"ipc://{path}"):
                push = context.socket(zmq.PUSH)
                push.linger = 5000
                push.connect(endpoint)
                push.send(b"through")
                assert pull.recv() == b"through"
                push.close()
            pull.close()
            assert daemon.stop() == 0
        assert os.path.exists(path), "the path belongs to whoever made the socket"
    # Those meant for somebody else are not ours.
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    for each in sockets:
        each.close()
    os.unlink(path)
    with zb.Daemon(ini, env=environment) as daemon:
        assert daemon.stop() == 0


def test_the_store_keeps_listening_over_a_crash():
    one, two, three = zb.free_ports(3)
    ini = streamer(one, two)
    folder = zb.folder()
    with Notify() as notify:
        with zb.Daemon(ini, folder=folder, env=notify.env()) as daemon, zb.Control(daemon) as control:
            zb.wait_until(lambda: len(notify.store) == 2)
            assert all(":" not in name and str(port) in "".join(notify.store) for name in notify.store for port in (one, two))
            # What a reload adds is stored, what it removes is forgotten, and then connects are refused.
            zb.write(daemon.file, streamer(one, two, f"frontend_bind = {tcp(three)}"))
            control.ask("reload")
            zb.wait_until(lambda: len(notify.store) == 3)
            zb.write(daemon.file, ini)
            control.ask("reload")
            zb.wait_until(lambda: len(notify.store) == 2, 10, "FDSTOREREMOVE")
            zb.wait_until(lambda: not zb.accepts(tcp(three)), 10, "the removed endpoint to refuse")
            # A re-created route and a disabled one that comes back keep or renew theirs.
            zb.write(daemon.file, streamer(one, two, "backend_backlog = 5"))
            control.ask("reload")
            control.ask("disable jobs")
            zb.wait_until(lambda: control.route("jobs")["state"] == "disabled" and not zb.accepts(tcp(one)), 20)
            control.ask("enable jobs")
            zb.wait_until(lambda: len(notify.store) == 2 and zb.accepts(tcp(one)))
            daemon.kill()
        connector = Connector(300, one)
        fds = [(name, fds[-1]) for name, fds in notify.store.items()]
        options = activated([fd for _, fd in fds], [name for name, _ in fds])
        options["env"].update(notify.env())
        with zb.Daemon(ini, folder=folder, **options) as daemon:
            zb.wait_until(lambda: connector.made > 20, 20)
            assert "no route binds" not in daemon.log(), daemon.log()
            connector.stop()
            assert not connector.refused and not connector.waiting, (connector.refused, connector.waiting)
            assert daemon.stop() == 0


def test_a_stored_socket_whose_address_is_another_now_does_not_keep_it_from_starting():
    one, two = zb.free_ports(2)
    folder = zb.folder()
    with Notify() as notify:
        given = {"env": notify.env()}
        for host in ("127.0.0.1", "*", "127.0.0.1", "0.0.0.0"):
            ini = streamer(one, two).replace(f"//127.0.0.1:{one}", f"//{host}:{one}") + "security = none\n"
            names = {f"tcp_//{host}_{one}", f"tcp_//127.0.0.1_{two}"}
            with zb.Daemon(ini, folder=folder, **given) as daemon:
                zb.wait_until(lambda: set(notify.store) == names, 10, f"{names} in the store, not {notify.store}")
                assert zb.accepts(tcp(one)) and zb.accepts(tcp(two))
                daemon.kill()
            fds = [(name, fds[-1]) for name, fds in notify.store.items()]
            given = activated([fd for _, fd in fds], [name for name, _ in fds])
            given["env"].update(notify.env())
        assert notify.count("BARRIER") == 3


# --- restarts on the same sockets -------------------------------------------------------------------------------------

@zb.limit(60 + 5 * RESTARTS)
def test_restarts_refuse_nobody_and_lose_nothing():
    one, two = zb.free_ports(2)
    sockets = [listening(one), listening(two)]
    ini = "[zbroker]\ndrain_timeout = 2m\n" + streamer(one, two)
    folder = zb.folder()
    context = zmq.Context()
    push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    push.linger = pull.linger = 0
    push.sndhwm = 0
    push.reconnect_ivl = pull.reconnect_ivl = 20
    pull.rcvtimeo = 100
    push.connect(tcp(one))
    pull.connect(tcp(two))
    state = {"sent": 0, "came": 0, "next": 0, "wrong": [], "stop": False, "done": False}

    def produce():
        start = time.monotonic()
        while not state["stop"]:
            while state["sent"] < (time.monotonic() - start) * 2000 and state["sent"] < state["came"] + 20000:
                push.send(struct.pack("<I", state["sent"]))
                state["sent"] += 1
            time.sleep(0.002)

    def consume():
        while not state["done"]:
            try:
                number, = struct.unpack("<I", pull.recv())
            except zmq.Again:
                continue
            if number != state["next"]:
                state["wrong"].append((state["next"], number))
            state["next"] = number + 1
            state["came"] += 1

    threads = [threading.Thread(target=produce, daemon=True), threading.Thread(target=consume, daemon=True)]
    connector = Connector(CONNECTS, one, one, two)
    for thread in threads:
        thread.start()
    start = time.monotonic()
    for _ in range(RESTARTS):
        with zb.Daemon(ini, folder=folder, **activated(sockets)) as daemon:
            came = state["came"]
            zb.wait_until(lambda: state["came"] > came + 100, 20, "messages after a restart")
            assert daemon.stop() == 0, daemon.log()
            assert "undelivered" not in daemon.log(), daemon.log()
    took = time.monotonic() - start
    with zb.Daemon(ini, folder=folder, **activated(sockets)):
        state["stop"] = True
        threads[0].join()
        try:
            zb.wait_for_count(lambda: state["came"], state["sent"])
        except AssertionError:
            pass
        connector.stop()
    state["done"] = True
    threads[1].join()
    context.destroy(0)
    print(f"# {RESTARTS} restarts in {took:.1f} s: {connector.made} connects ({connector.made / took:.0f}/s), refused: "
          f"{connector.refused or 'none'}, the longest took {connector.worst:.2f} s; {state['sent']} messages, "
          f"{len(state['wrong'])} cut")
    assert not connector.refused and not connector.waiting, (connector.refused, connector.waiting)
    # What libzmq has half written when it sees the end goes with the connection (zbroker(8), STOPPING): one in ten stops.
    cut = state["wrong"]
    assert all(number == wanted + 1 for wanted, number in cut) and len(cut) <= max(1, RESTARTS // 10), cut[:5]
    assert state["came"] == state["sent"] - len(cut), (state["sent"], state["came"], cut)


zb.main()

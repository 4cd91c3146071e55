# SPDX-License-Identifier: MPL-2.0
"""The control socket of a running daemon: the protocol, exact counts, states, clients, taps."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import statistics
import subprocess
import time

import zb
import zmq


def streamer(ports, more=""):
    return f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
{more}
"""


def connected(context, kind, port, **options):
    return zb.peer(context, kind, f"tcp://127.0.0.1:{port}", **options)


def wait_connections(control, name, frontend, backend):
    def there():
        route = control.route(name)
        return route["frontend"]["connections"] == frontend and route["backend"]["connections"] == backend
    zb.wait_until(there, what=f"{frontend} and {backend} connections of {name}")


def test_text_and_json_of_every_question():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control:
        for question in ["help", "status", "show routes", "show stats", "show stats jobs", "show clients", "show clients jobs",
                         "show subscriptions", "show subscriptions jobs", "show config", "show config jobs", "show plan"]:
            text = control.ask(question)
            assert text and not text.startswith("error: "), (question, text)
            answer = control.json(question)
            assert isinstance(answer, dict) and "error" not in answer, (question, answer)
        for question in ["show stats nix", "pause nix", "kick jobs 99999", "tap nix", "record jobs /tmp/x", "nix", ""]:
            assert control.ask(question).startswith("error: "), question
            if question:
                assert list(control.json(question)) == ["error"], question
        route = control.json("show routes")["routes"][0]
        assert route["name"] == "jobs" and route["type"] == "streamer" and route["state"] == "running" and route["blocked"] is None
        assert route["frontend"]["endpoints"] == [f"tcp://127.0.0.1:{ports[0]}"]


# Scripts count on the order of columns: new ones stand at the end.
COLUMNS = {
    "show routes": "ROUTE TYPE STATE BLOCKED SINCE IN/S OUT/S FRONTEND_CLIENTS BACKEND_CLIENTS FRONTEND BACKEND INGRESS CAPTURE PROBLEM ENGINE "
                   "ACK WORKER_ACK",
    "show stats": "ROUTE STATE IN/1S OUT/1S IN/60S OUT/60S DROPPED BLOCKED_SECONDS FRONTEND_RECEIVED FRONTEND_SENT BACKEND_RECEIVED "
                  "BACKEND_SENT FRONTEND_RECEIVED_BYTES FRONTEND_SENT_BYTES BACKEND_RECEIVED_BYTES BACKEND_SENT_BYTES INGRESS_RECEIVED "
                  "INGRESS_RECEIVED_BYTES CAPTURE_SENT HWM UNDELIVERABLE ACL QUOTA STALLED SHUTDOWN CAPTURE_DROPPED BYTES_IN/1S "
                  "BYTES_OUT/1S FRONTEND_CLIENTS BACKEND_CLIENTS BLOCKED/60S PEER_LOST TIMEOUT EXPIRED REQUEUED",
    "show clients": "ID ROUTE SIDE PEER USER CONNECTED_AT BACKLOG_BYTES TYPE ZMTP MECHANISM RECEIVED SENT QUEUED QUEUED_BYTES DROPPED "
                    "SUBSCRIPTIONS IDLE_MS",
}


def test_columns_are_only_ever_added():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control:
        for question, columns in COLUMNS.items():
            header = control.ask(question).splitlines()[0]
            assert header.split() == columns.split(), question
        routes = dict(zip(COLUMNS["show routes"].split()[-3:], control.ask("show routes").splitlines()[1].split()[-3:]))
        engine = control.json("show routes")["routes"][0]["engine"]
        assert routes == {"ENGINE": engine, "ACK": "-", "WORKER_ACK": "-"} and engine in ("zmq", "wire"), routes


def test_who_may_connect_is_the_mode_of_the_file():
    ports, folder = zb.free_ports(2), zb.folder()
    path = os.path.join(folder, "c.sock")
    with zb.Daemon(f"[zbroker]\ncontrol = {path}\ncontrol_mode = 0600\n" + streamer(ports)) as daemon:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        with zb.Control(daemon) as control:
            assert control.ask("pause jobs") == "route jobs: paused"
        daemon.wait_log(rf'control: pause by uid {os.getuid()} event=control-command command="pause jobs" uid={os.getuid()} gid=\d+ pid=\d+$')
        assert daemon.stop() == 0
    assert not os.path.exists(path)


def test_a_reload_changes_mode_and_group_of_the_socket():
    ports, group = zb.free_ports(2), os.getgid() if os.geteuid() else 65534
    of = lambda path: (stat.S_IMODE(os.stat(path).st_mode), os.stat(path).st_gid)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control:
        for lines, expected in ((f"control_mode = 0600\ncontrol_group = {group}\n", (0o600, group)), ("", (0o660, os.getgid()))):
            zb.write(daemon.file, f"[zbroker]\n{lines}" + streamer(ports))
            assert "(live)" in control.ask("reload")
            assert of(daemon.control) == expected, lines


def test_a_control_socket_that_vanished_is_made_anew():
    ports, folder = zb.free_ports(2), zb.folder()
    path = os.path.join(folder, "c.sock")
    with zb.Daemon(f"[zbroker]\ncontrol = {path}\ncontrol_mode = 0600\n" + streamer(ports)) as daemon, zb.Control(daemon) as early:
        for times, names in enumerate((("c.sock",), ("c.sock.lock", "c.sock")), 1):  # it looks for the socket, so that goes last
            for name in names:
                os.unlink(os.path.join(folder, name))
            zb.wait_until(lambda: daemon.log().count(" event=control-anew ") == times)  # it is there before somebody listens
        daemon.wait_log(rf"notice: control: {path} had vanished and was made anew event=control-anew path={path}$")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and os.path.exists(f"{path}.lock")
        with zb.Control(daemon) as late:
            assert late.ask("pause jobs") == "route jobs: paused"
        assert early.ask("resume jobs") == "route jobs: running", "who was connected stays so"
        assert daemon.stop() == 0
    assert not [name for name in os.listdir(folder) if name.startswith("c.sock")], os.listdir(folder)


def test_a_folder_that_vanished_is_told_once_and_waited_for():
    ports, parent = zb.free_ports(2), zb.folder()
    path = os.path.join(parent, "run", "c.sock")
    os.makedirs(os.path.dirname(path))
    with zb.Daemon(f"[zbroker]\ncontrol = {path}\n" + streamer(ports)) as daemon:
        shutil.rmtree(os.path.dirname(path))
        daemon.wait_log(r"warning: control: \S+ has vanished and cannot be made anew: \S+: No such file or directory event=control-gone ")
        os.makedirs(os.path.dirname(path))
        daemon.wait_log(r" event=control-anew ")
        with zb.Control(daemon) as control:
            assert control.ask("status").startswith("zbroker ")
        assert daemon.log().count("event=control-gone") == 1, daemon.log()


def test_a_control_socket_that_another_put_there_is_left_alone():
    ports, folder = zb.free_ports(2), zb.folder()
    path = os.path.join(folder, "c.sock")
    with zb.Daemon(f"[zbroker]\ncontrol = {path}\n" + streamer(ports)) as daemon:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(f"{path}.other")
            os.rename(f"{path}.other", path)
            inode = os.stat(path).st_ino
            assert daemon.stop() == 0, daemon.log()
            assert os.stat(path).st_ino == inode


def test_a_new_mode_is_not_that_of_what_another_put_in_place_of_the_control_socket():
    ports, folder = zb.free_ports(2), zb.folder()
    path, secret = os.path.join(folder, "c.sock"), zb.write(os.path.join(folder, "secret"), "", 0o600)
    ini = f"[zbroker]\ncontrol = {path}\ncontrol_mode = MODE\n" + streamer(ports)
    with zb.Daemon(ini.replace("MODE", "0600")) as daemon:
        os.unlink(path)
        os.symlink(secret, path)
        zb.write(daemon.file, ini.replace("MODE", "0666"))
        daemon.send(signal.SIGHUP)
        daemon.wait_log("control_mode 0600 -> 0666")
        daemon.wait_log(" event=reload")
        assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600


def test_a_daemon_leaves_what_is_not_its_own():
    ports, folder = zb.free_ports(2), zb.folder()
    path = zb.write(os.path.join(folder, "c.sock"), "precious")
    ini = zb.write(os.path.join(folder, "z.ini"), f"[zbroker]\ncontrol = {path}\n" + streamer(ports))
    result = zb.run("-c", ini)
    assert result.returncode == 69, result
    assert path in result.stderr, result.stderr
    assert zb.read(path) == "precious"
    os.unlink(path)
    with zb.Daemon(ini) as daemon:
        others = zb.free_ports(2)
        second = zb.run("-c", ini, "-o", f"route jobs.frontend_bind=tcp://127.0.0.1:{others[0]}",
                        "-o", f"route jobs.backend_bind=tcp://127.0.0.1:{others[1]}")
        assert second.returncode == 69 and path in second.stderr, second
        with zb.Control(daemon) as control:
            assert control.ask("status").startswith("zbroker ")
        daemon.kill()
    with zb.Daemon(ini) as daemon, zb.Control(daemon) as control:  # what the killed one has left is no obstacle
        assert control.ask("status").startswith("zbroker ")


def test_counts_are_exact_and_cleared():
    ports, count = zb.free_ports(2), 5000
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        push, pull = connected(context, zmq.PUSH, ports[0]), connected(context, zmq.PULL, ports[1])
        for i in range(count):
            push.send_multipart([b"k" * (i % 7), b"x" * 10])
        for _ in range(count):
            pull.recv_multipart()
        size = sum(i % 7 + 10 for i in range(count))
        route = zb.wait_until(lambda: (r := control.route("jobs"))["backend"]["messages_sent"] == count and r)
        assert route["frontend"]["messages_received"] == count
        assert route["frontend"]["received_bytes"] == route["backend"]["sent_bytes"] == size
        assert route["backend"]["messages_received"] == route["frontend"]["messages_sent"] == 0
        assert sum(bucket["count"] for bucket in route["message_size_bytes"]) == count
        assert not any(route["dropped"].values())
        assert control.ask("clear counters jobs") == "route jobs: counters cleared"
        route = control.route("jobs")
        assert route["frontend"]["messages_received"] == 0 and route["backend"]["sent_bytes"] == 0
        assert route["frontend"]["connections"] == 1, "what is now is not cleared"
        push.send(b"one")
        pull.recv()
        zb.wait_until(lambda: control.route("jobs")["backend"]["messages_sent"] == 1)
        push.close()
        pull.close()


def test_states_and_blocked():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        assert control.ask("pause jobs") == "route jobs: paused"
        assert control.ask("pause jobs") == "route jobs: paused", "a command that changes nothing is fine"
        assert control.route("jobs")["state"] == "paused"
        assert control.json("resume jobs") == {"ok": True}
        assert control.ask("resume jobs") == "route jobs: running"
        push = connected(context, zmq.PUSH, ports[0], sndhwm=10)
        for _ in range(50):
            push.send(b"x")
        blocked = zb.wait_until(lambda: control.route("jobs")["blocked"])
        assert blocked["side"] == "backend" and blocked["since"].endswith("Z")
        assert "blocked: nothing is connected to the backend" in control.ask("status")
        zb.wait_until(lambda: control.route("jobs")["backend"]["blocked_seconds"] > 0.5)
        before = time.monotonic()
        control.ask("clear counters")
        blocked = control.route("jobs")["backend"]["blocked_seconds"]
        assert blocked <= time.monotonic() - before + 0.01, "a spell that lasts is cleared up to now"
        zb.wait_until(lambda: control.route("jobs")["backend"]["blocked_seconds"] > 0)
        pull = connected(context, zmq.PULL, ports[1])
        for _ in range(50):
            pull.recv()
        zb.wait_until(lambda: control.route("jobs")["blocked"] is None)
        assert control.route("jobs")["backend"]["blocked_seconds"] > 0
        assert control.ask("disable jobs") == "route jobs: disabled"
        zb.wait_until(lambda: control.route("jobs")["state"] == "disabled")
        zb.wait_until(lambda: not zb.accepts(f"tcp://127.0.0.1:{ports[0]}"))
        assert control.ask("tap jobs").startswith("error: route jobs is disabled")
        assert control.ask("enable jobs") == "route jobs: running"
        assert zb.accepts(f"tcp://127.0.0.1:{ports[0]}")
        push.close()
        pull.close()


def test_clients_are_listed_and_kicked():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        push = connected(context, zmq.PUSH, ports[0])
        wait_connections(control, "jobs", 1, 0)
        clients = control.json("show clients")["clients"]
        assert len(clients) == 1
        assert list(clients[0]) == ["id", "route", "side", "peer", "user", "connected_at", "backlog_bytes", "socket_type", "zmtp", "mechanism",
                                    "messages_received", "messages_sent", "received_bytes", "sent_bytes", "queued", "queued_bytes", "dropped",
                                    "subscriptions", "idle_ms", "routing_id", "state"]
        if control.route("jobs")["engine"] == "zmq":
            assert set(list(clients[0].values())[7:-1]) == {None}, clients[0]
            assert set(control.ask("show clients").splitlines()[1].split()[7:]) == {"-"}
        assert clients[0]["route"] == "jobs" and clients[0]["side"] == "frontend" and clients[0]["peer"].startswith("127.0.0.1:")
        first = control.ask("show clients jobs").splitlines()[1].split()[0]
        assert first == str(clients[0]["id"])
        assert control.ask(f"kick jobs {first}") == f"route jobs: client {first} kicked"
        zb.wait_until(lambda: [c["id"] for c in control.json("show clients")["clients"]] not in ([], [clients[0]["id"]]),
                      what="the client to come back with another id")
        assert control.ask(f"kick jobs {first}").startswith("error: ")
        daemon.wait_log(rf'control: kick by uid \d+ failed: "route jobs has no client {first}" event=control-failed command="kick jobs {first}" uid=')
        push.close()


def test_subscriptions_are_escaped():
    ports = zb.free_ports(2)
    ini = f"""
[route prices]
type = forwarder
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
"""
    with zb.Daemon(ini) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        sub = connected(context, zmq.SUB, ports[1])
        sub.subscribe(b"eur\n\x1b[31m")
        zb.wait_until(lambda: control.route("prices")["subscriptions"] == 1)
        text = control.ask("show subscriptions prices")
        assert "\x1b" not in text and len(text.splitlines()) == 2 and "eur" in text, text
        assert control.json("show subscriptions")["subscriptions"][0]["route"] == "prices"
        sub.close()


def test_long_lines_and_silent_readers():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as other:
        with zb.Control(daemon) as control:
            control.send(b"x" * 4096 + b"\n")
            assert control.answer().startswith("error: unknown command")
            control.send(b"y" * 4097 + b"\n")
            assert control.answer() == "error: line too long"
            assert control.line() is None
        with zb.Control(daemon) as control:
            control.send(b"status\r\nstatus\n")
            assert control.answer().startswith("zbroker ") and control.answer().startswith("zbroker ")
            control.send(b"sta\0tus\n")
            assert control.answer().startswith("error: ")
        deaf = zb.Control(daemon)
        deaf.socket.setblocking(False)
        try:
            while True:
                deaf.socket.send(b"show config\n" * 1000)
        except OSError:  # it is full, or cut already
            pass
        assert other.ask("status").startswith("zbroker ")
        # It is cut in the end, and until then costs nothing.
        before = zb.rss(daemon.pid)
        daemon.wait_log(r"does not read, cut", 15)
        assert zb.rss(daemon.pid) < before + (8 << 20)
        deaf.close()


def test_hundreds_of_clients():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon:
        clients = [zb.Control(daemon) for _ in range(250)]
        for client in clients:
            client.send("show stats jobs")
        for client in clients:
            assert "jobs" in client.answer()
        for client in clients:
            client.close()
        with zb.Control(daemon) as control:
            assert control.ask("status").startswith("zbroker ")


def test_answers_come_at_once_with_a_stuck_consumer():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        push = connected(context, zmq.PUSH, ports[0], sndhwm=10)
        stuck = connected(context, zmq.PULL, ports[1], rcvhwm=1)
        try:
            for _ in range(200000):
                push.send(b"x" * 1000, zmq.DONTWAIT)
        except zmq.Again:
            pass
        times = []
        for _ in range(20):
            before = time.monotonic()
            control.ask("show stats")
            times.append(time.monotonic() - before)
        zb.at_once("median of 20 answers", statistics.median(times))
        push.close()
        stuck.close()


# --- tap ----------------------------------------------------------------------------------------

def test_tap_forms():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        push, pull = connected(context, zmq.PUSH, ports[0]), connected(context, zmq.PULL, ports[1])
        wait_connections(control, "jobs", 1, 1)
        forms = {form: zb.Control(daemon) for form in ("line", "hex", "json")}
        for form, tap in forms.items():
            tap.send(f"tap jobs count 2 format {form}")
        whole = zb.Control(daemon)
        whole.send("tap jobs count 2 json")
        topic = zb.Control(daemon)
        topic.send(r"tap jobs topic a\x00 count 1")
        wait_for_taps(control)
        push.send_multipart([b"a\0", b'say "hi"\n\x1b\xff'])
        push.send_multipart([b"hi", b""])
        answers = {form: [line for line in tap.answer().splitlines()] for form, tap in forms.items()}
        assert answers["line"][-1] == answers["hex"][-1] == answers["json"][-1] == "missed 0"
        assert answers["line"][:2] == [r'1 frontend "a\x00" "say \"hi\"\n\x1b\xff"', '2 frontend "hi" ""'], answers["line"]
        assert answers["hex"][:2] == ["1 frontend 6100 7361792022686922" + "0a1bff", "2 frontend 6869 -"], answers["hex"]
        first, second = (json.loads(line) for line in answers["json"][:2])
        assert list(second) == ["seq", "time", "side", "frames"]
        assert second["frames"] == ["hi", ""] and second["side"] == "frontend" and second["seq"] == 2
        assert first["frames"] == ["a\0", {"hex": "7361792022686922" + "0a1bff"}]
        assert json.loads(whole.answer().splitlines()[-1]) == {"missed": 0}
        assert topic.answer().splitlines()[0].startswith(r'1 frontend "a\x00"')
        # The connection goes on after it.
        assert forms["line"].ask("status").startswith("zbroker ")
        for tap in [*forms.values(), whole, topic]:
            tap.close()
        push.close()
        pull.close()


def wait_for_taps(control):
    """Lines on other connections have been served when a few later ones were: events are served in turns."""
    for _ in range(10):
        control.ask("status")


def test_a_line_ends_a_tap():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control:
        control.send("tap jobs")
        control.send(b"\n")
        assert control.answer() == "missed 0"
        control.send("tap jobs")
        control.send("pause jobs")
        assert control.answer() == "missed 0"
        assert control.answer() == "route jobs: paused"
        control.send(b"tap jobs count 1\nstatus\n")  # that waits
        with zb.Control(daemon) as other:
            other.ask("status")
        control.send(b"\n")
        control.close()
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control:
        control.send("tap jobs")
        control.socket.shutdown(socket.SHUT_WR)
        assert control.answer() == "missed 0"
        assert control.line() is None


def test_a_tap_follows_its_route():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zb.Control(daemon) as tap, zmq.Context() as context:
        push, pull = connected(context, zmq.PUSH, ports[0]), connected(context, zmq.PULL, ports[1])
        tap.send("tap jobs count 2")
        wait_connections(control, "jobs", 1, 1)
        wait_for_taps(control)
        push.send(b"before")
        assert tap.line() == '1 frontend "before"'
        control.ask("disable jobs")
        zb.wait_until(lambda: control.route("jobs")["state"] == "disabled")
        control.ask("enable jobs")
        wait_connections(control, "jobs", 1, 1)

        def seen():  # it looks for its route now and then
            push.send(b"after")
            return select.select([tap.socket], [], [], 0.05)[0]

        zb.wait_until(seen)
        assert tap.line() == '2 frontend "after"'
        assert tap.line() == "missed 0"
        push.close()
        pull.close()


@zb.limit(90)
def test_slow_taps_lose_and_the_route_does_not():
    ports, count = zb.free_ports(2), 60000
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        push = connected(context, zmq.PUSH, ports[0], sndhwm=0)
        pull = connected(context, zmq.PULL, ports[1], rcvhwm=0)
        slow = zb.Control(daemon, 30)
        slow.send("tap jobs")
        wait_connections(control, "jobs", 1, 1)
        wait_for_taps(control)
        for _ in range(count):
            push.send(b"x" * 100)
        for _ in range(count):
            assert pull.poll(20000 * zb.SLOW)
            pull.recv()
        assert control.route("jobs")["dropped"] == dict.fromkeys(control.route("jobs")["dropped"], 0)
        slow.send(b"\n")
        seen, last, missed = 0, 0, None
        while missed is None:
            line = slow.line()
            if line.startswith("missed "):
                missed = int(line.split()[1])
            else:
                number = int(line.split()[0])
                assert number > last
                seen, last = seen + 1, number
        assert missed > 0, "the test has not slowed it down"
        assert seen + missed == count, (seen, missed)
        slow.close()
        push.close()
        pull.close()


def test_taps_are_limited():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control:
        taps = [zb.Control(daemon) for _ in range(16)]
        for tap in taps:
            tap.send("tap jobs")
        wait_for_taps(control)
        assert control.ask("tap jobs") == "error: route jobs: no room for another tap"
        for tap in taps:
            tap.close()
        control.ask("status")

        def one_more():
            control.send("tap jobs")
            control.send(b"\n")
            answer = control.answer()
            if answer.startswith("error: "):
                control.answer()  # of the empty line
            return answer == "missed 0"
        zb.wait_until(one_more)


def test_stop_answers_and_ends_taps():
    ports = zb.free_ports(2)
    with zb.Daemon(streamer(ports)) as daemon, zb.Control(daemon) as control, zb.Control(daemon) as tap:
        tap.send("tap jobs")
        wait_for_taps(control)
        assert control.ask("stop") == "stopping"
        assert tap.answer() == "missed 0"
        assert daemon.wait() == 0


def test_stop_without_a_route():
    with zb.Daemon("[zbroker]\n") as daemon, zb.Control(daemon) as control:
        assert control.ask("show routes").startswith("ROUTE ")
        assert control.json("show routes") == {"routes": []}
        assert control.ask("stop") == "stopping"
        assert daemon.wait() == 0


def is_connected(peer):
    """False: refused or cut. What it was told is read."""
    try:
        return bool(peer.recv(4096, socket.MSG_DONTWAIT)) and is_connected(peer)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_one_user_does_not_hold_all_control_places():
    folder = zb.folder()
    os.chmod(folder, 0o755)
    with zb.Daemon("[zbroker]\ncontrol_mode = 0666\n", folder=folder) as daemon, contextlib.ExitStack() as stack:
        def connect(uid, count):
            peers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
            with zb.as_user(uid):
                for peer in peers:
                    peer.connect(daemon.control)
            return peers

        def connected(peers):
            return sum(is_connected(peer) for peer in peers)

        mallory = connect(1001, 100)
        zb.wait_until(lambda: connected(mallory) == 32)
        assert daemon.ctl("status").returncode == 0
        others = [peer for uid in range(1002, 1010) for peer in connect(uid, 40)]
        zb.wait_until(lambda: connected(mallory + others) == 248)
        with contextlib.ExitStack() as own:
            for _ in range(8):
                assert "error" not in own.enter_context(zb.Control(daemon)).ask("status")
            assert connected(mallory + others) == 248


SECRET = "hunter2-of-the-upstream"

# What a file may be taken for: each key has the daemon read it, and say what is wrong with it.
NAMED = {
    "include": "[zbroker]\ninclude = {secret}\n",
    "include by a pattern": "[zbroker]\ninclude = {secret}*\n",
    "include of an include": "[zbroker]\ninclude = {folder}/outer.ini\n",
    "acl": "frontend_acl = {secret}\n",
    "users": "frontend_users = {secret}\nfrontend_security = plain\n",
    "server_cert": "frontend_server_cert = {secret}\nfrontend_client_certs = any\nfrontend_security = curve\n",
    "client_certs": "frontend_server_cert = {secret}\nfrontend_client_certs = {secret}\nfrontend_security = curve\n",
    "plain_password_file": "backend_plain_username = u\nbackend_plain_password_file = {secret}\nbackend_security = plain\n",
}

# How a secret may look on its line.
LINES = [SECRET, f"{SECRET}=", f"x:{SECRET}", f"{SECRET}:x", f"topic {SECRET}/+x", f"[{SECRET}", f"[zbroker]\n{SECRET}", f"[zbroker]\n {SECRET} = 1",
         f"curve\n    secret-key = {SECRET}"]


def test_no_answer_repeats_a_line_of_a_file_that_is_no_configuration():
    folder = zb.folder()
    secret = os.path.join(folder, "secret")
    ports = zb.free_ports(2)
    route = f"[route r]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:{ports[0]}\nbackend_connect = tcp://127.0.0.1:{ports[1]}\n"
    zb.write(os.path.join(folder, "outer.ini"), f"[zbroker]\ninclude = {secret}\n")
    with zb.Daemon("[zbroker]\n", folder=folder) as daemon:
        for line in LINES:
            zb.write(secret, line + "\n", 0o600)
            for key, text in NAMED.items():
                text = text.format(secret=secret, folder=folder)
                file = zb.write(os.path.join(folder, "plan.ini"), text if text.startswith("[") else route + text)
                answer = daemon.ctl("show", "plan", file)
                assert SECRET not in answer.stdout + answer.stderr, (key, line, answer)
            assert SECRET not in str(daemon.ctl("show", "plan", secret)), line
            zb.write(daemon.file, f"[zbroker]\ninclude = {secret}\n")
            assert SECRET not in str(daemon.ctl("reload")), line
        assert SECRET not in daemon.log()


def test_a_plan_reads_the_file_of_who_asks_and_not_of_the_daemon():
    folder, outside = zb.folder(), zb.folder()
    os.chmod(folder, 0o755)
    os.chmod(outside, 0o755)
    hidden = zb.write(os.path.join(folder, "hidden.ini"), "[zbroker]\nlog_level = debug\n", 0o600)
    mine = zb.write(os.path.join(outside, "mine.ini"), "[zbroker]\nlog_level = error\n")
    with zb.Daemon("[zbroker]\ncontrol_mode = 0666\n", folder=folder) as daemon:
        with zb.as_user(1001), zb.Control(daemon) as control, open(mine) as file:
            for line in (f"show plan {hidden}", f"show plan {mine}", "show plan /etc/shadow", "show plan /nothing"):
                assert control.ask(line) == "error: FILE must come as an open descriptor with the line, as zbrokerctl sends it", line
            assert "log_level" in control.ask(f"show plan {mine}", file.fileno())
            assert "log_level" in control.ask("show plan /what/it/is/called.ini", file.fileno())
            assert control.ask(f"show plan {daemon.file}") == control.ask("show plan")


def test_a_plan_needs_no_right_of_the_daemon_and_gives_none():
    daemons_user, ours = zb.changed_to(65534), zb.changed_to(1001)
    folder, outside = zb.folder(), zb.folder()
    for uid, path in ((65534, folder), (1001, outside)):
        os.chmod(path, 0o755)
        os.chown(path, uid, uid)
    mine = zb.write(os.path.join(outside, "mine.ini"), "[zbroker]\nlog_level = error\n", 0o600)
    its = zb.write(os.path.join(folder, "its.ini"), "[zbroker]\nlog_level = error\n", 0o600)
    os.chown(mine, 1001, 1001)
    os.chown(its, 65534, 65534)
    with zb.Daemon("[zbroker]\ncontrol_mode = 0666\n", folder=folder, wrap=daemons_user) as daemon:
        plan = lambda file: subprocess.run(ours + zb.program("zbrokerctl") + ["-s", daemon.control, "show", "plan", file],
                                           text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert plan(mine).returncode == 0 and "log_level" in plan(mine).stdout, plan(mine)
        assert plan(its).returncode == 1 and plan(its).stderr == f"zbrokerctl: {its}: Permission denied\n", plan(its)


def test_a_plan_binds_nothing_for_a_file_that_was_handed_in():
    port, outside = zb.free_port(), zb.folder()
    mine = os.path.join(outside, "mine.ini")
    with zb.Daemon("[zbroker]\n") as daemon, socket.create_server(("127.0.0.1", port)):
        for endpoint, reason in ((f"ipc://{outside}/nowhere/in", "No such file or directory"), (f"tcp://127.0.0.1:{port}", "Address already in use")):
            for file in (mine, daemon.file):
                zb.write(file, f"[route r]\ntype = streamer\nfrontend_bind = {endpoint}\nbackend_bind = tcp://127.0.0.1:*\n")
            own, handed_in = daemon.ctl("show", "plan"), daemon.ctl("show", "plan", mine)
            assert own.returncode == 1 and reason in own.stderr, own
            assert handed_in.returncode == 0 and "route r: added" in handed_in.stdout, handed_in


def test_a_plan_waits_for_no_file():
    folder = zb.folder()
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    huge = os.path.join(folder, "huge")
    with open(huge, "wb") as out:
        out.truncate(1 << 40)
    with zb.Daemon("[zbroker]\n", folder=folder) as daemon, zb.Control(daemon) as control:
        reader, writer = os.pipe()
        one, other = socket.socketpair()
        folder_fd = os.open(folder, os.O_RDONLY)
        huge_fd = os.open(huge, os.O_RDONLY)
        path_fd = os.open(huge, os.O_PATH)
        write_fd = os.open(huge, os.O_WRONLY)
        wrongs = {reader: "not a regular file", writer: "not a regular file", one.fileno(): "not a regular file", folder_fd: "a folder",
                  huge_fd: "File too large", path_fd: "Bad file descriptor", write_fd: "Bad file descriptor"}
        for descriptor, reason in wrongs.items():
            answer = control.ask("show plan /x.ini", descriptor)
            assert answer.startswith("error: ") and reason in answer, (reason, answer)
        result = daemon.ctl("show", "plan", fifo)
        assert result.returncode == 1 and "not a regular file" in result.stderr, result
        for descriptor in (reader, writer, folder_fd, huge_fd, path_fd, write_fd):
            os.close(descriptor)
        one.close(), other.close()


def test_a_plan_includes_only_what_is_below_the_folder_of_the_configuration():
    folder, outside = zb.folder(), zb.folder()
    os.mkdir(os.path.join(folder, "conf.d"))
    zb.write(os.path.join(folder, "conf.d/a.ini"), "[zbroker]\nlog_level = debug\n")
    zb.write(os.path.join(outside, "b.ini"), "[zbroker]\nlog_level = debug\n")
    os.symlink(os.path.join(outside, "b.ini"), os.path.join(folder, "conf.d/link.ini"))
    plan = os.path.join(outside, "plan.ini")
    cases = {
        f"{folder}/conf.d/a.ini": True, f"{folder}/conf.d/a*": True, f"{folder}/*/a.ini": True, f"{folder}/../{os.path.basename(folder)}/conf.d/a.ini": True,
        "b.ini": False, "*.ini": False, f"{outside}/b.ini": False, f"{outside}/nothing*": False, f"{folder}/conf.d/link.ini": False,
        f"{folder}/conf.d/l*": False, f"{folder}/*/../../*/b.ini": False, f"{folder}/conf.d/nothing": False, f"{folder}x/*": False, "/etc/passwd": False,
    }
    with zb.Daemon("[zbroker]\n", folder=folder) as daemon:
        for include, may in cases.items():
            zb.write(plan, f"[zbroker]\ninclude = {include}\n")
            result = daemon.ctl("show", "plan", plan)
            if may:
                assert result.returncode == 0 and "log_level" in result.stdout, (include, result)
            else:
                assert result.returncode == 1 and "log_level" not in result.stdout, (include, result)
                assert f"only files below {folder} can be included here" in result.stderr, (include, result)
        zb.write(daemon.file, f"[zbroker]\ninclude = {outside}/b.ini\n")
        assert "log_level" in daemon.ctl("show", "plan").stdout
        assert daemon.ctl("show", "plan", daemon.file).stdout == daemon.ctl("show", "plan").stdout
        assert "log_level" in daemon.ctl("reload").stdout


if __name__ == "__main__":
    zb.main()

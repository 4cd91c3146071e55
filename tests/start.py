# SPDX-License-Identifier: MPL-2.0
"""Starting, signals, the log, what the environment may not do, and too few descriptors."""

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import time

import zmq
import zb


def streamer(one, two, more=""):
    return f"""
[zbroker]
drain_timeout = 2s
[route jobs]
type = streamer
frontend_bind = {one}
backend_bind = {two}
{more}
"""


def tcp(port):
    return f"tcp://127.0.0.1:{port}"


def pair(frontend, backend):
    """A PUSH and a PULL at these endpoints."""
    context = zmq.Context.instance()
    push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    for each in (push, pull):
        each.linger = 0
        each.rcvtimeo = each.sndtimeo = zb.WAIT_MS
    push.connect(frontend)
    pull.connect(backend)
    return push, pull


def passes(frontend, backend, count=10):
    """Do COUNT messages pass? What goes to an earlier receiver that is just leaving is lost with it: so they are sent again."""
    push, pull = pair(frontend, backend)

    def one_round():
        one_round.number += 1
        for i in range(count):
            push.send(b"%d %d" % (one_round.number, i))
        expected = [b"%d %d" % (one_round.number, i) for i in range(count)]
        got = []
        while got[-1:] != expected[-1:] and pull.poll(1000):
            got.append(pull.recv())
        return got[-count:] == expected

    one_round.number = 0
    try:
        return zb.wait_until(one_round, what="messages that pass")
    except (AssertionError, zmq.Again):
        return False
    finally:
        push.close()
        pull.close()


def start_fails(ini, *args, **options):
    """Start and expect exit 69 and no trace of it in its folder; returns standard error."""
    folder = zb.folder()
    path = zb.write(os.path.join(folder, "z.ini"), ini.replace("FOLDER", folder))
    before = {name: os.lstat(os.path.join(folder, name)).st_ino for name in os.listdir(folder)}
    result = zb.run("-c", path, "-o", f"zbroker.control={folder}/control.sock", *args, **options)
    after = {name: os.lstat(os.path.join(folder, name)).st_ino for name in os.listdir(folder)}
    assert result.returncode == 69, result
    assert result.stdout == "" and after == before, (result, after)
    return result.stderr.replace(path, "FILE").replace(folder, "FOLDER")


# --- an endpoint that cannot be bound --------------------------------------------------------------------------------

def test_a_port_in_use_ends_the_start():
    one, two = zb.free_ports(2)
    with socket.create_server(("127.0.0.1", two)):
        error = start_fails(streamer(tcp(one), tcp(two)))
        assert re.search(rf"^FILE:7:\d+: error: .*tcp://127\.0\.0\.1:{two}: Address already in use$", error, re.M), error
    assert not zb.accepts(tcp(one))


def denied(endpoint, *args):
    """Start as a user without rights and expect exit 77; returns standard error."""
    folder = zb.folder()
    os.chmod(folder, 0o777)
    ini = streamer(endpoint, tcp(zb.free_port())).replace("[zbroker]", f"[zbroker]\ncontrol = {folder}/c")
    with zb.Daemon(ini, *args, folder=folder, ready=None, wrap=zb.changed_to(65534)) as daemon:
        assert daemon.wait() == 77, daemon.log()
        return daemon.log()


def test_a_missing_permission_is_exit_77():
    private = zb.folder()  # 0700
    error = denied(f"ipc://{private}/in")
    assert re.search(rf":7:\d+: error: cannot bind ipc://{private}/in: .*Permission denied$", error, re.M), error
    error = denied(tcp(zb.free_port()), "-o", f"zbroker.control={private}/c")
    assert re.search(rf"^error: control {private}/c: .*Permission denied$", error, re.M), error


def test_a_port_that_only_root_may_bind_names_the_cure():
    if int(zb.read("/proc/sys/net/ipv4/ip_unprivileged_port_start")) < 1024:
        raise zb.Skip("everybody may bind every port here")
    error = denied("tcp://127.0.0.1:1023")
    assert re.search(r"error: cannot bind tcp://127.0.0.1:1023: Permission denied: ports below 1024 need zbroker.socket or ", error), error
    zb.need_http()
    error = denied(tcp(zb.free_port()), "-o", "zbroker.http=127.0.0.1:1023")
    assert re.search(r"error: http 127.0.0.1:1023: Permission denied: ports below 1024 need CAP_NET_BIND_SERVICE", error), error


def test_every_endpoint_that_fails_is_named():
    one, two, three = zb.free_ports(3)
    with socket.create_server(("127.0.0.1", two)), socket.create_server(("127.0.0.1", three)):
        error = start_fails(streamer("ipc://FOLDER/in", tcp(two), f"capture_bind = {tcp(three)}"))
    assert [re.match(r"FILE:(\d+):", line)[1] for line in error.splitlines()] == ["7", "8"], error


def test_no_folder_for_the_ipc_socket():
    error = start_fails(streamer("ipc://FOLDER/in", "ipc://FOLDER/none/out"))
    assert re.search(r"^FILE:7:\d+: error: .*ipc://FOLDER/none/out", error, re.M), error


def test_no_such_interface():
    error = start_fails(streamer("tcp://nosuchif0:5555", "ipc://FOLDER/out").replace("backend_bind", "frontend_security = none\nbackend_bind"))
    assert re.search(r"^FILE:6:\d+: error: .*nosuchif0", error, re.M), error


def test_a_control_socket_that_cannot_be_made():
    one, two = zb.free_ports(2)
    result = zb.run("-c", "-", "-o", "zbroker.control=/nowhere/at/all.sock", stdin=streamer(tcp(one), tcp(two)))
    assert result.returncode == 69 and "/nowhere/at/all.sock: cannot make its folder: No such file" in result.stderr, result
    folder = zb.folder()
    path = zb.write(f"{folder}/c", "somebody's file")
    result = zb.run("-c", "-", "-o", f"zbroker.control={path}", stdin=streamer(tcp(one), tcp(two)))
    assert result.returncode == 69 and zb.read(path) == "somebody's file" and os.listdir(folder) == ["c"], result


def test_an_http_port_in_use():
    one, two, three = zb.free_ports(3)
    with socket.create_server(("127.0.0.1", three)):
        error = start_fails(streamer(tcp(one), "ipc://FOLDER/out"), "-o", f"zbroker.http=127.0.0.1:{three}")
    assert str(three) in error, error


# --- again, and again --------------------------------------------------------------------------------------------------

def test_it_starts_again_on_the_same_ports_at_once():
    one, two = zb.free_ports(2)
    for _ in range(5):
        with zb.Daemon(streamer(tcp(one), tcp(two))) as daemon:
            assert passes(tcp(one), tcp(two))
            assert daemon.stop() == 0, daemon.log()


def test_what_a_killed_one_left_is_no_obstacle():
    folder = zb.folder()
    ini = streamer(f"ipc://{folder}/in", f"ipc://{folder}/out")
    for _ in range(3):
        with zb.Daemon(ini, folder=folder) as daemon:
            assert passes(f"ipc://{folder}/in", f"ipc://{folder}/out")
            daemon.kill()
        assert os.path.exists(f"{folder}/in") and os.path.exists(f"{folder}/control.sock")
    with zb.Daemon(ini, folder=folder) as daemon:
        assert passes(f"ipc://{folder}/in", f"ipc://{folder}/out")
        assert daemon.stop() == 0, daemon.log()
    assert not [name for name in os.listdir(folder) if not name.startswith(("log.", "zbroker.ini"))], os.listdir(folder)


# --- signals -------------------------------------------------------------------------------------------------------------

def test_sigusr2_writes_the_state_of_every_route():
    one, two, three, four = zb.free_ports(4)
    ini = streamer(tcp(one), tcp(two)) + f"[route asks]\ntype = queue\nfrontend_bind = {tcp(three)}\nbackend_bind = {tcp(four)}\n"
    with zb.Daemon(ini) as daemon:
        push, pull = pair(tcp(one), tcp(two))
        for i in range(10):
            push.send(b"%d" % i)
            pull.recv()

        def told():  # the counters may be a moment behind the messages
            daemon.send(signal.SIGUSR2)
            return all(re.search(pattern, daemon.log()) for pattern in (
                r"route jobs: running, type streamer event=route-figures route=jobs state=running type=streamer hwm=0 .* shutdown=0\b",
                r"route asks: running, type queue event=route-figures route=asks state=running type=queue hwm=0 .* shutdown=0\b",
                r"event=side-figures route=jobs side=frontend messages_received=10 messages_sent=0 received_bytes=10 ",
                r"event=side-figures route=jobs side=backend messages_received=0 messages_sent=10 received_bytes=0 sent_bytes=10 "))

        zb.wait_until(told)
        assert daemon.running()
        push.close()
        pull.close()


def test_sighup_with_a_wrong_file_keeps_all():
    one, two, three = zb.free_ports(3)
    with zb.Daemon(streamer(tcp(one), tcp(two))) as daemon:
        push, pull = pair(tcp(one), tcp(two))
        push.send(b"before")
        assert pull.recv() == b"before"
        for wrong in (streamer(tcp(three), tcp(two), "colour = blue"), "[route", "\0"):
            zb.write(daemon.file, wrong)
            daemon.send(signal.SIGHUP)
            daemon.wait_log(r"reload refused: .*zbroker\.ini:\d+:\d+: error: ")
            push.send(b"after")
            assert pull.recv() == b"after" and not zb.accepts(tcp(three))
        os.unlink(daemon.file)
        daemon.send(signal.SIGHUP)
        daemon.wait_log(r"reload refused: .*cannot read")
        push.send(b"still")
        assert pull.recv() == b"still"
        zb.write(daemon.file, streamer(tcp(one), tcp(two)) + f"[route new]\ntype = streamer\nfrontend_bind = {tcp(three)}\n"
                                                             "backend_bind = tcp://127.0.0.1:*\n")
        daemon.send(signal.SIGHUP)
        zb.wait_until(lambda: zb.accepts(tcp(three)))
        push.send(b"and on")
        assert pull.recv() == b"and on"
        push.close()
        pull.close()
        assert daemon.stop() == 0, daemon.log()


def stuck(drain_timeout):
    """A daemon with a backlog that nobody takes, and the producer of it."""
    one, two = zb.free_ports(2)
    daemon = zb.Daemon(streamer(tcp(one), tcp(two)).replace("drain_timeout = 2s", f"drain_timeout = {drain_timeout}"))
    push = zmq.Context.instance().socket(zmq.PUSH)
    push.linger = 0
    push.connect(tcp(one))
    for i in range(500):
        push.send(b"x%d" % i)
    zb.wait_until(lambda: json.loads(daemon.ctl("-j", "show", "stats").stdout)["routes"][0]["blocked"])
    return daemon, push


def test_a_second_signal_stops_at_once():
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)):
        daemon, push = stuck("1h")
        with daemon:
            daemon.send(first)
            daemon.wait_log(r"stopping, draining")
            time.sleep(0.3)
            assert daemon.running(), "it has an hour to drain"
            before = time.monotonic()
            daemon.send(second)
            assert daemon.wait() == 0, daemon.log()
            print(f"# {time.monotonic() - before:.2f} s after the second signal")
            push.close()


def test_a_drain_that_runs_out_of_time_is_counted():
    daemon, push = stuck("3s")
    with daemon:
        before = time.monotonic()
        assert daemon.stop() == 0, daemon.log()
        print(f"# stopped in {time.monotonic() - before:.2f} s, 3 s are for the drain")
        assert re.search(r"warning.*route jobs: stopped with 500 messages undelivered", daemon.log()), daemon.log()
        push.close()


# --- the surroundings ------------------------------------------------------------------------------------------------------

def test_closed_descriptors_are_no_obstacle():
    one, two = zb.free_ports(2)
    for closed in ("<&-", "<&- >&-", "<&- >&- 2>&-"):
        ready = None if "2>&-" in closed else r"\bready\b"
        with zb.Daemon(streamer(tcp(one), tcp(two)), wrap=["sh", "-c", f'exec "$@" {closed}', "sh"], ready=ready) as daemon:
            zb.wait_until(lambda: zb.accepts(tcp(two)))
            assert passes(tcp(one), tcp(two)), closed
            assert daemon.ctl("status").returncode == 0
            assert daemon.stop() == 0


def test_variables_of_czmq_have_no_effect():
    one, two = zb.free_ports(2)
    odd = {"ZSYS_LINGER": "-1", "ZSYS_SNDHWM": "1", "ZSYS_RCVHWM": "1", "ZSYS_IO_THREADS": "7", "ZSYS_MAX_SOCKETS": "3",
           "ZSYS_MAX_MSGSZ": "3", "ZSYS_IPV6": "1", "ZSYS_LOGIDENT": "x", "ZSYS_LOGSYSTEM": "true", "ZSYS_LOGSTREAM": "stdout",
           "ZSYS_LOGSENDER": tcp(zb.free_port()), "ZSYS_INTERFACE": "nosuchif0", "ZSYS_SIGHANDLER": "true",
           "ZSYS_THREAD_SCHED_POLICY": "1", "ZSYS_THREAD_PRIORITY": "50", "ZSYS_THREAD_NAME_PREFIX": "9",
           "ZSYS_PIPEHWM": "1", "ZSYS_AUTO_USE_FD": "1", "ZSYS_ZERO_COPY_RECV": "0", "ZSYS_FILE_STABLE_AGE_MSEC": "1"}
    counts = []
    for variables in ({}, odd):
        with zb.Daemon(streamer(tcp(one), tcp(two)), env=variables) as daemon:
            count = lambda: (zb.threads(daemon.pid), zb.fds(daemon.pid))
            counts.append(count() if not counts else zb.wait_until(lambda: count() == counts[0] and count(), what=f"{counts[0]} threads and descriptors"))
            assert passes(tcp(one), tcp(two), 500)
            assert daemon.stop(signal.SIGINT) == 0, daemon.log()
            assert "zbroker stopped" in daemon.log()


def test_io_threads_are_as_configured():
    one, two = zb.free_ports(2)
    counts = []
    for threads in (1, 3):
        with zb.Daemon(streamer(tcp(one), tcp(two)), "-o", f"zbroker.io_threads={threads}") as daemon:
            counts.append(zb.threads(daemon.pid))
            assert passes(tcp(one), tcp(two))
    assert counts[1] == counts[0] + 2, counts


# --- the log -------------------------------------------------------------------------------------------------------------

def test_the_log_goes_where_log_target_says():
    one, two = zb.free_ports(2)
    for target, seen in (("stderr", True), ("auto", True), ("syslog", False)):
        with zb.Daemon(streamer(tcp(one), tcp(two)), "-o", f"zbroker.log_target={target}", ready=tcp(two)) as daemon:
            if seen:
                daemon.wait_log(r"ready")
            assert daemon.stop() == 0
            assert ("ready" in daemon.log()) == seen, (target, daemon.log())


def test_the_level_decides_what_is_said():
    one, two = zb.free_ports(2)
    said = []
    for level in ("error", "info", "debug"):
        with zb.Daemon(streamer(tcp(one), tcp(two)), "-l", level, ready=tcp(two)) as daemon:
            assert passes(tcp(one), tcp(two))
            assert daemon.stop() == 0
            said.append(len(daemon.log().splitlines()))
            assert all(line.strip() for line in daemon.log().splitlines()), daemon.log()
    assert said[0] == 0 and 0 < said[1] < said[2], said


def test_a_reader_of_the_log_that_stopped_reading_stops_nothing():
    one, two = zb.free_ports(2)
    read_end, write_end = os.pipe()
    process = zb.spawn(zb.program("zbroker") + ["-c", "-", "-l", "trace", "-o", f"zbroker.control={zb.folder()}/c"],
                       stdin=subprocess.PIPE, stdout=write_end, stderr=write_end, text=True)
    os.close(write_end)
    process.stdin.write(streamer(tcp(one), tcp(two)))
    process.stdin.close()
    zb.wait_until(lambda: zb.accepts(tcp(two)))
    for _ in range(300):
        for port in (one, two):
            socket.create_connection(("127.0.0.1", port)).close()
    assert passes(tcp(one), tcp(two), 100)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10 * zb.SLOW) == 0
    os.close(read_end)


# --- few descriptors -------------------------------------------------------------------------------------------------------

def median_answer(daemon, times=20):
    """Median of the seconds until the control socket has answered."""
    taken = []
    for _ in range(times):
        before = time.monotonic()
        with zb.Control(daemon) as control:
            control.ask("status")
        taken.append(time.monotonic() - before)
    return statistics.median(taken)


def raw_clients(address, family, count):
    """COUNT connections that say hello and keep still; as many as the listener lets in within a moment each."""
    clients = []
    for _ in range(count):
        client = socket.socket(family, socket.SOCK_STREAM)
        client.setblocking(False)
        client.connect_ex(address)
        clients.append(client)
    end = time.monotonic() + 1
    greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(48)
    waiting = list(clients)
    while waiting and time.monotonic() < end:
        for client in list(waiting):
            try:
                client.send(greeting)
                waiting.remove(client)
            except OSError:
                pass
        time.sleep(0.01)
    return clients


@zb.limit(90)
def test_too_few_descriptors_do_not_end_it():
    for number, ipc_first in ((64, False), (64, True), (256, True)):
        folder = zb.folder()
        one, two = zb.free_ports(2)
        ini = streamer(tcp(one), tcp(two), f"frontend_bind = ipc://{folder}/in\nfrontend_handshake_ivl = 10m")  # they stay
        with zb.Daemon(ini, wrap=["sh", "-c", f'ulimit -n {number}; exec "$@"', "sh"]) as daemon:
            assert passes(tcp(one), tcp(two))
            waves = [(("127.0.0.1", one), socket.AF_INET, number + 136), (f"{folder}/in", socket.AF_UNIX, number + 36)]
            clients = []
            for wave in reversed(waves) if ipc_first else waves:
                clients += raw_clients(*wave)
                assert daemon.running(), daemon.log()

            def is_full():  # how many of a wave get into the queue depends on how soon it is looked after
                if zb.WIRE:  # strangers never fill it: the oldest of them goes
                    return "too many handshakes at once" in daemon.log()
                if re.search(r"the process is full \(no more descriptors\): newcomers wait event=process-full reason=descriptors$", daemon.log(), re.M):
                    return True
                clients.extend(raw_clients(("127.0.0.1", one), socket.AF_INET, 50))
                return False

            zb.wait_until(is_full)
            zb.at_once("median of 20 answers without a descriptor left", median_answer(daemon, 20))
            zb.wait_until(lambda: zb.rests(daemon.pid, 1, 0.2), what="a daemon that does not spin")
            assert daemon.running(), daemon.log()
            assert zb.fds(daemon.pid) < number and len(daemon.log().splitlines()) < 50, daemon.log()
            assert daemon.ctl("show", "clients").returncode == 0
            for client in clients:
                client.close()
            zb.wait_until(lambda: passes(tcp(one), tcp(two)), 20)
            assert passes(f"ipc://{folder}/in", tcp(two))
            assert daemon.stop() == 0, daemon.log()


def test_max_clients_lets_the_others_wait():
    one, two = zb.free_ports(2)
    with zb.Daemon(streamer(tcp(one), tcp(two)), "-o", "zbroker.max_clients=5") as daemon:
        context = zmq.Context.instance()
        pull = context.socket(zmq.PULL)
        pull.linger = 0
        pull.connect(tcp(two))

        def connections():
            route = json.loads(daemon.ctl("-j", "show", "stats").stdout)["routes"][0]
            return route["frontend"]["connections"] + route["backend"]["connections"]

        zb.wait_until(lambda: connections() == 1)
        pushers = []
        for expected in (2, 3, 4, 5):
            pushers.append(context.socket(zmq.PUSH))
            pushers[-1].linger = 0
            pushers[-1].connect(tcp(one))
            zb.wait_until(lambda: connections() == expected)
        daemon.wait_log(r"the process is full \(max_clients\): newcomers wait event=process-full reason=max_clients$")
        late = context.socket(zmq.PUSH)
        late.linger = 0
        late.connect(tcp(one))
        late.send(b"late")
        assert pull.poll(700) == 0 and connections() == 5, "the sixth waits"
        assert "warning: the process is full (max_clients): newcomers wait\n" in daemon.ctl("status").stdout
        assert json.loads(daemon.ctl("-j", "status").stdout)["full"] is True
        pushers.pop().close()
        assert pull.poll(10000 * zb.SLOW) and pull.recv() == b"late", "it is its turn"
        for each in pushers + [late, pull]:
            each.close()
        zb.wait_until(lambda: json.loads(daemon.ctl("-j", "status").stdout)["full"] is False)
        assert "newcomers" not in daemon.ctl("status").stdout
        assert daemon.stop() == 0, daemon.log()


def test_status_says_when_the_descriptors_are_the_limit():
    one, two = zb.free_ports(2)
    with zb.Daemon(streamer(tcp(one), tcp(two)), "-o", "zbroker.max_clients=1000", wrap=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"]) as daemon, \
            zmq.Context() as context:
        pushers = []

        def is_full():
            pushers.append(zb.peer(context, zmq.PUSH, tcp(one)))
            return "warning: the process is full (no more descriptors): newcomers wait\n" in daemon.ctl("status").stdout

        zb.wait_until(is_full)
        for each in pushers:
            each.close(0)
        zb.wait_until(lambda: "newcomers" not in daemon.ctl("status").stdout)
        assert daemon.stop() == 0, daemon.log()


def test_a_full_side_is_a_problem_while_it_is_full():
    one, two = zb.free_ports(2)
    with zb.Daemon(streamer(tcp(one), tcp(two), "frontend_max_clients = 1")) as daemon:
        full = "warning: route jobs: the frontend is full (max_clients): newcomers wait\n"
        assert full not in daemon.ctl("status").stdout
        push = zmq.Context.instance().socket(zmq.PUSH)
        push.linger = 0
        push.connect(tcp(one))
        zb.wait_until(lambda: full in daemon.ctl("status").stdout)
        push.close()
        zb.wait_until(lambda: full not in daemon.ctl("status").stdout)
        assert daemon.stop() == 0, daemon.log()


def test_a_log_that_may_not_grow_does_not_end_the_daemon():
    one, two = zb.free_ports(2)
    with zb.Daemon(streamer(tcp(one), tcp(two)), ready=tcp(two), wrap=["sh", "-c", 'ulimit -f 0; exec "$@"', "sh"]) as daemon:
        assert passes(tcp(one), tcp(two))
        assert daemon.stop() == 0 and daemon.log() == ""


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Routes of draft sockets, on a libzmq that was built with drafts. Python's zmq may lack them: their clients are in C."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import zmq
import zb

COUNT = 3000


def need_drafts():
    if "+draft" not in zb.run("-V").stdout:
        raise zb.Skip("this libzmq was built without drafts")


_place = tempfile.TemporaryDirectory(prefix="zb-")


def client():
    """The client in C, compiled once against the libzmq that is here."""
    program = os.path.join(_place.name, "draft")
    if os.path.exists(program):
        return program
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not shutil.which(compiler[0]) or not shutil.which("pkg-config"):
        raise zb.Skip("no C compiler or no pkg-config")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libzmq"], stdout=subprocess.PIPE, text=True, check=True).stdout
    subprocess.run(compiler + ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program,
                               os.path.join(zb.SRCDIR, "tests", "clients", "draft.c")] + shlex.split(flags),
                   check=True, timeout=60 * zb.SLOW)
    return program


class Client:
    def __init__(self, role, endpoint, count=COUNT):
        self.role = role
        self.process = zb.spawn([client(), role, endpoint, str(count)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)

    def succeeds(self):
        output, _ = self.process.communicate(timeout=40 * zb.SLOW)
        assert self.process.returncode == 0, f"{self.role} ended with {self.process.returncode}: {output}"


def pipeline(*lines, kind="type = pipeline", drain="60s"):
    """A file with one route, and its two endpoints."""
    front, back = f"tcp://127.0.0.1:{zb.free_port()}", f"ipc://{zb.folder()}/back"
    return "\n".join([f"[zbroker]\ndrain_timeout = {drain}\n[route r]", kind, f"frontend_bind = {front}", f"backend_bind = {back}",
                      *lines, ""]), front, back


def custom(frontend, backend):
    return f"type = custom\nfrontend_type = {frontend}\nbackend_type = {backend}"


def route(daemon):
    with zb.Control(daemon) as control:
        return control.route("r")


def wait_blocked(daemon, side):
    zb.wait_until(lambda: (route(daemon)["blocked"] or {}).get("side") == side, 20, f"a {side} that is blocked")


def work_of_thread(pid, name):
    """How often a thread has been put to sleep, and its time on a processor: what changes while it does anything."""
    for task in os.listdir(f"/proc/{pid}/task"):
        if zb.read(f"/proc/{pid}/task/{task}/comm").strip() == name:
            switches = re.findall(r"ctxt_switches:\s+(\d+)", zb.read(f"/proc/{pid}/task/{task}/status"))
            return switches + zb.read(f"/proc/{pid}/task/{task}/stat").rsplit(")", 1)[1].split()[11:13]
    raise AssertionError(f"no thread {name}")


def wait_resting(daemon):
    """Until the route's thread sleeps and is not woken."""
    def rests():
        before = work_of_thread(daemon.pid, "zb:r")
        time.sleep(0.3)
        return work_of_thread(daemon.pid, "zb:r") == before

    zb.wait_until(rests, 20, "a thread that rests")


def check(ini):
    return zb.run("-t", "-c", "-", stdin=ini)


# --- pipeline -------------------------------------------------------------------------------------------------------------

def test_a_pipeline_is_accepted_and_moves_messages():
    ini, front, back = pipeline()
    need_drafts()
    result = check(ini)
    assert result.returncode == 0 and "1 route, 2 endpoints" in result.stdout, result
    with zb.Daemon(ini) as daemon:
        gather, scatter = Client("gather", back), Client("scatter", front)
        scatter.succeeds()
        gather.succeeds()
        seen = zb.wait_until(lambda: (lambda r: r["backend"]["messages_sent"] == COUNT and r)(route(daemon)))
        assert seen["frontend"]["messages_received"] == COUNT and seen["frontend"]["received_bytes"] == 8 * COUNT, seen
        wait_resting(daemon)
        again = Client("gather", back, 1), Client("scatter", front, 1)
        for each in again:
            each.succeeds()
        assert daemon.stop() == 0, daemon.log()


def test_a_pipeline_without_consumers_holds_its_producers_up_and_rests():
    ini, front, back = pipeline("frontend_rcvhwm = 10", "backend_sndhwm = 10")
    need_drafts()
    with zb.Daemon(ini) as daemon:
        scatter = Client("scatter", front)
        wait_blocked(daemon, "backend")
        wait_resting(daemon)
        gather = Client("gather", back)
        scatter.succeeds()
        gather.succeeds()
        assert daemon.stop() == 0, daemon.log()


def test_a_pipeline_is_paused_and_goes_on():
    ini, front, back = pipeline()
    need_drafts()
    with zb.Daemon(ini) as daemon:
        gather, scatter = Client("gather", back), Client("scatter", front)
        assert daemon.ctl("pause", "r").returncode == 0
        before = route(daemon)["backend"]["messages_sent"]
        assert daemon.ctl("show", "stats").returncode == 0
        assert route(daemon)["backend"]["messages_sent"] == before
        assert daemon.ctl("resume", "r").returncode == 0
        scatter.succeeds()
        gather.succeeds()
        assert daemon.stop() == 0, daemon.log()


def test_a_pipeline_that_stops_delivers_what_it_had_taken():
    ini, front, back = pipeline("backend_sndhwm = 10")
    need_drafts()
    with zb.Daemon(ini) as daemon:
        scatter = Client("scatter", front, 500)
        wait_blocked(daemon, "backend")
        scatter.succeeds()
        daemon.send(signal.SIGTERM)
        daemon.wait_log("stopping")
        gather = Client("gather", back, 500)
        gather.succeeds()
        assert daemon.wait(70) == 0, daemon.log()


def test_the_capture_of_a_pipeline_sees_every_message():
    tap = f"ipc://{zb.folder()}/tap"
    ini, front, back = pipeline(f"capture_bind = {tap}", "capture_sndhwm = 0")
    need_drafts()
    with zb.Daemon(ini) as daemon, zmq.Context() as context:
        with context.socket(zmq.SUB) as sub:
            sub.linger, sub.rcvhwm, sub.rcvtimeo, sub.subscribe = 0, 0, int(20000 * zb.SLOW), b""
            sub.connect(tap)
            zb.wait_until(lambda: route(daemon)["capture"]["connections"] == 1, what="a reader of the capture")
            # A message that it hears says that its subscription has come: the capture counts from there.
            gather, probe = Client("gather", back, 1), Client("scatter", front, 1)
            probe.succeeds()
            gather.succeeds()
            gather, scatter = Client("gather", back), Client("scatter", front)
            scatter.succeeds()
            gather.succeeds()
            heard = [int(sub.recv())]
            while heard[-1] != COUNT - 1:
                heard.append(int(sub.recv()))
            assert heard[-COUNT:] == list(range(COUNT)), (len(heard), heard[:3])
        assert daemon.stop() == 0, daemon.log()


def test_a_pipeline_also_runs_on_the_loop_of_libzmq():
    ini, front, back = pipeline("engine = zmq_proxy")
    need_drafts()
    with zb.Daemon(ini) as daemon:
        gather, scatter = Client("gather", back), Client("scatter", front)
        scatter.succeeds()
        gather.succeeds()
        assert daemon.stop() == 0, daemon.log()


# --- custom ---------------------------------------------------------------------------------------------------------------

def check_answers(frontend, backend, service):
    ini, front, back = pipeline(kind=custom(frontend, backend))
    need_drafts()
    with zb.Daemon(ini) as daemon:
        answer, ask = Client(service, back, 500), Client("ask", front, 500)
        ask.succeeds()
        answer.succeeds()
        wait_resting(daemon)
        assert daemon.stop() == 0, daemon.log()


def test_channels_ask_and_answer():
    check_answers("channel", "channel", "answer")


def test_a_client_socket_asks_a_server():
    check_answers("CHANNEL", "CLIENT", "serve")


def test_messages_of_several_frames_are_dropped_and_counted():
    ini, front, back = pipeline(kind=custom("pull", "scatter"))
    need_drafts()
    with zb.Daemon(ini) as daemon, zmq.Context() as context:
        gather = Client("gather", back, 2)
        with context.socket(zmq.PUSH) as push:
            push.linger = push.sndtimeo = int(20000 * zb.SLOW)
            push.connect(front)
            for frames in ([b"00000000"], [b"one", b"two"], [b"", b"", b""], [b"00000001"]):
                push.send_multipart(frames)
            gather.succeeds()
        seen = route(daemon)
        assert seen["frontend"]["messages_received"] == 4 and seen["backend"]["messages_sent"] == 2, seen
        with zb.Control(daemon) as control:
            assert re.search(r"undeliverable\D+2\b", control.ask("show stats r json")), control.ask("show stats r json")
        assert daemon.stop() == 0, daemon.log()


REFUSED = (("radio", "dish", "RADIO needs the group"), ("dish", "radio", "DISH has to join"), ("server", "client", "forgets its sender"),
           ("peer", "peer", "forgets its sender"), ("dgram", "pub", "udp only"), ("router", "client", "one frame a message"))


def test_what_cannot_be_proxied_is_refused_with_the_reason():
    for frontend, backend, reason in REFUSED:
        result = check(pipeline(kind=custom(frontend, backend))[0])
        assert result.returncode == 1 and re.search(rf"^-:\d+:\d+: error: .*{reason}", result.stderr, re.M), (frontend, backend, result)


# --- options --------------------------------------------------------------------------------------------------------------

OPTIONS = ("in_batch_size = 64k", "out_batch_size = 64k", "priority = 3", "metadata = X-route:r")


def test_draft_options_are_accepted_or_refused_with_the_reason():
    drafts = "+draft" in zb.run("-V").stdout
    for option in OPTIONS:
        result = check(pipeline(option, kind="type = streamer")[0])
        if drafts:
            assert result.returncode == 0, (option, result)
        elif result.returncode:
            assert re.search(r"^-:\d+:\d+: error: .*draft option.* built without", result.stderr, re.M), (option, result)


def test_draft_options_reach_the_sockets():
    ini, front, back = pipeline("in_batch_size = 64k", "out_batch_size = 64k", "metadata = X-route:r", "backend_hello_msg = hello",
                                kind="type = queue")
    need_drafts()
    with zb.Daemon(ini) as daemon, zmq.Context() as context:
        with context.socket(zmq.DEALER) as service:
            service.linger, service.rcvtimeo = 0, int(20000 * zb.SLOW)
            service.connect(back)
            frame = service.recv(copy=False)
            assert frame.bytes == b"hello" and frame.get("X-route") == "r", frame.bytes
        assert daemon.stop() == 0, daemon.log()


def test_small_batches_stall_nobody():
    """libzmq writes less at once than its default, and goes on when it is told of room."""
    for size in (1, 2000, 4096):
        ini, front, back = pipeline(f"out_batch_size = {size}", kind="type = streamer")
        need_drafts()
        with zb.Daemon(ini) as daemon, zmq.Context() as context:
            with zb.peer(context, zmq.PUSH, front, sndhwm=0) as push, zb.peer(context, zmq.PULL, back, rcvtimeo=int(20000 * zb.SLOW)) as pull:
                for number in range(COUNT):
                    push.send(b"%060d" % number)
                for number in range(COUNT):
                    assert pull.recv() == b"%060d" % number, size
            assert daemon.stop() == 0, daemon.log()


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""`zbrokerctl record' and `zbroker-bench replay': what passes today, played back tomorrow.

ZB_RECORDED is how many messages are played back with their timing."""

import datetime
import hashlib
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import threading
import time

import zmq
import zb

RECORDED = int(os.environ.get("ZB_RECORDED", "5000"))
RATE = 20000
FRAMES = [b"", b"\0", b"a\0b", b"plain", "Gr\u00fc\u00dfe \u202e \U0001f600".encode(), b"\x7f\x1b[2J\x85\r\n\t\"\\/", b"\xff\xfe", bytes(range(256)), b"x" * 70000]


class House(zb.Route):
    """A daemon with a route of one kind, and clients of it."""

    engine = None

    def __init__(self, kind, more=""):
        self.folder, self.recorders = zb.folder(), []
        self.file = f"{self.folder}/recording"
        super().__init__(kind, more, folder=self.folder)

    def record(self, *words, route="r", options=(), **more):
        """A recorder that runs, and whose tap is there."""
        made = zb.spawn(zb.program("zbrokerctl") + ["-s", self.daemon.control, *options, "record", route, self.file, *map(str, words)],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        self.recorders.append(made)
        return made

    def ended(self, recorder, seconds=20):
        """What it printed."""
        out, err = recorder.communicate(timeout=seconds * zb.SLOW)
        return out, err, recorder.returncode

    def wait_for_tap(self, push, pull, message=b"is somebody there?"):
        """Recording starts with the first message after it."""
        def seen():
            push.send(message)
            pull.recv()
            return os.path.exists(self.file) and os.path.getsize(self.file) > 0
        zb.wait_until(seen)

    def messages(self):
        """What the file holds, and how many its last line says were missed (None: it does not)."""
        lines = [json.loads(line) for line in zb.read(self.file).split("\n")[:-1]]  # the last one may be under way
        missed = lines.pop()["missed"] if lines and "missed" in lines[-1] else None
        return lines, missed

    def replay(self, *words, to=None, **options):
        return zb.run("replay", self.file, "--to", f"tcp://127.0.0.1:{to or self.frontend}", *words, name="zbroker-bench", **options)


def frames_of(message):
    return [bytes.fromhex(frame["hex"]) if isinstance(frame, dict) else frame.encode() for frame in message["frames"]]


def seconds_of(message):
    return datetime.datetime.strptime(message["time"], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()


def streamer(house):
    return house.front(zmq.PUSH), house.back(zmq.PULL)


# --- record -----------------------------------------------------------------------------------------------------------

def test_record_writes_the_bytes_of_every_message():
    with House("streamer") as house:
        push, pull = streamer(house)
        recorder = house.record()
        house.wait_for_tap(push, pull)
        sent = [[a, b] for a in FRAMES for b in FRAMES] + [[os.urandom(3 << 20)]]
        for message in sent:
            push.send_multipart(message)
            assert pull.recv_multipart() == message
        zb.wait_until(lambda: frames_of(house.messages()[0][-1]) == sent[-1])
        recorder.send_signal(signal.SIGINT)
        out, err, code = house.ended(recorder)
        messages, missed = house.messages()
        assert [frames_of(message) for message in messages][-len(sent):] == sent
        assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
        assert {message["side"] for message in messages} == {"frontend"}
        assert (out, err, code) == (f"recorded {len(messages)}\nmissed 0\n", "", 0) and missed == 0
        assert os.stat(house.file).st_mode & 0o777 == 0o600


def test_record_ends_after_a_count_and_after_a_time():
    with House("streamer") as house:
        push, pull = streamer(house)
        counting = house.record("count", 3, options=["-j"])
        zb.wait_until(lambda: [push.send(b"x"), pull.recv()] and counting.poll() is not None)
        assert json.loads(house.ended(counting)[0]) == {"recorded": 3, "missed": 0}
        assert len(house.messages()[0]) == 3
        for length in ("200ms", "1"):
            timed = house.record("for", length)
            out, err, code = house.ended(timed)
            assert (out, code) == ("recorded 0\nmissed 0\n", 0), (out, err)
            assert house.messages() == ([], 0)  # the older recording has gone


def test_record_takes_a_topic():
    with House("streamer") as house:
        push, pull = streamer(house)
        recorder = house.record("topic", "a b", "count", 2)
        topics = [b"a b1", b"a c", b"b"]
        zb.wait_until(lambda: [push.send(topic) for topic in topics] and [pull.recv() for _ in topics] and recorder.poll() is not None)
        assert {frames_of(message)[0] for message in house.messages()[0]} == {b"a b1"}


def test_record_misses_whole_messages_and_counts_them():
    with House("streamer") as house:
        push, pull = streamer(house)
        recorder = house.record()
        house.wait_for_tap(push, pull, b"0")
        recorder.send_signal(signal.SIGSTOP)
        before, body = len(house.messages()[0]), os.urandom(100000)
        for _ in range(500):
            push.send(body)
            pull.recv()
        recorder.send_signal(signal.SIGCONT)
        recorder.send_signal(signal.SIGINT)
        out, err, code = house.ended(recorder)
        messages, missed = house.messages()
        assert missed > 0 and code == 0 and out.endswith(f"missed {missed}\n"), (out, err)
        assert all(frames_of(message) == [body] for message in messages[before + 1:])
        assert len(messages) + missed >= 500


def test_record_says_what_it_does_not_understand():
    with House("streamer") as house:
        for words, pattern in [
                (["nix"], r"did you mean|usage: record ROUTE FILE"), (["tpoic", "x"], "did you mean topic"), (["for"], "for what"),
                (["for", "0"], "not a time"), (["for", "soon"], "not a time"), (["count", "0"], "not a number above 0"), (["format", "hex"], "unknown word format")]:
            out, err, code = house.ended(house.record(*words))
            assert code == 1 and err.startswith("error: ") and re.search(pattern, err), (words, out, err)
            assert not os.path.exists(house.file), words
            said, nothing, code = house.ended(house.record(*words, options=["-j"]))
            assert code == 1 and not nothing and f"error: {json.loads(said)['error']}\n" == err, (words, said, nothing)
        out, err, code = house.ended(house.record(route="other"))
        assert (err, code) == ("error: no route other\n", 1) and not os.path.exists(house.file)
        out, err, code = house.ended(house.record(route="other", options=["-j"]))
        assert json.loads(out) == {"error": "no route other"} and code == 1
        assert house.daemon.ctl("record").returncode == 1
        assert "unknown command" in zb.Control(house.daemon).ask("record r /tmp/x")  # only zbrokerctl writes files


def test_record_writes_over_nothing_but_its_own():
    with House("streamer") as house:
        secret = zb.write(f"{house.folder}/secret", "secret\n", 0o600)
        older = zb.write(f"{house.folder}/older", '{"missed":0}\n')

        def refused(pattern):
            out, err, code = house.ended(house.record("for", "100ms"))
            assert code == 1 and re.search(pattern, err), err
            out, nothing, code = house.ended(house.record("for", "100ms", options=["-j"]))
            assert code == 1 and not nothing and re.search(pattern, json.loads(out)["error"]), (out, nothing)
            assert zb.read(secret) == "secret\n" and zb.read(older) == '{"missed":0}\n'
        os.symlink(older, house.file)
        refused("symbolic link")
        os.unlink(house.file)
        os.link(older, house.file)
        refused("other names")
        os.unlink(house.file)
        house.file = secret
        refused("no recording")
        house.file = "/dev/null"
        refused("not a regular file")
        house.file = f"{house.folder}/nix/file"
        refused("No such file")
        house.file = older
        assert house.ended(house.record("for", "100ms"))[2] == 0


def test_record_does_not_write_into_the_file_of_somebody_else():
    with House("streamer") as house, zb.as_user(65534):
        path = f"/tmp/zb-record-{os.getpid()}"
        open(path, "w").close()
    try:
        with House("streamer") as house:
            house.file = path
            assert "another user" in house.ended(house.record("for", "100ms"))[1]
    finally:
        os.unlink(path)


def test_record_says_that_the_disk_is_full():
    """A limit of the file's size fails as a full disk does. The recording ends with a whole line."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
    with House("streamer") as house:
        push, pull = streamer(house)
        command = zb.program("zbrokerctl") + ["-s", house.daemon.control, "record", "r", house.file]
        recorder = subprocess.Popen(command, preexec_fn=limit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        zb.wait_until(lambda: [push.send(b"x" * 100), pull.recv()] and recorder.poll() is not None)
        out, err = recorder.communicate()
        messages, missed = house.messages()
        assert recorder.returncode == 1 and f"File too large after {len(messages)} messages" in err, err
        assert len(messages) > 50 and missed is None and zb.read(house.file).endswith("\n") and os.path.getsize(house.file) <= 20000


def test_record_to_standard_output_and_on_a_terminal():
    with House("streamer") as house:
        push, pull = streamer(house)
        file, house.file = house.file, "-"
        recorder = house.record("count", 1)
        zb.wait_until(lambda: [push.send(b"x"), pull.recv()] and recorder.poll() is not None)
        lines = house.ended(recorder)[0].splitlines()
        assert json.loads(lines[0])["frames"] == ["x"] and json.loads(lines[1]) == {"missed": 0} and len(lines) == 2
        with zb.Terminal(zb.program("zbrokerctl") + ["-s", house.daemon.control, "record", "r", file]) as terminal:
            house.file = file
            house.wait_for_tap(push, pull)
            terminal.read_until(r"[1-9]\d* messages, \d+")
            terminal.write("\3")
            text, code = terminal.read_all()
            assert re.search(r"recorded \d+\nmissed 0\n$", text) and code == 0, text


def test_record_ends_with_the_daemon():
    with House("streamer") as house:
        push, pull = streamer(house)
        recorder = house.record()
        house.wait_for_tap(push, pull)
        house.daemon.stop()
        out, err, code = house.ended(recorder)
        messages, missed = house.messages()
        assert messages and (missed == 0) == (code == 0), (out, err, code)


# --- replay -----------------------------------------------------------------------------------------------------------

class Collector(threading.Thread):
    """Takes COUNT messages: a digest of all frames, and when each came."""

    def __init__(self, socket, count):
        super().__init__(daemon=True)
        self.socket, self.count, self.digest, self.times, self.size = socket, count, hashlib.sha256(), [], 0
        self.start()

    def run(self):
        while len(self.times) < self.count:
            frames = self.socket.recv_multipart()
            self.times.append(time.monotonic())
            for frame in frames:
                self.digest.update(b"%d " % len(frame) + frame)
                self.size += len(frame)


def pace(socket, count):
    """COUNT messages of many sizes, some in bursts, at RATE a second."""
    start = time.monotonic()
    for i in range(count):
        ahead = start + (i - i % 7) / RATE - time.monotonic()
        if ahead > 0.0005:
            time.sleep(ahead)
        socket.send_multipart([b"%d" % i, FRAMES[i % 8], b"y" * (i % 50)])


@zb.limit(90 + RECORDED // 2000)
def test_replay_sends_the_same_bytes_with_the_same_timing():
    with House("streamer", "sndhwm = 100000\nrcvhwm = 100000\n") as house:
        push, pull = house.front(zmq.PUSH, sndhwm=100000), house.back(zmq.PULL, rcvhwm=100000)
        recorder = house.record()
        house.wait_for_tap(push, pull)
        recorded = Collector(pull, RECORDED)
        pace(push, RECORDED)
        recorded.join()
        begin = house.daemon.ctl("-j", "show", "stats", "r")
        assert json.loads(begin.stdout)["routes"][0]["frontend"]["messages_received"] > RECORDED
        recorder.send_signal(signal.SIGINT)
        out, err, code = house.ended(recorder, 60)
        missed = int(re.search(r"missed (\d+)", out).group(1))
        # What stands before the first paced message is not played.
        lines = [line for line in open(house.file) if "is somebody there?" not in line]
        zb.write(house.file, "".join(lines).encode())
        times = [seconds_of(json.loads(line)) for line in lines[:-1]]
        assert len(times) == RECORDED - missed

        played = Collector(pull, len(times))
        result = house.replay("--as", "push", seconds=60 + RECORDED // RATE)
        assert result.returncode == 0, result.stderr
        played.join()
        if missed == 0:
            assert played.digest.digest() == recorded.digest.digest()
        late = [1000 * abs((came - played.times[0]) - (at - times[0])) for came, at in zip(played.times, times)]
        print(f"# {len(times)} messages recorded, {missed} missed; {statistics.median(late):.3f} ms from their times at the median")
        print("#", result.stdout.replace("\n", "; "))
        assert f"replayed {len(times)} messages, {played.size} bytes" in result.stdout
        assert took(result) >= times[-1] - times[0] - 0.001  # it has kept them


def took(result):
    """From the first message to the end, in seconds."""
    return float(re.search(r"bytes in ([\d.]+) s", result.stdout).group(1))


def lines(*messages):
    return "".join(json.dumps({"seq": i + 1, "time": f"2026-01-02T03:04:{i // 10:02d}.{i % 10}00001Z", "side": side, "frames": frames}) + "\n"
                   for i, (side, frames) in enumerate(messages)) + '{"missed":0}\n'


def test_replay_of_a_queue_asks_as_a_client():
    with House("queue") as house:
        client, service = house.front(zmq.REQ), house.back(zmq.REP)
        recorder = house.record("count", 4)
        asked = []

        def ask():
            client.send(b"question %d" % len(asked))
            asked.append(service.recv())
            service.send(b"answer")
            client.recv()
            return recorder.poll() is not None
        zb.wait_until(ask)
        first = [frames_of(message)[-1] for message in house.messages()[0]][0]
        result = house.replay("--as", "REQ", "--speed", "max", seconds=20)
        assert result.returncode == 0 and "replayed 2 messages" in result.stdout, result.stderr
        replayed = []
        for _ in range(2):
            replayed.append(service.recv())
            service.send(b"again")
        assert replayed[0] == first


def test_replay_as_a_publisher_waits_for_subscribers():
    with House("forwarder") as house:
        zb.write(house.file, lines(*[("frontend", ["EUR", str(i)]) for i in range(20)], ("frontend", ["USD", "1"])))
        result = house.replay("--as", "pub", "--wait", "100ms")
        assert result.returncode == 3 and "nobody has subscribed within 0.1 s" in result.stderr, result
        sub = house.back(zmq.SUB)
        sub.subscribe(b"EUR")
        result = house.replay("--as", "pub", "--speed", "20")
        assert result.returncode == 0, result
        assert [sub.recv_multipart() for _ in range(20)] == [[b"EUR", b"%d" % i] for i in range(20)]


def test_replay_plays_one_side_of_a_pair():
    with House("pair") as house:
        zb.write(house.file, lines(("frontend", ["there"]), ("backend", ["back"]), ("frontend", ["there again"])))
        back = house.back(zmq.PAIR)
        assert house.replay("--as", "pair", "--speed", "max").returncode == 0
        assert [back.recv(), back.recv()] == [b"there", b"there again"]
        back.close()
        front = house.front(zmq.PAIR)
        result = house.replay("--as", "pair", "--side", "backend", "--speed", "1000", to=house.backend)
        assert result.returncode == 0 and front.recv() == b"back", result


def test_replay_keeps_the_gaps_at_a_speed():
    with House("streamer") as house:
        zb.write(house.file, lines(*[("frontend", [str(i)]) for i in range(21)]))  # two seconds
        pull = house.back(zmq.PULL)
        for speed, least in (("4", 0.5), ("max", 0)):
            collector = Collector(pull, 21)
            result = house.replay("--as", "push", "--speed", speed)
            assert result.returncode == 0 and took(result) >= least
            collector.join()


def test_replay_loops_until_it_is_interrupted():
    with House("streamer") as house:
        zb.write(house.file, lines(("frontend", ["a"]), ("frontend", ["b"])))
        pull = house.back(zmq.PULL)
        player = zb.spawn(zb.program("zbroker-bench") + ["replay", house.file, "--to", f"tcp://127.0.0.1:{house.frontend}", "--as", "push",
                                                         "--loop", "--speed", "max"], stdout=subprocess.PIPE, text=True)
        assert [pull.recv() for _ in range(100)] == [b"a", b"b"] * 50
        player.send_signal(signal.SIGINT)
        out, _ = player.communicate(timeout=20 * zb.SLOW)
        assert player.returncode == 0 and re.match(r"replayed \d+ messages", out), out


def test_replay_refuses_what_is_no_recording():
    with House("streamer") as house:
        pull = house.back(zmq.PULL)
        good = lines(("frontend", ["good"])).splitlines()[0]
        for bad in ["", "{", "[]", "[" * 100000, '{"seq":1}', good.replace("[", "{"), good.replace('["good"]', "[]"), good.replace('"good"', "7"),
                    good.replace('"good"', '{"hex":"0"}'), good.replace('"good"', '{"hex":"zz"}'), good.replace("2026", "99999"),
                    good.replace("2026", "1969"), good.replace("Z", ""), good[:-10], "\xff\0"]:
            zb.write(house.file, f"{good}\n{bad}\n{good}\n".encode("latin-1"))
            result = house.replay("--as", "push", "--speed", "max")
            assert result.returncode == 1 and f"{house.file}:2: not a recorded message" in result.stderr, (bad[:99], result)
            assert pull.recv() == b"good"
        zb.write(house.file, good)  # cut off: without the last line, and without its end
        assert house.replay("--as", "push").returncode == 0 and pull.recv() == b"good"
        result = house.replay("--as", "push", "--strip", "1")
        assert result.returncode == 1 and "--strip" in result.stderr
        os.unlink(house.file)
        assert house.replay("--as", "push").returncode == 1


def test_replay_says_what_it_wants():
    for words, pattern in [([], "FILE, --to"), (["f", "--to", "tcp://127.0.0.1:1"], "--as"), (["f", "g", "--to", "x", "--as", "pub"], "one FILE"),
                           (["f", "--to", "x", "--as", "sub"], "not dealer, pair, pub, push or req"), (["f", "--to", "x", "--as", "pub", "--speed", "0"], "--speed 0"),
                           (["f", "--to", "x", "--as", "pub", "--speed", "fast"], "--speed fast"), (["f", "--to", "x", "--as", "pub", "--side", "in"], "--side in"),
                           (["-", "--to", "x", "--as", "pub", "--loop"], "--loop needs a file"), (["f", "--to", "x", "--as", "pub", "--wait", "x"], "--wait x")]:
        result = zb.run("replay", *words, name="zbroker-bench")
        assert result.returncode == 2 and pattern in result.stderr, (words, result)
    assert zb.run("replay", "--help", name="zbroker-bench").stdout.startswith("usage: zbroker-bench replay FILE")
    file = zb.write(f"{zb.folder()}/f", lines(("frontend", ["x"])))
    result = zb.run("replay", file, "--to", "nix", "--as", "push", name="zbroker-bench")
    assert result.returncode == 3 and result.stderr.startswith("zbroker-bench: cannot connect to nix: "), result
    result = zb.run("replay", file, "--to", f"tcp://127.0.0.1:{zb.free_port()}", "--as", "push", "--wait", "100ms", name="zbroker-bench")
    assert result.returncode == 3 and "not connected within 0.1 s" in result.stderr, result


zb.main()

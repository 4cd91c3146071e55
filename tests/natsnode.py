# SPDX-License-Identifier: MPL-2.0
"""natsnode - for the tests: zbrokers that share a stream on NATS servers, producers and workers that go on while
something is killed."""

import re
import threading
import time

import zb
import zmq

TYPES = {"streamer": (zmq.PUSH, zmq.PULL), "forwarder": (zmq.PUB, zmq.SUB)}


class Node:
    """A zbroker whose route is one with those of other nodes."""

    def __init__(self, kind, servers, more=""):
        self.kind, self.context, self.folder = kind, zmq.Context(), zb.folder() + "/store"
        self.frontend, self.backend = zb.free_ports(2)
        self.ini = f"""
[route r]
type = {kind}
engine = wire
frontend_bind = tcp://127.0.0.1:{self.frontend}
backend_bind = tcp://127.0.0.1:{self.backend}
store = nats
store_dir = {self.folder}
nats = {servers.url}
{more}
"""
        self.daemon = zb.Daemon(self.ini)

    def ready(self):
        self.daemon.wait_log("event=nats-ready", 20)
        return self

    def peer(self, kind, port, **options):
        made = zb.peer(self.context, kind, f"tcp://127.0.0.1:{port}", **options)
        made.rcvtimeo = made.sndtimeo = int(20000 * zb.SLOW)
        return made

    def front(self, **options):
        return self.peer(TYPES[self.kind][0], self.frontend, sndhwm=0, **options)

    def back(self, *topics, **options):
        made = self.peer(TYPES[self.kind][1], self.backend, **options)
        for topic in topics:
            made.subscribe(topic)
        return made

    def restart(self):
        self.daemon = zb.Daemon(self.ini)

    def stats(self):
        with zb.Control(self.daemon) as control:
            return control.route("r")

    def clients(self, side):
        with zb.Control(self.daemon) as control:
            return [each for each in control.json("show clients r")["clients"] if each["side"] == side]

    def stored(self):
        """How many messages are on its disk."""
        with zb.Control(self.daemon) as control:
            return control.json("show store r")["stores"][0]["messages"]


def nodes(kind, servers, count=2, more=""):
    return [Node(kind, servers, more).ready() for _ in range(count)]


def acked_nodes(servers, count=2, more=""):
    """Their producers and workers can acknowledge."""
    made = []
    for _ in range(count):
        acks, workers = zb.free_ports(2)
        node = Node("streamer", servers, f"ack_bind = tcp://127.0.0.1:{acks}\nworker_ack_bind = tcp://127.0.0.1:{workers}\n{more}").ready()
        node.acks, node.workers = acks, workers
        made.append(node)
    return made


def ask(worker, *words):
    """A REQ says so, and gets (JOB, TRIES, body) of the next message."""
    worker.send_multipart(words)
    return job_of(worker.recv_multipart())


def job_of(frames):
    job, tries, body = frames
    assert 0 < len(job) <= 32, frames
    return job, int(tries), body


def failed(node, reason):
    """The route has failed, for that reason, and the daemon goes on."""
    node.daemon.wait_log(r"event=route-failed", 20)
    with zb.Control(node.daemon) as control:
        route = control.route("r")
    assert route["state"] == "failed", route["state"]
    assert reason in node.daemon.log(), node.daemon.log()


def connections(node):
    route = node.stats()
    return [sum(route[side][what] for side in ("frontend", "backend", "ack", "worker_ack") if route.get(side))
            for what in ("connections", "disconnections")]


def upgraded(node, count):
    """Another program has taken its COUNT connections over."""
    lost = connections(node)[1]
    answer = node.daemon.ctl("upgrade", seconds=30)
    assert answer.returncode == 0 and re.search(rf" {count} connections? kept", answer.stdout), (answer, node.daemon.log()[-3000:])
    zb.wait_until(lambda: connections(node) == [count, lost], what="its connections")


def recreated(node, count):
    """The route has been re-created, and its COUNT connections are those that it had."""
    lost = connections(node)[1]
    node.ini = re.sub(r"^cpu = .*\n", "", node.ini, flags=re.M) + f"cpu = {0 if 'cpu = 0' not in node.ini else -1}\n"
    zb.write(node.daemon.file, node.ini)
    answer = node.daemon.ctl("reload")
    assert answer.returncode == 0 and "re-created" in answer.stdout, answer
    zb.wait_until(lambda: connections(node) == [count, lost], what="its connections")


class Load:
    """A producer that sends numbers until it is told to stop."""

    def __init__(self, node, pause=0.0005):
        self.producer, self.pause = node.front(), pause
        self.sent, self.stops, self.longest = 0, False, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stops:
            began = time.monotonic()
            self.producer.send(b"%d" % self.sent)
            self.longest = max(self.longest, time.monotonic() - began)
            self.sent += 1
            time.sleep(self.pause)

    def stop(self):
        self.stops = True
        self.thread.join()
        return self.sent


class Worker:
    """It takes what comes, and remembers."""

    def __init__(self, node):
        self.socket, self.got = node.back(), []
        self.stops = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stops:
            if self.socket.poll(50):
                self.got.append(int(self.socket.recv()))

    def stop(self):
        self.stops = True
        self.thread.join()


def check_all(workers, sent):
    zb.wait_for_count(lambda: len({number for worker in workers for number in worker.got}), sent, 30, "messages")
    for worker in workers:
        worker.stop()
    got = [number for worker in workers for number in worker.got]
    assert set(got) == set(range(sent))
    print(f"# {sent} messages, {len(got) - sent} of them twice", flush=True)


def check_once(workers, sent):
    check_all(workers, sent)
    assert sum(len(worker.got) for worker in workers) == sent


class AckedLoad:
    """A producer that sends each number again until it is ok, with so many at once."""

    def __init__(self, node, pause=0, window=50):
        self.socket, self.window, self.pause = node.peer(zmq.DEALER, node.acks), window, pause
        self.open, self.next, self.acked, self.stops = {}, 0, set(), False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def send(self, number):
        self.open[number] = time.monotonic()
        self.socket.send_multipart([b"", b"%d" % number, b"%d" % number], flags=zmq.DONTWAIT)

    def send_what_is_due(self):
        for number, since in list(self.open.items()):
            if time.monotonic() - since > 2:
                self.send(number)
        while len(self.open) < self.window and not self.stops:
            self.send(self.next)
            self.next += 1
            time.sleep(self.pause)

    def run(self):
        while not self.stops or self.open:
            try:
                self.send_what_is_due()
            except zmq.Again:
                pass
            if self.socket.poll(20):
                number, word = self.socket.recv_multipart()[1:]
                assert word == b"ok", word
                self.acked.add(int(number))
                self.open.pop(int(number), None)

    def stop(self):
        self.stops = True
        self.thread.join()
        return self.next


class AckedWorker:
    """It says done of what it gets, and remembers (number, TRIES). One that dies leaves what it has, and another one comes."""

    def __init__(self, node, credit=20):
        self.node, self.credit, self.got = node, credit, []
        self.dies = self.stops = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def begin(self):
        socket = self.node.peer(zmq.DEALER, self.node.workers)
        socket.send_multipart([b"", b"ready", b"%d" % self.credit])
        return socket

    def work(self, socket):
        job, tries, body = job_of(socket.recv_multipart()[1:])
        self.got.append((int(body), tries))
        if not self.dies:
            socket.send_multipart([b"", b"done", job])

    def run(self):
        socket = self.begin()
        while not self.stops:
            if socket.poll(50):
                self.work(socket)
            if self.dies and socket.poll(50):
                self.work(socket)
            if self.dies:
                socket.close()
                socket, self.dies = self.begin(), False

    def die(self):
        self.dies = True

    def stop(self):
        self.stops = True
        self.thread.join()

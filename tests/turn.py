# SPDX-License-Identifier: MPL-2.0
"""What comes a little at a time is moved by the thread that reads it, in the route's place; nobody sees that."""

import os
import random
import threading

import zmq
import zb

ZMQ = "engine = zmq\n"  # whose threads those are that read
EACH = int(os.environ.get("ZB_TURNS", "2000"))


def route(kind, name, ports, more=""):
    front, back = (f"tcp://127.0.0.1:{port}" for port in ports)
    return f"[route {name}]\ntype = {kind}\nfrontend_bind = {front}\nbackend_bind = {back}\n{more}\n", front, back


def peer(context, kind, endpoint):
    patience = int(20000 * zb.SLOW)
    return zb.peer(context, kind, endpoint, rcvtimeo=patience, sndtimeo=patience)


def sleeps(daemon, thread):
    """How often the THREAD has gone to sleep."""
    for task in os.listdir(f"/proc/{daemon.pid}/task"):
        folder = f"/proc/{daemon.pid}/task/{task}"
        if zb.read(f"{folder}/comm").strip() == thread:
            return int(next(line for line in zb.read(f"{folder}/status").splitlines() if line.startswith("voluntary_ctxt")).split()[1])
    raise AssertionError(f"no thread {thread}")


def sleeps_for_messages_one_by_one(more):
    ini, front, back = route("streamer", "r", zb.free_ports(2), ZMQ + more)
    with zb.Daemon(ini) as daemon, zmq.Context() as context:
        push, pull = peer(context, zmq.PUSH, front), peer(context, zmq.PULL, back)
        push.send(b"")
        pull.recv()
        woken = wakes(daemon, push, pull)
        push.close()
        pull.close()
        return woken


def wakes(daemon, sender, receiver):
    before = sleeps(daemon, "zb:r")
    for number in range(EACH):
        sender.send(b"%d" % number)
        assert int(receiver.recv()) == number
    return sleeps(daemon, "zb:r") - before


@zb.limit(60)
def test_messages_one_by_one_wake_no_thread_of_the_route():
    woken = sleeps_for_messages_one_by_one("")
    print(f"# {EACH} messages, {woken} wake-ups of the route's thread")
    assert woken < EACH / 10, woken


@zb.limit(60)
def test_nor_do_those_of_a_forwarder():
    ini, front, back = route("forwarder", "r", zb.free_ports(2), ZMQ)
    with zb.Daemon(ini) as daemon, zmq.Context() as context:
        pub, sub = peer(context, zmq.XPUB, front), peer(context, zmq.SUB, back)
        sub.subscribe(b"")
        assert pub.recv() == b"\1"
        woken = wakes(daemon, pub, sub)
        assert woken < EACH / 10, woken
        pub.close()
        sub.close()


@zb.limit(60)
def test_a_route_on_a_processor_of_its_own_moves_them_itself():
    assert sleeps_for_messages_one_by_one(f"cpu = {min(os.sched_getaffinity(0))}") >= EACH / 10


class Asker(threading.Thread):
    """Asks and waits for the answer, again and again; now and then many at once."""

    def __init__(self, context, endpoint, name):
        super().__init__(daemon=True)
        self.socket, self.chance, self.mark = peer(context, zmq.DEALER, endpoint), random.Random(name), b"%d" % name
        self.asked, self.wrong = 0, None

    def run(self):
        try:
            while self.asked < EACH:
                burst = 1 if self.chance.random() < 0.98 else self.chance.randrange(500)
                wanted = [[self.mark, b"%d" % (self.asked + i), b"x" * self.chance.randrange(300)] for i in range(burst)]
                for message in wanted:
                    self.socket.send_multipart(message)
                got = [self.socket.recv_multipart() for _ in wanted]
                assert got == wanted, (len(wanted), got[:2])
                self.asked += burst
        except Exception as problem:
            self.wrong = repr(problem)
        self.socket.close()


class Answerer(threading.Thread):
    def __init__(self, context, endpoint):
        super().__init__(daemon=True)
        self.socket = peer(context, zmq.DEALER, endpoint)
        self.socket.rcvtimeo = 100
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            try:
                self.socket.send_multipart(self.socket.recv_multipart())
            except zmq.Again:
                pass
        self.socket.close()


def disturb(control, names, folder, chance):
    """What makes a route's thread have its turn, in the middle of everything."""
    name = chance.choice(names)
    what = chance.randrange(4)
    if what == 0:
        control.ask(f"pause {name}")
        control.ask(f"resume {name}")
    elif what == 1:
        control.ask(f"show subscriptions {name}")
    elif what == 2:
        control.ask("reload")
    else:
        control.ask("show stats")


def requests_one_by_one_and_in_bursts(threads):
    names, sections, ends = ["a", "b", "c"], "", []
    for name in names:
        ini, front, back = route("queue", name, zb.free_ports(2))
        sections += ini
        ends.append((front, back))
    with zb.Daemon(f"[zbroker]\nio_threads = {threads}\n{sections}") as daemon, zmq.Context() as context, zb.Control(daemon) as control:
        # One service each: answers of two would come in another order.
        services = [Answerer(context, back) for _, back in ends]
        askers = [Asker(context, front, number) for number, (front, _) in enumerate(ends * 2)]
        chance = random.Random(1)
        for thread in services + askers:
            thread.start()
        while any(asker.is_alive() for asker in askers):
            disturb(control, names, daemon.folder, chance)
        for service in services:
            service.over.set()
            service.join()
        assert not any(asker.wrong for asker in askers), [asker.wrong for asker in askers]
        for name in names:
            stats = control.route(name)
            assert stats["frontend"]["messages_received"] == stats["backend"]["messages_sent"], stats
            assert sum(stats["dropped"].values()) == 0, stats
        assert daemon.stop() == 0


@zb.limit(180)
def test_nothing_is_left_lying_with_one_io_thread():
    requests_one_by_one_and_in_bursts(1)


@zb.limit(180)
def test_nothing_is_left_lying_with_several_io_threads():
    requests_one_by_one_and_in_bursts(4)


@zb.limit(120)
def test_a_forwarder_that_sleeps_passes_subscriptions_and_messages():
    ini, front, back = route("forwarder", "news", zb.free_ports(2))
    with zb.Daemon(ini) as daemon, zmq.Context() as context, zb.Control(daemon) as control:
        pub = peer(context, zmq.XPUB, front)
        sub = peer(context, zmq.SUB, back)
        for number in range(EACH):
            topic = b"%d." % number
            sub.subscribe(topic)
            assert pub.recv() == b"\1" + topic
            pub.send(topic)
            assert sub.recv() == topic
            sub.unsubscribe(topic)
            assert pub.recv() == b"\0" + topic
        zb.wait_until(lambda: control.route("news")["subscriptions"] == 0)
        assert control.route("news")["backend"]["messages_sent"] == EACH
        pub.close()
        sub.close()


@zb.limit(120)
def test_a_worker_that_comes_and_goes_blocks_and_frees():
    """A full side is the route's own business: what the reading thread leaves in hand goes on when there is room."""
    ini, front, back = route("streamer", "jobs", zb.free_ports(2), "backend_sndhwm = 2\nfrontend_rcvhwm = 2")
    with zb.Daemon(ini) as daemon, zmq.Context() as context, zb.Control(daemon) as control:
        push = peer(context, zmq.PUSH, front)
        push.sndhwm = 1
        next_one = 0
        for number in range(0, EACH, 100):
            zb.wait_until(lambda: control.route("jobs")["backend"]["connections"] == 0)
            push.send(b"%d" % number)  # refused: nobody is there
            zb.wait_until(lambda: control.route("jobs")["blocked"])
            pull = peer(context, zmq.PULL, back)
            for more in range(number + 1, number + 100):
                push.send(b"%d" % more)
                assert int(pull.recv()) == next_one
                next_one += 1
            assert int(pull.recv()) == next_one
            next_one += 1
            pull.close()
        push.close()


zb.main()

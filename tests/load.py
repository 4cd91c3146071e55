# SPDX-License-Identifier: MPL-2.0
"""A broker of engine wire under load: who sends, who takes, and what is lost, doubled or out of turn of it."""

import collections
import contextlib
import struct
import threading

import zmq
import zb

WAIT = zb.WAIT_MS


class Worker(threading.Thread):
    """Runs STEP until it is stopped."""

    def __init__(self, step):
        super().__init__(daemon=True)
        self.step, self.stopping, self.problem = step, False, None
        self.start()

    def run(self):
        try:
            while not self.stopping:
                self.step()
        except Exception as problem:  # shown by stop
            self.problem = problem

    def stop(self):
        self.stopping = True
        self.join()
        if self.problem:
            raise self.problem


@contextlib.contextmanager
def running(*steps):
    workers = [Worker(step) for step in steps]
    try:
        yield
    finally:
        for worker in workers:
            worker.stopping = True
        for worker in workers:
            worker.join()
    for worker in workers:
        worker.stop()


class Watched(list):
    """Sockets by their monitors, for an end that nobody wanted."""

    def peer(self, context, kind, place, **options):
        made = zb.peer(context, kind, **options)
        self.append(made.get_monitor_socket(zmq.EVENT_DISCONNECTED))
        made.connect(zb.endpoint_of(place))
        return made

    def disconnects(self):
        return sum(1 for each in self if each.poll(0))


class Sender:
    """Sends numbered messages of many sizes; where they are AHEAD of what TAKER has, it waits."""

    SIZES = (0, 10, 300, 5000, 70000)

    def __init__(self, socket, number, taker, ahead=2000):
        self.socket, self.number, self.taker, self.ahead, self.sent = socket, number, taker, ahead, 0

    def __call__(self):
        if self.sent - self.taker.next[self.number] > self.ahead:
            self.taker.news.wait(0.01)
            return
        size = self.SIZES[self.sent % len(self.SIZES)] if self.sent % 50 == 0 else self.sent % 300
        self.socket.send_multipart([struct.pack("<II", self.number, self.sent), b"x" * size])
        self.sent += 1


class Taker:
    """Notes what is lost, doubled or out of turn of each sender."""

    def __init__(self, socket):
        self.socket, self.next, self.wrong, self.count, self.news = socket, collections.Counter(), [], 0, threading.Event()

    def __call__(self):
        if not self.socket.poll(20):
            return
        parts = self.socket.recv_multipart()
        number, at = struct.unpack("<II", parts[0])
        if at != self.next[number] or len(parts) != 2:
            self.wrong.append((number, self.next[number], at))
        self.next[number] = at + 1
        self.count += 1
        self.news.set()


def meet(sender, taker):
    """A publisher knows its subscriber: what it sent before is lost, and no fault."""
    zb.wait_until(lambda: [sender(), taker()] and taker.count > 0)
    zb.wait_until(lambda: taker.next[sender.number] == sender.sent or taker())
    taker.wrong.clear()


def hand_over_under_load(broker, senders, takers, times, hand_over):
    """HAND_OVER is called so many times, each after some more messages."""
    with running(*takers):
        with running(*senders):
            for _ in range(times):
                before = sum(taker.count for taker in takers)
                hand_over()
                zb.wait_until(lambda: sum(taker.count for taker in takers) > before + 100, 20, "messages after it")
        for taker in takers:
            for sender in senders:
                if sender.taker is taker:
                    zb.wait_until(lambda: taker.next[sender.number] == sender.sent, 20, "the last message")
    assert not any(taker.wrong for taker in takers), [taker.wrong[:9] for taker in takers]
    assert broker.disconnects() == 0
    print(f"# {sum(sender.sent for sender in senders)} messages, {times} handovers")

# SPDX-License-Identifier: MPL-2.0
"""Numbered messages, in a process of its own so that the rate holds beside a busy test.

    flow.py send RATE TYPE=ENDPOINT...    RATE messages a second, shared out among these sockets
    flow.py take TYPE=ENDPOINT...         what comes out of them: numbers of one socket of `send' follow each other

The line `go' on standard input lets it begin (send), `stop' ends it, `report' asks how far it is; each is answered by one
line of JSON: count (per socket), wrong (what came out of turn), disconnects (per socket). It stays until the input ends."""

import json
import select
import struct
import sys
import time

import zmq

TICK = 0.002
BURST = 500  # of one socket at a time, when it is late


class End:
    """A socket and what went through it."""

    def __init__(self, context, text):
        kind, endpoint = text.split("=", 1)
        self.socket = context.socket(getattr(zmq, kind))
        self.socket.sndhwm = self.socket.rcvhwm = 0
        self.socket.linger, self.socket.reconnect_ivl = 5000, 20
        if kind == "SUB":
            self.socket.subscribe(b"")
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.connect(endpoint)
        self.count, self.next, self.disconnects, self.wrong = 0, 0, 0, []

    def wait_for_subscriber(self):
        """A publisher is an XPUB here: what it sends before it hears of the first subscription reaches nobody."""
        if self.socket.type == zmq.XPUB:
            self.socket.recv()

    def send(self, due):
        for number in range(self.count, min(due, self.count + BURST)):
            self.socket.send(struct.pack("<Q", number))
            self.count += 1

    def take(self):
        for _ in range(BURST):
            try:
                parts = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            number, = struct.unpack("<Q", parts[-1])
            if number != self.next:
                self.wrong.append((self.next, number))
            self.next = number + 1
            self.count += 1

    def look(self):
        while self.monitor.poll(0):
            self.monitor.recv_multipart()
            self.disconnects += 1


def main():
    sending = sys.argv[1] == "send"
    context = zmq.Context()
    ends = [End(context, text) for text in sys.argv[3 if sending else 2:]]
    poller = zmq.Poller()
    for end in ends:
        poller.register(end.socket, zmq.POLLIN)
    start, running = None, not sending
    while True:
        if sending:
            asked = select.select([sys.stdin], [], [], TICK)[0]
        else:
            poller.poll(10)
            asked = select.select([sys.stdin], [], [], 0)[0]
        if asked:
            word = sys.stdin.readline().strip()
            if not word:
                break
            if word == "go":
                for end in ends:
                    end.wait_for_subscriber()
                start, running = time.monotonic(), True
            if word == "stop":
                running = False
            for end in ends:
                end.look()
            print(json.dumps({"count": [end.count for end in ends], "wrong": [end.wrong[:5] for end in ends],
                              "disconnects": [end.disconnects for end in ends]}), flush=True)
        for end in ends:
            if running and sending:
                end.send(int((time.monotonic() - start) * float(sys.argv[2]) / len(ends)))
            elif not sending:
                end.take()
    context.destroy(5000)


main()

# SPDX-License-Identifier: MPL-2.0
"""client.c again, for pyzmq: the same words, the same checks."""

import itertools
import os
import sys
import time

import zmq

TIMEOUT_MS = 120000
PAUSE = int(os.environ.get("CLIENT_PAUSE", "0")) / 1000


def send(socket, number, envelope=()):
    socket.send_multipart([*envelope, b"", b"%d" % number, b""])


def receive(socket, envelope=()):
    frames = socket.recv_multipart()
    number = int(frames[-2])
    assert frames == [*envelope, b"", b"%d" % number, b""], frames
    return number


def expect(got, wanted):
    assert got == wanted, f"{got} came, and not {wanted}"


def produce(socket, count):
    for i in range(count):
        send(socket, i)


def consume(socket, count):
    for i in range(count):
        expect(receive(socket), i)


def publish(socket, count):
    for i in itertools.cycle(range(count)):
        send(socket, i)
        time.sleep(0.001)


def follow(socket, count):
    first = receive(socket)
    for i in range(count):
        expect(receive(socket), (first + 1 + i) % count)


def ask(socket, count, envelope=()):
    for i in range(count):
        send(socket, i, envelope)
        expect(receive(socket, envelope), 2 * i)
        time.sleep(PAUSE)


def ask_by_hand(socket, count):
    ask(socket, count, (b"",))


def answer(socket, count):
    for _ in range(count):
        send(socket, 2 * receive(socket))


KINDS = {"push": (zmq.PUSH, produce), "pull": (zmq.PULL, consume), "pub": (zmq.PUB, publish), "sub": (zmq.SUB, follow), "req": (zmq.REQ, ask),
         "rep": (zmq.REP, answer), "pair": (zmq.PAIR, ask), "dealer": (zmq.DEALER, ask_by_hand), "mirror": (zmq.PAIR, answer)}
OPTIONS = {"CLIENT_USER": "plain_username", "CLIENT_PASSWORD": "plain_password", "CLIENT_SERVER_KEY": "curve_serverkey",
           "CLIENT_PUBLIC_KEY": "curve_publickey", "CLIENT_SECRET_KEY": "curve_secretkey", "CLIENT_ID": "routing_id"}


def main():
    kind, endpoint, count = sys.argv[1:]
    context = zmq.Context()
    socket = context.socket(KINDS[kind][0])
    socket.rcvtimeo = socket.sndtimeo = socket.linger = socket.heartbeat_timeout = TIMEOUT_MS
    socket.heartbeat_ivl = int(os.environ.get("CLIENT_HEARTBEAT", "0"))
    for variable, option in OPTIONS.items():
        if variable in os.environ:
            setattr(socket, option, os.environ[variable].encode())
    if kind == "sub":
        socket.subscribe(b"")
    socket.connect(endpoint)
    KINDS[kind][1](socket, int(count))
    context.destroy(TIMEOUT_MS)


main()

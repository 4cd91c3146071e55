# SPDX-License-Identifier: MPL-2.0
"""Clients that come and go all the time: no route ever falls asleep over a message."""

import errno
import os
import threading

import zmq
import zb

COUNT = int(os.environ.get("ZB_CHURN", "3000"))
ADDRESSES = 8  # each has its own range of client ports: those of one are used up after 28,000 clients


def daemon(kind, extra=""):
    """The daemon, and the endpoints of its frontend and of its backend."""
    one, two = zb.free_ports(2)
    front, back = ([f"tcp://127.0.0.{i + 1}:{port}" for i in range(ADDRESSES)] for port in (one, two))
    binds = "".join(f"frontend_bind = {endpoint}\n" for endpoint in front)
    binds += "".join(f"backend_bind = {endpoint}\n" for endpoint in back)
    return zb.Daemon(f"[route r]\ntype = {kind}\n{binds}{extra}\n"), front, back


def client(context, kind, endpoints, number, **options):
    """A new socket that connects to one of the endpoints in turn."""
    endpoint = endpoints[number % len(endpoints)]

    def made():
        try:
            return context.socket(kind)
        except zmq.ZMQError as error:  # those that were closed are not gone at once
            if error.errno != errno.EMFILE:
                raise
    socket = made() or zb.wait_until(made, 20, "room for a socket")
    for name, value in options.items():
        setattr(socket, name, value)
    socket.connect(endpoint)
    return socket


def collect(socket, wanted, what, room):
    """Receive WANTED messages, each within ten seconds of the one before; each makes room for another producer."""
    socket.rcvtimeo = zb.WAIT_MS
    got = set()
    while len(got) < wanted:
        try:
            got.add(socket.recv())
            room.release()
        except zmq.Again:
            raise AssertionError(f"{what}: stalled after {len(got)} of {wanted}")
    return got


def producers_come_and_go(extra=""):
    """Every producer sends one message and leaves; all of them arrive."""
    process, frontend, backend = daemon("streamer", extra)
    with process, zmq.Context() as context:
        pull = context.socket(zmq.PULL)
        pull.connect(backend[0])
        room = threading.Semaphore(100)

        def produce():
            for number in range(COUNT):
                room.acquire()
                with client(context, zmq.PUSH, frontend, number) as push:
                    push.linger = zb.WAIT_MS
                    push.send(b"%d" % number)

        thread = threading.Thread(target=produce, daemon=True)
        thread.start()
        collect(pull, COUNT, "streamer", room)
        thread.join()
        pull.close(0)


@zb.limit(120 + COUNT // 100)
def test_producers_that_send_one_message_and_leave():
    producers_come_and_go()


@zb.limit(120 + COUNT // 100)
def test_producers_that_leave_while_the_backend_is_full():
    producers_come_and_go("backend_sndhwm = 1\nfrontend_rcvhwm = 1")


@zb.limit(120 + COUNT // 100)
def test_workers_that_come_and_go_never_stop_the_others():
    process, frontend, backend = daemon("streamer", "backend_sndhwm = 2")
    with process, zmq.Context() as context:
        push = context.socket(zmq.PUSH)
        push.connect(frontend[0])
        stop = threading.Event()

        def produce():
            push.sndtimeo = 100
            while not stop.is_set():
                try:
                    push.send(b"x")
                except zmq.Again:
                    pass

        thread = threading.Thread(target=produce, daemon=True)
        thread.start()
        for number in range(COUNT // 3):
            with client(context, zmq.PULL, backend, number, rcvhwm=1) as pull:
                pull.rcvtimeo = zb.WAIT_MS
                try:
                    pull.recv()
                except zmq.Again:
                    raise AssertionError(f"worker {number} got nothing")
                pull.close(0)
        stop.set()
        thread.join()
        push.close(0)


@zb.limit(120 + COUNT // 100)
def test_clients_of_a_queue_that_ask_once_and_leave():
    process, frontend, backend = daemon("queue")
    with process, zmq.Context() as context:
        stop = threading.Event()

        def serve():
            with context.socket(zmq.REP) as rep:
                rep.rcvtimeo, rep.linger = 100, 0
                rep.connect(backend[0])
                while not stop.is_set():
                    try:
                        rep.send(rep.recv())
                    except zmq.Again:
                        pass

        workers = [threading.Thread(target=serve, daemon=True) for _ in range(2)]
        for worker in workers:
            worker.start()
        for number in range(COUNT // 3):
            with client(context, zmq.REQ, frontend, number) as req:
                req.rcvtimeo, req.linger = zb.WAIT_MS, 0
                req.send(b"%d" % number)
                try:
                    assert req.recv() == b"%d" % number
                except zmq.Again:
                    raise AssertionError(f"client {number} got no answer")
        stop.set()
        for worker in workers:
            worker.join()


@zb.limit(120 + COUNT // 100)
def test_subscribers_that_come_and_go_never_stop_a_forwarder():
    process, frontend, backend = daemon("forwarder")
    with process, zmq.Context() as context:
        pub = context.socket(zmq.PUB)
        pub.connect(frontend[0])
        stop = threading.Event()

        def publish():
            while not stop.is_set():
                pub.send(b"topic")
                stop.wait(0.0005)

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        for number in range(COUNT // 3):
            with client(context, zmq.SUB, backend, number) as sub:
                sub.linger, sub.rcvtimeo = 0, zb.WAIT_MS
                sub.subscribe(b"topic")
                try:
                    sub.recv()
                except zmq.Again:
                    raise AssertionError(f"subscriber {number} got nothing")
        stop.set()
        thread.join()
        pub.close(0)


zb.main()

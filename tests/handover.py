# SPDX-License-Identifier: MPL-2.0
"""A route of engine wire that is made again gives its connections to its successor: no peer notices.

ZB_HANDOVERS is how often in a test."""

import os
import struct
import threading

import zmq
import zb
import zmtp
from load import WAIT, Sender, Taker, Watched, hand_over_under_load, meet, running

HANDOVERS = int(os.environ.get("ZB_HANDOVERS", "20"))


class Broker(zb.Route):
    """recreate() makes the route again, with another value of a key that needs it."""

    def __init__(self, kind, more="", curve=False):
        self.folder, self.number, self.watched = zb.folder(), 2000, Watched()
        self.secured, self.options = zb.curve(self.folder) if curve else ("", {})
        self.more = more
        super().__init__(kind, process="drain_timeout = 5m", folder=self.folder)
        self.control = zb.Control(self.daemon)

    def ini(self, more=""):
        return super().ini(f"frontend_backlog = {self.number}\n{self.secured}{self.more}")

    def recreate(self):
        self.number += 1
        answer = self.reload("")
        assert f"frontend_backlog {self.number - 1} -> {self.number} (re-created)" in answer, answer

    def peer(self, kind, place, **options):
        return self.watched.peer(self.context, kind, place, **{**self.options, **options})

    def disconnects(self):
        return self.watched.disconnects()

    def wait_connections(self, front, back):
        zb.wait_until(lambda: (self.stats()["frontend"]["connections"], self.stats()["backend"]["connections"]) == (front, back))

    def everybody(self):
        return self.ask("show clients r")["clients"]

    def __exit__(self, kind, value, trace):
        self.control.close()
        super().__exit__(kind, value, trace)


def each_security(test):
    test(False)
    test(True)


# --- under load -----------------------------------------------------------------------------------------------------

def test_a_streamer_is_handed_over():
    def test(curve):
        with Broker("streamer", curve=curve) as broker:
            taker = Taker(broker.back(zmq.PULL))
            senders = [Sender(broker.front(zmq.PUSH), i, taker) for i in range(3)]
            broker.wait_connections(3, 1)
            hand_over_under_load(broker, senders, [taker], HANDOVERS, broker.recreate)
            sent = sum(sender.sent for sender in senders)
            zb.wait_until(lambda: broker.stats()["frontend"]["messages_received"] == broker.stats()["backend"]["messages_sent"] == sent)
            broker.wait_connections(3, 1)
    each_security(test)


def test_a_forwarder_is_handed_over_with_its_subscriptions():
    def test(curve):
        more = "frontend_rcvhwm = 0\nbackend_sndhwm = 0"
        with Broker("forwarder", more, curve) as broker:
            pub = broker.front(zmq.XPUB, sndhwm=0)
            subs = [broker.back(zmq.SUB, rcvhwm=0) for _ in range(3)]
            takers = [Taker(sub) for sub in subs]
            for i, sub in enumerate(subs):
                sub.subscribe(struct.pack("<I", i))
            told = {pub.recv() for _ in subs}
            assert told == {b"\1" + struct.pack("<I", i) for i in range(3)}, told
            senders = [Sender(broker.front(zmq.PUB, sndhwm=0), i, takers[i], 500) for i in range(3)]
            broker.wait_connections(4, 3)
            zb.wait_until(lambda: all(client["subscriptions"] == 1 for client in broker.everybody() if client["side"] == "backend"))
            for sender, taker in zip(senders, takers):
                meet(sender, taker)
            hand_over_under_load(broker, senders, takers, HANDOVERS, broker.recreate)
            assert not pub.poll(0), pub.recv()  # it was told nothing again
            subs[0].unsubscribe(struct.pack("<I", 0))
            assert pub.recv() == b"\0" + struct.pack("<I", 0)
            subs[1].subscribe(b"new")
            assert pub.recv() == b"\1new"
            assert broker.stats()["subscriptions"] == 3
    each_security(test)


def test_a_queue_is_handed_over_with_its_requests():
    def test(curve):
        with Broker("queue", curve=curve) as broker:
            worker = broker.back(zmq.DEALER)
            asked = threading.Event()

            def answer():
                if worker.poll(20):
                    worker.send_multipart(worker.recv_multipart())
                    asked.set()
            takers = [Taker(broker.front(zmq.DEALER, **options)) for options in ({}, {"identity": b"me"}, {})]
            senders = [Sender(taker.socket, i, taker, 100) for i, taker in enumerate(takers)]

            def both(sender, taker):
                def step():
                    sender()
                    while taker.socket.poll(0):
                        taker()
                return step
            broker.wait_connections(3, 1)
            with running(answer):
                with running(*(both(sender, taker) for sender, taker in zip(senders, takers))):
                    for _ in range(HANDOVERS):
                        before = sum(taker.count for taker in takers)
                        broker.recreate()
                        zb.wait_until(lambda: sum(taker.count for taker in takers) > before + 100, 20, "answers after it")
                for sender, taker in zip(senders, takers):
                    zb.wait_until(lambda: taker() or taker.next[sender.number] == sender.sent, 20, "the last answer")
            assert not any(taker.wrong for taker in takers)
            assert broker.disconnects() == 0
    each_security(test)


def test_a_pair_is_handed_over():
    def test(curve):
        with Broker("pair", curve=curve) as broker:
            taker = Taker(broker.back(zmq.PAIR))
            sender = Sender(broker.front(zmq.PAIR), 0, taker)
            broker.wait_connections(1, 1)
            hand_over_under_load(broker, [sender], [taker], HANDOVERS, broker.recreate)
    each_security(test)


# --- at rest ----------------------------------------------------------------------------------------------------------

def test_requests_without_an_answer_are_handed_over():
    with Broker("queue") as broker:
        worker = broker.back(zmq.DEALER)
        clients = [broker.front(zmq.REQ, **options) for options in ({}, {"identity": b"me"})]
        for i, client in enumerate(clients):
            client.send(b"%d" % i)
        requests = [worker.recv_multipart() for _ in clients]
        broker.recreate()
        broker.recreate()
        for request in reversed(requests):
            worker.send_multipart(request)
        assert [client.recv() for client in clients] == [b"0", b"1"]
        assert broker.disconnects() == 0


def test_what_waits_is_handed_over():
    """For a peer that does not read, and for a worker that is not there."""
    with Broker("streamer") as broker:
        push = broker.front(zmq.PUSH, sndhwm=0)
        for i in range(5000):
            push.send(b"%d" % i)
        broker.wait_connections(1, 0)
        broker.recreate()
        pull = broker.back(zmq.PULL, rcvhwm=1, rcvbuf=4096)
        broker.wait_connections(1, 1)
        for i in range(2500):
            assert pull.recv() == b"%d" % i
        broker.recreate()
        for i in range(2500, 5000):
            assert pull.recv() == b"%d" % i
        assert broker.disconnects() == 0


def test_halves_of_messages_and_of_handshakes_are_handed_over():
    with Broker("streamer") as broker:
        pull = broker.back(zmq.PULL)
        broker.wait_connections(0, 1)
        message = zmtp.frame(b"a" * 300, True) + zmtp.frame(b"b" * 10)
        for cut in (1, 5, 200, len(message) - 12, len(message) - 5, len(message) - 1):
            raw = zmtp.Raw(broker.frontend)
            raw.send(message[:cut])
            broker.wait_connections(1, 1)
            received = broker.everybody()
            broker.recreate()
            raw.send(message[cut:])
            assert pull.recv_multipart() == [b"a" * 300, b"b" * 10]
            assert [each["id"] for each in broker.everybody()] == [each["id"] for each in received]
            raw.socket.close()
            broker.wait_connections(0, 1)
        assert broker.disconnects() == 0


def test_clients_stay_who_they_are():
    with Broker("queue", curve=True) as broker:
        worker, client = broker.back(zmq.DEALER), broker.front(zmq.DEALER, identity=b"me")
        client.send(b"1")
        worker.recv_multipart()
        broker.wait_connections(1, 1)
        before = broker.everybody()
        broker.recreate()
        zb.wait_until(lambda: len(broker.everybody()) == 2)
        changing = ("idle_ms", "backlog_bytes", "fd")
        assert [{key: value for key, value in each.items() if key not in changing} for each in broker.everybody()] \
            == [{key: value for key, value in each.items() if key not in changing} for each in before]
        assert broker.disconnects() == 0


def test_a_paused_route_stays_paused():
    with Broker("streamer") as broker:
        push, pull = broker.front(zmq.PUSH), broker.back(zmq.PULL)
        broker.wait_connections(1, 1)
        broker.control.ask("pause r")
        for i in range(10):
            push.send(b"%d" % i)
        broker.recreate()
        assert not pull.poll(300)
        broker.control.ask("resume r")
        assert [pull.recv() for _ in range(10)] == [b"%d" % i for i in range(10)]
        assert broker.disconnects() == 0


def test_connections_that_the_route_made_are_handed_over():
    port = zb.free_port()
    with Broker("streamer", f"backend_connect = tcp://127.0.0.1:{port}") as broker:
        pull = broker.context.socket(zmq.PULL)
        monitor = pull.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_ACCEPTED)
        pull.rcvtimeo = WAIT
        pull.bind(f"tcp://127.0.0.1:{port}")
        push = broker.front(zmq.PUSH)
        broker.wait_connections(1, 1)
        for i in range(10):
            push.send(b"%d" % i)
            assert pull.recv() == b"%d" % i
            broker.recreate()
        broker.wait_connections(1, 1)
        events = []
        while monitor.poll(0):
            events.append(struct.unpack("<HI", monitor.recv_multipart()[0])[0])
        assert events == [zmq.EVENT_ACCEPTED], events


def test_a_peer_is_not_probed_again():
    with Broker("queue", "backend_probe_router = yes\nbackend_routing_id = us") as broker:
        service, client = broker.back(zmq.ROUTER), broker.front(zmq.DEALER)
        assert service.recv_multipart() == [b"us", b""]
        broker.recreate()
        client.send(b"1")
        request = service.recv_multipart()
        assert (request[0], request[-1]) == (b"us", b"1"), request
        assert broker.disconnects() == 0


def test_a_new_key_of_ours_sends_nobody_away():
    with Broker("streamer", curve=True) as broker:
        push, pull = broker.front(zmq.PUSH), broker.back(zmq.PULL)
        # Live, and together with what re-creates the route.
        for change in (lambda: broker.control.ask("reload"), broker.recreate):
            push.send(b"before")
            assert pull.recv() == b"before"
            key = zmq.curve_keypair()
            zb.server_cert(f"{broker.folder}/server.cert", key)
            change()
            push.send(b"after")
            assert pull.recv() == b"after"
            newcomer = broker.front(zmq.PUSH, curve_serverkey=key[0])
            newcomer.send(b"of one that knows the new key")
            assert pull.recv() == b"of one that knows the new key"
        assert not broker.disconnects()


def timers(port):
    """Which timers the kernel runs for the connections that were accepted at PORT: 2 is that of keepalives."""
    lines = (line.split() for line in zb.read("/proc/net/tcp").splitlines()[1:])
    return [int(line[5].split(":")[0], 16) for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "01"]


def test_options_of_sockets_are_those_of_the_new_route():
    with Broker("streamer") as broker:
        push = broker.front(zmq.PUSH)
        broker.wait_connections(1, 0)
        for value, timer in (("no", 0), ("yes", 2), ("no", 0)):
            broker.more = f"frontend_tcp_keepalive = {value}\n"
            broker.recreate()
            zb.wait_until(lambda: timers(broker.frontend) == [timer], what=f"tcp_keepalive = {value}")
        assert broker.disconnects() == 0 and not push.closed


# --- what cannot be kept ----------------------------------------------------------------------------------------------

def test_another_security_sends_them_away():
    with Broker("streamer") as broker:
        push, pull = broker.front(zmq.PUSH), broker.back(zmq.PULL)
        push.send(b"before")
        assert pull.recv() == b"before"
        users = zb.write(f"{broker.folder}/users", "", 0o600)
        broker.more = f"backend_security = plain\nbackend_users = {broker.folder}/users"
        assert "(re-created)" in broker.reload(""), users
        zb.wait_until(lambda: broker.disconnects() == 2)


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Quotas: how many clients a side takes, and how many subscriptions a client may have."""

import socket
import struct

import zmq
import zb
import zmtp
from secured import Client, publish_until, reload


def test_quotas_are_kept_and_said_once():
    ports = zb.free_ports(2)
    with zb.Daemon(f"""
[route news]
type = forwarder
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
max_subscriptions = 5
max_topic = 20
""") as daemon:
        topics = [b"t%d" % i for i in range(9)]
        with Client(zmq.SUB, f"tcp://127.0.0.1:{ports[1]}", topics=topics + [b"x" * 30]) as sub, \
                Client(zmq.PUB, f"tcp://127.0.0.1:{ports[0]}") as pub:
            got = set()

            def five():
                for topic in topics:
                    pub.socket.send(topic)
                while sub.socket.poll(20):
                    got.add(sub.socket.recv())
                return len(got) >= 5

            zb.wait_until(five)
            for _ in range(5):
                five()
            assert len(got) == 5, got
        assert daemon.log().count("quota: route news") == 1
        assert daemon.stop() == 0


def test_a_side_that_is_full_keeps_the_next_waiting():
    one, two, three = zb.free_ports(3)
    ini = f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{one}
frontend_max_clients = 2
backend_bind = tcp://127.0.0.1:{two}
"""
    with zb.Daemon(ini) as daemon:
        front, back = f"tcp://127.0.0.1:{one}", f"tcp://127.0.0.1:{two}"
        with Client(zmq.PULL, back) as pull, Client(zmq.PUSH, front) as first, Client(zmq.PULL, back) as other:
            with Client(zmq.PUSH, front) as second:
                assert all(client.is_in() for client in (pull, first, other, second)), "the other side has room"
                daemon.wait_log(r"jobs.*frontend.*full \(max_clients\)")
                zb.write(daemon.file, ini + f"frontend_bind = tcp://127.0.0.1:{three}\n")
                reload(daemon)
                with Client(zmq.PUSH, front) as third, Client(zmq.PUSH, f"tcp://127.0.0.1:{three}") as elsewhere:
                    third.monitor.rcvtimeo = elsewhere.monitor.rcvtimeo = 500
                    assert elsewhere.event(zmq.EVENT_HANDSHAKE_SUCCEEDED) is None, "an endpoint that comes later waits too"
                    elsewhere.close()
                    assert third.event(zmq.EVENT_HANDSHAKE_SUCCEEDED) is None
                    second.close()
                    third.monitor.rcvtimeo = zb.WAIT_MS
                    assert third.event(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        assert daemon.stop() == 0


@zb.limit(120)
def test_a_million_subscriptions_of_one_client_end_with_the_client():
    one, two = zb.free_ports(2)
    with zb.Daemon(f"""
[route news]
type = forwarder
engine = wire
frontend_bind = tcp://127.0.0.1:{one}
backend_bind = tcp://127.0.0.1:{two}
""") as daemon, Client(zmq.PUB, f"tcp://127.0.0.1:{one}") as pub, \
            Client(zmq.SUB, f"tcp://127.0.0.1:{two}", topics=[b"good"]) as good:
        before = zb.rss(daemon.pid)
        with socket.create_connection(("127.0.0.1", two)) as peer:
            peer.settimeout(10 * zb.SLOW)
            peer.sendall(zmtp.GREETING + zmtp.ready(b"SUB"))
            heard = b""
            while b"XPUB" not in heard:
                heard += peer.recv(4096)
            sent = 0  # on a slow machine all of them are on their way before the client is cut
            peer.settimeout(zb.SLOW)  # the kernel may leave who was cut with what it could not send
            try:
                while sent < 1000000:
                    peer.sendall(b"".join(b"\0\x29\x01%040d" % i for i in range(sent, sent + 1000)))
                    sent += 1000
            except OSError:
                pass
        daemon.wait_log(r"warning: quota: route news: 127\.0\.0\.1: a subscription of 40 bytes ignored")
        if zb.SLOW == 1:  # sanitizers have memory of their own
            assert zb.rss(daemon.pid) - before < 300 << 20, f"{(zb.rss(daemon.pid) - before) >> 20} MiB for {sent} subscriptions"
        got, = publish_until(pub, [good], [b"good"])
        assert got == {b"good"} and good.event(zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED) == zmq.EVENT_HANDSHAKE_SUCCEEDED
        assert daemon.stop() == 0


@zb.limit(120)
def test_subscribers_that_come_and_go_leave_the_daemon_alone():
    ports = zb.free_ports(2)
    back = ("127.0.0.1", ports[1])
    hello = zmtp.GREETING + zmtp.ready(b"SUB")
    with zb.Daemon(f"""
[route news]
type = forwarder
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
""") as daemon, Client(zmq.PUB, f"tcp://127.0.0.1:{ports[0]}") as pub:
        for turn in range(1500):
            with socket.create_connection(back) as peer:
                peer.sendall(hello + b"\x00\x03\x01ab" * 5 + b"\x00\x02\x00a" + b"\x00\x04uvwx")
                for _ in range(5):
                    pub.socket.send(b"abc")
                if turn % 3 == 0:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with Client(zmq.SUB, f"tcp://127.0.0.1:{ports[1]}", topics=[b"end"]) as sub:
            publish_until(pub, [sub], [b"end"])
        assert daemon.stop() == 0


if __name__ == "__main__":
    zb.main()

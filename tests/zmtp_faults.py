# SPDX-License-Identifier: MPL-2.0
"""Peers that speak ZMTP wrongly, or as no library here does: each fault has its reason in the log and its counter, and
what is right in an odd way is understood. hostile.py looks whether the daemon survives; this looks what it says."""

import os
import signal
import socket
import struct

import zmq
import zb
import zmtp
from zmtp import GREETING, SIGNATURE, command, frame, ready


def greeting(mechanism=b"NULL", version=b"\x03\x01", as_server=b"\0"):
    return SIGNATURE + version + mechanism.ljust(20, b"\0") + as_server + bytes(31)


def prop(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def property_of_length(length):
    """A Socket-Type that says it has LENGTH octets."""
    return command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", length) + b"PUSH")


class House:
    """One route of each kind that the faults need: jobs (streamer), news (forwarder), asks (queue), safe (PLAIN)."""

    def __init__(self, process="", route=""):
        names = ("jobs_in", "jobs_out", "news_in", "news_out", "asks_in", "asks_out", "safe_in", "safe_out")
        self.port = dict(zip(names, zb.free_ports(len(names))))
        users = zb.write(zb.folder() + "/users", zb.run("password", "me", name="zbroker-keygen", stdin="secret\n").stdout, 0o600)
        more = {"safe": f"security = plain\nusers = {users}"}
        self.daemon = zb.Daemon(f"[zbroker]\n{process}\n" + "".join(f"""
[route {name}]
type = {kind}
engine = wire
frontend_bind = tcp://127.0.0.1:{self.port[name + "_in"]}
backend_bind = tcp://127.0.0.1:{self.port[name + "_out"]}
{more.get(name, "")}
{route}
""" for name, kind in (("jobs", "streamer"), ("news", "forwarder"), ("asks", "queue"), ("safe", "streamer"))))

    def tcp(self, where):
        return f"tcp://127.0.0.1:{self.port[where]}"

    def say(self, where, data):
        peer = socket.create_connection(("127.0.0.1", self.port[where]), timeout=10 * zb.SLOW)
        peer.sendall(data)
        return peer

    def side(self, where):
        with zb.Control(self.daemon) as control:
            return control.route(where.split("_")[0])["frontend" if where.endswith("_in") else "backend"]

    def count(self, where, table):
        """What a side counts, by reason: table is handshake_failures or cut."""
        return self.side(where)[table]

    def refuses(self, where, data, reason, event, table, word=None):
        """DATA ends its connection, is told of once and counted once, for this reason and no other. WORD is the log's for it."""
        before, log = self.count(where, table), len(self.daemon.log())
        with self.say(where, data) as peer:
            zb.wait_until(lambda: self.count(where, table) != before, what=f"a {reason}")
            try:
                while peer.recv(4096):  # it hears the end
                    pass
            except ConnectionError:
                pass
        after = self.count(where, table)
        assert {key: after[key] - before[key] for key in after if after[key] != before[key]} == {reason: 1}, (before, after)
        said = [line for line in self.daemon.log()[log:].splitlines() if f"event={event}" in line]
        assert len(said) == 1 and f"reason={word or reason}" in said[0] and "127.0.0.1" in said[0], said

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.daemon.kill()


# --- in the handshake ---------------------------------------------------------------------------------------------------

REFUSED = {
    # what it is: where it goes, what it says, why it is refused
    "HTTP": ("jobs_in", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "greeting"),
    "TLS": ("jobs_in", bytes.fromhex("1603010200010001fc0303") + bytes(100), "greeting"),
    "SSH": ("jobs_in", b"SSH-2.0-OpenSSH_9.2p1\r\n", "greeting"),
    "ZMTP 1.0 where there are users": ("safe_in", b"\x01\x00", "version"),
    "ZMTP 2.0 where there are users": ("safe_in", SIGNATURE + b"\x01\x08\x00\x00", "version"),
    "another mechanism": ("jobs_in", greeting(b"PLAIN"), "mechanism"),
    "no mechanism where there are users": ("safe_in", greeting(b"NULL"), "mechanism"),
    "a mechanism in small letters": ("jobs_in", greeting(b"null"), "greeting"),
    "a mechanism with more behind its end": ("jobs_in", greeting(b"NULL\0x"), "greeting"),
    "a socket of the wrong type": ("jobs_in", GREETING + ready(b"SUB"), "type"),
    "a socket of no type": ("jobs_in", GREETING + ready(b"PUSHPULL"), "type"),
    "a socket without a type": ("jobs_in", GREETING + command(b"READY", b""), "type"),
    "a message before READY": ("jobs_in", GREETING + frame(b"too early"), "protocol"),
    "a command before READY": ("jobs_in", GREETING + command(b"PING", b"\0\0"), "protocol"),
    "a READY with MORE": ("jobs_in", GREETING + b"\x05" + ready(b"PUSH")[1:], "protocol"),
    "a READY with an unknown flag": ("jobs_in", GREETING + b"\x0c" + ready(b"PUSH")[1:], "protocol"),
    "a property longer than its command": ("jobs_in", GREETING + property_of_length(5), "protocol"),
    "a property of 4 GiB": ("jobs_in", GREETING + property_of_length(0xffffffff), "protocol"),
    "a property without a name": ("jobs_in", GREETING + command(b"READY", prop(b"", b"x")), "protocol"),
    "a READY of 10,000 octets": ("jobs_in", GREETING + ready(b"PUSH", prop(b"X-Long", b"x" * 10000)), "protocol"),
    "a command of 2^63 octets": ("jobs_in", GREETING + b"\x06" + struct.pack(">Q", 1 << 63) + b"\5READY", "protocol"),
    "an ERROR instead of READY": ("jobs_in", GREETING + command(b"ERROR", b"\x03" + b"400"), "auth"),
    "a routing id that begins with 0": ("asks_in", GREETING + ready(b"DEALER", prop(b"Identity", b"\0me")), "protocol"),
    "a routing id of 256 octets": ("asks_in", GREETING + ready(b"DEALER", prop(b"Identity", b"i" * 256)), "protocol"),
    "a wrong password": ("safe_in", greeting(b"PLAIN") + command(b"HELLO", b"\2me\5wrong"), "auth"),
    "a HELLO with more behind it": ("safe_in", greeting(b"PLAIN") + command(b"HELLO", b"\2me\6secret!"), "protocol"),
    "a HELLO that ends early": ("safe_in", greeting(b"PLAIN") + command(b"HELLO", b"\2me\7secret"), "protocol"),
    "INITIATE before HELLO": ("safe_in", greeting(b"PLAIN") + command(b"INITIATE", b""), "protocol"),
}


LINES = 8  # of one kind, after which the log sums up


def refuse_all(faults, event, table):
    """Each of them is refused as it should be; a daemon sees LINES of them."""
    wrong, rest = [], list(faults.items())
    while rest:
        with House() as house:
            for what, (where, data, reason) in rest[:LINES]:
                is_login = reason == "auth" and where == "safe_in"
                try:
                    house.refuses(where, data, reason, "auth-refused" if is_login else event, table, "bad-password" if is_login else None)
                except AssertionError as problem:
                    wrong.append(f"{what}: {problem}")
        rest = rest[LINES:]
    assert not wrong, "\n".join(wrong)


def test_each_fault_of_a_handshake_has_its_reason():
    refuse_all(REFUSED, "client-refused", "handshake_failures")


def test_who_stops_anywhere_in_a_handshake_has_taken_too_long():
    whole = greeting() + ready(b"PUSH")
    with House(route="handshake_ivl = 500ms") as house:
        before = house.count("jobs_in", "handshake_failures")["timeout"]
        peers = [house.say("jobs_in", whole[:end]) for end in range(len(whole))]
        zb.wait_until(lambda: house.count("jobs_in", "handshake_failures")["timeout"] - before == len(peers), what="time-outs")
        for peer in peers:
            peer.close()


def test_the_first_client_after_a_quiet_time_has_as_long_as_others():
    """Nothing asks the route for that long, not even zbrokerctl: its clock stands still until a client wakes it."""
    with House(route="handshake_ivl = 2s") as house, house.say("news_in", b"") as silent:
        while silent.recv(100):  # until its own time is over
            pass
        with house.say("jobs_in", SIGNATURE) as first:
            assert first.recv(10) == SIGNATURE
            first.sendall(greeting()[10:] + ready(b"PUSH"))
            zb.wait_until(lambda: house.count("jobs_in", "connections") == 1, what="the first client")
        assert house.count("jobs_in", "handshake_failures")["timeout"] == 0


def test_a_handshake_may_be_late_in_each_octet():
    whole = greeting() + ready(b"PUSH") + frame(b"a", True) + command(b"PING", b"\0\0now") + frame(b"b" * 300)
    with House() as house, zmq.Context() as context, zb.peer(context, zmq.PULL, house.tcp("jobs_out")) as pull:
        with house.say("jobs_in", b"") as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(whole)):
                peer.sendall(whole[i:i + 1])
                os.sched_yield()
            assert pull.recv_multipart() == [b"a", b"b" * 300]


def test_two_of_one_name_are_one_and_a_refusal():
    hello = GREETING + ready(b"DEALER", prop(b"Identity", b"me"))
    with House() as house, house.say("asks_in", hello):
        with zb.Control(house.daemon) as control:
            zb.wait_until(lambda: control.route("asks")["frontend"]["connections"] == 1)
        house.refuses("asks_in", hello, "duplicate_id", "client-refused", "handshake_failures")


def test_a_client_that_comes_again_has_its_name_though_its_old_requests_wait():
    """Nobody takes them, so its old connection is still there: nothing can reach it any more. Answers go to the new one."""
    hello = GREETING + ready(b"DEALER", prop(b"Identity", b"me"))
    with House(route="frontend_rcvhwm = 2") as house, zmq.Context() as context:
        for i in range(3):  # the last one stays
            client = house.say("asks_in", hello + b"".join(frame(b"%d %d" % (i, k)) for k in range(5)))
            zb.wait_until(lambda: house.side("asks_in")["connections"] == 1 and house.side("asks_in")["messages_received"] > i, what="a client")
            if i < 2:
                client.close()
                zb.wait_until(lambda: house.side("asks_in")["connections"] == 0, what="its end")
        house.refuses("asks_in", hello, "duplicate_id", "client-refused", "handshake_failures")
        zb.write(house.daemon.file, zb.read(house.daemon.file).replace("frontend_rcvhwm", "sndbuf = 8192\nfrontend_rcvhwm"))
        assert "re-created" in house.daemon.ctl("reload").stdout
        with zb.peer(context, zmq.DEALER, house.tcp("asks_out")) as service:
            asked = [service.recv_multipart() for _ in range(15)]
            for each in asked:
                service.send_multipart(each)
        got = b""
        while got.count(b" ") < 15:
            more = client.recv(4096)
            assert more, got
            got += more
        client.close()
        for i in range(3):
            assert [body for _, body in asked if body.startswith(b"%d" % i)] == [b"%d %d" % (i, k) for k in range(5)], asked


# --- afterwards ---------------------------------------------------------------------------------------------------------

PUSH, SUB, DEALER = GREETING + ready(b"PUSH"), GREETING + ready(b"SUB"), GREETING + ready(b"DEALER")

CUT = {
    "a frame of 17 MiB": ("jobs_in", PUSH + b"\x02" + struct.pack(">Q", 17 << 20), "too_large"),
    "a frame of 2^62 octets": ("jobs_in", PUSH + b"\x02" + struct.pack(">Q", 1 << 62), "too_large"),
    "a frame of 2^63 octets": ("jobs_in", PUSH + b"\x02" + struct.pack(">Q", 1 << 63), "protocol"),
    "a frame of 2^64 - 1 octets": ("asks_in", DEALER + b"\x02" + struct.pack(">Q", (1 << 64) - 1), "protocol"),
    "frames of 17 MiB together": ("jobs_in", PUSH + frame(b"x" * (9 << 20), True) * 2, "too_large"),
    "a message of 1,025 parts": ("jobs_in", PUSH + frame(b"", True) * 1025, "too_large"),
    "an unknown flag": ("jobs_in", PUSH + b"\x08\x01a", "protocol"),
    "all flags": ("jobs_in", PUSH + b"\xff\x01a", "protocol"),
    "a command with MORE": ("jobs_in", PUSH + b"\x05" + command(b"PING", b"\0\0")[1:], "protocol"),
    "a large command without octets": ("jobs_in", PUSH + b"\x06" + bytes(8), "protocol"),
    "a command shorter than its name": ("jobs_in", PUSH + b"\x04\x03\x09PI", "protocol"),
    "more PINGs than there was time for": ("jobs_in", PUSH + command(b"PING", b"\0\0") * 20000, "protocol"),
    "a PING without its time": ("jobs_in", PUSH + command(b"PING", b"\0"), "protocol"),
    "a topic of 5,000 octets": ("news_out", SUB + frame(b"\1" + b"t" * 5000), "too_large"),
}


def test_each_fault_of_the_traffic_has_its_reason():
    refuse_all(CUT, "client-cut", "cut")


# --- odd, but right -----------------------------------------------------------------------------------------------------

UNDERSTOOD = {
    # what it is: what a PUSH sends, what the consumer gets
    "commands between parts": (frame(b"a", True) + command(b"PING", b"\0\0") + command(b"PONG", b"") + frame(b"b"), [b"a", b"b"]),
    "an unknown command": (command(b"X-NEW", b"whatever") + frame(b"c"), [b"c"]),
    "a short frame in the long form": (b"\x02" + struct.pack(">Q", 1) + b"d", [b"d"]),
    "an empty frame in the long form": (b"\x03" + struct.pack(">Q", 0) + frame(b"e"), [b"", b"e"]),
    "a short command in the long form": (b"\x06" + struct.pack(">Q", 7) + b"\4PING\0\0" + frame(b"f"), [b"f"]),
    "a PING with a context of 16 octets": (command(b"PING", b"\0\0" + b"c" * 16) + frame(b"g"), [b"g"]),
    "one with a context of 5,000, as libzmq does": (command(b"PING", b"\0\0" + b"c" * 5000) + frame(b"i"), [b"i"]),
    "subscriptions that nobody asked for": (command(b"SUBSCRIBE", b"x") + command(b"CANCEL", b"x") + frame(b"h"), [b"h"]),
}


def test_what_is_odd_and_right_is_understood():
    with House() as house, zmq.Context() as context, zb.peer(context, zmq.PULL, house.tcp("jobs_out")) as pull:
        with house.say("jobs_in", PUSH) as peer:
            for what, (data, message) in UNDERSTOOD.items():
                peer.sendall(data)
                assert pull.recv_multipart() == message, what
        assert sum(house.count("jobs_in", "cut").values()) == 0


def test_properties_may_be_spelt_in_any_case():
    with House() as house, zmq.Context() as context, zb.peer(context, zmq.PULL, house.tcp("jobs_out")) as pull:
        with house.say("jobs_in", GREETING + command(b"READY", prop(b"socket-TYPE", b"PUSH")) + frame(b"in")):
            assert pull.recv() == b"in"


def test_topics_are_understood_in_each_form():
    """As a message, as a command, and as libzmq 4.3.4 writes those of 246 to 255 octets: long, without saying so."""
    forms = {"message": lambda topic: frame(b"\1" + topic), "command": lambda topic: command(b"SUBSCRIBE", topic),
             "4.3.4": lambda topic: b"\x04" + struct.pack(">Q", 10 + len(topic)) + b"\x09SUBSCRIBE" + topic}
    with House() as house, zmq.Context() as context, zb.peer(context, zmq.XPUB, house.tcp("news_in")) as pub:
        with house.say("news_out", greeting() + ready(b"SUB")) as peer:
            for name, form in forms.items():
                for length in ((246, 250, 255) if name == "4.3.4" else (1, 245, 246, 255, 256)):
                    topic = name.encode().ljust(length, b"t")[:length]
                    peer.sendall(form(topic))
                    assert pub.recv() == b"\1" + topic, (name, length)


def test_what_breaks_off_within_a_message_is_not_delivered():
    with House() as house, zmq.Context() as context, zb.peer(context, zmq.PULL, house.tcp("jobs_out")) as pull:
        message = frame(b"a", True) + frame(b"b" * 300)
        for end in range(len(message)):
            with house.say("jobs_in", PUSH + frame(b"whole") + message[:end]) as peer:
                peer.shutdown(socket.SHUT_WR)
                assert pull.recv_multipart() == [b"whole"], end
        with house.say("jobs_in", PUSH + message) as peer:
            peer.shutdown(socket.SHUT_WR)
            assert pull.recv_multipart() == [b"a", b"b" * 300]


def test_pings_that_come_late_and_all_at_once_are_answered():
    """A heartbeat of 10 ms, while nobody reads for 3 s. The last one is answered, and the next stall is no other."""
    with House() as house, house.say("jobs_in", PUSH) as peer:
        zb.wait_until(lambda: house.side("jobs_in")["connections"] == 1)
        for stall in (b"first", b"second"):
            os.kill(house.daemon.pid, signal.SIGSTOP)
            peer.sendall(command(b"PING", b"\0\0") * 299 + command(b"PING", b"\0\0" + stall))
            os.kill(house.daemon.pid, signal.SIGCONT)
            got = b""
            while stall not in got:
                more = peer.recv(4096)
                assert more, house.daemon.log()
                got += more
        assert sum(house.count("jobs_in", "cut").values()) == 0


def test_a_flood_of_pings_is_answered_in_bounds():
    """One that asks and never reads keeps no memory and nobody waiting."""
    with House() as house, zmq.Context() as context, zb.peer(context, zmq.PULL, house.tcp("jobs_out")) as pull:
        before = zb.rss(house.daemon.pid)
        flood = house.say("jobs_in", PUSH)
        flood.setblocking(False)
        polite = zb.peer(context, zmq.PUSH, house.tcp("jobs_in"))
        for i in range(100):
            try:
                for _ in range(50):
                    flood.send(command(b"PING", b"\0\0" + b"c" * 16) * 200)
            except (BlockingIOError, ConnectionError):
                pass
            polite.send(b"%d" % i)
            assert pull.recv() == b"%d" % i
        assert zb.rss(house.daemon.pid) - before < (8 << 20) * zb.HEAVY
        flood.close()
        polite.close()


if __name__ == "__main__":
    zb.main()

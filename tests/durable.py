# SPDX-License-Identifier: MPL-2.0
"""Durable subscribers of a forwarder with a store: who is away, and what waits for it, is there after a restart and a kill.

ZB_KILLS is how many times the daemon is killed in one of the tests: 5, or more in a long run.
"""

import glob
import os
import signal
import socket
import struct
import time

import zmq
import zb
import zmtp

import remember
from remember import away, expired, leave, named, present, receive

KILLS = int(os.environ.get("ZB_KILLS", "5"))


class Stored(remember.Forwarder):
    """Whose publisher says what the route asks for."""

    def __init__(self, more="", process=""):
        self.folder = os.path.join(zb.folder(), "store")
        super().__init__(self.settings(more), process)

    def settings(self, more=""):
        return f"durable = yes\nstore = all\nstore_dir = {self.folder}\nstore_commit = 1ms\n{more}"

    def hears(self, *topics):
        """Until the publisher has heard of them, whatever else it hears."""
        missing = {b"\1" + topic for topic in topics}
        while missing:
            missing.discard(self.pub.recv())

    def on_disk(self, *markers):
        def are_there():
            all_files = b"".join(zb.contents(path) for path in sorted(glob.glob(self.folder + "/*.mdb")))
            return all(marker in all_files for marker in markers)

        zb.wait_until(are_there, what=f"{markers[-1]} on the disk")

    def stored(self):
        with zb.Control(self.daemon) as control:
            return control.json("show store r")["stores"][0]["messages"]

    def again(self, number=signal.SIGTERM):
        """The daemon ends, and another one comes. To the publisher that is one that asks for the same."""
        self.daemon.stop(number)
        self.daemon = zb.Daemon(self.daemon.file, folder=self.daemon.folder)
        self.wait_clients("frontend", 1)


def deaf(route, name, *topics):
    """A subscriber called so that reads nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", route.backend))
    raw.sendall(zmtp.GREETING + zmtp.ready(b"SUB", b"\x09X-Durable" + struct.pack(">I", len(name)) + name)
                + b"".join(zmtp.frame(b"\1" + topic) for topic in topics))
    return raw


def numbers(first, end):
    return [[b"a%05d" % i, b"x" * (i % 100)] for i in range(first, end)]


def restart_and_kill(more=""):
    for number in signal.SIGTERM, signal.SIGKILL:
        with Stored(more) as route:
            yield route, lambda: route.again(number)


# --- restarts -----------------------------------------------------------------------------------------------------------

def test_what_waits_for_a_subscriber_that_is_away_is_there_after_a_restart_and_a_kill():
    for route, again in restart_and_kill():
        leave(route, named(route, "alice", b"a", b"b", b"c"))
        route.hears(b"a", b"b", b"c")
        messages = numbers(0, 300) + [[b"b", b"", b"y" * 70000], [b"b last"]]
        route.publish(*messages)
        route.on_disk(b"b last")
        again()
        assert [(each["queued"], each["subscriptions"]) for each in away(route)] == [(302, 3)]
        route.publish(b"a new")
        alice = named(route, "alice")
        assert receive(alice, 303) == messages + [[b"a new"]]
        route.publish(b"c live")
        assert receive(alice, 1) == [[b"c live"]]
        assert sum(route.stats()["dropped"].values()) == 0


def test_a_subscriber_that_was_connected_is_away_from_the_restart_on():
    for route, again in restart_and_kill():
        leave(route, named(route, "eve", b"z"))
        bob = named(route, "bob", b"a", b"b")
        route.hears(b"a", b"b")
        bob.send(b"\0b")
        zb.wait_until(lambda: [each["subscriptions"] for each in present(route)] == [1])
        route.publish(b"a1", b"z1")
        assert receive(bob, 1) == [[b"a1"]]
        route.on_disk(b"z1")  # which eve has not got: what was noted before it is there, too
        bob.close()
        again()
        zb.wait_until(lambda: [(each["queued"], each["subscriptions"]) for each in away(route)] == [(1, 1), (0, 1)], what=lambda: away(route))
        route.publish(b"a2", b"a3")
        assert receive(named(route, "bob"), 2) == [[b"a2"], [b"a3"]]


def test_who_was_forgotten_does_not_come_back():
    for route, again in restart_and_kill():
        for name in "alice", "bob", "carol":
            leave(route, named(route, name, b"a", name.encode()))
            route.hears(name.encode())
        route.publish(b"a1", b"a2")
        bob = sorted(each["id"] for each in away(route))[1]
        assert route.daemon.ctl("kick", "r", str(bob)).returncode == 0
        carol = named(route, "carol", b"a", b"carol")
        carol.send(b"\0a")
        carol.send(b"\0carol")
        zb.wait_until(lambda: route.stats()["subscriptions"] == 2)
        leave(route, carol)
        route.publish(b"a last")
        route.on_disk(b"a last")
        again()
        assert [each["queued"] for each in away(route)] == [3]
        assert route.stats()["subscriptions"] == 2


def test_names_and_users_are_told_apart_after_a_restart():
    users = "".join(zb.run("password", name, name="zbroker-keygen", stdin="secret\n").stdout for name in ("alice", "bob"))
    plain = f"backend_security = plain\nbackend_users = {zb.write(zb.folder() + '/users', users, 0o600)}"
    for route, again in restart_and_kill(plain):
        def come(user, said, *topics):
            return named(route, said, *topics, plain_username=user.encode(), plain_password=b"secret")

        leave(route, come("alice", "bob", b"a"))
        route.hears(b"a")
        route.publish(b"a for alice")
        route.on_disk(b"a for alice")
        again()
        assert [each["user"] for each in away(route)] == ["alice"]
        bob = come("bob", "alice", b"b")  # which it is not
        route.hears(b"b")
        route.publish(b"b for bob")
        assert receive(bob, 1) == [[b"b for bob"]] and receive(come("alice", "carol"), 1) == [[b"a for alice"]]


def test_rights_are_those_of_the_moment_when_it_comes_back():
    acl = zb.write(f"{zb.folder()}/acl", "topic read #\n")
    for route, again in restart_and_kill(f"backend_acl = {acl}"):
        zb.write(acl, "topic read #\n")
        assert route.daemon.ctl("reload").returncode == 0
        leave(route, named(route, "alice", b""))
        route.hears(b"")
        route.publish(b"a/1", b"b/1", b"a/2", b"b/2")
        route.on_disk(b"b/2")
        zb.write(acl, "topic read b/#\n")
        again()
        assert away(route)[0]["queued"] == 4
        assert receive(named(route, "alice"), 2) == [[b"b/1"], [b"b/2"]]


# --- limits -------------------------------------------------------------------------------------------------------------

def test_what_falls_out_of_the_limits_is_counted_once():
    for route, again in restart_and_kill("durable_messages = 30"):
        leave(route, named(route, "alice", b"a"))
        route.hears(b"a")
        route.publish(*numbers(0, 100))
        assert expired(route) == 70
        route.on_disk(b"a00099")
        again()
        assert expired(route) == 0 and away(route)[0]["queued"] == 30
        route.publish(*numbers(100, 110))
        assert expired(route) == 10
        assert receive(named(route, "alice"), 30) == numbers(80, 110)


def test_a_limit_that_is_lower_after_a_restart_is_kept_and_what_is_over_it_counted():
    with Stored() as route:
        leave(route, named(route, "alice", b"a"))
        route.hears(b"a")
        route.publish(*numbers(0, 100))
        route.on_disk(b"a00099")
        zb.write(route.daemon.file, route.ini(route.settings("durable_messages = 30")))
        route.again(signal.SIGKILL)
        assert expired(route) == 70 and away(route)[0]["queued"] == 30
        route.again(signal.SIGTERM)
        assert expired(route) == 0
        assert receive(named(route, "alice"), 30) == numbers(70, 100)


def test_who_was_away_for_too_long_is_forgotten_at_the_start():
    with Stored("durable_time = 2s") as route:
        leave(route, named(route, "alice", b"a"))
        route.hears(b"a")
        route.publish(b"a1", b"a2")
        route.on_disk(b"a2")
        left = time.monotonic()
        route.daemon.stop(signal.SIGKILL)
        zb.wait_until(lambda: time.monotonic() > left + 3)
        route.daemon = zb.Daemon(route.daemon.file, folder=route.daemon.folder)
        zb.wait_until(lambda: route.clients("frontend") and not away(route))
        assert expired(route) == 2 and route.stats()["subscriptions"] == 0


# --- while it is there --------------------------------------------------------------------------------------------------

def test_what_a_subscriber_has_not_taken_when_the_route_ends_waits_for_it():
    with Stored("backend_sndhwm = 0\nbackend_sndbuf = 4096", "drain_timeout = 200ms") as route:
        raw = deaf(route, b"alice", b"a")
        route.hears(b"a")
        messages = [[b"a%05d" % i, b"x" * 5000] for i in range(1000)]
        route.publish(*messages)
        queued = route.queued()
        assert queued > 500
        route.again(signal.SIGTERM)
        kept = away(route)[0]["queued"]
        assert queued - 20 <= kept <= queued, (queued, kept)  # but for one that had begun, and what the system still took
        assert receive(named(route, "alice"), kept) == messages[-kept:]
        raw.close()


def test_killed_while_it_sends_what_was_missed_it_sends_the_rest_again():
    with Stored("backend_sndhwm = 0\nbackend_sndbuf = 4096") as route:
        leave(route, named(route, "alice", b"a"))
        route.hears(b"a")
        messages = [[b"a%05d" % i, b"x" * 5000] for i in range(1000)]
        route.publish(*messages[:900])
        raw = deaf(route, b"alice")
        zb.wait_until(lambda: present(route))
        route.publish(*messages[900:])  # behind what was missed
        route.on_disk(*[first for first, _ in messages])
        raw.recv(100000)
        route.again(signal.SIGKILL)
        raw.close()
        kept = away(route)[0]["queued"]
        assert 800 < kept <= 1000
        assert receive(named(route, "alice"), kept) == messages[-kept:]


def test_a_subscriber_that_breaks_off_while_it_gets_what_it_missed_misses_nothing():
    with Stored("backend_sndhwm = 0\nbackend_sndbuf = 4096") as route:
        leave(route, named(route, "alice", b"a"))
        route.hears(b"a")
        messages = [[b"a%05d" % i, b"x" * 5000] for i in range(1000)]
        route.publish(*messages[:900])
        for turn in range(3):
            raw = deaf(route, b"alice")
            zb.wait_until(lambda: present(route))
            route.publish(*messages[900 + turn:901 + turn])
            queued = route.queued()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
            zb.wait_until(lambda: away(route))
            kept = away(route)[0]["queued"]
            assert queued - 1 <= kept <= queued, (queued, kept)
        route.publish(b"a last")
        route.on_disk(b"a last", *[first for first, _ in messages[903 - kept:903]])
        route.again(signal.SIGKILL)
        assert receive(named(route, "alice"), kept + 1) == messages[903 - kept:903] + [[b"a last"]]


def test_what_it_has_had_does_not_come_again():
    for route, again in restart_and_kill():
        leave(route, named(route, "alice", b"a"))
        route.hears(b"a")
        route.publish(*numbers(0, 100))
        alice = named(route, "alice")
        assert receive(alice, 100) == numbers(0, 100)
        route.publish(*numbers(100, 200))
        assert receive(alice, 100) == numbers(100, 200)
        leave(route, alice)
        route.publish(b"a last")
        route.on_disk(b"a last")
        again()
        assert receive(named(route, "alice"), 1) == [[b"a last"]]


# --- together with what else is kept --------------------------------------------------------------------------------------

def test_values_and_histories_beside_it_are_kept_too():
    for more, old in ("last_value = 100\ntopic_end = |", 20), ("replay_messages = 50", 50):
        for number in signal.SIGTERM, signal.SIGKILL:
            with Stored(more) as route:
                leave(route, named(route, "alice", b"1"))
                assert route.pub.recv() == b"\1"
                messages = [b"%d|%d" % (i % 20, i) for i in range(2000)]
                route.publish(*messages)
                route.on_disk(messages[-1])
                ordered = sorted if "last" in more else list
                route.again(number)
                alice, sub = named(route, "alice"), route.sub(b"")
                assert ordered(receive(sub, old)) == ordered([each] for each in messages[-old:])
                mine = [[each] for each in messages if each.startswith(b"1")]
                assert receive(alice, len(mine)) == mine


def test_the_log_of_what_happened_does_not_grow_without_end():
    """A subscriber that comes and goes, one that asks for this and that, and one whose old messages wait all the time."""
    with Stored("durable_messages = 10") as route:
        leave(route, named(route, "old", b"o"))
        route.hears(b"o")
        route.publish(*[b"o%d" % i for i in range(20)])
        leave(route, named(route, "full", b"b"))
        busy = named(route, "busy", b"a", sndhwm=0)
        route.hears(b"a", b"b")
        for turn in range(15):
            for i in range(200):
                busy.send(b"\1%d" % i)
                busy.send(b"\0%d" % i)
            busy.send(b"\1turn %d" % turn)
            route.publish(*[b"b%d" % i for i in range(300)])
        zb.wait_until(lambda: route.stats()["subscriptions"] == 18)
        zb.wait_until(lambda: route.stored() < 5000, what="that what is not needed any more goes")
        route.publish(b"b last")
        route.on_disk(b"b last")
        route.again(signal.SIGKILL)
        assert route.stats()["subscriptions"] == 18
        zb.wait_until(lambda: len(present(route)) == 1, what="that the busy one is back")
        old, full = named(route, "old"), named(route, "full")
        assert receive(old, 10) == [[b"o%d" % i] for i in range(10, 20)]
        assert receive(full, 10) == [[b"b%d" % i] for i in range(291, 300)] + [[b"b last"]]


@zb.limit(60 + 5 * KILLS)
def test_killed_again_and_again_it_loses_and_doubles_nothing():
    with Stored("durable_messages = 1000000") as route:
        leave(route, named(route, "alice", b"a"))
        route.hears(b"a")
        for turn in range(KILLS):
            route.publish(*numbers(1000 * turn, 1000 * turn + 1000))
            route.on_disk(b"a%05d" % (1000 * turn + 999))
            route.again(signal.SIGKILL)
        alice = named(route, "alice")
        assert receive(alice, 1000 * KILLS) == numbers(0, 1000 * KILLS)
        remember.nothing_more(route, alice, b"a the end")


def test_an_upgrade_and_a_route_that_is_created_anew_keep_all():
    with Stored() as route:
        leave(route, named(route, "alice", b"a"))
        bob = named(route, "bob", b"b")
        route.hears(b"a", b"b")
        for turn, more in enumerate(["", "durable_messages = 5000", ""]):
            route.publish(b"a%d" % turn, b"b%d" % turn)
            if more:
                assert "re-created" in route.reload(route.settings(more))
            else:
                assert route.daemon.ctl("upgrade", seconds=30).returncode == 0
            assert [each["queued"] for each in away(route)] == [turn + 1]
            route.publish(b"b after")
            assert receive(bob, 2) == [[b"b%d" % turn], [b"b after"]]
        leave(route, bob)
        route.publish(b"b last")
        route.on_disk(b"b last")
        route.again(signal.SIGKILL)
        alice, bob = named(route, "alice"), named(route, "bob")
        assert receive(alice, 3) == [[b"a%d" % turn] for turn in range(3)]
        assert receive(bob, 1) == [[b"b last"]]


if __name__ == "__main__":
    zb.main()

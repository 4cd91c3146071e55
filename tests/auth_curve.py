# SPDX-License-Identifier: MPL-2.0
"""CURVE: who comes in, who stays out, and what a reload changes about it."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import zmq
import zb
import zmtp
from secured import Client, Clients, context, curve_house, has_come_in, is_in, keygen, keys, make_cert, reload, users_of, wait_in, wait_known


def logged_key(path):
    """A pattern for the public key of a certificate as the log has it: with a = in it, it is quoted."""
    key = keys(path)[0].decode()
    return "key=" + re.escape('"' + key.replace("=", "\\x3d") + '"' if "=" in key else key) + "(?= |$)"


def test_curve_lets_friends_through_and_strangers_not():
    folder = zb.folder()
    ini, clients, server, front, back = curve_house(folder)
    alice, eve = make_cert(clients, "alice"), make_cert(folder, "eve")
    with zb.Daemon(ini) as daemon:
        with Client(zmq.PUSH, front, alice, server) as push, Client(zmq.PULL, back, alice, server) as pull:
            push.socket.send(b"hello")
            assert pull.socket.recv() == b"hello"
        for end, kind in ((front, zmq.PUSH), (back, zmq.PULL)):
            assert not is_in(kind, end, eve, server)
            assert not is_in(kind, end, user="alice", password="x")
        daemon.wait_log(r"auth: route jobs frontend: 127\.0\.0\.1 curve refused, unknown-key event=auth-refused route=jobs side=frontend address=127\.0\.0\.1"
                        r" mechanism=curve reason=unknown-key " + logged_key(eve))
        assert re.search(r"auth: route jobs frontend: 127\.0\.0\.1 curve admitted event=auth-admitted .* user=alice$", daemon.log(), re.M)
        for path in (alice, eve, server):
            assert keys(path)[1].decode() not in daemon.log()
        assert daemon.stop() == 0


def test_a_reload_lets_a_new_key_in_and_cuts_a_removed_one():
    folder = zb.folder()
    ini, clients, server, front, _ = curve_house(folder)
    alice = make_cert(clients, "alice")
    bob = make_cert(folder, "bob")
    with zb.Daemon(zb.with_engine(ini, "wire")) as daemon:
        with Client(zmq.PUSH, front, alice, server) as friend:
            assert friend.is_in()
            assert not is_in(zmq.PUSH, front, bob, server)
            os.rename(bob, os.path.join(clients, "bob"))
            os.rename(bob + "_secret", os.path.join(clients, "bob_secret"))
            bob = os.path.join(clients, "bob")
            reload(daemon)
            with Client(zmq.PUSH, front, bob, server) as other:
                assert other.is_in()
                os.rename(bob, os.path.join(folder, "bob"))
                before = time.monotonic()
                reload(daemon)
                assert other.event(zmq.EVENT_DISCONNECTED)
                zb.at_once("a removed key is cut", time.monotonic() - before, promise=1)
                assert not other.is_in()
            assert not friend.was_cut(patience_ms=100)
        assert daemon.stop() == 0


def test_of_many_who_come_at_once_from_one_address_each_is_known():
    folder = zb.folder()
    ini, clients, server, front, _ = curve_house(folder)
    names = [f"user{i}" for i in range(8)]
    certs = [make_cert(clients, name) for name in names]
    with zb.Daemon("[zbroker]\nio_threads = 3\n" + zb.with_engine(ini, "wire")) as daemon:
        with Clients() as everybody:
            # All at once, and among them some who leave before they have been answered.
            for turn in range(5):
                for cert in certs:
                    everybody.append(Client(zmq.PUSH, front, cert, server))
                    Client(zmq.PUSH, front, cert, server).close()
            assert all(client.is_in() for client in everybody)
            expected = sorted(names * 5)
            zb.wait_until(lambda: sorted(users_of(daemon, "jobs").values()) == expected, 10, "everybody by name")
            os.unlink(certs[3])
            reload(daemon)
            for number, client in enumerate(everybody):
                if number % 8 == 3:
                    assert client.event(zmq.EVENT_DISCONNECTED)
            expected = [name for name in expected if name != names[3]]
            zb.wait_until(lambda: sorted(users_of(daemon, "jobs").values()) == expected, 10, "the others, and only they")
            assert len(re.findall(r"cut, it may no longer", daemon.log())) == 5, "somebody else was cut"
            assert len(re.findall(r"cut, it may no longer .* user=user3$", daemon.log(), re.M)) == 5
        assert daemon.stop() == 0


def test_who_has_not_shown_a_key_yet_is_left_alone_when_another_key_goes():
    folder = zb.folder()
    ini, clients, server, front, _ = curve_house(folder)
    alice = make_cert(clients, "alice")
    with zb.Daemon(zb.with_engine(ini, "wire")) as daemon, Client(zmq.PUSH, front, alice, server) as friend:
        assert friend.is_in()
        host, port = front[6:].split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.settimeout(10 * zb.SLOW)
            assert slow.recv(10), "the greeting"
            zb.wait_until(lambda: len(users_of(daemon, "jobs")) == 1)  # who has not shown a key is no client there
            os.unlink(alice)
            reload(daemon)
            assert friend.event(zmq.EVENT_DISCONNECTED)
            zb.wait_until(lambda: not users_of(daemon, "jobs"))
            slow.sendall(zmtp.SIGNATURE)
            assert daemon.log().count("cut, it may no longer") == 1
        assert daemon.stop() == 0


def test_a_damaged_certificate_is_named_and_the_others_count():
    folder = zb.folder()
    ini, clients, server, front, _ = curve_house(folder)
    alice = make_cert(clients, "alice")
    zb.write(clients + "/broken.cert", "curve\n    public-key = \"nonsense\"\n")
    with zb.Daemon(ini) as daemon:
        assert re.search(r"^.*error.*clients/broken\.cert", daemon.log(), re.M)
        assert is_in(zmq.PUSH, front, alice, server)
        result = zb.run("-t", "-c", daemon.file)
        assert result.returncode == 0 and "broken.cert" in result.stderr
        assert daemon.stop() == 0


def test_names_in_certificates_that_are_not_what_they_seem_are_warned_of():
    folder = zb.folder()
    ini, clients, *_ = curve_house(folder)
    make_cert(clients, "alice")
    assert keygen("cert", "bob", "-d", clients, "-m", "name=alice").returncode == 0
    make_cert(clients, "carol.cert")
    with zb.Daemon(ini) as daemon:
        reload(daemon)
        for said in (zb.run("-t", "-c", daemon.file).stderr, daemon.log()):
            for words in ("its name is alice, which is not that of the file", "one more certificate of user alice, beside alice"):
                assert re.search(f"clients/bob: .*{words}", said), said
            assert "carol" not in said
        assert daemon.stop() == 0


@zb.limit(400)
def test_many_changes_of_keys_hurt_no_friend_and_help_no_stranger():
    # ZB_CHANGES and ZB_CLIENTS: how many; 200 and 500 take a minute.
    changes, clients_wanted = int(os.environ.get("ZB_CHANGES", "40")), int(os.environ.get("ZB_CLIENTS", "60"))
    folder = zb.folder()
    ini, clients, server, front, back = curve_house(folder)
    friends_keys = [make_cert(clients, f"friend{i}") for i in range(5)]
    changing = [make_cert(folder, f"c{i}") for i in range(4)]
    stranger = make_cert(folder, "stranger")
    with zb.Daemon(zb.with_engine(ini, "wire")) as daemon, Client(zmq.PULL, back, friends_keys[0], server) as pull:
        with Clients() as friends, Clients() as strangers:
            friends += [Client(zmq.PUSH, front, friends_keys[i % 5], server) for i in range(clients_wanted)]
            assert all(client.is_in() for client in friends)
            for turn in range(changes):
                path = changing[turn % 4]
                inside = os.path.join(clients, os.path.basename(path))
                if os.path.exists(inside):
                    os.unlink(inside)
                else:
                    zb.write(inside, zb.read(path))
                if turn % 5 == 0:  # they knock while the tables change
                    strangers.append(Client(zmq.PUSH, front, stranger, server))
                    with contextlib.suppress(zmq.Again):  # if it has been refused already
                        strangers[-1].socket.send(b"stranger")
                reload(daemon)
            assert not any(client.is_in() for client in strangers)
            with Client(zmq.PUSH, front, friends_keys[1], server) as late:
                assert late.is_in()
            for number, client in enumerate(friends):
                client.socket.send(b"%d" % number)
            got = [pull.socket.recv() for _ in friends]
            assert sorted(got, key=int) == [b"%d" % number for number in range(len(friends))]
            refused = re.findall(r"refused, .* reason=unknown-key key=.*", daemon.log())
            assert refused and all(re.search(logged_key(stranger), line) for line in refused), "somebody else than the stranger was refused"
        assert daemon.stop() == 0


def test_a_connecting_side_shows_its_certificate():
    folder = zb.folder()
    ours, theirs = make_cert(folder, "ours"), make_cert(folder, "theirs")
    port, inside = zb.free_ports(2)
    server = context.socket(zmq.PULL)
    server.linger, server.rcvtimeo = 0, zb.WAIT_MS
    server.curve_publickey, server.curve_secretkey = keys(theirs)
    server.curve_server = 1
    server.bind(f"tcp://127.0.0.1:{port}")
    with zb.Daemon(f"""
[route out]
type = streamer
frontend_bind = tcp://127.0.0.1:{inside}
frontend_security = none
backend_connect = tcp://127.0.0.1:{port}
backend_security = curve
backend_client_cert = {ours}
backend_peer_cert = {theirs}
""") as daemon:
        with Client(zmq.PUSH, f"tcp://127.0.0.1:{inside}") as push:
            push.socket.send(b"out")
            assert server.recv() == b"out"
        assert daemon.stop() == 0
    server.close(0)


def test_after_a_crash_friends_come_back_and_strangers_stay_out():
    folder = zb.folder()
    ini, clients, server, front, back = curve_house(folder)
    alice, eve = make_cert(clients, "alice"), make_cert(folder, "eve")
    with zb.Daemon(ini) as first, Client(zmq.PULL, back, alice, server) as pull, \
            Client(zmq.PUSH, front, alice, server) as push:
        assert pull.is_in() and push.is_in()
        first.kill()
        with Client(zmq.PUSH, front, eve, server) as stranger:  # knocks before anybody can answer
            stranger.socket.send(b"from a stranger") if stranger.socket.poll(0, zmq.POLLOUT) else None
            with zb.Daemon(first.file, folder=first.folder) as second:
                wait_in(pull, push)
                assert not stranger.is_in()
                push.socket.send(b"from a friend")
                assert pull.socket.recv() == b"from a friend"
                second.wait_log(r"refused, unknown-key")
                assert second.stop() == 0


def test_the_example_of_the_manual_works():
    page = zb.read(os.path.join(zb.SRCDIR, "man/zbroker.ini.5.in"))
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", page, re.M | re.S)
    ini, = [block for block in blocks if "\nsecurity = curve" in block]
    program, = [block for block in blocks if block.startswith("import zmq\n")]
    house, home = zb.folder(), zb.folder()
    os.mkdir(house + "/clients")
    server, alice = make_cert(house, "server.cert"), make_cert(home, "alice")
    shutil.copy(server, home)
    shutil.copy(alice, house + "/clients")
    one, two, three = zb.free_ports(3)
    for old, new in (("/etc/zbroker", house), ("9640", str(three)), ("*:5555", f"127.0.0.1:{one}"), ("*:5556", f"127.0.0.1:{two}")):
        assert old in ini, old
        ini = ini.replace(old, new)
    place = "broker.example.com:5556"
    assert place in program
    with zb.Daemon(ini) as daemon, Client(zmq.PUB, f"tcp://127.0.0.1:{one}", alice, server) as pub:
        sub = zb.spawn([sys.executable, "-c", program.replace(place, f"127.0.0.1:{two}")], cwd=home, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def ended():
            pub.socket.send_multipart([b"news/weather", b"sunny"])
            return sub.poll() is not None

        zb.wait_until(ended)
        assert sub.stdout.read() == "[b'news/weather', b'sunny']\n"
        assert daemon.stop() == 0


# --- a handler that is slow or stands still --------------------------------------------------------------------------

def test_while_the_handler_stands_still_nobody_comes_in():
    folder = zb.folder()
    ini, clients, server, front, back = curve_house(folder)
    ini += "engine = zmq\n"  # which alone has a handler
    alice, eve = make_cert(clients, "alice"), make_cert(folder, "eve")
    with zb.Daemon(ini) as daemon, Client(zmq.PULL, back, alice, server) as pull, Client(zmq.PUSH, front, alice, server) as old:
        assert pull.is_in() and old.is_in()
        wait_known(daemon, "frontend", "backend")
        with zb.Frozen(daemon.pid, "zb:guard"):
            with Client(zmq.PUSH, front, alice, server) as friend, Client(zmq.PUSH, front, eve, server) as stranger, \
                    Client(zmq.PUSH, front) as open_one, Client(zmq.PUSH, front, user="alice", password="x") as plain:
                Client(zmq.PUSH, front, alice, server).close()  # one who does not wait for its answer
                everybody = (friend, stranger, open_one, plain)
                friend.socket.send(b"from a friend")
                stranger.socket.send(b"from a stranger")
                for client in (open_one, plain):
                    try:
                        client.socket.send(b"from a stranger", zmq.DONTWAIT)
                    except zmq.Again:
                        pass  # sent away by now, which is for good
                # Those with the wrong mechanism are sent away without being asked for: they are counted or gone.
                zb.wait_until(lambda: len(users_of(daemon, "jobs")) >= 3)
                # Who was in before goes on.
                for number in range(100):
                    old.socket.send(b"%d" % number)
                    assert pull.socket.recv() == b"%d" % number
                assert not any(has_come_in(client) for client in everybody)
                with zb.Control(daemon) as control:
                    zb.wait_until(lambda: control.route("jobs")["frontend"]["messages_received"] == 100)
        with Client(zmq.PUSH, front, eve, server) as stranger, Client(zmq.PUSH, front, alice, server) as friend:
            stranger.socket.send(b"from a stranger")
            wait_in(friend)
            friend.socket.send(b"from a friend")
            assert pull.socket.recv() == b"from a friend"
            assert not stranger.is_in()
            zb.wait_until(lambda: len(users_of(daemon, "jobs")) == 2)
        assert daemon.stop() == 0


def test_a_friend_who_came_while_the_handler_stood_still_is_let_in_when_it_goes_on():
    folder = zb.folder()
    ini, clients, server, front, back = curve_house(folder)
    ini += "engine = zmq\n"  # which alone has a handler
    alice, eve = make_cert(clients, "alice"), make_cert(folder, "eve")
    with zb.Daemon(ini) as daemon, Client(zmq.PULL, back, alice, server) as pull:
        assert pull.is_in()
        wait_known(daemon, "backend")
        with Clients() as friends, Clients() as strangers:
            with zb.Frozen(daemon.pid, "zb:guard"):
                for _ in range(20):
                    friends.append(Client(zmq.PUSH, front, alice, server))
                    strangers.append(Client(zmq.PUSH, front, eve, server))
                zb.wait_until(lambda: len(users_of(daemon, "jobs")) == 40)
                assert not any(has_come_in(client) for client in friends + strangers)
            wait_in(*friends)
            for client in strangers:
                assert not client.is_in()
            zb.wait_until(lambda: len(users_of(daemon, "jobs")) == 20)
        assert daemon.stop() == 0


if __name__ == "__main__":
    zb.main()

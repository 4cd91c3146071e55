# SPDX-License-Identifier: MPL-2.0
"""Who comes in and who stays out, seen from outside: the daemon, zbroker-keygen and pyzmq's clients."""

import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

import zmq
import zmq.auth
import zmq.utils.monitor

import zb
import zmtp

context = zmq.Context()
context.max_sockets = 4000
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


# --- helpers --------------------------------------------------------------------------------------------------------

def keygen(*args, **options):
    return zb.run(*args, name="zbroker-keygen", **options)


def make_cert(folder, name):
    result = keygen("cert", name, "-d", folder)
    assert result.returncode == 0, result.stderr
    return os.path.join(folder, name)


def keys(path):
    return zmq.auth.load_certificate(path + "_secret")


class Client:
    """A socket of pyzmq with its monitor."""

    def __init__(self, kind, endpoint, cert=None, server=None, user=None, password=None, topics=()):
        self.socket = context.socket(kind)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(3000 * zb.SLOW)
        self.socket.sndtimeo = int(3000 * zb.SLOW)
        if cert:
            self.socket.curve_publickey, self.socket.curve_secretkey = keys(cert)
            self.socket.curve_serverkey = zmq.auth.load_certificate(server)[0]
        if user is not None:
            self.socket.plain_username = user.encode()
            self.socket.plain_password = password.encode()
        self.monitor = self.socket.get_monitor_socket()
        self.monitor.rcvtimeo = int(10000 * zb.SLOW)
        self.socket.handshake_ivl = 0  # whoever is slow here is not refused
        for topic in topics:
            self.socket.subscribe(topic)
        self.socket.connect(endpoint)

    def event(self, *wanted):
        """The first of the WANTED events; None if none comes in time."""
        try:
            while True:
                event = zmq.utils.monitor.recv_monitor_message(self.monitor)["event"]
                if event in wanted:
                    return event
        except zmq.Again:
            return None

    def is_in(self):
        return self.event(zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_DISCONNECTED,
                          zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
                          ) == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def was_cut(self, patience_ms=0):
        """Has it been disconnected so far?"""
        self.monitor.rcvtimeo = patience_ms
        return self.event(zmq.EVENT_DISCONNECTED) is not None

    def close(self):
        if self.socket.closed:
            return
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(0)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Clients(list):
    """Those in it are closed together."""

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for client in self:
            client.close()


def is_in(*args, **options):
    with Client(*args, **options) as client:
        return client.is_in()


def reload(daemon):
    before = daemon.log().count("reload")
    result = daemon.ctl("reload")
    assert result.returncode == 0, result.stdout + result.stderr
    return before


def curve_house(folder, extra=""):
    clients = os.path.join(folder, "clients")
    os.mkdir(clients)
    ports = zb.free_ports(2)
    server = make_cert(folder, "server")
    ini = f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
security = curve
handshake_ivl = 1m
server_cert = {server}
client_certs = {clients}
{extra}
"""
    return ini, clients, server, f"tcp://127.0.0.1:{ports[0]}", f"tcp://127.0.0.1:{ports[1]}"


# --- zbroker-keygen -------------------------------------------------------------------------------------------------

def test_keygen_makes_a_pair_with_the_right_modes():
    folder = zb.folder()
    os.umask(0o077)
    result = keygen("cert", "alice.cert", "-d", folder, "-m", "email=alice@example.com")
    os.umask(0o022)
    assert result.returncode == 0, result.stderr
    path = os.path.join(folder, "alice.cert")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(path + "_secret").st_mode) == 0o600
    public, secret = zmq.auth.load_certificate(path + "_secret")
    assert zmq.auth.load_certificate(path) == (public, None)
    assert zmq.curve_public(secret) == public
    assert 'name = "alice"' in zb.read(path) and 'email = "alice@example.com"' in zb.read(path)
    assert secret.decode() not in result.stdout + zb.read(path)


def test_keygen_overwrites_nothing():
    folder = zb.folder()
    path = make_cert(folder, "a")
    before = zb.read(path), zb.read(path + "_secret")
    assert keygen("cert", "a", "-d", folder).returncode == 1
    os.unlink(path)
    assert keygen("cert", "a", "-d", folder).returncode == 1
    assert not os.path.exists(path) and zb.read(path + "_secret") == before[1]
    os.unlink(path + "_secret")
    zb.write(path, before[0])
    assert keygen("cert", "a", "-d", folder).returncode == 1
    assert not os.path.exists(path + "_secret") and zb.read(path) == before[0]


def test_keygen_says_what_is_wrong_by_its_exit_status():
    folder = zb.folder()
    for args in ([], ["nonsense"], ["cert"], ["cert", "a", "b"], ["cert", "a", "-m", "novalue"], ["password"],
                 ["password", "a:b"], ["--check"], ["cert", "-x", "a"]):
        assert keygen(*args, cwd=folder).returncode == 2, args
    assert keygen("cert", "a", "-d", folder + "/nowhere").returncode == 1
    assert keygen("password", "bob", stdin="").returncode == 1
    assert keygen("password", "bob", stdin="\n").returncode == 1
    assert keygen("--check", folder + "/nowhere").returncode == 1
    for args in (["-h"], ["--help"], ["-V"]):
        assert keygen(*args).returncode == 0
    assert os.listdir(folder) == []


def test_keygen_checks_what_it_made():
    folder = zb.folder()
    path = make_cert(folder, "a")
    assert keygen("--check", path, path + "_secret").returncode == 0
    users = zb.write(folder + "/users", keygen("password", "bob", stdin="secret\n").stdout)
    assert keygen("--check", users).stdout == f"{users}: 1 user\n"
    os.chmod(path + "_secret", 0o644)
    result = keygen("--check", path)
    assert result.returncode == 1 and "chmod 600" in result.stderr
    assert keygen("--check", zb.write(folder + "/broken", "bob:secret\n")).returncode == 1


# --- CURVE ----------------------------------------------------------------------------------------------------------

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


def users_of(daemon, route):
    """Who is said to be connected to ROUTE's frontend: id -> user."""
    with zb.Control(daemon) as control:
        clients = control.json(f"show clients {route}")["clients"]
    return {client["id"]: client["user"] for client in clients if client["side"] == "frontend"}


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


def test_a_client_over_ipc_is_known_too():
    folder = zb.folder()
    end = f"ipc://{folder}/in"
    users = zb.write(folder + "/users", "".join(keygen("password", name, stdin="x\n").stdout for name in ("alice", "bob")), 0o600)
    with zb.Daemon(f"""
[route jobs]
type = streamer
engine = wire
frontend_bind = {end}
backend_bind = ipc://{folder}/out
security = plain
users = {users}
""") as daemon, Client(zmq.PUSH, end, user="alice", password="x") as alice, Client(zmq.PUSH, end, user="bob", password="x") as bob:
        assert alice.is_in() and bob.is_in()
        zb.wait_until(lambda: sorted(users_of(daemon, "jobs").values()) == ["alice", "bob"])
        zb.write(users, zb.read(users).splitlines()[1] + "\n", 0o600)
        reload(daemon)
        assert alice.event(zmq.EVENT_DISCONNECTED)
        zb.wait_until(lambda: list(users_of(daemon, "jobs").values()) == ["bob"])
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


def test_a_secret_that_is_not_secret_is_refused():
    folder = zb.folder()
    ini, *_, = curve_house(folder)
    os.chmod(folder + "/server_secret", 0o640)
    file = zb.write(folder + "/x.ini", ini)
    for args in (["-t"], []):
        result = zb.run(*args, "-c", file)
        assert result.returncode == 1, (args, result)
        assert "server_secret" in result.stderr and "error" in result.stderr


def test_what_decides_about_rights_is_refused_when_others_may_write_to_it():
    folder = zb.folder()
    acl = zb.write(zb.folder() + "/acl", "user alice\ntopic write #\n")
    ini, clients, server, front, _ = curve_house(folder, f"frontend_acl = {acl}")
    alice = make_cert(clients, "alice")
    file = zb.write(folder + "/zbroker.ini", ini)
    with zb.Daemon(file, folder=folder) as daemon:
        for path, wrong, named in ((acl, 0o666, acl), (acl, 0o664, acl), (os.path.dirname(acl), 0o777, acl), (clients, 0o775, clients),
                                   (server, 0o646, server), (folder, 0o777, clients)):
            right = stat.S_IMODE(os.stat(path).st_mode)
            os.chmod(path, wrong)
            for said in (zb.run("-t", "-c", file), daemon.ctl("reload")):
                assert said.returncode == 1, (path, said)
                assert re.search(r"\[route jobs\] .*: " + re.escape(named) + r": (others may write|mode \d+ lets others write)", said.stdout + said.stderr), (path, said)
            os.chmod(path, right)
            assert zb.run("-t", "-c", file).returncode == 0, path
        # One certificate is left out, the others count.
        bob = make_cert(clients, "bob")
        os.chmod(alice, 0o666)
        reload(daemon)
        daemon.wait_log(r"clients/alice: certificate left out: mode 0666 lets others write to it")
        assert not is_in(zmq.PUSH, front, alice, server) and is_in(zmq.PUSH, front, bob, server)
        assert daemon.stop() == 0


def test_a_secret_of_somebody_else_is_refused():
    zb.changed_to(65534)  # or it is skipped
    folder = zb.folder()
    os.chmod(folder, 0o755)
    password = zb.write(folder + "/password", "secret\n", 0o600)
    ini, clients, server, *_ = curve_house(folder)
    plain = f"""
[route out]
type = streamer
frontend_bind = ipc://{folder}/in
backend_connect = tcp://127.0.0.1:{zb.free_port()}
backend_security = plain
backend_plain_username = zbroker
backend_plain_password_file = {password}
"""
    for text, secret in ((ini, server + "_secret"), (plain, password)):
        file = zb.write(folder + "/x.ini", text)
        for owner, code in ((65534, 0), (1234, 1)):
            os.chown(secret, owner, 65534)
            os.chmod(secret, 0o440)
            result = zb.run("-t", "-c", file, user=65534, group=65534, extra_groups=[])
            assert result.returncode == code, (secret, owner, result)
            assert f"{secret}: " + ("belongs to user 1234" if code else "mode 0440 is open to others") in result.stderr, result


def test_a_fault_in_a_file_is_told_at_the_line_that_names_it():
    folder = zb.folder()
    hash = keygen("password", "alice", stdin="x\n").stdout
    make_cert(folder, "good")
    sound = {"acl": "user alice\ntopic read #\n", "users": hash, "clients/bad": "curve\n    public-key = \"short\"\n",
             "bad": "curve\n    public-key = \"short\"\n", "word": "x\n"}
    os.mkdir(folder + "/clients")
    for name, text in sound.items():
        zb.write(f"{folder}/{name}", text, 0o600)
    curve = "frontend_security = curve\nclient_certs = clients\n"
    plain = "backend_security = plain\nbackend_plain_username = me\n"
    table = (  # lines of a route, then LINE:COLUMN and the words
        ("frontend_acl = acl2", "acl2", "user alice\ntopic raed a\ntopic read a/#/b\n", "12:16: error: [route jobs] frontend_acl: {}:3:14: # is only"),
        ("frontend_acl = none", None, "", "12:16: error: [route jobs] frontend_acl: {}/none: "),
        ("frontend_security = plain\nusers = users2", "users2", hash + hash, "13:9: error: [route jobs] users: {}:2:1: user alice is there twice"),
        ("frontend_security = plain\nusers = users3", "users3", hash + "bob:x\n", "13:9: error: [route jobs] users: {}:2:5: not a password hash"),
        (curve + "frontend_server_cert = bad", "bad", sound["bad"], "14:24: error: [route jobs] frontend_server_cert: {}:2: public-key is not"),
        (curve + "server_cert = good", "clients/bad", sound["bad"], "13:16: warning: [route jobs] client_certs: {}:2: certificate left out"),
        (curve.replace("clients", "none") + "server_cert = good", None, "", "13:16: error: [route jobs] client_certs: {}/none: cannot read: No such file"),
        ("backend_security = curve\nclient_cert = good\npeer_cert = bad", "bad", sound["bad"], "14:13: error: [route jobs] peer_cert: {}:2: public"),
        (plain + "backend_plain_password_file = none", None, "", "14:31: error: [route jobs] backend_plain_password_file: {}/none: "))
    for lines, name, text, told in table:
        if name:
            zb.write(f"{folder}/{name}", text, 0o600)
        ini = ["[route other]", "type = streamer", f"frontend_bind = ipc://{folder}/a", f"backend_bind = ipc://{folder}/b", "[zbroker]", "control =",
               "[route jobs]", "type = streamer", "", f"frontend_bind = ipc://{folder}/in", f"backend_connect = ipc://{folder}/out", lines]
        file = zb.write(folder + "/x.ini", "\n".join(ini) + "\n")
        result = zb.run("-t", "-c", file)
        assert file + ":" + told.format(f"{folder}/{name}" if name else folder) in result.stderr, (lines, told, result)


def test_a_secret_as_orchestrators_mount_it_is_taken_with_a_warning():
    folder = zb.folder()
    ini, clients, *_ = curve_house(folder)
    os.mkdir(folder + "/..2026")
    for part in ("server", "server_secret"):
        os.rename(f"{folder}/{part}", f"{folder}/..2026/{part}")
        os.symlink(f"..data/{part}", f"{folder}/{part}")
    os.symlink("..2026", folder + "/..data")
    os.chmod(folder + "/..2026/server_secret", 0o440)
    result = zb.run("-t", "-c", zb.write(folder + "/x.ini", ini))
    assert result.returncode == 0, result
    assert re.search(r"warning: \[route jobs\] server_cert: .*: the secret part, .*/server_secret: mode 0440 is open to others", result.stderr), result.stderr


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


def test_root_may_check_what_the_service_will_read():
    if os.geteuid() != 0:
        raise zb.Skip("needs root")
    folder = zb.folder()
    ini, *_, = curve_house(folder)
    os.chown(folder + "/server_secret", 65534, 65534)
    file = zb.write(folder + "/x.ini", ini)
    assert zb.run("-t", "-c", file).returncode == 0
    assert keygen("--check", folder + "/server").returncode == 0


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
    server.linger, server.rcvtimeo = 0, int(10000 * zb.SLOW)
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


# --- a handler that is slow, stands still, or is gone ---------------------------------------------------------------

def has_come_in(client):
    """Has it been let in by now?"""
    while client.monitor.poll(0):
        if zmq.utils.monitor.recv_monitor_message(client.monitor)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return True
    return False


def wait_known(daemon, *sides):
    """Until a client was let in at each of SIDES: then the handler has done all that it had to do for them."""
    def known():
        with zb.Control(daemon) as control:
            return all(control.route("jobs")[side]["auth"]["success"] == 1 for side in sides)
    zb.wait_until(known, 10, f"a client at {sides}")


def wait_in(*clients):
    """However often they are told to come again later."""
    for client in clients:
        zb.wait_until(lambda: has_come_in(client), 30, "a friend who is let in")


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


def plain_house(folder, names):
    ports = zb.free_ports(2)
    users = "".join(keygen("password", name, stdin=name + "\n").stdout for name in names)
    return f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
backend_security = none
frontend_security = plain
handshake_ivl = 1m
users = {zb.write(folder + "/users", users, 0o600)}
""", f"tcp://127.0.0.1:{ports[0]}", f"tcp://127.0.0.1:{ports[1]}"


class Opened:
    """Who opens the files of a folder while it lasts: their names."""

    IN_OPEN, IN_NONBLOCK = 0x20, 0o4000

    def __init__(self, *folders):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(self.IN_NONBLOCK)
        assert self.fd != -1 and all(libc.inotify_add_watch(self.fd, folder.encode(), self.IN_OPEN) != -1 for folder in folders)

    def names(self):
        """Those that were opened since the last call."""
        found = []
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return sorted(found)
            while data:
                _, _, _, length = struct.unpack_from("iIII", data)
                name = data[16:16 + length].rstrip(b"\0").decode()
                found += [name] if name else []  # without: the folder itself
                data = data[16 + length:]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        os.close(self.fd)


def test_a_file_that_did_not_change_is_read_once():
    folder = zb.folder()
    ini, clients, server, front, _ = curve_house(folder)
    more, *_ = plain_house(folder, ["bob"])
    ini += more.replace("[route jobs]", "[route more]")
    alice, other = make_cert(clients, "alice"), make_cert(clients, "other")
    for name in ("alice_secret", "other_secret"):
        os.rename(f"{clients}/{name}", f"{folder}/{name}")
    os.mkdir(folder + "/users.d")
    os.rename(folder + "/users", folder + "/users.d/users")
    ini = ini.replace(folder + "/users", folder + "/users.d/users")
    # What has just been written may change again without a trace.
    newest = max(os.stat(path).st_ctime for path in (alice, other, folder + "/users.d/users"))
    zb.wait_until(lambda: time.time() > newest + 4)
    with Opened(clients, folder + "/users.d") as opened:
        with zb.Daemon(ini) as daemon, Client(zmq.PUSH, front, folder + "/alice", server) as friend:
            assert opened.names() == ["alice", "other", "users"], "at the start"
            assert friend.is_in()
            reload(daemon)
            reload(daemon)
            assert daemon.ctl("show", "plan").returncode == 0
            assert opened.names() == [], "nothing has changed"
            os.utime(other)
            reload(daemon)
            assert opened.names() == ["other"]
            zb.write(folder + "/users.d/users", keygen("password", "carol", stdin="x\n").stdout, 0o600)
            opened.names()
            reload(daemon)
            assert "users" in opened.names()
            os.unlink(alice)
            reload(daemon)
            assert friend.event(zmq.EVENT_DISCONNECTED)
            assert daemon.stop() == 0


@zb.limit(120)
def test_behind_a_queue_of_wrong_passwords_friends_come_in_and_nobody_else():
    folder = zb.folder()
    ini, front, back = plain_house(folder, ["alice"])
    # No password fits his hash, and it takes no time to see that: the queue is as long as it stands still.
    hash = "$argon2id$v=19$m=8,t=1,p=1$" + "c" * 22 + "$" + "a" * 43
    zb.write(folder + "/users", zb.read(folder + "/users") + f"mallory:{hash}\n", 0o600)
    with zb.Daemon(ini) as daemon, Client(zmq.PULL, back) as pull:
        with Clients() as guessers, Clients() as friends:
            with zb.Frozen(daemon.pid, "zb:verify"):
                guessers += [Client(zmq.PUSH, front, user="mallory", password=f"guess {i}") for i in range(30)]
                for client in guessers:
                    client.socket.send(b"guessed")
                daemon.wait_log(r"plain refused, too-many-tries .* user=mallory")
                friends += [Client(zmq.PUSH, front, user="alice", password="alice") for _ in range(3)]
                # The handler itself answers, and the daemon too.
                assert daemon.ctl("status").returncode == 0
                assert not any(has_come_in(client) for client in guessers + friends)
            wait_in(*friends)
            for client in friends:
                client.socket.send(b"known")
            assert [pull.socket.recv() for _ in friends] == [b"known"] * 3
            assert not any(has_come_in(client) for client in guessers)
        assert daemon.stop() == 0


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


# --- PLAIN, addresses, GSSAPI ---------------------------------------------------------------------------------------

def test_plain_takes_the_password_that_keygen_hashed():
    folder = zb.folder()
    ports = zb.free_ports(2)
    users = zb.write(folder + "/users", keygen("password", "alice", stdin="wonderland\n").stdout, 0o600)
    with zb.Daemon(f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
security = plain
handshake_ivl = 1m
users = {users}
""") as daemon:
        front = f"tcp://127.0.0.1:{ports[0]}"
        assert is_in(zmq.PUSH, front, user="alice", password="wonderland")
        assert not is_in(zmq.PUSH, front, user="alice", password="looking-glass")
        assert not is_in(zmq.PUSH, front, user="mallory", password="wonderland")
        daemon.wait_log(r"plain refused, unknown-user .* user=mallory$")
        assert "wonderland" not in daemon.log() and "looking-glass" not in daemon.log()
        assert daemon.stop() == 0


def test_a_file_of_users_that_everybody_can_read_is_warned_of():
    folder = zb.folder()
    users = zb.write(folder + "/users", keygen("password", "alice", stdin="x\n").stdout, 0o644)
    ini = f"""
[route jobs]
type = streamer
frontend_bind = ipc://{folder}/in
backend_bind = ipc://{folder}/out
security = plain
users = {users}
"""
    open_to_others = re.escape(users) + r": (warning: )?mode 0644 is open to others: chmod 640, or 600$"
    warning = r":7:9: warning: \[route jobs\] users: " + open_to_others
    with zb.Daemon(ini) as daemon:
        assert len(re.findall(warning, daemon.log(), re.M)) == 1, "at the start"
        result = zb.run("-t", "-c", daemon.file)
        assert result.returncode == 0 and re.search(warning, result.stderr, re.M), result
        result = keygen("--check", users)
        assert result.returncode == 0 and re.search("^" + open_to_others, result.stderr, re.M), result
        reload(daemon)
        daemon.wait_log("warning: reload: .*" + warning[:-1] + " event=reload-warning ")
        before = daemon.log()
        for mode in (0o640, 0o600, 0o440):
            os.chmod(users, mode)
            reload(daemon)
            result = zb.run("-t", "-c", daemon.file)
            assert result.returncode == 0 and "mode" not in result.stderr, result.stderr
        assert "mode" not in daemon.log()[len(before):]
        assert daemon.stop() == 0


def test_denied_addresses_stay_out_also_after_a_reload():
    folder = zb.folder()
    ports = zb.free_ports(2)
    ini = f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
security = none
"""
    front = f"tcp://127.0.0.1:{ports[0]}"
    file = zb.write(folder + "/zbroker.ini", ini)
    with zb.Daemon(file, folder=folder) as daemon, Client(zmq.PUSH, front) as client:
        assert client.is_in()
        zb.write(file, ini + "deny = 127.0.0.0/8\n")
        reload(daemon)
        assert client.event(zmq.EVENT_DISCONNECTED)
        assert not is_in(zmq.PUSH, front)
        zb.write(file, ini + "allow = 127.0.0.1\n")
        reload(daemon)
        assert is_in(zmq.PUSH, front)
        assert daemon.stop() == 0


def test_gssapi_is_refused_where_libzmq_ignores_refusals():
    if not zmq.has("gssapi") or zmq.zmq_version_info() > (4, 3, 5):
        raise zb.Skip("this libzmq has none, or heeds them")
    folder = zb.folder()
    ini = """
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:*
backend_bind = tcp://127.0.0.1:*
security = gssapi
gssapi_principal = host
"""
    result = zb.run("-t", "-c", zb.write(folder + "/a.ini", ini))
    assert result.returncode == 1 and "gssapi_unsafe_zap" in result.stderr, result.stderr
    result = zb.run("-t", "-c", zb.write(folder + "/b.ini", ini + "gssapi_unsafe_zap = yes\n"))
    assert result.returncode == 0, result.stderr


class Realm:
    """A KDC of Kerberos for the realm TEST, all of it in one folder."""

    def __init__(self, *principals):
        self.folder = zb.folder()
        self.tools = {name: self.find(name) for name in ("kdb5_util", "kadmin.local", "krb5kdc")}
        port = zb.free_port()
        modules = os.path.join(os.environ["ZB_KRB5"], "usr/lib", "x86_64-linux-gnu") if "ZB_KRB5" in os.environ else None
        plugins = f"[dbmodules]\n db_module_dir = {modules}/krb5/plugins/kdb\n" if modules else ""
        zb.write(self.folder + "/krb5.conf", f"""
[libdefaults]
 default_realm = TEST
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 TEST = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
 localhost = TEST
{plugins}""")
        zb.write(self.folder + "/kdc.conf", f"""
[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 TEST = {{
  database_name = {self.folder}/principal
  key_stash_file = {self.folder}/stash
  acl_file = {self.folder}/kadm5.acl
 }}
[logging]
 kdc = FILE:{self.folder}/kdc.log
{plugins}""")
        self.env = dict(os.environ, KRB5_CONFIG=self.folder + "/krb5.conf", KRB5_KDC_PROFILE=self.folder + "/kdc.conf",
                        **({"LD_LIBRARY_PATH": modules} if modules else {}))
        self.call("kdb5_util", "create", "-s", "-r", "TEST", "-P", "master")
        for principal in principals:
            self.call("kadmin.local", "-r", "TEST", "-q", f"addprinc -randkey {principal}")
            self.call("kadmin.local", "-r", "TEST", "-q", f"ktadd -k {self.keytab(principal)} {principal}")
        zb.spawn([self.tools["krb5kdc"], "-n", "-r", "TEST"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        zb.wait_until(lambda: zb.accepts(f"tcp://127.0.0.1:{port}"))

    @staticmethod
    def find(name):
        """In the system, or below ZB_KRB5, where Debian's packages were unpacked."""
        path = shutil.which(name, path=os.path.join(os.environ.get("ZB_KRB5", "/"), "usr/sbin"))
        if not path:
            raise zb.Skip(f"no {name} (packages krb5-kdc and krb5-admin-server)")
        return path

    def call(self, name, *args):
        result = subprocess.run([self.tools[name], *args], env=self.env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20 * zb.SLOW)
        assert result.returncode == 0, result.stdout

    def keytab(self, principal):
        return f"{self.folder}/{principal.replace('/', '-')}.keytab"

    def login(self, principal):
        """The variables of a process that is PRINCIPAL. libzmq wants to be able to do both, accept and initiate."""
        return {"KRB5_CONFIG": self.folder + "/krb5.conf", "KRB5CCNAME": "MEMORY:",
                "KRB5_KTNAME": self.keytab(principal), "KRB5_CLIENT_KTNAME": self.keytab(principal)}


GSSAPI_CLIENT = """
import sys, zmq, zmq.utils.monitor
socket = zmq.Context().socket(zmq.PUSH)
socket.linger = 2000
socket.setsockopt(zmq.GSSAPI_PRINCIPAL_NAMETYPE, 1)
socket.gssapi_principal, socket.gssapi_service_principal = sys.argv[2].encode(), b"zbroker@localhost"
monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
monitor.rcvtimeo = int(float(sys.argv[3]) * 1000)
socket.connect(sys.argv[1])
monitor.recv_multipart()
socket.send(sys.argv[2].encode())
monitor.close(0)
"""


def test_gssapi_lets_those_of_the_realm_in_and_strangers_not():
    if not zmq.has("gssapi"):
        raise zb.Skip("this libzmq has no GSSAPI")
    realm = Realm("zbroker/localhost", "alice")
    one, two = zb.free_ports(2)
    front = f"tcp://127.0.0.1:{one}"

    def come(name, seconds):
        return subprocess.run([sys.executable, "-c", GSSAPI_CLIENT, front, name, str(seconds * zb.SLOW)], timeout=20 * zb.SLOW,
                              env=dict(os.environ, **realm.login(name)), stderr=subprocess.DEVNULL).returncode == 0

    with zb.Daemon(f"""
[route jobs]
type = streamer
frontend_bind = {front}
frontend_security = gssapi
frontend_gssapi_principal = zbroker@localhost
frontend_gssapi_unsafe_zap = yes
backend_bind = tcp://127.0.0.1:{two}
""", env=realm.login("zbroker/localhost")) as daemon, Client(zmq.PULL, f"tcp://127.0.0.1:{two}") as pull:
        assert come("alice", 5)
        assert pull.socket.recv() == b"alice"
        daemon.wait_log(r"auth: route jobs frontend: 127\.0\.0\.1 gssapi admitted .* user=alice@TEST$")
        assert not come("mallory", 1), "she has no key of the realm"
        assert not is_in(zmq.PUSH, front) and not is_in(zmq.PUSH, front, user="alice", password="x")
        assert pull.socket.poll(100) == 0
        assert daemon.stop() == 0


# --- as the manual says -----------------------------------------------------------------------------------------------

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


# --- what the log must not say --------------------------------------------------------------------------------------

def test_no_secret_gets_into_the_log_or_out_of_the_daemon():
    folder = zb.folder()
    one, two, three, four, five = zb.free_ports(5)
    os.mkdir(folder + "/clients")
    alice, server, eve = make_cert(folder + "/clients", "alice"), make_cert(folder, "server"), make_cert(folder, "eve")
    line = keygen("password", "bob", stdin="swordfish-right\n").stdout
    users = zb.write(folder + "/users", line, 0o600)
    upstream = zb.write(folder + "/upstream", "upstream-word\n", 0o600)
    secrets = [keys(path)[1].decode() for path in (alice, server, eve)]
    secrets += ["swordfish", "guess-number", "upstream-word", line.split(":", 1)[1].strip()]
    ini = f"""
[route curve]
type = streamer
frontend_bind = tcp://127.0.0.1:{one}
backend_bind = tcp://127.0.0.1:{two}
security = curve
handshake_ivl = 1m
server_cert = {server}
client_certs = {folder}/clients
[route plain]
type = streamer
frontend_bind = tcp://127.0.0.1:{three}
backend_bind = tcp://127.0.0.1:{four}
security = plain
handshake_ivl = 1m
users = {users}
[route out]
type = streamer
frontend_bind = ipc://{folder}/in
backend_connect = tcp://127.0.0.1:{five}
backend_security = plain
backend_plain_username = zbroker
backend_plain_password_file = {upstream}
"""
    with zb.Daemon(ini, "-l", "trace") as daemon:
        said = []
        for kind in (zmq.PUSH, zmq.PULL):
            at = one if kind == zmq.PUSH else two
            assert is_in(kind, f"tcp://127.0.0.1:{at}", alice, server)
            assert not is_in(kind, f"tcp://127.0.0.1:{at}", eve, server)
        assert is_in(zmq.PUSH, f"tcp://127.0.0.1:{three}", user="bob", password="swordfish-right")
        assert not is_in(zmq.PUSH, f"tcp://127.0.0.1:{three}", user="bob", password="guess-number-1")
        assert not is_in(zmq.PUSH, f"tcp://127.0.0.1:{three}", user="nobody", password="guess-number-2")
        # A file of the guard's that is wrong just where the secret stands.
        for path, text in ((users, line + "carol:swordfish-typed\n"), (server + "_secret", "curve\n    secret-key = \"%s\n" % secrets[1]),
                           (folder + "/clients/alice", zb.read(alice + "_secret").replace("public-key", "publickey"))):
            before, mode = zb.read(path), stat.S_IMODE(os.stat(path).st_mode)
            zb.write(path, text, mode)
            for command in (("reload",), ("check", "reload")):
                said.append(daemon.ctl(*command).stdout)
            said.append(zb.run("-t", "-c", daemon.file).stderr)
            zb.write(path, before, mode)
        zb.write(upstream, "upstream-word-2\n", 0o600)
        zb.write(daemon.file, ini.replace("username = zbroker", "username = other"))
        said.append(daemon.ctl("reload").stdout)
        daemon.send(signal.SIGUSR2)
        daemon.wait_log(r"route out: running")
        for command in (["status"], ["show", "routes"], ["show", "stats"], ["show", "clients"], ["show", "config"], ["help"]):
            said += [daemon.ctl(*command).stdout, daemon.ctl("-j", *command).stdout]
        said.append(zb.run("-T", "-c", daemon.file).stdout)
        assert daemon.stop() == 0
        said.append(daemon.log())
        for text in said:
            for secret in secrets:
                at = text.find(secret)
                assert at == -1, f"{secret} was said: {text[max(0, at - 200):at + 100]}"


# --- rights and quotas ----------------------------------------------------------------------------------------------

def forwarder(folder, acl, names, extra=""):
    ports = zb.free_ports(2)
    lines = [keygen("password", name, stdin=name + "\n").stdout for name in names]
    users = zb.write(folder + "/users", "".join(lines), 0o600)
    file = zb.write(folder + "/acl", acl)
    return f"""
[route news]
type = forwarder
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
security = plain
handshake_ivl = 1m
users = {users}
acl = {file}
{extra}
""", f"tcp://127.0.0.1:{ports[0]}", f"tcp://127.0.0.1:{ports[1]}"


def publish_until(pub, subs, messages):
    """Send a round of messages again and again until each of SUBS has got the last one of two rounds; what each has got.

    From the first of them on its subscriptions are in place, so that the second one is whole."""
    got = {sub: [] for sub in subs}

    def all_there():
        for message in messages:
            pub.socket.send_multipart([message, b"x"])
        for sub in subs:
            while sub.socket.poll(5):
                got[sub].append(sub.socket.recv_multipart()[0])
        return all(got[sub].count(messages[-1]) >= 2 for sub in subs)

    zb.wait_until(all_there, 10, "the last message everywhere")
    return [set(got[sub]) for sub in subs]


def test_rights_hold_for_readers_and_writers():
    folder = zb.folder()
    ini, front, back = forwarder(folder, """
user root
topic readwrite #
user alice
topic read news/#
topic deny news/secret/#
user bob
topic write news/#
pattern read end/#
""", ("root", "alice", "bob"))
    with zb.Daemon(ini) as daemon:
        with Client(zmq.PUB, front, user="root", password="root") as root, \
                Client(zmq.PUB, front, user="bob", password="bob") as bob, \
                Client(zmq.SUB, back, user="alice", password="alice", topics=[b""]) as wide, \
                Client(zmq.SUB, back, user="alice", password="alice", topics=[b"news/", b"end/"]) as narrow, \
                Client(zmq.SUB, back, user="root", password="root", topics=[b""]) as every:
            topics = [b"news/a", b"news/secret/b", b"other", b"newspaper", b"end/1"]
            some, less, all_of_it = publish_until(root, [wide, narrow, every], topics)
            assert some == {b"news/a", b"end/1"}, some
            assert less == {b"news/a", b"end/1"}, less
            assert all_of_it == set(topics), all_of_it
            got, = publish_until(bob, [every], [b"other/by bob", b"news/by bob"])
            assert got == {b"news/by bob"}, got
        daemon.wait_log(r"acl: route news: 127\.0\.0\.1 may not publish \"other/by bob\" .* user=bob topic=\"other/by bob\"$")
        assert daemon.stop() == 0


def test_a_denied_subscription_is_counted():
    folder = zb.folder()
    ini, _, back = forwarder(folder, "user alice\ntopic read news/#\n", ("alice",))
    with zb.Daemon(ini) as daemon, zb.Control(daemon) as control, \
            Client(zmq.SUB, back, user="alice", password="alice", topics=[b"news/", b"secret/", b"other"]) as alice:
        assert alice.is_in()
        zb.wait_until(lambda: control.route("news")["dropped"]["acl"] == 2, 10, "two denials")
        daemon.wait_log(r'acl: route news: 127\.0\.0\.1 may not read secret/ .* user=alice topic=secret/$')
        assert daemon.stop() == 0


def test_an_exact_topic_never_brings_its_longer_neighbour():
    folder = zb.folder()
    ini, front, back = forwarder(folder, "user root\ntopic #\nuser alice\ntopic read ok\n", ("root", "alice"))
    with zb.Daemon(ini) as daemon:
        with Client(zmq.PUB, front, user="root", password="root") as root, \
                Client(zmq.SUB, back, user="alice", password="alice", topics=[b"ok"]) as alice:
            publish_until(root, [alice], [b"ok"])
            for _ in range(5):
                root.socket.send(b"okay")
                root.socket.send(b"secret")
                got, = publish_until(root, [alice], [b"ok"])
                assert got == {b"ok"}, got
        assert daemon.stop() == 0


def claim(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def raw_peer(port, kind, claims):
    """A connection whose handshake, with these claims in it, is over."""
    peer = socket.create_connection(("127.0.0.1", port), timeout=10 * zb.SLOW)
    peer.sendall(zmtp.GREETING + zmtp.ready(kind, claims))
    got = b""
    while b"READY" not in got:
        got += peer.recv(65536)
    return peer


def test_an_upstream_is_not_who_it_says_it_is():
    folder = zb.folder()
    port = zb.free_port()
    acl = zb.write(folder + "/acl", "user admin\ntopic readwrite #\n")
    password = zb.write(folder + "/password", "secret\n", 0o600)
    with socket.create_server(("127.0.0.1", port)) as upstream, zb.Daemon(f"""
[route up]
type = streamer
frontend_connect = tcp://127.0.0.1:{port}
frontend_security = plain
frontend_plain_username = zbroker
frontend_plain_password_file = {password}
frontend_acl = {acl}
backend_bind = ipc://{folder}/out
""") as daemon, zb.Control(daemon) as control:
        upstream.settimeout(10 * zb.SLOW)
        with upstream.accept()[0] as peer:
            peer.settimeout(10 * zb.SLOW)
            peer.sendall(zmtp.SIGNATURE + b"\x03\x00" + b"PLAIN".ljust(20, b"\0") + b"\1" + bytes(31))
            got = b""
            for word, answer in ((b"HELLO", zmtp.command(b"WELCOME", b"")), (b"INITIATE", zmtp.ready(b"PUSH", claim(b"User-Id", b"admin")))):
                while word not in got:
                    got += peer.recv(65536)
                peer.sendall(answer)
            peer.sendall(zmtp.frame(b"by admin"))
            daemon.wait_log(r'acl: route up: 127\.0\.0\.1 may not publish "by admin"')
            assert control.route("up")["dropped"]["acl"] == 1
        assert "user=admin" not in daemon.log()
        assert daemon.stop() == 0


def test_a_user_is_not_who_it_says_it_is_besides_its_password():
    folder, port = zb.folder(), zb.free_port()
    users = zb.write(folder + "/users", keygen("password", "alice", stdin="x\n").stdout, 0o600)
    acl = zb.write(folder + "/acl", "user root\ntopic write #\n")
    with zb.Daemon(f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{port}
frontend_security = plain
frontend_users = {users}
frontend_acl = {acl}
backend_bind = ipc://{folder}/out
""") as daemon, socket.create_connection(("127.0.0.1", port), timeout=10 * zb.SLOW) as peer:
        peer.sendall(zmtp.SIGNATURE + b"\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32))
        initiate = zmtp.ready(b"PUSH", claim(b"User-Id", b"root"))[2 + len(b"\x05READY"):]
        got = b""
        for say, word in ((zmtp.command(b"HELLO", b"\x05alice\x01x"), b"WELCOME"), (zmtp.command(b"INITIATE", initiate), b"READY")):
            peer.sendall(say)
            while word not in got:
                got += peer.recv(65536)
        peer.sendall(zmtp.frame(b"by root"))
        daemon.wait_log(r'acl: route jobs: \S+ may not publish "by root" .* user=alice ')
        peer.close()
        assert daemon.stop() == 0


def test_a_stranger_is_not_who_it_says_it_is_where_nobody_is_asked():
    folder = zb.folder()
    port = zb.free_port()
    with zb.Daemon(f"""
[route open]
type = forwarder
frontend_bind = ipc://{folder}/in
backend_bind = tcp://127.0.0.1:{port}
backend_max_subscriptions = 1
""") as daemon, raw_peer(port, b"SUB", claim(b"User-Id", b"root")) as stranger:
        stranger.sendall(zmtp.frame(b"\x01a") + zmtp.frame(b"\x01b"))
        daemon.wait_log("quota: route open")
        assert "user=root" not in daemon.log()
        stranger.close()
        assert daemon.stop() == 0


def test_a_line_that_goes_by_what_a_client_says_of_itself_only_denies():
    folder, port = zb.folder(), zb.free_port()
    ini = f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{port}
frontend_acl = {folder}/acl
backend_bind = ipc://{folder}/out
"""
    file = zb.write(folder + "/x.ini", ini)
    zb.write(folder + "/acl", "pattern write dev/%c/#\n")
    result = zb.run("-t", "-c", file)
    assert result.returncode == 1 and f"[route jobs] frontend_acl: {folder}/acl:1:19: %c is what a client says of itself" in result.stderr, result
    zb.write(folder + "/acl", "pattern write dev/#\npattern deny dev/%c/#\n")
    assert zb.run("-t", "-c", file).returncode == 0
    with zb.Daemon(file, folder=folder) as daemon, Client(zmq.PULL, f"ipc://{folder}/out") as pull, \
            raw_peer(port, b"PUSH", claim(b"Identity", b"pump")) as peer:
        peer.sendall(zmtp.frame(b"dev/pump/1") + zmtp.frame(b"dev/fan/1"))
        assert pull.socket.recv() == b"dev/fan/1"
        peer.close()
        assert daemon.stop() == 0


def test_each_side_has_rights_of_its_own():
    folder = zb.folder()
    everything, only = zb.write(folder + "/open", "topic readwrite #\n"), zb.write(folder + "/strict", "topic write only/#\n")
    ini = """
[route news]
type = forwarder
frontend_bind = ipc://{0}/in
{1}
ingress_bind = ipc://{0}/once
{2}
backend_bind = ipc://{0}/out
"""
    for frontend, ingress in ((everything, only), (only, everything), (None, only), (only, None)):
        lines = [f"{side}_acl = {acl}" if acl else "" for side, acl in (("frontend", frontend), ("ingress", ingress))]
        with zb.Daemon(ini.format(folder, *lines)) as daemon, Client(zmq.SUB, f"ipc://{folder}/out", topics=[b""]) as sub, \
                Client(zmq.PUB, f"ipc://{folder}/in") as pub, Client(zmq.PUSH, f"ipc://{folder}/once") as push:
            for writer, acl in ((pub, frontend), (push, ingress)):
                got, = publish_until(writer, [sub], [b"not/yours", b"only/ok"])
                assert got == ({b"only/ok"} if acl == only else {b"not/yours", b"only/ok"}), (lines, acl, got)
            assert daemon.stop() == 0


def test_a_route_that_leaves_keeps_its_rights():
    folder = zb.folder()
    acl = zb.write(folder + "/acl", "topic write ok/#\n")
    other = f"[route other]\ntype = streamer\nfrontend_bind = ipc://{folder}/other-in\nbackend_bind = ipc://{folder}/other-out\n"
    jobs = f"""
[route jobs]
type = streamer
frontend_bind = ipc://{folder}/in
frontend_acl = {acl}
backend_bind = ipc://{folder}/out
"""
    file = zb.write(folder + "/zbroker.ini", other + jobs)
    with zb.Daemon(file, folder=folder) as daemon, Client(zmq.PULL, f"ipc://{folder}/out") as pull, \
            Client(zmq.PUSH, f"ipc://{folder}/in") as push:
        assert pull.is_in() and push.is_in()
        assert daemon.ctl("pause", "jobs").returncode == 0
        for _ in range(200):
            push.socket.send(b"no/1")
        push.socket.send(b"ok/end")
        zb.write(file, other)
        reload(daemon)
        assert pull.socket.recv() == b"ok/end", "what was denied while the route ran is denied while it drains"
        daemon.wait_log("route jobs: removed")
        assert daemon.stop() == 0


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
                    third.monitor.rcvtimeo = int(10000 * zb.SLOW)
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


# --- over libzmq's sockets -------------------------------------------------------------------------------------------

def refused(extra, defaults=""):
    """What zbroker -t says of a forwarder of engine zmq with EXTRA."""
    path = zb.write(zb.folder() + "/z.ini", f"""
{defaults}
[route news]
type = forwarder
engine = zmq
frontend_bind = tcp://127.0.0.1:5555
backend_bind = tcp://127.0.0.1:5556
{extra}
""")
    return zb.run("-t", "-c", path)


def test_engine_zmq_refuses_rights_of_readers_and_quotas():
    acl = zb.write(zb.folder() + "/acl", "topic #\n")
    for extra, words in ((f"acl = {acl}", "acl: engine = zmq cannot keep what the subscribers of the backend may read; engine = wire can"),
                         (f"backend_acl = {acl}", "backend_acl: engine = zmq cannot keep what"),
                         ("max_subscriptions = 5", "max_subscriptions: needs engine = wire"),
                         ("backend_max_topic = 5", "backend_max_topic: needs engine = wire")):
        result = refused(extra)
        assert result.returncode == 1 and words in result.stderr, result.stderr
    for extra in (f"frontend_acl = {acl}", "max_subscriptions = 0"):
        result = refused(extra)
        assert result.returncode == 0 and "warning" not in result.stderr, result.stderr


def test_engine_zmq_refuses_rights_that_the_defaults_give_to_readers():
    acl = zb.write(zb.folder() + "/acl", "topic #\n")
    result = refused("", f"[defaults]\nacl = {acl}")
    assert result.returncode == 1 and "subscribers of the backend" in result.stderr, result.stderr
    result = refused("", "[defaults]\nmax_topic = 5")
    assert result.returncode == 0 and "warning: [route news] does not keep max_topic: it needs engine = wire" in result.stderr, result.stderr


def test_rights_to_publish_hold_over_libzmqs_sockets_also_after_a_reload():
    folder = zb.folder()
    ini, front, back = forwarder(folder, "user root\ntopic #\nuser bob\ntopic write news/#\n", ("root", "bob"), "engine = zmq")
    ini = ini.replace("\nacl =", "\nfrontend_acl =")
    with zb.Daemon(ini) as daemon, zb.Control(daemon) as control:
        with Client(zmq.PUB, front, user="root", password="root") as root, \
                Client(zmq.PUB, front, user="bob", password="bob") as bob, \
                Client(zmq.SUB, back, user="root", password="root", topics=[b""]) as every:
            publish_until(root, [every], [b"any", b"end"])
            got, = publish_until(bob, [every], [b"other", b"news/by bob"])
            assert b"other" not in got and b"news/by bob" in got, got
            daemon.wait_log(r"acl: route news: 127\.0\.0\.1 may not publish other .* user=bob topic=other$")
            assert control.route("news")["dropped"]["acl"] >= 2
            zb.write(folder + "/acl", "user root\ntopic #\nuser bob\ntopic write other\n")
            reload(daemon)
            got, = publish_until(bob, [every], [b"news/late", b"other"])
            assert b"news/late" not in got and b"other" in got, got
            assert bob.is_in() and not bob.was_cut(), "a change of rights cuts nobody"
        assert daemon.stop() == 0


def test_a_removed_user_is_cut_over_libzmqs_sockets_and_the_others_come_again():
    folder = zb.folder()
    ini, front, back = plain_house(folder, ("alice", "bob"))
    with zb.Daemon(zb.with_engine(ini, "zmq")) as daemon, Client(zmq.PULL, back) as worker, \
            Client(zmq.PUSH, front, user="alice", password="alice") as alice, Client(zmq.PUSH, front, user="bob", password="bob") as bob:
        assert alice.is_in() and bob.is_in()
        users = zb.read(folder + "/users").splitlines(True)
        zb.write(folder + "/users", users[0], 0o600)
        reload(daemon)
        assert bob.event(zmq.EVENT_DISCONNECTED)
        assert not bob.is_in()
        alice.socket.send(b"still here")
        assert worker.socket.recv() == b"still here"
        daemon.wait_log(r"route jobs: frontend client \d+ cut, it may no longer connect event=client-unwelcome")
        assert daemon.stop() == 0


# --- what reads the log ----------------------------------------------------------------------------------------------

# --- fail2ban -------------------------------------------------------------------------------------------------------

def test_the_fail2ban_filter_finds_every_refusal_and_nothing_else():
    text = zb.read(os.path.join(zb.SRCDIR, "contrib/fail2ban/filter.d/zbroker.conf"))
    options = dict(re.findall(r"^(\w+) *= *(.*)$", text, re.M))
    pattern = options["failregex"].replace("%(_prefix)s", options["_prefix"])
    pattern = re.compile(pattern.replace("<ADDR>", r"(?P<ip>[0-9a-fA-F:.]+)"))
    line = ("auth: route prices frontend: 192.0.2.7 curve refused, unknown-key event=auth-refused route=prices side=frontend"
            " address=192.0.2.7 mechanism=curve reason=unknown-key key=" + "x" * 40)
    for before in ("", "warning: ", "2026-11-21T04:31:19.123Z warning: ", "host zbroker[4711]: ", "zbroker[1]: "):
        assert pattern.match(before + line).group("ip") == "192.0.2.7", before
    words = line[:line.index(" event=")]  # all that the journal shows
    assert pattern.match(words).group("ip") == "192.0.2.7"
    assert pattern.match(line + " (repeated 12 times)") and pattern.match(words + " (repeated 12 times)")
    assert pattern.match(line.replace("192.0.2.7", "2001:db8::1")).group("ip") == "2001:db8::1"
    for user in ("alice", '"a b\\" reason\\x3dbad"', '""'):
        assert pattern.match(line.replace("key=" + "x" * 40, "user=" + user)), user
    for other in (line.replace("refused, unknown-key event=auth-refused", "admitted event=auth-admitted"),
                  line.replace("unknown-key", "busy"), line.replace("192.0.2.7", "ipc"), "x " + line, line + " more", words + " more",
                  words.replace("unknown-key", "busy")):
        assert not pattern.match(other), other
    # What a client calls itself cannot pass for a line of its own.
    folder = zb.folder()
    ports = zb.free_ports(2)
    users = zb.write(folder + "/users", "", 0o600)
    evil = ("a\nauth: route jobs frontend: 198.51.100.1 plain refused, bad-password event=auth-refused route=jobs side=frontend address=198.51.100.1"
            " mechanism=plain reason=bad-password")
    with zb.Daemon(f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
security = plain
handshake_ivl = 1m
users = {users}
""") as daemon:
        assert not is_in(zmq.PUSH, f"tcp://127.0.0.1:{ports[0]}", user=evil, password="x")
        daemon.wait_log("refused")
        found = [match.group("ip") for match in map(pattern.match, daemon.log().splitlines()) if match]
        assert found == ["127.0.0.1"], daemon.log()
        assert daemon.stop() == 0


def test_fail2ban_takes_the_filter_and_finds_the_refusals_in_the_log():
    program = shutil.which("fail2ban-regex")
    if not program:
        raise zb.Skip("no fail2ban here")
    folder = zb.folder()
    ini, front, _ = plain_house(folder, ["alice"])
    with zb.Daemon(ini) as daemon:
        assert is_in(zmq.PUSH, front, user="alice", password="alice")
        assert not is_in(zmq.PUSH, front, user="alice", password="wrong")
        assert not is_in(zmq.PUSH, front, user="x 198.51.100.1 plain refused, bad-password", password="wrong")
        assert not is_in(zmq.PUSH, front)
        daemon.wait_log(r"null refused, mechanism|handshake failed")
        assert daemon.stop() == 0
        refused = re.findall(r"auth: .*refused, (?:unknown-user|bad-password|mechanism) event=", daemon.log())
        assert len(refused) >= 2, daemon.log()
        result = subprocess.run([program, "--out", "ip", daemon.log_file, os.path.join(zb.SRCDIR, "contrib/fail2ban/filter.d/zbroker.conf")],
                                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=50 * zb.SLOW)
        assert result.returncode == 0 and result.stdout.split() == ["127.0.0.1"] * len(refused), result.stdout


if __name__ == "__main__":
    zb.main()

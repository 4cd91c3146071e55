# SPDX-License-Identifier: MPL-2.0
"""Certificates, users and rights change in files that keep their names: a reload says what, and goes by it."""

import os
import re
import socket

import zmq
import zmq.auth
import zmq.utils.monitor

import zb


def keygen(*args, **options):
    result = zb.run(*args, name="zbroker-keygen", **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def make_cert(folder, name):
    keygen("cert", name, "-d", folder)
    return os.path.join(folder, name)


def put_cert(old, new):
    """NEW comes to be under the name OLD."""
    os.replace(new, old)
    os.replace(new + "_secret", old + "_secret")


def public_key(path):
    return zmq.auth.load_certificate(path)[0].decode()


def secret_key(path):
    return zmq.auth.load_certificate(path + "_secret")[1].decode()


def new_key(before, now):
    return f": new key {before[:8]}.. -> {now[:8]}.."


def streamer(more, ends=None):
    ends = ends or [f"{side}_bind = tcp://127.0.0.1:{port}" for side, port in zip(("frontend", "backend"), zb.free_ports(2))]
    return "[route jobs]\ntype = streamer\n" + "\n".join(ends) + f"\n{more}\n"


def reload(control):
    """The lines of a reload, which are those of its plan; after it there is nothing to do."""
    plan = control.ask("show plan")
    assert control.ask("reload") == plan
    assert control.ask("show plan") == "nothing to do"
    return plan.splitlines()


def is_let_in(endpoint, cert, server_key):
    """Does a client with CERT come in where it expects SERVER_KEY?"""
    with zmq.Context() as context, context.socket(zmq.PUSH) as client:
        client.linger = 0
        client.curve_publickey, client.curve_secretkey = zmq.auth.load_certificate(cert + "_secret")
        client.curve_serverkey = server_key.encode()
        monitor = client.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
                                            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        monitor.rcvtimeo = int(20000 * zb.SLOW)
        client.connect(endpoint)
        event = zmq.utils.monitor.recv_monitor_message(monitor)["event"]
        client.disable_monitor()
        monitor.close(0)
        return event == zmq.EVENT_HANDSHAKE_SUCCEEDED


# A socket of libzmq has its certificate from the start.
HOW = "(live)" if zb.WIRE else "(re-created)"


def wait_for_it(daemon):
    """Until a route that is re-created has drained it accepts clients, too, to send them away."""
    if not zb.WIRE:
        daemon.wait_log("re-created, nothing left")


def test_a_new_server_certificate_comes_into_force():
    folder = zb.folder()
    server, alice = make_cert(folder, "server"), make_cert(folder, "alice")
    old, new = public_key(server), public_key(make_cert(folder, "next"))
    secrets = secret_key(server), secret_key(os.path.join(folder, "next"))
    with zb.Daemon(streamer(f"security = curve\nserver_cert = {server}\nclient_certs = any")) as daemon, zb.Control(daemon) as control:
        front = control.route("jobs")["frontend"]["endpoints"][0]
        assert is_let_in(front, alice, old)
        put_cert(server, os.path.join(folder, "next"))
        assert reload(control) == [f"route jobs: server_cert {server}{new_key(old, new)} {HOW}"]
        daemon.wait_log(re.escape(f"reloaded: route jobs: server_cert {server}{new_key(old, new)} {HOW}"))
        wait_for_it(daemon)
        assert is_let_in(front, alice, new) and not is_let_in(front, alice, old)
        assert not any(secret in daemon.log() or secret[:8] in daemon.log() for secret in secrets)
        assert daemon.stop() == 0


def test_a_refused_reload_takes_nothing_over():
    folder = zb.folder()
    server, alice = make_cert(folder, "server"), make_cert(folder, "alice")
    old, new = public_key(server), public_key(make_cert(folder, "next"))
    ini = streamer(f"security = curve\nserver_cert = {server}\nclient_certs = any")
    with zb.Daemon(ini) as daemon, zb.Control(daemon) as control, socket.socket() as taken:
        front = control.route("jobs")["frontend"]["endpoints"][0]
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        put_cert(server, os.path.join(folder, "next"))
        zb.write(daemon.file, ini + f"frontend_bind = tcp://127.0.0.1:{taken.getsockname()[1]}\n")
        assert control.ask("reload").startswith("error: ")
        assert is_let_in(front, alice, old)
        zb.write(daemon.file, ini)
        assert reload(control) == [f"route jobs: server_cert {server}{new_key(old, new)} {HOW}"]
        wait_for_it(daemon)
        assert is_let_in(front, alice, new)
        assert daemon.stop() == 0


def test_certificates_of_a_connecting_side_are_renewed():
    folder = zb.folder()
    ours, theirs = make_cert(folder, "ours"), make_cert(folder, "theirs")
    before = public_key(ours), public_key(theirs)
    make_cert(folder, "ours2"), make_cert(folder, "theirs2")
    with zmq.Context() as context, context.socket(zmq.PULL) as server:
        server.linger, server.rcvtimeo = 0, int(20000 * zb.SLOW)
        server.curve_server = 1
        server.curve_publickey, server.curve_secretkey = zmq.auth.load_certificate(os.path.join(folder, "theirs2_secret"))
        port = server.bind_to_random_port("tcp://127.0.0.1")
        ends = [f"frontend_bind = tcp://127.0.0.1:{zb.free_port()}", f"backend_connect = tcp://127.0.0.1:{port}"]
        ini = streamer(f"backend_security = curve\nbackend_client_cert = {ours}\nbackend_peer_cert = {theirs}", ends)
        with zb.Daemon(ini) as daemon, zb.Control(daemon) as control:
            for path in (ours, theirs):
                put_cert(path, path + "2")
            assert sorted(reload(control)) == [
                f"route jobs: client_cert {ours}{new_key(before[0], public_key(ours))} (re-created)",
                f"route jobs: peer_cert {theirs}{new_key(before[1], public_key(theirs))} (re-created)"]
            with zb.peer(context, zmq.PUSH, control.route("jobs")["frontend"]["endpoints"][0]) as push:
                push.send(b"to the one with the new key")
                assert server.recv() == b"to the one with the new key"
            assert daemon.stop() == 0


def test_clients_users_and_rights_are_named_and_cut_nobody_else():
    folder = zb.folder()
    server, clients = make_cert(folder, "server"), os.path.join(folder, "clients")
    os.mkdir(clients)
    for name in ("alice", "bob"):
        make_cert(clients, name)
    password = lambda name: keygen("password", name, stdin="secret\n")
    users, acl = os.path.join(folder, "users"), os.path.join(folder, "acl")
    lines = {name: password(name) for name in ("carol", "dave", "eve")}
    zb.write(users, lines["carol"] + lines["dave"])
    os.chmod(users, 0o600)
    zb.write(acl, "topic readwrite #\n")
    ini = streamer(f"security = curve\nserver_cert = {server}\nclient_certs = {clients}")
    ini += streamer(f"security = plain\nusers = {users}").replace("[route jobs]", "[route work]")
    ini += streamer(f"frontend_acl = {acl}").replace("[route jobs]", "[route news]")
    with zb.Daemon(zb.with_engine(ini, "wire")) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        alice = context.socket(zmq.PUSH)
        alice.linger = 0
        alice.curve_publickey, alice.curve_secretkey = zmq.auth.load_certificate(os.path.join(clients, "alice_secret"))
        alice.curve_serverkey = public_key(server).encode()
        alice.connect(control.route("jobs")["frontend"]["endpoints"][0])
        connected = lambda: control.route("jobs")["frontend"]["connections"]
        zb.wait_until(lambda: connected() == 1)
        for change, said in (
                (lambda: make_cert(clients, "frank"), f"route jobs: client_certs {clients}: 1 added (live)"),
                (lambda: (os.unlink(clients + "/bob"), make_cert(clients, "george")),
                 f"route jobs: client_certs {clients}: 1 added, 1 removed (live)"),
                (lambda: zb.write(clients + "/damaged", "nothing\n"), f"route jobs: client_certs {clients}: 1 more left out as damaged (live)"),
                (lambda: zb.write(users, password("carol") + lines["eve"]), f"route work: users {users}: 1 added, 1 removed, 1 changed (live)"),
                (lambda: zb.write(acl, "topic readwrite #\ntopic deny secret/#\n"), f"route news: acl {acl} changed (live)")):
            change()
            assert reload(control) == [said]
        before = control.route("jobs")["frontend"]["disconnections"]
        assert connected() == 1 and before == 0
        alice.close()
        assert not any(line.split(":", 1)[1].strip() in daemon.log() for line in lines.values())
        assert daemon.stop() == 0


zb.main()

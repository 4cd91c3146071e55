# SPDX-License-Identifier: MPL-2.0
"""Rights: who may publish, subscribe and read which topics."""

import contextlib
import re
import socket
import struct

import zmq
import zb
import zmtp
from secured import Client, forwarder, keygen, publish_until, reload


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


def test_denied_topics_of_one_address_are_summed_up_over_all_its_connections():
    folder, ports = zb.folder(), zb.free_ports(2)
    acl = zb.write(folder + "/acl", "topic news/#\n")
    with zb.Daemon(f"""
[route news]
type = forwarder
engine = wire
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
frontend_acl = {acl}
""") as daemon, zb.Control(daemon) as control, contextlib.ExitStack() as open_ones:
        for number in range(40):
            publisher = zmtp.Raw(ports[0], b"PUB")
            open_ones.callback(publisher.socket.close)
            publisher.send(zmtp.frame(b"denied/%d" % number))
        zb.wait_until(lambda: control.route("news")["dropped"]["acl"] == 40)
        open_ones.close()
        assert daemon.stop() == 0
        lines = re.findall(r"may not publish denied/\d+ event=acl-denied .*", daemon.log())
        assert len([line for line in lines if "(repeated " not in line]) == 10, daemon.log()
        assert sum(int(count) for count in re.findall(r"\(repeated (\d+) times?\)", "\n".join(lines))) == 30, daemon.log()


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


def queue_of_two(ports, more=""):
    """A daemon with the queue "asks", which alice and mallory may use."""
    users = zb.write(zb.folder() + "/users", "".join(keygen("password", user, stdin="x\n").stdout for user in ("alice", "mallory")), 0o600)
    return zb.Daemon(f"""
[route asks]
type = queue
engine = wire
frontend_bind = tcp://127.0.0.1:{ports[0]}
frontend_security = plain
frontend_users = {users}
backend_bind = tcp://127.0.0.1:{ports[1]}
{more}
""")


def test_a_reply_goes_to_the_user_who_asked():
    ports = zb.free_ports(2)
    for more in ("", "frontend_router_handover = yes"):
        with queue_of_two(ports, more) as daemon, zmq.Context() as own, zb.Control(daemon) as control:
            def client(user):
                return zb.peer(own, zmq.DEALER, f"tcp://127.0.0.1:{ports[0]}", plain_username=user, plain_password=b"x", identity=b"7",
                               rcvtimeo=int(10000 * zb.SLOW))

            refused = lambda: control.route("asks")["frontend"]["handshake_failures"]["duplicate_id"]
            service = zb.peer(own, zmq.DEALER, f"tcp://127.0.0.1:{ports[1]}", rcvtimeo=int(10000 * zb.SLOW))
            # Neither while she is there, nor while an answer to her is on its way.
            alice, question = client(b"alice"), None
            for leaves in (False, True):
                alice.send(b"question")
                question = service.recv_multipart()
                if leaves:
                    alice.close()
                    zb.wait_until(lambda: control.route("asks")["frontend"]["connections"] == 0)
                before = refused()
                mallory = client(b"mallory")
                zb.wait_until(lambda: refused() > before)
                mallory.close()
                if leaves:
                    alice = client(b"alice")
                    zb.wait_until(lambda: control.route("asks")["frontend"]["connections"] == 1)
                service.send_multipart(question)
                assert alice.recv() == b"question"
            own.destroy(0)
            assert daemon.stop() == 0


def test_a_name_stays_with_its_user_however_often_that_one_comes_and_goes():
    """Before the answer, and even before the request has found a service."""
    ports = zb.free_ports(2)
    with queue_of_two(ports) as daemon, zmq.Context() as own, zb.Control(daemon) as control:
        front = lambda: control.route("asks")["frontend"]

        def client(user):
            made = zb.peer(own, zmq.DEALER, f"tcp://127.0.0.1:{ports[0]}", plain_username=user, plain_password=b"x", identity=b"7",
                           rcvtimeo=int(10000 * zb.SLOW))
            if user == b"alice":
                zb.wait_until(lambda: front()["connections"] == 1, what="alice")
            return made

        def goes(alice):
            alice.close()
            zb.wait_until(lambda: front()["connections"] == 0, what="an end")

        def is_refused():
            before = front()["handshake_failures"]["duplicate_id"]
            mallory = client(b"mallory")
            zb.wait_until(lambda: front()["handshake_failures"]["duplicate_id"] > before, what="a refusal")
            mallory.close()

        for service_is_late in (False, True):
            service = None if service_is_late else zb.peer(own, zmq.DEALER, f"tcp://127.0.0.1:{ports[1]}", rcvtimeo=int(10000 * zb.SLOW))
            received = front()["messages_received"]
            alice = client(b"alice")
            alice.send(b"question")
            zb.wait_until(lambda: front()["messages_received"] == received + 1, what="a question")
            for _ in range(2):
                goes(alice)
                is_refused()
                alice = client(b"alice")
            if service_is_late:
                service = zb.peer(own, zmq.DEALER, f"tcp://127.0.0.1:{ports[1]}", rcvtimeo=int(10000 * zb.SLOW))
            question = service.recv_multipart()
            goes(alice)
            is_refused()
            alice = client(b"alice")
            service.send_multipart(question)
            assert alice.recv() == b"question"
            goes(alice)
            service.close()
            zb.wait_until(lambda: control.route("asks")["backend"]["connections"] == 0, what="no service")
        own.destroy(0)
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


# --- who somebody is -------------------------------------------------------------------------------------------------

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


# --- what engine zmq cannot keep -------------------------------------------------------------------------------------

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


if __name__ == "__main__":
    zb.main()

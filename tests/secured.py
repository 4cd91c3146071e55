# SPDX-License-Identifier: MPL-2.0
"""Routes that let in whom they know, and clients that see by their monitors whether they are let in."""

import os
import resource

import zmq
import zmq.auth
import zmq.utils.monitor
import zb

context = zmq.Context()
context.max_sockets = 4000
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


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
        self.monitor.rcvtimeo = zb.WAIT_MS
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


def house(name, kind, lines):
    """The text of a file with one route, and the endpoints of its frontend and its backend."""
    front, back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2))
    return f"""
[route {name}]
type = {kind}
frontend_bind = {front}
backend_bind = {back}
handshake_ivl = 1m
{lines}
""", front, back


def users_file(folder, names):
    """Everybody's name is his password."""
    return zb.write(folder + "/users", "".join(keygen("password", name, stdin=name + "\n").stdout for name in names), 0o600)


def curve_house(folder, extra=""):
    clients, server = os.path.join(folder, "clients"), make_cert(folder, "server")
    os.mkdir(clients)
    ini, front, back = house("jobs", "streamer", f"security = curve\nserver_cert = {server}\nclient_certs = {clients}\n{extra}")
    return ini, clients, server, front, back


def plain_house(folder, names):
    return house("jobs", "streamer", f"backend_security = none\nfrontend_security = plain\nusers = {users_file(folder, names)}")


def forwarder(folder, acl, names, extra=""):
    rights = f"users = {users_file(folder, names)}\nacl = {zb.write(folder + '/acl', acl)}"
    return house("news", "forwarder", f"security = plain\n{rights}\n{extra}")


def users_of(daemon, route):
    """Who is said to be connected to ROUTE's frontend: id -> user."""
    with zb.Control(daemon) as control:
        clients = control.json(f"show clients {route}")["clients"]
    return {client["id"]: client["user"] for client in clients if client["side"] == "frontend"}


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

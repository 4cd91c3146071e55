# SPDX-License-Identifier: MPL-2.0
"""natsserver - NATS servers for the tests, on loopback, and as much of a client as the tests need to look into them."""

import json
import os
import shutil
import socket
import time

import zb


def need():
    """Skip the test where there is no server, or zbroker has no library for it."""
    if not shutil.which("nats-server"):
        raise zb.Skip("needs nats-server")
    makefile = os.path.join(zb.BUILDDIR, "Makefile")
    if os.path.exists(makefile) and "ZB_LIBNATS" not in zb.read(makefile):
        raise zb.Skip("built without libnats")


class Server:
    """One server. MORE goes into its configuration."""

    def __init__(self, more="", name="n1", port=None, folder=None):
        need()
        self.name, self.more = name, more
        self.folder = folder or zb.folder()
        self.port = port or zb.free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.process = None
        self.start()

    def start(self, wait=True):
        zb.write(os.path.join(self.folder, f"{self.name}.conf"), f"""
host: 127.0.0.1
port: {self.port}
server_name: {self.name}
jetstream {{ store_dir: "{self.folder}/{self.name}", max_mem: 64M, max_file: 4G }}
{self.more}
""")
        with open(self.log_file, "a") as log:
            self.process = zb.spawn(["nats-server", "-c", os.path.join(self.folder, f"{self.name}.conf")], stdout=log, stderr=log)
        if wait:
            zb.wait_until(lambda: zb.accepts(f"tcp://127.0.0.1:{self.port}"), what="nats-server")

    @property
    def log_file(self):
        return os.path.join(self.folder, f"{self.name}.log")

    def stream_folder(self, stream):
        return os.path.join(self.folder, self.name, "jetstream", "$G", "streams", stream)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """It ends by itself, and writes down what it knows."""
        self.process.terminate()
        self.process.wait()

    def send(self, number):
        self.process.send_signal(number)


class Cluster:
    """So many servers, each with every stream if its replicas say so."""

    def __init__(self, count=3, more=""):
        need()
        folder, ports = zb.folder(), zb.free_ports(2 * count)
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports[count:])
        self.servers = [Server(f'cluster {{ name: zb, listen: "127.0.0.1:{ports[count + i]}", routes: [{routes}] }}\n{more}', f"n{i + 1}",
                               ports[i], folder) for i in range(count)]
        self.url = ", ".join(server.url for server in self.servers)
        zb.wait_until(self.has_leader, 20, "a leader of the cluster")

    def client(self):
        """One that asks again soon: a server without a leader says nothing."""
        for server in self.servers:
            try:
                return Client(server, seconds=0.1)
            except OSError:
                continue
        raise AssertionError("no server")

    def has_leader(self):
        try:
            with self.client() as client:
                return "error" not in client.api("INFO")
        except (OSError, AssertionError):
            return False

    def about(self, *streams):
        """What the cluster says of each."""
        try:
            with self.client() as client:
                return [client.api(f"STREAM.INFO.{stream}").get("cluster", {}) for stream in streams]
        except (OSError, AssertionError):
            return []

    def is_whole(self, *streams):
        """Does every server have all that the streams have?"""
        replicas = [replica for each in self.about(*streams) for replica in each.get("replicas", [])]
        return len(replicas) == len(streams) * (len(self.servers) - 1) and all(
            replica["current"] and not replica.get("offline") for replica in replicas)

    def is_led(self, *streams):
        """Do the servers say who leads each stream, and its consumer?"""
        try:
            with self.client() as client:
                return all(client.api(what).get("cluster", {}).get("leader") for stream in streams
                           for what in (f"STREAM.INFO.{stream}", f"CONSUMER.INFO.{stream}.zbroker"))
        except (OSError, AssertionError):
            return False

    def restart(self):
        """One server after the other, as an administrator would where they elect nobody."""
        for server in self.servers:
            server.stop()
            server.start()

    def leader(self, stream):
        """The server that leads the stream."""
        def found():
            try:
                with self.client() as client:
                    name = client.api(f"STREAM.INFO.{stream}").get("cluster", {}).get("leader")
            except (OSError, AssertionError):
                return None
            return next((server for server in self.servers if server.name == name), None)
        return zb.wait_until(found, 20, f"a leader of {stream}")


class Client:
    """A connection to a server: requests, and messages without waiting for an answer."""

    def __init__(self, server, user=None, password=None, seconds=10):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=seconds * zb.SLOW)
        self.file = self.socket.makefile("rb")
        assert self.file.readline().startswith(b"INFO")
        login = {"user": user, "pass": password} if user else {}
        self.send(f'CONNECT {json.dumps({"verbose": False, "pedantic": False, "headers": True, "no_responders": True, **login})}\r\nPING\r\n')
        assert self.file.readline().startswith(b"PONG")
        self.inbox = f"_INBOX.{os.getpid()}.{time.monotonic_ns()}"
        self.send(f"SUB {self.inbox} 1\r\n")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def publish(self, subject, payload=b"", reply="", headers=None):
        head = b""
        if headers:
            head = b"NATS/1.0\r\n" + b"".join(f"{key}: {value}\r\n".encode() for key, value in headers.items()) + b"\r\n"
        verb = f"HPUB {subject} {reply} {len(head)} {len(head) + len(payload)}" if head else f"PUB {subject} {reply} {len(payload)}"
        self.send(verb.encode() + b"\r\n" + head + payload + b"\r\n")

    def receive(self):
        """The payload of the next message."""
        return self.receive_all()[1]

    def receive_all(self):
        """Its headers, too."""
        while True:
            words = self.file.readline().split()
            assert words, "the server has closed the connection"
            if words[0] == b"PING":
                self.send("PONG\r\n")
            if words[0] in (b"MSG", b"HMSG"):
                size, head = int(words[-1]), int(words[-2]) if words[0] == b"HMSG" else 0
                payload = self.file.read(size + 2)[:-2]
                return payload[:head], payload[head:]

    def request(self, subject, payload=b"", headers=None):
        self.publish(subject, payload, self.inbox, headers)
        return self.receive()

    def api(self, what, **body):
        answer = self.request(f"$JS.API.{what}", json.dumps(body).encode() if body else b"")
        assert answer, f"nobody answers {what}"
        return json.loads(answer)

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

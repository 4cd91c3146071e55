# SPDX-License-Identifier: MPL-2.0
"""Who may talk to whom, between zbroker and NATS servers: secrets, TLS, names, rights, and what comes from a stream."""

import base64
import json
import os
import re
import shutil
import struct
import subprocess

import natsserver
import zb
import zmq
from natsnode import Node, TYPES, acked_nodes, failed, nodes


def need_openssl():
    if not shutil.which("openssl"):
        raise zb.Skip("needs openssl")


def openssl(*args):
    answer = subprocess.run(["openssl", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert answer.returncode == 0, answer.stdout


# --- secrets -----------------------------------------------------------------------------------------------------------------

def test_wrong_credentials_fail_the_route_and_others_run():
    server = natsserver.Server('authorization { users: [ { user: "z", password: "right" } ] }')
    folder, other = zb.folder(), zb.free_ports(2)
    secret = zb.write(os.path.join(folder, "password"), "wrong\n", 0o600)
    node = Node("streamer", server, f"""nats_user = z
nats_password_file = {secret}
[route other]
type = streamer
frontend_bind = tcp://127.0.0.1:{other[0]}
backend_bind = tcp://127.0.0.1:{other[1]}
""")
    failed(node, "uthorization")
    assert "wrong" not in node.daemon.log() and "wrong" not in node.daemon.ctl("show", "config").stdout
    producer, worker = node.peer(zmq.PUSH, other[0]), node.peer(zmq.PULL, other[1])
    producer.send(b"x")
    assert worker.recv() == b"x"


class Key:
    """An Ed25519 key, as NATS writes it: an operator's, an account's or a user's."""

    KINDS = {"O": 14 << 3, "A": 0, "U": 20 << 3}

    def __init__(self, folder, kind):
        self.kind, self.file = self.KINDS[kind], os.path.join(folder, f"{kind}.{len(os.listdir(folder))}.pem")
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.file)
        self.name = self.encoded(bytes([self.kind]), self.der("-pubout"))

    def der(self, *options):
        """Its last 32 octets: the key itself."""
        return subprocess.run(["openssl", "pkey", "-in", self.file, "-outform", "DER", *options], check=True, stdout=subprocess.PIPE).stdout[-32:]

    @staticmethod
    def encoded(prefix, key):
        crc = 0
        for byte in prefix + key:
            crc ^= byte << 8
            for _ in range(8):
                crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
        return base64.b32encode(prefix + key + struct.pack("<H", crc)).rstrip(b"=").decode()

    def seed(self):
        return self.encoded(bytes([18 << 3 | self.kind >> 5, (self.kind & 31) << 3]), self.der())

    def sign(self, of, **claims):
        """A JWT about the key OF."""
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"},
                 {"jti": of.name, "iat": 1, "iss": self.name, "sub": of.name, "name": of.name, "nats": {"version": 2, **claims}}]
        text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
        zb.write(self.file + ".in", text)
        openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", self.file + ".in", "-out", self.file + ".out")
        with open(self.file + ".out", "rb") as signature:
            return (text + b"." + base64.urlsafe_b64encode(signature.read()).rstrip(b"=")).decode()


ANY = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


def test_a_file_of_credentials_opens_a_server_that_knows_its_issuer():
    need_openssl()
    folder = zb.folder()
    operator, system, account, user = (Key(folder, kind) for kind in "OAAU")
    stored = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    jwts = {each.name: operator.sign(each, type="account", limits={**ANY, **more}) for each, more in ((system, {}), (account, stored))}
    server = natsserver.Server(f"""operator: {operator.sign(operator, type="operator")}
system_account: {system.name}
resolver: MEMORY
resolver_preload: {{ {", ".join(f'{name}: "{jwt}"' for name, jwt in jwts.items())} }}""")
    jwt = account.sign(user, type="user", subs=-1, data=-1, payload=-1)
    creds = f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{user.seed()}\n------END USER NKEY SEED------\n"
    node = Node("streamer", server, f"nats_credentials = {zb.write(folder + '/user.creds', creds, 0o600)}").ready()
    producer, worker = node.front(), node.back()
    producer.send(b"x")
    assert worker.recv() == b"x"
    assert user.seed() not in node.daemon.log() and jwt not in node.daemon.ctl("show", "config").stdout
    stranger = creds.replace(user.seed(), Key(folder, "U").seed())
    failed(Node("streamer", server, f"nats_credentials = {zb.write(folder + '/stranger.creds', stranger, 0o600)}"), "uthorization")


# --- mistakes in the configuration -----------------------------------------------------------------------------------------------

MISTAKES = [
    ("", "store: nats needs the key nats, its servers"),
    ("nats = 127.0.0.1:4222", "nats: a server is written as nats://HOST:4222 or tls://HOST:4222"),
    ("nats = nats://127.0.0.1:0", "nats: a server is written as nats://HOST:4222 or tls://HOST:4222"),
    ("nats = nats://me:secret@127.0.0.1:4222", "nats: a server is named without user and password"),
    ("nats = nats://127.0.0.1:4222, nats://a/b", "nats: a server is a host and a port, without more"),
    ("nats = nats://192.0.2.1\nnats_user = z", "nats: what proves who we are would go over the network in the clear"),
    ("nats = nats://127.0.0.1\nnats_ca = {}/open", "nats_ca: does nothing without a server at tls://"),
    ("nats = tls://127.0.0.1\nnats_ca = {}/none", "nats_ca: {}/none: "),
    ("nats = tls://127.0.0.1\nnats_cert = {}/open", "nats_cert: {}/open: "),
    ("nats = nats://127.0.0.1\nnats_credentials = {}/open", "nats_credentials: {}/open: "),
    ("nats = nats://127.0.0.1\nnats_password_file = {}/secret", "nats_password_file: needs nats_user"),
    ("nats = nats://127.0.0.1\nnats_user = z\nnats_credentials = {}/secret", "nats_user: not together with nats_credentials"),
    ("nats = nats://127.0.0.1\nnats_stream = a.b", "nats_stream: a stream's name has letters, digits, '_' and '-'"),
    ("nats = nats://127.0.0.1\nnats_subject = a..b", "nats_subject: a subject has levels of letters, digits, '_' and '-'"),
    ("nats = nats://127.0.0.1\nnats_subject = a.>", "nats_subject: a subject has levels of letters, digits, '_' and '-'"),
    ("nats = nats://127.0.0.1\nnats_replicas = 6", "nats_replicas: "),
]


def test_mistakes_in_the_keys_are_told():
    natsserver.need()
    folder = zb.folder()
    zb.write(os.path.join(folder, "secret"), "s\n", 0o600)
    zb.write(os.path.join(folder, "open"), "s\n", 0o644)
    for lines, wanted in MISTAKES:
        lines, wanted = lines.replace("{}", folder), wanted.replace("{}", folder)
        text = f"[route r]\ntype = streamer\nengine = wire\nfrontend_bind = ipc://@{folder}/in\nbackend_bind = ipc://@{folder}/out\nstore = nats\n{lines}\n"
        answer = zb.run("-t", "-c", zb.write(os.path.join(folder, "m.ini"), text))
        told = re.findall(r"error: \[route r\] (.*)", answer.stderr)
        assert answer.returncode != 0 and len(told) == 1 and told[0].startswith(wanted), f"{lines}: {told}"
        assert "secret@" not in told[0]


def test_keys_of_a_stream_without_one_are_told():
    natsserver.need()
    folder = zb.folder()
    text = f"[route r]\ntype = queue\nfrontend_bind = ipc://@{folder}/in\nbackend_bind = ipc://@{folder}/out\n"
    for lines, wanted in (("nats = nats://127.0.0.1", "nats: does nothing without store = nats"),
                          ("store = nats\nnats = nats://127.0.0.1", "store: is for a streamer or a forwarder")):
        answer = zb.run("-t", "-c", zb.write(os.path.join(folder, "m.ini"), f"{text}{lines}\n"))
        assert re.findall(r"error: \[route r\] (.*)", answer.stderr) == [wanted], answer.stderr


def test_the_dump_names_the_stream_and_the_subject_of_the_route():
    natsserver.need()
    text = "[route r]\ntype = streamer\nfrontend_bind = ipc://@in\nbackend_bind = ipc://@out\nstore = nats\nnats = nats://127.0.0.1\n"
    for lines, names in (("", ("zbroker_r", "zbroker.r")), ("nats_stream =\nnats_subject =\n", ("zbroker_r", "zbroker.r")),
                         ("nats_stream = s\nnats_subject = t.u\n", ("s", "t.u"))):
        dump = zb.run("-T", "-c", "-", stdin=text + lines).stdout
        assert "nats_stream = %s\nnats_subject = %s\n" % names in dump, dump
        assert zb.run("-T", "-c", "-", stdin=dump).stdout == dump


# --- TLS ----------------------------------------------------------------------------------------------------------------------

class Authority:
    """It signs certificates for names."""

    def __init__(self):
        need_openssl()
        self.folder = zb.folder()
        self.cert = self.path("ca.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
                "-keyout", self.path("ca.key"), "-out", self.cert)

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name):
        """The file with the certificate and the key for that name."""
        request, key, cert = (self.path(name + end) for end in (".csr", ".key", ".crt"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        names = zb.write(self.path("names"), f"subjectAltName=DNS:{name}")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", "2",
                "-extfile", names, "-out", cert)
        return zb.write(self.path(name + ".pem"), zb.read(cert) + zb.read(key), 0o600)


def tls_server(authority, name):
    file = authority.sign(name)
    server = natsserver.Server(f'tls {{ cert_file: "{file}", key_file: "{file}", ca_file: "{authority.cert}", verify: true }}')
    server.url = f"tls://localhost:{server.port}"
    return server


def test_a_server_is_known_by_its_certificate_and_knows_us_by_ours():
    authority = Authority()
    node = Node("streamer", tls_server(authority, "localhost"), f"nats_ca = {authority.cert}\nnats_cert = {authority.sign('us')}").ready()
    producer, worker = node.front(), node.back()
    producer.send(b"x")
    assert worker.recv() == b"x"


def test_a_server_with_the_certificate_of_another_is_not_talked_to():
    authority, stranger = Authority(), Authority()
    for signer, name in ((authority, "other"), (stranger, "localhost")):
        node = Node("streamer", tls_server(signer, name), f"nats_ca = {authority.cert}\nnats_cert = {authority.sign('us')}")
        node.daemon.wait_log("event=nats-away .*SSL")
        assert "event=nats-ready" not in node.daemon.log()
        node.daemon.stop()


def test_only_servers_that_are_named_are_connected_to():
    cluster = natsserver.Cluster(3, "debug: true")
    named, others = cluster.servers[0], cluster.servers[1:]
    node = Node("streamer", named, "nats_replicas = 3").ready()
    named.kill()
    node.daemon.wait_log(f"event=nats-away .*reason=.{named.url}")
    assert "event=nats-ready" not in node.daemon.log().split("event=nats-away")[-1]
    assert not any("zbroker r" in zb.read(server.log_file) for server in others), "the others were told by the first one"
    named.start()
    zb.wait_until(lambda: f"connected to {named.url}," in node.daemon.ctl("show", "store").stdout, 30)
    zb.wait_until(lambda: "zbroker r" in zb.read(named.log_file), 30, "the name of our connection, which the others would know")


# --- names and headers -------------------------------------------------------------------------------------------------------------

def test_headers_are_ours_whatever_a_producer_chooses():
    server = natsserver.Server()
    node, = acked_nodes(server, 1)
    producer = node.peer(zmq.REQ, node.acks)
    with natsserver.Client(server) as client:
        client.send("SUB zbroker.r 2\r\n")
        assert "config" in client.api("STREAM.INFO.zbroker_r")
        ids = set()
        for number, theirs in enumerate((b"plain", b"a\r\nNats-Rollup: all", b"\0\xff")):
            producer.send_multipart([theirs, b"one", b"two"])
            assert producer.recv_multipart() == [theirs, b"ok"]
            headers, payload = client.receive_all()
            lines = dict(line.split(b": ") for line in headers.split(b"\r\n")[1:] if line)
            assert set(lines) == {b"Nats-Msg-Id", b"Zbroker-Frames"} and payload == b"\1\3one\0\3two", (headers, payload)
            assert re.fullmatch(rb"[0-9a-f]{32}-[0-9]+", lines[b"Nats-Msg-Id"]), lines
            ids.add(lines[b"Nats-Msg-Id"])
    assert len(ids) == 3


# --- what comes from the stream ----------------------------------------------------------------------------------------------------

def test_what_comes_from_a_stream_has_the_limits_of_a_peer():
    server = natsserver.Server()
    node, = nodes("streamer", server, 1, "frontend_maxmsgsize = 100")
    worker = node.back()
    framed = {"Zbroker-Frames": "2"}
    with natsserver.Client(server) as client:
        for payload, headers in ((b"x" * 101, None), (b"\1\1a\0\145" + b"x" * 101, framed), (b"\1\0" * 100000 + b"\0\0", framed)):
            assert b'"seq":' in client.request("zbroker.r", payload, headers)
        assert b'"seq":' in client.request("zbroker.r", b"x" * 100)
    assert worker.recv_multipart() == [b"x" * 100]
    zb.wait_until(lambda: node.stats()["dropped"]["undeliverable"] == 3)


# --- rights --------------------------------------------------------------------------------------------------------------------------

RIGHTS = {"jobs": "streamer", "prices": "forwarder"}


def test_the_rights_in_the_manual_are_enough():
    page = zb.read(os.path.join(zb.SRCDIR, "man", "zbroker.ini.5.in"))
    rights = re.search(r'^publish: \[.*?^subscribe: "_INBOX.>"$', page, re.M | re.S).group(0)
    server = natsserver.Server(f'authorization {{ users: [ {{ user: "z", password: "p", permissions: {{ {rights} }} }} ] }}')
    secret = zb.write(os.path.join(zb.folder(), "password"), "p\n", 0o600)
    ports = zb.free_ports(4)
    ini = "".join(f"""
[route {name}]
type = {kind}
engine = wire
frontend_bind = tcp://127.0.0.1:{ports[2 * i]}
backend_bind = tcp://127.0.0.1:{ports[2 * i + 1]}
store = nats
nats = {server.url}
nats_user = z
nats_password_file = {secret}
""" for i, (name, kind) in enumerate(RIGHTS.items()))
    context = zmq.Context()
    with zb.Daemon(ini) as daemon:
        for name in RIGHTS:
            daemon.wait_log(f"event=nats-ready route={name}")
        producer, worker = (zb.peer(context, kind, f"tcp://127.0.0.1:{port}") for kind, port in zip(TYPES["streamer"], ports))
        producer.send(b"x")
        worker.rcvtimeo = int(10000 * zb.SLOW)
        assert worker.recv() == b"x"
        pub, sub = (zb.peer(context, kind, f"tcp://127.0.0.1:{port}") for kind, port in zip(TYPES["forwarder"], ports[2:]))
        sub.subscribe(b"")
        sub.rcvtimeo = 100

        def arrives():
            pub.send(b"topic")
            try:
                return sub.recv() == b"topic"
            except zmq.Again:
                return False
        zb.wait_until(arrives)
    assert "ermissions" not in zb.read(server.log_file)


zb.main()

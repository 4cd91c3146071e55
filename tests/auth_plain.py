# SPDX-License-Identifier: MPL-2.0
"""PLAIN and GSSAPI: users, their passwords, and those whose address is enough to refuse them."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys

import zmq
import zb
from secured import Client, Clients, has_come_in, house, is_in, keygen, plain_house, reload, users_of, wait_in
from zmtp import SIGNATURE, command


def test_plain_takes_the_password_that_keygen_hashed():
    folder = zb.folder()
    users = zb.write(folder + "/users", keygen("password", "alice", stdin="wonderland\n").stdout, 0o600)
    ini, front, _ = house("jobs", "streamer", f"security = plain\nusers = {users}")
    with zb.Daemon(ini) as daemon:
        assert is_in(zmq.PUSH, front, user="alice", password="wonderland")
        assert not is_in(zmq.PUSH, front, user="alice", password="looking-glass")
        assert not is_in(zmq.PUSH, front, user="mallory", password="wonderland")
        daemon.wait_log(r"plain refused, unknown-user .* user=mallory$")
        assert "wonderland" not in daemon.log() and "looking-glass" not in daemon.log()
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


def knock(path, name, password):
    """A connection to a UNIX socket that has said who it is."""
    greeting = SIGNATURE + b"\x03\x00" + b"PLAIN".ljust(20, b"\0") + b"\0" + bytes(31)
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(zb.WAIT_MS / 1000)
    peer.connect(path)
    peer.sendall(greeting + command(b"HELLO", b"".join(bytes([len(word)]) + word for word in (name, password))))
    return peer


def is_welcome(peer):
    got = b""
    while b"WELCOME" not in got and (more := peer.recv(4096)):
        got += more
    return b"WELCOME" in got


def test_tries_over_ipc_are_those_of_one_user_of_the_system():
    folder = zb.folder()
    os.chmod(folder, 0o755)
    users = zb.write(folder + "/users", keygen("password", "alice", stdin="x\n").stdout, 0o600)
    with zb.Daemon(f"""
[route jobs]
type = streamer
engine = wire
frontend_bind = ipc://{folder}/in
ipc_mode = 0666
backend_bind = ipc://{folder}/out
security = plain
users = {users}
""") as daemon, contextlib.ExitStack() as guessers:
        with zb.Frozen(daemon.pid, "zb:verify"):
            with zb.as_user(65534):
                for _ in range(30):
                    guessers.enter_context(knock(folder + "/in", b"alice", b"guess"))
            daemon.wait_log("plain refused, too-many-tries")
        with knock(folder + "/in", b"alice", b"x") as alice:
            assert is_welcome(alice), daemon.log()


# --- addresses -------------------------------------------------------------------------------------------------------

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


# --- GSSAPI ----------------------------------------------------------------------------------------------------------

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


if __name__ == "__main__":
    zb.main()

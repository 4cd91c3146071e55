# SPDX-License-Identifier: MPL-2.0
"""Files with keys, users and rights: who may read and write them, when they are read, and what must not leave them."""

import ctypes
import os
import re
import signal
import stat
import struct
import time

import zmq
import zb
from secured import Client, curve_house, house, is_in, keygen, keys, make_cert, plain_house, reload, wait_in


def test_a_secret_that_is_not_secret_is_refused():
    folder = zb.folder()
    ini, *_, = curve_house(folder)
    os.chmod(folder + "/server_secret", 0o640)
    file = zb.write(folder + "/x.ini", ini)
    for args in (["-t"], []):
        result = zb.run(*args, "-c", file)
        assert result.returncode == 1, (args, result)
        assert "server_secret" in result.stderr and "error" in result.stderr


NATS = "store = nats\nnats = tls://127.0.0.1\n"

# How a route names each secret; what else is a file of access control tells no secret.
SECRETS = {
    "server_cert": "frontend_security = curve\nfrontend_server_cert = {}\nfrontend_client_certs = any",
    "client_cert": "backend_security = curve\nbackend_client_cert = {}\nbackend_peer_cert = {}",
    "plain_password_file": "backend_security = plain\nbackend_plain_username = z\nbackend_plain_password_file = {}",
    "nats_password_file": NATS + "nats_user = z\nnats_password_file = {}",
    "nats_credentials": NATS + "nats_credentials = {}",
    "nats_cert": NATS + "nats_cert = {}",
}
NO_SECRETS = {"client_certs", "peer_cert"}


def test_every_key_that_names_a_secret_refuses_one_that_others_may_read():
    manual = zb.read(os.path.join(zb.SRCDIR, "man/zbroker.ini.5.in"))
    assert set(re.findall(r"^\.It Ic (\w*_(?:certs?|file|credentials)) Cm", manual, re.M)) == set(SECRETS) | NO_SECRETS
    folder = zb.folder()
    pair = zb.read(make_cert(folder, "pair") + "_secret")  # it holds both parts
    for key, lines in SECRETS.items():
        ini = zb.write(folder + "/x.ini", "[route r]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:*\nbackend_connect = tcp://127.0.0.1:1\n"
                                          + lines.replace("{}", folder + "/secret") + "\n")
        for mode in (0o640, 0o604, 0o660, 0o600):
            zb.write(folder + "/secret", pair, mode)
            said = zb.run("-t", "-c", ini).stderr
            assert bool(re.search(rf"error: .*{key}: .*mode {mode:04o} (is open to|lets) others", said)) == (mode != 0o600), (key, oct(mode), said)


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
        assert not is_in(zmq.PUSH, front, alice, server)
        with Client(zmq.PUSH, front, bob, server) as friend:
            wait_in(friend)
        assert daemon.stop() == 0


def test_a_configuration_that_others_could_change_is_warned_of():
    folder, parts = zb.folder(), zb.folder()
    part = zb.write(parts + "/part.ini", "[defaults]\nlinger = 1s\n")
    file = zb.write(folder + "/zbroker.ini", f"[zbroker]\ninclude = {parts}/*.ini\n" + house("jobs", "streamer", "")[0])
    assert zb.run("-t", "-c", file).stderr == ""
    for path, wrong, named in ((file, 0o666, file), (part, 0o664, part), (parts, 0o777, part)):
        right = stat.S_IMODE(os.stat(path).st_mode)
        os.chmod(path, wrong)
        said = zb.run("-t", "-c", file)
        assert said.returncode == 0 and said.stderr.count("warning: ") == 1, said
        assert f"{named}: warning: others could change this file: " in said.stderr, said
        os.chmod(path, right)
    os.chmod(file, 0o666)
    with zb.Daemon(file, folder=folder) as daemon:
        daemon.wait_log(re.escape(file) + ": warning: others could change this file: mode 0666 lets others write to it: chmod go-w")
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
        ini = ["[route other]", "type = streamer", f"frontend_bind = ipc://{folder}/a", f"backend_bind = ipc://{folder}/b", "", "[zbroker]", "control =",
               "[route jobs]", "type = streamer", f"frontend_bind = ipc://{folder}/in", f"backend_connect = ipc://{folder}/out", lines]
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


def test_root_may_check_what_the_service_will_read():
    if os.geteuid() != 0:
        raise zb.Skip("needs root")
    folder = zb.folder()
    ini, *_, = curve_house(folder)
    os.chown(folder + "/server_secret", 65534, 65534)
    file = zb.write(folder + "/x.ini", ini)
    assert zb.run("-t", "-c", file).returncode == 0
    assert keygen("--check", folder + "/server").returncode == 0


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


if __name__ == "__main__":
    zb.main()

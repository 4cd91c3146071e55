# SPDX-License-Identifier: MPL-2.0
"""The Debian package in a booted Debian 12: installed, broken, repaired, upgraded and purged, as an administrator would.

`make check-booted' runs it, as root: it builds the package, makes a root file system with debootstrap and boots it with
systemd-nspawn, which takes minutes. ZB_BOOTED_BASE=FOLDER keeps that file system for the next time; ZB_BOOTED_DEB=FILE is
the package that is tested, in place of one that is built here. The tests share the machine and stand in the order in
which an administrator comes to them."""

import atexit
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import zb

NEEDED = ("debootstrap", "systemd-nspawn", "nsenter", "dpkg-deb", "dpkg-buildpackage", "dh")
LIBRARIES = "libczmq4,libinih1,liblmdb0,libmicrohttpd12,libsodium23,libzmq5"
BOOTED = 600  # seconds that a step of the machine may take

# Sends numbers through a streamer until it is told to stop, then says which did not come exactly once.
TRAFFIC = """
import sys, time, zmq
context = zmq.Context()
push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
push.connect(sys.argv[1]); pull.connect(sys.argv[2])
push.linger = pull.linger = 0
poller = zmq.Poller()
poller.register(pull, zmq.POLLIN); poller.register(sys.stdin, zmq.POLLIN)
sent, seen, stop = 0, {}, None
while stop is None or (len(seen) < sent and time.monotonic() < stop + 60):
    if stop is None and push.poll(0, zmq.POLLOUT):
        push.send(b"%d" % sent)
        sent += 1
    for what, _ in poller.poll(2):
        if what is pull:
            number = pull.recv()
            seen[number] = seen.get(number, 0) + 1
            if len(seen) == 100:
                print("flows", flush=True)
        else:
            sys.stdin.readline()
            poller.unregister(sys.stdin)
            stop = time.monotonic()
print(sent, sent - len(seen), sum(seen.values()) - len(seen))
"""


# --- the machine ------------------------------------------------------------------------------------------------------

def call(*command, **options):
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BOOTED * zb.SLOW, **options)
    assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout[-4000:]}"
    return result.stdout


def missing():
    """Why this cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    gone = [name for name in NEEDED if not shutil.which(name)]
    return f"no {', '.join(gone)}" if gone else None


def build_package(place):
    """The package of this source; the path of its file."""
    if os.environ.get("ZB_BOOTED_DEB"):
        return os.environ["ZB_BOOTED_DEB"]
    source = os.path.join(place, "zbroker")
    shutil.copytree(zb.SRCDIR, source, symlinks=True, ignore=shutil.ignore_patterns("build", ".git", "autom4te.cache", "__pycache__"))
    call("dpkg-buildpackage", "-us", "-uc", "-b", cwd=source, env=dict(os.environ, DEB_BUILD_OPTIONS="nocheck noautodbgsym"))
    return next(os.path.join(place, name) for name in os.listdir(place) if re.match(r"zbroker_.*\.deb$", name))


def next_version(package, place):
    """The same package, one version later."""
    tree = os.path.join(place, "next")
    call("dpkg-deb", "-R", package, tree)
    control = os.path.join(tree, "DEBIAN", "control")
    zb.write(control, re.sub(r"^(Version: .*)$", r"\1+next", zb.read(control), flags=re.M))
    return call("dpkg-deb", "-b", "--root-owner-group", tree, os.path.join(place, "next.deb")) and os.path.join(place, "next.deb")


def make_root(place):
    root, kept = os.path.join(place, "root"), os.environ.get("ZB_BOOTED_BASE")
    base = kept or root
    if not os.path.exists(os.path.join(base, "usr/lib/systemd/systemd")):
        call("debootstrap", "--variant=minbase", f"--include=systemd-sysv,dbus,{LIBRARIES}", "bookworm", base, *os.environ.get("ZB_BOOTED_MIRROR", "").split())
    if kept:
        call("cp", "-a", "--reflink=auto", kept, root)
    return root


class Machine:
    """A booted Debian with a loopback interface and nothing else; .packages are in its /srv."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="zb-booted-", dir="/var/tmp")
        self.process = None
        atexit.register(self.remove)
        package = build_package(self.place)
        root = make_root(self.place)
        self.root = root
        for name, file in (("first.deb", package), ("next.deb", next_version(package, self.place))):
            shutil.copy(file, os.path.join(root, "srv", name))
        self.boot()

    def boot(self):
        self.log = open(os.path.join(self.place, "console"), "wb")
        self.process = subprocess.Popen(["systemd-nspawn", "-D", self.root, "--private-network", "--register=no", "--keep-unit", "-b", "--quiet"],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)

        def is_up():
            assert self.process.poll() is None, zb.read(self.log.name)
            return self.leader and self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")

        zb.wait_until(is_up, 20, "a machine that is up")

    @property
    def leader(self):
        """Its first process. While systemd-nspawn sets it up, there are others before."""
        return (zb.read(f"/proc/{self.process.pid}/task/{self.process.pid}/children").split() or [None])[-1]

    def run(self, script):
        """A shell script in the machine: its .returncode and .stdout, with what it said on standard error."""
        return subprocess.run(["nsenter", "-t", self.leader, "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
                               "LC_ALL=C", "sh", "-c", script], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=BOOTED * zb.SLOW)

    def do(self, script):
        """The same, and it has to work; its output."""
        result = self.run(script)
        assert result.returncode == 0, f"{script}: {result.returncode}\n{result.stdout}\n{self.journal()}"
        return result.stdout.strip()

    def fails(self, script, code=None):
        result = self.run(script)
        assert result.returncode != 0 if code is None else result.returncode == code, f"{script}: {result.returncode}\n{result.stdout}"
        return result.stdout.strip()

    def journal(self, unit="zbroker"):
        return self.run(f"journalctl --no-pager -n 60 -u {unit}").stdout

    def show(self, name, unit="zbroker"):
        return self.do(f"systemctl show --value -p {name} {unit}")

    def wait_for(self, name, value, unit="zbroker", seconds=30):
        zb.wait_until(lambda: self.show(name, unit) == value, seconds, f"{unit} with {name}={value}")

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        zb.write(self.root + path, text, mode)

    def read(self, path):
        return zb.read(self.root + path)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.run("systemctl poweroff --force --force")
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(self.place, ignore_errors=True)


class Traffic:
    """Messages through the route jobs while the block lasts; afterwards all have arrived once."""

    def __init__(self, machine, frontend="tcp://127.0.0.1:5570", backend="tcp://127.0.0.1:5571"):
        self.process = subprocess.Popen(["nsenter", "-t", machine.leader, "-n", sys.executable, "-c", TRAFFIC, frontend, backend], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        assert self.process.stdout.readline() == "flows\n"
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.process.kill()
        said = self.process.communicate("stop\n" if not kind else None)[0]
        if kind is None:
            sent, lost, doubled = map(int, said.split())
            print(f"# {sent} messages, {lost} lost, {doubled} doubled", flush=True)
            assert sent > 100 and lost == doubled == 0, said


_machine = []


def machine():
    if not _machine:
        _machine.append(Machine())
    return _machine[0]


@contextlib.contextmanager
def edited(m, old, new):
    """In the block the file has NEW in place of OLD; after it the service runs with the old one."""
    kept = m.read("/etc/zbroker.ini")
    assert kept.count(old) == 1, (old, kept)
    m.write("/etc/zbroker.ini", kept.replace(old, new))
    try:
        yield
    finally:
        m.write("/etc/zbroker.ini", kept)
        m.do(RESTART)
    works(m)


RESTART = "systemctl reset-failed zbroker; systemctl restart zbroker"  # so often that systemd would not start it any more


def works(m, route="jobs"):
    m.do(f"zbroker-bench pushpull --through {route} -c /etc/zbroker.ini -m 500 -q")


STREAMER = "[route {0}]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:{1}\nbackend_bind = tcp://127.0.0.1:{2}\n"


# --- the first hour -----------------------------------------------------------------------------------------------------

def test_it_is_installed_and_runs():
    m = machine()
    m.do("dpkg -i /srv/first.deb")
    assert m.do("systemctl is-active zbroker") == "active" and m.do("systemctl is-enabled zbroker") == "enabled"
    assert m.run("systemctl is-enabled zbroker.socket").stdout.strip() == "disabled"
    works(m)
    assert m.do("zbrokerctl status").startswith("zbroker ")
    assert m.show("StatusText").startswith("4 routes")


def test_its_folders_are_its_own():
    m = machine()
    for path in ("/etc/zbroker", "/etc/zbroker/clients", "/etc/zbroker.d", "/etc/zbroker.ini"):
        assert m.do(f"dpkg -S {path}") == f"zbroker: {path}"
    assert m.do("stat -c '%a %U %G' /etc/zbroker /etc/zbroker/clients /etc/zbroker.d /var/lib/zbroker").splitlines() == [
        "750 root zbroker", "750 root zbroker", "755 root root", "750 zbroker zbroker"]
    assert "/etc/zbroker.ini" in m.do("dpkg-query -W -f '${Conffiles}' zbroker")


def test_the_group_may_use_the_control_socket():
    m = machine()
    m.do("useradd -M friend; useradd -M stranger; usermod -aG zbroker friend")
    m.do("setpriv --reuid friend --regid friend --init-groups zbrokerctl status")
    m.fails("setpriv --reuid stranger --regid stranger --init-groups zbrokerctl status", 4)


def test_the_first_edit_opens_a_port_to_the_network():
    m = machine()
    with edited(m, "frontend_bind = tcp://127.0.0.1:5570\n", "frontend_bind = tcp://*:5570\nsecurity = none\n"):
        m.do("zbroker -t")
        m.do("systemctl reload zbroker")
        assert "tcp://*:5570" in m.do("zbrokerctl show routes")
        works(m)
        m.do(RESTART)
        works(m)


def test_a_file_in_zbroker_d_counts():
    m = machine()
    m.write("/etc/zbroker.d/more.ini", STREAMER.format("more", 7001, 7002))
    m.do("systemctl reload zbroker")
    zb.wait_until(lambda: "more" in m.do("zbrokerctl show routes"), 10, "the route of the new file")
    works(m, "more")


def test_root_checks_what_the_service_can_read():
    m = machine()
    m.do("zbroker-keygen cert server.cert -d /etc/zbroker")
    curve = "[route link]\nsecurity = curve\nserver_cert = /etc/zbroker/server.cert\nclient_certs = any\n"
    with edited(m, "[route link]\n", curve):
        said = m.fails("zbroker -t", 1)
        assert "server.cert_secret" in said and "checked as user zbroker" in said, said
        m.fails(RESTART)
        m.do("chown zbroker /etc/zbroker/server.cert_secret && zbroker -t && " + RESTART)
    m.do("rm /etc/zbroker/server.cert*")


# --- what goes wrong ----------------------------------------------------------------------------------------------------

def test_a_wrong_file_stops_nothing_and_starts_once():
    m = machine()
    with edited(m, "type = queue", "type = cue"):
        m.fails("systemctl reload zbroker")
        m.do("zbrokerctl status")
        m.fails(RESTART)
        assert m.show("ExecMainStatus") == "1" and m.show("NRestarts") == "0" and m.show("ActiveState") == "failed"


def test_a_port_in_use_is_tried_again():
    m = machine()
    m.do("systemctl stop zbroker")
    holder = subprocess.Popen(["nsenter", "-t", m.leader, "-n", sys.executable, "-c",
                               "import socket, sys; s = socket.create_server(('127.0.0.1', 5571)); print('here', flush=True); sys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"here\n"
        m.fails("systemctl start zbroker")
        assert m.show("ExecMainStatus") == "69" and "5571: Address already in use" in m.journal()
    finally:
        holder.communicate(b"")
    m.wait_for("ActiveState", "active")
    works(m)


LOW = ("frontend_bind = tcp://127.0.0.1:5580", "frontend_bind = tcp://127.0.0.1:80")


def test_a_low_port_is_not_tried_again_and_the_drop_in_cures_it():
    m = machine()
    with edited(m, *LOW):
        m.fails(RESTART)
        assert m.show("ExecMainStatus") == "77" and m.show("NRestarts") == "0"
        assert "ports below 1024 need zbroker.socket or CAP_NET_BIND_SERVICE" in m.journal()
        m.write("/etc/systemd/system/zbroker.service.d/low-ports.conf", zb.read(os.path.join(zb.SRCDIR, "contrib/systemd/low-ports.conf")))
        m.do(f"systemctl daemon-reload; {RESTART}")
        assert "127.0.0.1:80" in m.do("zbrokerctl show routes")
        m.do("rm -r /etc/systemd/system/zbroker.service.d && systemctl daemon-reload")


def test_the_socket_unit_opens_a_low_port():
    m = machine()
    m.do("systemctl stop zbroker")
    m.write("/etc/systemd/system/zbroker.socket.d/port.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:80\n")
    m.do("systemctl daemon-reload && systemctl enable --now zbroker.socket")
    with edited(m, *LOW):
        m.do(RESTART)
        assert "127.0.0.1:80" in m.do("zbrokerctl show routes")
        m.do("systemctl stop zbroker; systemctl disable --now zbroker.socket && rm -r /etc/systemd/system/zbroker.socket.d && systemctl daemon-reload")


def test_the_watchdog_ends_what_hangs():
    m = machine()
    m.do("mkdir -p /run/systemd/system/zbroker.service.d; printf '[Service]\\nWatchdogSec=3s\\n' >/run/systemd/system/zbroker.service.d/watchdog.conf; systemctl daemon-reload; " + RESTART)
    pid = m.show("MainPID")
    m.do(f"kill -STOP {pid}")
    zb.wait_until(lambda: m.show("MainPID") not in (pid, "0") and m.show("ActiveState") == "active", 60, "a new process")
    assert "Watchdog timeout" in m.journal()
    works(m)
    m.do("rm -r /run/systemd/system/zbroker.service.d; systemctl daemon-reload; " + RESTART)


def test_a_control_socket_that_was_deleted_comes_back():
    m = machine()
    m.do("rm /run/zbroker/control.sock")
    zb.wait_until(lambda: m.run("zbrokerctl status").returncode == 0, 10, "the control socket")


# --- instances ----------------------------------------------------------------------------------------------------------

def test_instances_live_side_by_side():
    m = machine()
    for name, port in (("one", 7101), ("two", 7201)):
        m.write(f"/etc/zbroker/{name}.ini", STREAMER.format(name, port, port + 1))
        m.do(f"zbroker -t -c /etc/zbroker/{name}.ini && systemctl enable --now zbroker@{name}")
        assert f"route {name}" in m.do(f"zbrokerctl -c /etc/zbroker/{name}.ini status") or name in m.do(f"zbrokerctl -c /etc/zbroker/{name}.ini show routes")
    assert m.do("stat -c '%U %a' /run/zbroker-one /var/lib/zbroker/one").splitlines() == ["zbroker 755", "zbroker 750"]
    assert "one" not in m.do("zbrokerctl show routes")


def test_an_instance_that_fails_hurts_no_other():
    m = machine()
    m.write("/etc/zbroker/three.ini", "[route x]\ntype = cue\n")
    m.fails("systemctl start zbroker@three")
    m.do("cp /etc/zbroker/one.ini /etc/zbroker/three.ini")
    m.fails("systemctl start zbroker@three")  # one has its ports
    m.do("systemctl stop zbroker@three && rm /etc/zbroker/three.ini")
    for command in ("zbrokerctl status", "zbrokerctl -c /etc/zbroker/one.ini status", "zbrokerctl -c /etc/zbroker/two.ini status"):
        m.do(command)
    m.do("systemctl reload zbroker@one && systemctl disable --now zbroker@two && rm /etc/zbroker/two.ini")
    assert m.do("ls -d /run/zbroker-*") == "/run/zbroker-one"


# --- new versions, and the end --------------------------------------------------------------------------------------------

def test_a_restart_loses_nothing():
    m = machine()
    with Traffic(m):
        m.do(RESTART)
        m.do("systemctl reload zbroker")
        m.do(RESTART)


CLIENTS = r"zbrokerctl -j show clients jobs | grep -o '\"id\":[0-9]*' | sort"


def test_the_package_upgrades_what_runs_without_cutting_a_connection():
    m = machine()
    with edited(m, ";log_level = info", "log_level = notice"):
        m.do(RESTART)
        units = ("zbroker", "zbroker@one")
        before = [m.show("MainPID", unit) for unit in units]
        with Traffic(m):
            clients = m.do(CLIENTS)
            assert len(clients.splitlines()) == 2, clients
            m.do("dpkg -i --force-confdef --force-confold /srv/next.deb")
            assert m.do(CLIENTS) == clients
        assert [m.show("MainPID", unit) for unit in units] == before
        assert [m.show("ActiveState", unit) for unit in units] == ["active", "active"]
        for pid in before:
            assert m.do(f"readlink /proc/{pid}/exe") == "/usr/sbin/zbroker"  # and not "(deleted)"
        assert m.do("dpkg-query -W -f '${Version}' zbroker").endswith("+next")
        assert "\nlog_level = notice\n" in m.read("/etc/zbroker.ini")
        for unit in units:
            said = m.do(f"journalctl -q -o cat -u {unit} ZBROKER_EVENT=upgraded")
            assert re.fullmatch(r"upgraded: .*", said), said
        m.do("systemctl reload zbroker zbroker@one")


def test_the_journal_finds_events_by_their_fields():
    m = machine()
    m.do("zbrokerctl pause jobs && zbrokerctl resume jobs")
    said = m.do("journalctl -q -o cat -u zbroker ZBROKER_ROUTE=jobs ZBROKER_EVENT=route-state ZBROKER_STATE=paused")
    assert said.splitlines()[-1] == "route jobs: paused", said
    assert m.run("journalctl -q -o cat -u zbroker ZBROKER_EVENT=route-state ZBROKER_ROUTE=nix").stdout == ""
    fields = m.do("journalctl -q -o export -n 1 -u zbroker ZBROKER_EVENT=route-state")
    for field in ("PRIORITY=5", "SYSLOG_IDENTIFIER=zbroker", "_TRANSPORT=journal", "_SYSTEMD_UNIT=zbroker.service"):
        assert field in fields.splitlines(), fields


def test_purge_leaves_only_what_the_administrator_made():
    m = machine()
    m.do("dpkg --purge zbroker")
    assert m.run("systemctl is-active zbroker zbroker@one").stdout.split() == ["inactive", "inactive"]
    m.fails("pgrep -x zbroker")
    gone = ("/etc/zbroker.ini", "/etc/zbroker/clients", "/var/lib/zbroker", "/run/zbroker", "/run/zbroker-one",
            "/usr/sbin/zbroker", "/lib/systemd/system/zbroker.service", "/etc/logcheck/ignore.d.server/zbroker")
    assert m.do("ls -d " + " ".join(gone) + " 2>/dev/null || true") == ""
    assert m.do("find /etc/zbroker /etc/zbroker.d -type f | sort").splitlines() == ["/etc/zbroker.d/more.ini", "/etc/zbroker/one.ini"]
    m.do("dpkg -i /srv/first.deb && rm /etc/zbroker.d/more.ini /etc/zbroker/one.ini && dpkg --purge zbroker")
    assert m.do("ls -d /etc/zbroker* 2>/dev/null || true") == ""


why = missing()
if why:
    print(f"1..0 # SKIP {why}")
    sys.exit(0)
for name, test in list(globals().items()):
    if name.startswith("test_"):
        globals()[name] = zb.limit(BOOTED)(test)
zb.main()

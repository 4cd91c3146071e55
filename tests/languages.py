# SPDX-License-Identifier: MPL-2.0
"""Clients in other languages: unchanged ZeroMQ clients are all that zbroker needs.

Every library is one end of conversations through zbroker, pyzmq the other, and every message is checked. Each pair of
library and column is a test, skipped where the library is not installed. What no system packages takes part by

    ZB_CLIENTS="NAME: COLUMN COLUMN...= COMMAND; ..."      COMMAND understands what tests/clients/client.c does

languages.py --write doc/compatibility.md runs all of them and writes the table."""

import atexit
import functools
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import typing

import zmq
import zb

COUNT = 1000 if "--write" in sys.argv else 300  # messages of a conversation
RESTART_COUNT = 500
CLIENTS = os.path.join(zb.SRCDIR, "tests", "clients")


# --- the libraries ------------------------------------------------------------------------------------------------------

@functools.cache
def made_folder():
    """For what is compiled once for all tests."""
    path = tempfile.mkdtemp(prefix="zb-clients-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def need(command, *check, package):
    """Skip where COMMAND is missing, or where it fails with the arguments CHECK."""
    found = shutil.which(command)
    if not found:
        raise zb.Skip(f"no {command} ({package})")
    if check and subprocess.run([found, *check], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60 * zb.SLOW).returncode:
        raise zb.Skip(f"{command} has no such library ({package})")
    return found


@functools.cache
def c_client():
    """Compiled here against the libzmq that is here."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    need(compiler[0], package="a C compiler")
    need("pkg-config", "--exists", "libzmq", package="Debian: libzmq3-dev")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libzmq"], stdout=subprocess.PIPE, text=True, check=True).stdout
    program = os.path.join(made_folder(), "client")
    subprocess.run(compiler + ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program,
                               os.path.join(CLIENTS, "client.c")] + shlex.split(flags), check=True, timeout=60 * zb.SLOW)
    return [program]


def python_client():
    return [sys.executable, "-B", os.path.join(CLIENTS, "client.py")]


def ruby_client():
    ruby = "/usr/bin/ruby" if os.path.exists("/usr/bin/ruby") else "ruby"  # packages are installed for the system's own one
    return [need(ruby, "-e", "require 'ffi-rzmq'", package="Debian: ruby-ffi-rzmq"), "-W0", os.path.join(CLIENTS, "client.rb")]


def perl_client():
    perl = "/usr/bin/perl" if os.path.exists("/usr/bin/perl") else "perl"
    return [need(perl, "-MZMQ::FFI", "-e", "1", package="Debian: libzmq-ffi-perl"), os.path.join(CLIENTS, "client.pl")]


def php_client():
    return [need("php", "-r", "exit(extension_loaded('zmq') ? 0 : 1);", package="Debian: php-cli, php-zmq"), os.path.join(CLIENTS, "client.php")]


def node_client():
    return [need("node", "-e", "require('zeromq')", package="npm: zeromq, found by NODE_PATH"), os.path.join(CLIENTS, "client.js")]


@functools.cache
def java_client(jar, package):
    path = f"/usr/share/java/{jar}"
    compiler = need("javac", package="Debian: default-jdk-headless")
    if not os.path.exists(path):
        raise zb.Skip(f"no {path} (Debian: {package})")
    classes = os.path.join(made_folder(), jar)
    subprocess.run([compiler, "-cp", path, "-d", classes, os.path.join(CLIENTS, "Client.java")], check=True, timeout=60 * zb.SLOW)
    return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Djava.library.path=/usr/lib/jni:/usr/lib/" + platform.machine() + "-linux-gnu/jni",
            "-cp", f"{path}:{classes}", "Client"]


def said(*command):
    """What a command says, on one line."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout.strip()


def debian(package):
    return lambda: f"Debian's {package} " + re.sub(r"^.*?:|-[^-]*$", "", said("dpkg-query", "-W", "-f", "${Version}", package))


ALL = ("none", "PLAIN", "CURVE", "heartbeats", "restart", "routing id")
PLAIN_ONLY = ("none", "heartbeats", "restart", "routing id")  # it has no security, and answers heartbeats at most


class Library(typing.NamedTuple):
    command: typing.Callable
    version: typing.Callable
    columns: tuple = ALL


LIBRARIES = {
    "C, libzmq": Library(c_client, lambda: "libzmq " + zmq.zmq_version()),
    "Python, pyzmq": Library(python_client, lambda: f"{zmq.__version__}, libzmq {zmq.zmq_version()}"),
    "Ruby, ffi-rzmq": Library(ruby_client, debian("ruby-ffi-rzmq")),
    "Perl, ZMQ::FFI": Library(perl_client, debian("libzmq-ffi-perl")),
    "PHP, php-zmq": Library(php_client, debian("php-zmq")),
    "JavaScript, zeromq.js": Library(node_client, lambda: "npm's zeromq " + said("node", "-p", "let z=require('zeromq'); "
                                                                                 "require('zeromq/package.json').version+', libzmq '+z.version")),
    "Java, jeromq": Library(lambda: java_client("jeromq.jar", "libjeromq-java"), debian("libjeromq-java"), PLAIN_ONLY),
    "Java, jzmq": Library(lambda: java_client("zmq.jar", "libzmq-java"), debian("libzmq-java"), PLAIN_ONLY),
}


def given(text):
    """The rows of ZB_CLIENTS."""
    for entry in filter(str.strip, text.split(";")):
        head, command = entry.split("=", 1)
        name, columns = head.split(":", 1)
        words = [column for column in ALL if re.search(rf"\b{column}\b", columns)]
        yield name.strip(), Library(functools.partial(shlex.split, command), lambda: "run by hand", tuple(words))


LIBRARIES.update(given(os.environ.get("ZB_CLIENTS", "")))


# --- conversations ------------------------------------------------------------------------------------------------------

FRONT, BACK = 0, 1
# kind of the library, its side, type of the route, kind of pyzmq at the other side
CONVERSATIONS = (("push", FRONT, "streamer", "pull"), ("pull", BACK, "streamer", "push"), ("req", FRONT, "queue", "rep"),
                 ("rep", BACK, "queue", "req"), ("dealer", FRONT, "queue", "rep"), ("pub", FRONT, "forwarder", "sub"),
                 ("sub", BACK, "forwarder", "pub"), ("pair", FRONT, "pair", "mirror"), ("mirror", BACK, "pair", "pair"))


class Client:
    def __init__(self, command, kind, endpoint, count=COUNT, options=None):
        self.what = f"{os.path.basename(command[-1])} {kind}"
        self.process = zb.spawn(command + [kind, endpoint, str(count)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, **(options or {})})

    def succeeds(self):
        output, _ = self.process.communicate(timeout=40 * zb.SLOW)
        assert self.process.returncode == 0, f"{self.what} ended with {self.process.returncode}: {output}"

    def ends(self):
        """A publisher goes on until it is told to stop."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20 * zb.SLOW)


class House:
    """A daemon with one route, and what its clients need to come in."""

    def __init__(self, kind, lines="", options=None):
        self.folder, self.options = zb.folder(), options or {}
        self.ends = [f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2)]  # what jeromq calls ipc is not
        self.file = zb.write(f"{self.folder}/zbroker.ini", f"""
[route r]
type = {kind}
engine = wire
frontend_bind = {self.ends[FRONT]}
backend_bind = {self.ends[BACK]}
{lines}
""")

    def start(self):
        return zb.Daemon(self.file, folder=self.folder)


def no_security():
    return {"lines": ""}


def plain():
    users = zb.write(zb.folder() + "/users", zb.run("password", "me", name="zbroker-keygen", stdin="secret\n").stdout, 0o600)
    return {"lines": f"security = plain\nusers = {users}", "options": {"CLIENT_USER": "me", "CLIENT_PASSWORD": "secret"}}


def curve():
    lines, options = zb.curve(zb.folder())
    return {"lines": lines, "options": {f"CLIENT_{word}_KEY": options[f"curve_{word.lower()}key"].decode() for word in ("SERVER", "PUBLIC", "SECRET")}}


def heartbeats():
    """In both directions, so often that they come between the messages. More than 100 PINGs that are read in a second, for
    instance after the broker had to wait for a processor, are a fault: ours come every 10 ms, theirs every 30 ms."""
    return {"lines": "heartbeat_ivl = 10ms\nheartbeat_timeout = 2m", "options": {"CLIENT_HEARTBEAT": "30"}}


def converses(command, house, conversation):
    """One conversation, to its end. The ZMTP of the library, as the route knows it."""
    kind, side, _, other = conversation
    with house.start() as daemon:
        library = functools.partial(Client, command, kind, house.ends[side], options=house.options)
        partner = functools.partial(Client, python_client(), other, house.ends[1 - side], options=house.options)
        back, front = (library(), partner()) if side == BACK else (partner(), library())
        versions = zb.wait_until(lambda: zmtp_of(daemon, "frontend" if side == FRONT else "backend") or front.process.poll() is not None)
        back.succeeds()
        if "pub" in (kind, other):
            front.ends()
        else:
            front.succeeds()
        assert daemon.stop() == 0, daemon.log()
    return versions


def zmtp_of(daemon, side):
    found = daemon.ctl("-j", "show", "clients", "r")
    return next((each["zmtp"] for each in json.loads(found.stdout)["clients"] if each["side"] == side), None) if found.returncode == 0 else None


def conversations_with(make):
    def cell(command):
        versions = {converses(command, House(each[2], **make()), each) for each in CONVERSATIONS}
        return f"{len(CONVERSATIONS)} of {len(CONVERSATIONS)}", *(version for version in versions if isinstance(version, str))
    return cell


RESTARTED = ("req", FRONT, "queue", "rep"), ("rep", BACK, "queue", "req"), ("pair", FRONT, "pair", "mirror"), ("push", FRONT, "streamer", "pull")


def restarts(command):
    """The broker ends and starts again twice in the middle: no message is lost, nobody waits for ever."""
    for kind, side, route, other in RESTARTED:
        house = House(route, options={"CLIENT_PAUSE": "3"})
        daemon = house.start()
        library = Client(command, kind, house.ends[side], RESTART_COUNT, house.options)
        partner = Client(python_client(), other, house.ends[1 - side], RESTART_COUNT, house.options)
        for _ in range(2):
            with zb.Control(daemon) as control:
                zb.wait_until(lambda: control.route("r")["frontend"]["messages_received"] > 100 or library.process.poll() is not None, 20,
                              f"messages of {kind}")
            assert library.process.poll() is None or kind == "push", f"{kind} is too quick, or has failed: {library.process.communicate()[0]}"
            assert daemon.stop() == 0, daemon.log()
            daemon = house.start()
        library.succeeds()
        partner.succeeds()
        assert daemon.stop() == 0, daemon.log()
    return f"{len(RESTARTED)} of {len(RESTARTED)}",


def keeps_id(command):
    """A service sees a client's routing id as the client chose it."""
    house = House("queue", options={"CLIENT_ID": "me-of-5"})
    with house.start() as daemon, zmq.Context() as context, zb.peer(context, zmq.DEALER, house.ends[BACK]) as service:
        client = Client(command, "req", house.ends[FRONT], 10, house.options)
        service.rcvtimeo = int(20000 * zb.SLOW)
        for _ in range(10):
            name, *rest, number, last = service.recv_multipart()
            assert name == b"me-of-5", name
            service.send_multipart([name, *rest, b"%d" % (2 * int(number)), last])
        client.succeeds()
        assert daemon.stop() == 0, daemon.log()
    return "kept",


COLUMNS = {"none": conversations_with(no_security), "PLAIN": conversations_with(plain), "CURVE": conversations_with(curve),
           "heartbeats": conversations_with(heartbeats), "restart": restarts, "routing id": keeps_id}


# --- the table ----------------------------------------------------------------------------------------------------------

HEAD = """<!-- SPDX-License-Identifier: MPL-2.0 -->
# Who talks to zbroker

Made by `tests/languages.py --write`, which runs all of this: change it there. Each library is one end of a conversation
through zbroker (engine wire), pyzmq is the other, and every message is checked.

- **none, PLAIN, CURVE**: {conversations} conversations of {count} messages or requests with this security: the library as
  {kinds}. mirror is the PAIR behind, dealer a REQ by hand.
- **heartbeats**: the same with heartbeats every 10 ms from zbroker, and every 30 ms from the clients; a library without them hears
  ours.
- **restart**: zbroker ends and starts again twice in the middle of {restarted}; no message is lost, nobody waits for ever.
- **routing id**: a service sees it as the client chose it.
- **ZMTP**: the version that the connection speaks.

absent: the library does not have it. Rows run by hand are of libraries that this system does not package.

"""

FOOT = """
`tests/programs.py` runs programs that speak ZeroMQ of their own accord: rsyslog (omczmq, imczmq) and a Jupyter kernel.
`tests/differential.py` compares what peers hear through wire and through libzmq's zmq_proxy(3), message by message. They can
tell the two apart by this only:

- a routing id that zbroker gives has up to 13 octets, libzmq's have 5;
- `xpub_verbose` and a publisher: it hears of the last cancellation, which libzmq's proxies forget;
- a second client with a routing id that is in use is refused, and not left without answers;
- topics are limited (`max_topic`), and messages (`maxmsgsize`, `max_parts`).
"""


def tap(name, column):
    """A test: a cell of the table."""
    def cell():
        return COLUMNS[column](LIBRARIES[name].command())
    return zb.limit(180)(lambda: cell() and None)


def table_row(name, library):
    cells, zmtp = [], ""
    for column in COLUMNS:
        if column not in library.columns:
            cells.append("absent")
            continue
        try:
            result, *versions = COLUMNS[column](library.command())
            zmtp = zmtp or " ".join(versions)
        except (AssertionError, subprocess.TimeoutExpired) as problem:
            result = "**fails**"
            print(f"{name}, {column}: {problem}", file=sys.stderr)
        finally:
            zb.clean()
        cells.append(result)
        print(name, column, result, flush=True)
    return [name, library.version(), zmtp, *cells]


def write_table(path):
    rows, missing = [["library", "version", "ZMTP", *COLUMNS]], []
    for name, library in LIBRARIES.items():
        try:
            rows.append(table_row(name, library))
        except zb.Skip as why:
            missing.append(f"{name}: {why}")
    rows.insert(1, ["---"] * len(rows[0]))
    text = HEAD.format(conversations=len(CONVERSATIONS), count=COUNT, kinds=", ".join(each[0] for each in CONVERSATIONS),
                       restarted=", ".join(each[0] for each in RESTARTED))
    text += "".join("| " + " | ".join(row) + " |\n" for row in rows)
    text += "".join(f"\nNot run here: {each}\n" for each in missing) + FOOT
    with open(path, "w") as out:
        out.write(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_table(sys.argv[2])
    else:
        zb.main([(f"{name}: {column}", tap(name, column)) for name, library in LIBRARIES.items() for column in library.columns])

# SPDX-License-Identifier: MPL-2.0
"""Clients in other languages: unchanged ZeroMQ clients are all that zbroker needs.

Every library is one end of conversations through zbroker, pyzmq the other, and every message is checked. Each pair of
library and column is a test, whose conversations run side by side; it is skipped where the library is not installed. What
no system packages takes part by

    ZB_CLIENTS="NAME: COLUMN COLUMN...= COMMAND; ..."      COMMAND understands what tests/clients/client.c does

languages.py --write doc/compatibility.md [NAME...] runs all of them, or those whose names are given, and writes the table; the
rows of all others stay as they are."""

import atexit
import functools
import glob
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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
def compiled(source, library, package, *flags, variable="CC", default="cc"):
    """A client in C or C++, compiled here against the LIBRARY that is here."""
    compiler = shlex.split(os.environ.get(variable, default))
    need(compiler[0], package=f"a compiler, {variable}")
    need("pkg-config", "--exists", library, package=f"Debian: {package}")
    found = said("pkg-config", "--cflags", "--libs", library)
    program = os.path.join(made_folder(), source.replace(".", "-"))
    subprocess.run([*compiler, *flags, "-Wall", "-Wextra", "-Werror", "-O1", "-o", program, os.path.join(CLIENTS, source), *shlex.split(found)],
                   check=True, timeout=60 * zb.SLOW)
    return [program]


def c_client():
    return compiled("client.c", "libzmq", "libzmq3-dev", "-std=c11", "-D_GNU_SOURCE")


def czmq_client():
    return compiled("client_czmq.c", "libczmq", "libczmq-dev", "-std=c11", "-D_GNU_SOURCE")


def cpp_client():
    return compiled("client.cpp", "cppzmq", "cppzmq-dev", "-std=c++17", variable="CXX", default="c++")


def python_client():
    return [sys.executable, "-B", os.path.join(CLIENTS, "client.py")]


def asyncio_client():
    return [need(sys.executable, "-c", "import zmq.asyncio", package="Debian: python3-zmq"), "-B", os.path.join(CLIENTS, "client_asyncio.py")]


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


CARGO = """[package]
name = "client"
version = "0.0.0"
edition = "2021"

[[bin]]
name = "client"
path = "{source}"

[dependencies]
zmq = "*"
"""
CRATES = "/usr/share/cargo/registry"  # Debian's


@functools.cache
def rust_client():
    need("cargo", "--version", package="Debian: cargo, librust-zmq-dev")
    if not glob.glob(f"{CRATES}/zmq-[0-9]*"):
        raise zb.Skip("no zmq crate (Debian: librust-zmq-dev)")
    folder = tempfile.mkdtemp(dir=made_folder())
    zb.write(f"{folder}/Cargo.toml", CARGO.format(source=os.path.join(CLIENTS, "client.rs")))
    subprocess.run(["cargo", "build", "--quiet", "--offline", "--config", "source.crates-io.replace-with='debian'",
                    "--config", f"source.debian.directory='{CRATES}'"], cwd=folder, check=True, timeout=100 * zb.SLOW)
    return [f"{folder}/target/debug/client"]


def r_client():
    return [need("Rscript", "-e", "library(pbdZMQ)", package="Debian: r-cran-pbdzmq"), os.path.join(CLIENTS, "client.R")]


def octave_client():
    return [need("octave-cli", "--eval", "pkg load zeromq", package="Debian: octave-zeromq"), "--no-init-file", "--quiet",
            os.path.join(CLIENTS, "client.m")]


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
    "C, czmq": Library(czmq_client, debian("libczmq-dev")),
    "C++, cppzmq": Library(cpp_client, debian("cppzmq-dev")),
    "Python, pyzmq": Library(python_client, lambda: f"{zmq.__version__}, libzmq {zmq.zmq_version()}"),
    "Python, zmq.asyncio": Library(asyncio_client, lambda: zmq.__version__),
    "Ruby, ffi-rzmq": Library(ruby_client, debian("ruby-ffi-rzmq")),
    "Perl, ZMQ::FFI": Library(perl_client, debian("libzmq-ffi-perl")),
    "PHP, php-zmq": Library(php_client, debian("php-zmq")),
    "JavaScript, zeromq.js": Library(node_client, lambda: "npm's zeromq " + said("node", "-p", "let z=require('zeromq'); "
                                                                                 "require('zeromq/package.json').version+', libzmq '+z.version")),
    "Rust, zmq": Library(rust_client, debian("librust-zmq-dev")),
    "R, pbdZMQ": Library(r_client, debian("r-cran-pbdzmq")),
    "Octave, zeromq": Library(octave_client, debian("octave-zeromq")),
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
    """A daemon with a route for each conversation, which has the name of the library's kind, and what its clients need to come in."""

    def __init__(self, conversations, lines="", options=None):
        self.folder, self.options = zb.folder(), options or {}
        self.ends = {kind: [f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2)] for kind, *_ in conversations}  # what jeromq calls ipc is not
        self.file = zb.write(f"{self.folder}/zbroker.ini", "".join(f"""
[route {kind}]
type = {route}
engine = wire
frontend_bind = {self.ends[kind][FRONT]}
backend_bind = {self.ends[kind][BACK]}
{lines}
""" for kind, _, route, _ in conversations))

    def start(self):
        return zb.Daemon(self.file, folder=self.folder)


def no_security():
    return {"lines": ""}


@functools.cache
def users_file():
    return zb.write(made_folder() + "/users", zb.run("password", "me", name="zbroker-keygen", stdin="secret\n").stdout, 0o600)


def plain():
    return {"lines": f"security = plain\nusers = {users_file()}", "options": {"CLIENT_USER": "me", "CLIENT_PASSWORD": "secret"}}


def curve():
    lines, options = zb.curve(zb.folder())
    return {"lines": lines, "options": {f"CLIENT_{word}_KEY": options[f"curve_{word.lower()}key"].decode() for word in ("SERVER", "PUBLIC", "SECRET")}}


def heartbeats():
    """In both directions, so often that they come between the messages: ours every 10 ms, theirs every 30 ms."""
    return {"lines": "heartbeat_ivl = 10ms\nheartbeat_timeout = 2m", "options": {"CLIENT_HEARTBEAT": "30"}}


def side_by_side(hold, conversations):
    """All of them at once: of each what HOLD says, or what went wrong."""
    results = {}

    def run(each):
        try:
            results[each] = hold(each)
        except Exception as problem:
            results[each] = problem

    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in conversations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {each: results[each] for each in conversations}


def converses(command, house, daemon, conversation):
    """One conversation, to its end. The ZMTP of the library, as the route knows it."""
    kind, side, _, other = conversation
    library = functools.partial(Client, command, kind, house.ends[kind][side], options=house.options)
    partner = functools.partial(Client, python_client(), other, house.ends[kind][1 - side], options=house.options)
    back, front = (library(), partner()) if side == BACK else (partner(), library())
    with zb.Control(daemon) as control:
        version = zb.wait_until(lambda: zmtp_of(control, kind, "frontend" if side == FRONT else "backend") or front.process.poll() is not None)
    back.succeeds()
    if "pub" in (kind, other):
        front.ends()
    else:
        front.succeeds()
    return version


def zmtp_of(control, route, side):
    return next((each["zmtp"] for each in control.json(f"show clients {route}")["clients"] if each["side"] == side), None)


def conversations_with(make):
    def hold(command, conversations):
        house = House(conversations, **make())
        with house.start() as daemon:
            results = side_by_side(functools.partial(converses, command, house, daemon), conversations)
            assert daemon.stop() == 0, daemon.log()
        return results
    return CONVERSATIONS, hold


def each_with_its_own(run):
    """Each conversation has a daemon of its own, which RUN starts."""
    return lambda command, conversations: side_by_side(functools.partial(run, command), conversations)


RESTARTED = ("req", FRONT, "queue", "rep"), ("rep", BACK, "queue", "req"), ("pair", FRONT, "pair", "mirror"), ("push", FRONT, "streamer", "pull")


def restarts(command, conversation):
    """The broker ends and starts again twice in the middle: no message is lost, nobody waits for ever."""
    kind, side, _, other = conversation
    house = House([conversation], options={"CLIENT_PAUSE": "3"})
    daemon = house.start()
    library = Client(command, kind, house.ends[kind][side], RESTART_COUNT, house.options)
    partner = Client(python_client(), other, house.ends[kind][1 - side], RESTART_COUNT, house.options)
    for _ in range(2):
        with zb.Control(daemon) as control:
            zb.wait_until(lambda: control.route(kind)["frontend"]["messages_received"] > 100 or library.process.poll() is not None, 20,
                          f"messages of {kind}")
        assert library.process.poll() is None or kind == "push", f"{kind} is too quick, or has failed: {library.process.communicate()[0]}"
        assert daemon.stop() == 0, daemon.log()
        daemon = house.start()
    library.succeeds()
    partner.succeeds()
    assert daemon.stop() == 0, daemon.log()


def keeps_id(command, conversation):
    """A service sees a client's routing id as the client chose it."""
    house = House([conversation], options={"CLIENT_ID": "me-of-5"})
    front, back = house.ends["req"]
    with house.start() as daemon, zmq.Context() as context, zb.peer(context, zmq.DEALER, back) as service:
        client = Client(command, "req", front, 10, house.options)
        service.rcvtimeo = int(20000 * zb.SLOW)
        for _ in range(10):
            name, *rest, number, last = service.recv_multipart()
            assert name == b"me-of-5", name
            service.send_multipart([name, *rest, b"%d" % (2 * int(number)), last])
        client.succeeds()
        assert daemon.stop() == 0, daemon.log()


# The conversations of a column, and what holds them: from each comes the version of ZMTP that it was seen to speak, or the problem.
COLUMNS = {"none": conversations_with(no_security), "PLAIN": conversations_with(plain), "CURVE": conversations_with(curve),
           "heartbeats": conversations_with(heartbeats), "restart": (RESTARTED, each_with_its_own(restarts)),
           "routing id": (CONVERSATIONS[2:3], each_with_its_own(keeps_id))}


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

absent: the library does not have it. Rows run by hand are of libraries that Debian 12 does not package.

"""

FOOT = """
What fails here fails with zmq_proxy(3) in zbroker's place too, except for chumak's CURVE:

- **go-zeromq** (commit 826b120): its REP takes the last empty frame of a request for the delimiter, so a request that ends with
  one loses what is before it. What its PAIR sends while it is not connected is lost. Its REQ and DEALER report a lost
  connection to the program, which must send the request again; the client here does.
- **zmq.rs** (0.4.1): it has no PAIR, and does not connect again.
- **chumak** (1.5.0): its REP accepts no envelope, so that it cannot work behind a queue. It says ZMTP 3.1, but its connection
  ends at the first PING and is never made again: set `heartbeat_ivl = 0` on its routes. With CURVE it says outside of the
  encrypted box that more frames follow, where anybody on the way can change it: libzmq 4.3.4 believes that, zbroker does
  not. It reads frames in the same way and subscribes outside of the box, which fails with libzmq too. Messages of one
  frame pass.

`tests/programs.py` runs programs that speak ZeroMQ of their own accord: rsyslog (omczmq, imczmq) and a Jupyter kernel.
Run by hand, with engine wire: ffmpeg (protocol `zmq:`, filter `zmq`), zurl, pmacct (nfacctd's tee to another nfacctd), uwsgi
(`logzmq`, `emperor_zeromq`), mongrel2 with a handler, and `monerod --zmq-pub`: each works through a route.
`tests/differential.py` compares what peers hear through wire and through libzmq's zmq_proxy(3), message by message. They can
tell the two apart by this only:

- a routing id that zbroker gives has up to 13 octets, libzmq's have 5;
- `xpub_verbose` and a publisher: it hears of the last cancellation, which libzmq's proxies forget;
- a message of a subscriber that does not begin with a subscription goes up whole, and libzmq takes each of its frames that
  begins with a byte of 0 or 1 for one;
- a second client with a routing id that is in use is refused, and not left without answers;
- topics are limited (`max_topic`), and messages (`maxmsgsize`, `max_parts`).
"""


def hold_all(name, column):
    conversations, hold = COLUMNS[column]
    return hold(LIBRARIES[name].command(), conversations)


def tap(name, column):
    """A test: a cell of the table."""
    def cell():
        for result in hold_all(name, column).values():
            if isinstance(result, Exception):
                raise result
    return zb.limit(180)(cell)


def table_cell(name, column):
    """How many conversations succeed and which do not, and the versions of ZMTP seen."""
    results, failed = hold_all(name, column), []
    zb.clean()
    for (kind, *_), result in results.items():
        if isinstance(result, Exception):
            failed.append(kind)
            print(f"{name}, {column}, {kind}: {result}", file=sys.stderr)
    words = ", not ".join([f"{len(results) - len(failed)} of {len(results)}", *(failed if len(failed) < len(results) else ())])
    print(name, column, words, flush=True)
    return words, {each for each in results.values() if isinstance(each, str)}


def table_row(name):
    cells, zmtp = [], set()
    for column in COLUMNS:
        result, versions = table_cell(name, column) if column in LIBRARIES[name].columns else ("absent", ())
        cells.append(result)
        zmtp.update(versions)
    return "| " + " | ".join([name, LIBRARIES[name].version(), " ".join(sorted(zmtp)), *cells]) + " |\n"


def old_rows(path):
    """The rows of the table as it is, by their names."""
    with open(path) as table:
        return {line.split("|")[1].strip(): line for line in table if line.startswith("| ")}


def write_table(path, names):
    head, rows = "| " + " | ".join(["library", "version", "ZMTP", *COLUMNS]) + " |\n", old_rows(path)
    del rows["library"], rows["---"]
    for name in names or LIBRARIES:
        try:
            rows[name] = table_row(name)
        except zb.Skip as why:
            print(f"{name}: {why}; its row stays as it is", file=sys.stderr)
    place = {name: number for number, name in enumerate(dict.fromkeys([*LIBRARIES, *rows]))}
    text = HEAD.format(conversations=len(CONVERSATIONS), count=COUNT, kinds=", ".join(each[0] for each in CONVERSATIONS),
                       restarted=", ".join(each[0] for each in RESTARTED)) + head + re.sub(r" [^|]+ ", " --- ", head)
    with open(path, "w") as out:
        out.write(text + "".join(rows[name] for name in sorted(rows, key=place.get)) + FOOT)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_table(sys.argv[2], sys.argv[3:])
    else:
        zb.main([(f"{name}: {column}", tap(name, column)) for name, library in LIBRARIES.items() for column in library.columns])

# SPDX-License-Identifier: MPL-2.0
"""zb - what the black-box tests share: a daemon on a leash, and TAP.

    import zb

    def test_a_streamer_forwards():
        port_in, port_out = zb.free_ports(2)
        with zb.Daemon(f'''
    [route jobs]
    type = streamer
    frontend_bind = tcp://127.0.0.1:{port_in}
    backend_bind = tcp://127.0.0.1:{port_out}
    ''') as daemon:
            ...
            assert daemon.stop() == 0, daemon.log()

    zb.main()

Tests are the functions test_* of the calling module, in the order in which they
are written. Names on the command line choose some of them. Each one has LIMIT
seconds (@zb.limit(120) for another one), and whatever it has started is killed
after it. When it fails, the values of its variables and the logs of its daemons
are printed.

A limit is what a quiet machine needs; SLOW times as long is waited, since it is
there to end what hangs, not to judge a machine. No test fails for a time: it
waits for a condition, prints figures (at_once), and does not take a moment of
quiet for the end. ZB_SLOW multiplies every limit once more, for sanitizers.

ZB_ENGINE=wire or =zmq forces an engine on every route that can have it and names
none itself, in every file that write makes.

ZB_BUILDDIR and ZB_SRCDIR say where programs and sources are (`make check' sets
them); ZB_DAEMON is the command that is run in place of ZB_BUILDDIR/zbroker.
"""

import atexit
import contextlib
import ctypes
import fcntl
import json
import os
import pty
import re
import resource
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

import zmq

SRCDIR = os.environ.get("ZB_SRCDIR", os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDDIR = os.environ.get("ZB_BUILDDIR", os.path.join(SRCDIR, "build"))
HEAVY = float(os.environ.get("ZB_SLOW", "1"))  # how much more memory and processor time this build takes
SLOW = 6 * HEAVY
ENGINE = os.environ.get("ZB_ENGINE")
WIRE = ENGINE != "zmq"  # auto takes it where it can do what the route asks for
LIMIT = 60
WAIT_MS = int(10000 * SLOW)  # how long a socket waits

os.umask(0o022)  # what others may write to is refused

_processes = []
_daemons = []
_folders = []
_ports = []


class Skip(Exception):
    """Raise it to skip a test, with the reason."""


# --- places ---------------------------------------------------------------------------------------------------------

def program(name):
    """The command, as a list, that runs one of our programs."""
    if name == "zbroker" and os.environ.get("ZB_DAEMON"):
        return shlex.split(os.environ["ZB_DAEMON"])
    return [os.path.join(BUILDDIR, name)]


def folder():
    """A new folder that is removed after the test. Its path is short enough for ipc endpoints."""
    path = tempfile.mkdtemp(prefix="zb-", dir="/tmp")
    _folders.append(path)
    return path


def read(path):
    with open(path, errors="replace") as text:
        return text.read()


# What engine wire cannot do: zbroker.ini(5), the key `engine'.
NOT_WIRE = re.compile(r"""^ \s* \w+ \s* = .* \b (inproc|pgm|epgm|norm|tipc|ws|wss|udp|vmci) ://
                        | ^ (frontend|backend)_type \s* = \s* (STREAM|CLIENT|CHANNEL)
                        | ^ (\w+_)? (security \s* = \s* gssapi | socks_ | metadata | hello_msg | disconnect_msg | hiccup_msg)""", re.M | re.X | re.I)


def _keys_of_wire():
    """Those that the table of keys gives to engine wire alone."""
    return re.findall(r'"(\w+)",.*\bKEY_WIRE\b', read(os.path.join(SRCDIR, "src/conf/keys.c")))


# What engine zmq cannot. 0 and off ask for nothing.
NOT_ZMQ = re.compile(r"^ ((backend_|capture_)? acl | (worker_)? ack_(bind|connect) | (\w+_)? (%s)) \s* = \s* (?!0\b|off\b)\S"
                     % "|".join(_keys_of_wire()), re.M | re.X)


def with_engine(text, engine=ENGINE):
    """The text of an ini file, with ENGINE for each route that can have it and names none. Lines keep their numbers where
    a section ends with an empty one."""
    sections = re.split(r"^(?=\[)", text, flags=re.M)
    defaults = "".join(section for section in sections if section.startswith("[defaults]"))
    for i, section in enumerate(sections):
        cannot = {"wire": NOT_WIRE, "zmq": NOT_ZMQ}.get(engine)
        fits = not (cannot and cannot.search(defaults + section))
        if engine and fits and section.startswith("[route ") and not re.search(r"^engine\s*=", section, re.M):
            lines = section.rstrip()
            sections[i] = f"{lines}\nengine = {engine}\n" + section[len(lines) + 1:].replace("\n", "", 1)
    return "".join(sections)


@contextlib.contextmanager
def as_user(uid):
    """In the block, files and sockets are opened as that user."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def changed_to(uid):
    """What stands before a command that is to run as that user, for instance the wrap of a Daemon."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise Skip("needs root and setpriv")
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    if subprocess.run(command + program("zbroker") + ["-V"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("another user cannot run what is built here")
    return command


def write(path, text, mode=0o644):
    """Write a file, text (with_engine) or bytes, and return its path."""
    if isinstance(text, str):
        text = with_engine(text)
    with open(path, "wb") as out:
        out.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, mode)
    return path


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def _take(port):
    """Is PORT free, and ours until this process ends? Tests that run side by side agree by a name in the abstract namespace,
    before they try it: whoever has the port may be about to bind it."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        name.bind(f"\0zb-port-{port}")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
            candidate.bind(("0.0.0.0", port))
        _ports.append(name)
        return True
    except OSError:
        name.close()
        return False


def free_ports(count):
    """COUNT tcp ports nobody listens on, and that no other test gets before this one is over.

    They come from below the range for outgoing connections, so that no client gets one by chance."""
    found, port = [], 10000 + (os.getpid() * 97 + int(time.time() * 1000)) % 20000
    while len(found) < count:
        port = port + 1 if port < 31000 else 10000
        if _take(port):
            found.append(port)
    return found


def free_port():
    return free_ports(1)[0]


def need_http():
    """Skip the test where zbroker is built without libmicrohttpd."""
    makefile = os.path.join(BUILDDIR, "Makefile")
    if os.path.exists(makefile) and "-DZB_HAVE_HTTP=1" not in read(makefile):
        raise Skip("built without HTTP")


# --- waiting and measuring --------------------------------------------------------------------------------------------

def wait_until(condition, seconds=10, what=None):
    """Call CONDITION until it returns something true, and return that; AssertionError after SECONDS. WHAT is a text, or says one."""
    end = time.monotonic() + seconds * SLOW
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds * SLOW:g} s in vain for {what() if callable(what) else what or condition}")
        time.sleep(0.01)


def wait_for_count(count, wanted, seconds=10, what=None):
    """Wait until COUNT() is WANTED or more; AssertionError when it has not grown for SECONDS."""
    last = -1

    def grown():
        nonlocal last
        before, last = last, count()
        return last >= wanted or last > before

    while last < wanted:
        wait_until(grown, seconds, f"{what or count}: {last} of {wanted}")
    return last


def at_once(what, seconds, promise=0.1):
    """Print how long something took. It fails only if that is so long that somebody must have been waited for."""
    print(f"# {what}: {seconds * 1e3:.1f} ms", flush=True)
    assert seconds < 20 * promise * SLOW, f"{what}: {seconds:.3f} s"


def rests(pid, seconds=1, share=0.05):
    """Does a process use less than this share of a core for so many seconds? Wait until it does: it may be busy with what came before."""
    before, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    used, took = cpu_seconds(pid) - before, time.monotonic() - start
    print(f"# {used * 1e3:.0f} ms of processor time in {took:.1f} s", flush=True)
    return used < share * took * HEAVY


def accepts(endpoint):
    """Does somebody listen at tcp://HOST:PORT or ipc://PATH?"""
    try:
        if endpoint.startswith("ipc://"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                path = endpoint[len("ipc://"):]
                client.connect("\0" + path[1:] if path.startswith("@") else path)
        else:
            host, port = endpoint[len("tcp://"):].rsplit(":", 1)
            socket.create_connection((host.strip("[]"), int(port)), timeout=10 * SLOW).close()
        return True
    except OSError:
        return False


def cpu_seconds(pid):
    """User and system time of a process so far."""
    fields = read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid):
    """Resident memory of a process in bytes."""
    return int(re.search(r"^VmRSS:\s+(\d+)", read(f"/proc/{pid}/status"), re.M).group(1)) * 1024


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


# --- processes --------------------------------------------------------------------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


# Sanitizers would set the limit of core dumps to 0 again.
for _name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
    os.environ[_name] = ":".join(filter(None, [os.environ.get(_name), "disable_coredump=0"]))


def _prepare_child():
    """It dies with us, and lets us look into it: zbroker does not where the limit of core dumps is 0. With 1, none is written."""
    PR_SET_PDEATHSIG = 1
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0 if hard == 0 else 1, hard))


def spawn(command, **options):
    """subprocess.Popen of something that never survives the test."""
    process = subprocess.Popen(command, preexec_fn=_prepare_child, **options)
    _processes.append(process)
    return process


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def _ptrace(request, tid):
    if _libc.ptrace(request, tid, None, None) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


class Frozen:
    """While it lasts, the thread NAME of a process stands still; the others go on."""

    def __init__(self, pid, name):
        self.tid = next(int(tid) for tid in os.listdir(f"/proc/{pid}/task")
                        if read(f"/proc/{pid}/task/{tid}/comm").strip() == name)

    def __enter__(self):
        try:
            _ptrace(PTRACE_SEIZE, self.tid)
        except OSError as error:
            raise Skip(f"no ptrace here: {error}")
        _ptrace(PTRACE_INTERRUPT, self.tid)
        os.waitpid(self.tid, WALL)
        return self

    def __exit__(self, *ignored):
        _ptrace(PTRACE_DETACH, self.tid)


def run(*args, name="zbroker", stdin="", seconds=20, **options):
    """Run one of our programs to its end: .returncode, .stdout, .stderr as text."""
    return subprocess.run(program(name) + [str(arg) for arg in args], input=stdin, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds * SLOW, **options)


class Terminal:
    """A program on a terminal of its own: .text is what it has written there so far."""

    def __init__(self, command, columns=80, lines=24, env=None):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.master, self.text = master, ""
        environment = dict(os.environ, TERM="xterm")
        environment.pop("NO_COLOR", None)
        # In a session of its own, so that Ctrl-C is a signal.
        self.process = spawn(["setsid", "--ctty"] + command, stdin=slave, stdout=slave, stderr=slave,
                             env=dict(environment, **(env or {})))
        os.close(slave)

    def write(self, text):
        os.write(self.master, text.encode())

    def read(self):
        """Wait for more of it. False: there is none, it has ended."""
        try:
            if not select.select([self.master], [], [], 10 * SLOW)[0]:
                raise AssertionError(f"nothing came after {self.text[-500:]!r}")
            more = os.read(self.master, 65536)
        except OSError:
            more = b""
        self.text += more.decode(errors="replace").replace("\r", "")
        return bool(more)

    def look(self, seconds=0.05):
        """Read what comes within this time, if anything does."""
        if select.select([self.master], [], [], seconds)[0]:
            self.read()
        return self.text

    def read_until(self, pattern):
        """Read until PATTERN is in what came since the last call; return that."""
        begin = len(self.text)
        while not re.search(pattern, self.text[begin:]):
            assert self.read(), f"it ended before {pattern!r}: {self.text[begin:]!r}"
        return self.text[begin:]

    def read_all(self):
        """Read to its end; return all that it has written, and the exit code."""
        while self.read():
            pass
        return self.text, self.process.wait(20 * SLOW)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()


class Daemon:
    """A running zbroker. INI is the text of its file, or the path of one.

    Unless the text has a `control' of its own, the control socket is in the daemon's folder (.folder, .control).
    READY is what to wait for: a regular expression for the log, an endpoint (tcp://..., ipc://...), or None."""

    def __init__(self, ini, *args, ready=r"\bready\b", seconds=10, folder=None, env=None, wrap=(), **options):
        self.folder = folder or globals()["folder"]()
        self.file = ini if "\n" not in ini else write(os.path.join(self.folder, "zbroker.ini"), ini)
        self.control = os.path.join(self.folder, "control.sock")
        self.args = [str(arg) for arg in args]
        own = re.search(r"^control\s*=\s*(\S*)", read(self.file), re.M)
        if own:
            self.control = own.group(1)
        else:
            self.args += ["-o", f"zbroker.control={self.control}"]
        self.log_file = os.path.join(self.folder, f"log.{time.monotonic_ns()}")
        with open(self.log_file, "wb") as log:
            self.process = spawn(list(wrap) + program("zbroker") + ["-c", self.file] + self.args,
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env=dict(os.environ, **(env or {})), **options)
        self.pid, self.code = self.process.pid, None
        _daemons.append(self)
        if ready:
            self.wait_ready(ready, seconds)

    def wait_ready(self, ready=r"\bready\b", seconds=10):
        is_endpoint = re.match(r"(tcp|ipc)://", ready)

        def come():
            if self.process.poll() is not None:
                raise AssertionError(f"zbroker ended with {self.process.returncode}")
            return accepts(ready) if is_endpoint else re.search(ready, self.log())

        wait_until(come, seconds, f"a daemon that is ready ({ready})")

    def log(self):
        """Everything it has written to standard output and standard error."""
        return read(self.log_file)

    def wait_log(self, pattern, seconds=10):
        """Wait for a line of the log and return the match."""
        return wait_until(lambda: re.search(pattern, self.log(), re.M), seconds, f"{pattern!r} in the log")

    def send(self, number):
        """Send it a signal."""
        self.process.send_signal(number)

    def running(self):
        return self.process.poll() is None

    def ctl(self, *args, seconds=10):
        """Run zbrokerctl against this daemon."""
        return run("-s", self.control, *args, name="zbrokerctl", seconds=seconds)

    def wait(self, seconds=20):
        """Wait for its end and return the exit code (negative: the signal)."""
        return self.process.wait(seconds * SLOW)

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Ask it to stop; return the exit code."""
        if self.running():
            self.send(number)
        return self.wait(seconds)

    def kill(self):
        self.code = self.process.poll()  # what it was before we did it
        if self.running():
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.kill()


class Control:
    """A connection to the control socket of a Daemon: .ask(line) is the text of the answer, .json(line) the document."""

    asked = ""

    def __init__(self, daemon, seconds=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds * SLOW)
        self.socket.connect(daemon.control)
        self.file = self.socket.makefile("rb")

    def send(self, line, descriptor=None):
        """Ask, and let the answer wait: a line of text, or bytes as they are. DESCRIPTOR goes with the line."""
        self.asked = line
        data = line if isinstance(line, bytes) else line.encode() + b"\n"
        if descriptor is None:
            self.socket.sendall(data)
        else:
            socket.send_fds(self.socket, [data], [descriptor])

    def line(self):
        """The next line; None at the end of the connection."""
        text = self.file.readline().decode(errors="replace")
        return text[:-1] if text else None

    def answer(self):
        lines = []
        while line := self.line():
            lines.append(line)
        if line is None:
            raise AssertionError(f"{self.asked}: the connection ended after {lines!r}")
        return "\n".join(lines)

    def ask(self, line, descriptor=None):
        self.send(line, descriptor)
        return self.answer()

    def json(self, line):
        return json.loads(self.ask(line + " json"))

    def route(self, name):
        """What `show stats' says of a route."""
        return next(each for each in self.json("show stats")["routes"] if each["name"] == name)

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()


def endpoint_of(place):
    """A number is a port of tcp here."""
    return f"tcp://127.0.0.1:{place}" if isinstance(place, int) else place


def peer(context, kind, *places, bind=False, **options):
    """A socket of pyzmq that connects to PLACES (endpoint_of), waits for nothing longer than a test does, and leaves
    nothing behind; OPTIONS are set before."""
    made = context.socket(kind)
    made.linger = 0
    made.rcvtimeo = made.sndtimeo = WAIT_MS
    for name, value in options.items():
        setattr(made, name, value)
    for place in places:
        (made.bind if bind else made.connect)(endpoint_of(place))
    return made


class Peers:
    """Sockets of clients that come back at once, closed together. A SUB that is told nothing else subscribes to everything."""

    def __init__(self):
        self.context, self.opened = zmq.Context(), []  # pyzmq closes a socket that nobody holds

    def open(self, kind, *places, **options):
        every = {"reconnect_ivl": 20, **({"subscribe": b""} if kind == zmq.SUB else {})}
        self.opened.append(peer(self.context, kind, *places, **{**every, **options}))
        return self.opened[-1]

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.context.destroy(0)


def server_cert(path, keys):
    """Write a certificate with both KEYS, as zmq.curve_keypair gives them. Returns its path."""
    public, secret = (key.decode() for key in keys)
    return write(path, f'curve\n    public-key = "{public}"\n    secret-key = "{secret}"\n', 0o600)


def curve(folder):
    """The lines of a route that has a certificate in FOLDER and lets everybody in who has one, and the options of a client."""
    server, client = zmq.curve_keypair(), zmq.curve_keypair()
    cert = server_cert(f"{folder}/server.cert", server)
    return (f"security = curve\nserver_cert = {cert}\nclient_certs = any\n",
            {"curve_publickey": client[0], "curve_secretkey": client[1], "curve_serverkey": server[0]})


class Route:
    """A daemon with one route, both sides on ports of their own, and the clients of it."""

    name, engine = "r", "wire"  # None: any engine

    def __init__(self, kind, more="", process="", folder=None):
        self.kind, self.process = kind, process
        self.frontend, self.backend = free_ports(2)
        self.context = zmq.Context()
        self.daemon = Daemon(self.ini(more), folder=folder)

    def ini(self, more):
        return f"""
[zbroker]
{self.process}
[route {self.name}]
type = {self.kind}
{f"engine = {self.engine}" if self.engine else ""}
frontend_bind = {endpoint_of(self.frontend)}
backend_bind = {endpoint_of(self.backend)}
{more}
"""

    def reload(self, more):
        """What the reload says."""
        write(self.daemon.file, self.ini(more))
        answer = self.daemon.ctl("reload")
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def peer(self, kind, place, **options):
        return peer(self.context, kind, place, **options)

    def front(self, kind, **options):
        return self.peer(kind, self.frontend, **options)

    def back(self, kind, **options):
        return self.peer(kind, self.backend, **options)

    def ask(self, line):
        """The document that answers LINE."""
        with Control(self.daemon) as control:
            return control.json(line)

    def stats(self):
        with Control(self.daemon) as control:
            return control.route(self.name)

    def clients(self, side):
        return [each for each in self.ask(f"show clients {self.name}")["clients"] if each["side"] == side]

    def wait_clients(self, side, count):
        wait_until(lambda: len(self.clients(side)) == count, what=f"{count} clients at the {side}")

    def wait_cut(self, reason):
        self.daemon.wait_log(rf"cut: .*reason=.?{reason}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.context.destroy(0)
        self.daemon.kill()


class Flow:
    """tests/clients/flow.py in a process of its own: ask ("go" | "stop" | "report") is what it says of itself."""

    def __init__(self, *args):
        self.process = spawn([sys.executable, "-B", os.path.join(SRCDIR, "tests", "clients", "flow.py")] + [str(arg) for arg in args],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(20 * SLOW)


# --- TAP --------------------------------------------------------------------------------------------------------------

def limit(seconds):
    """How long a test may take."""
    def mark(function):
        function.zb_limit = seconds
        return function
    return mark


def clean():
    """Kill what the test has started and remove its folders."""
    while _processes:
        process = _processes.pop()
        if process.poll() is None:
            process.kill()
            process.wait()
    _daemons.clear()
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)
    while _ports:
        _ports.pop().close()


atexit.register(clean)


def _values(problem):
    """The variables of the test's functions, innermost last; those of this file are of no interest."""
    lines = []
    for frame, _ in traceback.walk_tb(problem.__traceback__):
        if frame.f_code.co_filename == __file__ or not frame.f_code.co_filename.startswith(os.path.dirname(os.path.abspath(__file__))):
            continue
        lines.append(f"in {frame.f_code.co_name}:")
        for name, value in frame.f_locals.items():
            try:
                text = repr(value)
            except Exception as reason:  # half-made objects
                text = f"({reason!r})"
            lines.append(f"    {name} = {text if len(text) < 300 else text[:150] + ' ... ' + text[-150:]}")
    return lines


def _logs():
    lines = []
    for daemon in _daemons:
        code = daemon.code if daemon.code is not None else daemon.process.poll()
        lines.append(f"log of process {daemon.pid}" + (f", which ended with {code}:" if code not in (None, -signal.SIGKILL) else ":"))
        said = daemon.log().splitlines()
        lines += (said if len(said) <= 120 else said[:20] + [f"({len(said) - 120} lines)"] + said[-100:]) + [""]
    return lines


def _report(problem):
    """All there is to know about a failure, for whoever has nothing but what was printed."""
    lines = traceback.format_exception(problem)
    for name in ("stdout", "stderr"):  # of a program that took too long
        said = getattr(problem, name, None)
        if said:
            lines.append(f"{name}: {said if isinstance(said, str) else said.decode(errors='replace')}")
    return "\n".join(["".join(lines)] + _values(problem) + [""] + _logs())


class TooLong(BaseException):
    """Not an Exception, so that no test swallows it."""


def _too_long(number, frame):
    raise TooLong()


def _result(function):
    """None: passed; Skip: skipped; text: what went wrong."""
    seconds = getattr(function, "zb_limit", LIMIT) * SLOW
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        function()
        return None
    except Skip as skip:
        return skip
    except TooLong as problem:
        return f"took longer than {seconds:g} s\n{_report(problem)}"
    except Exception as problem:
        return _report(problem)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        clean()


def main(tests=None):
    """Run the tests, print TAP, exit. TESTS is a list of functions, or of (name, function)."""
    if tests is None:
        module = sys.modules["__main__"]
        tests = [value for name, value in vars(module).items() if name.startswith("test_") and callable(value)]
    tests = [test if isinstance(test, tuple) else (test.__name__, test) for test in tests]
    wanted = sys.argv[1:]
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    tests = [(name, function) for name, function in tests if not wanted or name in wanted]
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, (name, function) in enumerate(tests, 1):
        began = time.monotonic()
        result = _result(function)
        print(f"# {time.monotonic() - began:.1f} s in {name}")  # the slowest are told at the end: see bootstrap
        if isinstance(result, Skip):
            print(f"ok {number} - {name} # SKIP {result}", flush=True)
        elif result is None:
            print(f"ok {number} - {name}", flush=True)
        else:
            failed += 1
            print(*("# " + line for line in result.splitlines()), sep="\n")
            print(f"not ok {number} - {name}", flush=True)
    if not tests:
        failed = 1
        print("Bail out! no such test")
    sys.exit(1 if failed else 0)

# SPDX-License-Identifier: MPL-2.0
"""What the manual pages tell an administrator to type works: their files are written and their commands run, task by task.

A page is read as mdoc. Each .Ss (or .Sh) with blocks is a task; it gets a folder, ports and a daemon of its own, and does
first what the section does that it says to "Start from". A block
    is the file that a ".Pa NAME :" right before it names; after the word "add" it is put at the end of that file;
    else has commands, after "$ " or, for root, "# ". Lines below a command are what it prints, "..." for anything.
What needs an account, a systemd or a container that a test cannot have is in STAND_INS or NOT_RUN, and said in the output.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from unittest import mock

import zb

TYPED = "Oslo\n"  # where a program asks for a password
PORT = re.compile(r"(?<=:)(\d{3,5})\b")
EMPTY = "[zbroker]\ncontrol = {root}/run/zbroker/control.sock\n"
USER, GROUP = (subprocess.run(["id", "-" + letter], text=True, stdout=subprocess.PIPE, check=True).stdout.strip() for letter in "ug")

# (what a command line has, what is run in its place)
STAND_INS = [
    (r"\bchown zbroker ", f"chown {USER} "),
    (r"-g zbroker\b", f"-g {GROUP}"),
    (r"\bjournalctl -u zbroker\b(?: -[pn] \w+)*(?: +ZBROKER_\w+=[\w-]+)*", "cat {log}"),
    (r"/usr/share/doc/zbroker/examples\b", os.path.join(zb.SRCDIR, "contrib")),
]

# (how a command line begins, what is looked at instead)
NOT_RUN = [
    (r"podman ", "test_container_needs_neither_privilege_nor_disk"),
    (r"apt-get install |make install", "the package's own tests, and tests/sd_notify.py for the restart"),
    (r"systemctl daemon-reload|systemctl status zbroker", "it reads nothing of ours"),
    (r"systemctl enable --now zbroker.socket", "test_socket_unit_opens_what_the_route_binds"),
]
TOOLS = ("promtool", "curl")  # without them a command is not run


# --- pages -----------------------------------------------------------------------------------------------------------------

def plain(line):
    return re.sub(r"\\[&]", "", line).replace("\\e", "\\").replace("\\-", "-").replace("\\(dq", '"').replace("\\(aq", "'")


class Block:
    def __init__(self, lines, name, adds):
        self.lines, self.name, self.adds = lines, name, adds

    def commands(self):
        """(prompt, command, what it prints) of a block without a name."""
        result = []
        for line in "\n".join(self.lines).replace("\\\n", "").split("\n"):
            found = re.match(r"([#$]) (.*)", line)
            if found:
                result.append((found.group(1), found.group(2), []))
            else:
                assert result, f"neither a file nor commands: {self.lines}"
                result[-1][2].append(line)
        return result


class Section:
    """A section of a page: its title, its blocks, and the section that it starts from, by its title."""

    def __init__(self, title):
        self.title, self.blocks, self.first = title, [], None


def sections(page):
    """title -> Section, of each section of man/PAGE.in that has blocks."""
    result, before, inside = [], [], None
    for line in zb.read(os.path.join(zb.SRCDIR, "man", page + ".in")).splitlines():
        if inside is not None and line == ".Ed":
            name = re.match(r"\.Pa (\S+) :$", before[-1]) if before else None
            result[-1].blocks.append(Block(inside, name and name.group(1), bool(re.search(r"\b[Aa]dd\b", " ".join(before)))))
            inside, before = None, []
        elif inside is not None:
            inside.append(plain(line))
        elif line.startswith((".Sh ", ".Ss ")):
            result.append(Section(line[4:]))
            before = []
        elif line.startswith(".Bd -literal"):
            inside = []
        elif line == ".Pp":
            before = []
        else:
            before.append(line)
            if before[-2:-1] == ["Start from"]:
                result[-1].first = re.fullmatch(r"\.Sx (.*) \.", line).group(1)
    return {each.title: each for each in result if each.blocks}


# --- one task ---------------------------------------------------------------------------------------------------------------

class Task:
    """Where a task's files are, its daemon, and how its text is changed to fit there."""

    def __init__(self, blocks):
        self.blocks, self.root, self.has_background = blocks, zb.folder(), False
        self.home, self.bin = self.root + "/home", self.root + "/bin"
        for name in ("home", "bin", "etc/zbroker", "run/zbroker", "var/lib/zbroker"):
            os.makedirs(os.path.join(self.root, name))
        text = "\n".join("\n".join(block.lines) for block in blocks)
        self.upgrades = "zbrokerctl upgrade" in text
        ports = sorted(set(PORT.findall(text)))
        self.ports = dict(zip(ports, zb.free_ports(len(ports))))
        self.file = zb.write(self.root + "/etc/zbroker.ini", EMPTY.format(root=self.root))
        self.daemons = {}
        self.start("zbroker")
        for name in ("zbroker", "zbrokerctl", "zbroker-keygen", "zbroker-bench"):
            self.wrap(name)
        zb.write(self.bin + "/python3", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -u "$@"\n', 0o755)

    def wrap(self, name):
        """A program of ours by its name, which finds this task's files without being told where they are."""
        default = "" if name == "zbroker-keygen" else f'case " $* " in *" -c "*|*" -s "*|*" -V "*|" replay "*) ;; *) set -- {self.default(name)} "$@" ;; esac\n'
        command = " ".join(shlex.quote(word) for word in zb.program(name))
        zb.write(f"{self.bin}/{name}", f'#!/bin/sh\n{default}exec {command} "$@"\n', 0o755)

    def default(self, name):
        return f"-s {self.root}/run/zbroker/control.sock" if name == "zbrokerctl" else f"-c {self.file}"

    def fit(self, text):
        """TEXT with the places of this task."""
        text = text.replace("@sysconfdir@", self.root + "/etc").replace("@localstatedir@", self.root + "/var").replace("@runstatedir@", self.root + "/run")
        text = re.sub(r"(?<![\w.-])/(etc|run)/zbroker\b", self.root + r"/\1/zbroker", text).replace("ipc_group = workers", f"ipc_group = {GROUP}")
        text = re.sub(r"\b[a-z]+\.example\.(?:com|net|org)\b|(?<=tcp://)(?:\*|0\.0\.0\.0)(?=:)", "127.0.0.1", text)
        return PORT.sub(lambda found: str(self.ports.get(found.group(1), found.group(1))), text)

    # --- files ---

    def with_control(self, text, instance=""):
        """As where it is by default, but below this task's folder."""
        head = EMPTY.format(root=self.root).replace("/zbroker/", f"/zbroker{instance and '-' + instance}/")
        return text.replace("[zbroker]\n", head, 1) if "[zbroker]" in text else head + text

    def write(self, block):
        path = os.path.join(self.home, self.fit(block.name))
        text = self.fit("\n".join(block.lines)) + "\n"
        if block.adds:
            text = zb.read(path) + text
        elif path == self.file:
            text = self.with_control(text)
        elif os.path.dirname(path) == os.path.join(self.root, "etc/zbroker") and path.endswith(".ini"):
            text = self.with_control(text, os.path.basename(path)[:-len(".ini")])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        zb.write(path, text.encode())  # as bytes: the engine is the one that the page asks for

    # --- commands ---

    def start(self, unit):
        instance = unit.partition("@")[2]
        if instance:
            text = zb.read(os.path.join(zb.BUILDDIR, "systemd", "zbroker@.service"))
            assert re.search(r"^ExecStart=\S*/zbroker -c \S*/zbroker/%i\.ini$", text, re.M), text
            assert re.search(r"^RuntimeDirectory=zbroker-%i$", text, re.M), text
        file = f"{self.root}/etc/zbroker/{instance}.ini" if instance else self.file
        environment = {"STATE_DIRECTORY": self.root + "/var/lib/zbroker"}
        os.makedirs(environment["STATE_DIRECTORY"], 0o700, exist_ok=True)
        if self.upgrades:
            environment["ZB_DAEMON"] = self.own_program()
        with mock.patch.dict(os.environ, environment):
            self.daemons[unit] = zb.Daemon(file)

    def own_program(self):
        """A daemon is upgraded only where nobody else may write, which is not so of every build folder."""
        return shutil.copy(zb.program("zbroker")[-1], self.root + "/zbroker")

    def systemctl(self, verb, unit):
        """What systemd does with the unit."""
        if verb == "restart":
            assert self.daemons[unit].stop() == 0, self.daemons[unit].log()
        self.start(unit)

    def reason_not_to_run(self, command):
        for what, instead in NOT_RUN:
            if re.match(what, command):
                return "see " + instead
        missing = [tool for tool in TOOLS if re.search(rf"\b{tool}\b", command) and not shutil.which(tool)]
        return f"there is no {' and no '.join(missing)}" if missing else None

    def run(self, command):
        """Run one command line; (exit status, what it printed), None if it is not run."""
        options = {"cwd": self.home, "text": True, "stderr": subprocess.STDOUT,
                   "env": dict(os.environ, PATH=self.bin + ":" + os.environ["PATH"], HOME=self.home, LC_ALL="C.UTF-8")}
        if command.endswith("&"):
            self.has_background = True
            zb.spawn(["bash", "-c", "exec " + command[:-1]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
            return None
        result = subprocess.run(["bash", "-o", "pipefail", "-c", command], input=TYPED, stdout=subprocess.PIPE, timeout=15 * zb.SLOW, **options)
        return result.returncode, result.stdout.strip()

    def stand_in(self, command):
        before = command
        for what, instead in STAND_INS:
            instead = instead.format(log=self.daemons["zbroker"].log_file)
            command = re.sub(what, lambda _, new=instead: new, command)
        if command != before:
            print(f"# instead of {before}: {command}")
        return command

    def type(self, command, told):
        """Run a command and compare what it prints with what is TOLD of it. What the background has to do may take a moment."""
        command = self.fit(command)
        reason = self.reason_not_to_run(command)
        unit = re.fullmatch(r"systemctl (restart|enable --now) (zbroker(?:@\w+)?)", command)
        if reason:
            print(f"# not run, {reason}: {command}")
        elif unit:
            print(f"# without systemd: {command}")
            self.systemctl(*unit.groups())
        else:
            command, result = self.stand_in(command), None
            wanted = "\n".join(re.escape(self.fit(line)).replace(r"\.\.\.", ".*") for line in told) if told else ".*"

            def works():
                nonlocal result
                result = self.run(command)
                return result is None or result[0] == 0 and re.fullmatch(wanted, result[1], 0 if told else re.S)
            try:
                zb.wait_until(works, 10 if self.has_background else 0)
            except AssertionError:
                raise AssertionError(f"{command}\nshould print:\n{told or '(anything)'}\nand ends with {result[0]} after\n{result[1]}")

    def work(self):
        for block in self.blocks:
            if block.name:
                self.write(block)
            else:
                for _, command, told in block.commands():
                    self.type(command, told)
        for daemon in self.daemons.values():
            assert not daemon.running() or daemon.stop() == 0, daemon.log()


def test_of(page, title):
    @zb.limit(120)
    def test():
        every = sections(page)
        section, blocks = every[title], []
        while section:
            blocks = section.blocks + blocks
            section = every[section.first] if section.first else None
        if any(line.startswith("http =") for block in blocks for line in block.lines):
            zb.need_http()
        Task(blocks).work()
    return f"{page}: {title}", test


# (how a key of zbroker.ini ends, what makes the file that it names)
MAKERS = [
    ("_cert", "zbroker-keygen cert {name} -d {folder}"),
    ("client_certs", "mkdir {path} && zbroker-keygen cert alice -d {path} && rm {path}/alice_secret"),
    ("users", "(umask 077; zbroker-keygen password bob >{path})"),
    ("acl", "echo 'topic deny #' >{path}"),
]


def make_files(task):
    for key, path in re.findall(r"^(\w+) = (/\S*)$", zb.read(task.file), re.M):
        folder, name = os.path.split(path.rstrip("/"))
        for end, command in MAKERS:
            if key.endswith(end):
                status, said = task.run(command.format(path=path, folder=folder, name=name))
                assert status == 0, said


def test_examples_of_configuration_are_valid_and_start():
    blocks = [block for block in sections("zbroker.ini.5")["EXAMPLES"].blocks if block.lines[0].startswith("[")]
    assert len(blocks) > 5, len(blocks)
    for block in blocks:
        task = Task([block])
        block.name = task.file
        task.write(block)
        make_files(task)
        for command in ("zbroker -t", "zbrokerctl reload"):
            status, said = task.run(command)
            assert status == 0 and "error" not in said, f"{block.lines}\n{said}"
        assert ("warning" in task.run("zbroker -t")[1]) == ("[route" not in "".join(block.lines)), task.run("zbroker -t")[1]
        assert task.daemons["zbroker"].stop() == 0


def test_container_needs_neither_privilege_nor_disk():
    """A user without rights, a file that is not its own, one folder that it may write to."""
    root = zb.folder()
    os.chmod(root, 0o755)
    run = root + "/run"
    os.mkdir(run)
    ports = zb.free_ports(2)
    ini = zb.write(root + "/zbroker.ini", f"[zbroker]\ncontrol = {run}/control.sock\n[route jobs]\ntype = streamer\n"
                   + "".join(f"{side}_bind = tcp://127.0.0.1:{port}\n" for side, port in zip(("frontend", "backend"), ports)))
    wrap = zb.changed_to(65534)
    os.chown(run, 65534, 65534)
    with zb.Daemon(ini, wrap=wrap, cwd="/") as daemon:
        assert daemon.ctl("status").returncode == 0
        daemon.send(signal.SIGHUP)
        daemon.wait_log("nothing to do")
        assert daemon.stop() == 0
        assert os.listdir(run) == [], os.listdir(run)


def test_socket_unit_opens_what_the_route_binds():
    """As tests/sd_notify.py hands sockets over, with the addresses of the page."""
    unit, ini = ("\n".join(block.lines) for block in sections("zbroker-howto.7")["Use a port below 1024"].blocks[:2])
    listens = re.findall(r"^ListenStream=(\S+)$", unit, re.M)
    assert listens and all(f"_bind = tcp://{address}" in ini for address in listens), (listens, ini)
    assert re.findall(r"^ListenStream=(\S*)$", unit, re.M)[0] == "", "the unit's own address has to go"


PAGES = {"zbroker-keygen.1": 1, "zbroker-acl.5": 1, "zbroker-howto.7": 15, "zbroker-protocols.7": 5}


def test_every_task_is_found():
    for page, least in PAGES.items():
        assert len(sections(page)) >= least, f"{page}: {list(sections(page))}"


zb.main([(name, value) for name, value in list(globals().items()) if name.startswith("test_") and name != "test_of"]
        + [test_of(page, title) for page in PAGES for title in sections(page)])

# SPDX-License-Identifier: MPL-2.0
"""What the manual pages tell an administrator to type works: their files are written and their commands run, task by task.

A page is read as mdoc. Each .Ss (or .Sh) with blocks is a task; it gets a folder, ports and a daemon of its own. A block
    is the file that a ".Pa NAME :" right before it names; after the word "add" it is put at the end of that file;
    else has commands, after "$ " or, for root, "# ". Lines below a command are what it prints, "..." for anything.
What needs a root, a systemd or a network that a test cannot have is in STAND_INS or NOT_RUN, and said in the output.
"""

import os
import re
import shlex
import subprocess
import sys

import zb

EMPTY = "[zbroker]\ncontrol = {root}/run/zbroker/control.sock\n"
USER, GROUP = (subprocess.run(["id", "-" + letter], text=True, stdout=subprocess.PIPE, check=True).stdout.strip() for letter in "ug")

# (what a command line has, what is run in its place)
STAND_INS = [
    (r"\bchown zbroker(?::zbroker)? ", f"chown {USER} "),
    (r"(?<=-g )zbroker\b", GROUP),
    (r"(?<=-o )zbroker\b", USER),
    (r"\bjournalctl -u zbroker\b", "cat {log} | cat"),
]

# (what a command line begins with, why it is not run, what is looked at instead)
NOT_RUN = []


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


def tasks(page):
    """(title, blocks) of each section of man/PAGE.in that has some."""
    result, before, inside = [], [], None
    for line in zb.read(os.path.join(zb.SRCDIR, "man", page + ".in")).splitlines():
        if inside is not None:
            if line.startswith(".Ed"):
                words = " ".join(before)
                name = re.match(r"\.Pa (\S+) :$", before[-1]) if before else None
                result[-1][1].append(Block(inside, name and name.group(1), bool(re.search(r"\b[Aa]dd\b", words))))
                inside, before = None, []
            else:
                inside.append(plain(line))
        elif line.startswith((".Sh ", ".Ss ")):
            result.append((line[4:].replace("\\&", ""), []))
            before = []
        elif line.startswith(".Bd -literal"):
            inside = []
        elif line == ".Pp":
            before = []
        else:
            before.append(line)
    return [(title, blocks) for title, blocks in result if blocks]


# --- one task ---------------------------------------------------------------------------------------------------------------

class Task:
    """Where a task's files are, its daemon, and how its text is changed to fit there."""

    def __init__(self, blocks):
        self.blocks, self.root = blocks, zb.folder()
        self.home, self.bin = self.root + "/home", self.root + "/bin"
        for name in ("home", "bin", "etc/zbroker", "run/zbroker", "var"):
            os.makedirs(os.path.join(self.root, name))
        text = "\n".join("\n".join(block.lines) for block in blocks)
        ports = sorted(set(re.findall(r"(?<=:)(\d{4,5})\b", text)))
        self.ports = dict(zip(ports, zb.free_ports(len(ports))))
        self.file = zb.write(self.root + "/etc/zbroker.ini", EMPTY.format(root=self.root))
        self.daemons = {}
        self.start("zbroker")
        for name in ("zbroker", "zbrokerctl", "zbroker-keygen", "zbroker-bench"):
            self.wrap(name)
        zb.write(self.bin + "/python3", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -u "$@"\n', 0o755)

    def wrap(self, name):
        """A program of ours by its name, which finds this task's files without being told where they are."""
        default = "" if name == "zbroker-keygen" else f'case " $* " in *" -c "*|*" -s "*|*" -V "*) ;; *) set -- {self.default(name)} "$@" ;; esac\n'
        command = " ".join(shlex.quote(word) for word in zb.program(name))
        zb.write(f"{self.bin}/{name}", f'#!/bin/sh\n{default}exec {command} "$@"\n', 0o755)

    def default(self, name):
        return f"-s {self.root}/run/zbroker/control.sock" if name == "zbrokerctl" else f"-c {self.file}"

    def fit(self, text):
        """TEXT with the places of this task."""
        text = text.replace("@sysconfdir@", self.root + "/etc").replace("@runstatedir@", self.root + "/run")
        text = text.replace("@localstatedir@", self.root + "/var").replace("@sbindir@", self.bin)
        text = re.sub(r"\b[a-z]+\.example\.(?:com|net|org)\b|(?<=tcp://)\*(?=:)", "127.0.0.1", text)
        return re.sub(r"(?<=:)(\d{4,5})\b", lambda found: str(self.ports.get(found.group(1), found.group(1))), text)

    # --- files ---

    def write(self, block):
        path = os.path.join(self.home, self.fit(block.name))
        text = self.fit("\n".join(block.lines)) + "\n"
        if path == self.file and not block.adds and "[zbroker]" not in text:
            text = EMPTY.format(root=self.root) + text
        text = text.replace("[zbroker]\n", EMPTY.format(root=self.root), 1) if path == self.file and "\ncontrol" not in text else text
        os.makedirs(os.path.dirname(path), exist_ok=True)
        zb.write(path, (zb.read(path) if block.adds else "") + text)

    # --- commands ---

    def start(self, unit):
        name = unit.partition("@")[2] or "zbroker"
        self.daemons[unit] = zb.Daemon(f"{self.root}/etc/zbroker.ini" if name == "zbroker" else f"{self.root}/etc/zbroker/{name}.ini")

    def systemctl(self, verb, unit):
        """What systemd would do with the unit, by hand. Reload is what ExecReload ends in."""
        daemon = self.daemons.get(unit)
        if verb in ("stop", "restart") and daemon:
            assert daemon.stop() == 0, daemon.log()
        if verb == "reload":
            result = daemon.ctl("reload")
            assert result.returncode == 0, result.stderr
        if verb in ("start", "restart", "enable --now"):
            self.start(unit)

    def environment(self):
        return dict(os.environ, PATH=self.bin + ":" + os.environ["PATH"], HOME=self.home, LC_ALL="C.UTF-8")

    def run(self, command):
        """Run one command line; what it printed."""
        for what, why in NOT_RUN:
            if re.search(what, command):
                print(f"# not run, {why}: {command}")
                return None
        unit = re.fullmatch(r"systemctl (start|stop|restart|reload|enable --now) (zbroker(?:@\w+)?)", command)
        if unit:
            print(f"# by hand, not by systemd: {command}")
            self.systemctl(*unit.groups())
            return None
        for what, instead in STAND_INS:
            command, count = re.subn(what, lambda _, new=instead: new.format(log=self.daemons["zbroker"].log_file), command)
            if count:
                print(f"# instead: {command}")
        options = {"cwd": self.home, "env": self.environment(), "text": True, "stderr": subprocess.STDOUT}
        if command.endswith("&"):
            log = open(f"{self.root}/background.{len(os.listdir(self.root))}", "w+")
            zb.spawn(["bash", "-c", "exec " + command[:-1]], stdout=log, **options)
            return None
        result = subprocess.run(["bash", "-o", "pipefail", "-c", command], stdout=subprocess.PIPE, timeout=30 * zb.SLOW, **options)
        assert result.returncode == 0, f"{command}: exit {result.returncode}\n{result.stdout}"
        return result.stdout

    def type(self, command, told):
        """Run a command and compare what it prints with what is TOLD of it."""
        said = self.run(self.fit(command))
        if said is None or not told:
            return
        wanted = r"\s*\n".join(re.escape(" ".join(line.split())).replace(r"\.\.\.", ".*").replace(r"\ ", " +") for line in map(self.fit, told))
        wanted = wanted.replace(r"\.\.\.", ".*")
        assert re.fullmatch(wanted, said.strip()), f"{command}: the manual shows\n{told}\nand it prints\n{said}"

    def work(self):
        for block in self.blocks:
            if block.name:
                self.write(block)
            else:
                for _, command, told in block.commands():
                    self.type(command, told)
        for daemon in self.daemons.values():
            if daemon.running():
                assert daemon.stop() == 0, daemon.log()


def task_works(page, title, blocks):
    @zb.limit(120)
    def test():
        Task(blocks).work()
    return f"{page}: {title}", test


PAGES = {"zbroker-acl.5": 1}


def test_no_task_is_overlooked():
    for page, least in PAGES.items():
        assert len(tasks(page)) >= least, f"{page}: {[title for title, _ in tasks(page)]}"


zb.main([("no task is overlooked", test_no_task_is_overlooked)]
        + [task_works(page, title, blocks) for page in PAGES for title, blocks in tasks(page)])

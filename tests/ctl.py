# SPDX-License-Identifier: MPL-2.0
"""zbrokerctl: options, exit codes, where it finds the socket, top, tap, completion."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import zb
import zmq


def ini(ports, more=""):
    return f"""
[zbroker]
{more}
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{ports[0]}
backend_bind = tcp://127.0.0.1:{ports[1]}
"""


def ctl(*args, **options):
    return zb.run(*args, name="zbrokerctl", **options)


def test_help_and_version_go_to_standard_output():
    for option in ("-h", "--help"):
        result = ctl(option)
        assert result.returncode == 0 and result.stdout.startswith("usage: zbrokerctl ") and not result.stderr
    for option in ("-V", "--version"):
        result = ctl(option)
        assert result.returncode == 0 and re.match(r"zbrokerctl \d+\.\d+", result.stdout) and not result.stderr


def test_wrong_usage_is_2():
    for args in ([], ["-x"], ["-w", "soon", "status"], ["-w", "0", "status"], ["check-reload", "x"], ["-j", "top"], ["top", "--wide"], ["-s"],
                 ["-t", "-1", "status"], ["-c", "/nobody/has/this.ini", "status"], ["--slow", "status"], ["show", "routes", "--changed"],
                 ["-j", "show", "clients", "--slow"], ["-j", "--wide", "show", "routes"]):
        result = ctl(*args)
        assert result.returncode == 2 and result.stderr and not result.stdout, (args, result)


def test_output_that_cannot_be_written_is_told():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        program = zb.program("zbrokerctl") + ["-s", daemon.control]
        for words in (["status"], ["-j", "show", "stats"], ["show", "config"], ["--wide", "show", "routes"]):
            with open("/dev/full", "w") as full:
                process = subprocess.run(program + words, stdout=full, stderr=subprocess.PIPE, timeout=20 * zb.SLOW)
            assert process.returncode == 1 and process.stderr == b"zbrokerctl: cannot write: No space left on device\n", (words, process)
        # Whoever has read enough is told nothing.
        ends = os.pipe()
        os.close(ends[0])
        process = subprocess.run(program + ["status"], stdout=ends[1], stderr=subprocess.PIPE, timeout=20 * zb.SLOW)
        os.close(ends[1])
        assert process.returncode == 1 and not process.stderr, process


def test_no_daemon_is_3():
    folder = zb.folder()
    for path in (os.path.join(folder, "nobody.sock"), os.path.join(folder, "x" * 200)):
        result = ctl("-s", path, "status")
        assert result.returncode == 3 and result.stderr and not result.stdout, result
    off = zb.write(os.path.join(folder, "off.ini"), "[zbroker]\ncontrol =\n")
    assert ctl("-c", off, "status").returncode == 3
    for words in (["ping"], ["version"], ["routes"], ["top"]):
        assert ctl("-s", os.path.join(folder, "nobody.sock"), *words).returncode == 3, words


def test_help_needs_no_daemon():
    nobody = ["-s", os.path.join(zb.folder(), "nobody.sock")]
    result = ctl(*nobody, "help")
    assert result.returncode == 0 and not result.stderr
    usages = [line for line in result.stdout.splitlines() if line.startswith(("show ", "kick ", "top ", "check-reload ", "ping ", "version "))]
    assert len(usages) == 16, usages
    assert all(len(line) <= 80 for line in result.stdout.splitlines()), result.stdout
    assert ctl("-h").stdout.endswith("\nThe commands are:\n" + "".join(f"  {line}\n" for line in result.stdout.splitlines()) + "\nSee zbrokerctl(8).\n")
    assert re.match(r"kick ROUTE CLIENT +\w[^\n]*\n$", ctl(*nobody, "help", "kick").stdout)
    shown = ctl(*nobody, "help", "show").stdout.splitlines()
    assert len(shown) == 11 and all(line.startswith("show ") for line in shown)
    assert ctl(*nobody, "help", "show", "stats").stdout.startswith("show stats [ROUTE] ")
    result = ctl(*nobody, "help", "sho")
    assert result.returncode == 1 and result.stderr == "error: no command sho; `zbrokerctl help' lists them\n"


def catches(pid, number):
    """Does a process handle this signal by now?"""
    caught = int(re.search(r"^SigCgt:\s+(\w+)", zb.read(f"/proc/{pid}/status"), re.M).group(1), 16)
    return caught >> (number - 1) & 1


def test_a_daemon_that_hangs_does_not_answer():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        daemon.send(signal.SIGSTOP)
        try:
            for words in (["status"], ["show", "stats"], ["-j", "show", "routes"], ["reload"], ["disable", "jobs"], ["ping"]):
                result = daemon.ctl("--timeout", "0.2", *words)
                assert result.returncode == 4 and not result.stdout, (words, result)
                assert result.stderr == f"zbrokerctl: the daemon at {daemon.control} does not answer\n", result
            assert daemon.ctl("status").returncode == 4
            # Signals end it at once, while it waits for whatever it waits for.
            for words, code in ((["status"], -signal.SIGTERM), (["reload"], -signal.SIGTERM), (["show", "stats"], -signal.SIGTERM),
                                (["-w", "1", "status"], 0), (["top"], 0)):
                process = zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control, "-t", "0"] + words, stdout=subprocess.PIPE)
                if code == 0:
                    zb.wait_until(lambda: catches(process.pid, signal.SIGTERM))
                process.terminate()
                assert process.wait(20 * zb.SLOW) == code, words
        finally:
            daemon.send(signal.SIGCONT)


def test_what_takes_time_is_waited_for():
    """Reload, disable, -w and top have no limit of their own, and one that is given holds for an answer, not between two."""
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        patient = [zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control] + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for words in (["-w", "0.1", "-j", "status"], ["-w", "0.1", "top"], ["-w", "5", "-t", "4", "-j", "status"])]
        for process in patient:
            for _ in range(2):
                assert process.stdout.readline()
            process.terminate()
            assert process.wait(20 * zb.SLOW) == 0, process.stderr.read()


def test_no_permission_is_4():
    if os.getuid():
        raise zb.Skip("needs root")
    folder = zb.folder()
    os.chmod(folder, 0o755)
    with zb.Daemon(ini(zb.free_ports(2), f"control = {folder}/c.sock\ncontrol_mode = 0600")) as daemon:
        try:
            result = ctl("-s", daemon.control, "status", user=65534, group=65534, extra_groups=[])
        except PermissionError:
            raise zb.Skip("nobody may not run it here")
        assert result.returncode == 4 and not result.stdout
        assert result.stderr == f"zbrokerctl: no permission for {daemon.control}: be root or in group zbroker\n"


def test_answers_and_failures():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        result = daemon.ctl("pause", "jobs")
        assert (result.returncode, result.stdout, result.stderr) == (0, "route jobs: paused\n", "")
        result = daemon.ctl("pasue", "jobs")
        assert result.returncode == 1 and result.stderr.startswith("error: unknown command pasue jobs; did you mean pause?"), result
        result = daemon.ctl("-j", "show", "routes")
        assert result.returncode == 0 and json.loads(result.stdout)["routes"][0]["state"] == "paused"
        result = daemon.ctl("-j", "pause", "nix")
        assert result.returncode == 1 and list(json.loads(result.stdout)) == ["error"]
        result = daemon.ctl("show", "routes", "json")
        assert json.loads(result.stdout)
        # Words reach the daemon as they were given.
        for word in ("a b", 'say "hi"', "back\\slash", "tab\tnew\nline", ""):
            result = daemon.ctl("pause", word)
            assert result.returncode == 1 and "no route" in result.stderr and "usage" not in result.stderr, (word, result)
        assert daemon.ctl("set", "log_level", "debug").stdout == "log_level: debug\n"
        for wrong in (["stpo"], ["dran", "jobs"], ["kcik", "jobs", "1"], ["show"], ["show", "topics"]):
            result = daemon.ctl(*wrong)
            assert result.returncode == 1 and not re.search(r"mean (stop|drain|disable|kick)|stop", result.stderr.replace("stpo", "")), result
        assert "show what? routes, " in daemon.ctl("show").stderr


def test_short_words():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        for word in ("routes", "clients", "subscriptions", "errors", "config"):
            short, long = daemon.ctl(word), daemon.ctl("show", word)
            assert short.returncode == 0 and short.stdout == long.stdout, (word, short, long)
        assert daemon.ctl("stats", "jobs").stdout.startswith("route jobs\n")
        assert daemon.ctl("-j", "stats", "jobs").stdout.startswith('{"routes":')
        assert re.fullmatch(rf"zbroker answers: pid {daemon.pid}, up \d.*\n", daemon.ctl("ping").stdout)
        assert re.fullmatch(r"zbrokerctl \S+\nzbroker \S+, libzmq 4\.\S+, czmq 4\.\S+\n", daemon.ctl("version").stdout)
        assert json.loads(daemon.ctl("-j", "version").stdout)["pid"] == json.loads(daemon.ctl("ping", "--json").stdout)["pid"] == daemon.pid


def test_the_socket_is_found_in_the_file():
    folder, ports = zb.folder(), zb.free_ports(2)
    path = os.path.join(folder, "odd name.sock")
    more = f"log_level = info\ncontrol = {path}   ; here"
    file = zb.write(os.path.join(folder, "z.ini"), ini(ports, more))
    with zb.Daemon(file, ready=f"ipc://{path}") as daemon:
        assert ctl("-c", file, "status").stdout.startswith("zbroker ")
        relative = subprocess.run(zb.program("zbrokerctl") + ["-c", "z.ini", "status"], cwd=folder, stdout=subprocess.PIPE, text=True)
        assert relative.stdout.startswith("zbroker ")
        assert daemon.stop() == 0
    assert ctl("-c", file, "status").returncode == 3
    # An included file may say it.
    zb.write(os.path.join(folder, "more.inc"), f"[zbroker]\ncontrol = {folder}/control.sock\n")
    file = zb.write(os.path.join(folder, "y.ini"), ini(ports, "include = *.inc"))
    with zb.Daemon(file, folder=folder):
        assert ctl("-c", file, "status").stdout.startswith("zbroker ")
        # Also while the rest is wrong: that is what a reload is to say.
        zb.write(file, zb.read(file) + "colour = red\n")
        result = ctl("-c", file, "reload")
        assert result.returncode == 1 and "colour: unknown key" in result.stderr, result


def test_check_reload_says_what_a_reload_would_do():
    folder, ports = zb.folder(), zb.free_ports(3)
    file = zb.write(os.path.join(folder, "z.ini"), ini(ports))
    with zb.Daemon(file) as daemon:
        check = lambda name="z.ini": subprocess.run(zb.program("zbrokerctl") + ["-s", daemon.control, "-c", name, "check-reload"], cwd=folder,
                                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert check().returncode == 0
        before = daemon.ctl("show", "config").stdout
        zb.write(file, ini([ports[0], ports[2]]))
        result = check()
        assert result.returncode == 0 and "jobs" in result.stdout and str(ports[2]) in result.stdout, result
        assert daemon.ctl("show", "config").stdout == before
        zb.write(file, ini(ports) + "frontend_sndhvm = 5\n")
        result = check()
        assert result.returncode == 1, result
        assert f"{file}:8:1: error: [route jobs] frontend_sndhvm: unknown key" in result.stderr, result.stderr
        assert check("nothing.ini").returncode == 1
        plan = subprocess.run(zb.program("zbrokerctl") + ["-s", daemon.control, "show", "plan", "z.ini"], cwd=folder, stderr=subprocess.PIPE, text=True)
        assert plan.returncode == 1 and f"{file}:8:1: error" in plan.stderr, plan.stderr
        result = daemon.ctl("reload")
        assert result.returncode == 1 and result.stderr.startswith("error: ") and "frontend_sndhvm" in result.stderr


def test_watch_repeats():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        process = zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control, "-w", "0.1", "show", "stats"], stdout=subprocess.PIPE, text=True)
        seen = [process.stdout.readline() for _ in range(9)]
        assert sum(line.startswith("ROUTE ") for line in seen) == 3, seen
        process.send_signal(signal.SIGINT)
        assert process.wait(20 * zb.SLOW) == 0
        process = zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control, "-w", "0.1", "-j", "status"], stdout=subprocess.PIPE, text=True)
        pids = [json.loads(process.stdout.readline())["pid"] for _ in range(3)]
        assert pids == [daemon.pid] * 3
        assert daemon.stop() == 0
        assert process.wait(20 * zb.SLOW) == 3


def test_top_in_a_pipe_prints_blocks():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        process = zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control, "-w", "0.1", "top"], stdout=subprocess.PIPE, text=True)
        text = "".join(process.stdout.readline() for _ in range(15))
        assert text.count("ROUTE ") == 3 and "\033" not in text, text
        process.terminate()
        assert process.wait(20 * zb.SLOW) == 0


def test_top_on_a_terminal_redraws_in_place():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        master, slave = pty.openpty()
        process = zb.spawn(["sh", "-c", "stty cols 60; exec \"$@\"", "sh"] + zb.program("zbrokerctl") +
                           ["-s", daemon.control, "-w", "0.1", "top", "jobs"], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        text = ""
        while text.count("\033[H") < 3:
            assert select.select([master], [], [], 10 * zb.SLOW)[0]
            text += os.read(master, 65536).decode()
        process.terminate()
        while True:
            try:
                if not os.read(master, 65536):
                    break
            except OSError:
                break
        assert process.wait(20 * zb.SLOW) == 0
        os.close(master)
        assert text.startswith("\033[2J\033[H") and text.count("\033[2J") == 1
        lines = re.sub(r"\033\[[0-9]*[A-Z]", "", text).replace("\r", "").splitlines()
        tables = [line for line in lines if line.startswith(("ROUTE", "jobs"))]
        assert len(tables) >= 4 and all(len(line) <= 60 for line in tables), tables


def test_tap_streams_and_ctrl_c_tells_what_was_missed():
    ports = zb.free_ports(2)
    with zb.Daemon(ini(ports)) as daemon, zmq.Context() as context:
        push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        push.connect(f"tcp://127.0.0.1:{ports[0]}")
        pull.connect(f"tcp://127.0.0.1:{ports[1]}")
        process = zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control, "tap", "jobs"], stdout=subprocess.PIPE, text=True)
        # A tap is in place when it shows something: send until then.
        end = time.monotonic() + 10 * zb.SLOW
        while not select.select([process.stdout], [], [], 0.05)[0]:
            assert time.monotonic() < end
            push.send(b"hello")
        assert re.match(r'\d+ frontend "hello"\n', process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().splitlines()
        assert process.wait(20 * zb.SLOW) == 0
        assert rest[-1] == "missed 0", rest
        # It ends when nobody reads it any more, also while nothing passes.
        subprocess.run(f"{zb.program('zbrokerctl')[0]} -s {daemon.control} tap jobs | true", shell=True, timeout=10 * zb.SLOW)
        push.close(0)
        pull.close(0)


def test_a_tap_whose_reader_stops_ends_at_the_second_signal():
    ports = zb.free_ports(2)
    with zb.Daemon(ini(ports)) as daemon, zmq.Context() as context:
        push, pull = zb.peer(context, zmq.PUSH, f"tcp://127.0.0.1:{ports[0]}"), zb.peer(context, zmq.PULL, f"tcp://127.0.0.1:{ports[1]}")
        process = zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control, "tap", "jobs"], stdout=subprocess.PIPE)

        def full():
            push.send(b"x" * 1000)
            pull.recv()
            return int.from_bytes(fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)), sys.byteorder) > 60000
        zb.wait_until(full)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20 * zb.SLOW) == 0
        push.close(0)
        pull.close(0)


def test_a_tap_that_is_repeated_ends_between_two():
    ports = zb.free_ports(2)
    with zb.Daemon(ini(ports)) as daemon, zmq.Context() as context:
        push, pull = zb.peer(context, zmq.PUSH, f"tcp://127.0.0.1:{ports[0]}"), zb.peer(context, zmq.PULL, f"tcp://127.0.0.1:{ports[1]}")
        process = zb.spawn(zb.program("zbrokerctl") + ["-s", daemon.control, "-w", "3600", "tap", "jobs", "count", "1"], stdout=subprocess.PIPE, text=True)
        end = time.monotonic() + 10 * zb.SLOW
        while not select.select([process.stdout], [], [], 0.05)[0]:
            assert time.monotonic() < end
            push.send(b"hello")
        assert "hello" in process.stdout.readline() and process.stdout.readline() == "missed 0\n" and process.stdout.readline() == "\n"
        process.terminate()
        assert process.wait(20 * zb.SLOW) == 0
        push.close(0)
        pull.close(0)


def completions(*words, program="zbrokerctl"):
    """What bash would offer for the last of WORDS."""
    script = os.path.join(zb.SRCDIR, "contrib", "completion", f"{program}.bash")
    shell = f"""
source {script}
COMP_WORDS=({program} {' '.join(f"'{word}'" for word in words)})
COMP_CWORD={len(words)}
_{program.replace('-', '_')}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = dict(os.environ, PATH=os.path.dirname(zb.program("zbrokerctl")[0]) + ":" + os.environ["PATH"])
    result = subprocess.run(["bash", "--norc", "-c", shell], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20 * zb.SLOW)
    assert not result.stderr, (words, result.stderr)
    return set(result.stdout.split())


def completes(*words, to):
    """The scripts give the daemon a second, which may be too little on a busy machine: they are asked until they say TO."""
    found = None

    def as_wanted():
        nonlocal found
        found = completions(*words)
        return found == to

    zb.wait_until(as_wanted, what=lambda: f"{words}: {to}, not {found}")


def test_completion_asks_the_daemon():
    long, ports = "j" * 40, zb.free_ports(4)
    with zb.Daemon(ini(ports[:2]) + ini(ports[2:]).split("\n", 3)[3].replace("jobs", long)) as daemon, zmq.Context() as context:
        push = zb.peer(context, zmq.PUSH, f"tcp://127.0.0.1:{ports[0]}")
        start = ["-s", daemon.control]
        assert {"pause", "resume", "show", "status", "tap", "top", "check-reload", "ping"} <= completions(*start, "")
        assert completions(*start, "pa") == {"pause"}
        assert {"routes", "stats", "clients", "config", "errors"} <= completions(*start, "show", "")
        for words in (["pause"], ["top"], ["tap"], ["show", "stats"], ["stats"], ["-t", "3", "clients"], ["--wide", "show", "clients"]):
            completes(*start, *words, "", to={"jobs", long})
        completes(*start, "show", "stats", "jo", to={"jobs"})
        assert {"topic", "count", "format"} <= completions(*start, "tap", "jobs", "")
        assert completions(*start, "tap", "jobs", "format", "h") == {"hex"}
        assert completions(*start, "record", "jobs", os.path.join(zb.SRCDIR, "README")) == {os.path.join(zb.SRCDIR, "README.md")}
        assert completions(*start, "record", "jobs", "f", "") == {"topic", "count", "for"}
        assert completions(*start, "values", "jobs", "") == set()
        clients = lambda: json.loads(daemon.ctl("-j", "clients", "jobs").stdout)["clients"]
        zb.wait_until(clients)
        completes(*start, "kick", "jobs", "", to={str(client["id"]) for client in clients()})
        assert "--socket" in completions("--s") and completions("show", "clients", "--sl") == {"--slow"}
        # Without a daemon there are its commands, and no more.
        assert completions("-s", "/nobody/here", "paus") == {"pause"} and completions("-s", "/nobody/here", "pause", "") == set()
        push.close(0)


def in_zsh(daemon, line):
    """What zsh shows after TAB behind LINE."""
    folder = zb.folder()
    zb.write(os.path.join(folder, ".zshrc"), f"""
PS1='> ' LISTMAX=0
PATH={os.path.dirname(zb.program("zbrokerctl")[0])}:$PATH
fpath=({os.path.join(zb.SRCDIR, "contrib", "completion")} $fpath)
autoload -Uz compinit && compinit -u -D
echo ready
""")
    with zb.Terminal(["zsh", "-o", "NO_GLOBAL_RCS", "-i"], columns=200, lines=60, env={"ZDOTDIR": folder, "TERM": "dumb"}) as terminal:
        terminal.read_until("ready\n(?s:.)*> ")
        terminal.write(line)
        terminal.read_until(re.escape(line[-10:].strip()))
        terminal.write("\t\x15echo over\n")
        return terminal.read_until("\nover")


def test_zsh_completion():
    for program in ("zbroker", "zbrokerctl", "zbroker-bench", "zbroker-keygen"):
        assert zb.read(os.path.join(zb.SRCDIR, "contrib", "completion", f"_{program}")).startswith(f"#compdef {program}\n")
    if subprocess.run(["sh", "-c", "command -v zsh"], stdout=subprocess.DEVNULL).returncode:
        raise zb.Skip("no zsh")
    ports = zb.free_ports(2)
    with zb.Daemon(ini(ports)) as daemon, zmq.Context() as context:
        push = zb.peer(context, zmq.PUSH, f"tcp://127.0.0.1:{ports[0]}")
        client = zb.wait_until(lambda: json.loads(daemon.ctl("-j", "clients", "jobs").stdout)["clients"])[0]
        start = f"zbrokerctl -s {daemon.control} "
        for words, shown in (("", r"top +-- show stats, again and again"), ("show ", r"clients +-- who is connected"), ("top ", "jobs"),
                             ("tap ", "jobs"), ("clients ", "jobs"), ("tap jobs ", "count +format +topic"), ("tap jobs format ", "hex +json +line"),
                             ("kick jobs ", str(client["id"]))):
            zb.wait_until(lambda: re.search(shown, in_zsh(daemon, start + words)), what=lambda: (words, in_zsh(daemon, start + words)))
        other = zb.peer(context, zmq.PUSH, f"tcp://127.0.0.1:{ports[0]}")
        zb.wait_until(lambda: len(json.loads(daemon.ctl("-j", "clients", "jobs").stdout)["clients"]) == 2)
        both = rf"{client['id']} +-- frontend {re.escape(client['peer'])}"
        zb.wait_until(lambda: re.search(both, in_zsh(daemon, start + "kick jobs ")), what=lambda: in_zsh(daemon, start + "kick jobs "))
        other.close(0)
        push.close(0)


def test_every_option_is_completed():
    for program in ("zbroker", "zbroker-bench", "zbroker-keygen"):
        usage = zb.run("--help", name=program).stdout
        told = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", usage))
        offered = completions("-", program=program) | completions("cert", "-", program=program)
        missing = told - offered
        assert told and not missing, (program, missing)
        zsh = zb.read(os.path.join(zb.SRCDIR, "contrib", "completion", f"_{program}"))
        assert not [option for option in told if option + "[" not in zsh and option + "}" not in zsh and option + "=[" not in zsh], program
    assert completions("pu", program="zbroker-bench") == {"pubsub", "pushpull"}
    assert completions("replay", "f", "--as", "pu", program="zbroker-bench") == {"pub", "push"}
    told = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", zb.run("replay", "--help", name="zbroker-bench").stdout))
    assert told <= completions("replay", "f", "--", program="zbroker-bench")
    assert completions("-l", "wa", program="zbroker") == {"warning"}
    assert completions("ce", program="zbroker-keygen") == {"cert"}


if __name__ == "__main__":
    zb.main()

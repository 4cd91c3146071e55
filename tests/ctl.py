# SPDX-License-Identifier: MPL-2.0
"""zbrokerctl: options, exit codes, where it finds the socket, top, tap, completion."""

import json
import os
import pty
import re
import select
import signal
import subprocess
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
    for args in ([], ["-x"], ["-w", "soon", "status"], ["-w", "0", "status"], ["check-reload"], ["-j", "top"], ["-s"],
                 ["-c", "/nobody/has/this.ini", "status"]):
        result = ctl(*args)
        assert result.returncode == 2 and result.stderr and not result.stdout, (args, result)


def test_no_daemon_is_3():
    folder = zb.folder()
    for path in (os.path.join(folder, "nobody.sock"), os.path.join(folder, "x" * 200)):
        result = ctl("-s", path, "status")
        assert result.returncode == 3 and result.stderr and not result.stdout, result
    off = zb.write(os.path.join(folder, "off.ini"), "[zbroker]\ncontrol =\n")
    assert ctl("-c", off, "status").returncode == 3


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
        lines = daemon.ctl("help").stdout.splitlines()
        assert len(lines) == 19 and all("  " in line for line in lines)


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


def completions(daemon, *words):
    """What bash would offer for the last of WORDS."""
    script = os.path.join(zb.SRCDIR, "contrib", "completion", "zbrokerctl.bash")
    line = " ".join(words)
    shell = f"""
source {script}
COMP_WORDS=({' '.join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
_zbrokerctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = dict(os.environ, PATH=os.path.dirname(zb.program("zbrokerctl")[0]) + ":" + os.environ["PATH"])
    result = subprocess.run(["bash", "--norc", "-c", shell], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20 * zb.SLOW)
    assert not result.stderr, (line, result.stderr)
    return set(result.stdout.split())


def test_completion_asks_the_daemon():
    with zb.Daemon(ini(zb.free_ports(2))) as daemon:
        start = ["zbrokerctl", "-s", daemon.control]
        assert {"pause", "resume", "show", "status", "tap", "top", "check-reload"} <= completions(daemon, *start, "")
        assert completions(daemon, *start, "pa") == {"pause"}
        assert {"routes", "stats", "clients", "config"} <= completions(daemon, *start, "show", "")
        assert completions(daemon, *start, "pause", "") == {"jobs"}
        assert completions(daemon, *start, "show", "stats", "j") == {"jobs"}
        assert {"topic", "count", "format"} <= completions(daemon, *start, "tap", "jobs", "")
        assert completions(daemon, *start, "tap", "jobs", "format", "h") == {"hex"}
        assert "--socket" in completions(daemon, "zbrokerctl", "--s")
        assert completions(daemon, "zbrokerctl", "-s", "/nobody/here", "paus") <= {""}


def test_zsh_completion_is_valid():
    script = os.path.join(zb.SRCDIR, "contrib", "completion", "_zbrokerctl")
    assert zb.read(script).startswith("#compdef zbrokerctl\n")
    if subprocess.run(["sh", "-c", "command -v zsh"], stdout=subprocess.DEVNULL).returncode:
        raise zb.Skip("no zsh")
    subprocess.run(["zsh", "-n", script], check=True)


if __name__ == "__main__":
    zb.main()

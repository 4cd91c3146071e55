# SPDX-License-Identifier: MPL-2.0
"""The command line of zbroker(8): options, exit codes, -t and -T."""

import glob
import os
import pwd
import re
import signal
import subprocess

import zb

STREAMER = """
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:5570
backend_bind = tcp://127.0.0.1:5571
"""

FOUR = STREAMER + """
[route prices]
type = forwarder
frontend_bind = tcp://127.0.0.1:5555
backend_bind = tcp://127.0.0.1:5556
ingress_bind = tcp://127.0.0.1:5557
capture_bind = ipc://@cli-tap
[route questions]
type = queue
frontend_bind = tcp://127.0.0.1:5560
backend_bind = tcp://127.0.0.1:5561
[route link]
type = pair
frontend_bind = tcp://127.0.0.1:5580
backend_connect = tcp://127.0.0.1:5581
"""

PROBLEM = r"^(.+):(\d+):(\d+): (error|warning): (.+)$"


def file(text):
    return zb.write(os.path.join(zb.folder(), "z.ini"), text.encode())  # as it is, without the engine of ZB_ENGINE


def problems(result):
    """(line, column, level, text) of each line of standard error; all of them must be problems."""
    found = []
    for line in result.stderr.splitlines():
        match = re.match(PROBLEM, line)
        assert match, f"not a problem with its place: {line!r}"
        found.append((int(match[2]), int(match[3]), match[4], match[5]))
    return found


def test_the_check_says_what_it_counted():
    path = file(FOUR)
    for option in ("-t", "--test"):
        result = zb.run("-c", path, option)
        assert (result.returncode, result.stdout, result.stderr) == (0, f"{path} is valid: 4 routes, 10 endpoints\n", ""), result


def test_one_is_singular():
    path = file(STREAMER)
    assert zb.run("-c", path, "-t").stdout == f"{path} is valid: 1 route, 2 endpoints\n"


def test_no_route_at_all_is_a_warning():
    result = zb.run("-c", file("[zbroker]\nlog_level = info\n"), "-t")
    assert result.returncode == 0 and result.stdout.endswith("is valid: 0 routes, 0 endpoints\n"), result
    assert [level for _, _, level, _ in problems(result)] == ["warning"], result.stderr


def test_standard_input_is_a_file():
    result = zb.run("-t", "-c", "-", stdin=STREAMER)
    assert (result.returncode, result.stdout) == (0, "- is valid: 1 route, 2 endpoints\n"), result
    result = zb.run("-t", "--config=-", stdin=STREAMER + "colour = blue\n")
    assert result.returncode == 1 and result.stderr.startswith("-:6:1: error: [route jobs] colour: "), result


def test_a_file_that_cannot_be_read_is_exit_1():
    folder = zb.folder()
    for path in (f"{folder}/none.ini", folder, f"{folder}/none/none.ini"):
        for mode in (["-t"], ["-T"], []):
            result = zb.run("-c", path, *mode)
            assert result.returncode == 1 and result.stdout == "" and path in result.stderr, (path, result)
            assert len(problems(result)) == 1, result.stderr


def test_all_problems_come_in_one_run():
    path = file("""\
[zbroker]
io_threads = many
drain_timeout = soon
[route one]
type = streamer
frontend_bind = tcp://127.0.0.1:70000
backend_bind = tcp://127.0.0.1:5571
frontend_sndhvm = 7
[route two]
type = streemer
[rout three]
[route four]
type = queue
frontend_bind = tcp://127.0.0.1:5600
frontend_bind = udp://127.0.0.1:5601
""")
    for mode in (["-t"], ["-T"], []):
        result = zb.run("-c", path, *mode)
        assert result.returncode == 1 and result.stdout == "", result
        lines = [line for line, _, level, _ in problems(result) if level == "error"]
        assert sorted(set(lines)) == [2, 3, 6, 8, 9, 10, 11, 12, 15], result.stderr
        assert len(lines) == 10, "two sides are missing in line 9, and each fault comes once:\n" + result.stderr
    assert "did you mean frontend_sndhwm?" in result.stderr and "did you mean streamer?" in result.stderr, result.stderr
    columns = {line: column for line, column, _, _ in problems(result)}
    assert (columns[2], columns[8], columns[6]) == (14, 1, 33), result.stderr


def on_terminal(*args):
    with zb.Terminal(zb.program("zbroker") + list(args), 200) as terminal:
        text, code = terminal.read_all()
    return text.replace("\r\n", "\n"), code


def test_a_terminal_sees_the_line_and_how_many_problems_there_are():
    path = file("[route x]\ntype = streamer\nfrontend_bind =\t tcp://127.0.0.1:1x\nbackend_bind = ipc://\u00e4 \u00f6/x//y/\n"
                "plain_pass = hunter2\nsecret line\n")
    seen, code = on_terminal("-t", "-c", path)
    assert code == 1 and seen == f"""\
{path}:3:34: error: [route x] frontend_bind: "1x" is not a port, 1 to 65535, or * for a free one
    3 | frontend_bind =\\t tcp://127.0.0.1:1x
      |                                   ^
{path}:4:22: error: [route x] backend_bind: the path is that of a folder
    4 | backend_bind = ipc://\u00e4 \u00f6/x//y/
      |                      ^
{path}:5:1: error: [route x] plain_pass: unknown key
    5 | plain_pass = ...
      | ^
{path}:6:1: error: [route x] the line is not KEY = VALUE
4 errors
""", seen
    path = file(STREAMER.replace("127.0.0.1:5571", "*:5571") + "backend_security = none\n")
    seen, code = on_terminal("-t", "-c", path)
    assert code == 0 and re.search(r"\n +5 \| backend_bind = tcp://\*:5571\n +\| {16}\^\n1 warning\n.* is valid: ", seen), seen
    seen, code = on_terminal("-t", "-c", path, "-o", "route jobs.frontend_bind=tcp://x")
    assert code == 1 and seen.startswith("-o:1:32: error: ") and "\n1 error, 1 warning\n" in seen + "\n", (code, seen)
    path = file(STREAMER)
    assert on_terminal("-t", "-c", path) == (f"{path} is valid: 1 route, 2 endpoints\n", 0)


def test_warnings_do_not_fail_the_check():
    path = file(STREAMER.replace("127.0.0.1:5571", "*:5571") + "backend_security = none\n")
    result = zb.run("-c", path, "-t")
    assert result.returncode == 0 and result.stdout.endswith(" is valid: 1 route, 2 endpoints\n"), result
    assert [(line, level) for line, _, level, _ in problems(result)] == [(5, "warning")], result.stderr
    assert "open to the network" in result.stderr, result.stderr


def test_the_dump_of_a_dump_is_the_dump():
    samples = [file(FOUR), os.path.join(zb.SRCDIR, "etc", "zbroker.ini"),
               file(STREAMER + "capture_bind = tcp://127.0.0.1:5999\nbackend_sndhwm = 7\nbackend_ipc_mode = 0600\n"
                               "frontend_heartbeat_ivl = 2m\nfrontend_maxmsgsize = 3M\n")]
    samples += glob.glob(os.path.join(zb.SRCDIR, "tests", "conf", "valid", "*.ini"))
    compared = 0
    for path in samples:
        first = zb.run("-T", "-c", path)
        if first.returncode == 1:
            continue  # it wants a key or a capability that is not here
        second = zb.run("--dump", "-c", "-", stdin=first.stdout)
        assert second.returncode == 0 and second.stdout == first.stdout, (path, second.stderr)
        compared += 1
    assert compared >= 3, compared


def test_the_dump_has_the_defaults():
    out = zb.run("-T", "-c", file(FOUR)).stdout
    for line in ("http =", "drain_timeout = 10s", "io_threads = 1", "max_sockets = 1023", "control_mode = 0660",
                 "[route prices]", "frontend_bind = tcp://127.0.0.1:5555", "frontend_sndhwm = 0", "backend_maxmsgsize = 4k",
                 "frontend_handshake_ivl = 5s", "frontend_linger = auto", "frontend_backlog = 1024"):
        assert line in out.splitlines(), line + "\n" + out


def test_overrides_come_after_the_file():
    path = file(STREAMER.replace("jobs", "a.b"))
    result = zb.run("-T", "-c", path, "-o", "route a.b.frontend_rcvhwm=5", "-o", "zbroker.drain_timeout=3s",
                    "-o", "route a.b.backend_bind=tcp://127.0.0.1:6001", "-l", "debug")
    lines = result.stdout.splitlines()
    for line in ("frontend_rcvhwm = 5", "drain_timeout = 3s", "backend_bind = tcp://127.0.0.1:6001", "log_level = debug"):
        assert line in lines, result
    assert "backend_bind = tcp://127.0.0.1:5571" not in lines, "an override replaces a list"
    wrong = zb.run("-t", "-c", path, "-o", "route a.b.frontend_sndhvm=1", "-o", "zbroker.io_threads=x", "-o", "nothing=1")
    assert wrong.returncode == 1 and wrong.stdout == "", wrong
    assert [level for _, _, level, _ in problems(wrong)] == ["error"] * 3, wrong.stderr
    assert all(line.startswith("-o:") for line in wrong.stderr.splitlines()), wrong.stderr


def test_the_last_option_counts():
    path = file(STREAMER)
    assert zb.run("-t", "-T", "-c", path).stdout.startswith("[zbroker]\n")
    assert zb.run("-c", "/nowhere", "-c", path, "-T", "-t").returncode == 0


def test_version_names_the_libraries():
    for option in ("-V", "--version"):
        result = zb.run(option)
        assert result.returncode == 0 and result.stderr == "", result
        assert re.match(r"zbroker \S+ \(libzmq \d+\.\d+\.\d+, czmq \d+\.\d+\.\d+\)", result.stdout), result.stdout
        assert re.search(r"^upgrade: state \d+, routes \d+$", result.stdout, re.M), result.stdout
        for capability in ("curve", "gssapi", "pgm", "norm", "tipc", "draft"):
            assert re.search(rf" [+-]{capability}\b", result.stdout), result.stdout


def test_help_is_help():
    for option in ("-h", "--help"):
        result = zb.run(option)
        assert result.returncode == 0 and result.stderr == "" and result.stdout.startswith("usage: zbroker"), result
        for letter in "ctTloVh":
            assert f"-{letter}" in result.stdout, letter


def test_wrong_usage_is_exit_2():
    path = file(STREAMER)
    for words in (["-x"], ["--colour"], ["-c"], ["-l"], ["-o"], ["-l", "loud"], ["-l", ""], ["-u", "root"], ["-t", "-u"], ["-o", "nonsense"],
                  ["-t", path], ["--test=yes"], ["-t", "-c", path, "more"]):
        result = zb.run(*words)
        assert result.returncode == 2, (words, result)
        assert result.stdout == "" and "--help" in result.stderr, (words, result)


def test_a_check_as_another_user_sees_what_that_one_can_read():
    if os.geteuid() != 0:
        raise zb.Skip("needs root")
    folder = zb.folder()
    os.chmod(folder, 0o755)
    users = zb.write(f"{folder}/users", "", 0o600)
    path = zb.write(f"{folder}/z.ini", STREAMER + f"frontend_security = plain\nfrontend_users = {users}\n")
    assert zb.run("-t", "-c", path).returncode == 0
    assert zb.run("-t", "-c", path, "-u", "root").returncode == 0
    for mode in ("-t", "-T"):
        result = zb.run(mode, "-c", path, "--user", "nobody")
        assert result.returncode == 1 and result.stdout == "", result
        assert re.search(r"error: .*Permission denied$", result.stderr, re.M), result
        assert result.stderr.endswith("zbroker: checked as user nobody, what only root can read is an error\n"), result
    os.chown(users, pwd.getpwnam("nobody").pw_uid, -1)
    assert zb.run("-t", "-c", path, "-u", "nobody").returncode == 0


def test_a_check_as_another_user_needs_that_user_and_the_right():
    path = file(STREAMER)
    result = zb.run("-t", "-c", path, "-u", "no-such-user")
    assert result.returncode == 2 and "no-such-user: no such user" in result.stderr, result
    result = subprocess.run(zb.changed_to(65534) + zb.program("zbroker") + ["-t", "-u", "root"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20 * zb.SLOW)
    assert result.returncode == 77 and "cannot check as user root: Operation not permitted" in result.stderr, result


def test_output_that_cannot_be_written_is_exit_69():
    path = file(STREAMER)
    for mode in ("-t", "-T"):
        with open("/dev/full", "w") as full:
            process = subprocess.run(zb.program("zbroker") + ["-c", path, mode], stdout=full, stderr=subprocess.PIPE, timeout=20 * zb.SLOW)
        assert process.returncode == 69 and process.stderr == b"zbroker: cannot write: No space left on device\n", (mode, process)


def test_a_clean_stop_is_exit_0():
    one, two = zb.free_ports(2)
    for number in (signal.SIGTERM, signal.SIGINT):
        with zb.Daemon(STREAMER.replace("5570", str(one)).replace("5571", str(two))) as daemon:
            assert daemon.stop(number) == 0, daemon.log()


def test_the_check_touches_nothing():
    folder = zb.folder()
    path = file(f"[zbroker]\ncontrol = {folder}/c\n[route jobs]\ntype = streamer\n"
                f"frontend_bind = ipc://{folder}/in\nbackend_bind = ipc://{folder}/out\n")
    assert zb.run("-t", "-c", path).returncode == 0 and zb.run("-T", "-c", path).returncode == 0
    assert os.listdir(folder) == []


zb.main()

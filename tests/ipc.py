# SPDX-License-Identifier: MPL-2.0
"""ipc paths: what is there is respected, what we make has its mode, and goes with us."""

import grp
import os
import signal
import socket
import stat

import zmq
import zb


def streamer(folder, more=""):
    return f"""
[zbroker]
drain_timeout = 2s
[route jobs]
type = streamer
frontend_bind = ipc://{folder}/in
backend_bind = ipc://{folder}/out
{more}
"""


class Clients:
    """A PUSH and a PULL that are the daemon's clients and count what passes."""

    def __init__(self, folder):
        self.context = zmq.Context()
        self.push, self.pull = self.context.socket(zmq.PUSH), self.context.socket(zmq.PULL)
        self.push.connect(f"ipc://{folder}/in")
        self.pull.connect(f"ipc://{folder}/out")
        for each in (self.push, self.pull):
            each.linger, each.rcvtimeo = 0, int(5000 * zb.SLOW)
        self.sent = 0

    def pass_some(self, count=100):
        for _ in range(count):
            self.push.send(b"%d" % self.sent)
            assert self.pull.recv() == b"%d" % self.sent
            self.sent += 1

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.context.destroy(0)


def starts_not(ini, *args):
    """Start, expect exit 69 and return standard error."""
    result = zb.run("-c", "-", "-o", f"zbroker.control={zb.folder()}/c", *args, stdin=ini)
    assert result.returncode == 69 and result.stdout == "", result
    return result.stderr


def test_a_second_daemon_leaves_the_path_to_the_first():
    folder = zb.folder()
    with zb.Daemon(streamer(folder)) as daemon, Clients(folder) as clients:
        clients.pass_some()
        before = {name: os.lstat(f"{folder}/{name}").st_ino for name in os.listdir(folder)}
        for _ in range(3):
            error = starts_not(streamer(folder))
            assert f"ipc://{folder}/in: in use by another process" in error and error.startswith("-:6:"), error
            clients.pass_some()
        assert {name: os.lstat(f"{folder}/{name}").st_ino for name in os.listdir(folder)} == before
        with Clients(folder) as newcomers:
            newcomers.push.send(b"x")
            zb.wait_until(lambda: newcomers.pull.poll(50) or clients.pull.poll(50), what="the first still accepts")
        assert daemon.stop() == 0, daemon.log()


def test_many_that_start_at_once_leave_one():
    folder = zb.folder()
    daemons = [zb.Daemon(streamer(folder), ready=None) for _ in range(5)]
    zb.wait_until(lambda: sum(d.running() for d in daemons) == 1 and any("ready" in d.log() for d in daemons))
    last = next(d for d in daemons if d.running())
    assert all(d.process.returncode == 69 and "in use" in d.log() for d in daemons if d is not last), [d.log() for d in daemons]
    with Clients(folder) as clients:
        clients.pass_some()
    assert last.stop() == 0 and os.listdir(folder) == [], os.listdir(folder)


def test_the_control_socket_of_another_daemon():
    folder = zb.folder()
    with zb.Daemon(streamer(folder)) as daemon:
        other = zb.folder()
        result = zb.run("-c", "-", "-o", f"zbroker.control={daemon.control}", stdin=streamer(other))
        assert result.returncode == 69 and daemon.control in result.stderr, result
        assert os.listdir(other) == [], "nothing is left behind"
        assert daemon.ctl("status").returncode == 0


def test_files_that_are_no_sockets_stay():
    for make in (lambda path: zb.write(path, "precious"), lambda path: os.mkdir(path), lambda path: os.mkfifo(path),
                 lambda path: os.symlink("/etc/passwd", path)):
        folder = zb.folder()
        make(f"{folder}/out")
        before = os.lstat(f"{folder}/out")
        error = starts_not(streamer(folder))
        assert error.startswith("-:7:") and f"ipc://{folder}/out" in error, error
        after = os.lstat(f"{folder}/out")
        assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)
        assert os.listdir(folder) == ["out"], "nothing else is left behind"
    assert zb.read("/etc/passwd")


def test_a_symbolic_link_to_a_living_socket_is_not_replaced():
    folder, elsewhere = zb.folder(), zb.folder()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(f"{elsewhere}/s")
        other.listen()
        os.symlink(f"{elsewhere}/s", f"{folder}/in")
        starts_not(streamer(folder))
        assert os.path.islink(f"{folder}/in") and zb.accepts(f"ipc://{elsewhere}/s")


def test_somebody_elses_living_socket_stays():
    folder = zb.folder()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(f"{folder}/in")
        other.listen()
        assert "in use by another process" in starts_not(streamer(folder))
        assert zb.accepts(f"ipc://{folder}/in")
    assert os.path.exists(f"{folder}/in"), "its file is its own"


def test_a_dangling_socket_is_replaced():
    folder = zb.folder()
    for name in ("in", "out"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(f"{folder}/{name}")
    zb.write(f"{folder}/in.lock", "")  # of one that was killed
    with zb.Daemon(streamer(folder)) as daemon, Clients(folder) as clients:
        clients.pass_some()
        assert daemon.stop() == 0, daemon.log()
    assert os.listdir(folder) == []


def test_mode_and_group_are_as_configured():
    folder = zb.folder()
    group = grp.getgrgid(os.getgid()).gr_name
    others = [g.gr_name for g in grp.getgrall() if g.gr_gid != os.getgid()] if os.geteuid() == 0 else []
    group = others[0] if others else group
    with zb.Daemon(streamer(folder, f"frontend_ipc_mode = 0600\nbackend_ipc_mode = 0666\nbackend_ipc_group = {group}")) as daemon:
        front, back = os.lstat(f"{folder}/in"), os.lstat(f"{folder}/out")
        assert (stat.S_IMODE(front.st_mode), stat.S_IMODE(back.st_mode)) == (0o600, 0o666), (oct(front.st_mode), oct(back.st_mode))
        assert back.st_gid == grp.getgrnam(group).gr_gid and front.st_gid == os.getgid()
        assert stat.S_IMODE(os.lstat(daemon.control).st_mode) == 0o660
        assert daemon.stop() == 0, daemon.log()
    folder = zb.folder()
    with zb.Daemon(streamer(folder), wrap=["sh", "-c", 'umask 0; exec "$@"', "sh"]):
        assert stat.S_IMODE(os.lstat(f"{folder}/in").st_mode) == 0o660, "the default, whatever the umask"


def test_a_reload_changes_mode_and_group_under_clients_that_stay():
    folder, another = zb.folder(), zb.free_port()
    group = grp.getgrgid(os.getgid()).gr_gid if os.geteuid() else 65534
    of = lambda name: (stat.S_IMODE(os.lstat(f"{folder}/{name}").st_mode), os.lstat(f"{folder}/{name}").st_gid)
    with zb.Daemon(streamer(folder), folder=folder) as daemon, Clients(folder) as clients:
        clients.pass_some()
        for more, front, back in ((f"frontend_ipc_mode = 0600\nbackend_ipc_group = {group}", (0o600, os.getgid()), (0o660, group)),
                                  ("ipc_mode = 0640", (0o640, os.getgid()), (0o640, os.getgid()))):
            zb.write(daemon.file, streamer(folder, more))
            answer = daemon.ctl("reload")
            assert answer.returncode == 0 and "ipc_mode 06" in answer.stdout and "re-created" not in answer.stdout, answer
            assert (of("in"), of("out")) == (front, back), answer
            clients.pass_some()
        # The path moves to another route, whose mode is another one.
        one = f"[route jobs]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:{another}\nbackend_bind = ipc://{folder}/out\n"
        zb.write(daemon.file, one + f"[route more]\ntype = streamer\nfrontend_bind = ipc://{folder}/in\nbackend_bind = ipc://{folder}/more\nipc_mode = 0606\n")
        assert daemon.ctl("reload").returncode == 0
        zb.wait_until(lambda: os.path.exists(f"{folder}/in"), what="the path to be open again")
        assert of("in")[0] == 0o606 and of("out")[0] == 0o660
        assert daemon.stop() == 0, daemon.log()


def test_a_group_that_may_not_be_given_refuses_the_reload():
    if os.geteuid() != 0:
        raise zb.Skip("only root can start as another user")
    folder = zb.folder()
    os.chmod(folder, 0o777)
    with zb.Daemon(streamer(folder), folder=folder, wrap=zb.changed_to(65534)) as daemon:
        zb.write(daemon.file, streamer(folder, "ipc_mode = 0600\nipc_group = 0"))
        for command in (["show", "plan"], ["reload"]):
            answer = daemon.ctl(*command)
            assert answer.returncode == 1 and f"cannot change ipc://{folder}/in: cannot set its group: Operation not permitted" in answer.stderr, answer
        assert stat.S_IMODE(os.lstat(f"{folder}/in").st_mode) == 0o660
        assert daemon.stop() == 0, daemon.log()


def test_an_ipc_endpoint_beside_others_comes_and_goes_live():
    folder, front, back = zb.folder(), zb.free_port(), zb.free_port()
    ini = f"[route jobs]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:{front}\nbackend_bind = tcp://127.0.0.1:{back}\n"
    with zb.Daemon(ini, folder=folder) as daemon:
        for more, what in ((f"frontend_bind = ipc://{folder}/in\n", "added"), ("", "removed")):
            zb.write(daemon.file, ini + more)
            answer = daemon.ctl("reload")
            assert answer.stdout == f"route jobs: frontend_bind {what}: ipc://{folder}/in (live)\n", answer
            assert os.path.exists(f"{folder}/in") == bool(more)


def test_a_group_that_does_not_exist():
    folder = zb.folder()
    result = zb.run("-t", "-c", "-", stdin=streamer(folder, "ipc_group = nosuchgroup"))
    assert result.returncode == 1 and "-:8:" in result.stderr and "nosuchgroup" in result.stderr, result


def test_everything_goes_at_the_stop():
    for number in (signal.SIGTERM, signal.SIGINT):
        folder = zb.folder()
        with zb.Daemon(streamer(folder, f"capture_bind = ipc://{folder}/tap")) as daemon:
            assert sorted(n for n in os.listdir(folder) if not n.endswith(".lock")) == ["in", "out", "tap"]
            assert daemon.stop(number) == 0, daemon.log()
            assert os.listdir(folder) == [] and not os.path.exists(daemon.control), os.listdir(folder)


def test_a_path_that_somebody_took_away():
    folder = zb.folder()
    with zb.Daemon(streamer(folder)) as daemon, Clients(folder) as clients:
        clients.pass_some()
        os.unlink(f"{folder}/in")
        zb.write(f"{folder}/in", "somebody else's")
        clients.pass_some()
        assert daemon.stop() == 0, daemon.log()
    left = [name for name in os.listdir(folder) if not name.endswith(".lock")]
    assert left == ["in"] and zb.read(f"{folder}/in") == "somebody else's", "it is not ours to remove"


def test_a_socket_file_that_somebody_removed_is_told_of():
    for engine in ("wire", "zmq"):
        folder = zb.folder()
        words = f"the file of ipc://{folder}/in has been removed: nobody can connect until the route is disabled and enabled"
        problem = f"warning: route jobs: ipc://{folder}/in: its file has been removed: nobody can connect"
        with zb.Daemon(streamer(folder, f"engine = {engine}\nfrontend_max_clients = 1")) as daemon:
            with Clients(folder) as clients:
                clients.pass_some()
                zb.wait_until(lambda: "is full" in daemon.ctl("status").stdout)
                assert problem not in daemon.ctl("status").stdout, "its path is moved aside while it is full"
            zb.wait_until(lambda: os.path.exists(folder + "/in"))
            os.unlink(folder + "/in")
            daemon.wait_log(f"warning: route jobs: frontend: {words} event=file-gone route=jobs side=frontend endpoint=ipc://{folder}/in")
            assert problem in daemon.ctl("status").stdout
            daemon.ctl("disable", "jobs")
            assert problem not in daemon.ctl("status").stdout
            daemon.ctl("enable", "jobs")
            with Clients(folder) as clients:
                clients.pass_some()
            assert problem not in daemon.ctl("status").stdout
            assert daemon.stop() == 0 and daemon.log().count("has been removed") == 1, daemon.log()


def test_abstract_names_need_no_file():
    folder = zb.folder()
    ini = streamer(folder).replace(f"ipc://{folder}", f"ipc://@{folder}")
    with zb.Daemon(ini) as daemon:
        zb.wait_until(lambda: zb.accepts(f"ipc://@{folder}/in"))
        assert os.listdir(folder) == []
        error = starts_not(ini)
        assert f"ipc://@{folder}/in" in error, error
        assert zb.accepts(f"ipc://@{folder}/in")
        assert daemon.stop() == 0, daemon.log()
    assert not zb.accepts(f"ipc://@{folder}/in")


def test_paths_that_are_too_long_are_refused():
    folder = zb.folder()
    result = zb.run("-t", "-c", "-", stdin=streamer(f"{folder}/{'x' * 100}"))
    assert result.returncode == 1 and "at most 107" in result.stderr and "-:6:" in result.stderr, result
    exact = "x" * (107 - len(folder) - 1)
    with zb.Daemon(streamer(folder).replace(f"{folder}/in", f"{folder}/{exact}")) as daemon:
        assert zb.accepts(f"ipc://{folder}/{exact}")
        assert daemon.stop() == 0, daemon.log()
    assert os.listdir(folder) == []


def test_restarts_under_clients_that_stay():
    folder = zb.folder()
    with Clients(folder) as clients:
        for _ in range(5):
            with zb.Daemon(streamer(folder)) as daemon:
                clients.pass_some(20)
                assert daemon.stop() == 0, daemon.log()


zb.main()

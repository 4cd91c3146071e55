# SPDX-License-Identifier: MPL-2.0
"""The units: valid for systemd, and shut tight."""

import os
import re
import shutil
import socket
import subprocess

import zb

BEST = 1.5  # systemd-analyze security: 0 is perfect, 10 unprotected


def unit_text(name):
    text = zb.read(os.path.join(zb.BUILDDIR, "systemd", name))
    assert not re.search(r"@[A-Za-z_]+@", text), "something was not filled in"
    return text


def unit(name):
    """A copy of the built unit that runs the built program."""
    if not shutil.which("systemd-analyze"):
        raise zb.Skip("no systemd-analyze")
    text = unit_text(name)
    text = re.sub(r"^(Exec\w+=)/\S*/(zbroker|zbrokerctl) ", rf"\1{zb.BUILDDIR}/\2 ", text, flags=re.M)
    return zb.write(os.path.join(zb.folder(), name), text)


def analyze(*args):
    return subprocess.run(["systemd-analyze", *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * zb.SLOW)


def test_the_service_passes_verify():
    for name in ("zbroker.service", "zbroker@.service"):
        result = analyze("verify", "--man=no", unit(name).replace("@.", "@one."))
        assert result.returncode == 0 and not result.stdout.strip(), result.stdout


def test_an_instance_shares_no_file_or_folder_with_another():
    texts = [unit_text("zbroker.service"), unit_text("zbroker@.service")]
    for text, (file, runtime, state) in zip(texts, (("/zbroker.ini", "zbroker", "zbroker"),
                                                    ("/zbroker/%i.ini", "zbroker-%i", "zbroker/%i"))):
        assert len(re.findall(rf"^Exec(?:Start|Reload)=\S+ -c \S+{file}(?: reload)?$", text, re.M)) == 2, text
        assert f"\nRuntimeDirectory={runtime}\n" in text and f"\nStateDirectory={state}\n" in text, text
    lines = [[line for line in text.splitlines() if not re.match(r"Description|Exec|RuntimeDirectory=|StateDirectory=", line)] for text in texts]
    assert lines[0] == lines[1], "nothing else differs"


def test_the_socket_passes_verify():
    path = unit("zbroker.socket")
    service = unit("zbroker.service")
    shutil.move(service, os.path.dirname(path))
    result = analyze("verify", "--man=no", path)
    assert result.returncode == 0 and not result.stdout.strip(), result.stdout


def test_the_service_is_shut_tight():
    result = analyze("security", "--offline=true", "--no-pager", unit("zbroker.service"))
    score = re.search(r"exposure level for zbroker.service: ([0-9.]+)", result.stdout)
    assert score, result.stdout
    assert float(score.group(1)) <= BEST, result.stdout


def test_a_reload_fails_when_the_daemon_refuses_it():
    text = zb.read(unit("zbroker.service"))
    (command,) = re.findall(r"^ExecReload=(.*)$", text, re.M)
    program, *words = command.split()
    ports = zb.free_ports(3)
    folder = zb.folder()
    good = f"[zbroker]\ncontrol = {folder}/control.sock\n[route jobs]\ntype = streamer\n" + "".join(
        f"{side}_bind = tcp://127.0.0.1:{port}\n" for side, port in zip(("frontend", "backend"), ports))
    with zb.Daemon(good, folder=folder) as daemon:
        def reload(ini):
            zb.write(daemon.file, ini)
            return zb.run(*(daemon.file if word.endswith("/zbroker.ini") else word for word in words), name=os.path.basename(program))

        assert reload(good + f"backend_bind = tcp://127.0.0.1:{ports[2]}\n").returncode == 0
        wrong = reload(good + "colour = red\n")
        assert wrong.returncode == 1 and f"{daemon.file}:7:1: error: [route jobs] colour" in wrong.stderr, wrong
        with socket.socket() as taken:  # no check of the file finds that
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            refused = reload(good + f"backend_bind = tcp://127.0.0.1:{taken.getsockname()[1]}\n")
        assert refused.returncode == 1 and "Address already in use" in refused.stderr, refused


def test_the_service_tells_when_it_is_ready():
    text = zb.read(unit("zbroker.service"))
    assert re.search(r"^RestartPreventExitStatus=1 2 77$", text, re.M)
    assert re.search(r"^Type=notify$", text, re.M)


def test_the_account_and_the_folders_are_known_words():
    for tool, name in (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d")):
        if not shutil.which(tool):
            raise zb.Skip(f"no {tool}")
        root = zb.folder()
        os.makedirs(os.path.join(root, "etc"))
        zb.write(os.path.join(root, "etc/passwd"), "root:x:0:0::/:/bin/sh\nzbroker:x:999:999::/:/bin/sh\n")
        zb.write(os.path.join(root, "etc/group"), "root:x:0:\nzbroker:x:999:\n")
        path = os.path.join(zb.BUILDDIR, "systemd", name, "zbroker.conf")
        command = [tool, f"--root={root}"] + (["--dry-run"] if "sysusers" in tool else ["--create"]) + [path]
        result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * zb.SLOW)
        assert "nvalid" not in result.stdout and "nknown" not in result.stdout, result.stdout


zb.main()

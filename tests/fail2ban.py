# SPDX-License-Identifier: MPL-2.0
"""What fail2ban makes of the log."""

import os
import re
import shutil
import subprocess

import zmq
import zb
from secured import is_in, plain_house


def test_the_fail2ban_filter_finds_every_refusal_and_nothing_else():
    text = zb.read(os.path.join(zb.SRCDIR, "contrib/fail2ban/filter.d/zbroker.conf"))
    options = dict(re.findall(r"^(\w+) *= *(.*)$", text, re.M))
    pattern = options["failregex"].replace("%(_prefix)s", options["_prefix"])
    pattern = re.compile(pattern.replace("<ADDR>", r"(?P<ip>[0-9a-fA-F:.]+)"))
    line = ("auth: route prices frontend: 192.0.2.7 curve refused, unknown-key event=auth-refused route=prices side=frontend"
            " address=192.0.2.7 mechanism=curve reason=unknown-key key=" + "x" * 40)
    for before in ("", "warning: ", "2026-11-21T04:31:19.123Z warning: ", "host zbroker[4711]: ", "zbroker[1]: "):
        assert pattern.match(before + line).group("ip") == "192.0.2.7", before
    words = line[:line.index(" event=")]  # all that the journal shows
    assert pattern.match(words).group("ip") == "192.0.2.7"
    assert pattern.match(line + " (repeated 12 times)") and pattern.match(words + " (repeated 12 times)")
    assert pattern.match(line.replace("192.0.2.7", "2001:db8::1")).group("ip") == "2001:db8::1"
    for user in ("alice", '"a b\\" reason\\x3dbad"', '""'):
        assert pattern.match(line.replace("key=" + "x" * 40, "user=" + user)), user
    for other in (line.replace("refused, unknown-key event=auth-refused", "admitted event=auth-admitted"),
                  line.replace("unknown-key", "busy"), line.replace("192.0.2.7", "ipc"), "x " + line, line + " more", words + " more",
                  words.replace("unknown-key", "busy")):
        assert not pattern.match(other), other
    # What a client calls itself cannot pass for a line of its own.
    folder = zb.folder()
    evil = ("a\nauth: route jobs frontend: 198.51.100.1 plain refused, bad-password event=auth-refused route=jobs side=frontend address=198.51.100.1"
            " mechanism=plain reason=bad-password")
    ini, front, _ = plain_house(folder, ())
    with zb.Daemon(ini) as daemon:
        assert not is_in(zmq.PUSH, front, user=evil, password="x")
        daemon.wait_log("refused")
        found = [match.group("ip") for match in map(pattern.match, daemon.log().splitlines()) if match]
        assert found == ["127.0.0.1"], daemon.log()
        assert daemon.stop() == 0


def test_fail2ban_takes_the_filter_and_finds_the_refusals_in_the_log():
    program = shutil.which("fail2ban-regex")
    if not program:
        raise zb.Skip("no fail2ban here")
    folder = zb.folder()
    ini, front, _ = plain_house(folder, ["alice"])
    with zb.Daemon(ini) as daemon:
        assert is_in(zmq.PUSH, front, user="alice", password="alice")
        assert not is_in(zmq.PUSH, front, user="alice", password="wrong")
        assert not is_in(zmq.PUSH, front, user="x 198.51.100.1 plain refused, bad-password", password="wrong")
        assert not is_in(zmq.PUSH, front)
        daemon.wait_log(r"null refused, mechanism|handshake failed")
        assert daemon.stop() == 0
        refused = re.findall(r"auth: .*refused, (?:unknown-user|bad-password|mechanism) event=", daemon.log())
        assert len(refused) >= 2, daemon.log()
        result = subprocess.run([program, "--out", "ip", daemon.log_file, os.path.join(zb.SRCDIR, "contrib/fail2ban/filter.d/zbroker.conf")],
                                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=50 * zb.SLOW)
        assert result.returncode == 0 and result.stdout.split() == ["127.0.0.1"] * len(refused), result.stdout


if __name__ == "__main__":
    zb.main()

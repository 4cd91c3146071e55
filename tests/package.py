# SPDX-License-Identifier: MPL-2.0
"""What an administrator installs beside the programs: each file is valid for the tool that reads it, and speaks of what is there."""

import os
import re
import shutil
import signal
import subprocess

import zb


def source(*parts):
    path = os.path.join(zb.SRCDIR, *parts)
    if not os.path.exists(path):
        raise zb.Skip(f"{os.path.join(*parts)} is not in this source")
    return zb.read(path)


def passes(*command, **options):
    if not shutil.which(command[0]):
        raise zb.Skip(f"no {command[0]}")
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * zb.SLOW, **options)
    assert result.returncode == 0, result.stdout
    return result.stdout


def not_ignored(lines):
    """Those LINES of the log that logcheck would show, as syslog and the journal have them."""
    rules = source("debian", "zbroker.logcheck.ignore.server")
    ignore = zb.write(f"{zb.folder()}/ignore", rules)
    head = "Nov 21 06:00:00 host zbroker[17]: "
    left = subprocess.run(["grep", "-vEf", ignore], input="".join(f"{head}{line}\n" for line in lines), text=True, stdout=subprocess.PIPE).stdout
    return [line.removeprefix(head) for line in left.splitlines()]


def test_logcheck_ignores_no_warning():
    rows = re.findall(r'ROW\(EVENT_\w+, "([\w-]+)", (WARNING|ERROR),\s*"([^"]*)"', source("src", "base", "event.c"))
    assert len(rows) > 25, rows
    for value in ("x", "3", '"x event=ready"', "reload", "frontend", "live"):
        lines = [re.sub(r"\{\w+\}", value, words) for _, _, words in rows]
        lines += [f"{line} event={name} route=x" for line, (name, _, _) in zip(lines, rows)]
        left = not_ignored(lines)
        assert left == lines, set(lines) - set(left)


def test_logcheck_ignores_what_a_quiet_day_says():
    one, two = zb.free_ports(2)
    text = f"[zbroker]\nlog_level = debug\n[route jobs]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:{one}\nbackend_bind = tcp://127.0.0.1:{two}\n"
    with zb.Daemon(text) as daemon:
        zb.run("pushpull", "--to", f"tcp://127.0.0.1:{one}", "--from", f"tcp://127.0.0.1:{two}", "-m", "10", "-q", name="zbroker-bench")
        for words in (["reload"], ["pause", "jobs"], ["resume", "jobs"], ["disable", "jobs"], ["enable", "jobs"]):
            assert daemon.ctl(*words).returncode == 0, words
        zb.write(daemon.file, text.replace("type = streamer", "type = streamer\nbackend_sndhwm = 7"))
        assert daemon.ctl("reload").returncode == 0
        daemon.send(signal.SIGUSR2)
        daemon.wait_log("backend counters")
        assert daemon.stop() == 0
        lines = [re.sub(r"^\S+ \w+: ", "", line) for line in daemon.log().splitlines()]
    names = set(re.findall(r" event=([\w-]+)", "\n".join(lines)))
    assert {"ready", "route-started", "route-state", "route-ended", "route-figures", "side-figures", "client-connected", "client-gone",
            "control-command", "reloaded", "stopping", "stopped"} <= names, names
    assert not_ignored(lines) == [], not_ignored(lines)
    words = [line[:line.index(" event=")] for line in lines]
    assert not_ignored(words) == [], not_ignored(words)


def test_the_apparmor_profile_is_valid():
    if not os.path.isdir("/etc/apparmor.d/abstractions"):
        raise zb.Skip("no AppArmor")
    source("contrib", "apparmor", "usr.sbin.zbroker")
    passes("apparmor_parser", "--skip-kernel-load", "--skip-cache", os.path.join(zb.SRCDIR, "contrib", "apparmor", "usr.sbin.zbroker"))


def test_the_rpm_has_this_version():
    spec = source("contrib", "zbroker.spec")
    version = zb.run("-V").stdout.split()[1]
    assert re.search(r"^Version: +(\S+)$", spec, re.M).group(1) == version
    passes("rpmspec", "--query", "--define", "_unitdir /usr/lib/systemd/system", "--define", "_sysusersdir /usr/lib/sysusers.d",
           "--define", "_tmpfilesdir /usr/lib/tmpfiles.d", os.path.join(zb.SRCDIR, "contrib", "zbroker.spec"))


def test_scripts_of_the_package_are_valid():
    for name in ("postinst", "prerm", "postrm"):
        script = source("debian", f"zbroker.{name}")
        assert "#DEBHELPER#" in script
        passes("sh", "-n", os.path.join(zb.SRCDIR, "debian", f"zbroker.{name}"))


def test_examples_of_the_package_are_there():
    for path in source("debian", "examples").split() + source("debian", "docs").split():
        assert os.path.exists(os.path.join(zb.SRCDIR, path)), path


def test_the_manual_and_the_example_agree_on_low_ports():
    lines = [line for line in source("contrib", "systemd", "low-ports.conf").splitlines() if line and not line.startswith("#")]
    assert "\n".join(lines) in source("man", "zbroker.8.in")


zb.main()

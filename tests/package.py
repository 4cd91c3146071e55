# SPDX-License-Identifier: MPL-2.0
"""What an administrator installs beside the programs: each file is valid for the tool that reads it, and speaks of what is there."""

import os
import re
import shutil
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


def events():
    """Level of each event, by name."""
    return dict(re.findall(r'ROW\(EVENT_\w+, "([\w-]+)", (\w+),', source("src", "base", "event.c")))


def test_logcheck_ignores_no_warning():
    levels, ignored = events(), set()
    for names in re.findall(r"event=\(([\w|-]+)\)", source("debian", "zbroker.logcheck.ignore.server")):
        ignored |= set(names.split("|"))
    assert len(ignored) > 10 and ignored <= set(levels), ignored - set(levels)
    loud = {name for name in ignored if levels[name] in ("WARNING", "ERROR")}
    assert not loud, loud


def test_logcheck_ignores_what_a_start_says():
    rules = [line for line in source("debian", "zbroker.logcheck.ignore.server").splitlines() if line]
    one, two = zb.free_ports(2)
    with zb.Daemon(f"[route jobs]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:{one}\nbackend_bind = tcp://127.0.0.1:{two}\n") as daemon:
        assert daemon.stop() == 0
        lines = [re.sub(r"^\S+ (\w+): ", r"Nov 21 06:00:00 host zbroker[17]: ", line) for line in daemon.log().splitlines()]
    bad = "Nov 21 06:00:00 host zbroker[17]: control: cannot accept: \"x event=ready\" event=control-accept reason=\"x event\\x3dready\""
    folder = zb.folder()
    ignore = zb.write(f"{folder}/ignore", "\n".join(rules) + "\n")
    left = subprocess.run(["grep", "-vEf", ignore], input="\n".join(lines + [bad]) + "\n", text=True, stdout=subprocess.PIPE).stdout
    assert len(lines) > 2 and left == bad + "\n", left


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

# SPDX-License-Identifier: MPL-2.0
"""Clients in other languages: unchanged ZeroMQ clients are all that zbroker needs."""

import os
import shlex
import shutil
import signal
import subprocess

import zb

COUNT = 2000
CLIENTS = os.path.join(zb.SRCDIR, "tests", "clients")


def c_client():
    """The command of a client in C, compiled here against the libzmq that is here."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not shutil.which(compiler[0]) or not shutil.which("pkg-config"):
        raise zb.Skip("no C compiler or no pkg-config")
    program = os.path.join(zb.folder(), "client")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libzmq"], stdout=subprocess.PIPE, text=True, check=True).stdout
    subprocess.run(compiler + ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program,
                               os.path.join(CLIENTS, "client.c")] + shlex.split(flags), check=True, timeout=60 * zb.SLOW)
    return [program]


def ruby_client():
    # The system's own one: its packages are installed for that one.
    ruby = "/usr/bin/ruby" if os.path.exists("/usr/bin/ruby") else shutil.which("ruby")
    if not ruby:
        raise zb.Skip("no ruby (Debian: ruby-ffi-rzmq)")
    if subprocess.run([ruby, "-e", "require 'ffi-rzmq'"], stderr=subprocess.DEVNULL, timeout=60 * zb.SLOW).returncode:
        raise zb.Skip("ruby has no ffi-rzmq (Debian: ruby-ffi-rzmq)")
    return [ruby, "-W0", os.path.join(CLIENTS, "client.rb")]


class Client:
    def __init__(self, command, kind, endpoint, count=COUNT):
        self.what = f"{os.path.basename(command[-1])} {kind}"
        self.process = zb.spawn(command + [kind, endpoint, str(count)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def succeeds(self):
        output, _ = self.process.communicate(timeout=40 * zb.SLOW)
        assert self.process.returncode == 0, f"{self.what} ended with {self.process.returncode}: {output}"


PAIRS = (("streamer", "push", "pull"), ("queue", "req", "rep"), ("forwarder", "pub", "sub"))


def check(one, other):
    """Through a route of each type, ONE in front and OTHER behind it."""
    for kind, front_kind, back_kind in PAIRS:
        folder = zb.folder()
        front, back = f"tcp://127.0.0.1:{zb.free_port()}", f"ipc://{folder}/back"
        with zb.Daemon(f"[route r]\ntype = {kind}\nfrontend_bind = {front}\nbackend_bind = {back}\n") as daemon:
            behind = Client(other, back_kind, back)
            before = Client(one, front_kind, front)
            behind.succeeds()
            if front_kind == "pub":
                before.process.send_signal(signal.SIGTERM)
                before.process.wait(20 * zb.SLOW)
            else:
                before.succeeds()
            assert daemon.stop() == 0, daemon.log()


def test_clients_in_c():
    client = c_client()
    check(client, client)


@zb.limit(120)
def test_clients_in_ruby():
    client = ruby_client()
    check(client, client)


@zb.limit(120)
def test_ruby_talks_to_c_and_back():
    ruby, c = ruby_client(), c_client()
    check(ruby, c)
    check(c, ruby)


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Programs that speak ZeroMQ of their own accord, unchanged, through zbroker. Each is skipped where it is not installed."""

import functools
import json
import os
import shutil
import socket
import subprocess
import sys

import zb

LINES = 200


# --- rsyslog ------------------------------------------------------------------------------------------------------------

def rsyslogd(conf):
    program = shutil.which("rsyslogd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not program:
        raise zb.Skip("no rsyslogd (Debian: rsyslog, rsyslog-czmq)")
    folder = zb.folder()
    file = zb.write(f"{folder}/rsyslog.conf", f'global(workDirectory="{folder}")\n{conf}')
    checked = subprocess.run([program, "-N1", "-f", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * zb.SLOW)
    if "could not load module" in checked.stdout:
        raise zb.Skip("rsyslogd has no omczmq and imczmq (Debian: rsyslog-czmq)")
    assert checked.returncode == 0, checked.stdout
    return zb.spawn([program, "-n", "-f", file, "-i", f"{folder}/pid"], stdout=subprocess.DEVNULL)


def log_through(kind, out_type, in_type):
    """Lines into one rsyslogd, through a route, out of another: all of them, in order."""
    front, back, entry = zb.free_ports(3)
    file = f"{zb.folder()}/lines"
    with zb.Daemon(f"[route logs]\ntype = {kind}\nfrontend_bind = tcp://127.0.0.1:{front}\nbackend_bind = tcp://127.0.0.1:{back}\n") as daemon, \
            zb.Control(daemon) as control:
        topics = ' topics=""' if in_type == "SUB" else ""
        rsyslogd(f"""
module(load="imczmq")
template(name="line" type="string" string="%rawmsg%\\n")
input(type="imczmq" endpoints=">tcp://127.0.0.1:{back}" socktype="{in_type}"{topics})
action(type="omfile" file="{file}" template="line")
""")
        rsyslogd(f"""
module(load="imtcp")
module(load="omczmq")
template(name="line" type="string" string="%msg%")
input(type="imtcp" port="{entry}" address="127.0.0.1")
action(type="omczmq" endpoints=">tcp://127.0.0.1:{front}" socktype="{out_type}" template="line")
""")
        zb.wait_until(lambda: zb.accepts(f"tcp://127.0.0.1:{entry}"), 20, "the first rsyslogd")

        def come():
            return [line for line in zb.read(file).split() if line.startswith("line-")] if os.path.exists(file) else []

        with socket.create_connection(("127.0.0.1", entry), timeout=10 * zb.SLOW) as logger:
            def first_comes():
                logger.sendall(b"<13>1 2026-01-01T00:00:00Z host app - - - line-first\n")
                return come()

            zb.wait_until(first_comes, 20, "a line")  # from here on both are connected, and subscribed
            logger.sendall(b"".join(b"<13>1 2026-01-01T00:00:00Z host app - - - line-%d\n" % i for i in range(LINES)))
            zb.wait_until(lambda: f"line-{LINES - 1}" in come(), 20, "the last line")
        assert [line for line in come() if line != "line-first"] == [f"line-{i}" for i in range(LINES)]
        assert sum(control.route("logs")["dropped"].values()) == 0


def test_rsyslog_pushes_to_rsyslog():
    log_through("streamer", "PUSH", "PULL")


def test_rsyslog_publishes_to_rsyslog():
    log_through("forwarder", "PUB", "SUB")


# --- Jupyter ------------------------------------------------------------------------------------------------------------

KERNEL = '''
import json, sys
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient()
client.load_connection_info(json.loads(sys.argv[1]))
client.start_channels()
client.wait_for_ready(timeout=60)
said = []
reply = client.execute_interactive("print(6 * 7)", timeout=60, output_hook=lambda message: said.append(message["content"].get("text")))
assert reply["content"]["status"] == "ok" and "42" in "".join(filter(None, said)), (reply, said)
assert client.is_alive()
client.stop_channels()
'''
CHANNELS = {"shell": "queue", "control": "queue", "stdin": "queue", "hb": "queue", "iopub": "forwarder"}


def test_a_jupyter_kernel_behind_a_route_for_each_of_its_sockets():
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    if subprocess.run([python, "-c", "import ipykernel, jupyter_client"], stderr=subprocess.DEVNULL, timeout=60 * zb.SLOW).returncode:
        raise zb.Skip("no ipykernel (Debian: python3-ipykernel)")
    ports = zb.free_ports(2 * len(CHANNELS))
    inner, outer = (dict(zip(CHANNELS, half)) for half in (ports[::2], ports[1::2]))
    about = {"ip": "127.0.0.1", "transport": "tcp", "key": "secret", "signature_scheme": "hmac-sha256"}
    folder = zb.folder()

    def connection(where):
        return json.dumps({**about, **{f"{name}_port": port for name, port in where.items()}})

    def route(name, kind):
        # The kernel binds. It calls a client back by the id that it gave itself at the shell, so ours is the same everywhere.
        if kind == "forwarder":
            return f"frontend_connect = tcp://127.0.0.1:{inner[name]}\nbackend_bind = tcp://127.0.0.1:{outer[name]}"
        return (f"frontend_bind = tcp://127.0.0.1:{outer[name]}\nbackend_connect = tcp://127.0.0.1:{inner[name]}\n"
                "backend_routing_id = zbroker")

    kernel = zb.spawn([python, "-m", "ipykernel_launcher", "-f", zb.write(f"{folder}/kernel.json", connection(inner), 0o600)],
                      stdout=subprocess.DEVNULL, env={**os.environ, "HOME": folder})
    for port in inner.values():  # its client gives it up after a second without a heartbeat
        zb.wait_until(functools.partial(zb.accepts, f"tcp://127.0.0.1:{port}"), 30, "a kernel")
    with zb.Daemon("".join(f"[route {name}]\ntype = {kind}\n{route(name, kind)}\n" for name, kind in CHANNELS.items())) as daemon:
        client = subprocess.run([python, "-c", KERNEL, connection(outer)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                timeout=100 * zb.SLOW, env={**os.environ, "HOME": folder})
        assert client.returncode == 0, client.stdout
        assert kernel.poll() is None
        assert daemon.stop() == 0, daemon.log()


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Many messages and large ones through every type of route, each looked at to its last byte.

ZB_SMALL is how many of 64 bytes go through each, ZB_LARGE how many of 1 MiB."""

import json
import os

import zb

SMALL = int(os.environ.get("ZB_SMALL", "20000"))
LARGE = int(os.environ.get("ZB_LARGE", "16"))

# The pattern of zbroker-bench, the lines of the route, and the clients of a side; a pair has one.
KINDS = {"streamer": ("pushpull", "", (1, 8)), "queue": ("dealer", "", (1, 8)), "pair": ("pair", "", (1,)),
         "forwarder": ("pubsub --nodrop", "backend_xpub_nodrop = yes", (1, 8)),
         "custom": ("dealer", "frontend_type = ROUTER\nbackend_type = DEALER", (1, 8))}


def endpoints(transport):
    if transport == "tcp":
        return [f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2)]
    folder = zb.folder()
    return [f"ipc://{folder}/in", f"ipc://{folder}/out"]


def through(kind, transport, count, size):
    pattern, lines, sides = KINDS[kind]
    if size > 100000:  # a thousand for each client would take all memory
        pattern, lines = pattern + " --sndhwm 20 --rcvhwm 20", lines + "\nsndhwm = 20\nrcvhwm = 20"
        if pattern.startswith("dealer"):  # a queue drops the answers that a client has no room for; libzmq tells of half of it
            pattern += " -o 8"
    for clients in sides:
        front, back = endpoints(transport)
        out = os.path.join(zb.folder(), "out.json")
        with zb.Daemon(f"[route r]\ntype = {kind}\nfrontend_bind = {front}\nbackend_bind = {back}\n{lines}\n") as daemon:
            ran = zb.run("-q", *pattern.split(), "--to", front, "--from", back, "-p", clients, "-n", clients, "-m", count, "-s", size,
                         "--wait", "60", "--settle", "30", "--timeout", "60", "--json", out, name="zbroker-bench",
                         seconds=60 + clients * count * (size + 10000) / 1e7)
            assert ran.returncode == 0 and "0 lost, 0 doubled, 0 reordered, 0 corrupt" in ran.stdout, "\n".join(
                [ran.stdout, ran.stderr] + [daemon.ctl("show", what, "r").stdout for what in ("stats", "clients")])
            assert daemon.stop() == 0, daemon.log()
        rate = json.loads(zb.read(out))["messages_per_second"]
        print(f"# {kind} over {transport}, {clients} to {clients}: {count} of {size} bytes, {rate:.0f} a second came; none lost, "
              f"doubled, out of turn or spoilt")


def tests():
    for size, count, what in ((64, SMALL, "many"), (1 << 20, LARGE, "large")):
        for transport in ("tcp", "ipc"):
            for kind in KINDS:
                @zb.limit(240 + 10 * count * (size + 10000) // 10000000)
                def test(arguments=(kind, transport, count, size)):
                    through(*arguments)
                yield f"test_{what}_messages_through_a_{kind}_over_{transport}", test


zb.main(list(tests()))

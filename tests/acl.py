# SPDX-License-Identifier: MPL-2.0
"""Rights to topics are kept, or refused by -t: on each side, between all socket types, with each engine, beside every option."""

import re

import zmq

import zb

RIGHTS = "topic readwrite ok/#\n"
FRONTENDS = {"XSUB": zmq.PUB, "SUB": zmq.PUB, "PULL": zmq.PUSH, "ROUTER": None, "DEALER": None, "PAIR": None}
BACKENDS = {"XPUB": zmq.SUB, "PUB": zmq.SUB, "PUSH": zmq.PULL, "DEALER": zmq.DEALER, "PAIR": zmq.PAIR, "ROUTER": None}
SIDES = ("frontend", "backend", "ingress", "capture")


def route(folder, kind, *lines):
    if isinstance(kind, str):
        head = [f"type = {kind}"]
    else:
        head = ["type = custom", f"frontend_type = {kind[0]}", f"backend_type = {kind[1]}"] + ["frontend_subscribe ="] * (kind[0] == "SUB")
    return "\n".join(["[route r]", *head, f"frontend_bind = ipc://{folder}/frontend", f"backend_bind = ipc://{folder}/backend", *lines, ""])


def check(ini):
    return zb.run("-t", "-c", "-", stdin=ini)


def opened(context, kind, endpoint, **options):
    """A peer that asks for everything, in the way of its type."""
    peer = zb.peer(context, kind, endpoint, **(options or ({"subscribe": b""} if kind == zmq.SUB else {})))
    if kind in (zmq.DEALER, zmq.PAIR):
        peer.send(b"\1")
    return peer


def received(ini, folder, writer, reader, writes="frontend", reads="backend", takers=(), **options):
    """What a READER gets of what a WRITER sends: first what the rights deny, then what they allow, until that has come twice."""
    with zmq.Context() as context, zb.Daemon(ini, folder=folder) as daemon:
        sender = zb.peer(context, writer, f"ipc://{folder}/{writes}", sndtimeo=1000)
        receiver, got = opened(context, reader, f"ipc://{folder}/{reads}", **options), []
        # A capture shows what moves, so somebody has to take it.
        others = [opened(context, kind, f"ipc://{folder}/backend") for kind in takers]

        def allowed_twice():
            for message in (b"no/1", b"ok/1"):
                sender.send(message)
            while receiver.poll(5):
                got.append(receiver.recv())
            return got.count(b"ok/1") >= 2

        zb.wait_until(allowed_twice, 5, what="what the rights allow")
        for peer in [sender, receiver, *others]:
            peer.close(0)
        assert daemon.stop() == 0
    return set(got)


def sides_of(folder, kind, engine):
    """The sides that KIND can have with ENGINE, each with the line that it takes."""
    for side in SIDES:
        line = "" if side in ("frontend", "backend") else f"{side}_bind = ipc://{folder}/{side}"
        if check(route(folder, kind, f"engine = {engine}", line)).returncode == 0:
            yield side, line


@zb.limit(120)
def test_acl_is_kept_or_refused_on_each_side_between_all_types_with_each_engine():
    folder = zb.folder()
    acl, kept = zb.write(folder + "/acl", RIGHTS), set()
    kinds = ["forwarder"] + [(frontend, backend) for frontend in FRONTENDS for backend in BACKENDS]
    for engine, kind in [(engine, kind) for engine in ("wire", "zmq", "zmq_proxy") for kind in kinds]:
        writer, reader = (zmq.PUB, zmq.SUB) if kind == "forwarder" else (FRONTENDS[kind[0]], BACKENDS[kind[1]])
        for side, line in sides_of(folder, kind, engine):
            ini = route(folder, kind, f"engine = {engine}", line, f"{side}_acl = {acl}")
            said = check(ini)
            if said.returncode:
                assert re.search(rf"error: .*{side}_acl: ", said.stderr), (engine, kind, side, said)
                continue
            kept.add((engine, side))
            if not writer or not reader:
                continue  # its first frame is an address
            if side == "ingress":
                got = received(ini, folder, zmq.PUSH, reader, writes=side)
            elif side == "capture":
                got = received(ini, folder, writer, zmq.SUB, reads=side, takers=(reader,))
            else:
                got = received(ini, folder, writer, reader)
            assert got == {b"ok/1"}, (engine, kind, side, got)
    assert kept == {("wire", side) for side in SIDES} | {("zmq", "frontend"), ("zmq", "ingress")}, kept


# A value for each key that only a publishing side has, so that it does something; a new one needs its value here.
VALUES = {
    "invert_matching": "yes",
    "max_subscriptions": "5",
    "max_topic": "20",
    "only_first_subscribe": "yes",
    "stall_timeout": "1s",
    "xpub_nodrop": "yes",
    "xpub_verbose": "yes",
    "xpub_verboser": "yes",
    "xpub_welcome_msg": "hello",
}
KEYS_OF_THE_ROUTE = ("last_value = 10", "replay_messages = 10", "durable = yes")


def keys_of_the_backend(folder, kind):
    return set(re.findall(r"^backend_(\w+) =", zb.run("-T", "-c", "-", stdin=route(folder, kind)).stdout, re.M))


@zb.limit(60)
def test_acl_of_readers_is_kept_or_refused_beside_every_key_of_a_publishing_side():
    folder = zb.folder()
    acl = zb.write(folder + "/acl", RIGHTS)
    keys = keys_of_the_backend(folder, "forwarder") - keys_of_the_backend(folder, "streamer")
    assert keys == set(VALUES), "each one is tried with a value of its own"
    for line in [f"backend_{key} = {value}" for key, value in VALUES.items()] + list(KEYS_OF_THE_ROUTE):
        ini = route(folder, "forwarder", "engine = wire", f"ingress_bind = ipc://{folder}/ingress", line, f"backend_acl = {acl}")
        said = check(ini)
        if said.returncode:
            assert "only_first_subscribe" in line, (line, said)
            continue
        inverted = {"invert_matching": 1, "subscribe": b"unknown"} if "invert_matching" in line else {}
        got = received(ini, folder, zmq.PUSH, zmq.SUB, writes="ingress", **inverted)
        assert got - {b"hello"} == {b"ok/1"}, (line, got)


zb.main()

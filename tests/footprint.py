# SPDX-License-Identifier: MPL-2.0
"""What a route costs while nobody uses it, and what may wait in it."""

import os
import re

import zmq
import zb
import zmtp


ZMQ = "engine = zmq\n"  # what its sockets cost, and count


def streamers(ports, keys=""):
    return "".join(f"[route r{i}]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:{ports[2 * i]}\n"
                   f"backend_bind = tcp://127.0.0.1:{ports[2 * i + 1]}\n{keys}\n" for i in range(len(ports) // 2))


def socket(context, kind, port):
    made = context.socket(kind)
    made.linger = 0
    made.sndtimeo = made.rcvtimeo = int(20000 * zb.SLOW)
    made.connect(f"tcp://127.0.0.1:{port}")
    return made


def used(ini):
    """(RSS, descriptors, threads) of a daemon with these routes."""
    with zb.Daemon(ini) as daemon:
        return zb.rss(daemon.pid), zb.fds(daemon.pid), zb.threads(daemon.pid)


def test_an_idle_route_over_libzmqs_sockets_is_a_thread_and_eleven_descriptors():
    ports = zb.free_ports(100)
    few, many = used(streamers(ports[:20], ZMQ)), used(streamers(ports, ZMQ))
    assert many[1] - few[1] == 40 * 11, (few, many)
    assert many[2] - few[2] == 40, (few, many)
    if not os.environ.get("ZB_DAEMON") and zb.HEAVY == 1: # sanitizers have memory of their own
        each = (many[0] - few[0]) / 40 / 1024
        assert each < 120, f"{each:.1f} KiB"


def test_the_first_clients_come_all_at_once():
    front, back = zb.free_ports(2)
    with zb.Daemon(streamers([front, back])), zmq.Context() as context:
        producers = [socket(context, zmq.PUSH, front) for _ in range(20)]
        for number, each in enumerate(producers):
            each.send(b"%d" % number)
        consumer = socket(context, zmq.PULL, back)
        got = {int(consumer.recv()) for _ in producers}
        assert got == set(range(20)), got
        context.destroy(0)


def test_a_paused_route_lets_clients_in():
    front, back = zb.free_ports(2)
    with zb.Daemon(streamers([front, back])) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        assert "paused" in control.ask("pause r0")
        producer = socket(context, zmq.PUSH, front)
        producer.send(b"early")
        zb.wait_until(lambda: control.route("r0")["frontend"]["connections"] == 1, what="the client")
        assert control.route("r0")["frontend"]["messages_received"] == 0
        control.ask("resume r0")
        assert socket(context, zmq.PULL, back).recv() == b"early"
        context.destroy(0)


def test_a_reload_leaves_a_route_without_clients_open():
    front, back, other = zb.free_ports(3)
    ini = streamers([front, back])
    changes = [ini + "backend_backlog = 5\n", ini + f"frontend_bind = tcp://127.0.0.1:{other}\n", ini]
    with zb.Daemon(ini) as daemon, zmq.Context() as context:
        for text in changes:
            zb.write(daemon.file, text)
            assert daemon.ctl("reload").returncode == 0, daemon.log()
        producer, consumer = socket(context, zmq.PUSH, front), socket(context, zmq.PULL, back)
        producer.send(b"still here")
        assert consumer.recv() == b"still here"
        context.destroy(0)


def test_commands_that_were_heard_take_no_memory():
    """Subscriptions and PONGs, which every idle subscriber sends; one that is not there whole takes a chunk."""
    front, back = zb.free_ports(2)
    ping = zmtp.command(b"PING", b"\0\0id")
    with zb.Daemon(f"[route f]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:{front}\nbackend_bind = tcp://127.0.0.1:{back}\n") as daemon, zb.Control(daemon) as control:
        subscribers = [zmtp.Raw(back, b"SUB") for _ in range(200)]

        def taken():
            return control.json("status")["message_bytes"]
        for each in subscribers:
            each.send(zmtp.command(b"SUBSCRIBE", b"topic") + zmtp.command(b"PONG", b"") + ping[:5])
        zb.wait_until(lambda: taken() > 2 << 18)
        for each in subscribers:
            each.send(ping[5:])
            each.wait(b"PONGid", 1)
        zb.wait_until(lambda: taken() <= 2 << 18)
        assert [each["subscriptions"] for each in control.json("show clients")["clients"]] == [1] * 200


def test_what_waits_for_the_first_consumer_survives_a_re_creation():
    front, back = zb.free_ports(2)
    ini = streamers([front, back])
    with zb.Daemon(ini) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        producer = socket(context, zmq.PUSH, front)
        for number in range(5000):
            producer.send(b"%d" % number)
        zb.wait_until(lambda: control.route("r0")["blocked"], what="a route that waits for consumers")
        zb.write(daemon.file, ini + "backend_backlog = 7\n")
        assert daemon.ctl("reload").returncode == 0, daemon.log()
        consumer = socket(context, zmq.PULL, back)
        got = sorted(int(consumer.recv()) for _ in range(5000))
        assert got == list(range(5000))
        context.destroy(0)


def test_the_room_for_clients_leaves_what_the_routes_need():
    ports = zb.free_ports(20)
    with zb.Daemon("[zbroker]\nlog_level = debug\n" + streamers(ports), wrap=["prlimit", "--nofile=300"]) as daemon:
        with zmq.Context() as context:
            context.max_sockets = 1023
            crowd = [socket(context, zmq.PUSH, ports[0]) for _ in range(300)]
            daemon.wait_log(r"the process is full")
            assert not re.search(r"cannot bind|[Oo]ut of file", daemon.log()), daemon.log()
            assert daemon.ctl("status").returncode == 0
            for each in crowd:
                each.close()
            daemon.wait_log(r"has room for clients again")
            for i in range(10):
                producer, consumer = socket(context, zmq.PUSH, ports[2 * i]), socket(context, zmq.PULL, ports[2 * i + 1])
                producer.send(b"x")
                assert consumer.recv() == b"x"
            context.destroy(0)



def dumped(ini):
    """{key: value} of the last route in what -T prints."""
    done = zb.run("-T", "-c", "-", stdin=ini)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" = ", 1) for line in done.stdout.split("[route ")[-1].splitlines() if " = " in line)


def test_queue_bytes_make_high_water_marks():
    ports = zb.free_ports(2)
    budget = ZMQ + "queue_bytes = 64M\nmessage_size = 64k\n"
    values = dumped(streamers(ports, budget))
    assert (values["frontend_rcvhwm"], values["backend_sndhwm"], values["queue_bytes"]) == ("1024", "1024", "64M"), values
    values = dumped(streamers(ports, budget + "backend_sndhwm = 7\n"))
    assert (values["frontend_rcvhwm"], values["backend_sndhwm"]) == ("1024", "7"), values
    values = dumped("[defaults]\nhwm = 9\n" + streamers(ports, budget))
    assert (values["frontend_rcvhwm"], values["backend_sndhwm"]) == ("1024", "1024"), values
    values = dumped(streamers(ports, "hwm = 9\n" + budget))
    assert (values["frontend_rcvhwm"], values["backend_sndhwm"]) == ("9", "9"), values
    values = dumped(streamers(ports, budget.replace("64k", "1G")))
    assert values["backend_sndhwm"] == "1", values
    values = dumped(streamers(ports, budget).replace("streamer", "forwarder"))
    assert [values[f"{side}_{key}"] for side in ("frontend", "backend") for key in ("sndhwm", "rcvhwm")] \
        == ["0", "1024", "1024", "1000"], values


def stuck(ini, front, back, size):
    """Bytes that a streamer holds more once its worker takes nothing and its producer can send no more."""
    with zb.Daemon(ini) as daemon, zb.Control(daemon) as control, zmq.Context() as context:
        before = zb.rss(daemon.pid)
        worker = context.socket(zmq.PULL)
        worker.rcvhwm = 1
        worker.connect(f"tcp://127.0.0.1:{back}")
        zb.wait_until(lambda: control.route("r0")["backend"]["connections"] == 1, what="the worker")
        producer = context.socket(zmq.PUSH)
        producer.sndhwm, producer.sndtimeo = 1, 100
        producer.connect(f"tcp://127.0.0.1:{front}")
        data, refused = bytes(size), 0
        while refused < 20:
            try:
                producer.send(data)
                refused = 0
            except zmq.Again:
                refused += 1
        grown = zb.rss(daemon.pid) - before
        context.destroy(0)
        return grown


def test_queue_bytes_bound_what_waits():
    if os.environ.get("ZB_DAEMON") or zb.HEAVY != 1:
        raise zb.Skip("sanitizers have memory of their own")
    front, back = zb.free_ports(2)
    budget = 8 << 20
    grown = stuck(streamers([front, back], "queue_bytes = 8M\nmessage_size = 64k\n"), front, back, 1 << 16)
    # one queue of the producer, one of the worker
    assert budget < grown < 2.5 * budget, f"{grown / budget:.2f} budgets"
    freely = stuck(streamers([front, back]), front, back, 1 << 16)
    # libzmq has a queue for the producer, too.
    assert freely > (7 if zb.WIRE else 10) * budget, f"{freely / budget:.2f} budgets"


zb.main()

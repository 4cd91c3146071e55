# SPDX-License-Identifier: MPL-2.0
"""zbroker-bench: that it counts right, notices every fault, and leaves nothing behind."""

import glob
import json
import os
import re
import shutil
import signal
import sys
import time

import zb

# A broker with a fault: every 100th message is lost, sent twice, spoilt, or swapped with the next one.
FAULTY = r'''
import sys, zmq
fault, to, where = sys.argv[1:4]
context = zmq.Context()
pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
pull.bind(to)
push.bind(where)
number, held = 0, None
while True:
    parts = pull.recv_multipart()
    if parts[0][2] >> 4 == 3: # a message that counts
        number += 1
        if number % 100 == 0:
            if fault == "lose":
                continue
            if fault == "double":
                push.send_multipart(parts)
            if fault == "spoil":
                parts[-1] = parts[-1][:-1] + bytes([parts[-1][-1] ^ 1])
            if fault == "cut":
                parts[-1] = parts[-1][:-1]
            if fault == "swap":
                held = parts
                continue
    push.send_multipart(parts)
    if held:
        push.send_multipart(held)
        held = None
'''


def bench(*args, seconds=60):
    return zb.run("-q", *args, name="zbroker-bench", seconds=seconds)


def against_zmq_proxy(*args):
    """One round of a load, checked to the last byte, through zmq_proxy."""
    ran = bench(*args, "--against", "zmq_proxy", "--rounds", "1", "--warmup", "0", "-m", "5000")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 lost, 0 doubled, 0 reordered, 0 corrupt" in ran.stdout, ran.stdout
    return ran.stdout


def test_what_is_encrypted_arrives_through_every_broker_and_none():
    for where in ("--direct",), ("--zbroker", zb.program("zbroker")[0]):
        against_zmq_proxy("pushpull", "--curve", *where)
    assert bench("pushpull", "--curve", "--to", "tcp://127.0.0.1:1", "--from", "tcp://127.0.0.1:2").returncode == 2


def test_every_pattern_goes_through_zmq_proxy_unharmed():
    for pattern in ("pubsub --nodrop", "pushpull", "reqrep", "dealer", "pair", "pair -o 8"):
        against_zmq_proxy(*pattern.split())


def test_many_clients_and_parts_with_empty_frames():
    out = against_zmq_proxy("pushpull", "-p", "4", "-n", "3", "--parts", "3", "--empty", "--transport", "ipc", "--each")
    sent = [int(number) for number in re.findall(r"producer \d: (\d+) sent", out)]
    got = [int(number) for number in re.findall(r"consumer \d: 0 sent, (\d+) received", out)]
    assert sent[:4] == [1250] * 4 and sum(got[:3]) == 5000, out


def test_topics_shared_out_reach_each_subscriber_once():
    out = against_zmq_proxy("pubsub", "--nodrop", "-n", "3", "-p", "2", "--topics", "10", "--split-topics", "--topic", "a/", "--each")
    got = [int(number) for number in re.findall(r"consumer \d: 0 sent, (\d+) received", out)]
    assert sorted(got[:3]) == [1500, 1500, 2000], out


def test_services_of_each_kind_answer():
    for service in ("rep", "router", "dealer"):
        for parts in ("1", "3"):
            against_zmq_proxy("dealer", "--service", service, "-p", "2", "-n", "2", "--parts", parts)
    against_zmq_proxy("reqrep", "--parts", "3")


def test_peers_without_broker():
    for pattern in ("pubsub", "pushpull", "dealer", "reqrep"):
        ran = bench(pattern, "--direct", "--nodrop", "-p", "2", "-n", "2", "-m", "2000")
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_czmq_zproxy_is_a_reference_too():
    ran = bench("pushpull", "--against", "zproxy", "--rounds", "1", "-m", "2000")
    assert ran.returncode == 0 and "ratios to zproxy" in ran.stdout, ran.stdout + ran.stderr


# What zbroker-bench says of a broker with a fault: lost, doubled, reordered, corrupt. The last message has none to be swapped with.
FAULTS = {"lose": (10, 0, 0, 0), "double": (0, 10, 0, 0), "swap": (1, 0, 9, 0), "spoil": (10, 0, 0, 10), "cut": (10, 0, 0, 10)}


def test_every_fault_of_a_broker_is_counted():
    script = zb.write(os.path.join(zb.folder(), "faulty.py"), FAULTY)
    # All at once: what is lost is waited for.
    rounds = {fault: zb.spawn(zb.program("zbroker-bench") + ["-q", "pushpull", "--against", f"{sys.executable} {script} {fault} {{to}} {{from}}",
                              "--rounds", "1", "-m", "1000", "--settle", "5", "--parts", "2", "--wait", "100"], stdout=-1, stderr=-2, text=True)
              for fault in FAULTS}
    for fault, expected in FAULTS.items():
        said, _ = rounds[fault].communicate(timeout=60 * zb.SLOW)
        counts = re.findall(r"(\d+) lost, (\d+) doubled, (\d+) reordered, (\d+) corrupt", said)
        assert len(counts) == 2 and rounds[fault].returncode == 1, f"{fault}: {said}"
        assert tuple(int(count) for count in counts[0]) == expected, f"{fault}: {said}"


def test_what_a_publisher_drops_is_counted_as_lost():
    ran = bench("pubsub", "--direct", "-m", "200k", "--sndhwm", "10", "--rcvhwm", "10", "--settle", "0.5")
    assert ran.returncode == 1 and re.search(r"[1-9]\d* lost", ran.stdout), ran.stdout + ran.stderr


def test_consumers_with_work_hold_up_the_producers():
    file = os.path.join(zb.folder(), "out.json")
    ran = bench("pushpull", "--direct", "-m", "3000", "--work", "200", "--sndhwm", "10", "--rcvhwm", "10", "--json", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(zb.read(file))["messages_per_second"] <= 5100, ran.stdout


def test_a_missing_broker_is_exit_3():
    port = zb.free_port()
    for pattern in ("pushpull", "dealer", "pubsub"):
        ran = bench(pattern, "--to", f"tcp://127.0.0.1:{port}", "--from", f"tcp://127.0.0.1:{port}", "--wait", "0.3")
        assert ran.returncode == 3 and "is a broker there" in ran.stderr, ran.stdout + ran.stderr


def test_a_reference_that_ends_is_exit_3():
    ran = bench("pushpull", "--against", "false", "--wait", "0.3")
    assert ran.returncode == 3 and "false ended with status 1" in ran.stderr, ran.stderr


def test_an_endpoint_that_cannot_be_used_is_named_with_what_was_tried():
    ran = bench("pushpull", "--to", "@tcp://nobody.invalid:1", "--from", "tcp://127.0.0.1:1", "--wait", "1s")
    assert ran.returncode == 3 and "cannot bind tcp://nobody.invalid:1: " in ran.stderr, ran.stdout + ran.stderr
    ran = bench("pushpull", "--to", "carrier://pigeon", "--from", "tcp://127.0.0.1:1", "--wait", "1s")
    assert ran.returncode == 3 and "cannot connect to carrier://pigeon: " in ran.stderr, ran.stdout + ran.stderr


def test_wrong_usage_is_exit_2():
    for args in (["pushpull"], ["--direct"], ["pigeon", "--direct"], ["pushpull", "--direct", "--size", "1"]):
        assert bench(*args).returncode == 2, args
    assert bench("--help").returncode == 0 and bench("--version").returncode == 0


def test_a_stall_shows_in_the_latencies_of_all_it_held_up():
    # 1,000 messages a second for 4 s; the broker sleeps for 1 s of them. Whoever only timed what was
    # sent after the stall would see it once; here a fifth of the messages waited 0.1 s or longer.
    file = os.path.join(zb.folder(), "out.json")
    port_in, port_out = zb.free_ports(2)
    broker = zb.spawn(zb.program("zbroker-bench") + ["--serve", "proxy", "pushpull", "--to", f"tcp://127.0.0.1:{port_in}",
                                                    "--from", f"tcp://127.0.0.1:{port_out}"])
    zb.wait_until(lambda: zb.accepts(f"tcp://127.0.0.1:{port_out}"), 10, "a broker")
    stalled = False
    while not stalled:  # until the stall comes while the load lasts
        start = zb.cpu_seconds(broker.pid)
        load = zb.spawn(zb.program("zbroker-bench") + ["pushpull", "-q", "--to", f"tcp://127.0.0.1:{port_in}", "--from",
                        f"tcp://127.0.0.1:{port_out}", "--rate", "1000", "-d", "4", "--warmup", "0", "--settle", "60", "--json", file, "--pid",
                        str(broker.pid)], stdout=-1)
        zb.wait_until(lambda: zb.cpu_seconds(broker.pid) >= start + 0.02 or load.poll() is not None, 20, "a broker at work")
        broker.send_signal(signal.SIGSTOP)
        time.sleep(1)  # the stall itself
        stalled = load.poll() is None
        broker.send_signal(signal.SIGCONT)
        assert load.wait(20 * zb.SLOW) == 0
    result = json.loads(zb.read(file).splitlines()[-1])
    latency = result["latency_ns"]
    assert latency["max"] > 400e6, latency
    assert latency["p90"] > 100e6, latency
    assert result["lost"] == 0 and result["broker"]["cpu_ns"] > 0, result


def test_json_has_a_line_per_measurement():
    file = os.path.join(zb.folder(), "out.json")
    ran = bench("pushpull", "--direct", "--against", "zmq_proxy", "--rounds", "2", "-m", "400", "--json", file,
                "--rate", "2000", "--name", 'a "name"')
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in zb.read(file).splitlines()]
    assert [(line["subject"], line["round"]) for line in lines[:3]] == [("direct", 1), ("zmq_proxy", 1), ("the same again", 1)]
    assert len(lines) == 6
    for line in lines:
        assert line["name"] == 'a "name"' and line["load"]["pattern"] == "pushpull"
        assert line["messages_per_second"] > 0, line
        print(f"# {line['messages_per_second']:.0f} messages/s of 2000 that were asked for")
        assert line["latency_ns"]["p50"] <= line["latency_ns"]["p99"] <= line["latency_ns"]["max"]
        assert (line["broker"] is None) == (line["subject"] == "direct")
    assert sum(thread["cpu_ns"] for thread in lines[1]["broker"]["threads"]) == lines[1]["broker"]["cpu_ns"]


def test_requests_are_retried_when_the_service_comes_late():
    port_in, port_out = zb.free_ports(2)
    ends = ["--to", f"tcp://127.0.0.1:{port_in}", "--from", f"tcp://127.0.0.1:{port_out}"]
    with zb.Daemon(f"[route asks]\ntype = queue\nfrontend_bind = {ends[1]}\nbackend_bind = {ends[3]}\n") as daemon, zb.Control(daemon) as control:
        def figure(name):
            return control.route("asks")["frontend"][name]

        service = zb.spawn(zb.program("zbroker-bench") + ["--serve", "rep", "-w", "2", "--from", ends[3]], stdout=-1, text=True)
        load = zb.spawn(zb.program("zbroker-bench") + ["reqrep", "-q", "-n", "0", "-m", "400", "--rate", "100", "--timeout", "0.3",
                                                      "--retries", "1000"] + ends, stdout=-1, text=True)
        zb.wait_until(lambda: figure("messages_sent") > 20, 20, "replies")
        # The service goes away with the request that it had, until somebody asks again: a REQ has to connect anew for that.
        service.kill()
        service.wait()
        accepted = figure("connections_accepted")
        zb.wait_until(lambda: figure("connections_accepted") > accepted, 10, "a request that comes again")
        zb.spawn(zb.program("zbroker-bench") + ["--serve", "rep", "--from", ends[3]])
        out = load.communicate(timeout=30 * zb.SLOW)[0]
        assert load.returncode == 0 and "400 received of 400: 0 lost" in out and "retried, 0 failed" in out, out


def children_of(pid):
    return [int(child) for child in zb.read(f"/proc/{pid}/task/{pid}/children").split()]


def folder_of(processes):
    """The folder where these processes have sockets, None: they have none yet. Other loads may run beside."""
    own = set()
    for pid in processes:
        for fd in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                own.update(re.findall(r"socket:\[(\d+)\]", os.readlink(fd)))
            except FileNotFoundError:
                pass
    lines = [line.split() for line in zb.read("/proc/net/unix").splitlines()]
    paths = [fields[7] for fields in lines if len(fields) == 8 and fields[6] in own and fields[7].startswith("/tmp/zbroker-bench.")]
    return os.path.dirname(paths[0]) if paths else None


def test_nobody_survives_the_program():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        load = zb.spawn(zb.program("zbroker-bench") + ["pushpull", "-q", "--against", "zmq_proxy", "--transport", "ipc", "-n", "3", "-d", "600"],
                        stdout=-1, stderr=-1)
        children = zb.wait_until(lambda: len(children_of(load.pid)) == 5 and children_of(load.pid), 10, "broker and clients")
        folder = zb.wait_until(lambda: folder_of(children), 10, "the broker's sockets")
        load.send_signal(number)
        code = load.wait(20 * zb.SLOW)
        assert code == (-9 if number == signal.SIGKILL else 3), code
        zb.wait_until(lambda: not any(os.path.exists(f"/proc/{child}/exe") for child in children), 5, "their end")
        assert os.path.exists(folder) == (number == signal.SIGKILL), folder
        shutil.rmtree(folder, ignore_errors=True)


def test_paced_clients_and_idle_services_do_not_spin():
    load = zb.spawn(zb.program("zbroker-bench") + ["dealer", "-q", "--direct", "--rate", "100", "-d", "600"], stdout=-1, stderr=-1)
    clients = zb.wait_until(lambda: len(children_of(load.pid)) == 2 and children_of(load.pid), 10, "clients")
    for pid in clients:
        zb.wait_until(lambda: zb.rests(pid, 1, 0.3), 30, "a client that rests between messages")
    load.send_signal(signal.SIGTERM)
    assert load.wait(20 * zb.SLOW) == 3


def daemon_or_skip():
    if not os.access(zb.program("zbroker")[0], os.X_OK):
        raise zb.Skip("no zbroker in this build")


def test_a_route_of_a_running_zbroker_is_found_by_its_name():
    daemon_or_skip()
    port_in, port_out = zb.free_ports(2)
    with zb.Daemon(f"[route jobs]\ntype = streamer\nsecurity = none\n"
                   f"frontend_bind = tcp://*:{port_in}\nbackend_bind = tcp://127.0.0.1:{port_out}\n") as daemon:
        ran = bench("pushpull", "--through", "jobs", "-c", daemon.file, "-m", "5000", "-p", "2", "-n", "2")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        ran = bench("pushpull", "--through", "none", "-c", daemon.file)
        assert ran.returncode == 3 and "there is no route none" in ran.stderr, ran.stderr


def test_acknowledged_messages_are_driven_and_checked():
    daemon_or_skip()
    ports = zb.free_ports(2)
    with zb.Daemon(f"[route jobs]\ntype = streamer\nstore = all\nstore_dir = {zb.folder()}/store\n"
                   f"ack_bind = tcp://127.0.0.1:{ports[0]}\nworker_ack_bind = tcp://127.0.0.1:{ports[1]}\n") as daemon:
        ran = bench("pushpull", "--ack", "--through", "jobs", "-c", daemon.file, "-m", "3000", "-p", "2", "-n", "2", "--parts", "2")
        assert ran.returncode == 0 and "3000 sent, 3000 received of 3000: 0 lost, 0 doubled" in ran.stdout, ran.stdout + ran.stderr
        with zb.Control(daemon) as control:
            assert control.route("jobs")["acks"]["ok"] >= 3000 and control.route("jobs")["jobs"]["done"] >= 3000
    ran = bench("pushpull", "--ack", "--zbroker", zb.program("zbroker")[0], "-n", "0", "-m", "2000")
    assert ran.returncode == 0 and "2000 sent, 2000 received of 2000" in ran.stdout, ran.stdout + ran.stderr
    ran = bench("pushpull", "--ack", "--no-ids", "--zbroker", zb.program("zbroker")[0], "-n", "0", "-m", "2000", "--parts", "2", "-o", "100")
    assert ran.returncode == 0 and "2000 sent, 2000 received of 2000: 0 lost, 0 doubled, 0 reordered, 0 corrupt" in ran.stdout, ran.stdout + ran.stderr
    ran = bench("pushpull", "--no-ids", "--zbroker", zb.program("zbroker")[0])
    assert ran.returncode == 2 and "--no-ids is for --ack" in ran.stderr, ran.stderr


def test_a_zbroker_is_started_and_compared():
    daemon_or_skip()
    for pattern in ("pushpull", "pubsub --nodrop", "dealer", "pair"):
        ran = bench(*pattern.split(), "--zbroker", zb.program("zbroker")[0], "--against", "zmq_proxy", "--rounds", "1", "-m", "5000")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert re.search(r"^zbroker +\d", ran.stdout, re.M), ran.stdout


zb.main()

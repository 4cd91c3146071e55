# SPDX-License-Identifier: MPL-2.0
"""What engine wire makes of its configuration: limits, live changes, options of the sockets."""

import ctypes
import ctypes.util
import datetime
import fcntl
import re
import select
import signal
import socket
import sys
import termios
import time

import zmq
from zmq.utils import z85
import zb
import zmtp
from zb import Route


# --- limits -------------------------------------------------------------------------------------------------------------

def test_a_message_of_too_many_parts_ends_its_connection():
    with Route("streamer", "max_parts = 3") as route:
        pull = route.back(zmq.PULL)
        raw = zmtp.Raw(route.frontend)
        raw.send(zmtp.frame(b"a", True) * 2 + zmtp.frame(b"b"))
        assert pull.recv_multipart() == [b"a", b"a", b"b"]
        raw.send(zmtp.frame(b"a", True) * 3)
        raw.wait_end()
        route.daemon.wait_log("more than 3 parts")


def test_a_message_over_maxmsgsize_ends_its_connection_whatever_its_frames_are():
    with Route("streamer", "frontend_maxmsgsize = 100") as route:
        pull = route.back(zmq.PULL)
        for wrong in [zmtp.frame(b"x" * 101), zmtp.frame(b"x" * 51, True) * 2, zmtp.frame(b"x" * 300)]:
            raw = zmtp.Raw(route.frontend)
            raw.send(zmtp.frame(b"x" * 50, True) + zmtp.frame(b"y" * 50))
            assert pull.recv_multipart() == [b"x" * 50, b"y" * 50]
            raw.send(wrong)
            raw.wait_end()


def test_subscriptions_over_the_total_are_refused_and_counted():
    with Route("forwarder", "max_subscriptions_total = 3") as route:
        first, second = route.back(zmq.SUB), route.back(zmq.SUB)
        for topic in [b"a", b"b"]:
            first.subscribe(topic)
        route.wait_clients("backend", 2)
        zb.wait_until(lambda: sum(each["subscriptions"] for each in route.clients("backend")) == 2)
        second.subscribe(b"b")
        zb.wait_until(lambda: sum(each["subscriptions"] for each in route.clients("backend")) == 3)
        second.subscribe(b"c")
        zb.wait_until(lambda: route.stats()["dropped"]["quota"] == 1)
        route.daemon.wait_log("max_subscriptions_total = 3")
        first.unsubscribe(b"a")  # makes room
        zb.wait_until(lambda: sum(each["subscriptions"] for each in route.clients("backend")) == 2)
        second.subscribe(b"d")
        zb.wait_until(lambda: sum(each["subscriptions"] for each in route.clients("backend")) == 3)


def memory(route):
    with zb.Control(route.daemon) as control:
        status = control.json("status")
        return status["message_bytes"], status["max_memory"]


def fill_memory(route, body):
    """Four producers, and how many messages they have sent when nothing more is taken."""
    push = [route.front(zmq.PUSH, sndhwm=1) for _ in range(4)]
    count, poller = 0, zmq.Poller()
    for each in push:
        poller.register(each, zmq.POLLOUT)
    route.wait_clients("frontend", len(push))
    while ready := poller.poll(300):
        for each, _ in ready:
            each.send(body, zmq.DONTWAIT)
            count += 1
    route.daemon.wait_log("event=memory-short")
    return push, count


def test_no_more_is_read_than_memory_allows():
    """Producers wait, and nothing is lost, when the queues of the consumers take all of it."""
    with Route("streamer", "sndhwm = 0\nrcvhwm = 0", "max_memory = 32M") as route:
        raw = zmtp.Raw(route.backend, b"PULL")  # that reads nothing
        body = b"x" * 100000
        _push, count = fill_memory(route, body)
        assert route.daemon.log().count("event=memory-short") == 1
        taken, limit = memory(route)
        assert limit == 32 << 20 and 28 << 20 < taken < limit, (taken, limit)
        late = zmtp.socket.create_connection(("127.0.0.1", route.frontend))  # waits in the kernel
        late.settimeout(0.3)
        try:
            assert late.recv(64) == b"", "a newcomer was greeted"
        except TimeoutError:
            pass
        got, size = 0, len(zmtp.frame(body)) * count
        while got < size:
            got += len(raw.socket.recv(1 << 20))
        route.daemon.wait_log("event=memory-room")
        late.settimeout(10 * zb.SLOW)
        assert late.recv(64)[:1] == b"\xff"
        zb.wait_until(lambda: memory(route)[0] < 4 << 20)


def test_a_worker_that_goes_while_memory_is_short_leaves_it_to_the_next_one():
    with Route("streamer", "sndhwm = 0\nrcvhwm = 0", "max_memory = 16M") as route:
        raw = zmtp.Raw(route.backend, b"PULL")  # that reads nothing
        body = b"x" * 100000
        _push, count = fill_memory(route, body)
        its_system_has = int.from_bytes(fcntl.ioctl(raw.socket, termios.FIONREAD, bytes(4)), sys.byteorder)
        taken = (len(raw.got) + its_system_has) // len(zmtp.frame(body))
        raw.break_off()
        pull = route.back(zmq.PULL)
        route.daemon.wait_log("event=memory-room")
        got = 0

        def all_came():
            nonlocal got
            while pull.poll(0):
                pull.recv()
                got += 1
            return got + taken + route.stats()["dropped"]["peer_lost"] == count

        zb.wait_until(all_came, what=lambda: f"{count} messages: {taken} and {got} came, {route.stats()['dropped']}")
        assert route.stats()["messages_requeued"] > 0


def test_the_first_worker_may_come_when_what_waits_for_it_takes_all_the_memory():
    with Route("streamer", "rcvhwm = 0", "max_memory = 16M") as route:
        message, each = zmtp.frame(b"x" * 200), 320  # a chunk of 64 KiB, and no more
        push = [zmtp.Raw(route.frontend) for _ in range(250)]
        for one in push:
            one.send((message * each)[:-100])
        route.daemon.wait_log("event=memory-short")
        pull = route.back(zmq.PULL, rcvhwm=0)
        route.daemon.wait_log("event=memory-room")
        for one in push:
            one.send(message[-100:])
        for _ in range(each * len(push)):
            pull.recv()


def topics_for_nobody(route):
    """A publisher that does not take the topics which a subscriber makes up, until they are all that memory holds."""
    publisher, subscriber = zmtp.Raw(route.frontend, b"PUB"), zmtp.Raw(route.backend, b"SUB")
    topics = (zmtp.frame(b"\1" + b"t" * 200) + zmtp.frame(b"\0" + b"t" * 200)) * 500
    subscriber.socket.setblocking(False)
    rest = b""

    def is_short():
        nonlocal rest
        rest = rest or topics
        try:
            rest = rest[subscriber.socket.send(rest):]
        except BlockingIOError:
            pass
        return "event=memory-short" in route.daemon.log()

    zb.wait_until(is_short, 30)
    return publisher, subscriber


def test_a_publisher_that_goes_while_memory_is_short_keeps_none_of_it():
    with Route("forwarder", "", "max_memory = 16M") as route:
        publisher, _ = topics_for_nobody(route)
        publisher.break_off()
        route.daemon.wait_log("event=memory-room")
        assert "reason=stalled" not in route.daemon.log()


def test_a_publisher_that_takes_no_topics_does_not_keep_memory_for_ever():
    with Route("forwarder", "", "max_memory = 16M") as route:
        publisher, _ = topics_for_nobody(route)
        route.wait_cut("stalled")
        route.daemon.wait_log("event=memory-room")
        publisher.wait_end()


def test_a_subscriber_that_takes_nothing_does_not_keep_memory_for_ever():
    with Route("forwarder", "", "max_memory = 16M") as route:
        pub, sub = route.front(zmq.XPUB, sndhwm=0), route.back(zmq.SUB, rcvhwm=0)
        sub.subscribe(b"")
        stuck = zmtp.Raw(route.backend, b"SUB")
        stuck.send(zmtp.frame(b"\1"))
        zb.wait_until(lambda: sum(each["subscriptions"] for each in route.clients("backend")) == 2)
        assert pub.recv() == b"\1"
        for i in range(400):
            pub.send(b"%3d" % i + b"x" * 100000)
        for i in range(400):
            assert sub.recv()[:3] == b"%3d" % i
        route.wait_cut("stalled")


def test_a_client_that_takes_no_answers_does_not_keep_memory_for_ever():
    with Route("queue", "", "max_memory = 16M") as route:
        service, client = route.back(zmq.DEALER, rcvhwm=0, sndhwm=0), route.front(zmq.DEALER)
        stuck = zmtp.Raw(route.frontend, b"DEALER")
        stuck.send(zmtp.frame(b"?") * 400)
        for _ in range(400):
            request = service.recv_multipart()
            service.send_multipart(request[:-1] + [b"x" * 100000])
        route.daemon.wait_log("event=memory-short")
        client.send(b"hello")
        route.wait_cut("stalled")
        service.send_multipart(service.recv_multipart())
        assert client.recv() == b"hello"


@zb.limit(100)
def test_long_messages_of_several_parts_go_out_sealed_as_they_are():
    lines, options = zb.curve(zb.folder())
    with Route("streamer", lines) as route:
        pull, push = route.back(zmq.PULL, **options), route.front(zmq.PUSH, **options)
        for sizes in ([40000, 40000], [10, 70000, 10], [30000] * 10):
            message = [b"%d" % i * (size // 2) for i, size in enumerate(sizes)]
            push.send_multipart(message)
            assert pull.recv_multipart() == message


def test_a_request_that_comes_alone_arrives_whole_whatever_its_size():
    with Route("queue", "backend_sndbuf = 8192") as route:
        client, service = route.front(zmq.DEALER), route.back(zmq.ROUTER)
        sizes = [0, 1, 255, 256, *range(480, 520), 4096, 65536, 3 << 20]
        for size in sizes:
            request = [b"%d" % size, b"x" * size]
            client.send_multipart(request)
            received = service.recv_multipart()
            assert received[-2:] == request, size
            service.send_multipart(received)
            assert client.recv_multipart() == request, size
        for side in "backend", "frontend":
            zb.wait_until(lambda: route.stats()[side]["messages_sent"] == len(sizes))


def test_messages_that_never_end_do_not_keep_memory_for_ever():
    with Route("streamer", "maxmsgsize = 16M", "max_memory = 16M") as route:
        hostile = [zmtp.Raw(route.frontend) for _ in range(40)]
        for each in hostile:
            each.socket.setblocking(False)
            try:
                for _ in range(10):
                    each.socket.send(b"\2" + (16000000).to_bytes(8, "big") + b"x" * 1000000)
            except BlockingIOError:
                pass
        route.daemon.wait_log("event=memory-short")
        zb.wait_until(lambda: "reason=stalled" in route.daemon.log() or memory(route)[0] > 40 << 20, 20)
        assert memory(route)[0] < 40 << 20
        route.daemon.wait_log("event=memory-room", 40)
        assert "reason=stalled" in route.daemon.log()
        pull, push = route.back(zmq.PULL), route.front(zmq.PUSH)
        push.send(b"on it goes")
        assert pull.recv() == b"on it goes"


def unread(raw, port):
    """Bytes that RAW has sent to PORT and nobody has read, wherever they wait."""
    ours, theirs = f":{raw.socket.getsockname()[1]:04X}", f":{port:04X}"
    bytes_of = {(fields[1][-5:], fields[2][-5:]): fields[4].split(":")
                for fields in map(str.split, zb.read("/proc/net/tcp").splitlines()[1:])}
    return int(bytes_of[theirs, ours][1], 16) + int(bytes_of[ours, theirs][0], 16)


def settled(value):
    """What VALUE() is when it has not changed for a while."""
    last, same = value(), 0
    while same < 20:
        time.sleep(0.01)
        now = value()
        last, same = now, same + 1 if now == last else 0
    return last


def ahead(route, raw, sent):
    """Bytes of SENT that were read and not handed on, when no more is read."""
    message = zmtp.frame(b"x" * 200)
    held = settled(lambda: unread(raw, route.frontend))
    assert held > 0
    taken = sent - held - sum(each["messages_received"] for each in route.clients("frontend")) * len(message)
    print(f"# {taken / len(message)} messages are read ahead")
    return taken


def test_what_is_read_ahead_is_bounded_in_messages():
    message = zmtp.frame(b"x" * 200)
    with Route("streamer", "rcvhwm = 5\nsndhwm = 3\nbackend_sndbuf = 4096") as route:
        raw = zmtp.Raw(route.frontend)
        raw.send(message * 100)  # nobody is there to take it
        assert 0 <= ahead(route, raw, 100 * len(message)) <= 5 * len(message)
        slow = zmtp.Raw(route.backend, b"PULL")  # reads nothing
        sent = 100
        while settled(lambda: unread(raw, route.frontend)) == 0:
            raw.send(message * 1000)
            sent += 1000
        assert 0 <= ahead(route, raw, sent * len(message)) <= 5 * len(message)
        slow.wait(b"x" * 200, sent)


# --- changes --------------------------------------------------------------------------------------------------------------

def test_limits_change_while_the_route_runs():
    changes = ["backend_sndhwm = 7", "frontend_rcvhwm = 7", "queue_bytes = 100k", "max_clients = 9", "max_subscriptions = 9",
               "max_subscriptions_total = 9", "max_topic = 9", "max_parts = 9", "heartbeat_ivl = 7s", "heartbeat_timeout = 7s",
               "heartbeat_ttl = 7s", "handshake_ivl = 7s", "frontend_maxmsgsize = 1M", "reconnect_ivl = 7s", "reconnect_ivl_max = 7s",
               "connect_timeout = 7s", "linger = 7s", "stall_timeout = 7s", "deny = 192.0.2.0/24", "allow = 127.0.0.1"]
    with Route("forwarder") as route:
        sub, pub = route.back(zmq.SUB), route.front(zmq.PUB)
        sub.subscribe(b"")
        route.wait_clients("frontend", 1)
        route.wait_clients("backend", 1)
        before = route.clients("frontend") + route.clients("backend")
        for i in range(len(changes)):
            said = route.reload("\n".join(changes[:i + 1]))
            key = changes[i].split(" ")[0]
            assert key in said and "(live)" in said and "re-created" not in said, said
            assert [each["id"] for each in route.clients("frontend") + route.clients("backend")] == [each["id"] for each in before], key
        pub.send(b"still")
        assert sub.recv() == b"still"


def queued(route):
    return sum(each["queued"] for each in route.clients("backend"))


def fill(push):
    """Until it takes no more for a while."""
    count = 0
    while push.poll(300, zmq.POLLOUT):
        push.send(b"x" * 5000, zmq.DONTWAIT)
        count += 1
    return count


def test_a_higher_hwm_makes_room_and_a_lower_one_takes_it():
    with Route("streamer", "backend_sndhwm = 10\nbackend_sndbuf = 4096") as route:
        raw = zmtp.Raw(route.backend, b"PULL")  # that reads nothing
        push = route.front(zmq.PUSH, sndhwm=1)
        fill(push)
        assert queued(route) == 10, queued(route)
        route.reload("backend_sndhwm = 300\nbackend_sndbuf = 4096")
        zb.wait_until(lambda: queued(route) == 300 or (push.poll(0, zmq.POLLOUT) and push.send(b"x" * 5000)))
        route.reload("backend_sndhwm = 20\nbackend_sndbuf = 4096")
        fill(push)
        assert queued(route) == 300, queued(route)
        raw.wait(b"x", 5000 * 290)
        zb.wait_until(lambda: queued(route) <= 20)


def test_a_queue_is_bounded_in_bytes():
    with Route("streamer", "queue_bytes = 50k\nbackend_sndbuf = 4096") as route:
        raw = zmtp.Raw(route.backend, b"PULL")
        push = route.front(zmq.PUSH, sndhwm=1)
        fill(push)
        assert 45 <= queued(route) * 5000 / 1000 <= 60, queued(route)
        assert "message_size" not in route.daemon.ctl("show", "config", "r").stdout.replace("message_size = 0", "")
        assert "backend_sndhwm = 1000" in route.daemon.ctl("show", "config", "r").stdout
        route.reload("queue_bytes = 100k\nbackend_sndbuf = 4096")
        fill(push)
        assert 90 <= queued(route) * 5000 / 1000 <= 110, queued(route)
        raw.socket.close()


# --- rights ---------------------------------------------------------------------------------------------------------------

def test_rights_are_kept_on_each_side_that_has_them():
    folder = zb.folder()
    capture, ingress = zb.free_ports(2)
    for side, right in [("frontend", "write in/#"), ("ingress", "write in/#"), ("backend", "read out/#"), ("capture", "read tap/#")]:
        zb.write(f"{folder}/{side}", f"topic {right}\ntopic read {right.split(' ')[1]}\n")
    with Route("forwarder", f"""
frontend_acl = {folder}/frontend
ingress_acl = {folder}/ingress
capture_acl = {folder}/capture
capture_bind = tcp://127.0.0.1:{capture}
ingress_bind = tcp://127.0.0.1:{ingress}""") as route:
        sub, tap = route.back(zmq.SUB, subscribe=b""), route.peer(zmq.SUB, capture, subscribe=b"")
        pub, push = route.front(zmq.XPUB), route.peer(zmq.PUSH, ingress)
        assert pub.recv() == b"\1"
        route.wait_clients("capture", 1)
        for topic in [b"no/1", b"in/1"]:
            pub.send(topic)
        assert sub.recv() == b"in/1"
        for topic in [b"no/2", b"in/2"]:
            push.send(topic)
        assert sub.recv() == b"in/2"
        zb.wait_until(lambda: route.stats()["dropped"]["acl"] == 2)
        assert not tap.poll(200), tap.recv()
        zb.write(f"{folder}/capture", "topic read in/#\n")
        assert route.daemon.ctl("reload").returncode == 0

        def shown():
            push.send(b"in/3")
            return tap.poll(20)
        zb.wait_until(shown)
        assert tap.recv() == b"in/3"


def test_a_reader_gets_what_it_may_read_whatever_it_subscribes_to():
    folder = zb.folder()
    zb.write(f"{folder}/acl", "topic read a/#\n")
    with Route("forwarder", f"backend_acl = {folder}/acl") as route:
        pub, sub = route.front(zmq.XPUB), route.back(zmq.SUB, subscribe=b"")
        assert pub.recv() == b"\1"
        before = route.clients("backend")[0]["id"]
        for topic in [b"b/1", b"a/1"]:
            pub.send(topic)
        assert sub.recv() == b"a/1"
        zb.write(f"{folder}/acl", "topic read b/#\n")
        said = route.daemon.ctl("reload").stdout
        assert "re-created" not in said, said

        def changed():
            pub.send(b"b/2")
            return sub.poll(20)
        zb.wait_until(changed)
        pub.send(b"a/2")
        pub.send(b"b/end")
        while (got := sub.recv()) != b"b/end":
            assert got == b"b/2", got
        assert route.clients("backend")[0]["id"] == before
        zb.write(f"{folder}/other", "topic read a/#\n")
        said = route.reload(f"backend_acl = {folder}/other")
        assert "(live)" in said and "re-created" not in said, said
        assert route.clients("backend")[0]["id"] == before


def test_a_denied_peer_is_disconnected_and_the_others_stay():
    with Route("streamer") as route:
        pull, push = route.back(zmq.PULL), route.front(zmq.PUSH)
        push.send(b"1")
        assert pull.recv() == b"1"
        said = route.reload("frontend_deny = 127.0.0.1")
        assert "(live)" in said and "re-created" not in said, said
        route.wait_clients("frontend", 0)
        route.wait_clients("backend", 1)
        route.daemon.wait_log("event=client-unwelcome")


def test_a_denied_server_is_not_spoken_to():
    with Custom("PULL", "PUSH", "backend_deny = 127.0.0.0/8") as route, zb.Control(route.daemon) as control:
        pull, push = route.back(zmq.PULL), route.front(zmq.PUSH)
        push.send(b"1")
        down = lambda: control.json("status").get("endpoints_down")
        zb.wait_until(lambda: [each["reason"] for each in down()] == ["its address is refused"])
        route.daemon.wait_log("auth: route r backend: 127.0.0.1 null refused, address")
        route.reload("backend_allow = 127.0.0.0/8")
        assert pull.recv() == b"1" and not down()
        route.reload("backend_allow = 192.0.2.0/24")
        zb.wait_until(lambda: [each["reason"] for each in down()] == ["its address is refused"])
        route.daemon.wait_log("event=client-unwelcome")


def test_a_capture_comes_goes_and_changes_its_type_while_the_route_runs():
    port = zb.free_port()
    bind = f"capture_bind = tcp://127.0.0.1:{port}\n"
    with Route("streamer") as route:
        pull, push = route.back(zmq.PULL), route.front(zmq.PUSH)
        for kind, more in [(zmq.SUB, ""), (zmq.PULL, "capture_type = push\n"), (zmq.SUB, "")]:
            said = route.reload(bind + more)
            assert "re-created" not in said, said
            tap = route.peer(kind, port)
            if kind == zmq.SUB:
                tap.subscribe(b"")

            def shown():
                push.send(b"x")
                return tap.poll(20)
            zb.wait_until(shown)
            assert tap.recv() == b"x"
            said = route.reload("")
            assert "re-created" not in said, said
            route.wait_clients("capture", 0)
            tap.close()
        push.send(b"end")
        while pull.recv() != b"end":
            pass


# --- options --------------------------------------------------------------------------------------------------------------

class Custom(Route):
    """A custom route whose backend connects to PORT."""

    def __init__(self, frontend, backend, more):
        self.types = f"frontend_type = {frontend}\nbackend_type = {backend}\n"
        super().__init__("custom", more)

    def ini(self, more):
        text = super().ini(self.types + more)
        return text.replace(f"backend_bind = tcp://127.0.0.1:{self.backend}", f"backend_connect = tcp://127.0.0.1:{self.backend}")

    def back(self, kind, **options):
        made = self.context.socket(kind)
        made.linger, made.rcvtimeo, made.sndtimeo = 0, zb.WAIT_MS, zb.WAIT_MS
        for name, value in options.items():
            setattr(made, name, value)
        made.bind(f"tcp://127.0.0.1:{self.backend}")
        return made


def test_a_second_peer_of_a_pair_is_refused_while_the_first_is_there():
    with Route("pair") as route:
        first = zmtp.Raw(route.frontend, b"PAIR")
        second = socket.create_connection(("127.0.0.1", route.frontend), timeout=10 * zb.SLOW)
        second.sendall(zmtp.GREETING + zmtp.ready(b"PAIR"))
        zb.wait_until(lambda: route.stats()["frontend"]["handshake_failures"]["limited"] == 1)
        second.close()
        first.socket.close()
        route.wait_clients("frontend", 0)
        zmtp.Raw(route.frontend, b"PAIR")


def test_a_peer_is_called_by_connect_routing_id():
    with Custom("DEALER", "ROUTER", "backend_connect_routing_id = them") as route:
        service, client = route.back(zmq.DEALER, routing_id=b"another"), route.front(zmq.DEALER)
        service.send(b"hello")
        assert client.recv_multipart() == [b"them", b"hello"]
        client.send_multipart([b"them", b"answer"])
        assert service.recv() == b"answer"


def test_a_probe_is_an_empty_message():
    with Custom("ROUTER", "DEALER", "backend_probe_router = yes\nbackend_routing_id = us") as route:
        router = route.back(zmq.ROUTER)
        assert router.recv_multipart() == [b"us", b""]


def test_a_subscriber_that_is_new_gets_the_welcome():
    with Route("forwarder", "backend_xpub_welcome_msg = welcome") as route:
        sub = route.back(zmq.SUB, subscribe=b"w")
        assert sub.recv() == b"welcome"
        said = route.reload("backend_xpub_welcome_msg = welcome\nmax_topic = 10")
        assert "(live)" in said, said
        assert route.back(zmq.SUB, subscribe=b"w").recv() == b"welcome"


def upstream(route, on, off):
    """What a publisher hears when two subscribers ask for the same, and both go again."""
    pub, subs = route.front(zmq.XPUB, xpub_verboser=1), [route.back(zmq.SUB) for _ in range(2)]
    route.wait_clients("frontend", 1)
    heard = []
    for step, count in [("subscribe", on), ("unsubscribe", off)]:
        for sub in subs:
            getattr(sub, step)(b"t")
        heard += [pub.recv() for _ in range(count)]
    subs[0].subscribe(b"end")
    heard.append(pub.recv())
    return heard


def test_a_verbose_side_tells_of_every_subscription():
    for option, on, off in [("", 1, 1), ("backend_xpub_verbose = yes", 2, 1), ("backend_xpub_verboser = yes", 2, 1)]:
        with Route("forwarder", option) as route:
            assert upstream(route, on, off) == [b"\1t"] * on + [b"\0t"] * off + [b"\1end"], option


def test_a_flood_of_subscriptions_keeps_nobody_waiting():
    """Both have sent theirs before the route reads on: the small one has its turn long before the large one is through."""
    count = 9000
    with Route("forwarder", "backend_rcvhwm = 0") as route:
        pub = route.front(zmq.XPUB, rcvhwm=0)
        route.wait_clients("frontend", 1)
        polite, flood = zmtp.Raw(route.backend, b"SUB"), zmtp.Raw(route.backend, b"SUB")
        route.wait_clients("backend", 2)
        assert route.daemon.ctl("pause", "r").returncode == 0
        flood.send(b"".join(zmtp.frame(b"\1%04x" % number) for number in range(count)))
        polite.send(zmtp.frame(b"\1polite"))
        assert route.daemon.ctl("resume", "r").returncode == 0
        heard = [pub.recv()[1:] for _ in range(count + 1)]
        assert sorted(heard)[:count] == [b"%04x" % number for number in range(count)]
        assert heard.index(b"polite") <= 3000, heard.index(b"polite")


def curve_hello(server_key):
    """A client's first command, which the server answers with WELCOME."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    public, secret = (z85.decode(key) for key in zmq.curve_keypair())
    nonce, box = (1).to_bytes(8, "big"), ctypes.create_string_buffer(80)
    assert sodium.crypto_box_easy(box, bytes(64), ctypes.c_ulonglong(64), b"CurveZMQHELLO---" + nonce, z85.decode(server_key), secret) == 0
    return zmtp.command(b"HELLO", b"\x01\x00" + bytes(72) + public + nonce + box.raw)


def test_handshakes_that_cost_much_come_after_messages():
    """All are there when the route wakes up, the message last: those of CURVE follow it, a few a round."""
    folder, ingress = zb.folder(), zb.free_port()
    assert zb.run("cert", "server", "-d", folder, name="zbroker-keygen").returncode == 0
    greeting = zmtp.SIGNATURE + b"\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
    hello = curve_hello(re.search(r'public-key = "(.*)"', zb.read(f"{folder}/server")).group(1))
    with Route("forwarder", f"frontend_security = curve\nfrontend_server_cert = {folder}/server\nfrontend_client_certs = any\n"
                            f"ingress_bind = tcp://127.0.0.1:{ingress}") as route, select.epoll() as order:
        strangers = [socket.create_connection(("127.0.0.1", route.frontend), timeout=10 * zb.SLOW) for _ in range(100)]
        for stranger in strangers:
            stranger.sendall(greeting)
            with stranger.makefile("rb") as theirs:
                assert len(theirs.read(64)) == 64
        push, sub = zmtp.Raw(ingress), zmtp.Raw(route.backend, b"SUB")
        sub.send(zmtp.frame(b"\1"))
        zb.wait_until(lambda: [each["subscriptions"] for each in route.clients("backend")] == [1])
        for each in strangers + [sub.socket]:
            order.register(each, select.EPOLLIN)
        with zb.Frozen(route.daemon.pid, "zb:r"):
            for stranger in strangers:
                stranger.sendall(hello)
            push.send(zmtp.frame(b"message"))
        for each in strangers + [sub.socket]:  # without asking ORDER, which keeps them as they came
            select.select([each], [], [])
        came = [fd for fd, _ in order.poll(0)]
        assert len(came) == 101 and came.index(sub.socket.fileno()) == 0, came


def test_matching_can_be_inverted():
    ingress = zb.free_port()
    with Route("forwarder", f"backend_invert_matching = yes\ningress_bind = tcp://127.0.0.1:{ingress}") as route:
        push, sub = route.peer(zmq.PUSH, ingress), route.back(zmq.SUB, invert_matching=1, subscribe=b"a")
        route.wait_clients("backend", 1)
        zb.wait_until(lambda: route.clients("backend")[0]["subscriptions"] == 1)
        for topic in [b"a1", b"b1", b"a2", b"b2"]:
            push.send(topic)
        assert [sub.recv(), sub.recv()] == [b"b1", b"b2"]


def test_a_message_of_several_frames_does_not_go_to_peers_that_take_one():
    """They would drop it, and it would count as sent. Alone, and among others, with one worker and with several."""
    frames = zmtp.frame(b"one", True) + zmtp.frame(b"two")
    said = b"".join(zmtp.frame(b"%d" % i) + frames for i in range(10)) + frames * 5 + zmtp.frame(b"long" * 100, True) + zmtp.frame(b"end")
    with Route("custom", "frontend_type = PULL\nbackend_type = SCATTER") as route:
        workers = [zmtp.Raw(route.backend, b"GATHER")]
        for more in (0, 2):
            workers += [zmtp.Raw(route.backend, b"GATHER") for _ in range(more)]
            route.wait_clients("backend", len(workers))
            before, push = route.stats(), zmtp.Raw(route.frontend, b"PUSH")
            push.send(said)
            zb.wait_until(lambda: route.stats()["frontend"]["messages_received"] == before["frontend"]["messages_received"] + 26)
            after = zb.wait_until(lambda: route.stats()["backend"]["messages_sent"] == before["backend"]["messages_sent"] + 10 and route.stats())
            assert after["dropped"]["undeliverable"] - before["dropped"]["undeliverable"] == 16, after["dropped"]
        for worker in workers:
            assert b"one" not in worker.got + worker.socket.recv(65536)


def test_a_sub_side_asks_for_its_topics():
    with Custom("SUB", "PUSH", "frontend_subscribe = a\nfrontend_subscribe = b") as route:
        pub, pull = route.front(zmq.XPUB), route.back(zmq.PULL)
        assert sorted([pub.recv(), pub.recv()]) == [b"\1a", b"\1b"]
        for topic in [b"c1", b"b1", b"a1"]:
            pub.send(topic)
        assert [pull.recv(), pull.recv()] == [b"b1", b"a1"]


def test_a_sub_side_sorts_out_what_a_publisher_sends_unasked():
    """A PUB of ZMTP 1.0 hears of no topics, and others may not do as they are told."""
    topics = [b"b", b"a1", b"", b"c", b"bb2", b"b3", b"a", b"bbb"]
    said = {"1.0": b"\1\0" + b"".join(bytes([len(body) + 1, 0]) + body for body in topics),
            "3.1": zmtp.GREETING + zmtp.ready(b"PUB") + b"".join(map(zmtp.frame, topics))}
    wanted = {"no": [b"a1", b"bb2", b"a", b"bbb"], "yes": [b"b", b"", b"c", b"b3"]}
    for invert, expected in wanted.items():
        with Custom("SUB", "PUSH", f"frontend_subscribe = a\nfrontend_subscribe = bb\nfrontend_invert_matching = {invert}") as route:
            pull = route.back(zmq.PULL)
            route.wait_clients("backend", 1)
            for version, data in said.items():
                with socket.create_connection(("127.0.0.1", route.frontend), timeout=10 * zb.SLOW) as pub:
                    pub.sendall(data)
                    assert [pull.recv() for _ in expected] == expected, (invert, version)


def test_an_endpoint_that_is_down_says_since_when():
    before = time.time() - 1
    with Custom("PULL", "PUSH", "") as route, zb.Control(route.daemon) as control:
        (down,) = zb.wait_until(lambda: control.json("status").get("endpoints_down"), what="an endpoint that is down")
        since = datetime.datetime.fromisoformat(down["since"].replace("Z", "+00:00")).timestamp()
        assert before <= since <= time.time() + 1, down
        (seconds,) = re.findall(r"not connected for (\d+) s", control.ask("status"))
        assert int(seconds) <= time.time() - before, (seconds, down)


def test_a_side_may_connect_once_only():
    with Custom("PULL", "PUSH", "backend_reconnect_ivl = -1") as route:
        with zb.Control(route.daemon) as control:
            down = zb.wait_until(lambda: control.json("status").get("endpoints_down"), what="an endpoint that is down")
        assert down[0]["endpoint"].endswith(str(route.backend))
        pull, push = route.back(zmq.PULL), route.front(zmq.PUSH)
        push.send(b"in vain")
        assert not pull.poll(500)


def test_what_waits_longer_than_linger_is_dropped_at_the_end():
    with Route("streamer", "backend_linger = 0\nbackend_sndbuf = 4096", "drain_timeout = 1h") as route:
        raw = zmtp.Raw(route.backend, b"PULL")  # that reads nothing
        push = route.front(zmq.PUSH)
        while queued(route) < 200:  # more than its system ever takes
            push.send(b"x" * 5000)
        assert route.daemon.stop() == 0
        assert re.search("messages (undelivered|that it had not taken)", route.daemon.log())
        raw.socket.close()


def test_what_a_capture_takes_is_waited_for():
    port = zb.free_port()
    with Route("streamer", f"capture_bind = tcp://127.0.0.1:{port}\ncapture_type = push\ncapture_sndbuf = 4096", "drain_timeout = 1h") as route:
        push, pull, reader = route.front(zmq.PUSH), route.back(zmq.PULL), route.peer(zmq.PULL, port, rcvhwm=1)
        route.wait_clients("capture", 1)
        for _ in range(200):
            push.send(bytes(65536))
            pull.recv()
        route.daemon.send(signal.SIGTERM)
        assert sum(len(reader.recv()) for _ in range(200)) == 200 * 65536
        assert route.daemon.wait() == 0


def test_requests_that_a_service_took_with_it_are_not_waited_for():
    with Route("queue", process="drain_timeout = 1h") as route:
        client, service = zmtp.Raw(route.frontend, b"DEALER"), zmtp.Raw(route.backend, b"DEALER")
        client.send(zmtp.frame(b"ask") * 3)
        service.wait(b"ask", 3)
        service.socket.close()
        route.wait_clients("backend", 0)
        route.daemon.send(signal.SIGTERM)
        client.wait_end()
        client.socket.close()
        assert route.daemon.wait() == 0


def test_a_probe_is_no_request_to_wait_for():
    """What probe_router makes a client say first is handed on, and hardly any service answers. An answer counts for no request."""
    with Route("queue", process="drain_timeout = 1h") as route:
        client, probing = zmtp.Raw(route.frontend, b"DEALER"), zmtp.Raw(route.frontend, b"DEALER")
        service = route.back(zmq.DEALER)
        probing.send(zmtp.frame(b""))
        probe = service.recv_multipart()
        assert probe[1:] == [b""], probe
        client.send(zmtp.frame(b"ask"))
        request = service.recv_multipart()
        service.send_multipart(probe)
        zb.wait_until(lambda: route.stats()["frontend"]["messages_sent"] == 1, what="the answer to the probe")
        route.daemon.send(signal.SIGTERM)
        probing.wait_end()
        service.send_multipart([request[0], b"answer"])
        client.wait(b"answer", 1)
        client.wait_end()
        client.socket.close()
        probing.socket.close()
        assert route.daemon.wait() == 0 and "nothing left" in route.daemon.log(), route.daemon.log()


def test_a_client_that_was_sent_away_asks_nobody_any_more():
    with Route("queue", process="drain_timeout = 1h") as route, zb.Control(route.daemon) as control:
        client, service = zmtp.Raw(route.frontend, b"DEALER"), zmtp.Raw(route.backend, b"DEALER")
        route.wait_clients("backend", 1)
        route.daemon.send(signal.SIGTERM)
        client.wait_end()
        client.send(zmtp.frame(b"late"))
        zb.wait_until(lambda: control.route("r")["dropped"]["shutdown"] == 1)
        client.socket.close()
        service.wait_end()
        service.socket.close()
        assert b"late" not in service.got
        assert route.daemon.wait() == 0


# --- heartbeats -----------------------------------------------------------------------------------------------------------

BEATS = "heartbeat_ivl = 100ms\nheartbeat_timeout = 400ms\nheartbeat_ttl = 1s"


def other_process(kind, port, does, **options):
    """A peer in a process of its own that connects and then DOES something, over and over."""
    lines = ["import time, zmq", f"peer = zmq.Context().socket({int(kind)})"]
    lines += [f"peer.{name} = {value!r}" for name, value in options.items()]
    lines += [f"peer.connect('tcp://127.0.0.1:{port}')", "while True:", f"    {does}"]
    return zb.spawn([sys.executable, "-c", "\n".join(lines)])


def test_a_peer_that_gives_no_sign_of_life_is_cut():
    for options in [{}, {"heartbeat_ivl": 100}]:
        with Route("streamer", BEATS) as route:
            peer = other_process(zmq.PULL, route.backend, "peer.recv()", **options)
            route.wait_clients("backend", 1)
            time.sleep(1)  # it lives, and answers
            assert len(route.clients("backend")) == 1
            peer.send_signal(signal.SIGSTOP)
            route.wait_cut("heartbeat")
            route.wait_clients("backend", 0)
            peer.send_signal(signal.SIGCONT)
            route.wait_clients("backend", 1)


def test_a_producer_that_is_held_up_is_not_cut_and_does_not_leave():
    for options in [{}, {"heartbeat_ivl": 100, "heartbeat_timeout": 400}]:
        with Route("streamer", BEATS) as route:
            push = route.front(zmq.PUSH, **options)
            for i in range(100):
                push.send(b"%d" % i)
            route.wait_clients("frontend", 1)
            before = route.clients("frontend")[0]["id"]
            time.sleep(2)  # far more than each of them would wait
            assert [each["id"] for each in route.clients("frontend")] == [before]
            pull = route.back(zmq.PULL)
            assert [pull.recv() for _ in range(100)] == [b"%d" % i for i in range(100)]
            assert "cut" not in route.daemon.log()


def test_a_producer_that_ends_while_it_is_held_up_loses_nothing():
    """Its system still has much to send, and would drop that for an answer that it did not ask for."""
    with Route("streamer") as route:
        push = route.front(zmq.PUSH, linger=10000)
        for i in range(200):
            push.send(b"%0100d" % i * 100)
        route.wait_clients("frontend", 1)
        push.close()
        time.sleep(2)  # ten times as long as it takes to be told
        pull = route.back(zmq.PULL)
        for i in range(200):
            assert pull.poll(10000 * zb.SLOW), i
            assert pull.recv() == b"%0100d" % i * 100


def test_a_worker_that_is_slow_is_not_cut():
    for options in [{}, {"heartbeat_ivl": 100, "heartbeat_timeout": 400}]:
        with Route("streamer", BEATS + "\nbackend_sndbuf = 4096") as route:
            other_process(zmq.PULL, route.backend, "peer.recv(); time.sleep(0.3)", rcvhwm=1, rcvbuf=4096, **options)
            push = route.front(zmq.PUSH)
            for _ in range(100):
                push.send(b"x" * 20000)
            route.wait_clients("backend", 1)
            before = route.clients("backend")[0]["id"]
            time.sleep(3)
            assert [each["id"] for each in route.clients("backend")] == [before]
            assert "cut" not in route.daemon.log()


if __name__ == "__main__":
    zb.main()

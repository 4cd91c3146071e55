# SPDX-License-Identifier: MPL-2.0
"""What the daemon reads and writes is cut into batches that nobody sees: every size, any number of clients, on both transports."""

import random
import statistics
import threading
import time
import zlib

import zmq
import zb

BATCH = 8192           # of libzmq, for one read or write
AHEAD = 16 * BATCH     # of the daemon, for one read of a busy connection
HEADER = 9             # of a long frame, RFC 23
PRODUCERS = 100        # more than are read ahead at once
EACH = 2000


def streamer(transport):
    if transport == "ipc":
        folder = zb.folder()
        front, back = f"ipc://{folder}/front", f"ipc://{folder}/back"
    else:
        front, back = (f"tcp://127.0.0.1:{port}" for port in zb.free_ports(2))
    return zb.Daemon(f"[route r]\ntype = streamer\nfrontend_bind = {front}\nbackend_bind = {back}\n"), front, back


def opened(context, kind, endpoint):
    patience = int(60000 * zb.SLOW)
    return zb.peer(context, kind, endpoint, rcvtimeo=patience, sndtimeo=patience)


def sizes():
    """Frames that end at, before and behind the end of a batch or of what is read ahead, alone and after others."""
    around = [edge * n - HEADER + d for edge, n in ((BATCH, 1), (BATCH, 2), (AHEAD, 1), (AHEAD, 2)) for d in range(-12, 13)]
    small = [random.randrange(0, 600) for _ in range(3000)]
    middle = [random.randrange(0, 3 * BATCH) for _ in range(1000)]
    return around + small + around + middle


class Producer(threading.Thread):
    """Sends what MESSAGES yields, (socket, body) each. Nobody else touches its sockets: one socket, one thread."""

    def __init__(self, messages):
        super().__init__(daemon=True)
        self.messages, self.sent = messages, 0

    def run(self):
        for push, body in self.messages:
            push.send(body)
            self.sent += 1


def wait_until_full(producers):
    """Until nobody got anything more away for a while, or everybody is through."""
    def rest():
        before = [producer.sent for producer in producers]
        for producer in producers:
            producer.join(0.3 / len(producers))
        return not any(producer.is_alive() for producer in producers) or before == [producer.sent for producer in producers]

    zb.wait_until(rest, 60)


def check_every_size(transport):
    daemon, front, back = streamer(transport)
    wanted = sizes()
    bodies = [random.randbytes(size) for size in wanted]
    with daemon, zmq.Context() as context:
        push, pull = opened(context, zmq.PUSH, front), opened(context, zmq.PULL, back)
        producer = Producer((push, body) for body in bodies)
        producer.start()
        # Who does not take anything at first has the producer's burst wait in every place there is.
        wait_until_full([producer])
        for number, body in enumerate(bodies):
            found = pull.recv()
            assert found == body, f"message {number} of {len(bodies)}: {len(found)} bytes for {len(body)}, crc {zlib.crc32(found)}"
        producer.join()
        assert not pull.poll(50), "more than was sent"
        push.close()
        pull.close()


@zb.limit(120)
def test_every_size_arrives_whole_and_in_order_over_tcp():
    check_every_size("tcp")


@zb.limit(120)
def test_every_size_arrives_whole_and_in_order_over_ipc():
    check_every_size("ipc")


@zb.limit(120)
def test_more_busy_producers_than_are_read_ahead():
    """They fill the route while it is paused, each far beyond one batch; then all of it comes."""
    daemon, front, back = streamer("tcp")
    body = b"x" * 200
    with daemon, zmq.Context() as context:
        pull = opened(context, zmq.PULL, back)
        pull.rcvhwm = 0
        pushes = [opened(context, zmq.PUSH, front) for _ in range(PRODUCERS)]

        def messages(mine):
            for number in range(EACH):
                for name, push in mine:
                    yield push, b"%d %d %s" % (name, number, body)

        numbered = list(enumerate(pushes))
        producers = [Producer(messages(numbered[i::4])) for i in range(4)]
        with zb.Control(daemon) as control:
            zb.wait_until(lambda: control.route("r")["frontend"]["connections"] == PRODUCERS, 30)
            control.ask("pause r")
            for producer in producers:
                producer.start()
            wait_until_full(producers)
            control.ask("resume r")
        came = [0] * PRODUCERS
        for _ in range(PRODUCERS * EACH):
            producer, number, _ = pull.recv().split(b" ", 2)
            assert int(number) == came[int(producer)], (producer, number, came[int(producer)])
            came[int(producer)] += 1
        for producer in producers:
            producer.join()
        for peer in [pull, *pushes]:
            peer.close()


@zb.limit(120)
def test_the_end_of_a_burst_does_not_wait_for_more():
    """A message that fills a batch to the last byte goes out like one that does not: each waits for the one before."""
    daemon, front, back = streamer("tcp")
    with daemon, zmq.Context() as context:
        push, pull = opened(context, zmq.PUSH, front), opened(context, zmq.PULL, back)
        times = {BATCH - HEADER: [], BATCH - HEADER - 100: [], 2 * BATCH - HEADER: []}
        for _ in range(30):
            for size, taken in times.items():
                before = time.monotonic()
                push.send(b"x" * size)
                assert len(pull.recv()) == size
                taken.append(time.monotonic() - before)
        medians = [statistics.median(taken) for taken in times.values()]
        print("# medians", *(f"{median * 1e6:.0f} us" for median in medians))
        # What waits the kernel sends by itself, after 200 ms.
        assert max(medians) < max(min(medians) + 0.15, 3 * min(medians)), medians
        push.close()
        pull.close()


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""Acknowledged producers and workers: what is "ok" reaches a worker, until one is done with it.

Producers and workers are plain sockets of ZeroMQ; zbroker-protocols(7) is what they go by.

ZB_MINUTES is how long clients come and go, and what is looked at is whether the broker grows: a moment, or in a long run

    ZB_MINUTES=60 python3 tests/acks.py test_clients_and_jobs_that_come_and_go_leave_nothing_behind
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
import uuid

import zmq
import zb
import zmtp

from store import fill_disk, on_small_disk

KILLS = int(os.environ.get("ZB_KILLS", "3"))  # how often the broker is killed under load
MINUTES = float(os.environ.get("ZB_MINUTES", "0"))


class Jobs(zb.Route):
    """A daemon with one streamer that has all four sides."""

    name = "jobs"

    def __init__(self, more="", above="", store="all", store_dir=None):
        self.folder, self.above, self.store = zb.folder(), above, store
        self.store_dir = store_dir or os.path.join(self.folder, "store")
        self.acks, self.workers = zb.free_ports(2)
        super().__init__("streamer", more, folder=self.folder)

    def ini(self, more):
        return super().ini(f"""
store = {self.store}
store_dir = {self.store_dir}
ack_bind = tcp://127.0.0.1:{self.acks}
worker_ack_bind = tcp://127.0.0.1:{self.workers}
{more}
{self.above}
""")

    def restart(self):
        """After it has ended."""
        self.daemon = zb.Daemon(self.daemon.file, folder=self.folder)

    def crash(self):
        self.daemon.kill()
        self.restart()

    def producer(self, kind=zmq.REQ, **options):
        return self.peer(kind, self.acks, **options)

    def worker(self, kind=zmq.REQ, **options):
        return self.peer(kind, self.workers, **options)

    def put(self, *bodies):
        """Each body is on the disk."""
        producer = self.producer()
        for body in bodies:
            assert ask(producer, b"", body) == b"ok"
        producer.close()

    def stats(self, part="jobs", route="jobs"):
        with zb.Control(self.daemon) as control:
            return control.route(route)[part]

    def wait(self, part, **wanted):
        zb.wait_until(lambda: all(self.stats(part)[name] == number for name, number in wanted.items()),
                      what=lambda: f"{wanted}, not {self.stats(part)}")


def ask(producer, id, *body):
    """The answer of a REQ's request."""
    producer.send_multipart([id, *body])
    said, answer = producer.recv_multipart()
    assert said == id, said
    return answer


def ready(worker, credit=None):
    """A DEALER says so."""
    worker.send_multipart([b"", b"ready"] + ([str(credit).encode()] if credit else []))


def say(worker, word, job):
    worker.send_multipart([b"", word, job])


def job_of(worker):
    """(JOB, TRIES, body) of a DEALER."""
    empty, job, tries, *body = worker.recv_multipart()
    assert empty == b"" and 0 < len(job) <= 32, (empty, job)
    return job, int(tries), b"|".join(body)


def nothing(worker, seconds=0.3):
    return not worker.poll(int(seconds * 1000))


# --- producers -----------------------------------------------------------------------------------------------------------

def test_a_producer_of_req_hears_ok_and_a_plain_worker_gets_the_body():
    with Jobs() as jobs:
        pull = jobs.back(zmq.PULL)
        producer = jobs.producer()
        assert ask(producer, b"id-1", b"one") == b"ok"
        assert ask(producer, b"", b"two", b"", b"parts") == b"ok"
        assert pull.recv_multipart() == [b"one"] and pull.recv_multipart() == [b"two", b"", b"parts"]
        assert jobs.stats("acks") == {"ok": 2, "duplicate": 0, "full": 0, "refused": 0}, jobs.stats("acks")


def test_a_producer_of_dealer_has_many_requests_under_way_and_answers_in_their_order():
    with Jobs() as jobs:
        pull = jobs.back(zmq.PULL)
        producer = jobs.producer(zmq.DEALER)
        ids = [b"%d" % number for number in range(5000)]
        heard = []
        for id in ids:
            producer.send_multipart([b"", id, b"body " + id])
            while producer.poll(0):
                heard.append(producer.recv_multipart())
        while len(heard) < len(ids):
            heard.append(producer.recv_multipart())
        assert heard == [[b"", id, b"ok"] for id in ids]
        assert [pull.recv() for _ in ids] == [b"body " + id for id in ids]


def test_an_envelope_of_more_frames_comes_back_with_the_answer():
    with Jobs() as jobs:
        producer = jobs.producer(zmq.DEALER)
        producer.send_multipart([b"hop", b"\x00hop", b"", b"id-1", b"body"])
        assert producer.recv_multipart() == [b"hop", b"\x00hop", b"", b"id-1", b"ok"]
        relaxed = jobs.producer(req_relaxed=True, req_correlate=True)
        assert ask(relaxed, b"id-2", b"body") == b"ok"


def test_an_id_that_is_known_is_ok_and_not_stored_again():
    with Jobs() as jobs:
        first, second = jobs.producer(), jobs.producer()
        for producer in (first, second, first):
            assert ask(producer, b"once", b"one") == b"ok"
        for _ in range(2):
            assert ask(first, b"", b"each") == b"ok"
        pull = jobs.back(zmq.PULL)
        assert [pull.recv() for _ in range(3)] == [b"one", b"each", b"each"]
        assert ask(first, b"", b"last") == b"ok" and pull.recv() == b"last"
        assert jobs.stats("acks")["duplicate"] == 2


def test_requests_of_all_kinds_in_one_burst_are_answered_as_each_alone():
    kinds = [lambda number: [b"", b"%d" % number, b"short"],
             lambda number: [b"", b"%d" % (number // 9 * 9), b"known, or first"],
             lambda number: [b"", b"", b"without"],
             lambda number: [b"", b"%064d" % number, b""],
             lambda number: [b"", b"%d" % number, b"parts", b"", b"x" * 300],
             lambda number: [b"", b"%d" % number, b"long" * 100],
             lambda number: [b"hop", b"", b"%d" % number, b"envelope"],
             lambda number: [b"", b"%065d" % number, b"refused"],
             lambda number: [b"", b"", b"%d" % number]]
    requests = [kinds[number % len(kinds)](number) for number in range(900)]
    with Jobs() as jobs:
        pull, producer = jobs.back(zmq.PULL), jobs.producer(zmq.DEALER, sndhwm=0)
        for request in requests:
            producer.send_multipart(request)
        answers = [producer.recv_multipart() for _ in requests]
        good = [request for request in requests if b"refused" not in request]
        heads = [request[:request.index(b"") + 2] for request in good]
        assert [answer for answer in answers if answer[-1] == b"ok"] == [[*head, b"ok"] for head in heads]
        assert answers.count([b"", b"", b"refused"]) == len(requests) - len(good)
        seen, stored = set(), []
        for request, head in zip(good, heads):
            if head[-1] == b"" or head[-1] not in seen:
                stored.append(request[len(head):])
            seen.add(head[-1])
        assert len(good) - len(stored) == jobs.stats("acks")["duplicate"] == 100
        assert [pull.recv_multipart() for _ in stored] == stored


def test_what_cannot_be_stored_is_refused_and_what_has_no_envelope_is_counted():
    with Jobs() as jobs:
        producer = jobs.producer(zmq.DEALER)
        producer.send_multipart([b"", b"x" * 65, b"body"])
        assert producer.recv_multipart() == [b"", b"", b"refused"]
        producer.send_multipart([b"", b"id-1"])
        assert producer.recv_multipart() == [b"", b"id-1", b"refused"]
        producer.send_multipart([b"id-2", b"body"])
        producer.send_multipart([b"", b"x" * 64, b"body"])
        assert producer.recv_multipart() == [b"", b"x" * 64, b"ok"]
        assert jobs.stats("acks")["refused"] == 3


# --- workers -------------------------------------------------------------------------------------------------------------

def test_a_worker_of_req_asks_for_the_next_one_with_done():
    with Jobs() as jobs:
        jobs.put(b"one", b"two", b"three")
        worker = jobs.worker()
        worker.send(b"ready")
        for body in (b"one", b"two", b"three"):
            job, tries, got = worker.recv_multipart()
            assert (tries, got) == (b"1", body), (tries, got)
            worker.send_multipart([b"done", job])
        jobs.wait("jobs", done=3, outstanding=0)
        jobs.put(b"four")
        assert worker.recv_multipart()[2] == b"four"


def test_a_worker_of_dealer_has_as_many_as_its_credit():
    with Jobs() as jobs:
        jobs.put(*(b"%d" % number for number in range(8)))
        worker = jobs.worker(zmq.DEALER)
        ready(worker, 3)
        held = [job_of(worker) for _ in range(3)]
        assert [body for _, _, body in held] == [b"0", b"1", b"2"]
        jobs.wait("jobs", outstanding=3)
        assert nothing(worker)
        say(worker, b"done", held[1][0])
        assert job_of(worker)[2] == b"3"
        ready(worker, 5)
        assert [job_of(worker)[2] for _ in range(2)] == [b"4", b"5"]
        jobs.wait("jobs", outstanding=5, done=1)


def test_what_is_pushed_goes_to_acknowledged_and_to_plain_workers_once():
    with Jobs() as jobs:
        worker, pull = jobs.worker(zmq.DEALER), jobs.back(zmq.PULL)
        ready(worker, 1000)
        push = jobs.front(zmq.PUSH)
        wanted, got = {b"%d" % number for number in range(400)}, []
        for body in wanted:
            push.send(body)
        while len(got) < len(wanted):
            if worker.poll(10):
                job, tries, body = job_of(worker)
                say(worker, b"done", job)
                got.append((body, tries))
            while pull.poll(0):
                got.append((pull.recv(), 1))
        assert {body for body, _ in got} == wanted and all(tries == 1 for _, tries in got)
        jobs.wait("jobs", outstanding=0)
        assert 0 < jobs.stats()["done"] < 400, jobs.stats()


def test_retry_gives_it_again_and_counts_the_try():
    with Jobs("max_tries = 3") as jobs:
        jobs.put(b"hard")
        worker = jobs.worker(zmq.DEALER)
        ready(worker)
        seen = set()
        for tries in (1, 2, 3):
            job, counted, body = job_of(worker)
            assert (counted, body) == (tries, b"hard") and job not in seen
            seen.add(job)
            say(worker, b"retry", job)
        jobs.wait("jobs", retry=3, expired=1, outstanding=0)
        assert jobs.stats("dropped")["expired"] == 1
        assert jobs.daemon.log().count("a message was given up after 3 tries") == 1, jobs.daemon.log()


def test_reject_gives_it_up_at_once():
    with Jobs() as jobs:
        jobs.put(b"bad", b"good")
        worker = jobs.worker(zmq.DEALER)
        ready(worker)
        say(worker, b"reject", job_of(worker)[0])
        assert job_of(worker)[2] == b"good"
        jobs.wait("jobs", reject=1, expired=1)


def test_a_worker_that_is_gone_leaves_its_messages_to_another():
    with Jobs() as jobs:
        jobs.put(b"one", b"two")
        first, second = jobs.worker(zmq.DEALER), jobs.worker(zmq.DEALER)
        ready(first, 2)
        assert {job_of(first)[2] for _ in range(2)} == {b"one", b"two"}
        ready(second, 2)
        first.close(linger=0)
        assert {job_of(second)[1:] for _ in range(2)} == {(2, b"one"), (2, b"two")}
        jobs.wait("jobs", lost=2, given=4)


def test_a_worker_that_is_kicked_has_gone():
    with Jobs() as jobs:
        jobs.put(b"one")
        worker = jobs.worker(zmq.DEALER)
        ready(worker)
        job_of(worker)
        client, = jobs.clients("worker_ack")
        assert client["socket_type"] == "DEALER", client
        assert jobs.daemon.ctl("kick", "jobs", str(client["id"])).returncode == 0
        zb.wait_until(lambda: [each["id"] for each in jobs.clients("worker_ack")] not in ([], [client["id"]]), what="the worker again")
        ready(worker)
        assert job_of(worker)[1:] == (2, b"one")


def test_a_worker_that_is_late_is_not_heard_and_gets_nothing_until_it_says_so():
    with Jobs("ack_timeout = 200ms") as jobs:
        jobs.put(b"one")
        slow, other = jobs.worker(zmq.DEALER), jobs.worker(zmq.DEALER)
        ready(slow)
        late, tries, _ = job_of(slow)
        ready(other)
        job, tries, body = job_of(other)
        assert (tries, body) == (2, b"one")
        say(other, b"done", job)
        jobs.wait("jobs", done=1, timeout=1)
        jobs.put(b"two")
        job, _, body = job_of(other)
        say(other, b"done", job)
        assert body == b"two" and nothing(slow)
        say(slow, b"done", late)
        jobs.wait("jobs", late=1, done=2)
        other.close()
        jobs.put(b"three")
        assert job_of(slow)[2] == b"three"


def test_a_job_means_nothing_in_the_mouth_of_another():
    with Jobs() as jobs:
        jobs.put(b"one")
        worker, thief = jobs.worker(zmq.DEALER), jobs.worker(zmq.DEALER)
        ready(worker)
        job, _, _ = job_of(worker)
        for word in (b"done", b"retry", b"reject"):
            say(thief, word, job)
        say(worker, b"done", b"0" * 32)
        say(worker, b"finished", job)
        jobs.wait("jobs", refused=5, outstanding=1, done=0)
        say(worker, b"done", job)
        jobs.wait("jobs", done=1, outstanding=0)
        say(worker, b"done", job)
        jobs.wait("jobs", done=1, refused=6)


def test_what_waits_for_acknowledged_workers_that_are_gone_goes_to_plain_ones():
    with Jobs() as jobs:
        worker = jobs.worker(zmq.DEALER)
        ready(worker, 2)
        jobs.put(*(b"%d" % number for number in range(6)))
        held = {job_of(worker)[2] for _ in range(2)}
        pull = jobs.back(zmq.PULL)
        worker.close(linger=0)
        assert {pull.recv() for _ in range(6)} == held | {b"%d" % number for number in range(6)}


LETTERS = """dead_letter = letters
max_tries = 2
[route letters]
type = streamer
store = all
store_dir = {folder}/letters
worker_ack_bind = tcp://127.0.0.1:{port}
ack_bind = tcp://127.0.0.1:{acks}
"""


def test_dead_letters_go_to_the_streamer_that_is_named():
    port, acks = zb.free_ports(2)
    with Jobs(LETTERS.format(folder=zb.folder(), port=port, acks=acks)) as jobs:
        jobs.put(b"bad", b"worse")
        worker, undertaker = jobs.worker(zmq.DEALER), jobs.peer(zmq.DEALER, port)
        ready(worker)
        say(worker, b"reject", job_of(worker)[0])
        for tries in (1, 2):
            job, counted, body = job_of(worker)
            assert (counted, body) == (tries, b"worse")
            say(worker, b"retry", job)
        ready(undertaker, 10)
        assert [job_of(undertaker)[1:] for _ in range(2)] == [(1, b"bad"), (1, b"worse")]
        jobs.wait("jobs", dead_letter=2, expired=0, outstanding=0)
        assert "a message went to letters after 2 tries" in jobs.daemon.log()
        jobs.put(b"good")
        assert job_of(worker)[2] == b"good"


def test_dead_letters_go_to_a_streamer_whose_ends_are_plain():
    front, back = zb.free_ports(2)
    with Jobs("dead_letter = letters", f"""
[route letters]
type = streamer
store = all
store_dir = {zb.folder()}/letters
frontend_bind = tcp://127.0.0.1:{front}
backend_bind = tcp://127.0.0.1:{back}
""") as jobs:
        jobs.put(b"bad")
        worker, undertaker = jobs.worker(zmq.DEALER), jobs.peer(zmq.PULL, back)
        ready(worker)
        say(worker, b"reject", job_of(worker)[0])
        assert undertaker.recv() == b"bad"
        jobs.wait("jobs", dead_letter=1, outstanding=0)


def test_dead_letters_wait_for_a_route_that_does_not_run():
    port, acks = zb.free_ports(2)
    with Jobs(LETTERS.format(folder=zb.folder(), port=port, acks=acks)) as jobs:
        assert jobs.daemon.ctl("disable", "letters").returncode == 0
        jobs.put(b"bad")
        worker = jobs.worker(zmq.DEALER)
        ready(worker)
        say(worker, b"reject", job_of(worker)[0])
        jobs.wait("jobs", reject=1, dead_letter=0)
        assert jobs.daemon.ctl("enable", "letters").returncode == 0
        undertaker = jobs.peer(zmq.DEALER, port)
        ready(undertaker)
        assert job_of(undertaker)[2] == b"bad"
        jobs.wait("jobs", dead_letter=1, expired=0)


# --- rights --------------------------------------------------------------------------------------------------------------

def test_an_id_belongs_to_the_user_who_sends_it():
    users = "".join(zb.run("password", name, name="zbroker-keygen", stdin="secret\n").stdout for name in ("alice", "bob"))
    with Jobs(f"ack_security = plain\nack_users = {zb.write(zb.folder() + '/users', users, 0o600)}") as jobs:
        alice, bob = (jobs.producer(plain_username=name, plain_password=b"secret") for name in (b"alice", b"bob"))
        assert ask(bob, b"next", b"of bob") == b"ok"
        assert ask(alice, b"next", b"of alice") == b"ok"
        assert ask(alice, b"next", b"of alice again") == b"ok"
        pull = jobs.back(zmq.PULL)
        assert [pull.recv() for _ in range(2)] == [b"of bob", b"of alice"]
        assert jobs.stats("acks") == {"ok": 2, "duplicate": 1, "full": 0, "refused": 0}


def test_who_may_not_publish_is_refused_and_who_may_not_read_gets_nothing():
    rights = zb.write(zb.folder() + "/acl", "topic write public\ntopic read public\ntopic write secret\n", 0o600)
    with Jobs(f"ack_acl = {rights}\nworker_ack_acl = {rights}") as jobs:
        producer = jobs.producer()
        assert ask(producer, b"", b"private", b"1") == b"refused"
        assert jobs.stats("dropped")["acl"] == 1
        for number in range(3):
            assert ask(producer, b"", b"secret", b"%d" % number) == b"ok"
        assert ask(producer, b"", b"public", b"4") == b"ok"
        worker = jobs.worker(zmq.DEALER)
        ready(worker, 10)
        assert job_of(worker)[2] == b"public|4" and nothing(worker)
        zb.write(rights, "topic write public\ntopic read secret\n", 0o600)
        assert jobs.daemon.ctl("reload").returncode == 0
        assert [job_of(worker)[2] for _ in range(3)] == [b"secret|0", b"secret|1", b"secret|2"]


# --- what is too much ------------------------------------------------------------------------------------------------------

def test_a_full_store_answers_when_there_is_room():
    with Jobs("store_max = 1M") as jobs:
        producer, body = jobs.producer(zmq.DEALER), os.urandom(50000)
        for number in range(40):
            producer.send_multipart([b"", b"%d" % number, body])
        answered = [producer.recv_multipart()]
        while producer.poll(1500):
            answered.append(producer.recv_multipart())
        assert 0 < len(answered) < 40, len(answered)
        print(f"# {len(answered)} answered before the store was full")
        worker = jobs.worker(zmq.DEALER)
        ready(worker, 100)
        for _ in range(40):
            job, tries, got = job_of(worker)
            assert (tries, got) == (1, body)
            say(worker, b"done", job)
        while len(answered) < 40:
            answered.append(producer.recv_multipart())
        assert answered == [[b"", b"%d" % number, b"ok"] for number in range(40)]
        jobs.wait("jobs", done=40, outstanding=0)


def test_a_full_disk_is_answered_with_full_where_the_oldest_is_dropped():
    for kind in "all", "overflow":
        disk = on_small_disk()
        try:
            with Jobs("store_full = drop_oldest\nstore_max = 8M", store=kind, store_dir=os.path.join(disk, "store")) as jobs:
                producer, body, count = jobs.producer(zmq.DEALER), os.urandom(50000), 60
                producer.send_multipart([b"", b"first", body])
                assert producer.recv_multipart() == [b"", b"first", b"ok"]
                filler = fill_disk(disk)
                for number in range(count): # more than waits in memory for the disk
                    producer.send_multipart([b"", b"%d" % number, body])
                answers = [producer.recv_multipart()]
                assert answers[0][-1] == b"full", answers
                os.unlink(filler)
                while len(answers) < count:
                    answers.append(producer.recv_multipart())
                assert {answer[-1] for answer in answers} == {b"ok", b"full"}
                assert len({answer[1] for answer in answers}) == count
                full = [answer[1] for answer in answers if answer[-1] == b"full"]
                assert jobs.stats("acks") == {"ok": count + 1 - len(full), "duplicate": 0, "full": len(full), "refused": 0}
                assert ask(jobs.producer(), full[0], body) == b"ok"
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


def test_on_a_disk_that_is_full_of_others_the_store_goes_on_when_it_is_drained():
    disk = on_small_disk()
    try:
        with Jobs(store_dir=os.path.join(disk, "store")) as jobs:
            producer, body, count = jobs.producer(zmq.DEALER, sndhwm=0), os.urandom(50000), 400
            for number in range(count): # 20 MB
                producer.send_multipart([b"", b"%d" % number, body])
            zb.wait_until(lambda: jobs.ask("show store jobs")["stores"][0]["state"] == "no_disk", what="a full disk")
            fill_disk(disk)
            worker = jobs.worker(zmq.DEALER)
            ready(worker, 1000)
            for _ in range(count):
                say(worker, b"done", job_of(worker)[0])
            assert [producer.recv_multipart() for _ in range(count)] == [[b"", b"%d" % number, b"ok"] for number in range(count)]
            jobs.wait("jobs", done=count, outstanding=0)
            jobs.crash()
            for number in range(count):
                assert ask(jobs.producer(), b"%d" % number, b"again") == b"ok"
            assert jobs.stats("acks")["duplicate"] == count
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_what_was_ok_while_others_filled_the_disk_and_freed_it_is_there_after_a_crash():
    disk = on_small_disk()
    try:
        with Jobs(store_dir=os.path.join(disk, "store")) as jobs:
            producer, body, count = jobs.producer(zmq.DEALER, sndhwm=0), os.urandom(5000), 600
            send = lambda first, end: [producer.send_multipart([b"", b"%d" % number, b"%d:" % number + body]) for number in range(first, end)]
            send(0, count // 2)
            assert producer.recv_multipart()[-1] == b"ok"
            filler = fill_disk(disk)
            send(count // 2, count)
            jobs.daemon.wait_log("event=store-stopped route=jobs")
            os.unlink(filler)
            freed = time.monotonic()
            jobs.daemon.wait_log("event=store-room route=jobs")
            print(f"# goes on after {time.monotonic() - freed:.2f} s")
            for _ in range(count - 1):
                assert producer.recv_multipart()[-1] == b"ok"
            jobs.crash()
            worker = jobs.worker(zmq.DEALER)
            ready(worker, 1000)
            assert [int(job_of(worker)[2].split(b":")[0]) for _ in range(count)] == list(range(count))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_worker_gets_no_more_than_a_thousand_and_nonsense_does_no_harm():
    with Jobs() as jobs:
        producer = jobs.producer(zmq.DEALER)
        for number in range(1200):
            producer.send_multipart([b"", b"", b"%d" % number])
        for _ in range(1200):
            assert producer.recv_multipart()[-1] == b"ok"
        greedy = jobs.worker(zmq.DEALER, rcvhwm=0)
        ready(greedy, 10 ** 30)
        jobs.wait("jobs", outstanding=1000)
        nonsense = jobs.worker(zmq.DEALER)
        for frames in ([b"ready"], [b""], [b"", b""], [b"", b"ready", b"-1"], [b"", b"done", b"x" * 100000], [b"x" * 600, b"", b"ready"],
                       [b"", b"reject"], [b"", b"ready", b"1", b"1"]):
            nonsense.send_multipart(frames)
        jobs.wait("jobs", refused=8)
        assert nothing(nonsense) and jobs.daemon.running()
        ready(nonsense)
        assert job_of(nonsense)[1] == 1


# --- the end of the broker ------------------------------------------------------------------------------------------------

def test_an_id_that_was_ok_before_a_crash_is_known_after_it():
    with Jobs() as jobs:
        producer = jobs.producer(req_relaxed=True, req_correlate=True)
        assert ask(producer, b"once", b"one") == b"ok"
        jobs.crash()
        assert ask(producer, b"once", b"one") == b"ok"
        assert ask(producer, b"twice", b"two") == b"ok"
        pull = jobs.back(zmq.PULL)
        assert [pull.recv() for _ in range(2)] == [b"one", b"two"]
        jobs.crash()  # also of those that are done
        assert ask(producer, b"once", b"one") == b"ok" and ask(producer, b"", b"three") == b"ok"
        assert pull.recv() == b"three"


def test_many_ids_that_were_ok_before_a_crash_are_known_after_it_and_jobs_come_at_once():
    count = 15000  # more than are read before the first delivery
    with Jobs() as jobs:
        producer = jobs.producer(zmq.DEALER, sndhwm=0, rcvhwm=0)
        for number in range(count):
            producer.send_multipart([b"", b"%d" % number, b"%d" % number])
        for _ in range(count):
            assert producer.recv_multipart()[-1] == b"ok"
        jobs.crash()
        again, worker = jobs.producer(zmq.DEALER, sndhwm=0, rcvhwm=0), jobs.worker(zmq.DEALER)
        ready(worker, 10)
        for number in range(count):
            again.send_multipart([b"", b"%d" % number, b"again"])
        assert [job_of(worker)[2] for _ in range(10)] == [b"%d" % number for number in range(10)]
        for _ in range(count):
            assert again.recv_multipart()[-1] == b"ok"
        assert jobs.stats("acks")["duplicate"] == count


def test_what_a_worker_had_at_a_crash_says_that_it_comes_again():
    with Jobs() as jobs:
        bodies = [b"%03d" % number for number in range(300)]
        jobs.put(*bodies)
        worker = jobs.worker(zmq.DEALER)
        ready(worker, 4)
        had = [job_of(worker)[2] for _ in range(4)]
        jobs.crash()
        ready(worker, 4)
        got = {}
        while len(got) < len(bodies):
            job, tries, body = job_of(worker)
            assert body not in got
            got[body] = tries
            say(worker, b"done", job)
        assert sorted(got) == bodies and all(got[body] == 2 for body in had), got
        assert sum(tries == 1 for tries in got.values()) > 200, got


def test_what_is_done_does_not_come_again_after_a_stop():
    with Jobs() as jobs:
        jobs.put(b"one", b"two", b"three")
        worker = jobs.worker(zmq.DEALER)
        ready(worker, 1)
        job, _, body = job_of(worker)
        jobs.daemon.send(signal.SIGTERM)
        jobs.daemon.wait_log("stopping")
        say(worker, b"done", job)  # which the stop waits for
        assert jobs.daemon.wait() == 0
        jobs.restart()
        ready(worker, 5)
        assert body == b"one" and [job_of(worker)[1:] for _ in range(2)] == [(1, b"two"), (1, b"three")]


class Producer(threading.Thread):
    """Sends what has an ID of its own until it is told to stop, and again what was not answered: .sure is what was ok."""

    def __init__(self, jobs, name):
        super().__init__()
        self.jobs, self.prefix, self.sure, self.unsure = jobs, name, set(), {}
        self.over = threading.Event()
        self.start()

    def run(self):
        number, socket = 0, self.jobs.producer(zmq.DEALER)
        while not self.over.is_set() or self.unsure:
            while len(self.unsure) < 200 and not self.over.is_set():
                body = b"%s %d" % (self.prefix, number)
                self.unsure[uuid.uuid4().bytes] = body
                number += 1
                id = next(reversed(self.unsure))
                socket.send_multipart([b"", id, body])
            if not socket.poll(1000):
                socket.close(linger=0)
                socket = self.jobs.producer(zmq.DEALER)
                for id, body in self.unsure.items():
                    socket.send_multipart([b"", id, body])
                continue
            _, id, answer = socket.recv_multipart()
            assert answer == b"ok", answer
            self.sure.add(self.unsure.pop(id, b""))
        socket.close()


class Worker(threading.Thread):
    """Does what it gets until it is told to stop: .done has (body, TRIES)."""

    def __init__(self, jobs):
        super().__init__()
        self.jobs, self.done = jobs, []
        self.over = threading.Event()
        self.start()

    def run(self):
        socket = self.jobs.worker(zmq.DEALER)
        while not self.over.is_set():
            ready(socket, 50)
            while socket.poll(200):
                job, tries, body = job_of(socket)
                self.done.append((body, tries))
                say(socket, b"done", job)
        socket.close()


@zb.limit(120 + 2 * KILLS)
def test_nothing_that_was_ok_is_lost_however_often_the_broker_is_killed():
    with Jobs("ack_timeout = 2s\nmax_tries = 1000") as jobs:
        workers, producers = [Worker(jobs) for _ in range(2)], [Producer(jobs, b"p%d" % i) for i in range(2)]
        for _ in range(KILLS):
            before = sum(len(each.sure) for each in producers)
            zb.wait_until(lambda: sum(len(each.sure) for each in producers) > before + 500, 30, what="500 more that are ok")
            jobs.crash()
        for each in producers:
            each.over.set()
            each.join()
        sure = set().union(*(each.sure for each in producers)) - {b""}
        done = lambda: [one for each in workers for one in each.done]

        def all_done():
            assert jobs.stats("store_corrupt") == 0, "a kill has damaged messages in the store"
            return sure <= {body for body, _ in done()}

        try:
            zb.wait_until(all_done, 30, what="all that was ok")
        finally:
            for each in workers:
                each.over.set()
                each.join()
        print(f"# {KILLS} kills, {len(sure)} ok, {len(done())} given, 0 lost")
        firsts = [body for body, tries in done() if tries == 1]
        assert len(firsts) == len(set(firsts)), "one came twice without saying so"


# --- another configuration, another program ----------------------------------------------------------------------------------

def test_a_route_that_is_recreated_and_an_upgrade_keep_who_has_which_message():
    for change in ["cpu = 0", "upgrade"]:
        with Jobs() as jobs:
            jobs.put(b"one", b"two", b"three", b"four")
            worker, other, producer = jobs.worker(zmq.DEALER), jobs.worker(zmq.DEALER), jobs.producer()
            ready(worker, 2)
            held = [job_of(worker) for _ in range(2)]
            ready(other)
            third = job_of(other)
            if change == "upgrade":
                answer = jobs.daemon.ctl("upgrade", seconds=20)
                assert answer.returncode == 0 and "3 connections kept" in answer.stdout, answer
            else:
                assert "re-created" in jobs.reload(change)
            say(worker, b"done", held[0][0])
            assert job_of(worker)[1:] == (1, b"four")
            say(worker, b"retry", held[1][0])
            assert job_of(worker)[1:] == (2, b"two")
            say(other, b"done", third[0])
            jobs.wait("jobs", done=2, refused=0, lost=0)
            assert ask(producer, b"", b"five") == b"ok"


def test_an_upgrade_on_a_full_disk_counts_what_it_loses_and_goes_on():
    disk = on_small_disk()
    try:
        with Jobs(store_dir=os.path.join(disk, "store")) as jobs:
            producer, body, count = jobs.producer(zmq.DEALER, sndhwm=0), os.urandom(50000), 400
            for number in range(count):
                producer.send_multipart([b"", b"%d" % number, body])
            zb.wait_until(lambda: jobs.ask("show store jobs")["stores"][0]["state"] == "no_disk", what="a full disk")
            answer = jobs.daemon.ctl("upgrade", seconds=20)
            assert answer.returncode == 0 and "1 connection kept" in answer.stdout, answer
            left = count - jobs.stats("dropped")["shutdown"]
            assert left >= count - 100, "more than waits in memory for the disk"
            worker = jobs.worker(zmq.DEALER)
            ready(worker, 1000)
            for _ in range(left):
                say(worker, b"done", job_of(worker)[0])
            answers = [producer.recv_multipart() for _ in range(left)]
            assert {answer[-1] for answer in answers} == {b"ok"} and len({answer[1] for answer in answers}) == left
            jobs.wait("jobs", done=left, outstanding=0)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


class Churn(Jobs):
    """Clients that come, put a few messages in or take some, and go."""

    SOME, LEFT = 100, 20  # messages of each producer; those that a worker leaves behind
    cycles = 0

    def put_some(self):
        acked, plain = self.producer(zmq.DEALER), self.front(zmq.PUSH, sndhwm=0, linger=-1)
        for number in range(self.SOME):
            acked.send_multipart([b"", uuid.uuid4().bytes, os.urandom(number * 30)])
            plain.send(os.urandom(number * 30))
        for _ in range(self.SOME):
            assert acked.recv_multipart()[-1] == b"ok"
        acked.close()
        plain.close()

    def take_some(self):
        hasty = self.worker(zmq.DEALER)
        ready(hasty, self.LEFT)
        for _ in range(self.LEFT):
            job_of(hasty)
        hasty.close()
        plain, steady = self.back(zmq.PULL), self.worker(zmq.DEALER)
        ready(steady, 1000)
        poller = zmq.Poller()
        for worker in plain, steady:
            poller.register(worker, zmq.POLLIN)
        for _ in range(2 * self.SOME):
            if dict(poller.poll(zb.WAIT_MS)).get(plain):
                plain.recv()
            else:
                say(steady, b"done", job_of(steady)[0])
        zb.wait_until(lambda: self.stored()["messages"] == 0, what="an empty store")
        plain.close()
        steady.close()
        self.wait_clients("backend", 0)  # what went to one that closes would be lost

    def cycle(self):
        """For a third of the time that it takes the broker has something to do."""
        start = time.monotonic()
        self.put_some()
        self.take_some()
        self.cycles += 1
        idle = self.worker(zmq.DEALER)
        ready(idle)
        assert nothing(idle, 2 * (time.monotonic() - start))
        idle.close()

    def stored(self):
        return self.ask("show store jobs")["stores"][0]

    def size(self):
        """Of the broker and of its store: bytes of memory, descriptors, threads, files, their bytes."""
        pid, store = self.daemon.pid, self.stored()
        found = zb.rss(pid), zb.fds(pid), zb.threads(pid), len(os.listdir(self.store_dir)), store["bytes"]
        print("# after %d cycles: RSS %.1f MiB, %d descriptors, %d threads; store: %d files, %.1f MiB" % (
            self.cycles, found[0] / 2 ** 20, *found[1:4], found[4] / 2 ** 20), flush=True)
        return found


@zb.limit(60 + 120 * MINUTES)
def test_clients_and_jobs_that_come_and_go_leave_nothing_behind():
    with Churn("store_max = 32M\ndedupe = 20s") as jobs:
        jobs.size()
        sizes = []
        for _ in range(6):
            end = time.monotonic() + MINUTES * 10
            jobs.cycle()
            while jobs.cycles % 5 or time.monotonic() < end:
                jobs.cycle()
            sizes.append(jobs.size())
        first, last = sizes[0], sizes[-1]
        assert last[0] < first[0] + (8 << 20) * zb.HEAVY, "memory"
        assert last[1] <= first[1] + 8 and last[2] == first[2], "descriptors and threads"
        assert last[4] <= 32 << 20 and last[3] <= 12, "files"
        assert jobs.stored()["corrupt"] == 0


def test_keys_change_while_workers_have_messages():
    with Jobs() as jobs:
        jobs.put(b"one")
        worker, other = jobs.worker(zmq.DEALER), jobs.worker(zmq.DEALER)
        ready(worker)
        job_of(worker)
        ready(other)
        answer = jobs.reload("ack_timeout = 100ms\nmax_tries = 2\n")
        assert "(live)" in answer and "re-created" not in answer, answer
        assert job_of(other)[1:] == (2, b"one")
        jobs.wait("jobs", timeout=2, expired=1, outstanding=0)


def test_a_draining_route_takes_nothing_in_and_workers_go_on():
    with Jobs() as jobs:
        jobs.put(b"one", b"two")
        assert jobs.daemon.ctl("drain", "jobs").returncode == 0
        producer, worker = jobs.producer(), jobs.worker(zmq.DEALER)
        producer.send_multipart([b"", b"three"])
        ready(worker)
        for body in (b"one", b"two"):
            job, _, got = job_of(worker)
            assert got == body
            say(worker, b"done", job)
        assert nothing(producer)
        assert jobs.daemon.ctl("resume", "jobs").returncode == 0
        assert producer.recv_multipart() == [b"", b"ok"] and job_of(worker)[2] == b"three"


def test_those_who_look_on_see_what_is_taken_once():
    with Jobs() as jobs, zb.Control(jobs.daemon) as control:
        producer, number = jobs.producer(), 0
        control.socket.sendall(b"tap jobs count 2 format json\n")
        while not select.select([control.socket], [], [], 0)[0]:
            number += 1
            for _ in range(2):
                assert ask(producer, b"id %d" % number, b"body %d" % number) == b"ok"
        assert ask(producer, b"last", b"body") == b"ok"
        seen = [json.loads(control.file.readline()) for _ in range(2)]
        assert [each["side"] for each in seen] == ["ack"] * 2 and all(len(each["frames"]) == 1 for each in seen), seen
        assert seen[0]["frames"] != seen[1]["frames"], seen


def said(*frames):
    """Their bytes."""
    return b"".join(zmtp.frame(frame, number + 1 < len(frames)) for number, frame in enumerate(frames))


def test_a_paused_route_gives_no_message_and_judges_no_time():
    with Jobs() as jobs:
        jobs.put(b"one")
        worker = zmtp.Raw(jobs.workers, b"DEALER")
        worker.send(said(b"", b"ready", b"5"))
        worker.wait(b"one", 1)
        job = re.search(rb"\x01\x00\x01.(.*)\x01\x011\x00\x03one$", worker.got, re.DOTALL)[1]
        assert jobs.daemon.ctl("pause", "jobs").returncode == 0
        worker.send(said(b"", b"done", job))  # the system has it before the route goes on
        assert "(live)" in jobs.reload("ack_timeout = 1ms\nhandshake_ivl = 1ms\n")
        with socket.create_connection(("127.0.0.1", jobs.workers)) as silent:
            while silent.recv(100):  # it is cut when the route has looked at the time
                continue
        assert jobs.daemon.ctl("resume", "jobs").returncode == 0
        jobs.wait("jobs", done=1, timeout=0)


zb.main()

# SPDX-License-Identifier: MPL-2.0
"""HTTP of a running daemon: resources, refusals, limits, and that the message path does not notice."""

import contextlib
import http.client
import json
import socket
import threading
import time

import zb
import zmq

FORBIDDEN = {"access-control-allow-origin", "access-control-allow-methods", "server", "set-cookie"}


class Site:
    """A daemon with HTTP."""

    def __init__(self, more="", host="127.0.0.1", routes=None):
        zb.need_http()
        ports = zb.free_ports(3)
        self.port, self.front, self.back = ports
        self.daemon = zb.Daemon(f"[zbroker]\nhttp = {host}:{self.port}\n{more}\n" + (f"""
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{self.front}
backend_bind = tcp://127.0.0.1:{self.back}
""" if routes is None else routes.format(front=self.front, back=self.back)))

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.daemon.__exit__(*what)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * zb.SLOW)

    def ask(self, path, method="GET", headers={}, body=None):
        """status, headers (lower case), body"""
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, path):
        status, headers, body = self.ask(path)
        assert status == 200 and headers["content-type"].startswith("application/json"), (status, headers)
        return json.loads(body)

    def raw(self, request, timeout=20):
        """Send bytes as they are and return all that comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout * zb.SLOW) as peer:
            peer.sendall(request)
            answer = b""
            while True:
                try:
                    block = peer.recv(65536)
                except ConnectionResetError:
                    return answer
                if not block:
                    return answer
                answer += block


RESOURCES = {
    "/": "text/html; charset=utf-8",
    "/app.js": "text/javascript; charset=utf-8",
    "/app.css": "text/css; charset=utf-8",
    "/favicon.svg": "image/svg+xml",
    "/metrics": "text/plain; version=0.0.4; charset=utf-8",
    "/api/v1/status": "application/json; charset=utf-8",
    "/api/v1/routes": "application/json; charset=utf-8",
    "/api/v1/events": "application/json; charset=utf-8",
    "/healthz": "text/plain; charset=utf-8",
    "/readyz": "text/plain; charset=utf-8",
}


def test_resources_and_their_headers():
    with Site() as site:
        for path, kind in RESOURCES.items():
            status, headers, body = site.ask(path)
            assert status == 200 and body, path
            assert headers["content-type"] == kind, (path, headers)
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"] and "unsafe" not in headers["content-security-policy"]
            assert headers["cache-control"] in ("no-store", "no-cache")
            assert path.startswith("/api") <= (headers["cache-control"] == "no-store")
            assert not FORBIDDEN & set(headers), headers
            head_status, head, nothing = site.ask(path, "HEAD")
            assert head_status == 200 and nothing == b"" and head["content-type"] == kind
            if path not in ("/", "/metrics", "/api/v1/status", "/api/v1/routes", "/api/v1/events"):  # those grow while we ask
                assert head["content-length"] == str(len(body))
        for path in ("/nix", "/api/v1/", "/api/v1/routes/", "/metrics/x", "/../etc/passwd", "//", "/index.html"):
            assert site.ask(path)[0] in (400, 404), path
        assert site.ask("/metrics?x=y")[0] == 200


def test_page_files_are_sent_when_they_have_changed():
    with Site() as site:
        status, headers, body = site.ask("/app.js")
        status, again, nothing = site.ask("/app.js", headers={"If-None-Match": headers["etag"]})
        assert status == 304 and not nothing and again["etag"] == headers["etag"]
        assert site.ask("/app.js", headers={"If-None-Match": '"other"'})[2] == body


def test_only_get_and_head():
    with Site() as site:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
            for path in ("/", "/metrics", "/nix"):
                status, headers, body = site.ask(path, method, body=b"x=1" if method in ("POST", "PUT") else None)
                assert status == 405 and headers["allow"] == "GET, HEAD", (method, path, status, headers)
        assert site.ask("/healthz")[0] == 200


def test_host_must_be_ours():
    with Site() as site:
        own = socket.gethostname()
        for host in ("127.0.0.1", f"127.0.0.1:{site.port}", "localhost", "LOCALHOST:1", "[::1]", "[::1]:80", "192.0.2.1:9640", own, own + "."):
            assert site.ask("/healthz", headers={"Host": host})[0] == 200, host
        for host in ("evil.example", "evil.example:9640", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1:x", "[::1", "[::1]x", "", "a b"):
            assert site.ask("/healthz", headers={"Host": host})[0] in (400, 421), host
        assert site.ask("/", headers={"Host": "evil.example"})[0] == 421
        assert b" 400 " in site.raw(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]
        assert b" 200 " in site.raw(b"GET /healthz HTTP/1.0\r\n\r\n").split(b"\r\n")[0]


def test_a_second_host_is_an_error_whichever_of_them_is_ours():
    with Site() as site:
        for hosts in (b"Host: localhost\r\nHost: evil.example", b"Host: evil.example\r\nhost: localhost", b"Host: localhost\r\nHOST: localhost",
                      b"Host: localhost\r\nX: y\r\nHost:"):
            for version in (b"1.1", b"1.0"):
                answer = site.raw(b"GET /healthz HTTP/" + version + b"\r\n" + hosts + b"\r\nConnection: close\r\n\r\n")
                assert answer.startswith(b"HTTP/1.") and b" 400 " in answer.split(b"\r\n")[0], (hosts, version, answer)


def test_a_nul_byte_does_not_end_the_name_of_a_resource():
    with Site() as site:
        for path in ("/healthz%00x", "/healthz%00", "/api/v1/status%00.html", "/%00", "/%68ealthz%00"):
            assert site.ask(path)[0] == 404, path
        assert site.ask("/%68ealthz")[0] == 200
        assert site.ask("/healthz?a=%00")[0] == 200


def test_a_get_with_a_body_is_answered():
    with Site() as site:
        for head in (b"Content-Length: 5\r\n\r\nabcde", b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"):
            answer = site.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + head)
            assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nok\n"), (head, answer)


def test_a_body_that_ends_in_two_ways_is_an_error_and_the_end_of_the_connection():
    second = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with Site() as site:
        for head in (b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(second),
                     b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
            answer = site.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + second)
            assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, (head, answer)


def test_a_long_header_is_refused_with_a_reason_whatever_its_length():
    with Site() as site:
        for size in range(15000, 17500, 100):
            status = site.ask("/healthz", headers={"X": "y" * size})[0]
            assert status == 200 or (status == 431 and size > 16000), (size, status)
        status, headers, _ = site.ask("/healthz", headers={"X": "y" * 17000})
        assert status == 431 and headers["x-content-type-options"] == "nosniff", headers


def test_long_and_broken_requests():
    with Site() as site:
        assert site.ask("/healthz", headers={"X": "y" * 20000})[0] == 431
        many = {f"X-{i}": "y" * 50 for i in range(1000)}
        connection = site.connect()
        try:
            connection.putrequest("GET", "/healthz")
            for name, value in many.items():
                connection.putheader(name, value)
            connection.endheaders()
            assert connection.getresponse().status == 431
        except (ConnectionResetError, BrokenPipeError):
            pass  # it said so and closed before we had sent it all
        finally:
            connection.close()
        assert site.ask("/" + "x" * 20000)[0] in (414, 431)
        junk = (b"\r\n\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"GET  / \r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", b"GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n")
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=20 * zb.SLOW)) for _ in junk]
            for peer, each in zip(peers, junk):
                peer.sendall(each)
                peer.shutdown(socket.SHUT_WR)
            for peer in peers:  # what is no whole request is waited for
                while peer.recv(65536):
                    pass
        assert site.ask("/healthz")[0] == 200 and site.daemon.running()


def test_status_and_routes_have_the_documented_fields():
    with Site() as site:
        status = site.json("/api/v1/status")
        assert list(status) == ["name", "version", "libzmq", "czmq", "hostname", "pid", "time", "started", "uptime_seconds", "config_file",
                                "last_reload", "reloads", "stopping", "full", "cpu_seconds", "rss_bytes", "message_bytes", "max_memory", "open_fds", "max_fds",
                                "routes", "problems", "endpoints_down"]
        assert status["routes"] == {"running": 1, "paused": 0, "draining": 0, "disabled": 0, "failed": 0} and status["problems"] == []
        assert status["pid"] == site.daemon.pid and abs(status["open_fds"] - zb.fds(site.daemon.pid)) <= 2
        assert abs(status["rss_bytes"] - zb.rss(site.daemon.pid)) < 4 << 20
        (route,) = site.json("/api/v1/routes")["routes"]
        for name in ["name", "type", "engine", "state", "failure", "uptime_seconds", "blocked", "problems", "endpoints_down", "frontend", "backend", "ingress",
                     "capture", "rates", "history", "blocked_share", "dropped", "messages_requeued", "capture_dropped", "subscriptions"]:
            assert name in route, name
        assert "options" not in route
        (detail,) = site.json("/api/v1/routes?route=jobs")["routes"]
        assert {"options", "clients", "slowest_client", "topics", "events"} <= set(detail)
        (started,) = [event for event in site.json("/api/v1/events")["events"] if event["text"].startswith("route jobs: started")]
        assert started["level"] == "notice" and started["route"] == "jobs"
        assert any(event["text"].startswith("route jobs: started") for event in detail["events"]) or detail["events"] == []
        assert {"key": "frontend_sndhwm", "value": "1000", "default": True} in detail["options"]
        assert site.json("/api/v1/routes?route=nix")["routes"] == []


def test_numbers_are_those_of_zbrokerctl():
    with Site() as site, zmq.Context() as context:
        push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        push.connect(f"tcp://127.0.0.1:{site.front}")
        pull.connect(f"tcp://127.0.0.1:{site.back}")
        get = lambda: site.json("/api/v1/routes")["routes"][0]
        zb.wait_until(lambda: get()["history"])
        for _ in range(100):
            push.send(b"12345")
            pull.recv()
        zb.wait_until(lambda: get()["backend"]["messages_sent"] == 100)


        def same():
            theirs, ours = json.loads(site.daemon.ctl("-j", "show", "stats").stdout)["routes"][0], get()
            return all(theirs[side] == ours[side] for side in ("frontend", "backend"))

        zb.wait_until(same)
        assert get()["frontend"]["messages_received"] == 100 and get()["backend"]["sent_bytes"] == 500
        zb.wait_until(lambda: sum(get()["history"]) == 100, what="the history to have them all")
        detail = site.json("/api/v1/routes?route=jobs")["routes"][0]
        assert sum(detail["history"]) == 100 == sum(detail["history_out"]), detail
        assert len(detail["history"]) == len(detail["history_out"]) and "history_out" not in get()
        push.close(0)
        pull.close(0)


def test_secrets_are_not_shown():
    secret = zb.write(zb.folder() + "/password", "hunter2-hunter2\n", 0o600)
    routes = f"""
[route far]
type = streamer
frontend_bind = tcp://127.0.0.1:{{front}}
backend_connect = tcp://127.0.0.1:{{back}}
backend_security = plain
backend_plain_username = joe
backend_plain_password_file = {secret}
"""
    with Site(routes=routes) as site:
        for path in ("/", "/api/v1/routes", "/api/v1/routes?route=far", "/metrics", "/api/v1/status", "/api/v1/events"):
            assert b"hunter2" not in site.ask(path)[2], path
        assert "hunter2" not in site.daemon.ctl("show", "config").stdout


def test_ready_says_no_when_stopping_and_health_goes_on():
    with Site("drain_timeout = 20s") as site, zmq.Context() as context:
        assert site.ask("/readyz")[0] == 200
        push = context.socket(zmq.PUSH)
        push.connect(f"tcp://127.0.0.1:{site.front}")
        for _ in range(100):
            push.send(b"x")  # nobody takes them: the drain has to wait
        zb.wait_until(lambda: site.json("/api/v1/routes")["routes"][0]["blocked"])
        site.daemon.send(15)
        status, headers, body = zb.wait_until(lambda: (answer := site.ask("/readyz"))[0] == 503 and answer)
        assert b"stopping" in body
        assert site.ask("/healthz")[0] == 200
        assert site.json("/api/v1/status")["stopping"] is True
        site.daemon.send(15)
        assert site.daemon.wait() == 0
        push.close(0)


def test_a_route_that_has_failed_is_not_ready():
    # libzmq's proxy ends at the first send that fails, as this one to a peer of a STREAM that is not there.
    routes = """
[route ref]
type = custom
engine = zmq_proxy
frontend_type = STREAM
backend_type = DEALER
frontend_bind = tcp://127.0.0.1:{front}
backend_bind = tcp://127.0.0.1:{back}
"""
    with Site(routes=routes) as site, zmq.Context() as context:
        assert site.ask("/readyz")[0] == 200
        with zb.peer(context, zmq.DEALER, f"tcp://127.0.0.1:{site.back}", linger=-1) as dealer:
            dealer.send_multipart([b"nobody", b"x"])
            status, headers, body = zb.wait_until(lambda: (answer := site.ask("/readyz"))[0] == 503 and answer)
            assert b"route ref has failed" in body
            dealer.close(0)
        metrics = site.ask("/metrics")[2]
        assert b'zbroker_route_state{route="ref",state="failed"} 1' in metrics
        assert b'zbroker_route_up{route="ref",type="custom"} 0' in metrics
        assert site.ask("/healthz")[0] == 200


def test_connections_are_kept_alive():
    with Site() as site:
        connection = site.connect()
        connection.connect()
        first = connection.sock
        for _ in range(20):
            connection.request("GET", "/api/v1/status")
            assert connection.getresponse().read()
            assert connection.sock is first
        connection.close()


def test_ipv6_and_any_address():
    for host in ("[::1]", "*"):
        with Site(host=host) as site:
            connection = http.client.HTTPConnection("::1", site.port, timeout=10 * zb.SLOW)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
            if host == "*":
                assert site.ask("/healthz")[0] == 200


def test_an_address_in_use_is_said():
    zb.need_http()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = zb.free_ports(2)
        file = zb.write(zb.folder() + "/z.ini", f"[zbroker]\nhttp = 127.0.0.1:{port}\ncontrol = {zb.folder()}/c\n[route jobs]\ntype = streamer\n"
                        f"frontend_bind = tcp://127.0.0.1:{ports[0]}\nbackend_bind = tcp://127.0.0.1:{ports[1]}\n")
        result = zb.run("-c", file)
        assert result.returncode == 69 and f"http 127.0.0.1:{port}: Address already in use" in result.stderr, result


@zb.limit(90)
def test_slow_clients_do_not_keep_others_out():
    with Site() as site:
        slow = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(100)]
        for each in slow:
            each.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        before = time.monotonic()
        for _ in range(5):
            assert site.ask("/healthz")[0] == 200
        print(f"# five answers beside 100 slow clients: {time.monotonic() - before:.2f} s")
        assert zb.fds(site.daemon.pid) < 64 + 60
        cpu = zb.cpu_seconds(site.daemon.pid)
        # One byte now and then does not buy more time than the ten seconds.
        dripping = slow[-1]
        dripping.setblocking(True)
        dripping.settimeout(1)
        ended, end = False, time.monotonic() + 20 * zb.SLOW
        while not ended and time.monotonic() < end:
            try:
                dripping.sendall(b"a")
                ended = dripping.recv(1000) == b""
            except socket.timeout:
                pass
            except OSError:
                ended = True
        assert ended
        assert zb.cpu_seconds(site.daemon.pid) - cpu < 3 * zb.HEAVY, "it spins"
        for each in slow:
            each.close()


@zb.limit(120)
def test_the_message_path_does_not_notice_requests():
    with Site() as site, zmq.Context() as context:
        push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        push.connect(f"tcp://127.0.0.1:{site.front}")
        pull.connect(f"tcp://127.0.0.1:{site.back}")
        slow = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(30)]
        for each in slow:
            each.sendall(b"GET / HTTP/1.1\r\nX: ")
        requests, failures = [0], []

        def browse():
            try:
                connection = site.connect()
                for _ in range(1250):
                    connection.request("GET", "/api/v1/routes")
                    assert connection.getresponse().read()
                    requests[0] += 1
                connection.close()
            except Exception as problem:
                failures.append(problem)

        browsers = [threading.Thread(target=browse) for _ in range(4)]
        for each in browsers:
            each.start()
        times = []
        while any(each.is_alive() for each in browsers):
            before = time.monotonic()
            push.send(b"x")
            assert pull.poll(10000 * zb.SLOW), "a message was held up"
            pull.recv()
            times.append(time.monotonic() - before)
        assert not failures and requests[0] == 5000, (failures, requests)
        count = len(times)
        zb.at_once(f"99 of 100 of {count} messages beside 5000 requests", sorted(times)[count * 99 // 100])
        zb.wait_until(lambda: site.json("/api/v1/routes")["routes"][0]["backend"]["messages_sent"] == count)
        for each in slow:
            each.close()
        push.close(0)
        pull.close(0)


if __name__ == "__main__":
    zb.main()

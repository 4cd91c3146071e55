#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The status page as a person meets it: Debian's chromium, driven by its chromium-driver, before a real daemon."""

import base64
import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import zmq

import zb

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


# --- the browser -------------------------------------------------------------------------------------------------------

def need(name):
    path = shutil.which(name)
    if not path:
        raise zb.Skip(f"{name} is not installed")
    return path


def need_http():
    makefile = os.path.join(zb.BUILDDIR, "Makefile")
    if os.path.exists(makefile) and "WITH_HTTP_TRUE = #" in zb.read(makefile):
        raise zb.Skip("built without HTTP")


ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Understudy(http.server.BaseHTTPRequestHandler):
    """Answers in the place of the daemon for some paths, and hands on its answers for all others."""

    def do_GET(self):
        answer = self.server.answers.get(self.path.split("?")[0])
        if answer is not None:
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())
            return
        try:
            with urllib.request.urlopen(self.server.url + self.path.lstrip("/"), timeout=10 * zb.SLOW) as real:
                self.answer(real.status, real.headers, real.read())
        except urllib.error.HTTPError as error:
            self.answer(error.code, error.headers, error.read())

    def answer(self, status, headers, body):
        self.send_response(status)
        for name in ("Content-Type", "Content-Security-Policy"):
            if headers.get(name):
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


KEYS = {"Escape": "\ue00c", "Tab": "\ue004", "Enter": "\ue007", "ArrowDown": "\ue015"}  # as WebDriver names them


class Browser:
    """chromium, asked through chromium-driver. What the page complains about, or asks elsewhere for, is collected."""

    def __init__(self):
        try:
            from selenium import webdriver
            from selenium.webdriver.chromium.remote_connection import ChromiumRemoteConnection
        except ImportError:
            raise zb.Skip("python3-selenium is not installed") from None
        driver, chromium, ports = need("chromedriver"), need("chromium"), zb.free_ports(2)
        self.start([driver, f"--port={ports[0]}"], ports[0])
        self.start([chromium, *ARGUMENTS, f"--user-data-dir={zb.folder()}", f"--remote-debugging-port={ports[1]}", "about:blank"], ports[1])
        options = webdriver.ChromeOptions()
        options.debugger_address = f"127.0.0.1:{ports[1]}"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.set_capability("unhandledPromptBehavior", "ignore")
        self.driver = webdriver.Remote(ChromiumRemoteConnection(f"http://127.0.0.1:{ports[0]}", "goog", "chrome", ignore_proxy=True), options=options)
        self.heard, self.origin, self.server = [], "", None

    @staticmethod
    def start(command, port):
        """Run what listens on PORT. It ends with the test."""
        zb.spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        zb.wait_until(listens, 10)

    def open(self, url, width=1280, height=900, javascript=True, scheme="light", answers=None):
        """Load URL as if for the first time; of ANSWERS (path: JSON) the page gets those instead of the server's."""
        self.close_understudy()
        if answers:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Understudy)
            self.server.url, self.server.answers = url, answers
            threading.Thread(target=self.server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{self.server.server_port}/"
        self.driver.get("about:blank")
        self.complaints()
        self.heard, self.origin = [], url.split("#")[0]
        self.command("Emulation.setScriptExecutionDisabled", value=not javascript)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.size(width, height)
        self.driver.get(url)

    def command(self, name, **arguments):
        return self.driver.execute("executeCdpCommand", {"cmd": name, "params": arguments})["value"]

    def size(self, width, height=900):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def see(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def wait_for(self, expression, seconds=5):
        zb.wait_until(lambda: self.see(expression), seconds)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def click(self, selector):
        self.find(selector).click()

    def press(self, key):
        self.driver.switch_to.active_element.send_keys(KEYS.get(key, key))

    def complaints(self):
        for entry in self.driver.get_log("browser"):
            if entry["level"] in ("WARNING", "SEVERE"):
                self.heard.append(entry["message"])
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            asked = message["params"].get("request", {}).get("url", "") if message["method"] == "Network.requestWillBeSent" else ""
            if asked and not asked.startswith((self.origin, "data:")):
                self.heard.append("foreign request: " + asked)
            if message["method"] == "Page.javascriptDialogOpening":
                self.heard.append("dialog: " + message["params"]["message"])
        return self.heard

    def screenshot(self, path, full=False):
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=full)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close_understudy(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close_understudy()
        self.driver.quit()


class Broker(zb.Daemon):
    """A daemon with a status page, a busy streamer and a forwarder nobody is connected to."""

    def __init__(self, more="", **options):
        need_http()
        http, self.jobs_in, self.jobs_out = zb.free_ports(3)
        folder = zb.folder()
        self.url = f"http://127.0.0.1:{http}/"
        super().__init__(f"""
[zbroker]
http = 127.0.0.1:{http}
[route jobs]
type = streamer
frontend_bind = tcp://127.0.0.1:{self.jobs_in}
backend_bind = tcp://127.0.0.1:{self.jobs_out}
[route quiet]
type = forwarder
frontend_bind = ipc://{folder}/quiet-in
backend_bind = ipc://{folder}/quiet-out
{more}
""", folder=folder, **options)

    def api(self, path):
        with urllib.request.urlopen(self.url + "api/v1/" + path, timeout=10 * zb.SLOW) as answer:
            return json.load(answer)

    def route(self, name):
        return next(route for route in self.api("routes")["routes"] if route["name"] == name)


def pump(broker, count):
    """Send COUNT messages through the route jobs. The sockets are returned: they stay connected."""
    context = zmq.Context.instance()
    push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    push.linger = pull.linger = 0
    pull.rcvtimeo = push.sndtimeo = zb.WAIT_MS
    push.connect(f"tcp://127.0.0.1:{broker.jobs_in}")
    pull.connect(f"tcp://127.0.0.1:{broker.jobs_out}")
    for number in range(count):
        push.send(b"%06d" % number)
    for _ in range(count):
        pull.recv()
    return push, pull


def field(route, name, inside=None):
    """What the page should show: the text of an element, a number by its value."""
    side = f'[data-in="{inside}"]' if inside else ""
    return f"""document.querySelector('tr[data-route="{route}"] {side}[data-field="{name}"]')"""


# Every number of the page whose API value does not move by itself: path in the API -> value attribute.
NUMBERS = """Object.fromEntries([...document.querySelectorAll('tr[data-route]')].map(tr => [tr.dataset.route, Object.fromEntries(
    [...tr.querySelectorAll('data')].map(n => [[n.dataset.in, n.dataset.field || n.dataset.total].filter(x => x).join('.'), n.getAttribute('value')]))]))"""
DIGITS = """[...document.querySelectorAll('tr[data-route] data[data-format=count]')].filter(n => n.textContent !== n.getAttribute('value')).map(n => n.outerHTML)"""
SCROLLS = "document.documentElement.scrollWidth > innerWidth"
ROWS = "document.querySelectorAll('tr.route').length"


def api_number(route, path):
    value = route
    for key in path.split("."):
        value = value[key]
    return sum(value.values()) if isinstance(value, dict) else value


def shown_as_the_api_says(broker, browser):
    """None, or what differs."""
    page, api = browser.see(NUMBERS), {route["name"]: route for route in broker.api("routes")["routes"]}
    if set(page) != set(api):
        return f"routes {sorted(page)}, not {sorted(api)}"
    for name, numbers in page.items():
        assert len(numbers) >= 7, numbers
        for path, text in numbers.items():
            if abs(float(text) - api_number(api[name], path)) > 0.0006:
                return f"{name} {path}: page {text}, API {api_number(api[name], path)}"
    return None


def agrees(broker, browser, reload=False):
    """Wait until page and API show the same: rates need a second of quiet first."""
    last = []

    def same():
        if reload:
            browser.open(broker.url, javascript=False)
        last[:] = [shown_as_the_api_says(broker, browser)]
        return last[0] is None

    try:
        zb.wait_until(same, 10)
    except AssertionError:
        raise AssertionError(last[0]) from None


# --- the tests ----------------------------------------------------------------------------------------------------------

def test_every_number_is_the_one_of_the_api():
    with Broker() as broker, Browser() as browser:
        sockets = pump(broker, 12345)
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        zb.wait_until(lambda: broker.route("jobs")["backend"]["messages_sent"] == 12345)
        agrees(broker, browser)
        assert browser.see(field("jobs", "messages_received", "frontend") + ".textContent") == "12345"
        assert browser.see(field("jobs", "connections", "backend") + ".textContent") == "1"
        assert browser.see(DIGITS) == []
        status = broker.api("status")
        for name in ("version", "libzmq", "czmq", "config_file", "hostname"):
            assert browser.see(f"document.querySelector('[data-field={name}]').textContent") == status[name], name
        assert browser.complaints() == []
        for socket in sockets:
            socket.close()


def test_plain_numbers_without_javascript():
    with Broker() as broker, Browser() as browser:
        sockets = pump(broker, 12345)
        zb.wait_until(lambda: broker.route("jobs")["backend"]["messages_sent"] == 12345)
        agrees(broker, browser, reload=True)
        assert browser.see(field("jobs", "messages_received", "frontend") + ".textContent") == "12345"
        assert browser.see(field("quiet", "state") + ".textContent") == "running"
        assert "nothing is connected to the backend or the frontend" in browser.see("document.querySelector('tr[data-route=quiet]').textContent")
        assert browser.see("[...document.querySelectorAll('.needs-js')].filter(n => getComputedStyle(n).display !== 'none').length") == 0
        for width in (360, 1280):
            browser.size(width)
            assert not browser.see(SCROLLS), width
        assert browser.complaints() == []
        for socket in sockets:
            socket.close()


def test_a_pause_is_seen_within_three_seconds():
    with Broker() as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        for verb, state in (("pause", "paused"), ("resume", "running")):
            answer = broker.ctl(verb, "jobs")
            assert answer.returncode == 0, answer.stdout + answer.stderr
            start = time.monotonic()
            browser.wait_for(field("jobs", "state") + f".textContent === '{state}'", 3)
            print(f"# {verb} seen after {time.monotonic() - start:.2f} s")
        assert "jobs: running" in browser.see("document.getElementById('said').textContent")
        assert browser.complaints() == []


def test_it_says_in_words_what_is_wrong():
    with Broker() as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        words = "document.querySelector('tr[data-route={}] .problems').textContent"
        assert "nothing is connected to the backend" in browser.see(words.format("quiet"))
        assert browser.see("document.querySelector('tr[data-route=quiet]').dataset.level") == ""
        context = zmq.Context.instance()
        push = context.socket(zmq.PUSH)
        push.linger = 0
        push.connect(f"tcp://127.0.0.1:{broker.jobs_in}")
        push.send(b"nobody takes it")
        browser.wait_for(words.format("jobs") + ".includes('blocked')", 10)
        assert "nothing is connected to the backend" in browser.see(words.format("jobs"))
        pill = "document.querySelector('tr[data-route=jobs] .pill')"
        assert browser.see(pill + ".dataset.state") == "blocked" and browser.see(pill + ".innerText").strip().endswith("blocked")
        assert browser.see(field("jobs", "state") + ".textContent") == "running"
        assert browser.see("document.querySelector('tr[data-route=jobs]').dataset.level") == "error"
        assert "needs action" in browser.see("document.getElementById('summary').textContent")
        push.close()


def test_every_width_and_colour_fits_and_is_quiet():
    with Broker() as broker, Browser() as browser:
        for width in (360, 700, 1280, 1920):
            for scheme in ("light", "dark"):
                browser.open(broker.url + "#jobs", width=width, scheme=scheme)
                browser.wait_for("document.querySelector('tr.detail .chart canvas')")
                browser.wait_for("document.querySelectorAll('tr.detail table tbody tr').length > 10")
                assert not browser.see(SCROLLS), width
                # Nothing sticks out of the page on the right, but what scrolls in a box of its own.
                assert browser.see("""[...document.querySelectorAll('main *')].filter(n => !n.closest('.scroll, .hidden, .u-wrap, template')
                    && n.getBoundingClientRect().right > innerWidth + 1).map(n => n.outerHTML.slice(0, 100))""") == [], width
                assert browser.complaints() == []
        assert browser.see("getComputedStyle(document.body).backgroundColor") == "rgb(16, 18, 20)"


def hostile(route, name):
    return dict(route, name=name, problems=[{"level": "error", "text": f"failed: {name}"}],
                frontend=dict(route["frontend"], endpoints=[name]))


def test_a_hostile_name_stays_text():
    names = ["<b>x</b>", '"><img src=x onerror=alert(1)>', "</td></tr><script>alert(1)</script>", "__proto__", "{{name}}", "a&amp;b"]
    with Broker() as broker, Browser() as browser:
        route = broker.api("routes?route=jobs")["routes"][0]
        routes = {"routes": [hostile(route, name) for name in names], "time": "2026-01-01T00:00:00.000Z"}
        for each in routes["routes"]:
            each["options"] = [{"key": each["name"], "value": each["name"], "default": False}]
            each["events"] = [{"time": "2026-01-01T00:00:00.000Z", "level": each["name"], "text": each["name"]}]
            each["clients"] = [{"id": 1, "route": each["name"], "side": "frontend", "peer": each["name"], "user": each["name"],
                                "connected_at": "2026-01-01T00:00:00.000Z", "backlog_bytes": 0}]
            each["topics"], each["subscriptions"] = [each["name"]], 1
            each["slowest_client"] = dict(each["clients"][0], queued_bytes=1)
        status = dict(broker.api("status"), hostname=names[0], config_file=names[1], version=names[2])
        status["last_reload"] = {"ok": False, "time": status["time"], "problems": names}
        events = {"events": [{"time": status["time"], "level": name, "route": name, "text": name} for name in names]}
        browser.open(broker.url, answers={"/api/v1/routes": routes, "/api/v1/status": status, "/api/v1/events": events})
        browser.wait_for(f"{ROWS} === {len(names)}")
        assert browser.see("[...document.querySelectorAll('tr.route .name')].map(n => n.textContent)") == names
        assert browser.see("[...document.querySelectorAll('tr.route')].map(n => n.dataset.route)") == names
        for number in range(1, len(names) + 1):
            browser.see(f"document.querySelectorAll('tr.route .who button')[{number - 1}].click()")
            browser.wait_for("document.querySelector('tr.detail .value')")
            assert browser.see("document.querySelector('tr.detail .value').textContent") == names[number - 1]
            assert browser.see("document.querySelector('tr.detail .topics').textContent") == names[number - 1]
            assert browser.see("document.querySelectorAll('main b:not(.slowest b), main script, main img').length") == 0
        assert browser.see("[...document.querySelectorAll('#log .text')].map(n => n.textContent)") == names
        assert browser.see("[...document.querySelectorAll('#refused li')].map(n => n.textContent)") == names
        assert browser.complaints() == []


def test_keyboard_search_and_order():
    with Broker() as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        names = "[...document.querySelectorAll('tr.route:not([hidden])')].map(n => n.dataset.route).join()"
        browser.press("/")
        browser.press("forwarder")
        assert browser.see(names) == "quiet"
        assert browser.see("document.getElementById('count').textContent") == "1 of 2"
        browser.press("Escape")
        assert browser.see(names) == "jobs,quiet"
        browser.click("th[data-sort=name] button")
        browser.click("th[data-sort=name] button")
        assert browser.see(names) == "quiet,jobs"
        assert browser.see("document.querySelector('th[data-sort=name]').getAttribute('aria-sort')") == "descending"
        browser.click("th[data-sort=name] button")
        assert browser.see("document.querySelectorAll('[aria-sort]').length") == 0
        # From the last column on, Tab leads to the first route; Enter opens it, Escape closes it and stays there.
        browser.see("document.querySelector('th[data-sort=blocked] button').focus()")
        browser.press("Tab")
        browser.press("Enter")
        browser.wait_for("document.querySelector('tr.detail')")
        assert browser.see("document.activeElement.getAttribute('aria-expanded')") == "true"
        assert browser.see("location.hash") == "#jobs"
        browser.wait_for("document.querySelector('tr.detail').innerText.includes('frontend_bind')")
        browser.press("Escape")
        assert browser.see("document.querySelector('tr.detail') === null && document.activeElement.textContent === 'jobs'")
        browser.press("ArrowDown")
        assert browser.see("document.activeElement.textContent") == "quiet"
        assert browser.complaints() == []


def test_the_detail_shows_clients_sockets_and_options():
    with Broker() as broker, Browser() as browser:
        sockets = pump(broker, 10)
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        browser.click("tr[data-route=jobs]")
        browser.wait_for("document.querySelectorAll('tr.detail section[aria-label=Clients] tbody tr').length === 2")
        api = broker.api("routes?route=jobs")["routes"][0]
        text = browser.see("document.querySelector('tr.detail').innerText")
        for expected in [client["peer"] for client in api["clients"]] + ["PULL", "PUSH", f"tcp://127.0.0.1:{broker.jobs_in}"]:
            assert expected in text, expected
        shown = "document.querySelectorAll('section[aria-label=\"Options as running\"] tbody tr').length"
        assert browser.see(shown) == sum(not option["default"] for option in api["options"])
        browser.click("tr.detail .more")
        browser.wait_for(f"{shown} === {len(api['options'])}")
        assert browser.complaints() == []
        for socket in sockets:
            socket.close()


def test_the_totals_are_the_sum_of_what_is_shown():
    with Broker() as broker, Browser() as browser:
        sockets = pump(broker, 300)
        browser.open(broker.url)
        received = "document.querySelector('tr.total [data-in=frontend][data-field=messages_received]').textContent"
        browser.wait_for(f"{ROWS} === 2 && {received} === '300'")
        total = "document.querySelector('tr.total').innerText"
        assert browser.see(total).startswith("2 routes") and "2 running" in browser.see(total)
        assert browser.see("document.querySelector('tr.total [data-in=backend][data-field=connections]').textContent") == "1"
        browser.press("/")
        browser.press("quiet")
        browser.wait_for("document.querySelector('tr.total').hidden")
        assert browser.complaints() == []
        for socket in sockets:
            socket.close()


def test_problems_alone_and_one_line_a_route():
    with Broker() as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        shown = "[...document.querySelectorAll('tr.route:not([hidden])')].map(n => n.dataset.route).join()"
        assert browser.see("document.getElementById('bad-count').textContent") == "0"
        browser.click("#bad")
        assert browser.see(shown) == "" and "No route has a problem" in browser.see("document.getElementById('rows').textContent")
        assert broker.ctl("pause", "quiet").returncode == 0
        browser.wait_for(shown + " === 'quiet'")
        browser.click("#bad")
        heights = "Math.max(...[...document.querySelectorAll('tr.route')].map(n => n.getBoundingClientRect().height))"
        before = browser.see(heights)
        browser.click("#compact")
        assert browser.see(heights) < 33 < before, before
        browser.driver.refresh()  # it is remembered
        browser.wait_for(f"{ROWS} === 2 && {heights} < 33")
        assert browser.see("document.getElementById('compact').getAttribute('aria-pressed')") == "true"
        assert browser.complaints() == []


def test_many_routes_are_compact_from_the_start():
    folder = zb.folder()
    more = "".join(f"[route r{i}]\ntype = streamer\nfrontend_bind = ipc://{folder}/{i}a\nbackend_bind = ipc://{folder}/{i}b\n" for i in range(30))
    with Broker(more) as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 32 && document.getElementById('compact').getAttribute('aria-pressed') === 'true'")
        assert not browser.see(SCROLLS)
        assert browser.complaints() == []


def test_a_failed_reload_says_why_until_one_works():
    with Broker() as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        assert browser.see("document.getElementById('refused').hidden")
        browser.wait_for("document.getElementById('reload').innerText === 'none yet'")
        good = zb.read(broker.file)
        zb.write(broker.file, good.replace("type = streamer", "type = steamer"))
        assert broker.ctl("reload").returncode == 1
        browser.wait_for("document.getElementById('refused').innerText.includes('unknown type \"steamer\"')")
        browser.wait_for("document.getElementById('log').innerText.includes('reload refused: ')")
        zb.write(broker.file, good)
        assert broker.ctl("reload").returncode == 0
        browser.wait_for("document.getElementById('refused').hidden")
        assert browser.complaints() == []


def test_the_slowest_client_and_the_topics_are_named():
    ports = zb.free_ports(2)
    more = f"[route prices]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:{ports[0]}\nbackend_bind = tcp://127.0.0.1:{ports[1]}\n"
    with Broker(more) as broker, Browser() as browser:
        context = zmq.Context.instance()
        sub, pub = context.socket(zmq.SUB), context.socket(zmq.PUB)
        sub.linger = pub.linger = 0
        sub.rcvhwm = 1
        sub.connect(f"tcp://127.0.0.1:{ports[1]}")
        for topic in (b"EUR", b"USD/JPY"):
            sub.subscribe(topic)
        pub.connect(f"tcp://127.0.0.1:{ports[0]}")
        zb.wait_until(lambda: broker.route("prices")["subscriptions"] == 2)

        def is_behind():
            for _ in range(200):
                pub.send(b"EUR/USD" + b"x" * 20000)
            return broker.api("routes?route=prices")["routes"][0]["slowest_client"]

        zb.wait_until(is_behind, 10)
        for width in (1280, 390):
            browser.open(broker.url + "#prices", width=width)
            browser.wait_for("(document.querySelector('tr.detail .slowest') || {innerText: ''}).innerText.includes('zbrokerctl kick prices ')")
            assert "behind" in browser.see("document.querySelector('tr.detail .slowest').innerText")
            assert browser.see("[...document.querySelectorAll('tr.detail .topics li')].map(n => n.textContent).sort().join()") == "EUR,USD/JPY"
            # What one came for is to be seen without scrolling, on a phone too.
            assert browser.see("""(() => { const box = document.querySelector('section[aria-label=Clients] .scroll').getBoundingClientRect();
                return [...document.querySelectorAll('section[aria-label=Clients] th')].slice(0, 3).map(n => n.textContent + (n.getBoundingClientRect().right <= box.right)).join() })()""") \
                == "Peertrue,Backlogtrue,Queuedtrue", width
            assert browser.complaints() == []
        sub.close()
        pub.close()


def test_the_detail_says_what_a_route_has_on_disk():
    ports = zb.free_ports(2)
    more = f"""[route orders]
type = streamer
engine = wire
store = all
store_dir = {zb.folder()}/store
ack_bind = tcp://127.0.0.1:{ports[0]}
worker_ack_bind = tcp://127.0.0.1:{ports[1]}
"""
    with Broker(more) as broker, Browser() as browser:
        context = zmq.Context.instance()
        producer, worker = zb.peer(context, zmq.REQ, f"tcp://127.0.0.1:{ports[0]}"), zb.peer(context, zmq.REQ, f"tcp://127.0.0.1:{ports[1]}")
        for body in (b"one", b"two", b"three"):
            producer.send_multipart([b"", body])
            assert producer.recv_multipart() == [b"", b"ok"]
        worker.send(b"ready")
        assert worker.recv_multipart()[2] == b"one"
        browser.open(broker.url + "#orders", width=1280)
        rows = "Object.fromEntries([...document.querySelectorAll('section[aria-label=\"On disk\"] tr')].map(n => [...n.cells].map(c => c.textContent)))"
        zb.wait_until(lambda: (browser.see(rows) or {}).get("with workers") == "1", what=lambda: browser.see(rows))
        said = browser.see(rows)
        assert said["state"] == "ready" and said["messages"] == "3" and "of 1" in said["files"] and said["given up"] == "0", said
        assert "stream" not in said and browser.complaints() == []
        browser.open(broker.url + "#jobs", width=1280)
        browser.wait_for("document.querySelector('tr.detail')")
        assert not browser.see("[...document.querySelectorAll('section[aria-label=\"On disk\"]')].some(n => n.offsetParent)")
        producer.close()
        worker.close()


def test_it_survives_a_restart_and_says_so():
    with Broker() as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        assert browser.see("document.getElementById('lost').hidden")
        assert broker.stop() == 0
        browser.wait_for("document.getElementById('lost').textContent.startsWith('Connection lost')", 5)
        assert browser.see("document.querySelectorAll('tr.route').length") == 2
        with zb.Daemon(broker.file, folder=broker.folder):
            browser.wait_for("document.getElementById('lost').textContent.includes('started again')", 5)
            browser.wait_for("!document.body.classList.contains('stale')")


def test_the_page_allows_nothing_but_itself():
    with Broker() as broker, Browser() as browser:
        browser.open(broker.url)
        browser.wait_for(f"{ROWS} === 2")
        assert browser.complaints() == []
        with urllib.request.urlopen(broker.url, timeout=10 * zb.SLOW) as answer:
            headers, html = answer.headers, answer.read().decode()
        assert headers["Content-Security-Policy"] == POLICY, headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers
        assert "<html lang=\"en\">" in html and " style=" not in html and "<style" not in html
        assert "http://" not in html.replace("http://www.w3.org/", "").replace(broker.url, "")


zb.main()

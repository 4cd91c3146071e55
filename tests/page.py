#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The status page as a person meets it: a real browser (Debian's chromium, driven by playwright-core) before a real daemon."""

import functools
import json
import os
import shutil
import subprocess
import time
import urllib.request

import zmq

import zb

PLAYWRIGHT = "1.65.1"  # pinned, so that every run is the same

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


# --- what is needed ---------------------------------------------------------------------------------------------------

def need(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise zb.Skip(f"{names[0]} is not installed")


def install_playwright(folder):
    """None, or why not. No network, or npm's registry out of reach, is no failure of ours."""
    command = [need("npm"), "install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
               "--fetch-retries=0", "--fetch-timeout=15000", f"playwright-core@{PLAYWRIGHT}"]
    os.makedirs(folder, exist_ok=True)
    npm = zb.spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = npm.communicate(timeout=40)[0]
    except subprocess.TimeoutExpired:
        npm.kill()
        return "npm cannot install playwright-core within 40 s"
    return None if npm.returncode == 0 else "npm cannot install playwright-core: " + (said.strip().splitlines() or ["?"])[0]


@functools.cache
def playwright():
    """Where playwright-core is, and why not: in the build folder, put there at the first use, tried once."""
    folder = os.path.join(zb.BUILDDIR, "tests", "node")
    module = os.path.join(folder, "node_modules", "playwright-core")
    fault = None if os.path.exists(os.path.join(module, "package.json")) else install_playwright(folder)
    return module, fault


def need_http():
    makefile = os.path.join(zb.BUILDDIR, "Makefile")
    if os.path.exists(makefile) and "WITH_HTTP_TRUE = #" in zb.read(makefile):
        raise zb.Skip("built without HTTP")


class Browser:
    """tests/page_driver.js: every method is one of its commands."""

    def __init__(self):
        node, chromium = need("node", "nodejs"), need("chromium", "chromium-browser")
        version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        if int(version.lstrip("v").split(".")[0]) < 20:
            raise zb.Skip(f"playwright-core needs Node.js 20, this is {version}")
        module, fault = playwright()
        if fault:
            raise zb.Skip(fault)
        self.process = zb.spawn([node, os.path.join(zb.SRCDIR, "tests", "page_driver.js"), module, chromium],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __getattr__(self, command):
        def call(**arguments):
            self.process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            assert line, "the browser has gone"
            answer = json.loads(line)
            assert "error" not in answer, answer["error"]
            return answer.get("value")
        return call

    def see(self, expression):
        return self.evaluate(expression=expression)

    def wait_for(self, expression, seconds=5):
        self.wait(expression=expression, ms=int(seconds * 1000 * zb.SLOW))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


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
    pull.rcvtimeo = push.sndtimeo = int(10000 * zb.SLOW)
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
NUMBERS = """Object.fromEntries([...document.querySelectorAll('tr.route')].map(tr => [tr.dataset.route, Object.fromEntries(
    [...tr.querySelectorAll('data')].map(n => [[n.dataset.in, n.dataset.field || n.dataset.total].filter(x => x).join('.'), n.getAttribute('value')]))]))"""
DIGITS = """[...document.querySelectorAll('tr.route data[data-format=count]')].filter(n => n.textContent !== n.getAttribute('value')).map(n => n.outerHTML)"""
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
        assert len(numbers) >= 10, numbers
        for path, text in numbers.items():
            if abs(float(text) - api_number(api[name], path)) > 0.0006:
                return f"{name} {path}: page {text}, API {api_number(api[name], path)}"
    return None


def agrees(broker, browser, reload=False):
    """Wait until page and API show the same: rates need a second of quiet first."""
    last = []

    def same():
        if reload:
            browser.open(url=broker.url, javascript=False)
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
        browser.open(url=broker.url)
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


def test_the_same_page_without_javascript():
    with Broker() as broker, Browser() as browser:
        sockets = pump(broker, 12345)
        zb.wait_until(lambda: broker.route("jobs")["backend"]["messages_sent"] == 12345)
        agrees(broker, browser, reload=True)
        assert browser.see(field("jobs", "messages_received", "frontend") + ".textContent") == "12345"
        assert browser.see(DIGITS) == []
        assert browser.see(field("quiet", "state") + ".textContent") == "running"
        assert "nothing is connected to the backend" in browser.see("document.querySelector('tr[data-route=quiet] .problems').textContent")
        assert browser.see("document.body.innerText").count("tcp://127.0.0.1:") == 2
        assert "{{" not in browser.see("document.querySelector('body > header').outerHTML + document.querySelector('main').outerHTML")
        assert not browser.see("getComputedStyle(document.querySelector('.tools')).display !== 'none'")
        for width in (360, 1280):
            browser.size(width=width, height=900)
            assert not browser.see(SCROLLS), width
        assert browser.complaints() == []
        for socket in sockets:
            socket.close()


def test_a_pause_is_seen_within_three_seconds():
    with Broker() as broker, Browser() as browser:
        browser.open(url=broker.url)
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
        browser.open(url=broker.url)
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
        assert browser.see("document.querySelector('tr[data-route=jobs]').dataset.level") == "error"
        assert "needs action" in browser.see("document.getElementById('summary').textContent")
        push.close()


def test_every_width_and_colour_fits_and_is_quiet():
    with Broker() as broker, Browser() as browser:
        for width in (360, 700, 1280, 1920):
            for scheme in ("light", "dark"):
                browser.open(url=broker.url + "#jobs", width=width, scheme=scheme)
                browser.wait_for("document.querySelector('tr.detail .chart canvas')")
                browser.wait_for("document.querySelectorAll('tr.detail table tbody tr').length > 15")
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
        status = dict(broker.api("status"), hostname=names[0], config_file=names[1], version=names[2])
        browser.open(url=broker.url, answers={"/api/v1/routes": routes, "/api/v1/status": status})
        browser.wait_for(f"{ROWS} === {len(names)}")
        assert browser.see("[...document.querySelectorAll('tr.route .name')].map(n => n.textContent)") == names
        assert browser.see("[...document.querySelectorAll('tr.route')].map(n => n.dataset.route)") == names
        for number in range(1, len(names) + 1):
            browser.click(selector=f"tr.route >> nth={number - 1} >> .who button")
            browser.wait_for("document.querySelector('tr.detail .value')")
            assert browser.see("document.querySelector('tr.detail .value').textContent") == names[number - 1]
            assert browser.see("document.querySelectorAll('main b, main script, main img').length") == 0
        assert browser.complaints() == []


def test_a_hostile_file_name_stays_text_without_javascript():
    name = "<b>x<img src=y>&amp;\"'.ini"
    with Broker() as plain, Browser() as browser:
        path = zb.write(os.path.join(plain.folder, name), zb.read(plain.file))
        plain.kill()
        with zb.Daemon(path, folder=plain.folder):
            browser.open(url=plain.url, javascript=False)
            assert browser.see("document.querySelector('[data-field=config_file]').textContent").endswith(name)
            assert browser.see("document.querySelectorAll('body b, .sub img').length") == 0
            assert browser.complaints() == []


def test_keyboard_search_and_order():
    with Broker() as broker, Browser() as browser:
        browser.open(url=broker.url)
        browser.wait_for(f"{ROWS} === 2")
        names = "[...document.querySelectorAll('tr.route:not([hidden])')].map(n => n.dataset.route).join()"
        browser.press(key="/")
        browser.fill(selector="#search", text="forwarder")
        assert browser.see(names) == "quiet"
        assert browser.see("document.getElementById('count').textContent") == "1 of 2"
        browser.press(key="Escape")
        assert browser.see(names) == "jobs,quiet"
        browser.click(selector="th[data-sort=name] button")
        browser.click(selector="th[data-sort=name] button")
        assert browser.see(names) == "quiet,jobs"
        assert browser.see("document.querySelector('th[data-sort=name]').getAttribute('aria-sort')") == "descending"
        browser.click(selector="th[data-sort=name] button")
        assert browser.see("document.querySelectorAll('[aria-sort]').length") == 0
        # From the last column on, Tab leads to the first route; Enter opens it, Escape closes it and stays there.
        browser.see("document.querySelector('th[data-sort=blocked] button').focus()")
        browser.press(key="Tab")
        browser.press(key="Enter")
        browser.wait_for("document.querySelector('tr.detail')")
        assert browser.see("document.activeElement.getAttribute('aria-expanded')") == "true"
        assert browser.see("location.hash") == "#jobs"
        browser.wait_for("document.querySelector('tr.detail').innerText.includes('frontend_bind')")
        browser.press(key="Escape")
        assert browser.see("document.querySelector('tr.detail') === null && document.activeElement.textContent === 'jobs'")
        browser.press(key="ArrowDown")
        assert browser.see("document.activeElement.textContent") == "quiet"
        assert browser.complaints() == []


def test_the_detail_shows_clients_sockets_and_options():
    with Broker() as broker, Browser() as browser:
        sockets = pump(broker, 10)
        browser.open(url=broker.url)
        browser.wait_for(f"{ROWS} === 2")
        browser.click(selector="tr[data-route=jobs]")
        browser.wait_for("document.querySelectorAll('tr.detail section[aria-label=Clients] tbody tr').length === 2")
        api = broker.api("routes?route=jobs")["routes"][0]
        text = browser.see("document.querySelector('tr.detail').innerText")
        for expected in [client["peer"] for client in api["clients"]] + ["PULL", "PUSH", f"tcp://127.0.0.1:{broker.jobs_in}"]:
            assert expected in text, expected
        shown = "document.querySelectorAll('section[aria-label=\"Options as running\"] tbody tr').length"
        assert browser.see(shown) == sum(not option["default"] for option in api["options"])
        browser.click(selector="tr.detail .more")
        browser.wait_for(f"{shown} === {len(api['options'])}")
        assert browser.complaints() == []
        for socket in sockets:
            socket.close()


def test_it_survives_a_restart_and_says_so():
    with Broker() as broker, Browser() as browser:
        browser.open(url=broker.url)
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
        headers = browser.open(url=broker.url)["headers"]
        assert headers["content-security-policy"] == POLICY, headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        html = urllib.request.urlopen(broker.url, timeout=10 * zb.SLOW).read().decode()
        assert "<html lang=\"en\">" in html and " style=" not in html and "<style" not in html
        assert "http://" not in html.replace("http://www.w3.org/", "").replace(broker.url, "")


zb.main()

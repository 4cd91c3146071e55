# SPDX-License-Identifier: MPL-2.0
"""Metrics of a running daemon: the format, the list, the manual, a real Prometheus, rules and dashboard."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import zb
import zmq

# doc of the contract with monitoring systems: family -> labels beside those of a histogram
FAMILIES = {
    "zbroker_build_info": ("version", "libzmq", "czmq"),
    "zbroker_route_state": ("route", "state"),
    "zbroker_route_up": ("route", "type"),
    "zbroker_messages_received_total": ("route", "side"),
    "zbroker_messages_sent_total": ("route", "side"),
    "zbroker_received_bytes_total": ("route", "side"),
    "zbroker_sent_bytes_total": ("route", "side"),
    "zbroker_messages_dropped_total": ("route", "reason"),
    "zbroker_capture_dropped_total": ("route",),
    "zbroker_blocked_seconds_total": ("route", "side"),
    "zbroker_message_size_bytes": ("route",),
    "zbroker_connections": ("route", "side"),
    "zbroker_connections_accepted_total": ("route", "side"),
    "zbroker_disconnections_total": ("route", "side"),
    "zbroker_handshake_failures_total": ("route", "side", "reason"),
    "zbroker_cut_total": ("route", "side", "reason"),
    "zbroker_heartbeat_timeouts_total": ("route", "side"),
    "zbroker_queued_messages": ("route", "side"),
    "zbroker_queued_bytes": ("route", "side"),
    "zbroker_messages_requeued_total": ("route",),
    "zbroker_route_engine": ("route", "engine"),
    "zbroker_auth_total": ("route", "side", "result"),
    "zbroker_subscriptions": ("route",),
    "zbroker_remembered_messages": ("route",),
    "zbroker_remembered_bytes": ("route",),
    "zbroker_store_messages": ("route",),
    "zbroker_store_bytes": ("route",),
    "zbroker_store_max_bytes": ("route",),
    "zbroker_store_oldest_seconds": ("route",),
    "zbroker_store_commit_seconds": ("route",),
    "zbroker_store_engine_up": ("route",),
    "zbroker_store_corrupt_total": ("route",),
    "zbroker_acks_total": ("route", "result"),
    "zbroker_jobs_total": ("route", "result"),
    "zbroker_jobs_outstanding": ("route",),
    "zbroker_config_reloads_total": ("result",),
    "zbroker_config_last_reload_successful": (),
    "zbroker_config_last_reload_success_timestamp_seconds": (),
    "zbroker_memory_bytes": (),
    "zbroker_memory_max_bytes": (),
    "process_cpu_seconds_total": (),
    "process_resident_memory_bytes": (),
    "process_open_fds": (),
    "process_max_fds": (),
    "process_start_time_seconds": (),
}

HANDSHAKE = ("auth", "protocol", "other", "greeting", "version", "mechanism", "type", "duplicate_id", "timeout", "limited")
CUT = ("too_large", "protocol", "heartbeat", "stalled", "kick", "auth")
STATES = {"running", "paused", "draining", "disabled", "failed"}


class Site:
    def __init__(self):
        zb.need_http()
        self.ports = zb.free_ports(7)
        folder = zb.folder()
        port, a, b, c, d, e, f = self.ports
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.port = port
        self.daemon = zb.Daemon(f"""
[zbroker]
http = 127.0.0.1:{port}
[route prices]
type = forwarder
frontend_bind = tcp://127.0.0.1:{a}
backend_bind = tcp://127.0.0.1:{b}
ingress_bind = tcp://127.0.0.1:{c}
capture_bind = ipc://{folder}/tap
[route jobs.eu-1]
type = streamer
frontend_bind = tcp://127.0.0.1:{d}
backend_bind = tcp://127.0.0.1:{e}
""", folder=folder)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.daemon.__exit__(*what)

    def text(self):
        with urllib.request.urlopen(self.url, timeout=20 * zb.SLOW) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.read().decode()

    def samples(self):
        return parse(self.text())

    def value(self, name, **labels):
        return self.samples()[name, tuple(sorted(labels.items()))]


def parse(text):
    """{(name, ((label, value), ...)): number}, and every line looked at."""
    samples, family, kinds = {}, None, {}
    assert text.endswith("\n") and "\r" not in text
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in kinds, f"{family} comes twice"
            kinds[family] = None
        elif line.startswith("# TYPE "):
            name, kinds[family] = line.split(" ")[2:]
            assert name == family
        else:
            name, labels, value = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line).groups()
            base = re.sub(r"_(bucket|sum|count)$", "", name) if kinds[family] == "histogram" else name
            assert base == family, f"{name} stands among {family}"
            pairs = tuple(sorted(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', labels or "")))
            assert (name, pairs) not in samples, line
            samples[name, pairs] = float(value)
    return samples


def test_promtool_finds_nothing():
    if not shutil.which("promtool"):
        raise zb.Skip("no promtool")
    with Site() as site:
        result = subprocess.run(["promtool", "check", "metrics"], input=site.text(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert result.returncode == 0 and not result.stdout, result


def test_every_family_and_label_of_the_contract():
    with Site() as site:
        samples = site.samples()
        seen = {}
        for (name, labels), _ in samples.items():
            name = re.sub(r"^(zbroker_message_size_bytes|zbroker_store_commit_seconds)_(bucket|sum|count)$", r"\1", name)
            seen.setdefault(name, set()).add(tuple(sorted(label for label, _ in labels if label != "le")))
        assert seen == {name: {tuple(sorted(labels))} for name, labels in FAMILIES.items()}


def test_every_series_is_there_from_the_start():
    with Site() as site:
        samples = site.samples()
        routes = {"prices": {"frontend", "backend", "ingress", "capture"}, "jobs.eu-1": {"frontend", "backend"}}
        for route, sides in routes.items():
            of = lambda name: {tuple(value for label, value in labels if label != "route"): number
                               for (each, labels), number in samples.items() if each == name and ("route", route) in labels}
            states = of("zbroker_route_state")
            assert {state for state, in states} == STATES and states["running",] == 1 and sum(states.values()) == 1
            for name in ("messages_received", "messages_sent", "received_bytes", "sent_bytes", "connections_accepted", "disconnections"):
                assert of(f"zbroker_{name}_total") == {(side,): 0 for side in sides}, name
            assert set(of("zbroker_messages_dropped_total")) == {(r,) for r in ("hwm", "undeliverable", "acl", "quota", "stalled", "shutdown", "peer_lost", "timeout", "expired")}
            assert set(of("zbroker_auth_total")) == {(result, side) for side in sides for result in ("success", "failure")}
            assert set(of("zbroker_handshake_failures_total")) == {(r, side) for side in sides for r in HANDSHAKE}
            assert of("zbroker_cut_total") == {(r, side): 0 for side in sides for r in CUT}
            for name in ("queued_messages", "queued_bytes", "heartbeat_timeouts_total"):
                assert of(f"zbroker_{name}") == {(side,): 0 for side in sides}, name
            assert of("zbroker_messages_requeued_total") == {(): 0}
            assert list(of("zbroker_route_engine").values()) == [1]
            assert set(of("zbroker_blocked_seconds_total")) == {(side,) for side in sides - {"capture"}}
            assert len(of("zbroker_message_size_bytes_bucket")) == 11


def test_counters_count_and_never_go_back():
    with Site() as site, zmq.Context() as context:
        push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        push.connect(f"tcp://127.0.0.1:{site.ports[4]}")
        pull.connect(f"tcp://127.0.0.1:{site.ports[5]}")
        for size in (10, 100, 1000, 100000):
            for _ in range(25):
                push.send(b"x" * size)
                pull.recv()
        sent = lambda: site.value("zbroker_messages_sent_total", route="jobs.eu-1", side="backend")
        zb.wait_until(lambda: sent() == 100)
        samples, route = site.samples(), (("route", "jobs.eu-1"),)
        assert samples["zbroker_messages_received_total", route + (("side", "frontend"),)] == 100
        assert samples["zbroker_received_bytes_total", route + (("side", "frontend"),)] == 25 * 101110
        assert samples["zbroker_message_size_bytes_sum", route] == 25 * 101110
        assert samples["zbroker_message_size_bytes_count", route] == 100
        bucket = lambda le: samples["zbroker_message_size_bytes_bucket", (("le", le),) + route]
        assert [bucket(le) for le in ("64", "256", "1024", "65536", "262144", "16777216", "+Inf")] == [25, 50, 75, 75, 100, 100, 100]
        assert samples["zbroker_connections", route + (("side", "backend"),)] == 1
        assert site.daemon.ctl("clear", "counters").returncode == 0
        assert sent() == 100
        assert site.daemon.ctl("pause", "jobs.eu-1").returncode == 0
        assert site.value("zbroker_route_up", route="jobs.eu-1", type="streamer") == 0
        assert site.value("zbroker_route_state", route="jobs.eu-1", state="paused") == 1
        push.close(0)
        pull.close(0)


def test_reloads_are_counted():
    with Site() as site:
        before = site.value("zbroker_config_last_reload_success_timestamp_seconds")
        assert site.value("process_start_time_seconds") - 1 < before < time.time() + 1
        good = site.value("zbroker_config_reloads_total", result="success")
        text = zb.read(site.daemon.file)
        zb.write(site.daemon.file, text + "nonsense = 1\n")
        assert site.daemon.ctl("reload").returncode == 1
        assert site.value("zbroker_config_reloads_total", result="failure") == 1
        assert site.value("zbroker_config_last_reload_successful") == 0
        assert site.value("zbroker_config_last_reload_success_timestamp_seconds") == before
        zb.write(site.daemon.file, text)
        assert site.daemon.ctl("reload").returncode == 0
        assert site.value("zbroker_config_reloads_total", result="success") == good + 1
        assert site.value("zbroker_config_last_reload_successful") == 1
        assert site.value("zbroker_config_last_reload_success_timestamp_seconds") > before


def test_process_metrics_are_those_of_the_kernel():
    with Site() as site:
        assert abs(site.value("process_resident_memory_bytes") - zb.rss(site.daemon.pid)) < 4 << 20
        assert abs(site.value("process_open_fds") - zb.fds(site.daemon.pid)) <= 2
        limit = re.search(r"^Max open files\s+(\d+)", zb.read(f"/proc/{site.daemon.pid}/limits"), re.M)
        assert site.value("process_max_fds") == float(limit.group(1))
        before = zb.cpu_seconds(site.daemon.pid)
        used = site.value("process_cpu_seconds_total")
        assert before - 0.02 <= used <= zb.cpu_seconds(site.daemon.pid) + 0.02, used


def test_the_manual_names_every_metric():
    page = zb.read(os.path.join(zb.SRCDIR, "man", "zbroker-metrics.7.in"))
    documented = set(re.findall(r"^\.It Li ((?:zbroker|process)_[a-z_]+)", page, re.M))
    assert documented == set(FAMILIES), documented ^ set(FAMILIES)
    for name, labels in FAMILIES.items():
        entry = re.search(rf"^\.It Li {name}\n?(.*)$", page, re.M).group(0)
        for label in labels:
            assert label in entry, (name, label, entry)


def test_alert_rules_are_right():
    if not shutil.which("promtool"):
        raise zb.Skip("no promtool")
    folder = os.path.join(zb.SRCDIR, "contrib", "prometheus")
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        result = subprocess.run(["promtool"] + command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert result.returncode == 0 and "SUCCESS" in result.stdout, result.stdout


def metrics_in(expression):
    return set(re.findall(r"\b(?:zbroker|process)_[a-z_]+", expression))


def test_rules_and_dashboard_ask_for_metrics_that_exist():
    histograms = ("zbroker_message_size_bytes", "zbroker_store_commit_seconds")
    known = set(FAMILIES) | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    rules = zb.read(os.path.join(zb.SRCDIR, "contrib", "prometheus", "alerts.yml"))
    for expression in re.findall(r"expr: (.*)", rules):
        assert metrics_in(expression) <= known | {"up"}, expression
    dashboard = json.loads(zb.read(os.path.join(zb.SRCDIR, "contrib", "grafana", "zbroker.json")))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 15
    for expression in expressions:
        assert metrics_in(expression) and metrics_in(expression) <= known, expression


@zb.limit(90)
def test_a_real_prometheus_scrapes_it():
    if not shutil.which("prometheus"):
        raise zb.Skip("no prometheus")
    with Site() as site:
        folder, port = zb.folder(), site.ports[6]
        alerts = os.path.join(zb.SRCDIR, "contrib", "prometheus", "alerts.yml")
        config = zb.write(folder + "/prometheus.yml", f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ['{alerts}']
scrape_configs:
  - job_name: zbroker
    static_configs: [{{targets: ['127.0.0.1:{site.port}']}}]
""")
        with open(folder + "/log", "wb") as log:
            process = zb.spawn(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
                               stdout=log, stderr=log)
        zb.wait_until(lambda: zb.accepts(f"tcp://127.0.0.1:{port}"), 30, "prometheus")

        def query(expression):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), timeout=10 * zb.SLOW) as answer:
                    return json.load(answer)["data"]["result"]
            except urllib.error.HTTPError:
                return []

        zb.wait_until(lambda: query('up{job="zbroker"} == 1'), 30, "a scrape that worked")
        state = query('zbroker_route_state{route="jobs.eu-1"} == 1')
        assert [each["metric"]["state"] for each in state] == ["running"], state
        dashboard = json.loads(zb.read(os.path.join(zb.SRCDIR, "contrib", "grafana", "zbroker.json")))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$route", ".*")
                query_is_valid(port, expression)
        assert zb.read(folder + "/log").count("level=error") == 0
        process.terminate()
        process.wait(20 * zb.SLOW)


def query_is_valid(port, expression):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), timeout=10 * zb.SLOW) as answer:
        assert json.load(answer)["status"] == "success", expression


if __name__ == "__main__":
    zb.main()

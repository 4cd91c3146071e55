# SPDX-License-Identifier: MPL-2.0
"""What zbrokerctl shows: tables that fit, for people on a terminal and for programs in a pipe; top and its keys."""

import json
import os
import re
import socket

import zb
import zmq

LONG = ["prices-of-everything-in-frankfurt-and-ny", "jobs-for-the-workers-of-all-our-machines", "questions-asked-by-many-clients.at-night"]
COLOUR = r"\033\[[0-9;]*m"


def ini(ports, names=("prices", "jobs", "questions"), more=""):
    types = ("forwarder", "streamer", "queue")
    return f"[zbroker]\nlog_level = info\n{more}" + "".join(f"""
[route {name}]
type = {types[i]}
frontend_bind = tcp://127.0.0.1:{ports[2 * i]}
backend_bind = tcp://127.0.0.1:{ports[2 * i + 1]}
""" for i, name in enumerate(names))


class Site:
    """A daemon with three routes and a client on each side of each; the worker of the second one reads nothing."""

    def __init__(self, names=("prices", "jobs", "questions")):
        self.ports, self.names = zb.free_ports(6), names
        self.daemon = zb.Daemon(ini(self.ports, names))
        self.context = zmq.Context()
        self.sockets = [zb.peer(self.context, kind, f"tcp://127.0.0.1:{port}")
                        for kind, port in zip((zmq.PUB, zmq.SUB, zmq.PUSH, zmq.PULL, zmq.DEALER, zmq.DEALER), self.ports)]
        self.sockets[1].subscribe("EUR")
        self.sockets[2].sndtimeo = 0
        zb.wait_until(lambda: len(self.clients()) == 6)

    def clients(self):
        return json.loads(self.daemon.ctl("-j", "show", "clients").stdout)["clients"]

    def block(self):
        """Send jobs until nothing goes on any more, and the kernel holds some of them."""
        def full():
            try:
                while True:
                    self.sockets[2].send(b"x" * 10000)
            except zmq.Again:
                route = json.loads(self.daemon.ctl("-j", "show", "stats", self.names[1]).stdout)["routes"][0]
                return route["blocked"] and max(client["backlog_bytes"] for client in self.clients()) > 0
        zb.wait_until(full)

    def terminal(self, *words, columns=80, lines=40, env=None):
        return zb.Terminal(zb.program("zbrokerctl") + ["-s", self.daemon.control, *words], columns, lines, env)

    def on_terminal(self, *words, **options):
        with self.terminal(*words, **options) as terminal:
            text, code = terminal.read_all()
        assert code == 0, (words, code, text)
        return text

    def in_pipe(self, *words):
        result = self.daemon.ctl(*words)
        assert result.returncode == 0 and not result.stderr, (words, result)
        return result.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.close(0)
        self.context.term()
        self.daemon.kill()


def plain(text):
    return re.sub(COLOUR, "", text)


def width(text):
    return max(len(line) for line in plain(text).splitlines())


def rows(text):
    """The lines of a table as lists of cells, by heading."""
    lines = plain(text).splitlines()
    return [dict(zip(lines[0].split(), re.split(r"  +", line.strip()))) for line in lines[1:]]


ONLY_OF = {"services": LONG[2:] if zb.WIRE else [], "values": []}  # values: see tests/remember.py


def test_every_table_fits_80_columns_with_names_of_40_letters():
    assert all(len(name) == 40 for name in LONG)
    with Site(LONG) as site:
        site.block()
        zb.write(site.daemon.file, zb.read(site.daemon.file) + "oops = 1\n")
        assert site.daemon.ctl("reload").returncode == 1
        commands = re.findall(r"^(show \w+) ?(\S*)", site.daemon.ctl("help").stdout, re.M)
        assert len(commands) == 11
        tables = [(name.split(), argument) for name, argument in commands if name not in ("show config", "show plan")]
        asked = [words for words, argument in tables if argument != "ROUTE"]
        asked += [words + [name] for words, argument in tables if "ROUTE" in argument for name in ONLY_OF.get(words[1], LONG)]
        asked += [["show", "config", "--changed"], ["show", "clients", "--slow"], ["ping"], ["version"], ["help"]]
        for words in asked:
            piped, seen = site.in_pipe(*words), site.on_terminal(*words)
            for text in (piped, seen):
                assert width(text) <= 80, (words, text)
            # Nothing is cut off: a name can be copied.
            if words[-1] in ("routes", "stats", "--changed"):
                assert all(name in piped and name in plain(seen) for name in LONG), words


def test_a_wider_terminal_is_used():
    with Site(LONG) as site:
        lines = site.on_terminal("show", "routes", columns=140).splitlines()
        assert len(lines) == 4 and all(re.match(rf"{re.escape(name)} +\w+ +running +tcp://", line) for name, line in zip(LONG, lines[1:])), lines
        assert width(site.on_terminal("show", "clients", columns=100)) <= 100


def test_a_terminal_gets_units_and_colour_and_a_pipe_gets_digits():
    with Site() as site:
        site.block()
        seen, piped = site.on_terminal("show", "stats"), site.in_pipe("show", "stats")
        assert "\033[31mblocked\033[0m" in seen and "\033" not in piped
        heading = ["ROUTE", "STATE", "IN/s", "OUT/s", "BYTES/s", "CLIENTS", "DROPPED", "BLOCKED"]
        assert plain(seen).splitlines()[0].split() == piped.splitlines()[0].split() == heading
        jobs = rows(piped)[1]
        assert jobs["STATE"] == "blocked" and jobs["CLIENTS"] == "2" and re.fullmatch(r"\d+", jobs["BYTES/s"]) and re.fullmatch(r"\d+\.\d", jobs["BLOCKED"])
        jobs = rows(seen)[1]
        assert re.fullmatch(r"[\d.]+ [KM]?i?B", jobs["BYTES/s"]) and re.fullmatch(r"[\d.]+s|\d+m \d+s", jobs["BLOCKED"]), jobs
        seen, piped = site.on_terminal("clients", "jobs"), site.in_pipe("clients", "jobs")
        assert re.search(r" \d+[smh] ago +(\d+ +)?[\d.]+ [KM]iB\n", seen) and all(re.fullmatch(r"\d+", row["AGE"]) for row in rows(piped))
        text = plain(site.on_terminal("stats", "jobs"))
        assert re.search(r"^  messages received +\S+$", text, re.M) and re.search(r"^  received bytes +[\d.]+ [KM]iB$", text, re.M), text
        # Who does not want colours gets none.
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            for words in (["show", "stats"], ["status"], ["stats", "jobs"]):
                assert "\033" not in site.on_terminal(*words, env=env), (env, words)
        assert re.search("\033\\[31merror: route jobs: .*\033\\[0m", site.on_terminal("status", env={"NO_COLOR": ""}))


def test_wide_is_what_the_control_socket_says():
    with Site() as site, zb.Control(site.daemon) as control:
        for words in (["show", "routes"], ["show", "stats"], ["show", "clients"], ["show", "stats", "jobs"], ["show", "errors"]):
            head = control.ask(" ".join(words)).split("\n")[0]
            for args in (["--wide"] + words, words + ["--wide"]):
                shown = site.in_pipe(*args)
                assert shown.split("\n")[0].split() == head.split(), (args, shown)
                assert "FRONTEND_RECEIVED_BYTES" in shown or "stats" not in words
        assert site.in_pipe("--wide", "ping").startswith("zbroker answers")
        # A topic may look like an option.
        with site.terminal("tap", "prices", "topic", "--wide", "count", "1") as tap:
            def told():
                site.sockets[0].send(b"--wide")
                return "--wide" in tap.look()
            site.sockets[1].subscribe("--wide")
            zb.wait_until(told)


def test_clients_are_sorted_by_backlog():
    with Site() as site:
        assert len(rows(site.in_pipe("show", "clients"))) == 6
        site.block()
        backlogs = lambda *words: [int(row["BACKLOG"]) for row in rows(site.in_pipe("show", "clients", *words))]
        all_of_them = backlogs()
        assert all_of_them == sorted(all_of_them, reverse=True) and all_of_them[0] > 0 and len(all_of_them) == 6
        slow = rows(site.in_pipe("show", "clients", "--slow"))
        assert 1 <= len(slow) < 6 and all(int(row["BACKLOG"]) > 0 for row in slow) and slow[0]["ROUTE"] == "jobs"
        assert len(backlogs("prices")) == 2 and backlogs("prices", "--slow") == backlogs("--slow", "prices")
        assert "ROUTE" not in site.in_pipe("show", "clients", "jobs")


def test_all_of_one_route():
    with Site() as site:
        site.block()
        figures, everything = site.in_pipe("show", "stats", "jobs"), site.in_pipe("show", "route", "jobs")
        route = json.loads(site.in_pipe("-j", "show", "route", "jobs"))["routes"][0]
        assert route["options"] and route["clients"] and route["events"]
        for text in (figures, everything):
            assert text.startswith("route jobs\n") and "\nrates\n" in text and "\ndropped\n" in text, text
            values = dict(re.findall(r"^  (\S+) +(\S.*)$", text.split("\nfrontend\n")[1].split("\n\n")[0], re.M))
            assert int(values["messages_received"]) > 0 and values["connections"] == "1"
            assert re.search(r"^  up to [\d.]+ KiB +\d+$", text, re.M)
        assert "endpoints" not in figures and f"  endpoints                     tcp://127.0.0.1:{site.ports[2]}\n" in everything
        assert f"\n  frontend_bind = tcp://127.0.0.1:{site.ports[2]}\n" in everything and "sndhwm" not in everything
        assert "route jobs: started" in " ".join(everything.split()) and "prices" not in everything
        for words in (["show", "route", "nix"], ["show", "stats", "nix"]):
            result = site.daemon.ctl(*words)
            assert result.returncode == 1 and result.stderr.startswith("error: no route nix"), result


def test_errors_say_why_the_last_reload_failed():
    with Site() as site:
        assert site.in_pipe("show", "errors") == "no warnings and no errors\n"
        good = zb.read(site.daemon.file)
        zb.write(site.daemon.file, good + "oops = 1\n")
        assert site.daemon.ctl("reload").returncode == 1
        (problem,) = json.loads(site.in_pipe("-j", "status"))["last_reload"]["problems"]
        text = " ".join(site.in_pipe("errors").split())
        assert re.match(rf"The last reload failed\. The configuration that runs was read \S+ {re.escape(problem)} ", text), text
        assert "error reload refused: " in text and "oops: unknown key" in text, text
        assert "\033[31mThe last reload failed.\033[0m" in site.on_terminal("errors")
        events = json.loads(site.in_pipe("-j", "errors"))["errors"]
        assert events and all(event["level"] in ("error", "warning") for event in events)
        zb.write(site.daemon.file, good)
        assert site.daemon.ctl("reload").returncode == 0
        assert "reload failed" not in site.in_pipe("errors") and "oops" in site.in_pipe("errors")


def test_status_has_the_worst_first_and_sums_up_the_idle():
    folder = zb.folder()
    names = [f"idle{i}" for i in range(5)] + ["stuck"]
    text = "".join(f"[route {name}]\ntype = streamer\nfrontend_bind = ipc://{folder}/{name}-in\nbackend_bind = ipc://{folder}/{name}-out\n" for name in names)
    with zb.Daemon(text) as daemon, zmq.Context() as context:
        push = context.socket(zmq.PUSH)
        push.linger = 0
        push.connect(f"ipc://{folder}/stuck-in")
        push.send(b"nobody takes it")
        said = zb.wait_until(lambda: (out := daemon.ctl("status").stdout) and "\nerror: " in out and out)
        problems = re.findall(r"^((?:error|warning|info): .*)$", said, re.M)
        assert problems[0].startswith("error: route stuck: blocked: "), said
        assert problems[1:] == ["info: 5 routes: nothing is connected to the backend or the frontend"], said
        status = json.loads(daemon.ctl("-j", "status").stdout)
        assert [(each["route"], each["level"]) for each in status["problems"]] == [("stuck", "error")], status
        assert status["routes"]["running"] == 6
        push.close()


def test_status_says_why_connections_were_refused():
    one, two = zb.free_ports(2)
    with zb.Daemon(f"[route jobs]\ntype = streamer\nengine = wire\nfrontend_bind = tcp://127.0.0.1:{one}\nbackend_bind = tcp://127.0.0.1:{two}\n") as daemon, \
            zmq.Context() as context, zb.peer(context, zmq.PUSH, f"tcp://127.0.0.1:{two}"):
        def says_why():
            with socket.create_connection(("127.0.0.1", one)) as browser:
                browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return re.search(r"^warning: route jobs: \d+ connections were refused in the last minute: not ZMTP \d+, wrong socket type \d+$",
                             daemon.ctl("status").stdout, re.M)

        zb.wait_until(says_why)
        assert daemon.stop() == 0, daemon.log()


def test_the_first_second_is_part_of_the_last_minute():
    """What is counted before anybody has looked for the first time."""
    one, two = zb.free_ports(2)
    with zb.Daemon(f"[route jobs]\ntype = streamer\nengine = wire\nfrontend_bind = tcp://127.0.0.1:{one}\nbackend_bind = tcp://127.0.0.1:{two}\n") as daemon, \
            zmq.Context() as context, zb.peer(context, zmq.PUSH, f"tcp://127.0.0.1:{one}") as push, zb.peer(context, zmq.PULL, f"tcp://127.0.0.1:{two}") as pull:
        with socket.create_connection(("127.0.0.1", one)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(10):
            push.send(b"")
            pull.recv()
        detail = lambda: json.loads(daemon.ctl("-j", "show", "route", "jobs").stdout)["routes"][0]
        zb.wait_until(lambda: detail()["history"])
        assert sum(detail()["history"]) == sum(detail()["history_out"]) == 10, detail()
        assert "\nwarning: route jobs: 1 connection was refused in the last minute: not ZMTP 1\n" in daemon.ctl("status").stdout
        assert daemon.stop() == 0, daemon.log()


def test_what_the_configuration_changes():
    with Site() as site:
        text = site.in_pipe("show", "config", "--changed")
        assert re.findall(r"^\[.*\]$", text, re.M) == ["[zbroker]", "[route prices]", "[route jobs]", "[route questions]"]
        engine = [f"engine = {zb.ENGINE}"] if zb.ENGINE else []
        assert text.split("[route questions]\n")[1].splitlines() == [
            "type = queue", *engine, f"frontend_bind = tcp://127.0.0.1:{site.ports[4]}", f"backend_bind = tcp://127.0.0.1:{site.ports[5]}"]
        assert "sndhwm" not in text and "sndhwm" in site.in_pipe("show", "config")
        assert site.in_pipe("config", "jobs", "--changed").startswith("[route jobs]\n")


# --- top --------------------------------------------------------------------------------------------------------------

def picture(terminal):
    """The next picture that is whole: from the home of the cursor to the end of the screen."""
    text = terminal.read_until(r"(?s)\033\[H.*\033\[J")
    return plain(re.findall(r"(?s)\033\[H(.*?)\033\[J", text)[-1]).replace("\033[K", "")


def table(terminal):
    """Of the next picture: the first words of its lines from the heading on."""
    text = picture(terminal)
    return [line.split()[0] for line in text[text.index("ROUTE"):].splitlines()]


def test_top_fits_and_has_totals():
    with Site(LONG) as site, site.terminal("-w", "0.1", "top") as top:
        text = picture(top)
        assert width(text) <= 80 and text.startswith("zbroker 20"), text
        lines = text[text.index("ROUTE"):].splitlines()
        assert lines[1].split()[0] == "total" and all(name in text for name in LONG)
        assert re.match(r"total +\d+ +\d+ +\d+ B +6 +\d+ +\d+s$", lines[1]), lines[1]


def test_keys_of_top():
    with Site() as site, site.terminal("-w", "3600", "top") as top:
        assert table(top) == ["ROUTE", "total", "prices", "jobs", "questions"]
        for key, order in (("n", ["jobs", "prices", "questions"]), ("r", ["questions", "prices", "jobs"]), ("r", ["jobs", "prices", "questions"]),
                           ("f", ["prices", "jobs", "questions"])):
            top.write(key)
            assert table(top)[2:] == order, key
        top.write("s")
        assert ", by name" in picture(top)
        top.write("d")
        assert ", by DROPPED" in picture(top)
        top.write("+")
        assert "every 1800 s" in picture(top)
        top.write("q")
        assert top.read_all()[1] == 0


def test_top_sorts_by_figures():
    with Site() as site:
        site.block()
        with site.terminal("-w", "3600", "top") as top:
            table(top)
            top.write("k")
            assert table(top)[2] == "jobs"
            top.write("r")
            assert table(top)[-1] == "jobs"


def test_top_leaves_the_terminal_as_it_was():
    with Site() as site:
        for end in ("q", "\x03", None):
            with zb.Terminal(["sh", "-c", 'trap : INT; before=$(stty -g); "$@"; echo "ended $?"; test "$before" = "$(stty -g)" && echo same', "sh"] +
                             zb.program("zbrokerctl") + ["-s", site.daemon.control, "top"]) as top:
                picture(top)
                if end:
                    top.write(end)
                else:
                    os.kill(child(top.process.pid), 15)
                text, _ = top.read_all()
                assert text.endswith("ended 0\nsame\n"), (end, text[-200:])


def child(pid):
    return int(zb.read(f"/proc/{pid}/task/{pid}/children").split()[0])


def test_top_shows_as_many_lines_as_there_are():
    with Site() as site, site.terminal("-w", "0.1", "top", lines=6) as top:
        assert len(picture(top).splitlines()) == 5


def test_top_of_one_route_has_no_total():
    with Site() as site, site.terminal("-w", "0.1", "top", "jobs") as top:
        assert table(top) == ["ROUTE", "jobs"]


if __name__ == "__main__":
    zb.main()

# SPDX-License-Identifier: MPL-2.0
"""What is written about zbroker is true of it: pages against programs and source, and examples that run."""

import glob
import os
import re
import subprocess
import sys

import zb

NOT_OURS = {"build", "build-aux", "autom4te.cache", ".git", "corpus", "__pycache__"}
PROGRAMS = {"zbroker": 8, "zbrokerctl": 8, "zbroker-bench": 1, "zbroker-keygen": 1}

# Words of the place where somebody happened to work say nothing to anybody else. Split, or they would stand here.
FOREIGN = ["/wo" + "rk/", "/tmp/" + "build", "/home/" + r"\w", "/ro" + "ot/", "pypi" + r"\.org", "npmjs" + r"\.(?:org|com)",
           "proxy" + r"\.golang\.org", "crates" + r"\.io", "rubygems" + r"\.org", "deb\\." + "debian", "snapshot\\." + "debian"]


def source(*path):
    return zb.read(os.path.join(zb.SRCDIR, *path))


def page(name):
    """The source of a manual page, NAME.SECTION."""
    path = os.path.join(zb.SRCDIR, "man", name + ".in")
    assert os.path.exists(path), f"there is no man/{name}.in"
    return zb.read(path)


def entries(text):
    """The .It lines of a page, as plain text."""
    return [re.sub(r"\\[&e]", "", line[4:]) for line in text.splitlines() if line.startswith(".It ")]


def section(text, title):
    return re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S).group(1)


def tracked():
    """Every file that ships, by its path below the source folder."""
    for path, folders, names in os.walk(zb.SRCDIR):
        folders[:] = sorted(f for f in folders
                            if f not in NOT_OURS and not os.path.exists(os.path.join(path, f, "config.status")))
        for name in sorted(name for name in names if name not in NOT_OURS):  # .git may be a file, too
            yield os.path.relpath(os.path.join(path, name), zb.SRCDIR)


def markdown():
    return [name for name in tracked() if name.endswith(".md")]


# --- the map of the source ----------------------------------------------------------------------------------------

def rooms():
    """Room -> (the part of doc/design.md about it, the names in its table)."""
    parts = re.split(r"^\*\*(src/(?:\w+/)?)\*\*", source("doc", "design.md"), flags=re.M)
    result = {}
    for room, text in zip(parts[1::2], parts[2::2]):
        text = re.split(r"^## ", text, flags=re.M)[0]
        rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")] or [text]
        result[room] = set(re.findall(r"`([^`]+)`", " ".join(rows)))
    return result


def test_design_names_every_source_file():
    told, missing = rooms(), []
    for path in tracked():
        found = re.match(r"(src/(?:\w+/)?)([^/]+)(/?)", path)
        if not found or path.endswith((".o", ".a", ".in")):
            continue
        if os.path.relpath(path, "src").startswith(("admin/page/", "admin/page_assets")):
            room, name = "src/admin/", "page/"
        else:
            room, name = found.group(1), found.group(2)
        stem = re.sub(r"\.[ch]$", "", name)
        if stem not in told.get(room, ()):
            missing.append(path)
    assert not missing, "doc/design.md, section 2, has no line for: " + ", ".join(missing)


def test_design_names_only_what_is_there():
    gone = []
    for room, names in rooms().items():
        gone += [room + name for name in names if not glob.glob(os.path.join(zb.SRCDIR, room, name.rstrip("/") + "*"))]
    folders = {"src/"} | {f"src/{entry.name}/" for entry in os.scandir(os.path.join(zb.SRCDIR, "src")) if entry.is_dir()}
    assert set(rooms()) == folders, f"rooms: {sorted(rooms())}, folders: {sorted(folders)}"
    assert not gone, f"doc/design.md speaks of what is not there: {gone}"


def test_design_sends_newcomers_to_what_is_there():
    """Each file of the table "To add something" exists, and has the table or function that is named with it."""
    table = re.search(r"^## To add something\n(.*?)^## ", source("doc", "design.md"), re.M | re.S).group(1)
    rows = [line for line in table.splitlines() if re.match(r"\| [a-z]", line)][1:]
    names = {re.match(r"\| ([^|]+?) \|", row).group(1) for row in rows}
    assert {"key", "socket option", "control command", "metric of the process", "transport", "socket type", "engine"} <= names, names
    paths = re.findall(r"`((?:src|contrib)/[^`]*)`", table)
    gone = [path for path in paths if not os.path.exists(os.path.join(zb.SRCDIR, path))]
    gone += [f"{path}: {name}" for name, path in re.findall(r"`(\w+)` (?:in|of) `(src/[^`]*)`", table)
             if path not in gone and not re.search(rf"\b{name}\b", source(path))]
    assert len(paths) > 20 and not gone, f"doc/design.md sends to what is not there: {gone}"


# --- programs and their pages -----------------------------------------------------------------------------------------

def options_are_told(program):
    def test():
        result = zb.run("-h", name=program)
        assert result.returncode == 0, result.stderr
        items = entries(page(f"{program}.{PROGRAMS[program]}"))
        rows = re.findall(r"^(?:usage:.*| +zbroker.*| +-\S.*?(?=  |$))", result.stdout, re.M)
        options = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", "\n".join(rows)))
        assert len(options) > 4, f"hardly an option in\n{result.stdout}"
        missing = [option for option in sorted(options)
                   if not any(re.search(rf"(?:^| )(?:Fl |, |\| ){re.escape(option[1:])}(?: |$)", item) for item in items)]
        assert not missing, f"{program}.{PROGRAMS[program]} has no entry for {missing}"
    return f"every option of {program} is in its page", test


def test_every_signal_is_told():
    handled = re.search(r"signals\[\] = \{(.*?)\}", source("src", "zbroker-process.c")).group(1).replace(",", " ").split()
    told = " ".join(entries(section(page("zbroker.8"), "SIGNALS")))
    assert len(handled) > 3
    missing = [name for name in handled if name not in told]
    assert not missing, f"zbroker.8, SIGNALS: {missing}"


def test_every_exit_status_is_told():
    sysexits = {"EX_UNAVAILABLE": 69, "EX_NOPERM": 77}
    codes, value = [], -1
    for code in re.search(r"enum \{ (EXIT_.*?) \}", source("src", "zbroker-options.h")).group(1).split(", "):
        value = sysexits[code.split(" = ")[1]] if " = " in code else value + 1
        codes.append(str(value))
    told = entries(section(page("zbroker.8"), "EXIT STATUS"))
    assert told == codes, f"{codes} and {told}"
    unit = source("systemd", "zbroker.service.in")
    kept = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.M).group(1).split()
    assert set(kept) <= set(told), kept


def test_every_variable_is_told():
    told = section(page("zbroker.8"), "ENVIRONMENT")
    for path in tracked():
        if re.match(r"src/(base|conf|flow|guard|broker|admin)/\w+\.c$|src/zbroker[\w-]*\.c$", path):
            for name in re.findall(r'getenv\s*\("(\w+)"', source(path)):
                assert name in told or name.startswith("ZSYS_"), f"{path} asks for {name}: zbroker.8, ENVIRONMENT"


def test_every_http_path_is_told():
    table = re.search(r"^\} resources\[\] = \{(.*?)^\};", source("src", "admin", "http_resources.c"), re.M | re.S).group(1)
    paths = re.findall(r'\{ "(/\S*)"', table)
    assert len(paths) > 4 and sorted(entries(section(page("zbroker.8"), "HTTP"))) == sorted("Pa " + path for path in paths), paths


def test_every_route_type_is_told():
    rows = re.search(r"pattern_t patterns\[\] = \{(.*?)\n\};", source("src", "conf", "pattern.c"), re.S).group(1)
    names = re.findall(r'\{ *"(\w+)"', rows)
    told = re.findall(r"^\.Ss (\w+)", section(page("zbroker.8"), "ROUTES"), re.M)
    assert len(names) > 4 and not set(names) - set(told), set(names) - set(told)


def test_every_drop_reason_is_told():
    names = re.search(r"\[DROP_REASONS\] = \{(.*?)\}", source("src", "flow", "counters.c"), re.S).group(1)
    names = re.findall(r'"(\w+)"', names)
    assert len(names) > 4
    for where in ("zbroker.8", "zbroker-metrics.7"):
        missing = [name for name in names if not re.search(rf"\b{name}\b", page(where))]
        assert not missing, f"{where}: {missing}"


def test_every_command_is_told():
    folder = zb.folder()
    ini = f"[route r]\ntype = streamer\nfrontend_bind = ipc://{folder}/in\nbackend_bind = ipc://{folder}/out\n"
    manual = page("zbrokerctl.8")
    with zb.Daemon(ini) as daemon:
        answer = daemon.ctl("help")
        assert answer.returncode == 0, answer.stderr
        lines = [line for line in answer.stdout.splitlines() if not line.startswith(" ")]
        assert len(lines) > 15, answer.stdout
        told = entries(section(manual, "COMMANDS"))
        for name in (each["name"] for each in zb.Control(daemon).json("help")["commands"]):
            assert any(line.startswith(name) for line in lines), f"zbrokerctl's own list has no {name}"
        for line in lines:
            name = re.match(r"[a-z_-]+(?: [a-z_]+)?(?= |$)", line).group(0)
            assert any(re.match(rf"Cm {name}(?: |$)", item) for item in told), f"zbrokerctl.8 has no entry for {name}"


def test_every_metric_is_told():
    names = {name for file in ("metrics.c", "fields.c") for name in re.findall(r'"((?:zbroker|process)_\w+)"', source("src", "admin", file))}
    manual = page("zbroker-metrics.7")
    assert len(names) > 20, names
    missing = sorted(name for name in names if not re.search(rf"\b{name}\b", manual))
    assert not missing, f"zbroker-metrics.7: {missing}"
    invented = set(re.findall(r"^\.It\b.*?\b((?:zbroker|process)_\w+)", manual, re.M)) - names
    assert not invented, f"zbroker-metrics.7 tells of what is not there: {invented}"


def key_entries():
    """(key, its text) of each entry of zbroker.ini.5, in order, but those of libzmq's drafts."""
    text = re.sub(r"^\.Ss Drafts\n.*?(?=^\.Ss )", "", page("zbroker.ini.5"), flags=re.M | re.S)
    return re.findall(r"^\.It Ic (\w+) Cm = .*?\n(.*?)(?=^\.It |^\.El)", text, re.M | re.S)


def test_keys_table_shows_default_and_reload_of_every_entry():
    rows = re.findall(r"^\.It Ic (\S+) Ta (\S+) Ta (\S+)$", section(page("zbroker.ini.5"), "KEYS"), re.M)
    assert len(rows) > 80, rows
    wrong = []
    for key, text in key_entries():
        default, reload = (re.search(rf"^{word}: (.*)", text, re.M).group(1) for word in ("Default", "Reload"))
        row = rows.pop(0) if rows and rows[0][0] == key else None
        if not row or row[1] not in re.split(r"[ ,;]+|\.$", default) or not reload.startswith(row[2]):
            wrong.append(f".It Ic {key} Ta {default.split(',')[0].rstrip('.')} Ta {reload.split()[0].rstrip('.')}")
    assert not wrong and not rows, "zbroker.ini.5, KEYS: rows to write: " + "\n".join(wrong) + f"\nrows without an entry there: {rows[:3]}"


def test_ranges_are_those_that_the_check_tells():
    of_a_route = "[route r]\ntype = streamer\nfrontend_bind = ipc://@a\nbackend_bind = ipc://@b\n"
    of_process = set(re.findall(r"^\.It Ic (\w+) Cm =", section(page("zbroker.ini.5"), "THE PROCESS"), re.M))
    told = re.findall(r"^\.It Ic (\w+) Cm = Ar (?:number|size|time)\n(.*?)(?=^\.It |^\.El|^\.Ss )", page("zbroker.ini.5").split(".Ss Drafts")[0], re.M | re.S)
    ranges = {key: re.search(r"^Range: (\S+ to \w+)", text, re.M).group(1).replace("\\", "") for key, text in told if "\nRange: " in text}
    assert len(ranges) > 40, ranges
    for key, expected in ranges.items():
        answer = zb.run("-t", "-c", "-", stdin=("[zbroker]\n" if key in of_process else of_a_route) + f"{key} = {'9' * 25}\n").stderr
        range_ = re.search(r"is out of range, (\S+ to \w+)", answer)
        assert range_ and range_.group(1) in (expected, expected + "ms", expected + "s"), (key, expected, answer)


def test_drafts_of_libzmq_are_together_and_last():
    table = re.search(r"sockopt_t sockopts\[\] = \{(.*?)^\};", source("src", "conf", "sockopt.c"), re.M | re.S).group(1)
    drafts = [re.search(r'"(\w+)"', line).group(1) for line in table.splitlines() if re.search(r"\bDRAFT\b", line)]
    told = re.search(r"^\.Ss Drafts\n(.*?)^\.Ss ", page("zbroker.ini.5"), re.M | re.S).group(1)
    assert len(drafts) > 20 and sorted(re.findall(r"^\.It Ic (\w+)", told, re.M)) == sorted(drafts)


# --- pages among themselves ---------------------------------------------------------------------------------------------

def test_references_lead_somewhere():
    wrong = []
    for path in glob.glob(os.path.join(zb.SRCDIR, "man", "*.in")):
        for name, number in re.findall(r"^\.Xr (zbroker\S*) (\d)", zb.read(path), re.M):
            if not os.path.exists(os.path.join(zb.SRCDIR, "man", f"{name}.{number}.in")):
                wrong.append(f"{os.path.basename(path)}: {name}({number})")
    for path in markdown():
        for link in re.findall(r"\]\(([^)#]+)", source(path)):
            if "://" not in link and not os.path.exists(os.path.join(zb.SRCDIR, os.path.dirname(path), link)):
                wrong.append(f"{path}: {link}")
    assert not wrong, wrong


def test_readme_starts_with_commands_that_exist():
    usage = subprocess.run([os.path.join(zb.SRCDIR, "bootstrap"), "--help"], text=True, stdout=subprocess.PIPE, check=True, timeout=20 * zb.SLOW).stdout
    for path in ("README.md", "CONTRIBUTING.md"):
        words = set(re.findall(r"^\./bootstrap (\w+)", source(path), re.M))
        assert words, f"{path} does not speak of ./bootstrap"
        for word in words:
            assert re.search(rf"^{word}\)$", source("bootstrap"), re.M), f"{path}: ./bootstrap {word} does not exist"
            assert f"./bootstrap {word}" in usage, f"./bootstrap --help is silent about {word}"
    assert {"run", "check"} <= set(re.findall(r"^\./bootstrap (\w+)", source("README.md"), re.M))


def in_bootstrap(script, **env):
    """What SCRIPT says where the functions of ./bootstrap are known, without anything that it would do by itself."""
    functions = source("bootstrap").split("\nstay=no all=no\n")[0]
    env = dict(os.environ, **{"CI": "", **env})
    result = subprocess.run(["sh", "-c", functions + "\nmanager=none column=2 all=no\n" + script], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env=env, cwd=zb.SRCDIR, timeout=20 * zb.SLOW)
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_bootstrap_check_installs_large_packages_only_when_asked():
    stubs = "missing_of() { names $1 2; }\ninstall() { say installed: $*; }\nid() { echo 0; }\ninstall_command() { :; }\n"
    for script, env, wanted in (("check_packages", {}, False), ("all=yes\ncheck_packages", {}, True), ("check_packages", {"CI": "true"}, True)):
        said = in_bootstrap(stubs + script, **env)
        assert "installed: build-essential" in said, said
        assert ("installed: systemd" in said) == wanted and ("going on without systemd" in said) != wanted, (script, env, said)
    assert re.search(r"^\./bootstrap deps$", source(".ci/run"), re.M), "on a bare machine, tests would be skipped"


def test_bootstrap_removes_the_policy_that_a_killed_one_left_behind_and_no_other():
    path = os.path.join(zb.folder(), "policy-rc.d")
    ended = subprocess.Popen(["true"])
    ended.wait()
    sleeper = zb.spawn(["sh", "-c", "read line", "bootstrap"], stdin=subprocess.PIPE)
    texts = {f"#!/bin/sh\n# zbroker bootstrap, process {ended.pid}\nexit 101\n": False,
             f"#!/bin/sh\n# zbroker bootstrap, process {os.getpid()}\nexit 101\n": False,
             f"#!/bin/sh\n# zbroker bootstrap, process {sleeper.pid}\nexit 101\n": True,
             "#!/bin/sh\nexit 101\n": True, "": True}
    for text, stays in texts.items():
        zb.write(path, text)
        in_bootstrap(f"policy={path}\nremove_stale_policy")
        assert os.path.exists(path) == stays, text
    os.unlink(path)
    in_bootstrap(f"policy={path}\nremove_stale_policy")
    tools = zb.folder()
    zb.write(f"{tools}/apt-get", "#!/bin/sh\ncat $policy\n", 0o755)
    said = in_bootstrap(f"policy={path}\nexport policy\nPATH={tools}:$PATH\nenabled_services() {{ :; }}\napt_install x")
    assert re.search(r"^# zbroker bootstrap, process \d+$", said, re.M) and not os.path.exists(path), said


def test_changelog_speaks_of_this_version():
    version = re.search(r"AC_INIT\(\[zbroker\], \[([^\]]+)\]", source("configure.ac")).group(1)
    assert re.search(rf"^## {re.escape(version)}\b", source("ChangeLog.md"), re.M), version


def test_no_file_speaks_of_the_place_where_it_was_written():
    wrong = []
    for path in tracked():
        if path.startswith(os.path.join("tests", "fuzz", "seeds")) or ".min." in path or path in (
                ".git", "configure", "Makefile.in", "aclocal.m4", "config.h.in"):
            continue
        for number, line in enumerate(source(path).splitlines(), 1):
            wrong += [f"{path}:{number}: {line.strip()[:100]}" for word in FOREIGN if re.search(word, line)]
    assert not wrong, "\n".join(wrong)


# --- examples --------------------------------------------------------------------------------------------------------------

def sample():
    """The sample file on free ports, and how to change a program likewise."""
    folder, text = zb.folder(), source("etc", "zbroker.ini")
    ports = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", text)))
    new = dict(zip(ports, zb.free_ports(len(ports))))

    def move(program):
        program = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{new[found.group(1)]}", program)
        return program.replace("ipc://@zbroker-", f"ipc://{folder}/").replace("/run/zbroker", folder)

    return folder, move(text), move


def programs():
    """(where, text) of each Python program in README.md and zbroker.8."""
    found = [("README.md", text) for text in re.findall(r"^```python\n(.*?)^```", source("README.md"), re.M | re.S)]
    for text in re.findall(r"^\.Bd -literal[^\n]*\n(import zmq\n.*?)^\.Ed", page("zbroker.8"), re.M | re.S):
        found.append(("zbroker.8", text.replace("\\e", "\\").replace("\\&", "").replace("\\(dq", '"')))
    return found


@zb.limit(120)
def test_examples_run():
    found = programs()
    assert {where for where, _ in found} == {"README.md", "zbroker.8"} and len(found) >= 6, [where for where, _ in found]
    folder, ini, move = sample()
    with zb.Daemon(ini, folder=folder):
        onlookers = []
        for number, (where, text) in enumerate(found):
            path = zb.write(os.path.join(folder, f"example{number}.py"), move(text))
            if "while True" in text:
                onlookers.append(path)
                continue
            result = subprocess.run([sys.executable, path], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20 * zb.SLOW)
            assert result.returncode == 0, f"{where}:\n{text}\n{result.stdout}"
            assert result.stdout or "print" not in text, f"{where} prints nothing:\n{text}"
        ingress = [text for _, text in found if "zmq.PUSH" in text and "EUR" in text]
        assert len(onlookers) == 1 and len(ingress) == 1
        heard = os.path.join(folder, "heard")
        with open(heard, "wb") as out:
            zb.spawn([sys.executable, "-u", onlookers[0]], stdout=out)
        once = zb.write(os.path.join(folder, "once.py"), move(ingress[0]))

        def seen():
            subprocess.run([sys.executable, once], check=True, timeout=20 * zb.SLOW)
            return "1.0842" in zb.read(heard)
        zb.wait_until(seen, 20, "the capture's reader to see a message")


def test_the_sample_speaks_of_defaults():
    """A commented key of etc/zbroker.ini is the default: taking the ';' away changes nothing."""
    folder, ini, _ = sample()
    without = zb.run("-T", "-c", zb.write(os.path.join(folder, "a.ini"), ini.encode()))
    opened, count = re.subn(r"^;(?=\w+ *=)", "", ini, flags=re.M)
    with_all = zb.run("-T", "-c", zb.write(os.path.join(folder, "b.ini"), opened.encode()))
    assert count > 10 and without.returncode == 0, without.stderr
    assert with_all.returncode == 0, with_all.stderr
    settings = [re.findall(r"^(?:\[.*\]|\w+ *=.*)$", result.stdout, re.M) for result in (without, with_all)]
    assert settings[0] == settings[1], set(settings[0]) ^ set(settings[1])


TESTS = [options_are_told(program) for program in PROGRAMS]
TESTS += [(name, value) for name, value in list(globals().items()) if name.startswith("test_")]
zb.main(TESTS)

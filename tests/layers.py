# SPDX-License-Identifier: MPL-2.0
"""The order of the rooms, and what every source file owes its reader."""

import os
import re

import zb

ROOMS = ["base", "conf", "net", "zmtp", "flow", "store", "wire", "zmq", "guard", "broker", "admin"]
MAY_USE = {room: ROOMS[:i + 1] for i, room in enumerate(ROOMS)}
MAY_USE["zmtp"] = ["base", "zmtp"]
MAY_USE["store"] = ["base", "conf", "store"]
MAY_USE["zmq"] = [room for room in MAY_USE["zmq"] if room not in ("zmtp", "store", "wire")]
MAY_USE["guard"] = [room for room in MAY_USE["guard"] if room != "wire"]  # it is asked through flow/admission.h
MAY_USE["ctl"] = ["base", "conf", "admin", "ctl"]  # of admin: what knows no broker
MAY_USE["bench"] = ["base", "bench"]
MAY_USE["."] = ROOMS + ["ctl", "bench", "."]  # the mains

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

SOURCES = (".c", ".h", ".py", ".sh", ".rb", ".js", ".css", ".html", ".in", ".am", ".ac", ".ini", ".supp")
NOT_OURS = {"build", "build-aux", "autom4te.cache", ".git", "seeds", "corpus"}
NOT_WRITTEN_BY_HAND = {"Makefile.in", "config.h.in"}
SOMEBODY_ELSES = (".min.js", ".min.css")  # with their own licence


SAMPLES = os.path.join("tests", "conf")  # input for tests: a line more would move the ones that matter


def files(top, endings):
    for path, folders, names in os.walk(os.path.join(zb.SRCDIR, top)):
        # A folder with a Makefile of its own is somebody's build.
        folders[:] = sorted(f for f in folders if f not in NOT_OURS and not os.path.exists(os.path.join(path, f, "config.status")))
        for name in sorted(names):
            if os.path.relpath(path, zb.SRCDIR).startswith(SAMPLES):
                continue
            if name.endswith(endings) and name not in NOT_WRITTEN_BY_HAND and not name.endswith(SOMEBODY_ELSES):
                yield os.path.relpath(os.path.join(path, name), zb.SRCDIR)


def includes(path):
    """(line, header) of every #include \"...\"."""
    for number, line in enumerate(zb.read(os.path.join(zb.SRCDIR, path)).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if found:
            yield number, found.group(1)


def room_of(path):
    parts = os.path.relpath(path, "src").split(os.sep)
    return parts[0] if len(parts) > 1 else "."


def test_rooms_include_earlier_rooms_only():
    wrong, seen = [], 0
    for path in files("src", (".c", ".h")):
        allowed = MAY_USE[room_of(path)]
        for line, header in includes(path):
            seen += 1
            if (header.split("/")[0] if "/" in header else ".") not in allowed:
                wrong.append(f"{path}:{line}: {room_of(path)} must not include {header}")
    assert seen > 20, "found hardly any #include: is ZB_SRCDIR right?"
    assert not wrong, "\n".join(wrong)


def test_internal_headers_stay_in_their_room():
    """internal.h is what the files of a room share, NAME_internal.h what those of one module do."""
    internal = re.compile(r"(?:^|/)(?:\w+_)?internal\.h$")
    wrong, seen = [], 0
    for path in files("src", (".c", ".h")):
        inside = [header for _, header in includes(path) if internal.search(header)]
        seen += len(inside)
        wrong += [f"{path}: {header}" for header in inside if os.path.dirname(header) != os.path.dirname(os.path.relpath(path, "src"))]
    assert seen > 20 and not wrong, "\n".join(wrong)


def test_what_zbrokerctl_uses_of_the_daemon_knows_no_broker():
    used = {header for path in files("src/ctl", (".c", ".h")) for _, header in includes(path) if header.startswith("admin/")}
    assert used == {"admin/commandlist.h", "admin/table.h"}, used


def test_the_log_is_written_by_the_table_of_events_only():
    wrong = [path for path in files("src", (".c",)) if not path.startswith(os.path.join("src", "base"))
             and re.search(r"\blog_(?:line|error|warning|notice|info|debug|trace)\(", zb.read(os.path.join(zb.SRCDIR, path)))]
    assert not wrong, f"a line of the log needs a row in src/base/event.c: {wrong}"


def module_of(path):
    """NAME.c, NAME.h and NAME_internal.h are one module."""
    return re.sub(r"(_internal)?\.[ch]$", "", path)


def circles(graph):
    """Of modules: at least one way back to itself for each that has one."""
    done, found = set(), []

    def visit(module, way):
        if module in way:
            found.append(way[way.index(module):] + [module])
        elif module not in done:
            for other in sorted(graph.get(module, set()) - {module}):
                visit(other, way + [module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def test_no_two_modules_include_each_other():
    graph = {}
    for path in files("src", (".c", ".h")):
        graph.setdefault(module_of(os.path.relpath(path, "src")), set()).update(module_of(header) for _, header in includes(path))
    wrong = [" -> ".join(circle) for circle in circles(graph)]
    assert len(graph) > 200 and not wrong, "\n".join(wrong)


def test_files_of_engine_wire_include_what_the_design_puts_before_them():
    drawn = re.search(r"^- \*\*The files have an order\*\*.*?(?=^- )", zb.read(os.path.join(zb.SRCDIR, "doc", "design.md")), re.M | re.S)
    place = {f"wire/{name}": at for at, name in enumerate(re.findall(r"`(\w+)`", drawn.group(0)))}
    wrong, seen = [], 0
    for path in files("src/wire", (".c", ".h")):
        own = place.get(module_of(os.path.relpath(path, "src")))
        for line, header in includes(path):
            other = place.get(module_of(header))
            if own is not None and other is not None:
                seen += 1
                wrong += [f"{path}:{line}: {header} comes later"] if other > own else []
    assert seen > 100 and not wrong, "\n".join(wrong)


def test_flow_knows_no_libzmq_and_zmq_knows_no_czmq():
    wrong = [f"{path}: {header}" for room, header in (("flow", "c?zmq"), ("zmq", "czmq"), ("zmtp", "c?zmq"))
             for path in files(f"src/{room}", (".c", ".h"))
             if re.search(rf"#\s*include\s+<{header}\.h>", zb.read(os.path.join(zb.SRCDIR, path)))]
    assert not wrong, "\n".join(wrong)


def test_no_source_file_is_long():
    lengths = {path: zb.read(os.path.join(zb.SRCDIR, path)).count("\n") for path in files("src", (".c", ".h"))}
    wrong = [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > FILE_LINES_MAX]
    assert len(lengths) > 200 and not wrong, "\n".join(wrong)


def functions(path):
    """(name, lines) of every function: its name begins a line, and so does its last brace."""
    name = start = None
    for number, line in enumerate(zb.read(os.path.join(zb.SRCDIR, path)).splitlines()):
        found = re.match(r"([a-z]\w*)\(", line)
        if found:
            name, start = found.group(1), number
        elif line == "}" and name:
            yield name, number - start + 1
            name = None


def test_no_function_is_long():
    found = [(path, name, lines) for path in files("src", (".c", ".h")) for name, lines in functions(path)]
    wrong = [f"{path}: {name}: {lines} lines" for path, name, lines in found if lines > FUNCTION_LINES_MAX]
    assert len(found) > 2000 and not wrong, "\n".join(wrong)


def types(path):
    """The names of the types that have their body in this file."""
    text = re.sub(r"//.*", "", zb.read(os.path.join(zb.SRCDIR, path)))
    yield from re.findall(r"^\}(?: __attribute__\(\(\w+\)\))? (\w+_t);", text, re.M)
    yield from re.findall(r"^typedef (?:struct|union|enum)(?: \w+)? \{[^\n{}]*\} (\w+_t);", text, re.M)
    yield from (tag + "_t" for tag in re.findall(r"^struct (\w+) \{", text, re.M))


def test_no_two_types_have_one_name():
    where = {}
    for path in files("src", (".c", ".h")):
        for name in types(path):
            where.setdefault(name, set()).add(path)
    twice = {name: paths for name, paths in where.items() if len(paths) > 1 and name != "route_t"}  # each engine has its own
    wrong = [f"{name}: {', '.join(sorted(paths))}" for name, paths in sorted(twice.items())]
    assert len(where) > 300 and not wrong, "\n".join(wrong)


def test_every_source_file_says_its_licence():
    bare, seen = [], 0
    for path in files(".", SOURCES):
        seen += 1
        head = zb.read(os.path.join(zb.SRCDIR, path)).split("\n")[:3]
        if not any("SPDX-License-Identifier: MPL-2.0" in line for line in head):
            bare.append(path)
    assert seen > 20
    assert not bare, "no SPDX line: " + ", ".join(bare)


def test_the_makefile_lists_every_source_file():
    makefile = zb.read(os.path.join(zb.SRCDIR, "Makefile.am"))
    missing = [path for path in files("src", (".c", ".h")) if not re.search(r"(^|\s)" + re.escape(path) + r"(\s|$)", makefile)]
    missing += [path for path in files("tests", (".c",))
                if os.path.dirname(path) not in ("tests/perf", "tests/clients") and os.path.splitext(path)[0] not in makefile]
    missing += [path for path in files("tests", (".py",)) if os.path.dirname(path) == "tests" and path not in makefile]
    assert not missing, "not in Makefile.am: " + ", ".join(missing)


def test_the_sanitizer_looks_away_from_libraries_only():
    rules = [line for line in zb.read(os.path.join(zb.SRCDIR, "tests/tsan.supp")).splitlines() if line and line[0] != "#"]
    ours = [rule for rule in rules if not re.fullmatch(r"[a-z_]+:lib\w+\.so", rule)]
    assert rules and not ours, ours


zb.main()

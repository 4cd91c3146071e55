# SPDX-License-Identifier: MPL-2.0
"""What SECURITY.md promises, as far as no feature's own tests look at it."""

import http.client
import os
import re
import stat

import zb

# --- what the page promises, and what shows it ------------------------------------------------------------------------


def unit(key):
    """The values of KEY in the unit."""
    return re.findall(rf"^{key}=(.*)$", zb.read(os.path.join(zb.BUILDDIR, "systemd/zbroker.service")), re.M)


def number(file, name):
    """A constant of the source."""
    return int(re.search(rf"\b{name}\b\s*=?\s*(\d+)", zb.read(os.path.join(zb.SRCDIR, "src", file))).group(1))


def exists(*path):
    return os.path.exists(os.path.join(zb.SRCDIR, *path))


def route(more="", bind="tcp://127.0.0.1:*", kind="forwarder"):
    return f"[route r]\ntype = {kind}\nfrontend_bind = {bind}\nbackend_bind = tcp://127.0.0.1:*\n{more}\n"


def check(ini, *args):
    """What zbroker says of INI, as one text, and whether it takes it."""
    result = zb.run("-t", *args, "-c", "-", stdin=ini)
    return result.returncode == 0, result.stdout + result.stderr


def refuses(ini, reason):
    taken, said = check(ini)
    return not taken and reason in said


def has(ini, *settings):
    taken, said = check(ini, "-T")
    return taken and all(f"\n{setting}\n" in said for setting in settings)


def keygen():
    """A pair of files as zbroker-keygen makes them: the public and the secret part."""
    folder = zb.folder()
    assert zb.run("cert", "server", "-d", folder, name="zbroker-keygen").returncode == 0
    return folder + "/server", folder + "/server_secret"


def curve(mode):
    public, secret = keygen()
    os.chmod(secret, mode)
    return route(f"frontend_security = curve\nfrontend_server_cert = {public}\nfrontend_client_certs = any")


def users(mode):
    return route("frontend_security = plain\nfrontend_users = " + zb.write(os.path.join(zb.folder(), "users"), "", mode))


def page_is_closed():
    zb.need_http()
    port = zb.free_port()
    with zb.Daemon(f"[zbroker]\nhttp = 127.0.0.1:{port}\n"):
        def ask(method, **headers):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * zb.SLOW)
            connection.request(method, "/", headers=headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}

        status, headers = ask("GET")
        assert status == 200 and "default-src 'none'" in headers["content-security-policy"], headers
        assert not [name for name in headers if name.startswith("access-control")], headers
        return [ask(method)[0] for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS")] == [200, 405, 405, 405, 405] and \
            ask("GET", Host="evil.example")[0] == 421


def memory_limit():
    limit = re.fullmatch(r"(\d+)%", unit("MemoryMax")[-1])
    return 0 < int(limit.group(1)) < 100


# The words of the page, and what has to be true then. A promise that is changed takes its row along.
PROMISES = [
    ("zbroker insists on a `security` line there", lambda: refuses(route(bind="tcp://*:*"), "security = none")),
    ("Keep secret parts and password files 0600, owned by root or the service's user; zbroker refuses others",
     lambda: check(curve(0o600))[0] and refuses(curve(0o640), "600") and refuses(curve(0o604), "600")),
    ("Keep `users` 0640; it warns about more",
     lambda: "open to others" in check(users(0o644))[1] and "open to others" not in check(users(0o640))[1]),
    ("no privileges", lambda: unit("NoNewPrivileges") == ["yes"] and unit("CapabilityBoundingSet") == [""] and unit("User") == ["zbroker"]),
    ("a memory limit", memory_limit),
    ("`MemoryMax` of the unit is the last wall", memory_limit),
    ("no core dumps", lambda: unit("LimitCORE") == ["0"]),
    ("a start again after a crash", lambda: unit("Restart") == ["on-failure"] and unit("RestartPreventExitStatus") == ["1 2 77"]),
    ("20 tries at once and then two a second for each address",
     lambda: number("guard/passwords.c", "TRIES") == 20 and number("guard/passwords.c", "TRY_EVERY_MS") == 500),
    ("fail2ban filter in `contrib/`", lambda: exists("contrib/fail2ban/filter.d/zbroker.conf")),
    ("`handshake_ivl` 5 s (0 is refused)",
     lambda: has(route(), "frontend_handshake_ivl = 5s", "backend_handshake_ivl = 5s") and refuses(route("handshake_ivl = 0"), "handshake_ivl")),
    ("a reserve of descriptors for control and HTTP", lambda: number("zbroker-limits.c", "RESERVE") == 64),
    ("own parsers, fuzzed", lambda: len(os.listdir(os.path.join(zb.SRCDIR, "tests/fuzz"))) >= 7),
    ("`maxmsgsize` 4k where only subscriptions come in", lambda: has(route(), "backend_maxmsgsize = 4k")),
    ("the daemon has its own `epoll_wait`", lambda: exists("src/zmq/shield_hangup.c")),
    ("private files", lambda: [stat.S_IMODE(os.stat(path).st_mode) for path in keygen()] == [0o644, 0o600]),
    ("at most 32 of its 256 places for one user, and 8 places are kept",
     lambda: [number("admin/control.h", "CONTROL_CLIENTS_" + name) for name in ("OF_USER", "MAX", "KEPT")] == [32, 256, 8]),
    ("GET and HEAD only, exactly one `Host`, which must be an address or a name of this machine, no CORS, a strict Content-Security-Policy",
     page_is_closed),
]


def is_so(check_it):
    try:
        return check_it()
    except zb.Skip:
        return True  # there is no such part in this build


def test_the_page_promises_what_is_so():
    page = " ".join(zb.read(os.path.join(zb.SRCDIR, "SECURITY.md")).split())
    wrong = [words for words, _ in PROMISES if words not in page]
    assert not wrong, f"SECURITY.md no longer says {wrong}"
    broken = [words for words, check_it in PROMISES if not is_so(check_it)]
    assert not broken, f"SECURITY.md says what is not so: {broken}"


def test_every_key_that_the_page_names_exists():
    manual = zb.read(os.path.join(zb.SRCDIR, "man/zbroker.ini.5.in"))
    named = re.findall(r"`([a-z]+_[a-z_]+)(?: = \S+)?`", zb.read(os.path.join(zb.SRCDIR, "SECURITY.md")))
    unknown = {key for key in named if key != "epoll_wait" and not re.search(rf"^\.It Ic .*\b{key}\b", manual, re.M)}
    assert len(named) > 8 and not unknown, (named, unknown)


# --- what has no other test -------------------------------------------------------------------------------------------


def owner_of_memory(core_limit):
    """Who owns what /proc shows of a daemon's memory: its user (True), or root, because it is closed to its user."""
    folder = zb.folder()
    wrap = ["sh", "-c", f"ulimit -S -c {core_limit} && exec \"$@\"", "sh"]
    uid = os.geteuid()
    if uid == 0:
        uid = 65534
        os.chown(folder, uid, uid)
        wrap += zb.changed_to(uid)
    with zb.Daemon("[zbroker]\n", folder=folder, wrap=wrap) as daemon:
        assert daemon.ctl("status").stdout.count("descriptors ") == 1
        return os.stat(f"/proc/{daemon.pid}/mem").st_uid == uid


def test_memory_is_closed_to_other_processes_of_the_user_where_no_core_may_be_dumped():
    assert not owner_of_memory(0)
    assert owner_of_memory(1)


zb.main()

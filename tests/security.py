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


def opened_to_others(key):
    """A certificate that another user could have changed, or its folder."""
    public, secret = keygen()
    os.chmod({"file": public, "folder": os.path.dirname(public)}[key], 0o666 if key == "file" else 0o777)
    return route(f"frontend_security = curve\nfrontend_server_cert = {public}\nfrontend_client_certs = any")


def acl(mode, engine="wire"):
    return route(f"engine = {engine}\nbackend_acl = " + zb.write(os.path.join(zb.folder(), "acl"), "topic read #\n", mode))


def nats(*lines):
    return route("\n".join(("store = nats",) + lines), kind="streamer")


def all_tests():
    """The names of all tests that `make check' runs."""
    folder, run = os.path.join(zb.SRCDIR, "tests"), zb.read(os.path.join(zb.SRCDIR, "Makefile.am"))
    files = [file for file in os.listdir(folder) if re.search(rf"\ttests/{re.sub('[.]c$', '', file)} ", run)]
    return {name for file in files for name in re.findall(r"^(?:def )?(\w+)\((?:void)?\):?$", zb.read(os.path.join(folder, file)), re.M)}


def shown_by(*names):
    """Other tests show it; they must be there, and run."""
    return lambda: set(names) <= all_tests()


# The words of the page, and what has to be true then. A promise that is changed takes its row along, and each threat has
# a row at least.
PROMISES = [
    ("zbroker insists on a `security` line there", lambda: refuses(route(bind="tcp://*:*"), "security = none")),
    ("Keep secret parts and password files 0600, owned by root or the service's user; zbroker refuses others",
     lambda: check(curve(0o600))[0] and refuses(curve(0o640), "600") and refuses(curve(0o604), "600")),
    ("It accepts mode 0440 with one of its own groups, as orchestrators mount secrets, with a warning",
     lambda: check(curve(0o440))[0] and "0440" in check(curve(0o440))[1]),
    ("at most 1000 of one peer in a turn", lambda: number("wire/subscribers.c", "ASKED_A_TURN") == 1000),
    ("for which all peers together have a millisecond of each round",
     shown_by("test_live_messages_do_not_wait_for_a_crowd_that_looks_for_remembered_ones")),
    ("the log has ten lines for one side and address, and then one a second that counts the others",
     shown_by("test_denied_topics_of_one_address_are_summed_up_over_all_its_connections")),
    ("No other user may be able to write to `acl`, `users`, certificates and the folders that contain them",
     lambda: all(refuses(ini, ": chmod ") for ini in (acl(0o666), users(0o666), opened_to_others("file"), opened_to_others("folder")))),
    ("What no line allows is denied", shown_by("test_acl_is_kept_or_refused_on_each_side_between_all_types_with_each_engine",
                                               "test_acl_of_readers_is_kept_or_refused_beside_every_key_of_a_publishing_side")),
    ("while no handler answers, it accepts no client",
     shown_by("test_while_the_handler_stands_still_nobody_comes_in")),
    ("an unknown name takes as long as a known one", shown_by("passwords_are_checked_in_order_and_remembered")),
    ("engine wire accepts them where `security = none` and nowhere else; libzmq's sockets refuse them everywhere",
     shown_by("test_peers_of_zmtp_1_and_2")),
    ("takes at most 8 KiB", lambda: number("zmtp/handshake.h", "HANDSHAKE_MEMORY_MAX") == 8192),
    ("such connections get a tenth of the descriptors, and when all are taken, the oldest from the address with most of them is closed first",
     shown_by("test_strangers_make_room_for_each_other_where_most_come_from")),
    ("may fail 200 handshakes at once and then 50 a second",
     lambda: number("wire/strangers.h", "STRANGERS_FAILURES_MOST") == 200 and number("wire/strangers.c", "FORGIVEN_EVERY_MS") == 1000 / 50),
    ("gives its place back within a second after our system has heard of its end, also while the route does not read from it",
     shown_by("test_a_client_that_has_left_gives_its_place_back_though_nobody_reads_what_it_sent")),
    ("libzmq aborts when a peer that is held up disconnects after a PING",
     shown_by("test_a_peer_breaks_off_while_it_is_held_up_and_heartbeats_go_on", "test_a_peer_breaks_off_with_a_ping_behind_what_is_held_up")),
    ("engine wire: `max_parts`, `max_memory`, `max_subscriptions`, `max_topic`",
     shown_by("test_a_message_of_too_many_parts_ends_its_connection", "test_no_more_is_read_than_memory_allows",
              "test_subscriptions_over_the_total_are_refused_and_counted")),
    ("so it can forge neither a line nor a key",
     shown_by("test_no_name_writes_a_key_or_a_line", "test_a_topic_that_looks_like_a_tail_is_none")),
    ("also those that change the direction of text", shown_by("test_shown_text_keeps_its_direction")),
    ("a warning when the name is not that of the file, or occurs twice",
     shown_by("test_names_in_certificates_that_are_not_what_they_seem_are_warned_of")),
    ("engine zmq refuses an `acl` for readers", lambda: refuses(acl(0o640, "zmq"), "engine = wire can")),
    ("what a peer says of itself in its handshake gives no rights and is not logged as a user",
     shown_by("test_an_upstream_is_not_who_it_says_it_is", "test_a_user_is_not_who_it_says_it_is_besides_its_password",
              "test_a_stranger_is_not_who_it_says_it_is_where_nobody_is_asked",
              "test_a_line_that_goes_by_what_a_client_says_of_itself_only_denies")),
    ("as long as no more than 65536 clients have left before theirs", lambda: number("wire/request.c", "OWNED_MOST") == 65536),
    ("no other user can have it while replies are on the way", shown_by("test_a_reply_goes_to_the_user_who_asked")),
    ("a late reply to an earlier process is dropped", shown_by("test_old_answers_reach_no_new_client")),
    ("of two connections with one name the second is refused",
     shown_by("test_names_are_told_apart", "test_a_user_is_known_by_the_name_that_was_verified", "test_a_second_peer_of_a_name_is_refused")),
    ("an ID of an acknowledged producer counts for its user only; a job counts only for the connection that it was given to",
     shown_by("test_an_id_belongs_to_the_user_who_sends_it", "test_a_job_means_nothing_in_the_mouth_of_another")),
    ("a reload disconnects it at once; with engine wire no other client, with engine zmq all clients of the side",
     shown_by("test_a_reload_lets_a_new_key_in_and_cuts_a_removed_one",
              "test_a_removed_user_is_cut_over_libzmqs_sockets_and_the_others_come_again")),
    ("mode and group before the first accept", shown_by("test_mode_and_group_are_as_configured", "test_a_second_daemon_leaves_the_path_to_the_first")),
    ("the control socket's mode and group; every change is logged with the peer's uid",
     shown_by("test_who_may_connect_is_the_mode_of_the_file", "test_states_and_blocked")),
    ("only root and the service's user may ask for an upgrade", shown_by("test_only_root_and_the_service_may")),
    ("which nobody else may be able to change", shown_by("test_another_program_changes_nothing", "test_a_program_that_cannot_take_over_is_refused")),
    ("a state that is wrong costs its connections, not the process",
     shown_by("test_a_state_that_is_wrong_is_no_obstacle", "test_what_is_not_sealed_is_not_read")),
    ("the folder of a store is 0700 and its files 0600", shown_by("test_the_folder_is_ours_alone_and_made_if_it_is_missing")),
    ("what is damaged is skipped and counted", shown_by("test_garbage_in_the_folder_does_no_harm", "test_of_damaged_files_all_that_is_whole_is_delivered")),
    ("takes an open file from its client and opens none by name; files that it includes must be below the folder of the daemon's own file",
     shown_by("test_a_plan_reads_the_file_of_who_asks_and_not_of_the_daemon", "test_a_plan_includes_only_what_is_below_the_folder_of_the_configuration")),
    ("no message repeats a line that cannot be parsed", shown_by("test_no_answer_repeats_a_line_of_a_file_that_is_no_configuration")),
    ("only endpoints of the daemon's own file are ever bound", shown_by("test_a_plan_binds_nothing_for_a_file_that_was_handed_in")),
    ("`tls://` checks the server's name and certificate",
     shown_by("test_a_server_is_known_by_its_certificate_and_knows_us_by_ours", "test_a_server_with_the_certificate_of_another_is_not_talked_to")),
    ("credentials over `nats://` beyond loopback are refused unless `nats_insecure = yes`",
     lambda: refuses(nats("nats = nats://192.0.2.1:4222", "nats_user = a"), "in the clear") and
     "in the clear" not in check(nats("nats = nats://192.0.2.1:4222", "nats_user = a", "nats_insecure = yes"))[1]),
    ("a URL with a password in it is refused", lambda: refuses(nats("nats = nats://a:secret@127.0.0.1:4222"), "without user and password")),
    ("a topic must be under its own subject", shown_by("test_a_message_of_another_client_of_nats_reaches_subscribers")),
    ("what a reader may read is checked for each of them", shown_by("test_rights_hold_for_what_comes_from_the_stream")),
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
    ("GET and HEAD only, exactly one `Host`, which must be an address or a name of this machine, at most one length of the request, no CORS, a strict Content-Security-Policy",
     page_is_closed),
]


def words_of(path):
    return " ".join(zb.read(os.path.join(zb.SRCDIR, path)).split())


def is_so(check_it):
    try:
        return check_it()
    except zb.Skip:
        return True  # there is no such part in this build


def test_the_page_promises_what_is_so():
    page = words_of("SECURITY.md")
    wrong = [words for words, _ in PROMISES if words not in page]
    assert not wrong, f"SECURITY.md no longer says {wrong}"
    broken = [words for words, check_it in PROMISES if not is_so(check_it)]
    assert not broken, f"SECURITY.md says what is not so: {broken}"


def test_every_threat_has_something_that_shows_its_defence():
    threats = re.findall(r"^\| .*\|$", zb.read(os.path.join(zb.SRCDIR, "SECURITY.md")), re.M)[2:]
    bare = [line for line in threats if not any(words in line for words, _ in PROMISES)]
    assert len(threats) > 20 and not bare, bare


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

# SPDX-License-Identifier: MPL-2.0
"""Typical mistakes of a configuration: each is told at its place, with its cause and what to write instead."""

import re

import zb

# What comes before and behind the lines of a mistake, so that they are all that is wrong.
ENDS = "[route r]\ntype = streamer\nfrontend_bind = ipc://@{}/in\nbackend_bind = ipc://@{}/out\n"
OPEN = "[route r]\ntype = streamer\nbackend_bind = ipc://@{}/out\n"
TYPED = "[route r]\nfrontend_bind = ipc://@{}/in\nbackend_bind = ipc://@{}/out\n"
CURVE = ENDS + "frontend_security = curve\nfrontend_client_certs = any\n"

# What comes first, the lines of the mistake, and all that is said of it: LINE of the mistake, from 1, and COLUMN; words.
# {} is a folder of the test.
MISTAKES = [
    # Keys and values of other programs.
    (TYPED, "type = pubsub", ["1:8: error: [route r] type: unknown type \"pubsub\"; did you mean forwarder?"]),
    (TYPED, "type = reqrep", ["1:8: error: [route r] type: unknown type \"reqrep\"; did you mean queue?"]),
    (TYPED, "type = broker", ["1:8: error: [route r] type: unknown type \"broker\"; did you mean queue?"]),
    (TYPED, "type = pushpull", ["1:8: error: [route r] type: unknown type \"pushpull\"; did you mean streamer?"]),
    (TYPED, "type = proxy", ["1:8: error: [route r] type: unknown type \"proxy\"; did you mean forwarder, queue or streamer?"]),
    (TYPED, "type = XSUB", ["1:8: error: [route r] type: unknown type \"XSUB\"; did you mean forwarder?"]),
    (TYPED, "tpye = streamer", ["1:1: error: [route r] tpye: unknown key; did you mean type?"]),
    (TYPED, "type: streamer", ["1:1: error: [route r] the line is not KEY = VALUE"]),
    (TYPED, "type =", ["1:7: error: [route r] type: the value is missing"]),
    (OPEN, "listen = tcp://127.0.0.1:5555", ["1:1: error: [route r] listen: which side? Write frontend_bind or backend_bind"]),
    (OPEN, "bind = tcp://127.0.0.1:5555", ["1:1: error: [route r] bind: which side? Write frontend_bind or backend_bind"]),
    (OPEN, "endpoint = tcp://127.0.0.1:5555", ["1:1: error: [route r] endpoint: which side? Write frontend_bind or backend_bind"]),
    (OPEN, "frontend = tcp://127.0.0.1:5555", ["1:1: error: [route r] frontend: unknown key; did you mean frontend_bind?"]),
    (OPEN, "frontend_endpoint = tcp://127.0.0.1:5555", ["1:1: error: [route r] frontend_endpoint: unknown key; did you mean frontend_bind?"]),
    (ENDS, "tls = yes", ["1:1: error: [route r] tls: unknown key; did you mean security?"]),
    (ENDS, "security = ssl", ["1:12: error: [route r] security: unknown value \"ssl\"; did you mean curve?"]),
    (ENDS, "ZMQ_SNDHWM = 10", ["1:1: error: [route r] ZMQ_SNDHWM: unknown key; did you mean sndhwm?"]),
    (ENDS, "backend_ZMQ_SNDHWM = 10", ["1:1: error: [route r] backend_ZMQ_SNDHWM: unknown key; did you mean backend_sndhwm?"]),
    (ENDS, "sndhvm = 10", ["1:1: error: [route r] sndhvm: unknown key; did you mean sndhwm?"]),
    (ENDS, "drain_timeout = 5s", ["1:1: error: [route r] drain_timeout: belongs in [zbroker]"]),
    ("[zbroker]\n", "log_level = warn", ["1:13: error: [zbroker] log_level: unknown value \"warn\"; did you mean warning?"]),
    ("", "[global]", ["1:2: error: [global]: unknown section; did you mean [zbroker]?"]),
    ("", "[frontend prices]", ["1:2: error: [frontend prices]: unknown section; did you mean [route prices]?"]),
    # Numbers and lists.
    (ENDS, "sndhwm = -1", ["1:10: error: [route r] sndhwm: \"-1\" is out of range, 0 to 2147483647; 0 is no limit"]),
    (ENDS, "sndhwm = 10k", ["1:10: error: [route r] sndhwm: \"10k\" is not a number; a count has no unit, write 10000"]),
    ("[zbroker]\n", "max_clients = 2M", ["1:15: error: [zbroker] max_clients: \"2M\" is not a number; a count has no unit, write 2000000"]),
    (ENDS, "linger = 5 s", ["1:10: error: [route r] linger: \"5 s\" is not a time such as 500ms, 10s, 5m or 1h"]),
    (ENDS, "tcp_keepalive = yes # please", ["1:17: error: [route r] tcp_keepalive: \"yes # please\" is not yes or no; a comment after a value begins with \" ;\", not with #"]),
    (ENDS, "allow = 10.0.0.0/8 192.168.1.7", ["1:19: error: [route r] allow: a comma is missing, as in 10.0.0.0/8, fd00::1"]),
    (ENDS, "sndhwm = 1\nsndhwm = 2", ["2:1: error: [route r] sndhwm: is given twice, first in {}/m.ini:5"]),
    # Quotes.
    (TYPED, "type = \"streamer\"", ["1:8: error: [route r] type: unknown type \"\"streamer\"\"; did you mean streamer?; quotes are part of a value, leave them out"]),
    (OPEN, "frontend_bind = 'ipc://@x'", ["1:17: error: [route r] frontend_bind: unknown transport \"'ipc\"; did you mean ipc://?; quotes are part of a value, leave them out"]),
    ("[zbroker]\n", "control = \"{}/control\"", ["1:11: warning: [zbroker] control: the quotes are part of the value; leave them out"]),
    (ENDS.replace("streamer", "custom\nfrontend_type = SUB\nbackend_type = PUB"), "subscribe = \"\"", ["1:13: warning: [route r] subscribe: the quotes are part of the value; leave them out"]),
    # Engines.
    (ENDS.replace("streamer", "custom\nengine = wire\nbackend_type = DEALER"), "frontend_type = XSUB",
     ["1:17: error: [route r] frontend_type: engine = wire joins XSUB with XPUB only"]),
    (ENDS.replace("streamer", "custom\nbackend_type = SCATTER"), "frontend_type = \"XY\"",
     ["1:17: error: [route r] frontend_type: unknown socket type \"\"XY\"\"; expected PAIR, PUB, SUB, DEALER, ROUTER, PULL, PUSH, XPUB, XSUB, STREAM, "
      "GATHER, SCATTER; quotes are part of a value, leave them out"]),
    # Endpoints.
    (OPEN, "frontend_bind = tcp://127.0.0.1", ["1:23: error: [route r] frontend_bind: the port is missing, as in *:5555"]),
    (OPEN, "frontend_bind = tcp://127.0.0.1:5000-5010", ["1:33: error: [route r] frontend_bind: \"5000-5010\" is not a port, 1 to 65535, or * for a free one"]),
    (OPEN, "frontend_bind = tcp://::1:5555", ["1:23: error: [route r] frontend_bind: an IPv6 address needs brackets, as in [::1]:5555"]),
    (OPEN, "frontend_bind = tcp://broker.example.com:5555",
     ["1:23: error: [route r] frontend_bind: \"broker.example.com\" is not an address, interface or *; a host name cannot be bound"]),
    (OPEN, "frontend_bind = tcp://nosuchif0:5555",
     ["1:17: warning: [route r] frontend_bind: this host has no interface \"nosuchif0\"; a host name cannot be bound, an address or * can",
      "1:17: error: [route r] frontend_bind: tcp://nosuchif0:5555 is open to the network and nothing says who may come in; add \"security = none\", or plain, curve or gssapi"]),
    (OPEN, "frontend_connect = tcp://*:5555", ["1:26: error: [route r] frontend_connect: * can be bound, not connected to; write a host"]),
    (OPEN, "frontend_bind = ipc://run/x", ["1:17: warning: [route r] frontend_bind: \"run/x\" is relative to the folder that zbroker is started in; a path begins with /"]),
    (ENDS, "frontend_connect = ipc://@{}/out", ["1:20: warning: [route r] frontend_connect: ipc://@{}/out is the backend of [route r]: messages go round in a circle, without end"]),
    # Files.
    (ENDS, "frontend_acl = acl", ["1:16: warning: [route r] frontend_acl: {}/acl:2:7: this word is taken as part of the topic; did you mean read?"]),
    (ENDS, "capture_bind = tcp://127.0.0.1:*\ncapture_acl = rights",
     ["2:15: warning: [route r] capture_acl: its readers do not see all that passes, only what they may read"]),
    (ENDS, "frontend_acl = none", ["1:16: error: [route r] frontend_acl: {}/none: cannot open: No such file or directory"]),
    (ENDS, "frontend_security = plain\nusers = passwd", ["2:9: error: [route r] users: {}/passwd:1:7: not a password hash: make one with zbroker-keygen password"]),
    (CURVE, "server_cert = none", ["1:15: error: [route r] server_cert: {}/none: cannot open: No such file or directory"]),
    (CURVE, "server_cert = passwd", ["1:15: error: [route r] server_cert: {}/passwd: no public-key in section curve"]),
]


def said(folder, before, lines):
    """What is said of LINES behind BEFORE: "LINE:COLUMN: …", LINE counted from where they begin."""
    head = before.replace("{}", folder)
    file = zb.write(folder + "/m.ini", head + lines.replace("{}", folder) + "\n")
    result = zb.run("-t", "-c", file)
    found = [re.match(re.escape(file) + r":(\d+):(\d+: (?:error|warning): .*)", line) for line in result.stderr.splitlines()]
    assert found and all(found), (lines, result.stderr)
    return [f"{int(match[1]) - head.count(chr(10))}:{match[2]}" for match in found]


def test_each_mistake_is_told_at_its_place_with_its_cause_and_what_to_write():
    folder = zb.folder()
    zb.write(folder + "/rights", "topic read news/#\n", 0o600)
    zb.write(folder + "/acl", "user alice\ntopic raed news/#\n", 0o600)
    zb.write(folder + "/passwd", "alice:swordfish\n", 0o600)
    wrong = []
    for before, lines, expected in MISTAKES:
        expected = [line.replace("{}", folder) for line in expected]
        heard = [line for line in said(folder, before, lines) if not line.endswith("nothing will be forwarded")]
        if heard != expected:
            wrong.append(f"{lines!r}:\n  said     {heard}\n  expected {expected}")
    assert not wrong, f"{len(wrong)} of {len(MISTAKES)}:\n" + "\n".join(wrong)


if __name__ == "__main__":
    zb.main()

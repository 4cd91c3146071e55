# SPDX-License-Identifier: MPL-2.0
"""The other engine: what every route promises, over libzmq's sockets. The files of this folder run with engine
wire wherever that can be (auto). Those about the way of messages through a route run here with engine = zmq; whoever
changes src/zmq runs all of them so:

    ZB_ENGINE=zmq make -j4 check
"""

import importlib
import os

os.environ["ZB_ENGINE"] = "zmq"

import zb  # noqa: E402, its engine is that of the environment

CHOSEN = ("routes", "blocked", "pause", "ipc")
WHO_COMES_IN = {
    "auth_curve": (
        "test_curve_lets_friends_through_and_strangers_not",
        "test_a_reload_lets_a_new_key_in_and_cuts_a_removed_one",
    ),
    "auth_plain": ("test_denied_addresses_stay_out_also_after_a_reload",),
    "rights": (
        "test_an_upstream_is_not_who_it_says_it_is",
        "test_a_user_is_not_who_it_says_it_is_besides_its_password",
        "test_a_line_that_goes_by_what_a_client_says_of_itself_only_denies",
        "test_each_side_has_rights_of_its_own",
        "test_a_route_that_leaves_keeps_its_rights",
    ),
}


def tests_of(name):
    module = importlib.import_module(name)
    return [(f"{name}: {key}", value) for key, value in vars(module).items() if key.startswith("test_") and callable(value)]


main, zb.main = zb.main, lambda: None  # a file runs its own tests when it is read
found = [test for name in CHOSEN for test in tests_of(name)]
for name, wanted in WHO_COMES_IN.items():
    tests = dict(tests_of(name))
    found += [(f"{name}: {each}", tests[f"{name}: {each}"]) for each in wanted]
zb.main = main
zb.main(found)

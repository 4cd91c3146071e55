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


def tests_of(name):
    module = importlib.import_module(name)
    return [(f"{name}: {key}", value) for key, value in vars(module).items() if key.startswith("test_") and callable(value)]


main, zb.main = zb.main, lambda: None  # a file runs its own tests when it is read
found = [test for name in CHOSEN for test in tests_of(name)]
zb.main = main
zb.main(found)

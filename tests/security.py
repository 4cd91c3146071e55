# SPDX-License-Identifier: MPL-2.0
"""What SECURITY.md promises, as far as no feature's own tests look at it."""

import os
import shutil

import zb


def owner_of_memory(core_limit):
    """Who owns what /proc shows of a daemon's memory: its user (True), or root, because it is closed to its user."""
    folder = zb.folder()
    wrap = ["sh", "-c", f"ulimit -S -c {core_limit} && exec \"$@\"", "sh"]
    uid = os.geteuid()
    if uid == 0:
        if not shutil.which("setpriv"):
            raise zb.Skip("no setpriv")
        uid = 65534
        os.chown(folder, uid, uid)
        wrap += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    with zb.Daemon("[zbroker]\n", folder=folder, wrap=wrap) as daemon:
        assert daemon.ctl("status").stdout.count("descriptors ") == 1
        return os.stat(f"/proc/{daemon.pid}/mem").st_uid == uid


def test_memory_is_closed_to_other_processes_of_the_user_where_no_core_may_be_dumped():
    assert not owner_of_memory(0)
    assert owner_of_memory(1)


zb.main()

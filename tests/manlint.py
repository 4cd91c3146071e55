# SPDX-License-Identifier: MPL-2.0
"""Every manual page is clean under mandoc -T lint, filled in, and there for every program."""

import glob
import os
import re
import shutil
import subprocess

import zb

PAGES = sorted(glob.glob(os.path.join(zb.BUILDDIR, "man", "*.[0-9]")))


def lint(page):
    def test():
        if not shutil.which("mandoc"):
            raise zb.Skip("no mandoc")
        result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        assert result.returncode == 0 and not result.stdout, result.stdout
        left = re.findall(r"@[A-Za-z_]+@", zb.read(page))
        assert not left, f"not filled in: {left}"
    return "mandoc finds nothing in " + os.path.basename(page), test


def test_every_program_has_a_page():
    makefile = zb.read(os.path.join(zb.SRCDIR, "Makefile.am"))
    programs = re.findall(r"^(?:s?bin)_PROGRAMS = *(.*)$", makefile, re.M)
    programs = {name for line in programs for name in line.split()}
    paged = {os.path.basename(page).rsplit(".", 1)[0] for page in PAGES}
    assert programs and not programs - paged, f"no manual page: {programs - paged}"


zb.main([("every program has a page", test_every_program_has_a_page)] + [lint(page) for page in PAGES])

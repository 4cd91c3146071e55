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
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * zb.SLOW)
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


COLUMNS = 78
GUTTER = 4  # groff's, between columns
MACROS = {"Ar", "Cm", "Dq", "Em", "Fl", "Ic", "Li", "No", "Pa", "Ql", "Sx", "Sy", "Xr"}


def words(cell):
    return " ".join(word for word in cell.split() if word not in MACROS).replace(" ,", ",")


def overflowing(page):
    """Cells that a terminal of 80 columns breaks, as groff does, into a line for each word."""
    for widths, offset, rows in re.findall(r"^\.Bl -column (.*?)( -offset indent)?\n(.*?)^\.El", page, re.M | re.S):
        widths = [len(width) for width in re.findall(r'"(.*?)"', widths)]
        for row in re.findall(r"^\.It (.*)$", rows, re.M):
            cells = [words(cell) for cell in re.split(r" ?\bTa\b ?", row)]
            left = [width + GUTTER for width in widths[:len(cells) - 1]]
            room = [*(each - 1 for each in left), COLUMNS - 5 - (6 if offset else 0) - sum(left)]
            yield from (cell for cell, most in zip(cells, room) if len(cell) > most)


def test_tables_fit_80_columns():
    for page in PAGES:
        broken = list(overflowing(zb.read(page)))
        assert not broken, f"{page}: {broken}"


OFFSET = 12  # groff's, of an example


def command_lines(page):
    """What is to be typed, line by line: a command that ends in a backslash goes on."""
    for block in re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed", page, re.M | re.S):
        goes_on = False
        for line in re.sub(r"\\[&]", "", block).replace("\\e", "\\").splitlines():
            if goes_on or line.startswith(("$ ", "# ")):
                yield line
                goes_on = line.endswith("\\")


def test_commands_fit_80_columns():
    for page in PAGES:
        broken = [line for line in command_lines(zb.read(page)) if len(line) > 80 - OFFSET]
        assert not broken, f"{page}: {broken}"


zb.main([("every program has a page", test_every_program_has_a_page), ("tables fit 80 columns", test_tables_fit_80_columns),
         ("commands fit 80 columns", test_commands_fit_80_columns)] + [lint(page) for page in PAGES])

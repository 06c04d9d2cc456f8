"""The table on the terminal says every number, and what must not be believed."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from toolkit.report import Comparison, judge, methods_table


def printed(results, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(Comparison(results))
    return console.file.getvalue()


def row_of(text, method):
    return next(line for line in text.splitlines() if line.lstrip("│ ").startswith(f"{method} "))


@pytest.mark.parametrize("width", [80, 132, 200])
def test_numbers(results, width):
    text = printed(results, width)
    assert "1.40" in row_of(text, "nsbi")
    assert "[0.30, 2.40]" in row_of(text, "nsbi")
    assert "[0.00, 3.10]*" in row_of(text, "nsbi")
    assert "1.90 (inflated)" in row_of(text, "nsbi")
    assert "0.54 " in row_of(text, "m4l")
    assert "inflated" not in row_of(text, "m4l")
    assert "! nsbi: t(0) is inflated: fits mu = 1.40 ± 0.10 where 1 is true (4.0" in text
    assert "* reaches the edge of the allowed range [0, 6]." in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_disjoint_intervals_stand_below_each_other(results):
    lines = printed(results, 140).splitlines()
    k = lines.index(row_of("\n".join(lines), "m4l"))
    assert "[0.00, 0.20]*" in lines[k]
    assert "[0.70, 2.30] " in lines[k + 1]


def test_closure_points_with_error_and_pull(results):
    lines = printed(results, 140).splitlines()
    k = lines.index(row_of("\n".join(lines), "nsbi"))
    assert "2.10 ± 0.10" in lines[k]
    assert lines[k + 1].count("(+4.0) !") == 3
    assert "biased" in lines[k]
    assert "compatible" in row_of("\n".join(lines), "score")


def test_narrow_terminals_get_two_tables(results):
    assert printed(results, 80).count("┏") == 2
    assert printed(results, 140).count("┏") == 1
    assert "…" not in printed(results, 80)


def test_flagged_rows_are_coloured(results):
    table = methods_table(results)
    assert [row.style for row in table.rows] == [None, None, None, "bold red"]


def test_without_closure_nothing_is_trusted(results):
    bare = replace(results, closure=())
    text = printed(bare, 140)
    assert text.count("closure was not tested") == 4
    assert "1.90 (unsure)" in text
    assert all(v.status == "untested" for v in judge(bare))

"""The table on the terminal says every number, and what must not be believed."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from toolkit.diagnostics.closure import DEFINITION
from toolkit.likelihood.parameter_results import ParameterInfo
from toolkit.likelihood.results import ClosurePoint
from toolkit.report import Comparison, judge, methods_table


def printed(results, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(Comparison(results))
    return console.file.getvalue()


def row_of(text, method):
    return next(line for line in text.splitlines() if line.lstrip("│ ").startswith(f"{method} "))


@pytest.mark.parametrize("width", [80, 200])
def test_numbers(results, width):
    text = printed(results, width)
    assert "1.40" in row_of(text, "nsbi")
    assert "[0.30, 2.40]" in row_of(text, "nsbi")
    assert "[0.00, 3.10]*" in row_of(text, "nsbi")
    assert "1.90 ± 0.47" in row_of(text, "nsbi")
    assert "biased" in row_of(text, "nsbi")
    assert "0.54 " in row_of(text, "m4l")
    assert "compatible" in row_of(text, "m4l")
    assert " ".join(text.split()).count("! nsbi: biased, fits mu = ") == 1
    assert DEFINITION.partition(";")[0][:60] in text
    assert "* reaches the edge of the allowed range [0, 6]." in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_disjoint_intervals_stand_below_each_other(results):
    lines = printed(results, 140).splitlines()
    k = lines.index(row_of("\n".join(lines), "m4l"))
    assert "[0.00, 0.20]*" in lines[k]
    assert "[0.70, 2.30] " in lines[k + 1]


def test_closure_points_with_error_and_pull(results):
    lines = printed(results, 140).splitlines()
    k = [i for i, line in enumerate(lines) if line.lstrip("│ ").startswith("nsbi ")][1]
    assert "2.10 ± 0.10" in lines[k]
    assert lines[k + 1].count("(+4.0) !") == 3
    assert "biased" in lines[k]
    assert "compatible" in row_of("\n".join(lines), "score")


def test_a_narrow_terminal_shows_all(results):
    assert printed(results, 80).count("┏") == printed(results, 140).count("┏") == 3
    assert "…" not in printed(results, 80)


def test_flagged_rows_are_coloured(results):
    table = methods_table(results)
    assert [row.style for row in table.rows] == [None, None, None, "bold red"]


def test_without_closure_nothing_is_trusted(results):
    bare = replace(results, closure=())
    text = printed(bare, 140)
    assert text.count("not tested (simulation too small), there are no closure points.") == 4
    assert all(v.word == "not_tested" for v in judge(bare))


def test_errors_beside_the_allowed_range_decide_whether_anything_is_tested(results):
    """A quarter of [0, 6] is 1.5: an error of 1.6 tests nothing, the same one in a range of 20 does."""
    wide = tuple(ClosurePoint(p.mu, p.mu, 1.6, p.method) for p in results.closure)
    for high, word in ((6.0, "not_tested"), (20.0, "compatible")):
        known = {"mu": ParameterInfo("interest", (0.0, high), 1.0)}
        assert {v.word for v in judge(replace(results, closure=wide, parameters=known))} == {word}

"""One test, one set of words: terminal, page and JSON say the same of every method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.report.test_table import printed
from tests.vocabulary import OTHER_WORDS, check_words
from toolkit.likelihood.parameter_results import ParameterInfo
from toolkit.likelihood.results import ClosurePoint, Results
from toolkit.report import Provenance, build_page, judge, write_page, write_results


def test_all_three_verdicts_have_one_word_each(results: Results, tmp_path: Path) -> None:
    known = {"mu": ParameterInfo("interest", (0.0, 6.0), 1.0)}
    closure = tuple(replace(p, standard_error=1.6) if p.method == "rate" else p for p in results.closure)
    judged = replace(results, closure=closure, parameters=known)
    write_results(tmp_path / "results.json", judged)
    write_page(tmp_path / "report.html", build_page(judged, judge(judged), None, {}, title="words", provenance=Provenance()))
    words = check_words(tmp_path / "results.json", tmp_path / "report.html")
    assert words == {"rate": "not_tested", "m4l": "compatible", "score": "compatible", "nsbi": "biased"}


def test_a_large_deviation_within_its_error_is_compatible(results: Results) -> None:
    far = ClosurePoint(1.0, 0.6, 0.66, "m4l")
    assert {v.method: v.word for v in judge(replace(results, closure=(far,)))}["m4l"] == "compatible"


@pytest.mark.parametrize("text", ["0.70 (deflated?)", "closure is too imprecise to tell", "m4l did not pass the closure test"])
def test_other_words_are_found(text: str) -> None:
    assert OTHER_WORDS.search(text)


def test_the_first_table_has_the_bounds_with_errors_and_gains(results: Results) -> None:
    page = build_page(results, judge(results), None, {}, title="words", provenance=Provenance())
    table = page.sections[0].tables[0]
    assert table.columns == ("method", "t(μ = 0) of the fit", "μ = 1 against 0", "μ = 1 against 2.5", "μ = 3 against 0")
    rows = {row[0]: row[1:] for row in table.rows}
    bound = "0.540 ± 0.050\nx 3.519 ± 0.040"
    assert rows["m4l histogram"] == ("0.54 ± 0.22\nx 3.52 ± 0.50", bound, bound, bound)
    assert rows["NSBI, unbinned"][0] == "1.90 ± 0.47"
    assert "a ln r - b (r - 1)" in table.note
    text = printed(results, 80)
    assert "x 3.519 ± 0.040" in text
    assert "μ = 1 against 2.5" in text
    assert max(len(line) for line in text.splitlines()) <= 80

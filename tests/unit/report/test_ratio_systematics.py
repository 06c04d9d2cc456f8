"""The part of the report on learned variations: decisions, quality, plots."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from toolkit.diagnostics.variations import diagnose_variation
from toolkit.plots import PlotStyle
from toolkit.report.ratio_systematics import decisions_document, variation_jobs, variations_section
from toolkit.weights.pairs import EventPairs

N = 4_000


def entry(shape: str, *, separation: float, shift: float = 0.05) -> dict[str, Any]:
    """What models/systematics.json says of a Gaussian that moves, both ways."""
    x = np.random.default_rng(1).normal(size=N)
    weights = np.full((N, 1), 0.5)
    directions = {}
    for sign, direction in ((1.0, "up"), (-1.0, "down")):
        pairs = EventPairs(("q",), np.arange(N, dtype=np.uint64), {"m4l": x}, {"m4l": x + sign * shift}, weights, weights)
        logs = [sign * shift * side["m4l"] for side in (pairs.nominal, pairs.varied)]
        found = diagnose_variation(pairs, (logs[0], logs[1]), "q", edges={"m4l": np.linspace(-3.0, 3.0, 7)})
        judged = {"significance": 9.0, "separation": separation}
        directions[direction] = {"yield_ratio": 1.0 + sign * 0.02, "out_of_bag": judged, "test": found.to_json()}
    return {"shape": shape, "yield": "kept", "directions": directions}


@pytest.fixture(scope="module")
def variations() -> dict[str, Any]:
    nothing = {"shape": "changes nothing", "yield": "changes nothing", "directions": {"up": {"yield_ratio": 1.0}}}
    found = {
        "scale": {"ggF_S": entry("negligible: separation 0.01 < 0.02", separation=0.01), "qqZZ": entry("kept", separation=3.0)},
        "smear": {"ggF_S": nothing, "qqZZ": nothing},
    }
    document: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return document


def test_every_decision_has_a_row(variations: dict[str, Any]) -> None:
    section = variations_section(variations, ())
    decisions, quality = section.tables
    assert [(row[0], row[1], row[-1]) for row in decisions.rows] == [
        ("scale", "ggF_S", "negligible: separation 0.01 < 0.02"),
        ("scale", "qqZZ", "kept"),
        ("smear", "ggF_S", "changes nothing"),
        ("smear", "qqZZ", "changes nothing"),
    ]
    assert decisions.flagged == {2, 3}
    assert [row[:2] for row in quality.rows] == [(f"scale {d}", p) for p in ("ggF_S", "qqZZ") for d in ("up", "down")]
    assert float(quality.rows[0][2].split()[0]) == pytest.approx(1.0, abs=0.1)
    assert quality.rows[0][5].startswith("m4l: ")


def test_one_plot_for_each_shape_that_is_used(variations: dict[str, Any]) -> None:
    (job,) = variation_jobs(variations, style=PlotStyle())
    assert (job.part, job.name) == ("variations", "variation_scale")
    assert "qqZZ" in job.caption
    figure = job.draw()
    found = figure.numbers["directions"]["up"][0]
    expected = variations["scale"]["qqZZ"]["directions"]["up"]["test"]["closures"][0]
    assert found["varied"] == expected["varied"]
    assert found["reweighted"] == expected["reweighted"]
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(drawn[0], np.divide(expected["reweighted"], expected["nominal"]))


def test_results_hold_decisions_without_histograms(variations: dict[str, Any]) -> None:
    document = decisions_document(variations)
    assert document["scale"]["qqZZ"]["shape"] == "kept"
    assert document["scale"]["qqZZ"]["directions"]["up"]["test"]["slope"] == pytest.approx(1.0, abs=0.1)
    assert "closures" not in document["scale"]["qqZZ"]["directions"]["up"]["test"]
    assert "closures" in variations["scale"]["qqZZ"]["directions"]["up"]["test"]
    assert document["smear"]["ggF_S"]["directions"] == {"up": {"yield_ratio": 1.0}}

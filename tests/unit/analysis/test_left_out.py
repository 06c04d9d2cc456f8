"""The size of what the unbinned fit does not know of a variation, against closed forms."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.analysis.test_region_data import asimov_of
from tests.unit.analysis.two_regions import config_of, simulate
from toolkit.analysis import left_out
from toolkit.analysis.data import region_likelihood
from toolkit.analysis.left_out import judge, log_ratio_in_bins
from toolkit.analysis.lost import measure_loss
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod
from toolkit.analysis.nuisances import Ratios, Systematics
from toolkit.analysis.region_method import Part, RegionMethod
from toolkit.diagnostics.variations import close_variation
from toolkit.likelihood.uncertainties import minos
from toolkit.model import Region
from toolkit.report.left_out import left_out_notes, left_out_section
from toolkit.weights.pairs import EventPairs

N, EXPECTED, SHIFT = 40_000, 900.0, 0.1
EDGES = {name: np.linspace(-3.0, 3.0, 31) for name in ("m", "x", "still")}


def _pairs(seed: int, *, shift_m: float = 0.0, shift_x: float = SHIFT) -> EventPairs:
    """Three independent Gaussian observables of width 1; the variation moves two of them."""
    rng = np.random.default_rng(seed)
    m, x, still = rng.normal(size=(3, N))
    weights = np.full((N, 1), EXPECTED / N)
    nominal = {"m": m, "x": x, "still": still}
    varied = {"m": m + shift_m, "x": x + shift_x, "still": still}
    return EventPairs(("q",), np.arange(N, dtype=np.uint64), nominal, varied, weights, weights)


def _shape() -> Any:
    return SimpleNamespace(observable="m", templates=SimpleNamespace(edges=EDGES["m"]))


def _judge(training: EventPairs, test: EventPairs) -> Any:
    log_ratio = log_ratio_in_bins(training, test, _shape(), "q")
    closures = [("scale_up", closure) for closure in close_variation(test, log_ratio, "q", edges=EDGES, inflation=2.0)]
    return judge("scale", "q", closures, least=0.02)


def test_a_shift_that_the_histogram_does_not_see_is_left_out_whole() -> None:
    """A Gaussian shifted by delta standard deviations differs by sqrt(nu) delta standard deviations of nu events."""
    found = _judge(_pairs(1), _pairs(2))
    assert (found.systematic, found.variation, found.process, found.feature, found.features) == ("scale", "scale_up", "q", "x", ("x",))
    assert found.size == pytest.approx(np.sqrt(EXPECTED) * SHIFT, rel=0.05)
    assert found.size == pytest.approx(found.whole, rel=0.1)
    assert found.p < 1e-10


def test_what_the_histogram_sees_is_not_left_out() -> None:
    for seed in range(10, 20, 2):
        assert _judge(_pairs(seed, shift_m=SHIFT, shift_x=0.0), _pairs(seed + 1, shift_m=SHIFT, shift_x=0.0)) is None


def test_both_shifts_leave_the_unseen_one() -> None:
    found = _judge(_pairs(5, shift_m=2 * SHIFT), _pairs(6, shift_m=2 * SHIFT))
    assert found.features == ("x",)
    assert found.size == pytest.approx(np.sqrt(EXPECTED) * SHIFT, rel=0.07)


def test_a_variation_that_moves_no_feature_is_no_word_worth() -> None:
    assert _judge(_pairs(7, shift_x=0.0), _pairs(8, shift_x=0.0)) is None


def test_terminal_and_report_name_every_systematic_with_its_size() -> None:
    rows = [vars(_judge(_pairs(1), _pairs(2))) | {"systematic": name} for name in ("jet_scale", "muon_scale")]
    notes = left_out_notes([*rows, rows[0] | {"process": "other", "size": 0.1}])
    assert [note.split(": ")[1].split(" changes")[0] for note in notes] == ["jet_scale", "muon_scale"]
    assert "changes x of q by 3.0" in notes[0]
    loss = {"parameter": "mu", "error": 0.9, "error_known": 0.8, "shift": -0.1, "at_end": False, "known_at_end": False}
    assert "upper error of mu from 0.80 to 0.90, and" in left_out_notes([rows[0] | {"losses": [loss]}])[0]
    priced = left_out_section([rows[0] | {"losses": [loss]}, rows[1]]).tables[1]
    assert priced.rows == (("jet_scale", "mu", "0.80", "0.90", "-0.100"),)
    at_end = loss | {"error": 5.0, "at_end": True}
    assert "from 0.80 to 5.00 (the end of its range), and" in left_out_notes([rows[0] | {"losses": [at_end]}])[0]
    by_region = [rows[0] | {"region": region, "losses": [loss | {"parameter": p} for p in ("mu", "nu")]} for region in ("low", "high")]
    assert [row[:3] for row in left_out_section(by_region).tables[1].rows] == [
        (*("jet_scale", region), parameter) for region in ("low", "high") for parameter in ("mu", "nu")
    ]
    assert len(left_out_notes(by_region)) == 2
    (table,) = left_out_section(rows).tables
    assert [row[:3] for row in table.rows] == [("jet_scale", "q", "x"), ("muon_scale", "q", "x")]


def test_an_unbinned_region_is_looked_at_by_itself() -> None:
    """Each has the histogram of its own, and the pairs of which a side is inside: a side outside has no weight there."""
    low, high = Region("low", condition="m < 0"), Region("high", condition="m >= 0")
    shape = BinnedMethod("m_high", None, None, None, None, observable="m")  # type: ignore[arg-type]
    rate = BinnedMethod("rate_high", None, None, None, None)  # type: ignore[arg-type]
    unbinned = UnbinnedMethod("nsbi", None, None)  # type: ignore[arg-type]
    masks = (np.ones(2, dtype=bool),) * 2
    parts = (Part(high, unbinned, None, (rate, shape), *masks), Part(low, rate, None, (rate,), *masks))  # type: ignore[arg-type]
    method = RegionMethod("nsbi", None, "mu", parts)  # type: ignore[arg-type]
    assert left_out._places(SimpleNamespace(methods=(method,))) == [(high, shape)]  # type: ignore[arg-type]
    pairs = _pairs(11, shift_m=SHIFT)
    found = left_out._inside(high, pairs)
    before, after = pairs.nominal["m"], pairs.varied["m"]
    kept = after >= 0.0  # the shift moves events into the region only
    np.testing.assert_array_equal(found.event_id, pairs.event_id[kept])
    crossed = (before < 0.0)[kept]
    assert 100 < crossed.sum() < 3000
    np.testing.assert_array_equal(found.nominal_weights[:, 0] == 0.0, crossed)
    np.testing.assert_array_equal(found.varied_weights, pairs.varied_weights[kept])
    np.testing.assert_array_equal(found.nominal["m"], np.where(crossed, after[kept], before[kept]))
    row = vars(_judge(_pairs(1), _pairs(2))) | {"region": "high"}
    assert "changes x of q in high by" in left_out_notes([row])[0]


@pytest.mark.parametrize("end", [4.0, 1.1])
def test_the_price_in_a_region_is_that_of_a_fit_of_all_regions(end: float) -> None:
    """A tilt of the score that the unbinned region does not know: errors of fits with both regions, built here; an end of the range."""
    config = config_of(mu={"range": [0, end]})
    data = asimov_of(config)
    method: Any = next(m for m in data.methods if m.name == "score")
    histograms = {m.name: m for p in method.parts for m in p.siblings if isinstance(m, BinnedMethod)}
    up = np.ones_like(histograms["score"].templates.values)
    up[1] = np.linspace(0.7, 1.3, up.shape[1])  # of the background alone
    whole = Ratios(up, 1.0 / up)
    yields = [y[:, None] for y in whole.yields(histograms["score"].templates.values)]
    knows = {n: Ratios(*(y * np.ones_like(m.templates.values) for y in yields)) for n, m in histograms.items()}
    knows["CR"] = Ratios(*(np.ones_like(histograms["CR"].templates.values),) * 2)
    systematics = Systematics(ratios={name: {"X": r} for name, r in (knows | {"score": whole}).items()})
    (found,) = measure_loss(replace(data, systematics=systematics), "X", training=simulate(1), region="SR")
    errors = []
    for own in (whole, knows["score"]):
        varied = replace(systematics, ratios={**systematics.ratios, "score": {"X": own}})
        likelihood = region_likelihood(method, data.weights, varied)
        errors.append(minos(likelihood, likelihood.fit(), "mu"))
    assert found.parameter == "mu"
    assert (found.error, found.error_known) == pytest.approx([e.up for e in errors], rel=1e-4)
    assert (found.at_end, found.known_at_end) == ((end < 2.0,) * 2)
    if end > 2.0:
        assert abs(found.error - found.error_known) > 0.005

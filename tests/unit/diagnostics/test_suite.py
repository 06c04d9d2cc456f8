"""All diagnostics in one call: exact ratios pass, wrong ones fail where they are wrong, failures to check are told."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from toolkit.diagnostics import EstimateUnderTest, diagnose, process_summaries, reweighting_closure
from toolkit.diagnostics.suite import _measured
from toolkit.report.moment_tables import moments_page_table
from toolkit.report.wording import with_error


@pytest.fixture
def make_estimate(make_toy, morph):
    def make(n=12_000, seed=1, **changes):
        toy = make_toy(n, seed)
        estimate = EstimateUnderTest(
            events=toy.events,
            log_ratios=toy.log_ratios,
            reference=toy.reference,
            yields=toy.yields,
            coefficients=morph,
            benchmarks=("ggF_S", "ggF_SBI", "ggF_B"),
            backgrounds=("qqZZ",),
            features=("x",),
        )
        return replace(estimate, **changes)

    return make


def test_exact_ratios_pass_everything(make_estimate):
    seen = []
    suite = diagnose(make_estimate(), progress=lambda label, done, total: seen.append((label, done / total)))
    p_values = [c.test.p_value for c in (*suite.calibrations, *suite.reweightings)]
    assert min(p_values) > 1e-3
    assert suite.problems == ()
    assert suite.targets == ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ", "total, mu = 1")
    assert [c.observable for c in suite.of_target("qqZZ")] == ["x", "y", "z", "m_jj"]
    assert [c.trained_on for c in suite.of_target("qqZZ")] == [True, False, False, False]
    assert [(c.numerator, c.denominator) for c in suite.calibrations] == [
        ("ggF_S", "ggF_B"),
        ("ggF_S", "qqZZ"),
        ("ggF_SBI", "ggF_B"),
        ("ggF_SBI", "qqZZ"),
        ("mu = 0", "mu = 1"),
        ("mu = 4", "mu = 1"),
    ]
    assert seen[-1] == ("diagnostics", 1.0)
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(seen))


def test_the_parts_are_those_of_the_single_functions(make_estimate):
    estimate = make_estimate(n=3000, seed=2)
    suite = diagnose(estimate)
    one = suite.of_target("ggF_B")[1]
    again = reweighting_closure(
        estimate.events,
        estimate.log_ratios,
        observable="y",
        edges=one.edges,
        reference=estimate.reference,
        target="ggF_B",
        trained_on=False,
    )
    assert one.test == again.test
    assert suite.yields[0].expected[0] == pytest.approx(float(estimate.events.yields @ [0, 0, 1, 1]))
    assert suite.spectra[0].values.tolist() == [0.0, 1.0, 4.0]


def test_edges_and_observables_can_be_chosen(make_estimate):
    suite = diagnose(make_estimate(n=2000, observables=("y",), edges={"y": np.array([-1.0, 0.0, 2.0])}))
    assert {c.observable for c in suite.reweightings} == {"y"}
    assert suite.spectra[0].edges.tolist() == [-1.0, 0.0, 2.0]


def test_an_observable_without_values_is_left_out(make_estimate):
    estimate = make_estimate(n=2000)
    events = replace(estimate.events, observables={**estimate.events.observables, "m_jj": np.full(2000, np.nan)})
    assert replace(estimate, events=events).names == ("x", "y", "z")


def test_a_wrong_process_is_named(make_estimate):
    estimate = make_estimate(n=30_000, seed=3)
    wrong = estimate.log_ratios.copy()
    wrong[:, 3] += 0.3 * (estimate.events.observables["x"] - 0.3)
    suite = diagnose(replace(estimate, log_ratios=wrong))
    bad = {(c.target_name, c.observable) for c in suite.reweightings if c.test.p_value < 1e-3}
    assert ("qqZZ", "x") in bad
    assert ("ggF_S", "x") not in bad
    worst = min(suite.calibrations, key=lambda c: c.test.p_value)
    assert "qqZZ" in (worst.numerator, worst.denominator)


def test_a_negative_density_is_reported_not_raised(make_estimate):
    estimate = make_estimate(n=2000)
    broken = estimate.log_ratios.copy()
    broken[5, 2] += 20
    suite = diagnose(replace(estimate, log_ratios=broken))
    assert len(suite.problems) == 1
    assert "mu = 4 against mu = 1" in suite.problems[0]
    assert "event row 5" in suite.problems[0]
    assert suite.to_json()["problems"] == list(suite.problems)


def test_summary_is_json(make_estimate):
    document = json.loads(json.dumps(diagnose(make_estimate(n=2000)).to_json(), allow_nan=False))
    assert set(document) == {"processes", "problems", "weights", "normalisation", "calibration", "reweighting"}
    assert len(document["reweighting"]) == 20
    assert document["normalisation"]["processes"] == ["ggF_S", "ggF_SBI", "ggF_B", "qqZZ"]


def test_process_summaries_against_loop(make_toy):
    toy = make_toy(500, 5)
    for j, summary in enumerate(process_summaries(toy.events)):
        w = [row[j] for row in toy.events.weights if row[j] != 0]
        assert summary.expected == pytest.approx(sum(w))
        assert summary.error == pytest.approx(sum(v * v for v in w) ** 0.5)
        assert summary.n_events == len(w)
        assert summary.n_eff_kish == pytest.approx(sum(w) ** 2 / sum(v * v for v in w))
        assert summary.negative_events == pytest.approx(sum(v < 0 for v in w) / len(w))
        assert summary.negative_weight == pytest.approx(-sum(v for v in w if v < 0) / sum(abs(v) for v in w))
    assert summary.to_json()["process"] == "qqZZ"


def test_moments_of_every_process_where_there_are_angles(make_estimate):
    estimate = make_estimate(n=2000)
    assert diagnose(replace(estimate, observables=("x",))).moments == {}
    rng = np.random.default_rng(5)
    n = len(estimate.events)
    functions = {f"f_{k}": rng.normal(k, 1.0, n) for k in range(1, 10)}
    events = replace(estimate.events, observables={**estimate.events.observables, **functions})
    suite = diagnose(replace(estimate, events=events, observables=("x",)))
    assert list(suite.moments) == list(suite.targets)
    w = events.weights[:, events.processes.index("ggF_B")]
    assert suite.moments["ggF_B"].means[6] == pytest.approx(np.sum(w * functions["f_7"]) / w.sum())
    total = events.weights @ np.array([0.0, 1.0, 0.0, 1.0])
    assert suite.moments["total, mu = 1"].means[0] == pytest.approx(np.sum(total * functions["f_1"]) / total.sum())
    document = json.loads(json.dumps(suite.to_json(), allow_nan=False))["angular_moments"]
    assert document["qqZZ"]["errors"] == suite.moments["qqZZ"].errors.tolist()
    table = moments_page_table(suite.moments)
    assert table is not None
    assert (table.columns[1:], [row[0] for row in table.rows]) == (suite.targets, list(functions))
    assert table.rows[6][3] == with_error(float(suite.moments["ggF_B"].means[6]), float(suite.moments["ggF_B"].errors[6]))
    assert moments_page_table({}) is None


def test_what_networks_read_in_place_of_an_observable_is_not_drawn_as_one() -> None:
    names = ["m_jj", "m_jj_filled", "has_m_jj", "energy_filled", "has_jets"]
    assert _measured(names) == ["m_jj", "energy_filled", "has_jets"]

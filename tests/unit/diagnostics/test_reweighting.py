"""Reweighting closure: exact ratios close in every observable, wrong ones are found, errors know the shared events."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from toolkit.diagnostics import normalisation, reweighting_closure
from toolkit.errors import SchemaError

EDGES = {
    "x": np.linspace(0, 1, 11),
    "y": np.linspace(-2, 3, 9),
    "z": np.array([0.0, 0.2, 0.5, 1.0, 2.0]),
    "m_jj": np.array([0.0, 50.0, 100.0, 300.0]),
}


def close(toy, observable, target, log_ratios=None):
    return reweighting_closure(
        toy.events,
        toy.log_ratios if log_ratios is None else log_ratios,
        observable=observable,
        edges=EDGES[observable],
        reference=toy.reference,
        target=target,
        trained_on=observable == "x",
    )


def loop_closure(toy, observable, coefficients):
    """Slow twin: both histograms event by event; covariance by moving the multiplicity of each event."""
    edges, values, w = EDGES[observable], toy.events.observables[observable], toy.events.weights
    pi = np.array([toy.reference.get(p, 0.0) for p in toy.events.processes])
    k = len(edges) - 1

    def histograms(counts):
        totals = [sum(counts[i] * w[i, j] for i in range(len(w))) for j in range(4)]
        truth, reweighted = np.zeros(k + 1), np.zeros(k + 1)
        for i in range(len(w)):
            v = values[i]
            b = k if np.isnan(v) else min(max(sum(v >= e for e in edges) - 1, 0), k - 1)
            w_ref = sum(pi[j] * counts[i] * w[i, j] / totals[j] for j in range(4))
            reweighted[b] += w_ref * sum(coefficients[j] * totals[j] * np.exp(toy.log_ratios[i, j]) for j in range(4))
            truth[b] += counts[i] * sum(coefficients[j] * w[i, j] for j in range(4))
        return truth, reweighted

    ones = np.ones(len(w))
    covariance = np.zeros((k + 1, k + 1))
    for i in range(len(w)):
        step = np.zeros(len(w))
        step[i] = 1e-4
        up, down = histograms(ones + step), histograms(ones - step)
        slope = ((up[1] - up[0]) - (down[1] - down[0])) / 2e-4
        covariance += np.outer(slope, slope)
    return *histograms(ones), covariance


@pytest.mark.parametrize("observable", ["y", "m_jj"])
def test_against_loop_twin(make_toy, observable):
    toy = make_toy(40, 1)
    coefficients = np.array([2.0, 2.0, -1.0, 1.0])
    result = close(toy, observable, ("mu = 4", coefficients))
    truth, reweighted, covariance = loop_closure(toy, observable, coefficients)
    np.testing.assert_allclose([*result.target, result.missing[0]], truth, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose([*result.reweighted, result.missing[1]], reweighted, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(result.difference_covariance, covariance[:-1, :-1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", ["ggF_S", "ggF_B", "qqZZ"])
def test_exact_ratio_closes_in_every_observable(make_toy, target):
    toy = make_toy(40_000, 2)
    for observable in EDGES:
        result = close(toy, observable, target)
        assert result.test.p_value > 0.005, observable
        assert result.shape_test.p_value > 0.005, observable
        assert result.shape_test.ndf == result.test.ndf - 1


def test_hypothesis_closes(make_toy, morph):
    toy = make_toy(40_000, 3)
    result = close(toy, "y", ("mu = 4", morph(np.array([4.0]))[0]))
    assert result.test.p_value > 0.01
    assert result.target.sum() == pytest.approx((toy.events.yields * morph(np.array([4.0]))[0]).sum())


def test_chi_square_is_distributed_as_such_although_events_are_shared(make_toy):
    toys = [make_toy(3000, 100 + seed) for seed in range(150)]
    results = [close(t, "y", "ggF_B") for t in toys]
    assert stats.kstest([r.test.p_value for r in results], "uniform").pvalue > 0.01
    assert stats.kstest([r.shape_test.p_value for r in results], "uniform").pvalue > 0.01
    naive = [np.sum(r.difference**2 / (r.target_error**2 + r.reweighted_error**2)) for r in results]
    assert np.mean(naive) < 0.8 * np.mean([r.test.chi2 for r in results]), "independent errors would hide a failure"


def test_wrong_slope_is_found_also_where_it_was_not_trained(make_toy):
    toy = make_toy(40_000, 4)
    wrong = toy.log_ratios.copy()
    wrong[:, 0] += 0.4 * (toy.events.observables["x"] - 0.75)
    assert close(toy, "x", "ggF_S", wrong).test.p_value < 1e-3
    assert close(toy, "y", "ggF_S", wrong).shape_test.p_value < 0.05
    assert close(toy, "z", "ggF_S", wrong).shape_test.p_value > 0.01, "z is independent of what is wrong"


def test_wrong_normalisation_fails_absolutely_and_not_in_shape(make_toy):
    toy = make_toy(40_000, 5)
    result = close(toy, "y", "ggF_B", toy.log_ratios + np.log(1.1))
    right = close(toy, "y", "ggF_B")
    assert result.test.p_value < 1e-6
    assert result.shape_test.chi2 == pytest.approx(right.shape_test.chi2, rel=0.5)
    np.testing.assert_allclose(result.reweighted, 1.1 * right.reweighted)


def test_reference_is_what_is_reweighted(make_toy):
    toy = make_toy(5000, 6)
    result = close(toy, "x", "ggF_B", np.zeros_like(toy.log_ratios))
    np.testing.assert_allclose(result.reweighted, result.reference)
    assert result.reference.sum() == pytest.approx(toy.events.yields[2])


def test_missing_values_are_a_category(make_toy):
    toy = make_toy(20_000, 7)
    result = close(toy, "m_jj", "ggF_B")
    gone = np.isnan(toy.events.observables["m_jj"])
    assert result.missing[0] == pytest.approx(toy.events.weights[gone, 2].sum())
    assert result.missing[0] + result.target.sum() == pytest.approx(toy.events.yields[2])
    assert result.test.ndf == len(EDGES["m_jj"])


def test_json_and_trained_flag(make_toy):
    toy = make_toy(2000, 8)
    result = close(toy, "x", "qqZZ")
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert document["trained_on"] is True
    np.testing.assert_array_equal(document["difference"], result.reweighted - result.target)
    assert document["shape"]["p_value"] == result.shape_test.p_value


def test_unknown_names(make_toy):
    toy = make_toy(100, 9)
    for change in ({"reference": {"nothing": 1.0}}, {"target": "nothing"}, {"observable": "nothing"}, {"reference": {"ggF_S": 0.0}}):
        arguments = {"observable": "x", "edges": EDGES["x"], "reference": toy.reference, "target": "qqZZ", "trained_on": True}
        with pytest.raises(SchemaError):
            reweighting_closure(toy.events, toy.log_ratios, **{**arguments, **change})


class TestNormalisation:
    def test_exact_ratios_are_normalised(self, make_toy):
        toy = make_toy(40_000, 21)
        result = normalisation(toy.events, toy.log_ratios, reference=toy.reference)
        assert np.abs(result.pull).max() < 3.5
        assert result.test.p_value > 0.01

    def test_mixture_identity_has_no_error(self, make_toy):
        toy = make_toy(3000, 22)
        result = normalisation(toy.events, toy.log_ratios, reference=toy.reference)
        pi = np.array([0.4, 0.3, 0.0, 0.3])
        assert pi @ result.mean_ratio == pytest.approx(1.0, abs=1e-12)
        assert pi @ result.covariance @ pi == pytest.approx(0.0, abs=1e-12)
        assert result.test.ndf == 3

    def test_errors_against_bootstrap(self, make_toy):
        toy = make_toy(3000, 23)
        rng = np.random.default_rng(1)

        def mean(counts):
            events = replace(toy.events, weights=toy.events.weights * counts[:, None])
            return normalisation(events, toy.log_ratios, reference=toy.reference).mean_ratio

        spread = np.std([mean(rng.poisson(1.0, size=3000).astype(float)) for _ in range(400)], axis=0)
        np.testing.assert_allclose(normalisation(toy.events, toy.log_ratios, reference=toy.reference).error, spread, rtol=0.15)

    def test_distribution(self, make_toy):
        tests = [normalisation(t.events, t.log_ratios, reference=t.reference).test for t in (make_toy(2000, 300 + s) for s in range(150))]
        assert stats.kstest([t.p_value for t in tests], "uniform").pvalue > 0.01

    def test_a_wrong_ratio_is_found(self, make_toy):
        toy = make_toy(20_000, 24)
        wrong = toy.log_ratios + np.array([0.0, 0.05, 0.0, 0.0])
        result = normalisation(toy.events, wrong, reference=toy.reference)
        assert result.mean_ratio[1] == pytest.approx(np.exp(0.05), abs=4 * result.error[1])
        assert result.pull[1] > 4
        assert json.loads(json.dumps(result.to_json()))["mean_ratio"][1] == result.mean_ratio[1]

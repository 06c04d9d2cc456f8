"""Calibration: exact ratios lie on the diagonal, distorted ones do not, and the errors are right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from toolkit.diagnostics import calibration_curve, calibration_from_weights, hypothesis_calibration
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError

PAIRS = [("ggF_S", "ggF_B"), ("ggF_SBI", "ggF_B"), ("ggF_S", "qqZZ"), ("qqZZ", "ggF_SBI")]


def loop_residual(log_ratio, a, b, edges):
    """Slow twin: residual and its covariance, event by event, with the normalisations differentiated numerically."""
    s = [1 / (1 + np.exp(-v)) for v in log_ratio]
    k = len(edges) - 1

    def residuals(weight):
        top, below = [0.0] * k, [0.0] * k
        total_a, total_b = sum(weight * a), sum(weight * b)
        for i, value in enumerate(s):
            j = next((j for j in range(k) if edges[j] <= value < edges[j + 1]), k - 1)
            ai, bi = weight[i] * a[i] / total_a, weight[i] * b[i] / total_b
            top[j] += ai * (1 - value) - bi * value
            below[j] += ai + bi
        return np.array(top), np.array(below)

    ones = np.ones(len(s))
    numerator, denominator = residuals(ones)
    covariance = np.zeros((k, k))
    for i in range(len(s)):
        step = np.zeros(len(s))
        step[i] = 1e-4
        slope = (residuals(ones + step)[0] - residuals(ones - step)[0]) / 2e-4
        covariance += np.outer(slope, slope)
    return numerator / denominator, covariance / np.outer(denominator, denominator)


def test_against_loop_twin(make_toy):
    toy = make_toy(60, 1)
    edges = np.array([0.0, 0.3, 0.5, 1.0])
    a, b = toy.events.weights[:, 0], toy.events.weights[:, 2]
    log_ratio = toy.log_ratios[:, 0] - toy.log_ratios[:, 2]
    curve = calibration_curve(toy.events, toy.log_ratios, numerator="ggF_S", denominator="ggF_B", edges=edges)
    residual, covariance = loop_residual(log_ratio, a, b, edges)
    np.testing.assert_allclose(curve.residual, residual, rtol=1e-12)
    np.testing.assert_allclose(curve.residual_covariance, covariance, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(curve.fraction - curve.predicted, curve.residual, rtol=1e-9)
    assert curve.content.sum() == pytest.approx(1.0)
    used = curve.used
    assert curve.mean_residual == pytest.approx(np.average(np.abs(residual[used]), weights=curve.content[used]))


def test_fraction_error_against_bootstrap(make_toy):
    toy = make_toy(4000, 2)
    edges = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    log_ratio = toy.log_ratios[:, 0] - toy.log_ratios[:, 3]
    top, below = toy.events.weights[:, 0], toy.events.weights[:, 3]

    def curve(counts):
        return calibration_from_weights(
            log_ratio, numerator_weights=top * counts, denominator_weights=below * counts, numerator="a", denominator="b", edges=edges
        )

    rng = np.random.default_rng(3)
    replicas = np.array([curve(rng.poisson(1.0, size=log_ratio.size).astype(float)).fraction for _ in range(400)])
    np.testing.assert_allclose(curve(np.ones(log_ratio.size)).fraction_error, replicas.std(axis=0), rtol=0.15)


@pytest.mark.parametrize(("numerator", "denominator"), PAIRS)
def test_exact_ratio_is_on_the_diagonal(make_toy, numerator, denominator):
    toy = make_toy(40_000, 11)
    curve = calibration_curve(toy.events, toy.log_ratios, numerator=numerator, denominator=denominator)
    assert curve.used.all()
    assert curve.test.ndf == curve.edges.size - 1
    assert curve.test.p_value > 0.01
    assert np.abs(curve.residual).max() < 0.05


def test_chi_square_is_distributed_as_such(make_toy):
    values = [
        calibration_curve(t.events, t.log_ratios, numerator="ggF_SBI", denominator="ggF_B", bins=10).test
        for t in (make_toy(4000, seed) for seed in range(150))
    ]
    assert stats.kstest([v.p_value for v in values], "uniform").pvalue > 0.01
    assert np.mean([v.chi2 for v in values]) == pytest.approx(10, abs=1.1)


@pytest.mark.parametrize("distort", [lambda v: 1.3 * v, lambda v: v + 0.15, lambda v: -v])
def test_distorted_ratio_fails(make_toy, distort):
    toy = make_toy(40_000, 12)
    log_ratio = toy.log_ratios[:, 0] - toy.log_ratios[:, 3]
    curve = calibration_from_weights(
        distort(log_ratio),
        numerator_weights=toy.events.weights[:, 0],
        denominator_weights=toy.events.weights[:, 3],
        numerator="a",
        denominator="b",
    )
    assert curve.test.p_value < 1e-6


def test_overconfident_ratio_bends_the_way_it_must(make_toy):
    toy = make_toy(40_000, 13)
    log_ratio = 2 * (toy.log_ratios[:, 0] - toy.log_ratios[:, 3])
    curve = calibration_from_weights(
        log_ratio, numerator_weights=toy.events.weights[:, 0], denominator_weights=toy.events.weights[:, 3], numerator="a", denominator="b"
    )
    assert curve.residual[0] > 0, "predicted too small where s is small"
    assert curve.residual[-1] < 0


def test_overall_factors_do_not_matter(make_toy):
    toy = make_toy(2000, 14)
    lr = toy.log_ratios[:, 1] - toy.log_ratios[:, 2]
    top, below = toy.events.weights[:, 1], toy.events.weights[:, 2]
    one = calibration_from_weights(lr, numerator_weights=top, denominator_weights=below, numerator="a", denominator="b")
    two = calibration_from_weights(lr, numerator_weights=1e4 * top, denominator_weights=1e-3 * below, numerator="a", denominator="b")
    np.testing.assert_allclose(one.residual, two.residual, atol=1e-14)
    np.testing.assert_allclose(one.residual_covariance, two.residual_covariance, rtol=1e-9)


def test_exchange_mirrors_the_curve(make_toy):
    toy = make_toy(5000, 15)
    edges = np.linspace(0, 1, 9)
    one = calibration_curve(toy.events, toy.log_ratios, numerator="ggF_S", denominator="qqZZ", edges=edges)
    two = calibration_curve(toy.events, toy.log_ratios, numerator="qqZZ", denominator="ggF_S", edges=edges)
    np.testing.assert_allclose(one.residual, -two.residual[::-1], atol=1e-12)
    np.testing.assert_allclose(one.fraction_error, two.fraction_error[::-1], atol=1e-12)


def test_negative_weights_are_used_and_reported(make_toy):
    toy = make_toy(20_000, 16)
    weights = toy.events.weights[:, 0]
    curve = calibration_curve(toy.events, toy.log_ratios, numerator="ggF_S", denominator="ggF_B")
    assert curve.negative_weight_fraction[0] == pytest.approx(-weights[weights < 0].sum() / np.abs(weights).sum())
    assert 0 < curve.negative_weight_fraction[0] < 0.1


def test_bin_without_positive_total_is_not_used():
    log_ratio = np.concatenate([np.full(50, -1.0), np.full(50, 1.0)])
    top = np.concatenate([np.full(50, -0.5), np.full(50, 2.0)])
    below = np.concatenate([np.full(50, 0.2), np.full(50, 1.0)])
    curve = calibration_from_weights(
        log_ratio, numerator_weights=top, denominator_weights=below, numerator="a", denominator="b", edges=np.array([0.0, 0.5, 1.0])
    )
    assert curve.used.tolist() == [False, True]
    assert np.isnan(curve.fraction[0])
    assert curve.to_json()["fraction"][0] is None


def test_hypotheses_of_the_likelihood(make_toy, morph):
    toy = make_toy(40_000, 17)
    zero, one = morph(np.array([0.0, 1.0]))
    exact = hypothesis_calibration(toy.events, toy.log_ratios, numerator=("mu = 0", zero), denominator=("mu = 1", one), yields=toy.yields)
    assert exact.test.p_value > 0.01
    wrong = toy.log_ratios.copy()
    wrong[:, 1] += 0.1 * toy.events.observables["x"]
    biased = hypothesis_calibration(toy.events, wrong, numerator=("mu = 0", zero), denominator=("mu = 1", one), yields=toy.yields)
    assert biased.test.p_value < 1e-3


def test_hypothesis_with_negative_density_names_the_event(make_toy):
    toy = make_toy(100, 18)
    log_ratios = toy.log_ratios.copy()
    log_ratios[7, 2] += 20.0
    with pytest.raises(PhysicsDomainError, match="event row 7"):
        hypothesis_calibration(
            toy.events,
            log_ratios,
            numerator=("mu = 4", np.array([2.0, 2.0, -1.0, 1.0])),
            denominator=("qq", np.array([0, 0, 0, 1.0])),
            yields=toy.yields,
        )


def test_json_holds_the_numbers(make_toy):
    toy = make_toy(2000, 19)
    curve = calibration_curve(toy.events, toy.log_ratios, numerator="ggF_S", denominator="ggF_B", bins=5)
    document = json.loads(json.dumps(curve.to_json(), allow_nan=False))
    np.testing.assert_array_equal(document["fraction"], curve.fraction)
    np.testing.assert_array_equal(document["residual_error"], curve.residual_error)
    assert document["p_value"] == curve.test.p_value


def test_bad_input(make_toy):
    toy = make_toy(100, 20)
    with pytest.raises(SchemaError, match="ggF_X"):
        calibration_curve(toy.events, toy.log_ratios, numerator="ggF_X", denominator="ggF_B")
    with pytest.raises(ShapeError):
        calibration_curve(toy.events, toy.log_ratios[:, :2], numerator="ggF_S", denominator="ggF_B")
    broken = toy.log_ratios.copy()
    broken[3, 1] = np.nan
    with pytest.raises(PhysicsDomainError, match="event row 3"):
        calibration_curve(toy.events, broken, numerator="ggF_S", denominator="ggF_B")
    with pytest.raises(PhysicsDomainError, match="positive sum"):
        calibration_from_weights(
            np.zeros(3),
            numerator_weights=-np.ones(3),
            denominator_weights=np.ones(3),
            numerator="a",
            denominator="b",
            edges=np.array([0.0, 1.0]),
        )


def test_directions_that_the_same_events_fix_are_not_tested() -> None:
    """Exact ratios on events that carry both weights: the normalisation is all that varies, and its p-value is uniform."""
    rng = np.random.default_rng(1)
    tests = []
    for _ in range(100):
        x = rng.normal(0.0, 1.2, 3000)
        top, below = (np.exp(-0.5 * (x - m) ** 2 + 0.5 * (x / 1.2) ** 2) for m in (0.5, -0.5))
        tests.append(calibration_from_weights(x, numerator_weights=top, denominator_weights=below, numerator="a", denominator="b").test)
    assert {t.ndf for t in tests} == {1}
    low, high = np.mean([t.p_value < 0.2 for t in tests]), np.mean([t.p_value > 0.8 for t in tests])
    assert 0.08 < low < 0.34
    assert 0.08 < high < 0.34


def test_a_ratio_that_is_off_is_seen_where_other_directions_are_fixed() -> None:
    """The same events with ratios tilted by 10 %: twenty directions are live again, and the test fails them."""
    rng = np.random.default_rng(2)
    x, z = rng.normal(0.0, 1.2, 20_000), rng.normal(0.0, 0.5, 20_000)
    top, below = (np.exp(-0.5 * (x - m) ** 2 + 0.5 * (x / 1.2) ** 2) for m in (0.5, -0.5))
    top *= np.exp(z - 0.125)
    options = {"numerator_weights": top, "denominator_weights": below, "numerator": "a", "denominator": "b"}
    assert calibration_from_weights(1.2 * x, **options).test.p_value < 1e-4
    good = calibration_from_weights(x, **options).test
    assert good.ndf == 20
    assert good.p_value > 0.001

"""The review in one call: exact ratios pass, overtraining and missing calibration are seen where they are, problems are told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.diagnostics.toy import densities
from toolkit.diagnostics import EstimateUnderTest, auc, normalisation
from toolkit.diagnostics.merit import FORMULAS
from toolkit.diagnostics.review import NETWORK_SCORE, EnsembleUnderReview, ReviewSettings, merit_weights, review


@pytest.fixture
def make_subject(make_toy, morph):
    """Exact ratios everywhere; the model reads x only, y is a feature that it ignores."""

    def make(n=6000, seed=1, **changes):
        test, training = make_toy(n, seed), make_toy(n, seed + 100)
        estimate = EstimateUnderTest(
            events=test.events,
            log_ratios=test.log_ratios,
            reference=test.reference,
            yields=test.yields,
            coefficients=morph,
            benchmarks=("ggF_S", "ggF_SBI", "ggF_B"),
            backgrounds=("qqZZ",),
            features=("x", "y"),
        )

        def score(log_ratios):
            return log_ratios[:, 0] - np.logaddexp(log_ratios[:, 2], log_ratios[:, 3])

        def model(features):
            p = densities(np.clip(features[:, 0], 1e-9, 1 - 1e-9))
            return np.log(p) - np.log(p @ np.array([0.4, 0.3, 0.0, 0.3]))[:, None]

        subject = EnsembleUnderReview(
            estimate=estimate,
            before_calibration=test.log_ratios,
            test_by_part=test.log_ratios,
            training=training.events,
            in_sample=training.log_ratios,
            out_of_bag=training.log_ratios,
            out_of_bag_before=training.log_ratios,
            spread=np.full_like(test.log_ratios, 0.05),
            n_members=6,
            model=model,
            x=np.stack([test.events.observables["x"], test.events.observables["y"]], axis=1),
            score=score,
            histograms={"hist_x": ("x", np.linspace(0, 1, 6))},
            score_bins=8,
        )
        return replace(subject, **changes)

    return make


SETTINGS = ReviewSettings(importance_events=2000, importance_repeats=2, seed=4)


def test_exact_ratios_pass(make_subject):
    steps = []
    found = review(make_subject(), settings=SETTINGS, progress=lambda *step: steps.append(step))
    assert found.problems == ()
    assert min(after.test.p_value for _, after in found.calibrations) > 1e-3
    assert [after.numerator for _, after in found.calibrations] == ["ggF_S", "ggF_SBI", "ggF_B", "qqZZ"]
    assert all(result.test.p_value > 1e-3 for result in found.normalisations.values())
    assert [o.title for o in found.overlays] == ["ggF_S", "ggF_SBI", "ggF_B", "qqZZ"]
    assert all(o.names == ("test", "trained on", "out of bag") for o in found.overlays)
    assert min(k.p_value for o in found.overlays for k in o.ks) > 1e-3
    assert [row.name for row in found.merits] == ["rate", "hist_x", NETWORK_SCORE]
    assert steps[-1][:1] == ("importance",)
    assert steps[-1][1] == steps[-1][2]


def test_numbers_are_those_of_the_single_functions(make_subject, morph):
    subject = make_subject()
    found = review(subject, settings=SETTINGS)
    events, estimate = subject.estimate.events, subject.estimate
    s, both, b, qq = events.yields
    rate = found.merits[0]
    for kind in ("z", "interference_z", "asimov_z"):
        expected = FORMULAS[kind](np.array([[s, both, b, qq]]))[0].item()
        assert rate.merits[kind].value == pytest.approx(expected)
    assert "auc" not in rate.merits
    weights = merit_weights(events, benchmarks=estimate.benchmarks, backgrounds=estimate.backgrounds)
    score = subject.score(estimate.log_ratios)
    assert found.merits[2].merits["auc"].value == auc(score, signal=weights.signal, background=weights.all_background).value
    again = normalisation(events, estimate.log_ratios, reference=estimate.reference)
    np.testing.assert_array_equal(found.normalisations["test, after"].mean_ratio, again.mean_ratio)


def test_the_score_beats_the_histogram_and_the_rate(make_subject):
    rows = {row.name: row.merits for row in review(make_subject(20_000), settings=replace(SETTINGS, importance_events=0)).merits}
    assert rows["rate"]["z"].value < rows["hist_x"]["z"].value <= rows[NETWORK_SCORE]["z"].value * 1.02


def test_importance_finds_the_feature(make_subject):
    found = review(make_subject(), settings=replace(SETTINGS, importance_groups={"both": ("x", "y")}))
    assert [result.metric for result in found.importances] == ["t(0)", "AUC"]
    for result in found.importances:
        assert result.names == ("x", "y", "both")
        assert result.loss[0] > 3 * result.error[0]
        np.testing.assert_allclose(result.loss[1], 0.0, atol=1e-9)
    assert 1500 < found.importance_events < 2500
    whole = review(make_subject(), settings=replace(SETTINGS, importance_events=10**9)).importances[0]
    assert abs(whole.baseline - found.importances[0].baseline) < 4 * found.importances[0].baseline_error
    assert review(make_subject(), settings=replace(SETTINGS, importance_events=0)).importances == ()


def test_missing_calibration_is_seen_before_not_after(make_subject):
    subject = make_subject(20_000)
    raw = subject.before_calibration + np.array([0.08, 0.0, 0.0, -0.05])
    found = review(replace(subject, before_calibration=raw), settings=replace(SETTINGS, importance_events=0))
    before, after = found.calibrations[0]
    assert before.test.p_value < 1e-6
    assert after.test.p_value > 1e-3
    assert found.normalisations["test, before"].test.p_value < 1e-6
    assert found.normalisations["test, after"].test.p_value > 1e-3


def test_overtraining_is_seen_in_sample_only(make_subject):
    subject = make_subject(20_000)
    training = subject.training
    learned = subject.in_sample + np.where((training.weights[:, 0] != 0)[:, None], np.array([0.3, 0.0, 0.0, -0.3]), 0.0)
    found = review(replace(subject, in_sample=learned), settings=replace(SETTINGS, importance_events=0))
    signal = found.overlays[0]
    assert signal.ks[0].p_value < 5e-3
    assert signal.chi2[0].p_value < 1e-6
    assert signal.ks[1].p_value > 5e-3


def test_problems_are_told_not_raised(make_subject):
    subject = make_subject(2000)
    broken = subject.estimate.log_ratios.copy()
    broken[5, 2] += 30
    estimate = replace(subject.estimate, log_ratios=broken, truth=4.0)
    found = review(replace(subject, estimate=estimate, histograms={"narrow": ("x", np.array([5.0, 6.0, 7.0]))}), settings=SETTINGS)
    assert any(text.startswith("figures of merit of narrow") for text in found.problems)
    assert [row.name for row in found.merits] == ["rate", NETWORK_SCORE]
    assert found.to_json()["problems"] == list(found.problems)


def test_a_single_network_has_no_spread(make_subject):
    subject = make_subject(2000)
    quick = replace(SETTINGS, importance_events=0)
    assert review(replace(subject, n_members=1), settings=quick).spread is None
    profile = review(subject, settings=quick).spread
    assert (profile.observable, profile.n_members) == ("x", 6)
    np.testing.assert_allclose(profile.overall, 0.05)


def test_summary_is_json(make_subject):
    document = json.loads(json.dumps(review(make_subject(3000), settings=SETTINGS).to_json(), allow_nan=False))
    assert set(document["normalisation"]) == {"test, before", "test, after", "out of bag, before", "out of bag, after"}
    assert document["calibration"][0]["process"] == "ggF_S"
    assert document["train_test"][3]["process"] == "qqZZ"
    assert {row["name"] for row in document["merits"]} == {"rate", "hist_x", NETWORK_SCORE}
    assert document["importance"][0]["names"] == ["x", "y"]

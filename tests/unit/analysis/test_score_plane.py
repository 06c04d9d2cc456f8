"""The histograms of one and two ratios on densities that are known: what they keep, and that wrong networks cannot move them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toolkit.analysis.datasets import Events
from toolkit.analysis.model import FitModel
from toolkit.analysis.ratio_histograms import ratio_histograms
from toolkit.analysis.score_plane import Contrast, contrasts, log_contrast, score_plane_method
from toolkit.config import RatioHistogramsConfig, ScorePlaneConfig, parse_config
from toolkit.errors import SchemaError
from toolkit.likelihood import Parameter
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

PROCESSES = ("S", "SBI", "B", "q")
MODEL = FitModel.of_one(PROCESSES, ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1"), range=(0.0, 6.0))
SECTION = ScorePlaneConfig(bins=(20, 10))


def amplitudes(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Signal and background amplitude on [0, 1], whose interference changes sign, and a flat background; yields included."""
    return 5.0 * x * np.cos(3.0 * x), 6.0 * (1.2 - x), np.full_like(x, 60.0)


def densities(x: FloatArray) -> FloatArray:
    s, b, q = amplitudes(x)
    return np.stack([s**2, (s + b) ** 2, b**2, q], axis=1)


YIELDS = densities((np.arange(200_000) + 0.5) / 200_000).mean(axis=0)


def simulate(n: int, seed: int) -> SimulatedEvents:
    x = np.random.default_rng(seed).uniform(size=n)
    return SimulatedEvents(
        processes=PROCESSES,
        event_id=np.arange(n, dtype=np.uint64),
        sample_index=np.zeros(n, dtype=np.int64),
        samples=("flat",),
        observables={"x": x},
        weights=densities(x) / n,
    )


TRAINING, TEST = simulate(60_000, 1), simulate(60_000, 2)


def exact(events: Events) -> FloatArray:
    return np.asarray(np.log(densities(events.observables["x"]) / YIELDS))


def biased(events: Events) -> FloatArray:
    """Return wrong ratios, as badly trained networks would give: wrong everywhere, and more so for the signal."""
    return exact(events) + np.stack([k * 0.4 * np.sin(9.0 * events.observables["x"] + k) for k in (3, 1, 1, 2)], axis=1)


def asimov(mu: float) -> FloatArray:
    return np.asarray(TEST.weights @ MODEL.at({"mu": mu}))


def test_two_exact_ratios_keep_the_information_of_the_density() -> None:
    method = score_plane_method(MODEL, SECTION, training=TRAINING, test=TEST, log_ratios=(exact(TRAINING), exact(TEST)), evaluate=exact)
    assert method is not None
    grid = (np.arange(200_000) + 0.5) / 200_000
    for a, b in ((0.0, 1.0), (1.0, 2.5), (3.0, 0.0)):
        one, two = (densities(grid) @ MODEL.at({"mu": mu}) for mu in (a, b))
        whole = 2.0 * float(np.mean(two - one + one * np.log(one / two)))
        first, second = (MODEL.at({"mu": mu}) @ method.templates.values for mu in (a, b))
        kept = 2.0 * float(np.sum(second - first + first * np.log(first / second)))
        assert 0.9 * whole < kept < 1.03 * whole


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
def test_biased_ratios_do_not_move_the_best_fit(mu: float) -> None:
    method = score_plane_method(MODEL, SECTION, training=TRAINING, test=TEST, log_ratios=(biased(TRAINING), biased(TEST)), evaluate=biased)
    assert method is not None
    weights = asimov(mu)
    fitted = method.likelihood(weights).fit().parameters["mu"]
    test, training = (
        method.bootstrap(weights, replicas=40, seed=1),
        method.bootstrap_training(TRAINING.weights @ MODEL.at({"mu": mu}), replicas=40, seed=2),
    )
    assert abs(fitted - mu) < 3.0 * np.hypot(test.standard_error, training.standard_error)


def test_no_bin_expects_less_than_asked() -> None:
    section = SECTION.model_copy(update={"least_expected": 2.0})
    method = score_plane_method(MODEL, section, training=TRAINING, test=TEST, log_ratios=(exact(TRAINING), exact(TEST)), evaluate=exact)
    assert method is not None
    lowest = (MODEL.along("mu", np.linspace(0.0, 6.0, 61)) @ method.templates.values).min()
    assert lowest >= 2.0
    assert method.templates.values.shape[1] < 200


def test_few_expected_events_do_not_make_the_bins_coarse() -> None:
    """Ten events instead of thousands: the same information per event, but for the bins that fewer than 0.1 % of all events fall into."""
    told = []
    for factor in (1.0, 10.0 / float((TRAINING.weights @ MODEL.at({"mu": 1.0})).sum())):
        training, test = TRAINING.scaled(factor), TEST.scaled(factor)
        method = score_plane_method(MODEL, SECTION, training=training, test=test, log_ratios=(exact(TRAINING), exact(TEST)), evaluate=exact)
        assert method is not None
        first, second = (MODEL.at({"mu": mu}) @ method.templates.values for mu in (0.0, 1.0))
        told.append(2.0 * float(np.sum(first - second + second * np.log(second / first))) / factor)
    assert 0.95 * told[0] < told[1] <= 1.001 * told[0]


def test_other_events_find_the_bins_of_the_test_events() -> None:
    method = score_plane_method(MODEL, SECTION, training=TRAINING, test=TEST, log_ratios=(exact(TRAINING), exact(TEST)), evaluate=exact)
    assert method is not None
    assert np.array_equal(method.for_events(TEST).index, method.index)
    assert method.fill(TRAINING) == pytest.approx(method.templates.values)


def test_a_ratio_that_does_not_vary_leaves_the_other() -> None:
    """A second parameter that nothing depends on gives one value to all events: one column of bins."""
    parameters = (Parameter("mu", 1.0, 0.0, 6.0), Parameter("idle", 1.0, 0.0, 2.0))
    model = FitModel(PROCESSES, MODEL.coefficients, parameters, ("mu", "idle"), (("mu", 1.0), ("idle", 1.0)))
    method = score_plane_method(model, SECTION, training=TRAINING, test=TEST, log_ratios=(exact(TRAINING), exact(TEST)), evaluate=exact)
    assert method is not None
    assert 10 < method.templates.values.shape[1] <= 20


def test_points_of_other_models() -> None:
    at_the_edge = replace(MODEL, truths=(("mu", 0.0),))
    first, second = contrasts(at_the_edge) or (None, None)
    assert first is not None
    assert second is not None
    assert (first.denominator, first.numerator) == ({"mu": 0.0}, {"mu": pytest.approx(0.6)})
    parameters = tuple(Parameter(name, 1.0, 0.0, 4.0) for name in ("a", "b", "c"))
    two = FitModel(("s", "t"), ("a", "b"), parameters[:2], ("a", "b"), (("a", 1.0), ("b", 1.0)))
    assert contrasts(two) == (
        Contrast({"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 1.0}),
        Contrast({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 0.0}),
    )
    three = FitModel(("s",), ("a * b * c",), parameters, ("a", "b", "c"), (("a", 1.0), ("b", 1.0), ("c", 1.0)))
    assert contrasts(three) is None
    assert (
        score_plane_method(three, SECTION, training=TRAINING, test=TEST, log_ratios=(exact(TRAINING), exact(TEST)), evaluate=exact) is None
    )


def test_the_ratio_of_two_points_by_hand() -> None:
    x = np.array([0.2, 0.7])
    events = replace(TEST.select(np.arange(2)), observables={"x": x})
    got = log_contrast(Contrast({"mu": 4.0}, {"mu": 0.0}), MODEL, exact(events), YIELDS)
    s, b, q = amplitudes(x)
    assert got == pytest.approx(np.log(((2.0 * s + b) ** 2 + q) / (b**2 + q)))


def test_points_must_increase() -> None:
    with pytest.raises(ValueError, match="points must increase, got"):
        ScorePlaneConfig(points=(0.0, 2.0, 1.0))


RATIOS = RatioHistogramsConfig(values=(0.0, 2.5), bins=40)


def test_each_keeps_the_information_of_its_two_points() -> None:
    methods = ratio_histograms(RATIOS, MODEL, training=TRAINING, test=TEST, log_ratios=(exact(TRAINING), exact(TEST)), evaluate=exact)
    assert [m.name for m in methods] == ["ratio_at_0", "ratio_at_2p5"]
    grid = (np.arange(200_000) + 0.5) / 200_000
    for method, mu in zip(methods, RATIOS.values, strict=True):
        a, b = (densities(grid) @ MODEL.at({"mu": value}) for value in (1.0, mu))
        whole = 2.0 * float(np.mean(b - a + a * np.log(a / b)))
        first, second = (MODEL.at({"mu": value}) @ method.templates.values for value in (1.0, mu))
        kept = 2.0 * float(np.sum(second - first + first * np.log(first / second)))
        assert 0.95 * whole < kept < 1.02 * whole
        assert method.fill(TRAINING) == pytest.approx(method.templates.values)


def test_biased_ratios_do_not_move_the_best_fit_of_one() -> None:
    for method in ratio_histograms(
        RATIOS, MODEL, training=TRAINING, test=TEST, log_ratios=(biased(TRAINING), biased(TEST)), evaluate=biased
    ):
        fitted = method.likelihood(asimov(2.5)).fit().parameters["mu"]
        error = method.bootstrap(asimov(2.5), replicas=40, seed=1).standard_error
        assert abs(fitted - 2.5) < 5.0 * error


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"values": [1.0]}, "not its truth 1"),
        ({"values": [7.0]}, r"expected values of mu in \[0, 6\]"),
        ({"values": [0.5, 0.5]}, "values repeat"),
    ],
)
def test_values_that_are_none_are_refused(section: dict[str, object], text: str) -> None:
    samples = [{"name": n, "files": [f"{n}.root"]} for n in ("ggF_S", "ggF_SBI", "ggF_B")]
    with pytest.raises(SchemaError, match=text):
        parse_config({"luminosity_ifb": 1.0, "samples": samples, "ratio_histograms": section}, folder=Path())

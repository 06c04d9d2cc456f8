"""What methods can tell, against closed forms, and the errors of ratios against events that are drawn again."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from tests.unit.analysis.toy import MODEL, YIELDS, densities, events_at, simulate
from toolkit.analysis import Systematics
from toolkit.analysis.data import FitData
from toolkit.analysis.information import information_document, pairs, restored, with_information, zero_influence
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod, histogram_method
from toolkit.analysis.model import FitModel
from toolkit.config import load_config
from toolkit.likelihood import MethodResult, UnbinnedLikelihood, measure
from toolkit.likelihood.grid_fit import fit_on_grid
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

ONE = FitModel.of_one(("S", "B"), ("mu", "1"), range=(0.0, 6.0))
NU = np.array([30.0, 400.0])
CHOSEN = (({"mu": 1.0}, {"mu": 0.0}), ({"mu": 3.0}, {"mu": 1.0}))


def unbinned(model: FitModel, logs: FloatArray, of_training: FloatArray, yields: FloatArray, name: str = "nsbi") -> UnbinnedMethod:
    def build(values: FloatArray) -> UnbinnedLikelihood:
        shared: Any = {"coefficients": model.coefficients, "parameters": model.used, "yields": yields}
        return UnbinnedLikelihood(log_ratios=values, weights=np.ones(len(values)), **shared)

    return UnbinnedMethod(name, build(logs), build(of_training))


def peaks(x: FloatArray) -> FloatArray:
    """A Gaussian of width 4 at 30 on an exponential of scale 40, both on [0, inf): (n, 2)."""
    gauss = np.exp(-0.5 * ((x - 30.0) / 4.0) ** 2) / (4.0 * math.sqrt(2.0 * math.pi))
    return np.stack([np.maximum(gauss, 1e-300), np.exp(-x / 40.0) / 40.0], axis=1)


def draw(n: int, seed: int) -> SimulatedEvents:
    """Half of the events from each density, weighted for both."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(30.0, 4.0, n // 2), rng.exponential(40.0, n // 2)])
    x = x[x >= 0.0]
    p = peaks(x)
    weights = p / p.mean(axis=1, keepdims=True) * NU / len(x)
    zeros = np.zeros(len(x), dtype=np.int64)
    return SimulatedEvents(("S", "B"), np.arange(len(x), dtype=np.uint64), zeros, ("mixed",), {"x": x}, weights)


def told(model: FitModel, test: SimulatedEvents, training: SimulatedEvents, methods: tuple[Any, ...]) -> dict[str, MethodResult]:
    data = FitData(test, truth_weights(test, model, model.truth), methods, Systematics(), model)
    grid = np.linspace(0.0, 6.0, 13)
    results = {m.name: measure(m.likelihood(data.weights), method=m.name, values=grid, truth=1.0) for m in methods}
    return with_information(results, data, chosen=CHOSEN, training=training)


def exact(above: float, below: float) -> float:
    """2 int [b - a + a ln(a / b)] by quadrature."""

    def integrand(x: float) -> float:
        s, q = NU * peaks(np.array([x]))[0]
        a, b = above * s + q, below * s + q
        return float(2.0 * (b - a + a * math.log(a / b)))

    return float(quad(integrand, 0.0, 60.0, points=[20.0, 30.0, 40.0], epsabs=1e-10)[0] + quad(integrand, 60.0, 400.0)[0])


def test_gaussian_on_exponential() -> None:
    """Exact ratios tell what quadrature says; a fine histogram nearly that, a count only its rate."""
    test, training = draw(200_000, 1), draw(200_000, 2)
    logs = [np.log(peaks(e.observables["x"])) for e in (test, training)]
    edges = {"rate": np.array([0.0, 1000.0]), "fine": np.array([0.0, *np.arange(16.0, 45.0, 1.0), 1000.0])}
    values = (training.observables["x"], test.observables["x"])
    bins = tuple(histogram_method(name, ONE, training=training, test=test, values=values, edges=e) for name, e in edges.items())
    found = told(ONE, test, training, (*bins, unbinned(ONE, *logs, NU)))
    for k, (above, below) in enumerate(((1.0, 0.0), (3.0, 1.0))):
        own = {name: result.information[k] for name, result in found.items()}
        value = exact(above, below)
        assert abs(own["nsbi"].value - value) < 4.0 * own["nsbi"].error
        assert own["nsbi"].error < 0.03 * value
        a, b = (mu * NU[0] + NU[1] for mu in (above, below))
        assert own["rate"].value == pytest.approx(2.0 * (b - a + a * math.log(a / b)), rel=0.05)
        gain = own["fine"].gain
        assert gain is not None
        assert 1.0 - 4.0 * gain.error < gain.value < 1.03
        assert gain.error < 0.2 * own["nsbi"].error / value, "the same events"


def stairs(x: FloatArray, shares: FloatArray) -> FloatArray:
    """Densities that are constant in five bins of [0, 1], (n, 4)."""
    return shares.T[np.minimum((5.0 * x).astype(int), 4)] * 5.0


def test_constant_densities_tell_the_same_in_bins_and_event_by_event() -> None:
    middle = densities(np.linspace(0.1, 0.9, 5))
    shares = (middle / middle.sum(axis=0)).T
    training = replace(events_at(np.linspace(0.1, 0.9, 5)), weights=(shares * YIELDS[:, None]).T)
    test = simulate(3000, 5)
    test = replace(test, weights=stairs(test.observables["x"], shares) * YIELDS / len(test))
    x = (training.observables["x"], test.observables["x"])
    binned = histogram_method("bins", MODEL, training=training, test=test, values=x, edges=np.linspace(0.0, 1.0, 6))
    logs = [np.log(stairs(values, shares)) for values in (x[1], x[0])]
    found = told(MODEL, test, training, (binned, unbinned(MODEL, *logs, YIELDS)))
    for own, other in zip(found["bins"].information, found["nsbi"].information, strict=True):
        assert own.value == pytest.approx(other.value, rel=1e-9)
        assert own.error == pytest.approx(other.error, rel=1e-9)
        assert own.gain is not None
        assert own.gain.value == pytest.approx(1.0, abs=1e-9)
        assert own.gain.error == pytest.approx(0.0, abs=1e-6)
    assert found["bins"].twice_nll_at_0 == pytest.approx(found["nsbi"].twice_nll_at_0, abs=1e-6)


def methods_of(training: SimulatedEvents, test: SimulatedEvents) -> tuple[BinnedMethod, UnbinnedMethod]:
    x = (training.observables["x"], test.observables["x"])
    binned = histogram_method("bins", MODEL, training=training, test=test, values=x, edges=np.array([0.0, 0.5, 1.0]))
    return binned, unbinned(MODEL, np.log(densities(x[1])), np.log(densities(x[0])), YIELDS)


def test_errors_of_ratios_are_those_of_events_that_are_drawn_again() -> None:
    """A bootstrap of the bounds and of t(0) with refits; both methods see the same multiplicities."""
    training, test = simulate(4000, 7), simulate(3000, 8)
    methods = methods_of(training, test)
    result = told(MODEL, test, training, methods)["bins"]
    weights = truth_weights(test, MODEL, MODEL.truth)
    ends = [truth_weights(test, MODEL, point) for point in CHOSEN[0]]
    log = [np.log(densities(test.observables["x"]) @ (MODEL.at(p) * YIELDS)) for p in CHOSEN[0]]
    filled = [methods[0].templates.values.T @ MODEL.at(p) for p in CHOSEN[0]]
    steps = np.log(filled[0] / filled[1])[methods[0].index]
    rng, bounds, zeros = np.random.default_rng(3), [], []
    for _ in range(200):
        k = rng.poisson(1.0, len(test))
        own = [2.0 * np.sum(k * (ends[0] * r - ends[1] * np.expm1(r))) for r in (log[0] - log[1], steps)]
        bounds.append(own[0] / own[1])
        fits = [fit_on_grid(m.likelihood(weights * k), test=0.0) for m in methods]
        t = [float(fit.tested or 0.0) - fit.twice_nll for fit in fits]
        zeros.append(t[1] / t[0])
    told_bound, told_zero = result.information[0].gain, result.twice_nll_at_0_gain
    assert told_bound is not None
    assert told_zero is not None
    assert told_bound.value == pytest.approx(np.mean(bounds), rel=0.02)
    assert told_bound.error == pytest.approx(np.std(bounds), rel=0.2)  # 200 values: 5 %, and what is left of the linear form
    plain = [
        zero_influence(m, m.likelihood(weights), poi="mu", fit=m.likelihood(weights).fit(), test=weights, training=np.zeros(len(training)))
        for m in methods
    ]
    assert plain[0] is not None
    assert plain[1] is not None
    alone = plain[1].over(plain[0], visible=1.0)
    assert alone is not None
    assert alone.error == pytest.approx(np.std(zeros), rel=0.25)
    assert told_zero.error > alone.error, "the training sample counts too"


def test_a_record_of_a_task_gives_the_same() -> None:
    training, test = simulate(500, 1), simulate(400, 2)
    found = told(MODEL, test, training, methods_of(training, test))
    bare = {name: replace(r, information=(), twice_nll_at_0_gain=None, twice_nll_at_0_error=math.nan) for name, r in found.items()}
    back = restored(bare, json.loads(json.dumps(information_document(found))))
    assert {n: r.to_json() for n, r in back.items()} == {n: r.to_json() for n, r in found.items()}
    assert MethodResult.from_json(found["bins"].to_json(), method="bins").information == found["bins"].information
    assert found["nsbi"].information[0].gain is None


def test_pairs_of_one_and_of_several_parameters() -> None:
    config = load_config(Path(__file__).resolve().parents[3] / "toolkit" / "example" / "demo.yaml")
    chosen = [(a["mu"], b["mu"]) for a, b in pairs(config, MODEL)]
    assert chosen == [(1.0, 0.0), (1.0, 2.5), (3.0, 0.0), (0.0, 1.0), (2.5, 1.0), (0.0, 3.0)]
    two = replace(
        MODEL,
        parameters=(*MODEL.parameters, replace(MODEL.parameters[0], name="k")),
        interest=("mu", "k"),
        truths=(("mu", 1.0), ("k", 1.0)),
    )
    points = ({"mu": 1.0, "k": 1.0}, {"mu": 0.5, "k": 1.0})
    assert pairs(config, two, points) == ((points[1], points[0]), (points[0], points[1]))

"""Small frozen results with known numbers."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.diagnostics import (
    TrainingCurve,
    calibration_curve,
    closure_verdicts,
    observable_edges,
    reweighting_closure,
    spectrum,
    yield_curve,
)
from toolkit.likelihood.results import ClosurePoint, MethodResult
from toolkit.likelihood.scans import Interval, Scan
from toolkit.weights import SimulatedEvents

PROCESSES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")


def morph(mu):
    root = np.sqrt(np.asarray(mu, dtype=float))
    return np.stack([np.asarray(mu) - root, root, 1 - root, np.ones_like(root)], axis=-1)


@pytest.fixture(scope="session")
def events():
    """A signal at high mass, destructive interference, a background, 30 % of the events without a second jet."""
    rng = np.random.default_rng(5)
    n = 6000
    t = rng.uniform(size=n)
    qq = rng.uniform(size=n) < 0.5
    p = np.stack([3 * t**2, (1 - 0.8 * t + 0.64 * t**2) / 0.8133, np.ones(n), 2 * (1 - t)], axis=1)
    weights = p * np.array([40.0, 560.0, 600.0, 2300.0]) / n * 2
    weights[qq, :3] = 0
    weights[~qq, 3] = 0
    observables = {
        "m4l": 220 + 900 * t**2,
        "cos_theta_1": rng.uniform(-1, 1, size=n),
        "n_jets": rng.poisson(0.8, size=n).astype(float),
        "m_jj": np.where(rng.uniform(size=n) < 0.7, rng.exponential(200.0, size=n), np.nan),
    }
    simulated = SimulatedEvents(
        processes=PROCESSES,
        event_id=np.arange(n, dtype=np.uint64),
        sample_index=qq.astype(np.int64),
        samples=("ggF_B", "qqZZ"),
        observables=observables,
        weights=weights,
    )
    pi = np.array([0.4, 0.3, 0.0, 0.3])
    return simulated, np.log(p) - np.log(p @ pi)[:, None]


@pytest.fixture(scope="session")
def spectrum_m4l(events):
    values = np.array([0.0, 1.0, 4.0])
    edges = np.array([220.0, 300.0, 400.0, 600.0, 1200.0])
    return spectrum(
        events[0], observable="m4l", edges=edges, values=values, coefficients=morph(values), backgrounds=("qqZZ",), benchmarks=PROCESSES[:3]
    )


@pytest.fixture(scope="session")
def calibration(events):
    return calibration_curve(*events, numerator="ggF_S", denominator="qqZZ", bins=8)


@pytest.fixture(scope="session")
def closures(events):
    simulated, log_ratios = events
    reference = {"ggF_S": 0.4, "ggF_SBI": 0.3, "qqZZ": 0.3}
    return tuple(
        reweighting_closure(
            simulated,
            log_ratios,
            observable=name,
            edges=observable_edges(simulated, name, bins=8),
            reference=reference,
            target="ggF_S",
            trained_on=name == "m4l",
        )
        for name in simulated.observables
    )


@pytest.fixture(scope="session")
def yield_curves(events):
    mu = np.linspace(0, 4, 21)
    reference = (1.0, morph(1.0))
    return (
        yield_curve(events[0], mu, morph(mu), reference=reference),
        yield_curve(events[0], mu, morph(mu), reference=reference, name="gg only", processes=PROCESSES[:3]),
    )


@pytest.fixture(scope="session")
def results():
    """Four methods; the NSBI scan is shifted to 1.4."""
    mu = np.linspace(0, 6, 61)

    def one(name, best, t0):
        delta = t0 * (np.sqrt(mu / best) - 1) ** 2
        inside = mu[delta <= 1.0]
        pieces = (Interval(float(inside[0]), float(inside[-1]), at_boundary=bool(inside[0] == 0)),)
        return MethodResult(name, best, t0, pieces, (Interval(0.0, 0.1, at_boundary=True), Interval(0.4, 5.0)), Scan(mu, delta))

    return one("rate", 1.0, 0.3), one("m4l", 1.0, 0.54), one("score", 1.0, 1.07), one("nsbi", 1.4, 1.9)


@pytest.fixture(scope="session")
def verdicts(results):
    points = [ClosurePoint(mu, mu + bias, error, name) for name, bias, error in CLOSURE for mu in (0.3, 1.0, 1.7)]
    return closure_verdicts(points, methods=[r.method for r in results])


CLOSURE = (("rate", 0.0, 0.5), ("m4l", 0.02, 0.1), ("score", -0.03, 0.1), ("nsbi", 0.4, 0.1))


@pytest.fixture(scope="session")
def training_curves():
    decay = np.exp(-np.arange(12) / 3)
    return tuple(TrainingCurve(str(m), "classes", tuple(1 + decay), tuple(1.05 + m / 50 + decay), 8 + m) for m in range(3))

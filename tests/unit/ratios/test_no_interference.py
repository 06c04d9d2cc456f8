"""Signals that interfere with nothing: trained ratios and the fit with them against the exact densities, which are Gaussians.

A signal of strength mu over a background of free normalisation, and two signals of free strengths over one; x is normal in every
process. The same test events, which trained and calibrated nothing, are fitted with the learned and with the exact log ratios.
"""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.config import RatioConfig, SplitConfig
from toolkit.errors import SchemaError
from toolkit.likelihood import Parameter, UnbinnedLikelihood, asimov_weights, measure_parameters
from toolkit.model import Model, ModelParameter, Process
from toolkit.ratios import fit_ratios
from toolkit.weights import SimulatedEvents

pytestmark = pytest.mark.slow

N = 60_000
SHAPES = {"sig": (1.0, 0.6), "other": (-1.2, 0.5), "bkg": (0.0, 2.0)}
"""Mean and standard deviation of x."""
YIELDS = {"sig": 400.0, "other": 300.0, "bkg": 600.0}
CONFIG = RatioConfig(
    features=("x",),
    fold_beam_axis=False,
    hidden=(32, 32),
    epochs=8,
    batch_size=512,
    learning_rate=3e-3,
    splits=SplitConfig(folds=2),
    seed=3,
)


def one_signal() -> Model:
    parameters = (ModelParameter("mu", range=(0.0, 4.0)), ModelParameter("t", "normalisation", range=(0.2, 3.0)))
    processes = (Process.build("sig", {"A": "1"}, factor="mu"), Process.build("bkg", {"A": "1"}, factor="t"))
    return Model(parameters, processes)


def two_signals() -> Model:
    strengths = tuple(ModelParameter(name, range=(0.0, 4.0)) for name in ("mu", "mu_other"))
    processes = (
        Process.build("sig", {"S": "sqrt(mu)"}),
        Process.build("other", {"A": "1"}, factor="mu_other"),
        Process.build("bkg", {"A": "1"}, factor="t"),
    )
    return Model((*strengths, ModelParameter("t", "normalisation", range=(0.2, 3.0))), processes)


def sample(model: Model, seed: int) -> SimulatedEvents:
    rng = np.random.default_rng(seed)
    names = model.densities
    weights = np.zeros((N * len(names), len(names)))
    for k, name in enumerate(names):
        weights[k * N : (k + 1) * N, k] = YIELDS[name] / N
    return SimulatedEvents(
        processes=names,
        event_id=np.arange(N * len(names), dtype=np.uint64) + np.uint64(10**6 * seed),
        sample_index=np.repeat(np.arange(len(names)), N),
        samples=names,
        observables={"x": np.concatenate([rng.normal(*SHAPES[name], N) for name in names])},
        weights=weights,
    )


def exact(model: Model, x: np.ndarray) -> np.ndarray:
    """ln p_j(x) + const, (n, n_densities)."""
    return np.stack([-0.5 * ((x - SHAPES[n][0]) / SHAPES[n][1]) ** 2 - np.log(SHAPES[n][1]) for n in model.densities], axis=1)


def likelihood(model: Model, events: SimulatedEvents, log_ratios: np.ndarray, truth: dict[str, float]) -> UnbinnedLikelihood:
    bounds = {p.name: p.range for p in model.parameters}
    return UnbinnedLikelihood(
        log_ratios=log_ratios,
        weights=asimov_weights(events.weights, coefficients=model.expressions(), parameters=truth, bounds=bounds),
        yields=np.array([YIELDS[n] for n in model.densities]),
        coefficients=model.expressions(),
        parameters=[Parameter(p.name, p.start, *p.range) for p in model.parameters],
    )


@pytest.fixture(scope="module", params=["one", "two"])
def trained(request, tmp_path_factory):
    model = one_signal() if request.param == "one" else two_signals()
    mixture = fit_ratios(sample(model, 1), config=CONFIG, model=model, folder=tmp_path_factory.mktemp(request.param))
    return model, mixture, sample(model, 2)


@pytest.mark.parametrize("strength", [0.7, 1.0, 2.0])
def test_strengths_and_intervals_are_those_of_the_exact_density(trained, strength):
    model, mixture, test = trained
    truth = {**model.truth, "mu": strength}
    found, expected = (
        measure_parameters(
            likelihood(model, test, ratios, truth),
            method="nsbi",
            interest=[p.name for p in model.interest],
            truth=truth,
            points=41,
            contours=False,
        ).parameters
        for ratios in (mixture.log_ratio(test.observables["x"][:, None]), exact(model, test.observables["x"]))
    )
    for name in (p.name for p in model.interest):
        learned, true = found[name], expected[name]
        assert learned.best_fit == pytest.approx(true.best_fit, rel=0.02)
        [one], [two] = learned.interval_68, true.interval_68
        assert (one.low, one.high) == pytest.approx((two.low, two.high), rel=0.02)
        assert one.high - one.low == pytest.approx(two.high - two.low, rel=0.02)


def test_ratios_are_those_of_the_exact_density(trained):
    model, mixture, test = trained
    x = test.observables["x"]
    learned, true = mixture.log_ratio(x[:, None]), exact(model, x)
    error = (learned[:, 0] - learned[:, -1]) - (true[:, 0] - true[:, -1])
    assert np.median(np.abs(error[np.abs(x) < 2.0])) < 0.08


def test_one_process_alone_is_learned_if_it_interferes_and_refused_if_there_is_nothing_to_learn(tmp_path):
    gg = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
    mu = ModelParameter("mu", range=(0.0, 4.0))
    rng = np.random.default_rng(5)
    x = rng.uniform(0.0, 1.0, 4000)
    densities = np.stack([2.0 * x, 2.0 + 0.0 * x - 3.0 * x * (1.0 - x), 2.0 * (1.0 - x)], axis=1)
    ids, one = np.arange(4000, dtype=np.uint64), np.zeros(4000, dtype=np.int64)
    events = SimulatedEvents(("S", "SBI", "B"), ids, one, ("SBI",), {"x": x}, densities / 40.0)
    config = CONFIG.model_copy(update={"epochs": 2, "composition_epochs": 10, "splits": SplitConfig()})
    mixture = fit_ratios(events, config=config, model=Model((mu,), (gg,)), folder=tmp_path / "gg")
    learned = mixture.log_ratio(x[:, None])
    error = learned[:, 0] - learned[:, 2] - np.log(x / (1.0 - x))
    assert np.median(np.abs(error)) < 0.1
    alone = SimulatedEvents(("sig",), ids, one, ("sig",), {"x": x}, np.full((4000, 1), 0.1))
    with pytest.raises(SchemaError, match=r"process 'sig'\n.*nothing to learn"):
        fit_ratios(alone, config=CONFIG, model=Model((mu,), (Process.build("sig", {"A": "1"}, factor="mu"),)), folder=tmp_path / "sig")

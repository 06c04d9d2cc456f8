"""The uncertainty of the density ratios as nuisance parameters of the unbinned channel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toolkit.analysis.channels import unbinned_likelihood
from toolkit.analysis.methods import UnbinnedMethod, rate_method
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Systematics
from toolkit.analysis.ratio_spread import add_spread
from toolkit.config import parse_config
from toolkit.errors import SchemaError
from toolkit.likelihood import UnbinnedLikelihood
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

MODEL = FitModel.of_one(("S", "q"), ("mu", "1"), range=(0.0, 5.0))
NAMES = ("network_S", "network_q")
YIELDS = np.array([40.0, 160.0])


class Ratio:
    """Knows the densities; its ensemble spreads more where x is large, and differently for the two processes."""

    has_spread = True

    def columns(self, observables: Any) -> FloatArray:
        return np.asarray(observables["x"])

    def spread(self, x: FloatArray) -> FloatArray:
        return np.stack([0.2 * x, 0.05 * np.ones_like(x) * (x > 0.5)], axis=1)


def events(n: int, seed: int) -> SimulatedEvents:
    x = np.random.default_rng(seed).uniform(size=n)
    return SimulatedEvents(
        processes=MODEL.processes,
        event_id=np.arange(n, dtype=np.uint64),
        sample_index=np.zeros(n, dtype=np.int64),
        samples=("flat",),
        observables={"x": x},
        weights=np.stack([2.0 * x, np.ones(n)], axis=1) * YIELDS / n,
    )


@pytest.fixture(scope="module")
def channel() -> Any:
    pool, test = events(3_000, 1), events(2_000, 2)
    config: Any = SimpleNamespace(ratio_nuisances=NAMES, densities=MODEL.processes, ratios=SimpleNamespace(spread_factor=1.0))
    learned = add_spread(None, config, Ratio(), pool=pool, test=test)  # type: ignore[arg-type]
    logs = [np.log(np.stack([2.0 * e.observables["x"], np.ones(len(e))], axis=1)) for e in (test, pool)]
    options: Any = {"yields": YIELDS, "coefficients": MODEL.coefficients, "parameters": ("mu",), "bounds": MODEL.bounds}
    method = UnbinnedMethod("nsbi", *(UnbinnedLikelihood(log_ratios=v, weights=np.ones(len(v)), **options) for v in logs))
    weights = test.weights.sum(axis=1)
    systematics = Systematics(learned=learned, networks=NAMES)
    full = unbinned_likelihood(method, weights, systematics, model=MODEL, rate=rate_method(MODEL, pool=pool, test=test), shape=None)
    return SimpleNamespace(pool=pool, test=test, weights=weights, full=full, plain=method.likelihood(weights))


def test_a_parameter_moves_the_log_ratio_of_its_process(channel: Any) -> None:
    """Against the densities written out, each normalised on the pool."""
    x, grid = channel.test.observables["x"], channel.pool.observables["x"]
    for alpha in ({"network_S": 0.7, "network_q": -1.2}, {"network_S": 0.0, "network_q": 0.0}):
        density = np.stack([2.0 * x, np.ones_like(x)], axis=1)
        for j, name in enumerate(NAMES):
            factor = np.exp(alpha[name] * Ratio().spread(x)[:, j])
            mean = np.average(np.exp(alpha[name] * Ratio().spread(grid)[:, j]), weights=channel.pool.weights[:, j])
            density[:, j] *= factor / mean
        slow = {
            mu: 2.0 * (mu * 40.0 + 160.0 - channel.weights @ np.log(density @ (YIELDS * [mu, 1.0]))) + sum(a**2 for a in alpha.values())
            for mu in (0.4, 2.0)
        }
        fast = {mu: channel.full.twice_nll({"mu": mu, **alpha}) for mu in slow}
        assert fast[0.4] - fast[2.0] == pytest.approx(slow[0.4] - slow[2.0], rel=1e-9)


def test_the_result_gets_less_certain(channel: Any) -> None:
    fit, plain = channel.full.fit(), channel.plain.fit()
    assert channel.full.parameter_names == ("mu", *NAMES)
    assert fit.errors["mu"] > 1.004 * plain.errors["mu"]
    assert {c.parameter for c in channel.full.constraints} == set(NAMES)


def test_one_network_has_no_spread() -> None:
    single: Any = SimpleNamespace(has_spread=False)
    with pytest.raises(SchemaError, match="ratio_uncertainty"):
        add_spread(None, SimpleNamespace(), single, pool=events(5, 1), test=events(5, 2))  # type: ignore[arg-type]


def test_the_config_names_the_parameters(tmp_path: Any) -> None:
    three = ["ggF_S", "ggF_SBI", "ggF_B"]
    samples = [*({"name": n, "files": ["a.root"], "benchmarks": three} for n in three), {"name": "qqZZ", "files": ["b.root"]}]
    document: dict[str, Any] = {"luminosity_ifb": 140.0, "samples": samples}
    assert parse_config(document, folder=tmp_path).ratio_nuisances == ()
    asked = parse_config({**document, "likelihood": {"ratio_uncertainty": True}}, folder=tmp_path)
    assert asked.nuisance_names == {"networks": ("network_ggF_S", "network_ggF_SBI", "network_ggF_B", "network_qqZZ")}
    off = parse_config({**document, "likelihood": {"ratio_uncertainty": True, "systematics": False}}, folder=tmp_path)
    assert off.nuisance_names == {}

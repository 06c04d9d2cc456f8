"""The uncertainty of the density ratios as nuisance parameters of the unbinned channel."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toolkit.analysis.channels import unbinned_likelihood
from toolkit.analysis.methods import UnbinnedMethod, rate_method
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Systematics
from toolkit.analysis.ratio_spread import add_shifts, network_nuisances
from toolkit.config import parse_config
from toolkit.errors import InputFileError
from toolkit.likelihood import UnbinnedLikelihood
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

MODEL = FitModel.of_one(("S", "q"), ("mu", "1"), range=(0.0, 5.0))
NAMES = ("network_1", "network_2")
CHANGES = {"network_1": {"S": 0.03, "q": -0.01}, "network_2": {"S": 0.0, "q": 0.02}}
YIELDS = np.array([40.0, 160.0])


class Ratio:
    """Shifts of both densities along one direction, and of one along another."""

    numerators = ("network_1_of_S", "network_1_of_q", "network_2_of_S", "network_2_of_q")

    def __init__(self, path: Path) -> None:
        assert path.name == "network_uncertainty.onnx"

    def columns(self, observables: Any) -> FloatArray:
        return np.asarray(observables["x"])

    def __call__(self, x: FloatArray) -> FloatArray:
        return shifts(x)


def shifts(x: FloatArray) -> FloatArray:
    """(n, 4), parameters outermost."""
    return np.stack([0.2 * x, -0.05 * x, 0.0 * x, 0.1 * (x > 0.5)], axis=1)


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
def channel(tmp_path_factory: pytest.TempPathFactory) -> Any:
    training, test, out = events(3_000, 1), events(2_000, 2), tmp_path_factory.mktemp("run")
    config: Any = SimpleNamespace(densities=MODEL.processes, general=False)
    (out / "models").mkdir()
    (out / "models" / "network_uncertainty.json").write_text(json.dumps({"shifts": CHANGES}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.analysis.ratio_spread.OnnxRatio", Ratio)
        learned = add_shifts(None, config, out, training=training, test=test)
    logs = [np.log(np.stack([2.0 * e.observables["x"], np.ones(len(e))], axis=1)) for e in (test, training)]
    options: Any = {"yields": YIELDS, "coefficients": MODEL.coefficients, "parameters": ("mu",), "bounds": MODEL.bounds}
    method = UnbinnedMethod("nsbi", *(UnbinnedLikelihood(log_ratios=v, weights=np.ones(len(v)), **options) for v in logs))
    weights = test.weights.sum(axis=1)
    systematics = Systematics(learned=learned, networks=NAMES)
    full = unbinned_likelihood(method, weights, systematics, model=MODEL, rate=rate_method(MODEL, training=training, test=test), shape=None)
    return SimpleNamespace(training=training, test=test, weights=weights, full=full, plain=method.likelihood(weights), out=out)


@pytest.mark.parametrize("alpha", [(0.7, -1.2), (0.0, 0.0)])
def test_a_parameter_moves_all_densities_and_their_yields(channel: Any, alpha: tuple[float, float]) -> None:
    """Against the densities written out, each normalised on the training sample."""
    x, grid = channel.test.observables["x"], channel.training.observables["x"]
    moved, of_training = (np.einsum("a,naj->nj", alpha, shifts(values).reshape(-1, 2, 2)) for values in (x, grid))
    density = np.stack([2.0 * x, np.ones_like(x)], axis=1) * np.exp(moved)
    density /= [np.average(np.exp(of_training[:, j]), weights=channel.training.weights[:, j]) for j in range(2)]
    yields = YIELDS * np.exp(np.sum([a * np.array(list(CHANGES[name].values())) for a, name in zip(alpha, NAMES, strict=True)], axis=0))
    penalty = sum(a**2 for a in alpha)
    slow = {mu: 2.0 * (yields @ [mu, 1.0] - channel.weights @ np.log(density @ (yields * [mu, 1.0]))) + penalty for mu in (0.4, 2.0)}
    fast = {mu: channel.full.twice_nll({"mu": mu, **dict(zip(NAMES, alpha, strict=True))}) for mu in slow}
    assert fast[0.4] - fast[2.0] == pytest.approx(slow[0.4] - slow[2.0], rel=1e-9)


def test_the_result_gets_less_certain(channel: Any) -> None:
    fit, plain = channel.full.fit(), channel.plain.fit()
    assert channel.full.parameter_names == ("mu", *NAMES)
    assert fit.errors["mu"] > 1.004 * plain.errors["mu"]
    assert {c.parameter for c in channel.full.constraints} == set(NAMES)


def test_the_export_says_which_parameters_there_are(channel: Any, tmp_path: Path) -> None:
    auto, demanded = (SimpleNamespace(likelihood=SimpleNamespace(ratio_uncertainty=asked)) for asked in ("auto", True))
    assert network_nuisances(auto, channel.out) == NAMES  # type: ignore[arg-type]
    assert network_nuisances(auto, tmp_path) == ()  # type: ignore[arg-type]
    with pytest.raises(InputFileError, match="network_uncertainty"):
        network_nuisances(demanded, tmp_path)  # type: ignore[arg-type]


def test_the_config_names_the_parameters(tmp_path: Path) -> None:
    three = ["ggF_S", "ggF_SBI", "ggF_B"]
    samples = [*({"name": n, "files": ["a.root"], "benchmarks": three} for n in three), {"name": "qqZZ", "files": ["b.root"]}]
    document: dict[str, Any] = {"luminosity_ifb": 140.0, "samples": samples}

    def names(**changes: Any) -> Any:
        return parse_config({**document, **changes}, folder=tmp_path).nuisance_names

    four = {"networks": ("network_1", "network_2", "network_3", "network_4")}
    assert names() == four, "one for each value of calibration_mu at most"
    assert names(likelihood={"ratio_uncertainty": True}) == four
    assert names(likelihood={"ratio_uncertainty": False}) == {}
    assert names(likelihood={"ratio_uncertainty": True, "systematics": False}) == {}
    assert names(ratios={"estimator": "alices", "activation": "tanh"}) == {}, "one shape per value has no shifts"

"""Learned variations in the fit: what a histogram does not see is seen; the workspace is the likelihood in memory; decisions are obeyed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exports import Feature, write_onnx
from toolkit.analysis.channels import normalisation_columns, parameters_of, unbinned_channel, unbinned_likelihood
from toolkit.analysis.layout import ASIMOV, NORMALISATION, VARIATIONS_REPORT, WORKSPACE
from toolkit.analysis.learned import LearnedVariations, learned_directions, read_learned, variation_file, varied_directions
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod, histogram_method, rate_method
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Ratios, Systematics
from toolkit.config import Config, PruneConfig, parse_config
from toolkit.errors import InputFileError, SchemaError
from toolkit.likelihood import UnbinnedLikelihood, Workspace, make_document, write_observation
from toolkit.pipeline.stages.variations import prune
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

PROCESSES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
MODEL = FitModel.of_one(PROCESSES, ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1"), range=(0.0, 6.0))
YIELDS = np.array([20.0, 55.0, 50.0, 100.0])
N, SLOPE = 3_000, 0.15
"""Events, and the change of ln p with y under the variation."""


def simulate(seed: int) -> SimulatedEvents:
    """All processes differ in x; y is Gaussian in all of them."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(size=N), rng.normal(size=N)
    s, b, q = 2.0 * x, 2.0 * (1.0 - x), np.ones_like(x)
    sbi = (YIELDS[0] * s + YIELDS[2] * b - 90.0 * x * (1.0 - x)) / YIELDS[1]
    weights = np.stack([s, sbi, b, q], axis=1)
    return SimulatedEvents(
        processes=PROCESSES,
        event_id=np.arange(N, dtype=np.uint64),
        sample_index=np.zeros(N, dtype=np.int64),
        samples=("flat",),
        observables={"x": x, "y": y},
        weights=weights * YIELDS / N,
    )


class Tilt(torch.nn.Module):
    """ln(varied/nominal density) of a Gaussian y that moves: a y - a^2 / 2."""

    slope: torch.Tensor

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.register_buffer("slope", torch.tensor(slope, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = x[:, 1:2] * self.slope.to(x.dtype) - 0.5 * self.slope.to(x.dtype) ** 2
        return torch.cat([one, one], dim=1)


def config_of(**ratios: Any) -> Config:
    document = {
        "luminosity_ifb": 140.0,
        "samples": [
            *({"name": n, "files": ["a.root"], "benchmarks": list(PROCESSES[:3])} for n in PROCESSES[:3]),
            {"name": "qqZZ", "files": ["b.root"]},
        ],
        "systematics": {
            "objects": {
                "tilt": {"object": "muon", "kind": "scale", "size": 0.01},
                "smear": {"object": "muon", "kind": "resolution", "size": 0.01},
            },
            "weights": {
                "pdf": {"kind": "members", "vector": "W", "first": 0, "last": 1, "combine": "envelope"},
                "qcd": {"kind": "pair", "vector": "S", "up": 0, "down": 1},
                "pileup": {"kind": "columns", "up": "w_up"},
            },
            "ratios": {"shape": "networks", **ratios},
        },
    }
    return parse_config(document, folder=Path())


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run after its export: tilt moves ggF_B and qqZZ, smear (one direction) is kept for qqZZ, the rest was dropped."""
    folder: Path = tmp_path_factory.mktemp("run")
    (folder / WORKSPACE).mkdir()
    features = (Feature("x", "", 0.0, 1.0), Feature("y", "", -4.0, 4.0))
    rows = np.random.default_rng(1).normal(size=(20, 2))
    for name, direction, slope in (("tilt", "up", SLOPE), ("tilt", "down", -SLOPE), ("smear", "up", 0.02)):
        described: dict[str, Any] = {"features": features, "numerators": ("ggF_B", "qqZZ"), "reference": "nominal", "estimator": "exact"}
        write_onnx(Tilt(slope), folder / variation_file(name, direction), reference_rows=rows, **described)
    dropped = {p: {"shape": "changes nothing", "yield": "changes nothing"} for p in PROCESSES}
    decisions = {name: dict(dropped) for name in ("tilt", "smear", "qcd", "pileup")}
    decisions["tilt"] |= {p: {"shape": "kept", "yield": "kept"} for p in ("ggF_B", "qqZZ")}
    decisions["smear"]["qqZZ"] = {"shape": "kept", "yield": "negligible: 0.0001 < 0.001"}
    path = folder / VARIATIONS_REPORT
    path.write_text(json.dumps({"schema": 1, "variations": decisions}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def training() -> SimulatedEvents:
    return simulate(1)


@pytest.fixture(scope="module")
def learned(out: Path, training: SimulatedEvents) -> LearnedVariations:
    found = read_learned(out, config_of(), training=training, test=simulate(2))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def methods(training: SimulatedEvents) -> tuple[BinnedMethod, BinnedMethod, UnbinnedMethod]:
    test = simulate(2)
    pair = (training.observables["x"], test.observables["x"])
    histogram = histogram_method("x", MODEL, training=training, test=test, values=pair, edges=np.linspace(0.0, 1.0, 9), observable="x")
    logs = np.log(np.maximum(test.weights * N / YIELDS, 1e-12))
    base = UnbinnedLikelihood(
        log_ratios=logs,
        weights=np.ones(N),
        yields=training.yields,
        coefficients=MODEL.coefficients,
        parameters=("mu",),
        bounds=MODEL.bounds,
    )
    return rate_method(MODEL, training=training, test=test), histogram, UnbinnedMethod("nsbi", base, base)


def systematics_of(learned: LearnedVariations | None) -> Systematics:
    """A variation of y by itself: the histogram of x has the same content under all of them, and yields move by 1 %."""
    flat = {name: Ratios(np.full((4, 8), 1.01), np.full((4, 8), 0.99)) for name in ("tilt", "smear")}
    rate = {name: Ratios(r.up[:, :1], r.down[:, :1]) for name, r in flat.items()}
    return Systematics(ratios={"x": flat, "rate": rate}, groups={"objects": ("tilt", "smear")}, learned=learned)


def likelihood_of(methods: tuple[BinnedMethod, BinnedMethod, UnbinnedMethod], systematics: Systematics, weights: FloatArray) -> Any:
    return unbinned_likelihood(methods[2], weights, systematics, model=MODEL, rate=methods[0], shape=methods[1])


def test_a_shape_that_the_histogram_does_not_see_is_seen(methods: Any, learned: LearnedVariations) -> None:
    """y alone changes: in bins of x nothing constrains the parameter, the learned ratio of every event does as theory says."""
    weights = simulate(2).weights.sum(axis=1) - simulate(2).weights[:, 0] - simulate(2).weights[:, 2]  # mu = 1: SBI and qqZZ
    blind, seeing = (likelihood_of(methods, systematics_of(v), weights).fit().errors["tilt"] for v in (None, learned))
    assert blind == pytest.approx(1.0, abs=0.02)
    n_moved = YIELDS[3]  # at mu = 1 qqZZ is the process of the data that moves
    events = weights.sum()
    assert seeing == pytest.approx((1.0 + SLOPE**2 * n_moved**2 / events) ** -0.5, rel=0.05)


def test_decisions_are_obeyed(methods: Any, learned: LearnedVariations) -> None:
    assert learned.names == ("tilt", "smear", "qcd", "pileup")
    assert learned.processes == {"tilt": ("ggF_B", "qqZZ"), "smear": ("qqZZ",)}
    assert [tuple(own) for own in learned.data] == [(), (), ("tilt",), ("tilt", "smear")]
    up, down = learned.data[3]["smear"]
    np.testing.assert_array_equal(down, -up)
    ratio: Any = Exact()
    channel = unbinned_channel(MODEL, YIELDS, ratio, systematics_of(learned), rate=methods[0], shape=methods[1])
    found = [[(m.type, m.name) for m in sample.modifiers if m.type != "morphing"] for sample in channel.samples]
    tilt, smear = [("normsys", "tilt"), ("shapesys_ratio", "tilt")], [("shapesys_ratio", "smear")]
    assert found == [[], [], tilt, [*tilt, *smear]]
    data: Any = channel.samples[3].modifiers[-1].data
    assert data.model_dump() == {
        "up": {"model": "../models/systematics/smear_up.onnx", "output": "qqZZ", "spread": False},
        "down": None,
        "hi": 1.0,
        "lo": 1.0,
    }


@pytest.mark.parametrize("code", ["log_quadratic", "code4"])
def test_the_written_workspace_is_the_likelihood_in_memory(methods: Any, learned: LearnedVariations, out: Path, code: Any) -> None:
    test, systematics = simulate(2), replace(systematics_of(learned), interpolation=code)
    weights = test.weights @ np.array([0.0, 1.0, 0.0, 1.0])
    ratio: Any = Exact()
    channel = unbinned_channel(MODEL, learned.training_events.yields, ratio, systematics, rate=methods[0], shape=methods[1])
    write_observation(out / ASIMOV, test.observables, weights=weights)
    write_observation(out / NORMALISATION, normalisation_columns(methods[1], systematics, features=("x", "y")))
    document = make_document(parameters=parameters_of(MODEL, systematics), unbinned=[channel])
    opened = Workspace(document, out / WORKSPACE)

    def open_ratio(path: Path) -> Any:
        from toolkit.likelihood import OnnxRatio

        return ratio if path.name == "mixture.onnx" else OnnxRatio(path)

    read = opened.likelihood(open_ratio=open_ratio)
    memory = likelihood_of(methods, systematics, weights)
    at = {"mu": 0.6, "tilt": -1.3, "smear": 0.8}
    other = {"mu": 2.0, "tilt": 0.5, "smear": -0.2}
    assert read.twice_nll(at) - read.twice_nll(other) == pytest.approx(memory.twice_nll(at) - memory.twice_nll(other), rel=1e-9)


class Exact:
    """The densities as a ratio model."""

    features, numerators, reference = ("x", "y"), PROCESSES, "flat"

    def columns(self, observables: Any) -> FloatArray:
        return np.stack([observables["x"], observables["y"]], axis=1)

    def __call__(self, values: Any) -> FloatArray:
        x = values[:, 0]
        s, b, q = 2.0 * x, 2.0 * (1.0 - x), np.ones_like(x)
        sbi = (YIELDS[0] * s + YIELDS[2] * b - 90.0 * x * (1.0 - x)) / YIELDS[1]
        return np.asarray(np.log(np.maximum(np.stack([s, sbi, b, q], axis=1), 1e-12)))


def test_what_is_learned() -> None:
    directions = [("tilt", "up"), ("tilt", "down"), ("smear", "up"), ("qcd", "up"), ("qcd", "down"), ("pileup", "up")]
    assert list(learned_directions(config_of(), Path())) == directions  # sets of members stay in bins
    assert learned_directions(config_of(shape="histogram"), Path()) == ()
    off = config_of()
    assert learned_directions(off.model_copy(update={"likelihood": off.likelihood.model_copy(update={"systematics": False})}), Path()) == ()
    with pytest.raises(SchemaError, match="shape"):
        config_of(shape="forest")


def test_an_export_that_is_not_finished_is_refused(tmp_path: Path, training: SimulatedEvents) -> None:
    with pytest.raises(InputFileError, match="h4l export"):
        read_learned(tmp_path, config_of(), training=training, test=training)


@pytest.mark.parametrize(
    ("significance", "separation", "expected"),
    [
        ((9.0, 1.0), (0.5, 0.5), "kept"),
        ((1.0, 2.0), (0.5, 0.5), "not significant: 2 standard errors < 3"),
        ((9.0, 9.0), (0.01, 0.003), "negligible: separation 0.01 < 0.02"),
    ],
)
def test_pruning_takes_the_better_direction(significance: Any, separation: Any, expected: str) -> None:
    entry = {
        d: {"yield_ratio": 1.0004, "out_of_bag": {"significance": a, "separation": b}}
        for d, a, b in zip(("up", "down"), significance, separation, strict=True)
    }
    limits = PruneConfig(yields=0.001)
    assert prune(entry, limits) == {"shape": expected, "yield": "negligible: 0.0004 < 0.001"}
    assert prune(entry, limits.model_copy(update={"yields": 0.0}))["yield"] == "kept"
    assert prune({**entry, "down": {"yield_ratio": 1.0}}, limits)["shape"] == "only one direction changes anything"


def test_normalisation_holds_what_the_sources_need(methods: Any, learned: LearnedVariations, training: SimulatedEvents) -> None:
    columns = normalisation_columns(methods[1], systematics_of(learned), features=("x", "y"))
    assert set(columns) == {"x", "y", *(f"weight_{p}" for p in PROCESSES)}
    np.testing.assert_array_equal(columns["weight_qqZZ"], training.weights[:, 3])
    none_kept = replace(learned, files={}, processes={}, data=tuple({} for _ in PROCESSES), training=tuple({} for _ in PROCESSES))
    assert len(normalisation_columns(methods[1], systematics_of(none_kept), features=("x", "y"))["x"]) == 8
    assert likelihood_of(methods, systematics_of(none_kept), training.weights[:, 3]).parameter_names == ("mu", "tilt")


def test_other_events_as_data_have_their_own_variations(learned: LearnedVariations) -> None:
    """The kept networks are the exact tilts, so that the logarithms are known; those of the training sample stay."""
    data = simulate(3)
    found = systematics_of(learned).for_events(data).learned
    assert found is not None
    y = data.observables["y"]
    np.testing.assert_allclose(found.data[2]["tilt"][0], SLOPE * y - 0.5 * SLOPE**2, atol=1e-6)
    np.testing.assert_allclose(found.data[2]["tilt"][1], -SLOPE * y - 0.5 * SLOPE**2, atol=1e-6)
    assert found.training is learned.training
    assert found.training_events is learned.training_events


@pytest.mark.parametrize(("events", "learned"), [(500_000, True), (600_000, False)])
def test_auto_learns_where_variations_times_events_are_affordable(
    events: int, learned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is 3 million; the six directions of this config reach it at half a million events in its simulated samples."""
    config = config_of(shape="auto")
    wanted = varied_directions(config)
    per_sample = events * 6 // len(wanted) // len(config.simulated)
    monkeypatch.setattr("toolkit.analysis.learned.count_events", lambda folder, name: per_sample)
    assert learned_directions(config, tmp_path) == (wanted if learned else ())


def test_auto_counts_the_events_of_the_tables(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"index\.json"):
        learned_directions(config_of(shape="auto"), tmp_path)

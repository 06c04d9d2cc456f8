"""Two production strengths from histograms of scores in categories of jets, config to fit: the same fit by hand finds the same.

The second half of the example ntuples stands for the electroweak mode: as many jets, the same weights, other events.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.example_slice import write_first_events
from toolkit.analysis.build import open_ratio, read_out_of_bag
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.layout import MODEL, OUT_OF_BAG
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.model import FitModel
from toolkit.analysis.region_build import build_region_methods
from toolkit.analysis.region_yields import region_yields
from toolkit.analysis.regions import learned_events
from toolkit.config import Config, parse_config
from toolkit.pipeline import GRAPH, STAGE_NAMES, Plan, StageContext, run_pipeline
from toolkit.weights import SimulatedEvents

DENSITIES = ("ggF_S", "ggF_SBI", "ggF_B", "EW_S", "EW_SBI", "EW_B", "qqZZ")
ONE: dict[str, Any] = {"classes": {"ggF": ["ggF_S"], "ZZ": ["ggF_B", "qqZZ"]}, "folds": 2}
THREE: dict[str, Any] = {"classes": {"VBF": ["EW_S"], "ggF": ["ggF_S"], "ZZ": ["ggF_B", "qqZZ"]}, "folds": 2}
LEPTONS = [f"{quantity}_z{z}_lep{k}" for quantity in ("pt", "eta") for z in (1, 2) for k in (1, 2)]
JETS = ["pt_j1", "eta_j1", "pt_j2", "eta_j2"]
SMALL = {"hidden": [8], "epochs": 2, "batch_size": 64}
HALVES = [0.0, 0.34, 1.0]
BINS: dict[str, tuple[str, dict[str, list[float]]]] = {
    "jets0": ("n_jets == 0", {"jets0_ggF": [0.0, 0.45, 0.55, 1.0]}),
    "jets1": ("n_jets == 1", {"jets1_ggF": HALVES}),
    "jets2": ("n_jets >= 2", {"jets2_VBF": [0.0, 0.33, 1.0], "jets2_ggF": [0.0, 0.33, 1.0]}),
}
"""Condition, and edges by column, of every category."""


def config_of(folder: Path) -> Config:
    def region(name: str) -> dict[str, Any]:
        condition, axes = BINS[name]
        names, edges = list(axes), list(axes.values())
        histogram = {"observable": names, "edges": edges} if len(axes) > 1 else {"observable": names[0], "edges": edges[0]}
        return {"kind": "histogram", "condition": condition, "histogram": histogram}

    def process(name: str, parameter: str) -> dict[str, Any]:
        benchmarks = {f"{name}_S": [1, 0], f"{name}_SBI": [1, 1], f"{name}_B": [0, 1]}
        return {"amplitudes": {"S": f"sqrt({parameter})", "B": "1"}, "benchmarks": benchmarks}

    def sample(name: str, file: str) -> dict[str, Any]:
        carried = [f"{name}_{part}" for part in ("S", "B", "SBI")]
        return {"name": f"{name}_SBI", "process": name, "files": [file], "k_factor": 1.8, "benchmarks": carried}

    document = {
        "luminosity_ifb": 140.0,
        "parameters": {
            "mu_ggF": {"range": [0, 4], "interval": "asymptotic"},
            "mu_EW": {"range": [0, 4], "interval": "asymptotic"},
            "t": {"kind": "normalisation", "range": [0.2, 3]},
        },
        "processes": {"ggF": process("ggF", "mu_ggF"), "EW": process("EW", "mu_EW"), "qqZZ": {"factor": "t"}},
        "samples": [
            sample("ggF", "ggF_SBI_0.root"),
            sample("EW", "ggF_SBI_1.root"),
            {"name": "qqZZ", "files": ["qqZZ_0.root"], "k_factor": 1.3},
        ],
        "observables": ["standard", "leptons", "jets"],
        "classifiers": {
            "jets0": {**ONE, **SMALL, "where": "n_jets == 0", "features": ["pt4l", "m_z1", *LEPTONS], "architecture": "deep_set"},
            "jets1": {**THREE, **SMALL, "where": "n_jets == 1", "features": ["pt4l", "m_z1", "pt_j1", "eta_j1"]},
            "jets2": {**THREE, **SMALL, "where": "n_jets >= 2", "features": ["m_jj", *JETS], "architecture": "recurrent"},
        },
        "regions": {
            "jets0": {"kind": "unbinned", "condition": "n_jets == 0"},
            "jets1": region("jets1"),
            "jets2": region("jets2"),
        },
        "histograms": {"scores": {"observable": "jets0_ggF", "edges": BINS["jets0"][1]["jets0_ggF"]}},
        "score_histogram": {"bins": 3},
        "score_plane": None,
        "ratios": {"features": ["m4l"], **SMALL, "composition_epochs": 2, "splits": {"folds": 2}, "calibration_mu": [1.0]},
    }
    return parse_config(document, folder=folder)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> StageContext:
    folder = tmp_path_factory.mktemp("production")
    write_first_events(folder, {"ggF_SBI": 3000, "qqZZ": 3000}, files=2)
    config, out = config_of(folder), folder / "out"
    run_pipeline(config, out=out, plan=Plan(GRAPH[: STAGE_NAMES.index("fit")]))
    return StageContext(config=config, out=out, work=out, key="")


def inside(observables: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    jets = observables["n_jets"]
    found: np.ndarray = {"jets0": jets == 0, "jets1": jets == 1, "jets2": jets >= 2}[name]
    return found


def templates(events: SimulatedEvents) -> np.ndarray:
    """Fill the bins of all categories by hand: (n_densities, n_bins)."""
    order, columns = [events.processes.index(name) for name in DENSITIES], []
    for name, (_, axes) in BINS.items():
        own = inside(events.observables, name)
        values = np.stack([events.observables[column][own] for column in axes], axis=1)
        filled = [np.histogramdd(values, bins=list(axes.values()), weights=events.weights[own, j])[0].ravel() for j in order]
        columns.append(np.stack(filled))
    return np.concatenate(columns, axis=1)


def expected(bins: np.ndarray, point: np.ndarray) -> np.ndarray:
    """mu S + sqrt(mu) (SBI - S - B) + B of both modes, and t qqZZ."""
    parts = [mu * s + mu**0.5 * (sbi - s - b) + b for mu, (s, sbi, b) in zip(point[:2], (bins[:3], bins[3:6]), strict=True)]
    found: np.ndarray = parts[0] + parts[1] + point[2] * bins[6]
    return found


def lowest(bins: np.ndarray, data: np.ndarray, held: Mapping[int, float]) -> tuple[float, np.ndarray]:
    """Minimise -2 ln L of Poisson bins over the parameters that are not held, from several starts."""
    free = [k for k in range(3) if k not in held]

    def point(x: np.ndarray) -> np.ndarray:
        full = np.array([held.get(k, 0.0) for k in range(3)])
        full[free] = x
        return full

    def twice_nll(x: np.ndarray) -> float:
        nu = expected(bins, point(x))
        return float(2.0 * (nu - data * np.log(nu)).sum()) if (nu > 0.0).all() else 1e9

    limits = [((0.0, 4.0), (0.0, 4.0), (0.2, 3.0))[k] for k in free]
    starts = [[s if k < 2 else 1.0 for k in free] for s in (0.1, 1.0, 2.5)]
    options = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000}
    fits = [minimize(twice_nll, start, method="Nelder-Mead", bounds=limits, options=options) for start in starts]
    best = min(fits, key=lambda fit: fit.fun)
    return float(best.fun), point(best.x)


def test_the_fit_is_that_of_histograms_filled_by_hand(context: StageContext) -> None:
    config, (training, test) = context.config, read_simulation(context)
    ratio, learned = open_ratio(context.out / MODEL, config), learned_events(config, training)
    methods = build_region_methods(
        config, training=training, test=test, ratio=ratio, out_of_bag=read_out_of_bag(context.out / OUT_OF_BAG, learned)
    )
    [scores] = [method for method in methods if method.name == "scores"]
    model = FitModel.of(config)
    likelihood = scores.likelihood(truth_weights(test, model, model.truth))
    bins, held = templates(training), {0: "mu_ggF", 1: "mu_EW"}
    data = expected(templates(test), np.array([1.0, 1.0, 1.0]))
    least, best = lowest(bins, data, {})
    found = likelihood.fit()
    assert [found.parameters[name] for name in ("mu_ggF", "mu_EW", "t")] == pytest.approx(best, abs=2e-3)
    for k, name in held.items():
        values = np.array([0.0, 0.4, 2.5])
        scan = likelihood.scan(name, values, fit=found)
        assert scan.twice_delta_nll.tolist() == pytest.approx([lowest(bins, data, {k: v})[0] - least for v in values], abs=2e-4)


def test_yields_of_the_categories_are_sums_of_weights(context: StageContext) -> None:
    training, test = read_simulation(context)
    found = region_yields(context.config, training=training, test=test)
    for (name, _, _), yields in zip(found.regions, found.yields, strict=True):
        own = inside(training.observables, name)
        by_hand = [training.weights[own, training.processes.index(density)].sum() for density in found.processes]
        assert yields == pytest.approx(by_hand, rel=1e-6), name

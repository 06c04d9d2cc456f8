"""An analysis of two regions whose densities are known in closed form: what tests of regions, data and toys share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from toolkit.analysis import RegionMethod, build_region_methods
from toolkit.config import Config, parse_config
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

N = 4000
YIELDS = {"sig": 60.0, "bkg": 500.0}
SR, CR = "m4l > 115", "m4l <= 110"


def document_of(
    *, kind: str = "counting", sig: dict[str, Any] | None = None, bkg: dict[str, Any] | None = None, sr: str = SR, cr: str = CR, **more: Any
) -> dict[str, Any]:
    histogram = {"histogram": {"observable": "m4l", "edges": [0, 105, 115]}} if kind == "histogram" else {}
    return {
        "luminosity_ifb": 1.0,
        "parameters": {"mu": {"range": [0, 4]}, "t": {"kind": "normalisation", "range": [0.3, 3]}, **more},
        "processes": {"sig": sig or {"factor": "mu"}, "bkg": bkg or {"factor": "t"}},
        "samples": [{"name": name, "files": ["a.root"]} for name in YIELDS],
        "ratios": {"features": ["m4l"]},
        "histograms": {"mass": {"observable": "m4l", "edges": [0, 120, 130, 1000]}},
        "score_histogram": {"bins": 4},
        "score_plane": {"bins": [4, 3]},
        "regions": {"SR": {"kind": "unbinned", "condition": sr}, "CR": {"kind": kind, "condition": cr, **histogram}},
    }


def config_of(**changes: Any) -> Config:
    return parse_config(document_of(**changes), folder=Path())


def simulate(seed: int, *, of: tuple[str, ...] = ("sig", "bkg")) -> SimulatedEvents:
    """Signal: normal around 125 GeV with 4 GeV; background: uniform between 100 and 150 GeV."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(125.0, 4.0, N), rng.uniform(100.0, 150.0, N)])
    weights = np.zeros((2 * N, 2))
    for k, (name, expected) in enumerate(YIELDS.items()):
        weights[k * N : (k + 1) * N, k] = expected / N if name in of else 0.0
    return SimulatedEvents(
        processes=("sig", "bkg"),
        event_id=np.arange(2 * N, dtype=np.uint64) + np.uint64(10**6 * seed),
        sample_index=np.repeat([0, 1], N),
        samples=("sig", "bkg"),
        observables={"m4l": x},
        weights=weights,
    )


class ExactRatio:
    """Log of the densities in closed form, normalised to the signal region (m4l > 115), like that of networks."""

    features = ("m4l",)
    numerators = ("sig", "bkg")
    reference = "flat"

    def columns(self, observables: Any) -> FloatArray:
        return np.asarray(observables["m4l"])[:, None]

    def __call__(self, rows: FloatArray) -> FloatArray:
        signal = norm.logpdf(rows[:, 0], 125.0, 4.0) - norm.logsf(115.0, 125.0, 4.0)
        return np.stack([signal, np.full(len(rows), -np.log(35.0))], axis=1)


def methods_of(config: Config, training: SimulatedEvents, test: SimulatedEvents) -> tuple[RegionMethod, ...]:
    ratio: Any = ExactRatio()
    inside = training.observables["m4l"] > 115.0
    return build_region_methods(
        config, training=training, test=test, ratio=ratio, out_of_bag=ratio(training.observables["m4l"][inside][:, None])
    )

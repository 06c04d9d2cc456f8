"""pyhf models of every kind that its documentation shows: all modifiers, one and several channels, shared parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf

from toolkit.likelihood import Likelihood
from toolkit.likelihood.histfactory import quiet_schema

MU: dict[str, Any] = {"name": "mu", "type": "normfactor", "data": None}
LUMI: dict[str, Any] = {"name": "lumi", "type": "lumi", "data": None}


def normsys(name: str, hi: float, lo: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}


def histosys(name: str, hi: list[float], lo: list[float]) -> dict[str, Any]:
    return {"name": name, "type": "histosys", "data": {"hi_data": hi, "lo_data": lo}}


def binwise(name: str, kind: str, data: list[float] | None = None) -> dict[str, Any]:
    return {"name": name, "type": kind, "data": data}


def sample(name: str, data: list[float], *modifiers: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "data": data, "modifiers": list(modifiers)}


CHANNELS: dict[str, list[dict[str, Any]]] = {
    "coupled_histosys": [
        {
            "name": "signal",
            "samples": [
                sample("signal", [5.0, 10.0], MU),
                sample("bkg1", [100.0, 50.0], histosys("coupled", [150.0, 80.0], [50.0, 20.0])),
                sample("bkg2", [30.0, 25.0], histosys("coupled", [25.0, 30.0], [35.0, 20.0]), normsys("xs", 1.2, 0.9)),
            ],
        },
        {"name": "control", "samples": [sample("background", [100.0], histosys("coupled", [190.0], [80.0]), normsys("xs", 0.95, 1.1))]},
    ],
    "luminosity": [{"name": "c", "samples": [sample("s", [5.0, 2.0], MU, LUMI), sample("b", [40.0, 60.0], LUMI, normsys("xs", 1.1, 0.9))]}],
    "statistical": [
        {
            "name": "a",
            "samples": [
                sample("s", [5.0, 8.0, 2.0], MU, binwise("stat", "staterror", [0.5, 0.6, 0.2])),
                sample("b", [50.0, 60.0, 30.0], binwise("stat", "staterror", [3.0, 4.0, 0.0]), normsys("xs", 1.1, 0.8)),
                sample("fixed", [1.0, 1.0, 1.0]),
            ],
        },
        {"name": "b", "samples": [sample("b", [70.0, 20.0], binwise("stat_b", "staterror", [5.0, 2.0]), normsys("xs", 1.2, 0.9))]},
    ],
    "uncorrelated": [
        {"name": "z", "samples": [sample("s", [5.0, 10.0], MU), sample("b", [50.0, 60.0], binwise("bins", "shapesys", [5.0, 0.0]))]},
        {"name": "a", "samples": [sample("b", [80.0, 20.0], binwise("more", "shapesys", [9.0, 4.0]))]},
    ],
    "data_driven": [
        {"name": "signal", "samples": [sample("s", [20.0, 10.0], MU), sample("b", [100.0, 100.0], binwise("free", "shapefactor"))]},
        {"name": "control", "samples": [sample("b", [100.0, 100.0], binwise("free", "shapefactor"), normsys("xs", 1.1, 0.9))]},
    ],
    "everything": [
        {
            "name": "c",
            "samples": [
                sample(
                    "s", [12.0, 11.0, 4.0], MU, LUMI, normsys("acc", 1.05, 0.97), histosys("shape", [13.0, 10.5, 4.0], [11.0, 11.5, 4.2])
                ),
                sample(
                    "b",
                    [50.0, 52.0, 30.0],
                    LUMI,
                    normsys("acc", 0.98, 1.03),
                    histosys("shape", [55.0, 51.0, 28.0], [46.0, 52.0, 33.0]),
                    binwise("bins", "shapesys", [3.0, 7.0, 2.0]),
                    binwise("stat", "staterror", [1.0, 2.0, 1.0]),
                ),
                sample("free", [5.0, 6.0, 7.0], {"name": "t0", "type": "normfactor", "data": None}),
            ],
        }
    ],
}
PARAMETERS = [{"name": "lumi", "auxdata": [1.0], "sigmas": [0.017], "inits": [1.0], "bounds": [[0.8, 1.2]]}]
NAMES = (*CHANNELS, "hello_world", "correlated")


def model(name: str, **options: Any) -> pyhf.Model:
    """Build a model by name."""
    with quiet_schema():
        if name == "hello_world":
            return pyhf.simplemodels.uncorrelated_background(signal=[12.0, 11.0], bkg=[50.0, 52.0], bkg_uncertainty=[3.0, 7.0])
        if name == "correlated":
            return pyhf.simplemodels.correlated_background(
                signal=[12.0, 11.0], bkg=[50.0, 52.0], bkg_up=[45.0, 57.0], bkg_down=[55.0, 47.0]
            )
        spec: dict[str, Any] = {"channels": CHANNELS[name]}
        if any(m["type"] == "lumi" for c in CHANNELS[name] for s in c["samples"] for m in s["modifiers"]):
            spec["parameters"] = PARAMETERS
        return pyhf.Model(spec, poi_name="mu", **options)


def random_points(likelihood: Likelihood, rng: np.random.Generator, n: int) -> np.ndarray:
    inits = np.array([p.init for p in likelihood.parameters])
    low, high = (np.array([getattr(p, end) for p in likelihood.parameters]) for end in ("low", "high"))
    points = inits + rng.normal(0.0, 1.0, (n, len(inits))) * np.where(low < 0.0, 1.0, 0.2)
    return np.clip(points, np.maximum(low, np.where(low < 0.0, -4.0, 0.05)), high)

"""The channel of `systematics_toy` as a workspace document, with the files that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.likelihood.systematics_toy import COEFFICIENTS, PARAMETERS, SYSTEMATICS, YIELDS, Channel, asimov, log_ratios, shapes
from toolkit.likelihood import write_observation

NAMES = ("S", "SBI", "B", "q")
LUMI = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.8, 1.2]]}
AT = {"mu": 0.4, "t0": 1.1, "scale": 0.3, "slope": -0.6, "lumi": 1.01}
OTHER = {"mu": 2.0, "t0": 0.9, "scale": -1.6, "slope": 1.4, "lumi": 0.97}


class AnalyticRatio:
    """The densities of the toy as a ratio model; as variation model it gives one of the columns."""

    features, reference = ("x",), "uniform"

    def __init__(self, path: Path) -> None:
        self.variation = path.stem if path.stem != "ratio" else None
        self.numerators = NAMES if self.variation is None else ("up", "down")

    def columns(self, observables: Any) -> Any:
        return observables["x"][:, None]

    def __call__(self, x: Any) -> Any:
        if self.variation is None:
            return log_ratios(x[:, 0])
        own = shapes(x[:, 0])
        k = own.parameters[0].index(self.variation)
        return own.logs[0][:, [k, 2 + k]]

    def spread(self, x: Any) -> Any:
        return np.abs(self(x))


def modifiers(j: int, own: Any) -> list[dict[str, Any]]:
    """Coefficient as modifiers, then normsys, then variations from columns (scale) and a model (slope)."""
    out: list[dict[str, Any]] = [{"type": "lumi", "name": "lumi"}]
    morphing = COEFFICIENTS[j].removesuffix(" * lumi")
    out.append({"type": "normfactor", "name": "t0"} if j == 3 else {"type": "morphing", "data": {"coefficient": morphing}})
    out += [{"type": "normsys", "name": s.parameter, "data": {"hi": s.up, "lo": s.down}} for s in SYSTEMATICS if s.process == j]
    for name in own.parameters[j]:
        sources: dict[str, Any] = {d: {"column": f"{name}_{d}"} for d in ("up", "down")}
        if name == "slope":
            sources = {d: {"model": "slope.onnx", "output": d} for d in ("up", "down")}
        out.append({"type": "shapesys_ratio", "name": name, "data": sources})
    return out


def document(toy: Channel) -> dict[str, Any]:
    own = shapes(toy.x)
    samples = [{"name": n, "yield": YIELDS[j], "output": n, "modifiers": modifiers(j, own)} for j, n in enumerate(NAMES)]
    unbinned = {
        "name": "sr",
        "observables": ["x"],
        "reference": "uniform",
        "model": "ratio.onnx",
        "samples": samples,
        "observation": {"file": "data.parquet"},
        "normalisation": {"file": "grid.parquet", "weight": None},
    }
    free = [{"name": p.name, "inits": [p.init], "bounds": [[p.low, p.high]]} for p in PARAMETERS[:2]]
    config = {"poi": "mu", "parameters": [*free, LUMI]}
    return {"version": "1.0.0", "unbinned_channels": [unbinned], "measurements": [{"name": "m", "config": config}]}


def control_region() -> dict[str, Any]:
    """A binned channel that shares scale (histosys and normsys), t0 and lumi, and has a systematic of its own."""
    scale = [
        {"name": "scale", "type": "normsys", "data": {"hi": 1.04, "lo": 0.97}},
        {"name": "scale", "type": "histosys", "data": {"hi_data": [101.0, 46.0], "lo_data": [98.0, 53.0]}},
    ]
    own = [{"name": "efficiency", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}]
    plain = [{"name": "t0", "type": "normfactor", "data": None}, {"name": "lumi", "type": "lumi", "data": None}]
    return {"name": "cr", "samples": [{"name": "q", "data": [100.0, 50.0], "modifiers": [*plain, *scale, *own]}]}


def write_files(folder: Path, toy: Channel) -> None:
    for file, x in (("data", toy.x), ("grid", toy.grid)):
        own = shapes(x)
        pair = own.logs[1]
        columns = {"x": x, "scale_up": pair[:, 0], "scale_down": pair[:, 1]}
        write_observation(folder / f"{file}.parquet", columns, weights=asimov(x) if file == "data" else None)

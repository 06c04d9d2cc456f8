"""A large ntuple for the benchmarks: the events of an existing one over and over, renumbered, and each time a little harder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from toolkit.config import Config, parse_config

GROUPS = ("Electron", "Muon", "Jet", "GenLep")
BASKET = 100_000
HARDER = 1e-4
"""Relative change of the momenta of leptons from one copy of an event to the next: two equal events would be refused."""
BENCHMARKS = ("ggF_S", "ggF_B", "ggF_SBI")


def find_source(data: Path | None) -> Path:
    """Return the ntuple to replicate: of the benchmark sample, or the example that comes with the package."""
    if data is not None:
        return data / "ggF_SBI_0.root"
    from toolkit.example import demo_config  # noqa: PLC0415

    return Path(demo_config()).with_name("ggF_SBI_0.root")


def replicate(source: Path, target: Path, *, events: int) -> Path:
    """Write `events` events with the branches and the compression of the source.

    Args:
        source: A NanoAOD-like ntuple.
        target: The file to write.
        events: Number of events.

    Returns:
        The file.
    """
    with uproot.open(source) as file:
        tree, xsec_fb = file["Events"], float(file["Runs"]["xsec_fb"].array()[0])
        columns = grouped_columns(tree.arrays())
        compression = file.file.compression
    available = len(columns["event"])
    with uproot.recreate(target, compression=compression) as file:
        tree = file.mktree("Events", {name: tree_type(values) for name, values in columns.items()})
        sumw = 0.0
        for start in range(0, events, BASKET):
            number = np.arange(start, min(start + BASKET, events))
            part = {name: values[number % available] for name, values in columns.items()}
            part["event"] = number.astype(np.uint64)
            factor = (1.0 + HARDER * (number // available)).astype(np.float32)
            for name in ("Electron", "Muon"):
                part[name] = ak.with_field(part[name], part[name].pt * factor, "pt")
            sumw += float(np.sum(part["genWeight"], dtype=np.float64))
            tree.extend(part)
        runs = {"genEventCount": np.array([events]), "genEventSumw": np.array([sumw]), "xsec_fb": np.array([xsec_fb])}
        file.mktree("Runs", {name: values.dtype for name, values in runs.items()}).extend(runs)
    return target


def config_for(ntuple: Path, **sections: Any) -> Config:
    """Return the analysis of the benchmarks: one interfering sample, all standard observables, three benchmark weights."""
    sample = {"name": "ggF_SBI", "files": [ntuple.name], "benchmarks": list(BENCHMARKS), "k_factor": 1.8}
    return parse_config({"luminosity_ifb": 140.0, "samples": [sample], **sections}, folder=ntuple.parent)


def grouped_columns(arrays: Any) -> dict[str, Any]:
    """Return the branches of a NanoAOD-like tree as uproot writes them: collections as records."""
    columns: dict[str, Any] = {}
    for name in arrays.fields:
        group, _, field = name.partition("_")
        if group in GROUPS:
            columns.setdefault(group, {})[field] = arrays[name]
        elif not name.startswith("n"):
            columns[name] = arrays[name] if arrays[name].ndim > 1 else ak.to_numpy(arrays[name])
    return {name: ak.zip(value) if isinstance(value, dict) else value for name, value in columns.items()}


def tree_type(values: Any) -> Any:
    """Return the type of a branch."""
    return values.type.content if isinstance(values, ak.Array) else values.dtype

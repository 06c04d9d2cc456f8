"""The first events of the example ntuples, with their share of the sum of weights: an analysis that takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import uproot

from toolkit.example import example_folder

EVENTS = {"ggF_SBI": 1000, "qqZZ": 1000}
THREE = ["ggF_S", "ggF_B", "ggF_SBI"]
CONFIG: dict[str, Any] = {
    "name": "one report",
    "luminosity_ifb": 140.0,
    "samples": [
        {"name": "ggF_SBI", "files": ["ggF_SBI.root"], "k_factor": 1.8, "benchmarks": THREE},
        {"name": "qqZZ", "files": ["qqZZ.root"], "k_factor": 1.3},
    ],
    "observables": ["m4l", "n_jets"],
    "systematics": {
        "objects": {
            "electron_scale": {"object": "electron", "kind": "scale", "size": 0.02},
            "jet_scale": {"object": "jet", "kind": "scale", "size": 0.1},
        }
    },
    "ratios": {
        "features": ["m4l", "cos_theta_star"],
        "hidden": [16, 16],
        "epochs": 2,
        "composition_epochs": 2,
        "batch_size": 64,
        "calibration_mu": [1.0],
    },
    "histograms": {
        "m4l": {"observable": "m4l", "edges": [220, 260, 320, 450, 2001]},
        "plane": {
            "observable": ["m4l", "n_jets"],
            "edges": [[220, 260, 320, 2001], [-0.5, 0.5, 20.5]],
            "least_expected": 2.0,
        },
    },
    "likelihood": {
        "luminosity_uncertainty": 0.02,
        "normalisations": {
            "gg_theory": {"processes": THREE, "up": 1.1},
            "qq_theory": {"processes": ["qqZZ"], "up": 1.05},
        },
        "ratio_uncertainty": True,
        "closure_mu": [1.0],
        "bootstrap_replicas": 20,
        "scan_points": 11,
        "goodness": {"toys": 1},
    },
    "score_histogram": {"bins": 4},
    "report": {"importance_events": 0},
}


def write_ntuples(folder: Path) -> None:
    """Write the first events of the example ntuples, with their share of the sum of weights."""
    for sample, entries in EVENTS.items():
        with uproot.open(example_folder() / f"{sample}_0.root") as source:
            tree = source["Events"]
            share, events = entries / tree.num_entries, tree.arrays(entry_stop=entries)
            runs = source["Runs"].arrays(library="np")
        groups: dict[str, dict[str, Any]] = {}
        columns: dict[str, Any] = {}
        for name in [f for f in events.fields if not f.startswith("n")]:
            group, _, part = name.partition("_")
            if part:
                groups.setdefault(group, {})[part] = events[name]
            else:
                columns[name] = ak.to_numpy(events[name]) if events[name].ndim == 1 else events[name]
        columns |= {name: ak.zip(parts) for name, parts in groups.items()}
        scaled = {name: values if name == "xsec_fb" else values * share for name, values in runs.items()}
        with uproot.recreate(folder / f"{sample}.root") as target:
            kinds = {name: v.type.content if isinstance(v, ak.Array) else v.dtype for name, v in columns.items()}
            target.mktree("Events", kinds).extend(columns)
            target.mktree("Runs", {name: v.dtype for name, v in scaled.items()}).extend(scaled)

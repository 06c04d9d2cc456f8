"""The config of an analysis that takes seconds, on the first events of the example ntuples."""

from __future__ import annotations

from typing import Any

EVENTS = {"ggF_SBI": 1000, "qqZZ": 1000}
THREE = ["ggF_S", "ggF_B", "ggF_SBI"]
CONFIG: dict[str, Any] = {
    "name": "one report",
    "luminosity_ifb": 140.0,
    "samples": [
        {"name": "ggF_SBI", "files": ["ggF_SBI_0.root"], "k_factor": 1.8, "benchmarks": THREE},
        {"name": "qqZZ", "files": ["qqZZ_0.root"], "k_factor": 1.3},
    ],
    "observables": ["m4l", "n_jets"],
    "parameter": {"interval": "asymptotic"},
    "systematics": {
        "objects": {
            "electron_scale": {"object": "electron", "kind": "scale", "size": 0.02},
            "jet_scale": {"object": "jet", "kind": "scale", "size": 0.1},
        },
        "ratios": {"shape": "histogram"},
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
    "score_plane": {"bins": [4, 3]},
    "report": {"importance_events": 0},
}

"""Names of the files of an output folder, relative to it."""

from __future__ import annotations

from pathlib import Path

MANIFEST = Path("manifest.json")
MANIFEST_SCHEMA = 1
EVENTS = Path("events")
CUTFLOW = Path("cutflow.json")
MODELS = Path("models")
MEMBERS = MODELS / "members"
TRAINING = MODELS / "training.json"
OUT_OF_BAG = MODELS / "out_of_bag.npz"
MODEL = MODELS / "mixture.onnx"
FOLDS = MODELS / "folds"
PARITY = MODELS / "parity.json"
NETWORK_UNCERTAINTY = MODELS / "network_uncertainty.onnx"
NETWORK_UNCERTAINTY_REPORT = MODELS / "network_uncertainty.json"
VARIATIONS = MODELS / "systematics"
VARIATIONS_REPORT = MODELS / "systematics.json"
CLASSIFIERS = MODELS / "classifiers"
CLASSIFIERS_REPORT = MODELS / "classifiers.json"
SCORES = CLASSIFIERS / "scores"
INSPECTION = MODELS / "inspection.npz"
WORKSPACE = Path("workspace")
FIT = WORKSPACE / "fit.json"
ASIMOV = WORKSPACE / "asimov.parquet"
OBSERVED = WORKSPACE / "observed.parquet"
NORMALISATION = WORKSPACE / "normalisation.parquet"
INTERVALS = WORKSPACE / "intervals.json"
TOYS = WORKSPACE / "toys"
COMPARISON = WORKSPACE / "comparison.json"
LEFT_OUT = WORKSPACE / "left_out.json"
GOODNESS = WORKSPACE / "goodness.json"
PLOTS = Path("plots")
LEARNING_CURVE = Path("learning_curve")
REPORT = Path("report.html")
DIAGNOSTICS = Path("diagnostics.npz")
RESULTS = Path("results.json")

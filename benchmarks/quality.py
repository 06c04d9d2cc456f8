"""What conditions on leptons and correctionlib weights cost: processing with and without, in pairs, in CPU time of one core.

    python -m benchmarks.quality [--data FOLDER] [--pairs 5]

Five conditions on branches of leptons (all of which pass, so that no work is saved), a scale factor of electrons in pt and eta, and a
pile-up weight. FOLDER holds the benchmark ntuples; without it the example ntuple of the package is taken. Aim: at least 0.8 of the speed
without.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import awkward as ak
import numpy as np
import uproot

from benchmarks.measure import print_json
from benchmarks.ntuple import config_for, find_source, grouped_columns, tree_type

FIELDS = {"Electron": ("cutBased", "pfRelIso03_all", "dxy"), "Muon": ("mediumId", "pfRelIso04_all")}
SELECTION = {
    "electron": {"where": "cutBased > -1 and pfRelIso03_all < 2 and abs(dxy) < 5"},
    "muon": {"where": "mediumId > -1 and pfRelIso04_all < 2"},
}
CORRECTIONS = {
    "sf": {"object": "electron", "file": "corrections.json", "correction": "sf", "inputs": ["eta", "pt"]},
    "pileup": {"file": "corrections.json", "correction": "pileup", "inputs": ["Pileup_nTrueInt"]},
}


def write_inputs(source: Path, folder: Path) -> Path:
    """Write the events of a NanoAOD-like file with invented properties of leptons, and a correctionlib file beside it."""
    rng = np.random.default_rng(1)
    with uproot.open(source) as file:
        columns, xsec_fb = grouped_columns(file["Events"].arrays()), file["Runs"]["xsec_fb"].array(library="np")[:1]
        compression = file.file.compression
    for kind, names in FIELDS.items():
        counts = ak.num(columns[kind]["pt"])
        more = {name: ak.unflatten(rng.uniform(0, 1, int(ak.sum(counts))).astype(np.float32), counts) for name in names}
        columns[kind] = ak.zip({**{field: columns[kind][field] for field in columns[kind].fields}, **more})
    columns["Pileup_nTrueInt"] = rng.uniform(0, 80, len(columns["event"])).astype(np.float32)
    runs = {"genEventSumw": np.array([np.sum(columns["genWeight"], dtype=np.float64)]), "xsec_fb": xsec_fb}
    with uproot.recreate(folder / "events.root", compression=compression) as file:
        file.mktree("Events", {name: tree_type(values) for name, values in columns.items()}).extend(columns)
        file.mktree("Runs", {name: values.dtype for name, values in runs.items()}).extend(runs)
    pt, eta = [0.0, 10.0, 20.0, 35.0, 50.0, 100.0, 200.0, 500.0], np.linspace(-2.5, 2.5, 11).tolist()
    table = {"nodetype": "multibinning", "inputs": ["eta", "pt"], "edges": [eta, pt], "content": np.linspace(0.9, 1.1, 70).tolist()}
    profile = {
        "nodetype": "binning",
        "input": "n",
        "edges": np.linspace(0, 100, 101).tolist(),
        "content": np.linspace(0.5, 1.5, 100).tolist(),
    }
    members = [_correction("sf", ("eta", "pt"), table), _correction("pileup", ("n",), profile)]
    (folder / "corrections.json").write_text(json.dumps({"schema_version": 2, "corrections": members}))
    return folder / "events.root"


def measure(ntuple: Path, *, pairs: int) -> dict[str, Any]:
    """Process a file without and with conditions and weights, after one run of each that does not count."""
    from processors import run  # noqa: PLC0415

    configs = {"without": config_for(ntuple), "with": config_for(ntuple, selection=SELECTION, corrections=CORRECTIONS)}
    seconds: dict[str, list[float]] = {name: [] for name in configs}
    for k in range(pairs + 1):
        for name, config in configs.items():
            with tempfile.TemporaryDirectory(dir=ntuple.parent) as out:
                began = time.process_time()
                run(config, out)
                if k:
                    seconds[name].append(time.process_time() - began)
    ratios = [a / b for a, b in zip(seconds["without"], seconds["with"], strict=True)]
    return {"cpu_s": seconds, "speed_ratios": ratios, "median": float(np.median(ratios))}


def _correction(name: str, inputs: tuple[str, ...], data: dict[str, Any]) -> dict[str, Any]:
    described = [{"name": argument, "type": "real"} for argument in inputs]
    return {"name": name, "version": 1, "inputs": described, "output": {"name": "w", "type": "real"}, "data": {**data, "flow": "clamp"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(write_inputs(find_source(options.data), Path(folder)), pairs=options.pairs)
    print(f"speed with conditions and weights over that without: median {result['median']:.2f} of {options.pairs} pairs (aim 0.8)")
    print_json(result)


if __name__ == "__main__":
    main()

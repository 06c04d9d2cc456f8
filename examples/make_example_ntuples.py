"""Cut the example ntuples of `h4l demo` from the benchmark sample.

    python examples/make_example_ntuples.py --data FOLDER_WITH_THE_NTUPLES [--out toolkit/example] [--fraction 1.0]

From each file it takes the first generated events (all of them with `--fraction 1`), keeps those with at least four
accepted leptons, and only the branches that the demo reads. `Runs` keeps the sum of weights and the count of the
GENERATED events that the cut stands for, so cross-sections and acceptances stay right.

What the cut does not keep: jets below 30 GeV (the threshold of the demo's selection), events with fewer than four
accepted leptons, lepton masses (constants take their place), and digits that the detector does not resolve: angles
are rounded to multiples of 2^-11 (leptons) and 2^-7 (jets), lepton pt to 2.4e-4, jet pt to 2e-3, jet mass to 3e-2 and weights
to 3e-5 (relative).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

SAMPLES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
INTERFERING = ("ggF_S", "ggF_SBI", "ggF_B")
ACCEPTANCE = {"Electron": (7.0, 2.47), "Muon": (5.0, 2.7)}
JET_PT_MIN = 30.0

LEPTON_ANGLE_STEP, JET_ANGLE_STEP = 2.0**-11, 2.0**-7
WEIGHT_BITS, LEPTON_PT_BITS, JET_PT_BITS, JET_MASS_BITS = 14, 11, 8, 4


def round_mantissa(values: Any, bits: int) -> NDArray[np.float32]:
    """Round float32 numbers to `bits` explicit bits of mantissa, ties to even: relative error at most 2^-(bits + 1)."""
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    drop = np.uint64(23 - bits)
    odd = (raw >> drop) & np.uint64(1)
    rounded = ((raw + (np.uint64(1) << (drop - np.uint64(1))) - np.uint64(1) + odd) >> drop) << drop
    return rounded.astype(np.uint32).view(np.float32)


def round_to_step(values: Any, step: float) -> NDArray[np.float32]:
    """Round to multiples of `step`, a power of two."""
    return (np.round(np.asarray(values, dtype=np.float64) / step) * step).astype(np.float32)


def compact(events: ak.Array, kind: str, *, mask: ak.Array, angle_step: float, pt_bits: int) -> dict[str, Any]:
    """Return pt, eta, phi of one kind of particle as jagged arrays of rounded numbers."""
    counts = ak.sum(mask, axis=1)
    flat = {field: ak.to_numpy(ak.flatten(events[f"{kind}_{field}"][mask])) for field in ("pt", "eta", "phi")}
    rounded = {"pt": round_mantissa(flat["pt"], pt_bits), **{f: round_to_step(flat[f], angle_step) for f in ("eta", "phi")}}
    return {field: ak.unflatten(values, counts) for field, values in rounded.items()}


def columns_of(events: ak.Array, *, interfering: bool) -> dict[str, Any]:
    """Return the columns of the example tree, rounded."""
    columns: dict[str, Any] = {"event": ak.to_numpy(events.event), "genWeight": round_mantissa(events.genWeight, WEIGHT_BITS)}
    if interfering:
        ratios = ak.to_numpy(events.LHEReweightingWeight)
        columns["LHEReweightingWeight"] = ak.from_regular(round_mantissa(ratios, WEIGHT_BITS))
    for kind in ACCEPTANCE:
        everything = ak.ones_like(events[f"{kind}_pt"], dtype=np.bool_)
        fields = compact(events, kind, mask=everything, angle_step=LEPTON_ANGLE_STEP, pt_bits=LEPTON_PT_BITS)
        columns[kind] = ak.zip({**fields, "charge": ak.values_astype(events[f"{kind}_charge"], np.int32)})
    hard = events.Jet_pt > JET_PT_MIN
    jets = compact(events, "Jet", mask=hard, angle_step=JET_ANGLE_STEP, pt_bits=JET_PT_BITS)
    mass = round_mantissa(ak.to_numpy(ak.flatten(events.Jet_mass[hard])), JET_MASS_BITS)
    columns["Jet"] = ak.zip({**jets, "mass": ak.unflatten(mass, ak.sum(hard, axis=1))})
    return columns


def four_leptons(events: ak.Array) -> NDArray[np.bool_]:
    """Return which events have at least four accepted leptons."""
    count = 0
    for kind, (pt_min, abs_eta_max) in ACCEPTANCE.items():
        count = count + ak.sum((events[f"{kind}_pt"] > pt_min) & (abs(events[f"{kind}_eta"]) < abs_eta_max), axis=1)
    return ak.to_numpy(count) >= 4


def cut_file(source: Path, target: Path, *, interfering: bool, fraction: float) -> tuple[int, int]:
    """Write the cut of one file.

    Returns:
        Number of generated events that the cut stands for, and number of events in it.
    """
    names = ["event", "genWeight", *(["LHEReweightingWeight"] if interfering else [])]
    names += [f"{kind}_{field}" for kind in ("Electron", "Muon") for field in ("pt", "eta", "phi", "charge")]
    names += [f"Jet_{field}" for field in ("pt", "eta", "phi", "mass")]
    with uproot.open(source) as directory:
        n_generated = round(directory["Events"].num_entries * fraction)
        events = directory["Events"].arrays(names, entry_stop=n_generated)
        xsec_fb = float(directory["Runs"]["xsec_fb"].array(library="np")[0])
    sumw = float(np.sum(ak.to_numpy(events.genWeight), dtype=np.float64))
    events = events[four_leptons(events)]
    columns = columns_of(events, interfering=interfering)
    runs = {"genEventCount": np.array([n_generated]), "genEventSumw": np.array([sumw]), "xsec_fb": np.array([xsec_fb])}
    with uproot.recreate(target, compression=uproot.LZMA(9)) as output:
        for name, content in (("Events", columns), ("Runs", runs)):
            types = {key: value.type.content if isinstance(value, ak.Array) else value.dtype for key, value in content.items()}
            output.mktree(name, types).extend(content)
    return n_generated, len(events)


def main() -> None:
    """Cut all files and print what came out."""
    parser = argparse.ArgumentParser(description="Cut the example ntuples from the benchmark sample.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the benchmark ntuples")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "toolkit" / "example", help="folder to write to")
    parser.add_argument("--fraction", type=float, default=1.0, help="share of the generated events to take from each file")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    total = 0
    for sample in SAMPLES:
        for source in sorted(options.data.glob(f"{sample}_[0-9]*.root")):
            target = options.out / source.name
            generated, kept = cut_file(source, target, interfering=sample in INTERFERING, fraction=options.fraction)
            size = target.stat().st_size
            total += size
            sys.stdout.write(f"{target.name}: {kept} of {generated} events, {size} bytes\n")
    sys.stdout.write(f"total {total} bytes\n")


if __name__ == "__main__":
    main()

"""The ceiling: the sensitivity of the exact likelihood ratio at generator level, beside binned fits of the same events.

    python -m benchmarks.exact --data FOLDER_OF_THE_BENCHMARK_SAMPLE

The sample's truth tables hold the differential cross-sections of all processes at each event's true phase-space point, so that
every event can stand for every process (balance heuristic over all four samples): yields, templates and the Asimov set are
then integrals over the same points and close by construction. That is right for an expectation, and only for that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import uproot
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from toolkit.config.analysis import M4L_EDGES
from toolkit.kinematics import cartesian_from_ptetaphim, compute_observables
from toolkit.likelihood import (
    BinnedLikelihood,
    MethodResult,
    UnbinnedLikelihood,
    asimov_weights,
    fill_templates,
    measure,
    morphing_expressions,
    quantile_edges,
)
from toolkit.model import Model, ModelParameter, Process
from toolkit.typing import FloatArray, IntArray

PROCESSES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
MODEL = Model(
    (ModelParameter("mu", range=(0.0, 6.0)),),
    (
        Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"ggF_S": [1, 0], "ggF_SBI": [1, 1], "ggF_B": [0, 1]}),
        Process.build("qqZZ", {"qqZZ": "1"}),
    ),
)
K_FACTORS = (1.8, 1.8, 1.8, 1.3)
PT_MIN = (20.0, 15.0, 10.0, 7.0)
ABS_ETA_MAX = 2.5
M4L_MIN = 220.0
D_ME_BACKGROUND = 0.1
"""c of D_ME = log10(P_S / (P_SBI + c P_qq))."""


@dataclass(frozen=True, eq=False)
class TruthEvents:
    """Generated events inside the acceptance.

    Attributes:
        event_id: Event numbers, shape (n,).
        sample: Index into PROCESSES of the sample that an event was generated in, shape (n,).
        leptons: Momenta (px, py, pz, E) of the true leptons l-, l+, l'-, l'+ in GeV, shape (n, 4, 4).
        m4l: Their invariant mass in GeV, shape (n,).
        density: Differential cross-sections with k-factors at the event up to a common factor, in the order of PROCESSES, (n, 4).
        weights: Expected events each event stands for, (n, 4).
    """

    event_id: NDArray[np.uint64]
    sample: IntArray
    leptons: FloatArray
    m4l: FloatArray
    density: FloatArray
    weights: FloatArray


def read_truth(folder: Path, *, luminosity_ifb: float, shared: Sequence[tuple[int, ...]] = ((0, 1, 2, 3),)) -> TruthEvents:
    """Read the generated leptons, weights and exact densities of all samples.

    Args:
        folder: The benchmark sample.
        luminosity_ifb: Luminosity of the weights in 1/fb.
        shared: Groups of samples whose events stand for each other's processes; by default all do.
    """
    m4l, density, weight, sample, leptons, event_id = [], [], [], [], [], []
    for k, name in enumerate(PROCESSES):
        events, scale = _read_sample(folder, name)
        flat = cartesian_from_ptetaphim(*(_matrix(events[f"GenLep_{c}"]).ravel() for c in ("pt", "eta", "phi", "mass")))
        total = flat.reshape(-1, 4, 4).sum(axis=1)
        mass = np.sqrt(total[:, 3] ** 2 - np.sum(total[:, :3] ** 2, axis=1))
        pt, eta = -np.sort(-_matrix(events["GenLep_pt"])), _matrix(events["GenLep_eta"])
        inside = np.all(pt > PT_MIN, axis=1) & np.all(np.abs(eta) < ABS_ETA_MAX, axis=1) & (mass > M4L_MIN)
        exact = pq.read_table(folder / "truth" / f"{name}.parquet")
        order = np.argsort(exact["event"].to_numpy())
        rows = order[np.searchsorted(exact["event"].to_numpy()[order], ak.to_numpy(events["event"]))]
        columns = [exact[f"density_{p}"].to_numpy()[rows].astype(np.float64) * f for p, f in zip(PROCESSES, K_FACTORS, strict=True)]
        m4l.append(mass[inside])
        leptons.append(flat.reshape(-1, 4, 4)[inside])
        event_id.append(ak.to_numpy(events["event"])[inside].astype(np.uint64))
        density.append(np.stack(columns, axis=1)[inside])
        weight.append(ak.to_numpy(events["genWeight"])[inside].astype(np.float64) * scale * K_FACTORS[k] * luminosity_ifb)
        sample.append(np.full(int(inside.sum()), k))
    d, w, s = np.concatenate(density), np.concatenate(weight), np.concatenate(sample)
    stand_for = _share_between_samples(d, w, s, shared)
    return TruthEvents(np.concatenate(event_id), s, np.concatenate(leptons), np.concatenate(m4l), d, stand_for)


def _read_sample(folder: Path, name: str) -> tuple[ak.Array, float]:
    """Return the events of a sample and the factor that turns genWeight into fb."""
    branches = ["event", "genWeight", "GenLep_pt", "GenLep_eta", "GenLep_phi", "GenLep_mass"]
    parts, sumw, xsec = [], 0.0, 0.0
    for path in sorted(folder.glob(f"{name}_*.root")):
        with uproot.open(path) as file:
            runs = file["Runs"].arrays(library="np")
            sumw, xsec = sumw + float(runs["genEventSumw"].sum()), float(runs["xsec_fb"][0])
            parts.append(file["Events"].arrays(branches))
    return ak.concatenate(parts), xsec / sumw


def _matrix(column: ak.Array) -> FloatArray:
    return np.asarray(ak.to_numpy(column), dtype=np.float64)


def _share_between_samples(density: FloatArray, weight: FloatArray, sample: IntArray, groups: Sequence[tuple[int, ...]]) -> FloatArray:
    """Let every event stand for every process of its group: alpha_k w d_j / d_k, with alpha the balance heuristic."""
    size = np.array([weight[sample == k].sum() / np.sum(weight[sample == k] ** 2) for k in range(len(PROCESSES))])
    own = density[np.arange(len(weight)), sample]
    result = np.zeros_like(density)
    for group in groups:
        columns, rows = np.array(group), np.flatnonzero(np.isin(sample, group))
        share = size[sample[rows]] * own[rows] / (density[rows][:, columns] @ size[columns])
        result[np.ix_(rows, columns)] = density[rows][:, columns] * (share * weight[rows] / own[rows])[:, None]
    return result


def measure_all(events: TruthEvents, *, mu: float) -> dict[str, MethodResult]:
    """Measure mu by the rate, m4l, two optimal-looking histograms and the exact ratio."""
    coefficients = morphing_expressions("ggF", parameter="mu", n_backgrounds=1)
    bounds = {"mu": (0.0, 6.0)}
    values = np.linspace(*bounds["mu"], 241)
    weights = asimov_weights(events.weights, coefficients=coefficients, parameters={"mu": mu}, bounds=bounds)
    s, sbi, b, qq = events.density.T
    scores = {"D_ME, 30 bins": np.log10(s / (sbi + D_ME_BACKGROUND * qq)), "S / (B + qq), 50 bins": np.log10(s / (b + qq))}
    momenta = (np.ascontiguousarray(events.leptons[:, k]) for k in range(4))
    scores["d_me of the momenta, 30 bins"] = compute_observables(*momenta, names=["d_me"])["d_me"]
    binned: dict[str, tuple[FloatArray, FloatArray]] = {
        "rate": (events.m4l, np.array([M4L_EDGES[0], M4L_EDGES[-1]])),
        "m4l, 15 bins": (events.m4l, np.array(M4L_EDGES)),
    }
    binned |= {name: (x, quantile_edges(x, events.weights[:, 0], bins=int(name.split()[-2]))) for name, x in scores.items()}
    results = {}
    for name, (x, edges) in binned.items():
        templates = fill_templates(x, events.weights, edges, processes=PROCESSES, outside="clip")
        data = fill_templates(x, weights[:, None], edges, processes=("data",), outside="clip").values[0]
        binned_fit = BinnedLikelihood(templates=templates.values, data=data, coefficients=coefficients, parameters=("mu",), bounds=bounds)
        results[name] = measure(binned_fit, method=name, values=values)
    yields = events.weights.sum(axis=0)
    exact = UnbinnedLikelihood.from_ratios(
        ratios=events.density / yields, weights=weights, yields=yields, coefficients=coefficients, parameters=("mu",), bounds=bounds
    )
    results["exact"] = measure(exact, method="exact", values=values)
    return results


def main() -> None:
    """Print the table; with --json also write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark sample")
    parser.add_argument("--luminosity", type=float, default=140.0, help="1/fb")
    parser.add_argument("--mu", type=float, default=1.0, help="truth of the Asimov set")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    events = read_truth(options.data, luminosity_ifb=options.luminosity)
    yields = ", ".join(f"{name} {n:.1f}" for name, n in zip(PROCESSES, events.weights.sum(axis=0), strict=True))
    table = Table(title=f"Generator level, {options.luminosity:g}/fb, {len(events.m4l)} events; yields {yields}")
    for column in ("method", "mu_hat", "-2 ln lambda(0)", "68 %", "95 %"):
        table.add_column(column)
    results = measure_all(events, mu=options.mu)
    for name, r in results.items():
        spans = [" or ".join(f"[{i.low:.2f}, {i.high:.2f}]" for i in pieces) for pieces in (r.interval_68, r.interval_95)]
        table.add_row(name, f"{r.mu_hat:.3f}", f"{r.twice_nll_at_0:.3f}", *spans)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({name: r.to_json() for name, r in results.items()}), encoding="utf-8")


if __name__ == "__main__":
    main()

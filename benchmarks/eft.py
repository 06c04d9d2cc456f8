"""Two coefficients at generator level: networks on true leptons beside the exact likelihood ratio of the same events.

    python -m benchmarks.eft --data FOLDER_OF_THE_SAMPLE_FOLDERS --work WORK

The truth tables of the sample with three amplitudes hold the differential cross-sections of its benchmarks and of q qbar -> ZZ at each
event's true phase-space point, so that every event stands for every density. The networks read observables of the true leptons and learn
from these weights, never from a density as an input; each event is judged by networks that neither trained nor were calibrated on its
fold. Rates are those of all events for every method, so that the exact ratio closes by construction and what is left is the error of the
networks.
Finished members are kept in WORK; the command resumes there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import uproot
from numpy.typing import NDArray

from benchmarks.exact import ABS_ETA_MAX, M4L_MIN, PT_MIN
from benchmarks.generator import FEATURES, ordered_leptons, report
from benchmarks.measure import print_json, print_table
from toolkit.analysis.model import FitModel
from toolkit.config import RatioConfig
from toolkit.config.analysis import M4L_EDGES
from toolkit.config.ratios import SplitConfig
from toolkit.kinematics import cartesian_from_ptetaphim, compute_observables
from toolkit.likelihood import BinnedLikelihood, Likelihood, UnbinnedLikelihood, asimov_weights, fill_templates
from toolkit.likelihood.contours import find_contours
from toolkit.model import Model, ModelParameter, Process
from toolkit.ratios import fit_ratios
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

GG = {"B": (0, 0, 1), "S_t": (1, 0, 0), "S_g": (0, 1, 0), "S_tg": (1, 1, 0), "SBI": (1, 0, 1), "SBI_g": (0, 1, 1)}
MODEL = Model(
    (ModelParameter("c_t", range=(-2.0, 4.0)), ModelParameter("c_g", range=(-3.0, 3.0), truth=0.0)),
    (Process.build("gg", {"t": "c_t", "g": "c_g", "box": "1"}, {k: list(v) for k, v in GG.items()}), Process.build("qqZZ", {"qqZZ": "1"})),
)
FIT = FitModel.of_model(MODEL)
CONTOUR_RANGES = ((-0.9, 2.5), (-1.95, 1.65))
POINTS = ((0.0, 1.0), (0.0, 0.0), (0.5, 0.5), (1.5, -0.5), (0.7, 0.7))
CLOSURE = ((1.0, 0.0), *POINTS[:1], *POINTS[2:])


def read_events(folder: Path, *, luminosity_ifb: float) -> SimulatedEvents:
    """Read the true leptons inside the acceptance, and let every event stand for all densities (balance heuristic of the sample)."""
    names, eft = FIT.processes, folder / "ggzz4l_eft"
    factors = np.array([1.3 if name == "qqZZ" else 1.8 for name in names])
    parts = []
    for k, (place, sample) in enumerate(((eft, "ggF_SBI"), (eft, "ggF_Stg"), (folder / "ggzz4l", "qqZZ"))):
        branches = ["event", *(f"GenLep_{c}" for c in ("pt", "eta", "phi", "mass"))]
        events = ak.concatenate([uproot.open(file)["Events"].arrays(branches) for file in sorted(place.glob(f"{sample}_[0-9].root"))])
        p = {c: np.asarray(ak.to_numpy(events[f"GenLep_{c}"]), dtype=np.float64) for c in ("pt", "eta", "phi", "mass")}
        leptons = cartesian_from_ptetaphim(*(p[c].ravel() for c in ("pt", "eta", "phi", "mass"))).reshape(-1, 4, 4)
        total = leptons.sum(axis=1)
        m4l = np.sqrt(total[:, 3] ** 2 - np.sum(total[:, :3] ** 2, axis=1))
        inside = np.all(-np.sort(-p["pt"]) > PT_MIN, axis=1) & np.all(np.abs(p["eta"]) < ABS_ETA_MAX, axis=1) & (m4l > M4L_MIN)
        number = ak.to_numpy(events["event"]).astype(np.uint64)[inside]
        tables = [place / "truth" / f"{sample}.parquet"] + ([eft / "truth" / "ggzz4l_qqZZ.parquet"] if sample == "qqZZ" else [])
        d, m = _densities(tables, number), m4l[inside]
        # What the three samples together expect at the point, in the common units of the densities.
        expected = d["SBI"] * np.minimum((m / 200.0) ** 2, 40.0) / 1.695831e-4 + d["S_tg"] / 3.499656e-5
        expected += d["qqZZ"] * (m / 200.0) / 1.877353e-4
        weights = np.stack([d[name] for name in names], axis=1) / expected[:, np.newaxis] * (factors * luminosity_ifb)
        observables = compute_observables(*ordered_leptons(leptons[inside]), names=FEATURES)
        parts.append((number, np.full(len(m), k), observables, weights))
    joined = {name: np.concatenate([part[2][name] for part in parts]) for name in FEATURES}
    number, sample_index, weights = (np.concatenate([part[i] for part in parts]) for i in (0, 1, 3))
    return SimulatedEvents(names, number, sample_index, ("SBI", "S_tg", "qqZZ"), joined, weights)


def _densities(tables: list[Path], number: NDArray[np.uint64]) -> dict[str, FloatArray]:
    """Return the densities of events by their numbers, (n,) each; one sample calls S_t, B and SBI ggF_S, ggF_B and ggF_SBI."""
    columns = {}
    for file in tables:
        table = pq.read_table(file)
        known = table["event"].to_numpy().astype(np.uint64)
        order = np.argsort(known)
        rows = order[np.searchsorted(known, number, sorter=order)]
        for name in table.schema.names[1:]:
            short = name.removeprefix("density_")
            columns[{"ggF_S": "S_t", "ggF_B": "B", "ggF_SBI": "SBI"}.get(short, short)] = table[name].to_numpy()[rows].astype(np.float64)
    return columns


def unbinned(log_densities: FloatArray, weights: FloatArray, yields: FloatArray) -> UnbinnedLikelihood:
    """Build the likelihood from log nu_j p_j / p_ref, (n, n_densities), and the yields of the total rate."""
    return UnbinnedLikelihood(
        log_ratios=log_densities - np.log(yields), weights=weights, yields=yields, coefficients=FIT.coefficients, parameters=FIT.parameters
    )


def figures(likelihood: Likelihood) -> dict[str, float | list[float]]:
    """Measure areas of both contours, -2 Delta lnL at the points, and the best fit."""
    fit = likelihood.fit()
    contours = find_contours(likelihood, ("c_t", "c_g"), fit=fit, ranges=CONTOUR_RANGES, points=41)
    t = [likelihood.twice_nll({"c_t": c_t, "c_g": c_g}) - fit.twice_nll for c_t, c_g in POINTS]
    return {"area_68": contours[0].area, "area_95": contours[1].area, "t": t, "best_fit": [fit.parameters["c_t"], fit.parameters["c_g"]]}


def main() -> None:
    """Train or resume, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ggzz4l and ggzz4l_eft")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--luminosity", type=float, default=140.0, help="1/fb")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--composition-epochs", type=int, default=60)
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    events = read_events(options.data, luminosity_ifb=options.luminosity)
    yields = events.yields
    print(f"{len(events)} events; yields " + ", ".join(f"{n} {y:.1f}" for n, y in zip(events.processes, yields, strict=True)))
    config = RatioConfig(
        features=FEATURES,
        epochs=options.epochs,
        composition_epochs=options.composition_epochs,
        splits=SplitConfig(cross_fit=True),
    )
    trained = fit_ratios(events, config=config, model=MODEL, folder=options.work, progress=report)
    if trained.cross_fitted is None:
        msg = "a cross-fit without the networks of the folds"
        raise RuntimeError(msg)
    networks = trained.cross_fitted.out_of_fold + np.log(yields)
    exact = np.log(events.weights)

    def asimov(truth: tuple[float, float]) -> FloatArray:
        point = dict(zip(FIT.names, truth, strict=True))
        return asimov_weights(events.weights, coefficients=FIT.coefficients, parameters=point, bounds=FIT.bounds)

    weights = asimov((1.0, 0.0))
    m4l, edges = events.observables["m4l"], np.array(M4L_EDGES)
    templates = fill_templates(m4l, events.weights, edges, processes=events.processes, outside="clip")
    data = fill_templates(m4l, weights[:, np.newaxis], edges, processes=("data",), outside="clip").values[0]
    binned = BinnedLikelihood(templates=templates.values, data=data, coefficients=FIT.coefficients, parameters=FIT.parameters)
    results = {
        "m4l, 15 bins": figures(binned),
        "networks": figures(unbinned(networks, weights, yields)),
        "exact": figures(unbinned(exact, weights, yields)),
    }
    head = ["method", "68 % area", "95 % area", *(f"t({a:g}, {b:g})" for a, b in POINTS), "c_t", "c_g"]
    print_table(head, [[name, r["area_68"], r["area_95"], *r["t"], *r["best_fit"]] for name, r in results.items()])  # type: ignore[misc]
    closure = []
    for truth in CLOSURE:
        fitted = unbinned(networks, asimov(truth), yields).fit()
        closure.append({"truth": list(truth), "best_fit": [fitted.parameters["c_t"], fitted.parameters["c_g"]]})
    print_table(["truth", "c_t", "c_g"], [[str(tuple(c["truth"])), *c["best_fit"]] for c in closure])
    document = {"results": results, "closure": closure}
    if options.json:
        options.json.write_text(json.dumps(document), encoding="utf-8")
    print_json(document)


if __name__ == "__main__":
    main()

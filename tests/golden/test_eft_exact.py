"""Exact contours of (c_t, c_g) from the densities of the benchmark sample: model, likelihood and contours against its README."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from toolkit.likelihood import Parameter, UnbinnedLikelihood, measure_parameters
from toolkit.model import Model, ModelParameter, Process
from toolkit.typing import BoolArray, FloatArray

NAMES = ("B", "S_t", "S_g", "S_tg", "SBI", "SBI_g", "qqZZ")
VECTORS = {"B": [0, 0, 1], "S_t": [1, 0, 0], "S_g": [0, 1, 0], "S_tg": [1, 1, 0], "SBI": [1, 0, 1], "SBI_g": [0, 1, 1]}
COLUMNS = [f"density_{name}" for name in NAMES]
OLD = {"density_ggF_B": "density_B", "density_ggF_S": "density_S_t", "density_ggF_SBI": "density_SBI"}


def accepted(folder: Path, pattern: str) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return event numbers, the true m4l, and what passes |eta| < 2.5, pT > 20, 15, 10, 7 GeV and m4l > 220 GeV."""
    names = ["event", *(f"GenLep_{key}" for key in ("pt", "eta", "phi", "mass"))]
    parts = [uproot.open(file)["Events"].arrays(names, library="np") for file in sorted(folder.glob(pattern))]
    event = np.concatenate([part["event"] for part in parts])
    pt, eta, phi, mass = (np.concatenate([np.stack(part[name]) for part in parts]).astype(float) for name in names[1:])
    momenta = [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)]
    energy = np.sqrt(sum(p**2 for p in momenta) + mass**2)
    m4l = np.sqrt(energy.sum(axis=1) ** 2 - sum(p.sum(axis=1) ** 2 for p in momenta))
    hard = (-np.sort(-pt, axis=1) > [20.0, 15.0, 10.0, 7.0]).all(axis=1)
    return event, m4l, hard & (np.abs(eta) < 2.5).all(axis=1) & (m4l > 220.0)


def densities(event: FloatArray, *files: Path) -> FloatArray:
    """Return the densities of events, (n, 7), from files with a row per event."""
    columns: dict[str, FloatArray] = {}
    for file in files:
        table = pq.read_table(file)
        rows = np.argsort(table["event"].to_numpy())
        rows = rows[np.searchsorted(table["event"].to_numpy(), event, sorter=rows)]
        columns |= {OLD.get(name, name): table[name].to_numpy()[rows] for name in table.column_names if name != "event"}
    return np.stack([columns[name] for name in COLUMNS], axis=1)


def test_exact_contours_are_those_of_the_sample(shared_data: Callable[[str], Path]) -> None:
    eft, other = shared_data("ggzz4l_eft"), shared_data("ggzz4l")
    rows = []
    for folder, pattern, files in (
        (eft, "ggF_SBI_*.root", (eft / "truth/ggF_SBI.parquet",)),
        (eft, "ggF_Stg_*.root", (eft / "truth/ggF_Stg.parquet",)),
        (other, "qqZZ_*.root", (other / "truth/qqZZ.parquet", eft / "truth/ggzz4l_qqZZ.parquet")),
    ):
        event, m4l, inside = accepted(folder, pattern)
        d, x = densities(event, *files)[inside], m4l[inside] / 200.0
        generated = d[:, 4] * np.minimum(x**2, 40.0) / 1.695831e-4 + d[:, 3] / 3.499656e-5 + d[:, 6] * x / 1.877353e-4
        rows.append(d / generated[:, None])
    weights = 140.0 * np.concatenate(rows) * np.array([1.8] * 6 + [1.3])

    gg = Process.build("gg", {"t": "c_t", "g": "c_g", "box": "1"}, VECTORS)
    coefficients = (ModelParameter("c_t", range=(-2.0, 4.0)), ModelParameter("c_g", range=(-3.0, 3.0), truth=0.0, start=0.0))
    model = Model(coefficients, (gg, Process.build("qqZZ", {"A": "1"})))
    learned = weights[:, [NAMES.index(name) for name in model.densities]]
    asimov, yields = weights[:, 4] + weights[:, 6], learned.sum(axis=0)
    likelihood = UnbinnedLikelihood(
        log_ratios=np.log(np.maximum(learned / yields, 1e-300)) - np.log(asimov)[:, None],
        weights=asimov,
        yields=yields,
        coefficients=model.expressions(),
        parameters=[Parameter("c_t", 1.0, -2.0, 4.0), Parameter("c_g", 0.0, -3.0, 3.0)],
    )
    found = measure_parameters(likelihood, method="exact", interest=("c_t", "c_g"), truth={"c_t": 1.0, "c_g": 0.0}, points=31)
    assert [c.area for c in found.contours] == pytest.approx([2.51, 4.26], abs=0.01)
    profiled = {"c_t": ([0.10, 1.56], [-0.22, 1.84]), "c_g": ([-0.89, 0.62], [-1.29, 0.98])}
    alone = {"c_t": ([0.11, 1.37], [-0.17, 1.61]), "c_g": ([-0.88, 0.48], [-1.28, 0.79])}
    for name, own in found.parameters.items():
        ends = [[i.low, i.high] for pieces in (own.interval_68, own.interval_95) for i in pieces]
        fixed = [[i.low, i.high] for pieces in (own.fixed_others_68, own.fixed_others_95) for i in pieces]
        np.testing.assert_allclose(ends, profiled[name], atol=0.006)
        np.testing.assert_allclose(fixed, alone[name], atol=0.006)
    points = [(0, 0), (0, 1), (0.5, 0.5), (1.5, -0.5), (2, -1), (1, 1)]
    base = likelihood.twice_nll({"c_t": 1.0, "c_g": 0.0})
    t = [likelihood.twice_nll({"c_t": a, "c_g": b}) - base for a, b in points]
    assert t == pytest.approx([1.77, 5.83, 0.65, 0.67, 6.76, 7.33], abs=0.006)

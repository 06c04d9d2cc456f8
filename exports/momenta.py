"""Events whose momenta, observables and log ratios travel with a C++ project, so that its own test can follow the whole chain."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from toolkit.kinematics import OBSERVABLES, compute_observables, pair_leptons, take_quadruplet
from toolkit.likelihood import OnnxRatio
from toolkit.weights.missing import fill_missing

N_EVENTS = 200
SCHEMA = 1
_FIELDS = ("px", "py", "pz", "E")


def momenta_document(ratio: OnnxRatio, *, n_events: int = N_EVENTS, seed: int = 1) -> dict[str, Any] | None:
    """Draw events and compute what a model says about them.

    Args:
        ratio: The model.
        n_events: Number of events.
        seed: Of the generator.

    Returns:
        columns, `fills` and the convention `z1` of the model; per event `leptons` (PDG number, px, py, pz, E in GeV), `jets`, `observables`
        in the order of the columns and `log_ratio`.
        None where a column is no observable of leptons and jets, or is missing in some events.
    """
    fills = dict(ratio.metadata.fills)
    sources = [_source(name, fills) for name in ratio.metadata.columns]
    if not all(_in_cpp(source) for source in sources):
        return None
    leptons, jets = _events(n_events, np.random.default_rng(seed))
    own = ak.zip({name: leptons[..., k] for k, name in enumerate(("pdg_id", *_FIELDS))})
    own["pdg_id"] = ak.values_astype(own["pdg_id"], np.int64)
    beside = ak.zip({name: jets[..., k] for k, name in enumerate(_FIELDS)})
    chosen = take_quadruplet(own, pair_leptons(own, z1=ratio.metadata.z1))  # type: ignore[arg-type]
    roles = (chosen[role] for role in ("a1", "b1", "a2", "b2"))
    names = tuple(dict.fromkeys((*sources, *fills)))
    observables = fill_missing(compute_observables(*roles, jets=beside, names=names), fills)
    x = ratio.columns({name: observables[name] for name in ratio.metadata.columns})
    if not np.all(np.isfinite(x)):
        return None
    return {
        "schema": SCHEMA,
        "columns": list(ratio.metadata.columns),
        "fills": fills,
        "z1": ratio.metadata.z1,
        "leptons": leptons.to_list(),
        "jets": jets.to_list(),
        "observables": x.tolist(),
        "log_ratio": ratio(x).tolist(),
    }


def _in_cpp(name: str) -> bool:
    """Whether the C++ runtime computes an observable: those of leptons and jets, without matrix elements and angular functions."""
    entry = OBSERVABLES.get(name)
    return entry is not None and entry.needs != "column" and entry.group not in {"matrix_element", "angular"}


def _source(name: str, fills: dict[str, float]) -> str:
    for known in fills:
        if name in {f"{known}_filled", f"has_{known}"}:
            return known
    return name


def _events(n: int, rng: np.random.Generator) -> tuple[ak.Array, ak.Array]:
    """Draw four leptons of two pairs in random order, and up to three jets, of each event."""
    leptons, jets = [], []
    for _ in range(n):
        ids = [11, -11, 13, -13] if rng.random() < 0.5 else [13, -13, 13, -13]
        p = rng.normal(0.0, [50.0, 50.0, 80.0], (4, 3))
        energy = np.sqrt(np.sum(p**2, axis=1))
        leptons.append([[float(i), *q.tolist(), float(e)] for i, q, e in zip(rng.permutation(ids), p, energy, strict=True)])
        q = rng.normal(0.0, [60.0, 60.0, 300.0], (int(rng.integers(0, 4)), 3))
        jets.append([[*row.tolist(), float(np.sqrt(row @ row + 64.0))] for row in q])
    numbers = ak.Array([*jets, [[0.0, 0.0, 0.0, 0.0]]])[:-1]  # the last one says that jets have four numbers
    return ak.from_regular(ak.Array(leptons)), numbers

"""Events whose momenta, observables and log ratios travel with a C++ project, so that its own test can follow the whole chain."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from toolkit.kinematics import OBSERVABLES, compute_observables, pair_leptons, take_quadruplet
from toolkit.likelihood import OnnxRatio
from toolkit.typing import FloatArray
from toolkit.weights.missing import fill_missing

N_EVENTS = 200
SURPLUS = 3
"""Events that are drawn for one that is kept: matrix elements are not known everywhere."""
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
        None where a column is no observable of leptons and jets, or needs jets that some events lack.
    """
    fills = dict(ratio.metadata.fills)
    sources = [_source(name, fills) for name in ratio.metadata.columns]
    if not all(_in_cpp(source) for source in sources):
        return None
    leptons, jets = _events(SURPLUS * n_events, np.random.default_rng(seed))
    own = ak.zip({name: leptons[..., k] for k, name in enumerate(("pdg_id", *_FIELDS))})
    own["pdg_id"] = ak.values_astype(own["pdg_id"], np.int64)
    beside = ak.zip({name: jets[..., k] for k, name in enumerate(_FIELDS)})
    chosen = take_quadruplet(own, pair_leptons(own, z1=ratio.metadata.z1))  # type: ignore[arg-type]
    roles = (chosen[role] for role in ("a1", "b1", "a2", "b2"))
    names = tuple(dict.fromkeys((*sources, *fills)))
    observables = fill_missing(compute_observables(*roles, jets=beside, names=names), fills)
    of_leptons = [observables[name] for name in sources if OBSERVABLES[name].needs == "leptons"]
    kept = np.flatnonzero(np.isfinite([*of_leptons, np.zeros(len(leptons))]).all(axis=0))[:n_events]
    x = ratio.columns({name: observables[name][kept] for name in ratio.metadata.columns})
    if len(kept) < n_events or not np.all(np.isfinite(x)):
        return None
    return {
        "schema": SCHEMA,
        "columns": list(ratio.metadata.columns),
        "fills": fills,
        "z1": ratio.metadata.z1,
        "leptons": leptons[kept].to_list(),
        "jets": jets[kept].to_list(),
        "observables": x.tolist(),
        "log_ratio": ratio(x).tolist(),
    }


def _in_cpp(name: str) -> bool:
    """Whether the C++ runtime computes an observable: those of leptons and jets that the toolkit has itself."""
    entry = OBSERVABLES.get(name)
    return entry is not None and entry.needs != "column" and entry.group != "user"


def _source(name: str, fills: dict[str, float]) -> str:
    for known in fills:
        if name in {f"{known}_filled", f"has_{known}"}:
            return known
    return name


def _events(n: int, rng: np.random.Generator) -> tuple[ak.Array, ak.Array]:
    """Draw the leptons of two Z bosons that fly apart, in random order, and up to three jets, of each event."""
    leptons, jets = [], []
    for _ in range(n):
        ids = [11, -11, 13, -13] if rng.random() < 0.5 else [13, -13, 13, -13]
        push, away = rng.normal(0.0, [20.0, 20.0, 100.0]), _direction(rng) * rng.uniform(60.0, 300.0)
        p = np.concatenate([_decay(push + sign * away, rng.uniform(70.0, 110.0), rng) for sign in (1.0, -1.0)])
        energy = np.sqrt(np.sum(p**2, axis=1))
        order = rng.permutation(4)
        leptons.append([[float(ids[k]), *p[k].tolist(), float(energy[k])] for k in order])
        q = rng.normal(0.0, [60.0, 60.0, 300.0], (int(rng.integers(0, 4)), 3))
        jets.append([[*row.tolist(), float(np.sqrt(row @ row + 64.0))] for row in q])
    numbers = ak.Array([*jets, [[0.0, 0.0, 0.0, 0.0]]])[:-1]  # the last one says that jets have four numbers
    return ak.from_regular(ak.Array(leptons)), numbers


def _direction(rng: np.random.Generator) -> FloatArray:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.sqrt(vector @ vector))


def _decay(flight: FloatArray, mass: float, rng: np.random.Generator) -> FloatArray:
    """Draw the momenta of two massless leptons from a boson of this momentum and mass, (2, 3)."""
    total = np.sqrt(flight @ flight + mass**2)
    own = _direction(rng) * 0.5 * mass
    one = own + flight * ((own @ flight) / (mass * (total + mass)) + 0.5)
    return np.stack([one, flight - one])

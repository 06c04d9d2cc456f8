"""Compute registered observables of paired leptons and jets, chunk by chunk."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics import discriminant, observables, production
from toolkit.kinematics.angles import Recoil
from toolkit.kinematics.fourvectors import chunked, same_length
from toolkit.kinematics.jets import LeadingJets, leading_jets
from toolkit.kinematics.registry import OBSERVABLES, FourLeptonEvent
from toolkit.typing import FloatArray

REGISTERING = (observables, production, discriminant)
"""Modules whose import fills the registry, in the order of the columns of the event tables."""


def compute_observables(
    a1: Any,
    b1: Any,
    a2: Any,
    b2: Any,
    *,
    jets: Any = None,
    columns: Mapping[str, FloatArray] | None = None,
    names: Sequence[str] | None = None,
    recoil: Recoil = "none",
) -> dict[str, FloatArray]:
    """Compute observables of paired leptons and jets.

    Args:
        a1: Negative lepton of Z1, laboratory frame, px, py, pz, E in GeV, shape (n, 4); any form of `as_cartesian`.
        b1: Positive lepton of Z1.
        a2: Negative lepton of Z2.
        b2: Positive lepton of Z2.
        jets: Selected jets: a jagged awkward array, or `LeadingJets`.
        columns: Numbers that the ntuple carries, each (n,), by the name of the observable that they are.
        names: Names from `OBSERVABLES` and `columns`; by default all that can be computed from what is given.
        recoil: Convention of cos_theta_star and phi_1, see `decay_angles`.

    Returns:
        Observables by name, in the order of `names`, each (n,) float64; NaN where missing or undefined.

    Raises:
        SchemaError: An observable is unknown, or needs jets and there are none.
        ShapeError: The numbers of events differ.

    Examples:
        >>> a1, b1 = [[5.0, 3.0, 0.0, 34**0.5]], [[-5.0, 3.0, 0.0, 34**0.5]]
        >>> a2, b2 = [[5.0, -3.0, 0.0, 34**0.5]], [[-5.0, -3.0, 0.0, 34**0.5]]
        >>> values = compute_observables(a1, b1, a2, b2, names=["m4l", "m_z1", "pt4l"])
        >>> {name: round(float(v[0]), 3) for name, v in values.items()}
        {'m4l': 23.324, 'm_z1': 10.0, 'pt4l': 0.0}
    """
    columns = {} if columns is None else columns
    chosen = _select(names, with_jets=jets is not None, columns=columns)
    momenta = same_length(a1=a1, b1=b1, a2=a2, b2=b2)
    n_events = len(momenta[0])
    leading = jets if isinstance(jets, LeadingJets) else leading_jets(jets) if jets is not None else None
    if leading is not None and len(leading) != n_events:
        raise ShapeError(what="jets", got=f"{len(leading)} events", expected=f"{n_events} events, as many as leptons")
    for name, values in columns.items():
        if len(values) != n_events:
            raise ShapeError(what=f"column {name}", got=f"{len(values)} events", expected=f"{n_events} events, as many as leptons")
    out = {name: np.array(columns[name], dtype=np.float64) if name in columns else np.empty(n_events) for name in chosen}
    computed = [OBSERVABLES[name] for name in chosen if name not in columns]
    needs_jets = any(entry.needs == "jets" for entry in computed)
    absent = np.broadcast_to(np.nan, (n_events, 4))
    jet_momenta = (leading.j1, leading.j2) if leading is not None and needs_jets else (absent, absent)
    n_jets = leading.n_jets if leading is not None else absent[:, 0]
    with np.errstate(all="ignore"):
        for part, (p1, q1, p2, q2, j1, j2) in chunked(*momenta, *jet_momenta):
            event = FourLeptonEvent(p1, q1, p2, q2, n_jets[part], j1, j2, recoil)
            for entry in computed:
                out[entry.name][part] = entry.function(event)
    return out


def _select(names: Sequence[str] | None, *, with_jets: bool, columns: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """Check the requested names."""
    possible = {"leptons", "jets"} if with_jets else {"leptons"}
    if names is None:
        own = [name for name in columns if name not in OBSERVABLES]
        return (*(name for name, entry in OBSERVABLES.items() if entry.needs in possible or name in columns), *own)
    for name in names:
        if name in columns:
            continue
        if name not in OBSERVABLES:
            near = difflib.get_close_matches(name, OBSERVABLES, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "see toolkit.kinematics.OBSERVABLES"
            raise SchemaError(what="observable", got=name, expected=f"one of {list(OBSERVABLES)}", remedy=remedy)
        if OBSERVABLES[name].needs == "jets" and not with_jets:
            raise SchemaError(what=f"observable {name}", got="no jets", expected="jets", remedy="pass jets=, or leave the observable out")
        if OBSERVABLES[name].needs == "column":
            raise SchemaError(
                what=f"observable {name}", got="no such column", expected="a column of the ntuple", remedy="pass columns=, or leave it out"
            )
    return tuple(dict.fromkeys(names))

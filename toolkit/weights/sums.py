"""A sum of processes that do not interfere is not one morphing: find the groups whose constant terms would be taken for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError
from toolkit.weights.monomials import MonomialVector


def require_one_sum(vector: MonomialVector, rows: Mapping[str, NDArray[np.float64]], *, contents: Sequence[str]) -> None:
    """Refuse benchmarks of several processes, each with a constant term of its own, as those of one squared amplitude.

    The monomial 1 of (mu_ggF, sqrt(mu_ggF), 1) and that of (mu_EW, sqrt(mu_EW), 1) are different densities. In one system of equations
    with more benchmarks than monomials they would be averaged in silence.

    Args:
        vector: The monomials.
        rows: Content of each benchmark in monomials, by name.
        contents: Benchmarks that were given by their content and not as a point of all parameters.

    Raises:
        SchemaError: Parameters of different groups share no monomial, and the constant is held by benchmarks of more than one; names them.
    """
    groups = _groups(vector)
    constant = [k for k, m in enumerate(vector.monomials) if not m.powers]
    if len(groups) < 2 or not constant or len(rows) <= len(vector.monomials):
        return
    belongs = {name: [g for g, columns in enumerate(groups.values()) if np.any(row[columns] != 0.0)] for name, row in rows.items()}
    holders = [name for name, row in rows.items() if row[constant[0]] != 0.0]
    bare = [name for name in holders if not belongs[name]]
    owners = {g for name in holders if name in contents and len(belongs[name]) == 1 for g in belongs[name]}
    if len(bare) < 2 and len(owners) < 2:
        return
    named = "; ".join(f"{', '.join(parameters)}: {_members(g, belongs)}" for g, parameters in enumerate(groups))
    suspects = bare if len(bare) > 1 else [name for name in holders if name in contents]
    raise SchemaError(
        "monomial 1 of the morphing",
        got=f"benchmarks {suspects} all hold it, but the parameters fall into groups without a common monomial ({named}): the constant of "
        "one group would be averaged with that of another",
        expected="one morphing for each process; processes that do not interfere are added, not solved together",
        remedy="make one Morphing per group and add their weights, or give every benchmark as a point of all parameters",
    )


def _groups(vector: MonomialVector) -> dict[tuple[str, ...], list[int]]:
    """Group the parameters that share monomials; the columns of the monomials of each group."""
    groups: list[set[str]] = []
    for monomial in vector.monomials:
        joined = set(monomial.parameters)
        if joined:
            touched = [g for g in groups if g & joined]
            groups = [g for g in groups if not g & joined] + [joined.union(*touched)]
    found = {}
    for group in sorted(groups, key=lambda g: min(vector.parameters.index(name) for name in g)):
        names = tuple(name for name in vector.parameters if name in group)
        found[names] = [k for k, m in enumerate(vector.monomials) if set(m.parameters) & group]
    return found


def _members(group: int, belongs: Mapping[str, list[int]]) -> str:
    return ", ".join(name for name, found in belongs.items() if group in found) or "no benchmark"

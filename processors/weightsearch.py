"""Columns that look like the weight of simulated events, in files whose layout knows none: the user says which, nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import awkward as ak
import numpy as np

from processors.eventfile import EventFile
from processors.formats.aliases import is_list
from toolkit.errors import SchemaError

NO_WEIGHT = "none"
"""What a user names in place of a branch to say that the events are data."""
_LOOKS_LIKE = re.compile(r"weight|wgt|^w$", re.IGNORECASE)
_NO_WEIGHT = re.compile(r"^sum|sum_?(of)?_?w|^n_?(lhe)?[a-z_]*weights?$|^(HLT|L1|DST)_", re.IGNORECASE)


def looks_like_weight(name: str) -> bool:
    """Return whether a branch may hold weights of events, by its name.

    Examples:
        >>> names = ("Weight", "weight_nominal", "mcEventWeights", "SumWeights", "nLHEScaleWeight", "w", "lep_pt")
        >>> [name for name in names if looks_like_weight(name)]
        ['Weight', 'weight_nominal', 'mcEventWeights', 'w']
    """
    return _LOOKS_LIKE.search(name) is not None and _NO_WEIGHT.search(name) is None


def weight_candidates(events: EventFile, n: int) -> tuple[str, ...]:
    """Return the branches that may hold the weight: by their names, and numbers that are not 0 or 1 throughout.

    Args:
        events: The file.
        n: Entries to look at.
    """
    found = []
    for name in (name for name in events.types if looks_like_weight(name)):
        try:
            values = events.arrays([name], 0, n)[name]
            numbers = np.asarray(ak.flatten(values, axis=None), dtype=np.float64)
        except (SchemaError, TypeError, ValueError):
            continue  # texts, records
        if len(numbers) and not (np.all(numbers == 0.0) or np.all(numbers == 1.0)):
            found.append(name)
    return tuple(found)


def friend_candidates(tree: str, entries: int, others: Mapping[str, tuple[int, Mapping[str, str]]]) -> tuple[str, ...]:
    """Return columns of trees beside the event tree, with as many entries, that may hold the weight, as TREE/BRANCH.

    Args:
        tree: The event tree.
        entries: Its entries.
        others: Entries and types of branches of each tree.

    Examples:
        >>> friend_candidates("Events", 10, {"Weights": (10, {"weight": "float", "ids": "int32_t"}), "Runs": (1, {"weight": "double"})})
        ('Weights/weight',)
    """
    beside = [(name, types) for name, (n, types) in others.items() if name != tree and n == entries]
    named = [(name, branch, kind) for name, types in beside for branch, kind in types.items() if looks_like_weight(branch)]
    return tuple(f"{name}/{branch}" for name, branch, kind in named if not is_list(kind))


def which_weight(path: str, candidates: tuple[str, ...]) -> SchemaError:
    """Return the question which branch is the weight."""
    shown = ", ".join(candidates[:12]) + (", ..." if len(candidates) > 12 else "")
    friend = any("/" in name for name in candidates)
    return SchemaError(
        f"weight of the events of {path}",
        got=f"no branch that the layout knows as the weight, but what looks like one: {shown}",
        expected="the branch of the generator weight, or the word that the events are data",
        remedy=f"name it with `--weight BRANCH`, or say `--weight {NO_WEIGHT}` for data"
        + ("; TREE/BRANCH is a column of a friend tree, which must be written into the event tree first" if friend else ""),
    )

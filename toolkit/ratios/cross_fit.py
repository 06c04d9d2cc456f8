"""Cross-fitting: for every fold of the events networks and a calibration that never saw it, out of the members of one ensemble.

A member trains on some folds. The members that did not train on fold k form an ensemble of their own, which is calibrated on the events of
the other folds; each of these is judged by the members that saw neither fold k nor its own. So K folds need K calibrations, and no
training beyond that of one ensemble. Every event is data once, under the ensemble without its fold.

References:
    Chernozhukov et al., Econom. J. 21 (2018) C1 (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.errors import SchemaError
from toolkit.ratios.calibration import fit_calibration
from toolkit.ratios.directions import Direction
from toolkit.ratios.ensemble import BATCH, MixtureEnsemble, mean_heads
from toolkit.ratios.plan import Member
from toolkit.ratios.targets import Targets
from toolkit.typing import IntArray


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """The ensembles without a fold.

    Attributes:
        without: By fold, the members that did not train on it, with their calibration; outputs as of the whole ensemble.
        out_of_fold: Log ratios of every event from the ensemble without its fold, (n_events, n_processes).
        in_calibration: Those of the same event as part of what the ensembles without the other folds are calibrated on, the mean over
            these, (n_events, n_processes): how the event acts on the densities of the others.
    """

    without: tuple[MixtureEnsemble, ...]
    out_of_fold: NDArray[np.float64]
    in_calibration: NDArray[np.float64]


def members_without(plan: Sequence[Member], fold: int) -> tuple[int, ...]:
    """Return the members that did not train on a fold.

    Examples:
        >>> from toolkit.ratios.plan import plan_members
        >>> members_without(plan_members(), 0)
        (3, 4, 5)
    """
    return tuple(k for k, member in enumerate(plan) if fold not in member.folds)


def require_pairs(plan: Sequence[Member], n_folds: int) -> None:
    """Check that every two folds are left out together by a member: one is data, the other calibrates.

    Raises:
        SchemaError: Two are not.
    """
    missing = [(a, b) for a in range(n_folds) for b in range(a) if not any({a, b}.isdisjoint(member.folds) for member in plan)]
    if missing:
        raise SchemaError(
            "ratios.splits.cross_fit",
            got=f"{len(plan)} members of which none leaves out both folds of the pairs {missing}",
            expected="a member for every two folds that trained on neither",
            remedy="leave `ensemble.members` out, or take `ensemble.train_folds` at least 2 below `splits.folds`",
        )


@torch.no_grad()
def cross_fit(
    ensemble: MixtureEnsemble,
    plan: Sequence[Member],
    x: torch.Tensor,
    *,
    fold: IntArray,
    n_folds: int,
    targets: Targets,
    directions: Sequence[Direction],
) -> CrossFitted:
    """Calibrate the members without a fold, for every fold, on the events of the others.

    Args:
        ensemble: All members; its calibration is not used.
        plan: What each of them trained on, kind `folds`.
        x: Observables of all events, (n_events, n_features).
        fold: Fold of every event, (n_events,).
        n_folds: Number of folds.
        targets: Targets of the events.
        directions: Scores that the calibrations know.

    Raises:
        SchemaError: No member left out some two folds.
    """
    require_pairs(plan, n_folds)
    mixture = ensemble.mixture
    out = torch.zeros(len(x), mixture.n_heads, dtype=x.dtype)
    inside = torch.zeros_like(out)
    without = []
    for k in range(n_folds):
        chosen = members_without(plan, k)
        apart = MixtureEnsemble(ensemble.feature_map, [ensemble.members[m] for m in chosen], ensemble.calibration)
        raw = mean_heads(apart, x, _unseen([plan[m] for m in chosen], fold))
        others = torch.from_numpy(np.flatnonzero(fold != k))
        own = torch.from_numpy(np.flatnonzero(fold == k))
        apart.calibration = fit_calibration(raw[others], targets.select(others), mixture=mixture, directions=directions)
        calibrated = torch.cat([apart.calibration(part) for part in torch.split(raw, BATCH)])
        out[own] = calibrated[own]
        inside[others] += calibrated[others] / (n_folds - 1)
        without.append(apart.double().eval())
    return CrossFitted(tuple(without), mixture.log_ratios(out).numpy(), mixture.log_ratios(inside).numpy())


def _unseen(members: Sequence[Member], fold: IntArray) -> Iterator[NDArray[np.bool_]]:
    """Yield for each member the events that it did not train on."""
    for member in members:
        yield ~member.saw(len(fold), fold=fold)

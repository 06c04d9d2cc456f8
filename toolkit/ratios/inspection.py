"""What the report compares the exported networks with: themselves before the calibration, and on events that they trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.ratios.ensemble import MixtureEnsemble, member_folds

BATCH = 20_000


@dataclass(frozen=True, eq=False)
class Inspection:
    """Log ratios of the same ensemble, evaluated in other ways than the exported file does.

    Attributes:
        before_calibration: Test events, all members, without the calibration, (n_test, n_processes).
        test_by_part: Test events, calibrated, from only the members that would have trained on the fold of the event,
            (n_test, n_processes): as many members per event as in `in_sample`.
        in_sample: Pool events, calibrated, from only the members that trained on the event, (n_pool, n_processes).
    """

    before_calibration: NDArray[np.float64]
    test_by_part: NDArray[np.float64]
    in_sample: NDArray[np.float64]


@torch.no_grad()
def inspect_ensemble(
    ensemble: MixtureEnsemble,
    *,
    test: NDArray[np.float64],
    test_fold: NDArray[np.int8],
    pool: NDArray[np.float64],
    pool_fold: NDArray[np.int8],
    n_folds: int,
) -> Inspection:
    """Evaluate the ensemble for the comparison of training and test events, and of before and after the calibration.

    Args:
        ensemble: Members in the order of `member_folds(n_folds)`.
        test: Observables of the test events, (n_test, n_features).
        test_fold: Fold that each test event would belong to, (n_test,).
        pool: Observables of the pool events, (n_pool, n_features).
        pool_fold: Fold of each pool event, (n_pool,).
        n_folds: Number of folds.

    Returns:
        The log ratios.
    """
    parts = [ensemble.mixture.log_ratios(ensemble.member_heads(rows).mean(dim=0)) for rows in torch.split(_tensor(test), BATCH)]
    return Inspection(
        before_calibration=torch.cat(parts).numpy(),
        test_by_part=_calibrated(ensemble, test, test_fold, n_folds),
        in_sample=_calibrated(ensemble, pool, pool_fold, n_folds),
    )


def _calibrated(ensemble: MixtureEnsemble, x: NDArray[np.float64], fold: NDArray[np.int8], n_folds: int) -> NDArray[np.float64]:
    """Calibrated log ratios of the mean over the members that train on the fold of an event, (n, n_processes)."""
    rows, trained_on = _tensor(x), member_folds(n_folds)
    result = np.empty((len(x), len(ensemble.mixture.processes)))
    for k in range(n_folds):
        chosen = [m for m, folds in enumerate(trained_on) if k in folds]
        for here in np.array_split(np.flatnonzero(fold == k), max(1, int(np.sum(fold == k)) // BATCH)):
            z = ensemble.feature_map(rows[torch.from_numpy(here)])
            heads = torch.stack([ensemble.members[m](z) for m in chosen]).mean(dim=0)
            result[here] = ensemble.mixture.log_ratios(ensemble.calibration(heads)).numpy()
    return result


def _tensor(x: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))

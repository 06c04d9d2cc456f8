"""What the report compares the exported networks with: themselves before the calibration, and on events that they trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.ratios.ensemble import MixtureEnsemble, mean_heads
from toolkit.ratios.interface import Inspection
from toolkit.ratios.plan import Member
from toolkit.typing import IntArray

BATCH = 20_000


@torch.no_grad()
def inspect_ensemble(
    ensemble: MixtureEnsemble,
    plan: Sequence[Member],
    *,
    test: NDArray[np.float64],
    test_fold: IntArray,
    training: NDArray[np.float64],
    training_fold: IntArray,
) -> Inspection:
    """Evaluate the ensemble for the comparison of training and test events, and of before and after the calibration.

    Args:
        ensemble: The members.
        plan: Which events each of them trained on.
        test: Observables of the test events, (n_test, n_features).
        test_fold: Fold that each test event would belong to, (n_test,).
        training: Observables of the training events, (n_training, n_features).
        training_fold: Fold of each training event, (n_training,).

    Returns:
        The log ratios.
    """
    parts = [ensemble.mixture.log_ratios(ensemble.member_heads(rows).mean(dim=0)) for rows in torch.split(_tensor(test), BATCH)]
    return Inspection(
        before_calibration=torch.cat(parts).numpy(),
        test_by_part=_calibrated(ensemble, plan, test, test_fold),
        in_sample=_calibrated(ensemble, plan, training, training_fold),
    )


def _calibrated(ensemble: MixtureEnsemble, plan: Sequence[Member], x: NDArray[np.float64], fold: IntArray) -> NDArray[np.float64]:
    """Calibrated log ratios of the mean over the members that train on an event, (n, n_processes).

    An event that no member trained on, which small ensembles of bootstrapped events may have, counts for all.
    """
    never = ~np.any([member.saw(len(x), fold=fold) for member in plan], axis=0)

    def seen() -> Iterator[NDArray[np.bool_]]:
        for member in plan:
            yield member.saw(len(x), fold=fold) | never

    heads = mean_heads(ensemble, _tensor(x), seen())
    found = [ensemble.mixture.log_ratios(ensemble.calibration(part)) for part in torch.split(heads, BATCH)]
    return torch.cat(found).numpy()


def _tensor(x: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))

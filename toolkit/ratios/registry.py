"""The estimators by the name that `ratios.estimator` of the config gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.config import AnyRatioConfig
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.ratios.densities import DensityEstimator
from toolkit.ratios.interface import Estimator, RatioModel
from toolkit.ratios.learners.bit import BitLearner
from toolkit.ratios.learners.mixture import MixtureLearner
from toolkit.ratios.learners.multiclass import MulticlassLearner
from toolkit.ratios.learners.per_process import PerProcessLearner
from toolkit.ratios.learners.quasi_parametric import QuasiParametricLearner
from toolkit.ratios.theta.estimator import ThetaEstimator
from toolkit.ratios.theta.task import KINDS
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents

ESTIMATORS: Mapping[str, Estimator] = {
    "mixture": DensityEstimator(MixtureLearner()),
    "per_process": DensityEstimator(PerProcessLearner()),
    "multiclass": DensityEstimator(MulticlassLearner()),
    "quasi_parametric": DensityEstimator(QuasiParametricLearner()),
    "bit": DensityEstimator(BitLearner()),
    **dict.fromkeys(KINDS, ThetaEstimator()),
}


def fit_ratios(
    training: SimulatedEvents,
    *,
    config: AnyRatioConfig,
    model: Model,
    folder: Path,
    progress: Progress = silent_progress,
    executor: Any = "sequential",
    workers: int | None = None,
    former: Sequence[Path] = (),
    swaps: Mapping[str, BeamSwap | None] | None = None,
) -> RatioModel:
    """Train the estimator that a config names, or go on where an earlier call stopped.

    Arguments, errors and result are those of `toolkit.ratios.interface.Estimator.fit`.
    """
    return ESTIMATORS[config.estimator].fit(
        training,
        config=config,
        model=model,
        folder=folder,
        progress=progress,
        executor=executor,
        workers=workers,
        former=former,
        swaps=swaps,
    )


def load_ratios(
    folder: Path,
    *,
    config: AnyRatioConfig,
    training: SimulatedEvents | None = None,
    model: Model | None = None,
    swaps: Mapping[str, BeamSwap | None] | None = None,
) -> RatioModel:
    """Read what `fit_ratios` left in the folder, the same to the last bit.

    Args:
        folder: Where it is.
        config: The section `ratios` of the training.
        training: The events that it must have been trained on; without them, any events and settings will do.
        model: The model that it must have been trained for; needed with `training`.
        swaps: As for `fit_ratios`.

    Raises:
        ArtifactMismatchError: It is incomplete, damaged, or not of these events and this config.
    """
    return ESTIMATORS[config.estimator].load(folder, config=config, training=training, model=model, swaps=swaps)

"""What the stages know of an estimator: how to train it, how to read it again, and what a trained one can say.

`toolkit.ratios.registry` lists the estimators by the name that `ratios.estimator` gives them. Those of the densities of a mixture
(`toolkit.ratios.densities`) differ in one thing only: how a member learns, which is a `Learner`. An estimator of another kind implements
`Estimator` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.ratios.cross_fit import CrossFitted
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights import SimulatedEvents


@dataclass(frozen=True, eq=False)
class Inspection:
    """Log ratios of the same ensemble, evaluated in other ways than the exported file does.

    Attributes:
        before_calibration: Test events, all members, without the calibration, (n_test, n_processes).
        test_by_part: Test events, calibrated, from only as many members per event as in `in_sample`: those that would have trained on
            it, (n_test, n_processes).
        in_sample: Training events, calibrated, from only the members that trained on the event, (n_training, n_processes).
    """

    before_calibration: NDArray[np.float64]
    test_by_part: NDArray[np.float64]
    in_sample: NDArray[np.float64]


class RatioModel(Protocol):
    """A trained estimator."""

    @property
    def estimator(self) -> str:
        """Its name in the config."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the input columns."""

    @property
    def numerators(self) -> tuple[str, ...]:
        """Names of the output columns: densities."""

    @property
    def reference(self) -> str:
        """The reference density in words."""

    @property
    def reference_mixture(self) -> Mapping[str, float]:
        """Probability of each density in the reference density."""

    @property
    def history(self) -> tuple[tuple[TrainingHistory, ...], ...]:
        """Losses of the networks of each member."""

    @property
    def out_of_bag(self) -> FloatArray:
        """Log ratios of the training events from those members that did not train on them, (n_training, n_numerators)."""

    @property
    def before_calibration(self) -> FloatArray:
        """The same without calibration."""

    @property
    def nodes(self) -> tuple[FloatArray, FloatArray] | None:
        """Of networks that read the parameter: values of it (n_nodes,), and log ratios of the training events there as in `out_of_bag`."""

    @property
    def cross_fitted(self) -> CrossFitted | None:
        """The ensembles without a fold, where every event is data; None where test events are set aside."""

    @property
    def module(self) -> nn.Module:
        """Observables (n, n_features) -> log ratios and their spread over the members, each (n, n_numerators); float64."""

    def log_ratio(self, x: FloatArray) -> FloatArray:
        """Compute log p_j / p_ref in float64 from observables, (n, n_features) -> (n, n_numerators)."""

    def member(self, index: int) -> nn.Module:
        """Return one member as a module of its own, observables -> log ratios."""

    def inspect(self, *, training: SimulatedEvents, test: SimulatedEvents) -> Inspection:
        """Evaluate it for the comparison of training and test events, and of before and after the calibration."""

    def to_onnx(
        self,
        path: Path,
        *,
        writer: Callable[..., Any],
        reference_rows: FloatArray,
        member: int | None = None,
        without_fold: int | None = None,
        **more: Any,
    ) -> Any:
        """Write it as one file.

        Args:
            path: The file.
            writer: `exports.write_onnx`.
            reference_rows: Observables to verify on, (n, n_features).
            member: Write this member alone.
            without_fold: Write the ensemble without this fold, of a cross-fit.
            more: Further arguments of the writer: features with units and ranges, hashes.

        Returns:
            What the writer returns.
        """


class Estimator(Protocol):
    """A way to learn the densities of a model from simulated events."""

    def fit(
        self,
        training: SimulatedEvents,
        *,
        config: Any,
        model: Model,
        folder: Path,
        progress: Progress = silent_progress,
        executor: Any = "sequential",
        workers: int | None = None,
        former: Sequence[Path] = (),
        swaps: Mapping[str, BeamSwap | None] | None = None,
    ) -> RatioModel:
        """Train all members, or read those that are finished, and calibrate.

        Args:
            training: Simulated events without the test events, weights scaled to the luminosity.
            config: The section `ratios` of this estimator.
            model: Processes, amplitudes and parameters; their learned densities are the processes of the events.
            folder: Where finished members and the calibration are kept, for `load`; a later call with the same events and
                config resumes there.
            progress: Called after every epoch.
            executor: Where the members train: `sequential` here, `processes` on this machine, `dask`, the address of a dask scheduler or
                a dask client. The result is the same.
            workers: Number of processes; None takes the number of cores.
            former: Folders of earlier trainings by the same code; members of the same events and settings are taken over from them.
            swaps: What observables become when the beams are exchanged, for features that the registry does not know.

        Raises:
            SchemaError, PhysicsDomainError: A feature is missing, constant or not finite, or a weight is unusable.
            FitError: Too few events, or the training diverged.
            WorkerLostError: Workers died again and again.
        """

    def load(
        self,
        folder: Path,
        *,
        config: Any,
        training: SimulatedEvents | None = None,
        model: Model | None = None,
        swaps: Mapping[str, BeamSwap | None] | None = None,
    ) -> RatioModel:
        """Read what `fit` left in the folder, the same to the last bit.

        Args:
            folder: Where it is.
            config: The section `ratios` of this estimator.
            training: The events that it must have been trained on; without them, any events and settings will do.
            model: The model that it must have been trained for; needed with `training`.
            swaps: As for `fit`.

        Raises:
            ArtifactMismatchError: It is incomplete, damaged, or not of these events and this config.
        """


class Learner(Protocol):
    """How one member learns the heads of a mixture (`toolkit.ratios.structure`); must be picklable."""

    def network(self, feature_map: FeatureMap, *, mixture: Mixture, config: Any) -> nn.Module:
        """Build an untrained module from inputs to heads, to read a finished member into."""

    def train(
        self,
        inputs: torch.Tensor,
        targets: Targets,
        *,
        feature_map: FeatureMap,
        mixture: Mixture,
        config: Any,
        seed: int,
        on_progress: OnEpoch,
        checkpoint: Path | None,
    ) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train a module from inputs to heads.

        Args:
            inputs: Network inputs of the member's events, (n, n_inputs), float32.
            targets: Targets of the same events.
            feature_map: From observables to these inputs.
            mixture: Meaning of the heads.
            config: The section `ratios`.
            seed: Of everything random.
            on_progress: To be called after every epoch with the finished share and the loss.
            checkpoint: Name of the member's file; see `MemberTask.train`.

        Returns:
            The module on the CPU, and losses per epoch.
        """

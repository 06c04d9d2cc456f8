"""Ratio estimation: splits, features, networks, calibration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import Seed

Width = Annotated[int, Field(ge=1, le=100_000)]


class SplitConfig(Section):
    """Which events learn and which test, by a hash of the event number.

    The test events see no network, no calibration and no template. The others form folds; each member of the ensemble
    trains on half of the folds, and the calibration uses for every event only the members that did not train on it.
    """

    test: float = Field(default=0.4, gt=0, lt=1)
    """Expected fraction of test events."""
    folds: Literal[4, 6] = 4
    """Folds of the other events: 4 give an ensemble of 6 members (all pairs), 6 one of 20 (all triples)."""
    salt: str = "h4l"
    """Key of the hash; another salt gives an independent split."""


class RatioConfig(Section):
    """The ensemble of mixture networks."""

    features: tuple[str, ...] = Field(
        default=("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l", "n_jets"),
        min_length=1,
    )
    """Observables that the networks read; every selected event must have them."""
    fold_beam_axis: bool = True
    """Use that two identical beams look the same from both sides; every feature must say what it becomes when they are exchanged
    (docs/observables.md). Turn off for asymmetric beams or acceptance."""
    splits: SplitConfig = SplitConfig()
    calibration_mu: tuple[float, ...] = Field(default=(0.0, 0.3, 1.0, 2.0), min_length=1)
    """Values of the parameter of interest whose scores span the calibration: it removes the bias along these directions."""
    hidden: tuple[Width, ...] = Field(default=(64, 64, 64), min_length=1, max_length=100)
    """Widths of the hidden layers."""
    epochs: int = Field(default=20, ge=1, le=1_000_000)
    """Passes of the class networks over the training events, at most."""
    composition_epochs: int = Field(default=60, ge=1, le=1_000_000)
    """The same for the networks of signal share and interference, whose exact targets allow a longer training."""
    batch_size: int = Field(default=1024, ge=16, le=100_000_000)
    """Events per step."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest step size of the schedule."""
    optimiser: Literal["adamw", "nadam"] = "adamw"
    """Adam, or Adam with Nesterov momentum; both decay the weights apart from the gradient."""
    schedule: Literal["one_cycle", "cosine", "plateau", "constant"] = "one_cycle"
    """Step size over the training: climb in the first tenth and fall to zero; fall to zero; halve where the validation loss stands still;
    constant."""
    gradient_clip: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient of a step; longer ones are shortened to it. A safeguard for weights of both signs; none by default."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Decay of the weights per step, relative to the step size."""
    patience: int = Field(default=10, ge=1, le=1_000_000)
    """Epochs without a better validation loss after which a network stops."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of a member's training events that decide which epoch is kept."""
    negative_weights: Literal["refuse", "resample"] = "refuse"
    """What to do with negative weights of backgrounds, which the mixture networks cannot learn from: `resample` learns how the
    signs cancel and trains with positive weights of the same expectation (docs/weights.md). Fits keep the signed weights."""
    seed: Seed = 1
    """Seed of the first member; the others follow from it."""
    stream_above_mb: float = Field(default=4000.0, ge=0)
    """Training events of a member that take more memory than this many MB are written to a file and streamed from it while the networks
    train."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Processor threads of a training. Small networks gain little from more, and the last digits of the result depend on the number."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the networks train."""

    @model_validator(mode="after")
    def _unique_features(self) -> RatioConfig:
        if len(set(self.features)) != len(self.features):
            msg = f"features repeat: {list(self.features)}"
            raise ValueError(msg)
        return self

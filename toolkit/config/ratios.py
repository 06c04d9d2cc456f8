"""Ratio estimation: splits, features, networks, calibration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section


class SplitConfig(Section):
    """Fractions of events for training, calibration and test, assigned by a hash of the event identity."""

    train: float = Field(default=0.4, gt=0, lt=1)
    calibration: float = Field(default=0.2, gt=0, lt=1)
    test: float = Field(default=0.4, gt=0, lt=1)
    salt: str = "h4l"

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitConfig:
        total = self.train + self.calibration + self.test
        if abs(total - 1.0) > 1e-9:
            msg = f"train + calibration + test = {total:g}; the fractions must sum to 1"
            raise ValueError(msg)
        return self


class RatioConfig(Section):
    """The ensemble of mixture networks."""

    features: tuple[str, ...] = Field(
        default=("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l", "n_jets"),
        min_length=1,
    )
    splits: SplitConfig = SplitConfig()
    members: int = Field(default=3, ge=3)
    hidden: tuple[int, ...] = Field(default=(128, 128, 128), min_length=1)
    epochs: int = Field(default=60, ge=1)
    batch_size: int = Field(default=2048, ge=16)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    patience: int = Field(default=10, ge=1)
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    seed: int = Field(default=1, ge=0)
    device: Literal["cpu", "cuda"] = "cpu"

    @model_validator(mode="after")
    def _unique_features(self) -> RatioConfig:
        if len(set(self.features)) != len(self.features):
            msg = f"features repeat: {list(self.features)}"
            raise ValueError(msg)
        return self

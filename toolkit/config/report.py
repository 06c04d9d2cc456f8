"""The report: look of the plots, and how much work goes into the importance of the features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import FileName, Seed


class ReportConfig(Section):
    """Look and depth of the report; nothing here changes a result of the fit."""

    style: Literal["plain", "ATLAS", "CMS"] = "plain"
    """Look and label of the plots. Naming a collaboration is for its members. The option `--style` of the command line comes first."""
    status: str = Field(default="Simulation", max_length=80)
    """Word after the collaboration's name, such as `Internal`; of a plain plot the words at the upper left."""
    energy_tev: float = Field(default=13.0, gt=0)
    """Centre-of-mass energy in TeV, for the header of the plots."""
    details: bool = False
    """Also one plot per observable of the reweighting closure of the signal."""
    importance_events: int = Field(default=10_000, ge=0, le=100_000_000)
    """Test events in the permutation importance of the features, about; 0 leaves it out."""
    importance_repeats: int = Field(default=3, ge=1, le=1000)
    """Shuffles per feature."""
    importance_groups: dict[FileName, tuple[str, ...]] = Field(default={})
    """Groups of correlated features that are shuffled together, besides every feature alone: `masses: [m_z1, m_z2]`."""
    learning_curve: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(), max_length=20)
    """Shares of the training events, such as `[0.125, 0.25, 0.5]`, each of which trains an ensemble of its own with the settings of
    `ratios`: what the unbinned method gains over the first of `histograms` against the number of events to learn from
    (docs/training.md)."""
    seed: Seed = 1
    """Seed of the shuffles and of simulated distances."""

    @model_validator(mode="after")
    def _groups_are_not_empty(self) -> ReportConfig:
        empty = [name for name, members in self.importance_groups.items() if not members]
        if empty:
            msg = f"importance_groups {empty} name no feature; list some or leave the group out"
            raise ValueError(msg)
        if list(self.learning_curve) != sorted(set(self.learning_curve)):
            msg = f"learning_curve {list(self.learning_curve)}: expected different shares, the smallest first"
            raise ValueError(msg)
        return self

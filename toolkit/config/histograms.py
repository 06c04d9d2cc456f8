"""Histogram baselines of the same physics."""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field, field_validator

from toolkit.config.base import Section


class HistogramConfig(Section):
    """A binned baseline on one observable; `edges` in the unit of the observable, the last bin closed by the selection."""

    observable: str
    """Name of an observable of the event tables."""
    edges: tuple[float, ...] = Field(min_length=2)
    """Bin edges, increasing."""

    @field_validator("edges")
    @classmethod
    def _increasing(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(edges)):
            msg = f"edges must increase, got {list(edges)}"
            raise ValueError(msg)
        return edges


class ScoreHistogramConfig(Section):
    """A binned baseline on the network's own signal score log p_S / (p_B + p_background), in bins that hold equal signal."""

    bins: int = Field(default=30, ge=2)
    """Number of quantile bins."""

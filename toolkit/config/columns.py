"""Columns of the ntuple that become observables as they are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from toolkit.config.base import Section
from toolkit.config.selection import Window


class ColumnConfig(Section):
    """A number per event that the ntuple carries, such as missing momentum or a matrix-element discriminant.

    `met` and `d_me` are known observables; any other name also needs a `range`.
    """

    branch: str = Field(min_length=1)
    """Branch with one number per event; every file of every sample must have it."""
    scale: float = 1.0
    """Factor from the number in the file to GeV, radians or a pure number, for example 0.001 from MeV."""
    missing: float | None = None
    """Number that stands for a missing value; NaN always does."""
    unit: str = Field(default="", max_length=40)
    """Unit after scaling."""
    label: str = Field(default="", max_length=200)
    """Axis label in TeX; empty takes the name."""
    range: Window | None = None
    """Plot range."""
    beam_swap: Literal["even", "odd"] | None = None
    """What the number becomes when the beams are exchanged: the same or the opposite. Needed of a feature with `ratios.fold_beam_axis`,
    except for `met` and `d_me`."""

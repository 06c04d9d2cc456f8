"""Regions, scores that define them, fills of missing values, and the files that are written on request."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from toolkit.config.base import Section
from toolkit.expressions import Condition


def _parsed(text: str) -> str:
    Condition.parse(text)
    return text


ConditionText = Annotated[str, AfterValidator(_parsed)]
"""A condition of the grammar of `toolkit.expressions.conditions`."""


class ScoreConfig(Section):
    """A score from an ONNX file: ln of a sum of densities over another, each density with its coefficient."""

    model: str
    """ONNX file, relative to the config file; `{data}` is the folder given with `--data`. docs/onnx.md describes the form."""
    numerator: dict[str, float] = Field(min_length=1)
    """Coefficients (> 0) of the densities above the line, by name of the output; the reference of the file may be named too."""
    denominator: dict[str, float] = Field(min_length=1)
    """Coefficients (> 0) of the densities below the line."""


class OutputConfig(Section):
    """Files beside event tables, histograms and cut flow."""

    root: Literal["none", "ttree", "rntuple"] = "none"
    """Slim ROOT ntuples of the selected events, `ntuples/<variation>/<sample>.root`, as TTree or RNTuple."""

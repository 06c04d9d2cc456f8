"""Regions, scores that define them, fills of missing values, and the files that are written on request."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.conditions import OptionalCondition
from toolkit.config.histograms import HistogramConfig


class RegionConfig(Section):
    """A selection of events by a condition; a text in place of the section is the condition of a flag, `jets_2: n_jets >= 2`."""

    kind: Literal["flag", "unbinned", "histogram", "counting", "workspace"] = "flag"
    """How it enters the fit: `flag` not at all (a column of the event tables, and counts in the cut flow); `unbinned` with density ratios,
    `histogram` in bins, `counting` as one number; `workspace` is a pyhf workspace of somebody else."""
    condition: OptionalCondition = ""
    """Which events: observables and scores, such as `n_jets >= 2 and m_jj > 120`; empty takes all."""
    histogram: HistogramConfig | None = None
    """Observables and bins, kind `histogram` only."""
    file: str = ""
    """The workspace, relative to the config file, kind `workspace` only; `{data}` is the folder given with `--data`."""

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        """Take a text as the condition of a flag."""
        return {"condition": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _complete(self) -> RegionConfig:
        wrong = [
            ("a flag needs a `condition`", self.kind == "flag" and not self.condition),
            ("kind histogram needs `histogram`", self.kind == "histogram" and self.histogram is None),
            (f"kind {self.kind} has no `histogram`", self.kind != "histogram" and self.histogram is not None),
            ("kind workspace needs `file`", self.kind == "workspace" and not self.file),
            (f"kind {self.kind} has no `file`", self.kind != "workspace" and bool(self.file)),
            ("kind workspace has no `condition`", self.kind == "workspace" and bool(self.condition)),
        ]
        for msg, is_wrong in wrong:
            if is_wrong:
                raise ValueError(msg)
        return self


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

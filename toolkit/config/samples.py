"""Samples: which files, in which format, with which cross-section and benchmark weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.conditions import OptionalCondition
from toolkit.config.layouts import AtlasLayout, FlatLayout, LheLayout, MappingLayout, NanoLayout
from toolkit.config.names import FileName, Name


class SampleConfig(Section):
    """One physics process as it was generated."""

    name: Name
    """Name of the process; an interfering sample is called after the benchmark that it was generated with."""
    kind: Literal["simulation", "data", "estimate"] = "simulation"
    """`data` are events of the detector: every weight is 1, and neither cross-section nor luminosity scales them. `estimate` is a
    background from
    data: its weights (fake factors, transfer factors) are expected events as they stand in the ntuple, which nothing scales."""
    files: tuple[str, ...] = Field(min_length=1)
    """Paths or globs, relative to the config file; `{data}` is the folder given with `--data`."""
    tree: str = "Events"
    """Name of the event tree; CSV and LHE files have none."""
    layout: Annotated[NanoLayout | FlatLayout | MappingLayout | AtlasLayout | LheLayout, Field(discriminator="kind")] = NanoLayout()
    """Format of the ntuple; docs/ntuples.md shows each."""
    xsec_pb: float | Literal["file"] = "file"
    """Cross-section in pb, or `file` to read it where the format holds it (Runs tree, branch of the event tree, head of an LHE file)."""
    gen_sumw: float | Literal["file", "sum"] = "file"
    """Sum of generator weights before any skim: a number, `file` (where the format holds it) or `sum` (of the events in the files)."""
    k_factor: float = Field(default=1.0, gt=0)
    """Factor on the cross-section."""
    uncertainty: float | None = Field(default=None, gt=0, lt=1)
    """Relative uncertainty of the yield of an estimate, the nuisance parameter estimate_NAME; the luminosity does not move its yield."""
    where: OptionalCondition = ""
    """The part of its events that the sample stands for: a condition on branches of the event and on observables, such as
    `gen_m4l < 300`. Samples of one process and benchmark add up: an event that fulfils the condition of another is refused."""
    label: str = Field(default="", max_length=200)
    """Name in plots, with TeX between dollars; empty takes that of known processes, or the name."""
    color: str = Field(default="", pattern=r"^(#[0-9a-fA-F]{6})?$")
    """Colour in plots, #rrggbb; empty takes the next of the palette. The density of its name has both, too."""
    process: Name | None = None
    """With `processes` in the config: the process of these events; `null` takes the one of the sample's name."""
    generated: str | None = None
    """With `processes`: benchmark that the sample was generated under; `null` takes the one of its name, or the only one; `none` says that
    it was none of them."""
    benchmarks: tuple[FileName, ...] = ()
    """Names of the entries of the benchmark weight vector; empty for a sample that carries only its own weight (docs/training.md)."""

    @model_validator(mode="after")
    def _unique_benchmarks(self) -> SampleConfig:
        if len(set(self.benchmarks)) != len(self.benchmarks):
            msg = f"benchmark names repeat: {list(self.benchmarks)}"
            raise ValueError(msg)
        if self.kind == "estimate":
            self._check_estimate()
        elif self.uncertainty is not None:
            msg = f"`uncertainty` belongs to `kind: estimate`; `likelihood.normalisations` has those of {self.kind}"
            raise ValueError(msg)
        if self.kind == "data" and (self.process or self.generated):
            msg = "data belong to no process: remove `process` and `generated`, or `kind: data`"
            raise ValueError(msg)
        if self.kind == "data" and self.benchmarks:
            msg = "data have no benchmark weights: remove `benchmarks`, or `kind: data`"
            raise ValueError(msg)
        if self.kind == "simulation":
            self._check_normalisation()
        return self

    def _check_estimate(self) -> None:
        """Refuse what would scale an estimate, or say that it interferes."""
        named = [name for name in ("xsec_pb", "gen_sumw", "k_factor") if name in self.model_fields_set]
        if named or self.benchmarks:
            wrong = [*named, *(["benchmarks"] if self.benchmarks else [])]
            msg = f"kind estimate has no {', '.join(wrong)}: its weights are expected events as they stand in the ntuple"
            raise ValueError(msg)
        if isinstance(self.layout, LheLayout) or getattr(self.layout, "gen_weight", None) is None:
            msg = "kind estimate needs the branch of its weights: `layout.gen_weight`"
            raise ValueError(msg)

    def _check_normalisation(self) -> None:
        layout = self.layout
        if isinstance(layout, FlatLayout):
            holds = {"xsec_pb": False, "gen_sumw": False}
        elif isinstance(layout, MappingLayout):
            holds = {"xsec_pb": layout.xsec_pb is not None, "gen_sumw": layout.gen_sumw is not None or bool(layout.gen_sumw_bin)}
        else:
            return
        what = "a flat ntuple" if isinstance(layout, FlatLayout) else "this layout"
        if self.xsec_pb == "file" and not holds["xsec_pb"]:
            msg = f"{what} has no cross-section: give xsec_pb as a number, or set `kind: data`"
            raise ValueError(msg)
        if self.gen_sumw == "file" and not holds["gen_sumw"]:
            msg = f"{what} has no sum of weights: give gen_sumw as a number or as 'sum', or set `kind: data`"
            raise ValueError(msg)

"""Systematic variations: shifts of objects, which redo the selection, and weights, which do not. docs/systematics.md explains both."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolkit.config.alternatives import SampleVariation
from toolkit.config.base import Section
from toolkit.config.corrections import WeightCorrection
from toolkit.config.names import Name, Seed


class ShiftBins(Section):
    """Relative size of a shift in bins of pt and |eta|; outside the edges the nearest bin counts."""

    pt: tuple[float, ...] = Field(min_length=2)
    """Edges of transverse momentum (GeV), increasing; lower edges belong to their bin."""
    abs_eta: tuple[float, ...] = Field(min_length=2)
    """Edges of |eta|, increasing."""
    size: tuple[tuple[float, ...], ...]
    """Relative sizes: one row per pt bin, one number per |eta| bin."""

    @model_validator(mode="after")
    def _consistent(self) -> ShiftBins:
        for name in ("pt", "abs_eta"):
            if any(b <= a for a, b in pairwise(getattr(self, name))):
                msg = f"{name}: edges must increase, got {list(getattr(self, name))}"
                raise ValueError(msg)
        rows, columns = len(self.pt) - 1, len(self.abs_eta) - 1
        if [len(row) for row in self.size] != [columns] * rows:
            msg = f"size: {rows} rows (pt bins) of {columns} numbers (|eta| bins) expected, got rows of {[len(row) for row in self.size]}"
            raise ValueError(msg)
        if any(not 0 <= value < 1 for row in self.size for value in row):
            msg = "size: relative sizes are at least 0 and below 1"
            raise ValueError(msg)
        return self


class CorrectionFile(Section):
    """A correction of a correctionlib JSON file."""

    path: str
    """The file (.json or .json.gz), relative to the config file; `{data}` is the folder given with `--data`."""
    correction: str
    """Name of the correction in the file."""
    inputs: tuple[str | float, ...] = Field(min_length=1)
    """Its inputs in order: `pt`, `eta`, `abs_eta`, `phi`, `mass` or `charge` of the object; anything else is passed as it is.

    In texts `{direction}` becomes `up` or `down`."""
    meaning: Literal["size", "factor"] = "size"
    """`size`: relative size of the shift; `factor`: what the momentum is multiplied with (scale only)."""


class ObjectShift(Section):
    """A shift of the energy scale or resolution of one kind of object: exactly one of `size`, `bins` and `file`."""

    object: Literal["electron", "muon", "jet"]
    """What is shifted."""
    kind: Literal["scale", "resolution"]
    """`scale`: momenta times 1 + size (up) and 1 - size (down). `resolution`: momenta times 1 + size x Gaussian (up only)."""
    size: float | None = Field(default=None, ge=0, lt=1)
    """Relative size, the same everywhere."""
    bins: ShiftBins | None = None
    """Relative size in bins of pt and |eta|."""
    file: CorrectionFile | None = None
    """Relative size or factor from a correctionlib file."""
    seed: Seed = 1
    """Key of the Gaussian numbers of a resolution; they depend on it, on the event and on nothing else."""
    samples: tuple[str, ...] = ()
    """Samples that are shifted; empty shifts all. Collision data are never shifted."""

    @model_validator(mode="after")
    def _one_source(self) -> ObjectShift:
        given = [name for name in ("size", "bins", "file") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"exactly one of size, bins and file must be given, got {given or 'none'}"
            raise ValueError(msg)
        if self.kind == "resolution" and self.file is not None and self.file.meaning == "factor":
            msg = "a resolution needs `meaning: size`: the width of the Gaussian, not a factor"
            raise ValueError(msg)
        return self

    @property
    def directions(self) -> tuple[str, ...]:
        """The variations that it gives."""
        return ("up", "down") if self.kind == "scale" else ("up",)


class WeightPair(Section):
    """Two entries of a weight vector, relative to the nominal weight: one up, one down."""

    kind: Literal["pair"]
    vector: str
    """Branch of the weight vector, for example LHEScaleWeight."""
    up: int = Field(ge=0)
    """Index of the upward variation."""
    down: int = Field(ge=0)
    """Index of the downward variation."""
    reference: int | None = Field(default=None, ge=0)
    """Index of the entry that the others are divided by; `null` where the vector is relative to the nominal weight already."""
    samples: tuple[str, ...] = ()
    """Samples that have the vector; empty means all."""


class WeightMembers(Section):
    """Members of a set in a weight vector, combined to one up and one down variation of every histogram."""

    kind: Literal["members"]
    vector: str
    """Branch of the weight vector, for example LHEPdfWeight."""
    first: int = Field(ge=0)
    """Index of the first member."""
    last: int = Field(ge=0)
    """Index of the last member, included."""
    skip: tuple[int, ...] = ()
    """Indices between them that are left out, for example the nominal or the extreme scale choices."""
    combine: Literal["envelope", "hessian", "hessian_pairs", "replicas"]
    """`envelope`: largest and smallest. `hessian`: sum in quadrature of the differences to the nominal. `hessian_pairs`: the same,
    asymmetric, members in pairs. `replicas`: standard deviation of the members."""
    reference: int | None = Field(default=None, ge=0)
    """Index of the entry that the others are divided by; `null` where the vector is relative to the nominal weight already."""
    samples: tuple[str, ...] = ()
    """Samples that have the vector; empty means all."""

    @property
    def members(self) -> tuple[int, ...]:
        """Indices of the members."""
        return tuple(i for i in range(self.first, self.last + 1) if i not in self.skip)

    @model_validator(mode="after")
    def _enough(self) -> WeightMembers:
        least = {"envelope": 1, "hessian": 1, "hessian_pairs": 2, "replicas": 2}[self.combine]
        if len(self.members) < least:
            msg = f"{len(self.members)} members from first {self.first} to last {self.last}; {self.combine} needs at least {least}"
            raise ValueError(msg)
        if self.combine == "hessian_pairs" and len(self.members) % 2:
            msg = f"hessian_pairs needs an even number of members, got {len(self.members)}"
            raise ValueError(msg)
        return self


class WeightColumns(Section):
    """Named weight columns of the ntuple, divided by a nominal one."""

    kind: Literal["columns"]
    up: str
    """Column of the upward variation."""
    down: str | None = None
    """Column of the downward variation; `null` for a one-sided one."""
    nominal: str | None = None
    """Column that both are divided by; `null` where they are relative to the nominal weight already."""
    samples: tuple[str, ...] = ()
    """Samples that have the columns; empty means all."""


WeightVariation = Annotated[WeightPair | WeightMembers | WeightColumns | WeightCorrection, Field(discriminator="kind")]


class PruneConfig(Section):
    """Which learned variations are left out of the unbinned channel; each with a line in the report."""

    significance: float = Field(default=3.0, ge=0)
    """A change of shape is kept if events that did not train confirm it with at least this many standard errors."""
    separation: float = Field(default=0.02, ge=0)
    """A change of shape is kept if leaving it out could move a fit parameter by more than this many standard deviations, were the process
    alone in the data (the square root of its expected events times the mean square of the log ratio)."""
    yields: float = Field(default=0.0, ge=0)
    """A change of the yield is kept if it is at least this large, relative to the yield; 0 keeps all."""


class VariationRatioConfig(Section):
    """How the unbinned channel learns what a variation does to the shape of the densities."""

    shape: Literal["auto", "networks", "histogram"] = "auto"
    """`networks` learns a ratio of every event from all features; `histogram` takes it in bins of the first histogram of an observable and
    does not see what this observable does not. `auto` learns where the training can afford it: variations (up and down count apart) times
    selected simulated events are at most 3 million, and test events are set aside (`ratios.splits`).
    Sets of `members` are always taken in bins."""
    hidden: tuple[int, ...] = Field(default=(32, 32), min_length=1)
    """Widths of the hidden layers."""
    epochs: int = Field(default=16, ge=1)
    """Passes over the training events; the best one is kept."""
    batch_size: int = Field(default=512, ge=16)
    """Events per step; half of the events where the default is more than that."""
    learning_rate: float = Field(default=1e-2, gt=0)
    """Highest step size of the schedule."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Decay of the weights per step, relative to the step size."""
    calibrate: bool = True
    """Scale every output by the slope that events which did not train ask for; an output that learned noise goes to nothing."""
    seed: Seed = 101
    """Seed of the first member of every variation."""
    interpolation: Literal["log_quadratic", "code4"] = "log_quadratic"
    """Between the variations of an event, whatever `shape`: `log_quadratic` inside one standard deviation and linear outside, or
    HistFactory's polynomial `code4` per event (up to twice the time). Yields always follow code4."""
    prune: PruneConfig = PruneConfig()


class SystematicsConfig(Section):
    """All systematic variations by name; NAME gives the variations NAME_up and NAME_down (members: NAME_0, NAME_1, ... too)."""

    objects: dict[Name, ObjectShift] = Field(default={})
    """Shifts of objects: selection, pairing and observables are redone; each writes event tables and histograms of its own."""
    weights: dict[Name, WeightVariation] = Field(default={})
    """Variations of the event weight: extra columns of the nominal event tables, and histograms."""
    samples: dict[Name, SampleVariation] = Field(default={})
    """Other files in place of those of some samples: another generator, shower or detector simulation; each writes event tables and
    histograms of its own."""
    ratios: VariationRatioConfig = VariationRatioConfig()
    """The shape of variations in the unbinned channel."""

    @model_validator(mode="after")
    def _distinct(self) -> SystematicsConfig:
        names = [*self.objects, *self.weights, *self.samples]
        endings = [f"{n}_{d}" for n in names for d in ("up", "down")]
        endings += [f"{n}_{i}" for n, w in self.weights.items() if isinstance(w, WeightMembers) for i in w.members]
        repeated = sorted({n for n in endings if endings.count(n) > 1} | ({"nominal"} & set(endings)))
        if repeated:
            msg = f"variations {repeated} occur twice; give every systematic a name of its own"
            raise ValueError(msg)
        return self

"""Factors on the weight of selected events: scale factors, pile-up weights, k-factors, from files or written down."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section

VARIATION = "{variation}"
"""Text in names and inputs that becomes that of the variation."""


class CorrectionConfig(Section):
    """A factor on the weight of selected simulated events: a correctionlib file, a histogram of a ROOT file, or a curve of numbers.

    The factor of a correction of electrons or muons is the product over those of the quadruplet, of jets over those that are counted.
    """

    samples: tuple[str, ...] = ()
    """Samples that it corrects; empty corrects all simulated ones. Data are never corrected."""
    object: Literal["event", "electron", "muon", "jet"] = "event"
    """What the inputs are properties of: the event (observables, columns, branches with a number per event), a lepton (`pt`, `eta`,
    `abs_eta`, `phi`, `mass`, `charge`, branches of the collection), or a jet (the same without charge)."""
    file: str = ""
    """A correctionlib file (.json, .json.gz) or a ROOT file (.root), relative to the config; `{data}` is the folder given with `--data`."""
    correction: str = ""
    """Name of the correction, of a correctionlib file."""
    inputs: tuple[str | float, ...] = ()
    """Inputs of the correction in its order: names of properties; numbers and, where it wants a text, texts as they are. `{variation}`
    in a text becomes that of the variation."""
    histogram: str = ""
    """Name of a histogram of one axis in a ROOT file; may contain `{variation}`."""
    observable: str = ""
    """Input of a histogram or of a curve."""
    value: float | None = None
    """The same factor for every event."""
    edges: tuple[float, ...] = ()
    """Edges of a curve, increasing; lower edges belong to their bin."""
    values: tuple[float, ...] = ()
    """Factors of a curve, one per bin."""
    outside: Literal["refuse", "edge"] = "refuse"
    """What an event beyond the edges of a curve or histogram gets: it is refused, or has the factor of the nearest bin."""
    nominal: str = "nominal"
    """What `{variation}` becomes without variation."""
    uncertainty: float | tuple[float, ...] | None = None
    """Relative uncertainty of the factor, one number or one per bin: the variations `up` and `down` of a curve, or of a name without
    `{variation}`, are the factor times 1 + uncertainty and 1 - uncertainty."""

    @property
    def kind(self) -> Literal["correctionlib", "histogram", "curve", "number"]:
        """Where the numbers come from."""
        if self.value is not None:
            return "number"
        if self.histogram:
            return "histogram"
        return "curve" if self.edges else "correctionlib"

    @property
    def arguments(self) -> tuple[str | float, ...]:
        """Inputs, whatever the source."""
        return self.inputs if self.kind == "correctionlib" else (self.observable,) if self.observable else ()

    @property
    def named_variations(self) -> bool:
        """Whether variations have numbers of their own in the file."""
        return any(isinstance(text, str) and VARIATION in text for text in (self.correction, self.histogram, *self.inputs))

    @model_validator(mode="after")
    def _one_source(self) -> CorrectionConfig:
        given = [bool(self.correction), bool(self.histogram), bool(self.edges), self.value is not None]
        looked_up = bool(self.histogram or self.edges)
        checks = (
            ("give exactly one of `correction` (with `file`), `histogram` (with `file`), `edges` and `value`", sum(given) != 1),
            ("`file` belongs to `correction` or `histogram`, which need it", bool(self.file) != bool(self.correction or self.histogram)),
            ("`correction` needs `inputs`, which belong to nothing else", bool(self.correction) != bool(self.inputs)),
            ("histograms and curves need `observable`, which belongs to nothing else", looked_up != bool(self.observable)),
            (f"{max(len(self.edges) - 1, 0)} bins, but {len(self.values)} values", len(self.values) != max(len(self.edges) - 1, 0)),
            ("edges must increase", any(b <= a for a, b in pairwise(self.edges))),
            ("values must not be 0: an event without weight is none", 0.0 in (*self.values, self.value)),
            ("`uncertainty` beside `{variation}`: the file has the variations", self.uncertainty is not None and self.named_variations),
        )
        for message, wrong in checks:
            if wrong:
                raise ValueError(message)
        relative = self.uncertainty if isinstance(self.uncertainty, tuple) else () if self.uncertainty is None else (self.uncertainty,)
        if any(not 0 <= value < 1 for value in relative):
            msg = f"uncertainty {self.uncertainty}: relative numbers of at least 0 and below 1 are expected"
            raise ValueError(msg)
        if isinstance(self.uncertainty, tuple) and len(self.uncertainty) != len(self.values):
            msg = f"uncertainty: {len(self.uncertainty)} numbers for {len(self.values)} bins; one number, or one per bin of a curve"
            raise ValueError(msg)
        return self


class WeightCorrection(Section):
    """Variations of corrections of the config, together."""

    kind: Literal["correction"]
    of: tuple[str, ...] = Field(min_length=1)
    """Names under `corrections`; those of several vary together."""
    up: str = "up"
    """What `{variation}` becomes in the upward variation."""
    down: str | None = "down"
    """What it becomes in the downward variation; `null` for a one-sided one."""
    samples: tuple[str, ...] = ()
    """Samples that vary; empty means all that have one of the corrections."""

"""What a workspace document holds beyond pyhf's schema: unbinned channels, and morphing modifiers on binned ones.

    "unbinned_channels": [{"name", "observables": [...], "reference", "model": "models/ratio.onnx",
                           "samples": [{"name", "yield", "output", "modifiers": [{"type", "name", "data"}]}],
                           "observation": {"file", "weight"}, "normalisation": {"file", "weight"}, "interpolation": "log_quadratic"}],
                           with a network that reads theta: "output", "inputs": {"mu": "mu"}, "ratio_mean": {"points", "mean", "error"},
                           and no outputs of the samples
    "channels", "observations", "measurements", "version": as in pyhf, except that samples of channels may carry modifiers
                           {"name", "type": "morphing", "data": {"coefficient": "sqrt(mu)"}}

A measurement's "poi" and "parameters" (name, inits, bounds, fixed) define the parameters of the coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from toolkit.config.base import Section
from toolkit.errors import SchemaError
from toolkit.expressions import Condition
from toolkit.likelihood.interpolation import ShapeCode


class MorphingData(Section):
    """The coefficient of a sample: an expression of the grammar of `toolkit.expressions.arithmetic`."""

    coefficient: str


class MorphingModifier(Section):
    """Multiplies a sample by an expression in the parameters."""

    type: Literal["morphing"]
    name: str = "morphing"
    data: MorphingData


class NormFactor(Section):
    """Multiplies a sample by a free parameter, as pyhf's normfactor."""

    type: Literal["normfactor"]
    name: str
    data: None = None


class Luminosity(Section):
    """Multiplies a sample by the luminosity relative to the nominal one, as pyhf's lumi: its constraint is in the measurement."""

    type: Literal["lumi"]
    name: Literal["lumi"] = "lumi"
    data: None = None


class NormSysData(Section):
    """Yields at +1 and -1 over the nominal yield."""

    hi: float = Field(gt=0)
    lo: float = Field(gt=0)


class NormSysModifier(Section):
    """A normalisation systematic, as pyhf's normsys: interpolated with code 4, unit-Gaussian constraint."""

    type: Literal["normsys"]
    name: str
    data: NormSysData


class ColumnSource(Section):
    """ln(varied/nominal density) as a column of the observation file."""

    column: str


class ModelSource(Section):
    """ln(varied/nominal density) as an output of an ONNX file; with `spread`, the standard deviation over its ensemble."""

    model: str
    output: str
    spread: bool = False


class BinnedSource(Section):
    """ln(varied/nominal density) in bins of an observable; events outside the edges take the nearest bin."""

    observable: str
    edges: tuple[float, ...] = Field(min_length=2)
    log_ratio: tuple[float, ...]

    @model_validator(mode="after")
    def _consistent(self) -> BinnedSource:
        if len(self.log_ratio) != len(self.edges) - 1 or any(b <= a for a, b in pairwise(self.edges)):
            msg = f"{len(self.edges)} edges, {len(self.log_ratio)} values: edges must increase, with one value per bin"
            raise ValueError(msg)
        return self


Source = ColumnSource | ModelSource | BinnedSource


class ShapeData(Section):
    """Per-event variation up and down (mirrored if null), and the yields that go with it."""

    up: Source
    down: Source | None = None
    hi: float = Field(default=1.0, gt=0)
    lo: float = Field(default=1.0, gt=0)


class ShapeModifier(Section):
    """A systematic that changes density and yield of a sample event by event; unit-Gaussian constraint."""

    type: Literal["shapesys_ratio"]
    name: str
    data: ShapeData


class UncertaintyData(Section):
    """The standard deviation of the log density ratio of each event."""

    sigma: Source


class RatioUncertainty(Section):
    """Uncertainty of a density ratio itself, from finite simulation or an ensemble: shifts ln p by alpha times sigma(x)."""

    type: Literal["ratio_uncertainty"]
    name: str
    data: UncertaintyData


Modifier = Annotated[
    MorphingModifier | NormFactor | Luminosity | NormSysModifier | ShapeModifier | RatioUncertainty, Field(discriminator="type")
]


class UnbinnedSample(Section):
    """One process of an unbinned channel: its yield, its density ratio, its coefficient and systematics."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    name: str
    expected: float = Field(ge=0, alias="yield")
    output: str = ""
    """Output of the model with ln p_j / p_ref; none where the channel has one for the whole density."""
    scale: float = Field(default=1.0, gt=0)
    """Factor on that ratio: in a region, or for a part of a process, the events that the model was normalised to over the yield."""
    condition: str = ""
    """Events at which the density does not vanish, `n_jets >= 2`, a condition on columns of the observation; empty for all."""
    modifiers: tuple[Modifier, ...] = ()

    @field_validator("condition")
    @classmethod
    def _readable(cls, text: str) -> str:
        if text:
            Condition.parse(text)
        return text

    @property
    def coefficient(self) -> str:
        """The product of morphing, normfactors and luminosity as one expression."""
        plain = (MorphingModifier, NormFactor, Luminosity)
        chosen = [m for m in self.modifiers if isinstance(m, plain)]
        factors = [m.data.coefficient if isinstance(m, MorphingModifier) else m.name for m in chosen]
        return "1" if not factors else factors[0] if len(factors) == 1 else " * ".join(f"({f})" for f in factors)

    @property
    def norms(self) -> dict[str, tuple[float, float]]:
        """Yields (up, down) over nominal by nuisance parameter: those of normsys and of per-event variations, multiplied."""
        found: dict[str, tuple[float, float]] = {}
        for m in self.modifiers:
            if isinstance(m, NormSysModifier | ShapeModifier):
                up, down = found.get(m.name, (1.0, 1.0))
                found[m.name] = (up * m.data.hi, down * m.data.lo)
        return {name: pair for name, pair in found.items() if pair != (1.0, 1.0)}

    @property
    def shapes(self) -> dict[str, tuple[Source, Source | None]]:
        """Sources of the per-event variations (up, down) by nuisance parameter; None mirrors the first."""
        pairs = [(m.name, (m.data.up, m.data.down)) for m in self.modifiers if isinstance(m, ShapeModifier)]
        pairs += [(m.name, (m.data.sigma, None)) for m in self.modifiers if isinstance(m, RatioUncertainty)]
        if len(dict(pairs)) != len(pairs):
            raise SchemaError(f"sample {self.name!r}", got=[name for name, _ in pairs], expected="one variation per parameter")
        return dict(pairs)

    @property
    def kinds(self) -> dict[str, str]:
        """Which kind of constraint each nuisance parameter has: "lumi" or "unit", and "free" for normfactors."""
        names = {NormFactor: "free", Luminosity: "lumi", MorphingModifier: ""}
        return {m.name: names.get(type(m), "unit") for m in self.modifiers if not isinstance(m, MorphingModifier)}


class Observation(Section):
    """A parquet file of events, relative to the workspace, and its column of weights (null: every event counts 1)."""

    file: str
    weight: str | None = "weight"


class Normalisation(Section):
    """A parquet file of simulated events on which per-event variations are normalised, relative to the workspace."""

    file: str
    weight: str | None = "weight"
    """Column of weights that give the reference density; the density ratios of the channel do the rest. Null: each counts 1."""
    weights: dict[str, str] | None = None
    """Instead: column of weights for each sample by its name, so that no ratios are needed."""


class RatioMeanTable(Section):
    """Mean of the density ratio over the reference at points of theta, see `toolkit.likelihood.ratio_mean`."""

    points: tuple[tuple[float, ...], ...] = Field(min_length=1)
    mean: tuple[float, ...]
    error: tuple[float, ...]


class UnbinnedChannel(Section):
    """Events, the density ratios that describe them, and the processes."""

    name: str
    observables: tuple[str, ...] = Field(min_length=1)
    reference: str
    model: str
    samples: tuple[UnbinnedSample, ...] = Field(min_length=1)
    observation: Observation
    normalisation: Normalisation | Literal["normalised"] | None = None
    """On what per-event variations are normalised; "normalised" says that they are already."""
    interpolation: ShapeCode = "log_quadratic"
    """Of the per-event variations."""
    output: str | None = None
    """Output of a model that reads theta: ln p(x|theta) / p_ref of the whole density. Samples then give yields and coefficients."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Each component of theta that the model reads as an expression in the parameters."""
    ratio_mean: RatioMeanTable | None = None
    """Mean of that ratio over the reference, divided out; left out, the ratio is taken as it is."""

    @model_validator(mode="after")
    def _one_kind_of_model(self) -> UnbinnedChannel:
        without = [s.name for s in self.samples if not s.output]
        varied = [s.name for s in self.samples if s.shapes]
        faults = (
            (self.output is None and without, f"samples {without} have no output, and the channel has none for the whole density"),
            (self.output is not None and not self.inputs, "a channel with `output` names what its model reads: inputs: {mu: mu}"),
            (
                self.output is None and (self.inputs or self.ratio_mean is not None),
                "`inputs` and `ratio_mean` belong to a channel with `output`",
            ),
            (
                self.output is not None and len(without) < len(self.samples),
                "the channel has an output for the whole density, and samples have their own",
            ),
            (
                self.output is not None and any(s.scale != 1.0 or s.condition for s in self.samples),
                "`scale` and `condition` belong to samples with an output of their own",
            ),
            (
                self.output is not None and varied,
                f"samples {varied} have per-event variations, which a network of the whole density does not know",
            ),
        )
        for wrong, message in faults:
            if wrong:
                raise ValueError(message)
        return self

    @property
    def condition_columns(self) -> tuple[str, ...]:
        """Columns of the observation that conditions of the samples name."""
        return tuple(dict.fromkeys(name for s in self.samples if s.condition for name in Condition.parse(s.condition).names))

    @property
    def coefficients(self) -> tuple[str, ...]:
        """All expressions in which parameters enter: coefficients of the samples, and inputs of the model."""
        return (*(s.coefficient for s in self.samples), *self.inputs.values())

    @property
    def kinds(self) -> dict[str, str]:
        """Which kind of constraint each nuisance parameter has.

        Raises:
            SchemaError: Two samples that contradict each other.
        """
        return merge_kinds((s.kinds for s in self.samples), where=f"unbinned channel {self.name!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the object of the document; keys at their defaults are left out."""
        document = self.model_dump(mode="json", by_alias=True)
        for key, default in (
            ("normalisation", None),
            ("interpolation", "log_quadratic"),
            ("output", None),
            ("inputs", {}),
            ("ratio_mean", None),
        ):
            if document[key] == default:
                del document[key]
        for sample in document["samples"]:
            plain: dict[str, Any] = {"output": "", "scale": 1.0, "condition": ""}
            for key in [k for k, value in plain.items() if sample[k] == value]:
                del sample[key]
        return document


def merge_kinds(parts: Iterable[Mapping[str, str]], *, where: str) -> dict[str, str]:
    """Merge kinds of constraints by parameter.

    Raises:
        SchemaError: One parameter with two kinds of constraint.

    Examples:
        >>> merge_kinds([{"jet_scale": "gaussian"}, {"jet_scale": "gaussian"}], where="channel 'SR'")
        {'jet_scale': 'gaussian'}
    """
    found: dict[str, str] = {}
    for part in parts:
        for name, kind in part.items():
            if found.setdefault(name, kind) != kind:
                raise SchemaError(
                    f"{where}: constraint of {name!r}",
                    got=f"{found[name]!r} and {kind!r}",
                    expected="one kind of constraint per parameter (unit: normsys and variations; lumi; free: normfactor)",
                    remedy="rename one of the modifiers",
                )
    return found


def parse_channel(raw: Any, *, where: str) -> UnbinnedChannel:
    """Check one unbinned channel.

    Raises:
        SchemaError: A key is missing, unknown or of the wrong type; the message lists all of them.
    """
    try:
        channel = UnbinnedChannel.model_validate(raw)
    except ValidationError as error:
        lines = "\n".join(f"  {'.'.join(str(p) for p in e['loc']) or '(all of it)'}: {e['msg']}" for e in error.errors())
        what = f"{where}\n{lines}"
        raise SchemaError(what, remedy="correct the entries above") from error
    _ = channel.kinds, [s.shapes for s in channel.samples]
    names = [s.name for s in channel.samples]
    if len(set(names)) != len(names):
        what = f"{where}: samples"
        raise SchemaError(what, got=names, expected="different names", remedy="rename one")
    return channel


def parse_parameter(raw: dict[str, Any], *, where: str) -> tuple[float, float, float, bool]:
    """Read starting value, range and whether it is fixed from a measurement's parameter.

    Raises:
        SchemaError: It has no "inits" and "bounds" of one entry each.
    """
    inits, bounds = raw.get("inits"), raw.get("bounds")
    ok = isinstance(inits, list) and len(inits) == 1 and isinstance(bounds, list) and len(bounds) == 1 and len(bounds[0]) == 2
    if not ok or inits is None or bounds is None:
        what = f"{where}: parameter {raw.get('name')!r}"
        raise SchemaError(what, got={"inits": inits, "bounds": bounds}, expected='{"inits": [start], "bounds": [[low, high]]}')
    return float(inits[0]), float(bounds[0][0]), float(bounds[0][1]), bool(raw.get("fixed", False))

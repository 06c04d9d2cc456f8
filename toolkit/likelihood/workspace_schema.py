"""What a workspace document holds beyond pyhf's schema: unbinned channels, and morphing modifiers on binned ones.

    "unbinned_channels": [{"name", "observables": [...], "reference", "model": "models/ratio.onnx", "samples": [{"name", "yield", "output",
                             "modifiers": [{"type": "morphing", "data": {"coefficient": "sqrt(mu)"}}]}],
    "channels", "observations", "measurements", "version": as in pyhf, except that samples of channels may carry modifiers
                           {"name", "type": "morphing", "data": {"coefficient": "sqrt(mu)"}}

A measurement's "poi" and "parameters" (name, inits, bounds, fixed) define the parameters of the coefficients.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from toolkit.config.base import Section
from toolkit.errors import SchemaError


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


class UnbinnedSample(Section):
    """One process of an unbinned channel: its yield, its density ratio, its coefficient."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    name: str
    expected: float = Field(ge=0, alias="yield")
    output: str
    modifiers: tuple[Annotated[MorphingModifier | NormFactor, Field(discriminator="type")], ...] = ()

    @property
    def coefficient(self) -> str:
        """The product of all modifiers as one expression."""
        factors = [m.data.coefficient if isinstance(m, MorphingModifier) else m.name for m in self.modifiers]
        return "1" if not factors else factors[0] if len(factors) == 1 else " * ".join(f"({f})" for f in factors)


class Observation(Section):
    """A parquet file of events, relative to the workspace, and its column of weights (null: every event counts 1)."""

    file: str
    weight: str | None = "weight"


class UnbinnedChannel(Section):
    """Events, the density ratios that describe them, and the processes."""

    name: str
    observables: tuple[str, ...] = Field(min_length=1)
    reference: str
    model: str
    samples: tuple[UnbinnedSample, ...] = Field(min_length=1)
    observation: Observation

    def to_json(self) -> dict[str, Any]:
        """Return the object of the document."""
        return self.model_dump(mode="json", by_alias=True)


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

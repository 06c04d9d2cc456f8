"""Parameters of an analysis of several processes: what is measured, what floats, what follows from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.model.parameters import ModelParameter

WIDTHS = 5.0
"""How many widths the range of a nuisance parameter holds on each side."""
SMALLEST = 1e-6
"""Lower end of the range of a parameter that a count constrains, over its central value, where five widths would pass zero."""


class ModelParameterConfig(Section):
    """One parameter; a text in place of the section is an expression of others, such as `mu_EW: kappa_V**4`."""

    kind: Literal["interest", "normalisation", "nuisance"] = "interest"
    """`interest` is measured and reported; `normalisation` floats without a constraint, in factors of processes; `nuisance` is known from
    elsewhere as `central` with an error `width`, and is part of `likelihood.systematics`."""
    constraint: Literal["gaussian", "poisson"] = "gaussian"
    """Of a nuisance parameter, how what is known about it is distributed: `gaussian`, or `poisson` for a background that a count of
    (central / width)^2 events measured."""
    central: float = 0.0
    """Of a nuisance parameter, its measured value, which is that of the Asimov set: 0 for a number of standard deviations (factor
    `1 + 0.1 * alpha`), 1 for a factor."""
    width: float = Field(default=1.0, gt=0)
    """Of a nuisance parameter, the standard deviation of that measurement."""
    range: tuple[float, float] = (0.0, 6.0)
    """Allowed range, in which scans and fits stay; by default that of a nuisance parameter holds `central` and five widths on each side."""
    truth: float = 1.0
    """Value of the Asimov set, that of the standard model: 1 for strengths and couplings, write 0 for Wilson coefficients."""
    start: float | None = None
    """Where fits start; `null` takes the truth."""
    label: str = ""
    """Label of plots in TeX; empty takes the name."""
    interval: Literal["auto", "asymptotic", "neyman"] = "auto"
    """`neyman` also constructs the intervals from toys (docs/intervals.md); `auto` does so for all methods where that takes seconds:
    statistical uncertainties alone, no other free parameter, not too many events."""
    expression: str = Field(default="", max_length=2000)
    """For a derived parameter, an expression of others; it has no range and no truth of its own."""

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        """Take a text, or a number, as the expression of a derived parameter."""
        if isinstance(data, str | int | float) and not isinstance(data, bool):
            return {"expression": str(data)}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> ModelParameterConfig:
        if self.interval == "neyman" and self.kind != "interest":
            msg = f"interval: neyman of a parameter of kind {self.kind}: only those of kind interest are measured"
            raise ValueError(msg)
        if self.expression:
            more = sorted(self.model_fields_set - {"expression", "label"})
            if more:
                msg = f"a derived parameter follows from others: it has no {', '.join(more)}"
                raise ValueError(msg)
        known = sorted({"constraint", "central", "width"} & self.model_fields_set)
        if known and self.kind != "nuisance":
            msg = f"{', '.join(known)} belong to `kind: nuisance`; this parameter is free (kind {self.kind})"
            raise ValueError(msg)
        strange = sorted({"truth", "interval"} & self.model_fields_set) if self.kind == "nuisance" else []
        if strange:
            msg = f"a nuisance parameter has no {', '.join(strange)}: its value in the Asimov set is `central`, and it is not measured"
            raise ValueError(msg)
        return self

    def parameter(self, name: str) -> ModelParameter:
        """Return the parameter of the physics model.

        Raises:
            SchemaError: The range is empty, or start or truth lies outside.
        """
        if self.kind != "nuisance":
            start = self.truth if self.start is None else self.start
            return ModelParameter(name, self.kind, start=start, range=self.range, truth=self.truth, label=self.label)
        allowed = self.range if "range" in self.model_fields_set else self._around
        start = self.central if self.start is None else self.start
        return ModelParameter(
            name,
            self.kind,
            start=start,
            range=allowed,
            truth=self.central,
            label=self.label,
            constraint=self.constraint,
            width=self.width,
        )

    @property
    def _around(self) -> tuple[float, float]:
        """Return the range of a nuisance parameter; a count does not fall to zero."""
        low, high = (self.central + WIDTHS * sign * self.width for sign in (-1.0, 1.0))
        return (max(low, SMALLEST * self.central) if self.constraint == "poisson" else low), high


def require_free(parameters: Mapping[str, ModelParameterConfig]) -> None:
    """Check that the new parameters of a fit are free ones: neither expressions nor known from elsewhere.

    Raises:
        ValueError: Some are not.
    """
    derived = sorted(name for name, p in parameters.items() if p.expression)
    known = sorted(name for name, p in parameters.items() if p.kind == "nuisance")
    faults = (
        (derived, f"{derived} are expressions: write them out under `express`"),
        (known, f"{known} of kind nuisance: new parameters of a fit are free; what is known from elsewhere belongs to what is fitted"),
    )
    message = next((text for names, text in faults if names), None)
    if message is not None:
        raise ValueError(message)

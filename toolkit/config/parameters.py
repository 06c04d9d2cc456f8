"""Parameters of an analysis of several processes: what is measured, what floats, what follows from others."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.model.parameters import ModelParameter


class ModelParameterConfig(Section):
    """One parameter; a text in place of the section is an expression of others, such as `mu_EW: kappa_V**4`."""

    kind: Literal["interest", "normalisation", "nuisance"] = "interest"
    """`interest` is measured and reported; `normalisation` floats without a constraint, in factors of processes; `nuisance` has a
    constraint of unit width around its truth."""
    range: tuple[float, float] = (0.0, 6.0)
    """Allowed range, in which scans and fits stay."""
    truth: float = 1.0
    """Value of the Asimov set, that of the standard model: 1 for strengths and couplings, write 0 for Wilson coefficients."""
    start: float | None = None
    """Where fits start; `null` takes the truth."""
    label: str = ""
    """Label of plots in TeX; empty takes the name."""
    interval: Literal["asymptotic", "neyman"] = "asymptotic"
    """`neyman` also constructs the intervals from toys (docs/intervals.md)."""
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
        if self.expression:
            more = sorted(self.model_fields_set - {"expression", "label"})
            if more:
                msg = f"a derived parameter follows from others: it has no {', '.join(more)}"
                raise ValueError(msg)
        return self

    def parameter(self, name: str) -> ModelParameter:
        """Return the parameter of the physics model.

        Raises:
            SchemaError: The range is empty, or start or truth lies outside.
        """
        start = self.truth if self.start is None else self.start
        return ModelParameter(name, self.kind, start=start, range=self.range, truth=self.truth, label=self.label)

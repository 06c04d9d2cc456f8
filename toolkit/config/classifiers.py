"""Classifiers that the pipeline trains: scores that separate densities, for regions, histograms and features."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import Name, Seed
from toolkit.config.ratios import Width


def _coefficients(value: Any) -> Any:
    """Take a list of names as coefficients of 1."""
    if not isinstance(value, list | tuple):
        return value
    repeated = sorted({str(name) for name in value if value.count(name) > 1})
    if repeated:
        msg = f"{repeated} occur twice; give the coefficient instead, `{{{repeated[0]}: 2}}`"
        raise ValueError(msg)
    return dict.fromkeys(value, 1.0)


Coefficient = Annotated[float, Field(gt=0)]
Coefficients = Annotated[dict[Name, Coefficient], BeforeValidator(_coefficients)]
"""Densities with their coefficients; a list gives each the coefficient 1."""


class LocalScoreConfig(Section):
    """The score at one point of the parameters, d ln p(x|theta) / d theta: the best observable near it (SALLY, docs/estimators.md)."""

    parameter: Name
    """Parameter of interest by which is derived."""
    at: dict[Name, float] = Field(default={})
    """The point: values of parameters, those that are not named at their truth."""


class ClassifierConfig(Section):
    """A network whose output is a column NAME of all events: a score that tells densities apart, or the score at a point.

    The former is ln(sum of `numerator`) - ln(sum of `denominator`): the classes are the densities that are named, each with the same total
    weight; their probabilities are what is summed. The latter (`local_score`) is learned from the weights of each event. Every event has
    the value of a network that did not see it (docs/model.md).
    """

    features: tuple[str, ...] = Field(min_length=1)
    """Observables that the network reads; every selected event must have them."""
    numerator: Coefficients = Field(default={})
    """Densities above the line: a list, or coefficients (> 0) by name."""
    denominator: Coefficients = Field(default={})
    """Densities below the line."""
    local_score: LocalScoreConfig | None = None
    """In place of `numerator` and `denominator`: the score at a point."""
    hidden: tuple[Width, ...] = Field(default=(64, 64), min_length=1, max_length=100)
    """Widths of the hidden layers."""
    epochs: int = Field(default=20, ge=1, le=1_000_000)
    """Passes over the training events, at most."""
    folds: int = Field(default=5, ge=2, le=100)
    """Networks, each trained without one part of the events that learn."""
    batch_size: int = Field(default=1024, ge=16, le=100_000_000)
    """Events per step."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest step size of the schedule."""
    seed: Seed = 1
    """Seed of the first network; the others follow from it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The densities that are told apart, once each: those above the line first."""
        return tuple(dict.fromkeys((*self.numerator, *self.denominator)))

    @model_validator(mode="after")
    def _consistent(self) -> ClassifierConfig:
        if len(set(self.features)) != len(self.features):
            msg = f"features repeat: {list(self.features)}"
            raise ValueError(msg)
        if self.local_score is not None and self.classes:
            msg = "give `numerator` and `denominator`, or `local_score`, and not both"
            raise ValueError(msg)
        if self.local_score is None and not (self.numerator and self.denominator):
            msg = "give densities for `numerator` and `denominator`, or `local_score`"
            raise ValueError(msg)
        if self.local_score is None and len(self.classes) < 2:
            msg = f"numerator and denominator name only {list(self.classes)}: there is nothing to tell apart"
            raise ValueError(msg)
        return self

"""Classifiers that the pipeline trains: scores that separate densities, for regions, histograms and features."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from toolkit.config.base import Section
from toolkit.config.conditions import OptionalCondition
from toolkit.config.names import Name, Seed
from toolkit.config.ratios import Width, check_layers


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


class DecorrelationConfig(Section):
    """Makes the outputs of a network independent of observables, for the background: cuts on the score leave its shape in them as it is."""

    variables: tuple[str, ...] = Field(min_length=1)
    """Observables, which every background event must have."""
    densities: tuple[Name, ...] = ()
    """The background, densities at their yields; by default those below the line, or of all classes but the first."""
    method: Literal["adversary", "distance_correlation", "quantiles"] = "adversary"
    """A second network that tries to find the observables in the outputs, the distance correlation of the outputs with each, or, after the
    training, the place of the score among background events of the same value of one observable, which is among the features."""
    strength: float = Field(default=3.0, gt=0)
    """Factor in the loss, beside the cross-entropy; `quantiles` has none."""
    hidden: tuple[Width, ...] | None = Field(default=None, min_length=1, max_length=100)
    """Widths of the hidden layers of the adversary, 32 and 32 by default."""

    @model_validator(mode="after")
    def _used(self) -> DecorrelationConfig:
        if self.hidden is not None and self.method != "adversary":
            msg = f"method {self.method} has no second network: leave `hidden` out"
            raise ValueError(msg)
        if self.method == "quantiles" and self.strength != type(self).model_fields["strength"].default:
            msg = "method quantiles has no loss of its own: leave `strength` out"
            raise ValueError(msg)
        if self.method == "quantiles" and len(self.variables) != 1:
            msg = f"method quantiles is for one observable, not {list(self.variables)}: take another method"
            raise ValueError(msg)
        return self


class ClassifierSettings(Section):
    """What every classifier has."""

    architecture: str
    """What learns."""
    features: tuple[str, ...] = Field(min_length=1)
    """Observables that it reads; networks need them in every event that they learn from, trees take missing ones as they are."""
    numerator: Coefficients = Field(default={})
    """Densities above the line: a list, or coefficients (> 0) by name."""
    denominator: Coefficients = Field(default={})
    """Densities below the line."""
    classes: dict[Name, Coefficients] = Field(default={})
    """In place of `numerator` and `denominator`: two classes or more by name, each a sum of densities. Every class has a column NAME_CLASS
    with its probability."""
    local_score: LocalScoreConfig | None = None
    """In place of both: the score at a point, which networks learn."""
    where: OptionalCondition = ""
    """Events that it learns from and has a score for, by a condition on observables; the score of others is missing, as m_jj is where
    there are no two jets. All selected events by default."""
    folds: int = Field(default=5, ge=2, le=100)
    """Trainings, each without one part of the events that learn."""
    seed: Seed = 1
    """Seed of the first training; the others follow from it."""
    importance: Literal["none", "shuffling", "removal"] = "none"
    """Whether to measure what the features are worth: by shuffling each among the events, or also by other trainings without each, which
    cost as much as those of the classifier for every feature."""
    groups: dict[Name, tuple[str, ...]] = Field(default={})
    """Features that are shuffled and left out together, by name; each of the others goes by itself."""

    @property
    def densities(self) -> tuple[str, ...]:
        """The densities that are named, once each: those above the line first."""
        return tuple(dict.fromkeys((*self.numerator, *self.denominator, *(name for part in self.classes.values() for name in part))))

    @property
    def sums(self) -> dict[str, dict[str, float]]:
        """What is told apart, by name: the classes with their sums of densities, or the densities above and below the line themselves."""
        return dict(self.classes) or {name: {name: 1.0} for name in self.densities}

    @property
    def background(self) -> dict[str, float]:
        """The densities below the line, or of all classes but the first, with their coefficients."""
        others = list(self.classes.values())[1:]
        found = {name: 0.0 for part in others for name in part} | self.denominator
        for part in others:
            for name, coefficient in part.items():
                found[name] += coefficient
        return found

    @property
    def decorrelated(self) -> tuple[str, ...]:
        """Observables that the outputs are to know nothing of."""
        section = getattr(self, "decorrelate", None)
        return () if section is None else tuple(section.variables)

    @property
    def folds_beam_axis(self) -> bool:
        """Whether `ratios.fold_beam_axis` holds: objects would have to be rotated too, and trees read the features as they are."""
        return self.architecture in {"mlp", "residual"}

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the columns that a classifier of this name writes.

        Examples:
            >>> ClassifierConfig(features=["m4l"], classes={"ggF": ["ggF_S"], "ZZ": ["qqZZ"]}).columns("mode")
            ('mode_ggF', 'mode_ZZ')
        """
        return tuple(f"{name}_{part}" for part in self.classes) or (name,)

    @model_validator(mode="after")
    def _consistent(self) -> ClassifierSettings:
        if len(set(self.features)) != len(self.features):
            msg = f"features repeat: {list(self.features)}"
            raise ValueError(msg)
        line = bool(self.numerator or self.denominator)
        if line + bool(self.classes) + (self.local_score is not None) != 1:
            msg = "give `numerator` and `denominator`, or `classes`, or `local_score`, and one of them only"
            raise ValueError(msg)
        if line and not (self.numerator and self.denominator):
            msg = "give densities for `numerator` and `denominator`"
            raise ValueError(msg)
        if self.local_score is None and len(self.sums) < 2:
            msg = f"only {list(self.sums)} is named: there is nothing to tell apart"
            raise ValueError(msg)
        self._check_importance()
        empty = [name for name, part in self.classes.items() if not part]
        if empty:
            msg = f"classes {empty} have no densities"
            raise ValueError(msg)
        return self

    def _check_importance(self) -> None:
        members = [name for group in self.groups.values() for name in group]
        unknown = sorted({name for name in members if name not in self.features or members.count(name) > 1})
        if unknown or any(len(group) == len(self.features) or not group for group in self.groups.values()):
            msg = f"groups {dict(self.groups)}: a group holds some of the features, each in one group only (see {unknown or 'their sizes'})"
            raise ValueError(msg)
        if self.groups and self.importance == "none":
            msg = "`groups` belong to `importance: shuffling` or `importance: removal`"
            raise ValueError(msg)
        if self.importance != "none" and self.local_score is not None:
            msg = "`importance` is that of a significance, which a local score has none of: leave it out"
            raise ValueError(msg)
        if self.importance == "removal" and len(self.features) < 2:
            msg = "`importance: removal` leaves out features: give two at least"
            raise ValueError(msg)


class ClassifierConfig(ClassifierSettings):
    """A network whose output is a column NAME of all events: a score that tells densities apart, or the score at a point.

    The former is ln(sum of `numerator`) - ln(sum of `denominator`): the classes are the densities that are named, each with the same total
    weight; their probabilities are what is summed. With `classes` they are sums of densities, and their probabilities are the columns.
    The latter (`local_score`) is learned from the weights of each event. Every event has the value of a network that did not see it
    (docs/classifiers.md).
    """

    architecture: Literal["mlp", "residual", "deep_set", "recurrent"] = "mlp"
    """Layers one after the other; such layers that add to their input; a network per lepton and jet whose results are summed; a network
    that reads them one after the other. The last two need the columns of the objects among `features` (docs/training.md)."""
    lepton_labels: tuple[Literal["z", "charge"], ...] | None = None
    """What `deep_set` and `recurrent` are told of a lepton beside its columns: to which Z it belongs (by default this alone), and its
    charge."""
    hidden: tuple[Width, ...] = Field(default=(64, 64), min_length=1, max_length=100)
    """Widths of the hidden layers."""
    epochs: int = Field(default=20, ge=1, le=1_000_000)
    """Passes over the training events, at most."""
    batch_size: int = Field(default=1024, ge=16, le=100_000_000)
    """Events per step; half of the events where the default is more than that."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest step size of the schedule."""
    decorrelate: DecorrelationConfig | None = None
    """Observables that the outputs are to know nothing of."""

    @model_validator(mode="after")
    def _layers(self) -> ClassifierConfig:
        check_layers(self.architecture, self.hidden, self.features)
        if self.lepton_labels is not None and self.architecture not in {"deep_set", "recurrent"}:
            msg = f"architecture {self.architecture} has no use for `lepton_labels`, which belong to deep_set and recurrent: leave them out"
            raise ValueError(msg)
        if self.decorrelate is not None and self.local_score is not None:
            msg = "a local score has no background: `decorrelate` belongs to `numerator` and `denominator`, or to `classes`"
            raise ValueError(msg)
        self._check_quantiles()
        return self

    def _check_quantiles(self) -> None:
        if self.decorrelate is None or self.decorrelate.method != "quantiles":
            return
        if self.decorrelate.variables[0] not in self.features:
            msg = f"method quantiles reads the observable: add {self.decorrelate.variables[0]} to `features`"
            raise ValueError(msg)
        both = sorted(set(self.numerator) & set(self.denominator))
        if both or len(self.classes) > 2:
            got = f"{both} stand above and below the line" if both else f"there are {len(self.classes)} classes"
            msg = f"method quantiles moves one score, and {got}: take another method"
            raise ValueError(msg)


class TreesClassifierConfig(ClassifierSettings):
    """Boosted trees (extra `trees`) with the same columns as a network; features may be missing in some events."""

    architecture: Literal["boosted_trees"]
    trees: int = Field(default=100, ge=1, le=10_000)
    """Rounds of boosting, at most; each grows one tree per class."""
    leaves: int = Field(default=12, ge=2, le=64)
    """Leaves per tree. The file and the memory of its evaluation grow with trees times leaves squared."""
    min_events: int = Field(default=50, ge=1)
    """Fewest events in a leaf."""
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    """Shrinkage of every tree."""
    patience: int = Field(default=10, ge=1, le=1_000_000)
    """Rounds without a better validation loss after which the boosting stops."""

    @model_validator(mode="after")
    def _classes_only(self) -> TreesClassifierConfig:
        if self.local_score is not None:
            msg = "architecture boosted_trees tells classes apart: give `numerator` and `denominator`, or `classes`, or take a network"
            raise ValueError(msg)
        return self


def _named(value: Any) -> Any:
    """Take a section without `architecture` as a perceptron."""
    return {"architecture": "mlp", **value} if isinstance(value, dict) else value


AnyClassifierConfig = Annotated[
    ClassifierConfig | TreesClassifierConfig,
    Field(discriminator="architecture"),
    BeforeValidator(_named),
]
"""A section of `classifiers`, told apart by `architecture`; without it a perceptron."""

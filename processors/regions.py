"""Regions and scores: named conditions on observables, and log density ratios from ONNX files, per selected event."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from processors.selection import condition_names
from toolkit.config import Config, ScoreConfig
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.expressions import Condition
from toolkit.kinematics import OBSERVABLES
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights.missing import source_of
from toolkit.weights.scores import log_score

if TYPE_CHECKING:
    from toolkit.likelihood.onnx_ratio import OnnxRatio


class Score:
    """One score: ln( sum_a c_a p_a(x) / sum_b c_b p_b(x) ) from an ONNX file of log density ratios.

    Args:
        name: Column of the event tables.
        section: Its section of the config.

    Raises:
        ArtifactMismatchError: The file has no such density.
        SchemaError: A coefficient is not above 0.

    Notes:
        With c_a the expected yields, this is the ln of expected signal over expected background. An event that lacks a
        feature has no score (NaN), and lies in no region that asks for it.
    """

    def __init__(self, name: str, section: ScoreConfig) -> None:
        self.name = name
        self.section = section
        known = (*self.ratio.numerators, self.ratio.reference)
        for part in (section.numerator, section.denominator):
            unknown = sorted(set(part) - set(known))
            if unknown:
                raise ArtifactMismatchError(
                    f"score {name}: densities {unknown}",
                    got=f"not in {section.model}",
                    expected=f"some of {list(known)}",
                    remedy="correct the names under `scores`",
                )
            wrong = {k: c for k, c in part.items() if not c > 0}
            if wrong:
                raise SchemaError(f"score {name}: coefficients", got=wrong, expected="numbers above 0", remedy="leave out what has none")

    @property
    def features(self) -> tuple[str, ...]:
        """Observables that the score needs."""
        return self.ratio.features

    @cached_property
    def ratio(self) -> OnnxRatio:
        """The opened file."""
        from toolkit.likelihood.onnx_ratio import OnnxRatio  # noqa: PLC0415  (only analyses with scores load onnxruntime)

        ratio = OnnxRatio(self.section.model, threads=1)
        if ratio.parameters:
            raise ArtifactMismatchError(
                f"score {self.name} from {self.section.model}",
                got=f"a network with parameters {list(ratio.parameters)}",
                expected="a network of observables alone",
                remedy="export it at fixed parameters",
            )
        return ratio

    def __call__(self, observables: Mapping[str, FloatArray]) -> FloatArray:
        """Evaluate the score.

        Args:
            observables: The features, each (n,), NaN where missing.

        Returns:
            (n,), NaN where a feature is missing.
        """
        x = self.ratio.columns({name: observables[name] for name in self.features})
        complete = ~np.any(np.isnan(x), axis=1)
        score = np.full(len(x), np.nan)
        score[complete] = log_score(
            self.ratio(x[complete]),
            self.ratio.numerators,
            numerator=self.section.numerator,
            denominator=self.section.denominator,
            reference=self.ratio.reference,
        )
        return score

    def __getstate__(self) -> dict[str, object]:
        """Pickle as name and section: worker processes open the file themselves."""
        return {"name": self.name, "section": self.section}


class Regions:
    """All scores and regions of an analysis, but for the regions that need a classifier: that is trained on the event tables.

    Args:
        config: The analysis.
        observables: Columns of the event tables.

    Raises:
        SchemaError: A region or score names an unknown observable, or takes the name of one.
    """

    def __init__(self, config: Config, *, observables: tuple[str, ...]) -> None:
        self.scores = tuple(Score(name, section) for name, section in config.scores.items())
        self.conditions = {name: Condition.parse(text) for name, text in config.conditions.items()}
        for what, made in (("scores", config.scores), ("classifiers", config.classifier_columns)):
            taken = sorted(set(made) & set(observables))
            if taken:
                raise SchemaError(what, got=f"names of observables {taken}", expected="names of their own", remedy=f"rename the {what}")
        known = {*observables, *config.scores}
        scored = sorted(set(condition_names(config.selection)) & set(config.scores))
        if scored:
            raise SchemaError(
                "selection.where",
                got=f"scores {scored}",
                expected="observables: scores are computed for selected events only",
                remedy="define a region with this condition",
            )
        wanted = [(f"score {s.name}", s.features, observables) for s in self.scores]
        wanted += [(f"region {name}", c.names, tuple(known)) for name, c in self.conditions.items()]
        scored_later = {name: Condition.parse(text) for name, text in config.scored_conditions.items()}
        wanted += [(f"region {name}", c.names, (*known, *config.classifier_columns)) for name, c in scored_later.items()]
        wheres = {name: Condition.parse(section.where) for name, section in config.classifiers.items() if section.where}
        wanted += [(f"classifier {name}", c.names, tuple(known)) for name, c in wheres.items()]
        for what, names, there in wanted:
            unknown = sorted(set(names) - set(there))
            if unknown:
                raise SchemaError(
                    f"observables of {what}",
                    got=f"no {unknown} in the event tables",
                    expected=f"some of {sorted(there)}",
                    remedy="correct the names, or add them to `observables` of the config",
                )

    def evaluate(self, observables: Mapping[str, FloatArray]) -> tuple[dict[str, FloatArray], dict[str, BoolArray]]:
        """Compute scores and regions of selected events.

        Args:
            observables: Each (n,), NaN where missing.

        Returns:
            Scores by name, (n,) with NaN where a feature is missing; and per region which events lie in it, (n,) bool.
        """
        scores = {s.name: s(observables) for s in self.scores}
        values = {**observables, **scores}
        return scores, {name: c.evaluate(values) for name, c in self.conditions.items()}


def condition_branches(config: Config) -> tuple[str, ...]:
    """Return the branches of the event tree that the condition of the selection names: what is no observable, column or score.

    Observables of the config's modules count once the modules are loaded.
    """
    known = {*OBSERVABLES, *config.columns, *config.scores, *config.classifier_columns}
    return tuple(name for name in condition_names(config.selection) if name not in known)


def region_observables(config: Config) -> tuple[str, ...]:
    """Return what regions, scores, classifiers and the condition of the selection need, once each.

    It is written whatever `observables` says; features of classifiers are those of `source_of`.
    """
    wheres = (section.where for section in config.classifiers.values() if section.where)
    conditions = (*config.conditions.values(), *config.scored_conditions.values(), *wheres)
    made = {*config.scores, *config.classifier_columns}
    names = [name for text in conditions for name in Condition.parse(text).names if name not in made]
    names += [
        o for region in config.regions.values() if region.histogram is not None for o in region.histogram.observables if o not in made
    ]
    names += [source_of(feature, config.fills) for section in config.classifiers.values() for feature in section.features]
    names += [source_of(name, config.fills) for section in config.classifiers.values() for name in section.decorrelated]
    branches = condition_branches(config)
    names += [name for name in condition_names(config.selection) if name not in branches]
    for name, section in config.scores.items():
        names += Score(name, section).features
    return tuple(dict.fromkeys(names))

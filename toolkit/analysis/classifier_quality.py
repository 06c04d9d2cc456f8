"""What the classifiers of an analysis are worth: each beside those with the same classes and events, on events that none of them saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.config import AnyClassifierConfig, Config
from toolkit.diagnostics.binning import share_edges
from toolkit.diagnostics.overlay import Overlay, WeightedSample, overlay
from toolkit.diagnostics.score_comparison import EFFICIENCIES, ScoreComparison, compare_scores
from toolkit.diagnostics.sculpting import Sculpting, sculpting
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents, hash_uniform

MASS_BINS = 10
"""Bins of an observable that a score is to know nothing of, of equal background, where no histogram of the config has edges."""


@dataclass(frozen=True)
class Question:
    """A class against the others, of the events of a condition.

    Attributes:
        names: Of the classes, that of the signal first.
        sums: Densities with coefficients of each, in the same order.
        where: The condition.
    """

    names: tuple[str, ...]
    sums: tuple[Mapping[str, float], ...]
    where: str

    @classmethod
    def of(cls, section: AnyClassifierConfig) -> Question | None:
        """Return the question that a classifier was trained for, its first class the signal; None for a local score."""
        if section.local_score is not None:
            return None
        parts = dict(section.classes) or {"signal": section.numerator, "background": section.denominator}
        return cls(tuple(parts), tuple(parts.values()), section.where)

    @property
    def key(self) -> tuple[str, ...]:
        """What makes scores comparable: names of the classes and the condition, not the densities behind the names."""
        return (*self.names, self.where)

    def about(self, name: str) -> Question:
        """Return the question with another class as the signal."""
        k = self.names.index(name)
        order = [k, *(j for j in range(len(self.names)) if j != k)]
        return Question(tuple(self.names[j] for j in order), tuple(self.sums[j] for j in order), self.where)

    def weights(self, events: SimulatedEvents) -> tuple[FloatArray, FloatArray]:
        """Return expected events under the signal, and under the sum of the others, (n,) each."""
        parts = [
            sum((c * events.weights[:, events.processes.index(n)] for n, c in part.items()), np.zeros(len(events))) for part in self.sums
        ]
        return parts[0], np.sum(parts[1:], axis=0)


def column_of(section: AnyClassifierConfig, name: str, signal: str) -> str:
    """Return the column of a classifier that is larger for a class."""
    return f"{name}_{signal}" if section.classes else name


def groups(config: Config) -> dict[tuple[str, ...], dict[str, Question]]:
    """Return the questions of the classifiers by name, those that are comparable together."""
    found: dict[tuple[str, ...], dict[str, Question]] = {}
    for name, section in config.classifiers.items():
        question = Question.of(section)
        if question is not None:
            found.setdefault(question.key, {})[name] = question
    return found


def compare_classifiers(config: Config, events: SimulatedEvents) -> tuple[ScoreComparison, ...]:
    """Compare all classifiers with the same names of classes and the same condition, with the first of each group.

    Args:
        config: The analysis.
        events: All simulated events with the scores among their observables, which are those of trainings that did not see the event.

    Returns:
        One comparison per group and class (of two classes the first alone). Where classes of the same names stand for other densities, such
        as those of two periods, one per choice of densities: every training is applied to the events of every other.
    """
    found = []
    for members in groups(config).values():
        distinct: dict[str, str] = {}  # densities as text, and the first classifier that has them
        for name, question in members.items():
            distinct.setdefault(str(question.sums), name)
        for first in distinct.values():
            question = members[first]
            signals = question.names if len(question.names) > 2 else question.names[:1]
            apart = f", densities of {first}" if len(distinct) > 1 else ""
            found += [_compared(config, events, tuple(members), question.about(signal), apart) for signal in signals]
    return tuple(found)


def _compared(config: Config, events: SimulatedEvents, members: Sequence[str], question: Question, apart: str) -> ScoreComparison:
    inside, (signal, background) = _inside(events, members, question, config), question.weights(events)
    scores = {name: events.observables[column_of(config.classifiers[name], name, question.names[0])][inside] for name in members}
    title = f"{question.names[0]} against {', '.join(question.names[1:])}{apart}"
    return compare_scores(scores, signal=signal[inside], background=background[inside], title=title, where=question.where)


def _inside(events: SimulatedEvents, members: Sequence[str], question: Question, config: Config) -> BoolArray:
    """Return the events with weight in a class that the scores are there for, (n,)."""
    signal, background = question.weights(events)
    there = np.all([np.isfinite(events.observables[column_of(config.classifiers[n], n, question.names[0])]) for n in members], axis=0)
    return np.asarray(there & ((signal != 0.0) | (background != 0.0)))


def sculpting_of_classifiers(config: Config, events: SimulatedEvents) -> tuple[Sculpting, ...]:
    """Measure what cuts on the scores do to the observables that one score of their group is to know nothing of.

    Args:
        config: The analysis; edges of a histogram of such an observable are taken, or bins of equal background.
        events: As for `compare_classifiers`.

    Returns:
        For every such observable one result per score of the group, its first class the signal.
    """
    found = []
    for members in groups(config).values():
        question = next(iter(members.values()))
        variables = dict.fromkeys(v for name in members for v in config.classifiers[name].decorrelated)
        inside, (signal, background) = _inside(events, tuple(members), question, config), question.weights(events)
        for variable in variables:
            own = inside & np.isfinite(events.observables[variable])
            values = events.observables[variable][own]
            edges = _edges(config, variable, values, background[own])
            for name in members:
                score = events.observables[column_of(config.classifiers[name], name, question.names[0])][own]
                found.append(
                    sculpting(
                        score,
                        values,
                        signal=signal[own],
                        background=background[own],
                        edges=edges,
                        kept=EFFICIENCIES,
                        name=name,
                        observable_name=variable,
                    )
                )
    return tuple(found)


def _edges(config: Config, variable: str, values: FloatArray, weights: FloatArray) -> FloatArray:
    for section in config.histograms.values():
        if section.observables == (variable,) and section.edges:
            return np.asarray(section.axes[0], dtype=np.float64)
    return share_edges(values, weights, bins=MASS_BINS)


def overlays_of(name: str, config: Config, unseen: FloatArray, seen: FloatArray, events: SimulatedEvents) -> tuple[Overlay, ...]:
    """Compare the score of events that a training saw with that of events that it did not see, under signal and background.

    Args:
        name: Of the classifier.
        config: The analysis.
        unseen: (n,) score of every event by the training without its fold.
        seen: (n,) by a training that saw it.
        events: The events that learn.

    Returns:
        Two comparisons; of every event one score enters, so that the two samples are independent.
    """
    question = Question.of(config.classifiers[name])
    assert question is not None
    half = hash_uniform(events.event_id, salt=f"{config.ratios.splits.salt}/overlay") < 0.5
    found = []
    for what, weights in zip((question.names[0], "others"), question.weights(events), strict=True):
        parts = ((score, own & np.isfinite(score) & (weights != 0.0)) for score, own in ((unseen, half), (seen, ~half)))
        samples = [WeightedSample(label, s[own], weights[own]) for label, (s, own) in zip(("not seen", "seen"), parts, strict=True)]
        found.append(
            overlay((samples[0], samples[1]), seed=1, title=what, score=column_of(config.classifiers[name], name, question.names[0]))
        )
    return tuple(found)

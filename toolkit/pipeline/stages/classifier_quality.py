"""Collects what the classifiers are worth, on events that none of their trainings saw."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.analysis.classifier_quality import Question, column_of, compare_classifiers, overlays_of, sculpting_of_classifiers
from toolkit.analysis.datasets import read_every
from toolkit.analysis.scores import Classifier, classifier_fold, learned_where
from toolkit.config import Config
from toolkit.diagnostics.overlay import Overlay
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.classifier_importance import importance_document
from toolkit.weights import SimulatedEvents


def quality_document(context: StageContext, training: SimulatedEvents) -> dict[str, Any]:
    """Compare the classifiers whose files and scores are in `work`.

    Args:
        context: The stage.
        training: Events that learn, without scores.

    Returns:
        Comparisons, overlays and importance by classifier, and what cuts do to observables, as JSON.
    """
    config = context.config
    events = read_every(context, scores=context.work)
    names = [name for name, section in config.classifiers.items() if Question.of(section) is not None]
    overlays, importance = {}, {}
    for done, name in enumerate(names, start=1):
        overlays[name] = [part.to_json() for part in _overlays(context, name, training)]
        if config.classifiers[name].importance != "none":
            own = (of_classes(config, name, part) for part in (training, events))
            importance[name] = importance_document(context, name, training=next(own), events=next(own))
        context.progress("classify | what the scores are worth", done, len(names) + 1)
    document = {
        "comparisons": [part.to_json() for part in compare_classifiers(config, events)],
        "overlays": overlays,
        "importance": importance,
        "sculpting": [part.to_json() for part in sculpting_of_classifiers(config, events)],
    }
    context.progress("classify | what the scores are worth", 1, 1)
    return document


def of_classes(config: Config, name: str, events: SimulatedEvents) -> SimulatedEvents:
    """Return the events that a classifier learns from: where its condition holds, and of some weight in a class.

    Others, of a counted on-shell signal say, teach nothing but the scale of features.
    """
    section = config.classifiers[name]
    columns = [events.processes.index(density) for density in section.densities or events.processes]
    inside = np.any(events.weights[:, columns] != 0.0, axis=1) & learned_where(section, events.observables, n_events=len(events))
    return events if inside.all() else events.select(inside)


def _overlays(context: StageContext, name: str, training: SimulatedEvents) -> tuple[Overlay, ...]:
    """Compare the scores of the training without the fold of an event with those of the training without the next fold, which saw it."""
    config, section = context.config, context.config.classifiers[name]
    classifier, fold = Classifier.read(context.work, name, section), classifier_fold(config, section, training.event_id)
    question = Question.of(section)
    assert question is not None
    column = column_of(section, name, question.names[0])
    unseen, seen = (
        classifier.columns(training.observables, fold=np.asarray(f, dtype=np.int8))[column] for f in (fold, (fold + 1) % section.folds)
    )
    return overlays_of(name, config, unseen, seen, training)

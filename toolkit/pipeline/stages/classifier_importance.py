"""Measures what the features of a classifier are worth: shuffled among the events, and left out of other trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from toolkit.analysis.classifier_quality import Question, column_of
from toolkit.analysis.layout import CLASSIFIERS
from toolkit.analysis.scores import Classifier, classifier_fold, outputs_of
from toolkit.config import AnyClassifierConfig
from toolkit.diagnostics.importance import Importance, permutation_importance
from toolkit.diagnostics.separation import PairedRatio, paired_rate_ratio, rate_at_efficiency
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.executors import executor_of
from toolkit.ratios import feature_matrix
from toolkit.ratios.classification import out_of_fold, train_classifier
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, hash_uniform
from toolkit.weights.beam_swap import declared_swaps
from toolkit.weights.missing import source_of

SHUFFLED_EVENTS = 20_000
"""Events on which shuffled features are evaluated, at most; of trees a quarter, whose evaluation takes longer."""
REPEATS = 3
METRIC = "significance at 60 %"


def feature_groups(section: AnyClassifierConfig, fills: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """Return what goes together: the groups of the section, and of the other features each by itself, a filled column with its flag.

    Examples:
        >>> from toolkit.config import ClassifierConfig
        >>> features = ("m4l", "phi", "m_jj_filled", "has_m_jj")
        >>> section = ClassifierConfig(features=features, numerator=["S"], denominator=["B"])
        >>> feature_groups(section, {"m_jj": 0.0})
        {'m4l': ('m4l',), 'phi': ('phi',), 'm_jj': ('m_jj_filled', 'has_m_jj')}
    """
    taken = {name for group in section.groups.values() for name in group}
    found: dict[str, tuple[str, ...]] = {name: tuple(group) for name, group in section.groups.items()}
    for name in section.features:
        if name not in taken:
            source = source_of(name, fills)
            found[source] = (*found.get(source, ()), name)
    return found


def importance_document(context: StageContext, name: str, *, training: SimulatedEvents, events: SimulatedEvents) -> dict[str, Any]:
    """Measure the features of one classifier.

    Args:
        context: The stage; the files of the classifier are in `work`.
        name: Of the classifier.
        training: Events that it learned from.
        events: Events that it has a score for, of some weight in a class.

    Returns:
        `shuffling`, and `removal` where the section asks for it: by group, N_s / sqrt(N_b) at 60 % of the signal without it over that with
        it, and the error of the pair.
    """
    section = context.config.classifiers[name]
    question = Question.of(section)
    assert question is not None
    column = section.columns(name).index(column_of(section, name, question.names[0]))
    document: dict[str, Any] = {"shuffling": _shuffled(context, name, events, question, column).to_json()}
    if section.importance == "removal":
        removed = _removed(context, name, training, events, question=question, column=column)
        document["removal"] = {group: [found.value, found.error] for group, found in removed.items()}
    return document


def _shuffled(context: StageContext, name: str, events: SimulatedEvents, question: Question, column: int) -> Importance:
    config, section = context.config, context.config.classifiers[name]
    trees = section.architecture == "boosted_trees"
    most = SHUFFLED_EVENTS // 4 if trees else SHUFFLED_EVENTS
    chosen = events.select(hash_uniform(events.event_id, salt=f"{config.ratios.splits.salt}/importance") < most / max(len(events), 1))
    classifier, fold = Classifier.read(context.work, name, section), classifier_fold(config, section, chosen.event_id)
    signal, background = question.weights(chosen)
    (found,) = permutation_importance(
        lambda x: classifier.evaluate(x, fold=fold)[:, column],
        feature_matrix(chosen.observables, section.features, missing=trees),
        features=section.features,
        metrics={METRIC: partial(rate_at_efficiency, signal=signal, background=background)},
        seed=section.seed,
        repeats=REPEATS,
        groups=feature_groups(section, config.fills),
        weights=signal + background,
    )
    return found


def _removed(
    context: StageContext, name: str, training: SimulatedEvents, events: SimulatedEvents, *, question: Question, column: int
) -> dict[str, PairedRatio]:
    section, groups = context.config.classifiers[name], feature_groups(context.config.classifiers[name], context.config.fills)
    signal, background = question.weights(events)
    whole = _trained_score(context, name, training, events, features=section.features)[:, column]
    found = {}
    for done, (group, members) in enumerate(groups.items(), start=1):
        rest = tuple(feature for feature in section.features if feature not in members)
        score = _trained_score(context, name, training, events, features=rest, folder=f"without_{group}")[:, column]
        found[group] = paired_rate_ratio(score, whole, signal=signal, background=background)
        context.progress(f"classify | {name}, features left out", done, len(groups))
    return found


def _trained_score(
    context: StageContext, name: str, training: SimulatedEvents, events: SimulatedEvents, *, features: Sequence[str], folder: str = ""
) -> FloatArray:
    """Return the columns of all events, (n, n_columns), by trainings on some features that did not see them; finished ones are read."""
    config, section = context.config, context.config.classifiers[name]
    place = CLASSIFIERS / name / folder if folder else CLASSIFIERS / name
    executor, workers = executor_of(context.executor, n_events=len(training))
    trained = train_classifier(
        training,
        config=section.model_copy(update={"features": tuple(features)}),
        fold=classifier_fold(config, section, training.event_id),
        folder=context.work / place,
        model=config.model,
        name=name,
        fold_beam_axis=config.ratios.fold_beam_axis,
        swaps=declared_swaps(config),
        threads=config.ratios.threads,
        device=config.ratios.device,
        executor=executor,
        workers=workers,
        former=[former / place for former in context.former],
    )
    fold = classifier_fold(config, section, events.event_id)
    logs = out_of_fold(trained, events, np.asarray(fold), missing=section.architecture == "boosted_trees")
    return outputs_of(section, logs, trained.classes)

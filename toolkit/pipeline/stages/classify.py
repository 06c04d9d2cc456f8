"""Stage `classify`: the classifiers of the config, trained out of fold, as ONNX files, and their scores of all events."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import numpy as np

from exports import write_onnx
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.features import describe_features
from toolkit.analysis.layout import CLASSIFIERS, CLASSIFIERS_REPORT
from toolkit.analysis.scores import classifier_file, classifier_fold, write_scores
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import Config
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.classifier_quality import of_classes, quality_document
from toolkit.pipeline.stages.executors import executor_of
from toolkit.ratios import feature_matrix
from toolkit.ratios.classification import REFERENCE, TrainedClassifier, train_classifier
from toolkit.typing import DETAIL, FloatArray, Progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.beam_swap import declared_swaps

ESTIMATOR = "classifier"
TREE_ROWS = 5_000
"""Rows on which a file of trees is compared with torch, about: comparing all would take longer than growing the trees."""
SCORE_ESTIMATOR, SCORE_REFERENCE = "sally", "none: the column is a score"


def run(context: StageContext) -> None:
    """Write `models/classifiers/` and `models/classifiers.json`; nothing where the config has no classifiers."""
    config = context.config
    if not config.classifiers:
        return
    training, test = read_simulation(context, scored=False)
    make_folder(context.work / CLASSIFIERS)
    trained = {}
    for name in config.classifiers:
        own, served = (of_classes(config, name, events) for events in (training, test))
        trained[name] = _train(context, name, own)
        _export(context, name, trained[name], training=own, test=served)
    write_scores(context)
    described = {name: _describe(t, config, name) for name, t in trained.items()}
    write_json(context.work / CLASSIFIERS_REPORT, {"schema": 3, "classifiers": described, **quality_document(context, training)})


def _train(context: StageContext, name: str, training: SimulatedEvents) -> TrainedClassifier:
    config = context.config
    section = config.classifiers[name]
    executor, workers = executor_of(context.executor, n_events=len(training))
    return train_classifier(
        training,
        config=section,
        fold=classifier_fold(config, section, training.event_id),
        folder=context.work / CLASSIFIERS / name,
        model=config.model,
        name=name,
        fold_beam_axis=config.ratios.fold_beam_axis,
        swaps=declared_swaps(config),
        threads=config.ratios.threads,
        device=config.ratios.device,
        progress=partial(_named, context.progress, name),
        executor=executor,
        workers=workers,
        former=[folder / CLASSIFIERS / name for folder in context.former],
    )


def _export(context: StageContext, name: str, trained: TrainedClassifier, *, training: SimulatedEvents, test: SimulatedEvents) -> None:
    """Write all networks and their mean, verified on the events that it serves: a fold, or all test events; trees on some of them."""
    config = context.config
    missing = config.classifiers[name].architecture == "boosted_trees"
    training_rows, test_rows = (feature_matrix(events.observables, trained.features, missing=missing) for events in (training, test))
    every = np.concatenate([training_rows, test_rows])
    fold = classifier_fold(config, config.classifiers[name], np.concatenate([training.event_id, test.event_id]))
    rows: dict[int | None, FloatArray] = {None: test_rows} | {k: every[fold == k] for k in range(len(trained.networks))}
    for done, (k, own) in enumerate(rows.items(), start=1):
        write_onnx(
            trained.network(k),
            context.work / classifier_file(name, k),
            features=describe_features(training, config, trained.features),
            numerators=trained.classes,
            reference=REFERENCE if trained.mixture else SCORE_REFERENCE,
            estimator=ESTIMATOR if trained.mixture else SCORE_ESTIMATOR,
            reference_rows=own[:: max(1, len(own) // TREE_ROWS)] if missing else own,
            ensemble_size=len(trained.networks) if k is None else 1,
            reference_mixture=trained.mixture,
            missing=missing,
        )
        context.progress(f"classify | {name}, ONNX files", done, len(rows))


def _describe(trained: TrainedClassifier, config: Config, name: str) -> dict[str, object]:
    section = config.classifiers[name]
    return {
        "features": list(trained.features),
        "architecture": section.architecture,
        "classes": list(trained.classes),
        **section.model_dump(mode="json", include={"numerator", "denominator", "classes", "local_score", "where"}, exclude_defaults=True),
        "members": [asdict(history) for history in trained.history],
    }


def _named(progress: Progress, name: str, label: str, done: float, total: float) -> None:
    """Say which classifier it is that trains."""
    text, _, detail = label.partition(DETAIL)
    progress(f"{text} {name}" + (f"{DETAIL}{detail}" if detail else ""), done, total)

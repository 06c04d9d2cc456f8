"""Scores of the classifiers that the pipeline trains: evaluated once, kept beside the event tables, joined to them when they are read.

A classifier is several networks, each trained without one fold of the training sample. Every event, simulated or data, nominal or varied,
has the score of the network without the fold of its number: none has seen it, and training sample, test sample and data have scores of one
distribution. (The mean of all networks is another score: its cut passes other shares of every process than the templates of the training
sample say.) Kept numbers make the same event belong to the same region in every stage and on every machine, which the last digit of a
network in single precision would not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.analysis.layout import CLASSIFIERS, EVENTS, SCORES
from toolkit.analysis.session import Session
from toolkit.artifacts.atomic import make_folder
from toolkit.artifacts.events import NOMINAL, EventTable, read_events, table_name, tables_of
from toolkit.config import AnyClassifierConfig, Config
from toolkit.errors import ArtifactMismatchError, InputFileError
from toolkit.expressions import Condition
from toolkit.likelihood import OnnxRatio
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import assign_fold
from toolkit.weights.missing import fill_missing
from toolkit.weights.scores import log_score

_IDENTITY = "event-identity"


def classifier_file(name: str, fold: int | None = None) -> Path:
    """Return the ONNX file of a classifier, relative to the output folder: the mean of all networks, or the one without a fold.

    Examples:
        >>> classifier_file("D_pre").as_posix(), classifier_file("D_pre", 0).as_posix()
        ('models/classifiers/D_pre.onnx', 'models/classifiers/D_pre/without_fold_0.onnx')
    """
    return CLASSIFIERS / (f"{name}.onnx" if fold is None else f"{name}/without_fold_{fold}.onnx")


def classifier_fold(config: Config, section: AnyClassifierConfig, event_id: NDArray[np.uint64]) -> NDArray[np.int8]:
    """Return the fold of each event for a classifier, (n,): by event number, independent of the folds of the density networks."""
    return assign_fold(event_id, n_folds=section.folds, salt=f"{config.ratios.splits.salt}/classifier")


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier: its networks as ONNX files.

    Attributes:
        name: Its name in the config.
        section: Its section of the config.
        without: The network that did not see a fold, by fold.
    """

    name: str
    section: AnyClassifierConfig
    without: tuple[OnnxRatio, ...]

    @classmethod
    def read(cls, folder: Path, name: str, section: AnyClassifierConfig) -> Classifier:
        """Open the files below an output folder.

        Raises:
            InputFileError, ArtifactMismatchError: A file is missing or damaged.
        """
        return cls(name, section, tuple(OnnxRatio(folder / classifier_file(name, k), threads=1) for k in range(section.folds)))

    def columns(self, observables: Mapping[str, FloatArray], *, fold: NDArray[np.int8]) -> dict[str, FloatArray]:
        """Compute the columns of the classifier: its score, or the probabilities of its classes.

        Args:
            observables: The features and what `where` names, each (n,); the former finite where the latter holds (trees take missing ones).
            fold: Fold of each event, (n,).

        Returns:
            Each (n,), NaN where `where` does not hold.

        Raises:
            SchemaError, PhysicsDomainError: A feature is missing, or missing in an event.
        """
        x = self.without[0].columns({name: observables[name] for name in self.section.features if name in observables})
        own = learned_where(self.section, observables, n_events=len(x))
        names = self.section.columns(self.name)
        values = np.full((len(x), len(names)), np.nan)
        values[own] = self.evaluate(x[own], fold=fold[own])
        return {name: values[:, j] for j, name in enumerate(names)}

    def evaluate(self, x: FloatArray, *, fold: NDArray[np.int8]) -> FloatArray:
        """Compute the columns from features, (n, n_features) -> (n, n_columns), whatever `where` says."""
        values = np.empty((len(x), len(self.section.columns(self.name))))
        for k, ratio in enumerate(self.without):
            chosen = fold == k
            values[chosen] = outputs_of(self.section, ratio(x[chosen]), ratio.numerators)
        return values


def outputs_of(section: AnyClassifierConfig, logs: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """Return the columns of a classifier, (n, n_columns), from log ratios to the equal mixture, or a local score.

    Args:
        section: Its section of the config.
        logs: What its trainings give, (n, n_classes).
        names: Of the classes, as the columns of `logs`.
    """
    if section.local_score is not None:
        return logs
    if section.classes:
        return np.asarray(np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)))
    return log_score(logs, names, numerator=section.numerator, denominator=section.denominator)[:, None]


def learned_where(section: AnyClassifierConfig, observables: Mapping[str, FloatArray], *, n_events: int) -> BoolArray:
    """Return the events that a classifier has a score for, (n_events,): those where its `where` holds, or all."""
    return Condition.parse(section.where).evaluate(observables) if section.where else np.ones(n_events, dtype=bool)


def write_scores(session: Session) -> None:
    """Evaluate all classifiers, of which the ONNX files are in `work`, on all event tables of `out`; write the scores to `work`.

    Raises:
        PhysicsDomainError: An event lacks a feature.
        InputFileError, ArtifactMismatchError: A file is missing or damaged.
    """
    config = session.config
    classifiers = [Classifier.read(session.work, name, section) for name, section in config.classifiers.items()]
    make_folder(session.work / SCORES)
    tables = [(s, variation) for s in config.samples for variation in tables_of(session.out / EVENTS, s.name)]
    for done, (sample, variation) in enumerate(tables, start=1):
        table = read_events(session.out / EVENTS, sample.name, variation=variation)
        observables = fill_missing(table.observables, config.observable_fills)
        arrays: dict[str, Any] = {}
        for c in classifiers:
            arrays |= c.columns(observables, fold=classifier_fold(config, c.section, table.event_id))
        arrays[_IDENTITY] = _identity(table)
        np.savez(session.work / score_file(sample.name, variation), **arrays)
        session.progress("scores", done, len(tables))


def score_file(sample: str, variation: str = NOMINAL) -> Path:
    """Return the file of the scores of an event table, relative to the output folder.

    Examples:
        >>> score_file("qqZZ", "jet_scale_up").as_posix()
        'models/classifiers/scores/qqZZ@jet_scale_up.npz'
    """
    return SCORES / f"{table_name(sample, variation)}.npz"


def add_scores(session: Session, table: EventTable, *, scores: Path | None = None) -> EventTable:
    """Return an event table with the scores of the config's classifiers among its observables.

    Args:
        session: Whose `out` holds scores and tables.
        table: What `read_events` returned, of any sample and variation.
        scores: Folder of a run that holds the scores, by default `session.out`.

    Raises:
        InputFileError: The scores are missing or damaged.
        ArtifactMismatchError: They are those of other events.
    """
    if not session.config.classifiers:
        return table
    own = table.variation if table.variation in tables_of(session.out / EVENTS, table.sample) else NOMINAL
    path = (session.out if scores is None else scores) / score_file(table.sample, own)
    remedy = "run `h4l classify` again"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = {name: np.asarray(file[name], dtype=np.float64) for name in session.config.classifier_columns}
            same = np.array_equal(file[_IDENTITY], _identity(table))
    except Exception as error:  # a damaged archive raises what numpy, zipfile or zlib like
        got = f"{type(error).__name__}: {error}"
        raise InputFileError(f"scores {path}", got=got, expected="a complete file of scores", remedy=remedy) from error
    if not same:
        what = f"scores {path}"
        raise ArtifactMismatchError(what, got="scores of other events", expected=f"those of the table {table.sample}", remedy=remedy)
    return replace(table, observables={**table.observables, **found})


def _identity(table: EventTable) -> NDArray[np.uint8]:
    """Hash which events a table holds, and in which order, (16,)."""
    digest = hashlib.blake2b(digest_size=16)
    for values in (table.event_id, table.file_index, table.entry):
        digest.update(np.ascontiguousarray(values).tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)

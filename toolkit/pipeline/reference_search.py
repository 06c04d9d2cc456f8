"""Search the point of the local scores of a config: an evaluation trains them there, and measures the region of their histogram.

The events are those of the training sample, each scored by the networks that did not see it: test events stay unseen by the choice.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.model import FitModel
from toolkit.analysis.reference_point import ReferencePoint, optimise_reference
from toolkit.analysis.regions import learned_events
from toolkit.analysis.score_volume import score_volume
from toolkit.analysis.scores import classifier_fold
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.hashing import stage_key
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import ClassifierConfig, Config
from toolkit.config.local_score import check_local_score
from toolkit.errors import SchemaError
from toolkit.pipeline.code import code_digest, module_digests
from toolkit.pipeline.lock import folder_lock
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.provenance import portable_config
from toolkit.pipeline.stamps import FOLDER, read_stamp
from toolkit.pipeline.unfinished import folder_of_key
from toolkit.ratios.classification import out_of_fold, train_classifier
from toolkit.typing import DETAIL, FloatArray, Progress, silent_progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.beam_swap import declared_swaps

REFERENCE = Path("reference.json")
UNFINISHED = Path(FOLDER) / "reference"
DECIDING = ("samples", "morphing", "parameter", "parameters", "processes", "regions", "classifiers", "fills")
"""Sections of the config on which a volume depends; of `ratios` what divides and folds events."""
MOST_SCORES = 2
EDGE = 0.01
"""Share of a range that is left out at an end where the score is infinite."""


@dataclass(frozen=True)
class SearchSettings:
    """How far the search goes.

    Args:
        initial: Random points after the truth.
        steps: Points that the Gaussian process chooses, at most.
        bins: Bins per score that expect about the same number of events.
        seed: Of the search; trainings keep the seeds of the config.
    """

    initial: int = 5
    steps: int = 10
    bins: int = 12
    seed: int = 0


def local_scores(config: Config) -> dict[str, ClassifierConfig]:
    """Return the classifiers of the config that are local scores.

    Raises:
        SchemaError: There is none, or more than a histogram has axes, or one learns from some of the events.
    """
    found = {
        name: section
        for name, section in config.classifiers.items()
        if isinstance(section, ClassifierConfig) and section.local_score is not None
    }
    if not 1 <= len(found) <= MOST_SCORES:
        name = config.model.interest[0].name
        raise SchemaError(
            "classifiers",
            got=f"{len(found)} with `local_score`",
            expected="one or two, whose histogram is fitted",
            remedy=f"add `NAME: {{features: [...], local_score: {{parameter: {name}}}}}`" if not found else "leave the others out",
        )
    conditioned = [name for name, section in found.items() if section.where]
    if conditioned:
        raise SchemaError(
            f"classifiers {conditioned}",
            got="a local score of the events of `where`",
            expected="all selected events",
            remedy="leave `where` out",
        )
    return found


def search_reference(
    config: Config, out: Path, *, settings: SearchSettings | None = None, progress: Progress = silent_progress
) -> ReferencePoint:
    """Search the point of the local scores with the smallest expected 95 % region, and write `reference.json`.

    Args:
        config: An analysis with local scores; their own points are not looked at.
        out: Output folder with its event tables; finished evaluations are kept there until the search has ended.
        settings: How far it goes.
        progress: Told how far it is.

    Returns:
        The best point and all that were tried, the truth first.

    Raises:
        SchemaError, MissingExtraError, InputFileError, PhysicsDomainError, FitError: The config has no local score, a library or the
            event tables are missing, or a training failed.
    """
    settings = settings or SearchSettings()
    sections = local_scores(config)
    ranges = search_ranges(config, sections)
    context = StageContext(config=config, out=out, work=out, key="", progress=progress)
    with folder_lock(make_folder(out / FOLDER) / "lock"):
        folder = folder_of_key(out / UNFINISHED, _key(config, out, settings.bins))
        training = learned_events(config, read_simulation(context, scored=False)[0])
        evaluations = _Evaluations(config, training, sections, settings, folder, progress)
        truth = FitModel.of(config).truth
        start = [{name: truth[name] for name in ranges}]
        found = optimise_reference(
            evaluations.volume, ranges, start=start, n_initial=settings.initial, n_steps=settings.steps, seed=settings.seed
        )
        write_json(out / REFERENCE, {"schema": 1, "classifiers": list(sections), "bins": settings.bins, **found.to_json()})
        shutil.rmtree(folder.parent, ignore_errors=True)
    return found


def search_ranges(config: Config, sections: Mapping[str, ClassifierConfig]) -> dict[str, tuple[float, float]]:
    """Return where the point is looked for: the allowed ranges of the parameters of interest, but for ends at which a score is infinite."""
    ranges = {}
    for parameter in config.model.interest:
        low, high = parameter.range
        width = high - low
        for name, section in sections.items():
            if section.local_score is None:
                continue
            try:
                at = {parameter.name: low}
                check_local_score(name, section.local_score.model_copy(update={"at": at}), config.model)
            except ValueError:
                low = parameter.range[0] + EDGE * width
        ranges[parameter.name] = (low, high)
    return ranges


@dataclass
class _Evaluations:
    """Trains the scores at a point and measures the region of their histogram; finished points are read again."""

    config: Config
    training: SimulatedEvents
    sections: Mapping[str, ClassifierConfig]
    settings: SearchSettings
    folder: Path
    progress: Progress
    done: int = 0

    def volume(self, point: Mapping[str, float]) -> float:
        self.done += 1
        networks = self.folder / "networks"
        found = FinishedTasks(self.folder / "tasks").result(json.dumps(dict(point)), lambda: {"volume": self._measured(point, networks)})
        shutil.rmtree(networks, ignore_errors=True)
        return float(found["volume"])

    def _measured(self, point: Mapping[str, float], folder: Path) -> float:
        scores = [self._score(name, section, point, folder / name) for name, section in self.sections.items()]
        return score_volume(scores, self.training, FitModel.of_model(self.config.model.learned), bins=self.settings.bins)

    def _score(self, name: str, section: ClassifierConfig, point: Mapping[str, float], folder: Path) -> FloatArray:
        config, training = self.config, self.training
        fold = classifier_fold(config, section, training.event_id)
        local = section.local_score
        trained = train_classifier(
            training,
            config=section.model_copy(update={"local_score": None if local is None else local.model_copy(update={"at": dict(point)})}),
            fold=fold,
            folder=folder,
            model=config.model.learned,
            name=name,
            fold_beam_axis=config.ratios.fold_beam_axis,
            swaps=declared_swaps(config),
            threads=config.ratios.threads,
            device=config.ratios.device,
            progress=self._told,
        )
        return np.asarray(out_of_fold(trained, training, fold)[:, 0])

    def _told(self, label: str, done: float, total: float) -> None:
        """Say at which point a training is."""
        text, _, detail = label.partition(DETAIL)
        where = f"point {self.done} of at most {1 + self.settings.initial + self.settings.steps}, {text}"
        self.progress(where + (f"{DETAIL}{detail}" if detail else ""), done, total)


def _key(config: Config, out: Path, bins: int) -> str:
    """Hash what an evaluation depends on."""
    document = portable_config(config)
    stamp = read_stamp(out, "process")
    ratios = {key: document["ratios"][key] for key in ("splits", "fold_beam_axis", "threads")}
    parts = {name: document[name] for name in DECIDING if name in document} | {"ratios": ratios, "bins": bins}
    return stage_key({"config": parts, "events": "" if stamp is None else stamp.key, "code": code_digest(module_digests([__name__]))})

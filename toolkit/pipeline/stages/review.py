"""Collects what the review of the networks needs: the exported file, the out-of-bag values and those that the export kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from toolkit.analysis.layout import INSPECTION, OUT_OF_BAG
from toolkit.analysis.methods import ScoreColumns, score_columns, signal_score
from toolkit.analysis.regions import whole_densities
from toolkit.analysis.theta import learned_by_theta
from toolkit.config import Config
from toolkit.diagnostics.review import EnsembleUnderReview, ReviewSettings
from toolkit.diagnostics.suite import EstimateUnderTest
from toolkit.errors import ArtifactMismatchError, InputFileError
from toolkit.likelihood import OnnxRatio
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.model import Model, learned_densities
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents


@dataclass(frozen=True, eq=False)
class StoredRatios:
    """Log ratios (n, n_processes) that earlier stages kept; see `EnsembleUnderReview`."""

    before_calibration: FloatArray
    test_by_part: FloatArray
    in_sample: FloatArray
    out_of_bag: FloatArray
    out_of_bag_before: FloatArray


def read_stored(out: Path, *, training: SimulatedEvents, test: SimulatedEvents) -> StoredRatios:
    """Read the log ratios of training and export.

    Args:
        out: The output folder.
        training: Training events.
        test: Test events.

    Raises:
        InputFileError: A file is missing or damaged.
        ArtifactMismatchError: It is of other events.
    """
    kept = _read(
        out / INSPECTION, ("before_calibration", "test_by_part", "in_sample"), {"test_event_id": test, "training_event_id": training}
    )
    bagged = _read(out / OUT_OF_BAG, ("log_ratio", "before_calibration"), {"event_id": training})
    return StoredRatios(**kept, out_of_bag=bagged["log_ratio"], out_of_bag_before=bagged["before_calibration"])


def _read(path: Path, names: tuple[str, ...], events: dict[str, SimulatedEvents]) -> dict[str, FloatArray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            content = {name: stored[name] for name in (*names, *events)}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        remedy = "run `h4l run`, which makes what is missing"
        raise InputFileError(f"{path}", got=str(error), expected="a complete file of this version", remedy=remedy) from error
    for name, expected in events.items():
        if not np.array_equal(content[name], expected.event_id):
            raise ArtifactMismatchError(
                f"{name} of {path}", got=f"{len(content[name])} events", expected=f"the {len(expected)} of this run", remedy="train again"
            )
    return {name: np.asarray(content[name], dtype=np.float64) for name in names}


def ensemble_under_review(
    config: Config, estimate: EstimateUnderTest, ratio: OnnxRatio, *, training: SimulatedEvents, stored: StoredRatios
) -> EnsembleUnderReview:
    """Put the exported networks and the kept log ratios together."""
    x = ratio.columns(estimate.events.observables)
    theta = isinstance(ratio, RatioAtPoints)
    columns = ((len(ratio.numerators) - 1,), (0,)) if theta else whole_columns(config.model.learned)
    training = learned_by_theta(config, training)
    return EnsembleUnderReview(
        estimate=estimate,
        before_calibration=stored.before_calibration,
        test_by_part=stored.test_by_part,
        training=training,
        in_sample=stored.in_sample,
        out_of_bag=stored.out_of_bag,
        out_of_bag_before=stored.out_of_bag_before,
        spread=ratio.spread(x) if ratio.has_spread else np.zeros_like(estimate.log_ratios),
        n_members=ratio.metadata.ensemble_size,
        model=ratio,
        x=x,
        score=lambda log_ratios: signal_score(log_ratios, training.yields, columns=columns),
        histograms=config.histograms_of_one,
        score_bins=config.score_histogram.bins,
    )


def whole_columns(model: Model) -> ScoreColumns:
    """Return the columns of signal and of background among the whole densities, before any process is split into parts."""
    whole = whole_densities(model)
    names = [d.name for component in model.components for d in learned_densities(component.process)]
    signal, background = (tuple(dict.fromkeys(whole.index(names[j]) for j in part)) for part in score_columns(model))
    return signal, background


def review_settings(config: Config) -> ReviewSettings:
    """Take the settings from the config."""
    report = config.report
    return ReviewSettings(
        importance_events=report.importance_events,
        importance_repeats=report.importance_repeats,
        importance_groups=report.importance_groups,
        seed=report.seed,
    )

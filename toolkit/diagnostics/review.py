"""What the networks learned: calibration before and after, train against test, ensemble spread, figures of merit, importance.

`toolkit.diagnostics.suite` tests the ratios that the likelihood uses; this looks at how they came about. One call, frozen results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import share_edges
from toolkit.diagnostics.calibration import CalibrationCurve, calibration_from_weights
from toolkit.diagnostics.edges import observable_edges
from toolkit.diagnostics.importance import Importance, Model, permutation_importance
from toolkit.diagnostics.information import information_bound, log_rate_ratio
from toolkit.diagnostics.merit import Merit, MeritWeights
from toolkit.diagnostics.merit_rows import MeritRow, merit_row
from toolkit.diagnostics.normalisation import Normalisation, normalisation
from toolkit.diagnostics.overlay import Overlay, WeightedSample, overlay
from toolkit.diagnostics.reweighting import reference_fractions
from toolkit.diagnostics.separation import auc
from toolkit.diagnostics.serialise import jsonable
from toolkit.diagnostics.spread import SpreadProfile, spread_profile
from toolkit.diagnostics.suite import EstimateUnderTest
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights.simulation import SimulatedEvents
from toolkit.weights.splits import hash_uniform

NETWORK_SCORE = "score of the networks"


@dataclass(frozen=True)
class ReviewSettings:
    """How much work goes into the importance.

    Attributes:
        importance_events: Test events that are shuffled, about; 0 leaves the importance out.
        importance_repeats: Shuffles per feature.
        importance_groups: Groups of features that are shuffled together, besides every feature alone.
        seed: Seed of shuffles and simulated distances.
    """

    importance_events: int = 10_000
    importance_repeats: int = 3
    importance_groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seed: int = 1


@dataclass(frozen=True, eq=False)
class EnsembleUnderReview:
    """The ensemble in all the ways in which it was evaluated.

    Attributes:
        estimate: Test events with the calibrated log ratios of all members, and the model of the analysis.
        before_calibration: Test events, all members, without the calibration, (n_test, n_processes).
        test_by_part: Test events, calibrated, as many members per event as for the training events, (n_test, n_processes).
        training: Events that trained the networks and fitted the calibration.
        in_sample: Training events, members that trained on them, calibrated, (n_training, n_processes).
        out_of_bag: Training events, members that did not, calibrated on these events, (n_training, n_processes).
        out_of_bag_before: The same without the calibration.
        spread: Test events, standard deviation over the members, (n_test, n_processes).
        n_members: Size of the ensemble.
        model: The exported networks: features (n, n_features) -> log ratios (n, n_processes).
        x: Features of the test events, (n_test, n_features).
        score: Log ratios (n, n_processes) -> score (n,) of signal against backgrounds.
        histograms: Observable and edges of every histogram that is fitted, by name.
        score_bins: Number of bins of the score.
    """

    estimate: EstimateUnderTest
    before_calibration: FloatArray
    test_by_part: FloatArray
    training: SimulatedEvents
    in_sample: FloatArray
    out_of_bag: FloatArray
    out_of_bag_before: FloatArray
    spread: FloatArray
    n_members: int
    model: Model
    x: FloatArray
    score: Callable[[FloatArray], FloatArray]
    histograms: Mapping[str, tuple[str, FloatArray]] = field(default_factory=dict)
    score_bins: int = 30


@dataclass(frozen=True, eq=False)
class Review:
    """The results, in the order of the report.

    Attributes:
        calibrations: Of every process against the reference, before and after the calibration, test events.
        normalisations: E_ref[r] by what it was evaluated on: "test, before", "test, after", "out of bag, before", "out of bag, after".
        overlays: Score of test, in-sample and out-of-bag events, for every process.
        spread: Ensemble spread; None for a single network.
        merits: Figures of merit of the rate, every histogram's observable and the networks' score.
        importances: Permutation importance, one per figure of merit; empty if left out.
        importance_events: Test events that were shuffled.
        problems: Checks that could not be made, and why.
    """

    calibrations: tuple[tuple[CalibrationCurve, CalibrationCurve], ...]
    normalisations: Mapping[str, Normalisation]
    overlays: tuple[Overlay, ...]
    spread: SpreadProfile | None
    merits: tuple[MeritRow, ...]
    importances: tuple[Importance, ...]
    importance_events: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary numbers as a JSON object, for results.json."""
        return {
            "normalisation": {name: result.to_json() for name, result in self.normalisations.items()},
            "calibration": [
                {
                    "process": after.numerator,
                    "before": {**before.test.to_json(), "mean_residual": jsonable(before.mean_residual)},
                    "after": {**after.test.to_json(), "mean_residual": jsonable(after.mean_residual)},
                }
                for before, after in self.calibrations
            ],
            "train_test": [
                {"process": o.title, "samples": list(o.names[1:]), "chi2": [c.to_json() for c in o.chi2], "ks": [k.to_json() for k in o.ks]}
                for o in self.overlays
            ],
            "merits": [row.to_json() for row in self.merits],
            "importance": [result.to_json() for result in self.importances],
            "spread": None if self.spread is None else self.spread.to_json(),
            "problems": list(self.problems),
        }


def review(subject: EnsembleUnderReview, *, settings: ReviewSettings | None = None, progress: Progress = silent_progress) -> Review:
    """Make all comparisons.

    Args:
        subject: The ensemble, evaluated on test and training events.
        settings: How much work goes into the importance.
        progress: Told how far the importance is.

    Returns:
        The results; a check that the events do not allow (a negative density, an empty bin) is a problem in words, not an error.
    """
    chosen = settings or ReviewSettings()
    problems: list[str] = []
    estimate = subject.estimate
    alternative = _other(estimate)
    return Review(
        calibrations=_attempt(problems, "calibration before and after", lambda: _calibrations(subject)) or (),
        normalisations=_normalisations(subject),
        overlays=_attempt(problems, "train against test", lambda: _overlays(subject, chosen.seed)) or (),
        spread=_attempt(problems, "ensemble spread", lambda: _spread(subject)),
        merits=tuple(
            row
            for name in (("rate", *subject.histograms, NETWORK_SCORE) if estimate.benchmarks is not None else ())
            if (row := _attempt(problems, f"figures of merit of {name}", lambda name=name: _merits(subject, name)))  # type: ignore[misc]
        ),
        importances=_attempt(problems, "importance", lambda: _importance(subject, chosen, alternative, progress)) or (),
        importance_events=int(_subsample(subject, chosen).sum()),
        problems=tuple(problems),
    )


def _other(estimate: EstimateUnderTest) -> float:
    """Return the value that the truth is compared with: the lower end of the range, or the upper one where the truth is the lower."""
    low, high = estimate.range
    return low if low != estimate.truth else high


def _attempt(problems: list[str], what: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (PhysicsDomainError, SchemaError) as error:
        problems.append(f"{what}: {error.what}, got {error.got}, expected {error.expected}")
        return None


def _calibrations(subject: EnsembleUnderReview) -> tuple[tuple[CalibrationCurve, CalibrationCurve], ...]:
    events = subject.estimate.events
    w_ref = (events.weights / events.yields) @ reference_fractions(events, subject.estimate.reference)

    def curve(log_ratios: FloatArray, j: int) -> CalibrationCurve:
        name = events.processes[j]
        return calibration_from_weights(
            log_ratios[:, j], numerator_weights=events.weights[:, j], denominator_weights=w_ref, numerator=name, denominator="reference"
        )

    return tuple((curve(subject.before_calibration, j), curve(subject.estimate.log_ratios, j)) for j in range(len(events.processes)))


def _normalisations(subject: EnsembleUnderReview) -> dict[str, Normalisation]:
    reference, test = subject.estimate.reference, subject.estimate.events
    found = {
        "test, before": (test, subject.before_calibration),
        "test, after": (test, subject.estimate.log_ratios),
        "out of bag, before": (subject.training, subject.out_of_bag_before),
        "out of bag, after": (subject.training, subject.out_of_bag),
    }
    return {name: normalisation(events, log_ratios, reference=reference) for name, (events, log_ratios) in found.items()}


def _overlays(subject: EnsembleUnderReview, seed: int) -> tuple[Overlay, ...]:
    test, training = subject.estimate.events, subject.training
    scores = [
        ("test", test, subject.test_by_part),
        ("trained on", training, subject.in_sample),
        ("out of bag", training, subject.out_of_bag),
    ]
    values = [(name, events, subject.score(log_ratios)) for name, events, log_ratios in scores]
    overlays = []
    for j, process in enumerate(test.processes):
        used = [(name, events.weights[:, j] != 0, events, s) for name, events, s in values]
        samples = tuple(WeightedSample(name, s[here], events.weights[here, j]) for name, here, events, s in used)
        overlays.append(overlay(samples, seed=seed + j, title=process, score=r"score $\ln\,p_S\,/\,\Sigma\,\nu_b\,p_b$"))
    return tuple(overlays)


def _spread(subject: EnsembleUnderReview) -> SpreadProfile | None:
    events = subject.estimate.events
    if subject.n_members < 2:
        return None
    name = "m4l" if "m4l" in events.observables else subject.estimate.features[0]
    edges = subject.estimate.edges.get(name)
    grid = observable_edges(events, name) if edges is None else np.asarray(edges)
    return spread_profile(events, subject.spread, observable=name, edges=grid, n_members=subject.n_members)


def merit_weights(events: SimulatedEvents, *, benchmarks: tuple[str, str, str], backgrounds: Sequence[str]) -> MeritWeights:
    """Take S, SVI, V and B2 from the weights of simulated events."""
    column = {name: events.weights[:, j] for j, name in enumerate(events.processes)}
    signal, both, background = (column[name] for name in benchmarks)
    others = np.sum([column[name] for name in backgrounds], axis=0) if backgrounds else np.zeros(len(events))
    return MeritWeights(signal, both, background, others)


def _merits(subject: EnsembleUnderReview, name: str) -> MeritRow:
    estimate = subject.estimate
    events, benchmarks = estimate.events, _benchmarks(estimate)
    if name == "rate":
        score, edges, ordered = np.zeros(len(events)), np.array([-0.5, 0.5]), False
    elif name == NETWORK_SCORE:
        training_score, signal = subject.score(subject.out_of_bag), subject.training.processes.index(benchmarks[0])
        score, ordered = subject.score(estimate.log_ratios), True
        edges = share_edges(training_score, subject.training.weights[:, signal], bins=subject.score_bins)
    else:
        observable, edges = subject.histograms[name]
        score, ordered = events.observables[observable], True
    weights = merit_weights(events, benchmarks=benchmarks, backgrounds=estimate.backgrounds)
    return merit_row(name, score, weights, edges=edges, ordered=ordered)


def _benchmarks(estimate: EstimateUnderTest) -> tuple[str, str, str]:
    if estimate.benchmarks is None:
        raise SchemaError("benchmarks", got="a model without S, SBI and B", expected="one signal that interferes with one background")
    return estimate.benchmarks


def _information(
    estimate: EstimateUnderTest, alternative: float, here: Any = slice(None), factor: float = 1.0
) -> Callable[[FloatArray], Merit]:
    coefficients = estimate.coefficients(np.array([estimate.truth, alternative]))
    weights = [factor * estimate.events.weights_at(f)[here] for f in coefficients]
    shares = [f * estimate.yields for f in coefficients]

    def metric(log_ratios: FloatArray) -> Merit:
        ratio = log_rate_ratio(log_ratios, numerator=shares[0], denominator=shares[1])
        return information_bound(ratio, numerator_weights=weights[0], denominator_weights=weights[1])

    return metric


def _subsample(subject: EnsembleUnderReview, settings: ReviewSettings) -> Any:
    events = subject.estimate.events
    return hash_uniform(events.event_id, salt="importance") < settings.importance_events / len(events)


def _importance(subject: EnsembleUnderReview, settings: ReviewSettings, alternative: float, progress: Progress) -> tuple[Importance, ...]:
    here, estimate = _subsample(subject, settings), subject.estimate
    if settings.importance_events <= 0 or not here.any():
        return ()
    factor = max(1.0, len(here) / settings.importance_events)
    some = estimate.events.select(here).scaled(factor)
    metrics = {f"t({alternative:g})": _information(estimate, alternative, here, factor)}
    if estimate.further:
        metrics = {
            f"t({one.parameter} = {_other(one):g})": _information(one, _other(one), here, factor) for one in (estimate, *estimate.further)
        }
    if estimate.benchmarks is not None:
        weights = merit_weights(some, benchmarks=estimate.benchmarks, backgrounds=estimate.backgrounds)
        metrics["AUC"] = lambda found: auc(subject.score(found), signal=weights.signal, background=weights.all_background)
    return permutation_importance(
        subject.model,
        subject.x[here],
        features=estimate.features,
        metrics=metrics,
        seed=settings.seed,
        repeats=settings.importance_repeats,
        groups={**{name: (name,) for name in estimate.features}, **settings.importance_groups},
        weights=some.weights_at(estimate.coefficients(np.array([estimate.truth]))[0]),
        progress=progress,
    )

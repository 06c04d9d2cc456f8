"""Cross-fits: every simulated event is data once, under networks, calibration, yields and templates that never saw it.

With K folds, nu_k the yields and q_k the densities that come from the folds other than k,

    -2 ln L = sum_k [ 2 nu_k / K - 2 sum_{i in k} w_i ln q_k(x_i) ]

The yields of all but one fold, at K / (K - 1) times their weights, have the yields nu of all events as their mean over k. So an unbinned
likelihood of all events with yields nu and, for every event, the density of the ensemble without its fold is the cross-fit, and a histogram
is one with the bins of every fold side by side, each expecting 1/K of the templates of the other folds. Nothing else of a fit changes.

An event is data of one fold and part of what the densities of the others are made of. If it happens n times in place of once, the slope
of -2 ln L at the truth changes to first order by

    -2 (n - 1) w [ s_k(x) - mean over the other folds j of s_j(x) ],     s = d ln q / d theta,

because a calibration reproduces the expectation of its own score on its events: what it adds as data it takes away as model. Errors of
best fits come from this sum over all events.

Data are in no fold. They are fitted with the whole ensemble, and with the yields and templates of all simulated events,
which are the means over the folds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.analysis.datasets import Events
from toolkit.analysis.layout import FOLDS
from toolkit.analysis.methods import BinnedMethod, FoldTemplates, Method, UnbinnedMethod
from toolkit.config import Config
from toolkit.config.ratios import SplitConfig
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import OnnxRatio, UnbinnedLikelihood
from toolkit.typing import FloatArray, IntArray
from toolkit.weights import SimulatedEvents, assign_fold


def cross_fit_notes(config: Config, events: SimulatedEvents) -> tuple[str, ...]:
    """Say what the test events of a cross-fit are; nothing where test events are set aside."""
    splits = config.ratios.splits
    if not splits.cross_fit:
        return ()
    text = (
        f"cross-fit: all {len(events)} simulated events are test events, the data of expected fits, closure tests and diagnostics, each "
        f"once, out of fold: under the networks, calibration, templates and yields of the {splits.folds - 1} of {splits.folds} folds that "
        "it is not in. Importance and spread of the networks, and data, take all networks"
    )
    return (text,)


class CrossFitRatio(OnnxRatio):
    """The whole ensemble of a cross-fit, and beside it the ensembles without a fold.

    Args:
        path: ONNX file of the whole ensemble, `models/mixture.onnx`.
        splits: Number of folds, and the key of their hash.

    Attributes:
        without: The ensembles without a fold, by fold.
    """

    def __init__(self, path: str | Path, *, splits: SplitConfig) -> None:
        super().__init__(path)
        self.splits = splits
        self.without = tuple(OnnxRatio(fold_file(self.path.parent, k)) for k in range(splits.folds))

    def of_events(self, events: SimulatedEvents) -> FloatArray:
        """Compute the log ratios of simulated events, each from the ensemble without its fold, (n, n_numerators)."""
        x, fold = self.columns(events.observables), fold_of(events, self.splits)
        found = np.empty((len(x), len(self.numerators)))
        for k, ratio in enumerate(self.without):
            found[fold == k] = ratio(x[fold == k])
        return found

    def __reduce__(self) -> tuple[Callable[..., CrossFitRatio], tuple[Path]]:
        """Pickle as path and folds: worker processes open the files again."""
        return (functools.partial(CrossFitRatio, splits=self.splits), (self.path,))


def fold_file(folder: Path, fold: int) -> Path:
    """Return the ONNX file of the ensemble without a fold, below the folder of the whole one.

    Examples:
        >>> fold_file(Path("models"), 2).as_posix()
        'models/folds/without_fold_2.onnx'
    """
    return folder / FOLDS.name / f"without_fold_{fold}.onnx"


def log_ratios_of(ratio: OnnxRatio, events: Events) -> FloatArray:
    """Evaluate exported networks on events: in a cross-fit simulated ones under the networks that never saw them, (n, n_numerators)."""
    if isinstance(ratio, CrossFitRatio) and isinstance(events, SimulatedEvents):
        return ratio.of_events(events)
    return ratio(ratio.columns(events.observables))


def fold_of(events: SimulatedEvents, splits: SplitConfig) -> IntArray:
    """Return the fold of every event, (n_events,)."""
    return assign_fold(events.event_id, n_folds=splits.folds, salt=splits.salt).astype(np.int64)


def cross_fitted(
    methods: Sequence[Method], events: SimulatedEvents, config: Config, *, in_calibration: FloatArray | None = None
) -> tuple[Method, ...]:
    """Turn methods of all events, as data and as model, into cross-fits; without `ratios.splits.cross_fit` return them as they are.

    Args:
        methods: Their templates and yields are those of all events.
        events: All events, with the densities that are fitted.
        config: Says how many folds there are.
        in_calibration: Log ratios of the events as part of what the other folds are calibrated on, (n_events, n_densities); of unbinned
            methods only.
    """
    splits = config.ratios.splits
    if not splits.cross_fit:
        return tuple(methods)
    fold = fold_of(events, splits)
    return tuple(_crossed(method, events, fold, splits.folds, in_calibration) for method in methods)


def _crossed(method: Method, events: SimulatedEvents, fold: IntArray, n_folds: int, in_calibration: FloatArray | None) -> Method:
    if isinstance(method, BinnedMethod):
        folds = fold_templates(method.index, events.weights, fold, n_bins=method.n_bins, n_folds=n_folds)
        filled = replace(method, folds=folds)
        empty = np.setdiff1d(filled.place, np.flatnonzero(np.any(folds.expected != 0.0, axis=0)))
        if len(empty):
            raise PhysicsDomainError(
                f"histogram {method.name} in a cross-fit",
                got=f"{len(empty)} bins with events of one fold alone, such as bin {empty[0] % method.n_bins}",
                expected="events of other folds in every bin that has any: they are its templates",
                remedy="take fewer bins (`least_expected` merges poor ones), more simulated events, or leave `cross_fit` out",
            )
        return filled
    if not isinstance(method, UnbinnedMethod) or in_calibration is None:
        raise SchemaError(
            f"cross-fit of {method.name}", got=type(method).__name__, expected="a histogram, or an unbinned method of densities"
        )
    base = method.base
    others = UnbinnedLikelihood(
        log_ratios=in_calibration,
        weights=np.ones(len(events)),
        yields=base.yields,
        coefficients=base.coefficients.coefficients.texts,
        parameters=base.parameters,
        event_ids=events.event_id,
    )
    return replace(method, training=others, crossed=True)


def fold_templates(index: IntArray, weights: FloatArray, fold: IntArray, *, n_bins: int, n_folds: int) -> FoldTemplates:
    """Fill the templates without each fold, at the full luminosity.

    Args:
        index: Bin of every event, (n_events,).
        weights: Weights under every process, (n_events, n_processes).
        fold: Fold of every event, (n_events,).
        n_bins: Number of bins.
        n_folds: Number of folds.

    Examples:
        Two folds expect each other's events, twice:

        >>> found = fold_templates(np.array([0, 0, 1]), np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 1]), n_bins=2, n_folds=2)
        >>> found.values.tolist()
        [[[4.0, 8.0]], [[2.0, 0.0]]]
    """
    place, n = fold * n_bins + index, n_folds * n_bins
    own = np.array([np.bincount(place, weights=w, minlength=n) for w in weights.T]).reshape(weights.shape[1], n_folds, n_bins)
    others = (own.sum(axis=1, keepdims=True) - own) * (n_folds / (n_folds - 1))
    return FoldTemplates(np.ascontiguousarray(others.transpose(1, 0, 2)), fold)

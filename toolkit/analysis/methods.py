"""The methods that a run compares: the count, histograms, and the unbinned fit, behind one interface.

A method keeps what it needs to know of every event, which is its bin or its densities. Given weights of the events it builds a likelihood
(an Asimov set at any truth is nothing but other weights), and it resamples the events for the errors of the finite simulation.
`for_events` gives the method for other events, such as the observed data: its templates, yields and networks stay the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from toolkit.analysis.datasets import Events
from toolkit.analysis.model import FitModel
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.expressions.substitution import substitute
from toolkit.likelihood import (
    BinnedLikelihood,
    Bootstrap,
    Likelihood,
    Templates,
    UnbinnedLikelihood,
    bin_index,
    bootstrap_binned,
    bootstrap_crossed,
    bootstrap_unbinned,
    fill_templates,
    quantile_edges,
)
from toolkit.likelihood.multiplicities import Draws, poisson_draws
from toolkit.likelihood.planes import Plane, poor_bins
from toolkit.likelihood.templates import Outside
from toolkit.model import Model
from toolkit.typing import FloatArray, IntArray
from toolkit.weights import SimulatedEvents

Observe = Callable[[Events], FloatArray]
"""Computes one quantity, or one row, for each of any events."""


class Method(Protocol):
    """A way to measure the parameter of interest from the test events."""

    @property
    def name(self) -> str:
        """Name in the results."""
        ...

    @property
    def crossed(self) -> bool:
        """Whether test and training events are the same, as in a cross-fit."""
        ...

    def for_events(self, events: Events) -> Method:
        """Return the method with other events as data, whose weights the likelihood then takes."""
        ...

    def likelihood(self, weights: FloatArray) -> Likelihood:
        """Build the likelihood of the test events with these weights, (n_test,)."""
        ...


@dataclass(frozen=True)
class UnbinnedMethod:
    """The unbinned likelihood of the ratio networks.

    Args:
        name: Name in the results.
        base: The likelihood of the test events, whatever its weights.
        training: The same of the training events, with ratios from networks that did not train on them.
        evaluate: Gives the log ratios of any events, (n, n_processes).
        crossed: Whether test and training events are the same, as in a cross-fit: `training` then has the densities of an event as part of
            what the other folds are made of.
    """

    name: str
    base: UnbinnedLikelihood
    training: UnbinnedLikelihood
    evaluate: Observe | None = None
    crossed: bool = False

    def for_events(self, events: Events) -> UnbinnedMethod:
        """Return the method with other events as data.

        Raises:
            SchemaError: The method does not know the densities of other events.
        """
        if self.evaluate is None:
            raise SchemaError(f"densities of {self.name}", got="no way to evaluate events", expected="`evaluate`")
        base = UnbinnedLikelihood(
            log_ratios=self.evaluate(events),
            weights=np.ones(len(events)),
            yields=self.base.yields,
            coefficients=self.base.coefficients.coefficients.texts,
            parameters=self.base.parameters,
            event_ids=events.event_id,
        )
        return replace(self, base=base)

    def likelihood(self, weights: FloatArray) -> UnbinnedLikelihood:
        """Build the likelihood of the test events with these weights, (n_test,)."""
        return self.base.with_weights(weights)

    def bootstrap(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the test events."""
        return bootstrap_unbinned(self.likelihood(weights), replicas=replicas, seed=seed, draws=draws)

    def bootstrap_training(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the training events, (n_training,)."""
        return bootstrap_unbinned(self.training.with_weights(weights), replicas=replicas, seed=seed, draws=draws)

    def bootstrap_crossed(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the events of a cross-fit, (n_events,), as data and as model together."""
        likelihood, pair = self.likelihood(weights), (self.base.densities, self.training.densities)
        coefficients = likelihood.coefficients.coefficients
        return bootstrap_crossed(likelihood, pair, weights=weights, coefficients=coefficients, replicas=replicas, seed=seed, draws=draws)


@dataclass(frozen=True, eq=False)
class FoldTemplates:
    """Templates without each fold of the events, at the full luminosity.

    Attributes:
        values: Expected events per process and bin from the other folds, (n_folds, n_processes, n_bins).
        fold: Fold of each event of the data, (n_events,).
    """

    values: FloatArray
    fold: IntArray

    @property
    def expected(self) -> FloatArray:
        """Expected events in the bins of every fold side by side, (n_processes, n_folds * n_bins)."""
        return self.side_by_side(self.values / len(self.values))

    @property
    def of_others(self) -> FloatArray:
        """Mean of the templates of the other folds beside the bins of every fold, (n_processes, n_folds * n_bins)."""
        n_folds = len(self.values)
        return self.side_by_side((self.values.sum(axis=0, keepdims=True) - self.values) / (n_folds - 1) / n_folds)

    @staticmethod
    def side_by_side(values: FloatArray) -> FloatArray:
        """Put the bins of the folds (n_folds, n_processes, n_bins) beside each other, (n_processes, n_folds * n_bins)."""
        return np.concatenate(list(values), axis=1)


@dataclass(frozen=True)
class BinnedMethod:
    """A histogram fit.

    Args:
        name: Name in the results.
        model: The parameter of interest and the coefficients.
        templates: Expected events per process and bin, from the training sample.
        index: Bin of each test event, (n_test,).
        training_index: Bin of each training event, (n_training,).
        observe: Gives the histogrammed quantity of any events, for the templates of systematic variations and for data.
        observable: Name of the histogrammed observable; None for a score, a count or two observables.
        plane: The bins of a histogram of two observables.
        outside: What happens to data beyond the edges.
        folds: Templates of a cross-fit, whose data are the bins of every fold side by side; None where test events were set aside, and
            for data.
    """

    name: str
    model: FitModel
    templates: Templates
    index: IntArray
    training_index: IntArray
    observe: Observe | None = None
    observable: str | None = None
    plane: Plane | None = None
    outside: Outside = "raise"
    folds: FoldTemplates | None = None

    @property
    def crossed(self) -> bool:
        """Whether test and training events are the same, as in a cross-fit."""
        return self.folds is not None

    @property
    def n_bins(self) -> int:
        """Number of bins of the histogram."""
        return int(self.templates.values.shape[1])

    @property
    def expected(self) -> FloatArray:
        """Templates of the data, (n_processes, n_bins), or those of all folds side by side."""
        return self.templates.values if self.folds is None else self.folds.expected

    @property
    def place(self) -> IntArray:
        """Bin of each event of the data among those of `expected`, (n_events,)."""
        return self.index if self.folds is None else self.folds.fold * self.n_bins + self.index

    @property
    def whole(self) -> BinnedMethod:
        """The method with the templates of all folds."""
        return replace(self, folds=None)

    def repeated(self, per_bin: FloatArray) -> FloatArray:
        """Repeat numbers of the bins, (..., n_bins), for the bins of every fold."""
        return per_bin if self.folds is None else np.concatenate([per_bin] * len(self.folds.values), axis=-1)

    def for_events(self, events: Events) -> BinnedMethod:
        """Return the method with other events as data; events beyond the edges are treated as the simulated ones are.

        Raises:
            SchemaError: The method does not know how to observe events.
            PhysicsDomainError: Events beyond the edges where that is an error, or without the observable.
        """
        if self.plane is not None:
            first, second = (events.observables[name] for name in self.plane.observables)
            return replace(self, index=self.plane.index(first, second, outside=self.outside), folds=None)
        return replace(self, index=bin_index(self._observed(events), self.templates.edges, outside=self.outside), folds=None)

    def fill(self, events: SimulatedEvents) -> FloatArray:
        """Fill the templates from other events, (n_processes, n_bins); events beyond the edges count in the outer bins.

        Raises:
            SchemaError: The method does not know how to observe events.
        """
        values = self._observed(events)
        return fill_templates(values, events.weights, self.templates.edges, processes=self.model.processes, outside="clip").values

    def _observed(self, events: Events) -> FloatArray:
        if self.observe is None:
            raise SchemaError(f"bins of {self.name}", got="no way to observe events", expected="`observe`")
        return self.observe(events)

    def likelihood(self, weights: FloatArray) -> BinnedLikelihood:
        """Build the likelihood of the test events with these weights, (n_test,)."""
        return self._likelihood(self.place, weights)

    def _likelihood(self, index: IntArray, weights: FloatArray) -> BinnedLikelihood:
        labels = self.templates.labels if self.plane is None else self.plane.labels
        expected = self.expected
        return BinnedLikelihood(
            templates=expected,
            data=np.bincount(index, weights=weights, minlength=expected.shape[1]),
            coefficients=self.model.coefficients,
            parameters=self.model.used,
            processes=self.model.processes,
            channel=self.name,
            bins=labels if self.folds is None else [f"{label}, fold {k}" for k in range(len(self.folds.values)) for label in labels],
        )

    def bootstrap(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the test events."""
        return bootstrap_binned(self.likelihood(weights), bin_index=self.place, weights=weights, replicas=replicas, seed=seed, draws=draws)

    def bootstrap_training(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the training events, (n_training,)."""
        training = self._likelihood(self.training_index, weights)
        return bootstrap_binned(training, bin_index=self.training_index, weights=weights, replicas=replicas, seed=seed, draws=draws)

    def bootstrap_crossed(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the events of a cross-fit, (n_events,), as data and as model together.

        Raises:
            SchemaError: The method is none of a cross-fit.
        """
        if self.folds is None:
            raise SchemaError(f"errors of {self.name}", got="a method of training and test events", expected="one of a cross-fit")
        likelihood, pair = self.likelihood(weights), (self.folds.expected.T, self.folds.of_others.T)
        options: dict[str, Any] = {"replicas": replicas, "seed": seed, "index": self.place, "draws": draws}
        return bootstrap_crossed(likelihood, pair, weights=weights, coefficients=likelihood.coefficients, **options)


def rate_method(model: FitModel, *, training: SimulatedEvents, test: SimulatedEvents) -> BinnedMethod:
    """Count events: one bin."""
    values = (np.zeros(len(training)), np.zeros(len(test)))
    return histogram_method(
        "rate", model, training=training, test=test, values=values, edges=(-0.5, 0.5), observe=lambda e: np.zeros(len(e))
    )


def histogram_method(
    name: str,
    model: FitModel,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    values: tuple[FloatArray, FloatArray],
    edges: tuple[float, ...] | FloatArray,
    clip: bool = False,
    observe: Observe | None = None,
    observable: str | None = None,
) -> BinnedMethod:
    """Build a histogram fit with templates from the training sample.

    Args:
        name: Name in the results.
        model: The parameter of interest and the coefficients.
        training: Events that fill the templates.
        test: Events that fill the data.
        values: The observable of the training sample and of the test events.
        edges: Bin edges.
        clip: Put events outside the edges into the first and last bin; otherwise they are an error.
        observe: Gives the observable of any events, for systematic variations.
        observable: Its name.

    Returns:
        The method.

    Raises:
        PhysicsDomainError: Events outside the edges, or without the observable.
    """
    outside: Outside = "clip" if clip else "raise"
    templates = fill_templates(values[0], training.weights, edges, processes=model.processes, outside=outside)
    index, training_index = (bin_index(values[k], edges, outside=outside) for k in (1, 0))
    return BinnedMethod(name, model, templates, index, training_index, observe, observable, outside=outside)


def plane_method(
    name: str, model: FitModel, plane: Plane, *, training: SimulatedEvents, test: SimulatedEvents, least: float | None
) -> BinnedMethod:
    """Build a histogram fit of two observables, unrolled.

    Args:
        name: Name in the results.
        model: The parameter of interest and the coefficients.
        plane: The bins.
        training: Events that fill the templates.
        test: Events that fill the data.
        least: Expected events below which bins are merged with a neighbour; None merges nothing.

    Returns:
        The method.

    Raises:
        PhysicsDomainError: Events outside the edges or without an observable; bins that expect nothing somewhere in the range.
    """
    coefficients = np.concatenate([model.along(name, np.linspace(*model.bounds[name], 61)) for name in model.interest])

    def index(events: Events, outside: Outside, bins: Plane) -> FloatArray:
        first, second = (events.observables[o] for o in bins.observables)
        return bins.index(first, second, outside=outside).astype(np.float64)

    def edges(bins: Plane) -> FloatArray:
        return np.arange(bins.n_bins + 1, dtype=np.float64) - 0.5

    if least is not None:
        filled = fill_templates(index(training, "raise", plane), training.weights, edges(plane), processes=model.processes)
        plane = plane.merged(filled.values, coefficients, least=least)
    pair = (index(training, "raise", plane), index(test, "raise", plane))
    observe = partial(index, outside="clip", bins=plane)
    method = histogram_method(name, model, training=training, test=test, values=pair, edges=edges(plane), observe=observe)
    poor = poor_bins(method.templates.values, coefficients, plane.labels)
    if poor:
        what = f"histogram {name}"
        got = f"{len(poor)} of {plane.n_bins} bins expect no events or fewer than none, such as {poor[0]}"
        remedy = f"take coarser edges, or let bins be merged: histograms.{name}.least_expected"
        expected = f"more than 0 for every value of {', '.join(model.interest)} in its range"
        raise PhysicsDomainError(what, got=got, expected=expected, remedy=remedy)
    return replace(method, plane=plane)


ScoreColumns = tuple[tuple[int, ...], tuple[int, ...]]
"""Columns of the densities of signal, and of those of background, in a score."""


def score_columns(model: Model) -> ScoreColumns:
    """Divide the squared amplitudes of a model into those that depend on a parameter of interest and those that do not.

    Returns:
        Positions among `model.densities`; sums of two amplitudes belong to neither. Where all depend on one, signal is what depends on the
        first.

    Raises:
        SchemaError: No density is left for one of the two.

    Examples:
        >>> from toolkit.model import ModelParameter, Process
        >>> gg = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> score_columns(Model((ModelParameter("mu", range=(0.0, 6.0)),), (gg, Process.build("q", {"q": "1"}))))
        ((0,), (2, 3))
    """
    names = [p.name for p in model.interest]
    for interest in (names, names[:1]):
        signal, background = _divided(model, set(interest))
        if signal and background:
            return signal, background
    raise SchemaError(
        "score of the networks",
        got=f"{len(signal)} squared amplitudes that depend on {names[:1]}, {len(background)} that do not",
        expected="signal and background to tell apart",
        remedy="write first the parameter of interest of the signal",
    )


def _divided(model: Model, interest: set[str]) -> ScoreColumns:
    signal: list[int] = []
    background: list[int] = []
    position = 0
    for component in model.components:
        process = component.process
        for (k, m), _ in zip(process.pairs, component.densities, strict=True):
            if k == m:
                texts = (process.amplitudes[k].coefficient, process.factor)
                names = {name for text in texts for name in Expression.parse(substitute(text, model.resolved)).names}
                (signal if names & interest else background).append(position)
            position += 1
    return tuple(signal), tuple(background)


def score_method(
    model: FitModel,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    log_ratios: tuple[FloatArray, FloatArray],
    bins: int,
    columns: ScoreColumns,
    evaluate: Observe | None = None,
) -> BinnedMethod:
    """Build the histogram fit of the networks' own signal score: the cross-check that no bias of the networks can move.

    Args:
        model: The parameters of interest and the coefficients.
        training: Events that fill the templates.
        test: Events that fill the data.
        log_ratios: Of the training sample (from networks that did not train on the event) and of the test events, (n, n_processes).
        bins: Number of bins; each holds the same signal, which puts the resolution where the signal is.
        columns: Columns of signal and of background.
        evaluate: Gives the log ratios of any events, (n, n_processes), for systematic variations.

    Returns:
        The method.
    """
    yields = training.yields
    observe: Observe | None = None if evaluate is None else lambda e: signal_score(evaluate(e), yields, columns=columns)
    scores = (signal_score(log_ratios[0], yields, columns=columns), signal_score(log_ratios[1], yields, columns=columns))
    edges = quantile_edges(scores[0], training.weights[:, list(columns[0])].sum(axis=1), bins=bins)
    return histogram_method("score", model, training=training, test=test, values=scores, edges=edges, clip=True, observe=observe)


def signal_score(log_ratios: FloatArray, yields: FloatArray, *, columns: ScoreColumns) -> FloatArray:
    """Compute log sum_s pi_s p_s / sum_b nu_b p_b: the signals (on top, by their shares) against background at its yields.

    Args:
        log_ratios: ln p_j / p_ref, (n, n_processes).
        yields: nu_j, (n_processes,).
        columns: Columns of signal and of background.

    Returns:
        The score, (n,).

    Examples:
        >>> signal_score(np.log([[2.0, 1.0, 1.0, 3.0]]), np.ones(4), columns=((0,), (2, 3))).round(6).tolist()
        [-0.693147]
    """
    signal, background = ([j for j in c if yields[j] > 0.0] for c in columns)  # a part may have no events in a region
    below = np.logaddexp.reduce(log_ratios[:, background] + np.log(yields[background]), axis=1)
    if len(signal) == 1:
        return np.asarray(log_ratios[:, signal[0]] - below)
    shares = np.log(yields[signal] / yields[signal].sum())
    return np.asarray(np.logaddexp.reduce(log_ratios[:, signal] + shares, axis=1) - below)

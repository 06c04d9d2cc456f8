"""Toys: simulated repetitions of the experiment, each fitted, the same whatever the number of workers.

What to use when: `run_toys` for any experiment that can be drawn and fitted (a `ToySource`; ready-made ones are in
`toolkit.likelihood.toy_sources`); `toolkit.likelihood.neyman` for intervals from toys.

The random numbers of a toy depend on the seed, the parameter point and the index of the toy alone. So a campaign gives the same
bits on one core, on many, and after an interruption; a larger campaign contains the smaller one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from toolkit.artifacts.hashing import stage_key
from toolkit.artifacts.toys import Row, ToyFile, point_key
from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.branches import other_directions
from toolkit.likelihood.descent import EQUAL
from toolkit.likelihood.grid_fit import fit_on_grid, free_parameter
from toolkit.likelihood.minimise import minimise
from toolkit.likelihood.toy_fit import Guide, fit_profiled
from toolkit.likelihood.toy_lines import Lines, LineSource
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.typing import BoolArray, FloatArray, Progress, silent_progress

BLOCK = 50
"""Toys that a worker takes at a time, and that go to the file together."""
QUICK_BLOCK = 500
"""The same of toys that are fitted together, in fractions of a millisecond each."""
DRAWN = 1_000_000
"""Events of such a block, at most, unless fifty toys have more."""
STARTS = 4
"""Minima of the free fit from which the conditional one starts too."""
VERSION = 3
"""Changes when the same seed gives other toys."""


class ToySource(Protocol):
    """An experiment that can be repeated. It must be picklable to run in several processes."""

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> Any:
        """Draw the data of one experiment, auxiliary measurements included, at a parameter point."""
        ...

    def likelihood_of(self, data: Any) -> Likelihood:
        """Build the likelihood of drawn data."""
        ...

    def fingerprint(self) -> str:
        """Return a hash of everything that the toys depend on, apart from parameter point and seed."""
        ...


@dataclass(frozen=True)
class ToyRequest:
    """How many toys to draw at a parameter point; the point names every parameter of the source."""

    theta: Mapping[str, float]
    toys: int


@dataclass(frozen=True, eq=False)
class Toys:
    """Fitted toys of one parameter point.

    Attributes:
        theta: The truth.
        poi: Parameter of interest.
        seed: Seed of the campaign.
        best_fit: Best fit of the parameter of interest, (n_toys,), in the order of the toy index.
        t: -2 ln lambda(truth of the parameter of interest, others profiled) / lambda(best fit), (n_toys,), >= 0.
        at_boundary: Whether the best fit is an end of the allowed range, (n_toys,).
        converged: Whether the fits ended at a minimum, (n_toys,).
    """

    theta: dict[str, float]
    poi: str
    seed: int
    best_fit: FloatArray
    t: FloatArray
    at_boundary: BoolArray
    converged: BoolArray

    @property
    def truth(self) -> float:
        """True value of the parameter of interest."""
        return self.theta[self.poi]

    def __len__(self) -> int:
        return len(self.t)


@dataclass(frozen=True)
class ToyTask:
    """A block of toys for one worker."""

    theta: tuple[tuple[str, float], ...]
    indices: tuple[int, ...]
    seed: int
    poi: str


def toy_generator(seed: int, theta: Mapping[str, float], index: int) -> np.random.Generator:
    """Return the random numbers of one toy.

    Args:
        seed: Seed of the campaign.
        theta: The truth; the last bit of every value counts.
        index: Number of the toy, from 0.

    Examples:
        >>> toy_generator(1, {"mu": 0.5}, 3).random() == toy_generator(1, {"mu": 0.5}, 3).random()
        True
    """
    words = [w for _, value in point_key(theta) for w in struct.unpack("<2I", struct.pack("<d", value))]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*words, index)))


def run_toys(
    source: ToySource,
    requests: Sequence[ToyRequest],
    *,
    poi: str,
    seed: int,
    workers: Workers = run_here,
    file: str | Path | None = None,
    progress: Progress = silent_progress,
    label: str = "toys",
) -> tuple[Toys, ...]:
    """Draw and fit toys.

    Args:
        source: The experiment.
        requests: Parameter points and numbers of toys.
        poi: Parameter of interest, the one that the test statistic is about.
        seed: Seed, >= 0. Toys that check a construction must have another seed than those that made it.
        workers: Where to run: `run_here`, `local_processes(n)` or `dask_workers(client)` of `toolkit.likelihood.toy_workers`.
        file: Keeps the finished toys; an existing file of the same campaign is continued, with more points or toys if asked.
        progress: Told how many toys are done.
        label: Name of the step for `progress`.

    Returns:
        One `Toys` per request, bit-equal for any workers and any interruptions.

    Raises:
        SchemaError: A point without the parameter of interest, a negative seed, or a request without toys.
        ArtifactMismatchError: The file holds toys of another source or seed.
    """
    _check(requests, poi, seed)
    campaign = stage_key({"version": VERSION, "source": source.fingerprint(), "seed": seed, "poi": poi})
    store = ToyFile(None if file is None else Path(file), campaign)
    block = _block(source, poi)
    tasks = [task for request in requests for task in _missing(request, store, block, seed=seed, poi=poi)]
    total = sum(len(task.indices) for task in tasks)
    done = 0
    for task, rows in workers(source, tasks, run_task):
        store.add(dict(task.theta), rows)
        done += len(rows)
        progress(label, done, total)
    return tuple(_collect(request, store, seed=seed, poi=poi) for request in requests)


def run_task(source: ToySource, task: ToyTask) -> dict[int, Row]:
    """Run a block of toys: index -> (best fit, t, at boundary, converged)."""
    theta = dict(task.theta)
    lines = _lines(source, task.poi)
    if lines is not None:
        return _run_lines(source, task, lines)
    guide = guide_of(source, theta, poi=task.poi, seed=task.seed)
    rows = {}
    for index in task.indices:
        data = source.sample(theta, toy_generator(task.seed, theta, index))
        rows[index] = fit_toy(source.likelihood_of(data), poi=task.poi, truth=theta[task.poi], guide=guide)
    return rows


def _lines(source: ToySource, poi: str) -> Lines | None:
    """Return the tables of a source that has them along the parameter of interest."""
    lines = source.lines if isinstance(source, LineSource) else None
    return lines if lines is not None and lines.parameter.name == poi else None


def _block(source: ToySource, poi: str) -> int:
    lines = _lines(source, poi)
    return BLOCK if lines is None else max(BLOCK, min(QUICK_BLOCK, int(DRAWN / max(lines.expected, 1.0))))


def _run_lines(source: Any, task: ToyTask, lines: Lines) -> dict[int, Row]:
    """Run a block of toys of one free parameter; those that are not smooth along it are fitted one by one."""
    theta = dict(task.theta)
    truth = theta[task.poi]
    drawn = [source.sample(theta, toy_generator(task.seed, theta, index)) for index in task.indices]
    fit = lines.fit([source.rows_of(data) for data in drawn], truth=truth)
    rows = {}
    for k, index in enumerate(task.indices):
        quick = (float(fit.value[k]), float(fit.t[k]), float(fit.at_boundary[k]), 1.0)
        rows[index] = quick if fit.smooth[k] else fit_toy(source.likelihood_of(drawn[k]), poi=task.poi, truth=truth)
    return rows


def guide_of(source: ToySource, theta: Mapping[str, float], *, poi: str, seed: int) -> Guide | None:
    """Return the guide for all toys of a parameter point, from its first toy; None where toys are fitted without one.

    Args:
        source: The experiment.
        theta: The truth.
        poi: Parameter of interest.
        seed: Seed of the campaign.
    """
    first = source.likelihood_of(source.sample(theta, toy_generator(seed, theta, 0)))
    free = {p.name: p for p in first.parameters if not p.fixed}
    if len(free) < 2 or poi not in free or not np.isfinite(free[poi].high - free[poi].low) or other_directions(first, (poi,)):
        return None
    return Guide.of(first, theta, poi=poi)


def fit_toy(likelihood: Likelihood, *, poi: str, truth: float, guide: Guide | None = None) -> Row:
    """Fit one toy and test the truth of the parameter of interest.

    Args:
        likelihood: The likelihood of the toy.
        poi: Parameter of interest.
        truth: The value tested.
        guide: Second derivatives of toys of the same truth, which make fits with nuisance parameters ten times faster.

    Returns:
        Best fit, t = -2 ln lambda(truth) / lambda(best fit) with all other parameters profiled, whether the best fit is at the
        boundary, and whether the fits converged, the last two as 0 or 1.
    """
    free = free_parameter(likelihood)
    if free is not None and free.name == poi:
        quick = fit_on_grid(likelihood, test=truth)
        return (quick.value, max((quick.tested or 0.0) - quick.twice_nll, 0.0), float(quick.at_boundary), 1.0)
    if guide is not None:
        found = fit_profiled(likelihood, guide, poi=poi, test=truth)
        if found.converged:
            value = float(found.parameters[likelihood.parameter_names.index(poi)])
            return (value, found.t, float(found.at_boundary), 1.0)
    fit = minimise(likelihood, errors=False)
    starts = [likelihood.point({**m.parameters, poi: truth}) for m in fit.minima[:STARTS]]
    conditional = minimise(likelihood, fixed={poi: truth}, starts=starts, errors=False, search=True)
    if conditional.twice_nll < fit.twice_nll - EQUAL:
        fit = likelihood.fit_near(poi, truth, fit=conditional)
    parameter = likelihood.parameters[likelihood.parameter_names.index(poi)]
    converged = "not_converged" not in (fit.status, conditional.status)
    at_boundary = fit.parameters[poi] in (parameter.low, parameter.high)
    return (fit.parameters[poi], max(conditional.twice_nll - fit.twice_nll, 0.0), float(at_boundary), float(converged))


def best_point(likelihood: Likelihood, *, poi: str, truth: float, guide: Guide | None = None) -> FloatArray:
    """Find the best fit of all parameters of a toy, (n_parameters,); arguments as for `fit_toy`."""
    free = free_parameter(likelihood)
    if free is not None and free.name == poi:
        return likelihood.point({poi: fit_on_grid(likelihood).value})
    if guide is not None:
        found = fit_profiled(likelihood, guide, poi=poi, test=truth)
        if found.converged:
            return found.parameters
    return likelihood.point(minimise(likelihood, errors=False).parameters)


def _missing(request: ToyRequest, store: ToyFile, block: int, *, seed: int, poi: str) -> list[ToyTask]:
    finished = store.finished(request.theta)
    indices = [i for i in range(request.toys) if i not in finished]
    blocks = [tuple(indices[k : k + block]) for k in range(0, len(indices), block)]
    return [ToyTask(theta=point_key(request.theta), indices=own, seed=seed, poi=poi) for own in blocks]


def _collect(request: ToyRequest, store: ToyFile, *, seed: int, poi: str) -> Toys:
    finished = store.finished(request.theta)
    best_fit, t, at_boundary, converged = np.array([finished[i] for i in range(request.toys)]).T
    return Toys(dict(request.theta), poi, seed, best_fit, t, at_boundary > 0.5, converged > 0.5)


def _check(requests: Sequence[ToyRequest], poi: str, seed: int) -> None:
    what = "toys"
    if seed < 0:
        raise SchemaError(what, got=f"seed {seed}", expected="a seed >= 0")
    for request in requests:
        if request.toys < 1 or poi not in request.theta:
            raise SchemaError(
                what,
                got=f"{request.toys} toys at {dict(request.theta)}",
                expected=f"at least one toy at a point that names {poi!r}",
                remedy="name every parameter of the source",
            )

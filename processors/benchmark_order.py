"""Whether the benchmarks that a config names are in the order of the weights, as far as the events can tell.

A wrong order is a silent wrong number: a fit of densities that have changed places closes. So every order of the names that the morphing
needs is held against the events. An order is refused if the events contradict it by a test that some other order passes:

    own        the weight that is 1 in every event is that of the benchmark under which the sample was generated
    relation   w = mu S + sqrt(mu) I + B for further benchmarks and one mu; more benchmarks than monomials agree with each other
    positive   no event has a negative density at any parameter: I^2 <= 4 S B with two amplitudes
    sums       two weights, each summed over the events of a sample, have the ratio of the cross-sections of the samples of these names

With the weights of S, B and SBI alone, I^2 <= 4 S B is the triangle inequality of the roots of the three, and so the same for every order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from processors.benchmarks import LONGEST, own_entry
from toolkit.config import Config, SampleConfig
from toolkit.errors import ArtifactMismatchError
from toolkit.model.model import Model
from toolkit.model.products import solve_products
from toolkit.typing import FloatArray
from toolkit.weights.morphing import Morphing

FILES = 10
"""Files of a sample that are looked at."""
TOLERANCE = 1e-3
"""Largest departure from a relation of weights, relative to the largest weight of the event, that rounding explains."""
FEW = 1e-3
"""Share of the events that may miss a relation, for damaged ones."""
NEAR, MOST = 0.1, 0.5
"""The weight under the own benchmark is 1 within this in at least this share of the events, whatever is rounded or damaged."""
EFFECTIVE = 50.0
"""Effective events below which a sum says nothing."""
STATED = 0.01
"""Relative accuracy of cross-sections and sums of weights as they are stated."""
CONTRADICTED, AGREED = 5.0, 3.0
"""Standard deviations beyond those of the best order from which on sums contradict an order, and up to which they agree with the best."""
GRID = np.linspace(-5.0, 5.0, 81)
POINTS = 500
"""Points of the parameters at which densities of several amplitudes are looked at."""


class File(Protocol):
    """What is looked at of a file; see `processors.inputs.FileInput`."""

    @property
    def path(self) -> str:
        """The file."""
        ...

    @property
    def entries(self) -> int:
        """Entries of the event tree."""
        ...

    @property
    def first_weights(self) -> tuple[FloatArray, FloatArray] | None:
        """Relative weights (n, n_benchmarks) and generator weights (n,) of its first entries; None where nobody looked."""
        ...


class Sample(Protocol):
    """What is looked at of a sample; see `processors.inputs.SampleInputs`."""

    @property
    def config(self) -> SampleConfig:
        """Its section of the config."""
        ...

    @property
    def files(self) -> Sequence[File]:
        """Its files."""
        ...

    @property
    def entries(self) -> int:
        """Entries of all files."""
        ...

    @property
    def xsec_pb(self) -> float | None:
        """Cross-section in pb; None for data."""
        ...

    @property
    def sumw(self) -> float | None:
        """Sum of generator weights before any skim; None for data."""
        ...


Order = tuple[str, ...]
"""Names of the entries of a vector."""


@dataclass(frozen=True, eq=False)
class Probe:
    """Weights of some events of a sample.

    Args:
        sample: Its name.
        order: Names of the entries, as the config gives them.
        relative: Relative weights, (n_events, n_entries).
        weight: Generator weight times how many events of the file each stands for, (n_events,).
        xsec_pb: Cross-section of the events in the files.
        error: Its relative statistical error.
    """

    sample: str
    order: Order
    relative: FloatArray
    weight: FloatArray
    xsec_pb: float
    error: float


def check_benchmark_order(config: Config, inputs: Sequence[Sample]) -> dict[str, str]:
    """Check that the events do not contradict the order of the benchmarks.

    Args:
        config: The analysis.
        inputs: Its files.

    Returns:
        A sentence for each group of samples whose events cannot tell all orders apart, by its first sample.

    Raises:
        ArtifactMismatchError: They contradict it; the message names the order that they show.
    """
    return check_probes(config, read_probes(inputs))


def read_probes(inputs: Sequence[Sample]) -> list[Probe]:
    """Return weights of the first events of every sample with benchmarks."""
    return [probe for sample in inputs if (probe := _probe(sample)) is not None]


def check_probes(config: Config, probes: Sequence[Probe]) -> dict[str, str]:
    """Check weights of events against the order in which the config names them; see `check_benchmark_order`."""
    notes = {}
    for law in _laws(config, probes):
        members = [probe for probe in probes if probe.sample in law.own]
        for order in dict.fromkeys(probe.order for probe in members):
            family = [probe for probe in members if probe.order == order]
            note = _check_family(config, family, members, law)
            if note is not None:
                notes[family[0].sample] = note
    return notes


@dataclass(frozen=True, eq=False)
class _Law:
    """How the weights of a process at its benchmarks hang together.

    Args:
        own: Benchmark under which each of its samples was generated, by sample; empty for none.
        names: The benchmarks.
        solution: Terms of an event = weights @ solution, (n_benchmarks, n_terms).
        matrix: Weights of an event = terms @ matrix.T, (n_benchmarks, n_terms).
        two_amplitudes: Columns of the terms that are signal, interference and background; None with more than two amplitudes.
        lowest: Lowest density at any parameter, from the terms of events.
    """

    own: dict[str, str]
    names: tuple[str, ...]
    solution: FloatArray
    matrix: FloatArray
    two_amplitudes: tuple[int, int, int] | None
    lowest: Callable[[FloatArray], FloatArray]


def _laws(config: Config, probes: Sequence[Probe]) -> Iterator[_Law]:
    """Yield the law of every process that interferes and whose samples carry the weights of all its benchmarks."""
    if not config.general:
        name = config.parameter.name
        morphing = Morphing(monomials=config.morphing.monomials_in(name), benchmarks=config.morphing.points_in(name))
        degree = np.sum(morphing.vector.exponents, axis=1)
        square, root, constant = (int(k) for k in np.argsort(-degree)[:3])
        columns = (square, root, constant) if config.morphing.two_amplitudes else None
        whole = np.all(morphing.vector.exponents == np.round(morphing.vector.exponents))
        grid = morphing.vector.values_at((GRID if whole else GRID[GRID >= 0.0])[:, None])
        own = {probe.sample: probe.sample if probe.sample in probe.order else "" for probe in probes}
        yield _Law(own, morphing.benchmark_names, morphing.solution, morphing.matrix, columns, partial(_lowest, grid))
        return
    model = config.model
    for process in model.processes:
        own = {s.name: s.benchmark for s in model.samples_of(process.name) if set(s.carried) == set(process.benchmark_names)}
        if process.n_amplitudes > 1 and own:
            columns = (0, 1, 2) if process.n_amplitudes == 2 else None
            products = _products(model, process.name)
            solution, matrix = solve_products(process), process.rows(process.benchmarks)
            yield _Law(own, process.benchmark_names, solution, matrix, columns, partial(_lowest, products))


def _lowest(products: FloatArray, terms: FloatArray) -> FloatArray:
    """Return the lowest density of each event at many points, from the values of the monomials there."""
    lowest: FloatArray = np.min(terms @ products.T, axis=1)
    return lowest


def _products(model: Model, name: str) -> FloatArray:
    """Return the products a_k a_l of a process at many points of the parameters, (n_points, n_pairs)."""
    low, high = np.clip(np.array([p.range for p in model.parameters]), GRID[0], GRID[-1]).T
    points = low + np.random.default_rng(1).uniform(size=(POINTS, len(low))) * (high - low)
    amplitudes = model.amplitudes(name).values(points)
    return np.stack([amplitudes[:, k] * amplitudes[:, m] for k, m in model.process(name).pairs], axis=1)


def _check_family(config: Config, family: Sequence[Probe], probes: Sequence[Probe], law: _Law) -> str | None:
    """Check samples that name their weights in one order."""
    order, names = family[0].order, ", ".join(probe.sample for probe in family)
    _check_distinct(family, law, {s.name for s in config.samples if s.where})
    for probe in family:
        _check_generated(probe, law)
    if len(order) > LONGEST:
        return f"samples {names}: with {len(order)} benchmarks the order of their names is not checked against the events."
    left = _candidates(family, law)
    wrong = None if order in left else "the weight that is 1 in every event is that of the sample itself"
    tests: tuple[tuple[str, Callable[[Order], bool]], ...] = (
        ("further benchmarks follow from those of the morphing in every event", lambda o: _related(o, family, law)),
        ("no event has a negative density", lambda o: _positive(o, family, law)),
    )
    for why, test in tests:
        passed = [candidate for candidate in left if test(candidate)]
        if passed:
            wrong = why if wrong is None and order not in passed else wrong
            left = passed
    pulls = {candidate: _largest_pull(candidate, family, probes, law) for candidate in left}
    if min(pulls.values()) <= AGREED:
        left = [candidate for candidate in left if pulls[candidate] ** 2 - min(pulls.values()) ** 2 < CONTRADICTED**2]
        if wrong is None and order not in left:
            wrong = (
                f"sums of weights have the ratios of the cross-sections, which the order of the config misses by {pulls[order]:.1f} sigma"
            )
    if wrong is not None:
        raise _wrong_order(family, left, wrong)
    for probe in family:
        _check_own(probe, law)
    return _undecided(order, left, law.names, names, alone=all(probe.order == order for probe in probes))


def _undecided(order: Order, left: Sequence[Order], needed: Sequence[str], names: str, *, alone: bool) -> str | None:
    open_names = [name for name in needed if any(other.index(name) != order.index(name) for other in left)]
    if not open_names:
        return None
    return (
        f"samples {names}: their events cannot tell which weight belongs to {' and which to '.join(open_names)}, so the order "
        f"[{', '.join(order)}] of the config is taken as it is{'' if alone else ', although other samples name theirs in another order'}. "
        "A sample that was generated under one of them would tell."
    )


def _candidates(family: Sequence[Probe], law: _Law) -> list[Order]:
    """Return the orders that agree with the samples' own weights: all places of the names that are needed, the others behind them."""
    order, fixed = family[0].order, {}
    for probe in family:
        entry = own_entry(probe.relative)
        if entry is not None and law.own[probe.sample]:
            fixed[entry] = law.own[probe.sample]
    moving = [name for name in law.names if name not in fixed.values()]
    free = [k for k in range(len(order)) if k not in fixed]
    found = []
    for places in itertools.permutations(free, len(moving)):
        taken = {**fixed, **dict(zip(places, moving, strict=True))}
        rest = iter([name for name in order if name not in taken.values()])
        found.append(tuple(taken[k] if k in taken else next(rest) for k in range(len(order))))
    return found


def _check_distinct(family: Sequence[Probe], law: _Law, parts: Collection[str]) -> None:
    """Check that no two samples were generated under one benchmark, but for those that say which part of it each is."""
    owner: dict[int, str] = {}
    for probe in family:
        entry = own_entry(probe.relative)
        first = probe.sample if entry is None else owner.setdefault(entry, probe.sample)
        if first != probe.sample and not ({first, probe.sample} <= {*parts} and law.own[first] == law.own[probe.sample]):
            raise ArtifactMismatchError(
                f"samples {first} and {probe.sample}",
                got=f"weight {entry} (counted from 0) is 1 in every event of both: both were generated under the same benchmark",
                expected="samples called after the benchmark under which they were generated",
                remedy="correct `files` of one of them; parts of one sample say which part each is with `where`",
            )


def _check_generated(probe: Probe, law: _Law) -> None:
    """Check that a sample was generated under the benchmark that the config says, or under none if it says so."""
    entry, own = own_entry(probe.relative), law.own[probe.sample]
    if own and entry is None and not np.any(np.mean(np.abs(probe.relative - 1.0) < NEAR, axis=0) >= MOST):
        raise ArtifactMismatchError(
            f"benchmark weights of sample {probe.sample}",
            got=f"none that is 1 in every event, so that it was generated under none of {list(probe.order)}",
            expected=f"a weight of 1 under {own}",
            remedy="give it another name than a benchmark has; with `processes` write `generated: none`",
        )
    if not own and entry is not None and probe.order[entry] in law.names:
        raise ArtifactMismatchError(
            f"sample {probe.sample}",
            got=f"weight {entry} (counted from 0), {probe.order[entry]}, is 1 in every event: the sample was generated under it",
            expected="a sample that was generated under none of its benchmarks, as it is called after none",
            remedy=f"name it {probe.order[entry]}; with `processes` write `generated: {probe.order[entry]}`",
        )


def _check_own(probe: Probe, law: _Law) -> None:
    """Check that the weight under the benchmark that a sample is called after is near 1, where the events do not contradict the order."""
    own = law.own[probe.sample]
    near = float(np.mean(np.abs(probe.relative[:, probe.order.index(own)] - 1.0) < NEAR)) if own else 1.0
    if near < MOST:
        raise ArtifactMismatchError(
            f"benchmark weights of sample {probe.sample}",
            got=f"a weight under {own} that is near 1 in {near:.0%} of the events",
            expected=f"1 in every event, as the sample is called after {own}",
            remedy="give a sample that was generated under none of its benchmarks another name, with `processes` write `generated: none`; "
            "otherwise correct the order under `benchmarks`",
        )


def _wrong_order(family: Sequence[Probe], left: Sequence[Order], why: str) -> ArtifactMismatchError:
    shown = " or ".join(f"[{', '.join(other)}]" for other in left[:3]) + (" or another" if len(left) > 3 else "")
    return ArtifactMismatchError(
        f"order of the benchmarks of {', '.join(probe.sample for probe in family)}",
        got=f"[{', '.join(family[0].order)}] in the config",
        expected=f"{shown}, as the events show: {why}",
        remedy="correct the order under `benchmarks` of these samples (or of the weights that the layout names)",
    )


def _related(order: Order, family: Sequence[Probe], law: _Law) -> bool:
    """Whether further benchmarks follow from those of the morphing, event by event."""
    extra = [k for k, name in enumerate(order) if name not in law.names]
    for probe in family:
        carried = probe.relative[:, [order.index(name) for name in law.names]]
        terms, scale = carried @ law.solution, np.max(np.abs(probe.relative), axis=1)
        if not _holds(np.max(np.abs(terms @ law.matrix.T - carried), axis=1), scale):
            return False
        if law.two_amplitudes is not None:
            square, root, constant = terms[:, law.two_amplitudes].T
            for k in extra:
                mu, linear = np.linalg.lstsq(np.stack([square, root], axis=1), probe.relative[:, k] - constant, rcond=None)[0]
                rest = np.abs(mu * square + linear * root + constant - probe.relative[:, k])
                if not (linear > 0 and abs(mu - linear**2) < TOLERANCE * max(1.0, mu) and _holds(rest, (1 + mu) * scale)):
                    return False
    return True


def _positive(order: Order, family: Sequence[Probe], law: _Law) -> bool:
    """Whether the densities are nowhere negative."""
    for probe in family:
        carried = probe.relative[:, [order.index(name) for name in law.names]]
        terms, scale = carried @ law.solution, np.max(np.abs(carried), axis=1)
        if law.two_amplitudes is not None:
            square, root, constant = terms[:, law.two_amplitudes].T
            lowest = np.minimum(np.minimum(square, constant) / scale, (4.0 * square * constant - root**2) / scale**2)
        else:
            lowest = law.lowest(terms) / scale
        if not _holds(np.maximum(-lowest, 0.0), np.ones_like(scale)):
            return False
    return True


def _holds(departure: FloatArray, scale: FloatArray) -> bool:
    return bool(np.mean(departure > TOLERANCE * scale) <= FEW)


def _largest_pull(order: Order, family: Sequence[Probe], probes: Sequence[Probe], law: _Law) -> float:
    """Return the largest departure of ratios of sums from ratios of cross-sections, in standard deviations; 0 without any."""
    known = {law.own[probe.sample]: probe for probe in probes if law.own[probe.sample]}
    pulls = [0.0]
    for probe in family:
        weights = probe.relative * probe.weight[:, None]
        for one, two in itertools.combinations([name for name in order if name in known], 2):
            a, b = weights[:, order.index(one)], weights[:, order.index(two)]
            if min(_effective(a), _effective(b)) < EFFECTIVE or min(a.sum(), b.sum()) <= 0.0:
                continue
            found = np.log(a.sum() / b.sum())
            spread = np.sqrt(np.sum((a / a.sum() - b / b.sum()) ** 2))
            stated = np.log(known[one].xsec_pb / known[two].xsec_pb)
            error = np.sqrt(spread**2 + known[one].error ** 2 + known[two].error ** 2 + STATED**2)
            pulls.append(float(abs(found - stated) / error))
    return max(pulls)


def _effective(weights: FloatArray) -> float:
    return float(weights.sum() ** 2 / np.sum(weights**2)) if np.any(weights) else 0.0


def _probe(sample: Sample) -> Probe | None:
    """Return weights of the first events of some files; None where there are no benchmarks or no events."""
    if not sample.config.benchmarks or sample.sumw is None or sample.xsec_pb is None:
        return None
    parts = list(_parts(sample))
    if not parts:
        return None
    relative, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    fine = np.isfinite(relative).all(axis=1) & np.isfinite(weight) & np.any(relative != 0.0, axis=1)
    relative, weight = relative[fine], weight[fine]
    if not len(weight) or not weight.sum() > 0.0:
        return None
    entries = sum(file.entries for file in sample.files[:FILES])
    xsec = sample.xsec_pb * float(weight.sum()) / sample.sumw * sample.entries / entries
    error = 0.0 if len(weight) == sample.entries else float(np.std(weight) / np.mean(weight) / np.sqrt(len(weight)))
    return Probe(sample.config.name, sample.config.benchmarks, relative, weight, xsec, error)


def _parts(sample: Sample) -> Iterator[tuple[FloatArray, FloatArray]]:
    for file in sample.files[:FILES]:
        relative, weight = file.first_weights or (np.zeros((0, 0)), np.zeros(0))
        if len(weight):
            yield relative, weight * (file.entries / len(weight))

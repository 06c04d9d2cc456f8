"""Compare the event tables of two finished runs, sample by sample: two generators of one process, or two versions of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.analysis.finished import (
    TOTAL,
    FinishedRun,
    differing_sample,
    differing_settings,
    luminosity_factor,
    shared_events,
)
from toolkit.artifacts.events import EventTable
from toolkit.diagnostics.angular_moments import OBSERVABLES, MomentDifference, compare_moments, observed_moments
from toolkit.diagnostics.serialise import jsonable
from toolkit.diagnostics.two_samples import PairedHistogram, YieldPair, compare_values, compare_yields
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray, Progress, silent_progress

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class SampleComparison:
    """One sample in both runs.

    Attributes:
        name: Its name.
        events: Selected events in A and in B.
        factor: What weights of B were multiplied with.
        shared: Events that both have.
        same_files: Whether an ntuple of A is one of B.
        yields: Sums of weights by term, the events' own weight (`total`) first.
        histograms: By (term, observable).
        moments: Moments of f_1 ... f_9 by term, where both runs have these observables and the sum of weights is positive.
        notes: What must be read with them.
    """

    name: str
    events: tuple[int, int]
    factor: float
    shared: int
    same_files: bool
    yields: Mapping[str, YieldPair]
    histograms: Mapping[tuple[str, str], PairedHistogram]
    moments: Mapping[str, MomentDifference]
    notes: tuple[str, ...]

    @property
    def dependent(self) -> bool:
        """Whether A and B are of the same events, so that errors of ratios and p-values mean nothing."""
        return self.shared > 0 or self.same_files

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        plain = ("name", "events", "factor", "shared", "same_files", "notes")
        return {
            **{name: jsonable(getattr(self, name)) for name in plain},
            "yields": {term: pair.to_json() for term, pair in self.yields.items()},
            "histograms": [{"term": term, **histogram.to_json()} for (term, _), histogram in self.histograms.items()],
            "angular_moments": {term: found.to_json() for term, found in self.moments.items()},
        }


@dataclass(frozen=True, eq=False)
class ComparisonRow:
    """One histogram of one sample."""

    sample: str
    term: str
    histogram: PairedHistogram

    @property
    def plot(self) -> str:
        """Name of its plot: letters, digits and _ as they are, * as -, all else by its number."""
        parts = (self.sample, self.term, self.histogram.observable)
        return ".".join("".join(c if c.isalnum() or c == "_" else "-" if c == "*" else f"-{ord(c):02x}" for c in part) for part in parts)


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Two finished runs beside each other.

    Attributes:
        labels: What A and B are called.
        runs: The runs.
        normalised: Whether shapes were compared.
        samples: What was found.
        notes: What holds for all samples.
    """

    labels: tuple[str, str]
    runs: tuple[FinishedRun, FinishedRun]
    normalised: bool
    samples: tuple[SampleComparison, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> tuple[ComparisonRow, ...]:
        """All histograms, the smallest p-value first; those without one at the end, the largest chi-square per degree of freedom first."""
        found = [ComparisonRow(s.name, term, h) for s in self.samples for (term, _), h in s.histograms.items()]
        return tuple(sorted(found, key=_order))

    @property
    def smallest(self) -> float:
        """The smallest p-value times the number of p-values, at most 1: bounds the probability of one as small among them; NaN if none."""
        known = [row.histogram.chi2.p_value for row in self.rows if math.isfinite(row.histogram.chi2.p_value)]
        return min(1.0, len(known) * min(known)) if known else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the document compare.json."""
        sides = zip("ab", self.labels, self.runs, strict=True)
        return {
            "schema": SCHEMA,
            **{
                key: {"label": label, "config_hash": run.document.get("config_hash"), "luminosity_ifb": run.config.luminosity_ifb}
                for key, label, run in sides
            },
            "normalised": self.normalised,
            "smallest_p_value_of_all": jsonable(self.smallest),
            "notes": list(self.notes),
            "samples": [sample.to_json() for sample in self.samples],
            "plots": [row.plot for row in self.rows],
        }


def compare_runs(
    a: FinishedRun,
    b: FinishedRun,
    *,
    samples: Sequence[str] = (),
    observables: Sequence[str] = (),
    bins: int = 20,
    normalise: bool = False,
    progress: Progress = silent_progress,
) -> RunComparison:
    """Compare two runs.

    Args:
        a: The reference.
        b: The other one; weights of its simulation are scaled to the luminosity of A.
        samples: Names; all that both have if empty.
        observables: Names; all that both have of each sample if empty.
        bins: Bins of each observable before those with too few events are joined.
        normalise: Compare shapes only.
        progress: Called after every sample.

    Returns:
        Yields, histograms and chi-square of every sample, observable and term of the interference that both runs know.

    Raises:
        SchemaError: No sample or observable is common, or one that was asked for is missing.
        InputFileError, ArtifactMismatchError: Event tables are missing or damaged.
    """
    names = _common(samples, a.samples, b.samples, what="sample")
    found = []
    for done, name in enumerate(names, start=1):
        tables = (a.read(name), b.read(name))
        chosen = _common(observables, tuple(tables[0].observables), tuple(tables[1].observables), what=f"observable of sample {name}")
        found.append(_sample(a, b, tables, observables=chosen, bins=bins, normalise=normalise))
        progress("samples", done, len(names))
    left = sorted(set(a.samples) ^ set(b.samples)) if not samples else []
    notes = [f"not in both, left out: {', '.join(left)}"] if left else []
    differing = differing_settings(a, b)
    if differing:
        notes.append(f"the configs differ in {', '.join(differing)}: what that changes is part of the ratios")
    own, other = a.config.luminosity_ifb, b.config.luminosity_ifb
    if own != other:
        scaled, fixed = {s.factor for s in found if s.factor != 1.0}, [s.name for s in found if s.factor == 1.0]
        told = [f"simulated weights of B are multiplied by {next(iter(scaled)):.6g}"] if scaled else []
        told += [f"data and estimates of B are not scaled ({', '.join(fixed)})"] if fixed else []
        notes.append(f"luminosities {own:g} and {other:g} /fb: {'; '.join(told)}")
    return RunComparison(_labels(a, b), (a, b), normalise, tuple(found), tuple(notes))


def _labels(a: FinishedRun, b: FinishedRun) -> tuple[str, str]:
    names = (a.folder.resolve().name, b.folder.resolve().name)
    return names if names[0] != names[1] else (f"A: {names[0]}", f"B: {names[1]}")


def _common(asked: Sequence[str], a: Sequence[str], b: Sequence[str], *, what: str) -> tuple[str, ...]:
    """Return the names that were asked for, or all common ones."""
    for name in dict.fromkeys(asked):
        lacking = [side for side, own in (("A", a), ("B", b)) if name not in own]
        if lacking:
            expected = f"one of {[n for n in a if n in b]}"
            raise SchemaError(
                what, got=f"{name!r}, not in {' and '.join(lacking)}", expected=expected, remedy="name one that both runs have"
            )
    chosen = tuple(dict.fromkeys(asked)) or tuple(name for name in a if name in b)
    if not chosen:
        expected = f"at least one common {what.partition(' ')[0]}"
        raise SchemaError(what, got=f"{list(a)} in A, {list(b)} in B", expected=expected, remedy="process both with the same names")
    return chosen


def _sample(
    a: FinishedRun, b: FinishedRun, tables: tuple[EventTable, EventTable], *, observables: Sequence[str], bins: int, normalise: bool
) -> SampleComparison:
    name, factor = tables[0].sample, luminosity_factor(a, b, tables[0].sample)
    terms, notes = _terms(a, b, tables, factor)
    shared, same_files = shared_events(*tables), bool(a.inputs(name) & b.inputs(name))
    histograms: dict[tuple[str, str], PairedHistogram] = {}
    for observable in observables:
        values = (tables[0].observables[observable], tables[1].observables[observable])
        for term, weights in terms.items():
            try:
                compared = compare_values(values, weights, observable=observable, bins=bins, normalise=normalise)
            except (SchemaError, PhysicsDomainError) as error:
                notes.append(f"{observable}, {term}: not compared: {error.what}: {error.got}")
                continue
            if shared or same_files:
                compared = replace(compared, chi2=replace(compared.chi2, p_value=math.nan))
            histograms[term, observable] = compared
    if shared or same_files:
        what = f"{shared} events are in both runs" if shared else "A and B were made of the same ntuples"
        notes.insert(0, f"{what}: A and B are not independent, errors of ratios are too large or too small, and there are no p-values")
    notes += [f"the configs differ in {text}" for text in differing_sample(a, b, name)]
    yields = {term: compare_yields(*weights) for term, weights in terms.items()}
    moments = _moments(tables, terms, independent=not (shared or same_files)) if set(OBSERVABLES) <= set(observables) else {}
    return SampleComparison(name, (len(tables[0]), len(tables[1])), factor, shared, same_files, yields, histograms, moments, tuple(notes))


def _moments(
    tables: tuple[EventTable, EventTable], terms: Mapping[str, tuple[FloatArray, FloatArray]], *, independent: bool
) -> dict[str, MomentDifference]:
    """Compare the angular moments by term; those of an interference, which has no positive sum of weights, do not exist."""
    found = {}
    for term, weights in terms.items():
        a, b = (observed_moments(table.observables, own) for table, own in zip(tables, weights, strict=True))
        if a is not None and b is not None:
            compared = compare_moments(a, b)
            found[term] = compared if independent else replace(compared, test=replace(compared.test, p_value=math.nan))
    return found


def _terms(
    a: FinishedRun, b: FinishedRun, tables: tuple[EventTable, EventTable], factor: float
) -> tuple[dict[str, tuple[FloatArray, FloatArray]], list[str]]:
    """Return the weights of both by term, and what is to be said of them."""
    found, reasons = zip(*(run.terms(table) for run, table in zip((a, b), tables, strict=True)), strict=True)
    notes = [f"{side}: {reason}" for side, reason in zip("AB", reasons, strict=True) if reason]
    only = sorted(set(found[0]) ^ set(found[1]))
    if only:
        notes.append(f"terms that only one of the runs knows: {', '.join(only)}")
    pairs = {
        TOTAL: (tables[0].weight, tables[1].weight),
        **{term: (found[0][term], found[1][term]) for term in found[0] if term in found[1]},
    }
    for term, weights in pairs.items():
        _require_finite(term, weights, tables)
    return {term: (left, np.asarray(right * factor)) for term, (left, right) in pairs.items()}, notes


def _require_finite(term: str, weights: tuple[FloatArray, FloatArray], tables: tuple[EventTable, EventTable]) -> None:
    for side, own, table in zip("AB", weights, tables, strict=True):
        if not np.isfinite(own).all():
            row = int(np.argmin(np.isfinite(own)))
            what = f"weight ({term}) of event {table.event_id[row]} of sample {table.sample} in {side}"
            raise PhysicsDomainError(what, got=own[row], expected="a finite number", remedy="process the ntuples again")


def _order(row: ComparisonRow) -> tuple[bool, float]:
    test = row.histogram.chi2
    if math.isfinite(test.p_value):
        return (False, test.p_value)
    return (True, -test.chi2 / max(test.ndf, 1))

"""Intervals from toys: the part of the stage `fit` that runs when the config asks for a Neyman construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toolkit.analysis.data import FitData
from toolkit.analysis.experiments import Experiment, Full, toy_source
from toolkit.analysis.layout import INTERVALS, TOYS
from toolkit.analysis.methods import Method
from toolkit.analysis.model import FitModel
from toolkit.analysis.session import Session
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import Likelihood, MethodResult, OnnxRatio, ParameterResult, Results
from toolkit.likelihood.coverage import check_coverage
from toolkit.likelihood.neyman import NeymanBands, NeymanResult, construct_bands, grid_points, neyman_intervals
from toolkit.likelihood.parameter_results import LEVELS, CoveragePoint
from toolkit.likelihood.scans import Interval
from toolkit.likelihood.toy_lines import LineSource
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.likelihood.toys import ToySource
from toolkit.typing import JsonObject
from toolkit.weights import SimulatedEvents

QUICK = 5e8
"""Events in all toys of a method that `interval: auto` draws: about a minute."""
TOO_MANY = "toys with several free parameters take long; `interval: neyman` does it"
EDGE = 1e-6
"""Distance from the edge of the range, as a share of it, from which an interval ends inside."""


def write_intervals(
    session: Session,
    methods: Sequence[Method],
    *,
    test: SimulatedEvents,
    ratio: OnnxRatio,
    full: Full | None = None,
    data: Sequence[FitData] = (),
    workers: Workers = run_here,
) -> JsonObject | None:
    """Write `workspace/intervals.json` if the config asks for it; finished toys are kept in `workspace/toys/`.

    The construction of the data is that of the Asimov set where there are no other parameters. Where there are, it is one of
    its own: at every value of the parameter of interest the toys have the other parameters that fit the data best.

    Args:
        session: Where results are read and written.
        methods: All methods.
        test: The simulated test events.
        ratio: The exported networks.
        full: Gives the likelihoods with nuisance parameters, if there are any.
        data: The data, if they are fitted.
        workers: Where toys run.

    Returns:
        What was written; `left_out` has the reason where `interval: auto` found toys to be too slow. None if the config wants no toys.

    Raises:
        SchemaError: The config names a method that there is not.
    """
    config = session.config
    if not (config.neyman or config.quick_neyman):
        return None
    settings, named = config.likelihood.toys, {method.name: method for method in methods}
    unknown = sorted(set(settings.methods) - set(named)) if config.neyman else []
    if unknown:
        what = "likelihood.toys.methods"
        raise SchemaError(what, got=unknown, expected=f"methods among {sorted(named)}", remedy="correct the names in the config")
    folder = make_folder(session.work / TOYS)
    experiment = Experiment(config, test, ratio, full if settings.nuisances == "profiled" else None)
    nuisances = "none" if full is None else settings.nuisances
    found: JsonObject = {}
    left_out: JsonObject = {}
    for poi in config.neyman:
        constructions = [Construction(session, experiment, named[name], workers, folder, poi) for name in settings.methods]
        found[poi] = _of_parameter(constructions, data)
    for poi in config.quick_neyman:
        constructions = [Construction(session, experiment, method, workers, folder, poi) for method in methods]
        made, reasons = _quick(constructions, data) if full is None else ({"methods": {}}, [TOO_MANY])
        if made["methods"]:
            found[poi] = made
        if reasons:
            left_out[poi] = "; ".join(dict.fromkeys(reasons))
    document: JsonObject = {
        "schema": 1,
        "draw": settings.draw,
        "nuisances": nuisances,
        "automatic": not config.neyman,
        "left_out": left_out,
    }
    document |= {"parameters": found} if config.general else found.get(config.parameter.name, {"methods": {}})
    write_json(session.work / INTERVALS, document)
    return document


def with_constructed(results: Results, intervals: JsonObject) -> Results:
    """Put intervals from toys beside the asymptotic ones of the same parameters and methods.

    Args:
        results: The results.
        intervals: What `write_intervals` wrote for them.

    Returns:
        The results, where every method has `parameters`: those whose intervals come from toys have the `interval_kind` "neyman", with the
        asymptotic ones and their coverage beside them. `interval_68` and `interval_95` of the methods stay asymptotic. Notes say so.
    """
    made_for = intervals["parameters"] if "parameters" in intervals else {results.poi: intervals} if intervals["methods"] else {}

    def beside(methods: Mapping[str, MethodResult], part: str) -> dict[str, MethodResult]:
        out = dict(methods)
        for poi, document in made_for.items():
            for name, entry in document.get(part, {}).items():
                made, known = NeymanResult.from_json(entry), out[name]
                narrow, wide = (tuple(Interval(i.low, i.high, i.at_boundary) for i in made.intervals[level]) for level in LEVELS)
                own = known.parameters[poi]
                changed = replace(
                    own,
                    interval_68=narrow,
                    interval_95=wide,
                    interval_kind="neyman",
                    asymptotic_68=own.interval_68,
                    asymptotic_95=own.interval_95,
                    coverage=asymptotic_coverage(made.bands, own),
                )
                out[name] = replace(known, parameters={**known.parameters, poi: changed})
        return out

    kind = {"profiled": ", nuisance parameters profiled", "fixed": ", statistical uncertainties alone", "none": ""}[intervals["nuisances"]]
    notes = tuple(
        f"intervals of {poi} by {', '.join(document['methods'])} are Neyman constructions from toys{kind}"
        for poi, document in made_for.items()
    )
    reasons = {poi: reason for poi, reason in intervals.get("left_out", {}).items() if reason != TOO_MANY}  # which is nothing unusual
    notes += tuple(f"intervals of {poi} that are asymptotic alone: {reason}" for poi, reason in reasons.items())
    results = results.with_parameters()
    observed = results.observed
    if observed is not None:
        observed = replace(observed, methods=beside(observed.methods, "observed"))
    return replace(results, methods=beside(results.methods, "methods"), observed=observed, notes=(*results.notes, *notes))


def asymptotic_coverage(bands: NeymanBands, result: ParameterResult) -> dict[str, tuple[CoveragePoint, ...]]:
    """Return how often asymptotic intervals hold the best fit, and the values at which the ones of a result end inside the range.

    Args:
        bands: The construction, with its toys.
        result: The asymptotic result.
    """
    low, high = bands.range
    found: dict[str, tuple[CoveragePoint, ...]] = {}
    if not bands.asymptotic:
        return found
    for level, pieces in (("68", result.interval_68), ("95", result.interval_95)):
        ends = [end for piece in pieces for end in (piece.low, piece.high)]
        inside = [end for end in ends if low + EDGE * (high - low) < end < high - EDGE * (high - low)]
        truths = dict.fromkeys([min(max(result.best_fit, low), high), *inside])
        found[level] = tuple(CoveragePoint(at, *bands.asymptotic_coverage(level, at)) for at in truths)
    return found


def _quick(constructions: Sequence[Construction], data: Sequence[FitData]) -> tuple[JsonObject, list[str]]:
    """Construct the intervals of the methods whose toys take seconds; return them, and why there are none of the others."""
    made: JsonObject = {"methods": {}}
    reasons = []
    for construction in constructions:
        reason = construction.slow
        if construction.profiles:
            return made, [reason]
        if not reason:
            try:
                own = _of_parameter([construction], data)
            except PhysicsDomainError as error:
                reason = f"toys cannot be drawn ({error.what}, got {error.got})"
            else:
                for part, entries in own.items():
                    made.setdefault(part, {}).update(entries)
        if reason:
            reasons.append(f"{construction.method.name}: {reason}")
    return made, reasons


def _of_parameter(constructions: Sequence[Construction], data: Sequence[FitData]) -> JsonObject:
    """Construct the intervals of one parameter by several methods, for the Asimov set and for data."""
    parts: dict[str, JsonObject] = {}
    observed: dict[str, JsonObject] = {}
    for construction in constructions:
        name, experiment = construction.method.name, construction.experiment
        bands = construction.bands(construction.asimov, label=name)
        parts[name] = {**construction.result(bands, construction.asimov), "coverage": construction.coverage(bands)}
        for own in data:
            likelihood = experiment.of_data(own, name)
            if construction.profiles:
                bands = construction.bands(likelihood, label=own.named(name))
            observed[name] = construction.result(bands, likelihood)
    return {"methods": parts, **({"observed": observed} if data else {})}


@dataclass(frozen=True, eq=False)
class Construction:
    """Neyman constructions for one method.

    Attributes:
        session: Where results are read and written.
        experiment: Events, networks and likelihoods.
        method: The method.
        workers: Where toys run.
        folder: Where finished toys are kept.
        poi: Parameter of interest.
    """

    session: Session
    experiment: Experiment
    method: Method
    workers: Workers
    folder: Path
    poi: str

    @cached_property
    def asimov(self) -> Likelihood:
        """The likelihood of the Asimov set."""
        return self.experiment.of_asimov(self.method)

    @cached_property
    def source(self) -> ToySource:
        """What toys are drawn from."""
        return toy_source(self.experiment, self.method)

    @property
    def slow(self) -> str:
        """Why toys take more than seconds; empty if they do not."""
        if self.profiles:
            return TOO_MANY
        settings = self.session.config.likelihood.toys
        try:
            lines = self.source.lines if isinstance(self.source, LineSource) else None
        except (PhysicsDomainError, SchemaError) as error:
            return f"toys cannot be drawn ({error.what}, got {error.got})"
        if lines is None:
            return "toys of this likelihood are fitted one by one; `interval: neyman` does it"
        if lines.expected * settings.per_point * settings.grid_points > QUICK:
            return f"toys of {lines.expected:.3g} events take long; `interval: neyman` does it"
        return ""

    @property
    def profiles(self) -> bool:
        """Whether there are other free parameters, so that the truth of toys depends on the data."""
        return sum(not p.fixed for p in self.asimov.parameters) > 1

    @property
    def _range(self) -> tuple[float, float]:
        return FitModel.of(self.session.config).bounds[self.poi]

    def _file(self, label: str) -> Path:
        """Return where toys are kept; an analysis of several parameters has those of each."""
        return self.folder / (f"{label}_{self.poi}.jsonl" if self.session.config.general else f"{label}.jsonl")

    def bands(self, likelihood: Likelihood, *, label: str) -> NeymanBands:
        """Find the acceptance regions; all other parameters have the values that fit the data of a likelihood best."""
        settings, poi = self.session.config.likelihood.toys, self.poi
        return construct_bands(
            self.source,
            grid_points(likelihood, points=settings.grid_points, poi=poi),
            poi=poi,
            toys=settings.per_point,
            seed=settings.seed,
            low=self._range[0],
            root=poi in likelihood.diverging,
            workers=self.workers,
            file=self._file(label),
            progress=self.session.progress,
        )

    def result(self, bands: NeymanBands, likelihood: Likelihood) -> JsonObject:
        """Find the intervals of the data of a likelihood."""
        values = np.linspace(*self._range, self.session.config.likelihood.scan_points)
        return neyman_intervals(bands, likelihood, values=values).to_json()

    def coverage(self, bands: NeymanBands) -> list[JsonObject]:
        """Check the coverage on toys of their own, at the truths that the config names."""
        settings, poi = self.session.config.likelihood.toys, self.poi
        checks = check_coverage(
            self.source,
            bands,
            [self.asimov.fit(fixed={poi: mu}).parameters for mu in settings.coverage_at],
            toys=settings.coverage_toys,
            seed=settings.seed + 1,
            workers=self.workers,
            file=self._file(f"{self.method.name}_coverage"),
            progress=self.session.progress,
        )
        return [check.to_json() for check in checks]

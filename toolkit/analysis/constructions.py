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
from toolkit.errors import SchemaError
from toolkit.likelihood import Likelihood, MethodResult, OnnxRatio, Results
from toolkit.likelihood.coverage import check_coverage
from toolkit.likelihood.neyman import NeymanBands, NeymanResult, construct_bands, grid_points, neyman_intervals
from toolkit.likelihood.scans import Interval
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.likelihood.toys import ToySource
from toolkit.typing import JsonObject
from toolkit.weights import SimulatedEvents


def write_intervals(
    session: Session,
    methods: Sequence[Method],
    *,
    test: SimulatedEvents,
    ratio: OnnxRatio,
    full: Full | None = None,
    recorded: Sequence[FitData] = (),
    workers: Workers = run_here,
) -> JsonObject | None:
    """Write `workspace/intervals.json` if the config asks for it; finished toys are kept in `workspace/toys/`.

    The construction of the recorded events is that of the Asimov set where there are no other parameters. Where there are, it is one of
    its own: at every value of the parameter of interest the toys have the other parameters that fit the recorded events best.

    Args:
        session: Where results are read and written.
        methods: All methods.
        test: The simulated test events.
        ratio: The exported networks.
        full: Gives the likelihoods with nuisance parameters, if there are any.
        recorded: The recorded events, if they are fitted.
        workers: Where toys run.

    Returns:
        What was written; None if the config does not ask for it.

    Raises:
        SchemaError: The config names a method that there is not.
    """
    config = session.config
    wanted = config.neyman
    if not wanted:
        return None
    settings, named = config.likelihood.toys, {method.name: method for method in methods}
    unknown = sorted(set(settings.methods) - set(named))
    if unknown:
        what = "likelihood.toys.methods"
        raise SchemaError(what, got=unknown, expected=f"methods among {sorted(named)}", remedy="correct the names in the config")
    folder = make_folder(session.work / TOYS)
    experiment = Experiment(config, test, ratio, full if settings.nuisances == "profiled" else None)
    nuisances = "none" if full is None else settings.nuisances
    document: JsonObject = {"schema": 1, "draw": settings.draw, "nuisances": nuisances}
    found = {}
    for poi in wanted:
        constructions = [Construction(session, experiment, named[name], workers, folder, poi) for name in settings.methods]
        found[poi] = _of_parameter(constructions, recorded)
    document |= {"parameters": found} if config.general else found[wanted[0]]
    write_json(session.work / INTERVALS, document)
    return document


def with_constructed(results: Results, intervals: JsonObject) -> Results:
    """Put intervals from toys into the place of the asymptotic ones of the same parameters and methods.

    Args:
        results: The results of an analysis with `parameters`.
        intervals: What `write_intervals` wrote for them; the asymptotic intervals stay there.

    Returns:
        The results; `interval_kind` of the changed parameters is "neyman", and a note says so.
    """

    def replaced(methods: Mapping[str, MethodResult], part: str) -> dict[str, MethodResult]:
        out = dict(methods)
        for poi, document in intervals["parameters"].items():
            for name, entry in document.get(part, {}).items():
                own, known = NeymanResult.from_json(entry).intervals, out[name]
                narrow, wide = (tuple(Interval(i.low, i.high, i.at_boundary) for i in own[level]) for level in ("68", "95"))
                changed = replace(known.parameters[poi], interval_68=narrow, interval_95=wide, interval_kind="neyman")
                out[name] = replace(known, parameters={**known.parameters, poi: changed})
                if poi == known.scan.parameter:
                    out[name] = replace(out[name], interval_68=narrow, interval_95=wide)
        return out

    kind = {"profiled": ", nuisance parameters profiled", "fixed": ", statistical uncertainties alone", "none": ""}[intervals["nuisances"]]
    notes = tuple(
        f"intervals of {poi} by {', '.join(document['methods'])} are Neyman constructions from toys{kind}"
        for poi, document in intervals["parameters"].items()
    )
    observed = results.observed
    if observed is not None:
        observed = replace(observed, methods=replaced(observed.methods, "observed"))
    return replace(results, methods=replaced(results.methods, "methods"), observed=observed, notes=(*results.notes, *notes))


def _of_parameter(constructions: Sequence[Construction], recorded: Sequence[FitData]) -> JsonObject:
    """Construct the intervals of one parameter by several methods, for the Asimov set and for recorded events."""
    parts: dict[str, JsonObject] = {}
    observed: dict[str, JsonObject] = {}
    for construction in constructions:
        name, experiment = construction.method.name, construction.experiment
        bands = construction.bands(construction.asimov, label=name)
        parts[name] = {**construction.result(bands, construction.asimov), "coverage": construction.coverage(bands)}
        for data in recorded:
            likelihood = experiment.of_recorded(data, name)
            if construction.profiles:
                bands = construction.bands(likelihood, label=data.named(name))
            observed[name] = construction.result(bands, likelihood)
    return {"methods": parts, **({"observed": observed} if recorded else {})}


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

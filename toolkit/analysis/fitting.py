"""From event tables and exported networks to the results of all methods, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from toolkit.analysis.build import build_methods, open_ratio, read_nodes, read_out_of_bag
from toolkit.analysis.cross_fit import cross_fit_notes
from toolkit.analysis.data import FitData
from toolkit.analysis.datasets import read_data, read_simulation
from toolkit.analysis.layout import MODEL, OUT_OF_BAG
from toolkit.analysis.measurements import measure_all, truth_weights
from toolkit.analysis.methods import BinnedMethod, Method
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Systematics, read_systematics
from toolkit.analysis.region_build import build_region_methods
from toolkit.analysis.region_checks import data_notes, region_notes, require_measurable
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.regions import learned_events, split_events
from toolkit.analysis.session import Session
from toolkit.analysis.several import measure_regions
from toolkit.likelihood import OnnxRatio, Results
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.weights import SimulatedEvents


@dataclass(frozen=True, eq=False)
class Fit:
    """The results of an analysis, and what they were made from.

    Attributes:
        results: Best fits, intervals and closure of every method.
        methods: All methods.
        datasets: The Asimov set, then the data if the config asks for them.
        training: Simulated events that templates, yields and networks come from.
        test: Simulated events of the Asimov set.
        ratio: The exported networks.
        systematics: All systematic uncertainties.
    """

    results: Results
    methods: Sequence[Method | RegionMethod]
    datasets: tuple[FitData, ...]
    training: SimulatedEvents
    test: SimulatedEvents
    ratio: OnnxRatio
    systematics: Systematics


def fit(session: Session) -> Fit:
    """Build all methods of a config, fit them to the Asimov set of the test events, and test their closure.

    Args:
        session: `session.out` holds the event tables, `models/mixture.onnx` and `models/out_of_bag.npz`.

    Raises:
        ArtifactMismatchError: Tables or networks belong to another config.
    """
    found = _fit_regions(session) if session.config.general else _fit_one(session)
    notes = (*cross_fit_notes(session.config, found.test), *found.results.notes)
    return replace(found, results=replace(found.results, notes=notes))


def _fit_one(session: Session) -> Fit:
    """Fit one parameter of interest to all events."""
    config = session.config
    training, test = read_simulation(session)
    ratio = open_ratio(session.out / MODEL, config)
    nodes = read_nodes(session.out / OUT_OF_BAG) if isinstance(ratio, RatioAtPoints) else None
    out_of_bag = read_out_of_bag(session.out / OUT_OF_BAG, training)
    methods = build_methods(config, training=training, test=test, ratio=ratio, out_of_bag=out_of_bag, nodes=nodes)
    systematics = read_systematics(session, {m.name: m.fill for m in methods if isinstance(m, BinnedMethod)}, training=training)
    model = FitModel.of(config)
    asimov = FitData(test, truth_weights(test, model, model.truth), methods, systematics, model)
    datasets = (asimov, *read_observed(session, asimov))
    results = measure_all(config, datasets, training=training, test=test, progress=session.progress, tasks=session.tasks)
    return Fit(results, methods, datasets, training, test, ratio, systematics)


def _fit_regions(session: Session) -> Fit:
    """Fit all parameters of interest to all regions."""
    config = session.config
    training, test = read_simulation(session)
    ratio, learned = open_ratio(session.out / MODEL, config), learned_events(config, training)
    out_of_bag = read_out_of_bag(session.out / OUT_OF_BAG, learned)
    methods = build_region_methods(config, training=training, test=test, ratio=ratio, out_of_bag=out_of_bag)
    require_measurable(methods[-1])
    fills = {name: fill for method in methods for name, fill in method.fills().items()}
    systematics = read_systematics(session, fills, training=training)
    model, events = FitModel.of(config), split_events(test, config.model)
    asimov = FitData(events, truth_weights(events, model, model.truth), methods, systematics, model)
    datasets = (asimov, *read_observed(session, asimov))
    results = measure_regions(config, datasets, training=training, test=test, progress=session.progress, tasks=session.tasks)
    notes = (*region_notes(methods[-1], test, model), *(note for data in datasets[1:] for note in data_notes(data)))
    return Fit(replace(results, notes=notes), methods, datasets, training, test, ratio, systematics)


def read_observed(session: Session, asimov: FitData) -> tuple[FitData, ...]:
    """Return the data as data, if the config asks for them; nothing is read if it does not."""
    if not session.config.likelihood.observed:
        return ()
    return (asimov.for_events(read_data(session), label="observed"),)

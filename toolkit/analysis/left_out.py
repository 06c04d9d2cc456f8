"""What the unbinned channel does not know of the systematic variations: `workspace/left_out.json`.

A variation changes the densities of all features. The unbinned fit knows the part that learned networks, or the bins of one histogram,
show; binned fits of other observables may see more. Here every feature of the varied test events is compared with the nominal ones,
reweighted with what the fit knows. Nominal and varied events are the same simulated events, so that little escapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.analysis.data import FitData, yields_and_shape
from toolkit.analysis.datasets import read_pairs, read_simulation
from toolkit.analysis.layout import EVENTS, LEFT_OUT
from toolkit.analysis.lost import measure_loss
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.regions import in_region
from toolkit.analysis.session import Session
from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.events import variations_of
from toolkit.config import Config, WeightMembers
from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.edges import observable_edges
from toolkit.diagnostics.variations import VariationClosure, close_variation
from toolkit.model import Region
from toolkit.typing import FloatArray
from toolkit.weights.pairs import EventPairs

UNBINNED = "nsbi"
"""Name of the unbinned method."""
PROBABILITY = 1e-4
"""p-value below which a change of a feature is beyond the statistics of the simulation."""


@dataclass(frozen=True)
class LeftOut:
    """The largest change of a feature that the unbinned fit does not know of, for one systematic and process.

    Attributes:
        systematic: Name of the nuisance parameter.
        variation: The variation with the largest change: NAME_up, NAME_down, or a member of a set.
        process: The process.
        feature: The feature that changes most.
        size: What is left out, in standard deviations of data that hold this process alone.
        whole: The whole change of this feature, in the same unit.
        p: Probability of the part that is left out, were it a fluctuation of the simulation.
        features: All features with a change that is left out and beyond statistics.
        region: Region of the fit; empty where there are none.
    """

    systematic: str
    variation: str
    process: str
    feature: str
    size: float
    whole: float
    p: float
    features: tuple[str, ...]
    region: str = ""


def varied_names(config: Config) -> tuple[str, ...]:
    """Return the systematics that vary events or their weights in the fit.

    Examples:
        >>> from toolkit.config import load_config
        >>> from toolkit.example import demo_config
        >>> varied_names(load_config(demo_config()))
        ()
    """
    return (*config.table_systematics, *config.systematics.weights) if config.likelihood.systematics else ()


def write_left_out(session: Session, data: FitData) -> None:
    """Look at every feature under every variation, and write those with changes that the unbinned fit does not know of, and their price.

    Args:
        session: Where event tables are read and the result is written.
        data: The Asimov set with its systematics.
    """
    config = session.config
    events = read_simulation(session)
    edges = {name: observable_edges(events[1], name) for name in config.ratios.features}
    places = _places(data)
    found: list[LeftOut] = []
    for k, name in enumerate(varied_names(config)):
        networks = data.systematics.learned
        known = set() if networks is None else {networks.output_of(density) for density in networks.processes.get(name, ())}
        learned = networks is not None and name in networks.names
        closures: dict[tuple[str, str], list[tuple[str, VariationClosure]]] = {}
        for variation in _variations(session, name):
            everywhere = read_pairs(session, variation=variation)
            for region, shape in places:
                training, test = everywhere if region is None else (_inside(region, side) for side in everywhere)
                changed = test.affected(tuple(edges)) & (test.nominal_weights.sum(axis=0) > 0.0)
                for process, is_changed in zip(test.processes, changed, strict=True):
                    if is_changed and process not in known:
                        own = _closures(training, test, None if learned else shape, process, edges=edges)
                        key = ("" if region is None else region.name, process)
                        closures.setdefault(key, []).extend((variation, closure) for closure in own)
        least = config.systematics.ratios.prune.separation
        judged = ((place, judge(name, process, own, least=least)) for (place, process), own in closures.items())
        found += [replace(one, region=place) for place, one in judged if one is not None]
        session.progress("what is left out", k + 1, len(varied_names(config)))
    losses = {
        key: measure_loss(data, key[0], training=events[0], region=key[1]) for key in dict.fromkeys((o.systematic, o.region) for o in found)
    }
    prices = {key: {"losses": [vars(loss) for loss in own]} for key, own in losses.items() if own}
    rows = [vars(one) | prices.get((one.systematic, one.region), {}) for one in sorted(found, key=lambda one: -one.size)]
    write_json(session.work / LEFT_OUT, {"schema": 3, "variations": rows})


def _places(data: FitData) -> list[tuple[Region | None, BinnedMethod | None]]:
    """Return the unbinned regions and the histogram in which each takes its variations; None for all events without regions."""
    parts = next((m.parts for m in data.methods if isinstance(m, RegionMethod) and m.name == UNBINNED), None)
    if parts is None:
        return [(None, yields_and_shape(data.methods)[1])]
    return [(p.region, yields_and_shape(p.siblings)[1]) for p in parts if isinstance(p.method, UnbinnedMethod)]


def _inside(region: Region, pairs: EventPairs) -> EventPairs:
    """Return the pairs that are in a region on either side; a side outside has no weight there, and the observables of the other."""
    nominal, varied = (in_region(region, side) for side in (pairs.nominal, pairs.varied))
    inside = EventPairs(
        pairs.processes,
        pairs.event_id,
        {name: np.where(nominal, values, pairs.varied[name]) for name, values in pairs.nominal.items()},
        {name: np.where(varied, values, pairs.nominal[name]) for name, values in pairs.varied.items()},
        pairs.nominal_weights * nominal[:, np.newaxis],
        pairs.varied_weights * varied[:, np.newaxis],
    )
    return inside.select(nominal | varied)


def judge(name: str, process: str, closures: Sequence[tuple[str, VariationClosure]], *, least: float) -> LeftOut | None:
    """Return the largest change that is left out; None where none is beyond statistics and at least `least` standard deviations of data.

    Args:
        name: The systematic.
        process: The process.
        closures: Variation and closure, of every feature.
        least: Smallest size that is worth a word.
    """
    beyond = [(v, c) for v, c in closures if c.after.p_value < PROBABILITY and c.visible_after >= least]
    if not beyond:
        return None
    variation, worst = max(beyond, key=lambda pair: pair[1].visible_after)
    features = tuple(dict.fromkeys(c.observable for _, c in beyond))
    return LeftOut(
        name, variation, process, worst.observable, worst.visible_after, worst.visible_before, float(worst.after.p_value), features
    )


def _closures(
    training: EventPairs, test: EventPairs, shape: BinnedMethod | None, process: str, *, edges: Mapping[str, FloatArray]
) -> tuple[VariationClosure, ...]:
    """Compare every feature with what the bins of a histogram know, or with nothing."""
    if shape is None:
        return close_variation(test, np.zeros(len(test)), process, edges=edges)
    known = log_ratio_in_bins(training, test, shape, process)
    return close_variation(test, known, process, edges=edges, inflation=1.0 + len(test) / len(training))


def log_ratio_in_bins(training: EventPairs, test: EventPairs, shape: BinnedMethod, process: str) -> FloatArray:
    """Return ln(varied/nominal density) of the test events as the bins of a histogram show it, (n_test,)."""
    j, edges, name = training.processes.index(process), shape.templates.edges, str(shape.observable)
    sides = ((training.nominal, training.nominal_weights), (training.varied, training.varied_weights))
    shares = []
    for observables, weights in sides:
        sums = bin_sums(clipped_index(observables[name], edges), len(edges) - 1, weights[:, j])
        shares.append(sums / sums.sum())
    good = (shares[0] > 0.0) & (shares[1] > 0.0)
    logs = np.log(np.divide(shares[1], shares[0], out=np.ones_like(shares[0]), where=good))
    index: Any = clipped_index(test.nominal[name], edges)
    return np.where(index >= 0, logs[index], 0.0)


def _variations(session: Session, name: str) -> tuple[str, ...]:
    section = session.config.systematics.weights.get(name)
    if isinstance(section, WeightMembers):
        return tuple(f"{name}_{k}" for k in section.members)
    present = {v for s in session.config.simulated for v in variations_of(session.out / EVENTS, s.name)}
    return tuple(f"{name}_{d}" for d in ("up", "down") if f"{name}_{d}" in present)

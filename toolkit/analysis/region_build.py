"""Builds the methods of a config with regions, several parameters of interest or free normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from toolkit.analysis.build import all_methods, configured_histogram
from toolkit.analysis.cross_fit import cross_fitted, log_ratios_of
from toolkit.analysis.datasets import Events
from toolkit.analysis.methods import BinnedMethod, Method, histogram_method
from toolkit.analysis.model import FitModel
from toolkit.analysis.others import documents_of_others, workspaces_of_others
from toolkit.analysis.region_method import Part, RegionMethod
from toolkit.analysis.regions import Selection, learned_events, network_outputs, select_regions, split_events, split_ratios
from toolkit.config import Config
from toolkit.likelihood import OnnxRatio
from toolkit.model import Model
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents


def build_region_methods(
    config: Config, *, training: SimulatedEvents, test: SimulatedEvents, ratio: OnnxRatio, out_of_bag: FloatArray
) -> tuple[RegionMethod, ...]:
    """Build every method: they differ in how they read the unbinned regions, and share all others.

    Args:
        config: The analysis.
        training: Training events of all regions; processes are the whole densities.
        test: Test events, likewise.
        ratio: The exported networks.
        out_of_bag: Log ratios of the training events of the unbinned regions, (n_learned, n_whole).

    Returns:
        Counts, the histograms of the config, the networks' score in bins, and the unbinned likelihood.
    """
    model = config.model
    selections = select_regions(config, training=training, test=test)
    learned = learned_events(config, training)
    position = np.cumsum(np.any([s.training for s in selections if s.region.kind == "unbinned"], axis=0)) - 1
    unbinned = [s for s in selections if s.region.kind == "unbinned"]
    regions = [_Unbinned(config, model, s, training, test, ratio, out_of_bag[position[s.training]], learned.yields) for s in unbinned]
    built = [r.methods() for r in regions]
    others = [_binned_part(config, model, s, training=training, test=test) for s in selections if s.region.kind != "unbinned"]
    documents = documents_of_others(config)
    foreign = workspaces_of_others(config)
    names = [method.name for method in built[0]]
    found = []
    for k, name in enumerate(names):
        parts = [r.part(methods[k], methods, n=len(unbinned)) for r, methods in zip(regions, built, strict=True)]
        found.append(RegionMethod(name, model, model.interest[0].name, (*parts, *others), foreign, documents))
    return tuple(found)


class _Unbinned:
    """The methods of one unbinned region."""

    def __init__(  # noqa: PLR0917 - everything that a region is made of
        self,
        config: Config,
        model: Model,
        selection: Selection,
        training: SimulatedEvents,
        test: SimulatedEvents,
        ratio: OnnxRatio,
        out_of_bag: FloatArray,
        whole: FloatArray,
    ) -> None:
        self.config, self.model, self.selection, self.ratio, self.whole = config, model, selection, ratio, whole
        region = selection.region.name if model.regions else None
        self.fit_model = FitModel.of(config, region=region)
        self.training, self.test = (
            split_events(e.select(mask), model) for e, mask in ((training, selection.training), (test, selection.test))
        )
        self.yields = self.training.yields
        self.out_of_bag = self._of_parts(out_of_bag, self.training)

    def _of_parts(self, log_ratios: FloatArray, events: SimulatedEvents) -> FloatArray:
        return split_ratios(log_ratios, events.observables, self.model, yields=self.yields, whole=self.whole)

    def evaluate(self, events: Events) -> FloatArray:
        """Return the log ratios of the densities, parts included, (n_events, n_densities)."""
        log_ratios = log_ratios_of(self.ratio, events)
        return split_ratios(log_ratios, events.observables, self.model, yields=self.yields, whole=self.whole)

    def methods(self) -> tuple[Method, ...]:
        """Build all methods."""
        log_ratios = (self.out_of_bag, self.evaluate(self.test))
        return all_methods(
            self.config, self.fit_model, training=self.training, test=self.test, log_ratios=log_ratios, evaluate=self.evaluate
        )

    def part(self, method: Method, siblings: Sequence[Method], *, n: int) -> Part:
        """Return what one of the methods does in this region; the histograms of several unbinned regions (n) are named apart."""
        region = self.selection.region
        renamed = [replace(m, name=f"{m.name}_{region.name}") if n > 1 else m for m in siblings]  # type: ignore[type-var]
        outputs = network_outputs(self.model, yields=self.yields, whole=self.whole)
        chosen = renamed[list(siblings).index(method)]
        return Part(region, chosen, self.fit_model, tuple(renamed), self.selection.test, self.selection.training, outputs)


def _binned_part(config: Config, model: Model, selection: Selection, *, training: SimulatedEvents, test: SimulatedEvents) -> Part:
    """Build the histogram or the count of one region."""
    region = selection.region
    inside, outside = (split_events(e.select(mask), model) for e, mask in ((training, selection.training), (test, selection.test)))
    fit_model = FitModel.of(config, region=region.name)
    section = config.regions[region.name].histogram
    if section is not None:
        method: BinnedMethod = configured_histogram(region.name, section, fit_model, training=inside, test=outside)
    else:
        values = (np.zeros(len(inside)), np.zeros(len(outside)))
        method = histogram_method(region.name, fit_model, training=inside, test=outside, values=values, edges=(-0.5, 0.5), observe=_nothing)
    [crossed] = cross_fitted([method], outside, config)
    return Part(region, crossed, fit_model, (crossed,), selection.test, selection.training)


def _nothing(events: Events) -> FloatArray:
    return np.zeros(len(events))

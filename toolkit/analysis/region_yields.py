"""Expected events of every density in every region of the fit, and what is in none of them."""

from __future__ import annotations

import numpy as np

from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.model import FitModel
from toolkit.analysis.regions import select_regions, split_events
from toolkit.config import Config
from toolkit.diagnostics.regions import RegionYields
from toolkit.weights import SimulatedEvents


def region_yields(config: Config, *, training: SimulatedEvents, test: SimulatedEvents) -> RegionYields:
    """Count the expected events of all regions that simulated events fill.

    Args:
        config: The analysis.
        training: Training events of all regions, with the whole densities; yields of the fit come from these.
        test: Test events, likewise; they are the data of the fit.
    """
    selections = select_regions(config, training=training, test=test)
    of_training, of_test = (split_events(events, config.model) for events in (training, test))
    model = FitModel.of(config)
    weights = truth_weights(of_test, model, model.truth)
    nowhere = ~np.any([s.test for s in selections], axis=0)
    return RegionYields(
        regions=tuple((s.region.name, s.region.kind, s.region.condition) for s in selections),
        processes=of_training.processes,
        yields=tuple(tuple(of_training.weights[s.training].sum(axis=0).tolist()) for s in selections),
        events=tuple(int(np.count_nonzero(s.test)) for s in selections),
        expected=tuple(float(weights[s.test].sum()) for s in selections),
        outside_events=int(np.count_nonzero(nowhere)),
        outside_expected=float(weights[nowhere].sum()),
    )

"""Regions of the config on the events of the report."""

from __future__ import annotations

import numpy as np

from toolkit.config import Config
from toolkit.pipeline.stages.estimate import region_masks
from toolkit.weights import SimulatedEvents


def test_regions_are_evaluated_where_their_columns_are_known():
    sample = {"name": "ggF_S", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_SBI", "ggF_B"]}
    regions = {"high": "m4l > 400", "two_jets": "n_jets >= 2 and m_jj > 100", "scored": "d_pre > 0"}
    config = Config.model_validate({"luminosity_ifb": 1.0, "samples": [sample], "regions": regions})
    observables = {
        "m4l": np.array([300.0, 500.0, 900.0]),
        "n_jets": np.array([2.0, 0.0, 3.0]),
        "m_jj": np.array([50.0, np.nan, 400.0]),
    }
    ids = np.arange(3, dtype=np.uint64)
    events = SimulatedEvents(("ggF_S",), ids, np.zeros(3, dtype=np.int64), ("ggF_S",), observables, np.ones((3, 1)))
    masks = region_masks(config, events)
    assert {name: mask.tolist() for name, mask in masks.items()} == {"high": [False, True, True], "two_jets": [False, False, True]}

"""A variation that is another set of files, from the ntuples to the templates and pairs of the fit, against direct sums of weights."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from processors import run
from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG
from toolkit.analysis.datasets import read_pairs, read_simulation
from toolkit.analysis.nuisances import read_systematics
from toolkit.analysis.session import Folder
from toolkit.artifacts.events import read_events
from toolkit.config import parse_config
from toolkit.weights import SimulatedEvents, hash_uniform

EDGES = np.array([220.0, 260.0, 320.0, 450.0, 2001.0])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = tmp_path_factory.mktemp("variations")
    write_first_events(folder, {"ggF_SBI": 600, "qqZZ": 1500})
    (folder / "other").mkdir()
    write_first_events(folder / "other", {"qqZZ": 900}, files=2)
    document: dict[str, Any] = copy.deepcopy(CONFIG)
    document["systematics"] = {
        "samples": {"generator": {"files_up": {"qqZZ": ["other/qqZZ_1.root"]}, "symmetrise": True}},
        "ratios": {"shape": "histogram"},
    }
    document["likelihood"]["ratio_uncertainty"] = False
    config = parse_config(document, folder=folder)
    run(config, folder / "out")
    return Folder(config, folder / "out")


def test_no_event_has_a_partner_among_those_of_other_files(session: Folder) -> None:
    training, test = read_pairs(session, variation="generator_up")
    for pairs, share in ((training, 1.0 - session.config.ratios.splits.test), (test, session.config.ratios.splits.test)):
        q = pairs.processes.index("qqZZ")
        nominal, varied = pairs.nominal_weights, pairs.varied_weights
        assert not np.any((nominal[:, q] != 0.0) & (varied[:, q] != 0.0))
        np.testing.assert_array_equal(nominal[:, :q], varied[:, :q])
        assert pairs.affected(("m4l",)).tolist() == [False] * q + [True]
        for weights, variation in ((nominal, "nominal"), (varied, "generator_up")):
            table = read_events(session.out / "events", "qqZZ", variation=variation)
            is_test = hash_uniform(table.event_id, salt=session.config.ratios.splits.salt) < session.config.ratios.splits.test
            own = table.weight[is_test if pairs is test else ~is_test]
            assert weights[:, q].sum() == pytest.approx(own.sum() / share, rel=1e-12)


def test_templates_vary_as_the_direct_sums_do_and_mirrored(session: Folder) -> None:
    training, _ = read_simulation(session)

    def fill(events: SimulatedEvents) -> Any:
        return np.stack([np.histogram(events.observables["m4l"], EDGES, weights=w)[0] for w in events.weights.T])

    found = read_systematics(session, {"m4l": fill}, training=training)
    assert found.groups["samples"] == ("generator",)
    ratios = found.ratios["m4l"]["generator"]
    sums = []
    for variation in ("nominal", "generator_up"):
        table = read_events(session.out / "events", "qqZZ", variation=variation)
        chosen = hash_uniform(table.event_id, salt=session.config.ratios.splits.salt) >= session.config.ratios.splits.test
        sums.append(np.histogram(table.observables["m4l"][chosen], EDGES, weights=table.weight[chosen])[0])
    np.testing.assert_allclose(ratios.up[-1], sums[1] / sums[0], rtol=1e-12)
    np.testing.assert_allclose(ratios.down, 1.0 / ratios.up, rtol=1e-12)
    np.testing.assert_array_equal(ratios.up[:-1], 1.0)

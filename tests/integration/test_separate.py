"""Samples that know their own weight only, on the command line, with the first events of the example ntuples."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.session import Folder
from toolkit.artifacts.events import read_events
from toolkit.cli import main
from toolkit.config import load_config
from toolkit.likelihood import OnnxRatio

pytestmark = pytest.mark.slow

SAMPLES = {"ggF_S": 700, "ggF_SBI": 1200, "ggF_B": 1200, "qqZZ": 1200}


def config_of() -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config["samples"] = [{"name": n, "files": [f"{n}_0.root"], "k_factor": 1.3 if n == "qqZZ" else 1.8} for n in SAMPLES]
    del config["systematics"], config["histograms"]["plane"]
    config["ratios"]["ensemble"] = {"subsets": "folds"}
    config["likelihood"] |= {"ratio_uncertainty": False, "closure_mu": [1.0, 3.0]}
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("separate")
    write_first_events(found, SAMPLES)
    (found / "config.yaml").write_text(yaml.safe_dump(config_of(), sort_keys=False))
    for command in ("process", "train", "export", "fit"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(found / "config.yaml"), "--out", str(found / "out")])
        assert not ended.value.code
    return found


def test_every_density_is_the_sum_over_its_own_sample(folder: Path) -> None:
    config = load_config(folder / "config.yaml")
    training, test = read_simulation(Folder(config, folder / "out"))
    for events, share in ((training, 0.6), (test, 0.4)):
        for j, name in enumerate(("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")):
            table = read_events(folder / "out" / "events", name)
            chosen = np.isin(table.event_id, events.event_id[events.sample_index == events.samples.index(name)])
            assert events.yields[j] == pytest.approx(table.weight[chosen].sum() / share, rel=1e-9)
    mu, root = 3.0, 3.0**0.5
    signed = test.weights_at([mu - root, root, 1.0 - root, 1.0])
    assert signed.sum() == pytest.approx(test.yields @ [mu - root, root, 1.0 - root, 1.0], rel=1e-12)


def test_one_network_learned_from_labels_and_its_density_is_positive(folder: Path) -> None:
    out = folder / "out"
    document = json.loads((out / "models" / "training.json").read_text())
    assert [[history["network"] for history in member] for member in document["members"]] == [["labels"]] * 6
    ratio = OnnxRatio(out / "models" / "mixture.onnx")
    table = read_events(out / "events", "ggF_SBI")
    yields = read_simulation(Folder(load_config(folder / "config.yaml"), out))[0].yields
    densities = np.exp(ratio(ratio.columns(table.observables))) * yields
    mu = np.linspace(0.0, 6.0, 200)
    assert np.all(densities @ np.stack([mu - mu**0.5, mu**0.5, 1.0 - mu**0.5, np.ones_like(mu)]) > 0.0)


def test_the_fit_quotes_the_error_of_the_finite_simulation(folder: Path) -> None:
    results = json.loads((folder / "out" / "workspace" / "fit.json").read_text())
    assert {"rate", "m4l", "score", "nsbi"} <= set(results["methods"])
    points = [p for p in results["closure"] if p["method"] == "nsbi"]
    assert [p["mu"] for p in points] == [1.0, 3.0]
    for point in points:
        assert point["test_error"] > 0.0
        assert point["standard_error"] == pytest.approx(np.hypot(point["test_error"], point["training_error"]), rel=1e-12)

"""The members of an ensemble as files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toolkit.analysis import datasets
from toolkit.config import RatioConfig, load_config
from toolkit.example import demo_config
from toolkit.likelihood import OnnxRatio
from toolkit.pipeline import member_export
from toolkit.pipeline.stages import export
from toolkit.ratios import EventClass, FeatureMap, Mixture, MixtureEnsemble, TrainedMixture
from toolkit.ratios.calibration import identity_calibration
from toolkit.ratios.network import MixtureNetwork, builder
from toolkit.ratios.single_member import CalibratedMember

FEATURES = ("m4l", "cos_theta_star")
GGF = EventClass("ggF", ("ggF_S", "ggF_SBI", "ggF_B"), (38.8, 474.4, 502.8), (4.32, 1.0), 1)
MIXTURE = Mixture((GGF, EventClass("qqZZ", ("qqZZ",), (1923.2,))))


def make_ensemble(x: torch.Tensor, n_members: int) -> MixtureEnsemble:
    generator = torch.Generator().manual_seed(4)
    feature_map = FeatureMap.fitted(FEATURES, x, fold=False)
    build = builder(RatioConfig(hidden=(8,)), feature_map)
    members = [MixtureNetwork(build, mixture=MIXTURE, generator=generator) for _ in range(n_members)]
    return MixtureEnsemble(feature_map, members, identity_calibration(MIXTURE)).double().eval()


@dataclass
class Simulation:
    observables: dict[str, Any]
    event_id: Any
    weights: Any


@pytest.fixture
def rows() -> Any:
    generator = np.random.default_rng(6)
    return np.stack([220.0 + generator.exponential(100.0, 300), generator.uniform(-1, 1, 300)], axis=1)


def test_only_member_is_the_ensemble(rows: Any) -> None:
    x = torch.from_numpy(rows)
    ensemble = make_ensemble(x, 1)
    torch.testing.assert_close(CalibratedMember(ensemble, 0)(x), ensemble(x)[0], rtol=1e-12, atol=1e-12)


def test_every_member_is_written(rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(rows)
    ensemble = make_ensemble(x, 3)
    events = Simulation(dict(zip(FEATURES, rows.T, strict=True)), np.arange(300), np.ones((300, 4)))
    monkeypatch.setattr(datasets, "read_simulation", lambda context: (events, events))
    trained = TrainedMixture(ensemble, ((), (), ()), np.empty((0, 4)), np.empty((0, 4)), RatioConfig())
    monkeypatch.setattr(export, "load_trained", lambda context, training: trained)
    files = member_export.export_members(load_config(demo_config()), tmp_path)
    assert [path.name for path in files] == ["member_00.onnx", "member_01.onnx", "member_02.onnx"]
    found = [OnnxRatio(path, threads=1) for path in files]
    for k, ratio in enumerate(found):
        assert not ratio.has_spread
        assert ratio.metadata.estimator == f"mixture, member {k} of 3"
        assert ratio.metadata.ensemble_size == 1
        np.testing.assert_allclose(ratio(rows), CalibratedMember(ensemble, k)(x).detach().numpy(), rtol=0, atol=1e-5)
    assert np.abs(found[0](rows) - found[1](rows)).max() > 0.01

"""Small ratio networks with four-lepton inputs, and a writer that knows their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from exports import OnnxExport, write_onnx
from tests.unit.exports.networks import FEATURES, NUMERATORS, Ensemble, Events, make_events


@pytest.fixture(scope="session")
def events() -> Events:
    return make_events(3000, seed=1)


@pytest.fixture(scope="session")
def make_ensemble(events: Events) -> Callable[..., Ensemble]:
    def make(*, n_members: int = 2, seed: int = 3) -> Ensemble:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Ensemble(events, n_members=n_members)

    return make


@pytest.fixture(scope="session")
def write() -> Callable[..., OnnxExport]:
    """Call write_onnx with the names above; keywords replace them."""

    def call(model: nn.Module, path: Path, *, rows: Any, **changes: Any) -> OnnxExport:
        options: dict[str, Any] = {"features": FEATURES, "numerators": NUMERATORS, "reference": "mixture", "estimator": "multiclass"}
        return write_onnx(model, path, reference_rows=rows, **(options | changes))

    return call


@pytest.fixture(scope="session")
def written(
    make_ensemble: Callable[..., Ensemble], write: Callable[..., OnnxExport], events: Events, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ensemble, OnnxExport]:
    """An ensemble of two with log ratios in -15 ... 15, written once for all tests that only read it."""
    ensemble = make_ensemble()
    ensemble.stretch(events, low=-15.0, high=15.0)
    path = tmp_path_factory.mktemp("models") / "ratio.onnx"
    facts = {"config_hash": "c0ffee", "training_data_hash": "da7a", "reference_mixture": {"ggF_S": 0.25, "qqZZ": 0.75}}
    return ensemble, write(ensemble, path, rows=events, ensemble_size=2, **facts)

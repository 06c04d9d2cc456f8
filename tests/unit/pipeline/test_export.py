"""Members that belong to other events are refused, not trained again in silence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.config import Config, RatioConfig, parse_config
from toolkit.errors import ArtifactMismatchError
from toolkit.pipeline import StageContext
from toolkit.pipeline.stages import export
from toolkit.ratios import densities
from toolkit.weights import SimulatedEvents


def _config(folder: Path) -> Config:
    sample = {"name": "ggF_S", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    return parse_config({"luminosity_ifb": 140.0, "samples": [sample]}, folder=folder)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    (tmp_path / "out" / "models" / "members").mkdir(parents=True)
    work = tmp_path / "work" / "files"
    work.mkdir(parents=True)
    return StageContext(config=_config(tmp_path), out=tmp_path / "out", work=work, key="key")


def _training() -> SimulatedEvents:
    ids = np.arange(3, dtype=np.uint64)
    observables = {name: np.linspace(0.1, 1.0, 3) for name in RatioConfig().features}
    return SimulatedEvents(("ggF_S", "ggF_SBI", "ggF_B"), ids, np.zeros(3, dtype=np.int64), ("ggF_S",), observables, np.ones((3, 3)))


@pytest.mark.parametrize("content", [None, b"trained"])
def test_missing_or_damaged_networks_are_refused(context: StageContext, content: bytes | None) -> None:
    file = context.out / "models" / "members" / "mixture.pt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ArtifactMismatchError, match="--force"):
        export.load_trained(context, _training())
    assert list(context.work.iterdir()) == []
    assert file.exists() == (content is not None)


def test_networks_must_be_of_these_events_and_this_config(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    monkeypatch.setattr(densities, "load_mixture", lambda folder, learner, *, key: keys.append(key) or loaded)
    loaded = SimpleNamespace(estimator="mixture")
    training = _training()
    for events in (training, training, training.scaled(2.0)):
        export.load_trained(context, events)
    assert keys[0] == keys[1] != keys[2]


def test_data_hash_knows_events_and_weights() -> None:
    def events(first: int, weight: float) -> SimulatedEvents:
        ids = np.arange(first, first + 3, dtype=np.uint64)
        return SimulatedEvents(("S",), ids, np.zeros(3, dtype=np.int64), ("S",), {}, np.full((3, 1), weight))

    assert export.data_hash(events(1, 0.5)) == export.data_hash(events(1, 0.5))
    assert len({export.data_hash(e) for e in (events(1, 0.5), events(2, 0.5), events(1, 0.6))}) == 3

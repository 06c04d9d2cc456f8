"""Members that belong to other events are refused, not trained again in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit.config import Config, parse_config
from toolkit.errors import ArtifactMismatchError
from toolkit.pipeline import StageContext
from toolkit.pipeline.stages import export
from toolkit.weights import SimulatedEvents


def _config(folder: Path) -> Config:
    sample = {"name": "ggF_S", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    return parse_config({"luminosity_ifb": 140.0, "samples": [sample]}, folder=folder)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    members = tmp_path / "out" / "models" / "members"
    members.mkdir(parents=True)
    (members / "member_00.pt").write_bytes(b"trained")
    work = tmp_path / "work" / "files"
    work.mkdir(parents=True)
    return StageContext(config=_config(tmp_path), out=tmp_path / "out", work=work, key="key")


@pytest.mark.parametrize("retrains", [False, True])
def test_a_member_that_changes_is_refused(context: StageContext, monkeypatch: pytest.MonkeyPatch, *, retrains: bool) -> None:
    def load(pool: object, *, folder: Path, **_: Any) -> str:
        if retrains:
            (folder / "member_00.pt").write_bytes(b"trained again")
        return "ensemble"

    monkeypatch.setattr(export, "train_mixture", load)
    pool: Any = None
    if retrains:
        with pytest.raises(ArtifactMismatchError, match="--force"):
            export.load_trained(context, pool)
    else:
        assert export.load_trained(context, pool) == "ensemble"  # type: ignore[comparison-overlap]
    assert (context.out / "models" / "members" / "member_00.pt").read_bytes() == b"trained"
    assert list(context.work.iterdir()) == []


def test_data_hash_knows_events_and_weights() -> None:
    def events(first: int, weight: float) -> SimulatedEvents:
        ids = np.arange(first, first + 3, dtype=np.uint64)
        return SimulatedEvents(("S",), ids, np.zeros(3, dtype=np.int64), ("S",), {}, np.full((3, 1), weight))

    assert export.data_hash(events(1, 0.5)) == export.data_hash(events(1, 0.5))
    assert len({export.data_hash(e) for e in (events(1, 0.5), events(2, 0.5), events(1, 0.6))}) == 3

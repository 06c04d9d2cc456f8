"""Stored log ratios: read back as they were written, refused when damaged or of other events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.config import parse_config
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.pipeline.stages.report import plot_style
from toolkit.pipeline.stages.review import read_stored, review_settings
from toolkit.weights import SimulatedEvents


def events(first: int, n: int) -> SimulatedEvents:
    ids = np.arange(first, first + n, dtype=np.uint64)
    return SimulatedEvents(("S",), ids, np.zeros(n, dtype=np.int64), ("S",), {}, np.ones((n, 1)))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    test, training = events(0, 3), events(10, 4)
    np.savez(
        tmp_path / "models" / "inspection.npz",
        test_event_id=test.event_id,
        training_event_id=training.event_id,
        before_calibration=np.full((3, 1), 0.5, dtype=np.float32),
        test_by_part=np.full((3, 1), 0.25, dtype=np.float32),
        in_sample=np.full((4, 1), 2.0, dtype=np.float32),
    )
    np.savez(
        tmp_path / "models" / "out_of_bag.npz",
        event_id=training.event_id,
        log_ratio=np.full((4, 1), 3.0),
        before_calibration=np.full((4, 1), 4.0),
    )
    return tmp_path


def test_read_back(out: Path) -> None:
    stored = read_stored(out, training=events(10, 4), test=events(0, 3))
    assert stored.before_calibration.dtype == np.float64
    values = (stored.before_calibration, stored.test_by_part, stored.in_sample, stored.out_of_bag, stored.out_of_bag_before)
    assert [float(v[0, 0]) for v in values] == [0.5, 0.25, 2.0, 3.0, 4.0]
    assert [len(v) for v in values] == [3, 3, 4, 4, 4]


def test_other_events_are_refused(out: Path) -> None:
    with pytest.raises(ArtifactMismatchError, match="test_event_id"):
        read_stored(out, training=events(10, 4), test=events(1, 3))
    with pytest.raises(ArtifactMismatchError, match="training_event_id"):
        read_stored(out, training=events(10, 5), test=events(0, 3))


@pytest.mark.parametrize("name", ["inspection.npz", "out_of_bag.npz"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_damaged_files_are_named(out: Path, name: str, damage: str) -> None:
    path = out / "models" / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    with pytest.raises(InputFileError, match=name):
        read_stored(out, training=events(10, 4), test=events(0, 3))


def _document(**report: object) -> dict[str, object]:
    sample = {"name": "ggF_S", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    return {"luminosity_ifb": 140.0, "samples": [sample], "report": report}


def test_settings_of_the_config(tmp_path: Path) -> None:
    groups = {"masses": ["m_z1", "m_z2"]}
    config = parse_config(
        _document(style="CMS", status="Internal", energy_tev=13.6, importance_events=50, importance_groups=groups), folder=tmp_path
    )
    style = plot_style(config)
    assert (style.experiment, style.status, style.energy_tev, style.luminosity_ifb) == ("CMS", "Internal", 13.6, 140.0)
    settings = review_settings(config)
    assert (settings.importance_events, settings.importance_repeats) == (50, 3)
    assert settings.importance_groups == {"masses": ("m_z1", "m_z2")}


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({"style": "CDF"}, "style"),
        ({"importance_groups": {"jets": ["m_jj"]}}, "m_jj"),
        ({"importance_groups": {"none": []}}, "none"),
        ({"importance_repeats": 0}, "importance_repeats"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, report: dict[str, object], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        parse_config(_document(**report), folder=tmp_path)

"""Results that are kept come back as they were, and nothing else comes back."""

from pathlib import Path

import numpy as np
import pytest

from toolkit.artifacts.kept import read_kept, write_kept
from toolkit.diagnostics.calibration import calibration_from_weights
from toolkit.errors import SchemaError
from toolkit.likelihood.scans import Interval


def test_dataclasses_in_dataclasses_come_back_digit_by_digit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    curve = calibration_from_weights(
        rng.normal(size=500),
        numerator_weights=rng.uniform(size=500),
        denominator_weights=rng.uniform(size=500),
        numerator="S",
        denominator="B",
    )
    write_kept(tmp_path / "kept.npz", {"pair": (curve, curve), "note": None}, key="k")
    found = read_kept([tmp_path / "missing.npz", tmp_path / "kept.npz"], key="k")
    after = found["pair"][1]
    assert type(after) is type(curve)
    assert after.test == curve.test
    for name in ("edges", "fraction", "residual", "residual_covariance", "used"):
        np.testing.assert_array_equal(getattr(after, name), getattr(curve, name))
        assert getattr(after, name).dtype == getattr(curve, name).dtype


def test_another_key_or_a_damaged_file_is_no_result(tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    write_kept(path, (1.0, float("inf")), key="k")
    assert read_kept([path], key="k") == (1.0, float("inf"))
    assert read_kept([path], key="other") is None
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert read_kept([path], key="k") is None


def test_only_dataclasses_of_the_package_are_made(tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    with pytest.raises(SchemaError, match="Path"):
        write_kept(path, tmp_path, key="k")
    write_kept(path, Interval(0.0, 1.0, at_boundary=True), key="k")
    assert read_kept([path], key="k") == Interval(0.0, 1.0, at_boundary=True)
    for other in (b"subprocess:Popen", b"toolkit.likelihood.scans:ne"):
        path.write_bytes(b"")
        write_kept(path, Interval(0.0, 1.0, at_boundary=True), key="k")
        with np.load(path) as stored:
            text = stored["document"].tobytes().replace(b"toolkit.likelihood.scans:Interval", other)
        np.savez(path, document=np.frombuffer(text, dtype=np.uint8))
        assert read_kept([path], key="k") is None

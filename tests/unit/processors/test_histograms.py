from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from processors.histograms import OWN, book, fill, read_histograms, write_histograms
from toolkit.config import Config
from toolkit.errors import InputFileError

CONFIG = {
    "luminosity_ifb": 1.0,
    "samples": [{"name": "ggF_S", "files": ["x"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}],
    "histograms": {"mass": {"observable": "m4l", "edges": [200, 300, 500]}},
}
HYPOTHESES = (OWN, "ggF_S", "ggF_B", "ggF_SBI")


def _filled(seed: int, n: int = 500) -> tuple[dict, dict, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = {"m4l": rng.uniform(150, 600, n), "m_jj": np.where(rng.uniform(size=n) < 0.7, np.nan, rng.uniform(0, 900, n))}
    weight, benchmark_weights = rng.normal(1, 1, n), rng.normal(1, 1, (n, 3))
    booked = book(Config.model_validate(CONFIG), ("m4l", "m_jj"), HYPOTHESES)
    fill(booked, values, weight, benchmark_weights)
    return booked, values, weight, benchmark_weights


def test_contents_and_variances_are_sums_of_weights_and_of_squares() -> None:
    booked, values, weight, benchmark_weights = _filled(1)
    assert set(booked) == {"m4l", "m_jj", "baseline:mass"}
    for i, hypothesis in enumerate(HYPOTHESES):
        w = weight if i == 0 else benchmark_weights[:, i - 1]
        for low, high, position in ((200, 300, 0), (300, 500, 1)):
            inside = (values["m4l"] >= low) & (values["m4l"] < high)
            entry = booked["baseline:mass"][hypothesis, position]
            assert entry.value == pytest.approx(w[inside].sum(), rel=1e-12)
            assert entry.variance == pytest.approx((w[inside] ** 2).sum(), rel=1e-12)


def test_the_sums_are_bit_by_bit_those_of_hist() -> None:
    booked, values, weight, benchmark_weights = _filled(4)
    empty = book(Config.model_validate(CONFIG), ("m4l", "m_jj"), HYPOTHESES)
    for histogram in empty.values():
        x = values[histogram.axes[1].name]
        for i, hypothesis in enumerate(HYPOTHESES):
            w = weight if i == 0 else benchmark_weights[:, i - 1]
            histogram.fill(hypothesis, x[~np.isnan(x)], weight=w[~np.isnan(x)])
    for name, histogram in empty.items():
        assert booked[name] == histogram
        assert histogram.sum(flow=True).value != 0


def test_no_events_fill_nothing() -> None:
    booked = book(Config.model_validate(CONFIG), ("m4l",), HYPOTHESES)
    fill(booked, {"m4l": np.empty(0)}, np.empty(0), np.empty((0, 3)))
    assert booked["m4l"].sum(flow=True).value == 0


def test_missing_values_do_not_enter_and_overflow_is_kept() -> None:
    booked, values, weight, _ = _filled(2)
    there = ~np.isnan(values["m_jj"])
    assert booked["m_jj"][OWN, sum].value == pytest.approx(weight[there].sum(), rel=1e-12)
    own = booked["m4l"].view(flow=True)["value"][0]
    assert own.sum() == pytest.approx(weight.sum(), rel=1e-12)


def test_histograms_come_back_from_their_file(tmp_path: Path) -> None:
    booked, *_ = _filled(3)
    path = write_histograms(tmp_path, "ggF_S", booked)
    back = read_histograms(path)
    assert back.keys() == booked.keys()
    for name, histogram in booked.items():
        assert back[name] == histogram
        assert back[name].axes[1].label == histogram.axes[1].label


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"m4l": ')
    with pytest.raises(InputFileError, match=r"s\.json"):
        read_histograms(tmp_path / "s.json")

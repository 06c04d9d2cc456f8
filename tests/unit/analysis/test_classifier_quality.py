"""What is compared with what: models of one question, and trainings of one period on the events of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from toolkit.analysis.classifier_quality import compare_classifiers, sculpting_of_classifiers
from toolkit.config import Config, parse_config
from toolkit.weights import SimulatedEvents

NAMES = ("s1", "b1", "s2", "b2")
SHIFT = {"one": 1.5, "two": 0.7}
"""Distance of signal and background in the coordinate of each period."""


def config_of(**classifiers: dict[str, Any]) -> Config:
    samples = [{"name": name, "files": [f"{name}.root"]} for name in NAMES]
    document = {
        "luminosity_ifb": 1.0,
        "samples": samples,
        "parameters": {"mu": {"range": [0, 5]}},
        "processes": {"s1": {"factor": "mu"}, "b1": {}, "s2": {"factor": "mu"}, "b2": {}},
        "classifiers": classifiers,
    }
    return parse_config(document, folder=Path())


def events(scores: dict[str, tuple[float, float]], n: int = 40_000) -> SimulatedEvents:
    """Coordinates x and y; x parts the densities of the first period, y those of the second; a score is a x + b y."""
    rng = np.random.default_rng(5)
    label = rng.integers(4, size=n)
    x = rng.normal(np.where(label == 0, SHIFT["one"], 0.0), 1.0)
    y = rng.normal(np.where(label == 2, SHIFT["two"], 0.0), 1.0)
    weights = np.where(np.arange(4) == label[:, None], np.array([1.0, 20.0, 1.0, 20.0]) / n, 0.0)
    columns = {name: 1.0 / (1.0 + np.exp(-(a * x + b * y))) for name, (a, b) in scores.items()}
    observables = {**columns, "m": np.clip(rng.normal(x, 1.0), -5.0, 5.0)}
    return SimulatedEvents(NAMES, np.arange(n, dtype=np.uint64), label, NAMES, observables, weights)


def section(signal: str, background: str, **more: Any) -> dict[str, Any]:
    return {"features": ["m4l"], "classes": {"S": [signal], "B": [background]}, **more}


def significance(shift: float, kept: float = 0.6) -> float:
    """N_s / sqrt(N_b) of unit yields of the signal and 20 times as much background, up to the common factor."""
    return kept / (20.0 * norm.sf(norm.isf(kept) + shift)) ** 0.5


def test_every_training_is_applied_to_the_densities_of_every_other() -> None:
    config = config_of(one=section("s1", "b1"), two=section("s2", "b2"))
    found = compare_classifiers(config, events({"one_S": (1.0, 0.0), "two_S": (0.0, 1.0)}))
    assert [c.title for c in found] == ["S against B, densities of one", "S against B, densities of two"]
    for comparison, own in zip(found, ("one", "two"), strict=True):
        other = "two" if own == "one" else "one"
        value = {name: standing.rate[0] / comparison.expected[0] ** 0.5 for name, standing in comparison.standings.items()}
        exact = {own: significance(SHIFT[own]), other: significance(0.0)}
        for name, standing in comparison.standings.items():
            assert value[name] == pytest.approx(exact[name], abs=4.0 * standing.rate[1] / comparison.expected[0] ** 0.5)
        ratio = comparison.ratio("two", "one")
        assert ratio.value == pytest.approx(exact["two"] / exact["one"], abs=4.0 * ratio.error)
        assert 0.0 < ratio.error < 0.1


def test_only_scores_of_one_question_are_compared() -> None:
    config = config_of(
        free=section("s1", "b1"),
        bound=section("s1", "b1", decorrelate={"variables": ["m"]}),
        somewhere=section("s1", "b1", where="n_jets == 1"),
        three={"features": ["m4l"], "classes": {"S": ["s1"], "B": ["b1"], "C": ["b2"]}},
    )
    scores = {"free_S": (1.0, 0.0), "bound_S": (0.0, 1.0), "somewhere_S": (1.0, 0.0)}
    sample = events({**scores, "three_S": (1.0, 0.0), "three_B": (-1.0, 0.0), "three_C": (0.0, 1.0)})
    sample.observables["somewhere_S"][::3] = np.nan
    found = compare_classifiers(config, sample)
    assert [(c.title, c.where, tuple(c.standings)) for c in found] == [
        ("S against B", "", ("free", "bound")),
        ("S against B", "n_jets == 1", ("somewhere",)),
        ("S against B, C", "", ("three",)),
        ("B against S, C", "", ("three",)),
        ("C against S, B", "", ("three",)),
    ]
    whole = np.isin(sample.sample_index, (0, 1))
    assert (found[0].events, found[1].events) == (whole.sum(), np.sum(whole & np.isfinite(sample.observables["somewhere_S"])))
    shapes = {shape.name: shape for shape in sculpting_of_classifiers(config, sample)}
    assert set(shapes) == {"free", "bound"}
    assert np.abs(shapes["free"].change).max() > 0.5
    assert np.all(np.abs(shapes["bound"].change) < 4.5 * shapes["bound"].change_error)

"""Every score over every other, against the definition: events that are there several times, one resampled set after the other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.diagnostics.score_comparison import EFFICIENCIES, ScoreComparison, compare_scores
from toolkit.diagnostics.separation import paired_rate_ratios, rate_at_efficiency
from toolkit.report.classifier_pages import comparison_table, pairs_table

NAMES = ("good", "fair", "poor")


def sample(n: int = 1500) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Scores that share a coordinate, each with noise of its own."""
    rng = np.random.default_rng(8)
    signal = rng.uniform(size=n) < 0.5
    x = rng.normal(np.where(signal, 1.5, 0.0), 1.0)
    scores = {name: x + noise * rng.normal(size=n) for name, noise in zip(NAMES, (0.1, 0.6, 1.5), strict=True)}
    return scores, signal * rng.uniform(0.5, 1.5, size=n), np.where(signal, 0.0, rng.choice([10.0, -2.0], p=[0.9, 0.1], size=n))


def test_pairs_are_those_of_repeated_events() -> None:
    scores, signal, background = sample()
    found = paired_rate_ratios(list(scores.values()), signal=signal, background=background, efficiencies=(0.6, 0.9), replicas=25, seed=3)
    rng, loop = np.random.default_rng(3), []
    for _ in range(25):
        event = np.repeat(np.arange(len(signal)), rng.poisson(1.0, size=len(signal)))
        rates = [
            [rate_at_efficiency(x[event], signal=signal[event], background=background[event], efficiency=e).value for x in scores.values()]
            for e in (0.6, 0.9)
        ]
        loop.append([[[row[a] / row[b] for b in range(3)] for a in range(3)] for row in rates])
    np.testing.assert_allclose(found.error, np.std(loop, axis=0, ddof=1), rtol=1e-9, atol=1e-12)
    assert np.all(found.error[:, np.arange(3), np.arange(3)] == 0.0)
    good, fair, poor = (rate_at_efficiency(x, signal=signal, background=background).value for x in scores.values())
    assert found.value[0, 1].tolist() == pytest.approx([fair / good, 1.0, fair / poor])


def test_a_pair_is_found_by_its_names_and_shown() -> None:
    scores, signal, background = sample()
    made = compare_scores(scores, signal=signal, background=background, title="S against B")
    found = ScoreComparison.from_json(json.loads(json.dumps(made.to_json())))
    for k, share in enumerate(EFFICIENCIES):
        for one in NAMES:
            for two in NAMES:
                pair = found.ratio(one, two, efficiency=share)
                place = (k, NAMES.index(one), NAMES.index(two))
                assert (pair.value, pair.error) == (made.ratios.value[place], made.ratios.error[place])
    assert found.ratio("good", "poor").value > 1.0 > found.ratio("poor", "fair").value
    table = pairs_table(found)
    assert table.columns == ("score", *NAMES)
    assert [row[k + 1] for k, row in enumerate(table.rows)] == ["1"] * 3
    assert table.rows[2][1] == comparison_table(found).rows[2][3]  # the ratio to the first score
    assert float(table.rows[1][3].split()[0]) == pytest.approx(found.ratio("fair", "poor").value, abs=0.06)

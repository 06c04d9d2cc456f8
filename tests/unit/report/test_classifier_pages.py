"""The tables on classifiers: what is marked."""

from __future__ import annotations

import numpy as np

from toolkit.diagnostics.overlay import WeightedSample, overlay
from toolkit.report.classifier_pages import overlays_table


def test_trainings_that_know_their_events_are_marked() -> None:
    rng = np.random.default_rng(2)
    same, other = (
        [WeightedSample(name, rng.normal(shift, 1.0, 2000), np.ones(2000)) for name, shift in pair]
        for pair in (
            (("not seen", 0.0), ("seen", 0.0)),
            (("not seen", 0.0), ("seen", 0.3)),
        )
    )
    parts = [overlay((a, b), seed=1, title=title) for title, (a, b) in (("fresh", same), ("by heart", other))]
    table = overlays_table({"D": parts})
    assert [row[0] for row in table.rows] == ["D, fresh", "D, by heart"]
    assert table.flagged == {1}
    assert "0.1%" in table.note

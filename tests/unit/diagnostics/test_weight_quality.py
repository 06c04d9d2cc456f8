"""What the report says about weights: curves per sample, negative weights per process, region and observable."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.diagnostics import weight_quality
from toolkit.report.weight_tables import negative_page_table


def test_quality_holds_curves_counts_and_profiles(make_toy, morph):
    events = make_toy(6000, 3).events
    values = np.array([0.0, 1.0, 4.0])
    low = events.observables["x"] < 0.5
    quality = weight_quality(
        events,
        values=values,
        coefficients=morph(values),
        benchmarks=events.processes[:3],
        hypotheses={"total, mu = 4": morph(np.array([4.0]))[0]},
        regions={"low": low},
        edges={"x": np.array([0.0, 0.5, 1.0]), "m_jj": np.array([0.0, 100.0, 500.0])},
    )
    assert [c.name for c in quality.sizes] == ["all samples"]
    w = events.weights[:, :3] @ morph(values)[2, :3]
    assert quality.sizes[0].n_eff_kish[2] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert {(n.process, n.region) for n in quality.negative} >= {("qqZZ", "low"), ("total, mu = 4", "all")}
    assert quality.observables == ("x", "m_jj")
    profile = next(p for p in quality.of_observable("x") if p.process == "ggF_S")
    s = events.weights[:, 0]
    assert profile.negative[0] == pytest.approx(-s[low & (s < 0)].sum())
    json.dumps(quality.to_json())


def test_the_table_lists_what_has_negative_weights(make_toy, morph):
    events = make_toy(6000, 3).events
    values = np.array([1.0])
    quality = weight_quality(events, values=values, coefficients=morph(values), benchmarks=events.processes[:3])
    table = negative_page_table(quality)
    assert table is not None
    row = next(r for r in table.rows if r[0] == "ggF_S")
    entry = next(n for n in quality.negative if n.process == "ggF_S")
    assert row[3] == str(entry.n_negative)
    assert row[7] == f"{100 * (1 - 2 * entry.weight_fraction) ** 2:.3g} %"
    positive = events.select(np.all(events.weights >= 0, axis=1) & (events.sample_index == 0))
    clean = weight_quality(positive, values=values, coefficients=morph(values), benchmarks=events.processes[:3])
    assert negative_page_table(clean) is None
    assert clean.profiles == ()

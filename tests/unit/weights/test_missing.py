from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import SchemaError
from toolkit.weights.missing import fill_missing, source_of


def test_fills_and_flags_equal_the_loop_and_leave_the_observables() -> None:
    rng = np.random.default_rng(1)
    m_jj = np.where(rng.uniform(size=200) < 0.4, np.nan, rng.uniform(0, 900, 200))
    observables = {"m4l": rng.uniform(200, 900, 200), "m_jj": m_jj, "delta_eta_jj": np.where(np.isnan(m_jj), np.nan, -1.5)}
    out = fill_missing(observables, {"m_jj": -7.0, "delta_eta_jj": 0.0})
    assert list(out) == ["m4l", "m_jj", "delta_eta_jj", "m_jj_filled", "has_m_jj", "delta_eta_jj_filled", "has_delta_eta_jj"]
    for i, value in enumerate(m_jj):
        missing = np.isnan(value)
        assert out["m_jj_filled"][i] == (-7.0 if missing else value)
        assert out["has_m_jj"][i] == (0.0 if missing else 1.0)
        assert out["delta_eta_jj_filled"][i] == (0.0 if missing else -1.5)
    for name, values in observables.items():
        assert out[name] is values
    assert list(observables) == ["m4l", "m_jj", "delta_eta_jj"]


def test_names_are_traced_to_their_observable() -> None:
    fills = {"m_jj": 0.0}
    assert {source_of(name, fills) for name in ("has_m_jj", "m_jj_filled", "m_jj")} == {"m_jj"}
    assert source_of("pt4l_filled", fills) == "pt4l_filled"


def test_unknown_and_taken_names_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"(?s)fill of m_jj.*m4l"):
        fill_missing({"m4l": np.ones(1)}, {"m_jj": 0.0})
    with pytest.raises(SchemaError, match="has_m_jj"):
        fill_missing({"m_jj": np.ones(1), "has_m_jj": np.ones(1)}, {"m_jj": 0.0})

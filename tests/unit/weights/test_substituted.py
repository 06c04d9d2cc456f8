"""Sums of other parameters in the place of parameters: the rotation of Wilson coefficients to mass eigenstates."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import SchemaError
from toolkit.expressions import Expression
from toolkit.model import mass_eigenstate_couplings
from toolkit.weights import smeft, substituted

COUPLINGS = ("g2_ZZ", "g2_Zg", "g2_gg")


def test_weights_and_scores_in_the_warsaw_basis_are_those_at_the_rotated_couplings() -> None:
    rotation = {name: text for name, text in mass_eigenstate_couplings(lambda_tev=0.5).items() if name in COUPLINGS}
    direct = smeft(COUPLINGS)
    warsaw = substituted(direct, rotation)
    assert set(warsaw.parameter_names) == {"cHW", "cHB", "cHWB"}
    rng = np.random.default_rng(1)
    amplitudes = rng.normal([1.0, 0.3, -0.2, 0.4], 0.2, size=(50, 4))
    benchmarks = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
    w = (amplitudes[:, :1] + amplitudes[:, 1:] @ benchmarks.T) ** 2
    at = {"cHW": 0.7, "cHB": -0.4, "cHWB": 0.3}
    g = np.array([Expression.parse(rotation[name]).value(at) for name in COUPLINGS])
    np.testing.assert_allclose(warsaw.weights(w, at), (amplitudes[:, 0] + amplitudes[:, 1:] @ g) ** 2, rtol=1e-9)
    score = warsaw.score(w, at)
    step = 1e-5
    for k, name in enumerate(warsaw.parameter_names):
        up, down = (warsaw.weights(w, {**at, name: at[name] + sign * step}) for sign in (1.0, -1.0))
        by_hand = (np.log(up / up.sum()) - np.log(down / down.sum())) / (2.0 * step)
        np.testing.assert_allclose(score[:, k], by_hand, rtol=1e-5, atol=1e-6)


def test_what_the_benchmarks_do_not_determine_is_refused() -> None:
    with pytest.raises(SchemaError, match="a change that can be undone"):
        substituted(smeft(["g"]), {"g": "0.3*a + 0.4*b"})
    with pytest.raises(SchemaError, match="a change that can be undone"):
        substituted(smeft(["g", "h"]), {"g": "a + b", "h": "2*a + 2*b"})

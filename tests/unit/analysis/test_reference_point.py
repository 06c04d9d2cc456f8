"""The point of estimators that are the best at one point: volumes of regions against closed forms, and a search with a known optimum."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit.analysis import expected_volume, optimise_reference
from toolkit.errors import FitError, MissingExtraError, PhysicsDomainError, SchemaError, ShapeError

K, N, TRUTH = 0.8, 50.0, 0.5


def linear_volume(theta_0: float) -> float:
    """Width of the 95 % interval of n events with x ~ N(theta, 1) and y ~ N(k theta^2, 1), read through their score at theta_0.

    The score is x + slope y with slope = 2 k theta_0 and a variance of 1 + slope^2: -2 Delta lnL is n times its shift squared over that.
    """
    theta = np.linspace(-8.0, 8.0, 16001)
    direction = 2.0 * K * theta_0
    shift = theta - TRUTH + direction * K * (theta**2 - TRUTH**2)
    return expected_volume(N * shift**2 / (1.0 + direction**2), [theta])


def test_volumes_of_parabolas_are_those_of_intervals_and_ellipses() -> None:
    one, two = np.linspace(-4.0, 4.0, 801), np.linspace(-5.0, 5.0, 901)
    t = (one[:, np.newaxis] / 0.5) ** 2 + (two / 1.2) ** 2
    assert expected_volume(t, [one, two]) == pytest.approx(math.pi * 0.5 * 1.2 * -2.0 * math.log(0.05), rel=3e-4)
    assert expected_volume(t, [one, two], level=0.68) == pytest.approx(math.pi * 0.5 * 1.2 * -2.0 * math.log(0.32), rel=3e-4)
    apart = np.minimum((one - 2.0) ** 2, (one + 2.0) ** 2) * 25.0
    assert expected_volume(apart, [one]) == pytest.approx(4 * 1.95996 / 5.0, rel=1e-3)


def test_volumes_refuse_what_they_cannot_know() -> None:
    theta = np.linspace(-1.0, 1.0, 11)
    with pytest.raises(PhysicsDomainError, match="widen the range"):
        expected_volume(theta**2, [theta])
    with pytest.raises(ShapeError, match="at least two values"):
        expected_volume(theta**2, [theta[:-1]])
    with pytest.raises(PhysicsDomainError, match="not finite"):
        expected_volume(np.full(11, np.nan), [theta])


def test_the_example_of_the_page_finds_the_known_optimum() -> None:
    pytest.importorskip("bayes_opt")
    page = (Path(__file__).parents[3] / "docs" / "effective_theories.md").read_text(encoding="utf-8")
    [block] = [text.partition("```")[0] for text in page.split("```python\n")[1:] if "import expected_volume" in text.partition("```")[0]]
    names: dict[str, Any] = {}
    exec(block, names)
    found = names["found"]
    dense = np.linspace(0.2, 1.5, 131)
    exact = np.array([linear_volume(value) for value in dense])
    best = dense[np.argmin(exact)]
    assert best == pytest.approx(TRUTH, abs=0.05), "for many events the score at the truth is the best observable"
    assert found.volume == pytest.approx(exact.min(), rel=1e-3)
    assert found.theta_0["theta"] == pytest.approx(best, abs=0.05)
    assert len(found.points) == len(found.volumes) <= 16
    assert found.to_json()["evaluations"][0]["volume"] == found.volumes[0]
    assert found.volumes[:4].min() > found.volume, "the process improves on the random points"


def test_the_search_refuses_wrong_input() -> None:
    with pytest.raises(SchemaError, match="lowest < highest"):
        optimise_reference(lambda _: 1.0, {"theta": (1.0, 1.0)})
    with pytest.raises(SchemaError, match="at least 1 initial point"):
        optimise_reference(lambda _: 1.0, {"theta": (0.0, 1.0)}, n_initial=0)
    pytest.importorskip("bayes_opt")
    with pytest.raises(FitError, match="a positive number"):
        optimise_reference(lambda _: 0.0, {"theta": (0.0, 1.0)})


def test_the_search_names_the_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bayes_opt", None)
    with pytest.raises(MissingExtraError, match=r"h4l-toolkit\[reference\]"):
        optimise_reference(lambda _: 1.0, {"theta": (0.0, 1.0)})

"""Networks that read the parameter in RooFit: the series of every event, its mean and its range are those of the likelihood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exports import Feature, write_onnx
from exports.roofit import write_roofit
from tests.unit.exports.roofit_twin import Twin
from tests.unit.exports.test_roofit import agree, in_a_root, in_root, points_of
from tests.unit.likelihood.parameterised_toy import HIGH, LOW, Interfering, interfering_likelihood, shifted_likelihood, write_shifted
from toolkit.likelihood import Parameter, RatioMean, Workspace, make_document, write_observation
from toolkit.likelihood.workspace_schema import parse_channel


def shifted(folder: Path) -> tuple[Workspace, Any]:
    """A parameter that is half of what the network reads, a ratio with a mean, and the closed form in that parameter."""
    x = np.random.default_rng(3).normal(1.0, 1.0, 200)
    nodes = np.linspace(LOW, HIGH, 12)
    mean = RatioMean.of(nodes[:, None], np.exp(0.02 * nodes), np.full(12, 0.01))
    part = Workspace(write_shifted(folder, x, ratio_mean=mean.to_json()), folder)
    tied = Workspace.combine({"a": part}, express={"theta": "2 * t"}, parameters=[Parameter("t", 0.2, -0.4, 1.4)], poi="t")
    return tied, lambda p: shifted_likelihood(x, 2.0 * np.array([p["t"]]))[0] + 2.0 * len(x) * 0.02 * 2.0 * p["t"]


def interfering(folder: Path) -> tuple[Workspace, Any]:
    """Interference: the series is one in sqrt(mu)."""
    x = np.random.default_rng(5).uniform(0.05, 0.95, 150)
    rows = np.stack([x, np.resize(np.linspace(0.0, 4.0, 31), len(x))], axis=1)
    columns = {"features": [Feature("x", "", 0.0, 1.0)], "parameters": [Feature("mu", "", 0.0, 4.0)]}
    names = {"numerators": ("density",), "reference": "mu = 1", "estimator": "closed_form"}
    write_onnx(Interfering(), folder / "i.onnx", reference_rows=rows, **columns, **names)
    write_observation(folder / "data.parquet", {"x": x})
    samples = [
        {"name": name, "yield": nu, "modifiers": [{"type": "morphing", "data": {"coefficient": f}}]}
        for name, nu, f in (("S", 20.0, "mu"), ("I", 20.0, "sqrt(mu)"), ("B", 20.0, "1"))
    ]
    raw = {"name": "sr", "observables": ["x"], "reference": "mu = 1", "model": "i.onnx", "output": "density", "inputs": {"mu": "mu"}}
    raw |= {"samples": samples, "observation": {"file": "data.parquet", "weight": None}}
    document = make_document(parameters=[Parameter("mu", 1.0, 0.0, 4.0)], unbinned=[parse_channel(raw, where="test")])
    return Workspace(document, folder), lambda p: interfering_likelihood(x, np.sqrt([p["mu"]]))[0]


CASES = {"shifted": shifted, "interfering": interfering}


@pytest.mark.parametrize("case", CASES)
def test_the_series_of_the_events_are_the_likelihood(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("H4L_ROOT_PYTHON", raising=False)
    monkeypatch.setattr("exports.roofit._has_root", lambda: False)
    workspace, exact = CASES[case](tmp_path)
    export = write_roofit(workspace, tmp_path, name="theta")
    twin = Twin(export.macro, export.events)
    points, expected = points_of(export.events)
    assert len(points) == 50
    agree([twin.twice_nll(p) for p in points], expected)
    # A network computes in single precision, a series has an error: units of -2 ln L, of which an error is one.
    found, closed = (np.array([f(p) for p in points]) for f in (twin.twice_nll, exact))
    np.testing.assert_allclose(found - found[0], closed - closed[0], rtol=0, atol=5e-3)


def test_nothing_is_expected_outside_the_range_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("H4L_ROOT_PYTHON", raising=False)
    monkeypatch.setattr("exports.roofit._has_root", lambda: False)
    workspace, _ = shifted(tmp_path)
    export = write_roofit(workspace, tmp_path, name="theta")
    twin = Twin(export.macro, export.events)
    with np.errstate(divide="ignore"):
        assert twin.twice_nll({"t": 1.6}) == np.inf
    assert np.isfinite(twin.twice_nll({"t": 1.4}))


@in_root
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_root_evaluates_and_minimises_it(case: str, tmp_path: Path) -> None:
    workspace, _ = CASES[case](tmp_path)
    export = write_roofit(workspace, tmp_path, name="theta")
    assert export.workspace is not None
    points, expected = points_of(export.events)
    found = in_a_root(tmp_path, do="minimise", path=str(export.workspace), points=points)
    agree(found["values"], expected)
    assert found["minimum"] == pytest.approx(found["ours"], abs=1e-4)

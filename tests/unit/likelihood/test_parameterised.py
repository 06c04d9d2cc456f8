"""Likelihoods of networks that read theta, against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from exports import write_onnx
from tests.unit.likelihood.parameterised_toy import (
    HIGH,
    LOW,
    Interfering,
    interfering_likelihood,
    shifted_likelihood,
    write_shifted,
)
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.errors import ArtifactMismatchError, FitError, PhysicsDomainError, SchemaError
from toolkit.likelihood import NormSys, OnnxRatio, Parameter, Workspace, bootstrap_parameterised
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.ratio_mean import RatioMean
from toolkit.likelihood.theta_series import ThetaAxis, ThetaSeries
from toolkit.likelihood.toy_factory import toys_of
from toolkit.likelihood.toys import ToyRequest, run_toys
from toolkit.likelihood.workspace_parameterised import ratio_of_theta


def events(n: int = 400, seed: int = 2) -> Any:
    return np.random.default_rng(seed).normal(0.7, 1.0, n)


@pytest.fixture
def shifted(tmp_path: Path) -> tuple[Any, ParameterisedLikelihood]:
    x = events()
    Workspace(write_shifted(tmp_path, x)).save(tmp_path / "sr.json")
    likelihood = Workspace.load(tmp_path / "sr.json").likelihood()
    assert isinstance(likelihood, ParameterisedLikelihood)
    return x, likelihood


def test_scan_of_a_workspace_is_the_closed_form(shifted: Any) -> None:
    x, likelihood = shifted
    theta = np.linspace(LOW, HIGH, 81)
    exact = shifted_likelihood(x, theta)
    assert np.abs(
        likelihood.twice_nll_points(theta[:, None]) - exact - (likelihood.twice_nll(0.5) - shifted_likelihood(x, np.array([0.5]))[0])
    ).max() < 1e-5 * np.ptp(exact)
    scan = likelihood.scan("theta", theta)
    best = minimize_scalar(
        lambda t: shifted_likelihood(x, np.array([t]))[0], bounds=(LOW, HIGH), method="bounded", options={"xatol": 1e-10}
    )
    np.testing.assert_allclose(scan.twice_delta_nll, exact - best.fun, rtol=1e-5, atol=1e-5)


def test_fit_and_gradient_of_a_workspace_are_the_closed_form(shifted: Any) -> None:
    x, likelihood = shifted

    def slope(theta: float) -> float:
        return float(2.0 * (4.0 - len(x) * 4.0 / (100.0 + 4.0 * theta) - np.sum(x - theta)))

    fit, best = likelihood.fit(), brentq(slope, LOW, HIGH, xtol=1e-12)
    assert fit.parameters["theta"] == pytest.approx(best, rel=1e-5)
    bend = 2.0 * len(x) * (1.0 + 16.0 / (100.0 + 4.0 * best) ** 2)
    assert fit.errors["theta"] == pytest.approx(np.sqrt(2.0 / bend), rel=1e-4)
    for theta in (LOW, -0.3, 0.0, 1.1, HIGH):
        assert likelihood.gradient(theta)[0] == pytest.approx(slope(theta), rel=1e-5)


def test_interference_is_smooth_down_to_zero_and_equals_the_mixture(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0.0, 1.0, 4000)
    x = x[rng.uniform(size=4000) < (0.3 * x + 1.0 - x) ** 2][:60]
    mu = np.resize(np.linspace(0.0, 4.0, 17), 200)
    rows = np.stack([rng.uniform(0.001, 0.999, 200), mu], axis=1)
    path = tmp_path / "i.onnx"
    write_onnx(
        Interfering(),
        path,
        features=[Feature("x", "", 0.0, 1.0)],
        parameters=[Feature("mu", "", 0.0, 4.0)],
        numerators=("p",),
        reference="mu = 1",
        estimator="closed_form",
        reference_rows=rows,
    )
    series = ThetaSeries.of(ratio_of_theta(OnnxRatio(path), {"x": x}, output="p"), [ThetaAxis("mu", 0.0, 4.0, root=True)])
    likelihood = ParameterisedLikelihood(
        log_ratios=series,
        weights=np.ones(len(x)),
        yields=[20.0, 60.0, 20.0],
        coefficients=("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"),
        parameters=("mu",),
        bounds={"mu": (0.0, 4.0)},
    )
    root = np.linspace(0.0, 2.0, 41)
    exact = interfering_likelihood(x, root)
    found = likelihood.twice_nll_points(root[:, None] ** 2)
    assert np.abs(found - found[20] - exact + exact[20]).max() < 1e-5 * np.ptp(exact)
    best = minimize_scalar(
        lambda r: interfering_likelihood(x, np.array([r]))[0], bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-11}
    )
    assert likelihood.fit().parameters["mu"] == pytest.approx(best.x**2, rel=2e-5)
    assert likelihood.diverging == {"mu"}
    assert np.isinf(likelihood.gradient(0.0)[0])


def test_two_components_of_theta() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal([0.4, -0.2], 1.0, (300, 2))
    axes = [ThetaAxis("a", -2.0, 2.0), ThetaAxis("b", -1.0, 2.0)]
    series = ThetaSeries.of(lambda t: x @ t - 0.5 * float(t @ t) + 0.1 * t[0] * t[1], axes)
    likelihood = ParameterisedLikelihood(
        log_ratios=series,
        weights=np.ones(300),
        yields=[300.0],
        coefficients=("k",),
        parameters=[Parameter("a", 0.0, -2.0, 2.0), Parameter("b", 0.0, -1.0, 2.0), Parameter("k", 1.0, 0.1, 3.0)],
    )
    expected = np.linalg.solve([[1.0, -0.1], [-0.1, 1.0]], x.mean(axis=0))
    fit = likelihood.fit()
    assert [fit.parameters["a"], fit.parameters["b"], fit.parameters["k"]] == pytest.approx([*expected, 1.0], abs=1e-6)
    assert likelihood.gradient([1.0, 0.5, 2.0]) == pytest.approx(
        [-2.0 * np.sum(x[:, 0] - 1.0 + 0.05), -2.0 * np.sum(x[:, 1] - 0.5 + 0.1), 2.0 * (300.0 - 150.0)], rel=1e-8
    )


def test_mean_over_the_reference_is_divided_out(tmp_path: Path) -> None:
    """A network that is wrong by the factor exp(0.2 theta - 0.1 theta^2) everywhere gives the right fit once its mean is measured."""
    x, reference = events(), np.random.default_rng(9).normal(0.0, 1.0, 400_000)
    axes = [ThetaAxis("theta", LOW, HIGH)]

    def wrong(z: Any) -> Any:
        return lambda theta: theta[0] * z - 0.5 * theta[0] ** 2 + 0.2 * theta[0] - 0.1 * theta[0] ** 2

    mean = RatioMean.measure(wrong(reference), np.ones(len(reference)), axes)
    inside = (np.abs(mean.points[:, 0]) < 1.5) & (mean.error > 0.0)
    expected_mean = np.exp(0.2 * mean.points[:, 0] - 0.1 * mean.points[:, 0] ** 2)
    assert np.abs((mean.mean - expected_mean)[inside] / mean.error[inside]).max() < 4.0
    points = mean.points
    exact = RatioMean.of(points, np.exp(0.2 * points[:, 0] - 0.1 * points[:, 0] ** 2), mean.error)
    settings: Any = {
        "weights": np.ones(len(x)),
        "yields": [40.0, 60.0],
        "coefficients": ("1 + 0.1 * theta", "1"),
        "parameters": [Parameter("theta", 0.5, LOW, HIGH)],
    }
    likelihood = ParameterisedLikelihood(log_ratios=ThetaSeries.of(wrong(x), axes), log_mean=exact.series(axes), **settings)
    theta = np.linspace(LOW, HIGH, 21)
    expected = shifted_likelihood(x, theta)
    found = likelihood.twice_nll_points(theta[:, None])
    np.testing.assert_allclose(found - found[10], expected - expected[10], rtol=1e-8, atol=1e-6)
    document = write_shifted(tmp_path, x, ratio_mean=exact.to_json())
    written = Workspace(document, tmp_path).likelihood()
    expected = expected + 2.0 * len(x) * (0.2 * theta - 0.1 * theta**2)  # what the table takes off a network that is right
    found = written.twice_nll_points(theta[:, None])
    np.testing.assert_allclose(found - found[10], expected - expected[10], rtol=1e-5, atol=1e-4)


def test_common_factors_are_allowed_and_others_refused(shifted: Any) -> None:
    _, likelihood = shifted
    alpha = Parameter("alpha", 0.0, -5.0, 5.0)
    same = [NormSys(j, "alpha", 1.1, 0.9) for j in (0, 1)]
    moved = likelihood.with_systematics(parameters=[*likelihood.parameters, alpha], systematics=same)
    n = len(likelihood.weights)
    expected = 2.0 * (0.1 * 102.0 - n * np.log(1.1))
    assert moved.twice_nll([0.5, 1.0]) - moved.twice_nll([0.5, 0.0]) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(SchemaError, match="one factor for all"):
        likelihood.with_systematics(parameters=[*likelihood.parameters, alpha], systematics=same[:1])


def test_points_outside_the_range_of_the_network_are_forbidden(shifted: Any) -> None:
    x, likelihood = shifted
    wide = likelihood.with_systematics(parameters=[Parameter("theta", 0.5, -8.0, 8.0)])
    assert wide.twice_nll(4.0) == np.inf
    with pytest.raises(PhysicsDomainError, match="theta from -1 to 3"):
        wide.check(4.0)
    assert wide.fit().parameters["theta"] == pytest.approx(likelihood.fit().parameters["theta"], abs=1e-6)
    assert len(x) == len(likelihood.weights)


def test_toys_follow_the_model(shifted: Any) -> None:
    _, likelihood = shifted
    source = toys_of(likelihood, asimov={"theta": 0.7})
    (toys,) = run_toys(source, [ToyRequest({"theta": 0.7}, 400)], poi="theta", seed=3)
    information = 102.8 * (1.0 + 16.0 / 102.8**2)
    assert toys.best_fit.mean() == pytest.approx(0.7, abs=4.0 / np.sqrt(400 * information))
    assert toys.best_fit.std(ddof=1) == pytest.approx(1.0 / np.sqrt(information), rel=0.15)
    assert toys.t.mean() == pytest.approx(1.0, abs=0.3)
    assert toys.converged.all()


def test_bootstrap_gives_the_error_of_the_mean(shifted: Any) -> None:
    x, likelihood = shifted
    found = bootstrap_parameterised(likelihood, replicas=400, seed=1)
    assert found.standard_error == pytest.approx(x.std() / np.sqrt(len(x)), rel=0.12)
    assert found.replicas.mean() == pytest.approx(likelihood.fit().parameters["theta"], abs=0.02)


def test_rough_functions_and_unknown_ranges_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="smooth"):
        ThetaSeries.of(lambda theta: np.array([abs(theta[0] - 0.3)]), [ThetaAxis("theta", LOW, HIGH)])
    document = write_shifted(tmp_path, events(50))
    document["measurements"][0]["config"]["parameters"][0]["bounds"] = [[-2.0, 3.0]]
    with pytest.raises(ArtifactMismatchError, match="-2 to 3 in the fit"):
        Workspace(document, tmp_path).likelihood()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": None}, "have no output"),
        ({"inputs": {}}, "names what its model reads"),
        ({"output": None, "samples": [{"name": "S", "yield": 1.0, "output": "density"}]}, "belong to a channel with `output`"),
        ({"samples": [{"name": "S", "yield": 1.0, "output": "density"}]}, "samples have their own"),
    ],
)
def test_channels_of_two_kinds_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        write_shifted(tmp_path, events(50), **changes)


def test_a_network_of_theta_in_a_channel_of_processes_is_refused(tmp_path: Path) -> None:
    document = write_shifted(tmp_path, events(50), output=None, inputs={}, samples=[{"name": "S", "yield": 1.0, "output": "density"}])
    with pytest.raises(ArtifactMismatchError, match="reads \\['theta'\\]"):
        Workspace(document, tmp_path).likelihood()


def test_a_combination_renames_what_the_network_reads(tmp_path: Path) -> None:
    x = events()
    part = Workspace(write_shifted(tmp_path, x), tmp_path)
    both = Workspace.combine({"a": part}, rename={"a": {"theta": "shift"}}).likelihood()
    tied = Workspace.combine({"a": part}, express={"theta": "2 * t"}, parameters=[Parameter("t", 0.2, -0.4, 1.4)], poi="t").likelihood()
    best = part.likelihood().fit().parameters["theta"]
    assert both.fit().parameters["shift"] == pytest.approx(best, abs=1e-7)
    assert tied.fit().parameters["t"] == pytest.approx(0.5 * best, abs=1e-5)
    assert tied.gradient(0.3)[0] == pytest.approx(2.0 * both.gradient(0.6)[0], rel=1e-4)

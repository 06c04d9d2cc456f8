"""Independent parts of an uncertainty: closed forms of linear Gaussian models, and toys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.unit.likelihood.pyhf_models import MU, binwise, normsys, sample
from toolkit.errors import FitError, PhysicsDomainError, SchemaError
from toolkit.likelihood import Parameter, UnbinnedLikelihood, Workspace, auxiliary_impacts, resampled, uncertainty_components
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.components import statistical_component
from toolkit.likelihood.constraints import Constraint, replace_observed


class LinearGaussian(Likelihood):
    """(y - A theta)^T V^-1 (y - A theta) with Gaussian auxiliary measurements of all parameters but the first."""

    def __init__(self, design: Any, variance: Any, data: Any, constraints: tuple[Constraint, ...]) -> None:
        self.design, self.variance, self.data, self._constraints = design, variance, data, constraints
        names = ["mu", *(c.parameter for c in constraints)]
        self._parameters = tuple(Parameter(n, 0.0, -50.0, 50.0) for n in names)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def diverging(self) -> frozenset[str]:
        return frozenset()

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return self._constraints

    def with_auxiliary(self, observed: Mapping[str, float]) -> LinearGaussian:
        return LinearGaussian(self.design, self.variance, self.data, replace_observed(self._constraints, observed))

    def twice_nll_points(self, points: Any) -> Any:
        rest = self.data - points @ self.design.T
        own = np.array([sum(c.twice_nll(x) for c, x in zip(self._constraints, p[1:], strict=True)) for p in points])
        return np.sum(rest**2 / self.variance, axis=1) + own

    def gradient_at(self, point: Any) -> Any:
        out = -2.0 * self.design.T @ ((self.data - self.design @ point) / self.variance)
        out[1:] += [c.slope(x) for c, x in zip(self._constraints, point[1:], strict=True)]
        return out

    def hessian_at(self, point: Any) -> Any:
        del point
        return 2.0 * self.design.T @ (self.design / self.variance[:, None]) + np.diag([0.0, *(2.0 / c.scale**2 for c in self._constraints)])


@resampled.register
def _(likelihood: LinearGaussian, generator: np.random.Generator) -> Likelihood:
    drawn = generator.normal(likelihood.data, np.sqrt(likelihood.variance))
    return LinearGaussian(likelihood.design, likelihood.variance, drawn, likelihood.constraints)


def linear(seed: int) -> LinearGaussian:
    rng = np.random.default_rng(seed)
    n, k = 12, 4
    constraints = tuple(Constraint(f"a{i}", observed=float(rng.normal()), scale=float(rng.uniform(0.3, 2.0))) for i in range(k))
    return LinearGaussian(rng.normal(size=(n, k + 1)), rng.uniform(0.5, 3.0, n), rng.normal(size=n), constraints)


def closed_form(model: LinearGaussian) -> tuple[float, dict[str, float], float]:
    """Total, contribution of each auxiliary measurement, contribution of the data: columns of the linear estimator."""
    k = len(model.constraints)
    rows = np.vstack([model.design, np.hstack([np.zeros((k, 1)), np.eye(k)])])
    variance = np.concatenate([model.variance, [c.scale**2 for c in model.constraints]])
    covariance = np.linalg.inv(rows.T @ (rows / variance[:, None]))
    estimator = covariance @ (rows / variance[:, None]).T
    parts = estimator[0] ** 2 * variance
    n = len(model.data)
    return (
        math.sqrt(covariance[0, 0]),
        {c.parameter: math.sqrt(p) for c, p in zip(model.constraints, parts[n:], strict=True)},
        math.sqrt(parts[:n].sum()),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_components_of_a_linear_gaussian_model_add_up_exactly(seed: int) -> None:
    model = linear(seed)
    fit = model.fit()
    total, auxiliary, data = closed_form(model)
    assert fit.errors["mu"] == pytest.approx(total, rel=1e-9)
    found = {i.parameter: i for i in auxiliary_impacts(model, fit)}
    for name, size in auxiliary.items():
        assert abs(found[name].up) == pytest.approx(size, rel=1e-7)
        assert found[name].down == pytest.approx(-found[name].up, rel=1e-7)
    systematic = sum(i.size**2 for i in found.values())
    assert fit.errors["mu"] ** 2 - systematic == pytest.approx(data**2, rel=1e-7)
    groups = {"one": ["a0", "a1"], "two": ["a2", "a3"]}
    parts = {c.group: c for c in uncertainty_components(model, fit, groups, seed=5, replicas=400)}
    assert math.hypot(parts["one"].up, parts["two"].up) == pytest.approx(parts["systematic"].up, rel=1e-9)
    assert math.hypot(parts["statistical"].up, parts["systematic"].up) == parts["total"].up
    assert abs(parts["statistical"].up - data) < 3.0 * parts["statistical"].error
    assert 0.03 < parts["statistical"].error / data < 0.06  # 0.962 / sqrt(400)


def test_the_error_of_the_statistical_part_is_that_of_repeated_seeds() -> None:
    model = linear(1)
    fit = model.fit()
    several = [statistical_component(model, fit, seed=seed, replicas=60) for seed in range(40)]
    spread = float(np.std([c.up for c in several], ddof=1))
    assert 0.7 < spread / np.mean([c.error for c in several]) < 1.4


def test_a_counting_experiment_with_a_control_measurement() -> None:
    """n = mu s + gamma b, gamma measured by tau gamma counts: sigma^2 = n / s^2 + (b / s)^2 / tau, shifts of gamma by 1 / sqrt(tau)."""
    document = {
        "version": "1.0.0",
        "channels": [{"name": "c", "samples": [sample("s", [40.0], MU), sample("b", [100.0], binwise("bkg", "shapesys", [10.0]))]}],
        "observations": [{"name": "c", "data": [150.0]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
    }
    likelihood = Workspace(document).likelihood()
    fit = likelihood.fit()
    (impact,) = auxiliary_impacts(likelihood, fit)
    assert impact.parameter == "bkg[0]"
    assert impact.up == pytest.approx(-100.0 * 0.1 / 40.0, rel=1e-5)  # tau = 100 counts, 10 more are 10 % more background
    assert impact.down == pytest.approx(100.0 * 0.1 / 40.0, rel=1e-5)
    parts = {c.group: c for c in uncertainty_components(likelihood, fit, {}, seed=2, replicas=500)}
    assert abs(parts["statistical"].up - math.sqrt(150.0) / 40.0) < 3.0 * parts["statistical"].error
    assert abs(parts["total"].up - fit.errors["mu"]) < 3.0 * parts["total"].error


def test_constrained_parameters_count_as_statistics_where_the_data_measure_them() -> None:
    """Two bins, one without signal: the data know the background to 2 %, its own measurement (20 %) hardly matters."""
    document = {
        "version": "1.0.0",
        "channels": [{"name": "c", "samples": [sample("s", [50.0, 0.0], MU), sample("b", [100.0, 2500.0], normsys("xs", 1.2, 0.8))]}],
        "observations": [{"name": "c", "data": [150.0, 2500.0]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
    }
    likelihood = Workspace(document).likelihood()
    fit = likelihood.fit()
    parts = {c.group: c for c in uncertainty_components(likelihood, fit, {"xs": ["xs"]}, seed=3, replicas=300)}
    assert parts["xs"].up < 0.005
    assert abs(parts["total"].up - fit.errors["mu"]) < 3.0 * parts["total"].error


def test_asimov_sets_fluctuate_as_data_would_and_negative_weights_are_refused() -> None:
    """15 expected events as 3000 of weight 0.005: the statistical part is sqrt(15) / 10, not that of 3000 simulated events."""
    options: dict[str, Any] = {"log_ratios": np.zeros((3000, 2)), "yields": [10.0, 5.0], "coefficients": ("mu", "1"), "parameters": ("mu",)}
    likelihood = UnbinnedLikelihood(weights=np.full(3000, 0.005), bounds={"mu": (-0.45, 4.0)}, **options)
    part = statistical_component(likelihood, likelihood.fit(), seed=4, replicas=600)
    assert abs(part.up - math.sqrt(15.0) / 10.0) < 3.0 * part.error
    weights = np.full(3000, 0.005)
    weights[7] = -0.01
    negative = UnbinnedLikelihood(weights=weights, bounds={"mu": (-0.45, 4.0)}, **options)
    with pytest.raises(PhysicsDomainError, match="1 of 3000 events with negative weights"):
        statistical_component(negative, negative.fit(), seed=4)


def test_wrong_names_are_refused() -> None:
    model = linear(1)
    fit = model.fit()
    with pytest.raises(SchemaError, match="auxiliary observables"):
        auxiliary_impacts(model, fit, parameters=["mu"])
    with pytest.raises(SchemaError, match="groups"):
        uncertainty_components(model, fit, {"g": ["mu"]}, seed=1)
    with pytest.raises(SchemaError, match="parameter of interest"):
        auxiliary_impacts(model, fit, poi="nu")
    with pytest.raises(FitError, match="Unknown"):
        resampled(_Unknown(), np.random.default_rng(1))


class _Unknown(Likelihood):
    parameters = ()  # type: ignore[assignment]
    diverging = frozenset()  # type: ignore[assignment]

    def twice_nll_points(self, points: Any) -> Any:
        return np.zeros(len(points))

    def gradient_at(self, point: Any) -> Any:
        return np.zeros(len(point))

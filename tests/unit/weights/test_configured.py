"""From a config to a morphing, and from carried weights to the densities that estimators learn."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.config import MorphingConfig
from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood import morphing_expressions
from toolkit.weights import SimulatedEvents, basis
from toolkit.weights.configured import configured_morphing, density_coefficients, density_matrix, to_densities

QUARTIC = {"basis": "own", "monomials": ["1", "kappa^2", "kappa^4"], "points": {"low": 0.5, "one": 1.0, "high": 1.5}}


@pytest.fixture
def amplitudes():
    s, b = np.random.default_rng(31).normal(size=(2, 200, 2)) @ np.array([1.0, 1j])
    return np.abs(s) ** 2, 2 * (s * b.conj()).real, np.abs(b) ** 2


def events_of(columns, names):
    weights = np.stack([*columns, np.linspace(1.0, 2.0, len(columns[0]))], axis=1)
    ids = np.arange(len(weights), dtype=np.uint64)
    return SimulatedEvents((*names, "qq"), ids, np.zeros(len(weights), dtype=np.int64), ("x",), {}, weights)


@pytest.mark.parametrize("name", ["ggF", "EW", "kappa"])
def test_named_bases_are_those_of_the_library(name):
    parameter = "kappa" if name == "kappa" else "mu"
    morphing = configured_morphing(MorphingConfig(basis=name), parameter=parameter)
    np.testing.assert_allclose(morphing.coefficients_at([0.3, 1.7]), basis(name).coefficients_at([0.3, 1.7]), rtol=1e-9, atol=1e-10)


def test_gluon_fusion_is_left_alone(amplitudes):
    events = events_of(amplitudes, MorphingConfig().benchmarks)
    assert to_densities(events, MorphingConfig(), parameter="mu") is events
    texts = density_coefficients(MorphingConfig(), parameter="k", n_backgrounds=2)
    assert texts == morphing_expressions("ggF", parameter="k", n_backgrounds=2)


@pytest.mark.parametrize(
    ("section", "parameter", "points"),
    [
        ({"basis": "EW"}, "mu", (0.0, 1.0, 10.0)),
        ({"basis": "EW", "points": {"a": 0.5, "b": 2.0, "c": 10.0}}, "mu", (0.5, 2.0, 10.0)),
        ({"basis": "EW", "points": {"a": 0.5, "b": 2.0, "c": 10.0, "d": 4.0}}, "mu", (0.5, 2.0, 10.0, 4.0)),
        (QUARTIC, "kappa", (0.5**4, 1.0, 1.5**4)),
    ],
)
def test_the_three_densities_follow_from_any_points(amplitudes, section, parameter, points):
    s, i, b = amplitudes
    configured = MorphingConfig(**section)
    carried = events_of([mu * s + np.sqrt(mu) * i + b for mu in points], configured.carried)
    found = to_densities(carried, configured, parameter=parameter)
    assert found.processes == (*configured.benchmarks, "qq")
    np.testing.assert_allclose(found.weights[:, :3], np.stack([s, s + i + b, b], axis=1), atol=1e-9)
    np.testing.assert_array_equal(found.weights[:, 3], carried.weights[:, -1])
    texts = density_coefficients(configured, parameter=parameter, n_backgrounds=1)
    value = 0.81
    f = [float(Expression.parse(t).dual({parameter: np.array([value])})[0].item()) if t != "1" else 1.0 for t in texts]
    mu = value**4 if parameter == "kappa" else value
    np.testing.assert_allclose(found.weights_at(f), mu * s + np.sqrt(mu) * i + b + carried.weights[:, -1], atol=1e-9)


def test_a_density_that_is_carried_stays_bit_for_bit(amplitudes):
    s, i, b = amplitudes
    section = MorphingConfig(basis="EW", points={"B": 0, "SBI": 1, "SBI10": 10, "S": "mu"}, signal="S")
    carried = events_of([b, s + i + b, 10 * s + np.sqrt(10) * i + b, s], section.carried)
    found = to_densities(carried, section, parameter="mu")
    np.testing.assert_array_equal(found.weights, carried.weights[:, [3, 1, 0, 4]])
    np.testing.assert_array_equal(density_matrix(section, parameter="mu"), np.eye(4)[:, [3, 1, 0]])


def test_more_amplitudes_keep_their_points():
    section = MorphingConfig(basis="kappa")
    np.testing.assert_array_equal(density_matrix(section, parameter="kappa"), np.eye(5))
    texts = density_coefficients(section, parameter="kappa", n_backgrounds=1)
    values = [Expression.parse(t).dual({"kappa": np.array([1.35])})[0] for t in texts[:5]]
    np.testing.assert_allclose(np.ravel(values), basis("kappa").coefficients(1.35), rtol=1e-9)
    assert texts[5] == "1"


def test_degenerate_points_are_named():
    section = MorphingConfig(basis="EW", points={"B": 0, "one": 1, "again": 1})
    with pytest.raises(SchemaError, match="degenerate: one, again"):
        configured_morphing(section, parameter="mu")

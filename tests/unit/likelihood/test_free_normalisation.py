"""Likelihoods without the rate: a free normalisation profiled is the multinomial likelihood of the shapes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import xlogy

from tests.unit.likelihood.systematics_toy import asimov, channel
from toolkit.errors import SchemaError
from toolkit.likelihood import BinnedLikelihood, Workspace, make_document
from toolkit.likelihood.free_normalisation import NORMALISATION, without_rate, workspace_without_rate

MU = (0.1, 0.8, 2.5)
TEMPLATES = np.array([[2.0, 8.0, 30.0], [210.0, 95.0, 60.0], [230.0, 110.0, 52.0], [700.0, 300.0, 80.0]])
COEFFICIENTS = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1")


def binned():
    data = np.array([930.0, 401.0, 135.0])
    return BinnedLikelihood(templates=TEMPLATES, data=data, coefficients=COEFFICIENTS, parameters=("mu",), bounds={"mu": (0.0, 6.0)})


def test_bins_give_the_multinomial_likelihood():
    likelihood = binned()
    shape = without_rate(likelihood)
    expected = np.array([likelihood.expected(mu) for mu in MU])
    multinomial = -2.0 * xlogy(likelihood.data, expected / expected.sum(axis=1, keepdims=True)).sum(axis=1)
    found = np.array([shape.fit(fixed={"mu": mu}).twice_nll for mu in MU])
    np.testing.assert_allclose(found - found[0], multinomial - multinomial[0], atol=1e-6)
    free = shape.fit(fixed={"mu": 0.8}).parameters[NORMALISATION.name]
    assert free == pytest.approx(likelihood.data.sum() / expected[1].sum(), rel=1e-6)


def test_a_document_gives_what_the_templates_give():
    likelihood = binned()
    document = make_document(parameters=likelihood.parameters, binned=[likelihood])
    read = workspace_without_rate(Workspace(document)).likelihood()
    direct = without_rate(likelihood)
    for point in ({"mu": 0.3, NORMALISATION.name: 1.1}, {"mu": 2.0, NORMALISATION.name: 0.8}):
        assert read.twice_nll(point) == pytest.approx(direct.twice_nll(point), abs=1e-9)
    assert "free" not in str(document)
    data = [{"name": "c", "data": [1.0]}]
    broken = {**document, "channels": [{"name": "c", "samples": [{"name": "s", "data": [1.0], "modifiers": []}]}], "observations": data}
    with pytest.raises(SchemaError, match="morphing"):
        workspace_without_rate(Workspace(broken))


def test_events_keep_their_nuisance_parameters():
    """At a normalisation of 1 nothing has changed; the luminosity is degenerate with it and keeps its constraint."""
    toy = channel(400, n_grid=100)
    likelihood = toy.likelihood(weights=asimov(toy.x))
    shape = without_rate(likelihood)
    assert shape.parameter_names == (*likelihood.parameter_names, NORMALISATION.name)
    assert shape.constraints == likelihood.constraints
    point = {"mu": 0.7, "t0": 1.1, "scale": 0.4, "slope": -0.3, "lumi": 1.01}
    assert shape.twice_nll(point) == pytest.approx(likelihood.twice_nll(point), abs=1e-9)
    moved = {**point, "lumi": 1.02, NORMALISATION.name: 1.01 / 1.02}
    constraint = ((1.02 - 1.0) / 0.02) ** 2 - ((1.01 - 1.0) / 0.02) ** 2
    assert shape.twice_nll(moved) - shape.twice_nll(point) == pytest.approx(constraint, abs=1e-8)
    with pytest.raises(SchemaError, match="workspace_without_rate"):
        without_rate(Workspace(make_document(parameters=binned().parameters, binned=[binned()])).likelihood())

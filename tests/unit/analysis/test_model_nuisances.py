"""Nuisance parameters of the physics model: likelihoods, errors and documents against what is written here by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.unit.analysis.two_regions import ExactRatio, config_of, document_of, methods_of, simulate
from toolkit.analysis import FitModel, Systematics
from toolkit.analysis.data import FitData
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.nuisances import constrained_parameters, normalisations
from toolkit.analysis.workspaces import write_region_workspaces
from toolkit.config import Config, parse_config
from toolkit.errors import SchemaError
from toolkit.likelihood import Likelihood, Workspace, impacts
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.parameters import Parameter

KNOWN: dict[str, Any] = {"kind": "nuisance", "central": 1.0, "width": 0.1}
COUNT: dict[str, Any] = {"kind": "nuisance", "central": 1.0, "width": 0.2, "constraint": "poisson"}
POINTS = ((1.0, 1.0, 1.0), (0.6, 1.1, 0.9), (2.0, 0.8, 1.25))


def config(known: dict[str, Any] = KNOWN, **changes: Any) -> Config:
    return config_of(sig={"factor": "mu * k"}, k=known, **changes)


def likelihoods(config: Config, systematics: Systematics) -> dict[str, tuple[Likelihood, Likelihood]]:
    """Return, by method, the likelihood with k held at its central value, and the one with k free."""
    data = asimov_of(config, systematics)
    return {method.name: (data.plain(method), data.full(method)) for method in data.methods}


def asimov_of(config: Config, systematics: Systematics) -> FitData:
    test, model = simulate(2), FitModel.of(config)
    return FitData(test, truth_weights(test, model, model.truth), methods_of(config, simulate(1), test), systematics, model)


def of_model(config: Config) -> Systematics:
    return Systematics(of_model=constrained_parameters(config.model))


def test_the_section_is_read_and_has_a_range_of_its_own() -> None:
    [gaussian] = config().model.nuisances
    assert (gaussian.truth, gaussian.width, gaussian.start) == (1.0, 0.1, 1.0)
    assert gaussian.range == pytest.approx((0.5, 1.5))
    [count] = config(COUNT).model.nuisances
    assert count.range == pytest.approx((1e-6, 2.0))
    [usual] = config_of(sig={"factor": "mu * (1 + 0.1 * alpha)"}, alpha={"kind": "nuisance"}).model.nuisances
    assert (usual.truth, usual.width, usual.range) == (0.0, 1.0, (-5.0, 5.0))


@pytest.mark.parametrize("known", [KNOWN, COUNT])
@pytest.mark.parametrize("name", ["nsbi", "rate", "mass"])
def test_a_free_nuisance_parameter_adds_its_constraint_once(known: dict[str, Any], name: str) -> None:
    """mu * k scales the signal of the same templates and ratios; a Gaussian, or a count of 25, is added once for both regions."""
    held, free = likelihoods(config(known), of_model(config(known)))[name]
    assert {p.name: p.fixed for p in held.parameters} == {"mu": False, "t": False, "k": True}
    assert not any(p.fixed for p in free.parameters)
    assert held.fit().parameters["k"] == 1.0

    def constraint(k: float) -> float:
        return ((k - 1.0) / 0.1) ** 2 if known is KNOWN else 2.0 * 25.0 * (k - 1.0 - np.log(k))

    values = [
        free.twice_nll({"mu": mu, "t": t, "k": k}) - held.twice_nll({"mu": mu * k, "t": t, "k": 1.0}) - constraint(k) for mu, t, k in POINTS
    ]
    assert values == pytest.approx([values[0]] * 3, abs=1e-7)
    assert [c.parameter for c in free.constraints] == ["k"]


def test_the_profile_has_the_width_of_data_and_knowledge() -> None:
    """Where only mu k is measured, the profile of mu is that of the product with a Gaussian factor: minimised here by itself."""
    held, free = likelihoods(config(), of_model(config()))["nsbi"]
    for mu in (0.5, 1.6):

        def profile(at: np.ndarray, mu: float = mu) -> float:
            t, k = at
            return held.twice_nll({"mu": mu * k, "t": t, "k": 1.0}) + ((k - 1.0) / 0.1) ** 2

        exact = minimize(profile, [1.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}).fun
        lowest = held.twice_nll({"mu": 1.0, "t": 1.0, "k": 1.0})
        found = free.fit(fixed={"mu": mu}).twice_nll - free.twice_nll({"mu": 1.0, "t": 1.0, "k": 1.0})
        assert found == pytest.approx(exact - lowest, abs=1e-6)
    [largest, *_] = impacts(free, free.fit(), poi="mu", parameters=["k"])
    assert largest.parameter == "k"
    assert largest.up == pytest.approx(1.0 / 1.1 - 1.0, abs=0.02)  # mu k stays
    assert largest.down == pytest.approx(1.0 / 0.9 - 1.0, abs=0.02)


def test_one_parameter_of_the_model_and_of_a_variation() -> None:
    """theory moves yields of bkg by 1.2^theory, and those of sig by 1 + 0.1 theory: one parameter, one constraint."""
    both = {"normalisations": {"theory": {"processes": ["bkg"], "up": 1.2}}}
    config = config_of(sig={"factor": "mu * (1 + 0.1 * theory)"}, theory={"kind": "nuisance"})
    section = config.likelihood.model_copy(update={"normalisations": parse_normalisations(both)})
    config = config.model_copy(update={"likelihood": section})
    systematics = replace(of_model(config), norms=normalisations(config))
    assert config.nuisance_names["normalisation"] == ("theory",)
    for name, (held, free) in likelihoods(config, systematics).items():
        assert [c.parameter for c in free.constraints] == ["theory"], name
        values = [
            free.twice_nll({"mu": mu, "t": t, "theory": a})
            - held.twice_nll({"mu": mu * (1.0 + 0.1 * a), "t": t * 1.2**a, "theory": 0.0})
            - a**2
            for mu, t, a in ((1.0, 1.0, 0.0), (1.5, 0.9, 1.0), (0.7, 1.1, -1.0))  # at +-1 interpolations of a factor agree
        ]
        assert values == pytest.approx([values[0]] * 3, abs=1e-7), name


def parse_normalisations(section: dict[str, Any]) -> Any:
    return config_of(mu={"range": [0, 4]}).likelihood.model_validate(section).normalisations


def test_a_shared_parameter_is_a_number_of_standard_deviations() -> None:
    with pytest.raises(SchemaError, match="needs `central: 0` and `width: 1`, otherwise rename it"):
        with_likelihood(config_document(), {"normalisations": {"k": {"processes": ["bkg"], "up": 1.2}}})


def config_document() -> dict[str, Any]:
    return document_of(sig={"factor": "mu * k"}, k=KNOWN)


def with_likelihood(document: dict[str, Any], section: dict[str, Any]) -> Config:
    return parse_config(document | {"likelihood": section}, folder=Path())


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"closure": [{"k": 1.1}]}, "k = 1.1 is no value in the range of a free parameter"),
        ({"fits": {"one": {"parameters": {"nu": {}}, "express": {"k": "nu"}}}}, r"\['k'\] are no free parameters of the analysis"),
        ({"fits": {"one": {"parameters": {"nu": {"kind": "nuisance"}}, "express": {"mu": "nu"}}}}, r"\['nu'\] of kind nuisance"),
    ],
)
def test_what_a_nuisance_parameter_cannot_be(section: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        with_likelihood(config_document(), section)


@pytest.mark.parametrize("known", [KNOWN, COUNT])
def test_the_document_of_a_binned_method_has_the_constraint(known: dict[str, Any], tmp_path: Path) -> None:
    own = config(known)
    (tmp_path / "workspace").mkdir()
    ratio: Any = ExactRatio()
    write_region_workspaces(tmp_path, asimov_of(own, of_model(own)), ratio)
    document = json.loads((tmp_path / "workspace" / "mass.json").read_text())
    [entry] = [p for p in document["measurements"][0]["config"]["parameters"] if p["name"] == "k"]
    assert entry["auxdata"] == ([1.0] if known is KNOWN else pytest.approx([25.0]))
    loaded = Workspace.load(tmp_path / "workspace" / "mass.json").likelihood()
    _, free = likelihoods(own, of_model(own))["mass"]
    for mu, t, k in POINTS:
        point = {"mu": mu, "t": t, "k": k}
        assert loaded.twice_nll(point) == pytest.approx(free.twice_nll(point), abs=1e-9)


def test_a_document_with_half_a_constraint_is_refused() -> None:
    channel = {"name": "c", "samples": [{"name": "s", "data": [5.0], "modifiers": [MORPHING]}]}
    entry = {"name": "k", "inits": [1.0], "bounds": [[0.0, 2.0]], "auxdata": [1.0]}
    document = {
        "version": "1.0.0",
        "channels": [channel],
        "observations": [{"name": "c", "data": [5.0]}],
        "measurements": [{"name": "m", "config": {"poi": "k", "parameters": [entry]}}],
    }
    with pytest.raises(SchemaError, match=r"parameter 'k'\n.*auxdata.*\n.*\"sigmas\" \(a Gaussian\) or \"factors\""):
        Workspace(document).likelihood()
    entry["factors"] = [4.0]
    assert Workspace(document).likelihood().constraints == (Constraint("k", observed=1.0, kind="poisson", scale=4.0),)


MORPHING = {"name": "f", "type": "morphing", "data": {"coefficient": "k"}}


def test_parameters_and_constraints_are_in_one_order() -> None:
    known = ((Parameter("k", 1.0, 0.5, 1.5), Constraint("k", observed=1.0, scale=0.1)),)
    systematics = Systematics(luminosity=0.02, norms={"theory": (np.ones(2), np.ones(2))}, of_model=known)
    assert [p.name for p in systematics.parameters] == ["lumi", "k", "theory"] == [c.parameter for c in systematics.constraints]
    assert [c.scale for c in systematics.constraints] == [0.02, 0.1, 1.0]


def test_closure_tests_hold_nuisance_parameters() -> None:
    """Errors of the finite simulation are those of the analysis in which the parameter is the number 1."""
    errors = []
    for own in (config(), config_of()):
        data = asimov_of(own, Systematics())
        method: Any = data.methods[-1]
        likelihood = data.plain(method)
        bounds = {p.name: (p.low, p.high) for p in likelihood.parameters}
        weights = truth_weights(simulate(1), data.model, data.model.truth)
        found = method.finite_simulation(likelihood.fit(), test=data.weights, training=weights, roots=likelihood.diverging, bounds=bounds)
        assert set(found) == {"mu", "t"}
        errors.append((found["mu"].test, found["mu"].training, found["mu"].total))
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)

"""Statistical errors of templates: the total of signed components, pyhf's own reading of the document, fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf
import pytest

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.expressions import Expression
from toolkit.likelihood import Parameter, Templates, Workspace, fill_templates, make_document, morphing_expressions
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.likelihood.statistical import relative_errors, statistical_modifiers

EDGES = np.linspace(0.0, 1.0, 5)
PROCESSES = ("S", "SBI", "B", "q")
MU = Parameter("mu", init=1.0, low=0.0, high=4.0)
COEFFICIENTS = morphing_expressions(n_backgrounds=1)


def simulate(n: int, seed: int = 4, *, poisson: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Events of which about half interfere (S, SBI, B weights of the same event), the others are background."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 1.0, rng.poisson(n) if poisson else n)
    s, b = 0.3 + 0.9 * x**3, -1.2 * np.exp(-2.0 * x) - 0.5
    interfering = np.stack([s**2, s**2 + b**2 + 1.2 * s * b, b**2, 0.0 * x], axis=1)
    background = np.stack([0.0 * x, 0.0 * x, 0.0 * x, 3.0 - x], axis=1)
    return x, np.where((np.arange(len(x)) % 2 == 0)[:, None], interfering, background) * 800.0 / n


def templates(n: int = 400) -> Templates:
    return fill_templates(*simulate(n), EDGES, processes=PROCESSES)


def coefficients(mu: float) -> np.ndarray:
    return np.array([Expression.parse(c).value({"mu": mu}) for c in COEFFICIENTS])


def document(t: Templates, nominal: float = 1.0, observed: Any = None) -> dict[str, Any]:
    errors = statistical_modifiers(t, coefficients=coefficients(nominal), name="stat")
    samples = [
        {"name": p, "data": row.tolist(), "modifiers": [{"name": f"f_{p}", "type": "morphing", "data": {"coefficient": c}}, e]}
        for p, row, c, e in zip(PROCESSES, t.values, COEFFICIENTS, errors, strict=True)
    ]
    counts = t.expected(coefficients(nominal)) if observed is None else observed
    return make_document(parameters=[MU], channels=[({"name": "m4l", "samples": samples}, list(counts))])


@pytest.mark.parametrize("mu", [0.2, 1.0, 3.0])
def test_the_error_is_the_spread_of_the_total_over_independent_simulations(mu: float) -> None:
    """600 simulations of the same size: the standard deviation of their totals over the mean, in every bin."""
    f = coefficients(mu)
    totals = []
    for k in range(600):
        x, w = simulate(400, seed=100 + k, poisson=True)
        totals.append(fill_templates(x, w, EDGES, processes=PROCESSES).expected(f))
    spread = np.std(totals, axis=0) / np.mean(totals, axis=0)
    np.testing.assert_allclose(spread, relative_errors(templates(40_000), f) * 10.0, rtol=0.1)


def test_errors_in_quadrature_would_be_wrong_for_signed_components() -> None:
    t, f = templates(), coefficients(4.0)
    quadrature = np.sqrt((f[:, None] ** 2 * t.variances).sum(axis=0)) / t.expected(f)
    assert np.abs(quadrature / relative_errors(t, f) - 1.0).max() > 0.1


@pytest.mark.parametrize("nominal", [0.3, 1.0, 2.0])
def test_pyhf_reads_the_same_widths_and_the_same_likelihood(nominal: float) -> None:
    t = templates()
    workspace = Workspace(document(t, nominal))
    portable = workspace.to_pyhf()
    with quiet_schema():
        built = pyhf.Workspace(portable).model(poi_name=None)
    sigma = relative_errors(t, coefficients(nominal))
    np.testing.assert_allclose(built.config.param_set("stat").sigmas, sigma, rtol=1e-12)
    likelihood = workspace.likelihood()
    rng = np.random.default_rng(3)
    for _ in range(100):
        mu, gammas = rng.uniform(0.0, 4.0), rng.normal(1.0, sigma)
        ours = likelihood.twice_nll({"mu": mu, **{f"stat[{b}]": g for b, g in enumerate(gammas)}})
        values = {f"f_{p}": c for p, c in zip(PROCESSES, coefficients(mu), strict=True)}
        values.update({f"stat[{b}]": g for b, g in enumerate(gammas)})
        pars = [values[n] for n in built.config.par_names]
        data = [*portable["observations"][0]["data"], *built.config.auxdata]
        assert ours == pytest.approx(-2.0 * float(built.logpdf(pars, data)[0]), rel=1e-9)
        # by hand: Poisson of the total times gamma, Gaussian around 1
        total = coefficients(mu) @ t.values * gammas
        pulls = ((gammas - 1.0) / sigma) ** 2 + np.log(2.0 * np.pi * sigma**2)
        poisson = [float(pyhf.probability.Poisson(e).log_prob(n)) for e, n in zip(total, data[:4], strict=True)]
        assert ours == pytest.approx(float(pulls.sum()) - 2.0 * sum(poisson), rel=1e-9)


def test_little_simulation_widens_the_error_and_much_changes_nothing() -> None:
    errors = {}
    for n in (400, 400_000):
        t = templates(n)
        with_errors = Workspace(document(t)).likelihood()
        fit = with_errors.fit()
        assert fit.parameters["mu"] == pytest.approx(1.0, abs=1e-6)
        fixed = {name: 1.0 for name in with_errors.parameter_names if name != "mu"}
        errors[n] = fit.errors["mu"] / with_errors.fit(fixed=fixed).errors["mu"]
    assert errors[400] > 1.05
    assert errors[400_000] == pytest.approx(1.0, abs=5e-3)


def test_an_empty_bin_gets_no_parameter() -> None:
    t = fill_templates([0.1, 0.3, 0.9], [[1.0, 0.5], [2.0, 1.0], [1.0, 1.0]], [0.0, 0.5, 0.7, 1.0], processes=("a", "b"))
    assert relative_errors(t, [1.0, 1.0])[1] == 0.0
    modifiers = statistical_modifiers(t, coefficients=[1.0, 1.0], name="stat")
    samples = [{"name": p, "data": row.tolist(), "modifiers": [m]} for p, row, m in zip(t.processes, t.values, modifiers, strict=True)]
    samples[0]["modifiers"].append({"name": "mu", "type": "normfactor", "data": None})
    with quiet_schema():
        built = pyhf.Model({"channels": [{"name": "c", "samples": samples}]}, poi_name="mu")
    assert dict(zip(built.config.par_names, built.config.suggested_fixed(), strict=True))["stat[1]"]


def test_totals_that_are_not_positive_are_refused() -> None:
    t = fill_templates([0.1, 0.9], [[1.0, 0.5], [-2.0, 1.0]], [0.0, 0.5, 1.0], processes=("a", "b"))
    with pytest.raises(PhysicsDomainError, match=r"nominal events in bin 0\.5 \.\.\. 1"):
        relative_errors(t, [1.0, 1.0])
    with pytest.raises(PhysicsDomainError, match=r"sum of the templates in bin 0\.5 \.\.\. 1"):
        statistical_modifiers(t, coefficients=[-0.1, 1.0], name="stat")
    with pytest.raises(ShapeError, match="coefficients"):
        relative_errors(t, [1.0])

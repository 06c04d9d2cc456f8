"""Laws of likelihoods with nuisance parameters: the binned limit as pyhf evaluates it, Asimov sets, pyhf's fits, the worth of knowledge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf
import pytest

from tests.unit.likelihood import pyhf_models as models
from tests.unit.likelihood import systematics_toy as toy
from toolkit.likelihood import CombinedLikelihood, Constraint, ConstraintTerm, PyhfLikelihood, ShapeReference, Shapes
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.likelihood.interpolation import factor, log_quadratic

BINS = 6
EDGES = np.linspace(0.0, 1.0, BINS + 1)


def binned_densities() -> np.ndarray:
    """Share of each process in each bin, (4, n_bins)."""
    fine = (np.arange(6000) + 0.5) / 6000
    shares = np.exp(toy.log_ratios(fine)).reshape(BINS, -1, 4).mean(axis=1).T / BINS
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def bin_shapes(code: str) -> Any:
    return toy.shapes((EDGES[1:] + EDGES[:-1]) / 2, code=code)


def piecewise_constant(counts: np.ndarray, code: str, constraints: Any = toy.CONSTRAINTS) -> Any:
    """The unbinned likelihood whose ratios are constant in bins: one event per bin with the count as weight."""
    shares, shapes = binned_densities(), bin_shapes(code)
    return toy.channel(BINS).likelihood(
        log_ratios=np.log(shares.T * BINS),
        weights=counts,
        shapes=shapes,
        reference=ShapeReference(shares.T, shapes),
        constraints=constraints,
    )


def by_pyhf(counts: np.ndarray, code: str, at: dict[str, float]) -> float:
    """pyhf's own -2 logpdf: one sample per process and bin with a normfactor that carries everything, Gaussian terms beside it."""
    shares, shapes = binned_densities(), bin_shapes(code)
    rates = toy.channel(BINS).likelihood(shapes=None, reference=None, constraints=[])
    f = rates.coefficients.values(np.array([rates.point(at)]))[0] * toy.YIELDS
    samples, values = [], {}
    for j in range(4):
        g = np.ones(BINS)
        for m, name in enumerate(shapes.parameters[j]):
            up, down = shapes.logs[j][:, m], shapes.logs[j][:, len(shapes.parameters[j]) + m]
            if code == "code4":
                g = g * factor(at[name], up, down).value
            else:
                p, q = log_quadratic(at[name])[:2]
                g = g * np.exp(up * p + down * q)
        density = shares[j] * g / np.sum(shares[j] * g)
        for b in range(BINS):
            name = f"n_{j}_{b}"
            modifier = {"name": name, "type": "normfactor", "data": None}
            samples.append({"name": name, "data": [float(k == b) for k in range(BINS)], "modifiers": [modifier]})
            values[name] = f[j] * density[b]
    with quiet_schema():
        model = pyhf.Model({"channels": [{"name": "c", "samples": samples}]}, poi_name=None)
    pars = [values[name] for name in model.config.par_names]
    auxiliary = sum(((at[c.parameter] - c.observed) / c.scale) ** 2 for c in toy.CONSTRAINTS)
    return -2.0 * float(model.logpdf(pars, counts)[0]) + auxiliary


@pytest.mark.parametrize("code", ["log_quadratic", "code4"])
def test_piecewise_constant_ratios_give_pyhfs_likelihood(code: str) -> None:
    counts = np.array([310.0, 240.0, 200.0, 150.0, 120.0, 90.0])
    likelihood, rng = piecewise_constant(counts, code), np.random.default_rng(8)
    points = [
        dict(zip(likelihood.parameter_names, (*rng.uniform(0.2, 3.0, 2), *rng.normal(0, 1.5, 2), 1.01), strict=True)) for _ in range(6)
    ]
    ours = np.array([likelihood.twice_nll(at) for at in points])
    theirs = np.array([by_pyhf(counts, code, at) for at in points])
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-9, atol=1e-9)


def test_normalisation_systematics_alone_are_a_pyhf_workspace() -> None:
    """Normsys, luminosity and normfactors without per-event variations: pyhf's grammar says it all, constraint terms included."""
    counts, shares = np.array([310.0, 240.0, 200.0, 150.0, 120.0, 90.0]), binned_densities()
    ours = toy.channel(BINS).likelihood(log_ratios=np.log(shares.T * BINS), weights=counts, shapes=None, reference=None)
    samples = []
    for j, share in enumerate(shares):
        own = [models.normsys(s.parameter, s.up, s.down) for s in toy.SYSTEMATICS if s.process == j]
        plain = [models.LUMI, {"name": f"f{j}", "type": "normfactor", "data": None}]
        samples.append({"name": f"p{j}", "data": (toy.YIELDS[j] * share).tolist(), "modifiers": [*plain, *own]})
    spec = {"channels": [{"name": "c", "samples": samples}], "parameters": [{**models.PARAMETERS[0], "sigmas": [0.02]}]}
    with quiet_schema():
        model = pyhf.Model(spec, poi_name=None)
    ties = {f"f{j}": e.removesuffix(" * lumi") for j, e in enumerate(toy.COEFFICIENTS)}
    parameters = [p for p in toy.PARAMETERS if p.name in {"mu", "t0"}]
    theirs = PyhfLikelihood(model, [*counts, *model.config.auxdata], ties=ties, parameters=parameters)
    rng = np.random.default_rng(9)
    points = [{"mu": m, "t0": t, "scale": a, "slope": b, "lumi": 0.98} for m, t, a, b in rng.uniform(0.3, 2.0, (6, 4)) - [0, 0, 1, 1]]
    one, two = (np.array([item.twice_nll(at) for at in points]) for item in (ours, theirs))
    np.testing.assert_allclose(one - one[0], two - two[0], rtol=1e-9, atol=1e-9)
    assert {c.parameter: (c.observed, c.scale) for c in ours.constraints} == {
        c.parameter: (c.observed, c.scale) for c in theirs.constraints
    }


@pytest.mark.parametrize("mu", [0.3, 1.7])
def test_asimov_returns_the_truth_with_and_without_systematics(mu: float) -> None:
    sample = toy.channel(6000, seed=2, n_grid=500)
    weights = toy.asimov(sample.x, mu)
    weights *= (toy.YIELDS @ [mu - mu**0.5, mu**0.5, 1 - mu**0.5, 1.0]) / weights.sum()
    logs = toy.log_ratios(sample.x)
    logs -= np.log(np.mean(np.exp(logs), axis=0))  # densities that are normalised on these very events
    reference = ShapeReference(np.exp(logs), toy.shapes(sample.x))
    full = sample.likelihood(log_ratios=logs, weights=toy_weights(logs, mu), reference=reference)
    fit, bare = full.fit(), full.fit(fixed={"t0": 1.0, "scale": 0.0, "slope": 0.0, "lumi": 1.0})
    for outcome in (fit, bare):
        assert outcome.parameters["mu"] == pytest.approx(mu, abs=1e-5)
    for name, value in (("t0", 1.0), ("scale", 0.0), ("slope", 0.0), ("lumi", 1.0)):
        assert fit.parameters[name] == pytest.approx(value, abs=1e-5)
    assert fit.errors["mu"] > bare.errors["mu"]


def toy_weights(logs: np.ndarray, mu: float) -> np.ndarray:
    f = np.array([mu - mu**0.5, mu**0.5, 1 - mu**0.5, 1.0])
    return np.asarray(np.exp(logs) @ (f * toy.YIELDS) / len(logs))


@pytest.mark.parametrize("name", ["hello_world", "correlated", "coupled_histosys", "luminosity", "everything"])
def test_fits_are_pyhfs(name: str) -> None:
    """Best-fit values agree to 1e-4 of the uncertainty with pyhf's own fit through iminuit."""
    built = models.model(name)
    start = np.array(built.config.suggested_init())
    start[built.config.poi_index] = 1.4
    counts = np.random.default_rng(21).poisson(built.expected_actualdata(start)).astype(float)
    likelihood = PyhfLikelihood(built, [*counts, *built.config.auxdata])
    fit = likelihood.fit()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-7, strategy=2))
    try:
        best, value = pyhf.infer.mle.fit(likelihood.data.tolist(), built, return_fitted_val=True)
    finally:
        pyhf.set_backend("numpy", "scipy")
    assert fit.twice_nll <= float(value) + 1e-6
    for parameter, theirs in zip(built.config.par_names, best, strict=True):
        error = fit.errors[parameter]
        if np.isfinite(error):
            assert fit.parameters[parameter] == pytest.approx(float(theirs), abs=1e-4 * error), parameter


def test_shared_nuisance_parameters_learn_from_the_other_channel() -> None:
    """A binned control region constrains the scale: its error shrinks in the combination, and so does that of mu."""
    sample = toy.channel(3000, seed=4)
    signal = sample.likelihood(weights=toy.asimov(sample.x, 1.7), constraints=[])
    nuisances = [p for p in signal.parameters if p.name in {"scale", "slope", "lumi"}]
    constraints = ConstraintTerm(toy.CONSTRAINTS, nuisances)
    control = {"name": "cr", "samples": [{"name": "b", "data": [40_000.0], "modifiers": [models.normsys("scale", 1.1, 0.9)]}]}
    with quiet_schema():
        model = pyhf.Model({"channels": [control]}, poi_name=None)
    binned = PyhfLikelihood(model, [40_000.0, 0.0])
    rest = ConstraintTerm([c for c in toy.CONSTRAINTS if c.parameter != "scale"], [p for p in nuisances if p.name != "scale"])
    alone = CombinedLikelihood([signal, constraints], poi="mu").fit(fixed={"t0": 1.0})
    together = CombinedLikelihood([signal, binned, rest], poi="mu").fit(fixed={"t0": 1.0})
    assert together.errors["scale"] < 0.2 * alone.errors["scale"]
    assert together.errors["mu"] < alone.errors["mu"]


def test_variations_that_are_not_normalised_move_the_rate_only_through_the_yields() -> None:
    """A common factor of a variation cancels: g and c g are one density."""
    sample = toy.channel(500)
    moved = toy.shapes(sample.x)
    grid = toy.shapes(sample.grid)
    shifted = [Shapes(s.parameters, s.table + 0.3, s.code) for s in (moved, grid)]
    one = sample.likelihood()
    two = sample.likelihood(shapes=shifted[0], reference=ShapeReference(np.exp(toy.log_ratios(sample.grid)), shifted[1]))
    for alpha in (-2.0, 0.4, 1.5):
        at = {"mu": 0.7, "scale": alpha, "slope": -alpha}
        assert two.twice_nll(at) == pytest.approx(one.twice_nll(at), abs=1e-8)


def test_pulls_of_auxiliary_data_move_the_parameters() -> None:
    sample = toy.channel(300)
    moved = sample.likelihood(weights=toy.asimov(sample.x)).with_auxiliary({"lumi": 1.05})
    free = moved.fit(fixed={"mu": 1.0, "t0": 1.0, "scale": 0.0, "slope": 0.0})
    assert 1.0 < free.parameters["lumi"] < 1.05
    assert next(c for c in moved.constraints if c.parameter == "lumi") == Constraint("lumi", observed=1.05, scale=0.02)

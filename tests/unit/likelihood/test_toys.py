from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pyhf
import pytest

from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import (
    BinnedLikelihood,
    CombinedLikelihood,
    Constraint,
    ConstraintTerm,
    Parameter,
    PyhfLikelihood,
    UnbinnedLikelihood,
    morphing_expressions,
    toys,
)
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.likelihood.rates import NormSys
from toolkit.likelihood.shaped import ShapeReference
from toolkit.likelihood.shapes import Shapes
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, UnbinnedToys, model_weights, sample_auxiliary
from toolkit.likelihood.toy_workers import dask_workers, local_processes, run_here
from toolkit.likelihood.toys import ToyRequest, fit_toy, run_toys, toy_generator


@pytest.fixture(scope="module")
def source(make_toy):
    small = make_toy(500, 2)
    return UnbinnedToys(small.likelihood(1.0), small.weights)


REQUESTS = (ToyRequest({"mu": 0.5}, 120), ToyRequest({"mu": 2.0}, 70))


def same(one, other):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, other, strict=True)
        for name in ("best_fit", "t", "at_boundary", "converged")
    )


@pytest.fixture(scope="module")
def here(source):
    return run_toys(source, REQUESTS, poi="mu", seed=11)


def test_a_slow_loop_gives_the_same_toys(source, here):
    """One toy at a time, the full fit."""
    for index in (0, 49, 50, 119):
        theta = {"mu": 0.5}
        likelihood = source.likelihood_of(source.sample(theta, toy_generator(11, theta, index)))
        fit = likelihood.fit()
        assert here[0].best_fit[index] == pytest.approx(fit.parameters["mu"], abs=1e-5)
        assert here[0].t[index] == pytest.approx(likelihood.twice_nll(0.5) - fit.twice_nll, abs=1e-7)


def test_the_bits_do_not_depend_on_the_processes(source, here):
    assert same(here, run_toys(source, REQUESTS, poi="mu", seed=11, workers=local_processes(2)))


def test_the_bits_do_not_depend_on_dask(source, here):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert same(here, run_toys(source, REQUESTS, poi="mu", seed=11, workers=dask_workers(client)))


def test_a_stopped_campaign_goes_on(source, here, tmp_path, monkeypatch):
    monkeypatch.setattr(toys, "QUICK_BLOCK", 50)  # so that it stops inside a point
    file = tmp_path / "toys.jsonl"
    counted = []

    def stops(source, tasks, run):
        yield from islice(run_here(source, tasks, run), 2)
        raise KeyboardInterrupt

    def counts(source, tasks, run):
        counted.append(sum(len(t.indices) for t in tasks))
        return run_here(source, tasks, run)

    with pytest.raises(KeyboardInterrupt):
        run_toys(source, REQUESTS, poi="mu", seed=11, workers=stops, file=file)
    assert same(here, run_toys(source, REQUESTS, poi="mu", seed=11, workers=counts, file=file))
    assert counted == [190 - 100]
    assert same(here, run_toys(source, REQUESTS, poi="mu", seed=11, workers=counts, file=file))
    assert counted == [90, 0]


def test_a_larger_campaign_contains_the_smaller(source, here, tmp_path):
    run_toys(source, REQUESTS[:1], poi="mu", seed=11, file=tmp_path / "toys")
    more = run_toys(source, [ToyRequest({"mu": 0.5}, 130), ToyRequest({"mu": 2.0}, 70)], poi="mu", seed=11, file=tmp_path / "toys")
    np.testing.assert_array_equal(more[0].t[:120], here[0].t)
    np.testing.assert_array_equal(more[1].t, here[1].t)


def test_other_seeds_and_points_give_other_toys(source, here):
    other = run_toys(source, REQUESTS[:1], poi="mu", seed=12)[0]
    assert not np.any(other.t == here[0].t)
    near = run_toys(source, [ToyRequest({"mu": np.nextafter(0.5, 1.0)}, 5)], poi="mu", seed=11)[0]
    assert not np.any(near.t == here[0].t[:5])


def test_a_file_of_another_seed_or_source_is_refused(source, tmp_path):
    request, file = [ToyRequest({"mu": 1.0}, 3)], tmp_path / "toys"
    run_toys(source, request, poi="mu", seed=1, file=file)
    with pytest.raises(ArtifactMismatchError):
        run_toys(source, request, poi="mu", seed=2, file=file)
    with pytest.raises(ArtifactMismatchError):
        run_toys(replace(source, expected=source.expected * 2.0), request, poi="mu", seed=1, file=file)


@pytest.mark.parametrize("mu", [0.2, 3.0])
def test_events_follow_the_total_density(make_toy, mu):
    """Counts in bins of x of many toys are Poisson around the sum of the expected weights; chi2 over bins and its spread."""
    small = make_toy(4000, 4)
    source = UnbinnedToys(small.likelihood(1.0), small.weights)
    bins = np.minimum((small.x * 8).astype(int), 7)
    expected = np.bincount(bins, weights=small.asimov(mu), minlength=8)
    drawn = np.array([np.bincount(bins[source.sample({"mu": mu}, toy_generator(9, {"mu": mu}, i))[0]], minlength=8) for i in range(400)])
    chi2 = np.sum((drawn.mean(axis=0) - expected) ** 2 / (expected / 400))
    assert chi2 < 26.1  # 0.1 % of 8 degrees of freedom
    assert np.abs(drawn.var(axis=0) / expected - 1.0).max() < 0.3
    correlation = np.corrcoef(drawn.T) - np.eye(8)
    assert np.abs(correlation).max() < 0.2


def test_negative_weights_are_refused_or_dropped(make_toy):
    small = make_toy(50, 3)
    weights = small.weights.copy()
    weights[7] = -1e-5 * weights.sum()
    with pytest.raises(PhysicsDomainError, match="event 7"):
        UnbinnedToys(small.likelihood(1.0), weights).weights({"mu": 1.0})
    dropped = UnbinnedToys(small.likelihood(1.0), weights, negative="drop").weights({"mu": 1.0})
    assert dropped[7] == 0.0
    assert dropped.min() == 0.0
    assert dropped.sum() == pytest.approx(weights[:, [1, 3]].sum())
    weights[7] = -1e-10 * weights.sum()  # what normalising each density by itself makes of a sum that vanishes
    kept = UnbinnedToys(small.likelihood(1.0), weights).weights({"mu": 1.0})
    assert kept[7] == 0.0
    assert kept.sum() == pytest.approx(weights[:, [1, 3]].sum())


def test_wrong_input_is_refused(source):
    with pytest.raises(ShapeError):
        UnbinnedToys(source.likelihood, source.expected[:, :3])
    with pytest.raises(PhysicsDomainError, match="finite"):
        UnbinnedToys(source.likelihood, source.expected * np.nan)
    with pytest.raises(SchemaError, match="seed"):
        run_toys(source, REQUESTS, poi="mu", seed=-1)
    with pytest.raises(SchemaError, match="names 'mu'"):
        run_toys(source, [ToyRequest({"nu": 1.0}, 3)], poi="mu", seed=1)
    with pytest.raises(SchemaError, match="process"):
        local_processes(0)


def test_model_weights_give_normalised_processes(toy):
    """Reference events of the toy with a distorted model: columns sum to the yields, the mean ratios are what was distorted."""
    reference = toy.asimov(1.0)
    p_ref = reference / reference.sum()
    log_ratios = np.log(toy.weights / toy.yields / p_ref[:, None]) + np.array([0.0, 0.02, -0.01, 0.0])
    expected, log_mean = model_weights(log_ratios, reference, toy.yields)
    np.testing.assert_allclose(expected, toy.weights, rtol=1e-9)
    np.testing.assert_allclose(log_mean, [0.0, 0.02, -0.01, 0.0], atol=1e-12)
    with pytest.raises(PhysicsDomainError, match="reference weights"):
        model_weights(log_ratios, -reference, toy.yields)


def test_binned_toys_are_those_of_the_binned_likelihood():
    base = BinnedLikelihood(
        templates=[[3.0, 1.0, 8.0], [20.0, 7.0, 4.0]],
        data=[1.0, 1.0, 1.0],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 5.0)},
    )
    source = BinnedToys(base)
    counts, auxiliary = source.sample({"mu": 1.5}, np.random.default_rng(1))
    assert auxiliary == {}
    quick, full = source.likelihood_of((counts, {})), base.with_data(counts)
    for mu in (0.1, 2.0):
        difference = quick.twice_nll(mu) - quick.twice_nll(1.0)
        assert difference == pytest.approx(full.twice_nll(mu) - full.twice_nll(1.0), abs=1e-9)
        assert quick.gradient(mu) == pytest.approx(full.gradient(mu), rel=1e-9)
    drawn = np.array([source.sample({"mu": 1.5}, np.random.default_rng(k))[0] for k in range(2000)])
    np.testing.assert_allclose(drawn.mean(axis=0), [24.5, 8.5, 16.0], atol=4 * np.sqrt(24.5 / 2000))
    twice = BinnedLikelihood(
        templates=2.0 * base.templates, data=base.data, coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 5.0)}
    )
    other = BinnedToys(base, twice)
    assert other.fingerprint() != source.fingerprint()
    doubled = np.array([other.sample({"mu": 1.5}, np.random.default_rng(k))[0] for k in range(2000)])
    np.testing.assert_allclose(doubled.mean(axis=0), [49.0, 17.0, 32.0], atol=4 * np.sqrt(49.0 / 2000))
    with pytest.raises(SchemaError, match="parameters of the truth"):
        BinnedToys(base, pyhf_likelihood())


def pyhf_likelihood():
    spec = {
        "channels": [
            {
                "name": "c",
                "samples": [
                    {"name": "s", "data": [5.0, 10.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
                    {
                        "name": "b",
                        "data": [50.0, 40.0],
                        "modifiers": [
                            {"name": "scale", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
                            {"name": "bins", "type": "shapesys", "data": [5.0, 4.0]},
                        ],
                    },
                ],
            }
        ]
    }
    with quiet_schema():
        model = pyhf.Model(spec, poi_name="mu")
    return PyhfLikelihood(model, model.expected_data(model.config.suggested_init()))


def test_pyhf_toys_have_the_moments_of_pyhf():
    likelihood = pyhf_likelihood()
    theta = {"mu": 1.2, "scale": 0.4, "bins[0]": 1.05, "bins[1]": 0.9}
    source = BinnedToys(likelihood)
    data = np.array([source.likelihood_of(source.sample(theta, np.random.default_rng(k))).data for k in range(1500)])
    pars = likelihood.model_parameters(likelihood.point(theta)[None, :])[0]
    expected = likelihood.model.expected_data(pars)
    names = [c.parameter for c in likelihood.constraints]
    width = np.sqrt(np.concatenate([expected[:2], [1.0 if n == "scale" else expected[2 + k] for k, n in enumerate(names)]]))
    np.testing.assert_allclose(data.mean(axis=0), expected, atol=float(4 * width.max() / np.sqrt(1500)))
    np.testing.assert_allclose(data.std(axis=0), width, rtol=0.08)


def test_nuisances_are_profiled():
    likelihood = pyhf_likelihood()
    theta = {"mu": 1.0, "scale": 0.0, "bins[0]": 1.0, "bins[1]": 1.0}
    source = BinnedToys(likelihood)
    toy = source.likelihood_of(source.sample(theta, np.random.default_rng(5)))
    best_fit, t, _, converged = fit_toy(toy, poi="mu", truth=1.0)
    fit, fixed = toy.fit(), toy.fit(fixed={"mu": 1.0})
    assert best_fit == pytest.approx(fit.parameters["mu"], abs=1e-6)
    assert t == pytest.approx(fixed.twice_nll - fit.twice_nll, abs=1e-9)
    assert 0.0 < t < toy.twice_nll({**fit.parameters, "mu": 1.0}) - fit.twice_nll
    assert converged == 1.0


@dataclass(frozen=True)
class Signal:
    """Counts of expectation 30 mu + 20 b."""

    base: BinnedLikelihood

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> float:
        return float(generator.poisson(30.0 * theta["mu"] + 20.0 * theta["b"]))

    def likelihood_of(self, data: float) -> BinnedLikelihood:
        return self.base.with_data([data])

    def fingerprint(self) -> str:
        return "signal"


def test_combined_toys_draw_every_term_and_the_constraints():
    mu, b = Parameter("mu", init=1.0, low=0.0, high=5.0), Parameter("b", init=1.0, low=0.1, high=3.0)
    base = BinnedLikelihood(templates=[[30.0], [20.0]], data=[50.0], coefficients=("mu", "b"), parameters=(mu, b))
    control = BinnedLikelihood(templates=[[100.0]], data=[100.0], coefficients=("b",), parameters=(b,))
    constraint = ConstraintTerm([Constraint("b", observed=1.0, scale=0.05)], [b])
    combined = CombinedLikelihood([base, control, constraint], poi="mu")
    source = CombinedToys((Signal(base), BinnedToys(control), None), combined)
    theta = {"mu": 1.0, "b": 1.1}
    drawn = [source.sample(theta, np.random.default_rng(k)) for k in range(600)]
    numbers = np.array([[parts[0], parts[1][0][0], auxiliary["b"]] for parts, auxiliary in drawn])
    np.testing.assert_allclose(numbers.mean(axis=0), [52.0, 110.0, 1.1], atol=4 * np.sqrt(110.0 / 600))
    np.testing.assert_allclose(numbers.std(axis=0), [np.sqrt(52.0), np.sqrt(110.0), 0.05], rtol=0.12)
    toy = source.likelihood_of(drawn[0])
    by_hand = CombinedLikelihood(
        [
            base.with_data([numbers[0, 0]]),
            control.with_data([numbers[0, 1]]),
            ConstraintTerm([Constraint("b", observed=numbers[0, 2], scale=0.05)], [b]),
        ]
    )
    points = [{"mu": 0.4, "b": 0.9}, {"mu": 2.0, "b": 1.2}]
    assert np.subtract(*(toy.twice_nll(p) for p in points)) == pytest.approx(np.subtract(*(by_hand.twice_nll(p) for p in points)), abs=1e-8)
    with pytest.raises(SchemaError, match="one per term"):
        CombinedToys((None,), combined)


def test_auxiliary_measurements_need_a_truth():
    with pytest.raises(SchemaError, match="'alpha'"):
        sample_auxiliary([Constraint("alpha")], {"mu": 1.0}, np.random.default_rng(1))
    counts = [sample_auxiliary([Constraint("g", 9.0, "poisson", 9.0)], {"g": 2.0}, np.random.default_rng(k))["g"] for k in range(800)]
    assert np.mean(counts) == pytest.approx(18.0, abs=4 * np.sqrt(18.0 / 800))


def test_toys_with_nuisances_follow_the_varied_density(make_toy):
    """Expected weights by hand: yields of process 3 vary by 10 %, its density by a slope in x; toys move accordingly."""
    small = make_toy(600, 5)
    mu = Parameter("mu", init=1.0, low=0.0, high=6.0)
    rate, tilt = (Parameter(name, init=0.0, low=-5.0, high=5.0) for name in ("rate", "tilt"))
    up = 0.3 * (small.x - 0.5)
    likelihood = UnbinnedLikelihood(
        log_ratios=small.log_ratios,
        weights=np.ones(600),
        yields=small.yields,
        coefficients=morphing_expressions(n_backgrounds=1),
        parameters=(mu, rate, tilt),
        systematics=(NormSys(process=3, parameter="rate", up=1.1, down=0.9),),
        shapes=Shapes.of([{}, {}, {}, {"tilt": (up, -up)}], n_events=600),
        reference=ShapeReference(small.weights, Shapes.of([{}, {}, {}, {"tilt": (up, -up)}], n_events=600)),
        constraints=(Constraint("rate"), Constraint("tilt")),
    )
    source, theta = UnbinnedToys(likelihood, small.weights), {"mu": 1.0, "rate": 1.0, "tilt": 1.0}
    norm = small.yields[3] / sum(w[3] * np.exp(u) for w, u in zip(small.weights, up, strict=True))
    by_hand = [w[1] + 1.1 * norm * w[3] * np.exp(u) for w, u in zip(small.weights, up, strict=True)]
    np.testing.assert_allclose(source.weights(theta), by_hand, rtol=1e-9)
    assert source.weights({**theta, "rate": 0.0, "tilt": 0.0}) == pytest.approx(small.asimov(1.0))
    rows, auxiliary = source.sample(theta, np.random.default_rng(3))
    fit = source.likelihood_of((rows, auxiliary)).fit(fixed={"mu": 1.0})
    assert fit.parameters["rate"] == pytest.approx(1.0, abs=4 * fit.errors["rate"])
    assert fit.errors["rate"] < 0.4
    assert fit.parameters["tilt"] == pytest.approx(1.0, abs=4 * fit.errors["tilt"])
    other = UnbinnedToys(likelihood.with_auxiliary({"rate": 0.5}), small.weights)
    assert other.fingerprint() != source.fingerprint()

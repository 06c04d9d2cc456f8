"""Toys of an analysis of regions: what is drawn, what is fitted, and how often intervals hold the truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import chi2, kstest, poisson

from tests.unit.analysis.test_region_data import asimov_of, data_events
from tests.unit.analysis.two_regions import ExactRatio, config_of, document_of, simulate
from toolkit.analysis import Folder, Systematics, measure_regions
from toolkit.analysis.comparison import shape_likelihood, write_comparison
from toolkit.analysis.constructions import with_constructed, write_intervals
from toolkit.analysis.data import FitData
from toolkit.analysis.experiments import Experiment, toy_source
from toolkit.analysis.goodness import write_goodness
from toolkit.analysis.layout import COMPARISON, GOODNESS, INTERVALS
from toolkit.analysis.nuisances import constrained_parameters, normalisations
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config, parse_config
from toolkit.errors import SchemaError
from toolkit.likelihood.goodness import BinnedFit, CombinedFit, compare_with_toys
from toolkit.likelihood.toy_sources import CombinedToys
from toolkit.likelihood.toys import ToyRequest, run_toys, toy_generator
from toolkit.typing import silent_progress

MIXTURE = {"sig": 0.5, "bkg": 0.5}


class Ratio(ExactRatio):
    """The exact ratios, with the fractions of a reference."""

    metadata = SimpleNamespace(reference_mixture=MIXTURE)


def with_toys(config: Config, **settings: Any) -> Config:
    toys = config.likelihood.toys.model_copy(update=settings)
    return config.model_copy(update={"likelihood": config.likelihood.model_copy(update={"toys": toys, "scan_points": 31})})


def experiment_of(config: Config, data: FitData | None = None) -> Experiment:
    ratio: Any = Ratio()
    return Experiment(config, simulate(2), ratio, None if data is None else data.full)


def systematics_of(config: Config) -> Systematics:
    return Systematics(luminosity=0.05, norms=normalisations(config), of_model=constrained_parameters(config.model))


@pytest.mark.parametrize("draw", ["model", "simulation"])
@pytest.mark.parametrize("name", ["nsbi", "mass"])
def test_toys_have_the_expected_events_of_every_region(name: str, draw: str) -> None:
    """Counts at (mu, t) = (2, 0.8) against the expectation of training events (model) or test events (simulation), here by hand."""
    config = with_toys(config_of(), draw=draw)
    data = asimov_of(config)
    method: Any = next(m for m in data.methods if m.name == name)
    source: Any = toy_source(experiment_of(config), method)
    assert isinstance(source, CombinedToys)
    theta = {"mu": 2.0, "t": 0.8}
    drawn = [source.sample(theta, toy_generator(1, theta, k))[0] for k in range(400)]
    signal = np.mean([len(d[0][0]) if name == "nsbi" else d[0][0].sum() for d in drawn])
    control = np.mean([d[1][0].sum() for d in drawn])
    events = simulate(1 if draw == "model" else 2)
    x = events.observables["m4l"]
    for found, mask in ((signal, x > 115.0), (control, x <= 110.0)):
        expected = float(events.weights[mask].sum(axis=0) @ [2.0, 0.8])
        assert found == pytest.approx(expected, abs=4.0 * np.sqrt(expected / 400))


def test_shared_auxiliary_measurements_are_drawn_once_for_all_regions() -> None:
    config = config_of(sig={"factor": "mu * k"}, k={"kind": "nuisance", "central": 1.0, "width": 0.1})
    data = replace(asimov_of(config), systematics=systematics_of(config))
    source: Any = toy_source(experiment_of(config, data), data.methods[-1])
    theta = {"mu": 1.0, "t": 1.0, "k": 1.05, "lumi": 0.97}
    values = []
    for index in range(300):
        drawn = source.sample(theta, toy_generator(4, theta, index))
        likelihood = source.likelihood_of(drawn)
        values.append([next(c.observed for c in likelihood.constraints if c.parameter == n) for n in ("k", "lumi")])
    means, widths = np.mean(values, axis=0), np.std(values, axis=0)
    assert means == pytest.approx([1.05, 0.97], abs=4.0 * 0.1 / np.sqrt(300))
    assert widths == pytest.approx([0.1, 0.05], rel=4.0 / np.sqrt(600))


def test_the_same_toys_for_any_number_of_processes_and_runs(tmp_path: Path) -> None:
    config = config_of()
    source = toy_source(experiment_of(config), asimov_of(config).methods[0])
    request = [ToyRequest({"mu": 1.0, "t": 1.0}, 20)]
    [first], [second] = (run_toys(source, request, poi="mu", seed=3, file=tmp_path / "toys.jsonl") for _ in range(2))
    assert first.t.tolist() == second.t.tolist()


def counted() -> Config:
    """One count with m4l > 115: mu s + b, whose construction is known by Poisson sums."""
    document = document_of(bkg={"factor": "1"})
    document["parameters"] = {"mu": {"range": [0, 4], "interval": "neyman"}}
    return parse_config(document, folder=Path())


def exact_critical(mu: float, s: float, b: float, *, level: float) -> float:
    """Return the quantile of t at mu over all counts, with the best fit in [0, 4]."""
    n = np.arange(0, int(8 * (4 * s + b)))
    probability = poisson.pmf(n, mu * s + b)
    t = statistic(n, mu, s, b)
    order = np.argsort(t)
    return float(t[order][np.searchsorted(np.cumsum(probability[order]), level)])


def statistic(n: Any, mu: Any, s: float, b: float) -> Any:
    best = np.clip((n - b) / s, 0.0, 4.0)
    return -2.0 * (poisson.logpmf(n, mu * s + b) - poisson.logpmf(n, best * s + b))


def test_the_construction_of_one_count_is_the_exact_one(tmp_path: Path) -> None:
    config = with_toys(counted(), methods=("rate",), grid_points=9, per_point=800)
    data = asimov_of(config)
    [method] = (m for m in data.methods if m.name == "rate")
    only: Any = replace(method, parts=(method.parts[0],))  # type: ignore[attr-defined]
    ratio: Any = Ratio()
    seen = data.for_events(data_events(7, mu=1.5, t=1.0), label="observed")
    alone: Any = replace(seen.methods[0], parts=(seen.methods[0].parts[0],))  # type: ignore[attr-defined]
    observed = replace(seen, methods=(alone,))
    write_intervals(Folder(config, tmp_path), (only,), test=simulate(2), ratio=ratio, data=[observed])
    document = json.loads((tmp_path / INTERVALS).read_text())["parameters"]["mu"]
    s, b = (float(v) for v in simulate(1).weights[simulate(1).observables["m4l"] > 115.0].sum(axis=0))
    count = int(np.sum(data_events(7, mu=1.5, t=1.0).observables["m4l"] > 115.0))
    fine = np.linspace(0.0, 4.0, 801)
    for level, name in ((0.6826894921, "68"), (0.95, "95")):
        critical = document["methods"]["rate"]["bands"]["critical"][name]
        for mu, found, error in zip(critical["points"], critical["values"], critical["errors"], strict=True):
            assert found == pytest.approx(exact_critical(mu, s, b, level=level), abs=4.0 * error + 0.05)
        exact = [mu for mu in fine if statistic(count, mu, s, b) <= exact_critical(mu, s, b, level=level)]
        [interval] = document["observed"]["rate"][f"interval_{name}"]
        assert interval == pytest.approx([exact[0], exact[-1]], abs=0.05 * (exact[-1] - exact[0]) + 0.01)


def test_intervals_of_two_parameters_hold_the_truth_as_often_as_they_say(tmp_path: Path) -> None:
    """mu s + t b and t c counted: intervals of mu with t profiled, of t with mu profiled; results and a note say what they are."""
    document = document_of()
    document["parameters"]["mu"]["interval"] = "neyman"
    config = parse_config(document, folder=Path())
    config = with_toys(config, methods=("rate",), grid_points=5, per_point=100, coverage_at=(1.0,), coverage_toys=200)
    data = asimov_of(config)
    ratio: Any = Ratio()
    wrong = {"kind": "normalisation", "interval": "neyman"}
    with pytest.raises(SchemaError, match="interval: neyman of a parameter of kind normalisation"):
        parse_config(document | {"parameters": document["parameters"] | {"t": wrong}}, folder=Path())
    rate = [m for m in data.methods if m.name == "rate"]
    write_intervals(Folder(config, tmp_path), rate, test=simulate(2), ratio=ratio)
    found = json.loads((tmp_path / INTERVALS).read_text())["parameters"]
    assert set(found) == {"mu"}
    for check in found["mu"]["methods"]["rate"]["coverage"]:
        assert abs(check["coverage"] - check["level"]) < 3.5 * np.hypot(check["binomial_error"], check["construction_error"])


def goodness_of(config: Config, tmp_path: Path, *, systematics: bool = False, toys: int = 12) -> dict[str, Any]:
    data = asimov_of(config)
    if systematics:
        data = replace(data, systematics=systematics_of(config))
    datasets = (data, data.for_events(data_events(11, mu=1.0, t=1.0), label="observed"))
    few = config.likelihood.model_copy(update={"scan_points": 11, "closure": ({"mu": 1.0},), "shape_only": False})
    few = few.model_copy(update={"goodness": few.goodness.model_copy(update={"toys": toys})})
    config = config.model_copy(update={"likelihood": few})
    results = measure_regions(config, datasets, training=simulate(1), test=simulate(2), progress=silent_progress, tasks=FinishedTasks(None))
    experiment = experiment_of(config, data if systematics else None)
    write_goodness(Folder(config, tmp_path), datasets, results, experiment=experiment)
    return json.loads((tmp_path / GOODNESS).read_text())


def test_goodness_of_fit_compares_all_regions(tmp_path: Path) -> None:
    """The saturated model of the binned method by hand: 2 sum (e - n + n ln n/e) over both regions at the best fit."""
    document = goodness_of(config_of(), tmp_path)
    names = {name: [test["name"] for test in tests] for name, tests in document["methods"].items()}
    assert names["mass"] == ["saturated model"]
    assert names["nsbi"] == ["saturated model", "SR: mean log density", "SR: mass", "SR: score", "SR: score_2d"]
    [test] = document["observed"]["mass"]
    assert test["degrees"] == 3 + 1 - 2
    x, training = data_events(11, mu=1.0, t=1.0).observables["m4l"], simulate(1)
    edges = [115.0, 120.0, 130.0, 1000.0]
    counts = [np.histogram(x, edges)[0], [np.sum(x <= 110.0)]]
    known = training.observables["m4l"]
    templates = [np.array([np.histogram(known, edges, weights=w)[0] for w in training.weights.T])]
    templates.append(training.weights[known <= 110.0].sum(axis=0)[:, None])
    n, rows = np.concatenate(counts), np.concatenate(templates, axis=1)

    def distance(point: np.ndarray) -> float:
        expected = point @ rows
        return float(2.0 * np.sum(expected - n + n * np.log(n / expected)))

    exact = minimize(distance, [1.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).fun
    assert test["statistic"] == pytest.approx(exact, abs=1e-6)
    assert test["p_asymptotic"] == pytest.approx(chi2.sf(exact, 2), abs=1e-6)
    for part in ("methods", "observed"):
        assert all(0.0 < test["p_toys"] <= 1.0 for tests in document[part].values() for test in tests)
    assert all(test["p_toys"] > 0.3 for test in document["methods"]["mass"])  # expected events do not fluctuate


def test_goodness_of_fit_counts_constraints_once(tmp_path: Path) -> None:
    config = config_of(sig={"factor": "mu * k"}, k={"kind": "nuisance", "central": 1.0, "width": 0.1})
    document = goodness_of(config, tmp_path, systematics=True, toys=5)
    for tests in document["observed"].values():
        assert all(0.0 < test["p_toys"] <= 1.0 for test in tests)


def test_p_values_of_toys_are_uniform() -> None:
    """Data drawn from the model at the truth: the rank of each among the toys of its own fit, by Kolmogorov's test."""
    config = config_of()
    data = asimov_of(config)
    [method] = (m for m in data.methods if m.name == "mass")
    source: Any = toy_source(experiment_of(config), method)
    measured = CombinedFit(source, (BinnedFit(source.sources[0]), BinnedFit(source.sources[1])), ("SR", "CR"))
    theta = {"mu": 1.0, "t": 1.0}
    found = compare_with_toys(measured, (0.0,), theta, poi="mu", degrees=[2], toys=300, seed=5)
    ranks = chi2.sf(found[0].toys, 2)  # four bins, two free parameters, hundreds of events: the asymptotic distribution
    assert kstest(ranks, "uniform").pvalue > 0.01


def test_results_say_which_intervals_are_constructed() -> None:
    config = config_of()
    data = asimov_of(config)
    few = config.likelihood.model_copy(update={"scan_points": 11, "closure": ({"mu": 1.0},)})
    config = config.model_copy(update={"likelihood": few})
    results = measure_regions(config, (data,), training=simulate(1), test=simulate(2), progress=silent_progress, tasks=FinishedTasks(None))
    curve = {"level": 0.683, "points": [0.0, 4.0], "values": [1.0, 1.0], "errors": [0.0, 0.0], "low": 0.0, "root": False, "penalty": 0.0}
    bands = {"parameter": "mu", "toys_per_point": 10, "seed": 1, "not_converged": 0, "critical": {"68": curve, "95": curve}}
    entry: dict[str, Any] = {"best_fit": 1.0, "scan": results.methods["nsbi"].scan.to_json(), "bands": bands}
    for level, piece in (("68", [0.5, 1.5]), ("95", [0.25, 2.0])):
        entry |= {f"interval_{level}": [piece], f"interval_{level}_at_boundary": [False], f"interval_{level}_errors": [[0.0, 0.0]]}
        entry |= {f"asymptotic_{level}": [piece], f"asymptotic_{level}_at_boundary": [False]}
    changed = with_constructed(results, {"nuisances": "none", "parameters": {"mu": {"methods": {"nsbi": entry}}}})
    nsbi = changed.methods["nsbi"]
    assert nsbi.parameters["mu"].interval_kind == "neyman"
    assert [(i.low, i.high) for i in (*nsbi.parameters["mu"].interval_68, *nsbi.parameters["mu"].interval_95)] == [(0.5, 1.5), (0.25, 2.0)]
    assert nsbi.interval_68 == nsbi.parameters["mu"].asymptotic_68 == results.methods["nsbi"].interval_68
    assert changed.methods["mass"] == results.methods["mass"]
    assert changed.notes[-1] == "intervals of mu by nsbi are Neyman constructions from toys"


def test_without_the_rate_one_normalisation_of_all_regions_is_free(tmp_path: Path) -> None:
    """By hand: the best factor of a multinomial is total / expected, so t(mu) is that of the fractions of the four bins."""
    document = document_of(bkg={"factor": "1"})
    document["parameters"] = {"mu": {"range": [0, 4]}}
    config = parse_config(document, folder=Path())
    data = asimov_of(config)
    few = config.likelihood.model_copy(update={"scan_points": 21, "closure": ({"mu": 1.0},)})
    config = config.model_copy(update={"likelihood": few})
    results = measure_regions(config, (data,), training=simulate(1), test=simulate(2), progress=silent_progress, tasks=FinishedTasks(None))
    (tmp_path / COMPARISON).parent.mkdir()
    write_comparison(Folder(config, tmp_path), (data,), results)
    rows = json.loads((tmp_path / COMPARISON).read_text())["parameters"]["mu"]["rows"]
    shape = {row["method"]: row for row in rows if row["information"] == "shape"}
    whole = {row["method"]: row for row in rows if row["information"] == "rate and shape"}
    assert set(shape) == set(whole) == {"rate", "mass", "score", "score_2d", "nsbi"}
    edges, test, training = [115.0, 120.0, 130.0, 1000.0], simulate(2), simulate(1)
    known, seen = training.observables["m4l"], test.observables["m4l"]
    signal, background = (np.append(np.histogram(known, edges, weights=w)[0], w[known <= 110.0].sum()) for w in training.weights.T)
    weights = test.weights.sum(axis=1)
    n = np.append(np.histogram(seen, edges, weights=weights)[0], weights[seen <= 110.0].sum())

    def twice_nll(mu: float) -> float:
        expected = mu * signal + background
        return float(-2.0 * n @ np.log(expected / expected.sum()))

    best = minimize_scalar(twice_nll, bounds=(0.0, 4.0), method="bounded", options={"xatol": 1e-9})
    assert shape["mass"]["best_fit"] == pytest.approx(best.x, abs=1e-4)
    assert shape["mass"]["twice_nll_at_0"] == pytest.approx(twice_nll(0.0) - best.fun, abs=1e-5)
    assert shape["nsbi"]["length_68"] > whole["nsbi"]["length_68"]


@pytest.mark.parametrize("name", ["mass", "nsbi"])
def test_without_the_rate_uncertainties_of_all_yields_are_free_too(name: str) -> None:
    config = config_of()
    data = replace(asimov_of(config), systematics=Systematics(luminosity=0.05))
    method = next(m for m in data.methods if m.name == name)
    likelihood = shape_likelihood(data, method, systematics=True)
    plain = shape_likelihood(data, method, systematics=False)
    for mu in (0.3, 2.0):
        found = [one.fit(fixed={"mu": mu}).twice_nll - one.fit(fixed={"mu": 1.0}).twice_nll for one in (likelihood, plain)]
        assert found[0] == pytest.approx(found[1], abs=1e-5)

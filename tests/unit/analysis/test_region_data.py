"""Data in an analysis of regions: every method fits them, workspaces of others with their own data, nothing counts twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.unit.analysis.two_regions import ExactRatio, config_of, document_of, methods_of, simulate
from toolkit.analysis import FitModel, Systematics, measure_regions
from toolkit.analysis.data import FitData
from toolkit.analysis.datasets import DataEvents
from toolkit.analysis.information import zero_influence
from toolkit.analysis.learned import LearnedVariations
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.nuisances import Ratios, normalisations
from toolkit.analysis.others import workspaces_of_others
from toolkit.analysis.region_checks import data_notes
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config, parse_config
from toolkit.errors import SchemaError, ToolkitError
from toolkit.likelihood import Results, Workspace
from toolkit.likelihood.results import ObservedResults
from toolkit.typing import FloatArray, silent_progress

FACTOR = {"name": "t", "type": "normfactor", "data": None}
OTHER: dict[str, Any] = {
    "version": "1.0.0",
    "channels": [{"name": "c", "samples": [{"name": "b", "data": [100.0], "modifiers": [FACTOR]}]}],
    "observations": [{"name": "c", "data": [120.0]}],
    "measurements": [{"name": "m", "config": {"poi": "t", "parameters": [{"name": "t", "inits": [1.0], "bounds": [[0.3, 3.0]]}]}}],
}


def data_events(seed: int = 3, *, mu: float = 1.5, t: float = 0.9) -> DataEvents:
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(125.0, 4.0, rng.poisson(60.0 * mu)), rng.uniform(100.0, 150.0, rng.poisson(500.0 * t))])
    return DataEvents(np.arange(len(x), dtype=np.uint64), {"m4l": x}, {"data": len(x)})


def asimov_of(config: Config, systematics: Systematics | None = None) -> FitData:
    test, model = simulate(2), FitModel.of(config)
    methods = methods_of(config, simulate(1), test)
    return FitData(test, truth_weights(test, model, model.truth), methods, Systematics() if systematics is None else systematics, model)


def measured(config: Config, data: FitData) -> Results:
    few = config.likelihood.model_copy(update={"scan_points": 11, "closure": ({"mu": 1.0},)})
    config = config.model_copy(update={"likelihood": few})
    datasets = (data, data.for_events(data_events(), label="observed"))
    return measure_regions(config, datasets, training=simulate(1), test=simulate(2), progress=silent_progress, tasks=FinishedTasks(None))


def test_observed_results_stand_beside_the_expected_ones() -> None:
    """Best fit and t(0) against an extended likelihood written here."""
    config = config_of()
    found = measured(config, asimov_of(config))
    events, training = data_events(), simulate(1)
    x = events.observables["m4l"]
    in_sr, in_cr = (
        training.weights[mask].sum(axis=0) for mask in (training.observables["m4l"] > 115.0, training.observables["m4l"] <= 110.0)
    )
    densities, count = np.exp(ExactRatio()(x[x > 115.0][:, None])), int(np.sum(x <= 110.0))

    def twice_nll(point: FloatArray) -> float:
        expected = in_cr @ point
        return float(-2.0 * np.log(densities @ (in_sr * point)).sum() + 2.0 * in_sr @ point + 2.0 * (expected - count * np.log(expected)))

    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}
    best = minimize(twice_nll, [1.5, 1.0], method="Nelder-Mead", options=options)
    without = minimize(lambda t: twice_nll(np.array([0.0, t[0]])), [1.0], method="Nelder-Mead", options=options)
    assert found.observed is not None
    nsbi = found.observed.methods["nsbi"]
    assert nsbi.mu_hat == pytest.approx(best.x[0], abs=1e-4)
    assert nsbi.twice_nll_at_0 == pytest.approx(without.fun - best.fun, abs=1e-5)
    assert set(nsbi.parameters) == {"mu"}
    assert found.methods["nsbi"].mu_hat != pytest.approx(nsbi.mu_hat, abs=1e-3)
    assert found.observed.n_events == len(x)
    assert found.observed.regions == {"SR": int(np.sum(x > 115.0)), "CR": count}
    assert found.observed.expected == pytest.approx(560.0)
    assert ObservedResults.from_json(json.loads(json.dumps(found.observed.to_json()))).regions == found.observed.regions


def test_uncertainties_of_the_data_are_those_of_the_model() -> None:
    config = config_of()
    section: Any = config.likelihood.model_validate({"normalisations": {"theory": {"processes": ["bkg"], "up": 1.05}}})
    config = config.model_copy(update={"likelihood": section})
    data = asimov_of(config, Systematics(luminosity=0.02, norms=normalisations(config)))
    observed = data.for_events(data_events(), label="observed")
    for method in observed.methods:
        likelihood = observed.full(method)
        assert {c.parameter for c in likelihood.constraints} == {"lumi", "theory"}
        free = likelihood.fit(fixed={"lumi": 1.0, "theory": 0.0}).parameters
        assert free["mu"] == pytest.approx(observed.plain(method).fit().parameters["mu"], abs=2e-4)
    found = measured(config, data)
    assert found.observed is not None
    uncertainties = found.observed.methods["nsbi"].uncertainties
    assert uncertainties is not None
    assert {p["parameter"] for p in uncertainties["pulls"]} == {"lumi", "theory"}
    assert {i["parameter"] for i in uncertainties["impacts"]} == {"lumi", "theory", "t"}


def test_a_workspace_of_others_has_its_expectation_until_the_data_are_fitted() -> None:
    other = Workspace(OTHER).likelihood()
    data = asimov_of(config_of())
    data = replace(data, methods=tuple(replace(m, foreign=(other,)) for m in data.methods))  # type: ignore[type-var]
    observed = data.for_events(data_events(), label="observed")
    for one, count in ((data, 100.0), (observed, 120.0)):
        [term] = [t for t in one.plain(one.methods[-1]).terms if t.parameter_names == ("t",)]  # type: ignore[attr-defined]
        assert term.fit().parameters["t"] == pytest.approx(count / 100.0, abs=1e-5)


def test_data_events_count_once_or_are_said_to_be_nowhere() -> None:
    data = asimov_of(config_of())
    events = data_events()
    x = events.observables["m4l"]
    nowhere = int(np.sum((x > 110.0) & (x <= 115.0)))
    [note] = data_notes(data.for_events(events, label="observed"))
    assert note == f"{nowhere} of {len(x)} data events lie in no region and take no part in the fit"
    method: Any = data.methods[-1]
    wide = replace(method.parts[1], region=replace(method.parts[1].region, condition="m4l <= 116"))
    with pytest.raises(SchemaError, match=rf"{int(np.sum((x > 115.0) & (x <= 116.0)))} events in both"):
        replace(method, parts=(method.parts[0], wide)).for_events(events)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "workspace .*other.json\n.*No such file"),
        ({"version": "1.0.0", "channels": []}, "regions.on: workspace .*other.json\n.*no channels"),
        ({**OTHER, "unbinned_channels": [{"name": "u"}]}, "other.json: unbinned_channels"),
    ],
)
def test_a_workspace_that_cannot_enter_the_fit_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "other.json").write_text(json.dumps(content))
    document = document_of()
    document["regions"]["on"] = {"kind": "workspace", "file": "other.json"}
    with pytest.raises(ToolkitError, match=message):
        workspaces_of_others(parse_config(document, folder=tmp_path))


@pytest.mark.parametrize("name", ["mass", "nsbi"])
def test_the_error_of_t0_is_that_of_events_that_are_drawn_again(name: str) -> None:
    """Against refits of 150 resamplings of the test events, and the same of the training sample by symmetry (as many events: sqrt(2))."""
    config = config_of()
    data = asimov_of(config)
    training, model = simulate(1), FitModel.of(config)
    method: Any = next(m for m in data.methods if m.name == name)
    likelihood = data.plain(method)
    options: Any = {"poi": "mu", "fit": likelihood.fit(), "test": data.weights}
    told = zero_influence(method, likelihood, training=truth_weights(training, model, model.truth), **options)
    assert told is not None
    error, alone = told.error, float(np.linalg.norm(told.test))
    rng, found = np.random.default_rng(6), []
    for _ in range(150):
        one = method.likelihood(data.weights * rng.poisson(1.0, len(data.weights)))
        found.append(one.fit(fixed={"mu": 0.0}).twice_nll - one.fit().twice_nll)
    assert alone == pytest.approx(np.std(found), rel=0.2)  # 150 values: 6 %
    assert error == pytest.approx(np.sqrt(2.0) * alone, rel=0.1)
    result = measured(config, data).methods[name]
    assert result.twice_nll_at_0_error == pytest.approx(error, rel=1e-6)


def test_learned_variations_are_those_of_the_events_in_the_region() -> None:
    """Background tilted by exp(a v(x)), normalised in SR: the likelihood written here."""
    config, training, test = config_of(), simulate(1), simulate(2)

    def logs(events: Any) -> Any:
        v = 0.02 * (events.observables["m4l"] - 125.0)
        return {}, {"tilt": (v, -v)}

    learned = LearnedVariations(("tilt",), {}, {"tilt": ("bkg",)}, {}, logs, logs(test), logs(training), training)
    flat = {n: {"tilt": Ratios(np.ones((2, k)), np.ones((2, k)))} for n, k in (("rate", 1), ("mass", 3), ("score", 4), ("CR", 1))}
    data = asimov_of(config, Systematics(learned=learned, ratios=flat))
    observed = data.for_events(data_events(), label="observed")
    for one, x, w in (
        (data, test.observables["m4l"], data.weights),
        (observed, data_events().observables["m4l"], observed.weights),
    ):
        full, plain = one.full(one.methods[-1]), one.plain(one.methods[-1])
        inside, known = x > 115.0, training.observables["m4l"] > 115.0
        in_sr = training.weights[known].sum(axis=0)
        sig, bkg = (np.exp(ExactRatio()(x[inside][:, None])) * in_sr).T
        for a in (0.5, -1.0):
            tilt = np.exp(a * 0.02 * (x[inside] - 125.0))
            norm = np.average(np.exp(a * 0.02 * (training.observables["m4l"][known] - 125.0)), weights=training.weights[known, 1])
            change = -2.0 * w[inside] @ np.log((1.2 * sig + 0.9 * bkg * tilt / norm) / (1.2 * sig + 0.9 * bkg)) + a**2
            point = {"mu": 1.2, "t": 0.9}
            nominal = full.twice_nll({**point, "tilt": 0.0})
            assert full.twice_nll({**point, "tilt": a}) - nominal == pytest.approx(change, abs=1e-6)
            assert nominal - full.twice_nll({"mu": 1.0, "t": 1.0, "tilt": 0.0}) == pytest.approx(
                plain.twice_nll(point) - plain.twice_nll({"mu": 1.0, "t": 1.0}), abs=1e-7
            )

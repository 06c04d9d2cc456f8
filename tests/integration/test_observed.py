"""Data in the fit: simulated test events, drawn at a known truth and written as an ntuple without any weight."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG, EVENTS
from toolkit.analysis.datasets import read_simulation
from toolkit.artifacts.events import read_events
from toolkit.cli import main
from toolkit.config import load_config
from toolkit.likelihood import OnnxRatio, Workspace
from toolkit.typing import FloatArray

pytestmark = pytest.mark.slow

TRUTH, LUMINOSITY = 2.0, 30.0
DATA = [{"name": name, "kind": "data", "files": [f"{name}.root"]} for name in ("early", "late")]


OF_SIMULATION = {"information", "twice_nll_at_0_error", "twice_nll_at_0_gain_of_nsbi", "verdict"}
"""What only simulation, whose truth is known, can say of a method."""


def run(folder: Path, *commands: str, out: str = "out", observed: bool = False, **changes: Any) -> None:
    fewer = {"normalisations": {}, "goodness": {"toys": 0}, "shape_only": observed, "observed": observed}
    objects = {"electron_scale": CONFIG["systematics"]["objects"]["electron_scale"]}
    document = {**CONFIG, "luminosity_ifb": LUMINOSITY, "systematics": {"objects": objects, "ratios": {"shape": "histogram"}}, **changes}
    path = folder / f"{out}.yaml"
    path.write_text(yaml.safe_dump({**document, "likelihood": {**CONFIG["likelihood"], **fewer}}))
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([command, str(path), "--out", str(folder / out)])
        assert ended.value.code == 0


def write_data(folder: Path) -> None:
    """Draw events with the probabilities of the test events at the truth, and number them anew in two files."""
    run(folder, "process", out="simulation")
    config = load_config(folder / "simulation.yaml")
    _, test = read_simulation(SimpleNamespace(config=config, out=folder / "simulation"))  # type: ignore[arg-type]
    weights = np.maximum(test.weights_at(factors(TRUTH)), 0.0)
    rng = np.random.default_rng(5)
    drawn = rng.choice(len(test), size=rng.poisson(weights.sum()), p=weights / weights.sum())
    parts = []
    for k, name in enumerate(test.samples):
        table = read_events(folder / "simulation" / "events", name)
        entry = dict(zip(table.event_id.tolist(), table.entry.tolist(), strict=True))
        rows = [entry[i] for i in test.event_id[drawn[test.sample_index[drawn] == k]].tolist()]
        with uproot.open(folder / f"{name}_0.root") as source:
            events = source["Events"].arrays(filter_name=["Electron_*", "Muon_*", "Jet_*"])
        parts.append(events[rows])
    events = ak.concatenate(parts)
    half = len(events) // 2
    for name, own, first in (("early", events[:half], 1), ("late", events[half:], half + 1)):
        columns = {g: ak.zip({f[len(g) + 1 :]: own[f] for f in own.fields if f.startswith(f"{g}_")}) for g in ("Electron", "Muon", "Jet")}
        number = np.arange(first, first + len(own), dtype=np.uint64)
        kinds = {"event": number.dtype, **{g: v.type.content for g, v in columns.items()}}
        with uproot.recreate(folder / f"{name}.root") as target:
            target.mktree("Events", kinds).extend({"event": number, **columns})


def factors(mu: float) -> FloatArray:
    """Coefficients of S, SBI, B and qqZZ."""
    return np.array([mu - np.sqrt(mu), np.sqrt(mu), 1.0 - np.sqrt(mu), 1.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: one that is blinded, in which nothing says anything of the data, and then the fit of the data."""
    folder: Path = tmp_path_factory.mktemp("observed")
    write_first_events(folder, EVENTS)
    write_data(folder)
    samples = [*CONFIG["samples"], *DATA]
    run(folder, "process", "train", "export", "fit", samples=samples)
    blinded = fitted(folder / "out")
    assert "observed" not in blinded
    assert not list((folder / "out").rglob("*observed*"))
    run(folder, "fit", samples=samples, observed=True)
    assert {**fitted(folder / "out"), "observed": None} == {**blinded, "observed": None}, "the expected results are what they were"
    return folder


def fitted(out: Path) -> dict[str, Any]:
    return json.loads((out / "workspace" / "fit.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def case(folder: Path) -> SimpleNamespace:
    """What the direct likelihoods need: observables of the data, training events, networks."""
    config = load_config(folder / "out.yaml")
    out = folder / "out"
    training, _ = read_simulation(SimpleNamespace(config=config, out=out))  # type: ignore[arg-type]
    tables = [read_events(out / "events", name) for name in ("early", "late")]
    data = {name: np.concatenate([t.observables[name] for t in tables]) for name in tables[0].observables}
    return SimpleNamespace(out=out, training=training, data=data, results=fitted(out))


def scan_of(case: SimpleNamespace, method: str) -> tuple[FloatArray, FloatArray]:
    plain = case.results["observed"]["methods"][method]["statistical_only"]
    return np.array(plain["scan"]["mu"]), np.array(plain["scan"]["twice_delta_nll"])


def test_the_unbinned_fit_is_the_likelihood_of_the_events(case: SimpleNamespace) -> None:
    """Event by event: minus twice the logarithm of the Poisson probability times the densities."""
    ratio = OnnxRatio(case.out / "models" / "mixture.onnx")
    ratios = np.exp(ratio(ratio.columns(case.data)))
    mu, scan = scan_of(case, "nsbi")
    best = case.results["observed"]["methods"]["nsbi"]["statistical_only"]["mu_hat"]
    direct = []
    for value in (*mu, best):
        expected = factors(value) * case.training.yields
        direct.append(2.0 * (expected.sum() - sum(np.log(row @ expected) for row in ratios)))
    np.testing.assert_allclose(scan, np.array(direct[:-1]) - min(direct), rtol=0.0, atol=1e-9)
    assert direct[-1] == pytest.approx(min(direct), abs=1e-9)


@pytest.mark.parametrize("method", ["rate", "m4l"])
def test_a_binned_fit_is_the_poisson_likelihood_of_the_counts(case: SimpleNamespace, method: str) -> None:
    edges = [0.0, 1e5] if method == "rate" else CONFIG["histograms"]["m4l"]["edges"]
    counts = np.histogram(case.data["m4l"], bins=edges)[0]
    templates = np.array([np.histogram(case.training.observables["m4l"], bins=edges, weights=w)[0] for w in case.training.weights.T])
    mu, scan = scan_of(case, method)
    expected = np.array([factors(value) @ templates for value in mu])
    direct = 2.0 * (expected.sum(axis=1) - np.log(expected) @ counts)
    np.testing.assert_allclose(scan, direct - direct.min() + scan[np.argmin(direct)], rtol=0.0, atol=1e-9)


def test_the_shape_alone_is_the_conditional_likelihood_of_the_counts(case: SimpleNamespace) -> None:
    """Multinomial: with a free rate only the shares of the bins are left."""
    edges = CONFIG["histograms"]["m4l"]["edges"]
    counts = np.histogram(case.data["m4l"], bins=edges)[0]
    templates = np.array([np.histogram(case.training.observables["m4l"], bins=edges, weights=w)[0] for w in case.training.weights.T])

    def direct(mu: float) -> float:
        expected = factors(mu) @ templates
        return float(-2.0 * np.log(expected / expected.sum()) @ counts)

    grid = np.linspace(0.0, 6.0, 6001)
    values = np.array([direct(mu) for mu in grid])
    compared = json.loads((case.out / "workspace" / "comparison.json").read_text())["observed"]
    kind = ("m4l", "shape", "statistical")
    (row,) = (r for r in compared if (r["method"], r["information"], r["uncertainties"]) == kind)
    assert row["twice_nll_at_0"] == pytest.approx(values[0] - values.min(), abs=1e-4)
    assert direct(row["best_fit"]) == pytest.approx(values.min(), abs=1e-4)


@pytest.mark.parametrize("method", ["rate", "m4l", "plane", "score", "nsbi"])
def test_the_workspace_is_the_fit_with_systematics(case: SimpleNamespace, method: str) -> None:
    """Read back from files: events, networks, the spread of the ensemble at every event, normalisation, constraints."""
    likelihood = Workspace.load(case.out / "workspace" / f"{method}_observed.json").likelihood()
    fit = case.results["observed"]["methods"][method]["fit"]
    assert set(likelihood.parameter_names) == set(fit["parameters"])
    assert {"lumi", "electron_scale"} <= set(likelihood.parameter_names)
    assert likelihood.twice_nll(fit["parameters"]) == pytest.approx(fit["twice_nll"], abs=1e-9)


def test_every_method_is_there_beside_the_expected(case: SimpleNamespace) -> None:
    expected, observed = case.results["methods"], case.results["observed"]
    assert observed["n_events"] == sum(observed["counts"].values()) == len(case.data["m4l"])
    assert observed["expected_events"] == pytest.approx(float(factors(1.0) @ case.training.yields))
    for name, method in expected.items():
        assert set(method) - set(observed["methods"][name]) == OF_SIMULATION & set(method), name
    assert observed["methods"].keys() == expected.keys()
    tests = json.loads((case.out / "workspace" / "goodness.json").read_text())
    named = [{name: [t["name"] for t in own] for name, own in tests[key].items()} for key in ("methods", "observed")]
    assert named[0] == named[1]
    compared = json.loads((case.out / "workspace" / "comparison.json").read_text())
    assert compared["poi"] == "mu"
    kinds = [[(row["method"], row["information"], row["uncertainties"]) for row in compared[key]] for key in ("rows", "observed")]
    assert kinds[0] == kinds[1]
    assert ("nsbi", "shape", "systematic") in kinds[1]
    plain = json.loads((case.out / "workspace" / "m4l_observed.pyhf.json").read_text())
    assert sum(plain["observations"][0]["data"]) == observed["n_events"]

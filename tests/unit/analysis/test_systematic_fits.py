"""Variations of the ntuples as nuisance parameters of the fit stage, on a small mixture with known densities and known variations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.analysis.toy import MODEL, PROCESSES, YIELDS, densities, simulate
from toolkit.analysis import nuisances
from toolkit.analysis.channels import binned_document, normalisation_columns, parameters_of, unbinned_channel, unbinned_likelihood
from toolkit.analysis.data import FitData, full_likelihood, yields_and_shape
from toolkit.analysis.layout import ASIMOV, NORMALISATION, WORKSPACE
from toolkit.analysis.lost import measure_loss
from toolkit.analysis.measurements import measure_with
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod, histogram_method, rate_method
from toolkit.analysis.nuisances import Ratios, Systematics, read_systematics
from toolkit.config import parse_config
from toolkit.errors import SchemaError
from toolkit.likelihood import UnbinnedLikelihood, Workspace, make_document, measure, write_observation
from toolkit.likelihood.statistical import relative_errors
from toolkit.likelihood.uncertainties import minos
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

EDGES = np.linspace(0.0, 1.0, 9)
UP, DOWN = 1.0 + 0.1 * (EDGES[:-1] - 0.3), 1.0 - 0.12 * (EDGES[:-1] - 0.3)


@pytest.fixture(scope="module")
def training() -> SimulatedEvents:
    return simulate(3_000, 1)


@pytest.fixture(scope="module")
def test_events(training: SimulatedEvents) -> SimulatedEvents:
    return training  # the data are those of the templates, so that an Asimov set returns the truth exactly


@pytest.fixture(scope="module")
def methods(training: SimulatedEvents, test_events: SimulatedEvents) -> tuple[Any, ...]:
    def observe(events: SimulatedEvents) -> FloatArray:
        return events.observables["x"]

    pair = (training.observables["x"], test_events.observables["x"])
    histogram = histogram_method("x", MODEL, training=training, test=test_events, values=pair, edges=EDGES, observe=observe, observable="x")
    logs = np.log(test_events.weights * len(test_events) / training.yields)
    base = UnbinnedLikelihood(
        log_ratios=logs,
        weights=np.ones(len(logs)),
        yields=training.yields,
        coefficients=MODEL.coefficients,
        parameters=("mu",),
        bounds=MODEL.bounds,
    )
    return (rate_method(MODEL, training=training, test=test_events), histogram, UnbinnedMethod("nsbi", base, base))


@pytest.fixture(scope="module")
def systematics(methods: tuple[Any, ...]) -> Systematics:
    """A scale that tilts all processes, a smearing that is one-sided on q alone, a theory uncertainty, the luminosity."""
    histogram = methods[1]
    only_q = np.array([0.0, 0.0, 0.0, 1.0])[:, None]
    tilt = Ratios(np.tile(UP, (4, 1)), np.tile(DOWN, (4, 1)))
    smear = Ratios(1.0 + 0.03 * only_q * EDGES[1:], 1.0 / (1.0 + 0.03 * only_q * EDGES[1:]))
    found: dict[str, dict[str, Ratios]] = {"x": {"scale": tilt, "smear": smear}}
    templates = histogram.templates.values
    found["rate"] = {n: Ratios(*(y[:, None] for y in r.yields(templates))) for n, r in found["x"].items()}
    theory = (np.array([1.1, 1.1, 1.1, 1.0]), np.array([0.9, 0.9, 0.9, 1.0]))
    return Systematics(luminosity=0.02, norms={"theory": theory}, ratios=found, groups={"theory": ("theory",), "scale": ("scale", "smear")})


def weights_of(events: SimulatedEvents, mu: float = 1.0) -> FloatArray:
    root = np.sqrt(mu)
    return events.weights @ np.array([mu - root, root, 1.0 - root, 1.0])


@pytest.mark.parametrize("k", [0, 1, 2])
def test_nominal_nuisances_give_the_statistical_likelihood(methods: Any, systematics: Systematics, test_events: Any, k: int) -> None:
    weights = weights_of(test_events)
    plain, full = methods[k].likelihood(weights), full_likelihood(methods[k], weights, systematics, methods=methods, model=MODEL)
    for mu in (0.2, 1.0, 3.0):
        expected = plain.twice_nll(mu) - plain.twice_nll(1.5)
        assert full.twice_nll({"mu": mu}) - full.twice_nll({"mu": 1.5}) == pytest.approx(expected, abs=1e-9)
    assert set(full.parameter_names) == {"mu", "lumi", "theory", "scale", "smear"}
    assert len(full.constraints) == 4


@pytest.mark.parametrize("k", [1, 2])
def test_asimov_returns_the_truth_with_systematics(methods: Any, systematics: Systematics, test_events: Any, k: int) -> None:
    weights = weights_of(test_events, 1.7)
    full = full_likelihood(methods[k], weights, systematics, methods=methods, model=MODEL)
    fit, plain = full.fit(), methods[k].likelihood(weights).fit()
    assert fit.parameters["mu"] == pytest.approx(1.7, abs=1e-5)
    assert max(abs(fit.parameters[n]) for n in ("scale", "smear", "theory")) < 1e-5
    assert fit.errors["mu"] > plain.errors["mu"]


def test_many_bins_see_what_the_events_see(methods: Any, systematics: Systematics, test_events: Any) -> None:
    """Unbinned with its variations in the bins of x, and binned in the same x: the same pulls on the data, nearly the same error."""
    weights = weights_of(test_events, 1.7)
    errors = [full_likelihood(m, weights, systematics, methods=methods, model=MODEL).fit().errors["mu"] for m in methods[1:]]
    assert errors[1] == pytest.approx(errors[0], rel=0.05)
    assert errors[1] < errors[0]


def test_results_keep_both_and_say_where_the_error_comes_from(methods: Any, systematics: Systematics, test_events: Any) -> None:
    weights, values = weights_of(test_events, 1.7), np.array([0.0, 1.0, 2.5, 6.0])
    plain = measure(methods[1].likelihood(weights), method="x", values=values)
    full = full_likelihood(methods[1], weights, systematics, methods=methods, model=MODEL)
    result = measure_with(full, plain, systematics, values=values, truth=1.7)
    assert result.statistical_only is plain
    assert result.uncertainties is not None
    assert {p["parameter"] for p in result.uncertainties["pulls"]} == {"lumi", "theory", "scale", "smear"}
    table = {c["group"]: c["up"] for c in result.uncertainties["breakdown"]}
    assert set(table) == {"total", "theory", "scale", "systematic", "statistical"}
    assert table["total"] == pytest.approx(np.hypot(table["statistical"], table["systematic"]), rel=1e-6)
    assert {i["parameter"] for i in result.uncertainties["impacts_auxiliary"]} == {"lumi", "theory", "scale", "smear"}
    parts = {c["group"]: c for c in result.uncertainties["components"]}
    assert set(parts) == {"total", "theory", "scale", "systematic", "statistical"}
    assert abs(parts["total"]["up"] / full.fit().errors["mu"] - 1.0) < 0.25  # a likelihood that is not quite Gaussian, 200 replicas
    pre = {i["parameter"]: abs(i["up"]) for i in result.uncertainties["impacts_pre_fit"]}
    post = {i["parameter"]: abs(i["up"]) for i in result.uncertainties["impacts"]}
    assert all(pre[n] >= 0.99 * post[n] for n in post)
    again = type(result).from_json(result.to_json(), method="x")
    assert again.to_json() == result.to_json()


def test_without_systematics_nothing_changes(methods: Any, test_events: Any) -> None:
    weights, none = weights_of(test_events), Systematics()
    assert not none
    plain = methods[1].likelihood(weights)
    again = Workspace(binned_document(methods[1], weights, none)).likelihood()
    assert again.twice_nll(0.4) == pytest.approx(plain.twice_nll(0.4), rel=1e-12)
    rate, shape = yields_and_shape(methods)
    bare = unbinned_likelihood(methods[2], weights, none, model=MODEL, rate=rate, shape=shape)
    assert bare.parameter_names == ("mu",)
    assert bare.twice_nll(0.4) == methods[2].likelihood(weights).twice_nll(0.4)


class Densities:
    """The exact densities as a ratio model."""

    features, numerators, reference = ("x",), PROCESSES, "flat"

    def __init__(self, yields: FloatArray) -> None:
        self._scale = YIELDS / yields

    def columns(self, observables: Any) -> FloatArray:
        return np.asarray(observables["x"])[:, None]

    def __call__(self, x: Any) -> FloatArray:
        return np.log(densities(x[:, 0]) * self._scale)


def test_the_written_workspace_is_the_likelihood_in_memory(
    methods: Any, systematics: Systematics, training: SimulatedEvents, test_events: SimulatedEvents, tmp_path: Path
) -> None:
    weights, (rate, shape) = weights_of(test_events), yields_and_shape(methods)
    assert shape is not None
    ratio: Any = Densities(training.yields)
    channel = unbinned_channel(MODEL, training.yields, ratio, systematics, rate=rate, shape=shape)
    (tmp_path / WORKSPACE).mkdir()
    write_observation(tmp_path / ASIMOV, {"x": test_events.observables["x"]}, weights=weights)
    write_observation(tmp_path / NORMALISATION, normalisation_columns(shape, systematics, features=("x",)))
    special = [c for c in systematics.constraints if c.parameter == "lumi"]
    document = make_document(parameters=parameters_of(MODEL, systematics), unbinned=[channel], constraints=special)
    read = Workspace(document, tmp_path / WORKSPACE).likelihood(open_ratio=lambda _: ratio)
    memory = unbinned_likelihood(methods[2], weights, systematics, model=MODEL, rate=rate, shape=shape)
    at = {"mu": 0.6, "lumi": 1.01, "theory": 0.4, "scale": -1.3, "smear": 0.8}
    other = {**at, "mu": 2.0, "scale": 0.5}
    assert read.twice_nll(at) - read.twice_nll(other) == pytest.approx(memory.twice_nll(at) - memory.twice_nll(other), rel=1e-9)


CONFIG = {
    "luminosity_ifb": 140.0,
    "samples": [
        *({"name": n, "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_SBI", "ggF_B"]} for n in ("ggF_S", "ggF_SBI", "ggF_B")),
        {"name": "qqZZ", "files": ["b.root"]},
    ],
    "systematics": {
        "objects": {
            "scale": {"object": "muon", "kind": "scale", "size": 0.01},
            "smear": {"object": "muon", "kind": "resolution", "size": 0.01},
        },
        "weights": {"pdf": {"kind": "members", "vector": "W", "first": 0, "last": 1, "combine": "envelope"}},
        "ratios": {"shape": "histogram"},
    },
    "likelihood": {
        "luminosity_uncertainty": 0.01,
        "normalisations": {"theory": {"processes": ["qqZZ"], "up": 1.05}},
    },
}


def test_finite_simulation_alone_widens_histogram_fits(methods: Any, test_events: Any, tmp_path: Path) -> None:
    """One parameter per bin in the histogram, none in the unbinned channel; pyhf reads the same widths."""
    simulation, weights = Systematics(template_statistics=True), np.ones(len(test_events)) * 225.0 / len(test_events)
    _, histogram, unbinned = methods
    assert full_likelihood(unbinned, weights, simulation, methods=methods, model=MODEL).parameter_names == ("mu",)
    full = full_likelihood(histogram, weights, simulation, methods=methods, model=MODEL)
    assert [c.parameter for c in full.constraints] == [f"simulation_x[{b}]" for b in range(len(EDGES) - 1)]
    sigma = relative_errors(histogram.templates, [0.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose([c.scale for c in full.constraints], sigma)
    plain = measure(histogram.likelihood(weights), method="x", values=np.linspace(0.0, 6.0, 13))
    result = measure_with(full, plain, simulation, values=np.linspace(0.0, 6.0, 13), truth=1.0)
    groups = {entry["group"]: entry for entry in result.uncertainties["breakdown"]}
    assert groups["simulation"]["up"] > 0.0
    assert groups["simulation"]["up"] == pytest.approx(groups["systematic"]["up"])
    document = Workspace(binned_document(histogram, weights, simulation)).to_pyhf()
    assert {m["type"] for s in document["channels"][0]["samples"] for m in s["modifiers"]} == {"normfactor", "staterror"}


def test_templates_of_every_variation_are_read(methods: Any, training: SimulatedEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale up and down, a one-sided smearing that is mirrored, an envelope of two members: each known factor comes back."""
    factors = {"scale_up": 1.1, "scale_down": 0.95, "smear_up": 1.25, "pdf_0": 1.03, "pdf_1": 0.99}
    monkeypatch.setattr(nuisances, "variations_of", lambda _folder, _sample: ("nominal", *factors))
    monkeypatch.setattr(
        nuisances,
        "read_simulation",
        lambda _context, variation: (replace(training, weights=training.weights * factors[variation]), training),
    )
    config = parse_config(CONFIG, folder=Path())
    context: Any = SimpleNamespace(config=config, out=Path(), progress=lambda *_: None)
    fills = {m.name: m.fill for m in methods if isinstance(m, BinnedMethod)}
    found = read_systematics(context, fills, training=training)
    assert found.names == ("theory", "scale", "smear", "pdf")
    assert found.groups == {"luminosity": ("lumi",), "normalisation": ("theory",), "objects": ("scale", "smear"), "weights": ("pdf",)}
    for name, (up, down) in {"scale": (1.1, 0.95), "smear": (1.25, 0.8), "pdf": (1.03, 0.99)}.items():
        hi, lo = found.ratios["rate"][name].yields(methods[0].templates.values)
        np.testing.assert_allclose(hi, up, rtol=1e-12)
        np.testing.assert_allclose(lo, down, rtol=1e-12)
        np.testing.assert_allclose(found.ratios["x"][name].shapes(methods[1].templates.values)[0], 1.0, rtol=1e-12)
    assert found.norms["theory"][0].tolist() == [1.0, 1.0, 1.0, 1.05]
    assert found.norms["theory"][1][3] == pytest.approx(1 / 1.05)
    monkeypatch.setattr(nuisances, "variations_of", lambda _folder, _sample: ("nominal",))
    with pytest.raises(SchemaError, match="process again"):
        read_systematics(context, fills, training=training)
    off = parse_config({**CONFIG, "likelihood": {**CONFIG["likelihood"], "systematics": False}}, folder=Path())
    assert not read_systematics(SimpleNamespace(config=off), fills, training=training)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("section", "match"),
    [
        ({"normalisations": {"scale": {"processes": ["qqZZ"], "up": 1.1}}}, "occur twice"),
        ({"normalisations": {"theory": {"processes": ["ttZ"], "up": 1.1}}}, "no processes"),
        ({"normalisations": {"theory": {"processes": ["qqZZ"], "up": 0.0}}}, "greater than 0"),
        ({"groups": {"mine": ["nobody"]}}, "no nuisance parameters"),
        ({"luminosity_uncertainty": -0.1}, "luminosity_uncertainty"),
    ],
)
def test_bad_sections_are_refused(section: dict[str, Any], match: str) -> None:
    with pytest.raises(SchemaError, match=match):
        parse_config({**CONFIG, "likelihood": section}, folder=Path())


def test_the_loss_of_a_variation_is_that_of_the_histogram_that_shows_it(training: SimulatedEvents) -> None:
    """One bin of x knows the yield alone: errors and shift are those of documents in which the variation is a factor on the yield."""
    pair = (training.observables["x"], training.observables["x"])

    def observe(events: SimulatedEvents) -> FloatArray:
        return events.observables["x"]

    score = histogram_method("score", MODEL, training=training, test=training, values=pair, edges=EDGES, observe=observe)
    coarse = histogram_method(
        "x", MODEL, training=training, test=training, values=pair, edges=EDGES[[0, -1]], observe=observe, observable="x"
    )
    rate = rate_method(MODEL, training=training, test=training)
    up = np.ones_like(score.templates.values)
    up[3] = 1.0 + 0.4 * (EDGES[:-1] - 0.6)  # of q alone
    whole = Ratios(up, 1.0 / up)
    hi, lo = whole.yields(score.templates.values)
    flat = {m.name: {"X": Ratios(hi[:, None], lo[:, None])} for m in (rate, coarse)}
    systematics = Systematics(ratios={**flat, "score": {"X": whole}})
    weights = training.weights @ MODEL.at(MODEL.truth)
    (found,) = measure_loss(FitData(training, weights, (rate, coarse, score), systematics, MODEL), "X", training=training)
    by_hand = []
    for own in (whole, Ratios(np.broadcast_to(hi[:, None], up.shape), np.broadcast_to(lo[:, None], up.shape))):
        document = binned_document(score, weights, replace(systematics, ratios={"score": {"X": own}}))
        likelihood = Workspace(document).likelihood()
        by_hand.append(minos(likelihood, likelihood.fit(), "mu").up)
    assert (found.error, found.error_known) == pytest.approx(tuple(by_hand), rel=1e-6)
    assert abs(found.error - found.error_known) > 0.03  # the shape constrains the yield, too
    f = MODEL.at(MODEL.truth)
    document["observations"][0]["data"] = (f @ (score.templates.values * up)).tolist()
    assert found.shift == pytest.approx(Workspace(document).likelihood().fit().parameters["mu"] - MODEL.truth["mu"], abs=1e-5)
    assert abs(found.shift) > 0.05

"""Intervals from toys as the stage `fit` makes them, on a small mixture with known densities."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.analysis.toy import YIELDS, densities, events_at
from toolkit.analysis import constructions
from toolkit.analysis.constructions import with_constructed, write_intervals
from toolkit.analysis.data import FitData, full_likelihood
from toolkit.analysis.experiments import Experiment, reference_weights, toy_source
from toolkit.analysis.layout import INTERVALS, TOYS
from toolkit.analysis.methods import UnbinnedMethod, histogram_method, rate_method
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Ratios, Systematics
from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import BinnedLikelihood, PyhfLikelihood, Results, UnbinnedLikelihood, measure
from toolkit.likelihood.neyman import construct_bands
from toolkit.likelihood.parameter_results import CoveragePoint
from toolkit.likelihood.toy_sources import BinnedToys, UnbinnedToys
from toolkit.likelihood.toys import toy_generator
from toolkit.pipeline.stage import ExecutorOptions, StageContext
from toolkit.report.interval_pages import ToyIntervals

PROCESSES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
PI = {"ggF_S": 0.4, "ggF_B": 0.3, "qqZZ": 0.3}


@dataclass(frozen=True)
class Ratio:
    """Exact ratios, off by constant factors as networks are."""

    factors: tuple[float, ...] = (1.0, 1.02, 0.99, 1.0)
    metadata: Any = field(default_factory=lambda: SimpleNamespace(reference_mixture=PI))

    def columns(self, observables):
        return observables["x"]

    def __call__(self, x):
        p = densities(x)
        return np.log(p * self.factors / (p[:, [0, 2, 3]] @ list(PI.values()))[:, None])


@pytest.fixture(scope="module")
def test_events():
    x = np.random.default_rng(2).uniform(0.01, 0.99, size=3000)
    return events_at(x, PROCESSES)


def config(**toys):
    samples = [{"name": name, "files": ["f.root"], "benchmarks": [] if name == "qqZZ" else list(PROCESSES[:3])} for name in PROCESSES]
    settings = {"grid_points": 5, "per_point": 100, "coverage_at": [1.2], "coverage_toys": 100, **toys}
    document = {
        "luminosity_ifb": 140.0,
        "samples": samples,
        "histograms": {"x": {"observable": "x", "edges": [0.0, 0.5, 1.0]}},
        "parameter": {"interval": "neyman", "range": [0.0, 4.0]},
        "likelihood": {"toys": settings, "scan_points": 41},
    }
    return Config.model_validate(document)


@pytest.fixture(scope="module")
def methods(test_events):
    model = FitModel.of(config())
    ratio = Ratio()
    base = UnbinnedLikelihood(
        log_ratios=ratio(test_events.observables["x"]),
        weights=np.ones(3000),
        yields=YIELDS,
        coefficients=model.coefficients,
        parameters=("mu",),
        bounds=model.bounds,
    )
    x, edges = test_events.observables["x"], (0.0, 0.3, 0.6, 1.0)
    return (
        histogram_method("x", model, training=test_events, test=test_events, values=(x, x), edges=edges, observable="x"),
        UnbinnedMethod("nsbi", base, base),
        rate_method(model, training=test_events, test=test_events),
    )


@pytest.fixture(scope="module")
def full(methods):
    """Luminosity, a yield of the background, and a tilt of all shapes."""
    tilt = Ratios(np.tile([0.97, 1.0, 1.04], (4, 1)), np.tile([1.03, 1.0, 0.96], (4, 1)))
    one = Ratios(np.ones((4, 1)), np.ones((4, 1)))
    background = (np.array([1.0, 1.0, 1.0, 1.1]), np.array([1.0, 1.0, 1.0, 0.9]))
    systematics = Systematics(luminosity=0.02, norms={"qq": background}, ratios={"x": {"tilt": tilt}, "rate": {"tilt": one}})
    return lambda method, weights: full_likelihood(method, weights, systematics, methods=methods, model=FitModel.of(config()))


def short(**toys):
    """Fewer toys than a config may ask for."""
    settings = config(coverage_at=[], **toys)
    few = settings.likelihood.toys.model_copy(update={"per_point": 30})
    return settings.model_copy(update={"likelihood": settings.likelihood.model_copy(update={"toys": few, "scan_points": 13})})


def context(tmp_path: Path, settings: Config) -> StageContext:
    return StageContext(config=settings, out=tmp_path, work=tmp_path, key="k")


def test_the_stage_writes_intervals_that_the_report_reads(tmp_path, methods, test_events):
    settings = config(methods=["nsbi", "x"])
    write_intervals(context(tmp_path, settings), methods, test=test_events, ratio=Ratio())
    document = json.loads((tmp_path / INTERVALS).read_text())
    read = ToyIntervals.from_json(document)
    assert list(read.results) == ["nsbi", "x"]
    for name, result in read.results.items():
        assert result.bands.toys == 100
        assert result.bands.range == (0.0, 4.0)
        assert result.intervals["68"][0].low < 1.0 < result.intervals["68"][-1].high
        assert [c.truth for c in read.coverage[name]] == [1.2, 1.2]
        assert (tmp_path / TOYS / f"{name}.jsonl").is_file()
    before = (tmp_path / INTERVALS).read_bytes()
    write_intervals(context(tmp_path, settings), methods, test=test_events, ratio=Ratio())
    assert (tmp_path / INTERVALS).read_bytes() == before


@pytest.fixture(scope="module")
def seen(methods, test_events):
    """Whole numbers of events, drawn at mu = 0.4."""
    weights = densities(test_events.observables["x"]) * YIELDS / 3000 @ [0.4 - 0.4**0.5, 0.4**0.5, 1.0 - 0.4**0.5, 1.0]
    counts = np.random.default_rng(8).poisson(weights).astype(float)
    return FitData(test_events, counts, methods, Systematics(), FitModel.of(config()), label="observed")


def test_data_events_are_accepted_where_t_lies_below_the_same_critical_values(tmp_path, methods, test_events, seen):
    settings = short(methods=["nsbi", "x"])
    write_intervals(context(tmp_path, settings), methods, test=test_events, ratio=Ratio(), data=[seen])
    read = ToyIntervals.from_json(json.loads((tmp_path / INTERVALS).read_text()))
    assert not list((tmp_path / TOYS).glob("*observed*"))
    mu = np.linspace(0.0, 4.0, 401)
    for method in methods[:2]:
        result = read.observed[method.name]
        curve = result.bands.curves["68"]
        np.testing.assert_array_equal(curve.values, read.results[method.name].bands.curves["68"].values)
        likelihood = method.likelihood(seen.weights)
        scan = np.array([likelihood.twice_nll([m]) for m in mu])
        inside = scan - scan.min() < curve(mu)
        pieces = np.any([(mu >= i.low) & (mu <= i.high) for i in result.intervals["68"]], axis=0)
        assert np.count_nonzero(pieces != inside) <= 2 * len(result.intervals["68"])
        assert 0 < pieces.sum() < len(mu)


def test_data_events_have_toys_at_their_own_nuisance_parameters(tmp_path, methods, test_events, full, seen):
    background = (np.array([1.0, 1.0, 1.0, 1.1]), np.array([1.0, 1.0, 1.0, 0.9]))
    data = replace(seen, weights=1.2 * seen.weights, systematics=Systematics(luminosity=0.02, norms={"qq": background}))
    drawn = []

    def noted(source, points, **options):
        drawn.append(points)
        return construct_bands(source, points, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constructions, "construct_bands", noted)
        settings = short(methods=["rate"])
        write_intervals(context(tmp_path, settings), methods, test=test_events, ratio=Ratio(), full=full, data=[data])
    assert (tmp_path / TOYS / "rate_observed.jsonl").is_file()
    likelihood = data.full(methods[2])
    for point in drawn[1]:
        assert point == pytest.approx(likelihood.fit(fixed={"mu": point["mu"]}).parameters, abs=1e-4)
    assert all(one["qq"] != other["qq"] for one, other in zip(*drawn, strict=True))
    read = ToyIntervals.from_json(json.loads((tmp_path / INTERVALS).read_text()))
    assert read.observed["rate"].best_fit == pytest.approx(likelihood.fit().parameters["mu"], abs=1e-3)


def test_nothing_is_written_unless_asked_for(tmp_path, methods, test_events):
    settings = config()
    asymptotic = settings.model_copy(update={"parameter": settings.parameter.model_copy(update={"interval": "asymptotic"})})
    write_intervals(context(tmp_path, asymptotic), methods, test=test_events, ratio=Ratio())
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_method_is_refused(tmp_path, methods, test_events):
    with pytest.raises(SchemaError, match="score"):
        write_intervals(context(tmp_path, config(methods=["score"])), methods, test=test_events, ratio=Ratio())


def test_nuisance_parameters_widen_what_toys_say(tmp_path, methods, full, test_events):
    """Profiled: drawn and fitted in every toy, so the intervals are wider. Fixed: the statistical ones, bit for bit."""
    written = {}
    for name, settings, given in (
        ("none", short(methods=["x"]), None),
        ("fixed", short(methods=["x"], nuisances="fixed"), full),
        ("profiled", short(methods=["x"]), full),
    ):
        write_intervals(context(tmp_path / name, settings), methods, test=test_events, ratio=Ratio(), full=given)
        written[name] = json.loads((tmp_path / name / INTERVALS).read_text())
    assert [document["nuisances"] for document in written.values()] == ["none", "fixed", "profiled"]
    assert written["none"]["methods"] == written["fixed"]["methods"]
    wide, narrow = (ToyIntervals.from_json(written[n]).results["x"] for n in ("profiled", "none"))
    assert wide.bands.not_converged == 0
    assert wide.scan.twice_delta_nll[0] < narrow.scan.twice_delta_nll[0]
    lengths = [sum(i.high - i.low for i in result.intervals["68"]) for result in (wide, narrow)]
    assert lengths[0] > lengths[1]


@pytest.mark.parametrize("draw", ["model", "simulation"])
@pytest.mark.parametrize("k", [0, 1])
def test_toys_follow_the_nuisance_parameters(methods, full, test_events, draw, k):
    """Expected counts per bin move as the likelihood says, the auxiliary measurements around the truth."""
    source = toy_source(Experiment(config(draw=draw), test_events, Ratio(), full), methods[k])
    theta = {"mu": 1.0, "lumi": 1.03, "qq": 1.5, "tilt": -0.7}
    drawn = [source.sample(theta, toy_generator(3, theta, i)) for i in range(300)]
    index = np.digitize(test_events.observables["x"], [0.3, 0.6])
    counts = np.array([d[0] if k == 0 else np.bincount(index[d[0]], minlength=3) for d in drawn])
    binned = full(methods[0], np.ones(3000))
    assert isinstance(binned, PyhfLikelihood)
    expected = binned.model.expected_actualdata(binned.model_parameters(binned.point(theta)[None, :])[0])
    np.testing.assert_allclose(counts.mean(axis=0), expected, atol=4.0 * np.sqrt(expected.max() / 300), rtol=0.01)
    observed = {name: np.array([d[1][name] for d in drawn]) for name in ("lumi", "qq", "tilt")}
    assert observed["lumi"].mean() == pytest.approx(1.03, abs=4 * 0.02 / 300**0.5)
    assert observed["tilt"].std() == pytest.approx(1.0, rel=0.2)


def test_toys_of_the_model_follow_the_normalised_model(methods, test_events):
    """Expected events of each process are its yield, whatever constant factors the networks have, in the toys and in their fit."""
    source = toy_source(Experiment(config(), test_events, Ratio()), methods[1])
    assert isinstance(source, UnbinnedToys)
    np.testing.assert_allclose(source.expected.sum(axis=0), YIELDS)
    np.testing.assert_allclose(source.expected, test_events.weights * YIELDS / test_events.yields, rtol=0.02)
    ratio = source.likelihood.densities / methods[1].base.densities
    np.testing.assert_allclose(ratio / ratio[:, :1], np.broadcast_to(ratio[0] / ratio[0, 0], ratio.shape))
    assert ratio[0, 1] / ratio[0, 0] == pytest.approx(1.0 / 1.02, rel=0.02)


def test_toys_of_the_simulation_take_its_weights(methods, test_events):
    settings = config(draw="simulation", negative="drop")
    source = toy_source(Experiment(settings, test_events, Ratio()), methods[1])
    assert isinstance(source, UnbinnedToys)
    np.testing.assert_array_equal(source.expected, test_events.weights)
    assert source.negative == "drop"
    binned = toy_source(Experiment(settings, test_events, Ratio()), methods[0])
    assert isinstance(binned, BinnedToys)
    assert isinstance(binned.truth, BinnedLikelihood)
    np.testing.assert_allclose(binned.truth.templates, methods[0].templates.values)
    for one in (source, binned):
        one.sample({"mu": 0.7}, toy_generator(1, {"mu": 0.7}, 0))


def test_a_reference_that_is_no_mixture_cannot_be_drawn_from(methods, test_events):
    other = replace(Ratio(), metadata=SimpleNamespace(reference_mixture={}))
    with pytest.raises(SchemaError, match="simulation"):
        toy_source(Experiment(config(), test_events, other), methods[1])


def test_reference_weights_are_those_of_the_mixture(test_events):
    x = test_events.observables["x"]
    expected = densities(x)[:, [0, 2, 3]] @ np.array(list(PI.values()))
    weights = reference_weights(test_events, PI)
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights / weights[0], expected / expected[0], rtol=0.05)


def test_toys_run_where_processing_runs():
    from toolkit.likelihood.toy_workers import run_here
    from toolkit.pipeline.toy_workers import toy_workers

    with toy_workers(ExecutorOptions()) as workers:
        assert workers is run_here
    with toy_workers(ExecutorOptions("futures", workers=3)) as workers:
        assert workers is not run_here


@pytest.mark.parametrize(
    "wrong",
    [
        {"methods": []},
        {"methods": ["nsbi", "nsbi"]},
        {"per_point": 10},
        {"draw": "nature"},
        {"nuisances": "free"},
        {"points": 9},
        {"methods": ["m5l"]},
        {"coverage_at": [4.5]},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="toys"):
        config(**wrong)


def automatic(**toys):
    settings = short(**toys)
    return settings.model_copy(update={"parameter": settings.parameter.model_copy(update={"interval": "auto"})})


def test_quick_toys_are_made_for_all_methods_by_default(tmp_path, methods, test_events, full):
    assert type(config().parameter)().interval == "auto"
    document = write_intervals(context(tmp_path, automatic()), methods, test=test_events, ratio=Ratio())
    assert document is not None
    assert (set(document["methods"]), document["left_out"]) == ({"x", "nsbi", "rate"}, {})
    assert json.loads((tmp_path / INTERVALS).read_text()) == document
    slow = write_intervals(context(tmp_path, automatic()), methods, test=test_events, ratio=Ratio(), full=full)
    assert slow is not None
    assert slow["methods"] == {}
    assert "several free parameters" in slow["left_out"]["mu"]


def test_many_events_or_a_reference_that_is_no_mixture_leave_quick_toys_out(tmp_path, methods, test_events, monkeypatch):
    reference = Ratio(metadata=SimpleNamespace(reference_mixture={}))
    left = write_intervals(context(tmp_path, automatic()), methods, test=test_events, ratio=reference)
    assert left is not None
    assert left["left_out"]["mu"].startswith("nsbi: toys cannot be drawn")
    assert set(left["methods"]) == {"x", "rate"}, "the others are quick"
    monkeypatch.setattr(constructions, "QUICK", 1000.0)
    left = write_intervals(context(tmp_path, automatic()), methods, test=test_events, ratio=Ratio())
    assert left is not None
    assert "take long" in left["left_out"]["mu"]


def test_asymptotic_intervals_stand_beside_with_their_coverage(tmp_path, methods, test_events):
    """Every number against the toys themselves."""
    settings = automatic(grid_points=9)
    document = write_intervals(context(tmp_path, settings), methods, test=test_events, ratio=Ratio())
    assert document is not None
    experiment = Experiment(settings, test_events, Ratio())
    grid = np.linspace(0.0, 4.0, 41)
    found = {m.name: measure(experiment.of_asimov(m), method=m.name, values=grid, truth=1.0) for m in methods}
    results = with_constructed(Results("mu", {"mu": 1.0}, 140.0, {}, found), document)
    own, plain = results.methods["nsbi"].parameters["mu"], found["nsbi"]
    assert own.interval_kind == "neyman"
    assert own.asymptotic_68 == results.methods["nsbi"].interval_68 == plain.interval_68
    assert [[i.low, i.high] for i in own.interval_68] == document["methods"]["nsbi"]["interval_68"]
    ends = [end for piece in plain.interval_68 for end in (piece.low, piece.high) if 1e-3 < end < 3.999]
    assert [point.at for point in own.coverage["68"]] == [plain.mu_hat, *ends]
    source, points = toy_source(experiment, methods[1]), [{"mu": 1.0}, {"mu": 1.21}]
    bands = construct_bands(source, points, poi="mu", toys=400, seed=3, root=True, smooth=False)
    share, error = bands.asymptotic_coverage("68", 1.0)
    assert share == bands.asymptotic["68"][0]
    assert error == pytest.approx(np.sqrt(share * (1.0 - share) / 400))
    between, smaller = bands.asymptotic_coverage("68", 1.05**2)
    assert between == pytest.approx(np.mean(bands.asymptotic["68"]))
    assert smaller < error
    back = type(own).from_json(json.loads(json.dumps(own.to_json())))
    assert (back.coverage, back.off, back.asymptotic_95) == (own.coverage, own.off, own.asymptotic_95)
    far = {"68": (CoveragePoint(1.0, 0.7, 0.01), CoveragePoint(2.0, 0.64, 0.01)), "95": (CoveragePoint(2.0, 0.93, 0.01),)}
    assert replace(own, coverage=far).off == ("68",)
    assert replace(own, coverage=far).worst("68") == CoveragePoint(2.0, 0.64, 0.01)

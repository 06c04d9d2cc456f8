"""A process that only some regions hold: not learned, counted where it is declared, nowhere else; against its likelihood written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from toolkit.analysis import FitModel, RegionMethod, build_region_methods
from toolkit.analysis.nuisances import normalisations
from toolkit.analysis.region_checks import region_notes, require_measurable
from toolkit.analysis.regions import learned_events, learned_pairs
from toolkit.cli.doubts import doubts
from toolkit.config import Config, parse_config
from toolkit.errors import SchemaError
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents
from toolkit.weights.pairs import EventPairs

N = 3000
NAMES = ("sig", "bkg", "on")
YIELDS = (60.0, 500.0, 90.0)


def config_of(on_regions: tuple[str, ...] = ("ON",)) -> Config:
    document: dict[str, Any] = {
        "luminosity_ifb": 1.0,
        "selection": {"m4l": [50, 1000]},
        "parameters": {
            "mu": {"range": [0, 4]},
            "mu_on": {"kind": "normalisation", "range": [0.3, 3]},
            "t": {"kind": "normalisation", "range": [0.3, 3]},
        },
        "processes": {"sig": {"factor": "mu"}, "bkg": {"factor": "t"}, "on": {"factor": "mu_on", "regions": list(on_regions)}},
        "samples": [{"name": name, "files": ["a.root"]} for name in NAMES],
        "ratios": {"features": ["m4l"]},
        "histograms": {"mass": {"observable": "m4l", "edges": [115, 130, 1000]}},
        "score_histogram": {"bins": 4},
        "score_plane": {"bins": [4, 3]},
        "regions": {
            "SR": {"kind": "unbinned", "condition": "m4l > 115"},
            "ON": {"kind": "counting", "condition": "m4l < 70"},
        },
    }
    return parse_config(document, folder=Path())


def simulate(seed: int) -> SimulatedEvents:
    """Signal around 125, a flat background from 100 to 150, on-shell events around 60, of which every tenth lies above 115."""
    rng = np.random.default_rng(seed)
    on = np.where(np.arange(N) % 10 == 0, rng.uniform(120.0, 130.0, N), rng.uniform(55.0, 65.0, N))
    weights = np.zeros((3 * N, 3))
    for k, expected in enumerate(YIELDS):
        weights[k * N : (k + 1) * N, k] = expected / N
    return SimulatedEvents(
        processes=NAMES,
        event_id=np.arange(3 * N, dtype=np.uint64) + np.uint64(10**6 * seed),
        sample_index=np.repeat([0, 1, 2], N),
        samples=NAMES,
        observables={"m4l": np.concatenate([rng.normal(125.0, 3.0, N), rng.uniform(100.0, 150.0, N), on])},
        weights=weights,
    )


class ExactRatio:
    """Log of the densities of signal and background above 115: what networks of the learned processes would give."""

    features = ("m4l",)

    def columns(self, observables: Any) -> FloatArray:
        return np.asarray(observables["m4l"])[:, None]

    def __call__(self, rows: FloatArray) -> FloatArray:
        signal = norm.logpdf(rows[:, 0], 125.0, 3.0) - norm.logsf(115.0, 125.0, 3.0)
        return np.stack([signal, np.full(len(rows), -np.log(35.0))], axis=1)


@pytest.fixture(scope="module")
def methods() -> tuple[RegionMethod, ...]:
    ratio: Any = ExactRatio()
    training = simulate(1)
    inside = training.observables["m4l"][training.observables["m4l"] > 115.0]
    return build_region_methods(config_of(), training=training, test=simulate(2), ratio=ratio, out_of_bag=ratio(inside[:, None]))


def test_the_model_that_is_learned_lacks_process_and_parameter() -> None:
    model = config_of().model
    assert model.densities == NAMES
    assert model.learned.densities == ("sig", "bkg")
    assert model.learned.parameter_names == ("mu", "t")
    assert [s.name for s in model.learned.samples] == ["sig", "bkg"]
    everywhere = config_of(on_regions=("SR", "ON")).model
    assert everywhere.learned is everywhere


def test_networks_learn_without_the_weights_of_a_process_elsewhere() -> None:
    config, training = config_of(), simulate(1)
    learned = learned_events(config, training)
    assert learned.processes == ("sig", "bkg")
    above = training.observables["m4l"] > 115.0
    np.testing.assert_array_equal(learned.event_id, training.event_id[above])
    np.testing.assert_array_equal(learned.weights, training.weights[above][:, :2])
    pairs = EventPairs(NAMES, training.event_id, training.observables, training.observables, training.weights, 1.1 * training.weights)
    found = learned_pairs(config, pairs)
    assert found.processes == ("sig", "bkg")
    np.testing.assert_allclose(found.varied_weights, 1.1 * training.weights[above][:, :2])


def test_the_likelihood_counts_the_process_in_its_region_only(methods: tuple[RegionMethod, ...]) -> None:
    """NSBI and the counts against the extended likelihood written here."""
    training, test = simulate(1), simulate(2)
    x, weights = test.observables["m4l"], test.weights.sum(axis=1) * np.where(np.arange(3 * N) % 2, 1.3, 0.7)
    above, low = x > 115.0, x < 70.0
    of_training = training.observables["m4l"]
    in_sr, in_on = training.weights[of_training > 115.0].sum(axis=0)[:2], training.weights[of_training < 70.0].sum(axis=0)[2]
    densities = np.exp(ExactRatio()(x[above][:, None]))

    def twice_nll(mu: float, t: float, on: float, *, unbinned: bool) -> float:
        expected = float(in_sr @ [mu, t])
        count = weights[above].sum()
        shape = -2.0 * weights[above] @ np.log(densities @ (in_sr * [mu, t])) if unbinned else -2.0 * count * np.log(expected)
        return float(shape + 2.0 * expected + 2.0 * (in_on * on - weights[low].sum() * np.log(in_on * on)))

    for method in (methods[0], methods[-1]):
        likelihood = method.likelihood(weights)
        assert set(likelihood.parameter_names) == {"mu", "t", "mu_on"}
        reference = likelihood.twice_nll({"mu": 1.0, "t": 1.0, "mu_on": 1.0})
        for mu, t, on in ((0.5, 1.2, 0.8), (2.0, 0.7, 1.5)):
            expected = [twice_nll(*point, unbinned=method.name == "nsbi") for point in ((mu, t, on), (1.0, 1.0, 1.0))]
            found = likelihood.twice_nll({"mu": mu, "t": t, "mu_on": on}) - reference
            assert found == pytest.approx(expected[0] - expected[1], abs=1e-7), method.name
    require_measurable(methods[-1])


def test_events_elsewhere_are_said(methods: tuple[RegionMethod, ...]) -> None:
    config = config_of()
    *_, note = region_notes(methods[-1], simulate(2), FitModel.of(config))
    assert (
        note
        == f"{N // 10} simulated test events of on lie in regions of the fit other than ON, which it is said to be in, and count nowhere"
    )
    assert not any("no simulated events of on" in text for text in region_notes(methods[-1], simulate(2), FitModel.of(config)))


def test_an_uncertainty_of_a_whole_process_moves_all_its_densities() -> None:
    document = config_of().model_dump(exclude_unset=True)
    document["processes"]["bkg"] = {"split": {"low": {"condition": "m4l < 120", "factor": "t"}, "high": {"condition": "m4l >= 120"}}}
    document["likelihood"] = {"normalisations": {n: {"processes": [n], "up": 1.2} for n in ("bkg", "high")}}
    found = normalisations(parse_config(document, folder=Path()))
    assert found["bkg"][0].tolist() == [1.0, 1.2, 1.2, 1.0]
    assert found["high"][0].tolist() == [1.0, 1.0, 1.2, 1.0]


def test_a_region_that_is_none_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"process 'on'\n.*events in the regions \['CR'\]\n.*\['SR', 'ON'\]"):
        config_of(on_regions=("CR",))


def test_a_histogram_of_a_region_need_not_span_the_window_of_the_selection() -> None:
    assert not [text for text in doubts(config_of()) if text.startswith("histograms.")]

"""Cross-fits of histograms: templates without the fold, best fits, and errors against events that are drawn again."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from tests.unit.analysis.toy import COEFFICIENTS, MODEL, densities, simulate
from toolkit.analysis.cross_fit import cross_fitted, fold_of, fold_templates
from toolkit.analysis.data import FitData
from toolkit.analysis.datasets import DataEvents
from toolkit.analysis.information import with_information, zero_influence
from toolkit.analysis.measurements import Resampling, close
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod, histogram_method
from toolkit.analysis.nuisances import Systematics
from toolkit.config import Config, load_config
from toolkit.errors import SchemaError
from toolkit.example import demo_config
from toolkit.likelihood import UnbinnedLikelihood, measure
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

EDGES = tuple(np.linspace(0.0, 1.0, 11))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return crossed_config(tmp_path_factory.mktemp("config"))


def crossed_config(folder: Path, ratios: str = "splits: {cross_fit: true}", more: str = "") -> Config:
    path = folder / "config.yaml"
    path.write_text(demo_config().read_text(encoding="utf-8") + f"\nratios: {{{ratios}}}\n{more}", encoding="utf-8")
    return load_config(path)


def weights_at(events: SimulatedEvents, mu: float) -> FloatArray:
    root = np.sqrt(mu)
    return events.weights_at([mu - root, root, 1.0 - root, 1.0])


def histogram(events: SimulatedEvents, config: Config) -> BinnedMethod:
    x = events.observables["x"]
    whole = histogram_method("x", MODEL, training=events, test=events, values=(x, x), edges=EDGES, observe=lambda e: e.observables["x"])
    [method] = cross_fitted([whole], events, config, in_calibration=np.log(densities(x)))
    return cast("BinnedMethod", method)


def test_templates_come_from_the_other_folds() -> None:
    rng = np.random.default_rng(1)
    index, fold, weights = rng.integers(0, 3, 50), rng.integers(0, 4, 50), rng.uniform(size=(50, 2))
    found = fold_templates(index, weights, fold, n_bins=3, n_folds=4)
    for k in range(4):
        for j in range(2):
            for b in range(3):
                others = sum(w[j] for w, i, f in zip(weights, index, fold, strict=True) if i == b and f != k)
                assert found.values[k, j, b] == pytest.approx(4.0 / 3.0 * others)
                assert found.expected[j, 3 * k + b] == pytest.approx(others / 3.0)
                rest = [found.values[m, j, b] for m in range(4) if m != k]
                assert found.of_others[j, 3 * k + b] == pytest.approx(np.mean(rest) / 4.0)


def test_a_histogram_closes_where_one_division_does_not(config: Config) -> None:
    """Few events: best fits of a half with the templates of the other are far off, those of a cross-fit are not."""
    away: dict[str, list[float]] = {"cross-fit": [], "hold-out": []}
    for seed in range(4):
        events = simulate(3000, seed)
        test = np.arange(3000) % 2 == 0
        pair = [events.select(mask).scaled(2.0) for mask in (~test, test)]
        values = (pair[0].observables["x"], pair[1].observables["x"])
        divided = histogram_method("x", MODEL, training=pair[0], test=pair[1], values=values, edges=EDGES)
        crossed = histogram(events, config)
        for mu in (1.7, 3.0):
            away["hold-out"].append(divided.likelihood(weights_at(pair[1], mu)).fit().parameters["mu"] - mu)
            away["cross-fit"].append(crossed.likelihood(weights_at(events, mu)).fit().parameters["mu"] - mu)
    width = {name: float(np.sqrt(np.mean(np.square(values)))) for name, values in away.items()}
    assert width["cross-fit"] < 0.1
    assert width["hold-out"] > 3.0 * width["cross-fit"]


def test_quoted_errors_are_the_spreads_over_simulations(config: Config) -> None:
    mu, best, heights, quoted = 2.0, [], [], []
    for seed in range(40):
        events = simulate(2000, 100 + seed)
        method, weights = histogram(events, config), weights_at(events, mu)
        likelihood = method.likelihood(weights)
        fit = likelihood.fit()
        best.append(fit.parameters["mu"])
        heights.append(likelihood.fit(fixed={"mu": 0.0}).twice_nll - fit.twice_nll)
        if seed < 3:
            zero = zero_influence(method, likelihood, poi="mu", fit=fit, test=weights, training=weights, at_zero=weights_at(events, 0.0))
            assert zero is not None
            alone = method.bootstrap(weights, replicas=100, seed=3).error(best[-1])
            quoted.append((method.bootstrap_crossed(weights, replicas=200, seed=3).error(best[-1]), zero.error, alone))
    error, of_zero, alone = np.mean(quoted, axis=0)
    assert error == pytest.approx(np.std(best, ddof=1), rel=0.35)
    assert of_zero == pytest.approx(np.std(heights, ddof=1), rel=0.35)
    assert np.mean(best) == pytest.approx(mu, abs=5.0 * error)
    assert alone > 20.0 * error  # what data would say that the model does not know


def test_fluctuations_cancel_where_an_event_is_as_likely_among_the_others(config: Config) -> None:
    events = simulate(2000, 8)
    logs = np.log(densities(events.observables["x"]))
    base = UnbinnedLikelihood(
        log_ratios=logs,
        weights=np.ones(len(events)),
        yields=events.yields,
        coefficients=COEFFICIENTS,
        parameters=("mu",),
        bounds=MODEL.bounds,
    )
    shifted = logs + 0.1 * np.sin(20.0 * events.observables["x"])[:, None] * np.array([1.0, 0.0, 0.0, 0.0])
    errors = []
    for inside in (logs, shifted):
        [method] = cross_fitted([UnbinnedMethod("nsbi", base, base)], events, config, in_calibration=inside)
        assert method.crossed
        errors.append(close(method, events, events, MODEL, mu=2.0, resampling=Resampling(50, 1)).crossed_error)
    assert errors[0] < 1e-4
    assert 2e-3 < errors[1] < 1.0


def test_data_events_are_compared_with_the_templates_of_all_folds(config: Config) -> None:
    events = simulate(2000, 8)
    method = histogram(events, config)
    data = DataEvents(np.arange(3, dtype=np.uint64), {"x": np.array([0.05, 0.55, 0.95])}, {"data": 3})
    likelihood = method.for_events(data).likelihood(np.ones(3))
    np.testing.assert_array_equal(likelihood.data, [1, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    np.testing.assert_allclose(likelihood.templates, method.templates.values)
    np.testing.assert_allclose(method.expected.reshape(4, 4, 10).sum(axis=1), method.templates.values, rtol=1e-9)
    assert not method.whole.crossed


def test_the_lower_bound_is_that_of_the_templates_without_the_fold(config: Config) -> None:
    events = simulate(2000, 8)
    method = histogram(events, config)
    fold, x = fold_of(events, config.ratios.splits), events.observables["x"]
    assert method.folds is not None
    a, b = (weights_at(events, mu) for mu in (1.0, 0.0))
    total = 0.0
    for i in range(len(events)):
        rates = [c @ method.folds.values[fold[i], :, int(x[i] * 10)] for c in ([0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0])]
        total += 2.0 * (a[i] * np.log(rates[0] / rates[1]) - b[i] * (rates[0] / rates[1] - 1.0))
    data = FitData(events, a, (method,), Systematics(), MODEL)
    measured = {"x": measure(method.likelihood(a), method="x", values=np.linspace(0.0, 6.0, 13), truth=1.0)}
    found = with_information(measured, data, chosen=[({"mu": 1.0}, {"mu": 0.0})], training=events)
    assert found["x"].information[0].value == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(
    ("ratios", "more", "remedy"),
    [
        ("splits: {cross_fit: true, folds: 2}", "", "splits.folds: 4"),
        ("splits: {cross_fit: true}, ensemble: {train_folds: 3}", "", "train_folds: 2"),
        ("splits: {cross_fit: true}, ensemble: {members: 4}", "", "members"),
        ("splits: {cross_fit: true}, ensemble: {subsets: bootstrap}", "", "subsets: folds"),
        ("splits: {cross_fit: true}, estimator: alices", "", "mixture"),
        ("splits: {cross_fit: true}, negative_weights: resample", "", "positive weights"),
        ("splits: {cross_fit: true}", "likelihood: {template_statistics: true}", "leave it out"),
        ("splits: {cross_fit: true}", "likelihood: {ratio_uncertainty: true}", "leave it out"),
    ],
)
def test_what_a_cross_fit_cannot_do_is_refused_with_a_remedy(tmp_path: Path, ratios: str, more: str, remedy: str) -> None:
    config = crossed_config(tmp_path, ratios, more)
    with pytest.raises(SchemaError, match="cross_fit: true") as raised:
        config.require_supported()
    assert remedy in str(raised.value.remedy)


def test_test_events_and_a_cross_fit_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"leave out `test: 0\.2`"):
        crossed_config(tmp_path, "splits: {cross_fit: true, test: 0.2}")

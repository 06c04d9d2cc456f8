"""Yields, effective sizes and spectra against loops and closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.diagnostics import TrainingCurve, spectrum, yield_curve
from toolkit.errors import SchemaError, ShapeError

MU = np.array([0.0, 0.3, 1.0, 4.0])


def test_yield_curve_against_loop(make_toy, morph):
    toy = make_toy(300, 1)
    curve = yield_curve(toy.events, MU, morph(MU), reference=(1.0, morph(MU)[2]))
    for m, mu in enumerate(MU):
        f = [mu - mu**0.5, mu**0.5, 1 - mu**0.5, 1.0]
        w = [sum(f[j] * row[j] for j in range(4)) for row in toy.events.weights]
        assert curve.expected[m] == pytest.approx(sum(w))
        assert curve.error[m] == pytest.approx(sum(v * v for v in w) ** 0.5)
        assert curve.n_eff_kish[m] == pytest.approx(sum(w) ** 2 / sum(v * v for v in w))
        assert curve.n_eff_max[m] == pytest.approx(sum(w) / max(abs(v) for v in w))
        change = [v - row[1] - row[3] for v, row in zip(w, toy.events.weights, strict=True)]
        assert curve.change[m] == pytest.approx(sum(change), abs=1e-9)
        assert curve.change_error[m] == pytest.approx(sum(v * v for v in change) ** 0.5)


def test_part_of_the_processes(make_toy, morph):
    toy = make_toy(300, 2)
    everything = yield_curve(toy.events, MU, morph(MU), reference=(1.0, morph(MU)[2]))
    gg = yield_curve(toy.events, MU, morph(MU), reference=(1.0, morph(MU)[2]), processes=("ggF_S", "ggF_SBI", "ggF_B"), name="gg")
    np.testing.assert_allclose(everything.expected - gg.expected, toy.events.yields[3])
    assert gg.n_events == int((toy.events.weights[:, 0] != 0).sum())
    assert everything.n_events == 300
    assert json.loads(json.dumps(gg.to_json()))["expected"] == gg.expected.tolist()


def test_yield_falls_before_it_rises(make_toy, morph):
    toy = make_toy(20_000, 3)
    fine = np.linspace(0, 4, 81)
    curve = yield_curve(toy.events, fine, morph(fine), reference=(1.0, morph(MU)[2]))
    assert 0 < np.argmin(curve.expected) < 80


def test_shapes_and_names(make_toy, morph):
    toy = make_toy(50, 4)
    with pytest.raises(ShapeError):
        yield_curve(toy.events, MU, morph(MU)[:2], reference=(1.0, morph(MU)[2]))
    with pytest.raises(SchemaError, match="nothing"):
        yield_curve(toy.events, MU, morph(MU), reference=(1.0, morph(MU)[2]), processes=("nothing",))


class TestSpectrum:
    edges = np.array([0.0, 50.0, 100.0, 300.0])

    def make(self, toy, morph, **options):
        return spectrum(
            toy.events, observable="m_jj", edges=self.edges, values=MU, coefficients=morph(MU), **{"backgrounds": ("qqZZ",), **options}
        )

    def test_against_loop(self, make_toy, morph):
        toy = make_toy(400, 5)
        result = self.make(toy, morph)
        expected, squares = np.zeros((4, 3)), np.zeros((4, 3))
        for value, row in zip(toy.events.observables["m_jj"], toy.events.weights, strict=True):
            if np.isnan(value):
                continue
            b = 0 if value < 50 else 1 if value < 100 else 2
            expected[:, b] += row
            squares[:, b] += row**2
        np.testing.assert_allclose(result.expected, expected)
        np.testing.assert_allclose(result.expected_error, np.sqrt(squares))
        np.testing.assert_allclose(result.total, morph(MU) @ expected)
        np.testing.assert_allclose(result.interfering, morph(MU)[:, :3] @ expected[:3])
        np.testing.assert_allclose(result.expected.sum(axis=1) + result.missing, toy.events.yields)

    def test_ratio_error_against_bootstrap(self, make_toy, morph):
        toy = make_toy(2000, 6)
        result = self.make(toy, morph)
        rng = np.random.default_rng(7)
        index = np.minimum(np.digitize(toy.events.observables["m_jj"], self.edges) - 1, 2)
        inside = np.isfinite(toy.events.observables["m_jj"])
        replicas = []
        for _ in range(400):
            counts = rng.poisson(1.0, size=2000)
            w = (toy.events.weights @ morph(MU).T) * counts[:, None]
            total = np.array([w[inside & (index == b)].sum(axis=0) for b in range(3)]).T
            replicas.append(total / total[2])
        np.testing.assert_allclose(result.ratio_error[[0, 1, 3]], np.std(replicas, axis=0)[[0, 1, 3]], rtol=0.15)
        np.testing.assert_array_equal(result.ratio[2], 1.0)
        np.testing.assert_array_equal(result.ratio_error[2], 0.0)

    def test_names(self, make_toy, morph):
        toy = make_toy(50, 8)
        with pytest.raises(SchemaError, match="denominator"):
            self.make(toy, morph, denominator=2.0)
        with pytest.raises(SchemaError, match="nothing"):
            self.make(toy, morph, backgrounds=("nothing",))


def test_training_curve_is_checked():
    curve = TrainingCurve(member="0", network="classes", train_loss=(1.0, 0.9), validation_loss=(1.1, float("nan")), best_epoch=0)
    assert curve.to_json()["validation_loss"] == [1.1, None]
    with pytest.raises(ShapeError):
        TrainingCurve(member="0", network="classes", train_loss=(1.0,), validation_loss=(1.0, 2.0), best_epoch=0)
    with pytest.raises(ShapeError):
        TrainingCurve(member="0", network="classes", train_loss=(1.0,), validation_loss=(1.0,), best_epoch=1)

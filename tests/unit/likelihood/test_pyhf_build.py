"""Documents as they are published: factors of 0, errors of negative yields, one staterror over two channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyhf
import pytest
from scipy.stats import norm, poisson

from tests.unit.likelihood.pyhf_models import CHANNELS, MU, binwise, model, normsys, sample
from toolkit.errors import SchemaError
from toolkit.likelihood import PyhfLikelihood, Workspace
from toolkit.likelihood import histfactory_kernel as kernels
from toolkit.likelihood.histfactory import quiet_schema


def workspace(channels: dict[str, tuple[list[dict[str, Any]], list[float]]], low: float = -5.0, high: float = 10.0) -> Any:
    config = {"poi": "mu", "parameters": [{"name": "mu", "inits": [1.0], "bounds": [[low, high]]}]}
    return Workspace(
        {
            "version": "1.0.0",
            "channels": [{"name": name, "samples": samples} for name, (samples, _) in channels.items()],
            "observations": [{"name": name, "data": data} for name, (_, data) in channels.items()],
            "measurements": [{"name": "m", "config": config}],
        }
    ).likelihood()


def root_code4(alpha: float, high: float, low: float) -> float:
    """ROOT's interpolation code 4, written again: powers outside, a polynomial of sixth order inside, log terms 0 at a factor 0."""
    if alpha >= 1.0:
        return high**alpha
    if alpha <= -1.0:
        return low**-alpha
    up_log, down_log = (0.0 if f <= 0.0 else f * math.log(f) for f in (high, low))
    up_log2, down_log2 = (0.0 if f <= 0.0 else f * math.log(f) ** 2 for f in (high, low))
    s0, a0 = 0.5 * (high + low), 0.5 * (high - low)
    s1, a1 = 0.5 * (up_log - down_log), 0.5 * (up_log + down_log)
    s2, a2 = 0.5 * (up_log2 + down_log2), 0.5 * (up_log2 - down_log2)
    a = (15.0 * a0 - 7.0 * s1 + a2) / 8.0
    b = (-24.0 + 24.0 * s0 - 9.0 * a1 + s2) / 8.0
    c = (-5.0 * a0 + 5.0 * s1 - a2) / 4.0
    d = (12.0 - 12.0 * s0 + 7.0 * a1 - s2) / 4.0
    e = (3.0 * a0 - 3.0 * s1 + a2) / 8.0
    f = (-8.0 + 8.0 * s0 - 5.0 * a1 + s2) / 8.0
    return 1.0 + sum(k * alpha ** (i + 1) for i, k in enumerate((a, b, c, d, e, f)))


@pytest.mark.parametrize(("high", "low"), [(2.0, 0.0), (0.0, 1.7), (1.2, 0.8)])
def test_a_factor_of_zero_is_interpolated_as_root_does(high: float, low: float) -> None:
    likelihood = workspace(
        {"c": ([sample("s", [5.0, 8.0], MU), sample("b", [20.0, 10.0], normsys("a", high, low))], [22.0, 14.0])}, low=0.0
    )
    for mu, alpha in ((1.0, 0.0), (0.7, 0.6), (0.8, -0.9), (2.0, -1.0), (2.5, -2.3), (0.5, 1.4)):
        expected = np.array([5.0, 8.0]) * mu + np.array([20.0, 10.0]) * root_code4(alpha, high, low)
        by_hand = -2.0 * (poisson.logpmf([22, 14], expected).sum() + norm.logpdf(alpha))
        assert likelihood.twice_nll({"mu": mu, "a": alpha}) == pytest.approx(by_hand, abs=1e-9)
        step = 1e-5
        slope = (likelihood.twice_nll({"mu": mu, "a": alpha + step}) - likelihood.twice_nll({"mu": mu, "a": alpha - step})) / (2 * step)
        assert likelihood.gradient({"mu": mu, "a": alpha})[likelihood.parameter_names.index("a")] == pytest.approx(slope, abs=1e-4)
    assert likelihood.fit().status in {"converged", "at_boundary"}


def test_factors_without_a_limit_are_refused_by_name() -> None:
    with pytest.raises(SchemaError, match=r"normsys 'a' of sample 'b' in channel 'c'(?s:.*)lo = -0\.2"):
        workspace({"c": ([sample("s", [5.0], MU), sample("b", [20.0], normsys("a", 1.2, -0.2))], [22.0])})
    with quiet_schema(), np.errstate(all="ignore"):
        bare = pyhf.Model(
            {"channels": [{"name": "c", "samples": [sample("s", [5.0], MU), sample("b", [20.0], normsys("a", 2.0, 0.0))]}]}, poi_name="mu"
        )
    with pytest.raises(SchemaError, match=r"normsys 'a' of sample 'b'(?s:.*)Workspace"):
        PyhfLikelihood(bare, [22.0, *bare.config.auxdata])


@pytest.mark.parametrize("kind", ["staterror", "shapesys"])
def test_an_error_of_a_negative_yield_is_propagated(kind: str) -> None:
    """n = 500 - 50 mu gamma with gamma known to 10 / 50: sigma(mu) = sqrt(450 + 10^2) / 50."""
    likelihood = workspace({"SR": ([sample("I", [-50.0], MU, binwise("st", kind, [10.0])), sample("B", [500.0])], [450.0])})
    fit = likelihood.fit()
    assert fit.parameters["mu"] == pytest.approx(1.0, abs=1e-6)
    assert fit.errors["mu"] == pytest.approx(math.sqrt(450.0 + 100.0) / 50.0, rel=1e-5)
    assert fit.errors["st[0]"] == pytest.approx(0.2, rel=1e-5)
    assert fit.advice == ""


def test_errors_that_nothing_carries_are_named() -> None:
    likelihood = workspace(
        {"SR": ([sample("s", [5.0, 0.0], MU, binwise("st", "staterror", [1.0, 0.7])), sample("b", [50.0, 40.0])], [55.0, 41.0])}
    )
    assert "staterror 'st', channel 'SR', bin 1" in likelihood.fit().advice
    with quiet_schema():
        bare = pyhf.Model(
            {"channels": [{"name": "SR", "samples": [sample("I", [-50.0], MU, binwise("st", "staterror", [10.0])), sample("B", [500.0])]}]},
            poi_name="mu",
        )
    assert "staterror 'st', channel 'SR', bin 0" in PyhfLikelihood(bare, [450.0, *bare.config.auxdata]).fit().advice


def shared_staterror() -> dict[str, tuple[list[dict[str, Any]], list[float]]]:
    """One staterror over two channels of 2 and 3 bins, whose order in the document is not pyhf's."""
    return {
        "right": (
            [sample("b", [30.0, 20.0, 10.0], binwise("st", "staterror", [3.0, 1.0, 2.0])), sample("s", [1.0, 2.0, 3.0], MU)],
            [33.0, 19.0, 14.0],
        ),
        "left": ([sample("b", [50.0, 40.0], binwise("st", "staterror", [5.0, 2.0])), sample("s", [4.0, 2.0], MU)], [51.0, 47.0]),
    }


def test_one_staterror_over_two_channels_by_hand() -> None:
    """The parameters count over the channels in the order of their names: st[0], st[1] are left, st[2] to st[4] right."""
    likelihood = workspace(shared_staterror())
    widths = np.array([5.0 / 50.0, 2.0 / 40.0, 3.0 / 30.0, 1.0 / 20.0, 2.0 / 10.0])
    background, signal = np.array([50.0, 40.0, 30.0, 20.0, 10.0]), np.array([4.0, 2.0, 1.0, 2.0, 3.0])
    counts = np.array([51, 47, 33, 19, 14])
    rng = np.random.default_rng(3)
    for _ in range(5):
        mu, gamma = rng.uniform(0.2, 3.0), rng.uniform(0.6, 1.4, 5)
        by_hand = -2.0 * (poisson.logpmf(counts, mu * signal + gamma * background).sum() + norm.logpdf(1.0, gamma, widths).sum())
        point = {"mu": mu, **{f"st[{i}]": g for i, g in enumerate(gamma)}}
        assert likelihood.twice_nll(point) == pytest.approx(by_hand, rel=1e-10)
        derivatives = 2.0 * background * (1.0 - counts / (mu * signal + gamma * background)) + 2.0 * (gamma - 1.0) / widths**2
        found = dict(zip(likelihood.parameter_names, likelihood.gradient(point), strict=True))
        np.testing.assert_allclose([found[f"st[{i}]"] for i in range(5)], derivatives, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["statistical", "everything", "shared"])
def test_a_kernel_that_mixes_up_bins_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all factors 1 the mix-up of bin-by-bin parameters does not show; the check of the kernel is at other points."""
    if name == "shared":
        channels = [{"name": n, "samples": samples} for n, (samples, _) in shared_staterror().items()]
        with quiet_schema():
            built = pyhf.Model({"channels": channels}, poi_name="mu")
    else:
        assert name in CHANNELS
        built = model(name)
    assert kernels.compile_model(built) is not None
    positions = kernels._positions
    mutants = [lambda *args: positions(*args)[::-1]]
    if name == "shared":
        mutants.append(lambda *args: positions(*args) - positions(*args)[0])
    for mutant in mutants:
        monkeypatch.setattr(kernels, "_positions", mutant)
        assert kernels.compile_model(built) is None

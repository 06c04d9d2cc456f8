"""Three amplitudes, and two coherent processes at once: the trained and calibrated ratios against the densities in closed form.

Hidden z in [-1, 1] as in `toy`, observed x = z + Gaussian noise. M(x) is the integral of M(z) over the kernel, so every density
and every ratio is known.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.unit.ratios.toy import NOISE
from toolkit.config import RatioConfig
from toolkit.model import Model, ModelParameter, Process, learned_densities
from toolkit.ratios import fit_ratios
from toolkit.ratios.directions import direction_at
from toolkit.weights import SimulatedEvents

N = 40_000
CONFIG = RatioConfig(
    features=("x",),
    fold_beam_axis=False,
    hidden=(32, 32),
    epochs=15,
    composition_epochs=25,
    batch_size=512,
    learning_rate=1e-2,
    patience=25,
    calibration_mu=(0.0, 0.5, 1.0),
    seed=3,
)
THREE = Process.build(
    "eft",
    {"top": "c_t", "point": "c_g", "box": "1"},
    {"T": [1, 0, 0], "P": [0, 1, 0], "B": [0, 0, 1], "TP": [1, 1, 0], "TB": [1, 0, 1], "PB": [0, 1, 1]},
)
GG = Process.build("gg", {"S": "sqrt(mu_gg)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
EW = Process.build("EW", {"S": "sqrt(mu_ew)", "B": "1"}, {"EW_B": {"mu_ew": 0}, "EW_SBI": {"mu_ew": 1}, "EW_SBI10": {"mu_ew": 10}})
OTHER = Process.build("q", {"A": "1"})
MODELS = {
    "three": Model((ModelParameter("c_t", range=(-3, 3)), ModelParameter("c_g", range=(-3, 3), truth=0.0)), (THREE, OTHER)),
    "two": Model((ModelParameter("mu_gg", range=(0, 6)), ModelParameter("mu_ew", range=(0, 6))), (GG, EW, OTHER)),
}


def matrix(process, z):
    """M(z), (n, n_amplitudes, n_amplitudes), of rank two: real and imaginary parts."""
    if process is THREE:
        real = np.stack([np.exp(z), 0.9 * np.cos(1.5 * z), 1.2 + 0.0 * z], axis=1)
        imaginary = np.stack([0.4 * z, np.sin(1.5 * z), -0.5 * z**2], axis=1)
    else:
        sign = -1.0 if process is GG else 1.0
        real = np.stack([0.6 * np.exp(sign * 0.8 * z), -sign * np.cos(2.0 * z)], axis=1)
        imaginary = np.stack([0.0 * z, np.sin(2.0 * z)], axis=1)
    return real[:, :, None] * real[:, None, :] + imaginary[:, :, None] * imaginary[:, None, :]


def of_densities(process, z):
    vectors = np.array([d.vector for d in learned_densities(process)])
    return np.einsum("bk,nkl,bl->nb", vectors, matrix(process, z), vectors)


def sample(model, seed):
    """Events of every process, uniform in z, with their weights under all densities; 40 events expected per unit of M."""
    rng = np.random.default_rng(seed)
    names = [d.name for p in model.processes for d in learned_densities(p)]
    blocks, x, column = [], [], 0
    for process in model.processes:
        weights = np.zeros((N, len(names)))
        width = len(learned_densities(process))
        if process.n_amplitudes > 1:
            z = rng.uniform(-1.0, 1.0, N)
            x.append(z + NOISE * rng.normal(size=N))
            weights[:, column : column + width] = of_densities(process, z) * 40.0 / N
        else:
            x.append(rng.normal(0.0, 1.2, N))
            weights[:, column] = 100.0 / N
        blocks.append(weights)
        column += width
    n = N * len(model.processes)
    ids = np.arange(n, dtype=np.uint64) + np.uint64(10**6 * seed)
    index = np.repeat(np.arange(len(model.processes)), N)
    samples = tuple(p.name for p in model.processes)
    return SimulatedEvents(tuple(names), ids, index, samples, {"x": np.concatenate(x)}, np.concatenate(blocks))


def exact_densities(model, x):
    """Densities at their yields, (n, n_densities), by numerical integration."""
    z = np.linspace(-1.0, 1.0, 401)
    kernel = np.exp(-0.5 * ((x[:, None] - z) / NOISE) ** 2) / (NOISE * np.sqrt(2 * np.pi)) * 0.5 * 40.0
    columns = []
    for process in model.processes:
        if process.n_amplitudes > 1:
            columns += [np.trapezoid(kernel * d, z, axis=1) for d in of_densities(process, z).T]
        else:
            columns.append(100.0 * np.exp(-0.5 * (x / 1.2) ** 2) / (1.2 * np.sqrt(2 * np.pi)))
    return np.stack(columns, axis=1)


@pytest.fixture(scope="module", params=["three", "two"])
def trained(request, tmp_path_factory):
    model = MODELS[request.param]
    return model, fit_ratios(sample(model, 1), config=CONFIG, model=model, folder=tmp_path_factory.mktemp(request.param))


def test_ratios_agree_with_the_closed_form(trained):
    model, mixture = trained
    x = sample(model, 2).observables["x"]
    x = x[np.abs(x) < 1.3]
    exact = exact_densities(model, x)
    fractions = mixture.ensemble.mixture.reference_fractions()
    yields = np.array(mixture.ensemble.mixture.yields)
    reference = exact / yields @ np.array([fractions[n] for n in mixture.numerators])
    error = mixture.log_ratio(x[:, None]) - np.log(exact / yields / reference[:, None])
    assert np.all(np.median(np.abs(error), axis=0) < 0.02), np.median(np.abs(error), axis=0)


def test_total_density_is_positive_at_ten_thousand_points(trained):
    model, mixture = trained
    rng = np.random.default_rng(4)
    points = np.stack([rng.uniform(*p.range, 10_000) for p in model.parameters], axis=1)
    x = rng.uniform(-1.5, 1.5, 500)
    found = np.exp(mixture.log_ratio(x[:, None])) * np.array(mixture.ensemble.mixture.yields)
    assert np.all(found @ model.coefficients().values(points).T > 0)


def test_expected_slopes_vanish_for_every_parameter_on_new_events(trained):
    """The plug-in likelihood of events that nothing has seen peaks at the truth, within the noise of calibration and test events."""
    model, mixture = trained
    fresh = sample(model, 5)
    with torch.no_grad():
        x = torch.from_numpy(fresh.observables["x"][:, None])
        heads = mixture.ensemble.calibration(mixture.ensemble.member_heads(x).mean(dim=0))
        for k, name in enumerate(model.parameter_names):
            for value in (0.3, 0.8):
                point = {**model.truth, name: value}
                score = direction_at(model, name, point).score(mixture.ensemble.mixture, heads)[0].numpy()
                at = np.array([[point[n] for n in model.parameter_names]])
                f, slope = model.coefficients().values(at)[0], model.coefficients().jacobian(at)[0, k]
                scale = 2.0 * value**0.5 if name.startswith("mu") else 1.0
                weights = fresh.weights @ f
                bias = weights @ score - scale * slope @ fresh.yields
                assert abs(bias) < 3.0 * 2**0.5 * np.sqrt((weights**2) @ (score - weights @ score / weights.sum()) ** 2), (
                    name,
                    value,
                    bias,
                )

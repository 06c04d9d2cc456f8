"""The quoted statistical uncertainty of an ensemble against new calibrations on resampled events, fitted again."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.unit.ratios.conftest import QUICK
from tests.unit.ratios.toy import MODEL, exact_log_ratios
from toolkit.config.ratios import EnsembleConfig
from toolkit.ratios import MixtureEnsemble, fit_calibration, score_directions
from toolkit.ratios.heads import heads_of_densities
from toolkit.ratios.targeted_spread import targeted_spread
from toolkit.ratios.targets import describe_mixture, make_targets

pytestmark = pytest.mark.torch

TRUTH, REPLICAS, REDUCED = 2.0, 60, 0.2
"""Fluctuations are reduced: the quoted errors are of first order, and two minima are nearly as deep."""
ROOT = np.linspace(0.9, 2.0, 56)
"""Around one of them."""


def functions(mu):
    """Of S, SBI, B and the background."""
    root = np.sqrt(mu)
    return np.stack([mu - root, root, 1.0 - root, np.ones_like(root)])


def best_root(weights, log_ratios, yields):
    """Fit sqrt(mu) on a grid, with a parabola through its lowest points."""
    nll = yields @ functions(ROOT**2) - weights @ np.log((np.exp(log_ratios) * yields) @ functions(ROOT**2))
    k = int(nll.argmin())
    assert 0 < k < len(ROOT) - 1
    left, middle, right = nll[k - 1 : k + 2]
    return ROOT[k] + 0.5 * (left - right) / (left - 2.0 * middle + right) * (ROOT[1] - ROOT[0])


@pytest.fixture(scope="module")
def found(quickly_trained, small_sample):
    return targeted_spread(quickly_trained, small_sample, model=MODEL)


@pytest.fixture(scope="module")
def at_truth(found):
    return found[0].directions.index("mu at mu = 2")


@pytest.fixture(scope="module")
def heads(quickly_trained):
    """From members that did not train on the event, before the calibration."""
    return heads_of_densities(torch.from_numpy(quickly_trained.before_calibration), quickly_trained.ensemble.mixture)


class Exact(torch.nn.Module):
    """A member that knows the densities."""

    def __init__(self, mixture):
        super().__init__()
        self.mixture = mixture

    def forward(self, x):
        return heads_of_densities(torch.from_numpy(exact_log_ratios(x[:, 0].numpy())), self.mixture)


def test_calibrations_on_resampled_events_spread_as_quoted(at_truth, small_sample):
    """Exact densities, calibrated and normalised on events that happen n times."""
    config, mixture = QUICK.model_copy(update={"ensemble": EnsembleConfig(members=2)}), describe_mixture(small_sample, MODEL)
    targets, directions = make_targets(small_sample, mixture), score_directions(MODEL, config.calibration_mu)
    exact = Exact(mixture)
    heads = exact(torch.from_numpy(small_sample.observables["x"])[:, None])
    ensemble = MixtureEnsemble(torch.nn.Identity(), [exact, exact], fit_calibration(heads, targets, mixture=mixture, directions=directions))
    spread, _ = targeted_spread(SimpleNamespace(config=config, ensemble=ensemble), small_sample, model=MODEL)
    asimov, rng, roots = small_sample.weights @ functions(np.array([TRUTH]))[:, 0], np.random.default_rng(5), []
    for _ in range(REPLICAS):
        counts = 1.0 + REDUCED * (rng.poisson(1.0, len(asimov)) - 1.0)
        calibration = fit_calibration(heads, targets.times(torch.from_numpy(counts)), mixture=mixture, directions=directions)
        with torch.no_grad():
            log_ratios = mixture.log_ratios(calibration(heads)).numpy()
        roots.append(best_root(asimov, log_ratios, counts @ small_sample.weights))
    quoted = np.sqrt(spread.simulation[at_truth]) / spread.information[at_truth]
    assert np.std(roots) == pytest.approx(REDUCED * quoted, rel=0.25)  # known to 9 %
    assert spread.training[at_truth] == pytest.approx(0.0, abs=1e-12), "members that agree leave nothing undecided"


def test_the_shifts_move_the_best_fit_by_the_quoted_error(found, at_truth, heads, quickly_trained, small_sample):
    spread, module = found
    asimov = small_sample.weights @ functions(np.array([TRUTH]))[:, 0]
    with torch.no_grad():
        shifts = module.of_heads(module.ensemble.calibration(heads)).numpy().reshape(len(heads), *spread.yields.shape)
    moved = []
    for shift, change in zip(np.moveaxis(shifts, 1, 0), spread.yields, strict=True):
        both = []
        for sign in (0.5, -0.5):
            mean = [np.average(np.exp(sign * shift[:, j]), weights=small_sample.weights[:, j]) for j in range(4)]
            yields = small_sample.weights.sum(axis=0) * np.exp(sign * change)
            both.append(best_root(asimov, quickly_trained.out_of_bag + sign * shift - np.log(mean), yields))
        moved.append(both[0] - both[1])
    total = spread.simulation[at_truth] + spread.training[at_truth]
    assert np.linalg.norm(moved) == pytest.approx(np.sqrt(total) / spread.information[at_truth], rel=0.15)
    assert spread.training[at_truth] > 0.0


def test_what_the_data_fluctuate_is_the_information(found, at_truth, quickly_trained, small_sample):
    """sqrt(1 + G/I) with the variance of the slope of a fit to counts, written out with numerical derivatives."""
    spread = found[0]
    density = np.exp(quickly_trained.out_of_bag) * small_sample.weights.sum(axis=0)
    step = 1e-4
    up, down = (np.log(density @ functions(np.array([(TRUTH**0.5 + sign * step) ** 2]))[:, 0]) for sign in (1, -1))
    score = (up - down) / (2.0 * step)
    weights = small_sample.weights @ functions(np.array([TRUTH]))[:, 0]
    information, simulation = np.sum(weights * score**2), np.sum(weights**2 * score**2)
    assert spread.information[at_truth] == pytest.approx(information, rel=1e-3)
    assert spread.simulation[at_truth] == pytest.approx(simulation, rel=1e-3)
    longer = np.sqrt(1.0 + (simulation + spread.training[at_truth]) / information)
    assert spread.longer[at_truth] == pytest.approx(longer, rel=1e-3)

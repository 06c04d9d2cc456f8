"""Targeted calibration: its moment equations hold, a bias is removed on other events, two backgrounds work."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.unit.ratios.toy import MODEL
from toolkit.errors import FitError
from toolkit.model import Model, Process
from toolkit.ratios import EventClass, Mixture, fit_calibration, score_directions
from toolkit.ratios.directions import direction_at
from toolkit.ratios.targets import describe_mixture, make_targets

MU = (0.0, 0.3, 1.0, 2.0)
DIRECTIONS = score_directions(MODEL, MU)


def exact_heads(events, mixture, exact):
    """Heads that encode the exact densities, (n, 3)."""
    p = np.exp(exact(events.observables["x"])) * np.array(mixture.yields)
    g = mixture.classes[0].kappas[0] * p[:, 0] + p[:, 2]
    logit = np.log(p[:, 3] / mixture.class_yields[1]) - np.log(g / mixture.class_yields[0])
    coherence = (p[:, 1] - p[:, 0] - p[:, 2]) / (2.0 * np.sqrt(p[:, 0] * p[:, 2]))
    return torch.from_numpy(np.stack([logit, np.log(mixture.classes[0].kappas[0] * p[:, 0] / p[:, 2]), np.arctanh(coherence)], axis=1))


def moments(before, after, targets, calibration):
    """The left-hand sides of the moment equations, relative to the sum of weights, by loops over heads and directions."""
    mixture = calibration.mixture
    composed = torch.cat([before[:, :-2], after[:, -2:]], dim=1)
    in_g = targets.weight * (targets.label == 0)
    classes = torch.softmax(mixture.class_logits(after), dim=1)
    residuals = [in_g * (targets.composition[:, 0] - torch.sigmoid(after[:, -2]))]
    residuals.append(in_g * (targets.composition[:, 1] - mixture.products(after, 0)[1]))
    out = [float((r * phi).sum()) for r in residuals for phi in calibration.composition_directions(before).T]
    for k in range(1, classes.shape[1]):
        residual = targets.weight * ((targets.label == k).double() - classes[:, k])
        out += [float((residual * phi).sum()) for phi in calibration.class_directions(composed).T]
    return np.abs(out) / float(targets.weight.sum())


def bias(heads, mixture, events, mu):
    """Slope of the expected log likelihood with respect to sqrt(mu) at the truth: 0 for unbiased densities."""
    root = mu**0.5
    f = torch.tensor([mu - root, root, 1 - root, 1.0], dtype=torch.float64)
    slope = torch.tensor([2 * root - 1, 1.0, -1.0, 0.0], dtype=torch.float64)
    weights, yields = torch.from_numpy(events.weights), torch.from_numpy(events.yields)
    return float((weights @ f) @ direction_at(MODEL, "mu", {"mu": mu}).score(mixture, heads)[0] - slope @ yields)


def bias_noise(heads, mixture, events, mu):
    """Standard deviation of `bias` from the finite number of events."""
    f = torch.tensor([mu - mu**0.5, mu**0.5, 1 - mu**0.5, 1.0], dtype=torch.float64)
    return float(
        torch.sqrt(((torch.from_numpy(events.weights) @ f) * direction_at(MODEL, "mu", {"mu": mu}).score(mixture, heads)[0]).square().sum())
    )


def distort(heads):
    """Heads of networks that are wrong in a smooth way."""
    shifts = [0.3 * torch.tanh(heads[:, 1]), -0.5 + 0.2 * heads[:, 1], 0.3 + 0.0 * heads[:, 2]]
    return heads + torch.stack(shifts, dim=1)


def test_moment_equations_hold_on_the_calibration_events(training, exact):
    mixture = describe_mixture(training, MODEL)
    targets = make_targets(training, mixture)
    heads = exact_heads(training, mixture, exact) * 0.7 + 0.2
    calibration = fit_calibration(heads, targets, mixture=mixture, directions=DIRECTIONS)
    assert moments(heads, heads, targets, calibration).max() > 1e-2
    assert moments(heads, calibration(heads), targets, calibration).max() < 1e-6


def test_expected_slope_of_the_likelihood_vanishes_on_the_calibration_events(training, exact):
    """What the moment equations are for: the plug-in likelihood of the calibration events peaks at the truth."""
    mixture = describe_mixture(training, MODEL)
    before = distort(exact_heads(training, mixture, exact))
    after = fit_calibration(before, make_targets(training, mixture), mixture=mixture, directions=DIRECTIONS)(before)
    for mu in (0.1, 0.5, 1.0, 2.0):
        noise = bias_noise(after, mixture, training, mu)
        assert abs(bias(before, mixture, training, mu)) > 2 * noise
        assert abs(bias(after, mixture, training, mu)) < 0.3 * noise


def test_bias_is_removed_on_events_that_did_not_calibrate(training, fresh, exact):
    mixture = describe_mixture(training, MODEL)
    calibration = fit_calibration(
        distort(exact_heads(training, mixture, exact)), make_targets(training, mixture), mixture=mixture, directions=DIRECTIONS
    )
    before = distort(exact_heads(fresh, mixture, exact))
    after = calibration(before)
    removed = 0
    for mu in (0.5, 1.0, 2.0):
        noise = 2**0.5 * bias_noise(after, mixture, fresh, mu)
        assert abs(bias(after, mixture, fresh, mu)) < 3 * noise
        removed += abs(bias(before, mixture, fresh, mu)) > 6 * noise
    assert removed >= 2


def test_exact_heads_stay_within_the_noise(training, exact):
    mixture = describe_mixture(training, MODEL)
    heads = exact_heads(training, mixture, exact)
    calibration = fit_calibration(heads, make_targets(training, mixture), mixture=mixture, directions=DIRECTIONS)
    assert (calibration(heads) - heads).pow(2).mean().sqrt() < 0.05


def test_two_backgrounds_are_calibrated_together(training, exact):
    one = describe_mixture(training, MODEL)
    rng = np.random.default_rng(5)
    second = rng.uniform(size=len(training)) < 0.4
    weights = np.concatenate([training.weights, np.zeros((len(training), 1))], axis=1)
    weights[second, 4], weights[second, 3] = weights[second, 3], 0.0
    events = dataclasses.replace(training, processes=(*training.processes, "c"), weights=weights)
    alone = [EventClass(name, (name,), (float(y),)) for name, y in zip("bc", events.yields[3:], strict=True)]
    mixture = Mixture((one.classes[0], *alone))
    targets = make_targets(events, mixture)
    heads = exact_heads(training, one, exact)
    heads = torch.cat([heads[:, :1] + 0.3, heads[:, :1] - 0.2, heads[:, 1:]], dim=1)
    model = Model(MODEL.parameters, (*MODEL.processes, Process.build("c", {"c": "1"})))
    calibration = fit_calibration(heads, targets, mixture=mixture, directions=score_directions(model, MU))
    assert moments(heads, calibration(heads), targets, calibration).max() < 1e-6


def test_networks_that_learned_nothing_are_refused_with_a_remedy(training):
    mixture = describe_mixture(training, MODEL)
    saturated = torch.full((len(training), 3), 800.0, dtype=torch.float64)
    with pytest.raises(FitError, match=r"train longer"):
        fit_calibration(saturated, make_targets(training, mixture), mixture=mixture, directions=DIRECTIONS)

"""Targeted calibration: remove the bias of the networks along the directions in which a bias moves the measurement.

The likelihood lives on small differences of densities. Write q(theta) for the estimated and p(theta) for the true total density at their
yields, and s = d ln q / d u for the score along a parameter (u its square root where amplitudes are roots). The expected slope of the
likelihood at the truth is

    sum over true events of s - d nu / d u = int (p(theta) - q(theta)) s      (q normalised like p)

so that it vanishes, and the best fit is unbiased to first order, if the estimated density reproduces the true expectation of its
own score. With nu_c the yield of class c (indicator 1_c), P_c its estimated probability, and g_c(theta) its density over the class
density (f a^T M a / tr(K M); for one amplitude f), the integral splits into what the compositions and what the classes do,

    sum_events  sum_c  nu_c 1_c (g_c,true - g_c) s  +  (1_c - P_c) nu_c g_c s

and the yields are reproduced if the same holds for the constant function in all products. Sufficient, for every s_k of a list of
directions (parameters and points):

    composition of c:  sum_c (true product - estimate) phi = 0     phi = 1, s_1, s_2, ...      for every share and interference of c
    classes:           sum (1_c - P_c) phi = 0                     phi = 1, products of all coherent classes, s_k, g_c s_k    for every c

The calibration adds to every head the combination of its phi that solves these equations on events that the networks did not
train on: the fluctuation step of targeted maximum likelihood (van der Laan, Rubin, Int. J. Biostat. 2 (2006) 1). Few numbers suffice, so
that the noise of the calibration stays near that of the events themselves. The phi are taken at the heads before the step; repeating it
with the moved phi changes best fits by a tenth of their error.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from toolkit.errors import FitError
from toolkit.ratios import composition
from toolkit.ratios.directions import Direction
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.targets import Targets

NEWTON_STEPS = 12
LOGISTIC_STEPS = 40
HALVINGS = 12
LONGEST = 30.0
"""Standard deviations to which directions are cut: scores, and errors of their last digit, grow without bound where a density vanishes."""
EQUAL = 1e-12
"""Relative change of a loss that is rounding."""
CONVERGED = 1e-10
"""Relative change of the coefficients by the last Newton step: errors are squared from step to step, so that the next one is rounding."""
RIDGE = 1e-7
"""Relative to the trace of the Hessian: keeps nearly collinear directions solvable without moving the solution."""


class TargetedCalibration(nn.Module):
    """Adds theta_h . phi_h(x) to every head h: first to the compositions, then to the classes.

    Args:
        mixture: Meaning of the heads.
        directions: Scores that the calibration knows.

    Attributes:
        composition_centre, composition_scale: Mean and standard deviation of the scores on the calibration events, (n_directions,).
        composition_theta: Coefficients, (1 + n_directions, number of heads that split classes); zero leaves the heads as they are.
        class_centre, class_scale: The same for the directions of the classes, (n_class_directions,).
        class_theta: Coefficients, (1 + n_class_directions, n_classes - 1).
    """

    composition_centre: torch.Tensor
    composition_scale: torch.Tensor
    composition_theta: torch.Tensor
    class_centre: torch.Tensor
    class_scale: torch.Tensor
    class_theta: torch.Tensor

    def __init__(self, mixture: Mixture, directions: Sequence[Direction]) -> None:
        super().__init__()
        self.mixture = mixture
        self.directions = tuple(directions)
        n, coherent = len(self.directions), mixture.coherent
        n_products = sum(mixture.classes[k].n_heads for k in coherent)
        sizes = {"composition": (n, mixture.n_heads - mixture.n_logits), "class": (n_products + n * (1 + len(coherent)), mixture.n_logits)}
        for part, (n_phi, n_heads) in sizes.items():
            self.register_buffer(f"{part}_centre", torch.zeros(n_phi, dtype=torch.float64))
            self.register_buffer(f"{part}_scale", torch.ones(n_phi, dtype=torch.float64))
            self.register_buffer(f"{part}_theta", torch.zeros(1 + n_phi, n_heads, dtype=torch.float64))

    def composition_directions(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute the directions of the compositions, (n, 1 + n_directions)."""
        return _with_constant(self.scores(heads)[0], self.composition_centre, self.composition_scale)

    def class_directions(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute the directions of the classes, (n, 1 + n_class_directions)."""
        return _with_constant(self.raw_class_directions(heads), self.class_centre, self.class_scale)

    def scores(self, heads: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Compute all scores, (n, n_directions), and for every coherent class g_c times them, each (n, n_directions)."""
        pairs = [direction.score(self.mixture, heads) for direction in self.directions]
        inside = [torch.stack([p[1][c] for p in pairs], dim=1) for c in range(len(self.mixture.coherent))]
        return torch.stack([p[0] for p in pairs], dim=1), inside

    def raw_class_directions(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute products of amplitudes (not that of the reference), scores, g_c times scores, (n, n_class_directions)."""
        columns = []
        for k in self.mixture.coherent:
            c = self.mixture.classes[k]
            found = zip(c.pairs, self.mixture.products(heads, k), strict=True)
            columns += [product for pair, product in found if pair != (c.reference, c.reference)]
        scores, inside = self.scores(heads)
        return torch.cat([*(column[:, None] for column in columns), scores, *inside], dim=1)

    def forward(self, heads: torch.Tensor) -> torch.Tensor:
        """Return the calibrated heads, shape (n, n_heads)."""
        n = self.mixture.n_logits
        compositions = heads[:, n:]
        if self.mixture.coherent:
            compositions = compositions + self.composition_directions(heads) @ self.composition_theta
            heads = torch.cat([heads[:, :n], compositions], dim=1)
        if n == 0:
            return heads
        return torch.cat([heads[:, :n] + self.class_directions(heads) @ self.class_theta, compositions], dim=1)


def identity_calibration(mixture: Mixture) -> TargetedCalibration:
    """Return the calibration that changes nothing.

    Examples:
        >>> c = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0, 1.0), reference=1)
        >>> heads = torch.tensor([[0.5, -0.2]], dtype=torch.float64)
        >>> identity_calibration(Mixture((c,)))(heads)
        tensor([[ 0.5000, -0.2000]], dtype=torch.float64)
    """
    ones = tuple((1.0,) * len(c.pairs) for c in mixture.classes)
    return TargetedCalibration(mixture, [Direction("none", ones, ones)])


@torch.no_grad()
def fit_calibration(heads: torch.Tensor, targets: Targets, *, mixture: Mixture, directions: Sequence[Direction]) -> TargetedCalibration:
    """Fit the coefficients on events that the networks did not train on.

    Args:
        heads: Heads of these events, shape (n, n_heads), float64.
        targets: Their targets, float64.
        mixture: Meaning of the heads.
        directions: Scores at parameter points; see `directions.score_directions`.

    Returns:
        The calibration, which solves the equations of the module docstring on these events.
    """
    calibration, n = TargetedCalibration(mixture, directions), mixture.n_logits
    composed = heads
    if mixture.coherent:
        # Scores take most of the time: each set of them is computed once.
        scores = calibration.scores(heads)[0]
        _standardise(calibration.composition_centre, calibration.composition_scale, scores)
        phi = _with_constant(scores, calibration.composition_centre, calibration.composition_scale)
        for k in mixture.coherent:
            rows, part = targets.of_class(k, mixture)
            columns = mixture.columns(k)
            theta = _fit_composition(heads[rows, columns], part, phi[rows], mixture.classes[k])
            calibration.composition_theta[:, columns.start - n : columns.stop - n] = theta
        composed = torch.cat([heads[:, :n], heads[:, n:] + phi @ calibration.composition_theta], dim=1)
    if n:
        raw = calibration.raw_class_directions(composed)
        _standardise(calibration.class_centre, calibration.class_scale, raw)
        phi = _with_constant(raw, calibration.class_centre, calibration.class_scale)
        calibration.class_theta.copy_(_fit_classes(mixture.class_logits(composed), targets, phi))
    return calibration


def _with_constant(directions: torch.Tensor, centre: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.ones_like(directions[:, :1]), ((directions - centre) / scale).clamp(-LONGEST, LONGEST)], dim=1)


def _standardise(centre: torch.Tensor, scale: torch.Tensor, directions: torch.Tensor) -> None:
    centre.copy_(directions.mean(dim=0))
    scale.copy_(directions.std(dim=0).clamp_min(1e-9))


def _solve(hessian: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    ridge = RIDGE * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=hessian.dtype)
    solution: torch.Tensor
    solution, singular = torch.linalg.solve_ex(hessian + ridge, gradient)
    if bool(singular):
        raise FitError(
            "calibration of the networks",
            got="outputs that hardly depend on the event: its equations have no solution",
            expected="networks that learned something",
            remedy="train longer (ratios.epochs, ratios.composition_epochs), or with more events",
        )
    return solution


def _fit_classes(logits: torch.Tensor, targets: Targets, phi: torch.Tensor) -> torch.Tensor:
    """Multinomial logistic regression with offset on the classes; shape (n_phi, n_classes - 1)."""
    return _multinomial(logits, targets.weight[:, None] * targets.shares(logits.shape[1])[:, 1:], targets.weight, phi)


def _multinomial(logits: torch.Tensor, moments: torch.Tensor, weight: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
    """Fit theta in softmax(logits + (0, phi theta)) by Newton steps.

    Args:
        logits: Offsets, (n, 1 + n_free); the first stays.
        moments: Weights times soft labels of all but the first, (n, n_free); only their sums over events must be right.
        weight: Event weights, (n,).
        phi: Directions, (n, n_phi).

    Returns:
        theta, (n_phi, n_free).
    """
    n_free, n_phi = logits.shape[1] - 1, phi.shape[1]
    theta = torch.zeros(n_phi, n_free, dtype=phi.dtype)
    loss = _multinomial_loss(logits, moments, weight, phi @ theta)
    for _ in range(LOGISTIC_STEPS if n_free else 0):
        shifted = torch.cat([logits[:, :1], logits[:, 1:] + phi @ theta], dim=1)
        p = torch.softmax(shifted, dim=1)[:, 1:]
        gradient = phi.T @ (moments - weight[:, None] * p)
        blocks = [
            [(phi * (weight * p[:, a] * ((1.0 if a == b else 0.0) - p[:, b]))[:, None]).T @ phi for b in range(n_free)]
            for a in range(n_free)
        ]
        hessian = torch.cat([torch.cat(row, dim=1) for row in blocks], dim=0)
        step = _solve(hessian, gradient.T.reshape(-1)).reshape(n_free, n_phi).T
        found = _multinomial_loss(logits, moments, weight, phi @ (theta + step))
        for _ in range(HALVINGS):  # directions with long tails let a full step overshoot
            if found <= loss + EQUAL * abs(loss):
                break
            step = 0.5 * step
            found = _multinomial_loss(logits, moments, weight, phi @ (theta + step))
        theta, loss = theta + step, found
        if bool(step.abs().max() <= CONVERGED * theta.abs().max()):
            break
    return theta


def _multinomial_loss(logits: torch.Tensor, moments: torch.Tensor, weight: torch.Tensor, shift: torch.Tensor) -> float:
    """Sum the weighted cross-entropy of logits with a shift of all but the first, (n, n_free)."""
    shifted = torch.cat([logits[:, :1], logits[:, 1:] + shift], dim=1)
    inside = (moments * shifted[:, 1:]).sum(dim=1) + (weight - moments.sum(dim=1)) * shifted[:, 0]
    return float((weight * torch.logsumexp(shifted, dim=1) - inside).sum())


def _fit_composition(heads: torch.Tensor, targets: Targets, phi: torch.Tensor, c: EventClass) -> torch.Tensor:
    """Solve for the shares together, then for the interferences one after the other, each with those before in place; (n_phi, n_heads)."""
    n, done = c.n_amplitudes, heads + 0.0
    theta = torch.zeros(phi.shape[1], heads.shape[1], dtype=phi.dtype)
    others = [k for k in range(n) if k != c.reference]
    logits = composition.share_logits(heads, n, c.reference)[:, [c.reference, *others]]
    theta[:, : n - 1] = _fit_shares(logits, targets, phi)
    done[:, : n - 1] += phi @ theta[:, : n - 1]
    for column, (k, m) in enumerate(composition.pairs_below(n), start=n - 1):
        theta[:, column] = _fit_interference(done, column, targets, phi, c, pair=(m, k))
        done[:, column] += phi @ theta[:, column]
    return theta


def _fit_shares(logits: torch.Tensor, targets: Targets, phi: torch.Tensor) -> torch.Tensor:
    """Multinomial logistic regression with offset on the soft labels K_k M_kk / tr(K M); shape (n_phi, n_amplitudes - 1)."""
    moments = torch.stack([targets.moment(k) for k in range(logits.shape[1] - 1)], dim=1)
    return _multinomial(logits, moments, targets.weight, phi)


def _fit_interference(
    heads: torch.Tensor, column: int, targets: Targets, phi: torch.Tensor, c: EventClass, *, pair: tuple[int, int]
) -> torch.Tensor:
    """Solve sum w (interference - estimate) phi = 0 by Newton steps on one partial coherence tanh(v); shape (n_phi,).

    With the heads before in place the interference is linear in tanh(v): a + b tanh(v), where the factors sech of the same row that
    follow v belong to later heads.
    """
    ends = [heads.clone(), heads.clone()]
    for end, value in zip(ends, (0.0, 40.0), strict=True):
        end[:, column] = value
    position = c.pairs.index(pair)
    offset, top = (composition.products(end, c.kappas, c.reference)[position] for end in ends)
    amplitude = top - offset
    theta = torch.zeros(phi.shape[1], dtype=phi.dtype)
    strength, wanted = targets.weight * amplitude, targets.moment(column) - targets.weight * offset
    loss = _coherence_loss(heads[:, column], strength, wanted)
    for _ in range(NEWTON_STEPS):
        coherence = torch.tanh(heads[:, column] + phi @ theta)
        hessian = (phi * (strength * (1.0 - coherence**2))[:, None]).T @ phi
        step = _solve(hessian, phi.T @ (wanted - strength * coherence))
        found = _coherence_loss(heads[:, column] + phi @ (theta + step), strength, wanted)
        for _ in range(HALVINGS):  # where coherences are near 1 the curvature is small, and a full step overshoots
            if found <= loss + EQUAL * abs(loss):
                break
            step = 0.5 * step
            found = _coherence_loss(heads[:, column] + phi @ (theta + step), strength, wanted)
        theta, loss = theta + step, found
        if bool(step.abs().max() <= CONVERGED * theta.abs().max()):
            break
    return theta


def _coherence_loss(v: torch.Tensor, strength: torch.Tensor, wanted: torch.Tensor) -> float:
    """Compute the convex function whose derivative along v is strength tanh(v) - wanted."""
    size = v.abs()
    return float((strength * (size + torch.nn.functional.softplus(-2.0 * size)) - wanted * v).sum())

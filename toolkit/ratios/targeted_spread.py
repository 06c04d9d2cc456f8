"""The statistical uncertainty of a calibrated ensemble along the directions that move the measurement, as independent shifts of densities.

To first order a wrong density moves the best fit of a parameter at a point theta_l only through the expected slope of the likelihood there,

    e_l = sum_j f_j(theta_l) int nu_j p_j(x) delta_j(x) s_l(x) dx,        delta_j = ln(wrong/true) of density j with its yield,

with s_l the score at theta_l, so that errors are followed in the span of phi = (1, s_1, s_2, ...) only. Two of them are left after the
calibration:

- **Finite simulation**: the calibration and the yields make every expectation of a phi that of the training events. If these happen n_i
  times, n_i independent Poisson numbers of mean 1, the moments b_jk = int nu_j p_j delta_j phi_k change by
  sum_i (n_i - 1) w_ij phi_k(x_i). The covariance follows from the events, correlations between densities by events with the weights of
  several included.
- **Training**: each member is calibrated on the events that it did not train on, and compared there with the ensemble calibrated on
  the same events, so that the noise of the calibration cancels. The spread of the moments, times `RatioSettings.spread_factor`, is
  that of a new training sample. The randomness of one training, which the mean of the members averages out, is counted in full.

With G the covariance of the slopes e_l, every eigenvector of G gives one shift: the regression of the moments on it. Independent unit
Gaussians times these shifts reproduce G. Divided by the information I_l = int p(theta_l) s_l^2, which is the variance of the slope from the
fluctuations of the data, it says how much longer the error of the parameter gets: sqrt(1 + G_ll / I_l).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from toolkit.config import AnyRatioConfig
from toolkit.model import Model
from toolkit.ratios.calibration import LONGEST, fit_calibration
from toolkit.ratios.directions import Direction, score_directions
from toolkit.ratios.ensemble import BATCH, MixtureEnsemble
from toolkit.ratios.features import feature_matrix
from toolkit.ratios.plan import plan_ensemble
from toolkit.ratios.resampling import positive_backgrounds
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets, make_targets
from toolkit.ratios.trained_mixture import TrainedMixture
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents, assign_fold

MOST_MEMBERS = 20
"""Members whose spread is looked at; more say little more, and each is calibrated twice."""
NEGLIGIBLE = 1e-3
"""Share of the summed relative variances of all slopes below which a shift is left out."""
RIDGE = 1e-9
"""Relative to the trace: two scores that are the same function leave their moments solvable."""


@dataclass(frozen=True, eq=False)
class TargetedSpread:
    """Shifts of the densities by one standard deviation each, independent of each other.

    Attributes:
        directions: Parameter and point of each direction in words.
        processes: The densities.
        coefficients: Of phi in each shift of each density, (n_shifts, n_processes, 1 + n_directions).
        yields: Relative change of the yield in each shift, (n_shifts, n_processes); part of the shift.
        centre, scale: phi_k = (s_k - centre_k) / scale_k, (n_directions,).
        information: Variance of each slope from the fluctuations of the data at the luminosity of the training events, (n_directions,).
        simulation: Variance of each slope from the finite simulation, (n_directions,).
        training: Variance of each slope from the spread of the members, (n_directions,).
    """

    directions: tuple[str, ...]
    processes: tuple[str, ...]
    coefficients: FloatArray
    yields: FloatArray
    centre: FloatArray
    scale: FloatArray
    information: FloatArray
    simulation: FloatArray
    training: FloatArray

    @property
    def longer(self) -> FloatArray:
        """How many times as long the error of the parameter gets at each direction's point, (n_directions,)."""
        return np.asarray(np.sqrt(1.0 + (self.simulation + self.training) / self.information))


class SpreadModule(nn.Module):
    """The shifts as a network: observables (n, n_features) -> change of ln p_j, (n, n_shifts * n_processes), the processes innermost.

    Args:
        ensemble: The calibrated ensemble.
        directions: Its scores.
        spread: The shifts.
    """

    centre: torch.Tensor
    scale: torch.Tensor
    coefficients: torch.Tensor

    def __init__(self, ensemble: MixtureEnsemble, directions: Sequence[Direction], spread: TargetedSpread) -> None:
        super().__init__()
        self.ensemble = ensemble
        self.directions = tuple(directions)
        self.register_buffer("centre", torch.from_numpy(spread.centre))
        self.register_buffer("scale", torch.from_numpy(spread.scale))
        self.register_buffer("coefficients", torch.from_numpy(spread.coefficients.reshape(-1, spread.coefficients.shape[-1]).T.copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the changes of ln p_j."""
        return self.of_heads(self.ensemble.calibration(self.ensemble.member_heads(x).mean(dim=0)))

    def of_heads(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute the changes of ln p_j from calibrated heads, (n, n_heads)."""
        scores = torch.stack([d.score(self.ensemble.mixture, heads)[0] for d in self.directions], dim=1)
        return _phi(scores, self.centre, self.scale) @ self.coefficients


@torch.no_grad()
def targeted_spread(
    trained: TrainedMixture, training: SimulatedEvents, *, model: Model, most: int | None = None
) -> tuple[TargetedSpread, SpreadModule]:
    """Find the statistical uncertainty of a calibrated ensemble along the scores that it was calibrated with.

    Args:
        trained: The ensemble.
        training: The events that it was trained and calibrated with.
        model: The physics model.
        most: Shifts at most, the largest; None for all.

    Returns:
        The shifts, and a module that gives them for any events.
    """
    config, ensemble, mixture = trained.config, trained.ensemble, trained.ensemble.mixture
    directions = score_directions(model, config.calibration_mu)
    targets = make_targets(positive_backgrounds(training, mixture, config=config), mixture)
    unseen, heads = _out_of_bag(ensemble, training, config)
    raw = _mean_of_members(heads, unseen)
    calibrated = ensemble.calibration(raw)
    scores = torch.stack([d.score(mixture, calibrated)[0] for d in directions], dim=1)
    centre, scale = scores.mean(dim=0), scores.std(dim=0).clamp_min(1e-9)
    phi = _phi(scores, centre, scale).numpy()
    weights = training.weights[:, [training.processes.index(name) for name in mixture.processes]]
    moments = np.einsum("nj,nk->njk", weights, phi).reshape(len(phi), -1)
    grams = np.einsum("nj,nk,nl->jkl", weights, phi, phi)
    f = np.array([density_coefficients(d, mixture) for d in directions])
    linear = _slopes(f, centre.numpy(), scale.numpy())
    of_simulation = moments.T @ moments
    deviations = _member_moments(mixture, directions, targets, heads=heads, unseen=unseen, raw=raw, weights=weights, phi=phi)
    spread = config.spread_factor * (deviations - deviations.mean(axis=0))
    of_training = spread.T @ spread / len(spread)
    s = centre.numpy() + scale.numpy() * phi[:, 1:]
    information = np.einsum("nl,nl->l", weights @ f.T, s**2)
    shifts = _shifts(of_simulation + of_training, linear, information)[:most].reshape(-1, *grams.shape[:2])
    found = TargetedSpread(
        directions=tuple(d.label for d in directions),
        processes=mixture.processes,
        coefficients=np.stack([_solve(gram, shifts[:, j].T).T for j, gram in enumerate(grams)], axis=1),
        yields=shifts[:, :, 0] / weights.sum(axis=0),
        centre=centre.numpy(),
        scale=scale.numpy(),
        information=information,
        simulation=np.einsum("al,ab,bl->l", linear, of_simulation, linear),
        training=np.einsum("al,ab,bl->l", linear, of_training, linear),
    )
    return found, SpreadModule(ensemble, directions, found).double().eval()


def density_coefficients(direction: Direction, mixture: Mixture) -> list[float]:
    """Return f_j of every density at a direction's point, in the order of the processes.

    Examples:
        4 S + 2 I + B with I = SBI - S - B, at mu = 4:

        >>> from toolkit.ratios.structure import EventClass
        >>> gg = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0, 1.0), reference=1)
        >>> density_coefficients(Direction("mu", ((4.0, 2.0, 1.0),), ((4.0, 1.0, 0.0),)), Mixture((gg,)))
        [2.0, 2.0, -1.0]
    """
    found = []
    for c, numbers in zip(mixture.classes, direction.density, strict=True):
        by_pair = dict(zip(c.pairs, numbers, strict=True))
        for (k, m), q in by_pair.items():
            crossed = sum(value for pair, value in by_pair.items() if k in pair and pair[0] != pair[1])
            found.append(q - crossed if k == m else q)
    return found


def _mean_of_members(heads: Sequence[torch.Tensor], unseen: Sequence[BoolArray]) -> torch.Tensor:
    """Average the heads of the members that did not train on an event, (n, n_heads).

    Args:
        heads: Of each member, those of the events that it did not train on.
        unseen: Which events these are, (n,) each.
    """
    total = torch.zeros(len(unseen[0]), heads[0].shape[1], dtype=heads[0].dtype)
    for own, mask in zip(heads, unseen, strict=True):
        total[torch.from_numpy(mask)] += own
    return total / torch.from_numpy(np.sum(unseen, axis=0))[:, None]


def _out_of_bag(ensemble: MixtureEnsemble, training: SimulatedEvents, config: AnyRatioConfig) -> tuple[list[BoolArray], list[torch.Tensor]]:
    """Return for every member the events that it did not train on, (n,), and its heads there, uncalibrated."""
    splits = config.splits
    fold = assign_fold(training.event_id, n_folds=splits.folds, salt=splits.salt).astype(np.int64)
    z = ensemble.feature_map(torch.from_numpy(feature_matrix(training.observables, config.features)))
    unseen = [~member.saw(len(training), fold=fold) for member in plan_ensemble(config)]
    heads = []
    for member, mask in zip(ensemble.members, unseen, strict=True):
        heads.append(torch.cat([member(part) for part in torch.split(z[torch.from_numpy(mask)], BATCH)]))
    return unseen, heads


def _member_moments(
    mixture: Mixture,
    directions: Sequence[Direction],
    targets: Targets,
    *,
    heads: Sequence[torch.Tensor],
    unseen: Sequence[BoolArray],
    raw: torch.Tensor,
    weights: FloatArray,
    phi: FloatArray,
) -> FloatArray:
    """Return the moments of ln(member/ensemble), both calibrated on the same events, shapes alone, (n_members, n_moments)."""
    found, total = [], weights.sum(axis=0)
    for own, mask in itertools.islice(zip(heads, unseen, strict=True), MOST_MEMBERS):
        rows = torch.from_numpy(np.flatnonzero(mask))
        part = targets.select(rows)
        sides = [fit_calibration(h, part, mixture=mixture, directions=directions)(h) for h in (own, raw[rows])]
        difference = (mixture.log_ratios(sides[0]) - mixture.log_ratios(sides[1])).numpy()
        w = weights[mask]
        share = w.sum(axis=0)
        difference -= np.divide((w * difference).sum(axis=0), share, out=np.zeros_like(share), where=share > 0.0)
        scaled = w * np.divide(total, share, out=np.zeros_like(share), where=share > 0.0)
        found.append(((scaled * difference).T @ phi[mask]).reshape(-1))
    return np.stack(found)


def _slopes(f: FloatArray, centre: FloatArray, scale: FloatArray) -> FloatArray:
    """Return what moments of density j and function k (k innermost) add to each slope, (n_moments, n_directions)."""
    n_directions, n_densities = f.shape
    found = np.zeros((n_densities, 1 + n_directions, n_directions))
    for direction in range(n_directions):
        found[:, 0, direction] = f[direction] * centre[direction]
        found[:, 1 + direction, direction] = f[direction] * scale[direction]
    return found.reshape(-1, n_directions)


def _shifts(covariance: FloatArray, linear: FloatArray, information: FloatArray) -> FloatArray:
    """Regress the moments on the independent parts of the slopes, (n_shifts, n_moments), the largest first."""
    relative = linear / np.sqrt(information)
    crossed = covariance @ relative
    values, vectors = np.linalg.eigh(relative.T @ crossed)
    kept = np.flatnonzero(values > NEGLIGIBLE * values.sum())[::-1]
    return np.asarray((crossed @ vectors[:, kept] / np.sqrt(values[kept])).T)


def _solve(gram: FloatArray, moments: FloatArray) -> FloatArray:
    """Solve for the function of phi with the moments, (1 + n_directions, n_shifts); a density without weight does not move."""
    trace = float(np.trace(gram))
    if not trace > 0.0:
        return np.zeros_like(moments)
    return np.asarray(np.linalg.solve(gram + RIDGE * trace * np.eye(len(gram)), moments))


def _phi(scores: torch.Tensor, centre: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return 1 and the scores in their standard deviations, cut where they grow without bound, (n, 1 + n_directions)."""
    return torch.cat([torch.ones_like(scores[:, :1]), ((scores - centre) / scale).clamp(-LONGEST, LONGEST)], dim=1)

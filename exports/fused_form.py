"""The calibration and the log ratios of an ensemble with all members, and all directions of the calibration, side by side in columns.

The same formulas as `toolkit.ratios.calibration` and `toolkit.ratios.composition`, for classes of one amplitude or two: what those do
member by member and direction by direction is one step here on a tensor of two axes. Shares are exponentials of logarithms, so that
their tails keep all digits in single precision: sigmoid(x) = exp(-softplus(-x)), and softplus(-x) = softplus(x) - x. `write_onnx`
compares the graph with the module.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import softplus

from toolkit.ratios.calibration import LONGEST, TargetedCalibration
from toolkit.ratios.composition import TINY
from toolkit.ratios.ensemble import MixtureEnsemble
from toolkit.ratios.structure import EventClass


class SideBySide(nn.Module):
    """From the heads of all members to log ratios and their spread.

    Args:
        ensemble: The ensemble.

    Raises:
        ValueError: A class of three amplitudes or more, or a calibration along an amplitude that is not the first.
    """

    order: torch.Tensor
    calibrated: torch.Tensor
    mean_heads: torch.Tensor
    deviations: torch.Tensor
    mean_square: torch.Tensor
    shifts: torch.Tensor

    def __init__(self, ensemble: MixtureEnsemble) -> None:
        super().__init__()
        self.mixture, m = ensemble.mixture, len(ensemble.members)
        n_heads, n_out = self.mixture.n_heads, len(self.mixture.processes)
        self.n_columns = m + 1
        self.calibration = _Directions(ensemble.calibration)
        calibrated_first = [[n_heads * m + k, *range(k * m, (k + 1) * m)] for k in range(n_heads)]
        self.register_buffer("order", torch.tensor(calibrated_first).reshape(-1))
        self.register_buffer("calibrated", torch.arange(n_out) * (m + 1))
        self.register_buffer("mean_heads", torch.kron(torch.eye(n_heads), torch.full((m, 1), 1.0 / m, dtype=torch.float64)))
        alone = torch.cat([torch.zeros(1, m), torch.eye(m, dtype=torch.float64) - 1.0 / m])
        self.register_buffer("deviations", torch.kron(torch.eye(n_out), alone))
        self.register_buffer("mean_square", torch.kron(torch.eye(n_out), torch.full((m, 1), 1.0 / m, dtype=torch.float64)))
        shifts = [math.log(len(self.mixture.classes) * c.class_yield / n) for c in self.mixture.classes for n in c.yields]
        squares = [-math.log(c.kappas[k]) if k == i else 0.0 for c in self.mixture.classes for k, i in c.pairs]
        self.register_buffer("shifts", torch.tensor([a + b for a, b in zip(shifts, squares, strict=True)], dtype=torch.float64))

    def forward(self, heads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the log ratios of the calibrated mean, and their standard deviation over the members, (n, n_processes) each.

        Args:
            heads: For every head its members, (n, n_heads n_members).
        """
        m, mixture = self.n_columns, self.mixture
        both = torch.cat([heads, self.calibration(heads @ self.mean_heads)], dim=1).index_select(1, self.order)
        columns = [both[:, k * m : (k + 1) * m] for k in range(mixture.n_heads)]
        logits = columns[: mixture.n_logits]
        total = _log_one_plus(logits)
        found: list[torch.Tensor] = []
        for k, c in enumerate(mixture.classes):
            own = -total if k == 0 else logits[k - 1] - total
            start = mixture.columns(k).start
            found += [own + part for part in _log_densities(columns[start], columns[start + 1], c)] if c.n_heads else [own]
        every = torch.cat(found, dim=1)
        deviation = every @ self.deviations
        return every.index_select(1, self.calibrated) + self.shifts, torch.sqrt((deviation * deviation) @ self.mean_square)


class _Directions(nn.Module):
    """`TargetedCalibration` with its directions in columns."""

    def __init__(self, calibration: TargetedCalibration) -> None:
        super().__init__()
        mixture = calibration.mixture
        self.mixture = mixture
        self.one: set[int] = set()
        self.still: set[int] = set()
        for part in ("composition", "class"):
            centre, scale, theta = (getattr(calibration, f"{part}_{name}").detach() for name in ("centre", "scale", "theta"))
            for name, values in (("centre", centre), ("inverse", 1.0 / scale), ("theta", theta[1:]), ("shift", theta[0])):
                self.register_buffer(f"{part}_{name}", values.clone())
        for k, c in enumerate(mixture.classes):
            density, slope = (
                torch.tensor([getattr(d, name)[k] for d in calibration.directions], dtype=torch.float64) for name in ("density", "slope")
            )
            if c.n_heads > 2 or (c.n_heads and bool((slope[:, 2] != 0.0).any())):
                what = "classes of one or two amplitudes, directions along the first"
                raise ValueError(what)
            if not c.n_heads:
                self.register_buffer(f"density{k}", density[:, 0])
                self.register_buffer(f"slope{k}", slope[:, 0])
                self.one |= {k} if bool((density == 1.0).all()) else set()
                self.still |= {k} if bool((slope == 0.0).all()) else set()
                continue
            first, second = (value**-0.5 for value in c.kappas)
            signs = torch.where(torch.where(density[:, 1] != 0.0, density[:, 1], slope[:, 1]) < 0.0, 2.0, -2.0).to(torch.float64)
            a, b = density[:, 0].abs().sqrt() * first, density[:, 2].abs().sqrt() * second
            own, cross = slope[:, 0] * first**2, 2.0 * slope[:, 1].abs() * first * second
            self.register_buffer(f"near{k}", signs[:1] if bool((signs == signs[0]).all()) else signs)
            self.register_buffer(f"apart{k}", torch.stack([a, -b]))
            self.register_buffer(f"four{k}", 4.0 * a * b)
            self.register_buffer(f"change{k}", torch.stack([own, -cross]))
            self.register_buffer(f"cross{k}", 2.0 * cross)

    def forward(self, heads: torch.Tensor) -> torch.Tensor:
        """Return the calibrated heads, (n, n_heads)."""
        n = self.mixture.n_logits
        if self.mixture.coherent:
            shifted = heads[:, n:] + self._shift("composition", self._scores(heads)[0])
            heads = torch.cat([heads[:, :n], shifted], dim=1) if n else shifted
        if n == 0:
            return heads
        scores, inside, products = self._scores(heads)
        return torch.cat([heads[:, :n] + self._shift("class", torch.cat([*products, scores, *inside], dim=1)), heads[:, n:]], dim=1)

    def _shift(self, part: str, directions: torch.Tensor) -> torch.Tensor:
        centre, inverse, theta, shift = (getattr(self, f"{part}_{name}") for name in ("centre", "inverse", "theta", "shift"))
        return torch.addmm(shift, ((directions - centre) * inverse).clamp(-LONGEST, LONGEST), theta)

    def _scores(self, heads: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Compute all scores (n, n_directions), their products with the density of each coherent class, products of amplitudes."""
        mixture = self.mixture
        total: list[torch.Tensor] = []
        derivative: list[torch.Tensor] = []
        inside: list[torch.Tensor] = []
        products: list[torch.Tensor] = []
        for k, c in enumerate(mixture.classes):
            amount = None if k == 0 else torch.exp(heads[:, k - 1 : k] + math.log(c.class_yield / mixture.class_yields[0]))
            if c.n_heads:
                part, change = self._coherent(k, c, heads, products)
                inside.append(part)
            else:
                part, change = getattr(self, f"density{k}"), getattr(self, f"slope{k}")
            total.append(part if amount is None else amount if k in self.one else amount * part)
            if k not in self.still:
                derivative.append(change if amount is None else amount * change)
        scores = _sum(derivative) / _sum(total)
        return scores, [part * scores for part in inside], products

    def _coherent(self, k: int, c: EventClass, heads: torch.Tensor, products: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.mixture.columns(k).start
        logs = torch.cat(_minus_log_shares(heads[:, start : start + 1], c), dim=1)
        v = heads[:, start + 1 : start + 2]
        root = torch.exp(logs * -0.5)
        sign, apart, four, change, cross = (getattr(self, f"{name}{k}") for name in ("near", "apart", "four", "change", "cross"))
        near = torch.exp(-softplus(v * sign))
        first, second = root[:, :1], root[:, 1:]
        distance = root @ apart
        density = distance * distance + first * second * near * four
        slope = first * (root @ change + second * near * cross)
        mixed = first * second * torch.tanh(v) * (2.0 / (c.kappas[0] * c.kappas[1]) ** 0.5)
        wanted = {(0, 0): first * first / c.kappas[0], (0, 1): mixed, (1, 1): second * second / c.kappas[1]}
        products += [wanted[pair] for pair in c.pairs if pair != (c.reference, c.reference)]
        return density, slope


def _sum(terms: list[torch.Tensor]) -> torch.Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _minus_log_shares(first: torch.Tensor, c: EventClass) -> list[torch.Tensor]:
    """Return -ln of the shares of the two amplitudes; the first head is the logit of the one that is not the reference."""
    minus = softplus(first)
    pair = [minus - first, minus]
    return pair if c.reference == 1 else pair[::-1]


def _log_densities(first: torch.Tensor, v: torch.Tensor, c: EventClass) -> list[torch.Tensor]:
    """Compute ln kappa_1 |A_1|^2, ln |A_1 + A_2|^2 and ln kappa_2 |A_2|^2 relative to the class, each (n, n_columns)."""
    logs = _minus_log_shares(first, c)
    one, two = (torch.exp(log * -0.5) * kappa**-0.5 for log, kappa in zip(logs, c.kappas, strict=True))
    apart = one - two
    inside = apart * apart + one * two * torch.exp(math.log(4.0) - softplus(v * -2.0))
    return [-logs[0], torch.log(inside.clamp_min(TINY)), -logs[1]]


def _log_one_plus(logits: list[torch.Tensor]) -> torch.Tensor:
    """Compute ln (1 + sum e^logit)."""
    if len(logits) == 1:
        return softplus(logits[0])
    if not logits:
        return torch.zeros(1)
    largest = logits[0].clamp_min(0.0)
    for other in logits[1:]:
        largest = torch.maximum(largest, other)
    return torch.log(_sum([torch.exp(-largest), *(torch.exp(other - largest) for other in logits)])) + largest

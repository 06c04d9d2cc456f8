"""The calibration and the log ratios of an ensemble with all members, and all directions of the calibration, side by side in columns.

The same formulas as `toolkit.ratios.calibration` and `toolkit.ratios.composition`, for classes of one amplitude or two: what those do
member by member and direction by direction is one step here on a tensor of two axes, and what is linear is a product with a matrix. A
logarithm of a share is -softplus(x) or -softplus(-x) of its logit, and shares are exponentials of logarithms, so that their tails keep all
digits in single precision. `write_onnx` compares the graph with the module.
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

    mean_heads: torch.Tensor
    unfold: torch.Tensor
    power: torch.Tensor
    offset: torch.Tensor
    log_ratios: torch.Tensor
    deviations: torch.Tensor
    mean_square: torch.Tensor
    shifts: torch.Tensor
    plain: torch.Tensor

    def __init__(self, ensemble: MixtureEnsemble) -> None:
        super().__init__()
        self.mixture, m = ensemble.mixture, len(ensemble.members)
        mixture, n_heads, n_out = self.mixture, self.mixture.n_heads, len(self.mixture.processes)
        self.n_columns = m + 1
        self.calibration = _Directions(ensemble.calibration)
        self.register_buffer("mean_heads", torch.kron(torch.eye(n_heads), torch.full((m, 1), 1.0 / m, dtype=torch.float64)))
        coherent = [mixture.classes[k] for k in mixture.coherent]
        logits = [(0, 1.0), (0, -1.0)] if mixture.n_logits == 1 else [(k, 1.0) for k in range(mixture.n_logits)]
        self.n_logs = len(logits) if mixture.n_logits == 1 else 0
        shares = [pair for k, c in zip(mixture.coherent, coherent, strict=True) for pair in _unfolded(mixture.columns(k).start, c, -2.0)]
        groups = [*(logits if mixture.n_logits == 1 else []), *shares]
        self.register_buffer("unfold", _spread(groups, n_heads, m))
        power = [p for c in coherent for p in (-0.5, -0.5, -1.0)]
        offset = [o for c in coherent for o in (-0.5 * math.log(c.kappas[0]), -0.5 * math.log(c.kappas[1]), math.log(4.0))]
        for name, values in (("power", power), ("offset", offset)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64).repeat_interleave(m + 1))
        self.register_buffer("plain", _spread(logits, n_heads, m) if mixture.n_logits > 1 else torch.zeros(0, 0))
        every = torch.kron(self._densities(), torch.eye(m + 1, dtype=torch.float64))
        self.register_buffer("log_ratios", every[:, :: m + 1].clone())
        alone = torch.cat([torch.zeros(1, m), torch.eye(m, dtype=torch.float64) - 1.0 / m])
        self.register_buffer("deviations", every @ torch.kron(torch.eye(n_out), alone).double())
        self.register_buffer("mean_square", torch.kron(torch.eye(n_out), torch.full((m, 1), 1.0 / m, dtype=torch.float64)))
        shifts = [math.log(len(mixture.classes) * c.class_yield / n) for c in mixture.classes for n in c.yields]
        squares = [-math.log(c.kappas[k]) if k == i else 0.0 for c in mixture.classes for k, i in c.pairs]
        self.register_buffer("shifts", torch.tensor([a + b for a, b in zip(shifts, squares, strict=True)], dtype=torch.float64))

    def _densities(self) -> torch.Tensor:
        """Return the coefficients of the columns that `forward` joins, (n_groups, n_processes)."""
        mixture, n, n_coherent = self.mixture, self.mixture.n_logits, len(self.mixture.coherent)
        first_inside = self.n_logs + 3 * n_coherent
        first_logit = first_inside + n_coherent  # then ln(1 + sum e^logit) and the logits, with two or more of them
        coefficients = torch.zeros(first_logit + (n + 1 if n > 1 else 0), len(mixture.processes), dtype=torch.float64)
        column = seen = 0
        for k, c in enumerate(mixture.classes):
            columns = range(column, column + len(c.pairs))
            if n == 1:
                coefficients[k, columns] -= 1.0  # -ln(1 + e^l) of the first class, -ln(1 + e^-l) of the other
            elif n > 1:
                coefficients[first_logit, columns] -= 1.0
                if k:
                    coefficients[first_logit + k, columns] += 1.0
            if c.n_heads:
                start = self.n_logs + 3 * seen
                coefficients[start, column] -= 1.0
                coefficients[first_inside + seen, column + 1] += 1.0
                coefficients[start + 1, column + 2] -= 1.0
                seen += 1
            column += len(c.pairs)
        return coefficients

    def forward(self, heads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the log ratios of the calibrated mean, and their standard deviation over the members, (n, n_processes) each.

        Args:
            heads: For every head its members, (n, n_heads n_members).
        """
        m = self.n_columns
        both = torch.cat([heads, self.calibration(heads @ self.mean_heads)], dim=1)
        found: list[torch.Tensor] = []
        if self.unfold.shape[1]:
            logs = softplus(both @ self.unfold)
            found.append(logs)
        if self.mixture.coherent:
            shares = logs[:, self.n_logs * m :] if self.n_logs else logs
            parts = torch.split(torch.exp(shares * self.power + self.offset), m, dim=1)
            for one, two, near in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
                apart = one - two
                found.append(torch.log((apart * apart + one * two * near).clamp_min(TINY)))
        if self.mixture.n_logits > 1:
            logits = both @ self.plain
            found += [_log_one_plus(list(torch.split(logits, m, dim=1))), logits]
        every = torch.cat(found, dim=1)
        deviation = every @ self.deviations
        return torch.addmm(self.shifts, every, self.log_ratios), torch.sqrt((deviation * deviation) @ self.mean_square)


def _unfolded(start: int, c: EventClass, near: float) -> list[tuple[int, float]]:
    """Return head and factor whose softplus is -ln of both shares of a class, and -ln of the share of aligned phases."""
    sign = 1.0 if c.reference == 0 else -1.0  # the first head is the logit of the amplitude that is not the reference
    return [(start, sign), (start, -sign), (start + 1, near)]


def _spread(groups: list[tuple[int, float]], n_heads: int, m: int) -> torch.Tensor:
    """Return the matrix that takes heads of members and calibrated heads to head times factor: first the calibrated one, then the members.

    Args:
        groups: Head and factor of every group of columns.
        n_heads: Number of heads.
        m: Number of members.

    Returns:
        Shape (n_heads m + n_heads, n_groups (m + 1)).
    """
    matrix = torch.zeros(n_heads * (m + 1), len(groups) * (m + 1), dtype=torch.float64)
    for g, (head, factor) in enumerate(groups):
        first = g * (m + 1)
        matrix[n_heads * m + head, first] = factor
        for k in range(m):
            matrix[head * m + k, first + 1 + k] = factor
    return matrix


class _Directions(nn.Module):
    """`TargetedCalibration` with its directions in columns."""

    unfold: torch.Tensor
    power: torch.Tensor
    yields: torch.Tensor

    def __init__(self, calibration: TargetedCalibration) -> None:
        super().__init__()
        mixture = calibration.mixture
        self.mixture = mixture
        self.one: set[int] = set()
        self.still: set[int] = set()
        n_logits, n_heads = mixture.n_logits, mixture.n_heads
        density, slope = (
            [torch.tensor([getattr(d, name)[k] for d in calibration.directions], dtype=torch.float64) for k in range(len(mixture.classes))]
            for name in ("density", "slope")
        )
        unfold: list[tuple[int, float]] = []
        for k, c in enumerate(mixture.classes):
            if c.n_heads > 2 or (c.n_heads and bool((slope[k][:, 2] != 0.0).any())):
                what = "classes of one or two amplitudes, directions along the first"
                raise ValueError(what)
            if not c.n_heads:
                self.register_buffer(f"density{k}", density[k][:, 0])
                self.register_buffer(f"slope{k}", slope[k][:, 0])
                self.one |= {k} if bool((density[k] == 1.0).all()) else set()
                self.still |= {k} if bool((slope[k] == 0.0).all()) else set()
                continue
            signs = torch.where(torch.where(density[k][:, 1] != 0.0, density[k][:, 1], slope[k][:, 1]) < 0.0, 2.0, -2.0).tolist()
            nears = signs[:1] if len(set(signs)) == 1 else signs
            logs = _unfolded(mixture.columns(k).start, c, nears[0])
            unfold += [*logs, *((logs[2][0], near) for near in nears[1:])]
        matrix = torch.zeros(n_heads, len(unfold), dtype=torch.float64)
        for i, (head, factor) in enumerate(unfold):
            matrix[head, i] = factor
        self.register_buffer("unfold", matrix)
        shares = {mixture.columns(k).start for k in mixture.coherent}
        self.register_buffer("power", torch.tensor([-0.5 if head in shares else -1.0 for head, _ in unfold], dtype=torch.float64))
        yields = [math.log(c.class_yield / mixture.class_yields[0]) for c in mixture.classes[1:]]
        self.register_buffer("yields", torch.tensor(yields, dtype=torch.float64))
        at, self.near = 0, dict[int, tuple[int, int]]()
        products: list[float] = []
        for k in mixture.coherent:
            c = mixture.classes[k]
            first, second = (value**-0.5 for value in c.kappas)
            n_near = sum(head == mixture.columns(k).start + 1 for head, _ in unfold)
            a, b = density[k][:, 0].abs().sqrt() * first, density[k][:, 2].abs().sqrt() * second
            own, cross = slope[k][:, 0] * first**2, 2.0 * slope[k][:, 1].abs() * first * second
            for name, pair in (("apart", (a, -b)), ("change", (own, -cross))):
                rows = torch.zeros(len(unfold), len(a), dtype=torch.float64)
                rows[at : at + 2] = torch.stack(pair)
                self.register_buffer(f"{name}{k}", rows)
            self.register_buffer(f"four{k}", 4.0 * a * b)
            self.register_buffer(f"cross{k}", 2.0 * cross)
            self.near[k] = (at, n_near)
            at += 2 + n_near
            known = {(0, 0): first**2, (0, 1): 2.0 * first * second, (1, 1): second**2}
            products += [known[pair] for pair in c.pairs if pair != (c.reference, c.reference)]
        self.widths = [width for _, n_near in self.near.values() for width in (1, 1, n_near)]
        self._scale(calibration, products, n_logits=n_logits, n_heads=n_heads)

    def _scale(self, calibration: TargetedCalibration, products: list[float], *, n_logits: int, n_heads: int) -> None:
        """Keep scales and coefficients: those of products of amplitudes without their constants, coefficients for all heads."""
        for part, before in (("composition", n_logits), ("class", 0)):
            centre, scale, theta = (getattr(calibration, f"{part}_{name}").detach().clone() for name in ("centre", "scale", "theta"))
            if part == "class":
                constant = torch.cat(
                    [torch.tensor(products, dtype=centre.dtype), torch.ones(len(centre) - len(products), dtype=centre.dtype)]
                )
                centre, scale = centre / constant, scale / constant
            wide = torch.zeros(len(theta), n_heads, dtype=theta.dtype)
            wide[:, before : before + theta.shape[1]] = theta
            for name, values in (("centre", centre), ("inverse", 1.0 / scale), ("theta", wide[1:]), ("shift", wide[0])):
                self.register_buffer(f"{part}_{name}", values.clone())

    def forward(self, heads: torch.Tensor) -> torch.Tensor:
        """Return the calibrated heads, (n, n_heads)."""
        if self.mixture.coherent:
            heads = heads + self._shift("composition", self._scores(heads)[0])
        if self.mixture.n_logits == 0:
            return heads
        scores, inside, products = self._scores(heads)
        return heads + self._shift("class", torch.cat([*products, scores, *inside], dim=1))

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
        amounts = list(torch.split(torch.exp(heads[:, : mixture.n_logits] + self.yields), 1, dim=1)) if mixture.n_logits else []
        if mixture.coherent:
            amplitudes = torch.exp(softplus(heads @ self.unfold) * self.power)
            parts = torch.split(amplitudes, self.widths, dim=1)
        for k, c in enumerate(mixture.classes):
            amount = None if k == 0 else amounts[k - 1]
            if c.n_heads:
                place = 3 * mixture.coherent.index(k)
                part, change = self._coherent(k, c, heads, (amplitudes, *parts[place : place + 3]), products)
                inside.append(part)
            else:
                part, change = getattr(self, f"density{k}"), getattr(self, f"slope{k}")
            total.append(part if amount is None else amount if k in self.one else amount * part)
            if k not in self.still:
                derivative.append(change if amount is None else amount * change)
        scores = _sum(derivative) / _sum(total)
        return scores, [part * scores for part in inside], products

    def _coherent(
        self, k: int, c: EventClass, heads: torch.Tensor, amplitudes: tuple[torch.Tensor, ...], products: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute density and slope of a class along all directions; add its products of amplitudes, without their constants."""
        every, first, second, near = amplitudes
        apart, four, change, cross = (getattr(self, f"{name}{k}") for name in ("apart", "four", "change", "cross"))
        distance, both = every @ apart, first * second
        density = distance * distance + both * near * four
        slope = first * (every @ change + second * near * cross)
        v = torch.split(heads, 1, dim=1)[self.mixture.columns(k).start + 1]
        wanted = {(0, 0): first * first, (0, 1): both * torch.tanh(v), (1, 1): second * second}
        products += [wanted[pair] for pair in c.pairs if pair != (c.reference, c.reference)]
        return density, slope


def _sum(terms: list[torch.Tensor]) -> torch.Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _log_one_plus(logits: list[torch.Tensor]) -> torch.Tensor:
    """Compute ln (1 + sum e^logit)."""
    largest = logits[0].clamp_min(0.0)
    for other in logits[1:]:
        largest = torch.maximum(largest, other)
    return torch.log(_sum([torch.exp(-largest), *(torch.exp(other - largest) for other in logits)])) + largest

"""Densities as sums of squared amplitudes: positive for every theta by construction, whatever a network says.

A monomial with even powers is the square of an amplitude. Amplitudes of which all products are monomials, too, belong to one
quadratic form; a morphing of independent blocks (gluon fusion + vector-boson fusion) has one form per block.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from toolkit.errors import SchemaError
from toolkit.weights.hypotheses import Hypotheses

Powers = tuple[int, ...]

LARGEST = 30.0
"""Exponents of the outputs are clipped here, so that single precision does not overflow."""
LARGEST_CORRELATION = 0.95
"""Of the start values."""
TINY = 1e-30


class SumOfSquares(nn.Module):
    """The density relative to the reference's from the outputs of a network.

    Args:
        powers: Powers of u in every interfering monomial.
        forms: Positions of the amplitudes of each quadratic form, as powers.
        start: Density of every term relative to the reference's total, at which a training starts.

    Examples:
        Amplitudes 1 and u of monomials u^2, u, 1: three outputs. With outputs of zero the density is the start value:

        >>> form = SumOfSquares([(2,), (1,), (0,)], find_forms([(2,), (1,), (0,)]), start=[0.25, -0.2, 1.0])
        >>> form.n_outputs, form.terms(torch.zeros(1, 3)).round(decimals=3).tolist()
        (3, [[0.25, -0.2, 1.0]])
    """

    log_diagonal: torch.Tensor
    log_background: torch.Tensor

    def __init__(self, powers: Sequence[Powers], forms: Sequence[Sequence[Powers]], *, start: Sequence[float]) -> None:
        super().__init__()
        self.powers = tuple(powers)
        self.forms = tuple(tuple(form) for form in forms)
        position = {p: k for k, p in enumerate(self.powers)}
        shared = {p: sum(p in form for form in self.forms) for p in itertools.chain(*self.forms)}
        floor = 1e-3 * max(abs(s) for s in start)
        diagonal, self.bias = [], []
        for form in self.forms:
            d = [max(start[position[_add(p, p)]], floor) / shared[p] for p in form]
            diagonal += [float(np.log(value)) for value in d]
            for i, j in _pairs(len(form)):
                product = _add(form[i], form[j])
                r = 0.0 if product in _squares(form) else start[position[product]] / (2.0 * (d[i] * d[j]) ** 0.5)
                r = max(-LARGEST_CORRELATION, min(LARGEST_CORRELATION, r))
                self.bias.append(r / (1.0 - r * r) ** 0.5)
        self.n_backgrounds = len(start) - len(self.powers)
        background = [float(np.log(max(s, 1e-9))) for s in start[len(self.powers) :]]
        self.register_buffer("log_diagonal", torch.tensor(diagonal, dtype=torch.float64))
        self.register_buffer("log_background", torch.tensor(background, dtype=torch.float64))

    @classmethod
    def build(cls, hypotheses: Hypotheses) -> SumOfSquares:
        """Find the amplitudes behind the monomials.

        Raises:
            SchemaError: A monomial is no product of two amplitudes whose squares are monomials.
        """
        numbers = hypotheses.exponents / hypotheses.roots
        powers = [tuple(round(float(e)) for e in row) for row in numbers]
        if not np.allclose(numbers, powers):
            raise SchemaError("powers of the parameters", got=numbers.tolist(), expected="whole multiples of one root")
        return cls(powers, find_forms(powers), start=(hypotheses.term_yields / hypotheses.reference_yield).tolist())

    @property
    def n_outputs(self) -> int:
        """Numbers that the network gives per event."""
        return sum(len(form) * (len(form) + 1) // 2 for form in self.forms) + self.n_backgrounds

    def forward(self, outputs: torch.Tensor, u: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """Compute the density at theta over that of the reference (both in expected events).

        Args:
            outputs: Of the network, (n, n_outputs).
            u: Smooth coordinates of theta, (n, n_parameters).
            factors: On the yield of each background, (n, n_backgrounds).

        Returns:
            Positive numbers, (n,).
        """
        total = torch.full_like(outputs[:, 0], TINY)
        for form, roots, rows in self._forms(outputs):
            amplitudes = [_monomial(u, p) * root for p, root in zip(form, roots, strict=True)]
            for c in range(len(form)):
                part = amplitudes[c] * rows[c][c]
                for a in range(c + 1, len(form)):
                    part = part + amplitudes[a] * rows[a][c]
                total = total + part * part
        return total + (factors * self._background(outputs)).sum(dim=1)

    def terms(self, outputs: torch.Tensor) -> torch.Tensor:
        """Compute q_k of every term, (n, n_terms)."""
        position = {p: k for k, p in enumerate(self.powers)}
        columns = [torch.zeros_like(outputs[:, 0]) for _ in self.powers]
        for form, roots, rows in self._forms(outputs):
            for a in range(len(form)):
                for b in range(len(form)):
                    overlap = torch.zeros_like(columns[0])
                    for c in range(min(a, b) + 1):
                        overlap = overlap + rows[a][c] * rows[b][c]
                    k = position[_add(form[a], form[b])]
                    columns[k] = columns[k] + roots[a] * roots[b] * overlap
        return torch.cat([torch.stack(columns, dim=1), self._background(outputs)], dim=1)

    def _forms(self, outputs: torch.Tensor) -> list[tuple[tuple[Powers, ...], list[torch.Tensor], list[list[torch.Tensor]]]]:
        """Return per form its amplitudes, the roots of the diagonal, and the normalised rows of the triangular matrix."""
        n_diagonal = sum(len(form) for form in self.forms)
        half = 0.5 * (outputs[:, :n_diagonal].clamp(-LARGEST, LARGEST) + self.log_diagonal)
        roots = torch.exp(half)
        done, at, found = 0, n_diagonal, []
        for form in self.forms:
            free = []
            for _ in _pairs(len(form)):
                free.append(outputs[:, at] + self.bias[at - n_diagonal])
                at += 1
            pairs = dict(zip(_pairs(len(form)), free, strict=True))
            rows = [_unit_row([pairs[a, c] for c in range(a)], like=outputs[:, 0]) for a in range(len(form))]
            found.append((form, [roots[:, done + a] for a in range(len(form))], rows))
            done += len(form)
        return found

    def _background(self, outputs: torch.Tensor) -> torch.Tensor:
        first = outputs.shape[1] - self.n_backgrounds
        return torch.exp(outputs[:, first:].clamp(-LARGEST, LARGEST) + self.log_background)


def find_forms(powers: Sequence[Powers]) -> list[tuple[Powers, ...]]:
    """Group the amplitudes into quadratic forms: the largest groups of which all products are monomials.

    Args:
        powers: Powers of u of every monomial.

    Returns:
        The amplitudes of each form, as powers.

    Raises:
        SchemaError: A monomial is in none of the products.

    Examples:
        >>> find_forms([(2,), (1,), (0,)])
        [((0,), (1,))]
        >>> find_forms([(2, 0), (1, 0), (0, 2), (0, 1), (0, 0)])
        [((0, 0), (0, 1)), ((0, 0), (1, 0))]
    """
    monomials = set(powers)
    amplitudes = sorted(tuple(e // 2 for e in p) for p in monomials if all(e % 2 == 0 for e in p))
    found: list[tuple[Powers, ...]] = []
    for size in range(len(amplitudes), 0, -1):
        for group in itertools.combinations(amplitudes, size):
            complete = all(_add(group[i], group[j]) in monomials for i, j in _pairs(size))
            if complete and not any(set(group) <= set(form) for form in found):
                found.append(group)
    reached = {_add(a, b) for form in found for a in form for b in form}
    if reached != monomials:
        left = sorted(monomials - reached)
        remedy = "use a parameterised estimator, which needs no amplitudes"
        raise SchemaError("monomials of the morphing", got=f"powers {left}", expected="products of amplitudes", remedy=remedy)
    return found


def _pairs(n: int) -> list[tuple[int, int]]:
    """List (i, j) with j < i < n."""
    return [(i, j) for i in range(n) for j in range(i)]


def _add(a: Powers, b: Powers) -> Powers:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _squares(form: Sequence[Powers]) -> set[Powers]:
    return {_add(p, p) for p in form}


def _unit_row(free: list[torch.Tensor], *, like: torch.Tensor) -> list[torch.Tensor]:
    """Return the row (free, 1) of a triangular matrix, normalised to length 1."""
    one = torch.ones_like(like)
    square = one
    for value in free:
        square = square + value * value
    length = torch.sqrt(square)
    return [value / length for value in (*free, one)]


def _monomial(u: torch.Tensor, powers: Powers) -> torch.Tensor:
    out = torch.ones_like(u[:, 0])
    for p, power in enumerate(powers):
        for _ in range(power):
            out = out * u[:, p]
    return out

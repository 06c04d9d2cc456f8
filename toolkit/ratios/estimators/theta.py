"""Where a parameterised network learns: values of theta drawn for every event in every epoch, and the densities at them.

Networks and derivatives use the smooth coordinate u = theta**root of `Hypotheses.roots` (sqrt(mu) where mu stands under a root), shifted
and scaled to v = (u - centre) / scale, of order one over the training range. All densities are polynomials in v.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from toolkit.errors import SchemaError
from toolkit.ratios.batches import Batch, Batches
from toolkit.ratios.training_state import digest_of
from toolkit.weights.hypotheses import Hypotheses


class ThetaPrior(Protocol):
    """Where theta is drawn from while a network learns; the result holds for any theta inside, whatever the prior."""

    def draw(self, n: int, hypotheses: Hypotheses, generator: torch.Generator) -> torch.Tensor:
        """Return n points in the smooth coordinate u, (n, n_parameters), float64."""
        ...


@dataclass(frozen=True)
class UniformTheta:
    """Uniform in the smooth coordinate u over the ranges of the hypotheses: for mu denser at small values, like 1 / sqrt(mu)."""

    def draw(self, n: int, hypotheses: Hypotheses, generator: torch.Generator) -> torch.Tensor:
        """Return n points in u, (n, n_parameters), float64."""
        low, high = coordinate_range(hypotheses)
        return low + (high - low) * torch.rand(n, len(low), generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class ListedTheta:
    """A fixed list of points, each equally likely.

    Args:
        points: Values (one parameter) or points, in physical units.
    """

    points: tuple[float | tuple[float, ...], ...]

    def draw(self, n: int, hypotheses: Hypotheses, generator: torch.Generator) -> torch.Tensor:
        """Return n points in u, (n, n_parameters), float64.

        Raises:
            SchemaError: The list is empty. PhysicsDomainError, ShapeError: A point does not fit the hypotheses.
        """
        if not self.points:
            raise SchemaError("theta list", got="no points", expected="at least one")
        u = torch.from_numpy(np.stack([hypotheses.point(p) for p in self.points]) ** hypotheses.roots)
        return u[torch.randint(len(u), (n,), generator=generator)]


@dataclass(frozen=True)
class BalancedTheta:
    """From the constant term alone to the highest power alone, beyond the ranges: for estimators whose theta dependence is exact.

    u = s tan(phi) with phi uniform, where at u = s the highest even power has as many expected events as the constant
    term. A small signal so gets as much attention as a large background, and both signs of u show the interference twice.

    Args:
        largest: Largest tan(phi).
        both_signs: Draw negative u, too: squared amplitudes are densities there as well.
    """

    largest: float = 20.0
    both_signs: bool = True

    def draw(self, n: int, hypotheses: Hypotheses, generator: torch.Generator) -> torch.Tensor:
        """Return n points in u, (n, n_parameters), float64."""
        scales = balance_scales(hypotheses)
        uniform = torch.rand(n, len(scales), generator=generator, dtype=torch.float64)
        if self.both_signs:
            uniform = 2.0 * uniform - 1.0
        return scales * torch.tan(uniform * math.atan(self.largest))


def balance_scales(hypotheses: Hypotheses) -> torch.Tensor:
    """Return for each parameter the u at which its highest even power alone has the expected events of the constant term.

    Where there is no such pair of terms with events, it is the largest |u| of the range.
    """
    powers = hypotheses.exponents / hypotheses.roots
    yields = hypotheses.term_yields[: hypotheses.n_monomials]
    constant = float(yields[np.all(powers == 0.0, axis=1)].sum())
    low, high = coordinate_range(hypotheses)
    scales = torch.maximum(low.abs(), high.abs())
    for p in range(powers.shape[1]):
        alone = np.all(np.delete(powers, p, axis=1) == 0.0, axis=1) & (powers[:, p] > 0) & (powers[:, p] % 2.0 == 0.0) & (yields > 0)
        if constant > 0 and np.any(alone):
            k = int(np.argmax(np.where(alone, powers[:, p], -1.0)))
            scales[p] = (constant / float(yields[k])) ** (1.0 / float(powers[k, p]))
    return scales


def coordinate_range(hypotheses: Hypotheses) -> tuple[torch.Tensor, torch.Tensor]:
    """Return lowest and highest u of every parameter, each (n_parameters,), float64."""
    ranges = torch.tensor(hypotheses.ranges, dtype=torch.float64)
    roots = torch.from_numpy(hypotheses.roots)
    return ranges[:, 0] ** roots, ranges[:, 1] ** roots


class Terms(nn.Module):
    """Terms t_k of the density and their derivatives as functions of v, for tensors of points.

    Args:
        hypotheses: Exponents, yields, ranges.
    """

    centre: torch.Tensor
    scale: torch.Tensor
    share: torch.Tensor

    def __init__(self, hypotheses: Hypotheses) -> None:
        super().__init__()
        low, high = coordinate_range(hypotheses)
        self.powers = tuple(tuple(round(float(e), 9) for e in row) for row in hypotheses.exponents / hypotheses.roots)
        self.roots = tuple(float(r) for r in hypotheses.roots)
        self.n_backgrounds = hypotheses.rows.shape[1] - hypotheses.n_monomials
        self.register_buffer("centre", 0.5 * (low + high))
        self.register_buffer("scale", (high - low) / 12.0**0.5)
        self.register_buffer("share", torch.from_numpy(hypotheses.term_yields / hypotheses.reference_yield))

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Terms:
        """Make the terms of a training again from what `kept` returned."""
        terms = cls.__new__(cls)
        nn.Module.__init__(terms)
        terms.powers, terms.roots = tuple(tuple(row) for row in state["powers"]), tuple(state["roots"])
        terms.n_backgrounds = int(state["n_backgrounds"])
        for name, value in state["buffers"].items():
            terms.register_buffer(name, value)
        return terms

    @property
    def kept(self) -> dict[str, Any]:
        """Everything that the terms hold, as numbers and tensors."""
        return {"powers": self.powers, "roots": self.roots, "n_backgrounds": self.n_backgrounds, "buffers": self.state_dict()}

    def to_v(self, u: torch.Tensor) -> torch.Tensor:
        """Standardise u, (n, n_parameters)."""
        return (u - self.centre) / self.scale

    def to_u(self, v: torch.Tensor) -> torch.Tensor:
        """Undo `to_v`, (n, n_parameters)."""
        return v * self.scale + self.centre

    def from_theta(self, theta: torch.Tensor) -> torch.Tensor:
        """Return v of physical values, (n, n_parameters)."""
        columns = [
            theta[:, p : p + 1] if r == 1.0 else torch.sqrt(theta[:, p : p + 1]) if r == 0.5 else theta[:, p : p + 1] ** r
            for p, r in enumerate(self.roots)
        ]
        return self.to_v(torch.cat(columns, dim=1))

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Compute t_k, (n, n_terms)."""
        u = self.to_u(v)
        columns = [_product(u, row) for row in self.powers]
        columns += [torch.ones_like(u[:, :1])] * self.n_backgrounds
        return torch.cat(columns, dim=1)

    def gradient_at(self, v: torch.Tensor) -> torch.Tensor:
        """Compute d t_k / d v_p, (n, n_parameters, n_terms)."""
        u = self.to_u(v)
        by_parameter = []
        for p in range(u.shape[1]):
            columns = []
            for row in self.powers:
                if row[p] == 0.0:
                    columns.append(torch.zeros_like(u[:, :1]))
                    continue
                lowered = tuple(e - 1.0 if q == p else e for q, e in enumerate(row))
                columns.append(row[p] * self.scale[p] * _product(u, lowered))
            columns += [torch.zeros_like(u[:, :1])] * self.n_backgrounds
            by_parameter.append(torch.cat(columns, dim=1))
        return torch.stack(by_parameter, dim=1)


def _product(u: torch.Tensor, powers: tuple[float, ...]) -> torch.Tensor:
    """Return prod_p u_p ** powers_p, (n, 1), by multiplication for whole powers: portable, exact, fine at 0 and below."""
    out = torch.ones_like(u[:, :1])
    for p, power in enumerate(powers):
        column = u[:, p : p + 1]
        if power == int(power):
            for _ in range(int(power)):
                out = out * column
        else:
            out = out * column**power
    return out


class ThetaBatches:
    """Batches of events, each event with a theta of its own: new in every epoch for training, fixed for validation.

    Args:
        events: Batches of the events.
        prior: Where theta is drawn from.
        hypotheses: Ranges and coordinates.
        terms: Standardises the coordinate.
        seed: Of the points of the validation events.
        n_extra: Further uniform numbers in [0, 1) per event, for an estimator that draws more than theta.
    """

    def __init__(
        self, events: Batches, *, prior: ThetaPrior, hypotheses: Hypotheses, terms: Terms, seed: int, n_extra: int | None = None
    ) -> None:
        self.events, self.prior, self.hypotheses, self.terms, self.seed, self.n_extra = events, prior, hypotheses, terms, seed, n_extra
        self.n_training, self.n_validation, self.batch_size = events.n_training, events.n_validation, events.batch_size

    def training(self, generator: torch.Generator, *, batch_size: int | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch, v (n, n_parameters) and the extra numbers appended."""
        for batch in self.events.training(generator, batch_size=batch_size):
            yield (*batch, *self._draw(batch[0], generator))

    def validation(self) -> Iterator[Batch]:
        """Yield the validation events with the same points every time."""
        generator = torch.Generator().manual_seed(self.seed)
        for batch in self.events.validation():
            yield (*batch, *self._draw(batch[0], generator))

    def digest(self) -> bytes:
        """Hash everything that decides the batches."""
        return digest_of(self.events.digest(), repr((self.prior, self.hypotheses.ranges, self.seed, self.n_extra)).encode())

    def _draw(self, like: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        v = self.terms.to_v(self.prior.draw(len(like), self.hypotheses, generator)).to(like)
        if self.n_extra is None:
            return (v,)
        return v, torch.rand(len(like), self.n_extra, generator=generator).to(like)

"""The parameterisation of the mixture: which densities there are and how a network's outputs (heads) encode them.

A class of events is a process: n amplitudes A_k that interfere, or one alone. With M(x) the real part of A_k* A_l, summed over everything
unobserved, and a fixed diagonal K > 0, the density of a class is tr(K M). The networks separate the classes, and split every coherent one
further. For n_c classes the heads are, per event,

    h[0 .. n_c - 2]   log (p_c / p_0), the logits of the classes after the first
    h[n_c - 1 ..]     for every coherent class its n (n + 1)/2 - 1 heads of `toolkit.ratios.composition`

which make M positive semi-definite whatever the network says: the density of every class is positive at every parameter point and every
event, and a likelihood built on it cannot meet a logarithm of a negative number. Interference is an output of its own and never the
difference of separately trained ratios.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn.functional import log_softmax

from toolkit.ratios import composition


@dataclass(frozen=True)
class EventClass:
    """One process of the mixture.

    Attributes:
        name: Name of the process.
        densities: Names of |A_k|^2 and |A_k + A_l|^2 in the order of the pairs (k, l), k <= l.
        yields: Expected events of each, which define the normalisation of the densities.
        kappas: Diagonal of K, one per amplitude; that of the reference amplitude is 1.
        reference: Position of the reference amplitude.

    Examples:
        >>> gg = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0 / 3.0, 1.0), reference=1)
        >>> gg.n_heads, round(gg.class_yield, 3), EventClass("qqZZ", ("qqZZ",), (500.0,)).n_heads
        (2, 133.333, 0)
    """

    name: str
    densities: tuple[str, ...]
    yields: tuple[float, ...]
    kappas: tuple[float, ...] = (1.0,)
    reference: int = 0

    @property
    def n_amplitudes(self) -> int:
        """Number of amplitudes."""
        return len(self.kappas)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs (k, l), k <= l, in the order of the densities."""
        return tuple(itertools.combinations_with_replacement(range(self.n_amplitudes), 2))

    @property
    def n_heads(self) -> int:
        """Number of heads that split the class."""
        return len(self.pairs) - 1

    @property
    def class_yield(self) -> float:
        """Expected events of the class density tr(K M)."""
        squares = [y for y, (k, m) in zip(self.yields, self.pairs, strict=True) if k == m]
        return sum(kappa * y for kappa, y in zip(self.kappas, squares, strict=True))

    def yield_of(self, products: Sequence[float]) -> float:
        """Return the expected events of the density with coefficients a_k a_l of the pairs.

        Examples:
            >>> EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0 / 3.0, 1.0), reference=1).yield_of((1.0, 1.0, 1.0))
            90.0
        """
        by_pair = dict(zip(self.pairs, self.yields, strict=True))
        terms = [n if k == m else n - by_pair[k, k] - by_pair[m, m] for (k, m), n in by_pair.items()]
        return sum(q * term for q, term in zip(products, terms, strict=True))

    def reference_shares(self) -> dict[str, float]:
        """Fraction of every density in the normalised class density; they sum to 1."""
        kappas = {(k, k): kappa for k, kappa in enumerate(self.kappas)}
        rows = zip(self.densities, self.yields, self.pairs, strict=True)
        return {name: kappas.get(pair, 0.0) * y / self.class_yield for name, y, pair in rows}

    def describe(self) -> str:
        """Write the class density in words."""
        squares = [name for name, (k, m) in zip(self.densities, self.pairs, strict=True) if k == m]
        terms = [name if kappa == 1.0 else f"{kappa:g} {name}" for kappa, name in zip(self.kappas, squares, strict=True)]
        return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


@dataclass(frozen=True)
class Source:
    """One density from which events were generated, where labels say from which: a benchmark of a class, or a class of one amplitude.

    Attributes:
        name: Name of the benchmark.
        event_class: Position of its class.
        products: Products v_k v_l of its vector, one per pair (k, l), k <= l.
    """

    name: str
    event_class: int
    products: tuple[float, ...]


@dataclass(frozen=True)
class Mixture:
    """All densities of an analysis and their expected yields.

    Attributes:
        classes: The processes, in the order of the logits.
        sources: What the events were generated from, where the networks learn from these labels alone; empty where every event knows
            its weights under all densities.

    Examples:
        >>> gg = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0 / 3.0, 1.0), reference=1)
        >>> mixture = Mixture((gg, EventClass("qqZZ", ("qqZZ",), (500.0,))))
        >>> mixture.processes, mixture.n_heads, [round(n, 3) for n in mixture.class_yields]
        (('S', 'SBI', 'B', 'qqZZ'), 3, [133.333, 500.0])
        >>> {name: round(share, 3) for name, share in mixture.reference_fractions().items()}
        {'S': 0.125, 'SBI': 0.0, 'B': 0.375, 'qqZZ': 0.5}
    """

    classes: tuple[EventClass, ...]
    sources: tuple[Source, ...] = ()

    @property
    def processes(self) -> tuple[str, ...]:
        """All densities in the order of the outputs."""
        return tuple(name for c in self.classes for name in c.densities)

    @property
    def yields(self) -> tuple[float, ...]:
        """Expected events of each density."""
        return tuple(y for c in self.classes for y in c.yields)

    @property
    def n_logits(self) -> int:
        """Number of class logits."""
        return len(self.classes) - 1

    @property
    def n_heads(self) -> int:
        """Number of outputs of a network."""
        return self.n_logits + sum(c.n_heads for c in self.classes)

    @property
    def coherent(self) -> tuple[int, ...]:
        """Positions of the classes whose amplitudes interfere."""
        return tuple(k for k, c in enumerate(self.classes) if c.n_heads)

    @property
    def class_yields(self) -> tuple[float, ...]:
        """Expected events of the class densities."""
        return tuple(c.class_yield for c in self.classes)

    @property
    def reference(self) -> str:
        """The reference density in words: every class with equal probability."""
        return f"equal mixture of the normalised densities of {', '.join(c.describe() for c in self.classes)}"

    @cached_property
    def _columns(self) -> tuple[slice, ...]:
        """Heads of every class."""
        starts = list(itertools.accumulate([self.n_logits, *(c.n_heads for c in self.classes)]))
        return tuple(slice(a, b) for a, b in itertools.pairwise(starts))

    def reference_fractions(self) -> dict[str, float]:
        """Probability of each density in the reference density; they sum to 1."""
        n = len(self.classes)
        return {name: share / n for c in self.classes for name, share in c.reference_shares().items()}

    def columns(self, k: int) -> slice:
        """Return where the heads of class k are."""
        return self._columns[k]

    def class_logits(self, heads: torch.Tensor) -> torch.Tensor:
        """Return log p_class up to a common constant, shape (n, n_classes)."""
        return torch.cat([torch.zeros_like(heads[:, :1]), heads[:, : self.n_logits]], dim=1)

    def log_ratios(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute log p_j / p_ref of every density (numerator p_j), shape (n, n_densities)."""
        found = log_softmax(self.class_logits(heads), dim=1) + torch.log(torch.tensor(float(len(self.classes)), dtype=heads.dtype))
        parts = []
        for k, c in enumerate(self.classes):
            if not c.n_heads:
                parts.append(found[:, k : k + 1])
                continue
            inside = composition.log_densities(heads[:, self.columns(k)], c.kappas, c.reference)
            offset = torch.log(torch.tensor([c.class_yield / n for n in c.yields], dtype=heads.dtype))
            parts.append(found[:, k : k + 1] + inside + offset)
        return torch.cat(parts, dim=1)

    def source_log_ratios(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute ln of the normalised density of every source, up to what is common to all of them, (n, n_sources)."""
        logits, columns = self.class_logits(heads), []
        for source in self.sources:
            c = self.classes[source.event_class]
            column = logits[:, source.event_class]
            if c.n_heads:
                inside = self.mixed(heads, source.event_class, source.products)
                if inside is None:
                    msg = f"source {source.name} without a density"
                    raise ValueError(msg)
                column = column + torch.log(inside.clamp_min(composition.TINY)) + math.log(c.class_yield / c.yield_of(source.products))
            columns.append(column)
        return torch.stack(columns, dim=1)

    def products(self, heads: torch.Tensor, k: int) -> list[torch.Tensor]:
        """Return M_kk and 2 M_kl of class k relative to its density tr(K M), one (n,) per pair."""
        c = self.classes[k]
        if not c.n_heads:
            return [torch.ones_like(heads[:, 0])]
        return composition.products(heads[:, self.columns(k)], c.kappas, c.reference)

    def mixed(self, heads: torch.Tensor, k: int, numbers: tuple[float, ...]) -> torch.Tensor | None:
        """Return the density of class k with coefficients a_k a_l of its pairs, relative to tr(K M), (n,); None where all are zero."""
        c = self.classes[k]
        if not c.n_heads:
            return torch.ones_like(heads[:, 0]) * numbers[0] if numbers[0] else None
        return composition.mixed(heads[:, self.columns(k)], c.kappas, c.reference, numbers)

    def densities(self, heads: torch.Tensor) -> list[torch.Tensor | None]:
        """Return the density of every class at its yield over that of the first class, each (n,); None stands for 1, the first."""
        ratios = [torch.exp(heads[:, k]) * (n / self.class_yields[0]) for k, n in enumerate(self.class_yields[1:])]
        return [None, *ratios]

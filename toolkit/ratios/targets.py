"""What the networks learn from: per event, from the matrix of process weights, without sampling noise in the differences.

An interfering event carries its weights under S, SBI and B, which are the joint densities at its generated phase-space
point. Regressing the share kappa S / G and the interference I / G on the observables gives the ratios of the marginal densities
(the mean of a joint ratio over the unobserved is the marginal ratio: Brehmer et al., arXiv:1805.00020, eq. 9), and because all
three weights belong to the same event their differences carry no sampling noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import one_hot

from toolkit.errors import PhysicsDomainError
from toolkit.ratios.structure import Mixture
from toolkit.weights import SimulatedEvents

SIGNAL_SHARE = 0.25
"""Share of signal in the class G: enough for the networks to see it, while most of G still looks like the background."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Training targets of n events.

    Attributes:
        label: Class of the event, 0 for G, 1 .. n_b for the backgrounds, shape (n,), int64; if events carry weights of several
            classes (all matrix elements are known at every event), the probability of each class given the event, shape (n, 1 + n_b).
        weight: Event weight, every class normalised to the same sum, mean 1 over all events, shape (n,).
        signal: Target of the signal's share kappa S / G, in [0, 1]; 0 outside G, shape (n,).
        interference: Target of I / G; 0 outside G, shape (n,).
    """

    label: torch.Tensor
    weight: torch.Tensor
    signal: torch.Tensor
    interference: torch.Tensor

    def __len__(self) -> int:
        return len(self.label)

    def select(self, rows: torch.Tensor) -> Targets:
        """Return the targets of some rows."""
        return Targets(self.label[rows], self.weight[rows], self.signal[rows], self.interference[rows])

    def to(self, dtype: torch.dtype, device: str = "cpu") -> Targets:
        """Return the targets with floats of another type, on another device."""
        floats = [t.to(device=device, dtype=dtype) for t in (self.weight, self.signal, self.interference)]
        return Targets(self.label.to(device, dtype if self.label.is_floating_point() else None), *floats)

    def shares(self, n_classes: int) -> torch.Tensor:
        """Return the probability of each class given the event, shape (n, n_classes)."""
        return self.label if self.label.is_floating_point() else one_hot(self.label, n_classes).to(self.weight.dtype)

    def of_g(self) -> tuple[torch.Tensor, Targets]:
        """Return the rows that belong to the class G, at least in part, and their targets, weighted with their part in G."""
        if not self.label.is_floating_point():
            rows = torch.nonzero(self.label == 0)[:, 0]
            return rows, self.select(rows)
        rows = torch.nonzero(self.label[:, 0] > 0)[:, 0]
        part = self.select(rows)
        return rows, replace(part, weight=part.weight * part.label[:, 0])


def describe_mixture(events: SimulatedEvents, *, signal: str, interfering: str, background: str) -> Mixture:
    """Take the normalisation of the densities from simulated events.

    Raises:
        PhysicsDomainError: A process has no expected events.

    Examples:
        >>> import numpy as np
        >>> ids, zeros = np.arange(1, dtype=np.uint64), np.zeros(1, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "SBI", "B", "qqZZ"), ids, zeros, ("SBI",), {}, np.array([[10.0, 90.0, 100.0, 500.0]]))
        >>> mixture = describe_mixture(events, signal="S", interfering="SBI", background="B")
        >>> mixture.backgrounds, round(mixture.kappa, 3)  # kappa S is a quarter of kappa S + B
        (('qqZZ',), 3.333)
    """
    yields = dict(zip(events.processes, (float(y) for y in events.yields), strict=True))
    empty = [name for name, value in yields.items() if not value > 0]
    if empty:
        remedy = "check the selection and the weights of this process"
        raise PhysicsDomainError(f"process {empty[0]}", got=f"{yields[empty[0]]:g} expected events", expected="> 0", remedy=remedy)
    backgrounds = tuple(name for name in events.processes if name not in {signal, interfering, background})
    ordered = tuple(yields[name] for name in (signal, interfering, background, *backgrounds))
    kappa = SIGNAL_SHARE / (1.0 - SIGNAL_SHARE) * yields[background] / yields[signal]
    return Mixture(signal, interfering, background, backgrounds, ordered, kappa)


def make_targets(events: SimulatedEvents, mixture: Mixture) -> Targets:
    """Turn the weights of simulated events into training targets (float64).

    Raises:
        PhysicsDomainError: The weight of an event in its class is negative (it could not be interpreted as a density).
    """
    column = {name: torch.from_numpy(events.weights[:, j].copy()) for j, name in enumerate(events.processes)}
    s, sbi, b = (column[name] for name in (mixture.signal, mixture.interfering, mixture.background))
    total = mixture.kappa * s + b
    classes = torch.stack([total, *(column[name] for name in mixture.backgrounds)], dim=1)
    _refuse_negative(classes, events)
    sums = classes.sum(dim=0)
    several = bool(((classes > 0).sum(dim=1) > 1).any())
    weight = (classes / sums).sum(dim=1)
    in_g = total > 0
    safe = torch.where(in_g, total, torch.ones_like(total))
    return Targets(
        label=classes / sums / torch.where(weight > 0, weight, torch.ones_like(weight))[:, None] if several else classes.argmax(dim=1),
        weight=weight * (len(events) / classes.shape[1]),
        signal=torch.where(in_g, mixture.kappa * s / safe, torch.zeros_like(s)),
        interference=torch.where(in_g, (sbi - s - b) / safe, torch.zeros_like(s)),
    )


def _refuse_negative(classes: torch.Tensor, events: SimulatedEvents) -> None:
    negative = (classes < 0).any(dim=1)
    if bool(negative.any()):
        i = int(negative.int().argmax())
        raise PhysicsDomainError(
            f"event {events.event_id[i]} of sample {events.samples[events.sample_index[i]]}",
            got=f"weight {float(classes[i].min()):g} ({int(negative.sum())} such events)",
            expected="weights >= 0 in the samples that train the ratios",
            remedy="for a background set `ratios.negative_weights: resample`; otherwise generate without negative weights",
        )

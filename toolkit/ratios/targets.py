"""What the networks learn from: per event, from the matrix of process weights, without sampling noise in the differences.

An event of a process whose amplitudes interfere carries its weights under all densities |A_k|^2 and |A_k + A_l|^2, which are the joint
densities at its generated phase-space point. Regressing the shares K_k M_kk / tr(K M) and the interferences 2 M_kl / tr(K M) on the
observables gives the ratios of the marginal densities (the mean of a joint ratio over the unobserved is the marginal ratio: Brehmer et al.,
arXiv:1805.00020, eq. 9), and because all weights belong to the same event their differences carry no sampling noise.

Where samples were generated separately an event knows no more than the benchmark it came from. With the benchmarks v_b in equal
numbers p(b | x) is proportional to v_b^T M(x) v_b / nu_b, so that cross-entropy over these labels trains the same heads
(`toolkit.ratios.labels`); expectations of shares and interferences are then differences of sums over samples (`Targets.moments`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import one_hot

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.model import Model, Process, class_matrix, learned_densities
from toolkit.ratios.structure import EventClass, Mixture, Source
from toolkit.weights import SimulatedEvents


@dataclass(frozen=True, eq=False)
class Targets:
    """Training targets of n events.

    Attributes:
        label: Class of the event, shape (n,), int64; if events carry weights of several classes (all matrix elements are known at every
            event), the probability of each class given the event, shape (n, n_classes).
        weight: Event weight, every class normalised to the same sum, mean 1 over all events, shape (n,).
        composition: For every coherent class, in the order of its heads, the shares of all amplitudes but the reference and the
            interferences 2 M_kl / tr(K M) row by row; 0 outside the class, shape (n, number of heads that split classes).
        moments: Weight times composition, like the latter, of events that know the weight of one benchmark: its sums over all events are
            right, while the composition of one event is not known. None where it is the product.
        sources: Weight of the event under every source of the mixture, each normalised to the same sum, mean 1 over all events,
            (n, n_sources), where the networks learn from labels.
    """

    label: torch.Tensor
    weight: torch.Tensor
    composition: torch.Tensor
    moments: torch.Tensor | None = None
    sources: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.label)

    def select(self, rows: torch.Tensor) -> Targets:
        """Return the targets of some rows."""
        return self._each(lambda t: t[rows])

    def to(self, dtype: torch.dtype, device: str = "cpu") -> Targets:
        """Return the targets with floats of another type, on another device."""
        return self._each(lambda t: t.to(device, dtype if t.is_floating_point() else None))

    def times(self, counts: torch.Tensor) -> Targets:
        """Return the targets of events that happened several times, (n,)."""
        moments = None if self.moments is None else self.moments * counts[:, None]
        sources = None if self.sources is None else self.sources * counts[:, None]
        return replace(self, weight=self.weight * counts, moments=moments, sources=sources)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Targets:
        moments = None if self.moments is None else change(self.moments)
        sources = None if self.sources is None else change(self.sources)
        return Targets(change(self.label), change(self.weight), change(self.composition), moments, sources)

    def shares(self, n_classes: int) -> torch.Tensor:
        """Return the probability of each class given the event, shape (n, n_classes)."""
        return self.label if self.label.is_floating_point() else one_hot(self.label, n_classes).to(self.weight.dtype)

    def of_class(self, k: int, mixture: Mixture) -> tuple[torch.Tensor, Targets]:
        """Return the rows that belong to class k, at least in part, and their targets of its heads, weighted with their part in it."""
        columns = slice(mixture.columns(k).start - mixture.n_logits, mixture.columns(k).stop - mixture.n_logits)
        if not self.label.is_floating_point():
            rows = torch.nonzero(self.label == k)[:, 0]
            part = self.select(rows)
        else:
            rows = torch.nonzero(self.label[:, k] > 0)[:, 0]
            part = self.select(rows)
            part = replace(part, weight=part.weight * part.label[:, k])
        moments = None if part.moments is None else part.moments[:, columns]
        return rows, replace(part, composition=part.composition[:, columns], moments=moments)

    def moment(self, column: int) -> torch.Tensor:
        """Return weight times one column of the composition, (n,)."""
        return self.weight * self.composition[:, column] if self.moments is None else self.moments[:, column]


def describe_mixture(events: SimulatedEvents, model: Model) -> Mixture:
    """Take the normalisation of the densities from simulated events.

    Args:
        events: Processes: the learned densities of the model's processes.
        model: The physics model.

    Raises:
        SchemaError: The benchmarks of a process do not determine its matrix, or densities are missing.
        PhysicsDomainError: A density has no expected events.

    Examples:
        >>> import numpy as np
        >>> from toolkit.model import ModelParameter
        >>> gg = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> model = Model((ModelParameter("mu", range=(0.0, 6.0)),), (gg, Process.build("qqZZ", {"A": "1"})))
        >>> ids, zeros = np.arange(1, dtype=np.uint64), np.zeros(1, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "SBI", "B", "qqZZ"), ids, zeros, ("SBI",), {}, np.array([[10.0, 90.0, 100.0, 500.0]]))
        >>> mixture = describe_mixture(events, model)
        >>> mixture.processes, round(mixture.classes[0].kappas[0], 3)  # kappa S is a quarter of kappa S + B
        (('S', 'SBI', 'B', 'qqZZ'), 3.333)
    """
    yields = dict(zip(events.processes, (float(y) for y in events.yields), strict=True))
    empty = [name for name, value in yields.items() if not value > 0]
    if empty:
        remedy = "check the selection and the weights of this process"
        raise PhysicsDomainError(f"process {empty[0]}", got=f"{yields[empty[0]]:g} expected events", expected="> 0", remedy=remedy)
    mixture = Mixture(tuple(_event_class(process, yields) for process in model.processes), describe_sources(events, model))
    if mixture.n_heads == 0:
        raise SchemaError(
            f"process {model.processes[0].name!r}",
            got="one process of one amplitude, and no other: there is nothing to learn, its density is the reference",
            expected="two processes, or two amplitudes",
            remedy="add a background, or count events: a workspace of one bin measures all that there is",
        )
    return mixture


def describe_sources(events: SimulatedEvents, model: Model) -> tuple[Source, ...]:
    """List what the events were generated from, if the networks have to learn from that alone.

    Args:
        events: See `describe_mixture`.
        model: The physics model.

    Returns:
        The benchmarks of which there are events for every process with separate samples, the learned densities of the others, and of a
        process of which a sample holds the interference alone: its events have a sign and no density, while with those of the other
        samples they make up |A_k + A_l|^2. None where no process has separate samples.
    """
    if events.benchmark_weights is None:
        return ()
    filled = {name for name, column in zip(events.benchmarks, events.benchmark_weights.T, strict=True) if np.any(column)}
    found = []
    for k, process in enumerate(model.processes):
        apart = process.n_amplitudes > 1 and set(process.benchmark_names) <= set(events.benchmarks)
        chosen = [b for b in process.benchmarks if b.name in filled] if apart else []
        if not (chosen and all(process.is_density(b) for b in chosen)):
            chosen = list(learned_densities(process))
        found += [Source(b.name, k, tuple(float(q) for q in row)) for b, row in zip(chosen, process.rows(chosen), strict=True)]
    return tuple(found)


def _event_class(process: Process, yields: dict[str, float]) -> EventClass:
    densities = learned_densities(process)
    names = tuple(d.name for d in densities)
    missing = [name for name in names if name not in yields]
    if missing:
        raise SchemaError(f"densities of process {process.name!r}", got=f"events without {missing}", expected=f"weights of {list(names)}")
    if len(densities) != len(process.pairs):
        raise SchemaError(
            f"process {process.name!r}",
            got=f"benchmarks {list(names)} that do not determine the {len(process.pairs)} products of its amplitudes",
            expected="enough benchmarks, so that positive densities can be learned",
            remedy="add benchmarks, or run `h4l process` alone and use the estimators of toolkit.ratios",
        )
    squares = {process.amplitude_names[k]: yields[n] for n, (k, m) in zip(names, process.pairs, strict=True) if k == m}
    kappas = class_matrix(process, squares).diagonal()
    reference = int((kappas == 1.0).nonzero()[0][-1])
    return EventClass(process.name, names, tuple(yields[n] for n in names), tuple(float(x) for x in kappas), reference)


def make_targets(events: SimulatedEvents, mixture: Mixture) -> Targets:
    """Turn the weights of simulated events into training targets (float64).

    Raises:
        PhysicsDomainError: The weight of an event in its class is negative (it could not be interpreted as a density).
    """
    if mixture.sources:
        return _label_targets(events, mixture)
    column = {name: torch.from_numpy(events.weights[:, j].copy()) for j, name in enumerate(events.processes)}
    totals, compositions = [], []
    for c in mixture.classes:
        total, parts = _split(c, [column[name] for name in c.densities])
        totals.append(total)
        compositions += parts
    classes = torch.stack(totals, dim=1)
    _refuse_negative(classes, events)
    sums = classes.sum(dim=0)
    several = bool(((classes > 0).sum(dim=1) > 1).any())
    weight = (classes / sums).sum(dim=1)
    nothing = torch.zeros(len(events), 0, dtype=torch.float64)
    return Targets(
        label=classes / sums / torch.where(weight > 0, weight, torch.ones_like(weight))[:, None] if several else classes.argmax(dim=1),
        weight=weight * (len(events) / classes.shape[1]),
        composition=torch.stack(compositions, dim=1) if compositions else nothing,
    )


def _label_targets(events: SimulatedEvents, mixture: Mixture) -> Targets:
    """Turn events that know the weight of one benchmark into targets: sums over samples, and the labels."""
    column = {name: torch.from_numpy(events.weights[:, j].copy()) for j, name in enumerate(events.processes)}
    labels = source_labels(events, mixture)
    totals, moments = [], []
    for c in mixture.classes:
        by_pair = dict(zip(c.pairs, [column[name] for name in c.densities], strict=True))
        squares = [by_pair[k, k] for k in range(c.n_amplitudes)]
        terms = [kappa * w for kappa, w in zip(c.kappas, squares, strict=True)]
        totals.append(torch.stack(terms).sum(dim=0))
        wanted = [term for k, term in enumerate(terms) if k != c.reference]
        wanted += [by_pair[m, k] - squares[m] - squares[k] for k in range(c.n_amplitudes) for m in range(k)]
        moments += [w * (len(events) / len(mixture.classes) / float(totals[-1].sum())) for w in wanted]
    in_class = torch.zeros(len(events), len(mixture.classes), dtype=torch.float64)
    for k, source in enumerate(mixture.sources):
        in_class[:, source.event_class] += labels[:, k]
    label = in_class.argmax(dim=1)
    weights = torch.stack([total / total.sum() for total in totals], dim=1).gather(1, label[:, None])[:, 0]
    found = torch.stack(moments, dim=1) if moments else torch.zeros(len(events), 0, dtype=torch.float64)
    return Targets(label, weights * (len(events) / len(mixture.classes)), torch.zeros_like(found), found, labels)


def source_labels(events: SimulatedEvents, mixture: Mixture) -> torch.Tensor:
    """Return the weight of every event under every source, each source normalised to the same sum, mean 1 over events, (n, n_sources).

    A source that is a sum over samples, one of which holds the interference alone, has weights of either sign; the cross-entropy is linear
    in them, so that its expectation is right.

    Raises:
        PhysicsDomainError: A weight of another source is negative, or a source has none.
    """
    known = {name: events.weights[:, j] for j, name in enumerate(events.processes)}
    if events.benchmark_weights is not None:
        known |= {name: events.benchmark_weights[:, j] for j, name in enumerate(events.benchmarks)}
    columns = torch.from_numpy(np.stack([known[source.name] for source in mixture.sources], axis=1))
    signed = {d for c in mixture.classes for d in c.densities if c.n_amplitudes > 1} - set(events.benchmarks)
    _refuse_negative(columns[:, [source.name not in signed for source in mixture.sources]], events)
    sums = columns.sum(dim=0)
    empty = [source.name for source, total in zip(mixture.sources, sums.tolist(), strict=True) if not total > 0.0]
    if empty:
        raise PhysicsDomainError(f"samples of {empty}", got="no weight among the training events", expected="events of every benchmark")
    return columns / sums * (len(events) / len(mixture.sources))


def _split(c: EventClass, weights: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the weight of each event in a class, and the targets of the heads of the class."""
    by_pair = dict(zip(c.pairs, weights, strict=True))
    squares = [by_pair[k, k] for k in range(c.n_amplitudes)]
    terms = [w if kappa == 1.0 else kappa * w for kappa, w in zip(c.kappas, squares, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    inside = total > 0
    safe = torch.where(inside, total, torch.ones_like(total))
    wanted = [term for k, term in enumerate(terms) if k != c.reference]
    wanted += [by_pair[m, k] - squares[m] - squares[k] for k in range(c.n_amplitudes) for m in range(k)]
    return total, [torch.where(inside, w / safe, torch.zeros_like(w)) for w in wanted]


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

"""Samples that are parts of one phase space: which of their events count, and whether two of them hold the same part.

A condition `where` of a sample keeps its part: a slice of a generated mass, events without the jet that another sample has. Samples of one
process (of one benchmark, where a process interferes) add up. So the condition of one must be false for every event of another: an event
that fulfils both is in a part that is counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from processors.selection import Selected, sum_weights
from toolkit.config import Config, SampleConfig
from toolkit.errors import ArtifactMismatchError
from toolkit.expressions import Condition
from toolkit.kinematics import OBSERVABLES
from toolkit.model.model import Model
from toolkit.typing import FloatArray


def adds_to(config: Config, sample: SampleConfig) -> tuple[SampleConfig, ...]:
    """Return the other simulated samples of the process and benchmark of a sample: their events add up with its own."""
    if sample.kind == "data" or not config.general:  # in the short form every background is a process of its own
        return ()
    return tuple(s for s in config.simulated if s.name in partners_of(config.model, sample.name))


def partners_of(model: Model, name: str) -> frozenset[str]:
    """Return the names of samples that add up with one.

    Examples:
        >>> from toolkit.model import Process, Sample
        >>> model = Model((), (Process.build("qq", {"A": "1"}),), tuple(Sample(n, "qq", "qq", ("qq",)) for n in ("low", "high")))
        >>> sorted(partners_of(model, "low"))
        ['high']
    """
    own = next(s for s in model.samples if s.name == name)
    others = (s for s in model.samples_of(own.process) if s.name != name)
    return frozenset(s.name for s in others if s.benchmark == own.benchmark and own.benchmark)


def slice_branches(config: Config, sample: SampleConfig) -> tuple[str, ...]:
    """Return the branches with a number per event that the condition of a sample needs."""
    return _branches(config, sample.where)


def foreign_branches(config: Config, sample: SampleConfig) -> tuple[str, ...]:
    """Return those that the conditions of samples need which add up with it; it may lack them."""
    if not any(s.where for s in config.simulated):
        return ()
    return tuple(dict.fromkeys(name for other in adds_to(config, sample) for name in _branches(config, other.where)))


def is_branch(config: Config, name: str) -> bool:
    """Return whether a name in the condition of a sample is that of a branch of the event: no observable, and no column of the config."""
    return name not in OBSERVABLES and name not in config.columns


def _branches(config: Config, where: str) -> tuple[str, ...]:
    names = Condition.parse(where).names if where else ()
    return tuple(name for name in names if is_branch(config, name))


@dataclass(frozen=True)
class Slice:
    """The part of a phase space that a sample stands for.

    Args:
        sample: Its name.
        where: Its condition; None for none.
        others: Conditions of samples that add up with it, by name.
    """

    sample: str
    where: Condition | None
    others: Mapping[str, Condition]

    @classmethod
    def of(cls, config: Config, sample: SampleConfig) -> Slice:
        """Read the conditions of a sample and of those that add up with it."""
        others = {s.name: Condition.parse(s.where) for s in adds_to(config, sample) if s.where}
        return cls(sample.name, Condition.parse(sample.where) if sample.where else None, others)

    def only(self, other: str) -> Slice:
        """Return the same part beside one of the other samples."""
        return replace(self, others={other: self.others[other]})

    def names(self, columns: Mapping[str, FloatArray]) -> tuple[str, ...]:
        """Return the observables and columns that the conditions need, as far as the events have them."""
        wanted = [*(self.where.names if self.where else ()), *(n for c in self.others.values() for n in c.names)]
        return tuple(dict.fromkeys(n for n in wanted if n in OBSERVABLES or n in columns))

    def apply(self, selected: Selected, weight: FloatArray, event: Any) -> Selected:
        """Keep the events of the sample's own part, and check that none of them is in that of another.

        Args:
            selected: Selected events with the observables of `names`.
            weight: Their weights, (n,), for the cut flow.
            event: Their numbers, (n,), for messages.

        Raises:
            ArtifactMismatchError: An event that is kept fulfils the condition of a sample that it adds up with.
        """
        kept = np.ones(len(selected.index), dtype=bool)
        if self.where is not None:
            kept = self.where.evaluate({name: selected.observables[name] for name in self.where.names})
            line = {f"sample: {self.where}": sum_weights(weight[kept])}
            selected = replace(selected, cutflow={**selected.cutflow, **line}).take(kept)
        for name, condition in self.others.items():
            if set(condition.names) <= set(selected.observables):
                both = condition.evaluate({n: selected.observables[n] for n in condition.names})
                if both.any():
                    raise self._overlap(name, condition, both, event[kept])
        return selected

    def _overlap(self, other: str, condition: Condition, both: Any, event: Any) -> ArtifactMismatchError:
        own = "has no `where`" if self.where is None else f"has `where: {self.where}`"
        first = ", ".join(str(number) for number in event[both][:3])
        return ArtifactMismatchError(
            f"samples {self.sample} and {other}, which add up",
            got=f"{int(both.sum())} of {len(both)} selected events of {self.sample} in this chunk (first {first}) fulfil `{condition}`, "
            f"the part of {other}; {self.sample} {own}",
            expected="every part of phase space in one sample",
            remedy=f"leave them out with `where: not ({condition})` of {self.sample}, or give it another process if it is other physics",
        )

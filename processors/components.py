"""K-factors of the components of an interfering process: K_S S + K_I I + K_B B, event by event.

The weights of an event under benchmarks are linear in the products of amplitudes, w = D m, so the products that an event has are
m = D^+ w, and the corrected weights w + D (K - 1) m: exact where the benchmarks determine the products, and w itself where every K is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.corrections import Correction, correction_inputs
from toolkit.config import Config, SampleConfig
from toolkit.config.kfactors import component_variations
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.model.processes import Process, component_names
from toolkit.typing import FloatArray


def component_inputs(config: Config, sample: SampleConfig) -> tuple[str, ...]:
    """Return the observables and branches of the event that the k-factors of a sample's components need, once each."""
    found = _factors_of(config, sample)
    return () if found is None else tuple(dict.fromkeys(n for c in found[2].values() for n in correction_inputs(c.section)))


def component_tables(config: Config, sample: SampleConfig) -> dict[str, tuple[int, str]]:
    """Return the variations of k-factors of a sample by name, NAME_up and NAME_down: position of the component, direction."""
    found = _factors_of(config, sample)
    if found is None:
        return {}
    names = component_names(found[0].amplitude_names)
    own = {name: names.index(c) for name, (process, c) in component_variations(config.k_factors).items() if process == found[0].name}
    return {f"{name}_{direction}": (position, direction) for name, position in own.items() for direction in ("up", "down")}


def _factors_of(config: Config, sample: SampleConfig) -> tuple[Process, str, dict[int, Correction]] | None:
    """Return process, own benchmark and corrections by position of the component; None without any."""
    if not config.k_factors or sample.kind != "simulation":
        return None
    model = config.model
    own = next(s for s in model.samples if s.name == sample.name)
    process = model.process(own.process)
    sections = config.k_factors.get(process.name)
    if not sections:
        return None
    names = component_names(process.amplitude_names)
    return process, own.benchmark, {names.index(name): Correction(f"k_factors.{process.name}.{name}", c) for name, c in sections.items()}


@dataclass(frozen=True)
class _Basis:
    """Content of the carried benchmarks in products of amplitudes, (n_benchmarks, n_products), its inverse, and the own benchmark's row.

    A sample that was generated under none of the benchmarks has no row of its own, and its own weight no k-factors.
    """

    rows: FloatArray
    inverse: FloatArray
    own: int | None


class SampleComponents:
    """K-factors of the components of one sample.

    Args:
        config: The analysis.
        sample: Its section of the config.

    Raises:
        SchemaError: The sample cannot tell its components apart: it has the weights of too few benchmarks.
    """

    def __init__(self, config: Config, sample: SampleConfig) -> None:
        self.sample = sample.name
        self.inputs = component_inputs(config, sample)
        found = _factors_of(config, sample)
        self.corrections = {} if found is None else found[2]
        self.constant = 1.0
        if found is None:
            return
        process, own, _ = found
        numbers = [self.corrections[k].constant if k in self.corrections else 1.0 for k in range(len(process.pairs))]
        if numbers[0] is not None and all(number == numbers[0] for number in numbers):
            self.constant = numbers[0]
        self.variations = component_tables(config, sample)
        self.basis = self._basis(process, own, sample.benchmarks or (own,))

    @property
    def changes_weights(self) -> bool:
        """Whether factors differ between components or events, so that they are not part of the normalisation alone."""
        if not self.corrections:
            return False
        numbers = {c.constant for c in self.corrections.values()} | ({1.0} if len(self.corrections) < self.basis.rows.shape[1] else set())
        return len(numbers) > 1 or None in numbers

    def _basis(self, process: Process, own: str, carried: tuple[str, ...]) -> _Basis:
        rows = process.rows([b for name in carried for b in process.benchmarks if b.name == name])
        alone = len(carried) == 1 and np.count_nonzero(rows) == 1
        if (own and own not in carried) or not (alone or np.linalg.matrix_rank(rows) == len(process.pairs)):
            raise SchemaError(
                f"k_factors.{process.name}, sample {self.sample}",
                got=f"weights of the benchmarks {list(carried)}, generated under {own or 'none'}",
                expected="weights that tell its components apart, its own among them, or a sample of one component alone",
                remedy="list more benchmarks, or give all components one `k_factor`",
            )
        return _Basis(rows, np.asarray(np.linalg.pinv(rows), dtype=np.float64), carried.index(own) if own else None)

    def apply(
        self, ratios: FloatArray, values: Mapping[str, FloatArray], event: NDArray[Any], variation: str
    ) -> tuple[FloatArray, FloatArray]:
        """Return the factor of the sample's own weight, (n,), and the weights under its benchmarks, (n, n_benchmarks), relative as before.

        Args:
            ratios: Weights under the benchmarks relative to the own one, (n, n_benchmarks); (n, 0) where the sample carries none.
            values: Observables and branches of the events, (n,) each.
            event: Event numbers, (n,), for messages.
            variation: A name of `component_tables`, or anything else for the nominal factors.

        Raises:
            PhysicsDomainError: A total becomes negative; the event is named.
        """
        position, direction = self.variations.get(variation, (-1, ""))
        n = len(event)
        k = np.ones((n, self.basis.rows.shape[1]))
        for i, correction in self.corrections.items():
            k[:, i] = correction(values, direction if i == position else correction.section.nominal)
        k /= self.constant  # what all have in common is part of the normalisation
        before = ratios if ratios.shape[1] else np.ones((n, 1))
        products = before @ self.basis.inverse.T
        same = np.all(k == k[:, :1], axis=1)
        after = np.where(same[:, np.newaxis], before * k[:, :1], before + (products * (k - 1.0)) @ self.basis.rows.T)
        self._require_positive(before, after, event)
        own = self.basis.own
        factor = np.ones(n) if own is None else after[:, own] / before[:, own]
        return factor, after if ratios.shape[1] else ratios

    def _require_positive(self, before: FloatArray, after: FloatArray, event: NDArray[Any]) -> None:
        bad = np.flatnonzero(np.any((before >= 0) & ~(after >= 0), axis=1))
        if len(bad):
            raise PhysicsDomainError(
                f"k-factors of event {event[bad[0]]} of sample {self.sample}",
                got=f"weights {after[bad[0]].tolist()} relative to its own ({len(bad)} such among the selected events of this chunk)",
                expected="no negative total: K_I^2 <= K_S K_B makes sure of that",
                remedy="correct the k-factors of the components",
            )

"""Object systematics: energy scale and resolution of electrons, muons and jets, applied before the selection.

A shifted chunk goes through the whole selection again, so that thresholds, pairing, jet counting and overlap see the
shifted momenta. Scales multiply the transverse momentum (of jets the mass too, of leptons the mass stays that of the
particle); directions do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from processors.correctionfile import described_inputs, evaluate_typed, open_set_member
from processors.formats.record import EventRecord
from processors.particles import Particles
from toolkit.config import Config, CorrectionFile, ObjectShift, SampleConfig, ShiftBins
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray
from toolkit.weights.splits import hash_uniform

FIELDS = {"electron": "electrons", "muon": "muons", "jet": "jets"}
SMALLEST_FACTOR = 0.01
"""No smearing takes more than 99 % of a momentum: it must stay positive."""


@dataclass(frozen=True)
class ShiftedObjects:
    """One variation of a chunk: a named shift of one kind of object in one direction.

    Args:
        name: Name of the variation, ``<systematic>_up`` or ``<systematic>_down``.
        systematic: Name of the systematic in the config.
        shift: Its section of the config.
        direction: ``up`` or ``down``.
    """

    name: str
    systematic: str
    shift: ObjectShift
    direction: str

    def apply(self, record: EventRecord) -> EventRecord:
        """Shift the objects of a chunk.

        Args:
            record: Events as read.

        Returns:
            The events with shifted momenta; everything else is shared with `record`, which is not changed. A size of zero
            leaves every bit as it was.

        Raises:
            PhysicsDomainError: The correction gives a size below 0, or a factor that is not positive, or NaN.
            InputFileError: The correction file cannot be read.
            SchemaError: The file does not have the correction, or the correction wants other inputs.
            MissingExtraError: correctionlib is not installed.
        """
        field = FIELDS[self.shift.object]
        particles: Particles | None = getattr(record, field)
        if particles is None:
            return record
        factor = self._factor(record, particles)
        scaled = ("pt", "mass") if self.shift.object == "jet" else ("pt",)
        columns = {n: values * factor if n in scaled else values for n, values in particles.columns.items()}
        moved: dict[str, Any] = {field: Particles(particles.counts, columns)}
        return replace(record, **moved)

    def _factor(self, record: EventRecord, particles: Particles) -> FloatArray:
        size = self._size(particles)
        if self.shift.kind == "resolution":
            noise = normal_numbers(record.identity, particles, salt=f"{self.shift.object}/{self.shift.seed}")
            return np.maximum(1.0 + size * noise, SMALLEST_FACTOR)
        if self.shift.file is not None and self.shift.file.meaning == "factor":
            return size
        return 1.0 + size if self.direction == "up" else 1.0 - size

    def _size(self, particles: Particles) -> FloatArray:
        if self.shift.bins is not None:
            return binned_sizes(self.shift.bins, particles)
        if self.shift.file is not None:
            return self._from_file(self.shift.file, particles)
        return np.full(len(particles["pt"]), self.shift.size)

    def _from_file(self, file: CorrectionFile, particles: Particles) -> FloatArray:
        values = self._correction(particles)
        allowed = values > 0 if file.meaning == "factor" else (values >= 0) & (values < 1)
        bad = np.flatnonzero(~(np.isfinite(values) & allowed))
        if len(bad):
            first = int(bad[0])
            raise PhysicsDomainError(
                f"correction {file.correction!r} of {file.path} for {self.name}",
                got=f"{values[first]} at pt {particles['pt'][first]:.6g} GeV, eta {particles['eta'][first]:.4g} ({len(bad)} such)",
                expected="a factor above 0" if file.meaning == "factor" else "a relative size of at least 0 and below 1",
                remedy="set `meaning` of the file to what it holds, or repair it",
            )
        return values

    @cached_property
    def _correction(self) -> Callable[[Particles], FloatArray]:
        if self.shift.file is None:
            raise SchemaError(f"systematic {self.systematic}", got="no file", expected="a correction file")
        return open_correction(self.shift.file, direction=self.direction)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the opened correction: worker processes open the file themselves."""
        return {name: getattr(self, name) for name in ("name", "systematic", "shift", "direction")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)


def object_variations(config: Config, sample: SampleConfig) -> tuple[ShiftedObjects, ...]:
    """Return the object variations of a sample, in the order of the config; data and estimates from them have none."""
    if sample.kind != "simulation":
        return ()
    return tuple(
        ShiftedObjects(f"{name}_{direction}", name, shift, direction)
        for name, shift in config.systematics.objects.items()
        if not shift.samples or sample.name in shift.samples
        for direction in shift.directions
    )


def binned_sizes(bins: ShiftBins, particles: Particles) -> FloatArray:
    """Look up relative sizes by pt (GeV) and |eta|, (n_particles,); outside the edges the nearest bin counts.

    Examples:
        >>> bins = ShiftBins(pt=(0, 20, 50), abs_eta=(0, 1.5, 2.5), size=((0.03, 0.04), (0.01, 0.02)))
        >>> jets = Particles(np.array([3]), {"pt": np.array([20.0, 19.0, 90.0]), "eta": np.array([-1.0, -2.0, 4.0])})
        >>> binned_sizes(bins, jets).tolist()
        [0.01, 0.04, 0.02]
    """
    table = np.asarray(bins.size, dtype=np.float64)
    row = np.clip(np.searchsorted(bins.pt, particles["pt"], side="right") - 1, 0, table.shape[0] - 1)
    column = np.clip(np.searchsorted(bins.abs_eta, np.abs(particles["eta"]), side="right") - 1, 0, table.shape[1] - 1)
    return np.asarray(table[row, column])


def normal_numbers(identity: dict[str, NDArray[Any]], particles: Particles, *, salt: str) -> FloatArray:
    """Give every particle a standard normal number that depends on its event, its position in the event and the salt only.

    Args:
        identity: ``event``, ``run``, ``luminosityBlock``, each (n,).
        particles: Particles of the same events, in the order of the ntuple.
        salt: Key of the hash.

    Returns:
        (n_particles,) normal numbers: the same whatever the chunk, the file or the executor that the event is processed in.
    """
    position = np.arange(len(particles.event)) - particles.first[particles.event]
    event, run, block = (np.asarray(identity[name])[particles.event] for name in ("event", "run", "luminosityBlock"))
    uniform = hash_uniform(event, salt=f"smear/{salt}", more=(run, block, position))
    return np.asarray(ndtri(uniform + 2.0**-54))


def open_correction(section: CorrectionFile, *, direction: str) -> Callable[[Particles], FloatArray]:
    """Open a correction of a correctionlib file as a function of particles.

    Args:
        section: File, correction and inputs.
        direction: Replaces ``{direction}`` in inputs that are texts.

    Returns:
        A function from particles to one number per particle.

    Raises:
        MissingExtraError: correctionlib is not installed.
        InputFileError: The file is missing or not of correctionlib's schema.
        SchemaError: The file has no such correction, or the number of inputs differs.
    """
    correction = open_set_member(section.path, section.correction)
    wanted = described_inputs(correction)
    if len(wanted) != len(section.inputs):
        raise SchemaError(
            f"inputs of correction {section.correction!r} of {section.path}",
            got=list(section.inputs),
            expected=wanted,
            remedy="list what the correction wants, in its order",
        )
    return lambda particles: _evaluate(correction, _arguments(section.inputs, particles, direction), section)


def _arguments(inputs: Sequence[str | float], particles: Particles, direction: str) -> list[Any]:
    known = {**particles.columns, "abs_eta": np.abs(particles["eta"])}
    return [known[i] if i in known else i.replace("{direction}", direction) if isinstance(i, str) else i for i in inputs]


def _evaluate(correction: Any, arguments: list[Any], section: CorrectionFile) -> FloatArray:
    what = f"correction {section.correction!r} of {section.path}"
    if not any(isinstance(argument, np.ndarray) for argument in arguments):
        raise SchemaError(
            f"inputs of {what}",
            got=list(section.inputs),
            expected="at least one property of the object: pt, eta, abs_eta, phi, mass or charge",
            remedy="use `size` for a shift that is the same everywhere",
        )
    return evaluate_typed(correction, arguments, what=what, inputs=section.inputs)

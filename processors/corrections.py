"""Factors on the weight of selected events: corrections of the config and per-lepton weight factors of the ntuple.

They are computed for events that pass the selection only, from the leptons of the quadruplet: a scale factor has no meaning for any
other, and tables of correctionlib cost more than the selection. Sums of generator weights, and the lines of the cut flow before the
last, are without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.correctionfile import described_inputs, evaluate_typed, open_set_member
from processors.factors import lepton_product, weight_factors
from processors.formats import ELECTRON, MUON, EventRecord
from processors.formats.fields import OWN, Kind
from processors.rootfile import decoding, open_root
from processors.selection import Selected
from processors.variations import sample_corrections, weight_variations
from toolkit.config import Config, CorrectionConfig, SampleConfig, WeightCorrection
from toolkit.config.corrections import VARIATION
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray

FLAVOURS = {"electron": ELECTRON, "muon": MUON}
LAST_LINE = "corrections"
"""Line of the cut flow with the weights after corrections; only with any."""

Arrays = Mapping[str, FloatArray]


def correction_inputs(section: CorrectionConfig) -> tuple[str, ...]:
    """Return the properties that a correction needs: its inputs that are neither numbers nor texts of the file.

    Raises:
        InputFileError, SchemaError, MissingExtraError: The file cannot be opened, or wants other inputs.
    """
    if section.kind != "correctionlib":
        return (section.observable,) if section.observable else ()
    correction = _opened(section.file, section.correction.replace(VARIATION, section.nominal))
    if len(correction.inputs) != len(section.inputs):
        raise SchemaError(
            f"inputs of correction {section.correction!r} of {section.file}",
            got=list(section.inputs),
            expected=described_inputs(correction),
            remedy="list what the correction wants, in its order",
        )
    pairs = zip(section.inputs, correction.inputs, strict=True)
    return tuple(dict.fromkeys(own for own, wanted in pairs if isinstance(own, str) and wanted.type != "string"))


def lepton_inputs(config: Config, sample: SampleConfig) -> dict[Kind, tuple[str, ...]]:
    """Return the branches of leptons and jets that corrections need beside the momenta, by kind of object."""
    found: dict[Kind, tuple[str, ...]] = {}
    for section in sample_corrections(config, sample).values():
        if section.object != "event":
            names = tuple(name for name in correction_inputs(section) if name not in (*OWN, "abs_eta"))
            found[section.object] = tuple(dict.fromkeys((*found.get(section.object, ()), *names)))
    return {kind: names for kind, names in found.items() if names}


def event_inputs(config: Config, sample: SampleConfig) -> tuple[str, ...]:
    """Return the observables, columns and branches of the event that corrections need, once each."""
    sections = [c for c in sample_corrections(config, sample).values() if c.object == "event"]
    return tuple(dict.fromkeys(name for section in sections for name in correction_inputs(section)))


@dataclass(frozen=True)
class Correction:
    """One correction as a function of properties and of the variation.

    Args:
        name: Its name in the config.
        section: Its section.
    """

    name: str
    section: CorrectionConfig

    def __call__(self, values: Arrays, variation: str) -> FloatArray:
        """Return the factor of every event or lepton, (m,).

        Args:
            values: Properties, (m,) each.
            variation: What `{variation}` becomes; `up` and `down` shift a factor with an uncertainty.

        Raises:
            PhysicsDomainError: An event lies beyond the edges.
            SchemaError: correctionlib refuses an input.
        """
        section = self.section
        bins = None
        if section.kind == "number":
            factor = np.full(len(next(iter(values.values()))), section.value, dtype=np.float64)
        elif section.kind == "correctionlib":
            factor = self._from_set(values, variation)
        else:
            edges, numbers = self._table(section.histogram.replace(VARIATION, variation))
            bins = self._bins(values[section.observable], edges)
            factor = numbers[bins]
        if section.uncertainty is None or variation not in ("up", "down"):
            return factor
        relative = np.asarray(section.uncertainty, dtype=np.float64)
        shift = relative if relative.ndim == 0 or bins is None else relative[bins]
        return factor * (1.0 + shift if variation == "up" else 1.0 - shift)

    @property
    def constant(self) -> float | None:
        """The number that it is for every event, whatever the observable; None if it is not one."""
        section = self.section
        numbers = {"number": (section.value,), "curve": section.values}.get(section.kind, ())
        same = section.object == "event" and len(set(numbers)) == 1
        return float(numbers[0]) if same and numbers[0] is not None else None

    def _from_set(self, values: Arrays, variation: str) -> FloatArray:
        section = self.section
        correction = _opened(section.file, section.correction.replace(VARIATION, variation))
        given = [i.replace(VARIATION, variation) if isinstance(i, str) else i for i in section.inputs]
        pairs = zip(given, correction.inputs, strict=True)
        arguments: list[Any] = [values[str(a)] if wanted.type != "string" and a in values else a for a, wanted in pairs]
        n = len(next(iter(values.values())))
        what = f"correction {self.name!r} ({section.correction} of {section.file})"
        return np.broadcast_to(evaluate_typed(correction, arguments, what=what, inputs=section.inputs), (n,))

    def _table(self, histogram: str) -> tuple[FloatArray, FloatArray]:
        if self.section.kind == "curve":
            return np.array(self.section.edges), np.array(self.section.values)
        return _histogram_at(self.section.file, histogram, _stamp(self.section.file))

    def _bins(self, values: FloatArray, edges: FloatArray) -> NDArray[np.int64]:
        outside = ~((values >= edges[0]) & (values < edges[-1]))
        if self.section.outside == "edge":
            outside = np.isnan(values)
        if outside.any():
            raise PhysicsDomainError(
                f"correction {self.name!r}: {self.section.observable} of {int(outside.sum())} selected events or leptons",
                got=f"{values[np.argmax(outside)]:.6g}",
                expected=f"values from {edges[0]:g} to {edges[-1]:g}, the edges of the correction",
                remedy="give it edges that cover the selection, or `outside: edge` to let the nearest bin count",
            )
        return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _opened(path: str, name: str) -> Any:
    return _opened_at(path, name, _stamp(path))


@lru_cache(maxsize=64)
def _opened_at(path: str, name: str, stamp: tuple[int, int]) -> Any:
    del stamp  # another file of the same name is another entry of the cache
    return open_set_member(path, name)


def _stamp(path: str) -> tuple[int, int]:
    try:
        stat = Path(path).stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=64)
def _histogram_at(path: str, name: str, stamp: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    del stamp
    return read_histogram(path, name)


def read_histogram(path: str, name: str) -> tuple[FloatArray, FloatArray]:
    """Read edges and contents of a histogram of one axis.

    Raises:
        InputFileError: The file cannot be read.
        SchemaError: It has no such histogram of one axis.
    """
    with open_root(Path(path)) as directory, decoding(path, f"histogram {name!r}"):
        names = [key.partition(";")[0] for key, kind in directory.classnames(recursive=True).items() if kind.startswith("TH1")]
        if name not in names:
            raise SchemaError(
                f"histogram {name!r} of {path}", got="no such histogram of one axis", expected=f"one of {names}", remedy="correct the name"
            )
        contents, edges = directory[name].to_numpy()
    return np.asarray(edges, dtype=np.float64), np.asarray(contents, dtype=np.float64)


class SampleCorrections:
    """All factors on the selected events of a sample.

    Args:
        config: The analysis.
        sample: Its section of the config.
    """

    def __init__(self, config: Config, sample: SampleConfig) -> None:
        self.sample = sample
        self.corrections = tuple(Correction(name, section) for name, section in sample_corrections(config, sample).items())
        self.constant = float(np.prod([c.constant for c in self.corrections if c.constant is not None]))
        self.variations = {k: v for k, v in weight_variations(config, sample).items() if isinstance(v, WeightCorrection)}
        self.event_inputs = event_inputs(config, sample)
        self.lepton_inputs = lepton_inputs(config, sample)

    def _of_leptons(self, record: EventRecord) -> dict[str, tuple[int, ...]]:
        """Return the weight factors of leptons and the flavours that have them."""
        own = {ELECTRON: record.electrons.columns, MUON: record.muons.columns}
        found = {name: tuple(f for f, columns in own.items() if name in columns) for name in weight_factors(self.sample)}
        return {name: flavours for name, flavours in found.items() if flavours}

    def lepton_properties(self, record: EventRecord) -> tuple[str, ...]:
        """Return the properties of the four leptons that `factors` needs."""
        momenta = OWN if any(c.section.object in FLAVOURS for c in self.corrections) else ()
        inputs = [name for kind, names in self.lepton_inputs.items() if kind in FLAVOURS for name in names]
        return tuple(dict.fromkeys((*momenta, *inputs, *self._of_leptons(record))))

    @property
    def jet_properties(self) -> tuple[str, ...]:
        """The properties of jets that `factors` needs; none where no correction is one of jets."""
        if all(c.section.object != "jet" for c in self.corrections):
            return ()
        return tuple(dict.fromkeys(("pt", "eta", "phi", "mass", *self.lepton_inputs.get("jet", ()))))

    def factors(self, record: EventRecord, selected: Selected, event: NDArray[Any]) -> tuple[FloatArray | None, dict[str, FloatArray]]:
        """Return the factor of each selected event beside `constant`, and varied over nominal factor by name of the weight variation.

        Args:
            record: Events of the chunk.
            selected: Those that pass, with the observables `event_inputs` and the properties `lepton_properties`.
            event: Event numbers, (n,), for messages.

        Returns:
            The factor, (n,), None where there is none; ratios, (n,) each.

        Raises:
            PhysicsDomainError: A factor is 0, NaN or infinite; the event is named.
        """
        n = len(event)
        for name in weight_factors(self.sample):
            if name in record.columns:
                require_factors(f"weight factor {name!r}", record.columns[name][selected.index], self.sample.name, event)
        of_leptons = self._of_leptons(record)
        nominal = {c.name: self._checked(c, self._evaluate(c, selected, c.section.nominal), event) for c in self.corrections}
        ratios = {}
        for key, variation in self.variations.items():
            for direction, text in (("up", variation.up), ("down", variation.down)):
                if text is not None:
                    ratio = np.ones(n)
                    for c in (c for c in self.corrections if c.name in variation.of):
                        ratio *= self._checked(c, self._evaluate(c, selected, text), event) / nominal[c.name]
                    ratios[f"{key}_{direction}"] = ratio
        if not of_leptons and all(c.constant is not None for c in self.corrections):
            return None, ratios  # numbers are part of the normalisation, as `k_factor` is
        total = np.ones(n)
        for c in (c for c in self.corrections if c.constant is None):
            total = total * nominal[c.name]
        for name, flavours in of_leptons.items():
            product = lepton_product(selected.leptons, name, flavours)
            require_factors(f"weight factor {name!r} (product over the leptons)", product, self.sample.name, event)
            total = total * product
        return total, ratios

    def _evaluate(self, correction: Correction, selected: Selected, variation: str) -> FloatArray:
        n, leptons = len(selected.index), selected.leptons
        if not n:
            return np.ones(0)
        if correction.section.object == "event":
            return correction(selected.observables, variation)
        if correction.section.object == "jet":
            return self._of_jets(correction, selected, variation)
        chosen = leptons["flavour"] == FLAVOURS[correction.section.object]
        if not chosen.any():
            return np.ones(n)
        own = {name: column[chosen] for name, column in leptons.items()}
        factor = np.ones(chosen.shape)
        factor[chosen] = correction({**own, "abs_eta": np.abs(own["eta"])}, variation)
        return np.asarray(factor.prod(axis=1))

    def _of_jets(self, correction: Correction, selected: Selected, variation: str) -> FloatArray:
        """Return the product over the counted jets of every event, (n,)."""
        jets, product = selected.jets, np.ones(len(selected.index))
        if jets is None:
            raise SchemaError(
                f"correction {correction.name!r} of sample {self.sample.name}",
                got="ntuples without jets",
                expected="jets",
                remedy="list under `samples` of the correction those that have jets",
            )
        if len(jets.event):
            factor = correction({**jets.columns, "abs_eta": np.abs(jets["eta"])}, variation)
            np.multiply.at(product, jets.event, factor)
        return product

    def _checked(self, correction: Correction, factor: FloatArray, event: NDArray[Any]) -> FloatArray:
        require_factors(f"correction {correction.name!r}", factor, self.sample.name, event)
        return factor


def require_factors(what: str, factor: FloatArray, sample: str, event: NDArray[Any]) -> None:
    """Check that factors on weights of selected events are finite and not 0.

    Raises:
        PhysicsDomainError: One is not; the event is named.
    """
    bad = np.flatnonzero(~(np.isfinite(factor) & (factor != 0)))
    if len(bad):
        raise PhysicsDomainError(
            f"{what} of event {event[bad[0]]} of sample {sample}",
            got=f"{factor[bad[0]]} ({len(bad)} such among the selected events of this chunk)",
            expected="a finite factor that is not 0",
            remedy="repair the factor, or take it out of the config; events are never dropped silently",
        )

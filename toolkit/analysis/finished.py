"""Event tables of a finished run, with the config that its manifest holds: what compares runs begins here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.analysis.layout import EVENTS, MANIFEST, MANIFEST_SCHEMA
from toolkit.artifacts.checksums import read_checked
from toolkit.artifacts.events import EventTable, read_events
from toolkit.artifacts.versions import other_version
from toolkit.config import Config
from toolkit.config.restored import restore_config
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ToolkitError
from toolkit.model import solve_products
from toolkit.typing import FloatArray

_SETTINGS = ("selection", "corrections", "k_factors")
_SAMPLE_SETTINGS = ("kind", "xsec_pb", "gen_sumw", "k_factor")
TOTAL = "total"
"""Name of an event's own weight beside the terms of the interference."""


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A folder with event tables.

    Attributes:
        folder: Output folder.
        document: Its manifest.
        config: The config in the manifest.
    """

    folder: Path
    document: Mapping[str, Any]
    config: Config

    @classmethod
    def open(cls, folder: str | Path) -> FinishedRun:
        """Read the manifest of a run.

        Raises:
            InputFileError: The folder is none of a run, or its events were not processed.
            SchemaError: The manifest is of another form or version.
            ArtifactMismatchError: It changed after it was written.
        """
        path = Path(folder) / MANIFEST
        expected, remedy = "the output folder of h4l process or h4l run", "name the folder that --out named, or process the ntuples first"
        try:
            document = json.loads(read_checked(path)[0])
            if document["schema"] != MANIFEST_SCHEMA:
                remedy = "process the ntuples again"
                raise other_version(f"{path}", found=document["schema"], expected=MANIFEST_SCHEMA, remedy=remedy)
            config = restore_config(document["config"], source=str(path))
            done = "process" in document["stages"]
        except ToolkitError:
            raise
        except OSError as error:
            got = "no such folder" if not Path(folder).is_dir() else f"no readable {MANIFEST}: {error.strerror or error}"
            raise InputFileError(f"run {folder}", got=got, expected=expected, remedy=remedy) from error
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            got = str(error).splitlines()[0]
            raise SchemaError(f"{path}", got=got, expected="a manifest of this version", remedy="process the ntuples again") from error
        if not done or not (Path(folder) / EVENTS / "index.json").is_file():
            raise InputFileError(f"run {folder}", got="no finished event tables", expected=expected, remedy=remedy)
        return cls(Path(folder), document, config)

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of its samples, in the order of the config."""
        return tuple(sample.name for sample in self.config.samples)

    def read(self, sample: str) -> EventTable:
        """Read the nominal events of a sample; the weight must be finite."""
        table = read_events(self.folder / EVENTS, sample)
        if not len(table):
            expected, remedy = "selected events", "choose other samples with --sample, or loosen the selection"
            raise ArtifactMismatchError(f"sample {sample} of {self.folder}", got="no event", expected=expected, remedy=remedy)
        return table

    def inputs(self, sample: str) -> frozenset[str]:
        """Return the hashes of the ntuples of a sample."""
        listed = self.document.get("inputs", {}).get(sample, ())
        hashes = (entry.get("sha256") or entry.get("sampled") for entry in listed if isinstance(entry, Mapping))
        return frozenset(str(found) for found in hashes if found)

    def terms(self, table: EventTable) -> tuple[dict[str, FloatArray], str]:
        """Return the weights of a sample under the products of the amplitudes of its process.

        Args:
            table: Events of a sample of this run.

        Returns:
            (terms, reason): expected events by term, each (n,): M_kk by the name of the amplitude, 2 M_kl as `K*L`, so that their sum
            with products of coefficients a_k a_l is the weight; for S, SBI and B these are S, B and I = SBI - S - B. Empty, with the
            reason, where the sample interferes and its weights do not determine them; empty with no reason where it does not interfere.
        """
        if not table.benchmarks:  # data, too: a config without simulation has no model
            return {}, ""
        owner = [sample for sample in self.config.model.samples if sample.name == table.sample]
        if not owner:
            return {}, ""
        process = self.config.model.process(owner[0].process)
        if process.n_amplitudes == 1:
            return {}, ""
        try:
            factors = solve_products(process, names=table.benchmarks)
        except ToolkitError as error:
            return {}, f"no terms of the interference: {error.what}, {error.got}"
        names = process.amplitude_names
        labels = [names[k] if k == m else f"{names[k]}*{names[m]}" for k, m in process.pairs]
        products = table.benchmark_weights @ factors
        return {label: np.ascontiguousarray(products[:, i]) for i, label in enumerate(labels)}, ""


def luminosity_factor(a: FinishedRun, b: FinishedRun, sample: str) -> float:
    """Return what weights of B are multiplied with for the luminosity of A; data and estimates from data are as they are."""
    return a.config.luminosity_ifb / b.config.luminosity_ifb if b.config.sample(sample).kind == "simulation" else 1.0


def differing_settings(a: FinishedRun, b: FinishedRun) -> tuple[str, ...]:
    """Return the parts of the configs that change distributions and differ."""
    left, right = a.document["config"], b.document["config"]
    return tuple(key for key in _SETTINGS if left.get(key) != right.get(key))


def differing_sample(a: FinishedRun, b: FinishedRun, sample: str) -> tuple[str, ...]:
    """Return what the configs say differently of a sample, as `k_factor: 1.8 and 1.7`."""
    sides = [next(entry for entry in run.document["config"]["samples"] if entry["name"] == sample) for run in (a, b)]
    return tuple(
        f"{key}: {sides[0].get(key)} and {sides[1].get(key)}" for key in _SAMPLE_SETTINGS if sides[0].get(key) != sides[1].get(key)
    )


def shared_events(a: EventTable, b: EventTable) -> int:
    """Count the events that two tables share: the same run, luminosity block, number and channel, and the same observables to 1e-6."""
    common = sorted(set(a.observables) & set(b.observables))
    if not common or not len(a) or not len(b):
        return 0
    keys = [_keys(table) for table in (a, b)]
    _, rows_a, rows_b = np.intersect1d(keys[0], keys[1], return_indices=True)
    same = np.ones(rows_a.size, dtype=bool)
    for name in common:
        same &= np.isclose(a.observables[name][rows_a], b.observables[name][rows_b], rtol=1e-6, atol=1e-9, equal_nan=True)
    return int(same.sum())


def _keys(table: EventTable) -> Any:
    columns = {"run": table.run, "block": table.luminosity_block, "event": table.event_id, "channel": table.channel}
    packed = np.empty(len(table), dtype=[(name, np.uint64) for name in columns])
    for name, column in columns.items():
        packed[name] = column
    return packed

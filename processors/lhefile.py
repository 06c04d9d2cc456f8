"""Les Houches event files, read with pylhe (extra `lhe`)."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np

from processors.formats.lhe import WEIGHT
from processors.lhetext import LheText
from toolkit.artifacts.hashing import sampled_digest
from toolkit.errors import ArtifactMismatchError, InputFileError, MissingExtraError, ToolkitError
from toolkit.locations import Location, RemoteFile
from toolkit.typing import FloatArray

HEAD = "init"
"""Where the head of the file keeps its numbers, as `constants` calls it."""
CROSS_SECTION = "XSECUP"
"""Cross-section in pb, summed over the subprocesses."""
_FIELDS = {"pdg_id": "id", "status": "status", "px": "px", "py": "py", "pz": "pz", "mass": "m"}


def is_lhe(path: Location) -> bool:
    """Return whether the name is that of an LHE file, compressed or not."""
    return path.name.removesuffix(".gz").lower().endswith(".lhe")


class LheEvents:
    """The events of an LHE file: particle lists, the nominal weight, and each named weight as a column.

    A group of weights (``weightgroup``) is a column too, the vector of its weights.

    Args:
        path: The file.
    """

    def __init__(self, path: Location) -> None:
        self.path = path
        self._pylhe = _import_pylhe()
        with self._explained():
            head = self._open()
            head.events.close()
            entries = [] if head.header is None or head.header.initrwgt is None else list(head.header.initrwgt.entries)
            self.cross_section = float(sum(process.xSection for process in head.init.procInfo))
        self.groups = {_group_name(g, i): tuple(w.id for w in g.weights) for i, g in enumerate(entries) if hasattr(g, "weights")}
        single = [entry.id for entry in entries if not hasattr(entry, "weights")]
        self.weight_ids = tuple(dict.fromkeys([*itertools.chain.from_iterable(self.groups.values()), *single]))

    @cached_property
    def entries(self) -> int:
        """Number of events."""
        with self._explained(), LheText(self.path) as text:
            return text.count_events()

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Type of each column, by name."""
        particles = {f"particle_{name}": "double[]" for name in _FIELDS}
        groups = {name: f"double[{len(ids)}]" for name, ids in self.groups.items()}
        return {WEIGHT: "double", **particles, **groups, **dict.fromkeys(self.weight_ids, "double")}

    @cached_property
    def uuid(self) -> bytes:
        """Hash of the content, 16 bytes."""
        if isinstance(self.path, RemoteFile):
            return bytes.fromhex(sampled_digest(self.path))
        return hashlib.sha256(self.path.read_bytes()).digest()[:16]

    def arrays(self, names: Sequence[str], start: int, stop: int) -> ak.Array:
        """Read columns of a range of events.

        Raises:
            InputFileError: The file is damaged, or an event does not have the number of particles that it announces.
            ArtifactMismatchError: An event does not carry the weights that the head announces.
        """
        with self._explained(), contextlib.closing(self._open().events) as generated:
            events = list(itertools.islice(generated, start, stop))
        self._check_whole(events, start, stop)
        return ak.Array({name: self._column(events, name, start) for name in names})

    def weight_names(self, column: str) -> tuple[str, ...]:
        """Return the ids of the weights of a group, or the id of a single weight."""
        return self.groups.get(column, (column,) if column in self.weight_ids else ())

    def constants(self, tree: str, column: str) -> FloatArray | None:
        """Return the cross-section, of the head."""
        return np.array([self.cross_section]) if (tree, column) == (HEAD, CROSS_SECTION) else None

    def _open(self) -> Any:
        return self._pylhe.LHEFile.frombuffer(LheText(self.path))

    def _check_whole(self, events: Sequence[Any], start: int, stop: int) -> None:
        """Check that all events are there, each with as many particles as its first line (NUP) announces."""
        wrong = next((i for i, event in enumerate(events) if event.eventinfo.nparticles != len(event.particles)), None)
        if wrong is None and len(events) == stop - start:
            return
        if wrong is None:
            what, got = f"events {start} to {stop} of {self.path}", f"{len(events)} events"
            expected = f"{stop - start}, as many as were counted"
        else:
            what, got = f"event {start + wrong} of {self.path}", f"{len(events[wrong].particles)} lines of particles"
            expected = f"{events[wrong].eventinfo.nparticles}, the number of particles (NUP) in the first line of the event"
        raise InputFileError(what, got=got, expected=expected, remedy="copy or produce the file again, or correct the event")

    def _column(self, events: Sequence[Any], name: str, start: int) -> Any:
        if name == WEIGHT:
            return np.array([event.eventinfo.weight for event in events], dtype=np.float64)
        if name in self.groups:
            return ak.from_regular(np.stack([self._weights(events, w, start) for w in self.groups[name]], axis=1))
        if name in self.weight_ids:
            return self._weights(events, name, start)
        field = _FIELDS[name.removeprefix("particle_")]
        numbers = np.array([getattr(p, field) for event in events for p in event.particles], dtype=np.float64)
        return ak.unflatten(numbers, np.array([len(event.particles) for event in events], dtype=np.int64))

    def _weights(self, events: Sequence[Any], name: str, start: int) -> FloatArray:
        lost = next((i for i, event in enumerate(events) if name not in event.weights), None)
        if lost is not None:
            raise ArtifactMismatchError(
                f"event {start + lost} of {self.path}",
                got=f"weights {list(events[lost].weights)[:5]}",
                expected=f"a weight {name!r}, which the head of the file announces",
                remedy="generate the file again, or leave the weight out of the config",
            )
        return np.array([event.weights[name] for event in events], dtype=np.float64)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what pylhe raises, or warns about before it stops early, into one error."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                yield
        except (ToolkitError, MemoryError):
            raise
        except Exception as error:
            raise InputFileError(
                f"input file {self.path}",
                got=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}",
                expected="a complete LHE file",
                remedy="correct the line, or generate the file again",
            ) from error


def _group_name(group: Any, index: int) -> str:
    return str(group.attributes.get("name") or group.attributes.get("type") or f"weightgroup_{index}")


def _import_pylhe() -> Any:
    try:
        import pylhe  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtraError("LHE files", got=str(error), expected="pylhe", remedy="pip install 'h4l-toolkit[lhe]'") from error
    return pylhe


@contextlib.contextmanager
def open_lhe(path: Location) -> Iterator[LheEvents]:
    """Open an LHE file.

    Yields:
        Its events.

    Raises:
        InputFileError: It is missing or damaged.
        MissingExtraError: pylhe is not installed.
    """
    yield LheEvents(path)

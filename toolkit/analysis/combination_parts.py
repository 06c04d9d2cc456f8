"""Opens the parts of a combination: finished runs, workspaces of others, counts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from toolkit.analysis.counting_parts import CountedEvents, counted_events, counted_numbers
from toolkit.analysis.layout import FIT, MANIFEST, WORKSPACE
from toolkit.analysis.others import with_expectation
from toolkit.artifacts.checksums import read_checked
from toolkit.artifacts.hashing import file_sha256
from toolkit.config import CombinationPart
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.likelihood import Results, Workspace

Truth = Mapping[str, float]


class Part(Protocol):
    """One measurement of a combination, with its own names of parameters."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of a run; empty for a part that is the same beside every method."""

    @property
    def truth(self) -> Truth:
        """Parameters of the Asimov set that the part is bound to; empty where any truth can be expected."""

    @property
    def luminosity_ifb(self) -> float | None:
        """Luminosity in 1/fb; None if it is not known."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that it was read from."""

    def model(self, method: str) -> Workspace:
        """Return the likelihood, for what it holds beside its data."""

    def expected(self, method: str, truth: Truth) -> Workspace:
        """Return the likelihood of the expectation at a truth."""

    def observed(self, method: str) -> Workspace:
        """Return the likelihood of the observed events."""

    def counts(self, truth: Truth) -> tuple[int, float]:
        """Return the number of observed events, and that expected at a truth."""


@dataclass(frozen=True, eq=False)
class RunPart:
    """The output folder of a finished run.

    Attributes:
        name: Name of the part.
        folder: The folder.
        results: What its fit found.
    """

    name: str
    folder: Path
    results: Results

    @classmethod
    def open(cls, name: str, folder: str | Path) -> RunPart:
        """Read what the fit found, and see that there is a workspace of some method.

        Raises:
            InputFileError: The folder is none of a finished run.
            SchemaError: Its results are of another version.
        """
        root = Path(folder)
        remedy = "name the folder that `h4l run` wrote; the example's text says how to make it"
        try:
            results = Results.from_json(json.loads((root / FIT).read_text(encoding="utf-8")))
        except OSError as error:
            got = f"no {FIT}" if root.is_dir() else "no such folder"
            expected = "the output folder of a finished h4l run"
            raise InputFileError(f"parts.{name}.run: {folder}", got=got, expected=expected, remedy=remedy) from error
        except (ValueError, TypeError, LookupError) as error:
            what = f"parts.{name}.run: {folder}/{FIT}"
            got = f"{error.what}: {error.got}" if isinstance(error, SchemaError) else f"{type(error).__name__}: {error}"
            raise SchemaError(what, got=got, expected="results of this version", remedy="run it again") from error
        found = cls(name, root, results)
        if not found.methods:
            raise InputFileError(f"parts.{name}.run: {folder}", got="no workspace of any method", expected="those of a fit", remedy=remedy)
        found._require_unchanged()
        return found

    def _require_unchanged(self) -> None:
        """Check the files against the manifest of the run.

        Raises:
            ArtifactMismatchError: They are not those of its last fit.
        """
        what = f"parts.{self.name}.run: {self.folder}"
        try:
            document = json.loads(read_checked(self.folder / MANIFEST)[0])
            outputs, stages = dict(document["outputs"]), dict(document["stages"])
        except OSError:
            return  # a folder without a manifest: files have checksums of their own
        except (ValueError, TypeError, LookupError) as error:
            expected = "a manifest of this version"
            raise SchemaError(f"{what}/{MANIFEST}", got=str(error).splitlines()[0], expected=expected, remedy="run it again") from error
        if "fit" not in stages:
            got, expected = f"stages {list(stages)} since it was processed last", "a fit of these events"
            raise ArtifactMismatchError(what, got=got, expected=expected, remedy="finish it with h4l run")
        for path in self.files:
            own = Path(os.path.relpath(path, self.folder)).as_posix()
            if own in outputs and file_sha256(path) != outputs[own]:
                got, expected = f"a {own} that changed after the fit", "the files that the fit wrote"
                raise ArtifactMismatchError(what, got=got, expected=expected, remedy="copy the folder again, or run it again")

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods with a workspace."""
        return tuple(name for name in self.results.methods if self._path(name, observed=False).is_file())

    @property
    def truth(self) -> Truth:
        """Parameters of its Asimov set."""
        return self.results.asimov

    @property
    def luminosity_ifb(self) -> float | None:
        """Luminosity in 1/fb."""
        return self.results.luminosity_ifb

    @property
    def files(self) -> tuple[Path, ...]:
        """Results, workspaces, and the events and networks that they name."""
        both = [self._path(name, observed=seen) for name in self.methods for seen in (False, True)]
        present = [path for path in both if path.is_file()]
        named = {path.parent / file for path in present for file in _named_files(json.loads(path.read_text(encoding="utf-8")))}
        return (self.folder / FIT, *present, *sorted(named))

    def model(self, method: str) -> Workspace:
        """Return the likelihood of the Asimov set."""
        return Workspace.load(self._path(method, observed=False))

    def expected(self, method: str, truth: Truth) -> Workspace:
        """Return the likelihood of the Asimov set, which stands at the truth of the run."""
        del truth
        return self.model(method)

    def observed(self, method: str) -> Workspace:
        """Return the likelihood of the data.

        Raises:
            SchemaError: The run is blinded.
        """
        path = self._path(method, observed=True)
        if not path.is_file():
            remedy = "run it with likelihood.observed: true, or combine with observed: false"
            what = f"parts.{self.name}: data of {self.folder.name}"
            raise SchemaError(what, got="a run that did not fit them", expected=f"{path.name}", remedy=remedy)
        return Workspace.load(path)

    def counts(self, truth: Truth) -> tuple[int, float]:
        """Return the number of data events, and that expected at the truth of the run."""
        del truth
        seen = self.results.observed
        return (0, 0.0) if seen is None else (seen.n_events, seen.expected)

    def _path(self, method: str, *, observed: bool) -> Path:
        return self.folder / WORKSPACE / f"{method}{'_observed' * observed}.json"


@contextmanager
def _of_part(name: str, key: str) -> Iterator[None]:
    """Put the part in front of what is wrong with one of its files."""
    try:
        yield
    except (InputFileError, SchemaError, ArtifactMismatchError) as error:
        raise type(error)(f"parts.{name}.{key}: {error.what}", got=error.got, expected=error.expected, remedy=error.remedy) from error


def _named_files(part: Any) -> set[str]:
    """Return the files that a part of a workspace document names."""
    if isinstance(part, dict):
        own = {value for key, value in part.items() if key in {"file", "model"} and isinstance(value, str)}
        return own.union(*(_named_files(value) for value in part.values()))
    return set().union(*(_named_files(value) for value in part)) if isinstance(part, list) else set()


@dataclass(frozen=True, eq=False)
class WorkspacePart:
    """A workspace of binned channels by somebody else.

    Attributes:
        name: Name of the part.
        path: The file.
        workspace: What it holds.
    """

    name: str
    path: Path
    workspace: Workspace
    methods = ()
    luminosity_ifb = None

    @classmethod
    def open(cls, name: str, path: str | Path) -> WorkspacePart:
        """Read the file.

        Raises:
            InputFileError, SchemaError: It is missing, no workspace, or has channels without bins.
        """
        with _of_part(name, "workspace"):
            workspace = Workspace.load(path)
        if workspace.unbinned_channels:
            channels = [c.name for c in workspace.unbinned_channels]
            remedy = "name the folder of its run under `run`"
            what = f"parts.{name}.workspace: {path}"
            raise SchemaError(what, got=f"unbinned channels {channels}", expected="binned channels", remedy=remedy)
        return cls(name, Path(path), workspace)

    @property
    def truth(self) -> Truth:
        """Nothing: any truth can be expected."""
        return {}

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def model(self, method: str) -> Workspace:
        """Return it as it is."""
        del method
        return self.workspace

    def expected(self, method: str, truth: Truth) -> Workspace:
        """Return the likelihood of the expectation at a truth; parameters that it does not name are at their starts."""
        del method
        return with_expectation(self.workspace, truth)

    def observed(self, method: str) -> Workspace:
        """Return it as it is."""
        return self.model(method)

    def counts(self, truth: Truth) -> tuple[int, float]:
        """Return the number of observed events, and that expected at a truth."""
        observed, expected = (_total(w) for w in (self.workspace, self.expected("", truth)))
        return round(observed), expected


def _total(workspace: Workspace) -> float:
    return float(np.sum([np.sum(entry["data"]) for entry in workspace.document["observations"]]))


@dataclass(frozen=True, eq=False)
class CountedPart:
    """Counts, given as numbers or from event tables.

    Attributes:
        channel: The channel.
        files: Files that it was read from.
    """

    channel: CountedEvents
    files: tuple[Path, ...] = ()
    methods = ()

    @property
    def name(self) -> str:
        """Name of the part."""
        return self.channel.name

    @property
    def truth(self) -> Truth:
        """Nothing: any truth can be expected."""
        return {}

    @property
    def luminosity_ifb(self) -> float | None:
        """Luminosity of the simulation."""
        return self.channel.luminosity_ifb

    def model(self, method: str) -> Workspace:
        """Return the likelihood without any event."""
        del method
        return self.channel.workspace([0.0] * self.channel.n_bins)

    def expected(self, method: str, truth: Truth) -> Workspace:
        """Return the likelihood of the expectation at a truth."""
        del method
        return self.channel.workspace(self.channel.expectation(truth).tolist())

    def observed(self, method: str) -> Workspace:
        """Return the likelihood of the observed events.

        Raises:
            SchemaError: There are none.
        """
        del method
        if self.channel.observed is None:
            remedy = "give `observed`, process a sample of kind data, or combine with observed: false"
            raise SchemaError(f"parts.{self.name}", got="no observed events", expected="their number", remedy=remedy)
        return self.channel.workspace(self.channel.observed.tolist())

    def counts(self, truth: Truth) -> tuple[int, float]:
        """Return the number of observed events, and that expected at a truth."""
        seen = self.channel.observed
        return 0 if seen is None else round(float(seen.sum())), float(self.channel.expectation(truth).sum())


def open_part(name: str, part: CombinationPart) -> Part:
    """Open one part.

    Args:
        name: Its name.
        part: The section of the config.

    Raises:
        InputFileError, SchemaError, ArtifactMismatchError: What it names is missing, damaged or of another kind.
    """
    if part.run:
        return RunPart.open(name, part.run)
    if part.workspace:
        return WorkspacePart.open(name, part.workspace)
    if part.counts is not None:
        return CountedPart(counted_numbers(name, part.counts))
    if part.events is None:
        raise SchemaError(f"parts.{name}", got="nothing", expected="run, workspace, counts or events")
    folder = Path(part.events.folder)
    return CountedPart(counted_events(name, part.events), (folder / "manifest.json", *sorted((folder / "events").rglob("*.parquet"))))

"""Opens the parts of a combination: finished runs, workspaces of others, counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from toolkit.analysis.counting_parts import CountedEvents, counted_events, counted_numbers
from toolkit.analysis.others import with_expectation
from toolkit.analysis.run_parts import AlternativeRuns, RunPart, Truth
from toolkit.config import CombinationPart
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.likelihood import Workspace


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


@contextmanager
def _of_part(name: str, key: str) -> Iterator[None]:
    """Put the part in front of what is wrong with one of its files."""
    try:
        yield
    except (InputFileError, SchemaError, ArtifactMismatchError) as error:
        raise type(error)(f"parts.{name}.{key}: {error.what}", got=error.got, expected=error.expected, remedy=error.remedy) from error


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
    if part.runs:
        return AlternativeRuns.open(name, part.runs)
    if part.workspace:
        return WorkspacePart.open(name, part.workspace)
    if part.counts is not None:
        return CountedPart(counted_numbers(name, part.counts))
    if part.events is None:
        raise SchemaError(f"parts.{name}", got="nothing", expected="run, runs, workspace, counts or events")
    folder = Path(part.events.folder)
    return CountedPart(counted_events(name, part.events), (folder / "manifest.json", *sorted((folder / "events").rglob("*.parquet"))))

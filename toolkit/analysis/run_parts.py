"""Finished runs as parts of a combination: one, or several of the same events beside each other."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.analysis.layout import FIT, MANIFEST, WORKSPACE
from toolkit.artifacts.checksums import read_checked
from toolkit.artifacts.hashing import file_sha256
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.likelihood import Results, Workspace

Truth = Mapping[str, float]


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
    def open(cls, name: str, folder: str | Path, *, key: str = "run") -> RunPart:
        """Read what the fit found, and see that there is a workspace of some method; `key` is that of the config which names the folder.

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
            raise InputFileError(f"parts.{name}.{key}: {folder}", got=got, expected=expected, remedy=remedy) from error
        except (ValueError, TypeError, LookupError) as error:
            what = f"parts.{name}.{key}: {folder}/{FIT}"
            got = f"{error.what}: {error.got}" if isinstance(error, SchemaError) else f"{type(error).__name__}: {error}"
            raise SchemaError(what, got=got, expected="results of this version", remedy="run it again") from error
        found = cls(name, root, results)
        if not found.methods:
            raise InputFileError(
                f"parts.{name}.{key}: {folder}", got="no workspace of any method", expected="those of a fit", remedy=remedy
            )
        found._require_unchanged(key)
        return found

    def _require_unchanged(self, key: str) -> None:
        """Check the files against the manifest of the run.

        Raises:
            ArtifactMismatchError: They are not those of its last fit.
        """
        what = f"parts.{self.name}.{key}: {self.folder}"
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


@dataclass(frozen=True, eq=False)
class AlternativeRuns:
    """Finished runs of the same events, whose methods stand beside each other.

    Attributes:
        name: Name of the part.
        runs: The runs by name.
        places: By method of the part, the run that it comes from, and its method there.
    """

    name: str
    runs: Mapping[str, RunPart]
    places: Mapping[str, tuple[RunPart, str]]

    @classmethod
    def open(cls, name: str, folders: Mapping[str, str]) -> AlternativeRuns:
        """Open the runs, and name their methods.

        Raises:
            InputFileError: A folder is none of a finished run.
            SchemaError: The runs are of other events, another truth or another luminosity.
        """
        runs = {key: RunPart.open(name, folder, key=f"runs.{key}") for key, folder in folders.items()}
        first, *others = runs
        for key in others:
            _require_same(f"parts.{name}.runs", {first: runs[first].results, key: runs[key].results})
        places: dict[str, tuple[RunPart, str]] = {}
        for method in dict.fromkeys(m for run in runs.values() for m in run.methods):
            own = {key: run for key, run in runs.items() if method in run.methods}
            documents = [run.model(method).document for run in own.values()]
            if len(own) == len(runs) and all(document == documents[0] for document in documents) and not _named_files(documents[0]):
                places[method] = (runs[first], method)
            else:
                places |= {f"{method}_{key}": (run, method) for key, run in own.items()}
        return cls(name, runs, places)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of the runs, `METHOD_RUN` where they are not the same in all of them."""
        return tuple(self.places)

    @property
    def truth(self) -> Truth:
        """Parameters of their Asimov set."""
        return next(iter(self.runs.values())).truth

    @property
    def luminosity_ifb(self) -> float | None:
        """Luminosity in 1/fb."""
        return next(iter(self.runs.values())).luminosity_ifb

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of all runs."""
        return tuple(path for run in self.runs.values() for path in run.files)

    def model(self, method: str) -> Workspace:
        """Return the likelihood of the Asimov set."""
        run, own = self.places[method]
        return run.model(own)

    def expected(self, method: str, truth: Truth) -> Workspace:
        """Return the likelihood of the Asimov set, which stands at the truth of the runs."""
        run, own = self.places[method]
        return run.expected(own, truth)

    def observed(self, method: str) -> Workspace:
        """Return the likelihood of the data."""
        run, own = self.places[method]
        return run.observed(own)

    def counts(self, truth: Truth) -> tuple[int, float]:
        """Return the number of data events, and that expected at the truth of the runs."""
        return next(iter(self.runs.values())).counts(truth)


def _require_same(what: str, results: Mapping[str, Results]) -> None:
    """Check that two runs are of the same events: equal yields, truths and luminosities."""
    (one, a), (other, b) = results.items()
    for name, left, right in (("yields", a.yields, b.yields), ("truth", a.asimov, b.asimov)):
        keys = [key for key in {**left, **right} if not math.isclose(left.get(key, math.nan), right.get(key, math.nan), rel_tol=1e-9)]
        if keys:
            got = f"{name} of {keys[0]}: {left.get(keys[0])} in {one}, {right.get(keys[0])} in {other}"
            remedy = "give them the same samples, selection, `ratios.splits` and truths; other measurements are parts of their own"
            raise SchemaError(what, got=got, expected="runs of the same events", remedy=remedy)
    if a.luminosity_ifb != b.luminosity_ifb:
        got = f"{a.luminosity_ifb:g}/fb in {one}, {b.luminosity_ifb:g}/fb in {other}"
        raise SchemaError(what, got=got, expected="one luminosity", remedy="run them with the same `luminosity_ifb`")


def _named_files(part: Any) -> set[str]:
    """Return the files that a part of a workspace document names."""
    if isinstance(part, dict):
        own = {value for key, value in part.items() if key in {"file", "model"} and isinstance(value, str)}
        return own.union(*(_named_files(value) for value in part.values()))
    return set().union(*(_named_files(value) for value in part)) if isinstance(part, list) else set()

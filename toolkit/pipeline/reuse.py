"""Use a release bundle: run its scans again, compare with what was published, and answer other hypotheses."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.artifacts.archive import extract_archive
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood import Likelihood, MethodResult, Results, Workspace, measure
from toolkit.typing import FloatArray

TOLERANCE = 1e-6
"""Largest difference of a best fit, an interval's end or a scan point that counts as reproduced."""


@dataclass(frozen=True)
class Substitution:
    """Another parameterisation.

    Args:
        where: Expressions that replace parameters, by parameter: {"mu": "kappa**2"}.
        coefficients: New coefficients by sample: {"ggF_S": "c**2 - c"}.
        parameters: (start, low, high) of new parameters, or new ranges of old ones, by name.
        poi: Parameter of interest; by default the bundle's or, if that is replaced, the first new parameter.
    """

    where: Mapping[str, str]
    coefficients: Mapping[str, str]
    parameters: Mapping[str, tuple[float, float, float]]
    poi: str | None = None

    def __bool__(self) -> bool:
        return bool(self.where or self.coefficients or self.parameters or self.poi)


NOTHING = Substitution({}, {}, {})


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle.

    Every method has a likelihood of the Asimov set, the expected one. A bundle of a run that was not blinded also has one of the
    data, which `observed=True` asks for.

    Args:
        folder: Where it was unpacked.
        index: bundle.json.
        published: results.json.
    """

    folder: Path
    index: Mapping[str, Any]
    published: Results

    @classmethod
    def open(cls, archive: str | Path, folder: str | Path) -> Bundle:
        """Unpack and check a bundle.

        Raises:
            InputFileError, SchemaError, ArtifactMismatchError: It is damaged, or no bundle.
        """
        index = extract_archive(archive, folder)
        root = Path(folder)
        try:
            published = Results.from_json(json.loads((root / "results.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            what = f"results.json of {archive}"
            got = f"{error.what}: {error.got}" if isinstance(error, SchemaError) else f"{type(error).__name__}: {error}"
            raise SchemaError(what, got=got, expected="the results of a run", remedy="write the bundle again") from error
        _check_methods(index, published)
        return cls(root, index, published)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods with a workspace."""
        return tuple(self.index["methods"])

    @property
    def observed(self) -> tuple[str, ...]:
        """Methods with a workspace of the data; none if these were blinded."""
        return tuple(name for name, entry in self.index["methods"].items() if "observed" in entry)

    def results(self, *, observed: bool = False) -> Mapping[str, MethodResult]:
        """Return the published results by method; none of data that were blinded."""
        if not observed:
            return self.published.methods
        return {} if self.published.observed is None else self.published.observed.methods

    def workspace(self, method: str, *, observed: bool = False, change: Substitution = NOTHING) -> Workspace:
        """Open the workspace of a method, in another parameterisation if asked for.

        Raises:
            SchemaError: No such method, no data, or the new parameterisation is incomplete.
            ArtifactMismatchError: The workspace refers to files outside the bundle.
        """
        if observed and not self.observed:
            what, expected = "data", "a bundle of a run with likelihood.observed: true"
            raise SchemaError(what, got="none in this bundle", expected=expected, remedy="ask for the expected results")
        known = self.observed if observed else self.methods
        if method not in known:
            what = "method"
            raise SchemaError(what, got=method, expected=f"one of {list(known)}", remedy="choose one that the bundle has")
        loaded = Workspace.load(self.folder / self.index["methods"][method]["observed" if observed else "workspace"])
        for name in files_of(loaded.document.get("unbinned_channels", [])):
            if not _holds(self.folder, loaded.folder / name):
                what = f"workspace of {method}"
                raise ArtifactMismatchError(what, got=name, expected="files inside the bundle", remedy="do not use this bundle")
        return Workspace(substitute(loaded.document, change), loaded.folder) if change else loaded

    def likelihood(self, method: str, *, observed: bool = False, change: Substitution = NOTHING) -> Likelihood:
        """Build the likelihood of a method.

        Raises:
            SchemaError: See `workspace`; or the parameter of interest is none of its parameters.
        """
        found = self.workspace(method, observed=observed, change=change).likelihood()
        if found.poi not in found.parameter_names:
            what = "--poi" if change.poi else f"parameter of interest of {method}"
            expected = f"one of {list(found.parameter_names)}"
            raise SchemaError(what, got=found.poi, expected=expected, remedy="choose a parameter that the likelihood has with --poi")
        return found

    def measure(self, method: str, *, observed: bool = False, change: Substitution = NOTHING, points: int = 121) -> MethodResult:
        """Fit and scan again: at the published points, or over the range of the new parameter of interest."""
        likelihood = self.likelihood(method, observed=observed, change=change)
        if not change:
            values: FloatArray = self.results(observed=observed)[method].scan.values
            return measure(likelihood, method=method, values=values, truth=self.published.asimov.get(likelihood.poi))
        parameter = likelihood.parameters[likelihood.parameter_names.index(likelihood.poi)]
        return measure(likelihood, method=method, values=np.linspace(parameter.low, parameter.high, points))

    def at(self, method: str, point: Mapping[str, float], *, observed: bool = False, change: Substitution = NOTHING) -> float:
        """Compute -2 ln L(point) / L(best fit); parameters that the point does not name are profiled if only one is named.

        Raises:
            SchemaError: The point names an unknown parameter, or some but not all of several.
        """
        likelihood = self.likelihood(method, observed=observed, change=change)
        names = likelihood.parameter_names
        unknown = sorted(set(point) - set(names))
        if unknown or (len(point) > 1 and set(point) != set(names)):
            what = "hypothesis"
            raise SchemaError(what, got=dict(point), expected=f"one parameter, or all of {list(names)}", remedy="correct --at")
        fit = likelihood.fit()
        if len(point) == 1:
            ((name, value),) = point.items()
            return float(likelihood.profile_points(name, np.array([value]), fit=fit)[0] - fit.twice_nll)
        return float(likelihood.twice_nll([point[n] for n in names]) - fit.twice_nll)


def substitute(document: Mapping[str, Any], change: Substitution) -> dict[str, Any]:
    """Write a workspace document in another parameterisation.

    Args:
        document: The workspace.
        change: What is replaced.

    Returns:
        The new document; the other is not changed.

    Raises:
        SchemaError: An expression is not of the grammar, or names what does not exist.
    """
    new = copy.deepcopy(dict(document))
    found: set[str] = set()
    for channel in (*new.get("channels", []), *new.get("unbinned_channels", [])):
        for sample in channel["samples"]:
            morphing = [m for m in sample.get("modifiers", []) if m.get("type") == "morphing"]
            for modifier in morphing:
                text = modifier["data"]["coefficient"]
                if sample["name"] in change.coefficients:
                    text = change.coefficients[sample["name"]]
                modifier["data"]["coefficient"] = Expression.parse(_replace(text, change.where)).text
            if morphing:
                found.add(sample["name"])
    _require_known("--coefficient", change.coefficients, found)
    for measurement in new["measurements"]:
        config = measurement["config"]
        _require_known("--where", change.where, {p["name"] for p in config["parameters"]})
        kept = [p for p in config["parameters"] if p["name"] not in {*change.where, *change.parameters}]
        added = [{"name": n, "inits": [a], "bounds": [[b, c]], "fixed": False} for n, (a, b, c) in change.parameters.items()]
        config["parameters"] = [*added, *kept]
        config["poi"] = change.poi or (config["poi"] if config["poi"] not in change.where else next(iter(change.parameters), ""))
    return new


def differences(found: MethodResult, published: MethodResult) -> dict[str, float]:
    """Compare a result with the published one: largest absolute differences of best fit, t(0), interval ends and scan.

    Intervals with another number of pieces, and a t(0) that only one of them has, differ by infinity.
    """
    out = {"mu_hat": abs(found.mu_hat - published.mu_hat)}
    at_zero = [t for t in (found.twice_nll_at_0, published.twice_nll_at_0) if t is not None]
    if at_zero:
        out["twice_nll_at_0"] = abs(at_zero[0] - at_zero[1]) if len(at_zero) == 2 else float("inf")
    for name in ("interval_68", "interval_95"):
        mine, theirs = getattr(found, name), getattr(published, name)
        pairs = [(a.low - b.low, a.high - b.high) for a, b in zip(mine, theirs, strict=False)]
        out[name] = float(np.max(np.abs(pairs), initial=0.0)) if len(mine) == len(theirs) else float("inf")
    out["scan"] = float(np.max(np.abs(found.scan.twice_delta_nll - published.scan.twice_delta_nll)))
    return out


def _check_methods(index: Mapping[str, Any], published: Results) -> None:
    """Refuse an index without methods, with methods that have no published results, or with workspaces that are not in the bundle."""
    observed = {} if published.observed is None else published.observed.methods
    what, remedy = "bundle.json", "write the bundle again, or do not use it"
    inside = {entry["path"] for entry in index["files"]}
    try:
        named = [("expected", name, entry["workspace"], published.methods) for name, entry in index["methods"].items()]
        named += [("observed", name, entry["observed"], observed) for name, entry in index["methods"].items() if "observed" in entry]
        there = [file in inside for _, _, file, _ in named]
    except (KeyError, TypeError, AttributeError) as error:
        raise SchemaError(what, got=f"{type(error).__name__}: {error}", expected="workspaces by method", remedy=remedy) from error
    if not named and len(published.parameters) > 1:
        got = "results of several parameters or regions, without their likelihoods"
        raise SchemaError(what, got=got, expected="at least one likelihood", remedy="use results.json, models/ and tables/ of the bundle")
    if not named:
        raise SchemaError(what, got="no methods", expected="at least one", remedy=remedy)
    for (data, name, file, results), found in zip(named, there, strict=True):
        if name not in results:
            got, expected = f"{data} workspace of {name}", f"{data} results of {name} in results.json, too"
            raise ArtifactMismatchError(what, got=got, expected=expected, remedy=remedy)
        if not found:
            raise ArtifactMismatchError(what, got=f"{data} workspace of {name}: {file}", expected="files inside the bundle", remedy=remedy)


def _holds(folder: Path, path: Path) -> bool:
    """Return whether a path is that of a file below a folder."""
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):  # too long, or with a character that no path has
        return False


def files_of(part: Any) -> Iterator[str]:
    """Yield every file that a part of a workspace document names."""
    if isinstance(part, Mapping):
        yield from (value for key, value in part.items() if key in {"file", "model"} and isinstance(value, str))
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from files_of(inner)


def _replace(text: str, where: Mapping[str, str]) -> str:
    """Put expressions in the place of names, all at once, so that one may use the name of another."""
    if not where:
        return text
    pattern = r"\b(?:" + "|".join(re.escape(name) for name in where) + r")\b"
    return re.sub(pattern, lambda match: f"({where[match[0]]})", text)


def _require_known(option: str, given: Mapping[str, str], known: Sequence[str] | set[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SchemaError(option, got=unknown, expected=f"names among {sorted(known)}", remedy="correct the name")

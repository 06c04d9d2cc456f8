"""Combine the channels of several workspace documents into one.

Parameters of one name are one parameter: name what is correlated alike, and rename the rest apart. A constraint that several documents
share is counted once and must be the same in all of them. Expressions in the place of parameters change the parameterisation, for
example mu_off by mu_on * gamma, which turns an off-shell and an on-shell measurement into one of the width.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.expressions.substitution import substitute
from toolkit.likelihood.parameters import Parameter

Document = dict[str, Any]
_KINDS = {"normfactor": "free", "shapefactor": "free by bin", "lumi": "lumi", "shapesys": "by bin", "staterror": "by bin"}
_DEFAULTS = {"unit": (0.0, 1.0)}
"""Observed value and width of a constraint that a measurement says nothing about, by kind."""


def combine_documents(
    parts: Mapping[str, tuple[Document, Path]],
    *,
    folder: Path,
    rename: Mapping[str, Mapping[str, str]],
    express: Mapping[str, str],
    parameters: Sequence[Parameter],
    poi: str | None,
    measurement: str,
) -> Document:
    """Combine documents; see `Workspace.combine`.

    Args:
        parts: Documents and the folders that their file names are relative to, by label.
        folder: Folder of the combined document.
        rename: By label, new names of parameters and channels.
        express: Expressions in the place of parameters, after renaming.
        parameters: Definitions (start, range) that win over those of the documents, and those of new parameters.
        poi: Parameter of interest; that of the first document if not given.
        measurement: Name of the measurement.

    Returns:
        The document.

    Raises:
        SchemaError: Channels of one name, contradictory constraints or definitions, an expression for a constrained parameter.
    """
    unknown = sorted(set(rename) - set(parts))
    if unknown or not parts:
        raise SchemaError("combination", got=f"renames for {unknown}, {len(parts)} workspaces", expected=f"labels among {sorted(parts)}")
    renamed = {label: _moved(_renamed(document, rename.get(label, {}), label), own, folder) for label, (document, own) in parts.items()}
    _check_channels(renamed)
    definitions = _merged_definitions(renamed, parameters, express)
    first = next(iter(renamed.values()))
    out: Document = {"version": first["version"]}
    for key in ("channels", "observations", "unbinned_channels"):
        entries = [entry for document in renamed.values() for entry in document.get(key, [])]
        if entries:
            out[key] = entries
    for sample in _samples(out):
        sample["modifiers"] = [_expressed(m, express) for m in sample.get("modifiers", [])]
    for channel in out.get("unbinned_channels", []):
        _substitute_inputs(channel, express)
    _separate_ties(out)
    chosen = first["measurements"][0]["config"]["poi"] if poi is None else poi
    if chosen in express:
        raise SchemaError(
            "combination: poi", got=f"{chosen!r}, which is an expression", expected="a parameter", remedy="say which, as `poi`"
        )
    out["measurements"] = [{"name": measurement, "config": {"poi": chosen, "parameters": definitions}}]
    return out


def _renamed(document: Document, names: Mapping[str, str], label: str) -> Document:
    """Rename parameters and channels; the first measurement is kept."""
    out = copy.deepcopy(document)
    out["measurements"] = out["measurements"][:1]
    config = out["measurements"][0]["config"]
    channels = [*out.get("channels", []), *out.get("observations", []), *out.get("unbinned_channels", [])]
    present = {c["name"] for c in channels} | {p["name"] for p in config["parameters"]} | set(_kinds(out)) | _coefficient_names(out)
    missing = sorted(set(names) - present)
    if missing:
        raise SchemaError(f"combination: renames of {label!r}", got=missing, expected=f"parameters and channels among {sorted(present)}")

    if "lumi" in names:
        _luminosity_as_coefficient(out, names["lumi"])

    def new(name: str) -> str:
        return names.get(name, name)

    for channel in channels:
        channel["name"] = new(channel["name"])
    for parameter in config["parameters"]:
        parameter["name"] = new(parameter["name"])
    config["poi"] = new(config["poi"])
    for modifier in _modifiers(out):
        if modifier["type"] == "morphing":
            modifier["data"]["coefficient"] = substitute(modifier["data"]["coefficient"], names)
        elif modifier["type"] != "lumi":
            modifier["name"] = new(modifier["name"])
    for channel in out.get("unbinned_channels", []):
        _substitute_inputs(channel, names)
    return out


def _luminosity_as_coefficient(document: Document, name: str) -> None:
    """Write the luminosity as a factor of another name, since pyhf's modifier has this one only; changes the document.

    The measurement's constraint goes with the parameter, so the likelihood stays the same.
    """
    for modifier in _modifiers(document):
        if modifier["type"] == "lumi":
            modifier |= {"name": f"factor_{name}", "type": "morphing", "data": {"coefficient": name}}


def _substitute_inputs(channel: Document, texts: Mapping[str, str]) -> None:
    """Put names or expressions in the place of parameters that the network of a channel reads; changes the channel."""
    if "output" in channel:
        channel["inputs"] = {name: substitute(text, texts) for name, text in channel["inputs"].items()}


def _moved(document: Document, old: Path, new: Path) -> Document:
    """Make the file names of unbinned channels relative to another folder; changes the document."""

    def move(name: str) -> str:
        return Path(os.path.relpath((old / name).resolve(), new.resolve())).as_posix()

    for channel in document.get("unbinned_channels", []):
        channel["model"] = move(channel["model"])
        for key in ("observation", "normalisation"):
            if isinstance(channel.get(key), dict):
                channel[key]["file"] = move(channel[key]["file"])
        for sample in channel["samples"]:
            for modifier in sample.get("modifiers", []):
                _move_sources(modifier.get("data"), move)
    return document


def _move_sources(data: Any, move: Callable[[str], str]) -> None:
    for source in data.values() if isinstance(data, dict) else ():
        if isinstance(source, dict) and "model" in source:
            source["model"] = move(source["model"])


def _check_channels(documents: Mapping[str, Document]) -> None:
    owner: dict[str, str] = {}
    bins: dict[str, str] = {}
    for label, document in documents.items():
        for channel in [*document.get("channels", []), *document.get("unbinned_channels", [])]:
            other = owner.setdefault(channel["name"], label)
            if other != label:
                what = f"channel {channel['name']!r}"
                raise SchemaError(what, got=f"in {other!r} and {label!r}", expected="channels of different names", remedy="rename one")
        for name, kind in _kinds(document).items():
            if kind == "by bin" and bins.setdefault(name, label) != label:
                raise SchemaError(
                    f"modifier {name!r}",
                    got=f"one parameter per bin in {bins[name]!r} and {label!r}",
                    expected="bin-by-bin uncertainties of one workspace",
                    remedy="rename one",
                )


def _merged_definitions(documents: Mapping[str, Document], given: Sequence[Parameter], express: Mapping[str, str]) -> list[Document]:
    """Merge the parameters of all measurements; constraints must agree, ranges too unless a definition is given."""
    override = {p.name: {"inits": [p.init], "bounds": [[p.low, p.high]], "fixed": p.fixed} for p in given}
    merged: dict[str, Document] = {}
    terms: dict[str, tuple[str, Any]] = {}
    held: dict[str, tuple[str, bool]] = {}
    for label, document in documents.items():
        described = {p["name"]: p for p in document["measurements"][0]["config"]["parameters"]}
        for name, kind in _kinds(document).items():
            _check_constraint(terms, name, label, _term(kind, described.get(name, {})))
            if kind != "free":
                _check_held(held, name, label, described.get(name, {}).get("fixed", False))
        for name, entry in described.items():
            if name not in _kinds(document) and "auxdata" in entry:
                _check_constraint(terms, name, label, _of_coefficients(entry))
            known = merged.get(name, {})
            if "bounds" in known and "bounds" in entry and terms.get(name, ("", ("free",)))[1][0] != "free":
                # where a constraint rules, ranges only keep fits from straying
                (low, high), (other_low, other_high) = known["bounds"][0], entry["bounds"][0]
                known["bounds"] = entry["bounds"] = [[min(low, other_low), max(high, other_high)]]
            for key in ("inits", "bounds", "fixed"):
                if name not in override and known.get(key, entry.get(key)) != entry.get(key, known.get(key)):
                    raise SchemaError(
                        f"parameter {name!r}",
                        got=f"{key} {known[key]}, and {entry[key]} in {label!r}",
                        expected="one definition",
                        remedy="give the combination a definition in `parameters`, or rename one of the two",
                    )
            merged[name] = {**entry, **known, **override.get(name, {})}
    for name in {n for document in documents.values() for n, kind in _kinds(document).items() if kind == "unit"} & set(merged):
        if terms[name][1] == _term("unit", {}):  # what a modifier brings anyway: pyhf knows it
            merged[name] = {key: value for key, value in merged[name].items() if key not in ("auxdata", "sigmas")}
    constrained = sorted(n for n in express if n in terms and terms[n][1][0] not in ("free", ""))
    if constrained:
        raise SchemaError("expressions of the combination", got=constrained, expected="free parameters", remedy="rename instead")
    merged.update({name: {"name": name, **entry} for name, entry in override.items() if name not in merged})
    return [entry for name, entry in merged.items() if name not in express]


def _term(kind: str, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes a constraint: kind, observed value, width."""
    observed, width = _DEFAULTS.get(kind, (None, None))
    return (kind, *entry.get("auxdata", [observed]), *entry.get("sigmas", [width]))


def _of_coefficients(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the same of a parameter of coefficients, whose constraint stands in the measurement."""
    if entry["auxdata"] == [0.0] and entry.get("sigmas") == [1.0]:
        return _term("unit", {})
    return ("of coefficients", *entry["auxdata"], *entry.get("sigmas", ()), *((f, "factor") for f in entry.get("factors", ())))


def _check_constraint(terms: dict[str, tuple[str, Any]], name: str, label: str, own: tuple[Any, ...]) -> None:
    other, known = terms.setdefault(name, (label, own))
    if known != own:
        raise SchemaError(
            f"constraint of {name!r}",
            got=f"{known} in {other!r}, {own} in {label!r}",
            expected="the same kind, observed value and width everywhere",
            remedy="rename one of the two: parameters of one name are one parameter",
        )


def _check_held(held: dict[str, tuple[str, bool]], name: str, label: str, fixed: bool) -> None:
    other, known = held.setdefault(name, (label, fixed))
    if known != fixed:
        words = {True: "fixed", False: "free"}
        raise SchemaError(
            f"nuisance parameter {name!r}",
            got=f"{words[known]} in {other!r}, {words[fixed]} in {label!r}",
            expected="the same everywhere",
            remedy="rename one of the two: parameters of one name are one parameter",
        )


def _expressed(modifier: Document, express: Mapping[str, str]) -> Document:
    """Put expressions in the place of parameters: into coefficients, and for normfactors as a coefficient."""
    if modifier["type"] == "morphing":
        text = substitute(modifier["data"]["coefficient"], express)
        return {**modifier, "data": {"coefficient": text}}
    if modifier["type"] == "normfactor" and modifier["name"] in express:
        return {"name": modifier["name"], "type": "morphing", "data": {"coefficient": Expression.parse(express[modifier["name"]]).text}}
    return modifier


def _separate_ties(document: Document) -> None:
    """Give binned morphing modifiers of one name but different expressions names of their own."""
    texts: dict[str, str] = {}
    for channel in document.get("channels", []):
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                if modifier["type"] == "morphing":
                    name, text = modifier["name"], modifier["data"]["coefficient"]
                    if texts.get(name, text) != text:
                        name = modifier["name"] = f"{name}_{channel['name']}_{sample['name']}"
                    texts[name] = text


def _samples(document: Document) -> Iterator[Document]:
    for channel in [*document.get("channels", []), *document.get("unbinned_channels", [])]:
        yield from channel["samples"]


def _modifiers(document: Document) -> Iterator[Document]:
    for sample in _samples(document):
        yield from sample.get("modifiers", [])


def _kinds(document: Document) -> dict[str, str]:
    """Return the kind of every modifier that has a parameter of its own, by name."""
    return {m.get("name", "lumi"): _KINDS.get(m["type"], "unit") for m in _modifiers(document) if m["type"] != "morphing"}


def _coefficient_texts(document: Document) -> list[str]:
    """Return all expressions in which parameters enter."""
    inputs = [text for channel in document.get("unbinned_channels", []) for text in channel.get("inputs", {}).values()]
    return [*(m["data"]["coefficient"] for m in _modifiers(document) if m["type"] == "morphing"), *inputs]


def _coefficient_names(document: Document) -> set[str]:
    return {n for text in _coefficient_texts(document) for n in Expression.parse(text).names}


@dataclass(frozen=True)
class DocumentNames:
    """The names of a workspace document.

    Attributes:
        channels: Of channels.
        free: Of parameters without a constraint.
        constrained: Of parameters with one.
        by_bin: Of modifiers that have a parameter per bin.
        described: Start and range of parameters of which the first measurement holds them, and whether it fixes them.
        coefficients: Expressions in which parameters enter.
    """

    channels: tuple[str, ...]
    free: tuple[str, ...]
    constrained: tuple[str, ...]
    by_bin: tuple[str, ...]
    described: Mapping[str, Parameter]
    coefficients: tuple[str, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> DocumentNames:
        """Collect them.

        Examples:
            >>> sample = {"name": "S", "data": [1.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None},
            ...     {"name": "jes", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}]}
            >>> names = DocumentNames.of({"channels": [{"name": "SR", "samples": [sample]}],
            ...     "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]})
            >>> names.channels, names.free, names.constrained
            (('SR',), ('mu',), ('jes',))
        """
        whole = dict(document)
        kinds = _kinds(whole)
        described = {p["name"]: p for p in whole["measurements"][0]["config"]["parameters"]}
        coefficients = sorted(_coefficient_names(whole) - set(kinds))
        measured = [n for n in coefficients if "auxdata" in described.get(n, {})]
        return cls(
            channels=tuple(c["name"] for key in ("channels", "unbinned_channels") for c in whole.get(key, [])),
            free=(*(n for n, kind in kinds.items() if kind == "free"), *(n for n in coefficients if n not in measured)),
            constrained=(*(n for n, kind in kinds.items() if kind in ("unit", "lumi")), *measured),
            by_bin=tuple(n for n, kind in kinds.items() if kind in ("by bin", "free by bin")),
            described={
                n: Parameter(n, e["inits"][0], e["bounds"][0][0], e["bounds"][0][1], e.get("fixed", False))
                for n, e in described.items()
                if "bounds" in e and "inits" in e and len(e["bounds"]) == 1
            },
            coefficients=tuple(dict.fromkeys(_coefficient_texts(whole))),
        )

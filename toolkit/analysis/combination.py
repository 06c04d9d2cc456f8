"""The parts of a combination, what they share, and the parameters in which it is fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.analysis.combination_checks import require_apart, require_fit, require_one_kind
from toolkit.analysis.combination_parts import Part, open_part
from toolkit.analysis.nuisances import LUMINOSITY
from toolkit.analysis.ratio_spread import is_of_networks
from toolkit.config import CombineConfig
from toolkit.errors import SchemaError
from toolkit.expressions import Expression
from toolkit.likelihood import Parameter, Workspace
from toolkit.likelihood.combination import DocumentNames
from toolkit.model import ModelParameter, parameterisation

ALONE = "counts"
"""Method of a combination without any run."""
USUAL_RANGE = (1.0, 0.0, 10.0)
"""Start and range of a free parameter that nobody describes, as in pyhf."""


@dataclass(frozen=True)
class CombinedFit:
    """One fit of a combination.

    Attributes:
        name: Its name.
        parameters: Parameters in the place of others.
        express: Expressions by the parameter that they replace.
        interest: Parameters of interest.
        linear: Whether coefficients are expanded to first order.
        lambda_tev: Scale of Wilson coefficients in TeV; None where the parameters are none.
    """

    name: str
    parameters: tuple[ModelParameter, ...]
    express: Mapping[str, str]
    interest: tuple[str, ...]
    linear: bool = False
    lambda_tev: float | None = None


@dataclass(frozen=True, eq=False)
class Combination:
    """The parts of a combination with what they share.

    Attributes:
        config: The config.
        parts: The parts.
        methods: Methods of the runs.
        rename: New names of parameters and channels, by method and part.
        parameters: All free parameters after renaming.
        truth: Values of the free parameters in the Asimov set.
        groups: Nuisance parameters by group.
        fits: What is fitted.
    """

    config: CombineConfig
    parts: tuple[Part, ...]
    methods: tuple[str, ...]
    rename: Mapping[str, Mapping[str, Mapping[str, str]]]
    parameters: Mapping[str, Parameter]
    truth: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]
    fits: tuple[CombinedFit, ...]

    @classmethod
    def open(cls, config: CombineConfig) -> Combination:
        """Open all parts, and find what they share.

        Raises:
            InputFileError, ArtifactMismatchError: Files of a part are missing or damaged.
            SchemaError: The parts have no method in common, a name is unknown, truths differ, or a fit measures nothing.
        """
        parts = tuple(open_part(name, part) for name, part in config.parts.items())
        methods = _methods(config, parts)
        documents = {method: {part.name: part.model(method).document for part in parts} for method in methods}
        names = {method: {part: DocumentNames.of(document) for part, document in own.items()} for method, own in documents.items()}
        _require_known(config, names)
        rename = {method: _renames(config, own) for method, own in names.items()}
        require_one_kind(names, rename)
        free = _free_parameters(config, names, rename)
        truth = _truth(config, parts, free)
        fits = _fits(config, tuple(name for name, p in free.items() if not p.fixed))
        for fit in fits:
            _require_truth(fit, truth)
            require_fit(fit.name, fit.express, fit.parameters, free=free, truth=truth, names=names, rename=rename)
        require_apart(parts, config)
        return cls(config, parts, methods, rename, free, truth, _groups(names, rename), fits)

    @property
    def luminosity_ifb(self) -> float:
        """Luminosity in 1/fb.

        Raises:
            SchemaError: The parts have different ones and the config has none, or nobody knows it.
        """
        found = sorted({part.luminosity_ifb for part in self.parts if part.luminosity_ifb is not None})
        if self.config.luminosity_ifb is not None:
            return self.config.luminosity_ifb
        if len(found) != 1:
            got = f"luminosities {found} /fb of the parts" if found else "no part that knows its luminosity"
            raise SchemaError("luminosity_ifb", got=got, expected="one for plots and tables", remedy="give luminosity_ifb in the config")
        return found[0]

    def workspace(self, method: str, *, observed: bool, folder: Path) -> Workspace:
        """Join the parts beside one method.

        Args:
            method: The method of the runs.
            observed: Whether the data are the observed events; otherwise they are the Asimov set.
            folder: Folder of the joint document, to which its file names are relative.

        Returns:
            One document in the renamed parameters of the parts.

        Raises:
            SchemaError: A part has no observed events, or the parts contradict each other.
        """
        own = {part.name: part.observed(method) if observed else part.expected(method, self.own_truth(part)) for part in self.parts}
        rename, given, poi = self.rename[method], list(self.parameters.values()), next(iter(self.parameters))
        return Workspace.combine(own, rename=rename, parameters=given, poi=poi, measurement=self.config.name, folder=folder)

    def expectation(self) -> tuple[dict[str, int], float]:
        """Return the observed events by part, and the expected ones of all parts."""
        counted = {part.name: part.counts(self.own_truth(part)) for part in self.parts}
        return {name: seen for name, (seen, _) in counted.items()}, sum(expected for _, expected in counted.values())

    def own_truth(self, part: Part) -> dict[str, float]:
        """Return the truth under the names of a part; parameters that it renames go by their new names alone."""
        given = self.config.parts[part.name].rename
        kept = {name: value for name, value in self.truth.items() if name not in given}
        return kept | {old: self.truth[new] for old, new in given.items() if new in self.truth}


def _methods(config: CombineConfig, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the methods that every run has, or those that the config names."""
    own = [part.methods for part in parts if part.methods]
    if not own:
        if config.methods:
            raise SchemaError("methods", got=list(config.methods), expected="none: no part is a run", remedy="remove the key")
        return (ALONE,)
    common = tuple(name for name in own[0] if all(name in methods for methods in own))
    wrong = [name for name in config.methods if name not in common]
    if wrong or not common:
        expected = f"methods that every run has a workspace of: {list(common)}" if common else "a method that every run has a workspace of"
        got = wrong or {part.name: list(part.methods) for part in parts if part.methods}
        raise SchemaError("methods", got=got, expected=expected, remedy="choose among these, or run the analyses with the same histograms")
    return config.methods or common


def _require_known(config: CombineConfig, names: Mapping[str, Mapping[str, DocumentNames]]) -> None:
    """Check that what the config renames and correlates is there beside some method."""
    constrained = {n for of_parts in names.values() for own in of_parts.values() for n in own.constrained}
    constrained |= {new for section in config.parts.values() for old, new in section.rename.items() if old in constrained}
    shared = [] if config.correlations == "by_name" else list(config.correlations)
    unknown = sorted(set(shared) - constrained)
    if unknown:
        expected = f"nuisance parameters among {sorted(constrained)}"
        raise SchemaError("correlations", got=unknown, expected=expected, remedy="correct the names; free parameters are shared by name")
    for part, section in config.parts.items():
        known = {n for of_parts in names.values() for n in (*of_parts[part].free, *of_parts[part].constrained)}
        unknown = sorted(set(section.rename) - known)
        if unknown:
            expected = f"parameters among {sorted(known)}"
            raise SchemaError(f"parts.{part}.rename", got=unknown, expected=expected, remedy="correct the names")


def _renames(config: CombineConfig, names: Mapping[str, DocumentNames]) -> dict[str, dict[str, str]]:
    """Return the new names of each part: those of the config, nuisance parameters that are not shared, and channels."""
    own_simulation = {part: [*own.by_bin, *(n for n in own.constrained if is_of_networks(n))] for part, own in names.items()}
    every = [n for own in own_simulation.values() for n in own]
    found: dict[str, dict[str, str]] = {}
    for part, own in names.items():
        given = {n: new for n, new in config.parts[part].rename.items() if n in (*own.free, *own.constrained)}
        apart = [n for n in own_simulation[part] if every.count(n) > 1]
        if config.correlations != "by_name":
            apart += [n for n in own.constrained if n not in {*config.correlations, *given}]
        channels = {n: f"{part}_{n}" for n in own.channels if n != part}
        found[part] = {**channels, **{n: f"{n}_{part}" for n in apart}, **given}
    return found


def _free_parameters(
    config: CombineConfig, names: Mapping[str, Mapping[str, DocumentNames]], rename: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> dict[str, Parameter]:
    """Return the free parameters of all parts, with the ranges of the config or of the first part that describes them."""
    found: dict[str, Parameter] = {}
    described: dict[str, tuple[Parameter, str]] = {}
    for method, of_parts in names.items():
        for part, own in of_parts.items():
            for old in own.free:
                name = rename[method][part].get(old, old)
                found.setdefault(name, Parameter(name, *USUAL_RANGE))
                if old in own.described:
                    definition = replace(own.described[old], name=name)
                    first, whose = described.setdefault(name, (definition, part))
                    if first.fixed != definition.fixed and name not in config.parameters:
                        got = f"fixed in one of the parts {whose} and {part}, free in the other"
                        remedy = f"give {name} a range under `parameters`, which frees it, or rename one of the two"
                        raise SchemaError(f"parameter {name!r}", got=got, expected="the same everywhere", remedy=remedy)
    found |= {name: definition for name, (definition, _) in described.items()}
    unknown = sorted(set(config.parameters) - set(found) - _new_names(config))
    if unknown:
        expected = f"free parameters of the parts, {list(found)}, or those of a parameterisation"
        raise SchemaError("parameters", got=unknown, expected=expected, remedy="correct the names, or rename parameters of the parts")
    if not found:
        raise SchemaError("parts", got="no free parameter", expected="at least one, to be measured", remedy="give processes a `factor`")
    made = {name: config.parameters[name].parameter(name) for name in found if name in config.parameters}
    return {name: Parameter(name, made[name].start, *made[name].range) if name in made else p for name, p in found.items()}


def _new_names(config: CombineConfig) -> set[str]:
    return {p.name for name in config.parameterisations for p in parameterisation(name).parameters}


def _truth(config: CombineConfig, parts: Sequence[Part], free: Mapping[str, Parameter]) -> dict[str, float]:
    """Return the truth of all free parameters: that of the config and the runs, else where fits start.

    Raises:
        SchemaError: Two runs, or a run and the config, have different ones.
    """
    found: dict[str, tuple[float, str]] = {n: (s.truth, "the config") for n, s in config.parameters.items() if n in free}
    for part in parts:
        for own, value in part.truth.items():
            name = config.parts[part.name].rename.get(own, own)
            if name not in free:
                continue
            other, whose = found.setdefault(name, (value, f"part {part.name}"))
            if not math.isclose(other, value, rel_tol=1e-9, abs_tol=1e-12):
                got = f"{other:g} in {whose}, {value:g} in the Asimov set of part {part.name}"
                remedy = "run the analyses with one truth, or correct `parameters`"
                raise SchemaError(f"truth of {name!r}", got=got, expected="one value", remedy=remedy)
    return {name: found[name][0] if name in found else p.init for name, p in free.items()}


def _fits(config: CombineConfig, free: Sequence[str]) -> tuple[CombinedFit, ...]:
    """Return all fits; sections of the config replace ranges and truths of ready-made parameters."""
    found = []
    for name in config.parameterisations:
        made = parameterisation(name).on(free)
        parameters = tuple(_described(config, p) for p in made.parameters)
        interest = (*(p.name for p in made.parameters if p.kind == "interest"), *made.interest)
        found.append(CombinedFit(name, parameters, dict(made.express), interest))
    for name, section in config.fits.items():
        where = f"fits.{name}"
        unknown = sorted(set(section.express) - set(free))
        if unknown:
            raise SchemaError(f"{where}.express", got=unknown, expected=f"some of {list(free)}", remedy="correct the names")
        parameters = tuple(p.parameter(key) for key, p in section.parameters.items())
        known = {*(p.name for p in parameters), *(n for n in free if n not in section.express)}
        for key, text in section.express.items():
            missing = sorted(set(Expression.parse(text).names) - known)
            if missing:
                expected = f"parameters of the fit, or free ones that stay: {sorted(known)}"
                raise SchemaError(f"{where}.express.{key}", got=f"no parameters {missing}", expected=expected, remedy="define them")
        own = [n for n in section.interest if n not in free or n in section.express]
        if own:
            expected = f"free parameters that stay: {[n for n in free if n not in section.express]}"
            raise SchemaError(f"{where}.interest", got=own, expected=expected, remedy="correct the names")
        interest = (*(p.name for p in parameters if p.kind == "interest"), *section.interest)
        if not interest:
            raise SchemaError(where, got="nothing to measure", expected="a parameter of kind interest, or `interest`", remedy="name one")
        found.append(CombinedFit(name, parameters, dict(section.express), interest, section.order == "linear", section.lambda_tev))
    return tuple(found)


def _described(config: CombineConfig, parameter: ModelParameter) -> ModelParameter:
    section = config.parameters.get(parameter.name)
    return parameter if section is None else replace(section.parameter(parameter.name), label=section.label or parameter.label)


def _require_truth(fit: CombinedFit, truth: Mapping[str, float]) -> None:
    """Check that the truth of a fit is that of the Asimov sets."""
    point = {**truth, **{p.name: p.truth for p in fit.parameters}}
    for name, text in fit.express.items():
        value = Expression.parse(text).value(point)
        if not math.isclose(value, truth[name], rel_tol=1e-9, abs_tol=1e-12):
            got = f"{name} = {value:g} at the truth of its parameters, {truth[name]:g} in the Asimov set"
            raise SchemaError(f"fit {fit.name!r}", got=got, expected="the same truth", remedy="correct `truth` of its parameters")


def _groups(
    names: Mapping[str, Mapping[str, DocumentNames]], rename: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> dict[str, tuple[str, ...]]:
    """Group the nuisance parameters: the luminosity, those that parts share, those of each part alone."""
    of_part: dict[str, set[str]] = {}
    for method, own in names.items():
        for part, known in own.items():
            of_part.setdefault(part, set()).update(rename[method][part].get(n, n) for n in known.constrained)
    every = [n for own_names in of_part.values() for n in own_names]
    luminosity = tuple(n for n in (LUMINOSITY,) if n in every)
    shared = tuple(sorted({n for n in every if every.count(n) > 1} - {LUMINOSITY}))
    groups = {"luminosity": luminosity, "shared": shared}
    groups |= {part: tuple(sorted(own_names - {*shared, *luminosity})) for part, own_names in of_part.items()}
    return {group: own_names for group, own_names in groups.items() if own_names}

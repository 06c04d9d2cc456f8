"""Which parameters a workspace's channels have, and how they are constrained: pyhf's conventions for all channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pyhf

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.pyhf_model import model_parameters
from toolkit.likelihood.workspace_schema import parse_parameter


def definitions(config: Mapping[str, Any], model: pyhf.Model | None) -> dict[str, Parameter]:
    """Collect the parameters that coefficients may use: the model's own, and those that the measurement defines."""
    defined = {p.name: p for p in model_parameters(model)} if model is not None else {}
    of_model = set(model.config.parameters) if model is not None else set()
    for raw in config["parameters"]:
        if raw["name"] not in of_model and "bounds" in raw:
            init, low, high, fixed = parse_parameter(raw, where="measurement")
            defined[raw["name"]] = Parameter(name=raw["name"], init=init, low=low, high=high, fixed=fixed)
    return defined


def nuisances(kinds: Mapping[str, str], config: Mapping[str, Any], model: pyhf.Model | None) -> list[tuple[Parameter, Constraint]]:
    """Define the constrained parameters of unbinned channels that the binned ones do not have.

    Defaults are pyhf's unless the measurement says more.

    Raises:
        SchemaError: A parameter whose constraint in the binned channels is of another kind, or a luminosity without its uncertainty.
    """
    theirs = dict(model.config.modifiers) if model is not None else {}
    found = []
    for name, kind in kinds.items():
        if name in theirs:
            fitting = {"unit": ("normsys", "histosys"), "lumi": ("lumi",), "free": ("normfactor",)}[kind]
            if theirs[name] not in fitting:
                raise SchemaError(
                    f"constraint of {name!r}",
                    got=f"{theirs[name]} in binned channels, {kind!r} in unbinned ones",
                    expected=f"one of {list(fitting)} in the binned channels",
                    remedy="rename one of the two: parameters of one name are one parameter",
                )
        elif kind != "free":
            raw = next((p for p in config["parameters"] if p["name"] == name), {"name": name})
            found.append(_nuisance(raw, kind))
    return found


def _nuisance(raw: Mapping[str, Any], kind: str) -> tuple[Parameter, Constraint]:
    defaults = {"auxdata": [0.0], "sigmas": [1.0], "inits": [0.0], "bounds": [[-5.0, 5.0]]} if kind == "unit" else {}
    entries = {**defaults, **raw}
    missing = [key for key in ("auxdata", "sigmas", "inits", "bounds") if key not in entries]
    if missing:
        expected = '{"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.9, 1.1]]}'
        raise SchemaError(f"measurement: parameter {raw['name']!r}", got=f"no {missing}", expected=expected, remedy="as pyhf wants it")
    if kind == "unit" and list(entries["sigmas"]) != [1.0]:
        raise SchemaError(f"measurement: parameter {raw['name']!r}", got=f"sigmas {entries['sigmas']}", expected="a unit Gaussian")
    init, low, high, fixed = parse_parameter(dict(entries), where="measurement")
    parameter = Parameter(name=str(raw["name"]), init=init, low=low, high=high, fixed=fixed)
    return parameter, Constraint(parameter.name, observed=float(entries["auxdata"][0]), scale=float(entries["sigmas"][0]))


def constrained_parameters(
    names: Iterable[str], defined: Mapping[str, Parameter], config: Mapping[str, Any], *, taken: Iterable[str]
) -> list[tuple[Parameter, Constraint]]:
    """Find the parameters of coefficients for which the measurement has an auxiliary measurement, as pyhf writes it.

    Args:
        names: Parameters that occur in coefficients.
        defined: All parameters by name.
        config: Of the measurement: `auxdata` with `sigmas` is a Gaussian, with `factors` a count.
        taken: Parameters whose constraint comes with a modifier.

    Raises:
        SchemaError: `auxdata` alone, with both, or of several numbers.
    """
    wanted, found = set(names) - set(taken), []
    for raw in config["parameters"]:
        if raw["name"] not in wanted or "auxdata" not in raw:
            continue
        widths = [key for key in ("sigmas", "factors") if key in raw]
        if len(widths) != 1 or len(raw["auxdata"]) != 1 or len(raw[widths[0]]) != 1:
            raise SchemaError(
                f"measurement: parameter {raw['name']!r}",
                got={key: raw[key] for key in ("auxdata", *widths)},
                expected='one number in "auxdata", and one in "sigmas" (a Gaussian) or "factors" (a count)',
                remedy="write its constraint as pyhf does",
            )
        kind: Literal["gaussian", "poisson"] = "gaussian" if widths == ["sigmas"] else "poisson"
        constraint = Constraint(raw["name"], observed=float(raw["auxdata"][0]), kind=kind, scale=float(raw[widths[0]][0]))
        found.append((defined[raw["name"]], constraint))
    return found


def used_parameters(
    coefficients: Iterable[str], defined: Mapping[str, Parameter], poi: str | None, *, also: Iterable[str] = ()
) -> tuple[Parameter, ...]:
    """Return the parameters that occur in coefficients, and others, the parameter of interest first."""
    names = sorted({*(n for c in coefficients for n in Expression.parse(c).names), *also}, key=lambda n: (n != poi, n))
    missing = [n for n in names if n not in defined]
    if missing:
        what = "coefficients of the workspace"
        raise SchemaError(
            what,
            got=f"undefined parameters {missing}",
            expected=f"parameters among {sorted(defined)}",
            remedy="define each with inits and bounds in the measurement",
        )
    return tuple(defined[n] for n in names)

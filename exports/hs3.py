"""HS3 documents of binned likelihoods, from pyhf workspaces.

The HEP Statistics Serialization Standard (version 0.2) describes HistFactory models in one JSON document that RooFit and other programs
read. Morphing modifiers have no place in it: export the plain pyhf form of a workspace (`Workspace.to_pyhf`), in which each process has a
free normfactor; unbinned channels with density ratios cannot be written at all. HS3 has no modifier for the luminosity: it is written as a
normfactor whose Gaussian constraint is a distribution of its own, as RooFit does. The errors of a `staterror` stand beside the
contents of the samples; readers take their sum in quadrature over the plain sum of the contents, as pyhf does. Those of a `shapesys` are
relative, as RooFit reads them, and parameters of bins are called NAME_bin_0, NAME_bin_1, ...: RooFit has no brackets in names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.artifacts.atomic import write_json
from toolkit.errors import SchemaError

VERSION = "0.2"
_WRITTEN = ("normfactor", "normsys", "histosys", "shapesys", "shapefactor", "staterror", "lumi")
_BY_BIN = ("shapesys", "shapefactor", "staterror")
_GAUSSIAN = {"normsys": (0.0, -5.0, 5.0), "histosys": (0.0, -5.0, 5.0)}


def hs3_document(workspace: Mapping[str, Any], *, measurement: str | None = None) -> dict[str, Any]:
    """Translate a pyhf workspace.

    Args:
        workspace: A document of pyhf's schema.
        measurement: Name of the measurement (default: the first).

    Returns:
        The HS3 document: one `histfactory_dist` per channel, its data, a likelihood, the domain and starting point of the parameters.

    Raises:
        SchemaError: Unbinned channels, a modifier that HS3 does not know, a luminosity without its uncertainty, a staterror that is
            not its channel's only one, or no such measurement.
    """
    if "unbinned_channels" in workspace:
        raise SchemaError("HS3 export", got="unbinned channels", expected="binned channels only", remedy="export a histogram fit")
    chosen = [m for m in workspace["measurements"] if measurement in (None, m["name"])]
    if not chosen:
        raise SchemaError("HS3 export", got=measurement, expected=f"one of {[m['name'] for m in workspace['measurements']]}")
    config = chosen[0]["config"]
    counts = {o["name"]: o["data"] for o in workspace["observations"]}
    names = [c["name"] for c in workspace["channels"]]
    _check_staterrors(workspace)
    constraints = _luminosity(workspace, config)
    ranges = _ranges(workspace, config)
    for c in constraints:
        observed = float(_parameter(config, c["mean"])["auxdata"][0])
        ranges[c["x"]] = (observed, observed, observed, True)
    likelihood = {"name": "likelihood", "distributions": names, "data": [f"observed_{n}" for n in names]}
    if constraints:
        likelihood["aux_distributions"] = [c["name"] for c in constraints]
    return {
        "metadata": {"hs3_version": VERSION},
        "distributions": [*(_distribution(c) for c in workspace["channels"]), *constraints],
        "data": [{"type": "binned", "name": f"observed_{n}", "axes": [_axis(n, len(counts[n]))], "contents": counts[n]} for n in names],
        "likelihoods": [likelihood],
        "domains": [
            {
                "name": "default_domain",
                "type": "product_domain",
                "axes": [{"name": n, "min": low, "max": high} for n, (_, low, high, _) in ranges.items() if low < high],
            }
        ],
        "parameter_points": [
            {"name": "default_values", "parameters": [{"name": n, "value": v, "const": still} for n, (v, _, _, still) in ranges.items()]}
        ],
        "analyses": [
            {
                "name": chosen[0]["name"],
                "likelihood": "likelihood",
                "domains": ["default_domain"],
                "init": "default_values",
                "parameters_of_interest": [config["poi"]] if config["poi"] else [],
            }
        ],
    }


def write_hs3(workspace: Mapping[str, Any], path: str | Path, *, measurement: str | None = None) -> None:
    """Write a pyhf workspace as an HS3 document; see `hs3_document`."""
    write_json(path, hs3_document(workspace, measurement=measurement))


def _axis(channel: str, n_bins: int) -> dict[str, Any]:
    return {"name": f"obs_{channel}", "min": 0.0, "max": float(n_bins), "nbins": n_bins}


def _distribution(channel: Mapping[str, Any]) -> dict[str, Any]:
    samples = []
    for sample in channel["samples"]:
        modifiers = [_modifier(m, channel["name"], sample["data"]) for m in sample["modifiers"]]
        errors = [list(m["data"]) for m in sample["modifiers"] if m["type"] == "staterror"]
        data = {"contents": list(sample["data"]), **({"errors": errors[0]} if errors else {})}
        samples.append({"name": sample["name"], "data": data, "modifiers": modifiers})
    n_bins = len(channel["samples"][0]["data"])
    statistics = {"staterror": {"constraint_type": "Gauss", "relThreshold": 0.0}} if _modifiers(channel, "staterror") else {}
    return {"type": "histfactory_dist", "name": channel["name"], "axes": [_axis(channel["name"], n_bins)], "samples": samples, **statistics}


def _modifier(modifier: Mapping[str, Any], channel: str, contents: Sequence[float]) -> dict[str, Any]:
    kind, name, data = modifier["type"], modifier["name"], modifier["data"]
    if kind not in _WRITTEN:
        raise SchemaError(
            f"modifier {name!r} of channel {channel!r}",
            got=kind,
            expected=f"one of {list(_WRITTEN)}",
            remedy="export Workspace.to_pyhf(), which turns morphing into free normfactors",
        )
    if kind in ("normfactor", "lumi"):
        return {"type": "normfactor", "name": name, "parameter": name}
    if kind == "normsys":
        return {"type": kind, "name": name, "parameter": name, "constraint": "Gauss", "data": {**data, "interpolation": "code4"}}
    if kind == "histosys":
        pair = {"hi": {"contents": data["hi_data"]}, "lo": {"contents": data["lo_data"]}, "interpolation": "code4p"}
        return {"type": kind, "name": name, "parameter": name, "constraint": "Gauss", "data": pair}
    parameters = [f"{name}_bin_{b}" for b in range(len(contents))]
    if kind == "shapefactor":
        return {"type": kind, "name": name, "parameters": parameters}
    if kind == "staterror":
        return {"type": kind, "name": name, "parameters": parameters, "constraint": "Gauss"}
    relative = [abs(error / content) if content else 0.0 for error, content in zip(data, contents, strict=True)]
    return {"type": kind, "name": name, "parameters": parameters, "constraint": "Poisson", "data": {"vals": relative}}


def _modifiers(channel: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [m for s in channel["samples"] for m in s["modifiers"] if m["type"] == kind]


def _check_staterrors(workspace: Mapping[str, Any]) -> None:
    """Refuse what HS3 cannot tell apart: it has one set of errors per sample, and a channel's staterror parameters are its own."""
    owner: dict[str, str] = {}
    for channel in workspace["channels"]:
        names = {m["name"] for m in _modifiers(channel, "staterror")}
        if len(names) > 1 or any(n in owner for n in names):
            raise SchemaError(
                f"staterror of channel {channel['name']!r}",
                got=f"{sorted(names)}; other channels have {sorted(owner)}",
                expected="one name per channel, of this channel alone",
                remedy="give every channel a staterror of its own",
            )
        owner.update(dict.fromkeys(names, channel["name"]))


def _without_error(workspace: Mapping[str, Any]) -> list[str]:
    """Name the staterror parameters of bins without errors, which pyhf holds at 1."""
    found = []
    for channel in workspace["channels"]:
        errors = _modifiers(channel, "staterror")
        found += [f"{errors[0]['name']}_bin_{b}" for b, own in enumerate(zip(*(m["data"] for m in errors), strict=True)) if not any(own)]
    return found


def _luminosity(workspace: Mapping[str, Any], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the constraint of every lumi parameter as a Gaussian of its nominal value."""
    names = dict.fromkeys(m["name"] for c in workspace["channels"] for m in _modifiers(c, "lumi"))
    return [
        {
            "type": "gaussian_dist",
            "name": f"constraint_{name}",
            "x": f"nominal_{name}",
            "mean": name,
            "sigma": float(_parameter(config, name)["sigmas"][0]),
        }
        for name in names
    ]


def _parameter(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for p in config["parameters"]:
        if p["name"] == name and "auxdata" in p and "sigmas" in p:
            return dict(p)
    raise SchemaError(f"parameter {name!r} of the measurement", got="no auxdata and sigmas", expected="both, as pyhf wants them for lumi")


def _ranges(workspace: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, tuple[float, float, float, bool]]:
    """Return value, range and whether it is constant of every parameter."""
    found: dict[str, tuple[float, float, float, bool]] = {}
    for channel in workspace["channels"]:
        for sample in channel["samples"]:
            for m in sample["modifiers"]:
                value, low, high = _GAUSSIAN.get(m["type"], (1.0, 0.0, 10.0))
                bins = range(len(sample["data"])) if m["type"] in _BY_BIN else [None]
                found.update({m["name"] if b is None else f"{m['name']}_bin_{b}": (value, low, high, False) for b in bins})
    for name in _without_error(workspace):
        found[name] = (1.0, 0.0, 10.0, True)
    for p in config["parameters"]:
        if p["name"] in found:
            value, low, high, _ = found[p["name"]]
            low, high = p.get("bounds", [[low, high]])[0]
            found[p["name"]] = (float(p.get("inits", [value])[0]), float(low), float(high), bool(p.get("fixed", False)))
    return found

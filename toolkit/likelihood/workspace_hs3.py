"""HS3 documents as workspaces: what RooFit writes with RooJSONFactoryWSTool, and other programs with it, in terms of pyhf's schema.

What HistFactory has is read: normfactor, normsys, histosys, shapesys, shapefactor, staterror, constrained normfactors, and formulas of the
grammar of `toolkit.expressions`. Anything else is refused by name: nothing is left out without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood.histfactory import VERSION

_CODE4 = (None, 4, "4", "code4", "code4p")
_ADDITIVE = {"type": "add", "in": "poly6", "out": "poly1"}
_MULTIPLICATIVE = {"type": "mult", "in": "poly6", "out": "exp"}
Json = Mapping[str, Any]


def is_hs3(document: Any) -> bool:
    """Whether a JSON document says that it is HS3."""
    return isinstance(document, dict) and isinstance(document.get("metadata"), dict) and "hs3_version" in document["metadata"]


def workspace_of_hs3(document: Json) -> dict[str, Any]:
    """Translate an HS3 document into a workspace document.

    Args:
        document: The HS3 document.

    Returns:
        A document for `toolkit.likelihood.Workspace`. RooFit writes errors of the simulation with seven digits.

    Raises:
        SchemaError: A distribution, modifier, interpolation or constraint that a workspace does not have, or no data of a channel.
    """
    try:
        return _Reader(document).workspace()
    except SchemaError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        what = "HS3 document"
        raise SchemaError(
            what,
            got=f"{type(error).__name__}: {error}"[:200],
            expected="the form that RooJSONFactoryWSTool writes",
            remedy="write it again",
        ) from error


class _Reader:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._distributions = {d["name"]: d for d in document.get("distributions", ())}
        self._functions = {f["name"]: f for f in document.get("functions", ())}
        self._points: dict[str, Json] = {}
        for point in document.get("parameter_points", ()):
            for p in point["parameters"]:
                self._points.setdefault(p["name"], p)
        self._ranges = {a["name"]: a for d in document.get("domains", ()) for a in d.get("axes", ()) if "min" in a and "max" in a}
        self._parameters: dict[str, dict[str, Any]] = {}
        self._ties: set[str] = set()

    def workspace(self) -> dict[str, Any]:
        """Return the workspace document."""
        channels = [d for d in self._distributions.values() if d["type"] == "histfactory_dist"]
        others = [d for d in self._distributions.values() if d["type"] not in {"histfactory_dist", "gaussian_dist", "poisson_dist"}]
        if others or not channels:
            got = [f"{d['name']}: {d['type']}" for d in others][:5] if others else "no histfactory_dist"
            raise SchemaError("HS3 distributions", got=got, expected="channels of type histfactory_dist, and their constraints")
        read = [self._channel(c) for c in channels]
        analyses = self._document.get("analyses") or [{}]
        pois = analyses[0].get("parameters_of_interest") or []
        for name in sorted({n for text in self._ties for n in Expression.parse(text).names}):
            self._define(name, self._constraint(name))
        config = {"poi": pois[0] if pois else "", "parameters": list(self._parameters.values())}
        return {
            "version": VERSION,
            "channels": read,
            "observations": [{"name": c["name"], "data": self._counts(c)} for c in channels],
            "measurements": [{"name": str(analyses[0].get("name", "measurement")), "config": config}],
        }

    def _channel(self, channel: Json) -> dict[str, Any]:
        samples = []
        for sample in channel["samples"]:
            contents = [float(x) for x in sample["data"]["contents"]]
            modifiers = [m for raw in sample.get("modifiers", ()) for m in self._modifier(raw, channel, sample, contents)]
            samples.append({"name": sample["name"], "data": contents, "modifiers": modifiers})
        return {"name": channel["name"], "samples": samples}

    def _modifier(self, raw: Json, channel: Json, sample: Json, contents: Sequence[float]) -> Iterator[dict[str, Any]]:
        kind, where = raw["type"], f"{raw['type']} {raw.get('name')!r} of sample {sample['name']!r}, channel {channel['name']!r}"
        name = str(raw.get("parameter", raw["name"])) if kind not in _BINWISE else _base(raw)
        if kind in {"normfactor", "custom"}:
            yield self._factor(name, raw, where)
        elif kind in {"normsys", "histosys"}:
            data = raw["data"]
            code = raw.get("interpolation", data.get("interpolation"))
            if code not in (*_CODE4, _MULTIPLICATIVE if kind == "normsys" else _ADDITIVE):
                raise SchemaError(
                    where, got=f"interpolation {code!r}", expected="HistFactory's code 4", remedy="interpolate it with code 4"
                )
            self._unit(name, raw, where)
            ends = {"hi_data": data["hi"]["contents"], "lo_data": data["lo"]["contents"]} if kind == "histosys" else {}
            yield {"type": kind, "name": name, "data": ends or {"hi": float(data["hi"]), "lo": float(data["lo"])}}
        elif kind == "shapefactor" or (kind == "shapesys" and "vals" not in raw.get("data", {})):
            yield {"type": "shapefactor", "name": name, "data": None}
        elif kind == "shapesys":
            absolute = [abs(float(v) * c) for v, c in zip(raw["data"]["vals"], contents, strict=True)]
            gaussian = self._gamma(raw, where) == "Gauss"
            yield {"type": "staterror" if gaussian else "shapesys", "name": name, "data": absolute}
        elif kind == "staterror":
            if self._gamma({**channel.get("staterror", {}), **raw}, where) != "Gauss":
                expected, remedy = "Gauss, as pyhf constrains the error of a sum of samples", "write a shapesys for each sample"
                raise SchemaError(where, got="a Poisson constraint", expected=expected, remedy=remedy)
            yield {"type": kind, "name": name, "data": [abs(float(e)) for e in sample["data"]["errors"]]}
        else:
            raise SchemaError(where, got=kind, expected="a modifier of HistFactory", remedy="write it as one of those of docs/workspace.md")

    def _factor(self, name: str, raw: Json, where: str) -> dict[str, Any]:
        """Read a normfactor: free, the luminosity, constrained, or a formula."""
        function = self._functions.get(name)
        if function is not None or raw["type"] == "custom":
            if function is None or function.get("type") != "generic_function":
                got = "nothing of this name" if function is None else function.get("type")
                raise SchemaError(where, got=got, expected="a function of type generic_function")
            text = str(function["expression"]).replace("^", "**")
            self._ties.add(text)
            return {"type": "morphing", "name": name, "data": {"coefficient": text}}
        constraint = self._constraint(name)
        if constraint and name == "lumi":
            self._define(name, constraint)
            return {"type": "lumi", "name": name, "data": None}
        if constraint:
            self._ties.add(name)
            return {"type": "morphing", "name": f"{name}_factor", "data": {"coefficient": name}}
        self._define(name, {})
        return {"type": "normfactor", "name": name, "data": None}

    def _constraint(self, name: str) -> dict[str, Any]:
        """Return auxdata and width of a Gaussian of a parameter; empty where there is none."""
        for d in self._distributions.values():
            if d["type"] == "gaussian_dist" and name in {d["x"], d["mean"]}:
                other = d["mean"] if d["x"] == name else d["x"]
                return {"auxdata": [self._number(other)], "sigmas": [self._number(d["sigma"])]}
        return {}

    def _unit(self, name: str, raw: Json, where: str) -> None:
        """Define the parameter of an interpolated variation; its Gaussian has the width 1."""
        constraint = self._constraint(name) or {"auxdata": [0.0], "sigmas": [1.0]}
        if constraint["sigmas"] != [1.0] or raw.get("constraint", "Gauss") == "Poisson" or raw.get("constraint_type", "Gauss") != "Gauss":
            raise SchemaError(where, got=f"the constraint {constraint}", expected="a Gaussian of width 1")
        self._define(name, {"auxdata": constraint["auxdata"], "sigmas": [1.0]} if constraint["auxdata"] != [0.0] else {})

    def _gamma(self, raw: Json, where: str) -> str:
        """Return how the factors of bins are constrained: Gauss or Poisson."""
        kind = str(raw.get("constraint_type", raw.get("constraint", "Poisson")))
        if kind not in {"Gauss", "Poisson"}:
            raise SchemaError(where, got=f"the constraint {kind!r}", expected="Gauss or Poisson")
        return kind

    def _define(self, name: str, constraint: Json) -> None:
        """Add a parameter to the measurement, with start and range as far as the document has them."""
        point, limits = self._points.get(name, {}), self._ranges.get(name, {})
        entry: dict[str, Any] = {"name": name, **constraint}
        if "value" in point:
            entry["inits"] = [float(point["value"])]
        low, high = (limits.get(end, point.get(end)) for end in ("min", "max"))
        if low is not None and high is not None:
            entry["bounds"] = [[float(low), float(high)]]
        if point.get("const"):
            entry["fixed"] = True
        self._parameters[name] = entry

    def _number(self, value: Any) -> float:
        """Return a number, or the value of the parameter of this name."""
        return float(self._points[value]["value"]) if isinstance(value, str) else float(value)

    def _counts(self, channel: Json) -> list[float]:
        """Find the observed counts of a channel: those that a likelihood names, else those on its axes; of several the observed ones."""
        own = [d for d in self._document.get("data", ()) if d.get("type") == "binned"]
        for likelihood in self._document.get("likelihoods", ()):
            pairs = dict(zip(likelihood["distributions"], likelihood["data"], strict=False))
            named = [d for d in own if d["name"] == pairs.get(channel["name"])]
            if named:
                return [float(x) for x in named[0]["contents"]]
        axes = [a["name"] for a in channel["axes"]]
        found = [d for d in own if [a["name"] for a in d["axes"]] == axes]
        observed = [d for d in found if d["name"].lower().startswith("obs")] if len(found) > 1 else found
        if len(observed) != 1:
            what = f"data of channel {channel['name']!r} in the HS3 document"
            raise SchemaError(
                what, got=[d["name"] for d in found], expected="one set of counts on its axes", remedy="write the observed data alone"
            )
        return [float(x) for x in observed[0]["contents"]]


_BINWISE = ("shapesys", "shapefactor", "staterror")


def _base(raw: Json) -> str:
    """Return the common name of the factors of bins: `stat` of stat_bin_0, stat_bin_1, ..."""
    names = [re.sub(r"_bin_\d+$", "", str(p)) for p in raw.get("parameters", ())]
    return names[0] if names and len(set(names)) == 1 else str(raw["name"])

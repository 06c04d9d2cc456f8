"""The statements of a macro that builds a RooFit workspace, from the likelihood of a workspace document.

`exports/roofit_macro.C` holds the functions; here every channel, sample, modifier and constraint becomes a call, and the events become
tables for a ROOT file. RooFit's names are letters, digits and underscores: `stat[0]` is `stat_bin_0` there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood import Workspace
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.pyhf_build import ALMOST_ZERO
from toolkit.likelihood.pyhf_model import PyhfLikelihood
from toolkit.likelihood.rates import Rates
from toolkit.typing import FloatArray

Table = dict[str, FloatArray]
_BY_BIN = ("staterror", "shapesys", "shapefactor")


@dataclass
class RoofitModel:
    """What a macro and its file of events hold.

    Attributes:
        likelihood: The likelihood of the toolkit.
        statements: Calls of the methods of `h4l::Model`, in order.
        tables: Columns of each tree by its name.
    """

    likelihood: Likelihood
    statements: list[str] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    _made: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, *arguments: Any) -> None:
        """Add a call of a method that makes something called by its first argument.

        Raises:
            SchemaError: Two things of one name.
        """
        text = f"m.{method}({', '.join(literal(a) for a in arguments)});"
        if isinstance(arguments[0], str) and method not in {"gaussian", "poisson", "binnedChannel", "unbinnedChannel"}:
            if self._made.setdefault(arguments[0], text) != text:
                what = f"name {arguments[0]!r} in the RooFit workspace"
                remedy = "rename one of the channels, samples or modifiers: letters, digits and _ are what RooFit tells apart"
                raise SchemaError(what, got="two different things of this name", expected="one", remedy=remedy)
            if text in self.statements:
                return
        self.statements.append(text)

    def parameters(self) -> None:
        """Add the parameters."""
        for p in self.likelihood.parameters:
            self.call("parameter", safe(p.name), p.init, p.low, p.high, p.fixed)

    def expression(self, name: str, text: str) -> str:
        """Add an expression in the parameters, unless it is one of them; returns its name."""
        names = Expression.parse(text).names
        if text.strip() in names:
            return safe(text.strip())
        if not names:
            self.call("constant", name, Expression.parse(text).value({}))
            return name
        self.call("formula", name, formula_of(text, names), [safe(n) for n in names])
        return name

    def norm(self, name: str, factors: Mapping[str, tuple[float, float]]) -> str:
        """Add the interpolated factors (up, down) by parameter; returns their name."""
        ends = [[pair[k] or ALMOST_ZERO for pair in factors.values()] for k in (0, 1)]
        self.call("norm", name, [safe(n) for n in factors], *ends)
        return name

    def rate(self, base: str, rates: Rates, j: int, expected: float) -> str:
        """Add the expected events of sample j of an unbinned channel, its yield times coefficient times norms; returns their name."""
        self.call("constant", f"{base}_yield", expected)
        factors = [f"{base}_yield", self.expression(f"{base}_coefficient", rates.coefficients.texts[j])]
        norms = {s.parameter: (s.up, s.down) for s in rates.systematics if s.process == j}
        if norms:
            factors.append(self.norm(f"{base}_norm", norms))
        return self.factor(f"{base}_events", factors)

    def factor(self, name: str, factors: Sequence[str]) -> str:
        """Add the product of what multiplies a sample; returns its name."""
        if not factors:
            self.call("constant", name, 1.0)
        else:
            self.call("product", name, list(factors))
        return name


def safe(name: str) -> str:
    """Return the name of a parameter, channel or sample in RooFit.

    Examples:
        >>> safe("stat_SR[3]"), safe("jet-scale"), safe("2017")
        ('stat_SR_bin_3', 'jet_scale', '_2017')
    """
    text = re.sub(r"\W", "_", re.sub(r"\[(\d+)\]$", r"_bin_\1", name), flags=re.ASCII)
    return f"_{text}" if text[:1].isdigit() else text


def formula_of(text: str, names: Sequence[str]) -> str:
    """Return an expression with @0, @1, ... in the place of its names, as RooFormulaVar reads it.

    Examples:
        >>> formula_of("mu - sqrt(mu) * kappa**2", ("kappa", "mu"))
        '@1 - sqrt(@1) * @0^2'
    """
    positions = {name: f"@{k}" for k, name in enumerate(names)}
    return (
        re.sub(r"[A-Za-z_]\w*(?!\w)", lambda m: positions.get(m.group(), m.group()), _guard_numbers(text))
        .replace("**", "^")
        .replace("\x00", "e")
    )


def _guard_numbers(text: str) -> str:
    """Hide the e of numbers such as 1e-3 from the search for names."""
    return re.sub(r"(?<![\w.])((?:\d+\.?\d*|\.\d+))[eE]([+-]?\d+)", "\\1\x00\\2", text)


def literal(value: Any) -> str:
    """Write a value as C++ does.

    Examples:
        >>> literal(["a", "b"]), literal(0.1), literal(True)
        ('{"a", "b"}', '0.1', 'true')
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    return "{" + ", ".join(literal(v) for v in value) + "}"


class BinnedChannels:
    """The binned channels of a workspace as HistFactory's classes.

    Args:
        model: What the calls are added to.
        term: Their likelihood.
        workspace: The workspace.
    """

    def __init__(self, model: RoofitModel, term: PyhfLikelihood, workspace: Workspace) -> None:
        self._model, self._config = model, term.model.config
        self._ties, self._document = workspace.ties, workspace.to_pyhf()
        self._first: dict[str, int] = {}

    def write(self) -> None:
        """Add all calls."""
        model, counts = self._model, {o["name"]: o["data"] for o in self._document["observations"]}
        ties = {name: model.expression(safe(f"coefficient_{name}"), text) for name, text in self._ties.items()}
        for channel in sorted(self._document["channels"], key=lambda c: str(c["name"])):
            name, n_bins = safe(channel["name"]), len(channel["samples"][0]["data"])
            axis = f"{name}_x"
            model.call("observable", axis, n_bins)
            blocks = {m["name"]: self._bins(axis, name, m, n_bins) for m in _binwise(channel)}
            written = [self._sample(name, axis, s, ties, blocks) for s in channel["samples"]]
            data = [float(n) for n in counts[channel["name"]]]
            model.call("binnedChannel", name, axis, [shape for shape, _ in written], [factor for _, factor in written], data)

    def _bins(self, axis: str, channel: str, modifier: Mapping[str, Any], n_bins: int) -> str:
        """Add the factors of the bins of a channel; of errors in several channels pyhf counts the bins of one after those of the other."""
        names = self._config.par_names[self._config.par_slice(modifier["name"])]
        first = self._first.get(modifier["name"], 0)
        if modifier["type"] != "shapefactor":
            self._first[modifier["name"]] = first + n_bins
        name = safe(f"{channel}_{modifier['name']}_bins")
        self._model.call("bins", name, axis, [safe(n) for n in names[first : first + n_bins]])
        return name

    def _sample(
        self, channel: str, axis: str, sample: Mapping[str, Any], ties: Mapping[str, str], blocks: Mapping[str, str]
    ) -> tuple[str, str]:
        """Add the shape and the factor of one sample; returns their names."""
        model, base, modifiers = self._model, safe(f"{channel}_{sample['name']}"), sample["modifiers"]
        shape = f"{base}_nominal"
        model.call("histogram", shape, axis, [float(x) for x in sample["data"]])
        varied = [m for m in modifiers if m["type"] == "histosys"]
        for m in varied:
            for end, key in (("up", "hi_data"), ("down", "lo_data")):
                model.call("histogram", safe(f"{base}_{m['name']}_{end}"), axis, [float(x) for x in m["data"][key]])
        if varied:
            ends = [[safe(f"{base}_{m['name']}_{end}") for m in varied] for end in ("up", "down")]
            model.call("shape", f"{base}_varied", shape, *ends, [safe(m["name"]) for m in varied])
            shape = f"{base}_varied"
        model.call("product", f"{base}_shape", [shape, *(blocks[m["name"]] for m in modifiers if m["type"] in _BY_BIN)])
        factors = [ties.get(m["name"], safe(m["name"])) for m in modifiers if m["type"] in {"normfactor", "lumi"}]
        norms = {m["name"]: (m["data"]["hi"], m["data"]["lo"]) for m in modifiers if m["type"] == "normsys"}
        if norms:
            factors.append(model.norm(f"{base}_norm", norms))
        return f"{base}_shape", model.factor(f"{base}_factor", factors)


def _binwise(channel: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every modifier with one parameter per bin once."""
    yield from {m["name"]: m for s in channel["samples"] for m in s["modifiers"] if m["type"] in _BY_BIN}.values()

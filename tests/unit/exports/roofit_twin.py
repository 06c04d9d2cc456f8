"""A slow twin of `exports/roofit_macro.C`: runs the calls of a macro on numbers and evaluates -2 ln L up to a constant."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from scipy.special import gammaln

from toolkit.likelihood.interpolation import factor, shift


def python(text: str) -> str:
    """Turn a formula of RooFormulaVar into Python: `a ? b : c`, powers, functions."""
    text = text.replace("^", "**")
    while " ? " in text:
        at = text.rindex(" ? ")  # the innermost of nested ones
        start, depth = at, 0
        while depth >= 0:
            start -= 1
            depth += {")": 1, "(": -1}.get(text[start], 0)
            depth = -1 if depth < 0 else depth
        end, depth = at, 0
        while depth >= 0:
            end += 1
            depth += {"(": 1, ")": -1}.get(text[end], 0)
        yes, no = text[at + 3 : end].split(" : ", 1)
        text = f"{text[: start + 1]}where({text[start + 1 : at]}, {yes}, {no}){text[end:]}"
    return text


class Twin:
    """What the calls made: functions of the parameters and of the columns of a channel."""

    def __init__(self, macro: Path, events: Path) -> None:
        with uproot.open(events) as file:
            self.tables = {key.split(";")[0]: file[key].arrays(library="np") for key in file.keys()}  # noqa: SIM118 - uproot's own
        self.values: dict[str, Any] = {}
        self.steps: list[tuple[str, list[Any]]] = []
        self.snapshots: dict[str, list[float]] = {}
        for line in macro.read_text(encoding="utf-8").splitlines():
            call = re.fullmatch(r"   m\.(\w+)\((.*)\);", line)
            if call:
                words = call[2].replace("{", "[").replace("}", "]").replace("true", "True").replace("false", "False")
                self.steps.append((call[1], eval(f"[{words}]", {"__builtins__": {}})))
        self.parameters = [a[0] for step, a in self.steps if step == "parameter"]

    def twice_nll(self, point: dict[str, float]) -> float:
        """Evaluate at a point."""
        self.values, self.total = dict(point), 0.0
        for step, arguments in self.steps:
            getattr(self, step)(*arguments)
        return 2.0 * self.total

    def _of(self, names: list[str]) -> list[Any]:
        return [self.values[n] for n in names]

    def parameter(self, *_: Any) -> None: ...
    def observable(self, *_: Any) -> None: ...
    def finish(self, *_: Any) -> None: ...

    def snapshot(self, name: str, values: list[float]) -> None:
        self.snapshots[name] = values

    def constant(self, name: str, value: float) -> None:
        self.values[name] = value

    def column(self, name: str) -> None:
        self.values[name] = next(t[name] for t in self.tables.values() if name in t)

    def formula(self, name: str, text: str, arguments: list[str]) -> None:
        words = re.sub(r"@(\d+)", r"x[\1]", python(text))
        functions = {"x": self._of(arguments), "exp": np.exp, "abs": np.abs, "sqrt": np.sqrt, "where": np.where}
        self.values[name] = eval(words, {"__builtins__": {}}, functions)

    def product(self, name: str, factors: list[str]) -> None:
        self.values[name] = math.prod(self._of(factors), start=1.0)

    def norm(self, name: str, alphas: list[str], up: list[float], down: list[float]) -> None:
        self.values[name] = float(np.prod(factor(self._of(alphas), np.log(up), np.log(down)).value))

    def histogram(self, name: str, _: str, content: list[float]) -> None:
        self.values[name] = np.array(content)

    def shape(self, name: str, nominal: str, up: list[str], down: list[str], alphas: list[str]) -> None:
        base = self.values[nominal]
        moved = [shift(a, u - base, d - base).value for a, u, d in zip(self._of(alphas), self._of(up), self._of(down), strict=True)]
        self.values[name] = base + np.sum(moved, axis=0)

    def bins(self, name: str, _: str, factors: list[str]) -> None:
        self.values[name] = np.array(self._of(factors))

    def mean(self, name: str, tree: str, text: str, columns: list[str], others: list[str]) -> None:
        self.values.update({f"{name}_{c}": self.tables[tree][c] for c in columns})
        self.formula(name, text, [*(f"{name}_{c}" for c in columns), *others])
        self.values[name] = float(np.sum(self.values[name]))

    def binnedChannel(self, _: str, __: str, shapes: list[str], factors: list[str], counts: list[float]) -> None:
        expected = np.sum([s * f for s, f in zip(self._of(shapes), self._of(factors), strict=True)], axis=0)
        self.total += float(np.sum(expected - np.array(counts) * np.log(expected) + gammaln(np.array(counts) + 1.0)))

    def unbinnedChannel(self, name: str, density: str, expected: str, _: list[str]) -> None:
        total = self.values[expected]
        self.total += float(total - self.tables[name]["weight"] @ np.log(self.values[density]))

    def gaussian(self, name: str, observed: float, width: float) -> None:
        self.total += 0.5 * ((self.values[name] - observed) / width) ** 2

    def poisson(self, name: str, observed: float, scale: float) -> None:
        expected = self.values[name] * scale
        self.total += expected - observed * math.log(expected)

"""Names of processes, methods and parameters as a reader of a paper expects them."""

from __future__ import annotations

import contextlib
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle

import numpy as np
from matplotlib.cbook import is_math_text
from matplotlib.mathtext import MathTextParser

from toolkit.kinematics import OBSERVABLES
from toolkit.likelihood.results import OF_RUN
from toolkit.text import visible
from toolkit.typing import FloatArray


@dataclass(frozen=True)
class ProcessLook:
    """What a user chose for a process or sample in plots; empty takes what the toolkit has.

    Attributes:
        label: Text, with TeX.
        color: Colour, #rrggbb.
    """

    label: str = ""
    color: str = ""


_CHOSEN: ContextVar[Mapping[str, ProcessLook]] = ContextVar("looks of processes")
"""The looks of the figure that is drawn; a figure's style sets it."""


@contextlib.contextmanager
def process_looks(looks: Mapping[str, ProcessLook]) -> Iterator[None]:
    """Let names of processes in plots have these looks for the duration of a block.

    Examples:
        >>> with process_looks({"qqZZ": ProcessLook("$ZZ$ continuum", "#123456")}):
        ...     process_label("qqZZ"), process_color("qqZZ", 0), process_color("ttZ", 0)
        ('$ZZ$ continuum', '#123456', '#44aa99')
    """
    token = _CHOSEN.set(looks)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


_SYMBOLS: ContextVar[Mapping[str, str]] = ContextVar("symbols of parameters")
"""The user's symbols of parameters in TeX, by name, in the figure that is drawn; a figure's style sets them."""


@contextlib.contextmanager
def parameter_symbols(symbols: Mapping[str, str]) -> Iterator[None]:
    r"""Let parameters in plots have these symbols, in TeX, for the duration of a block.

    Examples:
        >>> with parameter_symbols({"width": r"\Gamma_H"}):
        ...     parameter_symbol("width"), estimate_symbol("width"), truth_symbol("width")
        ('$\\Gamma_H$', '$\\hat{\\Gamma}_H$', '$\\Gamma_H^{\\,\\mathrm{true}}$')
    """
    token = _SYMBOLS.set(symbols)
    try:
        yield
    finally:
        _SYMBOLS.reset(token)


_COLORS = {
    "ggF_S": "#009e73",
    "ggF_SBI": "#e69f00",
    "ggF_B": "#cc79a7",
    "EW_S": "#332288",
    "EW_SBI": "#999933",
    "EW_B": "#882255",
    "qqZZ": "#56b4e9",
}
"""Colours of known processes. Blue, vermilion and black are left to hypotheses, of which a plot of processes has several."""
SPARE_COLORS = ("#44aa99", "#cc6677", "#ddcc77", "#aa4499", "#117733", "#aa7744", "#8c8c8c")
"""Colours of other processes, in their order."""


def process_color(name: str, order: int) -> str:
    """Return the colour of a process in plots: that of the figure's style, of a known process, or the one at `order` of the others.

    Examples:
        >>> process_color("qqZZ", 0), process_color("ttH", 1)
        ('#56b4e9', '#cc6677')
    """
    return _CHOSEN.get({}).get(name, ProcessLook()).color or _COLORS.get(name) or SPARE_COLORS[order % len(SPARE_COLORS)]


def distinct_looks(names: Iterable[str], chosen: Mapping[str, ProcessLook]) -> dict[str, ProcessLook]:
    """Give every process of a report one colour, the same in all of its plots.

    Args:
        names: Names of processes and samples.
        chosen: What the user chose for some of them. What takes a colour of a known process leaves another one to that.

    Returns:
        The looks, all with a colour. Colours repeat only when there are more names than colours.

    Examples:
        >>> looks = distinct_looks(["ggH", "ttH", "qqZZ"], {"ttH": ProcessLook("ttH", "#56B4E9")})
        >>> {name: look.color for name, look in looks.items()}
        {'ggH': '#44aa99', 'ttH': '#56B4E9', 'qqZZ': '#cc6677'}
    """
    own = {**dict.fromkeys(names, ProcessLook()), **chosen}
    taken = {look.color.lower() for look in own.values()}
    found = {name: look.color or (_COLORS[name] if _COLORS.get(name, "") not in {"", *taken} else "") for name, look in own.items()}
    free = [color for color in SPARE_COLORS if color not in {color.lower() for color in found.values()}] or SPARE_COLORS
    spare = cycle(free)
    return {name: ProcessLook(look.label, found[name] or next(spare)) for name, look in own.items()}


_PROCESSES = {
    "ggF_S": r"gg $\to$ H* $\to$ ZZ (S)",
    "ggF_SBI": r"gg $\to$ (H* $\to$) ZZ (SBI)",
    "ggF_B": r"gg $\to$ ZZ (B)",
    "EW_S": r"EW H* $\to$ ZZ (S)",
    "EW_SBI": r"EW ZZ+jj (SBI)",
    "EW_B": r"EW ZZ+jj (B)",
    "EW_SBI1": r"EW ZZ+jj, $\mu$ = 1",
    "EW_SBI10": r"EW ZZ+jj, $\mu$ = 10",
    "ggH": r"gg $\to$ H $\to$ 4$\ell$",
    "VBFH": r"VBF H $\to$ 4$\ell$",
    "qqZZ": r"q$\bar{\mathrm{q}}$ $\to$ ZZ",
    "VVV": "VVV",
    "ttZ": r"t$\bar{\mathrm{t}}$Z",
}
_METHODS = {
    "rate": "total rate",
    "score": "score histogram",
    "score_2d": "two-score histogram",
    "nsbi": "NSBI (unbinned)",
}
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_LETTER = re.compile(r"\$(\\[A-Za-z]+|[A-Za-z][A-Za-z0-9]*)(_\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|_[A-Za-z0-9])?\$")
"""A symbol that is a letter or a word with or without a subscript."""
LONGEST = 48
"""Characters of a foreign name that a plot shows."""
_READER = MathTextParser("path")
_GREEK = {"mu": r"\mu", "kappa": r"\kappa", "theta": r"\theta", "lambda": r"\lambda"}


def plain(name: str) -> str:
    r"""Return a name of foreign origin so that a plot shows it as it is: `$` begins no formula, and nothing is invisible or endless.

    Examples:
        >>> plain("pt_l1"), plain("cost in $"), plain("a\nb")
        ('pt_l1', 'cost in \\$', 'a\\nb')
    """
    text = visible(name)
    return (text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...").replace("$", r"\$")


def math_or_plain(label: str) -> str:
    r"""Return a label in TeX as it is, and one that matplotlib cannot read as plain text.

    Examples:
        >>> math_or_plain(r"$m_{4\ell}$"), math_or_plain(r"$\frac{$")
        ('$m_{4\\ell}$', '\\$\\frac{\\$')
    """
    return label if visible(label) == label and len(label) <= 4 * LONGEST and is_readable(label) else plain(label)


@lru_cache(maxsize=1024)
def is_readable(label: str) -> bool:
    r"""Return whether matplotlib can read a text, with its formulas.

    Examples:
        >>> is_readable(r"$m_{4\ell}$ [GeV]"), is_readable(r"$\frac{$")
        (True, False)
    """
    try:
        for line in label.split("\n"):
            if is_math_text(line):
                _READER.parse(line)
    except ValueError:
        return False
    return True


def process_label(name: str) -> str:
    r"""Return the label of a process or of a hypothesis "parameter = value" in plots; an unknown name stands for itself.

    Examples:
        >>> process_label("ttH"), process_label("total, mu = 0.3"), process_label("total, mu = 1, mu_EW = 2")
        ('ttH', 'total, $\\mu$ = 0.3', 'total, $\\mu$ = 1, $\\mu_{\\mathrm{EW}}$ = 2')
    """
    if ", " in name and name.count(" = ") > 1:
        return ", ".join(process_label(part) for part in name.split(", "))
    before, equals, value = name.rpartition(" = ")
    if equals:
        prefix, space, parameter = before.rpartition(" ")
        return f"{plain(prefix)}{space}{parameter_symbol(parameter)} = {plain(value)}"
    chosen = _CHOSEN.get({}).get(name, ProcessLook()).label
    return math_or_plain(chosen) if chosen else _PROCESSES.get(name) or plain(name)


_CUTS = {
    "all": "all events",
    "four leptons": r"4$\ell$",
    "two pairs": r"2 pairs $\ell^+\ell^-$",
    "leading pt": r"$p_\mathrm{T}$ of leading $\ell$",
    "identification": "identification",
    "total charge": "total charge",
    "channel": "channel",
}


def cut_label(name: str) -> str:
    r"""Return the label of a cut in plots: a window in an observable by the symbol of the observable.

    Examples:
        >>> cut_label("two pairs"), cut_label("n_jets >= 2")
        ('2 pairs $\\ell^+\\ell^-$', 'n_jets >= 2')
    """
    return _CUTS.get(name) or (observable_label(name).partition(" [")[0] if name in OBSERVABLES else textwrap.fill(plain(name), 24))


def method_label(name: str) -> str:
    r"""Return the label of a method in plots: a histogram named after an observable has its symbol, an unknown name stands for itself.

    Examples:
        >>> method_label("rate"), method_label("m4l"), method_label("my_method"), method_label("nsbi_trees")
        ('total rate', '$m_{4\\ell}$ histogram', 'my_method', 'NSBI, trees')
    """
    if name.startswith(OF_RUN):
        return f"NSBI, {plain(name.removeprefix(OF_RUN))}"
    if name in OBSERVABLES:
        return f"{observable_label(name).partition(' [')[0]} histogram"
    return _METHODS.get(name) or plain(name)


def parameter_symbol(name: str) -> str:
    r"""Return the symbol of a parameter, subscripts after the first underscore; a name that is none of a variable stands for itself.

    Examples:
        >>> parameter_symbol("mu"), parameter_symbol("mu_ggF")
        ('$\\mu$', '$\\mu_{\\mathrm{ggF}}$')
    """
    chosen = _SYMBOLS.get({}).get(name, "").strip("$")
    if chosen:
        return math_or_plain(f"${chosen}$")
    if not _VARIABLE.fullmatch(name):
        return plain(name)
    head, _, tail = name.replace("_", r"\_").partition(r"\_")
    symbol = _GREEK.get(head, head)
    return f"${symbol}_{{\\mathrm{{{tail}}}}}$" if tail else f"${symbol}$"


def parameter_label(name: str) -> str:
    """Return the user's symbol of a parameter, or its name as it stands: for lists in which nuisance parameters stand too.

    Examples:
        >>> parameter_label("jet_scale")
        'jet_scale'
    """
    return parameter_symbol(name) if _SYMBOLS.get({}).get(name) else plain(name)


def estimate_symbol(name: str) -> str:
    r"""Return the symbol of the best fit of a parameter, a hat on the letter alone; without one where there is no single letter.

    Examples:
        >>> estimate_symbol("mu"), estimate_symbol("mu_EW"), estimate_symbol("c_W")
        ('$\\hat{\\mu}$', '$\\hat{\\mu}_{\\mathrm{EW}}$', '$\\hat{c}_{\\mathrm{W}}$')
    """
    letter = _LETTER.fullmatch(parameter_symbol(name))
    return parameter_symbol(name) if letter is None else f"$\\hat{{{letter[1]}}}{letter[2] or ''}$"


def truth_symbol(name: str) -> str:
    r"""Return the symbol of the true value of a parameter; "true" stands above where a subscript is taken.

    Examples:
        >>> truth_symbol("mu"), truth_symbol("mu_EW")
        ('$\\mu_{\\mathrm{true}}$', '$\\mu_{\\mathrm{EW}}^{\\,\\mathrm{true}}$')
    """
    letter = _LETTER.fullmatch(parameter_symbol(name))
    if letter is None:
        return f"true {parameter_symbol(name)}"
    return f"${letter[1]}{letter[2]}^{{\\,\\mathrm{{true}}}}$" if letter[2] else f"${letter[1]}_{{\\mathrm{{true}}}}$"


def hypothesis_label(parameter: str, value: float) -> str:
    r"""Return "symbol = value".

    Examples:
        >>> hypothesis_label("mu", 4.0)
        '$\\mu$ = 4'
    """
    return f"{parameter_symbol(parameter)} = {value:g}"


def p_value_text(p_value: float) -> str:
    """Return "p = ..." with two digits, "p < 0.001" below that, "p undefined" for NaN.

    Examples:
        >>> p_value_text(0.1234), p_value_text(1e-9), p_value_text(float("nan"))
        ('$p$ = 0.12', '$p$ < 0.001', '$p$ undefined')
    """
    if math.isnan(p_value):
        return "$p$ undefined"
    return "$p$ < 0.001" if p_value < 1e-3 else f"$p$ = {p_value:.2g}"


def number_text(value: float) -> str:
    r"""Return a number with two digits, a small one with a power of ten.

    Examples:
        >>> number_text(0.0123), number_text(7.7e-5)
        ('0.012', '7.7$\\times10^{-5}$')
    """
    digits, _, power = f"{value:.2g}".partition("e")
    return f"{digits}$\\times10^{{{int(power)}}}$" if power else digits


def observable_label(name: str) -> str:
    r"""Return the axis label of an observable with its unit; an unknown name stands for itself.

    Examples:
        >>> observable_label("m4l").endswith("[GeV]"), observable_label("my_column")
        (True, 'my_column')
        >>> observable_label("m_jj_filled"), observable_label("has_m_jj"), observable_label("D_pre")
        ('$m_{jj}$, filled [GeV]', 'has $m_{jj}$', '$D_\\mathrm{pre}$')
    """
    for base, text in ((name.removesuffix("_filled"), "{}, filled"), (name.removeprefix("has_"), "has {}")):
        if name != base and base in OBSERVABLES:
            symbol, bracket, unit = math_or_plain(OBSERVABLES[base].axis_label).partition(" [")
            return text.format(symbol) + (f"{bracket}{unit}" if text.endswith("filled") else "")
    if name in OBSERVABLES:
        return math_or_plain(OBSERVABLES[name].axis_label)
    own = re.fullmatch(r"([A-Za-z])_([A-Za-z0-9]+)", name)
    return rf"${own[1]}_\mathrm{{{own[2]}}}$" if own else plain(name)


def events_label(name: str, widths: FloatArray) -> tuple[str, FloatArray]:
    """Return the label of the vertical axis and what bin contents are divided by.

    Equal bins show events per bin, unequal ones events per unit of the observable; bins of a multiplicity always hold events.

    Args:
        name: Name of the observable.
        widths: (k,) bin widths.

    Returns:
        Label, and (k,) divisors: ones, or the widths.

    Examples:
        >>> import numpy as np
        >>> events_label("m4l", np.array([20.0, 20.0]))[0], events_label("m4l", np.array([20.0, 40.0]))[0]
        ('events / 20 GeV', 'events / GeV')
        >>> events_label("n_jets", np.array([1.0, 1.0]))[0]
        'events'
    """
    unit = math_or_plain(OBSERVABLES[name].unit) if name in OBSERVABLES else ""
    if not np.allclose(widths, widths[0], rtol=1e-6) and not name.startswith("n_"):
        return f"events / {unit or 'bin width'}", widths
    size = "" if name.startswith(("n_", "has_")) else f" / {widths[0]:.3g} {unit}".rstrip()
    return f"events{size}", np.ones_like(widths)

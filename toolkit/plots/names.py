"""Names of processes, methods and parameters as a reader of a paper expects them."""

from __future__ import annotations

import math

import numpy as np

from toolkit.kinematics import OBSERVABLES
from toolkit.typing import FloatArray

_PROCESSES = {
    "ggF_S": r"gg $\to$ H* $\to$ ZZ (S)",
    "ggF_SBI": r"gg $\to$ (H* $\to$) ZZ (SBI)",
    "ggF_B": r"gg $\to$ ZZ (B)",
    "EW_B": r"EW ZZ+jj, $\mu$ = 0",
    "EW_SBI1": r"EW ZZ+jj, $\mu$ = 1",
    "EW_SBI10": r"EW ZZ+jj, $\mu$ = 10",
    "qqZZ": r"q$\bar{\mathrm{q}}$ $\to$ ZZ",
    "VVV": "VVV",
    "ttZ": r"t$\bar{\mathrm{t}}$Z",
}
_METHODS = {
    "rate": "total rate",
    "m4l": r"$m_{4\ell}$ histogram",
    "score": "score histogram",
    "nsbi": "NSBI (unbinned)",
}
_GREEK = {"mu": r"\mu", "kappa": r"\kappa", "theta": r"\theta", "lambda": r"\lambda"}


def process_label(name: str) -> str:
    r"""Return the label of a process or of a hypothesis "parameter = value" in plots; an unknown name stands for itself.

    Examples:
        >>> process_label("ttH"), process_label("total, mu = 0.3")
        ('ttH', 'total, $\\mu$ = 0.3')
    """
    before, equals, value = name.rpartition(" = ")
    if equals:
        prefix, space, parameter = before.rpartition(" ")
        return f"{prefix}{space}{parameter_symbol(parameter)} = {value}"
    return _PROCESSES.get(name, name)


def method_label(name: str) -> str:
    """Return the label of a method in plots; an unknown name stands for itself.

    Examples:
        >>> method_label("rate"), method_label("my_method")
        ('total rate', 'my_method')
    """
    return _METHODS.get(name, name)


def parameter_symbol(name: str) -> str:
    r"""Return the symbol of a parameter, subscripts after the first underscore.

    Examples:
        >>> parameter_symbol("mu"), parameter_symbol("mu_ggF")
        ('$\\mu$', '$\\mu_{\\mathrm{ggF}}$')
    """
    head, _, tail = name.partition("_")
    symbol = _GREEK.get(head, head)
    return f"${symbol}_{{\\mathrm{{{tail}}}}}$" if tail else f"${symbol}$"


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


def observable_label(name: str) -> str:
    """Return the axis label of an observable with its unit; an unknown name stands for itself.

    Examples:
        >>> observable_label("m4l").endswith("[GeV]"), observable_label("my_column")
        (True, 'my_column')
    """
    return OBSERVABLES[name].axis_label if name in OBSERVABLES else name


def events_label(name: str, widths: FloatArray) -> tuple[str, FloatArray]:
    """Return the label of the vertical axis and what bin contents are divided by.

    Equal bins show events per bin, unequal ones events per unit of the observable.

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
    unit = OBSERVABLES[name].unit if name in OBSERVABLES else ""
    if not np.allclose(widths, widths[0], rtol=1e-6):
        return f"events / {unit or 'unit'}", widths
    size = "" if name.startswith("n_") else f" / {widths[0]:.3g} {unit}".rstrip()
    return f"events{size}", np.ones_like(widths)

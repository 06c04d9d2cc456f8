"""How the densities of interfering processes combine as functions of the parameter of interest."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.errors import SchemaError
from toolkit.model.bases import BASES
from toolkit.model.monomials import Monomial


class MorphingConfig(Section):
    """Which processes interfere, and how their densities combine as functions of the parameter of interest.

    The estimators learn the densities of `signal`, `interfering` and `background`. Samples carry weights of these (`ggF`),
    or of benchmarks at other points from which the three follow (`EW`, `own`). docs/weights.md has the formulas.
    """

    basis: Literal["ggF", "EW", "kappa", "own"] = "ggF"
    """The monomials of the parameter p: `ggF` and `EW` p, sqrt(p), 1; `kappa` 1, p, ..., p^4; `own` those in `monomials`."""
    monomials: tuple[str, ...] = ()
    """Basis `own` only: products of powers of the parameter, such as `[kappa**4, kappa**2, 1]`."""
    points: dict[str, float | str] = Field(default={})
    """Benchmark weights that the samples carry, all but basis `ggF`: value of the parameter, or the monomials that the
    benchmark holds (`mu`: the signal amplitude alone; `mu + sqrt(mu)`: with interference, without background). `EW` has
    `EW_B`: 0, `EW_SBI1`: 1, `EW_SBI10`: 10, `kappa` has `kappa_0`, `kappa_0p8`, `kappa_1`, `kappa_1p2`, `kappa_1p5`."""
    signal: str = "ggF_S"
    """Name of the signal amplitude alone; a benchmark in basis `ggF`, otherwise a benchmark or a new name (`EW`: `EW_S`)."""
    interfering: str = "ggF_SBI"
    """Name of signal, background and their interference at a parameter of 1 (by default the benchmark at 1)."""
    background: str = "ggF_B"
    """Name of the background amplitude alone (by default the benchmark at 0)."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        """Fill in the points of a basis, and name the three densities after them."""
        if not isinstance(data, dict) or data.get("basis", "ggF") not in ("EW", "kappa", "own"):
            return data
        filled = dict(data)
        if not filled.get("points"):
            filled["points"] = _ready_points(filled["basis"])
        if isinstance(filled["points"], dict):
            by_value = {value: name for name, value in filled["points"].items() if isinstance(value, float | int)}
            prefix = "EW_" if filled["basis"] == "EW" else ""
            defaults = {"signal": f"{prefix}S", "interfering": by_value.get(1, f"{prefix}SBI"), "background": by_value.get(0, f"{prefix}B")}
            filled = defaults | filled
        return filled

    @property
    def two_amplitudes(self) -> bool:
        """Whether the monomials are m^2, m and 1: a signal and a background amplitude, with their interference."""
        if self.basis != "own":
            return self.basis != "kappa"
        powers = sorted(_power(text)[1] for text in self.monomials)
        return len(powers) == 3 and powers[0] == 0 and powers[2] == 2 * powers[1]

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Densities that the estimators learn: S, SBI and B, or with more than two amplitudes the points themselves."""
        return (self.signal, self.interfering, self.background) if self.two_amplitudes else tuple(self.points)

    @property
    def carried(self) -> tuple[str, ...]:
        """Benchmark weights that every interfering sample must carry, in the order of the basis."""
        return self.benchmarks if self.basis == "ggF" else tuple(self.points)

    @property
    def amplitudes(self) -> tuple[str, str, str]:
        """Names of S, SBI and B.

        Raises:
            SchemaError: The parameterisation has more than two amplitudes.
        """
        if not self.two_amplitudes:
            raise SchemaError(
                "morphing.basis",
                got=f"{self.basis} with the monomials {list(self.monomials) or '1, p, ..., p^4'}",
                expected="monomials m^2, m and 1: a signal amplitude, a background amplitude and their interference",
                remedy="run `h4l process` alone and use the estimators of toolkit.ratios with a morphing of your own (docs/weights.md)",
            )
        return (self.signal, self.interfering, self.background)

    def monomials_in(self, parameter: str) -> tuple[str, ...]:
        """Return the monomials as functions of the parameter of interest."""
        if self.basis == "own":
            return self.monomials
        return BASES[self.basis].monomials_in(parameter)

    def points_in(self, parameter: str) -> dict[str, float | str]:
        """Return the benchmarks of `carried` as points or contents."""
        if self.basis == "ggF":
            return {self.signal: parameter, self.interfering: 1.0, self.background: 0.0}
        return dict(self.points)

    @model_validator(mode="after")
    def _consistent(self) -> MorphingConfig:
        if self.basis == "ggF" and self.points:
            msg = "basis ggF takes `signal`, `interfering` and `background`; for other points write `basis: own` with `monomials`"
            raise ValueError(msg)
        if self.monomials and self.basis != "own":
            msg = f"basis {self.basis} has its own monomials; write `basis: own` for others"
            raise ValueError(msg)
        if self.basis == "own" and not (self.monomials and self.points):
            msg = "basis own needs `monomials` and `points`"
            raise ValueError(msg)
        if len(set(self.benchmarks)) != len(self.benchmarks):
            msg = f"signal, interfering and background must have different names, got {list(self.benchmarks)}"
            raise ValueError(msg)
        for text in self.monomials:
            _power(text)
        return self

    def require_parameter(self, name: str) -> None:
        """Check that monomials and contents of points are functions of the parameter of interest alone.

        Raises:
            ValueError: They name another parameter.
        """
        texts = [*self.monomials, *(value for value in self.points.values() if isinstance(value, str))]
        found = {word for text in texts for word in re.findall(r"[A-Za-z_]\w*", text)} - {"sqrt", "e", "E"}
        if found - {name}:
            msg = (
                f"morphing depends on {sorted(found)}, but the parameter of interest is {name!r}; name it with `parameter.name`"
                " (several parameters at once: toolkit.weights.Morphing in Python)"
            )
            raise ValueError(msg)


def _power(text: str) -> tuple[str, float]:
    """Read a monomial of one parameter: its name and its power.

    Raises:
        ValueError: It is not one.

    Examples:
        >>> _power("kappa**4"), _power("sqrt(mu)"), _power("1")
        (('kappa', 4.0), ('mu', 0.5), ('', 0.0))
    """
    try:
        powers = Monomial.parse(text).powers
    except SchemaError:
        powers = ()
    if len(powers) > 1 or (not powers and text.strip() != "1"):
        msg = f"monomial {text!r}: expected 1 or a power of one parameter, such as mu, sqrt(mu) or kappa**4"
        raise ValueError(msg)
    return powers[0] if powers else ("", 0.0)


def _ready_points(basis: str) -> dict[str, float | str]:
    """Name the points of a ready-made basis as weights of ntuples are called: EW_SBI10, kappa_0p8."""
    return {f"{basis}_{name.replace('.', 'p')}": point for name, point in BASES[basis].points} if basis in BASES else {}

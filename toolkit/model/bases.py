"""The ready-made parameterisations of the off-shell analyses, defined once.

When to use what: `ggF` where samples of S, SBI and B exist; `EW` where they were generated at mu = 0, 1, 10; `kappa` where the coupling
enters production and decay; `wilson_amplitudes` for effective theories. Any other process is written with its own amplitudes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.expressions.substitution import substitute
from toolkit.model.densities import density_expressions
from toolkit.model.monomials import Monomial
from toolkit.model.processes import Process


@dataclass(frozen=True)
class Basis:
    """A squared amplitude of one parameter with its usual benchmarks.

    Attributes:
        name: Name of the basis.
        parameter: Usual name of the parameter.
        amplitudes: (name, coefficient) pairs.
        monomials: Functions of the parameter in which the squared amplitude is linear.
        points: (name, point) pairs; a point is a value of the parameter, or the monomials that the benchmark holds.

    Examples:
        >>> BASES["EW"].monomials_in("mu_EW")
        ('mu_EW', 'sqrt(mu_EW)', '1')
        >>> BASES["ggF"].expressions("mu")
        ('mu - sqrt(mu)', 'sqrt(mu)', '1 - sqrt(mu)')
    """

    name: str
    parameter: str
    amplitudes: tuple[tuple[str, str], ...]
    monomials: tuple[str, ...]
    points: tuple[tuple[str, float | str], ...]

    def monomials_in(self, parameter: str) -> tuple[str, ...]:
        """Write the monomials as functions of a parameter of another name."""
        return tuple(substitute(text, {self.parameter: parameter}) for text in self.monomials)

    def points_in(self, parameter: str) -> dict[str, float | str]:
        """Return the benchmarks by name, contents as functions of a parameter of another name."""
        return {k: substitute(v, {self.parameter: parameter}) if isinstance(v, str) else v for k, v in self.points}

    def process(
        self, name: str, *, parameter: str | None = None, benchmarks: Mapping[str, str] | None = None, factor: str = "1"
    ) -> Process:
        """Build the process.

        Args:
            name: Name of the process.
            parameter: Name of the parameter; by default the usual one.
            benchmarks: Names of the benchmarks by those of the basis; by default `NAME_BENCHMARK`.
            factor: Free factor.

        Returns:
            The process.

        Examples:
            >>> BASES["EW"].process("EW", parameter="mu_EW").benchmark_names
            ('EW_B', 'EW_SBI1', 'EW_SBI10')
        """
        chosen = parameter or self.parameter
        amplitudes = {key: substitute(text, {self.parameter: chosen}) for key, text in self.amplitudes}
        rename = benchmarks or {key: f"{name}_{key}" for key, _ in self.points}
        exact = {rename[key]: self._vector(point) for key, point in self.points if key in rename}
        return Process.build(name, amplitudes, exact, factor=factor)

    def expressions(self, parameter: str) -> tuple[str, ...]:
        """Write the coefficients of the densities of the benchmarks; `parameter` may be an expression."""
        process = self.process(self.name, parameter=self.parameter)
        return tuple(substitute(text, {self.parameter: parameter}) for text in density_expressions(process, of=process.benchmarks))

    def _vector(self, point: float | str) -> list[float]:
        """Return v_b: at a value of the parameter, or of the amplitude whose square is the content."""
        if isinstance(point, str):
            square = Monomial.parse(point)
            return [1.0 if Monomial.parse(text) * Monomial.parse(text) == square else 0.0 for _, text in self.amplitudes]
        probe = Process.build("probe", dict(self.amplitudes), {"point": {self.parameter: point}})
        return list(probe.benchmarks[0].vector)


_SIGNAL = (("S", "sqrt(mu)"), ("B", "1"))
_INTERFERENCE = ("mu", "sqrt(mu)", "1")
BASES: dict[str, Basis] = {
    "ggF": Basis("ggF", "mu", _SIGNAL, _INTERFERENCE, (("S", "mu"), ("SBI", 1.0), ("B", 0.0))),
    "EW": Basis("EW", "mu", _SIGNAL, _INTERFERENCE, (("B", 0.0), ("SBI1", 1.0), ("SBI10", 10.0))),
    "kappa": Basis(
        "kappa",
        "kappa",
        (("A2", "kappa**2"), ("A1", "kappa"), ("A0", "1")),
        ("1", "kappa", "kappa**2", "kappa**3", "kappa**4"),
        tuple((f"{point:g}", point) for point in (0.0, 0.8, 1.0, 1.2, 1.5)),
    ),
}
"""Two amplitudes with interference (`ggF`, `EW`), and a coupling of order 4 in the squared amplitude (`kappa`)."""


def wilson_amplitudes(coefficients: Sequence[str]) -> dict[str, str]:
    """Return the amplitudes of an effective theory, linear in its Wilson coefficients: SM: 1, O_c: c.

    Examples:
        >>> wilson_amplitudes(["cHW", "cHB"])
        {'SM': '1', 'O_cHW': 'cHW', 'O_cHB': 'cHB'}
    """
    return {"SM": "1", **{f"O_{name}": name for name in coefficients}}


def wilson_monomials(coefficients: Sequence[str]) -> tuple[str, ...]:
    """Return the monomials of the squared amplitude of an effective theory: 1, c_i, c_i c_j.

    Examples:
        >>> wilson_monomials(["c"])
        ('1', 'c', 'c*c')
    """
    return ("1", *coefficients, *(f"{a}*{b}" for a, b in itertools.combinations_with_replacement(coefficients, 2)))

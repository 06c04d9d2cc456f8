"""Monomials of the parameters in which a squared amplitude is a linear combination: 1, mu, sqrt(mu), c1*c2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.errors import SchemaError

NEGLIGIBLE = 1e-14
"""Terms of a combination below this fraction of its largest are rounding of the solution and are not written."""
_NAME = r"[A-Za-z_]\w*"
_FACTOR = re.compile(rf"sqrt\(\s*({_NAME})\s*\)|({_NAME})(?:\s*(?:\*\*|\^)\s*(\d+(?:\.\d*)?|\.\d+))?")
_TERM = re.compile(r"([+-])((?:(?<![A-Za-z_\d.])(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+|[^+-])*)")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Monomial:
    """A product of powers of parameters.

    Attributes:
        powers: (parameter, exponent) pairs, sorted by name, exponents > 0; empty for the constant 1.

    Examples:
        >>> Monomial.parse("mu * sqrt(k)").powers
        (('k', 0.5), ('mu', 1.0))
        >>> str(Monomial.parse("kappa^4"))
        'kappa**4'
    """

    powers: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, text: str) -> Monomial:
        """Read `1`, or a product of `name`, `name**number`, `name^number` and `sqrt(name)`.

        Args:
            text: The expression; spaces are ignored.

        Returns:
            The monomial; equal parameters are collected.

        Raises:
            SchemaError: The text is not of this form.
        """
        if text.strip() == "1":
            return cls(())
        powers: dict[str, float] = {}
        for factor in _split_factors(text):
            match = _FACTOR.fullmatch(factor)
            if match is None:
                expected = "1, or a product of name, name**2 and sqrt(name), for example mu*sqrt(k)"
                raise SchemaError(
                    what=f"monomial {text!r}", got=f"factor {factor!r}", expected=expected, remedy="write for example 'mu*sqrt(k)'"
                )
            root, name, exponent = match.groups()
            powers[root or name] = powers.get(root or name, 0.0) + (0.5 if root else float(exponent or 1.0))
        return cls(tuple(sorted((name, power) for name, power in powers.items() if power > 0)))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(name for name, _ in self.powers)

    def __mul__(self, other: Monomial) -> Monomial:
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, 0.0) + power
        return Monomial(tuple(sorted(powers.items())))

    def __str__(self) -> str:
        factors = [name if p == 1 else f"sqrt({name})" if p == 0.5 else f"{name}**{p:g}" for name, p in self.powers]
        return "*".join(factors) or "1"


def parse_combination(text: str) -> dict[Monomial, float]:
    """Read a sum of monomials with optional numbers in front: what a sample holds, such as `mu + sqrt(mu)`.

    Args:
        text: Terms `monomial`, `number*monomial` or `number`, joined by + and -.

    Returns:
        The factor of each monomial; equal monomials are collected.

    Raises:
        SchemaError: A term is not of this form.

    Examples:
        >>> {str(m): c for m, c in parse_combination("mu - 2.5*mu*k^2 + 3").items()}
        {'mu': 1.0, 'k**2*mu': -2.5, '1': 3.0}
    """
    found: dict[Monomial, float] = {}
    for sign, term in _TERM.findall(text if text.lstrip().startswith(("+", "-")) else f"+{text}"):
        number, star, rest = term.strip().partition("*")
        if _NUMBER.fullmatch(number.strip()):
            factor, monomial = float(number), Monomial.parse(rest) if star else Monomial(())
        else:
            factor, monomial = 1.0, Monomial.parse(term)
        found[monomial] = found.get(monomial, 0.0) + (-factor if sign == "-" else factor)
    if not found:
        raise SchemaError(what=f"monomials {text!r}", got="nothing", expected="a sum of monomials, for example mu + 2*sqrt(mu)")
    return found


def write_combination(factors: Sequence[float], monomials: Sequence[str]) -> str:
    """Write a sum of monomials as an expression, with numbers of 15 digits.

    Args:
        factors: One number per monomial; those below 1e-14 of the largest are rounding of a solution and are not written.
        monomials: Texts of the monomials.

    Returns:
        The expression, a positive term first where there is one; `0` if nothing is left.

    Examples:
        >>> write_combination([1.0, -1.0, 2.5], ["mu", "sqrt(mu)", "1"])
        'mu - sqrt(mu) + 2.5'
        >>> write_combination([-1.0, 1.0], ["sqrt(mu)", "1"])
        '1 - sqrt(mu)'
    """
    largest = max((abs(factor) for factor in factors), default=0.0)
    kept = [(float(factor), text) for factor, text in zip(factors, monomials, strict=True) if abs(factor) > NEGLIGIBLE * largest]
    kept = sorted(kept, key=lambda term: term[0] < 0) if kept and kept[0][0] < 0 else kept
    written = ""
    for factor, monomial in kept:
        number = f"{abs(factor):.15g}"
        term = monomial if number == "1" else number if monomial == "1" else f"{number}*{monomial}"
        written += (" - " if factor < 0 else " + ") + term
    return "-" + written[3:] if written.startswith(" - ") else written.removeprefix(" + ") or "0"


def _split_factors(text: str) -> list[str]:
    """Split at single asterisks."""
    return [part.strip() for part in re.split(r"(?<!\*)\*(?!\*)", text)]

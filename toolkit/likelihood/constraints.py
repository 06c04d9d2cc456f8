"""Constraint terms of nuisance parameters: the auxiliary measurements that a likelihood is multiplied with.

What to use when: a likelihood lists its terms as `constraints`, and `with_auxiliary` replaces what they observed (a toy draws
`observed` from the distribution that `Constraint` describes). `toolkit.likelihood.constraint_term.ConstraintTerm`
holds constraints that belong to several channels and are counted once.

Conventions are pyhf's: a unit Gaussian around 0 for interpolated systematics, a Gaussian around 1 for the luminosity, Poisson
terms for the bin-by-bin `shapesys`; values are -2 ln of the normalised density, so that they add up to pyhf's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scipy.special import gammaln, xlogy

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood.parameters import Parameter


@dataclass(frozen=True)
class Constraint:
    """One auxiliary measurement of one parameter.

    Attributes:
        parameter: The parameter.
        observed: What was measured (pyhf's auxiliary datum).
        kind: "gaussian": `observed` is normal around the parameter with width `scale`; "poisson": it is a count with the
            expectation parameter times `scale`.
        scale: Width, or expected count at parameter 1.

    Examples:
        >>> Constraint("alpha").twice_nll(1.0) - Constraint("alpha").twice_nll(0.0)
        1.0
        >>> Constraint("gamma", observed=100.0, kind="poisson", scale=100.0).slope(1.0)
        0.0
    """

    parameter: str
    observed: float = 0.0
    kind: Literal["gaussian", "poisson"] = "gaussian"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.observed) and math.isfinite(self.scale) and self.scale > 0.0):
            what = f"constraint of {self.parameter!r}"
            raise PhysicsDomainError(what, got=f"observed {self.observed}, scale {self.scale}", expected="finite numbers, scale > 0")
        if self.kind == "poisson" and self.observed < 0.0:
            what = f"constraint of {self.parameter!r}"
            raise PhysicsDomainError(what, got=f"{self.observed} counts", expected=">= 0")

    def twice_nll(self, value: float) -> float:
        """Evaluate -2 ln of the density of `observed` at a value of the parameter, constants included."""
        if self.kind == "gaussian":
            return ((self.observed - value) / self.scale) ** 2 + 2.0 * math.log(math.sqrt(2.0 * math.pi) * self.scale)
        expected = value * self.scale
        if not expected >= 0.0:
            return math.inf
        return -2.0 * float(xlogy(self.observed, expected) - expected - gammaln(self.observed + 1.0))

    @property
    def lowest(self) -> float:
        """The smallest value of `twice_nll`: where the parameter agrees with what was observed."""
        return self.twice_nll(self.observed if self.kind == "gaussian" else self.observed / self.scale)

    def slope(self, value: float) -> float:
        """Differentiate `twice_nll` by the parameter."""
        if self.kind == "gaussian":
            return 2.0 * (value - self.observed) / self.scale**2
        return 2.0 * (self.scale - (self.observed / value if self.observed else 0.0))

    def curvature(self, value: float) -> float:
        """Differentiate `twice_nll` twice by the parameter."""
        if self.kind == "gaussian":
            return 2.0 / self.scale**2
        return 2.0 * self.observed / value**2 if self.observed else 0.0


def replace_observed(constraints: Sequence[Constraint], observed: Mapping[str, float]) -> tuple[Constraint, ...]:
    """Return constraints with other observed values; those of parameters that are not named stay.

    Raises:
        SchemaError: A name that no constraint belongs to.
    """
    known = {c.parameter for c in constraints}
    unknown = sorted(set(observed) - known)
    if unknown:
        what = "auxiliary data"
        raise SchemaError(what, got=f"values for {unknown}", expected=f"constrained parameters among {sorted(known)}")
    return tuple(replace(c, observed=float(observed[c.parameter])) if c.parameter in observed else c for c in constraints)


def check_distinct(constraints: Sequence[Constraint], parameters: Sequence[Parameter]) -> tuple[Constraint, ...]:
    """Check that constraints belong to known parameters and that no parameter is constrained twice.

    Raises:
        SchemaError: Two constraints of one parameter, or one of a parameter that does not exist.
    """
    names = [c.parameter for c in constraints]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        what = f"constraints of {repeated}"
        raise SchemaError(what, got="two of one parameter", expected="each constraint counted once", remedy="drop one of them")
    unknown = sorted(set(names) - {p.name for p in parameters})
    if unknown:
        what = "constraints"
        raise SchemaError(what, got=f"parameters {unknown}", expected=f"parameters among {[p.name for p in parameters]}")
    return tuple(constraints)

"""Several likelihoods of independent data in shared parameters.

A constraint that several terms hold is one auxiliary measurement, so it counts once: what the others add is taken off again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood, Point
from toolkit.likelihood.constraints import Constraint, check_distinct, replace_observed
from toolkit.likelihood.domain import NotPositive
from toolkit.likelihood.parameters import Parameter
from toolkit.typing import FloatArray


class CombinedLikelihood(Likelihood):
    """Sum of likelihoods; parameters of the same name are the same parameter.

    Args:
        terms: Likelihoods of data that do not overlap. A constraint that several hold must be the same in all of them.
        poi: Parameter of interest (default: the first term's).

    Raises:
        SchemaError: No terms, or two terms that disagree about a parameter or its constraint.

    Examples:
        Two counting experiments with the same signal strength, 14 of 15 and 16 of 15 expected events:

        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> terms = [BinnedLikelihood(templates=[[10.0], [5.0]], data=[n], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (0.0, 4.0)}) for n in (14.0, 16.0)]
        >>> round(CombinedLikelihood(terms).fit().parameters["mu"], 6)
        1.0
    """

    def __init__(self, terms: Sequence[Likelihood], *, poi: str | None = None) -> None:
        if not terms:
            what = "combined likelihood"
            raise SchemaError(what, got="no terms", expected="at least one likelihood")
        self.terms = tuple(terms)
        merged: dict[str, Parameter] = {}
        for term in self.terms:
            for p in term.parameters:
                if merged.setdefault(p.name, p) != p:
                    what = f"parameter {p.name!r}"
                    raise SchemaError(
                        what, got=f"{merged[p.name]} and {p}", expected="one definition", remedy="give both terms the same range and start"
                    )
        self._parameters = tuple(merged.values())
        self._constraints, surplus = _counted_once([c for t in self.terms for c in t.constraints])
        check_distinct(self._constraints, self._parameters)
        names = [p.name for p in self._parameters]
        self._surplus = tuple((names.index(c.parameter), c, times) for c, times in surplus.items())
        self._poi = self.terms[0].poi if poi is None else poi
        self._columns = [np.array([self.parameter_names.index(n) for n in t.parameter_names], dtype=np.intp) for t in self.terms]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in the order of first appearance."""
        return self._parameters

    @property
    def poi(self) -> str:
        """The parameter of interest."""
        return self._poi

    @cached_property
    def diverging(self) -> frozenset[str]:
        """Parameters by which a term's derivative diverges at the lower end of the range."""
        return frozenset().union(*(t.diverging for t in self.terms))

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints of all terms."""
        return self._constraints

    @cached_property
    def interfering(self) -> frozenset[str]:
        """Parameters in which there may be several minima, because a rate of a term turns back along them."""
        return frozenset().union(*(t.interfering for t in self.terms))

    def with_terms(self, terms: Sequence[Likelihood]) -> CombinedLikelihood:
        """Return the combination of other terms, with the same parameter of interest: the same channels with other data."""
        return CombinedLikelihood(terms, poi=self._poi)

    def with_auxiliary(self, observed: Mapping[str, float]) -> CombinedLikelihood:
        """Return the likelihood with other auxiliary data, by parameter; each goes to the term that holds the constraint."""
        replace_observed(self._constraints, observed)
        own = [{c.parameter: observed[c.parameter] for c in t.constraints if c.parameter in observed} for t in self.terms]
        return self.with_terms([t.with_auxiliary(o) if o else t for t, o in zip(self.terms, own, strict=True)])

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        parts = [t.twice_nll_points(points[:, c]) for t, c in zip(self.terms, self._columns, strict=True)]
        total = np.sum(parts, axis=0)
        for column, constraint, times in self._surplus:
            total = total - times * np.array([constraint.twice_nll(float(v)) for v in points[:, column]])
        return np.asarray(total)

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        out = np.zeros(len(point))
        for term, columns in zip(self.terms, self._columns, strict=True):
            with np.errstate(invalid="ignore"):  # terms may diverge to either side where one parameter is at its end
                out[columns] += term.gradient_at(point[columns])
        return self._less_surplus(point, out)

    def without_data(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the expectations of all bins without data, (n_bins,), and their derivatives, (n_bins, n_parameters)."""
        found = [t.without_data(point[c]) for t, c in zip(self.terms, self._columns, strict=True)]
        derivatives = np.zeros((sum(len(e) for e, _ in found), len(point)))
        first = 0
        for (expected, own), c in zip(found, self._columns, strict=True):
            derivatives[first : first + len(expected), c] = own
            first += len(expected)
        return np.concatenate([e for e, _ in found]), derivatives

    def continued(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives, bins without data continued linearly below an expectation of 0."""
        value, out = 0.0, np.zeros(len(point))
        for term, columns in zip(self.terms, self._columns, strict=True):
            own, derivatives = term.continued(point[columns])
            value += own
            out[columns] += derivatives
        value -= sum(times * constraint.twice_nll(float(point[column])) for column, constraint, times in self._surplus)
        return value, self._less_surplus(point, out)

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points to allowed ones, (n_points,)."""
        return np.asarray(np.sum([t.shortfall(points[:, c]) for t, c in zip(self.terms, self._columns, strict=True)], axis=0))

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which bin or event of which term forbids a point (n_parameters,)."""
        found = (t.not_positive(point[c]) for t, c in zip(self.terms, self._columns, strict=True))
        return next((cause for cause in found if cause is not None), None)

    def value_and_gradient(self, parameters: Point) -> tuple[float, FloatArray]:
        """Evaluate `twice_nll` and `gradient`, each term in one pass over its data."""
        point = self.point(parameters)
        value, out = 0.0, np.zeros(len(point))
        for term, columns in zip(self.terms, self._columns, strict=True):
            own, derivatives = term.value_and_gradient(point[columns])
            value += own
            with np.errstate(invalid="ignore"):
                out[columns] += derivatives
        if np.isnan(out).any():  # under a root at zero terms diverge with opposite signs; the limit of their sum has one
            return super().value_and_gradient(point)
        value -= sum(times * constraint.twice_nll(float(point[column])) for column, constraint, times in self._surplus)
        return value, self._less_surplus(point, out)

    @property
    def closed_hessian(self) -> bool:
        """Whether second derivatives are a closed form in the terms that take the time: those of events."""
        return any(t.closed_hessian for t in self.terms)

    def hessian_at(self, point: FloatArray) -> FloatArray | None:
        """Evaluate the second derivatives at one point; None where a term does not know its own."""
        out = np.zeros((len(point), len(point)))
        for term, columns in zip(self.terms, self._columns, strict=True):
            own = term.hessian_at(point[columns])
            if own is None:
                return None
            out[np.ix_(columns, columns)] += own
        for column, constraint, times in self._surplus:
            out[column, column] -= times * constraint.curvature(float(point[column]))
        return out

    def _less_surplus(self, point: FloatArray, derivatives: FloatArray) -> FloatArray:
        for column, constraint, times in self._surplus:
            derivatives[column] -= times * constraint.slope(float(point[column]))
        return derivatives


def _counted_once(constraints: Sequence[Constraint]) -> tuple[tuple[Constraint, ...], dict[Constraint, int]]:
    """Return every constraint once, and how often more than once it occurs.

    Raises:
        SchemaError: Two different constraints of one parameter.
    """
    first: dict[str, Constraint] = {}
    surplus: dict[Constraint, int] = {}
    for constraint in constraints:
        known = first.get(constraint.parameter)
        if known is None:
            first[constraint.parameter] = constraint
            continue
        if known != constraint:
            what = f"constraint of {constraint.parameter!r}"
            remedy = "rename one of the two parameters"
            raise SchemaError(what, got=f"{known} and {constraint}", expected="the same in all terms", remedy=remedy)
        surplus[constraint] = surplus.get(constraint, 0) + 1
    return tuple(first.values()), surplus

"""Builders of parameterisations: effective field theories, products of blocks, other parameters, expressions.

When to use what: `smeft` for n Wilson coefficients, `product` when production and decay depend on parameters of
their own, `substituted` when a measured strength is a product of couplings (mu = kappa_g^2 kappa_V^2). Signal strengths with
interference are in `bases`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError
from toolkit.model.bases import wilson_monomials
from toolkit.model.monomials import Monomial, parse_combination
from toolkit.weights.morphing import Morphing, Point, Ranges

SINGULAR = 1e10
"""Condition number from which a change of parameters cannot be undone."""


def smeft(
    coefficients: Sequence[str],
    *,
    benchmarks: Mapping[str, Point | str] | None = None,
    scale: float | Mapping[str, float] = 1.0,
    ranges: Ranges | None = None,
) -> Morphing:
    """Build the morphing of a squared amplitude that is linear in n Wilson coefficients.

    |A_SM + sum_i c_i A_i|^2 has the monomials 1, c_i and c_i c_j: (n + 1)(n + 2) / 2 of them.

    Args:
        coefficients: Names of the Wilson coefficients.
        benchmarks: Points by name. By default `SM`, plus and minus `scale` along each axis, and `scale` along each pair.
        scale: Size of the default points, one for all or by name: of the order of the range of interest.
        ranges: See `Morphing`.

    Returns:
        The morphing, theta in the order of `coefficients`.

    Raises:
        SchemaError: No or repeated names, or benchmarks that do not determine all monomials.

    References:
        Brehmer et al., arXiv:1805.00020, section II.C.

    Examples:
        >>> eft = smeft(["cHW", "cHB"])
        >>> eft.monomials
        ('1', 'cHW', 'cHB', 'cHW**2', 'cHB*cHW', 'cHB**2')
        >>> eft.coefficients({"cHW": 1.0, "cHB": 1.0}).round(12) + 0.0  # the last benchmark is this point
        array([0., 0., 0., 0., 0., 1.])
    """
    names = tuple(coefficients)
    if not names or len(set(names)) != len(names):
        raise SchemaError(what="Wilson coefficients", got=list(names), expected="at least one name, none twice")
    sizes = scale if isinstance(scale, Mapping) else dict.fromkeys(names, float(scale))
    if set(sizes) != set(names):
        raise SchemaError(what="scale", got=sorted(sizes), expected=f"a number for each of {list(names)}")
    points = _quadratic_points(names, sizes) if benchmarks is None else benchmarks
    return Morphing(monomials=wilson_monomials(names), benchmarks=points, parameters=names, ranges=ranges)


def _quadratic_points(names: Sequence[str], sizes: Mapping[str, float]) -> dict[str, Point | str]:
    def point(*moved: tuple[str, float]) -> tuple[str, Point]:
        values = dict.fromkeys(names, 0.0) | dict(moved)
        return ",".join(f"{name}={value:g}" for name, value in moved) or "SM", values

    points = [point()]
    for name in names:
        points += [point((name, sizes[name])), point((name, -sizes[name]))]
    points += [point((a, sizes[a]), (b, sizes[b])) for a, b in itertools.combinations(names, 2)]
    return dict(points)


def product(first: Morphing, second: Morphing, *, benchmarks: Mapping[str, Point | str] | None = None) -> Morphing:
    """Multiply two parameterisations, such as production and decay: w = sum_kl m_k(theta) n_l(eta) w_kl.

    Args:
        first: One block.
        second: The other.
        benchmarks: Points of the product by name. By default every benchmark of the first block together with every
            one of the second, named `A*B`: possible only when the blocks share no parameter.

    Returns:
        The morphing of the product; parameters of the first block, then the new ones of the second.

    Raises:
        SchemaError: The blocks share parameters and no benchmarks are given, or those are degenerate.

    Notes:
        Shared parameters make monomials coincide, so that fewer benchmarks are needed: kappa in production and in
        decay gives the five monomials of the quartic, not nine.

    Examples:
        >>> from toolkit.weights.bases import basis
        >>> both = product(basis("ggF"), smeft(["c"]))
        >>> len(both.benchmark_names), both.benchmark_names[0], both.parameter_names
        (9, 'S*SM', ('mu', 'c'))
        >>> kappa = Morphing(monomials=["1", "kappa", "kappa**2"], benchmarks=[0.0, 1.0, 2.0])
        >>> product(kappa, kappa, benchmarks={"a": 0, "b": 0.8, "c": 1, "d": 1.2, "e": 1.5}).monomials
        ('1', 'kappa', 'kappa**2', 'kappa**3', 'kappa**4')
    """
    shared = sorted(set(first.parameter_names) & set(second.parameter_names))
    names = tuple(dict.fromkeys((*first.parameter_names, *second.parameter_names)))
    pairs = itertools.product(first.monomials, second.monomials)
    products = [str(Monomial.parse(a) * Monomial.parse(b)) for a, b in pairs]
    monomials = tuple(dict.fromkeys(products))
    ranges = _common_ranges(first, second)
    if benchmarks is not None:
        return Morphing(monomials=monomials, benchmarks=benchmarks, parameters=names, ranges=ranges)
    if shared:
        raise SchemaError(
            what="product of parameterisations",
            got=f"both depend on {shared}",
            expected="parameters of their own",
            remedy="give `benchmarks`: points at which both blocks have the same value of the shared parameters",
        )
    rows = {f"{a}*{b}": np.kron(row_a, row_b) for (a, row_a), (b, row_b) in itertools.product(_rows(first).items(), _rows(second).items())}
    return Morphing.from_rows(rows, monomials=monomials, parameters=names, ranges=ranges)


def substituted(morphing: Morphing, products: Mapping[str, str]) -> Morphing:
    """Replace parameters by products or sums of others, keeping the benchmarks: mu = kappa_g^2 kappa_V^2, g = 0.3 c_1 - 0.2 c_2.

    Args:
        morphing: The parameterisation in the old parameters.
        products: A monomial of new parameters, or a sum of monomials with numbers in front, for some of the old ones.

    Returns:
        The same functions of the new parameters, in order of first appearance; ranges are dropped for replaced ones.

    Raises:
        SchemaError: A parameter is unknown, two monomials become equal, a sum stands under a root, or a change by sums cannot be undone, so
            that the benchmarks do not determine the new monomials.

    Notes:
        sqrt(mu) becomes kappa_g kappa_V with its sign: the interference follows the relative sign of the couplings, which mu
        alone cannot express.

    Examples:
        >>> from toolkit.weights.bases import basis
        >>> couplings = substituted(basis("ggF"), {"mu": "kappa_g**2*kappa_V**2"})
        >>> couplings.monomials
        ('kappa_V**2*kappa_g**2', 'kappa_V*kappa_g', '1')
        >>> couplings.coefficients({"kappa_g": -1.0, "kappa_V": 1.0}).round(12)  # mu = 1, interference reversed
        array([ 2., -1.,  2.])
        >>> rotated = substituted(smeft(["a", "b"]), {"a": "0.6*x + 0.8*y", "b": "0.8*x - 0.6*y"})
        >>> rotated.coefficients({"x": 0.6, "y": 0.8}).round(12) + 0.0  # a = 1, b = 0: the benchmark a=1
        array([0., 1., 0., 0., 0., 0.])
    """
    unknown = sorted(set(products) - set(morphing.parameter_names))
    if unknown:
        raise SchemaError(what="parameters to replace", got=unknown, expected=f"some of {list(morphing.parameter_names)}")
    replaced = {name: parse_combination(text) for name, text in products.items()}
    terms = [_expand(Monomial.parse(text), replaced) for text in morphing.monomials]
    kept = {name: limits for name, limits in morphing.ranges.items() if name not in products}
    if all(list(term.values()) == [1.0] for term in terms):
        return Morphing.from_rows(_rows(morphing), monomials=[str(next(iter(term))) for term in terms], ranges=kept)
    new = list(dict.fromkeys(m for term in terms for m in term))
    change = np.array([[term.get(m, 0.0) for m in new] for term in terms])  # old monomials in new ones
    if change.shape[0] != change.shape[1] or np.linalg.cond(change) > SINGULAR:
        got = f"{len(new)} monomials in the place of {len(terms)}"
        remedy = "replace n parameters by n independent sums, or write them as parameters of a model (docs/model.md)"
        raise SchemaError("sums in the place of parameters", got=got, expected="a change that can be undone", remedy=remedy)
    back = np.linalg.inv(change).T
    rows = {name: row @ back for name, row in _rows(morphing).items()}
    return Morphing.from_rows(rows, monomials=[str(m) for m in new], ranges=kept)


def _rows(morphing: Morphing) -> dict[str, NDArray[np.float64]]:
    return dict(zip(morphing.benchmark_names, morphing.matrix, strict=True))


def _expand(monomial: Monomial, replaced: Mapping[str, Mapping[Monomial, float]]) -> dict[Monomial, float]:
    """Write a monomial of old parameters as a sum of monomials of new ones."""
    found = {Monomial(()): 1.0}
    for name, power in monomial.powers:
        terms = replaced.get(name, {Monomial(((name, 1.0),)): 1.0})
        if list(terms.values()) == [1.0]:
            (one,) = terms
            raised = {Monomial(tuple((n, p * power) for n, p in one.powers)): 1.0}
        elif power == int(power) and power > 0:
            raised = {Monomial(()): 1.0}
            for _ in range(int(power)):
                raised = _product(raised, terms)
        else:
            raise SchemaError("sums in the place of parameters", got=str(monomial), expected=f"{name} with a positive whole power")
        found = _product(found, raised)
    return found


def _product(first: Mapping[Monomial, float], second: Mapping[Monomial, float]) -> dict[Monomial, float]:
    found: dict[Monomial, float] = {}
    for (a, x), (b, y) in itertools.product(first.items(), second.items()):
        found[a * b] = found.get(a * b, 0.0) + x * y
    return found


def _common_ranges(first: Morphing, second: Morphing) -> dict[str, tuple[float, float]]:
    ranges = dict(first.ranges)
    for name, (low, high) in second.ranges.items():
        before = ranges.get(name, (-np.inf, np.inf))
        ranges[name] = (max(low, before[0]), min(high, before[1]))
    return ranges

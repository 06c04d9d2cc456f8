"""The products a_k a_l of a process: as functions of the parameters, and as combinations of the weights of its benchmarks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.model.monomials import Monomial, parse_combination
from toolkit.model.processes import Benchmark, Process
from toolkit.model.solution import least_variance, null_space, solve_benchmarks
from toolkit.typing import FloatArray

_ROOT = re.compile(r"sqrt\((.*)\)")
_ZERO = 1e-9


def determines_matrix(process: Process, names: Sequence[str] | None = None) -> bool:
    """Say whether the weights of benchmarks (all by default) determine M at every event."""
    given = process.pick(names)
    return bool(given) and null_space(process.rows(given)).shape[1] == 0


def solve_products(
    process: Process,
    *,
    of: Sequence[Benchmark] | None = None,
    names: Sequence[str] | None = None,
    variances: FloatArray | None = None,
) -> FloatArray:
    """Solve sum_b f_b v_bk v_bl = a_k a_l for every pair of amplitudes.

    Args:
        process: The process.
        of: Densities to express the process by; by default its benchmarks.
        names: Some of the benchmarks by name, in place of `of`.
        variances: Variance of each density, (n_densities,); equal by default. Matters where there are more than needed.

    Returns:
        F, (n_densities, n(n + 1)/2): rho(theta) = sum_b f_b rho_b with f = F m, m_kl = a_k a_l in the order of `Process.pairs`; and
        M_kk = sum_b F_b,kk rho_b, 2 M_kl = sum_b F_b,kl rho_b.

    Raises:
        SchemaError: The densities do not determine that of the process at every theta: an amplitude that none of them holds, amplitudes
            whose relative sign is open, or too few independent ones.

    Notes:
        Products that are the same function of the parameters (kappa^2 * 1 and kappa * kappa) need not be told apart.

    Examples:
        >>> ggf = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> solve_products(ggf).tolist()  # columns mu, sqrt(mu), 1
        [[1.0, -1.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 1.0]]
    """
    given = process.pick(names) if of is None else tuple(of)
    if not given:
        expected = f"{len(process.pairs)} independent benchmarks for {process.n_amplitudes} amplitudes"
        raise SchemaError(f"process {process.name!r}", got="no benchmarks", expected=expected, remedy="list them under `benchmarks`")
    rows = process.rows(given)
    open_directions = null_space(rows)
    if open_directions.shape[1] and not _invisible(process, open_directions):
        _refuse_amplitudes(process, given, rows)
    elif open_directions.shape[1]:
        return least_variance(rows, names=[b.name for b in given], variances=variances)
    products = [_product_name(process, k, m) for k, m in process.pairs]
    return solve_benchmarks(
        rows, names=[b.name for b in given], monomials=products, variances=variances, what=f"benchmarks of process {process.name!r}"
    )


def _invisible(process: Process, directions: FloatArray) -> bool:
    """Whether changes of M along these directions leave the density as it is at every theta."""
    products, _ = expand_products(process)
    monomials = list(dict.fromkeys(m for terms in products for m in terms))
    table = np.array([[terms.get(m, 0.0) for m in monomials] for terms in products])
    return bool(np.all(np.abs(directions.T @ table) < _ZERO * max(1.0, np.max(np.abs(table)))))


def _refuse_amplitudes(process: Process, given: Sequence[Benchmark], rows: FloatArray) -> None:
    """Name an amplitude that no benchmark holds, or amplitudes that never occur together."""
    names = process.amplitude_names
    together = [{k, m} for column, (k, m) in enumerate(process.pairs) if np.any(rows[:, column] != 0.0)]
    absent = [name for k, name in enumerate(names) if not any(k in pair for pair in together)]
    if absent:
        raise SchemaError(
            f"amplitude {absent[0]!r} of process {process.name!r}",
            got=f"none of the benchmarks {[b.name for b in given]} holds it",
            expected="at least one benchmark in which it is not zero",
            remedy="add a benchmark that holds it, or remove the amplitude",
        )
    groups = [{k} for k in range(len(names))]
    for pair in together:
        joined = set().union(*(g for g in groups if g & pair))
        groups = [g for g in groups if not g & pair] + [joined]
    if len(groups) > 1:
        first, second, *_ = ([names[k] for k in sorted(g)] for g in sorted(groups, key=min))
        raise SchemaError(
            f"benchmarks of process {process.name!r}",
            got=f"none holds amplitudes of {first} together with {second}: M is known only up to the sign of their interference",
            expected="a benchmark in which they interfere",
            remedy="add a benchmark with both; write two processes if they do not interfere",
        )


def _product_name(process: Process, k: int, m: int) -> str:
    names = process.amplitude_names
    return f"|{names[k]}|^2" if k == m else f"{names[k]}*{names[m]}"


def expand_products(process: Process) -> tuple[list[dict[Monomial, float]], dict[str, str]]:
    """Expand every a_k a_l into monomials.

    Returns:
        Factor by monomial for every pair; and what stands behind the names of placeholders, which coefficients have that are no
        combination of monomials. The square of sqrt(...) is what is under the root.
    """
    expanded, placeholders = [], {}
    for k, amplitude in enumerate(process.amplitudes):
        try:
            expanded.append(parse_combination(amplitude.coefficient))
        except SchemaError:
            Expression.parse(amplitude.coefficient)
            name = f"placeholder_{k}"
            root = _ROOT.fullmatch(amplitude.coefficient.strip())
            inner = root[1] if root and _balanced(root[1]) else None
            placeholders[name] = inner or amplitude.coefficient
            expanded.append({Monomial(((name, 0.5 if inner else 1.0),)): 1.0})
    products = []
    for k, m in process.pairs:
        terms: dict[Monomial, float] = {}
        for (a, x), (b, y) in ((p, q) for p in expanded[k].items() for q in expanded[m].items()):
            terms[a * b] = terms.get(a * b, 0.0) + x * y
        products.append(terms)
    return products, placeholders


def _balanced(text: str) -> bool:
    """Whether the parentheses of the inside of a root close inside it."""
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0

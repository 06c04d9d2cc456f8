"""The densities of a process that are learned, and their coefficients as expressions of the parameters.

A process whose benchmarks determine M has the n(n + 1)/2 densities |A_k|^2 and |A_k + A_l|^2: S, SBI, B for two amplitudes. They are
positive, and any other density of the process is a combination of them. Where only the combinations that occur are determined
(kappa: five functions, six products of amplitudes) the benchmarks are the densities.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.expressions.substitution import substitute
from toolkit.model.monomials import write_combination
from toolkit.model.processes import Benchmark, Process
from toolkit.model.products import determines_matrix, expand_products, solve_products
from toolkit.typing import FloatArray

_ROUNDING = 1e-12
_PRODUCT = re.compile(r"[\w.]+(?:\s*\*{1,2}\s*[\w.]+)*")


def learned_densities(process: Process) -> tuple[Benchmark, ...]:
    """Return the densities that estimators learn and the likelihood mixes, in the order of the pairs (k, l), k <= l.

    A density that is a benchmark, up to the sign of its vector, keeps the name of that; others are called after process and amplitudes.

    Examples:
        >>> ew = Process.build("EW", {"S": "sqrt(mu)", "B": "1"}, {"EW_B": {"mu": 0}, "EW_SBI1": {"mu": 1}, "EW_SBI10": {"mu": 10}})
        >>> [d.name for d in learned_densities(ew)]
        ['EW_S', 'EW_SBI1', 'EW_B']
    """
    if not determines_matrix(process):
        return process.benchmarks
    found = []
    for place, (k, m) in enumerate(process.pairs):
        vector = tuple(float(i in (k, m)) for i in range(process.n_amplitudes))
        letters = process.amplitude_names[k] + ("" if k == m else process.amplitude_names[m])
        plain = process.name if process.n_amplitudes == 1 else f"{process.name}_{letters}"
        row = process.rows([Benchmark("", vector)])
        same = [b.name for b in process.benchmarks if np.array_equal(process.rows([b]), row)]
        name = process.density_names[place] if process.density_names else same[0] if same else plain
        found.append(Benchmark(name, vector))
    return tuple(found)


def density_transform(process: Process, *, names: Sequence[str] | None = None, variances: FloatArray | None = None) -> FloatArray:
    """Return T with learned densities = benchmark weights @ T.

    Args:
        process: The process.
        names: Benchmarks whose weights are known, all by default.
        variances: Variance of each, (n_benchmarks,); more benchmarks than needed are combined by them, equal by default.

    Returns:
        (n_benchmarks, n_densities); a density that is among the benchmarks is taken over as it is.

    Raises:
        SchemaError: The benchmarks do not determine the densities.

    Examples:
        >>> ew = Process.build("EW", {"S": "sqrt(mu)", "B": "1"}, {"B": {"mu": 0}, "SBI1": {"mu": 1}, "SBI10": {"mu": 10}})
        >>> density_transform(ew).round(3).tolist()  # columns S, SBI, B
        [[0.316, 0.0, 1.0], [-0.462, 1.0, 0.0], [0.146, 0.0, 0.0]]
    """
    given, wanted = process.pick(names), learned_densities(process)
    solution = solve_products(process, names=names, variances=variances)
    matrix = solution @ process.rows(wanted).T
    for j, density in enumerate(wanted):
        at = [i for i, b in enumerate(given) if np.array_equal(process.rows([b]), process.rows([density]))]
        if at and (len(given) == len(wanted) or variances is None):
            matrix[:, j] = np.eye(len(given))[at[0]]
    return np.where(np.abs(matrix) < _ROUNDING, 0.0, matrix)


def density_expressions(
    process: Process,
    *,
    of: Sequence[Benchmark] | None = None,
    region: str | None = None,
    derived: Mapping[str, str] | None = None,
    factor: str = "1",
) -> tuple[str, ...]:
    """Write the coefficients of densities of a process as expressions of the parameters.

    Args:
        process: The process.
        of: Densities that are mixed; by default those of `learned_densities`.
        region: Region whose factor is included.
        derived: Derived parameters as expressions of independent ones, put in their place.
        factor: A further factor, such as that of a split.

    Returns:
        f_d(theta) with rho(theta) = sum_d f_d(theta) rho_d, one per density.

    Raises:
        SchemaError: The densities do not determine that of the process at every theta.

    Examples:
        >>> ggf = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> density_expressions(ggf)
        ('mu - sqrt(mu)', 'sqrt(mu)', '1 - sqrt(mu)')
        >>> density_expressions(Process.build("qqZZ", {"A": "1"}, factor="t0"))
        ('t0',)
    """
    densities = learned_densities(process) if of is None else tuple(of)
    solution = solve_products(process, of=densities)
    products, placeholders = expand_products(process)
    monomials = tuple(dict.fromkeys(m for terms in products for m in terms))
    rows = [[sum(f * terms.get(m, 0.0) for f, terms in zip(row, products, strict=True)) for m in monomials] for row in solution]
    texts = [write_combination(row, [str(m) for m in monomials]) for row in rows]
    factors = tuple(text for text in (*process.factor_in(region), factor) if text != "1")
    made = [_multiplied(substitute(text, placeholders), factors) for text in texts]
    return tuple(substitute(text, derived or {}) for text in made)


def _multiplied(text: str, factors: Sequence[str]) -> str:
    """Write the product of an expression and factors."""
    parts = [f if _PRODUCT.fullmatch(f) else f"({f})" for f in factors]
    if text != "1" or not parts:
        parts.append(text if not parts or _PRODUCT.fullmatch(text) else f"({text})")
    return " * ".join(parts)

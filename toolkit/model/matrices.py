"""M(z) of events from their benchmark weights, and the fixed positive matrix K of the class density tr(K M)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.expressions.arithmetic import Expression
from toolkit.model.processes import Process
from toolkit.model.products import determines_matrix, solve_products
from toolkit.typing import FloatArray

CLASS_SHARE = 0.25
"""Share of each amplitude but the reference in the class density: enough for a network to see it, while most of the class still looks
like the reference."""


def solve_matrices(
    process: Process, weights: ArrayLike, *, names: Sequence[str] | None = None, variances: ArrayLike | None = None
) -> FloatArray:
    """Compute M(z) of every event from its weights under benchmarks.

    Args:
        process: The process.
        weights: (n_events, n_benchmarks), in any unit.
        names: Benchmarks of the columns; all of the process, in their order, by default.
        variances: Variance of each benchmark, (n_benchmarks,); more benchmarks than needed are combined by them, equal by default.

    Returns:
        Symmetric, (n_events, n_amplitudes, n_amplitudes), in the unit of the weights, so that v_b^T M v_b is the weight under b. Positive
        semi-definite up to the rounding of the weights.

    Raises:
        SchemaError: The benchmarks do not determine M.
        ShapeError: Another number of columns than benchmarks.
        PhysicsDomainError: A weight is not finite.

    Examples:
        >>> ggf = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> solve_matrices(ggf, [[4.0, 3.0, 1.0]]).tolist()  # I = 3 - 4 - 1 = -2
        [[[4.0, -1.0], [-1.0, 1.0]]]
    """
    given = process.pick(names)
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 2 or w.shape[1] != len(given):
        expected = f"(n_events, {len(given)}) for the benchmarks {[b.name for b in given]}"
        raise ShapeError(f"benchmark weights of process {process.name!r}", got=f"shape {w.shape}", expected=expected)
    bad = ~np.all(np.isfinite(w), axis=1)
    if np.any(bad):
        i = int(np.argmax(bad))
        raise PhysicsDomainError(f"benchmark weights of event {i} of process {process.name!r}", got=w[i], expected="finite weights")
    sigma2 = None if variances is None else np.asarray(variances, dtype=np.float64)
    products = w @ solve_products(process, names=names, variances=sigma2)
    _require_matrix(process, names)
    matrices = np.empty((len(w), process.n_amplitudes, process.n_amplitudes))
    for column, (k, m) in enumerate(process.pairs):
        matrices[:, k, m] = matrices[:, m, k] = products[:, column] * (1.0 if k == m else 0.5)
    return matrices


def class_matrix(process: Process, yields: Mapping[str, float], *, share: float = CLASS_SHARE) -> FloatArray:
    """Choose the diagonal, positive K of the class density tr(K M), so that every amplitude matters in it.

    Args:
        process: The process.
        yields: Expected events of |A_k|^2, by name of the amplitude, > 0.
        share: Share of each amplitude but the reference in tr(K M), at most 1/n.

    Returns:
        K, (n_amplitudes, n_amplitudes), with 1 for the reference, which is the amplitude with a constant coefficient or else that of the
        largest yield.

    Raises:
        SchemaError: A yield is missing. PhysicsDomainError: one is not positive.

    Examples:
        >>> ggf = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> class_matrix(ggf, {"S": 10.0, "B": 100.0}).diagonal().round(3).tolist()  # K_S S is a quarter of K_S S + B
        [3.333, 1.0]
    """
    names = process.amplitude_names
    missing = [name for name in names if name not in yields]
    if missing:
        raise SchemaError(f"yields of process {process.name!r}", got=f"none of {missing}", expected=f"a yield for each of {list(names)}")
    nu = np.array([yields[name] for name in names], dtype=np.float64)
    bad = ~(np.isfinite(nu) & (nu > 0))
    if np.any(bad):
        name = names[int(np.argmax(bad))]
        raise PhysicsDomainError(
            f"yield of amplitude {name!r} of process {process.name!r}", got=yields[name], expected="expected events > 0"
        )
    constant = [k for k, a in enumerate(process.amplitudes) if not Expression.parse(a.coefficient).names]
    reference = constant[0] if constant else int(np.argmax(nu))
    each = min(share, 1.0 / len(names))
    rest = 1.0 - each * (len(names) - 1)
    k = each / rest * nu[reference] / nu
    k[reference] = 1.0
    return np.diag(k)


def _require_matrix(process: Process, names: Sequence[str] | None) -> None:
    if not determines_matrix(process, names):
        raise SchemaError(
            f"process {process.name!r}",
            got="products of amplitudes that are the same function of the parameters, and benchmarks that do not tell them apart",
            expected=f"{len(process.pairs)} independent benchmarks",
            remedy="add benchmarks, or learn the densities of the benchmarks themselves",
        )

"""CPU time of one value and gradient with both interpolations beside a loop over events written by hand; `benchmarks.likelihood` runs it.

200,000 events, 3 processes, 8 per-event variations of each, one thread; the calls take turns, and the fastest of each counts.
"""

from __future__ import annotations

import math
import time
from unittest import mock

import numpy as np
from numba import njit

from benchmarks.measure import print_table
from toolkit.likelihood import Parameter, Shapes, UnbinnedLikelihood, shaped
from toolkit.likelihood.interpolation import log_quadratic

N_EVENTS, N_PROCESSES, N_SHAPES = 200_000, 3, 8
NAMES = tuple(f"shape_{m}" for m in range(N_SHAPES))


@njit(fastmath=True)
def by_hand(densities, weights, one, two, three, basis, factors, by_factor, sums):  # noqa: PLR0917
    """The log-quadratic interpolation as one would write it: one loop over events, everything about an event in it."""
    value = 0.0
    for i in range(len(weights)):
        s0, s1, s2 = 0.0, 0.0, 0.0
        for c in range(len(basis)):
            s0 += one[i, c] * basis[c]
            s1 += two[i, c] * basis[c]
            s2 += three[i, c] * basis[c]
        t0, t1, t2 = densities[i, 0] * math.exp(s0), densities[i, 1] * math.exp(s1), densities[i, 2] * math.exp(s2)
        total = factors[0] * t0 + factors[1] * t1 + factors[2] * t2
        value += weights[i] * math.log(total)
        q = weights[i] / total
        by_factor[0] += q * t0
        by_factor[1] += q * t1
        by_factor[2] += q * t2
        q0, q1, q2 = q * factors[0] * t0, q * factors[1] * t1, q * factors[2] * t2
        for c in range(len(basis)):
            sums[0, c] += q0 * one[i, c]
            sums[1, c] += q1 * two[i, c]
            sums[2, c] += q2 * three[i, c]
    return value


def build(code: str, logs: np.ndarray, size: float) -> UnbinnedLikelihood:
    rng = np.random.default_rng(1)
    return UnbinnedLikelihood(
        log_ratios=rng.normal(0.0, 0.5, (N_EVENTS, N_PROCESSES)),
        weights=rng.uniform(0.5, 1.5, N_EVENTS),
        yields=[50.0, 200.0, 300.0],
        coefficients=("mu", "1", "1"),
        parameters=[Parameter("mu", init=1.0, low=0.0, high=5.0), *(Parameter(m, init=0.0, low=-5.0, high=5.0) for m in NAMES)],
        shapes=Shapes(parameters=(NAMES,) * N_PROCESSES, table=size * logs, code=code),
        reference="normalised",
        threads=1,
    )


def compare(*, repeat: int, size: float = 0.05) -> dict[str, float]:
    """Print CPU times and differences from the slow twin; return the ratios."""
    rng = np.random.default_rng(2)
    logs, point = rng.normal(size=(N_EVENTS, 2 * N_SHAPES * N_PROCESSES)), np.array([0.8, *rng.uniform(-0.9, 0.9, N_SHAPES)])
    both = {code: build(code, logs, size) for code in ("log_quadratic", "code4")}
    one = both["log_quadratic"]
    assert one.shapes is not None
    parts = [np.ascontiguousarray(part) for part in one.shapes.logs]
    basis, factors = np.concatenate(log_quadratic(point[1:])[:2]), np.array([0.8, 1.0, 1.0])

    def loop() -> float:
        return by_hand(one.densities, one.weights, *parts, basis, factors, np.zeros(N_PROCESSES), np.zeros((N_PROCESSES, 2 * N_SHAPES)))

    calls = {"by hand": loop, **{code: (lambda own=own: own.value_and_gradient(point)) for code, own in both.items()}}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeat + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn:
                times[name].append(time.process_time() - start)
    best = {name: min(own) for name, own in times.items()}
    rows = [(name, 1e3 * best[name], best[name] / best["by hand"]) for name in calls]
    print_table((f"200k events, 3 processes, 8 variations of {100 * size:g} %", "CPU ms", "over by hand"), rows)
    ratios = {
        "log_quadratic_over_by_hand": best["log_quadratic"] / best["by hand"],
        "code4_over_log_quadratic": best["code4"] / best["log_quadratic"],
    }
    print(f"code 4 over log-quadratic {ratios['code4_over_log_quadratic']:.2f}; wanted at most 2")
    print(f"log-quadratic over the loop by hand {ratios['log_quadratic_over_by_hand']:.2f}; wanted at most 1")
    for code, own in both.items():
        value, gradient = own.value_and_gradient(point)
        with mock.patch.object(shaped, "kernels", return_value=None):
            twin = own.value_and_gradient(point)
        off = np.max(np.abs(gradient - twin[1]) / np.maximum(np.abs(twin[1]), 1.0))
        print(f"{code}: value off its slow twin by {abs(value / twin[0] - 1.0):.1e}, gradient by {off:.1e}")
    return ratios


if __name__ == "__main__":
    compare(repeat=15)

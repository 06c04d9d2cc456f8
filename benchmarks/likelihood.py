"""Speed and memory of the unbinned likelihood with systematic uncertainties: `python -m benchmarks.likelihood`.

1e6 events, 6 processes, 20 per-event variations of each (log-quadratic), 1e5 events to normalise them on, 20 yield uncertainties.
Prints the time to read all arrays once, of one value and gradient, of the Hessian, of a full fit and of a profiled scan, and after
them both interpolations beside a loop written by hand (`benchmarks.interpolations`).
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.interpolations import compare
from benchmarks.measure import best_of, peak_memory_gb, print_json, print_table
from toolkit.likelihood import Constraint, NormSys, Parameter, ShapeReference, Shapes, UnbinnedLikelihood
from toolkit.likelihood.chunks import granted_threads

COEFFICIENTS = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1", "1", "1")
YIELDS = np.array([48.0, 590.0, 625.0, 2400.0, 60.0, 30.0])
CHUNK = 1 << 15


def densities(x: np.ndarray) -> np.ndarray:
    """Return ln p_j / p_ref on [0, 1] against the uniform density, (n, 6)."""
    s, b = 0.3 + 0.9 * x**3, -1.2 * np.exp(-2.0 * x) - 0.5
    sbi = s**2 + b**2 + 1.2 * s * b
    columns = [s**2, sbi, b**2, 4.0 * np.exp(-3.0 * x) + 0.1, 1.0 + x, 1.5 - x]
    grid = (np.arange(20_000) + 0.5) / 20_000
    sg, bg = 0.3 + 0.9 * grid**3, -1.2 * np.exp(-2.0 * grid) - 0.5
    means = [sg**2, sg**2 + bg**2 + 1.2 * sg * bg, bg**2, 4.0 * np.exp(-3.0 * grid) + 0.1, 1.0 + grid, 1.5 - grid]
    return np.log(np.stack([c / m.mean() for c, m in zip(columns, means, strict=True)], axis=1))


def variations(x: np.ndarray, *, n_shapes: int, dtype: np.dtype) -> Shapes:
    """Return smooth variations of a few per cent, filled in chunks so that nothing else is held."""
    names = tuple(f"shape_{m}" for m in range(n_shapes))
    table = np.empty((len(x), 2 * n_shapes * len(YIELDS)), dtype=dtype)
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        for j in range(len(YIELDS)):
            own = table[start : start + CHUNK, 2 * n_shapes * j : 2 * n_shapes * (j + 1)]
            for m in range(n_shapes):
                wave = 0.04 * np.sin((1 + m) * part + 0.7 * j)
                own[:, m], own[:, n_shapes + m] = wave, -0.9 * wave
    return Shapes(parameters=(names,) * len(YIELDS), table=table)


def build(n_events: int, n_shapes: int, n_reference: int, dtype: np.dtype) -> UnbinnedLikelihood:
    """Build the likelihood of an Asimov set at mu = 1."""
    rng = np.random.default_rng(1)
    x, grid = rng.uniform(size=n_events), (np.arange(n_reference) + 0.5) / n_reference
    logs = densities(x)
    weights = np.exp(logs[:, [1, 3, 4, 5]]) @ YIELDS[[1, 3, 4, 5]] / n_events
    nuisances = [Parameter(f"shape_{m}", init=0.0, low=-5.0, high=5.0) for m in range(n_shapes)]
    return UnbinnedLikelihood(
        log_ratios=logs,
        weights=weights,
        yields=YIELDS,
        coefficients=COEFFICIENTS,
        parameters=[Parameter("mu", init=1.0, low=0.0, high=6.0), *nuisances],
        systematics=[NormSys(m % 6, f"shape_{m}", 1.02, 0.985) for m in range(n_shapes)],
        shapes=variations(x, n_shapes=n_shapes, dtype=dtype),
        reference=ShapeReference(np.exp(densities(grid)), variations(grid, n_shapes=n_shapes, dtype=dtype)),
        constraints=[Constraint(p.name) for p in nuisances],
    )


def read_once(likelihood: UnbinnedLikelihood) -> float:
    """Read every array of the likelihood once from memory: the fastest reduction of numpy."""
    return sum(float(array.max()) for array in arrays_of(likelihood))


def arrays_of(likelihood: UnbinnedLikelihood) -> list[np.ndarray]:
    """List what a value needs: densities, weights and variations of the events and of those that they are normalised on."""
    assert likelihood.shapes is not None
    assert likelihood.reference is not None
    reference = likelihood.reference
    return [likelihood.densities, likelihood.weights, likelihood.shapes.table, reference.weights, reference.shapes.table]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--shapes", type=int, default=20)
    parser.add_argument("--reference", type=int, default=100_000)
    parser.add_argument("--scan", type=int, default=30, help="points of the profiled scan; 0 leaves it out")
    parser.add_argument("--single", action="store_true", help="store the variations in single precision")
    parser.add_argument("--threads", type=int, help="threads of the fit and the scan; default: OMP_NUM_THREADS, else all processors")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    before = peak_memory_gb()
    likelihood = build(options.events, options.shapes, options.reference, np.dtype(np.float32 if options.single else np.float64))
    likelihood = likelihood.with_threads(options.threads)
    arrays = sum(a.nbytes for a in arrays_of(likelihood))
    built = peak_memory_gb()
    point = likelihood.point(dict.fromkeys(likelihood.parameter_names, 0.3))
    alone = likelihood.with_threads(1)
    calls = (lambda: read_once(likelihood), lambda: alone.value_and_gradient(point), lambda: likelihood.value_and_gradient(point))
    read, both, shared = (best_of(call, repeat=options.repeat) for call in calls)
    print(f"read {read.cpu:.4f} s, value and gradient {both.cpu:.4f} s (CPU, one thread each)", flush=True)
    hessian = best_of(lambda: likelihood.hessian_at(point), repeat=1)
    start = time.perf_counter(), time.process_time()
    fit = likelihood.fit()
    fit_s = time.perf_counter() - start[0], time.process_time() - start[1]
    print(f"Hessian {hessian.cpu:.2f} s, fit {fit_s[1]:.1f} s (CPU), {fit.n_evaluations} evaluations", flush=True)
    start, scan_s = (time.perf_counter(), time.process_time()), (0.0, 0.0)
    if options.scan:
        likelihood.scan("mu", np.linspace(0.0, 3.0, options.scan), fit=fit)
        scan_s = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = peak_memory_gb()
    rows = [
        ("read all arrays once", read.wall, read.cpu),
        ("value and gradient, one thread", both.wall, both.cpu),
        (f"value and gradient, {granted_threads(options.threads)} threads", shared.wall, shared.cpu),
        ("Hessian", hessian.wall, hessian.cpu),
        ("full fit", *fit_s),
        (f"profiled scan, {options.scan} points", *scan_s),
    ]
    print_table(("", "wall s", "CPU s"), rows)
    ratios = f"{both.wall / read.wall:.2f} (wall), {both.cpu / read.cpu:.2f} (CPU)"
    print(f"value and gradient over reading: {ratios}, one thread each; wanted at most 3")
    print(f"arrays {arrays / 1e9:.2f} GB; memory above the imports: built {built - before:.2f} GB, peak {peak - before:.2f} GB")
    print(f"peak over arrays: {(peak - before) / (arrays / 1e9):.2f}; wanted at most 1.3")
    print(f"fit: mu = {fit.parameters['mu']:.6f} +- {fit.errors['mu']:.4f}, {fit.status}, {fit.n_evaluations} evaluations")
    ratios = compare(repeat=3 * options.repeat)
    print_json(
        {
            "read_s": read.cpu,
            "gradient_s": both.cpu,
            "fit_s": fit_s[1],
            "scan_s": scan_s[1],
            "arrays_gb": arrays / 1e9,
            "peak_gb": peak - before,
            **ratios,
        }
    )


if __name__ == "__main__":
    main()

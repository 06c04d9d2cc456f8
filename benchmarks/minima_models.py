"""Random models with several minima, and an independent likelihood of each: no code of the toolkit evaluates or minimises it.

One to three amplitudes r_k = sqrt(mu_k) with interference, a background that does not interfere, up to six nuisance parameters with
variations up to 30 %, some of them the same way up and down; 3 to 30 bins, or 300 to 900 events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from toolkit.likelihood import (
    Constraint,
    Likelihood,
    NormSys,
    Parameter,
    ShapeReference,
    Shapes,
    UnbinnedLikelihood,
    Workspace,
    make_document,
)

FloatArray = Any
R_MAX = 3.0
ALPHA_MAX = 5.0


@dataclass(frozen=True)
class Model:
    """A model with its data.

    Attributes:
        s: Squared amplitude of each signal, (n_signals, n): per bin, or density times yield per event.
        i: Interference, (n_signals, n).
        b: Interfering background, (n_signals, n).
        q: Background without interference, (n,).
        yields: Sums of the four, [(n_signals,), (n_signals,), (n_signals,), ()].
        norms: Per nuisance parameter: target (signal number, -1 for q), up, down factor.
        tilts: Per nuisance parameter: logarithms up and down of a variation of q per event (unbinned only), or None.
        data: Counts, or weight 1 per event, (n,).
        aux: Observed values of the nuisance parameters.
        binned: Whether it is binned.
    """

    s: FloatArray
    i: FloatArray
    b: FloatArray
    q: FloatArray
    yields: tuple[FloatArray, FloatArray, FloatArray, float]
    norms: list[tuple[int, float, float]]
    tilts: list[tuple[FloatArray, FloatArray] | None]
    grid: dict[str, Any]
    data: FloatArray
    aux: FloatArray
    binned: bool

    @property
    def n_signals(self) -> int:
        """Number of amplitudes."""
        return len(self.s)

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return len(self.s) + len(self.norms)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Ranges in (r, alpha)."""
        return [(0.0, R_MAX)] * self.n_signals + [(-ALPHA_MAX, ALPHA_MAX)] * len(self.norms)

    def nll(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Evaluate -2 ln L and its gradient at points (m, dimension) in (r, alpha): (m,) and (m, dimension)."""
        n = self.n_signals
        r, a = points[:, :n], points[:, n:]
        logs = [_code4(a[:, m], up, down) for m, (_, up, down) in enumerate(self.norms)]
        factor, slope = np.ones((len(points), n + 1)), np.zeros((len(points), n + 1, len(self.norms)))
        for m, ((target, _, _), (value, gradient)) in enumerate(zip(self.norms, logs, strict=True)):
            factor[:, target] *= value
            slope[:, target, m] = gradient / value
        slope *= factor[:, :, None]
        shape, shape_slope = self._shape(a)
        own = r[:, :, None] ** 2 * self.s + r[:, :, None] * self.i + self.b
        q = self.q * shape
        lam = np.einsum("mk,mkx->mx", factor[:, :n], own) + factor[:, n, None] * q
        ys, yi, yb, yq = self.yields
        totals = np.concatenate([r**2 * ys + r * yi + yb, np.full((len(points), 1), yq)], axis=1)
        total = np.sum(factor * totals, axis=1)
        value = 2.0 * (total - np.log(lam) @ self.data) + np.sum((a - self.aux) ** 2, axis=1)
        ratio = self.data / lam
        out = np.empty_like(points)
        by_r = 2.0 * r[:, :, None] * self.s + self.i
        out[:, :n] = 2.0 * factor[:, :n] * (2.0 * r * ys + yi - np.einsum("mx,mkx->mk", ratio, by_r))
        pulled = np.concatenate([totals[:, :n] - np.einsum("mx,mkx->mk", ratio, own), (yq - np.sum(ratio * q, axis=1))[:, None]], axis=1)
        out[:, n:] = 2.0 * np.einsum("mkj,mk->mj", slope, pulled) + 2.0 * (a - self.aux)
        out[:, n:] -= 2.0 * factor[:, n, None] * np.einsum("mx,mxj->mj", ratio * q, shape_slope)
        return value, out

    def _shape(self, a: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the normalised variation of q (m, n) and the derivative of its logarithm (m, n, n_nuisances)."""
        logs, mean = np.zeros((len(a), len(self.q))), np.zeros((len(a), len(self.grid["q"])))
        slopes, mean_slopes = np.zeros((len(a), len(self.q), a.shape[1])), np.zeros((len(a), len(self.grid["q"]), a.shape[1]))
        for m, pair in enumerate(self.tilts):
            if pair is not None:
                p, d = _quadratic(a[:, m])
                for log, slope, (up, down) in ((logs, slopes, pair), (mean, mean_slopes, self.grid["tilts"][m])):
                    odd, even = 0.5 * (up - down), 0.5 * (up + down)
                    log += np.outer(a[:, m], odd) + np.outer(p, even)  # noqa: PLW2901
                    slope[:, :, m] = odd + np.outer(d, even)
        weights = self.grid["q"] * np.exp(mean)
        norm = weights.sum(axis=1)
        slopes -= (np.einsum("mx,mxj->mj", weights, mean_slopes) / norm[:, None])[:, None, :]
        return np.exp(logs) * (self.grid["q"].sum() / norm)[:, None], slopes

    def likelihood(self) -> Likelihood:
        """Build the toolkit's likelihood of the same model; its parameters are mu_k and alpha_m."""
        signals = [f"mu{k}" for k in range(self.n_signals)]
        nuisances = [f"alpha{m}" for m in range(len(self.norms))]
        free = [Parameter(name, init=1.0, low=0.0, high=R_MAX**2) for name in signals]
        texts = [t for name in signals for t in (f"{name} - sqrt({name})", f"sqrt({name})", f"1 - sqrt({name})")] + ["1"]
        templates = [t for s, i, b in zip(self.s, self.i, self.b, strict=True) for t in (s, s + i + b, b)] + [self.q]
        targets = [list(range(3 * k, 3 * k + 3)) for k in range(self.n_signals)]
        own = [targets[k] if k >= 0 else [3 * self.n_signals] for k, _, _ in self.norms]
        if self.binned:
            samples = []
            for j, (text, template) in enumerate(zip(texts, templates, strict=True)):
                modifiers: list[dict[str, Any]] = [{"name": f"f{j}", "type": "morphing", "data": {"coefficient": text}}]
                modifiers += [
                    {"name": nuisances[m], "type": "normsys", "data": {"hi": up, "lo": down}}
                    for m, (_, up, down) in enumerate(self.norms)
                    if j in own[m]
                ]
                samples.append({"name": f"p{j}", "data": template.tolist(), "modifiers": modifiers})
            document = make_document(parameters=free, channels=[({"name": "bins", "samples": samples}, self.data.tolist())])
            return Workspace(document).likelihood().with_auxiliary(dict(zip(nuisances, self.aux.tolist(), strict=True)))
        ys, yi, yb, yq = self.yields
        totals = np.array([t for s, i, b in zip(ys, yi, yb, strict=True) for t in (s, s + i + b, b)] + [yq])
        shapes, reference = None, None
        if any(t is not None for t in self.tilts):
            varied = {n: t for n, t in zip(nuisances, self.tilts, strict=True) if t is not None}
            shapes = Shapes.of([{}] * (len(texts) - 1) + [varied], n_events=len(self.q))
            on_grid = {n: self.grid["tilts"][m] for m, n in enumerate(nuisances) if n in varied}
            weights = np.ones((len(self.grid["q"]), len(texts)))
            weights[:, -1] = self.grid["q"]
            reference = ShapeReference(weights, Shapes.of([{}] * (len(texts) - 1) + [on_grid], n_events=len(self.grid["q"])))
        return UnbinnedLikelihood(
            log_ratios=np.log(np.stack(templates, axis=1) / totals),
            weights=self.data,
            yields=totals,
            coefficients=texts,
            parameters=[*free, *(Parameter(n, init=0.0, low=-ALPHA_MAX, high=ALPHA_MAX) for n in nuisances)],
            systematics=[NormSys(j, n, up, down) for n, js, (_, up, down) in zip(nuisances, own, self.norms, strict=True) for j in js],
            shapes=shapes,
            reference=reference,
            constraints=[Constraint(n, observed=float(x)) for n, x in zip(nuisances, self.aux, strict=True)],
        )


def random_model(seed: int) -> Model:
    """Draw a model and its data."""
    rng = np.random.default_rng([2026, seed])
    n_signals, n_nuisances, binned = int(rng.integers(1, 4)), int(rng.integers(0, 7)), bool(rng.random() < 0.7)
    size = int(rng.integers(3, 31)) if binned else 400
    x, grid = (np.arange(size) + 0.5) / size, (np.arange(400) + 0.5) / 400

    def densities(at: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        s = np.array([a * (0.2 + c * (at if up else 1.0 - at) ** p) for a, c, p, up in signal])
        b = np.array([a * np.exp(-c * at) for a, c in background])
        i = np.array([2.0 * rho * np.sqrt(one * two) for rho, one, two in zip(rhos, s, b, strict=True)])
        return s, i, b, plain[0] * (plain[1] + (1.0 - at) ** 2)

    signal = [(rng.uniform(20.0, 80.0), rng.uniform(0.5, 3.0), rng.uniform(0.5, 3.0), rng.random() < 0.5) for _ in range(n_signals)]
    background = [(rng.uniform(60.0, 200.0), rng.uniform(0.2, 2.0)) for _ in range(n_signals)]
    rhos, plain = rng.uniform(-0.97, -0.3, n_signals), (rng.uniform(30.0, 200.0), rng.uniform(0.2, 1.0))
    norms, pairs = [], []
    for _ in range(n_nuisances):
        up, down = 1.0 + rng.uniform(-0.3, 0.3), 1.0 + rng.uniform(-0.3, 0.3)
        if rng.random() < 0.6:
            up, down = 1.0 + abs(up - 1.0), 1.0 - abs(down - 1.0)
        norms.append((int(rng.integers(-1, n_signals)), float(up), float(down)))
        pairs.append(None if binned or rng.random() < 0.7 else rng.uniform(-0.3, 0.3, 4))
    truth = np.concatenate([rng.uniform(0.0, 2.5, n_signals), 0.7 * rng.normal(size=n_nuisances)])
    if binned:
        s, i, b, q = (d / size for d in densities(x))
        yields = (s.sum(axis=1), i.sum(axis=1), b.sum(axis=1), float(q.sum()))
        made = Model(
            s, i, b, q, yields, norms, [None] * n_nuisances, {"q": np.ones(1), "tilts": []}, np.zeros(size), truth[n_signals:], True
        )
        events = made
    else:
        x = np.sort(rng.random(int(rng.integers(300, 900))))
        s, i, b, q = densities(x)
        on_grid = densities(grid)
        yields = (*(d.mean(axis=1) for d in on_grid[:3]), float(on_grid[3].mean()))
        tilts = [
            [None if p is None else (p[0] * (t - 0.5) + p[2] * t**2, p[1] * (t - 0.5) + p[3] * t**2) for p in pairs] for t in (x, grid)
        ]
        made = Model(s, i, b, q, yields, norms, tilts[0], {"q": on_grid[3], "tilts": tilts[1]}, np.zeros(len(x)), truth[n_signals:], False)
        events = made
    r, f = truth[:n_signals], np.ones(n_signals + 1)
    for m, (target, up, down) in enumerate(norms):
        f[target] *= _code4(truth[n_signals + m : n_signals + m + 1], up, down)[0][0]
    lam = f[:n_signals] @ (r[:, None] ** 2 * s + r[:, None] * i + b) + f[n_signals] * q * events._shape(truth[None, n_signals:])[0][0]
    density = lam if binned else lam / len(x)
    data = rng.poisson(density).astype(float) if rng.random() < 0.7 else density
    aux = truth[n_signals:] + rng.normal(size=n_nuisances)
    return Model(s, i, b, q, yields, norms, made.tilts, made.grid, data, aux, binned)


def _code4(a: FloatArray, up: float, down: float) -> tuple[FloatArray, FloatArray]:
    """Return HistFactory's code 4 and its derivative: a polynomial of sixth order that joins two exponentials at -1 and 1."""
    lu, ld = np.log(up), np.log(down)
    rows, right = [], []
    for x, value, first, second in ((1.0, up, up * lu, up * lu**2), (-1.0, down, -down * ld, down * ld**2)):
        powers = np.arange(1, 7)
        rows += [x**powers, powers * x ** (powers - 1), powers * (powers - 1) * x ** np.maximum(powers - 2, 0)]
        right += [value - 1.0, first, second]
    c = np.linalg.solve(np.array(rows), np.array(right))
    inside = 1.0 + sum(c[k] * a ** (k + 1) for k in range(6))
    inside_slope = sum((k + 1) * c[k] * a**k for k in range(6))
    above, below = np.exp(np.clip(a, 0.0, None) * lu), np.exp(-np.clip(a, None, 0.0) * ld)
    value = np.where(a >= 1.0, above, np.where(a <= -1.0, below, inside))
    return value, np.where(a >= 1.0, above * lu, np.where(a <= -1.0, -below * ld, inside_slope))


def _quadratic(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a^2 inside |a| < 1, 2 |a| - 1 outside, and the derivative."""
    inside = np.abs(a) < 1.0
    return np.where(inside, a**2, 2.0 * np.abs(a) - 1.0), np.where(inside, 2.0 * a, 2.0 * np.sign(a))


def judge(model: Model, held: dict[int, float], starts: FloatArray, *, grid: int) -> FloatArray:
    """Find minima with a dense grid of the amplitudes and polishing.

    Args:
        model: The model.
        held: Parameters that stay, by number, in (r, alpha).
        starts: More points to begin at, (n, dimension).
        grid: Points per amplitude.

    Returns:
        Local minima as rows of (-2 ln L, r, alpha), the lowest first.
    """
    n, free = model.n_signals, [k for k in range(model.dimension) if k not in held]
    axes = [np.array([held[k]]) if k in held else np.linspace(0.0, R_MAX, grid) for k in range(n)]
    mesh = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)
    points = np.concatenate([mesh, np.tile(model.aux, (len(mesh), 1))], axis=1)
    for k, value in held.items():
        points[:, k] = value
    heights = np.concatenate([model.nll(part)[0] for part in np.array_split(points, max(1, len(points) // 500))])
    shaped = heights.reshape([len(a) for a in axes])
    padded = np.pad(shaped, 1, constant_values=np.inf)
    lowest = np.ones(shaped.shape, dtype=bool)
    for shift in np.ndindex(*(3,) * n):
        lowest &= shaped <= padded[tuple(slice(s, s + m) for s, m in zip(shift, shaped.shape, strict=True))]
    begin = [points[i] for i in np.flatnonzero(lowest.ravel())]
    begin += [np.where(np.isin(np.arange(model.dimension), list(held)), points[0], s) for s in starts]
    found = []
    for start in begin:

        def value(z: FloatArray, start: FloatArray = start) -> tuple[float, FloatArray]:
            full = start.copy()
            full[free] = z
            height, slope = model.nll(full[None, :])
            return float(height[0] - heights.min()), slope[0, free]

        full = start.copy()
        if free:
            result = minimize(
                value,
                start[free],
                jac=True,
                method="L-BFGS-B",
                bounds=[model.bounds[k] for k in free],
                options={"ftol": 1e-13, "gtol": 1e-7},
            )
            full[free] = result.x
        found.append(np.concatenate([model.nll(full[None, :])[0], full]))
    return np.array(sorted(found, key=lambda row: float(row[0])))

"""From separate densities to the heads of a mixture, and from targets to the weights of events under every density.

Estimators that learn every density for itself (`per_process`, `multiclass`) know nothing of interference: |A_k + A_l|^2 may come out below
(|A_k| - |A_l|)^2, and the density is then negative at some parameter points. Written as heads, every coherence is kept inside
(-1, 1), one after the other, as `structure` builds the matrix from them: where the densities fit each other nothing changes, elsewhere the
nearest coherence is taken and no density is negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from toolkit.errors import FitError
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.targets import Targets

ROUNDING = 1e-5
"""Relative to the largest weight: smaller negative ones are rounding."""
LARGEST = 0.995
"""Largest partial coherence. A head is its artanh, whose slope 1 / (1 - c^2) multiplies the rounding of the densities in
single precision: at 1 - 1e-4 the mean over members of 1e5 events was off by 3e-4, here by less than 1e-5."""
HIGHEST = 60.0
"""Largest logarithm of a ratio of two densities inside a class that is exponentiated."""


def heads_of_densities(log_densities: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """Write normalised densities as heads.

    Args:
        log_densities: log p_d of every density up to a common constant, (n, n_densities).
        mixture: Meaning of columns and heads.

    Returns:
        Heads, (n, n_heads), such that `mixture.log_ratios` gives the densities back where their coherences are below 1.

    Examples:
        >>> gg = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0, 1.0), reference=1)
        >>> mixture = Mixture((gg, EventClass("qqZZ", ("qqZZ",), (500.0,))))
        >>> heads = torch.tensor([[0.3, -0.5, -0.8]], dtype=torch.float64)
        >>> torch.allclose(heads_of_densities(mixture.log_ratios(heads), mixture), heads)
        True
    """
    columns = torch.split(log_densities, 1, dim=1)
    matrices, start = [], 0
    for c in mixture.classes:
        scaled = [z + _log(n, z) for z, n in zip(columns[start : start + len(c.yields)], c.yields, strict=True)]
        start += len(c.yields)
        by_pair = dict(zip(c.pairs, scaled, strict=True))
        squares = [by_pair[k, k] for k in range(c.n_amplitudes)]
        matrices.append((squares, {(m, k): _coherence(by_pair[m, k], squares[m], squares[k]) for m, k in c.pairs if m != k}))
    return heads_of_matrices(matrices, mixture)


def heads_of_matrices(
    matrices: Sequence[tuple[Sequence[torch.Tensor], Mapping[tuple[int, int], torch.Tensor]]], mixture: Mixture
) -> torch.Tensor:
    """Write the matrix of every class as heads.

    Args:
        matrices: Of every class log M_kk at its yield, up to a constant that is common to all classes, and the coherences
            M_kl / sqrt(M_kk M_ll), k < l; each (n, 1).
        mixture: Meaning of the heads.

    Returns:
        Heads, (n, n_heads).
    """
    totals: list[torch.Tensor] = []
    inside: list[torch.Tensor] = []
    for (squares, coherences), c in zip(matrices, mixture.classes, strict=True):
        weighted = [square + _log(kappa, square) for square, kappa in zip(squares, c.kappas, strict=True)]
        total = torch.logsumexp(torch.cat(weighted, dim=1), dim=1, keepdim=True) if len(weighted) > 1 else weighted[0]
        totals.append(total - _log(c.class_yield, total))
        inside += [weighted[k] - weighted[c.reference] for k in range(c.n_amplitudes) if k != c.reference]
        inside += _partial_coherences(coherences, c.n_amplitudes, like=total)
    return torch.cat([*(total - totals[0] for total in totals[1:]), *inside], dim=1)


def _coherence(log_sum: torch.Tensor, log_first: torch.Tensor, log_second: torch.Tensor) -> torch.Tensor:
    """Return M_kl / sqrt(M_kk M_ll) from the logarithms of |A_k + A_l|^2, |A_k|^2 and |A_l|^2."""
    half, mean = 0.5 * (log_second - log_first), 0.5 * (log_second + log_first)
    return 0.5 * (_exp(log_sum - mean) - _exp(half) - _exp(-half))


def _partial_coherences(coherences: Mapping[tuple[int, int], torch.Tensor], n: int, *, like: torch.Tensor) -> list[torch.Tensor]:
    """Return the heads v_kl, (n, 1) each, of coherences, which are brought inside their bounds one after the other."""
    rows: list[list[torch.Tensor]] = [[torch.ones_like(like)]]
    found = []
    for k in range(1, n):
        row: list[torch.Tensor] = []
        left = torch.ones_like(like)
        for m in range(k):
            rest = coherences[m, k]
            for a, b in zip(row, rows[m], strict=False):
                rest = rest - a * b
            partial = (rest / (left * rows[m][m])).clamp(-LARGEST, LARGEST)
            found.append(0.5 * (torch.log(1.0 + partial) - torch.log(1.0 - partial)))
            row.append(partial * left)
            left = left * torch.sqrt(1.0 - partial**2)
        rows.append([*row, left])
    return found


def density_weights(targets: Targets, mixture: Mixture) -> torch.Tensor:
    """Return the weight of every event under every density, each column with the same sum, mean 1 over all events, (n, n_densities).

    Raises:
        FitError: See `training.require_classes`, which is to be called before.
    """
    shares = targets.shares(len(mixture.classes))
    columns = []
    for k, c in enumerate(mixture.classes):
        inside = targets.weight * shares[:, k] * len(mixture.classes)
        if targets.moments is not None:
            own = slice(mixture.columns(k).start - mixture.n_logits, mixture.columns(k).stop - mixture.n_logits)
            found = _parts(targets.moments[:, own] * len(mixture.classes), c, whole=inside)
            columns += [part * (c.class_yield / n) for part, n in zip(found, c.yields, strict=True)]
            continue
        parts = slice(mixture.columns(k).start - mixture.n_logits, mixture.columns(k).stop - mixture.n_logits)
        columns += [inside * part * (c.class_yield / n) for part, n in zip(_parts(targets.composition[:, parts], c), c.yields, strict=True)]
    weights = torch.stack(columns, dim=1)
    if targets.moments is not None and bool((weights < -ROUNDING * weights.abs().max()).any()):
        raise FitError(
            "training events of separate samples",
            got=f"benchmarks {[source.name for source in mixture.sources]}, of which densities are differences",
            expected=f"a sample of each of {list(mixture.processes)}",
            remedy="take `ratios.estimator: mixture`, which learns from any benchmarks",
        )
    return weights


def _parts(composition: torch.Tensor, c: EventClass, *, whole: torch.Tensor | None = None) -> list[torch.Tensor]:
    """Return |A_k|^2 and |A_k + A_l|^2 relative to tr(K M), which is `whole` or 1, one (n,) per pair."""
    n = c.n_amplitudes
    others = [k for k in range(n) if k != c.reference]
    share = dict(zip(others, composition.unbind(dim=1), strict=False))
    one = torch.ones(len(composition), dtype=composition.dtype) if whole is None else whole
    share[c.reference] = one - sum(share.values(), torch.zeros_like(one)) if others else one
    squares = [share[k] / c.kappas[k] for k in range(n)]
    below = [(k, m) for k in range(n) for m in range(k)]
    cross = dict(zip([(m, k) for k, m in below], composition[:, n - 1 :].unbind(dim=1), strict=True))
    return [squares[k] if k == m else squares[k] + squares[m] + cross[k, m] for k, m in c.pairs]


def _exp(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(x.clamp(-HIGHEST, HIGHEST))


def _log(value: float, like: torch.Tensor) -> torch.Tensor:
    return torch.log(torch.tensor(value, dtype=like.dtype))

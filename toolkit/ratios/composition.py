"""The matrix M of interfering amplitudes inside its class, encoded by unconstrained numbers.

For n amplitudes and a class density tr(K M) with K diagonal, the heads are n - 1 logits of the shares K_k M_kk / tr(K M), against the
reference amplitude, and n (n - 1)/2 numbers v_kl, row by row, from which the correlation matrix of the amplitudes,
C_kl = M_kl / sqrt(M_kk M_ll), is built by a lower triangular matrix with rows of length one:

    L_kl = tanh(v_kl) prod_{j < l} sech(v_kj)   (l < k),     L_kk = prod_{j < k} sech(v_kj),     C = L L^T

so that M is positive semi-definite for all heads, and every such M has heads. For a signal and a background amplitude these are the logit
of the signal's share and the artanh of the coherence I / (2 sqrt(S B)); |c| < 1 is the Cauchy-Schwarz bound of averaged interference.

References:
    D. Lewandowski, D. Kurowicka, H. Joe, J. Multivar. Anal. 100 (2009) 1989: correlation matrices from partial correlations.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch.nn.functional import log_softmax, logsigmoid

TINY = 1e-30
"""Floor of the share of a sum of amplitudes inside its class, reached only where interference is exactly total."""


def pairs_below(n_amplitudes: int) -> list[tuple[int, int]]:
    """List the positions (k, l), l < k, of the numbers v_kl in the order of the heads.

    Examples:
        >>> pairs_below(3)
        [(1, 0), (2, 0), (2, 1)]
    """
    return [(k, m) for k in range(n_amplitudes) for m in range(k)]


def correlation_rows(heads: torch.Tensor, n_amplitudes: int, *, corner: bool = True) -> list[list[torch.Tensor]]:
    """Return the rows of L, entries (n,), without those above the diagonal.

    Args:
        heads: The numbers v_kl, (n, n_amplitudes (n_amplitudes - 1)/2).
        n_amplitudes: Number of amplitudes.
        corner: With the last entry of the last row, which no product of two rows contains.
    """
    rows: list[list[torch.Tensor]] = [[torch.ones_like(heads[:, 0])]]
    column = 0
    for k in range(1, n_amplitudes):
        left = rows[0][0]
        row = []
        with_corner = corner or k < n_amplitudes - 1
        for m in range(k):
            v = heads[:, column]
            row.append(torch.tanh(v) * left)
            if with_corner or m < k - 1:
                left = left * (2.0 * torch.sqrt(torch.sigmoid(2.0 * v) * torch.sigmoid(-2.0 * v)))  # sech
            column += 1
        rows.append([*row, left] if with_corner else row)
    return rows


def share_logits(heads: torch.Tensor, n_amplitudes: int, reference: int) -> torch.Tensor:
    """Return the logits of all shares, zero for the reference amplitude, (n, n_amplitudes)."""
    zero = torch.zeros_like(heads[:, :1])
    return torch.cat([heads[:, :reference], zero, heads[:, reference : n_amplitudes - 1]], dim=1)


def log_shares(heads: torch.Tensor, n_amplitudes: int, reference: int) -> list[torch.Tensor]:
    """Return ln (K_k M_kk / tr(K M)), one (n,) per amplitude."""
    if n_amplitudes == 2:
        first = heads[:, 0]
        pair = [logsigmoid(first), logsigmoid(-first)]
        return pair if reference == 1 else pair[::-1]
    logs = log_softmax(share_logits(heads, n_amplitudes, reference), dim=1)
    return [logs[:, k] for k in range(n_amplitudes)]


def shares(heads: torch.Tensor, n_amplitudes: int, reference: int) -> list[torch.Tensor]:
    """Return K_k M_kk / tr(K M), one (n,) per amplitude."""
    if n_amplitudes == 2:
        first = heads[:, 0]
        pair = [torch.sigmoid(first), torch.sigmoid(-first)]
        return pair if reference == 1 else pair[::-1]
    return [torch.exp(log) for log in log_shares(heads, n_amplitudes, reference)]


def products(heads: torch.Tensor, kappas: Sequence[float], reference: int) -> list[torch.Tensor]:
    """Compute M_kk and 2 M_kl relative to tr(K M).

    Args:
        heads: Heads of one class, (n, n_amplitudes (n_amplitudes + 1)/2 - 1).
        kappas: Diagonal of K.
        reference: Position of the reference amplitude.

    Returns:
        One (n,) per pair (k, l), k <= l, of `itertools.combinations_with_replacement`.

    Examples:
        >>> s, i, b = products(torch.tensor([[0.0, -20.0]], dtype=torch.float64), (4.0, 1.0), 1)
        >>> s.item(), round(i.item(), 12), b.item()  # total destructive interference: I = -2 sqrt(S B)
        (0.125, -0.5, 0.5)
    """
    n = len(kappas)
    share = shares(heads, n, reference)
    rows = correlation_rows(heads[:, n - 1 :], n, corner=False)
    found = []
    for k, m in itertools.combinations_with_replacement(range(n), 2):
        if k == m:
            found.append(share[k] if kappas[k] == 1.0 else share[k] / kappas[k])
            continue
        scale = 2.0 / (kappas[k] * kappas[m]) ** 0.5
        found.append(_dot(rows[k], rows[m]) * torch.sqrt(share[k] * share[m]) * scale)
    return found


def log_densities(heads: torch.Tensor, kappas: Sequence[float], reference: int) -> torch.Tensor:
    """Compute ln |A_k|^2 and ln |A_k + A_l|^2 relative to tr(K M), (n, n_pairs).

    |A_k + A_l|^2 is written as (d_k - d_l)^2 + d_k d_l |L_k + L_l|^2, with d_k^2 = M_kk and L_k the rows of L: no digits cancel where the
    interference is nearly total.
    """
    n = len(kappas)
    logs = log_shares(heads, n, reference)
    size = [torch.sqrt(share / kappa) for share, kappa in zip(shares(heads, n, reference), kappas, strict=True)]
    rows = correlation_rows(heads[:, n - 1 :], n) if n > 2 else []
    found = []
    for k, m in itertools.combinations_with_replacement(range(n), 2):
        if k == m:
            found.append(logs[k] - torch.log(torch.tensor(kappas[k], dtype=heads.dtype)))
            continue
        length = 4.0 * torch.sigmoid(2.0 * heads[:, 1]) if n == 2 else _sum_of_squares(rows[k], rows[m])
        inside = (size[k] - size[m]) ** 2 + size[k] * size[m] * length
        found.append(torch.log(inside.clamp_min(TINY)))
    return torch.stack(found, dim=1)


def mixed(heads: torch.Tensor, kappas: Sequence[float], reference: int, numbers: Sequence[float]) -> torch.Tensor | None:
    """Compute sum_kl q_kl M_kl relative to tr(K M) without loss of digits where two amplitudes nearly cancel.

    That is for q_kl = a_k a_l, and for the derivative of this by one of two amplitudes, whose q is zero for the square of the other.

    Args:
        heads: Heads of one class.
        kappas: Diagonal of K.
        reference: Position of the reference amplitude.
        numbers: q_kl of the pairs (k, l), k <= l.

    Returns:
        (n,); None where all numbers are zero.
    """
    # Written as a square plus a positive rest: the three terms of S + I + B cancel to a thousandth of each, which single precision loses.
    if len(kappas) == 2 and all(numbers):
        share = shares(heads, 2, reference)
        first, second = (torch.sqrt(s * (abs(q) / kappa)) for s, q, kappa in zip(share, (numbers[0], numbers[2]), kappas, strict=True))
        near = torch.sigmoid(2.0 * heads[:, 1] if numbers[1] > 0.0 else -2.0 * heads[:, 1])
        return (first - second) ** 2 + 4.0 * first * second * near
    if len(kappas) == 2 and numbers[2] == 0.0 and numbers[0] != 0.0 and numbers[1] > 0.0:
        share = shares(heads, 2, reference)
        first, second = (torch.sqrt(s / kappa) for s, kappa in zip(share, kappas, strict=True))
        apart = 0.5 * numbers[0] * first - numbers[1] * second
        return 2.0 * first * (apart + 2.0 * numbers[1] * second * torch.sigmoid(2.0 * heads[:, 1]))
    terms = [p if q == 1.0 else q * p for q, p in zip(numbers, products(heads, kappas, reference), strict=True) if q != 0.0]
    if not terms:
        return None
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _dot(short: Sequence[torch.Tensor], long: Sequence[torch.Tensor]) -> torch.Tensor:
    """Multiply row k with the longer row l > k; row 0 is (1)."""
    if len(short) == 1:
        return long[0]
    total = short[0] * long[0]
    for a, b in zip(short[1:], long[1:], strict=False):
        total = total + a * b
    return total


def _sum_of_squares(short: Sequence[torch.Tensor], long: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return |L_k + L_l|^2 for rows of which the first is shorter."""
    total = (short[0] + long[0]) ** 2
    for a, b in zip(short[1:], long[1:], strict=False):
        total = total + (a + b) ** 2
    for b in long[len(short) :]:
        total = total + b**2
    return total

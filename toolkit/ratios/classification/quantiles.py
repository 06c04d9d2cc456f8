"""A score in the place that it has among background events of the same m: independent of m at every cut, without a loss of its own.

With F(s | m) the cumulative distribution of the score of the background at fixed m, F itself is uniform at every m: a cut on it passes the
same share of the background everywhere. At each m it is a monotone function of the score, so that it orders the events of one m as the
score does; if that is the likelihood ratio given m, no other score that knows nothing of m is better. m is an input of the network.

F is a table of quantiles of the score at nodes in m, between which they are interpolated: the mean of the score by least squares, and
around it the quantiles of what is left of the events near a node, each with the weight that it has in the interpolation.

References:
    Dolen, Harris, Marzani, Rappoccio, Tran, arXiv:1603.00027 (designing decorrelated taggers: one quantile).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.stats import norm
from torch import nn

from toolkit.errors import FitError
from toolkit.typing import FloatArray

NODES = norm.cdf(np.linspace(-2.0, 2.0, 13))
"""Places of the inner nodes in the distribution of m; two more stand at its ends."""
LEVELS = np.concatenate([[0.0], norm.cdf(np.linspace(-2.6, 2.6, 31)), [1.0]])
"""Shares of the background below the tabulated scores."""
EDGE = 0.02
"""The new score is logit(EDGE + (1 - 2 EDGE) F): finite at both ends, which single precision resolves."""
FEWEST = 2000.0
"""Effective number of background events that a table takes: some tens around the outermost nodes."""
NARROWEST = 1e-6
"""Relative width of the steps of a table: events of one value of m, or of one score, leave it a function."""
_BATCH = 100_000


class PlaceInBackground(nn.Module):
    """Log ratios whose score is its place among background events of the same m.

    Args:
        ratios: (n, n_features) -> log ratios to the equal mixture, (n, n_classes).
        column: Of m among the features.
        above: Coefficients of the classes above the line of the score, (n_classes,), 0 for the others.
        below: The same of those below the line.
    """

    above: torch.Tensor
    log_above: torch.Tensor
    log_below: torch.Tensor
    above_index: torch.Tensor
    below_index: torch.Tensor
    nodes: torch.Tensor
    scores: torch.Tensor
    steps: torch.Tensor

    def __init__(self, ratios: nn.Module, *, column: int, above: Sequence[float], below: Sequence[float]) -> None:
        super().__init__()
        self.ratios = ratios
        self.column = column
        upper, lower = (torch.tensor(list(c), dtype=torch.float64) for c in (above, below))
        self.register_buffer("above", (upper > 0.0).double())
        for name, coefficients in (("above", upper), ("below", lower)):
            index = torch.nonzero(coefficients > 0.0)[:, 0]
            self.register_buffer(f"{name}_index", index)
            self.register_buffer(f"log_{name}", torch.log(coefficients[index]))
        self.register_buffer("nodes", torch.arange(len(NODES) + 2, dtype=torch.float64))
        self.register_buffer("scores", torch.arange(len(LEVELS), dtype=torch.float64).repeat(len(NODES) + 2, 1))
        self.register_buffer("steps", torch.from_numpy(np.diff(LEVELS))[:, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the log ratios, (n, n_classes): those of the classes above the line are moved until the score is the new one."""
        logs = self.ratios(x)
        score = self._score(logs)
        share = EDGE + (1.0 - 2.0 * EDGE) * self._place(score, self._hats(x[:, self.column : self.column + 1]))
        moved = logs + (torch.log(share) - torch.log(1.0 - share) - score) * self.above
        normalised: torch.Tensor = moved - torch.logsumexp(moved, dim=1, keepdim=True) + float(np.log(moved.shape[1]))
        return normalised

    @torch.no_grad()
    def fit(self, x: torch.Tensor, weights: torch.Tensor, *, name: str) -> PlaceInBackground:
        """Fill the table.

        Args:
            x: Features of events that the network has learned from, (n, n_features).
            weights: Under the background, (n,), either sign.
            name: Of the classifier, for messages.

        Raises:
            FitError: Fewer than `FEWEST` effective events.
        """
        used = weights != 0.0
        x, w = x[used], weights[used].double().numpy()
        effective = float(w.sum() ** 2 / (w**2).sum())
        if not effective >= FEWEST:
            raise FitError(
                f"`decorrelate` of classifier {name}: background events without one fold",
                got=f"an effective number of {effective:.0f}",
                expected=f"{FEWEST:.0f} at least, to know their scores at every value of the observable",
                remedy="simulate more of the background, or take `method: distance_correlation`",
            )
        m = x[:, self.column].double()
        places = np.concatenate([[0.0], NODES, [1.0]])
        self.nodes.copy_(torch.from_numpy(_increasing(_quantiles(m.numpy(), w, places))))
        score = torch.cat([self._score(self.ratios(part)) for part in torch.split(x, _BATCH)])[:, 0].double().numpy()
        hats = self._hats(m[:, None].to(self.nodes.dtype)).numpy()
        mean = np.linalg.lstsq(hats.T @ (hats * w[:, None]), hats.T @ (w * score), rcond=None)[0]
        table = [centre + _quantiles(score - hats @ mean, w * hat, LEVELS) for centre, hat in zip(mean, hats.T, strict=True)]
        self.scores.copy_(torch.from_numpy(np.stack([_increasing(row) for row in table])))
        return self

    def _score(self, logs: torch.Tensor) -> torch.Tensor:
        upper = torch.logsumexp(logs.index_select(1, self.above_index) + self.log_above, dim=1, keepdim=True)
        return upper - torch.logsumexp(logs.index_select(1, self.below_index) + self.log_below, dim=1, keepdim=True)

    def _hats(self, m: torch.Tensor) -> torch.Tensor:
        """Return the weight of every node at m (n, 1): (n, n_nodes), of sum 1."""
        position = ((m - self.nodes[:-1]) / (self.nodes[1:] - self.nodes[:-1])).clamp(0.0, 1.0).sum(dim=1, keepdim=True)
        index = torch.arange(len(self.nodes), dtype=self.nodes.dtype)
        return (1.0 - torch.abs(position - index)).clamp(0.0, 1.0)

    def _place(self, score: torch.Tensor, hats: torch.Tensor) -> torch.Tensor:
        """Return F(score | m), (n, 1)."""
        low, high = hats @ self.scores[:, :-1], hats @ self.scores[:, 1:]
        return ((score - low) / (high - low)).clamp(0.0, 1.0) @ self.steps


def line_of(numerator: Mapping[str, float], denominator: Mapping[str, float], names: Sequence[str]) -> tuple[list[float], list[float]]:
    """Return the coefficients above and below the line, in the order of the classes; of two named classes the first is above.

    Examples:
        >>> line_of({"S": 2.0}, {"B": 1.0, "qq": 1.0}, ("S", "B", "qq"))
        ([2.0, 0.0, 0.0], [0.0, 1.0, 1.0])
        >>> line_of({}, {}, ("ggF", "ZZ"))
        ([1.0, 0.0], [0.0, 1.0])
    """
    if not numerator:
        return [1.0, 0.0], [0.0, 1.0]
    return [numerator.get(name, 0.0) for name in names], [denominator.get(name, 0.0) for name in names]


def _quantiles(values: FloatArray, weights: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the values below which these shares of the weights lie; sums of weights of either sign are made monotone."""
    order = np.argsort(values, kind="stable")
    sums = np.maximum.accumulate(np.cumsum(weights[order]))
    middle = (np.concatenate([[0.0], sums[:-1]]) + sums) / (2.0 * sums[-1])
    found = np.interp(shares, middle, values[order])
    carrying = values[order][weights[order] != 0.0]
    return np.asarray(np.where(shares <= 0.0, carrying[0], np.where(shares >= 1.0, carrying[-1], found)))


def _increasing(values: FloatArray) -> FloatArray:
    """Return strictly increasing values."""
    narrowest = NARROWEST * max(float(values[-1] - values[0]), NARROWEST)
    return np.asarray(np.maximum.accumulate(values) + narrowest * np.arange(len(values)))

"""Boosted trees as a torch module of matrix products, so that they export like any network.

A leaf of a binary tree is reached if every decision on its path goes its way. With the decisions d = [x_feature <= threshold] of all inner
nodes as numbers 0 or 1, the sum over the path of d (where the path goes left) and 1 - d (right) equals the length of the path
exactly for the leaf that is reached. A missing value (NaN) is neither <= nor > a threshold; it goes the way that the node learned.

References:
    Nakandala et al., "A tensor compiler for unified machine learning prediction serving" (OSDI 2020), the GEMM strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from toolkit.errors import MissingExtraError
from toolkit.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees padded to the same number of inner nodes and leaves.

    Attributes:
        feature: Column that each inner node looks at, (n_trees, n_nodes).
        threshold: Left if the column is <= this, (n_trees, n_nodes); rounded down to single precision.
        path: +1 where the path to a leaf goes left at a node, -1 right, 0 elsewhere, (n_trees, n_nodes, n_leaves).
        value: Of each leaf, (n_trees, n_leaves); 0 for padding.
        missing: Whether a missing value goes left at a node, (n_trees, n_nodes); None where none is missing.
    """

    feature: IntArray
    threshold: FloatArray
    path: FloatArray
    value: FloatArray
    missing: BoolArray | None = None


def import_lightgbm(what: str) -> Any:
    """Import the library that grows the trees.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import lightgbm  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            what, got="LightGBM is not installed", expected="the extra `trees`", remedy="pip install 'h4l-toolkit[trees]'"
        ) from error
    return lightgbm


def given_derivatives(gradient: FloatArray, hessian: FloatArray) -> Callable[..., tuple[FloatArray, FloatArray]]:
    """Return derivatives at the scores as they are, in the form that the library asks for."""

    def derivatives(*_: Any) -> tuple[FloatArray, FloatArray]:
        return gradient, hessian

    return derivatives


def read_forest(booster: Any, *, n_outputs: int, rounds: int, missing: bool = False) -> list[Trees]:
    """Read the trees of a LightGBM booster that grew one tree per output in every round.

    Args:
        booster: With numerical features.
        n_outputs: Number of outputs.
        rounds: How many rounds count.
        missing: Whether features may be missing.

    Returns:
        The trees of every output.
    """
    roots = [tree["tree_structure"] for tree in booster.dump_model(num_iteration=rounds)["tree_info"]]
    return [_padded(roots[k::n_outputs], missing=missing) for k in range(n_outputs)]


def _padded(roots: Sequence[Mapping[str, Any]], *, missing: bool) -> Trees:
    parts = [_flatten(root) for root in roots]
    n_nodes = max(1, *(len(part.nodes) for part in parts)) if parts else 1
    n_leaves = max(1, *(len(part.leaves) for part in parts)) if parts else 1
    n = len(parts)
    feature, threshold = np.zeros((n, n_nodes), dtype=np.int64), np.full((n, n_nodes), np.inf)
    path, value = np.zeros((n, n_nodes, n_leaves)), np.zeros((n, n_leaves))
    left = np.zeros((n, n_nodes), dtype=bool)
    for t, part in enumerate(parts):
        for k, (column, edge, without) in enumerate(part.nodes):
            feature[t, k], threshold[t, k], left[t, k] = column, _round_down(edge), without
        for leaf, (steps, content) in enumerate(part.leaves):
            value[t, leaf] = content
            for k, side in steps:
                path[t, k, leaf] = side
    return Trees(feature, np.minimum(threshold, np.finfo(np.float32).max), path, value, left if missing else None)


@dataclass(frozen=True)
class _Flat:
    nodes: list[tuple[int, float, bool]]
    leaves: list[tuple[list[tuple[int, float]], float]]


def _flatten(root: Mapping[str, Any]) -> _Flat:
    """List inner nodes, and leaves with the steps to them."""
    flat = _Flat([], [])
    waiting: list[tuple[Mapping[str, Any], list[tuple[int, float]]]] = [(root, [])]
    while waiting:
        node, steps = waiting.pop()
        if "leaf_value" in node:
            flat.leaves.append((steps, float(node["leaf_value"])))
            continue
        k = len(flat.nodes)
        edge = float(node["threshold"])
        # Where no value was missing in training, the library takes a missing one for zero.
        without = bool(node["default_left"]) if node["missing_type"] == "NaN" else edge >= 0.0
        flat.nodes.append((int(node["split_feature"]), edge, without))
        waiting += [(node["left_child"], [*steps, (k, 1.0)]), (node["right_child"], [*steps, (k, -1.0)])]
    return flat


def _round_down(value: float) -> float:
    """Return the largest single-precision number <= value: comparisons of single-precision columns stay the same."""
    largest = float(np.finfo(np.float32).max)
    if value > largest:  # the library parts missing values from all others by a huge threshold
        return largest
    single = np.float32(value)
    return float(single if float(single) <= value else np.nextafter(single, np.float32(-np.inf)))


class TreeSum(nn.Module):
    """The sum of all trees, (n, n_features) -> (n, 1)."""

    columns: torch.Tensor
    threshold: torch.Tensor
    path: torch.Tensor
    length: torch.Tensor
    value: torch.Tensor
    missing: torch.Tensor

    def __init__(self, trees: Trees) -> None:
        super().__init__()
        path = torch.from_numpy(trees.path)
        self.n_trees, self.n_nodes = trees.feature.shape
        self.register_buffer("columns", torch.from_numpy(trees.feature.reshape(-1)))
        self.register_buffer("threshold", torch.from_numpy(trees.threshold.reshape(-1)))
        self.register_buffer("path", path)
        # A path that goes left L times and right R times is complete where (sum of d on left) - (sum of d on right) = L.
        self.register_buffer("length", (path > 0).sum(dim=1, keepdim=True).to(torch.float64))
        self.register_buffer("value", torch.from_numpy(trees.value)[:, None, :])
        self.takes_missing = trees.missing is not None
        if trees.missing is not None:
            self.register_buffer("missing", torch.from_numpy(trees.missing.reshape(-1).astype(np.float64)))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Take trees of any number and size."""
        for name, buffer in list(self.named_buffers(recurse=False)):
            found = state_dict.get(prefix + name)
            if found is not None:
                setattr(self, name, torch.empty_like(found, dtype=buffer.dtype))
        self.n_trees, self.n_nodes = self.path.shape[:2]
        super()._load_from_state_dict(state_dict, prefix, *others)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sums, (n, 1)."""
        seen = x.index_select(1, self.columns)
        ones, zeros = torch.ones_like(seen), torch.zeros_like(seen)
        left = torch.where(seen <= self.threshold, ones, zeros)
        if self.takes_missing:  # both comparisons are false where the value is missing, and only there the two differ
            left = left + self.missing * (torch.where(seen > self.threshold, zeros, ones) - left)
        decisions = left.reshape(-1, self.n_trees, self.n_nodes).transpose(0, 1)
        reached = torch.matmul(decisions, self.path)
        values = torch.where(reached > self.length - 0.5, self.value.expand_as(reached), torch.zeros_like(reached))
        return values.sum(dim=2).sum(dim=0).reshape(-1, 1)


class TreeOutputs(nn.Module):
    """The sums of the trees of several outputs, (n, n_features) -> (n, n_outputs).

    Args:
        trees: Of every output.
    """

    def __init__(self, trees: Sequence[Trees]) -> None:
        super().__init__()
        self.sums = nn.ModuleList([TreeSum(t) for t in trees])

    @classmethod
    def empty(cls, n_outputs: int) -> TreeOutputs:
        """Return a module without trees that takes a state of trees for which features may be missing."""
        node = np.zeros((1, 1))
        return cls([Trees(node.astype(np.int64), node, node[None], node, node > 0)] * n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sums, (n, n_outputs)."""
        return torch.cat([part(x) for part in self.sums], dim=1)

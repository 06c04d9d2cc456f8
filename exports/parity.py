"""Compare onnxruntime in float32 with torch in float64, and say where the difference comes from."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from exports.onnx_graph import NamedOutputs
from toolkit.artifacts.onnx_metadata import OUTPUT_NAME, SPREAD_NAME
from toolkit.errors import PhysicsDomainError
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.likelihood.reference_rows import density_difference
from toolkit.typing import FloatArray, IntArray

TOLERANCE = 1e-4
BATCH_SIZES = (1, 7, 10_000)
_ROWS_PER_BATCH = 10_000

Outputs = dict[str, FloatArray]


@dataclass(frozen=True)
class Parity:
    """Hold the largest absolute differences of log ratios over the verified rows; see `density_difference` for small densities.

    Args:
        n_rows: Number of rows compared.
        log_ratio: onnxruntime float32 against torch float64, largest over rows, numerators and batch sizes.
        log_ratio_spread: The same for the spread of the ensemble; none without one.
        from_inputs: Part of `log_ratio` from rounding the input columns to float32: cannot be less for this network.
        from_parameters: Part from rounding weights and buffers to float32; 0 for a network trained in float32.
        from_arithmetic: Part from float32 arithmetic inside the graph.
        between_batches: Largest change of a row's log ratio with the batch size.
        lowest: Lowest log ratio among the rows.
        highest: Highest log ratio among the rows.
    """

    n_rows: int
    log_ratio: float
    log_ratio_spread: float | None
    from_inputs: float
    from_parameters: float
    from_arithmetic: float
    between_batches: float
    lowest: float
    highest: float


def torch_outputs(network: NamedOutputs, rows: FloatArray) -> Outputs:
    """Evaluate a network with torch in float64.

    Args:
        network: The network; it is copied and not changed.
        rows: Input rows (n, n_columns), float64.

    Returns:
        Per output name, values (n, n_numerators) float64.

    Raises:
        PhysicsDomainError: A result is NaN or infinite.
    """
    double = copy.deepcopy(network).to(device="cpu", dtype=torch.float64).eval()
    batches = []
    with torch.no_grad():
        for start in range(0, len(rows), _ROWS_PER_BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(rows[start : start + _ROWS_PER_BATCH], dtype=np.float64))
            batches.append([output.numpy() for output in double(batch)])
    outputs = dict(zip((OUTPUT_NAME, SPREAD_NAME), (np.concatenate(parts) for parts in zip(*batches, strict=True)), strict=False))
    for name, values in outputs.items():
        for row, column in np.argwhere(~np.isfinite(values))[:1]:
            msg = f"{name} of the network in row {row}, numerator {column}"
            expected = "finite log ratios; a spread needs at least two networks"
            raise PhysicsDomainError(msg, got=f"{values[row, column]} for {rows[row].tolist()}", expected=expected, remedy="train again")
    return outputs


def onnx_outputs(ratio: OnnxRatio, rows: FloatArray) -> Outputs:
    """Evaluate an ONNX file with onnxruntime in one pass of large batches; same form as `torch_outputs`."""
    if not ratio.has_spread:
        return {OUTPUT_NAME: ratio(rows)}
    return dict(zip((OUTPUT_NAME, SPREAD_NAME), ratio.with_spread(rows), strict=True))


def measure_parity(network: NamedOutputs, ratio: OnnxRatio, rows: FloatArray, *, exact: Outputs) -> Parity:
    """Compare the network with its ONNX file on the given rows and for batches of 1, 7 and 10000 rows.

    Args:
        network: The network in the precision it was trained in.
        ratio: The file made from it.
        rows: Input rows (n, n_columns), float64, finite; the tails should be among them.
        exact: `torch_outputs` of these rows.

    Returns:
        The largest differences.

    Notes:
        The three parts are differences between successive roundings, so together they bound `log_ratio` on their rows. They
        are measured on up to 10000 rows, batches of 1 and 7 on up to 1000, spread evenly over the given ones.
    """
    found = onnx_outputs(ratio, rows)
    differences = {name: _largest(found[name], exact[name], exact[OUTPUT_NAME]) for name in exact}
    few, many = _spread(len(rows), 1000), _spread(len(rows), _ROWS_PER_BATCH)
    batched = [_in_batches(ratio, rows[few], size) for size in BATCH_SIZES]
    rounded = rows[many].astype(np.float32).astype(np.float64)
    at_rounded = torch_outputs(network, rounded)[OUTPUT_NAME]
    single = torch_outputs(copy.deepcopy(network).to(torch.float32), rounded)[OUTPUT_NAME]
    return Parity(
        n_rows=len(rows),
        log_ratio=max(differences[OUTPUT_NAME], *(_largest(values, exact[OUTPUT_NAME][few]) for values in batched)),
        log_ratio_spread=differences.get(SPREAD_NAME),
        from_inputs=_largest(at_rounded, exact[OUTPUT_NAME][many]),
        from_parameters=_largest(single, at_rounded),
        from_arithmetic=_largest(found[OUTPUT_NAME][many], single),
        between_batches=max(_largest(values, found[OUTPUT_NAME][few]) for values in batched),
        lowest=float(exact[OUTPUT_NAME].min()),
        highest=float(exact[OUTPUT_NAME].max()),
    )


def _spread(n: int, n_wanted: int) -> IntArray:
    return np.unique(np.linspace(0, n - 1, min(n, n_wanted)).astype(np.int64))


def _in_batches(ratio: OnnxRatio, rows: FloatArray, size: int) -> FloatArray:
    """Evaluate with batches of exactly `size` rows: the rows are repeated until they fill whole batches."""
    n_batches = -(-len(rows) // size)
    filled = np.resize(rows, (n_batches * size, rows.shape[1]))
    return np.concatenate([ratio(filled[start : start + size]) for start in range(0, len(filled), size)])[: len(rows)]


def _largest(found: FloatArray, exact: FloatArray, log_ratio: FloatArray | None = None) -> float:
    return float(np.max(np.abs(density_difference(found, exact, log_ratio=exact if log_ratio is None else log_ratio))))

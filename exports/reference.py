"""Choose the rows against which anyone can check an ONNX file, and write them with the expected outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.likelihood.reference_rows import SCHEMA
from toolkit.typing import FloatArray, IntArray

N_REFERENCE_ROWS = 1000
_EXTREMES_SHARE = 0.5


def choose_reference_rows(
    x: ArrayLike, *, generator: np.random.Generator, log_ratio: ArrayLike | None = None, n_rows: int = N_REFERENCE_ROWS
) -> IntArray:
    """Choose rows that hold the tails: the extremes of every column and of every log ratio, the rest at random.

    Half of the rows at most are extremes: the k lowest and the k highest of each quantity, with the same k >= 1 for all.

    Args:
        x: Input columns (n, n_columns), finite.
        generator: Source of the random rows.
        log_ratio: Log ratios of the same rows (n, n_numerators), finite.
        n_rows: Number of rows wanted.

    Returns:
        Sorted distinct row indices, (min(n, n_rows),) int64.

    Raises:
        ShapeError: Not two-dimensional, different lengths, or more extremes than rows.
        PhysicsDomainError: NaN or infinity.

    Examples:
        >>> x = np.array([[0.0], [5.0], [1.0], [-7.0], [2.0]])
        >>> rows = choose_reference_rows(x, generator=np.random.default_rng(1), n_rows=3)
        >>> {1, 3} <= set(rows.tolist()), len(rows)
        (True, 3)
    """
    blocks = [np.asarray(x, dtype=np.float64)] + ([] if log_ratio is None else [np.asarray(log_ratio, dtype=np.float64)])
    if any(block.ndim != 2 or len(block) != len(blocks[0]) for block in blocks) or not len(blocks[0]):
        msg = "rows to choose from"
        expected = "(n, n_columns) and (n, n_numerators), n > 0"
        raise ShapeError(msg, got=[block.shape for block in blocks], expected=expected, remedy="pass the log ratios of the same rows")
    quantities = np.concatenate(blocks, axis=1)
    for row, column in np.argwhere(~np.isfinite(quantities))[:1]:
        msg = f"rows to choose from: row {row}, column {column}"
        raise PhysicsDomainError(msg, got=quantities[row, column], expected="finite numbers", remedy="leave out events with missing values")
    n_events, n_quantities = quantities.shape
    if n_rows >= n_events:
        return np.arange(n_events)
    if n_rows < 2 * n_quantities:
        msg = f"{n_rows} reference rows"
        raise ShapeError(msg, expected=f"at least two for each of {n_quantities} columns and log ratios", remedy="raise n_rows")
    n_each = max(1, int(_EXTREMES_SHARE * n_rows / (2 * n_quantities)))
    order = np.argsort(quantities, axis=0, kind="stable")
    chosen = np.unique(np.concatenate([order[:n_each].ravel(), order[-n_each:].ravel()]))
    others = np.setdiff1d(np.arange(n_events), chosen, assume_unique=True)
    fill = generator.choice(others, size=n_rows - len(chosen), replace=False)
    return np.sort(np.concatenate([chosen, fill]))


def reference_document(facts: Mapping[str, Any], *, rows: FloatArray, outputs: Mapping[str, Mapping[str, FloatArray]]) -> str:
    """Write the text of ``<name>.reference.json``.

    Args:
        facts: What a user should know: model file and its hash, column names, tolerance, measured precision, versions.
        rows: Input rows (n, n_columns), float64; a user rounds them to float32.
        outputs: Per framework, per output name, values (n, n_numerators).

    Returns:
        JSON text, one input row or output row per line; numbers read back to the same float64.

    Examples:
        >>> text = reference_document({"tolerance": 1e-4}, rows=np.ones((1, 1)), outputs={"torch_float64": {"log_ratio": np.zeros((1, 1))}})
        >>> json.loads(text)
        {'schema': 1, 'tolerance': 0.0001, 'rows': [[1.0]], 'torch_float64': {'log_ratio': [[0.0]]}}
    """
    parts = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in {"schema": SCHEMA, **facts}.items()]
    parts.append(f'"rows": {_matrix(rows)}')
    for framework, values in outputs.items():
        inner = ",\n".join(f"{json.dumps(name)}: {_matrix(matrix)}" for name, matrix in values.items())
        parts.append(f"{json.dumps(framework)}: {{\n{inner}\n}}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _matrix(values: FloatArray) -> str:
    return "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in values.tolist()) + "\n]"

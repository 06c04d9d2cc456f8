"""Evaluate the reference rows beside an ONNX file: does it still compute here what the training framework computed?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.artifacts.onnx_metadata import OUTPUT_NAME, SPREAD_NAME
from toolkit.artifacts.versions import other_version
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ShapeError
from toolkit.typing import FloatArray

SCHEMA = 1
"""Version of the form of the rows."""
TRUTH = "torch_float64"
"""The outputs to compare with: those of the training framework in double precision."""
VANISHING = 0.01
"""A density below this fraction of the reference density counts as this much when differences of its logarithm are judged."""
_REMEDY = "copy the model and its reference rows again, or write both with exports.write_onnx"


@dataclass(frozen=True)
class ReferenceCheck:
    """How well an ONNX file reproduces its reference rows.

    Args:
        rows: Number of rows.
        log_ratio: Largest absolute difference of a log ratio, see `density_difference`.
        log_ratio_spread: The same of the spread over an ensemble; None for a single network.
        tolerance: Largest difference that the file was written with.
    """

    rows: int
    log_ratio: float
    log_ratio_spread: float | None
    tolerance: float


def reference_path(model: str | Path) -> Path:
    """Return the file of the reference rows of a model.

    Examples:
        >>> reference_path("models/mixture.onnx").name
        'mixture.reference.json'
    """
    path = Path(model)
    return path.with_name(f"{path.stem}.reference.json")


def check_reference(
    path: Path, outputs: Mapping[str, Callable[[FloatArray], FloatArray]], *, columns: tuple[str, ...], numerators: tuple[str, ...]
) -> ReferenceCheck:
    """Evaluate the reference rows beside a model and compare with the outputs of the training framework.

    Args:
        path: The ONNX file, for its reference rows and for messages.
        outputs: What computes each output of the model, from rows (n, n_columns) to (n, n_numerators).
        columns: Names of its input columns.
        numerators: Names of its output columns.

    Returns:
        The largest differences, all below the tolerance.

    Raises:
        InputFileError: There are no reference rows, or they cannot be read.
        SchemaError: They are not of the form of docs/onnx.md.
        ArtifactMismatchError: They are those of another model, or a difference exceeds the tolerance.
    """
    source = reference_path(path)
    document = _read(source)
    if document.get("schema", SCHEMA) != SCHEMA:
        raise other_version(f"reference rows {source}", found=document["schema"], expected=SCHEMA, remedy=_REMEDY)
    try:
        tolerance, rows = float(document["tolerance"]), np.asarray(document["rows"], dtype=np.float64)
        expected = {name: np.asarray(document[TRUTH][name], dtype=np.float64) for name in outputs}
        named = {"columns": tuple(document["columns"]), "numerators": tuple(document["numerators"])}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        got = f"{type(error).__name__}: {error}"
        raise SchemaError(f"reference rows {source}", got=got, expected="the form of docs/onnx.md", remedy=_REMEDY) from error
    if named != {"columns": columns, "numerators": numerators}:
        wanted = f"columns {list(columns)}, numerators {list(numerators)}"
        raise ArtifactMismatchError(f"reference rows {source}", got=named, expected=wanted, remedy=_REMEDY)
    largest: dict[str, float] = {}
    for name, evaluate in outputs.items():
        if rows.ndim != 2 or not len(rows) or expected[name].shape != (len(rows), len(numerators)):
            got = f"rows {rows.shape}, {name} {expected[name].shape}"
            raise ShapeError(
                f"reference rows {source}", got=got, expected=f"(n, {len(columns)}) and (n, {len(numerators)})", remedy=_REMEDY
            )
        largest[name] = float(np.max(np.abs(density_difference(evaluate(rows), expected[name], log_ratio=expected[OUTPUT_NAME]))))
        if not largest[name] < tolerance:
            raise ArtifactMismatchError(
                f"{path} does not compute its reference rows: {name}",
                got=f"a difference of {largest[name]:.3g}",
                expected=f"differences below {tolerance:g} on {len(rows)} rows of {source.name}",
                remedy=_REMEDY,
            )
    return ReferenceCheck(len(rows), largest[OUTPUT_NAME], largest.get(SPREAD_NAME), tolerance)


def density_difference(found: FloatArray, exact: FloatArray, *, log_ratio: FloatArray) -> FloatArray:
    """Return differences of log ratios, or of their spreads, as the likelihood feels them.

    Where interference is nearly total a density vanishes, and its logarithm has no digits that mean anything: there the difference is that
    of the density, over a hundredth of the reference density.

    Args:
        found: What was computed, any shape.
        exact: What it should be.
        log_ratio: Exact log ratios of the same entries.

    Returns:
        found - exact, times r / 0.01 where the density ratio r is below 0.01.

    Examples:
        >>> density_difference(np.array([1.001, -50.0]), np.array([1.0, -60.0]), log_ratio=np.array([1.0, -60.0])).round(6).tolist()
        [0.001, 0.0]
    """
    return np.asarray((found - exact) * np.exp(np.minimum(0.0, log_ratio - np.log(VANISHING))))


def _read(source: Path) -> dict[str, Any]:
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        raise InputFileError(f"reference rows {source}", got=got, expected="a readable JSON file", remedy=_REMEDY) from error
    if not isinstance(document, dict):
        raise SchemaError(f"reference rows {source}", got=type(document).__name__, expected="an object", remedy=_REMEDY)
    return document

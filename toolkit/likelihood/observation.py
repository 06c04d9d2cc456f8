"""The observation of an unbinned channel: a parquet file with one row per event, observables and a weight."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from toolkit.artifacts.checksums import checked_path, read_checked
from toolkit.errors import InputFileError, SchemaError, ShapeError, ToolkitError
from toolkit.typing import FloatArray

WEIGHT = "weight"


def write_observation(path: str | Path, observables: Mapping[str, ArrayLike], *, weights: ArrayLike | None = None) -> None:
    """Write the events of an observation.

    Args:
        path: Parquet file; its folder must exist. A checksum is written beside it.
        observables: Columns by name, each (n_events,), in GeV and radians.
        weights: Expected events per row of an Asimov set, (n_events,); left out for data, whose events count 1.

    Raises:
        ShapeError: Columns of different length.
        InputFileError: The file cannot be written.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "events.parquet"
        >>> write_observation(path, {"m4l": [250.0, 600.0]})
        >>> read_observation(path, ["m4l"], weight=None)[1]
        array([1., 1.])
    """
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in observables.items()}
    if weights is not None:
        columns[WEIGHT] = np.asarray(weights, dtype=np.float64)
    shapes = {c.shape for c in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        what = "columns of the observation"
        raise ShapeError(what, got={name: c.shape for name, c in columns.items()}, expected="(n_events,) each")
    with checked_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary)


def read_observation(
    path: str | Path, observables: Sequence[str], *, weight: str | None = WEIGHT
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Read the events of an observation.

    Args:
        path: Parquet file.
        observables: Columns to read.
        weight: Column of the weights; None means that every event counts 1.

    Returns:
        Observables, each (n_events,) with NaN where missing, and weights, (n_events,).

    Raises:
        InputFileError: The file is missing, damaged, or not parquet.
        ArtifactMismatchError: The content differs from the checksum beside it.
        SchemaError: A column is missing or not numeric.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "events.parquet"
        >>> write_observation(path, {"m4l": [250.0, 600.0]}, weights=[0.5, 0.2])
        >>> columns, weights = read_observation(path, ["m4l"])
        >>> columns["m4l"], weights
        (array([250., 600.]), array([0.5, 0.2]))
    """
    wanted = list(dict.fromkeys([*observables, *([weight] if weight is not None else [])]))
    table = _read_table(path, wanted)
    columns = {name: _numbers(table, name, path) for name in wanted}
    weights = columns.pop(weight) if weight is not None else np.ones(len(table))
    return columns, weights


def _read_table(path: str | Path, wanted: Sequence[str]) -> pa.Table:
    what = f"observation {path}"
    try:
        content, _ = read_checked(path)
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            present = file.schema_arrow.names
            missing = [name for name in wanted if name not in present]
            if missing:
                near = difflib.get_close_matches(missing[0], present, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else f"the file has {present}"
                raise SchemaError(what, got=f"no column {missing[0]!r}", expected=f"columns {list(wanted)}", remedy=remedy)
            return file.read(columns=list(wanted))
    except ToolkitError:
        raise
    except (OSError, pa.ArrowException, ValueError, MemoryError) as error:
        raise InputFileError(
            what, got=str(error), expected="a parquet file with one row per event", remedy="check the path in the workspace"
        ) from error


def _numbers(table: pa.Table, name: str, path: str | Path) -> FloatArray:
    column = table.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        what = f"observation {path}, column {name!r}"
        raise SchemaError(what, got=str(column.type), expected="numbers")
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)

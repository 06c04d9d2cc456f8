"""Log density ratios from an ONNX file, evaluated with onnxruntime; the training framework is not needed.

What to use when: `columns` stacks named observables in the order of the network, calling the object gives the log
ratios, `spread` the standard deviation over the networks of an ensemble, `outside_training_range` tells where the
network extrapolates. The file format is described in docs/onnx.md.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from toolkit.artifacts.checksums import read_checked
from toolkit.artifacts.onnx_metadata import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, SPREAD_NAME, OnnxMetadata
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError, ShapeError, ToolkitError
from toolkit.likelihood.reference_rows import ReferenceCheck, check_reference
from toolkit.typing import BoolArray, FloatArray

BATCH_ROWS = 10_000
"""Rows per call of onnxruntime: activations stay in the cache and memory stays bounded."""
_REWRITE = "write the file with exports.write_onnx; docs/onnx.md describes the form"


class OnnxRatio:
    """Evaluate ln p_j(x) / p_reference(x) of an ONNX file written by `exports.write_onnx`.

    Args:
        path: The ONNX file.
        threads: Threads of onnxruntime; by default every CPU that this process may use.

    Attributes:
        path: The file.
        metadata: Everything that the file says about itself.
        features: Names of the feature columns, in order.
        parameters: Names of the parameter columns of a parameterised network; they follow the features.
        units: Units of all columns, in order.
        numerators: Names of the output columns.
        reference: Name of the reference density.
        has_checksum: Whether the file was compared with a checksum beside it (``<name>.onnx.sha256``); one from elsewhere may have none.

    Raises:
        InputFileError: No such file, not an ONNX file, or a truncated one.
        ArtifactMismatchError: The content differs from the checksum beside it, or it is an ONNX file of another form: no ``h4l``
            metadata, other inputs or outputs, fixed batch size.
        SchemaError: The ``h4l`` metadata is there but not as described in docs/onnx.md.

    Notes:
        Columns are in the units of `units` (GeV, radians). The network computes in single precision: results agree
        with the training framework to 1e-4 or better (the file is refused on writing otherwise) and depend on the
        batch size at the level of 1e-6. Nothing is clipped; rows outside the training range are extrapolated.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        self.path = Path(path)
        self._threads = _available_cpus() if threads is None else threads
        if self._threads < 1:
            msg = "OnnxRatio: threads"
            raise SchemaError(msg, got=threads, expected="a positive integer, or None", remedy="leave it out to use every available CPU")
        content, self.has_checksum = _read_content(self.path)
        self._session = _open_session(self.path, content, self._threads)
        self.metadata = _read_metadata(self._session, self.path)
        _check_signature(self._session, self.metadata, self.path)
        self.features = tuple(feature.name for feature in self.metadata.features)
        self.parameters = tuple(parameter.name for parameter in self.metadata.parameters)
        self.units = tuple(column.unit for column in (*self.metadata.features, *self.metadata.parameters))
        self.numerators = self.metadata.numerators
        self.reference = self.metadata.reference

    @property
    def has_spread(self) -> bool:
        """Whether the file holds an ensemble, so that `spread` works."""
        return SPREAD_NAME in {output.name for output in self._session.get_outputs()}

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Compute the log ratios, numerator over reference.

        Args:
            x: Features, then parameters: (n, n_columns), float64 or float32, in `units`, finite.

        Returns:
            Natural logarithms ln p_j(x) / p_reference(x), (n, n_numerators) float64.

        Raises:
            ShapeError: Not two-dimensional, or another number of columns.
            SchemaError: Integers, objects or masked entries instead of floating-point numbers.
            PhysicsDomainError: NaN or infinity in the input (named row and column) or in the result; NaN may
                stand where the metadata say so.
        """
        return self._evaluate(x, OUTPUT_NAME)[0]

    def spread(self, x: ArrayLike) -> FloatArray:
        """Compute the standard deviation of the log ratios over the networks of the ensemble.

        Args:
            x: As for a call.

        Returns:
            Standard deviation of each log ratio, (n, n_numerators) float64.

        Raises:
            ArtifactMismatchError: The file holds a single network.
        """
        return self._evaluate(x, SPREAD_NAME)[0]

    def with_spread(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Compute log ratios and `spread` in one pass, in half the time of two; arguments and errors as for these."""
        log_ratio, spread = self._evaluate(x, OUTPUT_NAME, SPREAD_NAME)
        return log_ratio, spread

    def columns(self, observables: Mapping[str, ArrayLike]) -> FloatArray:
        """Stack named columns in the order of the network.

        Args:
            observables: Arrays (n,) by name; names that the network does not use are ignored, a single number is
                repeated for every row (meant for parameters).

        Returns:
            (n, n_columns) float64. Missing values stay NaN, and a call refuses them unless the metadata allow them (`missing`).

        Raises:
            SchemaError: A column is missing, or is not numeric.
            ShapeError: Columns of different length, or only single numbers.
        """
        missing = [name for name in self.metadata.columns if name not in observables]
        if missing:
            near = [match for name in missing for match in get_close_matches(name, list(observables), n=1)]
            msg = f"observables for {self.path.name}: {', '.join(missing)} missing"
            remedy = f"did you mean {', '.join(near)}?" if near else "compute the missing columns, they are not filled with a default"
            raise SchemaError(msg, got=sorted(observables), expected=", ".join(self.metadata.columns), remedy=remedy)
        arrays = {name: _numeric_column(name, observables[name]) for name in self.metadata.columns}
        lengths = {name: array.size for name, array in arrays.items() if array.ndim == 1}
        if len(set(lengths.values())) != 1:
            msg = f"observables for {self.path.name}"
            got = lengths or "single numbers only"
            raise ShapeError(msg, got=got, expected="arrays (n,) of one length", remedy="pass arrays of one event table")
        return np.stack(np.broadcast_arrays(*arrays.values()), axis=1)

    def check_reference(self) -> ReferenceCheck:
        """Evaluate the reference rows beside the file and compare with the training framework.

        Returns:
            The largest differences, all below the tolerance that the file was written with.

        Raises:
            InputFileError: There are no reference rows beside the file (``<name>.reference.json``), or they cannot be read.
            ArtifactMismatchError: The model computes something else, or the rows are those of another model.
            SchemaError: The rows are not of the form of docs/onnx.md.
        """
        outputs = {OUTPUT_NAME: self.__call__, **({SPREAD_NAME: self.spread} if self.has_spread else {})}
        return check_reference(self.path, outputs, columns=self.metadata.columns, numerators=self.numerators)

    def outside_training_range(self, x: ArrayLike) -> BoolArray:
        """Find the entries for which the network extrapolates.

        Args:
            x: As for a call.

        Returns:
            (n, n_columns), true where a value is below or above the range seen in training.
        """
        values = self._check(x)
        ranges = [(column.low, column.high) for column in (*self.metadata.features, *self.metadata.parameters)]
        low, high = np.array(ranges, dtype=np.float32).T
        return np.asarray((values < low) | (values > high))

    def __reduce__(self) -> tuple[Callable[..., OnnxRatio], tuple[Path]]:
        """Pickle as path and thread count: worker processes open the file again."""
        return (functools.partial(OnnxRatio, threads=self._threads), (self.path,))

    def __repr__(self) -> str:
        """Return file, inputs and outputs."""
        columns, numerators = ", ".join(self.metadata.columns), ", ".join(self.numerators)
        return f"OnnxRatio({str(self.path)!r}: {columns} -> ln p/p_{self.reference} of {numerators})"

    def _evaluate(self, x: ArrayLike, *outputs: str) -> tuple[FloatArray, ...]:
        if SPREAD_NAME in outputs and not self.has_spread:
            msg = f"{self.path} has no output {SPREAD_NAME}"
            raise ArtifactMismatchError(msg, got="a single network", expected="an ensemble", remedy="train at least two networks")
        values = self._check(x)
        results = tuple(np.empty((len(values), len(self.numerators)), dtype=np.float64) for _ in outputs)
        for start in range(0, len(values), BATCH_ROWS):
            batch = values[start : start + BATCH_ROWS]
            with _decoding(self.path):
                found = self._session.run(list(outputs), {INPUT_NAME: batch})
            for result, own in zip(results, found, strict=True):
                result[start : start + BATCH_ROWS] = own
        for output, result in zip(outputs, results, strict=True):
            self._require_finite(output, result, values)
        return results

    def _require_finite(self, output: str, result: FloatArray, values: NDArray[np.float32]) -> None:
        for row, column in np.argwhere(~np.isfinite(result))[:1]:
            msg = f"{output} of {self.path.name}, numerator {self.numerators[column]}"
            raise PhysicsDomainError(
                msg,
                got=f"{result[row, column]} in row {row}, input {values[row].tolist()}",
                expected="a finite number",
                remedy="check the row against the training ranges with outside_training_range",
            )

    def _check(self, x: ArrayLike) -> NDArray[np.float32]:
        what = f"input of {self.path.name}"
        masked = isinstance(x, np.ma.MaskedArray) and bool(np.ma.getmaskarray(x).any())
        array = np.asarray(x)
        if masked or array.dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
            got = "masked entries" if masked else f"dtype {array.dtype}"
            remedy = "convert each column on purpose, or use .columns(observables)"
            raise SchemaError(what, got=got, expected="float64 or float32", remedy=remedy)
        if array.ndim != 2 or array.shape[1] != len(self.metadata.columns):
            expected = f"(n, {len(self.metadata.columns)}): {', '.join(self.metadata.columns)}"
            raise ShapeError(what, got=f"shape {array.shape}", expected=expected, remedy="stack the columns with .columns(observables)")
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite and is refused below, with its row
            values = np.ascontiguousarray(array, dtype=np.float32)
        bad = np.isinf(values) if self.metadata.missing else ~np.isfinite(values)
        for row, column in np.argwhere(bad)[:1]:
            msg = f"{what}: {self.metadata.columns[column]} in row {row}"
            raise PhysicsDomainError(
                msg,
                got=f"{array[row, column]} ({int(bad.any(axis=1).sum())} such rows)",
                expected="finite numbers in the range of float32",
                remedy="select events for which the observable is defined",
            )
        return values


def _numeric_column(name: str, values: ArrayLike) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.ndim > 1:
        msg = f"observable {name}"
        raise SchemaError(msg, got=f"{array.dtype}, shape {array.shape}", expected="numbers, (n,)", remedy="pass one value per event")
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return np.asarray(array, dtype=np.float64)


def _available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_content(path: Path) -> tuple[bytes, bool]:
    try:
        return read_checked(path)
    except OSError as error:
        if isinstance(error, ToolkitError):
            raise
        msg = f"cannot read the ONNX file {path}"
        got = f"{type(error).__name__}: {error.strerror or error}"
        raise InputFileError(msg, got=got, expected="an ONNX file", remedy="check the path, or export the networks") from error


def _open_session(path: Path, content: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the CPU to others
    options.log_severity_level = 4  # problems come as exceptions, not as text on stderr
    with _decoding(path):
        # From memory, so that a file with weights beside it is refused: it is not self-contained.
        return onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"], enable_fallback=0)


@contextlib.contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn whatever onnxruntime raises on a damaged file into a message: its exceptions share no base class."""
    try:
        yield
    except Exception as error:
        msg = f"{path} is not a complete ONNX file"
        said = str(error).partition("\n")[0][:200] or type(error).__name__
        got = f"{path.stat().st_size if path.is_file() else 'no'} bytes; onnxruntime says: {said}"
        remedy = "export or copy the file again and compare sizes"
        raise InputFileError(msg, got=got, expected="one self-contained ONNX file", remedy=remedy) from error


def _read_metadata(session: Any, path: Path) -> OnnxMetadata:
    with _decoding(path):
        entries = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in entries:
        msg = f"{path} has no metadata key {METADATA_KEY}"
        raise ArtifactMismatchError(msg, got=sorted(entries) or "no metadata", expected="names of features and numerators", remedy=_REWRITE)
    return OnnxMetadata.from_json(entries[METADATA_KEY])


def _check_signature(session: Any, metadata: OnnxMetadata, path: Path) -> None:
    wanted_input = {INPUT_NAME: f"tensor(float) (batch, {len(metadata.columns)})"}
    output = f"tensor(float) (batch, {len(metadata.numerators)})"
    with _decoding(path):
        inputs, outputs = _describe(session.get_inputs()), _describe(session.get_outputs())
    if inputs != wanted_input or outputs not in ({OUTPUT_NAME: output}, {OUTPUT_NAME: output, SPREAD_NAME: output}):
        msg = f"{path}: inputs or outputs do not fit its own metadata"
        expected = f"{wanted_input} -> { ({OUTPUT_NAME: output}) }, for an ensemble also {SPREAD_NAME}"
        raise ArtifactMismatchError(msg, got=f"{inputs} -> {outputs}", expected=expected, remedy=_REWRITE)


def _describe(nodes: Any) -> dict[str, str]:
    """Write name, type and shape of each tensor; a dynamic first dimension is called batch whatever its name."""
    described = {}
    for node in nodes:
        sizes = [str(size) if isinstance(size, int) or axis else "batch" for axis, size in enumerate(node.shape)]
        described[node.name] = f"{node.type} ({', '.join(sizes)})"
    return described

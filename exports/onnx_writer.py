"""Write a ratio network as one verified ONNX file, with the rows that others check it against."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import ArrayLike

from exports.fused_graph import fused_model
from exports.onnx_graph import IR_VERSION, OPSET, NamedOutputs, convert, finish, operators
from exports.parity import TOLERANCE, Outputs, Parity, measure_parity, onnx_outputs, torch_outputs
from exports.reference import choose_reference_rows, reference_document
from toolkit import __version__
from toolkit.artifacts.atomic import atomic_path, make_folder
from toolkit.artifacts.checksums import checked_path
from toolkit.artifacts.onnx_metadata import INPUT_NAME, OUTPUT_NAME, SPREAD_NAME, Feature, OnnxMetadata
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, ShapeError
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.typing import FloatArray, IntArray


@dataclass(frozen=True)
class OnnxExport:
    """Say what `write_onnx` wrote.

    Args:
        path: The ONNX file.
        reference_path: The file of reference rows beside it.
        sha256: Hash of the ONNX file.
        operators: Operators that the graph uses.
        parity: Measured differences between onnxruntime and torch.
    """

    path: Path
    reference_path: Path
    sha256: str
    operators: tuple[str, ...]
    parity: Parity


def write_onnx(
    model: torch.nn.Module,
    path: str | Path,
    *,
    features: Sequence[Feature],
    numerators: Sequence[str],
    reference: str,
    estimator: str,
    reference_rows: ArrayLike,
    parameters: Sequence[Feature] = (),
    ensemble_size: int = 1,
    reference_mixture: Mapping[str, float] | None = None,
    config_hash: str = "",
    training_data_hash: str = "",
    fills: Mapping[str, float] | None = None,
    z1: str = "leading",
    missing: bool = False,
    tolerance: float = TOLERANCE,
    generator: np.random.Generator | None = None,
    fuse: bool = True,
) -> OnnxExport:
    """Write a log-ratio network as an ONNX file, verify it, and write its reference rows beside it.

    Args:
        model: Module whose ``forward(x)`` takes the columns in physical units (batch, n_columns) and returns
            ln p_numerator / p_reference (batch, n_numerators), for an ensemble followed by its spread. Standardisation is
            part of the module. It is not changed; weights may be float32 or float64.
        path: The ONNX file; ``<name>.reference.json`` and the checksum
            ``<name>.onnx.sha256`` are written beside it. Each appears complete or not at all. An ensemble of perceptrons
            is also written as ``<name>.fused.onnx``, with its own reference rows and checksum: the same numbers in few nodes.
        features: The columns of the observables, in order.
        numerators: Names of the log ratios, in order.
        reference: Name of the reference density.
        estimator: Name of the training method.
        reference_rows: Input rows to verify on, (n, n_columns), finite, tails included. Of more than 1000 rows all are
            verified and 1000 stored: the extremes of every column and log ratio, and a random choice.
        parameters: Parameter columns of a parameterised network, after the features.
        ensemble_size: Number of networks inside the module.
        reference_mixture: Fractions pi_j when the reference is sum_j pi_j p_j.
        config_hash: Hash of the training's configuration.
        training_data_hash: Hash of the training events.
        fills: Fill values of missing observables by name; those that features use are kept.
        z1: Which pair of leptons is Z1, see `toolkit.kinematics.pair_leptons`.
        missing: Let features be missing (NaN); rows with missing values are verified, those that are stored have none.
        tolerance: Largest accepted absolute difference of log ratios and spreads.
        generator: Chooses the random rows among more than 1000; a fixed seed by default.
        fuse: Write the fused form too.

    Returns:
        The paths and the measured differences.

    Raises:
        SchemaError: Bad names or ranges, or a module that has no portable ONNX form.
        ShapeError: Rows or outputs of another width than the names say.
        PhysicsDomainError: NaN or infinity in the rows or in torch's result.
        ArtifactMismatchError: onnxruntime and torch differ by `tolerance` or more; nothing is written.
        InputFileError: The folder cannot be written.

    Notes:
        docs/onnx.md describes the form of both files and what limits the precision.

    Examples:
        A network whose log ratio is 2 x:

        >>> import tempfile
        >>> network = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(network.weight, 2.0)
        >>> column = Feature("x", "", low=-1.0, high=1.0)
        >>> path = Path(tempfile.mkdtemp()) / "ratio.onnx"
        >>> named = {"features": [column], "numerators": ["S"], "reference": "B", "estimator": "exact"}
        >>> written = write_onnx(network, path, reference_rows=[[0.5]], **named)
        >>> OnnxRatio(path)([[0.25], [-1.0]]).tolist(), written.parity.log_ratio < 1e-6
        ([[0.5], [-2.0]], True)
    """
    metadata = OnnxMetadata(
        features=tuple(features),
        numerators=tuple(numerators),
        reference=reference,
        estimator=estimator,
        parameters=tuple(parameters),
        ensemble_size=ensemble_size,
        reference_mixture=dict(reference_mixture or {}),
        toolkit_version=__version__,
        config_hash=config_hash,
        training_data_hash=training_data_hash,
        fills={name: fill for name, fill in (fills or {}).items() if f"{name}_filled" in {f.name for f in features}},
        z1=z1,
        missing=missing,
    )
    target = Path(path)
    make_folder(target.parent)
    rows = _check_rows(reference_rows, metadata)
    network = NamedOutputs(model, n_numerators=len(metadata.numerators))
    exact = torch_outputs(network, rows)
    if (SPREAD_NAME in exact) != (ensemble_size > 1):
        msg = f"network with {len(exact)} output(s), ensemble_size {ensemble_size}"
        expected = "log_ratio from a single network, (log_ratio, log_ratio_spread) from an ensemble"
        raise ShapeError(msg, expected=expected, remedy="set ensemble_size to the number of networks inside the module")
    stored = _stored_rows(rows, exact[OUTPUT_NAME], generator or np.random.default_rng(0))
    checked = partial(_write, network, rows=rows, stored=stored, exact=exact, tolerance=tolerance)
    beside = fused_path(target)
    fused = fused_model(model, input_name=INPUT_NAME, output_names=tuple(exact), opset=OPSET) if fuse else None
    if fused is not None:
        named = replace(metadata, fused=beside.name)
        with contextlib.suppress(ArtifactMismatchError):  # the graph that everyone reads is there without the fast one
            checked(finish(fused, metadata=named), beside, metadata=named)
            metadata = named
    return checked(convert(network, torch.from_numpy(rows), metadata=metadata), target, metadata=metadata)


def fused_path(path: Path) -> Path:
    """Return the path of the fused graph beside a file.

    Examples:
        >>> fused_path(Path("models/mixture.onnx")).name
        'mixture.fused.onnx'
    """
    return path.with_name(f"{path.stem}.fused.onnx")


def _write(
    network: NamedOutputs,
    graph: onnx.ModelProto,
    target: Path,
    *,
    metadata: OnnxMetadata,
    rows: FloatArray,
    stored: IntArray,
    exact: Outputs,
    tolerance: float,
) -> OnnxExport:
    """Write one graph and its reference rows, if it computes what the network does."""
    content = graph.SerializeToString(deterministic=True)
    reference_path = target.with_name(f"{target.stem}.reference.json")
    with checked_path(target) as temporary, atomic_path(reference_path) as temporary_reference:
        temporary.write_bytes(content)
        ratio = OnnxRatio(temporary)
        parity = _verify(network, ratio, rows, exact=exact, target=target, tolerance=tolerance)
        outputs = {
            "torch_float64": {name: values[stored] for name, values in exact.items()},
            "onnxruntime_float32": onnx_outputs(ratio, rows[stored]),
        }
        facts = _facts(content, target=target, metadata=metadata, parity=parity, tolerance=tolerance)
        temporary_reference.write_text(reference_document(facts, rows=rows[stored], outputs=outputs), encoding="utf-8")
    return OnnxExport(target, reference_path, sha256=facts["model_sha256"], operators=operators(graph), parity=parity)


def _check_rows(reference_rows: ArrayLike, metadata: OnnxMetadata) -> FloatArray:
    rows = np.array(reference_rows, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(metadata.columns) or not len(rows):
        expected = f"(n, {len(metadata.columns)}), n > 0: {', '.join(metadata.columns)}"
        msg = "reference rows"
        raise ShapeError(msg, got=f"shape {rows.shape}", expected=expected, remedy="pass input rows of the network in physical units")
    for row, column in np.argwhere(np.isinf(rows) if metadata.missing else ~np.isfinite(rows))[:1]:
        msg = f"reference rows: {metadata.columns[column]} in row {row}"
        raise PhysicsDomainError(msg, got=rows[row, column], expected="a finite number", remedy="leave out events with missing values")
    return rows


def _stored_rows(rows: FloatArray, log_ratio: FloatArray, generator: np.random.Generator) -> IntArray:
    """Choose the rows that are kept, among those without missing values, which JSON cannot write."""
    complete = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not len(complete):
        msg = "reference rows"
        raise PhysicsDomainError(
            msg, got="a missing value in every row", expected="some rows with all features", remedy="leave out a feature"
        )
    return np.asarray(complete[choose_reference_rows(rows[complete], log_ratio=log_ratio[complete], generator=generator)])


def _verify(network: NamedOutputs, ratio: OnnxRatio, rows: FloatArray, *, exact: Outputs, target: Path, tolerance: float) -> Parity:
    what = f"{target} is not written: onnxruntime (float32) and torch (float64) differ"
    expected = f"differences below {tolerance:g} on all {len(rows)} rows"
    remedy = "docs/onnx.md, section Precision, lists what costs digits: large logits that cancel, logarithms of sigmoids, narrow scales"
    try:
        parity = measure_parity(network, ratio, rows, exact=exact)
    except PhysicsDomainError as error:  # torch's own result was finite: the graph overflows in float32
        raise ArtifactMismatchError(what, got=f"{error.what}: {error.got}", expected=expected, remedy=remedy) from error
    if not max(parity.log_ratio, parity.log_ratio_spread or 0.0) < tolerance:
        raise ArtifactMismatchError(what, got=str(parity), expected=expected, remedy=remedy)
    return parity


def _facts(content: bytes, *, target: Path, metadata: OnnxMetadata, parity: Parity, tolerance: float) -> dict[str, Any]:
    return {
        "model": target.name,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "columns": metadata.columns,
        "numerators": metadata.numerators,
        "tolerance": tolerance,
        "largest_differences": asdict(parity),
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "versions": {"toolkit": __version__, "torch": str(torch.__version__), "onnxruntime": onnxruntime.__version__},
    }

"""Open correctionlib files, and turn everything that can be wrong with one into a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.errors import InputFileError, MissingExtraError, SchemaError
from toolkit.typing import FloatArray


def open_set_member(path: str, name: str) -> Any:
    """Open one correction of a correctionlib file.

    Args:
        path: The file, .json or .json.gz.
        name: Name of the correction.

    Returns:
        The correction of correctionlib.

    Raises:
        MissingExtraError: correctionlib is not installed.
        InputFileError: The file is missing or not of correctionlib's schema.
        SchemaError: The file has no such correction.
    """
    try:
        import correctionlib  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            f"correction file {path}",
            got="correctionlib is not installed",
            expected="the optional dependency `corrections`",
            remedy="pip install 'h4l-toolkit[corrections]'",
        ) from error
    try:
        corrections = correctionlib.CorrectionSet.from_file(path)
    except Exception as error:
        raise InputFileError(
            f"correction file {path}",
            got=(str(error).strip().splitlines() or [type(error).__name__])[0],
            expected="a correctionlib JSON file",
            remedy="check the path",
        ) from error
    if name not in list(corrections):
        raise SchemaError(
            f"correction {name!r} of {path}", got="no such correction", expected=f"one of {sorted(corrections)}", remedy="correct the name"
        )
    return corrections[name]


def described_inputs(correction: Any) -> list[str]:
    """Return what a correction wants, in its order, for messages."""
    return [f"{i.name} ({i.type})" for i in correction.inputs]


def evaluate_typed(correction: Any, arguments: Sequence[Any], *, what: str, inputs: Sequence[Any]) -> FloatArray:
    """Evaluate a correction.

    Args:
        correction: The correction.
        arguments: Arrays (n,), numbers and texts, in its order; those of integers are rounded towards zero.
        what: The correction in words, for the message.
        inputs: Inputs of the config, for the message.

    Raises:
        SchemaError: An argument has another type, or lies outside the domain.
    """
    try:
        typed = [_typed(a, i.type) for a, i in zip(arguments, correction.inputs, strict=True)]
        values = correction.evaluate(*typed)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise SchemaError(
            what,
            got=(str(error).strip().splitlines() or [type(error).__name__])[0],
            expected=f"inputs {described_inputs(correction)} inside its domain",
            remedy=f"inputs are {list(inputs)}; correct them, or give the correction a flow behaviour",
        ) from error
    return np.asarray(values, dtype=np.float64)


def _typed(argument: Any, kind: str) -> Any:
    if isinstance(argument, np.ndarray):
        return argument.astype(np.int64) if kind == "int" else argument
    return int(argument) if kind == "int" else argument

"""HistFactory documents of a mixture: one normfactor per process, whose value our own fit ties to the parameters.

pyhf knows no modifier for interference. A document that stays readable by everybody therefore gives each process a free normfactor
(`coefficient_<process>`); setting them to f_j(theta) gives the interference exactly, negative ones included.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from toolkit.typing import FloatArray

VERSION = "1.0.0"


@contextmanager
def quiet_schema() -> Iterator[None]:
    """Silence the deprecation in jsonschema that pyhf 0.7 triggers whenever it validates a document."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="jsonschema.RefResolver is deprecated", category=DeprecationWarning)
        yield


def normfactor_name(process: str) -> str:
    """Name of the normfactor that carries the coefficient of a process.

    Examples:
        >>> normfactor_name("ggF_SBI")
        'coefficient_ggF_SBI'
    """
    return f"coefficient_{process}"


def channel_spec(name: str, *, processes: Sequence[str], templates: FloatArray) -> dict[str, Any]:
    """Write one channel.

    Args:
        name: Name of the channel.
        processes: Names of the processes.
        templates: Expected events, (n_processes, n_bins).

    Returns:
        A `channel` object of pyhf's schema.

    Examples:
        >>> import numpy as np
        >>> channel_spec("m4l", processes=["qqZZ"], templates=np.array([[10.0, 5.0]]))["samples"][0]["data"]
        [10.0, 5.0]
    """
    samples = [
        {"name": process, "data": row.tolist(), "modifiers": [{"name": normfactor_name(process), "type": "normfactor", "data": None}]}
        for process, row in zip(processes, templates, strict=True)
    ]
    return {"name": name, "samples": samples}


def workspace_spec(
    channels: Sequence[dict[str, Any]],
    observations: Sequence[tuple[str, FloatArray]],
    *,
    measurement: str,
    coefficients: dict[str, tuple[float, float, float]],
) -> dict[str, Any]:
    """Write a pyhf workspace.

    Args:
        channels: Channels from `channel_spec`.
        observations: Channel name and counts.
        measurement: Name of the measurement; it has no parameter of interest, because none of pyhf's is one.
        coefficients: Per process the normfactor's starting value, lowest and highest value.

    Returns:
        A document that validates with pyhf's workspace schema.
    """
    parameters = [
        {"name": normfactor_name(process), "inits": [init], "bounds": [[low, high]]} for process, (init, low, high) in coefficients.items()
    ]
    return {
        "channels": list(channels),
        "observations": [{"name": name, "data": data.tolist()} for name, data in observations],
        "measurements": [{"name": measurement, "config": {"poi": "", "parameters": parameters}}],
        "version": VERSION,
    }

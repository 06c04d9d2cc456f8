"""Write workspace documents from likelihoods and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.histfactory import VERSION, normfactor_name
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.workspace_schema import UnbinnedChannel


def make_document(
    *,
    parameters: Sequence[Parameter],
    unbinned: Sequence[UnbinnedChannel] = (),
    binned: Sequence[BinnedLikelihood] = (),
    measurement: str = "measurement",
) -> dict[str, Any]:
    """Write a workspace document.

    Args:
        parameters: Parameters of the coefficients, that of interest first.
        unbinned: Unbinned channels; their file names are relative to where the document will be saved.
        binned: Binned channels, of data that do not overlap with any other channel. A document that must be readable by pyhf
            alone comes from `BinnedLikelihood.to_pyhf` instead.
        measurement: Name of the measurement.

    Returns:
        The document for `Workspace(document)`.
    """
    document: dict[str, Any] = {"version": VERSION}
    if binned:
        document["channels"] = [_binned_channel(b) for b in binned]
        document["observations"] = [{"name": b.channel, "data": b.data.tolist()} for b in binned]
    if unbinned:
        document["unbinned_channels"] = [c.to_json() for c in unbinned]
    described = [{"name": p.name, "inits": [p.init], "bounds": [[p.low, p.high]], "fixed": p.fixed} for p in parameters]
    document["measurements"] = [{"name": measurement, "config": {"poi": parameters[0].name, "parameters": described}}]
    return document


def _binned_channel(likelihood: BinnedLikelihood) -> dict[str, Any]:
    samples = [
        {
            "name": process,
            "data": row.tolist(),
            "modifiers": [{"name": normfactor_name(process), "type": "morphing", "data": {"coefficient": text}}],
        }
        for process, row, text in zip(likelihood.processes, likelihood.templates, likelihood.coefficients.texts, strict=True)
    ]
    return {"name": likelihood.channel, "samples": samples}

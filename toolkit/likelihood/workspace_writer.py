"""Write workspace documents from likelihoods and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.histfactory import VERSION, normfactor_name
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.workspace_schema import UnbinnedChannel


def make_document(
    *,
    parameters: Sequence[Parameter],
    unbinned: Sequence[UnbinnedChannel] = (),
    binned: Sequence[BinnedLikelihood] = (),
    channels: Sequence[tuple[dict[str, Any], Sequence[float]]] = (),
    constraints: Sequence[Constraint] = (),
    measurement: str = "measurement",
) -> dict[str, Any]:
    """Write a workspace document.

    Args:
        parameters: Parameters of the coefficients, that of interest first.
        unbinned: Unbinned channels; their file names are relative to where the document will be saved.
        binned: Binned channels, of data that do not overlap with any other channel. A document that must be readable by pyhf
            alone comes from `BinnedLikelihood.to_pyhf` instead.
        channels: Binned channels as objects of pyhf's schema (morphing modifiers allowed) with their counts.
        constraints: Those that no modifier brings (of parameters of coefficients), or that are no unit Gaussian around 0 (of the
            luminosity); their parameters are among `parameters`.
        measurement: Name of the measurement.

    Returns:
        The document for `Workspace(document)`.

    Examples:
        >>> from toolkit.likelihood.workspace import Workspace
        >>> channel = BinnedLikelihood(templates=[[10.0], [5.0]], data=[12.0], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (0.0, 4.0)}, processes=["S", "B"])
        >>> document = make_document(parameters=channel.parameters, binned=[channel])
        >>> round(Workspace(document).likelihood().fit().parameters["mu"], 6)
        0.7
    """
    document: dict[str, Any] = {"version": VERSION}
    if binned or channels:
        document["channels"] = [binned_channel(b) for b in binned] + [dict(c) for c, _ in channels]
        observed = [(b.channel, b.data.tolist()) for b in binned] + [(c["name"], list(counts)) for c, counts in channels]
        document["observations"] = [{"name": name, "data": data} for name, data in observed]
    if unbinned:
        document["unbinned_channels"] = [c.to_json() for c in unbinned]
    described: list[dict[str, Any]] = [
        {"name": p.name, "inits": [p.init], "bounds": [[p.low, p.high]], "fixed": p.fixed} for p in parameters
    ]
    for c in constraints:
        width = "sigmas" if c.kind == "gaussian" else "factors"
        next(d for d in described if d["name"] == c.parameter).update({"auxdata": [c.observed], width: [c.scale]})
    document["measurements"] = [{"name": measurement, "config": {"poi": parameters[0].name, "parameters": described}}]
    return document


def binned_channel(likelihood: BinnedLikelihood) -> dict[str, Any]:
    """Write templates as a channel of pyhf's schema with a morphing modifier per process."""
    samples = [
        {
            "name": process,
            "data": row.tolist(),
            "modifiers": [{"name": normfactor_name(process), "type": "morphing", "data": {"coefficient": text}}],
        }
        for process, row, text in zip(likelihood.processes, likelihood.templates, likelihood.coefficients.texts, strict=True)
    ]
    return {"name": likelihood.channel, "samples": samples}

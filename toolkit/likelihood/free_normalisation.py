"""The same likelihood without what the total number of events says: all processes times one free normalisation.

What to use when: to see how much of a result comes from the rate and how much from the shapes. A counting experiment with a free
normalisation says nothing; the difference between a histogram and the unbinned method usually grows without the rate.
"""

from __future__ import annotations

import copy
from typing import Any

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.likelihood.workspace import Workspace

NORMALISATION = Parameter("free_normalisation", init=1.0, low=0.05, high=20.0)
"""The factor of all processes; it has no constraint."""


def without_rate(likelihood: BinnedLikelihood | UnbinnedLikelihood | ParameterisedLikelihood) -> Likelihood:
    """Return the likelihood with a free normalisation of all processes together.

    Args:
        likelihood: Binned or unbinned, with or without nuisance parameters; `workspace_without_rate` is for a whole document.

    Returns:
        The likelihood, with one more parameter at the end.

    Raises:
        SchemaError: A likelihood of another kind.

    Examples:
        One bin says nothing about mu any more, two bins do:

        >>> def t(*templates):
        ...     likelihood = BinnedLikelihood(templates=templates, data=[sum(b) for b in zip(*templates)], coefficients=("mu", "1"),
        ...         parameters=("mu",), bounds={"mu": (0.0, 4.0)})
        ...     shape = without_rate(likelihood)
        ...     return round(shape.fit(fixed={"mu": 2.0}).twice_nll - shape.fit().twice_nll, 6)
        >>> t([20.0], [80.0]), t([20.0, 5.0], [80.0, 90.0]) > 0.5
        (0.0, True)
    """
    parameters = (*likelihood.parameters, NORMALISATION)
    if isinstance(likelihood, BinnedLikelihood):
        return BinnedLikelihood(
            templates=likelihood.templates,
            data=likelihood.data,
            coefficients=[_free(text) for text in likelihood.coefficients.texts],
            parameters=parameters,
            processes=likelihood.processes,
            channel=likelihood.channel,
            bins=likelihood.bins,
        )
    if isinstance(likelihood, ParameterisedLikelihood):
        return likelihood.with_systematics(
            parameters=parameters,
            coefficients=[_free(text) for text in likelihood.coefficients.coefficients.texts],
            systematics=likelihood.coefficients.systematics,
            constraints=likelihood.constraints,
        )
    if not isinstance(likelihood, UnbinnedLikelihood):
        what = "likelihood without rate"
        raise SchemaError(what, got=type(likelihood).__name__, expected="binned or unbinned", remedy="use workspace_without_rate")
    rates = likelihood.coefficients
    return likelihood.with_systematics(
        parameters=parameters,
        coefficients=[_free(text) for text in rates.coefficients.texts],
        systematics=rates.systematics,
        shapes=likelihood.shapes,
        reference="normalised" if likelihood.reference is None else likelihood.reference,
        constraints=likelihood.constraints,
    )


def workspace_without_rate(workspace: Workspace) -> Workspace:
    """Return a workspace of binned channels in which all samples have a free normalisation in common.

    Args:
        workspace: Every sample has a morphing modifier.

    Raises:
        SchemaError: A sample has none.
    """
    document: dict[str, Any] = copy.deepcopy(workspace.document)
    for channel in document["channels"]:
        for sample in channel["samples"]:
            found = [m for m in sample["modifiers"] if m["type"] == "morphing"]
            if len(found) != 1:
                what = f"sample {sample['name']!r} of channel {channel['name']!r}"
                raise SchemaError(what, got=f"{len(found)} morphing modifiers", expected="one, whose coefficient is multiplied")
            found[0]["data"] = {"coefficient": _free(found[0]["data"]["coefficient"])}
    p = NORMALISATION
    for measurement in document["measurements"]:
        measurement["config"]["parameters"].append({"name": p.name, "inits": [p.init], "bounds": [[p.low, p.high]]})
    return Workspace(document, workspace.folder)


def _free(text: str) -> str:
    return f"({text}) * {NORMALISATION.name}"

"""Every method with and without the rate, with and without systematic uncertainties: `workspace/comparison.json`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.artifacts.atomic import write_json
from toolkit.errors import SchemaError
from toolkit.likelihood import BinnedLikelihood, Coefficients, Likelihood, MethodResult, Results, UnbinnedLikelihood, Workspace, measure
from toolkit.likelihood.free_normalisation import without_rate, workspace_without_rate
from toolkit.likelihood.planes import Plane
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.channels import binned_document
from toolkit.pipeline.stages.constructions import Full
from toolkit.pipeline.stages.layout import COMPARISON
from toolkit.pipeline.stages.methods import BinnedMethod, Method, Model
from toolkit.pipeline.stages.nuisances import Systematics
from toolkit.typing import FloatArray, JsonObject

SCAN_POINTS = 41
"""Points of a scan without rate, at most; ends of intervals are refined between them."""


def write_comparison(
    context: StageContext, methods: Sequence[Method], results: Results, *, weights: FloatArray, systematics: Systematics, full: Full
) -> None:
    """Write what every method says of the parameter of interest in up to four variants.

    Args:
        context: The stage; its config may leave the fits without rate out.
        methods: All methods.
        results: Their results with the rate.
        weights: Weights of the Asimov set, (n_test,).
        systematics: All systematic uncertainties.
        full: Gives the likelihoods with nuisance parameters.
    """
    config, rows = context.config, []
    model = Model.of(config)
    values = np.linspace(*model.range, min(config.likelihood.scan_points, SCAN_POINTS))
    for method in methods:
        result = results.methods[method.name]
        plain = result if result.statistical_only is None else result.statistical_only
        found = {"statistical": plain} if result.statistical_only is None else {"statistical": plain, "systematic": result}
        rows += [_row(method.name, "rate and shape", kind, one) for kind, one in found.items()]
        if not config.likelihood.shape_only or _counts(method):
            continue
        for kind in found:

            def shape(method: Method = method, kind: str = kind) -> JsonObject:
                likelihood = shape_likelihood(method, weights, systematics if kind == "systematic" else Systematics(), full=full)
                return measure(likelihood, method=method.name, values=values, truth=model.truth).to_json()

            document = context.tasks.result(f"{method.name}: shape alone, {kind}", shape)
            rows.append(_row(method.name, "shape", kind, MethodResult.from_json(document, method=method.name)))
        context.progress("fits without the rate", len(rows), 4 * len(methods))
    planes = {m.name: _plane(m, m.plane) for m in methods if isinstance(m, BinnedMethod) and m.plane is not None}
    write_json(context.work / COMPARISON, {"schema": 1, "poi": model.parameter, "rows": rows, "planes": planes})


def shape_likelihood(method: Method, weights: FloatArray, systematics: Systematics, *, full: Full) -> Likelihood:
    """Build the likelihood of a method whose total rate is free.

    Args:
        method: The method.
        weights: Weights of the test events, (n_test,).
        systematics: Systematic uncertainties; empty for none.
        full: Gives the likelihoods with nuisance parameters.

    Raises:
        SchemaError: Neither a binned nor an unbinned method.
    """
    if systematics and isinstance(method, BinnedMethod):
        return workspace_without_rate(Workspace(binned_document(method, weights, systematics))).likelihood()
    likelihood = full(method, weights) if systematics else method.likelihood(weights)
    if not isinstance(likelihood, BinnedLikelihood | UnbinnedLikelihood):
        what = f"method {method.name!r}"
        raise SchemaError(what, got=type(likelihood).__name__, expected="a binned or unbinned likelihood")
    return without_rate(likelihood)


def _plane(method: BinnedMethod, plane: Plane) -> JsonObject:
    """Describe a histogram of two observables: its bins, and what they expect at the truth and without signal (or at the other end)."""
    model = method.model
    values = (model.truth, model.range[0] if model.truth > model.range[0] else model.range[1])
    coefficients = Coefficients.parse(model.coefficients, (model.parameter,)).values(np.array(values)[:, None])
    return {**plane.to_json(), "values": list(values), "expected": (coefficients @ method.templates.values).tolist()}


def _counts(method: Method) -> bool:
    return isinstance(method, BinnedMethod) and method.templates.values.shape[1] == 1


def _row(method: str, information: str, uncertainties: str, result: MethodResult) -> JsonObject:
    """Summarise one fit; a length is that of all pieces of an interval together."""
    pieces = {"68": result.interval_68, "95": result.interval_95}
    return {
        "method": method,
        "information": information,
        "uncertainties": uncertainties,
        "best_fit": result.mu_hat,
        "twice_nll_at_0": result.twice_nll_at_0,
        **{f"interval_{level}": [[i.low, i.high] for i in own] for level, own in pieces.items()},
        **{f"interval_{level}_at_boundary": [i.at_boundary for i in own] for level, own in pieces.items()},
        **{f"length_{level}": float(sum(i.high - i.low for i in own)) for level, own in pieces.items()},
    }

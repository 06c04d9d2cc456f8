"""Every method with and without the rate, with and without systematic uncertainties: `workspace/comparison.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.analysis.channels import binned_document
from toolkit.analysis.data import FitData
from toolkit.analysis.layout import COMPARISON
from toolkit.analysis.methods import BinnedMethod, Method
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.session import Session
from toolkit.artifacts.atomic import write_json
from toolkit.errors import SchemaError
from toolkit.likelihood import (
    BinnedLikelihood,
    Likelihood,
    MethodResult,
    ParameterisedLikelihood,
    Results,
    UnbinnedLikelihood,
    Workspace,
    measure,
    measure_parameters,
)
from toolkit.likelihood.free_normalisation import without_rate, workspace_without_rate
from toolkit.likelihood.planes import Plane
from toolkit.typing import JsonObject

SCAN_POINTS = 41
"""Points of a scan without rate, at most; ends of intervals are refined between them."""


def write_comparison(session: Session, datasets: Sequence[FitData], results: Results) -> None:
    """Write what every method says of the parameter of interest in up to four variants.

    Args:
        session: Where results are written; its config may leave the fits without rate out.
        datasets: The Asimov set, and the data if they are fitted.
        results: The results of all methods with the rate.
    """
    asimov = datasets[0]
    measured = [results.methods, *([results.observed.methods] if results.observed is not None else [])]
    rows: list[dict[str, list[JsonObject]]] = [{poi: [] for poi in results.interest} for _ in datasets]
    done, steps = 0, len(datasets) * len(asimov.methods)
    for own, data, found in zip(rows, datasets, measured, strict=True):
        for method in data.methods:
            for poi, new in _rows(session, data, method, found[method.name]).items():
                own[poi] += new
            session.progress("fits without the rate", done := done + 1, steps)
    planes = {m.name: _plane(m, m.plane) for m in asimov.methods if isinstance(m, BinnedMethod) and m.plane is not None}
    parts = [{"rows": rows[0][poi], **({"observed": rows[1][poi]} if rows[1:] else {})} for poi in results.interest]
    if session.config.general:
        write_json(session.work / COMPARISON, {"schema": 1, "parameters": dict(zip(results.interest, parts, strict=True))})
    else:
        write_json(session.work / COMPARISON, {"schema": 1, "poi": asimov.model.parameter, "planes": planes, **parts[0]})


def _rows(session: Session, data: FitData, method: Method, result: MethodResult) -> dict[str, list[JsonObject]]:
    """Summarise the fits of one method to the data, with the rate and without, for every parameter of interest."""
    config, model = session.config, data.model
    plain = result if result.statistical_only is None else result.statistical_only
    found = {"statistical": plain} if result.statistical_only is None else {"statistical": plain, "systematic": result}
    rows = {poi: [_row(method.name, "rate and shape", kind, one.of(poi)) for kind, one in found.items()] for poi in model.interest}
    if not config.likelihood.shape_only or _counts(method):
        return rows
    points = min(config.likelihood.scan_points, SCAN_POINTS)
    for kind in found:

        def shape(kind: str = kind) -> JsonObject:
            likelihood = shape_likelihood(data, method, systematics=kind == "systematic")
            if isinstance(method, RegionMethod):
                options: Any = {"interest": model.interest, "truth": model.truth, "points": points, "contours": False}
                return measure_parameters(likelihood, method=method.name, **options).to_json()
            values = np.linspace(*model.range, points)
            return measure(likelihood, method=method.name, values=values, truth=model.truth[model.parameter]).to_json()

        document = session.tasks.result(f"{data.named(method.name)}: shape alone, {kind}", shape)
        measured = MethodResult.from_json(document, method=method.name)
        for poi in model.interest:
            rows[poi].append(_row(method.name, "shape", kind, measured.of(poi)))
    return rows


def shape_likelihood(data: FitData, method: Method, *, systematics: bool) -> Likelihood:
    """Build the likelihood of a method whose total rate is free.

    Over regions one normalisation is free: that of all processes in all regions of the analysis; workspaces of others keep theirs.

    Args:
        data: The events, and all methods.
        method: One of them.
        systematics: With the systematic uncertainties.

    Raises:
        SchemaError: Neither a binned nor an unbinned method.
    """
    if isinstance(method, RegionMethod):
        parts = [replace(data, methods=p.siblings, weights=data.weights[p.test], model=p.model) for p in method.parts]
        terms = [shape_likelihood(own, p.method, systematics=systematics) for own, p in zip(parts, method.parts, strict=True)]
        return method.combined(terms, truth=data.expectation)
    if systematics and isinstance(method, BinnedMethod):
        return workspace_without_rate(Workspace(binned_document(method, data.weights, data.systematics))).likelihood()
    likelihood = data.full(method) if systematics else method.likelihood(data.weights)
    if not isinstance(likelihood, BinnedLikelihood | UnbinnedLikelihood | ParameterisedLikelihood):
        what = f"method {method.name!r}"
        raise SchemaError(what, got=type(likelihood).__name__, expected="a binned or unbinned likelihood")
    return without_rate(likelihood)


def _plane(method: BinnedMethod, plane: Plane) -> JsonObject:
    """Describe a histogram of two observables: its bins, and what they expect at the truth and without signal (or at the other end)."""
    model = method.model
    truth = model.truth[model.parameter]
    values = (truth, model.range[0] if truth > model.range[0] else model.range[1])
    coefficients = model.along(model.parameter, np.array(values))
    return {**plane.to_json(), "values": list(values), "expected": (coefficients @ method.templates.values).tolist()}


def _counts(method: Method) -> bool:
    """Say whether a method has one bin in all, which says nothing without its rate."""
    if isinstance(method, RegionMethod):
        return len(method.parts) == 1 and _counts(method.parts[0].method)
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

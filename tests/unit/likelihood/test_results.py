"""Results and their JSON form."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import ClosurePoint, FitResult, Interval, MethodResult, Results, Scan, measure


def example(toy: Any) -> Results:
    method = measure(toy.likelihood(1.0), method="nsbi", values=np.linspace(0, 6, 31))
    return Results(
        poi="mu",
        asimov={"mu": 1.0},
        luminosity_ifb=140.0,
        yields={"ggF_S": 48.1},
        methods={"nsbi": method},
        closure=(ClosurePoint(mu=0.3, mu_hat=0.35, standard_error=0.05, method="nsbi"),),
        timing_s={"fit": 1.5},
    )


def test_document_has_the_fixed_names(toy: Any) -> None:
    document = example(toy).to_json()
    assert document["schema"] == 2
    assert document["poi"] == "mu"
    assert document["asimov"] == {"mu": 1.0}
    assert document["closure"] == [{"mu": 0.3, "mu_hat": 0.35, "standard_error": 0.05, "method": "nsbi"}]
    method = document["methods"]["nsbi"]
    assert method["interval_68"] == [[pytest.approx(low), pytest.approx(high)] for low, high in method["interval_68"]]
    assert set(method) >= {"mu_hat", "twice_nll_at_0", "interval_68", "interval_95", "scan", "at_boundary"}
    assert method["at_boundary"] is True
    assert method["interval_68_at_boundary"] == [True]
    assert set(method["scan"]) == {"mu", "twice_delta_nll"}


def test_round_trip_through_text(toy: Any) -> None:
    results = example(toy)
    text = json.dumps(results.to_json(), allow_nan=False)
    again = Results.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.methods["nsbi"].interval_68 == results.methods["nsbi"].interval_68
    np.testing.assert_array_equal(again.methods["nsbi"].scan.twice_delta_nll, results.methods["nsbi"].scan.twice_delta_nll)


def test_nan_errors_become_null_and_come_back() -> None:
    fit = FitResult(
        parameters={"mu": 0.0}, errors={"mu": math.nan}, twice_nll=1.0, status="at_boundary", advice="", minima=(), edm=0.0, n_evaluations=3
    )
    document = json.loads(json.dumps(fit.to_json(), allow_nan=False))
    assert document["errors"] == {"mu": None}
    assert math.isnan(FitResult.from_json(document).errors["mu"])
    point = ClosurePoint.from_json({"mu": 1.0, "mu_hat": 1.0, "method": "m4l"})
    assert math.isnan(point.standard_error)
    assert math.isnan(point.pull)


def test_interval_flags_come_back() -> None:
    scan = Scan(values=[0.0, 1.0], twice_delta_nll=[0.0, 2.0])  # type: ignore[arg-type]
    result = MethodResult("m", 0.0, None, (Interval(0.0, 0.5, at_boundary=True), Interval(0.8, 0.9)), (), scan)
    again = MethodResult.from_json(result.to_json(), method="m")
    assert again.interval_68 == result.interval_68
    assert again.twice_nll_at_0 is None
    assert again.at_boundary


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema": 3}, r"(?s)schema 3, written by another version.*1 or 2.*`h4l run CONFIG`"), ({"methods": None}, "methods")],
)
def test_other_documents_are_refused(toy: Any, change: dict[str, Any], message: str) -> None:
    document = {**example(toy).to_json(), **change}
    if document["methods"] is None:
        del document["methods"]
    with pytest.raises(SchemaError, match=message):
        Results.from_json(document)
    with pytest.raises(SchemaError):
        Results.from_json([])  # type: ignore[arg-type]


def test_scan_checks_its_arrays_and_keeps_them() -> None:
    with pytest.raises(ShapeError):
        Scan(values=np.zeros(3), twice_delta_nll=np.zeros(4))
    scan = Scan(values=np.zeros(3), twice_delta_nll=np.zeros(3), parameter="kappa")
    assert list(scan.to_json()) == ["kappa", "twice_delta_nll"]
    assert Scan.from_json(scan.to_json()).parameter == "kappa"
    with pytest.raises(ValueError, match="read-only"):
        scan.values[0] = 1.0


def test_pull() -> None:
    assert ClosurePoint(mu=1.0, mu_hat=1.2, standard_error=0.1, method="nsbi").pull == pytest.approx(2.0)


def test_truth_outside_the_range_is_refused(toy: Any) -> None:
    with pytest.raises(PhysicsDomainError, match="contains the truth 4"):
        measure(toy.likelihood(1.0, high=2.0), method="nsbi", values=np.linspace(0, 2, 11), truth=4.0)


def test_measurement_agrees_with_the_likelihood(toy: Any) -> None:
    likelihood = toy.likelihood(1.7)
    result = measure(likelihood, method="nsbi", values=np.linspace(0.0, 6.0, 25), truth=1.7)
    best = likelihood.twice_nll(1.7)
    assert result.mu_hat == pytest.approx(1.7, abs=1e-7)
    assert result.twice_nll_at_0 == pytest.approx(likelihood.twice_nll(0.0) - best, abs=1e-8)
    for piece in result.interval_68:
        for end in (piece.low, piece.high):
            assert likelihood.twice_nll(end) - best == pytest.approx(1.0, abs=1e-6)
    narrow = measure(likelihood, method="nsbi", values=np.linspace(1.0, 2.0, 11))
    assert narrow.interval_95[0].at_boundary
    positive = measure(toy.likelihood(1.7, low=0.5), method="nsbi", values=np.linspace(0.5, 6.0, 12))
    assert positive.twice_nll_at_0 is None

"""Two parameters of interest: one table, scan and closure each, contours of the pair, yields of the regions; the form of results.json."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from toolkit.diagnostics.closure import closure_verdict
from toolkit.diagnostics.regions import RegionYields
from toolkit.likelihood import (
    ClosurePoint,
    Contour,
    FitResult,
    Interval,
    MethodResult,
    ObservedResults,
    OtherParameters,
    ParameterInfo,
    ParameterResult,
    Results,
    Scan,
)
from toolkit.plots import PlotStyle, plot_contours
from toolkit.report import Comparison, Provenance, build_page, judge, results_document
from toolkit.report.contours import area_rows, areas_page_table, best_histogram, pairs_of
from toolkit.report.figures import result_jobs
from toolkit.report.fitted import fitted_section, region_table
from toolkit.report.fitted_figures import contour_jobs, correlation_jobs
from toolkit.report.hepdata import SUBMISSION, hepdata_tables
from toolkit.report.other_fits import fit_jobs
from toolkit.report.systematics_figures import systematics_jobs
from toolkit.report.systematics_tables import systematics_section
from toolkit.report.truths import rows_together

A, B = "mu_ggF", "mu_EW"
TRUTHS = ({A: 1.0, B: 1.0}, {A: 0.5, B: 1.5}, {A: 1.0, B: 2.0})
SHIFTS = {"m4l": {A: 0.05, B: 0.05}, "nsbi": {A: 0.4, B: 0.0}}
"""NSBI is off by four standard errors in one parameter and right in the other."""


def _result(name: str, width: float) -> MethodResult:
    values = np.linspace(0.0, 4.0, 41)
    scans = {p: Scan(values, ((values - 1.0) / width) ** 2, parameter=p) for p in (A, B)}
    parameters = {
        p: ParameterResult(
            best_fit=1.0 + k / 10,
            interval_68=(Interval(1.0 - width, 1.0 + width),),
            interval_95=(Interval(0.0, 1.0 + 2 * width, at_boundary=True),),
            fixed_others_68=(Interval(1.0 - width / 2, 1.0 + width / 2),),
            fixed_others_95=(Interval(1.0 - width, 1.0 + width),),
            scan=scans[p],
            twice_nll_at_0=float(width**-2) + k,
        )
        for k, p in enumerate((A, B))
    }
    angle = np.linspace(0.0, 2 * np.pi, 60)
    contours = []
    for level, radius in ((0.68, 1.515), (0.95, 2.448)):
        line = tuple((1.0 + radius * width * np.cos(a), 1.0 + radius * width * np.sin(a)) for a in angle)
        contours.append(Contour((A, B), level, float(np.pi * (radius * width) ** 2), ((*line[:-1], line[0]),), (1.0, 1.1)))
    fit = FitResult(
        {A: 1.0, B: 1.1, "t0": 0.98},
        {A: 0.5, B: 0.25, "t0": 0.02},
        -3.0,
        "converged",
        "",
        (),
        0.0,
        10,
        free=(A, B, "t0"),
        covariance=((0.25, 0.05, 0.0), (0.05, 0.0625, 0.0), (0.0, 0.0, 0.0004)),
    )
    first = parameters[A]
    one = MethodResult(name, 1.0, first.twice_nll_at_0, first.interval_68, first.interval_95, scans[A], fit=fit)
    return replace(one, parameters=parameters, contours=tuple(contours))


@pytest.fixture
def two() -> Results:
    closure = [
        ClosurePoint(t[p], t[p] + SHIFTS[m][p], 0.1, m, parameter=p, truth=dict(t)) for m in ("m4l", "nsbi") for t in TRUTHS for p in (A, B)
    ]
    interest = ParameterInfo("interest", (0.0, 4.0), 1.0)
    parameters = {A: interest, B: interest, "t0": ParameterInfo("normalisation", (0.2, 3.0), 1.0)}
    methods = {"m4l": _result("m4l", 0.5), "nsbi": _result("nsbi", 0.4)}
    yields = {"S": 10.0, "qqZZ": 100.0}
    return Results(A, {A: 1.0, B: 1.0, "t0": 1.0}, 140.0, yields, methods, tuple(closure), parameters=parameters)


def test_results_survive_their_json(two: Results) -> None:
    document = results_document(two)
    back = Results.from_json(json.loads(json.dumps(document)))
    assert results_document(back) == document
    assert document["schema"] == 2
    assert document["parameters"]["t0"] == {"kind": "normalisation", "range": [0.2, 3.0], "truth": 1.0}
    assert back.interest == (A, B)
    method = document["methods"]["nsbi"]
    assert method["mu_hat"] == 1.0, "the keys of one parameter are those of the first"
    assert method["parameters"][B]["best_fit"] == pytest.approx(1.1)
    assert method["parameters"][B]["interval_68"] == [[0.6, 1.4]]
    assert method["parameters"][B]["fixed_others_68"] == [[0.8, 1.2]]
    assert method["contours"][0]["area"] == pytest.approx(np.pi * (1.515 * 0.4) ** 2)


def test_each_parameter_has_a_verdict_of_its_own(two: Results) -> None:
    assert [(v.parameter, v.method, v.word) for v in judge(two)] == [
        (A, "m4l", "compatible"),
        (A, "nsbi", "biased"),
        (B, "m4l", "compatible"),
        (B, "nsbi", "compatible"),
    ]
    document = results_document(two)
    verdicts = {p: document["methods"]["nsbi"]["parameters"][p]["verdict"] for p in (A, B)}
    assert verdicts == {A: "biased", B: "compatible"}
    assert document["methods"]["nsbi"]["verdict"] == "biased"
    assert document["methods"]["nsbi"]["closure"]["verdict"] == "biased"
    pulls = {(c["parameter"], c["truth"][A], c["truth"][B]): c["pull"] for c in document["closure"] if c["method"] == "nsbi"}
    assert pulls[A, 1.0, 1.0] == pytest.approx(4.0)
    assert pulls[B, 0.5, 1.5] == pytest.approx(0.0, abs=1e-9)


def test_both_parameters_have_the_verdict_of_the_test_of_both(two: Results) -> None:
    """The number of the truth stands on the terminal and on the page, with a mark where the test fails."""
    closure = tuple(
        replace(p, twice_delta_nll=0.4 if p.method == "nsbi" else 0.1, p_value=0.01 if p.method == "nsbi" else 0.3) for p in two.closure
    )
    judged = replace(two, closure=closure)
    assert {(v.method, v.parameter): v.word for v in judge(judged)} == {
        (m, p): word for m, word in (("m4l", "compatible"), ("nsbi", "biased")) for p in (A, B)
    }
    truths, rows = rows_together(judged)
    assert truths[1] == "μ_ggF = 0.5, μ_EW = 1.5"
    assert rows == {"m4l": ("0.100 (p = 0.3)",) * 3, "nsbi": ("0.400 (p = 0.01) !",) * 3}
    shown = io.StringIO()
    Console(file=shown, width=200).print(Comparison(judged))
    assert "(p = 0.01) !" in shown.getvalue()
    assert shown.getvalue().count("! nsbi: biased, -2 Delta ln L of the truth mu_ggF = 1, mu_EW = 1 is 0.4, p = 0.01.") == 1
    assert rows_together(two) == ((), {})


def test_one_parameter_is_the_special_case(results: Results) -> None:
    document = results_document(results)["methods"]["m4l"]
    own = document["parameters"]["mu"]
    assert own["interval_68"] == document["interval_68"] == own["fixed_others_68"]
    assert own["interval_68_at_boundary"] == [True, False]
    assert own["interval_kind"] == "asymptotic"


def test_the_page_has_a_table_per_parameter(two: Results) -> None:
    page = build_page(two, judge(two), None, {}, title="two", provenance=Provenance(), left_out=("Something is left out.",))
    by_title = {section.title: section for section in page.sections}
    first, second, areas = by_title["Result"].tables
    assert second.columns[:6] == ("method", "best fit μ_EW", "68 %", "95 %", "68 %, others fixed", "95 %, others fixed")
    assert second.rows[1][:6] == ("NSBI, unbinned", "1.10", "[0.60, 1.40]", "[0.00, 1.80]*", "[0.80, 1.20]", "[0.60, 1.40]")
    assert first.flagged == {1}
    assert second.flagged == frozenset()
    assert areas.rows[1][2] == "0.64", "(0.4 / 0.5)^2"
    assert any("0.64 times that of the m4l histogram" in text for text in by_title["Result"].text)
    closure_a, closure_b = by_title["Closure"].tables
    assert closure_a.columns == ("method", "true μ_ggF = 1", "true μ_ggF = 0.5, μ_EW = 1.5", "true μ_ggF = 1, μ_EW = 2", "verdict")
    assert closure_a.rows[1][1] == "1.40 ± 0.10 (+4.0) !"
    assert closure_b.rows[1] == ("NSBI, unbinned", *closure_b.rows[1][1:4], "compatible")
    assert by_title["Left out"].text == ("Something is left out.",)
    assert "Asimov set at μ_ggF = 1, μ_EW = 1" in page.subtitle


def test_fitted_parameters_and_regions(two: Results, results: Results) -> None:
    section = fitted_section(two, ())
    assert section is not None
    assert section.tables[0].rows[0] == ("m4l histogram", "1.00 ± 0.50", "1.10 ± 0.25", "0.980 ± 0.020", "converged")
    assert fitted_section(results, ()) is None
    regions = RegionYields(
        (("SR", "unbinned", "x > 1"), ("CR", "counting", "x <= 1")),
        ("S", "q"),
        ((9.0, 40.0), (1.0, 60.0)),
        (500, 700),
        (49.0, 61.0),
        12,
        3.25,
    )
    table = region_table(regions)
    assert table.columns == ("process", "SR (unbinned)", "CR (counting)")
    assert table.rows[1] == ("q", "40.0", "60.0")
    assert "12 simulated test events, which stand for 3.2 expected events" in table.note
    assert regions.to_json()["outside_events"] == 12


def test_areas_are_compared_with_the_best_histogram(two: Results) -> None:
    assert pairs_of(two) == ((A, B),)
    assert best_histogram(two, (A, B)) == "m4l"
    ratio = {row.method: row.areas[0.95][1] for row in area_rows(two, (A, B))}
    assert ratio == {"m4l": 1.0, "nsbi": pytest.approx(0.64)}
    opened = replace(two.methods["m4l"].contours[0], lines=(((0.0, 0.0), (0.0, 1.0)),))
    methods = {**two.methods, "m4l": replace(two.methods["m4l"], contours=(opened,))}
    assert areas_page_table(replace(two, methods=methods), (A, B)).rows[0][1].endswith("*"), "an open line ends at the edge of the range"


def test_plots_of_both_parameters(two: Results) -> None:
    names = [job.name for job in result_jobs(two, judge(two), [], style=PlotStyle())]
    assert names == ["scans_mu_ggF", "closure_mu_ggF", "scans_mu_EW", "closure_mu_EW"]
    drawn = {job.name: job.draw().numbers for job in result_jobs(two, judge(two), [], style=PlotStyle())}
    assert set(drawn["scans_mu_EW"]["methods"]["nsbi"]["scan"]) == {B, "twice_delta_nll"}
    assert drawn["scans_mu_EW"]["flagged"] == {}
    assert set(drawn["scans_mu_ggF"]["flagged"]) == {"nsbi"}
    (job,) = contour_jobs(two, style=PlotStyle())
    assert job.name == "contours_mu_ggF_mu_EW"
    numbers: dict[str, Any] = job.draw().numbers
    assert numbers["truth"] == [1.0, 1.0]
    assert numbers["methods"]["m4l"][1]["level"] == 0.95
    seen = replace(two, observed=ObservedResults({"data": 9}, 9.0, {"nsbi": two.methods["nsbi"]}))
    _, data = contour_jobs(seen, style=PlotStyle())
    assert (data.part, data.name, set(data.draw().numbers["methods"])) == ("observed", "observed_contours_mu_ggF_mu_EW", {"nsbi"})
    assert "Asimov set" in [text.get_text() for text in data.draw().axes[0].get_legend().get_texts()], "data have no known truth"
    correlations = [job.draw().numbers for job in correlation_jobs(two, style=PlotStyle())]
    assert correlations[0]["drawn"] == [A, B, "t0"]
    assert correlations[0]["correlation"][0][1] == pytest.approx(0.4)


def test_a_contour_plot_shows_all_lines_and_the_legend_below_none() -> None:
    line = ((0.0, 0.5), (3.0, 1.0), (0.0, 1.5))
    contours = {"nsbi": (Contour((A, B), 0.68, 2.0, (line,), (1.0, 1.0)),)}
    figure = plot_contours(contours, truth=(1.0, 1.0))
    (low, high), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert low == 0.0
    assert high > 3.0
    assert bottom < 0.5
    assert top > 1.5 + 0.25 * (top - bottom), "room for the legend"
    assert plot_contours({}).numbers == {"truth": None, "methods": {}}


def test_the_terminal_has_a_table_per_parameter(two: Results) -> None:
    console = Console(width=160, record=True, file=None)
    with console.capture() as captured:
        console.print(Comparison(two))
    text = captured.get()
    assert text.count("from an Asimov set at μ_ggF = 1, μ_EW = 1, 140/fb") == 2
    assert "closure of μ_EW on Asimov sets" in text
    assert "areas of the contours of μ_ggF and μ_EW" in text
    assert "[0.80, 1.20]" in text
    assert "! nsbi: biased, fits mu_ggF = 0.90 ± 0.10 where 0.5 is true at mu_EW = 1.5 (4.0 standard errors)." in text


def test_hepdata_has_scans_of_every_parameter_and_the_contours(two: Results) -> None:
    files = hepdata_tables(two, binned={}, edges={}, title="two")
    tables = {name: yaml.safe_load(text) for name, text in files.items() if name != SUBMISSION}
    assert set(tables) == {
        *(f"scan_{m}_{p}.yaml" for m in ("m4l", "nsbi") for p in (A, B)),
        *(f"contours_{m}_{A}_{B}.yaml" for m in ("m4l", "nsbi")),
    }
    scan = tables[f"scan_nsbi_{B}.yaml"]
    assert scan["independent_variables"][0]["header"]["name"] == B
    assert {"name": "BEST FIT", "value": 1.1} in scan["dependent_variables"][0]["qualifiers"]
    lines = tables[f"contours_nsbi_{A}_{B}.yaml"]
    (x, y), (level, *_) = lines["independent_variables"], lines["dependent_variables"]
    assert (x["header"]["name"], y["header"]["name"]) == (A, B)
    inner, outer = two.methods["nsbi"].contours
    points = [(float(p), float(q)) for c in (inner, outer) for line in c.lines for p, q in line]
    assert [(p["value"], q["value"]) for p, q in zip(x["values"], y["values"], strict=True)] == points
    assert [v["value"] for v in level["values"]] == [68.0] * 60 + [95.0] * 60
    assert {"name": "AREA expected, 68%", "value": inner.area} in level["qualifiers"]


def with_fits(two: Results) -> Results:
    """The fit `again` in two parameters with sources of the uncertainty, `common` in one."""
    document = {
        "pulls": [{"parameter": "lumi", "pull": 0.0, "constraint": 0.9}],
        "impacts": [{"parameter": "lumi", "up": 0.1, "down": -0.2}],
        "impacts_pre_fit": [{"parameter": "lumi", "up": 0.11, "down": -0.21}],
        "impacts_auxiliary": [{"parameter": "lumi", "up": 0.09, "down": -0.19}],
        "breakdown": [{"group": "total", "up": 0.4, "down": 0.4}],
    }
    info = ParameterInfo("interest", (0.0, 4.0), 1.0)
    fits: dict[str, dict[str, MethodResult]] = {"common": {}, "again": {}}
    for name, method in two.methods.items():
        fits["common"][name] = replace(method.of(B), parameters={B: method.parameters[B]}, contours=())
        own = {p: replace(r, uncertainties=document) for p, r in method.parameters.items()}
        fits["again"][name] = replace(method, parameters=own, statistical_only=method)
    new = {"common": OtherParameters({B: info}, {"c": B, "d": f"2 * {B}"}), "again": OtherParameters({A: info, B: info}, {"c": A, "d": B})}
    return replace(two, fits=fits, fit_parameters=new)


def test_fits_in_other_parameters(two: Results) -> None:
    both = with_fits(two)
    assert Results.from_json(json.loads(json.dumps(both.to_json()))).to_json() == both.to_json()
    page = build_page(both, judge(both), None, {}, title="two", provenance=Provenance())
    sections = {s.title: s for s in page.sections}
    (summary,) = sections["All fits"].tables
    assert summary.rows[1] == (
        *("analysis", "μ_EW", "1.10", "[0.60, 1.40]", "[0.00, 1.80]*"),
        *("m4l histogram", "1.10", "[0.50, 1.50]", "[0.00, 2.00]*", "0.80"),
    )
    assert [row[:2] for row in summary.rows] == [
        ("analysis", "μ_ggF"),
        ("analysis", "μ_EW"),
        ("common", "μ_EW"),
        ("again", "μ_ggF"),
        ("again", "μ_EW"),
    ]
    assert sections["Fit common"].text == ("In this fit c = μ_EW; d = 2 * μ_EW.",)
    (table,) = sections["Fit common"].tables
    assert table.columns == ("method", "best fit μ_EW", "68 %", "95 %", "t(μ_EW = 0)"), (
        "one parameter has no others, and no closure of its own"
    )
    assert table.rows[1][:4] == ("NSBI, unbinned", "1.10", "[0.60, 1.40]", "[0.00, 1.80]*")
    titles = [t.title for t in sections["Fit again"].tables]
    assert "Areas of the contours of μ_ggF and μ_EW" in titles
    assert [t for t in titles if t.startswith("Impacts")] == [
        f"Impacts on {p}, {m}" for p in ("μ_ggF", "μ_EW") for m in ("m4l histogram", "NSBI, unbinned")
    ]
    terminal = Console(width=140, record=True, file=io.StringIO())
    terminal.print(Comparison(both))
    assert "common: μ_EW from an Asimov set at μ_EW = 1" in terminal.export_text()


def test_plots_of_fits_in_other_parameters(two: Results) -> None:
    jobs = {job.name: job for job in fit_jobs(with_fits(two), style=PlotStyle())}
    assert list(jobs) == [
        *("scans_common_mu_EW", "scans_again_mu_ggF", "scans_again_mu_EW", "contours_again_mu_ggF_mu_EW"),
        *(f"impacts_again_{p}_{m}" for p in (A, B) for m in ("m4l", "nsbi")),
    ]
    assert {job.part for job in jobs.values()} == {"fit common", "fit again"}
    assert jobs["contours_again_mu_ggF_mu_EW"].draw().numbers["truth"] == [1.0, 1.0]


def test_every_parameter_of_interest_has_its_impacts_on_the_page(two: Results) -> None:
    fit = with_fits(two).fits["again"]
    both = replace(two, methods=dict(fit))
    section = systematics_section(both, ())
    assert section is not None
    titles = [t.title for t in section.tables]
    assert titles == [
        title
        for p in ("μ_ggF", "μ_EW")
        for title in (
            f"Uncertainty of {p} and its sources",
            f"{p}, with and without systematic uncertainties",
            *(f"Impacts on {p}, {m}" for m in ("m4l histogram", "NSBI, unbinned")),
        )
    ]
    assert section.tables[2].rows == (("lumi", "0.00 ± 0.90", "+0.110 / -0.210", "+0.100 / -0.200", "+0.090 / -0.190"),)
    tables = hepdata_tables(both, binned={}, edges={}, title="two")
    assert [t for t in tables if t.startswith("nuisances")] == [f"nuisances_{m}_{p}.yaml" for p in (A, B) for m in ("m4l", "nsbi")]
    names = [job.name for job in systematics_jobs(both, style=PlotStyle())]
    assert names == [f"impacts_{p}_{m}" for p in (A, B) for m in ("m4l", "nsbi")]


def test_a_fit_that_determines_nothing_is_not_tested() -> None:
    point = ClosurePoint(1.0, 0.3, float("inf"), "rate", parameter=A, truth={A: 1.0, B: 1.0})
    back = ClosurePoint.from_json(json.loads(json.dumps(point.to_json())))
    assert [closure_verdict([p], method="rate", parameter=A).word for p in (point, back)] == ["not_tested", "not_tested"]

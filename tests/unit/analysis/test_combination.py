"""Combinations of three counting channels against formulas by hand, what parts share, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.optimize import brentq

from toolkit.analysis.combination import Combination
from toolkit.analysis.combination_results import in_parameters_of, measure_combination
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import CombineConfig
from toolkit.errors import SchemaError, ToolkitError
from toolkit.likelihood import MethodResult, Results, measure_parameters

GGF, EW, ON = (40.0, 52), (25.0, 18), (200.0, 230)
"""Expected events of the Standard Model and observed ones: off shell in both production modes, on shell."""
TRUTH = dict.fromkeys(("width", "R_gg", "R_VV", "mu_on"), 1.0)


def ratio_interval(top: tuple[float, int], bottom: tuple[float, int], level: float) -> tuple[float, float, float]:
    """Best fit and interval of w where counts are Poisson with means s w m and r m: the profile of m is (n + k)/(s w + r)."""
    (s, n), (r, k) = top, bottom
    best = (n / s) / (k / r)

    def t(w: float) -> float:
        m = (n + k) / (s * w + r)
        return 2.0 * (n * math.log(n / (s * w * m)) + k * math.log(k / (r * m))) - level

    return brentq(t, 1e-3, best, xtol=1e-13), best, brentq(t, best, 20.0, xtol=1e-13)


def counts(expected: float, factor: str, observed: float | None = None, **more: Any) -> dict[str, Any]:
    return {"counts": {"processes": {"H": {"expected": expected, "factor": factor, **more}}, "observed": observed}}


def config(**sections: Any) -> CombineConfig:
    parts = {"ggF": counts(GGF[0], "mu_ggF", GGF[1]), "EW": counts(EW[0], "mu_EW", EW[1]), "on": counts(ON[0], "mu_on", ON[1])}
    document = {"parts": parts, "luminosity_ifb": 140.0, "observed": True, "scan_points": 41, "parameterisations": ["width"], **sections}
    return CombineConfig.model_validate(document)


def measured(made: CombineConfig, tmp_path: Path) -> Results:
    combination = Combination.open(made)
    data = (False, True) if made.observed else (False,)
    workspaces = {(m, seen): combination.workspace(m, observed=seen, folder=tmp_path) for m in combination.methods for seen in data}
    return measure_combination(combination, workspaces, tasks=FinishedTasks())[0]


def ends(result: MethodResult, parameter: str) -> tuple[float, float, float, float, float]:
    own = result.parameters[parameter]
    ((inner, outer),) = [(i, o) for i, o in zip(own.interval_68, own.interval_95, strict=True)]
    return outer.low, inner.low, own.best_fit, inner.high, outer.high


def by_hand(top: tuple[float, int], bottom: tuple[float, int], root: Callable[[float], float] = float) -> tuple[float, ...]:
    low, best, high = ratio_interval(top, bottom, 1.0)
    lowest, _, highest = ratio_interval(top, bottom, 3.841458820694124)
    return tuple(root(x) for x in (lowest, low, best, high, highest))


def test_width_and_ratios_of_couplings_are_those_of_the_formulas(tmp_path: Path) -> None:
    """Off shell in proportion to the strengths, no background: everything is a ratio of two Poisson means."""
    wide = {name: {"range": [0, 12]} for name in ("width", "R_gg", "R_VV")} | {"mu_on": {"range": [0.2, 6]}}
    combination = Combination.open(config(parameterisations=["width", "R_gg", "R_VV", "R_gg_R_VV"], parameters=wide))
    likelihood = combination.workspace("counts", observed=True, folder=tmp_path).likelihood()
    found = {
        fit.name: measure_parameters(
            in_parameters_of(fit, likelihood), method="counts", interest=fit.interest, truth=TRUTH, points=21, contours=False
        )
        for fit in combination.fits
    }
    both_modes, known = (GGF[0] + EW[0], GGF[1] + EW[1]), (EW[0] + ON[0], EW[1] + ON[1])
    assert ends(found["width"], "width") == pytest.approx(by_hand(both_modes, ON), abs=1e-6)
    assert ends(found["R_gg"], "R_gg") == pytest.approx(by_hand(GGF, known), abs=1e-6)
    assert ends(found["R_gg_R_VV"], "R_VV") == pytest.approx(by_hand(EW, ON, math.sqrt), abs=1e-6)
    mu = {name: n / s for name, (s, n) in {"ggF": GGF, "EW": EW, "on": ON}.items()}
    ratio = found["R_gg_R_VV"].parameters["R_gg"].best_fit
    assert ratio == pytest.approx(mu["ggF"] / math.sqrt(mu["EW"] * mu["on"]), abs=1e-6)
    # one R_VV for both modes: the profile of its likelihood in m is again in closed form
    assert found["R_VV"].parameters["R_VV"].best_fit == pytest.approx(_best_r_vv(), abs=1e-6)


def _best_r_vv() -> float:
    """Maximise ln L of R: means 40 R m, 25 R^2 m, 200 m with m = sum of counts / (40 R + 25 R^2 + 200)."""

    def slope(r: float) -> float:
        a, b = GGF[0], EW[0]
        total = a * r + b * r * r + ON[0]
        return (GGF[1] + 2 * EW[1]) / r - (GGF[1] + EW[1] + ON[1]) * (a + 2 * b * r) / total

    return float(brentq(slope, 0.1, 5.0, xtol=1e-13))


def test_the_asimov_set_gives_the_truth_and_its_own_interval(tmp_path: Path) -> None:
    raised = {name: {"truth": 1.2, "range": [0.2, 6]} for name in ("mu_on", "mu_ggF", "mu_EW")}
    made = config(observed=False, parameters={"width": {"range": [0, 12]}, **raised})
    found = measured(made, tmp_path)
    expected = ratio_interval((GGF[0] + EW[0], 78), (ON[0], 240), 1.0)  # 1.2 times the Standard Model everywhere
    own = found.methods["counts"].parameters["width"]
    assert (own.interval_68[0].low, own.best_fit, own.interval_68[0].high) == pytest.approx(expected, abs=1e-6)
    assert found.observed is None


def test_two_parameters_have_contours(tmp_path: Path) -> None:
    """Counts of 1000 and 2000: an ellipse of area 2.30 pi times the root of the determinant of the covariance."""
    parts = {"ggF": counts(1000.0, "mu_ggF"), "on": counts(2000.0, "mu_ggF_on")}
    made = config(
        parts=parts,
        observed=False,
        parameterisations=["production"],
        parameters={n: {"range": [0.7, 1.3]} for n in ("mu_ggF", "mu_ggF_on")},
    )
    found = measured(made, tmp_path)
    assert found.interest == ("mu_ggF", "mu_ggF_on")
    area = next(c.area for c in found.methods["counts"].contours if c.level == 0.68)
    assert area == pytest.approx(2.2957 * math.pi / math.sqrt(1000.0 * 2000.0), rel=0.01)


def pyhf_file(path: Path, expected: float, observed: float) -> Path:
    sample = {"name": "H", "data": [expected], "modifiers": [{"name": "mu", "type": "normfactor", "data": None},
              {"name": "scale", "type": "normsys", "data": {"hi": 1.05, "lo": 0.95}}]}  # fmt: skip
    document = {
        "version": "1.0.0",
        "channels": [{"name": path.stem, "samples": [sample]}],
        "observations": [{"name": path.stem, "data": [observed]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [{"name": "mu", "inits": [1.0], "bounds": [[0.0, 6.0]]}]}}],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_pyhf_files_share_what_the_config_says(tmp_path: Path) -> None:
    """Three equal channels with an uncertainty of 5 %: shared it leaves the ratio alone, apart it widens it."""
    parts = {
        name: {"workspace": str(pyhf_file(tmp_path / f"{name}.json", s, n)), "rename": {"mu": new}}
        for name, (s, n), new in (("ggF", (2000.0, 2000), "mu_ggF"), ("on", (2000.0, 2000), "mu_ggF_on"))
    }
    ranges = {"width": {"range": [0.5, 2]}, "mu_ggF_on": {"range": [0.5, 2]}}
    lengths = {}
    for correlations in ("by_name", []):
        made = config(parts=parts, correlations=correlations, parameters=ranges, observed=False, scan_points=11)
        combination = Combination.open(made)
        assert set(combination.groups) == ({"shared"} if correlations == "by_name" else {"ggF", "on"})
        result = measured(made, tmp_path).methods["counts"]
        lengths[str(correlations)] = result.interval_68[0].high - result.interval_68[0].low
        low, _, high = ratio_interval((2000.0, 2000), (2000.0, 2000), 1.0)
        assert result.statistical_only is not None
        one = result.statistical_only.interval_68[0]
        assert (one.low, one.high) == pytest.approx((low, high), abs=1e-5)
    assert lengths["by_name"] == pytest.approx(high - low, rel=1e-3)
    assert lengths["[]"] == pytest.approx(math.hypot(high - low, 2 * 0.05 * math.sqrt(2.0)), rel=0.02)
    impacts = result.uncertainties["impacts_pre_fit"]  # type: ignore[index]
    assert sorted(i["parameter"] for i in impacts) == ["scale_ggF", "scale_on"]
    assert [abs(i["up"]) for i in impacts] == pytest.approx([0.05, 0.05], abs=0.004)


def test_networks_of_two_runs_are_uncertain_apart(tmp_path: Path) -> None:
    parts = {}
    for name, new in (("ggF", "mu_ggF"), ("on", "mu_ggF_on")):
        path = pyhf_file(tmp_path / f"{name}.json", 2000.0, 2000)
        path.write_text(path.read_text().replace('"scale"', '"network_1"'))
        parts[name] = {"workspace": str(path), "rename": {"mu": new}}
    ranges = {"width": {"range": [0.5, 2]}, "mu_ggF_on": {"range": [0.5, 2]}}
    combination = Combination.open(config(parts=parts, parameters=ranges, observed=False))
    assert combination.config.correlations == "by_name"
    assert {new for own in combination.rename["counts"].values() for old, new in own.items() if old == "network_1"} == {
        "network_1_ggF",
        "network_1_on",
    }


def test_a_part_is_expected_at_its_own_truth(tmp_path: Path) -> None:
    """Two parts call different things `mu`; what one of them renames stands under its new name alone."""
    parts = {"off": {**counts(40.0, "mu"), "rename": {"mu": "mu_ggF"}}, "control": counts(100.0, "mu"), "on": counts(200.0, "mu_ggF_on")}
    combination = Combination.open(config(parts=parts, observed=False, parameters={"mu": {"truth": 2.0}}))
    document = combination.workspace("counts", observed=False, folder=tmp_path).document
    assert [entry["data"] for entry in document["observations"]] == [[40.0], [200.0], [200.0]]


def test_ranges_and_fixed_parameters_are_those_of_the_part_that_has_them(tmp_path: Path) -> None:
    path = pyhf_file(tmp_path / "theirs.json", 100.0, 100.0)
    document = json.loads(path.read_text())
    document["channels"][0]["samples"][0]["modifiers"].append({"name": "k", "type": "normfactor", "data": None})
    fixed = {"name": "k", "inits": [1.5], "bounds": [[0.0, 4.0]], "fixed": True}
    document["measurements"][0]["config"]["parameters"] = [{"name": "mu", "inits": [1.0], "bounds": [[0.5, 2.0]]}, fixed]
    path.write_text(json.dumps(document))
    parts = {"first": counts(40.0, "mu_ggF"), "theirs": {"workspace": str(path), "rename": {"mu": "mu_ggF"}}}
    made = config(parts=parts, observed=False, parameterisations=["production"])
    combination = Combination.open(made)
    assert (combination.parameters["mu_ggF"].low, combination.parameters["mu_ggF"].high) == (0.5, 2.0)
    result = measured(made, tmp_path).methods["counts"]
    own = result.statistical_only
    assert own is not None
    assert (own.interval_68[0].high - own.interval_68[0].low) / 2 == pytest.approx(1 / math.sqrt(40.0 + 150.0), rel=0.02), "k stays 1.5"
    parts["second"] = {"workspace": str(pyhf_file(tmp_path / "second.json", 50.0, 50.0)), "rename": {"mu": "k"}}
    with pytest.raises(ToolkitError, match="fixed in one of the parts theirs and second"):
        Combination.open(config(parts=parts, observed=False, parameterisations=["production"]))
    with pytest.raises(ToolkitError, match="some of"):
        Combination.open(
            config(
                parts={**parts, "second": counts(9.0, "b")},
                parameterisations=[],
                fits={"m": {"parameters": {"c": {}}, "express": {"k": "c"}}},
            )
        )


def test_lists_of_correlations_hold_old_and_new_names() -> None:
    parts = {
        name: {**counts(9.0, "mu", uncertainties={f"jes_{name}": 1.1, "pdf": 1.2}), "rename": {f"jes_{name}": "jes"}} for name in ("a", "b")
    }
    made = config(parts=parts, correlations=["jes"], parameterisations=[], fits={"m": {"interest": ["mu"]}})
    assert Combination.open(made).groups == {"shared": ("jes",), "a": ("pdf_a",), "b": ("pdf_b",)}


def test_luminosities_are_one_parameter_only_where_the_config_says_so() -> None:
    parts = {name: counts(9.0, "mu") for name in ("a", "b")}
    for section in parts.values():
        section["counts"]["luminosity_uncertainty"] = 0.02
    fits = {"m": {"interest": ["mu"]}}
    for correlations, groups in (("by_name", {"luminosity": ("lumi",)}), ([], {"a": ("lumi_a",), "b": ("lumi_b",)})):
        assert Combination.open(config(parts=parts, correlations=correlations, parameterisations=[], fits=fits)).groups == groups


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"parameterisations": ["kappa"]}, "one strength mu_on on shell"),
        ({"parts": {"on": counts(200.0, "mu_on", 1.0)}}, "at least one of"),
        ({"parts": {"off": counts(40.0, "mu_ggF", 1.0)}}, "mu_ggF_on"),
        ({"correlations": ["jes"]}, "jes"),
        ({"methods": ["nsbi"]}, "no part is a run"),
        ({"parameters": {"mu_x": {}}}, "mu_x"),
        ({"parameters": {"mu_on": {"truth": 2.0}}}, "mu_ggF = 2 at the truth"),
        ({"fits": {"mine": {"parameters": {"k": {}}, "express": {"mu_on": "k * z"}}}}, "no parameters .'z'"),
        ({"fits": {"mine": {"parameters": {"k": {}}, "express": {"mu_z": "k"}}}}, "mu_z"),
        ({"luminosity_ifb": None}, "luminosity"),
        ({"parts": {"run": {"run": "nowhere"}}}, "no such folder"),
        ({"parts": {"off": {"workspace": "nowhere.json"}}}, "nowhere.json"),
        ({"parts": {"off": {**counts(40.0, "mu_ggF"), "rename": {"nu": "mu"}}}}, "nu"),
        (
            {"parts": {"a": counts(9.0, "mu * (1 + 0.1 * jes)"), "b": counts(9.0, "mu", uncertainties={"jes": 1.1})}},
            "free parameter in part a",
        ),
        ({"parts": {"a": {**counts(9.0, "mu", uncertainties={"jes": 1.1}), "rename": {"jes": "mu"}}}}, "parameter 'mu'"),
        ({"parts": {"a": counts(9.0, "mu * lumi")}}, "lumi as a free parameter"),
        ({"fits": {"mine": {"parameters": {"mu_on": {}, "k": {}}, "express": {"mu_ggF": "mu_on * k"}}}}, "'mu_on'., which the parts have"),
        ({"fits": {"mine": {"parameters": {"k": {}, "z": {}}, "express": {"mu_on": "k"}}}}, "nothing depends on the parameter 'z'"),
        ({"fits": {"mine": {"parameters": {"k": {}}, "express": {"mu_ggF": "1 / k"}}}}, "part ggF, coefficient mu_ggF"),
        ({"fits": {"mine": {"parameters": {"k": {"range": [-1, 4]}}, "express": {"mu_ggF": "sqrt(k)"}}}}, "no finite value at k = -1"),
        (
            {"parts": {"off": counts(40.0, "mu_ggF"), "on": counts(200.0, "mu_ggF_on")}, "parameterisations": ["kappa"]},
            "nothing tells the parameters .'kappa_g', 'kappa_V'. apart",
        ),
        (
            {"parts": {"off": counts(40.0, "mu_ggF"), "on": counts(200.0, "mu_ggF_on")}, "parameterisations": ["R_gg_R_VV"]},
            "nothing tells the parameters .'R_gg', 'R_VV'. apart",
        ),
    ],
)
def test_what_cannot_be_combined_is_refused(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolkitError, match=words) as caught:
        _ = Combination.open(config(**sections)).luminosity_ifb
    assert caught.value.expected


def test_observed_events_must_be_everywhere(tmp_path: Path) -> None:
    made = config(parts={"ggF": counts(40.0, "mu_ggF", 52.0), "on": counts(200.0, "mu_on")})
    combination = Combination.open(made)
    with pytest.raises(SchemaError, match="no observed events"):
        combination.workspace("counts", observed=True, folder=tmp_path)

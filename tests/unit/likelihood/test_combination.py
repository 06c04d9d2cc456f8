"""Combinations of workspaces: the product of the single likelihoods, correlations by name, the width, refusals."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest

from tests.unit.likelihood.systematics_toy import channel
from tests.unit.likelihood.systematics_workspace import AnalyticRatio, control_region, document, write_files
from toolkit.errors import SchemaError
from toolkit.likelihood import Parameter, Workspace, make_document, morphing_expressions
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.histfactory import quiet_schema

LUMI = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.8, 1.2]]}
MU = {"name": "mu", "inits": [1.0], "bounds": [[0.0, 5.0]]}


def normsys(name: str, hi: float, lo: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}


def counting(name: str, *modifiers: dict[str, Any], observed: float = 58.0, parameters: Any = (MU,)) -> Workspace:
    samples = [
        {"name": "s", "data": [10.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        {"name": "b", "data": [50.0], "modifiers": list(modifiers)},
    ]
    config = {"poi": "mu", "parameters": copy.deepcopy(list(parameters))}
    return Workspace(
        {
            "version": "1.0.0",
            "channels": [{"name": name, "samples": samples}],
            "observations": [{"name": name, "data": [observed]}],
            "measurements": [{"name": "m", "config": config}],
        }
    )


def points(likelihood: Any, n: int = 20) -> list[dict[str, float]]:
    rng = np.random.default_rng(6)
    return [
        {p.name: float(np.clip(p.init + rng.normal(0.0, 0.3 if p.low < 0.0 else 0.05), p.low, p.high)) for p in likelihood.parameters}
        for _ in range(n)
    ]


def test_the_product_with_shared_constraints_counted_once() -> None:
    one, two = counting("a", normsys("jes", 1.1, 0.9), normsys("own", 1.05, 0.96)), counting("b", normsys("jes", 0.97, 1.02), observed=70.0)
    both = Workspace.combine({"one": one, "two": two}).likelihood()
    assert set(both.parameter_names) == {"mu", "jes", "own"}
    first, second = one.likelihood(), two.likelihood()
    for at in points(both):
        parts = [t.twice_nll({n: at[n] for n in t.parameter_names}) for t in (first, second)]
        assert both.twice_nll(at) == pytest.approx(sum(parts) - Constraint("jes").twice_nll(at["jes"]), rel=1e-9)


def test_a_rename_decorrelates_and_gives_pyhfs_own_combination() -> None:
    one, two = counting("a", normsys("jes", 1.1, 0.9)), counting("b", normsys("jes", 0.97, 1.02), observed=70.0)
    both = Workspace.combine({"one": one, "two": two}, rename={"two": {"jes": "jes_2"}})
    likelihood = both.likelihood()
    assert set(likelihood.parameter_names) == {"mu", "jes", "jes_2"}
    for at in points(likelihood):
        parts = one.likelihood().twice_nll({n: at[n] for n in ("mu", "jes")}) + two.likelihood().twice_nll(
            {"mu": at["mu"], "jes": at["jes_2"]}
        )
        assert likelihood.twice_nll(at) == pytest.approx(parts, rel=1e-9)
    with quiet_schema():
        theirs = pyhf.Workspace.combine(
            pyhf.Workspace(one.document),
            pyhf.Workspace(two.document).rename(modifiers={"jes": "jes_2"}, measurements={"m": "n"}),
            join="none",
        )
        model = theirs.model(measurement_name="m")
    at = points(likelihood, 1)[0]
    value = -2.0 * float(model.logpdf([at[n] for n in model.config.par_names], theirs.data(model))[0])
    assert likelihood.twice_nll(at) == pytest.approx(value, rel=1e-9)
    assert both.is_pyhf
    assert one.document["channels"][0]["samples"][1]["modifiers"][0]["name"] == "jes"


def test_unbinned_and_binned_workspaces_of_different_folders(tmp_path: Path) -> None:
    toy = channel(300)
    (tmp_path / "events").mkdir()
    (tmp_path / "all").mkdir()
    write_files(tmp_path / "events", toy)
    unbinned = Workspace(document(toy), folder=tmp_path / "events")
    config = {"poi": "t0", "parameters": [{"name": "t0", "inits": [1.0], "bounds": [[0.5, 1.5]]}, LUMI]}
    region = {
        "version": "1.0.0",
        "channels": [control_region()],
        "observations": [{"name": "cr", "data": [104.0, 47.0]}],
        "measurements": [{"name": "m", "config": config}],
    }
    t0 = next(p for p in unbinned.document["measurements"][0]["config"]["parameters"] if p["name"] == "t0")
    region["measurements"][0]["config"]["parameters"][0] = copy.deepcopy(t0)
    parts = {"sr": unbinned, "cr": Workspace(region, folder=tmp_path)}
    combined = Workspace.combine(parts, folder=tmp_path / "all")
    combined.save(tmp_path / "all" / "combined.json")
    both = Workspace.load(tmp_path / "all" / "combined.json").likelihood(open_ratio=AnalyticRatio)
    first, second = (p.likelihood(open_ratio=AnalyticRatio) for p in parts.values())
    shared = {c.parameter: c for c in first.constraints}
    shared = {n: shared[n] for n in shared if n in {c.parameter for c in second.constraints}}
    assert set(shared) == {"scale", "lumi"}
    heights = []
    for at in points(both):
        sum_of_parts = sum(t.twice_nll({n: at[n] for n in t.parameter_names}) for t in (first, second))
        counted_twice = sum(c.twice_nll(at[n]) for n, c in shared.items())
        heights.append((both.twice_nll(at), sum_of_parts - counted_twice))
    ours, theirs = np.array(heights).T
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), rtol=1e-9, atol=1e-8)
    assert [c.parameter for c in both.constraints].count("scale") == 1


def test_the_width_from_an_off_shell_shape_and_an_on_shell_count() -> None:
    """mu_off -> mu_on gamma: Asimov data at gamma = 1.6, mu_on = 1.1 give them back, with a systematic in common."""
    f = morphing_expressions(parameter="mu_off", n_backgrounds=1)
    templates = np.array([[30.0, 60.0], [300.0, 200.0], [330.0, 120.0], [400.0, 90.0]])
    mu_off = 1.1 * 1.6
    values = np.array([mu_off - np.sqrt(mu_off), np.sqrt(mu_off), 1.0 - np.sqrt(mu_off), 1.0])
    jes = normsys("jes", 1.03, 0.97)
    samples = [
        {"name": f"p{j}", "data": row.tolist(), "modifiers": [{"name": f"f{j}", "type": "morphing", "data": {"coefficient": f[j]}}, jes]}
        for j, row in enumerate(templates)
    ]
    off = Workspace(
        make_document(
            parameters=[Parameter("mu_off", 1.0, 0.0, 10.0)], channels=[({"name": "off", "samples": samples}, values @ templates)]
        )
    )
    on = counting("on", jes, observed=50.0 + 10.0 * 1.1, parameters=[{**MU, "bounds": [[0.1, 3.0]]}])
    expressions = {"mu_off": "mu_on * gamma"}
    gamma = Parameter("gamma", 1.0, 0.0, 20.0)
    both = Workspace.combine(
        {"off": off, "on": on}, rename={"on": {"mu": "mu_on"}}, express=expressions, parameters=[gamma], poi="gamma"
    ).likelihood()
    assert both.poi == "gamma"
    assert set(both.parameter_names) == {"gamma", "mu_on", "jes"}
    fit = both.fit()
    assert fit.parameters["gamma"] == pytest.approx(1.6, abs=1e-5)
    assert fit.parameters["mu_on"] == pytest.approx(1.1, abs=1e-5)
    single = off.likelihood().twice_nll({"mu_off": 1.2 * 0.7, "jes": 0.3}) + on.likelihood().twice_nll({"mu": 1.2, "jes": 0.3})
    at = {"gamma": 0.7, "mu_on": 1.2, "jes": 0.3}
    assert both.twice_nll(at) == pytest.approx(single - Constraint("jes").twice_nll(0.3), rel=1e-9)


def test_normfactors_become_expressions_and_equal_names_of_coefficients_are_kept_apart() -> None:
    one, two = counting("a"), counting("b", observed=70.0)
    both = Workspace.combine(
        {"one": one, "two": two},
        rename={"two": {"mu": "mu_b"}},
        express={"mu": "kappa ** 2", "mu_b": "kappa ** 4"},
        parameters=[Parameter("kappa", 1.0, 0.0, 2.0)],
        poi="kappa",
    ).likelihood()
    assert both.parameter_names == ("kappa",)
    expected = one.likelihood().twice_nll(1.2**2) + two.likelihood().twice_nll(1.2**4)
    assert both.twice_nll(1.2) == pytest.approx(expected, rel=1e-9)

    def tied(name: str, text: str) -> Workspace:
        part = counting(name)
        part.document["channels"][0]["samples"][0]["modifiers"] = [{"name": "f", "type": "morphing", "data": {"coefficient": text}}]
        return Workspace(part.document)

    clash = Workspace.combine({"one": tied("a", "mu"), "two": tied("b", "mu ** 2")})
    assert clash.ties == {"f": "mu", "f_b_s": "mu ** 2"}


@pytest.mark.parametrize(
    ("one", "two", "options", "match"),
    [
        (counting("a"), counting("a"), {}, "channel 'a'"),
        (counting("a", normsys("x", 1.1, 0.9)), counting("b", {"name": "x", "type": "normfactor", "data": None}), {}, "constraint of 'x'"),
        (
            counting("a", {"name": "lumi", "type": "lumi", "data": None}, parameters=[MU, LUMI]),
            counting("b", {"name": "lumi", "type": "lumi", "data": None}, parameters=[MU, {**LUMI, "sigmas": [0.03]}]),
            {},
            "constraint of 'lumi'",
        ),
        (
            counting("a", normsys("x", 1.1, 0.9), parameters=[MU, {"name": "x", "auxdata": [0.5]}]),
            counting("b", normsys("x", 1.1, 0.9)),
            {},
            "constraint of 'x'",
        ),
        (
            counting("a", {"name": "stat", "type": "staterror", "data": [2.0]}),
            counting("b", {"name": "stat", "type": "staterror", "data": [2.0]}),
            {},
            "one parameter per bin",
        ),
        (counting("a"), counting("b", parameters=[{**MU, "bounds": [[0.0, 9.0]]}]), {}, "parameter 'mu'"),
        (counting("a"), counting("b"), {"rename": {"two": {"nu": "x"}}}, "renames of 'two'"),
        (counting("a"), counting("b"), {"rename": {"three": {}}}, "labels among"),
        (counting("a"), counting("b"), {"express": {"mu": "exp(x)"}, "poi": "x"}, "only function"),
        (counting("a"), counting("b"), {"express": {"mu": "x"}}, "is an expression"),
        (counting("a", normsys("x", 1.1, 0.9)), counting("b"), {"express": {"x": "mu"}}, "free parameters"),
        (
            counting("a", normsys("x", 1.1, 0.9), parameters=[MU, {"name": "x", "inits": [0.0], "bounds": [[-5.0, 5.0]], "fixed": True}]),
            counting("b", normsys("x", 1.1, 0.9)),
            {},
            "fixed in 'one', free in 'two'",
        ),
    ],
)
def test_contradictions_are_refused(one: Workspace, two: Workspace, options: dict[str, Any], match: str) -> None:
    with pytest.raises(SchemaError, match=match):
        Workspace.combine({"one": one, "two": two}, **options)


def test_the_luminosity_by_another_name_is_the_same_likelihood() -> None:
    """Two data sets of 2 % and 3 %, apart; ranges of what is constrained need not agree."""
    one, two = (
        counting(
            name,
            {"name": "lumi", "type": "lumi", "data": None},
            parameters=[MU, {**LUMI, "sigmas": [s], "bounds": [[1 - 9 * s, 1 + 9 * s]]}],
        )
        for name, s in (("a", 0.02), ("b", 0.03))
    )
    likelihood = Workspace.combine({"one": one, "two": two}, rename={"two": {"lumi": "lumi_two"}}).likelihood()
    assert set(likelihood.parameter_names) == {"mu", "lumi", "lumi_two"}
    plain, other = one.likelihood(), two.likelihood()
    for mu, first, second in ((0.5, 1.03, 0.95), (1.8, 0.97, 1.02)):
        expected = plain.twice_nll({"mu": mu, "lumi": first}) + other.twice_nll({"mu": mu, "lumi": second})
        start = plain.twice_nll({"mu": 1.0, "lumi": 1.0}) + other.twice_nll({"mu": 1.0, "lumi": 1.0})
        found = [likelihood.twice_nll({"mu": m, "lumi": a, "lumi_two": b}) for m, a, b in ((mu, first, second), (1.0, 1.0, 1.0))]
        assert found[0] - found[1] == pytest.approx(expected - start, abs=1e-9)
    wide = counting("b", {"name": "lumi", "type": "lumi", "data": None}, parameters=[MU, {**LUMI, "bounds": [[0.5, 1.1]]}])
    shared = Workspace.combine({"one": one, "two": wide}).likelihood()
    (lumi,) = (p for p in shared.parameters if p.name == "lumi")
    assert (lumi.low, lumi.high) == (0.5, pytest.approx(1.18))


def test_a_definition_settles_different_ranges() -> None:
    parts = {"one": counting("a"), "two": counting("b", parameters=[{**MU, "bounds": [[0.0, 9.0]]}])}
    (mu,) = Workspace.combine(parts, parameters=[Parameter("mu", 1.0, 0.0, 7.0)]).likelihood().parameters
    assert (mu.low, mu.high) == (0.0, 7.0)


@pytest.mark.parametrize("build", [lambda: Workspace.combine({})])
def test_nothing_is_no_combination(build: Callable[[], Any]) -> None:
    with pytest.raises(SchemaError, match="0 workspaces"):
        build()

"""HS3 documents as workspaces: what RooFit wrote is the likelihood that it was made from, and what a workspace lacks is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.likelihood.binned_workspace import binned
from toolkit.errors import SchemaError
from toolkit.likelihood import Workspace
from toolkit.likelihood.base import Likelihood

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "roofit_hs3.json"
DOCUMENT: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


def load(folder: Path, document: dict[str, Any]) -> Workspace:
    (folder / "hs3.json").write_text(json.dumps(document), encoding="utf-8")
    return Workspace.load(folder / "hs3.json")


def points(likelihood: Likelihood) -> list[dict[str, float]]:
    rng, start = np.random.default_rng(2), {p.name: p.init for p in likelihood.parameters}
    reach = {p.name: (max(p.low - p.init, -1.0), min(p.high - p.init, 1.0)) for p in likelihood.parameters}
    return [start, *({n: x + 0.3 * float(rng.uniform(*reach[n])) for n, x in start.items()} for _ in range(30))]


def channel(document: dict[str, Any], name: str) -> Any:
    return next(d for d in document["distributions"] if d["name"] == name)


def modifier(document: dict[str, Any], kind: str) -> Any:
    return next(m for s in channel(document, "sr")["samples"] for m in s["modifiers"] if m["type"] == kind)


def test_what_roofit_wrote_is_the_likelihood_that_it_read() -> None:
    ours, theirs = Workspace(binned()).likelihood(), Workspace.load(GOLDEN).likelihood()
    assert {p.name: p for p in ours.parameters} == {p.name: p for p in theirs.parameters}
    assert ours.poi == theirs.poi
    first, *others = [(ours.twice_nll(p), theirs.twice_nll(p)) for p in points(ours)]
    for mine, other in others:
        assert other - first[1] == pytest.approx(mine - first[0], rel=2e-6, abs=2e-6)


def test_a_formula_is_a_morphing_coefficient(tmp_path: Path) -> None:
    def to_formula(document: dict[str, Any]) -> None:
        document["functions"] = [{"name": "f", "type": "generic_function", "expression": "mu^2 - sqrt(mu)"}]
        for sample in channel(document, "sr")["samples"]:
            for m in sample["modifiers"]:
                if m.get("parameter") == "c_I":
                    m.clear()
                    m.update(type="custom", name="f")

    workspace = load(tmp_path, changed(to_formula))
    assert workspace.ties == {"f": "mu**2 - sqrt(mu)"}
    at = {p.name: p.init for p in workspace.likelihood().parameters} | {"mu": 1.5}
    plain = Workspace.load(GOLDEN).likelihood()
    assert workspace.likelihood().twice_nll(at) == pytest.approx(plain.twice_nll({**at, "c_I": 2.25 - np.sqrt(1.5)}), rel=1e-12)


def test_a_constrained_factor_keeps_its_constraint(tmp_path: Path) -> None:
    gaussian = {"name": "k", "type": "gaussian_dist", "x": "nominal_c_I", "mean": "c_I", "sigma": 0.1}
    point = {"name": "nominal_c_I", "value": 0.9, "const": True}

    def constrain(document: dict[str, Any]) -> None:
        document["distributions"].append(gaussian)
        document["parameter_points"][0]["parameters"].append(point)

    likelihood = load(tmp_path, changed(constrain)).likelihood()
    own = next(c for c in likelihood.constraints if c.parameter == "c_I")
    assert (own.observed, own.scale, own.kind) == (0.9, 0.1, "gaussian")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d["distributions"].append({"name": "peak", "type": "crystalball_dist"}), "peak: crystalball_dist"),
        (lambda d: modifier(d, "normsys").update(interpolation=1), "interpolation 1"),
        (lambda d: modifier(d, "staterror").update(constraint_type="Poisson"), "Poisson"),
        (lambda d: modifier(d, "shapesys").update(constraint_type="Lognormal"), "Lognormal"),
        (lambda d: modifier(d, "normfactor").update(type="custom"), "nothing of this name"),
        (lambda d: modifier(d, "shapesys").update(type="morph"), "a modifier of HistFactory"),
        (lambda d: d["data"].clear(), "data of channel"),
        (lambda d: channel(d, "sr")["samples"][0].pop("data"), "KeyError"),
    ],
)
def test_what_a_workspace_does_not_have_is_refused(change: Callable[[dict[str, Any]], object], match: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=match):
        load(tmp_path, changed(change))

"""Finished runs as parts of a combination: each method by itself, observed beside expected, and runs that do not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.analysis.finished_runs import make_run as make_tables
from toolkit.analysis.combination import Combination
from toolkit.analysis.combination_results import measure_combination
from toolkit.artifacts.checksums import write_checked_json
from toolkit.artifacts.events import read_events
from toolkit.artifacts.hashing import file_sha256
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import CombineConfig
from toolkit.errors import ToolkitError
from toolkit.likelihood import BinnedLikelihood, MethodResult, ObservedResults, Results, Scan, Workspace, make_document

BINS = {"m4l": [60.0, 40.0], "nsbi": [20.0, 80.0]}
"""Expected signal of a background of 300 events, in two bins: the second method divides it better."""
SEEN = {"m4l": [215.0, 195.0], "nsbi": [172.0, 238.0]}


def make_run(folder: Path, *, truth: float = 1.0, observed: bool = True) -> Path:
    """Write what the fit of a run leaves: its results, and a workspace per method."""
    methods = {}
    for name, signal in BINS.items():
        expected = [150.0 + truth * s for s in signal]
        for data, tail in ((expected, ""), (SEEN[name], "_observed"))[: 1 + observed]:
            likelihood = BinnedLikelihood(templates=[signal, [150.0, 150.0]], data=data, coefficients=("mu", "1"), parameters=("mu",),
                                          bounds={"mu": (0.0, 4.0)}, processes=("S", "B"), channel=f"{folder.name}_{name}")  # fmt: skip
            document = make_document(parameters=likelihood.parameters, binned=[likelihood])
            (folder / "workspace").mkdir(parents=True, exist_ok=True)
            Workspace(document).save(folder / "workspace" / f"{name}{tail}.json")
        methods[name] = MethodResult(name, truth, None, (), (), Scan([0.0, 1.0], [1.0, 0.0], parameter="mu"))
    seen = ObservedResults({"data": 410}, 400.0, methods) if observed else None
    results = Results("mu", {"mu": truth}, 36.1, {}, methods, observed=seen)
    (folder / "workspace/fit.json").write_text(json.dumps(results.to_json()), encoding="utf-8")
    return folder


def config(runs: dict[str, Path], **sections: Any) -> CombineConfig:
    parts: dict[str, Any] = {name: {"run": str(folder), "rename": {"mu": "mu_ggF"}} for name, folder in runs.items()}
    counts = {"processes": {"H": {"expected": 1e6, "factor": "mu_ggF_on"}}, "observed": 1e6}
    document = {"parts": {**parts, "on": {"counts": counts}}, "parameterisations": ["width"], "scan_points": 21, **sections}
    return CombineConfig.model_validate(document)


def test_every_method_is_combined_by_itself(tmp_path: Path) -> None:
    """The strength on shell is known to 0.1 %, so that the width is the strength of each method of the run."""
    made = config({"off": make_run(tmp_path / "run")}, observed=True, parameters={"mu_ggF_on": {"range": [0.9, 1.1]}})
    combination = Combination.open(made)
    assert (combination.methods, combination.luminosity_ifb) == (("m4l", "nsbi"), 36.1)
    workspaces = {(m, seen): combination.workspace(m, observed=seen, folder=tmp_path) for m in BINS for seen in (False, True)}
    assert [c["name"] for c in workspaces["m4l", False].document["channels"]] == ["off_run_m4l", "on"]
    results, agreements = measure_combination(combination, workspaces, tasks=FinishedTasks())
    assert results.observed is not None
    assert (results.observed.counts, results.observed.expected) == ({"off": 410, "on": 1_000_000}, pytest.approx(1_000_400.0))
    for name in BINS:
        alone = Workspace.load(tmp_path / f"run/workspace/{name}_observed.json").likelihood().fit()
        assert results.observed.methods[name].mu_hat == pytest.approx(alone.parameters["mu"], rel=1e-5)
        ((low, high),) = [(i.low, i.high) for i in results.methods[name].interval_68]
        assert (high - low) / 2 == pytest.approx(alone.errors["mu"], rel=0.1)
        (agreement,) = [a for a in agreements if a.method == name and a.observed]
        assert agreement.twice_delta_nll == pytest.approx(((alone.parameters["mu"] - 1.0) / alone.errors["mu"]) ** 2, rel=0.15)
        assert 0.0 < agreement.p_value < 1.0
    lengths = {name: r.interval_68[0].high - r.interval_68[0].low for name, r in results.methods.items()}
    assert lengths["nsbi"] < lengths["m4l"]


def test_two_runs_share_their_strength(tmp_path: Path) -> None:
    runs = {name: make_run(tmp_path / name, observed=False) for name in ("first", "second")}
    made = config(runs, methods=["nsbi"], parameterisations=[], fits={"ggF": {"interest": ["mu_ggF"]}})
    combination = Combination.open(made)
    workspace = combination.workspace("nsbi", observed=False, folder=tmp_path)
    results, _ = measure_combination(combination, {("nsbi", False): workspace}, tasks=FinishedTasks())
    alone = Workspace.load(tmp_path / "first/workspace/nsbi.json").likelihood().fit()
    own = results.methods["nsbi"].interval_68[0]
    assert (own.high - own.low) / 2 == pytest.approx(alone.errors["mu"] / 2**0.5, rel=0.05)
    with pytest.raises(ToolkitError, match="a run that did not fit them"):
        combination.workspace("nsbi", observed=True, folder=tmp_path)


def sealed(folder: Path, **changes: Any) -> Path:
    """Give a run its manifest."""
    files = {p.relative_to(folder).as_posix(): file_sha256(p) for p in sorted(folder.rglob("*.json"))}
    write_checked_json(folder / "manifest.json", {"stages": {"fit": {}}, "outputs": files, **changes})
    return folder


def test_a_run_must_be_as_its_fit_left_it(tmp_path: Path) -> None:
    whole = sealed(make_run(tmp_path / "whole"))
    Combination.open(config({"off": whole}))
    path = whole / "workspace/m4l.json"
    path.write_text(path.read_text().replace("60.0", "61.0"), encoding="utf-8")
    path.with_name("m4l.json.sha256").unlink()
    with pytest.raises(ToolkitError, match=r"a workspace/m4l\.json that changed after the fit"):
        Combination.open(config({"off": whole}))
    with pytest.raises(ToolkitError, match="finish it with h4l run"):
        Combination.open(config({"off": sealed(make_run(tmp_path / "half"), stages={"process": {}})}))
    with pytest.raises(ToolkitError, match="a manifest of this version"):
        Combination.open(config({"off": sealed(make_run(tmp_path / "odd"), outputs=3)}))


def test_the_same_events_twice_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with pytest.raises(ToolkitError, match="parts first and again") as caught:
        Combination.open(config({"first": run, "again": Path(shutil.copytree(run, tmp_path / "copy"))}))
    assert "channel run_m4l in both" in str(caught.value)
    made = config({"first": run})
    own = {"workspace": str(run / "workspace/nsbi.json"), "rename": {"mu": "mu_ggF"}}
    again = CombineConfig.model_validate({**made.model_dump(), "parts": {**made.model_dump()["parts"], "own": own}, "methods": ["m4l"]})
    with pytest.raises(ToolkitError, match="channel run_nsbi in both"):
        Combination.open(again)


def test_event_tables_of_two_parts_must_not_overlap(tmp_path: Path) -> None:
    """The same ntuples, told apart by conditions; those of another ntuple may have the same numbers."""
    tables, others = make_tables(tmp_path / "tables", seed=1), make_tables(tmp_path / "others", seed=2)

    def opened(first: Path, condition: str, second: Path, other: str, sample: str = "qqZZ") -> Combination:
        sections = ((first, condition, "mu_ggF", "qqZZ"), (second, other, "mu_ggF_on", sample))
        parts = {
            factor: {"events": {"folder": str(folder), "condition": text, "processes": {name: {"factor": factor}}}}
            for folder, text, factor, name in sections
        }
        return Combination.open(CombineConfig.model_validate({"parts": parts, "parameterisations": ["width"]}))

    opened(tables, "m4l < 300", tables, "m4l >= 300")
    opened(tables, "m4l < 300", others, "m4l > 250")
    opened(tables, "m4l < 300", tables, "m4l > 250", "ggF_SBI")
    with pytest.raises(ToolkitError, match="events of sample qqZZ in both") as caught:
        opened(tables, "m4l < 300", tables, "m4l > 250")
    table = read_events(tables / "events", "qqZZ")
    assert caught.value.got.split()[0] == str(np.sum((table.observables["m4l"] > 250) & (table.observables["m4l"] < 300)))


def test_runs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    runs = {"first": make_run(tmp_path / "first"), "second": make_run(tmp_path / "second", truth=2.0)}
    with pytest.raises(ToolkitError, match="2 in the Asimov set of part second"):
        Combination.open(config(runs))
    with pytest.raises(ToolkitError, match="methods that every run has"):
        Combination.open(config({"first": runs["first"]}, methods=["score"]))
    with pytest.raises(ToolkitError, match="mu_ggF = 1 at the truth"):
        Combination.open(config({"second": runs["second"]}))
    (tmp_path / "first/workspace/fit.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ToolkitError, match=r"fit\.json"):
        Combination.open(config({"first": runs["first"]}))


def test_runs_of_the_same_events_stand_beside_each_other(tmp_path: Path) -> None:
    """The histogram is the same in both and comes once; the other method has the name of its run behind it, and its own numbers."""
    runs = {name: str(make_run(tmp_path / name / "run")) for name in ("nets", "trees")}
    for tail in ("", "_observed"):
        path = tmp_path / f"trees/run/workspace/nsbi{tail}.json"
        document = json.loads((tmp_path / f"trees/run/workspace/m4l{tail}.json").read_text())
        Workspace(document).save(path)
    fits = {"ggF": {"interest": ["mu"]}}
    made = CombineConfig.model_validate(
        {"parts": {"ggF": {"runs": runs}}, "parameterisations": [], "fits": fits, "scan_points": 21, "observed": True}
    )
    combination = Combination.open(made)
    assert combination.methods == ("m4l", "nsbi_nets", "nsbi_trees")
    workspaces = {
        (m, seen): combination.workspace(m, observed=seen, folder=tmp_path) for m in combination.methods for seen in (False, True)
    }
    results, _ = measure_combination(combination, workspaces, tasks=FinishedTasks())
    lengths = {name: r.interval_68[0].high - r.interval_68[0].low for name, r in results.methods.items()}
    assert lengths["nsbi_nets"] < 0.95 * lengths["nsbi_trees"]
    assert lengths["nsbi_trees"] == pytest.approx(lengths["m4l"], rel=1e-6)
    assert results.observed is not None
    assert results.observed.counts == {"ggF": 410}
    assert len(combination.parts[0].files) == 2 * (1 + 4)


def test_runs_of_other_events_are_no_alternatives(tmp_path: Path) -> None:
    runs = {"one": str(make_run(tmp_path / "one")), "other": str(make_run(tmp_path / "other", truth=2.0))}
    document = {"parts": {"ggF": {"runs": runs}}, "parameterisations": [], "fits": {"ggF": {"interest": ["mu"]}}}
    with pytest.raises(ToolkitError, match=r"truth of mu: 1.0 in one, 2.0 in other"):
        Combination.open(CombineConfig.model_validate(document))
    document["parts"]["ggF"]["runs"]["other"] = str(tmp_path / "nowhere")
    with pytest.raises(ToolkitError, match=r"parts.ggF.runs.other: .*nowhere"):
        Combination.open(CombineConfig.model_validate(document))

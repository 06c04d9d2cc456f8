"""Data in release bundles: packed once they are looked at, fitted again, compared with what was published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.integration.small_release import ASIMOV, COUNTS, TEMPLATES, by_hand, h4l, repack, write_observed, write_run
from toolkit.artifacts.archive import extract_archive
from toolkit.likelihood.observation import read_observation
from toolkit.pipeline.bundle import write_bundle
from toolkit.pipeline.reuse import Bundle, Substitution
from toolkit.typing import FloatArray


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("run")
    write_run(out)
    return out


@pytest.fixture(scope="module")
def observed() -> FloatArray:
    """The observable of the data."""
    return np.random.default_rng(4).exponential(1.0, int(COUNTS.sum()))


@pytest.fixture(scope="module")
def unblinded(run: Path, observed: FloatArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run after the fit of the data."""
    out = tmp_path_factory.mktemp("unblinded")
    shutil.copytree(run, out, dirs_exist_ok=True)
    write_observed(out, observed)
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.tar.gz"
    write_bundle(run, path)
    return path


@pytest.fixture(scope="module")
def full(unblinded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with the data."""
    path = tmp_path_factory.mktemp("bundle") / "full.tar.gz"
    write_bundle(unblinded, path)
    return path


def test_data_are_packed(full: Path, unblinded: Path, observed: FloatArray, tmp_path: Path) -> None:
    index = extract_archive(full, tmp_path / "out")
    names = {entry["path"] for entry in index["files"]}
    assert names >= {"workspace/m4l_observed.json", "workspace/m4l_observed.pyhf.json", "workspace/nsbi_observed.json"}
    assert index["methods"]["nsbi"] == {"workspace": "workspace/nsbi.json", "unbinned": True, "observed": "workspace/nsbi_observed.json"}
    packed = read_observation(tmp_path / "out" / "workspace" / "observed.parquet", ["x"], weight=None)[0]
    np.testing.assert_array_equal(packed["x"], observed)
    templates = yaml.safe_load((tmp_path / "out" / "tables" / "templates_m4l.yaml").read_text())["dependent_variables"]
    assert [v["value"] for v in templates[-1]["values"]] == COUNTS.tolist()
    write_bundle(unblinded, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == full.read_bytes()


def test_nothing_of_blinded_events_is_packed(run: Path, unblinded: Path, bundle: Path, tmp_path: Path) -> None:
    """Whatever lies in the folder: a fit of the data without a report of it, the comparison, intervals from toys."""
    shutil.copytree(unblinded, tmp_path / "run")
    shutil.copy(run / "results.json", tmp_path / "run" / "results.json")
    for name in ("comparison.json", "goodness.json", "intervals.json", "fit.json"):
        (tmp_path / "run" / "workspace" / name).write_text('{"observed": 125}')
    write_bundle(tmp_path / "run", tmp_path / "blinded.tar.gz")
    assert (tmp_path / "blinded.tar.gz").read_bytes() == bundle.read_bytes()


def test_a_run_without_the_likelihoods_that_it_speaks_of(unblinded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(unblinded, tmp_path / "run")
    (tmp_path / "run" / "workspace" / "m4l_observed.json").unlink()
    assert h4l("bundle", tmp_path / "run", tmp_path / "b.tar.gz") == 2
    said = capsys.readouterr().err
    assert "m4l_observed.json" in said
    assert "finish it with h4l run" in said


def test_observed_results_are_reproduced(full: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for words in ((), ("--only", "expected"), ("--only", "observed")):
        assert h4l("reuse", full, "--json", *words) == 0
        said[words] = json.loads(capsys.readouterr().out)
    assert h4l("reuse", bundle, "--json") == 0
    blinded = json.loads(capsys.readouterr().out)
    both = said[()]
    assert both["reproduced"] is True
    assert {**both, "observed": None} == {**blinded, "observed": None}
    assert said["--only", "expected"] == blinded
    assert said["--only", "observed"] == {**both, "methods": {}, "differences": {}}
    assert set(both["observed"]["methods"]) == set(both["observed"]["differences"]) == {"m4l", "nsbi"}
    assert both["observed"]["methods"]["m4l"]["mu_hat"] != pytest.approx(both["methods"]["m4l"]["mu_hat"], abs=0.1)
    assert h4l("reuse", full, "--method", "m4l") == 0
    rows = [line.split("\u2502")[1:3] for line in capsys.readouterr().out.splitlines() if "m4l" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [["m4l", "expected"], ["m4l", "observed"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["scan"]["twice_delta_nll"].__setitem__(3, 1e-5 + m["scan"]["twice_delta_nll"][3]),
            "observed scan of m4l is 1e-05 off",
        ),
        (lambda m: m.update(interval_68=[], interval_68_at_boundary=[]), "observed interval_68 of m4l has no counterpart"),
        (lambda m: m.update(twice_nll_at_0=None), "observed twice_nll_at_0 of m4l has no counterpart"),
        (lambda m: m.update(mu_hat=float("nan")), "observed mu_hat of m4l has no counterpart"),
    ],
)
def test_other_observed_results_are_noticed(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[dict[str, Any]], object], message: str
) -> None:
    changed = repack(full, tmp_path / "changed.tar.gz", lambda _, results: change(results["observed"]["methods"]["m4l"]))
    assert h4l("reuse", changed, "--method", "m4l", "--out", tmp_path / "kept") == 2
    assert message in capsys.readouterr().err
    assert json.loads((tmp_path / "kept" / "reuse.json").read_text())["reproduced"] is False
    assert h4l("reuse", changed, "--method", "m4l", "--only", "expected") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index, results: results.pop("observed"), "observed workspace of m4l"),
        (lambda index, results: results["methods"].pop("nsbi"), "expected workspace of nsbi"),
        (lambda index, results: results["methods"]["m4l"].update(mu_hat=None), "the results of a run"),
        (lambda index, results: index["methods"]["m4l"].update(observed="workspace/absent.json"), "inside the bundle"),
        (lambda index, results: index["methods"]["m4l"].update(workspace="../../bundle.json"), "inside the bundle"),
        (lambda index, results: index["methods"]["m4l"].pop("workspace"), "workspaces by method"),
        (lambda index, results: index["methods"].clear(), "no methods"),
    ],
)
def test_contradictions_are_refused(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Any, Any], object], message: str
) -> None:
    assert h4l("reuse", repack(full, tmp_path / "odd.tar.gz", change)) == 2
    assert message in capsys.readouterr().err


def test_bundles_that_do_not_name_data(full: Path, tmp_path: Path) -> None:
    """As they were written before: what the index does not name is not there."""
    earlier = repack(full, tmp_path / "earlier.tar.gz", lambda index, _: [entry.pop("observed") for entry in index["methods"].values()])
    assert Bundle.open(earlier, tmp_path / "out").observed == ()
    assert h4l("reuse", earlier) == 0


def test_hypotheses_under_data(full: Path, observed: FloatArray, capsys: pytest.CaptureFixture[str]) -> None:
    assert h4l("reuse", full, "--json", "--at", "mu=0.4") == 0
    [answer] = json.loads(capsys.readouterr().out)["answers"]
    assert h4l("reuse", full, "--json", "--at", "mu=0.4", "--only", "observed") == 0
    assert json.loads(capsys.readouterr().out)["answers"] == [{**answer, "twice_delta_nll": {}}]

    def poisson(mu: float, counts: FloatArray) -> float:
        nu = np.array([mu - np.sqrt(mu), np.sqrt(mu), 1 - np.sqrt(mu)]) @ TEMPLATES
        return float(2 * (nu - counts * np.log(nu)).sum())

    grid = np.linspace(0.0, 4.0, 4001)
    for part, counts in ((answer, ASIMOV), (answer["observed"], COUNTS)):
        best = min(poisson(mu, counts) for mu in grid)
        assert part["twice_delta_nll"]["m4l"] == pytest.approx(poisson(0.4, counts) - best, abs=1e-5)
    best = min(by_hand(observed, mu) for mu in grid)
    assert answer["observed"]["twice_delta_nll"]["nsbi"] == pytest.approx(by_hand(observed, 0.4) - best, abs=1e-5)


def test_another_parameterisation_of_data(full: Path, tmp_path: Path) -> None:
    opened = Bundle.open(full, tmp_path / "opened")
    assert opened.observed == ("m4l", "nsbi")
    change = Substitution({"mu": "kappa**2"}, {}, {"kappa": (1.0, 0.0, 2.0)})
    again = opened.at("nsbi", {"kappa": 0.3}, observed=True, change=change)
    assert again == pytest.approx(opened.at("nsbi", {"mu": 0.09}, observed=True), abs=1e-7)
    assert again != pytest.approx(opened.at("nsbi", {"mu": 0.09}), abs=1e-2)
    best = opened.measure("m4l", observed=True, change=change).mu_hat
    assert best**2 == pytest.approx(opened.results(observed=True)["m4l"].mu_hat, abs=1e-4)


def test_blinded_events_cannot_be_asked_for(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = Bundle.open(bundle, tmp_path / "opened")
    assert opened.observed == ()
    assert opened.results(observed=True) == {}
    assert h4l("reuse", bundle, "--only", "observed") == 2
    assert "data" in capsys.readouterr().err

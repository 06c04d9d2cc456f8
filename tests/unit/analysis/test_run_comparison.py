"""Two finished runs beside each other: terms of the interference, luminosities, and whether the events are the same."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.unit.analysis.finished_runs import make_run
from toolkit.analysis.finished import FinishedRun, shared_events
from toolkit.analysis.run_comparison import compare_runs
from toolkit.artifacts.checksums import checksum_path
from toolkit.artifacts.events import read_events
from toolkit.diagnostics import compare_moments, observed_moments
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError


@pytest.fixture
def runs(tmp_path: Path) -> tuple[FinishedRun, FinishedRun]:
    return FinishedRun.open(make_run(tmp_path / "a", seed=1)), FinishedRun.open(make_run(tmp_path / "b", seed=2, tilt=0.3))


def test_terms_are_sums_of_the_benchmark_weights(runs: tuple[FinishedRun, FinishedRun]) -> None:
    found = compare_runs(*runs, bins=8)
    sample = found.samples[0]
    assert list(sample.yields) == ["total", "S", "S*B", "B"]
    for side, run in zip("ab", runs, strict=True):
        table = read_events(run.folder / "events", "ggF_SBI")
        s, b, sbi = table.benchmark_weights.T
        for term, direct in (("S", s), ("B", b), ("S*B", sbi - s - b), ("total", sbi)):
            pair = sample.yields[term].to_json()
            assert pair[side] == pytest.approx(direct.sum(), rel=1e-9)
            assert pair[f"{side}_error"] == pytest.approx(np.sqrt(np.sum(direct**2)), rel=1e-9)
            histogram = sample.histograms[term, "m4l"]
            assert histogram.content["ab".index(side)].sum() == pytest.approx(direct.sum(), rel=1e-9)
    assert list(found.samples[1].yields) == ["total"]


def test_linear_and_quadratic_terms_of_a_coefficient(tmp_path: Path) -> None:
    eft = {
        "parameters": {"c": {"range": [-3.0, 3.0], "truth": 0.5}},
        "processes": {"eft": {"amplitudes": {"SM": "1", "c": "c"}, "benchmarks": {"zero": {"c": 0}, "plus": {"c": 1}, "minus": {"c": -1}}}},
        "samples": [{"name": "eft", "files": ["e.root"], "process": "eft", "generated": "zero", "benchmarks": ["plus", "zero", "minus"]}],
    }
    runs = [FinishedRun.open(make_run(tmp_path / name, seed=seed, **eft)) for name, seed in (("a", 1), ("b", 2))]
    sample = compare_runs(runs[0], runs[1]).samples[0]
    assert list(sample.yields) == ["total", "SM", "SM*c", "c"]
    for side, run in zip("ab", runs, strict=True):
        plus, zero, minus = read_events(run.folder / "events", "eft").benchmark_weights.T
        for term, direct in (("SM", zero), ("SM*c", (plus - minus) / 2), ("c", (plus + minus) / 2 - zero)):
            pair = sample.yields[term].to_json()
            assert pair[side] == pytest.approx(direct.sum(), rel=1e-9)
            assert pair[f"{side}_error"] == pytest.approx(np.sqrt(np.sum(direct**2)), rel=1e-9)


def test_a_tilt_comes_first(runs: tuple[FinishedRun, FinishedRun]) -> None:
    found = compare_runs(*runs)
    assert {row.histogram.observable for row in found.rows[:4]} == {"cos_theta_1"}
    assert found.rows[0].histogram.chi2.p_value < 1e-4
    p_values = [row.histogram.chi2.p_value for row in found.rows]
    assert p_values == sorted(p_values)
    assert found.smallest == pytest.approx(len(p_values) * p_values[0])
    assert not any(sample.dependent for sample in found.samples)  # the same event numbers, other events
    assert len({row.plot for row in found.rows}) == len(found.rows)


def test_luminosities_are_scaled_to_that_of_a(tmp_path: Path) -> None:
    a, b = (FinishedRun.open(make_run(tmp_path / n, seed=s, luminosity=lumi)) for n, s, lumi in (("a", 1, 140.0), ("b", 2, 300.0)))
    found = compare_runs(a, b, samples=["qqZZ"])
    table = read_events(b.folder / "events", "qqZZ")
    assert found.samples[0].yields["total"].b == pytest.approx(table.weight.sum() * 140 / 300)
    assert any("140 and 300 /fb" in note for note in found.notes)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["samples"][0]["factor"] == pytest.approx(140 / 300)


def test_data_events_are_never_scaled(tmp_path: Path) -> None:
    data = [{"name": "data", "kind": "data", "files": ["d.root"]}]
    a, b = (
        FinishedRun.open(make_run(tmp_path / name, seed=seed, luminosity=lumi, samples=data))
        for name, seed, lumi in (("a", 1, 140.0), ("b", 2, 300.0))
    )
    found = compare_runs(a, b)
    assert found.samples[0].factor == 1.0
    assert found.samples[0].yields["total"].b == pytest.approx(read_events(b.folder / "events", "data").weight.sum())
    assert any("140 and 300 /fb: data and estimates of B are not scaled" in note for note in found.notes)


def test_the_same_events_have_no_p_value(tmp_path: Path) -> None:
    a, b = (FinishedRun.open(make_run(tmp_path / name, seed=1, tilt=tilt)) for name, tilt in (("a", 0.0), ("b", 0.1)))
    tables = [read_events(run.folder / "events", "qqZZ") for run in (a, b)]
    assert shared_events(*tables) == 3000
    sample = compare_runs(a, b, samples=["qqZZ"], observables=["m4l"]).samples[0]
    assert (sample.dependent, sample.shared, sample.same_files) == (True, 3000, True)
    assert math.isnan(sample.histograms["total", "m4l"].chi2.p_value)
    assert "not independent" in sample.notes[0]


def test_settings_that_differ_are_said(tmp_path: Path) -> None:
    samples = [{"name": "qqZZ", "files": ["q.root"], "k_factor": 1.3}]
    a = FinishedRun.open(make_run(tmp_path / "a", seed=1))
    b = FinishedRun.open(make_run(tmp_path / "b", seed=2, samples=samples, selection={"m4l": [200.0, 2000.0]}))
    found = compare_runs(a, b)
    assert [s.name for s in found.samples] == ["qqZZ"]
    assert any("ggF_SBI" in note for note in found.notes)
    assert any("selection" in note for note in found.notes)
    assert "the configs differ in k_factor: 1.0 and 1.3" in found.samples[0].notes


def test_what_is_not_common_is_refused(runs: tuple[FinishedRun, FinishedRun], tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="'ttZ', not in A and B"):
        compare_runs(*runs, samples=["ttZ"])
    with pytest.raises(SchemaError, match="observable of sample qqZZ"):
        compare_runs(*runs, samples=["qqZZ"], observables=["m_jj"])
    other = make_run(tmp_path / "other", seed=3, samples=[{"name": "VVV", "files": ["v.root"]}])
    with pytest.raises(SchemaError, match="at least one common sample"):
        compare_runs(runs[0], FinishedRun.open(other))


def test_folders_that_are_no_runs_are_refused(runs: tuple[FinishedRun, FinishedRun], tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such folder"):
        FinishedRun.open(tmp_path / "nothing")
    with pytest.raises(InputFileError, match="no readable manifest"):
        FinishedRun.open(tmp_path)
    manifest = runs[0].folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("tiny", "tuny"))
    with pytest.raises(ArtifactMismatchError):
        FinishedRun.open(runs[0].folder)
    checksum_path(manifest).unlink()
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 0}))
    with pytest.raises(SchemaError, match=r"(?s)schema 0, written by another version.*process the ntuples again"):
        FinishedRun.open(runs[0].folder)
    (runs[1].folder / "events" / "index.json").unlink()
    with pytest.raises(InputFileError, match="no finished event tables"):
        FinishedRun.open(runs[1].folder)


def test_moments_of_the_angular_functions(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, seed=seed, angles=True) for name, seed in (("a", 1), ("b", 2))]
    a, b = (FinishedRun.open(folder) for folder in folders)
    found = compare_runs(a, b).samples[0]
    assert list(found.moments) == ["total", "S", "B"], "the interference is negative: it has no means"
    difference = found.moments["B"]
    for run, moments in ((a, difference.a), (b, difference.b)):
        table = read_events(run.folder / "events", "ggF_SBI")
        w, f = table.benchmark_weights[:, 1], table.observables["f_3"]
        assert moments.means[2] == pytest.approx(np.sum(w * f) / np.sum(w))
        assert moments.errors[2] == pytest.approx(np.sqrt(np.sum((w * (f - moments.means[2])) ** 2)) / np.sum(w))
    errors = np.hypot(difference.a.errors, difference.b.errors)
    np.testing.assert_allclose(difference.pulls, (difference.b.means - difference.a.means) / errors)
    total = np.linalg.solve(difference.a.covariance + difference.b.covariance, difference.differences)
    assert difference.test.chi2 == pytest.approx(difference.differences @ total)
    assert difference.test.ndf == 9
    assert 1e-4 < difference.test.p_value < 1.0
    assert found.to_json()["angular_moments"]["B"]["pulls"] == difference.pulls.tolist()
    same = compare_runs(a, a).samples[0].moments["total"]
    assert math.isnan(same.test.p_value)
    assert not np.any(same.differences)
    assert compare_runs(a, b, observables=["m4l"]).samples[0].moments == {}


def test_other_distributions_of_angles_are_seen(tmp_path: Path) -> None:
    flat, tilted = (FinishedRun.open(make_run(tmp_path / n, seed=s, angles=True)) for n, s in (("a", 1), ("b", 2)))
    tables = [run.read("qqZZ") for run in (flat, tilted)]
    f = tables[1].observables
    moved = tables[1].weight * (1.0 + 0.8 * f["f_9"])
    one, two = (observed_moments(t.observables, w) for t, w in zip(tables, (tables[0].weight, moved), strict=True))
    assert one is not None
    assert two is not None
    found = compare_moments(one, two)
    assert int(np.argmax(np.abs(found.pulls))) == 8
    assert found.test.p_value < 1e-6
    assert two.means[8] == pytest.approx(0.8 * 0.5 * (8 / 15) ** 2, abs=4 * two.errors[8])

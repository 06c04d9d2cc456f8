"""Variations that are other sets of files: tables, yields and messages against sums that are written down directly."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import run
from processors.inputs import inspect_inputs
from toolkit.artifacts.events import read_events, tables_of
from toolkit.config import Config, parse_config
from toolkit.errors import SchemaError, ToolkitError
from toolkit.pipeline.graph import input_files
from toolkit.pipeline.stages.provenance import portable_config

SELECTION = {"m_z1": [0, 999], "m_z2": [0, 999], "m4l": [0, 5000]}


@pytest.fixture
def folder(tmp_path: Path, ntuples: ModuleType) -> Path:
    """A sample of 300 events, a variation of 200 and one of 120 in two files, with other event numbers and without weight vectors."""
    ntuples.write_nano(tmp_path / "q.root", ntuples.make_events(300, seed=1))
    ntuples.write_nano(tmp_path / "up.root", ntuples.make_events(200, seed=2), benchmarks=False)
    for k, n in enumerate((70, 50)):
        ntuples.write_nano(tmp_path / f"down_{k}.root", ntuples.make_events(n, seed=3 + k, first=1 + 100 * k), benchmarks=False)
    return tmp_path


def _config(folder: Path, **sections: Any) -> Config:
    sample = {"name": "qqZZ", "files": ["q.root"], "k_factor": 1.3}
    return parse_config({"luminosity_ifb": 140.0, "selection": SELECTION, "samples": [sample], **sections}, folder=folder)


def _shower(**more: Any) -> dict[str, Any]:
    return {"samples": {"shower": {"files_up": {"qqZZ": ["up.root"]}, **more}}}


def test_tables_of_other_files_are_those_of_a_sample_of_its_own(folder: Path) -> None:
    """Tables and yields are what a run over the other files alone gives, whatever their number of events."""
    weights = {"shifts": {"kind": "columns", "up": "genWeight", "nominal": "genWeight"}}
    shift = {"jet_scale": {"object": "jet", "kind": "scale", "size": 0.1}}
    systematics = {**_shower(files_down={"qqZZ": ["down_*.root"]}), "weights": weights, "objects": shift}
    result = run(_config(folder, systematics=systematics), folder / "out", chunksize=90)
    assert set(tables_of(folder / "out" / "events", "qqZZ")) == {"nominal", "jet_scale_up", "jet_scale_down", "shower_up", "shower_down"}
    plain = run(_config(folder), folder / "plain")
    assert result.yields == pytest.approx(plain.yields, rel=1e-12)
    for variation, files in (("shower_up", "up.root"), ("shower_down", "down_*.root")):
        sample = {"name": "qqZZ", "files": [files], "k_factor": 1.3}
        alone = run(_config(folder, samples=[sample]), folder / variation)
        table = read_events(folder / "out" / "events", "qqZZ", variation=variation)
        expected = read_events(folder / variation / "events", "qqZZ")
        np.testing.assert_array_equal(table.weight, expected.weight)
        np.testing.assert_array_equal(table.observables["m4l"], expected.observables["m4l"])
        assert result.varied_yields("qqZZ")[variation] == pytest.approx(alone.yields["qqZZ"], rel=1e-12)
        assert (folder / "out" / "histograms" / f"qqZZ@{variation}.json").is_file()
    again = run(_config(folder, systematics=systematics), folder / "out", chunksize=90)
    assert (again.reused, again.yields, again.variations) == (again.chunks, result.yields, result.variations)


def test_a_variation_of_other_events_says_what_its_statistics_can_tell(folder: Path) -> None:

    run(_config(folder, systematics=_shower(symmetrise=True)), folder / "out")
    (note,) = [n for n in json.loads((folder / "out" / "cutflow.json").read_text())["notes"] if "shower" in n]
    nominal, varied = (read_events(folder / "out" / "events", "qqZZ", variation=v).weight for v in ("nominal", "shower_up"))
    ratio = varied.sum() / nominal.sum()
    error = ratio * np.sqrt(sum((w**2).sum() / w.sum() ** 2 for w in (nominal, varied)))
    assert f"{100 * (ratio - 1):+.1f} % +- {100 * error:.1f} % of the yield" in note


def test_the_normalisation_of_other_files_is_their_own(folder: Path) -> None:
    systematics = _shower(symmetrise=True, xsec_pb={"qqZZ": 0.02}, gen_sumw_up={"qqZZ": 250.0})
    (sample,) = inspect_inputs(_config(folder, systematics=systematics))
    (varied,) = sample.varied
    assert (varied.name, varied.xsec_pb, varied.sumw, varied.entries) == ("qqZZ@shower_up", 0.02, 250.0, 200)
    number = {"name": "qqZZ", "files": ["q.root"], "gen_sumw": 300.0}
    with pytest.raises(SchemaError, match="gen_sumw_up: missing for"):
        _config(folder, systematics=_shower(symmetrise=True), samples=[number])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "one direction only"),
        ({"files_down": {"qqZZ": ["down_0.root"]}, "symmetrise": True}, "both directions have files"),
        ({"files_up": {"ZZ": ["up.root"]}, "symmetrise": True}, r"no samples \['ZZ'\]"),
        ({"files_up": {"qqZZ": []}, "symmetrise": True}, "every list of files needs an entry"),
        ({"files_up": {"qqZZ": ["q.root"]}, "symmetrise": True}, "one is a copy of the other|both read"),
        ({"files_up": {"qqZZ": ["nowhere.root"]}, "symmetrise": True}, "at least one file"),
        ({"symmetrise": True, "gen_sumw_down": {"qqZZ": 1.0}}, "gen_sumw_down of samples that files_down has not"),
    ],
)
def test_what_is_no_variation_is_refused(folder: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolkitError, match=message):
        inspect_inputs(_config(folder, systematics=_shower(**more)))


def test_samples_that_share_densities_vary_together(folder: Path, ntuples: ModuleType) -> None:
    benchmarks = list(ntuples.BENCHMARKS)
    samples = [{"name": n, "files": ["q.root"], "benchmarks": benchmarks} for n in ("ggF_SBI", "ggF_S")]
    shower = {"samples": {"shower": {"files_up": {"ggF_SBI": ["up.root"]}, "symmetrise": True}}}
    with pytest.raises(SchemaError, match=r"\['ggF_SBI'\] share the densities of ggF with \['ggF_S'\]"):
        _config(folder, samples=samples, systematics=shower)
    data = [{"name": "qqZZ", "kind": "data", "files": ["q.root"]}]
    with pytest.raises(SchemaError, match="data, which do not vary"):
        _config(folder, samples=data, systematics=_shower(symmetrise=True))


def test_files_of_a_variation_are_inputs_of_processing(folder: Path) -> None:
    """Other content of them makes it run again; their folder does not count."""
    config = _config(folder, systematics=_shower(files_down={"qqZZ": ["down_*.root"]}))
    files = input_files(config)
    assert files["qqZZ@shower_up"] == [folder / "up.root"]
    assert [path.name for path in files["qqZZ@shower_down"]] == ["down_0.root", "down_1.root"]
    section = portable_config(config)["systematics"]["samples"]["shower"]
    assert (section["files_up"], section["files_down"]) == ({"qqZZ": ["up.root"]}, {"qqZZ": ["down_*.root"]})

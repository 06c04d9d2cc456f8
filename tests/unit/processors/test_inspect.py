from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import uproot
import yaml

from processors.inputs import inspect_inputs
from processors.inspect import inspect_file
from toolkit.config import FlatLayout, parse_config
from toolkit.errors import InputFileError, SchemaError


def test_a_nanoaod_file_gives_a_config_that_runs(tmp_path: Path, ntuples: ModuleType) -> None:
    path = ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(30, seed=1))
    report = inspect_file(path)
    assert (report.layout, report.tree, report.missing) == ("nanoaod", "Events", ())
    events = next(t for t in report.trees if t.name == "Events")
    assert events.entries == 30
    assert events.weight_lengths == {"LHEReweightingWeight": (3,)}
    assert report.normalisation["xsec_fb"] == ntuples.XSEC_FB
    (sample,) = inspect_inputs(parse_config(yaml.safe_load(report.snippet), folder=tmp_path))
    assert sample.config.benchmarks == ntuples.BENCHMARKS
    assert sample.entries == 30


def test_a_flat_file_gives_its_patterns(tmp_path: Path, ntuples: ModuleType) -> None:
    report = inspect_file(ntuples.write_flat(tmp_path / "a.root", ntuples.make_events(5, seed=1)))
    assert (report.layout, report.missing) == ("flat", ())
    document = yaml.safe_load(report.snippet)
    layout = FlatLayout.model_validate(document["samples"][0]["layout"])
    assert (layout.lepton, layout.n_leptons, layout.jet, layout.n_jets) == ("lep{i}_{field}", 5, "jet{i}_{field}", 6)
    assert layout.gen_weight == "weight"
    assert "xsec_pb: replace" in report.snippet


def test_a_vector_of_zeros_is_not_taken_for_benchmarks(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(5, seed=1)
    zeros = ntuples.nano_columns(events)["LHEReweightingWeight"] * np.float32(0)
    report = inspect_file(ntuples.write_nano(tmp_path / "a.root", events, LHEReweightingWeight=zeros))
    assert "benchmarks" not in yaml.safe_load(report.snippet)["samples"][0]


def test_an_unknown_layout_says_what_is_missing(tmp_path: Path, ntuples: ModuleType) -> None:
    path = ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), drop=["genWeight", "Muon_charge"])
    report = inspect_file(path)
    assert report.layout == "unknown"
    assert report.missing == ("Muon_charge",)
    assert "No known format fits this file: lists of leptons" in report.snippet


def test_a_file_without_trees_is_refused(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "h.root") as file:
        file["h"] = np.histogram([1.0, 2.0])
    with pytest.raises(SchemaError, match=r"(?s)h\.root.*TTree or RNTuple"):
        inspect_file(tmp_path / "h.root")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"none\.root"):
        inspect_file(tmp_path / "none.root")

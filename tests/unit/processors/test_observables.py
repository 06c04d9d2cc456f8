"""Groups and names of observables in the config; columns of the ntuple that pass through."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest

from processors import run
from processors.observables import known_observables, read_columns, wanted_observables, written_observables
from toolkit.artifacts import read_events
from toolkit.config import ColumnConfig, Config
from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics import OBSERVABLES

D_ME = {"branch": "D", "missing": -999.0}
MINE = {"branch": "X_mev", "scale": 0.001, "unit": "GeV", "label": "$x$", "range": [0, 5]}


@pytest.fixture
def make(tmp_path: Path, ntuples: ModuleType) -> Any:
    def make_config(**sections: Any) -> Config:
        return ntuples.make_config(tmp_path, [ntuples.signal_sample("signal.root")], **sections)  # type: ignore[no-any-return]

    return make_config


def test_an_empty_list_writes_the_standard_group_and_what_else_is_named(make: Any) -> None:
    standard = [name for name, entry in OBSERVABLES.items() if entry.group == "standard"]
    assert len(standard) == 21
    ratios, histograms = {"features": ["m4l", "cos_theta_star"]}, {"q": {"observable": "q2_v1", "edges": [0, 1]}}
    assert list(written_observables(make(ratios=ratios))) == standard
    assert list(written_observables(make(ratios=ratios, histograms=histograms))) == [*standard, "q2_v1"]
    leptons = {name for name, entry in OBSERVABLES.items() if entry.group == "leptons"}
    assert set(written_observables(make())) == {*standard, *leptons}  # the networks read them by default


def test_groups_and_names_choose_the_columns(make: Any) -> None:
    features = set(make().ratios.features) | {"m4l"}
    written = set(written_observables(make(observables=["vbf", "met"], columns={"met": {"branch": "MET_pt"}})))
    assert written == {n for n, o in OBSERVABLES.items() if o.group == "vbf"} | features | {"met"}
    everything = written_observables(make(observables=["all"]))
    assert everything == tuple(n for n, o in OBSERVABLES.items() if o.needs != "column")
    assert "vbf" not in wanted_observables(make(observables=["vbf"]))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"observables": ["met"]}, r"columns: \{met: \{branch: BRANCH\}\}"),
        ({"observables": ["m4k"]}, "did you mean 'm4l'"),
        ({"observables": ["vfb"]}, "did you mean 'vbf'"),
        ({"columns": {"mine": {"branch": "X"}}}, "add `range"),
    ],
)
def test_what_does_not_exist_is_refused(make: Any, sections: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        written_observables(make(**sections))


def test_own_columns_are_described_by_the_config(make: Any) -> None:
    known = known_observables(make(columns={"mine": MINE, "met": {"branch": "MET_pt"}}))
    assert known["mine"].axis_label == "$x$ [GeV]"
    assert known["met"] is OBSERVABLES["met"]


def test_columns_are_scaled_and_sentinels_are_missing() -> None:
    events = ak.Array({"x": [1000.0, -999.0, np.nan], "MET": [{"pt": 1}, {"pt": 2}, {"pt": 3}]})
    columns = {"mine": ColumnConfig(branch="x", scale=0.001, missing=-999.0), "met": ColumnConfig(branch="MET_pt")}
    values = read_columns(events, columns)
    np.testing.assert_array_equal(values["mine"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(values["met"], [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="one number per event"):
        read_columns(ak.Array({"x": [[1.0], []]}), {"mine": ColumnConfig(branch="x")})


def test_columns_go_from_the_ntuple_to_the_event_tables(tmp_path: Path, ntuples: ModuleType, make: Any) -> None:
    events = ntuples.make_events(60, seed=3)
    d_me = np.where(np.arange(60) % 3 == 0, -999.0, np.arange(60) / 60)
    ntuples.write_nano(tmp_path / "signal.root", events, D=d_me, X_mev=np.arange(60, dtype=np.float32) * 1000)
    columns = {"d_me": D_ME, "mine": MINE}
    features = {"features": ["m4l", "d_me"]}
    run(make(observables=["vbf"], columns=columns, ratios=features), tmp_path / "out", chunksize=20)
    table = read_events(tmp_path / "out" / "events", "ggF_SBI")
    number = table.event_id.astype(int) - 1
    np.testing.assert_array_equal(table.observables["d_me"], np.where(number % 3 == 0, np.nan, number / 60))
    np.testing.assert_allclose(table.observables["mine"], number, rtol=1e-12)
    assert {"m4l", "q2_v1"} < set(table.observables)
    assert "pt_l1" not in table.observables
    histograms = json.loads((tmp_path / "out" / "histograms" / "ggF_SBI.json").read_text())
    assert "mine" in histograms
    assert "vbf_phi" in histograms


def test_a_missing_branch_of_a_column_is_an_input_error(tmp_path: Path, ntuples: ModuleType, make: Any) -> None:
    ntuples.write_nano(tmp_path / "signal.root", ntuples.make_events(10, seed=3), MET_pt=np.ones(10))
    with pytest.raises(SchemaError, match=r"(?s)'MET_p' .*column 'met'.*did you mean 'MET_pt'"):
        run(make(columns={"met": {"branch": "MET_p"}}), tmp_path / "out")


def test_a_changed_column_is_processed_again(tmp_path: Path, ntuples: ModuleType, make: Any) -> None:
    ntuples.write_nano(tmp_path / "signal.root", ntuples.make_events(40, seed=3), MET_pt=np.ones(40))
    for scale, reused in ((1.0, 0), (1.0, 1), (0.001, 0)):
        result = run(make(columns={"met": {"branch": "MET_pt", "scale": scale}}), tmp_path / "out")
        assert result.reused == reused
        np.testing.assert_array_equal(read_events(tmp_path / "out" / "events", "ggF_SBI").observables["met"], scale)

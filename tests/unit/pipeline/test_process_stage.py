"""The stage `process`: whose events its plot of the cut flow counts."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.process import run

DATA = {"name": "data", "kind": "data", "files": ["data.root"]}


@pytest.mark.parametrize("simulated", [True, False])
def test_data_events_are_drawn_only_where_nothing_is_measured(simulated: bool, tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(tmp_path / "signal.root", ntuples.make_events(20, seed=1))
    ntuples.write_nano(tmp_path / "data.root", ntuples.make_events(20, seed=2, first=100))
    config = ntuples.make_config(tmp_path, [*([ntuples.signal_sample("signal.root")] if simulated else []), DATA])
    run(StageContext(config=config, out=tmp_path / "out", work=tmp_path / "out", key="k"))
    drawn = json.loads((tmp_path / "out" / "plots" / "cutflow.json").read_text())["samples"]
    counted = json.loads((tmp_path / "out" / "cutflow.json").read_text())["samples"]
    assert set(counted) == {sample.name for sample in config.samples}
    assert drawn == {"ggF_SBI" if simulated else "data": counted["ggF_SBI" if simulated else "data"]}

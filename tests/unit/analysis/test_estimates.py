"""Backgrounds estimated from data: weights as they stand in the ntuple, an uncertainty of their own, not moved by the luminosity."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import run
from toolkit.analysis.channels import with_luminosity
from toolkit.analysis.nuisances import Systematics, normalisations
from toolkit.artifacts import read_events
from toolkit.config import Config, parse_config
from toolkit.errors import SchemaError

OPEN = {"m_z1": [0, 1000], "m_z2": [0, 1000], "m4l": [0, 5000]}
FAKES = {"name": "fakes", "kind": "estimate", "files": ["fakes.root"], "layout": {"kind": "nanoaod", "gen_weight": "fakeWeight"}}
SBI = {"name": "ggF_SBI", "files": ["signal.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}


def _config(folder: Path, *samples: dict[str, Any], **sections: Any) -> Config:
    return parse_config({"luminosity_ifb": 140.0, "samples": list(samples), "selection": OPEN, **sections}, folder=folder)


@pytest.mark.parametrize("luminosity", [1.0, 140.0])
def test_weights_are_expected_events_whatever_the_luminosity(ntuples: ModuleType, tmp_path: Path, luminosity: float) -> None:
    events = ntuples.make_events(200, seed=51)
    fake, transfer = np.linspace(0.01, 0.2, 200), np.linspace(2.0, 1.0, 200)
    ntuples.write_nano(tmp_path / "fakes.root", events, benchmarks=False, drop=["genWeight"], fakeWeight=fake, transfer=transfer)
    layout = {"kind": "nanoaod", "gen_weight": "fakeWeight", "weight_factors": ["transfer"]}
    result = run(_config(tmp_path, {**FAKES, "layout": layout}, luminosity_ifb=luminosity), tmp_path / "out")
    table = read_events(tmp_path / "out" / "events", "fakes")
    position = table.event_id.astype(int) - 1
    np.testing.assert_allclose(table.weight, (fake * transfer)[position], rtol=1e-12)
    assert result.yields["fakes"] == pytest.approx((fake * transfer)[position].sum(), rel=1e-9)


def test_shifts_and_corrections_are_those_of_simulation(ntuples: ModuleType, tmp_path: Path) -> None:
    ntuples.write_nano(
        tmp_path / "fakes.root", ntuples.make_events(100, seed=52), benchmarks=False, fakeWeight=np.ones(100), up=np.full(100, 1.2)
    )
    sections = {
        "corrections": {"k": {"observable": "m4l", "edges": [0, 300, 5000], "values": [1.2, 1.3]}},
        "systematics": {
            "objects": {"scale": {"object": "muon", "kind": "scale", "size": 0.1}},
            "weights": {
                "theory": {"kind": "columns", "up": "no_such_branch"},
                "closure": {"kind": "columns", "up": "up", "samples": ["fakes"]},
            },
        },
    }
    result = run(_config(tmp_path, FAKES, **sections), tmp_path / "out")
    assert set(result.variations["fakes"]) == {"closure_up"}
    assert result.varied_yields("fakes")["closure_up"] == pytest.approx(1.2 * result.yields["fakes"])
    assert result.yields["fakes"] == result.selected["fakes"]


def test_it_has_a_nuisance_parameter_and_no_luminosity(tmp_path: Path) -> None:
    config = _config(tmp_path, SBI, {**FAKES, "uncertainty": 0.3}, likelihood={"luminosity_uncertainty": 0.02})
    assert config.backgrounds == ("fakes",)
    assert config.densities == ("ggF_S", "ggF_SBI", "ggF_B", "fakes")
    assert config.nuisance_names["normalisation"] == ("estimate_fakes",)
    up, down = normalisations(config)["estimate_fakes"]
    assert (up.tolist(), down.tolist()) == ([1.0, 1.0, 1.0, 1.3], [1.0, 1.0, 1.0, 0.7])
    systematics = Systematics(luminosity=0.02, unscaled=frozenset(config.estimates["fakes"]))
    assert with_luminosity(["a", "1"], ["ggF_S", "fakes"], systematics) == ("(a) * lumi", "1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xsec_pb": 1.0}, "kind estimate has no xsec_pb"),
        ({"k_factor": 1.2}, "kind estimate has no k_factor"),
        ({"benchmarks": ["a"]}, "kind estimate has no benchmarks"),
        ({"layout": {"kind": "flat", "gen_weight": None}}, "needs the branch of its weights"),
        ({"kind": "simulation", "uncertainty": 0.1}, "belongs to `kind: estimate`"),
    ],
)
def test_what_would_scale_it_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        _config(tmp_path, SBI, {**FAKES, **change})


def test_an_estimate_shares_no_process_with_simulation(tmp_path: Path) -> None:
    processes = {"ggF": {"basis": "ggF", "parameter": "mu"}, "other": {}}
    samples = [{**SBI, "process": "ggF"}, {**FAKES, "process": "other"}, {"name": "other", "files": ["o.root"]}]
    document = {"luminosity_ifb": 1.0, "samples": samples, "parameters": {"mu": {"range": [0, 6]}}, "processes": processes}
    with pytest.raises(SchemaError, match="a process of estimates alone"):
        _ = parse_config(document, folder=tmp_path).estimates

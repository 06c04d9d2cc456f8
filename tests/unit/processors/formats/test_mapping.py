"""A mapping in the config reads any jagged ntuple: every form of momentum, unit, charge and weight."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
from pydantic import ValidationError

from processors.formats import EventRecord, reader_for
from toolkit.config import SampleConfig

ANGULAR = {"pt": "l_pt", "eta": "l_eta", "phi": "l_phi"}


def _sample(layout: dict[str, Any], **keys: Any) -> SampleConfig:
    base = {"name": "qqZZ", "files": ["x"], "xsec_pb": 1.0, "gen_sumw": "sum", "layout": {"kind": "mapping", **layout}}
    return SampleConfig.model_validate(base | keys)


def _read(columns: dict[str, Any], layout: dict[str, Any], **keys: Any) -> EventRecord:
    sample = _sample(layout, **keys)
    return reader_for(sample).read(ak.Array(columns), sample)


ONE = {"l_pt": [[40000.0, 30000.0], []], "l_eta": [[1.0, -1.0], []], "l_phi": [[90.0, -180.0], []], "l_id": [[11, -13], []]}


def test_units_of_momenta_and_angles() -> None:
    layout = {"leptons": ANGULAR | {"pdg_id": "l_id"}, "momentum_unit": "MeV", "angle_unit": "deg"}
    record = _read(ONE, layout)
    assert record.electrons.counts.tolist() == record.muons.counts.tolist() == [1, 0]
    assert record.electrons["pt"].tolist() == [40.0]
    assert record.electrons["phi"].tolist() == pytest.approx([np.pi / 2])
    assert record.muons["phi"].tolist() == pytest.approx([-np.pi])
    assert (record.electrons["charge"].tolist(), record.muons["charge"].tolist()) == ([-1.0], [1.0])
    assert record.jets is None
    assert "event" not in record.identity
    assert record.gen_weight.tolist() == [1.0, 1.0]


def test_a_charge_goes_before_the_sign_of_the_pdg_number() -> None:
    columns = ONE | {"l_id": [[11, 13], []], "l_q": [[1, -1], []]}
    record = _read(columns, {"leptons": ANGULAR | {"pdg_id": "l_id", "charge": "l_q"}})
    assert (record.electrons["charge"].tolist(), record.muons["charge"].tolist()) == ([1.0], [-1.0])


def test_particles_without_transverse_momentum_are_left_out() -> None:
    columns = {"x": [[0.0, 3.0]], "y": [[0.0, 4.0]], "z": [[5.0, 0.0]], "q": [[1, -1]]}
    record = _read(columns, {"muons": {"px": "x", "py": "y", "pz": "z", "charge": "q"}})
    assert record.muons.counts.tolist() == [1]
    assert record.muons["pt"].tolist() == [5.0]


def test_scale_factors_multiply_the_weight_of_simulation_only() -> None:
    columns = ONE | {"w": [2.0, 3.0], "sf1": [0.5, 1.0], "sf2": [1.0, 0.1]}
    layout = {"leptons": ANGULAR | {"pdg_id": "l_id"}, "gen_weight": "w", "weight_factors": ["sf1", "sf2"]}
    assert _read(columns, layout).gen_weight.tolist() == pytest.approx([1.0, 0.3])
    assert _read(columns, layout, kind="data").gen_weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("stated", ["vector", ["wS", "wB"]])
def test_benchmark_weights_as_a_vector_or_as_columns(stated: Any) -> None:
    columns = ONE | {"vector": [[0.1, 0.9], [0.2, 0.8]], "wS": [0.1, 0.2], "wB": [0.9, 0.8]}
    layout = {"leptons": ANGULAR | {"pdg_id": "l_id"}, "benchmark_weights": stated}
    record = _read(columns, layout, name="S", benchmarks=["S", "B"])
    assert record.benchmark_ratios.tolist() == [[0.1, 0.9], [0.2, 0.8]]


def test_the_mapping_equals_nanoaod(ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(40, seed=1))
    nano = reader_for(_nano := SampleConfig(name="qqZZ", files=("x",))).read(ak.Array(columns), _nano)
    flat = {f"{kind}_{f}": columns[kind][f] for kind in ("Electron", "Muon", "Jet") for f in columns[kind].fields}
    parts = {k: {f: f"{name}_{f}" for f in ("pt", "eta", "phi", "mass")} for k, name in _KINDS.items()}
    for kind in ("electrons", "muons"):
        parts[kind]["charge"] = f"{_KINDS[kind]}_charge"
    record = _read(flat | {"w": columns["genWeight"], "e": columns["event"]}, parts | {"gen_weight": "w", "event": "e"})
    assert record.jets is not None
    assert nano.jets is not None
    for one, two in ((record.electrons, nano.electrons), (record.muons, nano.muons), (record.jets, nano.jets)):
        assert one.counts.tolist() == two.counts.tolist()
        for name in two.columns:
            np.testing.assert_array_equal(one[name], two[name])
    np.testing.assert_array_equal(record.gen_weight, nano.gen_weight)
    np.testing.assert_array_equal(record.identity["event"], nano.identity["event"])


_KINDS = {"electrons": "Electron", "muons": "Muon", "jets": "Jet"}


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({}, "give `leptons`, or"),
        ({"leptons": ANGULAR}, "pdg_id is needed"),
        ({"muons": ANGULAR}, "charge or pdg_id"),
        ({"muons": {"pt": "a", "eta": "b", "charge": "q"}}, "give pt, eta, phi or px, py, pz"),
        ({"muons": ANGULAR | {"px": "x", "charge": "q"}}, "give pt, eta, phi or px, py, pz"),
        ({"muons": ANGULAR | {"charge": "q"}, "jets": ANGULAR}, "jets need mass or energy"),
        ({"muons": ANGULAR | {"charge": "q"}, "momentum_unit": "keV"}, "GeV"),
    ],
)
def test_a_mapping_that_says_too_little_is_refused(layout: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        _sample(layout)


def test_simulation_without_a_cross_section_is_refused_and_data_are_not() -> None:
    layout = {"kind": "mapping", "muons": ANGULAR | {"charge": "q"}}
    with pytest.raises(ValidationError, match="give xsec_pb as a number"):
        SampleConfig.model_validate({"name": "a", "files": ["x"], "layout": layout})
    with pytest.raises(ValidationError, match="give gen_sumw"):
        SampleConfig.model_validate({"name": "a", "files": ["x"], "xsec_pb": 1.0, "layout": layout})
    assert SampleConfig.model_validate({"name": "a", "kind": "data", "files": ["x"], "layout": layout}).kind == "data"
    with pytest.raises(ValidationError, match="data have no benchmark weights"):
        SampleConfig.model_validate({"name": "a", "kind": "data", "files": ["x"], "layout": layout, "benchmarks": ["a"]})

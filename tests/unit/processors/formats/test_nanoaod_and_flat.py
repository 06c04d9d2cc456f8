from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from processors.formats import EventRecord, reader_for
from toolkit import units
from toolkit.config import SampleConfig
from toolkit.errors import ShapeError

FLAT = {"kind": "flat", "n_leptons": 5, "n_jets": 6, "benchmark_weights": ["w_ggF_S", "w_ggF_B", "w_ggF_SBI"]}


def _sample(**keys: Any) -> SampleConfig:
    base = {"name": "ggF_SBI", "files": ["x"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    return SampleConfig.model_validate(base | keys)


def _flat_sample(**layout: Any) -> SampleConfig:
    return _sample(layout=FLAT | layout, xsec_pb=1.0, gen_sumw="sum")


def _read(path: Path, sample: SampleConfig) -> EventRecord:
    with uproot.open(path) as file:
        return reader_for(sample).read(file["Events"].arrays(), sample)


def _assert_equal(left: EventRecord, right: EventRecord, *, rtol: float = 0.0) -> None:
    np.testing.assert_array_equal(left.identity["event"], right.identity["event"])
    np.testing.assert_array_equal(left.gen_weight, right.gen_weight)
    np.testing.assert_array_equal(left.benchmark_ratios, right.benchmark_ratios)
    assert left.jets is not None
    assert right.jets is not None
    for a, b in ((left.electrons, right.electrons), (left.muons, right.muons), (left.jets, right.jets)):
        assert a.counts.tolist() == b.counts.tolist()
        assert a.columns.keys() == b.columns.keys()
        for field in a.columns:
            np.testing.assert_allclose(a[field], b[field], rtol=rtol, err_msg=field)


def test_nanoaod_gives_what_was_written(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(40, seed=1)
    record = _read(ntuples.write_nano(tmp_path / "a.root", events), _sample())
    assert len(record) == 40
    assert record.jets is not None
    for i, event in enumerate(events):
        assert record.identity["event"][i] == event.number
        assert record.gen_weight[i] == event.gen_weight
        assert record.benchmark_ratios[i].tolist() == list(event.ratios)
        for particles, flavour in ((record.electrons, 11), (record.muons, 13)):
            expected = [p for p in event.leptons if abs(p.pdg_id) == flavour]
            own = particles.event == i
            assert particles["pt"][own].tolist() == [p.pt for p in expected]
            assert particles["phi"][own].tolist() == [p.phi for p in expected]
            assert particles["charge"][own].tolist() == [-np.sign(p.pdg_id) for p in expected]
        own = record.jets.event == i
        assert record.jets["eta"][own].tolist() == [p.eta for p in event.jets]
        assert record.jets["mass"][own].tolist() == [p.mass for p in event.jets]


def test_flat_ntuples_give_the_same_record(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(40, seed=2)
    nano = _read(ntuples.write_nano(tmp_path / "nano.root", events), _sample())
    _assert_equal(_read(ntuples.write_flat(tmp_path / "flat.root", events), _flat_sample()), nano)


def test_momenta_in_mev_come_out_in_gev(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(40, seed=3)
    in_gev = _read(ntuples.write_flat(tmp_path / "gev.root", events), _flat_sample())
    in_mev = _read(ntuples.write_flat(tmp_path / "mev.root", events, scale=1000.0), _flat_sample(momentum_unit="MeV"))
    _assert_equal(in_mev, in_gev, rtol=1e-15)


def test_masses_that_are_not_in_the_ntuple_are_the_constants(tmp_path: Path, ntuples: ModuleType) -> None:
    path = ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(20, seed=4), drop=["Electron_mass", "Muon_mass"])
    record = _read(path, _sample())
    assert set(record.electrons["mass"].tolist()) == {units.M_ELECTRON}
    assert set(record.muons["mass"].tolist()) == {units.M_MUON}


def test_an_ntuple_without_jets_has_none_and_not_zero_jets(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(5, seed=5)
    assert _read(ntuples.write_nano(tmp_path / "a.root", events, drop=["Jet"]), _sample()).jets is None
    assert _read(ntuples.write_flat(tmp_path / "b.root", events), _flat_sample(jet=None)).jets is None


def test_fields_of_an_rntuple_are_found_inside_their_collection(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(20, seed=6))
    sample = _sample()
    as_rntuple = reader_for(sample).read(ak.Array(columns), sample)
    flat_names = _read(ntuples.write_tree(tmp_path / "a.root", columns), sample)
    _assert_equal(as_rntuple, flat_names)


def test_a_weight_vector_of_another_length_is_refused(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(20, seed=7)
    lengths = [3] * 17 + [2, 3, 3]
    vector = ak.values_astype(ak.unflatten(np.ones(sum(lengths)), lengths), np.float32)
    path = ntuples.write_nano(tmp_path / "a.root", events, LHEReweightingWeight=vector)
    with pytest.raises(ShapeError, match=r"(?s)'LHEReweightingWeight' of sample ggF_SBI, entry 17.*length 2.*length 3.*ggF_SBI"):
        _read(path, _sample())


def test_a_sample_that_does_not_interfere_has_no_ratios(tmp_path: Path, ntuples: ModuleType) -> None:
    path = ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=8), benchmarks=False)
    assert _read(path, _sample(name="qqZZ", benchmarks=[])).benchmark_ratios.shape == (5, 0)


def test_further_weight_vectors_come_on_request(tmp_path: Path, ntuples: ModuleType) -> None:
    vector = ak.values_astype(ak.from_regular(np.arange(10.0).reshape(5, 2)), np.float32)
    path = ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=8), LHEPdfWeight=vector)
    sample = _sample()
    with uproot.open(path) as file:
        record = reader_for(sample).read(file["Events"].arrays(), sample, weight_vectors=["LHEPdfWeight"])
    assert record.weight_vectors["LHEPdfWeight"].tolist() == np.arange(10.0).reshape(5, 2).tolist()
    assert _read(path, sample).weight_vectors == {}


def test_one_flavour_alone(tmp_path: Path, ntuples: ModuleType) -> None:
    path = ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=8), drop=["Electron"])
    record = _read(path, _sample(layout={"kind": "nanoaod", "electron": None}))
    assert record.electrons.counts.tolist() == [0] * 5
    assert set(record.electrons.columns) == set(record.muons.columns)
    assert record.muons.counts.sum() > 0


def test_the_number_of_jets_may_be_a_column(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.flat_columns(ntuples.make_events(4, seed=1))
    ntuples.write_tree(tmp_path / "a.root", columns | {"njet": np.array([7, 0, -999, 2])})
    record = _read(tmp_path / "a.root", _flat_sample(n_jets_column="njet"))
    np.testing.assert_array_equal(record.columns["n_jets"], [7, 0, np.nan, 2])


def test_fields_of_other_names_with_a_charge_of_their_own(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(30, seed=1)
    columns = ntuples.flat_columns(events)
    for i in range(1, 6):
        pdg_id = columns.pop(f"lep{i}_pdg_id")
        columns |= {f"lep{i}_flavour": np.abs(pdg_id), f"lep{i}_q": -np.sign(pdg_id)}
    ntuples.write_tree(tmp_path / "a.root", columns)
    renamed = _read(tmp_path / "a.root", _flat_sample(fields={"pdg_id": "flavour", "charge": "q"}))
    _assert_equal(renamed, _read(ntuples.write_flat(tmp_path / "b.root", events), _flat_sample()))


def test_nan_is_missing_as_the_sentinel_is(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(30, seed=1)
    columns = ntuples.flat_columns(events)
    for name, values in columns.items():
        if name.startswith(("lep", "jet")):
            values[values == -999.0] = np.nan
    ntuples.write_tree(tmp_path / "a.root", columns)
    _assert_equal(_read(tmp_path / "a.root", _flat_sample()), _read(ntuples.write_flat(tmp_path / "b.root", events), _flat_sample()))

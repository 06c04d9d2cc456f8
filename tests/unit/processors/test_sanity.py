"""What the leptons themselves say about a file that is not what the config says."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest

from processors import run
from processors.eventfile import open_events
from processors.formats import EventRecord, numbered, reader_for
from processors.inputs import inspect_inputs
from processors.sanity import SCALES, check_momenta, read_range, take_census
from toolkit.config import SampleConfig
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, ShapeError

FLAT = {"kind": "flat", "n_leptons": 5, "n_jets": 6}


def _flat(**layout: Any) -> dict[str, Any]:
    return {"name": "qqZZ", "files": ["a.root"], "layout": FLAT | layout, "xsec_pb": 1.0, "gen_sumw": "sum"}


def _record(path: Path, **keys: Any) -> EventRecord:
    sample = SampleConfig.model_validate({"name": "qqZZ", "files": ["x"]} | keys)
    with open_events(path, sample.tree) as events:
        return read_range(events, sample, 0, events.entries)


def test_the_census_equals_a_loop_over_events(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(200, seed=4)
    census = take_census(_record(ntuples.write_nano(tmp_path / "a.root", events)))
    four = neutral = flavours = near = 0
    for event in events:
        codes = [p.pdg_id for p in event.leptons]
        if len(codes) < 4:
            continue
        four += 1
        neutral += sum(c > 0 for c in codes) >= 2 and sum(c < 0 for c in codes) >= 2
        flavours += sum(min(codes.count(f), codes.count(-f)) for f in (11, 13)) >= 2
        hardest = sorted(event.leptons, key=lambda p: -p.pt)[:4]
        masses = [_mass(ntuples, p, q) for p, q in combinations(hardest, 2) if abs(p.pdg_id) == abs(q.pdg_id)]
        near += any(abs(m - 91.1876) < 15 for m in masses)
    assert (census.events, census.most_leptons, census.four) == (200, 5, four)
    assert (census.neutral, census.flavours) == (neutral, flavours)
    assert census.near_z == tuple(near if scale == 1 else 0 for scale in SCALES)
    assert not census.all_single


def _mass(ntuples: ModuleType, p: Any, q: Any) -> float:
    total = np.array(ntuples.momentum(p)) + np.array(ntuples.momentum(q))
    return float(np.sqrt(total[3] ** 2 - total[:3] @ total[:3]))


def test_censuses_of_parts_add_up(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(60, seed=4)
    parts = [take_census(_record(ntuples.write_nano(tmp_path / f"{i}.root", events[i::2]))) for i in range(2)]
    assert parts[0] + parts[1] == take_census(_record(ntuples.write_nano(tmp_path / "all.root", events)))


def test_mev_read_as_gev_is_refused_with_the_remedy(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_flat(tmp_path / "a.root", ntuples.make_events(40, seed=1), scale=1000.0)
    config = ntuples.make_config(tmp_path, [_flat()])
    with pytest.raises(PhysicsDomainError, match=r"(?s)momentum unit of .*a\.root.*read as GeV, 0 of \d+ events.*`momentum_unit: MeV`"):
        inspect_inputs(config)
    (sample,) = inspect_inputs(ntuples.make_config(tmp_path, [_flat(momentum_unit="MeV")]))
    assert sample.entries == 40


def test_gev_read_as_mev_is_refused_with_the_remedy(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_atlas(tmp_path / "a.root", ntuples.make_events(40, seed=1), scale=1.0)
    config = ntuples.make_config(tmp_path, [{"name": "qqZZ", "files": ["a.root"], "tree": "mini", "layout": {"kind": "atlas"}}])
    with pytest.raises(PhysicsDomainError, match=r"(?s)momentum unit.*read as MeV.*`momentum_unit: GeV`"):
        inspect_inputs(config)


def test_nanoaod_in_mev_is_sent_to_the_mapping(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(40, seed=1))
    for kind in ("Electron", "Muon"):
        columns[kind] = ak.with_field(columns[kind], columns[kind].pt * np.float32(1000), "pt")
    ntuples.write_tree(tmp_path / "a.root", columns)
    sample = {"name": "qqZZ", "files": ["a.root"], "xsec_pb": 1.0, "gen_sumw": "sum"}
    with pytest.raises(PhysicsDomainError, match=r"(?s)momentum unit.*`kind: mapping` and `momentum_unit: MeV`"):
        inspect_inputs(ntuples.make_config(tmp_path, [sample]))


def _processed(tmp_path: Path, ntuples: ModuleType, columns: dict[str, Any]) -> None:
    ntuples.write_tree(tmp_path / "a.root", columns)
    sample = {"name": "qqZZ", "files": ["a.root"], "xsec_pb": 1.0, "gen_sumw": "sum"}
    run(ntuples.make_config(tmp_path, [sample]), tmp_path / "out")


def test_a_total_charge_that_is_never_zero_is_named(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(40, seed=1))
    for kind in ("Electron", "Muon"):
        columns[kind] = ak.with_field(columns[kind], abs(columns[kind].charge), "charge")
    with pytest.raises(PhysicsDomainError, match=r"(?s)total charge .* sample qqZZ.*not 0 in any of 3\d events.*sign of the charge"):
        _processed(tmp_path, ntuples, columns)


def test_flavours_that_never_pair_are_named(tmp_path: Path, ntuples: ModuleType) -> None:
    events = [e for e in ntuples.make_events(400, seed=1) if len(e.leptons) == 4]
    wrong = [e for e in events if len({abs(p.pdg_id) for p in e.leptons}) == 2]
    columns = ntuples.nano_columns(wrong)
    columns["Electron"], columns["Muon"] = (
        ak.concatenate([columns["Electron"][:, :1], columns["Muon"][:, :1]], axis=1),
        ak.concatenate([columns["Electron"][:, 1:], columns["Muon"][:, 1:]], axis=1),
    )
    for kind in ("Electron", "Muon"):
        columns[kind] = ak.with_field(
            columns[kind], ak.values_astype(columns[kind].charge * 0 + (1 if kind == "Muon" else -1), np.int32), "charge"
        )
    with pytest.raises(PhysicsDomainError, match=r"(?s)flavours of the leptons of sample qqZZ.*no two pairs.*11.*13"):
        _processed(tmp_path, ntuples, columns)


def test_fewer_than_four_leptons_everywhere_is_named(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns([e for e in ntuples.make_events(200, seed=1) if len(e.leptons) == 3])
    with pytest.raises(PhysicsDomainError, match=r"(?s)sample qqZZ.*at most 3 leptons .* in each of \d+ events.*h4l inspect"):
        _processed(tmp_path, ntuples, columns)


def test_lists_of_one_element_are_named(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(40, seed=1))
    columns |= {kind: columns[kind][:, :1] for kind in ("Electron", "Muon")}
    with pytest.raises(PhysicsDomainError, match=r"(?s)at most 2 leptons.*one element: a conversion kept only the first"):
        _processed(tmp_path, ntuples, columns)


def test_one_element_over_and_over_is_refused(tmp_path: Path, ntuples: ModuleType) -> None:
    event = next(e for e in ntuples.make_events(40, seed=1) if len(e.leptons) == 4)
    copies = [type(event)(i, (event.leptons[0],) * 4, (), 1.0, event.ratios) for i in range(20)]
    with pytest.raises(PhysicsDomainError, match=r"(?s)leptons of .*a\.root.*for all 80 leptons.*one element over and over"):
        _processed(tmp_path, ntuples, ntuples.nano_columns(copies))


def test_whole_columns_in_one_entry_are_refused(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.flat_columns(ntuples.make_events(40, seed=1))
    ntuples.write_tree(tmp_path / "a.root", {name: ak.Array([values]) for name, values in columns.items()})
    with pytest.raises(ShapeError, match=r"(?s)branch 'weight'.*1 entries.*whole columns in one entry.*one number per event"):
        inspect_inputs(ntuples.make_config(tmp_path, [_flat()], ratios={"features": ["m4l"]}))


def test_lists_of_different_lengths_are_refused(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(20, seed=1))
    muons = columns.pop("Muon")
    for field in ("pt", "eta", "phi", "charge"):
        columns[f"Muon_{field}"] = muons[field] if field != "eta" else muons[field][:, :1]
    ntuples.write_tree(tmp_path / "a.root", columns)
    sample = {"name": "qqZZ", "files": ["a.root"], "xsec_pb": 1.0, "gen_sumw": "sum"}
    with pytest.raises(ShapeError, match=r"(?s)'Muon_pt' and 'Muon_eta', entry \d+.*same length"):
        inspect_inputs(ntuples.make_config(tmp_path, [sample]))


def test_columns_where_lists_belong_are_refused(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(20, seed=1))
    electrons = columns.pop("Electron")
    columns |= {f"Electron_{f}": ak.to_numpy(ak.fill_none(ak.firsts(electrons[f]), 0)) for f in ("pt", "eta", "phi", "charge")}
    ntuples.write_tree(tmp_path / "a.root", columns)
    sample = {"name": "qqZZ", "files": ["a.root"], "xsec_pb": 1.0, "gen_sumw": "sum"}
    with pytest.raises(ShapeError, match=r"(?s)'Electron_pt'.*a list of numbers per event.*kind: flat"):
        inspect_inputs(ntuples.make_config(tmp_path, [sample]))


@pytest.mark.parametrize(("kind", "field"), [("Electron", "pt"), ("Muon", "phi"), ("Jet", "mass")])
def test_a_momentum_that_is_no_number_names_its_event(tmp_path: Path, ntuples: ModuleType, kind: str, field: str) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(20, seed=1))
    counts = ak.num(columns[kind])
    entry = int(np.flatnonzero(np.asarray(counts) > 0)[2])
    flat = ak.to_numpy(ak.flatten(columns[kind][field])).copy()
    flat[int(np.sum(np.asarray(counts)[:entry]))] = np.nan
    columns[kind] = ak.with_field(columns[kind], ak.unflatten(flat, counts), field)
    sample = SampleConfig.model_validate({"name": "qqZZ", "files": ["x"]})
    record = numbered(reader_for(sample).read(ak.Array(columns), sample), 0, 0)
    place = rf"{field} of a {kind.lower()} of event {entry + 1} \(entry {100 + entry}\) in f\.root"
    with pytest.raises(PhysicsDomainError, match=rf"(?s){place}.*nan"):
        check_momenta(record, "f.root", 100)


def test_files_with_different_numbers_of_weights_are_no_sample(tmp_path: Path, ntuples: ModuleType) -> None:
    for i, k in enumerate((3, 2)):
        events = ntuples.make_events(20, seed=i, first=1 + 20 * i)
        vector = ak.values_astype(ak.from_regular(np.ones((20, k))), np.float32)
        ntuples.write_nano(tmp_path / f"a_{i}.root", events, LHEScaleWeight=vector)
    systematics = {"weights": {"scale": {"kind": "pair", "vector": "LHEScaleWeight", "up": 0, "down": 1}}}
    config = ntuples.make_config(tmp_path, [ntuples.signal_sample("a_*.root")], systematics=systematics)
    with pytest.raises(
        ArtifactMismatchError,
        match=r"(?s)'LHEScaleWeight' of sample ggF_SBI.*a_0\.root: 3 weights; a_1\.root: 2 weights.*different",
    ):
        inspect_inputs(config)


def test_files_with_different_names_of_benchmarks_are_no_sample(tmp_path: Path, ntuples: ModuleType) -> None:
    names = (ntuples.BENCHMARKS, ("ggF_S", "ggF_SBI", "ggF_B"))
    for i, order in enumerate(names):
        ntuples.write_lhe(tmp_path / f"a_{i}.lhe", ntuples.make_events(10, seed=i), names=order)
    systematics = {"weights": {"any": {"kind": "pair", "vector": "reweighting", "up": 0, "down": 1}}}
    sample = {"name": "ggF_SBI", "files": ["a_*.lhe"], "layout": {"kind": "lhe"}}
    with pytest.raises(ArtifactMismatchError, match=r"(?s)'reweighting'.*a_0\.lhe: 3 weights \['ggF_S', 'ggF_B',.*; a_1\.lhe.*same order"):
        inspect_inputs(ntuples.make_config(tmp_path, [sample], systematics=systematics))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (0.0, r"(?s)sum of generator weights of sample ggF_SBI.*got:      0\.0.*not 0"),
        (-1.0, r"(?s)normalisation of sample ggF_SBI.*cross-section 0\.005 pb and sum of generator weights -5.*numbers of one sign"),
    ],
)
def test_a_sum_of_weights_that_is_not_positive_is_refused(tmp_path: Path, ntuples: ModuleType, weight: float, message: str) -> None:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), genWeight=np.full(5, weight, dtype=np.float32))
    sample = ntuples.signal_sample("a.root", gen_sumw="sum")
    with pytest.raises(PhysicsDomainError, match=message):
        inspect_inputs(ntuples.make_config(tmp_path, [sample]))

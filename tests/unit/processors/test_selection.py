"""The vectorised selection against an obvious loop over events."""

from __future__ import annotations

from itertools import combinations
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest

from processors.formats import EventRecord, reader_for
from processors.particles import Particles
from processors.selection import accept_jets, cuts_of, select
from toolkit.config import JetSelection, SampleConfig, SelectionConfig
from toolkit.errors import SchemaError
from toolkit.kinematics import OBSERVABLES

OPEN = {"m_z1": (0.0, 1000.0), "m_z2": (0.0, 1000.0), "m4l": (0.0, 5000.0)}


def _record(ntuples: ModuleType, events: list[Any], **replaced: Any) -> EventRecord:
    sample = SampleConfig(name="ggF_SBI", files=("x",), benchmarks=("a", "b", "ggF_SBI"))
    columns = ntuples.nano_columns(events) | replaced
    flat = {}
    for name, values in columns.items():
        if isinstance(values, ak.Array) and values.fields:
            flat |= {f"{name}_{field}": values[field] for field in values.fields}
        else:
            flat[name] = values
    return reader_for(sample).read(ak.Array(flat), sample)


def _p4(particle: Any) -> Any:
    p, pt = particle, particle.pt
    momentum = np.array([pt * np.cos(p.phi), pt * np.sin(p.phi), pt * np.sinh(p.eta)])
    return np.array([*momentum, np.sqrt(p.mass**2 + momentum @ momentum)])


def _mass(*particles: Any) -> float:
    total = sum(_p4(p) for p in particles)
    return float(np.sqrt(max(total[3] ** 2 - total[:3] @ total[:3], 0.0)))


def _pairs(leptons: list[Any]) -> list[tuple[Any, Any]]:
    return [(a, b) for a, b in combinations(leptons, 2) if a.pdg_id == -b.pdg_id]


def _best(leptons: list[Any]) -> tuple[Any, Any] | None:
    """Z1: nearest to the Z mass among pairs that leave a partner; Z2: the remaining pair with the largest sum of pt."""
    candidates = []
    for z1 in _pairs(leptons):
        rest = [p for p in leptons if p not in z1]
        if _pairs(rest):
            candidates.append((abs(_mass(*z1) - 91.1876), z1, max(_pairs(rest), key=lambda z: z[0].pt + z[1].pt)))
    if not candidates:
        return None
    _, z1, z2 = min(candidates, key=lambda c: c[0])
    return z1, z2


def _delta_r(one: Any, two: Any) -> float:
    return float(np.hypot(one.eta - two.eta, (one.phi - two.phi + np.pi) % (2 * np.pi) - np.pi))


def _jets(event: Any, leptons: list[Any], s: SelectionConfig) -> list[Any]:
    """Jets that no accepted lepton is near, hardest first."""
    inside = [j for j in event.jets if j.pt > s.jet.pt_min and abs(j.eta) < s.jet.abs_eta_max]
    kept = [j for j in inside if not any(_delta_r(j, p) < s.jet.lepton_delta_r for p in leptons)]
    return sorted(kept, key=lambda j: -j.pt)


def _loop(event: Any, s: SelectionConfig) -> tuple[str, dict[str, float]]:  # noqa: PLR0911
    """Return the last cut that the event passes, and some observables if it passes all."""
    cuts = {11: s.electron, 13: s.muon}
    leptons = [p for p in event.leptons if p.pt > cuts[abs(p.pdg_id)].pt_min and abs(p.eta) < cuts[abs(p.pdg_id)].abs_eta_max]
    for flavour, cut in cuts.items():
        if cut.abs_eta_gap is not None:
            low, high = cut.abs_eta_gap
            leptons = [p for p in leptons if abs(p.pdg_id) != flavour or not low <= abs(p.eta) < high]
    jets = _jets(event, leptons, s)
    leptons = [p for p in leptons if not any(_delta_r(p, j) < cuts[abs(p.pdg_id)].jet_delta_r for j in jets)]
    if len(leptons) < 4 or (s.n_leptons_exact and len(leptons) != 4):
        return "all", {}
    if s.total_charge is not None and -sum(np.sign(p.pdg_id) for p in leptons) != s.total_charge:
        return "four leptons", {}
    best = _best(leptons)
    if best is None:
        return "total charge" if s.total_charge is not None else "four leptons", {}
    z1, z2 = best
    flavours = (abs(z1[0].pdg_id), abs(z2[0].pdg_id))
    channel = 2 if flavours[0] != flavours[1] else 0 if flavours[0] == 11 else 1
    if ("4e", "4mu", "2e2mu")[channel] not in s.channels:
        return "two pairs", {}
    pts = sorted((p.pt for p in (*z1, *z2)), reverse=True)
    if any(pt <= threshold for pt, threshold in zip(pts, s.leading_pt_min, strict=False)):
        return "channel" if len(s.channels) < 3 else "two pairs", {}
    found = {"m_z1": _mass(*z1), "m_z2": _mass(*z2), "m4l": _mass(*z1, *z2)}
    for last, name in (("leading pt", "m_z1"), ("m_z1", "m_z2"), ("m_z2", "m4l")):
        low, high = getattr(s, name)
        if not low <= found[name] < high:
            return last, found
    found["n_jets"] = len(jets)
    found["m_jj"] = _mass(*jets[:2]) if len(jets) >= 2 else np.nan
    found["delta_eta_jj"] = abs(jets[0].eta - jets[1].eta) if len(jets) >= 2 else np.nan
    found["channel"] = channel
    return "m4l", found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_leptons_exact": False},
        {"n_leptons_exact": False, **OPEN},
        {
            "leading_pt_min": (60.0, 40.0, 30.0, 15.0),
            "m4l": (180.0, 400.0),
            "jet": {"pt_min": 20.0, "abs_eta_max": 2.5, "lepton_delta_r": 0.8},
        },
        {"channels": ["4mu", "2e2mu"]},
        {"n_leptons_exact": False, "total_charge": 0, **OPEN},
        {"n_leptons_exact": False, "total_charge": 1, "channels": ["2e2mu", "4e"], **OPEN},
        {
            "electron": {"pt_min": 7.0, "abs_eta_max": 2.47, "abs_eta_gap": [1.37, 1.52]},
            "muon": {"pt_min": 5.0, "abs_eta_max": 2.7, "jet_delta_r": 0.7},
            "jet": {"pt_min": 20.0, "lepton_delta_r": 0.15},
        },
    ],
)
def test_selection_equals_the_loop_over_events(ntuples: ModuleType, changes: dict[str, Any]) -> None:
    selection = SelectionConfig.model_validate(changes)
    events = ntuples.make_events(400, seed=11)
    weight = np.linspace(0.5, 1.5, len(events))
    result = select(_record(ntuples, events), weight, selection, observables=tuple(OBSERVABLES))
    expected = [_loop(event, selection) for event in events]
    passed = [i for i, (cut, _) in enumerate(expected) if cut == "m4l"]
    assert result.index.tolist() == passed
    assert 5 < len(passed) < 380
    for name in ("m4l", "m_z1", "m_z2", "n_jets", "m_jj", "delta_eta_jj"):
        np.testing.assert_allclose(result.observables[name], [expected[i][1][name] for i in passed], rtol=1e-9, err_msg=name)
    assert result.channel.tolist() == [expected[i][1]["channel"] for i in passed]
    assert set(result.channel.tolist()) == {("4e", "4mu", "2e2mu").index(name) for name in selection.channels}
    cuts = list(cuts_of(selection))
    assert list(result.cutflow) == cuts
    for depth, cut in enumerate(cuts):
        mask = np.array([cuts.index(last) >= depth for last, _ in expected])
        counts = result.cutflow[cut]
        assert counts["events"] == mask.sum()
        assert counts["sumw"] == pytest.approx(weight[mask].sum(), rel=1e-12)
        assert counts["sumw2"] == pytest.approx((weight[mask] ** 2).sum(), rel=1e-12)


WHERE = {
    "n_jets >= 2 and m_jj > 120": lambda values: values["n_jets"] >= 2 and values["m_jj"] > 120,
    "not m_jj > 120": lambda values: values["m_jj"] <= 120,
    "n_jets < 2 or m4l > 300": lambda values: values["n_jets"] < 2 or values["m4l"] > 300,
}


@pytest.mark.parametrize("where", list(WHERE))
def test_a_condition_cuts_after_the_windows_and_enters_the_cut_flow(ntuples: ModuleType, where: str) -> None:
    events = ntuples.make_events(400, seed=11)
    weight = np.linspace(0.5, 1.5, len(events))
    selection = SelectionConfig.model_validate({**OPEN, "where": where})
    result = select(_record(ntuples, events), weight, selection, observables=("pt4l", "m4l"))
    loop = [_loop(event, selection) for event in events]
    before = [i for i, (cut, _) in enumerate(loop) if cut == "m4l"]
    passed = [i for i in before if WHERE[where](loop[i][1])]
    assert 3 < len(passed) < len(before)
    assert result.index.tolist() == passed
    assert list(result.observables) == ["pt4l", "m4l"]
    np.testing.assert_allclose(result.observables["m4l"], [loop[i][1]["m4l"] for i in passed], rtol=1e-9)
    assert result.channel.tolist() == [loop[i][1]["channel"] for i in passed]
    parts = where.split(" and ")
    assert list(result.cutflow)[-1 - len(parts) :] == ["m4l", *parts]
    assert (result.cutflow["m4l"]["events"], result.cutflow[parts[-1]]["events"]) == (len(before), len(passed))
    assert result.cutflow[parts[-1]]["sumw"] == pytest.approx(weight[passed].sum(), rel=1e-12)


def test_a_window_contains_its_lower_edge_and_not_its_upper(ntuples: ModuleType) -> None:
    record = _record(ntuples, ntuples.make_events(50, seed=12))
    weight = np.ones(50)
    free = select(record, weight, SelectionConfig.model_validate(OPEN), observables=("m4l",))
    edge = float(free.observables["m4l"][3])
    above = select(record, weight, SelectionConfig.model_validate(OPEN | {"m4l": (edge, 5000.0)}), observables=("m4l",))
    below = select(record, weight, SelectionConfig.model_validate(OPEN | {"m4l": (0.0, edge)}), observables=("m4l",))
    assert free.index[3] in above.index
    assert free.index[3] not in below.index
    assert len(above.index) + len(below.index) == len(free.index)


def test_the_order_of_leptons_and_jets_does_not_matter(ntuples: ModuleType) -> None:
    events = ntuples.make_events(100, seed=13)
    columns = ntuples.nano_columns(events)
    backwards = {name: columns[name][:, ::-1] for name in ("Electron", "Muon", "Jet")}
    names = tuple(OBSERVABLES)
    one = select(_record(ntuples, events), np.ones(100), SelectionConfig(), observables=names)
    two = select(_record(ntuples, events, **backwards), np.ones(100), SelectionConfig(), observables=names)
    np.testing.assert_array_equal(one.index, two.index)
    for name in names:
        precision = 1e-5 if OBSERVABLES[name].group == "matrix_element" else 1e-9  # their networks compute in single precision
        np.testing.assert_allclose(one.observables[name], two.observables[name], rtol=precision, atol=precision, err_msg=name)


def test_without_jets_their_observables_are_missing_and_not_zero(ntuples: ModuleType) -> None:
    record = _record(ntuples, ntuples.make_events(50, seed=14))
    without = EventRecord(record.identity, record.gen_weight, record.benchmark_ratios, record.electrons, record.muons, None)
    result = select(without, np.ones(50), SelectionConfig(), observables=("m4l", "n_jets", "m_jj"))
    assert np.all(np.isnan(result.observables["n_jets"]))
    assert np.all(np.isnan(result.observables["m_jj"]))
    assert not np.any(np.isnan(result.observables["m4l"]))


def test_without_jets_no_lepton_can_be_near_one(ntuples: ModuleType) -> None:
    record = _record(ntuples, ntuples.make_events(10, seed=16))
    without = EventRecord(record.identity, record.gen_weight, record.benchmark_ratios, record.electrons, record.muons, None)
    selection = SelectionConfig.model_validate({"muon": {"pt_min": 5.0, "abs_eta_max": 2.7, "jet_delta_r": 0.4}})
    with pytest.raises(SchemaError, match="ntuples without jets"):
        select(without, np.ones(10), selection, observables=("m4l",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": []}, "at least 1"),
        ({"channels": ["2mu2e"]}, "4e"),
        ({"electron": {"pt_min": 7.0, "abs_eta_max": 2.5, "abs_eta_gap": [1.52, 1.37]}}, "low < high"),
    ],
)
def test_selections_without_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelectionConfig.model_validate(changes)


def test_no_event_at_all_gives_empty_results(ntuples: ModuleType) -> None:
    record = _record(ntuples, ntuples.make_events(20, seed=15))
    nothing = SelectionConfig.model_validate(
        {"electron": {"pt_min": 1999.0, "abs_eta_max": 1}, "muon": {"pt_min": 1999.0, "abs_eta_max": 1}}
    )
    result = select(record, np.ones(20), nothing, observables=("m4l", "n_jets"))
    assert result.index.shape == (0,)
    assert result.observables["m4l"].shape == (0,)
    assert [counts["events"] for counts in result.cutflow.values()] == [20, 0, 0, 0, 0, 0, 0]


def test_jets_near_a_lepton_are_removed_across_the_seam_of_phi() -> None:
    columns = {"pt": [50.0, 60.0, 70.0], "eta": [0.0, 0.0, 1.0], "phi": [3.1, 2.0, 0.0]}
    jets = Particles(np.array([2, 0, 1]), {name: np.array(values) for name, values in columns.items()})
    leptons = Particles(np.array([1, 1, 0]), {"eta": np.array([0.1, 0.0]), "phi": np.array([-3.1, 0.0])})
    kept = accept_jets(jets, leptons, JetSelection())
    assert kept.counts.tolist() == [1, 0, 1]
    assert kept["pt"].tolist() == [60.0, 70.0]

"""Every way in which an input can be wrong is found before any event is processed, and said in one message."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from processors.inputs import inspect_inputs
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError, ShapeError, ToolkitError

FLAT = {"kind": "flat", "n_leptons": 5, "n_jets": 6, "benchmark_weights": ["w_ggF_S", "w_ggF_B", "w_ggF_SBI"]}


@pytest.fixture
def good(tmp_path: Path, ntuples: ModuleType) -> Path:
    return ntuples.write_nano(tmp_path / "good.root", ntuples.make_events(30, seed=1))  # type: ignore[no-any-return]


def _refused(folder: Path, ntuples: ModuleType, sample: dict[str, Any], kind: type[ToolkitError], *words: str, **sections: Any) -> None:
    with pytest.raises(kind) as caught:
        inspect_inputs(ntuples.make_config(folder, [sample], **sections))
    for word in words:
        assert re.search(word, str(caught.value)), f"{word!r} is not in: {caught.value}"


def test_a_good_file_is_described(good: Path, ntuples: ModuleType) -> None:
    (sample,) = inspect_inputs(ntuples.make_config(good.parent, [ntuples.signal_sample("good.root", k_factor=2.0)]))
    events = ntuples.make_events(30, seed=1)
    sumw = sum(e.gen_weight for e in events)
    assert sample.entries == 30
    assert sample.xsec_pb == pytest.approx(ntuples.XSEC_FB * 1e-3, rel=1e-12)
    assert sample.sumw == pytest.approx(sumw, rel=1e-12)
    assert sample.scale(100.0) == pytest.approx(ntuples.XSEC_FB * 2.0 * 100.0 / sumw, rel=1e-12)
    assert "Electron_pt" in sample.files[0].branches


def test_sums_of_weights_add_and_cross_sections_do_not(tmp_path: Path, ntuples: ModuleType) -> None:
    halves = [ntuples.make_events(20, seed=1), ntuples.make_events(30, seed=2, first=21)]
    for i, events in enumerate(halves):
        ntuples.write_nano(tmp_path / f"part_{i}.root", events)
    (sample,) = inspect_inputs(ntuples.make_config(tmp_path, [ntuples.signal_sample("part_*.root")]))
    assert [Path(f.path).name for f in sample.files] == ["part_0.root", "part_1.root"]
    assert sample.sumw == pytest.approx(sum(e.gen_weight for half in halves for e in half), rel=1e-12)
    assert sample.xsec_pb == pytest.approx(ntuples.XSEC_FB * 1e-3, rel=1e-12)


def test_a_file_that_two_patterns_match_counts_once(good: Path, ntuples: ModuleType) -> None:
    (sample,) = inspect_inputs(ntuples.make_config(good.parent, [ntuples.signal_sample(["*.root", "good.root"])]))
    assert sample.entries == 30


def test_a_flat_ntuple_sums_its_weights_on_request(tmp_path: Path, ntuples: ModuleType) -> None:
    events = ntuples.make_events(20, seed=3)
    ntuples.write_flat(tmp_path / "flat.root", events)
    sample = ntuples.signal_sample("flat.root", layout=FLAT, xsec_pb=0.005, gen_sumw="sum")
    (found,) = inspect_inputs(ntuples.make_config(tmp_path, [sample]))
    assert found.sumw == pytest.approx(sum(e.gen_weight for e in events), rel=1e-12)


def test_missing_file(good: Path, ntuples: ModuleType) -> None:
    _refused(good.parent, ntuples, ntuples.signal_sample("goood.root"), InputFileError, r"sample ggF_SBI", r"goood\.root", "'good.root'")
    _refused(good.parent, ntuples, ntuples.signal_sample("elsewhere/*.root"), InputFileError, "no folder", r"--data")
    _refused(good.parent, ntuples, ntuples.signal_sample("."), InputFileError, "got:      the folder", r"\*\.root")


def test_not_a_root_file(tmp_path: Path, ntuples: ModuleType) -> None:
    (tmp_path / "page.root").write_text("<html>404 not found</html>")
    _refused(tmp_path, ntuples, ntuples.signal_sample("page.root"), InputFileError, r"page\.root", "not a ROOT file", "<htm")
    (tmp_path / "empty.root").touch()
    _refused(tmp_path, ntuples, ntuples.signal_sample("empty.root"), InputFileError, r"empty\.root", "not a ROOT file")


@pytest.mark.parametrize("kept", [0.03, 0.5, 0.95, 0.999])
def test_truncated_root_file(good: Path, ntuples: ModuleType, kept: float) -> None:
    content = good.read_bytes()
    (good.parent / "cut.root").write_bytes(content[: int(kept * len(content))])
    _refused(good.parent, ntuples, ntuples.signal_sample("cut.root"), InputFileError, r"cut\.root", "truncated", "complete ROOT file")


def test_missing_tree(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), tree="Event")
    _refused(tmp_path, ntuples, ntuples.signal_sample("a.root"), SchemaError, r"tree 'Events' in .*a\.root", "did you mean 'Event'")


def test_a_file_without_runs_needs_numbers(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_tree(tmp_path / "a.root", ntuples.nano_columns(ntuples.make_events(5, seed=1)))
    _refused(tmp_path, ntuples, ntuples.signal_sample("a.root"), SchemaError, "tree 'Runs'", "runs_tree")
    numbers = ntuples.signal_sample("a.root", xsec_pb=1.0, gen_sumw=2.0)
    (sample,) = inspect_inputs(ntuples.make_config(tmp_path, [numbers]))
    assert (sample.xsec_pb, sample.sumw) == (1.0, 2.0)


def test_runs_without_a_cross_section(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), xsec_fb=None)
    _refused(tmp_path, ntuples, ntuples.signal_sample("a.root"), SchemaError, "branch 'xsec_fb' of tree 'Runs'", "give `xsec_pb`")


@pytest.mark.parametrize(
    ("dropped", "nearest"),
    [
        ("Electron_phi", "did you mean 'Electron_"),
        ("Muon_charge", "did you mean '(Muon_|Electron_charge)"),
        ("event", "`layout`|did you mean"),
    ],
)
def test_missing_branch_names_the_nearest(tmp_path: Path, ntuples: ModuleType, dropped: str, nearest: str) -> None:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), drop=[dropped])
    _refused(tmp_path, ntuples, ntuples.signal_sample("a.root"), SchemaError, rf"branch '{dropped}' of tree 'Events' in .*a\.root", nearest)


def test_a_renamed_weight_branch_is_proposed(good: Path, ntuples: ModuleType) -> None:
    sample = ntuples.signal_sample("good.root", layout={"kind": "nanoaod", "gen_weight": "genWeights"})
    _refused(good.parent, ntuples, sample, SchemaError, "branch 'genWeights'", "did you mean 'genWeight'")


def test_jet_observables_need_jets(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), drop=["Jet"])
    sample = ntuples.signal_sample("a.root")
    _refused(tmp_path, ntuples, sample, SchemaError, "branch 'Jet_pt'", r"\['n_jets'\]")
    config = ntuples.make_config(tmp_path, [sample], ratios={"features": ["m4l", "phi"]})
    assert inspect_inputs(config)[0].entries == 5


def test_half_of_the_jet_branches_is_an_error(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), drop=["Jet_mass"])
    sample = ntuples.signal_sample("a.root")
    _refused(tmp_path, ntuples, sample, SchemaError, "branch 'Jet_mass'", "other jet branches", ratios={"features": ["m4l"]})


def test_a_layout_without_jets_cannot_give_jet_observables(tmp_path: Path, ntuples: ModuleType) -> None:
    ntuples.write_flat(tmp_path / "flat.root", ntuples.make_events(5, seed=1))
    sample = ntuples.signal_sample("flat.root", layout=FLAT | {"jet": None}, xsec_pb=1.0, gen_sumw="sum")
    _refused(tmp_path, ntuples, sample, SchemaError, r"jet observables \['n_jets'\]", r"layout\.jet")


def test_benchmark_vector_of_the_wrong_length(good: Path, tmp_path: Path, ntuples: ModuleType) -> None:
    four = ntuples.signal_sample("good.root", benchmarks=["ggF_S", "ggF_B", "ggF_SBI", "extra"])
    _refused(good.parent, ntuples, four, ShapeError, "LHEReweightingWeight", "length 3", "length 4", "'extra'")
    ntuples.write_flat(tmp_path / "flat.root", ntuples.make_events(5, seed=1))
    layout = FLAT | {"benchmark_weights": ["w_ggF_S", "w_ggF_B"]}
    sample = ntuples.signal_sample("flat.root", layout=layout, xsec_pb=1.0, gen_sumw="sum")
    _refused(tmp_path, ntuples, sample, ShapeError, "length 2", "length 3")


def test_files_of_different_processes_are_no_sample(tmp_path: Path, ntuples: ModuleType) -> None:
    for i, xsec in enumerate((5.0, 6.0)):
        ntuples.write_nano(tmp_path / f"a_{i}.root", ntuples.make_events(5, seed=i), xsec_fb=xsec)
    _refused(tmp_path, ntuples, ntuples.signal_sample("a_*.root"), ArtifactMismatchError, "a_0.root: 0.005 pb", "a_1.root: 0.006 pb")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cross_section_must_be_finite_and_of_the_sign_of_the_weights(tmp_path: Path, ntuples: ModuleType, value: float) -> None:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), xsec_fb=value)
    _refused(tmp_path, ntuples, ntuples.signal_sample("a.root"), ToolkitError, "ggF_SBI|Runs", "finite|one cross-section|of one sign")


def test_a_negative_cross_section_is_that_of_interference_alone(tmp_path: Path, ntuples: ModuleType) -> None:
    """Squares of amplitudes are refused, the interference is read with its sign, and a process of its own has a note."""
    events = ntuples.make_events(30, seed=1)
    sumw = sum(e.gen_weight for e in events)
    negative = -np.array([e.gen_weight for e in events], dtype=np.float32)
    ntuples.write_nano(tmp_path / "a.root", events, benchmarks=False, genWeight=negative)
    sample = {"name": "ggF_B", "files": ["a.root"], "xsec_pb": -0.01, "gen_sumw": "sum"}
    _refused(tmp_path, ntuples, sample, PhysicsDomainError, "sample ggF_B", "under ggF_B, the square of an amplitude", "ggF_B: I")
    points = {"ggF_S": "mu", "ggF_I": "sqrt(mu)", "ggF_B": 0.0}
    own = {"morphing": {"basis": "own", "monomials": ["mu", "sqrt(mu)", "1"], "points": points}}
    (found,) = inspect_inputs(ntuples.make_config(tmp_path, [{**sample, "name": "ggF_I"}], **own))
    assert (found.xsec_pb, found.notes[1:]) == (-0.01, ())
    assert found.scale(100.0) == pytest.approx(0.01 * 1e3 * 100.0 / sumw, rel=1e-6)
    (found,) = inspect_inputs(ntuples.make_config(tmp_path, [{**sample, "name": "other"}]))
    assert "negative cross-section" in found.notes[1]


def test_summing_nan_weights_is_refused(tmp_path: Path, ntuples: ModuleType) -> None:
    weights = np.array([1, 1, np.nan, 1, 1], dtype=np.float32)
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(5, seed=1), genWeight=weights)
    sample = ntuples.signal_sample("a.root", gen_sumw="sum")
    _refused(tmp_path, ntuples, sample, PhysicsDomainError, r"'genWeight' in .*a\.root", "NaN", "never dropped")


def test_an_unknown_observable_is_named_with_its_neighbour(good: Path, ntuples: ModuleType) -> None:
    _refused(good.parent, ntuples, ntuples.signal_sample("good.root"), SchemaError, "'m4l_'", "did you mean 'm4l'", observables=["m4l_"])


def test_a_file_of_histograms_has_no_tree(tmp_path: Path, ntuples: ModuleType) -> None:
    with uproot.recreate(tmp_path / "h.root") as file:
        file["h"] = np.histogram([1.0, 2.0])
    _refused(tmp_path, ntuples, ntuples.signal_sample("h.root"), SchemaError, "tree 'Events'", r"trees \[\]")


def test_an_rntuple_is_accepted(tmp_path: Path, ntuples: ModuleType) -> None:
    columns = {name: ak.Array(values) for name, values in ntuples.nano_columns(ntuples.make_events(20, seed=5)).items()}
    with uproot.recreate(tmp_path / "r.root") as file:
        file.mkrntuple("Events", columns)
    sample = ntuples.signal_sample("r.root", xsec_pb=1.0, gen_sumw="sum")
    (found,) = inspect_inputs(ntuples.make_config(tmp_path, [sample]))
    assert found.entries == 20

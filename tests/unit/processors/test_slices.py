"""Samples that are parts of one phase space: what each keeps, how they add up, and overlaps, against masks that are written down."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import overlaps, run
from processors.inputs import inspect_inputs
from toolkit.artifacts.events import read_events
from toolkit.config import Config, parse_config
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.weights.processes import combine_processes

SELECTION = {"m_z1": [0, 999], "m_z2": [0, 999], "m4l": [0, 5000]}


@pytest.fixture
def folder(tmp_path: Path, ntuples: ModuleType) -> Path:
    """Two files of one process with a generated mass; `slice.root` has none below 300."""
    for name, seed, low in (("all", 1, 0.0), ("slice", 2, 300.0)):
        events = ntuples.make_events(200, seed=seed, first=1 + 1000 * seed)
        mass = np.random.default_rng(seed).uniform(max(low, 150.0), 600.0, 200).astype(np.float32)
        ntuples.write_nano(tmp_path / f"{name}.root", events, benchmarks=False, genMass=mass)
    return tmp_path


def _config(folder: Path, *where: str, **sections: Any) -> Config:
    samples = [
        {"name": n, "process": "qqZZ", "files": [f"{f}.root"], **({"where": text} if text else {})}
        for (n, f), text in zip((("incl", "all"), ("high", "slice")), where, strict=True)
    ]
    model = {"parameters": {"mu": {}}, "processes": {"qqZZ": {"factor": "mu"}}}
    return parse_config({"luminosity_ifb": 140.0, "selection": SELECTION, "samples": samples, **model, **sections}, folder=folder)


def test_every_sample_keeps_its_part(folder: Path) -> None:
    plain = run(_config(folder, "", ""), folder / "plain")
    result = run(_config(folder, "genMass < 300", "genMass >= 300"), folder / "out", chunksize=70)
    mass = np.random.default_rng(1).uniform(150.0, 600.0, 200).astype(np.float32)
    whole = read_events(folder / "plain" / "events", "incl")
    kept = mass[whole.entry] < 300.0
    table = read_events(folder / "out" / "events", "incl")
    np.testing.assert_array_equal(table.event_id, whole.event_id[kept])
    np.testing.assert_array_equal(table.weight, whole.weight[kept])
    assert list(result.cutflow["incl"])[-1] == "sample: genMass < 300"
    assert result.cutflow["incl"]["m4l"] == pytest.approx(plain.cutflow["incl"]["m4l"], rel=1e-12)
    assert result.yields["incl"] == pytest.approx(whole.weight[kept].sum(), rel=1e-12)
    assert result.yields["high"] == pytest.approx(plain.yields["high"], rel=1e-12)
    again = run(_config(folder, "genMass < 300", "genMass >= 300"), folder / "out", chunksize=70)
    assert (again.reused, again.cutflow) == (again.chunks, result.cutflow)


@pytest.mark.parametrize(
    ("where", "fulfil"), [(("", "genMass >= 300"), "genMass >= 300"), (("genMass < 400", "genMass >= 300"), "genMass")]
)
def test_an_overlap_is_refused_with_its_counts(folder: Path, where: tuple[str, str], fulfil: str) -> None:
    """An inclusive sample beside a slice, and slices that share a part."""
    with pytest.raises(ArtifactMismatchError, match=rf"(?s)samples incl and high, which add up.*\d+ of \d+ selected.*{fulfil}.*where: not"):
        run(_config(folder, *where), folder / "out")


def test_an_overlap_that_a_changed_condition_makes_is_found_although_tables_exist(folder: Path) -> None:
    run(_config(folder, "genMass < 300", "genMass >= 300"), folder / "out")
    with pytest.raises(ArtifactMismatchError, match="which add up"):
        run(_config(folder, "genMass < 300", "genMass >= 200"), folder / "out")


def test_samples_that_add_up_without_conditions_are_named(folder: Path) -> None:
    (first, second) = inspect_inputs(_config(folder, "", ""))
    assert "samples incl, high add up" in first.notes[0]
    assert second.notes == ()
    assert all(not s.notes for s in inspect_inputs(_config(folder, "genMass < 300", "genMass >= 300")))


def test_conditions_on_what_no_file_or_selection_has_are_refused(folder: Path) -> None:
    with pytest.raises(SchemaError, match=r"(?s)'genMas' in .*`where` of the sample"):
        inspect_inputs(_config(folder, "genMas < 300", ""))
    with pytest.raises(SchemaError, match="made of selected events"):
        _config(folder, "score > 0", "", scores={"score": {"model": "m.onnx", "numerator": {"a": 1}, "denominator": {"b": 1}}})


def test_an_overlap_of_observables_is_found_early_or_noted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conditions on observables need the selection: of the first entries before processing, of all others while processing."""
    run(_config(folder, "", ""), folder / "plain")
    whole = read_events(folder / "plain" / "events", "incl")
    last = int(whole.entry.max())
    mass = whole.observables["m4l"][whole.entry == last][0]
    config = _config(folder, "", f"{mass - 1e-6} < m4l < {mass + 1e-6}")
    with pytest.raises(ArtifactMismatchError, match=r"which add up"):
        inspect_inputs(config)
    monkeypatch.setattr(overlaps, "RANGE", last)
    notes = [note for sample in inspect_inputs(config) for note in sample.notes]
    assert notes[0].startswith(f"samples incl and high add up: {200 - last} of 200 entries of incl were not compared with `")
    with pytest.raises(ArtifactMismatchError, match=r"(?s)which add up.*1 of \d+ selected"):
        run(config, folder / "out")


def test_branches_tell_which_entries_could_be_shared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All entries are compared; those outside the selection are in neither sample, whatever their branches say."""
    mass = np.random.default_rng(1).uniform(150.0, 600.0, 200).astype(np.float32)
    run(_config(folder, "", ""), folder / "plain")
    highest = float(mass[read_events(folder / "plain" / "events", "incl").entry].max())
    monkeypatch.setattr(overlaps, "RANGE", 1)
    monkeypatch.setattr(overlaps, "STEP", 7)
    with pytest.raises(ArtifactMismatchError, match="which add up"):
        inspect_inputs(_config(folder, "", f"genMass >= {highest}"))
    config = _config(folder, "", "genMass >= 300", selection={**SELECTION, "m4l": [4999, 5000]})
    notes = [note for sample in inspect_inputs(config) for note in sample.notes]
    assert f"{(mass >= 300.0).sum() - 1} of 200 entries of incl were not compared" in notes[0]
    assert not [note for sample in inspect_inputs(_config(folder, "genMass < 300", "genMass >= 300")) for note in sample.notes]


def test_a_sample_without_the_branch_of_the_condition_is_noted(folder: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(folder / "all.root", ntuples.make_events(50, seed=5), benchmarks=False)
    notes = [note for sample in inspect_inputs(_config(folder, "", "genMass >= 300")) for note in sample.notes]
    assert "50 of 50 entries of incl were not compared with `genMass >= 300`" in notes[0]


def test_samples_of_one_benchmark_add_up_without_their_overlap(tmp_path: Path, ntuples: ModuleType) -> None:
    """Two generators of SBI, one for events without jets: the density has the sum of both parts, here of masks."""
    names = {"S": "ggF_S", "B": "ggF_B", "SBI_0": "ggF_SBI", "SBI_1": "ggF_SBI"}
    for k, name in enumerate(names):
        ntuples.write_nano(tmp_path / f"{name}.root", ntuples.make_events(300, seed=20 + k, first=1 + 1000 * k), benchmarks=False)

    def config(where: dict[str, str]) -> Config:
        samples = [
            {"name": n, "process": "ggF", "generated": g, "files": [f"{n}.root"], "where": where.get(n, "")} for n, g in names.items()
        ]
        amplitudes = {"amplitudes": {"S": "sqrt(mu)", "B": "1"}, "benchmarks": {"ggF_S": [1, 0], "ggF_SBI": [1, 1], "ggF_B": [0, 1]}}
        model = {"parameters": {"mu": {}}, "processes": {"ggF": amplitudes}}
        return parse_config({"luminosity_ifb": 140.0, "selection": SELECTION, "samples": samples, **model}, folder=tmp_path)

    run(config({}), tmp_path / "plain")
    chosen = config({"SBI_0": "n_jets < 1", "SBI_1": "n_jets >= 1"})
    run(chosen, tmp_path / "out")
    events = combine_processes([read_events(tmp_path / "out" / "events", name) for name in names], chosen.model)
    plain = {name: read_events(tmp_path / "plain" / "events", name) for name in names}
    none, some = (plain[n].weight[(plain[n].observables["n_jets"] < 1) == (n == "SBI_0")] for n in ("SBI_0", "SBI_1"))
    assert min(len(none), len(some)) > 10
    yields = dict(zip(events.processes, events.yields, strict=True))
    assert yields["ggF_SBI"] == pytest.approx(none.sum() + some.sum(), rel=1e-12)
    assert yields["ggF_S"] == pytest.approx(plain["S"].weight.sum(), rel=1e-12)
    with pytest.raises(ArtifactMismatchError, match=r"samples SBI_0 and SBI_1, which add up"):
        inspect_inputs(config({"SBI_0": "n_jets < 2", "SBI_1": "n_jets >= 1"}))

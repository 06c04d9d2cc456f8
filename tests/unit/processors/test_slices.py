"""Samples that are parts of one phase space: what each keeps, how they add up, and overlaps, against masks that are written down."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import run
from processors.inputs import inspect_inputs
from toolkit.artifacts.events import read_events
from toolkit.config import Config, parse_config
from toolkit.errors import ArtifactMismatchError, SchemaError

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

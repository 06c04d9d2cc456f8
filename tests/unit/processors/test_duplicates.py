"""Events that would count twice: the same file, a copy, or the same events under other numbers, in one sample or in two."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors.duplicates import check_no_shared_events
from processors.inputs import inspect_inputs
from processors.runner import run
from toolkit.artifacts.events import IDENTITY, ChunkInfo, write_chunk
from toolkit.errors import ArtifactMismatchError

N = 30


@pytest.fixture
def folder(tmp_path: Path, ntuples: ModuleType) -> Path:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(20, seed=1))
    ntuples.write_nano(tmp_path / "b.root", ntuples.make_events(20, seed=2, first=21))
    shutil.copy(tmp_path / "a.root", tmp_path / "copy.root")
    return tmp_path


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((["a.root", "copy.root"], ["b.root"]), r"files of sample ggF_SBI\n.*one is a copy"),
        ((["a.root"], ["b.root", "a.root"]), r"files of samples ggF_SBI and qqZZ\n.*both read .*a\.root"),
        ((["a.root"], ["copy.root"]), r"files of samples ggF_SBI and qqZZ\n.*one is a copy"),
    ],
)
def test_a_file_that_is_read_twice_is_refused(files: Any, words: str, folder: Path, ntuples: ModuleType) -> None:
    samples = [ntuples.signal_sample(files[0]), {"name": "qqZZ", "files": files[1]}]
    with pytest.raises(ArtifactMismatchError, match=words):
        inspect_inputs(ntuples.make_config(folder, samples))
    assert len(inspect_inputs(ntuples.make_config(folder, samples, allow_duplicates=True))) == 2


def _write(folder: Path, sample: str, values: dict[str, Any], *, start: int = 0, numbers: Any = None) -> ChunkInfo:
    n = len(next(iter(values.values())))
    info = ChunkInfo(sample, (), key="k", source=f"{sample}.root", file_index=0, start=start, stop=start + n, cutflow={})
    identity: dict[str, Any] = {name: np.zeros(n, dtype=np.int64) for name in IDENTITY}
    identity |= {"entry": start + np.arange(n), "event": start + np.arange(n) if numbers is None else numbers}
    write_chunk(folder, info=info, identity=identity, observables=values, weight=np.ones(n), benchmark_weights=np.empty((n, 0)))
    return info


def _observables(seed: int, names: str = "abc") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=N) for name in names}


def test_different_events_with_the_same_numbers_pass(tmp_path: Path) -> None:
    infos = [_write(tmp_path, name, _observables(seed)) for seed, name in enumerate(("S", "B", "SBI"))]
    check_no_shared_events(tmp_path, infos)


def test_an_event_under_another_number_in_another_sample_is_found(tmp_path: Path) -> None:
    first, second = _observables(1), _observables(2)
    for name, values in second.items():
        values[7] = first[name][4]
    infos = [_write(tmp_path, "S", first), _write(tmp_path, "B", second, numbers=1000 + np.arange(N))]
    with pytest.raises(ArtifactMismatchError, match=r"selected events of samples B and S") as error:
        check_no_shared_events(tmp_path, infos)
    assert error.value.got is not None
    assert "1 events twice" in str(error.value.got)
    assert "entry 4 of S.root in S (event 4" in str(error.value.got)
    assert "entry 7 of B.root in B (event 1007" in str(error.value.got)


def test_one_different_bit_makes_another_event(tmp_path: Path) -> None:
    first = _observables(1)
    second = {**first, "b": np.nextafter(first["b"], 9.0)}
    check_no_shared_events(tmp_path, [_write(tmp_path, "S", first), _write(tmp_path, "B", second)])


def test_events_under_other_numbers_in_one_sample_are_found(tmp_path: Path) -> None:
    infos = [_write(tmp_path, "S", _observables(1)), _write(tmp_path, "S", _observables(1), start=N)]
    with pytest.raises(ArtifactMismatchError, match=rf"(?s)selected events of sample S\n.*{N} events twice"):
        check_no_shared_events(tmp_path, infos)


def test_with_few_observables_the_number_must_agree_too(tmp_path: Path) -> None:
    first, second = _observables(1, "a"), _observables(2, "a")
    second["a"][3] = first["a"][4]  # one rounded mass is not enough to call two events the same
    infos = [_write(tmp_path, "S", first), _write(tmp_path, "B", second)]
    check_no_shared_events(tmp_path, infos)
    infos[1] = _write(tmp_path, "B", first)
    with pytest.raises(ArtifactMismatchError, match="samples B and S"):
        check_no_shared_events(tmp_path, infos)


def test_a_run_refuses_events_that_were_renumbered(tmp_path: Path, ntuples: ModuleType) -> None:
    """Written again, the file is no copy of the other: only its events are."""
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(30, seed=1))
    ntuples.write_nano(tmp_path / "b.root", ntuples.make_events(30, seed=1, first=1001))
    samples = [ntuples.signal_sample("a.root"), {"name": "qqZZ", "files": ["b.root"]}]
    with pytest.raises(ArtifactMismatchError, match=r"selected events of samples ggF_SBI and qqZZ"):
        run(ntuples.make_config(tmp_path, samples), tmp_path / "out")
    assert not (tmp_path / "out" / "events" / "index.json").exists()
    result = run(ntuples.make_config(tmp_path, samples, allow_duplicates=True), tmp_path / "out")
    assert result.selected["qqZZ"] == result.selected["ggF_SBI"] > 0

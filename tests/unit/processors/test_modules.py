from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import run, selection
from processors.modules import load_modules
from processors.observables import known_observables, written_observables
from processors.plan import sample_keys
from toolkit.artifacts import read_events
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.kinematics import OBSERVABLES
from toolkit.kinematics.registry import forget

MODULE = """
from toolkit.kinematics import FourLeptonEvent, observable

@observable("m_z_sum", unit="GeV", label="sum", range=(0.0, 300.0))
def m_z_sum(event: FourLeptonEvent):
    _, one, two = event.masses
    return FACTOR * (one + two)
"""


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    before = set(OBSERVABLES)
    yield
    forget(set(OBSERVABLES) - before)


def _write(path: Path, factor: float) -> Path:
    path.write_text(MODULE.replace("FACTOR", repr(factor)))
    return path


@pytest.fixture
def folder(tmp_path: Path, ntuples: ModuleType) -> Path:
    ntuples.write_nano(tmp_path / "signal.root", ntuples.make_events(60, seed=3))
    _write(tmp_path / "mine.py", 1.0)
    return tmp_path


def _config(folder: Path, ntuples: ModuleType, **sections: Any) -> Config:
    keys = {"modules": ["mine.py"], "observables": ["standard", "m_z_sum"], **sections}
    return ntuples.make_config(folder, [ntuples.signal_sample("signal.root")], **keys)  # type: ignore[no-any-return]


@pytest.mark.parametrize("workers", [0, 2])
def test_users_observables_reach_the_tables_from_any_process(workers: int, folder: Path, ntuples: ModuleType) -> None:
    config = _config(folder, ntuples)
    run(config, folder / "out", executor="futures" if workers else "iterative", workers=workers, chunksize=20)
    table = read_events(folder / "out" / "events", "ggF_SBI").observables
    assert len(table["m4l"]) > 10
    np.testing.assert_array_equal(table["m_z_sum"], table["m_z1"] + table["m_z2"])


def test_a_change_of_the_module_makes_the_tables_stale_and_is_used(folder: Path, ntuples: ModuleType) -> None:
    config = _config(folder, ntuples)
    first = run(config, folder / "out", chunksize=20)
    assert run(config, folder / "out", chunksize=20).reused == first.chunks
    before = sample_keys(config, first.inputs)
    _write(folder / "mine.py", 2.0)
    assert sample_keys(config, first.inputs) != before
    assert run(config, folder / "out", chunksize=20).reused == 0
    table = read_events(folder / "out" / "events", "ggF_SBI").observables
    np.testing.assert_array_equal(table["m_z_sum"], 2 * (table["m_z1"] + table["m_z2"]))


def test_a_worker_refuses_a_module_that_changed_under_it(folder: Path) -> None:
    path = str(folder / "mine.py")
    digests = load_modules([path])
    assert load_modules([path], digests=digests) == digests
    _write(folder / "mine.py", 3.0)
    with pytest.raises(ArtifactMismatchError, match=r"(?s)mine\.py.*run again"):
        load_modules([path], digests=digests)


def test_a_missing_module_is_named(folder: Path, ntuples: ModuleType) -> None:
    with pytest.raises(InputFileError, match=r"(?s)absent\.py.*No such file.*correct `modules`"):
        written_observables(_config(folder, ntuples, modules=["absent.py"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", r"line 2.*ZeroDivisionError"),
        ("def f(:\n", r"line 1.*SyntaxError"),
        ("import sys\nsys.exit(3)\n", r"line 2.*SystemExit"),
        (MODULE.replace("m_z_sum", "m4l").replace("FACTOR", "1"), r"observable 'm4l': a second registration"),
    ],
)
def test_a_module_that_does_not_run_is_named_and_leaves_nothing(text: str, message: str, folder: Path, ntuples: ModuleType) -> None:
    before = dict(OBSERVABLES)
    (folder / "mine.py").write_text(
        'from toolkit.kinematics import observable\nobservable("half", unit="", label="", range=(0, 1))(len)\n' + text
    )
    with pytest.raises(SchemaError, match=r"(?s)mine\.py, line \d+.*correct the file") as caught:
        known_observables(_config(folder, ntuples))
    shifted = message.replace("line 2", "line 4").replace("line 1", "line 3")
    caught.match(f"(?s){shifted}")
    assert dict(OBSERVABLES) == before


def test_a_file_that_is_no_python_is_refused(folder: Path, ntuples: ModuleType) -> None:
    (folder / "notes.txt").write_text("x = 1\n")
    with pytest.raises(SchemaError, match=r"(?s)notes\.txt.*NAME\.py"):
        known_observables(_config(folder, ntuples, modules=["notes.txt"]))


def test_the_example_of_the_documentation_runs(folder: Path, ntuples: ModuleType) -> None:
    text = (Path(__file__).parents[3] / "docs" / "observables.md").read_text()
    example = text.split("```python\n# my_observables.py\n")[1].split("```")[0]
    (folder / "mine.py").write_text(example)
    run(_config(folder, ntuples, observables=["user", "m_z1", "m_z2"]), folder / "out")
    table = read_events(folder / "out" / "events", "ggF_SBI").observables
    np.testing.assert_array_equal(table["m_z1_over_m_z2"], table["m_z1"] / table["m_z2"])


def test_blocks_of_events_do_not_change_the_selection(folder: Path, ntuples: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ntuples.make_config(folder, [ntuples.signal_sample("signal.root")], observables=["all"])
    whole = run(config, folder / "whole")
    monkeypatch.setattr(selection, "BLOCK", 7)
    cut = run(config.model_copy(update={"name": "cut"}), folder / "cut")
    assert cut.cutflow == whole.cutflow
    one, two = (read_events(folder / name / "events", "ggF_SBI") for name in ("whole", "cut"))
    np.testing.assert_array_equal(one.event_id, two.event_id)
    np.testing.assert_array_equal(one.channel, two.channel)
    for name, values in one.observables.items():
        np.testing.assert_array_equal(values, two.observables[name], err_msg=name)

"""The status of an output folder: done, damaged, in work, missing, locked; reading it changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolkit.errors import InputFileError
from toolkit.pipeline import StageContext, read_status
from toolkit.pipeline.lock import folder_lock, lock_state
from toolkit.pipeline.stamps import read_stamp

if TYPE_CHECKING:
    from conftest import Fake

STAGES = ("a", "b", "c")


def test_a_finished_run(fake: Fake) -> None:
    fake.run()
    found = read_status(fake.out, STAGES)
    assert [stage.state for stage in found.stages] == ["done"] * 3
    assert [(stage.files, stage.size_bytes) for stage in found.stages] == [(1, 2), (1, 3), (1, 4)]
    stamp = read_stamp(fake.out, "a")
    assert stamp is not None
    assert (found.stages[0].key, found.stages[0].finished) == (stamp.key, stamp.finished)
    assert found.lock is None
    assert found.config_hash == json.loads((fake.out / "manifest.json").read_text())["config_hash"]
    assert "numpy" in found.versions


def test_an_interrupted_training_says_how_many_members_it_has(fake: Fake) -> None:
    def stop(context: StageContext) -> None:
        members = context.work / "models" / "members"
        members.mkdir(parents=True)
        for k in range(3):
            (members / f"member_{k:02d}.pt").touch()
        raise KeyboardInterrupt

    fake.hooks["b"] = stop
    with pytest.raises(KeyboardInterrupt):
        fake.run()
    found = read_status(fake.out, STAGES)
    assert [stage.state for stage in found.stages] == ["done", "in work", "missing"]
    assert found.stages[1].remarks == ("4 files written so far", "3 members trained")
    assert found.stages[1].seconds is not None
    assert found.results == ()


def test_lost_and_changed_outputs_are_named(fake: Fake) -> None:
    fake.run()
    (fake.out / "a" / "number.txt").unlink()
    (fake.out / "c" / "number.txt").write_text("other")
    found = {stage.stage: stage for stage in read_status(fake.out, STAGES).stages}
    assert (found["a"].state, found["a"].remarks) == ("damaged", ("a/number.txt is missing",))
    assert found["b"].state == "done"
    assert found["c"].remarks == ("c/number.txt changed",)


@pytest.mark.parametrize("make", [False, True])
def test_another_folder_is_refused(tmp_path: Path, *, make: bool) -> None:
    folder = tmp_path / "x"
    if make:
        folder.mkdir()
    with pytest.raises(InputFileError, match="out/<name of the config>"):
        read_status(folder, STAGES)


def test_a_held_lock_names_its_owner_and_stays_held(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "lock"):
        state = lock_state(tmp_path / "lock")
        assert state is not None
        assert (state.held, state.pid) == (True, os.getpid())
        with pytest.raises(InputFileError), folder_lock(tmp_path / "lock"):
            pytest.fail("entered")
    assert lock_state(tmp_path / "lock") is None


def test_the_lock_of_a_dead_process_is_not_held(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with folder_lock(tmp_path / "other"):
        owner = json.loads((tmp_path / "other").read_text())
    (tmp_path / "lock").write_text(json.dumps({**owner, "pid": dead.pid}))
    state = lock_state(tmp_path / "lock")
    assert state is not None
    assert (state.held, state.pid) == (False, dead.pid)
    (tmp_path / "lock").write_text("{")
    damaged = lock_state(tmp_path / "lock")
    assert damaged is not None
    assert not damaged.held

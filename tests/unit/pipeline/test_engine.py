"""Resuming, skipping and forcing stages; failures leave the output folder as it was."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toolkit.errors import ArtifactMismatchError, FitError, InputFileError, SchemaError, ToolkitError, WorkerLostError
from toolkit.kinematics import OBSERVABLES
from toolkit.kinematics.registry import forget
from toolkit.pipeline import Plan, StageContext, decision
from toolkit.pipeline.stamps import read_stamp, retract, write_stamp

if TYPE_CHECKING:
    from conftest import Fake

NUMBERS = {"a/number.txt", "b/number.txt", "c/number.txt"}
ALL = NUMBERS | {"manifest.json", "manifest.json.sha256"}
MODULE = """
from toolkit.kinematics import FourLeptonEvent, observable

@observable("m_z_sum", unit="GeV", label="sum", range=(0.0, 300.0), beam_swap="even")
def m_z_sum(event: FourLeptonEvent):
    return event.masses[1] + event.masses[2]
"""


def test_runs_in_order_and_resumes(fake: Fake) -> None:
    first = fake.run()
    assert fake.calls == ["a", "b", "c"]
    assert [o.status for o in first] == ["ran"] * 3
    assert (fake.out / "c" / "number.txt").read_text() == "7abc"
    assert fake.files() == ALL
    second = fake.run()
    assert fake.calls == []
    assert [(o.stage, o.status) for o in second] == [("a", "unchanged"), ("b", "unchanged"), ("c", "unchanged")]
    assert [o.seconds for o in second] == [o.seconds for o in first]


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        ({"luminosity_ifb": 36.1}, ["a", "b", "c"]),
        ({"ratios": {"seed": 5}}, ["b", "c"]),
        ({"name": "other"}, ["c"]),
        ({"likelihood": {"seed": 5}}, []),
    ],
)
def test_a_changed_config_part_reruns_its_stage_and_what_follows(fake: Fake, change: dict[str, Any], rerun: list[str]) -> None:
    fake.run()
    fake.run(**change)
    assert fake.calls == rerun


def test_a_changed_input_reruns_but_a_touched_or_moved_one_does_not(fake: Fake) -> None:
    fake.run()
    os.utime(fake.folder / "input.txt", ns=(1, 1))
    fake.run()
    assert fake.calls == []
    (fake.folder / "input.txt").write_text("8")
    fake.run()
    assert fake.calls == ["a", "b", "c"]
    assert (fake.out / "c" / "number.txt").read_text() == "8abc"


def test_changed_code_reruns(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.run()
    monkeypatch.setattr(decision, "module_digests", lambda names: {"toolkit.units": f"other code {names}"})
    fake.run()
    assert fake.calls == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["delete", "edit"])
def test_a_missing_or_edited_output_is_made_again(fake: Fake, damage: str) -> None:
    fake.run()
    victim = fake.out / "b" / "number.txt"
    if damage == "delete":
        victim.unlink()
    else:
        victim.write_text("9xy")
    fake.run()
    assert fake.calls == ["b", "c"]
    assert victim.read_text() == "7ab"


def test_from_forces_a_stage_and_what_follows(fake: Fake) -> None:
    fake.run()
    fake.run(force_from="b")
    assert fake.calls == ["b", "c"]


def test_a_single_stage_runs_alone_and_clears_what_followed(fake: Fake) -> None:
    fake.run()
    fake.run(only="a", luminosity_ifb=36.1)
    assert fake.calls == ["a"]
    assert fake.files() == {"a/number.txt", "manifest.json", "manifest.json.sha256"}
    assert list(json.loads((fake.out / "manifest.json").read_text())["stages"]) == ["a"]


def test_every_stage_knows_the_observables_of_the_users_modules(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that runs a stage alone need not be the one that read the ntuples, which runs the modules for itself."""
    monkeypatch.setattr("processors.modules._LOADED", {})
    (fake.folder / "mine.py").write_text(MODULE)
    fake.run(only="a")
    seen: list[object] = []
    fake.hooks["b"] = lambda _: seen.append(OBSERVABLES["m_z_sum"].beam_swap)
    try:
        fake.run(only="b", modules=["mine.py"])
    finally:
        forget(["m_z_sum"])
    assert seen == ["even"]


def test_a_single_stage_refuses_stale_needs(fake: Fake) -> None:
    with pytest.raises(ArtifactMismatchError, match="h4l a"):
        fake.run(only="b")
    assert not fake.out.exists()
    fake.run()
    with pytest.raises(ArtifactMismatchError, match="stage c needs stage a"):
        fake.run(only="c", luminosity_ifb=36.1)
    assert fake.calls == []
    assert fake.files() == ALL


def test_unknown_stage_is_refused(fake: Fake) -> None:
    with pytest.raises(SchemaError, match="a, b, c"):
        Plan(fake.graph, force_from="trian")


def test_wrong_input_in_the_first_stage_leaves_nothing(fake: Fake) -> None:
    def fail(context: StageContext) -> None:
        raise SchemaError("branch", got="Elektron_pt")

    fake.hooks["a"] = fail
    with pytest.raises(SchemaError):
        fake.run()
    assert not fake.out.exists()


def test_a_failing_stage_leaves_earlier_results_as_they_were(fake: Fake) -> None:
    fake.run()
    before = {name: (fake.out / name).read_text() for name in ALL}

    def fail(context: StageContext) -> None:
        msg = "a defect"
        raise RuntimeError(msg)

    fake.hooks["b"] = fail
    with pytest.raises(RuntimeError):
        fake.run(force_from="b")
    assert {name: (fake.out / name).read_text() for name in fake.files()} == before
    fake.hooks.clear()
    fake.run()
    assert fake.calls == []


def test_a_missing_input_is_refused_before_the_folder_exists(fake: Fake) -> None:
    (fake.folder / "input.txt").unlink()
    with pytest.raises(InputFileError, match=r"input\.txt"):
        fake.run()
    assert not fake.out.exists()


@pytest.mark.parametrize(("resumable", "found"), [(True, True), (False, False)])
def test_an_interrupted_stage_finds_its_work_again_if_resumable(fake: Fake, *, resumable: bool, found: bool) -> None:
    fake.resumable = resumable
    seen: list[bool] = []

    def interrupt(context: StageContext) -> None:
        seen.append((context.work / "half.txt").exists())
        (context.work / "half.txt").write_text("")
        if len(seen) == 1:
            raise KeyboardInterrupt

    fake.hooks["b"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        fake.run()
    assert fake.files() == {"a/number.txt"}
    outcomes = fake.run()
    assert fake.calls == ["b", "c"]
    assert seen == [False, found]
    assert outcomes[1].seconds > 0


def test_kept_work_of_another_key_is_dropped(fake: Fake) -> None:
    def interrupt(context: StageContext) -> None:
        assert not (context.work / "half.txt").exists()
        (context.work / "half.txt").write_text("")
        raise KeyboardInterrupt

    fake.hooks["a"] = interrupt
    for lumi in (140.0, 36.1):
        with pytest.raises(KeyboardInterrupt):
            fake.run(luminosity_ifb=lumi)


def test_a_run_that_died_while_moving_files_is_cleared(fake: Fake) -> None:
    fake.run()
    stamp = read_stamp(fake.out, "a")
    assert stamp is not None
    orphan = fake.out / "a" / "orphan.txt"
    orphan.write_text("")
    entry = stamp.outputs["a/number.txt"]
    write_stamp(fake.out, type(stamp)(**{**stamp.__dict__, "status": "publishing", "outputs": {**stamp.outputs, "a/orphan.txt": entry}}))
    fake.run()
    assert fake.calls == ["a", "b", "c"]
    assert not orphan.exists()


def test_disk_that_fills_up_is_a_readable_error(fake: Fake) -> None:
    def fill(context: StageContext) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "number.txt")

    fake.hooks["b"] = fill
    with pytest.raises(InputFileError, match="finished stages are kept"):
        fake.run()
    assert fake.files() == {"a/number.txt"}
    fake.hooks.clear()
    fake.run()
    assert fake.calls == ["b", "c"]


def test_too_little_space_is_refused_before_work(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(fake.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    with pytest.raises(InputFileError, match="0 MB free"):
        fake.run()
    assert fake.calls == []
    assert not fake.out.exists()


def test_output_path_that_is_a_file_is_refused(fake: Fake) -> None:
    fake.out.write_text("mine")
    with pytest.raises(InputFileError, match="cannot write"):
        fake.run()
    assert fake.out.read_text() == "mine"


def test_unwritable_folder_is_refused(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputFileError, match="Permission denied"):
        fake.run()
    assert fake.calls == []


def test_later_stages_know_the_seconds_of_earlier_ones(fake: Fake) -> None:
    seen: dict[str, float] = {}
    fake.hooks["c"] = lambda context: seen.update(context.timing_s)
    outcomes = fake.run()
    assert seen == {o.stage: o.seconds for o in outcomes[:2]}


def test_manifest_names_inputs_versions_and_seeds(fake: Fake) -> None:
    fake.run(ratios={"seed": 11})
    manifest = json.loads((fake.out / "manifest.json").read_text())
    assert manifest["inputs"]["ggF_S"][0]["name"] == "input.txt"
    assert manifest["inputs"]["ggF_S"][0]["sha256"] == "7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"
    assert manifest["seeds"]["ratios"] == 11
    assert {"h4l-toolkit", "python", "numpy"} <= set(manifest["versions"])
    assert set(manifest["outputs"]) == {"a/number.txt", "b/number.txt", "c/number.txt"}


def test_a_run_that_died_while_moving_files_goes_on_moving(fake: Fake) -> None:
    fake.run()
    before = {name: (fake.out / name).read_text() for name in NUMBERS}
    stamp = read_stamp(fake.out, "b")
    assert stamp is not None
    retract(fake.out, ["c"])
    left = fake.out / ".stages" / "work" / "b" / "files" / "b"
    left.mkdir(parents=True)
    (fake.out / "b" / "number.txt").replace(left / "number.txt")
    write_stamp(fake.out, replace(stamp, status="publishing"))
    fake.run()
    assert fake.calls == ["c"]
    assert {name: (fake.out / name).read_text() for name in NUMBERS} == before
    assert not left.exists()


def test_files_that_were_damaged_while_they_moved_are_made_again(fake: Fake) -> None:
    fake.run()
    stamp = read_stamp(fake.out, "b")
    assert stamp is not None
    (fake.out / "b" / "number.txt").write_text("8ab")
    write_stamp(fake.out, replace(stamp, status="publishing"))
    fake.run()
    assert fake.calls == ["b", "c"]
    assert (fake.out / "b" / "number.txt").read_text() == "7ab"


@pytest.mark.parametrize("error", [WorkerLostError, InputFileError, FitError])
def test_finished_work_outlives_errors_that_another_config_would_not_mend(fake: Fake, error: type[ToolkitError]) -> None:
    found: list[bool] = []

    def fail(context: StageContext) -> None:
        found.append((context.work / "half.txt").exists())
        (context.work / "half.txt").write_text("")
        if len(found) == 1:
            raise error("a worker process died", got="signal 9", expected="workers that live", remedy="run again")

    fake.hooks["b"] = fail
    with pytest.raises(error):
        fake.run()
    fake.run()
    assert found == [False, True]


def test_records_of_tasks_outlive_a_lost_worker_before_the_first_file(fake: Fake) -> None:
    calls: list[int] = []

    def fail(context: StageContext) -> None:
        context.tasks.result("closure", lambda: calls.append(1) or {"x": 1})  # type: ignore[func-returns-value]
        for path in context.work.rglob("*.txt"):
            path.unlink()
        raise WorkerLostError("a worker process died", got="signal 9", expected="workers that live", remedy="run again")

    fake.hooks["b"] = fail
    with pytest.raises(WorkerLostError):
        fake.run()
    fake.hooks["b"] = lambda context: context.tasks.result("closure", lambda: calls.append(1) or {"x": 1})  # type: ignore[func-returns-value]
    fake.run()
    assert calls == [1]


def test_a_stage_without_work_runs_before_one_that_is_asked_for_alone(fake):
    """So that `h4l process` and `h4l train` are all that a config without classifiers needs; a stage with work is still refused."""
    fake.idle = "b"
    fake.run(only="a")
    assert [o.stage for o in fake.run(only="c")] == ["b", "c"]
    assert [o.stage for o in fake.run(only="c")] == ["c"]
    with pytest.raises(ArtifactMismatchError, match="h4l a"):
        fake.run(only="c", luminosity_ifb=36.1)
    fake.idle = ""
    fake.run(only="a", luminosity_ifb=36.1)
    with pytest.raises(ArtifactMismatchError, match="h4l b"):
        fake.run(only="c", luminosity_ifb=36.1)

"""Finished tasks of results that are no longer true stay at hand for the next run of the same code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.pipeline.conftest import Fake
from toolkit.pipeline import Plan, StageContext, preview_pipeline
from toolkit.pipeline.stamps import read_stamp, write_stamp
from toolkit.pipeline.status import read_status


@pytest.fixture
def seen(fake: Fake) -> dict[str, list[str]]:
    """What each stage finds of its former number when it runs, by stage."""
    found: dict[str, list[str]] = {}
    fake.tasks = "abc"

    def look(context: StageContext) -> None:
        name = fake.calls[-1]
        found[name] = [(folder / name / "number.txt").read_text() for folder in context.former if (folder / name).exists()]

    fake.hooks.update(a=look, b=look, c=look)
    fake.run()
    assert found == {"a": [], "b": [], "c": []}
    found.clear()
    return found


def test_a_changed_config_leaves_the_former_tasks_at_hand(fake: Fake, seen: dict[str, list[str]]) -> None:
    changed = fake.config(ratios={"seed": 2})
    preview = preview_pipeline(changed, out=fake.out, plan=Plan(fake.graph))
    assert [stage.former_tasks for stage in preview.stages] == [0, 1, 1]
    again = preview_pipeline(changed, out=fake.out, plan=Plan(fake.graph, force_from="b"))
    assert [stage.former_tasks for stage in again.stages] == [0, 0, 0]
    fake.run(ratios={"seed": 2})
    assert seen == {"b": ["7ab"], "c": ["7abc"]}  # in place still, and set aside when b was published
    assert not (fake.out / ".stages" / "former").exists()


def test_what_the_user_wants_done_again_uses_nothing(fake: Fake, seen: dict[str, list[str]]) -> None:
    fake.run(force_from="b")
    assert seen == {"b": [], "c": []}


def test_an_interruption_after_an_earlier_stage_keeps_them(fake: Fake, seen: dict[str, list[str]]) -> None:
    def die(_: StageContext) -> None:
        raise KeyboardInterrupt

    look = fake.hooks["b"]
    fake.hooks["b"] = die
    with pytest.raises(KeyboardInterrupt):
        fake.run(luminosity_ifb=300.0)
    assert seen == {"a": ["7a"]}
    status = {stage.stage: stage.remarks for stage in read_status(fake.out, "abc").stages}
    assert status["c"] == ("1 file of a former result kept for the next run",)
    fake.hooks["b"] = look
    fake.run(luminosity_ifb=300.0)
    assert (seen["b"], seen["c"]) == (["7ab"], ["7abc"])


def test_unfinished_work_of_another_config_is_set_aside(fake: Fake, seen: dict[str, list[str]]) -> None:
    def die(context: StageContext) -> None:
        (context.work / "b" / "number.txt").write_text("half of it")
        raise KeyboardInterrupt

    look = fake.hooks["b"]
    fake.hooks["b"] = die
    with pytest.raises(KeyboardInterrupt):
        fake.run(ratios={"seed": 2})
    fake.hooks["b"] = look
    fake.run(ratios={"seed": 3})
    assert seen["b"] == ["7ab", "half of it"]


def test_tasks_of_other_code_are_not_used(fake: Fake, seen: dict[str, list[str]]) -> None:
    for name in ("b", "c"):
        stamp = read_stamp(fake.out, name)
        assert stamp is not None
        write_stamp(fake.out, replace(stamp, parts={**stamp.parts, "code": "other"}))
    fake.run(ratios={"seed": 2})
    assert seen == {"b": [], "c": []}
    assert not (fake.out / ".stages" / "former").exists()


def test_files_that_are_no_tasks_are_deleted(fake: Fake, seen: dict[str, list[str]]) -> None:
    fake.tasks = "b"
    fake.run(luminosity_ifb=300.0)
    assert (seen["b"], seen["c"]) == (["7ab"], [])

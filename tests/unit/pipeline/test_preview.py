"""A rehearsal says what a run does, why, and writes nothing; what it says is what then happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolkit.errors import ArtifactMismatchError, InputFileError
from toolkit.pipeline import Plan, RunPreview, StageContext, decision, preview_pipeline

if TYPE_CHECKING:
    from conftest import Fake


def _preview(fake: Fake, *, force_from: str | None = None, only: str | None = None, **changes: object) -> RunPreview:
    return preview_pipeline(fake.config(**changes), out=fake.out, plan=Plan(fake.graph, force_from=force_from, only=only))


def _reasons(preview: RunPreview) -> dict[str, tuple[str, ...]]:
    return {stage.stage: stage.reasons for stage in preview.stages}


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_nothing_is_written_before_the_first_run(fake: Fake) -> None:
    found = _preview(fake)
    assert _reasons(found) == dict.fromkeys("abc", ("no result yet",))
    assert [stage.action for stage in found.stages] == ["run", "run", "run"]
    assert (found.stages[0].input_bytes, found.disk_bytes, found.stages[0].seconds) == (1, 1, None)
    assert found.stages[1].reads == ("result of a",)
    assert not fake.out.exists()


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, {"a": (), "b": (), "c": ()}),
        ({"luminosity_ifb": 36.1}, {"a": ("config lumi: 140.0 -> 36.1",), "b": ("a runs before it",), "c": ("b runs before it",)}),
        ({"ratios": {"seed": 99}}, {"a": (), "b": ("config seed: 1 -> 99",), "c": ("b runs before it",)}),
        ({"name": "other"}, {"a": (), "b": (), "c": ("config name: analysis -> other",)}),
    ],
)
def test_a_changed_config_is_named_by_its_key(fake: Fake, changes: dict[str, object], reasons: dict[str, tuple[str, ...]]) -> None:
    fake.run()
    before = _snapshot(fake.out)
    found = _preview(fake, **changes)
    seed = fake.config().ratios.seed
    assert _reasons(found) == {name: tuple(text.replace("seed: 1", f"seed: {seed}") for text in texts) for name, texts in reasons.items()}
    assert _snapshot(fake.out) == before
    fake.run(**changes)
    assert fake.calls == [stage.stage for stage in found.stages if stage.action != "skip"]


def test_a_changed_input_and_a_lost_output_are_named(fake: Fake) -> None:
    fake.run()
    (fake.out / "b" / "number.txt").unlink()
    (fake.out / "c" / "number.txt").write_text("else")
    found = _reasons(_preview(fake))
    assert found["b"] == ("output b/number.txt is missing",)
    assert found["c"] == ("b runs before it", "output c/number.txt changed")
    (fake.folder / "input.txt").write_text("8")
    assert _reasons(_preview(fake))["a"] == ("input of ggF_S: input.txt changed",)


def test_changed_code_is_named_by_its_module(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {"toolkit.units": "one", "toolkit.errors": "two"}
    monkeypatch.setattr(decision, "module_digests", lambda names: dict(digests))
    fake.run()
    digests["toolkit.units"] = "three"
    found = _reasons(_preview(fake))
    assert found["a"] == ("code changed: toolkit.units",)


def test_what_was_asked_for_is_a_reason(fake: Fake) -> None:
    fake.run()
    found = _preview(fake, force_from="b")
    assert _reasons(found) == {"a": (), "b": ("asked for",), "c": ("asked for", "b runs before it")}
    assert found.stages[1].seconds is not None


def test_a_single_stage_is_refused_as_the_run_would_be(fake: Fake) -> None:
    with pytest.raises(ArtifactMismatchError, match="no result yet"):
        _preview(fake, only="b")
    fake.run()
    assert [stage.stage for stage in _preview(fake, only="b").stages] == ["b"]
    with pytest.raises(ArtifactMismatchError, match=r"config lumi: 140\.0 -> 36\.1"):
        _preview(fake, only="b", luminosity_ifb=36.1)


def test_a_missing_input_is_an_error_here_too(fake: Fake) -> None:
    (fake.folder / "input.txt").unlink()
    with pytest.raises(InputFileError, match=r"input\.txt"):
        _preview(fake)


def test_work_that_an_interrupted_run_left_is_resumed(fake: Fake) -> None:
    def interrupt(context: StageContext) -> None:
        raise KeyboardInterrupt

    fake.hooks["b"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        fake.run()
    found = {stage.stage: stage for stage in _preview(fake).stages}
    assert [found[name].action for name in "abc"] == ["skip", "resume", "run"]
    assert found["b"].kept_files == 1
    assert _preview(fake, ratios={"seed": 99}).stages[1].action == "run"

"""What a run says on the terminal about its trainings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from toolkit.cli.summary import results_text
from toolkit.diagnostics.score_comparison import compare_scores
from toolkit.pipeline import StageOutcome


def test_what_the_trainings_noticed_is_said_once_for_every_network(tmp_path: Path) -> None:
    few = [{"network": "classes", "warnings": []}, {"network": "composition", "warnings": ["only 28 training events", "signed weights"]}]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "training.json").write_text(json.dumps({"members": [few, few]}))
    said = [str(line) for line in results_text(tmp_path, [StageOutcome("train", "ran", 1.0)])]
    assert said == ["note: training of composition: only 28 training events; 3 more like it", f"results of train: {tmp_path}"]
    classifier = {"members": [{"warnings": ["only 30 events"]}, {"warnings": []}]}
    (tmp_path / "models" / "classifiers.json").write_text(json.dumps({"classifiers": {"D": classifier}}))
    both = {"directions": {"up": {"yield_ratio": 1.1, "warnings": ["few", "few"]}, "down": {"yield_ratio": 0.9}}}
    (tmp_path / "models" / "systematics.json").write_text(json.dumps({"variations": {"scale": {"ggF": both, "qqZZ": both}}}))
    said = [str(line) for line in results_text(tmp_path, [StageOutcome("train", "ran", 1.0)])]
    assert said[1:3] == ["note: training of classifier D: only 30 events", "note: training of scale_up: few; 1 more like it"]
    assert isinstance(next(iter(results_text(tmp_path, [StageOutcome("train", "ran", 1.0)]))), Text)


def test_classifiers_are_compared_after_their_stage(tmp_path: Path) -> None:
    x = np.arange(60.0)
    found = compare_scores({"one": x, "two": -x}, signal=1.0 + x, background=np.full(60, 2.0), title="ggF against ZZ", where="n_jets == 0")
    member = {"members": [{"warnings": ["only 30 events"]}]}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "classifiers.json").write_text(json.dumps({"classifiers": {"one": member}, "comparisons": [found.to_json()]}))
    console = Console(width=120)
    with console.capture() as captured:
        console.print(*results_text(tmp_path, [StageOutcome("classify", "ran", 1.0)]))
    text = captured.get()
    assert "ggF against ZZ, n_jets == 0" in text
    [row] = [line for line in text.splitlines() if line.startswith("│ two")]
    assert f"{found.ratio('two', 'one').value:.2f}"[:4] in row.split("│")[4]
    assert "note: training of classifier one: only 30 events" in text
    assert f"results of classify: {tmp_path}"[:20] in text

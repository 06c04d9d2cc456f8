"""`h4l optimise-reference` on the first events of the example ntuples: what it trains, what it keeps, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG, EVENTS
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.model import FitModel
from toolkit.analysis.score_volume import score_volume
from toolkit.analysis.scores import classifier_fold
from toolkit.cli import main
from toolkit.config import load_config
from toolkit.pipeline import StageContext, reference_search
from toolkit.ratios.classification import out_of_fold, train_classifier
from toolkit.weights.beam_swap import declared_swaps

pytest.importorskip("bayes_opt")
SCORE = {
    "features": ["m4l", "cos_theta_star"],
    "local_score": {"parameter": "mu"},
    "hidden": [4],
    "epochs": 2,
    "folds": 2,
    "batch_size": 64,
}


def write_config(folder: Path, **classifiers: Any) -> Path:
    path = folder / "analysis.yaml"
    document = {key: value for key, value in CONFIG.items() if key not in ("systematics", "likelihood")}
    path.write_text(yaml.safe_dump({**document, "classifiers": classifiers}), encoding="utf-8")
    return path


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(stop.value.code or 0)


@pytest.mark.torch
def test_a_stopped_search_goes_on_and_its_volumes_are_those_of_trainings_at_the_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_first_events(tmp_path, EVENTS)
    path, out, trained = write_config(tmp_path, slope=SCORE), tmp_path / "out", []
    words = ("optimise-reference", str(path), "--out", str(out), "--initial", "2", "--steps", "1", "--bins", "4", "--json")

    def counted(training: Any, **options: Any) -> Any:
        if len(trained) == 2 and not monkeypatched["go on"]:
            raise KeyboardInterrupt
        trained.append(options["config"].local_score.at)
        return train_classifier(training, **options)

    monkeypatched = {"go on": False}
    monkeypatch.setattr(reference_search, "train_classifier", counted)
    assert command(*words) == 130
    assert not (out / "reference.json").exists()
    monkeypatched["go on"] = True
    capsys.readouterr()
    assert command(*words) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(trained) == 4, "finished points are not trained again"
    kept = json.loads((out / "reference.json").read_text())
    assert kept["evaluations"] == document["evaluations"]
    assert [entry["theta_0"] for entry in kept["evaluations"]] == trained
    assert trained[0] == {"mu": 1.0}, "the truth comes first"
    assert all(0.06 <= at["mu"] <= 6.0 for at in trained), "the score is infinite at 0"
    best = min(kept["evaluations"], key=lambda entry: entry["volume"])
    assert (document["theta_0"], document["volume"]) == (best["theta_0"], best["volume"])
    config = load_config(path)
    training, _ = read_simulation(StageContext(config=config, out=out, work=out, key=""), scored=False)
    section = config.classifiers["slope"]
    assert section.local_score is not None
    moved = section.model_copy(update={"local_score": section.local_score.model_copy(update={"at": trained[1]})})
    fold = classifier_fold(config, section, training.event_id)
    again = train_classifier(
        training,
        config=moved,
        fold=fold,
        folder=tmp_path / "again",
        model=config.model,
        name="slope",
        fold_beam_axis=True,
        swaps=declared_swaps(config),
    )
    scores = out_of_fold(again, training, fold)[:, 0]
    with_all = again.networks[0](_tensor(training)).detach().numpy()[:, 0]
    np.testing.assert_array_equal(scores[fold == 0], with_all[fold == 0])
    assert np.max(np.abs(scores[fold == 1] - with_all[fold == 1])) > 1e-6, "the other fold has another network"
    assert kept["evaluations"][1]["volume"] == score_volume([scores], training, FitModel.of(config), bins=4)


def _tensor(training: Any) -> Any:
    import torch

    return torch.from_numpy(np.stack([training.observables[name] for name in SCORE["features"]], axis=1))


def test_a_config_without_local_scores_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"features": ["m4l"], "numerator": ["ggF_S"], "denominator": ["ggF_B"]}
    for classifiers in ({}, {"D": plain}, {f"s{k}": SCORE for k in range(3)}):
        assert command("optimise-reference", str(write_config(tmp_path, **classifiers)), "--out", str(tmp_path / "out")) == 2
        told = capsys.readouterr().err
        assert "one or two, whose histogram is fitted" in told
        assert "Traceback" not in told
    assert not (tmp_path / "out").exists()

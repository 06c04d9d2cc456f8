"""The members of the ensemble come out as they did when the reference file was written: same order of random draws, same steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.unit.ratios.toy import MODEL, toy
from toolkit.config import RatioConfig
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.ratios.training import train_member

HERE = Path(__file__).parent

CONFIG = RatioConfig(
    features=("x", "y"),
    fold_beam_axis=False,
    hidden=(16, 16),
    epochs=6,
    composition_epochs=8,
    batch_size=256,
    learning_rate=2e-2,
    patience=3,
    seed=3,
)


def test_members_are_as_in_the_reference_file():
    reference = json.loads((HERE / "train_member.json").read_text())
    training = toy(3000, seed=1)
    x = torch.from_numpy(feature_matrix(training.observables, ("x", "y")))
    mixture = describe_mixture(training, MODEL)
    feature_map = FeatureMap.fitted(("x", "y"), x, fold=False)
    inputs = feature_map(x).float()
    network, histories = train_member(
        inputs, make_targets(training, mixture), feature_map=feature_map, mixture=mixture, config=CONFIG, seed=7
    )
    assert [h.network for h in histories] == [h["network"] for h in reference["histories"]]
    for history, expected in zip(histories, reference["histories"], strict=True):
        assert history.best_epoch == expected["best_epoch"]
        assert history.train == pytest.approx(expected["train"], rel=1e-4)
        assert history.validation == pytest.approx(expected["validation"], rel=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(
            network(inputs[:4]).double(), torch.tensor(reference["heads"], dtype=torch.float64), rtol=1e-4, atol=1e-4
        )

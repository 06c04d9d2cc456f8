"""One member: resumes within and between its networks, and is refused before work starts if its events cannot teach it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.unit.ratios.toy import MODEL, toy
from toolkit.config import RatioConfig
from toolkit.config.ratios import for_labels
from toolkit.errors import FitError
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.ratios.training import train_member

CONFIG = RatioConfig(
    features=("x", "y"), fold_beam_axis=False, hidden=(8,), epochs=3, composition_epochs=3, batch_size=200, learning_rate=2e-2
)


@pytest.fixture(scope="module")
def prepared():
    training = toy(1500, seed=1)
    x = torch.from_numpy(feature_matrix(training.observables, ("x", "y")))
    mixture = describe_mixture(training, MODEL)
    feature_map = FeatureMap.fitted(("x", "y"), x, fold=False)
    return feature_map(x).float(), make_targets(training, mixture), mixture, feature_map


def train(prepared, **options):
    inputs, targets, mixture, feature_map = prepared
    return train_member(inputs, targets, feature_map=feature_map, mixture=mixture, config=options.pop("config", CONFIG), seed=5, **options)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_member_goes_on_within_and_between_its_networks(prepared, tmp_path, stop):
    complete, history = train(prepared)
    done = []

    def report(fraction, loss):
        done.append(fraction)
        if len(done) == stop:
            raise Stopped

    checkpoint = tmp_path / "member_00.pt"
    with pytest.raises(Stopped):
        train(prepared, checkpoint=checkpoint, on_progress=report)
    after = []
    resumed, again = train(prepared, checkpoint=checkpoint, on_progress=lambda fraction, loss: after.append(fraction))
    assert [round(6 * fraction) for fraction in done + after] == [1, 2, 3, 4, 5, 6]
    assert again == history
    for name, value in complete.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_optimiser_schedule_and_clipping_of_the_config_are_used(prepared):
    losses = {train(prepared)[1][0].train}
    for change in ({"optimiser": "nadam"}, {"schedule": "cosine"}, {"schedule": "constant"}, {"gradient_clip": 1e-3}):
        losses.add(train(prepared, config=CONFIG.model_copy(update=change))[1][0].train)
    assert len(losses) == 5


def test_class_without_weight_is_named(prepared):
    inputs, targets, mixture, feature_map = prepared
    none = torch.where(targets.label == 1, 0.0, targets.weight)
    with pytest.raises(FitError, match=r"events of b\n[\s\S]*sum of weights 0 among 3000 events"):
        train((inputs, replace(targets, weight=none), mixture, feature_map))


def test_no_events_are_refused(prepared):
    inputs, targets, mixture, feature_map = prepared
    with pytest.raises(FitError, match="no events"):
        train((inputs[:0], targets.select(torch.arange(0)), mixture, feature_map))


def test_inputs_that_are_not_finite_are_refused(prepared):
    inputs, targets, mixture, feature_map = prepared
    bad = inputs.clone()
    bad[7, 1] = float("inf")
    with pytest.raises(FitError, match="inf in row 7, column 1"):
        train((bad, targets, mixture, feature_map))


@pytest.mark.parametrize("labels", [False, True])
def test_the_default_size_of_batches_shrinks_to_few_events_and_a_size_that_was_given_does_not(prepared, labels):
    inputs, targets, mixture, feature_map = prepared
    rows = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(1))[:300]
    small = (inputs[rows], targets.select(rows), mixture, feature_map)
    default = RatioConfig(features=("x", "y"), fold_beam_axis=False, hidden=(8,), epochs=1, composition_epochs=1)
    default = for_labels(default) if labels else default
    _, history = train(small, config=default)
    n = 270  # a tenth of them validates
    assert history[0].warnings[0] == f"only {n} training events: batches of {n // 2} instead of {default.batch_size}"
    given = RatioConfig.model_validate(default.model_dump(exclude={"ensemble"}))
    with pytest.raises(FitError, match=f"2 batches of {default.batch_size}"):
        train(small, config=given)

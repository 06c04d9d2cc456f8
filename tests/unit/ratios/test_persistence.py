"""A trained mixture comes back from its files to the last bit, or is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from tests.unit.ratios.toy import MODEL, toy
from toolkit.config import RatioConfig
from toolkit.errors import ArtifactMismatchError
from toolkit.ratios import feature_matrix, fit_ratios, load_ratios

CONFIG = RatioConfig(features=("x", "y"), fold_beam_axis=False, hidden=(8,), epochs=2, composition_epochs=2, batch_size=256, seed=3)


@pytest.fixture(scope="module")
def events():
    return toy(1500, seed=1)


@pytest.fixture(scope="module")
def stored(events, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    return folder, fit_ratios(events, config=CONFIG, model=MODEL, folder=folder)


@pytest.fixture
def folder(stored, tmp_path):
    return shutil.copytree(stored[0], tmp_path / "members")


def test_everything_comes_back_to_the_last_bit(stored, folder, events):
    trained = stored[1]
    loaded = load_ratios(folder, config=CONFIG, training=events, model=MODEL)
    x = feature_matrix(events.observables, ("x", "y"))[:200]
    np.testing.assert_array_equal(loaded.log_ratio(x), trained.log_ratio(x))
    with torch.no_grad():
        assert torch.equal(loaded.ensemble(torch.from_numpy(x))[1], trained.ensemble(torch.from_numpy(x))[1])
    np.testing.assert_array_equal(loaded.out_of_bag, trained.out_of_bag)
    np.testing.assert_array_equal(loaded.before_calibration, trained.before_calibration)
    assert loaded.history == trained.history
    assert (loaded.features, loaded.numerators, loaded.reference) == (trained.features, trained.numerators, trained.reference)
    assert loaded.ensemble.mixture == trained.ensemble.mixture


def test_any_mixture_loads_without_a_key(folder, events):
    x = feature_matrix(events.observables, ("x", "y"))[:5]
    assert np.isfinite(load_ratios(folder, config=CONFIG).log_ratio(x)).all()


@pytest.mark.parametrize("name", ["mixture.pt", "member_03.pt"])
@pytest.mark.parametrize("fault", ["missing", "damaged", "truncated"])
def test_bad_files_are_refused(folder, name, fault):
    path = folder / name
    content = bytearray(path.read_bytes())
    if fault == "missing":
        path.unlink()
    elif fault == "damaged":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactMismatchError, match=rf"{name}[\s\S]*--force"):
        load_ratios(folder, config=CONFIG)


def test_a_member_of_another_place_is_refused(folder):
    shutil.copy(folder / "member_01.pt", folder / "member_00.pt")
    with pytest.raises(ArtifactMismatchError, match=r"member_00\.pt of other events"):
        load_ratios(folder, config=CONFIG)


@pytest.mark.parametrize("change", ["weights", "events", "observables", "config"])
def test_other_events_or_settings_are_refused(folder, events, change):
    config = CONFIG
    if change == "weights":
        events = events.scaled(2.0)
    elif change == "events":
        events = events.select(np.arange(len(events)) > 0)
    elif change == "observables":
        shifted = {**events.observables, "x": events.observables["x"] + 1e-9}
        events = type(events)(events.processes, events.event_id, events.sample_index, events.samples, shifted, events.weights)
    else:
        config = CONFIG.model_copy(update={"calibration_mu": (1.0,)})
    with pytest.raises(ArtifactMismatchError, match=r"mixture\.pt of other events"):
        load_ratios(folder, config=config, training=events, model=MODEL)

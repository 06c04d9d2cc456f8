"""One trained toy mixture for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.unit.ratios.toy import MODEL, exact_log_ratios, toy
from toolkit.config import RatioConfig
from toolkit.ratios import fit_ratios

CONFIG = RatioConfig(
    features=("x", "y"),
    fold_beam_axis=False,
    hidden=(32, 32),
    epochs=12,
    composition_epochs=25,
    batch_size=256,
    learning_rate=1e-2,
    patience=25,
    seed=3,
)
QUICK = RatioConfig(features=("x", "y"), fold_beam_axis=False, hidden=(8,), epochs=2, composition_epochs=2, batch_size=256, seed=3)


@pytest.fixture(scope="session")
def training():
    return toy(20_000, seed=1)


@pytest.fixture(scope="session")
def small_sample():
    """Enough events for laws that hold whatever was learned."""
    return toy(4000, seed=1)


@pytest.fixture(scope="session")
def fresh():
    return toy(20_000, seed=2)


@pytest.fixture(scope="session")
def trained(training, tmp_path_factory):
    return fit_ratios(training, config=CONFIG, model=MODEL, folder=tmp_path_factory.mktemp("members"))


@pytest.fixture(scope="session")
def quickly_trained(small_sample, tmp_path_factory):
    """An ensemble that has learned little."""
    return fit_ratios(small_sample, config=QUICK, model=MODEL, folder=tmp_path_factory.mktemp("quick"))


@pytest.fixture(scope="session")
def exact():
    return exact_log_ratios

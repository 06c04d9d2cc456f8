"""One trained toy mixture for all tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from toolkit.config import MorphingConfig, RatioConfig
from toolkit.ratios import train_mixture

_spec = importlib.util.spec_from_file_location("ratio_toy", Path(__file__).with_name("toy.py"))
ratio_toy = importlib.util.module_from_spec(_spec)
sys.modules["ratio_toy"] = ratio_toy
_spec.loader.exec_module(ratio_toy)

MORPHING = MorphingConfig(signal="S", interfering="SBI", background="B")
CONFIG = RatioConfig(
    features=("x", "y"), hidden=(32, 32), epochs=12, composition_epochs=25, batch_size=256, learning_rate=1e-2, patience=25, seed=3
)


@pytest.fixture(scope="session")
def pool():
    return ratio_toy.toy(20_000, seed=1)


@pytest.fixture(scope="session")
def fresh():
    return ratio_toy.toy(20_000, seed=2)


@pytest.fixture(scope="session")
def trained(pool, tmp_path_factory):
    return train_mixture(pool, config=CONFIG, morphing=MORPHING, folder=tmp_path_factory.mktemp("members"))


@pytest.fixture(scope="session")
def exact():
    return ratio_toy.exact_log_ratios

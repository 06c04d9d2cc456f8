"""The meaning of benchmark weights, found from the events; no meaning where the events do not tell."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from processors.benchmarks import name_benchmarks, own_entry
from processors.starter import file_patterns
from toolkit.typing import FloatArray


def _weights(*, own: int, n: int = 200, seed: int = 1) -> FloatArray:
    """Relative weights of S, B, SBI and SBI at mu = 10, in this order, for events generated under one of them."""
    rng = np.random.default_rng(seed)
    a, b, phase = rng.uniform(0.1, 2.0, n), rng.uniform(0.1, 2.0, n), rng.uniform(-1, 1, n)
    signal, background, interference = a**2, b**2, 2 * a * b * phase
    columns = [signal, background, signal + background + interference, 10 * signal + background + np.sqrt(10) * interference]
    stacked = np.stack(columns, axis=1)
    return stacked / stacked[:, [own]]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_one_sample_with_four_weights_names_them_all(order: tuple[int, ...]) -> None:
    names = np.array(["EW_S", "EW_B", "EW_SBI", "EW_SBI10"])
    weights = _weights(own=2)[:, list(order)].astype(np.float32).astype(np.float64)
    found = name_benchmarks({"EW_SBI": weights})
    assert found is not None
    assert found.names == tuple(names[list(order)])
    assert (found.signal, found.interfering, found.background) == ("EW_S", "EW_SBI", "EW_B")


def test_a_sample_at_another_point_keeps_its_name() -> None:
    found = name_benchmarks({"mu_ten": _weights(own=3)})
    assert found is not None
    assert found.names[3] == "mu_ten"
    assert found.names.index(found.interfering) == 2
    assert (found.names.index(found.signal), found.names.index(found.background)) == (0, 1)


def test_four_unrelated_weights_are_variations() -> None:
    weights = np.random.default_rng(1).uniform(0.9, 1.1, (200, 4))
    weights[:, 0] = 1
    assert name_benchmarks({"EW_SBI": weights}) is None


def test_three_weights_need_two_samples() -> None:
    of = {name: _weights(own=own)[:, :3] for name, own in (("ggF_S", 0), ("ggF_B", 1), ("ggF_SBI", 2))}
    for names in itertools.combinations(of, 2):
        found = name_benchmarks({name: of[name] for name in names})
        assert found is not None
        assert found.names == ("ggF_S", "ggF_B", "ggF_SBI")
    for name, weights in of.items():
        assert name_benchmarks({name: weights}) is None


@pytest.mark.parametrize(
    "names",
    [("ggF_S", "ggF_B", "other"), ("first", "second", "third")],
)
def test_names_without_a_role_are_not_guessed(names: tuple[str, str, str]) -> None:
    assert name_benchmarks({name: _weights(own=k)[:, :3] for k, name in enumerate(names)}) is None


def test_two_samples_of_one_process_are_ambiguous() -> None:
    assert name_benchmarks({"ggF_S": _weights(own=0)[:, :3], "ggH_S": _weights(own=0, seed=2)[:, :3]}) is None


def test_no_entry_is_its_own_in_a_mixed_sample() -> None:
    mixed = np.concatenate([_weights(own=0), _weights(own=1)])
    assert own_entry(mixed) is None
    assert own_entry(np.ones((5, 3))) is None


def test_patterns_match_the_files_and_no_other(tmp_path: Path) -> None:
    for name in ("a_0.root", "a_1.root", "b_0.root"):
        (tmp_path / name).touch()
    files = [tmp_path / "a_0.root", tmp_path / "a_1.root"]
    assert file_patterns(files, tmp_path) == ["a_*.root"]
    assert file_patterns(files, tmp_path / "else") == [str(tmp_path / "a_*.root")]
    (tmp_path / "a_2.root").touch()
    assert file_patterns(files, tmp_path) == ["a_0.root", "a_1.root"]
    assert file_patterns([files[0]], tmp_path) == ["a_0.root"]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a_0.root").touch()
    assert file_patterns([files[0], tmp_path / "x" / "a_0.root"], tmp_path) == ["a_0.root", "x/a_0.root"]

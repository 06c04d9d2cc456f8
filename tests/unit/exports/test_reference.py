"""Choice of the reference rows and the text of their file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from exports.reference import choose_reference_rows, reference_document
from toolkit.errors import PhysicsDomainError, ShapeError


def extremes_twin(values: np.ndarray, k: int) -> set[int]:
    """The k smallest and k largest of one column, found by sorting pairs."""
    pairs = sorted((value, row) for row, value in enumerate(values.tolist()))
    return {row for _, row in pairs[:k]} | {row for _, row in pairs[-k:]}


def test_extremes_of_every_column_and_log_ratio_are_chosen() -> None:
    generator = np.random.default_rng(4)
    x, log_ratio = generator.normal(size=(5000, 3)), generator.standard_cauchy(size=(5000, 2))
    rows = choose_reference_rows(x, log_ratio=log_ratio, generator=np.random.default_rng(5))
    assert len(rows) == len(set(rows.tolist())) == 1000
    assert np.array_equal(rows, np.sort(rows))
    for column in np.concatenate([x, log_ratio], axis=1).T:
        assert extremes_twin(column, 50) <= set(rows.tolist())  # half of 1000 rows over 2 x 5 extremes


def test_the_rest_is_drawn_from_everywhere() -> None:
    x = np.arange(100_000.0)[:, None]
    rows = choose_reference_rows(x, generator=np.random.default_rng(6))
    middle = rows[(rows >= 250) & (rows < 99_750)]
    assert len(middle) == 500
    assert abs(middle.mean() - 50_000) < 5 * 100_000 / np.sqrt(12 * 500)


def test_same_generator_same_rows() -> None:
    x = np.random.default_rng(7).normal(size=(2000, 2))
    first, second, other = (choose_reference_rows(x, generator=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_all_rows_of_a_small_sample() -> None:
    assert choose_reference_rows(np.ones((7, 2)), generator=np.random.default_rng(1)).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_equal_values_still_give_the_wanted_number() -> None:
    rows = choose_reference_rows(np.ones((500, 3)), generator=np.random.default_rng(1), n_rows=100)
    assert len(set(rows.tolist())) == 100


def test_bad_rows_are_refused() -> None:
    generator = np.random.default_rng(1)
    with pytest.raises(PhysicsDomainError, match="row 1, column 0"):
        choose_reference_rows([[0.0], [np.inf]], generator=generator)
    with pytest.raises(ShapeError, match=r"\(3, 1\), \(2, 1\)"):
        choose_reference_rows(np.ones((3, 1)), log_ratio=np.ones((2, 1)), generator=generator)
    with pytest.raises(ShapeError, match="at least two for each of 4"):
        choose_reference_rows(np.ones((50, 4)), generator=generator, n_rows=7)


def test_document_reads_back_to_the_same_numbers() -> None:
    rows = np.random.default_rng(3).normal(size=(4, 2)) * 1e3
    text = reference_document(
        {"tolerance": 1e-4}, rows=rows, outputs={"torch_float64": {"log_ratio": rows / 3, "log_ratio_spread": rows**2}}
    )
    document = json.loads(text)
    assert document["tolerance"] == 1e-4
    assert np.array_equal(document["rows"], rows)
    assert np.array_equal(document["torch_float64"]["log_ratio_spread"], rows**2)
    assert max(len(line) for line in text.splitlines()) < 100

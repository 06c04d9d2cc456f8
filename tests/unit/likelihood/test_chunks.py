"""Chunks and threads: every event once, in order, and the same numbers whatever the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.likelihood.systematics_toy import asimov, channel
from toolkit.errors import PhysicsDomainError
from toolkit.likelihood import UnbinnedLikelihood
from toolkit.likelihood.chunks import FEW_CHUNKS, LEAST_ROWS, blocks, granted_threads, map_chunks

AT = {"mu": 0.4, "t0": 1.1, "scale": 0.3, "slope": -0.6, "lumi": 1.01}


@pytest.fixture
def likelihoods(monkeypatch: pytest.MonkeyPatch) -> list[UnbinnedLikelihood]:
    """The same likelihood with one, two and three threads, in many chunks."""
    monkeypatch.setattr("toolkit.likelihood.chunks.CHUNK_BLOCKS", 1)
    monkeypatch.setattr("toolkit.likelihood.chunks.MOST_ROWS", LEAST_ROWS)
    toy = channel(5 * LEAST_ROWS * FEW_CHUNKS + 17)
    return [toy.likelihood(weights=asimov(toy.x), threads=n) for n in (1, 2, 3)]


def test_every_event_belongs_to_one_block() -> None:
    for n in (0, 1, 255, 4096, 70_001):
        found = [e for part in map_chunks(lambda part: list(blocks(part, 256)), n, rows=256, threads=2) for e in part]
        assert [b.start for b in found] == list(range(0, n, 256))
        assert sum(b.stop - b.start for b in found) == n


def test_results_do_not_depend_on_the_number_of_threads(likelihoods: list[UnbinnedLikelihood]) -> None:
    first, *others = likelihoods
    point = first.point(AT)
    value, gradient = first.value_and_gradient(AT)
    hessian = first.hessian_at(point)
    assert hessian is not None
    for other in others:
        again = other.value_and_gradient(AT)
        assert again[0] == value
        assert other.twice_nll(AT) == first.twice_nll(AT)
        np.testing.assert_array_equal(again[1], gradient)
        np.testing.assert_array_equal(other.hessian_at(point), hessian)


def test_a_density_that_is_not_positive_names_the_same_event(likelihoods: list[UnbinnedLikelihood]) -> None:
    messages = []
    for likelihood in likelihoods:
        bad = likelihood.with_systematics(
            parameters=likelihood.parameters,
            coefficients=("mu - 9", "1", "1", "t0"),
            shapes=likelihood.shapes,
            reference=likelihood.reference,
        )
        assert bad.value_and_gradient(AT)[0] == bad.twice_nll(AT) == np.inf
        with pytest.raises(PhysicsDomainError, match=r"density of event \d+ at mu = 0.4, t0 = 1.1, scale = 0.3") as caught:
            bad.check(AT)
        messages.append(str(caught.value))
    assert len(set(messages)) == 1


def test_an_explicit_number_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert granted_threads(3) == 3
    assert granted_threads(None) == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert granted_threads(None) >= 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert granted_threads(None) >= 1
    with pytest.raises(PhysicsDomainError, match="threads"):
        granted_threads(0)

"""Weight variations: ratios from vectors and columns, combinations against loops, refusals."""

from __future__ import annotations

import math
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np
import pytest

from processors.formats import EventRecord
from processors.particles import Particles
from processors.variations import combine_histograms, read_ratios, weight_branches, weight_names
from toolkit.config import Config
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import combine_members

N = 5
VECTOR = np.arange(1.0, 1.0 + 3 * N).reshape(N, 3)


def _config(weights: dict[str, Any], **sample: Any) -> Config:
    interfering = {"name": "ggF_S", "files": ["x"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    samples = [interfering, {"name": "s", "files": ["x"], **sample}]
    return Config.model_validate({"luminosity_ifb": 1.0, "samples": samples, "systematics": {"weights": weights}})


def _record() -> EventRecord:
    none = Particles(np.zeros(N, dtype=np.int64), {"pt": np.empty(0)})
    identity = {"event": np.arange(100, 100 + N, dtype=np.uint64)}
    return EventRecord(identity, np.ones(N), np.empty((N, 0)), none, none, None)


def _events(**columns: Any) -> ak.Array:
    return ak.Array({"v": ak.Array(VECTOR.tolist()), "up": np.arange(N) + 2.0, "nom": np.full(N, 2.0), **columns})


def _ratios(weights: dict[str, Any], **columns: Any) -> dict[str, Any]:
    config = _config(weights)
    return read_ratios(_events(**columns), _record(), config, config.samples[1])


def test_ratios_are_entries_of_vectors_and_columns_over_their_reference() -> None:
    weights = {
        "scale": {"kind": "pair", "vector": "v", "up": 2, "down": 0},
        "relative": {"kind": "pair", "vector": "v", "up": 2, "down": 0, "reference": 1},
        "pdf": {"kind": "members", "vector": "v", "first": 0, "last": 2, "skip": [1], "combine": "hessian"},
        "pileup": {"kind": "columns", "up": "up", "nominal": "nom"},
    }
    config = _config(weights)
    names = ("scale_up", "scale_down", "relative_up", "relative_down", "pdf_0", "pdf_2", "pileup_up")
    assert weight_names(config, config.samples[1]) == names
    assert weight_branches(config, config.samples[1]) == ("v", "up", "nom")
    ratios = _ratios(weights)
    assert tuple(ratios) == names
    for i in range(N):
        row = VECTOR[i]
        expected = [row[2], row[0], row[2] / row[1], row[0] / row[1], row[0], row[2], (i + 2.0) / 2.0]
        assert [float(ratios[name][i]) for name in names] == expected


def test_only_the_named_samples_and_never_data_are_varied() -> None:
    weights = {"a": {"kind": "pair", "vector": "v", "up": 0, "down": 1, "samples": ["ggF_S"]}}
    config = _config(weights)
    assert [weight_names(config, s) for s in config.samples] == [("a_up", "a_down"), ()]
    data = _config({"a": {**weights["a"], "samples": []}}, kind="data")
    assert weight_names(data, data.samples[1]) == ()


@pytest.mark.parametrize(
    ("weights", "columns", "error", "message"),
    [
        ({"kind": "pair", "vector": "w", "up": 0, "down": 1}, {}, SchemaError, r"(?s)branch 'w'.*'nom'"),
        ({"kind": "pair", "vector": "v", "up": 3, "down": 1}, {}, ShapeError, r"(?s)3 entries.*at least 4"),
        ({"kind": "pair", "vector": "v", "up": 0, "down": 1, "reference": 3}, {}, ShapeError, r"at least 4"),
        ({"kind": "pair", "vector": "up", "up": 0, "down": 1}, {}, ShapeError, "a vector of numbers per event"),
        ({"kind": "columns", "up": "v"}, {}, ShapeError, "one number per event"),
        ({"kind": "columns", "up": "up", "nominal": "zero"}, {"zero": [1.0, 0, 1, 1, 1]}, PhysicsDomainError, r"(?s)event 101.*inf"),
        ({"kind": "columns", "up": "nan"}, {"nan": [1.0, 1, math.nan, 1, 1]}, PhysicsDomainError, r"(?s)a_up of event 102.*nan"),
        ({"kind": "pair", "vector": "j", "up": 0, "down": 0}, {"j": [[1.0]] * 4 + [[1.0, 2.0]]}, ShapeError, r"lengths \[1, 2\]"),
    ],
)
def test_wrong_weights_are_refused(weights: dict[str, Any], columns: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _ratios({"a": weights}, **{name: ak.Array(values) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"first": 3, "last": 2, "combine": "envelope"}, "0 members"),
        ({"first": 0, "last": 2, "combine": "hessian_pairs"}, "even number"),
        ({"first": 0, "last": 0, "combine": "replicas"}, "at least 2"),
    ],
)
def test_sets_that_cannot_be_combined_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _config({"pdf": {"kind": "members", "vector": "v", **section}})


def _twin(nominal: float, members: list[float], how: str) -> tuple[float, float]:
    d = [m - nominal for m in members]
    if how == "envelope":
        return max(nominal, *members), min(nominal, *members)
    if how == "hessian":
        width = math.sqrt(sum(x * x for x in d))
    elif how == "replicas":
        mean = sum(members) / len(members)
        width = math.sqrt(sum((m - mean) ** 2 for m in members) / (len(members) - 1))
    else:
        pairs = list(zip(d[::2], d[1::2], strict=True))
        up = math.sqrt(sum(max(a, b, 0) ** 2 for a, b in pairs))
        return nominal + up, nominal - math.sqrt(sum(max(-a, -b, 0) ** 2 for a, b in pairs))
    return nominal + width, nominal - width


@pytest.mark.parametrize("how", ["envelope", "hessian", "hessian_pairs", "replicas"])
def test_combinations_equal_the_loop(how: str) -> None:
    rng = np.random.default_rng(3)
    nominal, members = rng.uniform(5, 9, (4, 3)), rng.uniform(4, 10, (6, 4, 3))
    up, down = combine_members(nominal, members, how=how)
    for i, j in np.ndindex(4, 3):
        assert (up[i, j], down[i, j]) == pytest.approx(_twin(nominal[i, j], members[:, i, j].tolist(), how), rel=1e-12)
    if how != "replicas":  # equal members leave nothing to vary
        same = combine_members(nominal, np.stack([nominal] * 4), how=how)
        np.testing.assert_array_equal(same[0], nominal)
        np.testing.assert_array_equal(same[1], nominal)


def test_histograms_are_combined_bin_by_bin_and_keep_the_nominal_variances() -> None:
    rng = np.random.default_rng(4)

    def filled() -> dict[str, hist.Hist]:
        h = hist.Hist(hist.axis.Regular(4, 0, 1, name="x"), storage=bh.storage.Weight())
        h.fill(rng.uniform(-0.2, 1.2, 100), weight=rng.uniform(0.5, 2, 100))
        return {"x": h}

    nominal, members = filled(), [filled() for _ in range(4)]
    before = nominal["x"].copy()
    up, down = combine_histograms(nominal, members, how="envelope")
    values = np.stack([h["x"].view(flow=True)["value"] for h in (nominal, *members)])
    np.testing.assert_array_equal(up["x"].view(flow=True)["value"], values.max(axis=0))
    np.testing.assert_array_equal(down["x"].view(flow=True)["value"], values.min(axis=0))
    np.testing.assert_array_equal(up["x"].view(flow=True)["variance"], before.view(flow=True)["variance"])
    assert nominal["x"] == before


def test_an_unknown_combination_is_refused() -> None:
    with pytest.raises(SchemaError, match="envelope"):
        combine_members(np.ones(1), np.ones((2, 1)), how="mean")

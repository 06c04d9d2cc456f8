"""Object shifts against a loop over particles; smearing that depends on the event only; correction files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.formats import EventRecord
from processors.particles import Particles
from processors.systematics import SMALLEST_FACTOR, normal_numbers, object_variations
from toolkit.config import Config
from toolkit.errors import InputFileError, PhysicsDomainError, SchemaError

BINS = {"pt": [0.0, 20.0, 50.0], "abs_eta": [0.0, 1.5, 2.5], "size": [[0.03, 0.04], [0.01, 0.02]]}


def _record(n: int = 300, *, seed: int = 1, first: int = 1) -> EventRecord:
    rng = np.random.default_rng(seed)

    def particles(charged: bool) -> Particles:
        counts = rng.poisson(2, n)
        total = int(counts.sum())
        columns = {"pt": rng.uniform(3, 120, total), "eta": rng.uniform(-3, 3, total), "phi": rng.uniform(-3, 3, total)}
        columns["mass"] = rng.uniform(0.1, 5, total)
        return Particles(counts, columns | ({"charge": rng.choice([-1.0, 1.0], total)} if charged else {}))

    identity = {"event": np.arange(first, first + n, dtype=np.uint64), "run": np.ones(n, np.uint32), "luminosityBlock": np.arange(n) // 7}
    return EventRecord(identity, np.ones(n), np.empty((n, 0)), particles(True), particles(True), particles(False))


def _variations(sample: str = "s", *, kind: str = "simulation", **objects: Any) -> dict[str, Any]:
    interfering = {"name": "ggF_S", "files": ["x"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    others = [{"name": "s", "files": ["x"], "kind": kind}, {"name": "t", "files": ["x"]}]
    config = Config.model_validate({"luminosity_ifb": 1.0, "samples": [interfering, *others], "systematics": {"objects": objects}})
    return {v.name: v for v in object_variations(config, next(s for s in config.samples if s.name == sample))}


@pytest.mark.parametrize("kind", ["electron", "muon", "jet"])
@pytest.mark.parametrize("source", [{"size": 0.02}, {"bins": BINS}])
def test_a_scale_multiplies_momenta_as_the_loop_does(kind: str, source: dict[str, Any]) -> None:
    record = _record()
    before = {f: {n: v.copy() for n, v in getattr(record, f).columns.items()} for f in ("electrons", "muons", "jets")}
    variations = _variations(shift={"object": kind, "kind": "scale", **source})
    assert list(variations) == ["shift_up", "shift_down"]
    for direction, sign in (("up", 1), ("down", -1)):
        shifted = variations[f"shift_{direction}"].apply(record)
        for field in ("electrons", "muons", "jets"):
            got, old = getattr(shifted, field), getattr(record, field)
            assert got.counts.tolist() == old.counts.tolist()
            for i in range(len(old["pt"])):
                size = 0.0
                if field == f"{kind}s":
                    row, column = int(old["pt"][i] >= 20), int(abs(old["eta"][i]) >= 1.5)
                    size = 0.02 if "size" in source else BINS["size"][row][column]
                assert got["pt"][i] == old["pt"][i] * (1 + sign * size)
                assert got["mass"][i] == old["mass"][i] * (1 + sign * size if field == "jets" else 1)
                assert (got["eta"][i], got["phi"][i]) == (old["eta"][i], old["phi"][i])
    for field, columns in before.items():
        for name, values in columns.items():
            np.testing.assert_array_equal(getattr(record, field)[name], values)


def test_a_resolution_smears_each_particle_with_its_own_number() -> None:
    record = _record()
    variations = _variations(smear={"object": "jet", "kind": "resolution", "size": 0.1})
    assert list(variations) == ["smear_up"]
    shifted = variations["smear_up"].apply(record)
    noise = normal_numbers(record.identity, record.jets, salt="jet/1")
    factor = np.array([max(1 + 0.1 * z, SMALLEST_FACTOR) for z in noise])
    np.testing.assert_array_equal(shifted.jets["pt"], record.jets["pt"] * factor)
    np.testing.assert_array_equal(shifted.jets["mass"], record.jets["mass"] * factor)
    assert len(np.unique(noise)) == len(noise)
    again = _variations(smear={"object": "jet", "kind": "resolution", "size": 0.1, "seed": 2})["smear_up"].apply(record)
    assert np.all(again.jets["pt"] != shifted.jets["pt"])


def test_smearing_numbers_are_standard_normal_and_uncorrelated() -> None:
    n = 20_000
    identity = {"event": np.arange(n, dtype=np.uint64), "run": np.ones(n), "luminosityBlock": np.ones(n)}
    z = normal_numbers(identity, Particles(np.full(n, 2), {"pt": np.ones(2 * n)}), salt="a").reshape(n, 2)
    other = normal_numbers(identity, Particles(np.full(n, 2), {"pt": np.ones(2 * n)}), salt="b").reshape(n, 2)
    error = 1 / np.sqrt(n)
    assert abs(z.mean()) < 4 * error
    assert abs(z.std() - 1) < 4 * error
    for one, two in ((z[:, 0], z[:, 1]), (z[:-1, 0], z[1:, 0]), (z[:, 0], other[:, 0])):
        assert abs(np.corrcoef(one, two)[0, 1]) < 4 * error
    assert abs((np.abs(z) < 1).mean() - 0.6827) < 4 * error


def test_smearing_depends_on_the_event_and_not_on_the_chunk() -> None:
    record = _record(60)
    whole = normal_numbers(record.identity, record.muons, salt="x")
    parts = []
    for start in range(0, 60, 17):
        index = np.arange(start, min(start + 17, 60))
        parts.append(normal_numbers({n: v[index] for n, v in record.identity.items()}, record.muons.take(index), salt="x"))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    other_run = {**record.identity, "run": np.full(60, 2)}
    assert np.all(normal_numbers(other_run, record.muons, salt="x") != whole)


@pytest.mark.parametrize("kind", ["scale", "resolution"])
def test_a_size_of_zero_changes_no_bit(kind: str) -> None:
    record = _record()
    for variation in _variations(zero={"object": "jet", "kind": kind, "size": 0.0}).values():
        for name, values in variation.apply(record).jets.columns.items():
            assert values.tobytes() == record.jets[name].tobytes()


def test_a_momentum_stays_positive_however_wide_the_smearing() -> None:
    record = _record(3000)
    shifted = _variations(wide={"object": "electron", "kind": "resolution", "size": 0.9})["wide_up"].apply(record)
    ratio = shifted.electrons["pt"] / record.electrons["pt"]
    assert ratio.min() == pytest.approx(SMALLEST_FACTOR)
    assert np.all(shifted.electrons["pt"] > 0)


def test_only_the_named_samples_and_never_data_are_shifted() -> None:
    shift = {"object": "jet", "kind": "scale", "size": 0.1, "samples": ["t"]}
    assert list(_variations("t", a=shift)) == ["a_up", "a_down"]
    assert _variations("s", a=shift) == {}
    assert _variations("s", kind="data", a={**shift, "samples": []}) == {}


def test_without_jets_there_is_nothing_to_shift() -> None:
    record = _record()
    without = EventRecord(record.identity, record.gen_weight, record.benchmark_ratios, record.electrons, record.muons, None)
    assert _variations(j={"object": "jet", "kind": "scale", "size": 0.1})["j_up"].apply(without) is without


@pytest.fixture
def corrections(tmp_path: Path) -> Path:
    pytest.importorskip("correctionlib")

    def binned(values: list[float]) -> dict[str, Any]:
        return {"nodetype": "binning", "input": "pt", "edges": [0.0, 20.0, 1000.0], "content": values, "flow": "clamp"}

    pt = {"name": "pt", "type": "real"}
    by_direction = {"nodetype": "category", "input": "direction", "content": []}
    by_direction["content"] = [{"key": d, "value": binned(v)} for d, v in (("up", [1.1, 1.2]), ("down", [0.9, 0.7]))]
    document = {
        "schema_version": 2,
        "corrections": [
            {"name": "size", "version": 1, "inputs": [pt], "output": {"name": "o", "type": "real"}, "data": binned([0.05, 0.02])},
            {
                "name": "factor",
                "version": 1,
                "inputs": [{"name": "direction", "type": "string"}, pt],
                "output": {"name": "o", "type": "real"},
                "data": by_direction,
            },
        ],
    }
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps(document))
    return path


def test_sizes_and_factors_come_from_correction_files(corrections: Path) -> None:
    record = _record()
    size = {"path": str(corrections), "correction": "size", "inputs": ["pt"]}
    factor = {"path": str(corrections), "correction": "factor", "inputs": ["{direction}", "pt"], "meaning": "factor"}
    by_size = _variations(a={"object": "muon", "kind": "scale", "file": size})
    by_factor = _variations(a={"object": "muon", "kind": "scale", "file": factor})
    soft = record.muons["pt"] < 20
    for direction, sign, (low, high) in (("up", 1, (1.1, 1.2)), ("down", -1, (0.9, 0.7))):
        got = by_size[f"a_{direction}"].apply(record).muons["pt"]
        np.testing.assert_array_equal(got, record.muons["pt"] * (1 + sign * np.where(soft, 0.05, 0.02)))
        sent = pickle.loads(pickle.dumps(by_factor[f"a_{direction}"]))
        np.testing.assert_array_equal(sent.apply(record).muons["pt"], record.muons["pt"] * np.where(soft, low, high))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"path": "absent.json"}, InputFileError, r"absent\.json"),
        ({"correction": "none"}, SchemaError, r"(?s)no such correction.*'factor', 'size'"),
        ({"inputs": ["pt", "eta"]}, SchemaError, r"pt \(real\)"),
        ({"inputs": ["text"]}, SchemaError, r"(?s)inputs.*\['text'\]"),
        ({"inputs": [30.0]}, SchemaError, "at least one property"),
        ({"correction": "factor", "inputs": ["{direction}", "pt"]}, PhysicsDomainError, r"(?s)1\.\d.*relative size"),
        ({"correction": "factor", "inputs": ["sideways", "pt"], "meaning": "factor"}, SchemaError, "inside its domain"),
    ],
)
def test_wrong_correction_files_are_refused(corrections: Path, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    section = {"path": str(corrections), "correction": "size", "inputs": ["pt"], **changes}
    with pytest.raises(error, match=message):
        _variations(a={"object": "muon", "kind": "scale", "file": section})["a_up"].apply(_record())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"object": "jet", "kind": "scale"}, "exactly one of size, bins and file"),
        ({"object": "jet", "kind": "scale", "size": 0.1, "bins": BINS}, "exactly one of"),
        ({"object": "jet", "kind": "scale", "size": 1.0}, "less than 1"),
        ({"object": "jet", "kind": "scale", "bins": {**BINS, "size": [[0.1, 0.1]]}}, "2 rows"),
        ({"object": "jet", "kind": "scale", "bins": {**BINS, "pt": [0, 20, 20]}}, "edges must increase"),
        ({"object": "jet", "kind": "scale", "bins": {**BINS, "size": [[0.1, 0.1], [-0.1, 0.1]]}}, "at least 0"),
        ({"object": "jet", "kind": "scale", "size": 0.1, "samples": ["nobody"]}, "no samples"),
    ],
)
def test_wrong_sections_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _variations(a=section)


def test_two_systematics_cannot_give_one_variation() -> None:
    shift = {"object": "jet", "kind": "scale", "size": 0.1}
    with pytest.raises(ValueError, match=r"occur twice"):
        Config.model_validate(
            {
                "luminosity_ifb": 1.0,
                "samples": [{"name": "ggF_S", "files": ["x"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}],
                "systematics": {"objects": {"a": shift}, "weights": {"a": {"kind": "pair", "vector": "v", "up": 0, "down": 1}}},
            }
        )

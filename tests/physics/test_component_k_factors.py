"""K_S S + K_I I + K_B B of real weights against sums that are written down directly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from processors import run
from toolkit.artifacts import read_events
from toolkit.config import Config, parse_config
from toolkit.errors import PhysicsDomainError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable

EDGES = (200.0, 300.0, 450.0, 700.0, 2001.0)
K = {"S": (1.9, 1.8, 1.7, 1.6), "I": (1.7, 1.6, 1.5, 1.45), "B": (1.8, 1.7, 1.55, 1.5)}
SHIFT = {"S": 0.05, "I": 0.1, "B": 0.08}
BENCHMARKS = ("ggF_S", "ggF_B", "ggF_SBI")


def _curve(name: str, **more: Any) -> dict[str, Any]:
    return {"observable": "m4l", "edges": list(EDGES), "values": list(K[name]), **more}


def _config(paths: dict[str, Path], *, benchmarks: tuple[str, ...] = BENCHMARKS, **sections: Any) -> Config:
    samples = [{"name": n, "files": [str(p)], "benchmarks": list(benchmarks), "k_factor": 1.0} for n, p in paths.items()]
    return parse_config({"luminosity_ifb": 140.0, "samples": samples, "observables": ["m4l"], **sections}, folder=Path())


def _direct(m4l: Any, weights: Any, *, names: tuple[str, ...] = BENCHMARKS, shifted: dict[str, float] | None = None) -> dict[str, Any]:
    """Return K_S S, K_S S + K_I I + K_B B and K_B B of each event."""
    bins = np.digitize(m4l, EDGES) - 1
    k = {c: np.array(K[c])[bins] * (1.0 + (shifted or {}).get(c, 0.0)) for c in K}
    s, b, sbi = (weights[:, names.index(n)] for n in BENCHMARKS)
    return {"ggF_S": k["S"] * s, "ggF_B": k["B"] * b, "ggF_SBI": k["S"] * s + k["I"] * (sbi - s - b) + k["B"] * b}


def test_yields_are_the_direct_sums_of_weights(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    paths = {name: shared_data("ggzz4l") / f"{name}_0.root" for name in ("ggF_S", "ggF_SBI")}
    run(_config(paths), tmp_path / "plain")
    k_factors = {"ggF": {c: _curve(c, uncertainty=SHIFT[c]) for c in K}}
    result = run(_config(paths, k_factors=k_factors), tmp_path / "corrected")
    for name in paths:
        plain = read_events(tmp_path / "plain" / "events", name)
        for variation, shifted in (
            ("nominal", {}),
            ("k_ggF_I_up", {"I": 0.1}),
            ("k_ggF_S_down", {"S": -0.05}),
            ("k_ggF_B_up", {"B": 0.08}),
        ):
            table = read_events(tmp_path / "corrected" / "events", name, variation=variation)
            direct = _direct(plain.observables["m4l"], plain.benchmark_weights, shifted=shifted)
            for i, benchmark in enumerate(BENCHMARKS):
                np.testing.assert_allclose(table.benchmark_weights[:, i].sum(), direct[benchmark].sum(), rtol=1e-9)
                np.testing.assert_allclose(table.benchmark_weights[:, i], direct[benchmark], rtol=1e-8, atol=1e-12)
            assert table.weight.sum() == pytest.approx(direct[name].sum(), rel=1e-6)
        assert result.yields[name] == pytest.approx(read_events(tmp_path / "corrected" / "events", name).weight.sum(), rel=1e-12)
        assert set(result.variations[name]) == {f"k_ggF_{c}_{d}" for c in K for d in ("up", "down")}


def test_one_constant_for_all_components_is_today_s_k_factor_bit_for_bit(ntuples: ModuleType, tmp_path: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(300, seed=41))
    tables = []
    constant = {"observable": "m4l", "edges": [0, 300, 5000], "values": [1.83, 1.83]}
    for out, number, sections in (
        ("a", 1.83, {}),
        ("b", 1.0, {"k_factors": {"ggF": {c: {"value": 1.83, "uncertainty": 0.1} for c in "SIB"}}}),
        ("c", 1.0, {"corrections": {"k": constant}}),
    ):
        config = parse_config(
            {
                "luminosity_ifb": 140.0,
                "samples": [ntuples.signal_sample(str(path), k_factor=number)],
                "selection": {"m_z1": [0, 999], "m_z2": [0, 999], "m4l": [0, 5000]},
                **sections,
            },
            folder=tmp_path,
        )
        result = run(config, tmp_path / out)
        tables.append((read_events(tmp_path / out / "events", "ggF_SBI"), result.cutflow["ggF_SBI"]))
    for table, cutflow in tables[1:]:
        np.testing.assert_array_equal(table.weight, tables[0][0].weight)
        np.testing.assert_array_equal(table.benchmark_weights, tables[0][0].benchmark_weights)
        assert cutflow == tables[0][1]


def test_a_negative_total_names_the_event(ntuples: ModuleType, tmp_path: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(300, seed=42))
    sections = {"k_factors": {"ggF": {"I": {"value": 9.0}}}, "selection": {"m_z1": [0, 999], "m_z2": [0, 999], "m4l": [0, 5000]}}
    with pytest.raises(PhysicsDomainError, match=r"(?s)k-factors of event \d+ of sample ggF_SBI.*no negative total"):
        run(_config({"ggF_SBI": path}, **sections), tmp_path / "out")


def test_a_curve_that_does_not_cover_the_selection_is_refused(ntuples: ModuleType, tmp_path: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(100, seed=46))
    short = {"I": {"observable": "m4l", "edges": [200, 300], "values": [1.7]}}
    with pytest.raises(PhysicsDomainError, match=r"(?s)m4l of .* events.*outside: edge"):
        run(_config({"ggF_SBI": path}, k_factors={"ggF": short}), tmp_path / "out")


def test_what_cannot_be_corrected_is_refused(ntuples: ModuleType, tmp_path: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(20, seed=43), benchmarks=False)
    for sections, message in (
        ({"k_factors": {"qqZZ": {"S": {"value": 2.0}}}}, "no process that interferes"),
        ({"k_factors": {"ggF": {"X": {"value": 2.0}}}}, "no components"),
        ({"k_factors": {"ggF": {"S": {"value": 2.0, "samples": ["ggF_SBI"]}}}}, "no place here"),
    ):
        with pytest.raises(SchemaError, match=message):
            _config({"ggF_SBI": path}, **sections)
    alone = parse_config(
        {"luminosity_ifb": 1.0, "samples": [{"name": "ggF_SBI", "files": [str(path)]}], "k_factors": {"ggF": {"S": {"value": 2.0}}}},
        folder=tmp_path,
    )
    with pytest.raises(SchemaError, match="tell its components apart"):
        run(alone, tmp_path / "out")


def test_a_sample_of_one_component_has_its_factor(ntuples: ModuleType, tmp_path: Path) -> None:
    path = ntuples.write_nano(tmp_path / "in.root", ntuples.make_events(200, seed=44), benchmarks=False)
    selection = {"m_z1": [0, 999], "m_z2": [0, 999], "m4l": [200, 2001]}
    document = {"luminosity_ifb": 1.0, "samples": [{"name": "ggF_B", "files": [str(path)]}], "selection": selection}
    run(parse_config(document, folder=tmp_path), tmp_path / "plain")
    run(parse_config({**document, "k_factors": {"ggF": {c: _curve(c) for c in K}}}, folder=tmp_path), tmp_path / "out")
    plain, table = (read_events(tmp_path / folder / "events", "ggF_B") for folder in ("plain", "out"))
    factor = np.array(K["B"])[np.digitize(plain.observables["m4l"], EDGES) - 1]
    np.testing.assert_allclose(table.weight, plain.weight * factor, rtol=1e-12)


def test_a_sample_of_no_benchmark_has_the_same_k_factors(ntuples: ModuleType, tmp_path: Path) -> None:
    """Weights relative to another hypothesis: the benchmarks are corrected as ever, the own weight is not."""
    events = [replace(e, ratios=tuple(1.3 * r for r in e.ratios)) for e in ntuples.make_events(300, seed=45)]
    path = ntuples.write_nano(tmp_path / "in.root", events)
    selection = {"m_z1": [0, 999], "m_z2": [0, 999], "m4l": [200, 2001]}
    run(_config({"gg": path}, selection=selection), tmp_path / "plain")
    factors = {"S": 1.9, "I": 1.75, "B": 1.8}
    k_factors = {"ggF": {c: {"value": k} for c, k in factors.items()}}
    run(_config({"gg": path}, selection=selection, k_factors=k_factors), tmp_path / "out")
    plain, table = (read_events(tmp_path / folder / "events", "gg") for folder in ("plain", "out"))
    s, b, sbi = plain.benchmark_weights.T
    total = factors["S"] * s + factors["I"] * (sbi - s - b) + factors["B"] * b
    np.testing.assert_allclose(table.benchmark_weights, np.stack([1.9 * s, 1.8 * b, total], axis=1), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(table.weight, plain.weight)

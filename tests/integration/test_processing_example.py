"""The example ntuples of the package, processed as the demo does: sizes, cross-sections, yields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot

from processors import run
from toolkit.artifacts import EventTable, read_events
from toolkit.config import Config, load_config
from toolkit.example import demo_config, example_folder

ACCEPTED_FB = {"ggF_S": 0.1530, "ggF_SBI": 1.887, "ggF_B": 1.991, "qqZZ": 10.57}
"""Cross-sections after the selection, before k-factors, of the full benchmark sample (fb)."""

GENERATED_FB = {"ggF_S": 0.26029, "ggF_SBI": 4.96898, "ggF_B": 5.22153, "qqZZ": 37.2075}
GENERATED_EVENTS = {"ggF_S": 49_861, "ggF_SBI": 200_000, "ggF_B": 120_000, "qqZZ": 300_069}
SELECTED_EVENTS = {"ggF_S": 29_314, "ggF_SBI": 88_006, "ggF_B": 54_389, "qqZZ": 89_590}


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(demo_config())


@pytest.fixture(scope="module")
def tables(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, EventTable]:
    out = tmp_path_factory.mktemp("example")
    run(config, out)
    return {sample.name: read_events(out / "events", sample.name) for sample in config.samples}


def test_the_ntuples_fit_into_the_package() -> None:
    sizes = {path.name: path.stat().st_size for path in example_folder().glob("*.root")}
    assert len(sizes) == 8
    assert max(sizes.values()) < 3e6
    assert sum(sizes.values()) < 15e6


@pytest.mark.parametrize("sample", list(GENERATED_FB))
def test_runs_holds_what_was_generated(sample: str) -> None:
    count, sumw = 0, 0.0
    for path in sorted(Path(example_folder()).glob(f"{sample}_[0-9].root")):
        with uproot.open(path) as file:
            runs = file["Runs"].arrays(library="np")
            assert runs["xsec_fb"][0] == pytest.approx(GENERATED_FB[sample], rel=2e-5)
            count += int(runs["genEventCount"][0])
            sumw += float(runs["genEventSumw"][0])
    assert count == GENERATED_EVENTS[sample]
    assert sumw == pytest.approx(GENERATED_FB[sample], rel=2e-5)  # genWeight is in fb


@pytest.mark.parametrize("sample", list(ACCEPTED_FB))
def test_yields_are_those_of_the_full_sample(config: Config, tables: dict[str, EventTable], sample: str) -> None:
    section = config.sample(sample)
    accepted_fb = tables[sample].weight.sum() / config.luminosity_ifb / section.k_factor
    assert accepted_fb == pytest.approx(ACCEPTED_FB[sample], rel=5e-4)
    assert abs(len(tables[sample]) - SELECTED_EVENTS[sample]) <= 3  # rounding at an edge differs between machines


def test_the_three_interfering_samples_predict_the_same_benchmarks(tables: dict[str, EventTable]) -> None:
    for i, benchmark in enumerate(("ggF_S", "ggF_B", "ggF_SBI")):
        own = tables[benchmark]
        for sample in ("ggF_SBI", "ggF_B"):  # the S sample has too few events where B is
            other = tables[sample]
            assert other.benchmarks[i] == benchmark
            difference = other.benchmark_weights[:, i].sum() - own.weight.sum()
            error = np.sqrt((other.benchmark_weights[:, i] ** 2).sum() + (own.weight**2).sum())
            assert abs(difference) < 4 * error or sample == benchmark


def test_observables_lie_where_the_selection_leaves_them(tables: dict[str, EventTable]) -> None:
    for table in tables.values():
        m4l, m_z1, m_z2 = (table.observables[name] for name in ("m4l", "m_z1", "m_z2"))
        assert 220 <= m4l.min() < 222
        assert 1500 < m4l.max() < 2000
        assert 50 <= m_z1.min() < m_z1.max() < 106
        assert 50 <= m_z2.min() < m_z2.max() < 115
        two_jets = table.observables["n_jets"] >= 2
        np.testing.assert_array_equal(np.isnan(table.observables["m_jj"]), ~two_jets)
        shares = np.bincount(table.channel, minlength=3) / len(table)
        np.testing.assert_allclose(shares, [0.25, 0.25, 0.5], atol=0.06)

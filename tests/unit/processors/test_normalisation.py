"""Sums of generator weights in the forms that files have them: merged and skimmed, with underscores, in a histogram of counters."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import awkward as ak
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from processors.inputs import inspect_inputs
from toolkit.cli.app import app
from toolkit.config import load_config
from toolkit.errors import SchemaError


@pytest.mark.parametrize("ending", ["", "_"])
def test_merged_and_skimmed_nanoaod_has_the_sum_of_all_entries_of_runs(tmp_path: Path, ntuples: ModuleType, ending: str) -> None:
    """Two generated files of 10,000 and 5,000 events, skimmed to 40 and merged as `hadd` does, beside a third: 10,000 + 5,000 + 2,500."""
    columns = ntuples.nano_columns(ntuples.make_events(40, seed=1), benchmarks=False)
    runs = {f"genEventCount{ending}": [10_000, 5_000], f"genEventSumw{ending}": [1e4, 5e3], f"genEventSumw2{ending}": [1e4, 5e3]}
    for name, rows in (("merged", slice(0, 2)), ("third", slice(1, 2))):
        chosen = {k: np.array(v[rows], dtype=np.float64) * (1.0 if name == "merged" else 0.5) for k, v in runs.items()}
        own = columns if name == "merged" else ntuples.nano_columns(ntuples.make_events(9, seed=2, first=100), benchmarks=False)
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            for tree, content in (("Events", own), ("Runs", {"run": np.ones(len(chosen[f"genEventCount{ending}"])), **chosen})):
                types = {k: v.dtype if isinstance(v, np.ndarray) else v.type.content for k, v in content.items()}
                file.mktree(tree, types).extend(content)
    sample = {"name": "qqZZ", "files": ["merged.root", "third.root"], "xsec_pb": 0.01}
    (found,) = inspect_inputs(ntuples.make_config(tmp_path, [sample]))
    assert (found.sumw, found.entries, found.notes) == (17_500.0, 49, ())


def _cjlst(path: Path, n: int, *, sumw: float, bins: int = 41) -> None:
    rng = np.random.default_rng(n)
    four = {"LepPt": rng.uniform(25, 90, (n, 4)), "LepEta": rng.uniform(-2, 2, (n, 4)), "LepPhi": rng.uniform(-3, 3, (n, 4))}
    columns = {
        "EventNumber": np.arange(n) + 1000 * n,
        **{k: v.astype(np.float32) for k, v in four.items()},
        "LepLepId": np.tile(np.array([11, -11, 13, -13], dtype=np.int16), (n, 1)),
        "overallEventWeight": rng.uniform(0.5, 1.5, n).astype(np.float32),
        "xsec": np.full(n, 0.01, dtype=np.float32),
        **{name: np.ones(n, dtype=np.float32) for name in ("p_Gen_SIG", "p_Gen_BKG", "p_Gen_BSI")},
    }
    jagged = {k: ak.from_regular(ak.from_numpy(v)) if v.ndim == 2 else v for k, v in columns.items()}
    contents = np.zeros(bins)
    contents[39:40] = sumw
    with uproot.recreate(path) as file:
        file.mktree("ZZTree/candTree", {k: v.dtype if isinstance(v, np.ndarray) else v.type.content for k, v in jagged.items()}).extend(
            jagged
        )
        file["ZZTree/Counters"] = (contents, np.arange(bins + 1.0))


def test_counters_of_cjlst_trees_are_summed_over_the_files(tmp_path: Path) -> None:
    _cjlst(tmp_path / "ZZ_1.root", 30, sumw=5000.0)
    _cjlst(tmp_path / "ZZ_2.root", 40, sumw=7000.0)
    done = CliRunner().invoke(app, ["init", str(tmp_path / "ZZ_1.root"), str(tmp_path / "ZZ_2.root"), "--out", str(tmp_path / "c.yaml")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "c.yaml").read_text()
    assert "ZZTree/Counters[40]" in text
    assert "gen_sumw: sum" not in text
    assert "p_Gen_BKG, p_Gen_BSI, p_Gen_SIG may be weights under benchmarks" in text
    (sample,) = inspect_inputs(load_config(tmp_path / "c.yaml"))
    assert (sample.sumw, sample.xsec_pb, sample.entries) == (12_000.0, pytest.approx(0.01, rel=1e-6), 70)


def test_a_histogram_without_this_bin_is_refused(tmp_path: Path) -> None:
    _cjlst(tmp_path / "ZZ.root", 30, sumw=5000.0)
    done = CliRunner().invoke(app, ["init", str(tmp_path / "ZZ.root"), "--out", str(tmp_path / "c.yaml")])
    assert done.exit_code == 0, done.output
    for old, new, message in (("[40]", "[60]", "41 bins"), ("Counters[", "Counter[", "no such histogram of one axis")):
        (tmp_path / "d.yaml").write_text((tmp_path / "c.yaml").read_text().replace(old, new))
        with pytest.raises(SchemaError, match=message):
            inspect_inputs(load_config(tmp_path / "d.yaml"))

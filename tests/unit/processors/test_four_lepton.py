"""The processor in coffea's own Runner, its weights, and the laws of its accumulator."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from coffea import processor
from coffea.nanoevents import BaseSchema
from coffea.processor import accumulate

from processors import FourLeptonProcessor, run
from processors.histograms import read_histograms
from toolkit.config import Config
from toolkit.errors import SchemaError


def _run(config: Config, files: dict[str, list[Path]], *, chunksize: int = 1000) -> Any:
    runner = processor.Runner(
        executor=processor.IterativeExecutor(status=False, retries=0),
        pre_executor=processor.IterativeExecutor(status=False, retries=0),
        schema=BaseSchema,
        chunksize=chunksize,
    )
    return runner({name: [str(p) for p in paths] for name, paths in files.items()}, FourLeptonProcessor(config), treename="Events")


def _numbers(accumulator: Any) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for sample, content in accumulator.items():
        flat[f"{sample}.counts"] = np.array([content["entries"], content["selected"]], dtype=float)
        for cut, counts in content["cutflow"].items():
            flat[f"{sample}.{cut}"] = np.array(list(counts.values()), dtype=float)
        for name, histogram in content["histograms"].items():
            view = histogram.view(flow=True)
            flat[f"{sample}.{name}"] = np.stack([view["value"], view["variance"]])
    return flat


def _assert_same(left: Any, right: Any) -> None:
    a, b = _numbers(left), _numbers(right)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.fixture
def files(tmp_path: Path, ntuples: ModuleType) -> list[Path]:
    return [ntuples.write_nano(tmp_path / f"part_{i}.root", ntuples.make_events(60, seed=i, first=1 + 60 * i)) for i in range(3)]


def _config(ntuples: ModuleType, files: list[Path]) -> Config:
    return ntuples.make_config(files[0].parent, [ntuples.signal_sample("part_*.root", k_factor=1.5)])  # type: ignore[no-any-return]


def test_weights_are_xsec_times_k_times_luminosity_over_the_sum_of_weights(files: list[Path], ntuples: ModuleType) -> None:
    config = _config(ntuples, files)
    content = _run(config, {"ggF_SBI": files})["ggF_SBI"]
    events = [e for i in range(3) for e in ntuples.make_events(60, seed=i, first=1 + 60 * i)]
    expected = ntuples.XSEC_FB * 1.5 * 100.0  # fb x k x 1/fb: all generated events together
    assert content["entries"] == 180
    assert content["cutflow"]["all"]["sumw"] == pytest.approx(expected, rel=1e-9)
    factor = expected / sum(e.gen_weight for e in events)
    four = [e for e in events if _accepted(e) == 4]
    assert content["cutflow"]["four leptons"]["events"] == len(four)
    assert content["cutflow"]["four leptons"]["sumw"] == pytest.approx(factor * sum(e.gen_weight for e in four), rel=1e-9)


def test_a_runner_of_ones_own_gets_the_histograms_of_a_run(files: list[Path], ntuples: ModuleType, tmp_path: Path) -> None:
    """A run fills them from its event tables."""
    config = _config(ntuples, files)
    own = _run(config, {"ggF_SBI": files})["ggF_SBI"]["histograms"]
    run(config, tmp_path / "out")
    written = read_histograms(tmp_path / "out" / "histograms" / "ggF_SBI.json")
    assert own.keys() == written.keys()
    for name, histogram in own.items():
        for field in ("value", "variance"):
            np.testing.assert_allclose(histogram.view(flow=True)[field], written[name].view(flow=True)[field], rtol=1e-12, err_msg=name)


def _accepted(event: Any) -> int:
    cuts = {11: (7.0, 2.47), 13: (5.0, 2.7)}
    return sum(p.pt > cuts[abs(p.pdg_id)][0] and abs(p.eta) < cuts[abs(p.pdg_id)][1] for p in event.leptons)


def test_histograms_hold_every_hypothesis(files: list[Path], ntuples: ModuleType) -> None:
    content = _run(_config(ntuples, files), {"ggF_SBI": files})["ggF_SBI"]
    histogram = content["histograms"]["m4l"]
    assert list(histogram.axes[0]) == ["own", *ntuples.BENCHMARKS]
    totals = histogram.view(flow=True)["value"].sum(axis=1)[:4]
    assert totals[0] == pytest.approx(content["cutflow"]["m4l"]["sumw"], rel=1e-9)
    assert totals[3] == pytest.approx(totals[0], rel=1e-9)  # the sample's own benchmark has ratio 1
    assert 0.1 * totals[0] < totals[1] < 0.4 * totals[0]


@pytest.mark.parametrize("chunksize", [1000, 25, 7])
def test_any_chunk_size_gives_the_same(files: list[Path], ntuples: ModuleType, chunksize: int) -> None:
    config = _config(ntuples, files)
    _assert_same(_run(config, {"ggF_SBI": files}, chunksize=chunksize), _run(config, {"ggF_SBI": files}))


def test_processing_the_union_is_merging_the_parts(files: list[Path], ntuples: ModuleType) -> None:
    config = _config(ntuples, files)
    a, b, c = (_run(config, {"ggF_SBI": [f]}) for f in files)
    whole = _run(config, {"ggF_SBI": files})
    _assert_same(accumulate([a, b, c]), whole)
    _assert_same(accumulate([accumulate([a, b]), c]), accumulate([a, accumulate([b, c])]))
    _assert_same(accumulate([{}, a]), a)


def test_a_dataset_that_is_no_sample_is_refused(files: list[Path], ntuples: ModuleType) -> None:
    with pytest.raises(Exception, match="dataset 'other'") as caught:
        _run(_config(ntuples, files), {"other": files})
    assert isinstance(caught.value.__cause__, SchemaError)

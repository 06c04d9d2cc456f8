"""Other people's tools meet ours: coffea's runner, UHI histograms, awkward, vector, pandas and pyhf."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import matplotlib.pyplot as plt
import mplhep
import numpy as np
import pyhf
import pytest
import uhi.io.json
import vector
from coffea import processor
from coffea.nanoevents import BaseSchema
from uhi.typing.plottable import PlottableHistogram

from processors import FourLeptonProcessor
from processors.histograms import OWN, read_histograms, write_histograms
from toolkit.config import load_config
from toolkit.example import demo_config, example_folder
from toolkit.kinematics import compute_observables, decay_angles, pair_leptons, take_quadruplet, vbf_angles
from toolkit.likelihood import BinnedLikelihood, Workspace, fill_templates, read_observation, write_observation
from toolkit.likelihood.histfactory import quiet_schema

N_SELECTED, YIELD = 29_314, 0.1530 * 140.0 * 1.8
"""Selected events and expected events at 140/fb of ggF_S; see test_processing_example.py."""


@pytest.fixture(scope="module")
def accumulated() -> dict[str, Any]:
    """One sample of the demo in coffea's own runner, from a plain fileset."""
    files = sorted(str(path) for path in example_folder().glob("ggF_S_*.root"))
    executor = processor.IterativeExecutor(status=False)
    runner = processor.Runner(executor, pre_executor=processor.IterativeExecutor(status=False), schema=BaseSchema, chunksize=10_000)
    instance = FourLeptonProcessor(load_config(demo_config()))
    return runner({"ggF_S": files}, treename="Events", processor_instance=instance)


@pytest.fixture(scope="module")
def histogram(accumulated: dict[str, Any]) -> hist.Hist:
    return accumulated["ggF_S"]["histograms"]["m4l"]


def test_the_processor_runs_in_coffeas_own_runner(accumulated: dict[str, Any], histogram: hist.Hist) -> None:
    assert accumulated["ggF_S"]["selected"] == N_SELECTED
    assert histogram[{"hypothesis": OWN}].sum(flow=True).value == pytest.approx(YIELD, rel=5e-4)
    assert [axis.name for axis in histogram.axes] == ["hypothesis", "m4l"]


def test_processors_need_neither_command_line_nor_torch() -> None:
    code = "import sys, processors; print(sorted({'typer', 'torch', 'toolkit.cli', 'toolkit.pipeline'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_histograms_are_plottable_by_whoever_knows_the_protocol(histogram: hist.Hist) -> None:
    one = histogram[{"hypothesis": OWN}]
    assert isinstance(one, PlottableHistogram)
    figure, axes = plt.subplots()
    mplhep.histplot(one, ax=axes)
    top = max(np.max(artist.get_data().values) for artist in axes.patches)
    plt.close(figure)
    assert top == pytest.approx(one.values().max())


def test_histogram_files_are_read_without_our_code(histogram: hist.Hist, tmp_path: Path) -> None:
    path = write_histograms(tmp_path, "ggF_S", {"m4l": histogram})
    document = json.loads(path.read_text(), object_hook=uhi.io.json.object_hook)
    other = bh.Histogram(document["m4l"])
    assert np.array_equal(other.values(flow=True), histogram.values(flow=True))
    assert np.array_equal(other.variances(flow=True), histogram.variances(flow=True))


def test_histogram_files_of_others_are_read(tmp_path: Path) -> None:
    other = bh.Histogram(bh.axis.Variable([220.0, 400.0, 2000.0]), storage=bh.storage.Weight())
    other.fill([250.0, 300.0, 900.0], weight=[1.0, 2.0, 0.5])
    (tmp_path / "theirs.json").write_text(json.dumps({"m4l": other}, default=uhi.io.json.default))
    mine = read_histograms(tmp_path / "theirs.json")["m4l"]
    assert isinstance(mine, hist.Hist)
    assert mine.values().tolist() == [3.0, 0.5]
    assert mine.variances().tolist() == [5.0, 0.25]


def test_values_of_any_histogram_are_templates() -> None:
    """A fit takes plain arrays, so that histograms of any library serve; ours from events are the same numbers."""
    rng = np.random.default_rng(1)
    x, weights, edges = rng.uniform(220.0, 1000.0, 500), rng.uniform(0.1, 0.2, (500, 2)), [220.0, 400.0, 1000.0]
    theirs = []
    for column in weights.T:
        one = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Weight())
        one.fill(x, weight=column)
        theirs.append(one.values())
    mine = fill_templates(x, weights, edges, processes=("S", "B"))
    assert mine.values == pytest.approx(np.stack(theirs), rel=1e-12)
    data = np.sum(theirs, axis=0)
    fit = BinnedLikelihood(templates=theirs, data=data, coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 4.0)}).fit()
    assert fit.parameters["mu"] == pytest.approx(1.0, abs=1e-6)


def _momenta(n: int = 200) -> list[np.ndarray]:
    """Massless leptons and jets, px, py, pz, E."""
    p = np.random.default_rng(5).normal(scale=50.0, size=(6, n, 3))
    return [np.concatenate([q, np.linalg.norm(q, axis=1, keepdims=True)], axis=1) for q in p]


FORMS = {
    "vector": lambda p: vector.array({"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]}),
    "vector in polar coordinates": lambda p: vector.array(
        {"pt": np.hypot(p[:, 0], p[:, 1]), "phi": np.arctan2(p[:, 1], p[:, 0]), "eta": np.arcsinh(p[:, 2] / np.hypot(p[:, 0], p[:, 1]))}
        | {"mass": np.zeros(len(p))}
    ),
    "awkward Momentum4D": lambda p: vector.zip({"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]}),
    "awkward records": lambda p: ak.zip({"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]}),
    "lists": lambda p: p.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_kinematics_take_momenta_in_any_form(form: str) -> None:
    plain = _momenta()
    others = [FORMS[form](p) for p in plain]
    expected, found = decay_angles(*plain[:4]), decay_angles(*others[:4])
    for name in ("cos_theta_star", "cos_theta_1", "cos_theta_2"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9), name
    assert np.cos(found.phi) == pytest.approx(np.cos(expected.phi), abs=1e-9)
    assert vbf_angles(*others).q2_v1 == pytest.approx(vbf_angles(*plain).q2_v1, rel=1e-9)
    assert compute_observables(*others[:4], names=["m4l"])["m4l"] == pytest.approx(compute_observables(*plain[:4])["m4l"], rel=1e-12)


def test_kinematics_take_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    plain = _momenta()
    frames = [pandas.DataFrame(p, columns=["px", "py", "pz", "E"]) for p in plain]
    assert np.array_equal(decay_angles(*frames[:4]).phi, decay_angles(*plain[:4]).phi)


def test_leptons_of_nanoaod_records_pair_and_keep_their_fields() -> None:
    fields = {"pt": [[45.0, 40.0, 44.0, 41.0]], "eta": [[0.1, -0.2, 0.0, 0.3]], "phi": [[0.0, 1.5, 3.1, -1.6]]}
    fields |= {"mass": [[0.0] * 4], "pdgId": [[13, 11, -13, -11]], "isolation": [[0.1, 0.2, 0.3, 0.4]]}
    leptons = ak.zip(fields, with_name="PtEtaPhiMLorentzVector", behavior=vector.backends.awkward.behavior)
    chosen = take_quadruplet(leptons, pair_leptons(leptons))
    assert sorted(chosen[role].isolation[0] for role in ("a1", "b1", "a2", "b2")) == [0.1, 0.2, 0.3, 0.4]
    assert chosen.a1.pdgId[0] == -chosen.b1.pdgId[0]


def test_observations_come_from_data_frames(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"m4l": [250.0, 600.0], "n_jets": [0, 2]})
    write_observation(tmp_path / "events.parquet", frame)
    columns, weights = read_observation(tmp_path / "events.parquet", ["m4l", "n_jets"], weight=None)
    assert columns["n_jets"].tolist() == [0.0, 2.0]
    assert weights.tolist() == [1.0, 1.0]
    assert pandas.read_parquet(tmp_path / "events.parquet")["m4l"].tolist() == [250.0, 600.0]


def test_pyhf_workspaces_go_in_and_out() -> None:
    likelihood = BinnedLikelihood(
        templates=[[10.0, 4.0], [50.0, 8.0]], data=[63.0, 13.0], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 4.0)}
    )
    with quiet_schema():
        workspace = pyhf.Workspace(likelihood.to_pyhf())
        model = workspace.model(poi_name=None)
        back = Workspace(dict(workspace)).likelihood()
        value = -2.0 * float(model.logpdf([2.0 if "0" in name else 1.0 for name in model.config.par_names], workspace.data(model))[0])
    assert value == pytest.approx(likelihood.twice_nll(2.0), rel=1e-9)
    names = {name: (2.0 if "0" in name else 1.0) for name in back.parameter_names}
    assert back.twice_nll(names) == pytest.approx(value, rel=1e-12)

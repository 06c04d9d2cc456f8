"""Workspace documents: plain pyhf, binned with morphing, unbinned, both."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest

from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError
from toolkit.likelihood import (
    BinnedLikelihood,
    MorphingModifier,
    Observation,
    Parameter,
    UnbinnedChannel,
    UnbinnedSample,
    Workspace,
    fill_templates,
    make_document,
    morphing_expressions,
    read_observation,
    write_observation,
)
from toolkit.likelihood.histfactory import quiet_schema
from toolkit.likelihood.workspace_schema import MorphingData

PROCESSES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
COEFFICIENTS = morphing_expressions(n_backgrounds=1)
MU = Parameter("mu", 1.0, 0.0, 6.0)


class TableRatio:
    """A ratio model that looks its answer up by the value of x."""

    features, numerators, reference = ("x",), (*reversed(PROCESSES),), "reference"

    def __init__(self, toy: Any) -> None:
        self._rows = dict(zip(toy.x.tolist(), toy.log_ratios[:, ::-1], strict=True))

    def columns(self, observables: Any) -> Any:
        return np.stack([observables[name] for name in self.features], axis=1)

    def __call__(self, x: Any) -> Any:
        return np.array([self._rows[v] for v in x[:, 0].tolist()])


def channel(toy: Any, coefficients: Any = COEFFICIENTS) -> UnbinnedChannel:
    samples = tuple(
        UnbinnedSample(name=name, expected=y, output=name, modifiers=(MorphingModifier(type="morphing", data=MorphingData(coefficient=c)),))
        for name, y, c in zip(PROCESSES, toy.yields.tolist(), coefficients, strict=True)
    )
    return UnbinnedChannel(
        name="offshell",
        observables=("x",),
        reference="reference",
        model="ratio.onnx",
        samples=samples,
        observation=Observation(file="asimov.parquet"),
    )


def binned(toy: Any, mu: float = 1.0) -> BinnedLikelihood:
    t = fill_templates(toy.x, toy.weights, np.linspace(0, 1, 6), processes=PROCESSES)
    data = t.expected([mu - np.sqrt(mu), np.sqrt(mu), 1 - np.sqrt(mu), 1.0])
    return BinnedLikelihood(templates=t.values, data=data, coefficients=COEFFICIENTS, parameters=[MU], processes=PROCESSES, channel="m4l")


@pytest.fixture
def small(make_toy: Callable[[int, int], Any]) -> Any:
    return make_toy(2_000, 6)


@pytest.fixture
def folder(tmp_path: Path, small: Any) -> Path:
    write_observation(tmp_path / "asimov.parquet", {"x": small.x, "y": small.x * 2}, weights=small.asimov(1.0))
    return tmp_path


def test_unbinned_round_trip(folder: Path, small: Any) -> None:
    Workspace(make_document(parameters=[MU], unbinned=[channel(small)])).save(folder / "nsbi.json")
    workspace = Workspace.load(folder / "nsbi.json")
    likelihood = workspace.likelihood(open_ratio=lambda _: TableRatio(small))
    direct = small.likelihood(1.0)
    assert likelihood.parameter_names == ("mu",)
    assert likelihood.poi == "mu"
    for mu in (0.0, 0.4, 3.0):
        assert likelihood.twice_nll(mu) - likelihood.twice_nll(1.0) == pytest.approx(direct.twice_nll(mu) - direct.twice_nll(1.0), abs=1e-9)
    assert likelihood.fit().parameters["mu"] == pytest.approx(1.0, abs=1e-7)
    np.testing.assert_allclose(likelihood.gradient(0.4), direct.gradient(0.4), atol=1e-9)
    with pytest.raises(SchemaError, match="no binned channels"):
        workspace.to_pyhf()


def test_plain_pyhf_document_gives_pyhfs_likelihood(tmp_path: Path) -> None:
    with quiet_schema():
        model = pyhf.simplemodels.uncorrelated_background([5.0, 10.0], [50.0, 60.0], [5.0, 6.0])
        document = dict(pyhf.Workspace.build(model, [55.0, 72.0]))
    (tmp_path / "pyhf.json").write_text(json.dumps(document))
    workspace = Workspace.load(tmp_path / "pyhf.json")
    assert workspace.is_pyhf
    likelihood = workspace.likelihood()
    assert likelihood.parameter_names == tuple(model.config.par_names)
    assert likelihood.poi == "mu"
    pars, data = [0.7, 1.1, 0.95], [55.0, 72.0, *model.config.auxdata]
    assert likelihood.twice_nll(pars) == pytest.approx(-2 * float(model.logpdf(pars, data)[0]), abs=1e-12)
    assert workspace.to_pyhf() == document
    assert likelihood.scan("mu", [0.5, 1.0]).twice_delta_nll.min() >= 0


def test_binned_document_with_morphing(tmp_path: Path, small: Any) -> None:
    direct = binned(small)
    Workspace(make_document(parameters=[MU], binned=[direct])).save(tmp_path / "m4l.json")
    workspace = Workspace.load(tmp_path / "m4l.json")
    assert not workspace.is_pyhf
    likelihood = workspace.likelihood()
    for mu in (0.0, 0.4, 3.0):
        assert likelihood.twice_nll(mu) == pytest.approx(direct.twice_nll(mu), abs=1e-9)
    with quiet_schema():
        pyhf.schema.validate(workspace.to_pyhf(), "workspace.json")


def test_portable_document_of_the_baseline_is_a_workspace_of_ours_too(small: Any) -> None:
    portable = Workspace(binned(small).to_pyhf())
    assert portable.is_pyhf
    likelihood = portable.likelihood()
    assert set(likelihood.parameter_names) == {f"coefficient_{p}" for p in PROCESSES}
    point = {f"coefficient_{p}": c for p, c in zip(PROCESSES, [0.25, 0.5, 0.5, 1.0], strict=True)}
    expected = binned(small)
    with_sqrt = [0.25 - 0.5, 0.5, 0.5, 1.0]
    point["coefficient_ggF_S"] = with_sqrt[0]
    assert likelihood.twice_nll(point) == pytest.approx(expected.twice_nll(0.25), abs=1e-9)


def test_binned_and_unbinned_channels_share_mu(folder: Path, small: Any) -> None:
    document = make_document(parameters=[MU], unbinned=[channel(small)], binned=[binned(small)])
    both = Workspace(document, folder=folder).likelihood(open_ratio=lambda _: TableRatio(small))
    assert both.parameter_names == ("mu",)
    direct = small.likelihood(1.0), binned(small)
    for mu in (0.0, 0.4, 3.0):
        expected = sum(t.twice_nll(mu) - t.twice_nll(1.0) for t in direct)
        assert both.twice_nll(mu) - both.twice_nll(1.0) == pytest.approx(expected, abs=1e-8)


def test_free_normalisation_of_an_unbinned_sample(folder: Path, small: Any) -> None:
    document = make_document(parameters=[MU, Parameter("t0", 1.0, 0.5, 1.5)], unbinned=[channel(small)])
    document["unbinned_channels"][0]["samples"][3]["modifiers"].append({"type": "normfactor", "name": "t0", "data": None})
    likelihood = Workspace(document, folder=folder).likelihood(open_ratio=lambda _: TableRatio(small))
    assert likelihood.parameter_names == ("mu", "t0")
    fit = likelihood.fit()
    assert fit.parameters["t0"] == pytest.approx(1.0, abs=1e-5)
    assert likelihood.twice_nll([1.0, 1.0]) == pytest.approx(fit.twice_nll, abs=1e-8)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda d: d.update(channel=[]), "did you mean 'channels'"),
        (lambda d: d.update(version="2.0"), "version"),
        (lambda d: d.pop("unbinned_channels"), "no channels"),
        (lambda d: d.update(measurements=[]), "measurements"),
        (lambda d: d["measurements"][0].update(config={}), "measurements"),
        (lambda d: d["measurements"][0]["config"].update(parameters=[]), r"undefined parameters \['mu'\]"),
        (lambda d: d["measurements"][0]["config"]["parameters"][0].update(inits=[]), "parameter 'mu'"),
        (lambda d: d["unbinned_channels"][0].pop("reference"), "reference: Field required"),
        (lambda d: d["unbinned_channels"][0].pop("observation"), "observation: Field required"),
        (lambda d: d["unbinned_channels"][0].update(extra=1), "extra"),
        (lambda d: d["unbinned_channels"][0]["samples"][0].update({"yield": -1.0}), "samples.0.yield"),
        (lambda d: d["unbinned_channels"][0]["samples"][0].update(name="qqZZ"), "different names"),
        (lambda d: d["unbinned_channels"][0]["samples"][0]["modifiers"][0].update(type="histosys"), "'morphing', 'normfactor'"),
        (lambda d: d["unbinned_channels"][0]["samples"][0]["modifiers"][0]["data"].update(coefficient="exp(mu)"), "only function"),
        (
            lambda d: d["unbinned_channels"][0]["samples"][0]["modifiers"][0]["data"].update(coefficient="__import__('os')"),
            "at position 11",
        ),
    ],
)
def test_bad_documents_say_where(folder: Path, small: Any, edit: Callable[[Any], Any], match: str) -> None:
    document = copy.deepcopy(make_document(parameters=[MU], unbinned=[channel(small)]))
    edit(document)
    with pytest.raises(SchemaError, match=match):
        Workspace(document, folder=folder).likelihood(open_ratio=lambda _: TableRatio(small))


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda d: d["channels"][0]["samples"][0]["modifiers"][0].update(data={}), "morphing modifier"),
        (lambda d: d["channels"][0]["samples"][0]["modifiers"][0]["data"].update(coefficient="mu +"), "the end"),
        (lambda d: d["channels"][0]["samples"][0]["modifiers"][0].update(name="coefficient_qqZZ"), "one expression per name"),
        (lambda d: d["channels"][0]["samples"][0].update(data=[1.0]), "numbers of bins"),
        (lambda d: d["channels"][0]["samples"][1]["modifiers"][0].update(type="nonsense"), "pyhf"),
        (lambda d: d["measurements"][0]["config"].update(parameters=[]), r"undefined parameters \['mu'\]"),
        (lambda d: d.update(observations=[]), "no data of channel 'm4l'"),
        (lambda d: d["observations"][0].update(name="other"), "no data of channel 'm4l'"),
    ],
)
def test_bad_binned_documents_say_where(small: Any, edit: Callable[[Any], Any], match: str) -> None:
    document = copy.deepcopy(make_document(parameters=[MU], binned=[binned(small)]))
    edit(document)
    with pytest.raises(SchemaError, match=match):
        Workspace(document).likelihood()


@pytest.mark.parametrize(
    ("attribute", "value", "match"),
    [("numerators", PROCESSES[:3], "outputs"), ("features", ("x", "z"), "observables"), ("reference", "other", "reference")],
)
def test_a_model_of_another_workspace_is_refused(folder: Path, small: Any, attribute: str, value: Any, match: str) -> None:
    ratio = TableRatio(small)
    setattr(ratio, attribute, value)
    workspace = Workspace(make_document(parameters=[MU], unbinned=[channel(small)]), folder=folder)
    with pytest.raises(ArtifactMismatchError, match=match):
        workspace.likelihood(open_ratio=lambda _: ratio)


def test_missing_files(tmp_path: Path, small: Any) -> None:
    workspace = Workspace(make_document(parameters=[MU], unbinned=[channel(small)]), folder=tmp_path)
    with pytest.raises(InputFileError, match=r"asimov\.parquet"):
        workspace.likelihood(open_ratio=lambda _: TableRatio(small))
    with pytest.raises(InputFileError, match=r"ratio\.onnx"):
        workspace.likelihood()
    with pytest.raises(InputFileError, match=r"none\.json"):
        Workspace.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(SchemaError, match="valid JSON"):
        Workspace.load(tmp_path / "bad.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(SchemaError, match="list"):
        Workspace.load(tmp_path / "list.json")
    (tmp_path / "asimov.parquet").write_text("not parquet")
    with pytest.raises(InputFileError, match="a parquet file"):
        workspace.likelihood(open_ratio=lambda _: TableRatio(small))


def test_observation_round_trip_and_errors(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    write_observation(path, {"m4l": [230.0, np.nan], "n_jets": [0, 2]}, weights=[0.5, 1.5])
    observables, weights = read_observation(path, ["n_jets", "m4l"])
    assert list(observables) == ["n_jets", "m4l"]
    np.testing.assert_array_equal(observables["m4l"], [230.0, np.nan])
    np.testing.assert_array_equal(weights, [0.5, 1.5])
    np.testing.assert_array_equal(read_observation(path, ["m4l"], weight=None)[1], [1.0, 1.0])
    with pytest.raises(SchemaError, match="did you mean 'm4l'"):
        read_observation(path, ["m_4l"])
    with pytest.raises(ValueError, match=r"\(n_events,\) each"):
        write_observation(path, {"m4l": [230.0], "n_jets": [0, 2]})


def test_nan_in_the_observation_is_refused_by_the_likelihood(tmp_path: Path, small: Any) -> None:
    class NanRatio(TableRatio):
        def __call__(self, x: Any) -> Any:
            logs = super().__call__(x)
            logs[7, 1] = np.nan
            return logs

    write_observation(tmp_path / "asimov.parquet", {"x": small.x}, weights=small.asimov(1.0))
    workspace = Workspace(make_document(parameters=[MU], unbinned=[channel(small)]), folder=tmp_path)
    with pytest.raises(PhysicsDomainError, match="event 7"):
        workspace.likelihood(open_ratio=lambda _: NanRatio(small))


def test_measurement_by_name(small: Any) -> None:
    document = make_document(parameters=[MU], binned=[binned(small)], measurement="first")
    second = copy.deepcopy(document["measurements"][0])
    second["name"] = "second"
    second["config"]["parameters"][0]["bounds"] = [[0.0, 2.0]]
    document["measurements"].append(second)
    workspace = Workspace(document)
    assert workspace.likelihood(measurement="second").parameters[0].high == 2.0
    assert workspace.likelihood().parameters[0].high == 6.0
    with pytest.raises(SchemaError, match="'third'"):
        workspace.likelihood(measurement="third")

"""A workspace whose density ratios are a real ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exports import write_onnx
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.errors import SchemaError
from toolkit.likelihood import Parameter, UnbinnedLikelihood, Workspace, make_document, write_observation
from toolkit.likelihood.workspace_schema import parse_channel


class Ratios(torch.nn.Module):
    """ln p_j / p_ref of two exponentials exp(-x) and 2 exp(-2 x) against the uniform density, and a shift by y."""

    def forward(self, x: Any) -> Any:
        a, b = x[:, 0:1], x[:, 1:2]
        return torch.cat([-a + 0.1 * b, np.log(2.0) - 2.0 * a], dim=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("onnx")
    rng = np.random.default_rng(3)
    x, y = rng.exponential(1.0, 500), rng.normal(0.0, 0.5, 500)
    (tmp_path / "models").mkdir()
    (tmp_path / "workspace").mkdir()
    write_onnx(
        Ratios(),
        tmp_path / "models" / "ratio.onnx",
        features=[Feature("x", "GeV", 0.0, 10.0), Feature("y", "", -3.0, 3.0)],
        numerators=("slow", "fast"),
        reference="flat",
        estimator="closed_form",
        reference_rows=np.stack([x, y], axis=1),
    )
    write_observation(tmp_path / "workspace" / "data.parquet", {"y": y, "x": x})
    return tmp_path


def document(observables: tuple[str, ...], file: str = "data.parquet") -> Any:
    samples = [
        {"name": "slow", "yield": 400.0, "output": "slow", "modifiers": [{"type": "morphing", "data": {"coefficient": "mu"}}]},
        {"name": "fast", "yield": 100.0, "output": "fast"},
    ]
    raw = {
        "name": "sr",
        "observables": observables,
        "reference": "flat",
        "model": "../models/ratio.onnx",
        "samples": samples,
        "observation": {"file": file, "weight": None},
    }
    return make_document(parameters=[Parameter("mu", 1.0, 0.0, 3.0)], unbinned=[parse_channel(raw, where="test")])


def test_likelihood_of_the_file_is_that_of_the_formula(folder: Path) -> None:
    Workspace(document(("y", "x"))).save(folder / "workspace" / "sr.json")
    likelihood = Workspace.load(folder / "workspace" / "sr.json").likelihood()
    rng = np.random.default_rng(3)
    x, y = rng.exponential(1.0, 500), rng.normal(0.0, 0.5, 500)
    direct = UnbinnedLikelihood(
        log_ratios=np.stack([-x + 0.1 * y, np.log(2.0) - 2.0 * x], axis=1),
        weights=np.ones(500),
        yields=[400.0, 100.0],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 3.0)},
    )
    for mu in (0.0, 0.5, 2.0):
        assert likelihood.twice_nll(mu) - likelihood.twice_nll(1.0) == pytest.approx(direct.twice_nll(mu) - direct.twice_nll(1.0), abs=1e-3)
    assert likelihood.fit().parameters["mu"] == pytest.approx(direct.fit().parameters["mu"], abs=1e-5)


def test_missing_observable_is_named(folder: Path) -> None:
    write_observation(folder / "workspace" / "other.parquet", {"y": [0.1]})
    with pytest.raises(SchemaError, match="no column 'x'"):
        Workspace(document(("y", "x"), "other.parquet"), folder=folder / "workspace").likelihood()

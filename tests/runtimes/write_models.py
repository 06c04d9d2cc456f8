"""Write one ONNX file of every kind that the toolkit exports, with its reference rows: python -m tests.runtimes.write_models FOLDER."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import lightgbm
import numpy as np
import torch

from exports import Feature, write_onnx
from tests.physics import gaussian_laws
from tests.unit.exports import networks
from tests.unit.ratios import test_architectures as layers
from tests.unit.ratios.toy import MODEL, toy
from toolkit.config import RatioConfig
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.ratios.architectures import MLP, DeepSet, Recurrent
from toolkit.ratios.curves import fit_mixture_curves
from toolkit.ratios.curves_module import CalibratedRatio
from toolkit.ratios.estimators import Alice, QuasiParametric, Sally
from toolkit.ratios.estimators.trees import Trees, TreeSum, read_forest
from toolkit.ratios.schedules import TrainingSettings


def write_models(folder: Path) -> None:
    """Write the files: the demo's form, an ensemble with log ratios from -15 to 15, architectures, estimators, trees, curves."""
    folder.mkdir(parents=True, exist_ok=True)
    _mixture(folder)
    _ensemble(folder)
    _architectures(folder)
    _estimators(folder)
    _trees(folder)
    _curves(folder)


def _columns(names: tuple[str, ...], rows: np.ndarray) -> list[Feature]:
    return [Feature(name, "", float(column.min()), float(column.max())) for name, column in zip(names, rows.T, strict=True)]


def _mixture(folder: Path) -> None:
    """Write a trained and calibrated ensemble, as the stage `export` does."""
    events, names = toy(4000, seed=1), ("x", "y")
    config = RatioConfig(
        features=names, hidden=(16,), epochs=8, composition_epochs=15, learning_rate=1e-2, batch_size=256, seed=3, fold_beam_axis=False
    )
    with tempfile.TemporaryDirectory() as scratch:
        trained = fit_ratios(events, config=config, model=MODEL, folder=Path(scratch))
    rows = feature_matrix(events.observables, trained.features)
    write_onnx(
        trained.ensemble,
        folder / "mixture.onnx",
        features=_columns(names, rows),
        numerators=trained.numerators,
        reference=trained.reference,
        estimator="mixture",
        reference_rows=rows,
        ensemble_size=len(trained.history),
        reference_mixture=trained.ensemble.mixture.reference_fractions(),
    )


def _ensemble(folder: Path) -> None:
    rows = networks.make_events(3000, seed=1)
    torch.manual_seed(3)
    ensemble = networks.Ensemble(rows, n_members=2)
    ensemble.stretch(rows, low=-15.0, high=15.0)
    described = {"numerators": networks.NUMERATORS, "reference": "mixture", "estimator": "multiclass"}
    write_onnx(ensemble, folder / "ensemble.onnx", features=networks.FEATURES, reference_rows=rows, ensemble_size=2, **described)


def _architectures(folder: Path) -> None:
    columns = layers.table(500, seed=1)
    rows = layers.matrix(columns).numpy()
    described = {"features": _columns(layers.FEATURES, rows), "numerators": ("a", "b"), "reference": "r", "estimator": "t"}
    residual = MLP((16, 16, 16), residual=True, activation="tanh")
    for name, architecture in {"residual": residual, "deep_set": DeepSet(layers.GROUPS), "recurrent": Recurrent(layers.GROUPS)}.items():
        write_onnx(layers.built(architecture, columns), folder / f"{name}.onnx", reference_rows=rows, **described)


def _estimators(folder: Path) -> None:
    events, names = gaussian_laws.simulate(2000, seed=3), ("x", "y")
    rows = np.stack([events.observables[name][:500] for name in names], axis=1)
    quick = {"architecture": MLP((6,)), "training": TrainingSettings(epochs=2, batch_size=256, learning_rate=1e-2, seed=4)}
    for estimator in (Alice(**quick), QuasiParametric(**quick), Sally(**quick)):
        model = estimator.fit(events, features=names, hypotheses=gaussian_laws.hypotheses(events))
        model.to_onnx(folder / f"{estimator.name}.onnx", writer=write_onnx, reference_rows=rows)


def _trees(folder: Path) -> None:
    """Write a forest of two outputs, in the operators of the estimator bit."""
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(2000, 2)).astype(np.float32).astype(np.float64)
    settings = {"objective": "l2", "num_leaves": 4, "deterministic": True, "num_threads": 1, "verbosity": -1}
    forest = []
    for values in (np.sin(rows[:, 0]), rows[:, 0] * rows[:, 1]):
        data = lightgbm.Dataset(rows, values, params={"verbosity": -1})
        forest += read_forest(lightgbm.train(settings, data, num_boost_round=12), n_outputs=1, rounds=12)
    described = {"numerators": ("a", "b"), "reference": "r", "estimator": "test"}
    write_onnx(_SideBySide(forest), folder / "trees.onnx", features=_columns(("x", "y"), rows), reference_rows=rows[:500], **described)


class _SideBySide(torch.nn.Module):
    """The sums of several forests."""

    def __init__(self, forest: list[Trees]) -> None:
        super().__init__()
        self.sums = torch.nn.ModuleList([TreeSum(trees) for trees in forest])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([tree_sum(x) for tree_sum in self.sums], dim=1)


class _Logits(torch.nn.Module):
    """Three log ratios that are linear in two columns."""

    matrix: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0]], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.matrix


def _curves(folder: Path) -> None:
    """Write a network behind calibration curves."""
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(4000, 2))
    network, names = _Logits(), ("S", "SBI", "qq")
    raw = rows @ network.matrix.numpy()
    weights = np.exp(raw) * generator.uniform(0.5, 1.5, size=raw.shape)
    curves = fit_mixture_curves(raw, weights=weights, processes=names, reference=np.array([0.2, 0.3, 0.5]))
    described = {"numerators": names, "reference": "mixture", "estimator": "test"}
    write_onnx(
        CalibratedRatio(network, curves), folder / "curves.onnx", features=_columns(("a", "b"), rows), reference_rows=rows, **described
    )


if __name__ == "__main__":
    write_models(Path(sys.argv[1]))

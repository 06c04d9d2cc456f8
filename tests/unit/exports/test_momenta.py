"""Events that travel with a C++ project: every number can be made from the momenta beside it."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from exports import Feature, write_onnx
from exports.momenta import momenta_document
from toolkit.kinematics import compute_observables, pair_leptons, take_quadruplet
from toolkit.likelihood import OnnxRatio

COLUMNS = ("m4l", "cos_theta_star", "n_jets", "m_jj_filled", "has_m_jj")


def ratio(folder: Path, columns: tuple[str, ...], **more: object) -> OnnxRatio:
    network = torch.nn.Linear(len(columns), 2).double()
    named = {"numerators": ("S", "B"), "reference": "B", "estimator": "exact", "features": [Feature(n, "", -1e4, 1e4) for n in columns]}
    write_onnx(network, folder / "m.onnx", reference_rows=np.ones((3, len(columns))), **named, **more)
    return OnnxRatio(folder / "m.onnx")


@pytest.mark.parametrize("z1", ["leading", "harder"])
def test_the_numbers_follow_from_the_momenta(z1: str, tmp_path: Path) -> None:
    model = ratio(tmp_path, COLUMNS, fills={"m_jj": -5.0, "pt_j1": 0.0}, z1=z1)
    assert (dict(model.metadata.fills), model.metadata.z1) == ({"m_jj": -5.0}, z1)
    document = momenta_document(model, n_events=60)
    assert document is not None
    for leptons, jets, row, log_ratio in zip(*(document[k] for k in ("leptons", "jets", "observables", "log_ratio")), strict=True):
        own = ak.zip({n: [[lepton[k] for lepton in leptons]] for k, n in enumerate(("pdg_id", "px", "py", "pz", "E"))})
        own["pdg_id"] = ak.values_astype(own["pdg_id"], np.int64)
        chosen = take_quadruplet(own, pair_leptons(own, z1=z1))  # type: ignore[arg-type]
        plain = compute_observables(*(chosen[r] for r in ("a1", "b1", "a2", "b2")), names=["m4l", "cos_theta_star"])
        mass = None
        if len(jets) >= 2:
            one, two = sorted(np.array(jets), key=lambda p: -(p[0] ** 2 + p[1] ** 2))[:2]
            total = one + two
            mass = float(np.sqrt(total[3] ** 2 - total[:3] @ total[:3]))
        expected = [plain["m4l"][0], plain["cos_theta_star"][0], len(jets), *((-5.0, 0.0) if mass is None else (mass, 1.0))]
        assert row == pytest.approx(expected, rel=1e-9)
        assert log_ratio == pytest.approx(model([row])[0].tolist(), abs=1e-4)
    assert {len(jets) for jets in document["jets"]} == {0, 1, 2, 3}


@pytest.mark.parametrize("columns", [("m4l", "met"), ("m4l", "own_number"), ("m4l", "m_jj")])
def test_columns_from_elsewhere_or_missing_have_none(columns: tuple[str, ...], tmp_path: Path) -> None:
    assert momenta_document(ratio(tmp_path, columns)) is None


def test_events_have_matrix_elements(tmp_path: Path) -> None:
    document = momenta_document(ratio(tmp_path, ("d_me", "f_9", "m4l")), n_events=40)
    assert document is not None
    assert len(document["observables"]) == len(document["leptons"]) == 40
    lepton = np.array(document["leptons"])
    np.testing.assert_allclose(lepton[:, :, 4] ** 2, np.sum(lepton[:, :, 1:4] ** 2, axis=2), rtol=1e-9)
    total = lepton[:, :, 1:].sum(axis=1)
    mass = np.sqrt(total[:, 3] ** 2 - np.sum(total[:, :3] ** 2, axis=1))
    np.testing.assert_allclose([row[2] for row in document["observables"]], mass, rtol=1e-9)
    assert mass.min() > 190.0

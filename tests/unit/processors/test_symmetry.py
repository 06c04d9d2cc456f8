"""The features of a config can be folded, or the reason why not is said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from processors.inputs import inspect_inputs
from processors.symmetry import check_symmetry
from toolkit.errors import SchemaError
from toolkit.kinematics import OBSERVABLES
from toolkit.kinematics.registry import forget

MODULE = """
from toolkit.kinematics import FourLeptonEvent, observable
from toolkit.kinematics.fourvectors import pseudorapidity

@observable("eta_z1", unit="", label="eta", range=(-5.0, 5.0)DECLARED)
def eta_z1(event: FourLeptonEvent):
    return pseudorapidity(event.z1)
"""
BDT = {"branch": "bdt", "range": [-1, 1]}


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    before = set(OBSERVABLES)
    yield
    forget(set(OBSERVABLES) - before)


@pytest.fixture
def make(tmp_path: Path, ntuples: ModuleType) -> Any:
    ntuples.write_nano(tmp_path / "signal.root", ntuples.make_events(20, seed=3))

    def build(features: list[str], *, module: str | None = None, **sections: Any) -> Any:
        if module is not None:
            (tmp_path / "mine.py").write_text(MODULE.replace("DECLARED", module))
            sections["modules"] = ["mine.py"]
        ratios = {"features": features, **sections.pop("ratios", {})}
        return ntuples.make_config(tmp_path, [ntuples.signal_sample("signal.root")], ratios=ratios, **sections)

    return build


@pytest.mark.parametrize(
    ("features", "sections", "message"),
    [
        (["m4l", "bdt"], {"columns": {"bdt": BDT}}, r"(?s)feature bdt.*columns\.bdt\.beam_swap"),
        (["m4l", "eta_z1"], {"module": ""}, r"(?s)feature eta_z1.*beam_swap"),
        (["m4l", "eta_z1"], {"module": ', beam_swap="even"'}, r"(?s)beam_swap of observable eta_z1.*'even'.*off by"),
        (["m4l", "vbf_cos_theta_1"], {}, "(?s)feature vbf_cos_theta_1.*vbf_cos_theta_2"),
        (["m4l", "eta_j1_filled"], {"fills": {"eta_j1": -5.0}}, r"(?s)fills\.eta_j1.*fill with 0"),
        (["m4l", "q2_v1_filled", "q2_v2_filled"], {"fills": {"q2_v1": 0.0, "q2_v2": 1.0}}, r"(?s)fills\.q2_v1"),
    ],
)
def test_features_that_cannot_be_folded_are_refused_before_any_work(features: list[str], sections: Any, message: str, make: Any) -> None:
    with pytest.raises(SchemaError, match=message):
        inspect_inputs(make(features, **sections))
    check_symmetry(make(features, ratios={"fold_beam_axis": False}, **sections))


@pytest.mark.parametrize(
    ("features", "sections"),
    [
        (["m4l", "bdt"], {"columns": {"bdt": {**BDT, "beam_swap": "odd"}}}),
        (["m4l", "met"], {"columns": {"met": {"branch": "MET_pt"}}}),
        (["m4l", "eta_z1"], {"module": ', beam_swap="odd"'}),
        (["m4l", "eta_j1_filled", "has_eta_j1"], {"fills": {"eta_j1": 0.0}}),
        (["m4l", "q2_v1_filled", "q2_v2_filled"], {"fills": {"q2_v1": 1.0, "q2_v2": 1.0}}),
    ],
)
def test_features_that_say_what_they_become_are_accepted(features: list[str], sections: Any, make: Any) -> None:
    check_symmetry(make(features, **sections))

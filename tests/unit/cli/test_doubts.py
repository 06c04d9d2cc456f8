"""What `h4l validate` finds allowed and odd."""

from __future__ import annotations

from typing import Any

from toolkit.cli.doubts import doubts
from toolkit.config import Config

DOCUMENT: dict[str, Any] = {"luminosity_ifb": 1.0, "samples": [{"name": "qqZZ", "files": ["x.root"]}]}


def _config(edges: list[Any], observable: Any = "m4l") -> Config:
    return Config.model_validate({**DOCUMENT, "histograms": {"mass": {"observable": observable, "edges": edges}}})


def test_a_histogram_that_ends_inside_the_selection() -> None:
    (sentence,) = doubts(_config([220, 400, 1000]))
    assert "histograms.mass: edges of m4l span [220, 1000] GeV, the selection [220, 2000]" in sentence
    (sentence,) = doubts(_config([[0.0, 1.0], [60, 115]], ["cos_theta_1", "m_z2"]))
    assert "edges of m_z2 span [60, 115] GeV, the selection [50, 115]" in sentence


def test_what_covers_the_selection_or_has_no_window_is_in_order() -> None:
    assert doubts(Config.model_validate(DOCUMENT)) == ()
    assert doubts(_config([200, 400, 2001])) == ()
    assert doubts(_config([0, 100], "pt4l")) == ()


def test_variations_that_the_unbinned_channel_sees_in_one_histogram_only() -> None:
    sample = {"name": "ggF_SBI", "files": ["x.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    weights = {
        "scale": {"kind": "pair", "vector": "LHEScaleWeight", "up": 0, "down": 1},
        "pdf": {"kind": "members", "vector": "LHEPdfWeight", "first": 0, "last": 9, "combine": "replicas"},
    }
    objects = {"jet_scale": {"object": "jet", "kind": "scale", "size": 0.03}}

    def found(shape: str, **likelihood: Any) -> tuple[str, ...]:
        systematics = {"objects": objects, "weights": weights, "ratios": {"shape": shape}}
        return doubts(Config.model_validate({**DOCUMENT, "samples": [sample], "systematics": systematics, "likelihood": likelihood}))

    (sentence,) = found("histogram")
    assert "of jet_scale, scale, pdf the unbinned channel sees no more than the bins of m4l show, and not what they do to m_z1" in sentence
    (sentence,) = found("networks")
    assert "of pdf the unbinned channel" in sentence
    assert "jet_scale" not in sentence
    assert found("histogram", systematics=False) == ()

"""The morphing section: what each basis needs, carries and estimates, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from toolkit.config import Config, MorphingConfig
from toolkit.errors import SchemaError

SAMPLE = {"name": "EW_SBI1", "files": ["a.root"], "benchmarks": ["EW_B", "EW_SBI1", "EW_SBI10"]}


def test_the_default_is_that_of_gluon_fusion():
    section = MorphingConfig()
    assert section.benchmarks == section.carried == section.amplitudes == ("ggF_S", "ggF_SBI", "ggF_B")
    assert section.monomials_in("mu") == ("mu", "sqrt(mu)", "1")
    assert section.points_in("mu") == {"ggF_S": "mu", "ggF_SBI": 1.0, "ggF_B": 0.0}


def test_electroweak_production_carries_three_points():
    section = MorphingConfig(basis="EW")
    assert section.carried == ("EW_B", "EW_SBI1", "EW_SBI10")
    assert section.benchmarks == ("EW_S", "EW_SBI1", "EW_B")
    named = MorphingConfig(basis="EW", points={"low": 0, "one": 1, "ten": 10}, signal="pure")
    assert named.benchmarks == ("pure", "one", "low")
    four = MorphingConfig(basis="EW", points={"S": "mu", "B": 0, "SBI": 1, "SBI10": 10}, signal="S")
    assert four.benchmarks == ("S", "SBI", "B")
    without_one = MorphingConfig(basis="EW", points={"a": 0.5, "b": 2, "c": 10})
    assert without_one.benchmarks == ("EW_S", "EW_SBI", "EW_B")


def test_kappa_has_more_than_two_amplitudes():
    section = MorphingConfig(basis="kappa")
    assert not section.two_amplitudes
    assert section.monomials_in("kappa") == ("1", "kappa", "kappa**2", "kappa**3", "kappa**4")
    assert section.benchmarks == section.carried == ("kappa_0", "kappa_0p8", "kappa_1", "kappa_1p2", "kappa_1p5")
    with pytest.raises(SchemaError, match="a signal amplitude, a background amplitude"):
        _ = section.amplitudes


@pytest.mark.parametrize(
    ("monomials", "two"),
    [
        (["kappa**4", "kappa**2", "1"], True),
        (["1", "mu", "sqrt(mu)"], True),
        (["1", "c", "c^2"], True),
        (["c*c", "c", "1"], True),
        (["1", "c", "c**3"], False),
        (["1", "c", "c**2", "c**3"], False),
        (["c", "c**2"], False),
    ],
)
def test_two_amplitudes_are_recognised_by_their_powers(monomials, two):
    section = MorphingConfig(basis="own", monomials=monomials, points={"a": 0, "b": 1, "c": 2, "d": 3})
    assert section.two_amplitudes is two


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"basis": "EWK"}, "ggF"),
        ({"points": {"a": 1}}, "basis: own"),
        ({"monomials": ["mu"]}, "own monomials"),
        ({"basis": "own", "points": {"a": 1}}, "needs `monomials`"),
        ({"basis": "own", "monomials": ["mu", "1"]}, "needs `monomials`"),
        ({"basis": "own", "monomials": ["exp(mu)", "1"], "points": {"a": 1}}, "power of one parameter"),
        ({"basis": "own", "monomials": ["a*b", "1"], "points": {"a": 1}}, "power of one parameter"),
        ({"signal": "ggF_B"}, "different names"),
        ({"basis": "EW", "points": [1, 2]}, "dictionary"),
    ],
)
def test_wrong_sections(section, text):
    with pytest.raises(ValidationError, match=text):
        MorphingConfig(**section)


def config(morphing, **more):
    return Config.model_validate({"luminosity_ifb": 140.0, "samples": [SAMPLE], "morphing": morphing} | more)


def test_samples_must_carry_the_points():
    found = config({"basis": "EW"})
    assert found.densities == ("EW_S", "EW_SBI1", "EW_B")
    found.require_interference()
    with pytest.raises(ValidationError, match="lack \\['EW_SBI5'\\]"):
        config({"basis": "EW", "points": {"EW_B": 0, "EW_SBI1": 1, "EW_SBI5": 5}})


def test_the_parameter_of_interest_is_that_of_the_monomials():
    own = {"basis": "own", "monomials": ["kappa**4", "kappa**2", "1"], "points": {"EW_B": 0, "EW_SBI1": 1, "EW_SBI10": 1.778279}}
    with pytest.raises(ValidationError, match="'kappa'"):
        config(own)
    assert config(own, parameter={"name": "kappa", "range": [0, 2]}).densities == ("S", "EW_SBI1", "EW_B")
    content = {"basis": "EW", "points": {"EW_B": 0, "EW_SBI1": 1, "EW_SBI10": "mu + 2*nu"}}
    with pytest.raises(ValidationError, match="'nu'"):
        config(content)


def test_a_measurement_needs_two_amplitudes_and_weights_of_all_benchmarks():
    points = {"EW_B": 0, "EW_SBI1": 1, "EW_SBI10": 1.78, "x": 0.5, "y": 1.5}
    many = {**SAMPLE, "benchmarks": list(points)}
    kappa = config({"basis": "kappa", "points": points}, samples=[many], parameter={"name": "kappa"})
    with pytest.raises(SchemaError, match="a signal amplitude, a background amplitude"):
        kappa.require_interference()
    bare = config({"basis": "EW"}, samples=[{"name": "EW_B", "files": ["b.root"]}])
    with pytest.raises(SchemaError, match=r"no events of EW_SBI1, EW_SBI10[\s\S]*weights of all"):
        bare.require_interference()
    config({"basis": "EW"}, samples=[SAMPLE, {"name": "EW_B", "files": ["b.root"]}]).require_interference()

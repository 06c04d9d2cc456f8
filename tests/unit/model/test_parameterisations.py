"""Signal strengths of every parameterisation against the couplings."""

from __future__ import annotations

import pytest

from toolkit.errors import SchemaError
from toolkit.expressions import Expression
from toolkit.model import PARAMETERISATIONS, parameterisation

FOUR = ("mu_ggF", "mu_EW", "mu_ggF_on", "mu_EW_on")


def strengths(name: str, at: dict[str, float]) -> dict[str, float]:
    """Evaluate all strengths: those with an expression, and those that stay."""
    made = parameterisation(name).on(FOUR)
    return {n: at[n] for n in FOUR if n in at} | {n: Expression.parse(text).value(at) for n, text in made.express}


@pytest.mark.parametrize(("kg", "kv", "gamma"), [(1.0, 1.0, 1.0), (1.2, 0.9, 1.7), (0.8, 1.1, 0.6)])
def test_the_width_follows_from_the_couplings(kg: float, kv: float, gamma: float) -> None:
    """Same couplings on and off shell: on-shell rates fall with the width, off-shell rates do not know it."""
    on = {"mu_ggF_on": kg**2 * kv**2 / gamma, "mu_EW_on": kv**4 / gamma}
    off = {"mu_ggF": kg**2 * kv**2, "mu_EW": kv**4}
    assert strengths("width", {**on, "width": gamma}) == pytest.approx({**off, **on})
    if gamma == 1.0:
        assert strengths("kappa", {"kappa_g": kg, "kappa_V": kv}) == pytest.approx({**off, **on})


def test_ratios_of_couplings() -> None:
    """Width of the Standard Model; couplings run between on and off shell by R_gg and R_VV."""
    kg, kv, r_gg, r_vv = 1.1, 0.95, 1.3, 0.8
    on = {"mu_ggF_on": kg**2 * kv**2, "mu_EW_on": kv**4}
    both = {"mu_ggF": kg**2 * r_gg * kv**2 * r_vv, "mu_EW": (kv**2 * r_vv) ** 2}
    assert strengths("R_gg_R_VV", {**on, "R_gg": r_gg, "R_VV": r_vv}) == pytest.approx({**both, **on})
    for one, other, value in (("R_gg", "R_VV", r_gg), ("R_VV", "R_gg", r_vv)):
        alone = strengths(one, {**on, one: value})
        assert alone == pytest.approx(strengths("R_gg_R_VV", {**on, one: value, other: 1.0}))


def test_every_parameterisation_is_the_standard_model_at_its_truth() -> None:
    for name, made in PARAMETERISATIONS.items():
        at = {p.name: p.truth for p in made.parameters} | dict.fromkeys(FOUR, 1.0)
        assert strengths(name, at) == pytest.approx(dict.fromkeys(FOUR, 1.0)), name


def test_only_what_is_there_counts() -> None:
    alone = parameterisation("R_gg_R_VV").on(["mu_ggF", "mu_ggF_on", "t0"])
    assert (alone.express, [p.name for p in alone.parameters]) == ((("mu_ggF", "R_gg * R_VV * mu_ggF_on"),), ["R_gg", "R_VV"])
    common = parameterisation("strength").on(["mu_ggF", "mu_EW", "mu_on"])
    assert dict(common.express) == {"mu_ggF": "mu_off", "mu_EW": "mu_off", "mu_on": "mu_on_shell"}
    assert parameterisation("production").on(["mu_EW", "t0"]).interest == ("mu_EW",)
    for name, present, words in (
        ("width", ["mu_ggF"], "mu_ggF_on"),
        ("width", ["mu_ggF_on"], "at least one of"),
        ("kappa", ["mu_ggF", "mu_on"], "one strength mu_on"),
        ("Gamma", [], "parameterisation"),
    ):
        with pytest.raises(SchemaError, match=words):
            parameterisation(name).on(present)

"""What signal strengths mean: parameterisations of the four strengths of Higgs boson production in the parameters of a measurement.

With couplings in units of those of the Standard Model, mu_ggF = kappa_g^2 kappa_V^2 and mu_EW = kappa_V^4 off shell, and on shell the same
with the couplings there, times Gamma_SM / Gamma_H. So Gamma_H / Gamma_SM = mu_off / mu_on if couplings are the same on and off shell; with
the width of the Standard Model R_gg and R_VV are kappa_g^2 and kappa_V^2 off over on shell (docs/method.md).

What to use when: `width` for Gamma_H, `R_gg` or `R_VV` for the running of one coupling with that of the other fixed, `R_gg_R_VV` for both
at once, `production` for the strengths themselves, `strength` for one off and one on shell, `kappa` for couplings that do not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.expressions.substitution import substitute
from toolkit.model.parameters import ModelParameter

STRENGTHS = ("mu_ggF", "mu_EW", "mu_ggF_on", "mu_EW_on")
"""Signal strengths: gluon fusion and electroweak production off shell, and both on shell."""
SYMBOLS = {
    "mu_ggF": r"\mu_\mathrm{ggF}",
    "mu_EW": r"\mu_\mathrm{EW}",
    "mu_ggF_on": r"\mu_\mathrm{ggF}^\mathrm{on}",
    "mu_EW_on": r"\mu_\mathrm{EW}^\mathrm{on}",
    "mu_on": r"\mu_\mathrm{on}",
}
"""Symbols of the strengths in plots, in TeX."""
ON_SHELL = "mu_on"
"""One strength of both production modes on shell, in the place of `mu_ggF_on` and `mu_EW_on`."""
GAMMA_SM_MEV = 4.1
"""Width of the Higgs boson of the Standard Model in MeV."""
WIDTH = "width"
"""The parameter Gamma_H / Gamma_SM."""


@dataclass(frozen=True)
class Parameterisation:
    """Signal strengths as functions of the parameters of a measurement.

    Attributes:
        name: Its name.
        parameters: The parameters that replace strengths, those of interest among them.
        express: (strength, expression) pairs; strengths without one stay parameters.
        interest: Strengths that are measured themselves.
    """

    name: str
    parameters: tuple[ModelParameter, ...] = ()
    express: tuple[tuple[str, str], ...] = ()
    interest: tuple[str, ...] = ()

    def on(self, names: Sequence[str]) -> Parameterisation:
        """Restrict it to the strengths that a likelihood has.

        Args:
            names: Parameters of the likelihood; `mu_on` stands for both strengths on shell.

        Returns:
            The parameterisation without expressions of absent strengths, and without parameters that nothing depends on.

        Raises:
            SchemaError: An expression needs a strength that is not there, the modes want different things of `mu_on`, or nothing of what
                would be measured is left.

        Examples:
            >>> parameterisation("width").on(["mu_ggF", "mu_on"]).express
            (('mu_ggF', 'width * mu_on'),)
        """
        common = ON_SHELL in names
        express = {strength: self._with_common(text) if common else text for strength, text in self.express}
        if common:
            express |= self._common(express)
        kept = {strength: text for strength, text in express.items() if strength in names}
        used = {n for text in kept.values() for n in Expression.parse(text).names}
        own = tuple(p for p in self.parameters if p.name in used)
        missing = sorted(used - {p.name for p in own} - (set(names) - set(kept)))
        what = f"parameterisation {self.name!r}"
        if missing:
            expected, remedy = f"the strengths {missing}, which its expressions use", "rename parameters of the parts, or add a part"
            raise SchemaError(what, got=f"parameters {list(names)}", expected=expected, remedy=remedy)
        interest = tuple(n for n in self.interest if n in names and n not in kept)
        if not interest and not any(p.kind == "interest" for p in own):
            wanted = [*(s for s, _ in self.express), *self.interest]
            expected = f"at least one of {wanted}"
            remedy = "rename parameters of the parts to these; `fits` alone needs `parameterisations: []`"
            raise SchemaError(what, got=f"parameters {list(names)}", expected=expected, remedy=remedy)
        return replace(self, parameters=own, express=tuple(kept.items()), interest=interest)

    def _with_common(self, text: str) -> str:
        return substitute(text, {"mu_ggF_on": ON_SHELL, "mu_EW_on": ON_SHELL})

    def _common(self, express: Mapping[str, str]) -> dict[str, str]:
        """Return the expression of the common strength on shell, which must be that of both modes."""
        found = {express[name] for name in ("mu_ggF_on", "mu_EW_on") if name in express}
        if len(found) > 1:
            what = f"parameterisation {self.name!r}"
            expected = "strengths of their own, mu_ggF_on and mu_EW_on: it gives them different expressions"
            remedy = "take width or R_gg, or split the channel"
            raise SchemaError(what, got=f"one strength {ON_SHELL} on shell", expected=expected, remedy=remedy)
        return dict.fromkeys((ON_SHELL,) if found else (), next(iter(found), ""))


def _positive(name: str, label: str, high: float) -> ModelParameter:
    return ModelParameter(name, range=(0.0, high), label=label)


_R_GG, _R_VV = _positive("R_gg", "R_{gg}", 6.0), _positive("R_VV", "R_{VV}", 3.0)
_KAPPAS = (_positive("kappa_g", r"\kappa_{g}", 3.0), _positive("kappa_V", r"\kappa_{V}", 2.0))
_GGF, _EW = "kappa_g**2 * kappa_V**2", "kappa_V**4"
PARAMETERISATIONS: dict[str, Parameterisation] = {
    p.name: p
    for p in (
        Parameterisation("production", interest=STRENGTHS),
        Parameterisation(
            "strength",
            (_positive("mu_off", r"\mu_\mathrm{off}", 6.0), _positive("mu_on_shell", r"\mu_\mathrm{on}", 3.0)),
            (("mu_ggF", "mu_off"), ("mu_EW", "mu_off"), ("mu_ggF_on", "mu_on_shell"), ("mu_EW_on", "mu_on_shell")),
        ),
        Parameterisation(
            "width",
            (_positive(WIDTH, r"\Gamma_{H} / \Gamma_\mathrm{SM}", 6.0),),
            (("mu_ggF", f"{WIDTH} * mu_ggF_on"), ("mu_EW", f"{WIDTH} * mu_EW_on")),
        ),
        Parameterisation("R_gg", (_R_GG,), (("mu_ggF", "R_gg * mu_ggF_on"), ("mu_EW", "mu_EW_on"))),
        Parameterisation("R_VV", (_R_VV,), (("mu_ggF", "R_VV * mu_ggF_on"), ("mu_EW", "R_VV**2 * mu_EW_on"))),
        Parameterisation("R_gg_R_VV", (_R_GG, _R_VV), (("mu_ggF", "R_gg * R_VV * mu_ggF_on"), ("mu_EW", "R_VV**2 * mu_EW_on"))),
        Parameterisation("kappa", _KAPPAS, (("mu_ggF", _GGF), ("mu_EW", _EW), ("mu_ggF_on", _GGF), ("mu_EW_on", _EW))),
    )
}
"""All of them by name. Widths and ratios leave the strengths on shell free; `R_gg` has R_VV = 1, and `R_VV` has R_gg = 1."""


def parameterisation(name: str) -> Parameterisation:
    """Return a parameterisation by name.

    Raises:
        SchemaError: There is none of this name.

    Examples:
        >>> parameterisation("R_gg_R_VV").express
        (('mu_ggF', 'R_gg * R_VV * mu_ggF_on'), ('mu_EW', 'R_VV**2 * mu_EW_on'))
    """
    if name not in PARAMETERISATIONS:
        expected = f"one of {sorted(PARAMETERISATIONS)}"
        raise SchemaError("parameterisation", got=repr(name), expected=expected, remedy="write your own expressions")
    return PARAMETERISATIONS[name]

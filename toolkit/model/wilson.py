"""Wilson coefficients of the Warsaw basis in the couplings of mass eigenstates, and what a limit says about the scale of new physics.

What to use when: `mass_eigenstate_couplings` gives expressions for `parameters` of a config (derived ones), for `express` of a fit, or for
the coefficients of amplitudes; `scale_limits` turns an interval of a coefficient into lower limits on Lambda.
"""

from __future__ import annotations

import math

from toolkit.errors import PhysicsDomainError

HIGGS_VEV_TEV = 0.24622
"""Vacuum expectation value of the Higgs field in TeV."""
SIN2_THETA_W = 0.2312
"""Square of the sine of the weak mixing angle."""


def mass_eigenstate_couplings(*, lambda_tev: float = 1.0, sin2_theta_w: float = SIN2_THETA_W) -> dict[str, str]:
    """Write the anomalous couplings of H to ZZ, Z gamma and gamma gamma as sums of Wilson coefficients.

    Args:
        lambda_tev: Scale of new physics in TeV, with which the coefficients are dimensionless.
        sin2_theta_w: Square of the sine of the weak mixing angle.

    Returns:
        Expressions of `cHB, cHW, cHWB` for the CP-even g2_ZZ, g2_Zg, g2_gg, and of `cHBtil, cHWtil, cHWBtil` for the CP-odd g4_ZZ, g4_Zg,
        g4_gg.

    Raises:
        PhysicsDomainError: The scale is not positive, or the angle is none.

    Notes:
        With s, c the sine and cosine of the angle, g_ZZ = -2 v^2/Lambda^2 (s^2 cHB + c^2 cHW + s c cHWB), g_Zg = -2 v^2/Lambda^2
        (s c (cHW - cHB) + (s^2 - c^2)/2 cHWB), g_gg = -2 v^2/Lambda^2 (c^2 cHB + s^2 cHW - s c cHWB).

    Examples:
        >>> mass_eigenstate_couplings(sin2_theta_w=0.5)["g2_Zg"]
        '-0.0606242884 * cHW + 0.0606242884 * cHB + 0 * cHWB'
    """
    if not lambda_tev > 0.0 or not 0.0 < sin2_theta_w < 1.0:
        got = f"Lambda = {lambda_tev} TeV, sin^2 theta_W = {sin2_theta_w}"
        raise PhysicsDomainError("Wilson coefficients", got=got, expected="a positive scale, and a number between 0 and 1")
    factor = -2.0 * (HIGGS_VEV_TEV / lambda_tev) ** 2
    s2 = sin2_theta_w
    c2, sc = 1.0 - s2, math.sqrt(s2 * (1.0 - s2))
    rows = {"ZZ": (c2, s2, sc), "Zg": (sc, -sc, 0.5 * (s2 - c2)), "gg": (s2, c2, -sc)}
    found = {}
    for order, tail in (("g2", ""), ("g4", "til")):
        names = (f"cHW{tail}", f"cHB{tail}", f"cHWB{tail}")
        for pair, numbers in rows.items():
            found[f"{order}_{pair}"] = _sum([factor * x for x in numbers], names)
    return found


def _sum(numbers: list[float], names: tuple[str, ...]) -> str:
    terms = [(f"{'-' if x < 0 else '+'}", f"{abs(x):.15g} * {name}") for x, name in zip(numbers, names, strict=True)]
    (sign, first), *rest = terms
    return ("-" if sign == "-" else "") + first + "".join(f" {s} {text}" for s, text in rest)


def scale_limits(low: float, high: float, *, lambda_tev: float = 1.0) -> dict[int, float]:
    """Turn an interval of a Wilson coefficient into lower limits on the scale of new physics.

    Args:
        low: Lower end of the interval of c, at the scale `lambda_tev`.
        high: Upper end.
        lambda_tev: The scale in TeV with which the coefficient was fitted: only c / Lambda^2 is measured.

    Returns:
        Lower limits on Lambda in TeV for c = +1 and c = -1; those whose sign the interval does not bound on the side of zero are left out.

    Examples:
        >>> scale_limits(-4.0, 0.25)
        {1: 2.0, -1: 0.5}
    """
    ends = ((1, high), (-1, -low))
    return {sign: lambda_tev / math.sqrt(end) for sign, end in ends if end > 0.0 and math.isfinite(end)}

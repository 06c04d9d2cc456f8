"""Ready-made morphing bases of the off-shell analyses."""

from __future__ import annotations

from toolkit.errors import SchemaError
from toolkit.model.bases import BASES
from toolkit.weights.morphing import Morphing


def basis(name: str) -> Morphing:
    """Build a ready-made morphing; see `parameterisations` for effective field theories and products of blocks.

    Args:
        name: `ggF`: parameter mu, benchmarks S (signal amplitude alone), SBI (mu = 1), B (mu = 0).
            `EW`: parameter mu, benchmarks B, SBI1, SBI10 at mu = 0, 1, 10.
            `kappa`: a coupling that enters production and decay, kappa^4 = mu, benchmarks at
            kappa = 0, 0.8, 1, 1.2, 1.5.

    Returns:
        The morphing; its coefficients are in the order of the benchmarks above.

    Raises:
        SchemaError: There is no basis of this name.

    Examples:
        >>> basis("ggF").coefficients(0.25).round(12)  # mu - sqrt(mu), sqrt(mu), 1 - sqrt(mu)
        array([-0.25,  0.5 ,  0.5 ])
        >>> basis("EW").coefficients(10.0).round(12) + 0.0
        array([0., 0., 1.])
    """
    if name not in BASES:
        raise SchemaError(what="morphing basis", got=name, expected=f"one of {sorted(BASES)}")
    ready = BASES[name]
    return Morphing(monomials=ready.monomials, benchmarks=dict(ready.points))

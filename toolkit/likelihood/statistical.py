"""Statistical uncertainty of templates as nuisance parameters: one factor per bin for the total (Barlow-Beeston lite).

What to use when: `statistical_modifiers` for the channels of a workspace. HistFactory's staterror multiplies every sample of a channel by
one parameter gamma_b per bin, with a Gaussian constraint around 1 whose width is the relative error of the total. Interfering processes
carry signed coefficients and are weights of the same simulated events, so their errors neither add in quadrature nor belong to
the plain sum of the templates: the width is that of the total at the nominal point,

    sigma_b = sqrt(f^T C_b f) / sum_j f_j t_jb

with the covariance C_b of the processes in bin b. A document of pyhf's schema has one error per sample, from which any reader computes
sqrt(sum_j e_jb^2) / sum_j t_jb; the errors written here are scaled so that this is sigma_b.

References:
    R. Barlow, C. Beeston, Comput. Phys. Commun. 77 (1993) 219; J.S. Conway, arXiv:1103.0354, section 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.likelihood.templates import Templates
from toolkit.typing import FloatArray


def relative_errors(templates: Templates, coefficients: ArrayLike) -> FloatArray:
    """Compute the relative error of the total in each bin from finite simulation.

    Args:
        templates: Templates with the covariance of the processes.
        coefficients: f_j at the nominal point, (n_processes,).

    Returns:
        sigma_b, (n_bins,); 0 in bins that no simulated event fills.

    Raises:
        ShapeError: Another number of coefficients than processes.
        PhysicsDomainError: A total that is not positive in a bin with simulated events.

    Examples:
        Two events with weights 3 and 1 under S, 1 and 1 under SBI, in one bin. At SBI - S/2 they count -0.5 and 0.5.

        >>> from toolkit.likelihood.templates import fill_templates
        >>> t = fill_templates([0.5, 0.5, 0.5], [[1.0, 2.0], [1.0, 1.0], [0.0, 1.0]], [0.0, 1.0], processes=("S", "SBI"))
        >>> relative_errors(t, [-1.0, 1.0]).round(6).tolist()
        [0.707107]
    """
    f = np.asarray(coefficients, dtype=np.float64)
    if f.shape != (len(templates.processes),):
        raise ShapeError("coefficients of the templates", got=f.shape, expected=(len(templates.processes),))
    total, variance = templates.expected(f), templates.variance(f)
    filled = np.any(templates.values != 0.0, axis=0) | (variance > 0.0)
    if np.any(filled & ~(total > 0.0)):
        b = int(np.argmax(filled & ~(total > 0.0)))
        raise PhysicsDomainError(
            f"nominal events in bin {templates.labels[b]}", got=float(total[b]), expected="> 0", remedy="merge the bin with a neighbour"
        )
    return np.asarray(np.divide(np.sqrt(np.maximum(variance, 0.0)), total, out=np.zeros_like(total), where=filled))


def statistical_modifiers(templates: Templates, *, coefficients: ArrayLike, name: str) -> tuple[dict[str, Any], ...]:
    """Write the statistical uncertainty of the total as staterror modifiers of pyhf's schema.

    Args:
        templates: Templates with the covariance of the processes.
        coefficients: f_j at the nominal point, (n_processes,).
        name: Name of the modifier; each channel needs its own. The parameters are name[0], name[1], ...

    Returns:
        One modifier for each process, in their order; every sample of the channel must carry its own.

    Raises:
        PhysicsDomainError: A total or a plain sum of the templates that is not positive in a bin with simulated events.

    Examples:
        One process with two events of weight 1 in one bin: a relative error of 1 / sqrt(2), or 1.414 events:

        >>> from toolkit.likelihood.templates import fill_templates
        >>> made = fill_templates([0.5, 0.5], [[1.0], [1.0]], [0.0, 1.0], processes=("qqZZ",))
        >>> modifier = statistical_modifiers(made, coefficients=[1.0], name="simulation")[0]
        >>> modifier["type"], round(modifier["data"][0], 3)
        ('staterror', 1.414)
    """
    sigma, plain = relative_errors(templates, coefficients), templates.values.sum(axis=0)
    if np.any((sigma > 0.0) & ~(plain > 0.0)):
        b = int(np.argmax((sigma > 0.0) & ~(plain > 0.0)))
        raise PhysicsDomainError(
            f"sum of the templates in bin {templates.labels[b]}",
            got=float(plain[b]),
            expected="> 0, to which pyhf relates the errors",
            remedy="merge the bin with a neighbour",
        )
    own = templates.variances
    total = own.sum(axis=0)
    shares = np.sqrt(np.divide(own, total, out=np.zeros_like(own), where=total > 0.0))
    return tuple({"name": name, "type": "staterror", "data": row.tolist()} for row in shares * sigma * plain)

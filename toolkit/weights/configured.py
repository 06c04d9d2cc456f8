"""From the morphing section of a config to a morphing, and from the weights that samples carry to those of the learned densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.config.model import short_process
from toolkit.config.morphing import MorphingConfig
from toolkit.model.densities import density_expressions, density_transform
from toolkit.typing import FloatArray
from toolkit.weights.morphing import Morphing
from toolkit.weights.parameterisations import coefficient_texts
from toolkit.weights.simulation import SimulatedEvents


def configured_morphing(section: MorphingConfig, *, parameter: str) -> Morphing:
    """Build the morphing of the weights that the samples carry.

    Args:
        section: The morphing section of a config.
        parameter: Name of the parameter of interest.

    Returns:
        The morphing, benchmarks in the order of `section.carried`.

    Raises:
        SchemaError: The points do not determine all monomials.
    """
    return Morphing(monomials=section.monomials_in(parameter), benchmarks=section.points_in(parameter))


def density_matrix(section: MorphingConfig, *, parameter: str) -> FloatArray:
    """Return T with densities = carried weights @ T, shape (n_carried, n_benchmarks).

    Examples:
        >>> density_matrix(MorphingConfig(basis="EW"), parameter="mu").round(3).tolist()  # columns S, SBI, B
        [[0.316, 0.0, 1.0], [-0.462, 1.0, 0.0], [0.146, 0.0, 0.0]]
    """
    if not section.two_amplitudes:
        return np.eye(len(section.carried))
    return density_transform(short_process(section, parameter))


def to_densities(events: SimulatedEvents, section: MorphingConfig, *, parameter: str) -> SimulatedEvents:
    """Replace the columns of carried benchmarks by those of the densities that the estimators learn.

    Args:
        events: Processes: `section.carried`, then the backgrounds.
        section: The morphing section of a config.
        parameter: Name of the parameter of interest.

    Returns:
        Processes: `section.benchmarks`, then the backgrounds. The same events where nothing has to be computed.

    Notes:
        A density that follows from others as a difference inherits the rounding of stored weights: where it is small compared with them it
        is uncertain by 1e-7 of their size, and may be negative by that much.
    """
    n = len(section.carried)
    if section.carried == section.benchmarks:
        return events
    weights = np.concatenate([events.weights[:, :n] @ density_matrix(section, parameter=parameter), events.weights[:, n:]], axis=1)
    return replace(events, processes=(*section.benchmarks, *events.processes[n:]), weights=weights)


def density_coefficients(section: MorphingConfig, *, parameter: str, n_backgrounds: int) -> tuple[str, ...]:
    """Write the coefficients of the learned densities as expressions of the parameter, those of the backgrounds (1) last.

    Examples:
        >>> density_coefficients(MorphingConfig(basis="EW"), parameter="mu", n_backgrounds=1)
        ('mu - sqrt(mu)', 'sqrt(mu)', '1 - sqrt(mu)', '1')
    """
    if section.two_amplitudes:
        texts = density_expressions(short_process(section, parameter))
    else:
        texts = coefficient_texts(configured_morphing(section, parameter=parameter))
    return (*texts, *("1",) * n_backgrounds)

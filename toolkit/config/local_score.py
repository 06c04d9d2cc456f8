"""The point of a local score: whether a model has the parameters, and a finite derivative there."""

from __future__ import annotations

import numpy as np

from toolkit.config.classifiers import LocalScoreConfig
from toolkit.model.model import Model
from toolkit.typing import FloatArray


def local_coefficients(section: LocalScoreConfig, model: Model) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients of the densities of a model at the point of a score, and their derivatives, (n_densities,) each."""
    coefficients, point = model.coefficients(), {**model.truth, **section.at}
    at = np.array([[point[name] for name in coefficients.parameters]])
    with np.errstate(all="ignore"):
        slope = coefficients.jacobian(at)[0, coefficients.parameters.index(section.parameter)]
        return coefficients.values(at)[0], np.asarray(slope)


def check_local_score(key: str, section: LocalScoreConfig, model: Model) -> None:
    """Check that a point is one of the model at which densities move with the parameter.

    Raises:
        ValueError: It has other parameters, is outside their ranges, or the derivative is zero or infinite there.
    """
    parameters = {p.name: p for p in model.parameters}
    unknown = [name for name in (section.parameter, *section.at) if name not in parameters]
    if unknown:
        msg = f"{key}: no parameters {unknown}; the parameters are {list(parameters)}"
        raise ValueError(msg)
    for name, value in section.at.items():
        low, high = parameters[name].range
        if not low <= value <= high:
            msg = f"{key}.at: {name} = {value:g} is outside its range [{low:g}, {high:g}]"
            raise ValueError(msg)
    _, slope = local_coefficients(section, model)
    if not np.all(np.isfinite(slope)) or not np.any(slope):
        why = "infinite" if np.any(slope) else "zero"
        msg = f"{key}: the derivative of the densities by {section.parameter} is {why} at {section.at or 'the truth'}; take another point"
        raise ValueError(msg)

"""What the events of a classifier weigh: under each class, or the density and its derivative of a local score."""

from __future__ import annotations

import numpy as np
import torch

from toolkit.config import AnyClassifierConfig, ClassifierConfig
from toolkit.config.classifiers import LocalScoreConfig
from toolkit.config.local_score import local_coefficients
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.model import Model
from toolkit.ratios.features import feature_matrix
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents


def class_weights(training: SimulatedEvents, config: AnyClassifierConfig) -> FloatArray:
    """Return the weight of every event under each of `config.sums`, (n, n_classes): sums of its weights under their densities."""
    weights = np.zeros((len(training), len(config.sums)))
    for k, part in enumerate(config.sums.values()):
        for density, coefficient in part.items():
            weights[:, k] += coefficient * training.weights[:, training.processes.index(density)]
    return weights


def score_weights(training: SimulatedEvents, section: LocalScoreConfig, model: Model | None) -> FloatArray:
    """Return the density of every event at the point of a score, and its derivative less that of the normalisation, (n, 2).

    Raises:
        SchemaError: There is no model, or its densities are not the processes of the events.
        PhysicsDomainError: The density of an event is negative: events that know the weight of one benchmark, away from it.
    """
    if model is None or model.densities != training.processes:
        expected = "no model" if model is None else list(model.densities)
        raise SchemaError(
            "densities of a local score", got=list(training.processes), expected=expected, remedy="pass the model of the events"
        )
    values, slopes = local_coefficients(section, model)
    density, slope = training.weights @ values, training.weights @ slopes
    if np.any(density < 0.0) or not density.sum() > 0.0:
        worst = int(np.argmin(density))
        raise PhysicsDomainError(
            f"density of event {training.event_id[worst]} at the point of the local score",
            got=f"{density[worst]:g} ({int((density < 0.0).sum())} such events)",
            expected=">= 0",
            remedy="list `benchmarks` of the samples, or take a point at which one of them was generated",
        )
    return np.stack([density, slope - density * (slope.sum() / density.sum())], axis=1)


def background_apart(training: SimulatedEvents, config: AnyClassifierConfig) -> torch.Tensor | None:
    """Return what the outputs are to know nothing of, and the weight of the background, (n, n_variables + 1); None for nothing.

    Raises:
        SchemaError: An observable is missing.
        PhysicsDomainError: A background event lacks it, or the background has no weight.
    """
    section = config.decorrelate if isinstance(config, ClassifierConfig) else None
    if section is None:
        return None
    factors = dict.fromkeys(section.densities, 1.0) if section.densities else config.background
    weights = np.sum([c * training.weights[:, training.processes.index(name)] for name, c in factors.items()], axis=0)
    if not weights.sum() > 0.0:
        raise PhysicsDomainError(
            f"background {list(factors)} of `decorrelate`",
            got=f"total weight {weights.sum():g}",
            expected="> 0",
            remedy="name other densities",
        )
    # Events of other processes may lack the observable; with weight 0, any number stands for it.
    own = {name: np.where(weights != 0.0, training.observables[name], 1.0) for name in section.variables if name in training.observables}
    variables = feature_matrix(own, section.variables)
    return torch.from_numpy(np.concatenate([variables, weights[:, None]], axis=1))

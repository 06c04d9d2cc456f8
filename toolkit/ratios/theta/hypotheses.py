"""The densities of a model as functions of theta, in the form in which parameterised networks learn them."""

from __future__ import annotations

import numpy as np

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.model import Model
from toolkit.model.monomials import Monomial, parse_combination
from toolkit.model.theta_points import ThetaPoints
from toolkit.weights import SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses


def hypotheses_of(training: SimulatedEvents, model: Model) -> Hypotheses:
    """Describe the densities of a model at every theta, against the even mixture of those of `ThetaPoints`.

    Args:
        training: Simulated events; their processes are the densities of the model.
        model: One parameter; coefficients that are sums of monomials.

    Raises:
        SchemaError: The model has another form.
        PhysicsDomainError: A density has no expected events.
    """
    points = ThetaPoints.of(model)
    if training.processes != model.densities:
        raise SchemaError("processes of the events", got=list(training.processes), expected=list(model.densities))
    yields = np.array(training.yields, dtype=np.float64)
    for name, value in zip(training.processes, yields, strict=True):
        if not value > 0.0:
            remedy = "check the selection and the weights of this density, or leave it out"
            raise PhysicsDomainError(f"density {name}", got=f"{value:g} expected events", expected="> 0", remedy=remedy)
    combinations = [parse_combination(text) for text in model.expressions()]
    monomials: list[Monomial] = sorted({m for c in combinations for m in c}, key=lambda m: m.powers, reverse=True)
    table = np.array([[c.get(m, 0.0) for m in monomials] for c in combinations])
    exponents = np.array([[dict(m.powers).get(points.parameter, 0.0)] for m in monomials])
    return Hypotheses(
        processes=training.processes,
        parameters=(points.parameter,),
        ranges=(points.range,),
        exponents=exponents,
        combination=table,
        rows=np.linalg.pinv(table).T,
        yields=yields,
        reference=points.shares(yields),
    )

"""The physics model as the likelihoods of one region see it: densities, their coefficients, and the parameters that are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.config import Config
from toolkit.likelihood import Coefficients, Parameter, ParameterInfo
from toolkit.model import Model
from toolkit.typing import FloatArray


def describe_parameters(model: Model) -> dict[str, ParameterInfo]:
    """Return kind, range and truth of every parameter of a physics model, as results.json holds them.

    Examples:
        >>> from toolkit.model import ModelParameter, Process
        >>> model = Model((ModelParameter("mu", range=(0.0, 6.0)),), (Process.build("S", {"S": "sqrt(mu)"}),))
        >>> describe_parameters(model)["mu"].range
        (0.0, 6.0)
    """
    free = {p.name: ParameterInfo(p.kind, p.range, p.truth) for p in model.parameters}
    return free | {p.name: ParameterInfo(p.kind, p.range, p.truth, p.constraint, p.width) for p in model.nuisances}


@dataclass(frozen=True)
class FitModel:
    """What all methods share.

    Attributes:
        processes: Names of the densities.
        coefficients: One expression of the parameters per density.
        parameters: Parameters of interest and free normalisations, with ranges; a fit starts at `init`. Nuisance parameters are held at
            their central values here: `Systematics` frees them.
        interest: Names of the parameters of interest.
        truths: (name, value) pairs of the Asimov set.

    Examples:
        >>> mu = Parameter("mu", 1.0, 0.0, 6.0)
        >>> model = FitModel(("S", "q"), ("mu", "1"), (mu,), ("mu",), (("mu", 1.0),))
        >>> model.truth, model.at({"mu": 2.0}).tolist()
        ({'mu': 1.0}, [2.0, 1.0])
    """

    processes: tuple[str, ...]
    coefficients: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    interest: tuple[str, ...]
    truths: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, config: Config, *, region: str | None = None) -> FitModel:
        """Take the model of a region from a config; without a region, what holds everywhere."""
        return cls.of_model(config.model, region=region)

    @classmethod
    def of_model(cls, model: Model, *, region: str | None = None) -> FitModel:
        """Take the model of a region from a physics model, such as the part of it that is learned."""
        held = {p.name: Parameter(p.name, p.truth, *p.range, fixed=True) for p in model.nuisances}
        parameters = tuple(held.get(p.name) or Parameter(p.name, p.start, *p.range) for p in model.parameters)
        truths = tuple((p.name, p.truth) for p in model.parameters)
        return cls(model.densities, model.expressions(region), parameters, tuple(p.name for p in model.interest), truths)

    @classmethod
    def of_one(
        cls, processes: tuple[str, ...], coefficients: tuple[str, ...], *, range: tuple[float, float], truth: float = 1.0, name: str = "mu"
    ) -> FitModel:
        """Build a model of one parameter of interest.

        Examples:
            >>> FitModel.of_one(("S", "q"), ("mu", "1"), range=(0.0, 6.0)).parameter
            'mu'
        """
        return cls(processes, coefficients, (Parameter(name, truth, *range),), (name,), ((name, truth),))

    @property
    def truth(self) -> dict[str, float]:
        """The point of the Asimov set."""
        return dict(self.truths)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of every parameter axis."""
        return tuple(p.name for p in self.parameters)

    @property
    def parameter(self) -> str:
        """The first parameter of interest."""
        return self.interest[0]

    @property
    def range(self) -> tuple[float, float]:
        """The allowed range of the first parameter of interest."""
        return self.bounds[self.parameter]

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """The allowed range of every parameter."""
        return {p.name: (p.low, p.high) for p in self.parameters}

    @property
    def used(self) -> tuple[Parameter, ...]:
        """The parameters that a coefficient depends on."""
        names = {name for e in Coefficients.parse(self.coefficients, self.names).expressions for name in e.names}
        return tuple(p for p in self.parameters if p.name in names)

    def at(self, point: Mapping[str, float]) -> FloatArray:
        """Evaluate the coefficients; parameters that are not named have their truth, (n_densities,)."""
        values = np.array([[{**self.truth, **point}[name] for name in self.names]], dtype=np.float64)
        return np.asarray(Coefficients.parse(self.coefficients, self.names).values(values)[0])

    def along(self, parameter: str, values: FloatArray) -> FloatArray:
        """Evaluate the coefficients along one parameter, the others at their truth, (n_values, n_densities)."""
        points = np.tile([self.truth[name] for name in self.names], (len(values), 1)).astype(np.float64)
        points[:, self.names.index(parameter)] = values
        return Coefficients.parse(self.coefficients, self.names).values(points)

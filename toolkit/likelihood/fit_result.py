"""Outcome of a fit: best-fit point, errors, all minima, and its JSON form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import chi2

from toolkit.likelihood.scans import from_json_number, json_mapping, json_number
from toolkit.typing import FloatArray

Status = Literal["converged", "at_boundary", "not_converged", "forbidden"]


@dataclass(frozen=True)
class Minimum:
    """A local minimum of twice the negative log-likelihood."""

    parameters: dict[str, float]
    twice_nll: float


@dataclass(frozen=True)
class Limit:
    """Where the range of a parameter ends because beyond it a bin or an event expects nothing, the other parameters as in the best fit.

    Attributes:
        parameter: The parameter, which is the modifier's name in a workspace.
        side: "low" or "high" end.
        value: The last allowed value.
        where: The bin or event that is not positive beyond.
    """

    parameter: str
    side: Literal["low", "high"]
    value: float
    where: str

    def __str__(self) -> str:
        return f"{self.parameter} {'>' if self.side == 'low' else '<'} {self.value:.4g} ({self.where})"


@dataclass(frozen=True)
class FitResult:
    """Outcome of a fit: data, whatever happened; read `status` and `advice`.

    Attributes:
        parameters: Best-fit values.
        errors: Symmetric errors from the curvature; 0 where the parameter is fixed, NaN where it is at a boundary.
        twice_nll: Value at the best fit, with the constant of the likelihood's own `twice_nll`; infinite if every point is forbidden.
        status: "converged"; "at_boundary", a free parameter sits on the edge of its range; "not_converged"; "forbidden", no point
            was found at which all expectations are positive.
        advice: What to do about the status, or about other minima; empty if there is nothing to say.
        minima: All local minima that were found, best first.
        edm: Estimated vertical distance to the minimum, in units of `twice_nll`.
        n_evaluations: Number of parameter points at which the likelihood or its gradient was evaluated.
        free: Parameters that were free and not at a boundary, in the order of the covariance.
        covariance: Covariance matrix from the curvature, n_free rows of n_free numbers.
        n_forbidden: How many of the points evaluated are forbidden, because a bin or an event expects nothing or less there.
        limits: If there are such points: where the range of a parameter ends because of them, and which bin or event it is.

    Examples:
        >>> fit = FitResult({"mu": 1.0, "alpha": 0.0}, {"mu": 0.5, "alpha": 0.9}, 3.0, "converged", "", (), 0.0, 10,
        ...                 free=("mu", "alpha"), covariance=((0.25, 0.09), (0.09, 0.81)))
        >>> fit.correlation.round(3).tolist()
        [[1.0, 0.2], [0.2, 1.0]]
    """

    parameters: dict[str, float]
    errors: dict[str, float]
    twice_nll: float
    status: Status
    advice: str
    minima: tuple[Minimum, ...]
    edm: float
    n_evaluations: int
    free: tuple[str, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    n_forbidden: int = 0
    limits: tuple[Limit, ...] = ()

    @property
    def correlation(self) -> FloatArray:
        """Correlation matrix of the parameters `free`, (n_free, n_free); NaN where an error is not known."""
        matrix = np.array(self.covariance, dtype=np.float64).reshape(len(self.free), len(self.free))
        with np.errstate(invalid="ignore", divide="ignore"):
            sigma = np.sqrt(np.diag(matrix))
            return np.asarray(matrix / sigma[:, None] / sigma)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; NaN becomes null."""
        return {
            "parameters": dict(self.parameters),
            "errors": {k: json_number(v) for k, v in self.errors.items()},
            "twice_nll": json_number(self.twice_nll),
            "status": self.status,
            "advice": self.advice,
            "minima": [{"parameters": dict(m.parameters), "twice_nll": json_number(m.twice_nll)} for m in self.minima],
            "edm": json_number(self.edm),
            "n_evaluations": self.n_evaluations,
            "free": list(self.free),
            "covariance": [[json_number(x) for x in row] for row in self.covariance],
            **(
                {"limits": [vars(limit).copy() for limit in self.limits], "n_forbidden": self.n_forbidden}
                if self.limits or self.n_forbidden
                else {}
            ),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> FitResult:
        """Read what `to_json` wrote."""
        d = json_mapping(document, "fit", ("parameters", "errors", "twice_nll", "status", "advice", "minima", "edm", "n_evaluations"))
        return cls(
            parameters=dict(d["parameters"]),
            errors={k: from_json_number(v) for k, v in d["errors"].items()},
            twice_nll=d["twice_nll"],
            status=d["status"],
            advice=d["advice"],
            minima=tuple(Minimum(parameters=dict(m["parameters"]), twice_nll=m["twice_nll"]) for m in d["minima"]),
            edm=from_json_number(d["edm"]),
            n_evaluations=d["n_evaluations"],
            free=tuple(d.get("free", ())),
            covariance=tuple(tuple(from_json_number(x) for x in row) for row in d.get("covariance", ())),
            n_forbidden=d.get("n_forbidden", 0),
            limits=tuple(Limit(**entry) for entry in d.get("limits", ())),
        )


@dataclass(frozen=True)
class GoodnessOfFit:
    """Distance of a best fit from the saturated model.

    Attributes:
        statistic: -2 ln of the likelihood ratio, asymptotically chi-squared.
        degrees: Degrees of freedom.

    Examples:
        >>> round(GoodnessOfFit(statistic=9.0, degrees=9).p_value, 3)
        0.437
    """

    statistic: float
    degrees: int

    @property
    def p_value(self) -> float:
        """Probability of a worse fit; NaN without degrees of freedom."""
        return float(chi2.sf(self.statistic, self.degrees)) if self.degrees > 0 else math.nan

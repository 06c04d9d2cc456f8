"""Unbinned channels whose network reads the parameters, in RooFit: the Chebyshev series of every event as columns.

The likelihood of the toolkit takes ln r(x_i; theta) from a series in theta, one per event (`toolkit.likelihood.theta_series`). Its
coefficients are the columns here, and its terms functions of the parameters, T_k = 2 x T_(k-1) - T_(k-2): the same numbers, not another
interpolation.
"""

from __future__ import annotations

from exports.roofit_model import RoofitModel, Table, safe
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.theta_series import ThetaAxis, ThetaSeries
from toolkit.likelihood.workspace_schema import UnbinnedChannel


class ThetaEvents:
    """A channel with one density ratio for every theta.

    Args:
        model: What calls and tables are added to.
        term: The likelihood of the channel.
        channel: The channel.
    """

    def __init__(self, model: RoofitModel, term: ParameterisedLikelihood, channel: UnbinnedChannel) -> None:
        self._model, self._term = model, term
        self._name, self._samples = safe(channel.name), [safe(f"{channel.name}_{s.name}") for s in channel.samples]

    def write(self) -> None:
        """Add all calls and tables."""
        model, name, series = self._model, self._name, self._term.log_ratios
        rates = [model.rate(base, self._term.coefficients, j, float(self._term.yields[j])) for j, base in enumerate(self._samples)]
        model.call("formula", f"{name}_expected", " + ".join(f"@{j}" for j in range(len(rates))), rates)
        theta = [model.expression(f"{name}_{safe(a.name)}", text) for a, text in zip(series.axes, self._term.inputs.texts, strict=True)]
        table: Table = {"weight": self._term.weights}
        columns = [f"{name}_series_{k}" for k in range(series.coefficients.shape[1])]
        for k, column in enumerate(columns):
            model.call("column", column)
            table[column] = series.coefficients[:, k]
        terms = self._terms(series, theta, "term")
        n = len(terms)
        log_ratio, arguments = " + ".join(f"@{k}*@{k + n}" for k in range(n)), [*columns, *terms]
        if self._term.log_mean is not None:
            arguments.append(self._mean(self._term.log_mean, theta))
            log_ratio = f"{log_ratio} - @{2 * n}"
        inside = [self._inside(axis, t) for axis, t in zip(series.axes, theta, strict=True)]
        arguments += [f"{name}_expected", *inside]
        guard = "".join(f" * @{len(arguments) - len(inside) + k}" for k in range(len(inside)))
        model.call("formula", f"{name}_sum", f"@{len(arguments) - len(inside) - 1} * exp({log_ratio}){guard}", arguments)
        model.call("unbinnedChannel", name, f"{name}_sum", f"{name}_expected", columns)
        model.tables[name] = table

    def _terms(self, series: ThetaSeries, theta: list[str], label: str) -> list[str]:
        """Add the terms of a series in the order of its coefficients; returns their names."""
        along = [self._chebyshev(a, t, d, label) for a, t, d in zip(series.axes, theta, series.degrees, strict=True)]
        if len(along) == 1:
            return along[0]
        names = []
        for i, first in enumerate(along[0]):
            for j, second in enumerate(along[1]):
                names.append(f"{self._name}_{label}_{i}_{j}")
                self._model.call("product", names[-1], [first, second])
        return names

    def _chebyshev(self, axis: ThetaAxis, theta: str, degree: int, label: str) -> list[str]:
        """Add T_0 to T_degree of the coordinate of an axis."""
        model, base = self._model, f"{self._name}_{safe(axis.name)}_{label}"
        low, high = (value**0.5 if axis.root else value for value in (axis.low, axis.high))
        at = "sqrt(@0)" if axis.root else "@0"
        model.call("formula", f"{base}_x", f"2*({at} - ({float(low)!r}))/({float(high - low)!r}) - 1", [theta])
        model.call("constant", f"{base}_0", 1.0)
        names = [f"{base}_0", f"{base}_x"][: degree + 1]
        first = {2: "2*@0^2 - 1", 3: "2*@0*@1 - @0"}
        for k in range(2, degree + 1):
            # x, T_(k-1), T_(k-2); a list of arguments holds none of them twice.
            text, arguments = first.get(k, "2*@0*@1 - @2"), list(dict.fromkeys([f"{base}_x", names[-1], names[-2]]))
            if k == 2:
                arguments = arguments[:1]
            model.call("formula", f"{base}_{k}", text, arguments)
            names.append(f"{base}_{k}")
        return names

    def _mean(self, mean: ThetaSeries, theta: list[str]) -> str:
        """Add ln E_ref[r], a series with numbers for coefficients; returns its name."""
        terms, name = self._terms(mean, theta, "mean"), f"{self._name}_log_mean"
        text = " + ".join(f"({float(c)!r})*@{k}" for k, c in enumerate(mean.coefficients[0]))
        self._model.call("formula", name, text, terms)
        return name

    def _inside(self, axis: ThetaAxis, theta: str) -> str:
        """Add a factor that is 0 outside the range of the series, where the network was not asked; returns its name."""
        name = f"{self._name}_{safe(axis.name)}_inside"
        self._model.call("formula", name, f"(@0 < {float(axis.low)!r} ? 0 : (@0 > {float(axis.high)!r} ? 0 : 1))", [theta])
        return name

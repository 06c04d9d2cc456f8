"""What every method can tell: lower bounds of -2 Delta lnL between hypotheses, errors of t(0), and how much more the unbinned method can.

All methods are judged on the same test events, which trained, calibrated and filled nothing, so that their differences are known much
better than their values: the errors of the ratios are paired. Errors are those of resampling the events. A number that is a sum over
events with Poisson multiplicities of mean 1 has the variance sum_i p_i^2, p_i what event i adds to it, which a bootstrap with many
replicas finds too; a ratio U / V of two of them has sum_i (u_i - (U/V) v_i)^2 / V^2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.analysis.data import FitData
from toolkit.analysis.finite_simulation import Sample
from toolkit.analysis.methods import Method
from toolkit.analysis.model import FitModel
from toolkit.analysis.region_method import RegionMethod, expected_term
from toolkit.analysis.score_plane import three_points
from toolkit.analysis.theta import ParameterisedMethod
from toolkit.config import Config
from toolkit.diagnostics.information import information_bound
from toolkit.likelihood import FitResult, Gain, Information, Likelihood, MethodResult, PyhfLikelihood, asimov_weights
from toolkit.typing import BoolArray, FloatArray, JsonObject
from toolkit.weights import SimulatedEvents

Point = Mapping[str, float]
UNBINNED = "nsbi"
"""The method whose gain over the others is quoted."""
VISIBLE = 3.0
"""Standard errors by which a bound must differ from 0 for a ratio to it to mean something; 1 is enough for t(0), whose error is large."""


@dataclass(frozen=True, eq=False)
class Influence:
    """A number and what every test event and every training event adds to its fluctuation.

    Attributes:
        value: The number.
        test: First-order change if a test event happened once more, (n_test,).
        training: The same of training events, (n_training,); empty where these do not count.
    """

    value: float
    test: FloatArray
    training: FloatArray

    @property
    def error(self) -> float:
        """Standard error, all events in quadrature."""
        return math.hypot(float(np.linalg.norm(self.test)), float(np.linalg.norm(self.training)))

    def over(self, other: Influence, *, visible: float = VISIBLE) -> Gain | None:
        """Divide by a number of the same events; None where that one is not `visible` errors above 0."""
        if not other.value > visible * other.error:
            return None
        ratio = self.value / other.value
        test, training = (a - ratio * b for a, b in ((self.test, other.test), (self.training, other.training)))
        return Gain(ratio, math.hypot(float(np.linalg.norm(test)), float(np.linalg.norm(training))) / other.value)


def pairs(config: Config, model: FitModel, closure: Sequence[Point] = ()) -> tuple[tuple[Point, Point], ...]:
    """Choose the hypotheses that are told apart: the true one, then the other one.

    Args:
        config: Where the points of the two ratios of the networks may stand.
        model: Parameters, with ranges and truth.
        closure: Truths of the closure tests, where there are several parameters of interest.

    Returns:
        For one parameter of interest, at points a < b < c as in `score_plane`, b against a, b against c, and b + 2 (b - a) against a; of a
        range from 0 with the truth at 1: 1 against 0, 1 against 2.5, 3 against 0. For several, every closure truth against the truth of
        the Asimov set. Then the same the other way round.
    """
    if len(model.interest) == 1:
        [name] = model.interest
        section = config.score_plane
        a, b, c = three_points(model, None if section is None else section.points)
        top = min(b + 2.0 * (b - a), model.bounds[name][1])
        found = [({name: x}, {name: y}) for x, y in ((b, a), (b, c), (top, a)) if x != y]
    else:
        truth = {name: model.truth[name] for name in model.interest}
        others = [{name: point[name] for name in model.interest} for point in closure]
        found = [(point, truth) for point in others if point != truth]
    return (*found, *((y, x) for x, y in found))


def with_information(
    results: Mapping[str, MethodResult],
    data: FitData,
    *,
    chosen: Sequence[tuple[Point, Point]],
    training: SimulatedEvents,
) -> dict[str, MethodResult]:
    """Add to every method of an Asimov set what it can tell, the error of its t(0), and the gain of the unbinned method.

    Args:
        results: By method.
        data: The Asimov set; systematic uncertainties play no part.
        chosen: Pairs of hypotheses; see `pairs`.
        training: The events that yields, templates and networks come from, of the same regions.
    """
    test = data.events
    if not isinstance(test, SimulatedEvents):
        return dict(results)
    bounds, zeros = _bounds(data, test, chosen), _zeros(results, data, test, training)
    best, best_zero = bounds.get(UNBINNED), zeros.get(UNBINNED)
    found = {}
    for name, result in results.items():
        information = [
            Information(
                dict(truth),
                dict(against),
                own.value,
                own.error,
                None if best is None or name == UNBINNED else best[k].over(own),
            )
            for k, ((truth, against), own) in enumerate(zip(chosen, bounds[name], strict=True))
        ]
        zero = zeros.get(name)
        gain = None if zero is None or best_zero is None or name == UNBINNED else best_zero.over(zero, visible=1.0)
        found[name] = _with(result, information, error=math.nan if zero is None else zero.error, gain=gain)
    return found


def information_document(results: Mapping[str, MethodResult]) -> JsonObject:
    """Return what `with_information` added, for the record of a finished task."""
    out: JsonObject = {}
    for name, result in results.items():
        plain = result if result.statistical_only is None else result.statistical_only
        gain = plain.twice_nll_at_0_gain
        error = plain.twice_nll_at_0_error
        out[name] = {
            "information": [entry.to_json() for entry in result.information],
            "error": error if math.isfinite(error) else None,
            "gain": None if gain is None else gain.to_json(),
        }
    return out


def restored(results: Mapping[str, MethodResult], document: JsonObject) -> dict[str, MethodResult]:
    """Put what `information_document` returned into results."""
    found = {}
    for name, result in results.items():
        own = document[name]
        information = [Information.from_json(entry) for entry in own["information"]]
        error = math.nan if own["error"] is None else float(own["error"])
        found[name] = _with(result, information, error=error, gain=Gain.from_json(own["gain"]))
    return found


def _with(result: MethodResult, information: Sequence[Information], *, error: float, gain: Gain | None) -> MethodResult:
    """Add the bounds to a result, and error and gain of t(0) to what it says without systematic uncertainties."""
    plain = result if result.statistical_only is None else result.statistical_only
    plain = replace(plain, twice_nll_at_0_error=error, twice_nll_at_0_gain=gain)
    whole = plain if result.statistical_only is None else replace(result, statistical_only=plain)
    return replace(whole, information=tuple(information))


def _log_density(method: Method, point: Point, *, of_training: bool = False) -> FloatArray:
    """Return ln of the density that a method takes for its events at a point, yields included, up to a constant of every event.

    Args:
        method: A method of one region.
        point: All parameters.
        of_training: Of the training events, not of the test events.

    Returns:
        (n_events,): of an unbinned method ln sum_j f_j nu_j p_j(x) / p_ref(x), of a histogram ln of the expected events in the bin.
    """
    if isinstance(method, ParameterisedMethod):
        likelihood = method.training if of_training else method.base
        at = likelihood.point({name: value for name, value in point.items() if name in likelihood.parameter_names})[None, :]
        return np.asarray(likelihood.log_density(at)[:, 0] + np.log(likelihood.expected(at)[0]))
    return Sample.of(method, np.empty(0), of_training).log_density(point)


def zero_influence(
    method: Method,
    likelihood: Likelihood,
    *,
    poi: str,
    fit: FitResult,
    test: FloatArray,
    training: FloatArray,
    at_zero: FloatArray | None = None,
) -> Influence | None:
    """Find what every event adds to t(0) = -2 ln of the likelihood ratio between 0 and the best fit of an Asimov set.

    An event that counts k times in place of once moves t(0) by 2 w (k - 1) ln[p(best fit) / p(0)]: parameters stay where they are in first
    order, because t is stationary in all that are fitted. Training events, which the model is made of, are treated like the data, as for
    best fits (`toolkit.analysis.finite_simulation`). In a cross-fit they are the same events: one that happens once more is one more of
    the data and of the yield at 0, and the density at 0 follows it, which adds 2 [w ln r - w_0 (r - 1)] with r = p(best fit) / p(0) and
    w_0 what the event counts at 0.

    Args:
        method: The method.
        likelihood: Its likelihood without systematic uncertainties.
        poi: Parameter of interest.
        fit: The global fit.
        test: Weights of the test events, (n_test,).
        training: Weights of the training events, (n_training,).
        at_zero: In a cross-fit the weights of the test events at 0, (n_test,).

    Returns:
        t(0) and the influences; None where 0 is outside the range.
    """
    parameter = likelihood.parameters[likelihood.parameter_names.index(poi)]
    if not parameter.low <= 0.0 <= parameter.high:
        return None
    without = likelihood.fit(fixed={poi: 0.0})
    best, zero = (dict(zip(likelihood.parameter_names, likelihood.point(f.parameters).tolist(), strict=True)) for f in (fit, without))
    if at_zero is not None:
        ratio, inside = np.zeros(len(test)), np.zeros(len(test), dtype=bool)
        for one, rows in _parts(method, of_training=False):
            ratio[rows] = _log_density(one, best) - _log_density(one, zero)
            inside[rows] = True
        told = information_bound(ratio, numerator_weights=np.where(inside, test, 0.0), denominator_weights=np.where(inside, at_zero, 0.0))
        return Influence(without.twice_nll - fit.twice_nll, told.influence, np.empty(0))
    found = []
    for weights, of_training in ((test, False), (training, True)):
        part = np.zeros(len(weights))
        for one, rows in _parts(method, of_training):
            part[rows] = (
                2.0 * weights[rows] * (_log_density(one, best, of_training=of_training) - _log_density(one, zero, of_training=of_training))
            )
        found.append(part)
    return Influence(without.twice_nll - fit.twice_nll, *found)


def _weights_at(events: SimulatedEvents, model: FitModel, point: Point) -> FloatArray:
    return asimov_weights(events.weights, coefficients=model.coefficients, parameters={**model.truth, **point}, bounds=model.bounds)


def _zeros(
    results: Mapping[str, MethodResult], data: FitData, test: SimulatedEvents, training: SimulatedEvents
) -> dict[str, Influence | None]:
    model = data.model
    weights = _weights_at(training, model, {})
    low, high = model.bounds[model.parameter]
    zero = _weights_at(test, model, {model.parameter: 0.0}) if low <= 0.0 <= high else None
    found: dict[str, Influence | None] = {}
    for method in data.methods:
        result = results[method.name]
        fit = (result if result.statistical_only is None else result.statistical_only).fit
        if fit is not None:
            at_zero = zero if method.crossed else None
            found[method.name] = zero_influence(
                method, data.plain(method), poi=model.parameter, fit=fit, test=data.weights, training=weights, at_zero=at_zero
            )
    return found


def _bounds(data: FitData, test: SimulatedEvents, chosen: Sequence[tuple[Point, Point]]) -> dict[str, list[Influence]]:
    model, found = data.model, {method.name: list[Influence]() for method in data.methods}
    for ends in chosen:
        points = [{**model.truth, **end} for end in ends]
        a, b = (asimov_weights(test.weights, coefficients=model.coefficients, parameters=p, bounds=model.bounds) for p in points)
        for method in data.methods:
            ratio = np.zeros(len(test))
            inside = np.zeros(len(test), dtype=bool)
            for one, rows in _parts(method, of_training=False):
                ratio[rows] = _log_density(one, points[0]) - _log_density(one, points[1])
                inside[rows] = True
            # an event outside all regions has r = 1, which adds nothing
            told = information_bound(ratio, numerator_weights=np.where(inside, a, 0.0), denominator_weights=np.where(inside, b, 0.0))
            foreign = _of_workspaces(method, points[0], points[1])
            found[method.name].append(Influence(told.value + foreign, told.influence, np.empty(0)))
    return found


def _of_workspaces(method: Method, truth: Point, against: Point) -> float:
    """Return the -2 Delta lnL that workspaces of others add, whose expectation is known exactly."""
    total = 0.0
    for term in (t for t in method.foreign if isinstance(t, PyhfLikelihood)) if isinstance(method, RegionMethod) else ():
        known = expected_term(term, truth)
        one, other = (known.twice_nll({n: v for n, v in p.items() if n in known.parameter_names}) for p in (truth, against))
        total += float(other - one)
    return total


def _parts(method: Method, of_training: bool) -> list[tuple[Method, BoolArray | slice]]:
    """Return the methods of the regions, each with the events that are in it."""
    if isinstance(method, RegionMethod):
        return [(part.method, part.training if of_training else part.test) for part in method.parts]
    return [(method, slice(None))]

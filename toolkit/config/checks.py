"""Whether sections of a config fit its physics model and each other."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from toolkit.config.likelihood import NormalisationUncertainty
from toolkit.expressions import Condition
from toolkit.expressions.arithmetic import Expression
from toolkit.model.model import Model


def check_closure(points: Sequence[Mapping[str, float]], model: Model) -> None:
    """Check that the truths of closure tests, by parameter, are in the ranges of free parameters.

    Raises:
        ValueError: One is not, or there is no such parameter.
    """
    known = {p.name: p.range for p in model.parameters if p.kind != "nuisance"}
    for name, value in ((name, value) for point in points for name, value in point.items()):
        low, high = known.get(name, (math.inf, -math.inf))
        if not low <= value <= high:
            msg = f"likelihood.closure: {name} = {value:g} is no value in the range of a free parameter; the ranges are {known}"
            raise ValueError(msg)


def check_truths(values: Sequence[float], model: Model) -> None:
    """Check that every value of `closure_mu` is in the range of a parameter of interest.

    Raises:
        ValueError: One is outside all of them.
    """
    ranges = {p.name: p.range for p in model.interest}
    outside = [v for v in values if not any(low <= v <= high for low, high in ranges.values())]
    if outside:
        msg = f"closure_mu {outside} lie outside the ranges of all parameters of interest, {ranges}"
        raise ValueError(msg)


def check_nuisances(model: Model, *, variations: Collection[str]) -> None:
    """Check that every nuisance parameter of the model does something, and that one with the name of a variation is the same.

    Args:
        model: The model.
        variations: Names of the systematic uncertainties, each a number of standard deviations.

    Raises:
        ValueError: Names the parameter.
    """
    texts = [text for region in (None, *(r.name for r in model.regions)) for text in model.expressions(region)]
    used = {name for text in texts for name in Expression.parse(text).names}
    for parameter in model.nuisances:
        if parameter.name not in used:
            msg = f"parameters.{parameter.name}: no density depends on this nuisance parameter; use it in a factor, or remove it"
            raise ValueError(msg)
        if parameter.name in variations and (parameter.constraint, parameter.truth, parameter.width) != ("gaussian", 0.0, 1.0):
            msg = (
                f"parameters.{parameter.name}: a systematic variation has this name, too, and is a number of standard deviations; "
                "one parameter of both needs `central: 0` and `width: 1`, otherwise rename it"
            )
            raise ValueError(msg)


def check_ratio_values(values: Sequence[float], model: Model) -> None:
    """Check that the values of histograms of ratios are others of the one parameter of interest than its truth.

    Raises:
        ValueError: They are not, or there are several parameters of interest.
    """
    interest = model.interest
    if len(interest) > 1:
        msg = f"ratio_histograms: values of which of {[p.name for p in interest]}? They are for one parameter of interest"
        raise ValueError(msg)
    [parameter] = interest
    low, high = parameter.range
    wrong = [v for v in values if not low <= v <= high or v == parameter.truth]
    if wrong:
        expected = f"values of {parameter.name} in [{low:g}, {high:g}], not its truth {parameter.truth:g}"
        msg = f"ratio_histograms.values {wrong}: expected {expected}"
        raise ValueError(msg)


def check_normalisations(sections: Mapping[str, NormalisationUncertainty], *, processes: Sequence[str]) -> None:
    """Check that uncertainties of normalisations are those of known processes.

    Raises:
        ValueError: One is not.
    """
    for name, section in sections.items():
        unknown = sorted(set(section.processes) - set(processes))
        if unknown:
            msg = f"likelihood.normalisations.{name}: no processes {unknown}; the processes are {list(processes)}"
            raise ValueError(msg)


def check_groups(groups: Mapping[str, Collection[str]], *, nuisances: Sequence[str]) -> None:
    """Check that groups of uncertainties hold nuisance parameters only.

    Raises:
        ValueError: One does not.
    """
    for group, members in groups.items():
        unknown = sorted(set(members) - set(nuisances))
        if unknown:
            msg = f"likelihood.groups.{group}: no nuisance parameters {unknown}; they are {list(nuisances)}"
            raise ValueError(msg)


def check_importance_groups(groups: Mapping[str, Collection[str]], *, features: Collection[str]) -> None:
    """Check that groups of features, whose importance is asked for, hold features of the networks.

    Raises:
        ValueError: One does not.
    """
    strange = {name: sorted(set(group) - set(features)) for name, group in groups.items()}
    if any(strange.values()):
        msg = f"importance_groups {strange} are not among ratios.features {list(features)}"
        raise ValueError(msg)


def check_sample_conditions(conditions: Mapping[str, str], *, scores: Collection[str]) -> None:
    """Check that conditions of samples, by sample, name no scores, which are made of selected events.

    Raises:
        ValueError: One does.
    """
    for name, condition in conditions.items():
        named = sorted(set(Condition.parse(condition).names) & set(scores))
        if named:
            msg = f"samples.{name}.where uses the scores {named}, which are made of selected events; use branches and observables"
            raise ValueError(msg)

"""The unbinned channel of a workspace whose network reads theta: one output for the whole density."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from toolkit.errors import ArtifactMismatchError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood.coefficients import diverging_parameters
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.observation import read_observation
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.rates import NormSys
from toolkit.likelihood.ratio_mean import RatioMean
from toolkit.likelihood.theta_series import Evaluate, ThetaAxis, ThetaSeries
from toolkit.likelihood.workspace_schema import UnbinnedChannel
from toolkit.likelihood.workspace_shapes import Ratio
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray


def parameterised_likelihood(
    channel: UnbinnedChannel, ratio: OnnxRatio, folder: Path, parameters: Sequence[Parameter], *, constraints: Sequence[Constraint]
) -> ParameterisedLikelihood:
    """Build the likelihood of a channel with one output for the whole density.

    Args:
        channel: The channel.
        ratio: Its model.
        folder: What the file names of the channel are relative to.
        parameters: Parameters of the channel, that of interest first.
        constraints: Constraint terms that are counted here.

    Raises:
        ArtifactMismatchError: The model has other outputs, features, reference or parameters than the channel names.
    """
    where = f"unbinned channel {channel.name!r}, model {channel.model}"
    output = str(channel.output)
    check_model(where, channel, ratio, [output])
    if set(channel.inputs) != set(ratio.parameters):
        expected = f"a network that reads {list(channel.inputs)}"
        raise ArtifactMismatchError(
            f"{where}: inputs", got=list(ratio.parameters), expected=expected, remedy="take the model that belongs to it"
        )
    observables, weights = read_observation(folder / channel.observation.file, channel.observables, weight=channel.observation.weight)
    coefficients = [s.coefficient for s in channel.samples]
    axes = theta_axes(ratio, parameters, coefficients=coefficients, inputs=channel.inputs)
    mean = None if channel.ratio_mean is None else RatioMean.of(**channel.ratio_mean.model_dump()).series(axes)
    return ParameterisedLikelihood(
        log_ratios=ThetaSeries.of(ratio_of_theta(ratio, observables, output=output), axes),
        weights=weights,
        yields=[s.expected for s in channel.samples],
        coefficients=coefficients,
        parameters=parameters,
        inputs=channel.inputs,
        log_mean=mean,
        systematics=[NormSys(j, name, *pair) for j, s in enumerate(channel.samples) for name, pair in s.norms.items()],
        constraints=constraints,
    )


def theta_axes(
    ratio: OnnxRatio, parameters: Sequence[Parameter], *, coefficients: Sequence[str], inputs: Mapping[str, str] | None = None
) -> tuple[ThetaAxis, ...]:
    """Return the range of each component of theta, and whether it is smooth in the root.

    Args:
        ratio: The network; its training range is the largest that can be asked for.
        parameters: The parameters of the fit. Where a component is one of them, its range is that of the parameter.
        coefficients: Of the yields: a parameter by which one of them diverges at 0 enters the densities under a root.
        inputs: Components as expressions.

    Raises:
        ArtifactMismatchError: A parameter reaches further than the network was trained for.
    """
    known = {p.name: p for p in parameters}
    rooted = diverging_parameters(Coefficients.parse(coefficients, tuple(known)), parameters)
    axes = []
    for component in ratio.metadata.parameters:
        expression = Expression.parse((inputs or {}).get(component.name, component.name))
        parameter = known.get(expression.text)
        low, high = (component.low, component.high) if parameter is None else (parameter.low, parameter.high)
        if low < component.low or high > component.high:
            raise ArtifactMismatchError(
                f"range of {component.name} in {ratio.path.name}",
                got=f"{low:g} to {high:g} in the fit",
                expected=f"a part of {component.low:g} to {component.high:g}, for which the network was trained",
                remedy="shorten the range of the parameter, or train with a wider one",
            )
        axes.append(ThetaAxis(component.name, low, high, root=bool(rooted & set(expression.names)) and low >= 0.0))
    return tuple(axes)


def ratio_of_theta(ratio: OnnxRatio, observables: Mapping[str, FloatArray], *, output: str) -> Evaluate:
    """Return the log ratio of events as a function of theta, from a network that reads it.

    Args:
        ratio: The network.
        observables: Columns of the events by name, (n_events,) each.
        output: Its output.
    """
    column = list(ratio.numerators).index(output)
    n_events = len(next(iter(observables.values())))
    rows = ratio.columns({**observables, **{name: np.zeros(n_events) for name in ratio.parameters}})

    def evaluate(theta: FloatArray) -> FloatArray:
        rows[:, len(ratio.features) :] = theta
        return ratio(rows)[:, column]

    return evaluate


def check_model(where: str, channel: UnbinnedChannel, ratio: Ratio, outputs: Sequence[str]) -> None:
    """Check that a model has the outputs, the features and the reference of a channel.

    Raises:
        ArtifactMismatchError: It has others.
    """
    _check_belongs(where, "outputs", outputs, ratio.numerators)
    _check_belongs(where, "observables", ratio.features, channel.observables)
    if ratio.reference != channel.reference:
        what = f"{where}: reference"
        raise ArtifactMismatchError(what, got=ratio.reference, expected=channel.reference, remedy="take the model that belongs to it")


def _check_belongs(where: str, what: str, wanted: Iterable[str], present: Iterable[str]) -> None:
    missing = [w for w in wanted if w not in set(present)]
    if missing:
        title = f"{where}: {what}"
        raise ArtifactMismatchError(
            title, got=list(present), expected=f"{missing} among them", remedy="take the model that belongs to this workspace"
        )

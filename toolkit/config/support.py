"""What stages after processing need of a config, and what of the general form of a physics model they cannot do yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from toolkit.config.ratios import RatioSettings, ThetaConfig
from toolkit.errors import SchemaError
from toolkit.expressions import Condition
from toolkit.model.model import Model
from toolkit.model.processes import Process
from toolkit.model.products import determines_matrix


class _Limit(NamedTuple):
    """A feature, in words, and what of a model needs it."""

    words: str
    uses: Callable[[Model], tuple[str, ...]]


LIMITS: tuple[_Limit, ...] = (
    _Limit("processes whose samples together lack benchmarks", lambda m: tuple(p.name for p in m.processes if not _determined(m, p))),
)
"""Everything that `h4l validate` and `h4l run` refuse. Take an entry out when training, fit and report can do it."""


def _determined(model: Model, process: Process) -> bool:
    """Whether the benchmarks that any sample of a process knows weights of determine its matrix."""
    known = {name for sample in model.samples_of(process.name) for name in sample.carried}
    return determines_matrix(process, [name for name in process.benchmark_names if name in known])


def require_luminosity_alone(ratios: object, *, general: bool, nuisances: Mapping[str, Sequence[str]]) -> None:
    """Check that a config asks nothing of networks that read the parameter of interest that they cannot know.

    Args:
        ratios: The section `ratios`.
        general: Whether the config has the sections `parameters` and `processes`.
        nuisances: Nuisance parameters of the fit by where they come from.

    Raises:
        SchemaError: Names what it asks for.
    """
    if not isinstance(ratios, ThetaConfig):
        return
    asked = [f"{group} ({', '.join(names)})" for group, names in nuisances.items() if group != "luminosity"]
    asked += ["`parameters` and `processes`"] if general else []
    if asked:
        raise SchemaError(
            f"ratios.estimator: {ratios.estimator}",
            got=f"a config with {', '.join(asked)}",
            expected="`morphing` and `parameter`, and no uncertainty but that of the luminosity: the network knows one shape per value",
            remedy="take the mixture, whose densities vary one by one",
        )


FROM_LABELS = ("mixture", "per_process", "multiclass")
"""Estimators that learn from the sample an event comes from."""


def require_weights(estimator: str, model: Model) -> None:
    """Check that an estimator can learn from samples that were generated separately, if there are any.

    Raises:
        SchemaError: It learns from the weights of the same event under several benchmarks.
    """
    names = [s.name for process in model.processes for s in model.separate_samples(process.name)]
    if names and estimator not in FROM_LABELS:
        raise SchemaError(
            f"ratios.estimator: {estimator}",
            got=f"samples {names} whose events do not know the weights of all benchmarks",
            expected=f"one of {list(FROM_LABELS)}, or samples with `benchmarks`",
            remedy="list `benchmarks` if the events carry the weights, or take the mixture",
        )


def require_learning_curve(ratios: RatioSettings, shares: Sequence[float], *, general: bool) -> None:
    """Check that the report can train on shares of the training events, if the config asks for it.

    Raises:
        SchemaError: Networks of densities, test events that are set aside, and one parameter of interest are needed.
    """
    refused = (
        (general, "`parameters` and `processes`", "`morphing` and `parameter`: one parameter, of which the curve tells the truth from 0"),
        (isinstance(ratios, ThetaConfig), f"ratios.estimator: {ratios.estimator}", "an estimator of densities"),
        (ratios.splits.cross_fit, "ratios.splits.cross_fit: true", "test events that no network of the curve learns from"),
    )
    for wrong, got, expected in refused if shares else ():
        if wrong:
            raise SchemaError("report.learning_curve", got=f"a config with {got}", expected=expected, remedy="leave `learning_curve` out")


def require_supported(model: Model) -> None:
    """Check that all stages can measure with a model.

    Args:
        model: The model of a config with `parameters` and `processes`.

    Raises:
        SchemaError: They cannot yet; names every feature that is missing and what uses it.
    """
    missing = [f"{limit.words} ({', '.join(used)})" for limit in LIMITS if (used := limit.uses(model))]
    if missing:
        raise SchemaError(
            "the physics model of the config is valid, but cannot be trained and fitted yet",
            got="; ".join(missing),
            expected="samples of interfering processes, or weights of their events, for enough benchmarks",
            remedy="add samples or weights, or run `h4l process` alone and use toolkit.model and toolkit.likelihood in Python",
        )


def require_measured(model: Model) -> None:
    """Check that a model has something to measure, and a region to learn from.

    Raises:
        SchemaError: No parameter of interest, or no region without bins.
    """
    if not model.interest:
        raise SchemaError(
            "parameters",
            got=f"none of kind interest: {[f'{p.name} ({p.kind})' for p in model.parameters]}",
            expected="at least one parameter that is measured",
            remedy="give it `kind: interest`, the default; `h4l process` needs none",
        )
    if model.regions and not any(r.kind == "unbinned" for r in model.regions):
        raise SchemaError(
            "regions",
            got=f"none of kind unbinned: {[f'{r.name} ({r.kind})' for r in model.regions]}",
            expected="at least one, whose events the networks learn from",
            remedy="give a region `kind: unbinned`; binned regions alone are fitted in Python (docs/workspace.md)",
        )


def require_known_conditions(model: Model, *, features: Sequence[str], scores: Sequence[str]) -> None:
    """Check that the networks see what tells parts of a process, or several unbinned regions, apart.

    A part has the learned density of its whole process where its condition holds: wrong if the density does not know of the condition.

    Args:
        model: The model.
        features: What the networks read.
        scores: Functions of what they read.

    Raises:
        SchemaError: A condition on something else.
    """
    unbinned = [r for r in model.regions if r.kind == "unbinned"]
    parts = [(f"processes.{p.name}.split.{s.name}", s.condition) for p in model.processes for s in p.splits]
    regions = [(f"regions.{r.name}", r.condition) for r in unbinned if r.condition] if len(unbinned) > 1 else []
    known = {*features, *(f.removesuffix("_filled") for f in features), *scores}
    for key, text in (*parts, *regions) if unbinned or not model.regions else ():
        unseen = sorted(set(Condition.parse(text).names) - known)
        if unseen:
            raise SchemaError(
                f"{key}.condition",
                got=f"{text!r}, while the networks do not read {unseen}",
                expected=f"a condition on ratios.features {list(features)}",
                remedy=f"add {', '.join(unseen)} to ratios.features (with `fills` where values are missing)",
            )

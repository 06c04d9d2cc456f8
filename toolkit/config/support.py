"""What of the general form of a physics model the later stages cannot do yet: one list, from which entries are taken as they can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from toolkit.config.ratios import ThetaConfig
from toolkit.errors import SchemaError
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

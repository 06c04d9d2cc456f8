"""The uncertainty of the density ratios themselves: one nuisance parameter per process that moves its log ratio by the ensemble's spread.

Members of the ensemble train on half of the folds each, so their standard deviation around the mean is, to first order, that of the mean
under a new training sample: half-samples differ from the whole as much as the whole differs from the truth. For other shares of the events
the spread is scaled (`RatioSettings.spread_factor`). The noise of single trainings, which the mean averages out, is counted in full; the
estimate is on the safe side.
"""

from __future__ import annotations

from functools import partial

from toolkit.analysis.datasets import Events
from toolkit.analysis.layout import MODEL
from toolkit.analysis.learned import LearnedVariations, LogPairs
from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import OnnxRatio
from toolkit.weights import SimulatedEvents


def add_spread(
    learned: LearnedVariations | None, config: Config, ratio: OnnxRatio, *, pool: SimulatedEvents, test: SimulatedEvents
) -> LearnedVariations:
    """Add the spread of the networks to the per-event variations of the unbinned channel.

    Args:
        learned: Learned systematic variations, if there are any.
        config: Names the parameters.
        ratio: The exported networks.
        pool: Training events, on which densities are normalised.
        test: Test events.

    Returns:
        The variations with one more per process, (+spread, -spread) of its log ratio.

    Raises:
        SchemaError: The exported file holds one network, which has no spread.
    """
    if not ratio.has_spread:
        what = "likelihood.ratio_uncertainty"
        raise SchemaError(what, got="a single network", expected="an ensemble", remedy="train again, or leave ratio_uncertainty out")
    names = config.ratio_nuisances
    evaluate = partial(_evaluate, learned, ratio, names, config.ratios.spread_factor)
    return LearnedVariations(
        names=learned.names if learned else (),
        files={**(learned.files if learned else {}), **{name: {"spread": MODEL} for name in names}},
        processes={**(learned.processes if learned else {}), **{n: (p,) for n, p in zip(names, config.densities, strict=True)}},
        dropped_yields=learned.dropped_yields if learned else {},
        evaluate=evaluate,
        data=evaluate(test),
        pool=evaluate(pool),
        pool_events=pool,
    )


def _evaluate(
    learned: LearnedVariations | None, ratio: OnnxRatio, names: tuple[str, ...], factor: float, events: Events
) -> tuple[LogPairs, ...]:
    """Return the learned variations of events, with the spread of the process beside them."""
    spread = factor * ratio.spread(ratio.columns(events.observables))
    before = learned.evaluate(events) if learned else ({},) * len(names)
    return tuple({**own, name: (spread[:, j], -spread[:, j])} for j, (own, name) in enumerate(zip(before, names, strict=True)))

"""The uncertainty of the density ratios themselves: one nuisance parameter per process that moves its log ratio by the ensemble's spread.

Members of the ensemble train on half of the folds each, so their standard deviation around the mean is, to first order, that of the mean
under a new training sample: half-samples differ from the whole as much as the whole differs from the truth. The noise of single trainings,
which the mean averages out, is counted in full; the estimate is on the safe side.
"""

from __future__ import annotations

from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import OnnxRatio
from toolkit.pipeline.stages.layout import MODEL
from toolkit.pipeline.stages.learned import LearnedVariations, LogPair
from toolkit.weights import SimulatedEvents


def add_spread(
    learned: LearnedVariations | None, config: Config, ratio: OnnxRatio, *, pool: SimulatedEvents, test: SimulatedEvents
) -> LearnedVariations:
    """Add the spread of the networks to the per-event variations of the unbinned channel.

    Args:
        learned: Learned systematic variations, if there are any.
        config: Names the parameters.
        ratio: The exported networks.
        pool: Pool events, on which densities are normalised.
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
    sides: list[tuple[dict[str, LogPair], ...]] = []
    for events, own in ((test, learned.test if learned else ()), (pool, learned.pool if learned else ())):
        spread = ratio.spread(ratio.columns(events.observables))
        before = own or ({},) * len(config.processes)
        added = [{name: (spread[:, j], -spread[:, j])} for j, name in enumerate(names)]
        sides.append(tuple({**one, **two} for one, two in zip(before, added, strict=True)))
    return LearnedVariations(
        names=learned.names if learned else (),
        files={**(learned.files if learned else {}), **{name: {"spread": MODEL} for name in names}},
        processes={**(learned.processes if learned else {}), **{n: (p,) for n, p in zip(names, config.processes, strict=True)}},
        dropped_yields=learned.dropped_yields if learned else {},
        test=sides[0],
        pool=sides[1],
        pool_events=pool,
    )

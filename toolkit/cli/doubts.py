"""What is allowed in a config and its files, and is probably a mistake: said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.config import Config


def doubts(config: Config) -> tuple[str, ...]:
    """Return one sentence for each thing that a reader of the config should look at again.

    Args:
        config: The analysis.
    """
    return (*_narrow_histograms(config), *_unseen_variations(config), *_own_weights(config))


def _own_weights(config: Config) -> Iterator[str]:
    """Find interfering samples without the weights of the other benchmarks: forgotten, or generated separately."""
    from toolkit.errors import ToolkitError

    if not config.simulated:
        return
    model = config.model
    names = [s.name for process in model.processes for s in model.separate_samples(process.name)]
    if not names:
        return
    try:
        config.require_interference()
    except ToolkitError as error:
        yield f"`h4l run` will refuse this config, `h4l process` will not: {error.what}, {error.got}. Expected: {error.expected}."
        return
    yield (
        f"samples {', '.join(names)} list no `benchmarks` that tell all densities: the networks learn from which sample an event is, "
        "which takes more events for the same precision (docs/training.md). List the weights if the events carry them."
    )


def _narrow_histograms(config: Config) -> Iterator[str]:
    """Find histograms that end inside a window of the selection: the fit refuses events beyond their edges, after the training."""
    from toolkit.expressions import Condition

    windows = {name: getattr(config.selection, name) for name in ("m4l", "m_z1", "m_z2")}
    conditions = [r.condition for r in (config.model.regions if config.general else ()) if r.kind == "unbinned" and r.condition]
    narrowed = {name for text in conditions for name in Condition.parse(text).names}
    for method, histogram in ((name, h) for name, h in config.histograms.items() if h.bins is None):
        for observable, edges in zip(histogram.observables, histogram.axes, strict=True):
            low, high = (edges[0], edges[-1]) if observable in narrowed else windows.get(observable, (edges[0], edges[-1]))
            if edges[0] > low or edges[-1] < high:
                ends, window = f"[{edges[0]:g}, {edges[-1]:g}]", f"[{low:g}, {high:g}]"
                yield (
                    f"histograms.{method}: edges of {observable} span {ends} GeV, the selection {window}: the fit refuses events beyond "
                    f"the edges. Widen the edges, or narrow selection.{observable}."
                )


def _unseen_variations(config: Config) -> Iterator[str]:
    """Find variations of which the unbinned channel sees what one histogram shows, and no more."""
    from toolkit.config import WeightMembers

    learns = config.systematics.ratios.shape != "histogram"
    names = [] if learns else [*config.table_systematics]
    names += [name for name, weight in config.systematics.weights.items() if not learns or isinstance(weight, WeightMembers)]
    if not names or not config.likelihood.systematics or not any(sample.benchmarks for sample in config.samples):
        return
    shape = next((observable for observable, _ in config.histograms_of_one.values()), None)
    seen = "nothing of the shape" if shape is None else f"no more than the bins of {shape} show"
    others = [name for name in config.ratios.features if name != shape]
    remedy = "" if learns else " `shape: networks` learns the change of all features."
    yield (
        f"systematics.ratios.shape: of {', '.join(names)} the unbinned channel sees {seen}, and not what they do to {', '.join(others)}. "
        f"The fit lists what it leaves out, with the size.{remedy}"
    )

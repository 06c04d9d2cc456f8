"""What is allowed in a config and its files, and is probably a mistake: said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.config import Config


def doubts(config: Config) -> tuple[str, ...]:
    """Return one sentence for each thing that a reader of the config should look at again.

    Args:
        config: The analysis.
    """
    return tuple(_narrow_histograms(config))


def _narrow_histograms(config: Config) -> Iterator[str]:
    """Find histograms that end inside a window of the selection: the fit refuses events beyond their edges, after the training."""
    windows = {name: getattr(config.selection, name) for name in ("m4l", "m_z1", "m_z2")}
    for method, histogram in config.histograms.items():
        for observable, edges in zip(histogram.observables, histogram.axes, strict=True):
            low, high = windows.get(observable, (edges[0], edges[-1]))
            if edges[0] > low or edges[-1] < high:
                ends, window = f"[{edges[0]:g}, {edges[-1]:g}]", f"[{low:g}, {high:g}]"
                yield (
                    f"histograms.{method}: edges of {observable} span {ends} GeV, the selection {window}: the fit refuses events beyond "
                    f"the edges. Widen the edges, or narrow selection.{observable}."
                )

"""The cut flow of every sample: what each cut leaves, as expected events and as a fraction of the simulated ones."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.plots.names import cut_label, process_color, process_label
from toolkit.plots.style import DASHES, MARKERS, PLAIN, PlotStyle, StyledFigure, log_limits, new_figure

Sums = Mapping[str, Mapping[str, float]]


def plot_cutflow(samples: Mapping[str, Sums], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the cut flow.

    Args:
        samples: Per sample and cut, in order, `events` (simulated), `sumw` (expected) and `sumw2`.
        style: Look and header.

    Returns:
        The figure: expected events after each cut on a logarithmic axis with the error of the simulation, below it the
        fraction of simulated events (unweighted) that is left. Its numbers are `samples`. Sums that are not positive are not drawn.
    """
    cuts = list(dict.fromkeys(cut for flow in samples.values() for cut in flow))
    numbers = {"cuts": cuts, "samples": {name: {cut: dict(sums) for cut, sums in flow.items()} for name, flow in samples.items()}}
    with new_figure(style, numbers=numbers, size=(7.2, 5.6), panels=(2.0, 1.0)) as (figure, (top, bottom)):
        for i, (name, flow) in enumerate(samples.items()):
            look = {
                "color": process_color(name, i),
                "linestyle": DASHES[i % len(DASHES)],
                "marker": MARKERS[i % len(MARKERS)],
            }
            kept = [cut for cut in flow if flow[cut]["sumw"] > 0]
            x, y = [cuts.index(cut) for cut in kept], [flow[cut]["sumw"] for cut in kept]
            errors = [flow[cut]["sumw2"] ** 0.5 for cut in kept]
            top.errorbar(x, y, yerr=errors, label=process_label(name), **look)
            first = next(iter(flow.values()))["events"] or 1.0
            bottom.plot([cuts.index(cut) for cut in flow], [sums["events"] / first for sums in flow.values()], **look)
        top.set_yscale("log")
        top.set_ylabel("expected events")
        drawn = [sums["sumw"] for flow in samples.values() for sums in flow.values() if sums["sumw"] > 0] or [1.0]
        top.set_ylim(*log_limits(min(drawn), max(drawn), headroom=0.08 + 0.09 * -(-len(samples) // 2)))
        if samples:
            top.legend(loc="upper right", ncols=2)
        bottom.set_ylabel("fraction left\n(unweighted)")
        bottom.set_ylim(0, 1.08)
        bottom.set_xticks(range(len(cuts)), [cut_label(cut) for cut in cuts], rotation=25, ha="right", rotation_mode="anchor")
        bottom.tick_params(axis="x", which="minor", bottom=False, top=False)
        top.tick_params(axis="x", which="minor", bottom=False, top=False)
    return figure

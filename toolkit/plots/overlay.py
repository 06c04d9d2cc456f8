"""Distribution of a score in several samples, normalised to one, above their ratio to the first."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.diagnostics.overlay import Overlay
from toolkit.diagnostics.serialise import jsonable
from toolkit.plots.names import math_or_plain, p_value_text, process_label
from toolkit.plots.reweighting import half_height
from toolkit.plots.spectra import band, step
from toolkit.plots.style import BLACK, BLUE, GREEN, GREY, PLAIN, PURPLE, VERMILION, PlotStyle, StyledFigure, new_figure, style_context

LOOKS = ((VERMILION, "-"), (BLUE, "--"), (GREEN, "-."), (PURPLE, ":"))
"""Colour and line of the samples that are compared with the first."""


def plot_overlay(overlay: Overlay, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the first sample as points, the others as lines, and the ratio to the first.

    Args:
        overlay: The comparison.
        style: Look and header.

    Returns:
        The figure; its numbers are `overlay.to_json()`, the bin widths that contents are divided by, and the ratios with their errors
        (independent samples). The widths of the outermost bins, which include what lies beyond, are those drawn.
    """
    widths = np.diff(overlay.edges)
    with style_context(style):
        names = [process_label(name) for name in overlay.names]
    base = np.where(overlay.content[0] > 0, overlay.content[0], np.nan)
    ratio, error = overlay.content / base, overlay.error / np.abs(base)
    numbers = {**overlay.to_json(), "divided_by": jsonable(widths), "ratio": jsonable(ratio), "ratio_error": jsonable(error)}
    with new_figure(style, numbers=numbers, size=(6.4, 6.2), panels=(2.6, 1.3)) as (figure, (top, low)):
        middle = (overlay.edges[1:] + overlay.edges[:-1]) / 2
        points: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLACK, "xerr": widths / 2, "elinewidth": 1.0, "capsize": 0}
        top.errorbar(middle, overlay.content[0] / widths, yerr=overlay.error[0] / widths, label=names[0], **points)
        band(low, np.ones_like(base), error[0], overlay.edges, color=GREY)
        low.axhline(1, color=BLACK, linewidth=0.9, zorder=0)
        for i, name in enumerate(names[1:]):
            color, dashes = LOOKS[i % len(LOOKS)]
            test = overlay.chi2[i]
            text = f"$\\chi^2$/ndf = {test.chi2:.0f}/{test.ndf}, {p_value_text(test.p_value)}; KS {p_value_text(overlay.ks[i].p_value)}"
            step(top, overlay.content[i + 1] / widths, overlay.edges, color=color, linestyle=dashes, label=f"{name}\n{text}")
            band(top, overlay.content[i + 1] / widths, overlay.error[i + 1] / widths, overlay.edges, color=color)
            step(low, ratio[i + 1], overlay.edges, color=color, linestyle=dashes)
            band(low, ratio[i + 1], error[i + 1], overlay.edges, color=color)
        highest = float(np.nanmax((overlay.content + overlay.error) / widths, initial=0.0))
        top.set_ylim(min(0.0, float(np.nanmin(overlay.content / widths))), highest * (1.35 + 0.22 * len(overlay.names[1:])))
        top.set_xlim(overlay.edges[0], overlay.edges[-1])
        handles, texts = top.get_legend_handles_labels()
        first = texts.index(names[0])
        order = [first, *(i for i in range(len(texts)) if i != first)]
        chosen = [handles[i] for i in order], [texts[i] for i in order]
        top.legend(*chosen, loc="upper left", title=process_label(overlay.title) if overlay.title else None, alignment="left")
        top.set_ylabel("events / unit, normalised to 1")
        low.set_ylabel(f"ratio to\n{names[0]}")
        low.set_xlabel(math_or_plain(overlay.score))
        limit = half_height(ratio[1:], np.hypot(error[1:], error[0]), room=(1.2, 1.2), least=0.05)
        low.set_ylim(1 - limit, 1 + limit)
    return figure

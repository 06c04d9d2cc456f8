"""Critical values of a Neyman construction against the parameter of interest, with the chi-square values and t of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import chi2

from toolkit.likelihood.neyman import NeymanResult
from toolkit.plots.names import parameter_symbol
from toolkit.plots.root_axis import root_axis, smooth
from toolkit.plots.style import BLACK, BLUE, GREEN, PLAIN, PURPLE, VERMILION, PlotStyle, StyledFigure, band_height, legend_band, new_figure

CURVE_POINTS = 241
_COLORS = (BLUE, VERMILION, GREEN, PURPLE)


def plot_critical_values(result: NeymanResult, *, data: str = "the data", style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw where t of the data lies below the critical values.

    Args:
        result: The construction and the intervals of the data.
        data: What t was measured on, for the legend.
        style: Look and header.

    Returns:
        The figure: points are the critical values of single grid points, bands the smoothed curves with their errors from the
        finite number of toys, horizontal lines the chi-square values, the black curve t of the data. Its numbers hold all of
        them and the intervals.
    """
    low, high = result.bands.range
    scan, symbol = result.scan, parameter_symbol(result.bands.parameter)
    numbers: dict[str, Any] = {**result.to_json(), "curves": {}}
    with new_figure(style, numbers=numbers) as (figure, (ax,)):
        top, shape = 0.0, (high - low) * np.linspace(0.0, 1.0, CURVE_POINTS) ** 2 + low
        for color, (name, curve) in zip(_COLORS, result.bands.curves.items(), strict=False):
            values, errors = curve(shape), curve.error(shape)
            line = float(chi2.ppf(curve.level, 1))
            shown = {"x": shape.tolist(), "critical": values.tolist(), "errors": errors.tolist(), "chi2": line}
            figure.numbers["curves"][name] = shown
            ax.fill_between(shape, values - errors, values + errors, color=color, alpha=0.3, linewidth=0)
            ax.plot(shape, values, color=color, linewidth=1.8, label=f"{name}% CL, from toys")
            ax.errorbar(curve.points, curve.values, yerr=curve.errors, color=color, fmt="o", markersize=3.5, linewidth=1.0)
            ax.axhline(line, color=color, linestyle="--", linewidth=1.1, label=rf"{name}% CL, $\chi^2$")
            top = max(top, float(values.max()), line)
        root = result.bands.parameter in style.roots and low == 0.0
        t = smooth(scan.values, scan.twice_delta_nll, root=True) if root else (scan.values, scan.twice_delta_nll)
        ax.plot(*t, color=BLACK, linewidth=1.6, label=f"$t$({symbol}) of {data}")
        ax.set_xlabel(symbol)
        ax.set_ylabel(rf"$t$({symbol}) $= -2\,\Delta\ln L$")
        ax.set_xlim(low, high)
        if root:
            root_axis(ax)
        ax.set_ylim(0.0, 1.3 * top / (1.0 - band_height(2 * len(result.bands.curves) + 1)))
        legend_band(ax)
    return figure

"""Plots of frozen results: one function per plot, no global state, the numbers saved beside the picture."""

from toolkit.plots.calibration import plot_calibration
from toolkit.plots.calibration_change import plot_calibration_change
from toolkit.plots.closure import plot_closure
from toolkit.plots.contours import plot_contours
from toolkit.plots.coverage import plot_coverage
from toolkit.plots.cutflow import plot_cutflow
from toolkit.plots.effective_size import plot_effective_size
from toolkit.plots.impacts import plot_impacts
from toolkit.plots.importance import plot_importance
from toolkit.plots.learning_curve import plot_learning_curve
from toolkit.plots.names import ProcessLook
from toolkit.plots.negative_weights import plot_negative_weights
from toolkit.plots.neyman import plot_critical_values
from toolkit.plots.overlay import plot_overlay
from toolkit.plots.pulls import plot_pulls
from toolkit.plots.reweighting import plot_reweighting, plot_reweighting_overview
from toolkit.plots.save import SavedPlot, png_bytes, save_figure
from toolkit.plots.scans import plot_scans
from toolkit.plots.spectra import plot_spectrum
from toolkit.plots.spread import plot_spread
from toolkit.plots.style import PlotStyle, StyledFigure
from toolkit.plots.training import plot_training
from toolkit.plots.two_samples import plot_two_samples
from toolkit.plots.variations import plot_variation
from toolkit.plots.yields import plot_yields

__all__ = [
    "PlotStyle",
    "ProcessLook",
    "SavedPlot",
    "StyledFigure",
    "plot_calibration",
    "plot_calibration_change",
    "plot_closure",
    "plot_contours",
    "plot_coverage",
    "plot_critical_values",
    "plot_cutflow",
    "plot_effective_size",
    "plot_impacts",
    "plot_importance",
    "plot_learning_curve",
    "plot_negative_weights",
    "plot_overlay",
    "plot_pulls",
    "plot_reweighting",
    "plot_reweighting_overview",
    "plot_scans",
    "plot_spectrum",
    "plot_spread",
    "plot_training",
    "plot_two_samples",
    "plot_variation",
    "plot_yields",
    "png_bytes",
    "save_figure",
]

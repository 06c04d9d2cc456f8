"""Stage `histograms`: histograms of all observables, and those of the config, from the event tables."""

from __future__ import annotations

from processors.histogram_files import fill_histograms
from toolkit.analysis.layout import EVENTS
from toolkit.pipeline.stage import StageContext


def run(context: StageContext) -> None:
    """Fill `histograms/`."""
    fill_histograms(context.config, context.out / EVENTS, context.work, progress=context.progress)

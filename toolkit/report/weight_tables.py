"""The table of negative weights."""

from __future__ import annotations

import math

from toolkit.diagnostics.weight_quality import WeightQuality
from toolkit.report.page import PageTable
from toolkit.report.wording import significant

NOTE = (
    "Negative weights are kept. Share: of the events with a weight, and of the sum of |w|. Size left: (1 - 2 f)² of the effective "
    "size, f the share of the weight. Sums over several processes can be negative at single events where interference is."
)


def negative_page_table(quality: WeightQuality) -> PageTable | None:
    """Count negative and zero weights of every process and region that has any; None if there are none."""
    rows = []
    for entry in quality.negative:
        if not entry.n_negative and not entry.n_zero:
            continue
        rows.append(
            (
                entry.process,
                entry.region,
                significant(float(entry.n_events), digits=4),
                str(entry.n_negative),
                str(entry.n_zero),
                _percent(entry.event_fraction),
                _percent(entry.weight_fraction),
                _percent(entry.size_factor),
                significant(entry.n_eff, digits=3),
            )
        )
    if not rows:
        return None
    columns = ("process", "region", "events", "negative", "zero", "share of events", "share of weight", "size left", "N_eff")
    return PageTable("Negative and zero weights", columns, tuple(rows), note=NOTE)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.3g} %"

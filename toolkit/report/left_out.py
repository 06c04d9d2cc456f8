"""The part of the report on changes of features that the unbinned fit does not know of, and the same for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.page import PageSection, PageTable
from toolkit.report.wording import number

TITLE = "Left out of the unbinned fit"
TEXT = (
    "These variations change features by more than the statistics of the simulation explain, and the unbinned fit does not know of it: "
    "neither learned networks nor the bins of the histogram in which its variations are taken show the change. Its intervals lack what "
    "this would add. The size is that of the feature with the largest change, in standard deviations of data that hold the process "
    "alone; 1 is a change that such data would just notice. `systematics.ratios.shape: networks` learns them."
)


def left_out_notes(variations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return one sentence per systematic, of the process with the largest change.

    Examples:
        >>> row = {"systematic": "jet_scale", "process": "qqZZ", "feature": "n_jets", "size": 0.431, "whole": 0.44, "features": ["n_jets"]}
        >>> left_out_notes([row])[0][:72]
        'left out of the unbinned fit: jet_scale changes n_jets of qqZZ by 0.44 s'
    """
    largest: dict[str, Mapping[str, Any]] = {}
    for row in sorted(variations, key=lambda row: -row["size"]):
        largest.setdefault(row["systematic"], row)
    return tuple(
        f"left out of the unbinned fit: {name} changes {row['feature']} of {row['process']} by {number(row['whole'], digits=2)} standard "
        f"deviations of data, {number(row['size'], digits=2)} of them unknown to the fit."
        for name, row in largest.items()
    )


def left_out_section(variations: Sequence[Mapping[str, Any]]) -> PageSection:
    """Build the section."""
    columns = ("systematic", "process", "largest in", "left out (standard deviations)", "whole change", "all such features")
    rows = tuple(
        (r["systematic"], r["process"], r["feature"], number(r["size"]), number(r["whole"]), ", ".join(r["features"])) for r in variations
    )
    return PageSection(TITLE, text=(TEXT,), tables=(PageTable("Variations", columns, rows, frozenset(range(len(rows)))),))

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
    "alone; 1 is a change that such data would just notice. What the loss does to the parameter is measured in the histogram of the score, "
    "which shows the variation whole: its error with and without the part that is left out, and the shift in data in which the nuisance "
    "parameter is 1. `systematics.ratios.shape: networks` learns them."
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
        f"left out of the unbinned fit: {name} changes {row['feature']} of {_place(row)} by {number(row['whole'], digits=2)} standard "
        f"deviations of data, {number(row['size'], digits=2)} of them unknown to the fit.{_price(row.get('loss'))}"
        for name, row in largest.items()
    )


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['process']} in {row['region']}" if row.get("region") else str(row["process"])


def _price(loss: Mapping[str, Any] | None) -> str:
    """Say what the loss does to the parameter; nothing where it was not measured.

    Examples:
        >>> _price({"parameter": "mu", "error": 0.91, "error_known": 0.85, "shift": 0.127})[31:]
        'this part takes the upper error of mu from 0.85 to 0.91, and 1 standard deviation moves mu by +0.127.'
    """
    if loss is None:
        return ""
    errors = (number(loss["error_known"], digits=2), number(loss["error"], digits=2))
    return (
        f" In the histogram of the score this part takes the upper error of {loss['parameter']} from {errors[0]} to {errors[1]}, and 1 "
        f"standard deviation moves {loss['parameter']} by {loss['shift']:+.3f}."
    )


def left_out_section(variations: Sequence[Mapping[str, Any]]) -> PageSection:
    """Build the section."""
    columns = ("systematic", "process", "largest in", "left out (standard deviations)", "whole change", "all such features")
    rows = tuple(
        (r["systematic"], _place(r), r["feature"], number(r["size"]), number(r["whole"]), ", ".join(r["features"])) for r in variations
    )
    tables = [PageTable("Variations", columns, rows, frozenset(range(len(rows))))]
    losses = {r["systematic"]: r["loss"] for r in variations if r.get("loss")}
    if losses:
        poi = next(iter(losses.values()))["parameter"]
        head = ("systematic", f"upper error of {poi} without this part", "with it", f"shift of {poi} for 1 standard deviation")
        prices = tuple((n, number(v["error_known"]), number(v["error"]), f"{v['shift']:+.3f}") for n, v in losses.items())
        tables.append(PageTable(f"Effect on {poi} in the histogram of the score", head, prices))
    return PageSection(TITLE, text=(TEXT,), tables=tuple(tables))

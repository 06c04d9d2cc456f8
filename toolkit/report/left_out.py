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
    "alone; 1 is a change that such data would just notice. What the loss does to a parameter is measured in the histogram of the score, "
    "which shows the variation whole: its error with and without the part that is left out, and the shift in data in which the nuisance "
    "parameter is 1. Where there are regions, one at a time lacks the part, and all are fitted. An error that exceeds the range of the "
    "parameter is the distance to the end of it. `systematics.ratios.shape: networks` learns them."
)


def left_out_notes(variations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return one sentence per systematic and region, of the process with the largest change.

    Examples:
        >>> row = {"systematic": "jet_scale", "process": "qqZZ", "feature": "n_jets", "size": 0.431, "whole": 0.44, "features": ["n_jets"]}
        >>> left_out_notes([row])[0][:72]
        'left out of the unbinned fit: jet_scale changes n_jets of qqZZ by 0.44 s'
    """
    largest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in sorted(variations, key=lambda row: -row["size"]):
        largest.setdefault((row["systematic"], row.get("region", "")), row)
    return tuple(
        f"left out of the unbinned fit: {name} changes {row['feature']} of {_place(row)} by {number(row['whole'], digits=2)} standard "
        f"deviations of data, {number(row['size'], digits=2)} of them unknown to the fit.{''.join(map(_price, row.get('losses', ())))}"
        for (name, _), row in largest.items()
    )


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['process']} in {row['region']}" if row.get("region") else str(row["process"])


def _price(loss: Mapping[str, Any]) -> str:
    """Say what the loss does to a parameter.

    Examples:
        >>> _price({"parameter": "mu", "error": 0.91, "error_known": 0.85, "shift": 0.127, "at_end": False, "known_at_end": False})[31:]
        'this part takes the upper error of mu from 0.85 to 0.91, and 1 standard deviation moves mu by +0.127.'
    """
    return (
        f" In the histogram of the score this part takes the upper error of {loss['parameter']} from {_error(loss, 'known')} to "
        f"{_error(loss)}, and 1 standard deviation moves {loss['parameter']} by {loss['shift']:+.3f}."
    )


def _error(loss: Mapping[str, Any], which: str = "") -> str:
    """Write an error; one that exceeds the range of the parameter is the distance to its end.

    Examples:
        >>> _error({"error": 4.96, "at_end": True})
        '4.96 (the end of its range)'
    """
    value, at_end = (loss["error_known"], loss["known_at_end"]) if which else (loss["error"], loss["at_end"])
    return number(value, digits=2) + (" (the end of its range)" if at_end else "")


def left_out_section(variations: Sequence[Mapping[str, Any]]) -> PageSection:
    """Build the section."""
    columns = ("systematic", "process", "largest in", "left out (standard deviations)", "whole change", "all such features")
    rows = tuple(
        (r["systematic"], _place(r), r["feature"], number(r["size"]), number(r["whole"]), ", ".join(r["features"])) for r in variations
    )
    tables = [PageTable("Variations", columns, rows, frozenset(range(len(rows))))]
    losses = {(r["systematic"], r.get("region", "")): r["losses"] for r in variations if r.get("losses")}
    if losses:
        regions = any(region for _, region in losses)
        place = ("systematic", "region") if regions else ("systematic",)
        head = (*place, "parameter", "upper error without this part", "with it", "shift for 1 standard deviation")
        prices = tuple(
            (name, *((region,) if regions else ()), v["parameter"], _error(v, "known"), _error(v), f"{v['shift']:+.3f}")
            for (name, region), own in losses.items()
            for v in own
        )
        tables.append(PageTable("Effect on the parameters in the histogram of the score", head, prices))
    return PageSection(TITLE, text=(TEXT,), tables=tuple(tables))

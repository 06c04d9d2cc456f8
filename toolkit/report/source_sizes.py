"""The part of the report on the sources of systematic uncertainties: how much each one changes the yield of each sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.report.page import PageSection, PageTable

TITLE = "Systematic sources"
TEXT = (
    "Change of the expected events of each sample after all cuts when a source moves by one standard deviation up / down. What it "
    "changes in shape, and what it costs the measurement, stands under the uncertainties and impacts."
)


def sources_section(cutflow: Mapping[str, Any], *, luminosity: float = 0.0) -> PageSection | None:
    """Build the section; None without systematic sources.

    Args:
        cutflow: Content of cutflow.json, whose `variations` hold the cut flow of every sample under every variation.
        luminosity: Relative uncertainty of the luminosity, which scales all samples.

    Examples:
        >>> flow = {"all": {"sumw": 20.0}, "m4l": {"sumw": 10.0}}
        >>> moved = {"scale_up": {"cutflow": {"m4l": {"sumw": 10.5}}}, "scale_down": {"cutflow": {"m4l": {"sumw": 9.8}}}}
        >>> sources_section({"samples": {"qqZZ": flow}, "variations": {"qqZZ": moved}}).tables[0].rows
        (('scale', '+5.0 / -2.0 %'),)
    """
    found: Mapping[str, Mapping[str, Any]] = cutflow.get("variations", {})
    names = dict.fromkeys(_source(variation) for own in found.values() for variation in own)
    samples = tuple(name for name in cutflow.get("samples", {}) if found.get(name))
    rows = [(name, *(_change(cutflow, sample, name) for sample in samples)) for name in names]
    if luminosity > 0.0:
        rows.append(("luminosity", *([f"+{100 * luminosity:.2g} / -{100 * luminosity:.2g} %"] * len(samples))))
    if not rows or not samples:
        return None
    return PageSection(TITLE, text=(TEXT,), tables=(PageTable("Change of the yields", ("source", *samples), tuple(rows)),))


def _source(variation: str) -> str:
    return variation.removesuffix("_up").removesuffix("_down")


def _change(cutflow: Mapping[str, Any], sample: str, source: str) -> str:
    nominal = float(list(cutflow["samples"][sample].values())[-1]["sumw"])
    shifts = []
    for direction in ("up", "down"):
        varied = cutflow["variations"][sample].get(f"{source}_{direction}")
        if varied is None or nominal == 0.0:
            shifts.append("-")
        else:
            shifts.append(f"{100 * (float(list(varied['cutflow'].values())[-1]['sumw']) / nominal - 1):+.1f}")
    return "-" if shifts == ["-", "-"] else f"{shifts[0]} / {shifts[1]} %"

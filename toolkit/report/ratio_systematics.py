"""The part of the report on learned systematic variations: what was learned, how well, what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from toolkit.diagnostics.variations import VariationClosure
from toolkit.plots import PlotStyle, plot_variation
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.wording import number

PART = "variations"
TITLE = "Learned variations"
KEPT = "kept"
TEXT = (
    "Networks learn the ratio of varied to nominal density of every process and event. All numbers are from test events, which trained "
    "neither the networks nor their scale, but for the significance and the separation that decide what is kept: these are from training "
    "events, each judged by networks that have not seen it. Nominal and varied events are the same simulated events, so errors are far "
    "smaller than those of data. Slope: the factor that would make the logarithm of the ratio agree best. Separation: by how many standard "
    "deviations a fit parameter could shift if the change of shape were left out and the process were alone in the data."
)

Variations = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""`variations` of models/systematics.json: systematic, process, what was found."""


def variation_jobs(variations: Variations, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List one plot per systematic with a kept shape: that of the process with the largest separation."""
    for name, processes in variations.items():
        kept = {process: entry for process, entry in processes.items() if entry["shape"] == KEPT}
        if not kept:
            continue
        process = max(kept, key=lambda p: _separation(kept[p]))
        closures = {d: [VariationClosure.from_json(c) for c in e["test"]["closures"]] for d, e in kept[process]["directions"].items()}
        text = (
            f"{name}, {process}: varied shapes (lines) and nominal test events reweighted with the learned ratio (points), both over "
            "nominal. Events beyond the edges are in the outer bins."
        )
        draw = partial(plot_variation, closures, process=process, systematic=name, style=style)
        yield PlotJob(PART, f"variation_{slug(name)}", text, draw, wide=True)


def variations_section(variations: Variations, figures: tuple[PageFigure, ...]) -> PageSection:
    """Build the section."""
    return PageSection(TITLE, text=(TEXT,), tables=(decisions_table(variations), quality_table(variations)), figures=figures)


def decisions_table(variations: Variations) -> PageTable:
    """Every systematic and process (rows): yields, and whether its shape and yield are in the unbinned fit."""
    rows: list[tuple[str, ...]] = []
    dropped: set[int] = set()
    for name, processes in variations.items():
        for process, entry in processes.items():
            yields = "\n".join(f"{d}: {number(e['yield_ratio'] - 1.0)}" for d, e in entry["directions"].items())
            judged = [e["out_of_bag"] for e in entry["directions"].values() if "out_of_bag" in e]
            best = [number(max(c[key] for c in judged)) if judged else "-" for key in ("significance", "separation")]
            if KEPT not in (entry["shape"], entry["yield"]):
                dropped.add(len(rows))
            rows.append((name, process, yields, entry["yield"], *best, entry["shape"]))
    columns = ("systematic", "process", "yield / nominal - 1", "yield", "significance", "separation", "shape")
    note = "Significance and separation: of the direction with the larger one. Marked rows are not in the unbinned fit at all."
    return PageTable("What the fit uses", columns, tuple(rows), flagged=frozenset(dropped), note=note)


def quality_table(variations: Variations) -> PageTable:
    """Every learned shape (rows): slope, mean, separating power and the observable that shows most, without and with the ratio."""
    rows = []
    for name, processes in variations.items():
        for process, entry in processes.items():
            for direction, found in entry["directions"].items():
                if "test" not in found:
                    continue
                test = found["test"]
                most = max(test["closures"], key=lambda c: c["visible_before"])
                rows.append(
                    (
                        f"{name} {direction}",
                        process,
                        f"{test['slope']:.3f} ± {test['slope_error']:.3f}",
                        f"{test['mean']:.4f} ± {test['mean_error']:.4f}",
                        f"{test['auc_before'][0]:.4f}\n{test['auc_after'][0]:.4f} ± {test['auc_after'][1]:.4f}",
                        f"{most['observable']}: {number(most['visible_before'])}\n{number(most['visible_after'])}",
                    )
                )
    columns = ("variation", "process", "slope", "mean of the ratio", "AUC before, after", "most visible: before, after")
    note = (
        "AUC: varied against nominal events by the learned ratio, and the same with nominal events reweighted (0.5: nothing is left). Most "
        "visible: the observable whose histogram changes most, in standard deviations of data with this process alone."
    )
    return PageTable("Learned ratios on test events", columns, tuple(rows), note=note)


def decisions_document(variations: Variations) -> dict[str, Any]:
    """Return what results.json says: yields, decisions and numbers, without the histograms."""
    return {name: {process: _without_closures(entry) for process, entry in processes.items()} for name, processes in variations.items()}


def _without_closures(entry: Mapping[str, Any]) -> dict[str, Any]:
    directions = {}
    for direction, found in entry["directions"].items():
        test = {key: value for key, value in found.get("test", {}).items() if key != "closures"}
        directions[direction] = {**found, **({"test": test} if test else {})}
    return {**entry, "directions": directions}


def _separation(entry: Mapping[str, Any]) -> float:
    return max(float(e["out_of_bag"]["separation"]) for e in entry["directions"].values())

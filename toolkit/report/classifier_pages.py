"""The part of the report on the classifiers that the pipeline trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from toolkit.diagnostics.importance import Importance
from toolkit.diagnostics.overlay import Overlay
from toolkit.diagnostics.score_comparison import EFFICIENCIES, ScoreComparison
from toolkit.diagnostics.sculpting import Sculpting
from toolkit.plots import PlotStyle, plot_importance, plot_overlay
from toolkit.plots.roc import plot_roc
from toolkit.plots.sculpting import plot_sculpting
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.wording import number, probability, with_error

TITLE, PART = "Classifiers", "classifiers"
TEXT = (
    "Scores that the pipeline trained, on simulated events that none of the trainings behind a score saw. Significances are N_s/√N_b above "
    "the cut that keeps a share of the signal; ratios are those to the first score of a table, on the same events, with the bootstrap "
    "error of the pair. Curves and areas are right for weights of either sign."
)
SHAPES = (
    "A score that is to know nothing of an observable must pass the same share of the background in all of its bins. The largest change is "
    "that of the share of one bin in the background above the cut, with the error of the events behind it."
)

BY_HEART = 0.001
"""Smallest p-value that is not marked: a table has dozens of tests, some of which are below a per cent by chance."""


@dataclass(frozen=True, eq=False)
class ClassifierPages:
    """What `models/classifiers.json` says of the scores.

    Attributes:
        comparisons: One per group of classifiers and class.
        overlays: Events that were seen in training against others, by classifier.
        shuffled: What each feature is worth by shuffling, by classifier.
        removed: By classifier and group of features, the significance of trainings without it over that with it, and the error.
        shapes: What cuts do to observables that a score of the group is to know nothing of.
    """

    comparisons: tuple[ScoreComparison, ...]
    overlays: Mapping[str, tuple[Overlay, ...]]
    shapes: tuple[Sculpting, ...]
    shuffled: Mapping[str, Importance]
    removed: Mapping[str, Mapping[str, tuple[float, float]]]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ClassifierPages:
        """Read what the stage `classify` wrote."""
        overlays = {name: tuple(Overlay.from_json(part) for part in parts) for name, parts in document["overlays"].items()}
        return cls(
            tuple(ScoreComparison.from_json(part) for part in document["comparisons"]),
            overlays,
            tuple(Sculpting.from_json(part) for part in document["sculpting"]),
            {name: Importance.from_json(part["shuffling"]) for name, part in document["importance"].items()},
            {
                name: {group: (float(value), float(error)) for group, (value, error) in part["removal"].items()}
                for name, part in document["importance"].items()
                if "removal" in part
            },
        )

    def jobs(self, *, style: PlotStyle) -> Iterator[PlotJob]:
        """List the plots; their part is "classifiers"."""
        for k, comparison in enumerate(self.comparisons, start=1):
            curves = [standing.curve for standing in comparison.standings.values()]
            caption = f"{_title(comparison)}: 1 over the background efficiency against the signal efficiency."
            yield PlotJob(PART, f"classifiers_roc_{k}", caption, partial(plot_roc, curves, style=style))
        for observable, results in _by_observable(self.shapes):
            for cut, share in enumerate(EFFICIENCIES):
                caption = f"Background above cuts that keep {share:.0%} of the signal, in bins of {observable}: {SHAPES}"
                name = f"classifiers_{slug(results[0].name)}_{slug(observable)}_{share:.0%}".rstrip("%")
                yield PlotJob(PART, name, caption, partial(plot_sculpting, results, cut=cut, style=style))
        for name, result in self.shuffled.items():
            caption = f"{name}: loss of significance where a feature is that of another event."
            yield PlotJob(PART, f"classifiers_importance_{slug(name)}", caption, partial(plot_importance, (result,), style=style))
        for name, parts in self.overlays.items():
            for part in parts:
                caption = f"{name}, {part.title}: events that the training saw against events that it did not see."
                yield PlotJob(PART, f"classifiers_seen_{slug(name)}_{slug(part.title)}", caption, partial(plot_overlay, part, style=style))

    def section(self, figures: tuple[PageFigure, ...]) -> PageSection:
        """Build the section."""
        tables = []
        for comparison in self.comparisons:
            tables.append(comparison_table(comparison))
            if len(comparison.standings) > 2:  # of two scores the ratio to the first is all there is
                tables.append(pairs_table(comparison))
        if self.shapes:
            tables.append(shapes_table(self.shapes))
        tables += [importance_table(name, result, self.removed.get(name, {})) for name, result in self.shuffled.items()]
        tables += [overlays_table(self.overlays)] if self.overlays else []
        return PageSection(TITLE, text=(TEXT, *((SHAPES,) if self.shapes else ())), tables=tuple(tables), figures=figures)


def comparison_table(comparison: ScoreComparison) -> PageTable:
    """Significance, area and ratios of every score."""
    rows, first = [], next(iter(comparison.standings))
    for name, standing in comparison.standings.items():
        ratios = [_ratio_text(comparison, name, first, share) for share in EFFICIENCIES]
        rows.append((name, with_error(*standing.rate), with_error(standing.curve.area, standing.curve.area_error), *ratios))
    columns = ("score", f"N_s/√N_b at {EFFICIENCIES[0]:.0%}", "area", *(f"ratio at {share:.0%}" for share in EFFICIENCIES))
    signal, background = comparison.expected
    note = f"{number(signal)} expected events of the signal, {number(background)} of the background, {comparison.events} simulated."
    return PageTable(_title(comparison), columns, tuple(rows), note=note)


def pairs_table(comparison: ScoreComparison) -> PageTable:
    """Ratios of every score to every other at the first efficiency."""
    names, share = list(comparison.standings), EFFICIENCIES[0]
    rows = tuple((one, *(_ratio_text(comparison, one, two, share) for two in names)) for one in names)
    note = "The score of the row over that of the column, with the error of the pair."
    return PageTable(f"N_s/√N_b at {share:.0%} in pairs: {_title(comparison)}", ("score", *names), rows, note=note)


def _ratio_text(comparison: ScoreComparison, one: str, two: str, share: float) -> str:
    if one == two:
        return "1"
    found = comparison.ratio(one, two, efficiency=share)
    return with_error(found.value, found.error)


def shapes_table(shapes: Sequence[Sculpting]) -> PageTable:
    """Largest change of the shape at every cut."""
    rows: list[tuple[str, ...]] = []
    flagged: set[int] = set()
    for found in shapes:
        for share, change, error in zip(found.kept, found.change, found.change_error, strict=True):
            worst = int(np.argmax(np.abs(change)))
            if np.abs(change[worst]) > max(0.02, 2.0 * error[worst]):
                flagged.add(len(rows))
            within = int(np.sum(np.abs(change) < 0.02))
            cells = (f"{share:.0%}", f"{100 * change[worst]:+.1f} ± {100 * error[worst]:.1f} %", f"{within} of {len(change)}")
            rows.append((f"{found.name}, {found.observable}", *cells))
    columns = ("score and observable", "signal kept", "largest change", "bins within 2 %")
    note = "Marked: a change of more than 2 % and of more than two errors."
    return PageTable("Shape of the background behind cuts", columns, tuple(rows), frozenset(flagged), note)


def importance_table(name: str, shuffled: Importance, removed: Mapping[str, tuple[float, float]]) -> PageTable:
    """What each feature is worth: its share of the significance when it is shuffled, and of trainings without it."""
    rows = []
    for k in shuffled.order:
        group, loss, error = shuffled.names[k], shuffled.loss[k], shuffled.error[k]
        left = (with_error(*removed[group]),) if removed else ()
        rows.append((group, with_error(loss / shuffled.baseline, error / abs(shuffled.baseline)), *left))
    columns = ("feature", "share of the significance lost by shuffling", *(("significance without over with",) if removed else ()))
    note = "A feature that others can stand in for loses little when a training is without it, and more when it is shuffled."
    return PageTable(f"Features of {name}", columns, tuple(rows), note=note)


def overlays_table(overlays: Mapping[str, Sequence[Overlay]]) -> PageTable:
    """Tests of events that were seen in training against others; marked where a training knows its events by heart."""
    found = [(f"{name}, {part.title}", part.chi2[0], part.ks[0]) for name, parts in overlays.items() for part in parts]
    rows = tuple((text, f"{chi2.chi2:.1f}/{chi2.ndf}", probability(chi2.p_value), probability(ks.p_value)) for text, chi2, ks in found)
    flagged = frozenset(k for k, (_, chi2, ks) in enumerate(found) if min(chi2.p_value, ks.p_value) < BY_HEART)
    note = (
        f"Marked: a p-value below {BY_HEART:.1%}, of a training that knows its events by heart; scores of the analysis are those of events "
        "that were not seen."
    )
    columns = ("score and class", "χ²/ndf", "p-value", "p-value, Kolmogorov-Smirnov")
    return PageTable("Events seen in training against others", columns, rows, flagged, note)


def _title(comparison: ScoreComparison) -> str:
    return f"{comparison.title}, {comparison.where}" if comparison.where else comparison.title


def _by_observable(shapes: Sequence[Sculpting]) -> Iterator[tuple[str, list[Sculpting]]]:
    """Give what can be drawn together: one observable in the same bins."""
    found: dict[tuple[str, tuple[float, ...]], list[Sculpting]] = {}
    for part in shapes:
        found.setdefault((part.observable, tuple(part.edges.tolist())), []).append(part)
    yield from ((key[0], parts) for key, parts in found.items())

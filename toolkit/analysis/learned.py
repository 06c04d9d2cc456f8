"""Learned systematic variations as the fit reads them: ONNX files and the decisions of the export; no training framework is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from toolkit.analysis.datasets import Events
from toolkit.analysis.layout import EVENTS, VARIATIONS, VARIATIONS_REPORT
from toolkit.analysis.regions import split_events, whole_densities
from toolkit.artifacts.events import count_events
from toolkit.config import Config, WeightColumns, WeightCorrection, WeightMembers
from toolkit.errors import InputFileError
from toolkit.likelihood import OnnxRatio
from toolkit.model import learned_densities
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents

AFFORDABLE = 3_000_000
"""Variations times selected events up to which `shape: auto` trains networks: some minutes of one core."""
KEPT = "kept"
CHANGED_NOTHING = "changes nothing"
SHIFT = "shift"
"""In place of a direction: the file has outputs that move ln p_j of every process j by one standard deviation of each parameter."""
LogPair = tuple[FloatArray, FloatArray]
"""ln(varied/nominal density) up and down, (n_events,) each."""
LogPairs = Mapping[str, LogPair]
"""By nuisance parameter."""


@dataclass(frozen=True, eq=False)
class LearnedVariations:
    """The learned part of the systematic uncertainties of the unbinned channel.

    Attributes:
        names: Systematics that are learned, those without a shape that is worth keeping included.
        files: By systematic with a kept shape, the ONNX file of each direction, relative to the output folder.
        processes: By systematic with a kept shape, the densities whose shape it changes.
        dropped_yields: By systematic, the densities whose yield it leaves alone.
        evaluate: Gives, per process and systematic, the logarithms of any events.
        data: Those of the events that are fitted: of the test events, or of the observed data.
        training: Those of the training events, on which the variations are normalised.
        training_events: These events.
        yields: By parameter, the relative change of the yield of every density that goes with it, (n_densities,).
        means: By parameter with such changes, the mean of the logarithm over all events that the networks learned from, (n_densities,).
        sources: The learned density of each part of a process, by the name of the part; others are learned under their own name.
    """

    names: tuple[str, ...]
    files: Mapping[str, Mapping[str, Path]]
    processes: Mapping[str, tuple[str, ...]]
    dropped_yields: Mapping[str, tuple[str, ...]]
    evaluate: Callable[[Events], tuple[LogPairs, ...]]
    data: tuple[LogPairs, ...]
    training: tuple[LogPairs, ...]
    training_events: SimulatedEvents
    yields: Mapping[str, FloatArray] = field(default_factory=dict)
    means: Mapping[str, FloatArray] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def for_events(self, events: Events) -> LearnedVariations:
        """Return the variations with other events as data."""
        return replace(self, data=self.evaluate(events))

    def within(self, *, data: BoolArray, training: BoolArray) -> LearnedVariations:
        """Return the variations of one region.

        Args:
            data: Which events of the data belong to it, (n_events,).
            training: Which training events do, (n_training,); a density without any there is normalised on all alike.

        Returns:
            With `yields` of the region: its events may move by more, or by less, than all that the networks learned from.
        """
        events, logs = self.training_events.select(training), _inside(self.training, training)
        totals = events.weights.sum(axis=0)
        yields = {name: change.copy() for name, change in self.yields.items()}
        for name, own in yields.items():
            for j in np.flatnonzero(totals > 0.0):
                if name in logs[j]:
                    own[j] += events.weights[:, j] @ logs[j][name][0] / totals[j] - self.means[name][j]
        return replace(
            self,
            data=_inside(self.data, data),
            training=logs,
            training_events=replace(events, weights=np.where(totals > 0.0, events.weights, 1.0)),
            yields=yields,
        )

    def output_of(self, density: str) -> str:
        """Return the learned density that a density of the model is, or is a part of."""
        return self.sources.get(density, density)


def _inside(logs: Sequence[LogPairs], mask: BoolArray) -> tuple[LogPairs, ...]:
    return tuple({name: (up[mask], down[mask]) for name, (up, down) in own.items()} for own in logs)


def varied_directions(config: Config) -> tuple[tuple[str, str], ...]:
    """List systematic and direction of everything that networks can learn: all but sets of members, if the fit has systematics.

    Examples:
        >>> from toolkit.config import load_config
        >>> from toolkit.example import demo_config
        >>> varied_directions(load_config(demo_config()))
        ()
    """
    section = config.systematics
    if not config.likelihood.systematics:
        return ()
    found = [(name, direction) for name, shift in section.objects.items() for direction in shift.directions]
    found += [(name, direction) for name, other in section.samples.items() for direction in other.directions]
    known = {*section.objects, *section.samples}
    found += [(name, direction) for name in config.table_systematics if name not in known for direction in ("up", "down")]
    for name, weight in section.weights.items():
        if isinstance(weight, WeightMembers):
            continue
        one_sided = isinstance(weight, WeightColumns | WeightCorrection) and weight.down is None
        found += [(name, direction) for direction in (("up",) if one_sided else ("up", "down"))]
    return tuple(found)


def learned_directions(config: Config, out: Path) -> tuple[tuple[str, str], ...]:
    """List systematic and direction of everything that networks learn.

    Args:
        config: The analysis.
        out: The output folder; its event tables say whether `shape: auto` can afford networks.

    Returns:
        All of `varied_directions`, or none; `auto` learns nothing in a cross-fit.

    Raises:
        InputFileError: `auto`, and there are no event tables.
    """
    wanted, shape = varied_directions(config), config.systematics.ratios.shape
    if shape == "auto" and config.ratios.splits.cross_fit:
        return ()
    if shape == "auto" and wanted:
        events = sum(count_events(out / EVENTS, sample.name) for sample in config.simulated)
        return wanted if len(wanted) * events <= AFFORDABLE else ()
    return wanted if shape == "networks" else ()


def variation_file(name: str, direction: str) -> Path:
    """Return the ONNX file of a variation, relative to the output folder.

    Examples:
        >>> variation_file("jet_scale", "up").as_posix()
        'models/systematics/jet_scale_up.onnx'
    """
    return VARIATIONS / f"{name}_{direction}.onnx"


def shift_output(name: str, process: str) -> str:
    """Return the output of a file of shifts that belongs to a parameter and a process.

    Examples:
        >>> shift_output("network_1", "ggF_S")
        'network_1_of_ggF_S'
    """
    return f"{name}_of_{process}"


def read_learned(out: Path, config: Config, *, training: SimulatedEvents, test: SimulatedEvents) -> LearnedVariations | None:
    """Evaluate the learned variations that the export kept.

    Args:
        out: The output folder.
        config: The analysis.
        training: Nominal training events.
        test: Nominal test events.

    Returns:
        The variations; None if the config learns none.

    Raises:
        InputFileError: The export is not finished.
    """
    wanted = learned_directions(config, out)
    if not wanted:
        return None
    decisions = read_decisions(out / VARIATIONS_REPORT)["variations"]
    names = tuple(dict.fromkeys(name for name, _ in wanted))
    files = {n: {d: variation_file(n, d) for name, d in wanted if name == n} for n in names}
    sources = learned_sources(config)
    processes = {
        n: tuple(p for p, s in zip(config.densities, sources, strict=True) if s and decisions[n][s]["shape"] == KEPT) for n in names
    }
    kept = {n: own for n, own in processes.items() if own}
    parts = {p: s for p, s in zip(config.densities, sources, strict=True) if s}
    outputs = {n: {p: parts[p] for p in own} for n, own in kept.items()}
    evaluate = partial(_evaluate, out, {n: files[n] for n in kept}, outputs, config.densities)
    return LearnedVariations(
        names=names,
        files={n: files[n] for n in kept},
        processes=kept,
        dropped_yields={n: _dropped(config, decisions[n]) for n in names},
        evaluate=evaluate,
        data=evaluate(test),
        training=evaluate(training),
        training_events=split_events(training, config.model) if config.general else training,
        sources=parts,
    )


def learned_sources(config: Config) -> tuple[str, ...]:
    """Name the learned density that each of `config.densities` is, or is a part of; empty for one that the networks do not learn."""
    if not config.general:
        return config.densities
    learned = whole_densities(config.model.learned)
    every = [density.name for c in config.model.components for density in learned_densities(c.process)]
    return tuple(name if name in learned else "" for name in every)


def _dropped(config: Config, decisions: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return the densities whose yield a systematic leaves alone: of whole processes in the only place where they are learned.

    What changes no yield may move events between regions, or between the parts of a process.
    """
    if config.general and sum(r.kind == "unbinned" for r in config.model.regions) > 1:
        return ()
    split = {name for c in config.model.components if c.process.splits for name in c.densities} if config.general else set()
    found = zip(config.densities, learned_sources(config), strict=True)
    return tuple(p for p, s in found if s and p not in split and decisions[s]["yield"] != KEPT)


def read_decisions(path: Path) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    """Read `models/systematics.json`.

    Raises:
        InputFileError: It is missing or damaged.
    """
    try:
        document: dict[str, dict[str, dict[str, dict[str, str]]]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}", got=str(error), expected="a complete JSON file", remedy="run `h4l export` again") from error
    return document


def _evaluate(
    out: Path,
    files: Mapping[str, Mapping[str, Path]],
    outputs: Mapping[str, Mapping[str, str]],
    order: tuple[str, ...],
    events: Events,
) -> tuple[LogPairs, ...]:
    """Evaluate the files of every systematic; `outputs` says which output each density takes."""
    found: tuple[dict[str, LogPair], ...] = tuple({} for _ in order)
    for name, own in files.items():
        ratios = {direction: OnnxRatio(out / file) for direction, file in own.items()}
        logs = {direction: ratio(ratio.columns(events.observables)) for direction, ratio in ratios.items()}
        for process, output in outputs[name].items():
            up, down = (_output(ratios, logs, direction, output, len(events)) for direction in ("up", "down"))
            found[order.index(process)][name] = (up, down)
    return found


def _output(ratios: Mapping[str, OnnxRatio], logs: Mapping[str, FloatArray], direction: str, process: str, n_events: int) -> FloatArray:
    """Return the logarithm of one process; a direction that the variation lacks mirrors the other."""
    if direction not in ratios:
        return -_output(ratios, logs, "up", process, n_events)
    return logs[direction][:, ratios[direction].numerators.index(process)]

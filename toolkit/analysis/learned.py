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
from toolkit.artifacts.events import count_events
from toolkit.config import Config, WeightColumns, WeightCorrection, WeightMembers
from toolkit.errors import InputFileError
from toolkit.likelihood import OnnxRatio
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
        processes: By systematic with a kept shape, the processes whose shape it changes.
        dropped_yields: By systematic, the processes whose yield it leaves alone.
        evaluate: Gives, per process and systematic, the logarithms of any events.
        data: Those of the events that are fitted: of the test events, or of the observed data.
        pool: Those of the training events, on which the variations are normalised.
        pool_events: These events.
        yields: By parameter, the relative change of the yield of every density that goes with it, (n_processes,).
    """

    names: tuple[str, ...]
    files: Mapping[str, Mapping[str, Path]]
    processes: Mapping[str, tuple[str, ...]]
    dropped_yields: Mapping[str, tuple[str, ...]]
    evaluate: Callable[[Events], tuple[LogPairs, ...]]
    data: tuple[LogPairs, ...]
    pool: tuple[LogPairs, ...]
    pool_events: SimulatedEvents
    yields: Mapping[str, FloatArray] = field(default_factory=dict)

    def for_events(self, events: Events) -> LearnedVariations:
        """Return the variations with other events as data."""
        return replace(self, data=self.evaluate(events))

    def within(self, *, data: BoolArray, pool: BoolArray) -> LearnedVariations:
        """Return the variations of one region.

        Args:
            data: Which events of the data belong to it, (n_events,).
            pool: Which training events do, (n_pool,); a density without any there is normalised on all alike.
        """
        events = self.pool_events.select(pool)
        present = events.weights.sum(axis=0) > 0.0
        return replace(
            self,
            data=_inside(self.data, data),
            pool=_inside(self.pool, pool),
            pool_events=replace(events, weights=np.where(present, events.weights, 1.0)),
        )


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
        All of `varied_directions`, or none; `auto` learns nothing where a process is split into parts, and in a cross-fit.

    Raises:
        InputFileError: `auto`, and there are no event tables.
    """
    wanted, shape = varied_directions(config), config.systematics.ratios.shape
    if shape == "auto" and (config.ratios.splits.cross_fit or any(process.splits for process in config.model.processes)):
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


def read_learned(out: Path, config: Config, *, pool: SimulatedEvents, test: SimulatedEvents) -> LearnedVariations | None:
    """Evaluate the learned variations that the export kept.

    Args:
        out: The output folder.
        config: The analysis.
        pool: Nominal training events.
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
    processes = {n: tuple(p for p in config.densities if decisions[n][p]["shape"] == KEPT) for n in names}
    kept = {n: own for n, own in processes.items() if own}
    evaluate = partial(_evaluate, out, {n: files[n] for n in kept}, kept, config.densities)
    return LearnedVariations(
        names=names,
        files={n: files[n] for n in kept},
        processes=kept,
        dropped_yields={n: tuple(p for p in config.densities if decisions[n][p]["yield"] != KEPT) for n in names},
        evaluate=evaluate,
        data=evaluate(test),
        pool=evaluate(pool),
        pool_events=pool,
    )


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
    processes: Mapping[str, tuple[str, ...]],
    order: tuple[str, ...],
    events: Events,
) -> tuple[LogPairs, ...]:
    found: tuple[dict[str, LogPair], ...] = tuple({} for _ in order)
    for name, own in files.items():
        ratios = {direction: OnnxRatio(out / file) for direction, file in own.items()}
        logs = {direction: ratio(ratio.columns(events.observables)) for direction, ratio in ratios.items()}
        for process in processes[name]:
            up, down = (_output(ratios, logs, direction, process, len(events)) for direction in ("up", "down"))
            found[order.index(process)][name] = (up, down)
    return found


def _output(ratios: Mapping[str, OnnxRatio], logs: Mapping[str, FloatArray], direction: str, process: str, n_events: int) -> FloatArray:
    """Return the logarithm of one process; a direction that the variation lacks mirrors the other."""
    if direction not in ratios:
        return -_output(ratios, logs, "up", process, n_events)
    return logs[direction][:, ratios[direction].numerators.index(process)]

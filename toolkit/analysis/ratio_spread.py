"""The uncertainty of the density ratios themselves: nuisance parameters that move all densities along the calibrated directions.

The export finds the shifts (`toolkit.ratios.targeted_spread`) and says how much longer they make the error of each parameter; here they
become per-event variations of the unbinned channel, with the change of the yields that goes with them. Histograms are not moved: their
templates come from the simulation, whose errors are those of `likelihood.template_statistics`.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from toolkit.analysis.datasets import Events
from toolkit.analysis.layout import NETWORK_UNCERTAINTY, NETWORK_UNCERTAINTY_REPORT
from toolkit.analysis.learned import SHIFT, LearnedVariations, LogPairs, learned_sources, shift_output
from toolkit.analysis.regions import learned_events, split_events
from toolkit.config import Config
from toolkit.errors import InputFileError
from toolkit.likelihood import OnnxRatio
from toolkit.typing import FloatArray, JsonObject
from toolkit.weights import SimulatedEvents

NETWORKS = "networks"
"""Group of these parameters."""
LONGER = 1.05
"""With `ratio_uncertainty: auto` the parameters enter the fit where an error gets this many times as long."""


def is_of_networks(name: str) -> bool:
    """Say whether a parameter is one of the density ratios: those of two runs come from different simulations, whatever they are called.

    Examples:
        >>> [is_of_networks(name) for name in ("network_12", "network_scale")]
        [True, False]
    """
    return name.startswith("network_") and name.removeprefix("network_").isdigit()


def network_nuisances(config: Config, out: Path) -> tuple[str, ...]:
    """Return the nuisance parameters of the density ratios that the export of a run found worth fitting.

    Args:
        config: The analysis.
        out: The output folder; where a script exported the densities alone there are none, unless the config demands them.

    Raises:
        InputFileError: The config demands them, and the export is not finished.
    """
    if config.likelihood.ratio_uncertainty == "auto" and not (out / NETWORK_UNCERTAINTY_REPORT).is_file():
        return ()
    return tuple(_read_report(out)["shifts"])


def add_shifts(
    learned: LearnedVariations | None, config: Config, out: Path, *, training: SimulatedEvents, test: SimulatedEvents
) -> LearnedVariations:
    """Add the shifts of the densities to the per-event variations of the unbinned channel.

    Args:
        learned: Learned systematic variations, if there are any.
        config: Names the densities.
        out: The output folder with the exported shifts.
        training: Training events, on which densities are normalised.
        test: Test events.

    Returns:
        The variations, with one more per parameter that moves every density that the networks know.
    """
    shifts, ratio, sources = _read_report(out)["shifts"], OnnxRatio(out / NETWORK_UNCERTAINTY), learned_sources(config)
    parts = {p: s for p, s in zip(config.densities, sources, strict=True) if s}
    evaluate = partial(_evaluate, learned, ratio, tuple(shifts), sources)
    yields = {name: np.array([changes[s] if s else 0.0 for s in sources]) for name, changes in shifts.items()}
    return LearnedVariations(
        names=learned.names if learned else (),
        files={**(learned.files if learned else {}), **{name: {SHIFT: NETWORK_UNCERTAINTY} for name in shifts}},
        processes={**(learned.processes if learned else {}), **dict.fromkeys(shifts, tuple(parts))},
        dropped_yields=learned.dropped_yields if learned else {},
        evaluate=evaluate,
        data=evaluate(test),
        training=evaluate(training),
        training_events=split_events(training, config.model) if config.general else training,
        yields=yields,
        means=_means(config, ratio, tuple(shifts), sources, training) if config.general else {},
        sources=parts,
    )


def _means(
    config: Config, ratio: OnnxRatio, names: tuple[str, ...], sources: tuple[str, ...], training: SimulatedEvents
) -> dict[str, FloatArray]:
    """Return the mean of each shift over the events that the networks learned from, by density of the model, (n_densities,)."""
    events = learned_events(config, training)
    values, found = ratio(ratio.columns(events.observables)), {}
    for name in names:
        own = {
            process: float(np.average(values[:, ratio.numerators.index(shift_output(name, process))], weights=events.weights[:, j]))
            for j, process in enumerate(events.processes)
        }
        found[name] = np.array([own[s] if s else 0.0 for s in sources])
    return found


def _evaluate(
    learned: LearnedVariations | None, ratio: OnnxRatio, names: tuple[str, ...], sources: tuple[str, ...], events: Events
) -> tuple[LogPairs, ...]:
    """Return the learned variations of events, with the shifts beside them."""
    values = ratio(ratio.columns(events.observables))
    before = learned.evaluate(events) if learned else tuple({} for _ in sources)
    columns = [{name: values[:, ratio.numerators.index(shift_output(name, s))] for name in names if s} for s in sources]
    return tuple({**own, **{name: (v, -v) for name, v in moved.items()}} for own, moved in zip(before, columns, strict=True))


def _read_report(out: Path) -> JsonObject:
    path = out / NETWORK_UNCERTAINTY_REPORT
    try:
        document: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}", got=str(error), expected="a complete JSON file", remedy="run `h4l export` again") from error
    return document

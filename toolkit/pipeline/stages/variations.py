"""Learned systematic variations: trained in the stage `train`, written as ONNX files and judged in the stage `export`.

Each direction of a variation is a folder `models/systematics/NAME_up/` of members, which a stopped run goes on with, and then a file
`models/systematics/NAME_up.onnx`. `models/systematics.json` says how good they are, which the fit leaves out, and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from exports import Feature, write_onnx
from toolkit.analysis.datasets import read_pairs, read_simulation
from toolkit.analysis.layout import VARIATIONS, VARIATIONS_REPORT
from toolkit.analysis.learned import CHANGED_NOTHING, KEPT, learned_directions, variation_file
from toolkit.analysis.regions import learned_events, learned_pairs
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import Config, PruneConfig
from toolkit.diagnostics.edges import observable_edges
from toolkit.diagnostics.variations import diagnose_variation
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.executors import executor_of
from toolkit.ratios import feature_matrix
from toolkit.ratios.variations import load_variation, train_variation, variation_key
from toolkit.typing import DETAIL, FloatArray, JsonObject, Progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.beam_swap import declared_swaps

ESTIMATOR = "variation"
REFERENCE = "nominal density of the same process"


def train_variations(context: StageContext) -> None:
    """Train every variation that the unbinned channel learns; those that are finished are read."""
    config = context.config
    executor, workers = executor_of(context.executor)  # a variation trains as fast as processes start
    for name, direction in learned_directions(config, context.out):
        training = learned_pairs(config, read_pairs(context, variation=f"{name}_{direction}")[0])
        train_variation(
            training,
            config=config.systematics.ratios,
            common=config.ratios,
            folder=context.work / VARIATIONS / f"{name}_{direction}",
            progress=_named(context.progress, f"{name} {direction}"),
            executor=executor,
            workers=workers,
            former=[former / VARIATIONS / f"{name}_{direction}" for former in context.former],
            swaps=declared_swaps(config),
        )


def export_variations(context: StageContext, *, features: Sequence[Feature], config_hash: str) -> None:
    """Write the ONNX file of every variation and `models/systematics.json`; without learned variations nothing is written.

    Args:
        context: The stage.
        features: Inputs of all networks.
        config_hash: Hash of the config of the training.
    """
    config = context.config
    wanted = learned_directions(config, context.out)
    if not wanted:
        return
    make_folder(context.work / VARIATIONS)
    edges = closure_edges(config, learned_events(config, read_simulation(context)[1]))
    found: dict[str, dict[str, dict[str, JsonObject]]] = {}
    for done, (name, direction) in enumerate(wanted, start=1):
        entries = _export_one(context, name, direction, edges=edges, features=features, config_hash=config_hash)
        for process, entry in entries.items():
            found.setdefault(name, {}).setdefault(process, {})[direction] = entry
        context.progress("variations", done, len(wanted))
    limits = config.systematics.ratios.prune
    variations = {
        name: {process: prune(entry, limits) | {"directions": entry} for process, entry in processes.items()}
        for name, processes in found.items()
    }
    settings = config.systematics.ratios.model_dump(mode="json")
    write_json(context.work / VARIATIONS_REPORT, {"schema": 1, "settings": settings, "variations": variations})


def prune(entry: Mapping[str, JsonObject], limits: PruneConfig) -> JsonObject:
    """Decide which parts of a variation of one process the fit uses.

    Args:
        entry: By direction, `yield_ratio` and, if the shape was learned, `out_of_bag` with its significance and separation.
        limits: Thresholds.

    Returns:
        `shape` and `yield`: "kept", or why not. A shape is kept if one direction passes both thresholds.

    Examples:
        >>> found = {"yield_ratio": 1.02, "out_of_bag": {"significance": 8.0, "separation": 0.004}}
        >>> prune({"up": found}, PruneConfig())
        {'shape': 'negligible: separation 0.004 < 0.02', 'yield': 'kept'}
        >>> prune({"up": {"yield_ratio": 1.0}}, PruneConfig())
        {'shape': 'changes nothing', 'yield': 'changes nothing'}
    """
    change = max(abs(d["yield_ratio"] - 1.0) for d in entry.values())
    rate = KEPT if change > 0.0 else CHANGED_NOTHING
    if 0.0 < change < limits.yields:
        rate = f"negligible: {change:.2g} < {limits.yields:g}"
    learned = [d["out_of_bag"] for d in entry.values() if "out_of_bag" in d]
    shape = CHANGED_NOTHING
    if 0 < len(learned) < len(entry):
        shape = "only one direction changes anything"
    elif learned:
        best = max(learned, key=lambda c: min(c["significance"] - limits.significance, 0.0) + min(c["separation"] - limits.separation, 0.0))
        shape = KEPT
        if best["separation"] < limits.separation:
            shape = f"negligible: separation {best['separation']:.2g} < {limits.separation:g}"
        if best["significance"] < limits.significance:
            shape = f"not significant: {best['significance']:.2g} standard errors < {limits.significance:g}"
    return {"shape": shape, "yield": rate}


def closure_edges(config: Config, events: SimulatedEvents) -> dict[str, FloatArray]:
    """Return bin edges of all observables of the closure tests: the features, and what else the event tables hold."""
    known = [name for name in config.observables if name in events.observables]
    return {name: observable_edges(events, name) for name in dict.fromkeys([*config.ratios.features, *known])}


def _export_one(
    context: StageContext, name: str, direction: str, *, edges: Mapping[str, FloatArray], features: Sequence[Feature], config_hash: str
) -> dict[str, JsonObject]:
    config = context.config
    training, test = (learned_pairs(config, pairs) for pairs in read_pairs(context, variation=f"{name}_{direction}"))
    entries: dict[str, JsonObject] = {p: {"yield_ratio": float(r)} for p, r in zip(training.processes, training.yield_ratios, strict=True)}
    if not training.affected(config.ratios.features).any():
        return entries
    key = variation_key(training, config=config.systematics.ratios, common=config.ratios, swaps=declared_swaps(config))
    trained = load_variation(context.out / VARIATIONS / f"{name}_{direction}", key=key)
    rows = [feature_matrix(side, trained.features) for side in (test.nominal, test.varied)]
    write_onnx(
        trained.ensemble,
        context.work / variation_file(name, direction),
        features=features,
        numerators=trained.processes,
        reference=REFERENCE,
        estimator=ESTIMATOR,
        reference_rows=rows[0],
        ensemble_size=len(trained.ensemble.members),
        config_hash=config_hash,
        training_data_hash=key,
    )
    logs = [trained.log_ratio(x) for x in rows]
    warnings = [text for member in trained.history for history in member for text in history.warnings]
    for k, process in enumerate(trained.processes):
        entries[process] |= _judge(trained.calibrations[k], diagnose_variation(test, (logs[0][:, k], logs[1][:, k]), process, edges=edges))
        entries[process] |= {"warnings": warnings} if warnings else {}
    return entries


def _judge(calibration: Any, diagnostics: Any) -> JsonObject:
    found = asdict(calibration) | {"significance": calibration.significance, "applied": calibration.applied}
    return {"out_of_bag": found, "test": diagnostics.to_json()}


def _named(progress: Progress, name: str) -> Progress:
    """Say which variation it is that trains."""

    def report(label: str, done: float, total: float) -> None:
        text, _, detail = label.partition(DETAIL)
        progress(f"{text} {name}" + (f"{DETAIL}{detail}" if detail else ""), done, total)

    return report

"""Channels with systematic uncertainties: binned ones as pyhf documents with morphing, the unbinned one in memory and as a document."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.analysis.layout import ASIMOV, MODEL, NORMALISATION
from toolkit.analysis.learned import SHIFT, LearnedVariations, LogPair, LogPairs, shift_output
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import LUMINOSITY, SIMULATION, Ratios, Systematics
from toolkit.analysis.regions import NetworkOutput
from toolkit.likelihood import (
    Constraint,
    Observation,
    OnnxRatio,
    Parameter,
    ShapeReference,
    Shapes,
    UnbinnedChannel,
    UnbinnedLikelihood,
    UnbinnedSample,
    make_document,
    statistical_modifiers,
)
from toolkit.likelihood.histfactory import normfactor_name
from toolkit.likelihood.interpolation import ShapeCode
from toolkit.likelihood.rates import NormSys
from toolkit.likelihood.workspace_schema import Normalisation
from toolkit.typing import FloatArray, IntArray

NOTHING = 1e-12
"""A factor this near to 1 is no variation."""


def with_luminosity(texts: Sequence[str], processes: Sequence[str], systematics: Systematics) -> tuple[str, ...]:
    """Multiply the coefficients of processes by the luminosity parameter, if it is uncertain and moves them."""
    pairs = zip(texts, processes, strict=True)
    return tuple(f"({text}) * {LUMINOSITY}" if _moved(name, systematics) else text for text, name in pairs)


def _moved(process: str, systematics: Systematics) -> bool:
    return bool(systematics.luminosity) and process not in systematics.unscaled


def parameters_of(model: FitModel, systematics: Systematics) -> tuple[Parameter, ...]:
    """Return the parameters that the coefficients depend on, free nuisance parameters in the place of held ones, and all of these."""
    nuisances = systematics.parameters
    free = {p.name for p in nuisances}
    return (*(p for p in model.used if p.name not in free), *nuisances)


def binned_document(method: BinnedMethod, weights: FloatArray, systematics: Systematics) -> dict[str, Any]:
    """Write a histogram fit with its systematics as a workspace document: normsys and histosys of one name per systematic.

    Args:
        method: The method.
        weights: Weights of the test events, (n_test,).
        systematics: All systematic uncertainties.

    Returns:
        The document for `Workspace`.
    """
    model, templates = method.model, method.expected
    own = systematics.ratios.get(method.name, {})
    errors: list[list[dict[str, Any]]] = [[] for _ in model.processes]
    if systematics.template_statistics:
        f = model.at(model.truth)
        errors = [[m] for m in statistical_modifiers(method.templates, coefficients=f, name=f"{SIMULATION}_{method.name}")]
    samples = []
    for j, (process, row, text) in enumerate(zip(model.processes, templates, model.coefficients, strict=True)):
        modifiers: list[dict[str, Any]] = [{"name": normfactor_name(process), "type": "morphing", "data": {"coefficient": text}}]
        if _moved(process, systematics):
            modifiers.append({"name": LUMINOSITY, "type": "lumi", "data": None})
        for name, (up, down) in systematics.norms.items():
            modifiers += _normsys(name, float(up[j]), float(down[j]))
        for name, single in own.items():
            ratios = Ratios(method.repeated(single.up), method.repeated(single.down))
            (hi, lo), (shape_up, shape_down) = ratios.yields(templates), ratios.shapes(templates)
            modifiers += _normsys(name, float(hi[j]), float(lo[j]))
            if np.abs([shape_up[j] - 1.0, shape_down[j] - 1.0]).max() > NOTHING:
                data = {"hi_data": (row * shape_up[j]).tolist(), "lo_data": (row * shape_down[j]).tolist()}
                modifiers.append({"name": name, "type": "histosys", "data": data})
        samples.append({"name": process, "data": row.tolist(), "modifiers": modifiers + errors[j]})
    counts = method.likelihood(weights).data
    modifiers_used = {m["name"] for s in samples for m in s["modifiers"]}
    used = modifiers_used | {p.name for p in model.used}
    parameters = [p for p in parameters_of(model, systematics) if p.name in used]
    special = [c for c in special_constraints(systematics, modifiers=modifiers_used) if c.parameter in used]
    channel = {"name": method.name, "samples": samples}
    return make_document(parameters=parameters, channels=[(channel, counts.tolist())], constraints=special)


def special_constraints(systematics: Systematics, *, modifiers: Collection[str]) -> list[Constraint]:
    """Return the constraints that a document has to write: that of the luminosity, and those of parameters that no modifier brings."""
    own = {LUMINOSITY, *(p.name for p, _ in systematics.of_model if p.name not in modifiers)}
    return [c for c in systematics.constraints if c.parameter in own]


def _normsys(name: str, hi: float, lo: float) -> list[dict[str, Any]]:
    if max(abs(hi - 1.0), abs(lo - 1.0)) <= NOTHING:
        return []
    return [{"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}]


def unbinned_likelihood(
    method: UnbinnedMethod,
    weights: FloatArray,
    systematics: Systematics,
    *,
    model: FitModel,
    rate: BinnedMethod,
    shape: BinnedMethod | None,
) -> UnbinnedLikelihood:
    """Build the unbinned likelihood with its systematics.

    Args:
        method: The method.
        weights: Weights of the test events, (n_test,).
        systematics: All systematic uncertainties.
        model: The parameter of interest and the coefficients.
        rate: The counting method: its templates give the yields.
        shape: The histogram in whose bins the per-event ratios are taken that were not learned; None for none.

    Returns:
        The likelihood.
    """
    parameters = parameters_of(model, systematics)
    norms = _unbinned_norms(systematics, rate)
    logs, learned = _shape_logs(systematics, shape), systematics.learned
    varied = {*(p.name for p in model.used), LUMINOSITY, *(s.parameter for s in norms), *(name for own in logs for name in own)}
    if learned is not None:
        varied |= set(learned.processes)
    code = systematics.interpolation
    if learned is not None and learned.processes:
        shapes, reference = _learned_shapes(logs, shape, learned, code)
    else:
        shapes, reference = _binned_shapes(logs, shape, code)
    return method.likelihood(weights).with_systematics(
        parameters=[p for p in parameters if p.name in varied],
        coefficients=with_luminosity(model.coefficients, model.processes, systematics),
        systematics=norms,
        shapes=shapes,
        reference=reference,
        constraints=[c for c in systematics.constraints if c.parameter in varied],
    )


def _binned_shapes(logs: Sequence[LogPairs], shape: BinnedMethod | None, code: ShapeCode) -> tuple[Shapes | None, ShapeReference | None]:
    """Take the variations in the bins of a histogram, normalised on its templates."""
    if shape is None or not any(logs):
        return None, None
    shapes = Shapes.of(_in_bins(logs, shape.index), n_events=len(shape.index), code=code)
    return shapes, ShapeReference(
        _never_empty(shape.templates.values.T), Shapes.of(logs, n_events=shape.templates.values.shape[1], code=code)
    )


def _learned_shapes(
    logs: Sequence[LogPairs], shape: BinnedMethod | None, learned: LearnedVariations, code: ShapeCode
) -> tuple[Shapes | None, ShapeReference | None]:
    """Take the learned variations of every event, and those in bins of the others, normalised on the training events."""
    sides = []
    for own, index in (
        (learned.data, None if shape is None else shape.index),
        (learned.training, None if shape is None else shape.training_index),
    ):
        binned = [{} for _ in own] if index is None else _in_bins(logs, index)
        n_events = len(next(pair[0] for variations in own for pair in variations.values()))
        sides.append(Shapes.of([{**first, **second} for first, second in zip(binned, own, strict=True)], n_events=n_events, code=code))
    return sides[0], ShapeReference(_never_empty(learned.training_events.weights), sides[1])


def _never_empty(weights: FloatArray) -> FloatArray:
    """Give a density without events in a region the weight 1 everywhere: it has no variation, and nothing to normalise."""
    return np.where(weights.sum(axis=0) > 0.0, weights, 1.0)


def _in_bins(logs: Sequence[LogPairs], index: IntArray) -> list[dict[str, LogPair]]:
    return [{name: (up[index], down[index]) for name, (up, down) in own.items()} for own in logs]


def _unbinned_norms(systematics: Systematics, rate: BinnedMethod) -> list[NormSys]:
    pairs: dict[str, tuple[FloatArray, FloatArray]] = dict(systematics.norms)
    pairs.update({name: r.yields(rate.templates.values) for name, r in systematics.ratios.get(rate.name, {}).items()})
    dropped, learned = ({}, {}) if systematics.learned is None else (systematics.learned.dropped_yields, systematics.learned.yields)
    pairs.update({name: (np.exp(change), np.exp(-change)) for name, change in learned.items()})
    return [
        NormSys(j, name, float(up[j]), float(down[j]))
        for name, (up, down) in pairs.items()
        for j, process in enumerate(rate.model.processes)
        if max(abs(up[j] - 1.0), abs(down[j] - 1.0)) > NOTHING and process not in dropped.get(name, ())
    ]


def _shape_logs(systematics: Systematics, shape: BinnedMethod | None) -> list[dict[str, LogPair]]:
    """Return, per process, ln(varied/nominal density) up and down in the bins of a histogram, (n_bins,) each, where there is any.

    What networks learn is not among them, whether it was kept or not.
    """
    if shape is None:
        return []
    learned = () if systematics.learned is None else systematics.learned.names
    found: list[dict[str, LogPair]] = [{} for _ in shape.model.processes]
    for name, ratios in systematics.ratios.get(shape.name, {}).items():
        if name in learned:
            continue
        up, down = (np.log(r) for r in ratios.shapes(shape.templates.values))
        for j, process in enumerate(found):
            if max(np.abs(up[j]).max(), np.abs(down[j]).max()) > NOTHING:
                process[name] = (up[j], down[j])
    return found


def unbinned_channel(
    model: FitModel,
    yields: FloatArray,
    ratio: OnnxRatio,
    systematics: Systematics,
    *,
    rate: BinnedMethod,
    shape: BinnedMethod | None,
    observation: Observation = Observation(file=ASIMOV.name),  # noqa: B008  # frozen
    name: str = "nsbi",
    outputs: Sequence[NetworkOutput | None] | None = None,
    normalised_on: str = NORMALISATION.name,
    network: Path = MODEL,
) -> UnbinnedChannel:
    """Describe an unbinned channel; file names are relative to `workspace/`.

    Args:
        model: Coefficients and parameters.
        yields: Expected events of each density, (n_densities,).
        ratio: The exported networks.
        systematics: All systematic uncertainties.
        rate: The counting method, whose templates give the yields.
        shape: The histogram in whose bins variations are taken.
        observation: The events.
        name: Name of the channel.
        outputs: Where the density of each process comes from, in a region; None: each has an output of its own name.
        normalised_on: File of the table on which variations are normalised.
        network: The file of the networks, relative to the output folder.
    """
    norms, logs, learned = _unbinned_norms(systematics, rate), _shape_logs(systematics, shape), systematics.learned
    samples = []
    sources = [NetworkOutput(p, 1.0) for p in model.processes] if outputs is None else outputs
    for j, (process, nu, text, source) in enumerate(zip(model.processes, yields, model.coefficients, sources, strict=True)):
        if source is None:
            continue
        modifiers: list[dict[str, Any]] = [{"type": "morphing", "data": {"coefficient": text}}]
        if _moved(process, systematics):
            modifiers.append({"type": "lumi", "name": LUMINOSITY})
        modifiers += [{"type": "normsys", "name": s.parameter, "data": {"hi": s.up, "lo": s.down}} for s in norms if s.process == j]
        if shape is not None and logs:
            modifiers += [_variation(systematic, shape, pair) for systematic, pair in logs[j].items()]
        if learned is not None:
            modifiers += [_learned_variation(n, learned, process) for n, processes in learned.processes.items() if process in processes]
        origin = {"output": source.output, "scale": source.scale, "condition": source.condition}
        described = {"name": process, "yield": float(nu), **origin, "modifiers": modifiers}
        samples.append(UnbinnedSample.model_validate(described))
    normalisation = None
    if any(logs) or (learned is not None and learned.processes):
        normalisation = Normalisation(file=normalised_on, weights={s.name: f"weight_{s.name}" for s in samples})
    return UnbinnedChannel(
        name=name,
        observables=tuple(ratio.features),
        reference=ratio.reference,
        model=f"../{network.as_posix()}",
        samples=tuple(samples),
        observation=observation,
        normalisation=normalisation,
        interpolation=systematics.interpolation,
    )


def _variation(name: str, shape: BinnedMethod, pair: tuple[FloatArray, FloatArray]) -> dict[str, Any]:
    edges = shape.templates.edges.tolist()
    up, down = ({"observable": shape.observable, "edges": edges, "log_ratio": logs.tolist()} for logs in pair)
    return {"type": "shapesys_ratio", "name": name, "data": {"up": up, "down": down}}


def _learned_variation(name: str, learned: LearnedVariations, process: str) -> dict[str, Any]:
    if SHIFT in learned.files[name]:
        sigma = {"model": f"../{learned.files[name][SHIFT].as_posix()}", "output": shift_output(name, learned.output_of(process))}
        return {"type": "ratio_uncertainty", "name": name, "data": {"sigma": sigma}}
    output = learned.output_of(process)
    sources = {d: {"model": f"../{file.as_posix()}", "output": output} for d, file in learned.files[name].items()}
    return {"type": "shapesys_ratio", "name": name, "data": {"up": sources["up"], "down": sources.get("down")}}


def normalisation_columns(shape: BinnedMethod | None, systematics: Systematics, *, features: Sequence[str]) -> dict[str, FloatArray]:
    """Return the table on which the variations are normalised.

    Args:
        shape: The histogram in whose bins variations are taken.
        systematics: All systematic uncertainties.
        features: Inputs of the networks.

    Returns:
        With learned variations the training events, their features, the observable of the histogram and their weights; otherwise one row
        per bin, its centre and the templates.
    """
    learned = systematics.learned
    if learned is not None and learned.processes:
        events = learned.training_events
        names = dict.fromkeys([*features, *([str(shape.observable)] if shape is not None else [])])
        columns = {name: events.observables[name] for name in names}
        return {**columns, **{f"weight_{p}": events.weights[:, j] for j, p in enumerate(events.processes)}}
    if shape is None:
        return {}
    edges = shape.templates.edges
    centres = {str(shape.observable): 0.5 * (edges[1:] + edges[:-1])}
    return {**centres, **{f"weight_{p}": row for p, row in zip(shape.model.processes, shape.templates.values, strict=True)}}

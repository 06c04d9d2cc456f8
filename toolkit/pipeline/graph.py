"""The stages of the analysis: what each reads, which part of the config it depends on, which code does the work.

process -> classify -> train -> export -> fit -> report
process -> histograms
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from toolkit.config import Config, ThetaConfig
from toolkit.locations import Location
from toolkit.pipeline.stage import Stage, StageContext
from toolkit.pipeline.stages.provenance import portable_config
from toolkit.typing import JsonObject

_STAGES = "toolkit.pipeline.stages"


def _deferred(name: str) -> Callable[[StageContext], None]:
    """Import the module of a stage when it runs, so that a fit does not load torch and a report does not load coffea."""

    def run(context: StageContext) -> None:
        importlib.import_module(f"{_STAGES}.{name}").run(context)

    return run


MODEL = ("morphing", "parameters", "processes")
"""The physics model, in the short form (with `parameter`, on which networks do not depend) and in the general one."""
HISTOGRAMS = ("histograms", "score_histogram", "score_plane", "ratio_histograms")
"""The binned methods."""
NOT_FOR_PROCESSING = (
    "name",
    *MODEL,
    "parameter",
    "regions",
    "classifiers",
    "ratios",
    "likelihood",
    "histograms",
    "score_histogram",
    "score_plane",
    "ratio_histograms",
    "report",
)
"""Sections of the config on which event tables do not depend; of ratios, classifiers and histograms only the observables that they name,
of regions and processes only their conditions."""


def _part(*keys: str) -> Callable[[Config], JsonObject]:
    def part(config: Config) -> JsonObject:
        document = portable_config(config)
        return {key: document[key] for key in keys}

    return part


def _process_part(config: Config) -> JsonObject:
    observables = importlib.import_module("processors.observables")
    part = {key: value for key, value in portable_config(config).items() if key not in NOT_FOR_PROCESSING}
    varied = {key: value for key, value in part["systematics"].items() if key != "ratios"}
    samples = [{key: value for key, value in s.items() if key not in ("process", "generated", "uncertainty")} for s in part["samples"]]
    later = {"not_counted": [*config.scored_conditions, *config.classifier_columns]} if config.classifiers else {}
    return {
        **part,
        **later,
        "samples": samples,
        "conditions": config.conditions,
        "systematics": varied,
        "observables": observables.written_observables(config),
    }


def _classify_part(config: Config) -> JsonObject:
    """Return what classifiers depend on: the sections themselves, the densities, and of the ratios what divides and folds events."""
    if not config.classifiers:
        return {"classifiers": {}}
    ratios = {key: value for key, value in portable_config(config)["ratios"].items() if key in ("splits", "fold_beam_axis", "threads")}
    part = _part("samples", *MODEL, "classifiers")(config)
    values = {name: {key: section[key] for key in ("truth", "expression")} for name, section in part["parameters"].items()}
    return {**part, "parameters": values, "ratios": ratios}


def _train_part(config: Config) -> JsonObject:
    """Return what the networks depend on; with learned variations their settings too, but not what the export decides by."""
    own = _part("samples", *MODEL, *_range_part(config), "ratios")(config)
    return {**own, **_learning_regions(config), **_learned_part(config, without=("prune", "interpolation"))}


def _export_part(config: Config) -> JsonObject:
    return {
        **_part(*MODEL, *_range_part(config), "ratios")(config),
        **_learning_regions(config),
        **_learned_part(config, without=("interpolation",)),
        "ratio_uncertainty": bool(config.ratio_nuisances) and config.likelihood.ratio_uncertainty,
    }


def _range_part(config: Config) -> tuple[str, ...]:
    """Return the section with the range of the parameter, on which networks that read it depend."""
    return ("parameter",) if isinstance(config.ratios, ThetaConfig) else ()


def _fit_part(config: Config) -> JsonObject:
    own = _part(*MODEL, "parameter", "regions", "ratios", "likelihood", "systematics", *HISTOGRAMS)
    return {**own(config), **_estimates(config)}


def _report_part(config: Config) -> JsonObject:
    keys = ("parameter", "regions", "ratios", "likelihood", *HISTOGRAMS, "report")
    looks = {s.name: [s.label, s.color] for s in config.samples if s.label or s.color}
    return {**_part("name", "luminosity_ifb", *MODEL, *keys)(config), **_estimates(config), **({"looks": looks} if looks else {})}


def _estimates(config: Config) -> JsonObject:
    """Return the uncertainties of estimates from data, if there are any."""
    found = {s.name: s.uncertainty for s in config.samples if s.uncertainty is not None}
    return {"estimates": found} if found else {}


def _learning_regions(config: Config) -> JsonObject:
    """Return the regions whose events networks learn from, if the config has regions in the fit."""
    found = {name: section.condition for name, section in config.regions.items() if section.kind == "unbinned"}
    return {"unbinned_regions": found} if found else {}


def _learned_part(config: Config, *, without: tuple[str, ...]) -> JsonObject:
    varied = config.likelihood.systematics and (config.table_systematics or config.systematics.weights)
    if config.systematics.ratios.shape == "histogram" or not varied:
        return {}
    section = portable_config(config)["systematics"]
    return {"systematics": {**section, "ratios": {key: value for key, value in section["ratios"].items() if key not in without}}}


def input_files(config: Config) -> Mapping[str, Sequence[Location]]:
    """Return the user's files: the ntuples of every sample, globs expanded, corrections, score models and modules."""
    inputs = importlib.import_module("processors.inputs")
    ntuples = {sample.name: inputs.expand_files(sample) for sample in config.samples}
    ntuples |= {
        f"{sample.name}@{variation}": inputs.expand_files(varied)
        for sample in config.samples
        for variation, varied in inputs.varied_sections(config, sample).items()
    }
    shifts = {
        f"systematics.{name}": [Path(shift.file.path)] for name, shift in config.systematics.objects.items() if shift.file is not None
    }
    shifts |= {f"corrections.{name}": [Path(section.file)] for name, section in config.corrections.items() if section.file}
    shifts |= {
        f"k_factors.{process}.{name}": [Path(c.file)] for process, of in config.k_factors.items() for name, c in of.items() if c.file
    }
    models = {f"scores.{name}": [Path(score.model)] for name, score in config.scores.items()}
    modules = {"modules": [Path(path) for path in config.modules]} if config.modules else {}
    return {**ntuples, **shifts, **models, **modules}


GRAPH: tuple[Stage, ...] = (
    Stage(
        name="process",
        run=_deferred("process"),
        modules=(f"{_STAGES}.process",),
        config_part=_process_part,
        inputs=input_files,
        resumable=True,
        disk_bytes=lambda size: 20_000_000 + size,
        writes=("events/", "cutflow.json", "plots/"),
        tasks=("events/*/*.parquet",),
    ),
    Stage(
        name="histograms",
        run=_deferred("histograms"),
        needs=("process",),
        modules=(f"{_STAGES}.histograms",),
        config_part=_part("histograms"),
        completes="process",
        writes=("histograms/",),
    ),
    Stage(
        name="classify",
        run=_deferred("classify"),
        needs=("process",),
        modules=(f"{_STAGES}.classify",),
        config_part=_classify_part,
        resumable=True,
        writes=("models/",),
        tasks=("models/classifiers/*/member_*.pt", "models/classifiers/*/*/member_*.pt"),
        idle=lambda config: not config.classifiers,
    ),
    Stage(
        name="train",
        run=_deferred("train"),
        needs=("process", "classify"),
        modules=(f"{_STAGES}.train",),
        config_part=_train_part,
        resumable=True,
        writes=("models/",),
        tasks=("models/members/member_*.pt", "models/systematics/*/member_*.pt"),
    ),
    Stage(
        name="export",
        run=_deferred("export"),
        needs=("process", "classify", "train"),
        modules=(f"{_STAGES}.export",),
        config_part=_export_part,
        writes=("models/",),
    ),
    Stage(
        name="fit",
        run=_deferred("fit"),
        needs=("process", "classify", "export"),
        modules=(f"{_STAGES}.fit",),
        config_part=_fit_part,
        resumable=True,
        writes=("workspace/",),
    ),
    Stage(
        name="report",
        run=_deferred("report"),
        needs=("process", "classify", "train", "export", "fit"),
        modules=(f"{_STAGES}.report",),
        config_part=_report_part,
        resumable=True,
        writes=("diagnostics.npz", "learning_curve/", "plots/", "report.html", "results.json"),
        tasks=(
            "diagnostics.npz",
            "learning_curve/*/member_*.pt",
        ),
    ),
)
STAGE_NAMES = tuple(stage.name for stage in GRAPH)

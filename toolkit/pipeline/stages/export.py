"""Stage `export`: the ensemble as one ONNX file, compared with the training framework on every test event."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from exports import Feature, write_onnx
from toolkit.analysis.cross_fit import fold_file, fold_of
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.features import describe_features
from toolkit.analysis.layout import FOLDS, INSPECTION, MEMBERS, MODEL, MODELS, PARITY
from toolkit.analysis.regions import learned_events
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.hashing import stage_key
from toolkit.config import Config
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.inspection import write_inspection
from toolkit.pipeline.stages.network_uncertainty import export_network_uncertainty
from toolkit.pipeline.stages.provenance import portable_config
from toolkit.pipeline.stages.variations import export_variations
from toolkit.ratios import RatioModel, feature_matrix, load_ratios
from toolkit.ratios.trainer import torch_threads
from toolkit.weights import SimulatedEvents
from toolkit.weights.beam_swap import declared_swaps

STEPS = 4
"""Steps of the stage that its progress counts."""


def run(context: StageContext) -> None:
    """Write `models/mixture.onnx`, its reference rows, parity and inspection, and the files of folds and of learned variations."""
    with torch_threads(context.config.ratios.threads):
        _export(context)


def _export(context: StageContext) -> None:
    config = context.config
    training, test = (learned_events(config, events) for events in read_simulation(context))
    trained = load_trained(context, training)
    context.progress("export | ONNX file", 1, STEPS)
    features = describe_features(training, config, trained.features)
    export = trained.to_onnx(
        context.work / MODEL,
        writer=write_onnx,
        reference_rows=feature_matrix(test.observables, trained.features),
        features=features,
        config_hash=training_hash(config),
        training_data_hash=data_hash(training),
        fills=config.fills,
        z1=config.selection.z1,
    )
    write_folds(context, trained, training, features=features)
    context.progress("export | inspection", 2, STEPS)
    write_json(
        context.work / PARITY,
        {"schema": 1, "sample": "all simulated events" if config.ratios.splits.cross_fit else "all test events", **asdict(export.parity)},
    )
    write_inspection(context.work / INSPECTION, trained, training=training, test=test)
    context.progress("export | variations", 3, STEPS)
    export_variations(context, features=features, config_hash=training_hash(config))
    export_network_uncertainty(context, trained, training=training, test=test, features=features)
    context.progress("export", STEPS, STEPS)


def write_folds(context: StageContext, trained: RatioModel, events: SimulatedEvents, *, features: Sequence[Feature]) -> None:
    """Write the ensemble without each fold of a cross-fit, verified on the events of the fold; otherwise nothing."""
    config = context.config
    if trained.cross_fitted is None:
        return
    make_folder(context.work / FOLDS)
    fold = fold_of(events, config.ratios.splits)
    for k in range(config.ratios.splits.folds):
        trained.to_onnx(
            context.work / fold_file(MODELS, k),
            writer=write_onnx,
            reference_rows=feature_matrix(events.select(fold == k).observables, trained.features),
            without_fold=k,
            fuse=False,
            features=features,
            config_hash=training_hash(config),
            training_data_hash=data_hash(events.select(fold != k)),
            fills=config.fills,
            z1=config.selection.z1,
        )
        context.progress("export | folds", 1.0 + (k + 1.0) / config.ratios.splits.folds, STEPS)


def load_trained(context: StageContext, training: SimulatedEvents) -> RatioModel:
    """Read the trained ensemble.

    Raises:
        ArtifactMismatchError: It is incomplete, damaged, or not of these events and this config.
    """
    config = context.config
    return load_ratios(
        context.out / MEMBERS, config=config.ratios, training=training, model=config.model.learned, swaps=declared_swaps(config)
    )


def data_hash(events: SimulatedEvents) -> str:
    """Hash the identity and the weights of events, 32 hexadecimal digits."""
    digest = hashlib.blake2b(np.ascontiguousarray(events.event_id).tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(events.weights).tobytes())
    return digest.hexdigest()


def training_hash(config: Config) -> str:
    """Hash the parts of the config that the networks depend on."""
    document = portable_config(config)
    return stage_key({name: document[name] for name in ("luminosity_ifb", "samples", "selection", "morphing", "ratios")})

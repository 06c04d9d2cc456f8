"""Stage `train`: the networks of densities and of variations, each finished member kept for a run that is resumed."""

from __future__ import annotations

from dataclasses import asdict

from toolkit.analysis.build import write_out_of_bag
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.layout import MEMBERS, OUT_OF_BAG, TRAINING
from toolkit.analysis.regions import learned_events, select_regions
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.executors import executor_of
from toolkit.pipeline.stages.variations import train_variations
from toolkit.ratios import RatioModel, fit_ratios
from toolkit.ratios.trainer import torch_threads
from toolkit.weights.beam_swap import declared_swaps


def run(context: StageContext) -> None:
    """Write `models/members/`, their losses, the out-of-bag log ratios of the training events, and the networks of learned variations."""
    with torch_threads(context.config.ratios.threads):
        _train(context)


def _train(context: StageContext) -> None:
    everything, test = read_simulation(context)
    select_regions(context.config, training=everything, test=test)  # what the fit would refuse, said before hours of training
    training = learned_events(context.config, everything)
    executor, workers = executor_of(context.executor, n_events=len(training))
    trained = fit_ratios(
        training,
        config=context.config.ratios,
        model=context.config.model.learned,
        folder=make_folder(context.work / MEMBERS),
        progress=context.progress,
        executor=executor,
        workers=workers,
        former=[folder / MEMBERS for folder in context.former],
        swaps=declared_swaps(context.config),
    )
    write_json(context.work / TRAINING, describe_training(trained))
    crossed = trained.cross_fitted
    write_out_of_bag(
        context.work / OUT_OF_BAG,
        training,
        log_ratio=trained.out_of_bag if crossed is None else crossed.in_calibration,
        before_calibration=trained.before_calibration,
        nodes=trained.nodes,
    )
    train_variations(context)


def describe_training(trained: RatioModel) -> dict[str, object]:
    """Return what training.json says: names of inputs and outputs, the reference, losses per epoch of every member."""
    return {
        "schema": 2,
        "estimator": trained.estimator,
        "features": list(trained.features),
        "numerators": list(trained.numerators),
        "reference": trained.reference,
        "members": [[asdict(history) for history in member] for member in trained.history],
    }

"""Stage `fit`: the signal strength by every method on the same test events, with closure; workspaces to fit it elsewhere.

If the config asks for it, the recorded events are fitted like the test events; otherwise nothing here reads them.
"""

from __future__ import annotations

from toolkit.analysis.build import build_methods, open_ratio, read_out_of_bag
from toolkit.analysis.comparison import write_comparison
from toolkit.analysis.constructions import Experiment, write_intervals
from toolkit.analysis.data import FitData
from toolkit.analysis.datasets import read_recorded, read_simulation
from toolkit.analysis.goodness import write_goodness
from toolkit.analysis.layout import FIT, MODEL, OUT_OF_BAG, WORKSPACE
from toolkit.analysis.left_out import varied_names, write_left_out
from toolkit.analysis.measurements import measure_all, truth_weights
from toolkit.analysis.methods import BinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import read_systematics
from toolkit.analysis.region_build import build_region_methods
from toolkit.analysis.regions import learned_events
from toolkit.analysis.several import measure_regions
from toolkit.analysis.workspaces import write_workspaces
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.toy_workers import toy_workers


def run(context: StageContext) -> None:
    """Write `workspace/`: the results of all methods, one workspace per method, the Asimov set."""
    config = context.config
    if config.general:
        run_regions(context)
        return
    pool, test = read_simulation(context)
    ratio = open_ratio(context.out / MODEL, config)
    methods = build_methods(config, pool=pool, test=test, ratio=ratio, out_of_bag=read_out_of_bag(context.out / OUT_OF_BAG, pool))
    systematics = read_systematics(context, {m.name: m.fill for m in methods if isinstance(m, BinnedMethod)}, pool=pool)
    model = FitModel.of(config)
    asimov = FitData(test, truth_weights(test, model, model.truth), methods, systematics, model)
    datasets = (asimov, *read_observed(context, asimov))
    results = measure_all(config, datasets, pool=pool, test=test, progress=context.progress, tasks=context.tasks)
    make_folder(context.work / WORKSPACE)
    write_json(context.work / FIT, results.to_json())
    for data in datasets:
        write_workspaces(context.work, data, yields=pool.yields, ratio=ratio)
    full = asimov.full if systematics else None
    write_comparison(context, datasets, results)
    if varied_names(config):
        write_left_out(context, asimov)
    with toy_workers(context.executor) as workers:
        write_goodness(context, datasets, results, experiment=Experiment(config, test, ratio, full), workers=workers)
        write_intervals(context, methods, test=test, ratio=ratio, full=full, recorded=datasets[1:], workers=workers)


def run_regions(context: StageContext) -> None:
    """Write the results of an analysis of several parameters or regions."""
    config = context.config
    pool, test = read_simulation(context)
    ratio, learned = open_ratio(context.out / MODEL, config), learned_events(config, pool)
    out_of_bag = read_out_of_bag(context.out / OUT_OF_BAG, learned)
    methods = build_region_methods(config, pool=pool, test=test, ratio=ratio, out_of_bag=out_of_bag)
    fills = {name: fill for method in methods for name, fill in method.fills().items()}
    systematics = read_systematics(context, fills, pool=pool)
    results = measure_regions(
        config, methods, pool=pool, test=test, systematics=systematics, progress=context.progress, tasks=context.tasks
    )
    make_folder(context.work / WORKSPACE)
    write_json(context.work / FIT, results.to_json())


def read_observed(context: StageContext, asimov: FitData) -> tuple[FitData, ...]:
    """Return the recorded events as data, if the config asks for them; nothing is read if it does not."""
    if not context.config.likelihood.observed:
        return ()
    return (asimov.for_events(read_recorded(context), label="observed"),)

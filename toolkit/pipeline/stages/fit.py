"""Stage `fit`: the signal strength by every method on the same test events, with closure; workspaces to fit it elsewhere.

If the config asks for it, the data are fitted like the test events; otherwise nothing here reads them.
"""

from __future__ import annotations

from toolkit.analysis.comparison import write_comparison
from toolkit.analysis.constructions import with_constructed, write_intervals
from toolkit.analysis.experiments import Experiment
from toolkit.analysis.fitting import fit
from toolkit.analysis.goodness import write_goodness
from toolkit.analysis.layout import FIT, WORKSPACE
from toolkit.analysis.left_out import varied_names, write_left_out
from toolkit.analysis.workspaces import write_region_workspaces, write_workspaces
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.toy_workers import toy_workers


def run(context: StageContext) -> None:
    """Write `workspace/`: the results of all methods, a workspace per method, comparison without the rate, and what toys say."""
    config, done = context.config, fit(context)
    make_folder(context.work / WORKSPACE)
    test, ratio, datasets, results = done.test, done.ratio, done.datasets, done.results
    asimov = datasets[0]
    for data in datasets:
        if config.general:
            write_region_workspaces(context.work, data, ratio)
        else:
            write_workspaces(context.work, data, yields=done.training.yields, ratio=ratio)
    full = asimov.full if asimov.systematics else None
    write_comparison(context, datasets, results)
    if varied_names(config):
        write_left_out(context, asimov)
    with toy_workers(context.executor, context.progress) as workers:
        write_goodness(context, datasets, results, experiment=Experiment(config, test, ratio, full), workers=workers)
        intervals = write_intervals(context, asimov.methods, test=test, ratio=ratio, full=full, data=datasets[1:], workers=workers)
    if intervals is not None:
        results = with_constructed(results, intervals)
    write_json(context.work / FIT, results.to_json())

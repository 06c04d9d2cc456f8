"""Parts of the report on several parameters of interest: comparison, intervals from toys, goodness of fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.analysis.test_region_data import asimov_of, data_events
from tests.unit.analysis.test_region_toys import Ratio, experiment_of, with_toys
from tests.unit.analysis.two_regions import document_of, simulate
from toolkit.analysis import Folder, measure_regions
from toolkit.analysis.comparison import write_comparison
from toolkit.analysis.constructions import write_intervals
from toolkit.analysis.goodness import write_goodness
from toolkit.analysis.layout import COMPARISON, CUTFLOW, INTERVALS, WORKSPACE
from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import parse_config
from toolkit.likelihood import Results
from toolkit.pipeline.stages.fit_pages import FitPages
from toolkit.plots import PlotStyle
from toolkit.report import Page
from toolkit.report.drawing import draw_all
from toolkit.report.page import PageSection
from toolkit.typing import silent_progress


def test_every_parameter_of_interest_has_its_parts(tmp_path: Path) -> None:
    document = document_of()
    document["parameters"] = {"mu": {"range": [0, 4], "interval": "neyman"}, "t": {"range": [0.3, 3]}}
    config = with_toys(parse_config(document, folder=Path()), methods=("rate",), grid_points=5, per_point=20)
    few = config.likelihood.model_copy(update={"scan_points": 11, "closure": ({"mu": 1.0},)})
    config = config.model_copy(update={"likelihood": few})
    data = asimov_of(config)
    rate, mass, *_ = data.methods
    data = data.__class__(data.events, data.weights, (rate, mass), data.systematics, data.model)
    datasets = (data, data.for_events(data_events(), label="observed"))
    results = measure_regions(config, datasets, training=simulate(1), test=simulate(2), progress=silent_progress, tasks=FinishedTasks(None))
    (tmp_path / WORKSPACE).mkdir()
    session, ratio = Folder(config, tmp_path), Ratio()
    write_comparison(session, datasets, results)
    write_goodness(session, datasets, results, experiment=experiment_of(config))
    simulation: Any = {"test": simulate(2), "ratio": ratio}
    write_intervals(session, data.methods, data=datasets[1:], **simulation)
    write_json(tmp_path / CUTFLOW, {"samples": {}})
    pages = FitPages.read(tmp_path, config, results)
    figures = draw_all(tuple(pages.jobs(style=PlotStyle())), folder=tmp_path / "plots")
    page = pages.on(Page("t", "s", (PageSection("Result"), PageSection("Closure"))), figures)
    assert [section.title for section in page.sections] == [
        "Result",
        "Intervals from toys, μ",
        "Comparison of the methods, μ",
        "Comparison of the methods, t",
        "Goodness of fit",
        "Closure",
    ]
    assert {path.stem for path in (tmp_path / "plots").rglob("*.png")} >= {"comparison_mu", "comparison_t", "critical_values_rate_mu"}
    assert set(pages.extras()) == {"comparison", "intervals", "goodness_of_fit", "post_fit", "cls_95"}
    assert set(pages.extras()["comparison"]["parameters"]) == {"mu", "t"}
    one_of_the_short_form(tmp_path, pages.extras(), results)


def one_of_the_short_form(folder: Path, found: dict[str, Any], results: Results) -> None:
    """The same numbers as an analysis of one parameter writes them."""
    intervals = dict(found["intervals"])
    [part] = intervals.pop("parameters").values()
    write_json(folder / COMPARISON, {"schema": 1, "poi": "mu", "planes": {}, **found["comparison"]["parameters"]["mu"]})
    write_json(folder / INTERVALS, {**intervals, **part})
    samples = [{"name": name, "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_SBI", "ggF_B"]} for name in ("ggF_S", "ggF_SBI", "ggF_B")]
    config = parse_config({"luminosity_ifb": 1.0, "samples": samples, "parameter": {"interval": "neyman"}}, folder=Path())
    pages = FitPages.read(folder, config, results)
    names = {(job.part, job.name) for job in pages.jobs(style=PlotStyle())}
    assert {("comparison", "comparison"), ("comparison", "observed_comparison"), ("intervals", "critical_values_rate")} <= names
    page = pages.on(Page("t", "s", (PageSection("Result"), PageSection("Closure"))), {"comparison": (), "intervals": ()})
    titles = [section.title for section in page.sections]
    assert titles == ["Result", "Intervals from toys", "Comparison of the methods", "Goodness of fit", "Closure"]
    assert set(pages.extras()) == {"comparison", "intervals", "goodness_of_fit", "post_fit", "cls_95"}

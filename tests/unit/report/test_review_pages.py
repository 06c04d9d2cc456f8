"""The review on the page: tables hold its numbers, the order of sections, and every plot is listed."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.diagnostics import EstimateUnderTest, diagnose
from toolkit.diagnostics.learning_curve import LearningCurve, LearningPoint
from toolkit.diagnostics.review import EnsembleUnderReview, ReviewSettings, review
from toolkit.likelihood import Gain
from toolkit.plots import PlotStyle
from toolkit.report import Provenance, build_page, judge
from toolkit.report.html import render_page
from toolkit.report.page import PageFigure
from toolkit.report.review_figures import learning_jobs, review_jobs
from toolkit.report.review_tables import importance_page_table, learning_page_table, merits_page_table, normalisations_page_table
from toolkit.report.wording import with_error
from toolkit.weights import SimulatedEvents

NAMES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
PI = np.array([0.5, 0.0, 0.0, 0.5])


def density(t):
    return np.stack([3 * t**2, (1 - 0.8 * t + 0.64 * t**2) / 0.8133, np.ones_like(t), 2.001 - 2 * t], axis=1)


def log_ratios(t):
    p = density(t)
    return np.log(p) - np.log(p @ PI)[:, None]


def make_events(seed, n=3000):
    rng = np.random.default_rng(seed)
    t, qq = rng.uniform(size=n), rng.uniform(size=n) < 0.5
    weights = density(t) * np.array([40.0, 560.0, 600.0, 2300.0]) / n * 2
    weights[qq, :3] = 0
    weights[~qq, 3] = 0
    observables = {"m4l": 220 + 900 * t, "phi": rng.uniform(-3, 3, size=n)}
    return SimulatedEvents(NAMES, np.arange(n, dtype=np.uint64), qq.astype(np.int64), ("ggF_B", "qqZZ"), observables, weights)


def morph(mu):
    root = np.sqrt(mu)
    return np.stack([mu - root, root, 1 - root, np.ones_like(mu)], axis=1)


@pytest.fixture(scope="module")
def estimate():
    events = make_events(1)
    t = (events.observables["m4l"] - 220) / 900
    reference = {"ggF_S": 0.5, "qqZZ": 0.5}
    return EstimateUnderTest(events, log_ratios(t), reference, events.yields, morph, NAMES[:3], ("qqZZ",), ("m4l", "phi"))


@pytest.fixture(scope="module")
def reviewed(estimate):
    training = make_events(2)
    of_training = log_ratios((training.observables["m4l"] - 220) / 900)
    subject = EnsembleUnderReview(
        estimate=estimate,
        before_calibration=estimate.log_ratios + 0.2,
        test_by_part=estimate.log_ratios,
        training=training,
        in_sample=of_training,
        out_of_bag=of_training,
        out_of_bag_before=of_training,
        spread=np.full_like(of_training, 0.1),
        n_members=6,
        model=lambda x: log_ratios(np.clip((x[:, 0] - 220) / 900, 1e-6, 1 - 1e-6)),
        x=np.stack([estimate.events.observables[name] for name in estimate.features], axis=1),
        score=lambda values: values[:, 0] - np.logaddexp(values[:, 2], values[:, 3]),
        histograms={"m4l": ("m4l", np.array([220.0, 500.0, 800.0, 1200.0]))},
        score_bins=5,
    )
    settings = ReviewSettings(importance_events=1000, importance_repeats=2, importance_groups={"all": ("m4l", "phi")})
    return review(subject, settings=settings)


def test_normalisations(reviewed):
    table = normalisations_page_table(reviewed.normalisations)
    assert table.columns == ("process", "test, before", "test, after", "out of bag, before", "out of bag, after (fitted on these)")
    before = reviewed.normalisations["test, before"]
    assert table.rows[0][1] == f"{with_error(before.mean_ratio[0], before.error[0])}\n({before.pull[0]:+.1f})"
    assert abs(before.pull[0]) > 3
    assert table.flagged == frozenset(), "what counts is the calibrated ratio"
    assert table.rows[-1][2].startswith(f"{reviewed.normalisations['test, after'].test.chi2:.1f}/")
    swapped = {**reviewed.normalisations, "test, after": before}
    assert 0 in normalisations_page_table(swapped).flagged


def test_merits(reviewed):
    table = merits_page_table(reviewed)
    rows = {row[0]: row for row in table.rows}
    assert list(rows) == ["rate", "m4l", "score of the networks"]
    z = reviewed.merits[1].merits["z"]
    assert rows["m4l"][1:3] == ("3", with_error(z.value, z.error))
    assert rows["rate"][6:8] == ("-", "-")
    assert table.columns[-1] == "AUC"


def test_importance(reviewed):
    table = importance_page_table(reviewed.importances)
    first = reviewed.importances[0]
    best = first.order[0]
    assert {row[0] for row in table.rows} == {"m4l", "phi", "all: m4l, phi"}
    assert table.rows[0][1] == with_error(float(first.loss[best]), float(first.error[best]))
    assert table.rows[-1][0] == "phi"
    assert "loss of AUC" in table.columns[2]


@pytest.fixture
def learning():
    points = (LearningPoint(0.5, 400, 1.2, 0.1, Gain(2.4, 0.2)), LearningPoint(1.0, 800, 1.5, 0.1, None))
    return LearningCurve({"mu": 1.0}, {"mu": 0.0}, "m4l", 0.5, 0.05, points)


def test_learning_curve(learning):
    table = learning_page_table(learning)
    assert table.rows[0] == ("0.5", "400", "1.20 ± 0.10", "2.40 ± 0.20")
    assert table.rows[1][-1] == "-", "a histogram that tells nothing has no ratio"
    assert table.rows[-1][2] == "0.500 ± 0.050"
    [job] = learning_jobs(learning, style=PlotStyle())
    assert (job.part, job.draw().numbers["histogram"]) == ("learning", "m4l")


def test_jobs_cover_everything(reviewed):
    jobs = list(review_jobs(reviewed, style=PlotStyle()))
    names = [job.name for job in jobs]
    assert names == [
        *(f"calibration_change_{name}" for name in NAMES),
        *(f"train_test_{name}" for name in NAMES),
        "ensemble_spread",
        "importance",
    ]
    assert {job.part for job in jobs} == {"change", "overlay", "spread", "importance"}
    drawn = {job.name: job.draw().numbers for job in jobs if job.name in {"train_test_qqZZ", "calibration_change_ggF_B", "importance"}}
    assert drawn["train_test_qqZZ"]["title"] == "qqZZ", "each job draws its own result"
    assert drawn["calibration_change_ggF_B"]["after"]["numerator"] == "ggF_B"
    assert drawn["importance"]["metrics"][1]["metric"] == "AUC"


def test_page(results, estimate, reviewed, learning):
    picture = PageFigure(b"png", "caption")
    parts = ("results", "selection", "observables", "training", "overlay", "learning", "change", "importance")
    suite = diagnose(estimate)
    page = build_page(
        results,
        judge(results),
        suite,
        dict.fromkeys(parts, (picture,)),
        title="off-shell",
        provenance=Provenance(samples=(("ggF_S", "1"),), sample_columns=("sample", "files"), seeds={"report": 1}),
        review=reviewed,
        learning=learning,
    )
    titles = [section.title for section in page.sections]
    assert titles == [
        "Result",
        "Closure",
        "Samples and selection",
        "Observables",
        "Yields",
        "Training",
        "Calibration",
        "Reweighting closure",
        "Figures of merit",
        "Importance",
        "Provenance",
    ]
    text = render_page(page)
    assert "score of the networks" in text
    assert "out of bag, after (fitted on these)" in text
    figures = {section.title: len(section.figures) for section in page.sections}
    assert (figures["Training"], figures["Samples and selection"], figures["Importance"]) == (3, 1, 1)
    assert "Learning curve" in text

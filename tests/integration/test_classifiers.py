"""Classifiers through the real stages, on the first events of the example ntuples: two regions split by a score of the pipeline's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG, THREE
from toolkit.analysis.datasets import read_data, read_every, read_pairs, read_simulation
from toolkit.analysis.regions import learned_events, learned_pairs
from toolkit.analysis.scores import classifier_file, classifier_fold, score_file
from toolkit.artifacts.events import read_events, tables_of
from toolkit.config import Config, parse_config
from toolkit.diagnostics.separation import rate_at_efficiency
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError, ToolkitError
from toolkit.likelihood import OnnxRatio
from toolkit.pipeline import GRAPH, STAGE_NAMES, Plan, StageContext, run_pipeline
from toolkit.pipeline.validation import check_run
from toolkit.plots.style import PLAIN
from toolkit.report.classifier_pages import ClassifierPages

EVENTS = {"ggF_SBI": 3000, "qqZZ": 3000}
CUT = -0.6
D_PRE: dict[str, Any] = {
    "features": ["m4l", "cos_theta_star", "m_jj_filled", "has_m_jj"],
    "numerator": ["ggF_S"],
    "denominator": {"ggF_B": 1.0, "qqZZ": 1.0},
    "hidden": [8],
    "epochs": 3,
    "folds": 3,
    "batch_size": 64,
}
MODE: dict[str, Any] = {
    "architecture": "boosted_trees",
    "features": ["m4l", "m_jj"],
    "classes": {"ggF": ["ggF_S"], "ZZ": {"ggF_B": 1.0, "qqZZ": 1.0}},
    "where": "n_jets >= 1",
    "folds": 2,
    "trees": 8,
    "leaves": 4,
    "importance": "removal",
}
D_FLAT = {**D_PRE, "decorrelate": {"variables": ["m4l"], "method": "distance_correlation", "strength": 10}}
REGIONS = {
    "SR": {"kind": "unbinned", "condition": f"D_pre > {CUT}"},
    "CR": {"kind": "histogram", "condition": f"D_pre <= {CUT}", "histogram": {"observable": "n_jets", "edges": [-0.5, 0.5, 1.5, 30.5]}},
    "heavy": "m4l > 400",
}
GGF = {"amplitudes": {"S": "sqrt(mu)", "B": "1"}, "benchmarks": {"ggF_S": [1, 0], "ggF_SBI": [1, 1], "ggF_B": [0, 1]}}
SAMPLES = [
    {"name": "ggF_SBI", "process": "ggF", "files": ["ggF_SBI_0.root"], "k_factor": 1.8, "benchmarks": THREE},
    {"name": "qqZZ", "files": ["qqZZ_0.root"], "k_factor": 1.3},
    {"name": "data", "kind": "data", "files": ["qqZZ_1.root"]},
]


def config_of(folder: Path, **changes: Any) -> Config:
    document = {
        **{name: part for name, part in CONFIG.items() if name != "parameter"},
        "samples": SAMPLES,
        "parameters": {"mu": {"range": [0, 6]}},
        "processes": {"ggF": GGF, "qqZZ": {}},
        "classifiers": {"D_pre": D_PRE, "D_flat": D_FLAT, "mode": MODE},
        "regions": REGIONS,
        "fills": {"m_jj": 0.0},
        "systematics": {"objects": {"jet_scale": {"object": "jet", "kind": "scale", "size": 0.1}}, "ratios": {"shape": "networks"}},
        "histograms": {**CONFIG["histograms"], "score_of_mine": {"observable": "D_pre", "edges": [-20, -1, 0, 20]}},
        "ratios": {**CONFIG["ratios"], "features": ["m4l", "cos_theta_star", "D_pre"], "batch_size": 32},
        **changes,
    }
    document["systematics"]["ratios"] |= {"hidden": [8], "epochs": 2, "batch_size": 32}
    return parse_config(document, folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("classifiers")
    write_first_events(made, EVENTS, files=2)
    run_pipeline(config_of(made), out=made / "out", plan=Plan(GRAPH[: STAGE_NAMES.index("fit")]))
    return made


@pytest.fixture(scope="module")
def context(folder: Path) -> StageContext:
    return StageContext(config=config_of(folder), out=folder / "out", work=folder / "out", key="")


def log_sum(logs: np.ndarray) -> np.ndarray:
    return np.log(np.exp(logs).sum(axis=1))


def test_processing_leaves_out_what_it_cannot_know(folder: Path) -> None:
    document = json.loads((folder / "out" / "cutflow.json").read_text())
    assert [list(regions) for regions in document["regions"].values()] == [["heavy"]] * 3
    assert any(
        note.startswith("not counted here: SR, CR, which need the classifiers (D_pre, D_flat, mode_ggF, mode_ZZ)")
        for note in document["notes"]
    )
    table = read_events(folder / "out" / "events", "qqZZ")
    assert set(table.regions) == {"heavy"}
    assert {"m_jj", "n_jets"} <= set(table.observables)


def test_scores_are_out_of_fold(folder: Path, context: StageContext) -> None:
    """From the networks as others read them: every event by the one without its fold, training and test events alike."""
    training, test = read_simulation(context)
    section = context.config.classifiers["D_pre"]
    fold = classifier_fold(context.config, section, training.event_id)
    assert sorted(set(fold.tolist())) == [0, 1, 2]
    parts = [(events, k) for events in (training, test) for k in range(3)]
    for whole, k in parts:
        events = whole.select(classifier_fold(context.config, section, whole.event_id) == k)
        ratio = OnnxRatio(folder / "out" / classifier_file("D_pre", k))
        assert ratio.numerators == ("ggF_S", "ggF_B", "qqZZ")
        logs = ratio(ratio.columns(events.observables))
        np.testing.assert_allclose(np.exp(logs).mean(axis=1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(events.observables["D_pre"], logs[:, 0] - log_sum(logs[:, 1:]), atol=1e-5)
    others = OnnxRatio(folder / "out" / classifier_file("D_pre", 0))
    seen = training.select(fold == 1)
    logs = others(others.columns(seen.observables))
    assert np.max(np.abs(seen.observables["D_pre"] - logs[:, 0] + log_sum(logs[:, 1:]))) > 1e-3


def test_data_events_have_scores_of_the_same_distribution(folder: Path, context: StageContext) -> None:
    data = read_data(context)
    fold = classifier_fold(context.config, context.config.classifiers["D_pre"], data.event_id)
    for k in range(3):
        ratio = OnnxRatio(folder / "out" / classifier_file("D_pre", k))
        logs = ratio(ratio.columns(data.observables))[fold == k]
        np.testing.assert_allclose(data.observables["D_pre"][fold == k], logs[:, 0] - log_sum(logs[:, 1:]), atol=1e-5)


def test_classes_have_probabilities_where_the_condition_holds(folder: Path, context: StageContext) -> None:
    """From the files: trees take m_jj as it is, missing with one jet; events without jets have no probability."""
    training, test = read_simulation(context)
    section = context.config.classifiers["mode"]
    ratios = [OnnxRatio(folder / "out" / classifier_file("mode", k)) for k in range(2)]
    assert ratios[0].numerators == ("ggF", "ZZ")
    for events in (training, test):
        found = np.stack([events.observables[name] for name in ("mode_ggF", "mode_ZZ")], axis=1)
        some = events.observables["n_jets"] >= 1
        assert np.isnan(found[~some]).all()
        np.testing.assert_allclose(found[some].sum(axis=1), 1.0, rtol=1e-12)
        assert np.isnan(events.observables["m_jj"][some]).any()
        fold = classifier_fold(context.config, section, events.event_id)
        for k, ratio in enumerate(ratios):
            chosen = some & (fold == k)
            logs = ratio(ratio.columns(events.observables)[chosen])
            np.testing.assert_allclose(found[chosen], np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True), atol=1e-6)
    signal, other = (training.weights[:, training.processes.index(name)] for name in ("ggF_S", "qqZZ"))
    p, some = training.observables["mode_ggF"], training.observables["n_jets"] >= 1
    assert np.average(p[some], weights=signal[some]) > np.average(p[some], weights=other[some]) + 0.02


def test_what_the_scores_are_worth_is_written(folder: Path, context: StageContext) -> None:
    """Significance, curve and shape from the columns of all events; the page shows them."""
    document = json.loads((folder / "out" / "models" / "classifiers.json").read_text())
    pages = ClassifierPages.from_json(document)
    assert [(c.title, c.where, tuple(c.standings)) for c in pages.comparisons] == [
        ("signal against background", "", ("D_pre", "D_flat")),
        ("ggF against ZZ", "n_jets >= 1", ("mode",)),
    ]
    events = read_every(context)
    density = {name: events.weights[:, events.processes.index(name)] for name in ("ggF_S", "ggF_B", "qqZZ")}
    signal, background = density["ggF_S"], density["ggF_B"] + density["qqZZ"]
    own = (signal != 0) | (background != 0)
    for name, standing in pages.comparisons[0].standings.items():
        merit = rate_at_efficiency(events.observables[name][own], signal=signal[own], background=background[own])
        assert standing.rate == pytest.approx((merit.value, merit.error), rel=1e-9)
    bound = pages.comparisons[0].ratio("D_flat", "D_pre")
    assert bound.value < 1.0 < bound.value + 20.0 * bound.error
    assert {(s.name, s.observable) for s in pages.shapes} == {("D_pre", "m4l"), ("D_flat", "m4l")}
    some = own & (events.observables["n_jets"] >= 1)
    p = events.observables["mode_ggF"][some]
    merit = rate_at_efficiency(p, signal=signal[some], background=background[some])
    assert pages.comparisons[1].standings["mode"].rate == pytest.approx((merit.value, merit.error), rel=1e-9)
    assert set(pages.overlays) == {"D_pre", "D_flat", "mode"}
    assert all(0.0 < part.ks[0].p_value <= 1.0 for parts in pages.overlays.values() for part in parts)
    shuffled, removed = pages.shuffled["mode"], pages.removed["mode"]
    assert set(shuffled.names) == set(removed) == {"m4l", "m_jj"}
    assert shuffled.loss[shuffled.names.index("m4l")] > 3.0 * shuffled.error[shuffled.names.index("m4l")]
    assert removed["m4l"][0] < 1.0 - 3.0 * removed["m4l"][1]
    assert shuffled.baseline == pytest.approx(merit.value, rel=0.3)
    section = pages.section(())
    assert [table.title for table in section.tables] == [
        "signal against background",
        "ggF against ZZ, n_jets >= 1",
        "Shape of the background behind cuts",
        "Features of mode",
        "Events seen in training against others",
    ]
    jobs = list(pages.jobs(style=PLAIN))
    assert len({job.name for job in jobs}) == len(jobs) == 2 + 3 + 1 + 6
    for job in (jobs[0], jobs[2]):
        assert job.draw().numbers


def test_a_varied_event_has_the_network_of_the_same_event(context: StageContext) -> None:
    training, _ = read_pairs(context, variation="jet_scale_up")
    moved = training.moved(("m_jj_filled", "has_m_jj"))
    assert 0 < np.sum(moved) < len(training)
    both = (training.nominal_weights != 0).any(axis=1) & (training.varied_weights != 0).any(axis=1)
    change = np.abs(training.nominal["D_pre"] - training.varied["D_pre"])
    assert np.max(change[both & ~moved]) < 1e-5
    assert np.mean(change[both & moved] > 1e-5) > 0.9  # the rest is beyond the clip of the inputs


def test_networks_learn_in_the_unbinned_region_alone(folder: Path, context: StageContext) -> None:
    config = context.config
    training, test = read_simulation(context)
    inside = learned_events(config, training)
    assert 100 < len(inside) < len(training)
    assert inside.observables["D_pre"].min() > CUT
    with np.load(folder / "out" / "models" / "out_of_bag.npz") as kept:
        assert np.array_equal(kept["event_id"], inside.event_id)
    with np.load(folder / "out" / "models" / "inspection.npz") as kept:
        assert np.array_equal(kept["test_event_id"], learned_events(config, test).event_id)
    ratio = OnnxRatio(folder / "out" / "models" / "mixture.onnx")
    assert ratio.features == ("m4l", "cos_theta_star", "D_pre")


def test_pairs_have_weights_where_each_side_is_inside(context: StageContext) -> None:
    pairs, _ = read_pairs(context, variation="jet_scale_up")
    inside = learned_pairs(context.config, pairs)
    for side, weights in (("nominal", "nominal_weights"), ("varied", "varied_weights")):
        expected = getattr(pairs, weights)[getattr(pairs, side)["D_pre"] > CUT].sum(axis=0)
        np.testing.assert_allclose(getattr(inside, weights).sum(axis=0), expected, rtol=1e-12)
        assert getattr(inside, side)["D_pre"].min() > CUT
    assert not np.array_equal(inside.nominal_weights == 0.0, inside.varied_weights == 0.0)


def test_everything_is_kept_for_the_next_run(folder: Path) -> None:
    outcomes = run_pipeline(config_of(folder), out=folder / "out", plan=Plan(GRAPH[: STAGE_NAMES.index("fit")]))
    assert [outcome.status for outcome in outcomes] == ["unchanged"] * 5
    assert "models/classifiers/D_pre/without_fold_2.onnx" in check_run(folder / "out").references
    document = json.loads((folder / "out" / "models" / "classifiers.json").read_text())
    assert len(document["classifiers"]["D_pre"]["members"]) == 3


def test_scores_that_are_missing_or_of_other_events_are_refused(folder: Path, context: StageContext) -> None:
    path = folder / "out" / score_file("qqZZ")
    assert tables_of(folder / "out" / "events", "qqZZ") == ("nominal", "jet_scale_down", "jet_scale_up")
    kept, other = path.read_bytes(), (folder / "out" / score_file("ggF_SBI")).read_bytes()
    cases: list[tuple[bytes, type[ToolkitError]]] = [(kept[: len(kept) // 2], InputFileError), (other, ArtifactMismatchError)]
    try:
        for content, error in cases:
            path.write_bytes(content)
            with pytest.raises(error, match="h4l classify"):
                read_simulation(context)
        path.unlink()
        with pytest.raises(InputFileError, match="h4l classify"):
            read_simulation(context)
    finally:
        path.write_bytes(kept)


def test_a_region_without_a_density_is_refused(folder: Path, context: StageContext) -> None:
    config = config_of(folder, regions={"SR": {"kind": "unbinned", "condition": "D_pre > 50"}})
    with pytest.raises(PhysicsDomainError, match=r"(?s)unbinned regions \['SR'\].*no expected events of \['ggF_S'"):
        learned_events(config, read_simulation(context)[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classifiers": {"D_pre": {**D_PRE, "numerator": ["ggF_X"]}}}, "no densities ['ggF_X']; the densities are ['ggF_S', 'ggF_SBI'"),
        ({"classifiers": {"D_pre": {**D_PRE, "denominator": ["ggF_S"]}}}, "nothing to tell apart"),
        ({"classifiers": {"D_pre": {**D_PRE, "numerator": {"ggF_S": 0.0}}}}, "greater than 0"),
        ({"classifiers": {"D_pre": {**D_PRE, "numerator": ["ggF_S", "ggF_S"]}}}, "occur twice"),
        ({"classifiers": {"D_pre": D_PRE, "D_2": {**D_PRE, "features": ["m4l", "D_pre"]}}}, "features ['D_pre'] are scores of classifiers"),
        ({"classifiers": {"D_pre": D_PRE, "D": {**MODE, "classes": {"pre": ["ggF_S"], "b": ["qqZZ"]}}}}, "columns ['D_pre'] belong to two"),
        ({"classifiers": {"D_pre": D_PRE, "mode": {**MODE, "where": "D_pre > 0"}}}, "scores of classifiers; use observables"),
        ({"classifiers": {"D_pre": {**MODE, "local_score": {"parameter": "mu"}}}}, "one of them only"),
        ({"selection": {"where": "D_pre > 0"}}, "trained on selected events"),
        ({"columns": {"D_pre": {"branch": "x", "range": [0, 1]}}}, "names of scores or columns"),
    ],
)
def test_what_cannot_be_is_refused_when_the_config_is_read(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError) as refused:
        config_of(tmp_path, **changes)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classifiers": {"D_pre": {**D_PRE, "where": "nothing > 0"}}}, "observable 'nothing' in the config"),
        ({"classifiers": {"D_pre": {**D_PRE, "features": ["m4l", "nothing"]}}}, "observable 'nothing' in the config"),
        ({"classifiers": {"m_z1": D_PRE}, "observables": ["m_z1"]}, "names of observables ['m_z1']"),
        ({"regions": {"SR": {"kind": "unbinned", "condition": "D_pro > 0"}}}, "observable 'D_pro' in the config"),
        ({"classifiers": {"D_pre": {**D_PRE, "features": ["m4l", "m_jj"]}}}, "feature m_jj"),
    ],
)
def test_what_the_observables_do_not_give_is_refused(folder: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    config = config_of(folder, **{"regions": {}, "histograms": CONFIG["histograms"], "ratios": CONFIG["ratios"], **changes})
    with pytest.raises(ToolkitError) as refused:
        run_pipeline(config, out=tmp_path, plan=Plan(GRAPH[: STAGE_NAMES.index("train")]))
    assert words in str(refused.value)

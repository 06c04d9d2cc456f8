"""What a wrong config says: the key, what is wrong with it, what would be right."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from toolkit.config import Config, load_config, parse_config
from toolkit.config.document import read_document
from toolkit.errors import InputFileError, SchemaError

NAMES = ["ggF_S", "ggF_B", "ggF_SBI"]
VALID: dict[str, Any] = {
    "luminosity_ifb": 140.0,
    "samples": [
        *({"name": name, "files": [f"{name}.root"], "k_factor": 1.8, "benchmarks": list(NAMES)} for name in NAMES),
        {"name": "qqZZ", "files": ["{data}/qqZZ_*.root"]},
    ],
}
MASS = {"observable": "m4l", "edges": [220, 400, 1000]}
MEMBERS = {"kind": "members", "vector": "LHEPdfWeight", "first": 0, "last": 4, "combine": "hessian"}
BINS = {"pt": [0, 50], "abs_eta": [0, 1, 2.5], "size": [[0.01, 0.02]]}


def _changed(path: str, value: Any) -> dict[str, Any]:
    """Return the valid document with one entry changed, for example `samples.0.name`."""
    document = copy.deepcopy(VALID)
    place: Any = document
    *parents, last = path.split(".")
    for key in parents:
        place = place[int(key)] if key.isdigit() else place.setdefault(key, {})
    if last.isdigit():
        place[int(last)] = value
    else:
        place[last] = value
    return document


def _said(document: Any) -> str:
    with pytest.raises(SchemaError) as error:
        parse_config(document, folder=Path("/analysis"), data="/ntuples")
    return str(error.value)


def test_the_valid_document_is_valid() -> None:
    config = parse_config(VALID, folder=Path("/analysis"), data="/ntuples")
    assert config.sample("ggF_S").files == ("/analysis/ggF_S.root",)
    assert config.sample("qqZZ").files == ("/ntuples/qqZZ_*.root",)
    assert config.densities == ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("histograms", {"../../x": MASS}, "may not contain '/'"),
        ("histograms", {"a\nb": MASS}, "may not contain '\\n'"),
        ("histograms", {".hidden": MASS}, "'.hidden' is no name"),
        ("histograms", {"é" * 50: MASS}, "a name of 100 bytes, at most 80 are allowed"),
        ("name", "runs/a", "name: 'runs/a' is the name of files, too"),
        ("columns", {"a\\b": {"branch": "b"}}, "may not contain"),
        ("samples.3.name", "../qqZZ", "should match pattern"),
        ("parameter.name", "mu/x", "should match pattern"),
        ("ratios.hidden", [0], "should be greater than or equal to 1"),
        ("ratios.seed", 2**40, "should be less than or equal to 1000000000"),
        ("x" * 200, 1, "x" * 80 + "...: unknown key"),
        ("parameter.range", [6.0, 0.0], "parameter: range [6.0, 0.0] is empty; give (low, high) with low < high"),
        ("parameter.range", [-1.0, 6.0], "range starts at -1.0; mu = c^2 multiplies a squared amplitude, so the lower end must be >= 0"),
        ("parameter.range", [2.0, 6.0], "range [2.0, 6.0] excludes the Asimov truth 1.0; widen the range or move the truth"),
        ("samples.3.name", "ggF_S", "sample names repeat: ['ggF_S', 'ggF_B', 'ggF_SBI', 'ggF_S']"),
        ("samples.0.benchmarks", ["ggF_S"], "sample ggF_S: benchmarks ['ggF_S'] lack ['ggF_B', 'ggF_SBI'], which the morphing needs"),
        ("samples.0.benchmarks", ["ggF_S", "ggF_S"], "samples.ggF_S: benchmark names repeat: ['ggF_S', 'ggF_S']"),
        ("samples.0.k_factor", 1.0, "k_factor differs between interfering samples"),
        ("samples.0.kind", "data", "data have no benchmark weights: remove `benchmarks`, or `kind: data`"),
        ("samples.3.layout", {"kind": "flat"}, "a flat ntuple has no cross-section: give xsec_pb as a number, or set `kind: data`"),
        ("samples.3.layout", {"kind": "flat", "fields": {"px": "a"}}, "fields name ['px']; give px, py and pz, or none of them"),
        ("samples.3.layout", {"kind": "nanoaod", "electron": None, "muon": None}, "electron and muon are both null"),
        ("samples.3.layout", {"kind": "mapping"}, "give `leptons`, or `electrons` and `muons`"),
        ("samples.3.layout", {"kind": "mapping", "leptons": {"pt": "a", "px": "b"}}, "give pt, eta, phi or px, py, pz, got ['pt', 'px']"),
        ("histograms.mass", MASS | {"edges": [400, 220]}, "edges must increase, got [400.0, 220.0]"),
        ("histograms.mass", MASS | {"observable": ["m4l", "m_z1"]}, "one list of edges per observable"),
        ("histograms.mass", MASS | {"edges": [[220, 400], [0, 1]]}, "one list of edges per observable"),
        ("histograms.mass", {"observable": ["m4l", "m4l"], "edges": [[220, 400], [220, 400]]}, "the two observables are the same"),
        ("histograms.mass", {"observable": ["m4l", "m_z1"], "edges": [[220, 400], [90, 50]]}, "edges must increase, got [90.0, 50.0]"),
        ("histograms.mass", MASS | {"least_expected": 1.0}, "least_expected is for histograms of two observables"),
        (
            "histograms.rate",
            MASS,
            "histograms ['rate']: the names rate, score, score_2d, nsbi and nsbi_... belong to",
        ),
        ("report.importance_groups", {"all": []}, "importance_groups ['all'] name no feature; list some or leave the group out"),
        ("report.importance_groups", {"jets": ["m_jj"]}, "importance_groups {'jets': ['m_jj']} are not among ratios.features"),
        ("report.learning_curve", [0.5, 0.25], "learning_curve [0.5, 0.25]: expected different shares, the smallest first"),
        ("report.learning_curve", [0.5, 1.0], "should be less than 1"),
        ("ratios.features", ["m4l", "m4l"], "features repeat: ['m4l', 'm4l']"),
        ("likelihood.closure_mu", [9.0], "closure_mu [9.0] lie outside parameter.range [0.0, 6.0]"),
        ("likelihood.observed", True, "likelihood.observed: there are no data to fit; add a sample of `kind: data`"),
        ("likelihood.toys.methods", [], "methods [] must name one or more different methods"),
        (
            "likelihood.toys.methods",
            ["mass"],
            "likelihood.toys.methods ['mass'] do not run; the methods are ['m4l', 'nsbi', 'rate', 'score', 'score_2d']",
        ),
        ("likelihood.toys.coverage_at", [7.0], "likelihood.toys.coverage_at [7.0] lie outside the range of the parameter, [0.0, 6.0]"),
        ("selection.m4l", [300.0, 200.0], "m4l: [300.0, 200.0] is empty; give (low, high) with low < high"),
        (
            "selection.electron",
            {"pt_min": 7, "abs_eta_max": 2.5, "abs_eta_gap": [1.52, 1.37]},
            "abs_eta_gap: [1.52, 1.37] is empty; give (low, high) with low < high",
        ),
        ("systematics.objects.scale", {"object": "jet", "kind": "scale"}, "exactly one of size, bins and file must be given, got none"),
        ("systematics.objects.scale", {"object": "jet", "kind": "scale", "size": 0.1, "bins": BINS}, "got ['size', 'bins']"),
        ("systematics.objects.s", {"object": "jet", "kind": "scale", "bins": BINS | {"pt": [50, 0]}}, "pt: edges must increase"),
        ("systematics.objects.s", {"object": "jet", "kind": "scale", "bins": BINS | {"size": [[0.1]]}}, "1 rows (pt bins) of 2 numbers"),
        ("systematics.objects.s", {"object": "jet", "kind": "scale", "bins": BINS | {"size": [[0.1, 2]]}}, "at least 0 and below 1"),
        (
            "systematics.objects.s",
            {"object": "jet", "kind": "resolution", "file": {"path": "a", "correction": "b", "inputs": ["pt"], "meaning": "factor"}},
            "a resolution needs `meaning: size`: the width of the Gaussian, not a factor",
        ),
        ("systematics.objects.s", {"object": "jet", "kind": "scale", "size": 0.1, "samples": ["VBF"]}, "systematics.s: no samples ['VBF']"),
        ("systematics.weights.pdf", MEMBERS | {"last": -1}, "should be greater than or equal to 0 (got -1)"),
        ("systematics.weights.pdf", MEMBERS | {"first": 5}, "0 members from first 5 to last 4; hessian needs at least 1"),
        ("systematics.weights.pdf", MEMBERS | {"combine": "hessian_pairs"}, "hessian_pairs needs an even number of members, got 5"),
        ("regions", {"SR": "m4l >"}, "regions.SR"),
        ("luminosity_if", 140.0, "luminosity_if: unknown key; did you mean 'luminosity_ifb'?"),
        ("wizardry", 1, "wizardry: unknown key\n"),
        (
            "samples.3.layout",
            {"kind": "nanoaod", "tree": "t"},
            "tree: unknown key here; it belongs to `samples`, or did you mean 'runs_tree'?",
        ),
        ("samples.3.k_factor", "high", "samples.qqZZ.k_factor: should be a valid number"),
        ("samples.3.files", "a.root", "samples.qqZZ.files: a list is expected, for example [a, b] (got 'a.root')"),
        ("samples.3.files", [], "samples.qqZZ.files: at least 1 entry is needed"),
        ("samples.3", {"files": ["a.root"]}, "samples.3.name: missing"),
        ("selection.m4l", [220000, 2000000], "m4l: [220000, 2e+06] lies above 14000 GeV; masses are in GeV, not in MeV"),
        ("selection.electron", {"pt_min": 7000, "abs_eta_max": 2.47}, "electron.pt_min: 7000 is above 2000 GeV; momenta are in GeV"),
        ("selection.leading_pt_min", [20000, 15000, 10000], "leading_pt_min: 20000 is above 2000 GeV"),
        ("luminosity_ifb", "much", "luminosity_ifb: should be a valid number, unable to parse string as a number (got 'much')"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(path: str, value: Any, message: str) -> None:
    said = _said(_changed(path, value))
    assert message in said
    assert said.endswith("remedy:   correct the keys above; docs/config.md lists them all")


def test_two_variations_of_one_name_are_refused() -> None:
    document = _changed("systematics.weights.jet", MEMBERS)
    document["systematics"]["objects"] = {"jet": {"object": "jet", "kind": "scale", "size": 0.01}}
    assert "variations ['jet_down', 'jet_up'] occur twice; give every systematic a name of its own" in _said(document)


def test_a_document_that_is_no_mapping_is_refused() -> None:
    assert (
        _said([1, 2]) == "config\n  got:      a list\n  expected: a mapping of config keys\n  remedy:   start from examples/offshell4l.yaml"
    )


def test_a_data_folder_that_is_needed_is_asked_for() -> None:
    with pytest.raises(SchemaError, match=r"samples\.qqZZ\.files") as error:
        parse_config(VALID, folder=Path("/analysis"))
    assert error.value.got == "{data}/qqZZ_*.root"
    assert error.value.remedy == "pass --data FOLDER"


def test_paths_of_all_sections_are_resolved_beside_the_config(tmp_path: Path) -> None:
    document = _changed("systematics.objects.scale", {"object": "jet", "kind": "scale", "file": {"path": "c.json", "correction": "x"}})
    document["systematics"]["objects"]["scale"]["file"]["inputs"] = ["pt"]
    document["scores"] = {"d": {"model": "{data}/d.onnx", "numerator": {"S": 1.0}, "denominator": {"B": 1.0}}}
    document["modules"] = ["mine.py"]
    config = parse_config(document, folder=tmp_path, data="/ntuples")
    assert config.external_files == {
        "systematics.objects.scale.file": str(tmp_path / "c.json"),
        "scores.d.model": "/ntuples/d.onnx",
        "modules[0]": str(tmp_path / "mine.py"),
    }


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, InputFileError, "a readable YAML file"),
        (b"\xff\xfe\x00", InputFileError, "a YAML file in UTF-8"),
        (b"samples: [", SchemaError, "valid YAML"),
        (b"samples:\n\t- name: a\n", SchemaError, r"line 2, column 1\)(.|\n)*indent with spaces, not with tabs"),
        (b"", SchemaError, "nothing: the file is empty"),
        (b"name: a\nfit:\n  x: 1\nname: b\n", SchemaError, "the key 'name' twice in one section, in lines 1 and 4"),
        (b"a:\n  x: 1\nb: {x: 1, y: {x: 2, x: 3}}\n", SchemaError, "the key 'x' twice in one section, in lines 3 and 3"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, error: type[Exception], message: str) -> None:
    path = tmp_path / "analysis.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=message) as found:
        load_config(path)
    assert str(path) in str(found.value)


def test_anchors_and_merged_sections_are_no_repetition(tmp_path: Path) -> None:
    path = tmp_path / "analysis.yaml"
    path.write_text("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: [*a, *b], y: 3}\nd: [*a, *a]\n", encoding="utf-8")
    assert read_document(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_a_config_without_interference_is_no_measurement() -> None:
    lone = Config.model_validate({"luminosity_ifb": 1.0, "samples": [{"name": "qqZZ", "files": ["x"]}]})
    with pytest.raises(SchemaError, match="none that lists benchmarks or is called after one"):
        lone.require_interference()


def test_samples_that_know_only_their_own_weight_are_a_measurement_if_there_is_one_of_each() -> None:
    names = ["ggF_S", "ggF_SBI", "ggF_B", "qqZZ"]
    document = {"luminosity_ifb": 1.0, "samples": [{"name": name, "files": ["x"]} for name in names]}
    whole = Config.model_validate(document)
    whole.require_interference()
    assert whole.densities == tuple(names)
    assert whole.backgrounds == ("qqZZ",)
    lacking = Config.model_validate({**document, "samples": [document["samples"][k] for k in (0, 2, 3)]})
    with pytest.raises(SchemaError, match="no events of ggF_SBI"):
        lacking.require_interference()
    Config.model_validate({**document, "ratios": {"estimator": "per_process"}}).require_interference()
    with pytest.raises(SchemaError, match=r"ratios.estimator: bit[\s\S]*ggF_SBI[\s\S]*'mixture'"):
        Config.model_validate({**document, "ratios": {"estimator": "bit"}}).require_interference()


def test_workspaces_of_data_keep_their_names() -> None:
    document = _changed("histograms", {"mass": MASS, "mass_observed": MASS})
    document["samples"].append({"name": "data", "kind": "data", "files": ["data.root"]})
    parse_config(document, folder=Path("/analysis"), data="/ntuples")
    assert "histograms ['mass_observed']: these are names of the workspaces" in _said(document | {"likelihood": {"observed": True}})


FOREIGN = (
    "Input should",
    "pydantic",
    "validation error",
    "Field required",
    "Extra inputs",
    "Value error",
    "Assertion failed",
    "type=",
    "Unable to",
)
"""Words of the library that checks configs: a user does not know it."""


@pytest.mark.parametrize("value", [None, True, -1, 0.5, "text", [], [1, "a"], {}, {"unknown": 1}])
def test_the_words_of_the_library_stay_inside(value: Any) -> None:
    for key in (
        *Config.model_fields,
        "samples.0.name",
        "samples.0.files",
        "selection.jet",
        "selection.m4l",
        "ratios.features",
        "ratios.hidden",
    ):
        try:
            parse_config(_changed(key, value), folder=Path("/analysis"), data="/ntuples")
        except SchemaError as error:
            said = str(error)
            found = [words for words in FOREIGN if words in said]
            assert not found, f"{key}: {value!r} -> {said}"

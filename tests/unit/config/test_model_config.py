"""The physics model of a config, general and short form: the same object, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from toolkit.config import Config, MorphingConfig, load_config, parse_config
from toolkit.config.hints import hint
from toolkit.config.model import short_process
from toolkit.errors import SchemaError
from toolkit.expressions import Expression
from toolkit.likelihood import morphing_expressions
from toolkit.model import Model, learned_densities, solve_products
from toolkit.model.identifiability import flat_directions
from toolkit.model.regions import partition
from toolkit.weights import Morphing

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
GGF = ["ggF_S", "ggF_B", "ggF_SBI"]
EW = ["EW_B", "EW_SBI1", "EW_SBI10"]
GENERAL = """
luminosity_ifb: 140
parameters:
  mu_ggF: {range: [0, 6]}
  mu_EW: {range: [0, 6], label: "mu EW"}
  t0: {kind: normalisation, range: [0.2, 3]}
  t1: {kind: normalisation, range: [0.2, 3]}
  t2: {kind: normalisation, range: [0.2, 3]}
processes:
  ggF:
    amplitudes: {S: sqrt(mu_ggF), B: 1}
    benchmarks: {ggF_S: [1, 0], ggF_SBI: {mu_ggF: 1}, ggF_B: {mu_ggF: 0}}
  EW: {basis: EW, parameter: mu_EW}
  qqZZ:
    split:
      qqZZ_0j: {condition: n_jets == 0, factor: t0}
      qqZZ_1j: {condition: n_jets == 1, factor: t0 * t1}
      qqZZ_2j: {condition: n_jets >= 2, factor: t0 * t1 * t2}
samples:
  - {name: ggF_S, process: ggF, files: [a.root], k_factor: 1.8, benchmarks: [ggF_S, ggF_B, ggF_SBI]}
  - {name: ggF_B, process: ggF, files: [a.root], k_factor: 1.8}
  - {name: vbf, process: EW, generated: EW_SBI1, files: [a.root], benchmarks: [EW_S, EW_B, EW_SBI1, EW_SBI10]}
  - {name: qqZZ, files: [a.root]}
selection: {where: n_jets >= 1 and m_jj > 120}
regions:
  SR: {kind: unbinned, condition: pt4l > 20}
  CR: {kind: histogram, condition: pt4l <= 20, histogram: {observable: n_jets, edges: [0, 1, 2, 10]}}
  jets_2: n_jets >= 2
  onshell: {kind: workspace, file: onshell.json}
"""


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(GENERAL)
    return loaded


def parse(changed: dict[str, Any]) -> Config:
    return parse_config(changed, folder=Path("/analysis"))


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the general document with one entry changed, or removed for None."""
    out = copy.deepcopy(document())
    place: Any = out
    *parents, last = path.split(".")
    for key in parents:
        place = place[int(key)] if key.isdigit() else place[key]
    if value is None:
        del place[int(last) if last.isdigit() else last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return out


def test_the_general_form_is_a_model() -> None:
    model = parse(document()).model
    assert model.parameter_names == ("mu_ggF", "mu_EW", "t0", "t1", "t2")
    assert [p.name for p in model.normalisations] == ["t0", "t1", "t2"]
    assert model.densities == ("ggF_S", "ggF_SBI", "ggF_B", "EW_S", "EW_SBI1", "EW_B", "qqZZ_0j", "qqZZ_1j", "qqZZ_2j")
    assert model.expressions()[6:] == ("t0", "t0 * t1", "t0 * t1 * t2")
    assert [(s.name, s.process, s.benchmark, s.carried) for s in model.samples] == [
        ("ggF_S", "ggF", "ggF_S", ("ggF_S", "ggF_SBI", "ggF_B")),
        ("ggF_B", "ggF", "ggF_B", ("ggF_B",)),
        ("vbf", "EW", "EW_SBI1", ("EW_B", "EW_SBI1", "EW_SBI10")),
        ("qqZZ", "qqZZ", "qqZZ", ("qqZZ",)),
    ]
    assert [(r.name, r.kind) for r in model.regions] == [("SR", "unbinned"), ("CR", "histogram"), ("onshell", "workspace")]
    assert model.regions[1].edges == ((0.0, 1.0, 2.0, 10.0),)
    assert model.regions[2].file == "/analysis/onshell.json"


def test_conditions_of_regions_and_parts_are_columns() -> None:
    config = parse(document())
    assert list(config.conditions) == ["SR", "CR", "jets_2", "qqZZ_0j", "qqZZ_1j", "qqZZ_2j"]
    assert config.densities == config.model.densities
    assert config.backgrounds == ("qqZZ_0j", "qqZZ_1j", "qqZZ_2j")


@pytest.mark.parametrize("name", ["offshell4l", "vbf4ljj", "offshell4l_systematics"])
def test_the_short_form_of_the_examples_is_the_same_object(name: str, tmp_path: Path) -> None:
    config = load_config(EXAMPLES / f"{name}.yaml", data=tmp_path)
    model = config.model
    assert not config.general
    assert model.densities == config.densities
    assert model.expressions() == morphing_expressions(n_backgrounds=len(config.backgrounds))
    assert model.parameters[0].range == config.parameter.range
    assert model.truth == {config.parameter.name: config.parameter.asimov}
    coherent = model.processes[0]
    assert {s.name for s in model.samples_of(coherent.name)} == {s.name for s in config.samples if s.benchmarks}


def test_short_and_general_form_of_one_analysis_are_equal() -> None:
    samples = [{"name": n, "files": ["a.root"], "benchmarks": GGF} for n in GGF] + [{"name": "qqZZ", "files": ["a.root"]}]
    short = parse({"luminosity_ifb": 1, "samples": samples}).model
    general = parse(
        {
            "luminosity_ifb": 1,
            "parameters": {"mu": {"range": [0, 6]}},
            "processes": {"ggF": {"basis": "ggF"}, "qqZZ": {}},
            "samples": [{**s, "process": "ggF"} if "benchmarks" in s else s for s in samples],
        }
    ).model
    assert (short.parameters, short.densities, short.expressions()) == (general.parameters, general.densities, general.expressions())
    assert [b.vector for b in short.processes[0].benchmarks] == [b.vector for b in general.processes[0].benchmarks]


@pytest.mark.parametrize(
    "section",
    [
        {"basis": "EW"},
        {"basis": "EW", "points": {"B": 0, "one": 1, "ten": 10, "S": "mu"}, "signal": "S"},
        {"basis": "EW", "points": {"SI": "mu + sqrt(mu)", "one": 1, "ten": 10}},
        {"basis": "EW", "points": {"twice": "4*mu + 2*sqrt(mu) + 1", "one": 1, "B": 0}},
        {"basis": "kappa"},
        {"basis": "own", "monomials": ["mu**4", "mu**2", "1"], "points": {"a": 0, "b": 1, "c": 2}},
        {"basis": "own", "monomials": ["1", "mu", "mu**2", "mu**3", "mu**4"], "points": {"a": 0, "b": 1, "c": 2, "d": 3, "e": -1}},
    ],
)
def test_short_forms_mix_their_benchmarks_like_the_morphing(section: dict[str, Any]) -> None:
    morphing = MorphingConfig(**section)
    process = short_process(morphing, "mu")
    expected = Morphing(monomials=morphing.monomials_in("mu"), benchmarks=morphing.points_in("mu"))
    assert process.benchmark_names == morphing.carried
    for mu in (0.3, 1.7):
        a = [Expression.parse(c.coefficient).value({"mu": mu}) for c in process.amplitudes]
        products = np.array([a[k] * a[m] for k, m in process.pairs])
        np.testing.assert_allclose(solve_products(process) @ products, expected.coefficients(mu), atol=1e-9)
    if morphing.two_amplitudes:
        assert tuple(d.name for d in learned_densities(process)) == morphing.benchmarks


def test_monomials_of_no_squared_amplitude_have_no_model() -> None:
    morphing = {"basis": "own", "monomials": ["1", "c"], "points": {"a": 0, "b": 1}}
    samples = [{"name": "a", "files": ["a.root"], "benchmarks": ["a", "b"]}]
    config = parse({"luminosity_ifb": 1, "samples": samples, "parameter": {"name": "c"}, "morphing": morphing})
    with pytest.raises(SchemaError, match="products of amplitudes"):
        _ = config.model


def test_a_point_under_a_root_is_not_negative() -> None:
    with pytest.raises(SchemaError, match=r"morphing.points.a\n.*-1"):
        short_process(MorphingConfig(basis="EW", points={"a": -1, "b": 0, "c": 1}), "mu")


def test_samples_that_know_only_their_own_weight_belong_to_the_short_form_too() -> None:
    config = parse({"luminosity_ifb": 1, "samples": [{"name": n, "files": ["a.root"]} for n in [*GGF, "qqZZ"]]})
    assert [(s.process, s.carried) for s in config.model.samples] == [*(("ggF", (n,)) for n in GGF), ("qqZZ", ("qqZZ",))]


WRONG = [
    ("processes.ggF.amplitudes.S", "sqrt(mu_gF)", "undefined parameter 'mu_gF'.*\n.*\n.*did you mean 'mu_ggF'"),
    ("processes.ggF.amplitudes.S", "sqrt(5 - mu_ggF)", r"at mu_ggF = 5.0.*mu_ggF in \[5.0.*, 6\]\); the range is mu_ggF"),
    ("processes.ggF.amplitudes.S", "sqrt(mu_ggF", "expression 'sqrt\\(mu_ggF'"),
    ("processes.ggF.benchmarks", {"ggF_S": [1, 0], "ggF_SBI": [2, 0], "ggF_B": [3, 0]}, "amplitude 'B' of process 'ggF'"),
    ("processes.ggF.benchmarks", {"ggF_S": [1, 0], "ggF_SBI": [0, 2], "ggF_B": [0, 1]}, "only up to the sign"),
    ("processes.ggF.benchmarks", {"ggF_S": [1, 0], "ggF_SBI": [1, 1], "ggF_B": [2, 2]}, "undetermined: .*B"),
    ("processes.ggF.benchmarks", {"ggF_S": [1, 0, 0]}, "a number for each of the amplitudes"),
    ("processes.ggF.benchmarks", {}, "amplitudes \\['S', 'B'\\] and no benchmarks"),
    ("processes.ggF.basis", "ggF", "either `basis` or `amplitudes`"),
    ("processes.ggF.parameter", "mu", "`parameter` belongs to `basis`"),
    ("processes.ggF.amplitude", {"S": "1"}, "processes.ggF.amplitude: unknown key; did you mean 'amplitudes'"),
    ("processes.qqZZ.split.qqZZ_0j.condition", "n_jets =", "processes.qqZZ.split.qqZZ_0j.condition: condition 'n_jets ='"),
    ("processes.qqZZ.split.qqZZ_0j.factr", "t0", "unknown key; did you mean 'factor'"),
    ("processes.VBF", {}, "process 'VBF'\n.*no sample"),
    ("processes.qqZZ.factor", "t9", "undefined parameter 't9'"),
    ("processes.qqZZ.region_factors", {"SRR": "t0"}, "factors in the regions \\['SRR'\\]"),
    ("processes.qqZZ.split.qqZZ_2j.factor", "t0 * t1", "parameter 't2': no density depends on it"),
    ("processes.qqZZ.split", {"a": {"condition": "n_jets == 0", "factor": "t0 * t1"}}, "no density (depends on it|tells them apart)"),
    ("parameters.t0", {"kind": "normalisation", "range": [2, 3]}, "truth of parameter"),
    ("parameters.t0", {"kind": "free"}, "parameters.t0.kind"),
    ("parameters.t2", {"kind": "nuisance", "truth": 1.0}, "a nuisance parameter has no truth: its value in the Asimov set is `central`"),
    ("parameters.t2", {"kind": "normalisation", "width": 0.1}, "width belong to `kind: nuisance`"),
    ("parameters.t2", {"kind": "nuisance", "width": 0.0}, "parameters.t2.width"),
    ("parameters.t2", {"kind": "nuisance", "constraint": "poisson"}, "parameter 't2', constrained by a count"),
    ("parameters.t2", {"kind": "nuisance", "central": 1.0, "range": [2, 3]}, "truth of parameter 't2'"),
    ("parameters.t2", {"kind": "normalisation", "interval": "neyman"}, "interval: neyman of a parameter of kind normalisation"),
    ("parameters.alpha", {"kind": "nuisance"}, "parameters.alpha: no density depends on this nuisance parameter"),
    ("parameters.lumi", {"kind": "nuisance"}, "no density depends on this nuisance parameter"),
    ("parameters.t0", {"rang": [0, 1]}, "parameters.t0.rang: unknown key; did you mean 'range'"),
    ("parameters.mu_ggF", "kappa**2", "undefined parameter 'kappa'"),
    ("parameters.mu_ggF", {"expression": "t0", "range": [0, 1]}, "a derived parameter follows from others: it has no range"),
    ("parameter", {"name": "mu"}, "parameter beside `parameters` and `processes`"),
    ("processes", None, "`parameters` without `processes`"),
    ("samples.0.process", "gF", "samples.ggF_S\n.*process 'gF'.*\n.*\n.*did you mean 'ggF'"),
    ("samples.3.name", "qq", "samples.qq\n.*no `process`, and none of its name"),
    ("samples.2.generated", None, "samples.vbf\n.*generated under vbf\n.*EW_SBI10"),
    ("samples.2.generated", "EW", "generated under EW\n"),
    ("samples.1.k_factor", 1.0, "k_factor differs between samples of process ggF"),
    ("samples.2.benchmarks", ["EW_B", "EW_SBI10"], "its own benchmark 'EW_SBI1' among them"),
    ("regions.CR.condition", "pt4l  > 20", "regions 'SR' and 'CR'\n.*the same condition"),
    ("regions.SR", {"kind": "unbinned"}, "region 'SR'\n.*takes all events"),
    ("regions.CR.histogram", None, "kind histogram needs `histogram`"),
    ("regions.SR.histogram", {"observable": "m4l", "edges": [1, 2]}, "kind unbinned has no `histogram`"),
    ("regions.onshell.file", None, "kind workspace needs `file`"),
    ("regions.qqZZ_0j", "n_jets == 0", "names of regions and of parts of processes"),
    ("regions.SR.kind", "binned", "regions.SR.kind"),
    ("selection.where", "n_jets >", "selection.where: condition"),
    ("likelihood", {"normalisations": {"t0": {"processes": ["qqZZ"], "up": 1.1}}}, "nuisance parameters \\['t0'\\] occur twice"),
    ("likelihood", {"normalisations": {"x": {"processes": ["qq"], "up": 1.1}}}, "no processes \\['qq'\\].*qqZZ_0j.*'qqZZ'"),
    ("likelihood", {"closure_mu": [9.0]}, r"closure_mu \[9.0\] lie outside the ranges of all parameters of interest"),
    ("likelihood", {"fits": {"a": {"parameters": {"nu": {}}, "express": {"mu_EW": "nu - 3"}}}},
     "in likelihood.fits.a.*\n.*no finite value at nu = 0"),
    ("likelihood", {"fits": {"a": {"parameters": {"nu": {"kind": "normalisation"}}, "express": {"mu_EW": "nu"}}}},
     "likelihood.fits.a: no parameter of kind interest"),
    ("likelihood", {"fits": {"a": {"parameters": {"nu": {}, "xi": {}}, "express": {"mu_EW": "nu"}}}}, r"nothing depends on \['xi'\]"),
    ("likelihood", {"fits": {"a": {"parameters": {"t1": {}}, "express": {"mu_EW": "t1"}}}},
     r"\['t1'\] are parameters of the analysis that stay"),
    ("likelihood", {"fits": {"a": {"parameters": {"nu": "2 * xi", "xi": {}}, "express": {"mu_EW": "nu * xi"}}}},
     r"\['nu'\] are expressions"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_what_the_general_form_refuses(path: str, value: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        parse(changed(path, value))


def test_the_keys_of_the_general_form_need_processes() -> None:
    sample = {"name": "qqZZ", "files": ["a.root"], "process": "qqZZ"}
    with pytest.raises(SchemaError, match="belong to a config with `processes`"):
        parse({"luminosity_ifb": 1, "samples": [sample]})
    with pytest.raises(SchemaError, match="data belong to no process"):
        parse({"luminosity_ifb": 1, "samples": [sample | {"kind": "data"}]})


def test_what_cannot_be_measured_yet_is_refused_in_one_message() -> None:
    with pytest.raises(SchemaError, match=r"processes whose samples together lack benchmarks \(ggF\)"):
        parse(changed("samples.0.benchmarks", None)).require_interference()


def test_samples_that_know_some_weights_are_enough_together() -> None:
    parse(document()).require_interference()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters.mu_ggF.kind": "normalisation", "parameters.mu_EW.kind": "normalisation"}, "parameters\n.*none of kind interest"),
        ({"regions.SR.kind": "counting"}, r"regions\n.*none of kind unbinned: \['SR \(counting\)', 'CR \(histogram\)'"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(changes: dict[str, Any], message: str) -> None:
    raw = document()
    raw["samples"] = [s | ({"benchmarks": GGF} if s["name"] == "ggF_B" else {}) for s in raw["samples"]]
    for path, value in changes.items():
        *keys, last = path.split(".")
        node: Any = raw
        for key in keys:
            node = node[key]
        node[last] = value
    with pytest.raises(SchemaError, match=message):
        parse(raw).require_supported()


def test_a_learning_curve_needs_densities_test_events_and_one_parameter() -> None:
    curve = {"report": {"learning_curve": [0.5]}}
    short = {"luminosity_ifb": 1, "samples": [{"name": n, "files": ["a.root"], "benchmarks": GGF} for n in GGF], **curve}
    parse(short).require_supported()
    for ratios, got in (({"estimator": "alices", "activation": "tanh"}, "alices"), ({"splits": {"cross_fit": True}}, "cross_fit: true")):
        with pytest.raises(SchemaError, match=rf"report\.learning_curve\n.*{got}\n(.*\n)*.*leave `learning_curve` out"):
            parse({**short, "ratios": ratios}).require_supported()
    with pytest.raises(SchemaError, match=r"report\.learning_curve\n.*`parameters` and `processes`"):
        parse({**document(), **curve}).require_supported()


def test_regions_of_the_fit_need_the_general_form() -> None:
    samples = [{"name": n, "files": ["a.root"], "benchmarks": GGF} for n in GGF]
    parse({"luminosity_ifb": 1, "samples": samples, "regions": {"high": "m4l > 300"}}).require_interference()
    with pytest.raises(SchemaError, match=r"regions \['CR'\]\n.*regions of the fit.*\n.*`parameters` and `processes`"):
        parse(
            {"luminosity_ifb": 1, "samples": samples, "regions": {"CR": {"kind": "counting", "condition": "m4l > 300"}}}
        ).require_supported()


def test_a_signal_needs_no_interference_to_be_measured() -> None:
    parameters = {"mu": {"range": [0, 4]}, "t": {"kind": "normalisation", "range": [0.2, 3]}}
    samples = [{"name": n, "files": ["a.root"]} for n in ("signal", "qqZZ")]
    parse(
        {
            "luminosity_ifb": 1,
            "parameters": parameters,
            "processes": {"signal": {"factor": "mu"}, "qqZZ": {"factor": "t"}},
            "samples": samples,
        }
    ).require_interference()


def test_a_hint_looks_in_the_section_of_the_key() -> None:
    assert hint(Config, ("ratios", "feature")) == "; did you mean 'features'?"
    assert hint(Config, ("parameters", "mu", "trut")) == "; did you mean 'truth'?"
    assert hint(Config, ("selection", "luminosity_ifb")) == " here; it belongs to the top level"
    assert (
        hint(Config, ("samples", 0, "layout", "flat", "lepton_delta_r"))
        == " here; it belongs to `selection.jet`, or did you mean 'lepton'?"
    )
    assert hint(Config, ("processs",)) == "; did you mean 'processes'?"


def test_products_that_no_density_tells_apart_are_a_flat_direction() -> None:
    model: Model = parse(document()).model
    assert flat_directions(model).shape == (0, 5)
    only = parse_parts({"qqZZ_0j": {"condition": "n_jets == 0", "factor": "t0 * t1"}, "rest": {"condition": "n_jets > 0"}})
    with pytest.raises(SchemaError, match=r"parameters \['t0', 't1'\]: no density tells them apart"):
        parse(only)


def parse_parts(split: dict[str, Any]) -> dict[str, Any]:
    """Return a document with one signal and a background in parts."""
    return {
        "luminosity_ifb": 1,
        "parameters": {"mu": {}, "t0": {"kind": "normalisation"}, "t1": {"kind": "normalisation"}},
        "processes": {"signal": {"factor": "mu"}, "qqZZ": {"split": split}},
        "samples": [{"name": "signal", "files": ["a.root"]}, {"name": "qqZZ", "files": ["a.root"]}],
    }


def test_the_networks_read_what_parts_and_regions_are_told_apart_by() -> None:
    parts = parse_parts({"none": {"condition": "n_jets == 0", "factor": "t0"}, "some": {"condition": "n_jets > 0", "factor": "t1"}})
    parse(parts).require_supported()
    blind = {**parts, "ratios": {"features": ["m4l"]}}
    with pytest.raises(SchemaError, match=r"processes\.qqZZ\.split\.none\.condition\n.*do not read \['n_jets'\]"):
        parse(blind).require_supported()
    counted = {"low": {"kind": "counting", "condition": "n_jets == 0"}, "high": {"kind": "counting", "condition": "n_jets > 0"}}
    with pytest.raises(SchemaError, match="none of kind unbinned"):
        parse({**blind, "regions": counted}).require_supported()
    regions = {"low": {"kind": "unbinned", "condition": "n_jets == 0"}, "high": {"kind": "unbinned", "condition": "n_jets > 0"}}
    one = {**blind, "processes": {"signal": {"factor": "mu"}, "qqZZ": {"region_factors": {"low": "t0", "high": "t1"}}}}
    with pytest.raises(SchemaError, match=r"regions\.low\.condition"):
        parse({**one, "regions": regions}).require_supported()
    parse({**one, "regions": regions, "ratios": {"features": ["m4l", "n_jets"]}}).require_supported()


def test_events_in_two_regions_are_refused_with_their_number() -> None:
    inside = {"SR": np.array([True, True, False, False]), "CR": np.array([False, True, True, False])}
    with pytest.raises(SchemaError, match=r"regions 'SR' and 'CR'\n.*1 events in both"):
        partition(inside)
    assert partition({"SR": inside["SR"], "CR": ~inside["SR"]}).left_out == 0

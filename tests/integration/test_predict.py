"""`h4l predict`: log ratios as branches, from branches or from a config, without the training framework."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import onnx
import pytest
import uproot
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from processors import run
from processors.four_lepton import FourLeptonProcessor
from processors.predict import add_log_ratios
from toolkit.artifacts import file_sha256, read_events
from toolkit.artifacts.onnx_metadata import Feature, OnnxMetadata
from toolkit.cli import main
from toolkit.config import load_config
from toolkit.example import demo_config
from toolkit.likelihood import OnnxRatio

FEATURES = ("m4l", "cos_theta_1")
WEIGHTS = np.array([[0.01, 0.5], [-0.002, 1.5]], dtype=np.float32)
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnxscript"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Blocked())
from toolkit.cli import main
main(sys.argv[1:])
"""


COSINE = Feature("cos_theta_1", "", -1.0, 1.0)


def write_model(path: Path, *, parameters: tuple[Feature, ...] = (), second: Feature = COSINE) -> Path:
    """A linear network, written by hand: x @ WEIGHTS."""
    columns = (Feature("m4l", "GeV", 200.0, 500.0), second)
    metadata = OnnxMetadata(columns[: 2 - len(parameters)], ("S", "B"), "ref", "carl", parameters=parameters)
    entry = helper.make_tensor_value_info("observables", onnx.TensorProto.FLOAT, ["batch", 2])
    output = helper.make_tensor_value_info("log_ratio", onnx.TensorProto.FLOAT, ["batch", 2])
    node = helper.make_node("MatMul", ["observables", "weights"], ["log_ratio"])
    graph = helper.make_graph([node], "linear", [entry], [output], initializer=[numpy_helper.from_array(WEIGHTS, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"h4l": metadata.to_json()})
    path.write_bytes(model.SerializeToString())
    return path


def without_torch(*words: object) -> str:
    """Run the command line in a process that cannot import torch."""
    done = subprocess.run([sys.executable, "-c", BLOCKED, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def h4l(*words: object, expect: int = 0) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == expect


def read(path: Path, tree: str = "events") -> ak.Array:
    with uproot.open(path) as file:
        return file[tree].arrays()


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """2500 events with numbers, vectors and lists of every kind, one of them without a mass."""
    generator = np.random.default_rng(5)
    n = 2500
    lists = ak.unflatten(generator.normal(size=3 * n), generator.multinomial(3 * n, np.full(n, 1 / n)))
    columns = {
        "mass4l": np.where(np.arange(n) == 7, np.nan, generator.uniform(150, 600, n)),
        "cos_theta_1": generator.uniform(-1, 1, n).astype(np.float32),
        "run": np.arange(n, dtype=np.uint32),
        "passed": generator.uniform(size=n) < 0.5,
        "vector": generator.normal(size=(n, 3)),
        "Jet": ak.zip({"pt": lists, "charge": ak.values_astype(lists, np.int32)}),
        "other": lists * 2.0,
    }
    with uproot.recreate(tmp_path / "in.root") as file:
        types = {k: v.type.content if isinstance(v, ak.Array) else np.dtype((v.dtype, v.shape[1:])) for k, v in columns.items()}
        file.mktree("events", types).extend(columns)
    return tmp_path / "in.root", columns


def expected(m4l: NDArray[Any], cosine: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([m4l, cosine], axis=1).astype(np.float32).astype(np.float64) @ WEIGHTS.astype(np.float64)


def test_from_branches_without_torch(table: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    source, columns = table
    model, out = write_model(tmp_path / "model.onnx"), tmp_path / "out.root"
    said = json.loads(
        without_torch("predict", model, source, "--out", out, "--column", "m4l=mass4l", "--prefix", "lr", "--json", "--quiet")
    )
    outside = (columns["mass4l"] < 200) | (columns["mass4l"] > 500)
    assert (said["entries"], said["evaluated"], said["extrapolated"]) == (2500, 2499, int(outside.sum()))
    assert said["branches"] == ["lr_S", "lr_B"]
    before, after = read(source), read(out)
    assert set(after.fields) == {*before.fields, "lr_S", "lr_B"}
    for name in before.fields:
        assert before[name].type == after[name].type
        assert ak.array_equal(before[name], after[name], equal_nan=True)
    found = np.stack([after["lr_S"], after["lr_B"]], axis=1)
    np.testing.assert_allclose(found, expected(columns["mass4l"], columns["cos_theta_1"]), rtol=1e-5, atol=1e-6)


def test_chunks_do_not_change_the_result(table: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    ratio = OnnxRatio(write_model(tmp_path / "model.onnx"), threads=1)
    for chunk in (333, 2500):
        done = add_log_ratios(ratio, table[0], tmp_path / f"{chunk}.root", columns={"m4l": "mass4l"}, chunk=chunk)
        assert done.entries == 2500
    few, many = read(tmp_path / "333.root"), read(tmp_path / "2500.root")
    for name in many.fields:
        assert ak.array_equal(few[name], many[name], equal_nan=True), name


def test_parameters_are_set(table: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx", parameters=(Feature("mu", "", 0.0, 4.0),))
    h4l("predict", model, table[0], "--out", tmp_path / "out.root", "--column", "m4l=mass4l", "--set", "mu=2", "--quiet")
    found = read(tmp_path / "out.root")
    np.testing.assert_allclose(found["log_ratio_S"], expected(table[1]["mass4l"], np.full(2500, 2.0))[:, 0], rtol=1e-5)


def test_from_a_config(tmp_path: Path) -> None:
    config = load_config(demo_config())
    source, out, model = demo_config().with_name("ggF_S_1.root"), tmp_path / "out.root", write_model(tmp_path / "model.onnx")
    h4l("predict", model, source, "--out", out, "--tree", "Events", "--config", demo_config(), "--sample", "ggF_S", "--quiet")
    after, before = read(out, "Events"), read(source, "Events")
    assert ak.array_equal(before["Electron_pt"], after["Electron_pt"])
    selected = np.isfinite(np.asarray(after["log_ratio_S"]))
    processor = FourLeptonProcessor(config)
    content = processor.process_range(before, {"dataset": "ggF_S", "filename": str(source), "entrystart": 0, "entrystop": len(before)})
    assert selected.sum() == content["ggF_S"]["selected"] > 1000


@pytest.mark.parametrize("kind", ["ttree", "rntuple", "csv"])
def test_every_container_that_process_reads(kind: str, tmp_path: Path, ntuples: ModuleType) -> None:
    """The tree is that of the config; an RNTuple holds collections as records, and the copy is a NanoAOD tree."""
    events, model = ntuples.make_events(60, seed=4), write_model(tmp_path / "model.onnx")
    source, out, layout = tmp_path / ("in.csv" if kind == "csv" else "in.root"), tmp_path / "out.root", "nanoaod"
    if kind == "csv":
        ntuples.write_csv(source, events)
        layout = "flat"
    else:
        columns = ntuples.nano_columns(events, benchmarks=False)
        types = {name: values.type.content if isinstance(values, ak.Array) else values.dtype for name, values in columns.items()}
        with uproot.recreate(source) as file:
            (file.mkrntuple if kind == "rntuple" else file.mktree)("Events", types).extend(columns)
            file.mktree("Other", {"x": np.int32}).extend({"x": np.arange(3, dtype=np.int32)})
    config = ntuples.make_config(
        tmp_path, [{"name": "A", "files": [source.name], "layout": {"kind": layout}, "xsec_pb": 1.0, "gen_sumw": "sum"}]
    )
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(config.model_dump(mode="json", include={"luminosity_ifb", "samples"}, exclude_defaults=True)))
    h4l("predict", model, source, "--out", out, "--config", path, "--sample", "A", "--quiet")
    run(config, tmp_path / "processed")
    table = read_events(tmp_path / "processed" / "events", "A")
    after = read(out, "Events")
    found = np.asarray(after["log_ratio_S"])
    assert np.isfinite(found).sum() == len(table) > 20
    by_number = dict(zip(np.asarray(after["event"]).tolist(), found.tolist(), strict=True))
    wanted = expected(table.observables["m4l"], table.observables["cos_theta_1"])[:, 0]
    np.testing.assert_allclose([by_number[number] for number in table.event_id.tolist()], wanted, rtol=1e-5)
    if kind != "csv":
        assert {"nElectron", "Electron_pt", "nMuon", "Muon_charge"} <= set(after.fields)
        assert ak.array_equal(after["Electron_pt"], columns["Electron"]["pt"])


def _without(path: Path, *families: str) -> Path:
    """Write the first events of an example ntuple without some branches."""
    with uproot.open(demo_config().with_name("ggF_S_1.root")) as file:
        tree = file["Events"]
        events = tree.arrays([name for name in tree.keys() if not name.startswith(("n", *families))], entry_stop=200)  # noqa: SIM118
    groups: dict[str, dict[str, ak.Array]] = {}
    for name in events.fields:
        collection, _, column = name.partition("_")
        groups.setdefault(collection, {})[column] = events[name]
    columns = {name: parts[""] if "" in parts else ak.zip(parts) for name, parts in groups.items()}
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: column.type.content for name, column in columns.items()}).extend(columns)
    return path


@pytest.mark.parametrize(
    ("families", "parts"),
    [
        (
            ("Jet_",),
            ("inputs ['n_jets'] of the network", "no branch ['Jet_pt', 'Jet_eta', 'Jet_phi', 'Jet_mass'] among ['Electron_charge'"),
        ),
        (("Muon_pt",), ("inputs ['m4l', 'n_jets'] of the network", "no branch ['Muon_pt']", "did you mean 'Muon_phi'? If not, name")),
        (("genWeight",), ("no branch ['genWeight']",)),
    ],
)
def test_inputs_that_a_file_lacks_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], families: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    """A network that counts jets has no output for a file without jets, unless their number is said."""
    model = write_model(tmp_path / "model.onnx", second=Feature("n_jets", "", 0.0, 5.0))
    source, out = _without(tmp_path / "in.root", *families), tmp_path / "out.root"
    words = ("predict", model, source, "--out", out, "--config", demo_config(), "--sample", "ggF_S", "--quiet", "--json")
    h4l(*words, expect=2)
    message = json.loads(capsys.readouterr().out)["error"]
    text = " ".join(str(message[key]) for key in ("what", "got", "expected", "remedy"))
    assert all(part in text for part in (*parts, "the nanoaod layout of sample ggF_S", "--set NAME=NUMBER")), text
    assert not out.exists()
    if families == ("Jet_",):
        h4l(*words, "--set", "n_jet=0", expect=2)
        assert "['n_jet']" in json.loads(capsys.readouterr().out)["error"]["got"]
        h4l(*words, "--set", "n_jets=0")
        said = json.loads(capsys.readouterr().out)
        assert said["evaluated"] > 100
        assert said["missing"] == {}


def test_inputs_that_events_lack_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The mass of two jets is there for events with two jets."""
    model = write_model(tmp_path / "model.onnx", second=Feature("m_jj", "GeV", 0.0, 3000.0))
    words = ("predict", model, _without(tmp_path / "in.root"), "--out", tmp_path / "out.root")
    h4l(*words, "--config", demo_config(), "--sample", "ggF_S", "--quiet", "--json")
    said = json.loads(capsys.readouterr().out)
    assert 0 < said["evaluated"] < said["missing"]["m_jj"]
    assert list(said["missing"]) == ["m_jj"]


def test_a_config_may_need_a_data_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, model, config = demo_config().with_name("ggF_S_1.root"), write_model(tmp_path / "model.onnx"), tmp_path / "analysis.yaml"
    config.write_text(demo_config().read_text().replace('files: ["', 'files: ["{data}/'))
    words = (
        "predict",
        model,
        source,
        "--out",
        tmp_path / "out.root",
        "--tree",
        "Events",
        "--config",
        config,
        "--sample",
        "ggF_S",
        "--quiet",
    )
    h4l(*words, "--quiet", expect=2)
    assert "pass --data FOLDER" in capsys.readouterr().err
    h4l(*words, "--quiet", "--data", source.parent)
    assert np.isfinite(np.asarray(read(tmp_path / "out.root", "Events")["log_ratio_S"])).sum() > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--column", "m4l=absent"), "no branch ['absent']"),
        (("--column", "mass=mass4l"), "no column ['mass']"),
        ((), "no branch ['m4l']"),
        (("--column", "m4l=vector"), "one number per event"),
        (("--column", "m4l=mass4l", "--prefix", "log_ratio", "--tree", "absent"), "did you mean 'events'?"),
        (("--column", "m4l"), "NAME=VALUE"),
        (("--set", "m4l=x"), "a number"),
        (("--config", "none.yaml"), "--sample"),
        (("--config", str(demo_config()), "--sample", "qqzz"), "one of ['ggF_S', 'ggF_SBI', 'ggF_B', 'qqZZ']"),
        (("--column", "m4l=mass4l", "--out", "in.root"), "another file"),
    ],
)
def test_wrong_options(
    table: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    model, options = write_model(tmp_path / "model.onnx"), [w if w != "in.root" else str(table[0]) for w in words]
    h4l("predict", model, table[0], "--quiet", *options, expect=2)
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*_ratios.root"))


def test_branches_that_cannot_be_copied_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, model = tmp_path / "in.root", write_model(tmp_path / "model.onnx")
    with uproot.recreate(source) as file:
        file.mktree("events", {"m4l": np.float64, "cos_theta_1": np.float64, "text": "string"}).extend(
            {"m4l": np.array([300.0]), "cos_theta_1": np.array([0.5]), "text": ["a"]}
        )
    h4l("predict", model, source, "--quiet", expect=2)
    assert "--drop text" in capsys.readouterr().err
    h4l("predict", model, source, "--quiet", "--drop", "text")
    np.testing.assert_allclose(
        read(tmp_path / "in_ratios.root")["log_ratio_S"], expected(np.array([300.0]), np.array([0.5]))[:, 0], rtol=1e-6
    )


def test_likelihood_without_torch(tmp_path: Path) -> None:
    code = BLOCKED.replace("from toolkit.cli import main\nmain(sys.argv[1:])", "")
    code += "import toolkit.likelihood, toolkit.cli.app, toolkit.pipeline, processors.predict\n"
    code += "import numpy as np\nfrom toolkit.likelihood import OnnxRatio\n"
    code += "print(OnnxRatio(sys.argv[1])(np.array([[300.0, 0.5]])).shape, 'torch' in sys.modules)\n"
    words = [sys.executable, "-c", code, str(write_model(tmp_path / "model.onnx"))]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == ["(1,", "2)", "False"]


def test_a_network_without_a_checksum_is_said_and_one_with_a_wrong_one_refused(
    table: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, options = write_model(tmp_path / "model.onnx"), ("--column", "m4l=mass4l")
    h4l("predict", model, table[0], *options, "--out", tmp_path / "a.root")
    assert "model.onnx has no checksum beside it" in " ".join(capsys.readouterr().err.split())
    line = f"{file_sha256(model)}  model.onnx\n"
    (tmp_path / "model.onnx.sha256").write_text(line)
    h4l("predict", model, table[0], *options, "--out", tmp_path / "b.root")
    assert "no checksum" not in capsys.readouterr().err
    content = bytearray(model.read_bytes())
    content[content.index(WEIGHTS.tobytes())] ^= 64
    model.write_bytes(content)
    h4l("predict", model, table[0], *options, "--out", tmp_path / "c.root", expect=2)
    assert "model.onnx is not what was written" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "c.root").exists()

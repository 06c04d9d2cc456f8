"""The folder of a run, checked as a whole: one changed byte anywhere is named, and so is what nothing vouches for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from exports import Feature, write_onnx
from toolkit.artifacts import file_sha256
from toolkit.artifacts.archive import extract_archive, write_archive
from toolkit.artifacts.checksums import checksum_path, write_checked_json
from toolkit.cli import main
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.likelihood import OnnxRatio, write_observation
from toolkit.pipeline.validation import check_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 2.0)
    named = {"features": [Feature("x", "", -1.0, 1.0)], "numerators": ["S"], "reference": "B", "estimator": "exact"}
    write_onnx(network, out / "models" / "mixture.onnx", reference_rows=[[0.5], [0.25]], **named)  # type: ignore[arg-type]
    (out / "workspace").mkdir()
    write_observation(out / "workspace" / "asimov.parquet", {"x": [0.1, 0.2]})
    (out / "results.json").write_text("{}")
    names = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    write_checked_json(out / "manifest.json", {"schema": 1, "outputs": {name: file_sha256(out / name) for name in names}})
    return out


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def test_a_sound_run(run: Path) -> None:
    found = check_run(run)
    assert found.files == 7  # network, rows, observation, a checksum of two of them, results, and the manifest by its own
    assert (found.without_checksum, found.without_reference) == ((), ())
    (check,) = found.references.values()
    assert (list(found.references), check.rows) == (["models/mixture.onnx"], 2)
    assert check.log_ratio < 1e-6


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["models/mixture.onnx", "models/mixture.reference.json", "workspace/asimov.parquet", "results.json"])
@pytest.mark.parametrize(("change", "word"), [(_flip, "changed"), (Path.unlink, "is missing")])
def test_one_changed_file_is_named(run: Path, name: str, change: Callable[[Path], None], word: str) -> None:
    change(run / name)
    with pytest.raises(ArtifactMismatchError, match=r"1 of 6 files in .*run are not what was written") as error:
        check_run(run)
    assert error.value.got == f"{name} {word}"


def test_a_changed_manifest_is_noticed(run: Path) -> None:
    text = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(text.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(ArtifactMismatchError, match=r"manifest\.json is not what was written"):
        check_run(run)


def test_a_file_beside_the_manifest_counts_by_its_own_checksum(run: Path) -> None:
    write_checked_json(run / "workspace" / "mine.json", {"a": 1})
    assert check_run(run).files == 8
    _flip(run / "workspace" / "mine.json")
    with pytest.raises(ArtifactMismatchError, match=r"mine\.json is not what was written"):
        check_run(run)


def test_files_that_nothing_vouches_for_are_listed(run: Path) -> None:
    shutil.copy(run / "models" / "mixture.onnx", run / "models" / "mine.onnx")
    found = check_run(run)
    assert (found.without_checksum, found.without_reference) == (("models/mine.onnx",), ("models/mine.onnx",))


def test_a_network_that_computes_something_else_is_refused_even_with_new_checksums(run: Path) -> None:
    source = run / "models" / "mixture.reference.json"
    document = json.loads(source.read_text())
    document["torch_float64"]["log_ratio"][0][0] += 0.1
    source.write_text(json.dumps(document))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["outputs"]["models/mixture.reference.json"] = file_sha256(source)
    write_checked_json(run / "manifest.json", manifest)
    with pytest.raises(ArtifactMismatchError, match="does not compute its reference rows"):
        check_run(run)


def test_reference_rows_of_another_version_are_refused(run: Path) -> None:
    source = run / "models" / "mixture.reference.json"
    source.write_text(json.dumps({**json.loads(source.read_text()), "schema": 2}))
    with pytest.raises(SchemaError, match=r"(?s)reference rows.*schema 2, written by another version.*schema 1"):
        OnnxRatio(run / "models" / "mixture.onnx").check_reference()


@pytest.mark.parametrize(
    "content", ["[", "[]", "{}", '{"outputs": {}}', '{"outputs": {"../../etc/passwd": "00"}}', '{"outputs": {"a": 3}}']
)
def test_another_manifest_is_refused(run: Path, content: str) -> None:
    (run / "manifest.json").write_text(content)
    checksum_path(run / "manifest.json").unlink()
    with pytest.raises(SchemaError, match=r"manifest\.json"):
        check_run(run)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"(?s)manifest\.json.*finish the run"):
        check_run(tmp_path)


def test_an_unpacked_bundle_is_checked_by_its_index(run: Path, tmp_path: Path) -> None:
    names = ["models/mixture.onnx", "models/mixture.onnx.sha256", "models/mixture.reference.json", "manifest.json"]
    write_archive(tmp_path / "a.tar.gz", {name: (run / name).read_bytes() for name in names}, description={})
    extract_archive(tmp_path / "a.tar.gz", tmp_path / "opened")
    assert check_run(tmp_path / "opened").files == 4
    _flip(tmp_path / "opened" / "models" / "mixture.reference.json")
    with pytest.raises(ArtifactMismatchError, match="1 of 4 files"):
        check_run(tmp_path / "opened")


def _command(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["validate", *words])
    return int(end.value.code or 0)


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _command(str(run)) == 0
    assert "7 files of" in capsys.readouterr().out
    assert _command(str(run), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["files"], document["references"]["models/mixture.onnx"]["rows"]) == (True, 7, 2)
    assert _command(str(run), "--data", str(run)) == 2
    assert "leave it out" in capsys.readouterr().err
    _flip(run / "results.json")
    assert _command(str(run)) == 2
    assert "results.json changed" in capsys.readouterr().err

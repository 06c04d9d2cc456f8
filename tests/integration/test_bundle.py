"""Release bundles: written from a run, used again without the training framework, never trusted."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.integration.small_release import by_hand, h4l, write_run
from toolkit.artifacts.archive import extract_archive, write_archive
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError
from toolkit.likelihood import (
    OnnxRatio,
)
from toolkit.pipeline.bundle import write_bundle
from toolkit.pipeline.reuse import Bundle, Substitution, differences

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


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("run")
    write_run(out)
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.tar.gz"
    write_bundle(run, path)
    return path


@pytest.fixture
def opened(bundle: Path, tmp_path: Path) -> Bundle:
    return Bundle.open(bundle, tmp_path / "opened")


def test_content(bundle: Path, run: Path, tmp_path: Path) -> None:
    index = extract_archive(bundle, tmp_path)
    names = {entry["path"] for entry in index["files"]}
    assert names >= {"LICENSE", "README.txt", "results.json", "manifest.json", "models/mixture.onnx", "models/mixture.reference.json"}
    packed = {"workspace/m4l.json", "workspace/m4l.pyhf.json", "workspace/nsbi.json", "workspace/asimov.parquet"}
    found = {name for name in names if name.startswith("workspace/")}
    assert {name for name in found if not name.endswith(".sha256")} == packed
    assert found >= {"workspace/nsbi.json.sha256", "workspace/asimov.parquet.sha256"}
    assert index["methods"]["m4l"] == {"workspace": "workspace/m4l.json", "unbinned": False}
    assert (index["title"], index["poi"], index["luminosity_ifb"], index["config_hash"]) == ("tiny", "mu", 140.0, "c0ffee")
    assert index["models"] == ["models/mixture.onnx"]
    assert "Redistribution" in (tmp_path / "LICENSE").read_text()
    lines = (tmp_path / "examples" / "nsbi_nsbi.csv").read_text().splitlines()
    assert lines[0] == "x,weight,log_ratio_S,log_ratio_SBI,log_ratio_B"
    first = np.array(lines[1].split(","), dtype=float)
    np.testing.assert_allclose(first[2:], OnnxRatio(run / "models" / "mixture.onnx")(first[None, :1])[0], rtol=1e-6)


def test_bundles_of_the_same_run_are_equal(bundle: Path, run: Path, tmp_path: Path) -> None:
    write_bundle(run, tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == bundle.read_bytes()


def test_hepdata_tables(bundle: Path, run: Path, tmp_path: Path) -> None:
    extract_archive(bundle, tmp_path)
    submission = list(yaml.safe_load_all((tmp_path / "tables" / "submission.yaml").read_text()))
    assert [entry.get("data_file") for entry in submission] == [None, "scan_m4l.yaml", "scan_nsbi.yaml", "templates_m4l.yaml"]
    scan = yaml.safe_load((tmp_path / "tables" / "scan_nsbi.yaml").read_text())
    published = json.loads((run / "results.json").read_text())["methods"]["nsbi"]["scan"]
    assert [v["value"] for v in scan["independent_variables"][0]["values"]] == published["mu"]
    assert [v["value"] for v in scan["dependent_variables"][0]["values"]] == published["twice_delta_nll"]
    templates = yaml.safe_load((tmp_path / "tables" / "templates_m4l.yaml").read_text())
    assert templates["independent_variables"][0]["values"] == [{"low": 200.0, "high": 300.0}, {"low": 300.0, "high": 1000.0}]
    columns = {column["header"]["name"]: [v["value"] for v in column["values"]] for column in templates["dependent_variables"]}
    assert columns == {"S": [5.0, 15.0], "SBI": [88.0, 22.0], "B": [85.0, 15.0], "Asimov set": [88.0, 22.0]}


def test_reproduces_in_a_process_without_torch(bundle: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", BLOCKED, "reuse", str(bundle), "--json", "--out", str(tmp_path / "again")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["reproduced"] is True
    assert set(said["differences"]) == {"m4l", "nsbi"}
    assert all(value < 1e-6 for entry in said["differences"].values() for value in entry.values())
    assert json.loads((tmp_path / "again" / "reuse.json").read_text()) == said


def test_other_results_are_noticed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    document = json.loads((changed / "results.json").read_text())
    document["methods"]["m4l"]["scan"]["twice_delta_nll"][3] += 1e-5
    (changed / "results.json").write_text(json.dumps(document))
    write_bundle(changed, tmp_path / "changed.tar.gz")
    assert h4l("reuse", tmp_path / "changed.tar.gz", "--method", "nsbi") == 0
    assert h4l("reuse", tmp_path / "changed.tar.gz", "--method", "m4l") == 2
    assert "is not reproduced" in capsys.readouterr().err


def test_other_hypotheses(opened: Bundle, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = opened.published.methods["nsbi"].scan
    assert h4l("reuse", bundle, "--json", "--method", "nsbi", "--at", "mu=0.4", "--at", f"mu={scan.values[12]}") == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert answers[1]["twice_delta_nll"]["nsbi"] == pytest.approx(scan.twice_delta_nll[12], abs=1e-8)
    x = np.random.default_rng(3).exponential(1.0, 400)

    def twice_nll(mu: float) -> float:
        return by_hand(x, mu, weight=0.28)

    best = min(twice_nll(mu) for mu in np.linspace(0.0, 4.0, 4001))
    assert answers[0]["twice_delta_nll"]["nsbi"] == pytest.approx(twice_nll(0.4) - best, abs=1e-5)


@pytest.mark.parametrize("method", ["m4l", "nsbi"])
def test_other_parameterisation(opened: Bundle, method: str) -> None:
    change = Substitution({"mu": "kappa**2"}, {}, {"kappa": (1.0, 0.0, 2.0)})
    for kappa in (0.0, 0.3, 1.1, 1.9):
        again = opened.at(method, {"kappa": kappa}, change=change)
        assert again == pytest.approx(opened.at(method, {"mu": kappa**2}), abs=1e-7)
    result = opened.measure(method, change=change)
    assert result.scan.parameter == "kappa"
    assert result.mu_hat**2 == pytest.approx(opened.published.methods[method].mu_hat, abs=1e-4)


def test_other_coefficients(opened: Bundle) -> None:
    """Without interference: S on top of B."""
    change = Substitution({}, {"S": "mu", "SBI": "0", "B": "1"}, {"mu": (1.0, 0.0, 8.0)})
    likelihood = opened.likelihood("m4l", change=change)
    templates, data = np.array([[5.0, 15.0], [85.0, 15.0]]), np.array([88.0, 22.0])

    def twice_nll(mu: float) -> float:
        nu = mu * templates[0] + templates[1]
        return float(2 * (nu - data * np.log(nu)).sum())

    found = likelihood.twice_nll([2.0]) - likelihood.twice_nll([0.5])
    assert found == pytest.approx(twice_nll(2.0) - twice_nll(0.5), abs=1e-8)
    assert likelihood.parameters[0].high == 8.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--where", "nu=kappa**2", "--parameter", "kappa=1:0:2"), "names among"),
        (("--where", "mu=kappa**2"), "kappa"),
        (("--coefficient", "Z=mu"), "names among"),
        (("--coefficient", "S=__import__"), "__import__"),
        (("--parameter", "kappa=3:0:2"), "START:LOW:HIGH"),
        (("--at", "nu=1"), "one parameter, or all"),
        (("--at", "mu"), "NAME=VALUE"),
        (("--at", "mu=a"), "a number"),
        (("--method", "score"), "one of"),
    ],
)
def test_wrong_options(bundle: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert h4l("reuse", bundle, *words) == 2
    assert message in capsys.readouterr().err


def test_differences_of_intervals(opened: Bundle) -> None:
    from dataclasses import replace

    result = opened.published.methods["m4l"]
    assert max(differences(result, result).values()) == 0.0
    assert differences(replace(result, interval_68=()), result)["interval_68"] == np.inf
    assert differences(replace(result, mu_hat=result.mu_hat + 0.5), result)["mu_hat"] == pytest.approx(0.5)


def damage(bundle: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Pack the bundle again with other content."""
    with tarfile.open(bundle) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    change(files)
    return pack(target, list(files.items()))


def pack(target: Path, files: list[tuple[str, bytes]], *, kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(target, "w:gz") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "/etc/passwd"
            tar.addfile(member, io.BytesIO(data))
    return target


def test_damaged_content_is_refused(bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "damaged.tar.gz"
    cases: list[tuple[Callable[[dict[str, bytes]], Any], str]] = [
        (lambda f: f.update({"workspace/m4l.json": f["workspace/m4l.json"].replace(b"88.0", b"87.0")}), "workspace/m4l.json"),
        (lambda f: f.pop("models/mixture.onnx"), "in the index only"),
        (lambda f: f.update({"extra.txt": b"x"}), "not in the index"),
    ]
    for change, message in cases:
        with pytest.raises(ArtifactMismatchError, match=message):
            extract_archive(damage(bundle, target, change), tmp_path / "out")
        assert not (tmp_path / "out").exists()
    with pytest.raises(SchemaError, match=r"bundle\.json"):
        extract_archive(damage(bundle, target, lambda f: f.pop("bundle.json")), tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:evil"])
def test_names_that_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="inside the bundle"):
        extract_archive(pack(tmp_path / "evil.tar.gz", [(name, b"x")]), tmp_path / "out")
    with pytest.raises(SchemaError, match="inside the bundle"):
        write_archive(tmp_path / "evil2.tar.gz", {name: b"x"}, description={})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="regular files"):
        extract_archive(pack(tmp_path / "links.tar.gz", [("link", b"")], kind=kind), tmp_path / "out")


def test_broken_archives_are_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bundle.read_bytes()
    flipped = content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 0xFF]) + content[len(content) // 2 + 1 :]
    for broken in (b"", b"no archive", content[:-2000], content[: len(content) // 2], flipped, gzip.compress(b"no tar")):
        (tmp_path / "broken.tar.gz").write_bytes(broken)
        assert h4l("reuse", tmp_path / "broken.tar.gz") == 2
        assert "bundle" in capsys.readouterr().err
    assert h4l("reuse", tmp_path / "absent.tar.gz") == 2


def test_workspace_that_reads_elsewhere_is_refused(bundle: Path, tmp_path: Path) -> None:
    extract_archive(bundle, tmp_path / "in")
    files = {p.relative_to(tmp_path / "in").as_posix(): p.read_bytes() for p in (tmp_path / "in").rglob("*") if p.is_file()}
    index = json.loads(files.pop("bundle.json"))
    files["workspace/nsbi.json"] = files["workspace/nsbi.json"].replace(b'"asimov.parquet"', b'"../../asimov.parquet"')
    del files["workspace/nsbi.json.sha256"]  # whoever forges a workspace forges its checksum, too
    write_archive(tmp_path / "reads.tar.gz", files, description={k: v for k, v in index.items() if k not in {"schema", "format", "files"}})
    opened = Bundle.open(tmp_path / "reads.tar.gz", tmp_path / "out")
    with pytest.raises(ArtifactMismatchError, match="inside the bundle"):
        opened.likelihood("nsbi")


def test_unfinished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert h4l("bundle", tmp_path, tmp_path / "b.tar.gz") == 2
    assert "finish it with h4l run" in capsys.readouterr().err
    assert not (tmp_path / "b.tar.gz").exists()

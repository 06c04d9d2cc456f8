"""Flipped bits in what a run leaves behind: every one is noticed when the file is read."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from exports import Feature, write_onnx
from toolkit.artifacts.archive import extract_archive, write_archive
from toolkit.artifacts.checksums import checksum_path
from toolkit.artifacts.events import IDENTITY, ChunkInfo, chunk_table, write_chunk
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ShapeError, ToolkitError
from toolkit.likelihood import BinnedLikelihood, OnnxRatio, Workspace, read_observation, write_observation

FLIPS = 150
Read = Callable[[Path], object]


def _network(folder: Path) -> Path:
    generator = torch.Generator().manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Softplus(), torch.nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    features = [Feature("m4l", "GeV", -3.0, 3.0), Feature("phi", "", -3.0, 3.0)]
    rows = np.random.default_rng(1).normal(size=(50, 2))
    return write_onnx(
        network, folder / "ratio.onnx", features=features, numerators=["S", "SBI"], reference="B", estimator="exact", reference_rows=rows
    ).path


def _observation(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    write_observation(folder / "asimov.parquet", {"m4l": rng.normal(size=40)}, weights=rng.uniform(size=40))
    return folder / "asimov.parquet"


def _workspace(folder: Path) -> Path:
    coefficients, bounds = ("mu", "1"), {"mu": (0.0, 4.0)}
    channel = BinnedLikelihood(templates=[[10.0], [5.0]], data=[12.0], coefficients=coefficients, parameters=("mu",), bounds=bounds)
    Workspace(channel.to_pyhf()).save(folder / "m4l.json")
    return folder / "m4l.json"


def _table(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    info = ChunkInfo("qqZZ", (), key="0a1b", source="qqZZ.root", file_index=0, start=0, stop=100, cutflow={})
    identity = {name: np.arange(40) % 100 for name in IDENTITY}
    observables = {"m4l": rng.normal(size=40), "n_jets": rng.integers(0, 3, size=40).astype(np.float64)}
    return write_chunk(
        folder, info=info, identity=identity, observables=observables, weight=rng.uniform(size=40), benchmark_weights=np.empty((40, 0))
    )


def _columns(path: Path) -> object:
    table = chunk_table(path)
    return [table.weight.tolist(), table.event_id.tolist(), {name: values.tolist() for name, values in table.observables.items()}]


def _events(path: Path) -> object:
    columns, weights = read_observation(path, ["m4l"])
    return columns["m4l"].tolist(), weights.tolist()


CASES: dict[str, tuple[Callable[[Path], Path], Read]] = {
    "network": (_network, lambda path: OnnxRatio(path)(np.linspace(-1.0, 1.0, 20).reshape(10, 2)).tolist()),
    "observation": (_observation, _events),
    "workspace": (_workspace, lambda path: Workspace.load(path).document),
    "event table": (_table, _columns),
}


@pytest.mark.parametrize("case", CASES)
def test_no_flipped_bit_passes(case: str, tmp_path: Path) -> None:
    write, read = CASES[case]
    path = write(tmp_path)
    content, expected = path.read_bytes(), read(path)
    rng = np.random.default_rng(7)
    for bit in rng.choice(8 * len(content), size=FLIPS, replace=False):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << int(bit % 8)
        path.write_bytes(changed)
        with contextlib.suppress(ToolkitError):
            assert read(path) == expected, f"bit {bit} changed what is read, silently"


def test_no_flipped_bit_of_a_bundle_passes(tmp_path: Path) -> None:
    """The index has no checksum of its own in the archive: that of the compression counts."""
    path = tmp_path / "a.tar.gz"
    write_archive(path, {"results.json": b'{"mu_hat": 1.0}'}, description={"title": "a", "poi": "mu"})
    content, expected = path.read_bytes(), extract_archive(path, tmp_path / "0")
    for bit in range(0, 8 * len(content), 11):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with contextlib.suppress(ToolkitError):
            assert extract_archive(path, tmp_path / str(bit)) == expected, f"bit {bit} changed what is read, silently"


def test_a_bundle_with_more_after_its_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    write_archive(path, {"results.json": b"{}"}, description={})
    for more in (b"more", bytes(1 << 20)):
        longer = tmp_path / "longer.tar.gz"
        longer.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + more))
        with pytest.raises(InputFileError, match="after the end"):
            extract_archive(longer, tmp_path / "b")


@pytest.mark.parametrize("case", ["network", "observation", "workspace"])
def test_files_from_elsewhere_open_without_a_checksum(case: str, tmp_path: Path) -> None:
    write, read = CASES[case]
    path = write(tmp_path)
    expected = read(path)
    checksum_path(path).unlink()
    assert read(path) == expected
    if case == "network":
        assert not OnnxRatio(path).has_checksum
    if case == "workspace":
        assert not Workspace.load(path).has_checksum


def test_the_reference_rows_are_evaluated_on_request(tmp_path: Path) -> None:
    ratio = OnnxRatio(_network(tmp_path))
    assert ratio.has_checksum
    check = ratio.check_reference()
    document = json.loads((tmp_path / "ratio.reference.json").read_text())
    rows, expected = np.array(document["rows"]), np.array(document["torch_float64"]["log_ratio"])
    assert (check.rows, check.log_ratio_spread, check.tolerance) == (50, None, document["tolerance"])
    assert check.log_ratio == pytest.approx(np.max(np.abs(ratio(rows) - expected)), rel=1e-12)


def test_reference_rows_of_another_network_are_refused(tmp_path: Path) -> None:
    ratio, source = OnnxRatio(_network(tmp_path)), tmp_path / "ratio.reference.json"
    good = json.loads(source.read_text())
    shifted = good | {"torch_float64": {"log_ratio": (np.array(good["torch_float64"]["log_ratio"]) + 0.5).tolist()}}
    for document, error in (
        (shifted, ArtifactMismatchError),
        (good | {"numerators": ["SBI", "S"]}, ArtifactMismatchError),
        (good | {"rows": good["rows"][:7]}, ShapeError),
        (good | {"tolerance": None}, SchemaError),
        (good | {"tolerance": float("nan")}, ArtifactMismatchError),
    ):
        source.write_text(json.dumps(document))
        with pytest.raises(error, match="remedy"):
            ratio.check_reference()
    source.unlink()
    with pytest.raises(InputFileError, match="reference rows"):
        ratio.check_reference()

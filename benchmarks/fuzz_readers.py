"""The readers under test: a sound file of each kind, and what is read from it as plain numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from exports import Feature, write_onnx
from processors.eventfile import open_events
from processors.inspect import inspect_file
from tests import ntuples
from toolkit.artifacts.archive import extract_archive, write_archive
from toolkit.artifacts.checksums import check_file
from toolkit.artifacts.events import IDENTITY, ChunkInfo, chunk_table, write_chunk
from toolkit.config import load_config
from toolkit.likelihood import OnnxRatio, Workspace, read_observation, write_observation

CONFIG = Path(__file__).parents[1] / "examples" / "offshell4l.yaml"


@dataclass(frozen=True)
class Reader:
    """A reader and what it reads.

    Args:
        suffix: Of the file.
        make: Writes a sound file into a folder.
        read: Reads a file; the same content gives equal results.
        kind: `bytes`, `text` or `json`: how the content is damaged.
        inside: Whether the format carries our checksums inside, so that they cannot be left out.
        numbers: Whether what is read is data; a config is what its author wrote, whatever it says.
    """

    suffix: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    kind: str = "bytes"
    inside: bool = False
    numbers: bool = True


def _config(folder: Path) -> Path:
    document = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    path = folder / "a.yaml"
    path.write_text(yaml.safe_dump({key: document[key] for key in ("name", "luminosity_ifb", "samples", "morphing", "parameter")}))
    return path


def _workspace(folder: Path) -> Path:
    document = {
        "version": "1.0.0",
        "channels": [
            {
                "name": "sr",
                "samples": [
                    {
                        "name": "s",
                        "data": [5.0, 2.0],
                        "modifiers": [
                            {"name": "f", "type": "morphing", "data": {"coefficient": "mu - sqrt(mu)"}},
                            {"name": "a", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
                        ],
                    },
                    {"name": "b", "data": [20.0, 30.0], "modifiers": [{"name": "k", "type": "normfactor", "data": None}]},
                ],
            }
        ],
        "observations": [{"name": "sr", "data": [24.0, 31.0]}],
        "measurements": [
            {
                "name": "m",
                "config": {
                    "poi": "mu",
                    "parameters": [
                        {"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]},
                        {"name": "k", "inits": [1.0], "bounds": [[0.0, 5.0]]},
                    ],
                },
            }
        ],
    }
    Workspace(document).save(folder / "a.json")
    return folder / "a.json"


def _read_workspace(path: Path) -> Any:
    likelihood = Workspace.load(path).likelihood()
    starts = [p.init for p in likelihood.parameters]
    return likelihood.parameter_names, likelihood.twice_nll(starts), likelihood.gradient(starts).tolist()


def _network(folder: Path) -> Path:
    generator = torch.Generator().manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Softplus(), torch.nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    named: dict[str, Any] = {"numerators": ["S", "SBI"], "reference": "B", "estimator": "exact"}
    features = [Feature("m4l", "GeV", -3.0, 3.0), Feature("phi", "", -3.0, 3.0)]
    return write_onnx(network, folder / "a.onnx", features=features, reference_rows=np.linspace(-1.0, 1.0, 20).reshape(10, 2), **named).path


def _observation(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    write_observation(folder / "a.parquet", {"m4l": rng.normal(size=50), "phi": rng.normal(size=50)}, weights=rng.uniform(size=50))
    return folder / "a.parquet"


def _read_observation(path: Path) -> Any:
    columns, weights = read_observation(path, ["m4l", "phi"])
    return {name: values.tobytes() for name, values in columns.items()}, weights.tobytes()


def _table(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    info = ChunkInfo("qqZZ", (), key="0a1b", source="qqZZ.root", file_index=0, start=0, stop=100, cutflow={"all": {"events": 50.0}})
    identity = {name: np.arange(50) % 100 for name in IDENTITY}
    observables = {"m4l": rng.normal(size=50), "n_jets": rng.integers(0, 3, size=50).astype(np.float64)}
    return write_chunk(
        folder, info=info, identity=identity, observables=observables, weight=rng.uniform(size=50), benchmark_weights=np.empty((50, 0))
    )


def _read_table(path: Path) -> Any:
    table = chunk_table(path)
    observables = {name: values.tobytes() for name, values in table.observables.items()}
    identity = [x.tobytes() for x in (table.event_id, table.run, table.luminosity_block, table.entry, table.file_index, table.channel)]
    return table.sample, observables, table.weight.tobytes(), identity


def _bundle(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    files = {"results.json": b'{"mu_hat": 1.0}', "workspace/a.parquet": rng.bytes(800), "tables/a.yaml": b"values: [1, 2, 3]\n" * 20}
    write_archive(folder / "a.tar.gz", files, description={"title": "a"})
    return folder / "a.tar.gz"


def _read_bundle(path: Path) -> Any:
    target = path.parent / "unpacked"
    try:
        extract_archive(path, target)
        return {p.relative_to(target).as_posix(): p.read_bytes() for p in sorted(target.rglob("*")) if p.is_file()}
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _ntuple(folder: Path) -> Path:
    return ntuples.write_nano(folder / "a.root", ntuples.make_events(12, seed=1))


def _read_ntuple(path: Path) -> Any:
    if path.stat().st_mtime_ns % 20 == 0:  # now and then all that `h4l inspect` looks at, which takes much longer
        inspect_file(path)
    return _events(path, "Events")


def _events(path: Path, tree: str = "") -> Any:
    check_file(path)
    with open_events(path, tree) as events:
        names = list(events.types)
        return names, events.uuid if tree else b"", events.arrays(names, 0, events.entries).to_list().__repr__()


READERS: dict[str, Reader] = {
    "yaml": Reader(".yaml", _config, lambda path: load_config(path, data=path.parent), kind="text", numbers=False),
    "workspace": Reader(".json", _workspace, _read_workspace, kind="json"),
    "root": Reader(".root", _ntuple, _read_ntuple),
    "observation": Reader(".parquet", _observation, _read_observation),
    "event table": Reader(".parquet", _table, _read_table, inside=True),
    "onnx": Reader(".onnx", _network, lambda path: OnnxRatio(path, threads=1)(np.linspace(-1.0, 1.0, 20).reshape(10, 2)).tobytes()),
    "bundle": Reader(".tar.gz", _bundle, _read_bundle, inside=True),
    "csv": Reader(".csv", lambda folder: ntuples.write_csv(folder / "a.csv", ntuples.make_events(12, seed=1)), _events, kind="text"),
    "lhe": Reader(".lhe", lambda folder: ntuples.write_lhe(folder / "a.lhe", ntuples.make_events(5, seed=1)), _events, kind="text"),
}

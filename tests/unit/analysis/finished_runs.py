"""Folders as `h4l process` leaves them, of events made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toolkit.artifacts.checksums import write_checked_json
from toolkit.artifacts.events import IDENTITY, ChunkInfo, write_chunk, write_index
from toolkit.config import parse_config
from toolkit.kinematics import angular_functions
from toolkit.pipeline.stages.provenance import portable_config

BENCHMARKS = ("ggF_S", "ggF_B", "ggF_SBI")


def make_run(
    folder: Path, *, seed: int, n: int = 3000, luminosity: float = 140.0, tilt: float = 0.0, angles: bool = False, **changes: Any
) -> Path:
    """Write a run with the samples ggF_SBI (S, B, SBI weights) and qqZZ; `tilt` changes the weights with cos_theta_1; `angles` adds f_k."""
    raw: dict[str, Any] = {
        "name": "tiny",
        "luminosity_ifb": luminosity,
        "samples": [
            {"name": "ggF_SBI", "files": ["s.root"], "benchmarks": list(BENCHMARKS)},
            {"name": "qqZZ", "files": ["q.root"]},
        ],
        **changes,
    }
    config = parse_config(raw, folder=folder)
    rng = np.random.default_rng(seed)
    infos, rows = [], {}
    for sample in config.samples:
        carried = tuple(sample.benchmarks)  # none, or three
        x = {"m4l": 220 + rng.exponential(120, size=n), "cos_theta_1": rng.uniform(-1, 1, size=n)}
        if angles:
            other = np.random.default_rng(seed + 1000)
            f = angular_functions(other.uniform(-1, 1, size=n), x["cos_theta_1"], other.uniform(-np.pi, np.pi, size=n))
            x |= {f"f_{k + 1}": f[k] for k in range(9)}
        scale = luminosity / 140.0 / n * (1 + tilt * x["cos_theta_1"])
        s, b = rng.uniform(0.5, 1.5, size=n), rng.uniform(2, 4, size=n)
        sbi = s + b - 1.2 * np.sqrt(s * b) * rng.uniform(0, 1, size=n)
        weights = np.stack([s, b, sbi], axis=1) * scale[:, None]
        info = ChunkInfo(sample.name, carried, key="k", source="x", file_index=0, start=0, stop=n, cutflow={})
        identity = {name: np.arange(n) if name in {"event", "entry"} else np.zeros(n) for name in IDENTITY}
        own = weights if carried else np.empty((n, 0))
        write_chunk(folder / "events", info=info, identity=identity, observables=x, weight=weights[:, 2], benchmark_weights=own)
        infos.append(info)
        rows[info.relative_path] = n
    write_index(folder / "events", infos, rows=rows)
    inputs = {sample.name: [{"name": sample.files[0], "sha256": f"{seed}-{sample.name}"}] for sample in config.samples}
    document = {"schema": 1, "config_hash": str(seed), "stages": {"process": {}}, "inputs": inputs, "config": portable_config(config)}
    write_checked_json(folder / "manifest.json", document)
    return folder

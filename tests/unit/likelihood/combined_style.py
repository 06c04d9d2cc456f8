"""Workspaces in the style of converted combinations: several channels, all modifiers, a signal strength between -10 and 10."""

from __future__ import annotations

from typing import Any

import numpy as np


def converted_workspace(seed: int) -> dict[str, Any]:
    """Draw a workspace: up to four channels with falling spectra, shared normsys and histosys, staterrors, a luminosity."""
    rng = np.random.default_rng(seed)
    names = [f"sys{i}" for i in range(int(rng.integers(2, 6)))]
    truth = float(rng.choice([0.0, 1.0, -0.5, 3.0]))
    channels, observations = [], []
    for c in range(int(rng.integers(1, 5))):
        n = int(rng.integers(2, 7))
        fall = np.arange(n)
        signal = rng.uniform(0.5, 30.0, n) * np.exp(-rng.uniform(0.0, 0.3) * fall)
        others = [rng.uniform(2.0, 200.0, n) * np.exp(-rng.uniform(0.0, 0.5) * fall) for _ in range(int(rng.integers(1, 4)))]
        samples = []
        for j, content in enumerate([signal, *others]):
            modifiers: list[dict[str, Any]] = [{"name": "lumi", "type": "lumi", "data": None}]
            modifiers += [{"name": "r", "type": "normfactor", "data": None}] if j == 0 else []
            modifiers += [m for name in names if (m := _modifier(rng, name, content)) is not None]
            modifiers.append({"name": f"stat_{c}", "type": "staterror", "data": (content * rng.uniform(0.01, 0.12, n)).tolist()})
            samples.append({"name": f"process{j}", "data": content.tolist(), "modifiers": modifiers})
        expected = np.maximum(truth * signal + np.sum(others, axis=0), 0.3)
        channels.append({"name": f"channel{c}", "samples": samples})
        observations.append({"name": f"channel{c}", "data": rng.poisson(expected).astype(float).tolist()})
    parameters = [
        {"name": "r", "inits": [1.0], "bounds": [[-10.0, 10.0]]},
        {"name": "lumi", "auxdata": [1.0], "sigmas": [0.016], "inits": [1.0], "bounds": [[0.5, 1.5]]},
    ]
    measurement = {"name": "m", "config": {"poi": "r", "parameters": parameters}}
    return {"version": "1.0.0", "channels": channels, "observations": observations, "measurements": [measurement]}


def _modifier(rng: np.random.Generator, name: str, content: np.ndarray) -> dict[str, Any] | None:
    kind, size = rng.random(), rng.uniform(0.01, 0.3)
    if kind < 0.35:
        return {"name": name, "type": "normsys", "data": {"hi": 1.0 + size, "lo": 1.0 - size * rng.uniform(0.5, 1.2)}}
    if kind < 0.6:
        tilt = rng.normal(0.0, 0.08) * np.linspace(-1.0, 1.0, len(content))
        data = {"hi_data": (content * (1.0 + tilt)).tolist(), "lo_data": (content * (1.0 - tilt * rng.uniform(0.5, 1.3))).tolist()}
        return {"name": name, "type": "histosys", "data": data}
    return None

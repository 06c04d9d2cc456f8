"""A workspace with every modifier of a binned channel."""

from __future__ import annotations

from typing import Any


def binned() -> dict[str, Any]:
    """Every modifier of a binned channel, an interference sample with negative contents, data that are no integers."""

    def sample(name: str, data: list[float], *modifiers: tuple[str, str, Any]) -> dict[str, Any]:
        return {"name": name, "data": data, "modifiers": [{"type": t, "name": n, "data": d} for t, n, d in modifiers]}

    histosys = {"hi_data": [52.0, 41.0, 19.0], "lo_data": [47.0, 39.0, 22.0]}
    sr = [
        sample("S", [5.0, 8.0, 3.0], ("normfactor", "mu", None), ("lumi", "lumi", None), ("staterror", "stat", [0.5, 0.6, 0.2])),
        sample("I", [-2.0, -1.0, -0.5], ("normfactor", "c_I", None), ("staterror", "stat", [0.2, 0.1, 0.1])),
        sample(
            "B",
            [50.0, 40.0, 20.0],
            ("normsys", "jes", {"hi": 1.1, "lo": 0.93}),
            ("histosys", "jes", histosys),
            ("lumi", "lumi", None),
            ("staterror", "stat", [2.0, 1.5, 1.0]),
        ),
        sample("F", [10.0, 9.0, 8.0], ("shapesys", "fake", [1.0, 1.5, 2.0])),
    ]
    cr = [sample("B", [200.0], ("normsys", "jes", {"hi": 1.05, "lo": 0.97})), sample("S", [2.0], ("normfactor", "mu", None))]
    parameters = [
        {"name": "mu", "inits": [1.0], "bounds": [[0.0, 6.0]]},
        {"name": "c_I", "inits": [1.0], "bounds": [[-3.0, 3.0]]},
        {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.9, 1.1]]},
    ]
    return {
        "version": "1.0.0",
        "channels": [{"name": "sr", "samples": sr}, {"name": "cr", "samples": cr}],
        "observations": [{"name": "sr", "data": [60.5, 52.0, 33.0]}, {"name": "cr", "data": [210.0]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": parameters}}],
    }

"""Networks in C++ against onnxruntime from Python: agreement with torch in float64, and processor time per event on one core.

    python -m benchmarks.cpp                  # a network of 5 x 128 with log ratios from -15 to 15
    python -m benchmarks.cpp MODEL.onnx       # any file written by write_onnx, with its reference rows beside it

Needs g++, cmake, OpenBLAS and the extra `cpp`. Processor time is what counts on a machine that others use; onnxruntime runs in the
same minutes, before and after the C++ program, and the best pass of each counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

from exports import Feature, write_onnx
from exports.cpp_project import write_cpp_project
from toolkit.artifacts.onnx_metadata import INPUT_NAME, OUTPUT_NAME
from toolkit.likelihood import OnnxRatio
from toolkit.ratios import FeatureMap
from toolkit.typing import FloatArray

NAMES = ("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l", "n_jets")
UNITS = ("GeV", "GeV", "GeV", "", "", "", "rad", "rad", "GeV", "", "")
PASSES = 5
TARGET_SINGLE_US, TARGET_RATE, TARGET_ABSOLUTE, TARGET_RELATIVE = 20.0, 0.5, 1e-4, 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the C++ project, by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = options.model or write_network(Path(scratch) / "ratio.onnx")
        report(path, options.keep or Path(scratch) / "project")


def report(path: Path, folder: Path) -> None:
    code = write_cpp_project(path, folder, name="ratio")
    build = folder / "build"
    began = time.perf_counter()
    for words in (["cmake", "-S", folder, "-B", build, "-DH4L_ARCH=native"], ["cmake", "--build", build]):
        subprocess.run([str(w) for w in words], check=True, capture_output=True)
    print(f"built in {time.perf_counter() - began:.0f} s")
    reference = path.with_name(f"{path.stem}.reference.json")
    weights = code.weights
    check = json.loads(run(build / "h4l-check", weights, reference))
    document = json.loads(reference.read_text(encoding="utf-8"))
    exact = np.array(document["torch_float64"]["log_ratio"])
    found = np.array(document["onnxruntime_float32"]["log_ratio"])
    large = np.abs(exact) > 1
    relative = float(np.max(np.abs(found - exact)[large] / np.abs(exact)[large], initial=0.0))
    print(f"log ratios of {len(exact)} reference rows: {exact.min():.2f} ... {exact.max():.2f}; differences from torch in float64:")
    print(f"  onnxruntime  {np.abs(found - exact).max():.2e} absolute, {relative:.2e} relative where |log r| > 1")
    print(f"  C++          {check['absolute']:.2e} absolute, {check['relative']:.2e} relative, one by one {check['one_by_one']:.2e}")
    first = python_times(path, np.array(document["rows"]))
    cpp = json.loads(run(build / "h4l-benchmark", weights, reference))
    second = python_times(path, np.array(document["rows"]))
    batch, single = (min(a, b) for a, b in zip(first, second, strict=True))
    print("processor time per event:   batch [us]   one by one [us]")
    print(f"  onnxruntime, Python   {batch:14.2f} {single:17.2f}")
    print(f"  C++ from SOFIE        {cpp['batch_us']:14.2f} {cpp['single_us']:17.2f}")
    rate = batch / cpp["batch_us"]
    print(f"batch rate {rate:.2f} of onnxruntime's (aim > {TARGET_RATE}), one event {cpp['single_us']:.1f} us (aim < {TARGET_SINGLE_US})")
    good = rate > TARGET_RATE and check["absolute"] < TARGET_ABSOLUTE and check["relative"] < TARGET_RELATIVE
    print("all aims met" if good and cpp["single_us"] < TARGET_SINGLE_US else "NOT all aims met")


def run(program: Path, *words: object) -> str:
    return subprocess.run([str(program), *map(str, words)], check=True, capture_output=True, text=True).stdout


def python_times(path: Path, rows: FloatArray) -> tuple[float, float]:
    """Best processor time per event of onnxruntime, in batches and one by one, in microseconds."""
    ratio = OnnxRatio(path, threads=1)
    x = np.tile(rows, (20, 1)).astype(np.float32)
    batch = single = np.inf
    for _ in range(PASSES):
        began = time.process_time()
        for start in range(0, len(x), 10_000):
            ratio._session.run([OUTPUT_NAME], {INPUT_NAME: x[start : start + 10_000]})
        batch = min(batch, (time.process_time() - began) / len(x))
        began = time.process_time()
        for k in range(1000):
            ratio._session.run([OUTPUT_NAME], {INPUT_NAME: x[k : k + 1]})
        single = min(single, (time.process_time() - began) / 1000)
    return 1e6 * batch, 1e6 * single


class Network(nn.Module):
    """Feature map and a perceptron of 5 x 128."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        self.feature_map = FeatureMap.fitted(NAMES, x, fold=True)
        widths = [self.feature_map.n_inputs, *[128] * 5]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Linear(a, b), nn.SiLU()]
        self.network = nn.Sequential(*layers, nn.Linear(128, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.network(self.feature_map(x))
        return out


def write_network(path: Path) -> Path:
    """Train the network for a moment on a smooth target from -15 to 15, and write it with rows that span it."""
    x = events(20_000, seed=1)
    torch.manual_seed(1)
    inputs = torch.from_numpy(x)
    network = Network(inputs)
    target = target_of(x)
    z = network.feature_map(inputs).float()
    y = torch.from_numpy(target).float()[:, None]
    optimiser = torch.optim.AdamW(network.network.parameters(), lr=2e-3, weight_decay=1e-3)
    for step in range(600):
        rows = torch.randint(len(z), (512,))
        loss = ((network.network(z[rows]) - y[rows]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / 600)
    features = [Feature(n, u, float(c.min()), float(c.max())) for n, u, c in zip(NAMES, UNITS, x.T, strict=True)]
    write_onnx(network.double(), path, features=features, numerators=("S",), reference="B", estimator="carl", reference_rows=x)
    return path


def target_of(x: FloatArray) -> FloatArray:
    """A smooth function of mass and angles from about -15 to 15."""
    return np.clip(18.0 * np.log(x[:, 0] / 350.0), -11.0, 11.0) + 3.0 * x[:, 4] * x[:, 5] + 2.0 * np.cos(x[:, 6]) - 2.0 * x[:, 3] ** 2


def events(n: int, *, seed: int) -> FloatArray:
    """Columns with the shapes of the real ones."""
    g = np.random.default_rng(seed)
    mass = np.minimum(180.0 * (1 - g.random(n)) ** (-1 / 2), 2000.0)
    masses = [np.clip(91.19 + 1.5 * g.standard_t(2, n), 50.0, 106.0) for _ in range(2)]
    flat = [g.uniform(-1, 1, n) for _ in range(3)] + [g.uniform(-np.pi, np.pi, n) for _ in range(2)]
    return np.stack([mass, *masses, *flat, np.exp(g.normal(3.2, 1.0, n)), g.normal(0, 1, n), g.poisson(1.0, n).astype(float)], axis=1)


if __name__ == "__main__":
    main()

"""The files behind the matrix elements: fits of parton densities, the networks of gg -> ZZ, and how accurate they are.

    python -m benchmarks.matrix_elements densities --table cteq6l1.tbl
    python -m benchmarks.matrix_elements train --data FOLDER_OF_THE_BENCHMARK_SAMPLE
    python -m benchmarks.matrix_elements check --data FOLDER --independent FOLDER_OF_THE_SAMPLE_WITH_THREE_AMPLITUDES

`densities` prints the coefficients of `toolkit/kinematics/parton_densities.py`, `train` writes `toolkit/kinematics/gg_network.onnx` and
`box_network.onnx` (one of them with `--of`), and `check` compares the formulas with the exact densities on all events, the networks
on those that trained nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import uproot
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from toolkit.kinematics import cartesian_from_ptetaphim
from toolkit.kinematics.element_ratios import matrix_element_ratios
from toolkit.kinematics.fourvectors import CHUNK
from toolkit.kinematics.gg_network import BOX_FILE, FILE, network_inputs
from toolkit.kinematics.matrix_elements import PartonicEvent, higgs_squared
from toolkit.kinematics.parton_densities import N_LEVELS, fraction_basis
from toolkit.typing import FloatArray

SAMPLES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
FILES = {"ggF_SBI": FILE, "ggF_B": BOX_FILE}
"""Networks by the density that they learn."""
HELD_OUT = 10
"""One event in so many, by a hash of its number, trains nothing."""
WIDTH, EPOCHS, EVENTS_PER_EPOCH, BATCH = 64, 80, 100_000, 1024


def chunks(folder: Path, sample: str, truth: str) -> Iterator[tuple[NDArray[np.uint64], list[FloatArray], dict[str, FloatArray]]]:
    """Yield event numbers, true leptons (4, n) and exact densities, file by file."""
    table = pq.read_table(folder / "truth" / f"{truth}.parquet")
    number = table["event"].to_numpy().astype(np.uint64)
    order = np.argsort(number)
    densities = {name.removeprefix("density_"): table[name].to_numpy().astype(float) for name in table.schema.names if name != "event"}
    for file in sorted(folder.glob(f"{sample}_[0-9].root")):
        branches = ["event", *(f"GenLep_{name}" for name in ("pt", "eta", "phi", "mass"))]
        events = uproot.open(file)["Events"].arrays(branches)
        own = events["event"].to_numpy().astype(np.uint64)
        rows = order[np.searchsorted(number, own, sorter=order)]
        for start in range(0, len(own), CHUNK):
            part = slice(start, start + CHUNK)
            p = {name: events[f"GenLep_{name}"][part].to_numpy().astype(float) for name in ("pt", "eta", "phi", "mass")}
            leptons = [cartesian_from_ptetaphim(*(p[name][:, k] for name in ("pt", "eta", "phi", "mass"))).T for k in range(4)]
            yield own[part], leptons, {name: values[rows[part]] for name, values in densities.items()}


def held_out(number: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Choose the events that train nothing by a hash of their numbers."""
    return (number * np.uint64(11400714819323198485) >> np.uint64(40)) % np.uint64(HELD_OUT) == 0


def training_set(folder: Path, name: str) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Compute inputs, angular functions, exact values in the network's units, and which events train nothing."""
    parts = []
    for sample in SAMPLES:
        for number, leptons, density in chunks(folder, sample, sample):
            event = PartonicEvent.of(*leptons)
            inputs = network_inputs(event)
            exact = density[name] / density["ggF_S"] * higgs_squared(event) / inputs.scale
            known = inputs.known & np.isfinite(exact)
            parts.append(tuple(a[known] for a in (inputs.x, inputs.functions.astype(np.float32), exact, held_out(number))))
    x, functions, exact, outside = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return x, functions, exact, outside


def train(folder: Path, name: str) -> None:
    """Train the network of a density on relative differences and write it."""
    import torch  # noqa: PLC0415 - only training needs it

    torch.manual_seed(1)
    x, functions, exact, outside = training_set(folder, name)
    mean, spread = x[~outside].mean(axis=0), x[~outside].std(axis=0)
    centre = float(np.log(exact[~outside]).mean())
    sizes = [x.shape[1], WIDTH, WIDTH, functions.shape[1] + 1]
    layers = [torch.nn.Linear(n, m) for n, m in pairwise(sizes)]
    network = torch.nn.Sequential(*[module for layer in layers[:-1] for module in (layer, torch.nn.SiLU())], layers[-1])
    inputs = torch.from_numpy(((x - mean) / spread).astype(np.float32))
    angular, target = torch.from_numpy(functions), torch.from_numpy((exact / np.exp(centre)).astype(np.float32))
    rows, check = torch.from_numpy(np.flatnonzero(~outside)), torch.from_numpy(np.flatnonzero(outside)[:20000])

    def ratio(batch: torch.Tensor) -> torch.Tensor:
        out = network(inputs[batch])
        return torch.exp(out[:, 0]) * torch.sum(out[:, 1:] * angular[batch], dim=1) / target[batch]

    n_batches = EVENTS_PER_EPOCH // BATCH
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-2, total_steps=EPOCHS * n_batches, pct_start=0.1)
    for epoch in range(EPOCHS):
        for _ in range(n_batches):
            loss = torch.mean(
                torch.nn.functional.smooth_l1_loss(ratio(rows[torch.randint(len(rows), (BATCH,))]), torch.ones(BATCH), beta=0.1)
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            rest = (ratio(check) - 1.0).numpy()
        within = np.quantile(np.abs(rest), (0.5, 0.9, 0.99)).round(4).tolist()
        print(f"epoch {epoch + 1}: relative difference on events held out: 50, 90, 99 % within {within}", flush=True)
        if epoch % 5 == 4 or epoch + 1 == EPOCHS:
            found = [(w.weight.detach().numpy(), w.bias.detach().numpy()) for w in layers]
            write_network(found, mean, spread, centre, file=FILES[name])


def write_network(
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]], mean: FloatArray, spread: FloatArray, centre: float, *, file: str
) -> None:
    """Write the coefficients as a network of swish layers, with the standardisation folded into the first and the scale into the last."""
    weights = [(w.astype(float), b.astype(float)) for w, b in layers]
    first, last = weights[0], weights[-1]
    weights[0] = (first[0] / spread, first[1] - first[0] @ (mean / spread))
    weights[-1:] = [(last[0][:1], last[1][:1] + centre), (last[0][1:], last[1][1:])]
    make = onnx.helper.make_node
    constants = [
        onnx.numpy_helper.from_array(array.astype(np.float32), f"{name}{k}")
        for k, (w, b) in enumerate(weights)
        for name, array in (("w", w), ("b", b))
    ]
    nodes, value = [], "x"
    for k in range(len(weights) - 2):
        nodes.append(make("Gemm", [value, f"w{k}", f"b{k}"], [f"h{k}"], transB=1))
        nodes += [make("Sigmoid", [f"h{k}"], [f"s{k}"]), make("Mul", [f"h{k}", f"s{k}"], [f"a{k}"])]
        value = f"a{k}"
    for k, name in ((len(weights) - 2, "log_scale"), (len(weights) - 1, "relative")):
        nodes.append(make("Gemm", [value, f"w{k}", f"b{k}"], [name], transB=1))
    nodes += [make("Exp", ["log_scale"], ["scale"]), make("Mul", ["scale", "relative"], ["coefficients"])]
    shape, real = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    ends = [shape("x", real, ["n", len(mean)])], [shape("coefficients", real, ["n", len(last[0]) - 1])]
    graph = onnx.helper.make_graph(nodes, "gg", *ends, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    target = Path(__file__).parents[1] / "toolkit" / "kinematics" / file
    target.write_bytes(model.SerializeToString())


def check(folder: Path, independent: Path) -> None:
    """Compare ratios of matrix elements with the exact ones, quantiles of |ln(ratio / exact)|."""
    sources = [(folder, "qqZZ", "qqZZ", ("ggF_S", "ggF_SBI", "ggF_B")), (independent, "ggF_SBI", "ggF_SBI", ("S_t", "SBI", "B"))]
    for where, sample, truth, (signal, total, background) in sources:
        annihilation, gluons, box = [], [], []
        for number, leptons, density in chunks(where, sample, truth):
            chosen = held_out(number) if where == folder else np.ones(len(number), dtype=bool)
            ratios = matrix_element_ratios(*leptons)
            annihilation.append(np.log(ratios.annihilation / (density["qqZZ"] / density[signal])))
            gluons.append(np.log(ratios.gluons / (density[total] / density[signal]))[chosen])
            box.append(np.log(ratios.box / (density[background] / density[signal]))[chosen])
        for name, values in (("q qbar / H", annihilation), ("gg / H", gluons), ("box / H", box)):
            r = np.concatenate(values)
            r = r[np.isfinite(r)]
            quantiles = ", ".join(f"{q:.5f}" for q in np.quantile(np.abs(r), (0.5, 0.9, 0.99)))
            print(f"{sample} {name}: {len(r)} events, mean {r.mean():+.5f}, rms {r.std():.5f}, 50, 90, 99 %: {quantiles}")


def densities(table: Path) -> None:
    """Fit the ratios of parton densities to the table of CTEQ6L1 and print the coefficients."""
    lines = table.read_text(encoding="ascii").splitlines()
    at = {key: next(k for k, line in enumerate(lines) if line.strip().startswith(key)) for key in ("QINI", "XMIN")}
    scales = _numbers(lines[at["QINI"] + 1 : at["XMIN"]])[2:]
    fractions = _numbers(lines[at["XMIN"] + 1 : at["XMIN"] + 1 + 17])[1:97]
    values = _numbers([line for line in lines[at["XMIN"] + 1 :] if line.strip()[:1].isdigit()])
    grid = values[-8 * len(scales) * 96 :].reshape(8, len(scales), 96)
    level = np.log(np.log(scales / 0.1652))
    x, q = (a.ravel() for a in np.meshgrid(np.geomspace(2e-4, 0.9, 400), np.geomspace(95.0, 1050.0, 21)))
    density = {
        name: RectBivariateSpline(level, fractions[1:] ** 0.3, grid[k + 5][:, 1:] * fractions[1:]).ev(np.log(np.log(q / 0.1652)), x**0.3)
        for k, name in ((0, "g"), (1, "u"), (-1, "ubar"), (2, "d"), (-2, "dbar"), (-3, "s"), (-4, "c"), (-5, "b"))
    }
    columns, powers = fraction_basis(x), np.log(q / 300.0)[:, np.newaxis] ** np.arange(N_LEVELS)
    design = (columns[:, :, np.newaxis] * powers[:, np.newaxis, :]).reshape(len(x), -1)
    weight = np.where(x < 0.2, 1.0, np.where(x < 0.4, 0.3, np.where(x < 0.75, 0.05, 0.005)))
    for name in ("u", "ubar", "d", "dbar", "s", "c", "b"):
        target = np.log(np.maximum(density[name], 1e-12) / density["g"])
        found = np.linalg.lstsq(design * weight[:, np.newaxis], target * weight, rcond=1e-13)[0].round(6)
        worst = [float(np.max(np.abs(design @ found - target)[x < limit])) for limit in (0.2, 0.5)]
        print(f"{name}: {found.tolist()}  # right to {worst[0]:.5f} below x = 0.2, {worst[1]:.5f} below 0.5")


def _numbers(lines: list[str]) -> FloatArray:
    return np.array([float(word) for line in lines for word in line.split()])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["densities", "train", "check"])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--independent", type=Path)
    parser.add_argument("--of", choices=list(FILES), nargs="+", default=list(FILES), help="densities whose networks are trained")
    arguments = parser.parse_args()
    if arguments.action == "densities":
        densities(arguments.table)
    elif arguments.action == "train":
        for name in arguments.of:
            train(arguments.data, name)
    else:
        check(arguments.data, arguments.independent)


if __name__ == "__main__":
    main()

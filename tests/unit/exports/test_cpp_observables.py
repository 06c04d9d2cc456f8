"""h4l/observables.h against Python: pairing, masses, angles, jets, fills, on reference events and on random ones; g++ is all it needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from exports.cpp_tables import NAME, matrix_element_tables
from tests.golden.test_angles_reference import COLUMNS, TOLERANCE, Reference
from toolkit.kinematics import OBSERVABLES, compute_observables, pair_leptons, take_quadruplet

HERE = Path(__file__).parent
INCLUDE = HERE.parents[2] / "exports" / "cpp" / "include"
NAMES = [name for name, entry in OBSERVABLES.items() if entry.group in {"standard", "leptons", "jets", "vbf", "matrix_element", "angular"}]
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="not installed: g++")


@pytest.fixture(scope="module", params=[("c++17", ()), ("c++20", SANITIZERS)], ids=["c++17", "c++20, sanitizers"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    standard, flags = request.param
    folder = tmp_path_factory.mktemp("observables")
    target = folder / "observables"
    write_tables(folder)
    command = [
        "g++",
        f"-std={standard}",
        "-O1",
        *WARNINGS,
        *flags,
        "-pthread",
        f"-I{INCLUDE}",
        f"-I{folder}",
        str(HERE / "observables.cpp"),
        "-o",
        str(target),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


def write_tables(folder: Path) -> None:
    (folder / "h4l").mkdir()
    (folder / "h4l" / NAME).write_text(matrix_element_tables(), encoding="utf-8")


def text_of(leptons: list[Any], jets: list[Any], names: list[str], fills: dict[str, float]) -> str:
    lines = [f"{len(names)} {len(fills)} {len(leptons)}", " ".join(names), " ".join(f"{n} {v!r}" for n, v in fills.items())]
    for own, beside in zip(leptons, jets, strict=True):
        lines.append(f"{len(own)} {len(beside)}")
        lines += [f"{i} {px!r} {py!r} {pz!r} {e!r}" for i, px, py, pz, e in own]
        lines += [f"{px!r} {py!r} {pz!r} {e!r}" for px, py, pz, e in beside]
    return "\n".join(lines) + "\n"


def run(program: Path, leptons: list[Any], jets: list[Any], names: list[str], *words: str, **fills: float) -> list[list[float] | None]:
    done = subprocess.run([program, *words], input=text_of(leptons, jets, names, fills), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [None if line == "none" else [float(x) for x in line.split()] for line in done.stdout.splitlines()]


def events(n: int, seed: int) -> tuple[list[Any], list[Any]]:
    """Leptons of both flavours and charges, massless and massive, and up to three jets, harder and softer ones in any order."""
    rng = np.random.default_rng(seed)
    leptons, jets = [], []

    def momentum(scale: float, forward: float, mass: float) -> tuple[float, float, float, float]:
        p = rng.normal(0.0, [scale, scale, forward])
        return (*(float(x) for x in p), float(np.sqrt(p @ p + mass**2)))

    for _ in range(n):
        count = int(rng.integers(4, 7))
        ids = [11, -11, 13, -13] if rng.random() < 0.5 else [11, -11, 11, -11]
        ids += [int(i) for i in rng.choice([11, -11, 13, -13], count - 4)]
        leptons.append([(ids[k], *momentum(40.0, 60.0, 0.1 if abs(ids[k]) == 13 else 0.0)) for k in rng.permutation(count)])
        jets.append([momentum(60.0, 300.0, float(rng.choice([0.0, 8.0]))) for _ in range(int(rng.integers(0, 4)))])
    return leptons, jets


def in_python(leptons: list[Any], jets: list[Any]) -> tuple[dict[str, Any], Any]:
    fields = ("pdg_id", "px", "py", "pz", "E")
    own = ak.zip({name: ak.Array([[row[k] for row in event] for event in leptons]) for k, name in enumerate(fields)})
    numbers = ak.values_astype(ak.Array([[list(j) for j in event] for event in jets] + [[[0.0] * 4]]), np.float64)[:-1]
    beside = ak.zip({name: numbers[..., k] for k, name in enumerate(("px", "py", "pz", "E"))})
    quadruplets = pair_leptons(own)
    found = np.asarray(~ak.is_none(quadruplets))
    chosen = take_quadruplet(own[found], quadruplets[found])
    return compute_observables(*(chosen[r] for r in ("a1", "b1", "a2", "b2")), jets=beside[found], names=NAMES), found


@needs_compiler
def test_random_events_are_those_of_python(program: Path) -> None:
    leptons, jets = events(1500, seed=4)
    rows = run(program, leptons, jets, NAMES)
    expected, found = in_python(leptons, jets)
    assert [row is not None for row in rows] == found.tolist()
    table = np.array([row for row in rows if row is not None])
    for k, name in enumerate(NAMES):
        np.testing.assert_allclose(table[:, k], expected[name], rtol=1e-6, atol=1e-6, err_msg=name, equal_nan=True)


@needs_compiler
@pytest.mark.parametrize(("recoil", "prefix"), [("none", "plain"), ("transverse", "transverse")])
def test_reference_events(program: Path, recoil: str, prefix: str) -> None:
    reference = Reference()
    momenta = [[(int(reference[f"l{i}_id"][k]), *reference.momenta(f"l{i}")[k].tolist()) for i in (1, 2, 3, 4)] for k in range(120)]
    both = ~np.isnan(reference["vbf_Phi"])
    jets = [[reference.momenta(f"j{i}")[k].tolist() for i in (1, 2)] if both[k] else [] for k in range(120)]
    names = ["m4l", "m_z1", "m_z2", *COLUMNS, *(f"vbf_{name}" for name in COLUMNS), "q2_v1", "q2_v2"]
    table = dict(zip(names, np.array(run(program, momenta, jets, names, recoil)).T, strict=True))
    for name, column in (("m4l", "m4l"), ("m_z1", "mZ1"), ("m_z2", "mZ2")):
        np.testing.assert_allclose(table[name], reference[column], rtol=1e-6)
    for name, column in COLUMNS.items():
        np.testing.assert_allclose(table[name], reference[f"{prefix}_{column}"], rtol=0, atol=TOLERANCE[name], err_msg=name)
        np.testing.assert_allclose(table[f"vbf_{name}"][both], reference[f"vbf_{column}"][both], rtol=0, atol=TOLERANCE[name], err_msg=name)
    for name, column in (("q2_v1", "Q2V1"), ("q2_v2", "Q2V2")):
        np.testing.assert_allclose(table[name][both], reference[f"vbf_{column}"][both], rtol=1e-6)


@needs_compiler
@pytest.mark.parametrize("recoil", ["none", "transverse"])
def test_matrix_elements_of_the_reference_events(program: Path, recoil: str) -> None:
    """The events of tests/golden, and the same with transverse momentum: 1e-6, as in single precision in Python."""
    rows = np.loadtxt(HERE.parents[1] / "golden" / "matrix_elements.csv", delimiter=",", skiprows=1)
    three = rows[:, 1:13].reshape(-1, 4, 3)
    if recoil == "transverse":
        energy = np.linalg.norm(three, axis=2)
        three[..., 0] = 1.25 * three[..., 0] + 0.75 * energy
    four = np.concatenate([three, np.linalg.norm(three, axis=2)[..., np.newaxis]], axis=2)
    momenta = [[(i, *p.tolist()) for i, p in zip((11, -11, 13, -13), event, strict=True)] for event in four]
    names = ["d_me", "me_gg", "me_box", "me_qq"]
    found = np.array(run(program, momenta, [[] for _ in momenta], names, recoil))
    expected = compute_observables(*(four[:, k] for k in range(4)), names=names, recoil=recoil)
    for name, values in zip(names, found.T, strict=True):
        assert np.all(np.isfinite(expected[name]))
        scale = 1.0 if name == "d_me" else np.log(10.0)
        np.testing.assert_allclose(values / scale, expected[name] / scale, rtol=0, atol=1e-6, err_msg=name)


@needs_compiler
def test_without_tables_there_are_no_matrix_elements(tmp_path: Path) -> None:
    source = tmp_path / "names.cpp"
    source.write_text('#include "h4l/observables.h"\nint main() { h4l::Observables known({"f_1"}); h4l::Observables({"d_me"}); }\n')
    for folder, code in ((tmp_path / "none", 2), (tmp_path / "tables", 0)):
        folder.mkdir()
        if code == 0:
            write_tables(folder)
        program = tmp_path / folder.name / "program"
        subprocess.run(["g++", "-std=c++17", f"-I{INCLUDE}", f"-I{folder}", str(source), "-o", str(program)], check=True)
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert ("d_me is no observable of leptons and jets" in done.stderr) == (code != 0)


@needs_compiler
def test_fills_and_presence(program: Path) -> None:
    leptons, jets = events(200, seed=5)
    rows = run(program, leptons, jets, ["n_jets", "m_jj", "m_jj_filled", "has_m_jj"], m_jj=-1.0)
    seen = set()
    for row in rows:
        if row is not None:
            two = row[0] >= 2
            seen.add(two)
            assert row[2:] == ([row[1], 1.0] if two else [-1.0, 0.0])
            assert np.isnan(row[1]) == (not two)
    assert seen == {True, False}


@needs_compiler
@pytest.mark.parametrize(("name", "message"), [("met", "no observable of leptons and jets"), ("m_jj_filled", "without the fill value")])
def test_wrong_names_are_refused(program: Path, name: str, message: str) -> None:
    done = subprocess.run([program], input=text_of([], [], [name], {}), capture_output=True, text=True, check=False)
    assert (done.returncode, message in done.stderr) == (2, True)

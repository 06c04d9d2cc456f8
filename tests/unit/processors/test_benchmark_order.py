"""A wrong order of the benchmarks is refused wherever the events can tell, and where they cannot this is said."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from processors import run
from processors.benchmark_order import Probe, check_probes, read_probes
from processors.inputs import inspect_inputs
from toolkit.config import Config, parse_config
from toolkit.errors import ArtifactMismatchError
from toolkit.example import demo_config, example_folder

Shared = Callable[[str], Path]
GGF = ("ggF_S", "ggF_B", "ggF_SBI")
EW = ("EW_S", "EW_B", "EW_SBI", "EW_SBI10")
EFT = ("B", "S_t", "S_g", "S_tg", "SBI", "SBI_g", "SBI_half")
ROOT = Path(__file__).resolve().parents[3]


def _wrong(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [order for order in itertools.permutations(names) if order != names]


def _demo(orders: dict[str, tuple[str, ...]], *, samples: tuple[str, ...] = (*GGF, "qqZZ")) -> Config:
    document = yaml.safe_load(demo_config().read_text())
    document["samples"] = [s for s in document["samples"] if s["name"] in samples]
    for section in document["samples"]:
        if section["name"] in orders:
            section["benchmarks"] = list(orders[section["name"]])
    return parse_config(document, folder=example_folder())


def _vbf(order: tuple[str, ...], **morphing: Any) -> Config:
    document = yaml.safe_load((ROOT / "examples" / "vbf4ljj.yaml").read_text())
    document["samples"][0] |= {"files": [str(ROOT / "tests" / "golden" / "EW_SBI.root")], "benchmarks": list(order)}
    return parse_config({**document, "morphing": morphing or document["morphing"]}, folder=ROOT)


def _eft(folder: Path, order: tuple[str, ...], *, samples: tuple[str, ...] = ("SBI", "S_tg")) -> Config:
    files = {"SBI": "ggF_SBI_*.root", "S_tg": "ggF_Stg_*.root"}
    sections = [{"name": name, "files": [str(folder / files[name])], "benchmarks": list(order)} for name in samples]
    morphing = {"signal": "S_t", "interfering": "SBI", "background": "B"}
    return parse_config({"luminosity_ifb": 140.0, "samples": sections, "morphing": morphing}, folder=folder)


@pytest.fixture(scope="module")
def example() -> tuple[Config, list[Probe]]:
    config = _demo({})
    return config, read_probes(inspect_inputs(config))


@pytest.fixture(scope="module")
def vbf() -> list[Probe]:
    return read_probes(inspect_inputs(_vbf(EW)))


def _refused(config: Config, probes: list[Probe], right: tuple[str, ...]) -> None:
    with pytest.raises(ArtifactMismatchError, match="order of the benchmarks") as caught:
        check_probes(config, probes)
    assert f"[{', '.join(right)}], as the events show" in str(caught.value)


def _ordered(probes: list[Probe], orders: Mapping[str, tuple[str, ...]]) -> list[Probe]:
    return [replace(probe, order=orders.get(probe.sample, probe.order)) for probe in probes]


def _notes(config: Config) -> list[str]:
    return [note for sample in inspect_inputs(config) for note in sample.notes]


def test_right_orders_pass_without_a_word() -> None:
    assert _notes(_demo({})) == []
    assert _notes(_vbf(EW)) == []


def test_a_wrong_order_is_refused_before_anything_is_processed(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMismatchError, match=r"\[ggF_S, ggF_B, ggF_SBI\], as the events show"):
        run(_demo(dict.fromkeys(GGF, ("ggF_B", "ggF_S", "ggF_SBI"))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("order", _wrong(GGF))
def test_every_wrong_order_of_the_example_is_refused(order: tuple[str, ...], example: tuple[Config, list[Probe]]) -> None:
    config, probes = example
    _refused(config, _ordered(probes, dict.fromkeys(GGF, order)), GGF)


@pytest.mark.parametrize(("sample", "order"), [(s, o) for s in GGF for o in _wrong(GGF)])
def test_one_sample_with_a_wrong_order_is_refused(sample: str, order: tuple[str, ...], example: tuple[Config, list[Probe]]) -> None:
    """Its own weight tells, and where that stands right the sums, which must have the ratios of the other samples."""
    config, probes = example
    _refused(config, _ordered(probes, {sample: order}), GGF)


def test_the_sample_of_both_amplitudes_alone_cannot_tell_them_apart(example: tuple[Config, list[Probe]]) -> None:
    config, probes = example
    alone = [probe for probe in probes if probe.sample == "ggF_SBI"]
    for order in (GGF, ("ggF_B", "ggF_S", "ggF_SBI")):
        (note,) = check_probes(config, _ordered(alone, {"ggF_SBI": order})).values()
        assert "cannot tell which weight belongs to ggF_S and which to ggF_B" in note
    with pytest.raises(ArtifactMismatchError, match="that of the sample itself"):
        check_probes(config, _ordered(alone, {"ggF_SBI": ("ggF_SBI", "ggF_S", "ggF_B")}))
    assert len(_notes(_demo({}, samples=("ggF_SBI", "qqZZ")))) == 1


@pytest.mark.parametrize("order", _wrong(EW))
def test_one_sample_with_a_further_point_shows_the_whole_order(order: tuple[str, ...], vbf: list[Probe]) -> None:
    _refused(_vbf(order), _ordered(vbf, {"EW_SBI": order}), EW)


@pytest.mark.parametrize("order", [o for o in _wrong(EW) if o.index("EW_SBI") == 2])
def test_positivity_shows_the_order_of_points(order: tuple[str, ...], vbf: list[Probe]) -> None:
    """S is no benchmark of the morphing here: from the weights at 0, 1 and 10 in another order some events get a negative density."""
    config = _vbf(EW, basis="EW", points={"EW_B": 0.0, "EW_SBI": 1.0, "EW_SBI10": 10.0})
    assert check_probes(config, vbf) == {}
    with pytest.raises(ArtifactMismatchError, match=r"no event has a negative density|further benchmarks follow"):
        check_probes(config, _ordered(vbf, {"EW_SBI": order}))


def test_the_other_order_of_the_many_parameter_sample(shared_data: Shared) -> None:
    folder = shared_data("ggzz4l_eft/ggF_SBI_0.root").parent
    config = _eft(folder, EFT)
    probes = read_probes(inspect_inputs(config))
    (note,) = check_probes(config, probes).values()
    assert "cannot tell which weight belongs to S_t and which to B" in note
    rng = np.random.default_rng(2)
    for _ in range(20):
        order = tuple(rng.permutation(EFT).tolist())
        if order.index("SBI") != 4 or order.index("S_tg") != 3:
            with pytest.raises(ArtifactMismatchError, match="that of the sample itself"):
                check_probes(config, _ordered(probes, dict.fromkeys(("SBI", "S_tg"), order)))


def _probes(order: tuple[str, ...], *, n: int = 400, seed: int = 3) -> list[Probe]:
    """Weights of S, B, SBI of events generated under each, whose cross-sections are those of the amplitudes."""
    found = []
    for k, sample in enumerate(("S", "B", "SBI")):
        rng = np.random.default_rng(seed + k)
        a, b, phase = rng.uniform(0.5, 1.5, n), rng.uniform(1.5, 2.5, n), rng.uniform(-1, 1, n)
        absolute = np.stack([a**2, b**2, a**2 + b**2 + 2 * a * b * phase], axis=1)
        xsec = (13 / 12, 49 / 12, 62 / 12)[k]
        found.append(Probe(sample, order, absolute / absolute[:, [k]], absolute[:, k], xsec, 0.0))
    return found


def _config(names: tuple[str, str, str]) -> Config:
    morphing = dict(zip(("signal", "background", "interfering"), names, strict=True))
    sample = {"name": names[2], "files": ["x.root"], "benchmarks": list(names)}
    return parse_config({"luminosity_ifb": 1.0, "samples": [sample], "morphing": morphing}, folder=Path())


def test_the_triangle_of_three_amplitudes_looks_the_same_from_every_side() -> None:
    """I^2 <= 4 S B is symmetric in S, B and SBI: it refuses no order, with one sample that knows its own weight only."""
    config = _config(("S", "B", "SBI"))
    for order in (("S", "B", "SBI"), ("B", "S", "SBI")):
        notes = check_probes(config, [_probes(order)[2]])
        assert "S and which to B" in notes["SBI"]


def test_samples_of_one_generation_under_two_names_are_refused() -> None:
    one, two, _ = _probes(("S", "B", "SBI"))
    copy = replace(one, sample="B", order=two.order)
    with pytest.raises(ArtifactMismatchError, match="both were generated under the same benchmark"):
        check_probes(_config(("S", "B", "SBI")), [one, copy])


def test_weights_without_an_entry_of_1_are_held_against_the_cross_sections() -> None:
    order = ("S", "B", "SBI")
    rounded = [replace(p, relative=p.relative * np.linspace(0.98, 1.02, len(p.weight))[:, None], error=0.01) for p in _probes(order)]
    assert check_probes(_config(order), rounded) == {}
    wrong = [replace(p, order=("B", "S", "SBI")) for p in rounded]
    with pytest.raises(ArtifactMismatchError, match=r"sums of weights[\s\S]*sigma"):
        check_probes(_config(order), wrong)


EW_NAMES = ("EW_S", "EW_B", "EW_SBI1", "EW_SBI10")
EFT_NAMES = ("B", "S_t", "S_g", "S_tg", "SBI", "SBI_g")


def _general(orders: Mapping[str, tuple[str, ...]]) -> Config:
    """Two processes, one of two amplitudes and one of three, with samples that are not called after benchmarks."""
    eft = {"B": [0, 0, 1], "S_t": [1, 0, 0], "S_g": [0, 1, 0], "S_tg": [1, 1, 0], "SBI": [1, 0, 1], "SBI_g": [0, 1, 1]}
    return parse_config(
        {
            "luminosity_ifb": 1.0,
            "parameters": {"mu": {}, "c_t": {"range": [-2, 2]}, "c_g": {"range": [-2, 2], "truth": 0}},
            "processes": {
                "EW": {"basis": "EW"},
                "gg": {"amplitudes": {"t": "c_t", "g": "c_g", "box": 1}, "benchmarks": eft},
            },
            "samples": [
                {"name": "vbf", "process": "EW", "generated": "EW_SBI1", "files": ["a.root"], "benchmarks": orders["vbf"]},
                {"name": "gluons", "process": "gg", "generated": "SBI", "files": ["b.root"], "benchmarks": orders["gluons"]},
            ],
        },
        folder=Path("/analysis"),
    )


def _general_probes(vbf: list[Probe], orders: Mapping[str, tuple[str, ...]]) -> list[Probe]:
    weights = np.loadtxt(Path(__file__).parents[2] / "golden" / "eft_weights.csv", delimiter=",", skiprows=1)[:, 1:7]
    gluons = Probe("gluons", orders["gluons"], weights, np.ones(len(weights)), 1.0, 0.1)
    return [replace(vbf[0], sample="vbf", order=orders["vbf"]), gluons]


@pytest.mark.parametrize("changed", ["", "vbf", "gluons"])
def test_orders_of_several_processes_are_held_against_their_own_events(vbf: list[Probe], changed: str) -> None:
    orders = {"vbf": EW_NAMES, "gluons": EFT_NAMES}
    wrong = {"vbf": ("EW_S", "EW_SBI10", "EW_SBI1", "EW_B"), "gluons": ("S_g", "S_t", "B", "S_tg", "SBI", "SBI_g")}
    orders |= {changed: wrong[changed]} if changed else {}
    config, probes = _general(orders), _general_probes(vbf, orders)
    if not changed:
        check_probes(config, probes)
        return
    with pytest.raises(ArtifactMismatchError, match=f"order of the benchmarks of {changed}"):
        check_probes(config, probes)


def test_a_sample_that_carries_the_name_of_a_benchmark_was_generated_under_it(example: tuple[Config, list[Probe]]) -> None:
    config, probes = example
    changed = [
        replace(p, relative=p.relative * np.linspace(0.5, 2.0, len(p.relative))[:, None]) if p.sample == "ggF_SBI" else p for p in probes
    ]
    with pytest.raises(ArtifactMismatchError, match=r"(?s)sample ggF_SBI.*generated under none of .*generated: none"):
        check_probes(config, changed)


def test_a_sample_that_carries_another_name_was_not(example: tuple[Config, list[Probe]]) -> None:
    config, probes = example
    renamed = [replace(p, sample="gg") if p.sample == "ggF_SBI" else p for p in probes]
    with pytest.raises(ArtifactMismatchError, match=r"(?s)sample gg\b.*ggF_SBI, is 1 in every event.*name it ggF_SBI"):
        check_probes(config, renamed)
    weights = np.random.default_rng(3).uniform(0.5, 2.0, max(len(p.relative) for p in probes))[:, None]
    none = [replace(p, relative=p.relative * weights[: len(p.relative)]) if p.sample == "gg" else p for p in renamed]
    assert set(check_probes(config, none)) == set()


def test_a_sample_is_not_called_after_a_benchmark_whose_weight_is_not_1() -> None:
    order = ("S", "B", "SBI")
    probes = _probes(order)
    spread = np.random.default_rng(3).uniform(0.85, 1.15, len(probes[2].weight))
    near = probes[2].relative / probes[2].relative[:, :2].sum(axis=1, keepdims=True) * spread[:, None]
    near[:, 1] = spread  # an order that the events do not contradict, and no weight that is 1
    with pytest.raises(ArtifactMismatchError, match=r"(?s)sample SBI\b.*weight under SBI that is near 1 in \d+% .*another name"):
        check_probes(_config(order), [replace(probes[2], relative=near)])

"""`h4l init` writes a config that validates, and says what only the user can know."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np
import pytest
import uproot
import yaml

from toolkit.cli.doubts import doubts
from toolkit.config import load_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import CommandLine

    from toolkit.typing import FloatArray


@pytest.fixture
def nano(h4l: CommandLine, ntuples: ModuleType) -> Callable[..., Path]:
    """Write a NanoAOD-like file with relative benchmark weights: 1 under `own`, something else under the others."""

    def write(name: str, *, seed: int, own: int | None, n: int = 3) -> Path:
        events = ntuples.make_events(20, seed=seed)
        weights = np.random.default_rng(seed).uniform(0.5, 2.0, (20, n)).astype(np.float32)
        if own is None:
            weights[:] = 0
        else:
            weights[:, own] = 1
        return Path(ntuples.write_nano(h4l.folder / name, events, LHEReweightingWeight=ak.from_regular(weights)))

    return write


def test_samples_are_grouped_and_benchmarks_named(h4l: CommandLine, nano: Callable[..., Path]) -> None:
    for k, (name, own) in enumerate((("ggF_SBI", 2), ("ggF_S", 0), ("ggF_B", 1), ("qqZZ", None))):
        nano(f"{name}_0.root", seed=2 * k + 1, own=own)
        nano(f"{name}_1.root", seed=2 * k + 2, own=own)
    done = h4l("init", *sorted(path.name for path in h4l.folder.glob("*.root")), "--out", "mine.yaml")
    assert done.code == 0, done.stderr
    assert "written and valid. Next: h4l run mine.yaml" in done.stdout
    text = Path("mine.yaml").read_text()
    document = yaml.safe_load(text)
    assert document["samples"][0]["files"] == ["ggF_S_*.root"]
    config = load_config("mine.yaml")
    config.require_interference()
    assert [sample.name for sample in config.samples] == ["ggF_S", "ggF_B", "ggF_SBI", "qqZZ"]
    assert [sample.benchmarks for sample in config.samples] == [("ggF_S", "ggF_B", "ggF_SBI")] * 3 + [()]
    assert config.morphing.amplitudes == ("ggF_S", "ggF_SBI", "ggF_B")
    assert "samples.*.k_factor" in done.stdout
    assert "TODO" not in text
    assert h4l("validate", "mine.yaml").code == 0
    assert doubts(config) == (), "what `init` writes is not what `validate` doubts"


def test_an_order_of_its_own_is_recognised(h4l: CommandLine, nano: Callable[..., Path]) -> None:
    for seed, (name, own) in enumerate((("EW_SBI", 0), ("EW_B", 1), ("EW_S", 2)), start=1):
        nano(f"{name}.root", seed=seed, own=own)
    assert h4l("init", "EW_SBI.root", "EW_B.root", "EW_S.root").code == 0
    config = load_config("config.yaml")
    assert config.samples[0].benchmarks == ("EW_SBI", "EW_B", "EW_S")
    assert config.morphing.amplitudes == ("EW_S", "EW_SBI", "EW_B")


def test_unknown_entries_are_explained_not_guessed(h4l: CommandLine, nano: Callable[..., Path]) -> None:
    nano("ggF_SBI.root", seed=1, own=2)
    done = h4l("init", "ggF_SBI.root")
    assert done.code == 0
    assert load_config("config.yaml").samples[0].benchmarks == ()
    text = Path("config.yaml").read_text()
    assert "Entry 2 is 1 in every event" in text
    assert "only `h4l process` runs" in text
    assert "samples.ggF_SBI.benchmarks" in done.stdout
    assert h4l("validate", "config.yaml").code == 0


def test_samples_without_benchmark_weights_are_learned_from_labels(h4l: CommandLine, nano: Callable[..., Path]) -> None:
    for seed, name in enumerate(("gg_sig", "gg_SBI", "gg_bkg", "qqZZ"), start=1):
        nano(f"{name}.root", seed=seed, own=None)
    done = h4l("init", "gg_sig.root", "gg_SBI.root", "gg_bkg.root", "qqZZ.root")
    assert done.code == 0, done.stderr
    assert "written and valid. Next: h4l run config.yaml" in done.stdout
    assert "learn from which sample" in Path("config.yaml").read_text()
    config = load_config("config.yaml")
    config.require_interference()
    assert config.morphing.amplitudes == ("gg_sig", "gg_SBI", "gg_bkg")
    assert config.ratios.n_members == 15


def test_samples_without_a_whole_process_can_only_be_processed(h4l: CommandLine, nano: Callable[..., Path]) -> None:
    for seed, name in enumerate(("gg_S", "gg_SBI", "EW_B"), start=1):
        nano(f"{name}.root", seed=seed, own=None)
    done = h4l("init", "gg_S.root", "gg_SBI.root", "EW_B.root")
    assert done.code == 0, done.stderr
    assert "Next: h4l process config.yaml" in done.stdout
    assert "morphing: {basis: ggF, signal: gg_S" in Path("config.yaml").read_text()


def test_two_interfering_processes_are_left_to_the_user(h4l: CommandLine, nano: Callable[..., Path], ntuples: ModuleType) -> None:
    for seed, (name, own) in enumerate((("ggF_S", 0), ("ggF_B", 1), ("ggF_SBI", 2)), start=1):
        nano(f"{name}.root", seed=seed, own=own)
    rng = np.random.default_rng(9)
    a, b, phase = rng.uniform(0.3, 2.0, 20), rng.uniform(0.3, 2.0, 20), rng.uniform(-0.5, 0.5, 20)
    points = [a**2 + mu * b**2 + 2 * np.sqrt(mu) * a * b * phase for mu in (0, 1, 10)]
    weights = np.stack([b**2, *points], axis=1) / points[1][:, None]
    events = ntuples.make_events(20, seed=9)
    ntuples.write_nano(h4l.folder / "EW_SBI.root", events, LHEReweightingWeight=ak.from_regular(weights.astype(np.float32)))
    done = h4l("init", "ggF_S.root", "ggF_B.root", "ggF_SBI.root", "EW_SBI.root")
    assert done.code == 0, done.stderr
    text = Path("config.yaml").read_text()
    assert "benchmarks: [EW_S, EW_B, EW_SBI, EW_SBI10]" in text
    assert "benchmarks: [ggF_S, ggF_B, ggF_SBI]" in text
    assert not any(sample.benchmarks for sample in load_config("config.yaml").samples)
    assert h4l("validate", "config.yaml").code == 0


def test_a_config_is_not_replaced_unless_asked(h4l: CommandLine, nano: Callable[..., Path]) -> None:
    nano("a.root", seed=1, own=None)
    Path("config.yaml").write_text("mine: true\n")
    done = h4l("init", "a.root")
    assert done.code == 2
    assert "--force" in done.stderr
    assert Path("config.yaml").read_text() == "mine: true\n"
    assert h4l("init", "a.root", "--force").code == 0
    assert load_config("config.yaml").samples[0].name == "a"


def test_flat_files_get_their_layout_and_a_place_for_the_cross_section(h4l: CommandLine, ntuples: ModuleType) -> None:
    ntuples.write_flat(h4l.folder / "flat.root", ntuples.make_events(20, seed=1))
    document = json.loads(h4l("init", "flat.root", "--json", "--quiet").stdout)
    assert {blank["key"]: blank["unit"] for blank in document["to_check"]}["samples.flat.xsec_pb"] == "pb"
    assert document["valid"] is True
    sample = load_config("config.yaml").samples[0]
    assert (sample.layout.kind, sample.xsec_pb, sample.gen_sumw) == ("flat", 1.0, "sum")


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"not an ntuple", "not a ROOT file"), (b"", "ROOT")],
)
def test_wrong_files_are_named(h4l: CommandLine, nano: Callable[..., Path], content: bytes, expected: str) -> None:
    nano("good.root", seed=1, own=None)
    Path("bad.root").write_bytes(content)
    done = h4l("init", "good.root", "bad.root")
    assert done.code == 2
    assert "bad.root" in done.stderr
    assert expected in done.stderr
    assert not Path("config.yaml").exists()


def test_an_ntuple_without_leptons_is_refused(h4l: CommandLine, ntuples: ModuleType) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(5, seed=1))
    drop = [name for name in columns if "Electron" in name or "Muon" in name]
    ntuples.write_nano(h4l.folder / "empty.root", ntuples.make_events(5, seed=1), drop=drop)
    done = h4l("init", "empty.root")
    assert done.code == 2
    assert "no known format: no columns of four leptons and no lists of leptons" in done.stderr


def test_weight_variations_are_offered(h4l: CommandLine, ntuples: ModuleType) -> None:
    scale: FloatArray = np.random.default_rng(1).uniform(0.9, 1.1, (20, 2))
    ntuples.write_nano(h4l.folder / "a.root", ntuples.make_events(20, seed=1), LHEScaleWeight=ak.from_regular(scale.astype(np.float32)))
    assert h4l("init", "a.root").code == 0
    text = Path("config.yaml").read_text()
    start = text.index("# systematics:")
    offered = "".join(line.removeprefix("# ") + "\n" for line in text[start:].split("\n\n")[0].splitlines())
    (section,) = yaml.safe_load(offered)["systematics"]["weights"].values()
    assert section == {"kind": "pair", "vector": "LHEScaleWeight", "up": 0, "down": 1, "samples": ["a"]}


@pytest.mark.parametrize(
    ("pattern", "names", "entries"),
    [
        ("atlas_open_data/data_*.4lep.root", ["data"], 832),
        ("cms_open_data/*.csv", ["data"], 278),
        ("nanoaod/nano_dimuon.root", ["data"], 40),
        ("vbfzz4ljj/EW_SBI.root", ["EW_SBI"], 150000),
    ],
)
def test_files_of_other_people(h4l: CommandLine, shared_data: Callable[[str], Path], pattern: str, names: list[str], entries: int) -> None:
    folder, _, name = pattern.partition("/")
    files = sorted(str(path) for path in shared_data(folder).glob(name))
    document = json.loads(h4l("init", *files, "--json", "--quiet").stdout)
    assert document["valid"] is True
    assert [sample["name"] for sample in document["samples"]] == names
    assert sum(sample["entries"] for sample in document["samples"]) == entries
    assert document["measures"] == (names == ["EW_SBI"])
    assert h4l("validate", "config.yaml").code == 0


@pytest.mark.parametrize("name", ["Weight", "weight_nominal", "weight_SM", "mcEventWeights"])
def test_which_column_is_the_weight_is_asked(h4l: CommandLine, ntuples: ModuleType, name: str) -> None:
    events, weight = ntuples.make_events(20, seed=3), np.linspace(0.1, 2.0, 20)
    values = ak.from_regular(np.stack([weight, 2 * weight], axis=1)) if name == "mcEventWeights" else weight
    path = ntuples.write_nano(h4l.folder / "mc.root", events, benchmarks=False, drop=["genWeight"], **{name: values})
    asked = h4l("init", str(path), "--out", str(h4l.folder / "a.yaml"))
    assert asked.code == 2
    assert name in asked.stderr
    assert "--weight" in asked.stderr
    assert not (h4l.folder / "a.yaml").exists()
    shown = h4l("inspect", str(path)).stdout
    assert f"which branch is the weight? {name}" in " ".join(shown.split())
    assert "kind: data" not in shown
    h4l("init", str(path), "--out", str(h4l.folder / "b.yaml"), "--weight", "none")
    assert load_config(h4l.folder / "b.yaml").samples[0].kind == "data"
    if name != "mcEventWeights":
        h4l("init", str(path), "--out", str(h4l.folder / "c.yaml"), "--weight", name)
        sample = load_config(h4l.folder / "c.yaml").samples[0]
        assert (sample.kind, getattr(sample.layout, "gen_weight", None)) == ("simulation", name)


def test_a_weight_in_a_friend_tree_is_asked_for(h4l: CommandLine, ntuples: ModuleType) -> None:
    events = ntuples.make_events(20, seed=4)
    columns = {k: v for k, v in ntuples.nano_columns(events, benchmarks=False).items() if k != "genWeight"}
    path = h4l.folder / "mc.root"
    with uproot.recreate(path) as file:
        for tree, content in {"Events": columns, "friend": {"w_total": np.ones(20), "weight": np.linspace(0, 1, 20)}}.items():
            file.mktree(tree, {k: v.type.content if isinstance(v, ak.Array) else v.dtype for k, v in content.items()}).extend(content)
    asked = h4l("init", str(path), "--out", str(h4l.folder / "a.yaml"))
    assert asked.code == 2
    assert "friend/weight" in asked.stderr
    assert "written into the event tree" in " ".join(asked.stderr.split())


def test_a_weight_vector_that_is_not_used_is_named(h4l: CommandLine, ntuples: ModuleType) -> None:
    vector = ak.from_regular(np.random.default_rng(1).uniform(0.5, 2, (20, 5)))
    path = ntuples.write_nano(h4l.folder / "mc.root", ntuples.make_events(20, seed=5), benchmarks=False, GenWeights=vector)
    h4l("init", str(path), "--out", str(h4l.folder / "a.yaml"))
    assert "# The config does not use the weight vector GenWeights (5 entries)." in (h4l.folder / "a.yaml").read_text()

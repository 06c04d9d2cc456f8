"""Wrong input through the whole command line: exit code 2, one readable message, no traceback, nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
import yaml

from toolkit.cli import main


@dataclass
class Analysis:
    """A small analysis on disk; a test damages one thing and runs it."""

    folder: Path
    ntuples: ModuleType
    capsys: pytest.CaptureFixture[str]

    @property
    def signal(self) -> Path:
        return self.folder / "signal.root"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write_signal(self, **options: Any) -> None:
        self.ntuples.write_nano(self.signal, self.events(), **options)

    def events(self) -> list[Any]:
        return list(self.ntuples.make_events(40, seed=1))

    def spoilt_weights(self, value: float) -> Any:
        weights = np.array([event.gen_weight for event in self.events()], dtype=np.float32)
        weights[3] = value
        return weights

    def write_config(self, **changes: Any) -> Path:
        sample = {"name": "ggF_SBI", "files": ["signal.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
        other = {"name": "qqZZ", "files": ["qqZZ.root"]}
        loose = {"m_z1": [1.0, 200.0], "m_z2": [1.0, 200.0], "m4l": [1.0, 5000.0], "n_leptons_exact": False}
        path = self.folder / "analysis.yaml"
        document = {"luminosity_ifb": 140.0, "samples": [sample, other], "selection": loose} | changes
        path.write_text(yaml.safe_dump(document))
        return path

    def fails(self, *expected: str, command: str = "process", words: tuple[str, ...] = (), **changes: Any) -> None:
        """Run, and check that the message says what is expected and that nothing was left behind."""
        config = self.write_config(**changes)
        before = {path.relative_to(self.folder) for path in self.folder.rglob("*")}
        where = () if command == "validate" else ("--out", str(self.out))
        with pytest.raises(SystemExit) as stop:
            main([command, str(config), *where, *words])
        message = self.capsys.readouterr().err
        assert stop.value.code == 2, message
        assert "Traceback" not in message
        for word in expected:
            assert word in message
        assert {path.relative_to(self.folder) for path in self.folder.rglob("*")} == before


@pytest.fixture
def analysis(tmp_path: Path, ntuples: ModuleType, capsys: pytest.CaptureFixture[str]) -> Analysis:
    made = Analysis(tmp_path, ntuples, capsys)
    made.write_signal()
    ntuples.write_nano(tmp_path / "qqZZ.root", ntuples.make_events(40, seed=2, first=1000), benchmarks=False)
    return made


def test_the_undamaged_analysis_runs(analysis: Analysis) -> None:
    config = analysis.write_config()
    for command in (["validate", str(config)], ["process", str(config), "--out", str(analysis.out)]):
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert stop.value.code in (0, None), analysis.capsys.readouterr().err
    assert (analysis.out / "events" / "index.json").is_file()
    assert "qqZZ" in analysis.capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "validate", "process"])
def test_missing_file(analysis: Analysis, command: str) -> None:
    analysis.signal.unlink()
    analysis.fails("signal.root", "remedy", command=command)


def test_file_that_is_not_root(analysis: Analysis) -> None:
    analysis.signal.write_text("<html>not found</html>")
    analysis.fails("signal.root", "ROOT")


def test_truncated_file(analysis: Analysis) -> None:
    content = analysis.signal.read_bytes()
    analysis.signal.write_bytes(content[: len(content) // 2])
    analysis.fails("signal.root", "truncated")


def test_missing_tree(analysis: Analysis) -> None:
    analysis.write_signal(tree="Event")
    analysis.fails("Events", "Event", "signal.root")


def test_missing_branch_names_the_nearest(analysis: Analysis) -> None:
    columns = analysis.ntuples.nano_columns(analysis.events())
    analysis.write_signal(drop=("genWeight",), genWeigth=columns["genWeight"])
    analysis.fails("genWeight", "genWeigth")


def test_benchmark_vector_of_another_length(analysis: Analysis) -> None:
    sample = {"name": "ggF_SBI", "files": ["signal.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI", "ggF_X"]}
    analysis.fails("LHEReweightingWeight", "3", "4", samples=[sample, {"name": "qqZZ", "files": ["qqZZ.root"]}])


def test_weights_under_benchmarks_that_do_not_determine_the_process(analysis: Analysis) -> None:
    points = {"ggF_S": [1, 0], "ggF_SBI": [1, 1], "ggF_B": [2, 0]}  # twice the signal amplitude: nothing tells the background
    analysis.fails(
        "benchmarks of process 'ggF'",
        "undetermined",
        "B",
        "expected",
        command="validate",
        parameters={"mu": {}},
        processes={"ggF": {"amplitudes": {"S": "sqrt(mu)", "B": 1}, "benchmarks": points}, "qqZZ": {}},
        samples=[
            {"name": "ggF_SBI", "process": "ggF", "files": ["signal.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]},
            {"name": "qqZZ", "files": ["qqZZ.root"]},
        ],
    )


def test_nan_weight(analysis: Analysis) -> None:
    analysis.write_signal(genWeight=analysis.spoilt_weights(np.nan))
    analysis.fails("nan", "signal.root", "entry 3")


def test_momenta_in_mev_that_are_read_as_gev(analysis: Analysis) -> None:
    analysis.ntuples.write_flat(analysis.signal, analysis.events(), scale=1000.0)
    layout = {"kind": "flat", "n_leptons": 5, "n_jets": 6}
    sample = {"name": "other", "files": ["signal.root"], "layout": layout, "xsec_pb": 1.0, "gen_sumw": "sum"}
    analysis.fails("momentum unit", "signal.root", "momentum_unit: MeV", samples=[sample])
    layout["momentum_unit"] = "MeV"
    config = analysis.write_config(samples=[sample])
    with pytest.raises(SystemExit) as stop:
        main(["process", str(config), "--out", str(analysis.out)])
    assert stop.value.code in (0, None), analysis.capsys.readouterr().err


def test_a_total_charge_that_is_never_zero(analysis: Analysis) -> None:
    columns = analysis.ntuples.nano_columns(analysis.events())
    same = {kind: ak.with_field(columns[kind], abs(columns[kind].charge), "charge") for kind in ("Electron", "Muon")}
    analysis.write_signal(**same)
    analysis.fails("total charge", "sample ggF_SBI", "sign of the charge")


def test_a_sum_of_weights_below_zero(analysis: Analysis) -> None:
    analysis.write_signal(genWeight=np.full(40, -1.0, dtype=np.float32))
    sample = {"name": "ggF_SBI", "files": ["signal.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"], "gen_sumw": "sum"}
    analysis.fails("sum of generator weights", "-40", "positive", samples=[sample])


def test_a_config_without_interference_can_only_be_processed(analysis: Analysis) -> None:
    analysis.fails("none that lists benchmarks", "h4l process", command="run", samples=[{"name": "qqZZ", "files": ["qqZZ.root"]}])


def test_zero_selected_events(analysis: Analysis) -> None:
    analysis.fails("zero", "cut flow", selection={"m4l": [4000.0, 5000.0]})


def test_unknown_key(analysis: Analysis) -> None:
    analysis.fails("lumi_ifb: unknown key", lumi_ifb=3.0)


def test_unknown_observable(analysis: Analysis) -> None:
    analysis.fails("m4ll", "m4l", ratios={"features": ["m4ll"]})


def test_range_that_excludes_the_truth(analysis: Analysis) -> None:
    analysis.fails("excludes the Asimov truth", parameter={"range": [2.0, 6.0]}, likelihood={"closure_mu": [3.0]})


def test_output_folder_below_a_file(analysis: Analysis) -> None:
    (analysis.folder / "taken").write_text("")
    analysis.fails("cannot write", "taken", words=("--out", str(analysis.folder / "taken" / "out")))


def test_dask_without_dask(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    analysis.fails("pip install 'h4l-toolkit[dask]'", words=("--executor", "dask"))


def test_disk_that_fills_up(analysis: Analysis) -> None:
    """The limit on file sizes makes the kernel refuse to write, as a full disk does."""
    config = analysis.write_config()
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        f"from toolkit.cli import main; main(['process', {str(config)!r}, '--out', {str(analysis.out)!r}])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage could not write its data
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2, done.stderr
    assert "free disk space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (analysis.out / "events").exists()
    assert not (analysis.out / "manifest.json").exists()


def test_input_that_turns_bad_keeps_the_former_result(analysis: Analysis) -> None:
    config = analysis.write_config()
    with pytest.raises(SystemExit):
        main(["process", str(config), "--out", str(analysis.out)])
    former = {path: path.read_bytes() for path in (analysis.out / "events").rglob("*.parquet")}
    assert former
    analysis.write_signal(genWeight=analysis.spoilt_weights(np.inf))
    with pytest.raises(SystemExit) as stop:
        main(["process", str(config), "--out", str(analysis.out)])
    assert stop.value.code == 2
    assert {path: path.read_bytes() for path in (analysis.out / "events").rglob("*.parquet")} == former

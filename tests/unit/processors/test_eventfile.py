"""Text formats: what is read, and what is said about a file that cannot be read."""

from __future__ import annotations

import gzip
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from processors.eventfile import format_of, open_events
from processors.inspect import inspect_file
from toolkit.errors import ArtifactMismatchError, InputFileError, MissingExtraError, SchemaError


def _csv(folder: Path, text: str) -> Path:
    path = folder / "a.csv"
    path.write_text(text)
    return path


def test_formats_are_told_by_name() -> None:
    assert [format_of(Path(n)) for n in ("a.root", "b.csv", "c.CSV.gz", "d.lhe", "e.lhe.gz")] == ["root", "csv", "csv", "lhe", "lhe"]


def test_csv_columns_of_a_range_with_an_empty_cell(tmp_path: Path) -> None:
    path = _csv(tmp_path, "n, x\n1,0.5\n2,\n3,2.5\n")
    with open_events(path, "") as events:
        assert (events.entries, dict(events.types)) == (3, {"n": "int64", "x": "double"})
        found = events.arrays(["x", "n"], 1, 3)
        np.testing.assert_array_equal(np.asarray(found["x"]), [np.nan, 2.5])
        assert found["n"].tolist() == [2, 3]
        assert len(events.arrays(["n"], 3, 3)["n"]) == 0


def test_compressed_csv(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("n\n1\n2\n")
    with open_events(tmp_path / "a.csv.gz", "") as events:
        assert events.arrays(["n"], 0, 2)["n"].tolist() == [1, 2]


def test_csv_content_makes_its_identity(tmp_path: Path) -> None:
    uuids = []
    for text in ("n\n1\n", "n\n1\n", "n\n2\n"):
        with open_events(_csv(tmp_path, text), "") as events:
            uuids.append(events.uuid)
    assert uuids[0] == uuids[1] != uuids[2]
    assert len(uuids[0]) == 16


def test_csv_lines_of_another_length_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InputFileError, match=r"(?s)a\.csv.*2 columns.*as many numbers"),
        open_events(_csv(tmp_path, "a,b\n1,2\n3\n"), "") as f,
    ):
        f.arrays(["a"], 0, 2)
    with pytest.raises(InputFileError, match=r"a\.csv"), open_events(_csv(tmp_path, ""), ""):
        pass


def test_csv_cells_with_text_are_refused(tmp_path: Path) -> None:
    with open_events(_csv(tmp_path, "a,b\n1,12 GeV\n"), "") as events, pytest.raises(SchemaError, match=r"(?s)column 'b'.*12 GeV.*numbers"):
        events.arrays(["b"], 0, 1)


def test_csv_columns_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"columns \['a'\] twice"), open_events(_csv(tmp_path, "a,a \n1,2\n"), ""):
        pass


def test_csv_with_too_many_columns_is_refused_at_once(tmp_path: Path) -> None:
    heads = (",".join(["a"] * 200_000), ",".join(f"c{i}" for i in range(100_000)), ",".join(f"column{i}" for i in range(400_000)))
    for head in heads:
        path = tmp_path / "a.csv.gz"
        path.write_bytes(gzip.compress(f"{head}\n".encode()))
        began = time.process_time()
        with pytest.raises(SchemaError, match=r"columns or more\n  expected: at most 10000"), open_events(path, ""):
            pass
        assert time.process_time() - began < 5.0


def test_csv_with_many_columns_twice_names_few(tmp_path: Path) -> None:
    path = _csv(tmp_path, ",".join(f"c{i % 4000}" for i in range(8000)) + "\n")
    with pytest.raises(SchemaError, match="and others twice"), open_events(path, ""):
        pass


def test_csv_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("m4l,événement\n1.0,2\n".encode("latin-1"))
    with pytest.raises(InputFileError, match=r"(?s)a\.csv.*no UTF-8.*iconv"), open_events(tmp_path / "a.csv", ""):
        pass


def test_csv_event_numbers_beyond_a_double_stay_exact(tmp_path: Path) -> None:
    numbers = [2**53 + 1, 2**62 + 3]
    with open_events(_csv(tmp_path, "event\n" + "\n".join(map(str, numbers))), "") as events:
        assert events.arrays(["event"], 0, 2)["event"].tolist() == numbers


def test_csv_whole_numbers_beyond_a_double_beside_empty_cells_are_refused(tmp_path: Path) -> None:
    with (
        open_events(_csv(tmp_path, f"event,x\n{2**53 + 1},1\n,2\n"), "") as events,
        pytest.raises(SchemaError, match=r"(?s)'event'.*empty cells.*fill"),
    ):
        events.arrays(["event"], 0, 2)


def test_lhe_particles_weights_and_cross_section(tmp_path: Path, ntuples: ModuleType) -> None:
    made = ntuples.make_events(10, seed=1)
    path = ntuples.write_lhe(tmp_path / "a.lhe", made)
    with open_events(path, "") as events:
        assert events.entries == 10
        assert events.weight_names("reweighting") == ntuples.BENCHMARKS
        found = events.arrays(["XWGTUP", "ggF_B", "reweighting", "particle_pdg_id"], 4, 9)
        assert found["XWGTUP"].tolist() == [e.gen_weight for e in made[4:9]]
        expected = [[e.gen_weight * r for r in e.ratios] for e in made[4:9]]
        np.testing.assert_allclose(found["reweighting"].tolist(), expected, rtol=1e-12)
        np.testing.assert_allclose(found["ggF_B"].tolist(), [row[1] for row in expected], rtol=1e-12)
        assert found["particle_pdg_id"].tolist()[0][2:] == [p.pdg_id for p in made[4].leptons] + [21] * len(made[4].jets)
        stated = events.constants("init", "XSECUP")
        assert stated is not None
        assert stated.tolist() == [ntuples.XSEC_FB * 1e-3]


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_a_truncated_lhe_file_is_refused(tmp_path: Path, ntuples: ModuleType, kept: float) -> None:
    path = ntuples.write_lhe(tmp_path / "a.lhe", ntuples.make_events(10, seed=1))
    path.write_text(path.read_text()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputFileError, match=r"(?s)a\.lhe.*whole events.*again"):
        inspect_file(path)


@pytest.mark.parametrize("announced", [0, 3, 99])
def test_an_event_with_another_number_of_particles_is_refused(tmp_path: Path, ntuples: ModuleType, announced: int) -> None:
    path = ntuples.write_lhe(tmp_path / "a.lhe", ntuples.make_events(3, seed=1))
    lines = path.read_text().splitlines()
    first = lines.index("<event>", lines.index("<event>") + 1) + 1
    lines[first] = f"{announced} " + lines[first].strip().split(None, 1)[1]
    path.write_text("\n".join(lines))
    with (
        open_events(path, "") as events,
        pytest.raises(InputFileError, match=rf"(?s)event 1 of .*a\.lhe.*expected: {announced}, the number of particles \(NUP\)"),
    ):
        events.arrays(["XWGTUP"], 0, 3)


def test_an_event_without_an_announced_weight_is_refused(tmp_path: Path, ntuples: ModuleType) -> None:
    path = ntuples.write_lhe(tmp_path / "a.lhe", ntuples.make_events(3, seed=1))
    before, line, after = path.read_text().rpartition("<wgt id='ggF_B'>")
    path.write_text(before + line.replace("ggF_B", "other") + after)
    with open_events(path, "") as events, pytest.raises(ArtifactMismatchError, match=r"(?s)event 2 of .*a\.lhe.*'ggF_B', which the head"):
        events.arrays(["ggF_B"], 0, 3)


def test_without_pylhe_the_extra_is_named(tmp_path: Path, ntuples: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ntuples.write_lhe(tmp_path / "a.lhe", ntuples.make_events(3, seed=1))
    monkeypatch.setitem(sys.modules, "pylhe", None)
    with pytest.raises(MissingExtraError, match=r"(?s)LHE files.*pip install 'h4l-toolkit\[lhe\]'"):
        inspect_file(path)


@pytest.mark.parametrize("name", ["none.csv", "none.lhe", "none.root"])
def test_a_missing_file_is_an_input_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputFileError, match=name):
        inspect_file(tmp_path / name)

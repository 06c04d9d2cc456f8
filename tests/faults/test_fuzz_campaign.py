"""A part of the campaign of `python -m benchmarks.fuzz`: damaged files end in a result or a message, in time, never in other numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import Tally, campaign, damaged
from benchmarks.fuzz_readers import READERS, Reader

INPUTS = 400
SECONDS = 2.0
"""CPU time per reader; the benchmark reads 10^4 files."""


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name: str, tmp_path: Path) -> None:
    tally = campaign(name, range(INPUTS), folder=tmp_path, seed=5, until_s=SECONDS)
    assert (tally.defects, tally.silent, tally.slow) == (0, 0, 0), tally.examples
    assert tally.inputs > 20
    assert tally.refused > tally.inputs / 3


@pytest.mark.parametrize("name", READERS)
def test_an_input_is_the_same_for_the_same_seed_and_differs_from_the_sound_file(name: str, tmp_path: Path) -> None:
    content = READERS[name].make(tmp_path).read_bytes()
    inputs = [damaged(READERS[name], content, (1, k)) for k in range(20)]
    assert inputs == [damaged(READERS[name], content, (1, k)) for k in range(20)]
    assert content not in inputs
    assert len(set(inputs)) > 15


def test_a_campaign_counts_what_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader with every fault: it fails on some files, reads the others as they are, and nothing protects them."""

    def make(folder: Path) -> Path:
        (folder / "a").write_bytes(bytes(range(200)))
        return folder / "a"

    def read(path: Path) -> bytes:
        content = path.read_bytes()
        if len(content) > 200:
            raise ZeroDivisionError
        return content

    monkeypatch.setitem(READERS, "faulty", Reader("", make, read, inside=True))
    found = campaign("faulty", range(100), folder=tmp_path)
    sizes = [len(damaged(READERS["faulty"], bytes(range(200)), (1, k))) for k in range(100)]
    assert found.defects == int(np.sum(np.array(sizes) > 200)) > 0
    assert found.silent == 100 - found.defects
    assert "ZeroDivisionError" in found.examples[0]
    total = Tally()
    total.add(found)
    total.add(found)
    assert (total.inputs, total.defects, len(total.examples)) == (200, 2 * found.defects, 5)

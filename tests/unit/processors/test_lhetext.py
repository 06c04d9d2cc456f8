"""Les Houches files that are not quite XML give the events of those that are."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import awkward as ak
import numpy as np
import pytest

from processors.formats.lhe import PARTICLES, WEIGHT
from processors.lhefile import LheEvents
from toolkit.errors import InputFileError

N = 8
Change = Callable[[str], str]


def _fortran(text: str) -> str:
    return text.replace(" 0. 9.", " 0.D0 9.D+00").replace(" </wgt>", "D0 </wgt>")


CHANGES: dict[str, Change] = {
    "run card": lambda text: text.replace("<header>", "<header>\ncut = mu < 1 && pt > 5 <= 3\n<MGRunCard>\n a -- b & c\n"),
    "comment": lambda text: text.replace("<header>", "<!-- run card -- of & many < lines\n-- more\n-->\n<header>"),
    "fortran": _fortran,
    "no last tag": lambda text: text.replace("</LesHouchesEvents>\n", ""),
    "name of a weight": lambda text: text.replace("> ggF_S <", "> mu < 1 & s <"),
    "windows": lambda text: text.replace("\n", "\r\n"),
}


@pytest.fixture
def plain(tmp_path: Path, ntuples: ModuleType) -> Path:
    path: Path = ntuples.write_lhe(tmp_path / "plain.lhe", ntuples.make_events(N, seed=2))
    return path


@pytest.mark.parametrize("name", CHANGES)
def test_the_events_are_those_of_the_clean_file(name: str, plain: Path, tmp_path: Path) -> None:
    clean, changed = LheEvents(plain), tmp_path / "changed.lhe"
    changed.write_text(CHANGES[name](plain.read_text()), newline="")
    assert changed.read_bytes() != plain.read_bytes()
    other = LheEvents(changed)
    assert (other.entries, other.cross_section, other.groups) == (N, clean.cross_section, clean.groups)
    names = [WEIGHT, "ggF_S", *PARTICLES]
    one, two = clean.arrays(names, 0, N), other.arrays(names, 0, N)
    for column in names:
        np.testing.assert_array_equal(ak.flatten(one[column], axis=None), ak.flatten(two[column], axis=None))


def test_fortran_exponents_are_numbers(plain: Path, tmp_path: Path) -> None:
    text = plain.read_text()
    first = text.index("<event>")
    line = text[first:].splitlines()[1].split()
    path = tmp_path / "d.lhe"
    path.write_text(text[:first] + text[first:].replace(f" {line[2]} ", " 2.5D-1 ", 1))
    assert LheEvents(path).arrays([WEIGHT], 0, 1)[WEIGHT][0] == 0.25


def test_an_unfinished_event_is_refused_with_its_line(plain: Path, tmp_path: Path) -> None:
    text = plain.read_text()
    path = tmp_path / "cut.lhe.gz"
    cut = text[: text.rindex("</event>")]
    path.write_bytes(gzip.compress(cut.encode()))
    begins = cut[: cut.rindex("<event>")].count("\n") + 1
    with pytest.raises(InputFileError, match=rf"the event that begins in line {begins} has no end"):
        _ = LheEvents(path).entries


def test_an_error_names_the_line_of_the_file(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.lhe"
    path.write_text(plain.read_text().replace("<event>", "<event>\n</wrong>", 1))
    line = path.read_text().split("</wrong>")[0].count("\n") + 1
    with pytest.raises(InputFileError, match=f"line {line}"):
        LheEvents(path).arrays([WEIGHT], 0, N)

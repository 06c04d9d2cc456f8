"""ROOT files that are damaged, or hold more than numbers: one message with file, object and remedy, or a look past it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from processors.eventfile import open_events
from processors.grouping import read_ntuples
from processors.inspect import inspect_file
from processors.rootfile import decoding
from toolkit.errors import InputFileError, SchemaError, ToolkitError

MUTANTS = 30


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tests import ntuples

    path = ntuples.write_nano(tmp_path_factory.mktemp("root") / "a.root", ntuples.make_events(40, seed=1))
    return path.read_bytes()


def _types(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: values.dtype if isinstance(values, np.ndarray) else values.type.content for name, values in columns.items()}


def _look(path: Path) -> None:
    inspect_file(path)
    with open_events(path, "Events") as events:
        _ = events.uuid
        events.arrays(list(events.types), 0, events.entries)


@pytest.mark.parametrize("size", [1, 4, 300])
def test_a_damaged_file_is_read_or_refused_with_a_message(content: bytes, size: int, tmp_path: Path) -> None:
    """Bytes overwritten anywhere: nothing but our own errors, and each of them says where and what to do."""
    rng = np.random.default_rng(size)
    path = tmp_path / "a.root"
    refused = 0
    for _ in range(MUTANTS):
        changed = bytearray(content)
        at = int(rng.integers(4, len(content) - size))
        changed[at : at + size] = rng.bytes(size)
        path.write_bytes(changed)
        try:
            _look(path)
        except ToolkitError as error:
            refused += 1
            assert error.remedy  # noqa: PT017
            assert "a.root" in str(error)  # noqa: PT017
    assert refused > MUTANTS / 10


def test_a_damaged_basket_is_called_damaged(ntuples: ModuleType, tmp_path: Path) -> None:
    columns = ntuples.nano_columns(ntuples.make_events(400, seed=2))
    rounded = ak.values_astype(np.round(columns["Electron"]["pt"]), np.float32)  # what does not compress has no checksum in ROOT
    columns["Electron"] = ak.with_field(columns["Electron"], rounded, "pt")
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=uproot.LZ4(4)) as file:
        file.mktree("Events", _types(columns)).extend(columns)
    content = bytearray(path.read_bytes())
    with uproot.open(path) as file:
        key = file["Events"]["Electron_pt"].basket_key(0)
    middle = key.fSeekKey + key.fNbytes // 2
    content[middle : middle + 100] = bytes(100)
    path.write_bytes(content)
    for look in (inspect_file, lambda p: read_ntuples([p])):
        with pytest.raises(InputFileError, match=r"(?s)a\.root.*damaged file: branch 'Electron_pt', entries 0 to .* of tree 'Events'"):
            look(path)


def test_branches_of_texts_are_looked_past(ntuples: ModuleType, tmp_path: Path) -> None:
    events = ntuples.make_events(20, seed=3)
    columns = {**ntuples.nano_columns(events), "LHE_weight_names": ak.Array([["muR", "muF"]] * 20)}
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", _types(columns)).extend(columns)
    report = inspect_file(path)
    assert report.layout == "nanoaod"
    (tree,) = report.trees
    assert "LHE_weight_names" in tree.branches
    assert "LHE_weight_names" not in tree.weight_lengths


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (uproot.interpretation.identify.UnknownInterpretation("odd", "a.root", "t/x"), SchemaError, "a type that cannot be read"),
        (NotImplementedError("streamer"), SchemaError, "leave the branch out"),
        (MemoryError("8 EiB"), InputFileError, "damaged file: branch 'x' cannot be read .MemoryError: 8 EiB"),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates"), InputFileError, "copy or produce the file again"),
    ],
)
def test_damage_and_types_that_cannot_be_read_are_told_apart(error: Exception, kind: type[ToolkitError], words: str) -> None:
    with pytest.raises(kind, match=words), decoding("a.root", "branch 'x'"):
        raise error

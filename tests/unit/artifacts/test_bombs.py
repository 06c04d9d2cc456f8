"""Small archives that would fill memory, disk or time are refused within 10 s and 500 MB."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from toolkit.artifacts.archive import INDEX, extract_archive, write_archive
from toolkit.artifacts.unpacking import HEADER_BYTES
from toolkit.errors import InputFileError, SchemaError

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured as Linux does")
GIGABYTE = 1 << 30
MEASURED = """
import resource, sys
from toolkit.artifacts.archive import extract_archive
from toolkit.errors import ToolkitError
try:
    extract_archive(sys.argv[1], sys.argv[2])
except ToolkitError as error:
    print(type(error).__name__, *str(error).splitlines(), sep="|")
used = resource.getrusage(resource.RUSAGE_SELF)
highest = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss counts what stood there before exec
print(int(highest.split()[1]) / 1024, used.ru_utime + used.ru_stime)
"""


def _header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.USTAR_FORMAT)


def _repeated(first: bytes, block: bytes, times: int) -> Iterator[bytes]:
    """Compress a beginning, and a block once that stands there many times: gzip reads joined streams as one."""
    yield gzip.compress(first)
    packed = gzip.compress(block)
    yield from (packed for _ in range(times))


def _zeros(kind: bytes, name: str = INDEX) -> Iterator[bytes]:
    return _repeated(_header(name, 2 * GIGABYTE, kind), bytes(1 << 24), 128)


def _members() -> Iterator[bytes]:
    blocks = [b"".join(_header(f"{k}/{i}", 0) for i in range(1000)) for k in range(100)]
    yield from (gzip.compress(block) for block in blocks)


def _pax(record: bytes, n: int = 1) -> bytes:
    text = b"%d %s\n" % (len(record) + 1 + len(str(len(record) + 4)), record)
    return (_header("x", len(text), tarfile.XHDTYPE) + text + bytes(-len(text) % 512)) * n


def _sparse() -> Iterator[bytes]:
    record = _pax(b"GNU.sparse.major=1") + _pax(b"GNU.sparse.minor=0") + _pax(b"GNU.sparse.name=a")
    return _repeated(record + _header("a", GIGABYTE) + b"100000000\n", b"0\n" * (1 << 23), 32)


def _index(text: bytes) -> Iterator[bytes]:
    yield gzip.compress(_header(INDEX, len(text)) + text + bytes(-len(text) % 512 + 1024))


BOMBS: dict[str, tuple[Callable[[], Iterator[bytes]], str]] = {
    "content": (lambda: _zeros(tarfile.REGTYPE), "together at most 100 times the archive"),
    "other": (lambda: _zeros(tarfile.REGTYPE, "events.parquet"), "together at most 100 times the archive"),
    "pax": (lambda: _zeros(tarfile.XHDTYPE), f"at most {HEADER_BYTES} are allowed"),
    "global": (lambda: _zeros(tarfile.XGLTYPE), f"at most {HEADER_BYTES} are allowed"),
    "name": (lambda: _zeros(tarfile.GNUTYPE_LONGNAME), f"at most {HEADER_BYTES} are allowed"),
    "link": (lambda: _zeros(tarfile.GNUTYPE_LONGLINK), f"at most {HEADER_BYTES} are allowed"),
    "chain": (lambda: _repeated(b"", _pax(b"a=b", 1000), 1000), f"at most {HEADER_BYTES} are allowed"),
    "sparse": (_sparse, "bundle"),
    "members": (_members, "regular files, each once, at most 10000"),
    "deep": (lambda: _index(b"[" * 4_000_000), "of another form"),
    "wide": (lambda: _index(b"[" + b"[]," * 4_000_000 + b"0]"), "of another form"),
    "long": (lambda: _index(b" " * (13 << 20)), "JSON documents of at most 12582912 bytes"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_time_and_memory(name: str, tmp_path: Path) -> None:
    make, message = BOMBS[name]
    path = tmp_path / "bomb.tar.gz"
    with path.open("wb") as out:
        out.writelines(make())
    words = [sys.executable, "-c", MEASURED, str(path), str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    said, measured = done.stdout.splitlines()
    megabytes, seconds = map(float, measured.split())
    assert message in said
    assert said.startswith(("InputFileError", "SchemaError"))
    assert megabytes < 500
    assert seconds < 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bomb.tar.gz"]


def test_a_large_file_needs_no_memory(tmp_path: Path) -> None:
    content = np.random.default_rng(1).bytes(1 << 24)
    path = tmp_path / "a.tar.gz"
    write_archive(path, {f"events/{k}.parquet": content for k in range(12)}, description={})
    done = subprocess.run([sys.executable, "-c", MEASURED, str(path), str(tmp_path / "out")], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[0]) < 150
    assert (tmp_path / "out" / "events" / "11.parquet").read_bytes() == content


@pytest.mark.parametrize(
    "entry",
    [1, {}, *({"path": "a", "size": 1, "sha256": "x"} | odd for odd in ({"path": ["a"]}, {"size": "1"}, {"sha256": None}))],
)
def test_an_index_with_odd_entries_is_refused(tmp_path: Path, entry: object) -> None:
    path = tmp_path / "a.tar.gz"
    text = json.dumps({"format": "h4l-bundle", "schema": 1, "files": [entry]}).encode()
    path.write_bytes(b"".join(_index(text)))
    with pytest.raises(SchemaError, match="of another form"):
        extract_archive(path, tmp_path / "out")


def test_no_archive_is_written_that_could_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="could not be opened again"):
        write_archive(tmp_path / "a.tar.gz", {"zeros": bytes(1 << 25)}, description={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("bundle.json/a",)])
def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises((InputFileError, SchemaError)):
        extract_archive(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()

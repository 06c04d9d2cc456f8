"""Read gzipped tar archives piece by piece, within limits that hold before anything is believed.

A small archive can expand to more than any memory or disk holds, in the content of a member, in the headers before one, or in their number.
Every byte that comes out of the compression is therefore counted against what may come at that place.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from toolkit.errors import InputFileError

MOST_FILES = 10_000
MOST_BYTES = 8 << 30
LARGEST_RATIO = 100
"""Bytes out per byte of the archive; text of numbers is compressed to a third or a tenth."""
ALWAYS_ALLOWED = 16 << 20
"""Bytes that may come out of an archive however small it is."""
HEADER_BYTES = 64 << 10
"""Bytes of all headers before one member; ours have 512 or 1536."""
PIECE = 64 << 10
REMEDY = "copy or download the bundle again and compare sizes"


def members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield name and content of the files of an archive, in their order; read the pieces of one before the next is asked for.

    Args:
        path: The archive, .tar.gz.

    Yields:
        The name as it stands in the archive, not yet checked; and the content in pieces of at most 64 KiB.

    Raises:
        InputFileError: The archive is missing, truncated or damaged, holds something else than files, a file twice, or more than
            the limits allow.
    """
    seen: set[str] = set()
    with _explained(path):
        most = most_bytes(path.stat().st_size)
        raw = path.open("rb")
    with raw:
        source = _Source(raw)
        with _explained(path):
            tar = tarfile.open(fileobj=source, mode="r:")  # noqa: SIM115 - it owns nothing
        while True:
            source.allowed = HEADER_BYTES
            with _explained(path):
                member = tar.next()
            if member is None:
                with _explained(path):
                    source.finish()
                return
            most -= member.size
            if not member.isreg() or member.issparse() or member.name in seen or len(seen) >= MOST_FILES or most < 0:
                expected = f"regular files, each once, at most {MOST_FILES}, together at most {LARGEST_RATIO} times the archive"
                got = f"type {member.type!r}, {member.size} bytes, file {len(seen) + 1}"
                raise InputFileError(f"{member.name} of the bundle {path}", got=got, expected=expected, remedy=REMEDY)
            seen.add(member.name)
            yield member.name, _content(source, member, path)


def most_bytes(size: int) -> int:
    """Return how many bytes may come out of an archive of a size.

    Examples:
        >>> most_bytes(0), most_bytes(1_000_000)
        (16777216, 100000000)
    """
    return min(MOST_BYTES, max(ALWAYS_ALLOWED, LARGEST_RATIO * size))


def _content(source: _Source, member: tarfile.TarInfo, path: Path) -> Iterator[bytes]:
    with _explained(path):
        source.allowed = member.size + HEADER_BYTES
        source.seek(member.offset_data)
    left = member.size
    while left:
        with _explained(path):
            piece = source.read(min(PIECE, left))
            if not piece:
                msg = f"{member.name} ends {left} bytes early"
                raise EOFError(msg)
        left -= len(piece)
        yield piece


class _Source(io.RawIOBase):
    """The decompressed bytes of a stream; hands out no more than is allowed at the time, and goes forward only.

    Args:
        raw: The compressed stream.
    """

    def __init__(self, raw: io.BufferedReader) -> None:
        self._unpacked = gzip.GzipFile(fileobj=raw)
        self.allowed = HEADER_BYTES

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes."""
        if size is None or not 0 <= size <= self.allowed:
            msg = f"a header of {size} bytes, at most {HEADER_BYTES} are allowed"
            raise tarfile.ReadError(msg)
        self.allowed -= size
        return self._unpacked.read(size)

    def finish(self) -> None:
        """Read what pads the archive, up to the end of the stream: its checksum stands there, and is compared then."""
        self.allowed = HEADER_BYTES + PIECE
        while rest := self.read(min(PIECE, self.allowed)):
            if rest.strip(b"\0") or not self.allowed:
                msg = "content after the end of the archive"
                raise tarfile.ReadError(msg)

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go forward to a position."""
        del whence
        while position > self.tell() and self.read(min(PIECE, position - self.tell())):
            pass
        return self.tell()

    def tell(self) -> int:
        """Return the position."""
        return self._unpacked.tell()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        expected = "a complete .tar.gz written by h4l bundle"
        raise InputFileError(f"bundle {path}", got=got, expected=expected, remedy=REMEDY) from error

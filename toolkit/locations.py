"""Where an input file lies: a path of this machine, or a URL that is read in byte ranges (http, https, root, s3).

`locate` is the one way from the text of a config or a command line to a file. Remote files are opened by fsspec; nothing is copied to a
disk. A request that fails for a reason that may pass is made `ATTEMPTS` times in all; a host that does not answer, a missing file and
a server without byte ranges are errors with a remedy. A copy of `os.environ` in a worker is all that it needs: XRootD reads its own
variables, S3 those of AWS, and `FSSPEC_S3`, `FSSPEC_HTTP`, ... hold further options of fsspec.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

from toolkit.errors import InputFileError, MissingExtraError, SchemaError, ToolkitError

T = TypeVar("T")
ATTEMPTS = 3
"""How often a request is made before its failure is final."""
PAUSE_S = 0.5
"""Seconds before the second attempt; twice that before the third."""
CONNECT_S = 6
"""Seconds that a host has to answer."""
READ_S = 60
"""Seconds in which the next bytes must come."""
BLOCK = 1 << 20
"""Bytes per request of a file that is read from its beginning."""
SCHEMES = {"http": "http", "https": "https", "root": "root", "xroot": "root", "s3": "s3"}
"""Protocol of fsspec for each scheme that is read."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOST_SLASH = re.compile(rf"({'|'.join(SCHEMES)}):/(?!/)", re.IGNORECASE)


@dataclass(frozen=True)
class FileState:
    """What tells, at little cost, one content of a file from another.

    Args:
        size: Bytes.
        version: Time of the last change (ns) of a local file; ETag, Last-Modified or time of change of a remote one, empty where the
            server states none.
    """

    size: int
    version: str


def is_url(text: str) -> bool:
    """Return whether a text is a URL and no path.

    Examples:
        >>> is_url("root://host//store/a.root"), is_url("/store/a.root"), is_url("C:/a.root")
        (True, False, False)
    """
    return _URL.match(text) is not None


def locate(where: str | os.PathLike[str] | RemoteFile) -> Location:
    """Return the file that a text names.

    Args:
        where: A path or a URL.

    Raises:
        SchemaError: A scheme that is not read, or a URL that went through a path and lost a slash.

    Examples:
        >>> str(locate("root://host//store/a.root")), locate("a.root")
        ('root://host//store/a.root', PosixPath('a.root'))
    """
    if isinstance(where, RemoteFile):
        return where
    text = os.fspath(where)
    if is_url(text):
        return RemoteFile(text)
    lost = _LOST_SLASH.match(text)
    if lost and not Path(text).exists():
        raise SchemaError(
            f"location {text}", got="a URL with one slash", expected=f"{lost[1]}://...", remedy="give it as text; a path drops a slash"
        )
    return Path(text)


@dataclass(frozen=True, order=True)
class RemoteFile:
    """A file on a server, with those properties of a path that readers of events use.

    Args:
        url: Its URL.

    Raises:
        SchemaError: A scheme that is not read.
    """

    url: str

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise SchemaError(f"location {self.url}", got=f"scheme {self.scheme}", expected=f"a path, or one of {', '.join(SCHEMES)}")

    def __str__(self) -> str:
        """Return the URL."""
        return self.url

    @property
    def scheme(self) -> str:
        """What stands before ://, in small letters."""
        return self.url.partition("://")[0].lower()

    @property
    def name(self) -> str:
        """Last part of the path, without a query.

        Examples:
            >>> RemoteFile("https://host/a/b.root?token=1").name, RemoteFile("root://host//store/c.root").name
            ('b.root', 'c.root')
        """
        return PurePosixPath(self._path).name

    @property
    def suffix(self) -> str:
        """Last suffix of the name."""
        return PurePosixPath(self.name).suffix

    @property
    def _path(self) -> str:
        return self.url.partition("://")[2].partition("?")[0] if self.scheme == "s3" else urlsplit(self.url).path

    def resolve(self) -> RemoteFile:
        """Return itself: a URL is absolute."""
        return self

    def beside(self, name: str) -> RemoteFile:
        """Return a file of the same folder.

        Examples:
            >>> str(RemoteFile("root://host//store/list.txt").beside("a.root"))
            'root://host//store/a.root'
        """
        return RemoteFile(self.url.partition("?")[0].rpartition("/")[0] + "/" + name)

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open it for reading from the beginning, in blocks of `BLOCK` bytes.

        Raises:
            InputFileError: It is missing, or the host does not answer.
        """
        del mode
        return cast("BinaryIO", io.BufferedReader(_Reader(self, self.state().size), BLOCK))

    def state(self) -> FileState:
        """Ask the server for size and version.

        Raises:
            InputFileError: The file is missing, the host does not answer, or the server gives no byte ranges.
            MissingExtraError: The package that speaks the protocol is not installed.
        """
        return self.attempt(lambda: _STATE[SCHEMES[self.scheme]](self))

    def read(self, start: int, stop: int) -> bytes:
        """Read a range of bytes.

        Raises:
            InputFileError: It cannot be read.
        """
        return self.read_ranges([(start, stop)])[0]

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read several ranges of bytes in as few requests as the protocol allows.

        Raises:
            InputFileError: One cannot be read, or has another length.
        """

        def request() -> list[bytes]:
            starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
            parts = self.filesystem.cat_ranges([self.key] * len(ranges), starts, stops, on_error="raise")
            short = next(((r, p) for r, p in zip(ranges, parts, strict=True) if len(p) != r[1] - r[0]), None)
            if short is not None:
                raise OSError(f"{len(short[1])} bytes for the range {short[0][0]} to {short[0][1]}")
            return [bytes(part) for part in parts]

        return self.attempt(request)

    def glob(self) -> list[RemoteFile]:
        """Return the files that the URL matches as a pattern, sorted; HTTP servers must list their folders.

        Raises:
            InputFileError: The host does not answer.
        """

        def request() -> list[RemoteFile]:
            try:
                names = self.filesystem.glob(self.key)
            except FileNotFoundError:
                return []
            return sorted(RemoteFile(self.filesystem.unstrip_protocol(name)) for name in names)

        return self.attempt(request)

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for several files; ``?`` begins the query of an HTTP address."""
        return any(c in self.url for c in ("*[" if self.scheme.startswith("http") else "*[?"))

    @property
    def key(self) -> str:
        """What fsspec calls the file."""
        return str(self.filesystem._strip_protocol(self._spelled))

    @property
    def filesystem(self) -> Any:
        """The file system of fsspec that the server is; one per process and host.

        Raises:
            MissingExtraError: A package of the extra `remote` is missing.
        """
        protocol = SCHEMES[self.scheme]
        if protocol == "root":
            for name, seconds in (("XRD_CONNECTIONWINDOW", CONNECT_S), ("XRD_CONNECTIONRETRY", 1), ("XRD_STREAMERRORWINDOW", CONNECT_S)):
                os.environ.setdefault(name, str(seconds))
        try:
            import fsspec  # noqa: PLC0415  # optional, and slow to import

            return fsspec.url_to_fs(self._spelled, **_options(protocol))[0]
        except ImportError as error:
            raise MissingExtraError(
                f"location {self.url}",
                got=str(error),
                expected=f"the package that reads {self.scheme}://",
                remedy="pip install 'h4l-toolkit[remote]'",
            ) from error

    @property
    def _spelled(self) -> str:
        """The URL with the scheme that fsspec knows."""
        return f"{SCHEMES[self.scheme]}://{self.url.partition('://')[2]}"

    def attempt(self, request: Callable[[], T]) -> T:
        """Make a request, again where its failure may pass.

        Raises:
            InputFileError: It failed for good, or `ATTEMPTS` times.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return request()
            except (ToolkitError, ImportError):
                raise
            except Exception as error:
                if _is_final(error) or attempt == ATTEMPTS:
                    raise self._failed(error, attempt) from error
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError  # the loop returns or raises

    def _failed(self, error: BaseException, attempts: int) -> InputFileError:
        what, said = f"input file {self.url}", f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
        if _is_missing(error):
            return InputFileError(what, got="no such file on the server", expected="a file", remedy="check the location")
        if _is_forbidden(error):
            remedy = "check the token, the proxy certificate or the keys in the environment (docs/remote.md)"
            return InputFileError(what, got=f"the server refuses: {said}", expected="a file that you may read", remedy=remedy)
        tried = f" ({attempts} attempts)" if attempts > 1 else ""
        return InputFileError(
            what,
            got=f"{said}{tried}",
            expected=f"a server that answers within {CONNECT_S} s and gives the bytes asked for",
            remedy="check the host and the network, and run again; what is finished is kept",
        )


Location = Path | RemoteFile
"""A file to read. The methods of `Path` that both have: `name`, `suffix`, `open("rb")`, `resolve`."""


def file_state(location: Location) -> FileState:
    """Return size and version of a file.

    Raises:
        OSError: It cannot be reached.
    """
    if isinstance(location, RemoteFile):
        return location.state()
    status = location.stat()
    return FileState(status.st_size, str(status.st_mtime_ns))


def is_there(location: Location) -> bool:
    """Return whether a local file exists; of a remote one that is found out when it is opened."""
    return isinstance(location, RemoteFile) or location.is_file()


class _Reader(io.RawIOBase):
    """A stream over the byte ranges of a remote file."""

    def __init__(self, file: RemoteFile, size: int) -> None:
        self._file, self._size, self._position = file, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        stop = min(self._position + len(buffer), self._size)
        if stop <= self._position:
            return 0
        content = self._file.read(self._position, stop)
        buffer[: len(content)] = content
        self._position = stop
        return len(content)


def _options(protocol: str) -> dict[str, Any]:
    """Return the options of a file system that bound how long it waits."""
    if protocol in {"http", "https"}:
        import aiohttp  # noqa: PLC0415  # optional

        return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)}}
    if protocol == "root":
        return {"timeout": READ_S}
    return {"config_kwargs": {"connect_timeout": CONNECT_S, "read_timeout": READ_S, "retries": {"max_attempts": 1}}}


def _http_state(file: RemoteFile) -> FileState:
    """Ask for the first byte: the answer says size, version, and whether there are byte ranges at all."""
    import fsspec.asyn  # noqa: PLC0415  # optional

    async def ask() -> tuple[int, Any]:
        session = await file.filesystem.set_session()
        async with session.get(file.filesystem.encode_url(file.key), headers={"Range": "bytes=0-0"}) as answer:
            if answer.status not in {200, 206, 416}:
                answer.raise_for_status()
            return answer.status, answer.headers

    status, headers = fsspec.asyn.sync(file.filesystem.loop, ask)
    total = headers.get("Content-Range", "").rpartition("/")[2]
    if status == 200 and headers.get("Content-Length") != "0":
        raise InputFileError(
            f"input file {file}",
            got=f"a server that sends the whole file ({headers.get('Content-Length', 'an unknown number of')} bytes) for one byte",
            expected="a server that gives byte ranges",
            remedy="copy the file to this machine, or serve it by one that knows them (nginx, Apache, XRootD, S3)",
        )
    if status == 206 and not total.isdigit():
        raise InputFileError(
            f"input file {file}", got=f"Content-Range {headers.get('Content-Range')!r}", expected="a server that says the size"
        )
    return FileState(int(total or 0), headers.get("ETag") or headers.get("Last-Modified") or "")


def _other_state(file: RemoteFile) -> FileState:
    file.filesystem.invalidate_cache()
    info = file.filesystem.info(file.key)
    if info["type"] != "file":
        raise InputFileError(f"input file {file}", got=f"a {info['type']}", expected="a file", remedy=f"give {file}/*.root")
    return FileState(int(info["size"]), str(info.get("ETag") or info.get("LastModified") or info.get("mtime") or ""))


_STATE: dict[str, Callable[[RemoteFile], FileState]] = {
    "http": _http_state,
    "https": _http_state,
    "root": _other_state,
    "s3": _other_state,
}


def _status(error: BaseException) -> int:
    return int(getattr(error, "status", 0) or 0)


def _is_missing(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError) or _status(error) in {404, 410} or "no such file" in str(error).lower()


def _is_forbidden(error: BaseException) -> bool:
    words = ("permission denied", "not authorized", "auth failed", "unable to locate credentials")
    return isinstance(error, PermissionError) or _status(error) in {401, 403} or any(word in str(error).lower() for word in words)


def _is_final(error: BaseException) -> bool:
    """Whether the same request would fail again: missing, forbidden, or refused as wrong; not a busy server or a lost connection."""
    if isinstance(error, TimeoutError | asyncio.TimeoutError) or _status(error) in {408, 429}:
        return False
    return _is_missing(error) or _is_forbidden(error) or 400 <= _status(error) < 500

"""Where files lie: URLs keep their slashes, byte ranges are what is sent, and everything that can be wrong with a server is said."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest

from tests.servers import LOCAL, free_port, http_server
from toolkit import locations
from toolkit.artifacts import sampled_digest
from toolkit.errors import InputFileError, MissingExtraError, SchemaError
from toolkit.locations import RemoteFile, file_state, locate

pytest.importorskip("aiohttp", reason="the package that reads http:// is not installed")
# The loop of fsspec and its sessions live as long as the process; sockets of servers that are gone are collected late.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(CONTENT)
    (tmp_path / "b.bin").write_bytes(b"bb")
    (tmp_path / "empty.bin").touch()
    return tmp_path


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "PAUSE_S", 0.0)


def _remote(text: str) -> RemoteFile:
    file = locate(text)
    assert isinstance(file, RemoteFile)
    return file


def test_urls_keep_their_slashes_and_paths_stay_paths() -> None:
    assert str(locate("root://host//store/a.root")) == "root://host//store/a.root"
    assert locate("ntuples/a.root") == Path("ntuples/a.root")
    assert pickle.loads(pickle.dumps(_remote("s3://bucket/a.root"))) == RemoteFile("s3://bucket/a.root")
    with pytest.raises(SchemaError, match="one slash"):
        locate(Path("root://host//store/a.root"))
    with pytest.raises(SchemaError, match="scheme gopher"):
        locate("gopher://host/a.root")


def test_only_the_bytes_asked_for_are_sent(folder: Path) -> None:
    with http_server(folder) as server:
        file = _remote(f"{server.url}/a.bin")
        assert file_state(file).size == len(CONTENT)
        assert server.sent == 1  # the question for the size
        assert file.read_ranges([(10, 20), (300_000, 300_100)]) == [CONTENT[10:20], CONTENT[300_000:300_100]]
        assert server.sent == 1 + 10 + 100
        with file.open() as stream:
            assert stream.read() == CONTENT
        assert _remote(f"{server.url}/empty.bin").open().read() == b""
        assert [file.name for file in _remote(f"{server.url}/*.bin").glob()] == ["a.bin", "b.bin", "empty.bin"]
        assert _remote(f"{server.url}/*.root").glob() == []


def test_failures_that_pass_are_tried_again_a_stated_number_of_times(folder: Path) -> None:
    with http_server(folder) as server:
        file = _remote(f"{server.url}/a.bin")
        server.fail_next = locations.ATTEMPTS - 1
        assert file.read(0, 4) == CONTENT[:4]
        server.fail_next = locations.ATTEMPTS
        with pytest.raises(InputFileError, match=rf"503.*\({locations.ATTEMPTS} attempts\)"):
            file.read(0, 4)
        assert server.fail_next == 0


def test_a_missing_file_is_not_asked_for_again(folder: Path) -> None:
    with http_server(folder) as server:
        began = time.perf_counter()
        with pytest.raises(InputFileError, match="no such file on the server"):
            _remote(f"{server.url}/none.bin").state()
        assert server.requests == 0
        assert time.perf_counter() - began < 5


def test_a_host_that_does_not_answer_is_named() -> None:
    with pytest.raises(InputFileError, match=r"(?s)127\.0\.0\.1.*attempts.*check the host"):
        _remote(f"http://{LOCAL}:{free_port()}/a.bin").state()


def test_a_server_without_byte_ranges_is_refused_before_it_sends_the_file(folder: Path) -> None:
    with http_server(folder, ranges=False) as server, pytest.raises(InputFileError, match=r"1280000 bytes.*for one byte"):
        _remote(f"{server.url}/a.bin").state()


@pytest.mark.parametrize("etags", [True, False])
def test_a_changed_remote_file_has_another_digest(folder: Path, etags: bool) -> None:
    with http_server(folder, etags=etags) as server:
        file = _remote(f"{server.url}/a.bin")
        before = sampled_digest(file)
        assert sampled_digest(file) == before
        assert server.sent < 10 if etags else server.sent > 1 << 20  # the version, or blocks of the content
        (folder / "a.bin").write_bytes(CONTENT[:-1] + b"x")
        assert sampled_digest(file) != before


def test_the_extra_is_named_where_a_protocol_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(*_args: object, **_options: object) -> object:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r"h4l-toolkit\[remote\]"):
        _remote("s3://bucket/a.root").state()

"""Ntuples on servers: the same event tables to the last bit, few bytes, resumed like local ones, in every command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.remote import counting, served, tables
from processors import run
from tests.servers import LOCAL, free_port, http_server, xrootd_server
from toolkit import locations
from toolkit.cli import main
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError

pytest.importorskip("aiohttp", reason="the package that reads http:// is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, ntuples: ModuleType) -> Config:
    data = tmp_path_factory.mktemp("data")
    ntuples.write_nano(data / "signal.root", ntuples.make_events(300, seed=3))
    ntuples.write_nano(data / "qqZZ.root", ntuples.make_events(100, seed=5, first=1000), benchmarks=False)
    samples = [ntuples.signal_sample("signal.root"), {"name": "qqZZ", "files": ["qqZZ.root"]}]
    return ntuples.make_config(data, samples)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def data(config: Config) -> Path:
    return Path(config.samples[0].files[0]).parent


@pytest.fixture(scope="module")
def local(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Output of the files on disk, and the bytes that it read of them."""
    out = tmp_path_factory.mktemp("local")
    with counting() as read:
        run(config, out, chunksize=200)
        yield out, read.read


def test_http_gives_the_same_tables_from_few_bytes_and_is_resumed(
    config: Config, data: Path, local: tuple[Path, int], tmp_path: Path
) -> None:
    folder = tmp_path / "served"
    shutil.copytree(data, folder)
    with http_server(folder) as server:
        own = served(config, server.url)
        first = run(own, tmp_path / "out", chunksize=200)
        assert tables(tmp_path / "out") == tables(local[0])
        assert server.sent < 1.3 * local[1]
        assert first.reused == 0
        assert run(own, tmp_path / "out", chunksize=200).reused == first.chunks
        shutil.copy(data / "qqZZ.root", folder / "qqZZ.root")  # the same bytes with a new time, and so a new version
        assert run(own, tmp_path / "out", chunksize=200).reused == first.chunks - 1


def test_a_file_that_changes_on_the_server_while_it_is_read_is_refused(config: Config, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    shutil.copytree(data, folder)

    def change(_label: str, done: float, _total: float) -> None:
        if done:
            (folder / "qqZZ.root").touch()

    with http_server(folder) as server, pytest.raises(ArtifactMismatchError, match=r"qqZZ\.root"):
        run(served(config, server.url), tmp_path / "out", chunksize=200, progress=change)


def test_xrootd_gives_the_same_tables(config: Config, data: Path, local: tuple[Path, int], tmp_path: Path) -> None:
    pytest.importorskip("fsspec_xrootd", reason="the package that reads root:// is not installed")
    if shutil.which("xrootd") is None:
        pytest.skip("no XRootD server on this machine (Debian: xrootd-server)")
    with xrootd_server(sorted(data.glob("*.root"))) as url:
        own = served(config, url)
        first = run(own, tmp_path / "out", chunksize=200)
        assert tables(tmp_path / "out") == tables(local[0])
        assert run(own, tmp_path / "out", chunksize=200).reused == first.chunks
        assert sorted(file.name for file in locations.RemoteFile(f"{url}/*.root").glob()) == ["qqZZ.root", "signal.root"]


def test_s3_gives_the_same_tables(
    config: Config, data: Path, local: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs", reason="the package that reads s3:// is not installed")
    moto = pytest.importorskip("moto.server", reason="no S3 server on this machine (pip: moto[server])")
    import boto3

    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{LOCAL}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto.ThreadedMotoServer(ip_address=LOCAL, port=port, verbose=False)
    server.start()
    try:
        store = boto3.client("s3")
        store.create_bucket(Bucket="ntuples")
        for path in sorted(data.glob("*.root")):
            store.upload_file(str(path), "ntuples", f"run/{path.name}")
        own = served(config, "s3://ntuples/run")
        first = run(own, tmp_path / "out", chunksize=200)
        assert tables(tmp_path / "out") == tables(local[0])
        assert run(own, tmp_path / "out", chunksize=200).reused == first.chunks
        assert sorted(file.name for file in locations.RemoteFile("s3://ntuples/run/*.root").glob()) == ["qqZZ.root", "signal.root"]
    finally:
        server.stop()


CONFIG = """
luminosity_ifb: 140.0
samples:
  - {name: signal, files: ["{data}/sets.json"]}
  - {name: qqZZ, files: ["{data}/files.txt"]}
"""


def _exit(*words: str) -> int:
    try:
        main(list(words))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_every_command_reads_from_a_server(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "served"
    shutil.copytree(data, folder)
    (folder / "files.txt").write_text("qqZZ.root\n")
    (folder / "sets.json").write_text(json.dumps({"signal": {"files": {"signal.root": "Events"}}}))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(CONFIG)
    with http_server(folder) as server:
        assert _exit("inspect", f"{server.url}/qqZZ.root", "--json") == 0
        assert json.loads(capsys.readouterr().out)["path"] == f"{server.url}/qqZZ.root"
        assert _exit("init", f"{server.url}/*.root", "--out", "new.yaml") == 0
        assert f"{server.url}/signal.root" in Path("new.yaml").read_text()
        assert _exit("init", f"{server.url}/sets.json", "--out", "sets.yaml") == 0
        assert "name: signal" in Path("sets.yaml").read_text()
        assert _exit("validate", "own.yaml", "--data", server.url) == 0
        assert _exit("process", "own.yaml", "--data", f"{server.url}/", "--out", "out", "--quiet") == 0
        capsys.readouterr()
        assert _exit("process", "own.yaml", "--data", server.url, "--out", "out", "--dry-run", "--json") == 0
        assert [stage["action"] for stage in json.loads(capsys.readouterr().out)["stages"] if stage["stage"] == "process"] == ["skip"]


def test_a_dead_server_and_a_missing_file_are_errors_of_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locations, "PAUSE_S", 0.0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(CONFIG)
    dead = f"http://{LOCAL}:{free_port()}"
    for words in (
        ["inspect", f"{dead}/a.root"],
        ["init", f"{dead}/a.root"],
        ["validate", "own.yaml", "--data", dead],
        ["process", "own.yaml", "--data", dead],
    ):
        assert _exit(*words) == 2
        said = capsys.readouterr().err
        assert dead in said
        assert "remedy" in said
        assert "Traceback" not in said
    with http_server(tmp_path) as server:
        assert _exit("inspect", f"{server.url}/none.root") == 2
        assert "no such file on the server" in capsys.readouterr().err

"""One run at a time in an output folder."""

from __future__ import annotations

import errno
import fcntl
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.errors import InputFileError
from toolkit.pipeline.lock import folder_lock

HOLD = """
import sys
from pathlib import Path
from toolkit.pipeline.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "out" / ".stages").mkdir(parents=True)
    return tmp_path / "out" / ".stages" / "lock"


def test_another_process_that_runs_is_respected(lock: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputFileError, match=rf"process {other.pid} on"), folder_lock(lock):
            pytest.fail("entered")
        other.kill()
    assert lock.exists()
    with folder_lock(lock):
        assert json.loads(lock.read_text())["pid"] != other.pid
    assert not lock.exists()


def test_a_run_in_the_same_process_is_respected(lock: Path) -> None:
    with folder_lock(lock), pytest.raises(InputFileError, match="is in use"), folder_lock(lock):
        pytest.fail("entered")


@pytest.mark.parametrize(("pid", "host", "held"), [(1, None, True), (2**22 + 1, None, False), (2**22 + 1, "elsewhere", True)])
def test_without_file_locks_the_process_id_decides(
    lock: Path, monkeypatch: pytest.MonkeyPatch, pid: int, host: str | None, *, held: bool
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    lock.write_text(json.dumps({"pid": pid, "host": host or socket.gethostname(), "since": "yesterday"}))
    if held:
        with pytest.raises(InputFileError, match="since yesterday"), folder_lock(lock):
            pytest.fail("entered")
    else:
        with folder_lock(lock):
            assert json.loads(lock.read_text())["pid"] != pid


def test_a_damaged_lock_file_does_not_block(lock: Path) -> None:
    lock.write_text("{half")
    with folder_lock(lock):
        pass
    assert not lock.exists()

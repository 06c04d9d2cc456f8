"""Train the members of an ensemble: one after the other, in processes of this machine, or on dask workers.

A worker and the process that started it exchange files in one folder and nothing else. Checkpoints and finished members lie there.
A worker writes its progress into a small file; the caller asks workers to stop by writing another one.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pickle
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.clusters import connected
from toolkit.errors import SchemaError, WorkerLostError
from toolkit.ratios.checkpoints import has_member, save_member
from toolkit.ratios.plan import Member, MemberTask
from toolkit.typing import DETAIL, Progress

MAX_LOSSES = 3
"""So many times workers may die before the training gives up."""
POLL_S = 0.2
REPORT_EVERY_S = 0.5
CONNECT_S = 20.0
LABEL = "training"


class _StopRequested(Exception):  # no error: the caller wants the worker back
    """The caller stopped, or is gone."""


def execute(task: MemberTask, members: Sequence[Member], *, folder: Path, executor: Any, workers: int | None, progress: Progress) -> None:
    """Train those members that are not finished, each into its file in `folder`; see `members.train_ensemble`."""
    board = _Board(folder, [member.index for member in members], progress)
    missing = [member for member in members if not has_member(folder / member.file, key=task.key(member))]
    board.finished(set(board.indices) - {member.index for member in missing})
    if not missing:
        return
    if isinstance(executor, str) and executor == "sequential":
        for member in missing:
            train_one(task, member, folder, report=board.reporter(member.index))
            board.finished({member.index})
        return
    with _open(executor, task, min(workers or os.cpu_count() or 1, len(missing)), progress) as pool:
        _in_parallel(pool, task, missing, board)


def train_one(task: MemberTask, member: Member, folder: Path, *, report: Callable[[float, float], None]) -> None:
    """Train one member and write it; runs in a worker.

    Args:
        task: Trains it.
        member: Which one.
        folder: Where its files are.
        report: Called after every epoch with finished share and loss.
    """
    path = folder / member.file
    network, history = task.train(member, checkpoint=path, on_progress=report)
    save_member(path, network, history, key=task.key(member))
    for leftover in folder.glob(f"{path.stem}.*unfinished"):
        leftover.unlink(missing_ok=True)


@dataclass
class _Board:
    """What is known about the members under way, and the word to stop."""

    folder: Path
    indices: list[int]
    progress: Progress
    done: dict[int, float] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def stop_file(self) -> Path:
        return self.folder / f".stop-{self.token}"

    def report_file(self, index: int) -> Path:
        return self.folder / f".progress-{self.token}-{index:02d}"

    def finished(self, indices: set[int]) -> None:
        """Note members that are done."""
        self.done.update(dict.fromkeys(indices, 1.0))
        if indices:
            self._show("")

    def reporter(self, index: int) -> Callable[[float, float], None]:
        """Return what a training here calls after every epoch."""

        def report(done: float, loss: float) -> None:
            self.done[index] = min(done, 1.0 - 1e-9)
            self._show(f"{DETAIL}member {index + 1}, loss {loss:.4f}")

        return report

    def collect(self) -> None:
        """Read what the workers wrote."""
        latest = ""
        for index in self.indices:
            with contextlib.suppress(OSError, ValueError):
                done, loss = json.loads(self.report_file(index).read_text())
                if done > self.done.get(index, 0.0):
                    self.done[index] = min(done, 1.0 - 1e-9)
                    latest = f"{DETAIL}member {index + 1}, loss {loss:.4f}"
        if latest:
            self._show(latest)

    def clear(self) -> None:
        """Remove the small files, those that a killed caller left included."""
        for path in (*self.folder.glob(".stop-*"), *self.folder.glob(".progress-*")):
            path.unlink(missing_ok=True)

    def _show(self, detail: str) -> None:
        self.progress(LABEL + detail, float(sum(self.done.values())), float(len(self.indices)))


@dataclass
class _WorkerReport:
    """What a training in a worker calls after every epoch: leaves a note for the caller and obeys its word to stop."""

    report_file: Path
    stop_file: Path
    latest: float = 0.0

    def __call__(self, done: float, loss: float) -> None:
        parent = multiprocessing.parent_process()
        if self.stop_file.exists() or (parent is not None and not parent.is_alive()):
            raise _StopRequested
        if time.monotonic() - self.latest > REPORT_EVERY_S or done >= 1.0:
            self.latest = time.monotonic()
            self.report_file.write_text(json.dumps([done, loss]))


def _train_in_worker(payload: bytes, member: Member, folder: Path, report_file: Path, stop_file: Path) -> None:
    task: MemberTask = pickle.loads(payload)
    train_one(task, member, folder, report=_WorkerReport(report_file, stop_file))


@dataclass(frozen=True)
class _Pool:
    """Workers: how a task is handed to them, started again, and which errors mean that one died."""

    submit: Callable[..., Any]
    renew: Callable[[], None]
    lost: tuple[type[BaseException], ...]


def _in_parallel(pool: _Pool, task: MemberTask, members: Sequence[Member], board: _Board) -> None:
    todo, losses = list(members), 0
    futures: list[Any] = []
    try:
        while todo:
            try:
                futures = [pool.submit(member, board.folder, board.report_file(member.index), board.stop_file) for member in todo]
                _wait(futures, todo, board)
                todo = []
            except pool.lost as error:
                losses += 1
                if losses > MAX_LOSSES:
                    raise _lost(error) from error
                todo = [member for member in todo if not has_member(board.folder / member.file, key=task.key(member))]
                pool.renew()
    finally:
        if todo:
            board.stop_file.touch()
            _settle(futures)
        board.clear()


def _wait(futures: Sequence[Any], members: Sequence[Member], board: _Board) -> None:
    """Return when all members are done; the first error ends the wait."""
    waiting = dict(enumerate(futures))
    while waiting:
        for k, future in list(waiting.items()):
            if future.done():
                del waiting[k]
                future.result()
                board.finished({members[k].index})
        board.collect()
        time.sleep(POLL_S if waiting else 0.0)


def _settle(futures: Sequence[Any]) -> None:
    """Take back what has not begun and wait for the rest to see the word to stop."""
    for future in futures:
        future.cancel()
    deadline = time.monotonic() + CONNECT_S
    while not all(future.done() for future in futures) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _lost(error: BaseException) -> WorkerLostError:
    return WorkerLostError(
        "a worker process died",
        got=f"{type(error).__name__}: {error} ({MAX_LOSSES + 1} times)",
        expected="workers that live until their member is trained",
        remedy="run again, finished members are kept; if the machine ran out of memory, take fewer --workers",
    )


@contextlib.contextmanager
def _open(executor: Any, task: MemberTask, workers: int, progress: Progress) -> Iterator[_Pool]:
    payload = pickle.dumps(task)
    if isinstance(executor, str) and executor == "processes":
        with _processes(payload, workers) as pool:
            yield pool
    elif isinstance(executor, str) and executor != "dask" and "://" not in executor:
        raise SchemaError(
            "executor", got=repr(executor), expected="sequential, processes, dask, tcp://ADDRESS or a dask client", remedy="see the docs"
        )
    else:
        with _client(executor, workers, progress) as client, _dask(payload, client) as pool:
            yield pool


@contextlib.contextmanager
def _processes(payload: bytes, workers: int) -> Iterator[_Pool]:
    """Start fresh processes: a forked one would share the state of torch's threads."""
    with contextlib.ExitStack() as stack:
        current: list[ProcessPoolExecutor] = []

        def renew() -> None:
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_keep, initargs=(payload,))
            current[:] = [stack.enter_context(pool)]

        def submit(*arguments: Any) -> Any:
            return current[0].submit(_train_kept, *arguments)

        renew()
        yield _Pool(submit, renew, (BrokenProcessPool,))


_kept: list[bytes] = []
"""The task of this worker process."""


def _keep(payload: bytes) -> None:
    _kept[:] = [payload]


def _train_kept(*arguments: Any) -> None:
    _train_in_worker(_kept[0], *arguments)


@contextlib.contextmanager
def _client(executor: Any, workers: int, progress: Progress) -> Iterator[Any]:
    """Give a dask client: the one passed, one of a scheduler, or one of a cluster started here."""
    if isinstance(executor, str):
        with connected(None if executor == "dask" else executor, workers=workers, progress=progress) as client:
            yield client
    elif hasattr(executor, "submit") and hasattr(executor, "scatter"):
        yield executor
    else:
        raise SchemaError("executor", got=type(executor).__name__, expected="a name, an address or a dask client", remedy="see the docs")


@contextlib.contextmanager
def _dask(payload: bytes, client: Any) -> Iterator[_Pool]:
    from distributed.client import FutureCancelledError  # noqa: PLC0415  # optional
    from distributed.comm.core import CommClosedError  # noqa: PLC0415
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    shared: list[Any] = []

    def renew() -> None:
        shared[:] = [client.scatter(payload, broadcast=True, hash=False)]

    def submit(*arguments: Any) -> Any:
        return client.submit(_train_in_worker, shared[0], *arguments, pure=False, retries=0)

    renew()
    yield _Pool(submit, renew, (KilledWorker, FutureCancelledError, CancelledError, CommClosedError))

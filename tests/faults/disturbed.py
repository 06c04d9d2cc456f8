"""The process of one disturbed run: everything is imported, nothing has run yet; a fault strikes in the chosen stage."""

from __future__ import annotations

import errno
import functools
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import toolkit.pipeline.stages.export
import toolkit.pipeline.stages.fit
import toolkit.pipeline.stages.process
import toolkit.pipeline.stages.report
import toolkit.pipeline.stages.train  # noqa: F401
from toolkit.cli import main
from toolkit.pipeline import GRAPH, code


def warm_up() -> None:
    """Read the sources once: all runs are of the code that is loaded here, whatever becomes of its files meanwhile."""
    read = functools.cache(code.module_closure)
    code.module_closure = lambda names: read(tuple(names))
    for stage in GRAPH:
        code.module_digests(stage.modules)


def run_disturbed(order: dict[str, Any]) -> NoReturn:
    """Run one order in a process of its own, and write how it ended."""
    log = Path(order["log"])
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(log)
        _prepare(order)
        try:
            main(order["arguments"])
        except SystemExit as end:
            _leave(int(end.code or 0))
        _leave(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, status = os.waitpid(child, 0)
    log.with_suffix(".status").write_text(str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _redirect(log: Path) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((null, 0), (handle, 1), (handle, 2)):
        os.dup2(old, new)


def _prepare(order: dict[str, Any]) -> None:
    if not order["pictures"]:
        from pixels import REPLACED  # beside this script

        for module, name, value in REPLACED:
            setattr(module, name, value)
    fault = order["fault"]
    if fault is None:
        return
    stage = importlib.import_module(f"toolkit.pipeline.stages.{fault['stage']}")
    run = stage.run

    def disturbed(context: Any) -> None:
        FAULTS[fault["kind"]](fault)
        run(context)

    stage.run = disturbed  # type: ignore[attr-defined]


def _later(fault: dict[str, Any], strike: Callable[[], bool]) -> None:
    """Strike after the given time, and again until it has met something."""

    def wait() -> None:
        time.sleep(fault["after_s"])
        while not strike():
            time.sleep(0.01)

    threading.Thread(target=wait, daemon=True).start()


def _terminate(fault: dict[str, Any]) -> None:
    def strike() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    _later(fault, strike)


def _kill(fault: dict[str, Any]) -> None:
    def strike() -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    _later(fault, strike)


def _kill_worker(fault: dict[str, Any]) -> None:
    def strike() -> bool:
        workers = multiprocessing.active_children()
        for worker in workers[:1]:
            os.kill(worker.pid or 0, signal.SIGKILL)
        return bool(workers)

    _later(fault, strike)


def _failing_writes(code: int) -> Callable[[dict[str, Any]], None]:
    def arm(fault: dict[str, Any]) -> None:
        flush, count = os.fsync, iter(range(1 << 30))

        def fsync(handle: int) -> None:
            if next(count) >= fault["write"]:
                raise OSError(code, os.strerror(code))
            flush(handle)

        os.fsync = fsync

    return arm


def _kill_in_write(fault: dict[str, Any]) -> None:
    flush, count = os.fsync, iter(range(1 << 30))

    def fsync(handle: int) -> None:
        if next(count) >= fault["write"]:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(handle)

    os.fsync = fsync


def _clock_back(_fault: dict[str, Any]) -> None:
    began, calls = time.time(), iter(range(1 << 30))
    time.time = lambda: began - 3600.0 * next(calls)


FAULTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "kill": _kill,
    "terminate": _terminate,
    "kill_in_write": _kill_in_write,
    "kill_worker": _kill_worker,
    "full": _failing_writes(errno.ENOSPC),
    "read_only": _failing_writes(errno.EROFS),
    "clock": _clock_back,
}

from __future__ import annotations

import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from processors.executors import LocalExecutor
from toolkit.errors import PhysicsDomainError, ToolkitError, WorkerLostError


def _listed(item: int) -> list[int]:
    time.sleep(0.05 if item == 0 else 0.0)  # the first item ends last
    return [item]


def _failing(item: int) -> list[int]:
    if item == 2:
        try:
            raise PhysicsDomainError("event 7", got="nan", expected="a number", remedy="repair")
        except ToolkitError as error:
            msg = "Failed processing file"
            raise Exception(msg) from error  # what coffea does
    return [item]


def _broken(item: int) -> list[int]:
    return [1 // (item - 1)]


@pytest.mark.parametrize("workers", [0, 2])
def test_results_merge_in_the_order_of_the_items(workers: int) -> None:
    seen: list[Any] = []
    executor = LocalExecutor(workers=workers, on_chunk=seen.append, pool=ThreadPoolExecutor)
    merged, error = executor(list(range(6)), _listed, None)
    assert merged == list(range(6))
    assert error == 0
    assert seen == list(range(6))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_toolkits_errors_keep_type_and_message(workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PhysicsDomainError, match=r"(?s)event 7.*got:      nan.*repair"):
        LocalExecutor(workers=workers, pool=ThreadPoolExecutor)(list(range(6)), _failing, None)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_other_errors_stay_what_they_are(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        LocalExecutor(workers=workers, pool=ThreadPoolExecutor)(list(range(3)), _broken, None)


def _dies(item: int) -> list[int]:
    if item == 1:
        raise BrokenProcessPool("terminated abruptly")
    return [item]


def test_a_worker_that_dies_is_named() -> None:
    with pytest.raises(WorkerLostError, match=r"(?s)terminated abruptly.*fewer --workers"):
        LocalExecutor(workers=1, pool=ThreadPoolExecutor)(list(range(3)), _dies, None)


class _Cycle:
    def __init__(self) -> None:
        self.me = self


def test_cycles_of_a_chunk_are_gone_before_the_next() -> None:
    left: list[weakref.ref[_Cycle]] = []

    def leave_one(item: int) -> list[int]:
        left.append(weakref.ref(_Cycle()))
        return [sum(r() is not None for r in left[:-1])]

    before = gc.get_freeze_count()
    gc.disable()
    try:
        alive, _ = LocalExecutor()(list(range(3)), leave_one, None)
    finally:
        gc.enable()
    assert alive == [0, 0, 0]
    assert gc.get_freeze_count() == before

"""Time and memory of this process."""

from __future__ import annotations

import json
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Seconds of the fastest of several calls; CPU time does not count what other processes take."""

    wall: float
    cpu: float


def best_of(call: Callable[[], Any], *, repeat: int) -> Timing:
    """Call a function several times; return the smallest wall and the smallest CPU time."""
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Timing(min(walls), min(cpus))


def peak_memory_gb() -> float:
    """Return the largest resident set that this process has had, in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if platform.system() == "Darwin" else 1e6)


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: text to the left, numbers with four significant digits to the right."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))))


def print_json(document: Mapping[str, Any]) -> None:
    """Print one line of JSON, for other programs."""
    print(json.dumps(document))

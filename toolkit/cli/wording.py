"""How times and sizes are written on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.pipeline.lock import LockState


def duration(seconds: float | None) -> str:
    """Write a time with the unit that fits it.

    Examples:
        >>> duration(3.21), duration(75.0), duration(3725.0), duration(None)
        ('3.2 s', '1 min 15 s', '1 h 02 min', '-')
    """
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(n_bytes: float) -> str:
    """Write a size in bytes with the unit that fits it.

    Examples:
        >>> size(999), size(30_422_083), size(2.5e9)
        ('999 B', '30.4 MB', '2.5 GB')
    """
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes:.0f} B"


def count(number: int, noun: str) -> str:
    """Write a number with its noun in the plural where it needs one.

    Examples:
        >>> count(1, "file"), count(0, "file"), count(3, "entry"), count(2, "branch")
        ('1 file', '0 files', '3 entries', '2 branches')
    """
    if number == 1:
        return f"1 {noun}"
    ending = {"y": noun[:-1] + "ies", "h": noun + "es"}.get(noun[-1], noun + "s")
    return f"{number} {ending}"


def owner_text(lock: LockState) -> str:
    """Write who holds a lock.

    Examples:
        >>> from toolkit.pipeline.lock import LockState
        >>> owner_text(LockState(True, 4711, "node7", "2026-03-01 12:00:00"))
        'process 4711 on node7 since 2026-03-01 12:00:00'
    """
    return f"process {lock.pid or '?'} on {lock.host or '?'} since {lock.since or '?'}"

"""What makes a report fast for tests of whole runs that look at numbers, files and pages, not at pictures."""

from __future__ import annotations

from typing import Any

from toolkit.pipeline.stages import report
from toolkit.plots import save

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8ffff3f0300060002fe0adfd5c20000000049454e44ae426082"
)
REPLACED: tuple[tuple[Any, str, Any], ...] = (
    (save, "png_bytes", lambda _figure, **_options: PIXEL),
    (save, "pdf_bytes", lambda _figure: b"%PDF-1.4\n"),
    (report, "MANY_OBSERVABLES", 1 << 30),
)
"""Module, name and new value: pictures have one pixel, and are drawn here, because processes of their own know nothing of that."""

"""Runs inside the test process draw pictures of one pixel: their tests look at numbers, files and pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def pixels() -> Iterator[None]:
    from tests.faults.pixels import REPLACED

    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in REPLACED:
            patch.setattr(module, name, value)
        yield

"""What the command line sets up before libraries are loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOWN = """
import sys, toolkit
assert "numpy" not in sys.modules
import os, toolkit.cli
print(os.environ["OPENBLAS_NUM_THREADS"])
"""


@pytest.mark.parametrize(("given", "used"), [(None, "1"), ("3", "3")])
def test_products_of_small_matrices_stay_on_one_processor(given: str | None, used: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    if given is not None:
        environment["OPENBLAS_NUM_THREADS"] = given
    found = subprocess.run([sys.executable, "-c", SHOWN], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == used

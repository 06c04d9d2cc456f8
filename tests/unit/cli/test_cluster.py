"""`h4l cluster` prints scripts that dask-jobqueue accepts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolkit.cli.cluster import script

if TYPE_CHECKING:
    from conftest import CommandLine

WANTED = {
    "slurm": ["#SBATCH -p short", "#SBATCH -t 02:00:00", "source /path/to/venv/bin/activate"],
    "htcondor": ["should_transfer_files = NO", "RequestDisk = ", "+MaxRuntime = 7200"],
    "lpc": ["--worker-port 10002:10100", "--nanny-port 10101:10200", "use_x509userproxy = true"],
}
LOOK = """
import asyncio, runpy, sys

async def look():
    names = runpy.run_path("workers.py", run_name="looked_at")
    cluster = names[sys.argv[1]](**names["OPTIONS"], asynchronous=True)  # not awaited: no scheduler starts, nothing is submitted
    print(cluster.job_script())

asyncio.run(look())
"""


@pytest.mark.parametrize("system", WANTED)
def test_dask_jobqueue_accepts_the_configuration(system: str, h4l: CommandLine) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed (extra `cluster`)")
    done = h4l("cluster", "--example", system)
    assert done.code == 0
    Path("workers.py").write_text(done.stdout)
    kind = "SLURMCluster" if system == "slurm" else "HTCondorCluster"
    assert f"from dask_jobqueue import {kind}" in done.stdout
    found = subprocess.run([sys.executable, "-c", LOOK, kind], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    assert "--nthreads 1" in found.stdout
    assert "export OMP_NUM_THREADS=1" in found.stdout
    for words in WANTED[system]:
        assert words in found.stdout, found.stdout


def test_the_script_is_part_of_json(h4l: CommandLine) -> None:
    done = h4l("cluster", "--example", "slurm", "--json")
    assert json.loads(done.stdout) == {"system": "slurm", "script": script("slurm")}
    assert h4l("cluster", "--example", "lsf").code == 2

"""The command cluster: scripts that submit dask workers as jobs of a batch system."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from toolkit.cli.options import AsJson, Debug, Quiet
from toolkit.cli.screen import Screen

System = Literal["slurm", "htcondor", "lpc"]
OUTLINE = '''"""Dask workers as jobs of {where}, for `h4l run CONFIG --scheduler ADDRESS`. Needs: pip install "h4l-toolkit[cluster]"

Start it where it can stay (a login node, tmux, a job of its own) and stop it with Ctrl-C. Workers and this process see the same file
system and the same environment; every worker has one thread.
"""

import signal
{imports}
from dask_jobqueue import {name}

OPTIONS = {{
{options}
}}

if __name__ == "__main__":
    cluster = {name}(**OPTIONS)
    cluster.adapt(minimum=2, maximum=100)  # or cluster.scale(jobs=50)
    print(f"h4l run CONFIG --scheduler {{cluster.scheduler_address}}", flush=True)
    signal.pause()
'''
_COMMON = """    "cores": 1,  # one thread per worker
    "processes": 1,
    "memory": "4GB",
"""
_SCRIPTS: dict[System, tuple[str, str, str, str]] = {
    "slurm": (
        "Slurm",
        "",
        "SLURMCluster",
        _COMMON
        + """    "queue": "short",  # your partition
    "walltime": "02:00:00",
    "job_script_prologue": ["source /path/to/venv/bin/activate", "export OMP_NUM_THREADS=1"],
    "worker_extra_args": ["--lifetime", "110m", "--lifetime-stagger", "5m"],  # leaves before the walltime""",
    ),
    "htcondor": (
        "HTCondor with a shared file system",
        "",
        "HTCondorCluster",
        _COMMON
        + """    "disk": "2GB",
    "job_extra_directives": {"should_transfer_files": "NO", "getenv": "True", "+MaxRuntime": "7200"},
    "job_script_prologue": ["export OMP_NUM_THREADS=1"],
    "worker_extra_args": ["--lifetime", "110m", "--lifetime-stagger", "5m"],  # leaves before the end of the job""",
    ),
    "lpc": (
        "HTCondor at the LPC, whose workers reach the login node on ports 10000 to 10200 only",
        "import socket\n",
        "HTCondorCluster",
        _COMMON
        + """    "disk": "2GB",
    "log_directory": None,
    "scheduler_options": {"host": socket.gethostname(), "port": 10000, "dashboard_address": ":10001"},
    "worker_extra_args": ["--worker-port", "10002:10100", "--nanny-port", "10101:10200"],
    "job_extra_directives": {
        "should_transfer_files": "NO",
        "getenv": "True",
        "x509userproxy": "/path/to/x509up",
        "use_x509userproxy": "true",
    },
    "job_script_prologue": ["export OMP_NUM_THREADS=1"],""",
    ),
}


def script(system: System) -> str:
    """Return a Python script that starts a scheduler and submits its workers.

    Examples:
        >>> script("slurm").splitlines()[8]
        'from dask_jobqueue import SLURMCluster'
    """
    where, imports, name, options = _SCRIPTS[system]
    return OUTLINE.format(where=where, imports=imports, name=name, options=options)


def cluster(
    example: Annotated[System, typer.Option("--example", help="The batch system.", show_default=False)],
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Print a Python script that submits dask workers to a batch system, to be edited and kept."""
    screen = Screen(quiet, debug, as_json)
    with screen.explained():
        if as_json:
            screen.document({"system": example, "script": script(example)})
        else:
            typer.echo(script(example), nl=False)

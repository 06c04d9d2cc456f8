"""A ROOT file to event tables, histograms and weights on one core, with the time of every step.

    python -m benchmarks.processing [--events 1000000] [--data FOLDER] [--repeat 1] [--no-memory]

FOLDER holds the benchmark ntuples; without it the example ntuple of the package is replicated. Aims: 200,000 events
per second of CPU time, peak memory below 1.5 GB and flat when the input doubles.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.measure import peak_memory_gb, print_json, print_table
from benchmarks.ntuple import config_for, find_source, replicate
from benchmarks.sections import Sections

TARGETS = {
    "open": ("uproot:open",),
    "check inputs": ("processors.runner:inspect_inputs",),
    "read": ("processors.rootfile:RootEvents.arrays", "processors.formats.nanoaod:NanoReader.read"),
    "decompress": ("uproot.compression:decompress",),
    "select": ("processors.four_lepton:select",),
    "kinematics": ("processors.selection:compute_observables",),
    "fill": ("processors.runner:fill_histograms",),
    "write": ("processors.four_lepton:write_chunk", "processors.histogram_files:write_histograms"),
    "verify": ("processors.runner:verify_tables", "processors.runner:check_unique"),
}


def measure(ntuple: Path, *, events: int, chunksize: int | None) -> dict[str, Any]:
    """Process a file once and return times, counts and memory."""
    from processors import run  # noqa: PLC0415
    from processors.runner import CHUNKSIZE  # noqa: PLC0415

    sections, config = Sections(), config_for(ntuple)
    with tempfile.TemporaryDirectory(dir=ntuple.parent) as out, sections.watching(TARGETS):
        wall, cpu = time.perf_counter(), time.process_time()
        result = run(config, out, chunksize=chunksize or CHUNKSIZE)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(path.stat().st_size for path in Path(out).rglob("*.parquet"))
    sections.seconds["other"] = cpu - sum(sections.seconds.values())
    return {
        "events": events,
        "selected": sum(result.selected.values()),
        "chunks": result.chunks,
        "wall_s": wall,
        "cpu_s": cpu,
        "events_per_cpu_s": events / cpu,
        "sections_s": sections.seconds,
        "input_mb": ntuple.stat().st_size / 1e6,
        "tables_mb": size / 1e6,
        "peak_memory_gb": peak_memory_gb(),
    }


def in_new_process(ntuple: Path, *, events: int, chunksize: int | None) -> dict[str, Any]:
    """Measure in a process of its own, so that the peak memory is that of processing alone."""
    command = [sys.executable, "-m", "benchmarks.processing", "--one", str(ntuple), "--events", str(events)]
    command += ["--chunksize", str(chunksize)] if chunksize else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report(result: dict[str, Any]) -> None:
    """Print one measurement."""
    events, cpu = result["events"], result["cpu_s"]
    print(f"{events} events, {result['selected']} selected, {result['chunks']} chunks")
    print(f"{result['input_mb']:.0f} MB of ntuple, {result['tables_mb']:.0f} MB of event tables")
    rows = [[name, s, 100 * s / cpu, 1e6 * s / events] for name, s in sorted(result["sections_s"].items(), key=lambda item: -item[1])]
    print_table(["step", "CPU s", "%", "us / event"], [*rows, ["total", cpu, 100.0, 1e6 * cpu / events]])
    print(f"wall {result['wall_s']:.2f} s; {events / cpu:.0f} events per CPU second; peak memory {result['peak_memory_gb']:.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--chunksize", type=int)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--no-memory", action="store_true", help="leave out the run on twice the events")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print_json(measure(options.one, events=options.events, chunksize=options.chunksize))
        return
    with tempfile.TemporaryDirectory() as folder:
        source = find_source(options.data)
        ntuple = replicate(source, Path(folder) / "events.root", events=options.events)
        results = [in_new_process(ntuple, events=options.events, chunksize=options.chunksize) for _ in range(options.repeat)]
        best = min(results, key=lambda r: float(r["cpu_s"]))
        report(best)
        if not options.no_memory:
            double = replicate(source, Path(folder) / "double.root", events=2 * options.events)
            twice = in_new_process(double, events=2 * options.events, chunksize=options.chunksize)
            best["peak_memory_gb_twice_the_events"] = twice["peak_memory_gb"]
            print(f"twice the events: {twice['events_per_cpu_s']:.0f} events per CPU second, peak memory {twice['peak_memory_gb']:.2f} GB")
    print_json(best)


if __name__ == "__main__":
    main()

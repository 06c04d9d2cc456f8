"""The same processing on one, two, ... dask workers, each warm before the clock starts.

    python -m benchmarks.dask [--events 1000000] [--workers 1 2] [--data FOLDER] [--repeat 3]

Aim: two workers at least 1.6 times as fast as one. Takes as many idle cores as the largest number of workers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.measure import print_json, print_table
from benchmarks.ntuple import config_for, find_source, replicate


def warm_up() -> int:
    """Import in a worker what processing needs; return the worker's process."""
    import processors.runner  # noqa: F401, PLC0415

    time.sleep(1.0)
    return os.getpid()


def measure(ntuple: Path, *, workers: int, chunksize: int, repeat: int) -> dict[str, float]:
    """Return the smallest wall time of several runs on a fresh cluster, and the CPU times of the client and of all workers."""
    from processors import run  # noqa: PLC0415
    from processors.cluster import dask_executor  # noqa: PLC0415

    config, runs = config_for(ntuple), []
    with dask_executor(workers=workers) as executor:
        executor.client.run(warm_up)
        for _ in range(repeat):
            with tempfile.TemporaryDirectory(dir=ntuple.parent) as out:
                wall, client, in_workers = time.perf_counter(), time.process_time(), sum(executor.client.run(time.process_time).values())
                run(config, out, executor=executor, chunksize=chunksize)
                in_workers = sum(executor.client.run(time.process_time).values()) - in_workers
                runs.append({"wall": time.perf_counter() - wall, "client": time.process_time() - client, "workers": in_workers})
    return {name: min(r[name] for r in runs) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--chunksize", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ntuple = replicate(find_source(options.data), Path(folder) / "events.root", events=options.events)
        results = {n: measure(ntuple, workers=n, chunksize=options.chunksize, repeat=options.repeat) for n in options.workers}
    base, load = results[options.workers[0]], os.getloadavg()[0]
    print(f"{options.events} events, chunks of {options.chunksize}, best of {options.repeat}; load {load:.1f} on {os.cpu_count()} cores")
    rows = []
    for n, r in results.items():
        ideal = (base["client"] + base["workers"]) / (r["client"] + r["workers"] / n)
        rows.append([n, r["wall"], options.events / r["wall"], base["wall"] / r["wall"], r["client"], r["workers"], ideal])
    print_table(["workers", "wall s", "events / s", "speed-up", "client CPU s", "workers CPU s", "speed-up on idle cores"], rows)
    print("The last column is what the CPU times allow: the client's part is serial, that of the workers is shared.")
    print_json({"events": options.events, "load": load, "results": results})


if __name__ == "__main__":
    main()

"""Damaged files for every reader: is each refused with a message, in time, and is no other number read without a word?

    python -m benchmarks.fuzz [--inputs 10000] [--reader NAME ...] [--seed 1]

Every input is read twice: with the checksum of the sound file beside it, as the toolkit writes one, and without, as a file from
elsewhere comes. Reported are the readings that end in anything but a result or a message of ours (exit code 1 on the command line;
a process that dies counts), other numbers that are read in spite of the checksum, readings of more than 10 s of CPU, and, for
information, other numbers that are read from files without a checksum. Formats that carry their checksums inside (event tables, bundles)
are read once. Exit code 1 if one of the first three is not zero.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.fuzz_mutations import mutate, mutate_document
from benchmarks.fuzz_readers import READERS, Reader
from benchmarks.measure import print_table
from toolkit.artifacts.checksums import checksum_path
from toolkit.errors import ToolkitError

LIMIT_S = 10.0
MEMORY_BYTES = 8 << 30
"""Address space of a process that reads damaged files."""
EXAMPLES = 5


@dataclass
class Tally:
    """What became of the inputs of one reader.

    Attributes:
        inputs: Damaged files.
        refused: Those without a checksum that were refused with a message.
        defects: Readings that ended in another exception, or killed the process.
        silent: Other numbers in spite of a checksum.
        slow: Readings of more than 10 s of CPU.
        unprotected: Other numbers from a file without a checksum.
        seconds: CPU time.
        examples: The first defects.
    """

    inputs: int = 0
    refused: int = 0
    defects: int = 0
    silent: int = 0
    slow: int = 0
    unprotected: int = 0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add the inputs of another tally."""
        for name in ("inputs", "refused", "defects", "silent", "slow", "unprotected", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples = [*self.examples, *other.examples][:EXAMPLES]


class _TooLongError(Exception):
    """A reading took more than its time."""


def damaged(reader: Reader, content: bytes, seed: Sequence[int]) -> bytes:
    """Return a damaged copy of a file, the same for the same seed."""
    rng = np.random.default_rng(list(seed))
    for _ in range(20):
        changed = mutate_document(content, rng) if reader.kind == "json" else mutate(content, rng, text=reader.kind == "text")
        if changed != content:
            break
    return changed


def campaign(
    name: str,
    indices: Sequence[int],
    *,
    folder: Path,
    seed: int = 1,
    until_s: float = float("inf"),
    note: Callable[[int], object] | None = None,
) -> Tally:
    """Read damaged files in this process.

    Args:
        name: The reader.
        indices: Numbers of the inputs: each stands for one damaged file.
        folder: An empty folder to work in.
        seed: Seed of all of them.
        until_s: CPU time after which no further input is read.
        note: Called with the number of an input before it is read.
    """
    reader, tally = READERS[name], Tally()
    sound = reader.make(folder)
    content, began = sound.read_bytes(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reader.read(sound)
        line = f"{hashlib.sha256(content).hexdigest()}  {sound.name}\n"
        for index in indices:
            if time.process_time() - began > until_s:
                break
            if note is not None:
                note(index)
            tally.inputs += 1
            sound.write_bytes(damaged(reader, content, (seed, index)))
            if not reader.inside and reader.numbers:
                checksum_path(sound).write_text(line)
                tally.silent += _reading(reader, sound, expected, tally, f"input {index}, checked")
            checksum_path(sound).unlink(missing_ok=True)
            other = _reading(reader, sound, expected, tally, f"input {index}", count=True)
            if reader.inside:
                tally.silent += other
            elif reader.numbers:
                tally.unprotected += other
    tally.seconds = time.process_time() - began
    return tally


def _reading(reader: Reader, path: Path, expected: Any, tally: Tally, what: str, *, count: bool = False) -> bool:
    """Read one file, note how it ended, and return whether other numbers came out."""
    began = time.process_time()
    try:
        with _within(LIMIT_S):
            return bool(reader.read(path) != expected)
    except ToolkitError:
        tally.refused += count
    except _TooLongError:
        tally.slow += 1
        tally.examples.append(f"{what}: more than {LIMIT_S:g} s")
    except Exception as error:
        tally.defects += 1
        where = traceback.extract_tb(error.__traceback__)[-1]
        tally.examples.append(f"{what}: {type(error).__name__}: {str(error)[:100]!r} in {Path(where.filename).name}:{where.lineno}")
    finally:
        if time.process_time() - began > LIMIT_S:
            tally.slow += 1
        tally.examples = tally.examples[:EXAMPLES]
    return False


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise `_TooLongError` after so much CPU time."""

    def strike(number: int, frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGPROF, strike)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def in_processes(name: str, inputs: int, *, seed: int) -> Tally:
    """Read damaged files in a process of its own, and in a new one after the input that killed it."""
    total, start = Tally(), 0
    while start < inputs:
        with tempfile.TemporaryDirectory() as scratch:
            progress, result = Path(scratch) / "progress", Path(scratch) / "result.json"
            words = ["--worker", scratch, "--reader", name, "--from", str(start), "--inputs", str(inputs), "--seed", str(seed)]
            done = subprocess.run([sys.executable, "-m", "benchmarks.fuzz", *words], check=False, stderr=subprocess.PIPE, text=True)
            if result.is_file():
                total.add(Tally(**json.loads(result.read_text())))
                return total
            last = int(progress.read_text()) if progress.is_file() else start
            if not progress.is_file():
                raise RuntimeError(done.stderr)
            why = f"input {last}: the process died ({done.returncode}) {done.stderr.strip()[-100:]}"
            total.add(Tally(inputs=last - start + 1, defects=1, examples=[why]))
            start = last + 1
    return total


def _work(name: str, start: int, inputs: int, seed: int, scratch: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    (scratch / "files").mkdir()
    handle = os.open(scratch / "progress", os.O_WRONLY | os.O_CREAT)
    indices = range(start, inputs)
    tally = campaign(name, indices, folder=scratch / "files", seed=seed, note=lambda index: os.pwrite(handle, b"%-10d" % index, 0))
    (scratch / "result.json").write_text(json.dumps(asdict(tally)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaigns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="damaged files per reader")
    parser.add_argument("--reader", action="append", choices=list(READERS), help="only this reader; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--from", dest="start", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker is not None:
        _work(options.reader[0], options.start, options.inputs, options.seed, options.worker)
        return 0
    tallies = {}
    for name in options.reader or READERS:
        tallies[name] = in_processes(name, options.inputs, seed=options.seed)
        print(name, tallies[name], flush=True)
    rows = [[name, t.inputs, t.refused, t.defects, t.silent, t.slow, t.unprotected, f"{t.seconds:.0f}"] for name, t in tallies.items()]
    print_table(["reader", "inputs", "refused", "exits with 1", "silent", "over 10 s", "other numbers without checksum", "CPU s"], rows)
    return int(any(t.defects + t.silent + t.slow for t in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())

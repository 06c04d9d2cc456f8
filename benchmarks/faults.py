"""Runs that are killed and outputs that are damaged, at random: are the results those of an undisturbed run, is finished work kept?

    python -m benchmarks.faults [--kills 10] [--damages 20] [--folds 6] [--seed 1]

First `h4l run` on a small analysis is killed with SIGKILL at random moments of every stage, started again each time, and left to end. With
6 folds it has 60 trainings: 20 members of the mixture, 20 for each direction of a learned variation. Then files of the finished run,
chosen at random, are cut, emptied, lengthened, deleted, or have a byte turned, and the run is started again. Nothing of results.json but
the seconds may differ; a member, an event table or a plot that was finished before a kill must still be the same file at the end. Exit
code 1 if not.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.measure import print_table
from tests.faults import analysis
from toolkit.pipeline import STAGE_NAMES

H4L = Path(sys.executable).with_name("h4l")
NOT_RESULTS = (".stages", "manifest.json")
LEARNED = {
    "objects": {"electron_scale": {"object": "electron", "kind": "scale", "size": 0.02}},
    "ratios": {"shape": "networks", "hidden": [8], "epochs": 3, "batch_size": 128},
}


def start(config: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a run that writes what it says beside its folder."""
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen([H4L, "run", config, "--out", out], stdout=log, stderr=log)


def kill_at_random(config: Path, out: Path, *, kills: int, seconds: Mapping[str, float], rng: random.Random) -> dict[str, Any]:
    """Kill a run again and again, as often in every stage, then let it end.

    Args:
        config: The analysis.
        out: Output folder.
        kills: Kills; a run that ends before its kill is not counted.
        seconds: What each stage takes undisturbed; the moment of a kill is drawn from them.
        rng: Draws the moments.

    Returns:
        Stages that were hit, finished tasks that were lost, exit code of the last run.
    """
    log, hit, lost = out.with_suffix(".log"), [], set()
    known: dict[str, tuple[int, int]] = {}
    for victim in sorted(k % len(STAGE_NAMES) for k in range(kills)):
        before = log.stat().st_size if log.exists() else 0
        process = start(config, out)
        while process.poll() is None and not started(log, before, STAGE_NAMES[victim:]):
            time.sleep(0.02)
        deadline = time.monotonic() + rng.uniform(0, seconds[STAGE_NAMES[victim]])
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        if process.wait() == -signal.SIGKILL:
            hit.append(started(log, before, STAGE_NAMES)[-1])
            lost |= analysis.lost_tasks(known, out)
            known |= analysis.finished_tasks(out)
    code = start(config, out).wait()
    return {"hit": hit, "lost": lost | analysis.lost_tasks(known, out), "kept": len(known), "code": code}


def started(log: Path, before: int, stages: Sequence[str]) -> list[str]:
    """Return which of some stages a run has started, from what it wrote behind the first `before` bytes of its log."""
    lines = log.read_bytes()[before:].decode(errors="replace").splitlines()
    return [name for name in stages if f"[{STAGE_NAMES.index(name) + 1}/{len(STAGE_NAMES)}] {name}" in lines]


def damage_at_random(campaign: Any, folder: Path, *, number: int, rng: random.Random) -> list[tuple[str, str, str]]:
    """Damage one file of a copy of the finished run at a time; return what, how, and what became of it."""
    ways: dict[str, Callable[[Path], Any]] = {
        "cut": analysis.cut,
        "flipped": analysis.flip,
        "lengthened": analysis.lengthen,
        "emptied": lambda path: path.write_bytes(b""),
        "deleted": Path.unlink,
    }
    files = [p.relative_to(campaign.undisturbed) for p in sorted(campaign.undisturbed.rglob("*")) if p.is_file()]
    files = [p for p in files if p.parts[0] not in NOT_RESULTS]
    rows = []
    for trial in range(number):
        out, file, (how, damage) = folder / f"damaged_{trial}", rng.choice(files), rng.choice(list(ways.items()))
        shutil.copytree(campaign.undisturbed, out)
        damage(out / file)
        try:
            campaign.completes(out, keeps=False)
            outcome = "same" if (out / file).read_bytes() == (campaign.undisturbed / file).read_bytes() else "same results, other bytes"
        except AssertionError as error:
            outcome = f"WRONG: {error}"
        rows.append((file.as_posix(), how, outcome))
        shutil.rmtree(out)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--damages", type=int, default=20)
    parser.add_argument("--folds", type=int, choices=(4, 6), default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with analysis.campaign(folder, ratios={"splits": {"folds": options.folds}}, systematics=LEARNED) as campaign:
            if start(campaign.config, folder / "real").wait() != 0:
                sys.exit((folder / "real.log").read_text(errors="replace"))
            seconds = replace(campaign, undisturbed=folder / "real").seconds
            killed = kill_at_random(campaign.config, folder / "killed", kills=options.kills, seconds=seconds, rng=rng)
            same = killed["code"] == 0 and analysis.results_of(folder / "killed") == analysis.results_of(folder / "real")
            trainings = len(list((folder / "real" / "models").rglob("member_*.pt")))
            hit = dict(Counter(killed["hit"]))
            print(f"{trainings} trainings, {sum(seconds.values()):.0f} s of work undisturbed; killed {len(killed['hit'])} times, in {hit}")
            print(f"results.json {'the same' if same else 'DIFFERS'}; {len(killed['lost'])} of {killed['kept']} finished tasks done again")
            rows = damage_at_random(campaign, folder, number=options.damages, rng=rng)
    if rows:
        print_table(("file", "damage", "after the next run"), rows)
    wrong = [row for row in rows if row[2].startswith("WRONG")]
    sys.exit(int(not same or bool(killed["lost"]) or bool(wrong)))


if __name__ == "__main__":
    main()

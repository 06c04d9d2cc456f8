"""Runs of one analysis of two coefficients with different estimators in one table: areas, -2 Delta lnL at points, closure.

    python -m benchmarks.eft_estimators RUN [RUN ...] [--methods nsbi m4l]

Every RUN is the output folder of `h4l run`, finished up to its fit, such as examples/eft.yaml with `ratios: {estimator: ...}`. Histograms
that no network decides are the same in all of them and are shown for the first run alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.measure import print_json, print_table
from toolkit.analysis.layout import FIT, WORKSPACE
from toolkit.likelihood import Results, Workspace

LEARNED = ("nsbi", "score", "score_2d")


def read_run(folder: Path, method: str, points: list[dict[str, float]]) -> dict[str, Any]:
    """Return areas, -2 Delta lnL at the points, its lower bounds there, and the closure of one method of a run."""
    results = Results.from_json(json.loads((folder / FIT).read_text(encoding="utf-8")))
    found = results.methods[method]
    areas = {contour.level: contour.area for contour in found.contours}
    likelihood = Workspace.load(folder / WORKSPACE / f"{method}.json").likelihood()
    best = likelihood.fit()
    t = [likelihood.twice_nll(point) - best.twice_nll for point in points]
    told = [next((i for i in found.information if i.truth == results.asimov and i.against == point), None) for point in points]
    closure: dict[str, dict[str, Any]] = {}
    for point in results.closure:
        if point.method == method:
            closure.setdefault(str(tuple(point.truth.values())), {})[point.parameter] = [point.mu_hat, point.standard_error]
    return {
        "method": method,
        "area_68": areas[0.68],
        "area_95": areas[0.95],
        "t": t,
        "bounds": [None if i is None else [i.value, i.error] for i in told],
        "closure": closure,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--methods", nargs="+", default=["nsbi", "score_2d", "score", "m4l"])
    parser.add_argument(
        "--at", type=json.loads, nargs="+", default=[{"c_t": 0.0, "c_g": 1.0}], help='points as JSON: \'{"c_t": 0, "c_g": 1}\''
    )
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for k, folder in enumerate(options.runs):
        for method in options.methods:
            if k == 0 or method in LEARNED:
                rows.append({"run": folder.name if method in LEARNED else "", **read_run(folder, method, options.at)})
    labels = [", ".join(f"{name} = {value:g}" for name, value in point.items()) for point in options.at]
    head = ["run", "method", "68 % area", "95 % area", *(f"t({label})" for label in labels), *(f"bound({label})" for label in labels)]
    print_table(head, [[r["run"], r["method"], r["area_68"], r["area_95"], *r["t"], *map(_with_error, r["bounds"])] for r in rows])
    truths = list(rows[0]["closure"])
    print_table(["best fits", "method", *truths], [[r["run"], r["method"], *(_fits(r["closure"][t]) for t in truths)] for r in rows])
    print_json({"points": options.at, "rows": rows})


def _with_error(pair: list[float] | None) -> str:
    return "-" if pair is None else f"{pair[0]:.2f} ± {pair[1]:.2f}"


def _fits(found: dict[str, list[float | None]]) -> str:
    return ", ".join(f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}" for value, error in found.values())


if __name__ == "__main__":
    main()

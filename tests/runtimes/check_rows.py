"""Evaluate the reference rows of every ONNX file of a folder with the onnxruntime of this environment: needs numpy and onnxruntime alone.

python tests/runtimes/check_rows.py FOLDER [LIMIT]      exit code 1 if torch in float64 is LIMIT or more away (2e-5 by default)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

LIMIT = 2e-5


def largest_difference(model: Path) -> float:
    """Return the largest absolute difference from torch in float64 over rows, numerators and outputs; NaN counts as infinite."""
    reference = json.loads(model.with_suffix(".reference.json").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), sess_options=options, providers=["CPUExecutionProvider"])
    names = list(reference["torch_float64"])
    found = session.run(names, {"observables": np.array(reference["rows"]).astype(np.float32)})
    expected = [np.array(reference["torch_float64"][name]) for name in names]
    worst = np.max([np.max(np.abs(f.astype(np.float64) - e)) for f, e in zip(found, expected, strict=True)])
    return float(worst) if np.isfinite(worst) else float("inf")


def main(folder: str, limit: str = str(LIMIT)) -> int:
    """Print one line per file; return the exit code."""
    models = sorted(Path(folder).glob("*.onnx"))
    differences = {model.stem: largest_difference(model) for model in models}
    said = ", ".join(f"{name} {difference:.1e}" for name, difference in differences.items())
    print(f"onnxruntime {onnxruntime.__version__}: {said}")
    return int(not differences or max(differences.values()) >= float(limit))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Train 100 small members, and keep what came out: `python -m tests.integration.hundred_members FOLDER EXECUTOR`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.unit.ratios.toy import MODEL, toy
from toolkit.config import EnsembleConfig, MulticlassConfig
from toolkit.ratios import fit_ratios

CONFIG = MulticlassConfig(
    estimator="multiclass",
    features=("x", "y"),
    fold_beam_axis=False,
    hidden=(4,),
    epochs=3,
    batch_size=200,
    ensemble=EnsembleConfig(subsets="fraction", members=100),
)

if __name__ == "__main__":
    folder, executor = Path(sys.argv[1]), sys.argv[2]
    trained = fit_ratios(toy(1000, seed=1), config=CONFIG, model=MODEL, folder=folder, executor=executor, workers=2)
    np.save(folder / "out_of_bag.npy", trained.out_of_bag)

"""Labels and colours of processes and samples: one set for all plots of a run."""

from __future__ import annotations

from toolkit.config import Config
from toolkit.plots.names import ProcessLook, distinct_looks


def process_looks(config: Config) -> dict[str, ProcessLook]:
    """Return what the config gives to samples, and a colour of its own for every sample, density and process."""
    densities = [name for sample in config.samples for name in sample.benchmarks]
    chosen = {sample.name: ProcessLook(sample.label, sample.color) for sample in config.samples if sample.label or sample.color}
    return distinct_looks([*densities, *(sample.name for sample in config.samples), *config.processes], chosen)

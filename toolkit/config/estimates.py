"""Which densities are estimated from data: the luminosity does not scale them."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.config.samples import SampleConfig
from toolkit.errors import SchemaError
from toolkit.model.model import Model


def estimated_densities(samples: Sequence[SampleConfig], model: Model) -> dict[str, tuple[str, ...]]:
    """Return the densities of the estimates from data by sample.

    Args:
        samples: All samples of the config.
        model: Its physics model.

    Raises:
        SchemaError: An estimate shares its process with simulation.
    """
    chosen, found = {s.name for s in samples if s.kind == "estimate"}, {}
    for sample in (s for s in model.samples if s.name in chosen):
        beside = {s.name for s in model.samples_of(sample.process)} - chosen
        if beside:
            raise SchemaError(
                f"samples.{sample.name}",
                got=f"process {sample.process} of the simulated samples {sorted(beside)}, too",
                expected="a process of estimates alone: the luminosity scales one and not the other",
                remedy="give the estimate a process of its own",
            )
        found[sample.name] = tuple(d for c in model.components if c.process.name == sample.process for d in c.densities)
    return found

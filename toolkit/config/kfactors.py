"""Checks of corrections and k-factors; names of the components of processes that interfere, and which k-factors are uncertain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.config.corrections import VARIATION, CorrectionConfig, WeightCorrection
from toolkit.config.systematics import WeightVariation
from toolkit.model.model import Model
from toolkit.model.processes import component_names


def component_variations(sections: Mapping[str, Mapping[str, CorrectionConfig]]) -> dict[str, tuple[str, str]]:
    """Return process and component of every uncertain k-factor by name of its nuisance parameter, k_PROCESS_COMPONENT.

    Examples:
        >>> component_variations({"ggF": {"S": CorrectionConfig(value=1.8), "I": CorrectionConfig(value=1.6, uncertainty=0.2)}})
        {'k_ggF_I': ('ggF', 'I')}
    """
    uncertain = [
        (p, c) for p, of in sections.items() for c, section in of.items() if section.uncertainty is not None or section.named_variations
    ]
    return {f"k_{process}_{component.replace('*', '_')}": (process, component) for process, component in uncertain}


def check_corrections(sections: Mapping[str, CorrectionConfig], weights: Mapping[str, WeightVariation], *, samples: Sequence[str]) -> None:
    """Check that corrections name samples and that variations name corrections.

    Raises:
        ValueError: They do not.
    """
    for name, section in sections.items():
        unknown = sorted(set(section.samples) - set(samples))
        if unknown:
            msg = f"corrections.{name}: no samples {unknown}; the samples are {list(samples)}"
            raise ValueError(msg)
    for name, variation in weights.items():
        if not isinstance(variation, WeightCorrection):
            continue
        unknown = sorted(set(variation.of) - set(sections))
        fixed = [c for c in variation.of if c not in unknown and not sections[c].named_variations]
        stiff = [c for c in fixed if sections[c].uncertainty is None or (variation.up, variation.down) != ("up", "down")]
        if unknown or stiff:
            what = f"no corrections {unknown}; they are {list(sections)}" if unknown else f"{stiff} have no such variation"
            msg = f"systematics.weights.{name}: {what}: give them `uncertainty`, or put {VARIATION} into a name or an input"
            raise ValueError(msg)


def check_components(sections: Mapping[str, Mapping[str, CorrectionConfig]], model: Model) -> None:
    """Check that k-factors of components name components of processes that interfere.

    Raises:
        ValueError: They do not.
    """
    coherent = {p.name: p for p in model.processes if p.n_amplitudes > 1}
    for name, of in sections.items():
        if name not in coherent:
            msg = f"k_factors.{name}: no process that interferes; they are {list(coherent)}; `corrections` are for others"
            raise ValueError(msg)
        known = component_names(coherent[name].amplitude_names)
        strange = [c for c, section in of.items() if c not in known or section.samples or section.object != "event"]
        if strange:
            msg = f"k_factors.{name}: {strange} are no components {list(known)}, or name samples or an object, which have no place here"
            raise ValueError(msg)

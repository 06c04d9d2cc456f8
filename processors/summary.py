"""What a run says about its variations and regions: members combined, yields per region, for `cutflow.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from processors.selection import Cutflow
from processors.variations import combined_members
from toolkit.config import Config, LheLayout, SampleConfig
from toolkit.typing import JsonObject
from toolkit.weights import combine_members


def add_combinations(config: Config, sample: SampleConfig, content: Mapping[str, Any]) -> dict[str, Any]:
    """Combine the members of sets of weights (PDFs, scale choices) to variations of their own.

    Args:
        config: The analysis.
        sample: Its section of the config.
        content: What the processor accumulated for the sample, all chunks merged.

    Returns:
        All variations, those of `content` and NAME_up, NAME_down of each set: counts, cut flow (first and last cut) and regions.
        Squared weights of the combinations are the nominal ones.
    """
    variations = dict(content["variations"])
    for name, (section, members) in combined_members(config, sample).items():
        varied = [variations[m] for m in members]
        for i, direction in enumerate(("up", "down")):
            variations[f"{name}_{direction}"] = {
                "selected": content["selected"],
                "cutflow": _combine_sums(content["cutflow"], [v["cutflow"] for v in varied], section.combine)[i],
                "regions": _combine_sums(content["regions"], [v["regions"] for v in varied], section.combine)[i],
            }
    return variations


def _combine_sums(nominal: Cutflow, members: list[Cutflow], how: str) -> tuple[Cutflow, Cutflow]:
    up: Cutflow = {}
    down: Cutflow = {}
    for key in members[0]:
        values = combine_members(np.asarray(nominal[key]["sumw"]), np.array([m[key]["sumw"] for m in members]), how=how)
        for target, value in zip((up, down), values, strict=True):
            target[key] = {**nominal[key], "sumw": float(value)}
    return up, down


def cutflow_document(
    config: Config, merged: Mapping[str, Any], variations: Mapping[str, Mapping[str, Any]], *, notes: Sequence[str] = ()
) -> JsonObject:
    """Return the content of `cutflow.json`.

    Args:
        config: The analysis.
        merged: What the processor accumulated, by sample.
        variations: All variations by sample, from `add_combinations`.
        notes: What the input files leave open, in sentences.

    Returns:
        `samples`: sums after each cut; with regions or systematics in the config also `regions` (sums per region) and
        `variations` (both per variation; those of weights have only the first and the last cut), and `notes` if there are any.
    """
    document: JsonObject = {
        "schema": 1,
        "luminosity_ifb": config.luminosity_used,
        "samples": {s.name: merged[s.name]["cutflow"] for s in config.samples},
    }
    if config.conditions:
        document["regions"] = {s.name: merged[s.name]["regions"] for s in config.samples}
    if any(variations.values()):
        document["variations"] = {
            sample: {name: {"cutflow": v["cutflow"], "regions": v["regions"]} for name, v in found.items()}
            for sample, found in variations.items()
        }
    notes = (*identification_notes(config), *notes)
    if config.scored_conditions:
        later, classifiers = ", ".join(config.scored_conditions), ", ".join(config.classifier_columns)
        notes = (
            *notes,
            f"not counted here: {later}, which need the classifiers ({classifiers}) that `h4l classify` trains",
        )
    if notes:
        document["notes"] = list(notes)
    return document


def independent_note(sample: str, variation: str, merged: Mapping[str, Any], variations: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how far files of other events change the yield, and whether their statistics can tell.

    Args:
        sample: Name of the sample.
        variation: The variation that other files are.
        merged: What the processor accumulated, by sample.
        variations: All variations by sample.

    Examples:
        >>> nominal, varied = ({"cutflow": {"m4l": {"sumw": n, "sumw2": n}}} for n in (100.0, 110.0))
        >>> independent_note("qqZZ", "shower_up", {"qqZZ": nominal}, {"qqZZ": {"shower_up": varied}})[:70]
        'variation shower_up of sample qqZZ: +10.0 % +- 15.2 % of the yield, fr'
    """
    (value, error), (other, other_error) = (
        (last["sumw"], last["sumw2"] ** 0.5)
        for last in (list(content["cutflow"].values())[-1] for content in (merged[sample], variations[sample][variation]))
    )
    if value == 0.0:
        return ""
    ratio = other / value
    spread = abs(ratio) * ((error / value) ** 2 + (other_error / other) ** 2) ** 0.5 if other else abs(error / value)
    seen = "" if abs(ratio - 1.0) > 2.0 * spread else "; the change of the yield is not beyond these statistics"
    return (
        f"variation {variation} of sample {sample}: {ratio - 1.0:+.1%} +- {spread:.1%} of the yield, from other events than the nominal "
        f"ones, so that the fluctuations of both are part of it{seen}"
    ).replace("%", " %")


def identification_notes(config: Config) -> tuple[str, ...]:
    """Say which leptons count whatever their quality; nothing where all samples are generated particles.

    Examples:
        >>> from pathlib import Path
        >>> from toolkit.config import parse_config
        >>> sample = {"name": "qqZZ", "files": ["a.root"], "xsec_pb": 1.0}
        >>> identification_notes(parse_config({"luminosity_ifb": 1.0, "samples": [sample]}, folder=Path()))[0][:35]
        'no lepton identification required: '
    """
    if all(isinstance(sample.layout, LheLayout) for sample in config.samples):
        return ()
    free = [kind for kind in ("electron", "muon") if not getattr(config.selection, kind).where]
    if not free:
        return ()
    what = "lepton" if len(free) == 2 else free[0]
    keys = " and ".join(f"selection.{kind}.where" for kind in free)
    every = f"no {what} identification required: every {what} of the ntuples inside the acceptance counts"
    return (f"{every}; {keys} can demand more",)

"""What the networks are worth: computed once, and taken over by a report that only looks different."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from toolkit.analysis.build import open_ratio
from toolkit.analysis.layout import DIAGNOSTICS, MODEL
from toolkit.artifacts.hashing import stage_key
from toolkit.artifacts.kept import read_kept, write_kept
from toolkit.config import Config
from toolkit.diagnostics.review import Review, review
from toolkit.diagnostics.suite import Suite, diagnose
from toolkit.errors import SchemaError
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.estimate import estimate_under_test
from toolkit.pipeline.stages.provenance import portable_config
from toolkit.pipeline.stages.review import ensemble_under_review, read_stored, review_settings
from toolkit.pipeline.stamps import read_stamp
from toolkit.report import prose
from toolkit.weights import SimulatedEvents

LOOKS = ("style", "status", "energy_tev", "details")
"""Keys of the section `report` on which only pictures depend."""
BEFORE = ("process", "classify", "train", "export")
"""The stages from which the diagnostics come."""


@dataclass(frozen=True, eq=False)
class Examined:
    """Diagnostics of the networks.

    Attributes:
        suite: The tests on test events; None where the physics model does not allow them.
        review: Calibration, ensemble and importance; None where there is no suite.
        left_out: Sentences on what is left out, and why.
    """

    suite: Suite | None
    review: Review | None
    left_out: tuple[str, ...]


def examine(context: StageContext, training: SimulatedEvents, test: SimulatedEvents, *, told: Callable[[Suite], None]) -> Examined:
    """Take the diagnostics of the networks over from a former report, or compute them; keep them for the next one.

    Args:
        context: The stage.
        training: Events that the networks learned from.
        test: Test events of the same regions.
        told: Given the suite as soon as there is one, so that its plots are drawn while the rest is computed.
    """
    key = examined_key(context)
    kept = None if key is None else read_kept([folder / DIAGNOSTICS for folder in context.former], key=key)
    if isinstance(kept, Examined):
        found = kept
        if found.suite is not None:
            told(found.suite)
    else:
        found = _computed(context, training, test, told=told)
    if key is not None:
        write_kept(context.work / DIAGNOSTICS, found, key=key)
    return found


def examined_key(context: StageContext) -> str | None:
    """Hash what the diagnostics depend on, the config without its looks and the results of the stages before; None if these are unknown."""
    stamps = {name: read_stamp(context.out, name) for name in BEFORE}
    known = {name: stamp.key for name, stamp in stamps.items() if stamp is not None}
    if len(known) < len(stamps):
        return None
    return stage_key({"config": _without_looks(context.config), "stages": known})


def _without_looks(config: Config) -> dict[str, object]:
    document = {name: section for name, section in portable_config(config).items() if name != "name"}
    return {**document, "report": {name: value for name, value in document["report"].items() if name not in (*LOOKS, "learning_curve")}}


def _computed(context: StageContext, training: SimulatedEvents, test: SimulatedEvents, *, told: Callable[[Suite], None]) -> Examined:
    config = context.config
    ratio = open_ratio(context.out / MODEL, config)
    try:
        estimate = estimate_under_test(config, training, test, ratio)
    except SchemaError as error:
        return Examined(None, None, (f"Diagnostics of the networks are left out: {error.what}, got {error.got}.",))
    suite = diagnose(estimate, progress=context.progress)
    told(suite)
    subject = ensemble_under_review(
        config, estimate, ratio, training=training, stored=read_stored(context.out, training=training, test=test)
    )
    reviewed = _without_events(review(subject, settings=review_settings(config), progress=context.progress))
    return Examined(suite, reviewed, () if estimate.benchmarks is not None else (prose.SEVERAL_LEFT_OUT,))


def _without_events(found: Review) -> Review:
    """Let one number stand for what every event does to a figure of merit: the error is the same, and the file small."""
    rows = [{name: replace(m, influence=np.array([m.error])) for name, m in row.merits.items()} for row in found.merits]
    return replace(found, merits=tuple(replace(row, merits=merits) for row, merits in zip(found.merits, rows, strict=True)))

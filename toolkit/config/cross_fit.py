"""What a cross-fit asks of the other sections of a config."""

from __future__ import annotations

import math
from collections.abc import Sequence

from toolkit.config.likelihood import LikelihoodConfig
from toolkit.config.ratios import RatioSettings, ThetaConfig
from toolkit.config.systematics import SystematicsConfig
from toolkit.errors import SchemaError

KEY = "ratios.splits.cross_fit: true"


def require_cross_fit(
    ratios: RatioSettings, likelihood: LikelihoodConfig, systematics: SystematicsConfig, *, varied: Sequence[str]
) -> None:
    """Check that a cross-fit, where one is asked for, can keep everything that is made of an event from it.

    Args:
        ratios: The section `ratios`, with the settings that nobody gave.
        likelihood: The section `likelihood`.
        systematics: The section `systematics`.
        varied: Systematic variations of events.

    Raises:
        SchemaError: Names the first thing that it cannot, and what to take in its place.
    """
    if not ratios.splits.cross_fit:
        return
    folds, left_out = ratios.splits.folds, ratios.splits.folds - ratios.train_folds
    every = math.comb(folds, ratios.train_folds)
    refused = (
        (isinstance(ratios, ThetaConfig), f"estimator {ratios.estimator}", "estimators of densities", "take the mixture"),
        (
            ratios.ensemble.subsets != "folds",
            f"ensemble.subsets: {ratios.ensemble.subsets}",
            "members that leave out whole folds",
            "take `ensemble: {subsets: folds}`, or leave `cross_fit` out",
        ),
        (
            ratios.ensemble.subsets == "folds" and left_out < 2,
            f"members that train on {ratios.train_folds} of {folds} folds",
            "members that leave out two folds at least: one is data, another calibrates",
            f"take `ensemble.train_folds: {max(folds - 2, 1)}`, or more `splits.folds`" if folds > 2 else "take `splits.folds: 4`",
        ),
        (
            ratios.ensemble.members is not None and ratios.n_members < every,
            f"ensemble.members: {ratios.ensemble.members}",
            f"one for every choice of {ratios.train_folds} of {folds} folds at least, {every}: every two folds are left out together",
            "leave `members` out, or `cross_fit`",
        ),
        (
            ratios.negative_weights == "resample",
            "negative_weights: resample",
            "weights that no other event decides",
            "take positive weights, or leave `cross_fit` out",
        ),
        (
            likelihood.systematics and bool(varied) and systematics.ratios.shape == "networks",
            "systematics.ratios.shape: networks",
            "variations whose shapes come from templates",
            "take `shape: histogram`, or leave `cross_fit` out",
        ),
        (
            likelihood.template_statistics,
            "likelihood.template_statistics: true",
            "templates without parameters of their own: those of the folds share events",
            "leave it out, or `cross_fit`",
        ),
        (
            likelihood.ratio_uncertainty is True,
            "likelihood.ratio_uncertainty: true",
            "density ratios without parameters of their own",
            "leave it out, or `cross_fit`",
        ),
    )
    for wrong, got, expected, remedy in refused:
        if wrong:
            raise SchemaError(KEY, got=f"a config with {got}", expected=expected, remedy=remedy)

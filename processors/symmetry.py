"""The exchange of the two beams, as the config uses it: what its features become, checked before anything runs."""

from __future__ import annotations

from processors.observables import known_observables
from toolkit.config import Config
from toolkit.kinematics.swap_check import check_beam_swap
from toolkit.weights.beam_swap import check_fills, declared_swaps, feature_swaps
from toolkit.weights.missing import source_of


def check_symmetry(config: Config) -> None:
    """Check that the features can be folded if `ratios.fold_beam_axis` wants it; what a user's module declares is tried on events.

    Raises:
        SchemaError: A feature does not say what it becomes when the beams are exchanged, becomes something else, or becomes something
            that is no feature; or a fill does not stay as it is.
    """
    if not config.ratios.fold_beam_axis:
        return
    known, declared = known_observables(config), declared_swaps(config)
    networks = [config.ratios.features, *(section.features for section in config.classifiers.values() if section.folds_beam_axis)]
    for features in networks:
        check_fills(feature_swaps(features, declared=declared), config.fills)
    for name in dict.fromkeys(source_of(feature, config.fills) for features in networks for feature in features):
        if name in known and known[name].group == "user" and known[name].needs != "column":
            check_beam_swap(known[name])

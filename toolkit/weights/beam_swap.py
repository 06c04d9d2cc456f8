"""What the features of a network become when the beams are exchanged, and which of them tells the two sides apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.config import ColumnConfig, Config
from toolkit.errors import SchemaError
from toolkit.kinematics import OBSERVABLES
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.kinematics.swap_check import undeclared
from toolkit.weights.missing import filled_name, flag_name

FIRST_PIVOT = "cos_theta_star"


def feature_swaps(features: Sequence[str], *, declared: Mapping[str, BeamSwap | None] | None = None) -> dict[str, BeamSwap]:
    """Return what every feature becomes when the beams are exchanged, in terms of the features.

    Args:
        features: Observables; NAME_filled and has_NAME of observables with fills.
        declared: What observables become, by name; beside and before the registry.

    Returns:
        By feature; see `toolkit.kinematics.beam_swap`.

    Raises:
        SchemaError: A feature does not say what it becomes, or becomes something that is no feature.

    Examples:
        >>> feature_swaps(["m4l", "y4l", "phi_1", "eta_j1_filled", "has_eta_j1"])
        {'m4l': 'even', 'y4l': 'odd', 'phi_1': 'half_turn', 'eta_j1_filled': 'odd', 'has_eta_j1': 'even'}
        >>> feature_swaps(["q2_v1_filled", "q2_v2_filled"])
        {'q2_v1_filled': {'q2_v2_filled': 1}, 'q2_v2_filled': {'q2_v1_filled': 1}}
    """
    known = {name: entry.beam_swap for name, entry in OBSERVABLES.items()} | dict(declared or {})
    found = {name: _swap_of(name, known) for name in features}
    for name, swap in found.items():
        absent = sorted(set(swap) - set(features)) if isinstance(swap, Mapping) else []
        if absent:
            raise SchemaError(
                f"feature {name}",
                got=f"{list(features)}",
                expected=f"{' and '.join(absent)} among the features: {name} becomes a function of it when the beams are exchanged",
                remedy=f"add {' and '.join(absent)} to the features, leave {name} out, or set ratios.fold_beam_axis: false",
            )
    return found


def column_swaps(columns: Mapping[str, ColumnConfig]) -> dict[str, BeamSwap | None]:
    """Return what the columns of a config become when the beams are exchanged, but for those of which the registry knows it.

    Examples:
        >>> column_swaps({"bdt": ColumnConfig(branch="b", beam_swap="odd"), "met": ColumnConfig(branch="MET_pt")})
        {'bdt': 'odd'}
    """
    return {name: column.beam_swap for name, column in columns.items() if column.beam_swap is not None or name not in OBSERVABLES}


def declared_swaps(config: Config) -> dict[str, BeamSwap | None]:
    """Return what a config says of features that the registry does not know: its columns, and its classifiers.

    Those of folded features do not notice the exchange; of others nobody knows.

    Args:
        config: The analysis.
    """
    scores: dict[str, BeamSwap | None] = {
        column: "even" if section.folds_beam_axis else None
        for name, section in config.classifiers.items()
        for column in section.columns(name)
    }
    return scores | column_swaps(config.columns)


def pivot_of(swaps: Mapping[str, BeamSwap]) -> str | None:
    """Return the feature whose sign tells the two sides apart: cos_theta_star, or else the first odd one; None without any.

    Examples:
        >>> pivot_of({"y4l": "odd", "cos_theta_star": "odd"}), pivot_of({"y4l": "odd"}), pivot_of({"m4l": "even"})
        ('cos_theta_star', 'y4l', None)
    """
    odd = [name for name, swap in swaps.items() if swap == "odd"]
    return FIRST_PIVOT if FIRST_PIVOT in odd else next(iter(odd), None)


def check_fills(swaps: Mapping[str, BeamSwap], fills: Mapping[str, float]) -> None:
    """Check that what stands for a missing value stays the same when the beams are exchanged.

    Raises:
        SchemaError: It does not: the fill of an odd feature is not 0, say.

    Examples:
        >>> check_fills({"eta_j1_filled": "odd"}, {"eta_j1": 0.0})
    """
    values = {filled_name(name): fill for name, fill in fills.items()}
    for name, fill in fills.items():
        swap = swaps.get(filled_name(name), "even")
        if isinstance(swap, Mapping):
            image = sum(c * values.get(other, float("nan")) for other, c in swap.items())
        else:
            image = {"even": fill, "odd": -fill, "half_turn": float("nan")}[swap]
        if image != fill:
            raise SchemaError(
                f"fills.{name}",
                got=f"{fill:g}, which is not what stands for a missing {name} when the beams are exchanged ({swap!r})",
                expected="a fill that the exchange leaves alone: 0 for an odd observable, the same for two that change places",
                remedy=f"fill with 0, leave {filled_name(name)} out of ratios.features, or set ratios.fold_beam_axis: false",
            )


def _swap_of(name: str, known: Mapping[str, BeamSwap | None]) -> BeamSwap:
    if name in known:
        found = known[name]
        if found is None:
            raise undeclared(name)
        return found
    source = name.removesuffix(filled_name(""))
    if source != name and source in known:
        swap = _swap_of(source, known)
        return {filled_name(other): c for other, c in swap.items()} if isinstance(swap, Mapping) else swap
    if name.startswith(flag_name("")) and name.removeprefix(flag_name("")) in known:
        return "even"
    raise undeclared(name)

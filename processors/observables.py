"""Which observables an analysis writes: groups, names, and columns of the ntuple that pass through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from processors.formats.columns import branch
from processors.modules import load_modules
from processors.regions import region_observables
from processors.rootfile import nearest
from toolkit.config import ColumnConfig, Config
from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics import OBSERVABLES, FourLeptonEvent, Observable
from toolkit.kinematics.registry import Group
from toolkit.typing import FloatArray
from toolkit.weights.missing import source_of

ALL = "all"
STANDARD = "standard"
GROUPS = (ALL, *get_args(Group))
"""What may stand in `observables` of a config beside names."""


def known_observables(config: Config) -> Mapping[str, Observable]:
    """Return the registered observables, those of the config's modules, and the columns of the config, by name.

    Raises:
        SchemaError: A column has no known name and no range, or a module of the config does not run.
        InputFileError: A module of the config cannot be read.
    """
    load_modules(config.modules)
    own = {name: _described(name, column) for name, column in config.columns.items()}
    return {**OBSERVABLES, **own}


def wanted_observables(config: Config) -> tuple[str, ...]:
    """Return the observables that the config names one by one: tables, features, histogram baselines, regions; once each.

    Every sample must be able to give these; an observable that only belongs to a named group may be missing in a sample. Scores of
    classifiers are not among them: they are computed from the event tables.
    """
    tables = [name for name in config.observables if name not in GROUPS]
    features = [source_of(name, config.fills) for name in (*config.ratios.features, *config.fills)]
    used = [*features, *(o for h in config.histograms.values() for o in h.observables)]
    named = [*tables, *(name for name in used if name not in config.classifier_columns), *config.columns, *region_observables(config)]
    return tuple(dict.fromkeys(named))


def written_observables(config: Config) -> tuple[str, ...]:
    """Return the observables that go into the event tables, in the order of the registry.

    They are the names and groups under `observables` (empty: the group `standard`), the network features, those with
    histogram baselines, those of regions and scores, and the columns of the config.

    Raises:
        SchemaError: The config names an observable that does not exist, or a column that it does not describe.
    """
    known, named = known_observables(config), wanted_observables(config)
    for name in named:
        if name not in known:
            raise SchemaError(
                f"observable {name!r} in the config",
                got="no such observable",
                expected=f"one of {list(known)} or a group of {list(GROUPS)}",
                remedy=nearest(name, [*known, *GROUPS]) or "correct the name, register the observable, or describe it under `columns`",
            )
        if known[name].needs == "column" and name not in config.columns:
            raise SchemaError(
                f"observable {name!r} in the config",
                got="no column",
                expected="the branch of the ntuple that holds it",
                remedy=f"add `columns: {{{name}: {{branch: BRANCH}}}}` to the config",
            )
    groups = [name for name in config.observables if name in GROUPS] if config.observables else [STANDARD]
    return tuple(name for name, entry in known.items() if name in named or _in_groups(entry, groups))


def read_columns(events: Any, columns: Mapping[str, ColumnConfig]) -> dict[str, FloatArray]:
    """Read the columns of the ntuple that are observables.

    Args:
        events: Entries of a chunk, with a field per branch.
        columns: Sections of the config, by name of the observable.

    Returns:
        Each (n,) float64, NaN where missing.

    Raises:
        ShapeError: A branch does not hold one number per event.
    """
    return {name: _column(branch(events, column.branch), name, column) for name, column in columns.items()}


def _column(values: Any, name: str, column: ColumnConfig) -> FloatArray:
    try:
        numbers: NDArray[np.float64] = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        got = str(getattr(values, "type", type(values).__name__))
        raise _not_one_number(name, column, got) from error
    if numbers.ndim != 1:
        raise _not_one_number(name, column, f"shape {numbers.shape}")
    if column.missing is not None:
        numbers[numbers == column.missing] = np.nan
    return numbers * column.scale


def _not_one_number(name: str, column: ColumnConfig, got: str) -> ShapeError:
    return ShapeError(
        f"branch {column.branch!r} of column {name!r}",
        got=got,
        expected="one number per event",
        remedy=f"name another branch under `columns.{name}.branch`",
    )


def _in_groups(entry: Observable, groups: list[str]) -> bool:
    return entry.needs != "column" and (ALL in groups or entry.group in groups)


def _described(name: str, column: ColumnConfig) -> Observable:
    if name in OBSERVABLES:
        known = OBSERVABLES[name]
        return known if column.beam_swap is None else replace(known, beam_swap=column.beam_swap)
    if column.range is None:
        raise SchemaError(
            f"column {name!r} of the config",
            got="no range",
            expected=f"a plot range, or one of the known columns {[n for n, o in OBSERVABLES.items() if o.needs == 'column']}",
            remedy=f"add `range: [low, high]` to `columns.{name}`",
        )
    return Observable(
        name,
        column.unit,
        column.label or name,
        _absent,
        needs="column",
        range=column.range,
        group="columns",
        beam_swap=column.beam_swap,
    )


def _absent(event: FourLeptonEvent) -> FloatArray:
    return event.absent

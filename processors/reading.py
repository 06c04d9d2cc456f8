"""Read a chunk as the config needs it: the layout's record, properties of objects, columns, and branches that conditions name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import awkward as ak

from processors.dialects import EventRecord, Reader, has, reader_for
from processors.dialects.columns import scalars
from processors.dialects.fields import KINDS, OWN, Kind
from processors.observables import read_columns
from processors.regions import condition_branches
from processors.rootfile import nearest
from toolkit.config import ColumnConfig, Config, LheLayout, SampleConfig, SelectionConfig
from toolkit.errors import SchemaError
from toolkit.expressions import Condition
from toolkit.kinematics import OBSERVABLES


def selection_branches(config: Config, sample: SampleConfig, branches: Collection[str]) -> tuple[str, ...]:
    """Return the branches that the conditions of the selection need of a file with these branches."""
    fields = object_fields(config, sample, branches.__contains__)
    objects = [name for of_kind in fields.values() for names in of_kind.values() for name in names]
    return (*objects, *condition_branches(config))


def wanted_fields(selection: SelectionConfig) -> dict[Kind, tuple[str, ...]]:
    """Return the properties of objects that the selection needs beside the momenta, by kind of object.

    Examples:
        >>> from toolkit.config import LeptonSelection
        >>> muon = LeptonSelection(pt_min=5.0, abs_eta_max=2.7, where="mediumId == 1 and abs(eta) < 2.4")
        >>> wanted_fields(SelectionConfig(muon=muon))
        {'muon': ('mediumId',)}
    """
    texts = {kind: getattr(selection, kind).where for kind in KINDS}
    found = {kind: tuple(n for n in Condition.parse(text).names if n not in OWN) for kind, text in texts.items() if text}
    return {kind: names for kind, names in found.items() if names}


def find_field(reader: Reader, kind: Kind, name: str, has: Callable[[str], bool]) -> tuple[str, ...] | None:
    """Return the branches of a property, the first of the names that the layout may give it; None if the file has none of them.

    Args:
        reader: Reader of the layout.
        kind: Kind of object.
        name: The property, as the config calls it.
        has: Whether the file has a branch.
    """
    return next((names for names in reader.field_branches(kind, name) if names and all(has(n) for n in names)), None)


def object_fields(config: Config, sample: SampleConfig, has_branch: Callable[[str], bool]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Find the branches of the properties of objects that the config needs of a sample.

    Args:
        config: The analysis.
        sample: Its section of the config.
        has_branch: Whether a file has a branch.

    Returns:
        Branches by kind of object and property.

    Raises:
        SchemaError: The file has none of the names that the layout may give to a property.
    """
    reader = reader_for(sample)
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for kind, names in wanted_fields(config.selection).items():
        if not reader.field_branches(kind, "pt") and not isinstance(sample.layout, LheLayout):
            continue  # a file without such objects: no condition applies
        for name in names:
            branches = find_field(reader, kind, name, has_branch)
            if branches is None:
                raise _missing_field(reader, kind, name, sample)
            found.setdefault(kind, {})[name] = branches
    return found


def _missing_field(reader: Reader, kind: Kind, name: str, sample: SampleConfig) -> SchemaError:
    tried = [names[0] for names in reader.field_branches(kind, name)]
    return SchemaError(
        f"property {name!r} in selection.{kind}.where, sample {sample.name}",
        got=f"no branch {' or '.join(map(repr, tried))}" if tried else "a layout whose particles have momenta only",
        expected=f"a branch that every sample has, or one of {list(OWN)}",
        remedy="correct the name; `h4l inspect FILE` lists the branches. Samples without it need a config of their own",
    )


def check_condition_branches(path: object, config: Config, sample: SampleConfig, branches: Collection[str]) -> None:
    """Check that a file has the branches that the conditions of the selection name.

    Raises:
        SchemaError: One is missing; the nearest name is given.
    """
    try:
        object_fields(config, sample, branches.__contains__)
    except SchemaError as error:
        raise SchemaError(f"{error.what}, file {path}", got=error.got, expected=error.expected, remedy=error.remedy) from error
    for name in condition_branches(config):
        if name not in branches:
            raise SchemaError(
                f"{name!r} in selection.where, sample {sample.name}, file {path}",
                got="neither an observable nor a branch of the file",
                expected="observables, and branches that every sample has",
                remedy=nearest(name, [*branches, *OBSERVABLES]) or "correct the name; `h4l inspect FILE` lists the branches",
            )


def read_record(
    events: ak.Array,
    config: Config,
    sample: SampleConfig,
    *,
    weight_vectors: Sequence[str] = (),
    columns: Mapping[str, ColumnConfig] | None = None,
) -> EventRecord:
    """Turn a chunk of events into the internal record, with everything that selection and observables need.

    Args:
        events: One field per branch.
        config: The analysis.
        sample: Its section of the config.
        weight_vectors: Further weight vectors, see `Reader.read`.
        columns: Columns of the config to read; None reads all.

    Raises:
        SchemaError: A branch is missing.
        ShapeError: A branch has another form than its layout says.
    """
    fields = object_fields(config, sample, lambda name: has(events, name)) if wanted_fields(config.selection) else {}
    record = reader_for(sample).read(events, sample, weight_vectors=weight_vectors, fields=fields)
    own = read_columns(events, config.columns if columns is None else columns)
    named = {name: scalars(events, name) for name in condition_branches(config)}
    return replace(record, columns=record.columns | own | named)

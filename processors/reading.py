"""Read a chunk as the config needs it: the layout's record, properties of objects, columns, and branches that conditions name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import awkward as ak

from processors.components import component_inputs
from processors.corrections import event_inputs, lepton_inputs
from processors.factors import event_factors, lepton_factors
from processors.formats import EventRecord, Reader, has, reader_for
from processors.formats.aliases import is_list
from processors.formats.columns import is_event_number, scalars
from processors.formats.fields import KINDS, OWN, Kind
from processors.observables import read_columns
from processors.regions import condition_branches
from processors.rootfile import nearest
from processors.slices import foreign_branches, slice_branches
from toolkit.config import ColumnConfig, Config, LheLayout, SampleConfig, SelectionConfig
from toolkit.errors import SchemaError
from toolkit.expressions import Condition
from toolkit.kinematics import OBSERVABLES


def selection_branches(config: Config, sample: SampleConfig, branches: Mapping[str, str]) -> tuple[str, ...]:
    """Return the branches that conditions, corrections and weight factors need of a file with branches of these types."""
    fields = object_fields(config, sample, Branches.of_types(branches))
    objects = [name for of_kind in fields.values() for names in of_kind.values() for name in names]
    return (*objects, *event_branches(config, sample))


def event_branches(config: Config, sample: SampleConfig) -> tuple[str, ...]:
    """Return the branches with one number per event that conditions and corrections need: what is no observable, column or score."""
    needed = (*event_inputs(config, sample), *component_inputs(config, sample), *slice_branches(config, sample))
    further = (name for name in needed if name not in {*OBSERVABLES, *config.columns})
    return tuple(dict.fromkeys((*condition_branches(config), *further)))


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


@dataclass(frozen=True)
class Branches:
    """What can be asked of the branches of a file or of a chunk.

    Args:
        has: Whether there is a branch.
        is_list: Whether a branch holds a list per event.
    """

    has: Callable[[str], bool]
    is_list: Callable[[str], bool]

    @classmethod
    def of_types(cls, types: Mapping[str, str]) -> Branches:
        """Answer from the types of the branches of a file."""
        return cls(types.__contains__, lambda name: name in types and is_list(types[name]))

    @classmethod
    def of_chunk(cls, events: ak.Array) -> Branches:
        """Answer from the arrays of a chunk."""
        return cls(lambda name: has(events, name), lambda name: not is_event_number(events, name))


def object_fields(config: Config, sample: SampleConfig, branches: Branches) -> dict[str, dict[str, tuple[str, ...]]]:
    """Find the branches of the properties of objects that selection, corrections and weight factors need of a sample.

    Args:
        config: The analysis.
        sample: Its section of the config.
        branches: Those of a file.

    Returns:
        Branches by kind of object and property.

    Raises:
        SchemaError: The file has none of the names that the layout may give to a property.
    """
    reader = reader_for(sample)
    found: dict[str, dict[str, tuple[str, ...]]] = {kind: dict(own) for kind, own in lepton_factors(sample, branches.is_list).items()}
    needed = wanted_fields(config.selection)
    for kind, more in lepton_inputs(config, sample).items():
        needed[kind] = tuple(dict.fromkeys((*needed.get(kind, ()), *more)))
    for kind, names in needed.items():
        if not reader.field_branches(kind, "pt") and not isinstance(sample.layout, LheLayout):
            continue  # a file without such objects: no condition applies
        for name in names:
            own = find_field(reader, kind, name, branches.has)
            if own is None:
                raise _missing_field(reader, kind, name, sample)
            found.setdefault(kind, {})[name] = own
    return found


def _missing_field(reader: Reader, kind: Kind, name: str, sample: SampleConfig) -> SchemaError:
    tried = [names[0] for names in reader.field_branches(kind, name)]
    return SchemaError(
        f"property {name!r} of {kind}s (for selection.{kind}.where or corrections), sample {sample.name}",
        got=f"no branch {' or '.join(map(repr, tried))}" if tried else "a layout whose particles have momenta only",
        expected=f"a branch that every sample has, or one of {list(OWN)}",
        remedy="correct the name; `h4l inspect FILE` lists the branches. Samples without it need a config of their own",
    )


def check_condition_branches(path: object, config: Config, sample: SampleConfig, branches: Mapping[str, str]) -> None:
    """Check that a file has the branches that the conditions of the selection and corrections name; `branches` are their types.

    Raises:
        SchemaError: One is missing; the nearest name is given.
    """
    try:
        object_fields(config, sample, Branches.of_types(branches))
    except SchemaError as error:
        raise SchemaError(f"{error.what}, file {path}", got=error.got, expected=error.expected, remedy=error.remedy) from error
    for name in event_branches(config, sample):
        if name not in branches:
            raise SchemaError(
                f"{name!r} in selection.where, `where` of the sample or corrections, sample {sample.name}, file {path}",
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
    branches = Branches.of_chunk(events)
    fields = object_fields(config, sample, branches)
    record = reader_for(sample).read(events, sample, weight_vectors=weight_vectors, fields=fields)
    own = read_columns(events, config.columns if columns is None else columns)
    foreign = (name for name in foreign_branches(config, sample) if branches.has(name))
    more = dict.fromkeys((*event_factors(sample, branches.is_list), *event_branches(config, sample), *foreign))
    named = {name: scalars(events, name) for name in more if name not in own}
    return replace(record, columns=record.columns | own | named)

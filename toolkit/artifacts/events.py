"""Event tables: one parquet file per chunk of an ntuple, an index that says which chunks make a sample.

A variation that moves objects has tables of its own, ``<sample>@<variation>/``. A variation of the weights is a column of
ratios in the nominal tables. `read_events` reads either by the name of the variation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from toolkit.artifacts.atomic import atomic_path, make_folder, write_json
from toolkit.artifacts.columns import REMEDY, changed_columns, damaged_table, read_about, sealed, to_numpy
from toolkit.artifacts.versions import other_version
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ToolkitError

SCHEMA = 2
"""Version of the form of tables and index; another form or another digest of columns needs another number."""
CHANNELS = ("4e", "4mu", "2e2mu")
IDENTITY = ("event", "run", "luminosityBlock", "file_index", "entry", "channel")
_TYPES = {"event": np.uint64, "run": np.uint32, "luminosityBlock": np.uint32, "file_index": np.int32, "entry": np.int64, "channel": np.int8}
_KEY = b"h4l"
_UNREADABLE = (OSError, pa.ArrowException, UnicodeDecodeError)
NOMINAL = "nominal"
"""Name of what is not varied."""


@dataclass(frozen=True)
class ChunkInfo:
    """What a chunk file says about itself (parquet metadata key ``h4l``).

    Args:
        sample: Sample name.
        benchmarks: Names of the ``weight_<benchmark>`` columns, empty for a sample that does not interfere.
        key: Hash of everything the content depends on.
        source: Name of the ntuple.
        file_index: Position of the ntuple in the sample.
        start: First entry that was read.
        stop: One past the last entry that was read.
        cutflow: Counts after each cut, in order: ``{cut: {"events": ..., "sumw": ..., "sumw2": ...}}``.
        variation: What was varied before the selection, `NOMINAL` for nothing.
        weight_variations: Names of the ``ratio_<variation>`` columns, varied over nominal weight.
        regions: Names of the ``region_<region>`` columns.
        varied_sums: First and last cut under each weight variation, in the form of `cutflow`.
        schema: Version of this form.

    Examples:
        >>> ChunkInfo("qqZZ", (), key="0a1b", source="qqZZ.root", file_index=1, start=50_000, stop=90_000, cutflow={}).relative_path
        'qqZZ/0001_0000050000.parquet'
    """

    sample: str
    benchmarks: tuple[str, ...]
    key: str
    source: str
    file_index: int
    start: int
    stop: int
    cutflow: dict[str, dict[str, float]]
    variation: str = NOMINAL
    weight_variations: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    varied_sums: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def relative_path(self) -> str:
        """Path of the chunk below the ``events`` folder."""
        return chunk_path(self.sample, self.file_index, self.start, variation=self.variation)


def table_name(sample: str, variation: str = NOMINAL) -> str:
    """Return the folder of a table below the ``events`` folder, which is its name in the index.

    Examples:
        >>> table_name("qqZZ"), table_name("qqZZ", "jet_scale_up")
        ('qqZZ', 'qqZZ@jet_scale_up')
    """
    return sample if variation == NOMINAL else f"{sample}@{variation}"


def chunk_path(sample: str, file_index: int, start: int, *, variation: str = NOMINAL) -> str:
    """Return the path of a chunk below the ``events`` folder.

    Examples:
        >>> chunk_path("qqZZ", 1, 50000)
        'qqZZ/0001_0000050000.parquet'
    """
    return f"{table_name(sample, variation)}/{file_index:04d}_{start:010d}.parquet"


@dataclass(frozen=True, eq=False)
class EventTable:
    """Selected events of one sample, in the order of the ntuples.

    Args:
        sample: Sample name.
        event_id: Event numbers, (n,) uint64.
        observables: GeV and radians, each (n,) float64, NaN where an event lacks the observable.
        weight: Expected events at the luminosity under the sample's own hypothesis, (n,).
        benchmarks: Hypotheses of the columns of `benchmark_weights`.
        benchmark_weights: Expected events under each benchmark, (n, n_benchmarks); (n, 0) for a sample that does not interfere.
        channel: 0 for 4e, 1 for 4mu, 2 for 2e2mu, (n,) int8.
        file_index: Position of the event's ntuple in the sample, (n,) int32.
        entry: Entry of the event in its ntuple, (n,) int64; with `file_index` it identifies the event in every variation.
        regions: Which events lie in each region, (n,) bool.
        variation: Which variation this is.
        run: Run numbers, (n,) uint32; with `luminosity_block` and `event_id` they identify a data event in all samples.
        luminosity_block: Luminosity blocks, (n,) uint32.
    """

    sample: str
    event_id: NDArray[np.uint64]
    observables: dict[str, NDArray[np.float64]]
    weight: NDArray[np.float64]
    benchmarks: tuple[str, ...]
    benchmark_weights: NDArray[np.float64]
    channel: NDArray[np.int8]
    file_index: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    entry: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    regions: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    variation: str = NOMINAL
    run: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, dtype=np.uint32))
    luminosity_block: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, dtype=np.uint32))

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.weight)


def write_chunk(
    folder: str | Path,
    *,
    info: ChunkInfo,
    identity: Mapping[str, NDArray[Any]],
    observables: Mapping[str, NDArray[np.float64]],
    weight: NDArray[np.float64],
    benchmark_weights: NDArray[np.float64],
    ratios: Mapping[str, NDArray[np.float64]] | None = None,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Path:
    """Write the selected events of one chunk as parquet, in one step.

    Args:
        folder: The ``events`` folder.
        info: What the chunk is; becomes the file's metadata and name.
        identity: The columns of `IDENTITY`, each (n,).
        observables: Each (n,), NaN where missing (stored as null).
        weight: Expected events at the luminosity, (n,).
        benchmark_weights: (n, n_benchmarks) in the order of ``info.benchmarks``.
        ratios: Varied over nominal weight, each (n,), by the names of ``info.weight_variations``.
        regions: Which events lie in each region, each (n,), by the names of ``info.regions``.

    Returns:
        The file.

    Raises:
        InputFileError: The disk is full or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> info = ChunkInfo("qqZZ", (), key="0a1b", source="qqZZ.root", file_index=0, start=0, stop=100, cutflow={})
        >>> identity = {name: np.array([3, 7]) for name in IDENTITY}
        >>> path = write_chunk(tempfile.mkdtemp(), info=info, identity=identity, observables={"m4l": np.array([250.0, np.nan])},
        ...                    weight=np.array([0.5, 0.2]), benchmark_weights=np.empty((2, 0)))
        >>> path.name, chunk_table(path).observables["m4l"].tolist()
        ('0000_0000000000.parquet', [250.0, nan])
    """
    columns = {name: pa.array(np.ascontiguousarray(identity[name], dtype=_TYPES[name])) for name in IDENTITY}
    for name, values in observables.items():
        columns[name] = _nullable(values)
    columns["weight"] = pa.array(np.asarray(weight, dtype=np.float64))
    for i, name in enumerate(info.benchmarks):
        columns[f"weight_{name}"] = pa.array(np.ascontiguousarray(benchmark_weights[:, i], dtype=np.float64))
    for name in info.weight_variations:
        columns[f"ratio_{name}"] = pa.array(np.asarray((ratios or {})[name], dtype=np.float64))
    for name in info.regions:
        columns[f"region_{name}"] = pa.array(np.asarray((regions or {})[name], dtype=bool))
    about = json.dumps(asdict(info), allow_nan=False)
    table = pa.table(columns).replace_schema_metadata(sealed(about.encode(), columns, key=_KEY))
    path = Path(folder) / info.relative_path
    make_folder(path.parent)
    floats = [name for name, column in columns.items() if pa.types.is_floating(column.type)]
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="lz4",  # with the bytes of floats in streams: half the time of zstd without, for a tenth more space
            use_byte_stream_split=floats,
            use_dictionary=["run", "luminosityBlock", "file_index", "channel"],
            write_statistics=list(IDENTITY),
            write_page_checksum=True,
        )
    return path


def _nullable(values: NDArray[np.float64]) -> Any:
    """Return an arrow column with null for NaN; arrow's own conversion would import pandas."""
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    missing = np.isnan(numbers)
    return pa.array(numbers, mask=missing if missing.any() else None)


def read_info(path: str | Path) -> ChunkInfo:
    """Read what a chunk file says about itself.

    Raises:
        InputFileError: The file is missing, damaged or not parquet.
        SchemaError: It is parquet, but not an event table of this version.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except _UNREADABLE as error:
        raise damaged_table(path, str(error)) from error
    document = read_about(metadata, path, key=_KEY, schema=SCHEMA)
    lists = {name: tuple(document.get(name, ())) for name in ("benchmarks", "weight_variations", "regions")}
    return ChunkInfo(**{**document, **lists})


def write_index(folder: str | Path, chunks: Iterable[ChunkInfo], *, rows: Mapping[str, int]) -> None:
    """Write ``index.json``: the chunks that make up each sample. Written last, it marks the tables as complete.

    Args:
        folder: The ``events`` folder.
        chunks: All chunks of all samples.
        rows: Selected events per chunk, keyed by relative path.
    """
    samples: dict[str, list[dict[str, Any]]] = {}
    for info in sorted(chunks, key=lambda c: (c.sample, c.variation != NOMINAL, c.variation, c.file_index, c.start)):
        entry = {"file": info.relative_path, "key": info.key, "start": info.start, "stop": info.stop, "rows": rows[info.relative_path]}
        samples.setdefault(table_name(info.sample, info.variation), []).append(entry)
    write_json(Path(folder) / "index.json", {"schema": SCHEMA, "samples": samples})


def read_events(folder: str | Path, sample: str, *, columns: Sequence[str] | None = None, variation: str = NOMINAL) -> EventTable:
    """Read the event table of one sample, sorted by ntuple and entry, whatever wrote the chunks in which order.

    Args:
        folder: The ``events`` folder.
        sample: Sample name.
        columns: Observables to read; None reads all.
        variation: Name of a variation: of objects (other events and observables) or of weights (the nominal events with
            other weights); see `variations_of`.

    Returns:
        The table.

    Raises:
        InputFileError: The index or a chunk is missing or damaged.
        ArtifactMismatchError: A chunk is not the one that the index names.
        SchemaError: The sample, an observable or the variation is not in the tables.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> info = ChunkInfo("qqZZ", (), key="0a1b", source="qqZZ.root", file_index=0, start=0, stop=100, cutflow={})
        >>> identity = {name: np.array([3, 7]) for name in IDENTITY}
        >>> _ = write_chunk(folder, info=info, identity=identity, observables={"m4l": np.array([250.0, 600.0])},
        ...                 weight=np.array([0.5, 0.2]), benchmark_weights=np.empty((2, 0)))
        >>> write_index(folder, [info], rows={info.relative_path: 2})
        >>> read_events(folder, "qqZZ").observables["m4l"].tolist(), variations_of(folder, "qqZZ")
        ([250.0, 600.0], ('nominal',))
    """
    folder = Path(folder)
    index = _read_index(folder, sample)
    own = index.get(table_name(sample, variation))
    entries = index[sample] if own is None else own
    tables, infos = [], []
    for entry in entries:
        info = read_info(folder / entry["file"])
        if info.key != entry["key"]:
            raise ArtifactMismatchError(
                f"event table {folder / entry['file']}",
                got=f"key {info.key}",
                expected=f"key {entry['key']} of index.json",
                remedy=REMEDY,
            )
        if own is None and variation not in info.weight_variations:
            raise _no_such_variation(folder, sample, variation)
        tables.append(_read_columns(folder / entry["file"], info, columns, weights=() if own is not None else (variation,)))
        infos.append(info)
    table = pa.concat_tables(tables)
    if table.num_rows != sum(e["rows"] for e in entries):
        raise ArtifactMismatchError(
            f"event tables of {sample} in {folder}",
            got=f"{table.num_rows} rows",
            expected=f"{sum(e['rows'] for e in entries)} rows of index.json",
            remedy=REMEDY,
        )
    return _to_event_table(sample, table, infos[0], variation=variation)


def variations_of(folder: str | Path, sample: str) -> tuple[str, ...]:
    """Return the variations of a sample that `read_events` can read: `NOMINAL`, those of objects, those of weights.

    Raises:
        InputFileError: The index or the first chunk is missing or damaged.
        SchemaError: No such sample.
    """
    index = _read_index(Path(folder), sample)
    return (*tables_of(folder, sample), *read_info(Path(folder) / index[sample][0]["file"]).weight_variations)


def tables_of(folder: str | Path, sample: str) -> tuple[str, ...]:
    """Return the variations of a sample that have events and observables of their own: `NOMINAL`, then those of objects.

    Raises:
        InputFileError: The index is missing or damaged.
        SchemaError: No such sample.
    """
    return (NOMINAL, *(name.partition("@")[2] for name in _read_index(Path(folder), sample) if name.startswith(f"{sample}@")))


def chunks_of(folder: str | Path, sample: str, *, variation: str = NOMINAL) -> tuple[Path, ...]:
    """Return the tables of the chunks of a sample, sorted by ntuple and entry.

    Raises:
        InputFileError: The index is missing or damaged.
        SchemaError: No such sample.
    """
    index = _read_index(Path(folder), sample)
    return tuple(Path(folder) / entry["file"] for entry in index.get(table_name(sample, variation), ()))


def count_events(folder: str | Path, sample: str) -> int:
    """Return the number of selected events of a sample, nominal, without reading them.

    Raises:
        InputFileError: The index is missing or damaged.
        SchemaError: No such sample.
    """
    return sum(int(entry["rows"]) for entry in _read_index(Path(folder), sample)[sample])


def chunk_table(path: str | Path, *, columns: Sequence[str] | None = None) -> EventTable:
    """Read the event table of one chunk; see `read_events` for a whole sample."""
    info = read_info(path)
    return _to_event_table(info.sample, _read_columns(Path(path), info, columns), info, variation=info.variation)


def observables_of(path: str | Path) -> tuple[str, ...]:
    """Return the names of the observables of one chunk, without reading them."""
    return tuple(_observables(pq.read_schema(path).names, read_info(path)))


def read_ratios(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Read the ratios of varied to nominal weight of one chunk, each (n,), by the names of its weight variations."""
    names = read_info(path).weight_variations
    if not names:
        return {}
    table = read_table(path, [f"ratio_{name}" for name in names])
    return {name: to_numpy(table.column(f"ratio_{name}")) for name in names}


def _no_such_variation(folder: Path, sample: str, variation: str) -> SchemaError:
    return SchemaError(
        f"variation {variation!r} of sample {sample} in {folder}",
        got="no such variation",
        expected=f"one of {list(variations_of(folder, sample))}",
        remedy="add it under `systematics` of the config and process again",
    )


def _read_index(folder: Path, sample: str) -> dict[str, list[dict[str, Any]]]:
    path = folder / "index.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema = document.get("schema")
    except (OSError, ValueError, AttributeError) as error:
        raise InputFileError(
            f"event tables in {folder}",
            got=str(error),
            expected="index.json, which the processing stage writes last",
            remedy="`h4l process` writes it when it comes to its end",
        ) from error
    if schema != SCHEMA:
        raise other_version(f"index {path} of event tables", found=schema, expected=SCHEMA, remedy=REMEDY)
    if sample not in document["samples"]:
        raise SchemaError(
            f"event tables in {folder}",
            got=f"no sample {sample!r}",
            expected=f"one of {sorted(name for name in document['samples'] if '@' not in name)}",
            remedy="name a sample of the config that was processed",
        )
    return dict(document["samples"])


def _read_columns(path: Path, info: ChunkInfo, columns: Sequence[str] | None, *, weights: Sequence[str] = ()) -> Any:
    try:
        schema = pq.read_schema(path)
        other = ["weight", *(f"weight_{b}" for b in info.benchmarks), *(f"ratio_{v}" for v in weights if v != NOMINAL)]
        other += [f"region_{name}" for name in info.regions]
        names = _observables(schema.names, info) if columns is None else list(columns)
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise SchemaError(
                f"event table {path}",
                got=f"no column {missing}",
                expected=f"some of {_observables(schema.names, info)}",
                remedy="add the observable to `observables` in the config and process again",
            )
    except _UNREADABLE as error:
        raise damaged_table(path, str(error)) from error
    return read_table(path, [*IDENTITY, *other, *names])


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> Any:
    """Read columns of an event table as they are, each compared with its checksum.

    Args:
        path: The table.
        columns: Names; None reads all.

    Returns:
        An arrow table.

    Raises:
        InputFileError: The file is missing, cut off, or its content changed after it was written.
        SchemaError: It is no event table, or of another version.
    """
    try:
        wanted = None if columns is None else list(dict.fromkeys(columns))
        table = pq.read_table(path, columns=wanted, use_threads=False, page_checksum_verification=True)
        read_about(table.schema.metadata or {}, path, key=_KEY, schema=SCHEMA)
        changed = changed_columns(table)
    except ToolkitError:
        raise
    except (*_UNREADABLE, ValueError, MemoryError) as error:
        raise damaged_table(path, str(error)) from error
    if changed:
        raise damaged_table(path, f"columns {changed} that changed after they were written")
    return table


def check_whole(path: str | Path) -> None:
    """Read a whole event table and compare the checksums of its columns.

    Raises:
        InputFileError: It is missing, cut off, or its content changed after it was written.
        SchemaError: It is no event table, or of another version.
    """
    read_table(path)


def observable_names(columns: Sequence[str], benchmarks: Sequence[str]) -> list[str]:
    """Return the columns that are observables: neither identity nor weights.

    Examples:
        >>> observable_names(["event", "m4l", "weight", "weight_S"], ["S"])
        ['m4l']
    """
    other = {*IDENTITY, "weight", *(f"weight_{b}" for b in benchmarks)}
    return [name for name in columns if name not in other]


def _observables(columns: Sequence[str], info: ChunkInfo) -> list[str]:
    extra = {f"ratio_{name}" for name in info.weight_variations} | {f"region_{name}" for name in info.regions}
    return [name for name in observable_names(columns, info.benchmarks) if name not in extra]


def _to_event_table(sample: str, table: Any, info: ChunkInfo, *, variation: str) -> EventTable:
    column = {name: to_numpy(table.column(name)) for name in table.column_names}
    order = np.lexsort((column["entry"], column["file_index"]))
    if np.any(np.diff(order) != 1):
        column = {name: values[order] for name, values in column.items()}
    n = table.num_rows
    stacked = [column[f"weight_{b}"] for b in info.benchmarks]
    benchmark_weights = np.stack(stacked, axis=1) if stacked else np.empty((n, 0))
    ratio = column.get(f"ratio_{variation}")
    return EventTable(
        sample=sample,
        event_id=column["event"],
        observables={name: column[name] for name in _observables(table.column_names, info)},
        weight=column["weight"] if ratio is None else column["weight"] * ratio,
        benchmarks=info.benchmarks,
        benchmark_weights=benchmark_weights if ratio is None else benchmark_weights * ratio[:, np.newaxis],
        channel=column["channel"],
        file_index=column["file_index"],
        entry=column["entry"],
        regions={name: column[f"region_{name}"] for name in info.regions},
        variation=variation,
        run=column["run"],
        luminosity_block=column["luminosityBlock"],
    )

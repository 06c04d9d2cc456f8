"""Open every input file before any work starts: existence, completeness, trees, branches, weight vectors, normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from processors.benchmark_order import FILES, check_benchmark_order
from processors.branches import WeightNames, check_branches, check_same_weights, describe_weights
from processors.eventfile import EventFile, Format, format_of, open_events
from processors.filelists import expand
from processors.normalisation import read_normalisation
from processors.observables import written_observables
from processors.overlaps import overlap_notes, undecided_entries
from processors.sanity import PROBE, check_probe
from processors.slices import adds_to
from processors.symmetry import check_symmetry
from processors.variations import weight_branches
from processors.weightsearch import weight_candidates
from toolkit import units
from toolkit.artifacts.checksums import check_file
from toolkit.artifacts.events import NOMINAL, table_name
from toolkit.artifacts.hashing import sampled_digest
from toolkit.config import Config, MappingLayout, SampleConfig
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError
from toolkit.locations import Location, file_state, locate
from toolkit.model.processes import component_names
from toolkit.typing import FloatArray


@dataclass(frozen=True)
class FileInput:
    """One ntuple, as found on a disk or a server.

    Args:
        path: The file, an absolute path or a URL.
        tree: Name of the event tree.
        entries: Entries of the event tree.
        uuid: Identity that ROOT gave the file when it was written, 16 bytes.
        size: Bytes.
        version: Time of the last change, or what the server of a remote file states, see `toolkit.locations.FileState`.
        digest: Hash of a few blocks of the content, see `toolkit.artifacts.sampled_digest`.
        branches: Branches of the event tree.
        sumw: Sum of generator weights that the file states, of itself or (`MappingLayout`) of the whole sample; None where the config
            gives the sum of the sample, and for data.
        xsec_pb: Cross-section of the sample as the file states it; None where the config gives it, and for data.
        vectors: What the entries of each weight vector in use are called, or only how many there are, by branch.
        weighted: Branches of a file of data that look like weights of simulated events.
        undecided: Entries that only processing compares with the condition of a sample that adds up with this one, by its name.
        first_weights: Relative weights (n, n_benchmarks) and generator weights (n,) of the first entries, of some files of each sample.
    """

    path: str
    tree: str
    entries: int
    uuid: bytes
    size: int
    version: str
    digest: str
    branches: frozenset[str]
    sumw: float | None
    xsec_pb: float | None
    vectors: dict[str, WeightNames] = field(default_factory=dict)
    weighted: tuple[str, ...] = ()
    undecided: dict[str, int] = field(default_factory=dict)
    first_weights: tuple[FloatArray, FloatArray] | None = field(default=None, repr=False, compare=False)

    @property
    def format(self) -> Format:
        """Format of the file."""
        return format_of(locate(self.path))


@dataclass(frozen=True)
class SampleInputs:
    """All files of a sample and their common normalisation.

    Args:
        config: The sample's section of the config.
        files: In the order of their names.
        xsec_pb: Cross-section in pb, before the k-factor; None for data.
        sumw: Sum of generator weights over all files, before any skim; None for data.
        notes: What its events leave open, in sentences.
        variation: The variation that these files are, where they stand for those of the sample.
        varied: The sets of files that stand for these, one per variation.
    """

    config: SampleConfig
    files: tuple[FileInput, ...]
    xsec_pb: float | None
    sumw: float | None
    notes: tuple[str, ...] = ()
    variation: str = NOMINAL
    varied: tuple[SampleInputs, ...] = ()

    @property
    def name(self) -> str:
        """Name of the sample, with that of the variation."""
        return table_name(self.config.name, self.variation)

    @property
    def entries(self) -> int:
        """Entries of all files."""
        return sum(f.entries for f in self.files)

    def position(self, path: str) -> int:
        """Return the position of a file in the sample; 0 for a file that the config does not list."""
        resolved = str(locate(path).resolve())
        return next((i for i, f in enumerate(self.files) if f.path == resolved), 0)

    def scale(self, luminosity_ifb: float, *, k_factor: float = 1.0) -> float:
        """Return the factor from a generator weight to expected events, xsec x k x luminosity / sum of generator weights; 1 for data.

        Args:
            luminosity_ifb: Integrated luminosity, 1/fb.
            k_factor: A further factor on that of the config.
        """
        if self.xsec_pb is None or self.sumw is None:
            return 1.0
        return self.xsec_pb * units.PB_IFB * (self.config.k_factor * k_factor) * luminosity_ifb / self.sumw


def inspect_inputs(config: Config) -> tuple[SampleInputs, ...]:
    """Open every file of every sample, check it and read the normalisation.

    Args:
        config: The analysis.

    Returns:
        One entry per sample, in the order of the config.

    Raises:
        InputFileError: No file matches, a file cannot be read, or it is truncated.
        SchemaError: A tree or a branch is missing (the nearest name is given), or the features cannot be folded.
        ShapeError: A weight vector does not have one entry per benchmark, or a branch does not hold what its layout says.
        ArtifactMismatchError: A file differs from a checksum beside it (`<name>.sha256`), the files of a sample state different
            cross-sections or weights, a file is read twice, or the events contradict the order of the benchmarks.
        PhysicsDomainError: A cross-section or a sum of weights is 0 or not finite, or negative for what is a density, a weight is not
            finite, or the momenta are in another unit than the config says.
    """
    for key, path in config.external_files.items():
        if not Path(path).is_file():
            raise InputFileError(f"{key}", got=f"no file {path}", expected="an existing file", remedy="check the path")
    written_observables(config)
    check_symmetry(config)
    samples = tuple(_inspect_varied(config, _inspect_sample(config, sample)) for sample in config.samples)
    if not config.allow_duplicates:
        _check_no_copies(samples)
        for sample, varied in ((s, v) for s in samples for v in s.varied):
            _check_no_copies((sample, varied))
    _check_signs(config, [one for s in samples for one in (s, *s.varied)])
    samples = tuple(replace(s, notes=(*s.notes, *_added(config, s))) for s in samples)
    notes = check_benchmark_order(config, samples)
    return tuple(replace(s, notes=(*s.notes, notes[s.config.name])) if s.config.name in notes else s for s in samples)


def _check_signs(config: Config, samples: Sequence[SampleInputs]) -> None:
    """Refuse a negative cross-section of a sample that stands for a squared amplitude.

    Raises:
        PhysicsDomainError: Names the sample.
    """
    negative = {s.config.name: s.xsec_pb for s in samples if s.xsec_pb is not None and s.xsec_pb < 0}
    if not negative:
        return
    model = config.model
    for sample in (s for s in model.samples if s.name in negative):
        process = model.process(sample.process)
        squares = [b.name for b in process.benchmarks if b.name == sample.benchmark and process.is_density(b)]
        if squares and process.n_amplitudes > 1:
            raise PhysicsDomainError(
                f"cross-section of sample {sample.name}",
                got=f"{negative[sample.name]:.6g} pb under {sample.benchmark}, the square of an amplitude",
                expected="a positive number; the interference alone may be negative",
                remedy=f"say what it holds, such as `{sample.benchmark}: {component_names(process.amplitude_names)[1]}` (docs/weights.md)",
            )


def varied_sections(config: Config, sample: SampleConfig) -> dict[str, SampleConfig]:
    """Return the sections of a sample with other files, by name of the variation that they are."""
    return {
        f"{name}_{direction}": section.varied(sample, direction)
        for name, section in config.systematics.samples.items()
        if sample.name in section.samples
        for direction in section.directions
    }


def with_varied(inputs: Sequence[SampleInputs]) -> tuple[SampleInputs, ...]:
    """Return samples, each followed by the sets of files that stand for it."""
    return tuple(one for sample in inputs for one in (sample, *sample.varied))


def _inspect_varied(config: Config, sample: SampleInputs) -> SampleInputs:
    """Open the files that stand for those of a sample; they need none of the weights that vary."""
    own = config.systematics.model_copy(update={"weights": {}, "objects": {}})
    plain = config.model_copy(update={"systematics": own})
    found = [
        replace(_inspect_sample(plain, section), variation=name, notes=())
        for name, section in varied_sections(config, sample.config).items()
    ]
    return replace(sample, varied=tuple(found))


def expand_files(sample: SampleConfig) -> list[Location]:
    """Return the files that a sample names, in the order of its entries, each file once.

    Raises:
        InputFileError: An entry matches nothing, or a folder, or a list cannot be read.
        SchemaError: A dataset says that its files hold another tree.
    """
    return _listed_files(sample)[0]


def _listed_files(sample: SampleConfig) -> tuple[list[Location], tuple[str, ...]]:
    found, notes = expand(sample.files, what=f"files of sample {sample.name}", dataset=sample.name)
    other = next((one for one in found if one.tree and one.tree != sample.tree and format_of(one.file) == "root"), None)
    if other is not None:
        raise SchemaError(
            f"tree of sample {sample.name}",
            got=f"{sample.tree!r}, but dataset {other.dataset} says {other.tree!r} of {other.file}",
            expected="one tree",
            remedy=f"set `tree: {other.tree}` of the sample",
        )
    return [one.file for one in found], notes


def _inspect_sample(config: Config, sample: SampleConfig) -> SampleInputs:
    paths, repeated = _listed_files(sample)
    files = tuple(_inspect_file(path, config, sample) for path in paths)
    files = (*files[:FILES], *(replace(file, first_weights=None) for file in files[FILES:]))
    check_same_weights(sample, {file.path: file.vectors for file in files})
    if sample.kind != "simulation":
        return SampleInputs(config=sample, files=files, xsec_pb=None, sumw=None, notes=(*repeated, *_weighted_data(sample, files)))
    xsec_pb = sample.xsec_pb if isinstance(sample.xsec_pb, float | int) else _stated(sample, files, "xsec_pb", "cross-section")
    if isinstance(sample.gen_sumw, float | int):
        sumw = float(sample.gen_sumw)
    elif isinstance(sample.layout, MappingLayout) and sample.gen_sumw == "file" and sample.layout.gen_sumw is not None:
        sumw = _stated(sample, files, "sumw", "sum of generator weights")
    else:
        sumw = math.fsum(f.sumw or 0.0 for f in files)
    for what, value in (("cross-section (pb)", xsec_pb), ("sum of generator weights", sumw)):
        if not (math.isfinite(value) and value != 0.0):
            raise PhysicsDomainError(
                f"{what} of sample {sample.name}",
                got=value,
                expected="a finite number that is not 0",
                remedy="check the Runs tree or the weights of the files, or give the number in the config",
            )
    if (xsec_pb > 0) != (sumw > 0):
        raise PhysicsDomainError(
            f"normalisation of sample {sample.name}",
            got=f"cross-section {xsec_pb:.6g} pb and sum of generator weights {sumw:.6g}",
            expected="numbers of one sign: both positive, or both negative for a sample of interference alone",
            remedy="check the Runs tree or the weights of the files, or give `xsec_pb` with its sign in the config",
        )
    return SampleInputs(
        config=sample,
        files=files,
        xsec_pb=float(xsec_pb),
        sumw=float(sumw),
        notes=(*repeated, *_summed_here(sample), *_negative(config, sample, xsec_pb)),
    )


def _summed_here(sample: SampleConfig) -> tuple[str, ...]:
    """Warn where the sum of weights is that of the events in the files: of a skimmed sample it is too small."""
    if sample.gen_sumw != "sum":
        return ()
    what = f"sample {sample.name}: the sum of generator weights is that of the events in the files (gen_sumw: sum)"
    return (f"{what}; yields are too large if any event was left out when the files were written",)


def _added(config: Config, inputs: SampleInputs) -> tuple[str, ...]:
    """Say of samples that add up where two could hold the same part of phase space, which would count twice."""
    sample, partners = inputs.config, adds_to(config, inputs.config)
    undecided = {name: sum(f.undecided.get(name, 0) for f in inputs.files) for name in inputs.files[0].undecided}
    notes = overlap_notes(sample, {s.name: s.where for s in partners}, undecided, inputs.entries)
    others = [s.name for s in partners if not s.where]
    first = next((s.name for s in config.simulated if s.name in {sample.name, *others}), "")
    if sample.where or not others or first != sample.name:
        return notes
    names = ", ".join([sample.name, *others])
    return (
        *notes,
        f"samples {names} add up; a part of phase space that two of them hold counts twice: say with `where` which part each is",
    )


def _negative(config: Config, sample: SampleConfig, xsec_pb: float) -> tuple[str, ...]:
    """Say of a sample with a negative sum what it can be in a fit, where the config makes it a process of its own."""
    if xsec_pb > 0 or any(s.name == sample.name and config.model.process(s.process).n_amplitudes > 1 for s in config.model.samples):
        return ()
    what = (
        f"sample {sample.name}: negative cross-section; `h4l process` writes its events, and `h4l run` refuses it as a process of its own"
    )
    return (f"{what}. Interference alone is a benchmark of the process that interferes (docs/weights.md).",)


def _weighted_data(sample: SampleConfig, files: Sequence[FileInput]) -> tuple[str, ...]:
    """Warn where data have what looks like weights: simulation must not become data silently."""
    weighted = sorted({name for file in files for name in file.weighted})
    if not weighted:
        return ()
    what = f"sample {sample.name} is of kind data, every event counts 1"
    return (f"{what}; its files have what looks like weights of simulated events: {', '.join(weighted)}",)


def _stated(sample: SampleConfig, files: tuple[FileInput, ...], attribute: str, what: str) -> float:
    """Return the number of the whole sample that every file states."""
    values = [getattr(f, attribute) for f in files]
    if not np.allclose(values, max(values), rtol=1e-6, atol=0.0, equal_nan=True):
        unit = " pb" if attribute == "xsec_pb" else ""
        raise ArtifactMismatchError(
            f"{what} of sample {sample.name}",
            got=", ".join(f"{locate(f.path).name}: {value}{unit}" for f, value in zip(files, values, strict=True)),
            expected=f"one {what} for all files of a sample (it is that of the sample, not of the file)",
            remedy=f"list files of different processes as different samples, or give {_OPTIONS[attribute]} as a number",
        )
    return float(max(values))


_OPTIONS = {"xsec_pb": "xsec_pb", "sumw": "gen_sumw"}


def _check_no_copies(samples: Sequence[SampleInputs]) -> None:
    """Check that no input file is read twice, as itself or as a copy.

    Raises:
        ArtifactMismatchError: Two files have the same identity, size and content.
    """
    remedy = "remove one of the two from `files`, or set `allow_duplicates: true` if its events are meant to count twice"
    seen: dict[tuple[bytes, int, str], tuple[str, str]] = {}
    for sample in samples:
        for file in sample.files:
            name, first = sample.name, seen.setdefault((file.uuid, file.size, file.digest), (sample.name, file.path))
            if first == (name, file.path):
                continue
            where = f"files of sample {name}" if first[0] == name else f"files of samples {first[0]} and {name}"
            same = (
                f"both read {file.path}"
                if first[1] == file.path
                else f"{first[1]} and {file.path} have the same identity: one is a copy of the other"
            )
            raise ArtifactMismatchError(where, got=same, expected="every event once", remedy=remedy)


def _inspect_file(path: Location, config: Config, sample: SampleConfig) -> FileInput:
    check_file(path)
    with open_events(path, sample.tree) as events:
        check_branches(path, config, sample, events.types)
        vectors = describe_weights(path, events, sample, weight_branches(config, sample))
        xsec_pb, sumw = read_normalisation(path, events, sample)
        first = check_probe(path, events, sample)
        weighted = weight_candidates(events, min(PROBE, events.entries)) if sample.kind == "data" else ()
        found = _file_input(path, events, sample, vectors=vectors, xsec_pb=xsec_pb, sumw=sumw)
        known = (first.benchmark_ratios, first.gen_weight) if sample.benchmarks else None
        return replace(found, weighted=weighted, undecided=undecided_entries(events, config, sample), first_weights=known)


def _file_input(
    path: Location, events: EventFile, sample: SampleConfig, *, vectors: dict[str, WeightNames], xsec_pb: float | None, sumw: float | None
) -> FileInput:
    state = file_state(path)
    return FileInput(
        path=str(path),
        tree=sample.tree,
        entries=events.entries,
        uuid=events.uuid,
        size=state.size,
        version=state.version,
        digest=sampled_digest(path),
        branches=frozenset(events.types),
        sumw=sumw,
        xsec_pb=xsec_pb,
        vectors=vectors,
    )

"""Read cross-section and sum of generator weights from where the format keeps them."""

from __future__ import annotations

import math

import numpy as np

from processors.eventfile import EventFile
from processors.formats import reader_for
from processors.formats.columns import product
from processors.lhefile import CROSS_SECTION, HEAD
from processors.rootfile import decoding, open_root
from toolkit import units
from toolkit.config import LheLayout, MappingLayout, NanoLayout, SampleConfig
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError, SchemaError
from toolkit.locations import Location
from toolkit.typing import FloatArray

STEP = 10_000_000
"""Entries whose weights are summed at once."""


def read_normalisation(path: Location, events: EventFile, sample: SampleConfig) -> tuple[float | None, float | None]:
    """Read what the config leaves to the file.

    Args:
        path: The file, for messages.
        events: Its events.
        sample: The sample's section of the config.

    Returns:
        Cross-section in pb and sum of generator weights; None where the config gives them, and for data.

    Raises:
        SchemaError: The file does not hold them.
        ArtifactMismatchError: It holds different numbers where there should be one.
        PhysicsDomainError: A summed weight is not finite.
    """
    if sample.kind != "simulation":
        return None, None
    xsec_pb = _cross_section(path, events, sample) if sample.xsec_pb == "file" else None
    sumw = None
    if sample.gen_sumw == "sum" or (sample.gen_sumw == "file" and isinstance(sample.layout, LheLayout)):
        sumw = _sum_of_weights(path, events, sample)
    elif sample.gen_sumw == "file":
        sumw = _stated_sum(path, events, sample)
    return xsec_pb, sumw


def _cross_section(path: Location, events: EventFile, sample: SampleConfig) -> float:
    layout = sample.layout
    if isinstance(layout, NanoLayout):
        values = _column(path, events, sample, layout.runs_tree, layout.xsec_fb, option="xsec_pb")
        return _single(values, f"{layout.xsec_fb} in the Runs tree of {path}", "one cross-section (fb)") * units.FB
    if isinstance(layout, MappingLayout) and layout.xsec_pb is not None:
        return _repeated(path, events, sample, layout.xsec_branches, option="xsec_pb")
    values = _column(path, events, sample, HEAD, CROSS_SECTION, option="xsec_pb")
    return _single(values, f"{CROSS_SECTION} in the head of {path}", "one cross-section (pb)")


def _stated_sum(path: Location, events: EventFile, sample: SampleConfig) -> float:
    layout = sample.layout
    if isinstance(layout, MappingLayout) and layout.gen_sumw is not None:
        return _repeated(path, events, sample, (layout.gen_sumw,), option="gen_sumw")
    if isinstance(layout, MappingLayout) and layout.gen_sumw_bin:
        return _bin(path, sample, layout.gen_sumw_bin)
    names = (layout.runs_tree, layout.gen_sumw) if isinstance(layout, NanoLayout) else (HEAD, "sum of weights")
    return float(_column(path, events, sample, *names, option="gen_sumw").sum())


def _bin(path: Location, sample: SampleConfig, text: str) -> float:
    """Return the content of a bin of a histogram, written NAME[BIN]."""
    name, _, number = text.removesuffix("]").rpartition("[")
    contents = histogram_contents(path, name)
    if contents is None or len(contents) < int(number):
        raise SchemaError(
            f"histogram {name!r} in {path}",
            got="no such histogram of one axis" if contents is None else f"{len(contents)} bins",
            expected=f"bin {number} with the sum of generator weights of the file",
            remedy=f"correct `layout.gen_sumw_bin` of sample {sample.name}, or give `gen_sumw` as a number",
        )
    return float(contents[int(number) - 1])


def histogram_contents(path: Location, name: str) -> FloatArray | None:
    """Return the contents of the bins of a histogram of one axis, (n_bins,); None if the file has none of this name."""
    with open_root(path) as directory, decoding(path, f"histogram {name!r}"):
        kinds = {key.partition(";")[0]: kind for key, kind in directory.classnames(recursive=True).items()}
        if not kinds.get(name, "").startswith("TH1"):
            return None
        contents: FloatArray = np.asarray(directory[name].values(), dtype=np.float64)
        return contents


def _column(path: Location, events: EventFile, sample: SampleConfig, tree: str, column: str, *, option: str) -> FloatArray:
    values = events.constants(tree, column)
    if values is None:
        raise SchemaError(
            f"branch {column!r} of tree {tree!r} in {path}",
            got="no such branch",
            expected=column,
            remedy=f"give `{option}` of sample {sample.name} as a number in the config",
        )
    return values


def _single(values: FloatArray, what: str, expected: str) -> float:
    if len(values) == 0 or not np.allclose(values, values[0], rtol=1e-6, atol=0.0):
        raise ArtifactMismatchError(what, got=list(values), expected=expected, remedy="give `xsec_pb` of the sample as a number")
    return float(values[0])


def _repeated(path: Location, events: EventFile, sample: SampleConfig, names: tuple[str, ...], *, option: str) -> float:
    """Return a number of the whole sample, the product of branches of the event tree that repeat it in every event."""
    lost = next((name for name in names if name not in events.types), None)
    if lost is not None:
        raise SchemaError(
            f"branch {lost!r} in {path}",
            got="no such branch",
            expected=lost,
            remedy=f"give `{option}` of sample {sample.name} as a number in the config, or set `kind: data`",
        )
    steps = [events.arrays(names, start, min(start + STEP, events.entries)) for start in range(0, events.entries, STEP)]
    values = np.concatenate([product(part, names) for part in steps]) if steps else np.empty(0)
    if len(values) == 0 or not np.allclose(values, values[0], rtol=1e-6, atol=0.0):
        raise ArtifactMismatchError(
            f"{' x '.join(map(repr, names))} in {path}",
            got=f"{len(values)} entries from {values.min(initial=np.inf)} to {values.max(initial=-np.inf)}",
            expected="the same number in every event: it is that of the sample",
            remedy=f"list different processes as different samples, or give `{option}` as a number",
        )
    return float(values[0])


def _sum_of_weights(path: Location, events: EventFile, sample: SampleConfig) -> float:
    names = reader_for(sample).generator_branches()
    if not names:
        return float(events.entries)
    steps = range(0, events.entries, STEP)
    value = math.fsum(float(product(events.arrays(names, start, min(start + STEP, events.entries)), names).sum()) for start in steps)
    if not math.isfinite(value):
        raise PhysicsDomainError(
            f"generator weights {' x '.join(map(repr, names))} in {path}",
            got="a NaN or infinite weight",
            expected="finite weights",
            remedy="repair the ntuple, or ask who made it; events are never dropped silently",
        )
    return value

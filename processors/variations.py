"""Weight systematics: ratios of varied to nominal weights per event, and the combination of the members of a set.

A weight variation does not change which events are selected, so it costs one column of ratios in the nominal event
table: the varied weight is the nominal one times the ratio, under every benchmark. What the variation does to the
cross-section stays in the weight. Members of a set (PDFs, scale choices) are kept one by one, because an envelope or a
sum in quadrature can only be taken of sums of weights: `toolkit.weights.combine_members` does that bin by bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import hist
import numpy as np
from numpy.typing import NDArray

from processors.formats.columns import branch, has
from processors.formats.record import EventRecord
from toolkit.config import (
    Config,
    CorrectionConfig,
    SampleConfig,
    WeightColumns,
    WeightCorrection,
    WeightMembers,
    WeightPair,
    WeightVariation,
)
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights import combine_members


def weight_variations(config: Config, sample: SampleConfig) -> dict[str, WeightVariation]:
    """Return the weight systematics of a sample by name, in the order of the config: data have none, estimates those that name them."""
    if sample.kind == "data":
        return {}
    own = sample_corrections(config, sample)
    chosen = {
        name: v
        for name, v in config.systematics.weights.items()
        if sample.name in v.samples or (not v.samples and sample.kind == "simulation")
    }
    return {name: v for name, v in chosen.items() if not isinstance(v, WeightCorrection) or any(c in own for c in v.of)}


def sample_corrections(config: Config, sample: SampleConfig) -> dict[str, CorrectionConfig]:
    """Return the corrections of a sample by name, in the order of the config; only simulation has any."""
    if sample.kind != "simulation":
        return {}
    return {name: c for name, c in config.corrections.items() if not c.samples or sample.name in c.samples}


def weight_names(config: Config, sample: SampleConfig) -> tuple[str, ...]:
    """Return the names of the weight columns of a sample: NAME_up and NAME_down, for members NAME_<index>."""
    return tuple(name for key, v in weight_variations(config, sample).items() for name in _columns(key, v))


def combined_members(config: Config, sample: SampleConfig) -> dict[str, tuple[WeightMembers, tuple[str, ...]]]:
    """Return the sets of members of a sample: section of the config and names of the weight columns, by name."""
    chosen = weight_variations(config, sample)
    return {name: (v, _columns(name, v)) for name, v in chosen.items() if isinstance(v, WeightMembers)}


def weight_branches(config: Config, sample: SampleConfig) -> tuple[str, ...]:
    """Return the branches or named vectors that the weight variations of a sample need, once each."""
    found: dict[str, None] = {}
    for v in weight_variations(config, sample).values():
        if isinstance(v, WeightCorrection):
            continue
        names = (v.up, v.down, v.nominal) if isinstance(v, WeightColumns) else (v.vector,)
        found.update({name: None for name in names if name is not None})
    return tuple(found)


def read_ratios(events: Any, record: EventRecord, config: Config, sample: SampleConfig) -> dict[str, FloatArray]:
    """Read the ratios of varied to nominal weight of a chunk.

    Args:
        events: Entries of the chunk, with a field per branch.
        record: The same events in the internal form; its named weight vectors go before branches of the same name.
        config: The analysis.
        sample: Its section of the config.

    Returns:
        Ratios by the names of `weight_names`, each (n,) float64; those of corrections are not among them.

    Raises:
        SchemaError: A branch is missing, or holds no numbers.
        ShapeError: A vector is shorter than an index, or its length differs between events.
        PhysicsDomainError: A ratio is NaN or infinite, or a reference weight is zero; the event is named.
    """
    ratios: dict[str, FloatArray] = {}
    for key, v in weight_variations(config, sample).items():
        if isinstance(v, WeightCorrection):
            continue  # of selected events only, see `processors.corrections`
        if isinstance(v, WeightColumns):
            found = [_number(events, record, name) for name in (v.up, v.down) if name is not None]
            reference = None if v.nominal is None else _number(events, record, v.nominal)
        else:
            matrix = _matrix(events, record, v.vector)
            wanted = (v.up, v.down) if isinstance(v, WeightPair) else v.members
            _check_length(matrix, (*wanted, *(() if v.reference is None else (v.reference,))), v.vector, sample.name)
            found = [matrix[:, i] for i in wanted]
            reference = None if v.reference is None else matrix[:, v.reference]
        for name, values in zip(_columns(key, v), found, strict=True):
            with np.errstate(all="ignore"):
                ratios[name] = values.copy() if reference is None else values / reference
            _check_finite(ratios[name], name, sample.name, record)
    return ratios


def combine_histograms(
    nominal: Mapping[str, hist.Hist], members: Sequence[Mapping[str, hist.Hist]], *, how: str
) -> tuple[dict[str, hist.Hist], dict[str, hist.Hist]]:
    """Combine the histograms of members bin by bin (see `combine_members`); the sums of squared weights stay the nominal ones.

    Args:
        nominal: Nominal histograms by name.
        members: Histograms under each member; only those in all of them are combined.
        how: See `combine_members`.

    Returns:
        Histograms of the upward and of the downward variation.
    """
    up: dict[str, hist.Hist] = {}
    down: dict[str, hist.Hist] = {}
    for name in members[0]:
        stacked = np.stack([m[name].view(flow=True)["value"] for m in members])
        values = combine_members(nominal[name].view(flow=True)["value"], stacked, how=how)
        for target, value in zip((up, down), values, strict=True):
            target[name] = nominal[name].copy()
            target[name].view(flow=True)["value"] = value
    return up, down


def _columns(key: str, v: WeightVariation) -> tuple[str, ...]:
    if isinstance(v, WeightMembers):
        return tuple(f"{key}_{i}" for i in v.members)
    one_sided = isinstance(v, WeightColumns | WeightCorrection) and v.down is None
    return (f"{key}_up",) if one_sided else (f"{key}_up", f"{key}_down")


def _branch(events: Any, name: str) -> Any:
    if has(events, name):
        return branch(events, name)
    raise SchemaError(
        f"branch {name!r} of a weight variation",
        got="no such branch",
        expected=f"one of {sorted(events.fields)}",
        remedy="correct the name under `systematics.weights`, or list the samples that have it under `samples`",
    )


def _number(events: Any, record: EventRecord, name: str) -> FloatArray:
    if name in record.columns:
        return record.columns[name]
    if name in record.weight_vectors and record.weight_vectors[name].shape[1] == 1:
        return record.weight_vectors[name][:, 0]
    values = _branch(events, name)
    try:
        numbers: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _not_numbers(name, values, "one number per event") from error
    if numbers.ndim != 1:
        raise _not_numbers(name, values, "one number per event")
    return numbers


def _matrix(events: Any, record: EventRecord, name: str) -> FloatArray:
    if name in record.weight_vectors:
        return record.weight_vectors[name]
    values = _branch(events, name)
    if values.ndim != 2:
        raise _not_numbers(name, values, "a vector of numbers per event")
    lengths = np.unique(np.asarray(ak.num(values, axis=1)))
    if len(lengths) > 1:
        raise ShapeError(
            f"weight vector {name!r}",
            got=f"lengths {lengths.tolist()} in one chunk",
            expected="one length for all events",
            remedy="the entries of a weight vector must mean the same in every event; repair the ntuple",
        )
    return np.asarray(ak.flatten(values, axis=1), dtype=np.float64).reshape(len(values), -1 if len(values) else 0)


def _not_numbers(name: str, values: Any, expected: str) -> ShapeError:
    got = str(getattr(values, "type", type(values).__name__))
    return ShapeError(f"branch {name!r} of a weight variation", got=got, expected=expected, remedy="choose another branch or kind")


def _check_length(matrix: FloatArray, wanted: Sequence[int], vector: str, sample: str) -> None:
    if len(matrix) and max(wanted) >= matrix.shape[1]:
        raise ShapeError(
            f"weight vector {vector!r} of sample {sample}",
            got=f"{matrix.shape[1]} entries",
            expected=f"at least {max(wanted) + 1}, for index {max(wanted)}",
            remedy="correct the indices under `systematics.weights`",
        )


def _check_finite(ratio: FloatArray, name: str, sample: str, record: EventRecord) -> None:
    bad = np.flatnonzero(~np.isfinite(ratio))
    if len(bad):
        raise PhysicsDomainError(
            f"weight variation {name} of event {record.identity['event'][bad[0]]} of sample {sample}",
            got=f"{ratio[bad[0]]} ({len(bad)} such events in this chunk)",
            expected="a finite ratio to the nominal weight",
            remedy="repair the ntuple, or leave the variation out for this sample; events are never dropped silently",
        )

"""Histograms of every observable, per sample and hypothesis, with sums of squared weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boost_histogram as bh
import hist
import numpy as np
import uhi.io.json
from numpy.typing import NDArray
from scipy.sparse import csc_array

from processors.observables import known_observables
from toolkit.artifacts.atomic import make_folder, write_text
from toolkit.config import Config
from toolkit.errors import InputFileError
from toolkit.kinematics import Observable

OWN = "own"
"""Name of the hypothesis under which the sample was generated, beside the benchmarks."""

BINS = 50


def book(config: Config, observables: tuple[str, ...], hypotheses: tuple[str, ...]) -> dict[str, hist.Hist]:
    """Create the empty histograms of one sample.

    Args:
        config: The analysis; each entry of `histograms` with edges of one observable adds one with the key ``baseline:<name>`` in its
            own binning, but for scores of classifiers, which come later.
        observables: Columns of the event tables.
        hypotheses: `OWN` and the sample's benchmarks.

    Returns:
        One histogram per observable and baseline: axes (hypothesis, observable), weighted storage.
    """
    known = known_observables(config)
    booked = {name: _empty(hypotheses, _monitoring_axis(known[name])) for name in observables}
    for name, baseline in config.histograms.items():
        if len(baseline.observables) > 1 or baseline.bins is not None or baseline.observables[0] in config.classifier_columns:
            continue
        [observable], [edges] = baseline.observables, baseline.axes
        axis = hist.axis.Variable(list(edges), name=observable, label=known[observable].axis_label)
        booked[f"baseline:{name}"] = _empty(hypotheses, axis)
    return booked


def fill(
    booked: Mapping[str, hist.Hist],
    observables: Mapping[str, NDArray[np.float64]],
    weight: NDArray[np.float64],
    benchmark_weights: NDArray[np.float64],
) -> None:
    """Fill the histograms of one sample; events that lack an observable (NaN) do not enter its histogram.

    Args:
        booked: From `book`; changed in place.
        observables: Each (n,).
        weight: Expected events under the sample's own hypothesis, (n,).
        benchmark_weights: Expected events under each benchmark, (n, n_benchmarks), in the order of the hypothesis axis.

    Notes:
        The bin of each event is found once for all hypotheses; the sums are the product of a sparse matrix (bins, events)
        and the weights, in the order of the events, bit by bit what `Hist.fill` adds up.
    """
    weights = np.column_stack([weight, benchmark_weights])
    powers = np.concatenate([weights, weights**2], axis=1)
    columns, ones = np.arange(len(weight) + 1, dtype=np.int32), np.ones(len(weight))
    for histogram in booked.values():
        axis = histogram.axes[1]
        values = observables[axis.name]
        bins = np.asarray(axis.index(values), dtype=np.int32) + np.int32(1)
        bins[np.isnan(values)] = axis.extent
        sums = (csc_array((ones, bins, columns), shape=(axis.extent + 1, len(weight))) @ powers).T
        view, n_hypotheses = histogram.view(flow=True), weights.shape[1]
        view["value"][:n_hypotheses] += sums[:n_hypotheses, : axis.extent]
        view["variance"][:n_hypotheses] += sums[n_hypotheses:, : axis.extent]


def write_histograms(folder: str | Path, sample: str, histograms: Mapping[str, hist.Hist]) -> Path:
    """Write the histograms of one sample as ``<sample>.json`` in the histogram form of the `uhi` library.

    Raises:
        InputFileError: The disk is full or the folder cannot be written.
    """
    path = make_folder(folder) / f"{sample}.json"
    write_text(path, json.dumps(dict(histograms), default=uhi.io.json.default) + "\n")
    return path


def read_histograms(path: str | Path) -> dict[str, hist.Hist]:
    """Read the histograms of one sample back.

    Raises:
        InputFileError: The file is missing or damaged.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"), object_hook=uhi.io.json.object_hook)
    except (OSError, ValueError) as error:
        raise InputFileError(
            f"histograms {path}", got=str(error), expected="a complete histogram file", remedy="run the processing stage again"
        ) from error
    return {name: hist.Hist(value) for name, value in document.items()}


def _monitoring_axis(entry: Observable) -> Any:
    """Return equal bins over the plot range of the registry; counts get bins centred on integers. Under- and overflow are kept."""
    name, (low, high) = entry.name, entry.range
    if name.startswith("n_"):
        return hist.axis.Regular(round(high - low) + 1, low - 0.5, high + 0.5, name=name, label=entry.axis_label)
    return hist.axis.Regular(BINS, low, high, name=name, label=entry.axis_label)


def _empty(hypotheses: tuple[str, ...], axis: Any) -> hist.Hist:
    return hist.Hist(hist.axis.StrCategory(list(hypotheses), name="hypothesis"), axis, storage=bh.storage.Weight())

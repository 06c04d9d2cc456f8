"""Per-event variations of an unbinned channel, read from columns, ONNX files or bins of an observable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.likelihood.shapes import Shapes
from toolkit.likelihood.workspace_schema import BinnedSource, ColumnSource, ModelSource, Source, UnbinnedChannel
from toolkit.typing import FloatArray


class Ratio(Protocol):
    """What a workspace needs of a ratio model; `OnnxRatio` is one."""

    @property
    def features(self) -> Sequence[str]:
        """Names of the input columns."""
        ...

    @property
    def numerators(self) -> Sequence[str]:
        """Names of the output columns."""
        ...

    @property
    def reference(self) -> str:
        """Name of the reference density."""
        ...

    def columns(self, observables: Mapping[str, ArrayLike]) -> FloatArray:
        """Stack named observables in the order of the features."""
        ...

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Evaluate log ratios (n, n_numerators)."""
        ...

    def spread(self, x: ArrayLike) -> FloatArray:
        """Evaluate the standard deviation of the log ratios over an ensemble (n, n_numerators)."""
        ...


OpenRatio = Callable[[Path], Ratio]


class ShapeReader:
    """Evaluates the variations of a channel for any set of events.

    Args:
        channel: The channel.
        folder: Folder that its file names are relative to.
        open_ratio: Opens an ONNX file.

    Raises:
        ArtifactMismatchError: An ONNX file that lacks an output.
    """

    def __init__(self, channel: UnbinnedChannel, folder: Path, open_ratio: OpenRatio) -> None:
        self.channel = channel
        sources = [source for s in channel.samples for pair in s.shapes.values() for source in pair if source is not None]
        self._models = {name: open_ratio(folder / name) for name in sorted({m.model for m in sources if isinstance(m, ModelSource)})}
        for source in sources:
            if isinstance(source, ModelSource) and source.output not in self._models[source.model].numerators:
                raise ArtifactMismatchError(
                    f"unbinned channel {channel.name!r}, variation model {source.model}",
                    got=list(self._models[source.model].numerators),
                    expected=f"{source.output!r} among the outputs",
                    remedy="take the model that belongs to this workspace",
                )
        wanted = [s.column for s in sources if isinstance(s, ColumnSource)] + [s.observable for s in sources if isinstance(s, BinnedSource)]
        wanted += [feature for model in self._models.values() for feature in model.features]
        self.columns = tuple(dict.fromkeys(wanted))
        self.any = bool(sources)

    def read(self, columns: Mapping[str, FloatArray], n_events: int) -> Shapes:
        """Evaluate all variations.

        Args:
            columns: The columns named by `columns`, each (n_events,).
            n_events: Number of events.

        Returns:
            The variations, in the order of the channel's samples.
        """
        known: dict[tuple[str, bool], FloatArray] = {}
        variations = [
            {name: self._pair(up, down, columns, known) for name, (up, down) in sample.shapes.items()} for sample in self.channel.samples
        ]
        return Shapes.of(variations, n_events=n_events, code=self.channel.interpolation)

    def _pair(
        self, up: Source, down: Source | None, columns: Mapping[str, FloatArray], known: dict[tuple[str, bool], FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        high = self._evaluate(up, columns, known)
        return high, -high if down is None else self._evaluate(down, columns, known)

    def _evaluate(self, source: Source, columns: Mapping[str, FloatArray], known: dict[tuple[str, bool], FloatArray]) -> FloatArray:
        if isinstance(source, ColumnSource):
            return columns[source.column]
        if isinstance(source, BinnedSource):
            return binned_variation(columns[source.observable], source)
        model, key = self._models[source.model], (source.model, source.spread)
        if key not in known:
            x = model.columns(columns)
            known[key] = model.spread(x) if source.spread else model(x)
        return np.asarray(known[key][:, list(model.numerators).index(source.output)])


def binned_variation(values: ArrayLike, source: BinnedSource) -> FloatArray:
    """Look a variation up in bins of an observable (n_events,); values beyond the edges take the nearest bin.

    Raises:
        SchemaError: A value is missing.

    Examples:
        >>> source = BinnedSource(observable="m4l", edges=(200.0, 300.0, 400.0), log_ratio=(0.1, 0.2))
        >>> binned_variation([250.0, 300.0, 900.0], source).tolist()
        [0.1, 0.2, 0.2]
    """
    x = np.asarray(values, dtype=np.float64)
    if np.isnan(x).any():
        what = f"variation in bins of {source.observable!r}"
        raise SchemaError(what, got=f"{int(np.isnan(x).sum())} events without it", expected="a value for every event")
    index = np.clip(np.searchsorted(source.edges, x, side="right") - 1, 0, len(source.log_ratio) - 1)
    return np.asarray(np.asarray(source.log_ratio, dtype=np.float64)[index])

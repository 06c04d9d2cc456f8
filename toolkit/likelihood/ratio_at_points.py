"""A network that reads theta, looked at for a few values of it: one output per value, as a network of densities has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.typing import FloatArray


class RatioAtPoints(OnnxRatio):
    """ln p(x | theta_k) / p_ref(x) for fixed values theta_k of an ONNX file that reads theta.

    Args:
        path: The ONNX file; it has one output and reads one parameter.
        values: theta_k, (n_values,).
        names: Names of the outputs, one per value.
        threads: As for `OnnxRatio`.

    Raises:
        ArtifactMismatchError: The file has several outputs, or reads another number of parameters than one.
    """

    def __init__(self, path: str | Path, *, values: Sequence[float], names: Sequence[str], threads: int | None = None) -> None:
        super().__init__(path, threads=threads)
        if len(self.parameters) != 1 or len(self.numerators) != 1:
            got = f"outputs {list(self.numerators)}, parameters {list(self.parameters)}"
            raise ArtifactMismatchError(f"{path}", got=got, expected="one output that reads one parameter", remedy="train and export again")
        [self.output], [self.parameter] = self.numerators, self.parameters
        self.values, self.numerators = np.asarray(values, dtype=np.float64), tuple(names)

    def columns(self, observables: Mapping[str, ArrayLike]) -> FloatArray:
        """Stack the observables, (n, n_features); values of the parameter are not asked for."""
        return super().columns({**observables, self.parameter: 0.0})[:, : len(self.features)]

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Compute the log ratios at all values of observables (n, n_features), (n, n_values)."""
        return np.stack([super(RatioAtPoints, self).__call__(rows)[:, 0] for rows in self._rows(x)], axis=1)

    def spread(self, x: ArrayLike) -> FloatArray:
        """Compute the standard deviations over the ensemble at all values, (n, n_values)."""
        return np.stack([super(RatioAtPoints, self).spread(rows)[:, 0] for rows in self._rows(x)], axis=1)

    def with_spread(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Compute log ratios and standard deviations at all values in one pass, (n, n_values) each."""
        pairs = [super(RatioAtPoints, self).with_spread(rows) for rows in self._rows(x)]
        log_ratio, spread = (np.stack([pair[k][:, 0] for pair in pairs], axis=1) for k in (0, 1))
        return log_ratio, spread

    def at(self, x: ArrayLike, theta: float) -> FloatArray:
        """Compute the log ratio of observables (n, n_features) at any value, (n,)."""
        return super().__call__(self._with(x, theta))[:, 0]

    def __reduce__(self) -> tuple[Callable[..., RatioAtPoints], tuple[Path]]:
        """Pickle as path and values: worker processes open the file again."""
        again = functools.partial(RatioAtPoints, values=self.values.tolist(), names=self.numerators, threads=self._threads)
        return (again, (self.path,))

    def _evaluate(self, x: ArrayLike, *outputs: str) -> tuple[FloatArray, ...]:
        names, self.numerators = self.numerators, (self.output,)
        try:
            return super()._evaluate(x, *outputs)
        finally:
            self.numerators = names

    def _rows(self, x: ArrayLike) -> list[FloatArray]:
        return [self._with(x, float(theta)) for theta in self.values]

    def _with(self, x: ArrayLike, theta: float) -> FloatArray:
        rows = np.asarray(x)
        return np.concatenate([rows, np.full((len(rows), 1), theta, dtype=rows.dtype)], axis=1)

"""Value and exact gradient of a pyhf model.

pyhf evaluates a model with numpy but does not differentiate it. This module reads the same specification into flat arrays of cells
(one per channel, sample and bin) and evaluates

    expected_b = sum_cells (nominal + sum shifts) prod factors,     twice_nll = -2 ln Poisson(n_b | expected_b) + constraints

with all modifiers of HistFactory: histosys, normsys, normfactor, shapefactor, lumi, shapesys, staterror. `compile_model` returns None for
anything else (custom modifiers, clipping, other interpolation codes), where the caller keeps to pyhf and numerical derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyhf
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.interpolation import factor, shift
from toolkit.typing import FloatArray, IntArray

_BY_BIN = ("shapefactor", "shapesys", "staterror")
_SCALARS = ("normfactor", "lumi")


class NormTable(NamedTuple):
    """All normsys of a model: parameter, logarithms of the factors at 1 and -1, each (n_normsys,)."""

    parameter: IntArray
    log_up: FloatArray
    log_down: FloatArray


class ShiftTable(NamedTuple):
    """All histosys cells of a model: parameter, cell, differences at 1 and -1, each (n_pairs,)."""

    parameter: IntArray
    cell: IntArray
    up: FloatArray
    down: FloatArray


@dataclass(frozen=True, eq=False)
class HistFactoryKernel:
    """A model as flat arrays.

    Attributes:
        nominal: Expected events of each cell, (n_cells,).
        bins: Bin of each cell, (n_cells,).
        n_bins: Number of bins over all channels.
        factors: For each cell the entries of the factor vector that multiply it, (n_cells, n_factors): the parameters come first,
            then the normsys, then a 1 that fills up the rows.
        norms: The normsys.
        shifts: The histosys.
        codes: Interpolation codes of normsys and histosys.
    """

    nominal: FloatArray
    bins: IntArray
    n_bins: int
    factors: IntArray
    norms: NormTable
    shifts: ShiftTable
    codes: Mapping[str, Any]

    def expected(self, parameters: FloatArray) -> FloatArray:
        """Return the expected events per bin at the model's parameters (n_parameters,), in pyhf's order; (n_bins,)."""
        rates = self._shifted(parameters)[0] * self._factor_vector(parameters)[0][self.factors].prod(axis=1)
        return np.bincount(self.bins, weights=rates, minlength=self.n_bins).astype(np.float64)

    def derivatives(self, parameters: FloatArray, by_bin: FloatArray) -> FloatArray:
        """Sum by_bin (n_bins,) times the derivative of each bin's expectation, (n_parameters,)."""
        n = len(parameters)
        (base, shift_slopes), (vector, norm_slopes) = self._shifted(parameters), self._factor_vector(parameters)
        entries = vector[self.factors]
        others = _products_of_others(entries)
        weight = by_bin[self.bins]
        by_entry = np.bincount(self.factors.ravel(), weights=((weight * base)[:, None] * others).ravel(), minlength=len(vector))
        out = by_entry[:n].copy()
        out += np.bincount(self.norms.parameter, weights=by_entry[n:-1] * norm_slopes, minlength=n)
        by_cell = weight * entries.prod(axis=1)
        return np.asarray(out + np.bincount(self.shifts.parameter, weights=by_cell[self.shifts.cell] * shift_slopes, minlength=n))

    def _factor_vector(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        table = self.norms
        value, slope = factor(parameters[table.parameter], table.log_up, table.log_down, code=self.codes["normsys"])
        return np.concatenate([parameters, value, [1.0]]), slope

    def _shifted(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        table = self.shifts
        value, slope = shift(parameters[table.parameter], table.up, table.down, code=self.codes["histosys"])
        return self.nominal + np.bincount(table.cell, weights=value, minlength=len(self.nominal)), slope


def poisson_twice_nll(counts: FloatArray, expected: FloatArray) -> float:
    """Evaluate -2 ln of the Poisson probabilities, constants included, as pyhf does.

    Examples:
        >>> round(poisson_twice_nll(np.array([1.0]), np.array([1.0])), 9)  # -2 ln of exp(-1)
        2.0
    """
    return -2.0 * float(np.sum(xlogy(counts, expected) - expected - gammaln(counts + 1.0)))


@dataclass(frozen=True, eq=False)
class ConstraintTable:
    """All constraint terms of a model as arrays, in pyhf's order of auxiliary data; `index` is the parameter of each.

    Examples:
        >>> table = ConstraintTable.of([Constraint("alpha")], ["mu", "alpha"])
        >>> at = np.array([1.0, 2.0])
        >>> table.twice_nll(at) - table.twice_nll(np.zeros(2)), table.derivatives(at)
        (4.0, array([0., 4.]))
    """

    index: IntArray
    observed: FloatArray
    scale: FloatArray
    poisson: NDArray[np.bool_]

    @classmethod
    def of(cls, constraints: Sequence[Constraint], names: Sequence[str]) -> ConstraintTable:
        """Collect constraints of parameters among `names`."""
        return cls(
            index=np.array([names.index(c.parameter) for c in constraints], dtype=np.int64),
            observed=np.array([c.observed for c in constraints], dtype=np.float64),
            scale=np.array([c.scale for c in constraints], dtype=np.float64),
            poisson=np.array([c.kind == "poisson" for c in constraints], dtype=np.bool_),
        )

    def twice_nll(self, parameters: FloatArray) -> float:
        """Evaluate -2 ln of the constraint terms, constants included."""
        value, p = parameters[self.index], self.poisson
        pulls = (self.observed[~p] - value[~p]) / self.scale[~p]
        gaussian = float(np.sum(pulls**2 + 2.0 * np.log(np.sqrt(2.0 * np.pi) * self.scale[~p])))
        return gaussian + poisson_twice_nll(self.observed[p], value[p] * self.scale[p])

    def derivatives(self, parameters: FloatArray) -> FloatArray:
        """Differentiate by all parameters, (n_parameters,)."""
        value, p = parameters[self.index], self.poisson
        with np.errstate(divide="ignore", invalid="ignore"):
            counted = 2.0 * (self.scale - np.where(self.observed > 0.0, self.observed / value, 0.0))
        each = np.where(p, counted, 2.0 * (value - self.observed) / self.scale**2)
        return np.bincount(self.index, weights=each, minlength=len(parameters)).astype(np.float64)


@dataclass
class _Collector:
    """Gathers cells and modifiers while the specification is read."""

    n_parameters: int
    nominal: list[FloatArray] = field(default_factory=list)
    bins: list[IntArray] = field(default_factory=list)
    factors: list[tuple[IntArray, Any]] = field(default_factory=list)
    norms: list[tuple[int, float, float]] = field(default_factory=list)
    shifts: list[tuple[int, IntArray, FloatArray, FloatArray]] = field(default_factory=list)
    n_cells: int = 0


def compile_model(model: pyhf.Model) -> HistFactoryKernel | None:
    """Read a model into flat arrays; None if it has something that this module does not know."""
    settings = model.config.modifier_settings
    codes = {"normsys": "code4", "histosys": "code4p", **{k: v["interpcode"] for k, v in settings.items() if "interpcode" in v}}
    main = model.main_model
    plain = main.clip_sample_data is None and main.clip_bin_data is None and model.batch_size is None
    if not plain or codes["normsys"] not in {"code1", "code4"} or codes["histosys"] not in {"code0", "code4p"}:
        return None
    collector = _Collector(model.config.npars)
    for channel in sorted(model.spec["channels"], key=lambda c: str(c["name"])):
        for sample in channel["samples"]:
            if not _add_sample(collector, model, channel["name"], sample):
                return None
    kernel = _finish(collector, model, codes)
    same = all(np.allclose(kernel.expected(p), model.expected_actualdata(p), rtol=1e-9, atol=1e-9) for p in _probes(model))
    return kernel if same else None


def _probes(model: pyhf.Model) -> FloatArray:
    """Draw parameter points at which a kernel must agree with pyhf, (2, n_parameters).

    No two parameters are alike there: at the initial point, where all factors are 1, a kernel that confuses them would pass. Inside the
    interpolation (abs(alpha) < 1) and outside.
    """
    rng = np.random.default_rng(0)
    start = np.array(model.config.suggested_init(), dtype=np.float64)
    return np.stack([start + scale * rng.uniform(0.2, 0.9, len(start)) * rng.choice([-1.0, 1.0], len(start)) for scale in (1.0, 2.0)])


def _add_sample(collector: _Collector, model: pyhf.Model, channel: str, sample: Mapping[str, Any]) -> bool:
    """Add the cells of one sample; False if a modifier is not known."""
    where, nominal = model.config.channel_slices[channel], np.array(sample["data"], dtype=np.float64)
    bins = np.arange(where.start, where.stop, dtype=np.int64)
    cells = np.arange(collector.n_cells, collector.n_cells + len(bins), dtype=np.int64)
    collector.nominal.append(nominal)
    collector.bins.append(bins)
    collector.n_cells += len(bins)
    distinct = {(m["type"], m["name"]): m["data"] for m in sample["modifiers"]}
    for (kind, name), data in distinct.items():
        first = model.config.par_slice(name).start
        if kind in _SCALARS:
            collector.factors.append((cells, first))
        elif kind in _BY_BIN:
            collector.factors.append((cells, first + _positions(model, channel, kind, name)))
        elif kind == "normsys" and data["hi"] > 0 and data["lo"] > 0:
            collector.factors.append((cells, collector.n_parameters + len(collector.norms)))
            collector.norms.append((first, float(np.log(data["hi"])), float(np.log(data["lo"]))))
        elif kind == "histosys":
            collector.shifts.append((first, cells, np.array(data["hi_data"]) - nominal, np.array(data["lo_data"]) - nominal))
        else:
            return False
    return True


def _positions(model: pyhf.Model, channel: str, kind: str, name: str) -> IntArray:
    """Which of a bin-by-bin modifier's parameters belong to the bins of a channel: they are counted over its channels in order."""
    n = model.config.channel_nbins[channel]
    if kind == "shapefactor":
        return np.arange(n, dtype=np.int64)
    before = 0
    for other in model.config.channels:
        if other == channel:
            break
        spec = next(c for c in model.spec["channels"] if c["name"] == other)
        if any(m["type"] == kind and m["name"] == name for s in spec["samples"] for m in s["modifiers"]):
            before += model.config.channel_nbins[other]
    return np.arange(before, before + n, dtype=np.int64)


def _finish(collector: _Collector, model: pyhf.Model, codes: Mapping[str, Any]) -> HistFactoryKernel:
    one = collector.n_parameters + len(collector.norms)
    lists: list[list[int]] = [[] for _ in range(collector.n_cells)]
    for cells, index in collector.factors:
        for cell, entry in zip(cells.tolist(), np.broadcast_to(index, cells.shape).tolist(), strict=True):
            lists[cell].append(entry)
    width = max((len(own) for own in lists), default=0)
    factors = np.array([own + [one] * (width - len(own)) for own in lists], dtype=np.int64).reshape(collector.n_cells, width)
    norms = np.array(collector.norms, dtype=np.float64).reshape(-1, 3)
    empty, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    return HistFactoryKernel(
        nominal=np.concatenate(collector.nominal),
        bins=np.concatenate(collector.bins),
        n_bins=model.config.nmaindata,
        factors=factors,
        norms=NormTable(norms[:, 0].astype(np.int64), norms[:, 1], norms[:, 2]),
        shifts=ShiftTable(
            np.concatenate([none, *(np.full(len(cells), p) for p, cells, _, _ in collector.shifts)]),
            np.concatenate([none, *(cells for _, cells, _, _ in collector.shifts)]),
            np.concatenate([empty, *(up for _, _, up, _ in collector.shifts)]),
            np.concatenate([empty, *(down for _, _, _, down in collector.shifts)]),
        ),
        codes=codes,
    )


def _products_of_others(entries: FloatArray) -> FloatArray:
    """Multiply, for each entry of a row, all the others (zeros included), (n_rows, n_columns)."""
    before, after = np.ones_like(entries), np.ones_like(entries)
    if entries.shape[1] > 1:
        np.cumprod(entries[:, :-1], axis=1, out=before[:, 1:])
        after[:, :-1] = np.cumprod(entries[:, :0:-1], axis=1)[:, ::-1]
    return np.asarray(before * after)

"""Processes of an analysis: amplitudes that interfere, benchmarks, free factors, parts by condition."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from toolkit.config.base import Section
from toolkit.config.conditions import ConditionText
from toolkit.config.names import FileName, Name
from toolkit.errors import SchemaError
from toolkit.expressions import Expression
from toolkit.model.bases import BASES
from toolkit.model.processes import Process, Split


def _expression(value: Any) -> Any:
    """Take a number as the text of an expression, and check the grammar."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:.17g}"
    if isinstance(value, str):
        Expression.parse(value)
    return value


ExpressionText = Annotated[str, BeforeValidator(_expression)]
"""An expression of the grammar of `toolkit.expressions.arithmetic`."""
BenchmarkValue = Annotated[
    Annotated[tuple[float, ...], Tag("vector")] | Annotated[dict[str, float], Tag("point")] | Annotated[str, Tag("content")],
    Discriminator(lambda value: "point" if isinstance(value, dict) else "content" if isinstance(value, str) else "vector"),
]
"""A vector in the order of the amplitudes, a parameter point, or a sum of components."""


class PartConfig(Section):
    """The part of a process that a condition selects."""

    condition: ConditionText
    """Which events, such as `n_jets >= 2`."""
    factor: ExpressionText = "1"
    """Factor on the density of this part, such as `t0 * t1`."""


class ProcessConfig(Section):
    """A coherent sum of amplitudes, density = factor * |sum_k a_k(theta) A_k|^2; one amplitude does not interfere (docs/model.md).

    Processes are added without interfering with each other. A background needs no key: `qqZZ: {}`.
    """

    basis: Literal["ggF", "EW", "kappa"] | None = None
    """Ready-made amplitudes and benchmarks: `ggF` (S: sqrt(mu), B: 1; benchmarks S, SBI, B), `EW` (the same; B, SBI1, SBI10 at
    mu = 0, 1, 10), `kappa` (orders 0 to 4 in kappa). The benchmarks are called `PROCESS_S` and so on."""
    parameter: str | None = None
    """With `basis`: name of its parameter; `null` is `mu`, or `kappa`."""
    amplitudes: dict[Name, ExpressionText] = Field(default={})
    """Coefficient a_k of each amplitude by name, an expression of the parameters: `{S: sqrt(mu), B: 1}`."""
    benchmarks: dict[FileName, BenchmarkValue] = Field(default={})
    """Benchmarks by name, of which samples carry weights: a list with a number per amplitude, `[1, 0]`, a parameter point, `{mu: 10}`, or
    a sum of components as `k_factors` calls them: `I` or `S*B`, the interference alone, `S + I`. One amplitude needs none."""
    factor: ExpressionText = "1"
    """Factor on the whole density, such as a free normalisation `t0`, or `mu` for a signal that does not interfere."""
    region_factors: dict[Name, ExpressionText] = Field(default={})
    """Further factors by region."""
    regions: tuple[Name, ...] = ()
    """Regions of the fit that the process has events in; empty for all. Its simulated events elsewhere do not count, and what no unbinned
    region holds is not learned: a counted on-shell signal, say, beside off-shell ones."""
    split: dict[Name, PartConfig] = Field(default={})
    """Parts of the process by condition, each with a factor of its own and a density of its own, such as jet bins."""

    @model_validator(mode="after")
    def _consistent(self) -> ProcessConfig:
        if self.basis is not None and self.amplitudes:
            msg = f"basis {self.basis} has its own amplitudes; write either `basis` or `amplitudes`"
            raise ValueError(msg)
        if self.basis is None and self.parameter is not None:
            msg = "`parameter` belongs to `basis`; amplitudes name their parameters themselves"
            raise ValueError(msg)
        return self

    def process(self, name: str, *, derived: dict[str, str]) -> Process:
        """Build the process of the physics model.

        Args:
            name: Its name.
            derived: Derived parameters as expressions of independent ones.

        Raises:
            SchemaError, PhysicsDomainError: A benchmark does not fit to the amplitudes.
        """
        amplitudes: dict[str, str] = self.amplitudes or {name: "1"}
        benchmarks: dict[str, Any] = dict(self.benchmarks)
        if self.basis is not None:
            ready = BASES[self.basis].process(name, parameter=self.parameter)
            amplitudes = {a.name: a.coefficient for a in ready.amplitudes}
            benchmarks = benchmarks or {b.name: b.vector for b in ready.benchmarks}
        if len(amplitudes) > 1 and not benchmarks:
            raise SchemaError(
                f"processes.{name}",
                got=f"amplitudes {list(amplitudes)} and no benchmarks",
                expected="benchmarks, of which the samples carry weights",
                remedy="list them, for example `benchmarks: {S: [1, 0], SBI: [1, 1], B: [0, 1]}`",
            )
        splits = [Split(key, part.condition, part.factor) for key, part in self.split.items()]
        return Process.build(
            name,
            amplitudes,
            benchmarks,
            factor=self.factor,
            region_factors=self.region_factors,
            splits=splits,
            derived=derived,
            regions=self.regions,
        )

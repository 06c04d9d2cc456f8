"""Processes as coherent sums of amplitudes, and the benchmarks at which their events are known.

With real coefficients a_k(theta) the density of a process is

    rho(x | theta) = f(theta) sum_kl a_k(theta) a_l(theta) M_kl(x)

M(x) is the real part of A_k* A_l summed over everything unobserved: symmetric and positive semi-definite at every x. A benchmark b
is a fixed vector v_b, rho_b = v_b^T M v_b. One amplitude is a process that does not interfere.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.model.monomials import Monomial, parse_combination
from toolkit.model.parameters import require_names
from toolkit.typing import FloatArray

Point = Mapping[str, float]
BenchmarkLike = Sequence[float] | Point | str
"""A vector in the order of the amplitudes, a parameter point, or a sum of components such as `S + I`."""
INTERFERENCE = "I"
"""Name of the interference of a process with two amplitudes."""


@dataclass(frozen=True)
class Amplitude:
    """One amplitude of a process.

    Attributes:
        name: Its name.
        coefficient: a_k(theta), an expression of the parameters; real, of either sign.
    """

    name: str
    coefficient: str = "1"


@dataclass(frozen=True)
class Benchmark:
    """A fixed combination of the amplitudes of a process.

    Attributes:
        name: Name of the density, and of the weight that events carry.
        vector: v_b, in the order of the amplitudes.
        products: For what is no square of a sum, such as the interference alone, or signal and interference without background: its
            content in the products a_k a_l, in the order of `Process.pairs`. The vector is empty then.
    """

    name: str
    vector: tuple[float, ...] = ()
    products: tuple[float, ...] = ()


@dataclass(frozen=True)
class Split:
    """The part of a process that a condition selects, with a free factor of its own.

    Attributes:
        name: Name of the part.
        condition: Which events, of the grammar of `toolkit.expressions.conditions`.
        factor: Expression that multiplies the density of the part.
    """

    name: str
    condition: str
    factor: str = "1"


@dataclass(frozen=True)
class Process:
    """A coherent sum of amplitudes, times a free factor.

    Attributes:
        name: Its name.
        amplitudes: In the order of the axes of M.
        benchmarks: Fixed vectors; their weights determine M.
        factor: f(theta), an expression.
        region_factors: (region, expression) pairs: further factors in some regions.
        splits: Parts with conditions and factors of their own; empty for a process as a whole.
        density_names: Names of the learned densities in the order of `pairs`; empty takes those of `learned_densities`.
        regions: Regions of the fit that it has events in; empty for all. Simulated events of it elsewhere do not count.

    Examples:
        >>> ggf = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"ggF_S": [1, 0], "ggF_SBI": {"mu": 1.0}, "ggF_B": {"mu": 0.0}})
        >>> [b.vector for b in ggf.benchmarks]
        [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
        >>> ggf.rows(ggf.benchmarks).tolist()  # SS, SB, BB
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    """

    name: str
    amplitudes: tuple[Amplitude, ...]
    benchmarks: tuple[Benchmark, ...]
    factor: str = "1"
    region_factors: tuple[tuple[str, str], ...] = ()
    splits: tuple[Split, ...] = ()
    density_names: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        name: str,
        amplitudes: Mapping[str, str],
        benchmarks: Mapping[str, BenchmarkLike] | None = None,
        *,
        factor: str = "1",
        region_factors: Mapping[str, str] | None = None,
        splits: Sequence[Split] = (),
        derived: Mapping[str, str] | None = None,
        regions: Sequence[str] = (),
    ) -> Process:
        """Build a process; benchmarks may be parameter points, v_b = a(theta_b).

        Args:
            name: Its name.
            amplitudes: Coefficient by name of the amplitude.
            benchmarks: Vector, parameter point or sum of components (`component_names`) by name; by default, for one amplitude, the
                amplitude itself under the process's name.
            factor: f(theta).
            region_factors: Further factors by region.
            splits: Parts by condition.
            derived: Derived parameters as expressions of independent ones, for points given in the latter.
            regions: Regions of the fit that it has events in; empty for all.

        Raises:
            SchemaError: No amplitude, a vector of another length, a point that lacks a parameter, a zero vector.
            PhysicsDomainError: A coefficient is not defined at a point.
        """
        rows = tuple(Amplitude(key, str(text)) for key, text in amplitudes.items())
        if not rows:
            raise SchemaError(f"process {name!r}", got="no amplitude", expected="at least one", remedy="write for example S: sqrt(mu)")
        given = benchmarks if benchmarks else ({name: [1.0]} if len(rows) == 1 else {})
        made = tuple(_benchmark(key, value, rows, derived or {}) for key, value in given.items())
        return cls(name, rows, made, factor, tuple((region_factors or {}).items()), tuple(splits), regions=tuple(regions))

    @property
    def n_amplitudes(self) -> int:
        """Number of amplitudes."""
        return len(self.amplitudes)

    @property
    def amplitude_names(self) -> tuple[str, ...]:
        """Names of the amplitudes."""
        return tuple(a.name for a in self.amplitudes)

    @property
    def benchmark_names(self) -> tuple[str, ...]:
        """Names of the benchmarks."""
        return tuple(b.name for b in self.benchmarks)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(k, l) of the n(n + 1)/2 products a_k a_l, k <= l, in the order of the columns of `rows`."""
        return tuple(itertools.combinations_with_replacement(range(self.n_amplitudes), 2))

    def factor_in(self, region: str | None = None) -> tuple[str, ...]:
        """Return the factors other than 1 that multiply the density in a region."""
        local = dict(self.region_factors).get(region, "1") if region is not None else "1"
        return tuple(text for text in (self.factor, local) if text != "1")

    def is_density(self, benchmark: Benchmark) -> bool:
        """Say whether a benchmark is nowhere negative whatever the amplitudes: not so the interference alone.

        Examples:
            >>> ggf = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "I": "S*B", "B": [0, 1]})
            >>> [ggf.is_density(b) for b in ggf.benchmarks]
            [True, False, True]
        """
        if not benchmark.products:
            return True
        matrix = np.zeros((self.n_amplitudes, self.n_amplitudes))
        for (k, m), number in zip(self.pairs, benchmark.products, strict=True):
            matrix[k, m] = matrix[m, k] = number
        return bool(np.linalg.eigvalsh(matrix)[0] > -1e-12 * np.abs(matrix).max())

    def rows(self, benchmarks: Sequence[Benchmark]) -> FloatArray:
        """Return the content of benchmarks in products of amplitudes, v_k v_l, shape (n_benchmarks, n(n + 1)/2)."""
        contents = [b.products or [b.vector[k] * b.vector[m] for k, m in self.pairs] for b in benchmarks]
        return np.array(contents, dtype=np.float64).reshape(-1, len(self.pairs))

    def pick(self, names: Sequence[str] | None = None) -> tuple[Benchmark, ...]:
        """Return benchmarks by name, all by default.

        Raises:
            SchemaError: There is no such benchmark.
        """
        if names is None:
            return self.benchmarks
        unknown = [name for name in names if name not in self.benchmark_names]
        if unknown:
            raise SchemaError(f"process {self.name!r}", got=f"no benchmarks {unknown}", expected=f"some of {list(self.benchmark_names)}")
        return tuple(next(b for b in self.benchmarks if b.name == name) for name in names)

    @property
    def expressions(self) -> dict[str, str]:
        """All expressions of the parameters, by the words that name them in a message."""
        found = {f"amplitude {a.name} of process {self.name}": a.coefficient for a in self.amplitudes}
        found[f"factor of process {self.name}"] = self.factor
        found |= {f"factor of process {self.name} in region {region}": text for region, text in self.region_factors}
        return found | {f"factor of {s.name} (process {self.name})": s.factor for s in self.splits}


def component_names(amplitudes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the products of amplitudes, in the order of `Process.pairs`: A for a square, A*B for an interference.

    Examples:
        >>> component_names(["S", "B"])
        ('S', 'I', 'B')
        >>> component_names(["B", "t", "g"])
        ('B', 'B*t', 'B*g', 't', 't*g', 'g')
    """
    if len(amplitudes) == 2 and INTERFERENCE not in amplitudes:
        return amplitudes[0], INTERFERENCE, amplitudes[1]
    pairs = itertools.combinations_with_replacement(amplitudes, 2)
    return tuple(a if a == b else f"{a}*{b}" for a, b in pairs)


def _benchmark(name: str, value: BenchmarkLike, amplitudes: Sequence[Amplitude], derived: Mapping[str, str]) -> Benchmark:
    """Bring a benchmark into the form of a vector, or of its content in products of amplitudes."""
    if not isinstance(value, str):
        return Benchmark(name, _vector(name, value, amplitudes, derived))
    names = [a.name for a in amplitudes]
    pairs = [*itertools.combinations_with_replacement(range(len(names)), 2)]
    known = {Monomial.parse(text): k for k, text in enumerate(component_names(names))}
    known |= {Monomial.parse(f"{names[k]}*{names[m]}"): at for at, (k, m) in enumerate(pairs)}
    content = [0.0] * len(pairs)
    for monomial, number in parse_combination(value).items():
        if monomial not in known:
            expected = f"a sum of the components {list(component_names(names))}, such as '{component_names(names)[1 % len(pairs)]}'"
            raise SchemaError(f"benchmark {name!r}", got=f"{monomial} in {value!r}", expected=expected, remedy="correct the name")
        content[known[monomial]] += number
    if not any(content):
        raise SchemaError(f"benchmark {name!r}", got=value, expected="at least one component", remedy="remove it")
    return Benchmark(name, products=tuple(content))


def _vector(name: str, value: Sequence[float] | Point, amplitudes: Sequence[Amplitude], derived: Mapping[str, str]) -> tuple[float, ...]:
    """Bring a benchmark into the form of a vector."""
    if isinstance(value, Mapping):
        values = {key: float(number) for key, number in value.items()}
        for key, text in derived.items():
            if key not in values and set(Expression.parse(text).names) <= set(values):
                values[key] = Expression.parse(text).value(values)
        what = f"benchmark {name!r}, amplitude"
        parsed = [require_names(a.coefficient, known=tuple(values), what=what) for a in amplitudes]
        try:
            vector = tuple(expression.value(values) for expression in parsed)
        except PhysicsDomainError as error:
            raise PhysicsDomainError(
                f"benchmark {name!r}, {error.what}", got=error.got, remedy="give another point, or a vector"
            ) from error
    else:
        vector = tuple(float(number) for number in value)
    if len(vector) != len(amplitudes) or not np.all(np.isfinite(vector)):
        expected = f"a number for each of the amplitudes {[a.name for a in amplitudes]}"
        raise SchemaError(f"benchmark {name!r}", got=list(vector), expected=expected, remedy="give a vector, or a parameter point")
    if not any(vector):
        raise SchemaError(f"benchmark {name!r}", got="all amplitudes are zero", expected="at least one amplitude", remedy="remove it")
    return vector

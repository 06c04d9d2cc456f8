"""From the sections of a config to its physics model: the general form, and the short form of one parameter as the same object."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.config.morphing import MorphingConfig
from toolkit.config.parameters import ModelParameterConfig
from toolkit.config.processes import ProcessConfig
from toolkit.config.regions import RegionConfig
from toolkit.config.samples import SampleConfig
from toolkit.errors import SchemaError
from toolkit.model.model import Model
from toolkit.model.monomials import Monomial, parse_combination
from toolkit.model.parameters import ModelParameter, resolve_derived
from toolkit.model.processes import Amplitude, Benchmark, Process
from toolkit.model.regions import Region, Sample


def general_model(
    parameters: Mapping[str, ModelParameterConfig],
    processes: Mapping[str, ProcessConfig],
    samples: Sequence[SampleConfig],
    regions: Mapping[str, RegionConfig],
) -> Model:
    """Build the model of a config with `parameters` and `processes`.

    Args:
        parameters: Sections by name.
        processes: Sections by name.
        samples: Simulated samples.
        regions: Sections by name.

    Raises:
        SchemaError, PhysicsDomainError: The sections do not fit together; see `toolkit.model.Model`.
    """
    derived = {name: section.expression for name, section in parameters.items() if section.expression}
    free = tuple(section.parameter(name) for name, section in parameters.items() if not section.expression)
    resolved = resolve_derived(derived, parameters=[p.name for p in free])
    made = {name: section.process(name, derived=resolved) for name, section in processes.items()}
    return Model(
        parameters=free,
        derived=tuple(derived.items()),
        processes=tuple(made.values()),
        samples=tuple(_sample(s, made) for s in samples),
        regions=fit_regions(regions),
    )


def short_model(
    section: MorphingConfig, parameter: ModelParameter, samples: Sequence[SampleConfig], regions: Mapping[str, RegionConfig]
) -> Model:
    """Build the model of a config with `morphing` and `parameter`: one coherent process, and every other sample as a background.

    Args:
        section: The morphing section.
        parameter: The parameter of interest.
        samples: Simulated samples.
        regions: Sections by name.

    Raises:
        SchemaError: The monomials are those of no squared amplitude, or nothing is simulated.
    """
    coherent = short_process(section, parameter.name, taken=[s.name for s in samples])
    known = coherent.benchmark_names
    mixed = [s for s in samples if s.benchmarks or s.name in known]
    backgrounds = [s for s in samples if s not in mixed]
    carried = {s.name: tuple(b for b in known if b in s.benchmarks) or (s.name,) for s in mixed}
    return Model(
        parameters=(parameter,),
        processes=(*((coherent,) if mixed else ()), *(Process.build(s.name, {s.name: "1"}) for s in backgrounds)),
        samples=(
            *(Sample(s.name, coherent.name, s.name if s.name in known else "", carried[s.name]) for s in mixed),
            *(Sample(s.name, s.name, s.name, (s.name,)) for s in backgrounds),
        ),
        regions=fit_regions(regions),
    )


def short_process(section: MorphingConfig, parameter: str, *, taken: Sequence[str] = ()) -> Process:
    """Build the coherent process that a morphing section describes.

    Args:
        section: The morphing section.
        parameter: Name of the parameter of interest.
        taken: Names that the process may not have.

    Raises:
        SchemaError: The monomials are those of no squared amplitude.

    Examples:
        >>> process = short_process(MorphingConfig(basis="EW"), "mu")
        >>> process.name, [a.coefficient for a in process.amplitudes], process.density_names
        ('EW', ['sqrt(mu)', '1'], ('EW_S', 'EW_SBI1', 'EW_B'))
        >>> [b.vector for b in process.benchmarks][:2]
        [(0.0, 1.0), (1.0, 1.0)]
    """
    powers = sorted({_exponent(text) for text in section.monomials_in(parameter)}, reverse=True)
    halves = _amplitude_exponents(powers)
    names = ("S", "B") if section.two_amplitudes else tuple(f"A{power:g}".replace(".", "p") for power in halves)
    amplitudes = tuple(Amplitude(n, str(Monomial(((parameter, p),) if p else ()))) for n, p in zip(names, halves, strict=True))
    points = section.points_in(parameter)
    benchmarks = tuple(_benchmark(name, point, halves) for name, point in points.items())
    name = section.basis if section.basis not in taken else f"{section.basis}_coherent"
    return Process(name, amplitudes, benchmarks, density_names=section.benchmarks if section.two_amplitudes else ())


def fit_regions(regions: Mapping[str, RegionConfig]) -> tuple[Region, ...]:
    """Return the regions that enter the fit; flags do not."""
    found = []
    for name, section in regions.items():
        if section.kind != "flag":
            observables = () if section.histogram is None else section.histogram.observables
            edges = () if section.histogram is None else section.histogram.axes
            found.append(Region(name, section.kind, section.condition, tuple(observables), tuple(tuple(e) for e in edges), section.file))
    return tuple(found)


def _sample(section: SampleConfig, processes: Mapping[str, Process]) -> Sample:
    """Find the process of a sample, the benchmark that it was generated under, and those whose weights it carries."""
    process = processes.get(section.process or section.name)
    if process is None:
        wanted = section.process or section.name
        near = difflib.get_close_matches(wanted, list(processes), n=1)
        raise SchemaError(
            f"samples.{section.name}",
            got=f"process {wanted!r}" if section.process else "no `process`, and none of its name",
            expected=f"one of the processes {list(processes)}",
            remedy=f"did you mean {near[0]!r}?" if near else "name it with `process`",
        )
    names = process.benchmark_names
    benchmark = section.generated or (section.name if section.name in names else names[0] if len(names) == 1 else None)
    if benchmark is None or (section.generated not in (None, "none") and benchmark not in names):
        raise SchemaError(
            f"samples.{section.name}",
            got=f"generated under {section.generated or section.name}",
            expected=f"one of the benchmarks {list(names)} of process {process.name!r}",
            remedy="name it with `generated`, or write `generated: none` where the events carry weights under all of them but are none",
        )
    listed = tuple(b for b in names if b in section.benchmarks)
    under = "" if benchmark == "none" else benchmark
    return Sample(section.name, process.name, under, listed or tuple(filter(None, [under])))


def _exponent(monomial: str) -> float:
    return sum(power for _, power in Monomial.parse(monomial).powers)


def _amplitude_exponents(powers: Sequence[float]) -> list[float]:
    """Find amplitudes p^e whose products are exactly the monomials, highest first.

    Examples:
        >>> _amplitude_exponents([1.0, 0.5, 0.0]), _amplitude_exponents([4.0, 3.0, 2.0, 1.0, 0.0])
        ([0.5, 0.0], [2.0, 1.0, 0.0])
    """
    halves: list[float] = []
    for power in (powers[0], powers[-1], *powers[1:-1]):
        if all(power / 2 + other in powers for other in [*halves, power / 2]) and power / 2 not in halves:
            halves.append(power / 2)
    covered = {a + b for a in halves for b in halves}
    if covered != set(powers):
        raise SchemaError(
            "morphing.monomials",
            got=f"powers {list(powers)} of the parameter",
            expected="the products of amplitudes with each other, such as 1, sqrt(mu), mu",
            remedy="write amplitudes under `processes` (docs/model.md)",
        )
    return sorted(halves, reverse=True)


def _benchmark(name: str, point: float | str, halves: Sequence[float]) -> Benchmark:
    """Build a benchmark from the value of the parameter or from its content in monomials."""
    if not isinstance(point, str):
        if point < 0 and any(power % 1 for power in halves):
            expected = "a value at which the amplitudes are real"
            raise SchemaError(f"morphing.points.{name}", got=point, expected=expected, remedy="give a value of at least 0")
        return Benchmark(name, tuple(float(point) ** power for power in halves))
    content = {sum(power for _, power in m.powers): factor for m, factor in parse_combination(point).items()}
    pairs = [(k, m) for k in range(len(halves)) for m in range(k, len(halves))]
    sums = [halves[k] + halves[m] for k, m in pairs]
    several = [power for power in content if sums.count(power) != 1]
    if several:
        raise SchemaError(
            f"morphing.points.{name}",
            got=f"content {point!r}",
            expected="a value of the parameter: a power of it stands for several products of amplitudes",
            remedy="give the value, or write amplitudes and vectors under `processes` (docs/model.md)",
        )
    row = [content.get(power, 0.0) for power in sums]
    diagonal = [row[pairs.index((k, k))] for k in range(len(halves))]
    vector = np.sqrt(np.maximum(diagonal, 0.0))
    if np.allclose([vector[k] * vector[m] for k, m in pairs], row, rtol=1e-12, atol=0.0):
        return Benchmark(name, tuple(float(x) for x in vector))
    return Benchmark(name, products=tuple(row))

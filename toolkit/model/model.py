"""The physics model of an analysis: parameters, processes, samples and regions in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.expressions.conditions import Condition
from toolkit.expressions.substitution import substitute
from toolkit.model.coefficients import Coefficients
from toolkit.model.densities import density_expressions, learned_densities
from toolkit.model.domain import require_defined
from toolkit.model.parameters import ModelParameter, require_names, resolve_derived
from toolkit.model.processes import Process
from toolkit.model.products import determines_matrix
from toolkit.model.regions import Region, Sample


@dataclass(frozen=True)
class Component:
    """One class of events: a process, or the part of it that a condition selects.

    Attributes:
        name: Name of the process, or of the part.
        process: The process.
        condition: Which events of the process; empty takes all.
        factor: Factor of the part, on top of that of the process.
        densities: Names of its learned densities, in the order of `learned_densities`.
    """

    name: str
    process: Process
    condition: str
    factor: str
    densities: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A physics model.

    Attributes:
        parameters: Independent parameters.
        derived: (name, expression) pairs: parameters that are functions of others.
        processes: Coherent sums of amplitudes.
        samples: Simulated samples.
        regions: Regions of the fit; empty means one unbinned region of all events.

    Raises:
        SchemaError: Names repeat or are not defined, a process has no sample, benchmarks do not determine a process.
        PhysicsDomainError: An expression has no finite value somewhere in the range of its parameters.

    Examples:
        >>> import numpy as np
        >>> ggf = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
        >>> qqzz = Process.build("qqZZ", {"A": "1"}, factor="t0")
        >>> all_three = ("S", "SBI", "B")
        >>> model = Model(
        ...     parameters=(ModelParameter("mu", range=(0.0, 6.0)), ModelParameter("t0", "normalisation", range=(0.2, 3.0))),
        ...     processes=(ggf, qqzz),
        ...     samples=(Sample("S", "ggF", "S", all_three), Sample("qqZZ", "qqZZ", "qqZZ", ("qqZZ",))),
        ... )
        >>> model.densities
        ('S', 'SBI', 'B', 'qqZZ')
        >>> model.expressions()
        ('mu - sqrt(mu)', 'sqrt(mu)', '1 - sqrt(mu)', 't0')
        >>> model.coefficients().values(np.array([[4.0, 0.5]])).tolist()
        [[2.0, 2.0, -1.0, 0.5]]
    """

    parameters: tuple[ModelParameter, ...]
    processes: tuple[Process, ...]
    samples: tuple[Sample, ...] = ()
    regions: tuple[Region, ...] = ()
    derived: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _require_once([p.name for p in self.parameters], "parameters")
        _require_once([p.name for p in self.processes], "processes")
        _require_once([s.name for s in self.samples], "samples")
        _require_once([r.name for r in self.regions], "regions")
        if not self.processes:
            raise SchemaError("processes", got="none", expected="at least one", remedy="list them under `processes`")
        self._check_expressions()
        self._check_samples()
        for region in self.regions:
            if region.condition:
                Condition.parse(region.condition)
        _require_once([c.name for c in self.components], "processes and their parts")
        _require_once(self.densities, "densities of the processes")

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the independent parameters, the order of every parameter axis."""
        return tuple(p.name for p in self.parameters)

    @property
    def interest(self) -> tuple[ModelParameter, ...]:
        """The parameters of interest."""
        return tuple(p for p in self.parameters if p.kind == "interest")

    @property
    def normalisations(self) -> tuple[ModelParameter, ...]:
        """The free normalisations."""
        return tuple(p for p in self.parameters if p.kind == "normalisation")

    @property
    def nuisances(self) -> tuple[ModelParameter, ...]:
        """The parameters with an auxiliary measurement."""
        return tuple(p for p in self.parameters if p.kind == "nuisance")

    @property
    def truth(self) -> dict[str, float]:
        """The Asimov truth of every independent parameter."""
        return {p.name: p.truth for p in self.parameters}

    @property
    def resolved(self) -> dict[str, str]:
        """Derived parameters as expressions of independent ones."""
        return resolve_derived(dict(self.derived), parameters=self.parameter_names)

    @property
    def components(self) -> tuple[Component, ...]:
        """The classes of events: processes, or their parts, in the order of the processes."""
        found = []
        for process in self.processes:
            names = tuple(d.name for d in learned_densities(process))
            if not process.splits:
                found.append(Component(process.name, process, "", "1", names))
            for part in process.splits:
                own = (part.name,) if process.n_amplitudes == 1 else tuple(f"{name}_{part.name}" for name in names)
                found.append(Component(part.name, process, part.condition, part.factor, own))
        return tuple(found)

    @property
    def densities(self) -> tuple[str, ...]:
        """Names of the learned densities of all components: the columns of `expressions` and `coefficients`."""
        return tuple(name for component in self.components for name in component.densities)

    @property
    def learned(self) -> Model:
        """What density ratios describe: the processes that an unbinned region holds, and the parameters that they depend on.

        Networks learn the densities of this model. The model itself where every process is in an unbinned region.
        """
        unbinned = {r.name for r in self.regions if r.kind == "unbinned"}
        processes = tuple(p for p in self.processes if not p.regions or unbinned & set(p.regions))
        if len(processes) in (0, len(self.processes)):
            return self
        resolved = self.resolved
        texts = [substitute(text, resolved) for p in processes for text in p.expressions.values()]
        used = {name for text in texts for name in Expression.parse(text).names}
        return replace(
            self,
            parameters=tuple(p for p in self.parameters if p.name in used),
            derived=tuple((name, text) for name, text in self.derived if set(Expression.parse(resolved[name]).names) <= used),
            processes=processes,
            samples=tuple(s for s in self.samples if s.process in {p.name for p in processes}),
        )

    def process(self, name: str) -> Process:
        """Return the process of a name.

        Raises:
            SchemaError: There is none.
        """
        found = next((p for p in self.processes if p.name == name), None)
        if found is None:
            known = [p.name for p in self.processes]
            raise SchemaError(f"process {name!r}", got="no such process", expected=f"one of {known}", remedy="correct the name")
        return found

    def samples_of(self, process: str) -> tuple[Sample, ...]:
        """Return the samples of a process."""
        return tuple(s for s in self.samples if s.process == process)

    def separate_samples(self, process: str) -> tuple[Sample, ...]:
        """Return the samples of a process whose events do not know enough weights to determine its matrix M: generated separately.

        Examples:
            >>> gg = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
            >>> samples = (Sample("S", "gg", "S", ("S",)), Sample("SBI", "gg", "SBI", ("S", "SBI", "B")), Sample("B", "gg", "B", ("B",)))
            >>> model = Model((ModelParameter("mu", range=(0.0, 6.0)),), (gg,), samples)
            >>> [s.name for s in model.separate_samples("gg")]
            ['S', 'B']
        """
        found = self.process(process)
        if found.n_amplitudes == 1 or not determines_matrix(found):
            return ()
        return tuple(s for s in self.samples_of(process) if not determines_matrix(found, s.carried))

    def expressions(self, region: str | None = None) -> tuple[str, ...]:
        """Write the coefficient of every density as an expression of the independent parameters.

        Args:
            region: Region whose factors are included.

        Returns:
            One expression for each of `densities`: the expected density is the sum of expression times density.

        Raises:
            SchemaError: There is no such region.
        """
        known = [r.name for r in self.regions]
        if region is not None and region not in known:
            raise SchemaError(f"region {region!r}", got="no such region", expected=f"one of {known}", remedy="correct the name")
        derived = self.resolved
        return tuple(
            text for c in self.components for text in density_expressions(c.process, region=region, derived=derived, factor=c.factor)
        )

    def coefficients(self, region: str | None = None) -> Coefficients:
        """Return the same as functions: `.values(points)` (n, n_densities), `.jacobian(points)` (n, n_parameters, n_densities)."""
        return Coefficients.parse(self.expressions(region), self.parameter_names)

    def amplitudes(self, process: str) -> Coefficients:
        """Return the coefficients a_k(theta) of the amplitudes of a process as functions, (n, n_amplitudes)."""
        derived = self.resolved
        texts = [substitute(a.coefficient, derived) for a in self.process(process).amplitudes]
        return Coefficients.parse(texts, self.parameter_names)

    def _check_expressions(self) -> None:
        resolved = self.resolved
        known = (*self.parameter_names, *resolved)
        written: dict[str, str] = {f"derived parameter {name}": text for name, text in resolved.items()}
        for process in self.processes:
            for what, text in process.expressions.items():
                require_names(text, known=known, what=f"{what},")
                written[what] = substitute(text, resolved)
            for part in process.splits:
                Condition.parse(part.condition)
            unknown = sorted({region for region, _ in process.region_factors} - {r.name for r in self.regions})
            if unknown:
                raise SchemaError(f"process {process.name!r}", got=f"factors in the regions {unknown}", expected="regions of the model")
            self._check_regions(process)
            density_expressions(process)
        require_defined(written, parameters=self.parameters)

    def _check_regions(self, process: Process) -> None:
        known = [r.name for r in self.regions if r.kind != "workspace"]
        unknown = sorted(set(process.regions) - set(known))
        if unknown:
            raise SchemaError(
                f"process {process.name!r}",
                got=f"events in the regions {unknown}",
                expected=f"regions of the fit that events fill, {known}",
                remedy="correct the names, or leave `regions` of the process out: it is in all then",
            )

    def _check_samples(self) -> None:
        for sample in self.samples:
            process = self.process(sample.process)
            process.pick((*filter(None, [sample.benchmark]), *sample.carried))
            if sample.benchmark and sample.benchmark not in sample.carried:
                expected = f"its own benchmark {sample.benchmark!r} among them"
                raise SchemaError(f"sample {sample.name!r}", got=f"weights of {list(sample.carried)}", expected=expected)
        lonely = [p.name for p in self.processes if self.samples and not self.samples_of(p.name)]
        if lonely:
            raise SchemaError(
                f"process {lonely[0]!r}",
                got=f"no sample; the samples belong to {sorted({s.process for s in self.samples})}",
                expected="at least one sample of every process",
                remedy="add a sample with `process: " + lonely[0] + "`, or remove the process",
            )


def _require_once(names: Sequence[str], what: str) -> None:
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise SchemaError(what, got=f"{repeated} twice", expected="every name once", remedy="rename one of them")

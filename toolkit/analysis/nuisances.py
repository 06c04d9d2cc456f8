"""Systematic uncertainties of the fit stage: the variations that processing wrote become nuisance parameters of every method.

Yields and templates of each variation come from the training sample, filled as the nominal ones. Binned channels get a normsys and a
histosys (its shape alone) of the same name; the unbinned channel gets a normsys and a per-event ratio: that of learned networks, or in
bins of one histogram's observable, which carries the part of a change of shape that this observable sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from toolkit.analysis.datasets import Events, read_simulation
from toolkit.analysis.layout import EVENTS
from toolkit.analysis.learned import LearnedVariations, learned_directions, read_learned
from toolkit.analysis.ratio_spread import NETWORKS, add_shifts, network_nuisances
from toolkit.analysis.session import Session
from toolkit.artifacts.events import variations_of
from toolkit.config import Config, WeightMembers
from toolkit.errors import SchemaError
from toolkit.likelihood import Constraint, Parameter
from toolkit.likelihood.interpolation import ShapeCode
from toolkit.model import Model
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents, combine_members

LUMINOSITY = "lumi"
SIMULATION = "simulation"
"""Group of the statistical errors of templates, and beginning of their names: simulation_METHOD[BIN]."""
NUISANCE_RANGE = (-5.0, 5.0)
Fill = Callable[[SimulatedEvents], FloatArray]
"""Fills the templates of a method, (n_processes, n_bins)."""


@dataclass(frozen=True, eq=False)
class Ratios:
    """Varied over nominal templates of one method and one systematic, up and down, each (n_processes, n_bins)."""

    up: FloatArray
    down: FloatArray

    def yields(self, templates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the yields over the nominal ones, up and down, (n_processes,) each."""
        total = templates.sum(axis=1)
        safe = np.where(total > 0.0, total, 1.0)
        hi, lo = (np.where(total > 0.0, (templates * r).sum(axis=1) / safe, 1.0) for r in (self.up, self.down))
        return np.asarray(hi), np.asarray(lo)

    def shapes(self, templates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return varied over nominal density in each bin, up and down, (n_processes, n_bins) each."""
        hi, lo = self.yields(templates)
        return np.asarray(self.up / hi[:, None]), np.asarray(self.down / lo[:, None])


@dataclass(frozen=True, eq=False)
class Systematics:
    """All systematic uncertainties of a run.

    Attributes:
        luminosity: Relative uncertainty of the luminosity, 0 for none.
        norms: Factors (up, down) of the yields by nuisance parameter, each (n_processes,).
        ratios: By method and nuisance parameter, what a variation of the ntuples does to the templates.
        groups: Nuisance parameters by group.
        learned: Variations whose per-event ratios in the unbinned channel come from networks; None for none.
        networks: Nuisance parameters of the density ratios themselves.
        interpolation: Of the per-event ratios in the unbinned channel.
        template_statistics: Whether the templates of histogram fits carry their statistical errors.
        of_model: Nuisance parameters of the physics model, which coefficients depend on, with their constraints.
        unscaled: Densities whose yield the luminosity does not move: estimates from data.
    """

    luminosity: float = 0.0
    norms: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    ratios: Mapping[str, Mapping[str, Ratios]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    learned: LearnedVariations | None = None
    networks: tuple[str, ...] = ()
    interpolation: ShapeCode = "log_quadratic"
    template_statistics: bool = False
    of_model: tuple[tuple[Parameter, Constraint], ...] = ()
    unscaled: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters with a unit Gaussian."""
        varied = next(iter(self.ratios.values()), {})
        return (*self.norms, *varied, *self.networks)

    def for_events(self, events: Events) -> Systematics:
        """Return the same uncertainties for other events as data: the networks that know each event's variations look at these."""
        return self if self.learned is None else replace(self, learned=self.learned.for_events(events))

    def within(self, *, data: BoolArray, training: BoolArray) -> Systematics:
        """Return the uncertainties of the events of one region.

        Args:
            data: Which events of the data belong to it, (n_events,).
            training: Which training events do, (n_training,).
        """
        return self if self.learned is None else replace(self, learned=self.learned.within(data=data, training=training))

    def __bool__(self) -> bool:
        return bool(self.luminosity or self.names or self.template_statistics or self.of_model)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The nuisance parameters, the luminosity first; one that the model shares with a variation is there once."""
        (low, high), shared = NUISANCE_RANGE, {p.name for p, _ in self.of_model}
        own = tuple(Parameter(name, init=0.0, low=low, high=high) for name in self.names if name not in shared)
        wide = min(10.0 * self.luminosity, 0.9)
        first = (Parameter(LUMINOSITY, init=1.0, low=1.0 - wide, high=1.0 + wide),) if self.luminosity else ()
        return (*first, *(p for p, _ in self.of_model), *own)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """One constraint per nuisance parameter."""
        special = {LUMINOSITY: Constraint(LUMINOSITY, observed=1.0, scale=self.luminosity)} if self.luminosity else {}
        special |= {p.name: constraint for p, constraint in self.of_model}
        return tuple(special.get(p.name) or Constraint(p.name) for p in self.parameters)


def read_systematics(session: Session, fills: Mapping[str, Fill], *, training: SimulatedEvents) -> Systematics:
    """Fill the templates of every method under every variation.

    Args:
        session: Where results are read.
        fills: How each method fills its templates.
        training: Nominal training events.

    Returns:
        The systematic uncertainties; empty if the config asks for none.
    """
    config = session.config
    groups = dict(config.nuisance_names)
    networks = network_nuisances(config, session.out) if groups.pop(NETWORKS, ()) else ()
    groups |= {NETWORKS: networks} if networks else {}
    if not groups:
        return Systematics(template_statistics=config.likelihood.template_statistics)
    nominal = {name: fill(training) for name, fill in fills.items()}
    varied = [*config.table_systematics, *config.systematics.weights]
    found: dict[str, dict[str, Ratios]] = {name: {} for name in fills}
    for k, name in enumerate(varied):
        up, down = _templates(session, name, fills, nominal)
        for method in fills:
            ratio_up = _ratio(up[method], nominal[method])
            ratio_down = 1.0 / ratio_up if down is None else _ratio(down[method], nominal[method])
            found[method][name] = Ratios(ratio_up, ratio_down)
        session.progress("systematics", k + 1, len(varied))
    return Systematics(
        luminosity=config.likelihood.luminosity_uncertainty,
        norms=normalisations(config),
        ratios=found,
        groups=dict(config.likelihood.groups) or groups,
        learned=_read_learned(session, training, networks),
        networks=networks,
        interpolation=config.systematics.ratios.interpolation,
        template_statistics=config.likelihood.template_statistics,
        of_model=constrained_parameters(config.model),
        unscaled=frozenset(name for names in config.estimates.values() for name in names),
    )


def constrained_parameters(model: Model) -> tuple[tuple[Parameter, Constraint], ...]:
    """Return the nuisance parameters of a physics model with their auxiliary measurements.

    Examples:
        A factor of 1.0 +- 0.1, and one that 16 events measured:

        >>> from toolkit.model import ModelParameter, Process
        >>> k = ModelParameter("k", "nuisance", width=0.1)
        >>> n = ModelParameter("n", "nuisance", range=(0.1, 3.0), constraint="poisson", width=0.25)
        >>> model = Model((k, n), (Process.build("S", {"S": "1"}, factor="k * n"),))
        >>> [(c.kind, c.observed, c.scale) for _, c in constrained_parameters(model)]
        [('gaussian', 1.0, 0.1), ('poisson', 16.0, 16.0)]
    """
    found = []
    for p in model.nuisances:
        if p.constraint == "poisson":
            constraint = Constraint(p.name, observed=(p.truth / p.width) ** 2, kind="poisson", scale=p.truth / p.width**2)
        else:
            constraint = Constraint(p.name, observed=p.truth, scale=p.width)
        found.append((Parameter(p.name, p.start, *p.range), constraint))
    return tuple(found)


def _read_learned(session: Session, training: SimulatedEvents, networks: tuple[str, ...]) -> LearnedVariations | None:
    config, learned = session.config, None
    wanted = learned_directions(config, session.out)
    if not (wanted or networks):
        return None
    _, test = read_simulation(session)
    if wanted:
        learned = read_learned(session.out, config, training=training, test=test)
    return learned if not networks else add_shifts(learned, config, session.out, training=training, test=test)


def normalisations(config: Config) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return the factors of the yields under the normalisation uncertainties of the config, (n_processes,) each.

    The name of a process, or of a part of one, stands for all its densities.
    """
    found = {}
    names = [{name} for name in config.densities]
    if config.general:
        names = [{name, c.name, c.process.name} for c in config.model.components for name in c.densities]
    for name, section in config.normalisations.items():
        chosen = np.array([bool(own & set(section.processes)) for own in names])
        down = 1.0 / section.up if section.down is None else section.down
        found[name] = (np.where(chosen, section.up, 1.0), np.where(chosen, down, 1.0))
    return found


def _templates(
    session: Session, name: str, fills: Mapping[str, Fill], nominal: Mapping[str, FloatArray]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray] | None]:
    """Fill the templates of one systematic, up and down; down is None for a one-sided one."""
    section = session.config.systematics.weights.get(name)
    if isinstance(section, WeightMembers):
        filled = [_fill(session, f"{name}_{k}", fills) for k in section.members]
        pairs = {m: combine_members(nominal[m], np.stack([f[m] for f in filled]), how=section.combine) for m in fills}
        return {m: pair[0] for m, pair in pairs.items()}, {m: pair[1] for m, pair in pairs.items()}
    present = {v for s in session.config.simulated for v in variations_of(session.out / EVENTS, s.name)}
    if f"{name}_up" not in present:
        raise SchemaError(
            f"systematics.{name}",
            got=f"event tables with the variations {sorted(present)}",
            expected=f"{name}_up",
            remedy="process again with this config",
        )
    down = _fill(session, f"{name}_down", fills) if f"{name}_down" in present else None
    return _fill(session, f"{name}_up", fills), down


def _fill(session: Session, variation: str, fills: Mapping[str, Fill]) -> dict[str, FloatArray]:
    training, _ = read_simulation(session, variation=variation)
    return {method: fill(training) for method, fill in fills.items()}


def _ratio(varied: FloatArray, nominal: FloatArray) -> FloatArray:
    """Divide templates; bins that are not positive in both say nothing about a factor and stay as they are."""
    good = (nominal > 0.0) & (varied > 0.0)
    return np.asarray(np.divide(varied, nominal, out=np.ones_like(nominal), where=good))

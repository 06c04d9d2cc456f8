"""What the simulated events of the regions say about a fit: events that no region takes, processes without events, flat directions."""

from __future__ import annotations

import numpy as np

from toolkit.analysis.data import FitData
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.region_method import Part, RegionMethod
from toolkit.analysis.regions import in_region, only_declared, split_events
from toolkit.errors import SchemaError
from toolkit.model import Model, Process
from toolkit.model.identifiability import require_constrained
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents


def region_notes(method: RegionMethod, test: SimulatedEvents, model: FitModel) -> tuple[str, ...]:
    """Say how many selected events lie in no region, and which densities have no events in a region.

    Args:
        method: Any method; all have the same regions.
        test: Test events of all regions.
        model: The model, for what the events stand for.
    """
    events = split_events(test, method.model)
    notes = []
    nowhere = ~np.any([part.test for part in method.parts], axis=0)
    if nowhere.any():
        expected = float(truth_weights(events, model, model.truth)[nowhere].sum())
        notes.append(
            f"{int(nowhere.sum())} of {len(events)} simulated test events ({expected:.4g} expected events) lie in no region and take no "
            "part in the fit"
        )
    for part in method.parts:
        declared = {name for c in method.model.components if _has(c.process, part.region.name) for name in c.densities}
        empty = [n for n, total in zip(model.processes, _seen(part).sum(axis=1), strict=True) if total == 0.0 and n in declared]
        if empty:
            notes.append(f"region {part.region.name}: no simulated events of {', '.join(empty)}; the fit expects none of them there")
    return (*notes, *_undeclared(method.model, test))


def data_notes(data: FitData) -> tuple[str, ...]:
    """Say how many data events lie in no region."""
    method = next(m for m in data.methods if isinstance(m, RegionMethod))
    nowhere = int(np.count_nonzero(~np.any([part.test for part in method.parts], axis=0)))
    return (f"{nowhere} of {len(data.events)} data events lie in no region and take no part in the fit",) if nowhere else ()


def _undeclared(model: Model, test: SimulatedEvents) -> list[str]:
    """Say how many events of a process lie in regions of the fit that it does not name."""
    changed = np.any(test.weights != only_declared(test, model).weights, axis=1)
    inside = np.any([in_region(r, test.observables) for r in model.regions if r.kind != "workspace"] or [np.ones(len(test), bool)], axis=0)
    notes = []
    for process in model.processes:
        samples = [test.samples.index(s.name) for s in model.samples_of(process.name) if s.name in test.samples]
        lost = changed & inside & np.isin(test.sample_index, samples)
        if lost.any():
            notes.append(
                f"{int(lost.sum())} simulated test events of {process.name} lie in regions of the fit other than "
                f"{', '.join(process.regions)}, which it is said to be in, and count nowhere"
            )
    return notes


def _has(process: Process, region: str) -> bool:
    return not process.regions or region in process.regions


def require_measurable(method: RegionMethod) -> None:
    """Check that the regions of a method measure every parameter of interest and every free normalisation.

    Args:
        method: The method that sees most, the unbinned one; parameters that a workspace of others has count as measured.

    Raises:
        SchemaError: A direction is flat: names the parameters in it.
    """
    names = {r.name for r in method.model.regions}
    templates = {part.region.name if part.region.name in names else None: _seen(part) for part in method.parts}
    foreign = {name for likelihood in method.foreign for name in likelihood.parameter_names}
    require_constrained(method.model, templates=templates, constrained=foreign)


def _seen(part: Part) -> FloatArray:
    """Return the expected events of the densities in the bins of a region; unbinned, the yields as a diagonal matrix."""
    if isinstance(part.method, BinnedMethod):
        return part.method.templates.values
    if isinstance(part.method, UnbinnedMethod):
        return np.diag(part.method.base.yields)
    raise SchemaError(f"method {part.method.name}", got=type(part.method).__name__, expected="BinnedMethod or UnbinnedMethod")

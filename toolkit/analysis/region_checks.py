"""What the simulated events of the regions say about a fit: events that no region takes, processes without events, flat directions."""

from __future__ import annotations

import numpy as np

from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.region_method import Part, RegionMethod
from toolkit.analysis.regions import split_events
from toolkit.errors import SchemaError
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
        empty = [name for name, total in zip(model.processes, _seen(part).sum(axis=1), strict=True) if total == 0.0]
        if empty:
            notes.append(f"region {part.region.name}: no simulated events of {', '.join(empty)}; the fit expects none of them there")
    return tuple(notes)


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

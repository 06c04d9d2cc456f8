"""Expected events and effective sample size as functions of the parameter of interest.

With interference the yield falls before it rises, so two values of mu share a yield; and events simulated at one
value inform another one badly. Both are seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.inputs import process_index
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.effective_size import n_eff
from toolkit.weights.simulation import SimulatedEvents


@dataclass(frozen=True, eq=False)
class YieldCurve:
    """Yield with its simulation error, and both effective sample sizes, at each value of the parameter.

    `change` is the yield minus that at `reference`, with an error that knows that both come from the same events;
    `n_eff_kish` = (sum w)^2 / sum w^2; `n_eff_max` = |sum w| / max |w|.
    """

    name: str
    parameter: str
    values: FloatArray
    expected: FloatArray
    error: FloatArray
    reference: float
    change: FloatArray
    change_error: FloatArray
    n_eff_kish: FloatArray
    n_eff_max: FloatArray
    n_events: int

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        names = ("name", "parameter", "values", "expected", "error", "reference", "change", "change_error")
        sizes = ("n_eff_kish", "n_eff_max", "n_events")
        return {name: jsonable(getattr(self, name)) for name in names + sizes}


def yield_curve(
    events: SimulatedEvents,
    values: FloatArray,
    coefficients: FloatArray,
    *,
    reference: tuple[float, FloatArray],
    name: str = "total",
    parameter: str = "mu",
    processes: Sequence[str] | None = None,
) -> YieldCurve:
    """Compute yield, simulation error and N_eff at each value of the parameter.

    Args:
        events: Simulated events with weights (n, n_processes).
        values: (m,) values of the parameter.
        coefficients: (m, n_processes) morphing coefficients at those values.
        reference: Value of the parameter that changes are counted from, and the coefficients (n_processes,) there.
        name: Name of the curve in legends.
        parameter: Name of the parameter.
        processes: The processes that count (for example only the interfering ones); None for all.

    Returns:
        The curve; errors are those of the simulation, sqrt(sum w^2), not of the counting experiment.

    Raises:
        ShapeError: `coefficients` is not (m, n_processes).
        SchemaError: A process is unknown.

    Notes:
        The benchmarks of an interfering sample are weights of the same events: their sum at a value of mu is taken
        event by event before squaring. `n_events` counts the events with a non-zero weight under any process used.

    Examples:
        The expected events of mu S + sqrt(mu) I + B fall before they rise:

        >>> weights = np.array([[1.0, 1.0, 4.0], [1.0, 4.0, 4.0]])
        >>> ids, zeros = np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "SBI", "B"), ids, zeros, ("SBI",), {}, weights)
        >>> mu = np.array([0.0, 1.0, 4.0, 9.0])
        >>> f = np.stack([mu - np.sqrt(mu), np.sqrt(mu), 1.0 - np.sqrt(mu)], axis=1)
        >>> yield_curve(events, mu, f, reference=(1.0, f[1])).expected
        array([ 8.,  5.,  6., 11.])
    """
    expected_shape = (values.size, len(events.processes))
    if coefficients.shape != expected_shape:
        raise ShapeError(
            what="yield_curve coefficients",
            got=coefficients.shape,
            expected=expected_shape,
            remedy="pass one row per parameter value, one column per process",
        )
    chosen = np.ones(len(events.processes)) if processes is None else np.zeros(len(events.processes))
    for process in processes or ():
        chosen[process_index(events, process)] = 1.0
    start = events.weights @ (np.asarray(reference[1]) * chosen)
    morphed = [events.weights @ (f * chosen) for f in coefficients]
    return YieldCurve(
        name=name,
        parameter=parameter,
        values=np.array(values, dtype=np.float64),
        expected=np.array([w.sum() for w in morphed]),
        error=np.array([np.sqrt(w @ w) for w in morphed]),
        reference=float(reference[0]),
        change=np.array([w.sum() - start.sum() for w in morphed]),
        change_error=np.array([np.linalg.norm(w - start) for w in morphed]),
        n_eff_kish=np.array([n_eff(w) for w in morphed]),
        n_eff_max=np.array([n_eff(w, definition="max") for w in morphed]),
        n_events=int(np.count_nonzero((events.weights[:, chosen > 0] != 0).any(axis=1))),
    )

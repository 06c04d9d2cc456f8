"""What every parameter of a combination is: NSBI beside the histograms, observed beside expected, the width in MeV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.likelihood.results import MethodResult, Results
from toolkit.likelihood.scans import Interval
from toolkit.model.parameterisations import WIDTH
from toolkit.model.wilson import scale_limits
from toolkit.report.wording import interval_lines, method_name, number, parameter_name

WIDTH_RATIO, WIDTH_MEV = "\u0393_H / \u0393_SM", "\u0393_H [MeV]"


@dataclass(frozen=True)
class InterpretationRow:
    """What one method says about one parameter.

    Attributes:
        fit: Name of the fit.
        parameter: The parameter, in words.
        method: Key of the method.
        factor: From the parameter to what is shown.
        expected: On the Asimov set.
        observed: On the observed events; None while they are not fitted.
    """

    fit: str
    parameter: str
    method: str
    factor: float
    expected: MethodResult
    observed: MethodResult | None

    @property
    def cells(self) -> tuple[str, ...]:
        """Best fit and intervals, observed before expected."""
        seen = (self.observed,) if self.observed is not None else ()
        return tuple(cell for result in (*seen, self.expected) for cell in self._of(result))

    def _of(self, result: MethodResult) -> tuple[str, str, str]:
        inner, outer = ("\n".join(interval_lines(self._scaled(i))) for i in (result.interval_68, result.interval_95))
        return number(self.factor * result.mu_hat), inner, outer

    def _scaled(self, pieces: Sequence[Interval]) -> list[Interval]:
        return [replace(i, low=self.factor * i.low, high=self.factor * i.high) for i in pieces]


def combination_views(results: Results, first: str) -> dict[str, Results]:
    """Return the fits of a combination by name, each as results of its own; `first` is the name of that of the results themselves."""
    alone = replace(results, fits={}, fit_parameters={})
    return {first: alone, **{name: results.in_other_parameters(name) for name in results.fit_parameters}}


def interpretation_rows(views: Mapping[str, Results], *, gamma_sm_mev: float) -> list[InterpretationRow]:
    """List every parameter of interest of every fit, method by method; the width in MeV, too.

    Args:
        views: Results by fit.
        gamma_sm_mev: Width of the Standard Model in MeV.
    """
    rows = []
    for fit, view in views.items():
        for poi in view.interest:
            shown = [(parameter_name(poi), 1.0), *([(WIDTH_MEV, gamma_sm_mev)] if poi == WIDTH else [])]
            own = view.of(poi)
            seen = own.observed.methods if own.observed is not None else {}
            rows += [
                InterpretationRow(fit, WIDTH_RATIO if poi == WIDTH and factor == 1.0 else name, method, factor, result, seen.get(method))
                for name, factor in shown
                for method, result in own.methods.items()
            ]
    return rows


def interpretation_columns(rows: Sequence[InterpretationRow]) -> tuple[str, ...]:
    """Return the headers of the table of interpretations."""
    seen = ("observed", "68 %", "95 %") if any(row.observed is not None for row in rows) else ()
    return ("fit", "parameter", "method", *seen, "expected", "68 % exp.", "95 % exp.")


def scale_rows(views: Mapping[str, Results], scales: Mapping[str, float]) -> list[tuple[str, ...]]:
    """List the 95 % lower limits on the scale of new physics in TeV, for coefficients of 1 and -1.

    Args:
        views: Results by fit.
        scales: Lambda in TeV of the fits whose parameters of interest are Wilson coefficients.

    Returns:
        Cells: fit, coefficient, method, data, then two limits with the others profiled, and two with the others at the truth.
    """
    rows = []
    for fit, scale in scales.items():
        for poi in views[fit].interest:
            own = views[fit].of(poi)
            sets = {"expected": own.methods, "observed": own.observed.methods if own.observed is not None else {}}
            for data, methods in sets.items():
                for method, result in methods.items():
                    one = result.parameters.get(poi)
                    both = (result.interval_95, result.interval_95 if one is None else one.fixed_others_95)
                    cells = tuple(cell for pieces in both for cell in _scales(pieces, scale))
                    rows.append((fit, parameter_name(poi), method_name(method), data, *cells))
    return rows


def _scales(pieces: Sequence[Interval], scale: float) -> tuple[str, str]:
    """Write the limits for both signs; a dash where an interval ends at the edge of the range or does not pass zero."""
    if not pieces or pieces[0].low > 0.0 or pieces[-1].high < 0.0:
        return "-", "-"
    found = scale_limits(pieces[0].low, pieces[-1].high, lambda_tev=scale)
    edges = {1: pieces[-1].at_boundary, -1: pieces[0].at_boundary}
    up, down = (number(found.get(sign)) + "*" * edges[sign] for sign in (1, -1))
    return up, down

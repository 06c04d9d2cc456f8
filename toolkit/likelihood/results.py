"""Results of methods and closure tests, and their JSON form (contract: results.json)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from toolkit.artifacts.versions import other_version
from toolkit.errors import SchemaError
from toolkit.likelihood.expected_information import Gain, Information
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.p_values import Significance
from toolkit.likelihood.parameter_results import Contour, OtherParameters, ParameterInfo, ParameterResult
from toolkit.likelihood.scans import Interval, Scan, from_json_number, json_mapping, json_number

SCHEMA = 2
"""Version of the form of results.json."""
OF_RUN = "nsbi_"
"""Begins the names of the unbinned methods where those of several runs stand beside each other: `nsbi_RUN`."""


@dataclass(frozen=True, eq=False)
class MethodResult:
    """What one method says about the parameter of interest.

    Attributes:
        method: Name of the method ("rate", "m4l", "nsbi", ...).
        mu_hat: Best fit.
        twice_nll_at_0: -2 ln lambda(0) / lambda(best fit); None if 0 is outside the allowed range, or the data forbid it.
        interval_68: Where twice_delta_nll <= 1 (68.27 %).
        interval_95: Where twice_delta_nll <= 3.8415 (95 %).
        scan: The scan.
        fit: The fit behind it, if kept.
        statistical_only: The same without systematic uncertainties, if there are any.
        uncertainties: Pulls, impacts and the table of uncertainties as JSON objects, if there are systematic uncertainties.
        parameters: Every parameter of interest, by name.
        contours: Contours of pairs of parameters of interest.
        twice_nll_at_0_error: Standard error of `twice_nll_at_0` of an Asimov set from the finite simulation, test events and those behind
            the model in quadrature; NaN where it is not known, as with systematic uncertainties.
        twice_nll_at_0_gain: That of the unbinned method over this one, of an Asimov set without systematic uncertainties.
        information: What the method can tell of pairs of hypotheses.

    Examples:
        >>> import numpy as np
        >>> scan = Scan(values=np.array([0.0, 1.0, 2.0]), twice_delta_nll=np.array([1.0, 0.0, 1.0]))
        >>> result = MethodResult("rate", 1.0, 1.0, (Interval(0.0, 2.0, at_boundary=True),), (), scan)
        >>> result.at_boundary, result.to_json()["interval_68"]
        (True, [[0.0, 2.0]])
    """

    method: str
    mu_hat: float
    twice_nll_at_0: float | None
    interval_68: tuple[Interval, ...]
    interval_95: tuple[Interval, ...]
    scan: Scan
    fit: FitResult | None = None
    statistical_only: MethodResult | None = None
    uncertainties: Mapping[str, Any] | None = None
    parameters: Mapping[str, ParameterResult] = field(default_factory=dict)
    contours: tuple[Contour, ...] = ()
    twice_nll_at_0_error: float = math.nan
    twice_nll_at_0_gain: Gain | None = None
    information: tuple[Information, ...] = ()

    @property
    def at_boundary(self) -> bool:
        """Whether an interval reaches the edge of the allowed range."""
        return any(i.at_boundary for i in (*self.interval_68, *self.interval_95))

    def of(self, parameter: str) -> MethodResult:
        """Return what the method says about one parameter of interest: best fit, intervals, t(0) and scan are those of this one.

        Raises:
            SchemaError: The method does not measure the parameter.

        Examples:
            >>> import numpy as np
            >>> scan = Scan(values=np.array([0.0, 1.0]), twice_delta_nll=np.array([1.0, 0.0]), parameter="b")
            >>> b = ParameterResult(0.7, (Interval(0.5, 0.9),), (), (), (), scan)
            >>> MethodResult("nsbi", 1.0, 1.0, (), (), replace(scan, parameter="a"), parameters={"b": b}).of("b").mu_hat
            0.7
        """
        own = self.parameters.get(parameter)
        if parameter == self.scan.parameter:
            return self if own is None or own.uncertainties is None else replace(self, uncertainties=own.uncertainties)
        if own is None:
            known = [self.scan.parameter, *self.parameters]
            raise SchemaError(f"method {self.method}", got=f"no result for {parameter!r}", expected=f"one of {known}")
        return replace(
            self,
            mu_hat=own.best_fit,
            twice_nll_at_0=own.twice_nll_at_0,
            twice_nll_at_0_error=math.nan,
            twice_nll_at_0_gain=None,
            interval_68=own.interval_68,
            interval_95=own.interval_95,
            scan=own.scan,
            statistical_only=None if self.statistical_only is None else self.statistical_only.of(parameter),
            uncertainties=own.uncertainties,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the `method` object of results.json.

        "at_boundary" and "interval_*_at_boundary" (one flag per piece) say which intervals reach the edge of the allowed range.
        "significance" is that of the best fit over 0 for many events: the median expected one if the data are an Asimov set.
        """
        document: dict[str, Any] = {
            "mu_hat": self.mu_hat,
            "twice_nll_at_0": self.twice_nll_at_0,
            "interval_68": [[i.low, i.high] for i in self.interval_68],
            "interval_95": [[i.low, i.high] for i in self.interval_95],
            "at_boundary": self.at_boundary,
            "interval_68_at_boundary": [i.at_boundary for i in self.interval_68],
            "interval_95_at_boundary": [i.at_boundary for i in self.interval_95],
            "scan": self.scan.to_json(),
        }
        if math.isfinite(self.twice_nll_at_0_error):
            document["twice_nll_at_0_error"] = self.twice_nll_at_0_error
        if self.twice_nll_at_0_gain is not None:
            document["twice_nll_at_0_gain_of_nsbi"] = self.twice_nll_at_0_gain.to_json()
        if self.information:
            document["information"] = [entry.to_json() for entry in self.information]
        if self.twice_nll_at_0 is not None:
            document["significance"] = Significance(max(self.twice_nll_at_0, 0.0) if self.mu_hat > 0.0 else 0.0).to_json()
        if self.fit is not None:
            document["fit"] = self.fit.to_json()
        if self.statistical_only is not None:
            document["statistical_only"] = self.statistical_only.to_json()
        if self.uncertainties is not None:
            document["uncertainties"] = dict(self.uncertainties)
        if self.parameters:
            document["parameters"] = {name: p.to_json() for name, p in self.parameters.items()}
        if self.contours:
            document["contours"] = [c.to_json() for c in self.contours]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, method: str) -> MethodResult:
        """Read what `to_json` wrote; the name is the key under which results.json holds it."""
        d = json_mapping(document, f"methods.{method}", ("mu_hat", "twice_nll_at_0", "interval_68", "interval_95", "scan"))
        return cls(
            method=method,
            mu_hat=float(d["mu_hat"]),
            twice_nll_at_0=None if d["twice_nll_at_0"] is None else float(d["twice_nll_at_0"]),
            interval_68=intervals_of(d, "interval_68"),
            interval_95=intervals_of(d, "interval_95"),
            scan=Scan.from_json(d["scan"]),
            fit=FitResult.from_json(d["fit"]) if d.get("fit") else None,
            statistical_only=cls.from_json(d["statistical_only"], method=method) if d.get("statistical_only") else None,
            uncertainties=d.get("uncertainties"),
            parameters={name: ParameterResult.from_json(p) for name, p in d.get("parameters", {}).items()},
            contours=tuple(Contour.from_json(c) for c in d.get("contours", ())),
            twice_nll_at_0_error=from_json_number(d.get("twice_nll_at_0_error")),
            twice_nll_at_0_gain=Gain.from_json(d.get("twice_nll_at_0_gain_of_nsbi")),
            information=tuple(Information.from_json(entry) for entry in d.get("information", ())),
        )


CLOSURE_PARTS = ("test_error", "training_error", "crossed_error", "twice_delta_nll", "p_value")
"""What stands in results.json of a closure point where it is known."""


@dataclass(frozen=True)
class ClosurePoint:
    """Best fit to an Asimov set of independent events, with the standard error of the finite simulation.

    Attributes:
        mu: The truth.
        mu_hat: The best fit.
        standard_error: Of the whole finite simulation: test and training events in quadrature where both are known.
        method: Name of the method.
        test_error: Of the finite number of test events (the data); NaN if not known.
        training_error: Of the finite number of events behind yields, templates and ratios (the model); NaN if not known.
        parameter: The parameter, where there are several of interest.
        truth: All parameters of interest at this point, where there are several.
        crossed_error: Of the distance from the truth in a cross-fit, where every event is data and model and its fluctuation nearly
            cancels; `standard_error` is then that of a fit to other events. NaN if there is none.
        twice_delta_nll: -2 Delta lnL of the truth of all parameters against the best fit, where several are of interest; otherwise NaN.
        p_value: How often the finite simulation makes it as large, where several are of interest; otherwise NaN.

    Examples:
        >>> round(ClosurePoint(mu=1.0, mu_hat=1.15, standard_error=0.1, method="nsbi").pull, 9)
        1.5
    """

    mu: float
    mu_hat: float
    standard_error: float
    method: str
    test_error: float = math.nan
    training_error: float = math.nan
    parameter: str = ""
    truth: Mapping[str, float] = field(default_factory=dict)
    crossed_error: float = math.nan
    twice_delta_nll: float = math.nan
    p_value: float = math.nan

    @property
    def pull(self) -> float:
        """(mu_hat - mu) / standard_error."""
        return (self.mu_hat - self.mu) / self.standard_error if self.standard_error > 0 else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the entry of results.json's `closure` list."""
        parts = {name: value for name in CLOSURE_PARTS if math.isfinite(value := getattr(self, name))}
        several = {"parameter": self.parameter, "truth": dict(self.truth)} if self.parameter else {}
        error = json_number(self.standard_error)
        return {"mu": self.mu, "mu_hat": self.mu_hat, "standard_error": error, **parts, **several, "method": self.method}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ClosurePoint:
        """Read what `to_json` wrote."""
        d = json_mapping(document, "closure", ("mu", "mu_hat", "method"))
        errors: dict[str, Any] = {name: from_json_number(d.get(name)) for name in ("standard_error", *CLOSURE_PARTS)}
        several: dict[str, Any] = {"parameter": d.get("parameter", ""), "truth": dict(d.get("truth", {}))}
        return cls(mu=d["mu"], mu_hat=d["mu_hat"], method=d["method"], **errors, **several)


@dataclass(frozen=True)
class ObservedResults:
    """What the data say.

    Attributes:
        counts: Number of data events by sample.
        expected: Number of events that the model expects at the Asimov truth.
        methods: One entry per method.
        regions: Number of data events in every region of the fit, where there are regions.
        fits: Fits in other parameters: by name of the fit, one entry per method.

    Examples:
        >>> ObservedResults({"early": 60, "late": 61}, 118.3, {}).n_events
        121
    """

    counts: Mapping[str, int]
    expected: float
    methods: dict[str, MethodResult]
    regions: Mapping[str, int] = field(default_factory=dict)
    fits: Mapping[str, Mapping[str, MethodResult]] = field(default_factory=dict)

    @property
    def n_events(self) -> int:
        """Number of data events."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """Return the object `observed` of results.json."""
        methods = {name: m.to_json() for name, m in self.methods.items()}
        return {
            "n_events": self.n_events,
            "counts": dict(self.counts),
            "expected_events": self.expected,
            "methods": methods,
            **({"regions": dict(self.regions)} if self.regions else {}),
            **({"fits": _fits_to_json(self.fits)} if self.fits else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ObservedResults:
        """Read what `to_json` wrote."""
        d = json_mapping(document, "observed", ("counts", "expected_events", "methods"))
        methods = {name: MethodResult.from_json(m, method=name) for name, m in d["methods"].items()}
        return cls(dict(d["counts"]), float(d["expected_events"]), methods, dict(d.get("regions", {})), _fits_of(d))


@dataclass(frozen=True)
class Results:
    """The content of results.json.

    Attributes:
        poi: Parameter of interest.
        asimov: Its value (and that of any other parameter) in the Asimov set.
        luminosity_ifb: Integrated luminosity in 1/fb.
        yields: Expected events per process.
        methods: One entry per method.
        closure: Closure tests.
        timing_s: Seconds per stage.
        observed: What the data say; None while they are blinded.
        fits: Fits in other parameters: by name of the fit, one entry per method.
        fit_parameters: The parameters of these fits by name of the fit.
        notes: What a reader should know, such as the number of selected events in no region.
        parameters: Parameters of the model by name: those of interest, free normalisations, nuisance parameters of the model.

    Examples:
        >>> measured = ParameterInfo("interest", (0.0, 6.0), 1.0)
        >>> parameters = {"a": measured, "b": measured, "t": ParameterInfo("normalisation", (0.0, 2.0), 1.0)}
        >>> Results("a", {"a": 1.0, "b": 1.0, "t": 1.0}, 140.0, {}, {}, parameters=parameters).interest
        ('a', 'b')
    """

    poi: str
    asimov: dict[str, float]
    luminosity_ifb: float
    yields: dict[str, float]
    methods: dict[str, MethodResult]
    closure: tuple[ClosurePoint, ...] = ()
    timing_s: dict[str, float] = field(default_factory=dict)
    observed: ObservedResults | None = None
    fits: Mapping[str, Mapping[str, MethodResult]] = field(default_factory=dict)
    fit_parameters: Mapping[str, OtherParameters] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parameters: Mapping[str, ParameterInfo] = field(default_factory=dict)

    @property
    def interest(self) -> tuple[str, ...]:
        """Names of the parameters of interest."""
        return tuple(name for name, p in self.parameters.items() if p.kind == "interest") or (self.poi,)

    def of(self, parameter: str) -> Results:
        """Return the results of one parameter of interest, as those of an analysis of this one; see `MethodResult.of`.

        Methods that do not measure it are left out, and closure points of others.
        """

        def own(methods: Mapping[str, MethodResult]) -> dict[str, MethodResult]:
            return {n: m.of(parameter) for n, m in methods.items() if parameter in (m.scan.parameter, *m.parameters)}

        return replace(
            self,
            poi=parameter,
            methods=own(self.methods),
            closure=tuple(point for point in self.closure if point.parameter in ("", parameter)),
            observed=None if self.observed is None else replace(self.observed, methods=own(self.observed.methods)),
        )

    def with_parameters(self) -> Results:
        """Say for every method of an analysis of one parameter what it says about it, in the form of several."""

        def named(methods: Mapping[str, MethodResult]) -> dict[str, MethodResult]:
            return {n: m if m.parameters else replace(m, parameters={m.scan.parameter: _as_parameter(m)}) for n, m in methods.items()}

        observed = None if self.observed is None else replace(self.observed, methods=named(self.observed.methods))
        return replace(self, methods=named(self.methods), observed=observed)

    def in_other_parameters(self, fit: str) -> Results:
        """Return a fit in other parameters as the results of an analysis in these; it has no closure tests of its own."""
        new, methods, observed = self.fit_parameters[fit].parameters, dict(self.fits[fit]), self.observed
        measured = [name for name, p in new.items() if p.kind == "interest"]
        asimov = {name: p.truth for name, p in new.items()}
        seen = None if observed is None or fit not in observed.fits else replace(observed, methods=dict(observed.fits[fit]), fits={})
        return replace(self, poi=measured[0], asimov=asimov, methods=methods, closure=(), observed=seen, fits={}, parameters=new)

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return {
            "schema": SCHEMA,
            "poi": self.poi,
            "asimov": dict(self.asimov),
            "luminosity_ifb": self.luminosity_ifb,
            "parameters": {name: p.to_json() for name, p in self.parameters.items()},
            "yields": dict(self.yields),
            "methods": {name: m.to_json() for name, m in self.methods.items()},
            "closure": [c.to_json() for c in self.closure],
            "timing_s": dict(self.timing_s),
            **({"observed": self.observed.to_json()} if self.observed is not None else {}),
            **({"fits": _fits_to_json(self.fits)} if self.fits else {}),
            **({"fit_parameters": {n: p.to_json() for n, p in self.fit_parameters.items()}} if self.fit_parameters else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Results:
        """Read what `to_json` wrote.

        Raises:
            SchemaError: A key is missing, or the schema version is none that this toolkit reads: 1 has no `parameters`.
        """
        d = json_mapping(document, "results", ("schema", "poi", "asimov", "luminosity_ifb", "yields", "methods", "closure", "timing_s"))
        if d["schema"] not in (1, SCHEMA):
            remedy = "read the results with the version that wrote them, or `h4l run CONFIG` writes them anew"
            raise other_version("results", found=d["schema"], expected=f"1 or {SCHEMA}", remedy=remedy)
        return cls(
            poi=d["poi"],
            asimov=dict(d["asimov"]),
            luminosity_ifb=d["luminosity_ifb"],
            yields=dict(d["yields"]),
            methods={name: MethodResult.from_json(m, method=name) for name, m in d["methods"].items()},
            closure=tuple(ClosurePoint.from_json(c) for c in d["closure"]),
            timing_s=dict(d["timing_s"]),
            observed=ObservedResults.from_json(d["observed"]) if d.get("observed") else None,
            fits=_fits_of(d),
            fit_parameters={n: OtherParameters.from_json(p) for n, p in d.get("fit_parameters", {}).items()},
            notes=tuple(d.get("notes", ())),
            parameters={name: ParameterInfo.from_json(p) for name, p in d.get("parameters", {}).items()},
        )


def _as_parameter(result: MethodResult) -> ParameterResult:
    levels = (result.interval_68, result.interval_95)
    return ParameterResult(result.mu_hat, *levels, *levels, result.scan, "asymptotic", result.twice_nll_at_0)


def intervals_of(document: Mapping[str, Any], key: str) -> tuple[Interval, ...]:
    """Read the pieces of an interval, with the flags that stand beside it under `KEY_at_boundary`."""
    pairs = document[key]
    flags = document.get(f"{key}_at_boundary", [False] * len(pairs))
    return tuple(Interval(low=float(p[0]), high=float(p[1]), at_boundary=bool(flag)) for p, flag in zip(pairs, flags, strict=True))


def _fits_to_json(fits: Mapping[str, Mapping[str, MethodResult]]) -> dict[str, Any]:
    return {name: {method: result.to_json() for method, result in own.items()} for name, own in fits.items()}


def _fits_of(document: Mapping[str, Any]) -> dict[str, dict[str, MethodResult]]:
    own = document.get("fits", {})
    return {name: {method: MethodResult.from_json(r, method=method) for method, r in fit.items()} for name, fit in own.items()}

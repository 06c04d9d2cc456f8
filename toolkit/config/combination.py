"""A combination of finished measurements: its parts, what they share, and in which parameters it is fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from toolkit.config.base import Section
from toolkit.config.conditions import OptionalCondition
from toolkit.config.histograms import HistogramConfig
from toolkit.config.names import FileName, Name
from toolkit.config.parameters import ModelParameterConfig, require_free
from toolkit.config.processes import ExpressionText
from toolkit.config.report import ReportConfig
from toolkit.model.parameterisations import GAMMA_SM_MEV, PARAMETERISATIONS

LARGEST_UP = 5.0
"""Largest factor of an uncertainty; its inverse is the smallest. What is known worse is a free parameter."""


def _factor(up: float) -> float:
    """Refuse a relative uncertainty in the place of a factor."""
    if not 1.0 / LARGEST_UP <= up <= LARGEST_UP:
        msg = f"a factor between {1.0 / LARGEST_UP:g} and {LARGEST_UP:g}, at plus one standard deviation: 1.05 for 5 %"
        raise ValueError(msg)
    return up


def _whole(events: float) -> float:
    if events != int(events):
        msg = "observed events are whole numbers"
        raise ValueError(msg)
    return events


Up = Annotated[float, Field(gt=0), AfterValidator(_factor)]
KINDS = ("run", "runs", "workspace", "counts", "events")
"""Kinds of parts, by the key that names one."""


def _listed(value: Any) -> Any:
    """Take one entry as a list of one."""
    return (value,) if isinstance(value, str | int | float) and not isinstance(value, bool) else value


Bins = Annotated[tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(_listed), Field(min_length=1)]
Counts = Annotated[tuple[Annotated[float, Field(ge=0), AfterValidator(_whole)], ...], BeforeValidator(_listed), Field(min_length=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class ScaledProcess(Section):
    """What multiplies the expectation of a process."""

    factor: ExpressionText = "1"
    """Expression of the parameters of the combination, such as `mu_ggF_on`."""
    uncertainties: dict[Name, Up] = Field(default={})
    """Nuisance parameters by name, each with the factor on the expectation at plus one standard deviation; at minus one its inverse."""


class CountedProcess(ScaledProcess):
    """A process whose expectation is given as numbers."""

    expected: Bins
    """Expected events: a number, or a list of one number per bin."""

    @model_validator(mode="after")
    def _some(self) -> CountedProcess:
        if not any(self.expected):
            msg = "expected: no event in any bin: remove the process, or correct its numbers"
            raise ValueError(msg)
        return self


class CountsPart(Section):
    """Counts in one or several bins."""

    processes: dict[Name, CountedProcess] = Field(min_length=1)
    """Processes by name."""
    observed: Counts | None = None
    """Observed events, as many bins as the processes have."""
    luminosity_uncertainty: float = Field(default=0.0, ge=0, lt=0.5)
    """Relative uncertainty of the luminosity, the nuisance parameter `lumi` of all processes; 0 leaves it out."""

    @model_validator(mode="after")
    def _bins(self) -> CountsPart:
        lengths = {name: len(p.expected) for name, p in self.processes.items()}
        if self.observed is not None:
            lengths["observed"] = len(self.observed)
        if len(set(lengths.values())) > 1:
            msg = f"numbers of bins differ: {lengths}"
            raise ValueError(msg)
        return self


class EventsPart(Section):
    """Counts of selected events: the event tables of `h4l process`, of events that no other part has."""

    folder: str
    """Output folder of `h4l process` or `h4l run`, relative to the config; `{runs}` is the folder given with `--runs`."""
    condition: OptionalCondition = ""
    """Which events: observables of the event tables, such as `118 < m4l < 129`; empty takes all."""
    histogram: HistogramConfig | None = None
    """Bins of one observable; without it the events are counted in one bin."""
    processes: dict[str, ScaledProcess] = Field(min_length=1)
    """Samples that enter, by name."""
    others: dict[Name, CountedProcess] = Field(default={})
    """Processes that are not simulated, with numbers per bin."""
    luminosity_uncertainty: float = Field(default=0.0, ge=0, lt=0.5)
    """Relative uncertainty of the luminosity, the nuisance parameter `lumi` of all processes; 0 leaves it out."""

    @model_validator(mode="after")
    def _one_axis(self) -> EventsPart:
        if self.histogram is not None and len(self.histogram.observables) > 1:
            msg = "histogram: one observable; for two, count the events in regions and write them as `counts`"
            raise ValueError(msg)
        bins = 1 if self.histogram is None else len(self.histogram.axes[0]) - 1
        wrong = {name: len(p.expected) for name, p in self.others.items() if len(p.expected) != bins}
        if wrong:
            msg = f"others: numbers of bins {wrong}, the events have {bins}"
            raise ValueError(msg)
        twice = sorted(set(self.processes) & set(self.others))
        if twice:
            msg = f"{twice} are in `processes` and in `others`: give them different names"
            raise ValueError(msg)
        return self


class CombinationPart(Section):
    """One measurement: exactly one of `run`, `runs`, `workspace`, `counts`, `events`."""

    run: str = ""
    """Output folder of a finished `h4l run`, relative to the config; `{runs}` is the folder given with `--runs`."""
    runs: dict[Name, str] = Field(default={})
    """Output folders of finished runs of the same events, such as with other networks, by a name of your choice: their methods stand beside
    each other. What differs from run to run gets the name of the run behind it, `nsbi_NAME`; histograms that are equal come once."""
    workspace: str = ""
    """A workspace file of binned channels (pyhf, HS3), relative to the config; `{runs}` as in `run`."""
    counts: CountsPart | None = None
    """Numbers of events."""
    events: EventsPart | None = None
    """Event tables."""
    rename: dict[str, Name] = Field(default={})
    """New names of parameters of the part: `{mu: mu_ggF}`. Parameters of one name are one parameter."""

    @property
    def kind(self) -> str:
        """Which of the keys says what the part is."""
        return next(kind for kind in KINDS if getattr(self, kind))

    @model_validator(mode="after")
    def _one_kind(self) -> CombinationPart:
        given = [kind for kind in KINDS if getattr(self, kind)]
        if len(given) != 1:
            msg = f"{' and '.join(given) or 'nothing'} given; a part is exactly one of {', '.join(KINDS)}"
            raise ValueError(msg)
        return self


class CombinationFit(Section):
    """A fit in parameters of your own, or of those of the parts."""

    parameters: dict[Name, ModelParameterConfig] = Field(default={})
    """New parameters by name; ranges and truths as under `parameters` of an analysis."""
    express: dict[Name, ExpressionText] = Field(default={})
    """Expressions of the new parameters in the place of parameters of the parts: `{c_g: 19.4 * C_HG}`."""
    interest: tuple[Name, ...] = ()
    """Parameters of the parts that are measured themselves, besides new ones of kind `interest`."""
    order: Literal["full", "linear"] = "full"
    """`linear` expands every coefficient to first order in the free parameters around the truth: in an effective theory the interference
    with the Standard Model, without squares. Densities may then be negative; such points are forbidden."""
    lambda_tev: float | None = Field(default=None, gt=0)
    """Where the parameters of interest are Wilson coefficients c / Lambda^2 with this Lambda in TeV, lower limits on Lambda for c = 1 and
    c = -1 are in the report."""

    @model_validator(mode="after")
    def _measures(self) -> CombinationFit:
        if bool(self.parameters) != bool(self.express):
            msg = "parameters and express go together: new parameters, and what they replace"
            raise ValueError(msg)
        require_free(self.parameters)
        if len(set(self.interest)) < len(self.interest):
            msg = f"interest {list(self.interest)}: a name stands twice"
            raise ValueError(msg)
        return self


class CombineConfig(Section):
    """The config of `h4l combine`."""

    name: FileName = "combination"
    """Name of the combination; the default output folder is out/NAME."""
    parts: dict[Name, CombinationPart] = Field(min_length=1)
    """Measurements of different events, by name."""
    correlations: Literal["by_name"] | tuple[str, ...] = "by_name"
    """Which nuisance parameters the parts share: those of one name, or those of a list; others then get the name of their part at the end.
    Free parameters of one name are always one parameter; `rename` keeps them apart."""
    parameters: dict[Name, ModelParameterConfig] = Field(default={})
    """Ranges and truths of free parameters, in place of those of the parts, and of the parameterisations; [0, 10] around 1 where
    nobody gives one."""
    parameterisations: Annotated[Texts, Field(validate_default=True)] = ("production",)
    """Ready-made parameters that are measured, one fit each: production, strength, width, R_gg, R_VV, R_gg_R_VV, kappa (docs/combine.md).
    Signal strengths are called mu_ggF, mu_EW off shell, mu_ggF_on, mu_EW_on on shell, or mu_on for both of these."""
    fits: dict[Name, CombinationFit] = Field(default={})
    """Fits in parameters of your own, by name."""
    methods: tuple[str, ...] = ()
    """Methods of the runs that are combined with the other parts, each by itself; by default all that every run has."""
    observed: bool = False
    """Whether the observed events are fitted as well; every part must have some."""
    systematics: bool = True
    """Whether nuisance parameters are free in the fit; otherwise they keep their central values."""
    luminosity_ifb: float | None = Field(default=None, gt=0)
    """Luminosity that plots and tables state, in 1/fb; by default that of the runs."""
    gamma_sm_mev: float = Field(default=GAMMA_SM_MEV, gt=0)
    """Width of the Higgs boson of the Standard Model in MeV, the unit of the parameter `width` in the table."""
    scan_points: int = Field(default=121, ge=11, le=100_000)
    """Points of each likelihood scan over the range; intervals are refined between them."""
    report: ReportConfig = ReportConfig()

    @model_validator(mode="after")
    def _known(self) -> CombineConfig:
        unknown = [name for name in self.parameterisations if name not in PARAMETERISATIONS]
        if unknown:
            msg = f"parameterisations: {unknown} are not known; choose among {sorted(PARAMETERISATIONS)}, or write your own under `fits`"
            raise ValueError(msg)
        if len(set(self.methods)) < len(self.methods):
            msg = f"methods {list(self.methods)}: a name stands twice"
            raise ValueError(msg)
        twice = sorted(set(self.parameterisations) & set(self.fits))
        if twice or len(set(self.parameterisations)) < len(self.parameterisations):
            msg = f"parameterisations {list(self.parameterisations)} and fits {list(self.fits)}: a name stands twice"
            raise ValueError(msg)
        if not self.parameterisations and not self.fits:
            msg = "no parameterisation and no fit: nothing would be measured"
            raise ValueError(msg)
        derived = sorted(name for name, p in self.parameters.items() if p.expression or p.kind == "nuisance")
        if derived:
            msg = f"parameters {derived}: only free ones; write expressions under `fits`"
            raise ValueError(msg)
        return self

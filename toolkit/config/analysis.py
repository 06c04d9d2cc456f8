"""The whole analysis: samples, selection, morphing, ratios, likelihood, baselines."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from toolkit.config.alternatives import check_alternatives
from toolkit.config.base import Section
from toolkit.config.checks import (
    check_closure,
    check_groups,
    check_importance_groups,
    check_normalisations,
    check_nuisances,
    check_ratio_values,
    check_sample_conditions,
    check_truths,
)
from toolkit.config.classifier_checks import check_classifiers, scores_in
from toolkit.config.classifiers import AnyClassifierConfig
from toolkit.config.columns import ColumnConfig
from toolkit.config.corrections import CorrectionConfig
from toolkit.config.cross_fit import require_cross_fit
from toolkit.config.estimates import estimated_densities
from toolkit.config.histograms import METHODS, HistogramConfig, RatioHistogramsConfig, ScoreHistogramConfig, ScorePlaneConfig
from toolkit.config.kfactors import check_components, check_corrections, component_variations
from toolkit.config.likelihood import LikelihoodConfig, NormalisationUncertainty, ParameterConfig
from toolkit.config.model import general_model, short_model
from toolkit.config.morphing import MorphingConfig
from toolkit.config.names import FileName, Name
from toolkit.config.other_fits import check_fits
from toolkit.config.parameters import ModelParameterConfig
from toolkit.config.processes import ProcessConfig
from toolkit.config.ratios import AnyRatioConfig, RatioConfig, ThetaConfig, for_labels
from toolkit.config.regions import OutputConfig, RegionConfig, ScoreConfig
from toolkit.config.report import ReportConfig
from toolkit.config.samples import SampleConfig
from toolkit.config.selection import SelectionConfig
from toolkit.config.support import (
    require_known_conditions,
    require_learning_curve,
    require_luminosity_alone,
    require_measured,
    require_supported,
    require_weights,
)
from toolkit.config.systematics import SystematicsConfig
from toolkit.errors import SchemaError
from toolkit.model.identifiability import require_constrained
from toolkit.model.model import Model
from toolkit.model.parameters import ModelParameter
from toolkit.model.regions import require_disjoint
from toolkit.typing import FloatArray

M4L_EDGES = (220.0, 240.0, 260.0, 280.0, 300.0, 330.0, 360.0, 400.0, 450.0, 500.0, 600.0, 700.0, 850.0, 1000.0, 1300.0, 2001.0)


class Config(Section):
    """One analysis, as read from YAML."""

    name: FileName = "analysis"
    """Name of the analysis; the default output folder is out/NAME."""
    luminosity_ifb: float = Field(default=1.0, gt=0)
    """Integrated luminosity to which simulated yields are normalised; needed with simulation only."""
    samples: tuple[SampleConfig, ...] = Field(min_length=1)
    """Samples of simulation and data; all stages but `process` need at least one sample that interferes."""
    allow_duplicates: bool = False
    """Whether the same file or event may be read twice, in one sample or in two. Otherwise that is an error."""
    selection: SelectionConfig = SelectionConfig()
    observables: tuple[str, ...] = ()
    """Observables written to the event tables, and groups of them (see docs/observables.md); empty writes the group `standard`."""
    modules: tuple[str, ...] = ()
    """Python files of yours, relative to the config, that register observables. They are run: name only files that you trust."""
    columns: dict[FileName, ColumnConfig] = Field(default={})
    """Columns of the ntuple that become observables, by name of the observable."""
    corrections: dict[Name, CorrectionConfig] = Field(default={})
    """Factors on the weights of selected simulated events by name: scale factors, pile-up, k-factors (docs/weights.md)."""
    k_factors: dict[Name, dict[str, CorrectionConfig]] = Field(default={})
    """K-factors of the components of processes that interfere: `{ggF: {S: {value: 1.8}, I: {value: 1.7, uncertainty: 0.1}, B: ...}}`
    (docs/weights.md); components are amplitudes, A*B their interference, `I` that of two. Those with an uncertainty are nuisance parameters
    k_PROCESS_COMPONENT."""
    systematics: SystematicsConfig = SystematicsConfig()
    scores: dict[Name, ScoreConfig] = Field(default={})
    """Scores from ONNX files: columns of the event tables that regions may use. docs/systematics.md has an example."""
    classifiers: dict[Name, AnyClassifierConfig] = Field(default={})
    """Scores of networks and trees that the stage `classify` trains: observables that regions, histograms and features may use
    (docs/classifiers.md)."""
    regions: dict[Name, RegionConfig] = Field(default={})
    """Named selections: conditions on observables and scores, such as `m4l > 220 and n_jets >= 2` as a flag, or sections with a kind that
    enter the fit."""
    outputs: OutputConfig = OutputConfig()
    fills: dict[Name, float] = Field(default={})
    """What stands for a missing value of an observable in the training table, in its unit: `m_jj: 0` gives the features
    `m_jj_filled` and `has_m_jj` (1 or 0). Event tables and histograms keep missing values missing."""
    morphing: MorphingConfig = MorphingConfig()
    parameter: ParameterConfig = ParameterConfig()
    parameters: dict[Name, ModelParameterConfig] = Field(default={})
    """Parameters of an analysis of several processes, in place of `morphing` and `parameter` (docs/model.md); a text is an expression of
    others."""
    processes: dict[Name, ProcessConfig] = Field(default={})
    """Processes of such an analysis: amplitudes that interfere, benchmarks, free factors, parts by condition."""
    ratios: AnyRatioConfig = RatioConfig()
    likelihood: LikelihoodConfig = LikelihoodConfig()
    histograms: dict[FileName, HistogramConfig] = Field(default={"m4l": HistogramConfig(observable="m4l", edges=M4L_EDGES)})
    """Histogram fits beside the unbinned one, by name of the method."""
    score_histogram: ScoreHistogramConfig = ScoreHistogramConfig()
    score_plane: ScorePlaneConfig | None = ScorePlaneConfig()
    """The histogram of two ratios of the networks, the best of the binned baselines; `null` leaves it out."""
    ratio_histograms: RatioHistogramsConfig | None = None
    """Histograms of the log ratio of chosen values of the parameter of interest to its truth; none by default."""
    report: ReportConfig = ReportConfig()

    @property
    def histograms_of_one(self) -> dict[str, tuple[str, FloatArray]]:
        """Observable and edges of the histograms of one observable with edges of the config, by name of the method."""
        chosen = {name: h for name, h in self.histograms.items() if len(h.observables) == 1 and h.bins is None}
        return {name: (h.observables[0], np.array(h.axes[0], dtype=np.float64)) for name, h in chosen.items()}

    @property
    def backgrounds(self) -> tuple[str, ...]:
        """Densities that do not interfere, in the order of the config."""
        if self.general:
            return tuple(name for c in self.model.components if c.process.n_amplitudes == 1 for name in c.densities)
        return tuple(s.name for s in self.simulated if not s.benchmarks and s.name not in self.morphing.carried)

    @property
    def general(self) -> bool:
        """Whether the config has `parameters` and `processes`, and not the short form of one parameter."""
        return bool(self.processes or self.parameters)

    @property
    def learns_from_labels(self) -> bool:
        """Whether samples that interfere were generated separately, so that the networks learn from which sample an event is."""
        if not self.general:
            return any(s.name in self.morphing.carried and not s.benchmarks for s in self.simulated)
        model = self.model
        return any(model.separate_samples(process.name) for process in model.processes)

    @property
    def model(self) -> Model:
        """The physics model, the same object for either form.

        Raises:
            SchemaError, PhysicsDomainError: The sections do not fit together; a config in the general form was checked when it was read.
        """
        if self.general:
            return general_model(self.parameters, self.processes, self.simulated, self.regions)
        section = self.parameter
        start = min(max(1.0, section.range[0]), section.range[1])
        parameter = ModelParameter(section.name, start=start, range=section.range, truth=section.asimov)
        return short_model(self.morphing, parameter, self.simulated, self.regions)

    @property
    def conditions(self) -> dict[str, str]:
        """Conditions of regions and of parts of processes by name: columns of the event tables that say which events fulfil them.

        Those that need a classifier are not among them: processing cannot evaluate them, see `scored_conditions`.
        """
        return {name: text for name, text in self._all_conditions.items() if not scores_in(text, self.classifier_columns)}

    @property
    def scored_conditions(self) -> dict[str, str]:
        """Conditions of regions and of parts of processes that need the score of a classifier, by name."""
        return {name: text for name, text in self._all_conditions.items() if scores_in(text, self.classifier_columns)}

    @property
    def _all_conditions(self) -> dict[str, str]:
        found = {name: section.condition for name, section in self.regions.items() if section.condition}
        return found | {name: part.condition for process in self.processes.values() for name, part in process.split.items()}

    @property
    def classifier_columns(self) -> tuple[str, ...]:
        """Columns that the classifiers write: their scores, or the probabilities of their classes."""
        return tuple(column for name, section in self.classifiers.items() for column in section.columns(name))

    @property
    def observable_fills(self) -> dict[str, float]:
        """The fills of what processing writes: those of scores of classifiers come when the scores do."""
        return {name: fill for name, fill in self.fills.items() if name not in self.classifier_columns}

    @property
    def simulated(self) -> tuple[SampleConfig, ...]:
        """Samples that stand for densities, simulation and estimates from data, in the order of the config."""
        return tuple(s for s in self.samples if s.kind != "data")

    @property
    def luminosity_used(self) -> float | None:
        """The integrated luminosity, None where the config gives none: nothing is normalised to it."""
        return self.luminosity_ifb if "luminosity_ifb" in self.model_fields_set else None

    @property
    def estimates(self) -> dict[str, tuple[str, ...]]:
        """Densities of the estimates from data, which the luminosity does not scale, by sample."""
        return estimated_densities(self.samples, self.model) if any(s.kind == "estimate" for s in self.samples) else {}

    @property
    def normalisations(self) -> dict[str, NormalisationUncertainty]:
        """Normalisation uncertainties by nuisance parameter: those of the likelihood section, and those of estimates."""
        uncertain = {s.name: s.uncertainty for s in self.samples if s.uncertainty is not None}
        own = {
            f"estimate_{name}": NormalisationUncertainty(processes=self.estimates[name], up=1.0 + u, down=1.0 - u)
            for name, u in uncertain.items()
        }
        return {**self.likelihood.normalisations, **own}

    @property
    def data_samples(self) -> tuple[SampleConfig, ...]:
        """Samples of data, in the order of the config."""
        return tuple(s for s in self.samples if s.kind == "data")

    @property
    def densities(self) -> tuple[str, ...]:
        """The densities of the mixture: the interfering ones, then each background. The order of the ONNX outputs."""
        return self.model.densities if self.general else (*self.morphing.benchmarks, *self.backgrounds)

    @property
    def external_files(self) -> dict[str, str]:
        """Files beside the ntuples that processing reads (corrections, scores, modules), by the key that names them."""
        shifts = {f"systematics.objects.{n}.file": s.file.path for n, s in self.systematics.objects.items() if s.file is not None}
        shifts |= {f"k_factors.{p}.{c}.file": s.file for p, of in self.k_factors.items() for c, s in of.items() if s.file}
        shifts |= {f"corrections.{n}.file": c.file for n, c in self.corrections.items() if c.file}
        modules = {f"modules[{i}]": path for i, path in enumerate(self.modules)}
        return {**shifts, **{f"scores.{n}.model": s.model for n, s in self.scores.items()}, **modules}

    def sample(self, name: str) -> SampleConfig:
        """Return the sample called `name`.

        Raises:
            SchemaError: There is none.
        """
        found = next((s for s in self.samples if s.name == name), None)
        if found is None:
            names = [s.name for s in self.samples]
            raise SchemaError(f"sample {name!r}", got="no such sample in the config", expected=f"one of {names}", remedy="correct the name")
        return found

    def require_supported(self) -> None:
        """Check that all stages can measure with the physics model of the config; `toolkit.config.support` lists what they cannot.

        Raises:
            SchemaError: They cannot yet.
        """
        require_luminosity_alone(self.ratios, general=self.general, nuisances=self.nuisance_names)
        require_cross_fit(self.ratios, self.likelihood, self.systematics, varied=(*self.table_systematics, *self.systematics.weights))
        require_learning_curve(self.ratios, self.report.learning_curve, general=self.general)
        if self.general:
            model = self.model
            require_supported(model)
            require_weights(self.ratios.estimator, model)
            require_measured(model)
            require_known_conditions(model, features=self.ratios.features, scores=(*self.scores, *self.classifier_columns))
            return
        fitted = [name for name, section in self.regions.items() if section.kind != "flag"]
        if fitted:
            raise SchemaError(
                f"regions {fitted}",
                got="regions of the fit in a config with `morphing` and `parameter`",
                expected="`parameters` and `processes`",
                remedy="write the model in the general form (docs/model.md), or give the region `kind: flag`",
            )

    def require_interference(self) -> None:
        """Check that the config describes a measurement, not only ntuples to process.

        Raises:
            SchemaError: No sample lists benchmarks, a sample is a benchmark without listing any, more than two amplitudes interfere, or the
                stages cannot do it yet.
        """
        self.require_supported()
        if self.general:
            return
        known = {name for s in self.simulated for name in (s.benchmarks or (s.name,)) if name in self.morphing.carried}
        if not known:
            raise SchemaError(
                "samples",
                got=f"none that lists benchmarks or is called after one of {list(self.morphing.carried)}",
                expected="interfering samples",
                remedy="list `benchmarks` of the interfering samples, call each after what it was generated as, or run `h4l process` alone",
            )
        missing = [name for name in self.morphing.carried if name not in known]
        if missing:
            raise SchemaError(
                "samples",
                got=f"no events of {', '.join(missing)}",
                expected=f"weights of all of {list(self.morphing.carried)}, or a sample of each",
                remedy="list `benchmarks` of the interfering samples, or add the samples that are missing",
            )
        _ = self.morphing.amplitudes, self.model.expressions()
        require_weights(self.ratios.estimator, self.model)

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        names = [s.name for s in self.samples]
        if len(set(names)) != len(names):
            msg = f"sample names repeat: {names}"
            raise ValueError(msg)
        scaled = [s.name for s in self.samples if s.kind == "simulation"]
        if scaled and self.luminosity_used is None:
            msg = f"luminosity_ifb: missing; the simulated samples {scaled} are normalised to it"
            raise ValueError(msg)
        if self.general:
            self._check_general()
        else:
            self._check_short()
        if self.learns_from_labels:
            object.__setattr__(self, "ratios", for_labels(self.ratios))
        taken, where = {*self.scores, *self.columns}, self.selection.where
        check_classifiers(self.classifiers, columns=self.classifier_columns, taken=taken, where=where, model=lambda: self.model)
        varied = {**self.systematics.objects, **self.systematics.weights, **self.systematics.samples}
        chosen = {f"systematics.{n}": v.samples for n, v in varied.items()}
        for key, wanted in chosen.items():
            unknown = sorted(set(wanted) - set(names))
            if unknown:
                msg = f"{key}: no samples {unknown}; the samples are {names}"
                raise ValueError(msg)
        check_corrections(self.corrections, self.systematics.weights, samples=names)
        check_sample_conditions({s.name: s.where for s in self.samples if s.where}, scores={*self.scores, *self.classifier_columns})
        if self.systematics.samples:
            check_alternatives(self.systematics.samples, self.samples, lambda: self.model)
        if self.k_factors:
            check_components(self.k_factors, self.model)
        self._check_nuisances()
        of_runs = {name for name in self.histograms if name.startswith("nsbi_")}
        reserved = sorted({*METHODS, *self._method_names} & set(self.histograms) | of_runs)
        if reserved:
            msg = f"histograms {reserved}: the names {', '.join(METHODS)} and nsbi_... belong to methods of the toolkit; choose another"
            raise ValueError(msg)
        if self.ratio_histograms is not None:
            check_ratio_values(self.ratio_histograms.values, self.model)
        check_importance_groups(self.report.importance_groups, features=self.ratios.features)
        if self.likelihood.observed:
            self._check_observed()
        ranges = [self.parameters[name].range for name in (*self.neyman, *self.quick_neyman)] if self.general else [self.parameter.range]
        allowed = (max((low for low, _ in ranges), default=-np.inf), min((high for _, high in ranges), default=np.inf))
        self.likelihood.toys.check({*self._method_names, *self.histograms}, allowed=allowed)
        return self

    @property
    def table_systematics(self) -> tuple[str, ...]:
        """Systematics with event tables of their own: shifts of objects, other files, and k-factors of components."""
        return (*self.systematics.objects, *self.systematics.samples, *component_variations(self.k_factors))

    @property
    def _method_names(self) -> set[str]:
        ratios = set() if self.ratio_histograms is None else set(self.ratio_histograms.names)
        return {*METHODS, *ratios} - ({"score_2d"} if self.score_plane is None else set())

    def _check_short(self) -> None:
        """Check samples, morphing and parameter of the short form."""
        strange = [s.name for s in self.samples if s.process or s.generated]
        if strange:
            msg = f"samples {strange}: `process` and `generated` belong to a config with `processes` (docs/model.md)"
            raise ValueError(msg)
        for s in self.samples:
            missing = set(self.morphing.carried) - set(s.benchmarks)
            if s.benchmarks and missing:
                msg = f"sample {s.name}: benchmarks {list(s.benchmarks)} lack {sorted(missing)}, which the morphing needs"
                raise ValueError(msg)
        self.morphing.require_parameter(self.parameter.name)
        factors = {s.name: s.k_factor for s in self.samples if s.benchmarks}
        if len(set(factors.values())) > 1:
            msg = f"k_factor differs between interfering samples {factors}: they inform the same densities, give them one value"
            raise ValueError(msg)
        low, high = self.parameter.range
        outside = [mu for mu in self.likelihood.closure_mu if not low <= mu <= high]
        if outside:
            msg = f"closure_mu {outside} lie outside parameter.range [{low}, {high}]"
            raise ValueError(msg)

    def _check_general(self) -> None:
        """Check that the general form is a physics model, and that nothing of the short form stands beside it."""
        both = sorted({"morphing", "parameter"} & self.model_fields_set)
        if both:
            msg = (
                f"{' and '.join(both)} beside `parameters` and `processes`: write either the short form of one parameter or the general one"
            )
            raise ValueError(msg)
        if not self.processes:
            msg = "`parameters` without `processes`: say which densities depend on them (docs/model.md)"
            raise ValueError(msg)
        twice = sorted(set(self.regions) & {name for process in self.processes.values() for name in process.split})
        if twice:
            msg = f"{twice} are names of regions and of parts of processes: rename one of them"
            raise ValueError(msg)
        model = self.model
        check_closure(self.likelihood.closure, model)
        check_fits(self.likelihood.fits, model)
        if "closure_mu" in self.likelihood.model_fields_set:
            check_truths(self.likelihood.closure_mu, model)
        check_nuisances(model, variations=self._variations)
        require_constrained(model)
        require_disjoint(model.regions)
        for process in model.processes:
            members = {s.name for s in model.samples_of(process.name)}
            factors = {s.name: s.k_factor for s in self.samples if s.name in members}
            if process.n_amplitudes > 1 and len(set(factors.values())) > 1:
                msg = f"k_factor differs between samples of process {process.name} {factors}: they inform the same densities"
                raise ValueError(msg)

    @property
    def _component_names(self) -> tuple[str, ...]:
        return tuple(name for c in self.model.components for name in (c.name, c.process.name))

    @property
    def _poi_names(self) -> tuple[str, ...]:
        """Names that no systematic variation may have."""
        return tuple(n for n, p in self.parameters.items() if p.kind != "nuisance") if self.general else (self.parameter.name,)

    @property
    def _variations(self) -> tuple[str, ...]:
        """Names of all systematic uncertainties but the luminosity."""
        return (*self.normalisations, *self.table_systematics, *self.systematics.weights, *self.ratio_nuisances)

    @property
    def nuisance_names(self) -> dict[str, tuple[str, ...]]:
        """Nuisance parameters of the fit by where they come from: luminosity, normalisation, objects, weights, networks, model."""
        settings = self.likelihood
        if not settings.systematics:
            return {}
        found = {
            "luminosity": ("lumi",) if settings.luminosity_uncertainty > 0 else (),
            "normalisation": tuple(self.normalisations),
            "objects": tuple(self.systematics.objects),
            "samples": tuple(self.systematics.samples),
            "weights": tuple(self.systematics.weights),
            "k_factors": tuple(component_variations(self.k_factors)),
            "networks": self.ratio_nuisances,
            "model": tuple(n for n, p in self.parameters.items() if p.kind == "nuisance" and n not in self._variations),
        }
        return {group: names for group, names in found.items() if names}

    @property
    def neyman(self) -> tuple[str, ...]:
        """Parameters of interest whose intervals are constructed from toys, too, whatever it takes."""
        return tuple(name for name, interval in self._intervals.items() if interval == "neyman")

    @property
    def quick_neyman(self) -> tuple[str, ...]:
        """Parameters of interest whose intervals are constructed from toys, too, if that takes seconds."""
        return tuple(name for name, interval in self._intervals.items() if interval == "auto")

    @property
    def _intervals(self) -> dict[str, str]:
        if not self.general:
            return {self.parameter.name: self.parameter.interval}
        named = {p.name for p in self.model.interest}
        return {name: section.interval for name, section in self.parameters.items() if name in named}

    @property
    def ratio_nuisances(self) -> tuple[str, ...]:
        """Names for the nuisance parameters of the density ratios; the networks decide how many there are, and `auto` whether any."""
        asked = self.likelihood.ratio_uncertainty
        other = isinstance(self.ratios, ThetaConfig) or self.ratios.splits.cross_fit
        if not asked or (asked == "auto" and other):
            return ()
        n_directions = (len(self.model.interest) if self.general else 1) * len(self.ratios.calibration_mu)
        return tuple(f"network_{k}" for k in range(1, n_directions + 1))

    def _check_observed(self) -> None:
        if not self.data_samples:
            msg = "likelihood.observed: there are no data to fit; add a sample of `kind: data`, or remove `observed`"
            raise ValueError(msg)
        clash = sorted({f"{name}_observed" for name in (*METHODS, *self.histograms)} & set(self.histograms))
        if clash:
            msg = f"histograms {clash}: these are names of the workspaces of the data; choose others"
            raise ValueError(msg)

    def _check_nuisances(self) -> None:
        settings = self.likelihood
        own = [name for name, p in self.parameters.items() if p.kind == "nuisance" and name not in self._variations]
        names = ["lumi", *self._poi_names, *self._variations, *own]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            others = ", ".join(self._poi_names)
            msg = f"nuisance parameters {repeated} occur twice among likelihood.normalisations, systematics, lumi and {others}"
            raise ValueError(msg)
        known = (*self.densities, *(self._component_names if self.general else ()))
        check_normalisations(settings.normalisations, processes=tuple(dict.fromkeys(known)))
        check_groups(settings.groups, nuisances=[n for n in names if n not in self._poi_names])

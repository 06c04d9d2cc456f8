"""One YAML file describes an analysis; it is parsed into frozen models that reject unknown keys."""

from toolkit.config.analysis import Config
from toolkit.config.classifiers import AnyClassifierConfig, ClassifierConfig, TreesClassifierConfig
from toolkit.config.columns import ColumnConfig
from toolkit.config.combination import CombinationPart, CombineConfig, CountedProcess, CountsPart, EventsPart, ScaledProcess
from toolkit.config.corrections import CorrectionConfig, WeightCorrection
from toolkit.config.histograms import HistogramConfig, RatioHistogramsConfig, ScoreHistogramConfig, ScorePlaneConfig
from toolkit.config.layouts import AtlasLayout, FlatLayout, LheLayout, MappingLayout, NanoLayout, ParticleColumns
from toolkit.config.likelihood import LikelihoodConfig, ParameterConfig
from toolkit.config.loader import load_combination, load_config, parse_config
from toolkit.config.morphing import MorphingConfig
from toolkit.config.parameters import ModelParameterConfig
from toolkit.config.processes import PartConfig, ProcessConfig
from toolkit.config.ratios import (
    AnyRatioConfig,
    BitConfig,
    EnsembleConfig,
    MulticlassConfig,
    PerProcessConfig,
    QuasiParametricConfig,
    RatioConfig,
    RatioSettings,
    SplitConfig,
    ThetaConfig,
)
from toolkit.config.regions import OutputConfig, RegionConfig, ScoreConfig
from toolkit.config.report import ReportConfig
from toolkit.config.samples import SampleConfig
from toolkit.config.selection import JetSelection, LeptonSelection, SelectionConfig
from toolkit.config.systematics import (
    CorrectionFile,
    ObjectShift,
    PruneConfig,
    ShiftBins,
    SystematicsConfig,
    VariationRatioConfig,
    WeightColumns,
    WeightMembers,
    WeightPair,
    WeightVariation,
)

__all__ = [
    "AnyClassifierConfig",
    "AnyRatioConfig",
    "AtlasLayout",
    "BitConfig",
    "ClassifierConfig",
    "ColumnConfig",
    "CombinationPart",
    "CombineConfig",
    "Config",
    "CorrectionConfig",
    "CorrectionFile",
    "CountedProcess",
    "CountsPart",
    "EnsembleConfig",
    "EventsPart",
    "FlatLayout",
    "HistogramConfig",
    "JetSelection",
    "LeptonSelection",
    "LheLayout",
    "LikelihoodConfig",
    "MappingLayout",
    "ModelParameterConfig",
    "MorphingConfig",
    "MulticlassConfig",
    "NanoLayout",
    "ObjectShift",
    "OutputConfig",
    "ParameterConfig",
    "PartConfig",
    "ParticleColumns",
    "PerProcessConfig",
    "ProcessConfig",
    "PruneConfig",
    "QuasiParametricConfig",
    "RatioConfig",
    "RatioHistogramsConfig",
    "RatioSettings",
    "RegionConfig",
    "ReportConfig",
    "SampleConfig",
    "ScaledProcess",
    "ScoreConfig",
    "ScoreHistogramConfig",
    "ScorePlaneConfig",
    "SelectionConfig",
    "ShiftBins",
    "SplitConfig",
    "SystematicsConfig",
    "ThetaConfig",
    "TreesClassifierConfig",
    "VariationRatioConfig",
    "WeightColumns",
    "WeightCorrection",
    "WeightMembers",
    "WeightPair",
    "WeightVariation",
    "load_combination",
    "load_config",
    "parse_config",
]

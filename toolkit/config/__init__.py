"""One YAML file describes an analysis; it is parsed into frozen models that reject unknown keys."""

from toolkit.config.analysis import Config, LikelihoodConfig, MorphingConfig, ParameterConfig
from toolkit.config.histograms import HistogramConfig, ScoreHistogramConfig
from toolkit.config.loader import load_config, parse_config
from toolkit.config.ratios import RatioConfig, SplitConfig
from toolkit.config.samples import FlatLayout, NanoLayout, SampleConfig
from toolkit.config.selection import JetSelection, LeptonSelection, SelectionConfig

__all__ = [
    "Config",
    "FlatLayout",
    "HistogramConfig",
    "JetSelection",
    "LeptonSelection",
    "LikelihoodConfig",
    "MorphingConfig",
    "NanoLayout",
    "ParameterConfig",
    "RatioConfig",
    "SampleConfig",
    "ScoreHistogramConfig",
    "SelectionConfig",
    "SplitConfig",
    "load_config",
    "parse_config",
]

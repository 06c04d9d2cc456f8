"""The stages of an analysis as an explicit graph that resumes what is done and unchanged."""

from toolkit.pipeline.engine import Plan, Reporter, SilentReporter, StageOutcome, run_pipeline
from toolkit.pipeline.graph import GRAPH, STAGE_NAMES
from toolkit.pipeline.stage import ExecutorOptions, Stage, StageContext

__all__ = [
    "GRAPH",
    "STAGE_NAMES",
    "ExecutorOptions",
    "Plan",
    "Reporter",
    "SilentReporter",
    "Stage",
    "StageContext",
    "StageOutcome",
    "run_pipeline",
]

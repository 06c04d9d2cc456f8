"""The stages of an analysis as an explicit graph that resumes what is done and unchanged."""

from toolkit.pipeline.engine import Plan, Reporter, StageOutcome, run_pipeline
from toolkit.pipeline.stage import ExecutorOptions, Stage, StageContext

__all__ = ["ExecutorOptions", "Plan", "Reporter", "Stage", "StageContext", "StageOutcome", "run_pipeline"]

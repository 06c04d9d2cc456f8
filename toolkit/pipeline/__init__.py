"""The stages of an analysis as an explicit graph that resumes what is done and unchanged."""

from toolkit.pipeline.engine import Reporter, SilentReporter, StageOutcome, run_pipeline
from toolkit.pipeline.graph import GRAPH, STAGE_NAMES
from toolkit.pipeline.plan import Plan
from toolkit.pipeline.preview import RunPreview, StagePreview, preview_pipeline
from toolkit.pipeline.stage import ExecutorOptions, Stage, StageContext
from toolkit.pipeline.status import RunStatus, StageStatus, read_status

__all__ = [
    "GRAPH",
    "STAGE_NAMES",
    "ExecutorOptions",
    "Plan",
    "Reporter",
    "RunPreview",
    "RunStatus",
    "SilentReporter",
    "Stage",
    "StageContext",
    "StageOutcome",
    "StagePreview",
    "StageStatus",
    "preview_pipeline",
    "read_status",
    "run_pipeline",
]

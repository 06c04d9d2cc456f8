"""From event tables and networks to results: what `h4l run` does after training, for scripts and stages alike.

`Folder` names the tables and networks of a run, `read_simulation` its events, `build_methods` the likelihoods that are compared,
`read_systematics` their nuisance parameters; `measure_all` fits and tests closure. examples/offshell4l.py has them in order.
"""

from toolkit.analysis.build import build_methods, open_ratio, read_out_of_bag
from toolkit.analysis.data import FitData, full_likelihood
from toolkit.analysis.datasets import Events, RecordedEvents, read_pairs, read_recorded, read_simulation
from toolkit.analysis.measurements import measure_all, truth_weights
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Systematics, read_systematics
from toolkit.analysis.session import Folder, Session
from toolkit.analysis.workspaces import write_workspaces

__all__ = [
    "BinnedMethod",
    "Events",
    "FitData",
    "FitModel",
    "Folder",
    "Method",
    "RecordedEvents",
    "Session",
    "Systematics",
    "UnbinnedMethod",
    "build_methods",
    "full_likelihood",
    "measure_all",
    "open_ratio",
    "read_out_of_bag",
    "read_pairs",
    "read_recorded",
    "read_simulation",
    "read_systematics",
    "truth_weights",
    "write_workspaces",
]

"""From event tables and networks to results: what `h4l run` does after training, for scripts and stages alike.

`Folder` names the tables and networks of a run, `read_simulation` its events, and `fit` does all that follows; examples/offshell4l.py
has the chain in order. Its parts: `build_methods` and `build_region_methods` make the likelihoods that are compared, `read_systematics`
their nuisance parameters; `measure_all` (one parameter) and `measure_regions` (several, regions) fit and test closure.
"""

from toolkit.analysis.build import build_methods, open_ratio, read_out_of_bag, write_out_of_bag
from toolkit.analysis.cross_fit import fold_file
from toolkit.analysis.data import FitData
from toolkit.analysis.datasets import DataEvents, Events, read_data, read_pairs, read_simulation
from toolkit.analysis.features import describe_features
from toolkit.analysis.fitting import Fit, fit
from toolkit.analysis.layout import MEMBERS, MODEL, OUT_OF_BAG
from toolkit.analysis.measurements import measure_all, truth_weights
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Systematics, read_systematics
from toolkit.analysis.reference_point import ReferencePoint, expected_volume, optimise_reference
from toolkit.analysis.region_build import build_region_methods
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.session import Folder, Session
from toolkit.analysis.several import measure_regions
from toolkit.analysis.workspaces import write_workspaces

__all__ = [
    "MEMBERS",
    "MODEL",
    "OUT_OF_BAG",
    "BinnedMethod",
    "DataEvents",
    "Events",
    "Fit",
    "FitData",
    "FitModel",
    "Folder",
    "Method",
    "ReferencePoint",
    "RegionMethod",
    "Session",
    "Systematics",
    "UnbinnedMethod",
    "build_methods",
    "build_region_methods",
    "describe_features",
    "expected_volume",
    "fit",
    "fold_file",
    "measure_all",
    "measure_regions",
    "open_ratio",
    "optimise_reference",
    "read_data",
    "read_out_of_bag",
    "read_pairs",
    "read_simulation",
    "read_systematics",
    "truth_weights",
    "write_out_of_bag",
    "write_workspaces",
]

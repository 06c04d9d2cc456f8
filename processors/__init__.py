"""Coffea processors: from ntuples to event tables, histograms and cut flows."""

from processors.four_lepton import FourLeptonProcessor
from processors.inputs import inspect_inputs
from processors.runner import ProcessingResult, run

__all__ = ["FourLeptonProcessor", "ProcessingResult", "inspect_inputs", "run"]

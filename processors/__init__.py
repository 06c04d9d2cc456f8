"""Coffea processors: from ntuples to event tables, histograms and cut flows."""

from processors.four_lepton import FourLeptonProcessor
from processors.histogram_files import fill_histograms
from processors.inputs import inspect_inputs
from processors.runner import ProcessingResult, run, write_tables

__all__ = ["FourLeptonProcessor", "ProcessingResult", "fill_histograms", "inspect_inputs", "run", "write_tables"]

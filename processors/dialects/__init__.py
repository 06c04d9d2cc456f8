"""Ntuple dialects: one file each, all turned into one internal event record."""

from processors.dialects.layouts import FlatReader, NanoReader, Reader, branch_names, reader_for, wrong_vector_length
from processors.dialects.record import ELECTRON, LEPTON_MASS, MUON, EventRecord

__all__ = [
    "ELECTRON",
    "LEPTON_MASS",
    "MUON",
    "EventRecord",
    "FlatReader",
    "NanoReader",
    "Reader",
    "branch_names",
    "reader_for",
    "wrong_vector_length",
]

"""Ntuple dialects: one file each, all turned into one internal event record."""

from processors.dialects.choice import reader_for
from processors.dialects.columns import branch, has, wrong_vector_length
from processors.dialects.flat import FlatReader
from processors.dialects.lhe import LheReader
from processors.dialects.mapping import MappingReader
from processors.dialects.nanoaod import NanoReader
from processors.dialects.reader import Reader
from processors.dialects.record import ELECTRON, LEPTON_MASS, MUON, EventRecord, numbered

__all__ = [
    "ELECTRON",
    "LEPTON_MASS",
    "MUON",
    "EventRecord",
    "FlatReader",
    "LheReader",
    "MappingReader",
    "NanoReader",
    "Reader",
    "branch",
    "has",
    "numbered",
    "reader_for",
    "wrong_vector_length",
]

"""Formats of ntuples: one file each, all turned into one internal event record."""

from processors.formats.choice import reader_for
from processors.formats.columns import branch, has, wrong_vector_length
from processors.formats.flat import FlatReader
from processors.formats.lhe import LheReader
from processors.formats.mapping import MappingReader
from processors.formats.nanoaod import NanoReader
from processors.formats.reader import Reader
from processors.formats.record import ELECTRON, LEPTON_MASS, MUON, EventRecord, numbered

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

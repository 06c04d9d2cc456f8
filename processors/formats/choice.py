"""Which reader belongs to which layout."""

from __future__ import annotations

from processors.formats.flat import FlatReader
from processors.formats.lhe import LheReader
from processors.formats.mapping import MappingReader
from processors.formats.nanoaod import NanoReader
from processors.formats.reader import Reader
from toolkit.config import FlatLayout, LheLayout, MappingLayout, SampleConfig


def reader_for(sample: SampleConfig) -> Reader:
    """Return the reader of the sample's layout."""
    layout, data = sample.layout, sample.kind == "data"
    if isinstance(layout, FlatLayout):
        return FlatReader(layout, data)
    if isinstance(layout, MappingLayout):
        return MappingReader(layout, data)
    if isinstance(layout, LheLayout):
        return LheReader(layout, data)
    return NanoReader(layout, data)

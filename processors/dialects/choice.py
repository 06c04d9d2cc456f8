"""Which reader belongs to which layout."""

from __future__ import annotations

from processors.dialects.flat import FlatReader
from processors.dialects.lhe import LheReader
from processors.dialects.mapping import MappingReader
from processors.dialects.nanoaod import NanoReader
from processors.dialects.reader import Reader
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

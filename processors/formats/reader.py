"""What the processor and the input checks need to know about a format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.formats.fields import NO_FIELDS, Kind, ObjectFields
from processors.formats.record import EventRecord
from toolkit.config import SampleConfig


class Reader(Protocol):
    """Turns chunks of one sample into event records."""

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Branches without which the sample cannot be processed."""
        ...

    def jet_branches(self) -> tuple[str, ...]:
        """Branches that jet observables need; empty where the layout has no jets."""
        ...

    def optional(self) -> tuple[str, ...]:
        """Branches that are read where they exist."""
        ...

    def field_branches(self, kind: Kind, field: str) -> tuple[tuple[str, ...], ...]:
        """Names that the layout may give to a property of electrons, muons or jets: each a list of the branches that hold it together."""
        ...

    def counts_jets(self) -> bool:
        """Whether n_jets is a column of the ntuple."""
        ...

    def generator_branches(self) -> tuple[str, ...]:
        """Branch of the generator weight; empty where all weights are 1."""
        ...

    def read(
        self, events: ak.Array, sample: SampleConfig, *, weight_vectors: Sequence[str] = (), fields: ObjectFields = NO_FIELDS
    ) -> EventRecord:
        """Turn events into the internal record.

        Args:
            events: One field per branch, as coffea's BaseSchema or an event file gives them.
            sample: The sample's section of the config.
            weight_vectors: Branches of further weights to put into the record, relative to the weight of the event.
            fields: Further properties of objects, which become columns of the particles under their names.
        """
        ...

    def gen_weights(self, events: ak.Array) -> NDArray[np.float64]:
        """Return generator weight times the weight factors of events, (n,); ones for data."""
        ...

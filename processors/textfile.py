"""Process chunks of CSV and LHE files, which coffea's runner does not open, with the same processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coffea.processor.executor import WorkItem

from processors.dialects import reader_for
from processors.eventfile import open_events
from processors.four_lepton import FourLeptonProcessor
from processors.variations import weight_branches


def process_text(instance: FourLeptonProcessor, item: WorkItem) -> dict[str, Any]:
    """Read the columns that the config needs of a range of entries and process them.

    Args:
        instance: The processor.
        item: Sample, file and range of entries.

    Returns:
        ``{"out": what the processor accumulates, "processed": {item}}``, the form of coffea's runner.

    Raises:
        InputFileError: The file is damaged, or the event table cannot be written.
    """
    config, sample = instance.config, instance.inputs[item.dataset].config
    reader = reader_for(sample)
    chunk = {"dataset": item.dataset, "filename": item.filename, "entrystart": item.entrystart, "entrystop": item.entrystop}
    with open_events(Path(item.filename), item.treename) as events:
        wanted = [*reader.required(sample), *weight_branches(config, sample), *(column.branch for column in config.columns.values())]
        wanted += [name for name in reader.optional() if name in events.types]
        known = [name for name in dict.fromkeys(wanted) if name in events.types]
        out = instance.process_range(events.arrays(known, item.entrystart, item.entrystop), chunk)
    return {"out": out, "processed": {item}}

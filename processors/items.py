"""Process a range of entries of a file of any format: the columns that the config needs are read, and the processor is called."""

from __future__ import annotations

from typing import Any

from coffea.processor.executor import WorkItem

from processors.branches import branches_to_read
from processors.eventfile import open_events
from processors.four_lepton import FourLeptonProcessor
from toolkit.errors import InputFileError
from toolkit.locations import Location, is_there, locate


def process_item(instance: FourLeptonProcessor, item: WorkItem) -> dict[str, Any]:
    """Read the columns that the config needs of a range of entries and process them.

    Validation reads the same files through the same functions, so a name that it finds is found here.

    Args:
        instance: The processor.
        item: Sample, file and range of entries.

    Returns:
        ``{"out": what the processor accumulates, "processed": {item}}``, the form of coffea's runner.

    Raises:
        InputFileError: The file is gone or damaged, or the event table cannot be written.
    """
    config, sample = instance.config, instance.inputs[item.dataset].config
    chunk = {"dataset": item.dataset, "filename": item.filename, "entrystart": item.entrystart, "entrystop": item.entrystop}
    _check_still_there(locate(item.filename))
    with open_events(locate(item.filename), item.treename) as events:
        names = branches_to_read(config, sample, events.types)
        out = instance.process_range(events.arrays(names, item.entrystart, item.entrystop), chunk)
    return {"out": out, "processed": {item}}


def _check_still_there(path: Location) -> None:
    if not is_there(path):
        raise InputFileError(
            f"input file {path}",
            got="no such file",
            expected="the file that was there when the run began",
            remedy="restore the file and run again; finished chunks are reused",
        )

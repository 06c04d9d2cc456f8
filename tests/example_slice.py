"""The first events of the example ntuples, with their share of the sum of weights: for analyses that take seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import uproot

from toolkit.example import example_folder


def write_first_events(
    folder: Path, events_of: Mapping[str, int], *, files: int = 1, change: Callable[[Any], Any] = lambda events: events
) -> None:
    """Write `files` ntuples SAMPLE_K.root per sample, each with the given number of events, changed by a function of all columns."""
    for sample, entries in events_of.items():
        for index in range(files):
            with uproot.open(example_folder() / f"{sample}_{index}.root") as source:
                tree = source["Events"]
                share, events = entries / tree.num_entries, change(tree.arrays(entry_stop=entries))
                runs = source["Runs"].arrays(library="np")
            groups: dict[str, dict[str, Any]] = {}
            columns: dict[str, Any] = {}
            for name in [f for f in events.fields if not f.startswith("n")]:
                group, _, part = name.partition("_")
                if part:
                    groups.setdefault(group, {})[part] = events[name]
                else:
                    columns[name] = ak.to_numpy(events[name]) if events[name].ndim == 1 else events[name]
            columns |= {name: ak.zip(parts) for name, parts in groups.items()}
            scaled = {name: values if name == "xsec_fb" else values * share for name, values in runs.items()}
            with uproot.recreate(folder / f"{sample}_{index}.root") as target:
                kinds = {name: v.type.content if isinstance(v, ak.Array) else v.dtype for name, v in columns.items()}
                target.mktree("Events", kinds).extend(columns)
                target.mktree("Runs", {name: v.dtype for name, v in scaled.items()}).extend(scaled)

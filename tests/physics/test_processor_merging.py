"""Two passes of the processor over A and B merge to the pass over A + B, wherever the events are cut into chunks."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import uproot
from coffea.processor import accumulate
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import FourLeptonProcessor

N = 150
SAMPLE = "ggF_SBI"


class Chunk:
    """Events as coffea hands them to a processor."""

    def __init__(self, events: Any, path: str, start: int, stop: int) -> None:
        self.events, self.fields = events[start:stop], events.fields
        self.metadata = {"dataset": SAMPLE, "filename": path, "entrystart": start, "entrystop": stop}

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, name: str) -> Any:
        return self.events[name]


class Passes:
    def __init__(self, folder: Path, ntuples: ModuleType) -> None:
        self.paths = [ntuples.write_nano(folder / f"{k}.root", ntuples.make_events(N, seed=k, first=1 + k * N)) for k in range(2)]
        regions = {"two_jets": "n_jets >= 2"}
        config = ntuples.make_config(folder, [ntuples.signal_sample("*.root")], observables=["all"], regions=regions)
        self.processor = FourLeptonProcessor(config)
        self.events = [uproot.open(path)["Events"].arrays() for path in self.paths]

    def over(self, file: int, edges: list[int]) -> Any:
        """Process a file in chunks and merge them."""
        chunks = [Chunk(self.events[file], str(self.paths[file]), a, b) for a, b in itertools.pairwise(edges)]
        return accumulate([self.processor.process(chunk) for chunk in chunks])


@pytest.fixture(scope="module")
def passes(tmp_path_factory: pytest.TempPathFactory, ntuples: ModuleType) -> Passes:
    return Passes(tmp_path_factory.mktemp("ntuples"), ntuples)


@pytest.fixture(scope="module")
def whole(passes: Passes) -> Any:
    return accumulate([passes.over(file, [0, N]) for file in range(2)])[SAMPLE]


cuts = st.lists(st.integers(0, N), max_size=5).map(lambda inner: [0, *sorted(inner), N])


@settings(max_examples=12, deadline=None, derandomize=True)
@given(first=cuts, second=cuts, order=st.booleans())
def test_passes_merge_to_the_pass_over_everything(passes: Passes, whole: Any, first: list[int], second: list[int], order: bool) -> None:
    parts = [passes.over(0, first), passes.over(1, second)]
    merged = accumulate(parts if order else parts[::-1])[SAMPLE]
    assert merged["entries"] == whole["entries"] == 2 * N
    assert merged["selected"] == whole["selected"] > N
    for part in ("cutflow", "regions"):
        assert list(merged[part]) == list(whole[part])
        for name, sums in whole[part].items():
            assert merged[part][name]["events"] == sums["events"]
            for moment in ("sumw", "sumw2"):
                np.testing.assert_allclose(merged[part][name][moment], sums[moment], rtol=1e-12)
    assert merged["histograms"].keys() == whole["histograms"].keys()
    for name, histogram in whole["histograms"].items():
        for field in ("value", "variance"):
            got = merged["histograms"][name].view(flow=True)[field]
            np.testing.assert_allclose(got, histogram.view(flow=True)[field], rtol=1e-12, atol=1e-12, err_msg=name)


def test_nothing_is_the_identity_of_merging(passes: Passes, whole: Any) -> None:
    empty = passes.over(0, [0, 0])
    full = accumulate([empty, *(passes.over(file, [0, N]) for file in range(2)), empty])[SAMPLE]
    assert full["selected"] == whole["selected"]
    assert full["cutflow"] == whole["cutflow"]
    assert full["histograms"] == whole["histograms"]

"""The data of several samples: joined, filled, never twice, and not looked at before the config says so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toolkit.analysis import fitting
from toolkit.analysis.datasets import read_data
from toolkit.analysis.layout import EVENTS
from toolkit.artifacts.events import IDENTITY, ChunkInfo, write_chunk, write_index
from toolkit.config import Config, parse_config
from toolkit.errors import ArtifactMismatchError, SchemaError

SIMULATED = {"name": "ggF_S", "files": ["a.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}


def config_of(*names: str, observed: bool = False) -> Config:
    data = [{"name": name, "kind": "data", "files": [f"{name}.root"]} for name in names]
    document = {"luminosity_ifb": 140.0, "samples": [SIMULATED, *data], "fills": {"m_jj": 0.0}, "likelihood": {"observed": observed}}
    return parse_config(document, folder=Path())


def context_of(out: Path, config: Config) -> Any:
    return SimpleNamespace(out=out, config=config)


def write_tables(out: Path, numbers: dict[str, list[tuple[int, int]]]) -> None:
    """Write tables of events of (run, event); m4l counts them."""
    infos, rows, m4l = [], {}, 200.0
    for name, own in numbers.items():
        info = ChunkInfo(name, (), key="k", source=f"{name}.root", file_index=0, start=0, stop=100, cutflow={})
        run, event = np.array(own).T
        identity = {column: np.zeros(len(own), dtype=np.int64) for column in IDENTITY}
        identity |= {"run": run, "event": event, "entry": np.arange(len(own))}
        values = {"m4l": m4l + np.arange(len(own)), "m_jj": np.full(len(own), np.nan)}
        write_chunk(
            out / EVENTS,
            info=info,
            identity=identity,
            observables=values,
            weight=np.ones(len(own)),
            benchmark_weights=np.empty((len(own), 0)),
        )
        infos.append(info)
        rows[info.relative_path] = len(own)
        m4l += len(own)
    write_index(out / EVENTS, infos, rows=rows)


def test_samples_are_joined_in_the_order_of_the_config(tmp_path: Path) -> None:
    write_tables(tmp_path, {"early": [(1, 5), (1, 6)], "late": [(2, 5), (2, 6), (2, 9)]})
    events = read_data(context_of(tmp_path, config_of("early", "late")))
    assert events.event_id.tolist() == [5, 6, 5, 6, 9]
    assert events.observables["m4l"].tolist() == [200.0, 201.0, 202.0, 203.0, 204.0]
    assert events.observables["m_jj_filled"].tolist() == [0.0] * 5
    assert dict(events.counts) == {"early": 2, "late": 3}
    assert len(events) == 5


def test_an_event_of_two_samples_is_refused(tmp_path: Path) -> None:
    write_tables(tmp_path, {"electrons": [(1, 5), (1, 6)], "muons": [(1, 7), (1, 6)]})
    with pytest.raises(ArtifactMismatchError, match=r"(?s)data event 6 of run 1.*\['electrons', 'muons'\].*keep one of the samples"):
        read_data(context_of(tmp_path, config_of("electrons", "muons")))


def test_without_data_the_message_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="kind: data"):
        read_data(context_of(tmp_path, config_of()))


def test_blinded_fits_do_not_read_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the tables nor anything made from them: the reader is not even called."""

    def refuse(context: Any) -> None:
        raise AssertionError(context)

    monkeypatch.setattr(fitting, "read_data", refuse)
    asimov: Any = SimpleNamespace(for_events=lambda events, label: (events, label))
    assert fitting.read_observed(context_of(tmp_path, config_of("early")), asimov) == ()
    with pytest.raises(AssertionError):
        fitting.read_observed(context_of(tmp_path, config_of("early", observed=True)), asimov)

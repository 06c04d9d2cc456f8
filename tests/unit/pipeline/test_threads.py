"""The stages with networks keep torch to the threads of the config, and leave it as it was."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.mark.parametrize("stage", ["train", "export"])
def test_threads_are_those_of_the_config(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = importlib.import_module(f"toolkit.pipeline.stages.{stage}")
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(module, f"_{stage}", lambda _context: seen.append(torch.get_num_threads()))
    module.run(SimpleNamespace(config=SimpleNamespace(ratios=SimpleNamespace(threads=before + 2))))
    assert (seen, torch.get_num_threads()) == ([before + 2], before)

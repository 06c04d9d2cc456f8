"""Weight factors of the ntuple: numbers of the event, and numbers of leptons, whose product over the quadruplet counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from processors.formats.columns import column_name
from processors.formats.fields import Kind, spellings
from toolkit.config import FlatLayout, LheLayout, MappingLayout, NanoLayout, SampleConfig
from toolkit.errors import SchemaError
from toolkit.typing import FloatArray

SLOT = "{i}"


def weight_factors(sample: SampleConfig) -> tuple[str, ...]:
    """Return the weight factors of a sample; data have none."""
    return () if sample.kind == "data" or isinstance(sample.layout, LheLayout) else sample.layout.weight_factors


def event_factors(sample: SampleConfig, is_list: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the branches with one number per event among the weight factors."""
    return tuple(name for name in weight_factors(sample) if SLOT not in name and not is_list(name))


def lepton_factors(sample: SampleConfig, is_list: Callable[[str], bool]) -> dict[Kind, dict[str, tuple[str, ...]]]:
    """Return the weight factors of leptons and the branches that hold them, by flavour.

    Args:
        sample: The sample's section of the config.
        is_list: Whether a branch holds a list per event.

    Raises:
        SchemaError: A list per event belongs to no collection of leptons.

    Examples:
        >>> sample = SampleConfig(name="qqZZ", files=("a",), layout=NanoLayout(weight_factors=("puWeight", "Electron_sf")))
        >>> lepton_factors(sample, lambda name: name != "puWeight")
        {'electron': {'Electron_sf': ('Electron_sf',)}}
    """
    found: dict[Kind, dict[str, tuple[str, ...]]] = {}
    for name in weight_factors(sample):
        branches: tuple[str, ...] = (name,)
        if SLOT in name and isinstance(sample.layout, FlatLayout):
            branches = tuple(column_name(name, i, "") for i in range(1, sample.layout.n_leptons + 1))
        elif not is_list(name):
            continue
        for kind in _owners(name, sample):
            found.setdefault(kind, {})[name] = branches
    return found


def lepton_product(leptons: dict[str, FloatArray], name: str, flavours: tuple[int, ...]) -> FloatArray:
    """Return the product of a factor over the leptons of some flavours.

    Args:
        leptons: The factor and `flavour` of the four leptons, (n, 4) each.
        name: The factor.
        flavours: 11, 13.

    Examples:
        >>> leptons = {"flavour": np.array([[11, 11, 13, 13]]), "sf": np.array([[0.5, 0.8, 7.0, 7.0]])}
        >>> lepton_product(leptons, "sf", (11,)).tolist()
        [0.4]
    """
    return np.asarray(np.where(np.isin(leptons["flavour"], flavours), leptons[name], 1.0).prod(axis=1))


def _owners(name: str, sample: SampleConfig) -> tuple[Kind, ...]:
    layout = sample.layout
    found: list[Kind] = []
    if isinstance(layout, NanoLayout):
        named: tuple[tuple[Kind, str | None], ...] = (("electron", layout.electron), ("muon", layout.muon))
        found = [kind for kind, collection in named if collection is not None and name.startswith(f"{collection}_")]
    elif isinstance(layout, MappingLayout):
        for kind, own in (("electron", layout.electrons), ("muon", layout.muons)):
            source = own or layout.leptons
            stem = "" if source is None else spellings(source, "")[0][0]
            if source is not None and (own is None or (stem and name.startswith(stem))):
                found.append("electron" if kind == "electron" else "muon")
    elif isinstance(layout, FlatLayout):
        found = ["electron", "muon"]
    if not found:
        raise SchemaError(
            f"weight factor {name!r} of sample {sample.name}",
            got="a list per event that belongs to no collection of leptons of the layout",
            expected="one number per event, or one per lepton",
            remedy="take it out of `layout.weight_factors`",
        )
    return tuple(found)

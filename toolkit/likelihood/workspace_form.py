"""Form of the binned part of a workspace document: lists, names and numbers where pyhf's schema has them.

Checked before anything is read from the document, so that a damaged one is refused with the place of the damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toolkit.errors import SchemaError

LARGEST = 1e300
"""Whole numbers of JSON have no bound; beyond this they do not fit the arithmetic. NaN and infinity are refused by the same comparison."""


def check_form(document: dict[str, Any]) -> None:
    """Check channels, samples, modifiers, observations and the parameters of measurements.

    Args:
        document: A workspace document whose measurements have a config with a list of parameters.

    Raises:
        SchemaError: A part has another form; the message names it.

    Examples:
        >>> check_form({"channels": [{"name": "sr", "samples": [{"name": "s", "data": [1.0], "modifiers": 3}]}]})
        Traceback (most recent call last):
        ...
        toolkit.errors.SchemaError: workspace: channels[0].samples[0].modifiers
          got:      int
          expected: a list
          remedy:   correct the document, or write it again with Workspace.save
    """
    _list(document.get("unbinned_channels", []), "unbinned_channels")
    for where, channel in _named(document.get("channels", []), "channels"):
        for place, sample in _named(channel.get("samples"), f"{where}.samples"):
            _numbers(sample.get("data"), f"{place}.data")
            for at, modifier in _named(sample.get("modifiers"), f"{place}.modifiers"):
                if not isinstance(modifier.get("type"), str):
                    raise _wrong(f"{at}.type", modifier.get("type"), "a text")
                _check_size(modifier.get("data"), f"{at}.data")
    for i, measurement in enumerate(document.get("measurements", [])):
        for place, parameter in _named(measurement["config"]["parameters"], f"measurements[{i}].config.parameters"):
            _check_parameter(parameter, place)
    data = {}
    for where, observation in _named(document.get("observations", []), "observations"):
        _numbers(observation.get("data"), f"{where}.data")
        data[observation["name"]] = observation["data"]
    for where, channel in _named(document.get("channels", []), "channels"):
        _check_bins(channel, data.get(channel["name"]), where)


def _check_bins(channel: dict[str, Any], data: list[float] | None, where: str) -> None:
    """Check that a channel has data, as many as its samples have bins."""
    remedy = "correct the document, or write it again with Workspace.save"
    what = f"workspace: {where}"
    if data is None:
        got, expected = f"no data of channel {channel['name']!r}", "an entry of `observations` with its name"
        raise SchemaError(what, got=got, expected=expected, remedy=remedy)
    bins = {f"sample {sample['name']}": len(sample["data"]) for sample in channel["samples"]} | {"observation": len(data)}
    if len(set(bins.values())) > 1:
        raise SchemaError(f"{what}: channel {channel['name']!r}", got=f"numbers of bins {bins}", expected="one number", remedy=remedy)


def _check_size(value: Any, where: str) -> None:
    """Check that the numbers in the data of a modifier fit the arithmetic: whole ones 64 bits, others `LARGEST`."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _check_size(inner, f"{where}.{key}" if isinstance(value, dict) else f"{where}[{key}]")
    elif isinstance(value, int | float) and not abs(value) < (2**63 if isinstance(value, int) else LARGEST):
        raise _wrong(where, value, "a finite number")


def _check_parameter(parameter: dict[str, Any], where: str) -> None:
    """Check the numbers with which a measurement defines a parameter."""
    for key in ("inits", "auxdata", "sigmas", "factors"):
        if key in parameter:
            _numbers(parameter[key], f"{where}.{key}")
    for i, bounds in enumerate(_list(parameter.get("bounds", []), f"{where}.bounds")):
        _numbers(bounds, f"{where}.bounds[{i}]")
        if len(bounds) != 2 or bounds[0] > bounds[1]:
            raise _wrong(f"{where}.bounds[{i}]", bounds, "two numbers, the lower one first")
    if not isinstance(parameter.get("fixed", False), bool):
        raise _wrong(f"{where}.fixed", parameter["fixed"], "true or false")


def _named(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for i, item in enumerate(_list(value, where)):
        if not isinstance(item, dict):
            raise _wrong(f"{where}[{i}]", item, "an object")
        if not isinstance(item.get("name"), str):
            raise _wrong(f"{where}[{i}].name", item.get("name"), "a text")
        yield f"{where}[{i}]", item


def _numbers(value: Any, where: str) -> None:
    for i, number in enumerate(_list(value, where)):
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= LARGEST:
            raise _wrong(f"{where}[{i}]", number, "a finite number")


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(where, value, "a list")
    return value


def _wrong(where: str, value: Any, expected: str) -> SchemaError:
    shown = value if isinstance(value, float) else str(value)[:80] if isinstance(value, list) else type(value).__name__
    return SchemaError(
        f"workspace: {where}", got=shown, expected=expected, remedy="correct the document, or write it again with Workspace.save"
    )

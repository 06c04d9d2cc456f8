"""The form of binned workspaces: every damage is named with its place."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from toolkit.errors import SchemaError
from toolkit.likelihood.workspace_form import check_form

VALID: dict[str, Any] = {
    "channels": [{"name": "SR", "samples": [{"name": "S", "data": [1.0, 2], "modifiers": [{"name": "mu", "type": "normfactor"}]}]}],
    "observations": [{"name": "SR", "data": [3, 4.5]}],
    "measurements": [
        {"name": "fit", "config": {"poi": "mu", "parameters": [{"name": "mu", "inits": [1], "bounds": [[0, 10.0]], "fixed": False}]}}
    ],
}


def _with(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(VALID)
    part: Any = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return document


def test_a_sound_document_passes() -> None:
    check_form(VALID)
    check_form({})


SAMPLE = ("channels", 0, "samples", 0)
PARAMETERS, PARAMETER = ("measurements", 0, "config", "parameters"), "measurements[0].config.parameters[0]"


@pytest.mark.parametrize(
    ("place", "value", "where", "expected"),
    [
        (("channels",), {}, "channels", "a list"),
        (("channels", 0), "SR", "channels[0]", "an object"),
        (("channels", 0, "name"), 7, "channels[0].name", "a text"),
        (("channels", 0, "samples"), None, "channels[0].samples", "a list"),
        ((*SAMPLE, "data"), [1.0, "2"], "channels[0].samples[0].data[1]", "a finite number"),
        ((*SAMPLE, "data"), [True], "channels[0].samples[0].data[0]", "a finite number"),
        ((*SAMPLE, "data"), [math.nan], "channels[0].samples[0].data[0]", "a finite number"),
        ((*SAMPLE, "data"), [10**400], "channels[0].samples[0].data[0]", "a finite number"),
        ((*SAMPLE, "modifiers", 0, "type"), 1, "channels[0].samples[0].modifiers[0].type", "a text"),
        ((*SAMPLE, "modifiers", 0, "data"), {"hi": 10**20, "lo": 1}, "channels[0].samples[0].modifiers[0].data.hi", "a finite number"),
        ((*SAMPLE, "modifiers", 0, "data"), [1.0, [math.nan]], "channels[0].samples[0].modifiers[0].data[1][0]", "a finite number"),
        (("observations", 0, "data"), [math.inf], "observations[0].data[0]", "a finite number"),
        (("unbinned_channels",), 3, "unbinned_channels", "a list"),
        ((*PARAMETERS,), [{"name": "mu", "bounds": [None]}], f"{PARAMETER}.bounds[0]", "a list"),
        ((*PARAMETERS,), [{"name": "mu", "bounds": 3}], f"{PARAMETER}.bounds", "a list"),
        ((*PARAMETERS,), [{"name": "mu", "bounds": [[0, "x"]]}], f"{PARAMETER}.bounds[0][1]", "a finite number"),
        ((*PARAMETERS,), [{"name": "mu", "bounds": [[0, 10**400]]}], f"{PARAMETER}.bounds[0][1]", "a finite number"),
        ((*PARAMETERS,), [{"name": "mu", "bounds": [[0, 1, 2]]}], f"{PARAMETER}.bounds[0]", "two numbers, the lower one first"),
        ((*PARAMETERS,), [{"name": "mu", "bounds": [[2, 1]]}], f"{PARAMETER}.bounds[0]", "two numbers, the lower one first"),
        ((*PARAMETERS,), [{"name": "mu", "inits": "abc"}], f"{PARAMETER}.inits", "a list"),
        ((*PARAMETERS,), [{"name": "mu", "inits": [math.nan]}], f"{PARAMETER}.inits[0]", "a finite number"),
        ((*PARAMETERS,), [{"name": "mu", "sigmas": [None]}], f"{PARAMETER}.sigmas[0]", "a finite number"),
        ((*PARAMETERS,), [{"name": "mu", "fixed": "no"}], f"{PARAMETER}.fixed", "true or false"),
    ],
)
def test_damage_is_named_with_its_place(place: tuple[Any, ...], value: Any, where: str, expected: str) -> None:
    with pytest.raises(SchemaError) as error:
        check_form(_with(place, value))
    assert error.value.what == f"workspace: {where}"
    assert error.value.expected == expected
    assert error.value.remedy == "correct the document, or write it again with Workspace.save"

"""What to say about a key that its section does not have: the nearest key of that section, or the section that has it."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

LONGEST = 80
"""Longer keys are no slips of a known one."""


def hint(root: type[BaseModel], location: Sequence[int | str]) -> str:
    """Say what an unknown key may have meant.

    Args:
        root: The model of the whole document.
        location: Where the key stands, itself last; names of kinds may stand between.

    Returns:
        The nearest key of the same section, or which sections have a key of this name, or nothing.
    """
    *path, last = location
    key = str(last)
    here = {name for model in _sections(root, path) for name in model.model_fields}
    near = difflib.get_close_matches(key, sorted(here), n=1) if len(key) <= LONGEST else []
    own = ".".join(str(step) for step in path[:1])
    places = [_named_place(place, model, own=own) for place, model in _all_sections(root) if key in model.model_fields]
    if places:
        named = [f"`{place}`" if place else "the top level" for place in dict.fromkeys(places)]
        return f" here; it belongs to {' or '.join(named[:3])}" + (f", or did you mean {near[0]!r}?" if near else "")
    return f"; did you mean {near[0]!r}?" if near else ""


def _named_place(place: str, model: type[BaseModel], *, own: str) -> str:
    """Name a section; where it is the one that the key stands in, by the estimator that has the key."""
    tag = model.model_fields.get("estimator")
    return f"{place}.estimator: {typing.get_args(tag.annotation)[0]}" if tag is not None and place == own else place


def _sections(root: type[BaseModel], path: Sequence[int | str]) -> list[type[BaseModel]]:
    """Follow a location to the models of the section there; steps that are no key of it name a kind, and narrow the choice."""
    kinds: list[Any] = [root]
    for step in path:
        following = [inner for kind in kinds for inner in _step(kind, step)]
        kinds = following or [k for k in _flat(kinds) if _is_kind(k, str(step))] or kinds
    return [kind for kind in _flat(kinds) if _is_model(kind)]


def _step(kind: Any, step: int | str) -> Iterator[Any]:
    for inner in _flat([kind]):
        if _is_model(inner):
            if step in inner.model_fields:
                yield inner.model_fields[step].annotation
        elif typing.get_origin(inner) is dict:
            yield typing.get_args(inner)[1]
        elif typing.get_origin(inner) is tuple and isinstance(step, int):
            yield from (a for a in typing.get_args(inner) if a is not Ellipsis)


def _flat(kinds: Sequence[Any]) -> Iterator[Any]:
    """Yield the alternatives of unions, without their annotations."""
    for kind in kinds:
        origin = typing.get_origin(kind)
        if origin is typing.Annotated:
            yield from _flat(typing.get_args(kind)[:1])
        elif origin is not None and origin not in (dict, tuple, list):
            yield from _flat(typing.get_args(kind))
        else:
            yield kind


def _is_kind(kind: Any, name: str) -> bool:
    """Whether a model is called so, or has a `kind` of this name."""
    for model in _flat([kind]):
        if _is_model(model):
            tag = model.model_fields.get("kind") or model.model_fields.get("estimator")
            if name == model.__name__ or (tag is not None and name in typing.get_args(tag.annotation)):
                return True
    return False


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _all_sections(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield all models below one, with the keys that lead there."""
    yield place, model
    for name, field in model.model_fields.items():
        waiting = [field.annotation]
        while waiting:
            for inner in _flat([waiting.pop()]):
                if _is_model(inner):
                    yield from _all_sections(inner, f"{place}.{name}".lstrip("."))
                elif typing.get_origin(inner) in (dict, tuple):
                    waiting.extend(a for a in typing.get_args(inner) if a is not Ellipsis)

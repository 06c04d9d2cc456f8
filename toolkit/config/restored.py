"""A config from the JSON-like values that a manifest holds of it, in which every default is written out."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from toolkit.config.analysis import Config
from toolkit.errors import SchemaError

_KEPT = ("luminosity_ifb",)
"""Keys whose presence matters although they have the default."""


def restore_config(document: Mapping[str, Any], *, source: str = "config") -> Config:
    """Validate the config of a manifest; files are names, without the folders in which they lay.

    Args:
        document: What `Config.model_dump(mode="json")` gave, with or without folders.
        source: Name of the manifest, for messages.

    Returns:
        The config; equal to the dumped one but for its files. A key with its default counts as one that was not written.

    Raises:
        SchemaError: The document is no config of this version.

    Examples:
        >>> document = Config.model_validate({"name": "a", "luminosity_ifb": 140.0, "samples": [{"name": "q", "files": ["q.root"]}]})
        >>> restore_config(document.model_dump(mode="json")) == document
        True
    """
    try:
        kept = {key: document[key] for key in _KEPT if key in document}
        return Config.model_validate({**_written(Config, document), **kept})
    except (ValidationError, TypeError, AttributeError) as error:
        got = str(error).replace("\n", "; ")[:300]
        raise SchemaError(
            f"config in {source}", got=got, expected="a config of this version", remedy="process the ntuples again"
        ) from error


def _written(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the values that are defaults."""
    kept = {}
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is None:
            kept[name] = value
        elif field.is_required() or _plain(field.get_default(call_default_factory=True)) != value:
            kept[name] = _inside(field.annotation, value)
    return kept


def _inside(annotation: Any, value: Any) -> Any:
    """Leave out defaults of the models within a value; where a union has several models, all is kept."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _inside(get_args(annotation)[0], value)
    if origin in {Union, types.UnionType}:
        choices = [choice for choice in get_args(annotation) if _holds_model(choice)]
        return _inside(choices[0], value) if len(choices) == 1 else value
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _written(annotation, value) if isinstance(value, Mapping) else value
    arguments = get_args(annotation)
    if isinstance(value, Mapping) and len(arguments) == 2:
        return {key: _inside(arguments[1], item) for key, item in value.items()}
    if isinstance(value, list) and len(arguments) in {1, 2} and arguments[-1] in {Ellipsis, arguments[0]}:
        return [_inside(arguments[0], item) for item in value]
    return value


def _holds_model(annotation: Any) -> bool:
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, BaseModel)
    return any(_holds_model(part) for part in get_args(annotation))


def _plain(value: Any) -> Any:
    """Return a default as JSON-like values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item) for item in value]
    return value

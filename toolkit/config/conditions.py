"""Conditions on observables as values of a config."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from toolkit.expressions import Condition


def parsed_condition(text: str) -> str:
    """Check that a text is a condition, and return it; an empty text stands for no condition.

    Raises:
        SchemaError: It is not of the grammar of `toolkit.expressions.conditions`.

    Examples:
        >>> parsed_condition("n_jets >= 2")
        'n_jets >= 2'
    """
    if text:
        Condition.parse(text)
    return text


def _required(text: str) -> str:
    Condition.parse(text)
    return text


ConditionText = Annotated[str, AfterValidator(_required)]
"""A condition of the grammar of `toolkit.expressions.conditions`."""
OptionalCondition = Annotated[str, AfterValidator(parsed_condition)]
"""A condition, or an empty text for none."""

"""Put expressions in the place of names in an expression, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.expressions.arithmetic import Expression

_NAME = re.compile(r"(?<![0-9.A-Za-z_])[A-Za-z_][A-Za-z0-9_]*")


def substitute(text: str, replacements: Mapping[str, str]) -> str:
    """Replace names by expressions, all at once.

    Args:
        text: An expression of the grammar of `toolkit.expressions.arithmetic`.
        replacements: Expression by name; names that do not occur are ignored.

    Returns:
        The new expression, with what was put in between parentheses unless it is a name.

    Raises:
        SchemaError: The text, a replacement that is used, or the outcome is not of the grammar.

    Examples:
        >>> substitute("mu - sqrt(mu)", {"mu": "mu_on * gamma"})
        '(mu_on * gamma) - sqrt((mu_on * gamma))'
        >>> substitute("a + b", {"a": "b", "b": "a"})
        'b + a'
    """
    names = Expression.parse(text).names
    used = {name: Expression.parse(replacements[name]).text for name in names if name in replacements}
    written = {name: new if _NAME.fullmatch(new) else f"({new})" for name, new in used.items()}
    return Expression.parse(_NAME.sub(lambda match: written.get(match.group(), match.group()), text)).text

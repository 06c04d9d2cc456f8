"""Text of foreign origin, such as names in data files, made fit to be shown."""

from __future__ import annotations

from unicodedata import category


def visible(text: str, *, keep: str = "") -> str:
    r"""Write characters that a terminal, a browser or a parser would obey instead of show as escapes.

    These are control characters, ANSI escapes among them, line and paragraph separators, marks that turn the direction of writing, other
    invisible characters, and the surrogates that stand for bytes of a file name that are no UTF-8.

    Args:
        text: Any text.
        keep: Characters that stay as they are, for example the newline of a text of several lines.

    Returns:
        The text; the same where every character can be seen, blanks of any width included.

    Examples:
        >>> visible("lep_pt"), visible("a\nb"), visible("\x1b[31mred"), visible("a\nb\t", keep="\n")
        ('lep_pt', 'a\\nb', '\\x1b[31mred', 'a\nb\\t')
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep or category(c) == "Zs" else repr(c)[1:-1] for c in text)

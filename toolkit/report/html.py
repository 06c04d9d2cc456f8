"""The report as one HTML file: pictures inside, nothing loaded from anywhere."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from toolkit.artifacts.atomic import write_text
from toolkit.report.page import Page
from toolkit.text import visible

TEMPLATE = "report.html.j2"


def render_page(page: Page) -> str:
    """Render a page to HTML text.

    Args:
        page: The content.

    Returns:
        A complete HTML 5 document: style sheet and pictures are part of it, text is escaped, there is no script and
        no reference to another file or server.
    """
    loader = PackageLoader("toolkit.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters["data_uri"] = data_uri
    return environment.get_template(TEMPLATE).render(page=page)


def _shown(value: object) -> object:
    """Return a value of the page; characters of a text that a browser obeys and does not show become escapes."""
    return visible(value, keep="\n") if type(value) is str else value


def write_page(path: str | Path, page: Page) -> None:
    """Write a page in one step.

    Raises:
        InputFileError: The folder cannot be written or the disk is full; an existing file stays as it was.
    """
    write_text(path, render_page(page))


def data_uri(png: bytes) -> str:
    """Return a PNG picture as the text of a `src` attribute.

    Examples:
        >>> data_uri(b"PNG")
        'data:image/png;base64,UE5H'
    """
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")

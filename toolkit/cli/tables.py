"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

FILE_WIDTH = 140


def output_console() -> Console:
    """Return a console on stdout: as wide as the terminal, or wide enough for every table where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)


def comparison_table(results: Mapping[str, Any]) -> Table:
    """Lay out results.json: one row per method with its best fit, intervals, twice_nll_at_0 and closure.

    Args:
        results: The document of results.json.

    Returns:
        A table for a rich console.
    """
    poi = results["poi"]
    closure_points = sorted({point["mu"] for point in results.get("closure", [])})
    table = Table(
        title=f"{poi} from {len(results['methods'])} methods, Asimov {poi} = {results['asimov'][poi]:g}, {results['luminosity_ifb']:g}/fb"
    )
    table.add_column("method")
    for header in (f"{poi}_hat", "68 %", "95 %", f"-2 Delta lnL({poi} = 0)", *(f"closure at {mu:g}" for mu in closure_points)):
        table.add_column(header, justify="right", no_wrap=True)
    for name, method in results["methods"].items():
        closures = (closure_cell(results.get("closure", []), method=name, mu=mu) for mu in closure_points)
        table.add_row(
            name,
            f"{method['mu_hat']:.2f}",
            interval_cell(method["interval_68"], at_boundary=method.get("interval_68_at_boundary")),
            interval_cell(method["interval_95"], at_boundary=method.get("interval_95_at_boundary")),
            number_cell(method["twice_nll_at_0"]),
            *closures,
        )
    table.caption = "* reaches the edge of the allowed range" if boundary_reached(results) else None
    return table


def boundary_reached(results: Mapping[str, Any]) -> bool:
    """Whether an interval of any method reaches the edge of the allowed range."""
    return any(method.get("at_boundary", False) for method in results["methods"].values())


def interval_cell(intervals: Sequence[Sequence[float]], *, at_boundary: Sequence[bool] | None = None) -> str:
    """Write intervals as text; several where they are disjoint, a star where one reaches the edge of the allowed range.

    Examples:
        >>> interval_cell([[0.0, 0.4], [1.2, 2.0]], at_boundary=[True, False])
        '[0.00, 0.40]* [1.20, 2.00]'
    """
    flags = at_boundary or [False] * len(intervals)
    return " ".join(f"[{low:.2f}, {high:.2f}]" + "*" * flag for (low, high), flag in zip(intervals, flags, strict=True))


def number_cell(value: float | None) -> str:
    """Write a number with two decimals, nothing for None.

    Examples:
        >>> number_cell(1.234), number_cell(None)
        ('1.23', '')
    """
    return "" if value is None else f"{value:.2f}"


def closure_cell(points: Sequence[Mapping[str, Any]], *, method: str, mu: float) -> str:
    """Write the best fit to the Asimov set of test events at `mu`, with its bootstrap error if there is one.

    Examples:
        >>> closure_cell([{"mu": 0.3, "mu_hat": 0.35, "method": "nsbi", "standard_error": 0.1}], method="nsbi", mu=0.3)
        '0.35 +- 0.10'
    """
    for point in points:
        if point["method"] == method and point["mu"] == mu:
            error = point.get("standard_error")
            return f"{point['mu_hat']:.2f}" + ("" if error is None else f" +- {error:.2f}")
    return ""

"""The outcome of an analysis: table on the terminal, results.json, one HTML page.

Drawing is in `toolkit.report.figures`, apart, so that a table needs no plotting library.
"""

from toolkit.report.content import Provenance, build_page
from toolkit.report.cutflow import CutflowTables
from toolkit.report.html import write_page
from toolkit.report.page import Page, PageFigure, PageSection, PageTable
from toolkit.report.results import read_results, results_document, write_results
from toolkit.report.table import Comparison, judge, methods_table

__all__ = [
    "Comparison",
    "CutflowTables",
    "Page",
    "PageFigure",
    "PageSection",
    "PageTable",
    "Provenance",
    "build_page",
    "judge",
    "methods_table",
    "read_results",
    "results_document",
    "write_page",
    "write_results",
]

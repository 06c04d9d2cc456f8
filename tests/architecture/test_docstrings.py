"""Public names say what they do, and show a number where plain arguments give one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture import docstrings as rules
from toolkit.pipeline.code import OWN_PACKAGES

ROOT = Path(__file__).resolve().parents[2]

TREES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(file.read_text(encoding="utf-8"))
    for package in OWN_PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
}
PUBLIC = [found for module, tree in TREES.items() for found in rules.public_names(module, tree)]
ALIASES = set().union(*(rules.aliases(tree) for tree in TREES.values()))
RESULTS = set().union(*(rules.data_classes(tree) for tree in TREES.values()))

PACKAGES = (
    *(f"toolkit.{name}" for name in ("kinematics", "weights", "likelihood", "ratios", "ratios.estimators", "ratios.architectures")),
    *("toolkit.diagnostics", "toolkit.artifacts", "toolkit.expressions", "toolkit.example", "exports", "processors"),
)
"""Their exported names are for everybody; those of the pipeline, the command line, the report and the plots are shown by their commands."""

NOT_NUMBERS = {
    "processors.corrections.read_histogram": "opens a ROOT file",
    "processors.modules.load_modules": "runs the Python files it is given",
    "processors.remoteroot.RemoteSource": "asks a server",
}
"""Names whose result cannot be shown as a number, and why."""

_SHOWN_TOGETHER = "the example of read_events calls it"
_NEEDS_TRAINING = "needs trained networks: docs/estimators.md and docs/training.md show it"
NO_EXAMPLE = {
    "processors.FourLeptonProcessor": "needs a runner: docs/ecosystem.md shows it",
    "processors.inspect_inputs": "opens ntuples: docs/ntuples.md shows it",
    "processors.fill_histograms": "writes a folder of files: docs/ecosystem.md shows it",
    "processors.run": "writes a folder of files: docs/ntuples.md shows it",
    "processors.write_tables": "the part of processors.run that writes tables",
    "toolkit.artifacts.chunk_table": "the example of write_chunk calls it",
    "toolkit.artifacts.read_info": "what write_chunk was given",
    "toolkit.artifacts.variations_of": _SHOWN_TOGETHER,
    "toolkit.artifacts.write_index": _SHOWN_TOGETHER,
    "toolkit.diagnostics.diagnose": "runs all diagnostics, of which each shows its number",
    "toolkit.likelihood.OnnxRatio": "needs a file: the example of exports.write_onnx evaluates one",
    "toolkit.ratios.MixtureEnsemble": _NEEDS_TRAINING,
    "toolkit.ratios.TargetedCalibration": _NEEDS_TRAINING,
    "toolkit.ratios.fit_calibration": _NEEDS_TRAINING,
    "toolkit.ratios.load_ratios": _NEEDS_TRAINING,
    "toolkit.ratios.train_ensemble": _NEEDS_TRAINING,
    "toolkit.ratios.fit_ratios": _NEEDS_TRAINING,
}
"""Exported names without an example, and why."""


def test_every_public_name_has_a_docstring() -> None:
    assert [module for module, tree in TREES.items() if not ast.get_docstring(tree)] == []
    assert [str(found) for found in PUBLIC if not ast.get_docstring(found.node)] == []


def test_what_plain_arguments_give_is_shown() -> None:
    silent = []
    for found in PUBLIC:
        if "." in found.name or found.module.startswith(("toolkit.cli", "toolkit.pipeline")):
            continue
        if rules.could_show_a_number(found.node, names=ALIASES, results=RESULTS) and not rules.shows_a_number(found.node):
            silent.append(str(found))
    assert sorted(set(silent) - set(NOT_NUMBERS)) == []
    assert sorted(set(NOT_NUMBERS) - set(silent)) == [], "shown by now, or gone: take it off the list"


def test_exported_names_show_a_number() -> None:
    found = [name for package in PACKAGES for name in rules.exported(package, TREES[package], TREES, results=RESULTS)]
    assert len(found) > 120
    silent = [str(name) for name in found if not rules.shows_a_number(name.node)]
    assert sorted(set(silent) - set(NO_EXAMPLE)) == []
    assert sorted(set(NO_EXAMPLE) - set(silent)) == [], "shown by now, or gone: take it off the list"


@pytest.mark.parametrize(
    ("text", "could"),
    [
        ("def f(x: float) -> float: ...", True),
        ("def f(x: ArrayLike, names: Sequence[str] | None = None) -> dict[str, float]: ...", True),
        ("def f(x: Literal['a', 'b'], *, y: NDArray[np.int64]) -> tuple[FloatArray, ...]: ...", True),
        ("def f(x: Bounds) -> Result: ...", True),
        ("def f(path: Path) -> float: ...", False),
        ("def f(x: float) -> None: ...", False),
        ("def f() -> float: ...", False),
        ("class Result:\n    x: float\n    def half(self) -> float: ...", False),
        ("class Other:\n    def __init__(self, x: float): ...\n    def half(self) -> float: ...", True),
        ("class Other:\n    def half(self) -> float: ...", False),
    ],
)
def test_the_rule_knows_what_could_show_a_number(text: str, could: bool) -> None:
    node = ast.parse(text).body[0]
    assert rules.could_show_a_number(node, names={"Bounds"}, results={"Result"}) is could


def test_the_rule_finds_missing_docstrings_and_examples() -> None:
    text = 'def f(x: float) -> float:\n    """Double.\n\n    >>> f(1.0)\n    """\nclass A:\n    def g(self): ...\n    def _h(self): ...'
    names = list(rules.public_names("m", ast.parse(text)))
    assert [str(n) for n in names] == ["m.f", "m.A", "m.A.g"]
    assert [rules.shows_a_number(n.node) for n in names] == [True, False, False]

"""The source tree obeys the layer rule; the rule itself is tried on small sources that break it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import layers
from toolkit.pipeline.code import OWN_PACKAGES, imported_names

ROOT = Path(__file__).resolve().parents[2]


def _modules() -> dict[str, Path]:
    found = {}
    for package in OWN_PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = _modules()


def _imports(module: str) -> list[str]:
    file = MODULES[module]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return sorted(set(imported_names(tree, module=module, is_package=file.name == "__init__.py")))


def test_all_three_packages_are_seen() -> None:
    assert {"toolkit.errors", "toolkit.pipeline.code", "processors", "exports"} <= set(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_one_way(module: str) -> None:
    complaints = []
    for name in _imports(module):
        check = layers.import_complaint if name.split(".")[0] in OWN_PACKAGES else layers.third_party_complaint
        complaints.append(check(module, name))
    assert [c for c in complaints if c] == []


def test_no_import_cycles() -> None:
    graph = {}
    for module in MODULES:
        targets = {name for name in _imports(module) if name in MODULES and name != module}
        if MODULES[module].name != "__init__.py":
            targets.discard(module.rpartition(".")[0])
        graph[module] = {t for t in targets if not module.startswith(t + ".")}
    assert layers.cycles(graph) == []


def test_a_module_never_imports_its_own_package() -> None:
    complaints = []
    for module, file in MODULES.items():
        package = module.rpartition(".")[0]
        if file.name == "__init__.py" or package in OWN_PACKAGES:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module == package
                and any(f"{package}.{a.name}" not in MODULES for a in node.names)
            ):
                complaints.append(f"{module}:{node.lineno} imports from {package}, whose __init__ imports it back")
    assert complaints == []


def test_no_shapeless_module_names() -> None:
    assert [m for m in MODULES if m.rpartition(".")[2] in layers.SHAPELESS_NAMES] == []


def test_init_files_only_reexport() -> None:
    complaints = []
    for module, file in MODULES.items():
        if file.name == "__init__.py":
            complaints += list(layers.init_complaints(module, ast.parse(file.read_text(encoding="utf-8"))))
    assert complaints == []


def test_files_and_functions_stay_short() -> None:
    complaints = []
    for module, file in MODULES.items():
        complaints += list(layers.size_complaints(module, file.read_text(encoding="utf-8"), file_limit=600, function_limit=80))
    assert complaints == []


def test_likelihood_and_report_run_without_torch() -> None:
    units = ("kinematics", "weights", "likelihood", "diagnostics", "plots", "report")
    names = [f"toolkit.{unit}" for unit in units if f"toolkit.{unit}" in MODULES]
    program = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
    program += "print(sorted({'torch', 'coffea'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("processors.four_lepton", "exports"),
        ("exports.onnx", "processors.runner"),
        ("toolkit.kinematics.angles", "toolkit.weights"),
        ("toolkit.likelihood.unbinned", "toolkit.ratios.densities"),
        ("toolkit.plots.scans", "toolkit.report.html"),
        ("toolkit.artifacts.events", "toolkit.weights"),
        ("toolkit.weights.morphing", "toolkit.artifacts.events"),
        ("toolkit.errors", "toolkit.units"),
        ("toolkit.report.html", "exports.onnx"),
        ("toolkit.pipeline.engine", "toolkit.cli.app"),
        ("processors.runner", "toolkit.pipeline.engine"),
        ("toolkit.novelty.thing", "toolkit.errors"),
        ("toolkit", "toolkit.errors"),
    ],
)
def test_the_rule_refuses(module: str, imported: str) -> None:
    assert layers.import_complaint(module, imported) is not None


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("processors.four_lepton", "toolkit.kinematics"),
        ("exports.onnx", "toolkit.errors"),
        ("exports.onnx", "exports.reference"),
        ("toolkit.likelihood.unbinned", "toolkit.weights"),
        ("toolkit.report.html", "toolkit.plots"),
        ("toolkit.pipeline.stages.process", "processors"),
        ("toolkit.cli.app", "toolkit.pipeline"),
        ("toolkit.config.analysis", "toolkit.config.base"),
        ("toolkit.ratios.train", "toolkit"),
    ],
)
def test_the_rule_admits(module: str, imported: str) -> None:
    assert layers.import_complaint(module, imported) is None


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("toolkit.likelihood.unbinned", "torch"),
        ("toolkit.pipeline.stages.train", "torch.nn"),
        ("toolkit.weights.morphing", "pathlib"),
        ("toolkit.kinematics.pairing", "coffea.nanoevents"),
    ],
)
def test_third_party_packages_stay_in_their_place(module: str, imported: str) -> None:
    assert layers.third_party_complaint(module, imported) is not None
    assert layers.third_party_complaint("toolkit.ratios.network", "torch") is None


def test_deferred_and_relative_imports_are_seen() -> None:
    source = "def f():\n    if True:\n        from ..likelihood import binned\n    import exports.onnx\n"
    names = set(imported_names(ast.parse(source), module="toolkit.kinematics.angles", is_package=False))
    assert {"toolkit.likelihood", "toolkit.likelihood.binned", "exports.onnx"} <= names


def test_cycle_finder_finds_a_cycle() -> None:
    assert layers.cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert layers.cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_init_and_size_checks_can_fail() -> None:
    assert list(layers.init_complaints("toolkit.x", ast.parse("'''Doc.'''\nfrom a import b\n__all__ = ['b']\n"))) == []
    assert len(list(layers.init_complaints("toolkit.x", ast.parse("def f(): ...\nx = 1\n")))) == 2
    body = "def f():\n" + "    x = 1\n" * 90
    assert len(list(layers.size_complaints("m", body, file_limit=50, function_limit=80))) == 2


def test_help_waits_for_nothing_heavy() -> None:
    """A command imports configs, tables and kernels when it runs."""
    heavy = {"pydantic", "pyarrow", "numba", "scipy", "torch", "coffea", "toolkit.pipeline", "toolkit.config"}
    program = f"import sys\nimport toolkit.cli\nprint(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"

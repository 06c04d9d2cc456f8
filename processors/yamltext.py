"""Write pieces of a YAML config: whatever a data file calls its branches, a name stays a name, in values and in comments.

Names in ntuples are anyone's choice. A newline in one would end a comment and begin a key, so every piece of text that is not ours goes
through these functions.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from toolkit.text import visible

WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Puts texts with characters that cannot be seen in double quotes, the only form of YAML that has escapes."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)


def comment(text: str, indent: str = "") -> str:
    r"""Write a comment of one line.

    Examples:
        >>> comment("scale\nmodules: [evil.py]", indent="  ")
        '  # scale\\nmodules: [evil.py]\n'
    """
    return f"{indent}# {visible(text)}\n"


def flow(value: Any) -> str:
    r"""Write a value on one line.

    Examples:
        >>> flow({"vector": "scale\nmodules: [evil.py]", "up": 0})
        '{vector: "scale\\nmodules: [evil.py]", up: 0}'
        >>> flow("lep_pt"), flow("a: b # c"), flow("\u202eb")
        ('lep_pt', "'a: b # c'", '"\\u202eb"')
    """
    return visible(_dump(value, default_flow_style=True, width=sys.maxsize).removesuffix("...\n").rstrip("\n"))


def block(document: Any) -> str:
    r"""Write a document of several lines: lists and mappings of plain values on one line, others in blocks.

    Examples:
        >>> block({"samples": [{"name": "qqZZ", "files": ["a.root"]}]})
        'samples:\n- name: qqZZ\n  files: [a.root]\n'
    """
    return visible(_dump(document, default_flow_style=None, width=WIDTH), keep="\n")


def _dump(value: Any, *, default_flow_style: bool | None, width: int) -> str:
    """Write YAML. Characters that cannot be seen are inside double quotes, where their escapes are those of Python, too."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=default_flow_style, width=width, allow_unicode=True))

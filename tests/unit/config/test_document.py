"""Odd YAML: refused with the place, within seconds and a bounded memory, or read as it says."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import yaml

from toolkit.config import load_config
from toolkit.config.document import DEEPEST, MOST_BYTES, MOST_VALUES, parse_document, read_document
from toolkit.errors import InputFileError, SchemaError

HALF = MOST_BYTES // 2
MERGES = "a0: &a0 {k: v}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9))
REFERENCES = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))


def _said(text: str) -> str:
    with pytest.raises(SchemaError) as error:
        parse_document(text, "config a.yaml")
    assert str(error.value).startswith("config a.yaml\n  got:")
    return str(error.value.got)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: 2001-99-99", "'2001-99-99' is no date (line 1, column 7)"),
        ("name: 2001-01-01 00:00:00+99:99", "is no date"),
        ("name: !!int abc", "'abc' is no integer"),
        ("name: !!int ''", "'' is no integer"),
        ("name: !!float ''", "'' is no number"),
        ("name: !!int [1]", "expected a scalar node, but found sequence"),
        ("name: !!float {a: 1}", "expected a scalar node, but found mapping"),
        ("name: !!bool perhaps", "'perhaps' is no bool"),
        ("name: !!timestamp soon", "'soon' is no date"),
        ("name: 0x_", "'0x_' is no integer"),
        ("a: 1\nname: !mine x", "could not determine a constructor for the tag '!mine' (line 2, column 7)"),
        ("name: !!python/object/apply:os.system [ls]", "could not determine a constructor for the tag"),
        ("seed: 123456789012345678901", "the integer 123456789012345678901 is larger than 2**53"),
        (f"seed: {'9' * 5000}", "integer of 5000 characters"),
        (f"seed: 1{':59' * 200_000}", "integer of 600001 characters"),
        ("seed: 010", "base 8 or 60"),
        ("seed: 1:30", "base 8 or 60"),
        ("xsec_pb: 1:30.5", "base 8 or 60"),
        ('name: "\\U00110000"', "an escape that is no character"),
        ("a: &a [*a]", "a reference to the section in which it stands (line 1, column 8)"),
        ("&a {<<: *a}", "a reference to the section in which it stands"),
        ("[" * MOST_BYTES, f"sections nested more than {DEEPEST} deep (line 1, column {DEEPEST + 1})"),
        ("- " * HALF, f"sections nested more than {DEEPEST} deep"),
        ("{a: " * (HALF // 2), f"sections nested more than {DEEPEST} deep"),
        ("".join(f"a{i}: &a{i} [*a{i - 1}]\n" if i else "a0: &a0 [1]\n" for i in range(5000)), "deep, references replaced (line 40"),
        (MERGES, f"more than {MOST_VALUES} values, references replaced (line 6"),
        (REFERENCES, f"more than {MOST_VALUES} values, references replaced (line 6"),
        ("[" + "1," * (HALF - 1) + "]", f"more than {MOST_VALUES} values"),
        ("? [a]\n: 1", "found unhashable key"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_config_is_refused_with_its_place(text: str, message: str) -> None:
    began = time.process_time()
    assert message in _said(text)
    assert time.process_time() - began < 10.0


def test_what_is_within_the_limits_is_read() -> None:
    shared = "common: &common {k_factor: 1.8, tree: Events}\nsamples:\n- {<<: *common, name: a}\n- {<<: *common, name: b}\n"
    assert parse_document(shared, "config")["samples"][1] == {"k_factor": 1.8, "tree": "Events", "name": "b"}
    deep = "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1)
    assert parse_document(deep, "config") == yaml.safe_load(deep)
    assert parse_document("a: 0\nb: -12\nc: 0x1F\nd: 007.5\ne: 2001-01-01", "config")["c"] == 31


def test_a_file_that_never_ends_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MOST_BYTES + 1))
    for path in (large, Path("/dev/zero")):
        with pytest.raises(SchemaError, match="more than 1048576 bytes"):
            read_document(path)
    with pytest.raises(InputFileError):
        read_document(tmp_path / "no\0thing.yaml")


PIECES = (
    *(
        "!!int ",
        "!!binary ",
        "&a ",
        "*a ",
        "<<: ",
        "? ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "\t",
        "|\n",
        "%",
        "\x85",
        "\u2028",
        "\0",
        ": ",
        "~",
    ),
    *(".nan", ".inf", "2001-99-99", "1e999", "1:30", "9" * 400, "-1", "0", "null", "yes", "\\x", "../../x", "$x$", "\ud800", "\U0001f600"),
    *("a" * 3000, "-" * 9, "1e-320"),
)


def _mutants(text: str, n: int) -> list[str]:
    """Damage a config: lines doubled, dropped, moved; pieces of YAML put in."""
    rng = random.Random(5)
    found = []
    for _ in range(n):
        lines = text.splitlines(keepends=True)
        for _ in range(rng.randint(1, 4)):
            k, kind = rng.randrange(len(lines)), rng.randrange(5)
            at = rng.randrange(len(lines[k]))
            if kind == 0:
                lines.insert(rng.randrange(len(lines)), lines[k])
            elif kind == 1 and len(lines) > 1:
                del lines[k]
            elif kind == 2:
                lines[k] = lines[k][:at] + rng.choice(PIECES) + lines[k][at:]
            elif kind == 3:
                key, colon, _ = lines[k].partition(": ")
                lines[k] = f"{key}{colon}{rng.choice(PIECES)}\n"
            else:
                lines[k] = lines[k][:at] + chr(rng.randrange(0x250)) + lines[k][at + 1 :]
        found.append("".join(lines))
    return found


def test_damaged_configs_are_read_or_refused(tmp_path: Path) -> None:
    example = (Path(__file__).parents[3] / "examples" / "offshell4l.yaml").read_text(encoding="utf-8")
    path, began, counts, longest = tmp_path / "a.yaml", time.process_time(), {"read": 0, "refused": 0}, 0
    for text in _mutants(example, 150):
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            load_config(path, data="/data")
            counts["read"] += 1
        except (SchemaError, InputFileError) as error:
            counts["refused"] += 1
            longest = max(longest, len(str(error)))
        if time.process_time() - began > 20.0:
            break
    assert min(counts.values()) > 10, counts
    assert longest < 20_000

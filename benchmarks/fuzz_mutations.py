"""Damage to the content of a file: bits that turn, bytes that are overwritten, lost or doubled, values and lines that are exchanged."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

TOKENS = (
    *(b"nan", b"inf", b"-1", b"0", b"1e400", b"1e-400", b"99999999999999999999", b"0x10", b"null", b"true", b"[]", b"{}", b'""', b"'"),
    *(b"1" * 5000, b"[" * 500, b"\xff\xfe", b"\xe9", b"\0", b"\r\n", b"*a", b"&a b", b"!!python/name:os.system"),
    *(b"2001-99-99", b"<a>", b"</event>"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), 10**400, 2**63, "", "mu", "a" * 3000, "\u0000"),
    *([], {}, [None], [[0, 1]], [[1, 0]], [1e400], {"name": "mu"}, [{}], [[]], "sqrt(-1)", "1/0", "mu**mu**mu", "(" * 70, "\ud800"),
)


def mutate(content: bytes, rng: np.random.Generator, *, text: bool) -> bytes:
    """Damage a file once or a few times.

    Args:
        content: The file.
        rng: Source of chance.
        text: Whether words and lines are exchanged, too.
    """
    changed = bytearray(content)
    kinds = [_flip, _overwrite, _cut, _lose, _double, *([_word, _word, _word, _line] if text else [_flip, _flip])]
    for _ in range(1 if rng.random() < 0.7 else int(rng.integers(2, 5))):
        if changed:
            kinds[int(rng.integers(len(kinds)))](changed, rng)
    return bytes(changed)


def mutate_document(content: bytes, rng: np.random.Generator) -> bytes:
    """Exchange a value of a JSON document for something else, or lose it; half of the time damage its text instead."""
    if rng.random() < 0.5:
        return mutate(content, rng, text=True)
    document = json.loads(content)
    for _ in range(1 if rng.random() < 0.7 else 2):
        place = list(_places(document))
        parent, key = place[int(rng.integers(len(place)))]
        if rng.random() < 0.2:
            del parent[key]
        else:
            parent[key] = VALUES[int(rng.integers(len(VALUES)))]
        if not list(_places(document)):
            break
    return json.dumps(document).encode()


def _places(node: Any) -> Any:
    for key, child in list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []:
        yield node, key
        yield from _places(child)


def _span(data: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, start + int(2 ** rng.uniform(0, 9))


def _flip(data: bytearray, rng: np.random.Generator) -> None:
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def _overwrite(data: bytearray, rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    n = min(stop, len(data)) - start
    data[start : start + n] = (bytes(n), b"\xff" * n, rng.bytes(n))[int(rng.integers(3))]


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def _lose(data: bytearray, rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    del data[start:stop]


def _double(data: bytearray, rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    data[start:start] = data[start:stop]


def _word(data: bytearray, rng: np.random.Generator) -> None:
    words = list(re.finditer(rb"[^\s,:{}\[\]<>\"']+", bytes(data)))
    if words:
        start, stop = words[int(rng.integers(len(words)))].span()
        data[start:stop] = TOKENS[int(rng.integers(len(TOKENS)))]


def _line(data: bytearray, rng: np.random.Generator) -> None:
    lines = bytes(data).splitlines(keepends=True)
    i, j = int(rng.integers(len(lines))), int(rng.integers(len(lines)))
    change = int(rng.integers(3))
    if change == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif change == 1:
        lines.insert(j, lines[i])
    else:
        del lines[i]
    data[:] = b"".join(lines)

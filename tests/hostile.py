"""Names as nobody should choose them: what ends lines, quotes, paths, markup or code somewhere."""

from __future__ import annotations

import random

PIECES = (
    *("\n", "\r\n", "\t", "\x00", "\x07", "\x08", "\x1b[2J", "\x1b]8;;http://x\x07", "\x7f", "\x85", "\xa0", "\xad"),
    *("\u200b", "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff", "😀", "\u0301" * 20, "é", "中", "\U000e0041", " ", "  "),
    *("'", '"', "`", "\\", "\\n", "\\x00", "\\u202e", "[red]", "[/red]", "[link=http://x]", "[", "]", "{", "}", "{i}"),
    *("{field}", "{i.__class__}", "{0}", "{data}", "%s", "%(x)s", "${HOME}", "$(id)", "$", "$$", "$\\frac{", "$x^{2}$"),
    *("_", "^", "\\mathrm{", "&", "<", ">", "<script>alert(1)</script>", "</style>", "<!--", "-->", "&amp;", "]]>", ": "),
    *(":", "#", " #", "- ", "---", "...", "? ", "!!python/object/apply:os.system", "!x", "&a", "*a", "<<: ", "|", ">", "@"),
    *("=", "~", "null", "true", "yes", "1", "01", "1e5", ".inf", "nan", "2001-99-99", "0x_", "modules: [evil.py]"),
    *("modules:\n- evil.py\n", '"]\nmodules: ["evil.py"]\n# ', "/", "//", "..", "../", "../../etc/passwd", "/etc/passwd"),
    *("./", "~/", "C:\\", "con", ";1", ".", ",", ";", "|", "&&", "*", "?", "[a-z]", "**", "*/", "/*", "//", '");', ')h4l"'),
    *("#include <x>", "@NAME@", "??/", "\\\n", "'; DROP TABLE", "{{ 7 * 7 }}", "{% raw %}", "__class__", "a" * 300),
)
ALONE = (
    *("", " ", ".", "..", "/", "\n", "-", "#", "$", "[", "{", "'", '"', "\\", "\x00", "~", "null", "true", "1", "1.5"),
    *("a" * 3000, "中" * 200),
)


def hostile_names(n: int = 500, *, seed: int = 3) -> list[str]:
    """Return distinct names: every piece in a name of its own, then pieces joined at random."""
    rng = random.Random(seed)
    found = dict.fromkeys((*ALONE, *(f"a{piece}b" for piece in PIECES)))
    while len(found) < n:
        found["".join(rng.choice((*PIECES, "weight", "scale", "pt", "x")) for _ in range(rng.randint(2, 6)))] = None
    return list(found)[:n]

"""Names of branches: one spelling for every container, and the one function that finds what a config names.

A config, `h4l inspect` and the messages call a column as a TTree without classes would: ``Electron_pt`` is also the field
``Electron.pt`` of an RNTuple and the sub-branch ``Electron/Electron.pt`` of a split class. Every other spelling is understood, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

_ENTRY = re.compile(r"(.+)\[(\d{1,6})\]", re.DOTALL)


def plain_name(key: str) -> str:
    """Return the name of a branch without the signs that containers put into it.

    Args:
        key: Path of a branch, as uproot or a config gives it.

    Examples:
        >>> [plain_name(key) for key in ("Electron_pt", "Electron.pt", "Electron/Electron.PT", "Electron/Electron_PT")]
        ['Electron_pt', 'Electron_pt', 'Electron_PT', 'Electron_PT']
        >>> [plain_name(key) for key in ("lep1/fP/fP.fX", "lep1./lep1.fE", "Event/number", "tau/tau_pt")]
        ['lep1_fP_fX', 'lep1_fE', 'Event_number', 'tau_pt']
    """
    head, *parts = key.split("/")
    for part in parts:
        bare, last = head.rstrip("."), head.rstrip(".").rpartition(".")
        if part.startswith((f"{bare}.", f"{bare}_")):
            head = part
        elif last[0] and part.startswith(f"{last[2]}."):
            head = f"{last[0]}.{part}"
        else:
            head = f"{bare}.{part}"
    return head.rstrip(".").replace(".", "_") if head.strip(".") else head


def keys_by_name(keys: Collection[str]) -> dict[str, str]:
    """Return the keys of a tree by their plain names; of two keys with one name the one that is spelled so has it, the other keeps its key.

    Examples:
        >>> keys_by_name(["Electron", "Electron/Electron.PT", "Muon.pt", "Muon_pt"])
        {'Electron': 'Electron', 'Electron_PT': 'Electron/Electron.PT', 'Muon.pt': 'Muon.pt', 'Muon_pt': 'Muon_pt'}
    """
    own, found = set(keys), {}
    for key in keys:
        name = plain_name(key)
        free = name == key or (name not in own and name not in found)
        found[name if free else key] = key
    return found


def find_name(known: Mapping[str, str] | Collection[str], text: str) -> str | None:
    """Return the one of these plain names that a text means; None if none does. ``NAME[2]`` is the third entry of the lists of NAME.

    Examples:
        >>> [find_name({"Electron_PT": "float[]"}, text) for text in ("Electron_PT", "Electron/Electron.PT", "Electron.PT", "Electron_pt")]
        ['Electron_PT', 'Electron_PT', 'Electron_PT', None]
        >>> find_name({"weights": "float[]"}, "weights[0]")
        'weights'
    """
    for name in (text, split_entry(text)[0]):
        if name in known:
            return name
        if (plain := plain_name(name)) in known:
            return plain
    return None


def split_entry(text: str) -> tuple[str, int | None]:
    """Return the branch and the position in its lists that a name means; None where it means the branch itself.

    Examples:
        >>> split_entry("mcEventWeights[0]"), split_entry("weight")
        (('mcEventWeights', 0), ('weight', None))
    """
    found = _ENTRY.fullmatch(text)
    return (text, None) if found is None else (found[1], int(found[2]))


class Names(Mapping[str, str]):
    """What is known of every column, found under any spelling of its name; it lists the plain ones.

    Examples:
        >>> types = Names({"Electron_PT": "float[]"})
        >>> types["Electron/Electron.PT"], "Electron.PT" in types, "Electron_pt" in types, list(types)
        ('float[]', True, False, ['Electron_PT'])
    """

    def __init__(self, content: Mapping[str, str]) -> None:
        self._content = dict(content)

    def __getitem__(self, name: str) -> str:
        """Return the value of a column."""
        found = find_name(self._content, name)
        if found is None:
            raise KeyError(name)
        return self._content[found]

    def __iter__(self) -> Iterator[str]:
        """Go through the plain names."""
        return iter(self._content)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._content)

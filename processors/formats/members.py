"""Numbers inside the objects of a branch, such as fP.fX of a TLorentzVector, by the description of the class in the file.

A branch that ROOT did not split holds whole objects. Their members become columns of their own names; whatever is no number, or a list of
numbers per event, is passed over.
"""

from __future__ import annotations

from typing import Any

import uproot
from uproot.models.RNTuple import RField as _Field

MemberPath = tuple[str, ...]


_COLLECTION = 1
"""Structure of an RNTuple field that holds a list."""


def has_parts(branch: Any) -> bool:
    """Return whether a branch is no column itself: its parts, columns of their own, are the members of a class."""
    if isinstance(branch, _Field):
        return bool(branch.fields) and not branch.typename
    return isinstance(branch.interpretation, uproot.interpretation.grouped.AsGrouped)


def type_of(branch: Any) -> str:
    """Return the type of what a branch holds per event; an RNTuple states that of one element of a collection."""
    kind = str(branch.typename)
    parent = branch.parent if isinstance(branch, _Field) else None
    while isinstance(parent, _Field):
        kind += "[]" * (parent.record.struct_role == _COLLECTION and not parent.typename)
        parent = parent.parent
    return kind


def members_of(branch: Any) -> dict[MemberPath, str]:
    """Return the types of the numbers inside the objects of a branch, by their path; nothing for branches of numbers.

    Args:
        branch: A TBranch or a field of an RNTuple, as uproot gives it.
    """
    interpretation = getattr(branch, "interpretation", None)
    if interpretation is None or not _holds_objects(interpretation):
        return {}
    try:
        form = interpretation.awkward_form(branch.file)
    except Exception:  # a class that awkward cannot hold: nobody reads it
        return {}
    return numbers_of(form)


def numbers_of(form: Any, *, depth: int = 0) -> dict[MemberPath, str]:
    """Return the numbers in the form of an array by their path: one per event, or (``float[]``) one list per event.

    Examples:
        >>> import awkward as ak
        >>> lists = ak.Array([[{"fP": {"fX": 1.0, "name": "a"}, "fE": 2.0}]])
        >>> numbers_of(lists.layout.form)
        {('fP', 'fX'): 'float64[]', ('fE',): 'float64[]'}
    """
    if form.parameter("__array__") in {"string", "bytestring"} or depth > 1:
        return {}
    if form.is_record:
        found: dict[MemberPath, str] = {}
        for name in form.fields:
            if not name.startswith("@"):
                found |= {(name, *path): kind for path, kind in numbers_of(form.content(name), depth=depth).items()}
        return found
    if form.is_list:
        return numbers_of(form.content, depth=depth + 1)
    if form.is_numpy and not form.inner_shape:
        return {(): f"{form.primitive}{'[]' * depth}"}
    return {}


def _holds_objects(interpretation: Any) -> bool:
    """Return whether entries are objects, or structs of leaves, and not numbers or lists of them."""
    inner = getattr(interpretation, "content", interpretation) if isinstance(interpretation, uproot.AsJagged) else interpretation
    if isinstance(inner, uproot.interpretation.objects.AsStridedObjects | uproot.AsObjects):
        return True
    return isinstance(inner, uproot.AsDtype) and inner.to_dtype.names is not None

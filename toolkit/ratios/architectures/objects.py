"""Groups of like objects (leptons, jets) among the columns of a feature map, with masks for missing ones.

Every object of a group is described by the same quantities in the same order. A missing object (an event with one jet has no second)
needs filled columns and a presence flag: list the observables in `fills` of the config and use NAME_filled and has_NAME.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.errors import SchemaError
from toolkit.ratios.features import FeatureMap, transform_of


@dataclass(frozen=True)
class ObjectGroup:
    """Objects of one kind.

    Args:
        name: For messages.
        members: Feature names of each object, all of the same length and order.
        flags: Presence flag of each object; empty when the objects always exist.
        labels: Numbers that tell the objects apart, the same in every event, of each object; empty for none. A column could not
            tell: it would be constant.

    Raises:
        SchemaError: No members, or members of different length.

    Examples:
        >>> ObjectGroup("jets", (("pt_j1_filled",), ("pt_j2_filled",)), ("has_pt_j1", "has_pt_j2")).features
        ('pt_j1_filled', 'pt_j2_filled', 'has_pt_j1', 'has_pt_j2')
    """

    name: str
    members: tuple[tuple[str, ...], ...]
    flags: tuple[str, ...] = ()
    labels: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(m) for m in self.members}
        kinds = {tuple(transform_of(q) for q in m) for m in self.members}
        if not self.members or len(lengths) != 1 or 0 in lengths or len(kinds) != 1:
            expected = "at least one object, all with the same quantities"
            raise SchemaError(f"object group {self.name}", got=self.members, expected=expected)
        if self.flags and len(self.flags) != len(self.members):
            raise SchemaError(f"flags of object group {self.name}", got=self.flags, expected=f"none, or {len(self.members)}")
        if self.labels and (len(self.labels) != len(self.members) or len({len(label) for label in self.labels}) != 1):
            raise SchemaError(
                f"labels of object group {self.name}", got=self.labels, expected=f"none, or as many numbers for each of {len(self.members)}"
            )

    @property
    def features(self) -> tuple[str, ...]:
        """All columns of the group, flags last."""
        return tuple(name for member in self.members for name in member) + self.flags


def lepton_group(quantities: Sequence[str] = ("pt", "eta"), *, labels: Sequence[str] = ()) -> ObjectGroup:
    """Return the group of the four leptons, named as in the event tables: pt_z1_lep1, eta_z1_lep1, ...

    Args:
        quantities: Of every lepton.
        labels: What is told of each beside them: `z`, +1 of Z1 and -1 of Z2; `charge`, the charge (lep1 is the negative lepton).

    Examples:
        >>> lepton_group().members[0]
        ('pt_z1_lep1', 'eta_z1_lep1')
        >>> lepton_group(labels=("z", "charge")).labels
        ((1.0, -1.0), (1.0, 1.0), (-1.0, -1.0), (-1.0, 1.0))
    """
    leptons = [(z, lepton) for z in (1, 2) for lepton in (1, 2)]
    told = tuple(tuple({"z": 3.0 - 2.0 * z, "charge": 2.0 * k - 3.0}[label] for label in labels) for z, k in leptons) if labels else ()
    return ObjectGroup("leptons", tuple(tuple(f"{q}_z{z}_lep{k}" for q in quantities) for z, k in leptons), labels=told)


def jet_group(quantities: Sequence[str] = ("pt", "eta"), *, n_jets: int = 2, always: bool = False) -> ObjectGroup:
    """Return the group of the leading jets.

    Args:
        quantities: Of every jet.
        n_jets: Their number.
        always: Whether every event has so many: the columns as they are. Otherwise filled columns with presence flags.

    Examples:
        >>> jet_group().members[1], jet_group().flags
        (('pt_j2_filled', 'eta_j2_filled'), ('has_pt_j1', 'has_pt_j2'))
        >>> jet_group(always=True).features
        ('pt_j1', 'eta_j1', 'pt_j2', 'eta_j2')
    """
    if always:
        return ObjectGroup("jets", tuple(tuple(f"{q}_j{k}" for q in quantities) for k in range(1, n_jets + 1)))
    members = tuple(tuple(f"{q}_j{k}_filled" for q in quantities) for k in range(1, n_jets + 1))
    return ObjectGroup("jets", members, tuple(f"has_{quantities[0]}_j{k}" for k in range(1, n_jets + 1)))


def object_groups(features: Sequence[str], *, lepton_labels: Sequence[str] = ()) -> tuple[ObjectGroup, ...]:
    """Return the groups that the names of features tell: the four leptons, and the leading jets, with presence flags or without.

    Args:
        features: Names of the columns.
        lepton_labels: What is told of each lepton beside them, see `lepton_group`.

    Raises:
        SchemaError: There is no complete group among them.

    Examples:
        >>> names = [f"{q}_z{z}_lep{k}" for q in ("pt", "eta") for z in (1, 2) for k in (1, 2)]
        >>> [group.name for group in object_groups(["m4l", *names])]
        ['leptons']
        >>> object_groups(["pt_j1_filled", "has_pt_j1"])[0].members
        (('pt_j1_filled',),)
        >>> object_groups(["m_jj", "pt_j1", "pt_j2", "eta_j1", "eta_j2"])[0].features
        ('pt_j1', 'eta_j1', 'pt_j2', 'eta_j2')
    """
    labels = [f"z{z}_lep{lepton}" for z in (1, 2) for lepton in (1, 2)]
    firsts = [name.removesuffix(f"_{labels[0]}") for name in features if name.endswith(f"_{labels[0]}")]
    quantities = [q for q in firsts if all(f"{q}_{label}" in features for label in labels)]
    groups = [lepton_group(quantities, labels=lepton_labels)] if quantities else []
    for ending, always in (("_filled", False), ("", True)):
        of_jets = [name.removesuffix(f"_j1{ending}") for name in features if name.endswith(f"_j1{ending}")]
        if of_jets:
            complete = (all(f"{q}_j{k}{ending}" in features for q in of_jets) for k in itertools.count(1))
            groups.append(jet_group(of_jets, n_jets=sum(1 for _ in itertools.takewhile(bool, complete)), always=always))
    if not groups:
        raise SchemaError(
            "features",
            got=list(features),
            expected="the same quantities of all four leptons (pt_z1_lep1, ...), or of the leading jets (pt_j1_filled with has_pt_j1, ...)",
            remedy="add them, or take `architecture: mlp`",
        )
    return tuple(groups)


def column_spans(features: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the network inputs that each feature becomes.

    Examples:
        >>> column_spans(("m4l", "phi", "y4l"))
        {'m4l': (0,), 'phi': (1, 2, 3, 4), 'y4l': (5,)}
    """
    spans, start = {}, 0
    for name in features:
        width = 4 if transform_of(name) == "angle" else 1
        spans[name] = tuple(range(start, start + width))
        start += width
    return spans


def tie_scales(feature_map: FeatureMap, groups: Sequence[ObjectGroup]) -> FeatureMap:
    """Give like columns of like objects the same mean and scale, so that equal objects look equal.

    Raises:
        SchemaError: A column of a group is not among the features, or the map folds events, which objects would not follow.
    """
    _require_features(feature_map, groups)
    spans = column_spans(feature_map.features)
    mean, variance = feature_map.mean.clone(), feature_map.std.clone() ** 2
    for group in groups:
        columns = torch.tensor([[i for name in member for i in spans[name]] for member in group.members])
        means, variances = mean[columns], variance[columns]
        common = means.mean(dim=0)
        spread = (variances + means**2).mean(dim=0) - common**2
        mean[columns], variance[columns] = common.expand_as(means), spread.expand_as(means)
    return FeatureMap(feature_map.features, fold=feature_map.fold, mean=mean, std=variance.sqrt())


def _require_features(feature_map: FeatureMap, groups: Sequence[ObjectGroup]) -> None:
    wanted = [name for group in groups for name in group.features]
    absent = [name for name in wanted if name not in feature_map.features]
    if absent or len(set(wanted)) != len(wanted):
        remedy = "add them to the features; missing objects need fills: NAME_filled and has_NAME"
        raise SchemaError("columns of the objects", got=f"{absent or wanted}", expected="each once among the features", remedy=remedy)
    if feature_map.fold or feature_map.fold_charges:
        remedy = "set fold_beam_axis=False: the leptons and jets would have to be rotated, too"
        raise SchemaError("fold_beam_axis", got=True, expected="False with objects as inputs", remedy=remedy)
    if not feature_map.harmonics:
        remedy = "set harmonics=True: a direction has no jump at pi only as sine and cosine"
        raise SchemaError("harmonics", got=False, expected="True with objects as inputs", remedy=remedy)


class ObjectColumns(nn.Module):
    """Takes the objects of one group out of the network inputs.

    Args:
        group: The group.
        features: Features of the map.
    """

    columns: torch.Tensor
    flag_columns: torch.Tensor
    labels: torch.Tensor

    def __init__(self, group: ObjectGroup, features: Sequence[str]) -> None:
        super().__init__()
        spans = column_spans(features)
        self.n_objects = len(group.members)
        self.n_columns = sum(len(spans[name]) for name in group.members[0])
        self.width = self.n_columns + (len(group.labels[0]) if group.labels else 0)
        self.masked = bool(group.flags)
        self.register_buffer("columns", torch.tensor([i for member in group.members for name in member for i in spans[name]]))
        self.register_buffer("flag_columns", torch.tensor([spans[name][0] for name in group.flags], dtype=torch.int64))
        self.labelled = bool(group.labels)
        if self.labelled:
            self.register_buffer("labels", torch.tensor(group.labels)[None])

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the objects (n, n_objects, width), their labels last, and 1 or 0 for each (n, n_objects, 1) where they can be missing.

        A standardised flag is positive exactly where the object exists, because its mean lies between 0 and 1.
        """
        objects = z.index_select(1, self.columns).reshape(-1, self.n_objects, self.n_columns)
        if self.labelled:
            objects = torch.cat([objects, self.labels.to(objects.dtype).expand(objects.shape[0], -1, -1)], dim=2)
        if not self.masked:
            return objects, None
        flags = z.index_select(1, self.flag_columns)
        present = torch.where(flags > 0, torch.ones_like(flags), torch.zeros_like(flags))
        return objects, present.reshape(-1, self.n_objects, 1)


def global_columns(features: Sequence[str], groups: Sequence[ObjectGroup], *, n_context: int) -> torch.Tensor:
    """Return the inputs that belong to no object, flags and context included."""
    spans = column_spans(features)
    taken = {i for group in groups for member in group.members for name in member for i in spans[name]}
    n_inputs = sum(len(span) for span in spans.values())
    return torch.tensor([i for i in range(n_inputs + n_context) if i not in taken], dtype=torch.int64)

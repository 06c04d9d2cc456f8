"""The description that an ONNX ratio file carries: the JSON text under the metadata key ``h4l``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.artifacts.versions import other_version
from toolkit.errors import SchemaError

SCHEMA = 1
METADATA_KEY = "h4l"
INPUT_NAME = "observables"
OUTPUT_NAME = "log_ratio"
SPREAD_NAME = "log_ratio_spread"


@dataclass(frozen=True)
class Feature:
    """Describe one input column of a ratio network.

    Args:
        name: Observable (or parameter) name, as in the event tables.
        unit: Unit of the column as a text, ``""`` for a pure number.
        low: Smallest value seen in training, in that unit.
        high: Largest value seen in training, in that unit.

    Raises:
        SchemaError: The name is empty, or the range is not finite and ordered.

    Examples:
        >>> Feature("m4l", "GeV", 220.0, 2000.0).to_json()
        {'name': 'm4l', 'unit': 'GeV', 'training_range': [220.0, 2000.0]}
    """

    name: str
    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the name and the range."""
        _require(isinstance(self.name, str) and self.name, "feature name", self.name, "a non-empty text")
        _require(isinstance(self.unit, str), f"unit of feature {self.name}", self.unit, 'a text such as "GeV", or "" for a pure number')
        ordered = math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high
        _require(ordered, f"training range of feature {self.name}", [self.low, self.high], "two finite numbers, low <= high")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "unit": self.unit, "training_range": [float(self.low), float(self.high)]}

    @classmethod
    def from_json(cls, document: Any) -> Feature:
        """Read the JSON form.

        Raises:
            SchemaError: A key is missing or a value has the wrong type.
        """
        _require(isinstance(document, Mapping), "ONNX metadata: a feature", document, "an object with name, unit and training_range")
        edges = _get(document, "training_range")
        _require(_is_list_of(edges, (int, float)) and len(edges) == 2, "ONNX metadata: training_range", edges, "two numbers")
        return cls(_get(document, "name"), _get(document, "unit"), float(edges[0]), float(edges[1]))


@dataclass(frozen=True)
class OnnxMetadata:
    """Describe a ratio network: what goes in, what comes out, where it came from.

    Args:
        features: Input columns in order.
        numerators: Names of the output columns; output j is ln p_j(x) / p_reference(x).
        reference: Name of the reference density.
        estimator: Name of the training method, such as ``multiclass`` or ``carl``.
        parameters: Parameter columns of a parameterised network; they follow the features in the input.
        ensemble_size: Number of networks that are averaged inside the graph.
        reference_mixture: Fractions pi_j when the reference is the mixture sum_j pi_j p_j; empty otherwise.
        toolkit_version: Version of the toolkit that wrote the file.
        config_hash: Hash of the configuration of the training.
        training_data_hash: Hash of the training events.
        fills: What stands for a missing observable in its column NAME_filled, by NAME.
        z1: Which pair of the best quadruplet is Z1, see `toolkit.kinematics.pair_leptons`.
        missing: Whether features may be missing (NaN), as trees allow.
        fused: Name of the file beside this one with the same numbers in few large nodes; empty where there is none.

    Raises:
        SchemaError: Names are empty or repeated, or the ensemble size is not positive.
    """

    features: tuple[Feature, ...]
    numerators: tuple[str, ...]
    reference: str
    estimator: str
    parameters: tuple[Feature, ...] = ()
    ensemble_size: int = 1
    reference_mixture: Mapping[str, float] = field(default_factory=dict)
    toolkit_version: str = ""
    config_hash: str = ""
    training_data_hash: str = ""
    fills: Mapping[str, float] = field(default_factory=dict)
    z1: str = "leading"
    missing: bool = False
    fused: str = ""

    def __post_init__(self) -> None:
        """Check that the names can be used to address columns."""
        columns = [column.name for column in (*self.features, *self.parameters)]
        for what, names in (("features and parameters", columns), ("numerators", list(self.numerators))):
            distinct = bool(names) and all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)
            _require(distinct, f"ONNX metadata: {what}", names, "at least one name, none empty, none repeated")
        for what, text in (("reference", self.reference), ("estimator", self.estimator)):
            _require(isinstance(text, str) and text, f"ONNX metadata: {what}", text, "a non-empty text")
        positive = isinstance(self.ensemble_size, int) and not isinstance(self.ensemble_size, bool) and self.ensemble_size >= 1
        _require(positive, "ONNX metadata: ensemble_size", self.ensemble_size, "a positive integer")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all input columns: the features, then the parameters."""
        return tuple(column.name for column in (*self.features, *self.parameters))

    def to_json(self) -> str:
        """Return the JSON text for the metadata key ``h4l``."""
        document = {
            "schema": SCHEMA,
            "features": [feature.to_json() for feature in self.features],
            "parameters": [parameter.to_json() for parameter in self.parameters],
            "numerators": list(self.numerators),
            "reference": self.reference,
            "reference_mixture": {name: float(fraction) for name, fraction in self.reference_mixture.items()},
            "estimator": self.estimator,
            "ensemble_size": self.ensemble_size,
            "toolkit_version": self.toolkit_version,
            "config_hash": self.config_hash,
            "training_data_hash": self.training_data_hash,
            **({"fills": {name: float(fill) for name, fill in self.fills.items()}} if self.fills else {}),
            **({"z1": self.z1} if self.z1 != "leading" else {}),
            **({"missing": True} if self.missing else {}),
            **({"fused": self.fused} if self.fused else {}),
        }
        return json.dumps(document, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> OnnxMetadata:
        """Read the JSON text of the metadata key ``h4l``; keys that this version does not know are ignored.

        Raises:
            SchemaError: Not JSON, another schema version, a missing key or a value of the wrong type.

        Examples:
            >>> written = OnnxMetadata((Feature("m4l", "GeV", 220.0, 2000.0),), ("ggF_S",), "qqZZ", "carl")
            >>> OnnxMetadata.from_json(written.to_json()) == written
            True
        """
        document = _parse(text)
        schema = document.get("schema", SCHEMA)
        if schema != SCHEMA:
            remedy = "write the network anew with `h4l export` or exports.write_onnx, or read it with the version that wrote it"
            raise other_version(f"ONNX metadata key {METADATA_KEY}", found=schema, expected=SCHEMA, remedy=remedy)
        numerators = _get(document, "numerators")
        mixture = document.get("reference_mixture", {})
        _require(_is_list_of(numerators, str), "ONNX metadata: numerators", numerators, "a list of names")
        fills = document.get("fills", {})
        numbers = list(fills.values()) if isinstance(fills, dict) else None
        _require(_is_list_of(numbers, (int, float)), "ONNX metadata: fills", fills, "an object {observable: number}")
        fractions = list(mixture.values()) if isinstance(mixture, dict) else None
        _require(_is_list_of(fractions, (int, float)), "ONNX metadata: reference_mixture", mixture, "an object {process: fraction}")
        return cls(
            features=_read_features(_get(document, "features"), "features"),
            numerators=tuple(numerators),
            reference=_get(document, "reference"),
            estimator=_get(document, "estimator"),
            parameters=_read_features(document.get("parameters", []), "parameters"),
            ensemble_size=document.get("ensemble_size", 1),
            reference_mixture=mixture,
            fills=fills,
            z1=str(document.get("z1") or "leading"),
            missing=bool(document.get("missing")),
            **{key: str(document.get(key) or "") for key in ("toolkit_version", "config_hash", "training_data_hash", "fused")},
        )


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    _require(isinstance(document, dict), f"ONNX metadata key {METADATA_KEY}", f"{text[:60]!r}", "a JSON object")
    return dict(document)


def _read_features(documents: Any, key: str) -> tuple[Feature, ...]:
    _require(isinstance(documents, list), f"ONNX metadata: {key}", documents, "a list of objects with name, unit and training_range")
    return tuple(Feature.from_json(document) for document in documents)


def _get(document: Mapping[str, Any], key: str) -> Any:
    _require(key in document, f"ONNX metadata: {key}", f"no such key among {list(document)}", f"a value for {key}")
    return document[key]


def _is_list_of(value: object, types: type | tuple[type, ...]) -> bool:
    return isinstance(value, list) and all(isinstance(item, types) and not isinstance(item, bool) for item in value)


def _require(condition: object, what: str, got: object, expected: object) -> None:
    if not condition:
        raise SchemaError(what, got=got, expected=expected, remedy="write the file with exports.write_onnx; docs/onnx.md lists every key")

"""Workspace documents: pyhf's workspace plus unbinned channels.

A document that holds only what pyhf knows is a pyhf workspace and gives pyhf's likelihood. Otherwise see
`toolkit.likelihood.workspace_schema`. Nothing in a document is evaluated as code.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyhf

from toolkit.artifacts.checksums import read_checked, write_checked_json
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ToolkitError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.combination import combine_documents
from toolkit.likelihood.combined import CombinedLikelihood
from toolkit.likelihood.constraint_term import ConstraintTerm
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.histfactory import VERSION, quiet_schema
from toolkit.likelihood.observation import read_observation
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.pyhf_build import build_model
from toolkit.likelihood.pyhf_model import PyhfLikelihood
from toolkit.likelihood.rates import NormSys
from toolkit.likelihood.shaped import ShapeReference
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.likelihood.workspace_form import check_form
from toolkit.likelihood.workspace_hs3 import is_hs3, workspace_of_hs3
from toolkit.likelihood.workspace_parameterised import check_model, parameterised_likelihood
from toolkit.likelihood.workspace_parameters import constrained_parameters, definitions, nuisances, used_parameters
from toolkit.likelihood.workspace_parts import of_parts
from toolkit.likelihood.workspace_schema import UnbinnedChannel, merge_kinds, parse_channel
from toolkit.likelihood.workspace_shapes import OpenRatio, ShapeReader
from toolkit.typing import FloatArray

KEYS = ("channels", "observations", "measurements", "version", "unbinned_channels")


@dataclass(frozen=True)
class Workspace:
    """A workspace document and the folder that its file names are relative to.

    Attributes:
        document: The JSON document.
        folder: Folder of the file.
        has_checksum: Whether the file was compared with a checksum beside it.

    Examples:
        A document that holds only what pyhf knows is a pyhf workspace:

        >>> model = pyhf.simplemodels.uncorrelated_background([10.0], [50.0], [7.0], validate=False)
        >>> document = dict(pyhf.Workspace.build(model, [55.0, *model.config.auxdata], validate=False))
        >>> workspace = Workspace(document)
        >>> workspace.is_pyhf, round(workspace.likelihood().fit().parameters["mu"], 6)
        (True, 0.5)
    """

    document: dict[str, Any]
    folder: Path = Path()
    has_checksum: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        _check_keys(self.document)
        check_form(self.document)
        _ = self.unbinned_channels, self.ties

    @classmethod
    def load(cls, path: str | Path) -> Workspace:
        """Read a workspace, or the binned channels of an HS3 document such as RooFit writes.

        Args:
            path: JSON file.

        Returns:
            The workspace, checked.

        Raises:
            InputFileError: The file cannot be read.
            ArtifactMismatchError: The content differs from the checksum beside it.
            SchemaError: It is not JSON, or not a workspace.
        """
        path = Path(path)
        what = f"workspace {path}"
        try:
            content, has_checksum = read_checked(path)
            document = json.loads(content.decode("utf-8"))
        except ToolkitError:
            raise
        except (OSError, UnicodeDecodeError) as error:
            raise InputFileError(what, got=str(error), expected="a readable JSON file", remedy="check the path") from error
        except (ValueError, RecursionError) as error:  # ValueError: not JSON, or an integer of more digits than Python reads
            raise SchemaError(what, got=str(error), expected="valid JSON", remedy="write it with Workspace.save") from error
        try:
            if is_hs3(document):
                document = workspace_of_hs3(document)
            return cls(document=document, folder=path.resolve().parent, has_checksum=has_checksum)
        except SchemaError as error:
            place = error.what.removeprefix("workspace").lstrip(": ")
            raise SchemaError(f"{what}: {place}" if place else what, got=error.got, expected=error.expected, remedy=error.remedy) from error

    @classmethod
    def combine(
        cls,
        parts: Mapping[str, Workspace],
        *,
        rename: Mapping[str, Mapping[str, str]] | None = None,
        express: Mapping[str, str] | None = None,
        parameters: Sequence[Parameter] = (),
        poi: str | None = None,
        measurement: str = "combination",
        folder: Path | None = None,
    ) -> Workspace:
        """Combine the channels of several workspaces, of data that do not overlap.

        Args:
            parts: The workspaces by a label of your choice; of each the first measurement counts.
            rename: By label, new names of parameters and channels. Parameters of one name are correlated, all others are not.
            express: Expressions in the place of free parameters, after renaming: {"mu_off": "mu_on * gamma"}.
            parameters: Definitions that win over those of the parts, and those of parameters that are new in `express`.
            poi: Parameter of interest; that of the first part if not given.
            measurement: Name of the measurement.
            folder: Where the combination will be saved, for its file names; the folder of the first part if not given.

        Returns:
            The combination. Constraints of one parameter are counted once.

        Raises:
            SchemaError: Channels of one name, contradictory constraints or definitions, an expression for a constrained parameter.
        """
        target = next(iter(parts.values())).folder if folder is None and parts else Path(folder or ".")
        document = combine_documents(
            {label: (part.document, part.folder) for label, part in parts.items()},
            folder=target,
            rename=rename or {},
            express=express or {},
            parameters=parameters,
            poi=poi,
            measurement=measurement,
        )
        return cls(document=document, folder=target)

    def save(self, path: str | Path) -> None:
        """Write the document in one step, its checksum beside it; file names in it must be relative to the folder of `path`."""
        write_checked_json(path, self.document)

    @property
    def is_pyhf(self) -> bool:
        """Whether the document is a plain pyhf workspace."""
        return "unbinned_channels" not in self.document and not self.ties

    @property
    def unbinned_channels(self) -> tuple[UnbinnedChannel, ...]:
        """The unbinned channels, checked."""
        raw = self.document.get("unbinned_channels", [])
        return tuple(parse_channel(c, where=f"unbinned_channels[{i}]") for i, c in enumerate(raw))

    @property
    def ties(self) -> dict[str, str]:
        """Expression of each morphing modifier of the binned channels, by the modifier's name."""
        found: dict[str, str] = {}
        for channel in self.document.get("channels", []):
            for sample in channel.get("samples", []):
                for modifier in sample.get("modifiers", []):
                    if modifier.get("type") == "morphing":
                        name, text = _morphing(modifier, where=f"channel {channel.get('name')!r}, sample {sample.get('name')!r}")
                        if found.setdefault(name, text) != text:
                            what = f"morphing modifier {name!r}"
                            raise SchemaError(
                                what, got=f"{found[name]!r} and {text!r}", expected="one expression per name", remedy="rename one"
                            )
        return found

    def measurement(self, name: str | None = None) -> dict[str, Any]:
        """Return a measurement by name, by default the first."""
        measurements = self.document["measurements"]
        for m in measurements:
            if name is None or m.get("name") == name:
                return dict(m)
        what = f"measurement {name!r}"
        raise SchemaError(what, got="not in the workspace", expected=f"one of {[m.get('name') for m in measurements]}")

    def to_pyhf(self) -> dict[str, Any]:
        """Return the binned part as a document of pyhf's schema: morphing modifiers become free normfactors of the same name.

        Raises:
            SchemaError: There are no binned channels.
        """
        document = copy.deepcopy({k: v for k, v in self.document.items() if k != "unbinned_channels"})
        if not document.get("channels"):
            what = "workspace"
            raise SchemaError(what, got="no binned channels", expected="a part that pyhf can express")
        if self.is_pyhf:
            return document
        for channel in document["channels"]:
            for sample in channel["samples"]:
                sample["modifiers"] = [
                    {"name": m["name"], "type": "normfactor", "data": None} if m["type"] == "morphing" else m for m in sample["modifiers"]
                ]
        known = {m["name"] for c in document["channels"] for s in c["samples"] for m in s["modifiers"]}
        for measurement in document["measurements"]:
            config = measurement["config"]
            config["parameters"] = [p for p in config["parameters"] if p["name"] in known] + [
                {"name": name, "inits": [1.0], "bounds": [[-1000.0, 1000.0]]} for name in self.ties
            ]
            config["poi"] = config["poi"] if config["poi"] in known else ""
        return document

    def likelihood(self, *, measurement: str | None = None, open_ratio: OpenRatio = OnnxRatio) -> Likelihood:
        """Build the likelihood of all channels.

        Args:
            measurement: Name of the measurement (default: the first).
            open_ratio: Opens the model file of an unbinned channel.

        Returns:
            Object with `parameter_names`, `twice_nll`, `gradient`, `fit`, `scan`.

        Raises:
            SchemaError: The document is inconsistent: an undefined parameter, a missing column, pyhf's schema is violated.
            ArtifactMismatchError: A model file does not have the outputs, features or reference that a channel names.
            InputFileError: A file is missing.
        """
        config = self.measurement(measurement)["config"]
        poi = config["poi"] or None
        model, data = self._pyhf(measurement, poi) if self.document.get("channels") else (None, None)
        defined = definitions(config, model)
        channels = self.unbinned_channels
        kinds = merge_kinds((c.kinds for c in channels), where="unbinned channels")
        new = nuisances(kinds, config, model)
        defined.update({p.name: p for p, _ in new})
        coefficients = [*self.ties.values(), *(text for c in channels for text in c.coefficients)]
        names = {name for text in coefficients for name in Expression.parse(text).names} & set(defined)
        taken = {*kinds, *(model.config.parameters if model is not None else ())}
        new += constrained_parameters(names, defined, config, taken=taken)
        terms: list[Likelihood] = []
        if model is not None and data is not None:
            own = used_parameters(self.ties.values(), defined, poi)
            terms.append(PyhfLikelihood(model, data, ties=self.ties, parameters=own, poi=poi))
        alone = not terms and len(channels) == 1
        for channel in channels:
            used = used_parameters(channel.coefficients, defined, poi, also=channel.kinds)
            terms.append(self._unbinned(channel, used, open_ratio, constraints=[c for _, c in new] if alone else []))
        if new and not alone:
            terms.append(ConstraintTerm([c for _, c in new], [p for p, _ in new]))
        return terms[0] if len(terms) == 1 else CombinedLikelihood(terms, poi=poi)

    def _pyhf(self, measurement: str | None, poi: str | None) -> tuple[pyhf.Model, list[float]]:
        document = self.to_pyhf()
        try:
            with quiet_schema():
                without_poi = {} if poi in _modifier_names(document) else {"poi_name": None}
                return build_model(document, measurement=measurement, **without_poi)
        except (MemoryError, SchemaError):
            raise
        except Exception as error:  # an odd document ends anywhere inside pyhf: TypeError, IndexError, ...
            what = "binned channels of the workspace"
            raise SchemaError(
                what, got=f"{type(error).__name__}: {error}"[:500], expected="a valid pyhf workspace", remedy="check it with pyhf's schema"
            ) from error

    def _unbinned(
        self, channel: UnbinnedChannel, parameters: Sequence[Parameter], open_ratio: OpenRatio, *, constraints: Sequence[Constraint]
    ) -> Likelihood:
        ratio = open_ratio(self.folder / channel.model)
        if channel.output is not None:
            if not isinstance(ratio, OnnxRatio):
                what = f"unbinned channel {channel.name!r} with `output`"
                raise SchemaError(what, got=type(ratio).__name__, expected="an OnnxRatio, which says what the network reads")
            return parameterised_likelihood(channel, ratio, self.folder, parameters, constraints=constraints)
        where = f"unbinned channel {channel.name!r}, model {channel.model}"
        outputs = [s.output for s in channel.samples]
        check_model(where, channel, ratio, outputs)
        if isinstance(ratio, OnnxRatio) and ratio.parameters:
            what = f"{where}: inputs"
            expected = "a model of observables alone, or a channel with `output` for the whole density"
            raise ArtifactMismatchError(what, got=f"a network that reads {list(ratio.parameters)}", expected=expected)
        variations = ShapeReader(channel, self.folder, open_ratio)
        names = tuple(dict.fromkeys((*channel.observables, *channel.condition_columns, *variations.columns)))
        columns = [list(ratio.numerators).index(o) for o in outputs]

        def log_ratios(o: Mapping[str, FloatArray]) -> FloatArray:
            return of_parts(channel, ratio(ratio.columns(o))[:, columns], o)

        observables, weights = read_observation(self.folder / channel.observation.file, names, weight=channel.observation.weight)
        return UnbinnedLikelihood(
            log_ratios=log_ratios(observables),
            weights=weights,
            yields=[s.expected for s in channel.samples],
            coefficients=[s.coefficient for s in channel.samples],
            parameters=parameters,
            systematics=[NormSys(j, name, *pair) for j, s in enumerate(channel.samples) for name, pair in s.norms.items()],
            shapes=variations.read(observables, len(weights)) if variations.any else None,
            reference=self._reference(channel, variations, log_ratios) if variations.any else None,
            constraints=constraints,
        )

    def _reference(
        self, channel: UnbinnedChannel, variations: ShapeReader, log_ratios: Callable[[dict[str, FloatArray]], FloatArray]
    ) -> ShapeReference | Literal["normalised"] | None:
        section = channel.normalisation
        if section is None or section == "normalised":
            return section
        path = self.folder / section.file
        if section.weights is None:
            names = tuple(dict.fromkeys((*channel.observables, *channel.condition_columns, *variations.columns)))
            observables, weight = read_observation(path, names, weight=section.weight)
            return ShapeReference(weight[:, None] * np.exp(log_ratios(observables)), variations.read(observables, len(weight)))
        missing = [s.name for s in channel.samples if s.name not in section.weights]
        if missing:
            what = f"unbinned channel {channel.name!r}: normalisation weights"
            raise SchemaError(what, got=f"no column for {missing}", expected="one column per sample")
        own = [section.weights[s.name] for s in channel.samples]
        observables, _ = read_observation(path, (*variations.columns, *own), weight=None)
        weights = np.stack([observables[c] for c in own], axis=1)
        return ShapeReference(weights, variations.read(observables, len(weights)))


def _check_keys(document: Any) -> None:
    if not isinstance(document, dict):
        what = "workspace"
        raise SchemaError(what, got=type(document).__name__, expected=f"an object with {list(KEYS)}", remedy="write it with Workspace.save")
    unknown = sorted(set(document) - set(KEYS))
    if unknown:
        near = difflib.get_close_matches(unknown[0], KEYS, n=1)
        what = "workspace"
        raise SchemaError(
            what, got=f"unknown keys {unknown}", expected=f"{list(KEYS)}", remedy=f"did you mean {near[0]!r}?" if near else "remove them"
        )
    if document.get("version") != VERSION:
        what = "workspace version"
        raise SchemaError(what, got=document.get("version"), expected=VERSION, remedy="write it for this version of pyhf's schema")
    if not document.get("channels") and not document.get("unbinned_channels"):
        what = "workspace"
        raise SchemaError(what, got="no channels", expected="channels or unbinned_channels")
    measurements = document.get("measurements")
    good = (
        isinstance(measurements, list) and measurements and all(isinstance(m, dict) and _is_config(m.get("config")) for m in measurements)
    )
    if not good:
        what = "workspace measurements"
        raise SchemaError(what, got=str(measurements)[:200], expected='[{"name", "config": {"poi", "parameters": [...]}}]')


def _is_config(config: Any) -> bool:
    if not isinstance(config, dict) or not isinstance(config.get("poi"), str) or not isinstance(config.get("parameters"), list):
        return False
    return all(isinstance(p, dict) and isinstance(p.get("name"), str) for p in config["parameters"])


def _morphing(modifier: Mapping[str, Any], *, where: str) -> tuple[str, str]:
    name, data = modifier.get("name"), modifier.get("data")
    if not isinstance(name, str) or not isinstance(data, dict) or set(data) != {"coefficient"}:
        what = f"{where}: morphing modifier"
        raise SchemaError(what, got=dict(modifier), expected='{"name", "type": "morphing", "data": {"coefficient": "mu - sqrt(mu)"}}')
    return name, Expression.parse(data["coefficient"]).text


def _modifier_names(document: Mapping[str, Any]) -> set[str]:
    return {m["name"] for c in document["channels"] for s in c["samples"] for m in s["modifiers"]}

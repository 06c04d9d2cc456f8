"""Build pyhf models of documents as they are published.

What to use when: `build_model` for a document of pyhf's schema. Where pyhf has no number, or leaves an uncertainty out without a word, the
model follows ROOT and the arithmetic of signed yields instead:

- normsys with lo or hi = 0: pyhf takes the logarithm of 0 and has NaN everywhere. HistFactory's code 4 has a limit there, which
  ROOT uses: factor 0 with vanishing derivatives at that end. A negative lo or hi has none, and is refused.
- staterror and shapesys on a negative yield (an interference sample): pyhf holds their parameters at 1. Their relative error is that of
  the absolute value of the yield.

References:
    ROOT, RooFit::Detail::MathFuncs::flexibleInterpSingle; Cranmer et al., HistFactory, CERN-OPEN-2012-016, section 4.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyhf
from pyhf.modifiers import histfactory_set
from pyhf.modifiers.shapesys import required_parset as shapesys_parset
from pyhf.modifiers.shapesys import shapesys_builder, shapesys_combined
from pyhf.modifiers.staterror import required_parset as staterror_parset
from pyhf.modifiers.staterror import staterror_builder, staterror_combined

from toolkit.errors import SchemaError
from toolkit.typing import FloatArray

ALMOST_ZERO = 1e-300
"""Takes the place of a factor 0: ALMOST_ZERO times the square of its logarithm is still 0 beside any number."""


def build_model(document: Mapping[str, Any], *, measurement: str | None, **options: Any) -> tuple[pyhf.Model, list[float]]:
    """Build the model of a workspace document, and its data.

    Args:
        document: A document of pyhf's schema.
        measurement: Name of the measurement; the first one if None.
        options: For pyhf's `Workspace.model`.

    Returns:
        The model; counts and auxiliary data in its order.

    Raises:
        SchemaError: A normsys with a negative factor.
    """
    workspace = pyhf.Workspace(_with_limits(document))
    model = workspace.model(measurement_name=measurement, modifier_set=_SIGNED_SET, **options)
    return model, workspace.data(model)


def dropped_errors(model: pyhf.Model) -> tuple[str, ...]:
    """List the uncertainties of bins that a model does not propagate, because their yields are 0 or (in pyhf's own models) negative.

    Args:
        model: A model.

    Returns:
        One text per modifier, channel and bin, such as "staterror 'st', channel 'SR', bin 0".
    """
    held = model.config.suggested_fixed()
    found: list[str] = []
    before: dict[str, int] = {}
    for channel in sorted(model.spec["channels"], key=lambda c: str(c["name"])):
        n_bins = model.config.channel_nbins[channel["name"]]
        for (kind, name), (total, error) in _binwise(channel).items():
            first = model.config.par_slice(name).start + before.get(name, 0)
            left_out = (error > 0.0) & ~(total > 0.0) & np.array(held[first : first + n_bins], dtype=bool)
            found += [f"{kind} {name!r}, channel {channel['name']!r}, bin {i}" for i in np.flatnonzero(left_out)]
            before[name] = before.get(name, 0) + n_bins
    return tuple(found)


def check_factors(model: pyhf.Model) -> None:
    """Refuse a model with a normsys that pyhf interpolates through a logarithm of a number that is not positive.

    Raises:
        SchemaError: There is one; the message names it.
    """
    code = model.config.modifier_settings.get("normsys", {}).get("interpcode", "code4")
    for where, modifier in _modifiers(model.spec) if code in ("code1", "code4") else ():
        for end, value in _ends(modifier):
            if not value > 0.0:
                remedy = "load the document with toolkit.likelihood.Workspace, which takes the limit of the interpolation as ROOT does"
                raise _refused(where, modifier, f"{end} = {value:g}", "> 0, for which pyhf has a number", remedy)


def _with_limits(document: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a document with factors of normsys that are 0 replaced by almost 0; negative ones are refused."""
    out = copy.deepcopy(dict(document))
    for where, modifier in _modifiers(out):
        for end, value in _ends(modifier):
            if value < 0.0:
                expected, remedy = ">= 0: a factor is interpolated by powers", "write a variation through zero as a histosys"
                raise _refused(where, modifier, f"{end} = {value:g}", expected, remedy)
            modifier["data"][end] = value or ALMOST_ZERO
    return out


def _ends(modifier: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the two factors of a normsys; whatever is not numbers is left to pyhf's schema."""
    data = modifier.get("data")
    if modifier["type"] != "normsys" or not isinstance(data, Mapping):
        return []
    return [(end, value) for end in ("hi", "lo") if isinstance(value := data.get(end), int | float)]


def _refused(where: str, modifier: Mapping[str, Any], got: str, expected: str, remedy: str) -> SchemaError:
    return SchemaError(f"normsys {modifier['name']!r} of {where}", got=got, expected=expected, remedy=remedy)


def _modifiers(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for channel in document["channels"]:
        for sample in channel["samples"]:
            for modifier in sample["modifiers"]:
                yield f"sample {sample['name']!r} in channel {channel['name']!r}", modifier


def _binwise(channel: Mapping[str, Any]) -> dict[tuple[str, str], tuple[FloatArray, FloatArray]]:
    """Return yields and sums of errors, (n_bins,) each, of the samples that carry a staterror or shapesys, by kind and name."""
    found: dict[tuple[str, str], tuple[FloatArray, FloatArray]] = {}
    for sample in channel["samples"]:
        for modifier in sample["modifiers"]:
            if modifier["type"] in {"staterror", "shapesys"}:
                own = np.array(sample["data"], dtype=np.float64), np.array(modifier["data"], dtype=np.float64)
                total, error = found.get((modifier["type"], modifier["name"]), (0.0, 0.0))
                found[modifier["type"], modifier["name"]] = total + own[0], error + own[1]
    return found


class _SignedStaterror(staterror_builder):  # type: ignore[misc]
    """pyhf's staterror, with relative errors of the absolute yield."""

    def finalize(self) -> Any:
        """Collect the modifiers and set the widths of the constraints."""
        data = super().finalize()
        for key, samples in data.items():
            own = [s["data"] for s in samples.values() if np.any(s["data"]["mask"])]
            mask = np.asarray(own[0]["mask"], dtype=bool)
            total = np.sum([s["nom_data"] for s in own], axis=0)[mask]
            if not np.any(total < 0.0):
                continue
            errors = np.sqrt(np.sum([np.square(s["uncrt"]) for s in own], axis=0))[mask]
            sigmas = np.divide(errors, np.abs(total), out=np.zeros_like(errors), where=total != 0.0)
            fixed = (sigmas == 0.0).tolist()
            self.required_parsets[key.split("/")[1]] = [staterror_parset(np.where(fixed, 1.0, sigmas).tolist(), fixed)]
        return data


class _SignedShapesys(shapesys_builder):  # type: ignore[misc]
    """pyhf's shapesys, with relative errors of the absolute yield."""

    def append(self, key: Any, channel: Any, sample: Any, thismod: Any, defined_samp: Any) -> None:
        """Add the modifier of one sample."""
        super().append(key, channel, sample, thismod, defined_samp)
        if thismod and min(defined_samp["data"]) < 0.0:
            absolute = [abs(x) for x in defined_samp["data"]]
            self.required_parsets[thismod["name"]] = [shapesys_parset(absolute, thismod["data"])]


_SIGNED_SET = {
    **histfactory_set,
    "staterror": (_SignedStaterror, staterror_combined),
    "shapesys": (_SignedShapesys, shapesys_combined),
}

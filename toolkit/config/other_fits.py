"""Fits of the same likelihoods in other parameters, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import Name
from toolkit.config.parameters import ModelParameterConfig, require_free
from toolkit.config.processes import ExpressionText
from toolkit.expressions.arithmetic import Expression
from toolkit.expressions.substitution import substitute
from toolkit.model.domain import require_defined
from toolkit.model.model import Model
from toolkit.model.parameters import require_names


class OtherFit(Section):
    """The same fit in other parameters, such as one strength in the place of two."""

    parameters: dict[Name, ModelParameterConfig] = Field(min_length=1)
    """New parameters by name; ranges and truths as under `parameters`, at least one of kind `interest`."""
    express: dict[Name, ExpressionText] = Field(min_length=1)
    """Expressions of the new parameters in the place of parameters of the analysis: `{mu_ggF: mu, mu_EW: mu}`."""

    @model_validator(mode="after")
    def _free(self) -> OtherFit:
        require_free(self.parameters)
        return self


def check_fits(fits: Mapping[str, OtherFit], model: Model) -> None:
    """Check that fits in other parameters can be made.

    Args:
        fits: By name.
        model: The model of the analysis.

    Raises:
        ValueError: New parameters that cannot be, or that nothing depends on; parameters that are not there to be expressed.
        SchemaError: An expression names something else than new parameters.
        PhysicsDomainError: A coefficient has no finite value somewhere in the ranges of the new parameters.
    """
    free = [p.name for p in model.parameters if p.kind != "nuisance"]
    for name, fit in fits.items():
        where = f"likelihood.fits.{name}"
        unknown = sorted(set(fit.express) - set(free))
        kept = [n for n in model.parameter_names if n not in fit.express]
        clash = sorted(set(fit.parameters) & set(kept))
        for text in fit.express.values():
            require_names(text, known=tuple(fit.parameters), what=f"{where}:")
        used = {n for text in fit.express.values() for n in Expression.parse(text).names}
        unused = sorted(set(fit.parameters) - used)
        wrong = (
            (unknown, f"{unknown} are no free parameters of the analysis; they are {free}"),
            (clash, f"{clash} are parameters of the analysis that stay: give the new ones other names, or express these, too"),
            (unused, f"nothing depends on {unused}: use them under `express`, or remove them"),
            (not any(p.kind == "interest" for p in fit.parameters.values()), "no parameter of kind interest: nothing would be measured"),
        )
        message = next((text for bad, text in wrong if bad), None)
        if message is not None:
            msg = f"{where}: {message}"
            raise ValueError(msg)
        _require_defined(where, fit, model)


def _require_defined(where: str, fit: OtherFit, model: Model) -> None:
    """Check that coefficients are numbers over the ranges of the new parameters."""
    resolved = model.resolved
    texts = {f"{what}, in {where}": text for process in model.processes for what, text in process.expressions.items()}
    expressed = {what: substitute(substitute(text, resolved), fit.express) for what, text in texts.items()}
    kept = [p for p in model.parameters if p.name not in fit.express]
    require_defined(expressed, parameters=(*(p.parameter(n) for n, p in fit.parameters.items()), *kept))

"""The base of all config models: frozen, unknown keys rejected, finite numbers only."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of the YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

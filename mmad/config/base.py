"""What all settings have in common: unknown keys are errors, and a setting never changes."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every group of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

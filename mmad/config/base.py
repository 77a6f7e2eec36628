"""What all settings have in common: unknown keys are errors.

And a setting never changes once it is read.
"""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every group of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

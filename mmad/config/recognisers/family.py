"""Base of the settings of recognisers."""

from typing import Literal

from pydantic import Field

from mmad.config.base import Settings


class RecogniserFamilySettings(Settings):
    """How the streams of a clip are combined."""

    flow_weights: Literal["shared", "separate"] = Field(
        "shared", description="one backbone for both streams, or one for each"
    )
    flow_fusion: Literal["add", "concat"] = Field(
        "add", description="how the tokens of the streams are joined"
    )

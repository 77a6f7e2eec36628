"""Settings of every recogniser, told apart by their name."""

from typing import Annotated

from pydantic import Discriminator, Tag

from mmad.config.base import named
from mmad.config.recognisers.auxiliary_heads import AuxiliaryHeadsSettings
from mmad.config.recognisers.manet import MANetSettings
from mmad.config.recognisers.mlfe import MLFESettings

RecogniserSettings = Annotated[
    Annotated[AuxiliaryHeadsSettings, Tag("auxiliary_heads")]
    | Annotated[MANetSettings, Tag("manet")]
    | Annotated[MLFESettings, Tag("mlfe")],
    Discriminator(named("auxiliary_heads")),
]

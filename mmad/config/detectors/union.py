"""Settings of every temporal detector, told apart by their name."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from mmad.config.base import members, named
from mmad.config.detectors.actionformer import ActionFormerSettings
from mmad.config.detectors.dyfadet import DyFADetSettings
from mmad.config.detectors.family import FamilySettings
from mmad.config.detectors.mstct import MSTCTSettings
from mmad.config.detectors.pointtad import PointTADSettings
from mmad.config.detectors.tadtr import TadTRSettings
from mmad.config.detectors.temporalmaxer import TemporalMaxerSettings
from mmad.config.detectors.tridet import TriDetSettings
from mmad.config.detectors.videomamba import VideoMambaSettings

DetectorSettings = Annotated[
    Annotated[ActionFormerSettings, Tag("actionformer")]
    | Annotated[TemporalMaxerSettings, Tag("temporalmaxer")]
    | Annotated[TriDetSettings, Tag("tridet")]
    | Annotated[VideoMambaSettings, Tag("videomamba")]
    | Annotated[PointTADSettings, Tag("pointtad")]
    | Annotated[TadTRSettings, Tag("tadtr")]
    | Annotated[MSTCTSettings, Tag("mstct")]
    | Annotated[DyFADetSettings, Tag("dyfadet")],
    Discriminator(named("actionformer")),
]


def settings_of_detector(content: Any) -> type[FamilySettings]:
    """The settings class of the detector in ``content``; ActionFormer's if it names none."""
    return members(DetectorSettings).get(named("actionformer")(content), ActionFormerSettings)

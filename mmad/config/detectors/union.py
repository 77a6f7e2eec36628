"""Settings of every temporal detector, told apart by their name."""

from typing import Annotated, Any, get_args

from pydantic import Discriminator, Tag

from mmad.config.base import Settings
from mmad.config.detectors.actionformer import ActionFormerSettings
from mmad.config.detectors.dyfadet import DyFADetSettings
from mmad.config.detectors.family import FamilySettings
from mmad.config.detectors.mstct import MSTCTSettings
from mmad.config.detectors.pointtad import PointTADSettings
from mmad.config.detectors.tadtr import TadTRSettings
from mmad.config.detectors.temporalmaxer import TemporalMaxerSettings
from mmad.config.detectors.tridet import TriDetSettings
from mmad.config.detectors.videomamba import VideoMambaSettings


def _name_of(value: Any) -> str:
    if isinstance(value, Settings):
        return str(getattr(value, "name", "actionformer"))
    return str(value.get("name", "actionformer")) if isinstance(value, dict) else "actionformer"


DetectorSettings = Annotated[
    Annotated[ActionFormerSettings, Tag("actionformer")]
    | Annotated[TemporalMaxerSettings, Tag("temporalmaxer")]
    | Annotated[TriDetSettings, Tag("tridet")]
    | Annotated[VideoMambaSettings, Tag("videomamba")]
    | Annotated[PointTADSettings, Tag("pointtad")]
    | Annotated[TadTRSettings, Tag("tadtr")]
    | Annotated[MSTCTSettings, Tag("mstct")]
    | Annotated[DyFADetSettings, Tag("dyfadet")],
    Discriminator(_name_of),
]


def settings_of_detector(content: Any) -> type[FamilySettings]:
    """The class of the detector that ``content`` names; ActionFormer's if it is none."""
    name = _name_of(content)
    members = get_args(get_args(DetectorSettings)[0])
    families: list[type[FamilySettings]] = [get_args(member)[0] for member in members]
    named = [family for family in families if family.model_fields["name"].default == name]
    return named[0] if named else ActionFormerSettings

"""Settings of every recogniser, told apart by their name."""

from mmad.config.recognisers.auxiliary_heads import AuxiliaryHeadsSettings

RecogniserSettings = AuxiliaryHeadsSettings

import pytest

from mmad.config.detectors.temporalmaxer import TemporalMaxerSettings
from mmad.models.detectors.families import build_network


def test_the_pyramid_has_no_parameters_but_its_convolutions() -> None:
    settings = TemporalMaxerSettings(channels=16, num_branch=5)
    network = build_network(settings, in_channels=8, num_classes=3)
    blocks = sum(p.numel() for p in network.pyramid.branch.parameters())
    embedding = (8 * 16 * 3 + 32) + (16 * 16 * 3 + 32)
    level_norms = 6 * 32
    towers = 2 * 2 * (16 * 16 * 3 + 32) + (16 * 3 * 3 + 3) + (16 * 2 * 3 + 2) + 6
    assert blocks == 0
    assert sum(p.numel() for p in network.parameters()) == embedding + level_norms + towers


def test_a_setting_that_simota_would_ignore_is_an_error() -> None:
    settings = TemporalMaxerSettings
    with pytest.raises(ValueError, match=r"shortest_labels_only false: .* set assigner=null"):
        settings(shortest_labels_only=False)
    assert not settings(shortest_labels_only=False, assigner=None).shortest_labels_only

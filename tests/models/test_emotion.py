"""The network of emotions: branches, encoder, missing faces, and losses."""

import math

import pytest
import torch
from pydantic import ValidationError

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.config.emotion import EmotionLossSettings, EmotionSettings
from mmad.models.emotion.build import build_emotion_criterion, build_emotion_network
from mmad.models.emotion.criterion import EmotionTargets
from mmad.models.emotion.network import EmotionNetwork, EmotionOutputs

FRAMES, ACTIONS = 4, 6
SMALL = ResNet2dSettings(depth=18, base_channels=8, temporal="shift", squeeze=4, clip_frames=FRAMES)
CHANNELS = 8 * 8


def made(**changes: object) -> EmotionNetwork:
    given = {"encoder_width": 16, "encoder_heads": 2, "encoder_hidden": 32, **changes}
    settings = EmotionSettings.model_validate(given)
    return build_emotion_network(settings, backbone=SMALL, num_actions=ACTIONS, seed=0).eval()


def images(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, FRAMES, 32, 32, generator=generator)


def lively(network: EmotionNetwork) -> EmotionNetwork:
    """With weights of classifiers that make differences visible."""
    torch.manual_seed(1)
    for layer in (network.emotions, network.actions):
        if layer is not None:
            torch.nn.init.normal_(layer.weight)
    return network


def test_the_published_network_has_its_parameters() -> None:
    backbone = ResNet2dSettings(depth=50, temporal="shift", squeeze=4, clip_frames=16)
    with torch.device("meta"):
        network = build_emotion_network(
            EmotionSettings(), backbone=backbone, num_actions=52, seed=0
        )
    manet = 23_508_032 + 7_964_672  # trunk and gates
    attention, perceptron = 4 * (512 * 512 + 512), 512 * 2048 + 2048 + 2048 * 512 + 512
    layer = attention + perceptron + 2 * 2 * 512
    encoder = (2048 * 512 + 512) + 2 * layer
    classifiers = 52 * (512 + 1) + 5 * (2048 + 512 + 1)
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == 2 * manet + encoder + classifiers


@pytest.mark.parametrize(
    ("branches", "encoded", "width"),
    [
        ("both", "bodies", CHANNELS + 16),
        ("both", "both", 16 + 16),
        ("faces", "bodies", CHANNELS),
        ("bodies", "bodies", 16),
    ],
)
def test_what_an_emotion_is_predicted_from(branches: str, encoded: str, width: int) -> None:
    network = made(branches=branches, encoded=encoded)
    assert network.emotions.in_features == width
    found = network(faces_NCFHW=images(), has_face_NT=None, bodies_NCFHW=images(1))
    assert found.emotions_NE.shape == (2, 5)
    assert (found.actions_NK is None) == (branches == "faces")


def test_actions_are_seen_in_the_body_and_the_emotion_in_both() -> None:
    network = lively(made())
    with torch.no_grad():
        first, other_face, other_body = (
            network(faces_NCFHW=images(face), has_face_NT=None, bodies_NCFHW=images(body))
            for face, body in ((0, 1), (2, 1), (0, 3))
        )
    torch.testing.assert_close(first.actions_NK, other_face.actions_NK)
    assert not torch.allclose(first.actions_NK, other_body.actions_NK)
    for other in (other_face, other_body):
        assert not torch.allclose(first.emotions_NE, other.emotions_NE)


def test_steps_without_a_face_do_not_count() -> None:
    network = made(branches="faces")
    assert network.faces is not None
    branch = network.faces
    seen = torch.tensor([[True, True, False, False], [False] * 4])
    with torch.no_grad():
        steps = branch.backbone.pool_steps(branch.backbone(images(), torch.arange(2)))
        found = branch(images(), seen)
    torch.testing.assert_close(found[0], (steps[0, 0] + steps[0, 1]) / 2)
    assert not found[1].any()


def test_the_order_of_steps_counts_in_the_encoder() -> None:
    encoder = made(branches="bodies").bodies.encoder
    steps = torch.randn(1, FRAMES, CHANNELS)
    with torch.no_grad():
        found, backwards = encoder(steps), encoder(steps.flip(1)).flip(1)
    assert found.shape == (1, FRAMES, 16)
    assert not torch.allclose(found, backwards, atol=1e-3)


def test_the_branches_share_no_weights_and_a_seed_gives_the_same() -> None:
    network, again = made(), made()
    pairs = zip(network.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    faces = {id(parameter) for parameter in network.faces.parameters()}
    assert not faces & {id(parameter) for parameter in network.bodies.parameters()}


def test_the_loss_by_hand() -> None:
    criterion = build_emotion_criterion(EmotionLossSettings())
    emotions = torch.tensor([[0.0, 0, 0, 0, 0], [2.0, 0, 0, 0, 0]])
    actions = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    targets = EmotionTargets(torch.tensor([3, 0]), torch.tensor([[1, 0], [1, 0]]))
    losses = criterion(EmotionOutputs(emotions, actions), targets)
    emotion = math.log(5) + math.log(math.exp(2) + 4) - 2
    action = math.log(2) + math.log(1 + math.exp(-1))
    assert float(losses["loss_emotion"]) == pytest.approx(emotion)
    assert float(losses["loss_actions"]) == pytest.approx(action)
    assert float(losses["loss"]) == pytest.approx(action + 0.03 * emotion)
    alone = criterion(EmotionOutputs(emotions, None), targets)
    assert alone.keys() == {"loss", "loss_emotion"}
    assert float(alone["loss"]) == pytest.approx(0.03 * emotion)


def test_a_width_that_heads_cannot_share() -> None:
    with pytest.raises(ValidationError, match="encoder_width 20 is not a multiple of encoder_head"):
        EmotionSettings(encoder_width=20)

"""Which tokens move: small movements, noise, drift; and that the choice is the clip's own."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mmad.config.tokens import TokenSettings
from mmad.models.backbones.moving import TokenRule

PATCH = 16
SIDE = 160
FRAMES = 16


def rule(**settings) -> TokenRule:
    given = TokenSettings(**{"keep": "moving", **settings})
    found = TokenRule.of(given, patch=PATCH, frames_per_step=2)
    assert found is not None
    return found


def scene(seed: int = 0) -> np.ndarray:
    """A still room: soft shades and some edges, float (SIDE, SIDE, 3)."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(60, 190, (1, 3, 8, 8)))
    shades = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
    return shades[0].permute(1, 2, 0).numpy()


def head(image: np.ndarray, *, row: float) -> np.ndarray:
    """The image with a face of 30 pixels: an ellipse with eyes and a mouth, moved to ``row``."""
    y, x = np.mgrid[:SIDE, :SIDE]
    shown = image.copy()
    inside = ((x - 80) / 12) ** 2 + ((y - row) / 15) ** 2 < 1
    shown[inside] = (198, 160, 140)
    for column in (75, 85):
        shown[(x - column) ** 2 + (y - row + 4) ** 2 < 4] = (60, 45, 40)
    shown[(np.abs(x - 80) < 5) & (np.abs(y - row - 7) < 1)] = (140, 80, 80)
    return shown


def clip(rows: list[float] | None = None, *, noise: float = 0.0, seed: int = 0) -> Tensor:
    """One clip of uint8 frames, (1, FRAMES, SIDE, SIDE, 3), with a head at these rows, or still."""
    rng = np.random.default_rng(seed)
    frames = [
        head(scene(), row=row) + noise * rng.standard_normal((SIDE, SIDE, 3))
        for row in rows or [60.0] * FRAMES
    ]
    return torch.from_numpy(np.stack(frames).round().clip(0, 255).astype(np.uint8))[None]


def nod(pixels: float) -> list[float]:
    """Rows of a head that goes down and up again in half a second at 30 frames per second."""
    return [60 + pixels * np.sin(np.pi * k / (FRAMES - 1)) for k in range(FRAMES)]


def face_places() -> Tensor:
    """The tokens that the face covers, bool (S,)."""
    rows = torch.arange(100) // 10
    columns = torch.arange(100) % 10
    return (rows >= 3) & (rows <= 4) & (columns >= 4) & (columns <= 5)


def test_of_a_still_clip_only_the_first_step_is_kept() -> None:
    kept_NTS = rule()(clip())
    assert kept_NTS[:, 0].all()
    assert kept_NTS.sum() == 100


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_nod_of_two_pixels_is_kept(noise: float) -> None:
    kept_NTS = rule(buckets=800)(clip(nod(2.0), noise=noise))
    moving_TS = kept_NTS[0, 1:]
    # The head is kept on its way down and on its way up, and hardly anything else is.
    assert moving_TS[:, face_places()].any(dim=1).sum() >= 4
    assert moving_TS[:, ~face_places()].float().mean() < 0.12


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_noise_alone_moves_nothing(noise: float) -> None:
    kept_NTS = rule(buckets=800)(clip(noise=noise))
    assert kept_NTS[0, 1:].float().mean() < 0.02


def test_more_than_noise_is_not_taken_for_it() -> None:
    """A camera that pans: all that has texture is kept."""
    wide = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE + 2 * FRAMES, 3)).astype(np.uint8)
    frames = [wide[:, 2 * k : 2 * k + SIDE] for k in range(FRAMES)]
    assert rule()(torch.from_numpy(np.stack(frames))[None]).all()


def test_drift_adds_up_against_the_last_kept_token() -> None:
    """Half of the image fades by 1 level a step: no step differs by 2.5 from the one before."""
    frames_FHWC = torch.full((FRAMES, SIDE, SIDE, 3), 100, dtype=torch.uint8)
    levels = torch.arange(FRAMES // 2).repeat_interleave(2).to(torch.uint8)
    frames_FHWC[:, :, : SIDE // 2] += levels[:, None, None, None]
    kept_NTS = rule(threshold=2.5, buckets=800)(frames_FHWC[None])
    kept_THW = kept_NTS[0].unflatten(1, (10, 10))
    assert kept_THW[:, :, :5].all(dim=(1, 2)).tolist() == [k % 3 == 0 for k in range(FRAMES // 2)]
    assert not kept_THW[1:, :, 5:].any()


def test_a_key_frame_that_changes_still_blocks_a_little_is_noise() -> None:
    """Codecs draw everything anew in key frames: a change of all still blocks, which stays."""
    rng = np.random.default_rng(0)
    moving = clip(nod(4.0)).to(torch.int16)
    moving[0, 8:] += torch.from_numpy(rng.integers(-2, 3, (SIDE, SIDE, 3)).astype(np.int16))
    kept_NTS = rule(buckets=800)(moving.clamp(0, 255).to(torch.uint8))
    assert kept_NTS[0, 4:, ~face_places()].float().mean() < 0.1
    assert kept_NTS[0, 4:, face_places()].any()


def test_threshold_0_keeps_all() -> None:
    settings = TokenSettings(keep="moving", threshold=0)
    assert TokenRule.of(settings, patch=PATCH, frames_per_step=2) is None


def test_the_same_crop_and_flip_of_all_frames_moves_nothing_and_flips_the_choice() -> None:
    moving = clip(nod(4.0), noise=1.0)
    kept_NTS = rule(buckets=800)(moving)
    flipped_NTS = rule(buckets=800)(moving.flip(3))
    assert torch.equal(flipped_NTS.unflatten(2, (10, 10)), kept_NTS.unflatten(2, (10, 10)).flip(3))
    crop = moving[:, :, 32:, :128]
    assert torch.equal(
        rule(buckets=800).movement(crop).squares_NTS.unflatten(2, (8, 8))[:, 1],
        rule(buckets=800).movement(moving).squares_NTS.unflatten(2, (10, 10))[:, 1, 2:, :8],
    )


@pytest.mark.parametrize("keep", ["moving", "random"])
def test_a_clip_chooses_alike_alone_and_among_others(keep: str) -> None:
    clips = torch.cat([clip(nod(k), noise=2.0, seed=k) for k in (2, 5, 8)])
    together = rule(keep=keep)(clips)
    assert torch.equal(rule(keep=keep)(clips[[2, 0, 1]]), together[[2, 0, 1]])
    for number in range(3):
        alone = slice(number, number + 1)
        assert torch.equal(rule(keep=keep)(clips[alone]), together[alone])


def test_counts_are_multiples_of_a_bucket_filled_with_what_changed_most() -> None:
    clips = torch.cat([clip(nod(k), noise=2.0, seed=k) for k in (2, 5, 8)])
    exact, filled = rule(buckets=800)(clips), rule(buckets=16)(clips)
    counts = filled.sum(dim=(1, 2))
    assert (counts % 50 == 0).all()
    assert (counts - exact.sum(dim=(1, 2)) < 50).all()
    assert (filled | exact).equal(filled)
    squares_NTS = rule().movement(clips).squares_NTS
    for number in range(3):
        added, left = (filled & ~exact)[number], ~filled[number]
        assert squares_NTS[number, added].min() >= squares_NTS[number, left].max()


def test_random_keeps_as_many_elsewhere_and_the_first_step() -> None:
    moving = clip(nod(6.0), noise=2.0)
    first, other = rule()(moving), rule(keep="random")(moving)
    assert first.sum() == other.sum()
    assert other[:, 0].all()
    assert not torch.equal(first, other)
    changed = moving.clone()
    changed[0, 0, 0, 0, 0] += 1  # another clip, another choice
    assert not torch.equal(rule(keep="random")(changed), other)


def test_a_clip_of_one_step_is_kept_whole() -> None:
    assert rule()(clip()[:, :2]).all()

"""MANet's heads: classifier, mapping to the vectors of labels, and their loss."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.config.paths import found_from_here
from mmad.config.reading import load_any_config
from mmad.config.recognisers.manet import MANetSettings
from mmad.config.recognition import ClipDataSettings, RecognitionConfig
from mmad.labels import MA52
from mmad.models.build import build_recogniser
from mmad.models.recognisers.contract import RecognitionTargets
from mmad.models.recognisers.families import build_recognition_criterion
from mmad.models.recognisers.manet.criterion import MANetCriterion
from mmad.models.recognisers.manet.network import MANetHeads, MANetOutputs, letter_vectors


def make_config(*, compat: str | None = None, **heads: object) -> RecognitionConfig:
    given = {"name": "manet", "embedding": "letters", "embedding_width": 6, **heads}
    return RecognitionConfig(
        compat=compat,
        data=ClipDataSettings(train=["x"], clips="y").model_dump(exclude_unset=True),
        backbone=ResNet2dSettings(depth=18, base_channels=8, temporal="shift", squeeze=4),
        heads=given,
        losses={"f1": False},
        training={"epochs": 1},
    )


def made_heads(*, maps_steps: bool, **changes: object) -> MANetHeads:
    torch.manual_seed(0)
    heads = MANetHeads(
        8, 3, **{"embedding_width": 6, "dropout": 0.0, "maps_steps": maps_steps, **changes}
    )
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter)
    return heads


def mapped(heads: MANetHeads, x: Tensor) -> Tensor:
    assert heads.mapping is not None
    first, _, last = heads.mapping
    hidden = torch.tanh(x @ first.weight.t() + first.bias)
    return hidden @ last.weight.t() + last.bias


def criterion(config: RecognitionConfig) -> MANetCriterion:
    found = build_recognition_criterion(
        config, labels=MA52, counts=[1] * 52, gather=lambda rows: rows
    )
    assert isinstance(found, MANetCriterion)
    return found


def test_the_published_network_has_its_parameters() -> None:
    config = load_any_config("configs/recognition/manet_r50.yaml")
    assert isinstance(config, RecognitionConfig)
    with torch.device("meta"):
        model = build_recogniser(config, labels=MA52)
    gates = 7_964_672
    heads = 52 * (2048 + 1) + 300 * (2048 + 1) + 300 * (300 + 1)
    assert heads == 811_548
    assert sum(p.numel() for p in model.parameters()) == 23_508_032 + gates + heads == 32_284_252


def test_the_mean_is_taken_before_or_after_the_mapping() -> None:
    steps = torch.randn(2, 4, 8)
    printed, released = (made_heads(maps_steps=maps) for maps in (False, True))
    with torch.no_grad():
        found = [heads(steps, steps.mean(1)) for heads in (printed, released)]
        before, after = mapped(printed, steps.mean(1)), mapped(printed, steps).mean(1)
    torch.testing.assert_close(found[0].embedding_NE, before)
    torch.testing.assert_close(found[1].embedding_NE, after)
    assert not torch.allclose(before, after, atol=1e-2)
    # Of the classifier, which is linear, they are the same.
    torch.testing.assert_close(found[0].fine, found[1].fine)


def test_both_heads_see_the_same_draw_of_dropout() -> None:
    heads = made_heads(maps_steps=False, dropout=0.5).train()
    torch.nn.init.eye_(heads.fine.weight)
    torch.nn.init.zeros_(heads.fine.bias)
    x = torch.ones(1, 8)
    torch.manual_seed(1)
    found = heads(x[:, None], x)
    torch.manual_seed(1)
    dropped = torch.nn.functional.dropout(x[:, None], 0.5)[:, 0]
    torch.testing.assert_close(found.fine, dropped[:, :3])
    torch.testing.assert_close(found.embedding_NE, mapped(heads, dropped))


@pytest.mark.parametrize(("distance", "alpha"), [("sum", 5.0), ("mean", 50.0)])
def test_the_loss_by_hand(distance: str, alpha: float) -> None:
    loss = criterion(make_config(distance=distance, alpha=alpha))
    fine, embedding = torch.randn(2, 52), torch.randn(2, 6)
    labels = torch.tensor([7, 30])
    actions = torch.nn.functional.one_hot(labels, 52).float()
    outputs = MANetOutputs(torch.zeros(2, 8), fine, None, None, None, embedding)
    found = loss(outputs, RecognitionTargets(actions, actions))
    logits = fine.double().numpy()
    cross = sum(
        float(np.log(np.exp(row).sum()) - row[label])
        for row, label in zip(logits, labels.tolist(), strict=True)
    )
    assert loss.label_vectors_KE is not None
    gaps = (embedding - loss.label_vectors_KE[labels]).double().numpy()
    apart = float((gaps**2).sum()) / (6 if distance == "mean" else 1)
    assert float(found["loss_fine"]) == pytest.approx(cross, rel=1e-5)
    assert float(found["loss_embedding"]) == pytest.approx(apart, rel=1e-5)
    assert float(found["loss"]) == pytest.approx(cross + alpha * apart, rel=1e-5)


def test_blended_clips_have_blended_vectors() -> None:
    loss = criterion(make_config(alpha=1.0))
    assert loss.label_vectors_KE is not None
    actions = torch.zeros(1, 52)
    actions[0, 3], actions[0, 9] = 0.75, 0.25
    blend = 0.75 * loss.label_vectors_KE[3] + 0.25 * loss.label_vectors_KE[9]
    outputs = MANetOutputs(torch.zeros(1, 8), torch.zeros(1, 52), None, None, None, blend[None])
    found = loss(outputs, RecognitionTargets(actions, actions))
    assert float(found["loss_embedding"]) == pytest.approx(0, abs=1e-6)


def test_without_embedding_there_is_no_mapping_and_no_distance() -> None:
    config = make_config(embedding="none")
    model = build_recogniser(config, labels=MA52)
    assert model.heads.mapping is None
    outputs = model.heads(torch.randn(2, 8, 64), torch.randn(2, 64))
    actions = torch.eye(52)[:2]
    found = criterion(config)(outputs, RecognitionTargets(actions, actions))
    assert found.keys() == {"loss", "loss_fine"}


# Rows of Tables III to V, and what they change in the network and its loss.
NO_VECTORS = ("heads.embedding=none", "heads.word_vectors=null")
ROWS = {
    "T = 4": (["backbone.clip_frames=4"], {"frames": 4}),
    "T = 16": (["backbone.clip_frames=16"], {"frames": 16}),
    **{
        f"alpha = {alpha}": ([f"heads.alpha={alpha}"], {"alpha": alpha})
        for alpha in (0.0, 0.1, 1.0, 2.0, 10.0)
    },
    "without SE": (["backbone.squeeze=null"], {"gates": False}),
    "without emb": (NO_VECTORS, {"maps": False}),
    "baseline": (["backbone.squeeze=null", *NO_VECTORS], {"gates": False, "maps": False}),
    "MANet": ([], {}),
}


@pytest.mark.parametrize("row", ROWS)
def test_rows_of_the_papers_ablations_learn_a_step(row: str) -> None:
    overrides, changes = ROWS[row]
    expected = {"frames": 8, "alpha": 5.0, "gates": True, "maps": True} | changes
    config = load_any_config("configs/recognition/manet_r50.yaml", overrides=overrides)
    assert isinstance(config, RecognitionConfig)
    backbone, side = config.backbone.tiny()
    config = config.model_copy(update={"backbone": backbone, "heads": config.heads.tiny()})
    torch.manual_seed(0)
    model = build_recogniser(config, labels=MA52).train()
    has_gates = any(".gate." in name for name, _ in model.named_parameters())
    assert (has_gates, model.heads.mapping is not None) == (expected["gates"], expected["maps"])
    frames = torch.randint(0, 255, (2, expected["frames"], side, side, 3), dtype=torch.uint8)
    colours = torch.eye(3, 4).repeat(2, 1, 1) / 255
    loss, actions = criterion(config), torch.eye(52)[:2]
    found = loss(model(frames, colours, [1, 1]), RecognitionTargets(actions, actions))
    distance = expected["alpha"] * found.get("loss_embedding", 0.0)
    torch.testing.assert_close(found["loss"], found["loss_fine"] + distance)
    found["loss"].backward()
    if model.heads.mapping is not None:
        pulls = [parameter.grad.abs().max() > 0 for parameter in model.heads.mapping.parameters()]
        assert all(pulls) == any(pulls) == (expected["alpha"] > 0)


# ---- settings ----


def test_the_released_loss_and_mapping_are_a_preset() -> None:
    released = make_config(compat="released").heads
    assert isinstance(released, MANetSettings)
    assert (released.alpha, released.distance, released.maps) == (50.0, "mean", "frames")
    # 50 times the mean of 300 dimensions is 1 / 6 of their sum.
    assert released.alpha / 300 == pytest.approx(1 / 6)
    assert make_config(compat="released", alpha=7.0).heads.alpha == 7.0


def test_impossible_settings() -> None:
    message = "compat released_timesformer: heads manet has no such preset; set compat=released"
    with pytest.raises(ValidationError, match=message):
        make_config(compat="released_timesformer")
    with pytest.raises(ValidationError, match=r"glove.*set heads\.word_vectors=FILE"):
        make_config(embedding="file")
    with pytest.raises(ValidationError, match="word_vectors is not read with embedding letters"):
        make_config(word_vectors="glove.txt")


def test_the_file_of_word_vectors_is_found_from_the_file_of_settings(tmp_path: Path) -> None:
    content = {"paths_relative_to": ".", "heads": {"word_vectors": "glove.txt"}}
    (tmp_path / "glove.txt").touch()
    found = found_from_here(content, tmp_path / "config.yaml")
    assert Path(found["heads"]["word_vectors"]).resolve() == (tmp_path / "glove.txt").resolve()


# ---- vectors of labels ----


def test_vectors_come_from_the_file_and_missing_words_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = sorted({word for name in MA52.names for word in name.split()} - {"akimbo"})
    rng = np.random.default_rng(0)
    numbers = {word: rng.integers(-9, 9, 6) for word in words}
    path = tmp_path / "vectors.txt"
    path.write_text("".join(f"{w} {' '.join(map(str, v))}\n" for w, v in numbers.items()))
    with caplog.at_level(logging.WARNING):
        loss = criterion(make_config(embedding="file", word_vectors=str(path)))
    assert f"{path}: lacks these words of labels: akimbo" in caplog.text
    assert loss.label_vectors_KE is not None
    arms, touching = (list(MA52.names).index(name) for name in ("arms akimbo", "touching nose"))
    assert loss.label_vectors_KE[arms].tolist() == numbers["arms"].tolist()
    expected = (numbers["touching"] + numbers["nose"]) / 2
    assert loss.label_vectors_KE[touching].tolist() == expected.tolist()


@pytest.mark.parametrize("embedding", ["random", "letters"])
def test_vectors_without_a_file_are_marked_as_a_trial(
    embedding: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        first, second = (
            criterion(make_config(embedding=embedding)).label_vectors_KE for _ in range(2)
        )
    assert f"heads.embedding={embedding}" in caplog.text
    assert "a trial, not MANet" in caplog.text
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    assert len(first.unique(dim=0)) == 52


def test_labels_with_letters_in_common_are_near() -> None:
    vectors = letter_vectors([["touching", "nose"], ["touching", "ears"], ["nodding"]], width=300)
    near, far = (vectors[0] - vectors[1]).norm(), (vectors[0] - vectors[2]).norm()
    assert near < 0.8 * far

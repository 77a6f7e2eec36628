"""What `mmad recognize`, `predict` and `eval` do with local features and activation maps."""

import csv
import json
from collections import Counter
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mmad.config.recognition import RecognitionConfig
from mmad.engine.clip_inference import recognize_clips
from mmad.engine.runs.load import load_recogniser
from mmad.engine.saliency import clip_saliency, require_class_maps
from mmad.engine.training import train_run
from mmad.errors import CheckpointError
from mmad.evaluation.clips.scores import read_scores
from mmad.evaluation.clips.summed_scores import read_summed_scores
from mmad.labels import MA52
from mmad.models.build import build_recogniser
from mmad.models.recognisers.whole import Recogniser
from mmad.report.recogniser_figures.saliency import ClipSaliency, draw_saliency
from mmad.structures import ClipRecord
from support.commands import run_mmad
from support.figures import is_whole
from support.synthetic_data import tiny_clip_config

pytestmark = pytest.mark.slow

SIDE, FRAMES = 64, 4
CPU = torch.device("cpu")


def made_config(videos: Path, **changes: object) -> RecognitionConfig:
    backbone = {
        "name": "resnet2d",
        "depth": 18,
        "base_channels": 8,
        "temporal": "shift",
        "clip_frames": FRAMES,
        "freeze": False,
    }
    settings = {
        "backbone": backbone,
        "data__image_size": SIDE,
        "data__test_clips": 2,
        "training__epochs": 1,
        "training__ema_decay": 0.0,
    }
    return tiny_clip_config(videos, **{**settings, **changes})


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of MLFE whose local features count."""
    heads = {"name": "mlfe", "coefficient": 0.5}
    config = made_config(videos, heads=heads, losses={"f1": False}, data__max_clips=8)
    return train_run(config, out=tmp_path_factory.mktemp("mlfe") / "run", quiet=True).path


@pytest.fixture(scope="module")
def clip(videos: Path) -> Path:
    return next((videos / "clips").glob("val*.mp4"))


def record(clip: Path) -> ClipRecord:
    return ClipRecord(clip.name, None, "test", clip)


def scores_of(model: Recogniser, config: RecognitionConfig, clip: Path) -> NDArray[np.float64]:
    views = config.data.views("test")
    found = recognize_clips(model, [record(clip)], config, labels=MA52, views=views, device=CPU)
    return found.scores.action_scores[0]


def saliency(
    model: Recogniser, config: RecognitionConfig, clip: Path, *, label: int
) -> ClipSaliency:
    return clip_saliency(model, record(clip), config, label=label, title="", device=CPU)


def test_both_parts_are_kept_and_weighed_anew_without_the_network(
    run: Path, videos: Path, clip: Path, tmp_path: Path
) -> None:
    out, figure, numbers = (tmp_path / name for name in ("val.csv", "sweep.svg", "n.json"))
    run_mmad(["predict", run, "--subset", "val", "--out", out])
    kept = read_summed_scores(out.with_suffix(".npz"), labels=MA52)
    written = read_scores(out.with_suffix(".npz"), labels=MA52)
    assert kept.whole_NVK.shape == (6, 2, 52)
    assert kept.coefficient == 0.5
    place = kept.clip_ids.index(clip.name)
    model, config, _ = load_recogniser(run)
    for weight in (0.0, 1.0):
        model.heads.coefficient = weight
        found = kept.at(weight, labels=MA52).action_scores[place]
        np.testing.assert_allclose(found, scores_of(model, config, clip), atol=1e-6)
    np.testing.assert_allclose(
        kept.at(0.5, labels=MA52).action_scores, written.action_scores, atol=1e-6
    )
    annotations = videos / "annotations" / "ma52_val.txt"
    call = [out, "--annotations", annotations]
    said = run_mmad(["eval", *call, "--coefficients", "--json", numbers]).stdout
    assert "trained with lambda 0.5" in said
    run_mmad(["figures", "coefficients", *call, "--out", figure])
    assert figure.stat().st_size > 1000
    rows = json.loads(numbers.read_text())["coefficients"]
    assert [row["coefficient"] for row in rows] == [k / 10 for k in range(11)]
    at_its_own = json.loads(numbers.read_text())["action"]["top1"]
    assert rows[5]["action_top1"] == pytest.approx(at_its_own)


def test_a_picture_of_a_clip_has_the_activations_and_the_local_features(
    run: Path, clip: Path, tmp_path: Path
) -> None:
    out, folder = tmp_path / "one.csv", tmp_path / "pictures"
    run_mmad(["recognize", clip, "--checkpoint", run, "--out", out, "--saliency", folder])
    assert read_summed_scores(out.with_suffix(".npz"), labels=MA52).clip_ids == (clip.name,)
    assert [path.name for path in folder.iterdir()] == [f"{clip.stem}.png"]
    picture = matplotlib.image.imread(folder / f"{clip.stem}.png")
    assert picture.shape[0] > picture.shape[1] * 0.8  # four rows of four steps
    assert picture[..., :3].std() > 0.1
    figure, numbers = tmp_path / "fig4.svg", tmp_path / "fig4.csv"
    words = ["--checkpoint", run, "--out", figure, "--csv", numbers, "--width", "column"]
    assert "(3.5 x" in run_mmad(["figures", "saliency", clip, *words]).stdout
    with numbers.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["clip"].startswith(f"{clip.name}: ")
    sizes = {"activation": 2 * 2, "conv2": 16 * 16, "local features": 8 * 8}
    assert Counter(row["map"] for row in rows) == {
        name: FRAMES * size for name, size in sizes.items()
    }
    said = run_mmad(["figures", "saliency", *words], code=2).stderr
    assert "saliency shows clips; pass one video file or several" in said

    model, config, _ = load_recogniser(run)
    found = saliency(model, config, clip, label=7)
    assert found.images_THWC.shape == (FRAMES, SIDE, SIDE, 3)
    assert found.activations_Thw.shape == (FRAMES, 2, 2)
    assert found.local is not None
    assert found.local.stage == "conv2"
    assert found.local.map_Thw.shape == (FRAMES, 16, 16)
    assert found.local.windows_Tyx.shape == (FRAMES, 8, 8)
    for step in range(FRAMES):
        activation = found.activations_Thw[step]
        row, column = found.local.places_T2[step]
        assert activation[row, column] == activation.max()


def test_activations_of_a_linear_head_average_to_its_logit(videos: Path, clip: Path) -> None:
    heads = {"classifier": "linear", "frame": False, "coarse": False, "frame_coarse": False}
    config = made_config(videos, heads=heads, data__test_clips=1)
    model = build_recogniser(config, labels=MA52)
    require_class_maps(model, config, device=CPU, source="run")
    logits = np.log(scores_of(model, config, clip))
    found = [saliency(model, config, clip, label=label) for label in (3, 4)]
    assert [one.local for one in found] == [None, None]
    means = [float(one.activations_Thw.mean()) for one in found]
    # The bias starts at 0, and a softmax keeps differences.
    assert means[0] - means[1] == pytest.approx(logits[3] - logits[4], abs=1e-5)
    assert abs(means[0] - means[1]) > 1e-4


@pytest.mark.parametrize("reason", ["norm", "class token"])
def test_heads_that_are_not_linear_over_places_have_no_picture(reason: str, videos: Path) -> None:
    changes: dict[str, object] = {"heads": {"norm": True, "squeeze": 4}}
    if reason == "class token":
        small = {"name": "timesformer", "width": 24, "depth": 1, "num_heads": 2}
        changes = {"backbone": {**small, "clip_frames": FRAMES, "freeze": False}}
        changes["heads"] = {"squeeze": 4}
    config = made_config(videos, **changes)
    with pytest.raises(
        CheckpointError, match=r"run: saliency is the activation .* linear in the mean"
    ):
        require_class_maps(build_recogniser(config, labels=MA52), config, device=CPU, source="run")


def test_many_steps_are_drawn_as_eight_and_equal_values_are_no_error() -> None:
    images = np.zeros((32, 20, 40, 3), dtype=np.uint8)
    clip = ClipSaliency("$a$ & <b>", images, np.zeros((32, 2, 4)))
    for width, steps, clips in ((7.0, 8, [clip]), (3.5, 5, [clip, clip])):
        drawn = draw_saliency(clips, width_inches=width)
        assert len(drawn.figure.axes) == len(clips) * 2 * steps
        assert is_whole(drawn.figure)
    assert {row[2] for row in drawn.rows} == {1, 9, 17, 24, 32}

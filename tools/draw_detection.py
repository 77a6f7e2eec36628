"""The moving picture of the README and of the site: a video beside the timeline of its detections.

    mmad synthesize demo/large --train 0 --val 0 --test 8 --seed 5 --first-subject 8000 --fps 15 \
        --width 288 --height 288 --class-weights uniform \
        --classes A1,A5,B1,B2,B3,B4,B5,C4,C5,C7,C1,D3,D6,D8,D4,E5,F3,F1,G2,G4
    mmad extract-features configs/demo.yaml demo/data/videos "backbone.adapter={name: none}" \
        --out demo/features.h5
    mmad train configs/features/temporalmaxer.yaml \
        data.annotations=demo/data/annotations/mma52.json \
        data.features=demo/features.h5 data.window_steps=128 training.epochs=6 \
        training.batch_videos=8 training.warmup_epochs=1 training.weight_decay=0.02 \
        training.ema_decay=0.99 training.learning_rate=2e-3 training.validate_from_epoch=6 \
        inference.max_candidates=500 detector.channels=96 detector.num_branch=4 \
        "detector.regression_ranges=[[0,6],[4,12],[8,24],[16,48],[32,10000]]" --out demo/run
    mmad detect demo/large/videos --checkpoint demo/run --out demo/large/found
    python tools/draw_detection.py demo/large test0003 docs/assets/detection.webp --min-score 0.2

    mmad detect demo/data/videos/val0000.mp4 --checkpoint demo/run --min-score 0.2 \
        --annotations demo/data/annotations/mma52.json --out demo/timeline

The last command's val0000.png, with 200 colours, is docs/timeline.png.

Detections appear as the video reaches them. Both parts have a white ground, so that the picture is
legible on light and dark pages. demo/data is that of tools/demo.sh.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from mmad.annotations.formats import read_annotations
from mmad.evaluation.predictions import read_predictions
from mmad.labels import MA52
from mmad.report.colours import PART_COLOURS
from mmad.segments import assign_lanes
from mmad.structures import Annotations, Detections
from mmad.video.index import index_video
from mmad.video.open import open_video

WIDTH, HEIGHT, DPI = 960, 288, 100
FRAMES_PER_SECOND = 8
HOLD_SECONDS = 2.0
Pixels = NDArray[np.uint8]


def bar(axes: Axes, row: float, start: float, end: float, label: int, score: float | None) -> None:
    """An annotation (outlined) or a detection (filled, with its score)."""
    colour = PART_COLOURS[int(MA52.to_parents(np.array([label]))[0])]
    if score is None:
        face, alpha = "none", 1.0
    else:
        face, alpha = colour, 0.35 + 0.6 * min(1.0, score)
    axes.add_patch(
        Rectangle((start, row), end - start, 0.8, fc=face, ec=colour, lw=1.4, alpha=alpha)
    )
    text = MA52.names[label] + ("" if score is None else f"  {score:.2f}")
    axes.text(start + 0.06, row + 0.4, text, va="center", fontsize=8.5, color="#111111")


def timeline(
    annotations: Annotations, detections: Detections, seconds: float, *, found: bool
) -> tuple[Pixels, float, float]:
    """The timeline as an image, and where time 0 and the end of the video are in it (pixels)."""
    figure = Figure(figsize=((WIDTH - HEIGHT) / DPI, HEIGHT / DPI), dpi=DPI)
    axes = figure.add_axes((0.14, 0.14, 0.83, 0.82))
    above = assign_lanes(annotations.segments_seconds)
    below = assign_lanes(detections.segments_seconds)
    num_above, num_below = max(above, default=0) + 1, max(below, default=0) + 1
    for lane, (start, end), label in zip(
        above, annotations.segments_seconds, annotations.labels, strict=True
    ):
        bar(axes, lane, start, end, int(label), None)
    if found:
        for lane, (start, end), label, score in zip(
            below, detections.segments_seconds, detections.labels, detections.scores, strict=True
        ):
            bar(axes, num_above + 0.4 + lane, start, end, int(label), float(score))
    last = num_above + 0.4 + num_below
    axes.axhline(num_above + 0.1, color="#bbbbbb", lw=0.8)
    axes.set(xlim=(0, seconds), ylim=(max(last, 6.4), -0.2), xlabel="")
    middles = [num_above / 2 - 0.1, num_above + 0.3 + num_below / 2]
    axes.set_yticks(middles, ["annotated", "detected"], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    box = axes.get_window_extent()
    return pixels, box.x0, box.x1


def frames_of(
    video: Path, seconds: float, annotations: Annotations, detections: Detections
) -> list[Image.Image]:
    """The images of the moving picture, in order."""
    before, first, last = timeline(annotations, detections, seconds, found=False)
    after, _, _ = timeline(annotations, detections, seconds, found=True)
    index = index_video(video)
    times = np.arange(0, seconds, 1 / FRAMES_PER_SECOND)
    places = np.searchsorted(index.times_seconds, times).clip(0, index.num_frames - 1)
    with open_video(video, short_side=HEIGHT) as opened:
        frames = opened.read(places.tolist())
    images = []
    for time, frame in zip(times, frames, strict=True):
        here = round(first + (last - first) * time / seconds)
        shown = before.copy()
        shown[:, :here] = after[:, :here]
        shown[12:-40, here : here + 2] = (179, 84, 30)
        images.append(Image.fromarray(np.concatenate([frame, shown], axis=1)))
    images.append(Image.fromarray(np.concatenate([frames[-1], after], axis=1)))
    return images


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of mmad synthesize, with found/ in it")
    parser.add_argument("video", help="name of the video")
    parser.add_argument("out", type=Path, help="picture to write, .webp or .gif")
    parser.add_argument("--min-score", type=float, default=0.25)
    given = parser.parse_args(arguments)
    annotated = read_annotations(given.data / "annotations/mma52.json")
    (record,) = (one for one in annotated.records if one.video_id == given.video)
    found = read_predictions(given.data / "found/detections.csv", labels=MA52)[given.video]
    sure = found[found.scores >= given.min_score]
    images = frames_of(
        given.data / "videos" / f"{given.video}.mp4",
        record.duration_seconds,
        record.annotations,
        sure,
    )
    step = round(1000 / FRAMES_PER_SECOND)
    times = [step] * (len(images) - 1) + [round(1000 * HOLD_SECONDS)]
    images[0].save(
        given.out, save_all=True, append_images=images[1:], duration=times, loop=0, quality=55,
        method=2,
    )  # fmt: skip
    print(f"{given.out}: {len(images)} images, {given.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

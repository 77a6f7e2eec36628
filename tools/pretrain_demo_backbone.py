"""Pre-train the demo's small backbone: which actions, of which body parts, is each tubelet part of?

The videos are synthetic and show people that no demo shows. Only the backbone is kept.

    mmad synthesize labelled/data --train 2200 --val 90 --test 0 --seed 77 --first-subject 5000 \
        --videos-per-subject 4 --class-weights uniform --fps 15 --width 96 --height 96
    python tools/pretrain_demo_backbone.py configs/demo_backbone.yaml labelled/run \
        mmad/assets/demo_backbone.safetensors
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pack_demo_backbone import pack
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from mmad.config.reading import load_config
from mmad.config.run import DetectionRun
from mmad.data.clip_transform import draw_change
from mmad.data.samples import Batch, Packer, Sample
from mmad.data.transforms import colour_map, subtract_background
from mmad.data.videos import FrameCache, make_grid
from mmad.data.windows import Window
from mmad.engine.detection import read_data, records_of
from mmad.engine.distributed import start_processes
from mmad.engine.inference import window_batches
from mmad.engine.loop import Loop
from mmad.engine.runs.folder import RunFolder, create_run
from mmad.engine.task import Experiment, Validation
from mmad.labels import LabelMap
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.features import VideoFeatures
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.structures import Annotations, FeatureGrid, VideoRecord
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.weights.load import load_backbone


class Tagger(nn.Module):
    """Backbone and a linear layer: logits of every action and body part at every step.

    Shape (B, T, K + P), and the mask.
    """

    def __init__(self, config: DetectionRun, *, num_outputs: int) -> None:
        super().__init__()
        self.features = VideoFeatures(
            build_backbone(config.backbone), upsampling=1, mask_padding=True
        )
        width = self.features.backbone.spec.channels
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_outputs)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        features_BCT, mask_BT = self.features(
            batch.clips, batch.colours, batch.clips_per_window, batch.frames_per_window
        )
        return self.head(self.norm(features_BCT.transpose(1, 2))), mask_BT


def tags(grid: FeatureGrid, annotations: Annotations, *, steps: int, num_classes: int) -> Tensor:
    """1 where an instance of the class covers the middle of the step, shape (steps, K)."""
    result = torch.zeros(steps, num_classes)
    middle = np.arange(steps) + 0.5
    segments = grid.to_grid(annotations.segments_seconds)
    for (start, end), label in zip(segments, annotations.labels.tolist(), strict=True):
        result[(middle > start) & (middle < end), label] = 1.0
    return result


@dataclass(frozen=True)
class TaggedBatch:
    batch: Batch
    targets_BTK: Tensor


class TaggingTask:
    """Cross-entropy of actions and of body parts at every step where something is going on.

    The target is shared equally among actions that overlap.
    """

    def __init__(
        self, config: DetectionRun, validation: Sequence[VideoRecord], labels: LabelMap
    ) -> None:
        self._config = config
        self._validation = validation
        self._num_classes = len(labels)
        self._parents = functional.one_hot(torch.tensor(labels.parents)).float()
        self._cache = FrameCache(budget_gb=2.0)

    def prepare(self, batch: Batch, device: torch.device) -> TaggedBatch:
        steps = (
            max(batch.clips_per_window)
            * self._config.backbone.clip_frames
            // self._config.backbone.frames_per_step
        )
        targets = torch.stack(
            [
                tags(grid, item, steps=steps, num_classes=self._num_classes)
                for grid, item in zip(batch.grids, batch.annotations, strict=True)
            ]
        )
        return TaggedBatch(batch.to(device), targets.to(device))

    def losses(
        self, model: nn.Module, prepared: TaggedBatch
    ) -> tuple[Mapping[str, Tensor], Tensor]:
        logits, mask_BT = model(prepared.batch)
        busy = prepared.targets_BTK.any(dim=-1) & mask_BT
        actions = prepared.targets_BTK[busy]
        actions = actions / actions.sum(dim=-1, keepdim=True)
        of_actions, of_parts = logits[busy].tensor_split([self._num_classes], dim=-1)
        action_loss = functional.cross_entropy(of_actions, actions, reduction="sum")
        part_loss = functional.cross_entropy(of_parts, actions @ self._parents, reduction="sum")
        losses = {
            "loss": action_loss + part_loss,
            "loss_classification": action_loss,
            "loss_parts": part_loss,
        }
        return losses, prepared.targets_BTK.any(dim=-1).sum()

    @torch.no_grad()
    def validate(self, model: nn.Module, *, quiet: bool = False) -> Validation:
        """Mean over classes of the average precision of steps."""
        model.eval()
        scores, truth = [], []
        for batch, _ in window_batches(self._validation, self._config, fps=None, cache=self._cache):
            assert batch is not None
            prepared = self.prepare(batch, torch.device("cpu"))
            logits_BTK, mask_BT = model(prepared.batch)
            scores.append(logits_BTK[mask_BT][:, : self._num_classes])
            truth.append(prepared.targets_BTK[mask_BT])
        model.train()
        figure = mean_average_precision(torch.cat(scores).numpy(), torch.cat(truth).numpy())
        return Validation(figure, {"step_map": figure})


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Of the classes that occur; (N, K) each."""
    values = []
    for k in np.flatnonzero(truth.sum(axis=0)):
        hits = truth[np.argsort(-scores[:, k], kind="stable"), k]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        values.append(float((precision * hits).sum() / hits.sum()))
    return float(np.mean(values))


class OneClip(Dataset):
    """A random clip of each video that shows an action, its background taken from the whole video.

    Frames of all videos are kept in memory, small and without their background.
    """

    def __init__(self, records: Sequence[VideoRecord], config: DetectionRun) -> None:
        self._records = records
        self._config = config
        self._frames: dict[int, np.ndarray] = {}

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> Sample:
        epoch, index = epoch_and_index
        record, settings = self._records[index], self._config.data
        assert record.path is not None
        assert settings.augmentation is not None
        rng = np.random.default_rng((self._config.seed, epoch, index))
        video = index_video(record.path)
        if index not in self._frames:
            with open_video(record.path, size=settings.image_hw, threads=1) as reader:
                self._frames[index] = subtract_background(reader.read(range(video.num_frames)))
        backbone = self._config.backbone
        clip_frames = backbone.clip_frames
        # A window around a random moment of a random instance.
        segment = record.annotations.segments_seconds[rng.integers(len(record.annotations))]
        middle = rng.uniform(*segment) * video.fps
        last = video.num_frames - clip_frames
        start = int(np.clip(round(middle - clip_frames * rng.uniform(0.2, 0.8)), 0, last))
        frames = self._frames[index][start : start + clip_frames]
        augmentation = settings.augmentation
        change = draw_change(
            augmentation,
            *frames.shape[1:3],
            hw=settings.image_hw,
            smooth=settings.resizing == "decoder",
            seed=self._config.seed,
            rng=rng,
        )
        colour = colour_map(
            frames,
            backbone.colours,
            contrast=augmentation.contrast,
            saturation=augmentation.saturation,
            rng=rng,
        )
        grid = make_grid(
            fps=video.fps,
            frame_stride=1,
            window=Window(start, start + clip_frames),
            frames_per_step=backbone.frames_per_step,
            upsampling=1,
        )
        changed = change(torch.from_numpy(frames)).numpy()
        return Sample(record.video_id, changed, clip_frames, colour, grid, record.annotations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", help="weights of an earlier pre-training to go on from")
    parser.add_argument("overrides", nargs="*", help="key.sub=value")
    arguments = parser.parse_args()
    config = load_config(arguments.config, overrides=arguments.overrides)
    annotations, labels = read_data(config)
    torch.manual_seed(config.seed)
    model = Tagger(config, num_outputs=len(labels) + len(labels.parent_names)).train()
    if arguments.start:
        print(load_backbone(model.features.backbone, arguments.start))
    training = records_of(config, annotations, ["train"])
    rate = config.training.learning_rate
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    folder: RunFolder = create_run(arguments.run, config, labels=labels)
    loop = Loop(
        Experiment(
            model=model,
            backbones=(),
            labels=labels,
            task=TaggingTask(config, records_of(config, annotations, ["val"]), labels),
            dataset=OneClip(training, config),
            num_items=len(training),
            collate=Packer(clip_frames=config.backbone.clip_frames),
            normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        ),
        groups=[
            {"lr": rate, "weight_decay": config.training.weight_decay, "params": matrices},
            {"lr": rate, "weight_decay": 0.0, "params": vectors},
        ],
        settings=config.training,
        seed=config.seed,
        folder=folder,
        processes=start_processes(),
        num_workers=config.data.num_workers,
    )
    loop.run()
    pack(loop.state()["average"], arguments.out, made_by="tools/pretrain_demo_backbone.py")


if __name__ == "__main__":
    main()

"""What a training on annotations of one's own needs besides a config: a split, and settings that
follow from the data.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmad.annotations.attach import attach_subjects, attach_videos
from mmad.annotations.check_videos import measure_videos
from mmad.annotations.formats import LabelChoice, read_annotations, write_annotations_json
from mmad.annotations.groups import groups_text, likely_groups
from mmad.annotations.subject_split import sizes_of_shares, split_videos
from mmad.config.reading import find_config, load_config, read_settings
from mmad.config.run import DetectionRun, FeatureRun, VideoRun, kind_of_run
from mmad.errors import AnnotationError, ConfigError
from mmad.labels import MA52, LabelMap
from mmad.structures import VideoRecord
from mmad.video.sampling import usual_rate
from mmad.wording import count, listed

_VAL_SHARE = 0.2
# The shortest instances, after the shortest 5 %, which are often slips, cover so many steps.
_SHORT = 0.05
_STEPS_OF_SHORT = 4
# At lower rates than this, quick movements fall between two frames.
_LOWEST_FPS = 12.0
# Fewer steps of the optimiser do not move a detector from where it starts.
_FEWEST_STEPS = 300
_MOST_VALIDATIONS = 10
# The average of the weights looks back over so large a share of the steps.
_EMA_SHARE = 0.1


@dataclass(frozen=True)
class OwnData:
    """The settings of a training on one's own annotations.

    Attributes:
        overrides: Changes of the config, ``key.sub=value``.
        videos: The videos, with their subsets and paths.
        told: What was found and chosen, one sentence each.
    """

    overrides: tuple[str, ...]
    videos: tuple[VideoRecord, ...]
    told: tuple[str, ...]


def prepare_own_data(
    config: Path,
    *,
    annotations: Sequence[Path],
    videos: Path,
    labels: LabelMap | LabelChoice,
    subjects: Path | None,
    out: Path,
    overrides: Sequence[str],
) -> OwnData:
    """Read, measure and split the data; settings that ``overrides`` give are left as they are.

    Args:
        config: The config to start from.
        annotations: Files or folders of annotations, in any format that is read.
        videos: Folder of the videos; name = video id.
        labels: As in `read_annotations`.
        subjects: CSV with the columns video_id and subject.
        out: Folder that ``annotations.json`` is written to if the annotations are not in subsets,
            or labels come from another file.
        overrides: Changes of the config, ``key.sub=value``.

    Raises: AnnotationError if the annotations are invalid, empty, or of a single video; VideoError
        if videos are missing or cannot be read; ConfigError if the config is not of detection.
    """
    kind = kind_of_run(read_settings(find_config(config)))
    if kind not in (VideoRun, FeatureRun):
        raise ConfigError(f"{config}: is not a config of detection, which --annotations are for")
    named = {override.partition("=")[0] for override in overrides}
    if kind is FeatureRun and "data.features" not in named:
        raise ConfigError(
            f"{config}: trains on stored features; run mmad extract-features on {videos}, and add "
            "data.features=FILE here"
        )
    places: dict[str, object] = {"data.annotations": [str(path) for path in annotations]}
    if kind is VideoRun:
        places["data.videos"] = str(videos)
    given = load_config(config, overrides=[*_as_overrides(places), *overrides])
    read = read_annotations(
        annotations[0] if len(annotations) == 1 else list(annotations),
        format=given.data.format,
        labels=labels,
        out_of_video=given.data.out_of_video,
    )
    attached = attach_videos(read.records, videos)
    records = measure_videos(attached, {record.video_id for record in attached})
    if subjects is not None:
        records = attach_subjects(records, subjects)
    _require_instances(records, annotations)
    told = [_contents_text(records, read.labels)]
    chosen: dict[str, object] = {"data.labels": "ma52" if read.labels == MA52 else "file"}
    has_subsets = {*given.data.train_subsets, given.data.val_subset} <= {
        record.subset for record in records
    }
    if has_subsets:
        told.append("the annotations name the subsets to train and validate on")
    else:
        records, sentence = _split(records, read.labels, seed=given.seed)
        told.append(sentence)
        chosen |= {"data.train_subsets": ["train"], "data.val_subset": "val"}
    # Labels by a table or a label file are in no file that a later reading would find.
    if not has_subsets or not isinstance(labels, str):
        target = out / "annotations.json"
        write_annotations_json(target, records, read.labels)
        told.append(f"written to {target}, to train on")
        chosen |= {"data.annotations": [str(target)], "data.format": "auto"}
    told += _unseen_texts(records, read.labels, given)
    for settings, sentence in (
        _sampling(records, given),
        _passes(records, given, named=named),
    ):
        settings = {key: value for key, value in settings.items() if key not in named}
        if settings:
            chosen |= settings
            told.append(sentence)
    return OwnData((*_as_overrides(places | chosen), *overrides), tuple(records), tuple(told))


def _as_overrides(settings: Mapping[str, object]) -> list[str]:
    """Settings as ``key.sub=value``; JSON is valid YAML for any characters of a path."""
    return [f"{key}={json.dumps(value)}" for key, value in settings.items()]


def _require_instances(records: Sequence[VideoRecord], annotations: Sequence[Path]) -> None:
    annotated = [record for record in records if len(record.annotations)]
    if len(annotated) < 2:
        raise AnnotationError(
            f"{listed([str(path) for path in annotations])}: "
            f"{count(len(annotated), 'video', 'has')} annotations; expected at least two videos, "
            "one to train on and one to validate on"
        )


def _contents_text(records: Sequence[VideoRecord], labels: LabelMap) -> str:
    seconds = sum(record.duration_seconds for record in records)
    number = sum(len(record.annotations) for record in records)
    present = {int(label) for record in records for label in record.annotations.labels}
    return (
        f"{count(len(records), 'video')} of {seconds / 60:.1f} min with "
        f"{count(number, 'annotation')} of {count(len(present), 'behaviour')}"
        + (f" ({', '.join(labels.names[one] for one in sorted(present))})" if present else "")
    )


def _split(
    records: Sequence[VideoRecord], labels: LabelMap, *, seed: int
) -> tuple[tuple[VideoRecord, ...], str]:
    """The videos in the subsets train and val, and how they were split."""
    groups = likely_groups(records)
    sizes = sizes_of_shares(
        {"train": 1 - _VAL_SHARE, "val": _VAL_SHARE}, num_groups=len({*groups.of_video.values()})
    )
    split = split_videos(records, groups.of_video, sizes=sizes, num_labels=len(labels), seed=seed)
    number = Counter(record.subset for record in split)
    how = (
        f"no person is in both: {groups_text(groups)}"
        if groups.are_people
        else "who is in them is not known, so figures may not hold for new people; "
        "pass --subjects FILE, with the columns video_id and subject"
    )
    return split, f"split: {number['train']} to train, {number['val']} to validate on; {how}"


def _unseen_texts(
    records: Sequence[VideoRecord], labels: LabelMap, config: DetectionRun
) -> list[str]:
    """The behaviours that are not in a subset."""
    shown = {
        what: {
            int(label)
            for record in records
            if record.subset in subsets
            for label in record.annotations.labels
        }
        for what, subsets in (
            ("train", config.data.train_subsets),
            ("validate", [config.data.val_subset]),
        )
    }
    everywhere = set.union(*shown.values())
    return [
        f"not in the videos to {what} on: {', '.join(labels.names[one] for one in missing)}"
        for what, found in shown.items()
        if (missing := sorted(everywhere - found))
    ]


def _sampling(
    records: Sequence[VideoRecord], config: DetectionRun
) -> tuple[dict[str, object], str]:
    """The stride and length of windows: a short behaviour covers some steps, a long one fits."""
    if not isinstance(config, VideoRun) or config.data.sampling != "rate":
        return {}, ""
    fps = config.data.rate(usual=usual_rate([record.fps for record in records if record.fps]))
    if fps is None:
        return {}, ""
    lengths = np.concatenate(
        [np.diff(record.annotations.segments_seconds, axis=1)[:, 0] for record in records]
    )
    short = float(np.quantile(lengths, _SHORT))
    step_frames = config.backbone.frames_per_step / config.upsampling
    stride = min(fps / _LOWEST_FPS, short * fps / (step_frames * _STEPS_OF_SHORT))
    stride = max(1, math.floor(stride + 1e-9))
    rate = fps / stride
    # What a window must show of the longest behaviour, for training to keep it.
    longest_behaviour = float(lengths.max()) * config.data.min_visible
    longest_video = max(record.duration_seconds for record in records)
    clip = config.backbone.clip_frames
    wanted = min(longest_video, max(config.data.window_frames / rate, longest_behaviour))
    window = max(clip, math.ceil(wanted * rate / clip - 1e-6) * clip)
    videos = "every video fits" if window / rate >= longest_video else "longer videos have several"
    return (
        {"data.frame_stride": stride, "data.window_frames": window},
        f"windows of {window / rate:.1f} s at {rate:.3g} frames/s ({videos}); the shortest "
        f"behaviours, of {short:.2f} s, cover {short * rate / step_frames:.1f} steps",
    )


def _passes(
    records: Sequence[VideoRecord], config: DetectionRun, *, named: Collection[str]
) -> tuple[dict[str, object], str]:
    """As many passes that a detector moves from where it starts, and what is counted in passes."""
    training = config.training
    num_videos = sum(record.subset in config.data.train_subsets for record in records)
    steps = math.ceil(num_videos / training.batch_videos)
    if "training.epochs" in named or training.epochs * steps >= _FEWEST_STEPS:
        return {}, ""
    epochs = math.ceil(_FEWEST_STEPS / steps)
    factor = epochs / training.epochs
    every = max(training.validate_every, math.ceil(epochs / _MOST_VALIDATIONS))
    changes: dict[str, object] = {
        "training.epochs": epochs,
        "training.warmup_epochs": round(training.warmup_epochs * factor, 2),
        "training.validate_every": every,
        "training.validate_from_epoch": every - 1,
        "training.ema_decay": min(
            training.ema_decay, round(1 - 1 / (_EMA_SHARE * _FEWEST_STEPS), 3)
        ),
    }
    if training.schedule_epochs is not None:
        changes["training.schedule_epochs"] = round(training.schedule_epochs * factor)
    if training.milestones:
        changes["training.milestones"] = [round(one * factor) for one in training.milestones]
    return changes, (
        f"{epochs} passes over the training videos instead of {training.epochs}, since these are "
        f"few: {count(epochs * steps, 'step')}"
    )

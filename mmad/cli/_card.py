"""What the model card of a run tells, from its folder, its annotations and its predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmad.annotations.clips.folds import ClipLists
from mmad.annotations.statistics import SubsetStatistics, describe_clips, describe_subset
from mmad.config.emotion import EmotionConfig
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun
from mmad.engine.detection import read_data
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import labels_of, run_config
from mmad.engine.runs.people import saw_drawn_people_only
from mmad.errors import MmadError
from mmad.evaluation.breakdown import draw_videos, interval, resample
from mmad.evaluation.clips.intervals import f1_intervals
from mmad.evaluation.clips.recognition import evaluate_recognition, read_recognitions
from mmad.evaluation.detection import evaluate_detections, parse_tiou
from mmad.evaluation.emotions.metrics import evaluate_emotions
from mmad.evaluation.emotions.models import EmotionOptions, read_emotion_models
from mmad.evaluation.run_files import (
    annotated_clips,
    data_of_run,
    is_recognition,
    newest_predictions,
    read_judged,
    subset_of,
)
from mmad.labels import MA52, LabelMap
from mmad.report.model_card import CardFacts, ClassFigure, Evaluation, Figure
from mmad.structures import VideoRecord
from mmad.weights.hub import hub_place
from mmad.wording import count

RESAMPLES = 1000
_TIOU = "0.1:0.9"
_DRAWN = "drawn people, generated with `mmad synthesize`; nobody was filmed."
_OF_MA52 = "MMA-52 and MA-52 are given out by their authors under a licence form, for research."


@dataclass(frozen=True)
class CardOptions:
    """What the options of ``mmad push`` say.

    Attributes:
        licence: Licence of the weights; None: that of the pre-trained weights, if it is known.
        data_licence: Sentence on the licence of the data; None: what is known of MA-52.
        annotations: Annotations to describe and score with; None: those of the run.
    """

    licence: str | None = None
    data_licence: str | None = None
    annotations: Sequence[Path] | None = None


def card_facts(
    run: RunFolder, repository: str, options: CardOptions
) -> tuple[CardFacts, list[str]]:
    """The facts of a card, and what is missing in it, a sentence each.

    Raises: CheckpointError if the folder is not a run.
    """
    labels, config = labels_of(run), run_config(run.path)
    missing = []
    data: dict[str, dict[str, str]] = {}
    unseen: list[str] = []
    try:
        data, unseen = _data(config, labels)
    except MmadError as error:
        missing.append(f"the data are not described ({error})")
    evaluation = None
    try:
        evaluation = _evaluation(run, labels, options.annotations)
    except MmadError as error:
        missing.append(f"there are no figures ({error})")
    drawn = saw_drawn_people_only(run, config)
    if drawn:
        unseen.insert(0, "Real people: it was trained on videos of drawn people alone.")
    unseen.append(
        f"Other actions than its {count(len(labels), 'class')}: whatever it sees is one of them, "
        "or nothing."
    )
    base, base_licence = _base(run, config)
    licence = options.licence or base_licence
    if licence is None:
        missing.append("no licence is stated; pass --licence, such as --licence cc-by-nc-4.0")
    known = _DRAWN if drawn else _OF_MA52 if labels == MA52 else "not stated by the owner."
    manifest = run.manifest()
    facts = CardFacts(
        repository=repository,
        task=config.task,
        labels=labels,
        network=_network(config),
        settings=_settings(config),
        data=data,
        unseen=unseen,
        evaluation=evaluation,
        licence=licence,
        data_licence=options.data_licence or known,
        base=base,
        base_is_on_hub=base is not None and _is_repository(base),
        base_licence=base_licence,
        backbone=None if manifest is None else _shown(manifest.weights_source) or "not recorded",
        dataset="drawn people (mmad synthesize)" if drawn else _dataset(config, labels),
        families=[name for name in _families(config).values() if name],
    )
    return facts, missing


# ---- settings ----


def _families(config: AnyConfig) -> dict[str, str]:
    """The families of the network, by kind."""
    found = {}
    for kind in ("backbone", "detector", "heads", "network"):
        name = getattr(getattr(config, kind, None), "name", None)
        if isinstance(name, str):
            found[kind] = name
    return found


def _network(config: AnyConfig) -> dict[str, str]:
    found = dict(_families(config))
    size = getattr(config.backbone, "size", None)
    if isinstance(size, str):
        found["backbone"] += f", {size}"
    adapter = getattr(config.backbone, "adapter", None)
    if adapter is not None:
        found["adapter"] = adapter.name
    return found


def _settings(config: AnyConfig) -> dict[str, Any]:
    training = config.training
    wanted = ("epochs", "batch_videos", "optimizer", "learning_rate", "weight_decay", "ema_decay")
    found: dict[str, Any] = {name: getattr(training, name) for name in wanted}
    size = getattr(config.data, "image_size", None)
    return found | ({} if size is None else {"image_size": size}) | {"seed": config.seed}


def _base(run: RunFolder, config: AnyConfig) -> tuple[str | None, str | None]:
    """The weights that a run started from, and their licence as the log has it."""
    pretrained = None if config.backbone is None else config.backbone.pretrained
    if pretrained is None:
        return None, None
    found = [row["hub"] for row in run.rows() if row.get("kind") == "weights" and "hub" in row]
    if found and isinstance(found[0], dict):
        licence = found[0].get("licence")
        return str(found[0].get("repository")), licence if isinstance(licence, str) else None
    place = hub_place(pretrained)
    if place is not None and not Path(pretrained).exists():
        return place.repository, None
    return Path(pretrained).name, None


def _is_repository(base: str) -> bool:
    return hub_place(base) is not None


def _shown(place: str | None) -> str | None:
    return place if place is None or hub_place(place) is not None else Path(place).name


# ---- data ----


def _dataset(config: AnyConfig, labels: LabelMap) -> str:
    if labels == MA52:
        return "MMA-52" if config.task == "detection" else "MA-52"
    return "annotated videos"


def _data(config: AnyConfig, labels: LabelMap) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The table of the data, and what was not in the training data.

    Raises: MmadError if the annotations cannot be read.
    """
    if isinstance(config, DetectionRun):
        return _video_data(config, labels)
    if isinstance(config, RecognitionConfig):
        return _clip_data(config, labels)
    return {}, ["Which emotions and actions were rare in training is not described here."]


def _video_data(
    config: DetectionRun, labels: LabelMap
) -> tuple[dict[str, dict[str, str]], list[str]]:
    records = read_data(config)[0].records
    trained = set(config.data.train_subsets)
    training = [record for record in records if record.subset in trained][: config.data.max_videos]
    validation = [record for record in records if record.subset == config.data.val_subset]
    data = {}
    for name, those in (("training", training), (config.data.val_subset, validation)):
        if those:
            data[name] = _column(describe_subset(those, name, labels=labels))
    found = describe_subset(training, "training", labels=labels)
    unseen = _without_instances(found.class_counts, labels)
    if found.num_instances:
        shortest, longest = found.instances.min_seconds, found.instances.max_seconds
        unseen.append(
            f"Actions shorter than {shortest:.2f} s or longer than {longest:.1f} s, and videos "
            f"longer than {found.videos.max_seconds:.0f} s."
        )
    if found.videos_by_fps:
        rates = ", ".join(found.videos_by_fps)
        unseen.append(f"Videos of other frame rates than {rates} frames/s.")
    return data, [*unseen, _subjects(training, validation)]


def _column(found: SubsetStatistics) -> dict[str, str]:
    hours = found.videos.total_seconds / 3600
    return {
        "videos": f"{found.num_videos:,}",
        "hours": f"{hours:.1f}" if hours >= 1 else f"{hours:.3f}",
        "instances": f"{found.num_instances:,}",
        "classes with instances": str(np.count_nonzero(found.class_counts)),
        "median duration of instances (s)": f"{found.instances.median_seconds:.2f}",
        "subjects": "not recorded" if found.num_subjects is None else str(found.num_subjects),
    }


def _clip_data(
    config: RecognitionConfig, labels: LabelMap
) -> tuple[dict[str, dict[str, str]], list[str]]:
    lists = ClipLists.of(config.data.model_dump())
    data = {}
    counts: Sequence[int] = ()
    for name in ("train", "val"):
        if not lists.names(name):
            continue
        clips = lists.read(name, labels=labels)
        found = describe_clips(clips, labels=labels)
        subjects = {clip.subject for clip in clips}
        data[name] = {
            "clips": f"{len(clips):,}",
            "classes with clips": str(np.count_nonzero(found.class_counts)),
            "subjects": "not recorded" if None in subjects else str(len(subjects)),
        }
        if name == "train":
            counts = found.class_counts
    return data, [*_without_instances(counts, labels), "Anything longer than one action."]


def _without_instances(counts: Sequence[int], labels: LabelMap) -> list[str]:
    names = [name for name, number in zip(labels.names, counts, strict=False) if not number]
    if not names:
        return []
    return [f"{count(len(names), 'class')} without an instance in training: {', '.join(names)}."]


def _subjects(training: Sequence[VideoRecord], validation: Sequence[VideoRecord]) -> str:
    groups = [{record.subject for record in those} for those in (training, validation)]
    if None in groups[0] | groups[1]:
        return (
            "Which people it saw is not recorded in the annotations, so whether the figures are "
            "those of new people is not known."
        )
    shared = len(groups[0] & groups[1])
    seen = f"Other people than {count(len(groups[0]), 'subject')}"
    if not groups[1]:
        return f"{seen}."
    held_out = f"none of the {len(groups[1])} in validation was in training"
    return f"{seen}; {held_out if not shared else f'{shared} of those in validation were, too'}."


# ---- figures ----


def _evaluation(run: RunFolder, labels: LabelMap, annotations: Sequence[Path] | None) -> Evaluation:
    """The figures of the newest predictions of the run.

    Raises: MmadError if there are none, or no annotations.
    """
    subset = str(data_of_run(run.predictions("any", ".csv")).get("val_subset", "val"))
    predictions = newest_predictions(run.path, subset=subset)
    config = run_config(run.path)
    if isinstance(config, EmotionConfig):
        return _emotions(predictions, labels, annotations)
    if is_recognition(predictions):
        return _recognition(predictions, labels, annotations)
    return _detection(predictions, labels, annotations)


def _detection(
    predictions: Path, labels: LabelMap, annotations: Sequence[Path] | None
) -> Evaluation:
    judged = read_judged(
        [predictions],
        annotations,
        subset=None,
        strict=False,
        only_predicted=False,
        labels=labels,
    )
    report = evaluate_detections(
        judged.predictions[0],
        judged.annotations.records,
        labels=labels,
        tiou=parse_tiou(_TIOU),
        protocol="mma52",
    )
    copies = draw_videos(report.num_videos, num_resamples=RESAMPLES)
    figures = []
    for name, level in report.levels.items():
        limits = interval(resample(level, copies).average, level.average)
        figures.append(Figure(f"average mAP, {name}", "mAP", level.average, limits))
    for tiou in (0.2, 0.5, 0.7):
        value = report.levels["action"].map_at(tiou)
        if value is not None:
            figures.append(Figure(f"mAP at tIoU {tiou:g}, action", "mAP", value))
    action = report.levels["action"]
    numbers, values = action.matches.num_annotations, action.per_class.mean(axis=0)
    return Evaluation(
        subset_of(predictions),
        f"protocol `mma52` over tIoU {_TIOU}; intervals from {RESAMPLES:,} resamples of the videos",
        count(report.num_videos, "video"),
        tuple(figures),
        "AP",
        _class_figures(labels, numbers.tolist(), values.tolist()),
    )


def _recognition(
    predictions: Path, labels: LabelMap, annotations: Sequence[Path] | None
) -> Evaluation:
    subset = subset_of(predictions)
    clips = annotated_clips(predictions, annotations, subset=subset, labels=labels)
    found = read_recognitions(predictions, labels=labels)
    report = evaluate_recognition(found, clips, labels=labels)
    limits = f1_intervals(found, clips, report, labels=labels, num_resamples=RESAMPLES)
    figures = [Figure("F1_mean", "f1", report.f1_mean, limits["mean"])]
    for name, level in report.levels.items():
        figures.append(Figure(f"macro F1, {name}", "f1", level.f1_macro, limits[f"{name}_macro"]))
        figures.append(Figure(f"top-1, {name}", "accuracy", level.top1, limits[f"{name}_micro"]))
    action = report.levels["action"]
    return Evaluation(
        subset,
        f"F1 by the rule `{report.f1}`; intervals from {RESAMPLES:,} resamples of the clips",
        count(report.num_clips, "clip"),
        tuple(figures),
        "F1",
        _class_figures(labels, action.num_clips_per_label.tolist(), action.f1_per_class.tolist()),
    )


def _emotions(
    predictions: Path, labels: LabelMap, annotations: Sequence[Path] | None
) -> Evaluation:
    options = EmotionOptions(list(annotations) if annotations else None, None, None, False, False)
    read = read_emotion_models([predictions], options)
    (report,) = read.each(partial(evaluate_emotions, labels=labels)).values()
    figures = [
        Figure("accuracy of emotions", "accuracy", report.accuracy),
        Figure("macro F1 of emotions", "f1", report.f1_macro),
    ]
    if report.map_classes is not None:
        figures.append(Figure("mAP of actions", "mAP", report.map_classes))
    return Evaluation(
        subset_of(predictions),
        "as `mmad eval` scores emotions",
        count(report.num_videos, "video"),
        tuple(figures),
        "AP",
        (),
    )


def _class_figures(
    labels: LabelMap, numbers: Sequence[int], values: Sequence[float]
) -> tuple[ClassFigure, ...]:
    return tuple(
        ClassFigure(name, number, value)
        for name, number, value in zip(labels.names, numbers, values, strict=True)
        if number
    )

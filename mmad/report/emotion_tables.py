"""Tables of videos with emotions for the terminal, in the layout of the MA-52 paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np
from rich.markup import escape
from rich.table import Table

from mmad.annotations.emotions.statistics import EmotionStatistics
from mmad.evaluation.emotions.metrics import EmotionReport
from mmad.labels import EMOTIONS, LOWER_LIMBS, LabelMap
from mmad.report.tables import percent
from mmad.wording import count


def emotion_tables(described: Sequence[EmotionStatistics], *, labels: LabelMap) -> Iterator[Table]:
    """Size and emotions of each subset, action labels of each body part (Table VII), and shares of
    body parts in each emotion over all subsets (Fig. 11).
    """
    yield _size_table(described)
    yield _emotion_table(described)
    if labels.has_parents:
        yield _part_table(described, labels=labels)
        yield _share_table(described[-1], labels=labels)
        if set(LOWER_LIMBS) <= set(labels.parent_names):
            yield _share_table(described[-1], labels=labels, without=LOWER_LIMBS)


def emotion_statistics_json(
    described: Sequence[EmotionStatistics], *, labels: LabelMap
) -> dict[str, object]:
    """The numbers of the tables, with names of labels."""
    return {
        "labels": list(labels.names),
        "body_parts": list(labels.parent_names),
        "emotions": list(EMOTIONS.names),
        "subsets": [
            asdict(one)
            | {
                "parent_shares_by_emotion": one.parent_shares_by_emotion(labels),
                "parent_shares_by_emotion_without_lower_limbs": one.parent_shares_by_emotion(
                    labels, without=LOWER_LIMBS
                ),
            }
            for one in described
        ],
    }


def _size_table(described: Sequence[EmotionStatistics]) -> Table:
    table = Table(title="Size", title_justify="left")
    table.add_column("Split")
    for name in (
        "Videos",
        "No emotion",
        "Action labels",
        "a video",
        "Minutes",
        "Seconds",
        "#Subj.",
    ):
        table.add_column(name, justify="right")
    for one in described:
        numbers = list(one.videos_by_num_actions)
        has_seconds = one.min_seconds is not None and one.max_seconds is not None
        table.add_row(
            one.name,
            f"{one.num_videos:,}",
            f"{one.num_unlabelled:,}",
            f"{one.num_action_labels:,}",
            f"{min(numbers)} to {max(numbers)}" if numbers else "-",
            "n/a" if one.total_seconds is None else f"{one.total_seconds / 60:,.1f}",
            f"{one.min_seconds:.1f} to {one.max_seconds:.1f}" if has_seconds else "n/a",
            "n/a" if one.num_subjects is None else str(one.num_subjects),
        )
    return table


def _emotion_table(described: Sequence[EmotionStatistics]) -> Table:
    table = Table(title="Videos of each emotion", title_justify="left")
    table.add_column("Split")
    for name in EMOTIONS.names:
        table.add_column(name.capitalize(), justify="right")
    for one in described:
        table.add_row(one.name, *(f"{number:,}" for number in one.videos_by_emotion))
    return table


def _part_table(described: Sequence[EmotionStatistics], *, labels: LabelMap) -> Table:
    table = Table(title="Action labels of each body part (Table VII)", title_justify="left")
    table.add_column("Split")
    for name in _part_names(labels):
        table.add_column(name, justify="right")
    table.add_column("All", justify="right", style="bold")
    for one in described:
        cells = (f"{number:,}" for number in one.parent_counts)
        table.add_row(one.name, *cells, f"{one.num_action_labels:,}")
    return table


def _share_table(one: EmotionStatistics, *, labels: LabelMap, without: Sequence[str] = ()) -> Table:
    figure = "(b), without lower limbs" if without else "(a)"
    title = f"Share of action labels in each emotion (%), {one.name} (Fig. 11 {figure})"
    table = Table(title=title, title_justify="left")
    table.add_column("Emotion")
    named = dict(zip(labels.parent_names, _part_names(labels), strict=True))
    for name, titled in named.items():
        if name not in without:
            table.add_column(titled, justify="right")
    for emotion, shares in one.parent_shares_by_emotion(labels, without=without).items():
        table.add_row(emotion.capitalize(), *map(percent, shares.values()))
    return table


def _part_names(labels: LabelMap) -> list[str]:
    """Titles as in the paper, such as ``Lower limb (D)``."""
    codes = labels.parent_codes or ("",) * len(labels.parent_names)
    return [
        f"{name.capitalize()} ({code})" if code else name
        for name, code in zip(labels.parent_names, codes, strict=True)
    ]


_METHOD_COLUMNS = {
    "Acc": "accuracy",
    "F1_weight": "f1_weighted",
    "UF1": "f1_macro",
    "UAR": "recall_macro",
    "mAP": "map_classes",
}


def method_table(reports: Mapping[str, EmotionReport]) -> Table:
    """Metrics (%) of each file in the layout of Table VI, and mAP over videos beside it."""
    table = Table(title="Emotion and actions (%), Table VI", title_justify="left")
    table.add_column("Method")
    for title in (*_METHOD_COLUMNS, "mAP of videos"):
        table.add_column(title, justify="right")
    for name, report in reports.items():
        values = [getattr(report, field) for field in (*_METHOD_COLUMNS.values(), "map_videos")]
        table.add_row(escape(name), *map(percent, values))
    return table


def per_emotion_table(reports: Mapping[str, EmotionReport]) -> Table:
    """Accuracy (%) of each emotion and the metrics in the layout of Table VII."""
    table = Table(title="Accuracy of each emotion (%), Table VII", title_justify="left")
    table.add_column("Method")
    titles = ("Average", *map(str.capitalize, EMOTIONS.names))
    metrics = dict(list(_METHOD_COLUMNS.items())[1:])
    for title in (*titles, *metrics):
        table.add_column(title, justify="right")
    for name, report in reports.items():
        values = [report.accuracy, *report.recall_per_emotion.tolist()]
        values += [getattr(report, field) for field in metrics.values()]
        table.add_row(escape(name), *map(percent, values))
    return table


def emotion_confusion_table(name: str, report: EmotionReport) -> Table:
    """Number of videos of each annotated and predicted emotion."""
    table = Table(title=f"{escape(name)}: annotated (rows), predicted", title_justify="left")
    table.add_column("")
    for title in EMOTIONS.names:
        table.add_column(title, justify="right")
    for title, counts in zip(EMOTIONS.names, report.confusion.tolist(), strict=True):
        table.add_row(title, *map(str, counts))
    return table


def action_precision_table(reports: Mapping[str, EmotionReport], *, labels: LabelMap) -> Table:
    """Average precision (%) of each action, a column for each file."""
    table = Table(title="Average precision of each action (%)", title_justify="left")
    table.add_column("Action")
    for name in reports:
        table.add_column(escape(name), justify="right")
    tables = [
        dict(zip(one.action_labels.tolist(), one.precision_per_action.tolist(), strict=True))
        for one in reports.values()
    ]
    for label in range(len(labels)):
        if any(not np.isnan(found.get(label, np.nan)) for found in tables):
            cells = [percent(found.get(label)) for found in tables]
            table.add_row(escape(labels.title(label)), *cells)
    return table


def emotion_counts_text(report: EmotionReport, *, labels: LabelMap) -> str:
    """Text on what was counted."""
    if not len(report.action_labels):
        return f"{count(report.num_videos, 'video')}, no scores of actions"
    without = report.num_actions_without_videos
    text = f"{count(report.num_videos, 'video')}, mAP of {len(report.action_labels) - without}"
    parts = {labels.parents[label] for label in report.action_labels} if labels.parents else set()
    left_out = [name for i, name in enumerate(labels.parent_names) if i not in parts]
    said = f"{without} without videos" if without else ""
    if left_out:
        said += f"{', ' if said else ''}no scores of {', '.join(left_out)}"
    return f"{text} of {len(labels)} actions" + (f" ({said})" if said else "")

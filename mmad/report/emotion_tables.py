"""Tables of videos with emotions for the terminal, in the layout of the MA-52 paper."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.table import Table

from mmad.annotations.emotions.statistics import EmotionStatistics
from mmad.labels import EMOTIONS, LOWER_LIMBS, LabelMap
from mmad.report.tables import percent


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

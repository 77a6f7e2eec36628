"""The figures of recognisers: what they show, their widths, and that nothing is cut."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mmad.evaluation.clips.details import RecognitionDetails
from mmad.evaluation.clips.judged import JudgedRecogniser, judge_recogniser
from mmad.labels import MA52, LabelMap, flat_labels
from mmad.report.axes import groups_of, shown_order
from mmad.report.colours import RECOGNISER_COLOURS
from mmad.report.figures import SUFFIXES, save_figure
from mmad.report.recogniser_figures.confusion import draw_confusion
from mmad.report.recogniser_figures.features import draw_features
from mmad.report.recogniser_figures.probabilities import draw_probabilities
from mmad.structures import ClipRecord
from support.figures import is_whole, texts_of
from support.scores import SMALL, scores_of

pytestmark = pytest.mark.slow

FLAT = flat_labels([f"costs $5 and number {n}" for n in range(78)])
NUM_CLIPS = 12


def judged(name: str, *, labels: LabelMap, seed: int) -> tuple[JudgedRecogniser, list[ClipRecord]]:
    rng = np.random.default_rng(seed)
    truth = np.arange(NUM_CLIPS) * 4 % len(labels)
    clips = [ClipRecord(f"{n}.mp4", int(label), "val") for n, label in enumerate(truth)]
    table = scores_of(rng.dirichlet(np.ones(len(labels)) / 9, NUM_CLIPS).tolist(), labels=labels)
    details = RecognitionDetails(
        table.clip_ids, rng.normal(size=(NUM_CLIPS, 6)), np.zeros((NUM_CLIPS, 0, 0))
    )
    return judge_recogniser(name, table, details, clips, labels=labels), clips


@pytest.fixture(scope="module")
def two() -> tuple[list[JudgedRecogniser], list[ClipRecord]]:
    found = [judged(name, labels=MA52, seed=n) for n, name in enumerate(("manet_r50", "tsm$_r50"))]
    return [one for one, _ in found], found[0][1]


def test_labels_are_in_order_of_their_codes_within_body_parts() -> None:
    order = shown_order(MA52)
    assert [MA52.codes[label] for label in order][11:24] == [f"C{n}" for n in range(1, 14)]
    sizes = [5, 6, 13, 8, 6, 10, 4]
    assert [size for _, _, size in groups_of(MA52, order)] == sizes
    assert groups_of(MA52, order)[3] == (3, 5 + 6 + 13, 8)
    assert groups_of(FLAT, shown_order(FLAT)) == []


def test_bars_of_both_recognisers_have_the_height_of_their_probabilities(two) -> None:  # type: ignore[no-untyped-def]
    recognisers, clips = two
    figure = draw_probabilities(
        recognisers, clips, labels=MA52, rows=[3, 7], width_inches=7.0
    ).figure
    assert figure.get_figwidth() == 7.0
    assert len(figure.axes) == 2 * 2
    body, action = figure.axes[2:]
    for axis, level, num in ((body, "body", 7), (action, "action", 52)):
        bars = [part for part in axis.patches if to_hex(part.get_facecolor()) in RECOGNISER_COLOURS]
        assert len(bars) == 2 * num
        order = range(7) if level == "body" else shown_order(MA52)
        for number, one in enumerate(recognisers):
            shown = [bar.get_height() for bar in bars[number * num : (number + 1) * num]]
            np.testing.assert_allclose(shown, one.scores[level][7][list(order)])
    # One scale for all, which ends above the highest bar.
    assert len({axis.get_ylim() for axis in figure.axes}) == 1
    assert max(one.scores["body"][[3, 7]].max() for one in recognisers) <= action.get_ylim()[1] <= 1
    # The annotated label, 7 * 4 = 28, is bold: D1 of lower limb.
    bold = [text.get_text() for text in action.get_xticklabels() if text.get_fontweight() == "bold"]
    assert bold == [MA52.codes[28]]
    texts = texts_of(figure)
    assert {"manet_r50", "tsm$_r50", "annotated", f"(b)  {MA52.title(28)}", "7.mp4"} <= set(texts)
    for one in recognisers:
        best = int(one.scores["action"][7].argmax())
        sign = "✓" if best == 28 else "✗"
        assert f"{sign} {MA52.title(best)} {one.scores['action'][7][best]:.2f}" in texts
    assert is_whole(figure)


def test_of_many_labels_without_codes_those_that_matter_are_named() -> None:
    one, clips = judged("a", labels=FLAT, seed=0)
    figure = draw_probabilities([one], clips, labels=FLAT, rows=[2], width_inches=7.0).figure
    (axis,) = figure.axes
    named = {text.get_text() for text in axis.get_xticklabels()}
    assert named == {FLAT.names[k][:24] for k in (8, int(one.scores["action"][2].argmax()))}
    assert is_whole(figure)


def test_the_panels_of_features_are_levels_by_recognisers(two) -> None:  # type: ignore[no-untyped-def]
    recognisers, clips = two
    figure = draw_features(recognisers, clips, labels=MA52, seed=0).figure
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"{name}: {what}" for what in ("body parts", "actions") for name in
                      ("manet_r50", "tsm$_r50")]  # fmt: skip
    for axis in figure.axes:
        assert sum(len(dots.get_offsets()) for dots in axis.collections) == NUM_CLIPS
    names = {text.get_text() for text in figure.axes[2].texts}
    assert names == {MA52.codes[clip.label] for clip in clips if clip.label is not None}
    assert any("seed 0" in text for text in texts_of(figure))
    assert is_whole(figure)


def test_cells_of_the_confusion_are_percent_of_their_row(two) -> None:  # type: ignore[no-untyped-def]
    recognisers, _ = two
    level = recognisers[0].report.levels["body"]
    figure = draw_confusion(recognisers[0], labels=MA52, level="body").figure
    assert figure.get_figwidth() == 3.5
    (axis,) = figure.axes
    shown = {(*map(int, text.get_position()),): text.get_text() for text in axis.texts}
    for (row, column), number in np.ndenumerate(level.confusion):
        total = level.confusion[row].sum()
        expected = f"{100 * number / total:.0f}" if number else None
        assert shown.get((column, row)) == expected
    rows = [text.get_text() for text in axis.get_yticklabels()]
    assert rows[1] == f"B head ({level.num_clips_per_label[1]})"
    assert is_whole(figure)


def test_a_large_matrix_fills_a_page() -> None:
    one, _ = judged("a", labels=FLAT, seed=0)
    figure = draw_confusion(one, labels=FLAT, level="action").figure
    assert figure.get_figwidth() == 7.0
    assert len(figure.axes[0].get_yticklabels()) == len(FLAT)
    assert is_whole(figure)


def test_all_of_it_fits_on_a_column(two) -> None:  # type: ignore[no-untyped-def]
    recognisers, clips = two
    figure = draw_probabilities(
        recognisers, clips, labels=MA52, rows=[3, 7], width_inches=3.5
    ).figure
    # 52 names have no room: those of the annotated and the recognised actions remain.
    for axis, row in zip(figure.axes[1::2], (3, 7), strict=True):
        names = [text.get_text() for text in axis.get_xticklabels()]
        assert names[0] == MA52.codes[clips[row].label]
        assert len(names) <= 3
    assert is_whole(figure)
    figure = draw_features(recognisers, clips, labels=MA52, seed=0, width_inches=3.5).figure
    assert len(figure.axes) == 4
    assert is_whole(figure)
    figure = draw_confusion(recognisers[0], labels=MA52, level="action", width_inches=3.5).figure
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list("ABCDEFG")
    assert is_whole(figure)
    assert figure.get_figwidth() == 3.5


def test_long_names_are_shortened_and_not_cut() -> None:
    one, clips = judged("a_run_with_a_name_that_is_longer_than_a_column" * 2, labels=SMALL, seed=0)
    for figure in (
        draw_confusion(one, labels=SMALL, level="body").figure,
        draw_features([one], clips, labels=SMALL, seed=0, width_inches=3.5).figure,
        draw_probabilities([one, one], clips, labels=SMALL, rows=[0], width_inches=3.5).figure,
    ):
        assert is_whole(figure)
        assert any("…" in text for text in texts_of(figure))


def test_files_are_the_same_again_and_text_in_them_is_text(tmp_path: Path) -> None:
    one, _ = judged("a/b", labels=SMALL, seed=0)
    for name in ("one", "again"):
        figure = draw_confusion(one, labels=SMALL, level="body").figure
        for suffix in SUFFIXES:
            save_figure(figure, tmp_path / f"{name}{suffix}", dpi=100)
    for suffix in SUFFIXES:
        again = (tmp_path / f"again{suffix}").read_bytes()
        assert (tmp_path / f"one{suffix}").read_bytes() == again
    # TrueType glyphs with a table of their letters, which can be searched and edited.
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/ToUnicode" in pdf
    assert b"/Type3" not in pdf


def test_tables_hold_what_is_drawn(two) -> None:  # type: ignore[no-untyped-def]
    recognisers, clips = two
    table = draw_probabilities(recognisers, clips, labels=MA52, rows=[3, 7], width_inches=7.0).rows
    assert len(table) == 2 * 2 * (7 + 52)
    truth = MA52.title(clips[3].label)
    assert table[0][:5] == ("3.mp4", truth, "manet_r50", "action", MA52.title(0))
    assert table[0][5] == recognisers[0].scores["action"][3][0]
    cells = {row[:2]: row[2:] for row in draw_confusion(
        recognisers[0], labels=MA52, level="body").rows}  # fmt: skip
    counts = recognisers[0].report.levels["body"].confusion
    assert cells["B head", "A body"] == (counts[1, 0], counts[1, 0] / counts[1].sum())
    assert len(cells) == 7 * 7

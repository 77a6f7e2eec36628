import json

import numpy as np
import pytest

from mmad.errors import AnnotationError
from mmad.evaluation.agreement.consensus import DisputedInstance, find_consensus
from mmad.evaluation.agreement.report import measure_agreement
from mmad.evaluation.agreement.results import AgreementReport, agreement_json
from mmad.evaluation.agreement.symmetric_matching import match_both_ways
from mmad.evaluation.detection import annotation_rows
from mmad.evaluation.matching import Rows
from mmad.labels import MA52, flat_labels
from mmad.segments import tiou as tiou_of
from mmad.structures import Annotations

NODDING, SHAKING_HEAD, WAVING = MA52.index("B1"), MA52.index("B2"), MA52.index("C5")
HEAD = MA52.parent_names.index("head")


def made(*instances: tuple[float, float, int]) -> Annotations:
    return Annotations([(start, end) for start, end, _ in instances], [i[2] for i in instances])


ADA = {"v": made((0, 4, NODDING), (5, 7, WAVING)), "w": made((1, 2, NODDING))}
BEN = {"v": made((2, 6, NODDING), (5.5, 7, WAVING)), "w": made((1.2, 2.2, SHAKING_HEAD))}
DURATIONS = {"v": 8.0, "w": 2.5}


def compare(a: dict[str, Annotations], b: dict[str, Annotations], **options) -> AgreementReport:
    options = {"labels": MA52, "durations_seconds": DURATIONS} | options
    return measure_agreement({"ada": a, "ben": b}, **options)


def test_matched_f1_and_deviations_by_hand() -> None:
    report = compare(ADA, BEN, tiou=(0.3, 0.5))
    strictly = compare(ADA, BEN, tiou=(0.5, 0.3)).row()
    whole, nodding, waving = (report.row(label=label) for label in (None, NODDING, WAVING))
    assert whole.annotators == ("ada", "ben")
    assert nodding.num_instances == (2, 1)
    # tIoU of nodding is 2 / 6, of waving 1.5 / 2; three instances each.
    assert whole.num_matched == (2, 1)
    assert [one.value for one in whole.f1] == [2 * 2 / (3 + 3), 2 * 1 / (3 + 3)]
    assert [one.value for one in nodding.f1] == [2 * 1 / (2 + 1), 0]
    assert report.row(label=SHAKING_HEAD).f1[1].value == 0
    assert waving.f1[1].value == 1
    with pytest.raises(KeyError):
        report.row(label=0)  # which nobody has
    # Ben is 2 s later with both ends of nodding, and 0.5 s with the start of waving.
    assert whole.start.mean == whole.start.mean_absolute.value == (2 + 0.5) / 2
    assert whole.end.median_absolute == (2 + 0) / 2
    assert nodding.end.mean == 2
    assert (strictly.start.mean, strictly.end.mean) == (0.5, 0)
    # At body level nodding and shaking the head are one: tIoU 0.8 / 1.2 in w.
    assert report.row(label=HEAD, level="body").f1[1].value == 2 * 1 / (2 + 2)
    assert report.row(level="body").num_matched[1] == 2


def test_kappa_by_hand() -> None:
    a = {"v": made((0, 4, NODDING))}
    b = {"v": made((2, 6, NODDING), (0, 10, WAVING))}
    report = compare(a, b, durations_seconds={"v": 10.0}, step_seconds=1.0)
    # Ten samples at 0.5 to 9.5 s: both 2.5 and 3.5, only a 2, only b 2, neither 4.
    observed, chance = (2 + 4) / 10, (4 * 4 + 6 * 6) / 10**2
    nodding = report.row(label=NODDING).kappa.value
    assert nodding == pytest.approx((observed - chance) / (1 - chance))
    # One always, the other never: they agree as little as chance would have it.
    assert report.row(label=WAVING).kappa.value == 0
    assert report.row().kappa.value == pytest.approx((nodding + 0) / 2)


def test_kappa_takes_all_videos_as_one_series_and_overlaps_once() -> None:
    a = {"v": made((0, 1, NODDING), (0.5, 2, NODDING)), "w": made()}
    b = {"v": made((0, 2, NODDING)), "w": made((0, 2, NODDING))}
    report = compare(a, b, durations_seconds={"v": 4.0, "w": 4.0}, step_seconds=1.0)
    observed, chance = 6 / 8, (2 * 4 + 6 * 4) / 8**2
    kappa = report.row(label=NODDING).kappa.value
    assert kappa == pytest.approx((observed - chance) / (1 - chance))


def test_a_boundary_on_a_sample_belongs_to_what_starts_there() -> None:
    # 0.15 / 0.1 is below 1.5 in floats. Samples at 0.05, 0.15, 0.25 and 0.35 s.
    a, b = {"v": made((0.15, 0.35, NODDING))}, {"v": made((0.1, 0.3, NODDING))}
    report = compare(a, b, durations_seconds={"v": 0.4})
    assert report.row(label=NODDING).kappa.value == 1


def test_kappa_is_undefined_where_both_always_see_it() -> None:
    always = {"v": made((0, 8, NODDING))}
    report = compare(always, always)
    assert report.row(label=NODDING).kappa.value is None
    assert report.row().kappa.value is None
    assert report.row().f1[0].value == 1


def test_the_same_twice_agrees_fully() -> None:
    report = compare(ADA, ADA, tiou=(0.5, 1.0), num_resamples=20)
    for level in ("action", "body"):
        row = report.row(level=level)
        assert [(one.value, one.low, one.high) for one in row.f1] == [(1, 1, 1)] * 2
        assert row.kappa.value == row.partial.value == row.partial_scored.value == 1
        assert row.start.mean_absolute.value == 0
        assert row.icc_counts.absolute.value == row.icc_counts.consistent.value == 1


def random_annotators(seed: int) -> tuple[dict[str, Annotations], dict[str, Annotations]]:
    rng = np.random.default_rng(seed)

    def one() -> dict[str, Annotations]:
        # Whole numbers make equal tIoU frequent.
        starts = rng.integers(0, 40, size=60)
        segments = np.stack([starts, starts + rng.integers(1, 8, size=60)], axis=1)
        return {"v": Annotations(segments, rng.integers(0, 3, size=60) + NODDING)}

    return one(), one()


@pytest.mark.parametrize("seed", range(20))
def test_exchanging_the_annotators_changes_only_the_sign(seed: int) -> None:
    a, b = random_annotators(seed)
    options = {"durations_seconds": {"v": 50.0}, "tiou": (0.3, 0.6)}
    there, back = (compare(*both, **options) for both in ((a, b), (b, a)))
    for one, two in zip(there.rows, back.rows, strict=True):
        assert one.num_matched[0] > 0
        assert one.num_matched == two.num_matched
        assert one.num_instances == two.num_instances[::-1]
        for name in ("f1", "kappa", "partial", "partial_scored", "partial_seconds"):
            assert getattr(one, name) == getattr(two, name)
        assert one.start.mean == pytest.approx(-two.start.mean, abs=1e-12)
        assert one.end.mean_absolute.value == pytest.approx(two.end.mean_absolute.value)
        assert one.end.median_absolute == two.end.median_absolute


def best_pairs_first(a: Rows, b: Rows, *, tiou: float) -> list[float]:
    """tIoU of the matched pairs, found by looking at all pairs one after the other."""
    overlaps = tiou_of(a.segments, b.segments)
    overlaps[a.labels[:, None] != b.labels[None, :]] = 0
    places = [(a.segments[i, 0], a.segments[i, 1], i) for i in range(len(a))]
    others = [(b.segments[j, 0], b.segments[j, 1], j) for j in range(len(b))]
    pairs = [(-overlaps[p[2], q[2]], p, q) for p in places for q in others]
    used_a, used_b, found = set(), set(), []
    for overlap, (*_, i), (*_, j) in sorted(pairs):
        if -overlap >= tiou and i not in used_a and j not in used_b:
            used_a.add(i)
            used_b.add(j)
            found.append(-overlap)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_pairs_are_matched_by_falling_overlap(seed: int) -> None:
    a, b = (annotation_rows([(0, one["v"])]) for one in random_annotators(seed))
    in_a, in_b, overlap = match_both_ways(a, b, tiou=0.2)
    assert len(set(in_a)) == len(set(in_b)) == len(in_a)
    assert (a.labels[in_a] == b.labels[in_b]).all()
    assert sorted(overlap, reverse=True) == pytest.approx(best_pairs_first(a, b, tiou=0.2))


def test_a_better_pair_is_not_lost_to_one_who_chooses_earlier() -> None:
    # Of a, the second has the best partner (the first of b) and loses it to the first; before the
    # third has its turn, it would take the second of b, which fits the third better.
    a = annotation_rows([(0, made((0, 10, 0), (1, 12, 0), (12, 20, 0)))])
    b = annotation_rows([(0, made((0, 10.5, 0), (9, 20, 0)))])
    in_a, in_b, overlap = match_both_ways(a, b, tiou=0.1)
    assert sorted(zip(in_a.tolist(), in_b.tolist(), strict=True)) == [(0, 0), (2, 1)]
    assert sorted(overlap) == [8 / 11, 10 / 10.5]


def test_only_common_videos_are_compared_and_the_others_named() -> None:
    report = compare(ADA | {"x": made()}, {"w": BEN["w"], "y": made()})
    assert report.videos == ("w",)
    assert report.left_out == {"v": ("ada",), "x": ("ada",), "y": ("ben",)}
    content = json.loads(json.dumps(agreement_json(report), allow_nan=False))
    assert content["left_out"]["y"] == ["ben"]
    rows = {row["label"]: row for row in content["rows"] if row["level"] == "action"}
    assert rows["nodding"]["num_instances"] == [1, 0]
    assert rows["shaking head"]["f1"][0]["value"] == 0
    assert rows[None]["start"]["mean"] is None


def test_three_annotators_are_all_and_three_pairs() -> None:
    report = measure_agreement(
        {"ada": ADA, "ben": BEN, "cy": ADA}, labels=MA52, durations_seconds=DURATIONS
    )
    names = list(dict.fromkeys(row.annotators for row in report.rows))
    pairs = [("ada", "ben"), ("ada", "cy"), ("ben", "cy")]
    assert names == [("ada", "ben", "cy"), *pairs]
    assert report.row("ada", "cy").f1[0].value == 1
    whole = report.row(label=NODDING)
    of_pairs = [report.row(*pair, label=NODDING) for pair in pairs]
    for name in ("partial", "partial_scored", "partial_seconds"):
        mean = np.mean([getattr(row, name).value for row in of_pairs])
        assert getattr(whole, name).value == pytest.approx(mean)
    assert whole.f1[0].value == pytest.approx(np.mean([row.f1[0].value for row in of_pairs]))
    assert whole.num_matched[0] == sum(row.num_matched[0] for row in of_pairs)
    assert whole.num_instances == (2, 1, 2)


def test_nothing_on_one_side_is_an_error_that_says_why() -> None:
    nobody = {"v": made(), "w": made(), "x": made((0, 1, NODDING))}
    message = r"ben has no annotation in the 2 videos of all \(v, w\).*; too tired; it has 1 annot"
    with pytest.raises(AnnotationError, match=message):
        compare(ADA, nobody, reasons={"ben": "too tired"})


def test_points_count_but_have_no_time_to_match_or_sample() -> None:
    a = {"v": made((1, 1, NODDING), (12, 12, NODDING)), "w": made((1, 2, WAVING))}
    b = {"v": made((2, 2, NODDING)), "w": made((1, 2, WAVING))}
    row = compare(a, b, durations_seconds={"v": 20.0, "w": 2.5}).row(label=NODDING)
    assert row.num_instances == (2, 1)
    assert (row.f1[0].value, row.kappa.value) == (None, None)
    # Of three intervals, one of each video has the same number, and one 1 and 0.
    assert row.partial.value == pytest.approx(2 / 3)
    assert row.partial_scored.value == pytest.approx(1 / 2)


def test_intervals_are_a_bootstrap_over_videos() -> None:
    ada, ben = {}, {}
    for place in range(12):
        a, b = random_annotators(place)
        ada[f"v{place}"], ben[f"v{place}"] = a["v"], b["v"]
    seconds = dict.fromkeys(ada, 50.0)
    options = {"durations_seconds": seconds, "levels": ("action",)}
    report = compare(ada, ben, num_resamples=50, seed=3, **options)
    drawn = np.random.default_rng(3).integers(0, 12, (50, 12))
    redone = []
    for row in drawn.tolist():
        copies = [{f"{i} {k}": one[f"v{k}"] for i, k in enumerate(row)} for one in (ada, ben)]
        again = {"durations_seconds": dict.fromkeys(copies[0], 50.0), "levels": ("action",)}
        redone.append(compare(*copies, **again).row(label=NODDING))
    found = report.row(label=NODDING)
    for name in ("kappa", "partial", "partial_scored", "partial_seconds"):
        values = [getattr(one, name).value for one in redone]
        limits = (getattr(found, name).low, getattr(found, name).high)
        assert limits == pytest.approx(tuple(np.quantile(values, (0.025, 0.975))))
    values = [one.start.mean_absolute.value for one in redone]
    limits = (found.start.mean_absolute.low, found.start.mean_absolute.high)
    assert limits == pytest.approx(tuple(np.quantile(values, (0.025, 0.975))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"b": {"z": made()}}, "no video is annotated by all.*\n  ada: v, w\n  ben: z"),
        ({"step_seconds": 0.0}, "step: expected seconds, at least 0.01, found 0.0"),
        ({"step_seconds": float("nan")}, "found nan"),
        ({"interval_seconds": 0.0}, r"interval: expected seconds, at least 0.1, found 0.0"),
        ({"durations_seconds": {"v": 8.0}}, "the duration of video w is unknown"),
        ({"labels": flat_labels(["x"]), "levels": ("body",)}, "the 1 labels have no body"),
    ],
)
def test_what_cannot_be_compared(options: dict, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        compare(**({"a": ADA, "b": BEN} | options))
    with pytest.raises(AnnotationError, match=r"expected at least two annotators.*found 1"):
        measure_agreement({"ada": ADA}, labels=MA52, durations_seconds=DURATIONS)


THREE = {
    "ada": {"v": made((1, 2, NODDING), (4, 6, WAVING), (3, 4, SHAKING_HEAD))},
    "ben": {"v": made((1, 2.02, NODDING), (4.5, 6.5, WAVING), (3.2, 4, SHAKING_HEAD))},
    "cy": {"v": made((1, 1.98, NODDING), (8, 9, NODDING), (3, 4, SHAKING_HEAD))},
}


def test_consensus_of_three_by_hand() -> None:
    found = find_consensus(THREE)
    agreed = found.annotations["v"]
    # Nodding: tIoU at least 0.98 / 1.02, all. Shaking head: all, but one pair has only 0.8.
    # Waving: two of three, with 1.5 / 2.5.
    expected = [
        ((1 + 1 + 1) / 3, (2 + 2.02 + 1.98) / 3),
        ((3 + 3.2 + 3) / 3, 4),
        ((4 + 4.5) / 2, (6 + 6.5) / 2),
    ]
    np.testing.assert_allclose(agreed.segments_seconds, expected)
    assert agreed.labels.tolist() == [NODDING, SHAKING_HEAD, WAVING]
    assert (found.num_reliable, found.num_majority) == (1, 2)
    assert found.disputed == (DisputedInstance("v", NODDING, 8, 9, ("cy",), ("ada", "ben")),)


def test_consensus_asks_every_two_for_enough_overlap() -> None:
    # Each is 6 / 10 on its neighbour, the first 1 / 3 on the last.
    chain = {"a": made((0, 8, 0)), "b": made((2, 10, 0)), "c": made((4, 12, 0))}
    found = find_consensus({name: {"v": one} for name, one in chain.items()})
    np.testing.assert_allclose(found.annotations["v"].segments_seconds, [(1, 9)])
    assert [(one.seen_by, one.start_seconds) for one in found.disputed] == [(("c",), 4)]


def test_two_annotators_must_both_have_it() -> None:
    found = find_consensus({"ada": ADA, "ben": BEN})
    assert found.annotations["v"].labels.tolist() == [WAVING]
    assert found.annotations["w"].labels.tolist() == []
    assert len(found.disputed) == 4


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_annotators_makes_no_difference_to_the_consensus(seed: int) -> None:
    a, b = random_annotators(seed)
    c, _ = random_annotators(seed + 100)
    one, two = find_consensus({"a": a, "b": b, "c": c}), find_consensus({"c": c, "a": a, "b": b})
    np.testing.assert_allclose(
        one.annotations["v"].segments_seconds, two.annotations["v"].segments_seconds
    )
    assert (one.num_reliable, one.num_majority) == (two.num_reliable, two.num_majority)


def test_consensus_needs_a_possible_overlap() -> None:
    with pytest.raises(AnnotationError, match=r"tIoU: expected .* found 0"):
        find_consensus(THREE, majority_tiou=0)

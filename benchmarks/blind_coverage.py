"""Whether the 95 % intervals of `mmad project quality` and `mmad budget DIR` hold the truth.

    python -m benchmarks.blind_coverage [--studies 1000] [--settings usual rare ...] [--seed 0]

Draws studies (five shares of each set of videos): videos with behaviours in bursts, which differ
between videos, and a detector that misses some, invents others, and confuses some, more in some
videos than in others. A random share of stretches is coded, by a person who sees only what touches
them, and every figure is compared with that of coding everything. Writes
benchmarks/results/blind_coverage.csv: for each setting and figure how often the interval held the
truth, how wide it was, and the bias of the estimate, for all behaviours together (``all``), and for
each by how many instances of it the share has on average.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.provenance import write_rows
from mmad.evaluation.blind.correction import Corrected, Known, correct
from mmad.evaluation.blind.intervals import Estimates
from mmad.evaluation.blind.pull import measure_pull
from mmad.evaluation.blind.quality import Quality, measure_quality
from mmad.evaluation.blind.tally import Stretches, Tally, tally
from mmad.evaluation.matching import Rows
from mmad.projects.blind import CONTEXT_SECONDS, random_places

RESULT = "blind_coverage"
# Shares drawn of the same videos: to draw videos and to code all of them takes most of the time.
SHARES = 5


@dataclass(frozen=True)
class Setting:
    """How a study is drawn.

    Attributes:
        videos: Number of videos.
        minutes: Their mean length.
        rates: Instances a minute of each behaviour.
        recall: Mean share of the instances that the detector finds.
        precision: Mean share of its detections that are right.
        share: Share of the time that is coded blind.
        stretch_seconds: Length of a stretch.
        burst: Mean number of instances in a burst.
        variety: How much rates and errors differ between videos, on logarithmic scales.
    """

    videos: int = 12
    minutes: float = 8.0
    rates: tuple[float, ...] = (3.0, 2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05)
    recall: float = 0.75
    precision: float = 0.75
    share: float = 0.1
    stretch_seconds: float = 30.0
    burst: float = 1.5
    variety: float = 0.5


SETTINGS = {
    "usual": Setting(),
    "raw 20 % too low": Setting(recall=0.64, precision=0.8),
    "raw 20 % too high": Setting(recall=0.84, precision=0.7),
    "good model": Setting(recall=0.97, precision=0.97),
    "perfect model": Setting(recall=1.0, precision=1.0, variety=0.3),
    "useless model": Setting(recall=0.05, precision=0.05),
    "rare behaviours": Setting(rates=(0.3, 0.2, 0.1, 0.1, 0.05, 0.05, 0.02, 0.02)),
    "bursts": Setting(burst=5.0, variety=1.0),
    "5 stretches": Setting(videos=3, minutes=8.0, share=5 / 48),
    "10 s stretches": Setting(stretch_seconds=10.0),
    "half is coded": Setting(share=0.5),
    "short videos": Setting(videos=120, minutes=0.7),
}


@dataclass(frozen=True, eq=False)
class Study:
    """Everything about a drawn study.

    Attributes:
        stretches: All stretches.
        places: Their places in the random order.
        truth: What a person would code, in all videos.
        pulled: What the same person would code with suggestions.
        found: Detections.
        num_labels: Number of behaviours.
    """

    stretches: Stretches
    places: np.ndarray
    truth: Rows
    pulled: Rows
    found: Rows
    num_labels: int


def draw_study(setting: Setting, rng: np.random.Generator) -> Study:
    """A study of a setting."""
    lengths = 60 * setting.minutes * rng.uniform(0.6, 1.4, setting.videos)
    numbers = np.maximum(1, np.round(lengths / setting.stretch_seconds)).astype(int)
    edges = [np.linspace(0, length, n + 1) for length, n in zip(lengths, numbers, strict=True)]
    stretches = Stretches(
        np.repeat(np.arange(setting.videos), numbers),
        np.concatenate([np.stack([one[:-1], one[1:]], axis=1) for one in edges]),
    )
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    typical = rng.uniform(0.7, 4.0, len(setting.rates))
    for video, length in enumerate(lengths):
        ease = rng.normal(0, setting.variety)
        for label, rate in enumerate(setting.rates):
            mine = rate * np.exp(rng.normal(-(setting.variety**2) / 2, setting.variety))
            real, burst = _instances(rng, mine, length, setting.burst, typical[label])
            # What a burst looks like makes all of it easy or hard.
            odds = ease + rng.normal(0, 1, burst.max(initial=-1) + 1)[burst]
            is_found = rng.random(len(real)) < _shifted(setting.recall, odds)
            parts["truth"].append(_rows(real, label, video))
            parts["found"].append(_rows(_moved(real[is_found], rng), label, video))
            wrong = 0.0
            if setting.precision < 1:
                wrong = mine * setting.recall * (1 / setting.precision - 1) * np.exp(-ease / 2)
            false, _ = _instances(rng, wrong, length, setting.burst, typical[label])
            is_confused = rng.random(len(false)) < 0.2
            other = np.where(is_confused, rng.integers(0, len(setting.rates), len(false)), label)
            parts["found"].append(_rows(false, other, video))
            # With suggestions: some that were missed stay missed, some wrong ones are accepted.
            parts["pulled"].append(
                _rows(real[is_found | (rng.random(len(real)) < 0.7)], label, video)
            )
            accepted = rng.random(len(false)) < 0.3
            parts["pulled"].append(_rows(false[accepted], other[accepted], video))
    truth, pulled, found = (_joined(parts[name], lengths) for name in ("truth", "pulled", "found"))
    places = draw_places(stretches, rng)
    return Study(stretches, places, truth, pulled, found, len(setting.rates))


def draw_places(stretches: Stretches, rng: np.random.Generator) -> np.ndarray:
    """Places of all stretches in a random order, as `mmad project blind` draws them."""
    numbers = np.bincount(stretches.videos).tolist()
    return np.concatenate([random_places(number, rng) for number in numbers])


def _instances(
    rng: np.random.Generator, rate: float, length: float, burst: float, typical: float
) -> tuple[np.ndarray, np.ndarray]:
    """Segments (N, 2) of bursts, and the burst of each."""
    number = rng.poisson(rate * length / 60 / burst)
    sizes = rng.geometric(1 / burst, number)
    of = np.repeat(np.arange(number), sizes)
    starts = np.repeat(rng.uniform(0, length, number), sizes) + rng.exponential(5, len(of)) * (
        np.arange(len(of)) > 0
    )
    seconds = typical * np.exp(rng.normal(0, 0.5, len(of)))
    inside = starts < length
    return np.stack([starts, starts + seconds], axis=1)[inside], of[inside]


def _shifted(share: float, odds: np.ndarray) -> np.ndarray:
    if share >= 1:
        return np.ones_like(odds)
    # Probit, so that the mean over odds is the share but for their spread.
    return 1 / (1 + np.exp(-(np.log(share / (1 - share)) * 1.25 + odds)))


def _moved(segments: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seconds = segments[:, 1] - segments[:, 0]
    moved = segments + rng.normal(0, 0.12, segments.shape) * seconds[:, None]
    return np.stack([moved[:, 0], np.maximum(moved[:, 1], moved[:, 0] + 0.1)], axis=1)


def _rows(segments: np.ndarray, labels: np.ndarray | int, video: int) -> np.ndarray:
    return np.column_stack(
        [segments, np.broadcast_to(labels, len(segments)), np.full(len(segments), video)]
    )


def _joined(parts: list[np.ndarray], lengths: np.ndarray) -> Rows:
    table = np.concatenate(parts)
    labels, videos = table[:, 2].astype(np.int64), table[:, 3].astype(np.int64)
    segments = np.clip(table[:, :2], 0, lengths[videos][:, None])
    keep = segments[:, 1] - segments[:, 0] > 0.04
    return Rows(segments, labels, videos, np.zeros(len(labels))).take(keep)


def count(study: Study, coded: Rows, chosen: np.ndarray | None = None) -> Tally:
    """The numbers of all stretches, or of some, in which a person sees only what touches them."""
    stretches = study.stretches
    if chosen is not None:
        stretches = Stretches(stretches.videos[chosen], stretches.segments[chosen])
        start, end = stretches.segments.T[:, :, None]
        touches = (
            (stretches.videos[:, None] == coded.videos)
            & (coded.segments[:, 0] < end)
            & (coded.segments[:, 1] > start)
        )
        coded = coded.take(touches.any(axis=0))
    return tally(
        stretches,
        coded,
        study.found,
        num_labels=study.num_labels,
        tiou=0.5,
        step_seconds=0.1,
        context_seconds=CONTEXT_SECONDS,
    )


def figures(
    study: Study, setting: Setting, truth: Tally, pulled: Tally, of_all: tuple[Quality, Quality]
) -> Iterator[tuple[str, Estimates, np.ndarray]]:
    """Name, estimates and truth of each figure, from one share."""
    order = np.argsort(study.places)
    length = np.cumsum(study.stretches.seconds[order])
    number = int(np.searchsorted(length, setting.share * length[-1] - 1e-6)) + 1
    blind, others = order[:number], order[number : 3 * number]
    coded = count(study, study.truth, blind)
    right, apart = of_all[0].figures, of_all[1].figures["f1"].value - of_all[0].figures["f1"].value
    for name, one in measure_quality(coded, fraction=number / len(order)).figures.items():
        yield name, one, right[name].value
    shown, hidden = (measure_quality(one, fraction=0.0) for one in (pulled.take(others), coded))
    yield "pull", measure_pull(shown, hidden).difference, apart
    corrected = corrected_of(truth, coded, blind)
    counts, seconds = truth.coded.sum(axis=0).astype(float), truth.coded_seconds.sum(axis=0)
    yield "count", corrected.count, counts
    yield "seconds", corrected.seconds, seconds
    with np.errstate(invalid="ignore", divide="ignore"):
        yield "mean_seconds", corrected.mean_seconds, seconds / counts


def corrected_of(everything: Tally, coded: Tally, blind: np.ndarray) -> Corrected:
    """The corrected figures of a study."""
    rest = everything.take(np.setdiff1d(np.arange(len(everything)), blind))
    known = Known(
        coded.coded.sum(axis=0).astype(float),
        coded.coded_seconds.sum(axis=0),
        rest.found.sum(axis=0).astype(float),
        rest.found_seconds.sum(axis=0),
        float(rest.seconds.sum()),
    )
    typical = everything.found_seconds.sum(axis=0) / np.maximum(everything.found.sum(axis=0), 1)
    typical = np.where(typical > 0, typical, typical[typical > 0].mean() if typical.any() else 1.0)
    return correct(coded, known, typical_seconds=typical)


GROUPS = ((1, "under 1 expected"), (5, "1 to 5"), (20, "5 to 20"), (10**9, "more than 20"))


def run(name: str, setting: Setting, studies: int, seed: int) -> list[dict]:
    """The rows of a setting: five shares are drawn of the same videos."""
    seen: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    raws = []
    for index in range(studies // SHARES):
        rng = np.random.default_rng([seed, index])
        study = draw_study(setting, rng)
        raws.append(len(study.found) / max(len(study.truth), 1))
        truth, pulled = count(study, study.truth), count(study, study.pulled)
        of_all = measure_quality(truth, fraction=0.0), measure_quality(pulled, fraction=0.0)
        expected = truth.coded.sum(axis=0) * setting.share
        for _ in range(SHARES):
            study = replace(study, places=draw_places(study.stretches, rng))
            for figure, one, true in figures(study, setting, truth, pulled, of_all):
                for place, value in enumerate(true.tolist()):
                    found = tuple(float(x[place]) for x in (one.value, one.low, one.high))
                    if value != value or found[1] != found[1]:
                        continue
                    groups = ["all"]
                    if place < len(expected):
                        size = next(told for top, told in GROUPS if expected[place] <= top)
                        groups = [size, "each behaviour"]
                    for group in groups:
                        seen[figure, group].append((value, *found))
    rows = []
    for (figure, group), values in sorted(seen.items()):
        true, value, low, high = np.array(values).T
        holds = (low <= true + 1e-9) & (true <= high + 1e-9)
        row = {
            "setting": name,
            "figure": figure,
            "behaviours": group,
            "intervals": len(true),
            "holds_truth": round(float(holds.mean()), 4),
            "too_low": round(float((high < true - 1e-9).mean()), 4),
            "too_high": round(float((low > true + 1e-9).mean()), 4),
            "median_width": round(float(np.median(high - low)), 4),
            "bias": round(float((value - true).mean()), 5),
            "relative_bias": round(float(value.sum() / true.sum() - 1), 4) if true.sum() else "",
            "raw": round(float(np.mean(raws)), 3),
        }
        rows.append(row)
    return rows


def main() -> None:
    """Run the settings, and write their rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=RESULT, help="name of the table in results/")
    chosen = parser.parse_args()
    rows = []
    for name in chosen.settings:
        begun = time.monotonic()
        rows += run(name, SETTINGS[name], chosen.studies, chosen.seed)
        print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
        for row in rows:
            if row["setting"] == name:
                print("  ", *row.values())
        write_rows(chosen.out, rows)


if __name__ == "__main__":
    main()

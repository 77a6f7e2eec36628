"""Tables of the agreement of annotators for the terminal."""

from rich.markup import escape
from rich.table import Table

from mmad.evaluation.agreement.consensus import Consensus
from mmad.evaluation.agreement.pairs import AgreementReport, LevelAgreement, PairAgreement
from mmad.wording import count

_NUM_NAMED = 10


def two_digits(value: float | None) -> str:
    """A number with two digits, or "-" for None.

    >>> two_digits(0.666), two_digits(None)
    ('0.67', '-')
    """
    return "-" if value is None else f"{value:.2f}"


def _milli(value: float | None, *, signed: bool = False) -> str:
    return "-" if value is None else f"{value:{'+' if signed else ''}.3f}"


def pair_table(report: AgreementReport) -> Table:
    """One row for each pair, level and tIoU threshold: matched F1, kappa, and deviations."""
    table = Table(title="Agreement of each two annotators", title_justify="left")
    for column in ("first", "second", "level"):
        table.add_column(column)
    columns = (
        "instances",
        "tIoU",
        "matched",
        "F1",
        "mean kappa",
        "start (s)",
        "|start|",
        "end (s)",
    )
    for column in (*columns, "|end|"):
        table.add_column(column, justify="right")
    for pair in report.pairs:
        for name, level in pair.levels.items():
            of_first = sum(first for first, _ in level.num_instances)
            of_second = sum(second for _, second in level.num_instances)
            for one in level.matched:
                table.add_row(
                    escape(pair.first),
                    escape(pair.second),
                    name,
                    f"{of_first} / {of_second}",
                    f"{one.tiou:.2f}",
                    str(one.num_matched),
                    two_digits(one.f1),
                    two_digits(level.mean_kappa),
                    _milli(one.start.mean, signed=True),
                    _milli(one.start.mean_absolute),
                    _milli(one.end.mean, signed=True),
                    _milli(one.end.mean_absolute),
                )
    return table


def behaviour_table(pair: PairAgreement, name: str, level: LevelAgreement) -> Table:
    """One row for each label that at least one of the two annotators has."""
    title = escape(f"{pair.first} and {pair.second}, {name} level")
    table = Table(title=title, title_justify="left")
    table.add_column("behaviour")
    for annotator in (pair.first, pair.second):
        table.add_column(escape(annotator), justify="right")
    for one in level.matched:
        table.add_column(f"F1 @{one.tiou:.2f}", justify="right")
    table.add_column("kappa", justify="right")
    for label, (of_first, of_second) in enumerate(level.num_instances):
        if of_first or of_second:
            table.add_row(
                escape(level.labels.title(label)),
                str(of_first),
                str(of_second),
                *(two_digits(one.f1_per_label[label]) for one in level.matched),
                two_digits(level.kappa[label]),
            )
    return table


def videos_text(report: AgreementReport) -> str:
    """Text on what was compared and what was left out."""
    lines = [
        f"{count(len(report.videos), 'video', 'is')} annotated by all; kappa compares every "
        f"{report.step_seconds:g} s"
    ]
    if report.left_out:
        named = [
            f"{video} (only {', '.join(names)})"
            for video, names in list(report.left_out.items())[:_NUM_NAMED]
        ]
        more = ", ..." if len(report.left_out) > _NUM_NAMED else ""
        lines.append(
            f"{count(len(report.left_out), 'other', 'is')} left out: {', '.join(named)}{more}"
        )
    return "\n".join(lines)


def consensus_text(consensus: Consensus) -> str:
    """Text on how many instances were kept and how many are disputed."""
    return (
        f"consensus: {count(consensus.num_reliable, 'instance')} reliable (all annotators, high "
        "tIoU), "
        f"{consensus.num_majority} by majority, {len(consensus.disputed)} disputed"
    )

"""The table of agreement: for the terminal, as CSV and as a workbook."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from mmad.errors import AnnotationError
from mmad.evaluation.agreement.consensus import Consensus
from mmad.evaluation.agreement.icc import IccPair
from mmad.evaluation.agreement.results import AgreementReport, AgreementRow, Deviation, Estimate
from mmad.files import write_csv
from mmad.report.workbook.writing import Cell, Column, Kind, Sheet, write_workbook
from mmad.wording import count, rounded

_NUM_NAMED = 10
_ALL = "all behaviours"


def agreement_table(report: AgreementReport) -> Table:
    """One row for each behaviour that an annotator has, below the row of all."""
    table = Table(title=f"Agreement of {_listed(report.annotators)}", title_justify="left")
    table.add_column("behaviour")
    table.add_column("instances", justify="right")
    for tiou in report.tiou:
        table.add_column(f"F1 @{tiou:.2f}", justify="right")
    step = f"{report.interval_seconds:g} s"
    for name in ("kappa", f"{step} (%)", "coded (%)", "ICC n", "ICC s", "|start| (s)", "|end| (s)"):
        table.add_column(name, justify="right")
    for (level, annotators), rows in _groups(report):
        table.add_section()
        table.add_row(f"[bold]{escape(_listed(annotators))}, {level} level[/bold]")
        for row in rows:
            table.add_row(
                escape(_name(report, row)),
                " / ".join(map(str, row.num_instances)),
                *(_with_interval(one) for one in row.f1),
                _with_interval(row.kappa),
                _percent(row.partial.value),
                _percent(row.partial_scored.value),
                _icc(row.icc_counts),
                _icc(row.icc_seconds),
                _with_interval(row.start.mean_absolute),
                _with_interval(row.end.mean_absolute),
            )
    return table


def _groups(
    report: AgreementReport,
) -> list[tuple[tuple[str, tuple[str, ...]], list[AgreementRow]]]:
    """The rows of each level and annotators, in the order of the report."""
    by_key = groupby(report.rows, key=lambda row: (row.level, row.annotators))
    return [(key, list(rows)) for key, rows in by_key]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"


def _name(report: AgreementReport, row: AgreementRow) -> str:
    return _ALL if row.label is None else report.labels[row.level].title(row.label)


def _with_interval(one: Estimate) -> str:
    if one.value is None or one.low is None or one.high is None:
        return rounded(one.value)
    return f"{rounded(one.value)} \\[{rounded(one.low)}, {rounded(one.high)}]"


def _percent(value: float | None) -> str:
    return rounded(None if value is None else 100 * value, 1)


def _icc(found: IccPair | None) -> str:
    return "-" if found is None else rounded(round(found.absolute.value, 2) + 0.0)  # no -0.00


def write_agreement(path: Path, report: AgreementReport) -> None:
    """Write the table as CSV or as a workbook, by the suffix of ``path``.

    Raises: AnnotationError if it is neither, OutputError if it cannot be written.
    """
    columns, rows = columns_of(report), rows_of(report)
    if path.suffix.lower() == ".csv":
        write_csv(path, header=[one.name for one in columns], rows=rows)
    elif path.suffix.lower() == ".xlsx":
        sheets = [
            Sheet("Agreement", columns, rows),
            Sheet("About", [Column("What the numbers mean")], _notes(report), is_table=False),
        ]
        write_workbook(path, sheets, title=f"Agreement of {_listed(report.annotators)}")
    else:
        raise AnnotationError(f"--table {path}: expected a name that ends in .csv or .xlsx")


def columns_of(report: AgreementReport) -> list[Column]:
    """The columns of the table."""
    columns = [Column(name) for name in ("level", "annotators", "behaviour")]
    columns += [Column("instances")]
    for tiou in report.tiou:
        columns.append(Column(f"matched_{tiou:g}", "count"))
        columns += _estimate(f"f1_{tiou:g}", "score")
    columns += _estimate("kappa", "score")
    columns += _estimate("partial", "share")
    columns += _estimate("partial_coded", "share")
    columns += _estimate("partial_seconds", "share")
    for of in ("count", "seconds"):
        for form in ("2_1", "3_1"):
            columns += _estimate(f"icc_{form}_{of}", "score")
    for side in ("start", "end"):
        columns.append(Column(f"{side}_mean", "seconds"))
        columns += _estimate(f"{side}_absolute", "seconds")
        columns.append(Column(f"{side}_median_absolute", "seconds"))
    return columns


def _estimate(name: str, kind: Kind) -> list[Column]:
    return [Column(f"{name}{end}", kind) for end in ("", "_low", "_high")]


def rows_of(report: AgreementReport) -> list[list[Cell]]:
    """The cells of each row; None for what is not defined."""
    found = []
    for row in report.rows:
        name = _ALL if row.label is None else report.labels[row.level].names[row.label]
        cells: list[Cell] = [row.level, "; ".join(row.annotators), name]
        cells.append("; ".join(map(str, row.num_instances)))
        for matched, f1 in zip(row.num_matched, row.f1, strict=True):
            cells += [matched, *_cells(f1)]
        for one in (row.kappa, row.partial, row.partial_scored, row.partial_seconds):
            cells += _cells(one)
        for pair in (row.icc_counts, row.icc_seconds):
            forms = (None, None) if pair is None else (pair.absolute, pair.consistent)
            for form in forms:
                cells += (None,) * 3 if form is None else (form.value, form.low, form.high)
        for deviation in (row.start, row.end):
            cells += _deviation(deviation)
        found.append([round(cell, 9) if isinstance(cell, float) else cell for cell in cells])
    return found


def _cells(one: Estimate) -> list[Cell]:
    return [one.value, one.low, one.high]


def _deviation(one: Deviation) -> list[Cell]:
    return [one.mean, *_cells(one.mean_absolute), one.median_absolute]


def _notes(report: AgreementReport) -> list[list[Cell]]:
    several = len(report.annotators) > 2
    lines = [
        *videos_text(report).splitlines(),
        "instances: annotations of each annotator, in the order of their names.",
        "matched, f1: annotations of one behaviour with a tIoU of at least the number in the name "
        "are partners, the best pair first; F1 = 2 * matched / annotations of both.",
        "kappa: "
        + ("Cohen's for pairs, Fleiss' for all" if several else "Cohen's")
        + f", sampled every {report.step_seconds:g} s; of all behaviours, their mean.",
        f"partial: in each interval of {report.interval_seconds:g} s, the smaller number of starts "
        "/ the larger, 1 where both have none; mean over intervals. partial_coded: over the "
        "intervals in which at least one has any. partial_seconds: of the time in each interval.",
        "icc_2_1, icc_3_1: intraclass correlations of single measurements over videos (Shrout and "
        "Fleiss, 1979), of agreement and of consistency; of numbers and of seconds in each video; "
        "low and high are their F-based 95 % limits.",
        "start, end: deviations of partners at the first tIoU in seconds; mean is signed, second "
        "minus first.",
    ]
    return [[line] for line in lines]


def videos_text(report: AgreementReport) -> str:
    """Text on what was compared and what was left out."""
    lines = [
        f"{count(len(report.videos), 'video', 'is')} annotated by all; kappa compares every "
        f"{report.step_seconds:g} s"
    ]
    if report.num_resamples:
        lines.append(
            "[low, high]: 95 %, bootstrap over videos, "
            f"{report.num_resamples} resamples, seed {report.seed}"
        )
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

"""Tables of a time budget for the terminal."""

from rich.markup import escape
from rich.table import Table

from mmad.evaluation.budget.budget import TimeBudget
from mmad.report.tables import percent
from mmad.wording import count, rounded


def budget_table(budget: TimeBudget) -> Table:
    """One row for each behaviour that is shown, over all videos."""
    whole = budget.table("all")
    found = whole.measures
    table = Table(title="Time budget of all videos", title_justify="left")
    table.add_column("behaviour")
    columns = ("count", "a minute", "95 %", "total (s)", "mean (s)", "sd (s)", "% of time", "95 %")
    for column in (*columns, "latency (s)"):
        table.add_column(column, justify="right")
    rates, shares = found.rate_per_minute, found.share_of_time
    for label in range(len(whole.labels)):
        cell = (0, label, 0)
        if not found.count[cell]:
            continue
        lasts = found.durations.count[cell] > 0
        rate_range = share_range = "-"
        if found.intervals is not None:
            rate, share = found.intervals.rate, found.intervals.share
            rate_range = _range(rounded(rate.low[cell]), rounded(rate.high[cell]))
            share_range = _range(percent(share.low[cell]), percent(share.high[cell]))
        table.add_row(
            escape(whole.labels.title(label)),
            str(found.count[cell]),
            rounded(rates[cell]),
            rate_range,
            rounded(found.total_seconds[cell]) if lasts else "-",
            rounded(found.durations.mean[cell]),
            rounded(found.durations.sd[cell]),
            percent(shares[cell]) if lasts else "-",
            share_range if lasts else "-",
            rounded(found.latencies.mean[cell]),
        )
    return table


def _range(low: str, high: str) -> str:
    return "-" if low == "-" else f"{low} to {high}"


def budget_text(budget: TimeBudget) -> str:
    """Text on what was counted, and how intervals were made."""
    coding = budget.coding
    minutes = rounded(float(coding.seconds.sum()) / 60, 1)
    lines = [
        f"{count(len(coding.segments), 'event')} in {count(len(set(coding.videos)), 'video')}, "
        f"{count(len(coding), 'observation')} (a person in a video) of {minutes} min in all"
    ]
    if budget.num_resamples:
        lines.append(
            f"95 %: bootstrap over videos, {budget.num_resamples} resamples, seed {budget.seed}"
        )
    return "\n".join(lines)

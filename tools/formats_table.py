"""Write the table of docs/formats.md anew, from the tables in the code.

python tools/formats_table.py
"""

from pathlib import Path

from mmad.annotations.exchange.writing import EVENT_FIELDS, VIDEO_FIELDS, WRITERS
from mmad.annotations.format_table import FORMATS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- table of formats -->", "<!-- end of the table -->"


def table() -> str:
    """The table in Markdown: a row for each format."""
    lines = [
        "| format | recognised by | read | written | of an event it keeps | of a video |",
        "|---|---|---|---|---|---|",
    ]
    for name, entry in FORMATS.items():
        writer = WRITERS.get(name)
        cells = ["—", "", ""]
        if writer is not None:
            of_event = [field for field in EVENT_FIELDS if field in writer.keeps]
            of_video = [field for field in VIDEO_FIELDS if field in writer.keeps]
            place = "a file per video" if writer.per_video else "one file"
            place += ", or added to one" if writer.merges else ""
            cells = [
                f"`{writer.suffix}`, {place}",
                _listed(of_event, EVENT_FIELDS),
                _listed(of_video, VIDEO_FIELDS),
            ]
        description = entry.description.replace("|", "\\|")
        read = {"videos": "annotations", "detections": "detections"}.get(
            entry.kind, f"lists of {entry.kind}"
        )
        lines.append(f"| `{name}` | {description} | {read} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _listed(fields: list[str], all_of_them: tuple[str, ...]) -> str:
    return ("everything" if fields == list(all_of_them) else ", ".join(fields)) or "—"


def with_table(text: str) -> str:
    """The page with the table of today."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""HTML report of a pre-training: curves of its errors, and images of what it paints."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmad.report.html_page import write_page
from mmad.wording import count

_MOST_POINTS = 120
_ERROR = "reconstruction_error"
_PROBE = "probe_top1"


def write_pretraining_page(
    path: Path,
    *,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    facts: Mapping[str, str],
    normalised: bool,
    image: Path | None = None,
) -> None:
    """Write the page.

    Args:
        path: Path of the HTML file.
        title: Title of the page.
        rows: Rows of the log.
        facts: Name and value of facts in the head of the page.
        normalised: Whether the targets are normalised patches.
        image: PNG with reconstructions, which the page will contain; None if there is none.

    Raises: OutputError if it cannot be written.
    """
    steps = [row for row in rows if row.get("kind") == "step"]
    validations = [row for row in rows if row.get("kind") == "validation"]
    last_step = steps[-1]["step"] if steps else 0
    content = {
        "facts": [["", count(last_step, "step")], *(list(fact) for fact in facts.items())],
        "tiles": list(_tiles(validations)),
        "curves": list(_curves(steps, validations)),
        "last_step": last_step,
        "image": None,
    }
    if image is not None:
        encoded = base64.b64encode(image.read_bytes()).decode("ascii")
        content["image"] = f"data:image/png;base64,{encoded}"
        content["about_image"] = (
            "Clips of the validation videos with fixed masks; grey patches in the bottom row are "
            "not reconstructed. "
            + (
                "Painted patches have the mean and the contrast of the true ones, which their "
                "targets do not tell."
                if normalised
                else "Painted patches have the colours that the network gave them."
            )
        )
    write_page(
        path,
        body="pretraining.html",
        title=title,
        content=content,
        scripts=("charts.js", "parts.js", "pretraining.js"),
    )


def _tiles(validations: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """Name, value, digits and meaning of the main numbers."""
    errors = [row[_ERROR] for row in validations if row.get(_ERROR) is not None]
    tiles: list[list[object]] = []
    if errors:
        meaning = "mean squared error of hidden patches of the validation videos"
        tiles.append(["error, lowest", f"{min(errors):.4g}", 0, meaning])
        tiles.append(["error, last", f"{errors[-1]:.4g}", 0, meaning])
        tiles.append(["error, first", f"{errors[0]:.4g}", 0, meaning])
    probes = [row[_PROBE] for row in validations if row.get(_PROBE) is not None]
    if probes:
        meaning = "clips that a linear classifier on the frozen features classifies correctly"
        tiles.append(["linear probe, last", probes[-1], 2, meaning])
    return tiles


def _curves(
    steps: Sequence[Mapping[str, Any]], validations: Sequence[Mapping[str, Any]]
) -> list[dict[str, object]]:
    """What each chart shows."""
    curves: list[dict[str, object]] = []
    if steps:
        parts = np.array_split(np.arange(len(steps)), min(_MOST_POINTS, len(steps)))
        means = [float(np.mean([steps[i]["loss"] for i in part])) for part in parts]
        each = len(parts[0])
        note = None if each == 1 else f"Each point is the mean of about {each} steps."
        x = [steps[int(part[-1])]["step"] for part in parts]
        curves.append(_curve("training error", note, x, means, digits=4))
    for name, title, digits in (
        (_ERROR, "validation error", 4),
        (_PROBE, "linear probe", 1),
    ):
        known = [row for row in validations if row.get(name) is not None]
        if not known:
            continue
        percent = name == _PROBE
        values = [100 * row[name] if percent else row[name] for row in known]
        curve = _curve(title, None, [row["step"] for row in known], values, digits=digits)
        curves.append(curve | {"unit": " %" if percent else ""})
    return curves


def _curve(
    title: str, note: str | None, x: Sequence[int], values: Sequence[float], *, digits: int
) -> dict[str, object]:
    return {
        "title": title,
        "note": note,
        "x": list(x),
        "values": list(values),
        "unit": "",
        "digits": digits,
    }

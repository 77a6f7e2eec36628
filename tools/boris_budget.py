"""Ask BORIS for the time budget of random events; `tests/evaluation/budget` compares with it.

Run it where BORIS is installed (``pip install boris-behav-obs==8.27.4``, in an environment of its
own), with the file to write:

    python tools/boris_budget.py tests/evaluation/budget/boris_time_budget.json

The numbers are BORIS' own: its functions `load_events_in_db` and `time_budget_analysis` are called,
without its windows. It rounds them to milliseconds before they are shown; that is switched off.
"""

import importlib.util
import json
import random
import sys
import types
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

SEED = 18
BEHAVIOURS = {"nodding": "State event", "waving": "State event", "blinking": "Point event"}
PERSONS = ("", "ada", "ben")
LENGTHS = {"P01": 61.5, "P02": 120.0, "P03": 33.333}


def functions_of_boris() -> tuple[types.ModuleType, types.ModuleType]:
    """Its modules for databases and time budgets, imported without its main window."""
    found = importlib.util.find_spec("boris")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("BORIS is not installed: pip install boris-behav-obs")
    package = types.ModuleType("boris")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["boris"] = package
    for name in ("PyQt5.QtMultimedia", "boris.mpv", "boris.mpv2"):  # these need a sound card, mpv
        sys.modules[name] = MagicMock()
    from boris import db_functions, time_budget_functions  # type: ignore[import-not-found]

    return db_functions, time_budget_functions


def random_events(rng: random.Random) -> list[dict[str, object]]:
    """Events of every behaviour, person and video but one; those of one kind do not overlap."""
    events: list[dict[str, object]] = []
    for video, length in LENGTHS.items():
        for person in PERSONS:
            for behaviour, kind in BEHAVIOURS.items():
                if (video, behaviour) == ("P03", "waving"):
                    continue
                # Different numbers of events, so that some have no standard deviation.
                number = rng.choice((1, 2, 7, 12))
                times = sorted(round(rng.uniform(0, length), 3) for _ in range(2 * number))
                starts, ends = times[::2], times[1::2]
                for start, end in zip(starts, ends, strict=True):
                    last = start if kind == "Point event" else end
                    if kind == "Point event" or last > start:
                        events.append(
                            {
                                "video": video,
                                "person": person,
                                "behaviour": behaviour,
                                "start": start,
                                "end": last,
                            }
                        )
    return events


def project_of(events: list[dict[str, object]]) -> dict[str, object]:
    """A project of BORIS with these events."""
    observations = {}
    for video, length in LENGTHS.items():
        rows = []
        for event in (one for one in events if one["video"] == video):
            times = [event["start"], event["end"]]
            for time in times[: 2 if BEHAVIOURS[str(event["behaviour"])] == "State event" else 1]:
                rows.append([Decimal(str(time)), event["person"], event["behaviour"], "", ""])
        observations[video] = {
            "events": sorted(rows),
            "type": "MEDIA",
            "file": {"1": [f"{video}.mp4"]},
            "media_info": {"length": {f"{video}.mp4": length}, "fps": {f"{video}.mp4": 25.0}},
            "time offset": 0.0,
        }
    return {
        "behaviors_conf": {
            str(place): {"code": code, "type": kind, "modifiers": "", "category": ""}
            for place, (code, kind) in enumerate(BEHAVIOURS.items())
        },
        "subjects_conf": {
            str(place): {"name": name, "key": "", "description": ""}
            for place, name in enumerate(PERSONS[1:])
        },
        "observations": observations,
    }


def budget_of(project: dict[str, object]) -> list[dict[str, object]]:
    """The rows of BORIS' time budget of all observations together, without its rounding."""
    database, budget = functions_of_boris()
    vars(budget)["round"] = lambda value, digits: value
    persons = ["No focal subject", *PERSONS[1:]]
    names, videos = list(BEHAVIOURS), list(LENGTHS)
    cursor = database.load_events_in_db(project, persons, videos, names)
    rows, _ = budget.time_budget_analysis(
        project["behaviors_conf"],
        cursor,
        videos,
        {
            "selected subjects": persons,
            "selected behaviors": names,
            "include modifiers": False,
            "exclude behaviors": False,
            "start time": Decimal(0),
            "end time": Decimal(str(sum(LENGTHS.values()))),
        },
    )
    return [dict(row) for row in rows]


def main() -> None:
    """Write the events and their time budget."""
    events = random_events(random.Random(SEED))
    content = {
        "boris": version("boris-behav-obs"),
        "seconds": LENGTHS,
        "events": events,
        "budget": budget_of(project_of(events)),
    }
    text = json.dumps(content, indent=None, default=float)
    text = text.replace('}, {"', '},\n{"').replace('": [{', '": [\n{') + "\n"
    Path(sys.argv[1]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

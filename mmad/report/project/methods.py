"""What was done in a project, as text for the methods section of a paper.

Every statement is read from the database; what was not done is not mentioned, or said to be so.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import mmad
from mmad.evaluation.blind.intervals import Estimates
from mmad.projects.agreement import Pair
from mmad.projects.budget import CorrectedFigures
from mmad.projects.project import Project
from mmad.projects.records import Instance, Source
from mmad.projects.study import Study
from mmad.report.project.quality import QualityReport
from mmad.wording import count, rounded

# An instance, and the name of its video.
_Placed = tuple[str, Instance]
_REFERENCES = {
    "chance": "De Vries, H., Elliott, M. N., Kanouse, D. E., & Teleki, S. S. (2008). Using pooled "
    "kappa to summarize interrater agreement across many items. Field Methods, 20(3), 272-282.",
    "gamma": "Fay, M. P., & Feuer, E. J. (1997). Confidence intervals for directly standardized "
    "rates: A method based on the gamma distribution. Statistics in Medicine, 16(7), 791-801.",
    "shares": "Korn, E. L., & Graubard, B. I. (1998). Confidence intervals for proportions with "
    "small expected number of positive counts estimated from survey data. Survey Methodology, "
    "24(2), 193-201.",
    "survey": "Särndal, C.-E., Swensson, B., & Wretman, J. (1992). Model assisted survey sampling. "
    "Springer.",
    "mover": "Zou, G. Y., & Donner, A. (2008). Construction of confidence limits about effect "
    "measures: A general approach. Statistics in Medicine, 27(10), 1693-1702.",
}


def methods_text(
    project: Project,
    *,
    source: Source | None,
    quality: QualityReport | None,
    corrected: CorrectedFigures | None,
    people: Sequence[Pair],
) -> str:
    """The text, in Markdown.

    Args:
        project: The project.
        source: The run of a model that the text is about, or None without any.
        quality: What its blind share says, or None without one.
        corrected: Figures corrected with it, or None.
        people: Agreement of people.
    """
    used: dict[str, None] = {}
    parts = [
        _videos(project) + " " + _model(project, source, quality),
        _decisions(project),
        _blind(project, quality, used),
        _people(people, used),
        _correction(corrected, used),
    ]
    body = "\n\n".join(part for part in parts if part)
    if quality is not None:
        used |= dict.fromkeys(("shares", "chance"))
    references = "\n".join(f"- {_REFERENCES[name]}" for name in sorted(used, key=_by_author))
    ending = f"\n\n## References\n\n{references}" if references else ""
    return f"# Methods\n\n{body}{ending}\n"


def _by_author(name: str) -> str:
    return _REFERENCES[name]


def _videos(project: Project) -> str:
    videos = project.catalogue.videos()
    minutes = sum(one.duration_seconds for one in videos) / 60
    persons = {one.person for one in videos if one.person}
    active = [one for one in project.catalogue.behaviours() if one.is_active]
    people = f" of {count(len(persons), 'person')}" if persons else ""
    text = (
        f"With mmad (version {mmad.__version__}), {count(len(active), 'behaviour', 'was')} coded "
        f"in {count(len(videos), 'video')}{people} ({rounded(minutes, 1)} min in all)."
    )
    conditions: dict[str, dict[str, None]] = {}
    for video in videos:
        for name, value in video.conditions.items():
            conditions.setdefault(name, {})[value] = None
    if conditions:
        told = "; ".join(f"{name}: {_listed(sorted(found))}" for name, found in conditions.items())
        text += f" The videos differed in {told}."
    return text


def _model(project: Project, source: Source | None, quality: QualityReport | None) -> str:
    if source is None:
        return "No model was used."
    settings = source.settings
    weights = str(settings.get("fingerprint", ""))[:12]
    text = (
        f"A model ({Path(source.model).name}{f', weights {weights}' if weights else ''}) searched "
        f"{'all' if source.num_videos == len(project.catalogue.videos()) else source.num_videos} "
        "of them"
    )
    if "min_score" in settings:
        text += f"; its detections with a score of at least {settings['min_score']:g} were kept"
    text += f" ({source.num_detections:,})"
    if quality is not None:
        text += f", and those of at least {quality.study.min_score:g} count in the figures below"
    others = [one for one in project.findings.sources() if one.id != source.id and one.num_videos]
    if others:
        names = _listed([Path(one.model).name for one in others])
        text += f". Detections of {count(len(others), 'other run')} ({names}) were also available"
    return f"{text}."


def _decisions(project: Project) -> str:
    told = []
    minutes = sum(one.duration_seconds for one in project.catalogue.videos()) / 60
    for annotator in project.decisions.annotators():
        instances = [
            (video.name, one)
            for video in project.catalogue.videos()
            for one in project.decisions.instances(video.name, annotator)
        ]
        parts = _counts(project, instances, has_blind=bool(project.blind.done(annotator)))
        reviewed = sum(
            one.end_seconds - one.start_seconds
            for one in project.decisions.reviewed(annotator)
            if not one.is_blind
        )
        if reviewed:
            share = 100 * reviewed / 60 / max(minutes, 1e-9)
            parts.append(
                f"looked at all of {rounded(reviewed / 60, 1)} min with the model's suggestions "
                f"({rounded(share, 1)} % of the time)"
            )
        if parts:
            told.append(f"{annotator} {_listed(parts)}.")
    if not told:
        return "Nobody has decided about a detection yet."
    return " ".join(told)


def _counts(project: Project, instances: Sequence[_Placed], *, has_blind: bool) -> list[str]:
    answers = [(video, one) for video, one in instances if one.detection is not None]
    accepted = [(video, one) for video, one in answers if one.state == "accepted"]
    rejected = sum(one.state == "rejected" for _, one in answers)
    merged = sum(one.state == "merged" for _, one in answers)
    drawn = len(instances) - len(answers)
    parts = []
    if answers:
        changed = sum(_is_changed(project, video, one) for video, one in accepted)
        how = f" ({changed} of them with other times or as another behaviour)" if changed else ""
        more = f" and joined {merged} to others" if merged else ""
        what = count(len(accepted), "detection")
        parts.append(f"accepted {what} of the model{how}, rejected {rejected}{more}")
    if drawn:
        among = " (those in the blind stretches among them)" if has_blind else ""
        parts.append(f"added {count(drawn, 'instance')} by hand{among}")
    return parts


def _is_changed(project: Project, video: str, one: Instance) -> bool:
    found = project.findings.detection(video, one.detection or 0)
    return found is None or (found.behaviour, found.start_seconds, found.end_seconds) != (
        one.behaviour,
        one.start_seconds,
        one.end_seconds,
    )


def _blind(project: Project, report: QualityReport | None, used: dict[str, None]) -> str:
    drawn = project.blind.stretches()
    if not drawn:
        return (
            "No part of the videos was coded without the model's suggestions, so the errors of the "
            "model on these videos are not known."
        )
    total = sum(one.duration_seconds for one in project.catalogue.videos())
    seconds = sum(one.seconds for one in drawn)
    text = (
        f"To measure the errors of the model on these videos, {count(len(drawn), 'stretch')} of "
        f"about {project.blind.stretch_seconds:g} s, {rounded(seconds / 60, 1)} min or "
        f"{rounded(100 * seconds / total, 1)} % of all time, were drawn at random, evenly over the "
        f"videos (seed {project.blind.seed}), to be coded without any suggestion."
    )
    if report is None:
        return f"{text} None of them has been coded."
    study = report.study
    done = len(study.blind)
    seen = len(project.blind.seen(study.annotator or ""))
    text += f" {study.annotator} coded {'all' if done == len(drawn) else done} of them"
    if seen:
        text += (
            f"; {count(seen, 'stretch')} that {study.annotator} had seen with suggestions before "
            "the drawing were left out"
        )
    figures = report.quality.figures
    text += (
        f". Against this coding, the model had a precision of {_estimate(figures['precision'])}, "
        f"a recall of {_estimate(figures['recall'])} and an F1 of {_estimate(figures['f1'])} over "
        "all behaviours, where a detection is right if it overlaps an instance of its behaviour "
        f"with a temporal intersection over union of at least {report.tiou:g}; Cohen's kappa, "
        f"pooled over behaviours and computed every {report.step_seconds:g} s, was "
        f"{_estimate(figures['kappa'])} (De Vries et al., 2008). Brackets give 95 % confidence "
        "intervals for what coding all of these videos would give (limits of Clopper and Pearson "
        "with effective sample sizes that account for the clustering of instances in stretches; "
        "Korn & Graubard, 1998)."
    )
    if report.pull is not None:
        pull = report.pull
        used["mover"] = None
        text += (
            f" Where {study.annotator} saw the suggestions ({count(len(study.shown), 'stretch')}), "
            f"F1 with the model was {_estimate(pull.shown)}, a difference of "
            f"{_estimate(pull.difference)} to the blind stretches (interval by Zou & Donner, 2008)."
        )
    return text


def _people(people: Sequence[Pair], used: dict[str, None]) -> str:
    told = []
    for pair in people:
        used |= dict.fromkeys(("shares", "chance"))
        figures = pair.quality.figures
        told.append(
            f"{_listed(pair.annotators)} coded the same {count(pair.num_stretches, 'stretch')} "
            f"without suggestions and without seeing each other's coding; their agreement was F1 = "
            f"{_estimate(figures['f1'])}, kappa = {_estimate(figures['kappa'])}."
        )
    return " ".join(told)


def _correction(corrected: CorrectedFigures | None, used: dict[str, None]) -> str:
    if corrected is None:
        return ""
    used |= dict.fromkeys(("survey", "gamma", "mover"))
    study: Study = corrected.study
    reviewed = " or reviewed with suggestions" if study.shown else ""
    return (
        "In the time budget, counts, rates, durations and shares of time were corrected for the "
        "errors of the model with the difference estimator of survey sampling (Särndal et al., "
        f"1992): to what {study.annotator} coded in the stretches that were coded blind{reviewed}, "
        "and what the model found in the rest of the time, the mean difference between coding and "
        "model in the blind stretches was added in proportion to that time. Confidence intervals "
        "(95 %) are for what coding all of these videos would give; they combine gamma limits "
        "(Fay & Feuer, 1997) of what the model missed and of what it found in excess (Zou & "
        "Donner, 2008), from the spread between stretches."
    )


def _estimate(one: Estimates) -> str:
    """The figure of all behaviours, with its interval."""
    value, low, high = (rounded(float(np.asarray(part)[-1])) for part in vars(one).values())
    return f"{value} [{low}, {high}]"


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + f" and {names[-1]}"

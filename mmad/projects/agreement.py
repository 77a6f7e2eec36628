"""How far people agree with each other in the stretches that both coded blind."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from mmad.evaluation.blind.quality import Quality, measure_quality
from mmad.projects.project import Project
from mmad.projects.study import Coded, coded_blind, tally_of


@dataclass(frozen=True, eq=False)
class Pair:
    """Two people who coded the same stretches, each without the model and the other.

    Attributes:
        annotators: Their names.
        num_stretches: Stretches that both coded.
        quality: The second against the first: F1 and kappa, which are the same either way.
    """

    annotators: tuple[str, str]
    num_stretches: int
    quality: Quality


def agreement_of_people(
    project: Project, *, tiou: float = 0.5, step_seconds: float = 0.1
) -> list[Pair]:
    """The agreement of each two people who coded at least two blind stretches in common.

    Args:
        project: The project.
        tiou: Lowest tIoU of a match.
        step_seconds: Time between two samples of kappa.
    """
    blind = project.blind
    behaviours = [one.id for one in project.catalogue.behaviours()]
    done = {one: blind.done(one) for one in project.decisions.annotators()}
    found = []
    for first, second in combinations([one for one in done if done[one]], 2):
        common = [one for one in blind.stretches() if one.id in done[first].keys() & done[second]]
        if len(common) < 2:
            continue
        a, b = (coded_blind(project, one, common, done[one]) for one in (first, second))
        counted = tally_of(a, _instances(b), behaviours, tiou=tiou, step_seconds=step_seconds)
        fraction = len(common) / max(len(blind.all_stretches()), 1)
        quality = measure_quality(counted, fraction=fraction)
        found.append(Pair((first, second), len(common), quality))
    return found


def _instances(stretches: Sequence[Coded]) -> list[tuple]:
    return [one.instances for one in stretches]

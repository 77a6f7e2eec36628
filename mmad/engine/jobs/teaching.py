"""Teaching in a project: from the decisions of people to a new source of detections."""

import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmad.checkpoint import save_tensors, trainable_state
from mmad.engine.runs.folder import FROZEN_HASH, create_run, save_frozen
from mmad.engine.score_curves import ScoreCurves
from mmad.engine.teaching.course import Course, folds_of, held_out, relabelled
from mmad.engine.teaching.head import CHECKPOINTS, Head
from mmad.engine.teaching.material import LEAST_TAUGHT, Material, material_of
from mmad.engine.teaching.nearest import examples_in, suggest
from mmad.engine.teaching.outcome import Outcome, detections_of
from mmad.errors import ProjectError
from mmad.files import cannot_write, write_json, write_text
from mmad.labels import flat_labels
from mmad.process_lock import held
from mmad.projects.findings import Result
from mmad.projects.project import Project
from mmad.projects.records import Curves
from mmad.structures import Detections

# Examples from which the nearest stretches of a behaviour are suggested.
LEAST_SUGGESTED = 3
RUNS = "runs"
_LOCK = "teaching"
_MIN_SCORE = 0.02


@dataclass(frozen=True)
class Taught:
    """What teaching has given.

    Attributes:
        source: Number of the new source.
        run: Folder of the run of the head; None if no behaviour has enough examples for one.
        heads: Numbers of the behaviours that the head detects.
        nearest: Of those whose nearest stretches are suggested.
        kept: Of those whose detections are those of the source before.
        num_detections: Number of detections.
        annotators: Whose decisions were learnt from.
        num_decisions: Number of these.
        num_steps: Steps of training of the head; 0 without one.
        precision: Average precision of each behaviour on videos that were not learnt from.
        precision_before: The same of the source before.
        notices: What the user should know.
        seconds: Duration, and processor_seconds.
    """

    source: int
    run: Path | None
    heads: tuple[int, ...]
    nearest: tuple[int, ...]
    kept: tuple[int, ...]
    num_detections: int
    annotators: tuple[str, ...]
    num_decisions: int
    num_steps: int
    precision: Mapping[int, float]
    precision_before: Mapping[int, float]
    notices: tuple[str, ...]
    seconds: float
    processor_seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "source": self.source,
            "run": None if self.run is None else self.run.name,
            "heads": list(self.heads),
            "nearest": list(self.nearest),
            "kept": list(self.kept),
            "num_detections": self.num_detections,
            "annotators": list(self.annotators),
            "num_decisions": self.num_decisions,
            "num_steps": self.num_steps,
            "precision": {str(key): value for key, value in self.precision.items()},
            "precision_before": {str(key): value for key, value in self.precision_before.items()},
            "notices": list(self.notices),
            "seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
        }


@dataclass
class Hearer:
    """Who hears how far teaching is.

    Attributes:
        stage: Called with what is done now.
        progress: Called with the fraction done of everything.
    """

    stage: Callable[[str], object] = lambda text: None
    progress: Callable[[float], object] = lambda fraction: None


def teach(
    project: Project,
    *,
    annotators: Collection[str] = (),
    seed: int = 0,
    hearer: Hearer | None = None,
) -> Taught:
    """Learn from the decisions in a project, and add a new source with detections in all videos.

    What people decided stays as it is, and so do older sources. Nothing is added unless all of it
    is there.

    Args:
        project: The project.
        annotators: Whose decisions; everybody's if empty.
        seed: Random seed.
        hearer: Who hears how far it is.

    Raises: ProjectError as `material_of`, or if no behaviour has enough examples; OutputError if
        another process is teaching in this project.
    """
    hearer = hearer or Hearer()
    began, worked = time.perf_counter(), time.process_time()
    with held(project.folder / _LOCK):
        hearer.stage("reading features")
        material = material_of(project, annotators=annotators)
        teaching = _Teaching(project, material, seed, hearer)
        return teaching.finish(lambda: (time.perf_counter() - began, time.process_time() - worked))


@dataclass
class _Teaching:
    """One teaching, step by step."""

    project: Project
    material: Material
    seed: int
    hearer: Hearer
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.notices += self.material.notices
        self.heads = self.material.taught_behaviours()
        counts = self.material.examples.counts()
        before = [one for one in self.project.findings.sources() if "taught" not in one.settings]
        self.before = before[-1].id if before else None
        self.threshold_before = before[-1].threshold if before else None
        known = self._known_before()
        self.few = tuple(
            sorted(
                one
                for one in counts
                if one not in self.heads
                and one not in known
                and self._marked(one) >= LEAST_SUGGESTED
            )
        )
        if not self.heads and not self.few:
            self._refuse(counts)

    def _marked(self, behaviour: int) -> int:
        return len(examples_in(self.material.usable, behaviour))

    def _known_before(self) -> set[int]:
        """The behaviours of which the source before has found something."""
        if self.before is None:
            return set()
        return {
            found.behaviour
            for video in self.material.videos
            for found in self.project.findings.detections(video.name, source=self.before)
        }

    def _refuse(self, counts: Mapping[int, int]) -> None:
        names = {one.id: one.name for one in self.project.catalogue.behaviours()}
        most = max(counts, key=lambda one: counts[one], default=None)
        has = (
            "nothing is accepted or drawn yet"
            if most is None
            else f"{names[most]} has most, {counts[most]}"
        )
        raise ProjectError(
            f"{self.project.folder}: too few decisions to learn from: a behaviour needs "
            f"{LEAST_TAUGHT} accepted or drawn examples in two videos, or {LEAST_SUGGESTED} for "
            f"first suggestions if no model knows it ({has}); decide with mmad review "
            f"{self.project.folder}"
        )

    def finish(self, spent: Callable[[], tuple[float, float]]) -> Taught:
        """Teach, detect, and add the source."""
        results = {video.name: _Found() for video in self.material.videos}
        kept: set[int] = set()
        outcome = self._teach_head(results) if self.heads else None
        if outcome is not None:
            kept |= outcome.worse
        self.hearer.stage("finding the nearest stretches")
        self._suggest(results)
        kept |= self._keep(results, {*self.heads, *self.few} - kept)
        found = {name: one.result() for name, one in results.items()}
        number = len(self.project.findings.sources()) + 1
        run = None
        heads = () if outcome is None else tuple(x for x in self.heads if x not in outcome.worse)
        threshold = self.threshold_before if outcome is None else outcome.threshold
        taught = {
            "annotators": list(self.material.examples.annotators),
            "heads": list(heads),
            "nearest": list(self.few),
            "before": self.before,
            "seed": self.seed,
        }
        if outcome is not None:
            run = self._write_run(number, outcome)
        name = "nearest stretches" if run is None else f"{RUNS}/{run.name}"
        source = self.project.findings.add_results(
            name, {"taught": taught}, found, threshold=threshold
        )
        self.hearer.progress(1.0)
        seconds, processor_seconds = spent()
        done = Taught(
            source,
            run,
            heads,
            self.few,
            tuple(sorted(kept)),
            sum(len(one.found) for one in found.values()),
            self.material.examples.annotators,
            self.material.examples.num_decisions,
            0 if outcome is None else outcome.head.num_steps,
            {} if outcome is None else outcome.precision,
            {} if outcome is None else outcome.precision_before,
            tuple(self.notices),
            seconds,
            processor_seconds,
        )
        if run is not None:
            write_json(run / "taught.json", done.to_json())
        return done

    def _teach_head(self, results: Mapping[str, "_Found"]) -> Outcome:
        course = self.material.course(self.heads, seed=self.seed)
        examples = self.material.usable
        folds = folds_of(examples, seed=self.seed)
        total = (len(folds) if len(folds) > 1 else 0) * CHECKPOINTS[-1] + CHECKPOINTS[-1]
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            self.hearer.progress(0.05 + 0.85 * min(1.0, done / total))

        judged = None
        num_steps = CHECKPOINTS[len(CHECKPOINTS) // 2]
        if len(folds) > 1:
            self.hearer.stage("learning, and judging on held-out videos")
            judged = held_out(course, examples, folds, CHECKPOINTS, on_step=step)
            num_steps = judged.num_steps
        else:
            self.notices.append(
                "decisions in one video only: it is not known how good the detections are; decide "
                "in another one, too"
            )
        self.hearer.stage("learning from all decisions")
        (head,) = course.teach(examples, [num_steps], step)
        outcome = Outcome.of(self.project, examples, course, head, judged, before=self.before)
        self.hearer.stage("detecting in all videos")
        self._detect(course, head, outcome, results)
        return outcome

    def _detect(
        self,
        course: Course,
        head: Head,
        outcome: Outcome,
        results: Mapping[str, "_Found"],
    ) -> None:
        used = [one not in outcome.worse for one in self.heads]
        detector = course.detector(head)
        for video in self.material.videos:
            curves = ScoreCurves(video.duration_seconds, len(self.heads))
            found = course.detect(detector, [video], on_outputs=curves)[video.name]
            found = outcome.calibrated(relabelled(found, self.heads))
            keep = (found.scores >= _MIN_SCORE) & ~np.isin(found.labels, sorted(outcome.worse))
            lasts = found.segments_seconds[:, 1] > found.segments_seconds[:, 0]
            results[video.name].add(found[keep & lasts])
            scores = curves.as_bytes()
            if scores is not None:
                shown = tuple(b for b, is_used in zip(self.heads, used, strict=True) if is_used)
                results[video.name].curves = Curves(curves.step_seconds, shown, scores[:, used])

    def _suggest(self, results: Mapping[str, "_Found"]) -> None:
        for behaviour in self.few:
            marked = examples_in(self.material.usable, behaviour)
            for name, found in suggest(self.material.sequences, marked, behaviour).items():
                results[name].add(found)

    def _keep(self, results: Mapping[str, "_Found"], taught: set[int]) -> set[int]:
        """Keep what the source before found of the behaviours that are not taught."""
        if self.before is None:
            return set()
        kept: set[int] = set()
        for name, one in results.items():
            found = detections_of(self.project, name, self.before)
            found = found[~np.isin(found.labels, sorted(taught))]
            kept |= set(found.labels.tolist())
            one.add(found)
            curves = self.project.findings.curves(name, source=self.before)
            if curves is not None:
                one.join(curves, without=taught)
        return kept

    def _write_run(self, number: int, outcome: Outcome) -> Path:
        """The folder of the run, complete or not there."""
        names = {one.id: one.name for one in self.project.catalogue.behaviours()}
        path = self.project.folder / RUNS / f"taught-{number}"
        partial = path.with_name(f".{path.name}")
        course = outcome.course
        try:
            for old in (partial, path):
                shutil.rmtree(old, ignore_errors=True)
            labels = flat_labels([names[one] for one in self.heads])
            folder = create_run(partial, course.config, labels=labels)
            network = course.detector(outcome.head)
            frozen = save_frozen(folder, network)
            save_tensors(folder.best, trainable_state(network), metadata={FROZEN_HASH: frozen})
            write_text(folder.features, course.source.manifest.to_json() + "\n")
            folder.append({"kind": "data", "fps": _rate(self.material)})
            partial.rename(path)
        except OSError as error:
            raise cannot_write(path, error) from None
        return path


def _rate(material: Material) -> float:
    return float(np.median([one.grid.fps for one in material.sequences.videos.values()]))


@dataclass
class _Found:
    """What the new source has in a video."""

    parts: list[Detections] = field(default_factory=list)
    curves: Curves | None = None

    def add(self, found: Detections) -> None:
        """Add detections, labelled with the numbers of the behaviours."""
        self.parts.append(found)

    def join(self, curves: Curves, *, without: set[int]) -> None:
        """Add the curves of other behaviours."""
        columns = [place for place, one in enumerate(curves.behaviours) if one not in without]
        behaviours = tuple(curves.behaviours[place] for place in columns)
        scores = curves.scores[:, columns]
        mine = self.curves
        if mine is None:
            self.curves = Curves(curves.step_seconds, behaviours, scores)
        elif mine.step_seconds == curves.step_seconds and len(mine.scores) == len(scores):
            self.curves = Curves(
                mine.step_seconds,
                (*mine.behaviours, *behaviours),
                np.concatenate((mine.scores, scores), axis=1),
            )

    def result(self) -> Result:
        """All of it."""
        whole = Detections(
            np.concatenate([one.segments_seconds for one in self.parts] or [np.zeros((0, 2))]),
            np.concatenate([one.labels for one in self.parts] or [np.zeros(0, dtype=np.int64)]),
            np.concatenate([one.scores for one in self.parts] or [np.zeros(0)]),
        )
        return Result(whole.by_score(), self.curves)

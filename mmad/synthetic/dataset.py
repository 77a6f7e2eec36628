"""Synthetic data sets: videos, annotations in the official formats, clips for recognition.

Layout of the folder: ``videos/``, ``annotations/mma52.json`` and
``annotations/{train,val,test}.csv``, ``subjects.csv``, ``clips/`` with
``annotations/ma52_{train,val,test}.txt``, with emotions ``annotations/emotions.csv`` and
``face_boxes/``, and ``synthesize.json`` with the settings.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from pydantic import Field, field_validator, model_validator

from mmad.annotations.clips.lists import write_clip_list
from mmad.annotations.emotions.lists import write_emotions
from mmad.annotations.mma52 import write_mma52_csv, write_mma52_json
from mmad.config.base import Settings
from mmad.errors import RESUME_HINT, ConfigError, told_if_interrupted
from mmad.files import remove_partials_in, write_csv, write_text
from mmad.labels import MA52
from mmad.parsing import json_value, read_text
from mmad.process_lock import LOCK_FILE, held
from mmad.progress import Progress
from mmad.structures import Annotations, ClipRecord, EmotionRecord, VideoRecord
from mmad.synthetic.domains import DOMAINS, DomainName, Filming
from mmad.synthetic.emotions import (
    SHARES,
    emotional_instances,
    emotional_weights,
    expression_at,
    mood_of,
)
from mmad.synthetic.motions import GLASSES_LABEL, pose_at
from mmad.synthetic.noise import NOISE, NoiseName, NoisyCamera
from mmad.synthetic.plan import (
    MA52_COUNTS,
    MMA52_COUNTS,
    VideoPlan,
    class_weights,
    plan_clip,
    plan_video,
)
from mmad.synthetic.render import Renderer
from mmad.synthetic.skeleton import Pose
from mmad.synthetic.subjects import make_subject
from mmad.video.faces.boxes import FaceBoxes, write_face_boxes
from mmad.video.writer import VideoWriter
from mmad.wording import count
from mmad.workers import LocalWorkers

SUBSETS = ("train", "val", "test")
SETTINGS_FILE = "synthesize.json"
FACE_BOXES = "face_boxes"

# Increased whenever the same settings give other pixels or annotations, so that old and new
# files are never mixed in a folder.
_GENERATOR_VERSION = 4
CLIPS_PER_SUBJECT = 52
# The same settings and versions of these give the same bytes; recorded, never compared.
_PACKAGES = {"av": av.__version__, "numpy": np.__version__, "opencv": cv2.__version__}


class SynthesisSettings(Settings):
    """Settings of a synthetic data set."""

    seed: int = Field(0, ge=0, description="seed of all random choices")
    train: int = Field(300, ge=0, description="training videos")
    val: int = Field(80, ge=0, description="validation videos")
    test: int = Field(80, ge=0, description="test videos")
    clips: int = Field(
        0, ge=0, description="training clips for recognition; val and test get a quarter"
    )
    videos_per_subject: int = Field(10, ge=1, description="approximate videos of a subject")
    first_subject: int = Field(
        0, ge=0, description="number of the first subject, to keep sets apart"
    )
    width: int = Field(112, ge=32, description="width in pixels, even")
    height: int = Field(112, ge=32, description="height in pixels, even")
    fps: int = Field(30, ge=5, le=120, description="frames per second of most videos")
    share_29fps: float = Field(
        0.18, ge=0, le=1, description="share of videos with one frame per second less"
    )
    min_seconds: float = Field(5.0, gt=0, description="shortest video")
    max_seconds: float = Field(15.0, gt=0, description="longest video")
    classes: tuple[int, ...] = Field(
        tuple(range(len(MA52))), min_length=1, description="labels that occur"
    )
    class_weights: Literal["mma52", "uniform"] = Field("mma52", description="long-tailed or equal")
    emotions: bool = Field(
        False, description="give each video an emotion, seen in its actions and its face"
    )
    domain: DomainName = Field(
        "room", description="place and camera: each person's room, or one that is harder"
    )
    noise: NoiseName = Field("none", description="noise of the sensor and flicker of the lamps")
    crf: int = Field(20, ge=0, le=51, description="quality of x264; lower is better")

    @field_validator("width", "height")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"H.264 needs even sides, found {value}")
        return value

    @field_validator("classes")
    @classmethod
    def _known(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= label < len(MA52) for label in value):
            raise ValueError(f"labels are 0 to {len(MA52) - 1}, found {list(value)}")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _ordered(self) -> "SynthesisSettings":
        if self.min_seconds > self.max_seconds:
            raise ValueError(
                f"min_seconds {self.min_seconds} is more than max_seconds {self.max_seconds}"
            )
        if self.emotions and self.domain != "room":
            raise ValueError(
                f"domain {self.domain}: boxes of faces do not follow its camera; leave out emotions"
            )
        return self


@dataclass(frozen=True)
class Job:
    """One video to be made."""

    path: Path
    subset: str
    subject: int
    plan: VideoPlan
    pixel_seed: tuple[int, ...]
    emotion: int | None = None

    @property
    def video_id(self) -> str:
        """Name of the file without its suffix."""
        return self.path.stem


@dataclass(frozen=True)
class SynthesisSummary:
    """Contents of a data set, and how many of its files this call wrote."""

    num_videos: int
    num_clips: int
    num_written: int
    num_instances: int


def synthesize(
    out: str | Path, settings: SynthesisSettings, *, num_workers: int = 1, overwrite: bool = False
) -> SynthesisSummary:
    """Make the data set in ``out``, or resume one that was interrupted.

    Finished videos are kept; annotations are written last.

    Raises: ConfigError if the folder contains something else, or a set with other settings unless
    ``overwrite``, or if there is no worker; OutputError if another process is writing to it.
    """
    out = Path(out)
    if num_workers < 1:
        raise ConfigError(f"workers: expected at least 1 process, found {num_workers}")
    with held(out), told_if_interrupted(RESUME_HINT):
        return _synthesize(out, settings, num_workers=num_workers, overwrite=overwrite)


def _synthesize(
    out: Path, settings: SynthesisSettings, *, num_workers: int, overwrite: bool
) -> SynthesisSummary:
    _claim_folder(out, settings, overwrite=overwrite)
    videos, clips = plan_videos(settings, out=out), plan_clips(settings, out=out)
    missing = [job for job in (*videos, *clips) if not job.path.exists()]
    tasks = [(job, settings) for job in missing]
    with Progress("synthesize", total=len(missing), unit="videos") as progress:
        try:
            LocalWorkers(num_workers).run(_write_video, tasks, lambda *_: progress.update())
        finally:
            for folder in (out / "videos", out / "clips", out / FACE_BOXES):
                remove_partials_in(folder)
    _write_annotations(out, videos, clips)
    return SynthesisSummary(
        num_videos=len(videos),
        num_clips=len(clips),
        num_written=len(missing),
        num_instances=sum(len(job.plan.instances) for job in videos),
    )


def plan_videos(settings: SynthesisSettings, *, out: Path) -> list[Job]:
    """All untrimmed videos; no subject is in two subsets."""
    weights = class_weights(settings.class_weights, classes=settings.classes, counts=MMA52_COUNTS)
    jobs = []
    for code, (subset, subjects) in enumerate(_subjects(settings).items()):
        for index in range(getattr(settings, subset)):
            rng = np.random.default_rng((settings.seed, code, index))
            emotion = None
            if settings.emotions:
                drawn = np.random.default_rng((settings.seed, 20 + code, index))
                emotion = int(drawn.choice(len(SHARES), p=SHARES))
            plan = plan_video(
                weights=weights if emotion is None else emotional_weights(weights, emotion),
                fps=settings.fps - int(rng.random() < settings.share_29fps),
                min_seconds=settings.min_seconds,
                max_seconds=settings.max_seconds,
                rng=rng,
                number=1.0 if emotion is None else mood_of(emotion).number,
            )
            if emotion is not None:
                plan = replace(plan, instances=emotional_instances(plan.instances, emotion))
            path = out / "videos" / f"{subset}{index:04d}.mp4"
            subject = subjects[index % len(subjects)]
            pixel_seed = (settings.seed, code, index, 1)
            jobs.append(Job(path, subset, subject, plan, pixel_seed, emotion))
    return jobs


def num_clips(settings: SynthesisSettings, subset: str) -> int:
    """Number of clips of a subset."""
    return settings.clips if subset == "train" else settings.clips // 4


def plan_clips(settings: SynthesisSettings, *, out: Path) -> list[Job]:
    """All clips that show a single action."""
    weights = class_weights(settings.class_weights, classes=settings.classes, counts=MA52_COUNTS)
    jobs = []
    for code, (subset, subjects) in enumerate(_subjects(settings).items()):
        for index in range(num_clips(settings, subset)):
            rng = np.random.default_rng((settings.seed, 10 + code, index))
            label = int(rng.choice(len(weights), p=weights))
            plan = plan_clip(label, fps=settings.fps, rng=rng)
            path = out / "clips" / f"{subset}_{index:05d}.mp4"
            subject = subjects[index % len(subjects)]
            jobs.append(Job(path, subset, subject, plan, (settings.seed, 10 + code, index, 1)))
    return jobs


def _subjects(settings: SynthesisSettings) -> dict[str, list[int]]:
    """Numbers of the subjects of each subset; the subsets are disjoint.

    Sets with clips only need subjects, too: one for as many clips as there are classes.
    """
    first, result = settings.first_subject, {}
    for subset in SUBSETS:
        for_videos = round(getattr(settings, subset) / settings.videos_per_subject)
        for_clips = round(num_clips(settings, subset) / CLIPS_PER_SUBJECT)
        count = max(2, for_videos, for_clips)
        result[subset] = list(range(first, first + count))
        first += count
    return result


def _claim_folder(out: Path, settings: SynthesisSettings, *, overwrite: bool) -> None:
    wanted = {"version": _GENERATOR_VERSION, **settings.model_dump(mode="json")}
    if not settings.emotions:  # sets without them are those of earlier versions
        del wanted["emotions"]
    if settings.noise == "none":
        del wanted["noise"]
    if settings.domain == "room":
        del wanted["domain"]
    marker = out / SETTINGS_FILE
    if overwrite and marker.exists():
        _remove_set(out)
    elif marker.exists():
        _compare_settings(marker, wanted)
        return
    elif out.exists() and any(path.name != LOCK_FILE for path in out.iterdir()):
        raise ConfigError(
            f"{out}: is not empty and was not made by mmad synthesize; choose another folder"
        )
    write_text(marker, json.dumps({**wanted, "packages": _PACKAGES}, indent=1) + "\n")


def _compare_settings(marker: Path, wanted: dict) -> None:
    try:
        found = json_value(marker, read_text(marker, error=ConfigError), error=ConfigError)
    except ConfigError as error:
        raise ConfigError(f"{error}; pass --overwrite to make the set again") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{marker}: expected settings, found {found!r:.60}; pass --overwrite")
    found.pop("packages", None)
    differing = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
    if differing:
        changes = ", ".join(f"{k} {found.get(k)} -> {wanted.get(k)}" for k in differing)
        raise ConfigError(
            f"{marker.parent}: was made with other settings ({changes:.200}); choose another "
            "folder or pass --overwrite"
        )


def _remove_set(out: Path) -> None:
    """Remove what `synthesize` writes, and nothing else.

    The settings stay until they are replaced, so that the folder is recognised after an
    interruption.
    """
    for folder in (out / "videos", out / "clips", out / "annotations", out / FACE_BOXES):
        if folder.exists():
            shutil.rmtree(folder)
    (out / "subjects.csv").unlink(missing_ok=True)


def _write_video(task: tuple[Job, SynthesisSettings]) -> None:
    job, settings = task
    cv2.setNumThreads(1)
    rng = np.random.default_rng(job.pixel_seed)
    subject = make_subject(job.subject)
    domain = DOMAINS[settings.domain]
    around = np.random.default_rng((*job.pixel_seed, 4))
    size = {"width": settings.width, "height": settings.height}
    scene = None if domain.scene is None else domain.scene(**size, fps=job.plan.fps, rng=around)
    pushes_glasses = any(instance.label == GLASSES_LABEL for instance in job.plan.instances)
    renderer = Renderer(
        subject,
        **size,
        rng=rng,
        glasses=subject.glasses or pushes_glasses,
        scene=scene,
        elevation=domain.camera.elevation,
        zoom=domain.camera.zoom,
    )
    idle = float(rng.uniform(0, 6.28))
    poses = _poses(job, slouch=subject.slouch, idle=idle)
    if job.emotion is not None:
        boxes = [renderer.face_box(pose) for pose in poses]
        path = job.path.parent.parent / FACE_BOXES / f"{job.video_id}.csv"
        write_face_boxes(path, job.video_id, _face_boxes(boxes))
    own = np.random.default_rng((*job.pixel_seed, 3))
    camera = NoisyCamera(NOISE[settings.noise], fps=job.plan.fps, rng=own)
    filming = Filming(domain.camera, fps=job.plan.fps, rng=around)
    with VideoWriter(
        job.path, fps=job.plan.fps, width=settings.width, height=settings.height, crf=settings.crf
    ) as writer:
        for pose in poses:
            writer.write(camera(filming(renderer.frame(pose))))


def _poses(job: Job, *, slouch: float, idle: float) -> list[Pose]:
    """The pose of each frame."""
    instances = list(job.plan.instances)
    times = [frame / job.plan.fps for frame in range(job.plan.num_frames)]
    poses = [pose_at(seconds, instances, slouch=slouch, idle=idle) for seconds in times]
    if job.emotion is not None:
        # Some faces show little, so that the body is needed.
        rng = np.random.default_rng((*job.pixel_seed, 2))
        strength, phase = float(rng.uniform(0.1, 1.0)), float(rng.uniform(0, 6.28))
        for pose, seconds in zip(poses, times, strict=True):
            pose.expression = expression_at(seconds, job.emotion, strength=strength, phase=phase)
    return poses


def _face_boxes(boxes: Sequence[tuple[float, float, float, float] | None]) -> FaceBoxes:
    frames = [frame for frame, box in enumerate(boxes) if box is not None]
    found = [box for box in boxes if box is not None]
    return FaceBoxes(np.array(frames, dtype=np.int64), np.array(found).reshape(-1, 4))


def record_of(job: Job) -> VideoRecord:
    """The annotated record of a video, in whole frames as in the published files."""
    fps, frames = job.plan.fps, job.plan.num_frames
    segments, labels = [], []
    for instance in job.plan.instances:
        start = round(instance.start_seconds * fps)
        end = min(max(round(instance.end_seconds * fps), start + 1), frames)
        segments.append((start / fps, end / fps))
        labels.append(instance.label)
    return VideoRecord(
        video_id=job.video_id,
        duration_seconds=frames / fps,
        subset=job.subset,
        fps=float(fps),
        num_frames=frames,
        subject=f"s{job.subject:04d}",
        annotations=Annotations(np.array(segments), np.array(labels)),
    )


def _emotion_record(job: Job) -> EmotionRecord:
    """The record of a video with its emotion and set of actions."""
    return EmotionRecord(
        job.video_id,
        job.emotion,
        tuple(sorted({instance.label for instance in job.plan.instances})),
        job.subset,
        duration_seconds=job.plan.duration_seconds,
        subject=f"s{job.subject:04d}",
    )


def _write_annotations(out: Path, videos: Sequence[Job], clips: Sequence[Job]) -> None:
    folder = out / "annotations"
    records = [record_of(job) for job in videos]
    if records:
        write_mma52_json(folder / "mma52.json", records)
    felt = [_emotion_record(job) for job in videos if job.emotion is not None]
    if felt:
        write_emotions(folder / "emotions.csv", felt, labels=MA52)
    for subset in SUBSETS:
        chosen = [record for record in records if record.subset == subset]
        if chosen:
            write_mma52_csv(folder / f"{subset}.csv", chosen)
        listed = [
            ClipRecord(job.path.name, job.plan.instances[0].label, subset)
            for job in clips
            if job.subset == subset
        ]
        if listed:
            write_clip_list(folder / f"ma52_{subset}.txt", listed, labels=MA52)
    rows = [(job.video_id, f"s{job.subject:04d}") for job in (*videos, *clips)]
    write_csv(out / "subjects.csv", header=("video_id", "subject"), rows=rows)


def describe(summary: SynthesisSummary) -> str:
    """The summary as one line."""
    counts = asdict(summary)
    return (
        f"{count(counts['num_videos'], 'video')} with "
        f"{count(counts['num_instances'], 'instance')} and {count(counts['num_clips'], 'clip')} "
        f"({counts['num_written']} written now)"
    )

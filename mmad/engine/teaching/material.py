"""What a project can be taught from: decisions, and the stored features of its videos."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mmad.data.features.files import FeatureFile
from mmad.engine.teaching.course import Course
from mmad.engine.teaching.head import head_config
from mmad.engine.teaching.sequences import Sequences, read_sequences
from mmad.errors import ProjectError
from mmad.files import sha256_of
from mmad.projects.examples import Examples, VideoExamples, examples_of
from mmad.projects.project import Project
from mmad.projects.records import ProjectVideo
from mmad.wording import count, listed

# Examples of a behaviour, in two videos or more, from which a head learns it.
LEAST_TAUGHT = 10


@dataclass(frozen=True, eq=False)
class Material:
    """What is taught from.

    Attributes:
        examples: What people's decisions say.
        videos: The videos whose features are stored and current.
        features: The features.
        sequences: The same, as short sequences.
        notices: What the user should know.
    """

    examples: Examples
    videos: tuple[ProjectVideo, ...]
    features: FeatureFile
    sequences: Sequences
    notices: tuple[str, ...]

    @property
    def usable(self) -> dict[str, VideoExamples]:
        """The examples in videos with features."""
        names = {video.name for video in self.videos}
        return {name: one for name, one in self.examples.videos.items() if name in names}

    def course(self, behaviours: Sequence[int], *, seed: int) -> Course:
        """What a head for some behaviours is taught from."""
        config = head_config(
            self.features.path, steps_per_stored=self.sequences.steps_per_stored, seed=seed
        )
        return Course(self.features, self.sequences, config, tuple(behaviours))

    def taught_behaviours(self) -> tuple[int, ...]:
        """Those with enough examples for a head."""
        counts: dict[int, int] = {}
        videos: dict[int, set[str]] = {}
        for name, one in self.usable.items():
            for span in one.present:
                assert span.behaviour is not None
                counts[span.behaviour] = counts.get(span.behaviour, 0) + 1
                videos.setdefault(span.behaviour, set()).add(name)
        return tuple(
            sorted(one for one, n in counts.items() if n >= LEAST_TAUGHT and len(videos[one]) > 1)
        )


def material_of(project: Project, *, annotators: Collection[str] = ()) -> Material:
    """What can be taught from in a project.

    Raises: ProjectError if nothing was decided, or no features are stored; FeatureError if they
        cannot be read.
    """
    examples = examples_of(project, annotators=annotators)
    features = stored_features(project)
    notices = []
    current, stale, missing = [], [], []
    broken = project.catalogue.problems_of_videos()
    there = set(features.video_ids())
    for video in project.catalogue.videos():
        if video.name not in there:
            missing.append(video.name)
        elif video.name in broken or not _is_current(features, video):
            stale.append(video.name)
        else:
            current.append(video)
    if stale:
        notices.append(
            f"{listed(stale)}: gone, or not the video that was coded; left out (mmad project show "
            f"{project.folder} says more)"
        )
    if missing:
        notices.append(
            f"{count(len(missing), 'video')} without features, such as {missing[0]}: left out; "
            "mmad project add extracts them"
        )
    if examples.conflicts:
        first = ", ".join(examples.conflicts[:3])
        notices.append(
            f"people contradict each other about {count(len(examples.conflicts), 'decision')} "
            f"({first}), which are left out; pass --annotator to choose whose count"
        )
    if not current:
        raise ProjectError(
            f"{project.folder}: no video has current features; run mmad project add "
            f"{project.folder} again"
        )
    sequences = read_sequences(features, current)
    return Material(examples, tuple(current), features, sequences, tuple(notices))


def stored_features(project: Project) -> FeatureFile:
    """The newest stored features of a project.

    Raises: ProjectError if there are none, FeatureError if they are damaged.
    """
    for extractor in reversed(project.findings.extractors()):
        if extractor.path.is_file():
            return FeatureFile(extractor.path)
    raise ProjectError(
        f"{project.folder}: has no stored features; mmad project add {project.folder} --checkpoint "
        "RUN extracts them, with --features-only from any run or config"
    )


def _is_current(features: FeatureFile, video: ProjectVideo) -> bool:
    """Whether the features are those of the video that was coded, wherever it was copied to."""
    stored, state = features.video(video.name), video.path.stat()
    if stored.source_bytes not in (None, video.num_bytes):
        return False
    return (
        stored.source_mtime_ns in (None, state.st_mtime_ns) or sha256_of(video.path) == video.sha256
    )

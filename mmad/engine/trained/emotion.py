"""A trained network of emotions, and the faces of the videos that it is given."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from mmad.annotations.emotions.lists import read_emotion_lists
from mmad.config.base import changed
from mmad.config.emotion import EmotionConfig
from mmad.config.reading import with_max_missing
from mmad.data.emotion_videos import FaceAndBody
from mmad.engine.emotion import videos_of, with_files
from mmad.engine.emotion_inference import RecognizedEmotions, recognize_emotions
from mmad.engine.runs.changes import require_same_model
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_emotion
from mmad.errors import CheckpointError, VideoError
from mmad.labels import LabelMap
from mmad.models.emotion.network import EmotionNetwork
from mmad.progress import Listener, watched
from mmad.structures import EmotionRecord
from mmad.video.faces.copies import face_videos
from mmad.video.faces.search import FaceSearch
from mmad.video.find import video_id_of


@dataclass(frozen=True)
class FaceChoice:
    """Where the faces of videos are from; at most one is set.

    Attributes:
        copies: Folder that ``mmad data faces`` has written.
        model: File of YuNet.
        boxes: File or folder of boxes.
    """

    copies: Path | None = None
    model: Path | None = None
    boxes: Path | None = None

    def check(self) -> None:
        """Raise VideoError if several are set."""
        given = [one for one in (self.copies, self.model, self.boxes) if one is not None]
        if len(given) > 1:
            raise VideoError("pass one of --faces DIR, --face-model FILE and --face-boxes FILE")

    def __bool__(self) -> bool:
        return any(one is not None for one in (self.copies, self.model, self.boxes))


@dataclass(frozen=True, eq=False)
class TrainedEmotion:
    """A run of emotion, ready to use.

    Attributes:
        folder: Run folder.
        config: Settings of the run.
        labels: Labels of the actions that it was trained on.
        device: Device to compute on.
    """

    folder: RunFolder
    config: EmotionConfig
    labels: LabelMap
    device: torch.device

    @cached_property
    def network(self) -> EmotionNetwork:
        """The network.

        Raises: CheckpointError as `load_emotion`.
        """
        return load_emotion(self.folder.path)[0].to(self.device)

    def read(self) -> None:
        """Read the network now.

        Raises: CheckpointError as `load_emotion`.
        """
        _ = self.network

    def recognize(
        self,
        videos: Sequence[Path],
        *,
        faces: FaceChoice,
        max_missing: float | None = None,
        progress: bool | Listener = True,
    ) -> RecognizedEmotions:
        """Emotions and actions of videos, with those that could not be read.

        Args:
            videos: Video files of different names.
            faces: Where their faces are from, if the network reads faces.
            max_missing: Share of missing frames above which a video fails; None: the run's.
            progress: Show the progress, or a function of the fraction done.

        Raises: VideoError if the network reads faces and it is not said where they are, or two
            videos have the same name.
        """
        faces.check()
        reads_faces = self.config.network.reads_faces
        if reads_faces and not faces:
            raise VideoError(
                f"{self.folder.path}: reads faces, too; pass --face-model FILE (YuNet, see mmad "
                "data faces --help), --face-boxes FILE, or --faces DIR with copies of mmad data "
                "faces"
            )
        names = [video_id_of(path) for path in videos]
        if len(set(names)) < len(names):
            raise VideoError("two videos have the same name; recognise them in separate calls")
        config = with_max_missing(self.config, max_missing)
        shown = progress is True
        with _copies(faces if reads_faces else None, videos, shown=shown) as (folder, notices):
            config = changed(config, data=changed(config.data, faces=folder))
            records = [
                EmotionRecord(name, None, (), "test", path=path)
                for name, path in zip(names, videos, strict=True)
            ]
            found = self._scores("recognize", with_files(config, records), config, progress)
        return replace(found, notices=[*notices, *found.notices])

    def predict(
        self, wanted: EmotionConfig, subset: str, *, progress: bool | Listener = True
    ) -> tuple[list[EmotionRecord], RecognizedEmotions]:
        """The videos of a subset of the lists, and their emotions and actions.

        Args:
            wanted: Settings of the run, changed in data and inference only.
            subset: Subset of the lists.
            progress: As in `recognize`.

        Raises: CheckpointError if settings of the model were changed; as `videos_of`.
        """
        path = self.folder.path
        listed = read_emotion_lists(wanted.data.annotations, labels=self.labels)
        videos = videos_of(wanted, listed, [subset])
        require_same_model(path, self.config, wanted, ("backbone", "network"))
        if self.config.data.without_parts != wanted.data.without_parts:
            raise CheckpointError(f"{path}: data.without_parts changes the model; train another")
        found = self._scores("predict", videos, wanted, progress)
        return [one.record for one in videos], found

    def _scores(
        self,
        task: str,
        videos: Sequence[FaceAndBody],
        config: EmotionConfig,
        progress: bool | Listener,
    ) -> RecognizedEmotions:
        network = self.network
        with watched(task, progress, total=len(videos), unit="videos") as shown:
            return recognize_emotions(
                network,
                videos,
                config,
                labels=self.labels,
                subset="test",
                device=self.device,
                progress=shown.update,
            )


@contextmanager
def _copies(
    faces: FaceChoice | None, videos: Sequence[Path], *, shown: bool
) -> Iterator[tuple[str | None, list[str]]]:
    """The folder of the face copies of the videos, which are made if they are not there yet, and
    notices about them.
    """
    if faces is None or faces.copies is not None:
        yield None if faces is None else str(faces.copies), []
        return
    with tempfile.TemporaryDirectory() as folder:
        with watched("faces", shown, total=len(videos), unit="videos") as progress:
            made = face_videos(
                videos,
                Path(folder),
                model=faces.model,
                boxes=faces.boxes,
                on_done=lambda _: progress.update(),
                search=FaceSearch(),
            )
        if made.failed:
            raise VideoError("\n".join(made.failed.values()))
        yield folder, [notice for copy in made.written for notice in copy.notices]

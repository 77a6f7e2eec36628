"""Data sets for emotions: frames of the whole images of a video and of its face, at the same times.

Shapes: N views of videos, F frames of a view, K actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.emotion import EmotionDataSettings
from mmad.config.views import Subset, Views, ViewSettings
from mmad.data.clip_transform import Change, draw_look
from mmad.data.face_copies import frames_at_same_times, frames_with_face
from mmad.data.frame_sampling import Sampling
from mmad.data.frames import FrameCache, FrameSource
from mmad.data.samples import Batch, FailedVideo, Sample, pack
from mmad.data.transforms import colour_map, subtract_background
from mmad.data.views import cut_views, evaluation_crops, whole
from mmad.errors import AnnotationError, VideoError
from mmad.structures import EmotionRecord, FeatureGrid
from mmad.video.index import index_video
from mmad.video.reading import ReadVideo


@dataclass(frozen=True)
class FaceAndBody:
    """The files of a video.

    Attributes:
        record: The video; its path is None if no whole images are read.
        face: Its face copy; None if no faces are read.
    """

    record: EmotionRecord
    face: Path | None


@dataclass(frozen=True, eq=False)
class EmotionSample:
    """The views of one video.

    Attributes:
        bodies, faces: Whole images, and images of the face; None if they are not read.
        has_face: Whether there is a face in each frame of each view, (N, F).
        emotion: Index of the emotion; -1 if it is not known.
        actions: 1 for each action of the video that is learnt, else 0, (K,).
    """

    bodies: Sample | None
    faces: Sample | None
    has_face: NDArray[np.bool_]
    emotion: int
    actions: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EmotionBatch:
    """The views of several videos, packed; fields as in `EmotionSample`."""

    bodies: Batch | None
    faces: Batch | None
    has_face_NF: Tensor
    emotions: Tensor
    actions_K: Tensor

    @property
    def images(self) -> Batch:
        """One of both batches, for what they have in common."""
        found = self.faces if self.bodies is None else self.bodies
        assert found is not None
        return found

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "EmotionBatch":
        """The batch on ``device``."""
        bodies, faces = (
            None if one is None else one.to(device) for one in (self.bodies, self.faces)
        )
        return EmotionBatch(
            bodies,
            faces,
            self.has_face_NF.to(device),
            self.emotions.to(device),
            self.actions_K.to(device),
        )

    def pin_memory(self) -> "EmotionBatch":
        """The batch with its images in pinned memory."""
        bodies, faces = (
            None if one is None else one.pin_memory() for one in (self.bodies, self.faces)
        )
        return replace(self, bodies=bodies, faces=faces)


@dataclass(frozen=True)
class EmotionPacker:
    """The collate function of a loader, as `mmad.data.samples.Packer`.

    Attributes:
        clip_frames: F.
    """

    clip_frames: int

    def __call__(
        self, items: Sequence[EmotionSample | FailedVideo]
    ) -> tuple[EmotionBatch | None, list[FailedVideo]]:
        """The batch of the samples (None if there are none) and the failures."""
        samples = [item for item in items if isinstance(item, EmotionSample)]
        failures = [item for item in items if isinstance(item, FailedVideo)]
        if not samples:
            return None, failures
        bodies, faces = (
            pack(found, clip_frames=self.clip_frames) if found else None
            for found in (
                [one.bodies for one in samples if one.bodies is not None],
                [one.faces for one in samples if one.faces is not None],
            )
        )
        batch = EmotionBatch(
            bodies,
            faces,
            torch.from_numpy(np.concatenate([one.has_face for one in samples])),
            torch.tensor([one.emotion for one in samples]),
            torch.from_numpy(np.stack([one.actions for one in samples])),
        )
        return batch, failures


class _Images:
    """Images of one branch: of the videos, or of their face copies.

    Args:
        settings: Settings that they are read with.
        backbone: Settings of the backbone that they are for.
        training: Whether frames are decoded with a margin for random crops.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        settings: ViewSettings,
        backbone: BackboneFamilySettings,
        *,
        training: bool,
        cache: FrameCache,
    ) -> None:
        self.settings = settings
        self._backbone = backbone
        self._source = FrameSource(settings, training=training, cache=cache)

    def read(self, path: Path, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of these frames."""
        self._source.check(path)
        images = self._source.read(path, np.arange(index_video(path).num_frames), frames)
        return subtract_background(images) if self.settings.subtract_background else images

    def found(self, path: Path) -> ReadVideo:
        """What reading a file has shown."""
        return self._source.found(path)

    def draw_look(
        self, images: NDArray[np.uint8], *, seed: int, rng: np.random.Generator
    ) -> tuple[Change, NDArray[np.float32]]:
        """A random transform, and the map of colours."""
        return draw_look(
            images,
            self.settings,
            whole(images, self.settings),
            statistics=self._backbone.colours,
            seed=seed,
            rng=rng,
        )

    def views(self, video_id: str, path: Path, frames: NDArray[np.int64], views: Views) -> Sample:
        """All views of a video, without augmentation."""
        images = self.read(path, frames)
        colour = colour_map(images, self._backbone.colours)
        return self.sample(video_id, path, images, evaluation_crops(images, views), colour)

    def sample(
        self,
        video_id: str,
        path: Path,
        images: NDArray[np.uint8],
        crops: Sequence[Change],
        colour: NDArray[np.float32],
        *,
        later: bool = False,
    ) -> Sample:
        """The images as the network sees them, or with the crop still to be made ``later``."""
        length = self._backbone.images_per_clip
        frames = images if later else cut_views(images, crops, images_per_view=length)
        video = index_video(path)
        steps = length // self._backbone.frames_per_step
        grid = FeatureGrid(video.fps, video.num_frames / steps, steps)
        change = crops[0] if later else None
        return Sample(
            video_id, frames, len(frames), colour, grid, change=change, read=self.found(path)
        )


class _Videos(Dataset):
    """Common base of the data sets for training and evaluation.

    Args:
        videos: Videos with the files that are read.
        settings: Data settings.
        backbone: Settings of the backbones that the frames are for.
        labels: Indices of the actions that are learnt.
        views: Subset whose views are read; None for training, with a margin for random crops.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        videos: Sequence[FaceAndBody],
        settings: EmotionDataSettings,
        *,
        backbone: BackboneFamilySettings,
        labels: Sequence[int],
        views: Subset | None = None,
        cache: FrameCache | None = None,
    ) -> None:
        self.videos = list(videos)
        self._settings = settings
        self._backbone = backbone
        self._labels = list(labels)
        self._sampling = Sampling.of(settings, backbone)
        cache = cache or FrameCache(budget_gb=settings.cache_gb)
        self._bodies, self._faces = (
            _Images(
                one if views is None else one.views(views).settings,
                backbone,
                training=views is None,
                cache=cache,
            )
            for one in (settings, settings.of_faces)
        )
        self._has_face: dict[Path, NDArray[np.bool_]] = {}

    def _main(self, video: FaceAndBody) -> Path:
        """The file whose frames are counted."""
        path = video.record.path or video.face
        assert path is not None
        return path

    def _face_frames(
        self, video: FaceAndBody, frames: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The frames of the face copy, and whether there is a face in each."""
        if video.face is None:
            return frames, np.ones(len(frames), dtype=bool)
        if video.record.path is not None:
            frames = frames_at_same_times(video.record.path, video.face, frames)
        if video.face not in self._has_face:
            self._has_face[video.face] = frames_with_face(video.face)
        return frames, self._has_face[video.face][frames]

    def _sample(
        self,
        video: FaceAndBody,
        bodies: Sample | None,
        faces: Sample | None,
        has_face: NDArray[np.bool_],
    ) -> EmotionSample:
        emotion = video.record.emotion
        actions = np.isin(self._labels, video.record.actions).astype(np.float32)
        per_view = has_face.reshape(-1, self._backbone.clip_frames)
        return EmotionSample(bodies, faces, per_view, -1 if emotion is None else emotion, actions)


class TrainingEmotions(_Videos):
    """Random frames of each video; the same ones for the same seed, epoch and index.

    Args:
        videos, settings, backbone, labels, cache: As in `EvaluationEmotions`.
        seed: Random seed of the run.
    """

    def __init__(
        self,
        videos: Sequence[FaceAndBody],
        settings: EmotionDataSettings,
        *,
        backbone: BackboneFamilySettings,
        labels: Sequence[int],
        seed: int,
        cache: FrameCache | None = None,
    ) -> None:
        super().__init__(videos, settings, backbone=backbone, labels=labels, cache=cache)
        self._seed = seed

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> EmotionSample | FailedVideo:
        """Video ``index`` in ``epoch``."""
        rng = np.random.default_rng((self._seed, *epoch_and_index))
        video = self.videos[epoch_and_index[1]]
        try:
            return self._training_sample(video, rng)
        except (VideoError, AnnotationError) as error:
            return FailedVideo(video.record.video_id, str(error))

    def _training_sample(self, video: FaceAndBody, rng: np.random.Generator) -> EmotionSample:
        frames = self._sampling.training(index_video(self._main(video)).num_frames, rng=rng)
        of_face, has_face = self._face_frames(video, frames)
        name, path, face = video.record.video_id, video.record.path, video.face
        later = self._settings.augment_on == "device"
        bodies = faces = None
        look: tuple[Change, NDArray[np.float32]] | None = None
        if path is not None:
            images = self._bodies.read(path, frames)
            look = self._bodies.draw_look(images, seed=self._seed, rng=rng)
            bodies = self._bodies.sample(name, path, images, [look[0]], look[1], later=later)
        if face is not None:
            images = self._faces.read(face, of_face)
            change, colour = self._faces.draw_look(images, seed=self._seed, rng=rng)
            if look is not None:  # one camera sees both, in the same mirror and light
                change, colour = replace(change, flip=look[0].flip), look[1]
            faces = self._faces.sample(name, face, images, [change], colour, later=later)
        return self._sample(video, bodies, faces, has_face)


class EvaluationEmotions(_Videos):
    """Several views of each video.

    Args:
        videos: Videos with the files that are read.
        settings: Data settings.
        backbone: Settings of the backbones that the frames are for.
        labels: Indices of the actions that are learnt.
        subset: Whose views are read.
        cache: Cache of decoded frames.
    """

    def __init__(
        self,
        videos: Sequence[FaceAndBody],
        settings: EmotionDataSettings,
        *,
        backbone: BackboneFamilySettings,
        labels: Sequence[int],
        subset: Subset,
        cache: FrameCache | None = None,
    ) -> None:
        super().__init__(
            videos, settings, backbone=backbone, labels=labels, views=subset, cache=cache
        )
        self._of_bodies = settings.views(subset)
        self._of_faces = settings.of_faces.views(subset)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> EmotionSample | FailedVideo:
        """The views of video ``index``."""
        video = self.videos[index]
        try:
            return self._evaluation_sample(video)
        except (VideoError, AnnotationError) as error:
            return FailedVideo(video.record.video_id, str(error))

    def _evaluation_sample(self, video: FaceAndBody) -> EmotionSample:
        views = self._of_bodies
        count = index_video(self._main(video)).num_frames
        frames = self._sampling.evaluation(count, num_views=views.num_clips).reshape(-1)
        of_face, has_face = self._face_frames(video, frames)
        path, face = video.record.path, video.face
        name = video.record.video_id
        bodies = None if path is None else self._bodies.views(name, path, frames, views)
        faces = None if face is None else self._faces.views(name, face, of_face, self._of_faces)
        # As the crops: all of the first stretch in time, then all of the next.
        by_stretch = has_face.reshape(views.num_clips, -1)
        has_face = np.repeat(by_stretch, views.num_crops, axis=0)
        return self._sample(video, bodies, faces, has_face)

"""`load` and `Model`: a trained run, from Python."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, overload

from mmad.api.calls import Place, path_or_none, paths_of, public, warn
from mmad.api.extraction import Features, extract_to, features_in
from mmad.api.found import emotions_of, recognitions_of
from mmad.api.given import existing, records_of
from mmad.api.overrides import as_overrides
from mmad.api.results import (
    Detections,
    Recognition,
    RecognizedEmotion,
    SomeVideosFailed,
    named_detections,
)
from mmad.api.stream import Stream, are_frames, are_paths, open_stream
from mmad.config.emotion import EmotionConfig
from mmad.config.features import extraction_settings
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun
from mmad.data.frames import Shrinker
from mmad.engine.clip_inference import write_recognized
from mmad.engine.inference import DetectedVideos, write_detected
from mmad.engine.jobs.extraction import UsedBackbone
from mmad.engine.runs.changes import config_for
from mmad.engine.trained.detector import TrainedDetector
from mmad.engine.trained.emotion import FaceChoice, TrainedEmotion
from mmad.engine.trained.opening import Trained, open_trained
from mmad.engine.trained.recogniser import TrainedRecogniser
from mmad.errors import MmadError, VideoError
from mmad.evaluation.emotions.predictions import check_emotion_path, write_emotion_predictions
from mmad.evaluation.predictions import check_predictions_path
from mmad.files import check_output_file
from mmad.labels import LabelMap
from mmad.progress import Listener
from mmad.structures import VideoRecord
from mmad.video.records import (
    clip_records,
)
from mmad.video.sources.given import Colours
from mmad.video.sources.memory import hold_frames
from mmad.wording import count

_log = logging.getLogger("mmad")

Shown = bool | Listener


@public
def load(source: Place, *, device: str = "auto", backbone: str | None = None) -> "Model":
    """A trained model, ready to use.

    Args:
        source: Run folder of any task, on videos or on stored features; hub id of a pushed run; or
            exported ONNX file.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
        backbone: For a run on features: the current place of the backbone that made them.

    Raises: CheckpointError if it is not a run, is damaged, or of a newer version; ConfigError if
        its settings are wrong or there is no such device.
    """
    trained = open_trained(os.fspath(source), device=device, backbone=backbone)
    trained.read()
    _log.info("%s: a run of %s on %s", source, trained.config.task, trained.device)
    return Model(trained)


class Model:
    """A trained model. `mmad.load` opens one.

    Which methods it has is a matter of its task: a detector detects, a recogniser recognises, and
    a model of emotions recognises those; each says so if asked for another's.

    Attributes:
        task: "detection", "recognition" or "emotion".
        labels: Labels that it was trained on.
        path: Run folder.
        device: Device that it computes on.
    """

    def __init__(self, trained: Trained) -> None:
        self._trained = trained

    @property
    def task(self) -> str:
        """The task: "detection", "recognition" or "emotion"."""
        return self._trained.config.task

    @property
    def labels(self) -> LabelMap:
        """Labels that it was trained on."""
        return self._trained.labels

    @property
    def path(self) -> Path:
        """Run folder."""
        return self._trained.folder.path

    @property
    def device(self) -> str:
        """Device that it computes on."""
        return str(self._trained.device)

    @property
    def config(self) -> AnyConfig:
        """All settings of the run."""
        return self._trained.config

    def __repr__(self) -> str:
        labels = count(len(self.labels), "label")
        return f"<mmad.Model {self.path.name!r}: {self.task}, {labels}, on {self.device}>"

    # ---- single videos and clips ----

    @overload
    def detect(  # type: ignore[overload-overlap]  # a string is a sequence of strings
        self,
        videos: Place | VideoRecord,
        *,
        max_missing: float | None = ...,
        progress: Shown = ...,
    ) -> Detections: ...

    @overload
    def detect(
        self,
        videos: Sequence[Place | VideoRecord],
        *,
        max_missing: float | None = ...,
        progress: Shown = ...,
    ) -> list[Detections]: ...

    @overload
    def detect(
        self,
        videos: Any,
        *,
        fps: float | None = ...,
        times: Iterable[float] | None = ...,
        colours: Colours = ...,
        name: str = ...,
        progress: Shown = ...,
    ) -> Detections: ...

    @public
    def detect(
        self,
        videos: Any,
        *,
        fps: float | None = None,
        times: Iterable[float] | None = None,
        colours: Colours = "rgb",
        name: str = "frames",
        max_missing: float | None = None,
        progress: Shown = False,
    ) -> Detections | list[Detections]:
        """The detections of a video, or of each of several, by descending score.

        Args:
            videos: Video file, or a sequence of them; a `VideoRecord` with a path, too. Or the
                frames of one video in memory: an array or tensor (T, H, W, 3), uint8, or an
                iterable of images (H, W, 3) or of pairs (seconds, image).
            fps: Of frames: their constant rate.
            times: Of frames: their times in seconds, ascending.
            colours: Of frames: "rgb", or "bgr" as OpenCV has them.
            name: Of frames: id of the video.
            max_missing: Share of missing frames above which a video fails; None: the run's.
            progress: True shows a bar; a function is called with the fraction done, and may raise
                `mmad.Cancelled` (or anything else) to stop.

        Raises: VideoError if a video cannot be read; the others are detected all the same and are
            in the ``found`` of the exception. MmadError if the model is no detector.
        """
        detector = self._of(TrainedDetector, "detect")
        if are_paths(videos) and not (fps is None and times is None):
            raise VideoError("fps and times are for frames in memory; a file has its own")
        if fps is not None or times is not None or are_frames(videos):
            shrink = Shrinker(detector.on_videos[1].data)
            video = hold_frames(
                videos, fps=fps, times=times, colours=colours, name=name, shrink=shrink
            )
            detected = detector.detect(
                [video.record(name)], sources={name: video}, progress=progress
            )
            if detected.failures:
                raise VideoError(detected.failures[0].message)
            return self._detections(detected, [video.record(name)])[0]
        if not isinstance(videos, Iterable | os.PathLike | VideoRecord):
            raise VideoError(f"expected video files or frames, found {type(videos).__name__}")
        is_one = isinstance(videos, str | os.PathLike | VideoRecord)
        given = [videos] if isinstance(videos, str | os.PathLike | VideoRecord) else list(videos)
        records, problems = records_of(given)
        result = DetectedVideos({}, [])
        if records:
            result = detector.detect(records, max_missing=max_missing, progress=progress)
        found = self._detections(result, records)
        problems += [failure.message for failure in result.failures]
        if problems:
            raise SomeVideosFailed("\n".join(problems), found)
        return found[0] if is_one else found

    def _detections(
        self, result: DetectedVideos, records: Sequence[VideoRecord]
    ) -> list[Detections]:
        """The detections of videos with their records; issues the notices."""
        warn(result.notices())
        found = named_detections(result.detections, records, self.labels)
        _log.info("%s in %s", count(sum(map(len, found)), "detection"), count(len(found), "video"))
        return found

    @public
    def stream(
        self,
        source: Any,
        *,
        fps: float | None = None,
        times: Iterable[float] | None = None,
        colours: Colours = "rgb",
        min_score: float = 0.1,
        delay: float | None = None,
        window_overlap: float | None = None,
        seconds: float | None = None,
        name: str | None = None,
    ) -> Stream:
        """Detections in frames that keep coming, given out while they come; see `Stream`.

        Args:
            source: Number of a camera (0 is the first) or address (``rtsp://...``) that OpenCV
                opens; or an iterable of images (H, W, 3), uint8, or of pairs (seconds, image).
            fps: Of images: their constant rate.
            times: Of images: their times in seconds, ascending.
            colours: Of images: "rgb", or "bgr" as OpenCV has them.
            min_score: Lowest score that is given out.
            delay: Longest time in seconds from the end of an event to its detection; None is two
                windows, so that almost every detection waits until nothing can change it.
            window_overlap: Share by which windows overlap; None: the run's.
            seconds: Of a camera: stop after so many.
            name: Id of the video in the detections.

        Raises: VideoError if the camera cannot be opened, or the images have no times; ConfigError
            if the delay is too short. Iterating raises VideoError for an image that cannot be used.
        """
        return open_stream(
            self._of(TrainedDetector, "stream"),
            source,
            fps=fps,
            times=times,
            colours=colours,
            seconds=seconds,
            name=name,
            options={"min_score": min_score, "delay": delay, "window_overlap": window_overlap},
        )

    @overload
    def recognize(  # type: ignore[overload-overlap]
        self,
        videos: Place,
        *,
        faces: Place | None = ...,
        face_model: Place | None = ...,
        face_boxes: Place | None = ...,
        max_missing: float | None = ...,
        progress: Shown = ...,
    ) -> Recognition | RecognizedEmotion: ...

    @overload
    def recognize(
        self,
        videos: Sequence[Place],
        *,
        faces: Place | None = ...,
        face_model: Place | None = ...,
        face_boxes: Place | None = ...,
        max_missing: float | None = ...,
        progress: Shown = ...,
    ) -> list[Recognition] | list[RecognizedEmotion]: ...

    @public
    def recognize(
        self,
        videos: Place | Sequence[Place],
        *,
        faces: Place | None = None,
        face_model: Place | None = None,
        face_boxes: Place | None = None,
        max_missing: float | None = None,
        progress: Shown = False,
    ) -> Recognition | RecognizedEmotion | list[Recognition] | list[RecognizedEmotion]:
        """The action of a clip, or the emotion of a video; or those of each of several.

        Args:
            videos: Video file, or a sequence of them.
            faces: For emotions: folder of copies of ``mmad data faces``; or
            face_model: YuNet, which finds the faces; or
            face_boxes: boxes of the faces, a CSV or a folder.
            max_missing: Share of missing frames above which a video fails; None: the run's.
            progress: As in `detect`.

        Raises: VideoError if one cannot be read (the others are in its ``found``), or a model of
            emotions needs faces; MmadError if the model is a detector.
        """
        is_one = isinstance(videos, str | os.PathLike)
        files = existing(paths_of(videos))
        choice = FaceChoice(*map(path_or_none, (faces, face_model, face_boxes)))
        trained = self._trained
        found: list[Recognition] | list[RecognizedEmotion]
        if isinstance(trained, TrainedEmotion):
            emotions = trained.recognize(
                files, faces=choice, max_missing=max_missing, progress=progress
            )
            found, failures = emotions_of(emotions, self.labels), emotions.failures
        else:
            recogniser = self._of(TrainedRecogniser, "recognize")
            if choice:
                raise MmadError("--faces, --face-model and --face-boxes are for runs on emotions")
            clips = recogniser.recognize(
                clip_records(files), max_missing=max_missing, progress=progress
            )
            found, failures = recognitions_of(clips, self.labels), clips.failures
        if failures:
            raise SomeVideosFailed("\n".join(one.message for one in failures), found)
        return found[0] if is_one else found

    # ---- subsets ----

    @public
    def predict(
        self,
        annotations: Place | Sequence[Place] | None = None,
        *,
        videos: Place | None = None,
        faces: Place | None = None,
        features: Place | None = None,
        subset: str = "test",
        out: Place | None = None,
        details: bool = False,
        overrides: Mapping[str, Any] | None = None,
        progress: Shown = False,
    ) -> list[Detections] | list[Recognition] | list[RecognizedEmotion]:
        """Predictions for the videos or clips of a subset, as ``mmad predict`` makes them.

        Args:
            annotations: Annotation files or lists; None: those of the run.
            videos: Folder of videos or clips; None: that of the run.
            faces: For emotions: folder of face copies.
            features: For runs on features: the stored features.
            subset: Subset of the annotations.
            out: Also write the files of ``mmad predict`` here, a name that ends in .csv.
            details: For clips, with ``out``: also features and probabilities over time.
            overrides: Changes of settings of data and inference, such as
                ``{"inference.nms": "none"}``.
            progress: As in `detect`.

        Raises: MmadError if data are missing or of other classes, or settings change the model;
            VideoError if a video cannot be read, with the others in its ``found``.
        """
        trained = self._trained
        path = None if out is None else Path(out)
        if path is not None:
            check_output_file(path)
            if not isinstance(trained, TrainedEmotion):
                check_predictions_path(path)
        wanted = config_for(
            trained.folder,
            subset,
            annotations=() if annotations is None else paths_of(annotations),
            videos=path_or_none(videos),
            faces=path_or_none(faces),
            features=path_or_none(features),
            overrides=as_overrides(overrides or {}),
        )
        found: list[Any]
        if isinstance(trained, TrainedDetector):
            assert isinstance(wanted, DetectionRun)
            records, detected = trained.predict(wanted, subset, progress=progress)
            if path is not None:
                write_detected(path, detected, labels=self.labels)
            found, failures = self._detections(detected, records), detected.failures
        elif isinstance(trained, TrainedRecogniser):
            assert isinstance(wanted, RecognitionConfig)
            _, clips = trained.predict(wanted, subset, progress=progress)
            if path is not None:
                write_recognized(
                    path,
                    clips.scores,
                    config=wanted,
                    labels=self.labels,
                    summed=clips.summed,
                    details=clips.details if details else None,
                )
            found, failures = recognitions_of(clips, self.labels), clips.failures
        else:
            assert isinstance(wanted, EmotionConfig)
            if path is not None:
                check_emotion_path(path)
            _, emotions = trained.predict(wanted, subset, progress=progress)
            if path is not None:
                write_emotion_predictions(path, emotions.predictions, labels=self.labels)
            found, failures = emotions_of(emotions, self.labels), emotions.failures
        if failures:
            raise SomeVideosFailed("\n".join(one.message for one in failures), found)
        return found

    # ---- features ----

    @public
    def extract(
        self,
        videos: Place | Sequence[Place],
        out: Place | None = None,
        *,
        window: int | None = None,
        stride: int | None = None,
        spatial: str | int = "pooled",
        before_block: int | None = None,
        dtype: Literal["float32", "float16"] = "float32",
        precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
        overwrite: bool = False,
        progress: Shown = False,
    ) -> Features | list[Features] | Path:
        """The features of a video, or of each of several, as ``mmad extract-features`` makes them.

        Args:
            videos: Video file, or a sequence of them.
            out: Write them to this HDF5 file instead, to train on; an interrupted extraction
                resumes where it stopped.
            window: Frames of a window; without it, dense features.
            stride: Frames from one window to the next.
            spatial: "pooled", "tokens", or a number n for a grid of n x n cells.
            before_block: Take the tokens that enter this block, from 0.
            dtype: Type of the stored numbers.
            precision: Precision of the computation.
            overwrite: Replace features that are in ``out``.
            progress: As in `detect`.

        Returns: The features, or the path of ``out``.

        Raises: VideoError if a video cannot be read, FeatureError if the settings do not fit the
            backbone, or the features that are in ``out``.
        """
        settings = extraction_settings(
            window=window, stride=stride, spatial=spatial, before_block=before_block, dtype=dtype
        )
        used = UsedBackbone(
            source=self.path,
            change=(),
            random=False,
            settings=settings,
            has_rate=False,
            device=self.device,
            precision=precision,
            block_clips=None,
        )
        files = existing(paths_of(videos))
        with TemporaryDirectory() as folder:
            target = Path(folder) / "features.h5" if out is None else Path(out)
            extract_to(target, used, files, overwrite=overwrite, progress=progress)
            if out is not None:
                return target
            found = features_in(target, files)
        return found[0] if isinstance(videos, str | os.PathLike) else found

    def _of(self, kind: type, method: str) -> Any:
        """The run, if its task has this method."""
        if not isinstance(self._trained, kind):
            own = "detect" if isinstance(self._trained, TrainedDetector) else "recognize"
            raise MmadError(
                f"{self.path}: is a run of {self.task}, which cannot {method}; use model.{own}()"
            )
        return self._trained

"""What reading a video revealed: its sampling rate, missing and damaged frames."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmad.errors import VideoError
from mmad.video.index import VideoIndex
from mmad.wording import count


@dataclass(frozen=True)
class ReadVideo:
    """What reading a video file revealed.

    Attributes:
        path: Video file.
        num_frames: Number of frames in the file.
        fps: Mean frame rate.
        is_variable_rate: Whether the spacing of the frames changes.
        resampled_fps: Rate at which frames were sampled by time; None if every frame was taken.
        num_missing: Frames that the file announces but does not contain.
        num_damaged: Frames that could not be decoded; each repeats the last good one.
        first_seconds: Time of the first missing or damaged frame; None without one.
        notices: What was assumed where the file is unclear.
    """

    path: Path
    num_frames: int
    fps: float
    is_variable_rate: bool
    resampled_fps: float | None = None
    num_missing: int = 0
    num_damaged: int = 0
    first_seconds: float | None = None
    notices: tuple[str, ...] = ()

    @property
    def share_missing(self) -> float:
        """Missing and damaged frames among those that the file announces, 0 to 1."""
        return min(1.0, self._num_lost / (self.num_frames + self.num_missing))

    @property
    def _num_lost(self) -> int:
        return self.num_missing + self.num_damaged

    def damage(self) -> str | None:
        """A sentence about missing and damaged frames; None if there are none."""
        if not self._num_lost:
            return None
        parts = [
            f"{number} {kind}"
            for number, kind in ((self.num_missing, "missing"), (self.num_damaged, "damaged"))
            if number
        ]
        announced = count(self.num_frames + self.num_missing, "frame")
        return (
            f"{self.path}: {self._num_lost} of {announced} missing or damaged "
            f"({', '.join(parts)}), the first at {self.first_seconds:.2f} s"
        )

    def file_notices(self) -> list[str]:
        """Notices of the file: damage, and what was assumed."""
        damage = self.damage()
        return [*([damage] if damage else []), *self.notices]

    def to_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        content: dict[str, Any] = {
            "num_frames": self.num_frames,
            "fps": self.fps,
            "is_variable_rate": self.is_variable_rate,
            "resampled_fps": self.resampled_fps,
            "missing_frames": self.num_missing,
            "damaged_frames": self.num_damaged,
        }
        if self.first_seconds is not None:
            content["first_missing_seconds"] = self.first_seconds
        if self.notices:
            content["notices"] = list(self.notices)
        return content


def describe_reading(
    index: VideoIndex, *, damaged: Collection[int] = (), resampled_fps: float | None = None
) -> ReadVideo:
    """What reading a video revealed.

    Args:
        index: Index of the video.
        damaged: Positions of the frames that could not be decoded.
        resampled_fps: Rate at which frames were sampled by time; None if every frame was taken.
    """
    first = None
    if index.num_missing_frames:
        first = index.duration_seconds
    if damaged:
        first = float(index.times_seconds[min(damaged)])
    return ReadVideo(
        path=index.path,
        num_frames=index.num_frames,
        fps=index.fps,
        is_variable_rate=index.is_variable_rate,
        resampled_fps=resampled_fps,
        num_missing=index.num_missing_frames,
        num_damaged=len(damaged),
        first_seconds=first,
        notices=index.notices,
    )


def require_whole(video: ReadVideo, *, max_missing: float) -> None:
    """Raise `VideoError` if more than a share ``max_missing`` of the frames is lost."""
    if video.share_missing > max_missing:
        raise VideoError(
            f"{video.damage()}; that is more than {max_missing:.0%}: copy, download or export the "
            "file again, or pass --max-missing (data.max_missing in a config) to allow more"
        )


def notices(videos: Sequence[ReadVideo]) -> list[str]:
    """Notices of videos that were read: resampling with counts, then damage and assumptions."""
    told = []
    resampled = [video for video in videos if video.resampled_fps is not None]
    if resampled:
        kinds = Counter(
            "a variable rate" if video.is_variable_rate else rate_text(video.fps)
            for video in resampled
        )
        listed = ", ".join(f"{number} of {kind}" for kind, number in sorted(kinds.items()))
        rates = sorted({rate_text(video.resampled_fps or 0.0) for video in resampled})
        told.append(
            f"{len(resampled)} of {count(len(videos), 'video')} resampled by time to "
            f"{' or '.join(rates)} ({listed})"
        )
    return told + [notice for video in videos for notice in video.file_notices()]


def rate_text(fps: float) -> str:
    """A frame rate with its unit.

    >>> rate_text(30.0), rate_text(29.97003)
    ('30 frames/s', '29.97 frames/s')
    """
    return f"{fps:.2f}".rstrip("0").rstrip(".") + " frames/s"

"""The videos of a pre-training: which can be read, and which are kept to validate on."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmad.config.pretraining import PretrainingConfig
from mmad.data.pretraining import Stretch, stretches_of
from mmad.data.samples import FailedVideo
from mmad.errors import VideoError
from mmad.progress import Progress
from mmad.video.find import video_paths
from mmad.video.index import index_video
from mmad.video.sampling import evenly_spread, usual_rate
from mmad.wording import count

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoundStretches:
    """What a pre-training learns from.

    Attributes:
        training: Stretches of the videos to train on.
        validation: Those to validate on, at most ``data.val_clips``; may be empty.
        fps: Frame rate of the model; None uses each video's own.
        usual_fps: The rate of most videos.
        num_videos: Videos to train on.
        num_broken: Videos of ``data.videos`` that are skipped.
    """

    training: list[Stretch]
    validation: list[Stretch]
    fps: float | None
    usual_fps: float
    num_videos: int
    num_broken: int


def find_stretches(config: PretrainingConfig, *, quiet: bool) -> FoundStretches:
    """Search the folders of the settings; videos that cannot be read are named and skipped.

    A file that is kept to validate on is not trained on, in whichever folders it lies.

    Raises: VideoError if no video is left to train on, or none in ``data.val_videos``.
    """
    data = config.data
    videos = _Videos("data.videos", data.videos, most=data.max_videos, quiet=quiet)
    usual = usual_rate(list(videos.rates.values()))
    fps = data.rate(usual=usual)
    if data.val_videos is not None:
        kept = _Videos("data.val_videos", [data.val_videos], most=data.max_videos, quiet=quiet)
        validation = kept.stretches(list(kept.paths), config, fps=fps)
        kept.tell_broken()
        if not validation:
            raise VideoError(kept.none_left())
        held = {path.resolve() for path in kept.paths.values()}
        names = [name for name, path in videos.paths.items() if path.resolve() not in held]
    else:
        names, kept_names = _divided(config, list(videos.paths))
        validation = videos.stretches(kept_names, config, fps=fps)
    training = videos.stretches(names, config, fps=fps)
    videos.tell_broken()
    if not names:
        raise VideoError(
            f"{videos.source}: every readable video is in data.val_videos ({data.val_videos}), so "
            "none is left to train on; name another folder"
        )
    if not training:
        raise VideoError(videos.none_left())
    return FoundStretches(
        training=training,
        validation=_spread(validation, data.val_clips),
        fps=fps,
        usual_fps=usual,
        num_videos=len({stretch.name for stretch in training}),
        num_broken=len(videos.broken),
    )


class _Videos:
    """The videos of folders that can be opened.

    Args:
        setting: The setting that names the folders, for messages.
        folders: Folders, searched at any depth.
        most: Videos that are enough; None for all.

    Attributes:
        paths: Their files by name; a file that is found twice has one name.
        rates: Their frame rates.
        broken: Those that cannot be read.

    Raises: VideoError if there is none.
    """

    def __init__(
        self, setting: str, folders: Sequence[str], *, most: int | None, quiet: bool
    ) -> None:
        self.source = f"{setting}: {', '.join(folders)}"
        self.paths: dict[str, Path] = {}
        self.rates: dict[str, float] = {}
        self.broken: list[FailedVideo] = []
        self._quiet = quiet
        named = _named(folders)
        if not named:
            raise VideoError(f"{self.source}: no video files in it, at any depth")
        with Progress("open videos", total=len(named), unit="videos", quiet=quiet) as progress:
            for name, path in named.items():
                if most is not None and len(self.paths) == most:
                    break
                try:
                    self.rates[name] = index_video(path).fps
                    self.paths[name] = path
                except VideoError as error:
                    self.broken.append(FailedVideo(name, str(error)))
                progress.update()
        if not self.paths:
            raise VideoError(self.none_left())

    def stretches(
        self, names: Sequence[str], config: PretrainingConfig, *, fps: float | None
    ) -> list[Stretch]:
        """The stretches of some of the videos; those of which none can be cut become broken."""
        found: list[Stretch] = []
        for name in names:
            try:
                found += stretches_of(self.paths[name], name, config, fps=fps)
            except VideoError as error:
                self.broken.append(FailedVideo(name, str(error)))
        return found

    def tell_broken(self) -> None:
        """Warn of the broken videos, once they are all known."""
        if self.broken and not self._quiet:
            _log.warning(
                "%s: %d of %s cannot be read and %s skipped, first %s",
                self.source,
                len(self.broken),
                count(len(self.paths.keys() | {one.video_id for one in self.broken}), "video"),
                "is" if len(self.broken) == 1 else "are",
                self.broken[0].message,
            )

    def none_left(self) -> str:
        return (
            f"{self.source}: none of {count(len(self.broken), 'video')} can be read; the first: "
            f"{self.broken[0].message}"
        )


def _named(folders: Sequence[str]) -> Mapping[str, Path]:
    """The video files in the folders by their names there; of equal names, the later file has its
    whole path for one.
    """
    named: dict[str, Path] = {}
    seen: set[Path] = set()
    for folder in folders:
        for path in video_paths(Path(folder)):
            whole = path.resolve()
            if whole in seen:
                continue
            seen.add(whole)
            name = path.relative_to(folder).as_posix()
            named[name if name not in named else whole.as_posix()] = path
    return named


def _divided(config: PretrainingConfig, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The videos to train on, and those kept to validate on: a share of them, drawn by the seed."""
    share = config.data.val_share
    if share == 0 or len(names) < 2:
        return list(names), []
    order = np.random.default_rng((config.seed, 2)).permutation(len(names))
    num_kept = min(max(1, round(share * len(names))), len(names) - 1)
    kept = set(order[:num_kept].tolist())
    training = [name for place, name in enumerate(names) if place not in kept]
    return training, [name for place, name in enumerate(names) if place in kept]


def _spread(stretches: Sequence[Stretch], most: int) -> list[Stretch]:
    """At most so many, evenly spread."""
    return [stretches[place] for place in evenly_spread(len(stretches), most)]

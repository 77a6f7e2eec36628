"""Resumable extraction: the parts of a file of features, one for each video, merged at the end."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mmad.data.features.files import FeatureFile, PartWriter, StoredVideo, merge_parts
from mmad.data.features.manifest import FeatureManifest
from mmad.errors import FeatureError
from mmad.files import remove_partials
from mmad.parts import Parts
from mmad.shares import WHOLE, Share, names_of
from mmad.video.index import announced_frames


class FeatureParts(Parts):
    """The parts that become the file ``out``.

    Args:
        out: File of features; if it exists, its videos are not extracted again.
        manifest: Manifest of the extraction.
        videos: Id and file of each wanted video.
        share: Share of this process, balanced by the number of frames.
        overwrite: Whether to extract the videos again; a file made with other settings is
            replaced.

    Raises: FeatureError if ``out`` was made with other settings.
    """

    suffix = ".h5"

    def __init__(
        self,
        out: Path,
        manifest: FeatureManifest,
        videos: Sequence[tuple[str, Path]],
        *,
        share: Share = WHOLE,
        overwrite: bool = False,
    ) -> None:
        self.out = out
        self._manifest = manifest
        self._videos = dict(videos)
        self._overwrite = overwrite
        done = set() if overwrite else self._finished()
        wanted = [name for name in sorted(self._videos) if name not in done]
        if share != WHOLE:
            frames = {name: float(announced_frames(self._videos[name])) for name in wanted}
            wanted = list(names_of(share, frames))
        super().__init__(
            out,
            list(self._videos),
            wanted,
            share=share,
            what="features",
            error=FeatureError,
        )

    def files(self, names: Iterable[str]) -> list[tuple[str, Path]]:
        """Id and file of some videos."""
        return [(name, self._videos[name]) for name in names]

    def writer(self, video_id: str, video: StoredVideo, *, dtype: str) -> PartWriter:
        """A writer of the part of a video."""
        return PartWriter(
            self.path(video_id),
            manifest=self._manifest,
            video_id=video_id,
            video=video,
            dtype=dtype,
        )

    def merge(self) -> bool:
        """As in `Parts`."""
        parts = {name: self.path(name) for name in self.names if self.has_part(name)}
        finished = self._finished()
        kept = {name for name in finished if name not in parts}
        for name in self.names:
            if name not in parts and name not in kept and not self.note(name).is_file():
                return False
        changed = self.out.is_file() and kept | set(parts) != self._present()
        if parts or changed:
            remove_partials(self.out)
            sources = {**dict.fromkeys(kept, self.out), **parts}
            merge_parts(sources, self.out, manifest=self._manifest)
        return True

    def has_part(self, video_id: str) -> bool:
        """As in `Parts`; the video file is still the same, too."""
        path = self.path(video_id)
        if not path.is_file():
            return False
        try:
            part = FeatureFile(path)
            fits = not self._manifest.differences(part.manifest)
            return fits and self._is_current(part, video_id)
        except FeatureError:
            return False

    def _present(self) -> set[str]:
        return set(FeatureFile(self.out).video_ids())

    def _finished(self) -> set[str]:
        """The videos in the finished file that need not be extracted again.

        Raises: FeatureError if it was made with other settings and may not be overwritten.
        """
        if not self.out.is_file():
            return set()
        finished = FeatureFile(self.out)
        differing = self._manifest.differences(finished.manifest)
        if differing and self._overwrite:
            return set()
        if differing:
            raise FeatureError(
                f"{self.out}: contains features made with other settings (asked and found: "
                f"{'; '.join(differing[:4])}); choose another --out, or pass --overwrite"
            )
        return {
            name
            for name in finished.video_ids()
            if name not in self._videos or self._is_current(finished, name)
        }

    def _is_current(self, file: FeatureFile, video_id: str) -> bool:
        """Whether the video file is unchanged since its features were extracted."""
        video, path = file.video(video_id), self._videos[video_id]
        if not path.is_file():
            return True
        state = path.stat()
        return (video.source_bytes, video.source_mtime_ns) == (state.st_size, state.st_mtime_ns)

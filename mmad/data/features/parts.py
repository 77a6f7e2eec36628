"""Resumable extraction: the parts of a file of features, one per video, merged at the end.

Any number of processes on any number of machines may write parts; they share only the folder.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from mmad.data.features.files import FeatureFile, PartWriter, StoredVideo, merge_parts
from mmad.data.features.manifest import FeatureManifest
from mmad.data.samples import FailedVideo
from mmad.errors import FeatureError
from mmad.files import cannot_write, remove_partials, write_text
from mmad.names import safe_name
from mmad.process_lock import ProcessLock


def assign_shares(
    videos: Sequence[tuple[str, Path]], *, count: int
) -> list[list[tuple[str, Path]]]:
    """The videos of each of ``count`` processes: the largest file goes to the least loaded one."""
    sizes = [path.stat().st_size if path.is_file() else 0 for _, path in videos]
    shares: list[list[tuple[str, Path]]] = [[] for _ in range(count)]
    loads = [0] * count
    for number in sorted(range(len(videos)), key=lambda k: (-sizes[k], videos[k][0])):
        least = loads.index(min(loads))
        shares[least].append(videos[number])
        loads[least] += sizes[number] + 1
    return shares


class FeatureParts:
    """The parts that become the file ``out``.

    Args:
        out: File of features; if it exists, its videos are not extracted again.
        manifest: Manifest of the extraction.
        videos: Id and file of each wanted video.
        share: Number of this process, from 0, and number of processes.
        overwrite: Whether to extract the videos again; a file made with other settings is
            replaced.

    Raises: FeatureError if ``out`` was made with other settings.
    """

    def __init__(
        self,
        out: Path,
        manifest: FeatureManifest,
        videos: Sequence[tuple[str, Path]],
        *,
        share: tuple[int, int] = (0, 1),
        overwrite: bool = False,
    ) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.parts")
        self._manifest = manifest
        self._videos = dict(videos)
        self._overwrite = overwrite
        rank, count = share
        self._at_work = ProcessLock(self.folder / f"share-{rank + 1}-of-{count}.lock")
        self._joining = ProcessLock(out.with_name(f"{out.name}.joining"))
        done = set() if overwrite else self._finished()
        wanted = sorted((n, path) for n, path in self._videos.items() if n not in done)
        self.share = assign_shares(wanted, count=count)[rank]

    def path(self, video_id: str) -> Path:
        """The path of the part of a video."""
        return self.folder / f"{safe_name(video_id)}.h5"

    def begin(self) -> list[tuple[str, Path]]:
        """The videos of this process's share without a part; failed ones are tried again.

        Raises: FeatureError if another process has the same share, OutputError if the folder
            cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._at_work.acquire():
                raise FeatureError(
                    f"{self.out}: {self._at_work.holder()} is making the same features; give each "
                    "process a --share, or, if it was killed, wait two minutes or delete "
                    f"{self._at_work.path}"
                )
            for name, _ in self.share:
                self._note(name).unlink(missing_ok=True)
            return [(name, path) for name, path in self.share if not self._has_part(name)]
        except OSError as error:
            raise cannot_write(self.folder, error) from None

    def writer(self, video_id: str, video: StoredVideo, *, dtype: str) -> PartWriter:
        """A writer of the part of a video."""
        return PartWriter(
            self.path(video_id),
            manifest=self._manifest,
            video_id=video_id,
            video=video,
            dtype=dtype,
        )

    def end(self, failed: Sequence[FailedVideo]) -> None:
        """Tell the other processes that this one has ended, and which videos failed."""
        try:
            for failure in failed:
                write_text(self._note(failure.video_id), failure.message)
        finally:
            self._at_work.release()

    def join(self) -> bool:
        """Merge the parts into the file; False if parts of other processes are still missing.

        Waits while another process merges them. Parts are removed afterwards, except those of
        videos that are not among the wanted ones.

        Raises: OutputError if the file cannot be written.
        """
        try:
            while not self._joining.acquire():
                time.sleep(0.5)
            try:
                return self._join()
            finally:
                self._joining.release()
        except OSError as error:
            raise cannot_write(self.out, error) from None

    def _join(self) -> bool:
        parts = {name: self.path(name) for name in self._videos if self._has_part(name)}
        finished = self._finished()
        kept = {name for name in finished if name not in parts}
        for name in self._videos:
            if name not in parts and name not in kept and not self._note(name).is_file():
                return False
        changed = self.out.is_file() and kept | set(parts) != self._present()
        if parts or changed:
            remove_partials(self.out)
            sources = {**dict.fromkeys(kept, self.out), **parts}
            merge_parts(sources, self.out, manifest=self._manifest)
        for name in self._videos:
            self.path(name).unlink(missing_ok=True)
            self._note(name).unlink(missing_ok=True)
        self._clear_folder()
        return True

    def _clear_folder(self) -> None:
        """Remove the folder unless it contains something of other processes."""
        # Hidden files are partial ones left by killed processes.
        names = [path.name for path in self.folder.iterdir()]
        if not any(name.endswith((".h5", ".lock")) for name in names if name[0] != "."):
            for name in names:
                if name[0] == ".":
                    (self.folder / name).unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:
            return

    def _note(self, video_id: str) -> Path:
        return self.folder / f"{safe_name(video_id)}.failed"

    def _has_part(self, video_id: str) -> bool:
        """Whether there is a complete part with these settings, of the current video file."""
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

"""The parts of a file of features while it is being made: one for each video, joined at the end.

Any number of processes on any number of machines may write parts; they share only the folder.
"""

import glob
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmad.data.feature_files import FeatureFile, merge_parts
from mmad.data.feature_manifest import FeatureManifest
from mmad.errors import FeatureError

# A lock of another machine that is older than this is of a process that was killed.
_ABANDONED_SECONDS = 600.0


def assign_shares(
    videos: Sequence[tuple[str, Path]], *, count: int
) -> list[list[tuple[str, Path]]]:
    """The videos of each of ``count`` processes: the largest file goes to whom has least so far."""
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
        out: the file of features; if it is there, its videos need not be made again.
        manifest: of the extraction.
        videos: id and file of each video that is wanted.
        overwrite: make all of them again.

    Raises: FeatureError if ``out`` was made otherwise.
    """

    def __init__(
        self,
        out: Path,
        manifest: FeatureManifest,
        videos: Sequence[tuple[str, Path]],
        *,
        overwrite: bool = False,
    ) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.parts")
        self._lock = self.folder / "joining"
        self._manifest = manifest
        self._videos = dict(videos)
        self._old: set[str] = set()
        if out.is_file() and not overwrite:
            finished = FeatureFile(out)
            self._require_same(finished)
            self._old = {
                name
                for name in finished.video_ids()
                if name not in self._videos or self._is_current(finished, name)
            }

    def path(self, video_id: str) -> Path:
        """Where the part of a video is."""
        return self.folder / f"{video_id}.h5"

    def shares(self, *, count: int) -> list[list[tuple[str, Path]]]:
        """The videos of each of ``count`` processes that are not in the finished file.

        The same for every process, however far the others are.
        """
        wanted = sorted((n, path) for n, path in self._videos.items() if n not in self._old)
        return assign_shares(wanted, count=count)

    def begin(self, share: Sequence[tuple[str, Path]]) -> list[tuple[str, Path]]:
        """The videos of a share that have no part yet.

        Parts of other settings or of another video file are thrown away, and what failed is tried
        again.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = {name for name, _ in share}
        for name in mine:
            self._note(name).unlink(missing_ok=True)
        for leftover in self.folder.glob(".*.part"):
            # Written by a process that was killed: the videos of a share are this process's alone.
            if leftover.name.removeprefix(".").rsplit(".", 3)[0] in mine:
                leftover.unlink(missing_ok=True)
        return [(name, path) for name, path in share if not self._has_part(name)]

    def note_failure(self, video_id: str, message: str) -> None:
        """Tell the other processes that this video will not come."""
        self._note(video_id).write_text(message, encoding="utf-8")

    def is_complete(self) -> bool:
        """Whether every video has a part or a note of failure, from whichever process."""
        return not self.folder.is_dir() or all(
            name in self._old or self.path(name).is_file() or self._note(name).is_file()
            for name in self._videos
        )

    def merge(self) -> bool:
        """Join old file and parts, and remove the parts; False if another process does or did."""
        with self._locked() as mine:
            if not mine:
                return False
            for leftover in self.out.parent.glob(f".{glob.escape(self.out.name)}.*.part"):
                leftover.unlink(missing_ok=True)
            new = {name: self.path(name) for name in self._videos if self.path(name).is_file()}
            if new:
                old = {name: self.out for name in self._old - set(new)}
                merge_parts({**old, **new}, self.out, manifest=self._manifest)
        shutil.rmtree(self.folder, ignore_errors=True)
        return True

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether this process is the one that joins the parts."""
        try:
            if self._lock.is_file() and self._is_abandoned():
                self._lock.unlink(missing_ok=True)
            with self._lock.open("x", encoding="utf-8") as lock:
                lock.write(f"{socket.gethostname()} {os.getpid()}")
        except OSError:  # it is there, or the folder is not: another process was faster
            yield False
            return
        try:
            yield True
        finally:
            self._lock.unlink(missing_ok=True)

    def _is_abandoned(self) -> bool:
        """Whether the process that holds the lock was killed, as far as can be told from here."""
        host, _, pid = self._lock.read_text(encoding="utf-8").partition(" ")
        if host == socket.gethostname() and os.name == "posix" and pid.isdigit():
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                return True
            except OSError:
                return False
            return int(pid) == os.getpid()
        return time.time() - self._lock.stat().st_mtime > _ABANDONED_SECONDS

    def _note(self, video_id: str) -> Path:
        return self.folder / f"{video_id}.failed"

    def _has_part(self, video_id: str) -> bool:
        path = self.path(video_id)
        if not path.is_file():
            return False
        try:
            part = FeatureFile(path)
            if not self._manifest.differences(part.manifest) and self._is_current(part, video_id):
                return True
        except FeatureError:
            pass
        path.unlink()
        return False

    def _is_current(self, file: FeatureFile, video_id: str) -> bool:
        """Whether the video file is still the one that its features were made of."""
        video, path = file.video(video_id), self._videos[video_id]
        if not path.is_file():
            return True
        state = path.stat()
        return (video.source_bytes, video.source_mtime_ns) == (state.st_size, state.st_mtime_ns)

    def _require_same(self, finished: FeatureFile) -> None:
        differing = self._manifest.differences(finished.manifest)
        if differing:
            raise FeatureError(
                f"{self.out}: holds features that were made otherwise (asked and found: "
                f"{'; '.join(differing[:4])}); choose another --out, or say --overwrite"
            )

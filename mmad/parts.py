"""The parts of a file that many processes make together, one part for each video.

The processes may run on any number of machines; they share only the folder ``OUT.parts``. The one
that ends last merges the parts.
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmad.errors import MmadError
from mmad.files import cannot_write, write_text
from mmad.names import safe_name
from mmad.process_lock import ProcessLock
from mmad.shares import Share

_SECONDS_BETWEEN_TRIES = 0.5


class Parts:
    """The parts that become the file ``out``.

    Args:
        out: File to write.
        names: Ids of all wanted videos.
        mine: Ids of the videos that this process makes.
        share: Share that these are.
        what: What is in the file, for messages.
        error: Error of such files.
    """

    suffix: str

    def __init__(
        self,
        out: Path,
        names: Sequence[str],
        mine: Sequence[str],
        *,
        share: Share,
        what: str,
        error: type[MmadError],
    ) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.parts")
        self.names, self.mine = list(names), list(mine)
        self._what, self._error = what, error
        self._at_work = ProcessLock(self.folder / f"share-{share}.lock")
        self._joining = ProcessLock(out.with_name(f"{out.name}.joining"))

    @abstractmethod
    def has_part(self, video_id: str) -> bool:
        """Whether there is a complete part of a video, made with these settings."""

    @abstractmethod
    def merge(self) -> bool:
        """Merge the parts into the file and return True, or False if some are still missing."""

    def path(self, video_id: str) -> Path:
        """The path of the part of a video."""
        return self.folder / f"{safe_name(video_id)}{self.suffix}"

    def note(self, video_id: str) -> Path:
        """The path of the message that a video failed."""
        return self.folder / f"{safe_name(video_id)}.failed"

    @contextmanager
    def at_work(self, failed: Callable[[], Mapping[str, str]]) -> Iterator[list[str]]:
        """The videos of this process without a part, for the time that it makes them.

        Failed ones are tried again.

        Args:
            failed: Gives why videos failed, by their ids, once the block has ended.

        Raises: MmadError if another process has the same share, OutputError if the folder cannot be
            written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._at_work.acquire():
                raise self._error(
                    f"{self.out}: {self._at_work.holder()} is making the same {self._what}; give "
                    "each process a --share, or, if it was killed, wait two minutes or delete "
                    f"{self._at_work.path}"
                )
            for name in self.mine:
                self.note(name).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from None
        try:
            yield [name for name in self.mine if not self.has_part(name)]
        finally:
            try:
                for name, message in failed().items():
                    write_text(self.note(name), message)
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
                time.sleep(_SECONDS_BETWEEN_TRIES)
            try:
                is_merged = self.merge()
                if is_merged:
                    self._clear()
                return is_merged
            finally:
                self._joining.release()
        except OSError as error:
            raise cannot_write(self.out, error) from None

    def _clear(self) -> None:
        """Remove the parts, and the folder unless it contains something of other processes."""
        for name in self.names:
            self.path(name).unlink(missing_ok=True)
            self.note(name).unlink(missing_ok=True)
        if not self.folder.is_dir():
            return
        # Hidden files are partial ones left by killed processes; notes are of videos that nobody
        # asks for any more.
        names = [path.name for path in self.folder.iterdir()]
        if not any(name.endswith((self.suffix, ".lock")) for name in names if name[0] != "."):
            for name in names:
                if name[0] == "." or name.endswith(".failed"):
                    (self.folder / name).unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:
            return

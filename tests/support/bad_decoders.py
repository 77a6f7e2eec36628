"""Ways of opening videos that go wrong, for the process that decodes."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmad.video.guarded.child import Decoding
from mmad.video.index import VideoIndex, index_video
from mmad.video.open import open_video
from mmad.video.pyav_reader import PyAVReader
from mmad.video.reader import Frame


def _misbehave(path: Path) -> None:
    if "segfault" in path.name:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # pytest's faulthandler would print
        os.kill(os.getpid(), signal.SIGSEGV)
    if "stall" in path.name:
        time.sleep(3600)
    if "greedy" in path.name:
        kept = []
        while True:
            kept.append(bytearray(2**24))
    if "bug" in path.name:
        raise ZeroDivisionError("by nothing")


def bad_index(path: Path) -> VideoIndex:
    if "index" in path.name:
        _misbehave(path)
    return index_video(path)


class _BadReader(PyAVReader):
    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        for number, image in enumerate(super().stream(frame_indices)):
            if number == 10:
                _misbehave(self.index.path)
            yield image


def bad_open(path: Path, **options: Any) -> Any:
    if "index" in path.name:
        return open_video(path, **options)
    return _BadReader(index_video(path), size=options["size"], threads=1)


BAD = Decoding(bad_index, bad_open)

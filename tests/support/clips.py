"""Clips whose frames carry their own number, drawn as black and white blocks."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 10
BLOCK = 16
WIDTH, HEIGHT = BITS * BLOCK, 48


def numbered_frame(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A grey picture with bit k of ``number`` as the k-th block of the top rows, white for 1."""
    frame = np.full((height, width, 3), 128, dtype=np.uint8)
    for bit in range(BITS):
        block = slice(bit * width // BITS, (bit + 1) * width // BITS)
        frame[: height // 2, block] = 255 * (number >> bit & 1)
    # Something that moves, so that an encoder has reason to use references in both directions.
    frame[height // 2 :, :: 1 + number % 7] = (number * 5 % 200, 90, 40)
    return frame


def number_of(frame: NDArray[np.uint8]) -> int:
    """The number drawn by `numbered_frame`, at any size."""
    height, width = frame.shape[:2]
    row = frame[height // 4]
    centres = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    return sum(int(row[centre].mean() > 128) << bit for bit, centre in enumerate(centres))


def numbers_of(frames: NDArray[np.uint8]) -> list[int]:
    return [number_of(frame) for frame in frames]


def write_clip(
    path: Path,
    *,
    num_frames: int = 60,
    fps: Fraction | int = 30,
    codec: str = "libx264",
    x264_params: str = "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0",
    times_ms: Sequence[int] | None = None,
    rotation: int = 0,
    width: int = WIDTH,
    height: int = HEIGHT,
    faststart: bool = False,
) -> Path:
    """A clip of numbered frames; ``times_ms`` gives them their own times."""
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": "18", "preset": "veryfast", "x264-params": x264_params}
        time_base = Fraction(1, 1000) if times_ms else 1 / Fraction(fps)
        stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(num_frames):
            picture = av.VideoFrame.from_ndarray(
                numbered_frame(number, width=width, height=height), format="rgb24"
            )
            picture.pts = times_ms[number] if times_ms else number
            picture.time_base = time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """A file with a second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def copy_from(source: Path, target: Path, *, start_seconds: float) -> Path:
    """A stream-copied cut: packets from the keyframe before ``start_seconds``, not encoded anew."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = reading.streams.video[0]
        copied = writing.add_stream_from_template(stream)
        reading.seek(int(start_seconds / stream.time_base), stream=stream)
        start = int(start_seconds / stream.time_base)
        for packet in reading.demux(stream):
            if packet.dts is None:
                continue
            packet.pts -= start
            packet.dts -= start
            packet.stream = copied
            writing.mux(packet)
    return target

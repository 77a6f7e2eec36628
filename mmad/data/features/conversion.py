"""Conversion of stored features between a file and a folder of arrays, and their summaries."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mmad.data.features.files import FeatureFile, FeatureSource, PartWriter, merge_parts
from mmad.data.features.folders import FOLDER_MANIFEST, FOLDER_VIDEOS, write_array
from mmad.files import make_folder, write_json, write_text
from mmad.names import safe_name
from mmad.progress import tracked
from mmad.wording import count


def _tracked(found: FeatureSource) -> Iterator[str]:
    names = found.video_ids()
    return tracked(names, "convert", total=len(names), unit="videos")


def write_folder(found: FeatureSource, out: Path, *, suffix: str) -> None:
    """Write each video as an array (steps, channels), and the manifest beside them.

    Steps beyond the end of a video are left out.
    """
    known = {}
    for name in _tracked(found):
        video = found.video(name)
        rows = found.read(name, 0, video.num_steps)
        write_array(out / f"{safe_name(name)}{suffix}", np.ascontiguousarray(rows))
        known[name] = asdict(video)
    flat = found.manifest.model_copy(update={"step_shape": [found.manifest.channels]})
    write_json(out / FOLDER_VIDEOS, known)
    write_text(out / FOLDER_MANIFEST, flat.to_json() + "\n")


def write_file(found: FeatureSource, out: Path) -> None:
    """Write all videos into one file."""
    parts: dict[str, Path] = {}
    stored = found.manifest.extraction
    make_folder(out.parent)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        for number, name in enumerate(_tracked(found)):
            video = found.video(name)
            parts[name] = Path(folder) / f"{number}.h5"
            writer = PartWriter(
                parts[name],
                manifest=found.manifest,
                video_id=name,
                video=video,
                dtype="float32" if stored is None else stored.dtype,
            )
            with closing(writer):
                rows = found.read(name, 0, video.num_rows)
                writer.write(rows.reshape(len(rows), *found.manifest.step_shape))
                writer.publish(notices=video.notices)
        merge_parts(parts, out, manifest=found.manifest)


def summary(found: FeatureSource) -> str:
    """One line about stored features."""
    names = found.video_ids()
    steps = sum(found.video(name).num_steps for name in names)
    shape = " x ".join(map(str, found.manifest.step_shape))
    return f"{found.path}: {count(len(names), 'video')}, {count(steps, 'step')} of {shape}"


def describe_file(path: Path) -> str:
    """One line about a file of features, with its size."""
    return f"{summary(FeatureFile(path))}, {path.stat().st_size / 2**20:.1f} MiB"

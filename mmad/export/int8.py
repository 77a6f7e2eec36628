"""ONNX files whose matrix products are of 8-bit integers, and how much that loses."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from mmad.config.base import changed
from mmad.config.run import DetectionRun, FeatureRun, VideoRun
from mmad.engine.detection import score
from mmad.engine.inference import detect_videos, feature_reader, video_progress
from mmad.engine.trained.detector import videos_to_predict
from mmad.errors import ExportError, MmadError
from mmad.export.description import KEY, Description
from mmad.export.networks import ExportedNetwork
from mmad.export.packages import package
from mmad.export.reading import ExportedDetector
from mmad.export.sessions import Session
from mmad.export.writing import Comparison, write_network
from mmad.files import write_bytes
from mmad.structures import VideoRecord

# Largest loss of mAP, a share.
LARGEST_LOSS = 0.005


@dataclass(frozen=True)
class Judged:
    """The mAP of a file and of its int8 form on the validation videos of the run.

    Attributes:
        whole, int8: Average mAP at action level, shares.
        videos: Number of videos.
    """

    whole: float
    int8: float
    videos: int

    @property
    def loss(self) -> float:
        """What the int8 form loses; below 0 if it is better."""
        return self.whole - self.int8

    def __str__(self) -> str:
        return (
            f"mAP {100 * self.int8:.2f} % with int8, {100 * self.whole:.2f} % without, on "
            f"{self.videos} validation videos"
        )


def write_int8(
    network: ExportedNetwork, description: Description, out: Path, *, videos: Path | None = None
) -> tuple[Comparison, Judged | MmadError]:
    """Write a detector with 8-bit weights, unless it loses more than `LARGEST_LOSS`.

    Args:
        network, description, out: As in `write_network`.
        videos: Folder of the validation videos; None: that of the run.

    Returns the comparison of the file with floating-point weights, and what int8 loses, or why that
    could not be measured.

    Raises: ExportError as `write_network`, and if it has nothing to quantise or loses too much.
    """
    if description.reads == "clips":
        raise ExportError(
            "--int8 is for detectors, whose loss of mAP is measured; export the recogniser without"
        )
    with tempfile.TemporaryDirectory(prefix="mmad-") as folder:
        whole, int8 = Path(folder) / "whole.onnx", Path(folder) / "int8.onnx"
        comparison = write_network(network, description, whole, format="onnx")
        quantise(whole, int8, description)
        judged: Judged | MmadError
        try:
            judged = judge(whole, int8, description, videos=videos)
        except ExportError:
            raise
        except MmadError as error:
            judged = error
        if isinstance(judged, Judged) and judged.loss > LARGEST_LOSS:
            raise ExportError(
                f"{judged}: int8 loses {100 * judged.loss:.2f} points (at most "
                f"{100 * LARGEST_LOSS:g} allowed); nothing was written, export it without --int8"
            )
        write_bytes(out, int8.read_bytes())
    return comparison, judged


def quantise(source: Path, out: Path, description: Description) -> Description:
    """Write the ONNX file with 8-bit weights and activations that are quantised as they come;
    returns what it says of itself.

    Only products with fixed matrices are, such as the linear layers of transformers; convolutions
    are not, since onnxruntime would be slower.

    Raises: ExportError if there are none.
    """
    onnx = package("onnx")
    quantization = package("onnxruntime.quantization")
    with _no_advice():
        quantization.quantize_dynamic(
            str(source),
            str(out),
            op_types_to_quantize=["MatMul"],
            weight_type=quantization.QuantType.QUInt8,
            extra_options={"MatMulConstBOnly": True},
        )
    model = onnx.load(str(out))
    if not any(node.op_type.startswith("MatMulInteger") for node in model.graph.node):
        raise ExportError(
            "this network has no linear layers on which int8 would save time; export it without "
            "--int8"
        )
    description = description.model_copy(update={"int8": True})
    onnx.helper.set_model_props(model, {KEY: description.model_dump_json()})
    onnx.save(model, str(out))
    return description


def judge(
    whole: Path, int8: Path, description: Description, *, videos: Path | None = None
) -> Judged:
    """The mAP of both files on the validation videos of the run, on the CPU.

    Raises: MmadError if the videos or annotations are not at hand.
    """
    config = description.settings(whole)
    assert isinstance(config, DetectionRun)
    if videos is not None and isinstance(config, VideoRun):
        config = changed(config, data=changed(config.data, videos=str(videos)))
    records = videos_to_predict(config, description.labels, config.data.val_subset)
    before, after = (_map_of(path, config, records, description) for path in (whole, int8))
    return Judged(before, after, len(records))


def _map_of(
    path: Path, config: DetectionRun, records: list[VideoRecord], description: Description
) -> float:
    network = ExportedDetector(Session(path), config)
    config = changed(config, inference=changed(config.inference, batch_windows=1))
    with video_progress("validate", records) as progress:
        found = detect_videos(
            network,  # type: ignore[arg-type]
            records,
            config,
            device=torch.device("cpu"),
            fps=description.fps,
            reader=feature_reader(config) if isinstance(config, FeatureRun) else None,
            progress=progress.update,
        )
    report = score(found.detections, records, labels=description.labels)
    return report.levels["action"].average


@contextmanager
def _no_advice() -> Iterator[None]:
    """Without the advice of the quantiser, which is to prepare the file by another program."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

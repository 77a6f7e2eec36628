"""Import of other projects' checkpoints as run folders."""

from pathlib import Path

from pydantic import TypeAdapter

from mmad.checkpoint import save_tensors, trainable_state
from mmad.config.base import PositiveRate, validated
from mmad.config.run import DetectionRun, FeatureRun
from mmad.engine.inference import feature_reader
from mmad.engine.runs.folder import FROZEN_HASH, create_run, save_frozen
from mmad.errors import CheckpointError
from mmad.files import write_text
from mmad.labels import LabelMap
from mmad.models.build import build_detector
from mmad.weights.files import read_weights
from mmad.weights.load import LoadReport, fill_detector
from mmad.weights.naming import detector_names

_RATE = TypeAdapter(PositiveRate)


def import_run(
    path: str | Path,
    config: DetectionRun,
    *,
    out: Path,
    labels: LabelMap,
    fps: float | None = None,
    averaged: bool = True,
) -> LoadReport:
    """A run folder for prediction, evaluation and fine-tuning, from a checkpoint of OpenTAD's
    AdaTAD, or of ActionFormer if the config names stored features.

    Args:
        path: Checkpoint.
        config: Sizes, adapters and settings, which the file does not hold.
        out: New run folder.
        labels: Labels in the order of the file.
        fps: Frames per second of the training videos, to which `detect` resamples; None leaves
            videos as they are.
        averaged: Take the moving average of the weights.

    Raises: CheckpointError if the file does not fit the config or the labels, ConfigError if the
        folder is not empty.
    """
    if fps is not None:
        fps = validated(_RATE, fps, source="--fps", error=CheckpointError)
    file = read_weights(path, averaged=averaged)
    head = detector_names(file.tensors)
    if head is not None:
        bias = head.tensors.get("classification.out.conv.bias")
        if bias is not None and len(bias) != len(labels):
            raise CheckpointError(
                f"{path}: is a detector of {len(bias)} classes, the labels of the config are "
                f"{len(labels)}; name the annotations that it was trained on in data.annotations "
                "and data.labels"
            )
    features = None
    if isinstance(config, FeatureRun):
        features = feature_reader(config).source.manifest
    model = build_detector(
        config,
        num_classes=len(labels),
        parents=labels.parents,
        feature_channels=None if features is None else features.channels,
    )
    report = fill_detector(model, file)
    folder = create_run(out, config, labels=labels)
    digest = save_frozen(folder, model)
    if features is not None:
        write_text(folder.features, features.to_json())
    information = {FROZEN_HASH: digest, "step": "0", "imported_from": report.source}
    save_tensors(folder.best, trainable_state(model), metadata=information)
    folder.append({"kind": "weights", "step": 0, "report": report.lines()})
    if fps is not None:
        folder.append({"kind": "data", "step": 0, "fps": fps})
    return report

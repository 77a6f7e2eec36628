"""Opening a trained run of any task."""

from pathlib import Path

from mmad.config.emotion import EmotionConfig
from mmad.config.pretraining import PretrainingConfig
from mmad.config.recognition import RecognitionConfig
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.load import labels_of, run_config
from mmad.engine.trained.detector import TrainedDetector
from mmad.engine.trained.device import device_of_process
from mmad.engine.trained.emotion import TrainedEmotion
from mmad.engine.trained.recogniser import TrainedRecogniser
from mmad.errors import CheckpointError, ConfigError

Trained = TrainedDetector | TrainedRecogniser | TrainedEmotion


def open_trained(
    source: str | Path, *, device: str = "auto", backbone: str | None = None
) -> Trained:
    """A trained run on its device; the network is read when it is first needed.

    Args:
        source: Run folder, or hub id of a pushed run.
        device: As in `choose_device`.
        backbone: For a run on features: the current place of the backbone that made them.

    Raises: CheckpointError if the folder is not a run, or of a newer version, and as `local_run`;
        ConfigError if its settings are wrong or there is no such device.
    """
    folder = RunFolder(local_run(source))
    config, labels = run_config(folder.path), labels_of(folder)
    processor = device_of_process(device)
    if isinstance(config, RecognitionConfig):
        return TrainedRecogniser(folder, config, labels, processor)
    if isinstance(config, EmotionConfig):
        return TrainedEmotion(folder, config, labels, processor)
    assert not isinstance(config, PretrainingConfig)  # which has no labels
    return TrainedDetector(folder, config, labels, processor, backbone)


def require_detector(trained: Trained) -> TrainedDetector:
    """The run, if it is one of detection.

    Raises: ConfigError if it is of another task.
    """
    if not isinstance(trained, TrainedDetector):
        raise ConfigError(
            f"{trained.folder.path}: is a run of {trained.config.task}; expected one of detection"
        )
    return trained


def require_recogniser(trained: Trained) -> TrainedRecogniser:
    """The run, if it is one of recognition.

    Raises: CheckpointError if it is of another task.
    """
    if not isinstance(trained, TrainedRecogniser):
        raise CheckpointError(
            f"{trained.folder.path}: is a run of {trained.config.task}; expected one of recognition"
        )
    return trained

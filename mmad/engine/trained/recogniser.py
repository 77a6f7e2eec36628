"""A trained recogniser of clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from mmad.annotations.clips.folds import ClipLists
from mmad.config.reading import with_max_missing
from mmad.config.recognition import RecognitionConfig
from mmad.engine.clip_inference import RecognizedClips, recognize_clips
from mmad.engine.recognition import read_clips
from mmad.engine.runs.changes import require_same_model
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_recogniser
from mmad.errors import CheckpointError
from mmad.labels import LabelMap
from mmad.models.recognisers.whole import Recogniser
from mmad.progress import Listener, watched
from mmad.structures import ClipRecord


@dataclass(frozen=True, eq=False)
class TrainedRecogniser:
    """A run of recognition, ready to use.

    Attributes:
        folder: Run folder.
        config: Settings of the run.
        labels: Labels that it was trained on.
        device: Device to compute on.
    """

    folder: RunFolder
    config: RecognitionConfig
    labels: LabelMap
    device: torch.device

    @cached_property
    def network(self) -> Recogniser:
        """The network.

        Raises: CheckpointError as `load_recogniser`.
        """
        return load_recogniser(self.folder.path)[0].to(self.device)

    def read(self) -> None:
        """Read the network now.

        Raises: CheckpointError as `load_recogniser`.
        """
        _ = self.network

    def recognize(
        self,
        clips: Sequence[ClipRecord],
        *,
        max_missing: float | None = None,
        progress: bool | Listener = True,
    ) -> RecognizedClips:
        """Scores of clips, with those that could not be read.

        Args:
            clips: Clips with their paths.
            max_missing: Share of missing frames above which a clip fails; None: the run's.
            progress: Show the progress, or a function of the fraction done.
        """
        config = with_max_missing(self.config, max_missing)
        return self._scores("recognize", clips, config, progress)

    def predict(
        self, wanted: RecognitionConfig, subset: str, *, progress: bool | Listener = True
    ) -> tuple[list[ClipRecord], RecognizedClips]:
        """The clips of a subset of the lists, and their scores.

        Args:
            wanted: Settings of the run, changed in data and inference only.
            subset: Subset of the lists.
            progress: As in `recognize`.

        Raises: MmadError if the data are missing, or the settings define another model.
        """
        path = self.folder.path
        if not ClipLists.of(wanted.data.model_dump()).names(subset):
            raise CheckpointError(
                f"{path}: data.{subset} names no list of clips; pass --annotations LIST"
            )
        clips = read_clips(wanted, subset, labels=self.labels)
        require_same_model(path, self.config, wanted, ("backbone", "heads"))
        ours, theirs = self.config.data, wanted.data
        for name, is_same in (
            ("flow", (ours.flow is None) == (theirs.flow is None)),
            ("flow_only", ours.flow_only == theirs.flow_only),
            ("flow_statistics", ours.flow_statistics == theirs.flow_statistics),
        ):
            if not is_same:
                raise CheckpointError(f"{path}: data.{name} changes the model; train a new one")
        return list(clips), self._scores("predict", clips, wanted, progress)

    def _scores(
        self,
        task: str,
        clips: Sequence[ClipRecord],
        config: RecognitionConfig,
        progress: bool | Listener,
    ) -> RecognizedClips:
        network = self.network
        with watched(task, progress, total=len(clips), unit="clips") as shown:
            return recognize_clips(
                network,
                clips,
                config,
                labels=self.labels,
                views=config.data.views("test"),
                device=self.device,
                progress=shown.update,
            )
